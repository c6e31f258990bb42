"""What the current version of a polygon layer says of any parcel or point: its zones, its index, its coverage.

The index is made once per version and kept below the platform's home, its zones beside it; what is lost, cut off or of
other zones is made anew.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely
from psycopg import sql

from resilience.layer_sources import LayerSource
from resilience.overlay import LayerIndex, classes_at, index_layer, load_index, overlay, save_index
from resilience.parcel_answers import Floats, Shares, parcel_answers
from resilience.severity import NO_ZONE, NOT_MAPPED, Severity, Zone
from statewide.database import Connection
from statewide.errors import PlatformError
from statewide.standard import Standard, load_standard

Geometries = npt.NDArray[np.object_]


class Current(NamedTuple):
    """The version of a layer that answers are made with."""

    load_id: uuid.UUID
    version: str
    has_coverage: bool
    v_datum: str | None


_IS_LOADED = "SELECT 1 FROM resilience.hazard_layer_version WHERE layer = %s AND is_current"
_CURRENT = """
SELECT layer_load_id, layer_version, coverage_sha256 IS NOT NULL, v_datum
FROM resilience.hazard_layer_version WHERE layer = %s AND is_current FOR SHARE
"""


def find_current(connection: Connection, layer: str) -> Current | None:
    """The current version of the layer, which stays so until the end of the transaction; None if none was loaded."""
    while connection.execute(_IS_LOADED, [layer]).fetchone():
        # None where it had to wait for a load: the version that it saw is not current any more, the new one not seen.
        if row := connection.execute(_CURRENT, [layer]).fetchone():
            return Current(*row)
    return None


class ZonesAt(NamedTuple):
    """Zones, and the place in them of each point."""

    zones: list[Zone]
    place: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ground:
    """A version of a polygon layer, ready to be asked.

    ``index`` holds a zone by its place in ``zones``, which are sorted so that the first of two is the one that counts;
    what the layer covers and no zone does has the place behind the last.
    ``v_datum`` is what all heights of the layer are measured from, where its rows do not say.
    """

    standard: Standard
    severity: Severity
    zones: list[Zone]
    index: LayerIndex
    v_datum: str | None
    file: Path

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process opens the file for itself.
        return open_ground, (self.file, self.v_datum)

    @property
    def overlap_sqft(self) -> float:
        """Area where polygons overlap, of which the worse class was counted."""
        return sum(self.index.overlap_sqft.values())

    def parcels(self, shapes: Geometries) -> dict[str, pa.Array]:
        """What is said of parcels, by column of the law. Shapes are valid polygons in the storage CRS."""
        found = overlay(shapes, self.index)
        header = self.standard.header
        in_zone = found.class_code < len(self.zones)
        bare = np.zeros(len(shapes))
        bare[found.parcel[~in_zone]] = found.area_sqft[~in_zone]
        answers = parcel_answers(
            self.severity,
            self.zones,
            Shares(found.parcel[in_zone], found.class_code[in_zone], found.area_sqft[in_zone]),
            shapely.area(shapes),
            bare,
            header.coordinate_tolerance_ft * shapely.length(shapes),
            header.area_tolerance_sqft,
        )
        centre = self.zones_at(inner_points(shapes))
        answers["centroid_class"] = pa.array([zone.zone_class for zone in centre.zones]).take(pa.array(centre.place))
        if self.v_datum:
            answers["v_datum"] = pa.array([self.v_datum] * len(shapes))
        if all(zone.is_sfha is None for zone in self.zones):
            for column in ("sfha_area_sqft", "sfha_share_pct"):
                answers[column] = pa.nulls(len(shapes), pa.float64())
        return answers

    def addresses(self, points: Geometries) -> dict[str, pa.Array]:
        """What is said of address points, by column of the law. Points are in the storage CRS."""
        zones, at = self.zones_at(shapely.get_coordinates(points))
        columns: dict[str, list[Any]] = {
            "zone_class": [zone.zone_class for zone in zones],
            "zone_class_rank": [self.severity.rank.get(zone.zone_class) for zone in zones],
            "class_value": [self.severity.value.get(zone.zone_class) for zone in zones],
            "zone_label": [zone.label for zone in zones],
            "is_sfha": [zone.is_sfha for zone in self.zones] + [False, None],
            "coverage": ["mapped"] * (len(zones) - 1) + ["not mapped"],
            "static_bfe_ft": [zone.static_bfe_ft for zone in zones],
            "v_datum": [zone.v_datum or self.v_datum for zone in zones[:-1]] + [None],
            "depth_ft": [zone.depth_ft for zone in zones],
        }
        if all(zone.is_sfha is None for zone in self.zones):
            columns["is_sfha"] = [None] * len(zones)
        kinds = {"zone_class_rank": pa.int32(), "is_sfha": pa.bool_()} | dict.fromkeys(
            ("class_value", "static_bfe_ft", "depth_ft"), pa.float64()
        )
        place = pa.array(at)
        return {name: pa.array(values, kinds.get(name, pa.string())).take(place) for name, values in columns.items()}

    def zones_at(self, xy: Floats) -> ZonesAt:
        """The zone of each point, n × 2."""
        code = classes_at(xy[:, 0], xy[:, 1], self.index)
        return ZonesAt([*self.zones, Zone(NO_ZONE), Zone(NOT_MAPPED)], np.where(code >= 0, code, len(self.zones) + 1))


def inner_points(shapes: Geometries) -> Floats:
    """The centroid of each shape, or where that lies outside another point well inside of it; n × 2."""
    points: Floats = shapely.get_coordinates(shapely.centroid(shapes))
    outside = ~shapely.contains_xy(shapes, points[:, 0], points[:, 1])
    points[outside] = shapely.get_coordinates(shapely.point_on_surface(shapes[outside]))
    return points


def keep_ground(connection: Connection, standard: Standard, source: LayerSource, current: Current, home: Path) -> Path:
    """The file of the version's index below `home`, its zones beside it; made now if they are not there."""
    zones = read_zones(connection, standard, source, current.load_id)
    file = version_file(home, current.load_id, zones)
    if is_kept(file):
        return file
    rows = read_rows(connection, standard, source, current.load_id)
    place = {zone: at for at, zone in enumerate(zones)}
    codes = np.array([place[row.zone] for row in rows], dtype=np.int64)
    panels = connection.execute(
        "SELECT ST_AsBinary(geom) FROM resilience.hazard_coverage WHERE layer_load_id = %s", [current.load_id]
    ).fetchall()
    # Map sheets of two studies may overlap; the background is one area.
    covered = shapely.union_all(shapely.from_wkb([wkb for (wkb,) in panels])) if panels else None
    index = index_layer(
        [row.wkb for row in rows],
        codes,
        one_class_per_place=True,
        background=None if covered is None else np.array([covered], dtype=object),
        background_class=len(zones),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    writing = _zones_beside(file).with_suffix(f".{os.getpid()}.part")
    writing.write_text(json.dumps(zones), encoding="utf-8")
    writing.replace(_zones_beside(file))
    save_index(index, file)
    return file


@functools.lru_cache(maxsize=4)
def open_ground(file: Path, v_datum: str | None) -> Ground:
    """What `keep_ground` made.

    Raises:
        PlatformError: the file is not to be read here.
    """
    standard = load_standard()
    index, zones = load_index(file), _kept_zones(file)
    if index is None or zones is None:
        raise PlatformError(f"The index {file.name} of a hazard layer cannot be read here; workers need the same home.")
    return Ground(standard, Severity.of(standard), zones, index, v_datum, file)


def is_kept(file: Path) -> bool:
    """Whether `open_ground` can open it."""
    return load_index(file) is not None and _kept_zones(file) is not None


def _kept_zones(index: Path) -> list[Zone] | None:
    try:
        return [Zone(*row) for row in json.loads(_zones_beside(index).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return None


def _zones_beside(index: Path) -> Path:
    return index.with_suffix(".zones.json")


def version_file(home: Path, load_id: uuid.UUID, zones: Sequence[Zone]) -> Path:
    """Where the index of a version is kept. By other zones, or in another order, it is another file."""
    return home / "index" / f"{load_id}-{hashlib.sha256(json.dumps(zones).encode()).hexdigest()[:16]}.index"


class Row(NamedTuple):
    """A polygon of a version: what it says of its place, and its shape."""

    zone: Zone
    shape_hash: uuid.UUID
    wkb: bytes | None


def read_rows(
    connection: Connection,
    standard: Standard,
    source: LayerSource,
    load_id: uuid.UUID,
    *,
    ended: bool = False,
    shapes: Sequence[uuid.UUID] | None = None,
) -> list[Row]:
    """The polygons of a version, in an order of their own.

    Args:
        ended: of a version that another one replaced.
        shapes: only polygons of these shapes. Empty: all polygons without their shapes; None: all with theirs.
    """
    columns = [
        *_zone_columns(standard, source),
        sql.Identifier("shape_hash"),
        sql.SQL("NULL") if shapes is not None and not shapes else sql.SQL("ST_AsBinary(geom)"),
    ]
    found = connection.execute(
        sql.SQL(
            "SELECT {columns} FROM {table} WHERE submission_id = %(load)s"
            " AND (%(some)s::uuid[] IS NULL OR shape_hash = ANY(%(some)s)) ORDER BY {key}"
        ).format(
            columns=sql.SQL(", ").join(columns),
            table=_rows_of(standard, source, ended),
            key=sql.Identifier(standard.table(source.table).key),
        ),
        {"load": load_id, "some": list(shapes) if shapes else None},
    ).fetchall()
    return [Row(_zone(row), *row[6:8]) for row in found]


def read_zones(
    connection: Connection, standard: Standard, source: LayerSource, load_id: uuid.UUID, *, ended: bool = False
) -> list[Zone]:
    """The zones of a version, the one first that counts where two are at one place."""
    severity = Severity.of(standard)
    found = connection.execute(
        sql.SQL("SELECT DISTINCT {} FROM {} WHERE submission_id = %s").format(
            sql.SQL(", ").join(_zone_columns(standard, source)), _rows_of(standard, source, ended)
        ),
        [load_id],
    ).fetchall()
    return sorted({_zone(row) for row in found}, key=lambda zone: (severity.order(zone.zone_class), repr(zone)))


def _zone(row: tuple[Any, ...]) -> Zone:
    return Zone(*row[:6])


def _rows_of(standard: Standard, source: LayerSource, ended: bool) -> sql.Identifier:
    table = standard.table(source.table)
    return sql.Identifier(table.schema_name, f"{table.name}_history" if ended else table.name)


def _zone_columns(standard: Standard, source: LayerSource) -> list[sql.Composable]:
    """The columns of a layer's table that make a zone, in its order."""
    fields = {field.name for field in standard.table(source.table).base_fields}
    label = sql.SQL("nullif(concat_ws(', ', {}), '')").format(
        sql.SQL(", ").join(sql.SQL("nullif({}::text, '')").format(sql.Identifier(name)) for name in source.label_fields)
    )
    nothing = sql.SQL("NULL")
    return [
        sql.Identifier("zone_class"),
        label if source.label_fields else nothing,
        *(
            sql.Identifier(name) if name in fields else nothing
            for name in ("is_sfha", "static_bfe_ft", "v_datum", "depth_ft")
        ),
    ]
