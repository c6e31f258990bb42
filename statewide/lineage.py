"""Which row of a new delivery is which live row: identity across deliveries.

First the rows that are the same to the bit (by hash); then, of what is left, those that are the same within the
standard's coordinate tolerance, those with the same number, those with the same shape, and those on nearly the same
land. What remains is new or gone; see `succession` for what became of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from statewide.ddl import of_points
from statewide.geometry import Shapes, distances_ft, same_shape
from statewide.live import Live
from statewide.staging import Digests, Staged, content_hashes
from statewide.standard import LineageLaw, Standard

Kind = Literal["within tolerance", "changed"]
Indices = npt.NDArray[np.int64]

_SEARCH_FT = 1.0
"""The boxes around two shapes that agree within the tolerance have their middles well within this."""

_MOST_PAIRS = 250_000
"""A number or shape that more pairs share than this (a column that says "0" all over) is not searched for the best."""


@dataclass(frozen=True)
class Side:
    """Unpaired rows of one side: hash of the attributes, normalised numbers (best first), shapes.

    `stacked` marks those whose shape others of the side have, too, paired or not; it is asked for of points only.
    """

    attribute_hash: Digests
    keys: tuple[npt.NDArray[np.object_], ...]
    shapes: Shapes
    stacked: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.shapes)


@dataclass(frozen=True)
class Lineage:
    """How the delivery meets the live town.

    `added` and `removed` are places in the staged and in the live rows. `kept` and `changed` are pairs of places, one
    row per pair: staged, live. Kept rows stay as they are; `within_tolerance` of them were drawn anew, by no more than
    `largest_shift_ft`. `kept_live` are places in the live rows that stay although nothing published succeeds them.
    """

    added: Indices
    removed: Indices
    kept: Indices
    changed: Indices
    within_tolerance: int
    largest_shift_ft: float
    kept_live: Indices = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def counts(self) -> dict[str, int]:
        """Numbers of rows, as the summary names them."""
        return {
            "added": len(self.added),
            "changed": len(self.changed),
            "removed": len(self.removed),
            "unchanged": len(self.kept),
            "within_tolerance": self.within_tolerance,
            "kept_live": len(self.kept_live),
        }


def trace(live: Live, staged: Staged, standard: Standard) -> Lineage:
    """Pair the staged rows with the live rows of the town."""
    versions, header = live.versions, standard.header
    same = _identical(staged, versions)
    new = np.setdiff1d(np.arange(len(staged.shapes)), same[:, 0])
    old = np.setdiff1d(np.arange(len(versions)), same[:, 1])
    if not len(new) or not len(old):
        nothing = np.zeros((0, 2), dtype=np.int64)
        return Lineage(new, old, same, nothing, 0, 0.0)
    # In the order of the delivery that wrote them: a stack's rows pair off the way they came.
    old = old[np.lexsort((versions["uid"][old].view("S16").ravel(), versions["row_no"][old]))]
    names = live.table.match_on
    keys, shapes = live.columns(old, names)
    here = Side(
        staged.attribute_hash[new],
        tuple(staged.text(name)[new] for name in names),
        staged.shapes[new],
        _stacked(staged.shape_hash)[new],
    )
    there = Side(
        np.ascontiguousarray(versions["attribute_hash"][old]),
        tuple(keys),
        shapes,
        _stacked(versions["shape_hash"])[old],
    )
    if of_points(live.table):
        said = names.index(live.table.renumbered_by[0])
        found = match_points(here, there, header.coordinate_tolerance_ft, header.lineage, said)
    else:
        found = match(here, there, header.coordinate_tolerance_ft, header.lineage.same_land_share_min)
    pairs = list(found)
    close = [(new[left], old[right]) for left, right, kind, _ in pairs if kind == "within tolerance"]
    changed = [(new[left], old[right]) for left, right, kind, _ in pairs if kind == "changed"]
    return Lineage(
        added=np.delete(new, [left for left, *_ in pairs]),
        removed=np.delete(old, [right for _, right, *_ in pairs]),
        kept=np.concatenate([same, _two_columns(close)]),
        changed=_two_columns(changed),
        within_tolerance=len(close),
        largest_shift_ft=max((shift for *_, kind, shift in pairs if kind == "within tolerance"), default=0.0),
    )


def keep_live(
    lineage: Lineage, live: Live, staged: Staged, held: pa.Table, shapes: Shapes, standard: Standard
) -> Lineage:
    """Do not end live rows whose new row is held: the last good version stays, here of a row.

    A live row stays if one of its numbers stands on held rows and on none that is published; where the law names the
    one that says what a row is, the others count only of held rows without it. A held row without any number is known
    by its land, or, if it has no area either, by what the table shows as a row's title.

    Args:
        held: the held rows; `shapes` are theirs, in the same order.
    """
    going = lineage.removed
    if not len(going) or not len(held):
        return lineage
    titles = [name for name in (live.table.collection and live.table.collection.title_field,) if name]
    columns, lots = live.columns(going, [*live.table.match_on, *titles])
    stays, nameless = np.zeros(len(going), dtype=bool), np.ones(len(held), dtype=bool)
    said = np.zeros(len(held), dtype=bool)
    for name in live.table.renumbered_by:
        said |= _texts(held, name) != None  # noqa: E711  (element-wise)
    for name, values in zip(live.table.match_on, columns, strict=False):
        theirs = _texts(held, name)
        nameless &= theirs == None  # noqa: E711
        asked = theirs if name in live.table.renumbered_by else theirs[~said]
        stays |= _among(values, asked) & ~_among(values, staged.text(name))
    drawn = nameless & (shapely.get_dimensions(shapes) == 2)
    sides = [Side(np.zeros(len(each), dtype="V16"), (), each) for each in (shapes[drawn], lots)]
    here, there = (_areas_among(side, np.ones(len(side), dtype=bool)) for side in sides)
    stays[_same_land(sides[0], sides[1], here, there, standard.header.lineage.same_land_share_min)[1]] = True
    for name in titles:
        stays |= _among(columns[-1], _texts(held, name)[nameless & ~drawn])
    return replace(lineage, removed=going[~stays], kept_live=going[stays])


def _texts(rows: pa.Table, name: str) -> npt.NDArray[np.object_]:
    return np.array(rows.column(name).to_pylist(), dtype=object)


def _among(values: npt.NDArray[np.object_], others: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    """Which of the values stand among the others; an empty one does not."""
    known = set(others.tolist()) - {None}
    return np.array([value in known for value in values.tolist()], dtype=bool)


def _identical(staged: Staged, versions: npt.NDArray[np.void]) -> Indices:
    """Pairs of rows that are the same to the bit; equal rows of a stack pair off in the order of their numbers."""
    here = _nth(staged.attribute_hash, staged.shape_hash, staged.row_no)
    there = _nth(versions["attribute_hash"], versions["shape_hash"], versions["row_no"])
    _, left, right = np.intersect1d(here, there, assume_unique=True, return_indices=True)
    return np.column_stack((left, right)).astype(np.int64)


def _nth(attribute_hash: Digests, shape_hash: Digests, row_no: npt.NDArray[Any]) -> npt.NDArray[np.void]:
    """Both hashes, and the how-manieth row with them it is: forty bytes that no two rows of a town share."""
    _, group = np.unique(content_hashes(attribute_hash, shape_hash), return_inverse=True)
    order = np.lexsort((row_no, group))
    ordered = group[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else ordered
    nth = np.empty(len(row_no), dtype=">u8")
    nth[order] = np.arange(len(row_no)) - np.repeat(starts, np.diff(np.r_[starts, len(ordered)]))
    named = np.empty(len(row_no), dtype=[("attributes", "V16"), ("shape", "V16"), ("nth", ">u8")])
    named["attributes"], named["shape"], named["nth"] = attribute_hash, shape_hash, nth
    return named.view("S40").ravel()


def _two_columns(pairs: list[tuple[Any, Any]]) -> Indices:
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def match(new: Side, live: Side, tolerance_ft: float, same_land_share: float) -> Iterator[tuple[int, int, Kind, float]]:
    """Pairs of (index in new, index in live, kind, cost), each row at most once.

    The cost of what lies within the tolerance is its distance in feet. Of several rows with a number, the one that
    shares most land goes first, so that of a split lot the largest part that keeps the number stays the parcel.
    """
    if not len(new) or not len(live):
        return
    free = _Free.of(new, live)
    left, right = _same_place(new, live, tolerance_ft)
    yield from _as_they_were(new, live, left, right, free)
    # First those that stayed where they were: a number may stand on thousands of rows, or be given to others anew.
    for new_key, live_key in zip(new.keys, live.keys, strict=True):
        stayed = _alike(new_key[left], live_key[right])
        yield from free.take(left[stayed], right[stayed])
    for new_key, live_key in zip(new.keys, live.keys, strict=True):
        a, b = _same_key(new_key, live_key, free)
        yield from free.take(a, b, "changed", _by_land(new.shapes, live.shapes, a, b))
    yield from free.take(left, right)
    here, there = _areas_among(new, free.new), _areas_among(live, free.live)
    a, b, common = _same_land(new, live, here, there, same_land_share)
    yield from free.take(a, b, "changed", -common)


def match_points(
    new: Side, live: Side, tolerance_ft: float, law: LineageLaw, said: int
) -> Iterator[tuple[int, int, Kind, float]]:
    """The same for points, of which `said` is the place among the keys of the one that says what a point is.

    A point that says the same nearby is the same; an identifier is believed where it says the same, or within reach. Of
    several points on one spot, two whose identifiers differ are not the same for want of a better.
    """
    if not len(new) or not len(live):
        return
    free = _Free.of(new, live)
    left, right = _same_place(new, live, tolerance_ft)
    yield from _as_they_were(new, live, left, right, free)
    for key in [said, *(key for key in range(len(new.keys)) if key != said)]:
        stayed = _alike(new.keys[key][left], live.keys[key][right])
        yield from free.take(left[stayed], right[stayed])
    a, b = _same_key(new.keys[said], live.keys[said], free)
    apart = shapely.distance(new.shapes[a], live.shapes[b])
    near = apart <= law.near_ft
    yield from free.take(a[near], b[near], "changed", apart[near])
    for new_key, live_key in zip(new.keys, live.keys, strict=True):
        a, b = _same_key(new_key, live_key, free)
        apart = shapely.distance(new.shapes[a], live.shapes[b])
        believed = _alike(new.keys[said][a], live.keys[said][b]) | (apart <= law.reach_ft)
        yield from free.take(a[believed], b[believed], "changed", apart[believed])
    assert new.stacked is not None and live.stacked is not None
    crowded = new.stacked[left] | live.stacked[right]
    for key in range(len(new.keys)):
        if key != said:
            here, there = new.keys[key][left], live.keys[key][right]
            other = (here != None) & (there != None) & (here != there)  # noqa: E711  (element-wise)
            left, right, crowded = (each[~(crowded & other)] for each in (left, right, crowded))
    yield from free.take(left, right)


@dataclass(frozen=True)
class _Free:
    """Which rows of either side have no partner yet."""

    new: npt.NDArray[np.bool_]
    live: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, new: Side, live: Side) -> _Free:
        return cls(np.ones(len(new), dtype=bool), np.ones(len(live), dtype=bool))

    def take(
        self,
        left: Indices,
        right: Indices,
        kind: Kind = "changed",
        costs: npt.NDArray[np.float64] | None = None,
    ) -> Iterator[tuple[int, int, Kind, float]]:
        """Of these pairs those of free rows, the cheapest first."""
        costs = np.zeros(len(left)) if costs is None else costs
        for index in np.argsort(costs, kind="stable"):
            a, b = int(left[index]), int(right[index])
            if self.new[a] and self.live[b]:
                self.new[a] = self.live[b] = False
                yield a, b, kind, float(costs[index])


def _as_they_were(
    new: Side, live: Side, left: Indices, right: Indices, free: _Free
) -> Iterator[tuple[int, int, Kind, float]]:
    """Of the pairs in one place those that say the same in every column."""
    alike = new.attribute_hash[left] == live.attribute_hash[right]
    apart = distances_ft(new.shapes[left[alike]], live.shapes[right[alike]])
    yield from free.take(left[alike], right[alike], "within tolerance", apart)


def _alike(here: npt.NDArray[np.object_], there: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (here == there) & (here != None)  # noqa: E711  (element-wise)
    return found


def _stacked(shape_hash: Digests) -> npt.NDArray[np.bool_]:
    _, group, count = np.unique(np.ascontiguousarray(shape_hash).view("S16"), return_inverse=True, return_counts=True)
    found: npt.NDArray[np.bool_] = count[group] > 1
    return found


def _areas_among(side: Side, free: npt.NDArray[np.bool_]) -> Indices:
    return np.flatnonzero(free & (shapely.get_dimensions(side.shapes) == 2))


def _same_place(new: Side, live: Side, tolerance_ft: float) -> tuple[Indices, Indices]:
    """Pairs of rows whose shapes agree; compared once per shape, for many rows may stand on one."""
    new_shapes, new_rows = _stacks(new, np.arange(len(new)))
    live_shapes, live_rows = _stacks(live, np.arange(len(live)))
    # Not by centroid: a narrow strip's runs along it when a corner moves by a hair.
    tree = shapely.STRtree(_middles(live_shapes))
    left, right = tree.query(_middles(new_shapes), predicate="dwithin", distance=_SEARCH_FT)
    same = same_shape(new_shapes[left], live_shapes[right], tolerance_ft)
    return _indices(
        pair for a, b in zip(left[same], right[same], strict=True) for pair in _pairs(new_rows[a], live_rows[b])
    )


def _stacks(side: Side, among: Indices) -> tuple[Shapes, list[list[int]]]:
    """The distinct shapes of these rows, and the rows on each in the order of their attributes."""
    found: dict[bytes, list[int]] = {}
    among = among[~shapely.is_missing(side.shapes[among])]
    among = among[np.argsort(side.attribute_hash[among], kind="stable")]
    for index, shape in zip(among.tolist(), shapely.to_wkb(side.shapes[among]), strict=True):
        found.setdefault(shape, []).append(index)
    rows = list(found.values())
    return side.shapes[[stack[0] for stack in rows]], rows


def _pairs(here: list[int], there: list[int]) -> Iterable[tuple[int, int]]:
    """Each with each; where that would be too many, the first with the first, and so on."""
    return product(here, there) if len(here) * len(there) <= _MOST_PAIRS else zip(here, there, strict=False)


def _indices(pairs: Iterable[tuple[int, int]]) -> tuple[Indices, Indices]:
    both = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _middles(shapes: Shapes) -> Shapes:
    bounds = shapely.bounds(shapes)
    found: Shapes = shapely.points((bounds[:, :2] + bounds[:, 2:]) / 2)
    return found


def _same_key(new: npt.NDArray[np.object_], live: npt.NDArray[np.object_], free: _Free) -> tuple[Indices, Indices]:
    """Pairs of free rows with the same number."""
    places: dict[Any, tuple[list[int], list[int]]] = {}
    for side, (keys, among) in enumerate(((new, free.new), (live, free.live))):
        for index in np.flatnonzero(among):
            if keys[index] is not None:
                places.setdefault(keys[index], ([], []))[side].append(int(index))
    return _indices(pair for here, there in places.values() for pair in _pairs(here, there))


def _by_land(new: Shapes, live: Shapes, a: Indices, b: Indices) -> npt.NDArray[np.float64]:
    """The rank of each pair: those with most land in common first, then those whose centres are nearest."""
    common = np.zeros(len(a))
    here, there = shapely.bounds(new), shapely.bounds(live)
    several = (np.bincount(a, minlength=len(new))[a] > 1) | (np.bincount(b, minlength=len(live))[b] > 1)
    meet = (here[a, :2] <= there[b, 2:]).all(axis=1) & (there[b, :2] <= here[a, 2:]).all(axis=1)
    asked = np.flatnonzero(several & meet)
    # Once per pair of shapes: hundreds of units may stand on one.
    shape_pairs = np.column_stack((_shape_numbers(new, a[asked]), _shape_numbers(live, b[asked])))
    _, first, same = np.unique(shape_pairs, axis=0, return_index=True, return_inverse=True)
    once = asked[first]
    common[asked] = shapely.area(shapely.intersection(new[a[once]], live[b[once]]))[same.reshape(-1)]
    apart = shapely.distance(shapely.centroid(new[a]), shapely.centroid(live[b]))
    rank = np.empty(len(a))
    rank[np.lexsort((apart, -common))] = np.arange(len(a))
    return rank


def _shape_numbers(shapes: Shapes, places: Indices) -> Indices:
    """A number per place, the same for equal shapes."""
    distinct, where = np.unique(places, return_inverse=True)
    known: dict[bytes, int] = {}
    numbers = [known.setdefault(shape, len(known)) for shape in shapely.to_wkb(shapes[distinct])]
    return np.array(numbers, dtype=np.int64)[where]


def _same_land(
    new: Side, live: Side, here: Indices, there: Indices, share_min: float
) -> tuple[Indices, Indices, npt.NDArray[np.float64]]:
    """Pairs of these rows of which either lies in the other by at least the share, and the smaller share of the two."""
    new_shapes, new_rows = _stacks(new, here)
    live_shapes, live_rows = _stacks(live, there)
    left, right = shapely.STRtree(live_shapes).query(new_shapes)
    areas = np.maximum(shapely.area(new_shapes[left]), shapely.area(live_shapes[right]))
    common = shapely.area(shapely.intersection(new_shapes[left], live_shapes[right])) / areas
    found = [
        (a, b, share)
        for left_stack, right_stack, share in zip(left, right, common, strict=True)
        if share >= share_min
        for a, b in _pairs(new_rows[left_stack], live_rows[right_stack])
    ]
    a, b = _indices((a, b) for a, b, _ in found)
    return a, b, np.array([share for *_, share in found])
