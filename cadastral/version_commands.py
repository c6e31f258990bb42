"""`statewide parcels diff|rollback|export`: what changed, what it was before, and files of it for others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cadastral.assessments import ASSESSMENTS
from cadastral.meeting import settle_rollback
from cadastral.parcels import PARCELS
from statewide.console import emit, progress
from statewide.database import connect
from statewide.errors import BadArgument
from statewide.export import FORMATS, export_comparison, format_of
from statewide.export import export as export_published
from statewide.register import find_town
from statewide.rollback import roll_back
from statewide.settings import load_settings
from statewide.standard import load_standard
from statewide.versions import LIVE, Comparison, RowChange, as_moment, compare, find_version, version_before

app = typer.Typer()

Town = Annotated[str, typer.Option(help="Town by name, five-digit code or town number.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]
Cama = Annotated[bool, typer.Option("--cama", help="The assessor's records instead of the parcels.")]
Format = Annotated[
    str | None,
    typer.Option("--format", help=f"One of {', '.join(FORMATS)}; else by the file's name.", show_default=False),
]

_SHOWN = 20


@app.command()
def diff(
    town: Town,
    earlier: Annotated[
        str | None,
        typer.Option("--from", help="Number or identifier of a submission, a day, or live; else the one before."),
    ] = None,
    later: Annotated[str, typer.Option("--to", help="Likewise.")] = LIVE,
    cama: Cama = False,
    out: Annotated[Path | None, typer.Option(help="A file to write the rows to: csv, geojson, gpkg …")] = None,
    json: Json = False,
) -> None:
    """Show what changed from one version of a town to another: rows, values, and what became of which parcel.

    Example: statewide parcels diff --town Franklin --from 2026-01-01 --to live --out changes.gpkg
    """
    standard = load_standard()
    dataset = ASSESSMENTS if cama else PARCELS
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
        comparison = compare(connection, table, found, dataset.label, since, to)
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
    emit(json, result, "\n".join(_comparison_text(found.town_name, comparison, out)))


@app.command()
def rollback(
    town: Town,
    to: Annotated[str, typer.Option(help="Number or identifier of the submission to go back to.", show_default=False)],
    reason: Annotated[str | None, typer.Option(help="Why; kept and shown.")] = None,
    with_cama: Annotated[
        bool, typer.Option("--with-cama", help="Take the assessor's records back to what was live beside it, too.")
    ] = False,
    json: Json = False,
) -> None:
    """Make an earlier version of a town live again. It is a publication of its own; nothing is forgotten.

    Example: statewide parcels rollback --town Franklin --to 12 --reason "the 2026 file lost the condominiums"
    """
    datasets = (PARCELS, ASSESSMENTS) if with_cama else (PARCELS,)
    summary = roll_back(load_settings(), datasets, settle_rollback, town, to, reason, progress)
    rows = summary["rows"]
    said = "is live again" if summary["outcome"] == "published" else "is what is live: nothing was written"
    lines = [
        f"{summary['town']}: the version of submission {summary['rollback_to_number']} {said}.",
        f"  rows      {rows['published']:,} live",
        f"  changes   {rows['added']:,} back, {rows['changed']:,} changed back, {rows['removed']:,} gone,"
        f" {rows['unchanged']:,} unchanged",
    ]
    lines += [f"  behind    {name}: {why}" for name, why in summary["behind"].items()]
    emit(json, summary, "\n".join(lines))


@app.command()
def export(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.", show_default=False)],
    town: Annotated[str | None, typer.Option(help="Only this town, by name, code or number.")] = None,
    as_of: Annotated[
        str | None, typer.Option(help="As it was at the end of a day (UTC) or at a moment, such as 2026-04-30.")
    ] = None,
    kind: Format = None,
    crs: Annotated[int | None, typer.Option(help="6434 (State Plane, feet) or 4326 (degrees).")] = None,
    cama: Cama = False,
    json: Json = False,
) -> None:
    """Write what is published to one file: only public columns, of one town or of all, now or at an earlier day.

    Example: statewide parcels export --town Franklin --as-of 2026-04-30 franklin.gpkg
    """
    moment = as_moment(as_of) if as_of else None
    if as_of and moment is None:
        raise BadArgument(f"{as_of!r} is no day: give one such as 2026-04-30.")
    settings, standard = load_settings(), load_standard()
    with connect(settings) as connection:
        found = find_town(connection, town) if town else None
    table = standard.table((ASSESSMENTS if cama else PARCELS).table)
    result = export_published(
        settings, standard, table, path, format_of(path, kind), town=found, moment=moment, epsg=crs, say=progress
    )
    where = found.town_name if found else f"{result['towns']:,} towns"
    then = f" as of {as_of}" if as_of else ""
    emit(json, result, f"{result['rows']:,} rows of {where}{then} are in {path} (EPSG:{result['epsg']}).")


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
