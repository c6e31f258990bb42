"""What is said of a parcel, from the areas of the zones on it: the worst class, and what is not known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience.parcel_answers import Shares, parcel_answers
from resilience.severity import Severity, Zone
from statewide.standard import load_standard

SEVERITY = Severity.of(load_standard())
FLOOD = [code.code for code in load_standard().code_lists["hazard_class"].of_layers(("flood-zones",))]
Parcel = tuple[list[tuple[Zone, float]], float, float]
"""Zones with their areas, the parcel's area, and the tolerance."""


def answers(*parcels: Parcel) -> list[dict[str, Any]]:
    """One answer per parcel, all asked at once."""
    zones = sorted(
        {zone for shares, *_ in parcels for zone, _ in shares},
        key=lambda zone: (SEVERITY.order(zone.zone_class), repr(zone)),
    )
    rows = sorted((at, zones.index(zone), sqft) for at, (shares, *_) in enumerate(parcels) for zone, sqft in shares)
    columns = [np.array([row[place] for row in rows], dtype=kind) for place, kind in enumerate((int, int, float))]
    said = parcel_answers(
        SEVERITY,
        zones,
        Shares(*columns),
        np.array([area for _, area, _ in parcels]),
        np.zeros(len(parcels)),
        np.array([tolerance for *_, tolerance in parcels]),
        0.01,
    )
    lists = {name: values.to_pylist() for name, values in said.items()}
    found = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    for row in found:
        row["area_by_class"] = json.loads(row["area_by_class"])
    return found


def test_each_parcel_is_answered_for_itself() -> None:
    floodway, shallow = (
        Zone("floodway", "AE, FLOODWAY", True, 11.0, "NAVD88"),
        Zone("one_percent", "AO", True, None, None, 2.0),
    )
    minimal = Zone("minimal", "X")
    first, second, third = answers(
        ([(floodway, 10.0), (shallow, 30.0), (minimal, 60.0)], 100.0, 0.0),
        ([(minimal, 50.0)], 50.0, 0.0),
        ([], 20.0, 0.0),
    )
    assert (first["worst_class"], first["worst_zone"], first["worst_class_rank"]) == ("floodway", "AE, FLOODWAY", 90)
    assert (first["hazard_share_pct"], first["sfha_area_sqft"], first["static_bfe_ft"], first["depth_ft"]) == (
        40,
        40,
        11,
        2,
    )
    assert first["area_by_class"] == {"floodway": 10, "one_percent": 30, "minimal": 60}
    assert (second["worst_class"], second["hazard_share_pct"], second["coverage"]) == ("minimal", 0, "mapped")
    assert (third["worst_class"], third["coverage"], third["unknown_share_pct"]) == ("not_mapped", "not mapped", 100)
    assert third["static_bfe_ft"] is None


def test_the_label_is_that_with_most_area_of_the_worst_class() -> None:
    [row] = answers(
        (
            [
                (Zone("one_percent", "A"), 20.0),
                (Zone("one_percent", "AE"), 15.0),
                (Zone("one_percent", "AE", True, 9.0), 10.0),
            ],
            45.0,
            0.0,
        )
    )
    assert (row["worst_zone"], row["static_bfe_ft"]) == ("AE", 9.0)


shares = st.lists(st.tuples(st.sampled_from(FLOOD), st.floats(1e-3, 1e6)), max_size=6, unique_by=lambda share: share[0])
gaps = st.one_of(st.just(0.0), st.floats(0.02, 1e6))


@given(st.lists(st.tuples(shares, gaps, st.floats(0, 100)), min_size=1, max_size=4))
def test_no_answer_pretends(given_parcels: list[tuple[list[tuple[str, float]], float, float]]) -> None:
    parcels: list[Parcel] = [
        ([(Zone(name, name), sqft) for name, sqft in classes], sum(sqft for _, sqft in classes) + gap, tolerance)
        for classes, gap, tolerance in given_parcels
    ]
    for (zones, area, tolerance), row in zip(parcels, answers(*parcels), strict=True):
        areas, worst = row["area_by_class"], row["worst_class"]
        assert sum(areas.values()) == pytest.approx(area, abs=0.02 + 1e-9 * area)
        assert row["worst_class_rank"] == SEVERITY.rank.get(worst)
        present = {zone.zone_class for zone, _ in zones}
        graver = {name for name in present if SEVERITY.is_hazard(name)}
        if graver:
            assert worst == max(graver, key=lambda name: SEVERITY.rank[name])
            assert row["worst_zone"] == worst
        elif worst in SEVERITY.rank:  # minimal: then all but a seam is known
            assert sum(sqft for name, sqft in areas.items() if name not in SEVERITY.rank) <= tolerance + 0.01
        if not zones:
            assert (worst, row["coverage"], row["mapped_share_pct"]) == ("not_mapped", "not mapped", 0)
        gap = max(area - sum(sqft for _, sqft in zones), 0.0)
        if abs(gap - tolerance) > 1e-9 * area:  # nearer, the order in which areas are added decides
            assert (row["coverage"] == "mapped") == (bool(zones) and gap <= tolerance)
