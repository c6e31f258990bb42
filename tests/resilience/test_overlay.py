"""The overlay engine against plain GEOS, on shapes that nobody drew by hand."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from resilience.overlay import Geometries, index_layer, overlay

EAST, NORTH = 1_020_897.366, 839_771.451  # Hartford in EPSG:6434: rounding as in real coordinates


def array_of(*shapes: shapely.Geometry) -> Geometries:
    array = np.empty(len(shapes), dtype=object)
    array[:] = shapes
    return array


def at_hartford(shape: shapely.Geometry) -> shapely.Geometry:
    return shapely.transform(shape, lambda xy: xy + np.array([EAST, NORTH]))


@st.composite
def blobs(draw: st.DrawFn) -> shapely.Geometry:
    """A valid polygon or multipolygon, often with holes: boxes and stars, united and punched."""

    def star() -> shapely.Geometry:
        x, y = draw(st.floats(0, 400)), draw(st.floats(0, 400))
        radii = draw(st.lists(st.floats(5, 120), min_size=4, max_size=60))
        angle = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
        ring = np.column_stack([x + radii * np.cos(angle), y + radii * np.sin(angle)])
        return shapely.make_valid(shapely.polygons(ring))

    def box() -> shapely.Geometry:
        x, y, w, h = (draw(st.integers(1, 20)) * 20 for _ in range(4))
        return shapely.box(x, y, x + w, y + h)

    def several() -> shapely.Geometry:
        return shapely.union_all([star() if draw(st.booleans()) else box() for _ in range(draw(st.integers(1, 4)))])

    punched = shapely.difference(several(), several())
    parts = [part for part in shapely.get_parts(punched) if part.geom_type == "Polygon"]
    return at_hartford(shapely.multipolygons(parts))


@settings(max_examples=150, deadline=None)
@given(parcels=st.lists(blobs(), min_size=1, max_size=4), layer=st.lists(st.tuples(blobs(), st.integers(1, 3))))
def test_areas_equal_the_plain_intersection_with_the_union_of_each_class(
    parcels: list[shapely.Geometry], layer: list[tuple[shapely.Geometry, int]]
) -> None:
    index = index_layer(array_of(*(shape for shape, _ in layer)), np.array([c for _, c in layer]), max_vertices=16)
    found = overlay(array_of(*parcels), index)
    got = {(p, c): a for p, c, a in zip(found.parcel, found.class_code, found.area_sqft, strict=True)}
    for position, parcel in enumerate(parcels):
        for code in {1, 2, 3}:
            expected = shapely.union_all([shape for shape, c in layer if c == code]).intersection(parcel).area
            assert got.get((position, code), 0.0) == pytest.approx(expected, abs=0.01)
            assert (position, code) in got or expected < 1e-6


@settings(max_examples=60, deadline=None)
@given(
    parcels=st.lists(blobs(), min_size=1, max_size=4),
    seeds=st.lists(st.tuples(st.integers(-50, 900), st.integers(-50, 900)), min_size=2, max_size=12, unique=True),
)
def test_classes_that_tile_the_plane_add_up_to_the_parcel(
    parcels: list[shapely.Geometry], seeds: list[tuple[float, float]]
) -> None:
    frame = shapely.box(-5000, -5000, 5000, 5000)
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(seeds), extend_to=frame))
    cells = shapely.transform(cells, lambda xy: xy + np.array([EAST, NORTH]))
    index = index_layer(cells, np.arange(len(cells)) % 4, max_vertices=8)
    found = overlay(array_of(*parcels), index)
    total = np.bincount(found.parcel, weights=found.area_sqft, minlength=len(parcels))
    assert total == pytest.approx(shapely.area(parcels), abs=0.01)


def test_a_polygon_of_many_vertices_and_holes_keeps_its_area_in_small_pieces() -> None:
    angle = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    radius = 9_000 * (1 + 0.2 * np.sin(37 * angle))
    lake = shapely.polygons(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))
    islands = shapely.union_all([shapely.Point(x, y).buffer(90) for x in range(-4000, 4001, 400) for y in (0, 500)])
    lake = at_hartford(shapely.difference(lake, islands))
    index = index_layer(array_of(lake), np.array([7]))
    assert shapely.get_num_coordinates(index.pieces).max() <= 256
    assert shapely.is_valid(index.pieces).all()
    assert shapely.area(index.pieces).sum() == pytest.approx(lake.area, abs=0.01)
    island = at_hartford(shapely.Point(0, 0).buffer(50))
    assert len(overlay(array_of(island), index).parcel) == 0


def test_what_only_touches_is_listed_with_no_area() -> None:
    zone = at_hartford(shapely.box(0, 0, 100, 100))
    by_edge, by_corner, apart, inside = (
        at_hartford(shapely.box(*b))
        for b in ((100, 0, 200, 50), (100, 100, 150, 150), (101, 0, 200, 50), (5, 5, 15, 15))
    )
    found = overlay(array_of(by_edge, by_corner, apart, inside), index_layer(array_of(zone), np.array([1])))
    assert found.parcel.tolist() == [0, 1, 3]
    assert found.area_sqft.tolist() == pytest.approx([0, 0, 100])
    assert (found.area_sqft[:2] == 0).all()


@settings(max_examples=100, deadline=None)
@given(shape=blobs(), where=st.floats(0, 1), angle=st.floats(0, 6.28))
def test_a_corner_on_the_edge_of_a_subdivided_polygon_still_touches_it(
    shape: shapely.Geometry, where: float, angle: float
) -> None:
    if shape.is_empty:
        return
    corner = shape.boundary.interpolate(where, normalized=True)
    tip = corner.buffer(3, quad_segs=1)
    needle = shapely.Polygon([corner.coords[0], tip.exterior.interpolate(angle).coords[0], tip.exterior.coords[0]])
    if not needle.is_valid:
        return
    found = overlay(array_of(needle), index_layer(array_of(shape), np.array([1]), max_vertices=8))
    assert found.parcel.tolist() == [0]


def test_overlapping_polygons_of_one_class_count_once_and_are_reported() -> None:
    layer = array_of(*(shapely.box(x, 0, x + 10, 10) for x in (0, 5, 8, 40)), shapely.box(0, 0, 10, 10))
    index = index_layer(layer, np.array([1, 1, 1, 1, 2]))
    assert index.overlap_sqft == {1: pytest.approx(50 + 70)}
    found = overlay(array_of(shapely.box(-10, -10, 100, 100)), index)
    assert dict(zip(found.class_code.tolist(), found.area_sqft.tolist(), strict=True)) == pytest.approx(
        {1: 280, 2: 100}
    )


def test_where_a_place_has_one_class_the_first_polygon_wins_and_areas_add_up() -> None:
    layer = array_of(shapely.box(0, 0, 10, 10), shapely.box(5, 0, 15, 10), shapely.box(-50, -50, 50, 50))
    index = index_layer(layer, np.array([9, 5, 0]), one_class_per_place=True)
    assert index.overlap_sqft == pytest.approx({5: 50, 0: 150})
    found = overlay(array_of(shapely.box(-10, -10, 20, 20)), index)
    assert dict(zip(found.class_code.tolist(), found.area_sqft.tolist(), strict=True)) == pytest.approx(
        {0: 900 - 150, 5: 50, 9: 100}
    )


def test_invalid_polygons_are_repaired_and_named() -> None:
    bow_tie = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    spike = shapely.Polygon([(50, 0), (60, 0), (50, 0)])
    index = index_layer(array_of(shapely.box(20, 0, 30, 10), bow_tie, spike, None), np.array([1, 1, 1, 1]))
    assert index.repaired.repaired.tolist() == [False, True, False, False]
    assert index.repaired.unusable.tolist() == [False, False, True, False]
    assert index.repaired.why[1] == "the boundary crosses itself"
    assert overlay(array_of(shapely.box(0, 0, 100, 100)), index).area_sqft.tolist() == pytest.approx([150])


def test_missing_and_empty_parcels_and_empty_layers_meet_nothing() -> None:
    zone = index_layer(array_of(shapely.box(0, 0, 10, 10)), np.array([1]))
    parcels = array_of(None, shapely.Polygon(), shapely.box(1, 1, 2, 2))
    assert overlay(parcels, zone).parcel.tolist() == [2]
    assert overlay(parcels[:0], zone).parcel.tolist() == []
    assert overlay(parcels, index_layer(array_of(), np.array([], dtype=np.int64))).parcel.tolist() == []


def test_the_answer_does_not_depend_on_the_chunk() -> None:
    squares = array_of(
        *(at_hartford(shapely.box(x, y, x + 7, y + 7)) for x in range(0, 70, 7) for y in range(0, 70, 7))
    )
    ring = at_hartford(shapely.Point(35, 35).buffer(30).difference(shapely.Point(35, 35).buffer(12)))
    index = index_layer(array_of(ring, squares[0]), np.array([2, 1]), max_vertices=16)
    at_once, in_sevens = overlay(squares, index), overlay(squares, index, chunk=7)
    assert at_once.parcel.tolist() == in_sevens.parcel.tolist()
    assert at_once.class_code.tolist() == in_sevens.class_code.tolist()
    assert at_once.area_sqft.tolist() == in_sevens.area_sqft.tolist()
