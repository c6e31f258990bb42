"""Columns find their fields, and every column of the file is accounted for."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statewide.crosswalk import Crosswalk, Reviewed, propose
from statewide.standard import load_standard

STANDARD = load_standard()
PARCEL = STANDARD.table("parcel")
KNOWN = [name for field in PARCEL.town_fields for name in (field.name, *field.synonyms)]
IGNORED = [name for rule in PARCEL.ignored_columns for name in rule.names]
PERSONS = [name for person in STANDARD.header.withheld for name in (person.name, *person.synonyms)]


def crosswalk(columns: dict[str, list[Any]] | list[str], **options: Any) -> Crosswalk:
    named = {name: [None] for name in columns} if isinstance(columns, list) else columns
    arrays = [
        pa.array(values, None if any(v is not None for v in values) else pa.string()) for values in named.values()
    ]
    return propose(STANDARD, PARCEL, pa.table(arrays, names=list(named)), **options)


names = st.one_of(st.sampled_from(KNOWN), st.sampled_from(IGNORED), st.sampled_from(PERSONS), st.text(max_size=12))
fields = st.sampled_from([field.name for field in PARCEL.fields] + ["no_such_field"])


@given(
    columns=st.lists(names, unique=True, max_size=15),
    saved=st.dictionaries(fields, names, max_size=4),
    reviewed=st.dictionaries(fields, names, max_size=3),
    aside=st.dictionaries(names, st.just("because"), max_size=2),
)
def test_every_column_is_accounted_for_exactly_once(
    columns: list[str], saved: dict[str, str], reviewed: dict[str, str], aside: dict[str, str]
) -> None:
    found = crosswalk(columns, saved=saved, reviewed=Reviewed(mapping=reviewed, ignored=aside))
    everywhere = [*found.mapping.values(), *found.ignored, *found.withheld, *found.unmapped]
    assert sorted(everywhere) == sorted(columns)
    assert set(found.account()) == set(columns)
    # What is mapped goes somewhere: to a field that a town's file may fill.
    assert set(found.mapping) <= {field.name for field in PARCEL.town_fields}
    assert found.mapping.keys() == found.how.keys()


@given(st.lists(st.sampled_from(PERSONS), unique=True, min_size=1, max_size=5), st.dictionaries(fields, names))
def test_trap_20_a_person_is_never_mapped_whoever_asks_for_it(persons: list[str], mapping: dict[str, str]) -> None:
    wanted = dict.fromkeys(mapping, persons[0]) or {"location": persons[0]}
    found = crosswalk([*persons, "Parcel_ID"], saved=wanted, reviewed=Reviewed(mapping=wanted))
    assert set(found.withheld) == set(persons)
    assert not set(found.mapping.values()) & set(persons)


@pytest.mark.parametrize(
    "column",
    [
        *("OWNER", "Owner Name", "co-owner", "MAILINGADDRESS", "Mailing_Ad", "Mailing Ad", "MailingAdd", "Mailing__1"),
        *("OWNER_NA_1", "Sale_Gra_1", "E-mail", "phone number"),
    ],
)
def test_trap_20_a_person_is_known_in_any_spelling_and_when_a_shapefile_cut_the_name(column: str) -> None:
    assert list(crosswalk([column]).withheld) == [column]


@pytest.mark.parametrize(
    "column", ["Zoning", "__________", "_________1", "", "Location_1", "Property_1", "OWNERSHIP_TYPE"]
)
def test_what_names_no_person_is_not_withheld(column: str) -> None:
    assert crosswalk([column]).withheld == {}


@pytest.mark.parametrize(
    ("one", "other", "field"),
    [
        ("Town_Name", "Town Name", "delivered_town"),
        ("Parcel_Type", "PARCELTYPE", "parcel_type"),
        ("CAMA_Link", "CAMALink", "cama_link"),
        ("Collection_year", "Collection", "collection_year"),
        ("Shape_Area", "Shape__Area", "delivered_area_sqft"),
        ("Editor_Comment", "Editor_Com", "editor_comment"),
    ],
)
def test_trap_1_both_spellings_of_a_column_mean_the_same_field(one: str, other: str, field: str) -> None:
    assert crosswalk([one]).mapping == {field: one}
    assert crosswalk([other]).mapping == {field: other}


def test_trap_1_smashed_names_of_an_older_export_are_recognised() -> None:
    smashed = ["townname", "camalink", "parcelid", "parceltype", "collectionyear"]
    assert crosswalk(smashed).unmapped == ()


def test_a_saved_mapping_comes_before_a_name_and_a_reviewed_one_before_both() -> None:
    columns = ["PARCEL_ID", "MYSTERY", "OTHER"]
    saved = crosswalk(columns, saved={"parcel_id": "MYSTERY"})
    assert (saved.mapping["parcel_id"], saved.how["parcel_id"]) == ("MYSTERY", "saved")
    assert "PARCEL_ID" in saved.unmapped
    reviewed = crosswalk(columns, saved={"parcel_id": "MYSTERY"}, reviewed=Reviewed(mapping={"parcel_id": "OTHER"}))
    assert (reviewed.mapping["parcel_id"], reviewed.how["parcel_id"]) == ("OTHER", "reviewed")


def test_a_saved_mapping_to_a_column_or_field_that_is_gone_does_no_harm() -> None:
    found = crosswalk(
        ["PARCEL_ID", "OLD"], saved={"parcel_id": "GONE", "field_of_last_year": "OLD", "area_sqft": "OLD"}
    )
    assert found.mapping == {"parcel_id": "PARCEL_ID"}
    assert found.unmapped == ("OLD",)


def test_two_columns_for_one_field_are_said_aloud() -> None:
    found = crosswalk(["Parcel_ID", "PIN"])
    assert found.mapping == {"parcel_id": "Parcel_ID"}
    assert found.rivals == {"parcel_id": "PIN"}
    assert found.unmapped == ("PIN",)


def test_the_column_whose_values_fit_wins_among_two_names() -> None:
    good = [f"{number}-{number % 7}" for number in range(30)]
    found = crosswalk({"PIN": ["see map, page 3"] * 30, "Parcel_ID": good})
    assert found.mapping["parcel_id"] == "Parcel_ID"


def test_a_cama_link_is_known_by_its_values_alone() -> None:
    found = crosswalk({"KEY9": [f"52350-{number}" for number in range(40)], "Parcel_ID": ["1"] * 40})
    assert found.mapping["cama_link"] == "KEY9"


def test_trap_20_a_zip_code_is_not_taken_for_a_cama_link() -> None:
    found = crosswalk({"OZIP": [f"06320-{number:04}" for number in range(40)], "Parcel_ID": ["1"] * 40})
    assert found.mapping == {"parcel_id": "Parcel_ID"}
    assert found.unmapped == ("OZIP",)


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.time32("ms"), pa.binary()])
def test_columns_of_any_type_and_empty_ones_are_scored(kind: pa.DataType) -> None:
    rows = pa.table({name: pa.nulls(3, kind) for name in ("Parcel_ID", "CAMA_Link", "Edit_Date", "MYSTERY")})
    assert propose(STANDARD, PARCEL, rows).unmapped == ("MYSTERY",)
    assert propose(STANDARD, PARCEL, rows.slice(0, 0)).unmapped == ("MYSTERY",)


@pytest.mark.parametrize("name", ["100%", 'a"b', "ñ%s", "{x}", "row_no_1", "geom", "select", "💧", "a" * 300, "\n"])
def test_a_column_of_any_name_is_unmapped_and_harmless(name: str) -> None:
    assert crosswalk({name: ["x"], "Parcel_ID": ["1"]}).unmapped == (name,)
