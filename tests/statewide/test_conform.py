"""Values take the standard's types and limits; what does not fit is left empty and said, and no row is lost."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statewide.conform import classify, conform
from statewide.crosswalk import Crosswalk
from statewide.findings import FindingLog
from statewide.standard import load_standard

STANDARD = load_standard()
PARCEL = STANDARD.table("parcel")
NOTHING = set(STANDARD.header.null_spellings)


def conformed(
    values: list[Any], field: str = "location", kind: pa.DataType | None = None
) -> tuple[list[Any], FindingLog]:
    """The values of one delivered column as that field, and the findings."""
    rows = pa.table({"row_no": pa.array(range(1, len(values) + 1)), "GIVEN": pa.array(values, kind or None)})
    log = FindingLog(STANDARD, "parcel", 2025, "Alder", "99901")
    crosswalk = Crosswalk({field: "GIVEN"}, {field: "saved"}, {}, {}, (), ())
    result = conform(PARCEL, crosswalk, rows, log)
    assert result.column_names == ["row_no", *(each.name for each in PARCEL.town_fields)]
    assert result.column("row_no").to_pylist() == list(range(1, len(values) + 1))
    return result.column(field).to_pylist(), log


def cleaned(value: str) -> str:
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", " ", unicodedata.normalize("NFC", value)).strip()


delivered_text = st.none() | st.text(max_size=12) | st.sampled_from(["<Null>", "NULL", " none ", "N/A", "", "  "])


@given(st.lists(delivered_text, max_size=20))
def test_every_text_is_kept_or_empty_or_named_in_a_finding(values: list[str | None]) -> None:
    result, log = conformed(values, kind=pa.string())
    invalid = {finding.row_no for finding in log.findings if finding.code == "VALUE_INVALID"}
    said = sum(int(f.sentence.split(" on ")[-1].split()[0]) for f in log.findings if f.code == "PLACEHOLDER_TEXT")
    placeholders = 0
    for number, (value, kept) in enumerate(zip(values, result, strict=True), start=1):
        clean = cleaned(value or "")
        if not clean:
            assert kept is None
        elif clean.casefold() in NOTHING:
            assert kept is None
            placeholders += 1
        else:
            assert (kept is None) == (number in invalid)
            assert kept in (clean, None)
    assert placeholders == said


@pytest.mark.parametrize("field", ["collection_year", "edited_on", "delivered_area_sqft", "parcel_type"])
@given(values=st.lists(delivered_text | st.from_regex(r"[0-9/,.$ -]{1,10}", fullmatch=True), max_size=20))
def test_no_value_of_any_type_vanishes_unsaid(field: str, values: list[str | None]) -> None:
    result, log = conformed(values, field, pa.string())
    assert len(result) == len(values)
    invalid = {finding.row_no for finding in log.findings if finding.code == "VALUE_INVALID"}
    for number, (value, kept) in enumerate(zip(values, result, strict=True), start=1):
        clean = cleaned(value or "")
        unknown = field == "edited_on" and re.search(r"1899|1900|8888", clean)
        if kept is None and clean and clean.casefold() not in NOTHING and not unknown:
            assert number in invalid
        else:
            assert number not in invalid


@given(st.lists(st.none() | st.integers(1990, 2100), min_size=1))
def test_whole_numbers_come_back_however_they_travel(years: list[int | None]) -> None:
    for spelling in ("{}", "{}.0", " {} ", "{}.", "{:,}"):
        texts = [None if year is None else spelling.format(year) for year in years]
        assert conformed(texts, "collection_year", pa.string())[0] == years
    floats = [None if year is None else float(year) for year in years]
    assert conformed(floats, "collection_year", pa.float64())[0] == years
    assert conformed(years, "collection_year", pa.int64())[0] == years


@given(st.lists(st.floats(min_value=0, max_value=1e15), min_size=1))
def test_numbers_come_back_to_the_last_bit(areas: list[float]) -> None:
    assert conformed(areas, "delivered_area_sqft", pa.float64())[0] == areas
    assert conformed([repr(area) for area in areas], "delivered_area_sqft", pa.string())[0] == areas


@given(st.lists(st.dates(dt.date(1901, 1, 1), dt.date(2100, 1, 1)), min_size=1, max_size=10))
def test_days_come_back_in_every_form_that_towns_write(days: list[dt.date]) -> None:
    milliseconds = [(day - dt.date(1970, 1, 1)).days * 86_400_000 for day in days]
    forms = [
        [f"{day.month}/{day.day}/{day.year}" for day in days],
        [f"{day:%m/%d/%Y} 12:00:00 AM" for day in days],
        [f"{day:%Y-%m-%d}T00:00:00.000Z" for day in days],
        [f"{day:%Y/%m/%d} 00:00:00+00" for day in days],
        [f"{day:%Y%m%d}" for day in days],
        [int(f"{day:%Y%m%d}") for day in days],
        [float(f"{day:%Y%m%d}") for day in days],
        days,
        [dt.datetime(day.year, day.month, day.day, 23, 59) for day in days],
    ]
    for form in forms:
        assert conformed(form, "edited_on")[0] == days
    late = [(day, number) for day, number in zip(days, milliseconds, strict=True) if abs(number) > 1e10]
    if late:
        assert conformed([number for _, number in late], "edited_on")[0] == [day for day, _ in late]


@pytest.mark.parametrize("value", ["1/1/1900", "12/30/1899", "8/8/8888", "1900-01-01T00:00:00Z", "", None])
def test_days_that_stand_for_unknown_are_empty_and_no_fault(value: str | None) -> None:
    assert (lambda found: (found[0], found[1].findings))(conformed([value], "edited_on", pa.string())) == ([None], [])


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("edited_on", "2/30/2024", "not a date"),
        ("edited_on", "1/25/24", "not a date"),
        ("edited_on", "202412", "not a date"),
        ("edited_on", "1/25/2024 see deed", "not a date"),
        ("edited_on", 2024, "not a date"),
        ("edited_on", 45316, "not a date"),
        ("edited_on", True, "not a date"),
        ("edited_on", dt.time(12, 30), "not a date"),
        ("edited_on", b"\xff", "not a date"),
        ("edited_on", 10**18, "not a date"),
        ("collection_year", "99999999999", "more than 2100"),
        ("collection_year", 2**62, "not a whole number"),
        ("collection_year", "1e400", "not a whole number"),
        ("collection_year", "2_025", "not a whole number"),
        ("collection_year", "20,25", "not a whole number"),
        ("collection_year", "FY25", "not a whole number"),
        ("collection_year", "2024.5", "not a whole number"),
        ("collection_year", "0", "less than 1990"),
        ("delivered_area_sqft", "1,5", "not a number"),
        ("delivered_area_sqft", "1.234,5", "not a number"),
        ("delivered_area_sqft", "12 acres", "not a number"),
        ("delivered_area_sqft", "-1", "less than 0"),
        ("delivered_area_sqft", float("inf"), "not a number"),
        ("location", "x" * 201, "longer than 200 characters"),
        ("location", "x" * 1_000_000, "longer than 200 characters"),
        ("location", b"\xff\xfe", "not text"),
    ],
)
def test_what_does_not_fit_is_left_empty_and_named_with_its_row(field: str, value: Any, why: str) -> None:
    result, log = conformed([None, value, value], field)
    assert result == [None, None, None]
    assert [(f.code, f.row_no, f.column, f.value) for f in log.findings] == [
        ("VALUE_INVALID", 2, "GIVEN", str(value)),
        ("VALUE_INVALID", 3, "GIVEN", str(value)),
    ]
    assert why in log.findings[0].sentence


def test_amounts_with_signs_and_thousands_are_numbers() -> None:
    given_ = ["$1,234.50", "1,234,567", "1e5", "12.", ".5", "+3"]
    assert conformed(given_, "delivered_area_sqft")[0] == [1234.5, 1234567.0, 100000.0, 12.0, 0.5, 3.0]


def test_trap_4_an_identifier_that_travelled_as_a_number_has_no_decimal() -> None:
    assert conformed([40.0, None, 1234567890123.0, 4.5], "parcel_id")[0] == ["40", None, "1234567890123", "4.5"]
    assert conformed([40, 7], "parcel_id")[0] == ["40", "7"]


def test_trap_4_the_year_as_text_with_a_decimal_is_the_year() -> None:
    assert conformed(["2025.0", "2025.00", "2025"], "collection_year")[0] == [2025, 2025, 2025]


def test_not_a_number_is_nothing() -> None:
    for field in ("delivered_area_sqft", "collection_year", "edited_on"):
        result, log = conformed([float("nan"), None], field, pa.float64())
        assert (result, log.findings) == ([None, None], [])


def test_letters_of_any_alphabet_are_kept() -> None:
    values = ["é ñ ß", "東京", "😀", 'O\'Brien "the" \\. %s {x}', "a\nb\tc"]
    assert conformed(values)[0] == values


def test_an_empty_delivery_and_a_missing_column_give_empty_columns() -> None:
    assert conformed([], kind=pa.string())[0] == []
    log = FindingLog(STANDARD, "parcel", 2025, "Alder", "99901")
    rows = pa.table({"row_no": [1, 2]})
    result = conform(PARCEL, Crosswalk({}, {}, {}, {}, (), ()), rows, log)
    assert result.column("parcel_id").to_pylist() == [None, None]
    assert result.schema.field("edited_on").type == pa.date32()


def test_the_rows_of_a_finding_are_the_files_rows_where_one_is_missing() -> None:
    rows = pa.table({"row_no": [1, 3, 7], "GIVEN": ["2025", "soon", "2025"]})
    log = FindingLog(STANDARD, "parcel", 2025, "Alder", "99901")
    conform(PARCEL, Crosswalk({"collection_year": "GIVEN"}, {"collection_year": "saved"}, {}, {}, (), ()), rows, log)
    assert [finding.row_no for finding in log.findings] == [3]


LIST = STANDARD.code_lists["parcel_type_class"]


@given(st.lists(st.none() | st.text(max_size=4) | st.sampled_from([code.code for code in LIST.codes]), max_size=20))
def test_a_word_is_classed_or_unknown_and_counted(words: list[str | None]) -> None:
    log = FindingLog(STANDARD, "parcel", 2025, "Alder", "99901")
    found = classify("parcel_type_class", "Parcel_Type", pa.array(words, pa.string()), log).to_pylist()
    assert len(found) == len(words)
    assert set(found) <= {code.code for code in LIST.codes}
    strange = [word for word in words if word is not None and word.casefold().strip() not in LIST.lookup()]
    assert {finding.value for finding in log.findings} == set(strange)
    assert [
        place for place, (word, code) in enumerate(zip(words, found, strict=True)) if word is None and code != "unknown"
    ] == []


@pytest.mark.parametrize(
    ("word", "code"),
    [(variant, code.code) for code in LIST.codes for variant in (code.code, *code.variants)],
)
def test_every_spelling_of_the_list_is_read_in_any_case(word: str, code: str) -> None:
    log = FindingLog(STANDARD, "parcel", 2025, "Alder", "99901")
    words = pa.array([word, word.upper(), f" {word.title()} "])
    assert classify("parcel_type_class", "Parcel_Type", words, log).to_pylist() == [code] * 3
    assert log.findings == []


# ── zeros that a table of numbers dropped, and house numbers that are no plain number ────────────────────────────────

POINT = STANDARD.table("address_point")


def conformed_point(**columns: list[Any]) -> tuple[dict[str, list[Any]], FindingLog]:
    """Conformed columns of address points, each from a column of its own name in capitals."""
    rows = pa.table({"row_no": pa.array(range(1, len(next(iter(columns.values()))) + 1))})
    for name, values in columns.items():
        rows = rows.append_column(name.upper(), pa.array(values))
    log = FindingLog(STANDARD, "address_point", 2025, "Alder", "99901")
    mapping = {name: name.upper() for name in columns}
    result = conform(POINT, Crosswalk(mapping, dict.fromkeys(mapping, "saved"), {}, {}, (), ()), rows, log)
    return {name: result.column(name).to_pylist() for name in result.column_names}, log


@pytest.mark.parametrize("values", [["6984", "06320", "6984", "6320", None], [6984, 6320, 6984, 6320, None]])
def test_one_lost_leading_zero_is_put_back_and_counted_once(values: list[Any]) -> None:
    columns, log = conformed_point(post_code=values)
    assert columns["post_code"] == ["06984", "06320", "06984", "06320", None]
    (finding,) = log.findings
    rows = 3 if "06320" in values else 4
    assert (finding.code, finding.severity, finding.value) == ("ZERO_RESTORED", "NOTE", "6984")
    assert finding.sentence.startswith(f"In {rows} rows of POST_CODE a ZIP code had lost its leading zero")


@pytest.mark.parametrize("value", ["698", "069840", "698A", "69-4", "٦٩٨٤"])
def test_what_lacks_more_than_one_zero_is_still_invalid(value: str) -> None:
    columns, log = conformed_point(post_code=[value])
    assert columns["post_code"] == [None]
    assert [finding.code for finding in log.findings] == ["VALUE_INVALID"]


@pytest.mark.parametrize(
    "text",
    ["12A", "12 A", "A12", "12-14", "12 - 14", "12 1/2", "12-1/2", "12½", "12.5", "121+125", "12 to 14", "12,14"],
)
def test_a_house_number_with_more_to_it_goes_where_whole_numbers_stand(text: str) -> None:
    columns, log = conformed_point(add_number=[text, "7", " 7 "], addnum_suf=[None, None, "B"])
    assert columns["add_number"] == [None, 7, 7]
    assert columns["addnum_cmp"] == [text, None, None]
    assert log.findings == []


def test_a_whole_number_that_was_given_stays() -> None:
    columns, log = conformed_point(add_number=["12A"], addnum_cmp=["12-14"])
    assert (columns["add_number"], columns["addnum_cmp"], log.findings) == ([None], ["12-14"], [])


@pytest.mark.parametrize("text", ["J Doe", "12 Main St", "-12", "9999999", "12AB", "1" * 50, "1 THRU 2 THRU 3 " * 4])
def test_what_is_no_house_number_is_invalid(text: str) -> None:
    columns, log = conformed_point(add_number=[text])
    assert (columns["add_number"], columns["addnum_cmp"]) == ([None], [None])
    assert [finding.code for finding in log.findings] == ["VALUE_INVALID"]


def test_two_spellings_of_one_letter_are_one_value() -> None:
    """A Mac may write é as e and an accent: the same word must not become a change."""
    values, log = conformed(["12 Cafe\u0301 St", "12 Caf\u00e9 St"])
    assert values == ["12 Caf\u00e9 St", "12 Caf\u00e9 St"]
    assert not log.findings
