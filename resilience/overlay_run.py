"""Bringing ``parcel_hazard`` and ``address_hazard`` up to date with both sides: parcels and points, and hazard layers.

Town by town, and only for rows whose shape or layer changed. Another version of a layer is taken over in one
transaction for all towns, so that no reader sees two versions mixed. What became another class is kept in
``hazard_change``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from psycopg import sql

from resilience.engines import Engine, LocalEngine
from resilience.ground import Current, Ground, find_current, keep_ground, open_ground
from resilience.layer_sources import load_sources
from resilience.map_change import MapChange, map_change
from statewide.copying import UUID, copy_in
from statewide.database import Connection, connect, read_sql
from statewide.errors import BadArgument
from statewide.register import Town
from statewide.replace import lock_town, transaction_time
from statewide.settings import Settings
from statewide.standard import Standard, Table, load_standard

GRID = "depth-grid"
_CHUNK = 20_000

Geometries = npt.NDArray[np.object_]
Answers = dict[str, pa.Array]


class Asked(Protocol):
    """A version of a layer that can be asked about any parcels and points."""

    @property
    def overlap_sqft(self) -> float:
        """Area where zones overlap that should not; the worse one is counted."""

    def parcels(self, shapes: Geometries) -> Answers:
        """Columns of ``parcel_hazard``, one value per shape."""

    def addresses(self, points: Geometries) -> Answers:
        """Columns of ``address_hazard``, one value per point."""


class _Part(NamedTuple):
    """Rows of one town to be answered: columns that identify them, and their shapes as WKB."""

    asked: Asked
    keys: Answers
    shapes: pa.Array


@dataclass(frozen=True)
class _Side:
    """Parcels or address points: where they stand, and where their answers go."""

    dataset: str
    answers: str
    noun: str
    class_column: str
    share_column: str | None

    @property
    def prefix(self) -> str:
        """What the columns of the answers begin with that say which version of the row they are of."""
        return self.answers.partition("_")[0]

    def ask(self, part: _Part) -> tuple[Answers, Answers]:
        """Identifiers of the rows of a part, and what is said of them; runs where the engine says."""
        shapes = shapely.from_wkb(part.shapes.to_numpy(zero_copy_only=False))
        said = part.asked.parcels(shapes) if self.dataset == "parcel" else part.asked.addresses(shapes)
        return part.keys, said


_SIDES = (
    _Side("parcel", "parcel_hazard", "parcels", "worst_class", "hazard_share_pct"),
    _Side("address_point", "address_hazard", "addresses", "zone_class", None),
)


def overlay_layers(
    settings: Settings,
    connection: Connection,
    *,
    layers: Sequence[str] = (),
    town: Town | None = None,
    full: bool = False,
    engine: Engine | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Lay parcels and address points over the current version of each layer; commits after each layer.

    Args:
        layers: the layers to do; all that are loaded if none is named.
        town: the only town to do; all that have rows if None.
        full: compute every row anew, changed or not.
        engine: where the answers are computed, here if None; reading and writing is this process's.

    Raises:
        BadArgument: a layer is none of ours or was not loaded yet, or the town has neither parcels nor addresses.
    """
    standard = load_standard()
    known = known_layers(layers)
    towns = {side.dataset: _towns(connection, side, town) for side in _SIDES}
    if town and not any(towns.values()):
        raise BadArgument(f"{town.town_name} has no published parcels or addresses to lay over the layers.")
    done: dict[str, Any] = {}
    for layer in layers or known:
        current = find_current(connection, layer)
        if current is None:
            if layer in layers:
                raise BadArgument(
                    f"No {layer} are loaded: run `statewide hazards load {layer} FILE --version V` first."
                )
            continue
        run = _Run(connection, standard, settings.home, layer, current, full, engine or LocalEngine())
        for side in _SIDES:
            for code in towns[side.dataset]:
                run.town(side, code, say)
        done[layer] = run.summary(towns)
        connection.commit()
    if not done:
        raise BadArgument("No hazard layer is loaded: run `statewide hazards load LAYER FILE --version V` first.")
    computed = sum(layer[side.noun]["computed"] for layer in done.values() for side in _SIDES)
    return {"outcome": "ok" if computed else "unchanged", "layers": done}


def known_layers(layers: Sequence[str] = ()) -> list[str]:
    """All layers that parcels and addresses are laid over.

    Raises:
        BadArgument: one of `layers` is none of them.
    """
    known = [*load_sources(), GRID]
    for layer in layers:
        if layer not in known:
            raise BadArgument(f"There is no hazard layer {layer!r}; there are: {', '.join(known)}.")
    return known


def after_publication(settings: Settings, dataset: str, town: Town, say: Callable[[str], None]) -> None:
    """Lay a town's changed rows over the layers that are loaded, if any are."""
    if dataset not in {side.dataset for side in _SIDES}:
        return
    with connect(settings) as connection:
        loaded = [layer for layer in (*load_sources(), GRID) if find_current(connection, layer)]
        if loaded:
            overlay_layers(settings, connection, layers=loaded, town=town, say=say)


def _towns(connection: Connection, side: _Side, town: Town | None) -> list[str]:
    return [
        code
        for (code,) in connection.execute(
            "SELECT cousub_fips FROM statewide.publication"
            " WHERE dataset = %s AND cousub_fips = coalesce(%s, cousub_fips) ORDER BY cousub_fips",
            [side.dataset, town.cousub_fips if town else None],
        ).fetchall()
    ]


class _Run:
    """One layer, over all towns asked for, in one transaction."""

    def __init__(
        self,
        connection: Connection,
        standard: Standard,
        home: Path,
        layer: str,
        current: Current,
        full: bool,
        engine: Engine,
    ) -> None:
        self._connection = connection
        self._standard = standard
        self._home = home
        self._layer = layer
        self._current = current
        self._full = full
        self._engine = engine
        self._asked: Asked | None = None
        self._counts = {side.noun: {"computed": 0, "unchanged": 0} for side in _SIDES}
        self._changed = 0
        self._carried = 0
        self._map_changes: dict[uuid.UUID, MapChange | None] = {}

    def town(self, side: _Side, code: str, say: Callable[[str], None]) -> None:
        """All stale rows of a town, and none any more of parcels and points that went."""
        lock_town(self._connection, self._standard.table(side.dataset).schema_name, code)
        values = {"town": code, "layer": self._layer, "load": self._current.load_id, "full": self._full}
        names = self._names(side)
        self._connection.execute(sql.SQL(_ORPHANS).format(**names), values)
        self._connection.execute(read_sql("resilience", "stale_rows").format(**names), values)
        carried = self._carry_over(side, code)
        [(stale, live)] = self._connection.execute(
            sql.SQL("SELECT (SELECT count(*) FROM stale), count(*) FROM {} WHERE cousub_fips = %s").format(
                _named(self._standard.table(side.dataset))
            ),
            [code],
        ).fetchall()
        if stale:
            self._write(side, code)
            say(f"{self._layer}, {code}: {stale:,} {side.noun} computed, {live - stale:,} unchanged")
        self._carried += carried
        self._connection.execute("DROP TABLE stale")
        self._counts[side.noun]["computed"] += stale
        self._counts[side.noun]["unchanged"] += live - stale

    def summary(self, towns: dict[str, list[str]]) -> dict[str, Any]:
        """What was done, and how many parcels are now in each class."""
        classes = self._connection.execute(
            "SELECT worst_class, count(*) FROM resilience.parcel_hazard"
            " WHERE layer = %s AND cousub_fips = ANY(%s) GROUP BY worst_class ORDER BY worst_class",
            [self._layer, towns["parcel"]],
        ).fetchall()
        return {
            "version": self._current.version,
            "towns": len(towns["parcel"]),
            **self._counts,
            "taken_over": self._carried,
            "changed_class": self._changed,
            "worst_class": dict(classes),
            "zones_overlap_sqft": round(self._asked.overlap_sqft, 2) if self._asked else 0.0,
            "coverage": "given" if self._current.has_coverage else "zones only: what lies in no zone is not mapped",
        }

    def _names(self, side: _Side) -> dict[str, sql.Composable]:
        """What the statements call the tables and columns of a side."""
        return {
            "answers": _named(self._standard.table(side.answers)),
            "rows": _named(self._standard.table(side.dataset)),
            "key": sql.Identifier(f"{side.prefix}_uid"),
            "hash": sql.Identifier(f"{side.prefix}_shape_hash"),
            "class": sql.Identifier(side.class_column),
            "share": sql.Identifier(side.share_column) if side.share_column else sql.SQL("NULL::double precision"),
        }

    def _write(self, side: _Side, town: str) -> None:
        table = self._standard.table(side.answers)
        names = self._names(side)
        self._connection.execute(sql.SQL(_BEFORE).format(**names), {"layer": self._layer})
        self._connection.execute(sql.SQL(_FORGET).format(**names), {"layer": self._layer})
        constants = {
            "cousub_fips": pa.scalar(town),
            "layer": pa.scalar(self._layer),
            "layer_load_id": pa.scalar(self._current.load_id.bytes, UUID),
            "layer_version": pa.scalar(self._current.version),
            "computed_at": pa.scalar(transaction_time(self._connection), pa.timestamp("us", tz="UTC")),
        }
        for keys, said in self._engine.map(side.ask, self._stale(side)):
            columns = constants | keys | said
            copy_in(self._connection, _named(table), [f.name for f in table.base_fields], [_ready(table, columns)])
        found = self._connection.execute(
            sql.SQL(_CHANGED).format(**names),
            {"layer": self._layer, "dataset": side.dataset, "town": town, "load": self._current.load_id},
        )
        self._changed += found.rowcount
        self._connection.execute("DROP TABLE before")

    def _carry_over(self, side: _Side, town: str) -> int:
        """Take rows over to this version that the map's change does not reach; they are stale no longer."""
        if self._full or self._layer == GRID:
            return 0
        carried = 0
        loads = self._connection.execute(
            sql.SQL("SELECT DISTINCT layer_load_id FROM {} WHERE layer = %s AND cousub_fips = %s").format(
                _named(self._standard.table(side.answers))
            ),
            [self._layer, town],
        ).fetchall()
        for (before,) in loads:
            if before != self._current.load_id and (change := self._map_change(before)):
                carried += self._carry_over_from(side, before, change)
        return carried

    def _carry_over_from(self, side: _Side, before: uuid.UUID, change: MapChange) -> int:
        names = self._names(side)
        values = {
            "layer": self._layer,
            "before": before,
            "now": self._current.load_id,
            "version": self._current.version,
        }
        untouched: list[bytes] = []
        with self._connection.cursor(name="carried_rows") as cursor:
            cursor.execute(sql.SQL(_SAME_SHAPE).format(**names), values, binary=True)
            while rows := cursor.fetchmany(_CHUNK):
                shapes = shapely.from_wkb(np.array([wkb for _, wkb in rows], dtype=object))
                is_parcel = side.dataset == "parcel"
                reached = change.parcels(shapes) if is_parcel else change.points(shapely.get_coordinates(shapes))
                untouched += [rows[at][0] for at in np.flatnonzero(~reached)]
        if not untouched:
            return 0
        self._connection.execute("CREATE TEMPORARY TABLE carried (row_uid uuid) ON COMMIT DROP")
        copy_in(self._connection, sql.Identifier("carried"), ["row_uid"], [{"row_uid": pa.array(untouched, UUID)}])
        self._connection.execute(sql.SQL(_TAKE_OVER).format(**names), values)
        self._connection.execute("DELETE FROM stale USING carried WHERE carried.row_uid = stale.row_uid")
        self._connection.execute("DROP TABLE carried")
        return len(untouched)

    def _map_change(self, before: uuid.UUID) -> MapChange | None:
        """What changed since that version; None where all must be asked again."""
        if before not in self._map_changes:
            source, now = load_sources()[self._layer], self._ask()
            assert isinstance(now, Ground)
            self._map_changes[before] = map_change(
                self._connection, self._standard, source, before, self._current, now, self._home
            )
        return self._map_changes[before]

    def _ask(self) -> Asked:
        """The layer's version, read when the first row needs it."""
        if self._asked is None:
            if self._layer == GRID:
                from resilience.depth_grid import read_grid

                self._asked = read_grid(self._connection, self._standard, self._current, self._home)
            else:
                source = load_sources()[self._layer]
                file = keep_ground(self._connection, self._standard, source, self._current, self._home)
                self._asked = open_ground(file, self._current.v_datum)
        return self._asked

    def _stale(self, side: _Side) -> Iterator[_Part]:
        """The rows to compute, in chunks."""
        names = [f"{side.answers}_uid", *(f"{side.prefix}_{what}" for what in ("uid", "submission_id", "shape_hash"))]
        with self._connection.cursor(name="stale_rows") as cursor:
            cursor.execute(
                read_sql("resilience", "stale_rows_read").format(**self._names(side)),
                {"layer": self._layer},
                binary=True,
            )
            while rows := cursor.fetchmany(_CHUNK):
                keys = {name: pa.array([row[at] for row in rows], UUID) for at, name in enumerate(names)}
                yield _Part(self._ask(), keys, pa.array([row[4] for row in rows], pa.binary()))


def _named(table: Table) -> sql.Identifier:
    return sql.Identifier(table.schema_name, table.name)


def _ready(table: Table, columns: dict[str, pa.Array | pa.Scalar]) -> dict[str, pa.Array | pa.Scalar]:
    """All columns of the table as COPY takes them; empty where nothing is said."""
    rows = next(len(values) for values in columns.values() if not isinstance(values, pa.Scalar))
    ready: dict[str, pa.Array | pa.Scalar] = {}
    for field in table.base_fields:
        values = columns.get(field.name)
        if values is None:
            values = pa.nulls(rows, pa.string())
        elif field.type == "json" and not isinstance(values, pa.Scalar):
            # The binary form of jsonb: the number of its version, then the text.
            values = pc.binary_join_element_wise(pa.scalar(b"\x01"), values.cast(pa.binary()), b"")
        ready[field.name] = values
    return ready


_BEFORE = """
CREATE TEMPORARY TABLE before ON COMMIT DROP AS
SELECT {key} AS row_uid, {class} AS class, {share} AS share, layer_load_id, layer_version, {hash} AS shape_hash
FROM {answers} JOIN stale ON stale.row_uid = {key}
WHERE layer = %(layer)s
"""

_FORGET = "DELETE FROM {answers} USING stale WHERE {key} = stale.row_uid AND layer = %(layer)s"

_ORPHANS = """
DELETE FROM {answers} AS h
WHERE h.cousub_fips = %(town)s AND h.layer = %(layer)s
    AND NOT EXISTS (SELECT 1 FROM {rows} AS t WHERE t.{key} = h.{key})
"""

_SAME_SHAPE = """
SELECT uuid_send(stale.row_uid), ST_AsBinary(t.geom)
FROM stale
JOIN {rows} AS t ON t.{key} = stale.row_uid
JOIN {answers} AS h ON h.{key} = stale.row_uid AND h.layer = %(layer)s
WHERE h.layer_load_id = %(before)s AND h.{hash} = t.shape_hash
"""

_TAKE_OVER = """
UPDATE {answers} AS h SET (layer_load_id, layer_version) = ROW(%(now)s, %(version)s)
FROM carried
WHERE h.{key} = carried.row_uid AND h.layer = %(layer)s
"""

_CHANGED = """
INSERT INTO resilience.hazard_change
    (hazard_change_uid, layer, dataset, row_uid, cousub_fips, class_before, class_now, share_before_pct, share_now_pct,
     changed_by, version_before, version_now, changed_at)
SELECT
    gen_random_uuid(), %(layer)s, %(dataset)s, {key}, %(town)s, before.class, now.{class}, before.share, {share},
    CASE
        WHEN before.layer_load_id = %(load)s AND before.shape_hash = now.{hash} THEN 'rule'
        WHEN before.layer_load_id = %(load)s THEN 'shape'
        WHEN before.shape_hash = now.{hash} THEN 'map'
        ELSE 'both'
    END,
    before.layer_version, now.layer_version, now()
FROM before JOIN {answers} AS now ON now.{key} = before.row_uid
WHERE now.layer = %(layer)s AND now.{class} <> before.class
"""
