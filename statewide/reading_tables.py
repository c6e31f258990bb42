"""Reading tables that GDAL is not asked for: CSV through Arrow, .xlsx through calamine, Access through mdbtools.

Every cell comes as the text that stands in the file, for a leading zero is part of a parcel number. Runs inside the
throwaway process. Shapes may stand in the columns (``shape_columns``).
"""

from __future__ import annotations

import csv
import datetime as dt
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from statewide import delimited, shape_columns, workbook
from statewide.prescan import Count
from statewide.reading_limits import MIB, Unusable
from statewide.reading_rows import BATCH_ROWS, Dataset, FoundLayer, Rows, TableFile, column_names, name_rows
from statewide.sniff import MDBTOOLS

TABLE_KINDS = frozenset({"csv", "xlsx", "access"})
_SAMPLE = 200
_EXPORT_DELIMITER = "\x1f"
_HIDDEN_ACCESS_TABLES = ("MSys", "~", "USys", "f_", "GDB_")


@dataclass
class Table:
    """A table as listed, and how to get its rows as batches of Arrow text columns. ``names`` are all its columns;
    those of the layer lack the one that became the shapes."""

    names: list[str]
    layer: FoundLayer
    count: Count
    batches: Callable[[], Iterator[list[Any]]]
    shapes: shape_columns.ShapeColumns | None = None
    broken: list[int] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def list_tables(number: int, dataset: Dataset, copy: Path, most_records: int, *, shapes: bool) -> Iterator[Table]:
    """``copy`` is where copies may be written, each with a suffix of its own. With ``shapes`` those that stand in
    columns are looked for, else such columns stay as they are. Raises Unusable."""
    if dataset.kind == "csv":
        found = delimited.study(Path(dataset.path), copy, most_records)
        listed = iter([(_delimited_table(number, dataset, found), found.sample)])
    elif dataset.kind == "xlsx":
        listed = _sheets(number, dataset)
    else:
        listed = _access_tables(number, dataset, copy, most_records)
    for table, sample in listed:
        if shapes:
            _look_for_shapes(table, sample)
        yield table


def read_table(table: Table, out: Path) -> dict[str, Any]:
    """Copy the table to ``table.arrow``."""
    found = table.shapes
    names = table.names
    rows = Rows()
    cut: list[int] = []
    kept = [at for at in range(len(names)) if not _is_shape(found, at)]
    with TableFile(out / "table.arrow", [pa.field(names[at], pa.string()) for at in kept], rows) as target:
        for batch in table.batches():
            wkb = None
            if found:
                built, lost, gone = shape_columns.build(found, [batch[at] for at in found.columns], rows.read + 1)
                wkb = pa.array(built, type=pa.binary())
                rows.lost_rows += lost
                rows.lost += len(lost)
                cut += gone
            target.add([batch[at] for at in kept], wkb, len(batch[0]))
    complaints = [*table.complaints, *target.said]
    if len(cut) < rows.lost:
        complaints += rows.complaints()
    if cut:
        complaints.append(shape_columns.cut_sentence(cut))
    if found:
        how = {"wkt": "WKT", "wkb": "WKB", "pair": "coordinates"}[found.how]
        columns = " and ".join(names[at] for at in found.columns)
        table.notes.append(f"The shapes are made of the {how} in {columns}.")
    return {
        "rows": vars(rows),
        "warnings": complaints,
        "notes": table.notes + rows.notes(),
        "broken_rows": table.broken,
    }


def _look_for_shapes(table: Table, sample: list[list[str]]) -> None:
    found = shape_columns.find(table.names, [[row[at] for row in sample] for at in range(len(table.names))])
    if found:
        table.shapes = found
        layer = table.layer
        layer.geometry_type = found.geometry_type
        layer.crs = f"epsg:{found.srid}" if found.srid else None  # small letters: to be looked up, not believed
        layer.crs_by_name = found.how == "pair" and found.srid is not None
        layer.fields = [field for at, field in enumerate(layer.fields) if not _is_shape(found, at)]


def _is_shape(found: shape_columns.ShapeColumns | None, column: int) -> bool:
    return found is not None and found.how != "pair" and column in found.columns


def _layer(number: int, inner: str | None, name: str, rows: int, names: list[str]) -> FoundLayer:
    fields = [(column, "string") for column in names]
    return FoundLayer(dataset=number, inner=inner, name=name, geometry_type=None, rows=rows, fields=fields, crs=None)


# CSV


def _delimited_table(number: int, dataset: Dataset, found: delimited.Delimited) -> Table:
    dataset.encoding_said, dataset.encoding_how = found.encoding, found.encoding_how
    dataset.delimiter = found.delimiter
    rows = found.rows + len(found.broken)
    names = column_names(found.names)
    table = Table(
        names=names,
        layer=_layer(number, None, dataset.name, rows, names),
        count=Count(rows, None, "records counted in the text"),
        batches=lambda: _csv_batches(found),
        broken=found.broken,
        complaints=list(found.warnings),
    )
    if found.broken:
        said = name_rows(found.broken, "line")
        table.complaints.append(
            f"Lines that do not have the {len(found.names)} fields of the header and were left out: "
            f"{len(found.broken):,} ({said})."
        )
    if found.unquoted:
        table.complaints.append(
            "Lines with a quotation mark that is never closed, which was taken as a letter: "
            f"{len(found.unquoted):,} ({name_rows(found.unquoted, 'line')})."
        )
    if found.titles:
        table.notes.append(f"Lines above the header, left out: {found.titles}.")
    if found.trimmed:  # by every line it is a habit of the program, by some it is not
        said = f"Lines with empty fields beyond the header: {found.trimmed:,}."
        (table.notes if found.trimmed == found.rows else table.complaints).append(said)
    if found.blank:
        table.notes.append(f"Empty lines, left out: {found.blank:,}.")
    return table


def _csv_batches(found: delimited.Delimited) -> Iterator[list[Any]]:
    from pyarrow import csv as arrow_csv

    if found.rows == 0:
        return
    numbers = [str(at) for at in range(len(found.names))]
    with found.path.open("rb") as file:
        file.seek(found.start)
        reader = arrow_csv.open_csv(
            pa.PythonFile(file, mode="r"),
            read_options=arrow_csv.ReadOptions(
                column_names=numbers, use_threads=False, block_size=max(4 * MIB, 8 * found.longest)
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=found.delimiter, newlines_in_values=found.several_lines, ignore_empty_lines=True
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(numbers, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                check_utf8=False,
            ),
        )
        for batch in reader:
            for first in range(0, len(batch), BATCH_ROWS):
                part = batch.slice(first, BATCH_ROWS)
                yield list(part.columns)


# Workbooks


def _sheets(number: int, dataset: Dataset) -> Iterator[tuple[Table, list[list[str]]]]:
    import python_calamine as calamine

    sheets = workbook.survey(Path(dataset.path))
    filled = [sheet for sheet in sheets if sheet.rows]
    if not filled:
        raise Unusable("is a workbook without a filled sheet")
    try:
        book = calamine.CalamineWorkbook.from_path(dataset.path)
        for sheet in filled:
            yield _sheet_table(number, dataset, sheet, book.get_sheet_by_name(sheet.name), len(filled) == 1)
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise Unusable("is a damaged workbook; save it again as .xlsx") from error


def _sheet_table(
    number: int, dataset: Dataset, sheet: workbook.Sheet, content: Any, alone: bool
) -> tuple[Table, list[list[str]]]:
    head: list[list[str]] = []
    filled: list[list[str]] = []
    for row in content.iter_rows():
        cells = [text_of(value) or "" for value in row]
        head.append(cells)
        filled += [cells] * any(cells)
        if len(filled) > _SAMPLE:
            break
    at, _ = delimited.header_at(head)
    header = head[at]
    width = content.width
    said = delimited.header_complaints(header)
    above = sum(any(row) for row in head[: at + 1])
    if not delimited.is_header(header):
        said.append("The table has no header line: its columns are numbered.")
        at, above, header = -1, 0, []
    rows = sheet.rows - above
    if sheet.long_numbers:
        said.append(
            f"Numbers of more than 15 digits, of which Excel keeps 15: {sheet.long_numbers:,}; keep ids as text."
        )
    names = column_names(delimited.names_of(header, width))
    table = Table(
        names=names,
        layer=_layer(number, sheet.name, dataset.name if alone else sheet.name, rows, names),
        count=Count(rows, None, f"rows with a value in the sheet {sheet.name}"),
        batches=lambda: _sheet_batches(content, at + 1, width),
        complaints=said,
    )
    if above > 1:
        table.notes.append(f"Lines above the header, left out: {above - 1}.")
    return table, [row for row in head[at + 1 :] if any(row)]


def _sheet_batches(content: Any, skipped: int, width: int) -> Iterator[list[Any]]:
    columns: list[list[str | None]] = [[] for _ in range(width)]
    for place, row in enumerate(content.iter_rows()):
        if place < skipped or not any(value != "" for value in row):
            continue
        for cells, value in zip(columns, row, strict=True):
            cells.append(text_of(value))
        if len(columns[0]) == BATCH_ROWS:
            yield [pa.array(cells, type=pa.string()) for cells in columns]
            columns = [[] for _ in range(width)]
    if columns[0]:
        yield [pa.array(cells, type=pa.string()) for cells in columns]


def text_of(value: Any) -> str | None:
    """A cell as its author would write it: 7 and not 7.0, a day without an hour that it does not have."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(" ") if value.time() != dt.time() else value.date().isoformat()
    return str(value)


# Access


def _access_tables(
    number: int, dataset: Dataset, copy: Path, most_records: int
) -> Iterator[tuple[Table, list[list[str]]]]:
    dataset.encoding_how = "mdbtools writes UTF-8, whatever the database holds"
    listed = _mdb("mdb-tables", "-1", "-t", "table", dataset.path).splitlines()
    tables = [name for name in listed if name and not name.startswith(_HIDDEN_ACCESS_TABLES)]
    if not tables:
        raise Unusable("is an Access database without a table of its own")
    for at, name in enumerate(tables):
        counted = _mdb("mdb-count", dataset.path, name).strip()
        rows = int(counted) if counted.isdigit() else None
        names = column_names(_access_columns(dataset.path, name))
        table = Table(
            names=names,
            layer=_layer(number, name, name, rows or 0, names),
            count=Count(rows, None, "row count in the header of the Access table"),
            batches=partial(_access_batches, dataset.path, name, copy.with_suffix(f".{at}"), most_records),
        )
        yield table, []


def _access_columns(path: str, name: str) -> list[str]:
    """The header line that the export begins with; the export itself is cut off."""
    with subprocess.Popen(
        _export_command(path, name), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
    ) as export:
        assert export.stdout is not None
        header = next(csv.reader(export.stdout, delimiter=_EXPORT_DELIMITER), [])
        export.kill()
    return header


def _export_command(path: str, name: str) -> list[str]:
    return [
        _program("mdb-export"),
        *("-d", _EXPORT_DELIMITER, "-b", "strip", "-D", "%Y-%m-%d", "-T", "%Y-%m-%d %H:%M:%S"),
        *("--", path, name),
    ]


def _access_batches(path: str, name: str, exported: Path, most_records: int) -> Iterator[list[Any]]:
    with exported.open("wb") as out:
        done = subprocess.run(_export_command(path, name), stdout=out, stderr=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise Unusable("is an Access database whose table could not be exported; export it as CSV")
    found = delimited.study(exported, exported, most_records, delimiter=_EXPORT_DELIMITER)
    yield from _csv_batches(found)


def _program(name: str) -> str:
    path = next(path for path in MDBTOOLS if path.name == name)
    if not path.is_file():
        raise Unusable("is an Access database, and this machine has no mdbtools to read it; send the table as CSV")
    return str(path)


def _mdb(program: str, *arguments: str) -> str:
    done = subprocess.run([_program(program), *arguments], capture_output=True, check=False)
    if done.returncode != 0:
        raise Unusable("is an Access database that could not be opened; export the table as CSV")
    return done.stdout.decode("utf-8", "replace")
