"""Parcels and assessor's records joined in PostGIS: values counted once, records on their parcel."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import sql

from cadastral.assessment_link import Linked, link_assessments
from statewide.database import API, RESTRICTED, Connection, connect
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.towns import ALDER, LOT, SOUTH, WEST, found_alder

TOWN = ALDER.cousub_fips


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    """The database with Alder in the register, as the loader."""
    found_alder(settings)
    with connect(settings) as open_connection:
        yield open_connection


def put(connection: Connection, table: str, **values: Any) -> str:
    """Write a live row as a delivery would; returns its identifier."""
    uid = str(uuid.uuid4())
    row = {
        f"{table}_uid": uid,
        "cousub_fips": TOWN,
        "submission_id": str(uuid.uuid4()),
        "row_no": 1,
        "attribute_hash": str(uuid.uuid4()),
        "shape_hash": str(uuid.uuid4()),
        "valid_from": "2025-05-01T00:00:00Z",
    } | values
    shapes = {name: row.pop(name) for name in list(row) if name.startswith("geom")}
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier("cadastral", table),
            sql.SQL(", ").join(map(sql.Identifier, [*row, *shapes])),
            sql.SQL(", ").join([*(sql.Placeholder() for _ in row), *map(sql.SQL, shapes.values())]),
        ),
        list(row.values()),
    )
    return uid


def parcel(connection: Connection, link: str | None, at: int, width: float = LOT, **values: Any) -> str:
    west = WEST + at * LOT
    box = f"ST_Multi(ST_MakeEnvelope({west}, {SOUTH}, {west + width}, {SOUTH + LOT}, 6434))"
    return put(
        connection,
        "parcel",
        cama_link_normalized=link and f"{TOWN}-{link}",
        area_sqft=width * LOT,
        geom=box,
        geom_lonlat=f"ST_Transform({box}, 4326)",
        geom_mercator=f"ST_Transform({box}, 3857)",
        **values,
    )


def record(connection: Connection, link: str | None, usd: float | None = None, **values: Any) -> str:
    given = {
        "record_role": "single",
        "cama_link_normalized": link and f"{TOWN}-{link}",
        "appraised_total_usd": usd,
        "assessed_total_usd": usd and usd * 0.7,
    }
    return put(connection, "assessment", **given | values)


def link(connection: Connection) -> Linked:
    return link_assessments(connection, load_standard(), TOWN)


def value(connection: Connection, uid: str, *columns: str) -> tuple[Any, ...] | None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    query = sql.SQL("SELECT {} FROM published.parcels WHERE parcel_uid = %s").format(names)
    return connection.execute(query, [uid]).fetchone()


def test_units_on_one_lot_add_up_and_cards_that_repeat_count_once(connection: Connection) -> None:
    lot, house = parcel(connection, "1", 0), parcel(connection, "2", 1)
    for unit in range(3):
        record(connection, "1", 100_000.10, unit=str(unit), living_area_sqft=900, dwelling_unit_count=1)
    record(connection, "2", 300_000, record_role="main_card", year_built=1950, living_area_sqft=1000)
    record(connection, "2", 300_000, record_role="further_card", year_built=1850, living_area_sqft=400)
    record(connection, "2", 300_000, record_role="duplicate", year_built=1850, living_area_sqft=400)
    link(connection)
    columns = ("assessment_count", "appraised_total_usd", "living_area_sqft", "year_built", "dwelling_unit_count")
    assert value(connection, lot, *columns) == (3, 300_000.30, 2700, None, 3)
    assert value(connection, house, *columns) == (3, 300_000, 1400, 1950, None)


def test_parcels_of_one_link_show_the_same_and_one_of_them_counts(connection: Connection) -> None:
    small, large = parcel(connection, "1", 0, width=50), parcel(connection, "1", 1)
    unit = record(connection, "1", 500_000, use_class="residential")
    link(connection)
    columns = ("appraised_total_usd", "parcels_sharing", "use_class", "counts_here")
    assert value(connection, small, *columns) == (500_000, 2, "residential", False)
    assert value(connection, large, *columns) == (500_000, 2, "residential", True)
    (place,) = connection.execute(
        "SELECT parcel_uid::text, ST_Within(record.geom_lonlat, parcel.geom_lonlat)"
        " FROM published.assessments AS record JOIN published.parcels AS parcel USING (parcel_uid)"
        " WHERE assessment_uid = %s",
        [unit],
    ).fetchall()
    assert place == (large, True)


def test_what_is_not_there_is_not_zero(connection: Connection) -> None:
    alone, unlinked = parcel(connection, "1", 0), parcel(connection, None, 1)
    assert value(connection, alone, "assessment_count", "appraised_total_usd") == (None, None)
    lost = record(connection, "99", 1)
    link(connection)
    assert value(connection, alone, "assessment_count", "appraised_total_usd", "counts_here") == (0, None, True)
    assert value(connection, unlinked, "assessment_count", "parcels_sharing") == (0, 1)
    row = connection.execute(
        "SELECT parcel_uid, geom FROM published.assessments WHERE assessment_uid = %s", [lost]
    ).fetchone()
    assert row == (None, None)


def test_only_what_differs_is_written(connection: Connection) -> None:
    for number in range(20):
        parcel(connection, str(number), number)
        record(connection, str(number), 1000 * number + 0.1, year_built=1900)
    assert link(connection) == Linked(20, 20)
    assert link(connection) == Linked(0, 0)
    connection.execute("UPDATE cadastral.assessment SET appraised_total_usd = 7 WHERE cama_link_normalized = '99901-3'")
    assert link(connection) == Linked(0, 1)
    connection.execute(
        "UPDATE cadastral.parcel SET shape_hash = %s WHERE cama_link_normalized = '99901-4'", [str(uuid.uuid4())]
    )
    assert link(connection) == Linked(2, 0)
    connection.execute("DELETE FROM cadastral.parcel WHERE cama_link_normalized = '99901-5'")
    assert link(connection) == Linked(1, 1)
    connection.execute("DELETE FROM cadastral.assessment")
    assert link(connection) == Linked(19, 19)
    assert connection.execute("SELECT count(*) FROM cadastral.parcel_value").fetchone() == (0,)


def test_another_towns_rows_stay_as_they_are(connection: Connection) -> None:
    parcel(connection, "1", 0)
    other = put(connection, "assessment", cousub_fips="52350", cama_link_normalized=f"{TOWN}-1", record_role="single")
    record(connection, "1", 10)
    link(connection)
    assert connection.execute("SELECT count(*) FROM cadastral.assessment_place").fetchone() == (1,)
    assert connection.execute(
        "SELECT parcel_uid FROM published.assessments WHERE assessment_uid = %s", [other]
    ).fetchone() == (None,)


def test_no_page_of_the_street_begins_at_the_first_row(settings: Settings) -> None:
    """A merge of the joined tables would read them from their beginning: the millionth row would cost a second."""
    for role in (API, RESTRICTED):
        with connect(settings, role) as open_connection:
            assert open_connection.execute("SHOW enable_mergejoin").fetchone() == ("off",)
