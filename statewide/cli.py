"""The `statewide` command: a door, not a room.

Sub-commands of the rooms hang on the entry-point group ``statewide.commands``. Every error of ours ends as one
sentence on standard error and the exit code of its family; a traceback is a bug.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from statewide.console import emit, fail, progress
from statewide.errors import (
    EXIT_DONE,
    EXIT_INPUT,
    EXIT_PLATFORM,
    EXIT_REFUSED,
    BadArgument,
    StatewideError,
    Stopped,
    no_room,
)
from statewide.faults import keep_trace
from statewide.settings import ROOT, load_settings

app = typer.Typer(
    name="statewide",
    help="The land-data platform of a state: parcels, addresses and hazards, from a town's file to a planner's map.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]


@app.command()
def init(json: Json = False) -> None:
    """Create or migrate the database. Safe to run again.

    Example: statewide init
    """
    from statewide.migrate import initialise

    applied = initialise(load_settings())
    emit(json, {"outcome": "ok", "applied": applied}, f"The database is ready ({len(applied)} new steps).")


@app.command()
def build(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail when a generated file has drifted.")
    ] = False,
    json: Json = False,
) -> None:
    """Make anew what derives from schemas/: DDL, views, dictionary, JSON Schemas, pygeoapi resources.

    Example: statewide build --check
    """
    from statewide.build import build as build_all

    paths = build_all(ROOT, check)
    outcome = "drifted" if check and paths else "ok"
    text = (
        "\n".join(f"{'has drifted' if check else 'written'}: {path}" for path in paths) or "Everything is up to date."
    )
    emit(json, {"outcome": outcome, "files": paths}, text)
    raise typer.Exit(EXIT_REFUSED if outcome == "drifted" else EXIT_DONE)


@app.command()
def demo(
    towns: Annotated[int, typer.Option(min=1, max=999, help="How many towns to invent.")] = 4,
    parcels: Annotated[int, typer.Option(min=100, help="How many parcels in all.")] = 2400,
    seed: Annotated[int, typer.Option(help="Same seed, same world.")] = 7,
    out: Annotated[Path | None, typer.Option(help="Only write the files into this folder; load nothing.")] = None,
    json: Json = False,
) -> None:
    """Invent towns, a river and a coast, and load them: see everything work without a file of your own.

    Example: statewide demo --towns 4 --parcels 2400
    """
    from statewide.demo import run_demo

    result = run_demo(load_settings(), towns=towns, parcels=parcels, seed=seed, out=out, say=progress)
    emit(json, result, result["message"])


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
    workers: Annotated[int, typer.Option(min=1, help="Server processes.")] = 1,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    public_url: Annotated[
        str | None, typer.Option(help="Address that others reach it by, behind a proxy; the links in answers name it.")
    ] = None,
) -> None:
    """Serve OGC API Features and Tiles, and the map, on http://127.0.0.1:5000.

    Example: statewide serve --port 5000
    """
    from statewide.publish.app import serve as serve_forever

    if public_url and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", public_url):
        raise BadArgument(f"{public_url!r} is no address: give one such as https://land.example.gov.")
    address = public_url.rstrip("/") if public_url else None
    serve_forever(load_settings(), port=port, workers=workers, host=host, public_url=address)


@app.command()
def status(
    year: Annotated[
        int | None, typer.Option(min=1990, max=2100, help="Collection year; by default this one.", show_default=False)
    ] = None,
    cog: Annotated[
        str | None, typer.Option(help="Only the towns of this council of governments.", show_default=False)
    ] = None,
    town: Annotated[
        str | None, typer.Option(help="Only this town, by name, code or number.", show_default=False)
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Also write it to this file, for a spreadsheet.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Who owes what by May 1, who delivered and when, how old each town's data is, and its score.

    Example: statewide status --cog Capitol
    """
    from statewide.status import collection_status, render_status, write_status_csv

    found = collection_status(load_settings(), year=year, town=town, council=cog)
    if csv:
        write_status_csv(found, csv)
    width = max(80, shutil.get_terminal_size((80, 24)).columns)
    emit(json, {"outcome": "ok", **found.as_dict()}, render_status(found, width))


def _stop(number: int, frame: object) -> NoReturn:
    raise Stopped("Stopped; nothing was left half done.")


def main() -> None:
    """Run the command; translate errors to one sentence and an exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):  # as an exception, so that working copies are removed
        signal.signal(number, _stop)
    for entry in sorted(entry_points(group="statewide.commands"), key=lambda point: point.name):
        app.add_typer(entry.load(), name=entry.name)
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else EXIT_DONE)
    except Stopped as error:
        # At once: libraries' threads and exit handlers may wait for what was just interrupted.
        sys.stderr.write(f"statewide: {error}\n")
        sys.stderr.flush()
        os._exit(error.exit_code)
    except StatewideError as error:
        fail(error, error.exit_code)
    except typer.Abort:
        fail("Stopped.", EXIT_INPUT)
    except typer.exceptions.TyperException as error:
        text = error.format_message()
        if not text.startswith("Usage: "):
            fail(text, EXIT_INPUT)
        sys.stderr.write(f"{text}\n")  # a group without a command shows its help
        sys.exit(EXIT_INPUT)
    except BrokenPipeError:
        os._exit(EXIT_DONE)
    except Exception as error:
        if no_room(error):
            fail("The disk is full; nothing was changed.", EXIT_PLATFORM)
        fail(keep_trace(load_settings().home, error), EXIT_PLATFORM)
