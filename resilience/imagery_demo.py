"""The aerial imagery of ``statewide demo``: two invented flights over the island, one small picture each.

The older flight ends before the eastern shore, so that *not shown* is seen too; by the newer one some fields are built
on. Land, rivers and coast are those of ``statewide.demo``; the fields are nobody's parcels.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from resilience.imagery import Flight, add_imagery
from statewide.demo import CRS, DemoContext, World, scatter
from statewide.standard import load_standard

_SIDE_PX = 1024
_FIELDS = 70  # along the longer side of the island
_ROAD_EVERY = 5  # fields
_OFFSHORE_FT = 400

# Red, green, blue and near infrared, which plants throw back and water does not.
_SEA = (38, 62, 84, 14)
_RIVER = (58, 78, 88, 20)
_ROAD = (150, 148, 142, 90)
_ROOF = (196, 190, 184, 110)


@dataclass(frozen=True)
class _Program:
    name: str
    flown: str
    ground: tuple[tuple[int, int, int, int], ...]
    """Colours of fields and woods."""
    flown_share: float
    """Of the island's width, from the west."""
    built_share: float


_PROGRAMS = (
    _Program(
        "2019", "2019-03-24/2019-04-25", ((126, 118, 88, 120), (104, 104, 74, 110), (92, 84, 66, 100)), 0.82, 0.03
    ),
    _Program("2023", "2023-03-10/2023-04-20", ((118, 132, 84, 150), (88, 110, 66, 140), (80, 86, 60, 120)), 1.0, 0.12),
)


def write_pictures(world: World, folder: Path) -> list[Path]:
    """One cloud-optimized GeoTIFF per program. Files that are there already are kept."""
    files = [folder / f"imagery_{program.name}.tif" for program in _PROGRAMS]
    if not all(file.exists() for file in files):
        for program, file in zip(_PROGRAMS, files, strict=True):
            _write(world, program, file)
    return files


def load(context: DemoContext) -> dict[str, object]:
    """The imagery's part of the demo: write it and, unless only files are wanted, register it."""
    files = write_pictures(context.world, context.folder)
    if context.settings is None:
        return {"files": [file.name for file in files]}
    standard = load_standard()
    return {
        program.name: add_imagery(
            context.settings,
            standard,
            [file],
            program=program.name,
            flown=Flight.parse(program.flown),
            say=context.progress,
        )
        for program, file in zip(_PROGRAMS, files, strict=True)
    }


def _write(world: World, program: _Program, file: Path) -> None:
    import rasterio
    import rasterio.shutil
    from rasterio.transform import from_origin

    west, south, east, north = shapely.total_bounds([town.outline for town in world.towns])
    west, south, east, north = west - _OFFSHORE_FT, south - _OFFSHORE_FT, east + _OFFSHORE_FT, north + _OFFSHORE_FT
    side = np.ceil(max(east - west, north - south) / _SIDE_PX)
    width, height = int((east - west) // side) + 1, int((north - south) // side) + 1
    transform = from_origin(west, north, side, side)
    pixels = _draw(world, program, transform, (height, width))
    flown = np.zeros((height, width), dtype=bool)
    flown[:, : int(program.flown_share * width)] = True
    plain = {"driver": "GTiff", "width": width, "height": height, "count": 4, "dtype": "uint8",
             "crs": CRS, "transform": transform, "photometric": "RGB", "alpha": "unspecified"}  # fmt: skip
    with (
        tempfile.TemporaryDirectory(dir=file.parent, prefix=".writing-") as scratch,
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.MemoryFile() as memory,
    ):
        with memory.open(**plain) as target:
            target.write(pixels)
            target.descriptions = ("red", "green", "blue", "nir")
            target.write_mask(flown)
        written = Path(scratch) / file.name
        with memory.open() as source:
            rasterio.shutil.copy(source, written, driver="COG", compress="deflate", blocksize=512)
        written.replace(file)


def _draw(world: World, program: _Program, transform: Any, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Sea, fields, roads and rivers, in this order over each other, with the grain of a photograph."""
    from rasterio.features import rasterize

    def burn(
        shapes: NDArray[np.object_] | list[Any], values: NDArray[np.int64] | int, all_touched: bool = False
    ) -> Any:
        given = np.broadcast_to(values, len(shapes)).tolist()
        return rasterize(
            zip(shapes, given, strict=True), shape, transform=transform, dtype="int32", all_touched=all_touched
        )

    fields, kind, roads = _fields(world, program)
    land = burn([town.outline for town in world.towns], 1) > 0
    drawn = burn(fields, kind + 1)
    colors = np.array([_SEA, *program.ground, _ROOF], dtype=np.float64)
    pixels = colors[np.where(land, drawn, 0)]
    pixels[land & (burn(roads, 1, all_touched=True) > 0)] = _ROAD
    wet = [shapely.buffer(river.centreline, river.bed / 2) for river in world.rivers]
    pixels[land & (burn(wet, 1, all_touched=True) > 0)] = _RIVER
    rows, columns = np.indices(shape)
    grain = scatter(rows, columns, world.seed + int(program.name))
    pixels += np.where(land, 9.0, 3.0)[..., None] * grain[..., None]
    return np.clip(np.rint(pixels), 1, 255).astype(np.uint8).transpose(2, 0, 1)


def _fields(world: World, program: _Program) -> tuple[NDArray[np.object_], NDArray[np.int64], list[shapely.LineString]]:
    """Fields of the plan bent into the landscape, what is on each (the last kind is a roof), and the roads between."""
    ground = world.ground
    step = max(ground.width, ground.height) / _FIELDS
    columns, rows = int(np.ceil(ground.width / step)), int(np.ceil(ground.height / step))
    easts, norths = np.meshgrid(
        np.linspace(0, ground.width, columns + 1), np.linspace(0, ground.height, rows + 1), indexing="ij"
    )
    corner = ground.locate(easts.ravel(), norths.ravel()).reshape(columns + 1, rows + 1, 2)
    rings = np.stack([corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]], axis=2).reshape(-1, 4, 2)
    column, row = (each.ravel() for each in np.indices((columns, rows)))
    kinds = len(program.ground)
    kind = np.floor((scatter(column, row, world.seed + 300) + 1) / 2 * kinds).astype(np.int64).clip(0, kinds - 1)
    # One number per field for all programs: what is built stays built.
    built = (scatter(column, row, world.seed + 301) + 1) / 2 < program.built_share
    roads = [shapely.LineString(corner[at]) for at in range(0, columns + 1, _ROAD_EVERY)]
    roads += [shapely.LineString(corner[:, at]) for at in range(0, rows + 1, _ROAD_EVERY)]
    return shapely.polygons(rings), np.where(built, kinds, kind), roads
