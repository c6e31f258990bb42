"""Aerial pictures on their way into the register, and what they show of each parcel."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from psycopg.rows import dict_row
from rasterio.enums import ColorInterp
from typer.testing import CliRunner

from cadastral.meeting import submit
from resilience.imagery import Flight, add_imagery, list_imagery, parse_bands, remove_imagery
from resilience.imagery_commands import app
from resilience.parcel_imagery import refresh_parcel_imagery
from resilience.picture import read_picture
from statewide.database import connect
from statewide.errors import BadArgument, InputError
from statewide.intake import Request
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.resilience.pictures import write_picture
from tests.towns import LOT, SOUTH, WEST, Fabric, alder, found_alder, write

STANDARD = load_standard()
SPRING = Flight(dt.date(2023, 3, 10), dt.date(2023, 4, 20))
Add = Callable[..., dict[str, Any]]


@pytest.fixture
def add(settings: Settings) -> Add:
    def go(*files: Path, program: str = "2023", flown: Flight = SPRING, **options: Any) -> dict[str, Any]:
        return add_imagery(settings, STANDARD, files, program=program, flown=flown, **options)

    return go


def rows(settings: Settings, query: str = "SELECT * FROM published.imagery ORDER BY file_name") -> list[dict[str, Any]]:
    with connect(settings) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()


def test_a_picture_is_registered_with_what_the_file_says(add: Add, settings: Settings, tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.tif", (0, 0, 2500, 2500), side_px=1000)
    result = add(picture)
    assert result["outcome"] == "published"
    assert result["pictures"] == {"added": 1, "updated": 0, "unchanged": 0}
    [row] = rows(settings)
    assert row["program"] == "2023"
    assert (row["flown_from"], row["flown_to"]) == SPRING
    assert row["grid_cell"] == "E950000N600000"
    assert row["gsd_ft"] == 2.5
    assert row["gsd_m"] == pytest.approx(0.762002)
    assert row["bands"] == "red,green,blue"
    assert (row["epsg"], row["width_px"], row["height_px"]) == (6434, 1000, 1000)
    assert row["picture_share_pct"] == 100
    assert row["pixel_to_ground"] == [2.5, 0, WEST, 0, -2.5, SOUTH + 2500]
    assert "file_path" not in row
    [outline] = rows(settings, "SELECT ST_AsBinary(geom) AS wkb FROM published.imagery")
    assert shapely.equals(shapely.from_wkb(outline["wkb"]), shapely.box(WEST, SOUTH, WEST + 2500, SOUTH + 2500))


def test_the_same_files_again_are_unchanged_and_not_read(add: Add, settings: Settings, tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.tif")
    add(picture)
    before = rows(settings)
    size, changed = picture.stat().st_size, picture.stat().st_mtime_ns
    picture.write_bytes(b"x" * size)
    os.utime(picture, ns=(changed, changed))
    again = add(picture)
    assert again["outcome"] == "unchanged"
    assert again["pictures"] == {"added": 0, "updated": 0, "unchanged": 1}
    assert rows(settings) == before


def test_another_flight_window_is_corrected_without_reading(add: Add, settings: Settings, tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.tif")
    add(picture)
    result = add(picture, flown=Flight.parse("2023-04-01"))
    assert result["pictures"] == {"added": 0, "updated": 1, "unchanged": 0}
    [row] = rows(settings)
    assert row["flown_from"] == row["flown_to"] == dt.date(2023, 4, 1)


def test_a_file_with_new_content_takes_the_place_of_the_old(add: Add, settings: Settings, tmp_path: Path) -> None:
    add(write_picture(tmp_path / "a.tif"))
    [before] = rows(settings)
    result = add(write_picture(tmp_path / "a.tif", color=(10, 20, 30)))
    assert result["pictures"]["added"] == 1
    [after] = rows(settings)
    assert after["imagery_uid"] != before["imagery_uid"]
    assert after["file_sha256"] != before["file_sha256"]


def test_a_folder_is_all_its_pictures_and_a_moved_file_keeps_its_row(
    add: Add, settings: Settings, tmp_path: Path
) -> None:
    for number in range(3):
        write_picture(tmp_path / "in" / f"{number}.tif", (number * 500, 0, number * 500 + 500, 500), side_px=100)
    assert add(tmp_path / "in")["pictures"]["added"] == 3
    before = {row["imagery_uid"] for row in rows(settings)}
    (tmp_path / "in").rename(tmp_path / "moved")
    [gone] = list_imagery(settings)
    assert len(gone["missing"]) == 3
    assert add(tmp_path / "moved")["pictures"] == {"added": 0, "updated": 3, "unchanged": 0}
    assert {row["imagery_uid"] for row in rows(settings)} == before
    [there] = list_imagery(settings)
    assert there["missing"] == there["changed"] == []
    assert there["pictures"] == 3


def test_what_is_not_cloud_optimized_is_refused_with_the_command_or_converted(
    add: Add, settings: Settings, tmp_path: Path
) -> None:
    plain = write_picture(tmp_path / "plain one.tif", side_px=1024, driver="GTiff")
    with pytest.raises(InputError) as refused:
        add(plain)
    copy = tmp_path / "plain one_cog.tif"
    assert f"rio cogeo create --cog-profile deflate '{plain}' '{copy}'" in str(refused.value)
    assert rows(settings) == []
    result = add(plain, converting=True)
    assert result["converted"] == 1
    [row] = rows(settings)
    assert row["file_name"] == "plain one.tif"
    assert row["file_sha256"] != row["delivered_sha256"]
    [converted] = (settings.home / "imagery").iterdir()
    with rasterio.open(converted) as copy_of, rasterio.open(plain) as original:
        assert (copy_of.read() == original.read()).all()
    assert add(plain, converting=True)["outcome"] == "unchanged"
    remove_imagery(settings, STANDARD, "2023")
    assert plain.exists()
    assert not converted.exists()


def test_the_outline_is_where_the_picture_has_data(add: Add, settings: Settings, tmp_path: Path) -> None:
    missing = np.zeros((1000, 1000), dtype=bool)
    missing[:, 750:] = True
    missing[100:104, 100:104] = True  # a dark roof
    add(write_picture(tmp_path / "a.tif", side_px=1000, missing=missing))
    [row] = rows(settings, "SELECT ST_AsBinary(geom) AS wkb, picture_share_pct FROM published.imagery")
    expected = shapely.box(WEST, SOUTH, WEST + 750, SOUTH + 1000)
    outline = shapely.from_wkb(row["wkb"])
    assert shapely.symmetric_difference(outline, expected).area < 1000 * 1000 / 500
    assert shapely.get_num_interior_rings(shapely.get_geometry(outline, 0)) == 0
    assert row["picture_share_pct"] == pytest.approx(75, abs=0.2)


def test_a_picture_in_another_system_lies_where_it_should(tmp_path: Path) -> None:
    import pyproj

    to_utm = pyproj.Transformer.from_crs(6434, 26918, always_xy=True)
    corner = to_utm.transform(WEST, SOUTH)
    path = write_picture(tmp_path / "utm.tif", (0, 0, 600, 600), epsg=26918, origin=corner, side_px=2000)
    picture = read_picture(path, STANDARD)
    assert picture.epsg == 26918
    assert picture.gsd_ft * 1200 / 3937 == pytest.approx(0.3, rel=2e-3)  # the scale of the projection differs from one
    x, y = np.array(to_utm.transform(*shapely.get_coordinates(picture.outline).T)) - np.array(corner)[:, None]
    assert min(x) == pytest.approx(0, abs=0.01)
    assert max(y) == pytest.approx(600, abs=0.01)


def test_a_picture_that_cannot_be_used_is_refused_in_one_sentence(add: Add, settings: Settings, tmp_path: Path) -> None:
    good = write_picture(tmp_path / "good.tif")
    text = tmp_path / "text.tif"
    text.write_text("not a picture")
    alpha = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    grey = (ColorInterp.gray, *[ColorInterp.undefined] * 3)
    everything = np.ones((512, 512), dtype=bool)
    four = (90, 140, 60, 200)
    for file, said, options in (
        (text, "no GeoTIFF", {}),
        (write_picture(tmp_path / "nowhere.tif", epsg=None), "rio edit-info --crs EPSG:6434", {}),
        (write_picture(tmp_path / "elsewhere.tif", epsg=26914), "EPSG:26914.* rio warp", {}),
        (write_picture(tmp_path / "old.tif", epsg=26756), "NAD27", {}),
        (write_picture(tmp_path / "metres.tif", epsg=26956), "does not lie in Connecticut", {}),
        (write_picture(tmp_path / "sixteen.tif", dtype="uint16"), "gdal_translate -ot Byte", {}),
        (write_picture(tmp_path / "grey.tif", color=four, interpretation=grey), "--bands red,green,blue,nir", {}),
        (
            write_picture(tmp_path / "alpha.tif", color=four, interpretation=alpha),
            "calls its band 4 a mask.* is nir, run: rio edit-info --colorinterp 4=undefined",
            {"bands": ("red", "green", "blue", "nir")},
        ),
        (tmp_path / "alpha.tif", "3 bands beside its mask, but --bands names 2", {"bands": ("red", "green")}),
        (write_picture(tmp_path / "void.tif", missing=everything), "holds no picture", {}),
        (tmp_path / "missing.tif", "There is no file", {}),
    ):
        with pytest.raises(InputError, match=said):
            add(file, **options)
    with pytest.raises(InputError, match="2 of 3 files cannot be used; nothing was registered"):
        add(good, text, tmp_path / "nowhere.tif")
    assert rows(settings) == []


def test_bands_are_named_by_the_file_or_by_who_adds_it(tmp_path: Path) -> None:
    grey = (ColorInterp.gray, *[ColorInterp.undefined] * 3)
    path = write_picture(tmp_path / "grey.tif", color=(1, 2, 3, 4), interpretation=grey)
    bands = parse_bands("Red, green,blue,near infrared", STANDARD)
    assert read_picture(path, STANDARD, bands).bands == ("red", "green", "blue", "nir")
    alone = write_picture(tmp_path / "pan.tif", color=(99,))
    assert read_picture(alone, STANDARD).bands == ("pan",)
    for text in ("red,red,blue", "red,ultraviolet", ""):
        with pytest.raises(BadArgument, match="--bands"):
            parse_bands(text, STANDARD)


@pytest.mark.parametrize(
    "text", ["2023", "2023-04-20/2023-03-10", "2023-03-10/2023-04-20/2023-05-01", "2199-01-01", ""]
)
def test_a_flight_window_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadArgument, match="--flown"):
        Flight.parse(text)


@pytest.fixture
def deliver(settings: Settings, tmp_path: Path) -> Callable[[Fabric], None]:
    """Publish a fabric of the invented town."""
    found_alder(settings)
    count = 0

    def go(fabric: Fabric) -> None:
        nonlocal count
        count += 1
        outcome = submit(settings, Request(write(fabric, tmp_path / f"parcels-{count}"), "alder", 2025), lambda _: None)
        assert outcome.summary["outcome"] == "published"

    return go


def by_parcel(settings: Settings) -> dict[str, dict[str, Any]]:
    return {row["parcel_id"]: row for row in rows(settings, "SELECT * FROM published.parcel_imagery")}


def test_each_parcel_knows_its_newest_imagery_and_how_much_of_it_is_shown(
    add: Add, settings: Settings, deliver: Callable[[Fabric], None], tmp_path: Path
) -> None:
    deliver(alder(rows=4, columns=4))
    # Two old pictures side by side that meet in the middle of a lot, and a new one over the south-west.
    add(
        write_picture(tmp_path / "w.tif", (0, 0, 300, 800), side_px=150),
        write_picture(tmp_path / "e.tif", (300, 0, 700, 800), side_px=200),
        program="2019",
        flown=Flight.parse("2019-03-24/2019-04-25"),
    )
    result = add(write_picture(tmp_path / "new.tif", (0, 0, 250, 200), side_px=100))
    assert result["parcels"] == {"measured": 16, "towns": 1}
    found = by_parcel(settings)
    assert len(found) == 16
    first = found["1-1"]
    assert (first["program"], first["covered_share_pct"], first["whole_program"]) == ("2023", 100, "2023")
    assert (first["flown_from"], first["flown_to"]) == SPRING
    second = found["1-2"]
    assert (second["program"], second["covered_share_pct"], second["whole_program"]) == ("2023", 25, "2019")
    assert second["share_by_program_pct"] == {"2019": 100, "2023": 25}
    above = found["2-1"]  # touches the new picture along an edge
    assert (above["program"], above["covered_share_pct"]) == ("2019", 100)
    last = found["4-4"]
    assert (last["program"], last["covered_share_pct"], last["whole_program"]) == ("2019", 50, None)


def test_only_parcels_that_changed_are_measured_again_and_removed_pictures_are_forgotten(
    add: Add, settings: Settings, deliver: Callable[[Fabric], None], tmp_path: Path
) -> None:
    fabric = alder(rows=2, columns=2)
    deliver(fabric)
    assert rows(settings, "SELECT * FROM published.parcel_imagery") == []
    add(write_picture(tmp_path / "a.tif", (0, 0, 400, 200), side_px=200))
    before = by_parcel(settings)
    assert before["2-1"]["program"] is None
    assert before["2-1"]["covered_share_pct"] == 0
    moved = fabric.copy()
    moved.shapes[3] = shapely.box(WEST + LOT, SOUTH + LOT - 20, WEST + 2 * LOT, SOUTH + 2 * LOT)
    moved.shapes[1] = shapely.box(WEST + LOT, SOUTH, WEST + 2 * LOT, SOUTH + LOT - 20)
    deliver(moved)
    after = by_parcel(settings)
    changed = {name for name in after if after[name]["computed_at"] != before[name]["computed_at"]}
    assert changed == {"1-2", "2-2"}
    assert after["2-2"]["covered_share_pct"] == pytest.approx(100 * 20 / 220, abs=1e-3)
    with connect(settings) as connection:
        connection.execute("DELETE FROM cadastral.parcel WHERE parcel_id = '1-1'")
        refresh_parcel_imagery(connection, STANDARD)
    assert len(rows(settings, "SELECT * FROM resilience.parcel_imagery")) == len(by_parcel(settings)) == 3
    remove_imagery(settings, STANDARD, "2023")
    assert {row["program"] for row in by_parcel(settings).values()} == {None}


def test_removing_names_what_is_not_there(add: Add, settings: Settings, tmp_path: Path) -> None:
    add(write_picture(tmp_path / "a.tif"), write_picture(tmp_path / "b.tif", color=(1, 2, 3)))
    for program, files in (("2012", []), ("2023", ["c.tif"])):
        with pytest.raises(BadArgument, match="not registered; nothing was removed"):
            remove_imagery(settings, STANDARD, program, files)
    assert remove_imagery(settings, STANDARD, "2023", ["a.tif"])["removed"] == 1
    assert [row["file_name"] for row in rows(settings)] == ["b.tif"]


def test_the_commands_add_list_and_remove(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATEWIDE_HOME", str(settings.home))
    monkeypatch.setenv("STATEWIDE_DATABASE_URL", settings.require_database_url())

    def said(*words: str) -> dict[str, Any]:
        done = CliRunner().invoke(app, [*words, "--json"])
        assert done.exit_code == 0, done.output
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    picture = write_picture(tmp_path / "a.tif", (0, 0, 5280, 5280), side_px=528)
    added = said(
        "add", str(picture), "--program", "2023", "--flown", "2023-03-10/2023-04-20", "--bands", "red,green,blue"
    )
    assert added["outcome"] == "published"
    [program] = said("list")["programs"]
    assert program["square_miles"] == 1
    assert program["bytes"] == picture.stat().st_size
    picture.unlink()
    assert f"{picture} is gone from the disk" in CliRunner().invoke(app, ["list"]).stdout
    assert said("remove", "--program", "2023")["removed"] == 1
    assert "No imagery is registered" in CliRunner().invoke(app, ["list"]).stdout
