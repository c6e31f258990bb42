"""Which row of a new delivery is which live row: identity across deliveries.

First the rows that are the same to the bit (in SQL, by hash); then, of what is left, those that are the same within the
standard's coordinate tolerance, those with the same number, and those with the same shape. What remains is new or gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import shapely
from psycopg import sql

from statewide.database import Connection, read_sql
from statewide.geometry import Shapes, distances_ft, same_shape
from statewide.standard import Table

Kind = Literal["same", "within tolerance", "changed"]
Indices = npt.NDArray[np.int64]

_SEARCH_FT = 1.0
"""The boxes around two shapes that agree within the tolerance have their middles well within this."""

_MOST_PAIRS = 250_000
"""A number or shape that more pairs share than this (a column that says "0" all over) is not searched for the best."""


@dataclass(frozen=True)
class Side:
    """Unpaired rows of one side: identifiers, hash of the attributes, normalised numbers (best first), shapes."""

    ids: list[Any]
    attribute_hash: npt.NDArray[np.object_]
    keys: tuple[npt.NDArray[np.object_], ...]
    shapes: Shapes


@dataclass(frozen=True)
class Lineage:
    """How the delivery meets the live town: counts of rows, and how far shapes kept within the tolerance had moved."""

    added: int
    changed: int
    removed: int
    unchanged: int
    within_tolerance: int
    largest_shift_ft: float


def trace(connection: Connection, table: Table, town: str, tolerance_ft: float) -> Lineage:
    """Fill the temporary table `pairing` (row_no, uid, kind) from `staged` and the live rows of the town."""
    names = {
        "live": sql.Identifier(table.schema_name, table.name),
        "key": sql.Identifier(table.key),
        "town_key": sql.Identifier(table.town_key or ""),
    }
    connection.execute(read_sql("statewide", "pair_identical").format(**names), {"town": town})
    same = _count(connection, "SELECT count(*) FROM pairing")
    new = _unpaired_staged(connection, table)
    live = _unpaired_live(connection, table, names, town)
    pairs = list(match(new, live, tolerance_ft))
    with connection.cursor() as cursor, cursor.copy("COPY pairing (row_no, uid, kind) FROM STDIN") as copy:
        for left, right, kind, _ in pairs:
            copy.write_row((new.ids[left], live.ids[right], kind))
    close = [shift for _, _, kind, shift in pairs if kind == "within tolerance"]
    changed = len(pairs) - len(close)
    return Lineage(
        added=len(new.ids) - len(pairs),
        changed=changed,
        removed=len(live.ids) - len(pairs),
        unchanged=same + len(close),
        within_tolerance=len(close),
        largest_shift_ft=max(close, default=0.0),
    )


def match(new: Side, live: Side, tolerance_ft: float) -> Iterator[tuple[int, int, Kind, float]]:
    """Pairs of (index in new, index in live, kind, distance in feet), each row at most once."""
    free_new = np.ones(len(new.ids), dtype=bool)
    free_live = np.ones(len(live.ids), dtype=bool)
    if not len(new.ids) or not len(live.ids):
        return

    def take(
        left: Indices, right: Indices, kind: Kind, shifts: npt.NDArray[np.float64]
    ) -> Iterator[tuple[int, int, Kind, float]]:
        for index in np.argsort(shifts, kind="stable"):
            a, b = int(left[index]), int(right[index])
            if free_new[a] and free_live[b]:
                free_new[a] = free_live[b] = False
                yield a, b, kind, float(shifts[index])

    left, right = _same_place(new, live, tolerance_ft)
    alike = new.attribute_hash[left] == live.attribute_hash[right]
    apart = distances_ft(new.shapes[left[alike]], live.shapes[right[alike]])
    yield from take(left[alike], right[alike], "within tolerance", apart)
    for new_key, live_key in zip(new.keys, live.keys, strict=True):
        # First those that stayed where they were: a number may stand on thousands of rows.
        stayed = (new_key[left] == live_key[right]) & (new_key[left] != None)  # noqa: E711  (element-wise)
        yield from take(left[stayed], right[stayed], "changed", np.zeros(int(stayed.sum())))
        a, b = _same_key(new_key, live_key, free_new, free_live)
        yield from take(a, b, "changed", _centre_distances(new.shapes[a], live.shapes[b]))
    yield from take(left, right, "changed", np.zeros(len(left)))


def _same_place(new: Side, live: Side, tolerance_ft: float) -> tuple[Indices, Indices]:
    """Pairs of rows whose shapes agree; compared once per shape, for many rows may stand on one."""
    new_shapes, new_rows = _stacks(new)
    live_shapes, live_rows = _stacks(live)
    # Not by centroid: a narrow strip's runs along it when a corner moves by a hair.
    tree = shapely.STRtree(_middles(live_shapes))
    left, right = tree.query(_middles(new_shapes), predicate="dwithin", distance=_SEARCH_FT)
    same = same_shape(new_shapes[left], live_shapes[right], tolerance_ft)
    return _indices(
        pair for a, b in zip(left[same], right[same], strict=True) for pair in _pairs(new_rows[a], live_rows[b])
    )


def _stacks(side: Side) -> tuple[Shapes, list[list[int]]]:
    """The distinct shapes, and the rows on each in the order of their attributes."""
    found: dict[bytes, list[int]] = {}
    shapes = shapely.to_wkb(side.shapes)
    for index in np.argsort(side.attribute_hash, kind="stable"):
        found.setdefault(shapes[index], []).append(int(index))
    rows = list(found.values())
    return side.shapes[[stack[0] for stack in rows]], rows


def _pairs(here: list[int], there: list[int]) -> Iterable[tuple[int, int]]:
    """Each with each; where that would be too many, the first with the first, and so on."""
    return product(here, there) if len(here) * len(there) <= _MOST_PAIRS else zip(here, there, strict=False)


def _indices(pairs: Iterable[tuple[int, int]]) -> tuple[Indices, Indices]:
    both = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _middles(shapes: Shapes) -> Shapes:
    bounds = shapely.bounds(shapes)
    found: Shapes = shapely.points((bounds[:, :2] + bounds[:, 2:]) / 2)
    return found


def _same_key(
    new: npt.NDArray[np.object_],
    live: npt.NDArray[np.object_],
    free_new: npt.NDArray[np.bool_],
    free_live: npt.NDArray[np.bool_],
) -> tuple[Indices, Indices]:
    """Pairs of free rows with the same number."""
    places: dict[Any, tuple[list[int], list[int]]] = {}
    for side, (keys, free) in enumerate(((new, free_new), (live, free_live))):
        for index in np.flatnonzero(free):
            if keys[index] is not None:
                places.setdefault(keys[index], ([], []))[side].append(int(index))
    return _indices(pair for here, there in places.values() for pair in _pairs(here, there))


def _centre_distances(left: Shapes, right: Shapes) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = shapely.distance(shapely.centroid(left), shapely.centroid(right))
    return found


def _unpaired_staged(connection: Connection, table: Table) -> Side:
    query = sql.SQL(
        "SELECT row_no, attribute_hash::text, ST_AsBinary(geom) {keys} FROM staged"
        " WHERE NOT EXISTS (SELECT 1 FROM pairing WHERE pairing.row_no = staged.row_no) ORDER BY row_no"
    ).format(keys=_key_columns(table))
    return _side(connection.execute(query).fetchall(), len(table.match_on))


def _unpaired_live(connection: Connection, table: Table, names: dict[str, sql.Identifier], town: str) -> Side:
    query = sql.SQL(
        "SELECT {key}, attribute_hash::text, ST_AsBinary(geom) {keys} FROM {live}"
        " WHERE {town_key} = %s AND NOT EXISTS (SELECT 1 FROM pairing WHERE pairing.uid = {key}) ORDER BY row_no, {key}"
    ).format(keys=_key_columns(table), **names)
    return _side(connection.execute(query, [town]).fetchall(), len(table.match_on))


def _key_columns(table: Table) -> sql.Composed:
    return sql.Composed([sql.SQL(", {}").format(sql.Identifier(name)) for name in table.match_on])


def _side(rows: list[tuple[Any, ...]], keys: int) -> Side:
    return Side(
        ids=[row[0] for row in rows],
        attribute_hash=np.array([row[1] for row in rows], dtype=object),
        keys=tuple(np.array([row[3 + key] for row in rows], dtype=object) for key in range(keys)),
        shapes=np.array(shapely.from_wkb([bytes(row[2]) for row in rows]), dtype=object).reshape(len(rows)),
    )


def _count(connection: Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])
