"""Lists of critical facilities: each on its own, a lifeline for every place, and no person in any of them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from psycopg.rows import dict_row

from resilience.facilities import load_facilities
from statewide.database import connect
from statewide.errors import BadArgument, UnreadableDelivery
from statewide.settings import Settings
from statewide.standard import load_standard

Load = Callable[..., dict[str, Any]]
HARTFORD = (-72.6734, 41.7658)


@pytest.fixture
def load(settings: Settings, tmp_path: Path) -> Load:
    """Load a file as a version of a list, and commit."""

    def go(file: Path, source_list: str, version: str = "v1", **options: Any) -> dict[str, Any]:
        with connect(settings) as connection:
            return load_facilities(
                connection,
                load_standard(),
                file,
                source_list=source_list,
                version=version,
                work=tmp_path,
                **options,
            )

    return go


def table(folder: Path, rows: list[dict[str, Any]], name: str = "list") -> Path:
    """A CSV with coordinates in degrees; every further row a little farther east."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.csv"
    rows = [{"LON": HARTFORD[0] + at / 1000, "LAT": HARTFORD[1]} | row for at, row in enumerate(rows)]
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def facilities(settings: Settings, view: str = "published.critical_facilities") -> list[dict[str, Any]]:
    query = f"SELECT * FROM {view} ORDER BY source_list, facility_name"
    with connect(settings) as connection:
        return connection.cursor(row_factory=dict_row).execute(query.encode()).fetchall()


def schools(count: int) -> list[dict[str, Any]]:
    return [{"NAME": f"Loamgarth School {at}", "LADDR": f"{at} Main St", "LCITY": "LOAMGARTH"} for at in range(count)]


def test_the_name_of_a_known_list_is_a_facilitys_and_other_columns_stay_behind(
    load: Load, settings: Settings, tmp_path: Path
) -> None:
    rows = [
        {
            "NAME": "Wren Day Care", "ADDRESS": "1 Main St", "CITY": "Wren", "TYPE": "Center Based",
            "OWNER": "Ada Marl", "DIRECTOR": "Ben Quill", "PHONE": "860-555-0142",
        },
        {
            "NAME": "Marl, Ada", "ADDRESS": "2 Main St", "CITY": "Wren", "TYPE": "Family Day Care Home",
            "OWNER": "Ada Marl", "DIRECTOR": "Ada Marl", "PHONE": "860-555-0143",
        },
    ]  # fmt: skip
    result = load(table(tmp_path / "in", rows), "day-cares")
    assert result["rows"] == {"read": 2, "published": 1, "held": 0, "left_out": 1}
    [row] = facilities(settings)
    assert (row["facility_name"], row["lifeline"], row["facility_type"]) == (
        "Wren Day Care", "safety_and_security", "Center Based",
    )  # fmt: skip
    with connect(settings) as connection:
        everything = str(connection.execute("SELECT t::text, summary FROM resilience.critical_facility AS t"
                                            " CROSS JOIN resilience.hazard_layer_version").fetchall())  # fmt: skip
    for person in ("Ada", "Marl", "Ben", "Quill", "555"):
        assert person not in everything
    assert result["columns"]["OWNER"]["fate"] == "withheld"
    assert result["columns"]["DIRECTOR"]["fate"] == "unmapped"


def test_each_list_is_replaced_on_its_own_and_its_history_kept(load: Load, settings: Settings, tmp_path: Path) -> None:
    load(table(tmp_path / "a", schools(3)), "public-schools")
    load(table(tmp_path / "b", schools(2)), "private-schools")
    load(table(tmp_path / "c", schools(4)), "public-schools", "v2")
    found = [(row["source_list"], row["layer_version"]) for row in facilities(settings)]
    assert found == [("private-schools", "v1")] * 2 + [("public-schools", "v2")] * 4
    history = facilities(settings, "resilience.critical_facility_history")
    assert [(row["source_list"], row["layer_version"]) for row in history] == [("public-schools", "v1")] * 3
    query = "SELECT source_list, layer_version FROM resilience.hazard_layer_version WHERE is_current ORDER BY 1"
    with connect(settings) as connection:
        assert connection.execute(query).fetchall() == [("private-schools", "v1"), ("public-schools", "v2")]


def test_the_same_list_again_writes_nothing_and_other_content_needs_a_new_version(
    load: Load, settings: Settings, tmp_path: Path
) -> None:
    load(table(tmp_path / "a", schools(3)), "public-schools")
    before = facilities(settings, "resilience.critical_facility")
    assert load(table(tmp_path / "a", schools(3)), "public-schools")["outcome"] == "unchanged"
    assert facilities(settings, "resilience.critical_facility") == before
    with pytest.raises(BadArgument, match="public-schools was loaded before"):
        load(table(tmp_path / "b", schools(4)), "public-schools")


def test_a_new_list_needs_a_lifeline_and_a_column_for_the_name(load: Load, settings: Settings, tmp_path: Path) -> None:
    file = table(tmp_path / "a", [{"FacilityName": "Wren Hospital", "COMPONENT": "Medical Care"}])
    with pytest.raises(BadArgument, match="say its lifeline"):
        load(file, "hospitals")
    with pytest.raises(BadArgument, match="no lifeline 'health'"):
        load(file, "hospitals", lifeline="health")
    with pytest.raises(BadArgument, match="small letters"):
        load(file, "The Hospitals", lifeline="health_and_medical")
    load(file, "hospitals", lifeline="health_and_medical", component="Patient Movement")
    [row] = facilities(settings)
    assert (row["lifeline"], row["component"]) == ("health_and_medical", "Medical Care")
    person = table(tmp_path / "b", [{"NAME": "Ada Marl"}])
    with pytest.raises(UnreadableDelivery, match="facilities' names"):
        load(person, "others", lifeline="energy")


def test_in_a_list_of_several_kinds_the_kind_says_the_lifeline_and_an_unknown_one_refuses_it(
    load: Load, settings: Settings, tmp_path: Path
) -> None:
    kinds = ["Hospital", "fire station", "Wastewater treatment plant", "Windmill"]
    rows = [{"FacilityName": f"Wren {kind}", "FacilityType": kind} for kind in kinds]
    file = table(tmp_path / "a", rows)
    result = load(file, "facilities")
    assert result["blocked_by"] == ["LAYER_KIND_UNKNOWN"]
    assert "“Windmill”" in result["told"][0]["sentence"]
    result = load(file, "facilities", accept={"LAYER_KIND_UNKNOWN": "a windmill is none"})
    assert result["rows"] == {"read": 4, "published": 3, "held": 1, "left_out": 0}
    assert {row["facility_type"]: (row["lifeline"], row["component"]) for row in facilities(settings)} == {
        "Hospital": ("health_and_medical", "Medical Care"),
        "fire station": ("safety_and_security", "Fire Service"),
        "Wastewater treatment plant": ("water_systems", "Wastewater Management"),
    }


def test_points_without_a_place_or_in_another_state_are_held(load: Load, settings: Settings, tmp_path: Path) -> None:
    rows = [*schools(2), {"NAME": "Nowhere", "LON": 0.0, "LAT": 0.0}, {"NAME": "Lost", "LON": None, "LAT": None}]
    rows = [{"LADDR": "", "LCITY": ""} | row for row in rows]
    result = load(table(tmp_path / "a", rows), "public-schools")
    assert result["rows"] == {"read": 4, "published": 2, "held": 2, "left_out": 0}
    assert {held["row"] for held in result["held"]} == {3, 4}
    assert len(facilities(settings)) == 2


def test_a_telephone_in_a_value_is_emptied(load: Load, settings: Settings, tmp_path: Path) -> None:
    rows = [row | {"LADDR": "1 Main St, tel. 860-555-0142"} for row in schools(1)]
    result = load(table(tmp_path / "a", rows), "public-schools")
    assert result["findings"]["LAYER_PERSON_SHOWS"] == 1
    assert [row["address"] for row in facilities(settings)] == [None]


def test_a_list_that_shrank_or_lies_elsewhere_is_refused(load: Load, settings: Settings, tmp_path: Path) -> None:
    load(table(tmp_path / "a", schools(10)), "public-schools")
    result = load(table(tmp_path / "b", schools(5)), "public-schools", "v2")
    assert result["blocked_by"] == ["LAYER_SHRUNK"]
    assert len(facilities(settings)) == 10
    elsewhere = [row | {"LON": -90.0, "LAT": 40.0} for row in schools(4)]
    result = load(table(tmp_path / "c", elsewhere), "private-schools")
    assert result["blocked_by"] == ["LAYER_CRS_UNKNOWN"]  # only the columns' names said that it is degrees


@pytest.mark.real
def test_the_real_schools_and_day_cares_pass_whole_and_show_no_person(
    load: Load, settings: Settings, shared_data: Path
) -> None:
    folder = shared_data / "ct-facilities"
    counts = {}
    for name in ("day-cares", "public-schools", "private-schools"):
        result = load(folder / f"{name.replace('-', '_')}.shp", name)
        counts[name] = (result["outcome"], result["rows"]["read"], result["rows"]["published"])
        assert {fate["fate"] for fate in result["columns"].values()} == {"mapped", "ignored", "unmapped"}
        assert result["columns"]["NAME"]["field"] == "facility_name"
    assert counts == {
        "day-cares": ("published", 1513, 1513),
        "public-schools": ("published", 1184, 1184),
        "private-schools": ("published", 367, 367),
    }
    found = facilities(settings)
    assert {row["lifeline"] for row in found} == {"food_hydration_shelter", "safety_and_security"}
    assert all(row["facility_name"] for row in found)
    assert "delivered_town" not in found[0]
