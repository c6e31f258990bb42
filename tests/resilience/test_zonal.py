"""Depths on parcels and at points, against exactextract and against plain GEOS cell by cell."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from exactextract import exact_extract
from exactextract.feature import JSONFeatureSource
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import Affine

from resilience.rasters import Grid, open_grid, settled
from resilience.zonal import depth_at, first_step_over_ground, first_wet_step, zonal
from statewide.geometry import Shapes, to_storage
from statewide.standard import load_standard
from tests.resilience.depth_grids import HARTFORD, depths, write_grid

WEST, NORTH = HARTFORD
# Kampen's grids of five return periods are one file five times.
REAL = (
    "damagescanner-kampen/data/kampen/hazard/1in10_inundation_map.tif",
    "incore-coastal-rasters/tests/data/Surge_Raster.tif",
    "incore-coastal-rasters/tests/data/Inundation_Raster.tif",
    "opengeos-elevation/elevation/dtm.tif",
    "opengeos-elevation/elevation/hag.tif",
)


def array_of(*shapes: shapely.Geometry | None) -> Shapes:
    array = np.empty(len(shapes), dtype=object)
    array[:] = shapes
    return array


def grid_of(path: Path, units: str = "ft", nodata_is_dry: bool = False) -> Grid:
    return settled(open_grid(path)[0], load_standard(), units, nodata_is_dry)


@pytest.fixture
def grid(tmp_path: Path) -> Callable[..., Grid]:
    """An invented grid, by its values."""

    def make(values: Any, name: str = "grid.tif", **options: Any) -> Grid:
        return grid_of(write_grid(tmp_path / name, np.asarray(values, dtype=np.float32), **options))

    return make


def stars(bounds: tuple[float, float, float, float], sizes: tuple[float, ...], count: int, seed: int) -> Shapes:
    """Polygons with a hole each, some in several parts, of so many cells' width, in and a little beyond the bounds."""
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < count:
        middle = np.array([rng.uniform(bounds[0], bounds[2]), rng.uniform(bounds[1], bounds[3])])
        angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(4, 60)))
        ring = rng.choice(sizes) * rng.uniform(0.2, 1, len(angle))
        ring = np.column_stack([ring * np.cos(angle), ring * np.sin(angle)])
        outer, inner = (shapely.make_valid(shapely.polygons(middle + scale * ring)) for scale in (1, 0.4))
        parts = [it for it in shapely.get_parts(shapely.difference(outer, inner)) if it.geom_type == "Polygon"]
        if parts:
            found.append(shapely.multipolygons(parts))
    return array_of(*found)


def referee(path: Path, shapes: Shapes, feet: float = 1.0) -> dict[str, np.ndarray[Any, Any]]:
    """Wet and mapped area in cells, mean and greatest depth, by exactextract."""
    features = [
        {"type": "Feature", "id": str(at), "properties": {}, "geometry": shapely.geometry.mapping(shape)}
        for at, shape in enumerate(shapes)
    ]
    rows = exact_extract(str(path), JSONFeatureSource(features), ["values", "coverage"])
    answers = []
    for row in rows:
        values, share = (np.asarray(row["properties"][name], dtype=float) for name in ("values", "coverage"))
        wet = values > 0
        answers.append([share.sum(), share[wet].sum(), (share * values)[wet].sum(), values[wet].max(initial=-np.inf)])
    mapped, wet_cells, total, deepest = np.array(answers).T
    mean = np.divide(total, wet_cells, out=np.full(len(rows), np.nan), where=wet_cells > 0)
    deepest[deepest == -np.inf] = np.nan
    return {"mapped": mapped, "wet": wet_cells, "mean": mean * feet, "max": deepest * feet}


def agree(grid: Grid, shapes: Shapes) -> None:
    ours, theirs = zonal(shapes, grid), referee(grid.path, shapes, grid.feet)
    area = shapely.area(shapes) / abs(grid.cell_width * grid.cell_height)
    # exactextract keeps a cell's covered share in 24 bits.
    close = {"rtol": 1e-6, "atol": 1e-6, "equal_nan": True}
    np.testing.assert_allclose(ours.mapped_share_pct * area / 100, theirs["mapped"], **close)
    np.testing.assert_allclose(np.nan_to_num(ours.wet_share_pct) * area / 100, theirs["wet"], **close)
    np.testing.assert_allclose(ours.mean_ft, theirs["mean"], rtol=1e-6, equal_nan=True)
    np.testing.assert_allclose(ours.max_ft, theirs["max"], rtol=1e-6, equal_nan=True)


@pytest.mark.parametrize("sizes", [(0.3, 2.0), (15.0, 60.0), (300.0,)])
def test_equals_exactextract_on_invented_grids(grid: Callable[..., Grid], sizes: tuple[float, ...]) -> None:
    made = grid(depths(200, 300))
    agree(made, stars(made.bounds, tuple(10 * size for size in sizes), 80, seed=len(sizes)))


@pytest.mark.real
@pytest.mark.parametrize("name", REAL)
def test_equals_exactextract_on_real_grids(shared_data: Path, name: str) -> None:
    made = grid_of(shared_data / name, "m")
    size = abs(made.cell_width)
    agree(made, stars(made.bounds, (0.7 * size, 6 * size, 40 * size), 150, seed=5))


@given(
    corners=st.lists(
        st.lists(st.tuples(st.integers(-8, 48), st.integers(-8, 48)), min_size=3, max_size=9), min_size=1, max_size=3
    )
)
def test_equals_the_intersection_with_each_cell(
    tmp_path_factory: pytest.TempPathFactory, corners: list[list[tuple[int, int]]]
) -> None:
    """On quarter cells, so that edges run along cells and through their corners, in and out, collinear and touching."""
    values = depths(10, 10, seed=3)
    made = grid_of(write_grid(tmp_path_factory.mktemp("cells") / "grid.tif", values, cell=4.0))
    drawn = [shapely.make_valid(shapely.Polygon(ring)) for ring in corners]
    land = shapely.union_all([part for shape in drawn for part in shapely.get_parts(shape) if part.area])
    shape = shapely.transform(land, lambda xy: xy * (1, -1) + (WEST, NORTH))
    if shape.is_empty or shape.geom_type not in ("Polygon", "MultiPolygon"):
        return
    column, row = np.meshgrid(range(10), range(10))
    cells = shapely.box(WEST + 4 * column, NORTH - 4 * row - 4, WEST + 4 * column + 4, NORTH - 4 * row)
    share = shapely.area(shapely.intersection(cells, shape)) / 16
    wet = (values > 0) & (share > 1e-9)
    found = zonal(array_of(shape), made)
    area = shape.area / 16
    assert found.mapped_share_pct[0] == pytest.approx(100 * share[values >= 0].sum() / area, abs=1e-7)
    if not wet.any():
        assert math.isnan(found.mean_ft[0])
        return
    assert found.wet_share_pct[0] == pytest.approx(100 * share[wet].sum() / area, abs=1e-7)
    assert found.mean_ft[0] == pytest.approx(np.average(values[wet], weights=share[wet]), rel=1e-9)
    assert found.max_ft[0] == values[wet].max()


def test_a_polygon_along_the_cells_counts_no_neighbour(grid: Callable[..., Grid]) -> None:
    values = np.zeros((6, 6))
    values[2:4, 2:4] = [[1, 2], [3, 4]]
    values[1, :] = 50
    found = zonal(array_of(shapely.box(WEST + 20, NORTH - 40, WEST + 40, NORTH - 20)), grid(values))
    assert (found.mean_ft[0], found.max_ft[0], found.wet_share_pct[0], found.mapped_share_pct[0]) == (2.5, 4, 100, 100)


def test_dry_is_told_from_not_mapped(grid: Callable[..., Grid]) -> None:
    values = np.zeros((10, 30))
    values[:, 10:20] = -9999
    parcels = array_of(*(shapely.box(WEST + x, NORTH - 80, WEST + x + 60, NORTH - 20) for x in (20, 120, 70, 270, 900)))
    found = zonal(parcels, grid(values))
    np.testing.assert_allclose(found.mapped_share_pct, [100, 0, 50, 50, 0])
    np.testing.assert_array_equal(found.wet_share_pct, [0, np.nan, 0, 0, np.nan])
    assert np.isnan(found.mean_ft).all()
    dry = zonal(parcels, replace(grid(values), nodata_is_dry=True))
    np.testing.assert_allclose(dry.mapped_share_pct, [100, 100, 100, 50, 0])


def test_where_it_was_studied_no_data_is_dry(grid: Callable[..., Grid]) -> None:
    values = np.full((10, 10), -9999.0)
    values[:, 0] = 2
    # Two polygons of the study that overlap by half: nothing counts twice.
    studied = array_of(*(shapely.box(WEST, NORTH - 100, WEST + x, NORTH) for x in (30, 50)))
    parcel = shapely.box(WEST, NORTH - 100, WEST + 100, NORTH)
    found = zonal(array_of(parcel), grid(values), studied=studied)
    assert found.mapped_share_pct[0] == pytest.approx(50)
    assert found.wet_share_pct[0] == pytest.approx(10)
    x, y = np.array([WEST + 5, WEST + 45, WEST + 55]), np.full(3, NORTH - 50)
    np.testing.assert_array_equal(depth_at(x, y, grid(values), studied=studied), [2, 0, np.nan])


def test_wet_share_is_told_apart_by_depth(grid: Callable[..., Grid]) -> None:
    values = np.array([[0, 0.5, 1, 2.9, 3, 9]])
    found = zonal(array_of(shapely.box(WEST, NORTH - 10, WEST + 60, NORTH)), grid(values), depths_ft=(0, 1, 3))
    np.testing.assert_allclose(found.wet_share_by_depth_pct[0], [100 / 6, 200 / 6, 200 / 6])


def test_missing_shapes_and_others_have_no_answer(grid: Callable[..., Grid]) -> None:
    with np.errstate(invalid="ignore"):
        astray = shapely.Polygon([(WEST, NORTH), (math.nan, NORTH), (WEST + 9, NORTH - 9)])
        beyond = shapely.Polygon([(WEST, NORTH), (math.inf, NORTH), (WEST + 9, NORTH - 9)])
    flat = shapely.Polygon([(WEST, NORTH), (WEST + 9, NORTH), (WEST + 5, NORTH)])
    lot = shapely.box(WEST, NORTH - 9, WEST + 9, NORTH)
    others = array_of(None, shapely.Polygon(), shapely.Point(WEST + 5, NORTH - 5), astray, beyond, flat)
    found = zonal(np.append(others, lot), grid(np.ones((5, 5))))
    np.testing.assert_array_equal(found.mapped_share_pct, [np.nan] * len(others) + [100])
    np.testing.assert_array_equal(found.max_ft, [np.nan] * len(others) + [1])
    assert zonal(array_of(), grid(np.ones((5, 5)))).mean_ft.shape == (0,)


def test_which_way_a_ring_runs_and_in_what_form_it_comes_makes_no_difference(grid: Callable[..., Grid]) -> None:
    made = grid(depths())
    shapes = stars(made.bounds, (40.0, 90.0), 20, seed=2)
    expected = zonal(shapes, made)
    turned = zonal(shapely.reverse(shapes), made)
    np.testing.assert_allclose(turned.mean_ft, expected.mean_ft, rtol=1e-12)
    as_wkb = zonal(list(shapely.to_wkb(shapes)), made)
    np.testing.assert_array_equal(as_wkb.mean_ft, expected.mean_ft)


def test_windows_and_threads_change_nothing(grid: Callable[..., Grid], monkeypatch: pytest.MonkeyPatch) -> None:
    made = grid(depths(700, 900), tiled=True, blockxsize=128, blockysize=128, compress="deflate")
    shapes = stars(made.bounds, (30.0, 400.0, 3000.0), 60, seed=9)
    x, y = shapely.get_coordinates(shapely.centroid(shapes)).T
    at_once, points = zonal(shapes, made), depth_at(x, y, made)
    monkeypatch.setattr("resilience.rasters._CELLS", 128 * 128)
    monkeypatch.setattr("resilience.rasters._SIDE", 128)
    assert made.window == (128, 128)
    for threads in (1, 2, 5):
        piecewise = zonal(shapes, made, threads=threads)
        np.testing.assert_allclose(piecewise.mean_ft, at_once.mean_ft, rtol=1e-12)
        np.testing.assert_allclose(piecewise.mapped_share_pct, at_once.mapped_share_pct, rtol=1e-12)
        np.testing.assert_array_equal(piecewise.max_ft, at_once.max_ft)
        np.testing.assert_array_equal(piecewise.mean_ft, zonal(shapes, made, threads=1).mean_ft)
    # Asked alone, a parcel has the same answer to the last bit.
    assert zonal(shapes[7:8], made).mean_ft[0] == piecewise.mean_ft[7]
    np.testing.assert_array_equal(depth_at(x, y, made), points)


def test_south_up_and_stripes(grid: Callable[..., Grid], tmp_path: Path) -> None:
    values = depths(60, 70)
    shapes = stars((WEST, NORTH - 600, WEST + 700, NORTH), (80.0,), 30, seed=4)
    expected = zonal(shapes, grid(values))
    turned = Affine(10, 0, WEST, 0, 10, NORTH - 600)
    found = zonal(shapes, grid(values[::-1], "south.tif", transform=turned))
    np.testing.assert_allclose(found.mean_ft, expected.mean_ft, rtol=1e-12)
    found = zonal(shapes, grid(values, "stripes.tif", blockysize=1))
    np.testing.assert_array_equal(found.mean_ft, expected.mean_ft)


def test_parcels_are_brought_to_the_grid_not_the_grid_to_the_parcels(grid: Callable[..., Grid]) -> None:
    """Parcels in the storage CRS over a grid in degrees answer as the same parcels drawn in degrees."""
    standard = load_standard()
    made = grid(depths(80, 80), crs="EPSG:4326", corner=(-72.70, 41.78), cell=0.0001)
    in_degrees = stars(made.bounds, (0.0004, 0.002), 40, seed=6)
    stored = to_storage(in_degrees, 4326, standard)
    moved, drawn = zonal(stored, made, crs=6434), zonal(in_degrees, made)
    np.testing.assert_allclose(moved.mean_ft, drawn.mean_ft, rtol=1e-4)
    np.testing.assert_allclose(moved.mapped_share_pct, drawn.mapped_share_pct, rtol=1e-4)
    point = shapely.get_coordinates(shapely.point_on_surface(stored))
    degrees = shapely.get_coordinates(shapely.point_on_surface(in_degrees))
    there = depth_at(*point.T, made, crs=6434)
    assert np.mean(np.nan_to_num(there, nan=-1) == np.nan_to_num(depth_at(*degrees.T, made), nan=-1)) > 0.8


def test_realisations_of_nad83_share_their_numbers(grid: Callable[..., Grid]) -> None:
    values = depths()
    shapes = stars((WEST, NORTH - 400, WEST + 500, NORTH), (50.0,), 10, seed=8)
    expected = zonal(shapes, grid(values), crs=6434).mean_ft
    for number, crs in enumerate(("EPSG:2234", "EPSG:2879", "EPSG:3508")):
        np.testing.assert_array_equal(zonal(shapes, grid(values, f"{number}.tif", crs=crs), crs=6434).mean_ft, expected)


def test_points_take_the_cell_that_they_lie_in(grid: Callable[..., Grid]) -> None:
    made = grid([[1, 2], [0, -9999]])
    x = WEST + np.array([0, 9.999, 10, 5, 15, -0.001, 20])
    y = NORTH - np.array([0, 9.999, 0, 15, 15, 5, 5])
    np.testing.assert_array_equal(depth_at(x, y, made), [1, 1, 2, 0, np.nan, np.nan, np.nan])


def test_metres_become_feet(grid: Callable[..., Grid]) -> None:
    made = replace(grid(np.full((4, 4), 2.0)), feet=1 / 0.3048)
    found = zonal(array_of(shapely.box(WEST, NORTH - 30, WEST + 30, NORTH)), made, depths_ft=(0, 6, 7))
    assert found.mean_ft[0] == found.max_ft[0] == pytest.approx(6.56168)
    np.testing.assert_array_equal(found.wet_share_by_depth_pct[0], [0, 100, 0])
    assert depth_at(np.array([WEST + 1]), np.array([NORTH - 1]), made)[0] == pytest.approx(6.56168)


def test_first_step_of_a_series(grid: Callable[..., Grid]) -> None:
    series = {
        2.0: grid([[3, 2, 0, -9999, 1]], "2.tif"),
        0.5: grid([[1, 0, 0, -9999, -9999]], "05.tif"),
        1.0: grid([[2, 1, 0, 0, 1]], "1.tif"),
        3.0: grid([[4, 0, 0, 0, 1]], "3.tif"),
    }
    x, y = WEST + 10 * np.arange(6) + 5, np.full(6, NORTH - 5)
    found = first_wet_step(x, y, series)
    np.testing.assert_array_equal(found.step, [0.5, 1, np.nan, np.nan, 1, np.nan])
    np.testing.assert_array_equal(found.known, [True, True, True, False, False, False])
    np.testing.assert_array_equal(found.dry_again, [False, True, False, False, False, False])


def test_first_step_over_the_ground(grid: Callable[..., Grid]) -> None:
    ground = grid([[-2, 3.0, 4.5, 9, -9999]])
    x, y = WEST + 10 * np.arange(5) + 5, np.full(5, NORTH - 5)
    found = first_step_over_ground(x, y, ground, 3.5, [0, 0.5, 1, 1.5, 2])
    np.testing.assert_array_equal(found.step, [0, 0, 1.5, np.nan, np.nan])
    np.testing.assert_array_equal(found.known, [True, True, True, True, False])


def test_scale_and_offset_of_the_file_are_applied(tmp_path: Path) -> None:
    path = write_grid(tmp_path / "cm.tif", np.array([[150, -1, 100]], dtype=np.int16), nodata=-1)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.01,), (-1.0,)
    x, y = WEST + 10 * np.arange(3) + 5, np.full(3, NORTH - 5)
    np.testing.assert_allclose(depth_at(x, y, grid_of(path)), [0.5, np.nan, 0], rtol=1e-6)


def test_a_mask_in_the_file_is_heeded(tmp_path: Path) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write_grid(tmp_path / "mask.tif", np.ones((4, 4), dtype=np.float32), nodata=None)
        with rasterio.open(path, "r+") as dataset:
            dataset.write_mask(np.repeat([[True, True, False, False]], 4, axis=0))
    found = zonal(array_of(shapely.box(WEST, NORTH - 40, WEST + 40, NORTH)), grid_of(path))
    assert found.mapped_share_pct[0] == pytest.approx(50)
