"""Shapes in the columns of a plain table: WKT, EWKT or hexadecimal WKB known by content, else a pair of coordinates.

A coordinate system is taken from an SRID in the text, or from the names of a longitude and a latitude whose numbers
can be degrees; towns call northings so, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from statewide.reading_rows import name_rows

LONGEST_CELL = 32_767
"""Characters that a spreadsheet's cell can hold; a longer shape that went through one is cut there."""

_KINDS = r"(?:MULTI)?(?:POINT|LINESTRING|POLYGON|CURVE|SURFACE)|GEOMETRYCOLLECTION|CURVEPOLYGON|COMPOUNDCURVE|TIN"
_WKT = re.compile(rf"\s*(?:SRID=(\d{{3,6}})\s*;)?\s*({_KINDS})\s*(?:Z|M|ZM)?\s*(?:\(|EMPTY)", re.IGNORECASE)
_HEX = re.compile(r"(?:\\x)?0[01][0-9A-Fa-f]{40,}")
_EAST = frozenset({"x", "lon", "lng", "long", "longitude", "east", "easting", "xcoord", "xcoordinate"})
_NORTH = frozenset({"y", "lat", "latitude", "north", "northing", "ycoord", "ycoordinate"})
_LONGITUDE = frozenset({"lon", "lng", "long", "longitude"})
_LATITUDE = frozenset({"lat", "latitude"})
_DEGREES = 4326
_THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d*)?")
_NOTHING = frozenset({"", "null", "<null>", "none", "nan", "n/a", "na", "tbd", "unknown", "-", "?"})
_SPREADSHEET_ERROR = re.compile(r"#(n/a|ref!|value!|div/0!|name\?|null!|num!)", re.IGNORECASE)
_SEEN = 0.5  # share of the cells that must be shapes, or numbers


@dataclass(frozen=True)
class ShapeColumns:
    """``columns``: one of texts, or the east and the north one. ``srid``: what the texts, or the names of the two, say;
    None for nothing."""

    how: str
    columns: tuple[int, ...]
    geometry_type: str
    srid: int | None


def find(names: Sequence[str], sample: Sequence[Sequence[str | None]]) -> ShapeColumns | None:
    """Where a table's shapes are. ``sample`` holds some cells of each column."""
    filled = [[cell for cell in cells if cell and not cell.isspace()] for cells in sample]
    for at, cells in enumerate(filled):
        wkt = [found for cell in cells if (found := _WKT.match(cell))]
        if wkt and len(wkt) >= _SEEN * len(cells):
            srids = {found[1] for found in wkt}
            kinds = {found[2].upper() for found in wkt}
            srid = next(iter(srids))
            return ShapeColumns("wkt", (at,), _type_of(kinds), int(srid) if len(srids) == 1 and srid else None)
        if cells and sum(_HEX.fullmatch(cell) is not None for cell in cells) >= _SEEN * len(cells):
            shapes = _parsed(shapely.from_wkb, [_bytes(cell) for cell in cells])
            shapes = shapes[~shapely.is_missing(shapes)]
            if len(shapes):
                srid = int(shapely.get_srid(shapes[0]))
                kinds = {str(shape.geom_type).upper() for shape in shapes}
                return ShapeColumns("wkb", (at,), _type_of(kinds), srid or None)
    return _pair(names, filled)


def _type_of(kinds: set[str]) -> str:
    """In OGR's words."""
    single = {kind.removeprefix("MULTI") for kind in kinds}
    if single == {"POLYGON"}:
        return "MultiPolygon" if "MULTIPOLYGON" in kinds else "Polygon"
    return (
        {"POINT": "Point", "LINESTRING": "LineString"}.get(next(iter(single)), "Unknown")
        if len(single) == 1
        else ("Unknown")
    )


def _pair(names: Sequence[str], filled: Sequence[Sequence[str]]) -> ShapeColumns | None:
    """Two columns of numbers whose names differ only in the word for east and north: X_COORD and Y_COORD.

    Of several pairs the one that is filled in most rows; of equals, the first.
    """
    pairs: list[tuple[int, ShapeColumns]] = []
    words = [tuple(re.findall(r"[a-z]+|\d+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())) for name in names]
    numeric = [bool(cells) and sum(_is_number(cell) for cell in cells) >= _SEEN * len(cells) for cells in filled]
    for east, name in enumerate(words):
        for place, word in enumerate(name):
            norths = _NORTH if word in _EAST else {f"y{word[1:]}"} if word.startswith("x") and len(word) > 2 else ()
            if not norths or not numeric[east]:
                continue
            for north, other in enumerate(words):
                if (
                    numeric[north]
                    and len(other) == len(name)
                    and other[place] in norths
                    and other[:place] + other[place + 1 :] == name[:place] + name[place + 1 :]
                ):
                    both = min(len(filled[east]), len(filled[north]))
                    named = word in _LONGITUDE and other[place] in _LATITUDE
                    degrees = named and _within(filled[east], 180) and _within(filled[north], 90)
                    srid = _DEGREES if degrees else None
                    pairs.append((both, ShapeColumns("pair", (east, north), "Point", srid)))
    return max(pairs, key=lambda pair: pair[0])[1] if pairs else None


def _is_number(text: str) -> bool:
    return bool(np.isfinite(_number(text)))


def _within(cells: Sequence[str], most: float) -> bool:
    """Whether no number goes beyond it."""
    return not any(abs(_number(cell)) > most for cell in cells)


def _bytes(cell: str) -> bytes:
    try:
        return bytes.fromhex(cell.strip().removeprefix("\\x"))
    except ValueError:
        return b""


def build(found: ShapeColumns, columns: Sequence[Any], first_row: int) -> tuple[npt.NDArray[Any], list[int], list[int]]:
    """(ISO WKB or None for each row, rows whose shape could not be read, those among them cut by a spreadsheet).

    ``columns`` are Arrow's, ``first_row`` the ``row_no`` of their first cell.
    """
    if found.how == "pair":
        east, north = (_numbers(column) for column in columns)
        points = shapely.points(east, north)
        without = np.isnan(east) | np.isnan(north)
        points[without] = None
        unread = [
            int(at) for at in np.flatnonzero(without) if any(_says(column[int(at)].as_py()) for column in columns)
        ]
        return shapely.to_wkb(points), [at + first_row for at in unread], []
    cells = [cell if cell and not cell.isspace() else None for cell in columns[0].to_pylist()]
    there = np.array([cell is not None for cell in cells], dtype=bool)
    if found.how == "wkb":
        shapes = _parsed(shapely.from_wkb, [None if cell is None else _bytes(cell) for cell in cells])
    else:
        texts = [None if cell is None else cell.partition(";")[2] if "=" in cell[:12] else cell for cell in cells]
        shapes = _parsed(shapely.from_wkt, texts)
    gone = np.flatnonzero(there & shapely.is_missing(shapes)).tolist()
    cut = [at + first_row for at in gone if len(cells[at] or "") >= LONGEST_CELL - 1]
    return shapely.to_wkb(shapes, flavor="iso", output_dimension=4), [at + first_row for at in gone], cut


def _parsed(parse: Callable[..., Any], values: Sequence[Any]) -> npt.NDArray[Any]:
    """None for what is no shape. GEOS has no curves in text: one is lost, and named, like a shape that is no shape."""
    try:
        return np.asarray(parse(values, on_invalid="ignore"), dtype=object)
    except NotImplementedError:
        return np.concatenate([_parsed(parse, [value]) if len(values) > 1 else [None] for value in values])


def _says(cell: str | None) -> bool:
    """Whether a cell that is no number says something all the same."""
    text = (cell or "").strip()
    return text.casefold() not in _NOTHING and not _SPREADSHEET_ERROR.fullmatch(text)


def _numbers(column: Any) -> npt.NDArray[np.float64]:
    """NaN for what is no number."""
    try:
        numbers = np.array(column.cast(pa.float64()).fill_null(np.nan))
    except pa.ArrowInvalid:  # some cell is no plain number
        return np.array([_number(cell) for cell in column.to_pylist()])
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _number(cell: str | None) -> float:
    text = (cell or "nan").strip()
    try:
        number = float(text.replace(",", "") if _THOUSANDS.fullmatch(text) else text)
    except ValueError:
        return float("nan")
    return number if np.isfinite(number) else float("nan")


def cut_sentence(rows: list[int]) -> str:
    return (
        f"Shapes that were cut at {LONGEST_CELL:,} characters, the most that a cell of a spreadsheet holds, and are "
        f"lost: {len(rows):,} ({name_rows(rows)}); send them as a map file."
    )
