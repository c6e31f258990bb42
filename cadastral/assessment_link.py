"""Parcels and assessor's records of one town, joined in the database by their normalised link.

Fills `assessment_place` (where a record lies) and `parcel_value` (what a parcel's records say together), which the
views of both collections show. Only rows that differ are written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import shapely
from psycopg import sql

from statewide.copying import UUID, copy_in, ewkb_array
from statewide.database import Connection, read_sql
from statewide.ddl import shape_srids
from statewide.geometry import published_shapes
from statewide.replace import lock_town
from statewide.standard import Standard


@dataclass(frozen=True)
class Linked:
    """What was done: rows of either table that were written or deleted."""

    places: int
    values: int


def link_assessments(connection: Connection, standard: Standard, cousub_fips: str) -> Linked:
    """Bring places and values of a town up to date, in the caller's transaction.

    To be called after either side was replaced. The lock is the last that a delivery takes and is held to its end, so
    of two deliveries that meet, the later one sees what the earlier one wrote.
    """
    lock_town(connection, "assessment_link", cousub_fips)
    town = {"town": cousub_fips}
    # The planner knows nothing yet of what was written a moment ago, and would loop where it should hash.
    connection.execute("SET LOCAL enable_nestloop = off")
    connection.execute(read_sql("cadastral", "link_homes"), town)
    gone = connection.execute(read_sql("cadastral", "places_gone"), town).rowcount
    _points(connection, standard, town)
    added = connection.execute(read_sql("cadastral", "places_added"), town).rowcount
    connection.execute(read_sql("cadastral", "parcel_values"), town)
    columns = [field.name for field in standard.table("parcel_value").base_fields]
    values = _values(connection, columns, cousub_fips)
    connection.execute("DROP TABLE link_home, parcel_point, wanted_value")
    connection.execute("SET LOCAL enable_nestloop = on")
    return Linked(gone + added, values)


def _points(connection: Connection, standard: Standard, town: dict[str, str]) -> None:
    """A point on each parcel that a record without a place meets, into the temporary table `parcel_point`."""
    connection.execute(
        "CREATE TEMPORARY TABLE parcel_point ON COMMIT DROP AS"
        " SELECT parcel_uid, geom, geom_lonlat, geom_mercator FROM cadastral.assessment_place LIMIT 0"
    )
    with connection.cursor(binary=True) as cursor:
        missing = cursor.execute(read_sql("cadastral", "places_missing"), town).fetchall()
    if not missing:
        return
    points = shapely.point_on_surface(np.array(shapely.from_wkb([wkb for _, wkb in missing]), dtype=object))
    columns = {"parcel_uid": pa.array([uid.bytes for uid, _ in missing], UUID)}
    for (name, srid), same in zip(
        shape_srids(standard).items(), (points, *published_shapes(points, standard)), strict=True
    ):
        columns[name] = ewkb_array(same, srid)
    copy_in(connection, sql.Identifier("parcel_point"), list(columns), [columns])


def _values(connection: Connection, columns: list[str], cousub_fips: str) -> int:
    """Make the town's rows of `parcel_value` those of `wanted_value`; the number of rows written."""
    parts = {
        "columns": sql.SQL(", ").join(map(sql.Identifier, columns)),
        "new": sql.SQL(", ").join(sql.Identifier("new", column) for column in columns),
        "old": sql.SQL(", ").join(sql.Identifier("old", column) for column in columns),
        "excluded": sql.SQL(", ").join(sql.Identifier("excluded", column) for column in columns),
    }
    gone = connection.execute(_GONE, [cousub_fips]).rowcount
    return gone + connection.execute(sql.SQL(_WRITE).format(**parts)).rowcount


_GONE = """
DELETE FROM cadastral.parcel_value AS old
WHERE cousub_fips = %s AND NOT EXISTS (SELECT 1 FROM wanted_value AS new WHERE new.parcel_uid = old.parcel_uid)
"""

_WRITE = """
INSERT INTO cadastral.parcel_value ({columns})
SELECT {new}
FROM wanted_value AS new
LEFT JOIN cadastral.parcel_value AS old USING (parcel_uid)
WHERE ROW ({old}) IS DISTINCT FROM ROW ({new})
ON CONFLICT (parcel_uid) DO UPDATE SET ({columns}) = ROW ({excluded})
"""
