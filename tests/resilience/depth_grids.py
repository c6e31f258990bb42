"""Invented depth grids, written as GeoTIFFs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

HARTFORD = 1_020_000.0, 840_000.0
"""A corner in EPSG:6434 from which the grids of the tests reach east and south."""


def write_grid(
    path: Path,
    values: npt.NDArray[Any],
    *,
    cell: float = 10.0,
    corner: tuple[float, float] = HARTFORD,
    crs: str | None = "EPSG:6434",
    nodata: float | None = -9999.0,
    transform: Affine | None = None,
    band_unit: str | None = None,
    tags: dict[str, str] | None = None,
    **options: Any,
) -> Path:
    """A GeoTIFF with its first cell at `corner`, north up."""
    bands = values if values.ndim == 3 else values[None]
    place = transform or Affine(cell, 0, corner[0], 0, -cell, corner[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=bands.shape[2],
            height=bands.shape[1],
            count=bands.shape[0],
            dtype=bands.dtype,
            crs=crs,
            transform=place,
            nodata=nodata,
            **options,
        ) as dataset:
            dataset.write(bands)
            if band_unit:
                dataset.units = (band_unit,) * len(bands)
            if tags:
                dataset.update_tags(**tags)
    return path


def depths(rows: int = 40, columns: int = 50, seed: int = 1) -> npt.NDArray[np.float32]:
    """Depths in feet, a third of them dry and some without data."""
    rng = np.random.default_rng(seed)
    values = np.maximum(rng.uniform(-4, 8, (rows, columns)), 0).astype(np.float32)
    values[rng.random((rows, columns)) < 0.1] = -9999
    return values
