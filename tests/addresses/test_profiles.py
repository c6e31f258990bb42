"""The published addresses in the columns of other standards: they pass the others' own tables, and nothing is cut."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import pytest
import shapely
import typer
from typer.testing import CliRunner

from addresses.export_commands import export
from addresses.national_grid import national_grid
from addresses.points import submit
from addresses.profiles import MISSING, NO_WORD, TWICE, ProfileRows, export_profile, profile_format, write_profile
from addresses.withholding import withhold
from statewide.crosswalk import propose
from statewide.database import connect
from statewide.ddl import view_fields
from statewide.errors import BadArgument
from statewide.export import GEOMETRY, Layer
from statewide.files import read
from statewide.intake import Request
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.address_towns import addresses_of, alder_streets, write_points
from tests.conformance import conformance
from tests.towns import found_alder

STANDARD = load_standard()
TABLE = STANDARD.table("address_point")
NENA, NAD = STANDARD.profiles["nena"], STANDARD.profiles["nad"]
NEW_LONDON = "52350"
POST_CODE = {"nena": "Post_Code", "nad": "Zip_Code"}
BLINMAN = {
    "local_id": "417",
    "add_number": 36,
    "st_name": "Blinman",
    "st_postyp": "Street",
    "unit": "Unit 1",
    "unitpretyp": "Unit",
    "unitvalue": "1",
    "post_comm": "New London",
    "post_code": "06320",
    "place_type": "residence",
    "placement": "Structure",
    "dateupdate": dt.date(2025, 3, 14),
}
_ARROW = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(), "date": pa.date32()}
_ARROW["timestamp"] = pa.timestamp("us", tz="UTC")


def published(*changes: dict[str, Any], places: list[Any] | None = None) -> pa.RecordBatch:
    """Rows of the published view: 36 Blinman Street Unit 1, each with its changes."""
    rows = [
        BLINMAN
        | {
            "address_uid": str(uuid.UUID(int=number)),
            "cousub_fips": NEW_LONDON,
            "town_name": "New London",
            "valid_from": dt.datetime(2025, 5, 2, 8, 30, 0, 123456, tzinfo=dt.UTC),
        }
        | change
        for number, change in enumerate(changes)
    ]
    columns = {
        field.name: pa.array([row.get(field.name) for row in rows], _ARROW.get(field.type, pa.string()))
        for field in view_fields(TABLE, extended=True)
    }
    shapes = places or [shapely.Point(-72.0995 + 1e-5 * row, 41.3557) for row in range(len(rows))]
    return pa.RecordBatch.from_pydict(columns | {GEOMETRY: pa.array(shapely.to_wkb(shapes), pa.binary())})


def made(
    name: str, *changes: dict[str, Any], kind: str = "gdb", places: list[Any] | None = None
) -> tuple[list[dict[str, Any]], dict[str, tuple[str, int]]]:
    """The rows of the profile, and by column what did not fit and in how many rows."""
    rows = ProfileRows(STANDARD, STANDARD.profiles[name], kind, "gis.example.gov")
    batch = rows.batch(published(*changes, places=places))
    return batch.to_pylist(), {trouble.column: (trouble.what, trouble.rows) for trouble in rows.troubles()}


def written(path: Path, name: str, *changes: dict[str, Any]) -> Path:
    profile = STANDARD.profiles[name]
    kind = profile_format(path, profile)
    rows = ProfileRows(STANDARD, profile, kind, profile.agency)
    batch = rows.batch(published(*changes))
    write_profile(path, kind, Layer(profile.layer, "Point", profile.epsg, rows.schema, [batch]))
    assert rows.troubles() == []
    return path


# Whole files, judged by the tables of those who made the standards

MANY: list[dict[str, Any]] = [
    {},
    {"st_predir": "North", "st_name": "Main", "add_number": 12, "addnum_suf": "1/2", "unit": None, "unitvalue": None},
    {"st_name": "32", "st_pretyp": "State Route", "st_postyp": None, "placement": "Geocoding"},
    {"st_premod": "Old", "st_predir": "North", "st_name": "Main", "st_posmod": "Extension", "placement": "Parcel"},
    {"st_name": "Mystic", "st_postyp": "Boardwalk", "st_posdir": "South", "placement": "ExteriorAccess"},
    {"add_number": None, "addnum_cmp": None, "placement": None},
    {"add_number": 12, "addnum_cmp": "12-14", "placement": "InteriorCentroid", "floor": "Floor 2"},
    {"add_number": None, "st_name": None, "st_postyp": None, "landmark": "Fort Trumbull", "placement": "Site"},
    {"st_name": "Señor Peña", "lifecycle": "Active", "addrclass": "Numbered Thoroughfare Address", "a4": "Mystic"},
    {"effective": dt.date(2019, 1, 1), "expire": dt.date(2026, 1, 1), "dateupdate": None, "placement": "Unknown"},
]


@pytest.mark.real
@pytest.mark.parametrize(
    ("profile", "name"),
    [("nena", "ssap.gpkg"), ("nena", "ssap.gdb.zip"), ("nad", "nad.zip"), ("nad", "nad.gdb.zip")],
)
def test_a_file_passes_the_tables_of_the_other_standard(
    shared_data: Path, tmp_path: Path, profile: str, name: str
) -> None:
    file = written(tmp_path / name, profile, *MANY)
    assert conformance(file, profile, shared_data / "standards") == []


@pytest.mark.real
def test_the_judge_sees_what_is_wrong(shared_data: Path, tmp_path: Path) -> None:
    rows = ProfileRows(STANDARD, NAD, "gdb", NAD.agency)
    batch = rows.batch(published({}))
    place = batch.schema.get_field_index("Placement")
    spoilt = batch.set_column(place, batch.schema.field(place), pa.array(["Structure"]))
    place = batch.schema.get_field_index("Inc_Muni")
    spoilt = spoilt.set_column(place, batch.schema.field(place), pa.array([None], pa.string()))
    write_profile(tmp_path / "nad.gdb.zip", "gdb", Layer("NAD", "Point", 4326, rows.schema, [spoilt]))
    said = conformance(tmp_path / "nad.gdb.zip", "nad", shared_data / "standards")
    assert said == ["Inc_Muni is missing.", "Placement may not be Structure."]


@pytest.mark.parametrize(("profile", "name"), [("nena", "ssap.gdb.zip"), ("nad", "nad.zip"), ("nad", "nad.gdb.zip")])
def test_a_file_of_ours_is_an_address_file_for_us(tmp_path: Path, work: Path, profile: str, name: str) -> None:
    file = written(tmp_path / name, profile, *MANY)
    reading = read(file, work=work, geometry="Point")
    assert (reading.rows_read, reading.layer.crs_epsg, reading.warnings) == (len(MANY), 4326, ())
    columns = reading.table.drop_columns(["row_no", "geometry"])
    crosswalk = propose(STANDARD, TABLE, columns)
    expected = {"add_number": "Add_Number", "st_name": "St_Name", "unit": "Unit", "post_code": POST_CODE[profile]}
    assert crosswalk.mapping.items() >= expected.items()


def test_days_in_the_shapefile_are_written_as_the_database_wants_them(tmp_path: Path) -> None:
    file = written(tmp_path / "nad.zip", "nad", {}, {"dateupdate": None})
    with zipfile.ZipFile(file) as archive:
        assert {Path(name).suffix for name in archive.namelist()} >= {".shp", ".shx", ".dbf", ".prj", ".cpg"}
        dbf = archive.read("NAD.dbf")
    assert b"20250314" in dbf and b"20250502" in dbf


# How values are made of others


def test_nena_has_an_identifier_of_ours_unless_the_town_gave_one() -> None:
    theirs = "urn:emergency:uid:gis:SSAP:417:gis.newlondon.example"
    rows, _ = made("nena", {}, {"nguid": theirs}, {"nguid": "SSAP417@newlondon.example"})
    assert [row["NGUID"] for row in rows] == [
        "urn:emergency:uid:gis:SSAP:00000000-0000-0000-0000-000000000000:gis.example.gov",
        theirs,
        "urn:emergency:uid:gis:SSAP:00000000-0000-0000-0000-000000000002:gis.example.gov",
    ]
    assert {(row["DiscrpAgID"], row["Country"], row["A1"], row["A3"]) for row in rows} == {
        ("gis.example.gov", "US", "CT", "New London")
    }
    assert rows[0]["A2"] == "Southeastern Connecticut Planning Region"
    assert rows[0]["DateUpdate"] == dt.datetime(2025, 3, 14, tzinfo=dt.UTC)


def test_a_row_without_a_day_of_its_own_has_the_day_of_its_publication() -> None:
    rows, _ = made("nena", {"dateupdate": None})
    assert rows[0]["DateUpdate"] == dt.datetime(2025, 5, 2, 8, 30, 0, 123000, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("parts", "legacy"),
    [
        ({"st_name": "Blinman", "st_postyp": "Street"}, (None, "Blinman", "ST", None)),
        ({"st_predir": "North", "st_name": "Main", "st_postyp": "Road"}, ("N", "Main", "RD", None)),
        ({"st_name": "Ocean", "st_postyp": "Avenue", "st_posdir": "Southwest"}, (None, "Ocean", "AVE", "SW")),
        ({"st_pretyp": "State Route", "st_name": "32", "st_postyp": None}, (None, "State Route 32", None, None)),
        (
            {"st_premod": "Old", "st_predir": "North", "st_name": "Main", "st_postyp": "Street"},
            (None, "Old North Main", "ST", None),
        ),
        (
            {"st_name": "Mill", "st_postyp": "Road", "st_posmod": "Extension"},
            (None, "Mill Road Extension", None, None),
        ),
        ({"st_name": "Pier", "st_postyp": "Boardwalk", "st_posdir": "South"}, (None, "Pier Boardwalk", None, "S")),
        ({"st_name": None, "st_postyp": None}, (None, None, None, None)),
    ],
)
def test_legacy_parts_follow_from_the_full_words(parts: dict[str, Any], legacy: tuple[str | None, ...]) -> None:
    (row,), troubles = made("nena", parts)
    assert tuple(row[name] for name in ("LSt_PreDir", "LSt_Name", "LSt_Typ", "LSt_PosDir")) == legacy
    assert troubles == {}


@pytest.mark.parametrize(
    ("parts", "number", "street", "form"),
    [
        ({}, "36", "Blinman Street", "Numbered Thoroughfare Address"),
        ({"addnum_suf": "1/2"}, "36 1/2", "Blinman Street", "Numbered Thoroughfare Address"),
        ({"addnum_suf": "A", "st_predir": "West"}, "36A", "West Blinman Street", "Numbered Thoroughfare Address"),
        ({"addnum_cmp": "36-38"}, "36-38", "Blinman Street", "Two Number Address Range"),
        ({"add_number": None}, None, "Blinman Street", "Unnumbered Thoroughfare Address"),
        ({"add_number": None, "st_name": None, "st_postyp": None, "landmark": "Pier"}, None, None, "Landmark Address"),
        ({"addrclass": "Community Address"}, "36", "Blinman Street", "Community Address"),
    ],
)
def test_the_national_database_has_the_address_in_larger_pieces(
    parts: dict[str, Any], number: str | None, street: str | None, form: str
) -> None:
    (row,), troubles = made("nad", parts)
    assert (row["AddNo_Full"], row["StNam_Full"], row["AddrClass"]) == (number, street, form)
    assert troubles == {}


def test_the_national_database_has_its_own_identifiers_and_places() -> None:
    (row,), _ = made("nad", {"structure": "Building 5", "floor": "Floor 2"})
    assert row["UUID"] == "{00000000-0000-0000-0000-000000000000}"
    assert row["DataSet_ID"].startswith("urn:emergency:uid:gis:SSAP:")
    assert (row["County"], row["Inc_Muni"], row["State"]) == ("New London", "New London", "CT")
    assert (row["Longitude"], row["Latitude"]) == (-72.0995, 41.3557)
    assert (row["AddrPoint"], row["NatGrid"]) == ("-72.0995000 41.3557000", "18TYL4263382304")
    assert row["SubAddress"] == "Building 5 Floor 2 Unit 1"
    assert row["NAD_Source"] == STANDARD.header.publisher


def test_placements_are_said_in_the_words_of_the_national_database() -> None:
    codes = [code.code for code in STANDARD.code_lists["placement"].codes]
    rows, troubles = made("nad", *({"placement": code} for code in codes))
    assert [row["Placement"] for row in rows] == [
        code.maps_to["nad"] for code in STANDARD.code_lists["placement"].codes
    ]
    assert troubles == {}


def test_free_text_and_routing_stay_empty_and_say_why() -> None:
    rows = ProfileRows(STANDARD, NENA, "gpkg", NENA.agency)
    batch = rows.batch(published({}))
    assert {"Addtl_Loc", "LocMarker", "AddDataURI", "SubSite", "ESN"} <= set(rows.empty_columns)
    assert all(batch.column(name).null_count == 1 for name in rows.empty_columns)


@pytest.mark.parametrize(
    ("longitude", "latitude", "name"),
    [
        (-77.03654, 38.89768, "18SUJ2339007393"),
        (-72.0995, 41.3557, "18TYL4263382304"),
        (-71.90001, 41.60001, "19TBG5831709429"),
        (151.2153, -33.8568, "56HLH3490052288"),
    ],
)
def test_the_national_grid(longitude: float, latitude: float, name: str) -> None:
    assert national_grid(np.array([longitude]), np.array([latitude])).tolist() == [name]


# What does not fit


def test_what_is_too_long_is_left_out_and_counted_and_never_cut() -> None:
    rows, troubles = made("nad", {"st_premod": "Old " * 5}, {"parcel_id": "9" * 51}, {})
    assert (rows[0]["St_PreMod"], rows[1]["Parcel_ID"]) == (None, None)
    assert troubles == {"St_PreMod": ("is longer than 15", 1), "Parcel_ID": ("is longer than 50", 1)}


def test_a_shapefile_measures_in_bytes() -> None:
    name = "é" * 130
    (in_gdb,), none = made("nad", {"st_name": name})
    (in_dbf,), troubles = made("nad", {"st_name": name}, kind="shapefile")
    assert (in_gdb["St_Name"], none) == (name, {})
    assert in_dbf["St_Name"] is None
    assert troubles["St_Name"] == (MISSING, 1)


def test_a_value_that_is_no_code_is_left_out_and_counted() -> None:
    (row,), troubles = made("nena", {"placement": "by eye", "st_postyp": "Gasse"})
    assert (row["Placement"], row["St_PosTyp"]) == (None, None)
    assert troubles == {"Placement": (NO_WORD, 1), "St_PosTyp": (NO_WORD, 1)}


def test_a_missing_value_that_has_to_be_there_fails_the_file() -> None:
    _, troubles = made("nad", {"st_name": None, "add_number": 3, "addrclass": "Community Address"})
    assert troubles == {"St_Name": (MISSING, 1), "StNam_Full": (MISSING, 1)}


def test_a_point_without_a_place_fails_the_file() -> None:
    _, troubles = made("nad", {}, places=[None])
    assert set(troubles) == {"Longitude", "Latitude", "NatGrid", "AddrPoint"}


def test_an_identifier_in_two_rows_fails_the_file() -> None:
    same = {"nguid": "urn:emergency:uid:gis:SSAP:1:gis.newlondon.example"}
    _, troubles = made("nena", same, {}, same)
    assert troubles == {"NGUID": (TWICE, 2)}


def test_addresses_with_a_trouble_are_named_by_their_identifier() -> None:
    rows = ProfileRows(STANDARD, NENA, "gpkg", NENA.agency)
    rows.batch(published({}, {"placement": "by eye"}))
    (trouble,) = rows.troubles()
    assert (trouble.addresses, trouble.fails) == (["00000000-0000-0000-0000-000000000001"], False)


def test_more_rows_than_a_shapefile_holds_are_refused(tmp_path: Path) -> None:
    rows = ProfileRows(STANDARD, NAD, "shapefile", NAD.agency)
    rows.rows = 1_500_000
    layer = Layer("NAD", "Point", 4326, rows.schema, (rows.batch(batch) for batch in [published({})]))
    with pytest.raises(BadArgument, match=r"A shapefile has room for [\d,]+ rows of NAD"):
        write_profile(tmp_path / "nad.zip", "shapefile", layer)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("profile", "name"), [("nena", "a.zip"), ("nad", "a.gpkg"), ("nad", "a.csv")])
def test_a_format_that_the_other_standard_does_not_take_is_refused(profile: str, name: str) -> None:
    with pytest.raises(BadArgument, match="name the file as a"):
        profile_format(Path(name), STANDARD.profiles[profile])


# From the database


@pytest.fixture(scope="module")
def alder(shared_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    town = found_alder(shared_settings)
    points = addresses_of(alder_streets())
    points.change(0, OWNER="ZEBEDEE CANARY", Addtl_Loc="ask ZEBEDEE CANARY", Site="The CANARY residence")
    points.change(1, AddDataURI="https://alder.example/CANARY")
    file = write_points(points, tmp_path_factory.mktemp("delivery"))
    assert submit(shared_settings, Request(file, "Alder", 2025), lambda said: None).summary["outcome"] == "published"
    with connect(shared_settings) as connection:
        withhold(connection, STANDARD, town, who="clerk", basis="shelter", address="4 Main Street")
    return shared_settings


@pytest.mark.real
def test_what_is_shown_passes_nena_and_names_nobody(alder: Settings, shared_data: Path, tmp_path: Path) -> None:
    file = tmp_path / "alder.gpkg"
    result = export_profile(alder, STANDARD, NENA, file, agency="gis.example.gov", say=lambda said: None)
    assert (result["outcome"], result["rows"], result["left_out"], result["failing"]) == ("ok", 63, [], [])
    assert conformance(file, "nena", shared_data / "standards") == []
    assert b"CANARY" not in file.read_bytes()
    _, table = pyogrio.raw.read_arrow(file)
    main = {row["Add_Number"] for row in table.to_pylist() if row["St_Name"] == "Main"}
    assert (2 in main, 4 in main) == (True, False)  # the one at 4 is withheld


@pytest.fixture
def run(alder: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    app = typer.Typer()
    app.command()(export)
    assert alder.database_url
    monkeypatch.setenv("STATEWIDE_DATABASE_URL", alder.database_url)
    monkeypatch.setenv("STATEWIDE_HOME", str(alder.home))
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_the_command_says_what_does_not_pass(run: Any, tmp_path: Path) -> None:
    """An invented town lies in no county."""
    done = run(tmp_path / "alder.zip", "--profile", "nad", "--town", "Alder", "--json")
    said = json.loads(done.stdout)
    assert (done.exit_code, said["outcome"]) == (1, "failing")
    assert [(each["column"], each["why"], each["rows"]) for each in said["failing"]] == [("County", MISSING, 63)]
    assert pyogrio.read_info(f"/vsizip/{tmp_path / 'alder.zip'}")["features"] == 63
    shown = run(tmp_path / "alder.zip", "--profile", "nad", "--town", "Alder").stdout
    assert re.search(r"does not pass: County is missing and has to be there, rows: 63 \(.* …\)", shown)


def test_the_command_writes_the_ordinary_formats_too(run: Any, tmp_path: Path) -> None:
    done = run(tmp_path / "alder.geojson", "--town", "Alder")
    assert done.exit_code == 0
    features = json.loads((tmp_path / "alder.geojson").read_text())["features"]
    assert len(features) == 63
    assert {feature["geometry"]["type"] for feature in features} == {"Point"}


@pytest.mark.parametrize(
    "words",
    [
        ("--profile", "esri"),
        ("--profile", "nad", "--crs", "6434"),
        ("--agency", "gis.example.gov"),
        ("--profile", "nad", "--agency", "a:b"),
    ],
)
def test_words_that_do_not_go_together_are_refused(run: Any, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(tmp_path / "alder.zip", *words)
    assert isinstance(done.exception, BadArgument)
