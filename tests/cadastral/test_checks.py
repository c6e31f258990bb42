"""Checks over parcels that a town's year (tests/journeys) does not meet; dry runs against Alder as it is live."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import shapely

from cadastral.meeting import submit
from cadastral.parcels import PARCELS
from statewide.database import Connection
from statewide.findings import Finding
from statewide.intake import Delivery, Outcome, Request, TableCheck, take_in
from statewide.settings import Settings
from tests.towns import LOT, SOUTH, WEST, Fabric, alder, found_alder, write

Check = Callable[..., Outcome]


@pytest.fixture(scope="module")
def check(shared_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Check a fabric against the live town; nothing is published."""
    found_alder(shared_settings)
    folder = tmp_path_factory.mktemp("alder")
    submit(shared_settings, Request(write(alder(), folder / "live"), "Alder", 2025), lambda message: None)

    def go(fabric: Fabric, year: int = 2025, dataset: Any = PARCELS) -> Outcome:
        file = write(fabric, tmp_path_factory.mktemp("delivery"))
        request = Request(file, "Alder", year, publish=False)
        return take_in(shared_settings, Delivery((dataset,)), request, lambda message: None)

    return go


def named(outcome: Outcome, code: str) -> list[Finding]:
    return [finding for finding in outcome.log.findings if finding.code == code]


def repeat(fabric: Fabric, row: int, shape: Any = None, **values: Any) -> None:
    """Append a row again, changed as told."""
    fabric.append(
        shape or fabric.shapes[row], **{name: column[row] for name, column in fabric.columns.items()} | values
    )


def test_a_clean_fabric_raises_nothing(check: Check) -> None:
    assert check(alder()).summary["findings"] == {}


def test_two_rows_with_equal_everything_are_both_published_and_said(check: Check) -> None:
    twice = alder()
    repeat(twice, 5)
    repeat(twice, 5)
    outcome = check(twice)
    assert [(finding.row_no, "row 6" in finding.sentence) for finding in named(outcome, "DUPLICATE_ROW")] == [
        (65, True),
        (66, True),
    ]
    assert outcome.summary["findings"] == {"DUPLICATE_ROW": 2, "STACKED": 1}
    assert (outcome.summary["rows"]["published"], outcome.summary["rows"]["added"]) == (66, 2)


def test_trap_3_one_number_on_several_shapes_is_said_once_at_its_first_row(check: Check) -> None:
    shared = alder()
    for row in (10, 20, 30):
        shared.columns["Parcel_ID"][row] = "RIGHT OF WAY"
    (finding,) = named(check(shared), "DUPLICATE_ID")
    assert (finding.row_no, finding.column, finding.value) == (11, "Parcel_ID", "RIGHT OF WAY")
    assert "3 rows with 3 different shapes" in finding.sentence


def test_trap_3_spellings_of_one_number_count_as_one(check: Check) -> None:
    shared = alder()
    shared.columns["Parcel_ID"][10], shared.columns["Parcel_ID"][20] = "007/0A", "7 A"
    assert [finding.row_no for finding in named(check(shared), "DUPLICATE_ID")] == [11]


@pytest.mark.parametrize(("gap", "found"), [(900.0, []), (1200.0, ["700 ft"])])
def test_a_parcel_far_from_the_outline_is_named_with_its_distance(check: Check, gap: float, found: list[str]) -> None:
    stray = alder()
    west = WEST - gap - LOT  # the outline starts 500 ft west of the first lot
    stray.shapes[3] = shapely.box(west, SOUTH, west + LOT, SOUTH + LOT)
    findings = named(check(stray), "OUTSIDE_TOWN")
    assert [finding.row_no for finding in findings] == [4] * len(found)
    assert all(words in finding.sentence for words, finding in zip(found, findings, strict=True))


def test_rows_of_another_year_are_counted_by_year(check: Check) -> None:
    stale = alder()
    stale.columns["Collection_year"][:5] = ["2024.0", "2024", "2023", None, "2024"]
    outcome = check(stale)
    assert [(finding.value, "3 rows" in finding.sentence) for finding in named(outcome, "STALE_ROWS")] == [
        ("2023", False),
        ("2024", True),
    ]


def test_a_town_that_renumbers_wholesale_is_asked(check: Check) -> None:
    renumbered = alder()
    for column in ("Parcel_ID", "Link", "CAMA_Link"):
        renumbered.columns[column] = [f"N{index}" for index in range(64)]
    assert "IDS_REPLACED" in check(renumbered).summary["blocked_by"]


def test_half_of_the_numbers_kept_is_enough(check: Check) -> None:
    renumbered = alder()
    for column in ("Parcel_ID", "Link", "CAMA_Link"):
        renumbered.columns[column][:32] = [f"N{index}" for index in range(32)]
    assert named(check(renumbered), "IDS_REPLACED") == []


def test_a_third_of_the_town_that_moved_is_refused(check: Check) -> None:
    fabric = alder()
    fabric.shapes = [
        shapely.transform(shape, lambda xy: xy + 18) if row % 3 == 0 else shape
        for row, shape in enumerate(fabric.shapes)
    ]
    assert "MOVED" in check(fabric).summary["blocked_by"]


@pytest.mark.parametrize(("by", "blocked"), [(10.0, []), (18.0, ["MOVED"])])
def test_a_town_that_moved_as_a_whole_is_asked(check: Check, by: float, blocked: list[str]) -> None:
    moved = alder()
    moved.shapes = [shapely.transform(shape, lambda xy: xy + np.array([by, 0.0])) for shape in moved.shapes]
    assert check(moved).summary["blocked_by"] == blocked


def test_numbers_that_stand_twice_side_by_side_are_no_town_loaded_twice(check: Check) -> None:
    pairs = alder()
    for column in ("Parcel_ID", "Link", "CAMA_Link"):
        pairs.columns[column] = [pairs.columns[column][index // 2] for index in range(64)]
    assert named(check(pairs), "TOWN_LOADED_TWICE") == []


def test_a_small_town_is_not_judged_by_shares(check: Check) -> None:
    one = alder(rows=1, columns=1)
    repeat(one, 0)
    assert named(check(one), "TOWN_LOADED_TWICE") == []


def test_rows_say_themselves_what_is_odd_about_them(check: Check) -> None:
    odd = alder()
    for column in ("Parcel_ID", "Link", "CAMA_Link"):
        odd.columns[column][0] = None
    odd.columns["CAMA_Link"][1] = "99901-"
    odd.columns["CAMA_Link"][2] = "1-3"
    odd.columns["Shape_Area"][3] = 41_000.0
    odd.columns["Shape_Area"][4] = 40_005.0  # within ten square feet
    odd.shapes[5] = shapely.box(WEST, SOUTH, WEST + 7, SOUTH + 7)
    odd.columns["Shape_Area"][5] = 49.0
    odd.columns["Town_Name"][6] = "ALDER"
    odd.columns["Town_Name"][7] = "Birch"
    outcome = check(odd)
    assert {(finding.code, finding.row_no) for finding in outcome.log.findings} == {
        ("ID_MISSING", 1),
        ("CAMA_LINK_MALFORMED", 2),
        ("CAMA_LINK_MALFORMED", 3),
        ("AREA_DISAGREES", 4),
        ("TINY_PARCEL", 6),
        ("TOWN_MISMATCH", 8),
        ("LIVE_ROW_HELD", None),  # the parcel of row 8 is live
        ("OVERLAP_INSIDE", 1),  # where row 6 is drawn now
    }


def test_another_towns_code_in_the_link_holds_the_row_when_no_town_is_named(check: Check) -> None:
    strange = alder()
    del strange.columns["Town_Name"]
    strange.columns["CAMA_Link"][9] = "52350-2-2"
    (finding,) = [finding for finding in check(strange).log.findings if finding.row_no]
    assert (finding.code, finding.row_no, finding.column) == ("TOWN_MISMATCH", 10, "CAMA_Link")


def test_trap_16_a_road_drawn_as_a_parcel_is_published_and_classed(check: Check) -> None:
    roads = alder()
    roads.columns["Parcel_Type"][:4] = ["ROW", "ROAD", "HYDRO", "RAIL"]
    roads.columns["Parcel_Type"][4] = "Fairy Ring"
    roads.columns["Location"][:4] = [None] * 4
    outcome = check(roads)
    assert outcome.summary["rows"]["published"] == 64
    assert outcome.summary["findings"] == {"FIELD_EMPTIED": 1, "CODE_UNKNOWN": 1}


# ── a check that cannot run ──────────────────────────────────────────────────────────────────────────────────────────


def divides_by_nothing(connection: Connection, *_: Any) -> None:
    connection.execute("SELECT 1 / 0")


def sleeps_too_long(connection: Connection, *_: Any) -> None:
    connection.execute("SET LOCAL statement_timeout = 10")
    connection.execute("SELECT pg_sleep(1)")


def has_a_bug(*_: Any) -> None:
    [][0]


def meets_a_broken_shape(*_: Any) -> None:
    raise shapely.errors.GEOSException("TopologyException: side location conflict\nat 1 1")


@pytest.mark.parametrize("broken", [divides_by_nothing, sleeps_too_long, has_a_bug, meets_a_broken_shape])
def test_a_check_that_cannot_run_blocks_and_the_others_still_run(check: Check, broken: Callable[..., None]) -> None:
    dataset = dataclasses.replace(PARCELS, checks=(TableCheck(("MOVED",), broken), *PARCELS.checks))
    twice = alder()
    repeat(twice, 5)
    outcome = check(twice, dataset=dataset)
    assert outcome.summary["blocked_by"] == ["NOT_EVALUATED"]
    assert outcome.summary["findings"] == {"NOT_EVALUATED": 1, "DUPLICATE_ROW": 1, "STACKED": 1}
    (finding,) = named(outcome, "NOT_EVALUATED")
    assert finding.sentence.startswith("The check MOVED could not run: ")
    assert "\n" not in finding.sentence
