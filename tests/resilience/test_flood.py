"""FEMA's flood zones on their way in: what they mean, what FEMA's fillers become, versions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shapely
from psycopg.rows import dict_row

from resilience.layer_reading import classifier
from resilience.layer_sources import layer_source
from resilience.layers import load_layer
from statewide.database import connect
from statewide.errors import BadArgument, InputError, UnreadableDelivery
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.resilience.flood_maps import Polygon, box, write_map, write_panels, zone
from tests.towns import Fabric, write

Load = Callable[..., dict[str, Any]]
MINIMAL = zone(box(0, 0, 800, 800), "X", "AREA OF MINIMAL FLOOD HAZARD")


@pytest.fixture
def load(settings: Settings, tmp_path: Path) -> Load:
    """Load polygons, or a file, as a version of the flood zones."""
    count = 0

    def go(polygons: list[Polygon] | Path, version: str = "v1", **options: Any) -> dict[str, Any]:
        nonlocal count
        count += 1
        file = polygons if isinstance(polygons, Path) else write_map(polygons, tmp_path / f"map-{count}")
        with connect(settings) as connection:
            source = layer_source("flood-zones")
            return load_layer(connection, load_standard(), source, [file], version=version, work=tmp_path, **options)

    return go


def rows(
    settings: Settings, query: str = "SELECT * FROM published.flood_zones ORDER BY fld_zone"
) -> list[dict[str, Any]]:
    with connect(settings) as connection:
        return connection.cursor(row_factory=dict_row).execute(query.encode()).fetchall()


@pytest.mark.parametrize(
    ("fld_zone", "subtype", "expected"),
    [
        ("AE", "FLOODWAY", "floodway"),
        ("AE", "FLOODWAY CONTAINED IN CHANNEL", "floodway"),
        ("AE", "ADMINISTRATIVE FLOODWAY", "floodway"),
        ("AE", "COMMUNITY ENCROACHMENT AREA", "floodway"),
        ("AE", "RIVERINE FLOODWAY SHOWN IN COASTAL ZONE", "floodway"),
        ("AE", "RIVERINE FLOODPLAIN IN COASTAL ZONE", "one_percent"),
        ("AE", "COASTAL FLOODPLAIN", "one_percent"),
        ("AE", None, "one_percent"),
        ("ae ", "", "one_percent"),
        ("A", None, "one_percent"),
        ("AO", None, "one_percent"),
        ("A99", None, "one_percent"),
        ("A7", None, "one_percent"),
        ("A30", None, "one_percent"),
        ("VE", None, "coastal_high_hazard"),
        ("V12", None, "coastal_high_hazard"),
        ("VE", "RIVERINE FLOODWAY SHOWN IN COASTAL ZONE", "floodway"),
        ("X", "0.2 PCT ANNUAL CHANCE FLOOD HAZARD", "zero_two_percent"),
        ("X", "0.2 PCT ANNUAL CHANCE FLOOD HAZARD IN COASTAL ZONE", "zero_two_percent"),
        ("X", "1 PCT DEPTH LESS THAN 1 FOOT", "one_pct_depth_lt_1ft"),
        ("X", "1 PCT DRAINAGE AREA LESS THAN 1 SQUARE MILE", "one_pct_drainage_lt_1sqmi"),
        ("X", "1 PCT FUTURE CONDITIONS", "future_one_percent"),
        ("X", "1 PCT FUTURE CONDITIONS, FLOODWAY", "future_one_percent"),
        ("X", "AREA WITH REDUCED FLOOD RISK DUE TO LEVEE", "levee_reduced"),
        ("X", "AREA OF MINIMAL FLOOD HAZARD", "minimal"),
        ("X", None, "minimal"),
        ("X", "SOMETHING NEW", "zero_two_percent"),
        ("B", None, "zero_two_percent"),
        ("C", None, "minimal"),
        ("D", None, "undetermined"),
        ("D", "AREA WITH UNDETERMINED FLOOD HAZARD DUE TO LEVEE", "undetermined"),
        ("AREA NOT INCLUDED", None, "not_included"),
        ("OPEN WATER", None, "open_water"),
        ("ZZ", None, "undetermined"),
        (None, None, "undetermined"),
    ],
)
def test_zone_and_subtype_together_decide_the_class(fld_zone: str | None, subtype: str | None, expected: str) -> None:
    class_of = classifier(load_standard(), layer_source("flood-zones"))
    assert class_of({"fld_zone": fld_zone, "zone_subtype": subtype}) == expected


def test_classes_that_say_nothing_about_the_hazard_stand_outside_of_the_order() -> None:
    codes = load_standard().code_lists["hazard_class"].of_layers(("flood-zones",))
    rank = {code.code: code.rank for code in codes if code.rank is not None and code.code != "no_zone"}
    assert not {"undetermined", "not_included", "not_mapped", "open_water"} & set(rank)
    assert sorted(rank, key=lambda name: -rank[name])[:4] == [
        "floodway", "coastal_high_hazard", "one_percent", "future_one_percent",
    ]  # fmt: skip
    assert len(set(rank.values())) == len(rank)


def test_femas_fillers_become_empty_and_lengths_are_in_feet(load: Load, settings: Settings) -> None:
    result = load(
        [
            zone(box(0, 0, 100, 100), "AE", "NP", STATIC_BFE=11.5, V_DATUM="NAVD88", LEN_UNIT="Feet"),
            zone(box(100, 0, 200, 100), "AO", "", DEPTH=0.6096, LEN_UNIT="METERS"),
            zone(box(200, 0, 300, 100), "AH", "", STATIC_BFE=3.0, LEN_UNIT="Cubits"),
        ]
    )
    by_elevation, sheet, odd = rows(settings, "SELECT * FROM published.flood_zones ORDER BY fld_zone = 'AH', fld_zone")
    assert (by_elevation["static_bfe_ft"], by_elevation["v_datum"], by_elevation["depth_ft"]) == (11.5, "NAVD88", None)
    assert (by_elevation["zone_subtype"], by_elevation["velocity"], by_elevation["is_sfha"]) == (None, None, True)
    assert (sheet["static_bfe_ft"], sheet["depth_ft"], sheet["v_datum"]) == (None, pytest.approx(2.0), None)
    assert odd["static_bfe_ft"] is None
    assert result["odd"] == {"lengths in a unit that we do not know, left empty": 1}


@pytest.mark.parametrize(("kind", "epsg"), [("shapefile", 4269), ("filegdb", 6434), ("geojson", 4326)])
def test_any_format_and_spelling_of_the_columns_gives_the_same_zones(
    load: Load, settings: Settings, tmp_path: Path, kind: str, epsg: int
) -> None:
    polygons = [(shape, {name.lower(): value for name, value in columns.items()}) for shape, columns in [MINIMAL]]
    load(write_map(polygons, tmp_path / "lower", kind=kind, epsg=epsg, layer="my_zones"))
    [row] = rows(settings, "SELECT *, ST_Area(geom) AS area FROM published.flood_zones")
    assert (row["dfirm_id"], row["fld_zone"], row["zone_class"], row["is_sfha"]) == ("09001C", "X", "minimal", False)
    assert row["area"] == pytest.approx(800 * 800, abs=1)


def test_a_file_without_sfha_has_it_from_the_zone(load: Load, settings: Settings) -> None:
    polygons = [zone(box(0, 0, 9, 9), "A1"), zone(box(9, 0, 18, 9), "AREA NOT INCLUDED"), zone(box(18, 0, 27, 9), "X")]
    load([(shape, {k: v for k, v in columns.items() if k != "SFHA_TF"}) for shape, columns in polygons])
    assert [row["is_sfha"] for row in rows(settings)] == [True, False, False]


def test_every_row_is_published_or_held_and_each_repair_is_recorded(load: Load, settings: Settings) -> None:
    corners = shapely.get_coordinates(box(0, 0, 100, 100))
    bow_tie = shapely.Polygon(corners[[0, 2, 1, 3]])
    result = load([MINIMAL, zone(bow_tie, "AE"), zone(None, "AE"), zone(shapely.Point(corners[0]), "AE")])
    assert result["rows"] == {"read": 4, "published": 2, "held": 2}
    assert [(held["row"], held["why"]) for held in result["held"]] == [
        (3, "it has no shape"), (4, "it is a Point, not a polygon"),
    ]  # fmt: skip
    assert [(repair["row"], repair["why"]) for repair in result["repaired"]] == [(2, "the boundary crosses itself")]
    assert all(row["valid"] for row in rows(settings, "SELECT ST_IsValid(geom) AS valid FROM published.flood_zones"))


def test_zones_that_the_list_does_not_foresee_are_named(load: Load) -> None:
    result = load(
        [zone(box(0, 0, 9, 9), "ZZ"), zone(box(9, 0, 18, 9), "X", "NEW"), zone(box(18, 0, 27, 9), "AE", SFHA_TF="F")]
    )
    assert result["odd"] == {
        "zone ZZ, none that FEMA defines, classed as undetermined": 1,
        "zone X with the subtype NEW, not in our list, classed as zero_two_percent": 1,
        "zone AE with SFHA_TF F, taken as delivered": 1,
    }


def test_the_same_version_again_writes_nothing(load: Load, settings: Settings, tmp_path: Path) -> None:
    file = write_map([MINIMAL], tmp_path / "same")
    load(file)
    before = rows(settings, "SELECT xmin, * FROM resilience.flood_zone")
    again = load(file)
    assert (again["outcome"], again["written"]) == ("unchanged", 0)
    assert rows(settings, "SELECT xmin, * FROM resilience.flood_zone") == before


def test_the_same_version_with_other_content_is_refused_and_nothing_changes(load: Load, settings: Settings) -> None:
    load([MINIMAL])
    with pytest.raises(BadArgument, match="name a new version"):
        load([zone(box(0, 0, 5, 5), "AE")])
    assert [row["fld_zone"] for row in rows(settings)] == ["X"]


@pytest.mark.parametrize("name", ["", " ", "v" * 61])
def test_a_version_needs_a_name_of_sensible_length(load: Load, name: str) -> None:
    with pytest.raises(BadArgument, match="--version"):
        load([MINIMAL], name)


def test_a_new_version_replaces_the_old_one_which_is_kept(load: Load, settings: Settings, tmp_path: Path) -> None:
    old = write_map([MINIMAL], tmp_path / "old")
    load(old, "v1")
    accept = dict.fromkeys(("LAYER_SHRUNK", "LAYER_CLASS_LOST"), "a small invented map")
    load([zone(box(0, 0, 5, 5), "AE")], "v2", effective_on=dt.date(2025, 7, 8), accept=accept)
    [row] = rows(settings)
    assert (row["fld_zone"], row["layer_version"], row["effective_on"]) == ("AE", "v2", dt.date(2025, 7, 8))
    history = rows(settings, "SELECT * FROM resilience.flood_zone_history")
    assert [(row["fld_zone"], row["layer_version"]) for row in history] == [("X", "v1")]
    assert load(old, "v1", accept=accept)["outcome"] == "published"  # back to the earlier one
    assert [row["layer_version"] for row in rows(settings)] == ["v1"]
    current = rows(settings, "SELECT layer_version FROM resilience.hazard_layer_version WHERE is_current")
    assert [row["layer_version"] for row in current] == ["v1"]


def test_what_is_no_flood_map_is_refused(load: Load, settings: Settings, tmp_path: Path) -> None:
    no_zone = write(Fabric([box(0, 0, 9, 9)], {"NAME": ["x"]}), tmp_path / "a", layer="zones")
    text = tmp_path / "zones.gpkg"
    text.write_text("not a map")
    for file, said in ((no_zone, "FLD_ZONE"), (text, "zones.gpkg")):
        with pytest.raises(UnreadableDelivery, match=said):
            load(file)
    assert rows(settings) == []


def test_coverage_that_cannot_be_read_stops_the_load(load: Load, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        load([MINIMAL], coverage=[tmp_path / "missing.gpkg"])
    assert rows(settings) == []
    load([MINIMAL], coverage=[write_panels([box(0, 0, 900, 900)], tmp_path / "panels")])
    assert len(rows(settings, "SELECT * FROM resilience.hazard_coverage")) == 1
