"""Versions of a town: which rows were live at a moment, what differs between two moments, and which moments have names.

Every row is valid from the transaction that published it to the one that ended it. Columns that follow in place (the
collection year, how many rows share a shape) have no versions: they are not among what is shown of an earlier moment.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import shapely
from psycopg import sql

from statewide.database import Connection, read_sql
from statewide.ddl import has_shapes, shown_where, stored_columns, view_parts
from statewide.errors import BadArgument
from statewide.register import Town
from statewide.standard import Standard, Table

LIVE = "live"
_ACCEPTED = ("published", "unchanged")
_INSTANT = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Version:
    """A town at a moment; `submission` is the accepted one that had made it so, None before the first."""

    moment: dt.datetime
    said: str
    submission: str | None = None
    number: int | None = None


@dataclass(frozen=True)
class RowChange:
    """A row that differs between two versions: its values before and after where they differ, and what became of it.

    `label` is what the town calls it; `shape` is the later one, or the earlier of a removed row.
    """

    uid: str
    change: str
    kinds: tuple[str, ...]
    label: str | None
    redrawn: bool
    values: Mapping[str, tuple[Any, Any]]
    shape: Any


@dataclass(frozen=True)
class Comparison:
    """What differs from one version to another. `kinds` counts what became of rows, as the summaries do."""

    earlier: Version
    later: Version
    rows: Sequence[RowChange]
    kinds: Mapping[str, int]

    def counts(self) -> dict[str, int]:
        """Rows added, changed and removed."""
        found = Counter(row.change for row in self.rows)
        return {change: found[change] for change in ("added", "changed", "removed")}


def rows_as_of(table: Table, town: str | None, moment: dt.datetime) -> sql.Composed:
    """A query: the rows of a town, or of all, as they were at a moment, with all stored columns."""
    parts = {
        "columns": sql.SQL(", ").join(map(sql.Identifier, stored_columns(table))),
        "live": sql.Identifier(table.schema_name, table.name),
        "history": sql.Identifier(table.schema_name, f"{table.name}_history"),
        "moment": sql.Literal(moment),
        "of_town": sql.SQL("{} = {} AND").format(sql.Identifier(table.town_key or ""), sql.Literal(town))
        if town
        else sql.SQL(""),
    }
    return sql.SQL(_AS_OF).format(**parts)


def published_as_of(standard: Standard, table: Table, town: str | None, moment: dt.datetime) -> sql.Composed:
    """A query: the published view as it was at a moment, without what is taken from tables that keep no history.

    What is withheld now is withheld at every moment.
    """
    columns, joins = view_parts(standard, table, extended=False)
    # The law's own text, which may have braces of its own.
    return sql.SQL("SELECT\n") + sql.SQL(columns) + sql.SQL("\nFROM ({}) AS t").format(
        rows_as_of(table, town, moment)
    ) + sql.SQL(joins) + _shown(standard, table)  # fmt: skip


def _shown_as_of(standard: Standard, table: Table, town: Town, version: Version) -> sql.Composed:
    rows = rows_as_of(table, town.cousub_fips, version.moment)
    return sql.SQL("SELECT * FROM ({}) AS t").format(rows) + _shown(standard, table)


def _withheld(table: Table) -> sql.Composable:
    """A query: identifiers of the rows that are withheld."""
    if table.withheld_by is None:
        return sql.SQL("SELECT NULL::uuid WHERE false")
    return sql.SQL("SELECT {} FROM {}").format(sql.Identifier(table.key), sql.Identifier(*table.withheld_by.split(".")))


def _shown(standard: Standard, table: Table) -> sql.SQL:
    condition = shown_where(standard, table)
    return sql.SQL(f"\nWHERE {condition}" if condition else "")


def find_version(connection: Connection, dataset: str, town: Town, asked: str) -> Version:
    """The version that is meant by `live`, the number or identifier of a submission, or a day or moment.

    A day is its end, in UTC.

    Raises:
        BadArgument: there is no such submission of the town, or it was refused and so never was live.
    """
    if asked == LIVE:
        return version_at(connection, dataset, town, None)
    moment = as_moment(asked)
    if moment is not None:
        return version_at(connection, dataset, town, moment)
    column = "submission_no" if asked.isdecimal() and len(asked) < 19 else "submission_id" if _is_uuid(asked) else None
    if column is None:
        raise BadArgument(
            f"{asked!r} is no version: give the number of a submission, a day such as 2026-04-30 or `live`."
        )
    row = connection.execute(
        sql.SQL(
            "SELECT submission_id, submission_no, recorded_at, outcome, cousub_fips, dataset"
            " FROM statewide.submission WHERE {} = %s"
        ).format(sql.Identifier(column)),
        [asked],
    ).fetchone()
    if row is None or row[4:] != (town.cousub_fips, dataset):
        raise BadArgument(f"{town.town_name} has no submission {asked} of this kind: see its history.")
    submission, number, recorded_at, outcome, *_ = row
    if outcome not in _ACCEPTED:
        raise BadArgument(f"Submission {number} of {town.town_name} was {outcome}, so it never was live.")
    return Version(recorded_at, f"submission {number}", str(submission), number)


def version_before(connection: Connection, dataset: str, town: Town, later: Version) -> Version:
    """The town as it was before the publication that led to a version."""
    row = connection.execute(
        "SELECT recorded_at FROM statewide.submission WHERE dataset = %s AND cousub_fips = %s"
        " AND outcome = 'published' AND recorded_at <= %s ORDER BY recorded_at DESC LIMIT 1",
        [dataset, town.cousub_fips, later.moment],
    ).fetchone()
    return version_at(connection, dataset, town, row[0] - _INSTANT if row else later.moment)


def compare(
    connection: Connection,
    standard: Standard,
    table: Table,
    town: Town,
    label: str,
    earlier: Version,
    later: Version,
) -> Comparison:
    """What differs between two versions of a town, in the columns that are published, without what is withheld.

    Raises:
        BadArgument: the later version lies before the earlier one.
    """
    if later.moment < earlier.moment:
        raise BadArgument(f"{later.said} came before {earlier.said}: swap --from and --to.")
    known = (table.key, table.town_key)
    names = [field.name for field in table.base_fields if field.public and field.versioned and field.name not in known]
    shape = sql.SQL("ST_AsBinary(coalesce(new.geom, old.geom))" if has_shapes(table) else "NULL::bytea")
    span = {
        "dataset": table.name,
        "town": town.cousub_fips,
        "earlier": earlier.moment,
        "later": later.moment,
    }
    rows = connection.execute(
        read_sql("statewide", "compare").format(
            earlier=_shown_as_of(standard, table, town, earlier),
            later=_shown_as_of(standard, table, town, later),
            key=sql.Identifier(table.key),
            label=sql.Identifier(label),
            old=sql.SQL(", ").join(sql.Identifier("old", name) for name in names),
            new=sql.SQL(", ").join(sql.Identifier("new", name) for name in names),
            shape=shape,
        ),
        span,
    ).fetchall()
    shapes = shapely.from_wkb([row[-1] for row in rows])
    kinds = connection.execute(sql.SQL(_KINDS).format(withheld=_withheld(table)), span).fetchall()
    return Comparison(
        earlier,
        later,
        [
            RowChange(
                str(uid),
                change,
                tuple(kinds_of or ()),
                name,
                redrawn,
                {each: (old[each], new[each]) for each in names if old[each] != new[each]},
                drawn,
            )
            for (uid, change, kinds_of, name, redrawn, old, new, _), drawn in zip(rows, shapes, strict=True)
        ],
        dict(kinds),
    )


def version_at(connection: Connection, dataset: str, town: Town, moment: dt.datetime | None) -> Version:
    """The version at a moment, or the live one, named by the submission that had made it so."""
    row = connection.execute(
        "SELECT submission_id, submission_no, coalesce(%(moment)s, clock_timestamp()) AS moment"
        " FROM (SELECT) AS always LEFT JOIN statewide.submission AS s ON dataset = %(dataset)s"
        " AND cousub_fips = %(town)s AND outcome = ANY(%(accepted)s)"
        " AND recorded_at <= coalesce(%(moment)s, clock_timestamp())"
        " ORDER BY recorded_at DESC NULLS LAST, submission_no DESC LIMIT 1",
        {"dataset": dataset, "town": town.cousub_fips, "accepted": list(_ACCEPTED), "moment": moment},
    ).fetchone()
    assert row is not None
    submission, number, at = row
    if submission is None:
        return Version(at, "before the first submission")
    return Version(at, f"submission {number}" + (" (live)" if moment is None else ""), str(submission), number)


def join_key_at(connection: Connection, town: Town, moment: dt.datetime) -> dict[str, Any] | None:
    """How the town's datasets met at a moment; None where that is not known."""
    row = connection.execute(
        "SELECT summary -> 'join_key' FROM statewide.submission WHERE cousub_fips = %s AND outcome = ANY(%s)"
        " AND recorded_at <= %s AND summary -> 'join_key' IS NOT NULL ORDER BY recorded_at DESC LIMIT 1",
        [town.cousub_fips, list(_ACCEPTED), moment],
    ).fetchone()
    return row[0] if row else None


def as_moment(asked: str) -> dt.datetime | None:
    """A day's end or a moment, in UTC where it does not say; None if it is neither."""
    try:
        if len(asked) == len("2026-04-30"):
            return dt.datetime.combine(dt.date.fromisoformat(asked), dt.time.max, dt.UTC)
        moment = dt.datetime.fromisoformat(asked) if "-" in asked else None
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or dt.UTC) if moment else None


def _is_uuid(asked: str) -> bool:
    try:
        uuid.UUID(asked)
    except ValueError:
        return False
    return True


_AS_OF = """
SELECT {columns} FROM {live} WHERE {of_town} valid_from <= {moment}
UNION ALL
SELECT {columns} FROM {history} WHERE {of_town} valid_from <= {moment} AND valid_to > {moment}
"""

_KINDS = """
SELECT kind, count(DISTINCT CASE WHEN kind IN ('split', 'retired') THEN from_uid ELSE to_uid END)
FROM statewide.lineage
JOIN statewide.submission USING (submission_id, dataset, cousub_fips)
WHERE dataset = %(dataset)s AND cousub_fips = %(town)s AND recorded_at > %(earlier)s AND recorded_at <= %(later)s
  AND NOT EXISTS (SELECT 1 FROM ({withheld}) AS withheld (uid) WHERE uid IN (from_uid, to_uid))
GROUP BY kind
ORDER BY kind
"""
