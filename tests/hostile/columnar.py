"""FlatGeobuf, GeoParquet and GeoJSON by lines: counts that lie, and small files that unfold without end."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import shapely

from tests.hostile.corpus import Bait, Entry, Read, Refused
from tests.hostile.ingredients import feature, flatgeobuf, geo_note, geojson, parquet, patched, table, written, zip_of

_IDS = ["001", "002", "003"]
_WHOLE = Read(cells={"id": _IDS}, empty=0)


def entries(bait: Bait) -> Iterator[Entry]:
    yield from _flatgeobuf()
    yield from _parquet(bait)
    yield from _parquet_bombs()
    yield from _lines(bait)


def _flatgeobuf() -> Iterator[Entry]:
    whole = flatgeobuf(1000)
    yield Entry("plain.fgb", flatgeobuf(), Read(cells={"id": _IDS}, epsg=2234, empty=0))
    yield Entry("in a zip.zip", zip_of({"parcels.fgb": flatgeobuf()}), _WHOLE)
    indexed = written(table(1000), "FlatGeobuf", ".fgb")["parcels.fgb"]
    yield Entry("with an index.fgb", indexed, Read(1000, empty=0))
    yield Entry("no rows.fgb", flatgeobuf(0), Read(0))
    yield Entry("cut in half.fgb", whole[: len(whole) // 2], Refused("damaged|cut off"))
    yield Entry("index cut in half.fgb", indexed[:2000], Refused("damaged|cut off"))
    yield Entry("cut in the header.fgb", whole[:60], Refused("damaged"))
    yield Entry("cut after its mark.fgb", whole[:8], Refused("damaged|empty|not"))
    header = struct.unpack("<L", whole[8:12])[0]
    yield Entry("header of 2^31 bytes.fgb", patched(whole, (8, b"\xff\xff\xff\x7f")), Refused("damaged"))
    yield Entry("header of no bytes.fgb", patched(whole, (8, bytes(4))), Refused("cut off"))
    first = 12 + header
    yield Entry("feature of 2^31 bytes.fgb", patched(whole, (first, b"\xff\xff\xff\x7f")), Refused("cut off"))
    yield Entry("feature of no bytes.fgb", patched(whole, (first, bytes(4))), Refused("cut off"))
    yield Entry("noise in a feature.fgb", patched(whole, (first + 4, b"\xa5" * 60)), Read(0, counted=1000, said="GDAL"))
    count = whole.index(struct.pack("<Q", 1000), 12, first)
    yield Entry(
        "says 500.fgb", patched(whole, (count, struct.pack("<Q", 500))), Read(500, counted=1000, said="has 1,000")
    )
    yield Entry("says 2^60.fgb", patched(whole, (count, struct.pack("<Q", 2**60))), Refused("damaged|records|cut off"))
    yield Entry("noise after it.fgb", flatgeobuf() + b"\xa5" * 100, Refused("damaged|after|cut off"))
    yield Entry("of another version.fgb", patched(whole, (3, b"\x09")), Refused("another version"))


def _parquet(bait: Bait) -> Iterator[Entry]:
    whole = parquet()
    yield Entry("plain.parquet", whole, Read(cells={"id": _IDS}, epsg=2234, empty=0))
    yield Entry("parquet in a zip.zip", zip_of({"parcels.parquet": whole}), _WHOLE)
    yield Entry("no note.parquet", parquet(note=None), Refused("table without shapes"))
    yield Entry("no note as a table.parquet", parquet(note=None), Read(cells={"id": _IDS}), shapes=False)
    for how, note in (
        ("no json", b"hello"),
        ("an empty object", b"{}"),
        ("a list", b"[]"),
        ("a number", b"7"),
        ("100000 brackets", b"[" * 100_000),
        ("no latin", b"\xff\xfe"),
        ("another column", geo_note().replace(b'"geometry"', b'"nowhere"')),
        ("shapes of arrows", geo_note(encoding="polygon")),
        ("shapes of words", geo_note().replace(b'"geometry"', b'"street"')),
    ):
        yield Entry(f"note of {how}.parquet", parquet(note=note), Refused("damaged|not WKB"))
    yield Entry("system null.parquet", parquet(note=geo_note(crs=None)), Read(epsg=None, empty=0))
    yield Entry("system a path.parquet", parquet(note=geo_note(crs=str(bait.secret))), Read(epsg=None, empty=0))
    grid = {"type": "GeographicCRS", "name": "x", "nadgrids": str(bait.secret), "url": f"{bait.url}/crs"}
    yield Entry(
        "system of nonsense.parquet", parquet(note=geo_note(crs=grid)), Read(epsg=None, said="coordinate system")
    )
    code = {"id": {"authority": "EPSG", "code": 999999}}
    yield Entry(
        "system that nobody knows.parquet", parquet(note=geo_note(crs=code)), Read(epsg=None, said="coordinate system")
    )
    noise = table()
    cells = [*noise["shape_"].to_pylist()[:2], b"\x01\x03\x00\x00\x00\xff\xff\xff\x7f"]
    noise = noise.set_column(2, "shape_", pa.array(cells, type=pa.binary()))
    yield Entry("a shape of noise.parquet", parquet(noise), Read(lost=1, said="[Ss]hape", empty=1))
    none = noise.set_column(2, "shape_", pa.array([*cells[:2], None], type=pa.binary()))
    yield Entry("a shape missing.parquet", parquet(none), Read(empty=1))
    level = struct.pack("<BLL", 1, 7, 1)
    deep = noise.set_column(
        2, "shape_", pa.array([*cells[:2], level * 30_000 + struct.pack("<BLL", 1, 7, 0)], type=pa.binary())
    )
    yield Entry("a shape nested 30000 deep.parquet", parquet(deep), Refused("nested|crashed its reader"))
    yield Entry("cut in half.parquet", whole[: len(whole) // 2], Refused("damaged"))
    yield Entry("end missing.parquet", whole[:-4], Refused("damaged"))
    yield Entry(
        "footer of 2^31 bytes.parquet", patched(whole, (len(whole) - 8, b"\xff\xff\xff\x7f")), Refused("damaged")
    )
    yield Entry("noise in the footer.parquet", patched(whole, (len(whole) - 200, b"\xa5" * 60)), Refused("damaged"))
    yield Entry("noise in a page.parquet", patched(whole, (40, b"\xa5" * 60)), Refused("damaged"))
    yield Entry("nothing but marks.parquet", b"PAR1PAR1", Refused("damaged"))
    nested = table().append_column("more", pa.array([{"a": [1, {"b": 2}]}] * 0 + [{"a": [1]}, None, {"a": []}]))
    yield Entry("lists and objects.parquet", parquet(nested), _WHOLE)
    wide = table()
    for n in range(2000):
        wide = wide.append_column(f"c{n}", pa.array([1, 2, 3]))
    yield Entry("two thousand columns.parquet", parquet(wide), _WHOLE)
    names = table().rename_columns(["row_no", "a'; --", "shape_"])
    yield Entry("hostile names.parquet", parquet(names), Read(columns=("row_no_1", "a'; --")))
    yield Entry(
        "one name twice.parquet", parquet(table().rename_columns(["id", "id", "shape_"])), Read(columns=("id", "id_1"))
    )
    long = table().append_column("big", pa.array([2**64 - 1, 2**53 + 1, 0], type=pa.uint64()))
    yield Entry("number of 2^64.parquet", parquet(long), Refused("damaged"))


def _parquet_bombs() -> Iterator[Entry]:
    ones = pa.array(np.zeros(20_000_000, dtype=np.int8))
    square = shapely.to_wkb(shapely.box(0, 0, 1, 1))
    shape = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(20_000_000, dtype=np.int32)), pa.array([square], type=pa.binary())
    )
    rows = pa.table({"id": ones, "shape_": shape})
    yield Entry(
        "20 million rows.parquet",
        parquet(rows, compression="zstd", store_schema=False),
        Refused("more than 5,000,000 records"),
    )
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, dtype=np.int32)), pa.array(["x" * 1_000_000]))
    shapes = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(100_000, dtype=np.int32)), pa.array([square], type=pa.binary())
    )
    unfolded = pa.table({"id": text, "shape_": shapes})
    yield Entry(
        "100 GB of text.parquet",
        parquet(unfolded, compression="zstd", store_schema=False, dictionary_pagesize_limit=2_000_000),
        Refused("memory|times|unpack"),
    )


def _lines(bait: Bait) -> Iterator[Entry]:
    lots = [json.dumps(one).encode() for one in json.loads(geojson())["features"]]
    yield Entry("plain.geojsonl", b"\n".join(lots) + b"\n", Read(cells={"id": _IDS}, epsg=4326, empty=0))
    yield Entry("plain.geojson", b"\n".join(lots), _WHOLE)
    yield Entry("with separators.geojsons", b"".join(b"\x1e" + lot + b"\n" for lot in lots), _WHOLE)
    yield Entry("lines in a zip.zip", zip_of({"parcels.geojsonl": b"\n".join(lots)}), _WHOLE)
    yield Entry("ends of Windows.geojsonl", b"\r\n".join(lots), _WHOLE)
    yield Entry("empty lines.geojsonl", b"\n\n".join(lots) + b"\n\n", _WHOLE)
    bad = Refused("damaged in its object|something other than a GeoJSON feature|several JSON")
    yield Entry("last line cut off.geojsonl", b"\n".join([*lots, lots[0][:50]]), bad)
    yield Entry("a line of noise.geojsonl", b"\n".join([*lots[:2], b"{noise", lots[2]]), bad)
    yield Entry("a line of a number.geojsonl", b"\n".join([*lots, b"7"]), bad)
    yield Entry("a collection among lines.geojsonl", b"\n".join([*lots, geojson()]), bad)
    command = b'{"type":"gdal_streamed_alg","command_line":"gdal vector pipeline ! read /etc/passwd"}'
    yield Entry("a command among lines.geojsonl", b"\n".join([*lots, command]), bad)
    yield Entry("a command first.geojsonl", b"\n".join([command, *lots]), bad)
    crs = json.dumps(feature(crs={"type": "link", "properties": {"href": f"{bait.url}/crs"}})).encode()
    yield Entry("a crs by link among lines.geojsonl", b"\n".join([*lots, crs]), Refused("coordinate system"))
    deep = b'{"type":"Feature","properties":{"a":' + b"[" * 5000 + b"]" * 5000 + b'},"geometry":null}'
    yield Entry("a deep line.geojsonl", b"\n".join([*lots, deep]), Refused("nested|damaged in its object"))
