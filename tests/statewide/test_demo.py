"""The invented world: the same from the same seed, a whole without gaps, and nowhere near real land."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely

from statewide.demo import NORTH_WEST, World, make_world, run_demo
from statewide.errors import BadArgument
from statewide.geometry import to_storage
from statewide.settings import Settings
from statewide.standard import load_standard, schemas_folder


def outlines(world: World) -> np.ndarray:
    return np.array([town.outline for town in world.towns], dtype=object)


def test_the_same_seed_gives_the_same_world_to_the_last_bit() -> None:
    one, other, third = make_world(4, 2_400, 7), make_world(4, 2_400, 7), make_world(4, 2_400, 8)
    assert shapely.to_wkb(outlines(one)).tolist() == shapely.to_wkb(outlines(other)).tolist()
    assert [town.name for town in one.towns] == [town.name for town in other.towns]
    assert shapely.to_wkb(outlines(one)).tolist() != shapely.to_wkb(outlines(third)).tolist()


@pytest.mark.parametrize(("towns", "parcels", "seed"), [(4, 2_400, 7), (1, 100, 1), (3, 500, 2), (13, 9_000, 5)])
def test_towns_tile_the_island_and_share_out_the_parcels(towns: int, parcels: int, seed: int) -> None:
    world = make_world(towns, parcels, seed)
    shapes = outlines(world)
    assert shapely.is_valid(shapes).all()
    assert shapely.coverage_is_valid(shapes)
    island = shapely.coverage_union_all(shapes)
    assert island.geom_type == "Polygon"
    assert not island.interiors
    assert sum(town.parcels for town in world.towns) == parcels


def test_the_default_world_has_one_dirty_town_a_river_and_a_shore_of_thousands_of_vertices() -> None:
    world = make_world(4, 2_400, 7)
    assert [town.dirty for town in world.towns] == [False, True, False, False]
    assert [town.coastal for town in world.towns] == [False, False, True, True]
    assert len(world.coast.coords) > 5_000
    (river,) = world.rivers
    assert sum(town.outline.intersects(river.centreline) for town in world.towns) == 2
    assert np.ptp(river.flood_half_width) > 200


def test_towns_go_on_past_a_hundred_with_names_and_codes_that_no_real_town_has() -> None:
    world = make_world(169, 169 * 100, 3)
    real = load_standard().municipalities
    assert [town.town_no for town in world.towns] == list(range(901, 1070))
    codes, names = {town.cousub for town in world.towns}, {town.name for town in world.towns}
    assert len(codes) == len(names) == 169
    assert all(len(code) == 5 and code.startswith("99") for code in codes)
    assert not codes & {town.cousub_fips for town in real}
    assert not names & {town.town_name for town in real}


@pytest.mark.parametrize(("towns", "parcels"), [(4, 2_400), (169, 1_250_000)])
def test_the_island_covers_no_land_of_connecticut(towns: int, parcels: int) -> None:
    standard = load_standard()
    text = (schemas_folder() / "authority" / "town_outlines.geojson").read_text(encoding="utf-8")
    real = to_storage(shapely.get_parts(shapely.from_geojson(text)), 4326, standard)
    world = make_world(towns, parcels, 7)
    west, south, east, north = shapely.total_bounds(outlines(world))
    assert not shapely.intersects(shapely.box(west, south, east, north), real).any()
    # inside the envelope by which a state plane position is told from another one's (domain.md section 4)
    assert 730_512 < west < NORTH_WEST[0] + 1_000
    assert south > 554_855
    assert east < 1_263_094


@pytest.mark.parametrize(
    ("towns", "parcels", "seed"), [(0, 100, 7), (1_001, 1_000_000, 7), (4, 399, 7), (4, 2_400, -1)]
)
def test_numbers_that_make_no_world_are_refused(towns: int, parcels: int, seed: int) -> None:
    with pytest.raises(BadArgument):
        make_world(towns, parcels, seed)


def test_out_writes_the_files_without_a_database_and_a_second_time_leaves_them_alone(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", database_url=None)

    def run() -> dict[str, int]:
        result = run_demo(settings, towns=2, parcels=300, seed=7, out=tmp_path / "out", say=lambda _: None)
        assert list(result["parts"]) == ["1-parcels", "2-hazards", "3-addresses", "4-imagery"]
        json.dumps(result)
        return {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}

    first = run()
    assert len(first) == 20
    assert run() == first
    assert not (tmp_path / "home").exists()


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(BadArgument, match="other files"):
        run_demo(Settings(tmp_path, None), towns=1, parcels=100, seed=7, out=tmp_path, say=lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("text", ['{"type": "Topology", "objects": {}}', "[]", "no JSON"])
def test_somebody_elses_world_json_is_no_label_of_ours(text: str, tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text(text)
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(BadArgument, match="other files"):
        run_demo(Settings(tmp_path, None), towns=1, parcels=100, seed=7, out=tmp_path, say=lambda _: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt", "world.json"]


def test_another_world_replaces_the_files_of_the_last_one(tmp_path: Path) -> None:
    for seed in (7, 8):
        run_demo(Settings(tmp_path, None), towns=1, parcels=100, seed=seed, out=tmp_path / "out", say=lambda _: None)
    assert json.loads((tmp_path / "out" / "world.json").read_text())["seed"] == 8
    assert len(list((tmp_path / "out").glob("*_Parcels_*"))) == 1
