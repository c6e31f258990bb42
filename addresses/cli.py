"""`statewide addresses …`: what a town and the State run to hand address points in, and to see what became of them."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from addresses.export_commands import export
from addresses.link_commands import app as link_commands
from addresses.points import ADDRESSES
from addresses.points import submit as submit_addresses
from addresses.privacy_commands import app as privacy_commands
from addresses.search_commands import app as search_commands
from addresses.withholding import settle_rollback
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
    accepted,
    require_one,
    show_history,
    show_inspection,
    take_many,
    take_one,
)
from statewide.version_commands import Earlier, Later, Rows, To, Why, go_back, show_diff
from statewide.versions import LIVE

app = typer.Typer(
    help="Address points: inspect, check and submit a town's file; see its history.", no_args_is_help=True
)
for commands in (link_commands, privacy_commands, search_commands):
    app.add_typer(commands)
app.command()(export)

Year = Annotated[int | None, typer.Option(help="Year of the file; this year unless given.", show_default=False)]


@app.command()
def inspect(file: File, layer: Layer = None, json: Json = False) -> None:
    """Show layers, fields, coordinate system and the proposed crosswalk with its scores. Changes nothing.

    Example: statewide addresses inspect points.zip
    """
    show_inspection(ADDRESSES, file, layer, json)


@app.command()
def check(
    paths: Files = None,
    town: OneTown = None,
    year: Year = None,
    layer: Layer = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Run the whole pipeline dry: the same findings and the same report, and nothing published.

    Example: statewide addresses check points.zip --town "New London" --out report
    """
    _take_in(paths or [], _asked(town, year, layer, out, publish=False), json)


@app.command()
def submit(
    paths: Files = None,
    town: OneTown = None,
    year: Year = None,
    layer: Layer = None,
    accept: Accept = None,
    reason: Reason = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Hand a town's address points in. A file that the gate refuses changes nothing that is live.

    Several files of several towns are taken in side by side, each on its own; where they lie tells their towns.

    Example: statewide addresses submit points.zip --town "New London"
    """
    asked = replace(_asked(town, year, layer, out), accept=accepted(accept, reason))
    _take_in(paths or [], asked, json)


@app.command()
def history(town: Town, json: Json = False) -> None:
    """List the submissions of a town, the newest first.

    Example: statewide addresses history --town Franklin
    """
    show_history(ADDRESSES, town, json)


@app.command()
def diff(
    town: Town,
    earlier: Earlier = None,
    later: Later = LIVE,
    out: Rows = None,
    json: Json = False,
) -> None:
    """Show what changed from one version of a town to another: rows, values, and what became of which address.

    Example: statewide addresses diff --town Franklin --from 2026-01-01 --to live --out changes.gpkg
    """
    show_diff(ADDRESSES, town, earlier, later, out, json)


@app.command()
def rollback(town: Town, to: To, reason: Why = None, json: Json = False) -> None:
    """Make an earlier version of a town live again. It is a publication of its own; nothing is forgotten.

    Example: statewide addresses rollback --town Franklin --to 12 --reason "the new file lost the flats"
    """
    go_back((ADDRESSES,), settle_rollback, town, to, reason, json)


def _asked(town: str | None, year: int | None, layer: str | None, out: Path | None, *, publish: bool = True) -> Request:
    return Request(Path(), town, year or dt.datetime.now(dt.UTC).year, publish=publish, layer=layer, out=out)


def _take_in(paths: list[Path], asked: Request, as_json: bool) -> None:
    if not paths:
        raise BadArgument("Give a file of address points.")
    require_one(paths, asked)
    requests = [replace(asked, file=file) for file in paths]
    if len(requests) == 1:
        take_one(submit_addresses, requests[0], as_json)
    else:
        take_many(submit_addresses, requests, as_json)
