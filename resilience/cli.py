"""`statewide hazards …`: bring a hazard layer in, and lay the parcels over it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import typer

from resilience.flood import LAYER, load_flood_zones
from resilience.parcel_hazard import overlay_parcels
from statewide.console import emit, progress
from statewide.database import connect
from statewide.errors import BadArgument
from statewide.register import find_town
from statewide.settings import load_settings
from statewide.standard import load_standard
from statewide.workspace import workspace

app = typer.Typer(help="Hazards: load a layer, and lay the parcels over it.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]


@app.command()
def load(
    layer: Annotated[str, typer.Argument(help=f"Layer: {LAYER}.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="The layer as delivered, for instance FEMA's zip of a county.")],
    version: Annotated[str, typer.Option(help="Your name for this version, for example its effective date.")],
    coverage: Annotated[
        Path | None, typer.Option(help="Polygons that the study covers, for instance S_FIRM_PAN.")
    ] = None,
    effective_date: Annotated[
        dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day from which it is in force.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a file the current version of a hazard layer. Earlier versions are kept.

    Example: statewide hazards load flood-zones 09009C.zip --version 2025-07-08 --coverage 09009C.zip
    """
    _known(layer)
    settings = load_settings()
    with workspace(settings.home) as work, connect(settings) as connection:
        result = load_flood_zones(
            connection,
            load_standard(),
            file,
            version=version,
            work=work,
            coverage=coverage,
            effective_on=effective_date.date() if effective_date else None,
            say=progress,
        )
    emit(json, result, _load_text(result))


@app.command()
def overlay(
    town: Annotated[str | None, typer.Option(help="Only this town, by name, code or number.")] = None,
    layer: Annotated[str, typer.Option(help=f"Layer: {LAYER}.")] = LAYER,
    full: Annotated[bool, typer.Option("--full", help="Every parcel anew, also those that did not change.")] = False,
    json: Json = False,
) -> None:
    """Lay the parcels over the current version of a layer: worst class, area in each class, what is not known.

    Example: statewide hazards overlay --town "New London"
    """
    _known(layer)
    standard = load_standard()
    with connect(load_settings()) as connection:
        only = find_town(connection, town) if town else None
        result = overlay_parcels(connection, standard, town=only, full=full, say=progress)
    emit(json, result, _overlay_text(result))


def _known(layer: str) -> None:
    if layer != LAYER:
        raise BadArgument(f"There is no hazard layer {layer!r}; there is: {LAYER}.")


def _load_text(result: dict[str, Any]) -> str:
    if result["outcome"] == "unchanged":
        return f"{result['layer']} {result['version']} is unchanged: nothing was written."
    rows = result["rows"]
    lines = [
        f"{result['layer']} {result['version']} is published.",
        f"  rows      {rows['read']:,} read = {rows['published']:,} published + {rows['held']:,} held",
        f"  classes   {', '.join(f'{name} {count:,}' for name, count in result['classes'].items())}",
        f"  repaired  {len(result['repaired']):,} polygons, area moved"
        f" {sum(abs(repair['moved_sqft']) for repair in result['repaired']):,.2f} sq ft",
        *(f"  note      {count:,} × {what}" for what, count in result["odd"].items()),
        f"  coverage  {result['coverage']}",
        "  next      statewide hazards overlay: until then the parcels' answers are of the version before",
    ]
    return "\n".join(lines)


def _overlay_text(result: dict[str, Any]) -> str:
    parcels = result["parcels"]
    lines = [
        f"{result['layer']} {result['version']}: {parcels['computed']:,} parcels computed,"
        f" {parcels['unchanged']:,} unchanged, {result['towns']:,} towns.",
        *(f"  {name:<26}{count:>9,}" for name, count in result["worst_class"].items()),
        f"  coverage  {result['coverage']}",
    ]
    if result["zones_overlap_sqft"] > 0:
        lines.append(
            f"  note      zones overlap by {result['zones_overlap_sqft']:,.2f} sq ft; the worse one was counted"
        )
    return "\n".join(lines)
