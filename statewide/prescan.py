"""A first look into a map without GDAL: is it safe, and how many rows has it?

Runs inside the throwaway process, before GDAL is loaded. What is refused here are the ways in which a file makes
its reader fetch, run or wait; what is counted is what the reading is held against.
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

import numpy as np
import numpy.typing as npt

from statewide.reading_limits import MIB, Unusable
from statewide.sniff import GDB_FIRST_TABLE, READABLE

_SQL_SECONDS = 30.0
_MOST_LAYERS = 200
_MOST_TESTS = 400  # in one query: joined by OR they must stay below the depth of 1,000 that SQLite takes
_WHOLE_NUMBER = re.compile(r"(TINY|SMALL|MEDIUM|BIG)?INT|BOOL")
_NUMBER = re.compile(r"DOUBLE|FLOAT|REAL")
_MISPLACED = "Values in column {} that are not of its kind, and come back changed or empty: {:,}."
_CUT = "Texts in column {} that hold a NUL character and are cut there: {:,}."

_Bytes = npt.NDArray[np.uint8]
_Bools = npt.NDArray[np.bool_]
_Depths = npt.NDArray[np.int32]


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
    notes: list[str] = field(default_factory=list)
    charset: str | None = None


def prescan(kind: str, path: Path) -> Prescan:
    """Look into one dataset. Raises Unusable."""
    looks = {
        "geopackage": _geopackage,
        "geojson": _geojson,
        "geojsonseq": _geojsonseq,
        "filegdb": _filegdb,
        "flatgeobuf": _flatgeobuf,
        "kml": _kml,
        "gml": _gml,
        "dxf": _dxf,
        "mapinfo": _mapinfo,
        "mif": _mif,
    }
    return looks[kind](path) if kind in looks else Prescan()


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
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise Unusable("is a damaged GeoPackage; export it again") from error
    return found


def _check_geopackage_objects(database: sqlite3.Connection) -> None:
    """Tables and the spatial index are data. A view or a strange trigger or module is a program, and stays shut."""
    for kind, name, sql in database.execute("SELECT type, name, sql FROM sqlite_master"):
        text = sql or ""
        if kind == "view":
            raise Unusable("holds a view, which is a program; export the rows as a plain layer")
        if kind == "trigger" and not _ALLOWED_TRIGGER.match(name):
            raise Unusable("holds a trigger, which is a program; export the layer into a new GeoPackage")
        if re.match(r"CREATE\s+VIRTUAL", text, re.IGNORECASE) and not _ALLOWED_VIRTUAL.match(text):
            raise Unusable("holds a virtual table; export the layer into a new GeoPackage")


def _count_geopackage(database: sqlite3.Connection, found: Prescan) -> None:
    """Count by walking the table itself, not by the number that the file keeps about itself."""
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "gpkg_contents" not in tables:
        raise Unusable("is a GeoPackage without its list of layers; export it again")
    columns: dict[str, str] = {}
    if "gpkg_geometry_columns" in tables:
        columns = dict(database.execute("SELECT table_name, column_name FROM gpkg_geometry_columns").fetchall())
    listed = [name for (name,) in database.execute("SELECT table_name FROM gpkg_contents") if name in tables]
    if not listed:
        raise Unusable("is a GeoPackage without its list of layers; export it again")
    if len(listed) > _MOST_LAYERS:
        raise Unusable(f"holds more than {_MOST_LAYERS} layers; send the one map or table alone")
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
            found.warnings += _values_of_another_kind(database, name, columns.get(name))


def _values_of_another_kind(database: sqlite3.Connection, table: str, shape: str | None) -> list[str]:
    """SQLite keeps any value in any column; GDAL makes 0 of a word in a column of numbers, and says nothing."""
    wanted = []
    for _, name, declared, *_ in database.execute(f"PRAGMA table_info({_quoted(table)})"):
        kind = declared.upper()
        column = _quoted(name)
        if name == shape:
            continue
        if _WHOLE_NUMBER.match(kind):
            wanted.append((name, f"typeof({column}) IN ('text', 'blob', 'real')", _MISPLACED))
        elif _NUMBER.match(kind):
            wanted.append((name, f"typeof({column}) IN ('text', 'blob')", _MISPLACED))
        elif kind.startswith("TEXT"):
            wanted.append((name, f"typeof({column}) = 'blob'", _MISPLACED))
            wanted.append((name, f"instr({column}, char(0)) > 0 AND typeof({column}) = 'text'", _CUT))
    said = []
    for first in range(0, len(wanted), _MOST_TESTS):
        some = wanted[first : first + _MOST_TESTS]
        rows = f"FROM {_quoted(table)} NOT INDEXED"
        anywhere = " OR ".join(f"({test})" for _, test, _ in some)  # half the work of counting what is seldom there
        if not database.execute(f"SELECT EXISTS (SELECT 1 {rows} WHERE {anywhere})").fetchone()[0]:
            continue
        query = f"SELECT {', '.join(f'sum({test})' for _, test, _ in some)} {rows}"
        counts = database.execute(query).fetchone()
        said += [sentence.format(name, count) for (name, _, sentence), count in zip(some, counts, strict=True) if count]
    return said


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# GeoJSON


_CHUNK = MIB
_DEEPEST = 64
_QUOTE, _BACKSLASH, _COLON_SPACE = 0x22, 0x5C, rb"\s*:\s*"
_MEMBER = re.compile(rb'"(crs|type|geometry)"' + _COLON_SPACE + rb'(\{|"(?:[^"\\]|\\.){0,200}")')
_MEMBERS = frozenset({"crs", "type", "geometry", "features"})
_ESCAPED_LETTER = re.compile(rb"\\u00[4-7][0-9a-fA-F]")
_ESCAPED_MEMBER = re.compile(rb'("[^"\\]{0,12}(?:\\u00[0-9a-fA-F]{2}[^"\\]{0,12})+")\s*:')
_LONGEST_MEMBER = 64 * 1024  # from its quote to its value, for all the blanks between
_PLAIN_CRS = re.compile(r"(urn:ogc:def:crs:)?(EPSG:[\d.]*:?\d{4,6}|OGC:1?\.?3?:?CRS(84|83|27))", re.IGNORECASE)
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
    if scan.big_number:
        found.warnings.append("Some numbers have more digits than a whole number can hold; write them as text.")
    found.counts[None] = Count(scan.features, scan.shapes, "features in the file")
    return found


class _GeoJsonScan:
    """One pass in chunks that follows texts and the depth of braces, at some hundred megabytes a second.

    Counts the objects in the outermost "features" and the objects that are their "geometry". Raises Unusable for what
    is no FeatureCollection, is cut off, or names a CRS that would have to be fetched.
    """

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.features = 0
        self._commas = 0
        self.shapes = 0
        self.big_number = False
        self._type: str | None = None
        self._depth = 0
        self._in_text = False
        self._escaped = False  # whether the next byte is
        self._in_features = False

    def run(self) -> None:
        self._check_escaped_members()
        ended_at: int | None = None
        for start in range(0, len(self._data), _CHUNK):
            ended_at = self._chunk(start, min(start + _CHUNK, len(self._data)))
            if ended_at is not None:
                break
        if ended_at is None:
            raise Unusable("is cut off in the middle; export and send it again")
        if self._commas:  # what is no feature stands in the list all the same, and GDAL passes over it
            self.features = self._commas + 1
        if re.compile(rb"\s*\Z").match(self._data, ended_at + 1) is None:
            raise Unusable("holds several JSON documents one after the other; export it as one feature collection")
        if self._type != "FeatureCollection":
            what = _OTHER_TYPES.get(self._type or "", "is JSON but not a GeoJSON feature collection")
            if re.search(rb'"(esri\w+|geometryType|spatialReference)"', self._data[:_CHUNK]):
                what = "is Esri's own JSON and not a GeoJSON"
            raise Unusable(f"{what}; send {READABLE}")

    def _chunk(self, start: int, end: int) -> int | None:
        """Follow ``start`` to ``end``; the place of the brace that closes the document, if it is there."""
        data: _Bytes = np.frombuffer(self._data[start:end], dtype=np.uint8)
        in_text = self._texts(data)
        opens = ((data == 0x7B) | (data == 0x5B)) & ~in_text
        closes = ((data == 0x7D) | (data == 0x5D)) & ~in_text
        depth = np.cumsum(opens.astype(np.int8) - closes.astype(np.int8), dtype=np.int32) + self._depth
        if len(depth) and (int(depth.max()) > _DEEPEST or int(depth.min()) < 0):
            raise Unusable("is nested in a way that no map is; export it again")
        ends = np.flatnonzero(closes & (depth == 0))
        if len(ends):  # what follows the document is looked at by itself
            stop = int(ends[0]) + 1
            data, in_text, depth = data[:stop], in_text[:stop], depth[:stop]
            opens, closes = opens[:stop], closes[:stop]
        in_features = self._feature_ranges(start, data, opens, closes, depth)
        self.features += int(((data == 0x7B) & opens & (depth == 3) & in_features).sum())
        self._commas += int(((data == 0x2C) & ~in_text & (depth == 2) & in_features).sum())
        self._look_at_members(start, depth, in_features)
        self._look_for_big_numbers(data, in_text)
        self._depth = int(depth[-1])
        return start + int(ends[0]) if len(ends) else None

    def _texts(self, data: _Bytes) -> _Bools:
        """Which bytes are within quotes. A quote counts unless an odd number of backslashes stands before it."""
        quotes = data == _QUOTE
        backslashes = data == _BACKSLASH
        if self._escaped or backslashes.any():
            free = -1  # the byte after an escape, which is no escape itself
            if self._escaped:
                quotes[0] = False
                free = 0
            for at in np.flatnonzero(backslashes).tolist():
                if at == free:
                    continue
                free = at + 1
                if free < len(data):
                    quotes[free] = False
            self._escaped = free == len(data)
        in_text: _Bools = (np.cumsum(quotes, dtype=np.int32) + self._in_text) % 2 == 1
        self._in_text = bool(in_text[-1])
        return in_text

    def _feature_ranges(
        self,
        start: int,
        data: _Bytes,
        opens: _Bools,
        closes: _Bools,
        depth: _Depths,
    ) -> _Bools:
        """Which bytes lie in the outermost list called "features"."""
        inside = np.zeros(len(data), dtype=bool)
        begin = 0
        # A list of the outermost object begins where the depth becomes 2, and ends where it is 1 again.
        for at in np.flatnonzero(
            (data == 0x5B) & opens & (depth == 2) | (data == 0x5D) & closes & (depth == 1)
        ).tolist():
            if data[at] == 0x5B:
                before = self._data[max(0, start + at - 100) : start + at]
                self._in_features = re.search(rb'"features"\s*:\s*\Z', before) is not None
                begin = at
            elif self._in_features:
                inside[begin : at + 1] = True
                self._in_features = False
        if self._in_features:
            inside[begin:] = True
        return inside

    def _look_at_members(self, start: int, depth: _Depths, in_features: _Bools) -> None:
        end = start + len(depth)
        for match in _MEMBER.finditer(self._data, start, min(end + _LONGEST_MEMBER, len(self._data))):
            at = match.start() - start
            if at >= len(depth):
                break
            name, value = match[1], match[2]
            if name == b"geometry":
                self.shapes += bool(value == b"{" and depth[at] == 3 and in_features[at])
            elif name == b"type":
                if depth[at] == 1 and value != b"{":
                    if self._type is not None:
                        raise Unusable("says twice of what type it is; export it again")
                    self._type = _text(value)
            elif value == b"{":
                self._check_crs(match.end() - 1)

    def _look_for_big_numbers(self, data: _Bytes, in_text: _Bools) -> None:
        """Whole numbers of 19 digits and more, outside of texts; digits behind a point are another matter."""
        others = np.flatnonzero((data < 0x30) | (data > 0x39))
        for at in np.flatnonzero(np.diff(others) > 19).tolist():
            first, last = int(others[at]), int(others[at + 1])
            if not in_text[first] and data[first] not in b".eE+" and data[last] not in b".eE":
                self.big_number = True
                return

    def _check_escaped_members(self) -> None:
        """No program writes plain letters as \\u0063: whoever hides these names wants them not to be found."""
        for letter in _ESCAPED_LETTER.finditer(self._data):
            around = self._data[max(0, letter.start() - 64) : letter.end() + 64]
            if any(_text(match[1]) in _MEMBERS for match in _ESCAPED_MEMBER.finditer(around)):
                raise Unusable("writes the names of its members in a hidden way; export it again")

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


# Newline GeoJSON

_LONGEST_FEATURE = 64 * MIB


def _geojsonseq(path: Path) -> Prescan:
    """One object after the other, each read by Python's own JSON: on a line of its own, or behind a record mark."""
    found = Prescan()
    rows = shapes = 0
    for number, text in enumerate(_json_texts(path), start=1):
        try:
            feature = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Unusable(f"is damaged in its object {number:,}; export and send it again") from error
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            if isinstance(feature, dict) and feature.get("type") == "FeatureCollection":
                raise Unusable("holds several JSON documents one after the other; export it as one feature collection")
            raise Unusable(f"holds something other than a GeoJSON feature (object {number:,}); export it again")
        if "crs" in feature:
            raise Unusable("names a coordinate system inside its features; export it again")
        rows += 1
        shapes += isinstance(feature.get("geometry"), dict)
    found.counts[None] = Count(rows, shapes, "features in the file")
    return found


def _json_texts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        marked = file.read(1) == b"\x1e"
        file.seek(0)
        pending = b""
        while line := file.readline(_LONGEST_FEATURE):
            if not marked:
                if line.strip():
                    yield line
                continue
            pieces = line.split(b"\x1e")
            pending += pieces[0]
            for piece in pieces[1:]:
                if pending.strip():
                    yield pending
                pending = piece
            if len(pending) > _LONGEST_FEATURE:
                raise Unusable("holds a feature larger than any lot is; export it again")
        if pending.strip():
            yield pending


# FlatGeobuf


def _flatgeobuf(path: Path) -> Prescan:
    """Features are counted by their size marks, from the end of the index on; the header's own count may be 0."""
    found = Prescan()
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            size = struct.unpack_from("<I", data, 8)[0]
            declared, node = _flatgeobuf_header(data, 12, 12 + size)
            if declared > len(data):
                raise ValueError("more features than bytes")
            at = 12 + size + (_index_bytes(declared, node) if declared and node else 0)
            rows = 0
            while at + 4 <= len(data):
                at += 4 + struct.unpack_from("<I", data, at)[0]
                rows += 1
            if at != len(data):
                raise Unusable("is cut off in the middle; export and send it again")
    except (struct.error, IndexError, ValueError) as error:
        raise Unusable("is a damaged FlatGeobuf file; export it again") from error
    if declared and declared != rows:
        found.warnings.append(f"The file says that it has {declared:,} features, and has {rows:,}.")
    found.counts[None] = Count(rows, None, "features in the file")
    return found


def _flatgeobuf_header(data: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    """(features, width of a node of the index), fields 8 and 9 of the table that the header is."""
    if end > len(data):
        raise ValueError("header beyond the file")
    table = start + struct.unpack_from("<I", data, start)[0]
    slots = table - struct.unpack_from("<i", data, table)[0]
    length = struct.unpack_from("<H", data, slots)[0]

    def place(number: int) -> int:
        return int(struct.unpack_from("<H", data, slots + 4 + 2 * number)[0]) if 4 + 2 * number < length else 0

    features = struct.unpack_from("<Q", data, table + place(8))[0] if place(8) else 0
    node = struct.unpack_from("<H", data, table + place(9))[0] if place(9) else 16
    return features, node


def _index_bytes(features: int, node: int) -> int:
    """A packed R-tree: 40 bytes for each feature and each node above."""
    if node < 2 or features > 1 << 40:
        raise ValueError("unknown index")
    total = level = features
    while level > 1:
        level = -(-level // node)
        total += level
    return 40 * total


# KML and GML


def _kml(path: Path) -> Prescan:
    from statewide.prescan_xml import count_placemarks

    counts = count_placemarks(path)
    return Prescan({name: Count(*each, "placemarks in the file") for name, each in counts.items()})


def _gml(path: Path) -> Prescan:
    from statewide.prescan_xml import count_gml_members

    counts = count_gml_members(path)
    return Prescan({name: Count(*each, "feature members in the file") for name, each in counts.items()})


# DXF


def _dxf(path: Path) -> Prescan:
    from statewide.prescan_dxf import survey_drawing

    drawing = survey_drawing(path)
    found = Prescan({None: Count(drawing.areas, drawing.areas, "closed polylines and hatches in the drawing")})
    if drawing.others:
        found.notes.append(f"Of the drawing only closed shapes are read; left out: {drawing.others_said}.")
    return found


# MapInfo


_MOST_MAPINFO_ROWS = 5_000_000


def _mapinfo(path: Path) -> Prescan:
    """The .dat is a dBASE table under another name. A .tab may also be a view of other files, or a link to one."""
    text = path.read_bytes()[: 64 * 1024].decode("latin-1").lower()
    if not re.search(r"^\s*type\s+native\b", text, re.MULTILINE) or "create view" in text or "open table" in text:
        raise Unusable("is a MapInfo table that points to other files; save a copy as a native table")
    if re.search(r'isseamless"\s*=\s*"true', text):
        raise Unusable("is a seamless MapInfo table, which points to other files; save a copy as a native table")
    with path.with_suffix(".dat").open("rb") as file:
        head = file.read(12)
        size = file.seek(0, 2)
        if len(head) < 12:
            raise Unusable("has a .dat without a header; save a copy of the table")
        declared, start, width = struct.unpack("<LHH", head[4:12])
        if width == 0 or start > size:
            raise Unusable("has a .dat whose header is damaged; save a copy of the table")
        present = (size - start) // width
        rows = declared if present < declared <= _MOST_MAPINFO_ROWS else present
        file.seek(start)
        gone = sum(file.read(width)[:1] == b"*" for _ in range(present))
    how = "records in the .dat" + (f", less {gone:,} marked as deleted" if gone else "")
    warnings = []
    if declared != present:
        warnings.append(f"The .dat says it has {declared:,} records and has room for {present:,}.")
    charset = re.search(r'charset\s+"(\w+)"', text)
    return Prescan({None: Count(rows - gone, None, how)}, warnings, charset=charset[1] if charset else None)


_MIF_OBJECT = re.compile(
    rb"\s*(none|point|multipoint|line|pline|region|arc|text|rect|roundrect|ellipse|collection)\b", re.IGNORECASE
)


def _mif(path: Path) -> Prescan:
    """Each line of the .mid is a row. A quoted text may hold a line break; a delimiter alone makes no difference."""
    rows = 0
    open_text = False
    with path.with_suffix(".mid").open("rb") as file:
        for line in file:
            if not open_text and not line.strip():
                continue
            rows += not open_text
            open_text ^= bool(line.count(b'"') % 2)
    with path.open("rb") as file:
        charset = re.search(rb'charset\s+"(\w+)"', file.read(4096), re.IGNORECASE)
        file.seek(0)
        rows = max(rows, sum(_MIF_OBJECT.match(line) is not None for line in file))
    said = charset[1].decode("ascii") if charset else None
    return Prescan({None: Count(rows, None, "lines of the .mid and objects of the .mif")}, charset=said)


# File geodatabase


def _filegdb(path: Path) -> Prescan:
    """Row counts as each table's header has them; the catalogue (table 1) tells which table is which layer."""
    found = Prescan()
    try:
        names = _gdb_catalogue(path)
    except (OSError, struct.error, ValueError, IndexError, OverflowError):
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
            if again := _rows_in_one_place(table.with_suffix(".gdbtablx")):
                found.warnings.append(f"Rows of {name} that are only another row once more: {again:,}.")
    return found


def _rows_in_one_place(index: Path) -> int:
    """How many offsets of a .gdbtablx repeat an earlier one."""
    try:
        with index.open("rb") as file:
            version, blocks, _, width = struct.unpack("<LLLL", file.read(16))
            data = np.frombuffer(file.read(blocks * 1024 * width), dtype=np.uint8)
    except (OSError, struct.error):
        return 0
    if version != 3 or not 4 <= width <= 6:
        return 0
    cells = data[: len(data) // width * width].reshape(-1, width).astype(np.int64)
    offsets = (cells << np.arange(0, 8 * width, 8)).sum(axis=1)
    offsets = offsets[offsets > 0]
    return len(offsets) - len(np.unique(offsets))


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
