"""The register of towns: the authority list in the database, and who a user means by a town's name.

Outlines are an index map, not a survey (``schemas/authority/README.md``).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from psycopg import sql
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from statewide.database import Connection
from statewide.ddl import LONLAT_SRID, shape_srids
from statewide.errors import UnknownTown
from statewide.geometry import Floats, Shapes, points_in_storage, published_shapes, sample_points, to_storage
from statewide.standard import Standard, schemas_folder

_MOST = 0.5
"""Share of a file's shapes that must lie in a town for the file to be taken as the town's without being told."""


@dataclass(frozen=True)
class Town:
    """A town as the register knows it; `outline` is in the storage CRS."""

    cousub_fips: str
    town_no: int
    town_name: str
    outline: BaseGeometry

    @property
    def source_name(self) -> str:
        """Name of the town's reviewed mapping: ``new-london.yml``."""
        return f"{self.town_name.casefold().replace(' ', '-')}.yml"


@dataclass(frozen=True)
class Place:
    """Where a file's shapes lie when its coordinates are read in a certain system."""

    epsg: int
    town_name: str
    share: float


def authority_outlines(standard: Standard) -> Shapes:
    """Outlines of the 169 towns in the storage CRS, in the order of `standard.municipalities`."""
    text = (schemas_folder() / "authority" / "town_outlines.geojson").read_text(encoding="utf-8")
    outlines = {
        feature["properties"]["cousub_fips"]: shape(feature["geometry"]) for feature in json.loads(text)["features"]
    }
    ordered = np.array([outlines[town.cousub_fips] for town in standard.municipalities], dtype=object)
    return to_storage(ordered, LONLAT_SRID, standard)


def locate(shapes: Shapes, declared: int | None, standard: Standard) -> Place | None:
    """The town that most of a file's shapes lie in, without being told: in the declared system, else in any we know.

    Needs no database. None when the shapes lie in no town of the State.
    """
    points = sample_points(shapes)
    if not len(points):
        return None
    outlines = authority_outlines(standard)
    best: Place | None = None
    for epsg, corners in _read_in(points, declared, standard).items():
        towns, _ = shapely.STRtree(shapely.points(corners)).query(outlines, predicate="contains")
        if not len(towns):
            continue
        counts = np.bincount(towns)
        share = float(counts.max() / len(points))
        if best is None or share > best.share:
            best = Place(epsg, standard.municipalities[int(counts.argmax())].town_name, share)
    return best


def _read_in(points: Floats, declared: int | None, standard: Standard) -> dict[int, Floats]:
    """The points in the storage CRS, read in the declared system, else in each that has digits of its own."""
    tried = [declared] if declared else [crs.epsg for crs in standard.header.accepted_crs if crs.same_digits_as is None]
    return {epsg: points_in_storage(points, epsg, standard) for epsg in tried}


def load_authority(connection: Connection, standard: Standard) -> None:
    """Write the 169 towns and nine regions, as the law has them, into the database."""
    towns = standard.municipalities
    shapes = authority_outlines(standard)
    regions = np.array([town.planning_region_fips for town in towns])
    for region in standard.planning_regions:
        merged = shapely.union_all(shapes[regions == region.planning_region_fips])
        _upsert(connection, standard, "planning_region", region.model_dump(), merged)
    for town, outline in zip(towns, shapes, strict=True):
        _upsert(connection, standard, "municipality", {**town.model_dump(), "is_invented": False}, outline)


def add_invented_towns(connection: Connection, standard: Standard, towns: Sequence[Town]) -> None:
    """Register the demo's towns beside the real ones, marked as invented.

    Raises:
        ValueError: a code or number is one of the real towns'.
    """
    real = {town.cousub_fips for town in standard.municipalities}
    for town in towns:
        if town.cousub_fips in real or town.town_no <= len(real):
            raise ValueError(f"{town.town_name} would overwrite a real town of the register")
        values = {
            "cousub_fips": town.cousub_fips,
            "town_no": town.town_no,
            "town_name": town.town_name,
            "is_invented": True,
        }
        _upsert(connection, standard, "municipality", values, town.outline)


def find_town(connection: Connection, name: str) -> Town:
    """The town that a user means: by name in any case, by five-digit code, or by number.

    Raises:
        UnknownTown: no town goes by that name; near misses are named.
    """
    rows = connection.execute("SELECT cousub_fips, town_no, town_name FROM statewide.municipality").fetchall()
    wanted = _folded(name)
    for fips, number, town_name in rows:
        if wanted in (_folded(town_name), fips, str(number)):
            return _towns(connection, [fips])[0]
    near = difflib.get_close_matches(wanted, [_folded(row[2]) for row in rows], n=3, cutoff=0.6)
    names = [row[2] for spelling in near for row in rows if _folded(row[2]) == spelling]
    hint = f" Did you mean {' or '.join(names)}?" if names else " `statewide status` lists the towns."
    raise UnknownTown(f"No town of the register is called {name!r}.{hint}")


def town_of(connection: Connection, file: str, shapes: Shapes, declared: int | None, standard: Standard) -> Town:
    """The town of the register, invented ones too, that most of a file's shapes lie in.

    Raises:
        UnknownTown: in no one town lie most of them.
    """
    nowhere = f"{file} does not lie in one town of the register: send it alone and name its town (--town)."
    points = sample_points(shapes)
    moved = _read_in(points, declared, standard)
    on_earth = [corners[np.isfinite(corners).all(axis=1)] for corners in moved.values()]
    boxes = [shapely.box(*corners.min(axis=0), *corners.max(axis=0)) for corners in on_earth if len(corners)]
    boxes = [shapely.set_srid(box, standard.header.storage_crs) for box in boxes]
    towns = _towns(connection, boxes=boxes)
    if not towns:
        raise UnknownTown(nowhere)
    outlines = np.array([town.outline for town in towns], dtype=object)
    shares: dict[int, float] = {}
    for corners in moved.values():
        # The outlines ask for the points, not the other way: who asks is prepared, and an outline has many corners.
        inside, _ = shapely.STRtree(shapely.points(corners)).query(outlines, predicate="contains")
        for place, count in zip(*np.unique(inside, return_counts=True), strict=True):
            shares[int(place)] = max(shares.get(int(place), 0.0), float(count) / len(points))
    best = max(shares, key=lambda place: shares[place], default=None)
    if best is None or shares[best] < _MOST:
        raise UnknownTown(nowhere)
    return towns[best]


def _towns(connection: Connection, codes: Sequence[str] = (), boxes: Sequence[BaseGeometry] = ()) -> list[Town]:
    """Towns with their outlines: those of the codes, and those that a box meets; it has the storage CRS as its SRID."""
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(
            "SELECT cousub_fips, town_no, town_name, ST_AsBinary(geom) FROM statewide.municipality"
            " WHERE cousub_fips = ANY(%s) OR geom && ANY(%s::text[]::geometry[])"
            " ORDER BY cousub_fips",
            [list(codes), [shapely.to_wkb(box, hex=True, include_srid=True) for box in boxes]],
        ).fetchall()
    return towns_from(rows)


def towns_from(rows: Iterable[tuple[Any, ...]]) -> list[Town]:
    """Towns of rows with code, number, name and outline as WKB."""
    return [Town(fips, number, name, shapely.from_wkb(bytes(outline))) for fips, number, name, outline in rows]


def _folded(name: str) -> str:
    """One spelling of a town's name: 'NEW LONDON', 'New london' and 'Town of New London' meet."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^(town|city) of ", "", name.strip().casefold()))


def same_town(name: str, town: Town) -> bool:
    """Whether a delivered town name means this town."""
    return _folded(name) in (_folded(town.town_name), town.cousub_fips, str(town.town_no))


def _upsert(
    connection: Connection, standard: Standard, name: str, values: dict[str, Any], outline: BaseGeometry
) -> None:
    table = standard.table(name)
    outline = shapely.multipolygons([outline]) if outline.geom_type == "Polygon" else outline
    lonlat, mercator = published_shapes(np.array([outline], dtype=object), standard)
    columns = [field.name for field in table.base_fields if field.name in values]
    srids = shape_srids(standard)
    names = [sql.Identifier(column) for column in (*columns, *srids)]
    statement = sql.SQL(
        "INSERT INTO {table} AS t ({names}) VALUES ({values}) ON CONFLICT ({key}) DO UPDATE SET {sets}"
    ).format(
        table=sql.Identifier(table.schema_name, table.name),
        names=sql.SQL(", ").join(names),
        values=sql.SQL(", ").join(
            [*(sql.Placeholder() for _ in columns), *(sql.SQL("ST_GeomFromWKB(%s, %s)") for _ in srids)]
        ),
        key=sql.Identifier(table.key),
        sets=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(column) for column in names),
    )
    parameters: list[Any] = [values[column] for column in columns]
    for geometry, srid in zip((outline, lonlat[0], mercator[0]), srids.values(), strict=True):
        parameters += [shapely.to_wkb(geometry), srid]
    connection.execute(statement, parameters)
