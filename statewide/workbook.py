"""An .xlsx workbook looked over before a library opens it: its sheets, how many rows and cells each really holds.

The sheets are walked as XML without building anything, so that the reading is held against a count of another maker,
and a sheet that would fill the memory is refused by its size.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from xml.parsers import expat

from statewide.reading_limits import MIB, Unusable

_MOST_CELLS = 20_000_000
_CELL = re.compile(r"([A-Z]{1,3})(\d{1,7})")


@dataclass
class Sheet:
    """``rows``: how many have any value, the header included. ``long_numbers``: more digits than Excel keeps."""

    name: str
    rows: int = 0
    cells: int = 0
    long_numbers: int = 0


def survey(path: Path) -> list[Sheet]:
    """The visible sheets, in the order of the workbook. Raises Unusable."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [_sheet(archive, name, part) for name, part in _parts(archive)]
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        KeyError,
        ValueError,
        NotImplementedError,
        expat.ExpatError,
    ) as error:
        raise Unusable("is a damaged workbook; save it again as .xlsx") from error


def _parts(archive: zipfile.ZipFile) -> list[tuple[str, str]]:
    """(name of the sheet, its part of the archive)."""
    sheets: list[tuple[str, str, bool]] = []
    targets: dict[str, str] = {}

    def workbook(name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            link = next((value for key, value in attributes.items() if key.endswith(":id")), "")
            sheets.append((attributes.get("name", ""), link, attributes.get("state", "visible") == "visible"))

    def relations(name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship" and attributes.get("Type", "").endswith("/worksheet"):
            targets[attributes.get("Id", "")] = attributes.get("Target", "")

    _walk(archive, "xl/workbook.xml", workbook)
    _walk(archive, "xl/_rels/workbook.xml.rels", relations)
    shown = [sheet for sheet in sheets if sheet[2]] or sheets
    return [(name, _absolute(targets[link])) for name, link, _ in shown if link in targets]


def _absolute(target: str) -> str:
    return target.lstrip("/") if target.startswith("/") else str(PurePosixPath("xl", target))


def _walk(
    archive: zipfile.ZipFile,
    part: str,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] | None = None,
    text: Callable[[str], None] | None = None,
) -> None:
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: start(name.rpartition(":")[2], attributes)
    if end:
        parser.EndElementHandler = lambda name: end(name.rpartition(":")[2])
    if text:
        parser.buffer_text = True
        parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    with archive.open(part) as file:
        while chunk := file.read(MIB):
            parser.Parse(chunk, False)
    parser.Parse(b"", True)


def _refuse_doctype(*_: Any) -> None:
    raise Unusable("is XML with a document type of its own, which is never opened")


def _sheet(archive: zipfile.ZipFile, name: str, part: str) -> Sheet:
    sheet = Sheet(name)
    in_row = in_value = numeric = False
    last_column = last_row = rows_seen = 0

    def start(element: str, attributes: dict[str, str]) -> None:
        nonlocal in_row, in_value, numeric, last_column, last_row, rows_seen
        if element == "row":
            in_row = False
            rows_seen += 1
            last_row = max(last_row, rows_seen, int(attributes.get("r", "0")[:8] or 0))
        elif element == "c":
            sheet.cells += 1
            numeric = attributes.get("t", "n") == "n"
            reference = attributes.get("r")
            place = _CELL.fullmatch(reference) if reference else None
            if reference and not place:
                raise ValueError("a cell without a place")
            if place:
                column = 0
                for letter in place[1]:
                    column = column * 26 + ord(letter) - 64
                last_column = max(last_column, column)
                last_row = max(last_row, int(place[2]))
            if sheet.cells > _MOST_CELLS or last_row * last_column > _MOST_CELLS:
                raise Unusable(f"has a sheet of more than {_MOST_CELLS:,} cells; export it as CSV")
        elif element in ("v", "t"):
            in_value = True

    def text(value: str) -> None:
        nonlocal in_row
        if in_value:
            if not in_row and value:
                in_row = True
                sheet.rows += 1
            if numeric and len(value) > 15 and value.strip("-").isdigit():
                sheet.long_numbers += 1

    def end(element: str) -> None:
        nonlocal in_value
        if element in ("v", "t"):
            in_value = False

    _walk(archive, part, start, end, text)
    return sheet
