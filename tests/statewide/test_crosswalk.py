"""Columns find their fields, and every column of the file is accounted for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statewide.crosswalk import Crosswalk, Reviewed, propose, read_reviewed
from statewide.errors import LawError
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


def test_a_persons_column_is_called_by_its_own_name_before_a_likely_one() -> None:
    withheld = crosswalk(["Mail_City", "Mail_Zip", "Mail_Addr", "Owner_Name", "Owner_2", "Safe_at_Home"]).withheld
    assert list(withheld.values()) == [
        "Mailing city",
        "Mailing ZIP",
        "Mailing address",
        "Owner",
        "Co-owner",
        "Suppression flag",
    ]


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


# ── names that no list has ───────────────────────────────────────────────────────────────────────────────────────────

NUMBERS = [f"{number}-{number % 7}" for number in range(40)]


@pytest.mark.parametrize(
    "column", ["TAXLOTPIN", "PCLNUM", "GIS_PARCELID", "Tax_Map_Number", "sde.DBO.Lots.PIN_9", "PinLink"]
)
def test_a_name_that_no_list_has_is_known_by_its_words(column: str) -> None:
    found = crosswalk({column: NUMBERS, "Zoning": ["R1"] * 40})
    assert found.mapping == {"parcel_id": column}
    assert found.how == {"parcel_id": "guessed"}


@pytest.mark.parametrize(
    "column",
    [
        *(
            "PARCEL_TYPE",
            "Parcel_Area",
            "PARK",
            "SPINE",
            "OPINION",
            "LOT",
            "MAP",
            "TAX_ID",
            "LOT_ID",
            "MAP_SHEET",
            "ID",
        ),
        *("PARCELWIDTH", "Parcel_City", "PRIOR_PARCEL_ID", "ACCOUNT_TYPE", "WATER_ACCT", "PHOTO_LINK", "TAXPAYERID"),
    ],
)
def test_words_of_a_name_that_say_too_little_map_nothing_even_when_the_values_fit(column: str) -> None:
    assert crosswalk({column: NUMBERS}).mapping.keys() & {"parcel_id", "link", "cama_link"} == set()


def test_a_name_in_the_list_comes_before_words_and_words_are_no_rival() -> None:
    found = crosswalk({"TAXLOTPIN": NUMBERS, "GPIN": NUMBERS, "Parcel_ID": NUMBERS})
    assert (found.mapping["parcel_id"], found.how["parcel_id"], found.rivals) == ("Parcel_ID", "detected", {})


def test_words_without_a_single_value_map_nothing_and_an_empty_column_gives_way_to_a_filled_one() -> None:
    assert crosswalk(["TAXLOTPIN"]).mapping == {}
    found = crosswalk({"Parcel_ID": pa.nulls(40, pa.string()).to_pylist(), "PIN": NUMBERS})
    assert found.mapping["parcel_id"] == "PIN"


def test_a_column_is_known_behind_the_name_of_its_table() -> None:
    found = crosswalk({"GIS.DBO.Parcels.PARCEL_ID": NUMBERS, "Parcels.Name": ["SMITH"] * 40, "CAMA.Owner": ["X"] * 40})
    assert found.mapping == {"parcel_id": "GIS.DBO.Parcels.PARCEL_ID"}
    assert set(found.withheld) == {"Parcels.Name", "CAMA.Owner"}


# ── what joins ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_column_that_joins_the_assessors_rows_is_known_without_a_name() -> None:
    columns = {"F7": NUMBERS, "Zoning": ["R1"] * 40}
    assert crosswalk(columns).mapping == {}
    found = crosswalk(columns, evidence={("link", "F7"): 0.98, ("link", "Zoning"): 0.02})
    assert found.mapping == {"link": "F7"}
    (score,) = (score for score in found.scores if score.column == "F7")
    assert (score.name, score.join) == (0.0, 0.98)


def test_the_column_that_joins_wins_among_two_names_and_no_join_takes_nothing_away() -> None:
    columns = {"Parcel_ID": NUMBERS, "PIN": NUMBERS}
    assert crosswalk(columns, evidence={("parcel_id", "PIN"): 0.97}).mapping["parcel_id"] == "PIN"
    none = crosswalk(columns, evidence={("parcel_id", "PIN"): 0.0, ("parcel_id", "Parcel_ID"): 0.0})
    assert none.mapping == crosswalk(columns).mapping


# ── against last year ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_column_that_went_and_one_that_came_in_its_place_are_reported() -> None:
    found = crosswalk(
        {"Parcel_ID": NUMBERS, "Location": ["1 MAIN ST"] * 40}, saved={"parcel_id": "MBL", "link": "GIS_LINK"}
    )
    assert found.drift == (("parcel_id", "MBL", "Parcel_ID"), ("link", "GIS_LINK", None))


@pytest.mark.parametrize("now", ["MY_OLD_NUMBER", "my_old_number", "My Old Number", "MY_OLD_NUM"])
def test_a_column_that_other_software_spells_otherwise_is_the_same_column(now: str) -> None:
    found = crosswalk({now: NUMBERS}, saved={"parcel_id": "MY_OLD_NUMBER"})
    assert (found.mapping, found.how, found.drift) == ({"parcel_id": now}, {"parcel_id": "saved"}, ())


def test_what_a_person_reviewed_and_what_the_law_no_longer_has_is_no_drift() -> None:
    saved = {"parcel_id": "MBL", "field_of_last_year": "OLD"}
    found = crosswalk({"MBL": NUMBERS, "NEW": NUMBERS}, saved=saved, reviewed=Reviewed(mapping={"parcel_id": "NEW"}))
    assert found.drift == ()


# ── the town's reviewed file ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_reviewed_file_may_name_the_system_and_the_columns_to_join_by(tmp_path: Path) -> None:
    file = tmp_path / "sources" / "alder.yml"
    file.parent.mkdir()
    file.write_text("crs: 2234\njoin: {parcel: MBL, cama: GIS_TAG}\nmapping: {parcel_id: MBL}\n", encoding="utf-8")
    reviewed = read_reviewed(file, PARCEL)
    assert (reviewed.crs, reviewed.mapping) == (2234, {"parcel_id": "MBL"})
    assert reviewed.join is not None
    assert (reviewed.join.parcel, reviewed.join.cama) == ("MBL", "GIS_TAG")


@pytest.mark.parametrize(
    "text", ["crs: feet", "join: {parcel: A}", "join: MBL", "mapping: {nonsense: A}", "colour: red", "mapping: [A"]
)
def test_a_reviewed_file_with_a_slip_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "alder.yml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(LawError, match=r"alder\.yml: .*\."):
        read_reviewed(file, PARCEL)


# ── names that others have used ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.real
def test_what_others_call_a_parcels_number_is_known_and_what_they_call_an_addresss_parts_is_not_taken_for_it(
    shared_data: Path,
) -> None:
    seen = json.loads((shared_data / "openaddresses-sources" / "FIELD_NAMES_SEEN.json").read_text(encoding="utf-8"))
    known = {name: crosswalk({name: NUMBERS}).mapping.keys() & {"parcel_id", "link"} for name in seen["parcels.pid"]}
    right = sum(count for name, count in seen["parcels.pid"].items() if known[name])
    assert right / sum(seen["parcels.pid"].values()) > 0.85
    strangers = {name for part in ("number", "unit", "street", "city", "region") for name in seen[f"addresses.{part}"]}
    assert [name for name in strangers if crosswalk({name: NUMBERS}).mapping.keys() & {"parcel_id", "link"}] == []
