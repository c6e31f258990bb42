"""Checks over the rows of one parcel delivery: against one another, the town's outline, and what is live.

Each takes the staged rows in the database (`staged`) or as arrays, and adds findings; severities, sentences and limits
are the law's (``schemas/checks.yml``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from statewide.database import Connection, read_sql
from statewide.findings import FindingLog, plain_count, plain_number, plain_share
from statewide.geometry import SQFT_PER_ACRE, distances_ft, same_shape
from statewide.intake import Rows
from statewide.register import Town
from statewide.staging import Staged


def loaded_twice(connection: Connection, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Is nearly every parcel number there exactly twice, one copy upon the other?"""
    limits = log.check("TOWN_LOADED_TWICE").limits
    numbers = np.array(staged.rows.column("parcel_id_normalized").to_pylist(), dtype=object)
    order = np.argsort(np.where(numbers == None, "", numbers).astype(str), kind="stable")  # noqa: E711  (element-wise)
    named = order[np.array([numbers[place] is not None for place in order], dtype=bool)]
    distinct, first, count = np.unique(numbers[named].astype(str), return_index=True, return_counts=True)
    twice = first[count == 2]
    if len(distinct) < limits["rows_min"] or len(twice) < limits["share_min"] * len(distinct):
        return
    left, right = named[twice], named[twice + 1]
    common = shapely.area(shapely.intersection(staged.shapes[left], staged.shapes[right]))
    smaller = np.minimum(shapely.area(staged.shapes[left]), shapely.area(staged.shapes[right]))
    if np.median(common / smaller) < 0.5:
        return
    alike = same_shape(staged.shapes[left], staged.shapes[right], log.standard.header.coordinate_tolerance_ft)
    apart = distances_ft(staged.shapes[left], staged.shapes[right])[~alike]
    total = float(shapely.area(staged.shapes).sum())
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
        if column == "row_no" or column in rows.crosswalk.withheld:
            continue
        values = rows.source.column(column)
        here, there = set(values.take(first).to_pylist()), set(values.take(second).to_pylist())
        if len(here) == len(there) == 1 and here != there:
            shown = [f"“{value}”" if value is not None else "empty" for value in (*here, *there)]
            return f" The column {column} tells the copies apart: it is {shown[0]} in one and {shown[1]} in the other."
    return ""


def duplicate_rows(connection: Connection, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Rows that repeat an earlier one in every published column and in shape."""
    for row_no, other in connection.execute(read_sql("cadastral", "duplicate_rows")).fetchall():
        log.add("DUPLICATE_ROW", row_no=row_no, other=other, shape=_shape(staged, row_no))


def duplicate_ids(connection: Connection, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """One parcel number on several shapes; said once per number, at its first row."""
    column = rows.crosswalk.mapping.get("parcel_id")
    for row_no, value, count, shapes in connection.execute(read_sql("cadastral", "duplicate_ids")).fetchall():
        log.add(
            "DUPLICATE_ID",
            row_no=row_no,
            column=column,
            value=value,
            rows=plain_count(count, "row"),
            shapes=plain_number(shapes),
            shape=_shape(staged, row_no),
        )


def stacks(connection: Connection, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Several rows on exactly one shape; said once per stack, at its first row."""
    query = "SELECT min(row_no), count(*) FROM staged GROUP BY shape_hash HAVING count(*) > 1 ORDER BY 1"
    for row_no, count in connection.execute(query).fetchall():
        log.add("STACKED", row_no=row_no, rows=plain_count(count, "row"), shape=_shape(staged, row_no))


def outside_town(connection: Connection, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
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


def stale_rows(connection: Connection, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Rows of another collection year than the one they were sent for."""
    query = "SELECT collection_year, count(*) FROM staged WHERE collection_year <> %s GROUP BY 1 ORDER BY 1"
    for year, count in connection.execute(query, [log.year]).fetchall():
        log.add(
            "STALE_ROWS",
            column=rows.crosswalk.mapping.get("collection_year"),
            value=year,
            rows=plain_count(count, "row"),
        )


def older_year(connection: Connection, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Was the file sent for an earlier year than the one that is live?"""
    query = "SELECT year FROM statewide.publication WHERE dataset = %s AND cousub_fips = %s AND year > %s"
    for (live,) in connection.execute(query, [log.dataset, town.cousub_fips, log.year]).fetchall():
        log.add("OLDER_YEAR", live=live)


def live_rows_held(connection: Connection, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Parcels that are live and whose number stands in the file on held rows only."""
    numbers = rows.conformed.column("parcel_id_normalized").to_pylist()
    held = {numbers[rows.index_of(row_no)] for row_no in log.held_rows()} - {None}
    held -= set(staged.rows.column("parcel_id_normalized").to_pylist())
    query = (
        "SELECT DISTINCT parcel_id, parcel_id_normalized FROM cadastral.parcel"
        " WHERE cousub_fips = %s AND parcel_id_normalized = ANY(%s) ORDER BY parcel_id_normalized"
    )
    going = [number for number, _ in connection.execute(query, [town.cousub_fips, list(held)]).fetchall()]
    if going:
        shown = ", ".join(going[:10]) + (" and more" if len(going) > 10 else "")
        log.add("LIVE_ROW_HELD", parcels=plain_count(len(going), "parcel"), numbers=shown)


def shrinkage(connection: Connection, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Does the delivery have far fewer parcels, or far less land, than is live?"""
    query = "SELECT count(*), coalesce(sum(area_sqft), 0) FROM cadastral.parcel WHERE cousub_fips = %s"
    row = connection.execute(query, [town.cousub_fips]).fetchone()
    assert row is not None
    old, old_area = int(row[0]), float(row[1])
    if not old:
        return
    new, new_area = len(staged.shapes), float(shapely.area(staged.shapes).sum())
    if new < log.check("COUNT_DROP").limits["share_min"] * old:
        log.add("COUNT_DROP", new=plain_number(new), old=plain_number(old), share=plain_share(new / old))
    if new_area < log.check("AREA_DROP").limits["share_min"] * old_area:
        log.add(
            "AREA_DROP",
            new_acres=plain_number(new_area / SQFT_PER_ACRE),
            old_acres=plain_number(old_area / SQFT_PER_ACRE),
            share=plain_share(new_area / old_area),
        )


def ids_replaced(connection: Connection, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Are most of the live parcel numbers gone?"""
    limits = log.check("IDS_REPLACED").limits
    row = connection.execute(read_sql("cadastral", "ids_kept"), {"town": town.cousub_fips}).fetchone()
    assert row is not None
    live, kept = row
    if live >= limits["rows_min"] and kept < limits["share_min"] * live:
        log.add("IDS_REPLACED", share=plain_share(kept / live))


def moved(connection: Connection, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """How far have parcels moved that are in both, by number? Only numbers that are unique on both sides count."""
    limits = log.check("MOVED").limits
    row = connection.execute(read_sql("cadastral", "displacement"), {"town": town.cousub_fips}).fetchone()
    assert row is not None
    pairs, shift = row
    if pairs >= limits["rows_min"] and shift > limits["shift_ft_max"]:
        log.add("MOVED", shift_ft=plain_number(shift, 1))


def _shape(staged: Staged, row_no: int) -> Any:
    return staged.shapes[int(np.searchsorted(staged.row_no, row_no))]
