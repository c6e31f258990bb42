"""What a depth grid says of itself, and what it is caught at: every lie or gap is a finding or one sentence."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine

from resilience.rasters import judge, judge_cells, open_grid, settled, survey
from statewide.errors import BadArgument, UnreadableDelivery
from statewide.findings import Finding, FindingLog
from statewide.standard import load_standard
from tests.resilience.depth_grids import depths, write_grid

Judged = Callable[..., dict[str, Finding]]


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    """Findings about a grid, by code: a file, or values written as one."""

    def go(
        given: Path | np.ndarray[Any, Any], units: str | None = "ft", datum: str | None = "NAVD88", **options: Any
    ) -> dict[str, Finding]:
        path = given if isinstance(given, Path) else write_grid(tmp_path / "grid.tif", given, **options)
        grid, stated = open_grid(path)
        log = FindingLog(load_standard(), "hazard_layer_version", 2026, "", "")
        unit, _ = judge(grid, stated, log, units=units, datum=datum)
        if unit and not log.blocking():
            grid = settled(grid, log.standard, unit, False)
            judge_cells(grid, stated, survey(grid), log)
        return {finding.code: finding for finding in log.findings}

    return go


def test_a_sound_grid_has_no_findings(judged: Judged) -> None:
    assert judged(depths()) == {}


def test_unit_and_datum_must_be_known(judged: Judged) -> None:
    found = judged(depths(), units=None, datum=None)
    assert {code: finding.severity for code, finding in found.items()} == {
        "GRID_UNITS_MISSING": "BLOCK",
        "GRID_DATUM_MISSING": "BLOCK",
    }
    assert "ft, m" in found["GRID_UNITS_MISSING"].fix
    assert "MHHW" in found["GRID_DATUM_MISSING"].fix


@pytest.mark.parametrize(
    "said",
    [
        {"band_unit": "US survey foot", "tags": {"VERTICAL_DATUM": "North American Vertical Datum of 1988"}},
        {"tags": {"Units": "Feet", "Vertical_Datum": "navd88"}},
        {"crs": CRS.from_user_input("EPSG:6434+6360")},
    ],
)
def test_what_the_file_says_need_not_be_said(judged: Judged, said: dict[str, Any]) -> None:
    assert judged(depths(), units=None, datum=None, **said) == {}


def test_file_and_operator_must_agree(judged: Judged) -> None:
    found = judged(depths(), units="ft", datum="MHHW", tags={"units": "m", "VERTICAL_DATUM": "NAVD88"})
    assert set(found) == {"GRID_UNITS_DOUBTFUL", "GRID_DATUM_DOUBTFUL"}
    assert found["GRID_UNITS_DOUBTFUL"].sentence == "The grid says that its values are in “m”; you say ft."
    found = judged(depths(), tags={"units": "hr", "VERTICAL_DATUM": "the pier"})
    assert "“hr”; that is none of ft, m" in found["GRID_UNITS_DOUBTFUL"].sentence
    assert "“the pier”" in found["GRID_DATUM_DOUBTFUL"].sentence


@pytest.mark.parametrize(("options", "option"), [({"units": "yards"}, "--units"), ({"datum": "NAVD"}, "--datum")])
def test_an_option_that_is_none_is_an_argument(judged: Judged, options: dict[str, str], option: str) -> None:
    with pytest.raises(BadArgument, match=f"{option} .* there is: "):
        judged(depths(), **options)


def test_nodata_that_nobody_declared_is_said(judged: Judged) -> None:
    values = depths()
    cells = int((values == -9999).sum())
    found = judged(values, nodata=None)
    assert list(found) == ["GRID_NODATA_MISSING"]
    assert f"{cells} cells" in found["GRID_NODATA_MISSING"].sentence
    values[values == -9999] = 0
    assert "every cell was taken as mapped" in judged(values, nodata=None)["GRID_NODATA_MISSING"].sentence


@pytest.mark.parametrize("filler", [-9999.0, np.finfo(np.float64).max, -3.4028234663852886e38, np.nan, np.inf])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_every_filler_is_no_depth(tmp_path: Path, filler: float, kind: type[np.floating[Any]]) -> None:
    with np.errstate(over="ignore"):
        values = np.full((5, 5), filler).astype(kind)
    values[0] = 2
    declared = None if kind == np.float32 and filler > 1e300 else filler
    grid, _ = open_grid(write_grid(tmp_path / "grid.tif", values, nodata=declared))
    counted = survey(settled(grid, load_standard(), "ft", False))
    assert (counted.cells, counted.unmapped, counted.wet, counted.deepest_ft) == (25, 20, 5, 2)


def test_a_filler_beside_the_declared_one_is_said(judged: Judged) -> None:
    values = depths()
    values[0, :3] = 1e38
    found = judged(values)
    assert "3 cells hold another value" in found["GRID_NODATA_ODD"].sentence


def test_a_grid_without_water_is_refused(judged: Judged) -> None:
    found = judged(np.zeros((5, 5), dtype=np.float32))
    assert found["GRID_DRY"].severity == "BLOCK"
    assert set(judged(np.full((5, 5), -9999, dtype=np.float32))) == {"GRID_DRY"}


def test_heights_are_perhaps_no_depths(judged: Judged) -> None:
    assert "greatest is 400.0 ft" in judged(np.array([[0, 400.0]]))["GRID_DEPTHS_DOUBTFUL"].sentence
    assert "every cell" in judged(np.full((4, 4), 12.0))["GRID_DEPTHS_DOUBTFUL"].sentence


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"crs": None}, "GRID_CRS_MISSING", "EPSG:2234"),
        ({"crs": "EPSG:4326"}, "GRID_CRS_DOUBTFUL", "Read in EPSG:2234"),
        ({"crs": "EPSG:26956"}, "GRID_CRS_DOUBTFUL", "Read in EPSG:2234"),
        ({"crs": "EPSG:6434", "corner": (-72.7, 41.8), "cell": 0.0001}, "GRID_CRS_DOUBTFUL", "Read in EPSG:4326"),
        ({"crs": "EPSG:6434", "corner": (310_000, 260_000)}, "GRID_CRS_DOUBTFUL", "Read in EPSG:26956"),
        ({"crs": "EPSG:4326", "corner": (310, 260)}, "GRID_CRS_DOUBTFUL", "do not fit"),
        ({"crs": "EPSG:26756"}, "GRID_CRS_REFUSED", "NAD27 can only be brought to NAD83 with a grid"),
        ({"crs": "EPSG:28992", "corner": (181_041, 513_880)}, "GRID_CRS_REFUSED", "Amersfoort"),
        ({"crs": "EPSG:4326", "corner": (-95.13, 29.43), "cell": 0.0021}, "GRID_OUTSIDE_STATE", "Connecticut"),
        ({"crs": "EPSG:6434", "corner": (400_000, 840_000)}, "GRID_OUTSIDE_STATE", "Connecticut"),
        ({"crs": "EPSG:2782", "corner": (500_000, 300_000)}, "GRID_OUTSIDE_STATE", "Connecticut"),
    ],
)
def test_a_grid_that_lies_about_where_it_lies_is_refused(
    judged: Judged, options: dict[str, Any], code: str, words: str
) -> None:
    found = judged(depths(), **options)
    assert list(found) == [code]
    assert found[code].severity == "BLOCK"
    assert words in found[code].sentence


@pytest.mark.parametrize(
    ("crs", "corner", "cell"),
    [
        ("EPSG:2234", (1_020_000, 840_000), 10),
        ("EPSG:26918", (690_000, 4_620_000), 3),
        ("EPSG:6347", (690_000, 4_620_000), 3),
        ("EPSG:5070", (1_900_000, 2_300_000), 30),
        ("EPSG:3857", (-8_090_000, 5_120_000), 5),
        ("EPSG:4269", (-72.7, 41.8), 0.0001),
        ("EPSG:6318+6360", (-72.7, 41.8), 0.0001),
    ],
)
def test_any_system_on_nad83_or_wgs84_will_do(
    judged: Judged, crs: str, corner: tuple[float, float], cell: float
) -> None:
    assert judged(depths(), crs=CRS.from_user_input(crs), corner=corner, cell=cell) == {}


def refused(path: Path) -> str:
    with pytest.raises(UnreadableDelivery) as caught:
        open_grid(path)
    return str(caught.value)


def test_what_is_no_depth_grid_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "words.tif").write_text("depth 3 ft", encoding="utf-8")
    assert "is not a GeoTIFF" in refused(tmp_path / "words.tif")
    (tmp_path / "cut.tif").write_bytes(b"II*\0\0\0")
    assert "fetch it again" in refused(tmp_path / "cut.tif")
    assert "No such file" in refused(tmp_path / "none.tif")
    assert "gdal_translate -of COG" in refused(tmp_path)
    (tmp_path / "grid.zip").write_bytes(b"PK\3\4")
    assert "unpack it" in refused(tmp_path / "grid.zip")
    bands = np.zeros((3, 4, 4), dtype=np.uint8)
    assert "holds 3 bands" in refused(write_grid(tmp_path / "rgb.tif", bands, nodata=None))
    whirled = Affine(7, 7, 1_020_000, 7, -7, 840_000)
    sentence = refused(write_grid(tmp_path / "rotated.tif", depths(), transform=whirled))
    assert "is rotated" in sentence
    assert "gdalwarp rotated.tif" in sentence
    nowhere = write_grid(tmp_path / "nowhere.tif", depths(), transform=Affine.identity(), crs=None)
    assert "does not say where it lies" in refused(nowhere)
    assert "complex" in refused(write_grid(tmp_path / "wave.tif", np.ones((4, 4), dtype=np.complex64), nodata=None))


def test_a_grid_in_one_piece_is_refused_with_the_command_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resilience.rasters._BLOCK_CELLS", 1000)
    path = write_grid(tmp_path / "piece.tif", depths(), blockysize=40, compress="deflate")
    assert "gdal_translate -of COG piece.tif piece_cog.tif" in refused(path)


def test_a_damaged_grid_is_named_not_read_as_dry(tmp_path: Path) -> None:
    path = write_grid(
        tmp_path / "torn.tif", depths(600, 600), tiled=True, blockxsize=256, blockysize=256, compress="deflate"
    )
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    grid, _ = open_grid(path)
    with pytest.raises(UnreadableDelivery, match=r"torn.tif is damaged"):
        survey(settled(grid, load_standard(), "ft", False))


def test_windows_are_whole_blocks_of_bounded_size(tmp_path: Path) -> None:
    grid, _ = open_grid(write_grid(tmp_path / "grid.tif", depths()))
    for block, size, window in [
        ((256, 256), (126_000, 126_000), (2048, 2048)),
        ((512, 512), (126_000, 126_000), (2048, 2048)),
        ((1, 126_000), (126_000, 126_000), (33, 126_000)),
        ((128, 128), (300, 400), (300, 384)),
        ((7, 383), (232, 383), (232, 383)),
    ]:
        big = dataclasses.replace(grid, block=block, height=size[0], width=size[1])
        assert big.window == window


@pytest.mark.real
def test_the_real_rasters_are_caught(shared_data: Path, judged: Judged) -> None:
    galveston = shared_data / "incore-coastal-rasters" / "tests" / "data"
    for name in ("Surge_Raster.tif", "Inundation_Raster.tif"):
        assert set(judged(galveston / name, units=None, datum=None)) == {
            "GRID_UNITS_MISSING",
            "GRID_DATUM_MISSING",
            "GRID_OUTSIDE_STATE",
        }
    grid, stated = open_grid(galveston / "Surge_Raster.tif")
    counted = survey(settled(grid, load_standard(), "m", False))
    assert stated.nodata == np.finfo(np.float64).max
    assert counted.undeclared == 0
    assert counted.deepest_ft == pytest.approx(4.799801521281243 / 0.3048)
    kampen = shared_data / "damagescanner-kampen" / "data" / "kampen" / "hazard" / "1in100_inundation_map.tif"
    assert set(judged(kampen, units="m")) == {"GRID_CRS_REFUSED"}
    images = shared_data / "rio-tiler-cogs" / "tests" / "fixtures" / "my-bucket" / "hro_sources" / "colorado"
    assert "holds 3 bands" in refused(images / "201404_13SED190110_201404_0x1500m_CL_1.tif")
