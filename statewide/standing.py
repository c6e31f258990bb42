"""How a delivery stands: how full its fields are, beside last year's, and what the town's year earns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from statewide.arrival import Rows
from statewide.ddl import has_shapes
from statewide.findings import FindingLog
from statewide.live import Live
from statewide.report_input import Against
from statewide.score import Count, ScoreInput, faulty_rows, scored_fields
from statewide.staging import Staged
from statewide.standard import Standard, StandardField, Table


def completeness(live: Live, staged: Staged) -> dict[str, tuple[float, float | None]]:
    """Share of rows that fill a field, of those that the law asks for or recommends: now, and of the live rows."""
    fields = [item for item in live.table.town_fields if item.in_base_table and item.level != "may"]
    before: list[float | None] = [None] * len(fields)
    if len(live) and fields:
        before = live.total(sql.SQL("ARRAY[{}]").format(sql.SQL(", ").join(_filled_share(item) for item in fields)))
    now = (_filled(staged.rows, item) for item in fields)
    return {
        item.name: (filled / of if of else 0.0, share)
        for item, (filled, of), share in zip(fields, now, before, strict=True)
    }


def _filled_share(item: StandardField) -> sql.Composed:
    """Of the live rows that should fill a field, the share that does."""
    column = sql.Identifier(item.name)
    if item.expected_with is None:
        return sql.SQL("count({})::float8 / count(*)").format(column)
    expected = sql.SQL("FILTER (WHERE {} > 0)").format(sql.Identifier(item.expected_with))
    return sql.SQL("count({0}) {1}::float8 / nullif(count(*) {1}, 0)").format(column, expected)


def against(live: Live, staged: Staged, dataset: str) -> Against | None:
    """The live version beside this one; None for a first delivery."""
    row = live.connection.execute(
        "SELECT year, published_at::date FROM statewide.publication WHERE dataset = %s AND cousub_fips = %s",
        [dataset, live.cousub_fips],
    ).fetchone()
    if row is None:
        return None
    area = None
    if has_shapes(live.table):
        area = (float(live.total(sql.SQL("coalesce(sum(ST_Area(geom)), 0)"))), float(staged.areas.sum()))
    return Against(row[0], row[1], (len(live), len(staged.shapes)), area)


def score_input(
    standard: Standard,
    table: Table,
    rows: Rows,
    staged: Staged,
    log: FindingLog,
    *,
    in_time: bool,
    matched: Mapping[str, Count],
    carried: Mapping[str, Count],
) -> ScoreInput:
    """What a delivery is scored by."""
    held = log.held_rows()
    year = rows.conformed.column("collection_year") if "collection_year" in rows.conformed.column_names else None
    other_year = int(pc.sum(pc.not_equal(year, log.year)).as_py() or 0) if year is not None else 0
    return ScoreInput(
        dataset=table.name,
        rows=rows.conformed.num_rows,
        held=len(held),
        faulty=faulty_rows(log),
        filled={name: _filled(rows.conformed, table.field(name)) for name in scored_fields(standard, table.name)},
        of_the_year=rows.conformed.num_rows - other_year,
        in_time=in_time,
        matched=matched,
        carried=carried,
    )


def _filled(rows: pa.Table, item: StandardField) -> Count:
    """Rows that fill a field, of those that should."""
    column = rows.column(item.name)
    if item.expected_with is None:
        return len(column) - column.null_count, len(column)
    expected = pc.fill_null(pc.greater(rows.column(item.expected_with), 0), False)
    return int(pc.sum(pc.and_(expected, column.is_valid())).as_py() or 0), int(pc.sum(expected).as_py() or 0)


def in_time(standard: Standard, live: Live, dataset: str, year: int, received_at: dt.datetime) -> bool:
    """Whether the town's first accepted delivery for the year, this one if there is none, came by the due day."""
    due = standard.score_of(dataset).due
    row = live.connection.execute(
        "SELECT min(received_at) FROM statewide.submission"
        " WHERE dataset = %s AND cousub_fips = %s AND year >= %s AND outcome <> 'refused'",
        [dataset, live.cousub_fips, year],
    ).fetchone()
    first = row[0] if row and row[0] else received_at
    return bool(due is None or first.astimezone(dt.UTC).date() <= due.on(year))


def carried_counts(standard: Standard, live: Live, dataset: str) -> dict[str, Count]:
    """The counts of the live publications of the town's other datasets that are scored together with this one."""
    others = [name for name in standard.score_of(dataset).files if name != dataset]
    rows = live.connection.execute(
        "SELECT s.summary -> 'score' -> 'counts' FROM statewide.publication AS p"
        " JOIN statewide.submission AS s USING (submission_id)"
        " WHERE p.cousub_fips = %s AND p.dataset = ANY(%s) AND s.summary -> 'score' -> 'counts' IS NOT NULL",
        [live.cousub_fips, others],
    ).fetchall()
    found: dict[str, Any] = {}
    for (counts,) in rows:
        found |= {name: tuple(count) for name, count in counts.items()}
    return found
