"""DXF, MapInfo TAB and MIF: drawings that repeat themselves without end, and parts that do not fit."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.hostile.corpus import Bait, Entry, Read, Refused
from tests.hostile.ingredients import dxf, dxf_lot, mapinfo, mif, patched, zip_of

_IDS = ["001", "002", "003"]


def entries(bait: Bait) -> Iterator[Entry]:
    yield from _dxf()
    yield from _dxf_bombs()
    yield from _tab(bait)
    yield from _mif()


def _dxf() -> Iterator[Entry]:
    whole = dxf()
    yield Entry("plain.dxf", whole, Read(epsg=None, empty=0))
    yield Entry("in a zip.zip", zip_of({"parcels.dxf": whole}), Read(empty=0))
    yield Entry("ends of Windows.dxf", whole.replace(b"\n", b"\r\n"), Read(empty=0))
    yield Entry("comments before it.dxf", b"999\nmade by hand\n" + whole, Read(empty=0))
    yield Entry("cut in half.dxf", whole[: len(whole) // 2], Refused("damaged|cut off"))
    yield Entry("cut between entities.dxf", whole[: whole.rindex(b"0\nLWPOLYLINE")], Refused("damaged|cut off"))
    yield Entry("no end.dxf", dxf(end=""), Refused("damaged|cut off"))
    yield Entry("a line missing.dxf", whole.replace(b"90\n4\n", b"90\n", 1), Refused("damaged|cut off"))
    yield Entry(
        "noise in the middle.dxf",
        patched(whole, (len(whole) // 2, b"\x01\xff\n\n\n\n")),
        Refused("damaged|cut off|not"),
    )
    yield Entry(
        "nothing drawn.dxf", b"0\nSECTION\n2\nENTITIES\n0\nENDSEC\n0\nEOF\n", Refused("without a closed polyline")
    )
    text = "0\nTEXT\n8\nLABELS\n10\n0.0\n20\n0.0\n40\n1.0\n1\nowner unknown\n"
    yield Entry("texts beside the lots.dxf", dxf(*(dxf_lot(n) for n in range(3)), text), Read(empty=0))
    yield Entry("texts alone.dxf", dxf(text), Refused("without a closed polyline"))
    yield Entry(
        "open lines.dxf", dxf(*(dxf_lot(n, closed=False) for n in range(3))), Refused("without a closed polyline")
    )
    yield Entry(
        "an open line among lots.dxf", dxf(*(dxf_lot(n) for n in range(3)), dxf_lot(3, closed=False)), Read(empty=0)
    )
    far = dxf(*(dxf_lot(n) for n in range(2)), dxf_lot(2).replace("10\n2.0", "10\n1e400"))
    yield Entry("coordinate of 1e400.dxf", far, Read(2, counted=3, lost=1, said="without the shape"))
    words = dxf(*(dxf_lot(n) for n in range(2)), dxf_lot(2).replace("10\n2.0", "10\nhere"))
    yield Entry("coordinate of words.dxf", words, Refused("damaged"))
    yield Entry("a drawing of many corners.dxf", dxf(dxf_lot(0).replace("90\n4\n", "90\n2147483647\n")), Read(1))
    latin = dxf(*(dxf_lot(n, layer="STRASSE") for n in range(3))).replace(b"STRASSE", b"STRA\xdfE")
    yield Entry("a layer named in latin-1.dxf", latin, Read(cells={"Layer": ["STRA\xdfE"] * 3}))
    yield Entry("binary.dxf", b"AutoCAD Binary DXF\r\n\x1a\x00" + bytes(100), Refused("binary DXF"))


def _dxf_bombs() -> Iterator[Entry]:
    block = f"0\nBLOCK\n2\nLOT\n10\n0.0\n20\n0.0\n{dxf_lot(0)}0\nENDBLK\n"
    insert = "0\nINSERT\n8\n0\n2\nLOT\n10\n0.0\n20\n0.0\n"
    yield Entry("a block.dxf", dxf(insert, blocks=block), Refused("without a closed polyline"))
    array = f"{insert}70\n30000\n71\n30000\n44\n1.0\n45\n1.0\n"
    bomb = Refused("block|times|repeat|computing time|longer than")
    yield Entry("an array of 900 million.dxf", dxf(array, blocks=block), bomb)
    levels = block
    for level in range(12):
        below = "LOT" if level == 0 else f"L{level - 1}"
        levels += f"0\nBLOCK\n2\nL{level}\n10\n0.0\n20\n0.0\n" + insert.replace("LOT", below) * 8 + "0\nENDBLK\n"
    yield Entry("blocks of blocks.dxf", dxf(insert.replace("LOT", "L11"), blocks=levels), bomb)
    itself = f"0\nBLOCK\n2\nLOT\n10\n0.0\n20\n0.0\n{insert}0\nENDBLK\n"
    yield Entry(
        "a block of itself.dxf",
        dxf(*(dxf_lot(n) for n in range(3)), insert, blocks=itself),
        Refused("block|itself|repeat"),
    )


def _tab(bait: Bait) -> Iterator[Entry]:
    whole = mapinfo()
    named = {name.replace("parcels", "plain"): data for name, data in whole.items()}
    yield Entry("plain.tab", named, Read(cells={"id": _IDS}, epsg=2234, empty=0))
    yield Entry("tab in a zip.zip", zip_of(whole), Read(cells={"id": _IDS}))
    yield Entry(
        "tab in capitals.zip", zip_of({name.upper(): data for name, data in whole.items()}), Read(cells={"id": _IDS})
    )
    for suffix in ("dat", "map", "id"):
        without = {name: data for name, data in whole.items() if not name.endswith(suffix)}
        yield Entry(f"{suffix} missing.zip", zip_of(without), Refused(f"without parcels.{suffix}"))
        cut = whole | {f"parcels.{suffix}": whole[f"parcels.{suffix}"][: len(whole[f"parcels.{suffix}"]) // 2]}
        verdict = {
            "dat": Read(1, counted=3, broken=(2, 3), said="."),
            "map": Read(0, counted=3, broken=(1, 2, 3), said="."),
            "id": Read(1, counted=3, broken=(2, 3), said="."),
        }[suffix]
        yield Entry(f"{suffix} cut in half.zip", zip_of(cut), verdict)
        noise = whole | {f"parcels.{suffix}": b"\xa5" * len(whole[f"parcels.{suffix}"])}
        yield Entry(
            f"{suffix} is noise.zip",
            zip_of(noise),
            Read(0, counted=3, broken=(1, 2, 3), said="GDAL") if suffix == "id" else Refused("damaged"),
        )
    count = whole | {"parcels.dat": patched(whole["parcels.dat"], (4, struct.pack("<L", 2)))}
    yield Entry("dat says two.zip", zip_of(count), Read(2, counted=3, broken=(3,), said="has room for"))
    more = whole | {"parcels.dat": patched(whole["parcels.dat"], (4, struct.pack("<L", 2**31 - 1)))}
    yield Entry("dat says 2^31.zip", zip_of(more), Read(3, counted=3, said="has room for"))
    head = "!table\n!version 300\n!charset WindowsLatin1\n\nDefinition Table\n"
    native = f'{head}  Type NATIVE Charset "WindowsLatin1"\n  Fields 1\n    Table Char (254) ;\n'
    seamless = f'{native}begin_metadata\n"\\IsSeamless" = "TRUE"\nend_metadata\n'.encode()
    yield Entry(
        "a table of tables.zip",
        zip_of({name: (seamless if name.endswith("tab") else data) for name, data in whole.items()}),
        Refused("other tables|points|damaged"),
    )
    view = f'!table\n!version 100\nOpen Table "{bait.secret}" Hide\nCreate View x As\nSelect * From x\n'.encode()
    yield Entry("a view.zip", zip_of(whole | {"parcels.tab": view}), Refused("view|points|damaged|other"))
    for kind in ("DBF", "XLS", "ACCESS", "LINKED", "ODBC", "RASTER"):
        columns = f'  Type "{kind}" Charset "WindowsLatin1"\n  Fields 1\n    id Char (3) ;\n'
        linked = f'{head}  File "{bait.secret}"\n{columns}'.encode()
        yield Entry(f"a table of {kind}.zip", zip_of(whole | {"parcels.tab": linked}), Refused("."))
    yield Entry(
        "nothing but its first line.zip",
        zip_of(whole | {"parcels.tab": b"!table\n"}),
        Refused("points to other files|damaged"),
    )


def _mif() -> Iterator[Entry]:
    whole = mif()
    text = whole["parcels.mif"]
    yield Entry(
        "plain.mif",
        {name.replace("parcels", "plain"): data for name, data in whole.items()},
        Read(cells={"id": _IDS}, epsg=2234, empty=0),
    )
    yield Entry("mif in a zip.zip", zip_of(whole), Read(cells={"id": _IDS}))
    yield Entry("mid missing.zip", zip_of({"parcels.mif": text}), Refused("without parcels.mid"))
    yield Entry(
        "mif cut in half.zip", zip_of(whole | {"parcels.mif": text[: len(text) // 2]}), Read(0, counted=3, said="GDAL")
    )
    short = whole["parcels.mid"].splitlines(keepends=True)[:2]
    yield Entry(
        "mid of two lines.zip", zip_of(whole | {"parcels.mid": b"".join(short)}), Read(2, counted=3, said="GDAL")
    )
    many = text.replace(b"Region 1", b"Region 2000000000", 1)
    yield Entry(
        "region of two billion parts.zip", zip_of(whole | {"parcels.mif": many}), Read(0, counted=3, said="GDAL")
    )
    corners = text.replace(b"Region 1\n  5", b"Region 1\n  2000000000", 1).replace(
        b"Region 1\r\n  5", b"Region 1\r\n  2000000000", 1
    )
    yield Entry(
        "ring of two billion corners.zip", zip_of(whole | {"parcels.mif": corners}), Read(0, counted=3, said="GDAL")
    )
