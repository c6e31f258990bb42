"""The rows of a town that are live before a delivery: who they are, fetched once; what is in them, when asked for."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from psycopg import sql

from statewide.database import Connection
from statewide.ddl import has_shapes
from statewide.geometry import Shapes
from statewide.staging import Staged
from statewide.standard import Table

Fixed = npt.NDArray[np.void]
Places = npt.NDArray[np.intp]

EMPTY = -(2**31)
"""Stands for an empty integer in the columns that follow in place."""

_HASHES = ("attribute_hash", "shape_hash")


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
        self.beside: dict[str, Staged] = {}
        """The other parts of the delivery, by dataset, that would be published with it; those judged before."""
        self.along: frozenset[str] = frozenset()
        """All datasets of the delivery."""
        self._columns: dict[str, npt.NDArray[np.object_]] = {}

    @functools.cached_property
    def versions(self) -> Fixed:
        """Identifier, hashes, row number in its delivery and the following columns of every row, as a structured array.

        Fields: ``uid``, ``attribute_hash``, ``shape_hash``, ``row_no``, then those of `follows`.
        """
        parts = [sql.SQL("uuid_send({})").format(column) for column in (self._key, *map(sql.Identifier, _HASHES))]
        numbers = [sql.Identifier("row_no"), *(_filled(name) for name in self.follows)]
        parts += [sql.SQL("int4send({})").format(number) for number in numbers]
        # One value for the whole town: fetched row by row, even by COPY, it takes ten times as long.
        data = self.total(
            sql.SQL("string_agg({}, ''::bytea ORDER BY {})").format(sql.SQL(" || ").join(parts), self._key)
        )
        names = [(name, "V16") for name in ("uid", *_HASHES)] + [(name, ">i4") for name in ("row_no", *self.follows)]
        return np.frombuffer(data or b"", dtype=names)

    def __len__(self) -> int:
        return len(self.versions)

    def boxes(self) -> Shapes:
        """The box around each live shape."""
        data = self.total(sql.SQL("string_agg(box_send(geom::box), ''::bytea)"))
        corners = np.frombuffer(data or b"", dtype=">f8").astype(float).reshape(-1, 4)
        found: Shapes = shapely.box(*corners[:, [2, 3, 0, 1]].T)  # PostgreSQL's box begins with its upper corner
        return found

    def column(self, name: str) -> npt.NDArray[np.object_]:
        """A column's values, None where it is empty; in the order of `versions`."""
        if name not in self._columns:
            rows = self.connection.execute(self._select([sql.Identifier(name)])).fetchall()
            self._columns[name] = np.array([value for (value,) in rows], dtype=object)
        return self._columns[name]

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

    def total(self, expression: sql.Composable) -> Any:
        """An aggregate over the town's live rows."""
        with self.connection.cursor(binary=True) as cursor:
            row = cursor.execute(self._select([expression], order=False)).fetchone()
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


def _filled(name: str) -> sql.Composed:
    return sql.SQL("coalesce({}, {})").format(sql.Identifier(name), sql.Literal(EMPTY))


def uuids(uids: npt.NDArray[np.void]) -> list[str]:
    """Identifiers of sixteen bytes as PostgreSQL reads them."""
    return [uid.tobytes().hex() for uid in uids]
