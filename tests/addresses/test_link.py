"""Addresses linked to parcels: what each kind of evidence says, alone and together, and why links end."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import pytest
import shapely
from psycopg import sql
from psycopg.rows import dict_row
from typer.testing import CliRunner

from addresses.link import link_town, link_towns, relink
from addresses.link_commands import app
from addresses.link_evidence import Addresses, Parcels, link
from addresses.link_reports import conflict_counts, conflicts, link_rates
from statewide.database import API, Connection, connect
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.towns import ALDER, LOT, SOUTH, WEST, found_alder

TOWN = ALDER.cousub_fips
LAW = load_standard().header.address_link
HALF = LOT / 2


class World:
    """Live lots and address points of Alder, written as a delivery would write them.

    A lot is named by its place in a row of lots of 200 x 200 ft; a point lies so many feet east of the row's west end.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def lot(self, at: float, location: str | None = None, number: str | None = None, **values: Any) -> str:
        return self._put("cadastral", "parcel", _box(at), self._of_lot(location, number) | {"area_sqft": LOT} | values)

    def point(
        self, east: float, address: str, unit: str | None = None, number: str | None = None, **values: Any
    ) -> str:
        return self._put("addresses", "address_point", _dot(east), self._of_point(address, unit, number) | values)

    def change_lot(self, uid: str, at: float | None = None, **given: Any) -> str:
        """A later version of a lot; gives the delivery that wrote it."""
        return self._change("cadastral", "parcel", uid, self._of_lot(**given), None if at is None else _box(at))

    def change_point(self, uid: str, east: float | None = None, **given: Any) -> str:
        shape = None if east is None else _dot(east)
        return self._change("addresses", "address_point", uid, self._of_point(**given) if given else {}, shape)

    def remove(self, table: str, uid: str, became: str | None = None) -> str:
        """End a row; gives the delivery that ended it."""
        submission = str(uuid.uuid4())
        live = sql.Identifier("cadastral" if table == "parcel" else "addresses", table)
        past = sql.Identifier("cadastral" if table == "parcel" else "addresses", f"{table}_history")
        key = sql.Identifier("parcel_uid" if table == "parcel" else "address_uid")
        columns = sql.SQL(", ").join(
            sql.Identifier(name)
            for (name,) in self.connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s", [table]
            ).fetchall()
        )
        self.connection.execute(
            sql.SQL(
                "WITH gone AS (DELETE FROM {live} WHERE {key} = %s RETURNING *)"
                " INSERT INTO {past} ({columns}, valid_to, ended_by) SELECT {columns}, now(), %s FROM gone"
            ).format(live=live, past=past, key=key, columns=columns),
            [uid, submission],
        )
        if became:
            self._submit(submission, "parcel")
            self.connection.execute(
                "INSERT INTO statewide.lineage (dataset, cousub_fips, submission_id, kind, from_uid)"
                " VALUES ('parcel', %s, %s, %s, %s)",
                [TOWN, submission, became, uid],
            )
        return submission

    def publish(self) -> None:
        """Note that the address points are live."""
        submission = str(uuid.uuid4())
        self._submit(submission, "address_point")
        self.connection.execute(
            "INSERT INTO statewide.publication (cousub_fips, dataset, publication_id, submission_id, year,"
            " rows_published, rows_held, published_at) VALUES (%s, 'address_point', %s, %s, 2025, 1, 0, now())",
            [TOWN, submission, submission],
        )

    def _submit(self, submission: str, dataset: str) -> None:
        self.connection.execute(
            "INSERT INTO statewide.submission (submission_id, dataset, cousub_fips, year, file_name, file_sha256,"
            " received_at, outcome, summary, standard_version, software_version)"
            " VALUES (%s, %s, %s, 2025, 'x', 'x', now(), 'published', '{}', '1', '1')",
            [submission, dataset, TOWN],
        )

    def link(self, *, full: bool = False) -> Any:
        return link_town(self.connection, load_standard(), TOWN, full=full)

    def links(self, address: str) -> dict[str, dict[str, Any]]:
        """Links of an address, by parcel."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute("SELECT * FROM addresses.address_parcel WHERE address_uid = %s", [address]).fetchall()
        return {str(row["parcel_uid"]): row for row in rows}

    def best(self, address: str) -> tuple[str | None, str | None, float | None]:
        """Parcel, method and confidence as published."""
        row = self.connection.execute(
            "SELECT parcel_uid::text, link_method, link_confidence FROM published.addresses WHERE address_uid = %s",
            [address],
        ).fetchone()
        assert row is not None
        return row

    def conflict(self, address: str) -> str | None:
        row = self.connection.execute(
            "SELECT conflict FROM addresses.address_link WHERE address_uid = %s", [address]
        ).fetchone()
        assert row is not None
        found: str | None = row[0]
        return found

    def ended(self) -> dict[tuple[str, str], tuple[str, str | None]]:
        """(address, parcel) → reason and delivery of the links that ended."""
        rows = self.connection.execute(
            "SELECT address_uid::text, parcel_uid::text, ended_because, ended_by::text"
            " FROM addresses.address_parcel_ended"
        )
        return {row[:2]: row[2:] for row in rows.fetchall()}

    def _of_lot(self, location: str | None = None, number: str | None = None) -> dict[str, Any]:
        link = number and f"{TOWN}-{number}"
        return {"location": location, "parcel_id_normalized": number, "parcel_id": number, "cama_link_normalized": link}

    def _of_point(self, address: str, unit: str | None = None, number: str | None = None) -> dict[str, Any]:
        house, street, street_type = address.split()
        label = address + (f" Unit {unit}" if unit else "")
        return {
            "add_number": int(house),
            "st_name": street,
            "st_postyp": street_type,
            "unitpretyp": unit and "Unit",
            "unitvalue": unit,
            "address_label": label,
            "address_normalized": label.upper(),
            "parcel_id": number,
        }

    def _put(self, schema: str, table: str, shape: str, values: dict[str, Any]) -> str:
        uid = str(uuid.uuid4())
        row = {
            "parcel_uid" if table == "parcel" else "address_uid": uid,
            "cousub_fips": TOWN,
            "submission_id": str(uuid.uuid4()),
            "row_no": 1,
            "attribute_hash": str(uuid.uuid4()),
            "shape_hash": str(uuid.uuid4()),
            "valid_from": "2025-05-01T00:00:00Z",
        } | values
        shapes = {"geom": shape, "geom_lonlat": f"ST_Transform({shape}, 4326)"}
        shapes["geom_mercator"] = f"ST_Transform({shape}, 3857)"
        self.connection.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(schema, table),
                sql.SQL(", ").join(map(sql.Identifier, [*row, *shapes])),
                sql.SQL(", ").join([*(sql.Placeholder() for _ in row), *map(sql.SQL, shapes.values())]),
            ),
            list(row.values()),
        )
        return uid

    def _change(self, schema: str, table: str, uid: str, values: dict[str, Any], shape: str | None) -> str:
        submission = str(uuid.uuid4())
        new = values | {"submission_id": submission}
        if values:
            new["attribute_hash"] = str(uuid.uuid4())
        if shape:
            new["shape_hash"] = str(uuid.uuid4())
        sets = [sql.SQL("{} = %s").format(sql.Identifier(name)) for name in new]
        if shape:
            sets.append(sql.SQL(f"geom = {shape}"))
        self.connection.execute(
            sql.SQL("UPDATE {} SET {} WHERE {} = %s").format(
                sql.Identifier(schema, table),
                sql.SQL(", ").join(sets),
                sql.Identifier("parcel_uid" if table == "parcel" else "address_uid"),
            ),
            [*new.values(), uid],
        )
        return submission


def _box(at: float) -> str:
    west = WEST + at * LOT
    return f"ST_Multi(ST_MakeEnvelope({west}, {SOUTH}, {west + LOT}, {SOUTH + LOT}, 6434))"


def _dot(east: float) -> str:
    return f"ST_SetSRID(ST_MakePoint({WEST + east}, {SOUTH + HALF}), 6434)"


@pytest.fixture
def world(shared_settings: Settings) -> Iterator[World]:
    """An empty Alder, which forgets what a test does."""
    found_alder(shared_settings)
    with connect(shared_settings) as connection:
        yield World(connection)
        connection.rollback()


@pytest.fixture
def lasting(settings: Settings) -> Iterator[World]:
    """An empty Alder of its own, for tests in which others look on."""
    found_alder(settings)
    with connect(settings) as connection:
        yield World(connection)


def alone(*trusts: float) -> float:
    """The confidence of a parcel that all the evidence names."""
    likely, doubt = np.prod(trusts), np.prod([1 - trust for trust in trusts])
    return round(float(likely / (likely + doubt)), 4)


def test_one_kind_of_evidence_is_trusted_as_the_law_says_and_agreement_raises_it(world: World) -> None:
    by_number = world.lot(0, number="1")
    by_place, by_both = world.lot(1), world.lot(2, number="3")
    by_all = world.lot(3, "4 ELM ST", number="4")
    numbered = world.point(4.5 * LOT, "1 Oak Street", number="001")
    placed = world.point(1.5 * LOT, "2 Oak Street")
    both = world.point(2.5 * LOT, "3 Oak Street", number="3")
    everything = world.point(3.5 * LOT, "4 Elm Street", number=f"{TOWN}-4")
    world.link()
    assert world.best(numbered) == (by_number, "parcel_number", LAW.parcel_number)
    assert world.best(placed) == (by_place, "inside", LAW.inside)
    assert world.best(both) == (by_both, "parcel_number", alone(LAW.parcel_number, LAW.inside))
    assert world.best(everything) == (by_all, "parcel_number", alone(LAW.parcel_number, LAW.inside, LAW.near))
    assert world.links(everything)[by_all]["evidence"] == "parcel_number inside near"
    assert world.links(numbered)[by_number]["distance_ft"] == 3.5 * LOT


def test_a_point_that_was_reckoned_along_the_street_tells_less(world: World) -> None:
    lot = world.lot(0)
    point = world.point(HALF, "1 Elm Street", placement="Geocoding")
    world.link()
    assert world.best(point) == (lot, "inside", LAW.inside_loosely)


def test_the_same_address_counts_more_near_by_than_across_the_town(world: World) -> None:
    lot = world.lot(0, "12 ELM ST")
    in_the_road = world.point(LOT + 30, "12 Elm Street")
    far = world.point(LOT + LAW.near_ft + 1, "12 Elm Street")
    nothing = world.point(LOT + 30, "14 Elm Street")
    world.link()
    assert world.best(in_the_road) == (lot, "near", LAW.near)
    assert world.best(far) == (lot, "address_text", LAW.address_text)
    assert world.best(nothing) == (None, None, None)
    assert {world.conflict(each) for each in (in_the_road, far, nothing)} == {"no_parcel"}


def test_a_road_drawn_as_a_parcel_is_no_place_of_an_address(world: World) -> None:
    lot, _ = world.lot(0, "12 ELM ST"), world.lot(1, "ELM ST", parcel_type_class="right_of_way")
    point = world.point(LOT + 30, "12 Elm Street")
    world.link()
    assert world.best(point) == (lot, "near", LAW.near)
    assert (list(world.links(point)), world.conflict(point)) == ([lot], "no_parcel")


def test_evidence_that_disagrees_keeps_both_parcels_and_lowers_both(world: World) -> None:
    meant, under = world.lot(0, "2 ELM ST", number="1"), world.lot(1, "4 ELM ST", number="2")
    point = world.point(LOT + 25, "8 Elm Street", number="1")
    agreed = world.point(LOT + 25, "2 Elm Street", number="1")
    world.link()
    found = world.links(point)
    assert found[meant]["confidence"] > found[under]["confidence"] > 0
    assert found[meant]["confidence"] < LAW.parcel_number and found[under]["confidence"] < LAW.inside
    assert sum(each["confidence"] for each in found.values()) < 1
    assert (found[meant]["is_best"], found[meant]["distance_ft"]) == (True, 25)
    assert world.conflict(point) == "wrong_side"
    assert world.links(agreed)[meant]["confidence"] > found[meant]["confidence"]


def test_the_lot_that_says_the_address_wins_over_the_neighbour_under_the_point(world: World) -> None:
    meant, _ = world.lot(0, "106 ELM ST"), world.lot(1, "100 ELM ST")
    point = world.point(LOT + 25, "106 Elm Street")
    world.link()
    assert world.best(point)[:2] == (meant, "near")
    assert world.conflict(point) == "wrong_side"


def test_units_on_one_lot_are_told_by_unit_or_share_the_address(world: World) -> None:
    units = [world.lot(0, f"9 ELM ST UNIT {unit}", number="9") for unit in range(1, 5)]
    whole, third = world.point(HALF, "9 Elm Street"), world.point(HALF, "9 Elm Street", unit="3")
    unknown = world.point(HALF, "9 Elm Street", unit="77")
    world.link()
    assert set(world.links(whole)) == set(world.links(unknown)) == set(units)
    shares = [each["confidence"] for each in world.links(whole).values()]
    assert shares == [pytest.approx(alone(LAW.inside, LAW.near) / 4, abs=1e-4)] * 4
    assert sum(each["is_best"] for each in world.links(whole).values()) == 1
    assert list(world.links(third)) == [units[2]]
    assert world.best(third)[2] == alone(LAW.inside, LAW.near)
    assert world.conflict(third) is None


def test_a_stack_under_a_point_on_the_wrong_lot_speaks_once_and_not_once_per_unit(world: World) -> None:
    meant = world.lot(0, number="1")
    world.lot(1)
    one, many = (world.point(at * LOT + 25, "1 Elm Street", number="1") for at in (1, 2))
    for _ in range(30):
        world.lot(2)
    world.link()
    assert world.best(one) == world.best(many)
    assert world.best(many)[0] == meant


def test_of_parcels_that_share_a_number_the_one_under_the_point_is_meant(world: World) -> None:
    lots = [world.lot(at, number="7") for at in range(3)]
    point = world.point(1.5 * LOT, "1 Elm Street", number="7")
    world.link()
    assert list(world.links(point)) == [lots[1]]
    assert world.best(point)[2] == alone(LAW.parcel_number, LAW.inside)


def test_a_location_disagrees_only_where_no_address_on_the_lot_is_the_one_it_says(world: World) -> None:
    world.lot(0, "10 ELM ST"), world.lot(1, "20 ELM ST"), world.lot(2, "LOT 5 REAR"), world.lot(3)
    first, second = world.point(HALF, "10 Elm Street"), world.point(HALF, "12 Elm Street")
    other = world.point(1.5 * LOT, "22 Elm Street")
    unsaid = [world.point(at * LOT, "30 Elm Street") for at in (2.5, 3.5)]
    world.link()
    assert world.conflict(other) == "text_disagrees"
    assert [world.conflict(each) for each in (first, second, *unsaid)] == [None] * 4


def test_a_number_of_too_many_parcels_tells_nothing() -> None:
    count = LAW.parcels_max + 1

    def found(parcels: int) -> int:
        lots = np.array([shapely.box(at * LOT, 0, (at + 1) * LOT, LOT) for at in range(parcels)], dtype=object)
        none, row = pa.nulls(parcels, pa.string()), pa.nulls(1, pa.string())
        addresses = Addresses(
            np.array([shapely.Point(-50, 0)], dtype=object), np.zeros(1, dtype=bool), pa.array(["ROW"]), row, row, row
        )
        return len(
            link(
                addresses,
                Parcels(lots, np.ones(parcels, dtype=bool), pa.array(["ROW"] * parcels), none, none, none),
                LAW,
            ).address
        )

    assert (found(count - 1), found(count)) == (count - 1, 0)


def test_units_are_told_apart_however_many_share_the_street_number(world: World) -> None:
    units = [world.lot(0, f"100 ELM ST #{unit}", number="7") for unit in range(LAW.parcels_max)]
    units.append(world.lot(0, f"100 ELM ST #{LAW.parcels_max}", number="8"))
    point = world.point(HALF, "100 Elm Street", unit="5", number="7")
    world.link()
    assert list(world.links(point)) == [units[5]]
    assert world.best(point)[2] == alone(LAW.parcel_number, LAW.inside, LAW.near)


Change = Callable[[World, str, str], str | None]

REASONS: dict[str, tuple[Change, str]] = {
    "the address is retired": (lambda world, point, lot: world.remove("address_point", point), "address_retired"),
    "the parcel is retired": (lambda world, point, lot: world.remove("parcel", lot), "parcel_retired"),
    "the parcel is split": (lambda world, point, lot: world.remove("parcel", lot, "split"), "parcel_split"),
    "the parcel is merged": (lambda world, point, lot: world.remove("parcel", lot, "merged"), "parcel_merged"),
    "the point moves": (lambda world, point, lot: world.change_point(point, east=2000), "address_moved"),
    "the lot is drawn elsewhere": (lambda world, point, lot: world.change_lot(lot, at=8), "parcel_reshaped"),
}


@pytest.mark.parametrize("what", REASONS)
def test_a_link_ends_for_a_reason_and_with_the_delivery_that_brought_it(world: World, what: str) -> None:
    lot = world.lot(0)
    point = world.point(HALF, "1 Elm Street")
    world.link()
    [before] = world.links(point).values()
    change, reason = REASONS[what]
    submission = change(world, point, lot)
    done = world.link()
    assert (done.made, done.ended) == (0, 1)
    assert world.links(point) == {}
    assert world.ended() == {(point, lot): (reason, submission)}
    [kept] = world.connection.execute(
        "SELECT address_parcel_uid, confidence, linked_at FROM addresses.address_parcel_ended"
    ).fetchall()
    assert kept == (before["address_parcel_uid"], before["confidence"], before["linked_at"])


def test_links_by_number_and_by_text_end_with_their_numbers_and_texts(world: World) -> None:
    lots = [world.lot(at, number=str(at)) for at in range(2)]
    renamed = world.lot(2, number="2")
    street = [world.lot(5, "1 ELM ST"), world.lot(6, "2 ELM ST")]
    told = world.point(4 * LOT, "1 Oak Street", number="0")
    lost = world.point(4 * LOT, "2 Oak Street", number="2")
    near = world.point(7 * LOT + 20, "2 Elm Street")
    other = world.point(4.9 * LOT, "1 Elm Street")
    world.link()
    given = world.change_point(told, address="1 Oak Street", number="1")
    parcel = world.change_lot(renamed, number="3")
    renumbered = world.change_point(near, address="4 Elm Street")
    location = world.change_lot(street[0], location="5 ELM ST")
    done = world.link()
    assert list(world.links(told)) == [lots[1]]
    assert (done.made, done.ended) == (1, 4)
    assert world.ended() == {
        (told, lots[0]): ("number_changed", given),
        (lost, renamed): ("location_changed", parcel),
        (near, street[1]): ("address_renumbered", renumbered),
        (other, street[0]): ("location_changed", location),
    }


def test_a_better_parcel_ends_the_link_with_the_lesser_one(world: World) -> None:
    first = world.lot(0, "1 ELM ST")
    point = world.point(1.5 * LOT, "1 Elm Street")
    world.link()
    assert list(world.links(point)) == [first]
    better = world.lot(1, "1 ELM ST")
    world.link()
    assert list(world.links(point)) == [better]
    assert world.ended() == {(point, first): ("better_link", None)}


def test_what_did_not_change_is_not_written_again(world: World) -> None:
    lot = world.lot(0, "1 ELM ST", number="1")
    point = world.point(HALF, "1 Elm Street")
    assert world.link().relinked
    before = world.links(point)[lot]
    again = world.link()
    assert (again.relinked, again.addresses, again.with_parcel) == (False, 1, 1)
    world.change_point(point, east=HALF + 10)
    done = world.link()
    assert (done.relinked, done.made, done.changed, done.ended) == (True, 0, 0, 0)
    world.change_point(point, address="1 Elm Street", number="1")
    assert world.link().changed == 1
    after = world.links(point)[lot]
    assert (after["method"], before["method"]) == ("parcel_number", "inside")
    same = ("address_parcel_uid", "linked_at", "address_submission_id")
    assert [after[name] for name in same] == [before[name] for name in same]
    assert world.ended() == {}


def test_a_town_that_lost_all_its_points_keeps_nothing_of_them(world: World) -> None:
    point = world.point(9 * LOT, "1 Elm Street")
    world.link()
    world.remove("address_point", point)
    assert world.link().relinked
    assert world.connection.execute("SELECT count(*) FROM addresses.address_link").fetchone() == (0,)


@pytest.mark.parametrize("seed", range(3))
def test_links_kept_up_step_by_step_are_those_made_from_nothing(world: World, seed: int) -> None:
    chance = random.Random(seed)
    streets = [f"{number} {name} Street" for number in range(1, 6) for name in ("Elm", "Oak")]

    def said() -> dict[str, Any]:
        return {"location": chance.choice([*streets, None]), "number": chance.choice(["1", "2", "3", None])}

    def given() -> dict[str, Any]:
        return {"address": chance.choice(streets), "number": chance.choice(["1", "2", "3", None])}

    lots = [world.lot(chance.randrange(6), **said()) for _ in range(8)]
    points = [world.point(chance.randrange(6 * int(LOT)), **given()) for _ in range(12)]
    for _ in range(8):
        for _ in range(chance.randrange(1, 4)):
            lot, point = chance.choice(lots), chance.choice(points)
            step = chance.randrange(6)
            if step == 0:
                world.change_lot(lot, at=chance.randrange(6), **said())
            elif step == 1:
                world.change_lot(lot, **said())
            elif step == 2:
                world.change_point(point, east=chance.randrange(6 * int(LOT)))
            elif step == 3:
                world.change_point(point, **given())
            elif step == 4 and len(lots) > 2:
                lots.remove(lot)
                world.remove("parcel", lot)
            elif len(points) > 2:
                points.remove(point)
                world.remove("address_point", point)
        world.link()
        kept = _answer(world)
        assert (done := world.link(full=True)).relinked
        assert (done.made, done.changed, done.ended) == (0, 0, 0)
    for table in ("address_parcel", "address_link", "parcel_location"):
        world.connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier("addresses", table)))
    world.link()
    assert _answer(world) == kept


def _answer(world: World) -> list[list[tuple[Any, ...]]]:
    queries = (
        "SELECT address_uid, parcel_uid, method, evidence, distance_ft, confidence, is_best"
        " FROM addresses.address_parcel ORDER BY 1, 2",
        "SELECT * FROM addresses.address_link ORDER BY address_uid",
        "SELECT * FROM addresses.parcel_location ORDER BY parcel_uid",
    )
    return [world.connection.execute(query.encode()).fetchall() for query in queries]


def _with_values(world: World) -> dict[str, str]:
    """A lot with a house and no address, one whose only address is withheld, and one of each other conflict."""
    lots = {
        "house": world.lot(0, number="1"),
        "withheld": world.lot(1, number="2"),
        "bare": world.lot(2, "9 OAK ST"),
        "meant": world.lot(3, number="4"),
    }
    for name, area in (("house", 900), ("withheld", 900), ("bare", 0), ("meant", 900)):
        world.connection.execute(
            "INSERT INTO cadastral.parcel_value (parcel_uid, cousub_fips, counts_here, living_area_sqft)"
            " VALUES (%s, %s, true, %s)",
            [lots[name], TOWN, area],
        )
    lots["protected"] = world.point(1.5 * LOT, "66 Elm Street", number="4")
    lots["disagrees"] = world.point(2.5 * LOT, "3 Elm Street")
    lots["wrong"] = world.point(2.5 * LOT, "5 Elm Street", number="4")
    lots["nowhere"] = world.point(9 * LOT, "7 Elm Street")
    [(request,)] = world.connection.execute(
        "INSERT INTO confidential.withheld_request (cousub_fips, address_normalized, basis, recorded_by)"
        " VALUES (%s, '66 ELM STREET', 'protected_person', 'clerk') RETURNING request_no",
        [TOWN],
    ).fetchall()
    world.connection.execute(
        "INSERT INTO confidential.withheld_point (request_no, address_uid) VALUES (%s, %s)",
        [request, lots["protected"]],
    )
    return lots


def test_the_lists_name_each_conflict_once_and_tell_nothing_of_what_is_withheld(world: World) -> None:
    made = _with_values(world)
    world.link()
    rows = conflicts(world.connection, TOWN)
    found = [(row["conflict"], str(row["address_uid"] or row["on_parcel_uid"])) for row in rows]
    assert sorted(found) == sorted(
        [
            ("no_address", made["house"]),
            # As if it had no address: that it is missing here would tell.
            ("no_address", made["withheld"]),
            ("no_parcel", made["nowhere"]),
            ("text_disagrees", made["disagrees"]),
            ("wrong_side", made["wrong"]),
        ]
    )
    assert conflict_counts(world.connection, TOWN, rows) == {
        "wrong_side": 1,
        "no_parcel": 1,
        "text_disagrees": 1,
        "no_address": 2,
    }
    [rate] = link_rates(world.connection, TOWN)
    assert (rate["addresses"], rate["linked"], rate["linked_pct"]) == (3, 2, 66.67)
    assert rate["by_method"] == {"inside": 1, "parcel_number": 1}
    assert rate["conflicts"] == {"no_parcel": 1, "text_disagrees": 1, "wrong_side": 1}


def test_an_address_that_is_gone_is_none_of_the_building(world: World) -> None:
    made = _with_values(world)
    house = made["house"]
    world.point(0.2 * LOT, "1 Elm Street", number="1", lifecycle="Demolished")
    world.point(0.3 * LOT, "2 Elm Street", number="1", expire="2020-01-01")
    world.link()
    assert house in _without_address(world)
    world.point(0.4 * LOT, "3 Elm Street", number="1", lifecycle="Proposed")
    world.link()
    assert house not in _without_address(world)


def _without_address(world: World) -> list[str]:
    listed = conflicts(world.connection, TOWN)
    return [str(row["on_parcel_uid"]) for row in listed if row["conflict"] == "no_address"]


def test_buildings_without_an_address_are_not_known_without_an_assessors_file(world: World) -> None:
    world.lot(0)
    world.point(HALF, "1 Elm Street")
    world.link()
    assert conflict_counts(world.connection, TOWN, [])["no_address"] is None


@pytest.mark.parametrize("kind", ["gpkg", "csv", "geojson"])
def test_the_commands_link_and_write_the_lists(
    lasting: World, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    _with_values(lasting)
    lasting.publish()
    lasting.connection.commit()
    monkeypatch.setenv("STATEWIDE_HOME", str(settings.home))
    monkeypatch.setenv("STATEWIDE_DATABASE_URL", settings.database_url or "")

    def run(*words: str) -> dict[str, Any]:
        result = CliRunner().invoke(app, [*words, "--json"])
        assert result.exception is None, result.exception
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    linked = run("link", "--town", "alder")
    assert (linked["outcome"], linked["links"]["ended"], linked["towns"][0]["linked_pct"]) == ("ok", 0, 66.67)
    assert run("link")["outcome"] == "unchanged"
    assert run("link", "--full")["links"] == {"made": 0, "changed": 0, "ended": 0}
    file = tmp_path / f"conflicts.{kind}"
    told = run("conflicts", "--town", "alder", "--out", str(file))
    assert told["counts"] == {"wrong_side": 1, "no_parcel": 1, "text_disagrees": 1, "no_address": 2}
    assert told["file"]["rows"] == len(told["rows"]) == 5
    text = CliRunner().invoke(app, ["conflicts", "--town", "alder"]).stdout
    assert "66 Elm" not in text and "belongs to 4, 100 ft away" in text
    if kind == "csv":
        assert file.read_text().count("POINT") == 5
    else:
        assert pyogrio.read_info(file)["features"] == 5
        assert "66 Elm" not in file.read_bytes().decode("latin-1")


def test_a_publication_of_either_side_links_and_the_street_sees_the_parcel(lasting: World, settings: Settings) -> None:
    lot = lasting.lot(0)
    point = lasting.point(HALF, "1 Elm Street")
    lasting.connection.commit()
    said: list[str] = []
    relink(settings, "assessment", ALDER, said.append)
    assert said == []
    relink(settings, "address_point", ALDER, said.append)
    relink(settings, "parcel", ALDER, said.append)
    assert said == ["1 of 1 addresses linked to a parcel"]
    with connect(settings, API) as street:
        [row] = street.execute("SELECT parcel_uid::text, link_confidence FROM published.addresses").fetchall()
    assert row == (lot, LAW.inside)
    lasting.remove("address_point", point)
    lasting.connection.commit()
    assert link_towns(settings, [TOWN])[TOWN].ended == 1
