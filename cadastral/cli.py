"""`statewide parcels …`: what a town and the State run to hand parcels in, and to see what became of them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer

from cadastral.assessments import ASSESSMENTS
from cadastral.meeting import Submission, submit_assessments
from cadastral.meeting import submit as submit_parcels
from cadastral.parcels import PARCELS
from cadastral.seams import Agreement, agree, published_towns, register_lines
from cadastral.seams import lines as town_lines
from cadastral.version_commands import app as version_commands
from statewide import files
from statewide.arrival import delivered_shapes
from statewide.console import emit, progress
from statewide.crosswalk import propose
from statewide.crs import crs_hint
from statewide.database import connect
from statewide.errors import EXIT_DONE, EXIT_INPUT, EXIT_PLATFORM, EXIT_REFUSED, BadArgument
from statewide.findings import FindingLog, plain_count, plain_share
from statewide.intake import Outcome, Request
from statewide.ledger import history as submissions
from statewide.parallel import Failed, run_all
from statewide.register import find_town, locate
from statewide.settings import load_settings
from statewide.standard import load_standard
from statewide.workspace import workspace

app = typer.Typer(help="Parcels: inspect, check and submit a town's file; see its history.", no_args_is_help=True)
app.add_typer(version_commands)

File = Annotated[Path, typer.Argument(help="A town's file, in any format that can be read.", show_default=False)]
Files = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="FILE...", help="One or more files of parcels, in any format that `inspect` reads.", show_default=False
    ),
]
OneTown = Annotated[
    str | None,
    typer.Option("--town", help="Town by name, five-digit code or town number; without it, where the shapes lie."),
]
Cama = Annotated[
    list[Path] | None, typer.Option(help="The assessor's file that goes with the parcels; once per parcel file.")
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
        "crs_hint": None if place else crs_hint(delivered_shapes(reading), standard),
        "encoding": reading.encoding,
        "encoding_how": reading.encoding_how,
        "delimiter": reading.delimiter,
        "columns": crosswalk.account(),
        "scores": [vars(score) for score in crosswalk.scores],
        "warnings": list(reading.warnings),
        "notes": list(reading.notes),
        "isolation": list(reading.isolation),
    }
    emit(json, result, _inspection_text(result))


@app.command()
def check(
    year: Year,
    paths: Files = None,
    town: OneTown = None,
    cama: Cama = None,
    layer: Layer = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Run the whole pipeline dry: the same findings and the same report, and nothing published.

    Example: statewide parcels check town.zip --town "New London" --year 2025 --out report
    """
    _take_in(paths or [], cama or [], Request(Path(), town, year, publish=False, layer=layer, out=out), json)


@app.command()
def submit(
    year: Year,
    paths: Files = None,
    town: OneTown = None,
    cama: Cama = None,
    layer: Layer = None,
    accept: Annotated[
        list[str] | None, typer.Option(help="A blocking check to accept, by its code. May be repeated.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why it is accepted; kept and shown.")] = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Hand a town's parcels in. A file that the gate refuses changes nothing that is live.

    Several files of several towns are taken in side by side, each on its own; where they lie tells their towns.
    The assessor's file may come along (--cama), or later on its own.

    Example: statewide parcels submit town.zip --town "New London" --year 2025
    """
    if accept and not reason:
        raise BadArgument('--accept needs a reason that others can read: --reason "…".')
    accepted = dict.fromkeys(accept or (), reason or "")
    _take_in(paths or [], cama or [], Request(Path(), town, year, layer=layer, accept=accepted, out=out), json)


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


@app.command()
def seams(
    town: Annotated[str | None, typer.Option(help="Only the lines of this town, by name, code or number.")] = None,
    measure: Annotated[bool, typer.Option("--measure", help="First measure lines whose parcels have changed.")] = False,
    json: Json = False,
) -> None:
    """Show the register of town lines: how far the parcels of neighbours differ, and what was agreed.

    Example: statewide parcels seams --town Woodstock
    """
    with connect(load_settings()) as connection:
        only = find_town(connection, town) if town else None
        if measure:
            for each in [only] if only else published_towns(connection):
                register_lines(connection, load_standard(), each)
        register = town_lines(connection, only)
    emit(json, {"outcome": "ok", "lines": register}, _seams_text(register))


@app.command()
def agree_line(
    between: Annotated[str, typer.Option(help="One of the two towns.", show_default=False)],
    other: Annotated[str, typer.Option("--and", help="The other town.", show_default=False)],
    by: Annotated[str, typer.Option(help="Who agreed, for both towns.", show_default=False)],
    note: Annotated[str, typer.Option(help="What the line follows, in their words.", show_default=False)],
    on: Annotated[
        dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day of the agreement; today without it.")
    ] = None,
    line: Annotated[str | None, typer.Option(help="The line itself as WKT in EPSG:6434.")] = None,
    json: Json = False,
) -> None:
    """Record what two towns agreed on about their common line. No parcel changes by it.

    Example: statewide parcels agree-line --between Union --and Woodstock --by "both engineers" --note "the 1906 bounds"
    """
    agreement = Agreement(by, on.date() if on else dt.date.today(), note, line)
    with connect(load_settings()) as connection:
        towns = find_town(connection, between), find_town(connection, other)
        agree(connection, load_standard(), *towns, agreement)
    names = f"{towns[0].town_name} and {towns[1].town_name}"
    emit(json, {"outcome": "ok", **vars(agreement)}, f"Recorded: {names} agreed on their line, {agreement.on}.")


def _requests(paths: list[Path], cama: list[Path], asked: Request) -> list[Request]:
    """A request per file; what belongs to one town cannot be said of several files."""
    for option, value in (("--town", asked.town), ("--layer", asked.layer), ("--accept", asked.accept)):
        if len(paths) > 1 and value:
            raise BadArgument(f"{option} goes with one file: send this town's file alone.")
    if cama and len(cama) != len(paths):
        raise BadArgument("Give --cama once per parcel file, in the same order.")
    if asked.out and len(paths) > 1:
        raise BadArgument("--out goes with one file; the reports of several stand in the platform's folder of reports.")
    rows: list[Path] | list[None] = cama or [None] * len(paths)
    return [
        replace(asked, file=file, beside={} if row is None else {ASSESSMENTS.table: row})
        for file, row in zip(paths, rows, strict=True)
    ]


def _take_in(paths: list[Path], cama: list[Path], asked: Request, as_json: bool) -> None:
    settings = load_settings()
    if len(paths) <= 1:
        if paths:
            outcome = submit_parcels(settings, _requests(paths, cama, asked)[0], progress)
        elif len(cama) == 1 and asked.town:
            outcome = submit_assessments(settings, replace(asked, file=cama[0]), progress)
        else:
            raise BadArgument("Give a file of parcels; or one assessor's file (--cama) and its town (--town).")
        emit(as_json, outcome.summary, _outcome_text(outcome))
        if outcome.refused:
            raise typer.Exit(EXIT_REFUSED)
        return
    requests = _requests(paths, cama, asked)
    started = perf_counter()

    def told(place: int, result: dict[str, Any] | Failed) -> None:
        progress(_one_of_many(requests[place].file, result))

    results = run_all(settings, [Submission(request) for request in requests], told)
    seconds = round(perf_counter() - started, 3)
    summaries = [
        {"file": {"name": request.file.name}, "outcome": "failed", "error": result.sentence}
        if isinstance(result, Failed)
        else result
        for request, result in zip(requests, results, strict=True)
    ]
    codes = [
        result.exit_code
        if isinstance(result, Failed)
        else EXIT_REFUSED
        if result["outcome"] == "refused"
        else EXIT_DONE
        for result in results
    ]
    counts = Counter(summary["outcome"] for summary in summaries)
    lines = [_one_of_many(request.file, result) for request, result in zip(requests, results, strict=True)]
    told_counts = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.most_common())
    lines.append(f"{len(requests):,} files in {seconds:.1f} s: {told_counts}.")
    whole = {
        "outcome": _OUTCOMES[max(codes)],
        "deliveries": summaries,
        "counts": dict(counts),
        "seconds": {"total": seconds},
    }
    emit(as_json, whole, "\n".join(lines))
    if max(codes) != EXIT_DONE:
        raise typer.Exit(max(codes))


_OUTCOMES = {EXIT_DONE: "ok", EXIT_REFUSED: "refused", EXIT_INPUT: "failed", EXIT_PLATFORM: "failed"}


def _one_of_many(file: Path, result: dict[str, Any] | Failed) -> str:
    if isinstance(result, Failed):
        return f"{file.name}: {result.sentence}"
    rows = result["rows"]
    why = f" by {', '.join(result['blocked_by'])}" if result["blocked_by"] else ""
    return (
        f"{file.name}: {result['town']} {result['outcome']}{why}, {rows['published']:,} of {rows['read']:,} rows"
        f" published, {rows['held']:,} held; report {result['report']}/report.html"
    )


def _findings_text(log: FindingLog, blocked_by: list[str]) -> Iterator[str]:
    """What refused a part or was accepted, what to mind beside last year, and the counts of all findings."""
    for finding in log.sorted():
        if finding.code in blocked_by:
            yield f"  refused   {finding.code}: {finding.sentence}"
            yield f"            {finding.fix}"
        elif finding.severity == "BLOCK":
            yield f"  accepted  {finding.code}: {finding.sentence}"
        elif finding.severity == "WARN" and log.check(finding.code).level == "history":
            yield f"  mind      {finding.code}: {finding.sentence}"
    shown = ", ".join(f"{code} {count:,}" for code, count in log.counts().items())
    yield f"  findings  {log.dataset}: {shown or 'none'}"


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
    for log in outcome.logs:
        lines += _findings_text(log, summary["blocked_by"])
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
        lines.append("  its shapes lie in no town of the State as they stand")
        if result["crs_hint"]:
            lines.append(f"  {result['crs_hint']}")
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


def _seams_text(register: list[dict[str, Any]]) -> str:
    if not register:
        return "No line is in the register: two neighbours must both have live parcels."
    lines = [
        f"{'':<34}{'line ft':>10}{'alike ft':>10}{'gap sq ft':>12}{'ft':>6}{'overlap sq ft':>15}{'ft':>7}{'lots':>6}"
    ]
    for line in register:
        lines.append(
            f"{line['town_a'] + ' / ' + line['town_b']:<34}{line['line_ft']:>10,.0f}{line['alike_ft']:>10,.0f}"
            f"{line['gap_sqft']:>12,.0f}{line['gap_widest_ft']:>6,.1f}"
            f"{line['overlap_sqft']:>15,.0f}{line['overlap_widest_ft']:>7,.1f}{len(line['shared_lots']):>6,}"
        )
        if line["agreed_by"]:
            lines.append(f"  agreed {line['agreed_on']} by {line['agreed_by']}: {line['agreed_note']}")
    reach = max(line["reach_ft"] for line in register)
    lines.append(f"Gaps wider than {reach:g} ft are not counted: they may be roads or water. Lots: on both rolls.")
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
        lines += [f"         {told}" for told in _what_it_did(entry)]
    return "\n".join(lines)


def _what_it_did(entry: dict[str, Any]) -> Iterator[str]:
    """What an entry of the history says beside its rows, where it has something to say."""
    if "rollback_to_number" in entry:
        yield f"back to submission {entry['rollback_to_number']}" + (f": {entry['reason']}" if entry["reason"] else "")
    became = ", ".join(f"{kind} {count:,}" for kind, count in entry.get("lineage", {}).items())
    if became:
        yield became
    if entry.get("score"):
        yield f"score {entry['score']['points']:g} of {entry['score']['most']:g}"
