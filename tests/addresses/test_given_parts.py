"""Parts as towns give them become those that a whole address is taken apart into; doubtful ones stay as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely

from addresses.columns import STREET
from addresses.points import ADDRESSES, identify
from statewide.arrival import Rows
from statewide.conform import conform
from statewide.crosswalk import Crosswalk
from statewide.crs import CrsDecision
from statewide.findings import FindingLog
from statewide.standard import load_standard
from tests.towns import ALDER

STANDARD = load_standard()
TABLE = STANDARD.table("address_point")


def taken_in(**columns: list[str | None]) -> tuple[pa.Table, FindingLog]:
    """Delivered columns, named as the fields that they fill, as the rows that are staged; and the findings."""
    count = len(next(iter(columns.values())))
    source = pa.table(
        {"row_no": pa.array(range(1, count + 1))} | {name: pa.array(v, pa.string()) for name, v in columns.items()}
    )
    crosswalk = Crosswalk({name: name for name in columns}, dict.fromkeys(columns, "saved"), {}, {}, (), ())
    log = FindingLog(STANDARD, "address_point", 2025, "Alder", "99901")
    assert ADDRESSES.strip
    source = ADDRESSES.strip(source, crosswalk, log)
    shapes = np.array([shapely.Point(1_000_000, 700_000 + 100 * row) for row in range(count)], dtype=object)
    crs = CrsDecision(6434, "declared", 1.0)
    rows = Rows(source, conform(TABLE, crosswalk, source, log), shapes, shapes, np.zeros(count), crosswalk, crs)
    return identify(rows, ALDER, log), log


def row(**columns: str | None) -> tuple[dict[str, Any], list[str]]:
    """One row taken in: what is filled, and the codes of the findings."""
    table, log = taken_in(**{name: [value] for name, value in columns.items()})
    filled = {name: value for name, value in table.to_pylist()[0].items() if value is not None}
    return filled, [finding.code for finding in log.findings]


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "parts", "line"),
    [
        ("12A", (None, 12, "A"), "12A Elm Street"),
        ("12 A", (None, 12, "A"), "12A Elm Street"),
        ("12 e", (None, 12, "E"), "12E Elm Street"),
        ("W12", ("W", 12, None), "W12 Elm Street"),
        ("12 1/2", (None, 12, "1/2"), "12 1/2 Elm Street"),
        ("12½", (None, 12, "1/2"), "12 1/2 Elm Street"),
        ("12-14", (None, 12, None), "12-14 Elm Street"),
        ("12", (None, 12, None), "12 Elm Street"),
    ],
)
def test_a_number_with_more_to_it_is_taken_apart_and_no_fault(text: str, parts: tuple[Any, ...], line: str) -> None:
    found, codes = row(add_number=text, st_name="Elm", st_postyp="Street")
    assert tuple(found.get(name) for name in ("addnum_pre", "add_number", "addnum_suf")) == parts
    assert found.get("addnum_cmp") == (None if text == "12" else text)
    assert (found["address_label"], found["number_source"], codes) == (line, "given", [])


def test_a_whole_number_alone_is_taken_apart_too() -> None:
    found, codes = row(addnum_cmp="12A", st_name="Elm", st_postyp="Street")
    assert (found["add_number"], found["addnum_suf"], codes) == (12, "A", [])


def test_what_is_no_number_is_still_said() -> None:
    found, codes = row(add_number="next door", st_name="Elm", st_postyp="Street")
    assert "add_number" not in found
    assert codes == ["VALUE_INVALID", "NUMBER_MISSING"]


# ── units ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("unit", "whole"),
    [
        ("APT B", "36 ELM ST APT B"),
        ("Apt. B", "36 ELM ST APT B"),
        ("APT2", "36 ELM ST APT 2"),
        ("#2", "36 ELM ST #2"),
        ("UNIT 10", "36 ELM ST UNIT 10"),
        ("B", "36 ELM ST B"),
        ("REAR", "36 ELM ST REAR"),
        ("Carriage House", "36 ELM ST CARRIAGE HOUSE"),
        ("BLDG 5 APT 2", "36 ELM ST BLDG 5 APT 2"),
    ],
)
def test_a_unit_in_one_piece_is_split_as_in_a_whole_address(unit: str, whole: str) -> None:
    found, codes = row(add_number="36", st_name="ELM", st_postyp="ST", unit=unit)
    parsed, _ = row(delivered_address=whole)
    assert (found["unit"], found["unit_source"], codes) == (unit, "given", [])
    for name in ("unitpretyp", "unitvalue", "structure", "address_label", "address_normalized"):
        assert found.get(name) == parsed.get(name), name


@pytest.mark.parametrize("unit", ["left side", "2nd floor", "FL 2", "north loft"])
def test_a_unit_that_is_not_read_wholly_stays_as_given(unit: str) -> None:
    found, _ = row(add_number="36", st_name="Elm", st_postyp="Street", unit=unit)
    assert (found["unit"], "unitpretyp" in found, "unitvalue" in found) == (unit, False, False)
    assert found["address_label"].endswith(unit)


def test_building_and_floor_tell_addresses_of_one_line_apart_and_the_line_stays_one() -> None:
    table, _ = taken_in(
        add_number=["36"] * 4,
        st_name=["Elm"] * 4,
        st_postyp=["Street"] * 4,
        structure=["Building 5", "5", None, None],
        floor=["2", None, "Ground Floor", None],
        unit=["B", None, None, None],
    )
    assert table.column("address_label").to_pylist() == [
        "36 Elm Street Building 5 Floor 2 Unit B",
        "36 Elm Street Building 5",
        "36 Elm Street Ground Floor",
        "36 Elm Street",
    ]
    assert table.column("address_normalized").to_pylist() == ["36 ELM STREET UNIT B", *["36 ELM STREET"] * 3]


@pytest.mark.parametrize("columns", [{"unit": "APT"}, {"unitpretyp": "apt."}])
def test_a_units_word_alone_is_said(columns: dict[str, str]) -> None:
    found, codes = row(add_number="36", st_name="Elm", st_postyp="Street", **columns)
    assert (found["unitpretyp"], codes) == ("Apartment", ["UNIT_WITHOUT_VALUE"])


def test_a_short_word_of_a_unit_is_written_in_full() -> None:
    for columns in ({"unitpretyp": "APT.", "unitvalue": "B"}, {"unitpretyp": "APT", "unit": "B"}):
        found, _ = row(add_number="36", st_name="Elm", st_postyp="Street", **columns)
        assert (found["address_label"], found["unitvalue"]) == ("36 Elm Street Apartment B", "B")


# ── streets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("columns", "whole", "source"),
    [
        ({"st_name": "MILL", "st_postyp": "RD", "st_posmod": "EXT"}, "MILL RD EXT", "given"),
        ({"st_name": "MILL", "st_postyp": "RD EXT"}, "MILL RD EXT", "parsed_street"),
        ({"st_name": "MILL", "st_postyp": "RD."}, "MILL RD", "given"),
        ({"st_name": "MILL", "st_postyp": "RD", "st_posdir": "EXT"}, "MILL RD EXT", "parsed_street"),
        ({"st_name": "MILL", "st_postyp": "HILL RD"}, "MILL HILL RD", "parsed_street"),
        ({"st_name": "MILL RD", "st_postyp": "RD"}, "MILL RD", "parsed_street"),
        ({"st_name": "Old Mill Road", "st_postyp": "RD", "st_predir": "N"}, "N Old Mill Road", "parsed_street"),
        ({"st_name": "ROUTE 6", "st_pretyp": "RTE"}, "ROUTE 6", "parsed_street"),
        ({"st_pretyp": "AVE OF THE", "st_name": "PINES"}, "AVE OF THE PINES", "parsed_street"),
        ({"st_pretyp": "AVE", "st_name": "OF THE PINES"}, "AVE OF THE PINES", "parsed_street"),
        ({"st_postyp": "AVE", "st_name": "OF THE PINES"}, "AVE OF THE PINES", "parsed_street"),
        ({"st_name": "AVE OF THE", "st_postyp": "PINES"}, "AVE OF THE PINES", "parsed_street"),
        ({"st_pretyp": "AVE", "st_presep": "OF THE", "st_name": "PINES"}, "AVE OF THE PINES", "given"),
        ({"st_name": "ISLE OF PINES", "st_postyp": "RD"}, "ISLE OF PINES RD", "given"),
        ({"st_name": "COURT", "st_postyp": "ST"}, "COURT ST", "given"),
    ],
)
def test_street_parts_become_those_of_the_street_in_one_piece(columns: dict[str, str], whole: str, source: str) -> None:
    found, codes = row(add_number="12", **columns)
    parsed, _ = row(add_number="12", delivered_street=whole)
    assert {name: found.get(name) for name in STREET} == {name: parsed.get(name) for name in STREET}
    assert (found["address_normalized"], codes) == (parsed["address_normalized"], [])
    assert found["street_source"] == source


@pytest.mark.parametrize(
    "columns",
    [
        {"st_name": "Mill", "st_postyp": "Foo"},
        {"st_name": "Mill", "st_postyp": "ST APT 4"},
        {"st_name": "Mill", "st_postyp": "Road", "st_predir": "Nroth"},
        {"st_name": "32", "st_pretyp": "St Rte"},
    ],
)
def test_words_of_no_list_that_are_not_read_with_confidence_are_emptied_and_said(columns: dict[str, str]) -> None:
    found, codes = row(add_number="12", **columns)
    listed = {name: found.get(name) for name in STREET if found.get(name) in ("Mill", "32", "Road")}
    assert {name: found.get(name) for name in STREET} == dict.fromkeys(STREET) | listed
    assert listed["st_name"] == columns["st_name"]
    assert found["street_source"] == "given"
    assert codes.count("WORD_NOT_LISTED") == 1


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("MCDERRY", "McDerry"),
        ("MacDerry", "MacDerry"),
        ("mill river", "Mill River"),
        ("McDerry", "McDerry"),
        ("JFK", "JFK"),
    ],
)
def test_a_name_in_capitals_is_written_as_names_are(given: str, name: str) -> None:
    found, _ = row(add_number="12", st_name=given, st_postyp="RD")
    assert found["st_name"] == name
    assert found["address_label"] == f"12 {name} Road"
    assert found["address_normalized"] == f"12 {given.upper()} ROAD"


# ── what nobody could read ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "12 MARLPIT RD & WINDLEY ST",
            "“12 MARLPIT RD & WINDLEY ST” could not be taken apart with confidence: two streets. "
            "Our guess is 12 Marlpit Road.",
        ),
        ("PO BOX 12", "“PO BOX 12” could not be taken apart with confidence: a postal box"),
    ],
)
def test_an_unread_address_is_quoted_where_it_tells_of_a_street(text: str, sentence: str) -> None:
    _, log = taken_in(delivered_address=[text])
    (finding,) = log.findings
    assert (finding.code, finding.value) == ("ADDRESS_UNREAD", text)
    assert finding.sentence.startswith(sentence)
    assert "none" not in finding.sentence


@pytest.mark.parametrize(
    "text",
    [
        "ZEBEDEE CANARY",
        "12 ZEBEDEE CANARY",
        "CANARY ZEBEDEE 1 MAIN STREET",
        "CANARY, Z 1 MAIN",
        "LOT BEHIND CANARY'S",
        "14 CANARY RES",
        "1 MAIN STREET APT CANARY",
        "1 MAIN ST APT CANARY CT",
        "12 CANARY TRAILER",
        "CANARY HILL",
        "DR CANARY 12",
        "CANARY RESIDENCE RT 12 POND",
        "SAFE SHELTER 12 POND",
    ],
)
def test_an_unread_address_that_may_be_a_name_is_not_quoted(text: str) -> None:
    _, log = taken_in(delivered_address=[text])
    assert [finding.code for finding in log.findings if finding.severity == "ERROR"] == ["ADDRESS_UNREAD"]
    for finding in log.findings:
        assert "CANARY" not in f"{finding.sentence} {finding.value}".upper()
        assert "SHELTER" not in f"{finding.sentence} {finding.value}".upper()


@pytest.mark.parametrize("text", ["ZEBEDEE CANARY", "CANARY", "CANARY, Z 1 MAIN", "CANARY ZEBEDEE 1 MAIN STREET"])
@pytest.mark.parametrize("column", ["st_name", "delivered_street"])
def test_a_street_in_one_piece_that_may_be_a_name_is_held(column: str, text: str) -> None:
    streets: list[str | None] = [text, text, "ELM ST"]
    table, log = taken_in(add_number=["12", "14", "3"], **{column: streets})
    assert table.column("st_name").to_pylist() == [None, None, "Elm"]
    assert log.held_rows() == {1: ["ADDRESS_UNREAD"], 2: ["ADDRESS_UNREAD"]}
    assert "CANARY" not in str(log.findings).upper()


def test_a_street_without_a_type_is_one_where_it_has_several_numbers() -> None:
    lines = [f"{number} {street}" for street in ("BROADWAY", "THE GREEN", "MUSIC VALE") for number in (1, 2, 3)]
    table, log = taken_in(delivered_address=[*lines, "7 MUSIC VALE ROAD"])
    assert table.column("st_name").to_pylist() == ["Broadway"] * 3 + ["The Green"] * 3 + ["Music Vale"] * 4
    assert log.findings == []


def test_a_street_without_a_type_is_one_where_the_file_has_it_with_a_type() -> None:
    table, log = taken_in(delivered_address=["7 MAIN", *(f"{number} MAIN ST" for number in (1, 2, 3))])
    assert table.column("st_name").to_pylist() == ["Main"] * 4
    assert log.held_rows() == {}


def test_a_street_without_a_type_is_one_where_the_town_gives_parts() -> None:
    table, log = taken_in(add_number=["1", "2"], st_name=["Broadway", "Elm"], st_postyp=[None, "ST"])
    assert table.column("st_name").to_pylist() == ["Broadway", "Elm"]
    assert log.findings == []


@pytest.mark.parametrize(
    "tail", [", ZEBEDEE CANARY", ", CANARY FAMILY", ", ZEBEDEE CANARY, 06999", " - ZEBEDEE CANARY", "; CANARY"]
)
def test_what_stands_behind_an_address_is_a_known_place_or_nothing(tail: str) -> None:
    table, log = taken_in(delivered_address=[f"1 MAIN ST{tail}", "2 MAIN ST, ALDER", "3 MAIN ST, NEW LONDON, CT"])
    assert table.column("address_label").to_pylist() == ["1 Main Street", "2 Main Street", "3 Main Street"]
    assert table.column("post_comm").to_pylist() == [None, "Alder", "New London"]
    assert table.column("a4").null_count == 3
    assert log.counts() == {"PERSON_IN_VALUE": 1}
    assert "CANARY" not in str(log.findings).upper()
    assert "CANARY" not in str(table.drop_columns(["delivered_address"]).to_pylist()).upper()


def test_a_village_of_the_towns_own_column_is_one_behind_an_address() -> None:
    table, log = taken_in(
        delivered_address=[*(f"{number} MAIN ST" for number in range(1, 11)), "11 MAIN ST, GULL POINT"],
        a4=["Gull Point"] * 10 + [None],
    )
    assert table.column("a4").to_pylist() == ["Gull Point"] * 11
    assert log.findings == []


def test_an_empty_column_within_a_whole_address_is_nothing() -> None:
    found, codes = row(delivered_address="12 <Null> MARLPIT ST <NULL>")
    assert (found["address_label"], codes) == ("12 Marlpit Street", [])
