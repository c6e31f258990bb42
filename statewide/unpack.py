"""Opening a zip that a stranger sent: every rule is checked on the directory before a byte is inflated.

The rules answer measured attacks (overlapping entries, inflation bombs, links, paths that climb out, two entries of
one name). Nothing keeps the sender's name on disk. Other archive programs are never called.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from statewide.reading_limits import MIB, Limits, Unusable
from statewide.sniff import (
    ANY_FILES,
    GDB_FIRST_TABLE,
    MAP_FILES,
    MAPINFO_PARTS,
    MIF_PARTS,
    READABLE,
    SHAPEFILE_PARTS,
)

REZIP = "zip the folder again with the zip function of your system and send that"
SIDECARS = frozenset({".prj", ".cpg"})
WANTED = MAP_FILES | ANY_FILES | {*SHAPEFILE_PARTS, *MAPINFO_PARTS, *MIF_PARTS, ".zip", ".kmz"}

_CENTRAL_DIRECTORY_BYTES = 4 * MIB
_END_RECORD = struct.Struct("<4s4H2LH")
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 0x1
_GDB_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_JUNK = re.compile(r"(^|/)(__MACOSX/|\._|\.DS_Store$|Thumbs\.db$|desktop\.ini$)", re.IGNORECASE)


@dataclass(frozen=True)
class Member:
    """One file of a delivery: the name that the sender gave it (with its folders), and where its bytes are now.

    ``path`` is None for what was listed but, being no part of a map, left packed.
    """

    name: str
    path: Path | None


def is_workbook(archive: Path, limits: Limits) -> bool:
    """Whether a zip is an .xlsx workbook, once it has met the rules that hold for every zip. Raises Unusable."""
    _check_end_record(archive, limits)
    try:
        with zipfile.ZipFile(archive) as opened:
            names = set(opened.namelist())
            if "xl/workbook.bin" in names:
                raise Unusable("is a binary workbook; save it as .xlsx")
            if "mimetype" in names and "content.xml" in names:
                raise Unusable("is an OpenDocument file; save the table as .xlsx or CSV")
            if "word/document.xml" in names or "ppt/presentation.xml" in names:
                raise Unusable(f"is an office document and not a map; send {READABLE}")
            if "xl/workbook.xml" not in names:
                return False
            _checked_entries(opened, archive, limits)
            return True
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise Unusable(f"is a damaged zip; {REZIP}") from error


def unpack(archive: Path, into: Path, limits: Limits) -> list[Member]:
    """Inflate the map files of ``archive`` into ``into`` under numbered names. Raises Unusable."""
    _check_end_record(archive, limits)
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = _checked_entries(opened, archive, limits)
            folders = {PurePosixPath(name).parent for name, _ in entries if _is_gdb_start(name)}
            return [
                Member(name, _inflate(opened, info, into / f"{number:05d}"))
                if wanted(name, folders)
                else Member(name, None)
                for number, (name, info) in enumerate(entries)
            ]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, struct.error) as error:
        raise Unusable(f"is a damaged zip; {REZIP}") from error


def wanted(name: str, gdb_folders: set[PurePosixPath]) -> bool:
    """Whether a file belongs to a map: by its suffix, or by lying in the folder of a file geodatabase."""
    path = PurePosixPath(name)
    return path.suffix.lower() in WANTED or path.parent in gdb_folders


def is_junk(name: str) -> bool:
    """What Windows and macOS leave in every folder."""
    return _JUNK.search(name) is not None


def check_sizes(sizes: Sequence[tuple[str, int]], limits: Limits) -> None:
    """The rules that hold for a folder as for an archive. ``sizes`` are (name, bytes)."""
    if len(sizes) > limits.archive_entries:
        raise Unusable(f"holds more than {limits.archive_entries} files; send the one map or table alone")
    if sum(size for _, size in sizes) > limits.unpacked_bytes:
        raise Unusable(
            f"holds more than {limits.unpacked_bytes // MIB} MB when unpacked; send the one map or table alone"
        )
    for name, size in sizes:
        if PurePosixPath(name).suffix.lower() in SIDECARS and size > limits.sidecar_bytes:
            raise Unusable(f"holds {PurePosixPath(name).name}, which is far too large for such a file; export it again")


def _is_gdb_start(name: str) -> bool:
    return PurePosixPath(name).name.lower() == GDB_FIRST_TABLE


def _check_end_record(archive: Path, limits: Limits) -> None:
    """Count the entries before any library walks them: 200,000 empty ones are a 19 MB file and minutes of work."""
    size = archive.stat().st_size
    with archive.open("rb") as file:
        start = max(0, size - 65_557)
        file.seek(start)
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END_RECORD.size:
        raise Unusable(f"is a zip whose end is missing; send it again, or {REZIP}")
    _, _, _, _, entries, directory_bytes, _, _ = _END_RECORD.unpack_from(tail, at)
    at64 = tail.rfind(b"PK\x06\x06", 0, at)
    if at64 >= 0 and len(tail) - at64 >= 56:
        entries, directory_bytes = struct.unpack_from("<QQ", tail, at64 + 32)
    if entries == 0:
        raise Unusable("is an empty zip")
    if entries > limits.archive_entries or directory_bytes > _CENTRAL_DIRECTORY_BYTES:
        raise Unusable(f"holds more than {limits.archive_entries} files; send the one map or table alone")


def _checked_entries(opened: zipfile.ZipFile, archive: Path, limits: Limits) -> list[tuple[str, zipfile.ZipInfo]]:
    """(cleaned name, entry) for every file that is not junk, once all the rules have been met."""
    infos = opened.infolist()
    if len(infos) > limits.archive_entries:
        raise Unusable(f"holds more than {limits.archive_entries} files; send the one map or table alone")
    _check_overlap(infos, archive, opened.start_dir)
    entries = []
    seen = set()
    for info in infos:
        name = _clean_name(info.orig_filename)
        if name.casefold() in seen:
            raise Unusable(f"holds two files of one name; {REZIP}")
        seen.add(name.casefold())
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise Unusable(f"holds a link to another file; {REZIP}")
        if info.is_dir() or name.endswith("/") or is_junk(name):
            continue
        if info.flag_bits & _ENCRYPTED:
            raise Unusable("is protected by a password; zip it again without one")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unusable(f"is packed with a method other than the usual one; {REZIP}")
        if info.file_size > MIB and info.file_size > limits.archive_ratio * max(info.compress_size, 1):
            raise Unusable(f"unpacks to more than {limits.archive_ratio} times its size; {REZIP}")
        entries.append((name, info))
    check_sizes([(name, info.file_size) for name, info in entries], limits)
    return entries


def _clean_name(raw: str) -> str:
    """Forward slashes; anything that could lead out of the folder, or hide, is refused."""
    name = raw.replace("\\", "/")
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", name):
        raise Unusable(f"holds a file whose path leads out of the archive; {REZIP}")
    if not name or len(name) > 1024 or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise Unusable(f"holds a file whose name cannot be used; {REZIP}")
    return name


def _check_overlap(infos: list[zipfile.ZipInfo], archive: Path, directory_at: int) -> None:
    """Each entry has bytes of its own, from the first byte of the file on (no program or picture glued before)."""
    ordered = sorted(infos, key=lambda info: info.header_offset)
    with archive.open("rb") as file:
        end = 0
        for info in ordered:
            if info.header_offset < end:
                raise Unusable(f"holds files that overlap; {REZIP}")
            file.seek(info.header_offset)
            header = file.read(_LOCAL_HEADER.size)
            if len(header) < _LOCAL_HEADER.size:
                raise Unusable(f"is a damaged zip; {REZIP}")
            fields = _LOCAL_HEADER.unpack(header)
            end = info.header_offset + _LOCAL_HEADER.size + fields[9] + fields[10] + info.compress_size
    if ordered and ordered[0].header_offset != 0:
        raise Unusable(f"has something else before the zip; {REZIP}")
    if end > directory_at:
        raise Unusable(f"holds files that overlap; {REZIP}")


def _inflate(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> Path:
    """Copy one entry out; the library checks the length and the checksum that the directory promises."""
    left = info.file_size
    with opened.open(info) as source, target.open("xb") as out:
        while chunk := source.read(MIB):
            left -= len(chunk)
            if left < 0:
                raise Unusable(f"unpacks to more than it says; {REZIP}")
            out.write(chunk)
    if left:
        raise Unusable(f"unpacks to less than it says; {REZIP}")
    return target


def safe_gdb_name(name: str) -> bool:
    """Inside a geodatabase folder the names mean something and are kept: they must be plain."""
    return _GDB_FILE.fullmatch(name) is not None
