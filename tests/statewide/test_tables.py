"""Tables through the isolated reader: CSV in every dialect, workbooks, a lone .dbf, and shapes in columns."""

from __future__ import annotations

import datetime as dt
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyogrio.raw
import pytest
import shapely

from statewide import reading_child, reading_tables
from statewide.errors import UnreadableDelivery
from statewide.files import Reading, inspect, read
from statewide.reading_limits import Unusable
from statewide.reading_rows import FoundLayer
from tests.workbooks import workbook

ROWS = [["007-01", "12", "Café"], ["007-02", "0012", ""], ["12/3", "-4", "x,y"]]
SQUARE = "POLYGON ((0 0, 0 1, 1 1, 1 0, 0 0))"


def csv_of(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def table(path: Path, work: Path, **options: Any) -> Reading:
    return read(path, work=work, shapes=False, **options)


def cells(reading: Reading) -> list[list[Any]]:
    return [list(row.values())[1:-1] for row in reading.table.to_pylist()]


# CSV


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_dialect_gives_the_same_texts(tmp_path: Path, work: Path, delimiter: str, encoding: str) -> None:
    lines = [
        delimiter.join(f'"{text}"' if text == "x,y" else text for text in row) for row in [["id", "n", "name"], *ROWS]
    ]

    reading = table(csv_of(tmp_path / "cama.csv", "\r\n".join(lines) + "\r\n", encoding), work)

    assert cells(reading) == [[text or None for text in row] for row in ROWS]
    assert reading.delimiter == delimiter
    assert (reading.encoding or "").replace("-", "").lower() in encoding.replace("-", "").replace("sig", "")
    assert reading.encoding_how
    assert (reading.rows_read, reading.rows_counted, reading.warnings) == (3, 3, ())
    assert reading.table["geometry"].null_count == 3


def test_utf8_lines_among_others_are_read_each_in_its_own_encoding(tmp_path: Path, work: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,name\n1," + "Café".encode() + b"\n2," + "Peña".encode("cp1252") + b"\n")

    reading = table(path, work)

    assert cells(reading) == [["1", "Café"], ["2", "Peña"]]
    assert any("two encodings" in warning for warning in reading.warnings)


def test_a_stray_quotation_mark_costs_no_other_line(tmp_path: Path, work: Path) -> None:
    lines = ["id,what,n", *(f'{number},a "quoted" pipe,{number}' for number in range(1000))]
    lines[500] = '499,"5 inch pipe,499'

    reading = table(csv_of(tmp_path / "a.csv", "\n".join(lines)), work)

    assert (reading.rows_read, reading.rows_counted) == (1000, 1000)
    assert reading.table["what"][499].as_py() == '"5 inch pipe'
    assert any("never closed" in warning and "line 501" in warning for warning in reading.warnings)


def test_ragged_lines_are_named_and_left_out(tmp_path: Path, work: Path) -> None:
    reading = table(csv_of(tmp_path / "a.csv", "id,a,b\n1,x,y\n2,x\n3,x,y,z\n\n4,x,y,\n5,x,y\n"), work)

    assert reading.table["id"].to_pylist() == ["1", "4", "5"]
    assert reading.broken_rows == (3, 4)
    assert (reading.rows_read, reading.rows_counted) == (3, 5)
    assert any("lines 3, 4" in warning for warning in reading.warnings)


def test_line_breaks_inside_cells_are_kept(tmp_path: Path, work: Path) -> None:
    reading = table(csv_of(tmp_path / "a.csv", 'id,note\n1,"two\nlines"\n2,"a ""b"""\n'), work)

    assert cells(reading) == [["1", "two\nlines"], ["2", 'a "b"']]
    assert reading.warnings == ()


def test_titles_above_the_header_repeated_and_missing_names(tmp_path: Path, work: Path) -> None:
    text = "Town of Nowhere,,,\nGrand list 2024,,,\nPID,Value,PID,\n1,2,3,4\n5,6,7,8\n"

    reading = table(csv_of(tmp_path / "a.csv", text), work)

    assert reading.table.column_names == ["row_no", "PID", "Value", "PID_1", "column_4", "geometry"]
    assert any("PID stands 2 times" in warning for warning in reading.warnings)
    assert reading.rows_read == 2
    assert "Lines above the header, left out: 2." in reading.notes


def test_a_table_without_a_header_has_numbered_columns(tmp_path: Path, work: Path) -> None:
    reading = table(csv_of(tmp_path / "a.csv", "1,2,3\n4,5,6\n"), work)

    assert reading.table.column_names[1:-1] == ["column_1", "column_2", "column_3"]
    assert reading.rows_read == 2
    assert any("no header" in warning for warning in reading.warnings)


def test_a_table_is_no_map(tmp_path: Path, work: Path) -> None:
    with pytest.raises(UnreadableDelivery, match="table without shapes"):
        read(csv_of(tmp_path / "a.csv", "id,n\n1,2\n3,4\n"), work=work)


# Shapes in columns


@pytest.mark.parametrize("prefix", ["", "SRID=2234;"])
def test_wkt_becomes_the_geometry(tmp_path: Path, work: Path, prefix: str) -> None:
    text = f'id,Geometry WKT,n\n1,"{prefix}{SQUARE}",a\n2,,b\n3,"{prefix}POLYGON ((0 0, 0 2, 2 2",c\n'

    reading = read(csv_of(tmp_path / "a.csv", text), work=work)

    assert reading.table.column_names == ["row_no", "id", "n", "geometry"]
    assert shapely.from_wkb(reading.table["geometry"][0].as_py()).area == 1.0
    assert reading.table["geometry"].null_count == 2
    assert (reading.geometries_lost, reading.lost_rows) == (1, (3,))
    assert reading.layer.geometry_type == "Polygon"
    assert reading.layer.crs_epsg == (2234 if prefix else None)
    assert any("row 3" in warning for warning in reading.warnings)


def test_hexadecimal_wkb_is_known_by_its_content(tmp_path: Path, work: Path) -> None:
    shape = shapely.set_srid(shapely.box(0, 0, 1, 1), 6434)
    text = f"id,the_geom\n1,{shapely.to_wkb(shape, hex=True, include_srid=True)}\n2,\n"

    reading = read(csv_of(tmp_path / "a.csv", text), work=work)

    assert shapely.from_wkb(reading.table["geometry"][0].as_py()).area == 1.0
    assert reading.layer.crs_epsg == 6434


@pytest.mark.parametrize(
    ("east", "north"), [("X_COORD", "Y_COORD"), ("Longitude", "Latitude"), ("centroidLon", "centroidLat")]
)
def test_coordinates_by_name_become_points_without_a_crs(tmp_path: Path, work: Path, east: str, north: str) -> None:
    reading = read(csv_of(tmp_path / "a.csv", f"id,{north},{east}\n1,613386.9,868399.6\n2,,\n3,1,2\n"), work=work)

    points = shapely.from_wkb(reading.table["geometry"].to_pylist())
    assert (points[0].x, points[0].y) == (868399.6, 613386.9)
    assert points[1] is None
    assert reading.table.column_names == ["row_no", "id", north, east, "geometry"]
    assert (reading.layer.geometry_type, reading.layer.crs_epsg) == ("Point", None)
    assert reading.geometries_lost == 0


# Workbooks


def test_a_workbook_keeps_what_its_author_wrote(tmp_path: Path, work: Path) -> None:
    rows = [
        ["Town of Nowhere", None, None, None, None],
        ["PID", "Zip", "Value", "Sold", "Vacant"],
        [1.0, "06001", 1250.5, dt.date(2024, 2, 29), True],
        [None, None, None, None, None],
        [123456789.0, "06002", None, None, False],
    ]

    reading = table(workbook(tmp_path / "cama.xlsx", ("CAMA", rows)), work)

    assert cells(reading) == [
        ["1", "06001", "1250.5", "2024-02-29", "TRUE"],
        ["123456789", "06002", None, None, "FALSE"],
    ]
    assert (reading.rows_read, reading.rows_counted, reading.warnings) == (2, 2, ())
    assert reading.layer.name == "cama"
    assert reading.kind == "xlsx"


def test_numbers_that_excel_cannot_hold_are_said(tmp_path: Path, work: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ("A", [["id", "n"], [12345678901234567890, 1]]))

    assert any("15 digits" in warning for warning in table(path, work).warnings)


def test_the_sheet_that_speaks_of_assessment_is_picked(tmp_path: Path, work: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx",
        ("Codes", [["code", "means"], ["1", "house"], ["2", "barn"]]),
        ("CAMA 2024", [["pid", "value"], ["1", "2"]]),
    )

    reading = table(path, work)

    assert reading.layer.name == "CAMA 2024"
    assert "assessment" in reading.why
    assert [layer.name for layer in reading.layers] == ["Codes", "CAMA 2024"]
    assert table(path, work, layer="Codes").rows_read == 2


@pytest.mark.parametrize(
    ("part", "content", "said"),
    [
        (
            "xl/worksheets/sheet1.xml",
            b'<worksheet><sheetData><row r="1"><c r="A1"><v>1</v></c></row>',
            "damaged",
        ),
        ("xl/worksheets/sheet1.xml", b'<!DOCTYPE x [<!ENTITY a "b">]><worksheet/>', "document type"),
        (
            "xl/worksheets/sheet1.xml",
            b'<worksheet><sheetData><row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>',
            "cells",
        ),
        ("xl/worksheets/sheet1.xml", b"<worksheet><sheetData/></worksheet>", "without a filled sheet"),
    ],
)
def test_workbooks_that_are_not_opened(tmp_path: Path, work: Path, part: str, content: bytes, said: str) -> None:
    good = workbook(tmp_path / "good.xlsx", ("A", [["id"], ["1"]]))
    bad = tmp_path / "bad.xlsx"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            target.writestr(name, content if name == part else source.read(name))

    with pytest.raises(UnreadableDelivery, match=said):
        table(bad, work)


# dBASE, Access, geodatabases and what lies beside a map


def shapefile(folder: Path) -> Path:
    folder.mkdir()
    rows = pa.table({"pid": ["01", "é"], "n": [1, None], "g": [shapely.to_wkb(shapely.box(0, 0, 1, 1))] * 2})
    path = folder / "parcels.shp"
    pyogrio.raw.write_arrow(
        rows, path, driver="ESRI Shapefile", geometry_name="g", geometry_type="Polygon", crs="EPSG:2234"
    )
    return path


def test_a_dbf_alone_is_a_table_and_no_map(tmp_path: Path, work: Path) -> None:
    path = shapefile(tmp_path / "x").with_suffix(".dbf")

    reading = table(path, work)

    assert cells(reading) == [["01", 1], ["é", None]]
    assert (reading.rows_counted, reading.kind, reading.warnings) == (2, "dbf", ())
    with pytest.raises(UnreadableDelivery, match="one part of a map"):
        read(path, work=work)


def test_a_map_is_read_as_a_table_on_request(tmp_path: Path, work: Path) -> None:
    reading = table(shapefile(tmp_path / "x"), work)

    assert cells(reading) == [["01", 1], ["é", None]]
    assert reading.table["geometry"].null_count == 2
    assert reading.geometries_lost == 0


def test_each_finds_its_own_in_a_zip_of_both(tmp_path: Path, work: Path) -> None:
    path = shapefile(tmp_path / "x")
    csv_of(tmp_path / "x" / "cama.csv", "pid,value\n01,2\n02,3\n")
    delivered = tmp_path / "both.zip"
    with zipfile.ZipFile(delivered, "w") as archive:
        for file in path.parent.iterdir():
            archive.write(file, file.name)

    assert read(delivered, work=work).kind == "shapefile"
    assert table(delivered, work).kind == "csv"


def test_a_table_is_picked_by_kind_then_name_then_rows() -> None:
    def layer(name: str, rows: int, kind: str | None = None) -> FoundLayer:
        return FoundLayer(0, name, name, kind, rows, [], None)

    def picked(*layers: FoundLayer) -> str:
        return layers[reading_child.choose_table(list(layers), None)[0]].name

    assert picked(layer("Parcels", 900, "Polygon"), layer("owners", 800)) == "owners"
    assert picked(layer("Parcels", 900, "Polygon"), layer("layer_styles", 1)) == "Parcels"
    assert picked(layer("codes", 10), layer("CAMA_2024", 9)) == "CAMA_2024"
    assert picked(layer("a", 10), layer("b", 900)) == "b"
    with pytest.raises(Unusable, match="--layer"):
        picked(layer("a", 10), layer("b", 11))


def test_access_without_mdbtools_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_tables, "MDBTOOLS", (Path("/nowhere/mdb-tables"),))

    with pytest.raises(Unusable, match="no mdbtools"):
        reading_tables._program("mdb-tables")


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "rows", "lost"),
    [
        ("Canaan.xlsx", 929, 2),
        ("Union.xlsx", 782, 1),
        ("bridgeport_100_stateplane_multipolygonz.xlsx", 100, 0),
        ("bridgeport_100_parcels_with_cama_no_owners.csv", 100, 0),
        ("truncated_wkt_rows.csv", 61, 61),
    ],
)
def test_real_tables_of_parcels(shared_data: Path, work: Path, name: str, rows: int, lost: int) -> None:
    path = shared_data / "ct-parcels-2025-sample" / name

    reading = read(path, work=work)

    assert (reading.rows_read, reading.rows_counted, reading.geometries_lost) == (rows, rows, lost)
    assert len(reading.lost_rows) == lost
    assert reading.table["geometry"].null_count == lost
    assert reading.layer.geometry_type == "MultiPolygon"
    assert inspect(path, work=work, shapes=False).layer.rows == rows


@pytest.mark.real
def test_cells_that_a_spreadsheet_cut_are_named(shared_data: Path, work: Path) -> None:
    reading = read(shared_data / "ct-parcels-2025-sample" / "Canaan.xlsx", work=work)

    assert reading.lost_rows == (724, 927)
    assert any("32,767" in warning and "rows 724, 927" in warning for warning in reading.warnings)
