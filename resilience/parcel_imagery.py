"""Which imagery shows each parcel: the newest program, the newest that shows all of it, and the share of each.

Town by town in set-wise SQL: the footprints of a program around the town are united once, so that edges between
pictures vanish, and its parcels are measured against that one shape. A parcel's row is made anew when its shape
is another, or when the pictures around its town are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psycopg.rows import namedtuple_row

from statewide.database import Connection, connect, read_sql
from statewide.register import Town
from statewide.replace import lock_town
from statewide.settings import Settings
from statewide.standard import Standard, load_standard


def after_publication(settings: Settings, dataset: str, town: Town, say: Callable[[str], None]) -> None:
    """Bring the rows of a town's changed parcels up to date, if any imagery is registered."""
    if dataset != "parcel":
        return
    with connect(settings) as connection:
        refresh_parcel_imagery(connection, load_standard(), town=town, say=say)


def refresh_parcel_imagery(
    connection: Connection,
    standard: Standard,
    *,
    town: Town | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, int]:
    """Measure every parcel whose shape, or whose pictures, are not those of its row; commits after each town.

    Returns:
        How many parcels were ``measured``, and how many ``towns`` they lie in.
    """
    [(any_imagery,)] = connection.execute(
        "SELECT EXISTS (SELECT FROM resilience.imagery) OR EXISTS (SELECT FROM resilience.parcel_imagery)"
    ).fetchall()
    towns = [
        code
        for (code,) in connection.execute(
            "SELECT cousub_fips FROM statewide.publication"
            " WHERE dataset = 'parcel' AND cousub_fips = coalesce(%s, cousub_fips) AND %s ORDER BY cousub_fips",
            [town.cousub_fips if town else None, any_imagery],
        ).fetchall()
    ]
    done = {"measured": 0, "towns": 0}
    for code in towns:
        measured = _refresh_town(connection, standard, code)
        connection.commit()
        if measured:
            done["measured"] += measured
            done["towns"] += 1
            say(f"{code}: imagery of {measured:,} parcels")
    return done


def _refresh_town(connection: Connection, standard: Standard, town: str) -> int:
    """Parcels that were measured, in the caller's transaction."""
    lock_town(connection, standard.table("parcel").schema_name, town)
    values: dict[str, Any] = {"town": town, "srid": standard.header.storage_crs}
    [(values["hash"],)] = connection.execute(read_sql("resilience", "imagery_hash"), values).fetchall()
    connection.execute(
        "DELETE FROM resilience.parcel_imagery AS i WHERE cousub_fips = %(town)s"
        " AND NOT EXISTS (SELECT FROM cadastral.parcel AS p WHERE p.parcel_uid = i.parcel_uid)",
        values,
    )
    connection.execute(read_sql("resilience", "unseen_parcels"), values)
    [(unseen,)] = connection.execute("SELECT count(*) FROM unseen").fetchall()
    if unseen:
        _measure(connection, standard, values)
    connection.execute("DROP TABLE unseen")
    return int(unseen)


def _measure(connection: Connection, standard: Standard, values: dict[str, Any]) -> None:
    """Rows of the parcels in the temporary table `unseen`."""
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        programs: list[Any] = cursor.execute(read_sql("resilience", "imagery_around"), values).fetchall()
    connection.execute(
        "CREATE TEMPORARY TABLE seen (parcel_uid uuid, age integer, sqft double precision) ON COMMIT DROP"
    )
    for program in programs:
        # One statement each: PostGIS prepares a shape that is the same in all rows, and only then.
        connection.execute(
            "INSERT INTO seen SELECT parcel_uid, %(age)s,"
            " CASE WHEN ST_Covers(%(footprint)s::geometry, geom) THEN area_sqft"
            "      ELSE ST_Area(ST_Intersection(%(footprint)s::geometry, geom)) END"
            " FROM unseen WHERE ST_Intersects(%(footprint)s::geometry, geom)",
            {"age": program.age, "footprint": program.footprint},
        )
    values |= {
        "ages": [program.age for program in programs],
        "programs": [program.program for program in programs],
        "starts": [program.flown_from for program in programs],
        "ends": [program.flown_to for program in programs],
        "tolerance": standard.header.coordinate_tolerance_ft,
        "least": standard.header.area_tolerance_sqft,
    }
    connection.execute(read_sql("resilience", "keep_parcel_imagery"), values)
    connection.execute("DROP TABLE seen")
