"""Findings: the sentences of the law filled in, graded by year, and counted."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statewide.findings import FindingLog, plain_number, plain_share
from statewide.standard import load_standard

STANDARD = load_standard()


def new_log() -> FindingLog:
    return FindingLog(STANDARD, "parcel", 2025, "Alder", "99901")


@pytest.mark.parametrize("code", sorted(STANDARD.checks))
def test_every_sentence_can_be_filled_in(code: str) -> None:
    check = STANDARD.checks[code]
    braces = {name for text in (check.sentence, check.fix) for _, name, _, _ in string.Formatter().parse(text) if name}
    log = new_log()
    log.add(code, **dict.fromkeys(braces - {"town", "cousub_fips", "year", "column", "value"}, "x"))
    (finding,) = log.findings
    assert "{" not in finding.sentence + finding.fix
    assert finding.sentence.strip().endswith((".", "x")), finding.sentence


def test_many_rows_of_one_kind_are_shown_up_to_a_limit_and_then_counted() -> None:
    most = int(STANDARD.checks["ID_MISSING"].limits["rows_shown"])
    log = new_log()
    asked: list[int] = []
    log.add_each("ID_MISSING", list(range(1, 1001)), lambda place: asked.append(place) or {})  # type: ignore[func-returns-value]
    assert [finding.row_no for finding in log.findings] == [*range(1, most + 1), None]
    assert log.findings[-1].sentence.startswith(f"{1000 - most} rows more have neither")
    assert asked == list(range(most + 1))  # nothing is worked out for rows that are only counted


def test_rows_that_are_only_counted_come_last_and_one_alone_is_shown() -> None:
    most = int(STANDARD.checks["ID_MISSING"].limits["rows_shown"])
    log = new_log()
    log.add_each("ID_MISSING", list(range(1, most + 2)), lambda place: {})
    assert [finding.row_no for finding in log.sorted()] == list(range(1, most + 2))
    log.add_each("ID_MISSING", list(range(1, most + 3)), lambda place: {})
    assert [finding.row_no for finding in log.sorted()][-2:] == [most + 1, None]


def test_a_check_that_holds_rows_names_each_of_them() -> None:
    log = new_log()
    log.add_each("TOWN_MISMATCH", list(range(1, 1001)), lambda place: {"value": "Birch"})
    assert len(log.held_rows()) == 1000


def test_a_brace_that_nobody_fills_is_a_bug_at_once() -> None:
    with pytest.raises(KeyError, match="distance_ft"):
        new_log().add("OUTSIDE_TOWN", row_no=1)
    with pytest.raises(KeyError):
        new_log().add("NO_SUCH_CHECK")


@given(st.text(max_size=50))
def test_braces_in_a_value_are_only_text(value: str) -> None:
    log = new_log()
    log.add("VALUE_INVALID", row_no=1, column="{town}", value=value, field="{0}", why="{why}", expected="{x!r}")
    assert f"“{value}”" in log.findings[0].sentence
    assert log.findings[0].value == value


def test_a_sentence_quotes_the_beginning_of_a_long_value_and_the_finding_keeps_it_whole() -> None:
    log = new_log()
    log.add("VALUE_INVALID", row_no=1, value="x" * 1_000_000, field="Location", why="too long", expected="Less.")
    assert len(log.findings[0].sentence) < 500
    assert len(log.findings[0].value or "") == 1_000_000


def test_held_rows_are_those_with_an_error_and_each_reason_is_named_once() -> None:
    log = new_log()
    for row in (3, 3, 1):
        log.add("GEOMETRY_MISSING", row_no=row)
    log.add("TOWN_MISMATCH", row_no=3, value="Birch")
    log.add("TINY_PARCEL", row_no=2, area_sqft="1")
    log.add("NO_ROWS", layer="parcels")
    assert log.held_rows() == {3: ["GEOMETRY_MISSING", "TOWN_MISMATCH"], 1: ["GEOMETRY_MISSING"]}
    assert list(log.counts()) == ["NO_ROWS", "GEOMETRY_MISSING", "TOWN_MISMATCH", "TINY_PARCEL"]
    assert [finding.row_no for finding in log.sorted()] == [None, 1, 3, 3, 3, 2]


def test_only_what_was_named_is_waived() -> None:
    log = new_log()
    log.add("COUNT_DROP", new=1, old=2, share="50 %")
    log.not_evaluated("COUNT_DROP / AREA_DROP", "it took too long")
    assert [finding.code for finding in log.blocking(["COUNT_DROP"])] == ["NOT_EVALUATED"]
    assert len(log.blocking()) == 2


def test_an_earlier_year_is_judged_by_the_oldest_profile() -> None:
    check = STANDARD.checks["COUNT_DROP"].model_copy(update={"severity": {2024: "WARN", 2026: "BLOCK"}})
    assert [check.severity_in(year) for year in (2020, 2024, 2025, 2026, 2030)] == ["WARN"] * 3 + ["BLOCK"] * 2


@given(st.floats(min_value=0, max_value=1))
def test_a_share_never_reads_as_nothing_or_all_unless_it_is(share: float) -> None:
    shown = plain_share(share)
    assert (shown in ("0 %", "0.0 %")) == (share == 0)
    assert (shown in ("100 %", "100.0 %")) == (share == 1)


def test_numbers_read_as_a_person_writes_them() -> None:
    assert (plain_number(12345.678, 1), plain_number(0), plain_number(-1234)) == ("12,345.7", "0", "-1,234")
