"""What kind of file this is, told by its bytes and never by its name.

A name is what the sender says; GDAL opens by content, so an upload called ``parcels.geojson`` may be a pointer
to other files of this machine. Only a kind of ``DRIVERS`` goes on to GDAL, with that one driver.
"""

from __future__ import annotations

import re
from pathlib import Path

from statewide.reading_limits import Unusable

# The kinds that are read, and the one GDAL driver that each may meet. A new format starts here.
DRIVERS = {
    "shapefile": "ESRI Shapefile",
    "filegdb": "OpenFileGDB",
    "geopackage": "GPKG",
    "geojson": "GeoJSON",
}
READABLE = "a zipped shapefile, a zipped file geodatabase, a GeoPackage or a GeoJSON"

GDB_FIRST_TABLE = "a00000001.gdbtable"
HEAD_BYTES = 64 * 1024

_SQLITE = b"SQLite format 3\x00"
_GEOPACKAGE_IDS = {b"GPKG", b"GP10", b"GP11"}

# Things that people do send, by their first bytes.
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "is a PDF document"),
    (b"\x1f\x8b", "is a gzip file"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive"),
    (b"Rar!", "is a RAR archive"),
    (b"fgb", "is a FlatGeobuf file"),
    (b"PAR1", "is a Parquet file"),
    (b"\xd0\xcf\x11\xe0", "is an old Office document"),
    (b"\x00\x01\x00\x00Standard Jet DB", "is an Access database or personal geodatabase"),
    (b"\x00\x01\x00\x00Standard ACE DB", "is an Access database or personal geodatabase"),
    (b"AC10", "is an AutoCAD drawing"),
    (b"II*\x00", "is an image"),
    (b"MM\x00*", "is an image"),
    (b"\x89PNG", "is an image"),
    (b"\xff\xd8\xff", "is an image"),
)

# The roots of XML that GDAL would act on; the first two are pointers to other data, not data.
_XML_ROOTS: tuple[tuple[str, str], ...] = (
    ("OGRVRTDataSource", "is a virtual layer that points to other files and holds no data itself"),
    ("WFS_Capabilities", "is the description of a web service and holds no data itself"),
    ("FeatureCollection", "is GML"),
    ("kml", "is KML"),
    ("gpx", "is a GPX track"),
    ("html", "is a web page"),
)


def sniff(path: Path) -> str:
    """The kind of one file: ``zip`` or a key of ``DRIVERS`` (a .shx and a .shp begin alike: both ``shapefile``).

    Raises Unusable, naming what the file is where that can be told.
    """
    size = path.stat().st_size
    if size == 0:
        raise Unusable("is empty")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"\x00\x00\x27\x0a"):
        return "shapefile"
    if head.startswith(_SQLITE):
        if head[68:72] in _GEOPACKAGE_IDS:
            return "geopackage"
        raise Unusable(f"is a SQLite database but not a GeoPackage; send {READABLE}")
    for signature, what in _SIGNATURES:
        if head.startswith(signature):
            raise Unusable(f"{what}; send {READABLE}")
    return _sniff_text(head)


def _sniff_text(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unusable(f"is text in UTF-16; send {READABLE}, with text in UTF-8")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if b"\x00" in head:
        raise Unusable(f"is not a map file that can be recognised; send {READABLE}")
    if not text:
        raise Unusable("is empty")
    if text.startswith(b"{"):
        return "geojson"
    if text.startswith(b"<"):
        raise Unusable(f"{_xml_kind(text)}; send {READABLE}")
    if text.startswith(b"0") and b"SECTION" in text[:200]:
        raise Unusable(f"is a DXF drawing; send {READABLE}")
    first, second, *_ = [*text.split(b"\n", 2), b"", b""]
    if any(first.count(mark) == second.count(mark) > 0 for mark in (b",", b";", b"\t", b"|")):
        raise Unusable(f"is a text table, not a map; send {READABLE}")
    raise Unusable(f"is not a map file that can be recognised; send {READABLE}")


def _xml_kind(text: bytes) -> str:
    if re.search(rb"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE) and b"<html" not in text.lower():
        return "is XML with a document type of its own, which is never opened"
    root = re.search(rb"<(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)", text)
    name = root[1].decode("ascii", "replace").lower() if root else ""
    for wanted, what in _XML_ROOTS:
        if name == wanted.lower():
            return what
    return "is an XML file of an unknown kind"
