"""The books close for every split of a delivery, and stop the load when they do not."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statewide.errors import LedgerUnbalanced
from statewide.ledger import Ledger

TOLERANCE = 0.01
row = st.tuples(st.floats(0, 1e9), st.booleans(), st.floats(-1e4, 1e4))


def ledger(rows: list[tuple[float, bool, float]]) -> Ledger:
    """Books of rows (area as given, held or not, area that the repair added)."""
    published = [(area, moved) for area, held, moved in rows if not held]
    return Ledger(
        rows_read=len(rows),
        rows_published=len(published),
        rows_held=len(rows) - len(published),
        rows_ignored=0,
        area_read_sqft=math.fsum(area for area, _, _ in rows),
        area_published_sqft=math.fsum(area + moved for area, moved in published),
        area_held_sqft=math.fsum(area for area, held, _ in rows if held),
        area_repaired_sqft=math.fsum(-moved for _, moved in published),
    )


@given(st.lists(row, max_size=200))
def test_any_split_into_published_and_held_balances(rows: list[tuple[float, bool, float]]) -> None:
    books = ledger(rows)
    books.require_balance(TOLERANCE)
    refused = books.all_held()
    refused.require_balance(TOLERANCE)
    assert (refused.rows_published, refused.rows_held, refused.area_published_sqft) == (0, len(rows), 0.0)


@pytest.mark.parametrize(
    ("entry", "by"),
    [
        *((name, 1) for name in ("rows_read", "rows_published", "rows_held", "rows_ignored")),
        *((name, 0.02) for name in ("area_read_sqft", "area_published_sqft", "area_held_sqft", "area_repaired_sqft")),
        ("area_published_sqft", math.nan),
        ("area_published_sqft", math.inf),
    ],
)
def test_anything_that_goes_missing_stops_the_load(entry: str, by: float) -> None:
    books = ledger([(40_000.0, False, 0.5), (1e9, True, 0.0), (123.456, False, -2.0)])
    for sign in (1, -1):
        wrong = dataclasses.replace(books, **{entry: getattr(books, entry) + sign * by})
        with pytest.raises(LedgerUnbalanced, match="does not balance"):
            wrong.require_balance(TOLERANCE)
