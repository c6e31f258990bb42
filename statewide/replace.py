"""Replace what is live of one town by a delivery: only rows that differ are written, ended versions go to history.

Runs in the caller's transaction. Readers see the old town until the commit and the new one after it. New rows are
COPYed straight into the live table; changed rows keep their identifier and are updated in place.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from psycopg import sql

from statewide.copying import UUID, copy_in, ewkb_array, uuid_array
from statewide.database import Connection
from statewide.ddl import has_shapes, of_points, shape_srids, stored_columns
from statewide.errors import LedgerUnbalanced
from statewide.geometry import published_shapes
from statewide.lineage import Indices, Lineage
from statewide.live import EMPTY, Live, uuids
from statewide.staging import Digests, Staged, new_uids
from statewide.standard import Standard, Table
from statewide.succession import Succession, record_succession

_CHUNK = 10_000
"""Rows that are encoded at a time: some tens of megabytes."""

Derived = Mapping[str, npt.NDArray[np.int32]]
"""Integer columns that depend on the other rows of the town; one value per staged row."""


def lock_town(connection: Connection, dataset: str, town: str) -> None:
    """One writer per town and dataset until the end of the transaction; a crash frees it."""
    connection.execute("SET LOCAL lock_timeout = '60s'")
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 7100))", [f"{dataset}:{town}"])


def begin_for_town(connection: Connection, dataset: str, town: str) -> None:
    """Commit what is open, wait for the town, and begin a transaction that has its lock from its first moment on.

    So `now()`, from which all is valid that the transaction writes, lies after the end of whoever had the lock before.
    """
    connection.commit()
    connection.execute("SET LOCAL lock_timeout = '60s'")
    connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 7100))", [f"{dataset}:{town}"])
    connection.commit()
    lock_town(connection, dataset, town)
    connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 7100))", [f"{dataset}:{town}"])


def transaction_time(connection: Connection) -> dt.datetime:
    """The moment from which what the transaction writes is valid."""
    row = connection.execute("SELECT now()").fetchone()
    assert row is not None
    moment: dt.datetime = row[0]
    return moment


def follows(table: Table, derived: Sequence[str]) -> tuple[str, ...]:
    """Columns that are brought up to date in place, without a new version of the row."""
    unversioned = [field.name for field in table.base_fields if not field.versioned]
    return tuple(dict.fromkeys([*derived, *unversioned]))


def replace_town(
    live: Live,
    standard: Standard,
    staged: Staged,
    lineage: Lineage,
    found: Succession,
    derived: Derived,
    submission_id: str,
    added_uids: Digests | None = None,
) -> int:
    """Write the differences between the delivery and the live rows of the town, and what became of which row.

    Args:
        added_uids: identifiers of the added rows; fresh ones if they are not given.

    Returns:
        The number of rows that stayed and only had a following column brought up to date.

    Raises:
        LedgerUnbalanced: PostGIS counts or measures other rows than were meant.
    """
    connection, table = live.connection, live.table
    write = LiveColumns(standard, staged, derived, submission_id, transaction_time(connection))
    ended = live.versions["uid"][np.concatenate([lineage.removed, lineage.changed[:, 1]])]
    uids: Digests = np.zeros(len(staged.shapes), dtype="V16")
    uids[lineage.changed[:, 0]] = live.versions["uid"][lineage.changed[:, 1]]
    uids[lineage.added] = new_uids(len(lineage.added)) if added_uids is None else added_uids
    parts: dict[str, sql.Composable] = {
        "live": sql.Identifier(table.schema_name, table.name),
        "history": sql.Identifier(table.schema_name, f"{table.name}_history"),
        "incoming": sql.Identifier(f"incoming_{table.name}"),
        "key": sql.Identifier(table.key),
        "kept": sql.SQL(", ").join(map(sql.Identifier, stored_columns(table))),
        "values": sql.SQL(", ").join(sql.Identifier("new", column) for column in stored_columns(table)),
    }
    if len(ended):
        connection.execute(sql.SQL(_TO_HISTORY).format(**parts), {"ended": uuids(ended), "submission": submission_id})
    if len(lineage.removed):
        connection.execute(sql.SQL(_REMOVE).format(**parts), {"removed": uuids(live.versions["uid"][lineage.removed])})
    columns = stored_columns(table)
    if len(lineage.changed):
        connection.execute(sql.SQL(_INCOMING).format(**parts))
        copy_in(connection, parts["incoming"], columns, write.chunks(lineage.changed[:, 0], uids))
        connection.execute(sql.SQL(_CHANGE).format(**parts))
    if len(lineage.added):
        copy_in(connection, parts["live"], columns, write.chunks(lineage.added, uids))
    record_succession(live, found, uids, submission_id)
    _require_written(live, staged, np.concatenate([lineage.added, lineage.changed[:, 0]]), submission_id)
    return _follow(live, staged, lineage, derived)


def _require_written(live: Live, staged: Staged, places: Indices, submission_id: str) -> None:
    """The database's own count and measure of what was written: a second opinion for the ledger."""
    table = live.table
    has_areas = has_shapes(table) and not of_points(table)
    area = sql.SQL("coalesce(sum(ST_Area(geom)), 0)" if has_areas else "0")
    row = live.connection.execute(
        sql.SQL("SELECT count(*), {} FROM {} WHERE submission_id = %s AND {} = %s").format(
            area, sql.Identifier(table.schema_name, table.name), sql.Identifier(table.town_key or "")
        ),
        [submission_id, live.cousub_fips],
    ).fetchone()
    assert row is not None
    meant = math.fsum(staged.areas[places])
    if row[0] != len(places) or abs(row[1] - meant) > 1e-9 * meant + 0.01:
        raise LedgerUnbalanced(
            f"The database has {row[0]} rows with {row[1]:.3f} sq ft of this delivery, but {len(places)} with"
            f" {meant:.3f} sq ft were written. Nothing was changed; please report this as a bug with the file."
        )


def _follow(live: Live, staged: Staged, lineage: Lineage, derived: Derived) -> int:
    """Bring columns up to date that say something about the other rows, or when the row was last confirmed."""
    differs = followers(live, staged, lineage, derived)
    if not differs.any():
        return 0
    here, there = lineage.kept[:, 0], lineage.kept[:, 1]
    now = {name: following(staged, derived, name)[here] for name in live.follows}
    columns = sql.SQL(", ").join(map(sql.Identifier, now))
    filled = [sql.SQL("nullif({}, {})").format(sql.Identifier("now", name), EMPTY) for name in now]
    live.connection.execute(
        sql.SQL(_FOLLOW).format(
            live=sql.Identifier(live.table.schema_name, live.table.name),
            key=sql.Identifier(live.table.key),
            columns=columns,
            values=sql.SQL(", ").join(filled),
            given=sql.SQL(", ").join(sql.SQL("%s::int[]") for _ in now),
        ),
        [uuids(live.versions["uid"][there[differs]]), *(values[differs].tolist() for values in now.values())],
    )
    return int(differs.sum())


def followers(live: Live, staged: Staged, lineage: Lineage, derived: Derived) -> npt.NDArray[np.bool_]:
    """Which of the kept rows have another value in a following column."""
    differs = np.zeros(len(lineage.kept), dtype=bool)
    for name in live.follows:
        differs |= following(staged, derived, name)[lineage.kept[:, 0]] != live.versions[name][lineage.kept[:, 1]]
    return differs


def following(staged: Staged, derived: Derived, name: str) -> npt.NDArray[np.int32]:
    """The delivery's values of a following column, `EMPTY` where there is none."""
    if name in derived:
        return derived[name]
    values: npt.NDArray[np.int32] = (
        staged.rows.column(name).combine_chunks().cast(pa.int32()).fill_null(EMPTY).to_numpy(zero_copy_only=False)
    )
    return values


class LiveColumns:
    """Rows of a delivery as the columns of the live table, ready for `copy_in`."""

    def __init__(
        self, standard: Standard, staged: Staged, derived: Derived, submission_id: str, now: dt.datetime
    ) -> None:
        self._standard = standard
        self._staged = staged
        self._derived = derived
        self._submission = pa.scalar(bytes.fromhex(submission_id.replace("-", "")), UUID)
        self._now = pa.scalar(now, pa.timestamp("us", tz="UTC"))

    def chunks(self, places: Indices, uids: Digests) -> Iterator[dict[str, pa.Array | pa.Scalar]]:
        """The rows at these places, some thousands at a time; `uids` has the identifiers of all rows."""
        for start in range(0, len(places), _CHUNK):
            here = places[start : start + _CHUNK]
            yield self._columns(here, uuid_array(uids[here]))

    def _columns(self, places: Indices, uids: pa.Array) -> dict[str, pa.Array | pa.Scalar]:
        staged, table = self._staged, self._staged.table
        rows = staged.rows.take(pa.array(places))
        columns = {name: rows.column(name).combine_chunks() for name in rows.column_names}
        for field in table.base_fields:  # what neither the town nor the room fills stays empty
            if field.name not in columns:
                columns[field.name] = pa.nulls(len(places), pa.string())
            elif field.type == "integer":
                columns[field.name] = columns[field.name].cast(pa.int32())
        columns |= {name: pa.array(values[places]) for name, values in self._derived.items()}
        columns |= {
            table.key: uids,
            "row_no": columns["row_no"].cast(pa.int32()),
            "attribute_hash": uuid_array(staged.attribute_hash[places]),
            "shape_hash": uuid_array(staged.shape_hash[places]),
            "submission_id": self._submission,
            "valid_from": self._now,
        }
        if has_shapes(table):
            shapes = staged.shapes[places]
            all_shapes = (shapes, *published_shapes(shapes, self._standard))
            for (name, srid), same in zip(shape_srids(self._standard).items(), all_shapes, strict=True):
                columns[name] = ewkb_array(same, srid)
        return columns


_TO_HISTORY = """
INSERT INTO {history} ({kept}, valid_to, ended_by)
SELECT {kept}, now(), %(submission)s
FROM {live}
WHERE {key} = ANY(%(ended)s::uuid[])
"""

_REMOVE = "DELETE FROM {live} WHERE {key} = ANY(%(removed)s::uuid[])"

_INCOMING = "CREATE TEMPORARY TABLE {incoming} ON COMMIT DROP AS SELECT {kept} FROM {live} LIMIT 0"

_CHANGE = """
UPDATE {live} AS t
SET ({kept}) = ROW({values})
FROM {incoming} AS new
WHERE t.{key} = new.{key}
"""

_FOLLOW = """
UPDATE {live} AS t
SET ({columns}) = ROW({values})
FROM unnest(%s::uuid[], {given}) AS now (uid, {columns})
WHERE t.{key} = now.uid
"""
