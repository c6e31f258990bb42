"""Invented hazard layers in files as their makers publish them: several layers in one file, shapefiles in one zip."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import shapely
from shapely.geometry.base import BaseGeometry

from tests.resilience.flood_maps import Polygon
from tests.towns import Fabric, write


def fabric(polygons: Sequence[Polygon]) -> Fabric:
    """Polygons with their columns, ready to be written."""
    columns = {name: [values[name] for _, values in polygons] for name in polygons[0][1]} if polygons else {}
    return Fabric([shape for shape, _ in polygons], columns)


def write_layers(layers: dict[str, Sequence[Polygon]], folder: Path, *, name: str = "map") -> Path:
    """One GeoPackage with several layers, in EPSG:6434."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.gpkg"
    for layer, polygons in layers.items():
        given = fabric(polygons)
        pyogrio.raw.write(
            file,
            np.array([shapely.to_wkb(shape) for shape in given.shapes], dtype=object),
            [np.array(values, dtype=object) for values in given.columns.values()],
            list(given.columns),
            geometry_type="Unknown",
            crs="EPSG:6434",
            driver="GPKG",
            layer=layer,
            append=file.exists(),
        )
    return file


def write_county(layers: dict[str, Sequence[Polygon]], folder: Path, name: str) -> Path:
    """The zip of a county as FEMA has it: shapefiles side by side, in degrees of NAD83."""
    inner = folder / f"{name}-parts"
    for layer, polygons in layers.items():
        write(fabric(polygons), inner, epsg=4269, kind="shapefile", layer=layer)
    file = folder / f"{name}.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for part in sorted(inner.iterdir()):
            if part.suffix != ".zip":
                archive.write(part, part.name)
    return file


def squares(count: int, feet: float = 100.0, west: float = 0.0, south: float = 0.0) -> list[BaseGeometry]:
    """Boxes in a row, each a foot wider than the one before, so that they can be told apart."""
    from tests.resilience.flood_maps import box

    return [box(west + at * 300, south, west + at * 300 + feet + at, south + feet) for at in range(count)]


def step(shape: BaseGeometry, **columns: Any) -> Polygon:
    """A polygon with the columns that NOAA's layers have."""
    return shape, {"Id": 0, "gridcode": 1} | columns
