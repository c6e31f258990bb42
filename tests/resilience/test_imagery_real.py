"""Real aerial pictures of elsewhere, in five styles of saying where there is no picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.picture import NotCloudOptimized, convert, read_picture, require_cloud_optimized
from statewide.errors import BadArgument
from statewide.standard import AcceptedCrs, Extent, Standard, load_standard

pytestmark = pytest.mark.real

NAME = "201404_13SED190110_201404_0x1500m_CL_1"
STYLES = ("", "_alpha", "_extmask", "_mask", "_nodata")


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "rio-tiler-cogs" / "tests" / "fixtures"


@pytest.fixture(scope="module")
def colorado(folder: Path) -> dict[str, Path]:
    inside = folder / "my-bucket" / "hro_sources" / "colorado"
    return {style: inside / f"{NAME}{style}.tif" for style in STYLES}


@pytest.fixture(scope="module")
def elsewhere() -> Standard:
    """The law of a state that has Colorado and Dakota in it, in their UTM zones."""
    standard = load_standard()
    zones = tuple(AcceptedCrs(epsg=code, title=f"UTM {code}", unit="metre") for code in (26913, 26914))
    header = standard.header.model_copy(
        update={
            "accepted_crs": standard.header.accepted_crs + zones,
            "extent": Extent(west=-106, south=38, east=-98, north=48),
        }
    )
    return standard.model_copy(update={"header": header})


def test_pictures_of_elsewhere_are_refused(colorado: dict[str, Path], shared_data: Path) -> None:
    for file in (*colorado.values(), shared_data / "opengeos-elevation" / "naip" / "m_4709963_se_14_1_20200831.tif"):
        with pytest.raises(BadArgument, match="which we do not accept"):
            read_picture(file, load_standard(), ("red", "green", "blue", "nir"))


def test_which_are_cloud_optimized(colorado: dict[str, Path], folder: Path) -> None:
    require_cloud_optimized(folder / "cog.tif")
    for file, why in (
        (folder / "nocog.tif", "not tiled"),
        (colorado[""], "external .ovr"),
        (colorado["_extmask"], "mask lies in a file beside it"),
        (colorado["_nodata"], "main IFD"),
    ):
        with pytest.raises(NotCloudOptimized, match=f"{why}.*rio cogeo create"):
            require_cloud_optimized(file)


@pytest.mark.parametrize(
    ("style", "share"), [("", 100), ("_alpha", 88.70), ("_extmask", 96.92), ("_mask", 96.92), ("_nodata", 97.34)]
)
def test_every_style_of_mask_is_kept_and_outlines_the_picture(
    style: str, share: float, colorado: dict[str, Path], elsewhere: Standard, tmp_path: Path
) -> None:
    """Shares of pixels with data as rasterio counts them in the files as they came; specks are filled."""
    target = tmp_path / "copy.tif"
    convert(colorado[style], target)
    require_cloud_optimized(target)
    picture = read_picture(target, elsewhere)
    assert picture.bands == ("red", "green", "blue")
    assert picture.picture_share_pct == pytest.approx(share, abs=0.6)
    assert picture.gsd_ft * 1200 / 3937 == pytest.approx(0.15, rel=0.05)  # Connecticut's feet are stretched out there


def test_four_bands_that_nobody_described_are_asked_for(shared_data: Path, elsewhere: Standard) -> None:
    naip = shared_data / "opengeos-elevation" / "naip" / "m_4709963_se_14_1_20200831.tif"
    require_cloud_optimized(naip)
    with pytest.raises(BadArgument, match=r"what its 4 bands show.*--bands red,green,blue,nir"):
        read_picture(naip, elsewhere)
    picture = read_picture(naip, elsewhere, ("red", "green", "blue", "nir"))
    assert picture.gsd_ft * 1200 / 3937 == pytest.approx(5.0, rel=0.05)
    assert 90 < picture.picture_share_pct <= 100
