"""The other hazards of ``statewide demo``: sea level rise, surge, evacuation zones, water depths, facilities.

Drawn along the invented coast and up its estuaries in the plan of ``statewide.demo``, so that each step and category
covers those below it. As their makers do, the steps of sea level rise come as layers of one file, low-lying ground
apart from what the sea reaches. Names of facilities are invented from those of the towns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyogrio
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from statewide.demo import CRS, Floats, Ground, River, World, ripple

STUDY_AREA = "study-area"
STEPS_FT = tuple(step / 2 for step in range(13))
_ALONG = 20  # feet between two corners of a shoreline
_STRETCH = 2_500
_OFFSHORE = 300
_SEAWARD = 10  # on the water a tenth of the corners will do
_DEEPEST = 6.0
_SURGE_REACH = {1: 420, 2: 620, 3: 850, 4: 1_100}
_CELL_FT, _CELLS_MAX = 20, 4e6
_BLOCK = 700  # plan feet of coast of one block of an evacuation zone


@dataclass(frozen=True)
class Drawn:
    """Polygons or points of one delivered layer, in EPSG:6434, with its columns."""

    shapes: NDArray[np.object_]
    columns: Mapping[str, pa.Array] = field(default_factory=dict)


def draw_sea_level_rise(world: World) -> dict[str, Drawn]:
    """Layers by NOAA's names: what the sea reaches at each step, and low ground behind it that it does not."""
    layers = {}
    for step in STEPS_FT:
        share = (step + 0.15) / (_DEEPEST + 0.15)
        reached = _reached(world, 305 * share, 115 * share, up_river=300 + 1_500 * share)
        name = f"{step:g}".replace(".", "_")
        layers[f"CT_slr_{name}ft"] = Drawn(np.array([reached], dtype=object))
        low = shapely.difference(_hollows(world, share), reached)
        layers[f"CT_low_{name}ft"] = Drawn(shapely.get_parts(shapely.get_parts(low)))
    return layers


def draw_surge(world: World) -> Drawn:
    """Worst-case surge by category, each with what the weaker ones reach, as it is delivered."""
    reached = [_reached(world, reach, 0.35 * reach, up_river=1_000 + 4 * reach) for reach in _SURGE_REACH.values()]
    categories = pa.array([str(category) for category in _SURGE_REACH], pa.string())
    return Drawn(np.array(reached, dtype=object), {"HURR_CAT": categories})


def draw_evacuation_zones(world: World) -> Drawn:
    """Zone A along the open coast and zone B behind it, block by block: they share their boundaries."""
    ground = world.ground
    easts = np.arange(0.0, ground.width + _ALONG, _ALONG).clip(max=ground.width)
    block = np.floor(easts / _BLOCK) * _BLOCK
    inland_a = 500 + 150 * np.round(2 * ripple(block, 2_100, world.seed + 231))
    inland_b = inland_a + 600 + 150 * np.round(2 * ripple(block, 2_900, world.seed + 232))
    front = np.full(len(easts), 0.0)
    zones = [_between(ground, easts, front, inland_a), _between(ground, easts, inland_a, inland_b)]
    return Drawn(np.array(zones, dtype=object), {"EVAC_ZONE": pa.array(["A", "B"], pa.string())})


@dataclass(frozen=True)
class Facilities:
    """A list of facilities and what it is for."""

    lifeline: str
    component: str
    drawn: Drawn


def draw_facilities(world: World) -> dict[str, Facilities]:
    """Schools and a fire house in every town, a hospital in some, sewage works beside the rivers' mouths."""
    towns = world.towns
    places = {
        "demo-schools": [
            (f"{town.name} {kind} School", kind, town, 0.5 + east, 0.5 + north)
            for town in towns
            for kind, east, north in (("Elementary", -0.11, 0.07), ("High", 0.13, -0.09))
        ],
        "demo-fire-houses": [(f"{town.name} Fire House", "Fire house", town, 0.52, 0.47) for town in towns],
        "demo-hospitals": [(f"{town.name} Hospital", "Hospital", town, 0.4, 0.35) for town in towns[::4]],
    }
    belongs = {
        "demo-schools": ("food_hydration_shelter", "Shelter"),
        "demo-fire-houses": ("safety_and_security", "Fire Service"),
        "demo-hospitals": ("health_and_medical", "Medical Care"),
    }
    lists = {}
    for name, rows in places.items():
        east, north = (
            np.array([low + share * (high - low) for low, high, share in side])
            for side in (
                [(town.plan[0], town.plan[2], share) for _, _, town, share, _ in rows],
                [(town.plan[1], town.plan[3], share) for _, _, town, _, share in rows],
            )
        )
        lists[name] = Facilities(
            *belongs[name], _points(world, east, north, [row[0] for row in rows], [row[1] for row in rows])
        )
    rivers = np.array([river.east for river in world.rivers], dtype=float)
    named = [f"{_town_at(world, river)} Water Pollution Control Plant" for river in world.rivers]
    works = _points(world, rivers + 90, np.full(len(rivers), 260.0), named, ["Wastewater treatment plant"] * len(named))
    lists["demo-sewage-works"] = Facilities("water_systems", "Wastewater Management", works)
    return lists


def draw_study_area(world: World) -> Drawn:
    """What the layers of the coast cover: the whole island and the water around it."""
    west, south, east, north = shapely.total_bounds([town.outline for town in world.towns])
    return Drawn(np.array([shapely.box(west - 500, south - 500, east + 500, north + 500)], dtype=object))


def write_layers(world: World, folder: Path) -> dict[str, Path]:
    """The file of each layer, and of what they cover. Files that are there already are kept."""
    drawings: dict[str, tuple[str, Callable[[], Mapping[str, Drawn]]]] = {
        "sea-level-rise": ("CT_slr_final_dist", lambda: draw_sea_level_rise(world)),
        "storm-surge": ("CT_Hurricane_Surge_Inundation", lambda: {"Hurricane_Surge": draw_surge(world)}),
        "evacuation-zones": ("CT_Evacuation_Zones", lambda: {"Evacuation_Zones": draw_evacuation_zones(world)}),
        STUDY_AREA: ("coastal_study_area", lambda: {"study_area": draw_study_area(world)}),
    }
    return {layer: _write(folder / f"{name}.gpkg", draw) for layer, (name, draw) in drawings.items()}


def write_facilities(world: World, folder: Path) -> dict[str, tuple[Facilities, Path]]:
    """Each list and its file."""

    def file_of(name: str, drawn: Drawn) -> Path:
        return _write(folder / f"{name}.gpkg", lambda: {"facilities": drawn})

    return {name: (listed, file_of(name, listed.drawn)) for name, listed in draw_facilities(world).items()}


def _write(file: Path, draw: Callable[[], Mapping[str, Drawn]]) -> Path:
    """The layers as one GeoPackage; what is there already is neither drawn nor written."""
    if file.exists():
        return file
    layers = draw()
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".writing-") as scratch:
        written = Path(scratch) / file.name
        for name, drawn in layers.items():
            points = len(drawn.shapes) and (shapely.get_type_id(drawn.shapes) == 0).all()
            shapes = pa.array(shapely.to_wkb(drawn.shapes), pa.binary())
            pyogrio.raw.write_arrow(
                pa.table({**drawn.columns, "geometry": shapes}),
                written,
                layer=name,
                driver="GPKG",
                geometry_name="geometry",
                geometry_type="Point" if points else "Unknown",
                crs=CRS,
                append=written.exists(),
            )
        written.replace(file)
    return file


def write_depths(world: World, folder: Path) -> Path:
    """A GeoTIFF of the water, in feet above ground, that a tide of the highest step brings; 0 where it is dry.

    A file that is there already is kept.
    """
    import rasterio
    from rasterio.features import rasterize
    from rasterio.transform import from_origin

    file = folder / "CT_storm_tide_depth.tif"
    if file.exists():
        return file
    west, south, east, north = shapely.total_bounds(draw_study_area(world).shapes)
    cell = max(_CELL_FT, round(((east - west) * (north - south) / _CELLS_MAX) ** 0.5))
    rows, columns = int((north - south) // cell), int((east - west) // cell)
    transform = from_origin(west, north, cell, cell)
    reached = [drawn.shapes[0] for name, drawn in draw_sea_level_rise(world).items() if "_slr_" in name]
    waters = [(shape, _DEEPEST + 0.25 - step) for step, shape in zip(STEPS_FT, reached, strict=True)]
    depths = rasterize(waters[::-1], out_shape=(rows, columns), transform=transform, fill=0.0, dtype="float32")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as scratch:
        written = Path(scratch) / file.name
        profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "crs": CRS, "nodata": -9999.0, "tiled": True}
        with rasterio.open(
            written, "w", height=rows, width=columns, transform=transform, compress="deflate", **profile
        ) as grid:
            grid.write(depths, 1)
        written.replace(file)
    return file


def _reached(world: World, reach: float, sway: float, up_river: float) -> BaseGeometry:
    """From the open water to a wavering line inland, along the sheltered shores, and up each river.

    All of it grows with `reach` and `sway` together, so that a greater reach covers a smaller one.
    """
    ground = world.ground
    easts = np.arange(-400.0, ground.width + 401, _ALONG)
    inland = reach + sway * ripple(easts, 900, world.seed + 202) + 0.3 * sway * ripple(easts, 240, world.seed + 222)
    sea = np.r_[easts[:-1:_SEAWARD], easts[-1]]
    shore = _located(ground, np.r_[easts, sea[::-1]], np.r_[inland, np.full(len(sea), -float(_OFFSHORE))])
    parts = [_polygon(shore)]
    parts += [_estuary(ground, river, reach, up_river) for river in world.rivers]
    return shapely.union_all(parts)


def _estuary(ground: Ground, river: River, reach: float, up_river: float) -> BaseGeometry:
    """The river's flood plain near its mouth, narrowing to its bed where the tide ends."""
    norths = river.stations[river.stations <= up_river]
    width = np.minimum(river.flood_half_width[: len(norths)], 20 + 0.6 * reach * np.sqrt(1 - norths / (up_river + 1)))
    east = np.r_[river.east - width, (river.east + width)[::-1]]
    return _polygon(ground.locate(east, np.r_[norths, norths[::-1]]))


def _hollows(world: World, share: float) -> BaseGeometry:
    """Low ground behind the shore, a little more of it at each step."""
    ground = world.ground
    easts = np.arange(900.0, ground.width - 400, 1_700)
    norths = 640 + 60 * ripple(easts, 1_300, world.seed + 241)
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radius = 20 + 90 * share
    east = (easts[:, None] + 1.4 * radius * np.cos(angle)).ravel()
    north = (norths[:, None] + radius * np.sin(angle)).ravel()
    corners = _located(ground, east, north).reshape(len(easts), len(angle), 2)
    return shapely.union_all(shapely.polygons(corners))


def _between(ground: Ground, easts: Floats, south: Floats, north: Floats) -> BaseGeometry:
    """The land between two lines of the plan."""
    return _polygon(_located(ground, np.r_[easts, easts[::-1]], np.r_[north, south[::-1]]))


def _located(ground: Ground, east: Floats, north: Floats) -> Floats:
    """`Ground.locate` by stretches: of the many bends of a large island each stretch meets a few."""
    stretches = range(0, len(east), _STRETCH)
    return np.concatenate([ground.locate(east[at : at + _STRETCH], north[at : at + _STRETCH]) for at in stretches])


def _polygon(ring: Floats) -> BaseGeometry:
    # Far out on the water the bent plan may fold over; on the island it never does.
    polygon = Polygon(ring)
    return polygon if polygon.is_valid else shapely.make_valid(polygon, method="structure", keep_collapsed=False)


def _points(world: World, east: Floats, north: Floats, names: list[str], kinds: list[str]) -> Drawn:
    return Drawn(
        shapely.points(world.ground.locate(east, north)),
        {"FacilityName": pa.array(names, pa.string()), "FacilityType": pa.array(kinds, pa.string())},
    )


def _town_at(world: World, river: River) -> str:
    return next(town.name for town in world.towns if town.coastal and town.plan[0] <= river.east < town.plan[2])
