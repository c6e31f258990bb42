"""Depth grids as a layer: loaded, refused, kept, versioned, and asked about parcels and points."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from typer.testing import CliRunner

from cadastral.meeting import submit
from resilience.cli import app
from resilience.depth_grid import LAYER, DepthGround, kept_at, load_depth_grid, read_grid
from resilience.ground import find_current
from statewide.database import API, connect
from statewide.errors import BadArgument, PlatformError
from statewide.geometry import published_shapes
from statewide.intake import Request
from statewide.receiving import file_sha256
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.resilience.depth_grids import HARTFORD, depths, write_grid
from tests.resilience.test_zonal import array_of
from tests.towns import LOT, SOUTH, alder, found_alder, write
from tests.towns import WEST as TOWN_WEST

WEST, NORTH = HARTFORD
Load = Callable[..., dict[str, Any]]


@pytest.fixture
def load(settings: Settings, tmp_path: Path) -> Load:
    """Load a file, or values, as a version of the depth grid."""

    def go(given: Any, version: str = "v1", **options: Any) -> dict[str, Any]:
        path = given if isinstance(given, Path) else write_grid(tmp_path / f"{version}.tif", np.float32(given))
        said = {"units": "ft", "datum": "NAVD88"} | options
        with connect(settings) as connection:
            return load_depth_grid(
                connection, load_standard(), path, version=version, work=tmp_path, home=settings.home, **said
            )

    return go


def ask(settings: Settings) -> DepthGround:
    with connect(settings) as connection:
        current = find_current(connection, LAYER)
        assert current is not None
        return read_grid(connection, load_standard(), current, settings.home)


def box(x0: float, y0: float, x1: float, y1: float) -> shapely.Polygon:
    """East and south of the grid's corner, in cells of 10 ft."""
    return shapely.box(WEST + 10 * x0, NORTH - 10 * y1, WEST + 10 * x1, NORTH - 10 * y0)


def studied(path: Path, *polygons: shapely.Polygon) -> Path:
    """Polygons as a map file in degrees."""
    shapes, _ = published_shapes(array_of(*polygons), load_standard())
    features = [{"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(shape)} for shape in shapes]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def test_a_grid_is_kept_registered_and_counted(load: Load, settings: Settings, tmp_path: Path) -> None:
    values = depths()
    result = load(values, effective_on=None)
    assert result["outcome"] == "published"
    assert result["cells"] == {
        "all": 2000,
        "not_mapped": int((values < 0).sum()),
        "wet": int((values > 0).sum()),
    }
    assert result["deepest_ft"] == pytest.approx(values.max(), abs=1e-4)
    sha256 = file_sha256(tmp_path / "v1.tif")
    assert kept_at(settings.home, sha256).read_bytes() == (tmp_path / "v1.tif").read_bytes()
    with connect(settings) as connection:
        row = connection.execute(
            "SELECT layer, layer_version, is_current, source_sha256, v_datum, summary -> 'units'"
            " FROM resilience.hazard_layer_version"
        ).fetchall()
    assert row == [(LAYER, "v1", True, sha256, "NAVD88", "ft")]


def test_the_same_again_writes_nothing_and_other_words_need_another_name(load: Load, tmp_path: Path) -> None:
    load(depths())
    path = tmp_path / "v1.tif"
    assert load(path)["outcome"] == "unchanged"
    for other in ({"units": "m"}, {"datum": "MHHW"}, {"nodata_is_dry": True}):
        with pytest.raises(BadArgument, match="name a new version"):
            load(path, **other)
    assert load(path, "v2", nodata_is_dry=True)["outcome"] == "published"


def test_a_refused_grid_changes_nothing(load: Load, settings: Settings) -> None:
    load(depths())
    result = load(depths(seed=2), "v2", units=None)
    assert result["outcome"] == "refused"
    assert [finding["code"] for finding in result["findings"]] == ["GRID_UNITS_MISSING"]
    assert "--units" in result["findings"][0]["fix"]
    assert load(np.zeros((4, 4)), "v3")["findings"][0]["code"] == "GRID_DRY"
    with connect(settings) as connection:
        current = find_current(connection, LAYER)
    assert current is not None
    assert current.version == "v1"
    assert len(list((settings.home / "grids").rglob("*.tif"))) == 1


def test_nodata_is_said_to_be_dry_or_not(load: Load) -> None:
    assert "not mapped" in load(depths())["coverage"]
    assert "--nodata-is-dry" in load(depths(), "v2", nodata_is_dry=True)["coverage"]


def test_a_version_says_what_parcels_and_points_have(load: Load, settings: Settings) -> None:
    values = np.zeros((10, 40))
    values[:, 10:13] = [[0.5, 2, 7]]
    values[:, 20:] = -9999
    load(values)
    ground = ask(settings)
    parcels = ground.parcels(array_of(box(1, 1, 5, 5), box(9, 1, 13, 5), box(30, 1, 34, 5), box(18, 1, 22, 5)))
    assert parcels["worst_class"].to_pylist() == ["dry", "depth_6ft", "not_mapped", "not_mapped"]
    assert parcels["worst_value"].to_pylist() == [None, 6, None, None]
    assert parcels["coverage"].to_pylist() == ["mapped", "mapped", "not mapped", "partly mapped"]
    assert parcels["depth_mean_ft"].to_pylist() == [None, pytest.approx(3.1667), None, None]
    assert parcels["depth_max_ft"].to_pylist() == [0, 7, None, None]
    assert parcels["wet_share_pct"].to_pylist() == [0, 75, None, 0]
    assert parcels["mapped_share_pct"].to_pylist() == [100, 100, 0, 50]
    assert parcels["hazard_area_sqft"].to_pylist() == [0, pytest.approx(1200), 0, 0]
    assert (
        parcels["area_by_class"][1].as_py()
        == '{"depth_6ft": 400.0, "depth_1ft": 400.0, "depth_0ft": 400.0, "dry": 400.0}'
    )
    assert parcels["centroid_class"].to_pylist()[:3] == ["dry", "depth_1ft", "not_mapped"]
    assert set(parcels["v_datum"].to_pylist()) == {"NAVD88"}
    points = ground.addresses(shapely.points(WEST + np.array([5.0, 105, 125, 300]), np.full(4, NORTH - 50)))
    assert points["zone_class"].to_pylist() == ["dry", "depth_0ft", "depth_6ft", "not_mapped"]
    assert points["depth_ft"].to_pylist() == [0, 0.5, 7, None]
    assert points["coverage"].to_pylist() == ["mapped", "mapped", "mapped", "not mapped"]
    assert points["class_value"].to_pylist() == [None, 0, 6, None]


def test_in_the_coverage_no_data_is_dry(load: Load, settings: Settings, tmp_path: Path) -> None:
    values = np.full((20, 20), -9999.0)
    values[:, :5] = 3
    coverage = studied(tmp_path / "study.geojson", box(0, 0, 10, 20))
    result = load(values, coverage=coverage)
    assert result["outcome"] == "published"
    assert "study.geojson" in result["coverage"]
    assert result["findings"] == []
    answers = ask(settings).parcels(array_of(box(6, 2, 9, 5), box(12, 2, 15, 5), box(8, 2, 12, 6)))
    assert answers["worst_class"].to_pylist() == ["dry", "not_mapped", "not_mapped"]
    np.testing.assert_allclose(answers["mapped_share_pct"], [100, 0, 50], atol=0.01)


def test_a_coverage_beyond_the_grid_is_said(load: Load, tmp_path: Path) -> None:
    coverage = studied(tmp_path / "study.geojson", box(0, 0, 100, 40))
    result = load(depths(), coverage=coverage)
    assert [(it["code"], it["severity"]) for it in result["findings"]] == [("GRID_COVERAGE_BEYOND", "WARN")]
    assert result["findings"][0]["sentence"].startswith("50")
    with pytest.raises(BadArgument, match="--nodata-is-dry or --coverage"):
        load(depths(), "v2", coverage=coverage, nodata_is_dry=True)


def test_a_lost_grid_is_missed(load: Load, settings: Settings) -> None:
    load(depths())
    for kept in (settings.home / "grids").rglob("*.tif"):
        kept.unlink()
    with pytest.raises(PlatformError, match="load it again"):
        ask(settings)


def test_a_ground_travels_to_another_process(load: Load, settings: Settings, tmp_path: Path) -> None:
    load(depths(), coverage=studied(tmp_path / "study.geojson", box(0, 0, 40, 30)))
    ground, parcels = ask(settings), array_of(box(1, 1, 5, 5), box(30, 20, 45, 39))
    sent = pickle.dumps(ground)
    assert len(sent) < 20_000
    assert pickle.loads(sent).parcels(parcels) == ground.parcels(parcels)


def test_from_the_command_to_the_published_answer(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions, the second in metres on another system: parcels say which one they go by, and what changed."""
    monkeypatch.setenv("STATEWIDE_HOME", str(settings.home))
    monkeypatch.setenv("STATEWIDE_DATABASE_URL", settings.database_url or "")

    def run(*words: object) -> dict[str, Any]:
        done = CliRunner().invoke(app, [*map(str, words), "--json"])
        found: dict[str, Any] = json.loads(done.stdout)
        return found | {"exit": done.exit_code}

    found_alder(settings)
    submit(settings, Request(write(alder(), tmp_path / "town"), "alder", 2025), lambda _: None)
    north = SOUTH + 8 * LOT
    # 160 × 160 cells; the westernmost column of lots is 4 ft deep in its western half, the easternmost was not studied.
    values = np.zeros((160, 160), dtype=np.float32)
    values[:, :10], values[:, 140:] = 4, -9999
    first = write_grid(tmp_path / "first.tif", values, corner=(TOWN_WEST, north))
    refused = run("load", LAYER, first, "--version", "one", "--units", "ft")
    assert (refused["outcome"], refused["exit"]) == ("refused", 1)
    assert run("load", LAYER, first, "--version", "one", "--units", "ft", "--datum", "NAVD88")["exit"] == 0
    run("overlay", "--layer", LAYER)
    assert published(settings) == {
        "1-1": ("one", "depth_3ft", 4, 4, 50, 100, "mapped"),
        "1-2": ("one", "dry", None, 0, 0, 100, "mapped"),
        "1-8": ("one", "not_mapped", None, None, None, 0, "not mapped"),
    }
    # The same town from 60 ft west and south of it on, in UTM metres, all of it under a metre of water.
    corner = pyproj.Transformer.from_crs(6434, 26918, always_xy=True).transform(TOWN_WEST - 60, north + 60)
    second = write_grid(
        tmp_path / "second.tif", np.ones((180, 180), np.float32), corner=corner, cell=3, crs="EPSG:26918", band_unit="m"
    )
    told = run("load", LAYER, second, "--version", "two", "--datum", "MHHW")
    assert [finding["code"] for finding in told["findings"]] == ["GRID_DEPTHS_DOUBTFUL"]
    run("overlay", "--layer", LAYER)
    deep = pytest.approx(3.2808)
    same = ("two", "depth_3ft", deep, deep, 100, 100, "mapped")
    assert published(settings) == {"1-1": same, "1-2": same, "1-8": same}


def published(settings: Settings) -> dict[str, tuple[Any, ...]]:
    with connect(settings, API) as connection:
        rows = connection.execute(
            "SELECT parcel_id, layer_version, worst_class, depth_mean_ft, depth_max_ft, wet_share_pct,"
            " mapped_share_pct, coverage FROM published.parcel_hazards WHERE parcel_id IN ('1-1', '1-2', '1-8')"
        ).fetchall()
    return {row[0]: row[1:] for row in rows}
