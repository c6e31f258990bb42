"""How well the addresses of a town are linked to its parcels, and the lists of what is odd between the two.

Counted and listed over what is published, so that nothing here tells of an address that is withheld.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from psycopg.rows import dict_row

from statewide.database import Connection, read_sql
from statewide.ddl import LONLAT_SRID
from statewide.export import GEOMETRY, Format, Layer, write_layer
from statewide.geometry import published_shapes
from statewide.standard import Standard, load_standard

NO_ADDRESS = "no_address"
_NUMBERS = ("distance_ft", "living_area_sqft", "appraised_building_usd")


def link_rates(connection: Connection, cousub_fips: str | None = None) -> list[dict[str, Any]]:
    """For each town with address points: how many have a parcel, by method, and how many are odd, by conflict."""
    rows = connection.execute(read_sql("addresses", "link_rates"), {"town": cousub_fips}).fetchall()
    names = {fips: name for fips, name, *_ in rows}
    methods: dict[str, Counter[str | None]] = {fips: Counter() for fips in names}
    conflicts: dict[str, Counter[str | None]] = {fips: Counter() for fips in names}
    for fips, _, method, conflict, count in rows:
        methods[fips][method] += count
        conflicts[fips][conflict] += count
    return [
        {
            "town": name,
            "cousub_fips": fips,
            "addresses": (total := methods[fips].total()),
            "linked": (linked := total - methods[fips][None]),
            "linked_pct": round(100 * linked / total, 2),
            "by_method": {method: count for method, count in sorted(methods[fips].items(), key=str) if method},
            "conflicts": {conflict: count for conflict, count in sorted(conflicts[fips].items(), key=str) if conflict},
        }
        for fips, name in names.items()
    ]


def conflicts(connection: Connection, cousub_fips: str) -> list[dict[str, Any]]:
    """What is odd between the addresses and the parcels of a town; `geometry` is a point as WKB, in the storage CRS."""
    stages = load_standard().code_lists["lifecycle"].lookup()
    values = {"town": cousub_fips, "retired": [word for word, stage in stages.items() if stage == "Retired"]}
    with connection.cursor(row_factory=dict_row, binary=True) as cursor:
        return cursor.execute(read_sql("addresses", "link_conflicts"), values).fetchall()


def conflict_counts(connection: Connection, cousub_fips: str, rows: Sequence[dict[str, Any]]) -> dict[str, int | None]:
    """How many rows there are of each conflict; None where it cannot be told, for no assessor's file is live."""
    found: Counter[str] = Counter(row["conflict"] for row in rows)
    [(assessed,)] = connection.execute(_ASSESSED, [cousub_fips]).fetchall()
    return {
        conflict: None if conflict == NO_ADDRESS and not assessed else found[conflict]
        for conflict in ("wrong_side", "no_parcel", "text_disagrees", NO_ADDRESS)
    }


def export_conflicts(path: Path, kind: Format, rows: Sequence[dict[str, Any]], standard: Standard) -> int:
    """Write the lists as one layer of points; the number of rows.

    Raises:
        BadArgument, PlatformError: as `write_layer`.
    """
    columns: dict[str, pa.Array] = {
        name: pa.array([row[name] for row in rows], pa.float64())
        if name in _NUMBERS
        else pa.array([None if row[name] is None else str(row[name]) for row in rows], pa.string())
        for name in _FIELDS
    }
    shapes = np.array(shapely.from_wkb([row[GEOMETRY] for row in rows]), dtype=object).reshape(len(rows))
    in_degrees = kind == "geojson"
    shapes = published_shapes(shapes, standard)[0] if in_degrees else shapes
    if kind == "csv":
        columns["wkt"] = pa.array(shapely.to_wkt(shapes, rounding_precision=2), pa.string())
    else:
        columns[GEOMETRY] = pa.array(shapely.to_wkb(shapes), pa.binary())
    batch = pa.RecordBatch.from_pydict(columns)
    epsg = LONLAT_SRID if in_degrees else standard.header.storage_crs
    return write_layer(path, kind, Layer("address_conflicts", "Point", epsg, batch.schema, [batch]))


_FIELDS = (
    "conflict",
    "address_uid",
    "address",
    "told_parcel_uid",
    "told_parcel_id",
    "told_location",
    "told_by",
    "distance_ft",
    "on_parcel_uid",
    "on_parcel_id",
    "on_location",
    "living_area_sqft",
    "appraised_building_usd",
)

_ASSESSED = "SELECT EXISTS (SELECT FROM cadastral.parcel_value WHERE cousub_fips = %s)"
