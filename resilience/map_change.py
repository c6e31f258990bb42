"""Where two versions of a layer differ: which parcels and points must be asked again, and which keep their answers.

A parcel whose box no changed edge reaches lies in the same zones as before, if it does at one point: whatever else
differs, differs beyond an edge. An edge is changed if only one of the two versions has it for the same zone.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely

from resilience.ground import (
    Current,
    Geometries,
    Ground,
    Row,
    inner_points,
    is_kept,
    open_ground,
    read_rows,
    read_zones,
    version_file,
)
from resilience.layer_sources import LayerSource
from resilience.parcel_answers import Floats
from resilience.severity import NO_ZONE, Zone
from statewide.database import Connection
from statewide.standard import Standard

_MOST = 0.5
"""Beyond this share of changed polygons all is asked again: finding out what is not would take as long."""


@dataclass(frozen=True)
class MapChange:
    """What changed between two versions of a layer."""

    before: Ground
    now: Ground
    edges: shapely.STRtree

    def parcels(self, shapes: Geometries) -> npt.NDArray[np.bool_]:
        """Which of the parcels must be asked again."""
        asked = self.points(inner_points(shapes))
        reached, _ = self.edges.query(shapely.box(*shapely.bounds(shapes).T))
        asked[reached] = True
        return asked

    def points(self, xy: Floats) -> npt.NDArray[np.bool_]:
        """At which places the zone is another."""
        before, now = self.before.zones_at(xy), self.now.zones_at(xy)
        known = {zone: place for place, zone in enumerate(dict.fromkeys((*before.zones, *now.zones)))}
        numbers = [np.array([known[zone] for zone in said.zones], dtype=np.int64)[said.place] for said in (before, now)]
        differs: npt.NDArray[np.bool_] = numbers[0] != numbers[1]
        return differs


def map_change(
    connection: Connection,
    standard: Standard,
    source: LayerSource,
    before: uuid.UUID,
    current: Current,
    now: Ground,
    home: Path,
) -> MapChange | None:
    """What changed since the load `before`; None where all must be asked again: it cannot be told, or is most of it."""
    file = version_file(home, before, read_zones(connection, standard, source, before, ended=True))
    row = connection.execute(
        "SELECT v_datum FROM resilience.hazard_layer_version WHERE layer_load_id = %s", [before]
    ).fetchone()
    if row is None or row[0] != current.v_datum or not is_kept(file):
        return None

    def rows(load: uuid.UUID, ended: bool, shapes: Sequence[uuid.UUID]) -> list[Row]:
        zones = read_rows(connection, standard, source, load, ended=ended, shapes=shapes)
        return [*zones, *_coverage(connection, load, shapes)]

    gone = Counter(row[:2] for row in rows(before, True, ()))
    come = Counter(row[:2] for row in rows(current.load_id, False, ()))
    polygons = gone.total() + come.total()
    gone, come = gone - come, come - gone
    if gone.total() + come.total() > _MOST * polygons:
        return None
    place = {zone: at for at, zone in enumerate(dict.fromkeys(zone for zone, _ in (*gone, *come)))}
    old, new = (
        _edges(rows(load, ended, [key for _, key in keys]) if keys else [], keys, place)
        for load, ended, keys in ((before, True, gone), (current.load_id, False, come))
    )
    return MapChange(open_ground(file, row[0]), now, shapely.STRtree(_in_one_only(old, new)))


def _coverage(connection: Connection, load: uuid.UUID, shapes: Sequence[uuid.UUID]) -> list[Row]:
    """What a version covers, as polygons of no zone; without their shapes but for those named."""
    found = connection.execute(
        "SELECT key, CASE WHEN key = ANY(%(shapes)s) THEN wkb END FROM resilience.hazard_coverage,"
        " LATERAL (SELECT ST_AsBinary(geom) AS wkb) AS a, LATERAL (SELECT md5(wkb)::uuid AS key) AS b"
        " WHERE layer_load_id = %(load)s",
        {"load": load, "shapes": list(shapes)},
    ).fetchall()
    return [Row(Zone(NO_ZONE), *row) for row in found]


def _edges(rows: list[Row], keys: Counter[tuple[Zone, uuid.UUID]], place: dict[Zone, int]) -> Floats:
    """The edges of those polygons that `keys` names, each with the place of its zone: west end first; n × 5."""
    parts = [np.empty((0, 5))]
    for row in rows:
        if row.wkb is not None and row[:2] in keys:
            lines = _segments(shapely.from_wkb(row.wkb))
            parts.append(np.column_stack([lines, np.full(len(lines), place[row.zone])]))
    return np.concatenate(parts)


def _segments(polygon: shapely.Geometry) -> Floats:
    """The edges of a polygon, the end that comes first in the order of coordinates first; n × 4."""
    rings = shapely.get_rings(shapely.get_parts(polygon))
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    same = ring[:-1] == ring[1:]
    first, second = xy[:-1][same], xy[1:][same]
    turned = (first[:, 0] > second[:, 0]) | ((first[:, 0] == second[:, 0]) & (first[:, 1] > second[:, 1]))
    return np.where(turned[:, None], np.hstack([second, first]), np.hstack([first, second]))


def _in_one_only(old: Floats, new: Floats) -> Geometries:
    """Lines of the edges that are in one of the two and not in the other."""
    edges = np.concatenate([old, new])
    distinct, at = np.unique(edges, axis=0, return_inverse=True)
    balance = np.bincount(at.ravel(), weights=np.repeat([1.0, -1.0], [len(old), len(new)]), minlength=len(distinct))
    lines: Geometries = shapely.linestrings(distinct[balance != 0, :4].reshape(-1, 2, 2))
    return lines
