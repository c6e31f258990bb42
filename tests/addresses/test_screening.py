"""Free texts pass as names of places alone, what looks like a person is emptied, and no finding says what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio.raw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addresses.screening import Words, screen
from statewide.conform import ARROW_TYPES
from statewide.findings import FindingLog
from statewide.standard import load_standard

STANDARD = load_standard()
WORDS = Words(STANDARD)
TABLE = STANDARD.table("address_point")
TEXTS = [field.name for field in TABLE.town_fields if field.type == "text"]
FREE = [field.name for field in TABLE.town_fields if field.screening == "place"]


def screened(**columns: list[Any]) -> tuple[pa.Table, FindingLog]:
    """Conformed rows with these columns, screened; the others are empty."""
    rows = len(next(iter(columns.values())))
    table = pa.table(
        {
            field.name: pa.array(columns.get(field.name, [None] * rows), ARROW_TYPES[field.type])
            for field in TABLE.town_fields
        }
    )
    log = FindingLog(STANDARD, TABLE.name, 2025, "Alder", "99999")
    mapping = {name: name.upper() for name in columns}
    return screen(STANDARD, table, np.arange(1, rows + 1), log, mapping), log


@pytest.mark.parametrize(
    "text",
    [
        "Town Hall",
        "TOWN HALL ANNEX",
        "Lincoln Elementary School",
        "St. Mary's Church",
        "First Congregational Church",
        "Church of the Holy Spirit",
        "University of Connecticut",
        "Fire Station No. 2",
        "FIRE STATION #3",
        "Rocky Neck State Park",
        "U.S. Post Office",
        "Crystal Mall",
        "Lincoln School, North Wing",
        "Parks & Recreation Department",
        "Alder Funeral Home",
        "Water Treatment Plant",
    ],
)
def test_the_name_of_a_public_place_passes(text: str) -> None:
    assert WORDS.name_place(text)


@pytest.mark.parametrize(
    "text",
    [
        "SMITH RESIDENCE",
        "Smith House",
        "Kelly Farm",
        "J. DOE",
        "Mary Ann Kelly",
        "O'Brien",
        # surnames that are places
        "Mary Hall",
        "Rosa Parks",
        "Frank Church",
        "Shirley Temple",
        # notes
        "Kelly, near the high school",
        "J Doe High School teacher lives here",
        "High School (J. Doe)",
        "J. Doe / High School",
        "John Doe police",
        "Officer Doe Police Station",
        "behind the library",
        "School 8605550123",
        # what is kept secret
        "Lincoln School (confidential)",
        "Safe at Home Center",
        "Women's Center",
        "Domestic violence shelter",
        "SAFE HOUSE",
        "Alder Crisis Center",
        "Halfway House",
        "Mary Kelly Family Day Care",
        # nothing that tells
        "North Wing",
        "School Street",
        "2",
        "",
        "???",
        "x" * 400,
        "School " * 20,
    ],
)
def test_what_is_not_clearly_a_place_is_withheld(text: str) -> None:
    assert not WORDS.name_place(text)


FIRST = ["Mary", "John", "Zebedee", "J", "José", "Mary Ann", "D'Arcy"]
LAST = [
    "Kelly",
    "Smith",
    "O'Brien",
    "Hall",
    "Church",
    "Parks",
    "Temple",
    "Lodge",
    "Banks",
    "Fields",
    "Núñez",
    "St John",
]


@given(
    st.sampled_from(FIRST),
    st.sampled_from(LAST),
    st.sampled_from(["{} {}", "{}. {}", "{1}, {0}", "{1}", "{} & Ann {}"]),
)
def test_a_person_by_first_and_last_name_is_no_place(first: str, last: str, form: str) -> None:
    for text in (form.format(first, last), form.format(first, last).upper()):
        assert not WORDS.name_place(text)
        assert not WORDS.name_place(f"{text} residence")


@pytest.mark.parametrize(
    "text",
    ["Unit 1", "APT 2B", "REAR", "Building 5", "2ND FL", "Suite 100", "Carriage House", "Fl 2 Apt 3", "Town Hall", "C"],
)
def test_words_within_a_building_pass(text: str) -> None:
    assert WORDS.name_subaddress(text)


@pytest.mark.parametrize("text", ["Apt Smith", "SMITH", "Kelly/Smith", "Unit 1 (Kelly)", "Maple Hall"])
def test_another_word_in_a_unit_may_be_a_name(text: str) -> None:
    assert not WORDS.name_subaddress(text)


def test_a_place_becomes_the_landmark_and_other_free_text_goes() -> None:
    rows, log = screened(
        site=["Town  Hall", "SMITH RESIDENCE", None, None],
        addtl_loc=["call Zebedee", None, "Lincoln School", "ring at Kelly's"],
    )

    assert rows.column("landmark").to_pylist() == ["Town Hall", None, "Lincoln School", None]
    assert rows.column("site").to_pylist() == ["Town Hall", None, None, None]
    assert log.counts() == {"FREE_TEXT_WITHHELD": 2}
    assert [finding.sentence.partition(":")[0] for finding in log.findings] == [
        "The text of the column SITE is not kept on 1 row",
        "The text of the column ADDTL_LOC is not kept on 2 rows",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "c/o Zebedee",
        "ZEBEDEE C/O KELLY",
        "care of Zebedee",
        "% Zebedee",
        "attn Zebedee",
        "zebedee@example.org",
        "(860) 555-0123 Zebedee",
        "Zebedee 860-555-0123",
        "Zebedee 8605550123",
        "Mrs. Zebedee",
        "owner Zebedee",
        "estate of Zebedee",
        "tenant: Zebedee",
    ],
)
@pytest.mark.parametrize("name", [name for name in TEXTS if TABLE.field(name).screening != "number"])
def test_a_person_in_any_text_is_emptied_and_never_quoted(name: str, text: str) -> None:
    rows, log = screened(**{name: [text, None, text]})

    assert rows.column(name).null_count == 3
    assert rows.column("landmark").null_count == 3
    assert "zebedee" not in str(log.findings).casefold()
    if name in FREE:
        assert log.counts() == {"FREE_TEXT_WITHHELD": 1}
    else:
        assert [finding.row_no for finding in log.findings] == [1, 3]
        assert {finding.code for finding in log.findings} == {"PERSON_IN_VALUE"}


@pytest.mark.parametrize("name", ["nguid", "local_id", "parcel_id"])
def test_an_identifier_that_looks_like_a_telephone_or_an_email_stays(name: str) -> None:
    identifiers = ["203-245-0006", "SSAP100@psap.example.gov", "8605550123", "urn:emergency:uid:gis:SSAP:1:a.example"]
    rows, log = screened(**{name: [*identifiers, "c/o Zebedee"]})

    assert rows.column(name).to_pylist() == [*identifiers, None]
    assert log.counts() == {"PERSON_IN_VALUE": 1}


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        (
            "delivered_address",
            ["36 BLINMAN ST #1", "121 RT 32", "12-14 N MAIN ST APT 2", "8 Dr Foote Rd", "1 Owen Ct"],
        ),
        (
            "st_name",
            ["Blinman", "Martin Luther King Junior", "Doctor Foote", "Missal", "Attenborough"],
        ),
        ("st_postyp", ["Street", "Drive"]),
        ("post_comm", ["New London", "ALDER", "Alder Point", "06999", *["Mystic"] * 10]),
        ("a2", ["Southeastern Connecticut Planning Region"]),
        ("addauth", ["Town of New London", "Assessor's Office", "Alder GIS", "City of Norwich Engineering Department"]),
        ("addnum_pre", ["W", "N12"]),
        ("addnum_suf", ["A", "1/2", "REAR"]),
        ("addnum_cmp", ["12-14", "12 thru 14", "12 1/2", "12 Rear"]),
        ("distmarker", ["MM 88.2", "Mile 12", "Exit 3"]),
        ("st_premod", ["Old", "New"]),
        ("st_posmod", ["Extension", "Bypass"]),
        ("addrclass", ["Numbered Thoroughfare Address"]),
        ("placement", ["Structure"]),
        ("lifecycle", ["Active", "Retired"]),
        ("place_type", ["residence"]),
        ("unit", ["Unit 1", "Apartment 12A", "Rear"]),
    ],
)
def test_ordinary_values_stay(name: str, texts: list[str]) -> None:
    rows, log = screened(**{name: texts})

    assert rows.column(name).to_pylist() == texts
    assert log.counts() == {}


LISTED = [field.name for field in TABLE.town_fields if field.codes or field.screening == "listed"]


@pytest.mark.parametrize(
    "name", [*LISTED, *(field.name for field in TABLE.town_fields if field.screening not in (None, "place", "listed"))]
)
@pytest.mark.parametrize("text", ["Zebedee Canary", "ZEBEDEE CANARY", "Canary, Z."])
def test_a_bare_name_in_a_short_column_is_emptied_and_never_quoted(name: str, text: str) -> None:
    rows, log = screened(**{name: [text, None, text]})

    assert rows.column(name).null_count == 3
    assert log.counts() == {"WORD_NOT_LISTED": 1} if name in LISTED else {"PERSON_IN_VALUE": 2}
    assert "canary" not in str(log.findings).casefold()


@pytest.mark.parametrize("text", ["Zebedee Canary, Town Planner", "Zebedee Canary GIS", "Canary"])
def test_who_gives_out_addresses_is_an_office_and_no_person(text: str) -> None:
    rows, _ = screened(addauth=[text] * 20)

    assert rows.column("addauth").null_count == 20


def test_a_household_on_many_rows_is_no_village() -> None:
    rows, _ = screened(a4=["Canary family"] * 20)

    assert rows.column("a4").null_count == 20


def test_what_passed_once_passes_again_and_is_said_once() -> None:
    rows, log = screened(site=["Town Hall", "Kelly"], unit=["Unit 1", "Kelly"])
    before = log.counts()
    again = screen(STANDARD, rows, np.arange(1, 3), log, {})

    assert again.equals(rows)
    assert log.counts() == before


def test_many_rows_of_a_column_are_counted_and_not_listed() -> None:
    _, log = screened(unit=["Kelly"] * 1000)
    most = int(STANDARD.checks["PERSON_IN_VALUE"].limits["rows_shown"])

    assert log.counts() == {"PERSON_IN_VALUE": most + 1}
    assert "980 rows more" in log.findings[-1].sentence


def test_free_text_is_stored_nowhere() -> None:
    assert FREE == ["site", "subsite", "addtl_loc", "locmarker", "adddatauri"]
    assert not {field.name for field in TABLE.base_fields} & set(FREE)
    assert all(not TABLE.field(name).public for name in FREE)


@pytest.mark.real
def test_most_schools_of_the_state_are_known_as_places(shared_data: Path) -> None:
    _, _, _, (names,) = pyogrio.raw.read(
        shared_data / "ct-facilities" / "public_schools.shp", columns=["NAME"], read_geometry=False
    )
    passed = [WORDS.name_place(name) for name in set(names)]

    assert sum(passed) / len(passed) > 0.85
