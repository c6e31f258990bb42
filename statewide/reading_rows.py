"""What every reader's rows are held to before the parent sees them: plain types, unique names, whole shapes.

Runs inside the throwaway process. GEOS is called here first on purpose: a shape that crashes it must do so there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import shapely

from statewide.reading_limits import Unusable

BATCH_ROWS = 16_384
DEEPEST_COLLECTION = 32
_CURVES = frozenset({8, 9, 10, 11, 12, 13, 14})
_NAMED = 10  # rows that a sentence names


class CurvesFound(Exception):
    """A layer that does not declare curves has some: it is read again with arcs turned into short lines."""


@dataclass
class Dataset:
    """One map or table of the delivery as staged for reading. ``name`` is the sender's.

    ``encoding`` is what GDAL is told, for a .dbf; ``encoding_said`` and ``encoding_how`` are for the report.
    """

    kind: str
    path: str
    name: str
    encoding: str | None = None
    encoding_said: str = "UTF-8"
    encoding_how: str = "the format is always UTF-8"
    delimiter: str | None = None

    def __post_init__(self) -> None:
        self.encoding_said = self.encoding or self.encoding_said


@dataclass
class FoundLayer:
    """A layer as listed. ``inner`` is its name inside the dataset (None: the only one). ``crs_by_name``: only the names
    of its columns say ``crs``."""

    dataset: int
    inner: str | None
    name: str
    geometry_type: str | None
    rows: int | None
    fields: list[tuple[str, str]]
    crs: str | None
    crs_by_name: bool = False


@dataclass
class Rows:
    """What a reading gave. All but ``lost_rows`` count rows; ``lost`` are shapes that were there and could not be
    used, ``lost_rows`` the ``row_no`` of each."""

    read: int = 0
    emptied: int = 0
    closed: int = 0
    lost: int = 0
    lost_rows: list[int] = field(default_factory=list)
    linearised: bool = False
    heights: bool = False
    measures: bool = False

    def complaints(self) -> list[str]:
        said = []
        if self.linearised:
            said.append("The layer has curves; arcs were turned into short lines of one degree each.")
        if self.closed:
            said.append(f"Shapes whose rings did not close and were closed: {self.closed:,}.")
        if self.lost:
            said.append(f"Shapes that could not be read and are missing: {self.lost:,} ({name_rows(self.lost_rows)}).")
        return said

    def notes(self) -> list[str]:
        if not (self.heights or self.measures):
            return []
        what = " and ".join(["heights (Z)"] * self.heights + ["measures (M)"] * self.measures)
        return [f"The shapes have {what}, which are not used."]


def name_rows(numbers: list[int], what: str = "row") -> str:
    """``row 3``, ``rows 3, 8``, ``rows 3, 8 and 40 more``."""
    more = f" and {len(numbers) - _NAMED:,} more" if len(numbers) > _NAMED else ""
    return f"{what}{'s' * (len(numbers) > 1)} {', '.join(str(number) for number in numbers[:_NAMED])}{more}"


class TableFile:
    """``table.arrow`` in the making: row_no, the columns, geometry (ISO WKB, null if absent or empty)."""

    def __init__(self, target: Path, fields: list[Any], rows: Rows) -> None:
        self.rows = rows
        self.said: list[str] = []
        self.schema = table_schema(fields)
        self._file = pa.OSFile(str(target), "wb")
        self._writer = pa.ipc.new_file(self._file, self.schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        self._file.close()

    def add(self, columns: list[Any], shapes: Any, length: int) -> None:
        """Append a batch of ``length`` rows. ``shapes`` is binary Arrow, or None for a table without."""
        first = self.rows.read + 1
        cells = [cast(column, self.schema.field(at), self.said) for at, column in enumerate(columns, start=1)]
        geometry = pa.nulls(length, pa.binary()) if shapes is None else settle_shapes(shapes, self.rows)
        numbers = pa.array(np.arange(first, first + length, dtype=np.int64))
        self._writer.write_batch(pa.record_batch([numbers, *cells, geometry], schema=self.schema))
        self.rows.read += length


def column_names(names: list[str]) -> list[str]:
    """The source's names; the two that the table needs for itself, and repeated ones, get a number behind them."""
    taken = {"row_no", "geometry"}
    result = []
    for name in names:
        new, number = name, 1
        while new in taken:
            new, number = f"{name}_{number}", number + 1
        taken.add(new)
        result.append(new)
    return result


def table_schema(fields: list[Any]) -> Any:
    names = column_names([field.name for field in fields])
    typed = [pa.field(name, _plain_type(field.type)) for name, field in zip(names, fields, strict=True)]
    return pa.schema([pa.field("row_no", pa.int64()), *typed, pa.field("geometry", pa.binary())])


def _plain_type(kind: Any) -> Any:
    """Two kinds of number, one of text: the callers' life is simpler, and no value changes."""
    if isinstance(kind, pa.BaseExtensionType):  # JSON, which is text
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):  # a coded domain: the codes are what the source holds
        kind = kind.index_type
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_large_string(kind) or pa.types.is_nested(kind):
        return pa.string()
    if pa.types.is_large_binary(kind):
        return pa.binary()
    return kind


def cast(column: Any, field: Any, said: list[str]) -> Any:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.indices
    if pa.types.is_nested(column.type):
        texts = [None if value is None else json.dumps(value, default=str) for value in column.to_pylist()]
        return pa.array(texts, type=pa.string())
    if pa.types.is_string(column.type):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            sentence = f"In column {field.name}, some text is not UTF-8 and was read as Windows-1252."
            if sentence not in said:
                said.append(sentence)
            cells = column.view(pa.binary()).to_pylist()
            return pa.array([None if cell is None else _decode(cell) for cell in cells], type=pa.string())
    return column if column.type == field.type else column.cast(field.type)


def _decode(cell: bytes) -> str:
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":  # a letter cut in two by the width of its column
            return cell[: error.start].decode("utf-8")
        return cell.decode("cp1252", "replace")


def settle_shapes(column: Any, rows: Rows) -> Any:
    """Hold each shape to what the parent may safely be given: whole, of bounded depth, no curves, ISO WKB."""
    column.validate(full=True)  # a driver's own Arrow may be wrong
    wkb = np.array(column.to_pylist(), dtype=object)
    headers = {blob[:5] for blob in wkb if blob is not None}
    codes = {int.from_bytes(head[1:5], "little" if head[:1] == b"\x01" else "big") for head in headers}
    plain = {code & 0x0FFFFFFF for code in codes}
    if any(code % 1000 in _CURVES for code in plain):
        if rows.linearised:
            raise Unusable("has curves that could not be turned into lines; export it with plain lines")
        raise CurvesFound
    rows.heights |= any(code // 1000 in (1, 3) for code in plain) or any(code & 0x80000000 for code in codes)
    rows.measures |= any(code // 1000 in (2, 3) for code in plain) or any(code & 0x40000000 for code in codes)
    shapes = shapely.from_wkb(wkb, on_invalid="ignore")
    failed = np.array([blob is not None for blob in wkb], dtype=bool) & ~shapely.is_geometry(shapes)
    if failed.any():
        shapes[failed] = shapely.from_wkb(wkb[failed], on_invalid="fix")
        mended = failed & shapely.is_geometry(shapes)
        rows.closed += int(mended.sum())
        gone = np.flatnonzero(failed & ~mended)
        rows.lost += len(gone)
        rows.lost_rows += (gone + rows.read + 1).tolist()
        wkb[failed] = shapely.to_wkb(shapes[failed], flavor="iso", output_dimension=4)
    _check_depth(shapes)
    empty = shapely.is_empty(shapes)
    rows.emptied += int(empty.sum())
    if any(code & 0xF0000000 for code in codes):  # the older way to say Z
        wkb = shapely.to_wkb(shapes, flavor="iso", output_dimension=4)
    elif not failed.any() and not empty.any():
        return column
    wkb[empty] = None
    return pa.array(wkb.tolist(), type=pa.binary())


def _check_depth(shapes: Any) -> None:
    parts = shapes[shapely.get_type_id(shapes) == 7]
    depth = 0
    while len(parts):
        depth += 1
        if depth > DEEPEST_COLLECTION:
            raise Unusable("holds a shape nested deeper than any lot is; export it again")
        inner = shapely.get_parts(parts)
        parts = inner[shapely.get_type_id(inner) == 7]
