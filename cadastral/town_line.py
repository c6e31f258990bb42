"""The line between two towns, as their parcels draw it: land that both have, land that neither has, lots on two rolls.

Arrays in, figures out, in feet of the storage CRS; no database. There is no authoritative town line, so neither side
is right here: what is measured is how far the two differ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely

from cadastral.topology import (
    Boundaries,
    Hashes,
    Ints,
    first_of_same,
    overlaps_and_gaps,
    read_boundaries,
    unmatched,
)
from statewide.geometry import Booleans, Floats, Shapes

_LOOKED_INTO = 10
"""How many of the largest pieces are measured for the widest place; the widest is seldom among the small ones."""


@dataclass(frozen=True)
class Pairs:
    """Parcels of one town that share land with parcels of the other; one entry each."""

    ours: Ints
    theirs: Ints
    sqft: Floats
    share_of_ours: Floats
    share_of_theirs: Floats


@dataclass(frozen=True)
class TownLine:
    """What lies between two towns. `ours` and `theirs` are the parcels within reach of the other town's.

    `line_ft` is the length of our boundary along theirs, `alike_ft` as much of it as both draw with the same corners.
    """

    line_ft: float
    alike_ft: float
    gaps: Shapes
    overlaps: Shapes
    gap_widest_ft: float
    overlap_widest_ft: float
    ours: Ints
    theirs: Ints
    pairs: Pairs

    def from_the_other_side(self) -> TownLine:
        """The same line with ours and theirs exchanged."""
        pairs = self.pairs
        turned = Pairs(pairs.theirs, pairs.ours, pairs.sqft, pairs.share_of_theirs, pairs.share_of_ours)
        return replace(self, ours=self.theirs, theirs=self.ours, pairs=turned)

    @property
    def gap_sqft(self) -> float:
        """Land along the line that neither town has."""
        return float(shapely.area(self.gaps).sum())

    @property
    def overlap_sqft(self) -> float:
        """Land along the line that both towns have, each piece counted once."""
        return float(shapely.area(self.overlaps).sum())


def measure(ours: Shapes, theirs: Shapes, reach_ft: float, tolerance_ft: float, least_sqft: float) -> TownLine:
    """Compare the parcels of two towns along their line.

    Where both draw it with the same corners there is nothing to measure; only the rest is.

    Args:
        ours: valid (Multi)Polygons of one town, at least those near the line.
        theirs: likewise of the other.
        reach_ft: a gap up to this wide is one between the towns; beyond, a road or a river that both leave out.
        tolerance_ft: what is closer than this touches.
        least_sqft: what is smaller is rounding, and left out.
    """
    left, right = shapely.STRtree(theirs).query(ours, predicate="dwithin", distance=reach_ft)
    near, far_side = np.unique(left), np.unique(right)
    here, there = ours[near], theirs[far_side]
    # Two deliveries differ in the last digits, by the format and the system they came in.
    boundaries = read_boundaries(np.append(here, there), tolerance_ft / 5)
    same = first_of_same(boundaries, len(here) + len(there))
    our_edge = _outer(boundaries, np.unique(same[: len(here)]))
    their_edge = _outer(boundaries, len(here) + np.unique(same[len(here) :], return_index=True)[1])
    alike = np.isin(_signed(boundaries, our_edge), ~_signed(boundaries, their_edge))
    alike_ft = float(shapely.length(_as_segments(boundaries, our_edge[alike])).sum())
    our_line = _as_segments(boundaries, our_edge[~alike])
    also = np.isin(_signed(boundaries, their_edge), ~_signed(boundaries, our_edge))
    their_line = _as_segments(boundaries, their_edge[~also])
    left, right = shapely.STRtree(their_line).query(our_line, predicate="dwithin", distance=2 * reach_ft)
    gaps = _gaps(here, there, our_line[np.unique(left)], reach_ft, tolerance_ft, least_sqft)
    overlaps = _overlaps(here, there, boundaries, same, least_sqft)
    along = shapely.buffer(
        shapely.union_all([*their_line[np.unique(right)], *gaps, *overlaps]), tolerance_ft, quad_segs=1
    )
    beside = our_line[shapely.STRtree(our_line).query(along, predicate="intersects")]
    beside_ft = shapely.length(shapely.intersection(beside, along))
    return TownLine(
        line_ft=alike_ft + float(beside_ft[beside_ft > 2 * tolerance_ft].sum()),  # less is an edge that ends there
        alike_ft=alike_ft,
        gaps=gaps,
        overlaps=overlaps,
        gap_widest_ft=_widest(gaps, our_line, their_line, reach_ft, tolerance_ft),
        overlap_widest_ft=_widest(overlaps, our_line, their_line, reach_ft, tolerance_ft),
        ours=near,
        theirs=far_side,
        pairs=_pairs(ours, theirs, overlaps, least_sqft),
    )


def _outer(boundaries: Boundaries, shapes: Ints) -> Ints:
    """Segments that bound the land of these shapes."""
    return unmatched(boundaries, np.isin(boundaries.shape, shapes, kind="table"))


def _signed(boundaries: Boundaries, segments: Ints) -> Hashes:
    """Keys that differ by direction: the complement of one is the key of the way back."""
    key = boundaries.key[segments]
    signed: Hashes = np.where(boundaries.forward[segments], key, ~key)
    return signed


def _as_segments(boundaries: Boundaries, segments: Ints) -> Shapes:
    start = boundaries.start[segments]
    return np.asarray(shapely.linestrings(np.stack((boundaries.xy[start], boundaries.xy[start + 1]), axis=1)))


def _overlaps(here: Shapes, there: Shapes, boundaries: Boundaries, same: Ints, least_sqft: float) -> Shapes:
    """The pieces of land that both towns have."""
    found, _ = overlaps_and_gaps(np.append(here, there), boundaries, least_sqft)
    across = (found.small < len(here)) != (found.large < len(here))
    identical = there[same[len(here) :] < len(here)]
    return _polygons(shapely.union_all([*found.shapes[across], *identical]), least_sqft)


def _gaps(
    here: Shapes, there: Shapes, our_line: Shapes, reach_ft: float, tolerance_ft: float, least_sqft: float
) -> Shapes:
    """The pieces of land between the towns that neither has; only around `our_line` can there be one."""
    line = shapely.line_merge(shapely.union_all(our_line))
    # A gap lies within reach of the line, and what it looks like depends on the land within twice the reach of it.
    window = shapely.buffer(line, 3 * reach_ft, quad_segs=2)
    trees = shapely.STRtree(here), shapely.STRtree(there)
    sides = [
        shapely.union_all(shapely.intersection(shapes[tree.query(window, predicate="intersects")], window))
        for shapes, tree in zip((here, there), trees, strict=True)
    ]
    reached = [shapely.buffer(side, reach_ft) for side in sides]
    # Closed and opened again: at its ends a gap is cut off where it opens, and around them there is no land between.
    bare = shapely.intersection(shapely.intersection(*reached), shapely.buffer(shapely.union_all(reached), -reach_ft))
    bare = shapely.intersection(bare, shapely.buffer(line, reach_ft, quad_segs=2))
    for shapes, tree in zip((here, there), trees, strict=True):
        bare = shapely.difference(bare, shapely.union_all(shapes[tree.query(bare, predicate="intersects")]))
    # Thinner than the tolerance is no gap, and must not tie one gap to another.
    bare = shapely.multipolygons(_polygons(bare, least_sqft))
    thick = shapely.buffer(shapely.buffer(bare, -tolerance_ft / 2), tolerance_ft, quad_segs=4)
    pieces = _polygons(shapely.intersection(bare, thick), least_sqft)
    # A gap touches both: a strip wider than the reach has only its middle within reach of both.
    pieces = pieces[np.all([_touch(pieces, side, tolerance_ft) for side in sides], axis=0)]
    # What is left of the open land around the end of the line reaches as far as we look, and no farther.
    small = np.flatnonzero(shapely.minimum_bounding_radius(pieces) <= reach_ft)
    stations, owner = shapely.get_coordinates(shapely.segmentize(pieces[small], 1.0), return_index=True)
    loose = ~np.any([_touch(shapely.points(stations), side, tolerance_ft) for side in sides], axis=0)
    gaps: Shapes = np.delete(pieces, small[np.unique(owner[loose])])
    return gaps


def _touch(pieces: Shapes, side: shapely.Geometry, tolerance_ft: float) -> Booleans:
    shapely.prepare(side)
    touching: Booleans = shapely.dwithin(pieces, side, tolerance_ft)
    return touching


def _pairs(ours: Shapes, theirs: Shapes, overlaps: Shapes, least_sqft: float) -> Pairs:
    """Every pair among the parcels that lie where both towns have land."""
    if not len(overlaps):
        none = np.zeros(0)
        return Pairs(none.astype(np.int64), none.astype(np.int64), none, none, none)
    left, right = (np.unique(shapely.STRtree(side).query(overlaps, "intersects")[1]) for side in (ours, theirs))
    at, to = shapely.STRtree(theirs[right]).query(ours[left])
    left, right = left[at], right[to]
    sqft = shapely.area(shapely.intersection(ours[left], theirs[right]))
    real = sqft >= least_sqft
    left, right, sqft = left[real], right[real], sqft[real]
    return Pairs(left, right, sqft, sqft / shapely.area(ours[left]), sqft / shapely.area(theirs[right]))


def _polygons(geometry: shapely.Geometry, least_sqft: float) -> Shapes:
    parts = shapely.get_parts(geometry)
    large: Shapes = parts[shapely.area(parts) >= least_sqft]
    return large


def _widest(pieces: Shapes, our_line: Shapes, their_line: Shapes, reach_ft: float, tolerance_ft: float) -> float:
    """How far the two lines lie apart at most, looking along the boundary of the pieces."""
    if not len(pieces):
        return 0.0
    widest = 0.0
    trees = shapely.STRtree(our_line), shapely.STRtree(their_line)
    for piece in pieces[np.argsort(-shapely.area(pieces))[:_LOOKED_INTO]]:
        stations = shapely.points(shapely.get_coordinates(shapely.segmentize(piece, reach_ft)))
        for lines, tree in zip((our_line, their_line), trees, strict=True):
            line = shapely.multilinestrings(lines[tree.query(piece, predicate="dwithin", distance=tolerance_ft)])
            widest = max(widest, float(np.nanmax(shapely.distance(stations, line), initial=0.0)))
    return widest
