"""Address files in the shapes in which towns send them: every one gives the same points, or one clear sentence.

The OpenAddresses project keeps one small file in many shapes (`lake-man-*`), and cuts of real deliveries.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import shapely
from pyproj import Transformer

from statewide.errors import UnreadableDelivery
from statewide.files import Reading, inspect, read
from tests.workbooks import workbook

LAKE_MAN = [  # what the fixture's own source file says of the system, where the map does not
    ("conforms/lake-man.shp", "shapefile", None),
    ("conforms/lake-man.zip", "shapefile", None),
    ("conforms/lake-man-utf8.shp", "shapefile", None),
    ("conforms/lake-man-split.shp", "shapefile", None),
    ("conforms/lake-man-merge-postcode.shp", "shapefile", None),
    ("conforms/lake-man-merge-postcode2.shp", "shapefile", None),
    ("conforms/lake-man-epsg26943.shp", "shapefile", None),
    ("conforms/lake-man-epsg26943-noprj.shp", "shapefile", 26943),
    ("conforms/lake-man.gpkg", "geopackage", None),
    ("conforms/lake-man-gml.gml", "gml", 4326),
    ("conforms/lake-man-3740.csv", "csv", 26910),  # it says 3740, which PROJ puts 1.3 m off
    ("conforms/lake-man-gdb.gdb", "filegdb", None),
    ("data/lake-man.gdb.zip", "filegdb", None),
    ("data/lake-man-gdb-othername.zip", "filegdb", None),
    ("data/lake-man-gdb-othername-nodir.zip", "filegdb", None),
]
POINTS = [shapely.Point(-72.10 + step / 1000, 41.35 + step / 2000) for step in range(6)]
STREETS = ["Blinman Street", "North Street", "Old Mill Road", "Route 32", "Court Street", "Bank Street"]


@pytest.fixture
def machine(shared_data: Path) -> Path:
    return shared_data / "openaddresses-batch-machine" / "openaddr" / "tests"


def points(path: Path, work: Path, layer: str | None = None) -> Reading:
    return read(path, work=work, layer=layer, geometry="Point")


def shapes_of(reading: Reading) -> Any:
    return shapely.from_wkb(reading.table["geometry"].to_pylist())


def degrees(reading: Reading, epsg: int | None = None) -> np.ndarray[Any, Any]:
    """Longitude and latitude of each point."""
    system = reading.layer.crs_epsg or epsg
    assert system is not None
    corners = shapely.get_coordinates(shapes_of(reading))
    return np.column_stack(Transformer.from_crs(system, 4326, always_xy=True).transform(*corners.T))


# The same six points in many shapes


@pytest.mark.real
@pytest.mark.parametrize(("name", "kind", "epsg"), LAKE_MAN, ids=[name for name, _, _ in LAKE_MAN])
def test_one_file_in_many_shapes_gives_the_same_points(
    machine: Path, work: Path, name: str, kind: str, epsg: int | None
) -> None:
    reading = points(machine / name, work)

    assert (reading.kind, reading.rows_read, reading.rows_counted, reading.geometries_lost) == (kind, 6, 6, 0)
    assert (reading.layer.crs_epsg is None) == (epsg is not None)
    assert set(shapely.get_type_id(shapes_of(reading))) == {0}
    expected = degrees(points(machine / "conforms/lake-man.shp", work))
    # The table in UTM keeps tenths of a metre.
    assert np.abs(degrees(reading, epsg) - expected).max() < (2e-6 if kind == "csv" else 1e-8)


# Cuts of real deliveries: nested zips, file geodatabases beside tables, dialects of CSV, pages of services

READ = [  # rows, with a point, EPSG
    ("data/nj-statewide.gdb.zip", "filegdb", 1045, 1045, 3424),
    ("data/TRU_ADDS-excerpt.zip", "shapefile", 347, 347, 3734),
    ("data/us-ca-alameda_county-excerpt-mixedcase.zip", "shapefile", 2849, 2849, 2227),
    ("data/us-ut-excerpt.zip", "shapefile", 91, 91, 26912),
    ("data/VA_SiteAddress-excerpt.zip", "csv", 9, 9, 4326),
    ("data/us-or-portland.zip", "csv", 12, 11, None),
    ("data/us-mi-grand-traverse.geojson.zip", "geojson", 10, 0, 4326),
    ("data/pl.zip", "gml", 998, 998, 2180),
    ("outputs/denver-metro-preview.geojson", "geojsonseq", 100, 100, 4326),
    ("outputs/portland_metro.zip", "csv", 767, 767, 4326),
    ("outputs/portland_metro_geom.zip", "csv", 767, 767, None),
    ("outputs/santa_clara.zip", "csv", 4913, 4913, 4326),
    ("data/ua-kharkiv-0.json", "esrijson", 1, 1, 4326),
    ("data/us-ny-orange-0.json", "esrijson", 9, 8, 4326),
    ("data/us-ca-carson-0.json", "esrijson", 6, 5, 4326),
    ("data/us-pa-lancaster-0.json", "esrijson", 30, 30, 4326),
]


@pytest.mark.real
@pytest.mark.parametrize(("name", "kind", "rows", "with_point", "epsg"), READ, ids=[case[0] for case in READ])
def test_real_cuts_give_all_their_points(
    machine: Path, work: Path, name: str, kind: str, rows: int, with_point: int, epsg: int | None
) -> None:
    reading = points(machine / name, work)

    assert (reading.kind, reading.rows_read, reading.rows_counted) == (kind, rows, rows)
    assert rows - reading.table["geometry"].null_count == with_point
    assert reading.layer.crs_epsg == epsg


@pytest.mark.real
def test_openaddresses_gives_the_same_points_as_columns_and_as_wkt(machine: Path, work: Path) -> None:
    as_columns, as_wkt = (
        points(machine / "outputs" / name, work) for name in ("portland_metro.zip", "portland_metro_geom.zip")
    )
    assert as_columns.table["HASH"].to_pylist() == as_wkt.table["HASH"].to_pylist()
    assert shapely.equals_exact(shapes_of(as_columns), shapes_of(as_wkt), 1e-7).all()


REFUSED = [
    ("data/us-ca-oakland-excerpt.zip", "holds no points: the shapes of OakParcels2013 are of the kind Polygon"),
    ("data/us-pa-bucks.geojson", "holds no points"),
    ("data/us-ks-brown-0.json", "of the kind LineString"),
    ("data/us-nm-washington-0.json", "of the kind Polygon"),
    ("data/us-al-cullman-0.json", "without shapes and without coordinates"),
    ("data/us-pa-lancaster-metadata.json", "describes a layer without its features"),
    ("data/us-pa-lancaster-count-only.json", "not a GeoJSON feature collection"),
    ("data/us-tx-runnels-metadata.json", "not a GeoJSON feature collection"),
    ("data/us-ca-carson-cache.geojson", r"is damaged and cannot be opened \(line 104, character 1\)"),
    ("data/de-berlin-excerpt.zip", "add columns for longitude and latitude"),
    ("data/jp-fukushima.zip", "add columns for longitude and latitude"),
    ("data/protomaps-tile-7-20-49.mvt", "is not a map file or table"),
]


@pytest.mark.real
@pytest.mark.parametrize(("name", "said"), REFUSED, ids=[name for name, _ in REFUSED])
def test_what_gives_no_points_is_told_in_one_sentence(machine: Path, work: Path, name: str, said: str) -> None:
    with pytest.raises(UnreadableDelivery, match=said) as refused:
        points(machine / name, work)
    assert str(refused.value).endswith(".")


# Pages of a feature service


def page(rows: Iterable[int], *, more: bool = False, **changed: Any) -> bytes:
    features = [
        {
            "attributes": {"OBJECTID": row, "FULLADDR": f"{row} {STREETS[row].upper()}", "EDITED": 1_700_000_000_000},
            "geometry": {"x": POINTS[row].x, "y": POINTS[row].y},
        }
        for row in rows
    ]
    content = {
        "objectIdFieldName": "OBJECTID",
        "geometryType": "esriGeometryPoint",
        "spatialReference": {"wkid": 4326, "latestWkid": 4326},
        "fields": [
            {"name": "OBJECTID", "type": "esriFieldTypeOID"},
            {"name": "FULLADDR", "type": "esriFieldTypeString", "length": 80},
            {"name": "EDITED", "type": "esriFieldTypeDate"},
        ],
        "exceededTransferLimit": more,
        "features": features,
    }
    return json.dumps(content | changed).encode()


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_pages_of_a_service_are_one_map(tmp_path: Path, work: Path) -> None:
    pages = {"page-0.json": page([0, 1], more=True), "page-1.json": page([2, 3], more=True), "page-2.json": page([4])}

    reading = points(zipped(tmp_path / "addresses.zip", pages), work)

    assert reading.table["FULLADDR"].to_pylist() == [f"{row} {STREETS[row].upper()}" for row in range(5)]
    assert shapely.equals_exact(shapes_of(reading), POINTS[:5], 1e-9).all()
    assert (reading.rows_counted, reading.layer.crs_epsg, reading.warnings) == (5, 4326, ())
    assert reading.notes == ("The rows of 3 pages of one feature service were put together.",)
    assert [str(day) for day in reading.table["EDITED"].to_pylist()] == ["2023-11-14 22:13:20"] * 5


def test_pages_without_the_last_one_are_told(tmp_path: Path, work: Path) -> None:
    file = tmp_path / "addresses.json"
    file.write_bytes(page([0, 1], more=True))
    assert any("more rows than these pages" in said for said in points(file, work).warnings)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (page([1], fields=[{"name": "OTHER", "type": "esriFieldTypeString"}]), "more than one layer"),
        (page([1])[:-40], "cut off in the middle"),
        (page([1], features=[{"attributes": None}]), "something among its features that is none"),
    ],
    ids=["another layer", "cut off", "no feature"],
)
def test_pages_that_do_not_belong_together_are_refused(tmp_path: Path, work: Path, second: bytes, said: str) -> None:
    file = zipped(tmp_path / "addresses.zip", {"0.json": page([0], more=True), "1.json": second})
    with pytest.raises(UnreadableDelivery, match=said):
        points(file, work)


# Tables


def rows_with(*columns: tuple[str, str]) -> list[list[Any]]:
    """A header, and a row per point: its address in one column, then columns of (name, what stands in it)."""
    feet = Transformer.from_crs(4326, 2234, always_xy=True)
    table: list[list[Any]] = [["FULLADDR", *(name for name, _ in columns)]]
    for number, (point, street) in enumerate(zip(POINTS, STREETS, strict=True), start=1):
        x, y = feet.transform(point.x, point.y)
        values = {"lon": round(point.x, 7), "lat": round(point.y, 7), "x": round(x, 3), "y": round(y, 3)}
        values["wkt"] = f"POINT ({point.x:.7f} {point.y:.7f})"
        table.append([f"{number} {street.upper()}", *(values[what] for _, what in columns)])
    return table


def as_csv(path: Path, table: Sequence[Sequence[Any]], delimiter: str = ",") -> Path:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(table)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
@pytest.mark.parametrize(
    ("columns", "epsg"),
    [
        ([("LON", "lon"), ("LAT", "lat")], 4326),
        ([("latitude", "lat"), ("longitude", "lon")], 4326),
        ([("X", "x"), ("Y", "y")], 2234),
        ([("X_COORD", "x"), ("Y_COORD", "y")], 2234),
        ([("XCOORDINAT", "x"), ("YCOORDINAT", "y")], 2234),
        ([("latitude", "y"), ("longitude", "x")], 2234),
        ([("the_geom", "wkt")], 4326),
    ],
)
def test_a_table_with_coordinates_is_a_map(
    tmp_path: Path, work: Path, suffix: str, columns: list[tuple[str, str]], epsg: int
) -> None:
    file = tmp_path / f"addresses{suffix}"
    if suffix == ".csv":
        as_csv(file, rows_with(*columns))
    else:
        workbook(file, ("Addresses", rows_with(*columns)))

    reading = points(file, work)

    # Only columns for longitude and latitude with numbers of degrees say it; else the place tells.
    by_name = {name.casefold()[:3] for name, _ in columns} == {"lon", "lat"} and epsg == 4326
    assert (reading.layer.crs_epsg, reading.layer.crs_by_name) == (4326 if by_name else None, by_name)
    assert np.abs(degrees(reading, epsg) - shapely.get_coordinates(POINTS)).max() < 1e-7
    assert reading.table["FULLADDR"][0].as_py() == "1 BLINMAN STREET"


def test_of_two_pairs_of_coordinates_the_filled_one_is_taken(tmp_path: Path, work: Path) -> None:
    table = rows_with(("LON", "lon"), ("LAT", "lat"), ("X", "x"), ("Y", "y"))
    for row in table[3:]:
        row[1] = row[2] = ""
    reading = points(as_csv(tmp_path / "addresses.csv", table), work)
    assert reading.notes == ("The shapes are made of the coordinates in X and Y.",)
    assert reading.table["geometry"].null_count == 0


def test_numbers_with_marks_for_thousands_are_numbers(tmp_path: Path, work: Path) -> None:
    table = rows_with(("X", "x"), ("Y", "y"))
    marked = [table[0], *([address, f"{x:,.2f}", f"{y:,.2f}"] for address, x, y in table[1:])]
    reading = points(as_csv(tmp_path / "addresses.csv", marked), work)
    assert np.abs(degrees(reading, 2234) - shapely.get_coordinates(POINTS)).max() < 1e-7


def test_a_coordinate_that_is_no_number_is_a_lost_point(tmp_path: Path, work: Path) -> None:
    table = rows_with(("LON", "lon"), ("LAT", "lat"))
    table[2][1], table[4][1:] = "west of the mill", ["", ""]
    reading = points(as_csv(tmp_path / "addresses.csv", table), work)
    assert (reading.geometries_lost, reading.lost_rows, reading.table["geometry"].null_count) == (1, (2,), 2)


@pytest.mark.parametrize("word", ["#N/A", "TBD", "#VALUE!", "<Null>"])
def test_a_coordinate_that_says_nothing_is_an_empty_one(tmp_path: Path, work: Path, word: str) -> None:
    table = rows_with(("LON", "lon"), ("LAT", "lat"))
    table[2][1:] = [word, word]
    reading = points(as_csv(tmp_path / "addresses.csv", table), work)
    assert (reading.geometries_lost, reading.table["geometry"].null_count) == (0, 1)


def test_a_table_without_coordinates_says_what_is_missing(tmp_path: Path, work: Path) -> None:
    file = as_csv(tmp_path / "addresses.csv", [[*row[:1], "New London"] for row in rows_with(("LON", "lon"))])
    with pytest.raises(UnreadableDelivery, match="without coordinates; add columns for longitude and latitude"):
        points(file, work)


# Geodatabases and zips of the standards

NENA_3 = {
    "SiteStructureAddressPoint": ("Point", ["NGUID", "Country", "A1", "A3", "Add_Number", "St_Name", "St_PosTyp"]),
    "LocationMarkerPoint": ("Point", ["NGUID"]),
    "RoadCenterLine": ("LineString", ["NGUID"]),
    "PsapPolygon": ("Polygon", ["NGUID"]),
}
NENA_2A = {
    "RoadCenterLine": ("LineString", ["RCL_NGUID"]),
    "SiteStructureAddressPoint": ("Point", ["Site_NGUID", "State", "Inc_Muni", "Add_Number", "St_Name", "LandmkName"]),
}


def geodatabase(path: Path, layers: dict[str, tuple[str, list[str]]], driver: str = "OpenFileGDB") -> Path:
    for number, (name, (kind, columns)) in enumerate(layers.items()):
        shapes = {
            "Point": POINTS,
            "LineString": [shapely.LineString(POINTS)] * 40,
            "Polygon": [POINTS[0].buffer(0.1)] * 40,
        }[kind]
        values = [np.array([f"{column} {row}" for row in range(len(shapes))], dtype=object) for column in columns]
        wkb = np.array(shapely.to_wkb(shapes), dtype=object)
        pyogrio.raw.write(
            path,
            wkb,
            values,
            columns,
            layer=name,
            driver=driver,
            geometry_type=kind,
            crs="EPSG:4326",
            append=number > 0,
        )
    return path


@pytest.mark.parametrize("layers", [NENA_3, NENA_2A], ids=["006.3", "006.2a"])
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_of_a_nena_geodatabase_the_address_points_are_read(
    tmp_path: Path, work: Path, layers: dict[str, tuple[str, list[str]]], packed: bool
) -> None:
    file = geodatabase(tmp_path / "ng911.gdb", layers)
    if packed:
        members = {f"ng911.gdb/{part.name}": part.read_bytes() for part in file.iterdir()}
        file = zipped(tmp_path / "ng911.zip", members)

    reading = points(file, work)

    assert reading.layer.name == "SiteStructureAddressPoint"
    assert [field.name for field in reading.layer.fields] == layers["SiteStructureAddressPoint"][1]
    assert shapely.equals_exact(shapes_of(reading), POINTS, 1e-7).all()


def test_a_map_of_lots_and_addresses_gives_each_dataset_its_layer(tmp_path: Path, work: Path) -> None:
    file = geodatabase(tmp_path / "town.gpkg", {"Lots": ("Polygon", ["PID"]), "E911": ("Point", ["ADDR"])}, "GPKG")
    assert inspect(file, work=work).layer.name == "Lots"
    assert inspect(file, work=work, geometry="Point").layer.name == "E911"


def test_lots_asked_for_as_addresses_are_refused(tmp_path: Path, work: Path) -> None:
    file = geodatabase(tmp_path / "town.gpkg", {"Lots": ("Polygon", ["PID"]), "E911": ("Point", ["ADDR"])}, "GPKG")
    with pytest.raises(UnreadableDelivery, match="holds no points: the shapes of Lots are of the kind Polygon"):
        points(file, work, layer="Lots")


def test_two_layers_of_points_that_could_be_the_one_are_named(tmp_path: Path, work: Path) -> None:
    layers = {"Hydrants": ("Point", ["ID"]), "Trees": ("Point", ["ID"])}
    with pytest.raises(UnreadableDelivery, match=r"several layers that could be the one.*Hydrants, Trees"):
        points(geodatabase(tmp_path / "town.gpkg", layers, "GPKG"), work)


def test_a_zip_as_the_national_database_wants_it(tmp_path: Path, work: Path) -> None:
    shapefile = tmp_path / "nad.shp"
    names = ["Add_Number", "St_Name", "St_PosTyp", "Unit", "Inc_Muni", "Post_City", "DataSet_ID"]
    geodatabase(shapefile, {"nad": ("Point", names)}, "ESRI Shapefile")
    parts = {part.name: part.read_bytes() for part in tmp_path.glob("nad.*")}

    reading = points(zipped(tmp_path / "submission.zip", {"submission/" + name: parts[name] for name in parts}), work)

    assert [field.name for field in reading.layer.fields] == names
    assert shapely.equals_exact(shapes_of(reading), POINTS, 1e-9).all()


def test_a_multipoint_stays_for_the_check_of_its_parts(tmp_path: Path, work: Path) -> None:
    kept = [shapely.MultiPoint(POINTS[:1]), shapely.MultiPoint(POINTS[:2])]
    file = tmp_path / "addresses.gpkg"
    wkb = np.array(shapely.to_wkb(kept), dtype=object)
    pyogrio.raw.write(file, wkb, [], [], layer="addresses", driver="GPKG", geometry_type="MultiPoint", crs="EPSG:4326")
    assert shapely.equals(shapes_of(points(file, work)), kept).all()
