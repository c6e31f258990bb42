"""The hazards of ``statewide demo``, and its flood map: zones along rivers and coast in the shape of FEMA's NFHL.

The bands are drawn in the plan of ``statewide.demo`` and cut against each other so that the zones share their
boundaries and never overlap. One corner of the island lies outside the map's panels, so that *not mapped* is seen too.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from resilience.demo_layers import STUDY_AREA, write_depths, write_facilities, write_layers
from resilience.facilities import load_facilities
from resilience.flood import LAYER
from resilience.layer_sources import layer_source
from resilience.layer_versions import live_version
from resilience.layers import load_layer
from resilience.overlay_run import overlay_layers
from statewide.database import Connection, connect
from statewide.demo import CRS, DemoContext, Floats, Ground, River, World, ripple
from statewide.standard import load_standard
from statewide.workspace import workspace

STUDY = "99001C"
FLOOD_CRS = "EPSG:4269"
NOT_POPULATED = -9999.0

ANOTHER_WORLD = dict.fromkeys(
    ("LAYER_SHRUNK", "LAYER_CLASS_LOST", "LAYER_COVERAGE_LOST", "LAYER_STUDY_LOST", "LAYER_CRS_DOUBTFUL"),
    "another invented world",
)
"""What a smaller world in the place of a larger one would be refused for."""

_VERSION = "demo-"
_EFFECTIVE_ON = dt.date(2025, 7, 8)

_OFFSHORE = 1_800  # plan feet of open water that the panels map
_PANEL = 2_500  # the smallest side of a panel
_REACH = 2_600  # plan feet of coast that have one flood elevation
_STEP = 12


@dataclass(frozen=True)
class FloodMap:
    """The zones' polygons, their columns, and the panels that say where the map was made; in EPSG:6434."""

    zones: NDArray[np.object_]
    columns: dict[str, pa.Array]
    panels: NDArray[np.object_]


@dataclass(frozen=True)
class _Band:
    """Land of one zone before the bands above it are cut off; the first band that covers a place has it."""

    area: BaseGeometry
    zone: str
    subtype: str = ""
    study: str = "SFHA with High Flood Risk"
    elevation: float = NOT_POPULATED


def draw_flood_map(world: World) -> FloodMap:
    """Floodway, AE and 0.2 percent along the rivers; VE, AE and 0.2 percent at the coast; minimal elsewhere."""
    panels = _panels(world)
    mapped = shapely.union_all(panels)
    bands = [
        _Band(shapely.intersection(band.area, mapped), band.zone, band.subtype, band.study, band.elevation)
        for band in _bands(world)
    ]
    # One net of all boundaries: every face of it lies whole in a band or outside, and neighbours share their vertices.
    net = shapely.node(shapely.union_all(shapely.boundary(np.array([band.area for band in bands], dtype=object))))
    faces = shapely.get_parts(shapely.polygonize([net]))
    inside = shapely.point_on_surface(faces)
    owner = np.full(len(faces), -1)
    for number, band in reversed(list(enumerate(bands))):
        shapely.prepare(band.area)
        owner[shapely.intersects(band.area, inside)] = number
    zones, of_band = [], []
    for number in range(len(bands)):
        parts = shapely.get_parts(shapely.coverage_union_all(faces[owner == number]))
        zones += parts.tolist()
        of_band += [bands[number]] * len(parts)
    return FloodMap(np.array(zones, dtype=object), _columns(of_band), panels)


def _bands(world: World) -> list[_Band]:
    """From the gravest zone to the mildest, in the order in which one gives way to the other."""
    ground, seed = world.ground, world.seed
    island = shapely.union_all([town.outline for town in world.towns])
    bands = _split_by_reach(ground, _shore(ground, 150, 65, seed + 201), "VE", 15)
    bands += [_Band(_valley(ground, river, 0.36), "AE", "FLOODWAY") for river in world.rivers]
    surge = shapely.intersection(_shore(ground, 330, 130, seed + 202), island)
    bands += _split_by_reach(ground, surge, "AE", 12)
    bands += [_Band(shapely.intersection(_sheltered(ground, 130, 60), island), "AE", elevation=11.0)]
    bands += [_Band(_valley(ground, river, 1.0), "AE") for river in world.rivers]
    coast = shapely.union(_shore(ground, 470, 160, seed + 202), _sheltered(ground, 210, 60))
    moderate = [shapely.intersection(coast, island), *(_valley(ground, river, 1.4) for river in world.rivers)]
    return [
        *bands,
        *(
            _Band(area, "X", "0.2 PCT ANNUAL CHANCE FLOOD HAZARD", "NON-SFHA area of moderate flood hazard")
            for area in moderate
        ),
        _Band(island, "X", "AREA OF MINIMAL FLOOD HAZARD", "NON-SFHA area of minimal flood hazard"),
    ]


def _shore(ground: Ground, reach: float, sway: float, seed: int) -> BaseGeometry:
    """From the open water to a wavering line inland of the open coast."""
    easts = np.arange(-400.0, ground.width + 401, _STEP)
    inland = reach + sway * ripple(easts, 900, seed) + 0.3 * sway * ripple(easts, 240, seed + 20)
    inland += 0.06 * sway * ripple(easts, 50, seed + 40)
    return _area(ground, np.r_[easts, easts[::-1]], np.r_[inland, np.full(len(easts), -_OFFSHORE)])


def _split_by_reach(ground: Ground, shore: BaseGeometry, zone: str, elevation: int) -> list[_Band]:
    """The stretches of a coastal zone, whose waves differ by a foot or two."""
    bands = []
    for number, west in enumerate(range(-400, ground.width + 400, _REACH)):
        east = min(west + _REACH, ground.width + 400)
        north = np.arange(-_OFFSHORE, 800.0, 50.0)
        slab = _area(ground, np.r_[np.full(len(north), east), np.full(len(north), west)], np.r_[north, north[::-1]])
        part = shapely.intersection(shore, slab)
        bands.append(_Band(part, zone, elevation=float(elevation + (number * 7 + ground.seed) % 3)))
    return bands


def _sheltered(ground: Ground, reach: float, sway: float) -> BaseGeometry:
    """A rim along the three sheltered shores, where the sound rises without waves."""
    inner = min(1.0, min(ground.width, ground.height) / 4_000)
    norths = np.arange(-200.0, ground.height, _STEP)
    easts = np.arange(_STEP / 2, ground.width, _STEP)  # not from the very shore, which is ragged

    def line(along: Floats, seed: int) -> Floats:
        return inner * (reach + sway * ripple(along, 1_100, ground.seed + seed) + 0.3 * sway * ripple(along, 260, seed))

    west, east, top = line(norths, 210), line(norths, 211), line(easts, 212)
    beyond = 300.0
    sides = (
        (np.r_[west, np.full(len(norths), -beyond)], np.r_[norths, norths[::-1]]),
        (ground.width - np.r_[east, np.full(len(norths), -beyond)], np.r_[norths, norths[::-1]]),
        (np.r_[easts, easts[::-1]], ground.height - np.r_[top, np.full(len(easts), -beyond)]),
    )
    return shapely.union_all([_area(ground, *side) for side in sides])


def _valley(ground: Ground, river: River, share: float) -> BaseGeometry:
    """The river's flood plain, or the share of its width that a lesser or a greater flood takes."""
    reach = np.maximum(share * river.flood_half_width, np.minimum(river.bed, river.flood_half_width))
    side = 1 + 0.25 * ripple(
        river.stations, 700, ground.seed + 220 + river.east
    )  # wider now on one bank, now on the other
    return _area(
        ground,
        river.east + np.r_[-reach * side, (reach * (2 - side))[::-1]],
        np.r_[river.stations, river.stations[::-1]],
    )


def _area(ground: Ground, east: Floats, north: Floats) -> BaseGeometry:
    # Far out on the water the bent plan may fold over; on the island it never does.
    return shapely.make_valid(Polygon(ground.locate(east, north)), method="structure", keep_collapsed=False)


def _panels(world: World) -> NDArray[np.object_]:
    """Map sheets over the island and its coast, without the ones of the north-western corner."""
    west, south, east, north = shapely.total_bounds([town.outline for town in world.towns])
    south -= _OFFSHORE / 2
    across, up = max(3, round((east - west) / _PANEL / 2)), max(3, round((north - south) / _PANEL / 2))
    x, y = np.linspace(west - 1, east + 1, across + 1), np.linspace(south, north + 1, up + 1)
    sheets = [
        shapely.box(x[column], y[row], x[column + 1], y[row + 1])
        for row in range(up)
        for column in range(across)
        if not (row >= up - up // 3 and column < across // 3)
    ]
    return np.array(sheets, dtype=object)


def _columns(bands: list[_Band]) -> dict[str, pa.Array]:
    """The columns of S_FLD_HAZ_AR; what does not apply is -9999 or empty, as FEMA has it."""
    rows = len(bands)
    text, number = pa.string(), pa.float64()
    empty = pa.array([""] * rows, text)
    unset = pa.array([NOT_POPULATED] * rows, number)
    known = [band.elevation != NOT_POPULATED for band in bands]
    return {
        "DFIRM_ID": pa.array([STUDY] * rows, text),
        "VERSION_ID": pa.array(["2.6.3.6"] * rows, text),
        "FLD_AR_ID": pa.array([f"{STUDY}_{i + 1}" for i in range(rows)], text),
        "STUDY_TYP": pa.array([band.study for band in bands], text),
        "FLD_ZONE": pa.array([band.zone for band in bands], text),
        "ZONE_SUBTY": pa.array([band.subtype for band in bands], text),
        "SFHA_TF": pa.array(["F" if band.zone == "X" else "T" for band in bands], text),
        "STATIC_BFE": pa.array([band.elevation for band in bands], number),
        "V_DATUM": pa.array(["NAVD88" if is_known else "" for is_known in known], text),
        "DEPTH": unset,
        "LEN_UNIT": pa.array(["Feet" if is_known else "" for is_known in known], text),
        "VELOCITY": unset,
        "VEL_UNIT": empty,
        "AR_REVERT": empty,
        "AR_SUBTRV": empty,
        "BFE_REVERT": unset,
        "DEP_REVERT": unset,
        "DUAL_ZONE": empty,
        "SOURCE_CIT": pa.array([f"{STUDY}_FIS1"] * rows, text),
    }


def write_flood_map(world: World, folder: Path) -> tuple[Path, Path]:
    """The files of zones and of panels. Files that are there already are kept."""
    zones, coverage = folder / f"{STUDY}_S_FLD_HAZ_AR.gpkg", folder / f"{STUDY}_S_FIRM_PAN.gpkg"
    if not (zones.exists() and coverage.exists()):
        flood_map = draw_flood_map(world)
        numbers = pa.array([f"{STUDY}{number:04d}A" for number in range(1, len(flood_map.panels) + 1)])
        _write(
            coverage, "S_FIRM_PAN", flood_map.panels, {"DFIRM_ID": pa.repeat(STUDY, len(numbers)), "FIRM_PAN": numbers}
        )
        _write(zones, "S_FLD_HAZ_AR", flood_map.zones, flood_map.columns)
    return zones, coverage


def _write(file: Path, layer: str, shapes: NDArray[np.object_], columns: dict[str, pa.Array]) -> None:
    to_degrees = Transformer.from_crs(CRS, FLOOD_CRS, always_xy=True)
    degrees = shapely.transform(shapes, to_degrees.transform, interleaved=False)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".writing-") as scratch:
        written = Path(scratch) / file.name
        pyogrio.raw.write_arrow(
            pa.table({**columns, "geometry": pa.array(shapely.to_wkb(degrees), pa.binary())}),
            written,
            layer=layer,
            driver="GPKG",
            geometry_name="geometry",
            geometry_type="Polygon",
            crs=FLOOD_CRS,
        )
        written.replace(file)


def load(context: DemoContext) -> dict[str, object]:
    """The hazards' part of the demo: write the layers and, unless only files are wanted, load and overlay them.

    The depth grid is only written, for whoever wants to load one. A real layer is never replaced by an invented one;
    then it is not loaded, and the answer says so.
    """
    zones, coverage = write_flood_map(context.world, context.folder)
    files = write_layers(context.world, context.folder)
    lists = write_facilities(context.world, context.folder)
    depths = write_depths(context.world, context.folder)
    if context.settings is None:
        listed = [file for _, file in lists.values()]
        return {"files": [file.name for file in (zones, coverage, *files.values(), depths, *listed)]}
    study = files.pop(STUDY_AREA)
    done: dict[str, object] = {}
    with workspace(context.settings.home) as work, connect(context.settings) as connection:
        for layer, file, covered in [(LAYER, zones, coverage), *((name, file, study) for name, file in files.items())]:
            done[layer] = _load_layer(context, connection, work, layer, file, covered)
        for name, (belongs, file) in lists.items():
            done[name] = load_facilities(
                connection,
                load_standard(),
                file,
                source_list=name,
                version=_version(file),
                work=work,
                lifeline=belongs.lifeline,
                component=belongs.component,
                accept=ANOTHER_WORLD,
                say=context.progress,
            )
            connection.commit()
        return {"layers": done, "overlay": overlay_layers(context.settings, connection, say=context.progress)}


def _load_layer(
    context: DemoContext, connection: Connection, work: Path, layer: str, file: Path, coverage: Path
) -> dict[str, object]:
    current = live_version(connection, layer)
    if current and not current.version.startswith(_VERSION):
        return {"outcome": "skipped", "why": f"Version {current.version} of {layer} is loaded and stays."}
    loaded = load_layer(
        connection,
        load_standard(),
        layer_source(layer),
        [file],
        version=_version(file),
        work=work,
        coverage=[coverage],
        effective_on=_EFFECTIVE_ON,
        accept=ANOTHER_WORLD,
        say=context.progress,
    )
    connection.commit()
    return loaded


def _version(file: Path) -> str:
    return f"{_VERSION}{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}"
