"""File geodatabases: folders of tables that know each other by number. And databases that only look like Access."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from tests.hostile.corpus import Bait, Entry, Read, Refused, Verdict
from tests.hostile.ingredients import filegdb, patched, zip_of

_IDS = ["001", "002", "003"]


def entries(bait: Bait) -> Iterator[Entry]:
    yield from _folders()
    yield from _tables()
    yield from _access()


def _folders() -> Iterator[Entry]:
    whole = filegdb()
    plain = Read(cells={"id": _IDS}, epsg=2234, empty=0)
    yield Entry("plain.gdb/", whole, plain)
    yield Entry("plain.gdb.zip", zip_of(whole, "town.gdb/"), plain)
    yield Entry("without its folder.zip", zip_of(whole), plain)
    yield Entry("two folders deep.zip", zip_of(whole, "a/b/town.gdb/"), plain)
    yield Entry("in capitals.zip", zip_of({name.upper(): data for name, data in whole.items()}, "TOWN.GDB/"), plain)
    yield Entry("with locks.zip", zip_of(whole | {"a00000001.gdbtable.HOST.1.sr.lock": b""}, "town.gdb/"), plain)
    more = whole | {"../../evil": b"x"}
    yield Entry("with a way out.zip", zip_of(more, "town.gdb/"), Refused("leads out"))
    yield Entry("with a map inside.zip", zip_of(whole | {"parcels.vrt": b"<OGRVRTDataSource/>"}, "town.gdb/"), plain)
    two = {f"{town}.gdb/{name}": data for town in ("east", "west") for name, data in whole.items()}
    yield Entry("two alike.zip", zip_of(two), Refused("several layers"))
    first = {"a00000001.gdbtable": whole["a00000001.gdbtable"]}
    yield Entry("first table alone.zip", zip_of(first, "town.gdb/"), Refused("damaged"))
    empty = dict.fromkeys(whole, b"")
    yield Entry("files without a byte.zip", zip_of(empty, "town.gdb/"), Refused("damaged|empty"))


def _layer_table(whole: Mapping[str, bytes]) -> str:
    """Name of the file with the parcels: the last table."""
    return max(name for name in whole if name.endswith(".gdbtable"))


def _tables() -> Iterator[Entry]:
    whole = filegdb(1000)
    table = _layer_table(whole)
    index = table.replace(".gdbtable", ".gdbtablx")

    def spoiled(name: str, verdict: Verdict, **files: bytes | None) -> Entry:
        parts = {
            **whole,
            **{
                {"table": table, "index": index, "catalogue": "a00000001.gdbtable"}[at]: data
                for at, data in files.items()
            },
        }
        return Entry(
            f"{name}.zip", zip_of({at: data for at, data in parts.items() if data is not None}, "town.gdb/"), verdict
        )

    rows, data = whole[index], whole[table]
    none = uncounted = Read(0, counted=1000, said="GDAL", broken=tuple(range(1, 1001)))
    yield spoiled("table missing", Refused("damaged"), table=None)
    yield spoiled("index missing", Read(1000, said="gdbtablx"), index=None)
    yield spoiled(
        "table cut in half",
        Read(490, counted=1000, said="GDAL", broken=tuple(range(491, 1001))),
        table=data[: len(data) // 2],
    )
    yield spoiled("table of a header", uncounted, table=data[:40])
    yield spoiled("table is noise", Read(0, counted=None, said="GDAL"), table=b"\xa5" * len(data))
    yield spoiled("index cut in half", none, index=rows[: len(rows) // 2])
    yield spoiled("index is noise", none, index=rows[:16] + b"\xa5" * (len(rows) - 16))
    yield spoiled("table says 500", Read(1000, counted=500), table=patched(data, (4, struct.pack("<L", 500))))
    yield spoiled(
        "table says 2000",
        Read(1000, counted=2000, said="declares only 1000", broken=tuple(range(1001, 2001))),
        table=patched(data, (4, struct.pack("<L", 2000))),
    )
    gone = bytearray(rows)
    width = struct.unpack("<L", rows[12:16])[0]
    for row in range(0, 1000, 2):
        gone[16 + row * width : 16 + (row + 1) * width] = bytes(width)
    yield spoiled(
        "half the rows have no place", Read(500, counted=1000, broken=tuple(range(1, 1000, 2))), index=bytes(gone)
    )
    beyond = patched(rows, (16, b"\xff" * width))
    yield spoiled("a row beyond the end", Read(999, counted=1000, said=".", broken=(1,)), index=beyond)
    alias = rows[:16] + rows[16 : 16 + width] * 1000 + rows[16 + 1000 * width :]
    yield spoiled("all rows in one place", Read(1000, said="another row once more"), index=alias)
    places = [int.from_bytes(rows[16 + n * width : 16 + (n + 1) * width], "little") for n in range(3)]
    long = patched(data, (places[1], b"\xff\xff\xff\x7f"))
    yield spoiled("a row of 2^31 bytes", Read(999, counted=1000, said=".", broken=(2,)), table=long)
    noise = patched(data, (places[1] + 4, b"\xa5" * (places[2] - places[1] - 4)))
    yield spoiled("a row of noise", Read(1000, said="GDAL", empty=1), table=noise)
    catalogue = whole["a00000001.gdbtable"]
    yield spoiled("catalogue cut in half", Refused("damaged|no layers"), catalogue=catalogue[: len(catalogue) // 2])
    yield spoiled("catalogue is noise", Refused("damaged"), catalogue=b"\xa5" * len(catalogue))


def _access() -> Iterator[Entry]:
    jet = b"\x00\x01\x00\x00Standard Jet DB\x00"
    for how, content in (
        ("a header", jet),
        ("a page of zeros", jet + bytes(4096 - len(jet))),
        ("noise", jet + b"\xa5" * 40_000),
        (
            "pages that point at themselves",
            jet + b"\x01" + bytes(4096 - len(jet) - 1) + b"\x02\x01" + b"\x01\x00" * 2047,
        ),
    ):
        yield Entry(f"access of {how}.mdb", content, Refused("Access"), shapes=False)
    ace = b"\x00\x01\x00\x00Standard ACE DB\x00" + bytes(8000)
    yield Entry("access of a later kind.accdb", ace, Refused("Access"), shapes=False)
