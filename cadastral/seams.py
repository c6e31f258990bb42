"""The seam of a town with each neighbour: a check of a delivery, and the register of town lines behind it.

`cadastral.town_line` measures; here the neighbour's live parcels are fetched, findings are made, and after a
publication `cadastral.town_line` and `cadastral.shared_lot` are written. What two towns agreed on is never overwritten.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg.rows
import shapely
from psycopg import sql

from cadastral.topology_checks import gravest
from cadastral.town_line import Pairs, TownLine, measure
from statewide.arrival import Rows
from statewide.database import Connection, connect, read_sql
from statewide.errors import BadArgument
from statewide.findings import FindingLog, plain_count, plain_number, plain_share
from statewide.geometry import Shapes
from statewide.live import Live
from statewide.register import Town, towns_from
from statewide.replace import lock_town
from statewide.settings import Settings
from statewide.staging import Digests, Staged
from statewide.standard import Standard, load_standard

CODES = ("SEAM", "SEAM_WIDE", "LOT_ON_TWO_ROLLS", "MORE_OF_THE_SAME")
Values = npt.NDArray[np.object_]


def seam(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """The delivered parcels beside the live ones of each neighbour."""
    limits = log.check("SEAM").limits
    _lately.clear()
    tree = shapely.STRtree(staged.shapes)
    for neighbour, zone in _neighbours(live.connection, log.standard, town):
        near = np.sort(tree.query(zone, predicate="intersects"))
        near = near[_by_hash(staged.shape_hash[near])]
        ours = _Side(staged.shape_hash[near], staged.shapes[near])
        _, numbers, theirs = _live_parcels(live.connection, log.standard, neighbour, zone)
        # The register has the line from the same side, and need not measure it again.
        if town.cousub_fips < neighbour.cousub_fips:
            line = _lately[_key(ours, theirs)] = _measured(log.standard, ours, theirs)
        else:
            line = _lately[_key(theirs, ours)] = _measured(log.standard, theirs, ours)
            line = line.from_the_other_side()
        if line.gap_sqft + line.overlap_sqft >= limits["sqft_min"]:
            widest = max(line.gap_widest_ft, line.overlap_widest_ft)
            log.add(
                "SEAM_WIDE" if widest > limits["widest_ft_max"] else "SEAM",
                neighbour=neighbour.town_name,
                line_ft=plain_number(line.line_ft),
                reach_ft=plain_number(limits["reach_ft"]),
                gap_sqft=plain_number(line.gap_sqft, 1),
                gap_ft=plain_number(line.gap_widest_ft, 1),
                overlap_sqft=plain_number(line.overlap_sqft, 1),
                overlap_ft=plain_number(line.overlap_widest_ft, 1),
                shape=shapely.multipolygons([*line.gaps, *line.overlaps]),
            )
        _lots(staged, near, numbers, line.pairs, neighbour, log)


def _lots(staged: Staged, near: npt.NDArray[Any], numbers: Values, pairs: Pairs, other: Town, log: FindingLog) -> None:
    """Parcels of the delivery that the neighbour has, too; each beside the parcel that it shares most land with."""
    shared = _shared(log.standard, pairs)
    most = shared[np.lexsort((-pairs.sqft[shared], pairs.ours[shared]))]
    most = most[np.diff(pairs.ours[most], prepend=-1) != 0]
    for pair in gravest(most, pairs.sqft, "LOT_ON_TWO_ROLLS", log):
        place = near[pairs.ours[pair]]
        log.add(
            "LOT_ON_TWO_ROLLS",
            row_no=int(staged.row_no[place]),
            neighbour=other.town_name,
            number=numbers[pairs.theirs[pair]] or "without a number",
            sqft=plain_number(pairs.sqft[pair]),
            share=plain_share(float(pairs.share_of_ours[pair])),
            shape=staged.shapes[place],
        )


def after_publication(settings: Settings, dataset: str, town: Town, say: Callable[[str], None]) -> None:
    """Measure the lines of a town whose parcels or whose neighbour's parcels have changed."""
    if dataset != "parcel":
        return
    with connect(settings) as connection:
        measured = register_lines(connection, load_standard(), town)
    say(f"{plain_count(measured, 'town line')} measured")


def register_lines(connection: Connection, standard: Standard, town: Town) -> int:
    """Bring the register up to date for the lines of a town; commits after each line.

    Returns:
        How many lines were measured; those of which neither side changed are not.
    """
    measured = 0
    for neighbour, zone in _neighbours(connection, standard, town):
        first, second = sorted((town, neighbour), key=lambda each: each.cousub_fips)
        measured += _register(connection, standard, first, second, zone)
        connection.commit()
    return measured


def published_towns(connection: Connection) -> list[Town]:
    """Towns with live parcels, by code."""
    return towns_from(
        connection.execute(
            "SELECT t.cousub_fips, t.town_no, t.town_name, ST_AsBinary(t.geom) FROM statewide.municipality AS t"
            " JOIN statewide.publication AS p ON p.cousub_fips = t.cousub_fips AND p.dataset = 'parcel' ORDER BY 1"
        ).fetchall()
    )


def lines(connection: Connection, town: Town | None) -> list[dict[str, Any]]:
    """The register, the largest difference first; `shared_lots` are the pairs of parcels."""
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        query = read_sql("cadastral", "town_lines")
        return cursor.execute(query, {"town": town.cousub_fips if town else None}).fetchall()


@dataclass(frozen=True)
class Agreement:
    """What two towns agreed on: by whom, when, in which words, and the line itself if it was given."""

    by: str
    on: dt.date
    note: str
    line_wkt: str | None = None


def agree(connection: Connection, standard: Standard, one: Town, other: Town, agreement: Agreement) -> None:
    """Record an agreement on the line between two towns, in place of an earlier one.

    Raises:
        BadArgument: the line is not in the register, or the line given is none of these towns.
    """
    first, second = sorted((one, other), key=lambda each: each.cousub_fips)
    if agreement.line_wkt is not None:
        _require_line(standard, first, second, agreement.line_wkt)
    found = connection.execute(
        "UPDATE cadastral.town_line SET agreed_by = %s, agreed_on = %s, agreed_note = %s, agreed_line_wkt = %s"
        " WHERE town_line_uid = %s",
        [agreement.by, agreement.on, agreement.note, agreement.line_wkt, _uid(first.cousub_fips, second.cousub_fips)],
    )
    if not found.rowcount:
        raise BadArgument(
            f"There is no line between {one.town_name} and {other.town_name} in the register: they must be neighbours,"
            " and both must have live parcels. `statewide parcels seams` lists the lines."
        )


def _require_line(standard: Standard, first: Town, second: Town, wkt: str) -> None:
    try:
        line = shapely.from_wkt(wkt)
    except shapely.errors.GEOSException as error:
        raise BadArgument("The agreed line is not well-known text, such as LINESTRING (1000000 700000, …).") from error
    if line.geom_type not in ("LineString", "MultiLineString") or line.is_empty:
        raise BadArgument("The agreed line must be a LINESTRING or a MULTILINESTRING.")
    if not all(shapely.intersects(_vicinity(standard, town), line) for town in (first, second)):
        raise BadArgument(
            f"The agreed line does not run between {first.town_name} and {second.town_name}; give it in EPSG:"
            f"{standard.header.storage_crs} (US feet)."
        )


def _register(connection: Connection, standard: Standard, first: Town, second: Town, zone: shapely.Geometry) -> bool:
    """Measure a line between live parcels and write it, unless nothing changed since."""
    uid = _uid(first.cousub_fips, second.cousub_fips)
    lock_town(connection, "town_line", uid)
    # Read before the parcels: if a town is replaced meanwhile, its own turn finds another publication, and measures.
    deliveries = [_publication(connection, town) for town in (first, second)]
    known = connection.execute(
        "SELECT publication_a, publication_b, reach_ft FROM cadastral.town_line WHERE town_line_uid = %s", [uid]
    ).fetchone()
    reach = standard.checks["SEAM"].limits["reach_ft"]
    if known == (deliveries[0][1], deliveries[1][1], reach):
        return False
    ours_uid, _, ours = _live_parcels(connection, standard, first, zone)
    theirs_uid, _, theirs = _live_parcels(connection, standard, second, zone)
    line = _lately.pop(_key(ours, theirs), None) or _measured(standard, ours, theirs)
    values = {
        "town_line_uid": uid,
        "town_a_fips": first.cousub_fips,
        "town_b_fips": second.cousub_fips,
        "submission_a": deliveries[0][0],
        "submission_b": deliveries[1][0],
        "publication_a": deliveries[0][1],
        "publication_b": deliveries[1][1],
        "reach_ft": reach,
        "index_line_ft": float(shapely.length(shapely.intersection(first.outline, second.outline))),
        "line_ft": line.line_ft,
        "alike_ft": line.alike_ft,
        "gap_sqft": line.gap_sqft,
        "gap_widest_ft": line.gap_widest_ft,
        "overlap_sqft": line.overlap_sqft,
        "overlap_widest_ft": line.overlap_widest_ft,
        "parcels_a": len(line.ours),
        "parcels_b": len(line.theirs),
    }
    names = [sql.Identifier(name) for name in values]
    connection.execute(
        sql.SQL(
            "INSERT INTO cadastral.town_line (measured_at, {names}) VALUES (now(), {values})"
            " ON CONFLICT (town_line_uid) DO UPDATE SET (measured_at, {names}) = ROW (now(), {new})"
        ).format(
            names=sql.SQL(", ").join(names),
            values=sql.SQL(", ").join(map(sql.Placeholder, values)),
            new=sql.SQL(", ").join(sql.SQL("excluded.{}").format(name) for name in names),
        ),
        values,
    )
    connection.execute("DELETE FROM cadastral.shared_lot WHERE town_line_uid = %s", [uid])
    lots = _shared_lots(standard, first, second, (ours.shapes, theirs.shapes), line.pairs)
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO cadastral.shared_lot (shared_lot_uid, town_line_uid, parcel_uid_a, parcel_uid_b, overlap_sqft,"
            " share_a_pct, share_b_pct, counts_in_fips, uncounted_parcel_uid, counts_because)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    _uid(*map(str, pair := (ours_uid[lot.ours], theirs_uid[lot.theirs]))),
                    uid,
                    *pair,
                    lot.sqft,
                    lot.share_a_pct,
                    lot.share_b_pct,
                    (first if lot.counts_first else second).cousub_fips,
                    pair[1] if lot.counts_first else pair[0],
                    lot.because,
                )
                for lot in lots
            ],
        )
    return True


@dataclass(frozen=True)
class _SharedLot:
    """A pair of parcels on two rolls, as places of the arrays, and in which town it counts."""

    ours: int
    theirs: int
    sqft: float
    share_a_pct: float
    share_b_pct: float
    counts_first: bool
    because: str


def _shared_lots(
    standard: Standard, first: Town, second: Town, shapes: tuple[Shapes, Shapes], pairs: Pairs
) -> Iterator[_SharedLot]:
    """The rule by which a lot on two rolls counts once; see `counts_because` in the law."""
    limits = standard.checks["LOT_ON_TWO_ROLLS"].limits
    for pair in _shared(standard, pairs):
        ours, theirs = int(pairs.ours[pair]), int(pairs.theirs[pair])
        shares = float(pairs.share_of_ours[pair]), float(pairs.share_of_theirs[pair])
        if min(shares) < limits["share_min"]:
            counts_first, because = shares[0] < shares[1], "larger"
        else:
            common = shapely.intersection(shapes[0][ours], shapes[1][theirs])
            here, there = shapely.area(shapely.intersection(common, [first.outline, second.outline]))
            tells = abs(here - there) > limits["outline_share_min"] * pairs.sqft[pair]
            counts_first, because = (bool(here > there), "outline") if tells else (True, "code")
        percent = [min(round(100 * share, 2), 100.0) for share in shares]
        yield _SharedLot(ours, theirs, float(pairs.sqft[pair]), percent[0], percent[1], counts_first, because)


def _shared(standard: Standard, pairs: Pairs) -> npt.NDArray[np.int64]:
    """Pairs that are mostly the same land, seen from the smaller parcel."""
    limits = standard.checks["LOT_ON_TWO_ROLLS"].limits
    return np.flatnonzero(np.maximum(pairs.share_of_ours, pairs.share_of_theirs) >= limits["share_min"])


@dataclass(frozen=True)
class _Side:
    """The parcels of a town near a line, in the order of their hashes."""

    hashes: Digests
    shapes: Shapes


_lately: dict[bytes, TownLine] = {}
"""The lines that the last check measured. What is published of it has the same lines, if no row was held."""


def _key(first: _Side, second: _Side) -> bytes:
    digest = hashlib.md5(first.hashes.tobytes(), usedforsecurity=False)
    digest.update(b"|" + second.hashes.tobytes())
    return digest.digest()


def _by_hash(hashes: Digests) -> npt.NDArray[np.intp]:
    return np.argsort(hashes.view("S16"), kind="stable")


def _measured(standard: Standard, ours: _Side, theirs: _Side) -> TownLine:
    header, reach = standard.header, standard.checks["SEAM"].limits["reach_ft"]
    return measure(ours.shapes, theirs.shapes, reach, header.coordinate_tolerance_ft, header.area_tolerance_sqft)


def _neighbours(connection: Connection, standard: Standard, town: Town) -> Iterator[tuple[Town, shapely.Geometry]]:
    """Neighbours with live parcels, and the zone in which the line with each can run."""
    values = {"town": town.cousub_fips, "distance_ft": standard.checks["SEAM"].limits["zone_ft"]}
    here = _vicinity(standard, town)
    for neighbour in towns_from(connection.execute(read_sql("cadastral", "neighbours"), values).fetchall()):
        zone = shapely.intersection(here, _vicinity(standard, neighbour))
        if not zone.is_empty:
            yield neighbour, zone


def _vicinity(standard: Standard, town: Town) -> shapely.Geometry:
    """Where the parcels of a town may end: its outline is an index map, and may be wrong by so much."""
    return _around(town.outline, standard.checks["SEAM"].limits["zone_ft"])


@functools.lru_cache(256)  # all towns: each is asked for by every neighbour
def _around(outline: shapely.Geometry, distance_ft: float) -> shapely.Geometry:
    return shapely.buffer(shapely.simplify(outline, distance_ft / 10), distance_ft, quad_segs=2)


def _live_parcels(
    connection: Connection, standard: Standard, town: Town, zone: shapely.Geometry
) -> tuple[Values, Values, _Side]:
    """Identifiers, numbers and shapes of a town's live parcels in the zone."""
    with connection.cursor(binary=True) as cursor:
        found = cursor.execute(
            "SELECT parcel_uid, parcel_id, uuid_send(shape_hash), ST_AsBinary(geom) FROM cadastral.parcel"
            " WHERE cousub_fips = %s AND ST_Intersects(geom, ST_GeomFromWKB(%s, %s))",
            [town.cousub_fips, shapely.to_wkb(zone), standard.header.storage_crs],
        ).fetchall()
    hashes = np.frombuffer(b"".join(row[2] for row in found), dtype="V16")
    order = _by_hash(hashes)
    uids, numbers, shapes = (np.array([row[at] for row in found], dtype=object)[order] for at in (0, 1, 3))
    return uids, numbers, _Side(hashes[order], np.asarray(shapely.from_wkb(shapes), dtype=object))


def _publication(connection: Connection, town: Town) -> tuple[uuid.UUID, uuid.UUID]:
    row = connection.execute(
        "SELECT submission_id, publication_id FROM statewide.publication WHERE dataset = 'parcel' AND cousub_fips = %s",
        [town.cousub_fips],
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _uid(*parts: str) -> str:
    """The same identifier for the same parts."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))
