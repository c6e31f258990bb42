"""What `statewide <room> inspect|check|submit|history` have in common: their options, and what they say.

A room declares the commands, for it knows what may come along with a file; the work and the words are here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer

from statewide import files
from statewide.arrival import delivered_shapes
from statewide.console import emit, progress
from statewide.crosswalk import propose
from statewide.crs import crs_hint
from statewide.database import connect
from statewide.ddl import shape_type
from statewide.errors import EXIT_DONE, EXIT_INPUT, EXIT_PLATFORM, EXIT_REFUSED, BadArgument
from statewide.findings import FindingLog, plain_count, plain_share
from statewide.intake import Dataset, Outcome, Request, Say
from statewide.ledger import history as submissions
from statewide.parallel import Failed, run_all
from statewide.register import find_town, locate
from statewide.settings import Settings, load_settings
from statewide.standard import load_standard
from statewide.workspace import workspace

File = Annotated[Path, typer.Argument(help="A town's file, in any format that can be read.", show_default=False)]
Files = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="FILE...", help="One or more files, in any format that `inspect` reads.", show_default=False
    ),
]
OneTown = Annotated[
    str | None,
    typer.Option("--town", help="Town by name, five-digit code or town number; without it, where the shapes lie."),
]
Town = Annotated[str, typer.Option(help="Town by name, five-digit code or town number.", show_default=False)]
Year = Annotated[int, typer.Option(help="Collection year, for example 2025.", show_default=False)]
Layer = Annotated[str | None, typer.Option(help="Layer to read, when the file has several.")]
Accept = Annotated[list[str] | None, typer.Option(help="A blocking check to accept, by its code. May be repeated.")]
Reason = Annotated[str | None, typer.Option(help="Why it is accepted; kept and shown.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the report.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]

TakeIn = Callable[[Settings, Request, Say], Outcome]
"""How a room takes one delivery in."""


@dataclass(frozen=True)
class _Submission:
    """One of many deliveries, for `statewide.parallel.run_all`."""

    take_in: TakeIn
    request: Request

    def __call__(self, settings: Settings) -> dict[str, Any]:
        """Take it in, silently."""
        return self.take_in(settings, self.request, lambda message: None).summary


def show_inspection(dataset: Dataset, file: Path, layer: str | None, as_json: bool) -> None:
    """Print what a file holds, and the proposed crosswalk.

    Raises:
        InputError: it cannot be read.
    """
    standard = load_standard()
    table = standard.table(dataset.table)
    with workspace(load_settings().home) as work:
        reading = files.read(file, work=work, layer=layer, geometry=shape_type(table) or "MultiPolygon")
    columns = reading.table.drop_columns(["row_no", "geometry"])
    crosswalk = propose(standard, table, columns)
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
    emit(as_json, result, _inspection_text(result))


def accepted(codes: list[str] | None, reason: str | None) -> dict[str, str]:
    """Accepted checks with the reason.

    Raises:
        BadArgument: there is none.
    """
    if codes and not reason:
        raise BadArgument('--accept needs a reason that others can read: --reason "…".')
    return dict.fromkeys(codes or (), reason or "")


def require_one(paths: Sequence[Path], asked: Request) -> None:
    """What belongs to one town cannot be said of several files.

    Raises:
        BadArgument: an option that goes with one file is given with several.
    """
    if len(paths) <= 1:
        return
    for option, value in (("--town", asked.town), ("--layer", asked.layer), ("--accept", asked.accept)):
        if value:
            raise BadArgument(f"{option} goes with one file: send this town's file alone.")
    if asked.out:
        raise BadArgument("--out goes with one file; the reports of several stand in the platform's folder of reports.")


def take_one(take_in: TakeIn, request: Request, as_json: bool) -> None:
    """Take a delivery in, say how it ended, and exit likewise."""
    outcome = take_in(load_settings(), request, progress)
    emit(as_json, outcome.summary, _outcome_text(outcome))
    if outcome.refused:
        raise typer.Exit(EXIT_REFUSED)


def take_many(take_in: TakeIn, requests: Sequence[Request], as_json: bool) -> None:
    """Take several deliveries in side by side, each on its own; the gravest exit code counts."""
    started = perf_counter()

    def told(place: int, result: dict[str, Any] | Failed) -> None:
        progress(_one_of_many(requests[place].file, result))

    results = run_all(load_settings(), [_Submission(take_in, request) for request in requests], told)
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


def show_history(dataset: Dataset, town: str, as_json: bool) -> None:
    """Print the submissions of a town, the newest first."""
    with connect(load_settings()) as connection:
        found = find_town(connection, town)
        entries = submissions(connection, found.cousub_fips, dataset.table)
    result = {"outcome": "ok", "town": found.town_name, "submissions": entries}
    emit(as_json, result, _history_text(found.town_name, entries))


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
    yield _counts_text(log.dataset, log.counts())


def _counts_text(dataset: str, counts: Mapping[str, int]) -> str:
    shown = ", ".join(f"{code} {count:,}" for code, count in counts.items())
    return f"  findings  {dataset}: {shown or 'none'}"


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
    if rows["followed"]:
        lines.insert(3, f"  followed  {rows['followed']:,} of the unchanged were brought up to date in place")
    if "same_as" in summary:
        lines.append(f"  the same  as submission {summary['same_as']['number']}: what was found then holds now")
        for part in (summary, *(each for each in summary.values() if isinstance(each, dict) and "findings" in each)):
            lines.append(_counts_text(part["dataset"], part["findings"]))
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
