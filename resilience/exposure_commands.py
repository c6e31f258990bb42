"""`statewide exposure`: what a hazard exposes in a town, region, drawn area or the whole State, as a page or JSON."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer

from resilience.exposure import expose, read_question
from resilience.pack_commands import pack
from statewide.console import emit, progress
from statewide.database import API, connect
from statewide.errors import BadArgument
from statewide.export import format_of
from statewide.findings import plain_count
from statewide.settings import load_settings

app = typer.Typer()

app.command()(pack)

_LISTS = ("geojson", "csv", "gpkg")


@app.callback(invoke_without_command=True)
def exposure(
    context: typer.Context,
    town: Annotated[list[str] | None, typer.Option(help="Town by name, code or number; may be given again.")] = None,
    region: Annotated[str | None, typer.Option(help="Planning region by name or code.", show_default=False)] = None,
    polygon: Annotated[Path | None, typer.Option(help="GeoJSON file with one polygon.", show_default=False)] = None,
    bbox: Annotated[
        str | None, typer.Option(help="West,south,east,north in degrees.", metavar="W,S,E,N", show_default=False)
    ] = None,
    state: Annotated[bool, typer.Option("--state", help="All towns.")] = False,
    layer: Annotated[list[str] | None, typer.Option(help="Hazard layer; may be given again. All if left out.")] = None,
    min_share: Annotated[
        float, typer.Option(help="Percent of a parcel that must lie in the class: 0, 1, 5, 10, …")
    ] = 0,
    min_class: Annotated[
        str | None,
        typer.Option("--class", help="With one layer: this class and graver or earlier ones.", show_default=False),
    ] = None,
    max_value: Annotated[
        float | None,
        typer.Option(help="With one nested layer: up to this category, or feet of rise.", show_default=False),
    ] = None,
    list_: Annotated[
        Path | None,
        typer.Option(
            "--list", help="Also write the parcels to this file: .geojson, .csv or .gpkg.", show_default=False
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")
    ] = False,
) -> None:
    """Count what a hazard exposes in an area, with what is not known and the versions that the answer rests on.

    Example: statewide exposure --town "New London" --layer flood-zones --min-share 10
    """
    if context.invoked_subcommand:
        return
    asked = {
        "town": town,
        "region": region,
        "polygon": _read(polygon) if polygon else None,
        "bbox": _numbers(bbox) if bbox else None,
        "state": state,
        "layers": layer,
        "min_share": min_share,
        "min_class": min_class,
        "max_value": max_value,
    }
    kind = format_of(list_, None) if list_ else None
    if kind and kind not in _LISTS:
        raise BadArgument(f"--list: give a file that ends in {', '.join(f'.{each}' for each in _LISTS)}.")
    # With the rights of the street: what it may not see is not counted.
    with connect(load_settings(), API) as connection:
        # Counts and list of one moment.
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SET statement_timeout = 0")

        def fetch(query: Any, values: dict[str, Any]) -> list[tuple[Any, ...]]:
            return connection.execute(query, values).fetchall()

        question = read_question(fetch, asked)
        answer = expose(fetch, question)
        if list_ and kind:
            # Imported here: Arrow is slow to import, and most questions want no list.
            from resilience.exposure_list import write_list

            progress(f"writing {list_.name} …")
            answer["list"] = {"file": str(list_), "rows": write_list(fetch, question, list_, kind)}
    emit(json, {"outcome": "ok", **answer}, page(answer))


def _read(path: Path) -> object:
    try:
        return json_text.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadArgument(f"{path} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError):
        raise BadArgument(f"{path.name} is no GeoJSON.") from None


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BadArgument("--bbox: four numbers are expected: west,south,east,north.") from None


def page(answer: dict[str, Any]) -> str:
    """The answer for a reader: counts, classes, value, facilities, unknowns, versions."""
    area, whole = answer["area"], answer["in_area"]
    lines = [
        f"{area['name']}: {whole['parcels']['any_touch']:,} parcels, {whole['addresses']['count']:,} addresses,"
        f" homes {_homes(whole)}, {plain_count(area['towns'], 'town')}",
        *_values(whole, "  all of it"),
    ]
    for layer in answer["layers"]:
        lines += ["", *_layer(layer, answer["asked"]["min_share_pct"])]
    facilities = answer["critical_facilities"]
    if facilities["count"]:
        lines += ["", f"Critical facilities: {facilities['count']:,}"]
        for each in facilities["by_lifeline"]:
            hazards = (
                ", ".join(f"{layer} {count:,}" for layer, count in each["in_hazard"].items()) or "none in a hazard"
            )
            lines.append(f"  {each['lifeline']:<28}{each['in_area']:>7,}  {hazards or 'none in a hazard'}")
    if answer["evacuation_zones"]:
        zones = "; ".join(
            f"{zone['label']}: {zone['parcels']:,} parcels, {zone['addresses']:,} addresses"
            for zone in answer["evacuation_zones"]
        )
        lines += ["", f"Evacuation zones  {zones}"]
    lines += ["", "Not known", *(f"  {unknown['sentence']}" for unknown in answer["unknowns"])]
    lines += ["", "Rests on"]
    shown = {layer["layer"] for layer in answer["layers"]}
    lines += [
        f"  {each['layer']} {each['layer_version']}, {_dated(each)}"
        for each in answer["versions"]["layers"]
        if each["layer"] in shown
    ]
    years: dict[object, int] = {}
    for town in answer["versions"]["towns"]:
        year = town["delivered"].get("parcel", {}).get("year", "no parcels")
        years[year] = years.get(year, 0) + 1
    lines.append("  parcels of " + ", ".join(f"{year}: {plain_count(count, 'town')}" for year, count in years.items()))
    if written := answer.get("list"):
        lines += ["", f"{written['rows']:,} rows in {written['file']}"]
    return "\n".join(lines)


def _layer(layer: dict[str, Any], share: float) -> list[str]:
    heads = ("touch", "centre", f">={share:g} %", "acres", "addresses", "homes")
    lines = [
        f"{layer['title']} ({layer['version']}), {layer['total_of']}",
        f"  {'':<44}" + "".join(f"{head:>11}" for head in heads),
        _row("in all", layer["total"]),
    ]
    for each in layer["classes"]:
        lines.append(_row(each["label"], each["alone"]))
        if layer["nested"] and each["up_to"] != each["alone"]:
            lines.append(_row("  and all before it", each["up_to"]))
    return [*lines, *_values(layer["total"], "  value")]


def _row(name: str, figures: dict[str, Any]) -> str:
    parcels = figures["parcels"]
    cells = [f"{parcels[each]:,}" for each in ("any_touch", "centroid_in", "share_at_least")]
    cells += [f"{figures['area_acres']:,.1f}", f"{figures['addresses']['count']:,}", _homes(figures)]
    return f"  {name[:43]:<44}" + "".join(f"{cell:>11}" for cell in cells)


def _homes(figures: dict[str, Any]) -> str:
    count = figures["dwelling_units"]["count"]
    return "not told" if count is None else f"~{count:,}"


def _values(figures: dict[str, Any], name: str) -> list[str]:
    return [
        f"{name}, revaluation {year['valuation_year'] or 'not stated'}:"
        f" appraised ${year['taxable']['appraised_usd']:,}, assessed ${year['taxable']['assessed_usd']:,};"
        f" exempt ${year['exempt']['appraised_usd']:,} appraised"
        for year in figures["value"]["by_valuation_year"]
    ]


def _dated(layer: dict[str, Any]) -> str:
    effective = f"in force from {layer['effective_on']}, " if layer["effective_on"] else ""
    return f"{effective}loaded {str(layer['loaded_at'])[:10]}"
