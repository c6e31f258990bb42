"""Maps in other formats than the usual four: the same rows through each, and a count that GDAL did not make."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio.raw
import pytest
import shapely

from statewide.errors import UnreadableDelivery
from statewide.files import Reading, read

DRIVER = {
    ".fgb": "FlatGeobuf",
    ".geojsonl": "GeoJSONSeq",
    ".kml": "LIBKML",
    ".gml": "GML",
    ".tab": "MapInfo File",
    ".mif": "MapInfo File",
}
SQUARE = shapely.box(-72.5, 41.5, -72.25, 41.75)
PAIR = shapely.MultiPolygon([SQUARE, shapely.box(-71.5, 41.5, -71.25, 41.75)])
SHAPES = [SQUARE, PAIR, None]
IDS = ["007", "012", "é ñ"]
CLOSED = "0\nLWPOLYLINE\n8\nPARCELS\n90\n4\n70\n1\n10\n0\n20\n0\n10\n1\n20\n0\n10\n1\n20\n1\n10\n0\n20\n1\n"
OPEN = CLOSED.replace("70\n1\n", "70\n0\n", 1)


def rows() -> pa.Table:
    wkb = [None if shape is None else shapely.to_wkb(shape) for shape in SHAPES]
    return pa.table({"parcel_id": IDS, "n": [1, None, 3], "g": pa.array(wkb, type=pa.binary())})


def write(path: Path) -> Path:
    if path.suffix == ".parquet":
        geo = {
            "primary_column": "g",
            "columns": {"g": {"encoding": "WKB", "geometry_types": ["Polygon", "MultiPolygon"]}},
        }
        pq.write_table(rows().replace_schema_metadata({"geo": json.dumps(geo)}), path)
    else:
        options = {"SPATIAL_INDEX": "NO"} if path.suffix == ".fgb" else {}  # with one, no row may lack a shape
        pyogrio.raw.write_arrow(
            rows(),
            path,
            driver=DRIVER[path.suffix],
            geometry_name="g",
            geometry_type="Unknown",
            crs="EPSG:4326",
            **options,
        )
    return path


def shapes_of(reading: Reading) -> list[Any]:
    return [
        None if shape is None else shapely.force_2d(shape)
        for shape in shapely.from_wkb(reading.table["geometry"].to_pylist())
    ]


def refused(path: Path, work: Path) -> str:
    with pytest.raises(UnreadableDelivery) as caught:
        read(path, work=work)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [*DRIVER, ".parquet"])
def test_the_same_rows_come_back_through_every_format(tmp_path: Path, work: Path, suffix: str) -> None:
    delivered = write(tmp_path / f"parcels{suffix}")

    reading = read(delivered, work=work)

    assert reading.table["parcel_id"].to_pylist() == IDS
    found = shapes_of(reading)
    assert found[2] is None
    assert all(
        shapely.equals(shapely.union_all(shapely.get_parts(a)), b) for a, b in zip(found[:2], SHAPES, strict=False)
    )
    assert (reading.rows_read, reading.rows_counted, reading.rows_declared) == (3, 3, 3)
    assert (reading.geometries_lost, reading.warnings) == (0, ())
    assert reading.layer.crs_epsg == 4326
    assert reading.layer.name == "parcels"


@pytest.mark.parametrize("suffix", [".tab", ".mif", ".kml"])
def test_zipped_with_all_its_parts(tmp_path: Path, work: Path, suffix: str) -> None:
    write(tmp_path / f"parcels{suffix}")
    delivered = tmp_path / ("parcels.kmz" if suffix == ".kml" else "parcels.zip")
    with zipfile.ZipFile(delivered, "w") as archive:
        for file in tmp_path.glob("parcels.[!kz]*" if suffix != ".kml" else "parcels.kml"):
            archive.write(file, f"GIS/{file.name.upper()}" if suffix != ".kml" else "doc.kml")

    assert read(delivered, work=work).rows_counted == 3


@pytest.mark.parametrize("suffix", [".fgb", ".geojsonl", ".kml", ".gml", ".parquet"])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, work: Path, suffix: str) -> None:
    delivered = write(tmp_path / f"parcels{suffix}")
    content = delivered.read_bytes()
    delivered.write_bytes(content[: len(content) - 40])

    assert "damaged" in refused(delivered, work) or "cut off" in refused(delivered, work)


def test_text_in_gml_stays_text(tmp_path: Path, work: Path) -> None:
    reading = read(write(tmp_path / "parcels.gml"), work=work)

    assert reading.table["n"].to_pylist() == ["1", None, "3"]


def test_a_gml_schema_is_not_fetched_nor_a_document_type_read(tmp_path: Path, work: Path) -> None:
    text = write(tmp_path / "parcels.gml").read_text(encoding="utf-8")
    linked = tmp_path / "linked.gml"
    linked.write_text(
        text.replace(" parcels.xsd", " http://127.0.0.1:9/x?REQUEST=DescribeFeatureType"), encoding="utf-8"
    )
    typed = tmp_path / "typed.gml"

    assert read(linked, work=work).rows_read == 3
    typed.write_text(text.replace("?>", '?><!DOCTYPE x [<!ENTITY a "b">]>', 1), encoding="utf-8")
    assert "document type" in refused(typed, work)


def test_a_rewritten_count_in_flatgeobuf_is_seen_through(tmp_path: Path, work: Path) -> None:
    delivered = write(tmp_path / "parcels.fgb")
    content = delivered.read_bytes()
    delivered.write_bytes(content.replace((3).to_bytes(8, "little"), (2).to_bytes(8, "little")))

    reading = read(delivered, work=work)

    assert reading.rows_counted == 3
    assert any("says that it has 2" in warning for warning in reading.warnings)


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"Feature","geometry":null,"properties":{}',
        '{"type":"Point"}',
        '{"type":"Feature","crs":{"type":"link"}}',
    ],
)
def test_each_line_must_be_a_feature(tmp_path: Path, work: Path, line: str) -> None:
    good = '{"type":"Feature","geometry":null,"properties":{"a":1}}'
    delivered = tmp_path / "a.geojsonl"
    delivered.write_text("\n".join([good, good, line, good]))

    assert re_search("object 3|coordinate system", refused(delivered, work))


def re_search(pattern: str, text: str) -> bool:
    return any(part in text for part in pattern.split("|"))


@pytest.mark.parametrize("kind", ["LINKED", "DBF"])
def test_a_mapinfo_table_that_points_elsewhere_is_refused(tmp_path: Path, work: Path, kind: str) -> None:
    delivered = write(tmp_path / "parcels.tab")
    delivered.write_text(delivered.read_text().replace("Type NATIVE", f"Type {kind}"))

    assert "points to other files" in refused(delivered, work)


def test_a_mapinfo_table_without_its_shapes_is_refused(tmp_path: Path, work: Path) -> None:
    delivered = write(tmp_path / "parcels.tab")
    delivered.with_suffix(".map").unlink()

    assert "parcels.map" in refused(delivered, work)


def drawing(path: Path, entities: str, blocks: str = "") -> Path:
    header = "0\nSECTION\n2\nHEADER\n0\nENDSEC\n"
    inside = f"0\nSECTION\n2\nBLOCKS\n{blocks}0\nENDSEC\n" if blocks else ""
    path.write_text(f"{header}{inside}0\nSECTION\n2\nENTITIES\n{entities}0\nENDSEC\n0\nEOF\n")
    return path


def insert(block: str, columns: int = 1, lines: int = 1) -> str:
    return f"0\nINSERT\n8\n0\n2\n{block}\n10\n0\n20\n0\n70\n{columns}\n71\n{lines}\n44\n1\n45\n1\n"


def block(name: str, holds: str) -> str:
    return f"0\nBLOCK\n8\n0\n2\n{name}\n70\n0\n10\n0\n20\n0\n{holds}0\nENDBLK\n8\n0\n"


def test_closed_shapes_of_a_drawing_are_read_and_the_rest_is_said(tmp_path: Path, work: Path) -> None:
    circle = "0\nCIRCLE\n8\n0\n10\n5\n20\n5\n40\n1\n100\nAcDbCircle\n"
    path = drawing(tmp_path / "a.dxf", CLOSED + OPEN + circle + insert("B", 3, 3) + CLOSED, block("B", CLOSED))

    reading = read(path, work=work)

    assert [shape.geom_type for shape in shapes_of(reading)] == ["Polygon", "Polygon"]
    assert shapes_of(reading)[0].area == 1.0
    assert reading.table["Layer"].to_pylist() == ["PARCELS", "PARCELS"]
    assert (reading.rows_read, reading.rows_counted, reading.warnings) == (2, 2, ())
    assert any("1 INSERT" in note and "1 CIRCLE" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("entities", "blocks", "said"),
    [
        (insert("B", 30_000, 30_000), block("B", CLOSED), "unfold"),
        (
            insert("B11"),
            block("B0", CLOSED) + "".join(block(f"B{n}", insert(f"B{n - 1}") * 10) for n in range(1, 12)),
            "unfold",
        ),
        (insert("B"), block("B", insert("B")), "hold themselves"),
        (OPEN, "", "without a closed polyline"),
    ],
)
def test_drawings_that_are_refused(tmp_path: Path, work: Path, entities: str, blocks: str, said: str) -> None:
    assert said in refused(drawing(tmp_path / "a.dxf", entities, blocks), work)


def test_parquet_without_shapes_is_a_table(tmp_path: Path, work: Path) -> None:
    path = tmp_path / "cama.parquet"
    pq.write_table(rows().drop_columns(["g"]), path)

    assert "without shapes" in refused(path, work)
    assert read(path, work=work, shapes=False).table["parcel_id"].to_pylist() == IDS


def test_heights_and_measures_are_a_note_and_no_complaint(tmp_path: Path, work: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,wkt\n1,"POLYGON ZM ((0 0 1 2, 0 1 1 2, 1 1 1 2, 0 0 1 2))"\n2,"POLYGON EMPTY"\n')

    reading = read(path, work=work)

    assert reading.warnings == ()
    assert any("heights (Z) and measures (M)" in note for note in reading.notes)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "kind", "counted"),
    [
        ("openaddresses-batch-machine/openaddr/tests/conforms/lake-man-gml.gml", "gml", 6),
        ("fiona/tests/data/trio.seq", "geojsonseq", 3),
        ("fiona/tests/data/sequence-pp.txt", "geojsonseq", 2),
        ("gdal-autotest-ogr-small/autotest/ogr/data/placemark.kml", "kml", 1),
        ("gdal-autotest-ogr-small/autotest/ogr/data/hatch.dxf", "dxf", 3),
        ("gdal-autotest-ogr-small/autotest/ogr/data/ocs2wcs1.dxf", "dxf", 20),
        ("ct-parcels-2025-sample/ct_parcels_6_towns_wgs84.parquet", "parquet", 18_603),
    ],
)
def test_real_files_of_each_format(
    shared_data: Path, tmp_path: Path, work: Path, name: str, kind: str, counted: int
) -> None:
    delivered = tmp_path / Path(name).name
    shutil.copyfile(shared_data / name, delivered)

    reading = read(delivered, work=work)

    assert (reading.kind, reading.rows_read, reading.rows_counted) == (kind, counted, counted)
