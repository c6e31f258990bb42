"""Seeded damage to whole files of every format, and how many rows each mutant must give, counted without the product.

A mutant is known by its format and its number alone, so that one that fails can be made again.
"""

from __future__ import annotations

import io
import random
import sqlite3
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pyarrow.parquet as pq

from tests.hostile import ingredients as made

ROWS = 60
SEED = 20261122


@dataclass(frozen=True)
class Source:
    """``parts`` are the files by name; those of an archive are mutated one by one and zipped again, or as a zip.

    ``count``: rows of a mutant of the part that it is given, at most; None when it cannot be told (it holds as many as
    the original then).
    """

    suffix: str
    parts: dict[str, bytes]
    count: Callable[[str, bytes], int | None]


@dataclass(frozen=True)
class Mutant:
    """``rows``: how many any reader could still find; ``how`` says what was done."""

    suffix: str
    content: bytes
    rows: int
    how: str


def _lots() -> list[int]:
    return list(range(ROWS))


@cache
def sources() -> dict[str, Source]:
    wkt = [f'{n:05d},{made.STREETS[n % 3]},"{made.WKT[n % 3]}"' for n in _lots()]
    table = [("id", "street", "wkt"), *((f"{n:05d}", made.STREETS[n % 3], made.WKT[n % 3]) for n in _lots())]
    features = [made.feature(properties={"id": f"{n:05d}", "street": made.STREETS[n % 3]}) for n in _lots()]
    return {
        "shapefile": Source(".zip", made.shapefile(ROWS), _dbf_rows),
        "filegdb": Source(".zip", {f"t.gdb/{name}": data for name, data in made.filegdb(ROWS).items()}, _unknown),
        "geopackage": Source(".gpkg", {"": made.geopackage(ROWS)}, _sqlite_rows),
        "geojson": Source(".geojson", {"": made.geojson(features)}, _marks(b'"Feature"')),
        "flatgeobuf": Source(".fgb", {"": made.flatgeobuf(ROWS)}, _unknown),
        "parquet": Source(".parquet", {"": made.parquet(made.table(ROWS))}, _parquet_rows),
        "kml": Source(".kml", {"": made.kml(*map(made.kml_placemark, _lots()))}, _marks(b"<Placemark>")),
        "gml": Source(".gml", {"": made.gml(*map(made.gml_member, _lots()))}, _marks(b"<gml:featureMember>")),
        "csv": Source(".csv", {"": made.csv(*wkt)}, _marks(b"\n", -1)),
        "xlsx": Source(".xlsx", _unzipped(made.xlsx(table)), _sheet_rows),
        "dxf": Source(".dxf", {"": made.dxf(*map(made.dxf_lot, _lots()))}, _marks(b"\nLWPOLYLINE\n")),
        "mapinfo": Source(".zip", made.mapinfo(ROWS), _dat_rows),
    }


def mutant(kind: str, number: int) -> Mutant:
    """Number ``number`` of the format ``kind``."""
    chance = random.Random(f"{SEED} {kind} {number}")
    source = sources()[kind]
    if "" in source.parts:
        content, how = _damaged(source.parts[""], chance)
        return Mutant(source.suffix, content, _at_most(source, "", content), how)
    if chance.random() < 0.2:
        content, how = _damaged(made.zip_of(source.parts), chance)
        return Mutant(source.suffix, content, ROWS, f"the zip: {how}")
    name = chance.choice(sorted(source.parts))
    content, how = _damaged(source.parts[name], chance)
    packed = made.zip_of(source.parts | {name: content})
    return Mutant(source.suffix, packed, _at_most(source, name, content), f"{name}: {how}")


def _at_most(source: Source, name: str, content: bytes) -> int:
    rows = source.count(name, content)
    return ROWS if rows is None else min(ROWS, max(0, rows))


def _damaged(content: bytes, chance: random.Random) -> tuple[bytes, str]:
    data = bytearray(content)
    kind = chance.choice(("flip", "flip", "overwrite", "cut", "take out", "splice", "repeat"))
    size = max(1, len(data))
    at = chance.randrange(size)
    length = min(chance.choice((1, 2, 4, 8, 16, 100, 1000)), size)
    if kind == "flip":
        places = [chance.randrange(size) for _ in range(chance.randint(1, 8))]
        for place in places:
            data[place : place + 1] = bytes([chance.randrange(256)])
        return bytes(data), f"bytes at {places}"
    if kind == "overwrite":
        data[at : at + length] = chance.choice((bytes(length), b"\xff" * length, chance.randbytes(length)))
    elif kind == "cut":
        del data[at:]
    elif kind == "take out":
        del data[at : at + length]
    else:
        block = data[at : at + length]
        to = chance.randrange(size)
        data[to : to + (length if kind == "splice" else 0)] = block
    return bytes(data), f"{kind} {length} bytes at {at}"


# How many rows a mutant can still give


def _unknown(name: str, content: bytes) -> int | None:
    return None


def _marks(mark: bytes, more: int = 0) -> Callable[[str, bytes], int]:
    return lambda name, content: content.count(mark) + more


def _dbf_rows(name: str, content: bytes) -> int | None:
    """Rows by the length of the table, as its whole original describes it; those marked as deleted are none."""
    if not name.endswith(".dbf"):
        return None
    start, width = struct.unpack("<HH", made.part("dbf", ROWS)[8:12])
    rows = [content[at : at + 1] for at in range(start, len(content) - width + 1, width)]
    return len(rows) - rows.count(b"*")


def _dat_rows(name: str, content: bytes) -> int | None:
    if not name.endswith(".dat"):
        return None
    start, width = struct.unpack("<HH", made.mapinfo(ROWS)["parcels.dat"][8:12])
    rows = [content[at : at + 1] for at in range(start, len(content) - width + 1, width)]
    return len(rows) - rows.count(b"*")


def _sqlite_rows(name: str, content: bytes) -> int | None:
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(content)
        return int(connection.execute("SELECT count(*) FROM parcels NOT INDEXED").fetchone()[0])
    except (sqlite3.Error, UnicodeDecodeError):  # SQLite quotes the damaged text in its complaint
        return None
    finally:
        connection.close()


def _parquet_rows(name: str, content: bytes) -> int | None:
    try:
        return int(pq.ParquetFile(io.BytesIO(content)).read().num_rows)
    except Exception:  # whatever Arrow says of a damaged file
        return None


def _sheet_rows(name: str, content: bytes) -> int | None:
    return content.count(b"<row") - 1 if name.endswith("sheet1.xml") else None


def _unzipped(packed: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
