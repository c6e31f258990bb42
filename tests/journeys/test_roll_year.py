"""An assessor's file on its whole walk: the same again, reordered, better, worse; it never tells who is protected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cadastral.meeting import submit, submit_assessments
from statewide.database import OWNER, connect
from statewide.intake import Outcome, Request
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.cama import records, write_records
from tests.towns import alder, found_alder, write

Deliver = Callable[..., Outcome]
TOWN = [
    {"Link": f"{number // 8 + 1}-{number % 8 + 1}", "PID": str(number), "Location": f"{number + 1} MAIN ST"}
    for number in range(64)
]
"""A record for each of Alder's 64 parcels."""


@pytest.fixture
def deliver(settings: Settings, tmp_path: Path) -> Deliver:
    """Deliver assessor's rows for Alder, whose 64 parcels are live; returns the outcome."""
    found_alder(settings)
    submit(settings, Request(write(alder(), tmp_path), "Alder", 2025), lambda message: None)
    count = 0

    def go(
        rows: list[dict[str, Any]],
        *,
        year: int = 2025,
        without: tuple[str, ...] = (),
        settings: Settings = settings,
        **options: Any,
    ) -> Outcome:
        nonlocal count
        count += 1
        file = write_records(records(*rows).drop_columns(list(without)), tmp_path / f"{count}" / "cama.csv")
        return submit_assessments(settings, Request(file, "Alder", year, **options), lambda message: None)

    return go


def live(settings: Settings, query: str = "SELECT * FROM published.assessments ORDER BY assessment_uid") -> list[Any]:
    with connect(settings, OWNER) as connection:
        return connection.execute(query.encode()).fetchall()


def test_a_first_delivery_is_published_row_for_row_and_placed(deliver: Deliver, settings: Settings) -> None:
    outcome = deliver(TOWN)
    assert (outcome.summary["outcome"], outcome.summary["rows"]["added"]) == ("published", 64)
    assert outcome.summary["findings"] == {"COLUMN_WITHHELD": 2, "JOIN_KEY_FOUND": 1}
    assert live(settings, "SELECT count(*), count(geom) FROM published.assessments") == [(64, 64)]


def test_the_same_file_in_another_order_writes_nothing(deliver: Deliver, settings: Settings) -> None:
    cards = [{"Link": "1-1", "PID": "0", "Location": "0 MAIN ST", "AYB": year} for year in ("1800", "1900", "1900")]
    deliver(TOWN + cards)
    before = live(settings, "SELECT *, xmin::text FROM cadastral.assessment ORDER BY assessment_uid")
    outcome = deliver((TOWN + cards)[::-1])
    assert (outcome.summary["outcome"], outcome.summary["rows"]["unchanged"]) == ("unchanged", 67)
    assert live(settings, "SELECT *, xmin::text FROM cadastral.assessment ORDER BY assessment_uid") == before


def test_a_record_keeps_its_identifier_when_its_value_and_its_link_change(deliver: Deliver, settings: Settings) -> None:
    deliver(TOWN)
    before = dict(live(settings, "SELECT pid, assessment_uid FROM published.assessments"))
    better = [dict(row) for row in TOWN]
    better[5] |= {"Appraised_Building": "300000", "Appraised_Total": "420300", "Assessed_Total": "294210"}
    better[5] |= {"Assessed_Building": "210000"}
    better[6] |= {"Link": "1-77"}
    outcome = deliver(better, year=2026)
    rows = outcome.summary["rows"]
    assert (rows["changed"], rows["unchanged"], rows["added"], rows["removed"]) == (2, 62, 0, 0)
    assert dict(live(settings, "SELECT pid, assessment_uid FROM published.assessments")) == before
    assert live(settings, "SELECT pid FROM published.assessments WHERE geom IS NULL") == [("6",)]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda rows: rows[:40], "RECORD_COUNT_DROP"),
        (lambda rows: [row | {"Link": f"NEW-{row['PID']}"} for row in rows], "MATCH_LOST"),
    ],
)
def test_a_worse_file_is_refused_and_the_last_good_one_stays(
    deliver: Deliver, settings: Settings, spoil: Callable[[Any], Any], code: str
) -> None:
    deliver(TOWN)
    before = live(settings)
    outcome = deliver(spoil(TOWN))
    assert outcome.summary["blocked_by"] == [code]
    assert live(settings) == before
    assert deliver(spoil(TOWN), accept={code: "So it is."}).summary["outcome"] == "published"


def test_an_older_year_is_refused(deliver: Deliver) -> None:
    deliver(TOWN)
    assert deliver(TOWN, year=2024).summary["blocked_by"] == ["OLDER_ROLL"]


def test_a_file_that_says_less_is_published_with_a_warning(deliver: Deliver) -> None:
    deliver(TOWN)
    less = {"AYB": None, "Assessed_Total": "9", "Assessed_Building": None}
    outcome = deliver([row | less if place < 48 else row for place, row in enumerate(TOWN, start=20)])
    said = {finding.code: finding.sentence for finding in outcome.log.findings}
    assert said["FIELD_EMPTIED"] == "Year built is filled in 56.2 % of the rows, where it was in 100 %."
    assert "43.7 % less" in said["TOTAL_VALUE_MOVED"]


def test_records_and_parcels_that_do_not_meet_are_named(deliver: Deliver) -> None:
    outcome = deliver(TOWN[:60] + [{"Link": f"9-{number}", "PID": f"9{number}"} for number in range(4)])
    said = {finding.code: finding.sentence for finding in outcome.log.findings}
    assert said["CAMA_WITHOUT_PARCEL"] == (
        "93.8 % of the records meet a parcel; 4 do not, for example 99901-9-0, 99901-9-1, 99901-9-2, 99901-9-3."
    )
    assert "4 do not, for example 8-5, 8-6, 8-7, 8-8" in said["PARCEL_WITHOUT_CAMA"]


def test_flags_and_owners_change_nothing_that_is_published(deliver: Deliver, settings: Settings) -> None:
    deliver([row | {"Suppressed": "Y" if row["PID"] in ("3", "9") else "N"} for row in TOWN])
    before = live(settings)
    outcome = deliver([row | {"Suppressed": "N", "Owner": "CANARY ANOTHER"} for row in TOWN])
    assert outcome.summary["outcome"] == "unchanged"
    assert live(settings) == before
    assert deliver(TOWN, without=("Suppressed", "Owner")).summary["outcome"] == "unchanged"
    assert live(settings) == before


def test_each_record_keeps_its_own_owner_and_flag_apart(settings: Settings, deliver: Deliver) -> None:
    def named(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row | {"Owner": f"CANARY {row['PID']}", "Suppressed": "NY"[row["PID"] == "7"]} for row in rows]

    keeping = replace(settings, keep_confidential=True)
    deliver(named(TOWN), settings=keeping)
    better = [dict(row) for row in TOWN[::-1] if row["PID"] not in ("3", "4")]
    better[10] |= {"AYB": "1801"}
    better.append({"Link": "1-4", "PID": "900", "Location": "900 MAIN ST"})  # recognised by its link
    outcome = deliver(named(better), settings=keeping)
    assert (outcome.summary["rows"]["changed"], outcome.summary["rows"]["unchanged"]) == (2, 61)
    kept = live(
        settings,
        "SELECT record.pid, person.owner, said.suppressed FROM cadastral.assessment AS record"
        " LEFT JOIN confidential.assessment_person AS person USING (assessment_uid)"
        " LEFT JOIN confidential.assessment_suppression AS said USING (assessment_uid)",
    )
    assert len(kept) == 63
    assert all(owner == f"CANARY {pid}" and flag is (pid == "7") for pid, owner, flag in kept)
    assert live(settings, "SELECT count(*) FROM confidential.assessment_person") == [(63,)]


def test_parcels_and_records_of_one_delivery_meet_before_either_is_live(settings: Settings, tmp_path: Path) -> None:
    found_alder(settings)
    request = Request(
        write(alder(), tmp_path),
        "Alder",
        2025,
        publish=False,
        beside={"assessment": write_records(records(*TOWN[:60]), tmp_path / "cama.csv")},
    )
    summary = submit(settings, request, lambda message: None).summary
    assert "NO_PARCELS_YET" not in summary["assessment"]["findings"]
    assert summary["assessment"]["findings"]["PARCEL_WITHOUT_CAMA"] == 1
    assert live(settings) == []


@pytest.mark.parametrize("worse", ["assessment", "parcel"])
def test_one_refused_part_refuses_the_other_and_either_says_why(settings: Settings, tmp_path: Path, worse: str) -> None:
    town = found_alder(settings)

    def go(parcels: int, rows: int) -> Outcome:
        fabric, folder = alder(), tmp_path / f"{parcels}-{rows}"
        fabric.drop(range(parcels, 64))
        beside = {"assessment": write_records(records(*TOWN[:rows]), folder / "cama.csv")}
        request = Request(write(fabric, folder), town.town_name, 2025, beside=beside)
        return submit(settings, request, lambda message: None)

    go(64, 64)
    outcome = go(*((64, 40) if worse == "assessment" else (40, 64)))
    summaries = (outcome.summary, outcome.summary["assessment"])
    assert [summary["outcome"] for summary in summaries] == ["refused", "refused"]
    page = (Path(outcome.summary["report"]) / "report.html").read_text(encoding="utf-8")
    title = load_standard().checks[outcome.summary["blocked_by"][0]].title
    for noun in ("parcels", "assessments"):
        assert f"Alder’s {noun} for 2025 were refused: {title[:1].lower()}{title[1:]}" in page


def test_a_canary_is_nowhere_outside_of_confidential(deliver: Deliver, settings: Settings) -> None:
    outcome = deliver([*TOWN, {"Link": "8-8", "PID": "99", "Town_Name": "Birch", "Suppressed": "Y"}])
    assert outcome.summary["rows"]["held"] == 1
    tables = live(
        settings,
        "SELECT table_schema || '.' || table_name FROM information_schema.tables"
        " WHERE table_schema IN ('statewide', 'cadastral', 'published', 'restricted')",
    )
    for (table,) in tables:
        assert live(settings, f"SELECT 1 FROM {table} AS t WHERE t::text LIKE '%CANARY%'") == [], table
    report = Path(outcome.summary["report"])
    leaks = [path.name for path in report.rglob("*") if path.is_file() and b"CANARY" in path.read_bytes()]
    assert leaks == []
    held = live(settings, "SELECT attributes::text FROM statewide.held_row")
    assert "uppress" not in held[0][0]


def test_parcels_alone_that_lose_the_records_are_refused(settings: Settings, tmp_path: Path, deliver: Deliver) -> None:
    deliver(TOWN)
    renumbered = alder()
    for name in ("CAMA_Link", "Link"):
        if name in renumbered.columns:
            renumbered.columns[name] = [f"99901-Z{number}" for number in range(len(renumbered))]
    file = write(renumbered, tmp_path / "renumbered")
    outcome = submit(settings, Request(file, "Alder", 2025), lambda message: None)
    assert "MATCH_LOST" in outcome.summary["blocked_by"]
    assert live(settings, "SELECT count(*) FROM cadastral.assessment_place") == [(64,)]
