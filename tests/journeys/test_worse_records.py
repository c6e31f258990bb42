"""Files that would take away what nobody asked to lose: fields, records, links, and the protection of persons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shapely

from cadastral.assessments import ASSESSMENTS
from cadastral.meeting import settle_rollback, submit, submit_assessments
from cadastral.parcels import PARCELS
from statewide.database import OWNER, connect
from statewide.intake import Outcome, Request
from statewide.ledger import saved_join_key
from statewide.rollback import roll_back
from statewide.settings import Settings
from tests.cama import records, write_records
from tests.towns import ALDER, LOT, SOUTH, WEST, Fabric, alder, append_lot, found_alder, write

Row = dict[str, Any]
Send = Callable[..., Outcome]

TOWN: list[Row] = [
    {"Link": f"{lot // 8 + 1}-{lot % 8 + 1}", "PID": str(lot), "Location": f"{lot + 1} MAIN ST"} for lot in range(64)
]
"""A record for each of Alder's parcels, at the parcel's address."""
NEIGHBOUR = {"Town_Name": "Birch"}


@pytest.fixture
def send(settings: Settings, tmp_path: Path) -> Send:
    """Deliver parcels, records or both of Alder."""
    found_alder(settings)
    count = 0

    def go(fabric: Fabric | None, rows: list[Row] | None = None, year: int = 2025, **options: Any) -> Outcome:
        nonlocal count
        count += 1
        folder = tmp_path / str(count)
        cama = write_records(records(*rows), folder / "cama.csv") if rows else None
        if fabric is None:
            assert cama is not None
            return submit_assessments(settings, Request(cama, "Alder", year, **options), lambda message: None)
        beside = {"assessment": cama} if cama else {}
        request = Request(write(fabric, folder), "Alder", year, beside=beside, **options)
        return submit(settings, request, lambda message: None)

    return go


def rows_of(settings: Settings, query: str) -> list[Any]:
    with connect(settings, OWNER) as connection:
        return connection.execute(query.encode()).fetchall()


def said(outcome: Outcome, code: str) -> list[str]:
    return [finding.sentence for log in outcome.logs for finding in log.findings if finding.code == code]


# ── fields ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_protected_record_does_not_empty_a_field_of_the_town_unasked(send: Send, settings: Settings) -> None:
    send(alder(), TOWN)
    hidden = [dict(row) for row in TOWN]
    hidden[7] |= {"Suppressed": "Y", "Location": None}
    outcome = send(None, hidden)
    assert outcome.summary["blocked_by"] == ["FIELD_LOST"]
    assert said(outcome, "FIELD_LOST") == ["Location is filled in 0 % of the rows, where it was in 100 %."]
    assert rows_of(settings, "SELECT count(location) FROM cadastral.assessment") == [(64,)]
    assert send(None, hidden, accept={"FIELD_LOST": "So be it."}).summary["outcome"] == "published"


def test_a_held_record_tells_nothing_of_who_is_protected(send: Send) -> None:
    send(alder(), TOWN)
    strange = {"PID": "99", "Link": "77", "Location": None, "Suppressed": "Y", **NEIGHBOUR}
    outcome = send(None, [*TOWN, strange])
    assert said(outcome, "SUPPRESSION_SHOWS") == []
    assert (outcome.summary["rows"]["held"], outcome.summary["rows"]["unchanged"]) == (1, 64)


VALUES = [name for name in records({}).column_names if name.startswith(("Assessed", "Appraised"))]


def test_values_that_are_all_nought_are_not_published_over_values(send: Send) -> None:
    send(alder(), TOWN)
    outcome = send(None, [row | dict.fromkeys(VALUES, "0") for row in TOWN])
    assert outcome.summary["blocked_by"] == ["FIELD_LOST"]
    assert len(said(outcome, "FIELD_LOST")) == 6, "the six values that were given, and not the two that never were"


def test_a_parcel_file_of_which_only_the_number_is_left_is_asked(send: Send) -> None:
    send(alder())
    bare = alder()
    bare.columns = {"Parcel_ID": bare.columns["Parcel_ID"]}
    outcome = send(bare)
    assert outcome.summary["blocked_by"] == ["FIELD_LOST"]
    assert said(outcome, "FIELD_LOST") == ["Location is filled in 0 % of the rows, where it was in 100 %."]


def test_a_field_that_loses_a_few_values_only_warns(send: Send) -> None:
    send(alder())
    fewer = alder()
    fewer.columns["Location"][:10] = [None] * 10
    outcome = send(fewer)
    assert outcome.summary["outcome"] == "published"
    assert said(outcome, "FIELD_EMPTIED") == ["Location is filled in 84.4 % of the rows, where it was in 100 %."]


# ── rows that are held ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_record_stays_live_while_its_new_row_is_held(send: Send, settings: Settings) -> None:
    units = [*TOWN, {"Link": "1-1", "PID": "u2", "Location": "1 MAIN ST #2"}]
    send(alder(), units)
    before = rows_of(settings, "SELECT assessment_uid, pid FROM cadastral.assessment ORDER BY 1")
    outcome = send(None, [row | NEIGHBOUR if row["PID"] in ("5", "u2") else row for row in units])
    assert (outcome.summary["rows"]["kept_live"], outcome.summary["rows"]["removed"]) == (2, 0)
    assert rows_of(settings, "SELECT assessment_uid, pid FROM cadastral.assessment ORDER BY 1") == before
    assert "2 assessments stay live as they were" in said(outcome, "LIVE_ROW_HELD")[0]
    gone = send(None, [row for row in units if row["PID"] not in ("5", "u2")])
    assert gone.summary["rows"]["removed"] == 2, "a record that is in the file no more ends"


def test_a_parcel_stays_live_while_its_new_row_has_neither_number_nor_shape(send: Send, settings: Settings) -> None:
    send(alder())
    nameless = alder()
    nameless.shapes[9] = None
    for name in ("Parcel_ID", "Link", "CAMA_Link"):
        nameless.columns[name][9] = None
    outcome = send(nameless)
    assert (outcome.summary["rows"]["kept_live"], outcome.summary["rows"]["removed"]) == (1, 0)
    assert "1 parcel stay" in said(outcome, "LIVE_ROW_HELD")[0]
    assert rows_of(settings, "SELECT count(*) FROM cadastral.parcel WHERE parcel_id = '2-2'") == [(1,)]


# ── links ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def shifted(rows: list[Row]) -> list[Row]:
    """Each record with the link of the next: whoever sorted one column and not the others."""
    links = [row["Link"] for row in rows]
    return [row | {"Link": link} for row, link in zip(rows, links[1:] + links[:1], strict=True)]


def test_links_that_shifted_by_a_row_meet_all_and_are_refused(send: Send) -> None:
    send(alder(), TOWN)
    for outcome in (send(None, shifted(TOWN)), send(alder(), shifted(TOWN))):
        assert outcome.summary["blocked_by"] == ["ADDRESSES_DISAGREE"]
        assert "0 % stand where the link leads, and 100 % of the live ones do" in said(outcome, "ADDRESSES_DISAGREE")[0]
    half = [*TOWN[:40], *shifted(TOWN[40:])]
    assert send(None, half).summary["blocked_by"] == ["ADDRESSES_DISAGREE"]


def test_parcels_whose_links_shifted_are_refused_as_well(send: Send) -> None:
    send(alder(), TOWN)
    wrong = alder()
    for name in ("Link", "CAMA_Link", "Parcel_ID"):
        wrong.columns[name] = wrong.columns[name][1:] + wrong.columns[name][:1]
    assert "ADDRESSES_DISAGREE" in send(wrong).summary["blocked_by"]


def test_a_first_file_whose_addresses_contradict_its_links_is_asked(send: Send) -> None:
    assert send(alder(), shifted(TOWN)).summary["blocked_by"] == ["ADDRESSES_DISAGREE"]


def test_addresses_in_other_words_are_no_contradiction(send: Send) -> None:
    send(alder(), TOWN)
    outcome = send(None, [row | {"Location": f"{row['Location'].title()}reet, Unit 4"} for row in TOWN])
    assert outcome.summary["outcome"] == "published"


# ── the key ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def keyed(fabric: Fabric, name: str) -> Fabric:
    """The fabric with nothing to meet the records by but a column of that name."""
    fabric.columns[name] = fabric.columns.pop("Link")
    del fabric.columns["CAMA_Link"]
    fabric.columns["Parcel_ID"] = [f"LOT{place}" for place in range(len(fabric))]
    return fabric


def test_parcels_alone_without_the_column_that_meets_the_records_say_so(send: Send) -> None:
    send(keyed(alder(), "GIS_ID"), TOWN)
    outcome = send(keyed(alder(), "MAPREF"))
    (sentence,) = said(outcome, "JOIN_KEY_FELL")
    assert "the parcels have no column GIS_ID" in sentence


def test_rows_that_stop_the_join_are_told_by_cause_with_what_they_may_stand_for(send: Send) -> None:
    rows = [dict(row) for row in TOWN]
    for row in rows[:4]:
        row["Link"] += "A"
    outcome = send(alder(), rows)
    assert said(outcome, "JOIN_STOPPED") == [
        "4 parcels meet nothing: the same number but for its last part or letter,"
        " for example 1-1 (perhaps 1-1A), 1-2 (perhaps 1-2A), 1-3 (perhaps 1-3A), 1-4 (perhaps 1-4A).",
        "4 assessments meet nothing: the same number but for its last part or letter,"
        " for example 1-1A (perhaps 1-1), 1-2A (perhaps 1-2), 1-3A (perhaps 1-3), 1-4A (perhaps 1-4).",
    ]


def test_a_rollback_brings_the_key_back_by_which_the_files_met(send: Send, settings: Settings) -> None:
    def key() -> Any:
        with connect(settings) as connection:
            return saved_join_key(connection, ALDER.cousub_fips)

    first = send(alder(), TOWN)
    before = key()
    again = alder()
    again.columns["UNQ"] = [f"Q{place}" for place in range(64)]
    for name in ("Link", "CAMA_Link"):
        del again.columns[name]
    other = [row | {"Link": f"Q{place}"} for place, row in enumerate(TOWN)]
    accept = dict.fromkeys(("MATCH_LOST", "FIELD_LOST", "IDS_REPLACED"), "a new key")
    assert send(again, other, accept=accept).summary["outcome"] == "published"
    assert key() != before
    both = (PARCELS, ASSESSMENTS)
    roll_back(settings, both, settle_rollback, "Alder", first.summary["submission"], None, lambda message: None)
    assert key() == before


# ── words that tell ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_word_that_tells_of_a_protected_parcel_is_neither_published_nor_quoted(
    send: Send, settings: Settings
) -> None:
    telling = alder()
    telling.columns["Location"][3] = "CONFIDENTIAL per CGS 1-217"
    telling.columns["Parcel_Type"][4] = "Suppressed"
    telling.columns["Collection_year"][5] = "redacted"
    outcome = send(telling)
    assert rows_of(
        settings, "SELECT count(location), count(parcel_type), count(collection_year) FROM cadastral.parcel"
    ) == [(63, 63, 63)]
    words = said(outcome, "PROTECTION_SHOWS")
    assert len(words) == 3
    assert words[0].startswith("1 row of the column ")
    shown = [path for path in Path(outcome.summary["report"]).rglob("*") if path.is_file()]
    assert not [
        path.name
        for path in shown
        for word in (b"CGS 1-217", b"CONFIDENTIAL", b"redacted")
        if word in path.read_bytes()
    ]
    assert (
        rows_of(settings, "SELECT 1 FROM statewide.finding WHERE concat(value, sentence) ~* 'redacted|confidential'")
        == []
    )


def test_a_lot_of_the_number_1_217_is_a_lot_like_any_other(send: Send, settings: Settings) -> None:
    lots = alder()
    x = WEST + 9 * LOT
    append_lot(lots, "1-217", shapely.box(x, SOUTH, x + LOT, SOUTH + LOT), Location="99 ELM ST")
    outcome = send(lots, [*TOWN, {"Link": "1-217", "PID": "217", "Location": "99 ELM ST", "Suppressed": "Y"}])
    assert said(outcome, "PROTECTION_SHOWS") + said(outcome, "SUPPRESSION_SHOWS") == []
    assert rows_of(settings, "SELECT count(cama_link_normalized) FROM cadastral.assessment") == [(65,)]
