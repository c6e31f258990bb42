"""What `exposure` counts: the statement that counts parcels, addresses and facilities by class, and what is kept of it.

Towns that were counted are added up, so that the whole State is answered in seconds. Triggers mark a town when anything
that its counts rest on changes, in the same transaction; whoever asks before it is counted anew gets it counted live.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, LiteralString, NamedTuple

from psycopg import sql

from resilience.layer_sources import load_sources
from resilience.severity import MINIMAL, Severity
from statewide.database import Connection, connect, read_sql
from statewide.ddl import view_name
from statewide.register import Town
from statewide.replace import lock_town
from statewide.settings import Settings
from statewide.standard import Code, Standard, load_standard

SHARES = (1, *range(5, 101, 5))
"""Shares of a parcel, in percent, that can be asked for beside any touch."""


class ClassPlace(NamedTuple):
    """A hazard class of a layer, in the order in which classes reach a place, or from the gravest on.

    Figures "up to" a class are told within its family: connected and low-lying sea level rise are two.
    """

    code: Code
    family: int
    place: int


@functools.cache
def class_places() -> dict[str, tuple[ClassPlace, ...]]:
    """The classes of each layer that mean a hazard."""
    standard = load_standard()
    severity = Severity.of(standard)
    sources = load_sources()
    found: dict[str, tuple[ClassPlace, ...]] = {}
    for layer in standard.code_lists["hazard_layer"].codes:
        codes = [c for c in standard.code_lists["hazard_class"].codes if layer.code in c.layers]
        codes = sorted((c for c in codes if severity.is_hazard(c.code)), key=lambda c: severity.order(c.code))
        nested = layer.code in sources and sources[layer.code].nested
        family, places, before = 0, [], float("-inf")
        for place, code in enumerate(codes):
            # Among nested classes the number grows from one to the next; where it falls, another family begins.
            if nested and code.value is not None:
                family += code.value < before
                before = code.value
            places.append(ClassPlace(code, family, place))
        if places:
            found[layer.code] = tuple(places)
    return found


def counts(*, in_area: bool) -> sql.Composed:
    """The statement up to its parts `cells`, `covers`, `addresses` and `facilities`; what is made of them follows.

    Args:
        in_area: what a drawn area touches, else what belongs to towns.
    """
    return read_sql("resilience", "exposure_counts").format(
        zones=_zones(load_standard()),
        step=sql.SQL("width_bucket(share_pct, %(shares)s::double precision[])"),
        **{name: sql.SQL(text[in_area]) for name, text in _SELECTED.items()},
    )


def parameters(
    *, towns: Sequence[str] | None = None, area: bytes | None = None, layers: Sequence[str] | None = None
) -> dict[str, Any]:
    """Values of the statement.

    Args:
        towns: codes of the towns; None for a drawn area.
        area: the drawn area as WKB in degrees.
        layers: those to count; all if None.
    """
    classes, points = _numbered()
    known = list(class_places())
    layers = known if layers is None else list(layers)
    classes = [each for each in classes if each[0] in layers]
    points = [each for each in points if each[0] in layers]
    return {
        "towns": None if towns is None else list(towns),
        "area": area,
        "layers": layers,
        "layer_numbers": [known.index(layer) for layer in layers],
        "zone_layers": ["", *(layer for layer in layers if layer in load_sources())],
        **_columns("class", ("layers", "codes", "families", "places", "numbers"), classes),
        **_columns("point", ("layers", "codes", "numbers"), points),
        "calm_rank": Severity.of(load_standard()).rank[MINIMAL],
        "shares": list(SHARES),
        "use_counted": True,
        "counted_by": hashlib.sha256(repr((_numbered(), SHARES)).encode()).hexdigest(),
    }


@functools.cache
def _numbered() -> tuple[list[tuple[str, str, int, int, int]], list[tuple[str, str, int]]]:
    """Classes that mean a hazard, with family and place, and all that a point can have; each with its number."""
    classes: list[tuple[str, str, int, int, int]] = []
    points: list[tuple[str, str, int]] = []
    codes = load_standard().code_lists["hazard_class"].codes
    for number, (layer, places) in enumerate(class_places().items()):
        for code, family, place in places:
            classes.append((layer, code.code, 10 * number + family, place, len(classes)))
        for code in codes:
            if not code.layers or layer in code.layers:
                points.append((layer, code.code, len(points)))
    return classes, points


def _columns(prefix: str, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {f"{prefix}_{name}": [row[at] for row in rows] for at, name in enumerate(names)}


def recount(connection: Connection, town: Town | None = None, say: Callable[[str], None] = lambda _: None) -> list[str]:
    """Count every town with a delivery that is marked or was never counted, or one town; commits after each.

    Returns:
        Codes of the towns that were counted.
    """
    stale = connection.execute(
        "SELECT DISTINCT p.cousub_fips FROM statewide.publication AS p"
        " WHERE p.cousub_fips = coalesce(%s, p.cousub_fips)"
        " AND NOT EXISTS (SELECT 1 FROM published.exposure_towns AS t"
        " WHERE t.cousub_fips = p.cousub_fips AND t.counted_by = %s) ORDER BY p.cousub_fips",
        [town.cousub_fips if town else None, parameters()["counted_by"]],
    ).fetchall()
    statement = sql.SQL("{}{}").format(counts(in_area=False), read_sql("resilience", "exposure_keep"))
    for (code,) in stale:
        lock_town(connection, "exposure", code)
        # First the marks: what is committed after this statement marks the town again, seen by the count or not.
        for table in _KEPT:
            connection.execute(
                sql.SQL("DELETE FROM {} WHERE cousub_fips = %s").format(sql.Identifier("resilience", table)), [code]
            )
        connection.execute(statement, parameters(towns=[code]) | {"use_counted": False})
        connection.commit()
        say(f"{code}: counted")
    return [code for (code,) in stale]


def after_publication(settings: Settings, dataset: str, town: Town, say: Callable[[str], None]) -> None:
    """Count a town anew after a delivery; runs behind those whose rows are counted.

    Where no layer is loaded nobody asks yet; who does has a town counted that was not.
    """
    with connect(settings) as connection:
        loaded = connection.execute("SELECT 1 FROM resilience.hazard_layer_version WHERE is_current LIMIT 1").fetchone()
        if loaded:
            recount(connection, town, say)


def _zones(standard: Standard) -> sql.Composed:
    """The class and the name of the zone at a point ``p.geom``, of the layer ``l.layer``."""
    one = sql.SQL(
        "(SELECT zone_class, nullif(concat_ws(', ', {labels}), '') AS zone_label FROM {view}"
        " WHERE l.layer = {layer} AND ST_Intersects(geom, p.geom) ORDER BY {order} LIMIT 1)"
    )
    return sql.SQL(" UNION ALL ").join(
        one.format(
            labels=sql.SQL(", ").join([*map(sql.Identifier, source.label_fields), sql.SQL("NULL")]),
            view=sql.Identifier("published", view_name(standard.table(source.table))),
            layer=sql.Literal(source.layer),
            order=worst_first(),
        )
        for source in load_sources().values()
    )


def worst_first() -> sql.Composed:
    """Order of a layer's rows at one place, the one that counts first."""
    return sql.SQL(
        "CASE WHEN zone_class_rank > {0} THEN 0 WHEN zone_class_rank IS NULL THEN 1 ELSE 2 END, zone_class_rank DESC"
    ).format(sql.Literal(Severity.of(load_standard()).rank[MINIMAL]))


_KEPT = tuple(
    f"exposure_{part}" for part in ("stale", "town", "cell", "cover", "address", "facility", "parcel", "point")
)
_SELECTED: dict[str, tuple[LiteralString, LiteralString]] = {
    "of_towns": ("h.cousub_fips = ANY(%(towns)s::text[])", "true"),
    "parcels": (
        "published.exposure_parcels AS p"
        " CROSS JOIN (SELECT 100::double precision AS in_area_pct, true AS centre_inside) AS inside"
        " WHERE p.cousub_fips IN (SELECT town FROM asked)",
        "drawn AS d JOIN published.exposure_parcels AS p ON ST_Intersects(d.area, p.geom_lonlat)"
        " CROSS JOIN LATERAL (SELECT ST_Covers(d.area, p.geom_lonlat) AS wholly OFFSET 0) AS c"
        " CROSS JOIN LATERAL (SELECT"
        " CASE WHEN c.wholly OR ST_Area(p.geom_lonlat) = 0 THEN 100"
        " ELSE 100 * ST_Area(ST_Intersection(d.area, p.geom_lonlat))"
        " / ST_Area(p.geom_lonlat) END AS in_area_pct,"
        " c.wholly OR ST_Intersects(d.area, ST_PointOnSurface(p.geom_lonlat)) AS centre_inside OFFSET 0) AS inside",
    ),
    "addresses": (
        "published.exposure_addresses AS a WHERE a.cousub_fips IN (SELECT town FROM asked)",
        "drawn AS d JOIN published.exposure_addresses AS a ON ST_Intersects(d.area, a.geom_lonlat)",
    ),
    "facilities": (
        "published.towns AS t JOIN published.critical_facilities AS f ON ST_Intersects(t.geom, f.geom)"
        " WHERE t.cousub_fips IN (SELECT town FROM asked)",
        "drawn AS d JOIN published.critical_facilities AS f ON ST_Intersects(d.area, f.geom_lonlat)"
        " LEFT JOIN published.towns AS t ON ST_Intersects(t.geom, f.geom)",
    ),
}
"""What is counted: of towns, and of a drawn area. A row says its town, too, so that a town's are read at once."""
