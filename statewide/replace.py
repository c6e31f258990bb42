"""Replace what is live of one town by a delivery: only rows that differ are written, ended versions go to history.

Runs in the caller's transaction, after `statewide.lineage.trace` has filled `pairing`. Readers see the old town until
the commit and the new one after it. Changed rows keep their identifier and are updated in place.
"""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

from statewide.database import Connection
from statewide.ddl import stored_columns
from statewide.standard import Table


def lock_town(connection: Connection, dataset: str, town: str) -> None:
    """One writer per town and dataset until the end of the transaction; a crash frees it."""
    connection.execute("SET LOCAL lock_timeout = '60s'")
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 7100))", [f"{dataset}:{town}"])


def replace_town(
    connection: Connection, table: Table, town: str, submission_id: str, derived: Mapping[str, sql.SQL]
) -> None:
    """Write the differences between `staged` and the live rows of the town.

    Args:
        derived: columns whose value depends on the other rows of the town (SQL over `staged`); they follow the town
            without making a row a new version.
    """
    columns = [name for name in stored_columns(table) if name not in (table.key, "submission_id", "valid_from")]
    parts = {
        "live": sql.Identifier(table.schema_name, table.name),
        "history": sql.Identifier(table.schema_name, f"{table.name}_history"),
        "key": sql.Identifier(table.key),
        "town_key": sql.Identifier(table.town_key or ""),
        "columns": sql.SQL(", ").join(sql.Identifier(name) for name in columns),
        "kept": sql.SQL(", ").join(sql.Identifier(name) for name in stored_columns(table)),
        "values": sql.SQL(", ").join(
            sql.Identifier("s", f"derived_{name}" if name in derived else name) for name in columns
        ),
        "source": _with_derived(derived),
    }
    values = {"town": town, "submission": submission_id}
    for statement in (_TO_HISTORY, _REMOVE, _CHANGE, _ADD):
        connection.execute(sql.SQL(statement).format(**parts), values)
    for name in derived:
        column, now = sql.Identifier(name), sql.Identifier("s", f"derived_{name}")
        connection.execute(sql.SQL(_FOLLOW).format(column=column, now=now, **parts), values)


def _with_derived(derived: Mapping[str, sql.SQL]) -> sql.Composable:
    """`staged` with its derived columns computed over all of its rows, before any row is picked."""
    extra = sql.SQL("").join(
        sql.SQL(", {} AS {}").format(expression, sql.Identifier(f"derived_{name}"))
        for name, expression in derived.items()
    )
    return sql.SQL("(SELECT staged.*{} FROM staged)").format(extra)


_TO_HISTORY = """
INSERT INTO {history} ({kept}, valid_to, ended_by)
SELECT {kept}, now(), %(submission)s
FROM {live} AS t
WHERE {town_key} = %(town)s
  AND NOT EXISTS (SELECT 1 FROM pairing WHERE uid = t.{key} AND kind <> 'changed')
"""

_REMOVE = """
DELETE FROM {live} AS t
WHERE {town_key} = %(town)s AND NOT EXISTS (SELECT 1 FROM pairing WHERE uid = t.{key})
"""

_CHANGE = """
UPDATE {live} AS t
SET ({columns}, submission_id, valid_from) = ROW({values}, %(submission)s, now())
FROM {source} AS s JOIN pairing USING (row_no)
WHERE pairing.kind = 'changed' AND t.{key} = pairing.uid
"""

_ADD = """
INSERT INTO {live} ({key}, {columns}, submission_id, valid_from)
SELECT gen_random_uuid(), {values}, %(submission)s, now()
FROM {source} AS s
WHERE NOT EXISTS (SELECT 1 FROM pairing WHERE pairing.row_no = s.row_no)
ORDER BY s.row_no
"""

_FOLLOW = """
UPDATE {live} AS t
SET {column} = {now}
FROM {source} AS s JOIN pairing USING (row_no)
WHERE pairing.kind <> 'changed' AND t.{key} = pairing.uid AND t.{column} IS DISTINCT FROM {now}
"""
