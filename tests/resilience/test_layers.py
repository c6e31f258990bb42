"""Hazard layers by configuration: what the name of a layer says, classes, several files, coverage, dates, datums."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from psycopg.rows import dict_row

from resilience.layer_reading import classifier, file_date
from resilience.layer_sources import LayerSource, layer_source, load_sources, read_source
from resilience.layer_versions import list_versions
from resilience.layers import load_layer
from statewide.database import connect
from statewide.errors import BadArgument, LawError, UnreadableDelivery
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.resilience.flood_maps import Polygon, box, write_map, write_panels, zone
from tests.resilience.layer_files import step, write_county, write_layers

Load = Callable[..., dict[str, Any]]
SOURCES = Path("resilience/sources")


@pytest.fixture
def load(settings: Settings, tmp_path: Path) -> Load:
    """Load files as a version of a layer."""

    def go(layer: str, *files: Path, version: str = "v1", **options: Any) -> dict[str, Any]:
        with connect(settings) as connection:
            return load_layer(
                connection,
                load_standard(),
                layer_source(layer),
                files,
                version=version,
                work=tmp_path,
                **options,
            )

    return go


def rows(settings: Settings, query: str) -> list[dict[str, Any]]:
    with connect(settings) as connection:
        return connection.cursor(row_factory=dict_row).execute(query.encode()).fetchall()


def surge(shape: Any, category: Any) -> Polygon:
    return shape, {"HURR_CAT": category, "gridcode": 1}


def test_every_source_is_for_a_layer_table_and_classes_of_the_law() -> None:
    assert set(load_sources()) == {
        "flood-zones", "sea-level-rise", "storm-surge", "evacuation-zones", "extreme-heat",
    }  # fmt: skip
    assert [name for name, source in load_sources().items() if source.nested] == ["sea-level-rise", "storm-surge"]
    assert layer_source("flood-zones").has_sfha
    with pytest.raises(BadArgument, match="storm-surge"):
        layer_source("meteors")


@pytest.mark.parametrize(
    ("name", "step_ft", "connection", "zone_class"),
    [
        ("CT_slr_0ft", 0, "connected", "slr_0ft"),
        ("CT_slr_0_5ft", 0.5, "connected", "slr_0_5ft"),
        ("ct_low_10ft", 10, "low_lying", "low_10ft"),
        ("CT_low_1_5ft", 1.5, "low_lying", "low_1_5ft"),
        ("CT_slr_1_0ft", 1, "connected", "slr_1ft"),
    ],
)
def test_step_and_connection_come_from_the_name_of_the_layer(
    load: Load, settings: Settings, tmp_path: Path, name: str, step_ft: float, connection: str, zone_class: str
) -> None:
    load("sea-level-rise", write_layers({name: [step(box(0, 0, 90, 90))]}, tmp_path / "in"))
    [row] = rows(settings, "SELECT * FROM published.sea_level_rise")
    assert (row["step_ft"], row["connection"], row["zone_class"], row["v_datum"]) == (
        step_ft, connection, zone_class, "MHHW",
    )  # fmt: skip


def test_the_layers_of_one_file_make_one_version_with_numbers_of_their_own(
    load: Load, settings: Settings, tmp_path: Path
) -> None:
    file = write_layers(
        {
            "CT_slr_0_5ft": [step(box(0, 0, 90, 90)), step(box(100, 0, 190, 90))],
            "CT_low_0_5ft": [step(box(200, 0, 290, 90))],
            "CT_slr_6ft": [step(box(0, 0, 500, 90))],
            "CT_conf_6ft": [step(box(0, 0, 900, 900))],
        },
        tmp_path / "in",
    )
    result = load("sea-level-rise", file)
    assert result["rows"] == {"read": 4, "published": 4, "held": 0}
    assert result["classes"] == {"slr_0_5ft": 2, "low_0_5ft": 1, "slr_6ft": 1}
    found = rows(settings, "SELECT row_no, zone_class_rank FROM resilience.sea_level_rise ORDER BY row_no")
    assert [row["row_no"] for row in found] == [1, 2, 3, 4]
    [version] = rows(settings, "SELECT * FROM resilience.hazard_layer_version")
    assert (version["v_datum"], version["license"]) == ("MHHW", "United States Government work, public domain")
    assert version["source_name"].startswith("NOAA")


def test_a_step_between_two_of_the_list_is_no_class(load: Load, tmp_path: Path) -> None:
    polygons = [
        step(box(0, 0, 90, 90), Step=1.667, Connected="slr"),
        step(box(0, 0, 95, 95), Step=2.0, Connected="low"),
    ]
    result = load("sea-level-rise", write_layers({"scenario": polygons}, tmp_path / "in"))
    assert (result["outcome"], result["blocked_by"]) == ("refused", ["LAYER_CLASS_UNKNOWN"])
    assert "1.667" in result["told"][0]["sentence"]
    accept = {"LAYER_CLASS_UNKNOWN": "only the steps are wanted"}
    result = load("sea-level-rise", write_layers({"scenario": polygons}, tmp_path / "in2"), accept=accept)
    assert (result["classes"], result["held"][0]["row"]) == ({"low_2ft": 1}, 1)


@pytest.mark.parametrize("kind", ["shapefile", "filegdb"])
def test_surge_categories_are_read_from_text_and_each_is_kept_as_delivered(
    load: Load, settings: Settings, tmp_path: Path, kind: str
) -> None:
    nested = [surge(box(0, 0, 100 * at, 90), str(at)) for at in range(1, 5)]
    file = write_map(nested, tmp_path / "in", kind=kind, epsg=2234, layer="CT_Hurricane_Surge_Inundation")
    load("storm-surge", file)
    found = rows(settings, "SELECT *, ST_Area(geom) AS area FROM published.storm_surge ORDER BY hurricane_category")
    assert [(row["hurricane_category"], row["zone_class"]) for row in found] == [
        (at, f"surge_cat_{at}") for at in range(1, 5)
    ]
    assert [row["area"] for row in found] == pytest.approx([9000, 18000, 27000, 36000])
    ranks = [row["zone_class_rank"] for row in found]
    assert ranks == sorted(ranks, reverse=True)


def test_evacuation_zones_and_heat_have_their_classes(load: Load, settings: Settings, tmp_path: Path) -> None:
    zones = [(box(0, 0, 90, 90), {"EVAC_ZONE": "A"}), (box(100, 0, 190, 90), {"EVAC_ZONE": "zone  b"})]
    load("evacuation-zones", write_layers({"Evacuation_Zones_2014": zones}, tmp_path / "evac"))
    found = rows(settings, "SELECT zone_class, evacuation_zone FROM published.evacuation_zones ORDER BY zone_class")
    assert [tuple(row.values()) for row in found] == [("evacuation_a", "A"), ("evacuation_b", "zone  b")]
    heat = [(box(at * 100, 0, at * 100 + 90, 90), {"HEAT_CLASS": at, "Mean_Temp": 80.5 + at}) for at in range(1, 6)]
    load("extreme-heat", write_layers({"urban_heat": heat}, tmp_path / "heat"))
    found = rows(settings, "SELECT zone_class, heat_value FROM published.extreme_heat ORDER BY heat_class")
    assert [row["zone_class"] for row in found] == [f"heat_{at}" for at in range(1, 6)]
    assert found[4]["heat_value"] == 85.5


def test_counties_make_one_version_with_their_coverage_and_their_dates(
    load: Load, settings: Settings, tmp_path: Path
) -> None:
    one = write_county(
        {
            "S_FLD_HAZ_AR": [zone(box(0, 0, 400, 400), "AE", DFIRM_ID="09001C")],
            "S_FIRM_PAN": [(box(0, 0, 500, 500), {"FIRM_PAN": "09001C0001F"})],
            "S_BFE": [(box(0, 0, 5, 5), {"ELEV": 9.0})],
        },
        tmp_path,
        "09001C_20250708",
    )
    other = write_county(
        {
            "S_FLD_HAZ_AR": [zone(box(500, 0, 900, 400), "VE", DFIRM_ID="09009C")],
            "S_FIRM_PAN": [(box(500, 0, 1000, 500), {"FIRM_PAN": "09009C0001F"})],
        },
        tmp_path,
        "09009C_20101217",
    )
    result = load("flood-zones", one, other, version="2025-07")
    assert (result["effective_on"], result["effective_how"]) == ("2025-07-08", "by the file's name")
    found = rows(settings, "SELECT dfirm_id, effective_on, source_sha256 FROM published.flood_zones ORDER BY dfirm_id")
    assert [(row["dfirm_id"], row["effective_on"]) for row in found] == [
        ("09001C", dt.date(2025, 7, 8)), ("09009C", dt.date(2010, 12, 17)),
    ]  # fmt: skip
    assert found[0]["source_sha256"] != found[1]["source_sha256"]
    [covered] = rows(settings, "SELECT count(*), sum(ST_Area(geom)) AS area FROM resilience.hazard_coverage")
    assert (covered["count"], covered["area"]) == (2, pytest.approx(500_000, abs=5))
    assert load("flood-zones", other, one, version="2025-07")["outcome"] == "unchanged"  # in whatever order
    [listed] = rows(settings, "SELECT source_file, effective_on FROM resilience.hazard_layer_version")
    assert listed["source_file"] == "09001C_20250708.zip, 09009C_20101217.zip"


def test_a_stated_date_comes_before_the_one_in_the_name(load: Load, tmp_path: Path) -> None:
    file = write_county({"S_FLD_HAZ_AR": [zone(box(0, 0, 90, 90), "X")]}, tmp_path, "09001C_20250708")
    result = load("flood-zones", file, effective_on=dt.date(2025, 8, 1))
    assert (result["effective_on"], result["effective_how"]) == ("2025-08-01", "as stated")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("09009C_20240710.zip", dt.date(2024, 7, 10)),
        ("NFHL_09_20240710.zip", dt.date(2024, 7, 10)),
        ("09009C_20249910.zip", None),
        ("S_FLD_HAZ_AR_20240710.zip", None),
        ("zones.zip", None),
    ],
)
def test_femas_file_names_have_a_date(name: str, expected: dt.date | None) -> None:
    assert file_date(layer_source("flood-zones"), name) == expected


def test_the_same_file_twice_in_one_call_is_a_slip(load: Load, tmp_path: Path) -> None:
    file = write_map([zone(box(0, 0, 9, 9), "X")], tmp_path / "in")
    with pytest.raises(BadArgument, match="twice"):
        load("flood-zones", file, file)


def test_panels_alone_are_no_flood_map(load: Load, tmp_path: Path) -> None:
    with pytest.raises(UnreadableDelivery, match="FLD_ZONE"):
        load("flood-zones", write_panels([box(0, 0, 9, 9)], tmp_path / "panels"))


def test_a_layer_without_name_and_columns_is_not_the_layer(load: Load, tmp_path: Path) -> None:
    file = write_layers({"something": [step(box(0, 0, 9, 9))]}, tmp_path / "in")
    for layer, column in (("sea-level-rise", "SLR_FT"), ("storm-surge", "HURR_CAT"), ("extreme-heat", "HEAT_CLASS")):
        with pytest.raises(UnreadableDelivery, match=f"{column}.*{layer_source(layer).title}"):
            load(layer, file)


def test_in_a_file_of_several_layers_the_columns_tell_where_the_names_do_not(
    load: Load, settings: Settings, tmp_path: Path
) -> None:
    layers = {"towns": [step(box(0, 0, 9, 9))], "inundation": [surge(box(0, 0, 90, 90), 2)]}
    load("storm-surge", write_layers(layers, tmp_path / "a"))
    [row] = rows(settings, "SELECT zone_class FROM published.storm_surge")
    assert row["zone_class"] == "surge_cat_2"
    with pytest.raises(UnreadableDelivery, match="known as Extreme heat; it has: towns, inundation"):
        load("extreme-heat", write_layers(layers, tmp_path / "b"))
    with pytest.raises(UnreadableDelivery, match="could say what is mapped"):
        file = write_layers({"Hurricane_Surge": [surge(box(0, 0, 90, 90), 3)]}, tmp_path / "c")
        load("storm-surge", file, version="v2", coverage=[write_layers(layers, tmp_path / "d")])


def test_versions_are_listed_with_what_they_are(load: Load, settings: Settings, tmp_path: Path) -> None:
    load("storm-surge", write_layers({"HurricaneSurge": [surge(box(0, 0, 9, 9), 1)]}, tmp_path / "a"), version="2008")
    load("storm-surge", write_layers({"HurricaneSurge": [surge(box(0, 0, 9, 9.5), 1)]}, tmp_path / "b"), version="2026")
    with connect(settings) as connection:
        listed = list_versions(connection)
    assert [(row["layer_version"], row["is_current"], row["has_coverage"]) for row in listed] == [
        ("2026", True, False), ("2008", False, False),
    ]  # fmt: skip
    assert listed[0]["rows"]["published"] == 1


def test_the_first_rule_whose_condition_holds_decides() -> None:
    given = yaml.safe_load((SOURCES / "extreme-heat.yml").read_text(encoding="utf-8"))
    given["classes"] = [
        {"by": "words", "fields": ["heat_class"], "when": {"heat_class": 9}, "words": {"9": "heat_5"}},
        {"by": "value", "fields": ["heat_class"], "codes": "heat_[12]"},
    ]
    class_of = classifier(load_standard(), LayerSource.model_validate({**given, "otherwise": "heat_1"}))
    assert [class_of({"heat_class": value}) for value in (9, 2, 3, None)] == ["heat_5", "heat_2", "heat_1", "heat_1"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"table": "meteor"}, "no table 'meteor'"),
        ({"layer": "storm"}, "another"),
        ({"required": ["crater"]}, "required: the table extreme_heat has no field crater"),
        ({"label_fields": ["crater"]}, "no field crater"),
        ({"names": [{"pattern": "(?P<crater>.*)"}]}, "no field crater"),
        ({"names": [{"pattern": "("}]}, "no regular expression"),
        ({"classes": [{"by": "words", "fields": ["heat_class"], "words": {"hot": "crater"}}]}, "no class crater"),
        ({"classes": [{"by": "value", "fields": ["heat_class", "heat_value"]}]}, "one field"),
        ({"otherwise": "surge_cat_1"}, "no class surge_cat_1"),
        ({"file_date": r"\d{8}"}, "one group"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_source_file_is_named_with_the_place_in_it(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    given = yaml.safe_load((SOURCES / "extreme-heat.yml").read_text(encoding="utf-8"))
    file = tmp_path / "extreme-heat.yml"
    file.write_text(yaml.safe_dump({**given, **change}), encoding="utf-8")
    with pytest.raises(LawError, match=r"resilience/sources/extreme-heat\.yml: ") as caught:
        read_source(file)
    assert said in str(caught.value)
