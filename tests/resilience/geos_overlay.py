"""The same answers from GEOS, by plain intersection: slow, and what the engine is held against."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from resilience.overlay import Geometries, Overlaps

CONTACT_FT = 1e-6
NOISE_SQFT = 1e-6

Pairs = dict[tuple[int, int], float]


def pairs(found: Overlaps) -> Pairs:
    """The engine's answer by parcel and class."""
    keys = zip(found.parcel.tolist(), found.class_code.tolist(), strict=True)
    return dict(zip(keys, found.area_sqft.tolist(), strict=True))


def owned(polygons: Geometries, classes: NDArray[np.int64], one_class_per_place: bool) -> tuple[Geometries, Pairs]:
    """Each polygon less what earlier ones of its group cover, and by (0, class) the area that this took."""
    rest, taken = polygons.copy(), dict[tuple[int, int], float]()
    for position, polygon in enumerate(polygons):
        earlier = [
            other
            for other, code in zip(polygons[:position], classes[:position], strict=True)
            if one_class_per_place or code == classes[position]
        ]
        rest[position] = shapely.difference(polygon, shapely.union_all(earlier))
        lost = polygon.area - rest[position].area
        if lost > NOISE_SQFT:
            key = 0, int(classes[position])
            taken[key] = taken.get(key, 0.0) + lost
    return rest, taken


def overlay(parcels: Geometries, polygons: Geometries, classes: NDArray[np.int64]) -> Pairs:
    """Area by parcel and class, zero where they only touch; polygons of one class must not overlap."""
    tree = shapely.STRtree(polygons)
    parcel, piece = tree.query(parcels, predicate="dwithin", distance=CONTACT_FT)
    found: Pairs = {}
    area = shapely.area(shapely.intersection(parcels[parcel], polygons[piece]))
    for place, code, sqft in zip(parcel.tolist(), classes[piece].tolist(), area.tolist(), strict=True):
        found[place, code] = found.get((place, code), 0.0) + sqft
    return {key: sqft if sqft > NOISE_SQFT else 0.0 for key, sqft in found.items()}


def largest_difference(got: Pairs, expected: Pairs) -> float:
    """Largest difference of an area, where a pair that is not named has none."""
    return max((abs(got.get(key, 0.0) - expected.get(key, 0.0)) for key in got | expected), default=0.0)
