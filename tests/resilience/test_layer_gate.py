"""What refuses a hazard layer, what is said of it, what may be accepted: the live version stays until then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from psycopg.rows import dict_row

from resilience.layer_sources import layer_source
from resilience.layers import load_layer
from statewide.database import connect
from statewide.errors import BadArgument
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.resilience.flood_maps import Polygon, box, write_map, write_panels, zone
from tests.resilience.layer_files import squares, step, write_county, write_layers

Load = Callable[..., dict[str, Any]]


@pytest.fixture
def load(settings: Settings, tmp_path: Path) -> Load:
    """Load polygons or files as a version of a layer, and commit what was done."""
    count = 0

    def go(given: list[Polygon] | list[Path], version: str = "v1", layer: str = "flood-zones", **options: Any) -> Any:
        nonlocal count
        count += 1
        files = given if isinstance(given[0], Path) else [write_map(given, tmp_path / f"map-{count}")]
        with connect(settings) as connection:
            return load_layer(
                connection, load_standard(), layer_source(layer), files, version=version, work=tmp_path, **options
            )

    return go


def live(settings: Settings) -> list[dict[str, Any]]:
    """The current version, and how many zones it has."""
    query = """
        SELECT layer_version, (SELECT count(*) FROM resilience.flood_zone) AS zones, summary
        FROM resilience.hazard_layer_version WHERE is_current
    """
    with connect(settings) as connection:
        return connection.cursor(row_factory=dict_row).execute(query).fetchall()


def zones(count: int, **columns: Any) -> list[Polygon]:
    return [zone(shape, "AE", **columns) for shape in squares(count)]


def told(result: dict[str, Any], code: str) -> str:
    """The sentence of the one finding of that code."""
    [sentence] = [it["sentence"] for it in result["told"] if it["code"] == code]
    return str(sentence)


def test_a_layer_of_another_state_is_refused_with_what_would_mend_it(
    load: Load, settings: Settings, tmp_path: Path
) -> None:
    elsewhere = write_map([zone(shapely.box(3e6, 5e5, 3.1e6, 6e5), "AE")], tmp_path / "a", epsg=6434)
    result = load([elsewhere])
    assert (result["outcome"], result["blocked_by"]) == ("refused", ["LAYER_OUTSIDE_STATE"])
    assert "lies in Connecticut, read in EPSG:6434 as it says" in told(result, "LAYER_OUTSIDE_STATE")
    assert live(settings) == []


def test_metres_that_are_said_to_be_feet_are_recognised(load: Load, settings: Settings, tmp_path: Path) -> None:
    metres = shapely.transform(box(0, 0, 500, 500), lambda xy: xy * (1200 / 3937))
    result = load([write_map([zone(metres, "AE")] * 3, tmp_path / "a", epsg=2234)])
    assert result["blocked_by"] == ["LAYER_OUTSIDE_STATE"]
    assert "EPSG:26956" in told(result, "LAYER_OUTSIDE_STATE")
    assert live(settings) == []


def test_a_layer_that_does_not_say_its_system_is_taken_only_when_somebody_accepts_the_guess(
    load: Load, settings: Settings, tmp_path: Path
) -> None:
    file = write_map(zones(3), tmp_path / "a", kind="shapefile", epsg=None)
    result = load([file])
    assert result["blocked_by"] == ["LAYER_CRS_DOUBTFUL"]
    assert "EPSG:2234" in told(result, "LAYER_CRS_DOUBTFUL")
    assert live(settings) == []
    accepted = load([file], accept={"LAYER_CRS_DOUBTFUL": "the maker said so on the telephone"})
    assert accepted["outcome"] == "published"
    [version] = live(settings)
    assert version["summary"]["accepted"] == {"LAYER_CRS_DOUBTFUL": "the maker said so on the telephone"}


def test_nad27_is_refused_for_good(load: Load, tmp_path: Path) -> None:
    result = load([write_map(zones(3), tmp_path / "a", epsg=26756)], accept={"LAYER_CRS_DOUBTFUL": "no"})
    assert result["blocked_by"] == ["LAYER_CRS_UNKNOWN"]
    assert "NAD27" in told(result, "LAYER_CRS_UNKNOWN")


def test_a_label_that_lies_shows_beside_the_live_version(load: Load, settings: Settings, tmp_path: Path) -> None:
    load(zones(12))
    moved = [(shapely.transform(shape, lambda xy: xy + np.array([-131, 6])), columns) for shape, columns in zones(12)]
    result = load([write_map(moved, tmp_path / "a", epsg=6434)], "v2")
    assert result["blocked_by"] == ["LAYER_CRS_DOUBTFUL"]
    assert "131.1 ft west" in told(result, "LAYER_CRS_DOUBTFUL")
    assert "NAD27" in told(result, "LAYER_CRS_DOUBTFUL")
    assert [version["layer_version"] for version in live(settings)] == ["v1"]


def test_fillers_are_named_and_never_enter_a_height(load: Load, settings: Settings) -> None:
    result = load([zone(box(0, 0, 90, 90), "AE", STATIC_BFE=-9999.0), zone(box(90, 0, 180, 90), "AO", DEPTH=-8888.0)])
    assert result["findings"]["LAYER_PLACEHOLDER"] >= 3  # STATIC_BFE, DEPTH twice, VELOCITY, NP
    with connect(settings) as connection:
        assert connection.execute(
            "SELECT min(static_bfe_ft), min(depth_ft), min(velocity) FROM resilience.flood_zone"
        ).fetchone() == (None, None, None)


def test_heights_without_or_on_another_datum_are_found_and_one_that_is_stated_fills_them(
    load: Load, settings: Settings
) -> None:
    given = [
        zone(box(0, 0, 90, 90), "AE", STATIC_BFE=11.0),
        zone(box(90, 0, 180, 90), "AE", STATIC_BFE=12.0, V_DATUM="NGVD29"),
        zone(box(180, 0, 270, 90), "AE", STATIC_BFE=13.0, V_DATUM="NAVD88"),
        zone(box(270, 0, 360, 90), "AE"),
    ]
    result = load(given)
    assert result["outcome"] == "published"
    assert told(result, "LAYER_DATUM_MISSING").startswith("A height (base flood elevation")
    assert "NGVD29, not NAVD88" in told(result, "LAYER_DATUM_DIFFERS")
    result = load(given, "v2", datum="NAVD88")
    assert "LAYER_DATUM_MISSING" not in result["findings"]
    with connect(settings) as connection:
        found = connection.execute("SELECT v_datum FROM resilience.flood_zone ORDER BY static_bfe_ft").fetchall()
    assert [datum for (datum,) in found] == ["NAVD88", "NGVD29", "NAVD88", None]


def test_steps_above_another_datum_than_the_classes_mean_are_refused(load: Load, tmp_path: Path) -> None:
    file = write_layers({"CT_slr_1ft": [step(box(0, 0, 90, 90))]}, tmp_path / "a")
    result = load([file], layer="sea-level-rise", datum="NAVD88")
    assert result["blocked_by"] == ["LAYER_DATUM_WRONG"]
    assert "feet above MHHW; this is said to be above NAVD88" in told(result, "LAYER_DATUM_WRONG")
    assert load([file], layer="sea-level-rise", datum="MHHW")["outcome"] == "published"


def test_a_cut_layer_does_not_take_the_place_of_a_whole_one(load: Load, settings: Settings) -> None:
    load(zones(10))
    result = load(zones(7), "v2")
    assert (result["outcome"], result["written"], result["blocked_by"]) == ("refused", 0, ["LAYER_SHRUNK"])
    assert [it["sentence"] for it in result["told"]] == [
        "This version would have 7 polygons where the live one has 10 (70 %).",
        "This version would have 1.7 acres where the live one has 2.4 (69.0 %).",
    ]
    assert [(version["layer_version"], version["zones"]) for version in live(settings)] == [("v1", 10)]
    assert load(zones(9), "v3")["outcome"] == "published"
    accept = {"LAYER_SHRUNK": "three ponds were drained"}
    assert load(zones(6), "v4", accept=accept)["outcome"] == "published"
    [version] = live(settings)
    assert (version["zones"], version["summary"]["accepted"]) == (6, accept)


def test_a_class_or_a_study_that_is_missing_is_seen_though_the_layer_grew(load: Load) -> None:
    load([*zones(4), zone(box(0, 900, 90, 990), "VE", DFIRM_ID="09009C")])
    result = load(zones(30), "v2")
    assert result["blocked_by"] == ["LAYER_CLASS_LOST", "LAYER_STUDY_LOST"]
    assert "coastal_high_hazard, of which the live version has 1 polygon" in told(result, "LAYER_CLASS_LOST")
    assert "09009C" in told(result, "LAYER_STUDY_LOST")


def test_coverage_is_not_lost_unseen(load: Load, settings: Settings, tmp_path: Path) -> None:
    panels = [write_panels([box(0, 0, 3000, 3000)], tmp_path / "panels")]
    load(zones(4), coverage=panels)
    assert load(zones(5), "v2")["blocked_by"] == ["LAYER_COVERAGE_LOST"]
    less = [write_panels([box(0, 0, 1000, 1000)], tmp_path / "less")]
    result = load(zones(5), "v2", coverage=less)
    assert "covers 23.0 acres where the live one covers 206.6" in told(result, "LAYER_COVERAGE_LOST")
    assert load(zones(5), "v2", coverage=panels)["outcome"] == "published"
    [version] = live(settings)
    assert version["layer_version"] == "v2"


def test_coverage_that_lies_elsewhere_refuses_the_layer(load: Load, tmp_path: Path) -> None:
    elsewhere = write_panels([shapely.box(3e6, 5e5, 3.1e6, 6e5)], tmp_path / "panels")
    assert load(zones(3), coverage=[elsewhere])["blocked_by"] == ["LAYER_OUTSIDE_STATE"]


def test_a_layer_without_a_usable_polygon_is_refused(load: Load) -> None:
    assert load([zone(None, "AE"), zone(shapely.Point(950_000, 600_000), "AE")])["blocked_by"] == ["LAYER_EMPTY"]


@pytest.mark.parametrize("corner", [(1e15, 1e15), (0.0, 0.0)])
def test_a_zone_that_nobody_can_draw_is_not_left_out_unseen(
    load: Load, tmp_path: Path, corner: tuple[float, float]
) -> None:
    corners = shapely.get_coordinates(box(0, 0, 100, 100))
    corners[1] = corner
    given = [*zones(3), zone(shapely.Polygon(corners), "AE")]
    result = load([write_map(given, tmp_path / "a", epsg=6434)])
    assert result["blocked_by"] == ["LAYER_SHAPES_LOST"]
    assert "row 4" in told(result, "LAYER_SHAPES_LOST")


def test_one_study_in_two_files_is_seen(load: Load, tmp_path: Path) -> None:
    files = [
        write_county({"S_FLD_HAZ_AR": zones(count)}, tmp_path, f"09001C_{year}0708")
        for count, year in ((3, 2025), (4, 2010))
    ]
    result = load(files)
    assert result["blocked_by"] == ["LAYER_STUDY_TWICE"]
    assert "09001C_20100708.zip and 09001C_20250708.zip" in told(result, "LAYER_STUDY_TWICE")


@pytest.mark.parametrize(
    ("accept", "said"),
    [
        ({"LAYER_EMPTY": "so be it"}, "cannot be accepted"),
        ({"LAYER_DATUM_MISSING": "so be it"}, "cannot be accepted"),
        ({"COUNT_DROP": "so be it"}, "cannot be accepted"),
        ({"METEOR": "so be it"}, "cannot be accepted"),
        ({"LAYER_SHRUNK": " "}, "needs a reason"),
    ],
)
def test_only_a_check_that_refuses_a_layer_is_accepted_and_only_with_a_reason(
    load: Load, accept: dict[str, str], said: str
) -> None:
    with pytest.raises(BadArgument, match=said):
        load(zones(1), accept=accept)


def test_a_county_without_its_panels_is_named(load: Load, tmp_path: Path) -> None:
    panels = [(box(0, 0, 3000, 3000), {"FIRM_PAN": "09001C0001F"})]
    with_panels = write_county({"S_FLD_HAZ_AR": zones(3), "S_FIRM_PAN": panels}, tmp_path, "09001C_20250708")
    other = write_county({"S_FLD_HAZ_AR": zones(2, DFIRM_ID="09009C")}, tmp_path, "09009C_20250708")
    result = load([with_panels, other])
    assert result["outcome"] == "published"
    assert told(result, "LAYER_COVERAGE_PARTIAL").startswith("09009C_20250708.zip: without polygons")


@pytest.mark.real
def test_cambridges_real_flood_map_is_refused_for_it_lies_in_another_state(load: Load, shared_data: Path) -> None:
    folder = shared_data / "ma-cambridge" / "Hydro" / "FEMA_Floodplains_100_Year"
    result = load([folder / "FEMA_FloodPlains100Year.geojson"])
    assert (result["outcome"], result["blocked_by"]) == ("refused", ["LAYER_OUTSIDE_STATE"])
    assert result["findings"]["LAYER_PLACEHOLDER"] >= 1
    assert set(result["classes"]) <= {"one_percent", "floodway"}
