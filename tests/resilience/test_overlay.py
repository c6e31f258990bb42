"""The overlay engine against plain GEOS, on shapes that nobody drew by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from resilience.overlay import (
    Geometries,
    LayerIndex,
    Overlaps,
    classes_at,
    index_layer,
    load_index,
    overlay,
    overlay_wkb,
    save_index,
)
from tests.resilience import geos_overlay
from tests.resilience.geos_overlay import pairs

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


layers = st.lists(st.tuples(blobs(), st.integers(1, 3)), max_size=6)
cells = st.sampled_from([8.0, 64.0, 1024.0])


@settings(max_examples=150, deadline=None)
@given(parcels=st.lists(blobs(), min_size=1, max_size=4), layer=layers, cell_ft=cells, one_class=st.booleans())
def test_areas_contacts_and_overlaps_are_those_of_geos(
    parcels: list[shapely.Geometry], layer: list[tuple[shapely.Geometry, int]], cell_ft: float, one_class: bool
) -> None:
    layer = sorted(layer, key=lambda pair: pair[1])
    shapes, classes = array_of(*(shape for shape, _ in layer)), np.array([c for _, c in layer], dtype=np.int64)
    index = index_layer(shapes, classes, one_class_per_place=one_class, cell_ft=cell_ft)
    rest, taken = geos_overlay.owned(shapes, classes, one_class)
    found = overlay(array_of(*parcels), index)
    got, expected = pairs(found), geos_overlay.overlay(array_of(*parcels), rest, classes)
    assert geos_overlay.largest_difference(got, expected) < 0.01
    assert got.keys() >= expected.keys()
    for parcel, code in got.keys() - expected.keys():  # what is left of a corner that another polygon covers
        assert one_class
        assert shapely.dwithin(parcels[parcel], shapes[classes == code], 1e-6).any()
    assert index.overlap_sqft == pytest.approx({code: sqft for (_, code), sqft in taken.items()}, abs=0.01)
    assert not index.repaired.repaired.any()


@settings(max_examples=60, deadline=None)
@given(
    parcels=st.lists(blobs(), min_size=1, max_size=4),
    seeds=st.lists(st.tuples(st.integers(-50, 900), st.integers(-50, 900)), min_size=2, max_size=12, unique=True),
    cell_ft=st.sampled_from([64.0, 1024.0]),
)
def test_classes_that_tile_the_plane_add_up_to_the_parcel(
    parcels: list[shapely.Geometry], seeds: list[tuple[float, float]], cell_ft: float
) -> None:
    frame = shapely.box(-5000, -5000, 5000, 5000)
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(seeds), extend_to=frame))
    cells = shapely.transform(cells, lambda xy: xy + np.array([EAST, NORTH]))
    index = index_layer(cells, np.arange(len(cells)) % 4, cell_ft=cell_ft)
    found = overlay(array_of(*parcels), index)
    total = np.bincount(found.parcel, weights=found.area_sqft, minlength=len(parcels))
    assert total == pytest.approx(shapely.area(parcels), abs=0.01)


def test_a_polygon_of_many_vertices_and_holes_keeps_its_area() -> None:
    angle = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    radius = 9_000 * (1 + 0.2 * np.sin(37 * angle))
    lake = shapely.polygons(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))
    islands = shapely.union_all([shapely.Point(x, y).buffer(90) for x in range(-4000, 4001, 400) for y in (0, 500)])
    lake = at_hartford(shapely.difference(lake, islands))
    index = index_layer(array_of(lake), np.array([7]))
    parcels = array_of(
        *(at_hartford(shape) for shape in (shapely.box(-2e4, -2e4, 2e4, 2e4), shapely.Point(0, 0).buffer(50))),
        lake,
        shapely.box(EAST - 3000, NORTH - 3000, EAST + 4000, NORTH + 12000),
    )
    found = overlay(parcels, index)
    assert found.parcel.tolist() == [0, 2, 3]
    assert found.area_sqft == pytest.approx([lake.area, lake.area, lake.intersection(parcels[3]).area], abs=0.01)


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
@given(shape=blobs(), where=st.floats(0, 1), angle=st.floats(0, 6.28), cell_ft=cells)
def test_a_corner_on_the_edge_of_a_polygon_cut_to_cells_still_touches_it(
    shape: shapely.Geometry, where: float, angle: float, cell_ft: float
) -> None:
    if shape.is_empty:
        return
    corner = shape.boundary.interpolate(where, normalized=True)
    tip = corner.buffer(3, quad_segs=1)
    needle = shapely.Polygon([corner.coords[0], tip.exterior.interpolate(angle).coords[0], tip.exterior.coords[0]])
    if not needle.is_valid:
        return
    found = overlay(array_of(needle), index_layer(array_of(shape), np.array([1]), cell_ft=cell_ft))
    assert found.parcel.tolist() == [0]


def test_overlapping_polygons_of_one_class_count_once_and_are_reported() -> None:
    layer = array_of(*(shapely.box(x, 0, x + 10, 10) for x in (0, 5, 8, 40)), shapely.box(0, 0, 10, 10))
    index = index_layer(layer, np.array([1, 1, 1, 1, 2]))
    assert index.overlap_sqft == {1: pytest.approx(50 + 70)}
    found = overlay(array_of(shapely.box(-10, -10, 100, 100)), index)
    assert dict(zip(found.class_code.tolist(), found.area_sqft.tolist(), strict=True)) == pytest.approx(
        {1: 280, 2: 100}
    )


def test_where_a_place_has_one_class_the_lowest_code_wins_and_areas_add_up() -> None:
    layer = array_of(shapely.box(-50, -50, 50, 50), shapely.box(5, 0, 15, 10), shapely.box(0, 0, 10, 10))
    index = index_layer(layer, np.array([9, 5, 0]), one_class_per_place=True)
    assert index.overlap_sqft == pytest.approx({5: 50, 9: 150})
    found = overlay(array_of(shapely.box(-10, -10, 20, 20)), index)
    assert pairs(found) == pytest.approx({(0, 0): 100, (0, 5): 50, (0, 9): 900 - 150})
    assert classes_at(np.array([7.0, 12, 40]), np.array([5.0, 5, 40]), index).tolist() == [0, 5, 9]


@settings(max_examples=60, deadline=None)
@given(parcels=st.lists(blobs(), min_size=1, max_size=3), zones=layers, ground=blobs(), cell_ft=cells)
def test_the_background_is_what_no_polygon_of_the_layer_covers(
    parcels: list[shapely.Geometry],
    zones: list[tuple[shapely.Geometry, int]],
    ground: shapely.Geometry,
    cell_ft: float,
) -> None:
    index = index_layer(
        array_of(*(shape for shape, _ in zones)),
        np.array([code for _, code in zones], dtype=np.int64),
        one_class_per_place=True,
        background=array_of(ground),
        background_class=8,
        cell_ft=cell_ft,
    )
    left = shapely.difference(ground, shapely.union_all([shape for shape, _ in zones]))
    found = pairs(overlay(array_of(*parcels), index))
    for position, parcel in enumerate(parcels):
        assert found.get((position, 8), 0.0) == pytest.approx(shapely.intersection(parcel, left).area, abs=0.01)
    assert 8 not in index.overlap_sqft
    x, y = EAST + np.arange(0.5, 500, 31), NORTH + np.arange(0.25, 500, 31)
    here = classes_at(x, y, index) == 8
    assert here.tolist() == shapely.contains_xy(left, x, y).tolist()


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


def test_a_coordinate_that_is_not_a_number_takes_out_its_polygon_alone() -> None:
    with np.errstate(invalid="ignore"):
        broken = shapely.polygons([(0, 0), (np.nan, 5), (10, 10), (0, 0)])
    layer = index_layer(array_of(broken, shapely.box(0, 0, 10, 10)), np.array([1, 2]))
    assert layer.repaired.unusable.tolist() == [True, False]
    assert pairs(overlay(array_of(broken, shapely.box(5, 5, 20, 20)), layer)) == {(1, 2): 25}
    assert classes_at(np.array([np.nan, 5]), np.array([5, np.nan]), layer).tolist() == [-1, -1]


@settings(max_examples=60, deadline=None)
@given(layer=layers, cell_ft=cells, at=st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500)), min_size=1))
def test_a_point_is_told_the_lowest_class_that_covers_it(
    layer: list[tuple[shapely.Geometry, int]], cell_ft: float, at: list[tuple[float, float]]
) -> None:
    classes = np.array([code for _, code in layer], dtype=np.int64)
    index = index_layer(array_of(*(shape for shape, _ in layer)), classes, cell_ft=cell_ft)
    for point, code in zip(at, classes_at(*np.add(at, [EAST, NORTH]).T, index), strict=True):
        here = at_hartford(shapely.Point(point))
        if all(here.distance(shape.boundary) > 1e-6 for shape, _ in layer if not shape.is_empty):
            assert code == min((c for shape, c in layer if shape.contains(here)), default=-1)


def test_a_point_on_a_line_belongs_to_the_north_and_the_east() -> None:
    four = array_of(*(shapely.box(x, y, x + 50, y + 50) for x in (0, 50) for y in (0, 50)))
    index = index_layer(four, np.arange(4), cell_ft=16)
    x, y = np.array([50, 50, 50, 20, 70, 0, 100]), np.array([50, 20, 70, 50, 50, 0, 20])
    assert classes_at(x, y, index).tolist() == [3, 2, 3, 1, 3, 0, -1]


@pytest.fixture
def ring() -> LayerIndex:
    ring = at_hartford(shapely.Point(35, 35).buffer(30).difference(shapely.Point(35, 35).buffer(12)))
    return index_layer(array_of(ring, SQUARES[0]), np.array([2, 1]), cell_ft=16)


SQUARES = array_of(*(at_hartford(shapely.box(x, y, x + 7, y + 7)) for x in range(0, 70, 7) for y in range(0, 70, 7)))


def same(one: Overlaps, other: Overlaps) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("parcel", "class_code", "area_sqft")
    )


def test_the_answer_does_not_depend_on_chunk_threads_or_how_shapes_are_handed_over(ring: LayerIndex) -> None:
    found = overlay(SQUARES, ring)
    assert same(found, overlay(SQUARES, ring, chunk=7))
    assert same(found, overlay(SQUARES, ring, chunk=7, threads=1))
    for flavor, wkb in (
        ("extended", shapely.to_wkb(shapely.set_srid(SQUARES, 6434), include_srid=True)),
        ("iso", shapely.to_wkb(shapely.force_3d(SQUARES, 5.0), flavor="iso", byte_order=0)),
    ):
        assert same(found, overlay_wkb(list(wkb), ring, chunk=7)), flavor
        assert same(found, overlay_wkb(pa.chunked_array([wkb[:5], wkb[5:]], pa.binary()), ring)), flavor
        assert same(found, overlay_wkb(pa.array([None, *wkb])[1:], ring)), flavor


def test_wkb_that_is_broken_or_no_polygon_meets_nothing(ring: LayerIndex) -> None:
    wkb = shapely.to_wkb(SQUARES[0])
    point = shapely.to_wkb(shapely.get_point(SQUARES[0].exterior, 0))
    assert overlay_wkb([wkb[:-1], wkb[:12], b"", point, wkb[:9] + b"\xff" * 90, None, wkb], ring).parcel.tolist() == [6]


def test_a_kept_index_gives_the_same_and_a_broken_one_nothing(ring: LayerIndex, tmp_path: Path) -> None:
    file = tmp_path / "layer.index"
    assert load_index(file) is None
    save_index(ring, file)
    kept = load_index(file)
    assert kept is not None
    assert same(overlay(SQUARES, ring), overlay(SQUARES, kept))
    assert (kept.overlap_sqft, kept.repaired.why) == (ring.overlap_sqft, ring.repaired.why)
    content = file.read_bytes()
    for broken in (content[:-1], content[:40], b"", content.replace(b'"format": ', b'"format": 9', 1)):
        file.write_bytes(broken)
        assert load_index(file) is None
    assert [other.name for other in tmp_path.iterdir()] == ["layer.index"]


def test_an_index_of_invalid_polygons_keeps_saying_so(tmp_path: Path) -> None:
    bow_tie = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    save_index(index_layer(list(shapely.to_wkb([bow_tie])), np.array([1])), tmp_path / "layer.index")
    kept = load_index(tmp_path / "layer.index")
    assert kept is not None
    assert kept.repaired.why == {0: "the boundary crosses itself"}
    assert kept.repaired.moved_sqft.tolist() == [50]
    save_index(index_layer(array_of(), np.empty(0, dtype=np.int64)), tmp_path / "layer.index")
    nothing = load_index(tmp_path / "layer.index")
    assert nothing is not None
    assert overlay(SQUARES, nothing).parcel.tolist() == []
    assert classes_at(np.array([1.0]), np.array([1.0]), nothing).tolist() == [-1]


@pytest.mark.parametrize("cell_ft", [0.5, 1, 64])
def test_slivers_spikes_and_corners_on_the_grid_are_no_special_cases(cell_ft: float) -> None:
    shapes = [
        shapely.box(0, 0, 8, 1e-4),
        shapely.Polygon([(0, 0), (8, 0), (8, 1e-7)]),
        shapely.Polygon([(0, 0), (4, 4), (8, 0), (4, 8)]),
        shapely.Polygon([(0, 0), (8, 8), (8, 7.999999)]),
        shapely.box(2, 2, 4, 4).union(shapely.box(4, 4, 6, 6)),
        shapely.box(0, 0, 8, 8).difference(shapely.box(2, 2, 4, 4).union(shapely.box(4, 4, 6, 6))),
        shapely.Polygon([(4, 0), (4 + 1e-9, 8), (8, 8), (8, 0)]),
    ]
    shapes += [shapely.transform(shape, lambda xy: xy[:, ::-1].copy()) for shape in shapes]
    shapes += [shapely.transform(shape, lambda xy: 8 - xy) for shape in shapes]
    for polygon in shapes:
        index = index_layer(array_of(polygon), np.array([1]), cell_ft=cell_ft)
        expected = geos_overlay.overlay(array_of(*shapes), array_of(polygon), np.array([1]))
        got = pairs(overlay(array_of(*shapes), index))
        assert got.keys() == expected.keys()
        assert geos_overlay.largest_difference(got, expected) < 1e-5
