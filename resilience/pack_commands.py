"""`statewide exposure pack`: one town in one GeoPackage, for where there is no network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from statewide.console import emit, progress
from statewide.settings import load_settings


def pack(
    town: Annotated[str, typer.Option(help="Town by name, code or number.")],
    out: Annotated[
        Path | None, typer.Option(help="File; by default the town's name and the day.", show_default=False)
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")
    ] = False,
) -> None:
    """Write parcels, addresses, hazards and answers of a town into one GeoPackage that opens in QGIS without network.

    Example: statewide exposure pack --town "New London" --out new_london.gpkg
    """
    from resilience.pack import write_pack

    result = write_pack(load_settings(), town, out, progress)
    layers = "\n".join(f"  {name:<32}{rows:>9,}" for name, rows in result["layers"].items())
    text = f"{result['file']}: {result['town']}, {result['bytes'] / 1e6:,.1f} MB, made {result['made_at']}\n{layers}"
    emit(json, result, text)
