"""Parcels laid over the current flood zones: one row per parcel in ``resilience.parcel_hazard``.

Town by town, one transaction each, and only for parcels whose shape or layer changed. The areas come from ``overlay``;
here they become an answer: the worst class, what is not known, and the versions of both sides. A parcel that the layer
does not cover is `not_mapped`, never free of hazard.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from psycopg import sql

from resilience.flood import LAYER
from resilience.overlay import CHUNK, Geometries, LayerIndex, index_layer, overlay
from statewide.database import Connection, connect, read_sql
from statewide.errors import BadArgument
from statewide.register import Town
from statewide.replace import lock_town
from statewide.settings import Settings
from statewide.standard import Standard, load_standard

NOT_MAPPED, NO_ZONE, MINIMAL = "not_mapped", "no_zone", "minimal"
"""Classes of the list that no line of FEMA's gives, and the one that a known hazard is worse than."""


class Zone(NamedTuple):
    """What polygons have in common that need not be told apart on a parcel."""

    zone_class: str
    label: str | None = None
    is_sfha: bool = False
    static_bfe_ft: float | None = None
    v_datum: str | None = None
    depth_ft: float | None = None


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
        return cls(standard.code_lists["flood_zone_class"].ranks())

    def is_known(self, zone_class: str) -> bool:
        """Whether the class says how much hazard there is."""
        return zone_class in self.rank

    def is_hazard(self, zone_class: str) -> bool:
        """Whether the class is worse than minimal."""
        return self.rank.get(zone_class, 0) > self.rank[MINIMAL]

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
    town: Town | None = None,
    full: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Bring ``parcel_hazard`` up to date with the parcels and the current flood zones; commits after each town.

    Args:
        town: the only town to do; all that have parcels if None.
        full: compute every parcel anew, changed or not.

    Raises:
        BadArgument: no flood zones were loaded yet, or the town has no parcels.
    """
    _current(connection)
    towns = [
        code
        for (code,) in connection.execute(
            "SELECT cousub_fips FROM statewide.publication"
            " WHERE dataset = 'parcel' AND cousub_fips = coalesce(%s, cousub_fips) ORDER BY cousub_fips",
            [town.cousub_fips if town else None],
        ).fetchall()
    ]
    if town and not towns:
        raise BadArgument(f"{town.town_name} has no published parcels to lay over the zones.")
    done = [_Done(0, 0, 0.0)]
    for code in towns:
        done.append(_overlay_town(connection, standard, code, full))
        connection.commit()
        say(f"{code}: {done[-1].computed:,} parcels computed, {done[-1].unchanged:,} unchanged")
    current = _current(connection)
    classes = connection.execute(
        "SELECT worst_class, count(*) FROM resilience.parcel_hazard"
        " WHERE layer = %s AND cousub_fips = ANY(%s) GROUP BY worst_class ORDER BY worst_class",
        [LAYER, towns],
    ).fetchall()
    computed = sum(town_done.computed for town_done in done)
    return {
        "outcome": "ok" if computed else "unchanged",
        "layer": LAYER,
        "version": current.version,
        "towns": len(towns),
        "parcels": {"computed": computed, "unchanged": sum(town_done.unchanged for town_done in done)},
        "worst_class": dict(classes),
        "zones_overlap_sqft": round(sum(town_done.overlap_sqft for town_done in done), 2),
        "coverage": "given" if current.has_coverage else "zones only: what lies in no zone is not mapped",
    }


def after_publication(settings: Settings, dataset: str, town: Town, say: Callable[[str], None]) -> None:
    """Lay a town's changed parcels over the current flood zones, if any are loaded."""
    if dataset != "parcel":
        return
    with connect(settings) as connection:
        if _find_current(connection) is not None:
            overlay_parcels(connection, load_standard(), town=town, say=say)


class _Current(NamedTuple):
    load_id: uuid.UUID
    version: str
    has_coverage: bool


class _Done(NamedTuple):
    computed: int
    unchanged: int
    overlap_sqft: float


def _current(connection: Connection) -> _Current:
    """The current version of the layer.

    Raises:
        BadArgument: none was loaded yet.
    """
    found = _find_current(connection)
    if found is None:
        raise BadArgument(f"No {LAYER} are loaded: run `statewide hazards load {LAYER} FILE --version V` first.")
    return found


def _find_current(connection: Connection) -> _Current | None:
    """The current version of the layer, which stays so until the end of the transaction."""
    row = connection.execute(
        "SELECT layer_load_id, layer_version, coverage_sha256 IS NOT NULL FROM resilience.hazard_layer_version"
        " WHERE layer = %s AND is_current FOR SHARE",
        [LAYER],
    ).fetchone()
    return _Current(*row) if row else None


def _overlay_town(connection: Connection, standard: Standard, town: str, full: bool) -> _Done:
    """All stale parcels of a town, in the caller's transaction. Rows of parcels that went are gone with them."""
    lock_town(connection, standard.table("parcel").schema_name, town)
    current = _current(connection)
    connection.execute(
        read_sql("resilience", "stale_parcels"),
        {"town": town, "layer": LAYER, "load": current.load_id, "full": full},
    )
    [(stale, live, *box)] = connection.execute(
        """
        SELECT count(stale.parcel_uid), count(*), min(ST_XMin(p.geom)) - 1, min(ST_YMin(p.geom)) - 1,
            max(ST_XMax(p.geom)) + 1, max(ST_YMax(p.geom)) + 1
        FROM cadastral.parcel AS p LEFT JOIN stale USING (parcel_uid)
        WHERE p.cousub_fips = %s
        """,
        [town],
    ).fetchall()
    overlap_sqft = 0.0
    if stale:
        severity = Severity.of(standard)
        around = _ground_around(connection, standard, severity, current.load_id, box)
        overlap_sqft = sum(around.index.overlap_sqft.values())
        connection.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE computed ON COMMIT DROP AS SELECT {} FROM resilience.parcel_hazard LIMIT 0"
            ).format(_COLUMNS)
        )
        constants = (town, LAYER, current.load_id, current.version)
        for parcels, shapes in _stale_parcels(connection):
            answers = _answers(standard, severity, shapes, around)
            with connection.cursor() as cursor, cursor.copy("COPY computed FROM STDIN") as copy:
                for parcel, said in zip(parcels, answers, strict=True):
                    copy.write_row((*parcel, *constants, *said))
        connection.execute(_KEEP)
        connection.execute("DROP TABLE computed")
    connection.execute("DROP TABLE stale")
    return _Done(stale, live - stale, overlap_sqft)


def _stale_parcels(connection: Connection) -> Iterator[tuple[list[tuple[Any, ...]], Geometries]]:
    """Identifier, delivery and shape hash of the parcels to compute, and their shapes, in chunks."""
    with connection.cursor(name="stale_parcels") as cursor:
        cursor.execute(
            "SELECT p.parcel_uid, p.submission_id, p.shape_hash, ST_AsBinary(p.geom)"
            " FROM cadastral.parcel AS p JOIN stale USING (parcel_uid) ORDER BY p.parcel_uid"
        )
        while rows := cursor.fetchmany(CHUNK):
            yield [row[:3] for row in rows], shapely.from_wkb([row[3] for row in rows])


@dataclass(frozen=True)
class _Ground:
    """What the layer says around a town: zones by class code of the index, and the covered area, if one was given."""

    zones: list[Zone]
    index: LayerIndex
    coverage: shapely.Geometry | None


def _ground_around(
    connection: Connection, standard: Standard, severity: Severity, load_id: uuid.UUID, box: list[float]
) -> _Ground:
    """Where zones overlap, which FEMA's own rules forbid, the one that counts is kept."""
    names = dict(zip(("west", "south", "east", "north"), box, strict=True))
    values = {**names, "srid": standard.header.storage_crs, "load": load_id}
    found = connection.execute(read_sql("resilience", "zones_around"), values).fetchall()
    described = [Zone(row[0], _label(row[1], row[2]), *row[3:7]) for row in found]
    zones = sorted(set(described), key=lambda zone: (severity.order(zone.zone_class), repr(zone)))
    code = {zone: position for position, zone in enumerate(zones)}
    codes = np.array([code[zone] for zone in described], dtype=np.int64)
    shapes = shapely.from_wkb(np.array([row[7] for row in found], dtype=object))
    worst_first = np.argsort(codes, kind="stable")
    panels = connection.execute(
        "SELECT ST_AsBinary(geom) FROM resilience.hazard_coverage WHERE layer_load_id = %s", [load_id]
    ).fetchall()
    coverage = shapely.union_all(shapely.from_wkb([wkb for (wkb,) in panels])) if panels else None
    shapely.prepare(coverage)
    return _Ground(zones, index_layer(shapes[worst_first], codes[worst_first], one_class_per_place=True), coverage)


def _label(zone: str | None, subtype: str | None) -> str | None:
    return ", ".join(part for part in (zone, subtype) if part) or None


def _answers(standard: Standard, severity: Severity, shapes: Geometries, ground: _Ground) -> Iterator[tuple[Any, ...]]:
    """One tuple per parcel, in the order of ``_NAMES`` from `worst_zone`."""
    found = overlay(shapes, ground.index)
    area = shapely.area(shapes)
    tolerance = standard.header.coordinate_tolerance_ft * shapely.length(shapes)
    least_sqft = standard.header.area_tolerance_sqft
    in_zones = np.bincount(found.parcel, weights=found.area_sqft, minlength=len(shapes))
    without_zone = _without_zone(shapes, area - in_zones, ground, least_sqft)
    starts = np.searchsorted(found.parcel, np.arange(len(shapes) + 1))
    for at in range(len(shapes)):
        part = slice(starts[at], starts[at + 1])
        shares = [
            (ground.zones[code], float(sqft))
            for code, sqft in zip(found.class_code[part], found.area_sqft[part], strict=True)
            if sqft > 0
        ]
        if without_zone[at] > least_sqft:
            shares.append((Zone(NO_ZONE), float(without_zone[at])))
        yield answer(severity, shares, float(area[at]), float(tolerance[at]), least_sqft)


def _without_zone(
    shapes: Geometries, gaps: NDArray[np.float64], ground: _Ground, least_sqft: float
) -> NDArray[np.float64]:
    """Area of each parcel that is covered and in no zone; ``gaps`` is its area outside of all zones.

    Only a parcel across the rim of the coverage needs its gap as a shape.
    """
    area = np.zeros(len(shapes))
    if ground.coverage is None:
        return area
    with_gap = np.flatnonzero(gaps > least_sqft)
    whole = shapely.covers(ground.coverage, shapes[with_gap])
    area[with_gap[whole]] = gaps[with_gap[whole]]
    for at in with_gap[~whole]:
        zones = ground.index.pieces[ground.index.tree.query(shapes[at], predicate="intersects")]
        gap = shapely.difference(shapes[at], shapely.union_all(zones))
        area[at] = shapely.intersection(gap, ground.coverage).area
    return area


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
        areas[NOT_MAPPED] = gap
    worst = severity.worst(areas, tolerance_sqft)
    labels: dict[str, float] = {}
    for zone, sqft in shares:
        if zone.zone_class == worst and zone.label:
            labels[zone.label] = labels.get(zone.label, 0.0) + sqft
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
        json.dumps({name: round(sqft, 3) for name, sqft in areas.items()}),
        _percent(mapped, area_sqft),
        _percent(unknown, area_sqft),
        "not mapped" if not mapped else "partly mapped" if gap > tolerance_sqft else "mapped",
        *highest,
        max((zone.depth_ft for zone, _ in shares if zone.depth_ft is not None), default=None),
    )


def _percent(part: float, whole: float) -> float:
    return min(round(100 * part / whole, 4), 100.0) if whole else 0.0


_NAMES = (
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
_COLUMNS = sql.SQL(", ").join(sql.Identifier(name) for name in _NAMES)
_KEEP = sql.SQL(
    "INSERT INTO resilience.parcel_hazard (parcel_hazard_uid, computed_at, {columns})"
    " SELECT md5(layer || '/' || parcel_uid)::uuid, now(), {columns} FROM computed"
    " ON CONFLICT (parcel_hazard_uid) DO UPDATE SET (computed_at, {columns}) = ROW (now(), {new})"
).format(
    columns=_COLUMNS, new=sql.SQL(", ").join(sql.SQL("excluded.{}").format(sql.Identifier(name)) for name in _NAMES)
)
