"""`statewide hazards load` and `list`: bring a layer in as a version, and say which versions there are."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import typer

from resilience.layer_sources import FACILITIES, layer_source, load_sources
from statewide.console import emit, progress
from statewide.database import connect
from statewide.errors import EXIT_REFUSED, BadArgument
from statewide.findings import plain_count
from statewide.intake_commands import Accept, Json, Reason, accepted
from statewide.settings import load_settings
from statewide.standard import load_standard
from statewide.workspace import workspace

GRID = "depth-grid"
_ONE_FILE = {FACILITIES: "A list of facilities", GRID: "A grid"}


def load(
    layer: Annotated[
        str, typer.Argument(help="Layer, for example flood-zones; see `statewide hazards list`.", show_default=False)
    ],
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="The whole layer as delivered: one file, or one per county.", show_default=False
        ),
    ],
    version: Annotated[str, typer.Option(help="Your name for this version, for example its date.", show_default=False)],
    coverage: Annotated[
        list[Path] | None,
        typer.Option(
            help="Polygons that say what is mapped, where they are in a file of their own.", show_default=False
        ),
    ] = None,
    effective_date: Annotated[
        dt.datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Day from which it is in force; else from the file's name.", show_default=False
        ),
    ] = None,
    datum: Annotated[
        str | None,
        typer.Option(help="What heights or depths are measured from, where the file does not say.", show_default=False),
    ] = None,
    units: Annotated[str | None, typer.Option(help="Unit of a grid's depths: ft or m.", show_default=False)] = None,
    nodata_is_dry: Annotated[
        bool, typer.Option("--nodata-is-dry", help="A grid's cells without a value are dry, not unknown.")
    ] = False,
    source_list: Annotated[
        str | None,
        typer.Option("--list", help="Which list of facilities, for example public-schools.", show_default=False),
    ] = None,
    lifeline: Annotated[
        str | None, typer.Option(help="Lifeline of a new list's facilities.", show_default=False)
    ] = None,
    component: Annotated[str | None, typer.Option(help="Component of that lifeline.", show_default=False)] = None,
    accept: Accept = None,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Make files the current version of a hazard layer, or of one list of facilities. Earlier versions are kept.

    Example: statewide hazards load flood-zones 09001C_20250708.zip 09009C_20250708.zip --version 2025-07
    """
    known = [*load_sources(), GRID, FACILITIES]
    if layer not in known:
        raise BadArgument(f"There is no hazard layer {layer!r}; there are: {', '.join(known)}.")
    if layer in _ONE_FILE and len(files) > 1:
        raise BadArgument(f"{_ONE_FILE[layer]} is one file; {len(files)} were named.")
    _require_sense(layer, units=units, nodata_is_dry=nodata_is_dry, list=source_list, lifeline=lifeline)
    if layer == GRID and accept:
        raise BadArgument("--accept goes with polygons and lists: of a grid nothing that refuses it can be accepted.")
    settings, standard = load_settings(), load_standard()
    effective_on = effective_date.date() if effective_date else None
    waived = accepted(accept, reason)
    with workspace(settings.home) as work, connect(settings) as connection:
        if layer == FACILITIES:
            from resilience.facilities import load_facilities

            if source_list is None:
                raise BadArgument("Say which list of facilities it is: --list public-schools.")
            result = load_facilities(
                connection,
                standard,
                files[0],
                source_list=source_list,
                version=version,
                work=work,
                lifeline=lifeline,
                component=component,
                effective_on=effective_on,
                accept=waived,
                say=progress,
            )
        elif layer == GRID:
            from resilience.depth_grid import load_depth_grid

            result = load_depth_grid(
                connection,
                standard,
                files[0],
                version=version,
                work=work,
                home=settings.home,
                units=units,
                datum=datum,
                nodata_is_dry=nodata_is_dry,
                coverage=coverage[0] if coverage else None,
                effective_on=effective_on,
                say=progress,
            )
        else:
            from resilience.layers import load_layer

            result = load_layer(
                connection,
                standard,
                layer_source(layer),
                files,
                version=version,
                work=work,
                coverage=coverage or (),
                effective_on=effective_on,
                datum=datum,
                accept=waived,
                say=progress,
            )
    emit(json, result, _load_text(result))
    if result["outcome"] == "refused":
        raise typer.Exit(EXIT_REFUSED)


def list_(
    every: Annotated[bool, typer.Option("--all", help="Also versions that are no longer current.")] = False,
    json: Json = False,
) -> None:
    """The layers, and the version that is current of each: its date, its rows, what it covers.

    Example: statewide hazards list --all
    """
    from resilience.layer_versions import list_versions

    with connect(load_settings()) as connection:
        versions = [row for row in list_versions(connection) if every or row["is_current"]]
    loaded = {row["layer"] for row in versions}
    missing = [layer for layer in (*load_sources(), GRID, FACILITIES) if layer not in loaded]
    result = {"outcome": "ok", "versions": versions, "not_loaded": missing}
    emit(json, result, "\n".join([*map(_version_text, versions), *(f"{layer:<18}  not loaded" for layer in missing)]))


def _require_sense(layer: str, **options: Any) -> None:
    """Raise BadArgument for an option that this layer does not have."""
    only = {"units": GRID, "nodata_is_dry": GRID, "list": FACILITIES, "lifeline": FACILITIES}
    for name, value in options.items():
        if value and only[name] != layer:
            raise BadArgument(f"--{name.replace('_', '-')} goes with {only[name]} only.")


_SAID = {"published": "is published", "refused": "was refused: nothing changed"}


def _load_text(result: dict[str, Any]) -> str:
    name = " ".join(filter(None, (result["layer"], result.get("source_list"), result["version"])))
    if result["outcome"] == "unchanged":
        return f"{name} is unchanged: nothing was written."
    lines = [f"{name} {_SAID[result['outcome']]}.", *_rows_text(result)]
    for told in result.get("told", result["findings"]):
        if told["severity"] != "BLOCK":
            lines.append(f"  mind      {told['code']}: {told['sentence']}")
        elif told["code"] in result.get("accepted", ()):
            lines.append(f"  accepted  {told['code']}: {told['sentence']}")
        else:
            lines += [f"  refused   {told['code']}: {told['sentence']}", f"            {told['fix']}"]
    if result["outcome"] == "published" and result["layer"] != FACILITIES:
        lines.append("  next      statewide hazards overlay: until then the answers are of the version before")
    return "\n".join(lines)


def _rows_text(result: dict[str, Any]) -> list[str]:
    rows = result.get("rows")
    lines = []
    if rows:
        left_out = f" + {rows['left_out']:,} left out" if rows.get("left_out") else ""
        lines.append(
            f"  rows      {rows['read']:,} read = {rows['published']:,} published + {rows['held']:,} held{left_out}"
        )
    if cells := result.get("cells"):
        lines += [
            f"  cells     {cells['wet']:,} wet of {cells['all']:,}, {cells['not_mapped']:,} without data",
            f"  depths    to {result['deepest_ft']:,.1f} ft, delivered in {result['units']}, above {result['v_datum']}",
        ]
    if result.get("classes"):
        lines.append(f"  classes   {', '.join(f'{name} {count:,}' for name, count in result['classes'].items())}")
    if result.get("repaired"):
        moved = sum(abs(repair["moved_sqft"]) for repair in result["repaired"])
        lines.append(f"  repaired  {plain_count(len(result['repaired']), 'polygon')}, area moved {moved:,.2f} sq ft")
    lines += [f"  note      {count:,} × {what}" for what, count in result.get("odd", {}).items()]
    if result.get("effective_how"):
        lines.append(f"  in force  from {result['effective_on']} ({result['effective_how']})")
    if result.get("coverage"):
        lines.append(f"  coverage  {result['coverage']}")
    return lines


def _version_text(row: dict[str, Any]) -> str:
    name = " ".join(filter(None, (row["layer"], row["source_list"])))
    rows = (row["rows"] or {}).get("published")
    facts = [
        f"in force {row['effective_on'] or 'from a day not stated'}",
        f"loaded {row['loaded_at']:%Y-%m-%d}",
        *([plain_count(rows, "row")] if rows is not None else []),
        *([] if row["source_list"] else ["coverage given" if row["has_coverage"] else "no coverage given"]),
        *([f"above {row['v_datum']}"] if row["v_datum"] else []),
    ]
    return f"{name:<18}  {row['layer_version']}{'' if row['is_current'] else ' (earlier)'}: {', '.join(facts)}"
