"""The five real deliveries beside the checkout, through `submit` on a real PostGIS: counts, outcomes and books."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cadastral.meeting import submit
from statewide.database import connect
from statewide.intake import Outcome, Request
from statewide.settings import Settings

pytestmark = pytest.mark.real

DELIVERIES = {
    "new_london_parcels_2025.zip": ("published", "declared", 2234),
    "woodstock_parcels_2025.gdb.zip": ("published", "declared", 6434),
    "chester_parcels_2025.gpkg": ("refused", "declared", 2234),
    "franklin_parcels_2025.geojson": ("published", "declared", 4326),
    "franklin_parcels_2025_noprj.zip": ("unchanged", "assumed", 2234),
}
Submit = Callable[[str], Outcome]


@pytest.fixture(scope="module")
def facts(shared_data: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((shared_data / "deliveries" / "FACTS.json").read_text())
    return found


@pytest.fixture(scope="module")
def deliver(shared_settings: Settings, shared_data: Path, facts: dict[str, dict[str, Any]]) -> Submit:
    def go(name: str) -> Outcome:
        request = Request(shared_data / "deliveries" / name, facts[name]["town"], 2025)
        return submit(shared_settings, request, lambda message: None)

    return go


@pytest.fixture(scope="module")
def outcomes(deliver: Submit) -> dict[str, Outcome]:
    """All five, in the order above: Franklin as GeoJSON first, then as a shapefile without .prj."""
    return {name: deliver(name) for name in DELIVERIES}


def table(settings: Settings) -> list[tuple[Any, ...]]:
    """Every live parcel with the place of its tuple: an update would move it."""
    with connect(settings) as connection:
        return connection.execute(
            "SELECT ctid::text, xmin::text, md5(t::text) FROM cadastral.parcel AS t ORDER BY parcel_uid"
        ).fetchall()


def one(settings: Settings, query: str, *values: Any) -> Any:
    with connect(settings) as connection:
        row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("name", DELIVERIES)
def test_every_count_is_that_of_the_facts(
    outcomes: dict[str, Outcome], facts: dict[str, dict[str, Any]], name: str
) -> None:
    counts = {key: value for key, value in facts[name].items() if key not in ("town", "crs")}
    summary = outcomes[name].summary
    assert {key: summary["facts"][key] for key in counts} == counts
    assert summary["rows"]["read"] == facts[name]["rows"]
    assert summary["findings"].get("GEOMETRY_MISSING", 0) == facts[name]["null_geometry"]


@pytest.mark.parametrize(("name", "ends"), DELIVERIES.items())
def test_each_ends_as_it_should(outcomes: dict[str, Outcome], name: str, ends: tuple[str, str, int]) -> None:
    summary = outcomes[name].summary
    assert (summary["outcome"], summary["crs"]["how"], summary["crs"]["epsg"]) == ends


def test_chester_is_one_town_loaded_twice(outcomes: dict[str, Outcome], shared_settings: Settings) -> None:
    outcome = outcomes["chester_parcels_2025.gpkg"]
    assert outcome.summary["blocked_by"] == ["TOWN_LOADED_TWICE"]
    chester = outcome.summary["cousub_fips"]
    assert one(shared_settings, "SELECT count(*) FROM published.parcels WHERE cousub_fips = %s", chester) == 0


def test_the_file_that_does_not_say_its_system_is_labelled_assumed(outcomes: dict[str, Outcome]) -> None:
    summary = outcomes["franklin_parcels_2025_noprj.zip"].summary
    assert 6434 in summary["crs"]["alternatives"]
    assert summary["findings"]["CRS_ASSUMED"] == 1


@pytest.mark.parametrize("name", DELIVERIES)
def test_the_books_close_also_as_stored(outcomes: dict[str, Outcome], shared_settings: Settings, name: str) -> None:
    with connect(shared_settings) as connection:
        row = connection.execute(
            "SELECT rows_read - rows_published - rows_held - rows_ignored,"
            " area_read_sqft - area_published_sqft - area_held_sqft - area_repaired_sqft,"
            " rows_published, area_published_sqft, rows_held,"
            " (SELECT count(*) FROM statewide.held_row AS h WHERE h.submission_id = l.submission_id)"
            " FROM statewide.ledger AS l WHERE submission_id = %s",
            [outcomes[name].summary["submission"]],
        ).fetchone()
    assert row is not None
    rows, area, published, published_area, held, kept = row
    assert rows == 0
    assert abs(area) <= 0.01
    summary = outcomes[name].summary
    assert (published, held) == (summary["rows"]["published"], summary["rows"]["held"])
    if summary["outcome"] == "published":
        assert kept == held
        town = summary["cousub_fips"]
        where = "FROM cadastral.parcel WHERE cousub_fips = %s"
        assert one(shared_settings, f"SELECT count(*) {where}", town) == published
        assert one(shared_settings, f"SELECT sum(ST_Area(geom)) {where}", town) == pytest.approx(
            published_area, abs=0.01
        )


def test_every_column_is_accounted_for(outcomes: dict[str, Outcome], shared_settings: Settings) -> None:
    for outcome in outcomes.values():
        columns = one(
            shared_settings,
            "SELECT source_columns FROM statewide.ledger WHERE submission_id = %s",
            outcome.summary["submission"],
        )
        assert {fate["fate"] for fate in columns.values()} <= {"mapped", "ignored", "withheld"}
        assert {"parcel_id", "cama_link", "location"} <= {fate.get("field") for fate in columns.values()}


def test_published_shapes_are_valid_and_lie_in_their_town(
    outcomes: dict[str, Outcome], shared_settings: Settings
) -> None:
    broken = "SELECT count(*) FROM cadastral.parcel WHERE NOT ST_IsValid(geom) OR ST_IsEmpty(geom)"
    assert one(shared_settings, broken) == 0
    far = (
        "SELECT count(*) FROM cadastral.parcel AS p JOIN statewide.municipality AS m USING (cousub_fips)"
        " WHERE NOT ST_DWithin(p.geom, m.geom, 2000)"
    )
    assert one(shared_settings, far) == 0


def test_franklin_as_geojson_and_then_as_shapefile_writes_no_row(
    outcomes: dict[str, Outcome], shared_settings: Settings
) -> None:
    rows = outcomes["franklin_parcels_2025_noprj.zip"].summary["rows"]
    assert (rows["added"], rows["changed"], rows["removed"]) == (0, 0, 0)
    assert rows["unchanged"] == rows["published"]
    assert one(shared_settings, "SELECT count(*) FROM cadastral.parcel_history") == 0


@pytest.mark.parametrize("name", [name for name, (outcome, *_) in DELIVERIES.items() if outcome == "published"])
def test_the_same_file_again_writes_no_row(
    outcomes: dict[str, Outcome], deliver: Submit, shared_settings: Settings, name: str
) -> None:
    before = table(shared_settings)
    again = deliver(name).summary
    assert again["outcome"] == "unchanged"
    assert (again["rows"]["added"], again["rows"]["changed"], again["rows"]["removed"]) == (0, 0, 0)
    assert again["rows"]["unchanged"] == outcomes[name].summary["rows"]["published"]
    assert table(shared_settings) == before
    assert one(shared_settings, "SELECT count(*) FROM cadastral.parcel_history") == 0


def test_trap_20_no_person_is_in_what_the_street_sees(outcomes: dict[str, Outcome], shared_settings: Settings) -> None:
    with connect(shared_settings) as connection:
        columns = connection.execute("SELECT * FROM published.parcels LIMIT 0").description or ()
    assert not {column.name for column in columns} & {"editor", "editor_comment", "delivered_town", "owner"}
