"""`statewide parcels …`: what a town and the State run to hand parcels in, and to see what became of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cadastral.parcels import PARCELS
from cadastral.parcels import submit as submit_parcels
from statewide import files
from statewide.arrival import delivered_shapes
from statewide.console import emit, progress
from statewide.crosswalk import propose
from statewide.database import connect
from statewide.errors import EXIT_REFUSED, BadArgument
from statewide.findings import plain_count, plain_share
from statewide.intake import Outcome, Request
from statewide.ledger import history as submissions
from statewide.register import find_town, locate
from statewide.settings import load_settings
from statewide.standard import load_standard
from statewide.workspace import workspace

app = typer.Typer(help="Parcels: inspect, check and submit a town's file; see its history.", no_args_is_help=True)

File = Annotated[
    Path, typer.Argument(help="Zipped shapefile, FileGDB (zipped or not), GeoPackage or GeoJSON.", show_default=False)
]
Town = Annotated[str, typer.Option(help="Town by name, five-digit code or town number.", show_default=False)]
Year = Annotated[int, typer.Option(help="Collection year, for example 2025.", show_default=False)]
Layer = Annotated[str | None, typer.Option(help="Layer to read, when the file has several.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the report.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]


@app.command()
def inspect(file: File, layer: Layer = None, json: Json = False) -> None:
    """Show layers, fields, coordinate system and the proposed crosswalk with its scores. Changes nothing.

    Example: statewide parcels inspect town.zip
    """
    standard = load_standard()
    with workspace(load_settings().home) as work:
        reading = files.read(file, work=work, layer=layer)
    columns = reading.table.drop_columns(["row_no", "geometry"])
    crosswalk = propose(standard, standard.table(PARCELS.table), columns)
    place = locate(delivered_shapes(reading), reading.layer.crs_epsg, standard)
    result: dict[str, Any] = {
        "outcome": "ok",
        "file": {
            "name": reading.path_name,
            "sha256": reading.sha256,
            "bytes": reading.size_bytes,
            "kind": reading.kind,
        },
        "layers": [
            {
                "name": each.name,
                "geometry_type": each.geometry_type,
                "rows": each.rows,
                "crs_epsg": each.crs_epsg,
                "crs_stated": each.crs_wkt is not None,
                "fields": {item.name: item.type for item in each.fields},
            }
            for each in reading.layers
        ],
        "layer": reading.layer.name,
        "why_this_layer": reading.why,
        "rows_read": reading.rows_read,
        "place": vars(place) if place else None,
        "encoding": reading.encoding,
        "encoding_how": reading.encoding_how,
        "columns": crosswalk.account(),
        "scores": [vars(score) for score in crosswalk.scores],
        "warnings": list(reading.warnings),
        "isolation": list(reading.isolation),
    }
    emit(json, result, _inspection_text(result))


@app.command()
def check(file: File, town: Town, year: Year, layer: Layer = None, out: Out = None, json: Json = False) -> None:
    """Run the whole pipeline dry: the same findings and the same report, and nothing published.

    Example: statewide parcels check town.zip --town "New London" --year 2025 --out report
    """
    _finish(
        submit_parcels(load_settings(), Request(file, town, year, publish=False, layer=layer, out=out), progress), json
    )


@app.command()
def submit(
    file: File,
    town: Town,
    year: Year,
    layer: Layer = None,
    accept: Annotated[
        list[str] | None, typer.Option(help="A blocking check to accept, by its code. May be repeated.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why it is accepted; kept and shown.")] = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Hand a town's parcels in. A file that the gate refuses changes nothing that is live.

    Example: statewide parcels submit town.zip --town "New London" --year 2025
    """
    if accept and not reason:
        raise BadArgument('--accept needs a reason that others can read: --reason "…".')
    accepted = dict.fromkeys(accept or (), reason or "")
    _finish(
        submit_parcels(load_settings(), Request(file, town, year, layer=layer, accept=accepted, out=out), progress),
        json,
    )


@app.command()
def history(town: Town, json: Json = False) -> None:
    """List the submissions of a town, the newest first.

    Example: statewide parcels history --town Franklin
    """
    with connect(load_settings()) as connection:
        found = find_town(connection, town)
        entries = submissions(connection, found.cousub_fips, PARCELS.table)
    emit(
        json,
        {"outcome": "ok", "town": found.town_name, "submissions": entries},
        _history_text(found.town_name, entries),
    )


def _finish(outcome: Outcome, as_json: bool) -> None:
    emit(as_json, outcome.summary, _outcome_text(outcome))
    if outcome.refused:
        raise typer.Exit(EXIT_REFUSED)


def _outcome_text(outcome: Outcome) -> str:
    summary, rows = outcome.summary, outcome.summary["rows"]
    said = {
        "published": "is published",
        "unchanged": "is unchanged: nothing was written",
        "refused": "was refused: nothing live changed",
        "ok": "would be accepted; nothing was published",
    }[summary["outcome"]]
    crs = summary["crs"]
    lines = [
        f"{summary['town']} {summary['year']} {said}.",
        f"  rows      {rows['read']:,} read = {rows['published']:,} published + {rows['held']:,} held"
        f" + {rows['ignored']:,} ignored",
        f"  changes   {rows['added']:,} added, {rows['changed']:,} changed, {rows['removed']:,} removed,"
        f" {rows['unchanged']:,} unchanged",
        f"  position  EPSG:{crs['epsg']}, {crs['how']}" if crs["epsg"] else "  position  not settled",
    ]
    for finding in outcome.log.sorted():
        if finding.code in summary["blocked_by"]:
            lines.append(f"  refused   {finding.code}: {finding.sentence}")
            lines.append(f"            {finding.fix}")
        elif finding.severity == "BLOCK":
            lines.append(f"  accepted  {finding.code}: {finding.sentence}")
        elif finding.severity == "WARN" and outcome.log.check(finding.code).level == "history":
            lines.append(f"  mind      {finding.code}: {finding.sentence}")
    counts = outcome.log.counts()
    shown = ", ".join(f"{code} {count:,}" for code, count in counts.items())
    lines.append(f"  findings  {shown or 'none'}")
    lines += [f"  behind    {name}: {why}" for name, why in summary.get("behind", {}).items()]
    lines.append(f"  report    {summary['report']}/report.html")
    lines.append(f"  took      {summary['seconds']['total']:.1f} s")
    return "\n".join(lines)


def _inspection_text(result: dict[str, Any]) -> str:
    lines = [
        f"{result['file']['name']}: {result['file']['kind']}, {result['rows_read']:,} rows in layer {result['layer']}"
        f" ({result['why_this_layer']})"
    ]
    for layer in result["layers"]:
        stated = (
            f"EPSG:{layer['crs_epsg']}"
            if layer["crs_epsg"]
            else "a system we do not know"
            if layer["crs_stated"]
            else "not stated"
        )
        lines.append(
            f"  layer {layer['name']}: {layer['geometry_type']}, {layer['rows']} rows, coordinate system {stated}"
        )
    place = result["place"]
    if place:
        lines.append(
            f"  read in EPSG:{place['epsg']}, {plain_share(place['share'])} of its shapes lie in {place['town_name']}"
        )
    else:
        lines.append("  its shapes lie in no town of the State, in any coordinate system that we know")
    lines.append("")
    width = max((len(column) for column in result["columns"]), default=0)
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for score in result["scores"]:
        best.setdefault((score["column"], score["field"]), score)
    for column, fate in result["columns"].items():
        if fate["fate"] == "mapped":
            score = best.get((column, fate["field"]))
            why = (
                f"name {score['name']:.2f}, values {'–' if score['values'] is None else format(score['values'], '.2f')}"
                if score
                else fate["how"]
            )
            lines.append(f"  {column:<{width}}  → {fate['field']}  ({why})")
        else:
            lines.append(f"  {column:<{width}}    {fate['fate']}{': ' + fate['reason'] if 'reason' in fate else ''}")
    return "\n".join(lines)


def _history_text(town: str, entries: list[dict[str, Any]]) -> str:
    if not entries:
        return f"{town} has not delivered yet."
    lines = [f"{town}: {plain_count(len(entries), 'submission')}"]
    for entry in entries:
        rows = entry["rows"]
        accepted = f", accepted {', '.join(entry['accepted'])}" if entry["accepted"] else ""
        lines.append(
            f"  {entry['number']:>5}  {entry['received_at'][:16].replace('T', ' ')}  {entry['year']}"
            f"  {entry['outcome']:<9}  {rows['published']:>7,} published, {rows['held']:,} held{accepted}"
            f"  {entry['file']['name']}"
        )
    return "\n".join(lines)
