"""Assessor's rows on their own: links, totals, cards and units, and what cannot be."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from statewide.findings import FindingLog
from tests.cama import identified, records


def found(log: FindingLog, code: str) -> list[int | None]:
    return [finding.row_no for finding in log.findings if finding.code == code]


def column(table: pa.Table, name: str) -> list[Any]:
    values: list[Any] = table.column(name).to_pylist()
    return values


def test_a_clean_record_raises_nothing_and_is_linked() -> None:
    table, log = identified(records({}, {}))
    assert log.counts() == {}
    assert column(table, "cama_link_normalized") == ["99901-1-1", "99901-1-2"]
    assert column(table, "assessed_total_usd") == [265_770.0] * 2
    assert column(table, "year_built") == [1973, 1973]


def test_trap_1_and_4_every_spelling_of_the_states_columns_is_read() -> None:
    snake = records({})
    smashed = snake.rename_columns(
        [name.lower().replace("_", "") if name != "row_no" else name for name in snake.column_names]
    )
    lower = snake.rename_columns([name.lower() for name in snake.column_names])
    tables = [identified(source)[0] for source in (snake, smashed, lower)]
    assert all(column(table, "appraised_land_usd") == [120_300.0] for table in tables)
    assert len({str(table.to_pylist()) for table in tables}) == 1


def test_trap_4_zero_is_no_year_and_no_price() -> None:
    table, log = identified(records({"AYB": "0.0", "Valuation_Year": "0", "Sale_Price": "0.0", "Living_Area": "0.0"}))
    row = table.to_pylist()[0]
    assert (row["year_built"], row["valuation_year"], row["sale_price_usd"], row["living_area_sqft"]) == (
        None,
        None,
        None,
        0,
    )
    assert log.counts() == {"VALUATION_YEAR_ODD": 1}


@pytest.mark.parametrize(
    ("given", "total", "how"),
    [
        ({}, 379_670.0, "given"),
        ({"Appraised_Total": None}, 379_670.0, "sum_of_parts"),
        ({"Appraised_Total": None, "Appraised_Outbuilding": None}, 379_670.0, "sum_of_parts"),
        ({"Appraised_Total": None, "Appraised_Building": None}, 379_671.0, "from_assessed"),
        ({"Appraised_Total": None, "Appraised_Building": None, "Assessed_Total": None}, 379_671.0, "from_assessed"),
        (dict.fromkeys(("Appraised_Total", "Appraised_Land", "Assessed_Total", "Assessed_Land")), None, None),
    ],
)
def test_a_total_that_is_not_given_is_worked_out_and_says_so(given: dict[str, Any], total: float, how: str) -> None:
    table, _ = identified(records(given))
    assert (column(table, "appraised_total_usd"), column(table, "appraised_total_how")) == ([total], [how])


def test_the_assessed_value_is_never_made_from_the_appraised_one() -> None:
    table, _ = identified(records({"Assessed_Total": None, "Assessed_Land": None}))
    assert (column(table, "assessed_total_usd"), column(table, "assessed_total_how")) == ([None], [None])


def test_cards_are_told_from_units_and_from_duplicates() -> None:
    condo = [{"Link": "C", "PID": str(pid), "Location": f"5 ELM ST #{pid}"} for pid in (1, 2)]
    same_number = [{"Link": "U", "PID": "9", "Unit": unit} for unit in "AB"]
    cards = [{"Link": "K", "PID": "5", "Location": "9 OAK ST", "AYB": year} for year in ("1950", "1850")]
    parts = [{"Link": "P", "PID": "6", "Location": "8 OAK ST", "Appraised_Total": value} for value in ("1", "2")]
    again = [{"Link": "D", "PID": "8", "Location": "7 OAK ST"}] * 2
    unnumbered = [{"Link": "N", "PID": None, "Location": "6 OAK ST", "AYB": year} for year in ("1950", "1951")]
    blank = [{"Link": None, "PID": "4", "Location": "5 OAK ST"}] * 2
    table, _ = identified(records(*condo, *same_number, *cards, *parts, *again, *unnumbered, *blank))
    roles = column(table, "record_role")
    assert roles[:4] == ["single"] * 4
    assert sorted(roles[4:6]) == ["further_card", "main_card"]
    assert roles[6:8] == ["part", "part"]
    assert sorted(roles[8:10]) == ["duplicate", "single"]
    assert roles[10:] == ["single"] * 4


def test_the_order_of_the_file_makes_no_difference_to_the_roles() -> None:
    rows = [{"Link": "K", "PID": "5", "Location": "9 OAK ST", "AYB": year} for year in ("1950", "1850", "1850", "1900")]
    there, back = (identified(records(*order))[0] for order in (rows, rows[::-1]))
    said = [
        sorted(zip(column(table, "year_built"), column(table, "record_role"), strict=True)) for table in (there, back)
    ]
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"Assessed_Total": "379670"}, "VALUE_RATIO", "the two are the same"),
        ({"Assessed_Total": "542385"}, "VALUE_RATIO", "look exchanged"),
        ({"Assessed_Total": "300000"}, "VALUE_RATIO", "more than 70 %"),
        ({"Assessed_Total": "90000"}, "VALUE_RATIO", "PA 490"),
        ({"Appraised_Land": "1000"}, "VALUE_PARTS", "add up to $260,370, the total says $379,670"),
        ({"Valuation_Year": "2031"}, "VALUATION_YEAR_ODD", "2031 lies ahead in 1 of 1 records"),
        ({"Valuation_Year": "2018"}, "VALUATION_YEAR_ODD", "2018 is more than 5 years back"),
        ({"Valuation_Year": None}, "VALUATION_YEAR_ODD", "is not given"),
        ({"AYB": "2027"}, "YEAR_BUILT_ODD", "Year built says"),
        ({"Sale_Date": "1/1/2099"}, "SALE_DATE_ODD", "2099-01-01"),
        ({"Living_Area": "12"}, "LIVING_AREA_ODD", "is 12 sq ft"),
        ({"Gross_Area": "1000"}, "LIVING_AREA_ODD", "the whole building 1,000"),
        ({"Total_Rooms": "4", "Bedrooms": "9"}, "ROOMS_ODD", "9 bedrooms in 4 rooms"),
        ({"Number_of_Baths": "30", "Occupancy": "1"}, "ROOMS_ODD", "30 baths in 1 dwellings"),
        ({"Town_Name": "Birch"}, "TOWN_MISMATCH", "Birch"),
        ({"Link": None}, "ID_MISSING", "neither"),
        ({"CAMA_Link": "52350-7"}, "TOWN_MISMATCH", "52350-7"),
        ({"CAMA_Link": "99901-"}, "CAMA_LINK_MALFORMED", "99901-"),
        ({"AYB": "1492"}, "VALUE_INVALID", "less than 1600"),
        ({"Assessed_Land": "-5"}, "VALUE_INVALID", "less than 0"),
    ],
)
def test_what_cannot_be_is_said_of_the_row(given: dict[str, Any], code: str, words: str) -> None:
    if "CAMA_Link" in given and code == "TOWN_MISMATCH":
        given = given | {"Town_Name": None}
    _, log = identified(records(given))
    sentences = [finding.sentence for finding in log.findings if finding.code == code]
    assert sentences and words in sentences[0]


def test_values_that_may_be_are_left_alone() -> None:
    fine = (
        {"Assessed_Total": "265000", "Assessed_Building": "180790"},  # 69.8 %
        {
            "Assessed_Total": "30",
            "Appraised_Total": "60",
            "Appraised_Land": "60",
            "Appraised_Building": "0",
            "Assessed_Land": "30",
            "Assessed_Building": "0",
        },
        {"Appraised_Building": "250000", "Appraised_Outbuilding": "9370"},
        {"Appraised_Building": "259370", "Appraised_Outbuilding": "9370"},  # buildings include them
        {"Total_Rooms": "0", "Bedrooms": "3"},
        {"Bedrooms": "200"},  # nobody said in how many dwellings
        {"AYB": "2026"},
    )
    assert identified(records(*fine))[1].counts() == {}


def test_a_file_without_any_value_says_so_once() -> None:
    source = records(*({} for _ in range(30)))
    source = source.drop_columns([name for name in source.column_names if name.startswith(("Assessed", "Appraised"))])
    assert identified(source)[1].counts() == {"VALUES_MISSING": 1}


def test_taxable_property_without_a_value_is_said_and_exempt_property_is_not() -> None:
    nothing = dict.fromkeys(("Assessed_Total", "Assessed_Land", "Assessed_Building"), "0")
    nothing |= dict.fromkeys(("Appraised_Total", "Appraised_Land", "Appraised_Building"), "0")
    exempt = nothing | {"State_Use": "903", "State_Use_Description": "Municipal"}
    _, log = identified(records({}, nothing, exempt))
    assert [(finding.code, finding.row_no) for finding in log.findings] == [("VALUE_MISSING", 2)]


def test_values_that_are_called_neither_are_read_by_what_they_make_up() -> None:
    moved = {"Assessed_Land": None, "Assessed_Building": None, "Appraised_Total": None}
    moved |= {"Appraised_Land": "84210", "Appraised_Building": "181560"}
    table, log = identified(records(*[moved] * 20))
    assert log.counts() == {"PARTS_ARE_ASSESSED": 1}
    row = table.to_pylist()[0]
    assert (row["assessed_land_usd"], row["appraised_land_usd"], row["appraised_total_usd"]) == (84_210, None, 379_671)
    assert row["appraised_total_how"] == "from_assessed"


@pytest.mark.parametrize(
    ("column", "given", "acres"),
    [("Land_Acres", "0.5", 0.5), ("Lot_Size_Sqft", "21780", 0.5), ("LandArea", "21780", 0.5), ("LandArea", "0.5", 0.5)],
)
def test_land_is_kept_in_acres_whatever_unit_it_came_in(column: str, given: str, acres: float) -> None:
    table, _ = identified(records({column: given}))
    assert table.column("land_acres").to_pylist() == [acres]


def test_codes_that_nobody_has_explained_are_said_with_their_value() -> None:
    _, log = identified(records(*[{"State_Use": "QQ7", "State_Use_Description": None}] * 3, *[{}] * 7))
    (code, total) = [finding.sentence for finding in log.findings if finding.code.startswith("USE_")]
    assert "“QQ7”" in code and "$1,139,010" in code
    assert total.startswith("3 of 10 records (30 %) have no use class; their values are 30 %")


def test_many_rows_of_one_cause_are_summed_up() -> None:
    _, log = identified(records(*[{"Assessed_Total": "379670"}] * 100, *[{"Assessed_Total": "90000"}] * 3))
    ratio = [finding for finding in log.findings if finding.code == "VALUE_RATIO"]
    assert [finding.row_no for finding in ratio] == [*range(1, 21), None, 101, 102, 103]
    assert ratio[20].sentence == "80 rows more are like it: the two are the same."


def test_rows_of_another_town_are_each_held() -> None:
    _, log = identified(records(*[{"Town_Name": "Birch"}] * 50))
    assert len(log.held_rows()) == 50
