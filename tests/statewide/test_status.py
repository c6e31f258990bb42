"""Who owes what: invented towns whose deliveries came in time, late, were refused, or never came."""

from __future__ import annotations

import csv
import datetime as dt
import uuid
from pathlib import Path
from typing import Any

import pytest
import shapely
from psycopg.types.json import Jsonb

from statewide.database import connect
from statewide.errors import BadArgument, UnknownTown
from statewide.register import Town, add_invented_towns
from statewide.settings import Settings
from statewide.standard import load_standard
from statewide.status import FileStatus, Status, TownStatus, collection_status, render_status, write_status_csv

TODAY = dt.date(2025, 7, 10)
TOWNS = ("Alder", "Birch", "Cedar", "Dogwood", "Elder")


def deliver(
    settings: Settings,
    town: str,
    dataset: str,
    day: str,
    outcome: str = "published",
    *,
    year: int = 2025,
    **summary: Any,
) -> None:
    """Record a submission as intake would, and what is live after it."""
    number = uuid.uuid4()
    code = str(99900 + TOWNS.index(town))
    with connect(settings) as connection:
        connection.execute(
            "INSERT INTO statewide.submission (submission_id, dataset, cousub_fips, year, file_name, file_sha256,"
            " received_at, outcome, summary, standard_version, software_version)"
            " VALUES (%s, %s, %s, %s, 'f', 'ab', %s, %s, %s, '1', '1')",
            [number, dataset, code, year, f"{day} 12:00+00", outcome, Jsonb(summary)],
        )
        if outcome != "refused":
            connection.execute(
                "INSERT INTO statewide.publication (cousub_fips, dataset, publication_id, submission_id, year,"
                " rows_published, rows_held, published_at) VALUES (%s, %s, %s, %s, %s, 700, 3, %s)"
                " ON CONFLICT (cousub_fips, dataset) DO UPDATE SET submission_id = excluded.submission_id,"
                " year = excluded.year, published_at = excluded.published_at",
                [code, dataset, uuid.uuid4(), number, year, f"{day} 12:00+00"],
            )


@pytest.fixture(scope="module")
def world(shared_settings: Settings) -> Settings:
    """Alder sent both in time, Birch one late. Cedar's of last year is live, this year's was refused. Dogwood sent
    parcels only, and a worse file since, which was refused. Elder sent nothing.
    """
    settings, box = shared_settings, shapely.box(950_000, 600_000, 956_000, 606_000)
    with connect(settings) as connection:
        add_invented_towns(
            connection,
            load_standard(),
            [Town(str(99900 + number), 901 + number, name, box) for number, name in enumerate(TOWNS)],
        )
        connection.execute(
            "UPDATE statewide.municipality SET planning_region_fips = CASE WHEN town_name IN ('Alder', 'Birch')"
            " THEN '09110' ELSE '09160' END WHERE is_invented"
        )
    deliver(settings, "Alder", "parcel", "2025-03-28", score={"points": 90.0})
    deliver(settings, "Alder", "assessment", "2025-04-02", score={"points": 91.97})
    deliver(settings, "Alder", "parcel", "2025-06-20", "unchanged", score={"points": 93.0})
    deliver(settings, "Birch", "parcel", "2025-04-30", score={"points": 40.0})
    deliver(settings, "Birch", "assessment", "2025-06-03", score={"points": 71.0})
    deliver(settings, "Cedar", "parcel", "2024-04-20", year=2024, score={"points": 80.0})
    deliver(settings, "Cedar", "parcel", "2025-05-11", "refused", blocked_by=["COUNT_DROP", "AREA_DROP"])
    deliver(settings, "Dogwood", "parcel", "2025-02-01")
    deliver(settings, "Dogwood", "parcel", "2025-06-01", "refused", blocked_by=["MOVED"])
    return settings


@pytest.fixture
def status(world: Settings) -> Status:
    return collection_status(world, year=2025, today=TODAY)


def of(status: Status, name: str) -> TownStatus:
    return next(town for town in status.towns if town.town == name)


def file(status: Status, name: str, dataset: str) -> FileStatus:
    return next(each for each in of(status, name).files if each.dataset == dataset)


def test_both_files_are_owed_by_the_first_of_may_and_the_first_accepted_one_counts(status: Status) -> None:
    assert status.due == dt.date(2025, 5, 1)
    assert [each.dataset for each in of(status, "Alder").files] == ["parcel", "assessment"]
    parcels = file(status, "Alder", "parcel")
    assert (parcels.state, parcels.delivered_on) == ("in time", dt.date(2025, 3, 28))
    assert parcels.age_days == 20  # of what came last, though it was the same


def test_a_file_that_came_after_the_day_is_late_by_days(status: Status) -> None:
    late = file(status, "Birch", "assessment")
    assert (late.state, late.days_late, late.owed) == ("late", 33, False)
    assert file(status, "Birch", "parcel").state == "in time"


def test_last_years_file_and_a_refused_one_leave_this_years_owed(status: Status) -> None:
    owed = file(status, "Cedar", "parcel")
    assert (owed.state, owed.days_late, owed.live_year) == ("overdue", 70, 2024)
    assert (owed.refused_on, owed.refused_for) == (dt.date(2025, 5, 11), ("COUNT_DROP", "AREA_DROP"))
    assert owed.age_days == 446


def test_a_refusal_after_a_good_file_is_told_and_owes_nothing(status: Status) -> None:
    parcels = file(status, "Dogwood", "parcel")
    assert (parcels.state, parcels.refused_on) == ("in time", dt.date(2025, 6, 1))
    assert of(status, "Dogwood").silent is False


def test_before_the_day_nobody_is_late(world: Settings) -> None:
    early = collection_status(world, year=2025, today=dt.date(2025, 4, 1))
    assert {each.state for town in early.towns for each in town.files} == {"in time", "late", "due"}
    assert all(council.overdue == 0 for council in early.councils)


def test_who_is_latest_comes_first_and_who_delivered_in_time_last(world: Settings) -> None:
    found = [town.town for town in collection_status(world, year=2025, today=TODAY, council="Northwest").towns]
    assert found.index("Elder") < found.index("Cedar") < found.index("Dogwood") == len(found) - 1
    assert [town.town for town in collection_status(world, year=2025, today=TODAY).towns][-2:] == ["Birch", "Alder"]


def test_the_score_is_that_of_the_newest_live_file_and_is_rolled_up_by_council(status: Status) -> None:
    assert of(status, "Alder").score == 93.0
    assert of(status, "Cedar").score == 80.0
    assert of(status, "Dogwood").score is None
    capitol = next(each for each in status.councils if each.council == "Capitol")
    assert (capitol.towns, dict(capitol.delivered), capitol.score) == (40, {"parcel": 2, "assessment": 2}, 82.0)
    assert capitol.overdue == 38


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_the_terminal(status: Status, width: int) -> None:
    text = render_status(status, width)
    assert max(map(len, text.splitlines())) <= width
    for passage in ("2025-06-03, 33 d late", "refused 2025-05-11", "in time, then refused", "446 d", "93.0"):
        assert passage in text
    assert ("Northwest Hills" in next(line for line in text.splitlines() if line.startswith("Cedar"))) == (width == 120)


def test_one_town_or_one_council(world: Settings) -> None:
    assert [town.town for town in collection_status(world, town="cedar").towns] == ["Cedar"]
    assert len(collection_status(world, council="09110").towns) == 40
    with pytest.raises(UnknownTown):
        collection_status(world, town="Nowhere")
    for name in ("South", "Atlantis", "-"):  # two, none, nothing
        with pytest.raises(BadArgument, match="Capitol"):
            collection_status(world, council=name)


def test_the_spreadsheet_has_a_line_per_town_and_file(status: Status, tmp_path: Path) -> None:
    write_status_csv(status, tmp_path / "status.csv")
    lines = list(csv.DictReader((tmp_path / "status.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert len(lines) == 2 * len(status.towns) == 2 * 174
    cedar = next(line for line in lines if line["town"] == "Cedar" and line["dataset"] == "parcel")
    assert (cedar["state"], cedar["refused_for"], cedar["live_year"]) == ("overdue", "COUNT_DROP AREA_DROP", "2024")
    with pytest.raises(BadArgument, match="cannot be written"):
        write_status_csv(status, tmp_path)
