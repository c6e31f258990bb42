"""`statewide parcels …`: what a town and the State run to hand parcels in, and to see what became of them."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from cadastral.assessments import ASSESSMENTS
from cadastral.meeting import settle_rollback, submit_assessments
from cadastral.meeting import submit as submit_parcels
from cadastral.parcels import PARCELS
from cadastral.seams import Agreement, agree, published_towns, register_lines
from cadastral.seams import lines as town_lines
from statewide.console import emit
from statewide.database import connect
from statewide.errors import BadArgument
from statewide.intake import Request
from statewide.intake_commands import (
    Accept,
    File,
    Files,
    Json,
    Layer,
    OneTown,
    Out,
    Reason,
    Town,
    Year,
    accepted,
    require_one,
    show_history,
    show_inspection,
    take_many,
    take_one,
)
from statewide.register import find_town
from statewide.settings import load_settings
from statewide.standard import load_standard
from statewide.version_commands import (
    AsOf,
    Crs,
    Earlier,
    ExportFile,
    Format,
    Later,
    OnlyTown,
    Rows,
    To,
    Why,
    go_back,
    show_diff,
    write_export,
)
from statewide.versions import LIVE

app = typer.Typer(help="Parcels: inspect, check and submit a town's file; see its history.", no_args_is_help=True)

Cama = Annotated[
    list[Path] | None, typer.Option(help="The assessor's file that goes with the parcels; once per parcel file.")
]
OfCama = Annotated[bool, typer.Option("--cama", help="The assessor's records instead of the parcels.")]


@app.command()
def inspect(file: File, layer: Layer = None, json: Json = False) -> None:
    """Show layers, fields, coordinate system and the proposed crosswalk with its scores. Changes nothing.

    Example: statewide parcels inspect town.zip
    """
    show_inspection(PARCELS, file, layer, json)


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
    accept: Accept = None,
    reason: Reason = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Hand a town's parcels in. A file that the gate refuses changes nothing that is live.

    Several files of several towns are taken in side by side, each on its own; where they lie tells their towns.
    The assessor's file may come along (--cama), or later on its own.

    Example: statewide parcels submit town.zip --town "New London" --year 2025
    """
    asked = Request(Path(), town, year, layer=layer, accept=accepted(accept, reason), out=out)
    _take_in(paths or [], cama or [], asked, json)


@app.command()
def history(town: Town, cama: OfCama = False, json: Json = False) -> None:
    """List the submissions of a town, the newest first.

    Example: statewide parcels history --town Franklin
    """
    show_history(ASSESSMENTS if cama else PARCELS, town, json)


@app.command()
def diff(
    town: Town,
    earlier: Earlier = None,
    later: Later = LIVE,
    cama: OfCama = False,
    out: Rows = None,
    json: Json = False,
) -> None:
    """Show what changed from one version of a town to another: rows, values, and what became of which parcel.

    Example: statewide parcels diff --town Franklin --from 2026-01-01 --to live --out changes.gpkg
    """
    show_diff(ASSESSMENTS if cama else PARCELS, town, earlier, later, out, json)


@app.command()
def rollback(
    town: Town,
    to: To,
    reason: Why = None,
    with_cama: Annotated[
        bool, typer.Option("--with-cama", help="Take the assessor's records back to what was live beside it, too.")
    ] = False,
    json: Json = False,
) -> None:
    """Make an earlier version of a town live again. It is a publication of its own; nothing is forgotten.

    Example: statewide parcels rollback --town Franklin --to 12 --reason "the 2026 file lost the condominiums"
    """
    go_back((PARCELS, ASSESSMENTS) if with_cama else (PARCELS,), settle_rollback, town, to, reason, json)


@app.command()
def export(
    path: ExportFile,
    town: OnlyTown = None,
    as_of: AsOf = None,
    kind: Format = None,
    crs: Crs = None,
    cama: OfCama = False,
    json: Json = False,
) -> None:
    """Write what is published to one file: only public columns, of one town or of all, now or at an earlier day.

    Example: statewide parcels export --town Franklin --as-of 2026-04-30 franklin.gpkg
    """
    write_export(ASSESSMENTS if cama else PARCELS, path, town, as_of, kind, crs, json)


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


def _take_in(paths: list[Path], cama: list[Path], asked: Request, as_json: bool) -> None:
    require_one(paths, asked)
    if paths:
        if cama and len(cama) != len(paths):
            raise BadArgument("Give --cama once per parcel file, in the same order.")
        rows: list[Path] | list[None] = cama or [None] * len(paths)
        requests = [
            replace(asked, file=file, beside={} if row is None else {ASSESSMENTS.table: row})
            for file, row in zip(paths, rows, strict=True)
        ]
        if len(requests) == 1:
            take_one(submit_parcels, requests[0], as_json)
        else:
            take_many(submit_parcels, requests, as_json)
    elif len(cama) == 1 and asked.town:
        take_one(submit_assessments, replace(asked, file=cama[0]), as_json)
    else:
        raise BadArgument("Give a file of parcels; or one assessor's file (--cama) and its town (--town).")


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
