"""GeoPackages: a database is a program waiting to run (reliability study 2d)."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from typing import Any

import shapely

from tests.hostile.corpus import Bait, Entry, Read, Refused
from tests.hostile.ingredients import changed, geopackage, gpkg_blob, patched, table, written

_IDS = ["001", "002", "003"]
_HOSTILE = 'x\'; DROP TABLE "parcels"; --'


def entries(bait: Bait) -> Iterator[Entry]:
    yield from _programs(bait)
    yield from _catalogues()
    yield from _pages()
    yield from _cells()
    yield from _blobs()


def _programs(bait: Bait) -> Iterator[Entry]:
    loop = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) AS n FROM r"
    for how, statement, said in (
        ("view that loads a library", "CREATE VIEW v AS SELECT load_extension('/tmp/evil.so')", "view"),
        ("view that reads a file", f"CREATE VIEW v AS SELECT readfile('{bait.secret}')", "view"),
        ("view that never ends", f"CREATE VIEW v AS {loop}", "view"),
        ("view of much memory", "CREATE VIEW v AS SELECT hex(zeroblob(900000000)) AS x", "view"),
        ("view in place of the layer", "CREATE VIEW v AS SELECT * FROM parcels", "view"),
        ("trigger", "CREATE TRIGGER t AFTER INSERT ON parcels BEGIN DELETE FROM parcels; END", "trigger"),
        (
            "trigger of a usual name",
            "CREATE TRIGGER rtree_parcels_geom_insert AFTER INSERT ON parcels BEGIN DELETE FROM parcels; END",
            "trigger|GDAL|",
        ),
        ("virtual table of files", _virtual("VirtualOGR(''/etc/passwd'')"), "virtual table"),
        ("virtual table of text", _virtual(f"VirtualText(''{bait.secret}'')"), "virtual table"),
        ("virtual table of the disk", _virtual("dbstat"), "virtual table"),
        ("full text index", "CREATE VIRTUAL TABLE words USING fts5(street)", "virtual table"),
        (
            "column that is computed",
            "ALTER TABLE parcels ADD COLUMN c TEXT AS (hex(zeroblob(1000)))",
            "computed|generated|GDAL",
        ),
    ):
        verdict = Read(cells={"id": _IDS}) if how == "trigger of a usual name" else Refused(said)
        if how == "column that is computed":
            verdict = Read(cells={"id": _IDS})
        yield Entry(f"{how}.gpkg", changed(geopackage(), statement), verdict)
    check = "CREATE TABLE extra (x TEXT CHECK (load_extension('/tmp/evil.so') IS NULL))"
    yield Entry("check that loads a library.gpkg", changed(geopackage(), check), Read(cells={"id": _IDS}))


def _virtual(module: str) -> str:
    return f"INSERT INTO sqlite_master VALUES ('table', 'evil', 'evil', 0, 'CREATE VIRTUAL TABLE evil USING {module}')"


def _catalogues() -> Iterator[Entry]:
    whole = geopackage()
    yield Entry("plain.gpkg", whole, Read(cells={"id": _IDS}, epsg=2234))
    indexed = written(table(), "GPKG", ".gpkg", layer="parcels")["parcels.gpkg"]
    yield Entry("with its index and triggers.gpkg", indexed, Read(cells={"id": _IDS}))
    yield Entry("no list of layers.gpkg", changed(whole, "DROP TABLE gpkg_contents"), Refused("list of layers"))
    yield Entry("an empty list of layers.gpkg", changed(whole, "DELETE FROM gpkg_contents"), Refused("list of layers"))
    gone = changed(whole, "DROP TABLE parcels")
    yield Entry("the layer is not there.gpkg", gone, Refused("list of layers"))
    lying = changed(whole, "UPDATE gpkg_ogr_contents SET feature_count = 999999")
    yield Entry("count that lies.gpkg", lying, Read(cells={"id": _IDS}))
    less = changed(whole, "UPDATE gpkg_ogr_contents SET feature_count = 1")
    yield Entry("count that lies low.gpkg", less, Read(cells={"id": _IDS}))
    yield Entry("no table of systems.gpkg", changed(whole, "DROP TABLE gpkg_spatial_ref_sys"), Refused("damaged"))
    strange = changed(whole, "UPDATE gpkg_geometry_columns SET srs_id = 99", "UPDATE gpkg_contents SET srs_id = 99")
    yield Entry("system that nobody knows.gpkg", strange, Read(said="GDAL|coordinate", epsg=None))
    column = changed(whole, "UPDATE gpkg_geometry_columns SET column_name = 'nowhere'")
    yield Entry("shape column that is not there.gpkg", column, Read(lost=3, said="without the shape", empty=3))
    system = changed(
        whole,
        "UPDATE gpkg_contents SET table_name = 'sqlite_master'",
        "UPDATE gpkg_geometry_columns SET table_name = 'sqlite_master', column_name = 'sql'",
    )
    yield Entry("the catalogue as a layer.gpkg", system, Refused("list of layers|without shapes"))
    rows = table().rename_columns([_HOSTILE, "street", "shape_"])
    named = written(rows, "GPKG", ".gpkg", layer=_HOSTILE)["parcels.gpkg"]
    yield Entry("hostile names.gpkg", named, Read(columns=(_HOSTILE, "street")))
    numbered = "CREATE TABLE t{} (fid INTEGER PRIMARY KEY, geom BLOB)"
    many = changed(whole, *(one for n in range(300) for one in (numbered.format(n), *_listed(f"t{n}"))))
    yield Entry("three hundred layers.gpkg", many, Refused("more than 200 layers"))
    two = changed(whole, "CREATE TABLE lots AS SELECT * FROM parcels", *_listed("lots"))
    yield Entry("two layers.gpkg", two, Read(cells={"id": _IDS}))
    yield Entry("of another application.gpkg", patched(whole, (68, b"XXXX")), Refused("SQLite"))


def _listed(layer: str) -> tuple[str, str]:
    return (
        "INSERT INTO gpkg_contents(table_name, data_type, identifier, srs_id)"
        f" VALUES ('{layer}', 'features', '{layer}', 2234)",
        f"INSERT INTO gpkg_geometry_columns VALUES ('{layer}', 'geom', 'POLYGON', 2234, 0, 0)",
    )


def _pages() -> Iterator[Entry]:
    whole = geopackage(500)
    size = int.from_bytes(whole[16:18], "big")
    yield Entry("cut in half.gpkg", whole[: len(whole) // 2], Refused("damaged"))
    yield Entry("cut after its head.gpkg", whole[:100], Refused("damaged"))
    yield Entry("last page missing.gpkg", whole[:-size], Refused("damaged"))
    yield Entry("noise in a page.gpkg", patched(whole, (len(whole) - 4 * size, b"\xa5" * size)), _torn())
    yield Entry("zeros in a page.gpkg", patched(whole, (len(whole) - 4 * size, bytes(size))), _torn())
    yield Entry("page size of 3.gpkg", patched(whole, (16, b"\x00\x03")), Refused("damaged"))
    yield Entry("written by a later version.gpkg", patched(whole, (18, b"\x09\x09")), Refused("damaged"))
    yield Entry("with a write-ahead log.gpkg", patched(whole, (18, b"\x02\x02")), Read(500, said="write-ahead"))
    yield Entry("encoded as utf-16.gpkg", _utf16(), Read(cells={"id": _IDS}))
    loop = bytearray(whole)
    yield Entry("text encoding unknown.gpkg", bytes(patched(loop, (56, b"\x00\x00\x00\x09"))), Read(500))


def _torn() -> Read:
    return Read(474, counted=None, said="record by record", broken=tuple(range(417, 443)))


def _utf16() -> bytes:
    source = sqlite3.connect(":memory:")
    source.deserialize(geopackage())
    target = sqlite3.connect(":memory:")
    target.execute("PRAGMA encoding = 'UTF-16le'")
    target.execute("PRAGMA application_id = 1196444487")
    target.execute("PRAGMA user_version = 10300")
    for (statement,) in source.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND type = 'table'"
    ):
        target.execute(statement)
    for (name,) in source.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall():
        rows = source.execute(f"SELECT * FROM {name}").fetchall()
        if rows:
            target.executemany(f"INSERT INTO {name} VALUES ({','.join('?' * len(rows[0]))})", rows)
    target.commit()
    return target.serialize()


def _cells() -> Iterator[Entry]:
    def with_cell(column: str, value: object, kind: str = "INTEGER") -> bytes:
        return changed(
            geopackage(),
            f"ALTER TABLE parcels ADD COLUMN {column} {kind}",
            (f"UPDATE parcels SET {column} = ? WHERE fid = 2", [value]),
        )

    yield Entry("text in a number.gpkg", with_cell("lots", "abc"), Read(said="lots"))
    yield Entry("number beyond 2^53.gpkg", with_cell("lots", 2**53 + 1), Read(cells={"lots": [None, 2**53 + 1, None]}))
    yield Entry("blob in a text.gpkg", with_cell("label", b"\x00\xff\x01", "TEXT"), Read(said="label"))
    yield Entry(
        "text that is not utf-8.gpkg",
        with_cell("label", "x", "TEXT").replace(b"Oak St", b"Oak \xfft"),
        Read(said="Windows-1252"),
    )
    yield Entry("NUL in a text.gpkg", with_cell("label", "abc\0def", "TEXT"), Read(said="NUL"))
    yield Entry("date that is none.gpkg", with_cell("day", "0000-00-00", "DATE"), Read(said="GDAL"))
    yield Entry(
        "text of 3 MB.gpkg",
        with_cell("label", "x" * 3_000_000, "TEXT"),
        Read(cells={"label": [None, "x" * 3_000_000, None]}),
    )
    yield Entry(
        "fids with gaps.gpkg", changed(geopackage(), "UPDATE parcels SET fid = fid * 1000000"), Read(cells={"id": _IDS})
    )
    yield Entry("fids below zero.gpkg", changed(geopackage(), "UPDATE parcels SET fid = -fid"), Read())
    yield Entry(
        "infinity.gpkg", with_cell("area", float("inf"), "REAL"), Read(cells={"area": [None, float("inf"), None]})
    )
    wide = changed(geopackage(), *(f"ALTER TABLE parcels ADD COLUMN c{n} INTEGER" for n in range(1500)))
    yield Entry("fifteen hundred columns.gpkg", wide, Read(cells={"id": _IDS}))


def _blobs() -> Iterator[Entry]:
    square: bytes = shapely.to_wkb(shapely.box(0, 0, 1, 1))

    def with_blob(blob: Any) -> bytes:
        return changed(geopackage(), ("UPDATE parcels SET geom = ? WHERE fid = 2", [blob]))

    lost = Read(lost=1, said="[Ss]hape", empty=1)
    yield Entry("blob of noise.gpkg", with_blob(gpkg_blob(b"\x01\x03\x00\x00\x00\xff\xff\xff\x7f")), lost)
    yield Entry("blob without a shape.gpkg", with_blob(gpkg_blob(b"")), lost)
    yield Entry("blob of no geopackage.gpkg", with_blob(b"hello"), lost)
    yield Entry("blob is a text.gpkg", with_blob("POLYGON((0 0,1 0,1 1,0 0))"), lost)
    yield Entry(
        "blob of a point count of 2^31.gpkg", with_blob(gpkg_blob(patched(square, (9, b"\xff\xff\xff\x7f")))), lost
    )
    yield Entry(
        "blob of a ring count of 2^31.gpkg", with_blob(gpkg_blob(patched(square, (5, b"\xff\xff\xff\x7f")))), lost
    )
    yield Entry("blob cut off.gpkg", with_blob(gpkg_blob(square[:-20])), lost)
    yield Entry("blob followed by noise.gpkg", with_blob(gpkg_blob(square + b"\xff" * 40)), Read(empty=0))
    yield Entry(
        "blob of big-endian numbers.gpkg",
        with_blob(gpkg_blob(shapely.to_wkb(shapely.box(0, 0, 1, 1), byte_order=0))),
        Read(empty=0),
    )
    yield Entry("blob of another system.gpkg", with_blob(gpkg_blob(square, srid=4326)), Read(empty=0))
    yield Entry(
        "blob empty by its flag.gpkg",
        with_blob(b"GP\x00\x11" + struct.pack("<l", 2234) + shapely.to_wkb(shapely.Polygon())),
        Read(empty=1),
    )
    nan = patched(square, (13 + 16, struct.pack("<d", float("nan"))))
    yield Entry("blob with NaN.gpkg", with_blob(gpkg_blob(nan)), Read(empty=0))
    extended = b"GP\x00\x21" + struct.pack("<l", 2234) + b"EVIL" + square
    yield Entry("blob of an extension.gpkg", with_blob(extended), lost)
    for kind, code, depth in (
        ("collections", 7, 40), ("collections", 7, 20_000), ("collections", 7, 200_000), ("polygons", 6, 50_000)
    ):  # fmt: skip
        level = b"\x01" + struct.pack("<LL", code, 1)
        nested = level * depth + b"\x01" + struct.pack("<LL", code, 0)
        verdict = Refused("nested deeper" if depth == 40 else "crashed its reader")
        yield Entry(f"{depth} {kind} in one another.gpkg", with_blob(gpkg_blob(nested)), verdict)
    curved = Read(empty=1, said="curves")
    for kind, code in (("curve", 10), ("surface", 12), ("triangle", 17), ("unknown 999", 999)):
        ring = struct.pack("<LL", 1, 4) + struct.pack("<8d", 0, 0, 1, 0, 1, 1, 0, 0)
        body = b"\x01" + struct.pack("<L", code) + (ring if code == 17 else struct.pack("<L", 0))
        yield Entry(f"blob of a {kind}.gpkg", with_blob(gpkg_blob(body)), lost if code in (17, 999) else curved)
