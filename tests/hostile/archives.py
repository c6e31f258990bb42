"""Zips: every trick, and everyday oddities that must be read (reliability study 2b)."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from tests.hostile.corpus import Bait, Entry, Read, Refused
from tests.hostile.ingredients import geojson, geopackage, shapefile, zip_of, zip_of_entries

_END = struct.Struct("<4s4H2LH")


def entries(bait: Bait) -> Iterator[Entry]:
    yield from _names()
    yield from _bombs()
    yield from _directories()
    yield from _contents()
    yield from _legal()
    yield from _other_archives(bait)


def _odd(name: str, data: bytes = b"x", **attributes: int) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.filename = info.orig_filename = name
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, data


def _names() -> Iterator[Entry]:
    for how, name in (
        ("up", "../../evil.shp"),
        ("up by backslash", "..\\evil.shp"),
        ("up in the middle", "town/../../evil.shp"),
        ("absolute", "/etc/evil.shp"),
        ("with a drive", "C:\\evil.shp"),
        ("of a share", "\\\\server\\share\\evil.shp"),
    ):
        yield Entry(f"path {how}.zip", zip_of_entries([_odd(name)]), Refused("leads out"))
    for how, name in (("bell", "evil\x07.shp"), ("line break", "evil\n.shp"), ("delete", "evil\x7f.shp")):
        yield Entry(f"name with a {how}.zip", zip_of_entries([_odd(name)]), Refused("name cannot be used"))
    yield Entry("name of 3000 letters.zip", zip_of_entries([_odd("e" * 3000 + ".shp")]), Refused("name cannot be used"))
    hidden = zip_of_entries([_odd("a.geojson", geojson())]).replace(b"a.geojson", b"a\x00geojson")
    yield Entry("name with a NUL.zip", hidden, Refused("name cannot be used"))
    for how, mode in (("link", stat.S_IFLNK), ("device", stat.S_IFCHR), ("pipe", stat.S_IFIFO)):
        entry = _odd("parcels.shp", b"/etc/passwd", external_attr=(mode | 0o777) << 16)
        yield Entry(f"{how} as an entry.zip", zip_of_entries([entry]), Refused("link"))
    same = zip_of_entries([_odd("parcels.gpkg", b"a"), _odd("PARCELS.gpkg", b"b")])
    yield Entry("two names but for case.zip", same, Refused("two files of one name"))
    same = zip_of({"a.gpkg": b"1", "b.gpkg": b"2"}).replace(b"b.gpkg", b"a.gpkg")
    yield Entry("one name twice.zip", same, Refused("two files of one name"))
    slashes = zip_of_entries([_odd("t/a.gpkg", b"a"), _odd("t\\a.gpkg", b"b")])
    yield Entry("one name with two slashes.zip", slashes, Refused("two files of one name"))


def many_entries(count: int, *, overlapping: bool) -> bytes:
    """``count`` entries; overlapping ones all point at the same local header."""
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 33, 0, 0, 0, 6, 0)
    body = local + b"000000" if overlapping else b"".join(local + b"%06x" % number for number in range(count))
    directory = io.BytesIO()
    for number in range(count):
        at = 0 if overlapping else (len(local) + 6) * number
        fields = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 6, 0, 0, 0, 0, 0, at)
        directory.write(fields + b"%06x" % number)
    central = directory.getvalue()
    return body + central + _END.pack(b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, len(central), len(body), 0)


def quoting_bomb(count: int, size: int) -> bytes:
    """Each entry's data begins with the next one's local header as a stored block, so that all share one kernel.

    The construction is D. Fifield's, "A better zip bomb" (2019).
    """
    kernel = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = kernel.compress(bytes(size)) + kernel.flush()
    crc, length = zlib.crc32(bytes(size)), size
    plain = bytes(size)
    body, places = data, []
    for number in reversed(range(count)):
        name = b"%04d.csv" % number
        header = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 33, crc, len(body), length, len(name), 0) + name
        places.append((len(header) + len(body), name, crc, len(body), length))
        quoted = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF)
        body = quoted + header + body
        crc, length = zlib.crc32(plain, zlib.crc32(header)), length + len(header)
        plain = header + plain
    body = body[5:]
    central = b"".join(
        struct.pack(
            "<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 8, 0, 33, check, packed, whole, len(name), 0, 0, 0, 0, 0,
            len(body) - from_end,
        ) + name
        for from_end, name, check, packed, whole in reversed(places)
    )  # fmt: skip
    return body + central + _END.pack(b"PK\x05\x06", 0, 0, count, count, len(central), len(body), 0)


def _bombs() -> Iterator[Entry]:
    yield Entry("3000 entries.zip", many_entries(3000, overlapping=False), Refused("more than 2000 files"))
    yield Entry("200000 entries.zip", many_entries(200_000, overlapping=False), Refused("more than 2000 files"))
    lying = bytearray(many_entries(3000, overlapping=False))
    lying[-14:-10] = struct.pack("<HH", 3, 3)
    yield Entry("3000 entries called three.zip", bytes(lying), Refused("more than 2000 files|damaged zip"))
    yield Entry("overlapping entries.zip", many_entries(30, overlapping=True), Refused("overlap"))
    yield Entry("quoted overlap bomb.zip", quoting_bomb(60, 1_000_000), Refused("overlap|times its size"))
    zeros = bytes(4_000_000)
    yield Entry("ratio bomb.zip", zip_of({"parcels.gpkg": zeros}), Refused("times its size"))
    yield Entry("ratio bomb as csv.zip", zip_of({"parcels.csv": zeros}), Refused("times its size"))
    yield Entry(
        "ratio bomb in a zip.zip", zip_of({"1.zip": zip_of({"parcels.gpkg": zeros})}), Refused("times its size")
    )
    huge = bytearray(zip_of({"parcels.gpkg": b"x" * 100_000, "more.gpkg": b"y"}))
    at = huge.index(b"PK\x01\x02")
    huge[at + 24 : at + 28] = struct.pack("<L", 0xFFFFFFF0)
    yield Entry("entry that says 4 GB.zip", bytes(huge), Refused("times its size|more than 4096 MB"))
    maps = {f"{number:03d}.geojson": geojson() for number in range(60)}
    yield Entry("sixty maps.zip", zip_of(maps), Refused("more than 50 maps"))
    yield Entry("prj of 70 KB.zip", zip_of({"p.shp": b"x", "p.prj": b"P" * 70_000}), Refused("far too large"))
    inner = zip_of({"parcels.geojson": geojson()})
    yield Entry("zip in a zip in a zip.zip", zip_of({"2.zip": zip_of({"1.zip": inner})}), Refused("no map"))
    yield Entry("zip that holds itself by name.zip", zip_of({"a.zip": b"PK\x05\x06" + bytes(18)}), Refused("zip"))


def _directories() -> Iterator[Entry]:
    good = zip_of({"parcels.geojson": geojson()})
    crc, size = struct.pack("<L", zlib.crc32(geojson())), struct.pack("<L", len(geojson()))
    central = good.index(b"PK\x01\x02")
    yield Entry("cut in half.zip", good[: len(good) // 2], Refused("zip"))
    yield Entry("without its end.zip", good[:-22], Refused("end is missing"))
    yield Entry("last byte missing.zip", good[:-1], Refused("zip"))
    yield Entry("four bytes.zip", b"PK\x03\x04", Refused("zip"))
    yield Entry("no entries.zip", many_entries(0, overlapping=False), Refused("empty zip"))
    yield Entry("program before it.zip", b"MZ" * 50 + good, Refused("zip|not a map file"))
    yield Entry("zip head before it.zip", b"PK\x03\x04" + b"MZ" * 50 + good, Refused("before the zip"))
    yield Entry("picture before it.zip", b"\x89PNG\r\n\x1a\n" + good, Refused("image"))
    yield Entry("text after it.zip", good + b"signed by nobody", Read())
    yield Entry("wrong checksum.zip", good.replace(crc, struct.pack("<L", 1)), Refused("damaged zip"))
    yield Entry("wrong size.zip", good.replace(size, struct.pack("<L", len(geojson()) + 7)), Refused("zip"))
    smaller = good[:central] + good[central:].replace(size, struct.pack("<L", 10))
    yield Entry("larger than it says.zip", smaller, Refused("zip"))
    yield Entry("two names for one entry.zip", good.replace(b"parcels", b"Parcels", 1), Refused("damaged zip"))
    far = bytearray(good)
    far[central + 42 : central + 46] = struct.pack("<L", len(good))
    yield Entry("entry beyond the end.zip", bytes(far), Refused("zip"))
    password = bytearray(zip_of({"parcels.gpkg": geopackage()}))
    password[6] |= 1
    password[password.index(b"PK\x01\x02") + 8] |= 1
    yield Entry("password.zip", bytes(password), Refused("password"))
    for how, method in (("lzma", zipfile.ZIP_LZMA), ("bzip2", zipfile.ZIP_BZIP2)):
        packed = zip_of_entries([_odd("parcels.gpkg", b"a" * 99, compress_type=method)])
        yield Entry(f"packed with {how}.zip", packed, Refused("method"))
    unknown = bytearray(good)
    unknown[8:10] = unknown[central + 10 : central + 12] = b"\x63\x00"
    yield Entry("packed with method 99.zip", bytes(unknown), Refused("method"))
    noise = bytearray(good)
    start = 30 + len("parcels.geojson")
    noise[start : start + 20] = b"\xff" * 20
    yield Entry("noise where the data is.zip", bytes(noise), Refused("damaged zip"))
    disks = bytearray(good)
    disks[-18:-14] = struct.pack("<HH", 1, 1)
    yield Entry("called one part of several.zip", bytes(disks), Read())


def _contents() -> Iterator[Entry]:
    whole = shapefile()
    yield Entry("letter and pdf.zip", zip_of({"letter.pdf": b"%PDF", "read.me": b"hello"}), Refused("letter.pdf"))
    yield Entry("only folders.zip", zip_of({"town/": b""}), Refused("is empty|no map"))
    yield Entry("only what macOS leaves.zip", zip_of({"__MACOSX/._parcels.shp": b"x"}), Refused("is empty|no map"))
    yield Entry("dbf missing.zip", zip_of(shapefile(without=["dbf"])), Refused("without parcels.dbf"))
    yield Entry("shp missing.zip", zip_of(shapefile(without=["shp"])), Refused("without parcels.shp"))
    yield Entry("only shp.zip", zip_of({"parcels.shp": whole["parcels.shp"]}), Refused("without parcels.dbf"))
    yield Entry("dbf of another name.zip", zip_of({"a.shp": whole["parcels.shp"], "b.dbf": whole["parcels.dbf"]}),
                Refused("without a.dbf"))  # fmt: skip
    apart = {f"{suffix}/parcels.{suffix}": whole[f"parcels.{suffix}"] for suffix in ("shp", "dbf")}
    yield Entry("parts in two folders.zip", zip_of(apart), Refused("without parcels.dbf"))
    empty = {f"parcels.{suffix}": b"" for suffix in ("shp", "shx", "dbf")}
    yield Entry("parts without a byte.zip", zip_of(empty), Refused("empty|header"))
    two = {name.replace("parcels", town): data for town in ("east", "west") for name, data in whole.items()}
    yield Entry("two maps alike.zip", zip_of(two), Refused("several layers"))
    yield Entry("two maps one asked for.zip", zip_of(two), Read(), layer="west")
    yield Entry("a layer that is not there.zip", zip_of(two), Refused("no layer called north"), layer="north")
    sheet = {"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<x/>"}
    yield Entry("a letter.docx", zip_of(sheet), Refused("office document|no map"))


def _legal() -> Iterator[Entry]:
    whole = shapefile()
    yield Entry("plain.zip", zip_of(whole), Read(cells={"id": ["001", "002", "003"]}))
    yield Entry("in a folder.zip", zip_of(whole, "town/2025/"), Read())
    backslashes = zip_of_entries(_odd(f"town\\{name}", data) for name, data in whole.items())
    yield Entry("in a folder by backslash.zip", backslashes, Read())
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_STORED) as archive:
        for name, data in whole.items():
            archive.writestr(name, data)
    yield Entry("not compressed.zip", stored.getvalue(), Read())
    yield Entry("in capitals.zip", zip_of({name.upper(): data for name, data in whole.items()}), Read())
    mixed = {("PARCELS.DBF" if name.endswith("dbf") else name): data for name, data in whole.items()}
    yield Entry("capitals mixed.zip", zip_of(mixed), Read(cells={"id": ["001", "002", "003"]}))
    for how, name in (
        ("accents", "Flurstück Ωmega"),
        ("emoji", "🏡 lots"),
        ("quote", "o'brien; --"),
        ("dots", "a.b.c"),
    ):
        odd = {data.replace("parcels", name): content for data, content in whole.items()}
        yield Entry(f"name with {how}.zip", zip_of(odd), Read())
    latin = zip_of({name.replace("parcels", "parzXlle"): data for name, data in whole.items()})
    yield Entry("name in latin-1.zip", latin.replace(b"parzXlle", b"parz\xe8lle"), Read())
    junk = {"__MACOSX/._parcels.shp": b"x", ".DS_Store": b"x", "Thumbs.db": b"x", "readme.txt": b"x", "m.pdf": b"%PDF"}
    yield Entry("with what systems leave.zip", zip_of(whole | junk), Read())
    yield Entry(
        "with a spatial index.zip", zip_of(whole | {"parcels.sbn": b"x" * 99, "parcels.shp.xml": b"<a/>"}), Read()
    )
    yield Entry("zip in a zip.zip", zip_of({"parcels.zip": zip_of(whole)}), Read())
    yield Entry("geopackage in a zip.zip", zip_of({"parcels.gpkg": geopackage()}), Read())
    yield Entry("geojson in a zip.zip", zip_of({"parcels.geojson": geojson()}), Read())
    yield Entry("not called zip", zip_of(whole), Read())
    yield Entry("called shp.shp", zip_of(whole), Read())
    commented = io.BytesIO()
    with zipfile.ZipFile(commented, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = b"made by the town"
        for name, data in whole.items():
            archive.writestr(name, data)
    yield Entry("with a comment.zip", commented.getvalue(), Read())
    yield Entry(
        "with a folder of its own.zip", zip_of({"town/": b""} | {f"town/{n}": d for n, d in whole.items()}), Read()
    )


def _other_archives(bait: Bait) -> Iterator[Entry]:
    def tar(path: Path) -> None:
        with tarfile.open(path, "w") as archive:
            info = tarfile.TarInfo("parcels.shp")
            info.type, info.linkname = tarfile.SYMTYPE, str(bait.secret)
            archive.addfile(info)

    yield Entry("tar with a link.tar", tar, Refused("tar|not a map file"))
    for how, head, said in (
        ("gzip", b"\x1f\x8b\x08", "gzip"),
        ("7z", b"7z\xbc\xaf\x27\x1c", "7z"),
        ("rar", b"Rar!\x1a\x07", "RAR"),
        ("xz", b"\xfd7zXZ\x00", "not a map file"),
    ):
        yield Entry(f"{how}.zip", head + bytes(200), Refused(said))
