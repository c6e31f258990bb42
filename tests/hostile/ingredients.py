"""Small whole files of each format, as bytes, for the corpus to spoil.

Three lots of a square foot, "001" to "003", with an address each; EPSG:2234.
"""

from __future__ import annotations

import io
import json
import sqlite3
import struct
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio.raw
import shapely
from shapely.geometry.base import BaseGeometry

POLYGON = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
STREETS = ("Elm St", "Oak St", "Main St")


def table(count: int = 3, shapes: Iterable[BaseGeometry | None] | None = None, **columns: list[Any]) -> pa.Table:
    """``id``, ``street``, further ``columns``, and ``shape_`` as WKB."""
    squares = [shapely.box(n, 0, n + 1, 1) for n in range(count)] if shapes is None else list(shapes)
    return pa.table(
        {
            "id": pa.array([f"{n + 1:03d}" for n in range(len(squares))], type=pa.string()),
            "street": pa.array([STREETS[n % 3] for n in range(len(squares))], type=pa.string()),
            **columns,
            "shape_": pa.array([None if one is None else shapely.to_wkb(one) for one in squares], type=pa.binary()),
        }
    )


def written(rows: pa.Table, driver: str, suffix: str, **options: Any) -> dict[str, bytes]:
    """Every file that GDAL writes for ``rows``, by name; the first is called ``parcels`` + ``suffix``."""
    options = {"geometry_type": "Polygon", "crs": "EPSG:2234", **options}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "parcels").with_suffix(suffix)
        pyogrio.raw.write_arrow(rows, path, driver=driver, geometry_name="shape_", **options)
        files = sorted(path.iterdir()) if path.is_dir() else sorted(Path(folder).iterdir())
        return {file.name: file.read_bytes() for file in files}


@lru_cache
def _shapefile(count: int) -> dict[str, bytes]:
    return written(table(count), "ESRI Shapefile", ".shp")


def shapefile(count: int = 3, /, *, without: Iterable[str] = (), **parts: bytes) -> dict[str, bytes]:
    """The five files; ``parts`` (shp, shx, dbf, prj, cpg) replace or add theirs, ``without`` leaves some out."""
    whole = {name: data for name, data in _shapefile(count).items() if name.rpartition(".")[2] not in without}
    return whole | {f"parcels.{suffix}": data for suffix, data in parts.items()}


def part(suffix: str, count: int = 3) -> bytearray:
    """One file of the shapefile, to be spoiled."""
    return bytearray(_shapefile(count)[f"parcels.{suffix}"])


@lru_cache
def geopackage(count: int = 3) -> bytes:
    return written(table(count), "GPKG", ".gpkg", layer="parcels", SPATIAL_INDEX="NO")["parcels.gpkg"]


def changed(database: bytes, *statements: str | tuple[str, list[Any]]) -> bytes:
    """A SQLite file after some statements, with the catalogue open to writing."""
    connection = sqlite3.connect(":memory:")
    connection.deserialize(database)
    connection.execute("PRAGMA writable_schema = ON")
    for statement in statements:
        connection.execute(*((statement,) if isinstance(statement, str) else statement))
    connection.commit()
    result = connection.serialize()
    connection.close()
    return result


def gpkg_blob(wkb: bytes, srid: int = 2234) -> bytes:
    return b"GP\x00\x01" + struct.pack("<l", srid) + wkb


def feature(**members: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": {"id": "1"}, "geometry": POLYGON} | members


def geojson(features: Iterable[object] | None = None, **members: object) -> bytes:
    """A collection of the three lots, unless given others."""
    if features is None:
        squares = [shapely.geometry.mapping(shapely.box(n, 0, n + 1, 1)) for n in range(3)]
        features = [feature(properties={"id": f"{n + 1:03d}"}, geometry=one) for n, one in enumerate(squares)]
    return json.dumps({"type": "FeatureCollection", **members, "features": list(features)}).encode()


def zip_of(members: Mapping[str, bytes], folder: str = "") -> bytes:
    return zip_of_entries((zipfile.ZipInfo(f"{folder}{name}"), data) for name, data in members.items())


def zip_of_entries(entries: Iterable[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    """A zip whose entries may be as odd as ``ZipInfo`` allows; the usual compression."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, data in entries:
            if info.compress_type == zipfile.ZIP_STORED:
                info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return packed.getvalue()


def patched(data: bytes | bytearray, *patches: tuple[int, bytes]) -> bytes:
    """``data`` with some bytes overwritten, each at its place."""
    content = bytearray(data)
    for at, new in patches:
        content[at : at + len(new)] = new
    return bytes(content)


WKT = tuple(f"POLYGON (({n} 0, {n + 1} 0, {n + 1} 1, {n} 1, {n} 0))" for n in range(3))


def csv(*lines: str, header: str = "id,street,wkt", end: str = "\n") -> bytes:
    """Lines as given; without any, the three lots with their shapes as WKT."""
    given = lines or tuple(f'{n + 1:03d},{STREETS[n]},"{WKT[n]}"' for n in range(3))
    return "".join(f"{line}{end}" for line in (header, *given)).encode()


Cell = str | int | float | None


def xlsx(
    rows: Iterable[Iterable[Cell]] | None = None,
    *,
    sheet: str | None = None,
    parts: Mapping[str, bytes] | None = None,
    names: Iterable[str] = ("Parcels",),
) -> bytes:
    """A workbook of texts in place. ``sheet`` is the XML of the first sheet's rows, ``parts`` replace or add parts."""
    if rows is None:
        rows = [("id", "street", "wkt"), *((f"{n + 1:03d}", STREETS[n], WKT[n]) for n in range(3))]
    inside = sheet if sheet is not None else "".join(xlsx_row(number, row) for number, row in enumerate(rows, start=1))
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
    listed = list(names)
    sheets = "".join(
        f'<sheet name="{escape(name, {chr(34): "&quot;"})}" sheetId="{n}" r:id="rId{n}"/>'
        for n, name in enumerate(listed, start=1)
    )
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(listed) + 1)
    )
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    kinds = f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>' + "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{kind}.worksheet+xml"/>'
        for n in range(1, len(listed) + 1)
    )  # fmt: skip
    texts = {
        "[Content_Types].xml": f'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f"{kinds}</Types>",
        "_rels/.rels": f'<Relationships {package}><Relationship Id="rId1" Type="{office}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{office}"><sheets>{sheets}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f"<Relationships {package}>{links}</Relationships>",
        **{
            f"xl/worksheets/sheet{n}.xml": f"<worksheet {main}><sheetData>{inside}</sheetData></worksheet>"
            for n in range(1, len(listed) + 1)
        },
    }
    return zip_of({name: f"<?xml version='1.0'?>{text}".encode() for name, text in texts.items()} | dict(parts or {}))


def xlsx_row(number: int, cells: Iterable[Cell]) -> str:
    inside = ""
    for at, cell in enumerate(cells):
        place = f"{chr(65 + at)}{number}"
        if isinstance(cell, str):
            inside += f'<c r="{place}" t="inlineStr"><is><t>{escape(cell)}</t></is></c>'
        elif cell is not None:
            inside += f'<c r="{place}"><v>{cell}</v></c>'
    return f'<row r="{number}">{inside}</row>'


def ring(n: int) -> list[tuple[int, int]]:
    return [(n, 0), (n + 1, 0), (n + 1, 1), (n, 1), (n, 0)]


def kml(*placemarks: str, head: str = '<?xml version="1.0" encoding="UTF-8"?>') -> bytes:
    """Placemarks as given; without any, the three lots."""
    given = placemarks or tuple(kml_placemark(n) for n in range(3))
    return f'{head}<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{"".join(given)}</Document></kml>'.encode()


def kml_placemark(n: int, *, more: str = "", coordinates: str | None = None) -> str:
    if coordinates is None:
        coordinates = " ".join(f"{-73 + x / 1000},{41 + y / 1000},0" for x, y in ring(n))
    return (
        f"<Placemark><name>{n + 1:03d}</name>{more}<Polygon><outerBoundaryIs><LinearRing><coordinates>{coordinates}"
        "</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark>"
    )


def gml(*members: str, attributes: str = "", head: str = '<?xml version="1.0" encoding="UTF-8"?>') -> bytes:
    """Members as given; without any, the three lots."""
    given = members or tuple(gml_member(n) for n in range(3))
    return (
        f'{head}<gml:FeatureCollection xmlns:gml="http://www.opengis.net/gml" xmlns:t="http://town.example/t"'
        f"{attributes}>{''.join(given)}</gml:FeatureCollection>"
    ).encode()


def gml_member(n: int, *, more: str = "", coordinates: str | None = None, srs: str = "EPSG:2234") -> str:
    if coordinates is None:
        coordinates = " ".join(f"{x},{y}" for x, y in ring(n))
    return (
        f'<gml:featureMember><t:parcel fid="parcel.{n}"><t:id>{n + 1:03d}x</t:id>{more}'
        f'<t:shape><gml:Polygon srsName="{srs}">'
        f"<gml:outerBoundaryIs><gml:LinearRing><gml:coordinates>{coordinates}</gml:coordinates></gml:LinearRing>"
        "</gml:outerBoundaryIs></gml:Polygon></t:shape></t:parcel></gml:featureMember>"
    )


def dxf(*entities: str, blocks: str = "", end: str = "0\nEOF\n") -> bytes:
    """Entities as given; without any, the three lots as closed polylines."""
    given = entities or tuple(dxf_lot(n) for n in range(3))
    section = f"0\nSECTION\n2\nBLOCKS\n{blocks}0\nENDSEC\n" if blocks else ""
    return f"{section}0\nSECTION\n2\nENTITIES\n{''.join(given)}0\nENDSEC\n{end}".encode()


def dxf_lot(n: int, *, closed: bool = True, layer: str = "PARCELS") -> str:
    corners = "".join(f"10\n{x}.0\n20\n{y}.0\n" for x, y in ring(n)[:4])
    head = f"0\nLWPOLYLINE\n5\n{n + 100:X}\n100\nAcDbEntity\n8\n{layer}\n100\nAcDbPolyline\n"
    return f"{head}90\n4\n70\n{int(closed)}\n{corners}"


@lru_cache
def mapinfo(count: int = 3) -> dict[str, bytes]:
    """.tab, .dat, .map and .id."""
    return written(table(count), "MapInfo File", ".tab", crs="EPSG:2234")


@lru_cache
def mif(count: int = 3) -> dict[str, bytes]:
    return written(table(count), "MapInfo File", ".mif", crs="EPSG:2234", FORMAT="MIF")


@lru_cache
def flatgeobuf(count: int = 3) -> bytes:
    return written(table(count), "FlatGeobuf", ".fgb", SPATIAL_INDEX="NO")["parcels.fgb"]


@lru_cache
def filegdb(count: int = 3) -> dict[str, bytes]:
    """The files of the folder parcels.gdb."""
    shapes = [shapely.MultiPolygon([shapely.box(n, 0, n + 1, 1)]) for n in range(count)]
    rows = table(shapes=shapes)
    return written(rows, "OpenFileGDB", ".gdb", layer="parcels", geometry_type="MultiPolygon")


def geo_note(**about: Any) -> bytes:
    column = {"encoding": "WKB", "geometry_types": ["Polygon"], "crs": {"id": {"authority": "EPSG", "code": 2234}}}
    return json.dumps(
        {"version": "1.0.0", "primary_column": "geometry", "columns": {"geometry": column | about}}
    ).encode()


def parquet(rows: pa.Table | None = None, note: bytes | None = geo_note(), **options: Any) -> bytes:
    """A GeoParquet of the three lots, or of other rows with a column ``shape_``."""
    rows = table() if rows is None else rows
    rows = rows.rename_columns(["geometry" if name == "shape_" else name for name in rows.column_names])
    rows = rows.replace_schema_metadata(None)
    packed = io.BytesIO()
    with pq.ParquetWriter(packed, rows.schema, **options) as writer:
        if note is not None:
            writer.add_key_value_metadata({b"geo": note})
        writer.write_table(rows)
    return packed.getvalue()
