"""What `statewide <room> diff|rollback|export` have in common: what changed, what it was before, and files of it.

A room declares the commands over its datasets; the work and the words are here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from statewide.console import emit, progress
from statewide.database import connect
from statewide.errors import BadArgument
from statewide.export import FORMATS, export, export_comparison, format_of
from statewide.intake import Dataset
from statewide.register import find_town
from statewide.rollback import Settle, roll_back
from statewide.settings import load_settings
from statewide.standard import load_standard
from statewide.versions import Comparison, RowChange, as_moment, compare, find_version, version_before

Earlier = Annotated[
    str | None,
    typer.Option("--from", help="Number or identifier of a submission, a day, or live; else the one before."),
]
Later = Annotated[str, typer.Option("--to", help="Likewise.")]
Rows = Annotated[Path | None, typer.Option(help="A file to write the rows to: csv, geojson, gpkg …")]
To = Annotated[str, typer.Option(help="Number or identifier of the submission to go back to.", show_default=False)]
Why = Annotated[str | None, typer.Option(help="Why; kept and shown.")]
ExportFile = Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.", show_default=False)]
OnlyTown = Annotated[str | None, typer.Option(help="Only this town, by name, code or number.")]
AsOf = Annotated[
    str | None, typer.Option(help="As it was at the end of a day (UTC) or at a moment, such as 2026-04-30.")
]
Format = Annotated[
    str | None,
    typer.Option("--format", help=f"One of {', '.join(FORMATS)}; else by the file's name.", show_default=False),
]
Crs = Annotated[int | None, typer.Option(help="6434 (State Plane, feet) or 4326 (degrees).")]

_SHOWN = 20


def show_diff(dataset: Dataset, town: str, earlier: str | None, later: str, out: Path | None, as_json: bool) -> None:
    """Print what changed from one version of a town to another, and write it to a file if asked.

    Raises:
        BadArgument: no such version, or they are the wrong way round.
    """
    standard = load_standard()
    table = standard.table(dataset.table)
    kind = format_of(out, None) if out else None
    with connect(load_settings()) as connection:
        found = find_town(connection, town)
        to = find_version(connection, table.name, found, later)
        since = (
            find_version(connection, table.name, found, earlier)
            if earlier
            else version_before(connection, table.name, found, to)
        )
        comparison = compare(connection, standard, table, found, dataset.label, since, to)
    written = export_comparison(out, kind, comparison, table, standard) if out and kind else None
    result = {
        "outcome": "ok",
        "town": found.town_name,
        "dataset": table.name,
        "from": _version(since.said, since.number, since.moment),
        "to": _version(to.said, to.number, to.moment),
        "counts": comparison.counts(),
        "lineage": dict(comparison.kinds),
        "rows": [
            {
                "uid": row.uid,
                "change": row.change,
                "kinds": row.kinds,
                "label": row.label,
                "redrawn": row.redrawn,
                "values": row.values,
            }
            for row in comparison.rows
        ],
        "file": None if out is None else {"path": str(out), "rows": written},
    }
    emit(as_json, result, "\n".join(_comparison_text(found.town_name, comparison, out)))


def go_back(
    datasets: Sequence[Dataset], settle: Settle | None, town: str, to: str, reason: str | None, as_json: bool
) -> None:
    """Make an earlier version of a town live again, and say what that wrote."""
    summary = roll_back(load_settings(), datasets, settle, town, to, reason, progress)
    rows = summary["rows"]
    said = "is live again" if summary["outcome"] == "published" else "is what is live: nothing was written"
    lines = [
        f"{summary['town']}: the version of submission {summary['rollback_to_number']} {said}.",
        f"  rows      {rows['published']:,} live",
        f"  changes   {rows['added']:,} back, {rows['changed']:,} changed back, {rows['removed']:,} gone,"
        f" {rows['unchanged']:,} unchanged",
    ]
    lines += [f"  behind    {name}: {why}" for name, why in summary["behind"].items()]
    emit(as_json, summary, "\n".join(lines))


def write_export(
    dataset: Dataset, path: Path, town: str | None, as_of: str | None, kind: str | None, crs: int | None, as_json: bool
) -> None:
    """Write what is published to one file.

    Raises:
        BadArgument: the day, the format or the coordinate system makes no sense.
    """
    moment = as_moment(as_of) if as_of else None
    if as_of and moment is None:
        raise BadArgument(f"{as_of!r} is no day: give one such as 2026-04-30.")
    settings, standard = load_settings(), load_standard()
    with connect(settings) as connection:
        found = find_town(connection, town) if town else None
    table = standard.table(dataset.table)
    result = export(
        settings, standard, table, path, format_of(path, kind), town=found, moment=moment, epsg=crs, say=progress
    )
    where = found.town_name if found else f"{result['towns']:,} towns"
    then = f" as of {as_of}" if as_of else ""
    emit(as_json, result, f"{result['rows']:,} rows of {where}{then} are in {path} (EPSG:{result['epsg']}).")


def _version(said: str, number: int | None, moment: Any) -> dict[str, Any]:
    return {"said": said, "submission_no": number, "moment": moment.isoformat()}


def _comparison_text(town: str, comparison: Comparison, out: Path | None) -> Iterator[str]:
    counts = comparison.counts()
    yield f"{town}, from {comparison.earlier.said} to {comparison.later.said}:"
    yield f"  rows      {counts['added']:,} added, {counts['changed']:,} changed, {counts['removed']:,} removed"
    if comparison.kinds:
        yield "  became    " + ", ".join(f"{kind} {count:,}" for kind, count in comparison.kinds.items())
    changed = [row for row in comparison.rows if row.change == "changed"]
    columns = Counter(name for row in changed for name in row.values)
    if changed:
        shapes = sum(row.redrawn for row in changed)
        shown = [f"{name} {count:,}" for name, count in columns.most_common()]
        yield "  changed   " + (
            ", ".join([f"shape {shapes:,}", *shown] if shapes else shown) or "nothing that is public"
        )
    for row in comparison.rows[:_SHOWN]:
        yield f"  {row.change:<8}  {row.label or row.uid}  {_row_text(row)}".rstrip()
    if len(comparison.rows) > _SHOWN:
        yield f"  … and {len(comparison.rows) - _SHOWN:,} more" + ("" if out else ": --out FILE writes them all")
    if out:
        yield f"  file      {out}, {len(comparison.rows):,} rows"


def _row_text(row: RowChange) -> str:
    kinds = f"({', '.join(row.kinds)}) " if row.kinds else ""
    if row.change != "changed":
        return kinds
    values = (f"{name}: {_shown(before)} → {_shown(after)}" for name, (before, after) in row.values.items())
    return kinds + "; ".join(values)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
