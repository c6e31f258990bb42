"""`statewide hazards overlay` and `changes`: lay parcels and addresses over the layers; what became another class."""

from __future__ import annotations

import csv as csv_files
import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from psycopg import sql

from resilience.engines import LOCAL
from resilience.engines import engine as open_engine
from resilience.exposure_counts import recount
from resilience.overlay_files import overlay_files
from resilience.overlay_run import known_layers, overlay_layers
from statewide.console import emit, progress
from statewide.database import connect
from statewide.errors import BadArgument
from statewide.register import find_town
from statewide.settings import load_settings
from statewide.standard import load_standard

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]
Town = Annotated[str | None, typer.Option(help="Only this town, by name, code or number.", show_default=False)]
Layer = Annotated[
    list[str] | None, typer.Option("--layer", help="Only this layer; may be given several times.", show_default=False)
]


def overlay(
    town: Town = None,
    layer: Layer = None,
    full: Annotated[bool, typer.Option("--full", help="Every row anew, also those that did not change.")] = False,
    engine: Annotated[str, typer.Option(help="Where it is computed: local or dask.")] = LOCAL,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a running Dask scheduler.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Lay parcels and address points over the current version of each layer: worst class, areas, what is not known.

    Example: statewide hazards overlay --town "New London"
    """
    settings = load_settings()
    with open_engine(engine, scheduler) as opened, connect(settings) as connection:
        only = None if town is None else find_town(connection, town)
        result = overlay_layers(
            settings, connection, layers=layer or (), town=only, full=full, engine=opened, say=progress
        )
        recount(connection, only, say=progress)
    emit(json, result, "\n".join(_overlay_text(name, done) for name, done in result["layers"].items()))


def changes(
    town: Town = None,
    layer: Layer = None,
    since: Annotated[
        dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="From this day on.", show_default=False)
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write each change to this file.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Which parcels and addresses became another class, and why: the layer's map, the parcel's shape, or both.

    Example: statewide hazards changes --layer flood-zones --since 2026-01-01 --csv changes.csv
    """
    known_layers(layer or ())
    names = [field.name for field in load_standard().table("hazard_change").base_fields]
    with connect(load_settings()) as connection:
        only = None if town is None else find_town(connection, town)
        rows = connection.execute(
            sql.SQL(_CHANGES).format(sql.SQL(", ").join(map(sql.Identifier, names))),
            {"layers": layer or None, "town": only.cousub_fips if only else None, "since": since},
        ).fetchall()
    if csv:
        try:
            with csv.open("w", newline="", encoding="utf-8") as file:
                writer = csv_files.writer(file)
                writer.writerow(names)
                writer.writerows(rows)
        except OSError as error:
            raise BadArgument(f"{csv} cannot be written ({error.strerror}).") from error
    counts = Counter(
        tuple(row[names.index(name)] for name in ("layer", "dataset", "changed_by", "class_before", "class_now"))
        for row in rows
    )
    result = {
        "outcome": "ok",
        "changes": len(rows),
        "by": [dict(zip(_BY, (*key, count), strict=True)) for key, count in counts.most_common()],
    }
    emit(json, result, _changes_text(result))


def overlay_file(
    parcels: Annotated[Path, typer.Argument(help="GeoParquet of parcels.", show_default=False)],
    zones: Annotated[Path, typer.Option(help="GeoParquet of the layer's polygons.", show_default=False)],
    to: Annotated[Path, typer.Option(help="Folder for the answers, a Parquet file for each part.", show_default=False)],
    key: Annotated[str, typer.Option(help="Column that identifies a parcel.")] = "parcel_uid",
    class_column: Annotated[str, typer.Option(help="Column that is a polygon's class.")] = "zone_class",
    order: Annotated[
        list[str] | None,
        typer.Option(help="A class; given several times, the first counts where zones overlap.", show_default=False),
    ] = None,
    engine: Annotated[str, typer.Option(help="Where it is computed: local or dask.")] = LOCAL,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a running Dask scheduler.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Lay a file of parcels over a file of zones, without the database; what was interrupted goes on where it stopped.

    Example: statewide hazards overlay-file parcels.parquet --zones nfhl.parquet --to answers --engine dask
    """
    with open_engine(engine, scheduler) as opened:
        result = overlay_files(
            parcels, zones, to, opened, key=key, class_column=class_column, order=order or (), say=progress
        )
    lines = [
        f"{result['parcels']:,} parcels, {result['parts']['computed']:,} parts computed,"
        f" {result['parts']['done before']:,} done before.",
        *(f"  {name:<26}{area:>20,.0f} {result['unit']}" for name, area in result["area"].items()),
        f"  answers   {result['folder']}",
        *(
            f"  note      {result[f'{what}_without_polygon']:,} {what} have no polygon: nothing is said of them"
            for what in ("parcels", "zones")
            if result[f"{what}_without_polygon"]
        ),
    ]
    emit(json, result, "\n".join(lines))


_BY = ("layer", "dataset", "changed_by", "class_before", "class_now", "rows")

_CHANGES = """
SELECT {} FROM resilience.hazard_change
WHERE layer = ANY(coalesce(%(layers)s::text[], ARRAY[layer]))
    AND cousub_fips = coalesce(%(town)s, cousub_fips)
    AND changed_at >= coalesce(%(since)s::timestamptz, '-infinity')
ORDER BY changed_at, layer, cousub_fips, dataset, row_uid
"""


def _overlay_text(layer: str, done: dict[str, Any]) -> str:
    parcels, addresses = done["parcels"], done["addresses"]
    lines = [
        f"{layer} {done['version']}: {parcels['computed']:,} parcels computed, {parcels['unchanged']:,} unchanged,"
        f" {done['towns']:,} towns; {addresses['computed']:,} addresses computed,"
        f" {addresses['unchanged']:,} unchanged.",
        *(f"  {name:<26}{count:>9,}" for name, count in done["worst_class"].items()),
        f"  coverage  {done['coverage']}",
    ]
    if done["changed_class"]:
        lines.append(f"  changed   {done['changed_class']:,} became another class: statewide hazards changes")
    if done.get("zones_overlap_sqft"):
        lines.append(f"  note      zones overlap by {done['zones_overlap_sqft']:,.2f} sq ft; the worse one was counted")
    return "\n".join(lines)


def _changes_text(result: dict[str, Any]) -> str:
    if not result["changes"]:
        return "No parcel and no address became another class."
    return "\n".join(
        [
            f"{result['changes']:,} became another class.",
            *(
                f"  {row['rows']:>8,}  {row['layer']}, {row['dataset']}: {row['class_before']} → {row['class_now']}"
                f" ({row['changed_by']})"
                for row in result["by"]
            ),
        ]
    )
