"""The dialect of a text table, found in its bytes and proved on all of them: encoding, delimiter, header, ragged lines.

The walk here counts what the Arrow reading must give. Where quotes or fields do not add up, a clean copy is written
line by line and each line that could not be used is named by its number.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from statewide.reading_limits import MIB, Unusable

DELIMITERS = ",;\t|"
_LONGEST_LINE = 64 * MIB
_MOST_LINES_IN_CELL = 200
_HEAD_RECORDS = 200
_TITLE_LINES = 20
_AGREEING = 0.8  # share of the lines that must have the same number of fields
_LONG_HEAD = 60_000
_LONGEST_NAME = 1000
_NUMBER = re.compile(r"\s*[-+]?[\d.,]+\s*")


@dataclass
class Delimited:
    """A text table after the walk. ``path`` is the UTF-8 text to read, from byte ``start`` on, headers left out.

    ``rows`` are the records that the reading must give; ``broken`` the numbers of the lines that were left out;
    ``unquoted`` those where a quotation mark was taken as it stands; ``blank`` counts empty lines.
    """

    path: Path
    encoding: str
    encoding_how: str
    delimiter: str
    names: list[str]
    start: int = 0
    rows: int = 0
    longest: int = 0
    several_lines: bool = False
    sample: list[list[str]] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)
    unquoted: list[int] = field(default_factory=list)
    blank: int = 0
    titles: int = 0
    trimmed: int = 0
    warnings: list[str] = field(default_factory=list)


def looks_like_table(head: bytes) -> bool:
    """Whether the first bytes of a file are lines of fields, in whatever encoding."""
    text = _decode_head(head)
    return text is not None and find_delimiter(text) is not None


def study(path: Path, copy: Path, most_records: int, delimiter: str | None = None) -> Delimited:
    """Walk the whole file. ``copy`` is where copies may be written, each with a suffix of its own; ``delimiter`` is
    given where it is known.

    Raises Unusable.
    """
    csv.field_size_limit(_LONGEST_LINE)
    utf8, encoding, how, warnings = _as_utf8(path, copy)
    with utf8.open("rb") as file:
        head = file.read(256 * 1024)
    start = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    text = head[start:].decode("utf-8", "ignore")
    exported = delimiter is not None  # by a program of ours, with a header for certain
    delimiter = delimiter or find_delimiter(text)
    if delimiter is None:
        raise Unusable("is not a map file or table that can be recognised; export it again, with a header line")
    found = Delimited(utf8, encoding, how, delimiter, [], warnings=warnings)
    width = _find_header(found, _records_of(text, delimiter), start, exported)
    try:
        regular = _walk(found, width, most_records)
    except csv.Error:
        regular = False
    if not regular:
        _walk_line_by_line(found, width, copy, most_records)
    return found


# Encoding


def _decode_head(head: bytes) -> str | None:
    """The text of a file's first bytes, None for what is no text."""
    if encoding := _marked_encoding(head):
        return codecs.getincrementaldecoder(encoding)("replace").decode(head)
    if b"\x00" in head:
        return None
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(head)  # the last letter may be cut in two
    except UnicodeDecodeError:
        return head.decode("cp1252", "replace")


def _marked_encoding(head: bytes) -> str | None:
    """What a byte order mark says; without one, UTF-16 shows as a zero beside nearly every letter."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = head[:2000:2].count(0), head[1:2000:2].count(0)
    least = len(head[:2000]) // 4
    return "utf-16-le" if odd > least > even else "utf-16-be" if even > least > odd else None


def _as_utf8(path: Path, copy: Path) -> tuple[Path, str, str, list[str]]:
    """(the text in UTF-8, its encoding, how that was proved, complaints); a copy only where it was not UTF-8."""
    with path.open("rb") as file:
        marked = _marked_encoding(file.read(4096))
    if marked in (None, "utf-8-sig"):
        if _decodes(path, "utf-8"):
            how = "every byte of the file is UTF-8"
            return path, "UTF-8", how if marked is None else f"{how}, as its first bytes say", []
        if marked is None:
            return _as_utf8_from_bytes(path, copy)
    if marked is not None and (utf8 := _transcoded(path, copy, marked)):
        how = "as its first bytes say" if marked == "utf-16" else "shown by its bytes"
        return utf8, "UTF-16", f"{how}; decoded and encoded again, the bytes are the same", []
    raise Unusable(f"begins like {(marked or '').upper()} text and goes on as something else; export it again as UTF-8")


def _as_utf8_from_bytes(path: Path, copy: Path) -> tuple[Path, str, str, list[str]]:
    """Not UTF-8 as a whole. Lines of UTF-8 among others come of files glued together: each line speaks for itself."""
    mixed, other = 0, 0
    for line in _lines(path):
        if not line.isascii():
            if _is_utf8(line):
                mixed += 1
            else:
                other += 1
    if mixed:
        copy = copy.with_suffix(".mixed")
        with copy.open("wb") as out:
            for line in _lines(path):
                out.write(line if _is_utf8(line) else line.decode("cp1252", "replace").encode("utf-8"))
        how = f"{mixed:,} lines are UTF-8, {other:,} are not and were read as Windows-1252"
        return copy, "UTF-8 and CP1252", how, [f"The text is in two encodings: {how}."]
    for encoding, proof in (("cp1252", ""), ("cp850", " (Windows-1252 leaves some of its bytes without meaning)")):
        if utf8 := _transcoded(path, copy, encoding):
            how = f"the bytes are not UTF-8{proof}; decoded and encoded again, they are the same"
            return utf8, encoding.upper(), how, []
    raise Unusable("is text in an unknown encoding; export it again as UTF-8")


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(_LONGEST_LINE):
            yield line


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while chunk := file.read(MIB):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _transcoded(path: Path, copy: Path, encoding: str) -> Path | None:
    """A copy in UTF-8, if every byte decodes and encodes back to itself."""
    copy = copy.with_suffix(".utf8")
    given, again = hashlib.sha256(), hashlib.sha256()
    with path.open("rb") as file, copy.open("wb") as out:
        if encoding == "utf-16":
            encoding = "utf-16-be" if file.read(2) == codecs.BOM_UTF16_BE else "utf-16-le"
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            while chunk := file.read(MIB):
                given.update(chunk)
                text = decoder.decode(chunk)
                again.update(text.encode(encoding))
                out.write(text.encode("utf-8"))
            decoder.decode(b"", final=True)
        except UnicodeError:
            return None
    return copy if given.digest() == again.digest() else None


# Delimiter and header


def find_delimiter(text: str) -> str | None:
    """The mark that splits most lines into one number of fields, more than one; None when none does."""
    best: tuple[float, int, str] | None = None
    for mark in DELIMITERS:
        if mark not in text:
            continue
        counts = Counter(len(record) for record in _records_of(text, mark) if any(record))
        total = counts.total()
        width, lines = max(counts.items(), key=lambda pair: (pair[1], pair[0]), default=(0, 0))
        # Of two lines both must agree; of more, some may be titles above the table.
        titles = min(total // 2, _TITLE_LINES) if lines > 1 else 0
        least = 1 if len(text) > _LONG_HEAD else 2  # one line and a cell without end are a table too
        if width < 2 or total < least or lines < _AGREEING * (total - titles):
            continue
        rank = (lines / total, width, mark)
        best = max(best, rank) if best else rank
    return best[2] if best else None


def _records_of(text: str, delimiter: str) -> list[list[str]]:
    """The first records of the head; the last one may be cut off and is left out when there are others."""
    records = []
    try:
        for record in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            records.append(record)
            if len(records) > _HEAD_RECORDS:
                break
    except csv.Error:
        pass
    whole = text.endswith(("\n", "\r")) or len(records) > _HEAD_RECORDS
    return records if whole or len(records) < 2 else records[:-1]


def header_at(rows: Sequence[Sequence[str]]) -> tuple[int, int]:
    """(place of the header, number of columns): titles above it fill fewer cells than the lines of the table do."""
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    width = max(Counter(len(row) for row in rows if any(row)).items(), key=lambda pair: pair[1], default=(0, 0))[0]
    wanted = max(min(2, width), (max(filled[: 2 * _TITLE_LINES], default=0) + 1) // 2)
    at = next((place for place, count in enumerate(filled[:_TITLE_LINES]) if count >= wanted), 0)
    return at, max(width, len(rows[at]) if rows else 0)


def names_of(header: Sequence[str], width: int) -> list[str]:
    return [
        header[at].strip() if at < len(header) and header[at].strip() else f"column_{at + 1}" for at in range(width)
    ]


def is_header(row: Sequence[str]) -> bool:
    """A first line that is mostly numbers is data: the table has no header."""
    filled = [cell for cell in row if cell.strip()]
    return sum(_NUMBER.fullmatch(cell) is not None for cell in filled) <= len(filled) / 2


def header_complaints(header: Sequence[str]) -> list[str]:
    seen = Counter(cell.strip().casefold() for cell in header if cell.strip())
    return [
        f"The column {next(cell.strip() for cell in header if cell.strip().casefold() == name)} stands {times} times "
        "in the header; the later ones got a number."
        for name, times in seen.items()
        if times > 1
    ]


def _find_header(found: Delimited, records: list[list[str]], start: int, exported: bool) -> int:
    at, width = (0, len(records[0])) if exported else header_at(records)
    header = records[at]
    if max(map(len, header)) > _LONGEST_NAME:
        raise Unusable("has a header whose names are no names; export it again, with a header line")
    found.start = start
    if exported or is_header(header):
        found.titles = at
        found.start += _bytes_of_records(found, at + 1, start)
        found.warnings += header_complaints(header)
        beyond = [cell for record in records[at + 1 :] for cell in record[len(header) :]]
        if not any(cell.strip() for cell in beyond):
            width = len(header)
        if len(header) < width:
            found.warnings.append(f"The header names {len(header)} columns of {width}; the others are numbered.")
    else:
        found.warnings.append("The table has no header line: its columns are numbered.")
        header = []
    found.names = names_of(header, width)
    return width


def _bytes_of_records(found: Delimited, count: int, start: int) -> int:
    """Length of the first ``count`` records, with their line ends."""
    with found.path.open("rb") as file:
        file.seek(start)
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        length = 0

        def measured() -> Iterator[str]:
            nonlocal length
            for line in text:
                length += len(line.encode("utf-8"))
                yield line

        reader = csv.reader(measured(), delimiter=found.delimiter)
        for _ in range(count):
            next(reader)
        text.detach()
    return length


# The walk


def _open_lines(found: Delimited) -> tuple[io.TextIOWrapper, int]:
    """The text after the header, and how many lines stand above it."""
    file = found.path.open("rb")
    above = file.read(found.start)
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    return text, len(above.decode("utf-8").splitlines()) if above.strip(codecs.BOM_UTF8) else 0


def _walk(found: Delimited, width: int, most_records: int) -> bool:
    """Count the records; False as soon as one is not as wide as the header, or a quotation mark swallowed lines."""
    lines, _ = _open_lines(found)
    with lines:
        reader = csv.reader(lines, delimiter=found.delimiter, strict=True)
        before = 0
        for record in reader:
            several = reader.line_num - before > 1
            before = reader.line_num
            if len(record) != width:
                if record and (len(record) > 1 or record[0].strip()):
                    return False
                found.blank += 1
                if record:  # blanks only: Arrow would take them for a field
                    return False
                continue
            if several:
                found.several_lines = True
                if _swallowed(record, found.delimiter, width):
                    return False
            _take(found, record, most_records)
    return True


def _take(found: Delimited, record: list[str], most_records: int) -> None:
    found.rows += 1
    if found.rows > most_records:
        raise Unusable(f"holds more than {most_records:,} records; send the one map or table alone")
    if len(found.sample) < _HEAD_RECORDS or (found.rows % 997 == 0 and len(found.sample) < 2 * _HEAD_RECORDS):
        found.sample.append(record)
    found.longest = max(found.longest, sum(map(len, record)))


def _swallowed(record: list[str], delimiter: str, width: int) -> bool:
    """Whether a cell of several lines holds what looks like lines of the table: its quotation mark was a stray one."""
    return any(
        line.count(delimiter) >= width - 1
        for cell in record
        if "\n" in cell or "\r" in cell
        for line in cell.splitlines()
    )


def _walk_line_by_line(found: Delimited, width: int, copy: Path, most_records: int) -> None:
    """Write what can be used into a clean copy. A record is tried over more lines only while its quotes are open."""
    found.rows = found.longest = found.blank = 0
    found.sample.clear()
    copy = copy.with_suffix(".clean")
    source, above = _open_lines(found)
    with source, copy.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter=found.delimiter, lineterminator="\n")
        lines = [*source]
        at = 0
        while at < len(lines):
            number = above + at + 1
            record, used, literal = _record_at(lines, at, found.delimiter, width)
            at += used
            if record is None:
                found.broken.append(number)
                continue
            if not any(cell.strip() for cell in record) and len(record) < 2:
                found.blank += 1
                continue
            if not _fits(record, width):
                found.broken.append(number)
                continue
            if len(record) > width:
                found.trimmed += 1
                record = record[:width]
            if literal:
                found.unquoted.append(number)
            found.several_lines |= used > 1
            _take(found, record, most_records)
            writer.writerow(record)
    found.path, found.start = copy, 0


def _fits(record: list[str], width: int) -> bool:
    """As wide as the header, or wider by empty fields alone."""
    return len(record) >= width and not any(cell.strip() for cell in record[width:])


def _record_at(lines: list[str], at: int, delimiter: str, width: int) -> tuple[list[str] | None, int, bool]:
    """(the record, lines used, whether its quotation marks were taken as they stand) from line ``at`` on."""
    line = lines[at]
    if '"' in line:
        for used in range(1, min(_MOST_LINES_IN_CELL, len(lines) - at) + 1):
            try:
                record = next(csv.reader(lines[at : at + used], delimiter=delimiter, strict=True))
            except csv.Error as error:
                if "unexpected end of data" in str(error):
                    continue
                break
            if _fits(record, width) and not (used > 1 and _swallowed(record, delimiter, width)):
                return record, used, False
            break
        record = next(csv.reader([line], delimiter=delimiter, quoting=csv.QUOTE_NONE), [])
        return (record, 1, True) if _fits(record, width) else (None, 1, True)
    return next(csv.reader([line], delimiter=delimiter), []), 1, False
