"""The invented flights: two programs over the island, of which the older one does not reach the eastern shore."""

from __future__ import annotations

from pathlib import Path

import pytest
import rasterio
import shapely

from resilience.imagery_demo import write_pictures
from resilience.picture import Picture, read_picture, require_cloud_optimized
from statewide.demo import World, make_world
from statewide.standard import load_standard


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(4, 2_400, 7)


@pytest.fixture(scope="module")
def files(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_pictures(world, tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def pictures(files: list[Path]) -> dict[str, Picture]:
    return {file.stem.removeprefix("imagery_"): read_picture(file, load_standard()) for file in files}


def test_they_are_cloud_optimized_small_and_say_what_they_show(files: list[Path], pictures: dict[str, Picture]) -> None:
    for file in files:
        require_cloud_optimized(file)
        assert file.stat().st_size < 2_000_000
    for picture in pictures.values():
        assert picture.bands == ("red", "green", "blue", "nir")
        assert max(picture.width_px, picture.height_px) <= 1_100


def test_the_newer_shows_the_whole_island_and_the_older_not_its_east(
    world: World, pictures: dict[str, Picture]
) -> None:
    island = shapely.union_all([town.outline for town in world.towns])
    assert pictures["2023"].outline.contains(island)
    unseen = island.difference(pictures["2019"].outline)
    assert 0.02 < unseen.area / island.area < 0.3
    assert unseen.centroid.x > island.centroid.x


def test_the_newer_shows_more_that_is_built_and_land_differs_from_sea(files: list[Path]) -> None:
    roofs = []
    for file in files:
        with rasterio.open(file) as source:
            red, _, blue, _ = source.read()
        roofs.append(((red > 180) & (blue > 165)).mean())
        assert blue[0, 0] > red[0, 0]  # the sea
    assert roofs[1] > 2 * roofs[0] > 0


def test_the_same_seed_gives_the_same_pictures_and_what_is_there_is_kept(
    world: World, files: list[Path], tmp_path: Path
) -> None:
    again = write_pictures(make_world(4, 2_400, 7), tmp_path)
    for first, second in zip(files, again, strict=True):
        with rasterio.open(first) as one, rasterio.open(second) as other:
            assert (one.read() == other.read()).all()
            assert (one.dataset_mask() == other.dataset_mask()).all()
    written = [file.stat().st_mtime_ns for file in again]
    write_pictures(world, tmp_path)
    assert [file.stat().st_mtime_ns for file in again] == written
