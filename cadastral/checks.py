"""Checks over the rows of one parcel delivery: against one another, the town's outline, and what is live.

Each takes the staged rows in columns and adds findings; severities, sentences and limits are the law's
(``schemas/checks.yml``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely
from psycopg import sql

from statewide.arrival import Rows
from statewide.findings import FindingLog, plain_count, plain_number, plain_share
from statewide.geometry import SQFT_PER_ACRE, distances_ft, same_shape
from statewide.live import Live
from statewide.register import Town
from statewide.staging import Staged, content_hashes

Texts = npt.NDArray[np.object_]
Places = npt.NDArray[np.intp]


def loaded_twice(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Is nearly every parcel number there exactly twice, one copy upon the other?"""
    limits = log.check("TOWN_LOADED_TWICE").limits
    numbers = staged.text("parcel_id_normalized")
    order = np.argsort(np.where(numbers == None, "", numbers).astype(str), kind="stable")  # noqa: E711  (element-wise)
    named = order[np.array([numbers[place] is not None for place in order], dtype=bool)]
    distinct, first, count = np.unique(numbers[named].astype(str), return_index=True, return_counts=True)
    twice = first[count == 2]
    if len(distinct) < limits["rows_min"] or len(twice) < limits["share_min"] * len(distinct):
        return
    left, right = named[twice], named[twice + 1]
    common = shapely.area(shapely.intersection(staged.shapes[left], staged.shapes[right]))
    smaller = np.minimum(staged.areas[left], staged.areas[right])
    if np.median(common / smaller) < 0.5:
        return
    alike = same_shape(staged.shapes[left], staged.shapes[right], log.standard.header.coordinate_tolerance_ft)
    apart = distances_ft(staged.shapes[left], staged.shapes[right])[~alike]
    total = float(staged.areas.sum())
    log.add(
        "TOWN_LOADED_TWICE",
        twice=plain_number(len(twice)),
        ids=plain_number(len(distinct)),
        cover=plain_number(total / (total - float(common.sum())), 2),
        alike=plain_number(int(alike.sum())),
        differ=plain_number(len(apart)),
        shift_ft=plain_number(float(apart.max(initial=0.0)), 1),
        separator=_separator(rows, staged.row_no[left], staged.row_no[right]),
    )


def _separator(rows: Rows, left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> str:
    """The delivered column that tells the two copies apart, as a sentence; empty if none does."""
    first = pa.array([rows.index_of(int(number)) for number in left])
    second = pa.array([rows.index_of(int(number)) for number in right])
    for column in rows.source.column_names:
        if column == "row_no" or column in rows.crosswalk.withheld or column in rows.crosswalk.unmapped:
            continue
        values = rows.source.column(column)
        here, there = set(values.take(first).to_pylist()), set(values.take(second).to_pylist())
        if len(here) == len(there) == 1 and here != there:
            shown = [f"“{value}”" if value is not None else "empty" for value in (*here, *there)]
            return f" The column {column} tells the copies apart: it is {shown[0]} in one and {shown[1]} in the other."
    return ""


def duplicate_rows(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Rows that repeat an earlier one in every published column and in shape."""
    both = content_hashes(staged.attribute_hash, staged.shape_hash)
    _, first, group = np.unique(both, return_index=True, return_inverse=True)
    for place in np.flatnonzero(first[group] != np.arange(len(group))):
        other = int(staged.row_no[first[group[place]]])
        log.add("DUPLICATE_ROW", row_no=int(staged.row_no[place]), other=other, shape=staged.shapes[place])


def duplicate_ids(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """One parcel number on several shapes; said once per number, at its first row."""
    numbers = staged.text("parcel_id_normalized")
    named = np.flatnonzero(numbers != None)  # noqa: E711  (element-wise)
    _, group = np.unique(numbers[named].astype(str), return_inverse=True)
    shape, of_shape = np.unique(staged.shape_hash[named].view("S16"), return_inverse=True)
    pairs = np.unique(group * (len(shape) + 1) + of_shape)  # each number with each of its shapes, once
    shapes = np.bincount(pairs // (len(shape) + 1), minlength=1)
    counts, given = np.bincount(group, minlength=1), staged.rows.column("parcel_id")
    first = np.full(len(shapes), len(numbers))
    np.minimum.at(first, group, named)
    for number in sorted(np.flatnonzero(shapes > 1), key=lambda number: first[number]):
        place = int(first[number])
        log.add(
            "DUPLICATE_ID",
            row_no=int(staged.row_no[place]),
            column=rows.crosswalk.mapping.get("parcel_id"),
            value=given[place].as_py(),
            rows=plain_count(int(counts[number]), "row"),
            shapes=plain_number(int(shapes[number])),
            shape=staged.shapes[place],
        )


def stacks(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Several rows on exactly one shape; said once per stack, at its first row."""
    _, first, counts = np.unique(staged.shape_hash.view("S16"), return_index=True, return_counts=True)
    for place, count in sorted(zip(first[counts > 1].tolist(), counts[counts > 1].tolist(), strict=True)):
        log.add("STACKED", row_no=int(staged.row_no[place]), rows=plain_count(count, "row"), shape=staged.shapes[place])


def stack_counts(staged: Staged) -> np.ndarray[Any, np.dtype[np.int32]]:
    """How many rows stand on the shape of each row."""
    _, group, counts = np.unique(staged.shape_hash.view("S16"), return_inverse=True, return_counts=True)
    return counts[group].astype(np.int32)


def outside_town(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Parcels whose nearest point lies farther from the town's outline than an index map can be wrong."""
    limit = log.check("OUTSIDE_TOWN").limits["distance_ft_min"]
    shapely.prepare(town.outline)
    apart = np.flatnonzero(~shapely.dwithin(town.outline, staged.shapes, limit))
    for place, distance in zip(apart, shapely.distance(town.outline, staged.shapes[apart]), strict=True):
        log.add(
            "OUTSIDE_TOWN",
            row_no=int(staged.row_no[place]),
            distance_ft=plain_number(float(distance)),
            shape=staged.shapes[place],
        )


def stale_rows(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Rows of another collection year than the one they were sent for."""
    for entry in staged.rows.column("collection_year").drop_null().value_counts().sort().to_pylist():
        if entry["values"] != log.year:
            log.add(
                "STALE_ROWS",
                column=rows.crosswalk.mapping.get("collection_year"),
                value=entry["values"],
                rows=plain_count(entry["counts"], "row"),
            )


def older_year(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Was the file sent for an earlier year than the one that is live?"""
    for year in later_years(live, log):
        log.add("OLDER_YEAR", live=year)


def later_years(live: Live, log: FindingLog) -> list[int]:
    """The year of what is live, if it is later than the one that the file was sent for."""
    query = "SELECT year FROM statewide.publication WHERE dataset = %s AND cousub_fips = %s AND year > %s"
    return [year for (year,) in live.connection.execute(query, [log.dataset, live.cousub_fips, log.year]).fetchall()]


def live_rows_held(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Parcels that are live and whose number stands in the file on held rows only; they stay live."""
    on_hold = log.held_rows()
    if not on_hold:
        return
    numbers = rows.conformed.column("parcel_id_normalized").to_pylist()
    held = {numbers[rows.index_of(row_no)] for row_no in on_hold} - {None}
    held -= {numbers[rows.index_of(int(row_no))] for row_no in staged.row_no if int(row_no) not in on_hold}
    going = {
        normalized: given
        for normalized, given in zip(live.column("parcel_id_normalized"), live.column("parcel_id"), strict=True)
        if normalized in held
    }
    if going:
        shown = ", ".join(given for _, given in sorted(going.items())[:10]) + (" and more" if len(going) > 10 else "")
        log.add("LIVE_ROW_HELD", parcels=plain_count(len(going), "parcel"), numbers=shown)


def shrinkage(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Does the delivery have far fewer parcels, or far less land, than is live?"""
    old, old_area = len(live), float(live.total(sql.SQL("coalesce(sum(area_sqft), 0)")))
    if not old:
        return
    new, new_area = len(staged.shapes), float(staged.areas.sum())
    if new < log.check("COUNT_DROP").limits["share_min"] * old:
        log.add("COUNT_DROP", new=plain_number(new), old=plain_number(old), share=plain_share(new / old))
    if new_area < log.check("AREA_DROP").limits["share_min"] * old_area:
        log.add(
            "AREA_DROP",
            new_acres=plain_number(new_area / SQFT_PER_ACRE),
            old_acres=plain_number(old_area / SQFT_PER_ACRE),
            share=plain_share(new_area / old_area),
        )


def ids_replaced(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Are most of the live parcel numbers gone?"""
    limits = log.check("IDS_REPLACED").limits
    known = set(_numbers(live.column("parcel_id_normalized"), live.column("cama_link_normalized"))) - {None}
    new = _numbers(staged.text("parcel_id_normalized"), staged.text("cama_link_normalized"))
    kept = len(known & set(new))
    if len(known) >= limits["rows_min"] and kept < limits["share_min"] * len(known):
        log.add("IDS_REPLACED", share=plain_share(kept / len(known)))


def moved(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """How many parcels that are in both, by number, have moved? Only numbers that are unique on both sides count."""
    limits = log.check("MOVED").limits
    here, there = _unique_in_both(staged.text("parcel_id_normalized"), live.column("parcel_id_normalized"))
    if len(here) < limits["rows_min"]:
        return
    redrawn = staged.shape_hash[here] != live.versions["shape_hash"][there]
    shifts = np.zeros(len(here))
    old = live.shapes(there[redrawn]) if redrawn.any() else staged.shapes[:0]
    shifts[redrawn] = shapely.distance(shapely.centroid(staged.shapes[here[redrawn]]), shapely.centroid(old))
    far = shifts > limits["shift_ft_max"]
    if far.mean() > limits["share_max"]:
        log.add("MOVED", share=plain_share(float(far.mean())), shift_ft=plain_number(float(np.median(shifts[far])), 1))


def _numbers(ids: Texts, links: Texts) -> list[str | None]:
    """What a parcel is known by: its number, or its link where it has none."""
    return [number if number is not None else link for number, link in zip(ids, links, strict=True)]


def _unique_in_both(new: Texts, old: Texts) -> tuple[Places, Places]:
    """Places of the values that stand exactly once on either side, in pairs."""
    places = []
    for values in (new, old):
        filled = np.flatnonzero(values != None)  # noqa: E711  (element-wise)
        names, first, counts = np.unique(values[filled].astype(str), return_index=True, return_counts=True)
        places.append((names[counts == 1], filled[first[counts == 1]]))
    (here, left), (there, right) = places
    _, a, b = np.intersect1d(here, there, assume_unique=True, return_indices=True)
    return left[a], right[b]
