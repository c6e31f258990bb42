"""Overlaps, gaps, slivers, spikes and far parts: against the plain way, and on planted and real faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from cadastral.demo_fabric import draw_fabric
from cadastral.topology import (
    far_parts,
    first_of_same,
    mean_width_ft,
    overlaps_and_gaps,
    read_boundaries,
    road_networks,
    slivers,
    spikes,
)
from statewide.demo import make_world
from statewide.geometry import repair, to_storage
from statewide.standard import load_standard
from tests.planted import SOUTH, WEST, Plan, Shapes, plans, planted

LEAST = 0.01


def referee(shapes: Shapes) -> tuple[dict[tuple[int, int], float], list[float]]:
    """The plain way: every pair whose boxes meet, and what the union leaves bare inside of a frame."""
    wkb = shapely.to_wkb(shapely.normalize(shapes))
    first = [int(np.flatnonzero(wkb == each)[0]) for each in wkb]
    distinct = np.unique(first)
    tree = shapely.STRtree(shapes[distinct])
    left, right = tree.query(shapes[distinct])
    left, right = distinct[left[left < right]], distinct[right[left < right]]
    shared = shapely.area(shapely.intersection(shapes[left], shapes[right]))
    frame = shapely.box(*shapely.total_bounds(shapes)).buffer(100)
    bare = shapely.get_parts(shapely.difference(frame, shapely.union_all(shapes)))
    gaps = shapely.area(bare[~shapely.intersects(bare, frame.exterior)])
    return (
        {(int(a), int(b)): float(sqft) for a, b, sqft in zip(left, right, shared, strict=True)},
        sorted(area for area in gaps if area >= LEAST),
    )


def assert_like_the_referee(shapes: Shapes) -> None:
    overlaps, gaps = overlaps_and_gaps(shapes, read_boundaries(shapes), LEAST)
    pairs, holes = referee(shapes)
    found = {
        (int(min(a, b)), int(max(a, b))): float(sqft)
        for a, b, sqft in zip(overlaps.small, overlaps.large, overlaps.sqft, strict=True)
    }
    assert found == pytest.approx({pair: area for pair, area in pairs.items() if area >= LEAST}, abs=1e-3)
    assert sorted(gaps.sqft) == pytest.approx(holes, abs=1e-3)
    area = shapely.area(shapes)
    assert (area[overlaps.small] <= area[overlaps.large]).all()
    assert shapely.area(overlaps.shapes) == pytest.approx(overlaps.sqft)


@given(plans)
def test_overlaps_and_gaps_are_those_of_the_plain_way(plan: Plan) -> None:
    assert_like_the_referee(planted(plan))


@given(plans, st.randoms(use_true_random=False))
def test_the_order_of_the_parcels_does_not_count(plan: Plan, random: object) -> None:
    shapes = planted(plan)
    order = np.random.default_rng(plan.seed + 1).permutation(len(shapes))
    here, there = (overlaps_and_gaps(each, read_boundaries(each), LEAST) for each in (shapes, shapes[order]))
    assert sorted(here[0].sqft) == pytest.approx(sorted(there[0].sqft))
    assert sorted(here[1].sqft) == pytest.approx(sorted(there[1].sqft))


def real_town(file: Path, epsg: int) -> Shapes:
    """A real delivery's valid shapes in the storage CRS."""
    given = shapely.from_wkb(pyogrio.raw.read(file, columns=[])[2])
    shapes = repair(to_storage(given, epsg, load_standard())).shapes
    return shapes[~shapely.is_missing(shapes)]


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "epsg"),
    [
        ("new_london_parcels_2025.zip", 2234),
        ("woodstock_parcels_2025.gdb.zip", 6434),
        ("chester_parcels_2025.gpkg", 2234),  # the town was loaded twice
        ("franklin_parcels_2025.geojson", 4326),
    ],
)
def test_real_towns_measure_as_the_plain_way_does(shared_data: Path, file: str, epsg: int) -> None:
    assert_like_the_referee(real_town(shared_data / "deliveries" / file, epsg))


def test_the_demo_has_no_fault_and_a_parcel_laid_over_all_of_it_holds_every_other() -> None:
    world = make_world(2, 1_200, 3)
    shapes = draw_fabric(world, world.towns[0]).geometry
    overlaps, gaps = overlaps_and_gaps(shapes, read_boundaries(shapes), LEAST)
    assert (len(overlaps.sqft), len(gaps.sqft)) == (0, 0)
    blanket = np.append(shapes, shapely.box(*shapely.total_bounds(shapes)))
    overlaps, gaps = overlaps_and_gaps(blanket, read_boundaries(blanket), LEAST)
    land = np.unique(first_of_same(read_boundaries(shapes), len(shapes)))
    assert set(overlaps.small) == set(land)
    assert (overlaps.large == len(shapes)).all()
    assert overlaps.share_of_small == pytest.approx(1)
    assert len(gaps.sqft) == 0


def test_nothing_is_nothing() -> None:
    none = np.zeros(0, dtype=object)
    boundaries = read_boundaries(none)
    overlaps, gaps = overlaps_and_gaps(none, boundaries, LEAST)
    assert (len(overlaps.sqft), len(gaps.sqft), len(spikes(boundaries, 1, 1))) == (0, 0, 0)
    assert len(far_parts(none, 10)[0]) == len(slivers(none, 3, 10)) == len(road_networks(none, 1, 1, 0)) == 0


def test_whole_feet_are_told_apart() -> None:
    """Coordinates in whole feet differ in few bits; a weak hash would take strangers for neighbours."""
    side = np.arange(0, 600.0)
    x, y = (axis.ravel() for axis in np.meshgrid(WEST + side * 7, SOUTH + side * 5))
    boxes = shapely.box(x, y, x + 7, y + 5)
    keys = read_boundaries(boxes).key
    assert len(np.unique(keys)) == 2 * 600 * 601


def test_identical_shapes_are_found_wherever_their_rings_begin() -> None:
    holed = shapely.Polygon([(0, 0), (9, 0), (9, 9), (0, 9)], [[(1, 1), (2, 1), (2, 2), (1, 2)]])
    turned = shapely.Polygon([(9, 9), (9, 0), (0, 0), (0, 9)], [[(2, 2), (1, 2), (1, 1), (2, 1)]])
    filled = shapely.Polygon(holed.exterior)
    shapes = np.array([filled, holed, turned, filled], dtype=object)
    assert first_of_same(read_boundaries(shapes), 4).tolist() == [0, 1, 1, 0]


def test_a_strip_is_a_sliver_and_a_stamp_is_not() -> None:
    shapes = np.array([shapely.box(0, 0, 80, 2), shapely.box(0, 0, 2, 2), shapely.box(0, 0, 80, 20)], dtype=object)
    assert mean_width_ft(shapes) == pytest.approx([2 * 160 / 164, 1, 16])
    assert slivers(shapes, 3, 10).tolist() == [0]


def test_spikes_are_found_on_both_sides_and_across_the_start_of_a_ring() -> None:
    outward = shapely.Polygon([(0, 0), (100, 0), (100, 50), (160, 50.2), (100, 50.4), (100, 100), (0, 100)])
    inward = shapely.Polygon([(60, 50.2), (0, 50.4), (0, 100), (100, 100), (100, 0), (0, 0), (0, 50)])
    clean = shapely.Polygon([(0, 0), (100, 0), (100, 100), (50, 0.9)])
    boundaries = read_boundaries(np.array([outward, inward, clean], dtype=object))
    found = boundaries.xy[spikes(boundaries, 1, 1)]
    assert sorted(map(tuple, found)) == [(60, 50.2), (160, 50.2)]
    assert len(spikes(boundaries, 1, 70)) == 0


def test_parts_are_far_when_no_chain_of_parts_leads_across() -> None:
    def parts(*west: float) -> shapely.MultiPolygon:
        return shapely.MultiPolygon([shapely.box(x, 0, x + 10, 10) for x in west])

    shapes = np.array([parts(0, 60, 120, 180), parts(0, 20, 500, 520, 1500), parts(0)], dtype=object)
    far, groups = far_parts(shapes, 100)
    assert (far.tolist(), groups.tolist()) == ([1], [3])


def test_a_road_network_is_long_and_narrow() -> None:
    grid = shapely.union_all(
        [shapely.box(0, y, 20_000, y + 50) for y in range(0, 20_000, 2_000)]
        + [shapely.box(x, 0, x + 50, 20_000) for x in range(0, 20_000, 2_000)]
    )
    lots = [shapely.box(x + 50, y + 50, x + 2_000, y + 2_000) for x in (0, 2_000) for y in (0, 2_000)]
    shapes = np.array([*lots, grid, shapely.box(-20_000, 0, -1, 20_000)], dtype=object)
    assert road_networks(shapes, 200, 50_000, 0.02).tolist() == [4]
