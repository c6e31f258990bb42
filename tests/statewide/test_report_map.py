"""Drawings: every ring once, running so that holes stay holes and stacks stay filled, and light."""

from __future__ import annotations

import re

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from statewide.report_map import CloseUps, Mark, town_map

WEST, SOUTH = 1_000_000.0, 800_000.0
TOWN = shapely.box(WEST, SOUTH, WEST + 1600 / 1.06, SOUTH + 1600 / 1.06)  # a unit of the drawing is a foot


def a_lot(x: float, y: float, width: float = 100.0) -> shapely.Polygon:
    return shapely.box(WEST + x, SOUTH + y, WEST + x + width, SOUTH + y + width)


def fabric(svg: str) -> list[np.ndarray]:
    """The rings of the fabric, in grid units."""
    found = re.search(r'<path class="fabric"( transform="scale\((\d)\)")? d="([^"]*)"/>', svg)
    assert found is not None
    rings = []
    for ring in found.group(3).split("z")[:-1]:
        numbers = [int(number) for number in re.findall(r"-?\d+", ring)]
        rings.append(np.cumsum(np.array(numbers).reshape(-1, 2), axis=0) * int(found.group(2) or 1))
    return rings


def area(ring: np.ndarray) -> float:
    """Positive where the ring runs counter-clockwise on the land; north has the smaller numbers on the grid."""
    x, y = ring[:, 0], -ring[:, 1]
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


def drawn(*shapes: shapely.Geometry) -> list[np.ndarray]:
    return fabric(town_map(TOWN, np.array(shapes, dtype=object), []).svg)


def test_a_lot_is_drawn_once_with_its_four_corners() -> None:
    (ring,) = drawn(shapely.segmentize(a_lot(200, 300), 7))
    assert len(ring) == 5
    assert area(ring) == 10_000


def test_lots_that_run_either_way_are_drawn_the_same_way() -> None:
    lot = a_lot(200, 300)
    assert [area(ring) for ring in drawn(lot, shapely.reverse(lot), shapely.multipolygons([lot]))] == [10_000] * 3


def test_a_hole_runs_the_other_way_and_parts_are_kept() -> None:
    ring = a_lot(200, 300, 300).difference(a_lot(300, 400))
    parts = shapely.multipolygons([a_lot(900, 300), a_lot(1200, 300, 50)])
    assert sorted(area(each) for each in drawn(ring, parts, shapely.reverse(ring))) == [
        -10_000, -10_000, 2_500, 10_000, 90_000, 90_000,
    ]  # fmt: skip


def test_what_has_no_shape_or_no_area_is_left_out() -> None:
    assert len(drawn(a_lot(200, 300), None, shapely.Polygon(), a_lot(300, 300, 0.01))) == 1
    assert town_map(TOWN, np.array([None], dtype=object), []).shapes_off == 0


def test_a_large_town_is_drawn_on_a_coarser_grid() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(50, 1400, (6000, 2))
    shapes = [shapely.Point(WEST + x, SOUTH + y).buffer(40, quad_segs=16) for x, y in points]
    svg = town_map(TOWN, np.array(shapes, dtype=object), []).svg
    assert 'transform="scale(' in svg
    assert len(svg) < 1_000_000
    assert len(fabric(svg)) == 6000


def test_a_mark_far_outside_is_not_drawn_and_a_crowd_of_notes_stays_pale() -> None:
    far = Mark(a_lot(90_000, 0), "ERROR", "far", "far")
    notes = [Mark(a_lot(3 * (number % 400), 5 * (number // 400)), "NOTE") for number in range(400)]
    svg = town_map(TOWN, np.array([a_lot(0, 0)], dtype=object), [far, *notes]).svg
    assert 'id="far"' not in svg
    assert '<path class="mark note many"' in svg


def a_point(x: float, y: float) -> shapely.Point:
    return shapely.Point(WEST + x, SOUTH + y)


def test_marks_in_sight_tell_their_anchors() -> None:
    marks = [Mark(a_point(x, 700), "WARN", "", name) for x, name in ((700, "near"), (90_000, "far"))]
    assert town_map(TOWN, np.array([a_point(0, 0)], dtype=object), marks).anchors == {"near"}


def test_a_mark_of_several_points_stands_on_each_of_them_and_one_of_many_is_dots() -> None:
    few = shapely.multipoints([a_point(100, 100), a_point(1300, 1300)])
    many = shapely.multipoints([a_point(10 * number, 500) for number in range(100)])
    svg = town_map(TOWN, np.array([a_point(0, 0)], dtype=object), [Mark(few, "WARN"), Mark(many, "NOTE")]).svg
    assert pins(svg, "warn") == 2
    assert pins(svg, "note") == 0
    (dots,) = re.findall(r'<path class="dots note" d="([^"]*)"', svg)
    assert dots.count("M") == 100


def pins(svg: str, kind: str) -> int:
    return sum(path.count("M") for path in re.findall(rf'<path class="pin {kind}" d="([^"]*)"', svg))


def close_up(place: shapely.Geometry, *neighbours: shapely.Geometry) -> str:
    shapes = np.array([*neighbours, *shapely.get_parts(place)], dtype=object)
    return CloseUps(TOWN, shapes, lambda row: f"<{row}").draw(place, None, "WARN")


def names(svg: str) -> list[str]:
    return re.findall(r"<text [^>]*>&lt;(\d+)</text>", svg)


def test_a_point_is_drawn_among_its_neighbours_with_their_names() -> None:
    middle = a_point(750, 750)
    near = [a_point(750 + 80 * step, 750 - 50 * step) for step in (-3, -2, -1, 1, 2, 3)]
    svg = close_up(middle, *near)
    assert sorted(names(svg)) == ["0", "1", "2", "3", "4", "5", "6"]
    assert "100 ft" in svg
    alone = close_up(middle, a_point(100, 750), a_point(1400, 750))
    assert sorted(names(alone)) == ["0", "1", "2"]  # a wider frame, for there are so few


def test_in_a_crowd_only_the_marked_points_have_names_and_those_compared_with_have_rings() -> None:
    crowd = [a_point(x, y) for x in range(50, 1500, 50) for y in range(50, 1400, 50)]
    svg = close_up(shapely.multipoints([a_point(110, 1420), a_point(1210, 110), a_point(1410, 210)]), *crowd)
    assert set(names(svg)) <= {str(len(crowd) + each) for each in range(3)}
    assert names(svg)[0] == str(len(crowd))
    assert pins(svg, "warn") == 1
    (rings,) = re.findall(r'<path class="beside" d="([^"]*)"', svg)
    assert rings.count("M") == 2


def test_a_place_outside_is_drawn_with_the_nearest_part_of_the_town_and_one_in_another_state_without() -> None:
    lots = np.array([a_lot(100, 100)], dtype=object)
    for place, town in ((a_lot(9_000, 700), True), (a_lot(3e6, 700), False)):
        svg = CloseUps(TOWN, lots, str).draw(place, None, "ERROR")
        assert ('<path class="town" d="M' in svg) == town
        assert pins(svg, "error") == (1 if town else 0)  # a lot is too small to be seen beside a mile


@given(st.lists(st.tuples(st.integers(0, 1300), st.integers(0, 1300), st.integers(2, 200)), min_size=1, max_size=20))
def test_no_ring_is_lost_whatever_stands_beside_it(lots: list[tuple[int, int, int]]) -> None:
    rings = drawn(*(a_lot(*lot) for lot in lots))
    assert len(rings) == len(lots)
    assert all(abs(area(ring) - width**2) <= 4 * width for ring, (_, _, width) in zip(rings, lots, strict=True))
