"""The very same file sent once more: answered without walking, and walked as soon as anything else has changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cadastral.meeting import submit
from cadastral.parcels import PARCELS
from statewide import again
from statewide.database import connect
from statewide.intake import Outcome, Request
from statewide.rollback import roll_back
from statewide.settings import Settings
from tests.towns import alder, found_alder, write

Go = Callable[..., dict[str, Any]]


def silent(message: str) -> None:
    """Say nothing."""


@pytest.fixture
def file(settings: Settings, tmp_path: Path) -> Path:
    """Alder's parcels with one overlap and one row that is held, delivered once."""
    found_alder(settings)
    fabric = alder()
    fabric.columns["Town_Name"][3] = "Birch"
    return write(fabric, tmp_path / "alder")


def send(settings: Settings, file: Path, **options: Any) -> Outcome:
    return submit(settings, Request(file, "alder", 2025, **options), silent)


def walked(outcome: Outcome) -> bool:
    return "same_as" not in outcome.summary


def rows(settings: Settings, query: str) -> list[Any]:
    with connect(settings) as connection:
        return connection.execute(query.encode()).fetchall()


def test_it_is_unchanged_with_the_same_findings_ledger_and_report(settings: Settings, file: Path) -> None:
    first = send(settings, file)
    second = send(settings, file)
    assert walked(first)
    assert not walked(second)
    assert (first.summary["outcome"], second.summary["outcome"]) == ("published", "unchanged")
    assert second.summary["findings"] == first.summary["findings"]
    assert second.summary["rows"] == first.summary["rows"] | {"added": 0, "unchanged": first.summary["rows"]["added"]}
    submissions = [first.summary["submission"], second.summary["submission"]]
    for table in ("finding", "held_row", "ledger"):
        per_submission = [
            rows(
                settings, f"SELECT to_jsonb(t) - 'submission_id' FROM statewide.{table} t WHERE submission_id = '{one}'"
            )
            for one in submissions
        ]
        assert per_submission[0] == per_submission[1] != []
    for outcome in (first, second):
        assert (Path(outcome.summary["report"]) / "report.html").stat().st_size > 10_000
    assert rows(settings, "SELECT count(*) FROM cadastral.parcel_history") == [(0,)]


def test_a_third_time_and_a_dry_check_are_answered_likewise(settings: Settings, file: Path, tmp_path: Path) -> None:
    first = send(settings, file)
    send(settings, file)
    third = send(settings, file)
    checked = send(settings, file, publish=False, out=tmp_path / "report")
    assert third.summary["same_as"]["walked"] == checked.summary["same_as"]["walked"] == first.summary["submission"]
    assert (checked.summary["outcome"], checked.summary["dry"]) == ("ok", True)
    assert (tmp_path / "report" / "findings.gpkg").is_file()
    assert rows(settings, "SELECT count(*) FROM statewide.submission") == [(3,)]


def test_the_town_need_not_be_named(settings: Settings, file: Path) -> None:
    send(settings, file)
    assert submit(settings, Request(file, None, 2025), silent).summary["town"] == "Alder"


def test_without_its_report_it_is_walked_again(settings: Settings, file: Path) -> None:
    first = send(settings, file)
    (Path(first.summary["report"]) / "report.html").unlink()
    assert walked(send(settings, file))


@pytest.mark.parametrize("option", [{"year": 2026}, {"layer": "parcels"}])
def test_another_question_is_walked(settings: Settings, file: Path, option: dict[str, Any]) -> None:
    send(settings, file)
    assert walked(submit(settings, replace(Request(file, "alder", 2025), **option), silent))


def test_what_the_delivery_found_beside_the_version_before_it_is_looked_at_anew(
    settings: Settings, file: Path, tmp_path: Path
) -> None:
    """A count that fell against last year's version has not fallen against itself."""
    send(settings, file)
    fewer = alder()
    fewer.drop(range(12))
    smaller = write(fewer, tmp_path / "fewer")
    said = dict.fromkeys(("COUNT_DROP", "AREA_DROP"), "the north went to Birch")
    assert "COUNT_DROP" in send(settings, smaller, accept=said).summary["findings"]
    second = send(settings, smaller)
    assert walked(second)
    assert (second.summary["outcome"], "COUNT_DROP" in second.summary["findings"]) == ("unchanged", False)


def test_after_a_rollback_or_another_file_it_is_walked(settings: Settings, file: Path, tmp_path: Path) -> None:
    send(settings, file)
    other = alder()
    other.columns["Location"][7] = "8 REAR MAIN ST"
    assert walked(send(settings, write(other, tmp_path / "other")))
    roll_back(settings, (PARCELS,), None, "alder", "1", "the other was a draft", silent)
    assert walked(send(settings, file))


def test_a_rule_or_a_program_that_changed_means_walking_again(settings: Settings, file: Path) -> None:
    send(settings, file)
    newer = Path(again.__file__)
    stat = newer.stat()
    os.utime(newer, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    try:
        assert walked(send(settings, file))
    finally:
        os.utime(newer, ns=(stat.st_atime_ns, stat.st_mtime_ns))
