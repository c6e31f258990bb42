"""Shapes: the right coordinate system, nothing moved unsaid, and only valid areas let through."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from statewide.geometry import (
    accepted_title,
    degrees_around,
    distances_ft,
    measured_sqft,
    published_shapes,
    repair,
    same_shape,
    to_storage,
)
from tests.coordinates import FAMILY, HARTFORD, STANDARD, moved_to, shapes, wkt

TOLERANCE = STANDARD.header.coordinate_tolerance_ft


# ── to the storage system ────────────────────────────────────────────────────────────────────────────────────────────

corner = st.tuples(st.floats(700_000, 1_300_000), st.floats(550_000, 950_000))


@given(st.lists(corner, min_size=3, max_size=9))
def test_trap_12_systems_with_the_same_digits_are_taken_over_to_the_bit(ring: list[tuple[float, float]]) -> None:
    lot = shapes(shapely.Polygon(ring), None)
    for epsg in (2234, 6434, 2879, 3508):
        assert shapely.to_wkb(to_storage(lot, epsg, STANDARD)[0]) == shapely.to_wkb(lot[0])
        assert to_storage(lot, epsg, STANDARD)[1] is None


@pytest.mark.parametrize("epsg", sorted(FAMILY))
def test_a_shape_comes_back_from_every_accepted_system(epsg: int) -> None:
    lot = shapes(shapely.box(*HARTFORD, HARTFORD[0] + 200, HARTFORD[1] + 200))
    back = to_storage(moved_to(epsg, lot), epsg, STANDARD)
    assert distances_ft(back, lot)[0] < 0.001


@pytest.mark.parametrize(
    ("lonlat", "feet"),
    [
        ((-72.6734, 41.7658), HARTFORD),
        ((-73.62, 41.03), (759_958.647, 572_865.671)),
        ((-71.9, 41.36), (1_233_340.601, 693_044.534)),
    ],
)
def test_trap_11_feet_are_us_survey_feet(lonlat: tuple[float, float], feet: tuple[float, float]) -> None:
    (found,) = to_storage(shapes(shapely.Point(lonlat)), 4269, STANDARD)
    assert (found.x, found.y) == pytest.approx(feet, abs=0.001)
    metres = (feet[0] * 1200 / 3937, feet[1] * 1200 / 3937)
    (found,) = to_storage(shapes(shapely.Point(metres)), 26956, STANDARD)
    assert (found.x, found.y) == pytest.approx(feet, abs=0.001)


def test_trap_16_heights_are_left_behind() -> None:
    high = shapes(
        wkt("POLYGON Z ((0 0 0, 1 0 0, 1 1 nan, 0 0 0))"),
        wkt("MULTIPOLYGON ZM (((0 0 1 2, 1 0 1 2, 1 1 1 2, 0 0 1 2)))"),
    )
    for epsg in (2234, 4326):
        for shape in to_storage(high, epsg, STANDARD):
            assert not shape.has_z
            assert shapely.get_coordinate_dimension(shape) == 2


@given(corner)
def test_published_shapes_are_what_proj_says(place: tuple[float, float]) -> None:
    lonlat, mercator = published_shapes(shapes(shapely.Point(place), None), STANDARD)
    degrees = pyproj.Transformer.from_crs(6434, 4326, always_xy=True).transform(*place)
    assert (lonlat[0].x, lonlat[0].y) == pytest.approx(degrees, abs=1e-9)
    metres = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(*degrees)
    assert (mercator[0].x, mercator[0].y) == pytest.approx(metres, abs=1e-3)
    assert lonlat[1] is mercator[1] is None


# ── repair ───────────────────────────────────────────────────────────────────────────────────────────────────────────

near = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda xy: (1e6 + 10.0 * xy[0], 7e5 + 10.0 * xy[1]))
ring = st.lists(near, min_size=3, max_size=8)
polygon = st.builds(lambda shell, holes: shapely.Polygon(shell, holes), ring, st.lists(ring, max_size=2))
anything = st.one_of(
    st.none(),
    polygon,
    st.lists(polygon, max_size=3).map(shapely.MultiPolygon),
    st.lists(polygon, max_size=2).map(shapely.GeometryCollection),
    near.map(shapely.Point),
    ring.map(shapely.LineString),
    st.sampled_from(
        [
            shapely.Polygon(),
            shapely.MultiPolygon(),
            shapely.GeometryCollection(),
            wkt("POLYGON ((0 0, nan 0, 1 1, 0 0))"),
            wkt("POLYGON ((0 0, inf 0, 1 1, 0 0))"),
            shapely.box(0, 0, 1e9, 1e9),
            shapely.box(0, 0, 1e300, 1e300),
        ]
    ),
)


@given(st.lists(anything, max_size=8))
def test_every_shape_ends_valid_or_empty_with_a_reason_and_the_books_close(items: list[BaseGeometry | None]) -> None:
    delivered = shapes(*items)
    found = repair(delivered)
    assert len(found.shapes) == len(items)
    for row, shape in enumerate(found.shapes):
        if items[row] is None:
            assert shape is None
            assert not found.unusable[row]
        elif shape is None:
            assert found.unusable[row]
            assert found.why[row]
            assert row in found.where
        else:
            assert shape.geom_type == "MultiPolygon"
            assert shape.is_valid
            assert shape.area > 0
            assert not found.unusable[row]
            assert found.repaired[row] == (not items[row].is_valid)
            if not found.repaired[row]:
                assert shapely.equals(shape, items[row])
    kept = ~shapely.is_missing(found.shapes)
    given_area = math.fsum(measured_sqft(delivered[kept]))
    assert given_area + math.fsum(found.moved_sqft) == pytest.approx(
        math.fsum(shapely.area(found.shapes[kept])), rel=1e-6
    )
    assert not found.moved_sqft[~found.repaired].any()


def test_a_bow_tie_keeps_both_wings_and_the_crossing_is_pointed_at() -> None:
    found = repair(shapes(shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])))
    assert found.repaired.tolist() == [True]
    assert found.shapes[0].area == found.moved_sqft[0] == 50
    assert found.why == {0: "the boundary crosses itself"}
    assert found.where[0] == shapely.Point(5, 5)


def test_holes_and_parts_are_kept_as_they_are() -> None:
    lot = shapely.Polygon([(0, 0), (9, 0), (9, 9), (0, 9)], [[(1, 1), (1, 2), (2, 2), (2, 1)]])
    pair = shapely.MultiPolygon([lot, shapely.box(20, 0, 30, 10)])
    found = repair(shapes(lot, pair))
    assert [shape.wkt for shape in found.shapes] == [shapely.MultiPolygon([lot]).wkt, pair.wkt]
    assert not found.repaired.any()


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        (shapely.Point(1, 1), "it is a Point, not a polygon"),
        (wkt("LINESTRING (0 0, 1 0, 1 1, 0 0)"), "it is a LineString, not a polygon"),
        (shapely.GeometryCollection([shapely.box(0, 0, 1, 1)]), "it is a GeometryCollection, not a polygon"),
        (shapely.Polygon(), "it encloses no area"),
        (shapely.MultiPolygon(), "it encloses no area"),
        (shapely.Polygon([(0, 0), (1, 0), (2, 0)]), "a ring has too few points"),
        (wkt("POLYGON ((0 0, nan 0, 1 1, 0 0))"), "a coordinate is not a number or lies off the Earth"),
        (wkt("POLYGON ((0 0, 1 -1.797e308, 1 1, 0 0))"), "a coordinate is not a number or lies off the Earth"),
    ],
)
def test_what_is_no_area_is_unusable_and_says_why(shape: BaseGeometry, why: str) -> None:
    found = repair(shapes(None, shape))
    assert found.unusable.tolist() == [False, True]
    assert found.shapes.tolist() == [None, None]
    assert list(found.why) == [1]
    if not why.startswith("a ring"):  # GEOS' word for a flat ring differs by version
        assert found.why[1] == why


def test_a_corner_at_the_origin_is_found_by_the_width() -> None:
    x, y = HARTFORD
    lot = shapely.Polygon([(x, y), (x + 200, y), (x + 200, y + 200), (0, 0), (x, y + 200)])
    found = repair(shapes(lot, shapely.box(x, y, x + 9000, y + 9000)), 600_000)
    assert found.unusable.tolist() == [True, False]
    assert "a corner must be astray" in found.why[0]
    where = found.where[0]
    assert where is not None
    assert where.distance(lot.convex_hull) == 0
    assert shapely.distance(where, shapely.Point(HARTFORD)) < 300


def test_what_cannot_be_measured_counts_nothing() -> None:
    odd = shapes(None, shapely.Point(0, 0), wkt("POLYGON ((0 0, nan 0, 1 1, 0 0))"), shapely.box(0, 0, 1e9, 1e9))
    assert measured_sqft(odd).tolist() == [0, 0, 0, 0]
    assert measured_sqft(shapes(shapely.box(0, 0, 1e200, 1e200), shapely.box(0, 0, 3, 3))).tolist() == [0, 9]


# ── the same shape ───────────────────────────────────────────────────────────────────────────────────────────────────

L_SHAPE = [(0, 0), (200, 0), (200, 80), (120, 80), (120, 150), (0, 150)]


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=6, max_size=6),
    st.integers(0, 5),
    st.booleans(),
    st.booleans(),
)
def test_a_jitter_below_the_tolerance_is_the_same_shape_however_it_is_written(
    jitter: list[tuple[float, float]], start: int, turned: bool, extra: bool
) -> None:
    size = TOLERANCE * 0.69
    moved = [(x + size * dx, y + size * dy) for (x, y), (dx, dy) in zip(L_SHAPE, jitter, strict=True)]
    if extra:
        moved.insert(1, ((moved[0][0] + moved[1][0]) / 2, (moved[0][1] + moved[1][1]) / 2))
    moved = moved[start:] + moved[:start]
    other = shapely.Polygon(moved[::-1] if turned else moved)
    assert same_shape(shapes(shapely.Polygon(L_SHAPE)), shapes(other), TOLERANCE).all()
    assert same_shape(shapes(other), shapes(shapely.Polygon(L_SHAPE)), TOLERANCE).all()


@given(st.integers(0, 5), st.floats(0, 2 * math.pi), st.floats(1.5, 1000))
def test_a_corner_that_moved_beyond_the_tolerance_is_another_shape(corner: int, angle: float, factor: float) -> None:
    moved = list(L_SHAPE)
    x, y = moved[corner]
    # Outwards or inwards along the diagonal: along an edge a corner moves its own boundary only, which also counts.
    moved[corner] = (x + factor * TOLERANCE * math.cos(angle), y + factor * TOLERANCE * math.sin(angle))
    other = shapely.Polygon(moved)
    one, two = shapes(shapely.Polygon(L_SHAPE)), shapes(other)
    assert same_shape(one, two, TOLERANCE).tolist() == [bool(distances_ft(one, two)[0] <= TOLERANCE)]
    assert distances_ft(one, two)[0] > TOLERANCE * 0.5


def test_two_lots_with_the_same_corners_are_two_shapes() -> None:
    dented_below = shapely.Polygon([(0, 0), (50, 50), (100, 0), (100, 100), (0, 100)])
    dented_above = shapely.Polygon([(0, 0), (100, 0), (100, 100), (50, 50), (0, 100)])
    assert distances_ft(shapes(dented_below), shapes(dented_above))[0] == 0  # why corners alone do not do
    assert same_shape(shapes(dented_below), shapes(dented_above), TOLERANCE).tolist() == [False]


def test_a_hole_or_a_part_that_is_gone_is_another_shape() -> None:
    lot = shapely.box(0, 0, 100, 100)
    holed = shapely.Polygon(lot.exterior, [shapely.box(40, 40, 41, 41).exterior])
    pair = shapely.MultiPolygon([lot, shapely.box(200, 0, 201, 1)])
    assert not same_shape(shapes(lot, lot, holed), shapes(holed, pair, pair), TOLERANCE).any()


def test_every_accepted_system_has_a_name() -> None:
    assert accepted_title(2234, STANDARD) == "NAD83 / Connecticut (ftUS)"
    assert accepted_title(9999, STANDARD) == "EPSG:9999"


def test_what_falls_to_nothing_in_degrees_does_not_make_the_published_shape_invalid() -> None:
    x, y = 1_000_000.0, 700_000.0
    hair = [(x + 50, y + 50), (x + 50 + 1e-9, y + 50), (x + 50, y + 50 + 1e-9), (x + 50, y + 50)]
    shape = shapely.MultiPolygon([shapely.Polygon(shapely.box(x, y, x + 100, y + 100).exterior, [hair])])
    assert shape.is_valid
    for published in published_shapes(np.array([shape], dtype=object), STANDARD):
        assert published[0].is_valid
        assert published[0].geom_type == "MultiPolygon"


@given(st.lists(st.tuples(st.floats(-4e6, 4e6), st.floats(-3e6, 4e6)), min_size=2, max_size=20))
def test_a_box_in_degrees_holds_all_that_lies_in_the_box_it_was_made_of(corners: list[tuple[float, float]]) -> None:
    points = shapely.points(np.array(corners))
    degrees, metres = published_shapes(points, STANDARD)
    for shown, epsg in ((points, 6434), (metres, 3857)):
        box = degrees_around(tuple(shapely.total_bounds(shown).tolist()), epsg)
        assert box is not None
        assert shapely.box(*box).covers(shapely.multipoints(degrees))
        west, south, east, north = shapely.total_bounds(degrees)
        if epsg == 3857:
            assert np.allclose(box, (west, south, east, north), atol=1e-5 + 1e-4 * max(east - west, north - south))


@pytest.mark.parametrize("epsg", [6434, 3857])
def test_a_box_wider_than_a_continent_has_none_in_degrees(epsg: int) -> None:
    assert degrees_around((-1e9, 0.0, 1e9, 1.0), epsg) is None
