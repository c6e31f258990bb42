"""Parcels laid over the current flood zones: one row per parcel in ``resilience.parcel_hazard``.

Town by town, one transaction each, and only for parcels whose shape or layer changed. The areas come from ``overlay``;
here they become an answer: the worst class, what is not known, and the versions of both sides. A parcel that the layer
does not cover is `not_mapped`, never free of hazard.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import shapely
from psycopg import sql

from resilience.flood import LAYER
from resilience.overlay import Geometries, LayerIndex, index_layer, overlay
from statewide.database import Connection, read_sql
from statewide.errors import BadArgument
from statewide.replace import lock_town
from statewide.standard import Standard

_CHUNK = 20_000
_NOT_MAPPED, _NO_ZONE, _MINIMAL = "not_mapped", "no_zone", "minimal"


class Zone(NamedTuple):
    """What polygons have in common that need not be told apart on a parcel."""

    zone_class: str
    label: str | None = None
    is_sfha: bool = False
    static_bfe_ft: float | None = None
    v_datum: str | None = None
    depth_ft: float | None = None


class Stale(NamedTuple):
    """A parcel that has to be computed."""

    parcel_uid: uuid.UUID
    submission_id: uuid.UUID
    shape_hash: uuid.UUID


@dataclass(frozen=True)
class Severity:
    """Which of two classes counts where both are there.

    A known hazard counts before the unknown, and the unknown before minimal hazard: a parcel of which a part is not
    known is not called minimal.
    """

    rank: dict[str, int]

    @classmethod
    def of(cls, standard: Standard) -> Severity:
        """From the law."""
        codes = standard.code_lists["flood_zone_class"].codes
        return cls({code.code: code.rank for code in codes if code.rank is not None})

    def is_known(self, zone_class: str) -> bool:
        """Whether the class says how much hazard there is."""
        return zone_class in self.rank

    def is_hazard(self, zone_class: str) -> bool:
        """Whether the class is worse than minimal."""
        return self.rank.get(zone_class, 0) > self.rank[_MINIMAL]

    def order(self, zone_class: str) -> tuple[int, int, str]:
        """Sorts classes, the one that counts first."""
        if self.is_hazard(zone_class):
            return (0, -self.rank[zone_class], zone_class)
        if not self.is_known(zone_class):
            return (1, 0, zone_class)
        return (2, -self.rank[zone_class], zone_class)

    def worst(self, areas: dict[str, float], tolerance_sqft: float) -> str:
        """The class that a parcel is known by.

        Any area of a hazard counts. What is not known counts when there is more of it than `tolerance_sqft`, the
        largest first; below, it is the inaccuracy of two drawings of one line.
        """
        hazards = [zone_class for zone_class in areas if self.is_hazard(zone_class)]
        if hazards:
            return min(hazards, key=self.order)
        unknown = {name: area for name, area in areas.items() if not self.is_known(name)}
        calm = [name for name in areas if self.is_known(name)]
        if unknown and (not calm or sum(unknown.values()) > tolerance_sqft):
            return max(sorted(unknown), key=lambda name: unknown[name])
        return min(calm, key=self.order)


def overlay_parcels(
    connection: Connection,
    standard: Standard,
    *,
    town: str | None = None,
    full: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Bring ``parcel_hazard`` up to date with the parcels and the current flood zones; commits after each town.

    Args:
        town: code of the only town to do; all that have parcels if None.
        full: compute every parcel anew, changed or not.

    Raises:
        BadArgument: no flood zones were loaded yet, or the town has no parcels.
    """
    row = connection.execute(
        "SELECT layer_load_id, layer_version, coverage_sha256 IS NOT NULL FROM resilience.hazard_layer_version"
        " WHERE layer = %s AND is_current",
        [LAYER],
    ).fetchone()
    if row is None:
        raise BadArgument(f"No {LAYER} are loaded: run `statewide hazards load {LAYER} FILE --version V` first.")
    load_id, version, has_coverage = row
    towns = [
        code
        for (code,) in connection.execute(
            "SELECT cousub_fips FROM statewide.publication WHERE dataset = 'parcel' AND cousub_fips = coalesce(%s, cousub_fips)"
            " ORDER BY cousub_fips",
            [town],
        ).fetchall()
    ]
    if town and not towns:
        raise BadArgument(f"The town {town} has no published parcels to lay over the zones.")
    totals: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    overlap_sqft = 0.0
    for code in towns:
        with connection.transaction():
            lock_town(connection, "parcel", code)
            done = _overlay_town(connection, standard, code, load_id, version, full)
        connection.commit()
        totals += done.counts
        overlap_sqft += done.overlap_sqft
        say(f"{code}: {done.counts['computed']} parcels computed, {done.counts['unchanged']} unchanged")
    for name, count in connection.execute(
        "SELECT worst_class, count(*) FROM resilience.parcel_hazard WHERE layer = %s AND cousub_fips = ANY(%s)"
        " GROUP BY worst_class",
        [LAYER, towns],
    ).fetchall():
        classes[name] = count
    return {
        "outcome": "ok" if totals["computed"] else "unchanged",
        "layer": LAYER,
        "version": version,
        "towns": len(towns),
        "parcels": {"computed": totals["computed"], "unchanged": totals["unchanged"]},
        "worst_class": dict(classes.most_common()),
        "zones_overlap_sqft": round(overlap_sqft, 2),
        "coverage": "given" if has_coverage else "zones only: what lies in no zone is not mapped",
    }


@dataclass(frozen=True)
class _Done:
    counts: Counter[str]
    overlap_sqft: float


def _overlay_town(
    connection: Connection, standard: Standard, town: str, load_id: uuid.UUID, version: str, full: bool
) -> _Done:
    wanted = {"town": town, "layer": LAYER, "load": load_id, "full": full}
    [(live, stale, west, south, east, north)] = connection.execute(
        read_sql("resilience", "stale_extent"), wanted
    ).fetchall()
    if not stale:
        return _Done(Counter(computed=0, unchanged=live), 0.0)
    severity = Severity.of(standard)
    index, zones = _index_around(connection, severity, load_id, (west - 1, south - 1, east + 1, north + 1))
    connection.execute(
        "CREATE TEMPORARY TABLE computed (LIKE resilience.parcel_hazard INCLUDING DEFAULTS) ON COMMIT DROP"
    )
    for parcels, shapes in _stale_parcels(connection, wanted):
        rows = _answers(standard, severity, shapes, index, zones)
        with (
            connection.cursor() as cursor,
            cursor.copy(sql.SQL("COPY computed ({}) FROM STDIN").format(_COLUMNS)) as copy,
        ):
            for parcel, answer in zip(parcels, rows, strict=True):
                copy.write_row([parcel.parcel_uid, parcel.submission_id, parcel.shape_hash, town, LAYER, load_id, version, *answer])
    connection.execute(read_sql("resilience", "keep_computed"), wanted)
    connection.execute("DROP TABLE computed")
    return _Done(Counter(computed=stale, unchanged=live - stale), sum(index.overlap_sqft.values()))


def _stale_parcels(
    connection: Connection, wanted: dict[str, Any]
) -> Iterator[tuple[list[Stale], Geometries]]:
    """The parcels to compute, in chunks through a server-side cursor."""
    with connection.cursor(name="stale_parcels") as cursor:
        cursor.execute(read_sql("resilience", "stale_parcels"), wanted)
        while rows := cursor.fetchmany(_CHUNK):
            yield [Stale(*row[:3]) for row in rows], shapely.from_wkb([row[3] for row in rows])


def _index_around(
    connection: Connection, severity: Severity, load_id: uuid.UUID, box: tuple[float, float, float, float]
) -> tuple[LayerIndex, list[Zone]]:
    """The zones near the town, and the covered area without a zone, ready for ``overlay``; class code → zone.

    Where zones overlap, which FEMA's own rules forbid, the one that counts is kept; the coverage comes last, so that
    of it remains what no zone takes.
    """
    found = connection.execute(read_sql("resilience", "zones_around"), [*box, *box, load_id]).fetchall()
    described = [
        (Zone(row[0], _label(row[1], row[2]), bool(row[3]), *row[4:7]) if row[0] else Zone(_NO_ZONE), row[7])
        for row in found
    ]
    zones = sorted({zone for zone, _ in described}, key=lambda zone: (severity.order(zone.zone_class), repr(zone)))
    zones.sort(key=lambda zone: zone.zone_class == _NO_ZONE)
    code = {zone: position for position, zone in enumerate(zones)}
    described.sort(key=lambda item: code[item[0]])
    shapes = shapely.from_wkb(np.array([wkb for _, wkb in described], dtype=object))
    codes = np.array([code[zone] for zone, _ in described], dtype=np.int64)
    return index_layer(shapes, codes, one_class_per_place=True), zones


def _label(zone: str | None, subtype: str | None) -> str | None:
    return ", ".join(part for part in (zone, subtype) if part) or None


def _answers(
    standard: Standard, severity: Severity, shapes: Geometries, index: LayerIndex, zones: list[Zone]
) -> Iterator[tuple[Any, ...]]:
    """One tuple per parcel, in the order of ``_COLUMNS`` after the constants."""
    found = overlay(shapes, index)
    area = shapely.area(shapes)
    tolerance = standard.header.coordinate_tolerance_ft * shapely.length(shapes)
    starts = np.searchsorted(found.parcel, np.arange(len(shapes) + 1))
    for at in range(len(shapes)):
        part = slice(starts[at], starts[at + 1])
        shares = [
            (zones[code], float(sqft))
            for code, sqft in zip(found.class_code[part], found.area_sqft[part], strict=True)
            if sqft > 0
        ]
        yield answer(severity, shares, float(area[at]), float(tolerance[at]), standard.header.area_tolerance_sqft)


def answer(
    severity: Severity, shares: list[tuple[Zone, float]], area_sqft: float, tolerance_sqft: float, least_sqft: float
) -> tuple[Any, ...]:
    """What is said of one parcel: the columns of ``parcel_hazard`` from `worst_zone` to `depth_ft`.

    Args:
        shares: zones that share area with the parcel, and how much.
        tolerance_sqft: a gap of this area along the boundary is two drawings of one line, not a lack of coverage.
        least_sqft: a gap of less is rounding.
    """
    mapped = sum(sqft for _, sqft in shares)
    gap = max(area_sqft - mapped, 0.0)
    areas: dict[str, float] = {}
    for zone, sqft in shares:
        areas[zone.zone_class] = areas.get(zone.zone_class, 0.0) + sqft
    if gap > least_sqft or not areas:
        areas[_NOT_MAPPED] = gap
    worst = severity.worst(areas, tolerance_sqft)
    labels: Counter[str] = Counter()
    for zone, sqft in shares:
        if zone.zone_class == worst and zone.label:
            labels[zone.label] += sqft  # type: ignore[assignment]  # a Counter of areas
    sfha = sum(sqft for zone, sqft in shares if zone.is_sfha)
    unknown = sum(sqft for name, sqft in areas.items() if not severity.is_known(name))
    elevations = [(zone.static_bfe_ft, zone.v_datum) for zone, _ in shares if zone.static_bfe_ft is not None]
    highest = max(elevations, key=lambda pair: (pair[0], pair[1] or ""), default=(None, None))
    return (
        max(sorted(labels), key=lambda label: labels[label], default=None),
        worst,
        severity.rank.get(worst),
        sfha,
        _percent(sfha, area_sqft),
        json.dumps({name: round(areas[name], 3) for name in sorted(areas, key=severity.order)}),
        _percent(mapped, area_sqft),
        _percent(unknown, area_sqft),
        "not mapped" if not mapped else "partly mapped" if gap > tolerance_sqft else "mapped",
        *highest,
        max((zone.depth_ft for zone, _ in shares if zone.depth_ft is not None), default=None),
    )


def _percent(part: float, whole: float) -> float:
    return min(round(100 * part / whole, 4), 100.0) if whole else 0.0


_COLUMNS = sql.SQL(", ").join(
    sql.Identifier(name)
    for name in (
        "parcel_uid",
        "parcel_submission_id",
        "parcel_shape_hash",
        "cousub_fips",
        "layer",
        "layer_load_id",
        "layer_version",
        "worst_zone",
        "worst_class",
        "worst_class_rank",
        "sfha_area_sqft",
        "sfha_share_pct",
        "area_by_class",
        "mapped_share_pct",
        "unknown_share_pct",
        "coverage",
        "static_bfe_ft",
        "v_datum",
        "depth_ft",
    )
)
