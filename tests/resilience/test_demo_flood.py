"""The invented flood map: zones that tile what is mapped, with FEMA's columns, and a corner that is not mapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely

from resilience.demo import NOT_POPULATED, FloodMap, draw_flood_map, write_flood_map
from statewide.demo import World, make_world
from statewide.standard import load_standard

_NAMES = """
DFIRM_ID VERSION_ID FLD_AR_ID STUDY_TYP FLD_ZONE ZONE_SUBTY SFHA_TF STATIC_BFE V_DATUM DEPTH LEN_UNIT VELOCITY VEL_UNIT
AR_REVERT AR_SUBTRV BFE_REVERT DEP_REVERT DUAL_ZONE SOURCE_CIT
"""
NFHL = _NAMES.split()


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(4, 2_400, 7)


@pytest.fixture(scope="module")
def flood_map(world: World) -> FloodMap:
    return draw_flood_map(world)


def of_zone(flood_map: FloodMap, zone: str, subtype: str) -> np.ndarray:
    zones, subtypes = flood_map.columns["FLD_ZONE"].to_pylist(), flood_map.columns["ZONE_SUBTY"].to_pylist()
    return flood_map.zones[[z == zone and s == subtype for z, s in zip(zones, subtypes, strict=True)]]


@pytest.mark.parametrize(
    ("towns", "parcels", "seed"), [(4, 2_400, 7), (4, 2_400, 8), (1, 100, 1), (3, 500, 2), (20, 40_000, 3)]
)
def test_zones_never_overlap_and_cover_the_island_where_it_is_mapped(towns: int, parcels: int, seed: int) -> None:
    world = make_world(towns, parcels, seed)
    flood_map = draw_flood_map(world)
    assert shapely.is_valid(flood_map.zones).all()
    assert shapely.coverage_is_valid(flood_map.zones)
    union, mapped = shapely.union_all(flood_map.zones), shapely.union_all(flood_map.panels)
    assert shapely.area(flood_map.zones).sum() == pytest.approx(union.area, abs=0.01)
    island = shapely.union_all([town.outline for town in world.towns])
    assert island.intersection(mapped).difference(union).area < 0.01
    assert union.difference(mapped).area < 0.01


def test_one_corner_of_the_island_is_not_mapped(world: World, flood_map: FloodMap) -> None:
    mapped = shapely.union_all(flood_map.panels)
    shares = [town.outline.difference(mapped).area / town.outline.area for town in world.towns]
    assert 0.2 < shares[0] < 0.9
    assert max(shares[1:]) < 0.01


def test_each_kind_of_zone_is_there_the_floodway_within_the_river_and_the_waves_on_the_shore(
    world: World, flood_map: FloodMap
) -> None:
    floodway = shapely.union_all(of_zone(flood_map, "AE", "FLOODWAY"))
    waves = shapely.union_all(of_zone(flood_map, "VE", ""))
    assert of_zone(flood_map, "X", "0.2 PCT ANNUAL CHANCE FLOOD HAZARD").size > 1
    assert of_zone(flood_map, "X", "AREA OF MINIMAL FLOOD HAZARD").size >= 1
    river, coast = world.rivers[0].centreline, world.coast
    assert river.difference(shapely.union(floodway, waves)).length < 1
    assert coast.difference(waves).length < 0.02 * coast.length


def test_columns_are_those_of_the_nfhl_with_its_way_of_saying_nothing(flood_map: FloodMap) -> None:
    columns = flood_map.columns
    assert list(columns) == NFHL
    known = {field.maps_to["nfhl"] for field in load_standard().table("flood_zone").fields if "nfhl" in field.maps_to}
    assert set(NFHL) == known
    assert set(columns["DEPTH"].to_pylist()) == {NOT_POPULATED}
    for zone, flag, elevation, datum in zip(
        *(columns[name].to_pylist() for name in ("FLD_ZONE", "SFHA_TF", "STATIC_BFE", "V_DATUM")), strict=True
    ):
        assert flag == ("F" if zone == "X" else "T")
        assert (elevation == NOT_POPULATED) == (datum == "")
        assert zone != "VE" or 15 <= elevation <= 17
    assert len(set(columns["FLD_AR_ID"].to_pylist())) == len(flood_map.zones)


def test_the_same_seed_gives_the_same_map_to_the_last_bit(flood_map: FloodMap) -> None:
    again = draw_flood_map(make_world(4, 2_400, 7))
    assert shapely.to_wkb(again.zones).tolist() == shapely.to_wkb(flood_map.zones).tolist()
    assert again.columns == flood_map.columns


def test_the_files_are_in_degrees_of_nad83(world: World, flood_map: FloodMap, tmp_path: Path) -> None:
    for path, layer, rows in zip(
        write_flood_map(world, tmp_path),
        ("S_FLD_HAZ_AR", "S_FIRM_PAN"),
        (flood_map.zones, flood_map.panels),
        strict=True,
    ):
        info = pyogrio.read_info(path, layer=layer)
        assert info["crs"] == "EPSG:4269"
        assert info["features"] == len(rows)
        west, south, east, north = info["total_bounds"]
        assert -73.01 < west < east < -72.9
        assert 41.1 < south < north < 41.18
