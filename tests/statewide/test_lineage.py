"""Which new row is which live row: one for one, by content, by number, by shape, whatever the order."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from statewide.lineage import Side, match

TOLERANCE = 0.05
SAME_LAND = 0.9
Row = tuple[str, str | None, str | None, Any]
"""Hash of the attributes, CAMA link, parcel number, shape."""


def side(rows: list[Row]) -> Side:
    def column(place: int) -> Any:
        found = np.empty(len(rows), dtype=object)
        found[:] = [row[place] for row in rows]
        return found

    return Side(column(0), (column(1), column(2)), column(3))


def paired(new: list[Row], live: list[Row]) -> list[tuple[int, int, str]]:
    return [(left, right, kind) for left, right, kind, _ in match(side(new), side(live), TOLERANCE, SAME_LAND)]


def lot(x: float, y: float, width: float = 100.0, depth: float = 80.0, by: float = 0.0) -> Any:
    """A lot on a grid, moved `by` feet."""
    return shapely.box(1e6 + 200 * x + by, 7e5 + 200 * y, 1e6 + 200 * x + by + width, 7e5 + 200 * y + depth)


rows_ = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.none() | st.sampled_from(["L1", "L2", "L3", "L4"]),
        st.none() | st.sampled_from(["P1", "P2", "P3"]),
        st.builds(lot, st.integers(0, 3), st.just(0), by=st.sampled_from([0.0, 0.02, 0.04, 1.5])),
    ),
    max_size=12,
)


@given(rows_, rows_)
def test_each_row_is_paired_at_most_once_and_for_a_reason(new: list[Row], live: list[Row]) -> None:
    pairs = paired(new, live)
    assert len({left for left, _, _ in pairs}) == len({right for _, right, _ in pairs}) == len(pairs)
    for left, right, kind in pairs:
        (hash_, *keys, shape), (live_hash, *live_keys, live_shape) = new[left], live[right]
        apart = shapely.hausdorff_distance(shape, live_shape)
        if kind == "within tolerance":
            assert hash_ == live_hash
            assert apart <= TOLERANCE
        else:
            shares_a_key = any(a is not None and a == b for a, b in zip(keys, live_keys, strict=True))
            common = shape.intersection(live_shape).area / max(shape.area, live_shape.area)
            assert shares_a_key or apart <= TOLERANCE or common >= SAME_LAND


@given(rows_)
def test_a_town_against_itself_is_all_within_tolerance(rows: list[Row]) -> None:
    found = list(match(side(rows), side(rows), TOLERANCE, SAME_LAND))
    assert len(found) == len(rows)
    assert all(kind == "within tolerance" and shift == 0 for _, _, kind, shift in found)


@given(st.randoms(use_true_random=False), st.integers(1, 30))
def test_the_order_of_the_rows_does_not_matter(chance: random.Random, count: int) -> None:
    live: list[Row] = [(f"h{i}", f"L{i}", f"P{i}", lot(i, 0)) for i in range(count)]
    new: list[Row] = []
    for i, (hash_, link, number, shape) in enumerate(live):
        fate = chance.choice(["same", "jitter", "text", "moved", "renumbered", "gone", "added"])
        if fate == "jitter":
            new.append((hash_, link, number, lot(i, 0, by=0.03)))
        elif fate == "text":
            new.append((f"{hash_}x", link, number, shape))
        elif fate == "moved":
            new.append((hash_, link, number, lot(i, 0, width=150)))
        elif fate == "renumbered":
            new.append((f"{hash_}x", f"{link}n", f"{number}n", shape))
        elif fate == "added":
            new.append((f"new{i}", f"new{i}", f"new{i}", lot(i, 3)))
        elif fate == "same":
            new.append((hash_, link, number, shape))
    expected = {(new[a][1], live[b][1], kind) for a, b, kind in paired(new, live)}
    chance.shuffle(new)
    chance.shuffle(live)
    assert {(new[a][1], live[b][1], kind) for a, b, kind in paired(new, live)} == expected


def test_a_narrow_strip_is_recognised_although_its_centroid_ran_away() -> None:
    strip = shapely.Polygon([(0, 0), (500, 0), (500, 1), (0, 1)])
    rounded = shapely.Polygon([(0, -0.02), (500, 0.02), (500, 0.98), (0, 1.02)])
    assert strip.centroid.distance(rounded.centroid) > 3
    assert paired([("h", None, None, rounded)], [("h", None, None, strip)]) == [(0, 0, "within tolerance")]


def test_a_lot_with_the_same_corners_in_another_order_has_changed() -> None:
    below = shapely.Polygon([(0, 0), (50, 50), (100, 0), (100, 100), (0, 100)])
    above = shapely.Polygon([(0, 0), (100, 0), (100, 100), (50, 50), (0, 100)])
    assert paired([("h", "L", None, above)], [("h", "L", None, below)]) == [(0, 0, "changed")]
    assert paired([("h", None, None, above)], [("h", None, None, below)]) == []


def test_a_lot_renumbered_and_redrawn_is_known_by_its_land() -> None:
    assert paired([("x", "L9", "P9", lot(0, 0, width=104))], [("h", "L", "P", lot(0, 0))]) == [(0, 0, "changed")]
    assert paired([("x", "L9", "P9", lot(0, 0, width=120))], [("h", "L", "P", lot(0, 0))]) == []


def test_of_a_split_lot_the_largest_part_that_keeps_the_number_stays_the_parcel() -> None:
    old = shapely.box(0, 0, 300, 100)
    # The middle strip lies nearest to the old centre, but the east part is larger.
    parts = [shapely.box(0, 0, 90, 100), shapely.box(90, 0, 170, 100), shapely.box(170, 0, 300, 100)]
    pairs = paired([(f"n{i}", "L", "P", part) for i, part in enumerate(parts)], [("h", "L", "P", old)])
    assert pairs == [(2, 0, "changed")]


@pytest.mark.parametrize(("by", "kind"), [(0.049, "within tolerance"), (0.051, "changed")])
def test_the_tolerance_is_the_border(by: float, kind: str) -> None:
    assert paired([("h", "L", "P", lot(0, 0, by=by))], [("h", "L", "P", lot(0, 0))]) == [(0, 0, kind)]


def test_trap_3_units_on_one_shape_with_one_number_are_told_apart_by_their_text() -> None:
    live: list[Row] = [(f"unit {i}", "L", "P", lot(0, 0)) for i in range(5)]
    new: list[Row] = [live[i] for i in (3, 1, 4)] + [("unit 9", "L", "P", lot(0, 0))]
    pairs = {new[a][0]: (live[b][0], kind) for a, b, kind in paired(new, live)}
    assert {name: found for name, found in pairs.items() if name != "unit 9"} == {
        f"unit {i}": (f"unit {i}", "within tolerance") for i in (3, 1, 4)
    }
    assert pairs["unit 9"][1] == "changed"
    assert pairs["unit 9"][0] in ("unit 0", "unit 2")


def test_the_link_counts_before_the_number_and_the_number_before_the_place() -> None:
    live: list[Row] = [("a", "L1", "P1", lot(0, 0)), ("b", "L2", "P2", lot(1, 0)), ("c", "L3", "P3", lot(2, 0))]
    new: list[Row] = [("x", "L2", "P1", lot(5, 5)), ("y", None, "P1", lot(6, 6)), ("z", None, None, lot(2, 0))]
    assert sorted(paired(new, live)) == [(0, 1, "changed"), (1, 0, "changed"), (2, 2, "changed")]


def test_many_rows_of_one_number_find_the_nearest() -> None:
    live: list[Row] = [("a", None, "ROAD", lot(i, 0)) for i in range(300)]
    new: list[Row] = [("a", None, "ROAD", lot(i, 0, by=2.0)) for i in range(300)]
    pairs = paired(new, live)
    assert Counter(kind for _, _, kind in pairs) == {"changed": 300}
    assert all(left == right for left, right, _ in pairs)


def test_a_number_that_stands_everywhere_does_not_exhaust_the_machine() -> None:
    live: list[Row] = [("a", "0", None, lot(i, 0)) for i in range(3000)]
    stayed: list[Row] = [("b", "0", None, lot(i, 0)) for i in range(3000)]
    pairs = paired(stayed, live)
    assert len(pairs) == 3000
    assert all(left == right for left, right, _ in pairs)
    moved: list[Row] = [("b", "0", None, lot(i, 1)) for i in range(2500)]
    assert len(paired(moved, live)) == 2500


def test_a_shape_that_every_row_has_does_not_exhaust_the_machine() -> None:
    live: list[Row] = [(f"a{i}", None, f"P{i}", lot(0, 0)) for i in range(3000)]
    new: list[Row] = [(f"b{i}", None, f"P{i}", lot(0, 0)) for i in range(3000)]
    pairs = paired(new, live)
    assert len(pairs) == 3000
    assert all(left == right for left, right, _ in pairs)


def test_nothing_meets_nothing() -> None:
    assert paired([], []) == paired([("h", "L", "P", lot(0, 0))], []) == paired([], [("h", "L", "P", lot(0, 0))]) == []
