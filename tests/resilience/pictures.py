"""Invented aerial pictures: small GeoTIFFs over the invented town, cloud-optimized or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.transform import from_bounds

from tests.towns import SOUTH, WEST

RGB = (90, 140, 60)


def write_picture(
    path: Path,
    box: tuple[float, float, float, float] = (0, 0, 1000, 1000),
    *,
    side_px: int = 512,
    color: tuple[int, ...] = RGB,
    missing: NDArray[np.bool_] | None = None,
    epsg: int | None = 6434,
    driver: str = "COG",
    interpretation: tuple[ColorInterp, ...] | None = None,
    origin: tuple[float, float] = (WEST, SOUTH),
    dtype: str = "uint8",
    **options: Any,
) -> Path:
    """A picture of one colour with a darker cross, so that no two places look alike.

    Args:
        box: west, south, east, north in feet from the corner of the invented town.
        missing: pixels without data.
    """
    west, south, east, north = (edge + origin[at % 2] for at, edge in enumerate(box))
    width = side_px
    height = max(1, round(side_px * (north - south) / (east - west)))
    pixels = np.empty((len(color), height, width), dtype=dtype)
    pixels[:] = np.array(color, dtype=dtype)[:, None, None]
    pixels[:, height // 2, :] //= 2
    pixels[:, :, width // 2] //= 2
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {"driver": "GTiff", "width": width, "height": height, "count": len(color), "dtype": dtype,
             "transform": from_bounds(west, south, east, north, width, height)}  # fmt: skip
    if len(color) == 4 and not (interpretation and interpretation[3] == ColorInterp.alpha):
        plain |= {"photometric": "RGB", "alpha": "unspecified"}
    if epsg:
        plain["crs"] = f"EPSG:{epsg}"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.MemoryFile() as memory:
        with memory.open(**plain) as target:
            target.write(pixels)
            if interpretation:
                target.colorinterp = interpretation
            elif len(color) == 3:
                target.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
            if missing is not None:
                target.write_mask(~missing)
        with memory.open() as source:
            rasterio.shutil.copy(source, path, driver=driver, **options)
    return path
