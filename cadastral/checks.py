"""Checks over the rows of one parcel delivery: against one another, the town's outline, and what is live.

Each takes the staged rows in columns and adds findings; severities, sentences and limits are the law's
(``schemas/checks.yml``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from psycopg import sql

from statewide.arrival import Rows
from statewide.findings import FindingLog, plain_count, plain_number, plain_share
from statewide.geometry import SQFT_PER_ACRE, distances_ft, distances_to_edge_ft, same_shape
from statewide.live import Live
from statewide.register import Town
from statewide.shared_checks import Texts, count_drop, unique_in_both
from statewide.staging import Staged
from statewide.standard import StandardField

_NUMBERS = ("cama_link", "link", "parcel_id", "pid")


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
    for place, distance in zip(apart, distances_to_edge_ft(town.outline, staged.shapes[apart]), strict=True):
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


def shrinkage(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Does the delivery have far fewer parcels, or far less land, than is live?"""
    if not len(live):
        return
    count_drop(live, staged, log)
    new_area, old_area = float(staged.areas.sum()), float(live.total(sql.SQL("coalesce(sum(area_sqft), 0)")))
    if new_area < log.check("AREA_DROP").limits["share_min"] * old_area:
        log.add(
            "AREA_DROP",
            new_acres=plain_number(new_area / SQFT_PER_ACRE),
            old_acres=plain_number(old_area / SQFT_PER_ACRE),
            share=plain_share(new_area / old_area),
        )


def fields_emptied(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Fields that are filled in clearly fewer of the rows than they are in the live ones; a number's 0 fills nothing.

    Lost is one that the law demands and that fewer than half of them still fill, or one that no row fills any more.
    """
    if not len(live) or not staged.rows.num_rows:
        return
    limits = log.check("FIELD_LOST").limits
    fields = [
        field for field in live.table.town_fields if field.in_base_table and field.level != "may" and field.versioned
    ]
    counts = live.total(sql.SQL("ARRAY[{}]").format(sql.SQL(", ").join(_count_filled(field) for field in fields)))
    for field, count in zip(fields, counts, strict=True):
        before, now = count / len(live), _filled(staged.rows.column(field.name)) / staged.rows.num_rows
        halved = field.level == "must" and now < limits["share_min"] * before
        # A number may be another column than last year; whether rows are still known and met is for other checks.
        gone = not now and before >= limits["before_min"] and field.name not in _NUMBERS
        if halved or gone or before - now > log.check("FIELD_EMPTIED").limits["points_max"]:
            log.add(
                "FIELD_LOST" if halved or gone else "FIELD_EMPTIED",
                column=rows.crosswalk.mapping.get(field.name),
                field=field.title,
                now=plain_share(now),
                before=plain_share(before),
            )


def _count_filled(field: StandardField) -> sql.Composed:
    column = sql.Identifier(field.name)
    nothing = sql.SQL("nullif({}, 0)").format(column) if field.type in ("integer", "number") else column
    return sql.SQL("count({})").format(nothing)


def _filled(values: pa.ChunkedArray) -> int:
    numeric = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    filled = pc.fill_null(pc.not_equal(values, 0), False) if numeric else values.is_valid()
    return int(pc.sum(filled).as_py() or 0)


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
    here, there = unique_in_both(staged.text("parcel_id_normalized"), live.column("parcel_id_normalized"))
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
