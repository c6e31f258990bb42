"""Shapes on their way in: to the storage system, two dimensions, valid. Which system they are in is `crs`'s to find.

Arrays of shapely geometries in, arrays out; nothing here knows the database. Every repair comes back with the
area that it moved. Rules and traps: NAD83 and NAD83(2011) State Plane share their digits, so no grid is applied
between them; NAD27 is refused, because PROJ without the grid silently answers with a 14 m guess.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from statewide.standard import Standard

Shapes = npt.NDArray[np.object_]
Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Bounds = tuple[float, float, float, float]
"""West, south, east, north."""

SQFT_PER_ACRE = 43_560
_SAMPLE = 2000
_WEB_MERCATOR_RADIUS = 6378137.0
_FARTHEST = 1e8
"""Coordinates beyond this many units lie off the Earth; the projection has no answer for them."""
_CONTINENT = 5e6
"""Units of the storage CRS about its origin, within which its boxes stay boxes in degrees."""
_MEASURABLE_SQFT = 1e12
_CORNERS_TO_PROVE, _MOST_PAIRS = 1_000, 1e7  # a second of proof
_CORNERS_TO_MEND, _MOST_CROWDED = 300, 100  # two seconds of repair
_SEGMENTS_LOOKED_AT = 200
"""Up to here a double tells hundredths of a square foot apart; what is larger is no land but a corner astray."""


def accepted_title(epsg: int, standard: Standard) -> str:
    """Name of an accepted coordinate system."""
    return next((crs.title for crs in standard.header.accepted_crs if crs.epsg == epsg), f"EPSG:{epsg}")


def to_storage(shapes: Shapes, epsg: int, standard: Standard) -> Shapes:
    """Shapes in the storage CRS, 2-D; None stays None.

    Systems that share their digits with the storage CRS are taken over unchanged (see the module's note).
    """
    flat: Shapes = shapely.force_2d(shapes)
    if _digits(epsg, standard) == _digits(standard.header.storage_crs, standard):
        return flat
    moved: Shapes = shapely.transform(flat, lambda coordinates: points_in_storage(coordinates, epsg, standard))
    return moved


def published_shapes(shapes: Shapes, standard: Standard) -> tuple[Shapes, Shapes]:
    """The same shapes in degrees (EPSG:4326, x = longitude) and in Web Mercator metres.

    Mercator is computed from the degrees by its closed formula on the sphere (EPSG method 1024).
    """
    transformer = _transformer(standard.header.storage_crs, 4326)

    def to_degrees(coordinates: Floats) -> Floats:
        return np.column_stack(transformer.transform(coordinates[:, 0], coordinates[:, 1]))

    def to_mercator(degrees: Floats) -> Floats:
        x = _WEB_MERCATOR_RADIUS * np.radians(degrees[:, 0])
        y = _WEB_MERCATOR_RADIUS * np.arctanh(np.sin(np.radians(degrees[:, 1])))
        return np.column_stack((x, y))

    if len(shapes) and (shapely.get_type_id(shapes) == 6).all():  # taken apart once for both
        kind, coordinates, rings = shapely.to_ragged_array(shapes)
        each, place = _each_once(coordinates)
        degrees = to_degrees(each)
        lonlat, mercator = (shapely.from_ragged_array(kind, at[place], rings) for at in (degrees, to_mercator(degrees)))
        return _valid_again(lonlat), _valid_again(mercator)
    lonlat = _valid_again(shapely.transform(shapes, to_degrees))
    return lonlat, _valid_again(shapely.transform(lonlat, to_mercator))


def _each_once(coordinates: Floats) -> tuple[Floats, npt.NDArray[np.int32]]:
    """The distinct positions, and which of them each is: a ring ends where it began, and neighbours share corners."""
    width = coordinates.dtype.itemsize * 2
    values = pa.Array.from_buffers(pa.binary(width), len(coordinates), [None, pa.py_buffer(coordinates)])
    encoded = values.dictionary_encode()
    each = np.frombuffer(encoded.dictionary.buffers()[1], dtype=coordinates.dtype).reshape(-1, 2)
    return each[: len(encoded.dictionary)], encoded.indices.to_numpy()


def degrees_around(bounds: Bounds, epsg: int) -> Bounds | None:
    """A box in degrees that holds a box of the storage CRS or of Web Mercator, at most a little larger.

    None for a box as wide as a continent, of which the projection has no sure answer.
    """
    mercator = epsg == 3857
    if max(map(abs, bounds)) > (_FARTHEST if mercator else _CONTINENT):
        return None
    if mercator:
        west, y_south, east, y_north = np.divide(bounds, _WEB_MERCATOR_RADIUS)
        west, south, east, north = np.degrees([west, np.arctan(np.sinh(y_south)), east, np.arctan(np.sinh(y_north))])
    else:
        west, south, east, north = _transformer(epsg, 4326).transform_bounds(*bounds, densify_pts=21)
    # Between the points that were looked at, an edge may bulge by some hundred-thousandths of its length.
    wide, high = 1e-6 + (east - west) * 1e-4, 1e-6 + (north - south) * 1e-4
    return west - wide, south - high, east + wide, north + high


def only_points(shapes: Shapes) -> bool:
    """Whether every shape is a point with a position: then there is nothing to put in order, nor to make valid."""
    return bool((shapely.get_type_id(shapes) == 0).all()) and not shapely.is_empty(shapes).any()


def points_wkb(points: Floats, srid: int | None = None) -> npt.NDArray[np.void]:
    """Points as (E)WKB, little-endian, one record each; as `shapely.to_wkb` writes them. Shape of `points` (n, 2)."""
    head = [("order", "u1"), ("type", "<u4")] + ([("srid", "<u4")] if srid else [])
    found = np.zeros(len(points), dtype=[*head, ("x", "<f8"), ("y", "<f8")])
    found["order"], found["type"] = 1, 0x20000001 if srid else 1
    if srid:
        found["srid"] = srid
    found["x"], found["y"] = points.T
    return found.view(f"V{found.itemsize}")


def _valid_again(shapes: Shapes) -> Shapes:
    """The same with parts dropped that fall to nothing in a coarser system: rings some millionths of a foot wide."""
    if only_points(shapes):
        return shapes
    present = ~shapely.is_missing(shapes)
    for place in np.flatnonzero(present)[~shapely.is_valid(shapes[present])]:
        mended = _mended(shapes[place])
        shapes[place] = shapes[place] if mended is None else mended
    return shapes


@dataclass(frozen=True)
class Repaired:
    """Shapes made valid.

    `shapes` are MultiPolygons, or Points of a table of points, None where nothing usable was left. `repaired` marks
    those that were mended; `moved_sqft` is their area after minus before. `why` and `where` tell each repaired or
    unusable row's trouble.
    """

    shapes: Shapes
    repaired: Booleans
    unusable: Booleans
    moved_sqft: Floats
    why: dict[int, str]
    where: dict[int, BaseGeometry | None]


def repair(shapes: Shapes, widest_ft: float = np.inf) -> Repaired:
    """Make polygons valid, and say which were not, why, and how much area that moved.

    A shape wider than `widest_ft` has a corner astray and is not usable.

    `shapely.make_valid` (structure method) keeps every ring's land; collapsed lines and points are dropped.
    """
    present = ~shapely.is_missing(shapes)
    sound = on_earth(shapes)
    polygonal = np.isin(shapely.get_type_id(shapes), (3, 6))
    width = np.zeros(len(shapes))
    bounds = shapely.bounds(shapes[present & sound])
    width[present & sound] = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    wide = width > widest_ft
    usable = present & sound & polygonal & ~wide
    corners = shapely.get_num_coordinates(shapes)
    tangled = np.zeros(len(shapes), dtype=bool)
    tangled[usable] = _tangled(shapes[usable])
    usable &= ~tangled
    invalid = np.zeros(len(shapes), dtype=bool)
    invalid[usable] = ~shapely.is_valid(shapes[usable])
    for row in np.flatnonzero(invalid & (corners > _CORNERS_TO_MEND)):
        tangled[row] = _crowding(shapes[row]) > _MOST_CROWDED
    usable &= ~tangled
    invalid &= ~tangled
    result = shapes.copy()
    why: dict[int, str] = {}
    where: dict[int, BaseGeometry | None] = {}
    for row in np.flatnonzero(tangled):
        why[int(row)] = f"its boundary of {corners[row]:,} corners is a tangle that cannot be made valid"
        where[int(row)] = shapely.Point(np.median(shapely.get_coordinates(shapes[row]), axis=0))
    for row in np.flatnonzero(present & ~sound):
        why[int(row)], where[int(row)] = "a coordinate is not a number or lies off the Earth", None
    for row in np.flatnonzero(wide):
        why[int(row)] = f"it is {width[row]:,.0f} ft wide, so a corner must be astray"
        where[int(row)] = shapely.Point(np.median(shapely.get_coordinates(shapes[row]), axis=0))
    for row in np.flatnonzero(present & sound & ~polygonal):
        why[int(row)], where[int(row)] = f"it is a {shapes[row].geom_type}, not a polygon", shapes[row]
    for row in np.flatnonzero(invalid):
        why[int(row)], where[int(row)] = _reason(shapes[row])
        result[row] = _mended(shapes[row])
    result[present & ~usable] = None
    area = shapely.area(result)
    empty = usable & ~(area > 0)
    for row in np.flatnonzero(empty & ~invalid):
        why[int(row)] = "it encloses no area"
        where[int(row)] = (
            None if shapely.is_empty(shapes[row]) else shapely.Point(shapely.get_coordinates(shapes[row])[0])
        )
    result[empty] = None
    single = shapely.get_type_id(result) == 3
    result[single] = shapely.multipolygons(shapely.get_parts(result[single]), indices=np.arange(int(single.sum())))
    repaired = invalid & ~empty
    moved = np.zeros(len(shapes))
    moved[repaired] = area[repaired] - shapely.area(shapes[repaired])
    return Repaired(result, repaired, present & (empty | ~usable), moved, why, where)


def single_points(shapes: Shapes) -> Repaired:
    """Take points as they are and multipoints of one point as that point; whatever else was delivered is not usable."""
    present = ~shapely.is_missing(shapes)
    single = present & (shapely.get_type_id(shapes) == 4) & (shapely.get_num_geometries(shapes) == 1)
    result = shapes.copy()
    result[single] = shapely.get_geometry(shapes[single], 0)
    empty = present & shapely.is_empty(result)
    astray = present & ~on_earth(result)
    other = present & (shapely.get_type_id(result) != 0)
    why: dict[int, str] = {}
    where: dict[int, BaseGeometry | None] = {}
    for row in np.flatnonzero(other):
        parts = shapely.get_num_geometries(shapes[row])
        kind = f"{shapes[row].geom_type} of {parts}" if parts > 1 else shapes[row].geom_type
        why[int(row)], where[int(row)] = f"it is a {kind}, not a point", shapes[row]
    for row in np.flatnonzero(astray):
        why[int(row)], where[int(row)] = "a coordinate is not a number or lies off the Earth", None
    for row in np.flatnonzero(empty):
        why[int(row)], where[int(row)] = "it is a point without a position", None
    unusable = empty | astray | other
    result[unusable] = None
    nothing = np.zeros(len(shapes))
    return Repaired(result, np.zeros(len(shapes), dtype=bool), unusable, nothing, why, where)


def valid(shapes: Shapes) -> Booleans:
    """`shapely.is_valid`, for shapes of anybody: a tangle is not valid, and takes no minutes to prove so."""
    found = ~_tangled(shapes)
    found[found] = shapely.is_valid(shapes[found])
    return found


def _tangled(shapes: Shapes) -> Booleans:
    corners = shapely.get_num_coordinates(shapes)
    found = np.zeros(len(shapes), dtype=bool)
    for row in np.flatnonzero((corners > _CORNERS_TO_PROVE) & (shapely.get_dimensions(shapes) == 2)):
        found[row] = corners[row] * _crowding(shapes[row]) > _MOST_PAIRS
    return found


def _crowding(shape: BaseGeometry) -> float:
    """How many segments' boxes a segment's box meets, on average: three along any river, a thousand in a scribble.

    GEOS' proof of validity and its repair take time by the pairs of segments that come near each other: minutes for
    a file of a few kilobytes, in which nothing can interrupt them.
    """
    coordinates, ring = shapely.get_coordinates(shapely.get_rings(shapely.get_parts(shape)), return_index=True)
    joined = ring[1:] == ring[:-1]
    ends = np.stack([coordinates[:-1][joined], coordinates[1:][joined]])
    with np.errstate(invalid="ignore"):
        boxes = shapely.box(*ends.min(axis=0).T, *ends.max(axis=0).T)
    some = boxes[:: max(1, len(boxes) // _SEGMENTS_LOOKED_AT)]
    return float(len(shapely.STRtree(boxes).query(some)[0]) / max(1, len(some)))


def on_earth(shapes: Shapes) -> Booleans:
    """Whether every coordinate is a number, and one that a projection has an answer for."""
    found = np.ones(len(shapes), dtype=bool)
    coordinates, owners = shapely.get_coordinates(shapes, return_index=True)
    found[owners[~(np.abs(coordinates) <= _FARTHEST).all(axis=1)]] = False
    return found


def measured_sqft(shapes: Shapes) -> Floats:
    """Areas for the books: 0 where there is no shape, or one with a corner so far astray that it cannot be measured."""
    with np.errstate(over="ignore", invalid="ignore"):
        area = shapely.area(shapes)
    return np.where(area <= _MEASURABLE_SQFT, area, 0.0)


def same_shape(left: Shapes, right: Shapes, tolerance_ft: float) -> Booleans:
    """Pairwise: are the boundaries nowhere farther apart than the tolerance?

    Vertex by vertex first. Where vertices differ in number or order, Hausdorff distance; it looks at corners only, so
    each boundary must then also lie within the tolerance of the other along its whole length.
    """
    ordered_left, ordered_right = shapely.normalize(left), shapely.normalize(right)
    same: Booleans = shapely.equals_exact(ordered_left, ordered_right, tolerance_ft)
    rest = np.flatnonzero(~same)
    if len(rest):
        rest = rest[shapely.hausdorff_distance(left[rest], right[rest]) <= tolerance_ft]
        here, there = shapely.boundary(left[rest]), shapely.boundary(right[rest])
        same[rest] = shapely.covers(shapely.buffer(here, tolerance_ft), there) & shapely.covers(
            shapely.buffer(there, tolerance_ft), here
        )
    return same


def distances_ft(left: Shapes, right: Shapes) -> Floats:
    """Hausdorff distance of each pair, in feet: how far apart their boundaries are at worst."""
    found: Floats = shapely.hausdorff_distance(left, right)
    return found


def distances_to_edge_ft(outline: BaseGeometry, shapes: Shapes) -> Floats:
    """How far shapes lie from the edge of an outline, in feet; an index of its sides finds the nearest."""
    corners, ring = shapely.get_coordinates(shapely.get_rings(shapely.get_parts(outline)), return_index=True)
    joined = ring[1:] == ring[:-1]
    sides = shapely.linestrings(np.stack([corners[:-1][joined], corners[1:][joined]], axis=1))
    (asked, _), found = shapely.STRtree(sides).query_nearest(shapes, all_matches=False, return_distance=True)
    distances: Floats = np.zeros(len(shapes))
    distances[asked] = found
    return distances


def _mended(geometry: BaseGeometry) -> BaseGeometry | None:
    """Valid polygons, or None. Twice if need be: GEOS 3.14 may give two parts that share an edge."""
    for _ in range(2):
        mended = _polygons(shapely.make_valid(geometry, method="structure", keep_collapsed=False))
        if mended is None or mended.is_valid:
            return mended
        geometry = mended
    return None


def _polygons(geometry: BaseGeometry) -> BaseGeometry | None:
    parts = shapely.get_parts(geometry)
    if geometry.geom_type == "GeometryCollection":
        parts = shapely.get_parts(parts)
    polygons = parts[shapely.get_type_id(parts) == 3]
    return shapely.multipolygons(polygons) if len(polygons) else None


def _reason(geometry: BaseGeometry) -> tuple[str, BaseGeometry | None]:
    """GEOS' reason in plain words, and the point it names, e.g. ``Self-intersection[1065000.5 701234]``."""
    text = shapely.is_valid_reason(geometry)
    what, _, place = text.partition("[")
    words = {
        "Self-intersection": "the boundary crosses itself",
        "Ring Self-intersection": "the boundary touches itself",
        "Hole lies outside shell": "a hole lies outside of the parcel",
        "Holes are nested": "a hole lies in another hole",
        "Nested shells": "one part lies inside another",
        "Duplicate Rings": "two parts are the same",
        "Interior is disconnected": "the boundary cuts the parcel in two",
        "Too few points in geometry component": "a ring has too few points",
    }
    try:
        x, y = (float(number) for number in place.rstrip("]").split()[:2])
        point: BaseGeometry | None = shapely.Point(x, y)
    except ValueError:
        point = None
    return words.get(what, what.lower()), point


def sample_points(shapes: Shapes) -> Floats:
    """Centres of at most some two thousand of the shapes, as delivered; shape (n, 2)."""
    present = shapes[~shapely.is_missing(shapes)]
    step = max(1, len(present) // _SAMPLE)
    bounds = shapely.bounds(present[::step])
    return np.column_stack(((bounds[:, 0] + bounds[:, 2]) / 2, (bounds[:, 1] + bounds[:, 3]) / 2))


def points_in_storage(points: Floats, epsg: int, standard: Standard) -> Floats:
    """Points of a coordinate system in the storage CRS; shape (n, 2)."""
    source, target = _digits(epsg, standard), _digits(standard.header.storage_crs, standard)
    if source == target:
        return points
    return np.column_stack(_transformer(source, target).transform(points[:, 0], points[:, 1]))


def _digits(epsg: int, standard: Standard) -> int:
    """The system by whose digits we read this one. Left to itself, PROJ would move NAD83(HARN) metres by 3 ft."""
    return next((crs.same_digits_as or epsg for crs in standard.header.accepted_crs if crs.epsg == epsg), epsg)


@functools.cache
def _transformer(source: int, target: int) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)
