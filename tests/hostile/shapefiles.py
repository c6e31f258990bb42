"""Shapefiles with one thing wrong each (reliability study 2c): what GDAL passes over in silence must be said."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import shapely

from tests.hostile.corpus import Bait, Entry, Read, Refused, Verdict
from tests.hostile.ingredients import part, patched, shapefile, table, written, zip_of

_MANY = 1000
_IDS = [f"{number:03d}" for number in range(1, 4)]
_HUGE = b"\xff\xff\xff\x7f"


def entries(bait: Bait) -> Iterator[Entry]:
    yield from _lengths()
    yield from _records()
    yield from _indexes()
    yield from _tables()
    yield from _encodings()
    yield from _kinds()


def _zipped(name: str, verdict: Verdict, count: int = 3, **parts: bytes) -> Entry:
    return Entry(f"{name}.zip", zip_of(shapefile(count, without=(), **parts)), verdict)


def _lengths() -> Iterator[Entry]:
    shp, shx, dbf = (bytes(part(suffix, _MANY)) for suffix in ("shp", "shx", "dbf"))
    half = shp[: len(shp) // 2]
    cut = Read(_MANY, lost=501, said="cut off|middle of a record", empty=501)
    yield _zipped("shp cut in half", cut, _MANY, shp=half)
    yield _zipped("shp cut at a record", Read(_MANY, lost=500, said="GDAL|cut off"), _MANY, shp=shp[: 100 + 500 * 136])
    yield _zipped("shp and shx cut at the same record", Read(500, counted=_MANY), _MANY,
                  shp=_resized(shp[: 100 + 500 * 136]), shx=_resized(shx[: 100 + 500 * 8]))  # fmt: skip
    yield _zipped("shp of a header", Refused("shp|damaged"), shp=shp[:60])
    yield _zipped("shp of nothing", Refused("empty|header|not a shapefile"), shp=b"")
    yield _zipped("shp of a header alone", Read(_MANY, lost=_MANY, said="GDAL", empty=_MANY), _MANY, shp=shp[:100])
    yield _zipped("shx cut in half", Read(_MANY, said="shx"), _MANY, shx=shx[: len(shx) // 2 + 3])
    yield _zipped("dbf cut in half", Read(499, counted=_MANY, said="has room for"), _MANY, dbf=dbf[: len(dbf) // 2])
    yield _zipped("dbf of a header", Refused("dbf"), dbf=dbf[:32])
    yield _zipped("dbf of nothing", Refused("dbf|empty"), dbf=b"")
    yield _zipped("dbf is noise", Refused("dbf"), dbf=bytes(range(256)))
    yield _zipped("shp followed by noise", Read(), shp=bytes(part("shp")) + b"\xff" * 500)
    yield _zipped("dbf without its last byte", Read(_MANY), _MANY, dbf=dbf[:-1])


def _records() -> Iterator[Entry]:
    """The first record begins at 100; its content at 108: type, box, part count at 144, point count at 148."""
    shp = part("shp")
    one_lost = Read(lost=1, said="without the shape|GDAL", empty=1)
    yield _zipped("part count of 2^31", one_lost, shp=patched(shp, (144, _HUGE)))
    yield _zipped("part count negative", one_lost, shp=patched(shp, (144, b"\xff\xff\xff\xff")))
    yield _zipped("point count of 2^31", one_lost, shp=patched(shp, (148, _HUGE)))
    yield _zipped("point count of zero", Read(empty=1), shp=patched(shp, (148, bytes(4))))
    yield _zipped("part begins beyond the points", one_lost, shp=patched(shp, (152, _HUGE)))
    yield _zipped("shape of type 99", one_lost, shp=patched(shp, (108, struct.pack("<L", 99))))
    yield _zipped("shape of another type", Read(), shp=patched(shp, (108, struct.pack("<L", 3))))
    yield _zipped("file of type 99", Read(), shp=patched(shp, (32, struct.pack("<L", 99))))
    yield _zipped(
        "record of length 0", Read(0, counted=3, said="middle of a record"), shp=patched(shp, (104, bytes(4)))
    )
    yield _zipped(
        "record of length 2^31",
        Read(0, counted=3, said="middle of a record"),
        shp=patched(shp, (104, b"\x7f\xff\xff\xff")),
    )
    yield _zipped(
        "record of negative length",
        Read(0, counted=3, said="middle of a record"),
        shp=patched(shp, (104, b"\xff\xff\xff\xf0")),
    )
    yield _zipped("file length of 2^32", Read(), shp=patched(shp, (24, b"\xff\xff\xff\xff")))
    yield _zipped("file length of zero", Read(), shp=patched(shp, (24, bytes(4))))
    yield _zipped("null shape", Read(empty=1), shp=patched(shp, (108, bytes(4))))
    for how, number in (("NaN", np.nan), ("infinite", np.inf), ("1e308", 1e308)):
        verdict = Read(lost=1, said="could not be read", empty=1) if how == "NaN" else Read(said="closed")
        spoiled = patched(shp, (156, struct.pack("<d", number)))
        yield _zipped(f"coordinate is {how}", verdict, shp=spoiled)
    yield _zipped("box is NaN", Read(), shp=patched(shp, (36, struct.pack("<4d", *[np.nan] * 4))))


def _indexes() -> Iterator[Entry]:
    shx = part("shx", _MANY)
    remade = Read(_MANY, said="shx .* made anew", empty=0)
    yield _zipped("shx missing", Read(said="made anew"), shx=b"")
    yield Entry("no shx.zip", zip_of(shapefile(without=["shx"])), Read(said="made anew", cells={"id": _IDS}))
    yield _zipped("shx is noise", remade, _MANY, shx=bytes(shx[:100]) + bytes(range(256)) * 31 + bytes(64))
    alias = bytes(shx[:100]) + bytes(shx[100:108]) * _MANY
    yield _zipped("shx points all rows at one record", remade, _MANY, shx=alias)
    yield _zipped(
        "shx points beyond the end",
        Read(_MANY, lost=1, said="GDAL", empty=1),
        _MANY,
        shx=patched(shx, (100, b"\x7f\xff\xff\xf0")),
    )
    yield _zipped("shx points at the header", remade, _MANY, shx=patched(shx, (100, bytes(4))))
    yield _zipped("shx is longer", remade, _MANY, shx=bytes(shx) + bytes(800))
    pairs = np.frombuffer(bytes(shx[100:]), ">i4").reshape(-1, 2)
    yield _zipped("shx backwards", Read(_MANY, empty=0), _MANY,
                  shx=bytes(shx[:100]) + pairs[::-1].tobytes())  # fmt: skip
    half = bytes(shx[: 100 + 8 * 500])
    yield _zipped("shx of half the records", remade, _MANY, shx=half)
    yield _zipped("shx of half the records that says so", remade, _MANY, shx=_resized(half))
    dbf = part("dbf", _MANY)
    start, width = struct.unpack("<HH", dbf[8:12])
    rows = patched(dbf[: start + 500 * width], (4, struct.pack("<L", 500)))
    more = Read(500, counted=_MANY)
    unnamed = Read(500, said="does not name")
    yield _zipped("shx and dbf of half the records", unnamed, _MANY, shx=_resized(half), dbf=rows)
    yield _zipped("dbf of half the records", more, _MANY, dbf=rows)


def _tables() -> Iterator[Entry]:
    dbf = part("dbf", _MANY)
    header, width = struct.unpack("<HH", dbf[8:12])
    for count, given in ((0, 0), (500, 500), (999, 999), (1001, _MANY), (2**31, 0), (2**32 - 1, _MANY)):
        verdict = Read(given, counted=_MANY, said="has room for")
        yield _zipped(f"dbf says {count} records", verdict, _MANY, dbf=patched(dbf, (4, struct.pack("<L", count))))
    gone = bytearray(dbf)
    for row in range(0, _MANY, 2):
        gone[header + row * width] = ord("*")
    deleted = Read(500, said="marked as deleted")
    yield _zipped("half the rows marked as deleted", deleted, _MANY, dbf=bytes(gone))
    yield _zipped("record of no width", Refused("dbf"), dbf=patched(part("dbf"), (10, bytes(2))))
    yield _zipped("header longer than the file", Refused("dbf"), dbf=patched(part("dbf"), (8, b"\xff\xff")))
    yield _zipped("header of no length", Refused("dbf"), dbf=patched(part("dbf"), (8, bytes(2))))
    yield _zipped("column wider than the record", Refused("dbf"), dbf=patched(part("dbf"), (48, b"\xfa")))
    yield _zipped("column of no width", Read(said="columns"), dbf=patched(part("dbf"), (48, b"\x00")))
    yield _zipped("column of an unknown type", Read(), dbf=patched(part("dbf"), (43, b"?")))
    yield _zipped("column without a name", Read(), dbf=patched(part("dbf"), (32, bytes(11))))
    yield _zipped(
        "two columns of one name", Read(columns=("id", "id_1")), dbf=patched(part("dbf"), (64, b"id" + bytes(9)))
    )
    yield _zipped("no columns", Refused("without columns"), dbf=patched(part("dbf"), (32, b"\r")))
    nul = bytearray(part("dbf"))
    at = nul.index(b"Elm St")
    nul[at + 3] = 0
    yield _zipped("NUL inside a text", Read(said="NUL character"), dbf=bytes(nul))
    stars = written(table(area=[1.5, 2.5, 3.5]), "ESRI Shapefile", ".shp")
    at = stars["parcels.dbf"].rindex(b"3.5") - 10
    stars["parcels.dbf"] = patched(stars["parcels.dbf"], (at, b"*" * 13))
    yield Entry("number of stars.zip", zip_of(stars), Read(cells={"area": [1.5, 2.5, None]}))
    letters = {**stars, "parcels.dbf": patched(stars["parcels.dbf"], (at, b"unknown area!"))}
    yield Entry("number of letters.zip", zip_of(letters), Read(said="GDAL|number"))
    long = written(table(number=[2**53 + 1, 10**15 + 1, 7]), "ESRI Shapefile", ".shp")
    yield Entry("number beyond 2^53.zip", zip_of(long), Read(cells={"number": [2**53 + 1, 10**15 + 1, 7]}))
    yield Entry("shape rows fewer than table rows.zip", zip_of(shapefile() | {"parcels.dbf": bytes(part("dbf", 5))}),
                Read(3, counted=5))  # fmt: skip


def _encodings() -> Iterator[Entry]:
    names = ["Müller", "Flurstück", "Peña"]

    def coded(encoding: str, cpg: bytes | None, language: int = 0) -> bytes:
        parts = written(table(label=[f"label {n:06d}" for n in range(3)]), "ESRI Shapefile", ".shp")
        dbf = parts["parcels.dbf"]
        for n, name in enumerate(names):
            dbf = dbf.replace(b"label %06d" % n, name.encode(encoding).ljust(12))
        parts["parcels.dbf"] = patched(dbf, (29, bytes([language])))
        parts.pop("parcels.cpg", None)
        return zip_of(parts if cpg is None else parts | {"parcels.cpg": cpg})

    whole = Read(cells={"label": names})
    for how, encoding, cpg, language in (
        ("utf-8", "utf-8", b"UTF-8", 0),
        ("utf-8 without a cpg", "utf-8", None, 0),
        ("utf-8 called latin-1", "utf-8", b"ISO-8859-1", 0),
        ("cp1252", "cp1252", b"1252", 0),
        ("cp1252 without a cpg", "cp1252", None, 0x57),
        ("cp1252 without a word", "cp1252", None, 0),
        ("cp1252 called utf-8", "cp1252", b"UTF-8", 0),
        ("cp1252 with a mark", "cp1252", b"\xef\xbb\xbfANSI 1252\r\n", 0),
        ("cp850", "cp850", b"850", 0),
        ("cp850 by its header", "cp850", None, 0x02),
        ("cp1252 with a cpg of nonsense", "cp1252", b"KLINGON", 0),
        ("utf-8 called utf-16", "utf-8", b"UTF-16", 0),
        ("utf-8 with a cpg of 40 KB", "utf-8", b"x" * 40_000, 0),
    ):
        yield Entry(f"text in {how}.zip", coded(encoding, cpg, language), whole)


def _resized(data: bytes) -> bytes:
    """A .shp or .shx whose header tells its length as it is."""
    return patched(data, (24, struct.pack(">L", len(data) // 2)))


def _kinds() -> Iterator[Entry]:
    def of(kind: str, shapes: list[shapely.Geometry | None]) -> bytes:
        return zip_of(written(table(shapes=shapes), "ESRI Shapefile", ".shp", geometry_type=kind))

    point, line = shapely.Point(1, 1), shapely.LineString([(0, 0), (1, 1)])
    square = shapely.box(0, 0, 1, 1)
    yield Entry("points.zip", of("Point", [point] * 3), Read())
    yield Entry("lines.zip", of("LineString", [line] * 3), Read())
    yield Entry("heights.zip", of("Polygon Z", [shapely.force_3d(square, 7)] * 3), Read())
    yield Entry("no shape at all.zip", of("Polygon", [None] * 3), Read(empty=3))
    yield Entry("no rows.zip", of("Polygon", []), Read(0))
    holed = shapely.Polygon(square.exterior, [shapely.box(0.2, 0.2, 0.4, 0.4).exterior])
    yield Entry(
        "holes and parts.zip",
        of("Polygon", [holed, shapely.MultiPolygon([square, shapely.box(5, 5, 6, 6)]), square]),
        Read(),
    )
    bow = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    yield Entry("bow tie.zip", of("Polygon", [bow, square, square]), Read())
    anticlockwise = shapely.Polygon(list(square.exterior.coords)[::-1])
    yield Entry("turning the other way.zip", of("Polygon", [anticlockwise] * 3), Read())
    bare = shapefile()
    yield Entry("bare.shp", {name.replace("parcels", "bare"): data for name, data in bare.items()}, Read())
    loud = {name.replace("parcels", "BARE").upper(): data for name, data in bare.items()}
    yield Entry("BARE.SHP", loud, Read())
    yield Entry("bare without dbf.shp", {"bare without dbf.shp": bare["parcels.shp"]}, Refused("without bare"))
    yield Entry("a folder/", bare, Read())
    yield Entry("no prj.zip", zip_of(shapefile(without=["prj"])), Read())
