"""`statewide hazards loss`: what a flood costs, for assessed buildings or for a file of structures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import shapely
import typer

from resilience.damage_functions import Hazus, load_hazus
from resilience.loss import Summary, estimate_losses
from resilience.rasters import judge, open_grid, settled
from resilience.structures import (
    How,
    Known,
    StructureFile,
    Structures,
    read_structures,
    structures_of_file,
    structures_of_town,
)
from resilience.zonal import depth_at
from statewide.console import emit, progress
from statewide.database import Connection, connect
from statewide.ddl import LONLAT_SRID
from statewide.errors import BadArgument
from statewide.export import GEOMETRY, Format, Layer, format_of, write_layer
from statewide.findings import FindingLog, plain_count
from statewide.register import find_town
from statewide.settings import load_settings
from statewide.standard import load_standard

_LAYER = "depth-grid"
_OF_LEVELS = ("GRID_DATUM_MISSING", "GRID_DATUM_DOUBTFUL")
"""Findings about a grid that say nothing against depths: those are measured from the ground, whatever the datum."""
_ELSEWHERE = "GRID_OUTSIDE_STATE"
"""Refuses a grid as a layer of the State; here the structures may lie elsewhere, too."""


def loss(
    town: Annotated[
        str | None, typer.Option(help="Only the assessed buildings of this town, by name, code or number.")
    ] = None,
    structures: Annotated[
        Path | None, typer.Option(help="A CSV file of structures instead, with the columns of FAST or of the NSI.")
    ] = None,
    depth_grid: Annotated[Path | None, typer.Option(help="Depths for the file: a GeoTIFF.")] = None,
    units: Annotated[str | None, typer.Option(help="Unit of the depths, where the grid does not say it.")] = None,
    nodata_is_dry: Annotated[
        bool,
        typer.Option("--nodata-is-dry", help="Cells without data are dry, not unknown. Only if its maker says so."),
    ] = False,
    foundation: Annotated[
        str | None, typer.Option(help="Foundation of structures of which none is known, such as basement.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Also write a row for each structure: .csv, .gpkg, .geojson, .parquet.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="Format of that file, where its name does not say it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")] = False,
) -> None:
    """Estimate what a flood costs: depth above the first floor, damage by Hazus 6.1, dollars. Unknown is never 0.

    The depths are those of the loaded depth grid, at the addresses of each building; for a file of structures, those of
    the grid that you name, or of its own column depth_ft.

    Example: statewide hazards loss --town "New London" --output losses.csv
    """
    kind = format_of(output, format) if output else None
    hazus = _assuming(load_hazus(), foundation)
    log = FindingLog(load_standard(), "hazard_layer_version", dt.date.today().year, "", "")
    summary = Summary()
    if structures:
        if town is not None:
            raise BadArgument("Give either --town or --structures.")
        if depth_grid is None and (units or nodata_is_dry):
            raise BadArgument(
                "--units and --nodata-is-dry say how a --depth-grid is read; a column depth_ft is in feet."
            )
        file = read_structures(structures, hazus)
        hazard, depth = _depth_of_file(file, depth_grid, log, units=units, nodata_is_dry=nodata_is_dry)
        found: dict[str, Any] = {"not_understood": file.not_numbers()}
        _estimate(iter([structures_of_file(file, hazus, depth)]), hazus, summary, output, kind)
    else:
        if depth_grid or units or nodata_is_dry:
            raise BadArgument("--depth-grid goes with --structures; load the grid to use it for assessed buildings.")
        with connect(load_settings()) as connection:
            towns = [find_town(connection, town).cousub_fips] if town is not None else _assessed_towns(connection)
            current = _loaded_grid(connection)
            found = {"towns": len(towns), "parcels_without_record": _without_record(connection, towns)}
            _estimate(_of_towns(connection, hazus, towns), hazus, summary, output, kind)
        found["depth_versions"] = dict(summary.depth_versions)
        hazard = f"{_LAYER} {' and '.join(sorted(summary.depth_versions)) or current}"
        found["not_laid_over"] = summary.structures - sum(summary.depth_versions.values())
    sums = summary.as_dict()
    if sums["unknown_because"]["not_mapped"] == sums["structures"] > 0:
        log.add("LOSS_NOT_MAPPED", hazard=hazard, structures=plain_count(sums["structures"], "structure"))
    result = {"outcome": "ok", "hazard": hazard, **sums, **found}
    result["findings"] = [{"code": each.code, "sentence": each.sentence, "fix": each.fix} for each in log.findings]
    emit(json, result, _text(result, output))


def _assuming(hazus: Hazus, foundation: str | None) -> Hazus:
    """With another foundation where none is known."""
    if foundation is None:
        return hazus
    number = hazus.rules.foundation(foundation)
    if number is None:
        names = ", ".join(kind.name for kind in hazus.rules.foundations.types)
        raise BadArgument(f"There is no foundation {foundation!r}; there is: {names}.")
    foundations = hazus.rules.foundations.model_copy(update={"default": number})
    return replace(hazus, rules=hazus.rules.model_copy(update={"foundations": foundations}))


def _depth_of_file(
    file: StructureFile, path: Path | None, log: FindingLog, *, units: str | None, nodata_is_dry: bool
) -> tuple[str, Known]:
    """What says how deep the water is, and how deep it is at each structure.

    Raises:
        BadArgument: nothing says it, or the structures have no place.
        UnreadableDelivery: the grid cannot be read, or its depths or its place would be wrong.
    """
    if path is None:
        if "depth_ft" not in file.columns:
            raise BadArgument("Say how deep the water is: --depth-grid FILE, or a column depth_ft.")
        return "The column depth_ft", Known.of(file.numbers("depth_ft"))
    if not {"longitude", "latitude"} <= file.columns.keys():
        raise BadArgument("The file of structures has no columns Longitude and Latitude to look the depth up by.")
    grid, stated = open_grid(path)
    unit, _ = judge(grid, stated, log, units=units)
    log.findings = [finding for finding in log.findings if finding.code not in _OF_LEVELS]
    refused = log.blocking([_ELSEWHERE])
    if refused or unit is None:
        raise BadArgument(f"{path.name}: {refused[0].sentence} {refused[0].fix}")
    grid = settled(grid, log.standard, unit, nodata_is_dry)
    x, y = file.numbers("longitude"), file.numbers("latitude")
    placed = ~np.isnan(x) & ~np.isnan(y)
    if (np.abs(x[placed]) > 180).any() or (np.abs(y[placed]) > 90).any():
        raise BadArgument("Longitude and Latitude of the file of structures must be in degrees.")
    depth = np.full(len(x), np.nan)
    depth[placed] = depth_at(x[placed], y[placed], grid, crs=LONLAT_SRID)
    return path.name, Known.of(depth, How.at_point)


def _loaded_grid(connection: Connection) -> str:
    """The version of the current depth grid.

    Raises:
        BadArgument: none is loaded.
    """
    row = connection.execute(
        "SELECT layer_version FROM resilience.hazard_layer_version WHERE layer = %s AND is_current", [_LAYER]
    ).fetchone()
    if row is None:
        raise BadArgument(f"No {_LAYER} is loaded: run `statewide hazards load {_LAYER} FILE --version V` first.")
    return str(row[0])


def _assessed_towns(connection: Connection) -> list[str]:
    rows = connection.execute(
        "SELECT cousub_fips FROM statewide.publication WHERE dataset = 'assessment' ORDER BY cousub_fips"
    ).fetchall()
    if not rows:
        raise BadArgument("No town has published an assessor's file, so no building is known.")
    return [row[0] for row in rows]


def _without_record(connection: Connection, towns: list[str]) -> int:
    """Parcels of which no assessor's record is known, so whether anything stands there is not known either."""
    [(count,)] = connection.execute(
        "SELECT count(*) FROM published.parcels WHERE cousub_fips = ANY(%s) AND coalesce(assessment_count, 0) = 0",
        [towns],
    ).fetchall()
    return int(count)


def _of_towns(connection: Connection, hazus: Hazus, towns: list[str]) -> Iterator[Structures]:
    for code in towns:
        found = structures_of_town(connection, hazus, code)
        progress(f"{code}: {len(found):,} buildings")
        yield found


def _estimate(
    parts: Iterator[Structures], hazus: Hazus, summary: Summary, output: Path | None, kind: Format | None
) -> None:
    """Estimate part after part into the summary and, if there is one, the file; no two parts are held at once."""

    def estimated() -> Iterator[pa.Table]:
        for part in parts:
            rows = estimate_losses(part, hazus)
            summary.add(rows)
            yield rows

    tables = estimated()
    if output is None or kind is None:
        for _ in tables:
            pass
        return
    shaped = (_for_file(rows, kind) for rows in tables)
    first = next(shaped)
    batches = (batch for rows in chain([first], shaped) for batch in rows.to_batches())
    write_layer(
        output, kind, Layer("flood_loss", None if kind == "csv" else "Point", LONLAT_SRID, first.schema, batches)
    )


def _for_file(rows: pa.Table, kind: Format) -> pa.Table:
    """The rows as writers take them: plain texts, and a point unless it is a CSV."""
    for place, column in enumerate(rows.schema):
        if pa.types.is_dictionary(column.type):
            rows = rows.set_column(place, column.name, rows.column(place).cast(pa.string()))
    if kind == "csv":
        return rows
    x, y = (rows[name].to_numpy() for name in ("longitude", "latitude"))
    points = shapely.points(x, y)
    points[np.isnan(x) | np.isnan(y)] = None
    return rows.append_column(GEOMETRY, pa.array(shapely.to_wkb(points), pa.binary()))


def _text(result: dict[str, Any], output: Path | None) -> str:
    because = ", ".join(
        f"{name.replace('_', ' ')} {count:,}" for name, count in result["unknown_because"].items() if count
    )
    assumed = {
        name.replace("_", " "): sum(count for how, count in counts.items() if how.startswith("default"))
        for name, counts in result["inputs"].items()
    }
    lines = [
        f"{result['structures']:,} structures, {result['hazard']}:",
        f"  loss       {result['with_loss']:>12,} structures, ${result['loss_usd']:,.0f}"
        f" (buildings ${result['building_loss_usd']:,.0f}, contents ${result['content_loss_usd']:,.0f})",
        f"  no loss    {result['water_but_no_loss']:>12,} with water at the ground",
        f"  dry        {result['dry']:>12,}",
        f"  not known  {result['unknown']:>12,}{f' ({because})' if because else ''}",
        "  assumed    " + (", ".join(f"{name} of {count:,}" for name, count in assumed.items() if count) or "nothing"),
        *(
            f"  {name:<10} {part['with_loss']:>12,} of {part['structures']:,},"
            f" ${part['building_loss_usd'] + part['content_loss_usd']:,.0f}"
            for name, part in result["by_occupancy"].items()
        ),
    ]
    if result.get("parcels_without_record"):
        lines.append(f"  note       {result['parcels_without_record']:,} parcels have no assessor's record")
    if result.get("not_laid_over"):
        count = plain_count(result["not_laid_over"], "building")
        lines.append(f"  note       {count} not laid over the grid yet: run `statewide hazards overlay`")
    lines += [
        f"  note       {count:,} values of {name} are no numbers"
        for name, count in result.get("not_understood", {}).items()
    ]
    lines += [f"  finding    {each['sentence']} {each['fix']}" for each in result["findings"]]
    if output:
        lines.append(f"  written to {output}")
    return "\n".join(lines)
