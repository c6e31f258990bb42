"""How much of each parcel lies in each class of a polygon layer: exact areas, arrays in, arrays out.

``index_layer`` prepares a layer once, ``overlay`` answers for any parcels, in chunks, so that memory does not grow
with their number. Both are planar and know no CRS: give them the storage CRS and areas are US survey square feet.
Not here: what a class means, the database, and the geometry of the common part, which nobody asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from statewide.geometry import Repaired, repair

Geometries = NDArray[np.object_]
Clip = Callable[[shapely.Polygon, float, float, float, float], shapely.Geometry]

MAX_VERTICES = 256
"""Size of the pieces of a subdivided layer: larger ones make each intersection dear, smaller ones more of them."""

CONTACT_FT = 1e-6
"""Two shapes closer than this meet. Cutting an edge moves it by up to 1e-9 ft at state plane coordinates, so that
a corner exactly on the edge of the uncut polygon may stand that far off its piece."""

AREA_NOISE_SQFT = 1e-6
"""A common area below this is the rounding of two shapes that only touch, and is given as zero."""

CHUNK = 20_000


@dataclass(frozen=True)
class LayerIndex:
    """A layer cut into small valid pieces that do not overlap where they must not.

    Attributes:
        repaired: which of the polygons given to ``index_layer`` were invalid, why, and the area that mending moved.
        overlap_sqft: by class, the area that earlier polygons already covered and that was therefore not counted
            again. Classes without any are absent.
    """

    pieces: Geometries
    classes: NDArray[np.int64]
    tree: shapely.STRtree
    repaired: Repaired
    overlap_sqft: dict[int, float]


@dataclass(frozen=True)
class Overlaps:
    """Parallel arrays, one entry per parcel and class that meet at all, sorted by both.

    ``area_sqft`` is zero where the two only touch: whether they meet and whether they share area are two questions.
    """

    parcel: NDArray[np.int64]
    class_code: NDArray[np.int64]
    area_sqft: NDArray[np.float64]


def index_layer(
    polygons: Geometries,
    classes: NDArray[np.int64],
    *,
    one_class_per_place: bool = False,
    max_vertices: int = MAX_VERTICES,
) -> LayerIndex:
    """Repair, subdivide and index the polygons of a layer; ``classes`` holds one code per polygon.

    Missing and empty polygons are skipped. Where polygons of one class overlap, the common part stays with the
    first of them, so that ``overlay`` counts it once. Polygons of different classes may overlap and both count,
    unless ``one_class_per_place``: then the first counts whatever its class, and areas never exceed the parcel's.
    """
    repaired = repair(shapely.force_2d(polygons))
    classes = np.asarray(classes, dtype=np.int64)
    pieces, owner = _subdivide_all(repaired.shapes, max_vertices)
    groups = np.zeros_like(classes) if one_class_per_place else classes
    pieces, double_sqft = _drop_doubles(pieces, owner, groups[owner])
    overlap_sqft: dict[int, float] = {}
    for position in np.flatnonzero(double_sqft):
        code = int(classes[owner[position]])
        overlap_sqft[code] = overlap_sqft.get(code, 0.0) + float(double_sqft[position])
    left = ~shapely.is_empty(pieces)
    pieces, owner = pieces[left], owner[left]
    shapely.prepare(pieces)
    return LayerIndex(pieces, classes[owner], shapely.STRtree(pieces), repaired, dict(sorted(overlap_sqft.items())))


def overlay(parcels: Geometries, index: LayerIndex, chunk: int = CHUNK) -> Overlaps:
    """Area of each parcel in each class of the layer.

    ``parcels`` must be valid polygons or multipolygons; missing and empty ones meet nothing. The answer for a
    parcel does not depend on the others, nor on ``chunk``.
    """
    parts = [_overlay_chunk(parcels[start : start + chunk], index, start) for start in range(0, len(parcels), chunk)]
    if not parts:
        nothing = np.empty(0, dtype=np.int64)
        return Overlaps(nothing, nothing, np.empty(0))
    return Overlaps(
        np.concatenate([part.parcel for part in parts]),
        np.concatenate([part.class_code for part in parts]),
        np.concatenate([part.area_sqft for part in parts]),
    )


def _overlay_chunk(parcels: Geometries, index: LayerIndex, offset: int) -> Overlaps:
    parcel, piece = index.tree.query(parcels, predicate="dwithin", distance=CONTACT_FT)
    area = np.zeros(len(parcel))
    # Most parcels lie wholly in one piece: then their own area is the answer and nothing need be cut.
    whole = shapely.contains_properly(index.pieces[piece], parcels[parcel])
    area[whole] = shapely.area(parcels[parcel[whole]])
    area[~whole] = shapely.area(shapely.intersection(parcels[parcel[~whole]], index.pieces[piece[~whole]]))

    class_code = index.classes[piece]
    order = np.lexsort((piece, class_code, parcel))
    parcel, class_code, area = parcel[order], class_code[order], area[order]
    first = np.flatnonzero(np.diff(parcel, prepend=-1) | np.diff(class_code, prepend=-1))
    total = np.add.reduceat(area, first) if len(first) else area
    total[total < AREA_NOISE_SQFT] = 0.0
    return Overlaps(parcel[first] + offset, class_code[first], total)


def _subdivide_all(polygons: Geometries, max_vertices: int) -> tuple[Geometries, NDArray[np.int64]]:
    """All pieces, and for each the position of its polygon."""
    pieces: list[shapely.Polygon] = []
    owner: list[int] = []
    for position, polygon in enumerate(polygons):
        cut = [] if polygon is None else _subdivide(polygon, max_vertices)
        pieces += cut
        owner += [position] * len(cut)
    return _as_array(pieces), np.array(owner, dtype=np.int64)


def _subdivide(polygon: shapely.Geometry, max_vertices: int) -> list[shapely.Polygon]:
    """Valid pieces of at most ``max_vertices``, together the polygon; holes stay holes.

    The quick clip (140 times faster than an intersection at a million vertices) may leave a piece that touches
    itself, one in a thousand where edges run along the cut. Such a piece is mended, and if the areas then do not add
    up, the polygon is cut again with the slow one.
    """
    pieces = list(_cut(polygon, max_vertices, shapely.clip_by_rect))
    if not shapely.is_valid(pieces).all():
        mended = shapely.make_valid(pieces, method="structure", keep_collapsed=False)
        pieces = [part for geometry in mended for part in _polygons(geometry)]
    if abs(shapely.area(pieces).sum() - polygon.area) > AREA_NOISE_SQFT + 1e-9 * polygon.area:
        pieces = list(_cut(polygon, max_vertices, _clip_exactly))
    return pieces


def _cut(polygon: shapely.Geometry, max_vertices: int, clip: Clip) -> Iterator[shapely.Polygon]:
    """Halve at the middle of the longer side until every piece is small enough."""
    pending = list(_polygons(polygon))
    while pending:
        part = pending.pop()
        west, south, east, north = part.bounds
        if shapely.get_num_coordinates(part) <= max_vertices or max(east - west, north - south) < CONTACT_FT:
            yield part
        elif east - west > north - south:
            middle = (west + east) / 2
            pending += _polygons(clip(part, west, south, middle, north))
            pending += _polygons(clip(part, middle, south, east, north))
        else:
            middle = (south + north) / 2
            pending += _polygons(clip(part, west, south, east, middle))
            pending += _polygons(clip(part, west, middle, east, north))


def _clip_exactly(part: shapely.Polygon, west: float, south: float, east: float, north: float) -> shapely.Geometry:
    return shapely.intersection(part, shapely.box(west, south, east, north))


def _polygons(geometry: shapely.Geometry) -> Iterator[shapely.Polygon]:
    """The polygons of a geometry that have area; lines and points left by a cut are no part of a layer."""
    for part in shapely.get_parts(geometry):
        if part.geom_type in ("MultiPolygon", "GeometryCollection"):
            yield from _polygons(part)
        elif part.geom_type == "Polygon" and not part.is_empty:
            yield part


def _drop_doubles(
    pieces: Geometries, owner: NDArray[np.int64], groups: NDArray[np.int64]
) -> tuple[Geometries, NDArray[np.float64]]:
    """Each piece without what earlier polygons of its group already cover, and the area that this took from it."""
    shapely.prepare(pieces)
    later, earlier = shapely.STRtree(pieces).query(pieces)
    pair = (owner[earlier] < owner[later]) & (groups[earlier] == groups[later])
    later, earlier = later[pair], earlier[pair]
    # Neighbours meet in a line, which the prepared test sees five times faster than an intersection.
    apart = shapely.touches(pieces[earlier], pieces[later])
    later, earlier = later[~apart], earlier[~apart]
    common = shapely.area(shapely.intersection(pieces[later], pieces[earlier])) > AREA_NOISE_SQFT
    later, earlier = later[common], earlier[common]
    order = np.argsort(later, kind="stable")
    later, earlier = later[order], earlier[order]
    rest, taken = pieces.copy(), np.zeros(len(pieces))
    for position, rivals in zip(np.unique(later), np.split(earlier, np.flatnonzero(np.diff(later)) + 1), strict=False):
        left = shapely.difference(pieces[position], shapely.union_all(pieces[rivals]))
        rest[position] = shapely.MultiPolygon(list(_polygons(left)))
        taken[position] = pieces[position].area - left.area
    return rest, taken


def _as_array(geometries: list[shapely.Polygon]) -> Geometries:
    array = np.empty(len(geometries), dtype=object)
    array[:] = geometries
    return array
