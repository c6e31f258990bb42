"""A small invented world to search: address points and parcels of real towns, written straight into the tables."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from addresses.search_index import refresh_all
from statewide.database import connect
from statewide.settings import Settings
from statewide.standard import load_standard

TOWNS = {standard_town.town_name: standard_town.cousub_fips for standard_town in load_standard().municipalities}


@dataclass(frozen=True)
class Point:
    """An address point in the words of its town."""

    town: str
    number: int
    name: str
    street_type: str | None = "Street"
    unit: str | None = None
    suffix: str | None = None
    direction: str | None = None
    village: str | None = None
    zip_code: str | None = None
    lifecycle: str | None = None
    expire: str | None = None

    @property
    def uid(self) -> uuid.UUID:
        return uuid.uuid5(uuid.NAMESPACE_OID, repr(self))

    @property
    def label(self) -> str:
        unit = f"Unit {self.unit}" if self.unit else None
        words = (f"{self.number}{self.suffix or ''}", self.direction, self.name, self.street_type, unit)
        return " ".join(word for word in words if word)


@dataclass(frozen=True)
class Lot:
    """A parcel with the location that its town gives it."""

    town: str
    location: str

    @property
    def uid(self) -> uuid.UUID:
        return uuid.uuid5(uuid.NAMESPACE_OID, repr(self))


POINTS = (
    *(Point("New London", number, "Church", zip_code="06320") for number in (38, 40, 42, 46, 47, 90)),
    *(Point("New London", 10, "State", unit=str(unit)) for unit in range(1, 6)),
    Point("New London", 10, "State"),
    Point("New London", 42, "Churchill", "Road"),
    Point("New London", 12, "Elm", suffix="A"),
    Point("New London", 12, "Elm"),
    Point("New London", 9, "Main", direction="East"),
    Point("New London", 5, "O'Brien", "Lane"),
    Point("Norwich", 42, "Church"),
    Point("Norwich", 44, "Church"),
    Point("Groton", 42, "Church"),
    Point("Groton", 30, "Main", village="Mystic"),
    Point("Groton", 30, "Main", direction="West", village="Noank"),
    Point("Stonington", 30, "Main", village="Mystic", zip_code="06355"),
    Point("Avon", 3, "New London", "Turnpike"),
    Point("Avon", 50, "Quarry", lifecycle="Pending"),
    Point("New London", 50, "Quarry", lifecycle="Demolished"),
    Point("New London", 52, "Quarry", expire="2020-01-01"),
    Point("New London", 54, "Quarry", lifecycle="Retired"),
    Point("Norwich", 50, "Quarry", lifecycle="existing"),
)
LOTS = (
    Lot("New London", "42 CHURCH ST"),
    Lot("New London", "7 PEQUOT AVE"),
    Lot("New London", "12-16 BANK ST"),
    Lot("Norwich", "MAIN ST"),
    Lot("New London", "54 QUARRY ST"),
)

_DELIVERY = """
INSERT INTO statewide.submission (submission_id, dataset, cousub_fips, year, file_name, file_sha256, received_at,
                                  outcome, summary, standard_version, software_version)
VALUES (%(id)s, %(dataset)s, %(town)s, 2026, 'file', repeat('0', 64), now(), 'published', '{}', '1', '1')
"""
_PUBLICATION = """
INSERT INTO statewide.publication (cousub_fips, dataset, publication_id, submission_id, year, rows_published, rows_held,
                                   published_at)
VALUES (%(town)s, %(dataset)s, %(id)s, %(id)s, 2026, 1, 0, now())
ON CONFLICT (cousub_fips, dataset) DO UPDATE SET publication_id = excluded.publication_id
"""


def load(settings: Settings, points: tuple[Point, ...] = POINTS, lots: tuple[Lot, ...] = LOTS) -> None:
    """Publish the points and lots, in the middle of their towns, and make them searchable."""
    with psycopg.connect(settings.require_database_url()) as connection:
        for row_no, point in enumerate(points, 1):
            _insert(connection, "address_point", point.town, point.uid, row_no, _values(point))
        for row_no, lot in enumerate(lots, 1):
            values = {"location": lot.location, "parcel_id": f"M-{row_no}", "parcel_uid": lot.uid, "stack_count": 1}
            _insert(connection, "parcel", lot.town, lot.uid, row_no, values | {"area_sqft": 100.0})
        for dataset, towns in (("address_point", {p.town for p in points}), ("parcel", {lot.town for lot in lots})):
            for town in sorted(towns):
                values = {"id": uuid.uuid4(), "dataset": dataset, "town": TOWNS[town]}
                connection.execute(_DELIVERY, values)
                connection.execute(_PUBLICATION, values)
    with connect(settings) as connection:
        list(refresh_all(connection, load_standard()))


def _values(point: Point) -> dict[str, Any]:
    return {
        "address_uid": point.uid,
        "add_number": point.number,
        "addnum_suf": point.suffix,
        "st_predir": point.direction,
        "st_name": point.name,
        "st_postyp": point.street_type,
        "unit": f"Unit {point.unit}" if point.unit else None,
        "unitvalue": point.unit,
        "a4": point.village,
        "post_code": point.zip_code,
        "lifecycle": point.lifecycle,
        "expire": point.expire,
        "address_label": point.label,
        "address_normalized": point.label.upper(),
    }


def _insert(
    connection: psycopg.Connection[Any], table: str, town: str, uid: uuid.UUID, row_no: int, values: dict[str, Any]
) -> None:
    law = load_standard().table(table)
    shape = (
        "ST_PointOnSurface(t.{0})"
        if table == "address_point"
        else "ST_Multi(ST_Buffer(ST_PointOnSurface(t.{0}), 1e-4))"
    )
    row = {
        **values,
        "cousub_fips": TOWNS[town],
        "crs_assumed": False,
        "submission_id": uid,
        "row_no": row_no,
        "attribute_hash": uid,
        "shape_hash": uid,
    }
    columns = [sql.Identifier(name) for name in row]
    connection.execute(
        sql.SQL(
            "INSERT INTO {table} ({columns}, valid_from, geom, geom_lonlat, geom_mercator)"
            " SELECT {values}, now(), {shapes} FROM statewide.municipality AS t WHERE t.cousub_fips = %s"
        ).format(
            table=sql.Identifier(law.schema_name, table),
            columns=sql.SQL(", ").join(columns),
            values=sql.SQL(", ").join(map(sql.Literal, row.values())),
            shapes=sql.SQL(", ").join(sql.SQL(shape.format(name)) for name in ("geom", "geom_lonlat", "geom_mercator")),
        ),
        [TOWNS[town]],
    )
