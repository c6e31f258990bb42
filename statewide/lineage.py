"""Which row of a new delivery is which live row: identity across deliveries.

First the rows that are the same to the bit (by hash); then, of what is left, those that are the same within the
standard's coordinate tolerance, those with the same number, and those with the same shape. What remains is new or gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import shapely

from statewide.geometry import Shapes, distances_ft, same_shape
from statewide.live import Live
from statewide.staging import Digests, Staged

Kind = Literal["within tolerance", "changed"]
Indices = npt.NDArray[np.int64]

_SEARCH_FT = 1.0
"""The boxes around two shapes that agree within the tolerance have their middles well within this."""

_MOST_PAIRS = 250_000
"""A number or shape that more pairs share than this (a column that says "0" all over) is not searched for the best."""


@dataclass(frozen=True)
class Side:
    """Unpaired rows of one side: hash of the attributes, normalised numbers (best first), shapes."""

    attribute_hash: Digests
    keys: tuple[npt.NDArray[np.object_], ...]
    shapes: Shapes

    def __len__(self) -> int:
        return len(self.shapes)


@dataclass(frozen=True)
class Lineage:
    """How the delivery meets the live town.

    `added` and `removed` are places in the staged and in the live rows. `kept` and `changed` are pairs of places, one
    row per pair: staged, live. Kept rows stay as they are; `within_tolerance` of them were drawn anew, by no more than
    `largest_shift_ft`.
    """

    added: Indices
    removed: Indices
    kept: Indices
    changed: Indices
    within_tolerance: int
    largest_shift_ft: float

    def counts(self) -> dict[str, int]:
        """Numbers of rows, as the summary names them."""
        return {
            "added": len(self.added),
            "changed": len(self.changed),
            "removed": len(self.removed),
            "unchanged": len(self.kept),
            "within_tolerance": self.within_tolerance,
        }


def trace(live: Live, staged: Staged, tolerance_ft: float) -> Lineage:
    """Pair the staged rows with the live rows of the town."""
    versions = live.versions
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
    here = Side(staged.attribute_hash[new], tuple(staged.text(name)[new] for name in names), staged.shapes[new])
    there = Side(np.ascontiguousarray(versions["attribute_hash"][old]), tuple(keys), shapes)
    pairs = list(match(here, there, tolerance_ft))
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


def _identical(staged: Staged, versions: npt.NDArray[np.void]) -> Indices:
    """Pairs of rows that are the same to the bit; equal rows of a stack pair off in the order of their numbers."""
    here = _nth(staged.attribute_hash, staged.shape_hash, staged.row_no)
    there = _nth(versions["attribute_hash"], versions["shape_hash"], versions["row_no"])
    _, left, right = np.intersect1d(here, there, assume_unique=True, return_indices=True)
    return np.column_stack((left, right)).astype(np.int64)


def _nth(attribute_hash: Digests, shape_hash: Digests, row_no: npt.NDArray[Any]) -> npt.NDArray[np.void]:
    """Both hashes, and the how-manieth row with them it is: forty bytes that no two rows of a town share."""
    both = np.empty(len(row_no), dtype=[("attributes", "V16"), ("shape", "V16")])
    both["attributes"], both["shape"] = attribute_hash, shape_hash
    _, group = np.unique(both.view("S32"), return_inverse=True)
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


def match(new: Side, live: Side, tolerance_ft: float) -> Iterator[tuple[int, int, Kind, float]]:
    """Pairs of (index in new, index in live, kind, distance in feet), each row at most once."""
    free_new = np.ones(len(new), dtype=bool)
    free_live = np.ones(len(live), dtype=bool)
    if not len(new) or not len(live):
        return

    def take(
        left: Indices, right: Indices, kind: Kind, shifts: npt.NDArray[np.float64]
    ) -> Iterator[tuple[int, int, Kind, float]]:
        for index in np.argsort(shifts, kind="stable"):
            a, b = int(left[index]), int(right[index])
            if free_new[a] and free_live[b]:
                free_new[a] = free_live[b] = False
                yield a, b, kind, float(shifts[index])

    left, right = _same_place(new, live, tolerance_ft)
    alike = new.attribute_hash[left] == live.attribute_hash[right]
    apart = distances_ft(new.shapes[left[alike]], live.shapes[right[alike]])
    yield from take(left[alike], right[alike], "within tolerance", apart)
    for new_key, live_key in zip(new.keys, live.keys, strict=True):
        # First those that stayed where they were: a number may stand on thousands of rows.
        stayed = (new_key[left] == live_key[right]) & (new_key[left] != None)  # noqa: E711  (element-wise)
        yield from take(left[stayed], right[stayed], "changed", np.zeros(int(stayed.sum())))
        a, b = _same_key(new_key, live_key, free_new, free_live)
        yield from take(a, b, "changed", _centre_distances(new.shapes[a], live.shapes[b]))
    yield from take(left, right, "changed", np.zeros(len(left)))


def _same_place(new: Side, live: Side, tolerance_ft: float) -> tuple[Indices, Indices]:
    """Pairs of rows whose shapes agree; compared once per shape, for many rows may stand on one."""
    new_shapes, new_rows = _stacks(new)
    live_shapes, live_rows = _stacks(live)
    # Not by centroid: a narrow strip's runs along it when a corner moves by a hair.
    tree = shapely.STRtree(_middles(live_shapes))
    left, right = tree.query(_middles(new_shapes), predicate="dwithin", distance=_SEARCH_FT)
    same = same_shape(new_shapes[left], live_shapes[right], tolerance_ft)
    return _indices(
        pair for a, b in zip(left[same], right[same], strict=True) for pair in _pairs(new_rows[a], live_rows[b])
    )


def _stacks(side: Side) -> tuple[Shapes, list[list[int]]]:
    """The distinct shapes, and the rows on each in the order of their attributes."""
    found: dict[bytes, list[int]] = {}
    shapes = shapely.to_wkb(side.shapes)
    for index in np.argsort(side.attribute_hash, kind="stable"):
        found.setdefault(shapes[index], []).append(int(index))
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


def _same_key(
    new: npt.NDArray[np.object_],
    live: npt.NDArray[np.object_],
    free_new: npt.NDArray[np.bool_],
    free_live: npt.NDArray[np.bool_],
) -> tuple[Indices, Indices]:
    """Pairs of free rows with the same number."""
    places: dict[Any, tuple[list[int], list[int]]] = {}
    for side, (keys, free) in enumerate(((new, free_new), (live, free_live))):
        for index in np.flatnonzero(free):
            if keys[index] is not None:
                places.setdefault(keys[index], ([], []))[side].append(int(index))
    return _indices(pair for here, there in places.values() for pair in _pairs(here, there))


def _centre_distances(left: Shapes, right: Shapes) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = shapely.distance(shapely.centroid(left), shapely.centroid(right))
    return found
