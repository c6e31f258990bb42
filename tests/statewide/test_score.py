"""The score: a pure function of counts, that never rounds up, and says what each fix would earn."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statewide.findings import FindingLog
from statewide.score import Score, ScoreInput, faulty_rows, score, score_counts, scored_fields, worth
from statewide.standard import load_standard

LAW = load_standard()
MEASURES = {measure.name: measure for measure in LAW.score.measures}


def a_delivery(dataset: str, rows: int = 1000, **changed: object) -> ScoreInput:
    """A delivery without any fault."""
    filled = dict.fromkeys(scored_fields(LAW, dataset), (rows, rows))
    faulty = faulty_rows(FindingLog(LAW, dataset, 2025, "Elsewhere", "99999"))
    return ScoreInput(**{
        "dataset": dataset, "rows": rows, "held": 0, "faulty": faulty, "filled": filled, "of_the_year": rows,
        "in_time": True, **changed,
    })  # fmt: skip


def a_town(**of_parcels: object) -> Score:
    """Both files, the parcels with the faults given."""
    matched = {"parcel": (1000, 1000), "assessment": (1000, 1000)}
    assessments = score(a_delivery("assessment", matched=matched), LAW)
    return score(a_delivery("parcel", matched=matched, carried=assessments.counts, **of_parcels), LAW)


def test_two_files_without_a_fault_earn_a_hundred_and_nothing_is_left_to_earn() -> None:
    found = a_town()
    assert (found.points, found.most, found.measurable, found.gains) == (100.0, 100.0, 100.0, ())


def test_without_the_assessors_file_its_points_are_not_measured_and_one_gain_says_so() -> None:
    found = score(a_delivery("parcel"), LAW)
    missing = sum(m.points for m in MEASURES.values() if m.dataset == "assessment" or m.counts == "matched")
    assert found.points == found.measurable == 100 - missing
    (gain,) = found.gains
    assert (gain.dataset, gain.points) == ("assessment", missing)
    unmeasured = [each.name for part in found.parts for each in part.measures if each.count is None]
    assert "parcels_matched" in unmeasured
    assert "year_built" in unmeasured


def test_half_the_parcels_matched_earn_nothing_and_the_rest_in_proportion() -> None:
    for good, points in ((500, 0.0), (740, 7.5), (980, 15.0), (990, 15.0)):
        matched = {"parcel": (good, 1000), "assessment": (1000, 1000)}
        found = score(a_delivery("parcel", matched=matched), LAW)
        assert next(m.points for p in found.parts for m in p.measures if m.name == "parcels_matched") == points


def test_what_filling_a_field_would_earn_is_what_it_then_earns() -> None:
    filled = dict.fromkeys(scored_fields(LAW, "parcel"), (1000, 1000)) | {"location": (688, 1000)}
    found = a_town(filled=filled)
    (gain,) = found.gains
    assert gain.fix == "fill “Location” in 312 rows"
    assert gain.points == round(100 - found.points, 2) == 0.94


def test_each_gain_alone_lifts_the_score_by_its_points() -> None:
    found = a_town(held=40, in_time=False, of_the_year=900, filled={"location": (10, 1000)})
    assert len(found.gains) >= 5
    assert found.points + sum(gain.points for gain in found.gains) == pytest.approx(100, abs=0.02 * len(found.gains))


def test_faults_are_counted_by_row_and_those_that_are_not_shown_count_too() -> None:
    log = FindingLog(LAW, "parcel", 2025, "Elsewhere", "99999")
    for row_no in (3, 3, 4):
        log.add("OVERLAP", row_no=row_no, other="row 9", sqft="20", share="1 %", width_ft="2")
    log.left_out["OVERLAP"] = 10
    assert faulty_rows(log)["no_overlap"] == 12
    found = a_town(faulty=faulty_rows(log))
    assert worth(found, LAW, "parcel", "OVERLAP", "WARN", 12) == pytest.approx(100 - found.points, abs=0.011)
    assert worth(found, LAW, "parcel", "STACKED", "NOTE", 12) == 0


def test_one_row_of_a_million_keeps_it_from_a_hundred() -> None:
    filled = dict.fromkeys(scored_fields(LAW, "parcel"), (10**6, 10**6)) | {"location": (10**6 - 1, 10**6)}
    assert (
        score(a_delivery("parcel", rows=10**6, filled=filled), LAW).points
        == score(a_delivery("parcel"), LAW).points - 0.01
    )


def test_a_field_that_no_column_was_mapped_to_fills_none() -> None:
    found = score(a_delivery("parcel", filled={}), LAW)
    assert found.counts["parcel_address"] == (0, 1000)


def test_it_can_be_worked_out_again_from_the_counts_in_the_report() -> None:
    found = a_town(held=17, in_time=False)
    kept = json.loads(json.dumps(found.as_dict()))
    again = score_counts(kept["counts"], LAW.score, LAW)
    assert (again.points, again.gains) == (found.points, found.gains)


@given(st.dictionaries(st.sampled_from(sorted(MEASURES)), st.integers(0, 50).map(lambda good: (good, 50))))
def test_any_counts_make_a_score_between_nothing_and_a_hundred(counts: dict[str, tuple[int, int]]) -> None:
    found = score_counts(counts, LAW.score, LAW)
    assert 0 <= found.points <= found.measurable <= 100
    assert found.points == pytest.approx(sum(m.points for part in found.parts for m in part.measures))
    assert all(gain.points > 0 for gain in found.gains)


@pytest.mark.parametrize("code", ["ADDRESS_TWICE", "NUMBER_OUT_OF_ORDER", "STREET_SPELLED_ODD"])
def test_addresses_that_do_not_agree_lose_points(code: str) -> None:
    law = LAW.score_of("address_point")
    (measure,) = (each for each in law.measures if code in each.free_of)
    faulty = {each.name: 100 if each is measure else 0 for each in law.measures}
    assert score(a_delivery("address_point"), LAW).points == 100
    assert score(a_delivery("address_point", faulty=faulty), LAW).points == 100 - measure.points / 2


def test_no_town_loses_points_for_streets_that_have_no_type() -> None:
    assert "st_postyp" not in scored_fields(LAW, "address_point")
