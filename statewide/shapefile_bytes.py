"""A shapefile seen without GDAL: how many records it must give, which of them have a shape, how its text is encoded.

GDAL answers a damaged shapefile with null shapes or fewer rows and says nothing. What is counted here is what the
reading is held against. A missing or wrong .shx is written anew from the .shp, which holds the same facts.
"""

from __future__ import annotations

import codecs
import mmap
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from statewide.reading_limits import Unusable

_HEADER = 100
_NULL_SHAPE = 0
_POLY_TYPES = frozenset({3, 5, 13, 15, 23, 25})  # lines and polygons, plain, Z and M: box, part count, point count
_DELETED = ord("*")
_TEXT_TYPES = frozenset(b"CM")

_Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ShapefileFacts:
    """``has_shape`` says for each row that must come back whether the .shp or .shx promises a shape for it."""

    rows: int
    how: str
    has_shape: _Bools
    encoding: str
    encoding_how: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Records:
    """Records of a .shp as byte offsets and lengths of their contents; ``whole`` if they fill the file exactly."""

    offsets: list[int]
    lengths: list[int]
    shapes: list[bool]
    whole: bool


@dataclass(frozen=True)
class _Field:
    name: bytes
    type: int
    offset: int
    width: int


@dataclass(frozen=True)
class _Table:
    declared: int
    present: int
    deleted: _Bools
    fields: tuple[_Field, ...]
    rows: npt.NDArray[np.uint8]  # one line per record, with its deletion flag
    header: bytes

    def complaints(self) -> list[str]:
        """What the header says that the file does not bear out."""
        said = []
        if self.declared != self.present:
            said.append(f"The .dbf says it has {self.declared:,} records and has room for {self.present:,}.")
        if self.fields and self.fields[-1].offset + self.fields[-1].width != self.rows.shape[1]:
            said.append("The columns of the .dbf do not fill its records: the values may stand in the wrong columns.")
        return said


def survey(shp: Path, cpg: str | None, most_records: int) -> ShapefileFacts:
    """Survey ``shp`` and its .dbf and .shx siblings; writes the .shx when it is missing or does not fit.

    ``cpg`` is the text of the .cpg file, if there was one. Raises Unusable.
    """
    if shp.stat().st_size < _HEADER:
        raise Unusable("has a .shp without a header; export it again")
    shx = shp.with_suffix(".shx")
    if shx.is_file() and shx.stat().st_size > _HEADER + 8 * most_records:
        raise _too_many(most_records)
    with shp.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _survey(shp, data, cpg, most_records)


def survey_table(dbf: Path, cpg: str | None, most_records: int) -> ShapefileFacts:
    """Survey a .dbf that comes alone, as a table without shapes. Raises Unusable."""
    table = _read_table(dbf)
    if not table.fields:
        raise Unusable("has a .dbf without columns; export it again")
    rows = min(table.declared, table.present)
    if rows > most_records:
        raise _too_many(most_records)
    warnings = table.complaints()
    how = f"{table.declared:,} in the header of the .dbf"
    if deleted := int(table.deleted.sum()):
        warnings.append(f"Records marked as deleted in the .dbf, left out: {deleted:,}.")
        how += f", less {deleted:,} marked as deleted"
    warnings.extend(_cut_by_nul(table))
    encoding, encoding_how = _encoding(table, cpg)
    none = np.zeros(rows - deleted, dtype=bool)
    return ShapefileFacts(table.declared - deleted, how, none, encoding, encoding_how, tuple(warnings))


def _survey(shp: Path, data: mmap.mmap, cpg: str | None, most_records: int) -> ShapefileFacts:
    records = _walk(data, most_records)
    table = _read_table(shp.with_suffix(".dbf"))
    warnings: list[str] = []
    shx = shp.with_suffix(".shx")
    index = _read_index(shx)
    unnamed = 0 if index is None else _unnamed(index, data, records)
    if index is not None and (not _fits(index, data) or (unnamed and len(index) < table.declared)):
        warnings.append("The .shx did not fit the .shp and was made anew.")
        index = None
    elif unnamed:
        warnings.append(f"Records of the .shp that the .shx does not name, and that are left out: {unnamed:,}.")
    elif index is None:
        warnings.append("The .shx was missing or damaged and was made anew from the .shp.")
    if index is None:
        shapes = records.shapes
        _write_index(shx, data, records)
    else:
        shapes = _shapes_by_index(index, data)
    if not records.whole and (index is None or any(offset + length > len(data) for offset, length in index)):
        warnings.append("The .shp ends in the middle of a record: it was cut off.")
    if not table.fields:
        raise Unusable("has a .dbf without columns; export it again")
    warnings += table.complaints()
    rows = max(len(shapes), min(table.declared, table.present))
    how = f"{len(shapes):,} records in the .shp, {table.declared:,} in the header of the .dbf"
    has_shape = np.zeros(rows, dtype=bool)
    has_shape[: len(shapes)] = shapes
    gone = np.zeros(rows, dtype=bool)
    gone[: min(rows, len(table.deleted))] = table.deleted[:rows]
    if gone.any():
        warnings.append(f"Records marked as deleted in the .dbf, left out: {int(gone.sum()):,}.")
        how += f", less {int(gone.sum()):,} marked as deleted"
    warnings.extend(_cut_by_nul(table))
    encoding, encoding_how = _encoding(table, cpg)
    return ShapefileFacts(rows - int(gone.sum()), how, has_shape[~gone], encoding, encoding_how, tuple(warnings))


def _walk(data: mmap.mmap, most: int) -> _Records:
    offsets: list[int] = []
    lengths: list[int] = []
    shapes: list[bool] = []
    at = _HEADER
    end = len(data)
    declared_end = int.from_bytes(data[24:28], "big") * 2
    while at + 12 <= end:
        length = int.from_bytes(data[at + 4 : at + 8], "big") * 2
        if length < 4 or at + 8 + length > end:
            break
        if len(offsets) == most:  # an empty record is twelve bytes: a gigabyte of them would fill our memory
            raise _too_many(most)
        offsets.append(at)
        lengths.append(length)
        shapes.append(_has_shape(data, at + 8, length))
        at += 8 + length
        if at == declared_end:
            break
    return _Records(offsets, lengths, shapes, at in (end, declared_end))


def _too_many(most: int) -> Unusable:
    return Unusable(f"holds more than {most:,} records; send the one map or table alone")


def _has_shape(data: mmap.mmap, at: int, length: int) -> bool:
    """Whether the record is of a type other than null and, for lines and polygons, has any point."""
    kind = int.from_bytes(data[at : at + 4], "little")
    if kind == _NULL_SHAPE:
        return False
    if kind in _POLY_TYPES and length >= 44:
        return int.from_bytes(data[at + 40 : at + 44], "little") > 0
    return True


def _read_index(shx: Path) -> list[tuple[int, int]] | None:
    """(offset of the record header, bytes of its content) for each record, or None without a usable .shx."""
    if not shx.is_file():
        return None
    data = shx.read_bytes()
    if len(data) < _HEADER or (len(data) - _HEADER) % 8 or int.from_bytes(data[24:28], "big") * 2 != len(data):
        return None
    pairs = np.frombuffer(data, dtype=">i4", offset=_HEADER).astype(np.int64) * 2
    return [(int(offset), int(length)) for offset, length in pairs.reshape(-1, 2)]


def _fits(index: list[tuple[int, int]], data: mmap.mmap) -> bool:
    """Each entry names a place of its own, where a record of that length begins; the .shp may have been cut off."""
    places = set()
    for offset, length in index:
        if offset < _HEADER or length < 4 or offset in places:
            return False
        places.add(offset)
        if offset + 8 <= len(data) and int.from_bytes(data[offset + 4 : offset + 8], "big") * 2 != length:
            return False
    return bool(index) or len(data) <= _HEADER + 8


def _unnamed(index: list[tuple[int, int]], data: mmap.mmap, records: _Records) -> int:
    """Records that the .shp has beyond those of the .shx. A program that edits in place leaves the old copy of a record
    behind, under the same number: that one is not missing."""
    if len(index) >= len(records.offsets):
        return 0
    numbers = {data[offset : offset + 4] for offset in records.offsets}
    return len(numbers - {data[offset : offset + 4] for offset, _ in index})


def _shapes_by_index(index: list[tuple[int, int]], data: mmap.mmap) -> list[bool]:
    """A record that lies beyond the end of a cut .shp had a shape if it was longer than a null one."""
    return [
        _has_shape(data, offset + 8, length) if offset + 8 + length <= len(data) else length > 4
        for offset, length in index
    ]


def _write_index(shx: Path, data: mmap.mmap, records: _Records) -> None:
    pairs = np.column_stack([records.offsets, records.lengths]) if records.offsets else np.zeros((0, 2))
    words = (pairs // 2).astype(">i4").tobytes()
    size = struct.pack(">i", (_HEADER + len(words)) // 2)
    shx.write_bytes(data[:24] + size + data[28:_HEADER] + words)


def _read_table(dbf: Path) -> _Table:
    data = np.memmap(dbf, dtype=np.uint8, mode="r") if dbf.stat().st_size >= 32 else None
    if data is None:
        raise Unusable("has a .dbf without a header; export it again")
    declared, header_length, record_length = struct.unpack("<LHH", data[4:12].tobytes())
    if record_length == 0 or header_length < 33 or header_length > len(data):
        raise Unusable("has a .dbf whose header is damaged; export it again")
    header = data[:header_length].tobytes()
    fields = []
    offset = 1
    for at in range(32, header_length - 31, 32):
        if header[at] == 0x0D:
            break
        # The Clipper way: a text wider than 255 keeps the high byte of its width where numbers keep their decimals.
        width = header[at + 16] + (header[at + 17] << 8 if header[at + 11] == ord("C") else 0)
        fields.append(_Field(header[at : at + 11].split(b"\x00")[0], header[at + 11], offset, width))
        offset += width
    if offset > record_length:
        raise Unusable("has a .dbf whose columns do not fit its records; export it again")
    present = (len(data) - header_length) // record_length
    rows = data[header_length : header_length + present * record_length].reshape(present, record_length)
    used = min(declared, present)
    return _Table(declared, present, np.asarray(rows[:used, 0] == _DELETED), tuple(fields), rows[:used], header)


def _cut_by_nul(table: _Table) -> list[str]:
    """Readers end a text at a NUL byte; blanks and NULs after it are padding, anything else is lost."""
    warnings = []
    for field in table.fields:
        if field.type not in _TEXT_TYPES:
            continue
        cells = table.rows[:, field.offset : field.offset + field.width]
        nul = cells == 0
        if not nul.any():
            continue
        after = np.logical_or.accumulate(nul, axis=1)
        lost = int((after & ~nul & (cells != ord(" "))).any(axis=1).sum())
        if lost:
            name = field.name.decode("ascii", "replace")
            warnings.append(f"Texts in column {name} that hold a NUL character and are cut there: {lost:,}.")
    return warnings


def _encoding(table: _Table, cpg: str | None) -> tuple[str, str]:
    """(encoding in GDAL's spelling, how it was found out): the bytes themselves outrank what the .cpg says."""
    texts = _not_ascii(table)
    if not texts:
        return "UTF-8", "all text is plain ASCII"
    declared = _declared_encoding(cpg)
    if all(_is_utf8(text) for text in texts):
        said = "as the .cpg says" if declared == "UTF-8" else "the bytes are UTF-8, whatever the .cpg says or not"
        return "UTF-8", said
    if declared and declared != "UTF-8" and all(_decodes(text, declared) for text in texts):
        return declared, "as the .cpg says"
    by_header = {0x03: "CP1252", 0x57: "CP1252", 0x02: "CP850", 0x01: "CP437", 0xC8: "CP1250"}.get(table.header[29])
    if declared is None and by_header:
        return by_header, "as the header of the .dbf says"
    return "CP1252", "assumed: the bytes are not UTF-8, and nothing says better"


def _not_ascii(table: _Table, most: int = 5000) -> list[bytes]:
    """The column names and the text cells (at most ``most``) that have bytes beyond ASCII."""
    texts = [field.name for field in table.fields if not field.name.isascii()]
    for field in table.fields:
        if field.type not in _TEXT_TYPES:
            continue
        cells = table.rows[:, field.offset : field.offset + field.width]
        for row in np.flatnonzero((cells > 127).any(axis=1))[: max(0, most - len(texts))]:
            texts.append(cells[row].tobytes().split(b"\x00")[0].rstrip())
    return texts


def _is_utf8(text: bytes) -> bool:
    """A letter cut in two by the end of its cell is forgiven."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(text)
    except UnicodeDecodeError:
        return False
    return True


def _decodes(text: bytes, encoding: str) -> bool:
    try:
        text.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _declared_encoding(cpg: str | None) -> str | None:
    """What a .cpg means, in a spelling that GDAL and Python share, or None when it cannot be of a .dbf."""
    said = re.sub(r"[\s_-]", "", (cpg or "")).upper()
    if said in ("UTF8", "65001"):
        return "UTF-8"
    number = re.fullmatch(r"(?:ANSI|OEM|CP|WINDOWS)?(\d{3,5})", said)
    iso = re.fullmatch(r"ISO8859(\d{1,2})|8859(\d{1,2})", said)
    if said in ("88591", "ISO88591", "LATIN1"):
        return "CP1252"  # a superset in every printable letter
    name = f"ISO-8859-{iso[1] or iso[2]}" if iso else f"CP{number[1]}" if number else None
    if name is None:
        return None
    try:
        codecs.lookup(name)
    except LookupError:
        return None
    return name
