"""Which parcels an address belongs to: `addresses.address_parcel`, with method and confidence, and why links ended.

A town is linked as a whole, in one transaction and from arrays (`link_evidence`), which takes a fraction of a join in
the database; a town in which nothing changed is not touched, and only rows that differ are written. Parcels are read
through SQL alone: the rooms meet in the database.

The best parcel of each address stands in a table beside the points (`address_link`), which the view joins. In the
points' own rows every new link would rewrite a point with all its indexes, and a later delivery would wipe it out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from psycopg import sql

from addresses import link_evidence
from addresses.link_evidence import METHODS, Addresses, Links, Parcels, spelled
from addresses.parsing import STREET, label, normalized, parse_addresses
from statewide.copying import copy_in, uuid_array
from statewide.database import Connection, connect, read_sql
from statewide.parcel_number import normalize_id
from statewide.register import Town
from statewide.replace import lock_town, transaction_time
from statewide.settings import Settings
from statewide.staging import Digests, new_uids
from statewide.standard import Standard, load_standard

DATASETS = ("parcel", "address_point")
"""Whose publication may change links."""

_NUMBER = ("addnum_pre", "add_number", "addnum_suf")
_OF_THE_STREET = (*_NUMBER, *STREET)


@dataclass(frozen=True)
class Linked:
    """What was done in a town: address points, those with a parcel, and links made, changed in place and ended.

    `relinked` is false where nothing had changed since the last time.
    """

    addresses: int
    with_parcel: int
    made: int
    changed: int
    ended: int
    relinked: bool


def relink(settings: Settings, dataset: str, town: Town, say: Callable[[str], None]) -> None:
    """Link a town's addresses anew after its parcels or its address points were published."""
    if dataset not in DATASETS:
        return
    with connect(settings) as connection:
        done = link_town(connection, load_standard(), town.cousub_fips)
    if done.relinked and done.addresses:
        say(f"{done.with_parcel:,} of {done.addresses:,} addresses linked to a parcel")


def link_towns(
    settings: Settings, towns: Sequence[str], *, full: bool = False, say: Callable[[str], None] = lambda _: None
) -> dict[str, Linked]:
    """Bring the links of these towns up to date, each in a transaction of its own, as many at once as there are cores.

    Raises:
        StatewideError: a town could not be linked; those done before it are.
    """
    standard = load_standard()

    def one(town: str) -> Linked:
        with connect(settings) as connection:
            done = link_town(connection, standard, town, full=full)
        say(f"{town}: {done.with_parcel:,} of {done.addresses:,} linked")
        return done

    # Threads, not processes: most of the work is PostgreSQL's, numpy's and GEOS's, which do not hold Python up.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return dict(zip(towns, pool.map(one, towns), strict=True))


def linkable_towns(connection: Connection, only: str | None = None) -> list[str]:
    """Towns that have published address points, also if none is left; by code."""
    return [town for (town,) in connection.execute(_TOWNS, {"only": only}).fetchall()]


def link_town(connection: Connection, standard: Standard, cousub_fips: str, *, full: bool = False) -> Linked:
    """Bring the links of a town up to date, in the caller's transaction.

    Args:
        full: also if nothing changed since the last time. The answer is the same either way.
    """
    lock_town(connection, standard.table("address_point").schema_name, cousub_fips)
    read_with = f"{version('statewide')} {standard.header.version}"
    town = {"town": cousub_fips, "read_with": read_with}
    [(any_points, kept, with_parcel)] = connection.execute(_COUNTS, town).fetchall()
    if not any_points and not kept:
        return Linked(0, 0, 0, 0, 0, relinked=False)
    if kept and not full:
        [(stale,)] = connection.execute(read_sql("addresses", "link_is_stale"), town).fetchall()
        if not stale:
            return Linked(kept, with_parcel, 0, 0, 0, relinked=False)
    return _Linking(connection, standard, town).run(first=not kept)


class _Linking:
    """The linking of one town: what is read, and what is written."""

    def __init__(self, connection: Connection, standard: Standard, town: dict[str, str]) -> None:
        self._connection = connection
        self._standard = standard
        self._town = town

    def run(self, *, first: bool) -> Linked:
        """Link the town; the first time there is nothing to compare with."""
        points, addresses = self._addresses()
        land, parcels, kept = self._parcels()
        links = link_evidence.link(addresses, parcels, self._standard.header.address_link)
        wanted = {
            "address_parcel": self._pairs(points, land, links),
            "address_link": self._of_addresses(points, land, addresses, links),
            "parcel_location": self._of_parcels(land, parcels),
        }
        # The planner knows nothing yet of what was written a moment ago, and would loop where it should hash.
        self._connection.execute("SET LOCAL enable_nestloop = off")
        if first:
            self._write(wanted, kept)
            made, changed, ended = len(links.address), 0, 0
        else:
            made, changed, ended = self._write_differences(wanted)
        self._connection.execute("SET LOCAL enable_nestloop = on")
        return Linked(len(points.uids), int(links.is_best.sum()), made, changed, ended, relinked=True)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _addresses(self) -> tuple[_Versions, Addresses]:
        columns = self._columns("points_to_link", 12)
        uid, x, y, placement, number, whole, unit, is_read, is_plain, submission, attributes, shape = columns
        loose = np.isin(np.array(placement, dtype=str), self._standard.header.address_link.loose_placements)
        read, plain = np.array(is_read, dtype=bool), np.array(is_plain, dtype=bool)
        streets = np.array(whole, dtype=object)
        streets[~(read & plain)] = None
        if (read & ~plain).any():
            parts = self._columns("parts_to_link", len(_OF_THE_STREET))
            texts = (pa.array(values, pa.string()) for values in parts)
            table = pa.table(dict(zip(_OF_THE_STREET, texts, strict=True)))
            streets[read & ~plain] = street_addresses(table).to_pylist()
        numbers = pa.array(number, pa.string())
        of_the_town = pc.replace_substring_regex(numbers, f"^{self._town['town']}-", "")
        return _Versions.of(uid, submission, attributes, shape), Addresses(
            points=shapely.points(np.array(x, dtype=float), np.array(y, dtype=float)),
            loose=loose,
            number=normalize_id(numbers),
            link=normalize_id(of_the_town),
            street_address=pa.array(streets, pa.string()),
            unit=_units(pa.array(unit, pa.string())),
        )

    def _parcels(self) -> tuple[_Versions, Parcels, int]:
        """Versions and evidence of the parcels, and of how many what is kept of their location is as it should be."""
        columns = self._columns("parcels_to_link", 12)
        uid, shape, kind, number, link, location, street, unit, submission, attributes, shape_hash, kept = columns
        streets, units = np.array(street, dtype=object), np.array(unit, dtype=object)
        unread = np.flatnonzero(np.array(location, dtype=object) != None)  # noqa: E711  (element-wise)
        if len(unread):
            said = parse_addresses(self._standard, pa.array([location[place] for place in unread], pa.string()))
            parts = {name: said.parts.column(name).combine_chunks() for name in said.parts.column_names}
            certain = pc.and_(pc.is_valid(parts["add_number"]), pc.is_valid(parts["st_name"]))
            certain = pc.and_(certain, pa.array(~said.held))
            value = _units(pc.coalesce(parts["unitvalue"], parts["unit"]))
            nothing = pa.scalar(None, pa.string())
            streets[unread] = pc.if_else(certain, street_addresses(said.parts), nothing).to_pylist()
            units[unread] = pc.if_else(certain, value, nothing).to_pylist()
        links = pa.array(link, pa.string())
        found = Parcels(
            shapes=np.array(shapely.from_wkb(shape), dtype=object).reshape(len(shape)),
            is_lot=~np.isin(np.array(kind, dtype=str), self._standard.header.address_link.no_lots),
            number=pa.array(number, pa.string()),
            link=pc.replace_substring_regex(links, f"^{self._town['town']}-", ""),
            street_address=pa.array(streets, pa.string()),
            unit=pa.array(units, pa.string()),
        )
        return _Versions.of(uid, submission, attributes, shape_hash), found, kept.count(True)

    def _columns(self, name: str, count: int) -> list[tuple[Any, ...]]:
        """The columns of a query of ours."""
        with self._connection.cursor(binary=True) as cursor:
            rows = cursor.execute(read_sql("addresses", name), self._town).fetchall()
        return list(zip(*rows, strict=True)) if rows else [()] * count

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _pairs(self, points: _Versions, land: _Versions, links: Links) -> dict[str, pa.Array]:
        return {
            "address_parcel_uid": uuid_array(new_uids(len(links.address))),
            "address_uid": uuid_array(points.uids[links.address]),
            "parcel_uid": uuid_array(land.uids[links.parcel]),
            "method": _METHODS.take(pa.array(links.method)),
            "evidence": spelled(links.evidence),
            "distance_ft": pa.array(links.distance_ft),
            "confidence": pa.array(links.confidence),
            "is_best": pa.array(links.is_best),
            "linked_at": pa.repeat(
                pa.scalar(transaction_time(self._connection), pa.timestamp("us", tz="UTC")), len(links.address)
            ),
            "address_submission_id": uuid_array(points.submissions[links.address]),
            "parcel_submission_id": uuid_array(land.submissions[links.parcel]),
        }

    def _of_addresses(
        self, points: _Versions, land: _Versions, addresses: Addresses, links: Links
    ) -> dict[str, pa.Array]:
        count = len(points.uids)
        best = np.full(count, -1, dtype=np.int64)
        best[links.address[links.is_best]] = np.flatnonzero(links.is_best)
        has = pa.array(best >= 0)
        place = np.maximum(best, 0)

        def of_best(values: pa.Array) -> pa.Array:
            if not len(values):
                return pa.nulls(count, values.type)
            return pc.if_else(has, values.take(pa.array(place)), pa.scalar(None, values.type))

        return {
            "address_uid": uuid_array(points.uids),
            "parcel_uid": of_best(uuid_array(land.uids[links.parcel])),
            "method": of_best(_METHODS.take(pa.array(links.method))),
            "confidence": of_best(pa.array(links.confidence)),
            "parcels_linked": pa.array(np.bincount(links.address, minlength=count).astype(np.int32)),
            "conflict": pa.array(links.conflict, pa.string()),
            "street_address": addresses.street_address,
            "parcel_number": addresses.number,
            "point_attribute_hash": uuid_array(points.attributes),
            "point_shape_hash": uuid_array(points.shapes),
        }

    def _of_parcels(self, land: _Versions, parcels: Parcels) -> dict[str, pa.Array]:
        return {
            "parcel_uid": uuid_array(land.uids),
            "street_address": parcels.street_address,
            "unit": parcels.unit,
            "parcel_attribute_hash": uuid_array(land.attributes),
            "parcel_shape_hash": uuid_array(land.shapes),
            "read_with": pa.repeat(self._town["read_with"], len(land.uids)),
        }

    def _write(self, wanted: dict[str, dict[str, pa.Array]], kept: int) -> None:
        """Write a town without links; what was read in the locations may be there already, `kept` of it as it is."""
        [(known,)] = self._connection.execute(_LOCATIONS, self._town).fetchall()
        for table, columns in wanted.items():
            if table != "parcel_location" or not known:
                self._copy(sql.Identifier("addresses", table), columns)
            elif not kept == known == len(columns["parcel_uid"]):
                self._want(table, columns)
                self._follow(table)

    def _write_differences(self, wanted: dict[str, dict[str, pa.Array]]) -> tuple[int, int, int]:
        """Write only what differs; how many links were made, changed and ended."""
        for table, columns in wanted.items():
            self._want(table, columns)
        ended = self._execute(read_sql("addresses", "links_ended"), "address_parcel")
        changed = self._execute(_CHANGED, "address_parcel", leave=("address_parcel_uid", *_MADE))
        made = self._execute(_MADE_ANEW, "address_parcel")
        self._drop("address_parcel")
        for table in ("address_link", "parcel_location"):
            self._follow(table)
        return made, changed, ended

    def _follow(self, table: str) -> None:
        """Make the town's rows those of the temporary table `wanted_…`, which is dropped."""
        self._execute(_GONE, table)
        self._execute(_WRITTEN, table)
        self._drop(table)

    def _want(self, table: str, columns: dict[str, pa.Array]) -> None:
        """Put the rows that the town is to have into the temporary table `wanted_…`."""
        target = sql.Identifier(f"wanted_{table}")
        names = [*columns, "cousub_fips"]
        self._connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} LIMIT 0").format(
                target, sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier("addresses", table)
            )
        )
        self._copy(target, columns)

    def _copy(self, target: sql.Identifier, columns: dict[str, pa.Array]) -> None:
        count = len(next(iter(columns.values())))
        town = {"cousub_fips": pa.repeat(self._town["town"], count)}
        copy_in(self._connection, target, [*columns, *town], [columns | town])

    def _drop(self, table: str) -> None:
        self._connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(f"wanted_{table}")))

    def _execute(self, statement: sql.SQL, table: str, leave: Sequence[str] = ()) -> int:
        """Run a statement over a table of the law; the number of rows. `leave` are columns that stay as they are."""
        law = self._standard.table(table)
        names = [field.name for field in law.base_fields]
        compared = [name for name in names if name not in leave]
        parts = {
            "table": sql.Identifier("addresses", table),
            "wanted": sql.Identifier(f"wanted_{table}"),
            "key": sql.Identifier(law.key),
            "columns": sql.SQL(", ").join(map(sql.Identifier, names)),
            "compared": sql.SQL(", ").join(map(sql.Identifier, compared)),
            "old": sql.SQL(", ").join(sql.Identifier("old", name) for name in compared),
            "new": sql.SQL(", ").join(sql.Identifier("new", name) for name in compared),
            "excluded": sql.SQL(", ").join(sql.Identifier("excluded", name) for name in compared),
        }
        return self._connection.execute(statement.format(**parts), self._town).rowcount


@dataclass(frozen=True)
class _Versions:
    """Identifiers of rows, the deliveries that wrote their versions, and the hashes of these."""

    uids: Digests
    submissions: Digests
    attributes: Digests
    shapes: Digests

    @classmethod
    def of(cls, *columns: Sequence[bytes]) -> _Versions:
        return cls(*(np.frombuffer(b"".join(column), dtype="V16") for column in columns))


def street_addresses(parts: pa.Table) -> pa.Array:
    """Number and street in capitals and without punctuation, from the parts of addresses; of a range, the first."""
    texts = {name: parts.column(name).cast(pa.string()) for name in _OF_THE_STREET}
    empty = pa.nulls(len(parts), pa.string())
    found: pa.Array = normalized(label(pa.table(texts | dict.fromkeys(_OTHER_PARTS, empty))))
    return found


def _units(values: pa.Array) -> pa.Array:
    """The value of a unit in capitals, without its word: `Unit 1a` → `1A`."""
    text = pc.replace_substring_regex(pc.utf8_upper(pc.utf8_trim_whitespace(values)), r"^.*[\s#]", "")
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


_METHODS = pa.array(METHODS, pa.string())
_OTHER_PARTS = ("addnum_cmp", "unitpretyp", "unitvalue", "unit")
_MADE = ("linked_at", "address_submission_id", "parcel_submission_id")
"""Columns of a link that tell how it was made, and stay when its evidence changes."""

_TOWNS = """
SELECT cousub_fips
FROM statewide.publication
WHERE dataset = 'address_point' AND (%(only)s::text IS NULL OR cousub_fips = %(only)s)
ORDER BY cousub_fips
"""

_COUNTS = """
SELECT EXISTS (SELECT FROM addresses.address_point WHERE cousub_fips = %(town)s), count(*), count(parcel_uid)
FROM addresses.address_link
WHERE cousub_fips = %(town)s
"""

_LOCATIONS = "SELECT count(*) FROM addresses.parcel_location WHERE cousub_fips = %(town)s"

_CHANGED = sql.SQL("""
UPDATE {table} AS old SET ({compared}) = ROW({new})
FROM {wanted} AS new
WHERE old.address_uid = new.address_uid AND old.parcel_uid = new.parcel_uid AND old.cousub_fips = %(town)s
  AND ROW({old}) IS DISTINCT FROM ROW({new})
""")

_MADE_ANEW = sql.SQL("""
INSERT INTO {table} ({columns})
SELECT {new}
FROM {wanted} AS new
WHERE NOT EXISTS (
    SELECT FROM {table} AS old
    WHERE old.cousub_fips = %(town)s AND old.address_uid = new.address_uid AND old.parcel_uid = new.parcel_uid
)
""")

_GONE = sql.SQL("""
DELETE FROM {table} AS old
WHERE cousub_fips = %(town)s AND NOT EXISTS (SELECT FROM {wanted} AS new WHERE new.{key} = old.{key})
""")

_WRITTEN = sql.SQL("""
INSERT INTO {table} ({columns})
SELECT {new}
FROM {wanted} AS new
LEFT JOIN (SELECT * FROM {table} WHERE cousub_fips = %(town)s) AS old USING ({key})
WHERE ROW({old}) IS DISTINCT FROM ROW({new})
ON CONFLICT ({key}) DO UPDATE SET ({columns}) = ROW({excluded})
""")
