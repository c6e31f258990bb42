"""Topology of one town's parcels: overlaps and gaps in square feet, slivers, spikes, far parts, a road network.

Arrays in, arrays out, in feet of the storage CRS; no database, and nothing is snapped or changed. Neighbours share
most edges to the last bit. Edges that two parcels run through in opposite directions cancel, and what is left over
bounds every place that no parcel, or more than one, covers: only there is geometry computed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import shapely

from statewide.geometry import Booleans, Floats, Shapes

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

_MANY = 8
"""From so many overlaps on, it pays to prepare the larger parcel once."""


@dataclass(frozen=True)
class Boundaries:
    """Every segment of the boundaries of some shapes, land on its left; no segment is of length 0.

    `xy` are vertices; segment i runs from ``xy[start[i]]`` to the next one. `shape` and `ring` say whose it is;
    `key` is the same for both directions of a segment, `forward` is not.
    """

    xy: Floats
    start: Ints
    ring: Ints
    shape: Ints
    key: Hashes
    forward: Booleans


@dataclass(frozen=True)
class Overlaps:
    """Pairs of shapes that share land, `small` being the one with less; one entry each.

    Of several identical shapes only the first is looked at: what lies exactly on top of one another is a stack.
    """

    small: Ints
    large: Ints
    sqft: Floats
    share_of_small: Floats
    share_of_large: Floats
    shapes: Shapes


@dataclass(frozen=True)
class Gaps:
    """Land that parcels enclose and none covers. `width_ft` is that of a strip of the same area and perimeter."""

    sqft: Floats
    width_ft: Floats
    shapes: Shapes


def read_boundaries(shapes: Shapes, grid_ft: float = 0.0) -> Boundaries:
    """The segments of valid polygons; of copies with corners on a grid, if one is given."""
    parts, shape_of_part = shapely.get_parts(shapely.orient_polygons(shapes), return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    if grid_ft:
        xy = np.rint(xy / grid_ft) * grid_ft
    hashes = _mixed(_mixed(xy[:, 0].view(np.uint64)) + xy[:, 1].view(np.uint64))
    start = np.flatnonzero((ring[1:] == ring[:-1]) & (hashes[1:] != hashes[:-1]))
    here, there = hashes[start], hashes[start + 1]
    key = _mixed(here + there) ^ here ^ there
    return Boundaries(xy, start, ring[start], shape_of_part[part_of_ring[ring[start]]], key, here < there)


def first_of_same(boundaries: Boundaries, count: int) -> Ints:
    """For each of `count` shapes the first one that is identical: the same segments, wherever its rings begin."""
    if not count:
        return np.zeros(0, dtype=np.int64)
    begin = np.flatnonzero(np.diff(boundaries.shape, prepend=-1))
    _, first, group = np.unique(np.add.reduceat(boundaries.key, begin), return_index=True, return_inverse=True)
    same: Ints = first[group]
    return same


def overlaps_and_gaps(shapes: Shapes, boundaries: Boundaries, least_sqft: float) -> tuple[Overlaps, Gaps]:
    """Where the parcels do not tile the ground once.

    Args:
        shapes: valid (Multi)Polygons, none missing or empty.
        boundaries: of the same shapes.
        least_sqft: an overlap or gap of less is rounding, and left out.
    """
    distinct = np.unique(first_of_same(boundaries, len(shapes)))
    lots = shapes[distinct]
    tree = shapely.STRtree(lots)
    faces, covering = _faces(boundaries, np.isin(boundaries.shape, distinct, kind="table"), tree)
    overlaps = _overlaps(lots, tree, faces[covering > 1], least_sqft)
    gaps = faces[covering == 0]
    sqft = shapely.area(gaps)
    real = sqft >= least_sqft
    return (
        replace(overlaps, small=distinct[overlaps.small], large=distinct[overlaps.large]),
        Gaps(sqft[real], mean_width_ft(gaps[real]), gaps[real]),
    )


def mean_width_ft(shapes: Shapes) -> Floats:
    """Twice the area over the perimeter: the width of a long strip, half the side of a square."""
    width: Floats = 2 * shapely.area(shapes) / shapely.length(shapes)
    return width


def slivers(shapes: Shapes, width_ft_max: float, times_longer_min: float) -> Ints:
    """Shapes that are both thin and many times longer than wide, as a rectangle of their area and perimeter is."""
    area, perimeter = shapely.area(shapes), shapely.length(shapes)
    elongation = perimeter**2 / (4 * area) - 2  # length over width, plus the little of width over length
    return np.flatnonzero((2 * area < width_ft_max * perimeter) & (elongation > times_longer_min))


def spikes(boundaries: Boundaries, angle_deg_max: float, leg_ft_min: float) -> Ints:
    """Vertices, as places in `xy`, where the boundary turns back on itself by less than the angle."""
    xy, start, ring = boundaries.xy, boundaries.start, boundaries.ring
    if not len(start):
        return np.zeros(0, dtype=np.int64)
    last = np.flatnonzero(np.append(ring[1:] != ring[:-1], True))
    following = np.arange(1, len(start) + 1)
    following[last] = np.append(0, last[:-1] + 1)
    way = xy[start + 1] - xy[start]
    x, y = way[:, 0], way[:, 1]
    next_x, next_y = x[following], y[following]
    along = x * next_x + y * next_y
    across = np.abs(x * next_y - y * next_x)
    back = np.flatnonzero(across < -np.tan(np.radians(angle_deg_max)) * along)
    long = np.minimum(np.hypot(x[back], y[back]), np.hypot(next_x[back], next_y[back])) >= leg_ft_min
    return start[back[long]] + 1


def far_parts(shapes: Shapes, distance_ft_min: float) -> tuple[Ints, Ints]:
    """Shapes whose parts fall in groups farther apart than the distance, and into how many groups."""
    several = np.flatnonzero(shapely.get_num_geometries(shapes) > 1)
    parts, owner = shapely.get_parts(shapes[several], return_index=True)
    left, right = shapely.STRtree(parts).query(parts, predicate="dwithin", distance=distance_ft_min)
    near = owner[left] == owner[right]
    left, right = left[near], right[near]
    group = np.arange(len(parts))
    while True:  # each part takes the lowest number in reach, until none finds a lower one
        lower = group.copy()
        np.minimum.at(lower, left, group[right])
        if (lower == group).all():
            break
        group = lower
    groups = np.bincount(owner[np.unique(group)], minlength=len(several))
    far = groups > 1
    return several[far], groups[far]


def road_networks(shapes: Shapes, width_ft_max: float, length_ft_min: float, share_min: float) -> Ints:
    """Shapes that are narrow, long, and hold more than a share of all boundary in the town: its roads in one shape."""
    perimeter = shapely.length(shapes)
    long = (perimeter >= length_ft_min) & (perimeter >= share_min * perimeter.sum())
    found = np.flatnonzero(long)
    return found[mean_width_ft(shapes[found]) <= width_ft_max]


def _mixed(values: Hashes) -> Hashes:
    """Scatter 64 bits over 64 bits (the finaliser of SplitMix64): coordinates in whole feet differ in few of them."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed


def _faces(boundaries: Boundaries, taken: Booleans, tree: shapely.STRtree) -> tuple[Shapes, Ints]:
    """The places that unmatched segments bound, and how many shapes cover each: 0, 1, or at least 2.

    Where the point that is looked at lies on a matched edge, 1 may come out as 2.
    """
    lines = as_lines(boundaries, unmatched(boundaries, taken))
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(shapely.union_all(lines))))
    points = shapely.point_on_surface(faces)
    return faces, np.bincount(tree.query(points, predicate="intersects")[0], minlength=len(faces))


def unmatched(boundaries: Boundaries, taken: Booleans) -> Ints:
    """Of the segments taken, those that are not run through equally often in both directions; one of each, in order."""
    chosen = np.flatnonzero(taken)
    order = chosen[np.argsort(boundaries.key[chosen])]
    if not len(order):
        return order
    ordered = boundaries.key[order]
    begin = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    surplus = np.add.reduceat(np.where(boundaries.forward[order], 1, -1), begin)
    return np.sort(order[begin[surplus != 0]])


def as_lines(boundaries: Boundaries, segments: Ints) -> Shapes:
    """Segments as lines; those that follow one another on a ring become one."""
    start = boundaries.start[segments]
    if not len(start):
        return np.zeros(0, dtype=object)
    # Between two rings there is a vertex that starts no segment.
    first = np.flatnonzero(np.append(True, start[1:] != start[:-1] + 1))
    vertices = np.diff(np.append(first, len(start))) + 1
    line = np.repeat(np.arange(len(first)), vertices)
    within = np.arange(len(line)) - np.repeat(np.cumsum(vertices) - vertices, vertices)
    lines: Shapes = shapely.linestrings(boundaries.xy[start[first][line] + within], indices=line)
    return lines


def _overlaps(shapes: Shapes, tree: shapely.STRtree, covered_twice: Shapes, least_sqft: float) -> Overlaps:
    """Every pair among the shapes that lie in places covered more than once."""
    suspects = np.unique(tree.query(covered_twice, predicate="intersects")[1])
    left, right = tree.query(shapes[suspects])
    left = suspects[left]
    once = (left < right) & np.isin(right, suspects)
    left, right = left[once], right[once]
    area = shapely.area(shapes)
    swap = area[left] > area[right]
    small, large = np.where(swap, right, left), np.where(swap, left, right)
    often, times = np.unique(large, return_counts=True)
    shapely.prepare(shapes[often[times >= _MANY]])
    inside = shapely.covers(shapes[large], shapes[small])
    shared = shapes[small]
    shared[~inside] = shapely.intersection(shapes[small[~inside]], shapes[large[~inside]])
    sqft = shapely.area(shared)
    real = sqft >= least_sqft
    small, large, sqft = small[real], large[real], sqft[real]
    return Overlaps(small, large, sqft, sqft / area[small], sqft / area[large], shared[real])
