"""What kind of file this is, told by its bytes and never by its name.

A name is what the sender says; GDAL opens by content, so an upload called ``parcels.geojson`` may be a pointer
to other files of this machine. Only a kind of ``DRIVERS`` goes on to GDAL, with that one driver.
"""

from __future__ import annotations

import re
from pathlib import Path

from statewide.delimited import looks_like_table
from statewide.reading_limits import MIB, Unusable

# The kinds that are read, and the one GDAL driver that each may meet. A new format starts here.
DRIVERS = {
    "shapefile": "ESRI Shapefile",
    "dbf": "ESRI Shapefile",
    "filegdb": "OpenFileGDB",
    "geopackage": "GPKG",
    "geojson": "GeoJSON",
    "geojsonseq": "GeoJSONSeq",
    "esrijson": "ESRIJSON",
    "flatgeobuf": "FlatGeobuf",
    "kml": "LIBKML",
    "gml": "GML",
    "dxf": "DXF",
    "mapinfo": "MapInfo File",
    "mif": "MapInfo File",
}
# The kinds that other libraries read.
READERS = {
    "parquet": "Arrow (Parquet)",
    "csv": "Arrow (CSV)",
    "xlsx": "calamine (XLSX)",
    "access": "mdbtools (Access)",
}
MDBTOOLS = tuple(Path("/usr/bin", name) for name in ("mdb-tables", "mdb-count", "mdb-export"))

# Those whose records have numbers to ask for; of the others, reading stops at the first broken one.
BY_RECORD = frozenset({"shapefile", "dbf", "geopackage", "filegdb", "mapinfo"})

READABLE = (
    "a zipped shapefile or file geodatabase, a GeoPackage, a GeoJSON or another of the formats in the town's guide"
)

SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
MAPINFO_PARTS = (".tab", ".dat", ".map", ".id")
MIF_PARTS = (".mif", ".mid")
# Of one file each. What goes by the name of a map must be one; a text or a workbook beside a map may be anything.
MAP_FILES = frozenset((".gpkg", ".geojson", ".geojsonl", ".geojsons", ".fgb", ".kml", ".gml", ".dxf", ".parquet"))
ANY_FILES = frozenset(
    (
        ".json",
        ".jsonl",
        ".ndjson",
        ".xml",
        ".csv",
        ".tsv",
        ".psv",
        ".txt",
        ".xlsx",
        ".xlsm",
        ".mdb",
        ".accdb",
        ".geoparquet",
        ".dsv",
    )
)

GDB_FIRST_TABLE = "a00000001.gdbtable"
HEAD_BYTES = 64 * 1024
_LONGEST_FEATURE = 64 * MIB

_SQLITE = b"SQLite format 3\x00"
_GEOPACKAGE_IDS = {b"GPKG", b"GP10", b"GP11"}

_BINARY: tuple[tuple[bytes, str], ...] = (
    (b"\x00\x00\x27\x0a", "shapefile"),
    (b"fgb\x03", "flatgeobuf"),
    (b"PAR1", "parquet"),
    (b"\x00\x01\x00\x00Standard Jet DB", "access"),
    (b"\x00\x01\x00\x00Standard ACE DB", "access"),
)

# Things that people do send, by their first bytes.
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "is a PDF document"),
    (b"\x1f\x8b", "is a gzip file"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive"),
    (b"Rar!", "is a RAR archive"),
    (b"fgb", "is a FlatGeobuf file of another version"),
    (b"\xd0\xcf\x11\xe0", "is an old Office document, such as an .xls workbook; save it as .xlsx"),
    (b"AC10", "is an AutoCAD drawing; save it as DXF"),
    (b"AutoCAD Binary DXF", "is a binary DXF; save it as DXF in text"),
    (b"II*\x00", "is an image"),
    (b"MM\x00*", "is an image"),
    (b"\x89PNG", "is an image"),
    (b"\xff\xd8\xff", "is an image"),
)

# What a feature service says of its answer before the features; a GeoJSON says nothing like it there.
_ESRI_PAGE = re.compile(rb'"(esriGeometry|esriFieldType)\w+"')

# The roots of XML that GDAL would act on: pointers to other data, not data.
_XML_ROOTS: dict[str, str] = {
    "ogrvrtdatasource": "is a virtual layer that points to other files and holds no data itself",
    "vrtdataset": "is a virtual image that points to other files and holds no data itself",
    "wfs_capabilities": "is the description of a web service and holds no data itself",
    "gpx": "is a GPX track",
    "html": "is a web page",
    "osm": "is an OpenStreetMap file",
    "schema": "is the description of a format (XSD) and holds no data itself",
}


def sniff(path: Path) -> str:
    """The kind of one file: ``zip``, or a key of ``DRIVERS`` or ``READERS`` (a .shx and a .shp begin alike).

    Raises Unusable, naming what the file is where that can be told.
    """
    if path.stat().st_size == 0:
        raise Unusable("is empty")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    for signature, kind in _BINARY:
        if head.startswith(signature):
            return kind
    if head.startswith(_SQLITE):
        if head[68:72] in _GEOPACKAGE_IDS:
            return "geopackage"
        raise Unusable(f"is a SQLite database but not a GeoPackage; send {READABLE}")
    for signature, what in _SIGNATURES:
        if head.startswith(signature):
            raise Unusable(what if ";" in what else f"{what}; send {READABLE}")
    return _sniff_text(head, path)


def _sniff_text(head: bytes, path: Path) -> str:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise Unusable("is empty")
    if b"\x00" not in head:
        if text.startswith(b"\x1e"):
            return "geojsonseq"
        if text.startswith(b"{"):
            if _ESRI_PAGE.search(text.partition(b'"features"')[0]):
                return "esrijson"
            return "geojsonseq" if _is_json_lines(path) else "geojson"
        if text.startswith(b"<"):
            return _xml_kind(text)
        if re.match(rb"(999\s*\r?\n[^\n]*\n\s*)*0\s*\r?\n\s*SECTION\b", text):
            return "dxf"
        if text[:6].lower() == b"!table":
            return "mapinfo"
        if re.match(rb"version\s+\d+", text, re.IGNORECASE) and re.search(rb"\bcolumns\s+\d+", text, re.IGNORECASE):
            return "mif"
    elif head.startswith((b"\xff\xfe", b"\xfe\xff")) and head[2:64].replace(b"\x00", b"").lstrip()[:1] in (b"{", b"<"):
        raise Unusable(f"is text in UTF-16; send {READABLE}, with text in UTF-8")
    if looks_like_table(head):
        return "csv"
    raise Unusable(f"is not a map file or table that can be recognised; send {READABLE}")


def _is_json_lines(path: Path) -> bool:
    """Whether the first line is an object by itself and another one follows."""
    with path.open("rb") as file:
        lines = (line.strip() for line in iter(lambda: file.readline(_LONGEST_FEATURE), b""))
        first, second = next((line for line in lines if line), b""), next((line for line in lines if line), b"")
    return first.endswith(b"}") and second.startswith(b"{")


def _xml_kind(text: bytes) -> str:
    if re.search(rb"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE) and b"<html" not in text.lower():
        raise Unusable(f"is XML with a document type of its own, which is never opened; send {READABLE}")
    bare = re.sub(rb"<!--.*?(-->|\Z)|<\?.*?\?>", b"", text, flags=re.DOTALL)
    root = re.search(rb"<(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)", bare)
    name = root[1].decode("ascii", "replace").lower() if root else ""
    if name in _XML_ROOTS:
        raise Unusable(f"{_XML_ROOTS[name]}; send {READABLE}")
    if name == "kml":
        return "kml"
    if name == "featurecollection" or b"http://www.opengis.net/gml" in text:
        return "gml"
    raise Unusable(f"is an XML file of an unknown kind; send {READABLE}")
