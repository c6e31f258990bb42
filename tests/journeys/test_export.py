"""Files for others: every format opens, says where it is, has every published row and nothing that is not public."""

from __future__ import annotations

import csv
import datetime as dt
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely

from cadastral.meeting import submit
from statewide.database import connect
from statewide.errors import BadArgument, PlatformError
from statewide.export import FORMATS, Format, export, export_comparison, format_of
from statewide.intake import Request
from statewide.register import find_town
from statewide.settings import Settings
from statewide.standard import load_standard
from statewide.versions import compare, find_version
from tests.towns import LOT, SOUTH, WEST, alder, found_alder, write

STANDARD = load_standard()
PARCEL = STANDARD.table("parcel")
SUFFIXES = {"gpkg": ".gpkg", "geoparquet": ".parquet", "fgb": ".fgb", "csv": ".csv", "geojson": ".geojson"}
DRIVERS = {"gpkg": "GPKG", "fgb": "FlatGeobuf", "csv": "CSV", "geojson": "GeoJSON"}


@dataclass(frozen=True)
class Town:
    """Alder after two deliveries; `then` lies between them."""

    settings: Settings
    then: dt.datetime


@pytest.fixture(scope="module")
def town(shared_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Town:
    found_alder(shared_settings)
    fabric = alder()
    fabric.columns["Editor"] = fabric.columns["OWNER"] = ["ZEBEDEE CANARY"] * len(fabric)
    fabric.columns["Location"][:5] = ["=HYPERLINK(1)", "+1 MAIN", "-1 MAIN", "@SUM(A1)", "1 MAIN, REAR"]
    better = fabric.copy()
    better.columns["Location"][5] = "6 NEW ST"
    better.drop([63])
    moments = []
    for place, delivery in enumerate((fabric, better)):
        file = write(delivery, tmp_path_factory.mktemp(f"delivery-{place}"))
        outcome = submit(shared_settings, Request(file, "Alder", 2025), lambda message: None)
        assert outcome.summary["outcome"] == "published"
        with connect(shared_settings) as connection:
            moments += connection.execute("SELECT clock_timestamp()").fetchone() or ()
    return Town(shared_settings, moments[0])


def written(settings: Settings, path: Path, **options: Any) -> dict[str, Any]:
    said: list[str] = []
    return export(settings, STANDARD, PARCEL, path, format_of(path, None), say=said.append, **options)


def columns_of(path: Path) -> set[str]:
    if path.suffix == ".parquet":
        return set(pq.read_schema(path).names) - {"geometry", "bbox"}
    if path.suffix == ".csv":
        return set(path.read_text().splitlines()[0].replace('"', "").split(",")) - {"wkt"}
    return set(pyogrio.read_info(path)["fields"])


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_has_every_row_and_the_published_columns(town: Town, tmp_path: Path, kind: Format) -> None:
    path = tmp_path / f"alder{SUFFIXES[kind]}"
    result = written(town.settings, path)
    assert (result["rows"], result["towns"], result["format"]) == (63, 1, kind)
    assert result["bytes"] == path.stat().st_size
    assert columns_of(path) == {field.name for field in PARCEL.public_fields}
    assert b"ZEBEDEE" not in path.read_bytes()
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == [], "no half file stays behind"
    if kind in DRIVERS:
        info = pyogrio.read_info(path)
        assert (info["driver"], info["features"]) == (DRIVERS[kind], 63)
    if kind in ("gpkg", "fgb"):
        assert info["crs"] == "EPSG:6434"
        assert info["geometry_type"] == "MultiPolygon"
        assert info["total_bounds"] == pytest.approx((WEST, SOUTH, WEST + 8 * LOT, SOUTH + 8 * LOT))
    if kind in ("gpkg", "fgb", "geojson", "csv") and (ogrinfo := shutil.which("ogrinfo")):
        seen = subprocess.run([ogrinfo, "-so", "-al", str(path)], capture_output=True, text=True, check=True)
        assert "Feature Count: 63" in seen.stdout
        assert seen.stderr == ""


def test_geojson_is_in_degrees_and_says_nothing_else(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "alder.geojson"
    assert written(town.settings, path)["epsg"] == 4326
    collection = json.loads(path.read_text())
    assert "crs" not in collection
    west, south, east, north = shapely.from_geojson(path.read_text()).bounds
    assert -74 < west < east < -71
    assert 40 < south < north < 42.1
    with pytest.raises(BadArgument, match="always in EPSG:4326"):
        written(town.settings, path, epsg=6434)


@pytest.mark.parametrize("epsg", [6434, 4326])
def test_geoparquet_says_where_it_is_and_how_far_it_reaches(town: Town, tmp_path: Path, epsg: int) -> None:
    path = tmp_path / "alder.parquet"
    written(town.settings, path, epsg=epsg)
    geo = json.loads(pq.read_metadata(path).metadata[b"geo"])
    column = geo["columns"]["geometry"]
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    assert (column["encoding"], column["geometry_types"]) == ("WKB", ["MultiPolygon"])
    assert column["crs"]["id"] == (
        {"authority": "EPSG", "code": 6434} if epsg == 6434 else {"authority": "OGC", "code": "CRS84"}
    )
    table = pq.read_table(path)
    bounds = shapely.total_bounds(shapely.from_wkb(table.column("geometry").to_pylist()))
    assert column["bbox"] == pytest.approx(bounds.tolist())
    first = table.column("bbox")[0].as_py()
    assert list(first.values()) == pytest.approx(shapely.from_wkb(table.column("geometry")[0].as_py()).bounds)
    assert table.schema.field("valid_from").type.tz == "UTC"


def test_what_a_spreadsheet_would_run_gets_an_apostrophe(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "alder.csv"
    written(town.settings, path)
    with path.open(newline="") as file:
        rows = {row["parcel_id"]: row for row in csv.DictReader(file)}
    assert [rows[f"1-{lot}"]["location"] for lot in range(1, 6)] == [
        "'=HYPERLINK(1)",
        "'+1 MAIN",
        "'-1 MAIN",
        "'@SUM(A1)",
        "1 MAIN, REAR",
    ]
    assert shapely.from_wkt(rows["1-1"]["wkt"]).area == pytest.approx(LOT * LOT)


def test_as_of_a_moment_the_file_is_what_was_live_then(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "then.csv"
    assert written(town.settings, path, moment=town.then)["rows"] == 64
    with path.open(newline="") as file:
        rows = {row["parcel_id"]: row for row in csv.DictReader(file)}
    assert rows["1-6"]["location"] == "6 MAIN ST"
    assert rows["8-8"]["town_name"] == "Alder"
    assert "assessed_total_usd" not in rows["8-8"], "what an assessor said then is not known"
    assert written(town.settings, path)["rows"] == 63


def test_an_empty_version_gives_an_empty_file_and_a_wrong_wish_none(town: Town, tmp_path: Path) -> None:
    for kind in FORMATS:
        path = tmp_path / f"nothing{SUFFIXES[kind]}"
        assert written(town.settings, path, moment=dt.datetime(2000, 1, 1, tzinfo=dt.UTC))["rows"] == 0
        assert columns_of(path) >= {"parcel_uid"} or kind == "geojson"
    with pytest.raises(BadArgument, match="no folder"):
        written(town.settings, tmp_path / "nowhere" / "x.gpkg")
    with pytest.raises(BadArgument, match="--format"):
        format_of(Path("x.shp"), None)
    with pytest.raises(BadArgument, match="--crs is 6434 or 4326"):
        written(town.settings, tmp_path / "x.gpkg", epsg=2234)


def test_a_folder_that_may_not_be_written_is_said_in_a_sentence(town: Town, tmp_path: Path) -> None:
    (tmp_path / "taken.gpkg").mkdir()
    (tmp_path / "taken.gpkg" / "file").touch()
    with pytest.raises(PlatformError, match="could not be written"):
        written(town.settings, tmp_path / "taken.gpkg")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_comparison_is_written_row_for_row(town: Town, tmp_path: Path, kind: Format) -> None:
    with connect(town.settings) as connection:
        alder_town = find_town(connection, "Alder")
        ends = [find_version(connection, "parcel", alder_town, asked) for asked in ("1", "2")]
        comparison = compare(connection, load_standard(), PARCEL, alder_town, "parcel_id", *ends)
    path = tmp_path / f"changes{SUFFIXES[kind]}"
    assert export_comparison(path, kind, comparison, PARCEL, STANDARD) == 2
    assert columns_of(path) == {"parcel_uid", "label", "change", "kinds", "redrawn", "columns", "before", "after"}
    if kind == "geojson":
        rows = {row["properties"]["label"]: row["properties"] for row in json.loads(path.read_text())["features"]}
        assert (rows["8-8"]["change"], rows["8-8"]["kinds"]) == ("removed", "retired")
        before, after = (rows["1-6"][side] for side in ("before", "after"))
        assert (before, after) == ({"location": "6 MAIN ST"}, {"location": "6 NEW ST"})
