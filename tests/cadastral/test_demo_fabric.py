"""The invented parcels: contiguous, like real ones in shape and number, and dirty only where it was promised."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely

from cadastral.demo import CANARY, DIRT, Delivery, parcel_rows, write_deliveries
from cadastral.demo_fabric import BEACH, LOT, ROAD, WATER, Fabric, draw_fabric
from statewide.demo import InventedTown, World, make_world


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(4, 2_400, 7)


@pytest.fixture(scope="module")
def deliveries(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[Delivery]:
    return write_deliveries(world, tmp_path_factory.mktemp("demo"))


def land(fabric: Fabric) -> np.ndarray:
    """Each piece of land once: of a stack only its first unit."""
    return fabric.geometry[(fabric.unit <= 1) | fabric.stamp]


def clean(world: World) -> list[InventedTown]:
    return [town for town in world.towns if not town.dirty]


def dirty_rows(world: World) -> dict[str, list]:
    town = next(town for town in world.towns if town.dirty)
    return {**parcel_rows(world, town).to_pydict(), "town": town}


@pytest.mark.parametrize(("towns", "parcels", "seed"), [(4, 2_400, 7), (4, 2_400, 8), (1, 100, 1), (3, 500, 2)])
def test_the_fabric_has_no_gap_and_no_overlap_also_across_town_lines(towns: int, parcels: int, seed: int) -> None:
    world = make_world(towns, parcels, seed)
    everything = []
    for town in world.towns:
        pieces = land(draw_fabric(world, town))
        assert shapely.is_valid(pieces).all()
        assert shapely.area(pieces).sum() == pytest.approx(town.outline.area, abs=0.01)
        assert shapely.symmetric_difference(shapely.union_all(pieces), town.outline).area < 0.01
        everything.append(pieces)
    assert shapely.coverage_is_valid(np.concatenate(everything))


def test_the_same_seed_gives_the_same_rows_to_the_last_byte(world: World) -> None:
    again = make_world(4, 2_400, 7)
    for town, same in zip(world.towns, again.towns, strict=True):
        assert parcel_rows(world, town).equals(parcel_rows(again, same))


def test_each_town_has_exactly_its_number_of_parcels(world: World) -> None:
    assert [len(draw_fabric(world, town)) for town in world.towns] == [town.parcels for town in world.towns]


def test_parcels_have_as_many_vertices_as_real_ones(world: World) -> None:
    fabrics = [draw_fabric(world, town) for town in world.towns]
    every = np.concatenate([shapely.get_num_coordinates(fabric.geometry) for fabric in fabrics])
    assert 12 <= np.median(every) <= 20
    shores = [fabric.geometry[np.isin(fabric.kind, (BEACH, WATER))] for fabric in fabrics]
    assert sum((shapely.get_num_coordinates(shore) > 1_000).sum() for shore in shores) >= 3


def test_lots_are_deeper_than_wide_and_streets_and_water_are_parcels(world: World) -> None:
    for town in clean(world):
        fabric = draw_fabric(world, town)
        kinds = Counter(fabric.kind.tolist())
        assert kinds[ROAD] > 20
        assert kinds[LOT] > 0.8 * len(fabric)
        west, south, east, north = fabric.plan[fabric.kind == LOT].T
        long, short = np.maximum(east - west, north - south), np.minimum(east - west, north - south)
        assert np.median(long / short) > 1.3
        assert (shapely.get_num_geometries(fabric.geometry) == 2).sum() == town.parcels // 300


def test_condominiums_come_as_stacks_and_as_stamps_cut_out_of_a_site(world: World) -> None:
    town = clean(world)[0]
    rows, fabric = parcel_rows(world, town).to_pydict(), draw_fabric(world, town)
    stack = (fabric.unit > 0) & ~fabric.stamp
    groups = Counter(shapely.to_wkb(fabric.geometry[stack]).tolist())
    assert groups
    assert min(groups.values()) >= 6
    for shape in groups:
        members = [row for row, wkb in enumerate(rows["geometry"]) if wkb == shape]
        assert len({rows["Parcel_ID"][row] for row in members}) == 1
        assert len({rows["Link"][row] for row in members}) == len(members)
        assert all(rows["Parcel_Type"][row] == "CONDO" and " UNIT " in rows["Location"][row] for row in members)
    assert (shapely.area(fabric.geometry[fabric.stamp]) < 50).all()
    assert fabric.stamp.sum() >= 4
    (site,) = fabric.geometry[fabric.site]
    assert len(site.interiors) == fabric.stamp.sum()


def test_clean_towns_have_valid_shapes_their_own_codes_and_one_number_a_place(world: World) -> None:
    for town in clean(world):
        rows = parcel_rows(world, town).to_pydict()
        assert shapely.is_valid(shapely.from_wkb(rows["geometry"])).all()
        assert set(rows["Town_Name"]) == {town.name}
        assert rows["CAMA_Link"] == [f"{town.cousub}-{link}" for link in rows["Link"]]
        assert len(set(rows["CAMA_Link"])) == town.parcels
        shapes_of: dict[str, set[bytes]] = {}
        for number, shape in zip(rows["Parcel_ID"], rows["geometry"], strict=True):
            shapes_of.setdefault(number, set()).add(shape)
        assert max(len(shapes) for shapes in shapes_of.values()) == 1


def test_the_dirty_town_has_the_faults_of_the_list_and_no_others(world: World) -> None:
    rows = dirty_rows(world)
    town = rows["town"]
    shapes = shapely.from_wkb(rows["geometry"])
    given = np.array(rows["Shape_Area"])
    placed = ~shapely.is_missing(shapes)
    sound = placed & shapely.is_valid(shapes)
    assert (~placed).sum() == DIRT["null-geometry"]
    assert (placed & ~sound).sum() == DIRT["bow-tie"]
    assert sum(link == f"{town.cousub}-" for link in rows["CAMA_Link"]) == DIRT["blank-link"]
    assert sum(name != town.name for name in rows["Town_Name"]) == DIRT["other-town"]
    assert sum(place == "<Null>" for place in rows["Location"]) == DIRT["null-string"]
    assert (sound & (np.abs(given - shapely.area(shapes)) > 1)).sum() == DIRT["area-disagrees"]
    assert (shapely.distance(shapes, town.outline) > 1_000).sum() == DIRT["outside-town"]
    links = Counter(link for link in rows["Link"] if link)
    assert sum(count - 1 for count in links.values()) == DIRT["duplicate-id"]

    inside = shapes[sound & (shapely.distance(shapes, town.outline) == 0)]
    distinct = shapely.from_wkb(np.array(sorted(set(shapely.to_wkb(inside).tolist())), dtype=object))
    left, right = shapely.STRtree(distinct).query(distinct, predicate="intersects")
    overlapping = shapely.area(shapely.intersection(distinct[left], distinct[right])) > 1
    assert (overlapping & (left < right)).sum() == DIRT["overlap"]


def test_a_small_dirty_town_still_has_every_fault() -> None:
    for seed in range(6):
        world = make_world(2, 200, seed)
        rows = dirty_rows(world)
        assert sum(shape is None for shape in rows["geometry"]) == DIRT["null-geometry"]


def test_each_town_hands_in_another_format_with_the_same_feet(world: World, deliveries: list[Delivery]) -> None:
    assert [delivery.format.driver for delivery in deliveries] == ["OpenFileGDB", "ESRI Shapefile", "GPKG", "GeoJSON"]
    for delivery in deliveries:
        path = f"/vsizip/{delivery.file}" if delivery.format.zipped else delivery.file
        meta, _, geometry, _ = pyogrio.raw.read(path)
        assert len(geometry) == delivery.town.parcels
        assert meta["crs"] == (None if delivery.town.dirty else delivery.format.crs)
        if meta["crs"] in ("EPSG:6434", "EPSG:2234"):
            assert shapely.total_bounds(shapely.from_wkb(geometry)) == pytest.approx(
                delivery.town.outline.bounds, abs=0.01
            )


def test_the_dirty_shapefile_lacks_its_prj_and_has_names_of_ten_letters(deliveries: list[Delivery]) -> None:
    (dirty,) = (delivery for delivery in deliveries if delivery.town.dirty)
    with zipfile.ZipFile(dirty.file) as archive:
        assert {Path(name).suffix for name in archive.namelist()} == {".shp", ".shx", ".dbf", ".cpg"}
    fields = pyogrio.read_info(f"/vsizip/{dirty.file}")["fields"].tolist()
    assert "Parcel_Typ" in fields
    assert max(map(len, fields)) == 10


def test_one_clean_town_has_its_own_column_names_and_persons_to_strip(deliveries: list[Delivery]) -> None:
    personal = []
    for delivery in deliveries:
        path = f"/vsizip/{delivery.file}" if delivery.format.zipped else delivery.file
        _, table = pyogrio.raw.read_arrow(path)
        if any(
            CANARY in str(value)
            for name in table.column_names
            if name != "geometry"
            for value in table[name].to_pylist()
        ):
            personal.append((delivery.town.dirty, table.column_names))
    ((dirty, columns),) = personal
    assert not dirty
    assert {"MBL", "SITE_ADDR", "OWNER", "MAIL_ADDR"} <= set(columns)


def test_a_file_that_is_there_is_kept(world: World, deliveries: list[Delivery]) -> None:
    before = [delivery.file.stat().st_mtime_ns for delivery in deliveries]
    write_deliveries(world, deliveries[0].file.parent)
    assert [delivery.file.stat().st_mtime_ns for delivery in deliveries] == before


def test_a_large_world_comes_as_geopackages_and_a_dirty_town_as_shapefile(tmp_path: Path) -> None:
    world = make_world(3, 51_000, 1)
    formats = [delivery.format.driver for delivery in write_deliveries(world, tmp_path)]
    assert formats == ["GPKG", "ESRI Shapefile", "GPKG"]
