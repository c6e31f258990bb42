"""The invented layers of the coast: steps and categories that cover one another, zones that share lines, facilities."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from resilience.demo_layers import (
    STEPS_FT,
    STUDY_AREA,
    draw_evacuation_zones,
    draw_facilities,
    draw_sea_level_rise,
    draw_surge,
    write_depths,
    write_facilities,
    write_layers,
)
from resilience.layer_reading import classifier
from resilience.layer_sources import layer_source
from statewide.demo import World, make_world
from statewide.standard import load_standard


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(4, 2_400, 7)


def island(world: World) -> shapely.Geometry:
    return shapely.union_all([town.outline for town in world.towns])


@pytest.mark.parametrize(("towns", "parcels", "seed"), [(4, 2_400, 7), (1, 100, 1), (20, 40_000, 3)])
def test_each_step_and_category_covers_the_ones_below_it(towns: int, parcels: int, seed: int) -> None:
    world = make_world(towns, parcels, seed)
    land = island(world)
    layers = draw_sea_level_rise(world)
    steps = [drawn.shapes[0] for name, drawn in layers.items() if "_slr_" in name]
    assert len(steps) == len(STEPS_FT)
    for drawn in (steps, draw_surge(world).shapes):
        assert shapely.is_valid(drawn).all()
        for lower, higher in pairwise(drawn):
            assert lower.difference(higher).intersection(land).area < 0.01
            assert higher.intersection(land).area > lower.intersection(land).area


def test_low_ground_lies_behind_what_the_sea_reaches(world: World) -> None:
    layers = draw_sea_level_rise(world)
    for name, drawn in layers.items():
        if "_low_" in name:
            reached = layers[name.replace("low", "slr")].shapes[0]
            assert len(drawn.shapes) >= 1
            assert shapely.intersection(shapely.union_all(drawn.shapes), reached).area < 0.01


def test_names_of_the_layers_are_noaas_and_all_have_a_class(world: World) -> None:
    source, standard = layer_source("sea-level-rise"), load_standard()
    class_of = classifier(standard, source)
    for name in draw_sea_level_rise(world):
        said = next(found for found in (known.read(name) for known in source.names) if found)
        assert class_of({**said, "step_ft": float(said["step_ft"].replace("_", "."))}) == name.removeprefix("CT_")


def test_evacuation_zones_lie_side_by_side(world: World) -> None:
    a, b = draw_evacuation_zones(world).shapes
    assert a.is_valid
    assert b.is_valid
    assert a.intersection(b).area < 0.01
    assert a.intersection(b).length > world.ground.width / 2


def test_every_town_has_its_facilities_on_its_land(world: World) -> None:
    lists = draw_facilities(world)
    lifelines = {code.code for code in load_standard().code_lists["lifeline"].codes}
    land = island(world)
    for listed in lists.values():
        assert listed.lifeline in lifelines
        assert shapely.intersects(land, listed.drawn.shapes).all()
    for town in world.towns:
        names = lists["demo-schools"].drawn.columns["FacilityName"].to_pylist()
        assert f"{town.name} Elementary School" in names
    assert len(lists["demo-sewage-works"].drawn.shapes) == len(world.rivers)


def test_the_grid_has_water_where_the_sea_reaches_and_deeper_where_it_comes_first(world: World, tmp_path: Path) -> None:
    file = write_depths(world, tmp_path)
    steps = {name: drawn.shapes[0] for name, drawn in draw_sea_level_rise(world).items() if "_slr_" in name}
    with rasterio.open(file) as grid:
        depths = grid.read(1)
        rows, columns = np.nonzero(depths)
        wet = shapely.points(*grid.xy(rows, columns))
        assert grid.crs.to_epsg() == 6434
    assert shapely.intersects(shapely.union_all(list(steps.values())), wet).all()
    deepest = depths[rows, columns] == depths.max()
    assert (shapely.intersects(steps["CT_slr_0ft"], wet) == deepest).all()
    assert depths.min() == 0.0
    before = file.stat().st_mtime_ns
    assert write_depths(world, tmp_path).stat().st_mtime_ns == before


def test_the_files_are_written_once_and_read_as_their_makers_would_deliver_them(world: World, tmp_path: Path) -> None:
    files = write_layers(world, tmp_path)
    lists = write_facilities(world, tmp_path)
    assert set(files) == {"sea-level-rise", "storm-surge", "evacuation-zones", STUDY_AREA}
    assert len(pyogrio.list_layers(files["sea-level-rise"])) == 2 * len(STEPS_FT)
    every = [*files.values(), *(file for _, file in lists.values())]
    before = [file.stat().st_mtime_ns for file in every]
    write_layers(world, tmp_path)
    write_facilities(world, tmp_path)
    assert [file.stat().st_mtime_ns for file in every] == before
