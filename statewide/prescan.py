"""A first look into a GeoPackage, a GeoJSON or a file geodatabase without GDAL: is it safe, and how many rows has it?

Runs inside the throwaway process, before GDAL is loaded. What is refused here are the ways in which a file makes
its reader fetch, run or wait; what is counted is what the reading is held against. Imports the standard library only.
"""

from __future__ import annotations

import json
import mmap
import re
import sqlite3
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from statewide.reading_limits import Unusable
from statewide.sniff import GDB_FIRST_TABLE, READABLE

_SQL_SECONDS = 30.0


@dataclass
class Count:
    """What one layer must give. ``rows`` is None when it could not be counted, and ``how`` then says why."""

    rows: int | None
    shapes: int | None
    how: str


@dataclass
class Prescan:
    """Counts by layer name (``None`` stands for the only layer) and sentences worth telling."""

    counts: dict[str | None, Count] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def prescan(kind: str, path: Path) -> Prescan:
    """Look into one dataset. Raises Unusable."""
    if kind == "geopackage":
        return _geopackage(path)
    if kind == "geojson":
        return _geojson(path)
    if kind == "filegdb":
        return _filegdb(path)
    return Prescan()


# GeoPackage


_ALLOWED_TRIGGER = re.compile(r"(rtree|gpkg|trigger_(insert|delete|update)_feature_count)_", re.IGNORECASE)
_ALLOWED_VIRTUAL = re.compile(
    r"""CREATE\s+VIRTUAL\s+TABLE\s+("(?:[^"]|"")+"|'(?:[^']|'')+'|\[[^\]]+\]|\w+)\s+USING\s+rtree\s*\(""", re.IGNORECASE
)


def _geopackage(path: Path) -> Prescan:
    found = Prescan()
    with path.open("rb") as file:
        header = file.read(20)
    if header[18] == 2:
        found.warnings.append(
            "The GeoPackage was saved with a write-ahead log; edits of a program that still had it open may be missing."
        )
    try:
        database = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            deadline = time.monotonic() + _SQL_SECONDS
            database.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA cell_size_check = ON")
            _check_geopackage_objects(database)
            _count_geopackage(database, found)
        finally:
            database.close()
    except sqlite3.DatabaseError as error:
        raise Unusable("is a damaged GeoPackage; export it again") from error
    return found


def _check_geopackage_objects(database: sqlite3.Connection) -> None:
    """Tables and the spatial index are data. A view or a strange trigger or module is a program, and stays shut."""
    for kind, name, sql in database.execute("SELECT type, name, sql FROM sqlite_master"):
        text = sql or ""
        if kind == "view":
            raise Unusable("holds a view, which is a program; export the parcels as a plain layer")
        if kind == "trigger" and not _ALLOWED_TRIGGER.match(name):
            raise Unusable("holds a trigger, which is a program; export the parcels into a new GeoPackage")
        if re.match(r"CREATE\s+VIRTUAL", text, re.IGNORECASE) and not _ALLOWED_VIRTUAL.match(text):
            raise Unusable("holds a virtual table; export the parcels into a new GeoPackage")


def _count_geopackage(database: sqlite3.Connection, found: Prescan) -> None:
    """Count by walking the table itself, not by the number that the file keeps about itself."""
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "gpkg_contents" not in tables:
        raise Unusable("is a GeoPackage without its list of layers; export it again")
    columns: dict[str, str] = {}
    if "gpkg_geometry_columns" in tables:
        columns = dict(database.execute("SELECT table_name, column_name FROM gpkg_geometry_columns").fetchall())
    listed = [name for (name,) in database.execute("SELECT table_name FROM gpkg_contents") if name in tables]
    for name in listed:
        shape = f"count({_quoted(columns[name])})" if name in columns else "0"
        query = f"SELECT count(*), {shape} FROM {_quoted(name)} NOT INDEXED"  # noqa: S608 - quoted as SQLite wants it
        try:
            rows, shapes = database.execute(query).fetchone()
        except sqlite3.DatabaseError as error:
            why = "took too long" if "interrupted" in str(error) else "the table is damaged"
            found.counts[name] = Count(None, None, f"not counted: {why}")
        else:
            found.counts[name] = Count(rows, shapes if name in columns else None, "SELECT count(*)")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# GeoJSON


# Text; a run of numbers and square brackets (coordinates, in one step); a brace.
_TOKEN = re.compile(rb'"(?:[^"\\]+|\\.)*"|[\[\]\d\s,.eE+-]+|[{}]', re.DOTALL)
_BIG_INTEGER = re.compile(rb"(?<![\d.eE+\"-])-?\d{19,}(?![\d.eE\"])")
_PLAIN_CRS = re.compile(r"(urn:ogc:def:crs:)?(EPSG:[\d.]*:?\d{4,6}|OGC:1?\.?3?:?CRS(84|83|27))", re.IGNORECASE)
_DEEPEST = 64
_OTHER_TYPES = {
    "Topology": "is TopoJSON",
    "Feature": "is a single GeoJSON feature, not a collection of them",
    "gdal_streamed_alg": "is a command for a program and holds no data itself",
}


def _geojson(path: Path) -> Prescan:
    found = Prescan()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        scan = _GeoJsonScan(data)
        scan.run()
        if data.find(b"\\u0000") >= 0:
            found.warnings.append("Some texts hold a NUL character and are cut there.")
        if _BIG_INTEGER.search(data):
            found.warnings.append("Some numbers have more digits than a whole number can hold; write them as text.")
    found.counts[None] = Count(scan.features, scan.shapes, "features in the file")
    return found


class _GeoJsonScan:
    """One pass over the bytes with the depth of braces and brackets; knows the members of the outermost object.

    Raises Unusable for what is no FeatureCollection, is cut off, or names a CRS that would have to be fetched.
    """

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.features = 0
        self.shapes = 0
        self._type: str | None = None

    def run(self) -> None:
        data = self._data
        depth = 0
        key = b""  # the last text seen: at an opening bracket, the name of the member
        in_features = False
        ended = False
        for match in self._tokens():
            first = data[match.start()]
            if first == 0x22:
                key = data[match.start() : match.end()]
                if ended:
                    self._refuse_second_document()
                if b"\\" in key or key in (b'"crs"', b'"type"', b'"geometry"'):
                    self._look_at(key, match.end(), depth, in_features)
            elif first in b"{}":
                if ended:
                    self._refuse_second_document()
                if first == 0x7B:
                    if in_features and depth == 2:
                        self.features += 1
                    depth += 1
                else:
                    depth -= 1
                    ended = depth == 0
                if depth < 0 or depth > _DEEPEST:
                    raise Unusable("is nested in a way that no map is; export it again")
            elif depth:
                run = data[match.start() : match.end()]
                opened, closed = run.count(b"["), run.count(b"]")
                if opened and depth == 1:
                    in_features = key == b'"features"'
                depth += opened - closed
                if depth > _DEEPEST or depth < 1:
                    raise Unusable("is nested in a way that no map is; export it again")
                if closed and depth == 1:
                    in_features = False
        if not ended:
            raise Unusable("is cut off in the middle; export and send it again")
        if self._type != "FeatureCollection":
            what = _OTHER_TYPES.get(self._type or "", "is JSON but not a GeoJSON feature collection")
            raise Unusable(f"{what}; send {READABLE}")

    def _tokens(self) -> Iterator[re.Match[bytes]]:
        start = 3 if self._data[:3] == b"\xef\xbb\xbf" else 0
        return _TOKEN.finditer(self._data, start)

    def _refuse_second_document(self) -> None:
        raise Unusable("holds several JSON documents one after the other; export it as one feature collection")

    def _look_at(self, key: bytes, end: int, depth: int, in_features: bool) -> None:
        name = _text(key)
        if name not in ("crs", "type", "geometry"):
            return
        after = re.compile(rb"\s*:\s*").match(self._data, end)
        if after is None:
            return
        value_at = after.end()
        if name == "crs" and self._data[value_at : value_at + 1] == b"{":
            self._check_crs(value_at)
        elif name == "type" and depth == 1:
            value = re.compile(rb'"(?:[^"\\]|\\.)*"').match(self._data, value_at)
            self._type = _text(value[0]) if value else None
        elif name == "geometry" and depth == 3 and in_features and self._data[value_at : value_at + 1] == b"{":
            self.shapes += 1

    def _check_crs(self, at: int) -> None:
        """A CRS by link is fetched by GDAL over the network; one by name may be a path or a definition to run."""
        try:
            crs, _ = json.JSONDecoder().raw_decode(self._data[at : at + 4096].decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            crs = {}
        properties = crs.get("properties")
        name = properties.get("name") if isinstance(properties, dict) else None
        if crs.get("type") == "name" and isinstance(name, str) and _PLAIN_CRS.fullmatch(name):
            return
        if crs.get("type") in ("link", "url") or isinstance(name, str):
            raise Unusable("names its coordinate system by something other than an EPSG code; export it again")


def _text(token: bytes) -> str:
    try:
        return str(json.loads(token))
    except ValueError:
        return ""


# File geodatabase


def _filegdb(path: Path) -> Prescan:
    """Row counts as each table's header has them; the catalogue (table 1) tells which table is which layer."""
    found = Prescan()
    try:
        names = _gdb_catalogue(path)
    except (OSError, struct.error, ValueError, IndexError):
        found.counts[None] = Count(None, None, "not counted: the catalogue of the geodatabase could not be read")
        return found
    for number, name in names.items():
        table = path / f"a{number:08x}.gdbtable"
        try:
            with table.open("rb") as file:
                version, rows = struct.unpack("<LL", file.read(8))
        except (OSError, struct.error):
            continue
        if version in (3, 4):
            found.counts[name] = Count(rows, None, "row count in the header of the table")
    return found


def _gdb_catalogue(path: Path) -> dict[int, str]:
    """Table number → name. The layout is that of the public reverse-engineered specification by E. Rouault:
    .gdbtablx holds offsets into .gdbtable; a catalogue row is its size, no null flags, then the name."""
    table = (path / GDB_FIRST_TABLE).read_bytes()
    index = (path / GDB_FIRST_TABLE.replace(".gdbtable", ".gdbtablx")).read_bytes()
    _, _, rows, width = struct.unpack_from("<LLLL", index)
    if not 4 <= width <= 6 or rows > 100_000:
        raise ValueError("unknown layout")
    nullable = _gdb_nullable_columns(table)
    names = {}
    for row in range(rows):
        offset = int.from_bytes(index[16 + row * width : 16 + (row + 1) * width], "little")
        if offset == 0:
            continue
        at = offset + 4 + (nullable + 7) // 8
        length = table[at]
        if length >= 0x80:
            length = (length & 0x7F) | table[at + 1] << 7
            at += 1
        names[row + 1] = table[at + 1 : at + 1 + length].decode("utf-8")
    return names


def _gdb_nullable_columns(table: bytes) -> int:
    """How many columns of the catalogue may be null, which is how many flag bits each row starts with."""
    at = struct.unpack_from("<Q", table, 32)[0]
    columns = struct.unpack_from("<H", table, at + 12)[0]
    at += 14
    nullable = 0
    for _ in range(columns):
        for _ in range(2):  # name and alias
            at += 1 + 2 * table[at]
        kind = table[at]
        at += 1
        if kind == 6:  # object id
            at += 2
            continue
        if kind == 4:  # text: width, flag, default
            flag = table[at + 4]
            at += 6 + table[at + 5]
        elif kind in (0, 1, 2, 3, 5):  # numbers and dates: width, flag, default
            flag = table[at + 1]
            at += 3 + table[at + 2]
        else:
            raise ValueError("unknown column in the catalogue")
        nullable += flag & 1
    return nullable
