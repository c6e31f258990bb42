"""The rows of a town that are live before a delivery: who they are, fetched once; what is in them, when asked for."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from psycopg import sql

from statewide.copying import Fixed, copy_out
from statewide.database import Connection
from statewide.ddl import has_shapes
from statewide.geometry import Shapes
from statewide.standard import Table

Places = npt.NDArray[np.intp]

EMPTY = -(2**31)
"""Stands for an empty integer in the columns that follow in place."""


class Live:
    """The live rows of a town, in the order of their identifiers; everything is read on first use.

    Args:
        follows: integer columns whose value may change in place, without a new version of the row.
    """

    def __init__(self, connection: Connection, table: Table, cousub_fips: str, follows: Sequence[str] = ()) -> None:
        self.connection = connection
        self.table = table
        self.cousub_fips = cousub_fips
        self.follows = tuple(follows)

    @functools.cached_property
    def versions(self) -> Fixed:
        """Identifier, hashes, row number in its delivery and the following columns of every row, as a structured array.

        Fields: ``uid``, ``attribute_hash``, ``shape_hash``, ``row_no``, then those of `follows`.
        """
        columns = [self._key, sql.SQL("attribute_hash"), sql.SQL("shape_hash"), sql.SQL("row_no")]
        columns += [
            sql.SQL("coalesce({}, {})").format(sql.Identifier(name), sql.Literal(EMPTY)) for name in self.follows
        ]
        dtype = [("uid", "V16"), ("attribute_hash", "V16"), ("shape_hash", "V16"), ("row_no", ">i4")]
        return copy_out(self.connection, self._select(columns), dtype + [(name, ">i4") for name in self.follows])

    def __len__(self) -> int:
        return len(self.versions)

    def column(self, name: str) -> npt.NDArray[np.object_]:
        """A column's values, None where it is empty; in the order of `versions`."""
        rows = self.connection.execute(self._select([sql.Identifier(name)])).fetchall()
        return np.array([value for (value,) in rows], dtype=object)

    def shapes(self, places: Places) -> Shapes:
        """Shapes of the rows at these places of `versions`, in the storage CRS."""
        return self.columns(places, ())[1]

    def columns(self, places: Places, names: Sequence[str]) -> tuple[list[npt.NDArray[np.object_]], Shapes]:
        """Columns and shapes of the rows at these places, in their order; shapes are None where there are none."""
        shape = sql.SQL("ST_AsBinary(geom)" if has_shapes(self.table) else "NULL::bytea")
        query = sql.SQL(
            "SELECT {columns} FROM unnest(%s::uuid[]) WITH ORDINALITY AS asked (uid, place)"
            " JOIN {table} ON {key} = uid ORDER BY place"
        ).format(columns=sql.SQL(", ").join([*map(sql.Identifier, names), shape]), table=self._table, key=self._key)
        with self.connection.cursor(binary=True) as cursor:
            rows = cursor.execute(query, [uuids(self.versions["uid"][places])]).fetchall()
        values = [np.array([row[at] for row in rows], dtype=object) for at in range(len(names))]
        shapes = np.array(shapely.from_wkb([row[-1] for row in rows]), dtype=object).reshape(len(rows))
        return values, shapes

    def total(self, expression: sql.SQL) -> Any:
        """An aggregate over the town's live rows."""
        row = self.connection.execute(self._select([expression], order=False)).fetchone()
        assert row is not None
        return row[0]

    def _select(self, columns: Sequence[sql.Composable], *, order: bool = True) -> sql.Composed:
        return sql.SQL("SELECT {} FROM {} WHERE {} = {}{}").format(
            sql.SQL(", ").join(columns),
            self._table,
            sql.Identifier(self.table.town_key or ""),
            sql.Literal(self.cousub_fips),
            sql.SQL(" ORDER BY {}").format(self._key) if order else sql.SQL(""),
        )

    @property
    def _table(self) -> sql.Identifier:
        return sql.Identifier(self.table.schema_name, self.table.name)

    @property
    def _key(self) -> sql.Identifier:
        return sql.Identifier(self.table.key)


def uuids(uids: npt.NDArray[np.void]) -> list[str]:
    """Identifiers of sixteen bytes as PostgreSQL reads them."""
    return [uid.tobytes().hex() for uid in uids]
