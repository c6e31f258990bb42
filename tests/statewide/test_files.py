"""What comes out of the isolated reader: the rows that went in, the same through every format, and the facts."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import sqlite3
import struct
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyogrio.raw
import pytest
import shapely

from statewide import prescan, reading_child
from statewide.errors import UnreadableDelivery
from statewide.files import Inspection, Limits, Reading, _without_values, inspect, read
from statewide.reading_rows import FoundLayer

DRIVER = {".shp": "ESRI Shapefile", ".gdb": "OpenFileGDB", ".gpkg": "GPKG", ".geojson": "GeoJSON"}
SQUARE = shapely.box(-72.5, 41.5, -72.25, 41.75)
RING = shapely.Polygon(SQUARE.exterior, [shapely.box(-72.4375, 41.5625, -72.3125, 41.6875).exterior])
PAIR = shapely.MultiPolygon([SQUARE, shapely.box(-71.5, 41.5, -71.25, 41.75)])

ROWS: dict[str, list[Any]] = {
    "parcel_id": ["007-01", "007-02", None, "12/3", "é ñ ß"],
    "units": [1, None, 9007199254740993, 0, -4],
    "value": [1.5, None, 0.1, 250000.0, -1.25],
    "sold": [datetime.date(2024, 2, 29), None, datetime.date(1999, 12, 31), None, datetime.date(2025, 10, 1)],
}
SHAPES = [SQUARE, RING, None, PAIR, shapely.Polygon()]


def table(shapes: list[Any] | None = None, **columns: list[Any]) -> pa.Table:
    shapes = SHAPES if shapes is None else shapes
    arrays = {name: pa.array(values) for name, values in (columns or ROWS).items()}
    wkb = pa.array([None if shape is None else shapely.to_wkb(shape) for shape in shapes], type=pa.binary())
    return pa.table({**arrays, "shape_": wkb})


def write(path: Path, rows: pa.Table, *, layer: str | None = None, crs: str = "EPSG:4326", **options: Any) -> Path:
    """``path``'s suffix names the format."""
    kind = "Polygon" if path.suffix == ".shp" else "Unknown" if path.suffix == ".geojson" else "MultiPolygon"
    options.setdefault("geometry_type", kind)
    if path.suffix == ".gdb":  # else whole numbers would be written as floats
        options["TARGET_ARCGIS_VERSION"] = "ARCGIS_PRO_3_2_OR_LATER"
    if path.suffix in (".gpkg", ".gdb"):
        at = rows.schema.get_field_index("shape_")
        wkb = [
            None if blob is None else shapely.to_wkb(multi(shapely.from_wkb(blob)))
            for blob in rows["shape_"].to_pylist()
        ]
        rows = rows.set_column(at, "shape_", pa.array(wkb, type=pa.binary()))
    pyogrio.raw.write_arrow(
        rows, path, layer=layer, driver=DRIVER[path.suffix], geometry_name="shape_", crs=crs, **options
    )
    return path


def multi(shape: Any) -> Any:
    if not isinstance(shape, shapely.Polygon):
        return shape
    return shapely.MultiPolygon() if shape.is_empty else shapely.MultiPolygon([shape])


def zipped(source: Path, target: Path, folder: str = "") -> Path:
    """All files that make up ``source`` (a shapefile's siblings, a folder's files), under ``folder`` in a zip."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        if source.is_dir():
            for file in sorted(source.iterdir()):
                archive.write(file, f"{folder}{source.name}/{file.name}")
        else:
            for file in sorted(source.parent.glob(f"{source.stem}.*")):
                if file.suffix != ".zip":
                    archive.write(file, f"{folder}{file.name}")
    return target


def shapes_of(reading: Reading) -> list[Any]:
    found = shapely.from_wkb(reading.table["geometry"].to_pylist())
    return [None if shape is None else shapely.force_2d(shape) for shape in found]


@pytest.fixture
def shapefile(tmp_path: Path) -> Path:
    folder = tmp_path / "delivered"
    folder.mkdir()
    return write(folder / "parcels.shp", table())


@pytest.mark.parametrize("packed", [False, True], ids=["bare", "zipped"])
@pytest.mark.parametrize("suffix", DRIVER)
def test_the_same_rows_come_back_through_every_format(tmp_path: Path, work: Path, suffix: str, packed: bool) -> None:
    layer = "parcels" if suffix in (".gpkg", ".gdb") else None
    delivered = write(tmp_path / f"parcels{suffix}", table(), layer=layer)
    if packed:
        delivered = zipped(delivered, tmp_path / "delivery.zip")

    reading = read(delivered, work=work)

    assert reading.table.column_names == ["row_no", *ROWS, "geometry"]
    assert reading.table["row_no"].to_pylist() == [1, 2, 3, 4, 5]
    # GeoJSON has no dates; whether a text means one is decided by the standard's field, not by the reader.
    dated = suffix != ".geojson"
    for name, values in ROWS.items():
        if name == "sold" and not dated:
            values = [None if day is None else day.isoformat() for day in values]
        assert reading.table[name].to_pylist() == values
    for found, sent in zip(shapes_of(reading), SHAPES, strict=True):
        if sent is None or sent.is_empty:
            assert found is None
        else:
            assert shapely.equals(found, sent)
    assert [str(field.type) for field in reading.table.schema] == [
        *("int64", "string", "int64", "double", "date32[day]" if dated else "string", "binary"),
    ]
    assert (reading.rows_read, reading.rows_counted, reading.rows_declared) == (5, 5, 5)
    assert (reading.geometries_lost, reading.broken_rows, reading.warnings) == (0, (), ())
    assert reading.layer.crs_epsg == 4326
    assert reading.layer.name == "parcels"
    assert reading.why == "the only layer"


@pytest.mark.parametrize("suffix", DRIVER)
def test_inspect_tells_what_read_will_give(tmp_path: Path, work: Path, suffix: str) -> None:
    delivered = write(tmp_path / f"parcels{suffix}", table(), layer="parcels" if suffix in (".gpkg", ".gdb") else None)

    seen = inspect(delivered, work=work)
    reading = read(delivered, work=work)

    assert type(seen) is Inspection
    assert [(field.name, field.type) for field in seen.layer.fields] == [
        (field.name, str(field.type)) for field in list(reading.table.schema)[1:-1]
    ]
    assert seen.layer.rows == 5
    assert seen.sha256 == reading.sha256
    assert seen.driver == DRIVER[suffix]


def test_the_isolation_says_what_was_enforced(shapefile: Path, work: Path) -> None:
    said = " ".join(inspect(shapefile, work=work).isolation)

    for measure in ("limits:", "network:", "files:", "drivers: only ESRI Shapefile"):
        assert measure in said


def test_nothing_of_the_delivery_stays_behind_but_the_table(shapefile: Path, work: Path) -> None:
    read(shapefile, work=work)

    assert not [file for file in work.rglob("*") if file.suffix in (".shp", ".dbf", ".shx")]


# Shapefiles as towns send them


def test_a_shapefile_in_a_subfolder_with_backslashes_in_its_names(shapefile: Path, tmp_path: Path, work: Path) -> None:
    target = tmp_path / "delivery.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(shapefile.parent.iterdir()):
            info = zipfile.ZipInfo("x")
            info.filename = info.orig_filename = f"GIS\\2025\\{file.name.upper()}"
            archive.writestr(info, file.read_bytes())
        archive.writestr("__MACOSX/._parcels.shp", b"junk")
        archive.writestr("read me.pdf", b"%PDF-1.4")

    reading = read(target, work=work)

    assert reading.rows_read == 5
    assert reading.layer.name == "PARCELS"
    assert "read me.pdf" in reading.members


def test_without_prj_there_is_no_crs(shapefile: Path, work: Path) -> None:
    shapefile.with_suffix(".prj").unlink()

    reading = read(shapefile, work=work)

    assert (reading.layer.crs_wkt, reading.layer.crs_epsg) == (None, None)


def test_a_prj_that_is_not_a_crs_is_left_out_and_said(shapefile: Path, work: Path) -> None:
    shapefile.with_suffix(".prj").write_text("http://127.0.0.1:1/crs.wkt")

    reading = read(shapefile, work=work)

    assert reading.layer.crs_wkt is None
    assert any(".prj" in warning for warning in reading.warnings)


@pytest.mark.parametrize("epsg", [2234, 6434, 26956])
def test_esri_definitions_are_recognised(tmp_path: Path, work: Path, epsg: int) -> None:
    delivered = write(tmp_path / "parcels.shp", table(), crs=f"EPSG:{epsg}")
    assert "EPSG" not in delivered.with_suffix(".prj").read_text()

    layer = inspect(delivered, work=work).layer

    assert layer.crs_epsg == epsg
    assert layer.crs_wkt


def test_a_definition_of_the_same_name_in_other_units_is_not_taken_for_it(tmp_path: Path, work: Path) -> None:
    prj = write(tmp_path / "parcels.shp", table(), crs="EPSG:2234").with_suffix(".prj")
    prj.write_text(re.sub(r'UNIT\["[^"]*oot[^"]*",[\d.]+\]', 'UNIT["Meter",1.0]', prj.read_text()))

    layer = inspect(prj.with_suffix(".shp"), work=work).layer

    assert layer.crs_epsg is None
    assert layer.crs_wkt


def test_a_missing_shx_is_made_anew(shapefile: Path, work: Path) -> None:
    expected = shapes_of(read(shapefile, work=work))
    shapefile.with_suffix(".shx").unlink()

    reading = read(shapefile, work=work)

    assert shapes_of(reading) == expected
    assert any(".shx was missing" in warning for warning in reading.warnings)


def test_a_garbled_shx_is_made_anew(shapefile: Path, work: Path) -> None:
    expected = shapes_of(read(shapefile, work=work))
    shx = shapefile.with_suffix(".shx")
    shx.write_bytes(shx.read_bytes()[:100] + b"\x01\x02\x03\x04" * ((shx.stat().st_size - 100) // 4))

    reading = read(shapefile, work=work)

    assert shapes_of(reading) == expected
    assert reading.geometries_lost == 0
    assert any("did not fit" in warning for warning in reading.warnings)


def test_shapes_that_a_cut_shp_lost_are_counted(shapefile: Path, work: Path) -> None:
    whole = shapefile.read_bytes()
    shapefile.write_bytes(whole[: len(whole) // 2])

    reading = read(shapefile, work=work)

    kept = sum(shape is not None for shape in shapes_of(reading))
    assert reading.rows_read == reading.rows_counted == 5
    assert reading.geometries_lost == 3 - kept > 0
    assert any("cut off" in warning for warning in reading.warnings)


def test_rows_that_a_cut_dbf_lost_show_in_the_counts(shapefile: Path, work: Path) -> None:
    dbf = shapefile.with_suffix(".dbf")
    whole = dbf.read_bytes()
    dbf.write_bytes(whole[: len(whole) - 2 * int.from_bytes(whole[10:12], "little")])

    reading = read(shapefile, work=work)

    assert reading.rows_counted == 5
    assert reading.rows_read < 5


def test_a_dbf_header_that_says_fewer_rows_shows_in_the_counts(shapefile: Path, work: Path) -> None:
    dbf = shapefile.with_suffix(".dbf")
    whole = bytearray(dbf.read_bytes())
    whole[4:8] = struct.pack("<L", 2)
    dbf.write_bytes(whole)

    reading = read(shapefile, work=work)

    assert reading.rows_counted == 5
    assert reading.rows_read == 2


def test_deleted_records_are_left_out_and_said(shapefile: Path, work: Path) -> None:
    dbf = shapefile.with_suffix(".dbf")
    data = bytearray(dbf.read_bytes())
    header, width = struct.unpack("<HH", data[8:12])
    data[header + width] = ord("*")  # the second record
    dbf.write_bytes(data)

    reading = read(shapefile, work=work)

    assert reading.table["parcel_id"].to_pylist() == ["007-01", None, "12/3", "é ñ ß"]
    assert reading.rows_counted == reading.rows_read == 4
    assert reading.geometries_lost == 0
    assert any("deleted" in warning for warning in reading.warnings)


def test_text_cut_by_a_nul_is_said(shapefile: Path, work: Path) -> None:
    dbf = shapefile.with_suffix(".dbf")
    dbf.write_bytes(dbf.read_bytes().replace(b"007-02", b"007\x0002"))

    reading = read(shapefile, work=work)

    assert any("NUL" in warning and "parcel_id" in warning for warning in reading.warnings)


@pytest.mark.parametrize(
    ("cpg", "bytes_are", "encoding"),
    [
        (None, "cp1252", "CP1252"),
        ("UTF-8", "cp1252", "CP1252"),
        ("UTF-16", "cp1252", "CP1252"),
        ("88591", "cp1252", "CP1252"),
        ("CP850", "cp850", "CP850"),
        (None, "utf-8", "UTF-8"),
        ("1252", "utf-8", "UTF-8"),
    ],
)
def test_text_survives_a_wrong_or_missing_cpg(
    shapefile: Path, work: Path, cpg: str | None, bytes_are: str, encoding: str
) -> None:
    dbf = shapefile.with_suffix(".dbf")
    text = "é ñ ß"
    sent = text.encode("utf-8")
    data = bytearray(dbf.read_bytes().replace(sent, text.encode(bytes_are).ljust(len(sent))))
    data[29] = 0  # no language driver in the header
    dbf.write_bytes(data)
    shapefile.with_suffix(".cpg").unlink()
    if cpg is not None:
        shapefile.with_suffix(".cpg").write_text(cpg)

    reading = read(shapefile, work=work)

    assert reading.table["parcel_id"].to_pylist()[-1] == text
    assert reading.encoding == encoding


def test_missing_parts_are_named(shapefile: Path, tmp_path: Path, work: Path) -> None:
    for suffix in (".dbf", ".shp"):
        folder = tmp_path / f"without{suffix}"
        shutil.copytree(shapefile.parent, folder)
        (folder / f"parcels{suffix}").unlink()
        with pytest.raises(UnreadableDelivery, match=rf"comes without parcels\{suffix}"):
            read(zipped(folder / "parcels.x", tmp_path / f"{suffix}.zip"), work=work)


# Which layer


def test_two_shapefiles_of_a_size_are_not_guessed_between(tmp_path: Path, work: Path) -> None:
    write(tmp_path / "north.shp", table())
    write(tmp_path / "south.shp", table())
    target = tmp_path / "both.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for file in [*tmp_path.glob("north.*"), *tmp_path.glob("south.*")]:
            archive.write(file, file.name)

    with pytest.raises(UnreadableDelivery, match=r"--layer: north, south"):
        read(target, work=work)
    assert read(target, work=work, layer="South").layer.name == "south"
    with pytest.raises(UnreadableDelivery, match="no layer called west"):
        read(target, work=work, layer="west")


@pytest.mark.parametrize("suffix", [".gpkg", ".gdb"])
def test_the_layer_that_speaks_of_parcels_is_picked(tmp_path: Path, work: Path, suffix: str) -> None:
    delivered = tmp_path / f"town{suffix}"
    points = table([shapely.Point(1, 1)], name=["a"])
    write(delivered, points, layer="Parcel_Labels", geometry_type="Point")
    write(delivered, table(SHAPES * 3, parcel_id=[str(n) for n in range(15)]), layer="Buildings")
    write(delivered, table(), layer="TaxParcels_2025")

    reading = read(delivered, work=work)

    assert reading.layer.name == "TaxParcels_2025"
    assert "parcels" in reading.why
    assert {layer.name for layer in reading.layers} == {"Parcel_Labels", "Buildings", "TaxParcels_2025"}
    assert reading.rows_counted == 5


def test_without_a_telling_name_by_far_the_most_rows_win() -> None:
    def layer(name: str, rows: int, kind: str | None = "MultiPolygon") -> FoundLayer:
        return FoundLayer(0, name, name, kind, rows, [], None)

    at, why = reading_child.choose_layer([layer("a", 10), layer("b", 4000), layer("c", 9000, None)], None)
    assert (at, "most rows" in why) == (1, True)
    assert reading_child.choose_layer([layer("a", 1, "Point"), layer("b", 9, None)], None)[0] == 0


def test_a_zip_in_a_zip_is_opened(shapefile: Path, tmp_path: Path, work: Path) -> None:
    inner = zipped(shapefile, tmp_path / "inner.zip")
    outer = tmp_path / "outer.zip"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(inner, "from the vendor/inner.zip")

    reading = read(outer, work=work)

    assert reading.rows_read == 5
    assert "from the vendor/inner.zip/parcels.shp" in reading.members


# Names, types, shapes


def test_columns_named_as_ours_are_kept_under_another_name(tmp_path: Path, work: Path) -> None:
    delivered = write(tmp_path / "parcels.geojson", table([SQUARE], row_no=["a"], geometry=["b"], row_no_1=["c"]))

    reading = read(delivered, work=work)

    assert reading.table.column_names == ["row_no", "row_no_1", "geometry_1", "row_no_1_1", "geometry"]
    assert reading.table["geometry_1"].to_pylist() == ["b"]


def test_lists_in_geojson_become_text(tmp_path: Path, work: Path) -> None:
    delivered = tmp_path / "parcels.geojson"
    delivered.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [
                    {"type": "Feature", "geometry": None, "properties": {"owners": ["a", "b"], "extra": {"x": 1}}},
                    {"type": "Feature", "geometry": shapely.geometry.mapping(SQUARE), "properties": {"owners": []}},
                ],
            }
        )
    )

    reading = read(delivered, work=work)

    assert reading.table["owners"].to_pylist() == ['["a", "b"]', "[]"]
    assert str(reading.table.schema.field("extra").type) == "string"
    assert reading.geometries_lost == 0


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1 << 20])
def test_features_are_counted_whatever_their_texts_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    texts = ['a "quoted" {brace', "C:\\", '\\"', "]}],", '"type":"Topology"', "é\n\u2028", ""]
    shape = shapely.geometry.mapping(shapely.GeometryCollection([SQUARE, PAIR]))
    features = [
        {"type": "Feature", "properties": {text: text, "x": {"geometry": {}}}, "geometry": shape if n % 2 else None}
        for n, text in enumerate(texts)
    ]
    path = tmp_path / "parcels.geojson"
    path.write_text(
        json.dumps(
            {"links": [{"a": {}}], "bbox": [1, 2], "features": features, "more": [{}], "type": "FeatureCollection"}
        )
    )
    monkeypatch.setattr(prescan, "_CHUNK", chunk)

    count = prescan.prescan("geojson", path).counts[None]

    assert (count.rows, count.shapes) == (7, 3)


def test_numbers_too_long_for_a_number_are_said(tmp_path: Path, work: Path) -> None:
    delivered = tmp_path / "parcels.geojson"
    feature = '{"type": "Feature", "geometry": null, "properties": {"id": %s}}'
    for number, said in (
        ("12345678901234567890123", True),
        ("1.1234567890123456789012", False),
        ('"1234567890123456789012"', False),
    ):
        delivered.write_text('{"type": "FeatureCollection", "features": [' + feature % number + "]}")
        assert any("digits" in warning for warning in inspect(delivered, work=work).warnings) is said


def test_heights_are_kept_and_do_not_change_the_crs(tmp_path: Path, work: Path) -> None:
    delivered = write(tmp_path / "parcels.geojson", table([shapely.force_3d(SQUARE, 12.0)], id=["a"]))

    reading = read(delivered, work=work)

    assert reading.layer.geometry_type is not None
    assert reading.layer.geometry_type.endswith(" Z")
    assert reading.layer.crs_epsg == 4326
    assert shapely.has_z(shapely.from_wkb(reading.table["geometry"].to_pylist()[0]))


def test_a_ring_that_does_not_close_is_closed_and_said(tmp_path: Path, work: Path) -> None:
    delivered = tmp_path / "parcels.geojson"
    feature = {"type": "Feature", "properties": {"id": "1"}}
    feature["geometry"] = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}
    delivered.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))

    reading = read(delivered, work=work)

    assert shapes_of(reading)[0].area == 1.0
    assert any("closed" in warning for warning in reading.warnings)


def test_shapes_that_geojson_garbles_are_counted_as_lost(tmp_path: Path, work: Path) -> None:
    delivered = tmp_path / "parcels.geojson"
    good = {"type": "Feature", "properties": {"id": "1"}, "geometry": shapely.geometry.mapping(SQUARE)}
    bad = {"type": "Feature", "properties": {"id": "2"}, "geometry": {"type": "Polygon", "coordinates": [[["x", "y"]]]}}
    delivered.write_text(json.dumps({"type": "FeatureCollection", "features": [good, bad]}))

    reading = read(delivered, work=work)

    assert reading.rows_read == 2
    assert reading.geometries_lost == 1


def test_a_geopackage_in_wal_mode_is_read_and_said(tmp_path: Path, work: Path) -> None:
    delivered = write(tmp_path / "parcels.gpkg", table(), layer="parcels")
    database = sqlite3.connect(delivered)
    database.execute("PRAGMA journal_mode = WAL")
    database.close()

    reading = read(delivered, work=work)

    assert reading.rows_read == 5
    assert any("write-ahead" in warning for warning in reading.warnings)


def test_a_geopackage_that_lies_about_its_count_is_seen_through(tmp_path: Path, work: Path) -> None:
    delivered = write(tmp_path / "parcels.gpkg", table(), layer="parcels")
    database = sqlite3.connect(delivered)
    database.execute("UPDATE gpkg_ogr_contents SET feature_count = 999999")
    database.commit()
    database.close()

    reading = read(delivered, work=work)

    assert reading.rows_read == reading.rows_counted == 5
    assert reading.rows_declared == 999999


def test_a_broken_table_is_read_record_by_record(tmp_path: Path, work: Path) -> None:
    """One page of the table is overwritten: the bulk reading stops there, the careful one goes around it."""
    count = 400
    delivered = write(
        tmp_path / "parcels.gpkg",
        table([SQUARE] * count, parcel_id=[f"{n:04d}" for n in range(count)], note=["x" * 300] * count),
        layer="parcels",
        SPATIAL_INDEX="NO",
    )
    data = bytearray(delivered.read_bytes())
    at = data.index(b"0200" + b"x" * 300) // 4096 * 4096
    data[at : at + 4096] = b"\xff" * 4096
    delivered.write_bytes(data)

    reading = read(delivered, work=work)

    kept = reading.table["parcel_id"].to_pylist()
    assert "0000" in kept
    assert f"{count - 1:04d}" in kept
    assert "0200" not in kept
    assert 201 in reading.broken_rows
    assert reading.rows_read + len(reading.broken_rows) == count
    assert any("record by record" in warning for warning in reading.warnings)


def test_a_map_that_needs_more_memory_than_it_may_use_is_refused(tmp_path: Path, work: Path) -> None:
    """The libraries are loaded before the limit holds, so the map has to need some of its own."""
    rows = table([SQUARE] * 20_000, note=[f"{n:0300d}" for n in range(20_000)])
    delivered = write(tmp_path / "parcels.gpkg", rows, layer="parcels")

    with pytest.raises(UnreadableDelivery, match=r"^parcels\.gpkg .*(memory|crashed|could not be read)") as refused:
        read(delivered, work=work, limits=Limits(memory_bytes=50 * 1024 * 1024))
    assert str(refused.value).count("\n") == 0


# What is refused


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(delivery_bytes=10), "larger than"),
        (Limits(unpacked_bytes=10), "when unpacked"),
        (Limits(archive_entries=2), "more than 2 files"),
        (Limits(wall_seconds=0), "took longer than 0 seconds"),
    ],
)
def test_limits_end_in_one_sentence(shapefile: Path, tmp_path: Path, work: Path, limits: Limits, said: str) -> None:
    delivered = zipped(shapefile, tmp_path / "delivery.zip")

    with pytest.raises(UnreadableDelivery, match=rf"^delivery\.zip .*({said})") as refused:
        read(delivered, work=work, limits=limits)
    assert str(refused.value).count("\n") == 0


@pytest.mark.parametrize("index", [True, False])
def test_more_records_than_any_map_has_are_not_walked(shapefile: Path, work: Path, index: bool) -> None:
    if not index:
        shapefile.with_suffix(".shx").unlink()
    with pytest.raises(UnreadableDelivery, match="holds more than 4 records"):
        read(shapefile, work=work, limits=Limits(records=4))
    assert read(shapefile, work=work, limits=Limits(records=5)).rows_read == 5


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Value 'DOE JANE' of field OWNER is too wide", "Value '…' of field OWNER is too wide"),
        ("Value 'O'BRIEN JANE' of field 'OWNER' was cut", "Value '…' of field ‘OWNER’ was cut"),
        ("Value 'DOE JANE of field OWNER was cut", "Value '…'"),
        ("Invalid content for record 7 in column OWNED_ON: O DOE", "Invalid content of a cell"),
    ],
)
def test_what_gdal_says_shows_columns_and_no_values(said: str, shown: str) -> None:
    assert _without_values(said, {"OWNER"}) == shown


def test_a_file_that_is_not_there(tmp_path: Path, work: Path) -> None:
    with pytest.raises(UnreadableDelivery, match=r"^nothing\.zip does not exist"):
        read(tmp_path / "nothing.zip", work=work)


# The real deliveries


DELIVERIES = [
    ("new_london_parcels_2025.zip", 2234, "ESRI Shapefile"),
    ("woodstock_parcels_2025.gdb.zip", 6434, "OpenFileGDB"),
    ("chester_parcels_2025.gpkg", 2234, "GPKG"),
    ("franklin_parcels_2025.geojson", 4326, "GeoJSON"),
    ("franklin_parcels_2025_noprj.zip", None, "ESRI Shapefile"),
]


@pytest.mark.real
@pytest.mark.parametrize(("name", "epsg", "driver"), DELIVERIES)
def test_real_deliveries_give_the_rows_that_were_counted(
    shared_data: Path, work: Path, name: str, epsg: int | None, driver: str
) -> None:
    facts = json.loads((shared_data / "deliveries" / "FACTS.json").read_text())[name]

    reading = read(shared_data / "deliveries" / name, work=work)

    assert reading.rows_read == reading.rows_counted == reading.rows_declared == facts["rows"]
    assert reading.table["geometry"].null_count == facts["null_geometry"]
    assert (reading.layer.crs_epsg, reading.driver) == (epsg, driver)
    assert (reading.geometries_lost, reading.broken_rows, reading.warnings) == (0, (), ())


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84", "EPSG:4326", None])
def test_every_spelling_of_longitude_latitude_is_known(tmp_path: Path, work: Path, name: str | None) -> None:
    collection: dict[str, Any] = {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(SQUARE)}],
    }
    if name:
        collection["crs"] = {"type": "name", "properties": {"name": name}}
    file = tmp_path / "parcels.geojson"
    file.write_text(json.dumps(collection))
    assert inspect(file, work=work).layer.crs_epsg == 4326


def test_a_parcel_number_in_geojson_is_not_taken_for_a_day(tmp_path: Path, work: Path) -> None:
    properties = {"CAMA_Link": "99904-1-1", "Parcel_ID": "2024-01-25"}
    feature = {"type": "Feature", "properties": properties, "geometry": shapely.geometry.mapping(SQUARE)}
    file = tmp_path / "parcels.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    reading = read(file, work=work)
    assert reading.warnings == ()
    assert reading.table.select(["CAMA_Link", "Parcel_ID"]).to_pylist() == [properties]
