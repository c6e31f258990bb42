"""Checks that ask every dataset the same, whatever its rows are: repeated rows, and a delivery beside what is live.

A room says which of its columns names a row; severities, sentences and limits are the law's (``schemas/checks.yml``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from statewide.arrival import Rows
from statewide.findings import FindingLog, plain_count, plain_number, plain_share
from statewide.lineage import Lineage
from statewide.live import Live
from statewide.register import Town
from statewide.staging import Staged, content_hashes

Texts = npt.NDArray[np.object_]
Places = npt.NDArray[np.intp]

_NAMED = 10


def duplicate_rows(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Rows that repeat an earlier one in every published column and in shape."""
    first = first_alike(staged)
    again = np.flatnonzero(first != np.arange(len(first)))

    def words(at: int) -> dict[str, Any]:
        place = again[at]
        return {"other": int(staged.row_no[first[place]]), "shape": staged.shapes[place]}

    log.add_each("DUPLICATE_ROW", staged.row_no[again].tolist(), words)


def first_alike(staged: Staged) -> Places:
    """For each row the place of the first one that is the same in every published column and in shape."""
    both = content_hashes(staged.attribute_hash, staged.shape_hash)
    _, first, group = np.unique(both, return_index=True, return_inverse=True)
    found: Places = first[group]
    return found


def older_year(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Was the file sent for an earlier year than the one that is live?"""
    for year in later_years(live, log):
        log.add("OLDER_YEAR", live=year)


def later_years(live: Live, log: FindingLog) -> list[int]:
    """The year of what is live, if it is later than the one that the file was sent for."""
    query = "SELECT year FROM statewide.publication WHERE dataset = %s AND cousub_fips = %s AND year > %s"
    return [year for (year,) in live.connection.execute(query, [log.dataset, live.cousub_fips, log.year]).fetchall()]


def say_kept_live(lineage: Lineage, live: Live, label: str, log: FindingLog) -> None:
    """Live rows that stay because their new row is held."""
    if not len(lineage.kept_live):
        return
    (names,), _ = live.columns(lineage.kept_live[:_NAMED], (label,))
    shown = ", ".join(name or "without a number" for name in sorted(names.tolist(), key=str))
    more = " and more" if len(lineage.kept_live) > _NAMED else ""
    log.add("LIVE_ROW_HELD", live_rows=plain_count(len(lineage.kept_live), log.item), numbers=shown + more)


def count_drop(live: Live, staged: Staged, log: FindingLog) -> None:
    """Does the delivery have far fewer rows than are live?"""
    old, new = len(live), len(staged.shapes)
    if old and new < log.check("COUNT_DROP").limits["share_min"] * old:
        log.add("COUNT_DROP", new=plain_number(new), old=plain_number(old), share=plain_share(new / old))


def unique_in_both(new: Texts, old: Texts) -> tuple[Places, Places]:
    """Places of the values that stand exactly once on either side, in pairs."""
    places = []
    for values in (new, old):
        filled = np.flatnonzero(values != None)  # noqa: E711  (element-wise)
        names, first, counts = np.unique(values[filled].astype(str), return_index=True, return_counts=True)
        places.append((names[counts == 1], filled[first[counts == 1]]))
    (here, left), (there, right) = places
    _, a, b = np.intersect1d(here, there, assume_unique=True, return_indices=True)
    return left[a], right[b]
