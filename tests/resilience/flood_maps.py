"""Invented flood maps: polygons with FEMA's columns, written as FEMA or a town would deliver them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from tests.towns import SOUTH, WEST, Fabric, write

FEMA: dict[str, Any] = {
    "DFIRM_ID": "09001C",
    "VERSION_ID": "2.6.3.6",
    "FLD_AR_ID": "1",
    "FLD_ZONE": "X",
    "ZONE_SUBTY": "AREA OF MINIMAL FLOOD HAZARD",
    "SFHA_TF": "F",
    "STATIC_BFE": -9999.0,
    "V_DATUM": "NP",
    "DEPTH": -9999.0,
    "LEN_UNIT": "NP",
    "VELOCITY": -9999.0,
    "SOURCE_CIT": "STUDY1",
    "GFID": "20101217",
}

Polygon = tuple[BaseGeometry | None, dict[str, Any]]


def box(west: float, south: float, east: float, north: float) -> BaseGeometry:
    """A box in feet from the south-western corner of the invented town."""
    return shapely.box(WEST + west, SOUTH + south, WEST + east, SOUTH + north)


def zone(shape: BaseGeometry | None, zone: str | None, subtype: str | None = "", **columns: Any) -> Polygon:
    """A polygon of S_FLD_HAZ_AR; what is not named is as FEMA writes it where it does not apply."""
    sfha = "T" if zone and zone[0] in "AV" and " " not in zone else "F"
    return shape, FEMA | {"FLD_ZONE": zone, "ZONE_SUBTY": subtype, "SFHA_TF": sfha} | columns


def write_map(
    polygons: Sequence[Polygon],
    folder: Path,
    *,
    kind: str = "geopackage",
    layer: str = "S_FLD_HAZ_AR",
    epsg: int | None = 4269,
) -> Path:
    """The file of the zones."""
    columns = {name: [values[name] for _, values in polygons] for name in polygons[0][1]}
    return write(Fabric([shape for shape, _ in polygons], columns), folder, epsg=epsg, kind=kind, layer=layer)


def write_panels(shapes: Sequence[BaseGeometry], folder: Path) -> Path:
    """The file of the map panels: what the study covers."""
    columns = {"FIRM_PAN": [f"09001C{number:04d}F" for number in range(len(shapes))]}
    return write(Fabric(list(shapes), columns), folder, epsg=4269, layer="S_FIRM_PAN")
