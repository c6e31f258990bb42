"""Versions of hazard layers in the database: which is live, the change to a new one, the area that it covers.

A new version replaces the old one in the caller's transaction; the old one goes to history. The same load again writes
nothing. Where polygons and points come from is the loaders' business.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from psycopg import sql
from psycopg.rows import dict_row

from statewide.copying import copy_in
from statewide.database import Connection
from statewide.ddl import shape_srids, stored_columns
from statewide.errors import BadArgument
from statewide.geometry import Shapes, published_shapes
from statewide.replace import LiveColumns, transaction_time
from statewide.staging import Staged
from statewide.standard import Standard, Table

_NAMESPACE = uuid.UUID("6f9c1a52-6a1e-5b0e-9d1f-0d6a3f2c7b11")
_FILE_NAME_MAX = 255


@dataclass(frozen=True)
class Load:
    """What makes one load of a version: the same of all this is the same load. `source_list` is of facilities."""

    layer: str
    version: str
    effective_on: dt.date | None
    source_file: str
    source_sha256: str
    coverage_sha256: str | None = None
    source_list: str | None = None
    v_datum: str | None = None
    source_name: str | None = None
    license: str | None = None

    @property
    def load_id(self) -> uuid.UUID:
        """Identifier of the load."""
        parts = (self.layer, self.version, self.effective_on, self.source_sha256, self.coverage_sha256, self.v_datum)
        return uuid.uuid5(_NAMESPACE, "/".join(map(str, (*parts, *filter(None, [self.source_list])))))


@dataclass(frozen=True)
class LiveVersion:
    """The current version of a layer, as far as a new one is held against it."""

    load_id: uuid.UUID
    version: str
    has_coverage: bool


def named(standard: Standard, version: str) -> str:
    """The version's name, if it will do.

    Raises:
        BadArgument: it is empty or too long.
    """
    longest = standard.table("hazard_layer_version").field("layer_version").max_length or 0
    if not version.strip() or len(version) > longest:
        raise BadArgument(
            f"Name the version (--version) in at most {longest} letters, for example by its effective date."
        )
    return version


def together(names: Sequence[str]) -> str:
    """Several files as one name that fits its column."""
    text = ", ".join(names)
    return text if len(text) <= _FILE_NAME_MAX else f"{text[: _FILE_NAME_MAX - 30]}… ({len(names)} files)"


def sha256_of(checksums: Sequence[str]) -> str | None:
    """One checksum of several files, in whatever order they came; of a single one, its own; of none, None."""
    distinct = sorted(set(checksums))
    if len(distinct) < 2:
        return distinct[0] if distinct else None
    return hashlib.sha256("\n".join(distinct).encode()).hexdigest()


def live_version(connection: Connection, layer: str, source_list: str | None = None) -> LiveVersion | None:
    """The current version of the layer, or of one of its lists; None if none was loaded."""
    row = connection.execute(
        "SELECT layer_load_id, layer_version, coverage_sha256 IS NOT NULL FROM resilience.hazard_layer_version"
        " WHERE layer = %s AND source_list IS NOT DISTINCT FROM %s AND is_current",
        [layer, source_list],
    ).fetchone()
    return LiveVersion(*row) if row else None


def known_summary(connection: Connection, load: Load) -> dict[str, Any] | None:
    """The summary of this very load if it is what is current, None if it must be written.

    Raises:
        BadArgument: the version was loaded before, but not this way.
    """
    row = connection.execute(
        "SELECT layer_load_id, is_current, summary FROM resilience.hazard_layer_version"
        " WHERE layer = %s AND layer_version = %s AND source_list IS NOT DISTINCT FROM %s",
        [load.layer, load.version, load.source_list],
    ).fetchone()
    if row is None:
        return None
    if row[0] != load.load_id:
        raise BadArgument(
            f"Version {load.version} of {load.source_list or load.layer} was loaded before from other content or with"
            " another effective date; name a new version (--version)."
        )
    return dict(row[2]) if row[1] else None


def make_current(connection: Connection, standard: Standard, load: Load, summary: dict[str, Any]) -> None:
    """Write the version down as the current one of its layer, or list."""
    connection.execute(
        "UPDATE resilience.hazard_layer_version SET is_current = false"
        " WHERE layer = %s AND source_list IS NOT DISTINCT FROM %s AND is_current",
        [load.layer, load.source_list],
    )
    values = {
        "layer_load_id": load.load_id,
        "layer": load.layer,
        "source_list": load.source_list,
        "layer_version": load.version,
        "is_current": True,
        "v_datum": load.v_datum,
        "source_name": load.source_name,
        "license": load.license,
        "effective_on": load.effective_on,
        "loaded_at": transaction_time(connection),
        "source_file": load.source_file,
        "source_sha256": load.source_sha256,
        "coverage_sha256": load.coverage_sha256,
        "class_list_version": standard.code_lists["hazard_class"].version,
        "summary": json.dumps(summary),
    }
    connection.execute(
        sql.SQL(
            "INSERT INTO resilience.hazard_layer_version ({names}) VALUES ({values})"
            " ON CONFLICT (layer_load_id) DO UPDATE SET ({names}) = ROW ({excluded})"
        ).format(
            names=sql.SQL(", ").join(map(sql.Identifier, values)),
            values=sql.SQL(", ").join(map(sql.Placeholder, values)),
            excluded=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in values),
        ),
        values,
    )


def replace_rows(
    connection: Connection, standard: Standard, table: Table, rows: pa.Table, shapes: Shapes, load: Load
) -> None:
    """The current rows of the layer, or of the list, to history; these in their place.

    `rows` has `row_no`, unique in the version, and the layer's columns but for its key and `layer_version`.
    """
    load_id = load.load_id
    rows = rows.append_column("layer_version", pa.repeat(load.version, len(rows)))
    names = {
        "table": sql.Identifier(table.schema_name, table.name),
        "history": sql.Identifier(table.schema_name, f"{table.name}_history"),
        "columns": sql.SQL(", ").join(map(sql.Identifier, stored_columns(table))),
        "which": sql.SQL("source_list = {}").format(load.source_list) if load.source_list else sql.SQL("true"),
    }
    connection.execute(
        sql.SQL(
            "INSERT INTO {history} ({columns}, valid_to, ended_by) SELECT {columns}, now(), {load} FROM {table}"
            " WHERE {which}"
        ).format(**names, load=load_id)
    )
    connection.execute(sql.SQL("DELETE FROM {table} WHERE {which}").format(**names))
    uids = np.frombuffer(
        b"".join(uuid.uuid5(load_id, str(row)).bytes for row in rows.column("row_no").to_pylist()), dtype="V16"
    )
    columns = LiveColumns(standard, Staged(table, rows, shapes), {}, str(load_id), transaction_time(connection))
    copy_in(connection, names["table"], stored_columns(table), columns.chunks(np.arange(len(rows)), uids))


def write_coverage(connection: Connection, standard: Standard, shapes: Shapes, load_id: uuid.UUID) -> None:
    """The polygons that the load covers."""
    connection.execute("DELETE FROM resilience.hazard_coverage WHERE layer_load_id = %s", [load_id])
    lonlat, mercator = published_shapes(shapes, standard)
    srids = shape_srids(standard)
    statement = sql.SQL(
        "INSERT INTO resilience.hazard_coverage (hazard_coverage_uid, layer_load_id, {}) VALUES"
        " (%s, %s, ST_GeomFromWKB(%s, {}), ST_GeomFromWKB(%s, {}), ST_GeomFromWKB(%s, {}))"
    ).format(sql.SQL(", ").join(map(sql.Identifier, srids)), *map(sql.Literal, srids.values()))
    with connection.cursor() as cursor:
        cursor.executemany(
            statement,
            [
                (uuid.uuid5(load_id, f"coverage/{at}"), load_id, plain, degrees, metres)
                for at, (plain, degrees, metres) in enumerate(
                    zip(*(shapely.to_wkb(array) for array in (shapes, lonlat, mercator)), strict=True)
                )
            ],
        )


def list_versions(connection: Connection) -> list[dict[str, Any]]:
    """Every version that was ever loaded, the current ones of each layer first, then the newest."""
    return (
        connection.cursor(row_factory=dict_row)
        .execute(
            """
            SELECT v.layer, v.source_list, v.layer_version, v.is_current, v.effective_on, v.loaded_at, v.v_datum,
                v.source_name, v.license, v.source_file, v.coverage_sha256 IS NOT NULL AS has_coverage,
                v.summary -> 'rows' AS rows, v.summary -> 'classes' AS classes, v.summary -> 'accepted' AS accepted
            FROM resilience.hazard_layer_version AS v
            ORDER BY v.layer, v.source_list, v.is_current DESC, v.loaded_at DESC
            """
        )
        .fetchall()
    )
