"""A town's address year: first load, the same in other clothes, a renumbered street, a subdivision, retired points.

The parcels of the invented town Alder are live before its addresses come; what is linked follows each delivery.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import shapely
from psycopg.rows import dict_row

from addresses.link import relink
from addresses.points import ADDRESSES, submit
from cadastral.meeting import submit as submit_parcels
from statewide.database import OWNER, connect
from statewide.intake import Request
from statewide.register import find_town
from statewide.rollback import roll_back
from statewide.settings import Settings
from statewide.standard import load_standard
from statewide.versions import Comparison, compare, find_version, version_before
from tests.address_towns import Names, Points, addresses_of, alder_streets, points_at, write_points
from tests.towns import ALDER, LOT, SOUTH, WEST, Fabric, append_lot, found_alder, write

NEW_STREET = "Cove"


class AddressYear:
    """A town that delivers parcels and addresses; every file goes through the whole of the intake."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.town = found_alder(settings)
        self.deliveries = 0

    def sends_parcels(self, fabric: Fabric) -> dict[str, Any]:
        file = write(fabric, self._next())
        return submit_parcels(self.settings, Request(file, "Alder", 2025), lambda message: None).summary

    def sends(
        self,
        points: Points,
        *,
        kind: str = "geopackage",
        names: Names = "nena3",
        epsg: int | None = 6434,
        year: int = 2025,
        **options: Any,
    ) -> dict[str, Any]:
        file = write_points(points, self._next(), kind=kind, names=names, epsg=epsg)
        summary = submit(self.settings, Request(file, "Alder", year, **options), lambda message: None).summary
        relink(self.settings, ADDRESSES.table, self.town, lambda message: None)
        return summary

    def goes_back(self, to: int) -> dict[str, Any]:
        said = roll_back(self.settings, (ADDRESSES,), None, "Alder", str(to), "it was wrong", lambda message: None)
        relink(self.settings, ADDRESSES.table, self.town, lambda message: None)
        return said

    def rows(self, query: str) -> list[dict[str, Any]]:
        with connect(self.settings, OWNER) as connection:
            return connection.cursor(row_factory=dict_row).execute(query.encode()).fetchall()

    def live(self) -> dict[str, dict[str, Any]]:
        """What stands in the table, by identifier, with the row's own version in the database."""
        found = self.rows("SELECT *, xmin::text AS written FROM addresses.address_point")
        return {str(row["address_uid"]): row for row in found}

    def links(self) -> dict[str, tuple[str, str]]:
        """Address → its best parcel's number and the method."""
        found = self.rows(
            "SELECT address_label, lot.parcel_id, method FROM addresses.address_parcel AS link"
            " JOIN addresses.address_point USING (address_uid)"
            " JOIN cadastral.parcel AS lot ON lot.parcel_uid = link.parcel_uid WHERE link.is_best"
        )
        return {row["address_label"]: (row["parcel_id"], row["method"]) for row in found}

    def ended_links(self) -> Counter[str]:
        return Counter(row["ended_because"] for row in self.rows("SELECT * FROM addresses.address_parcel_ended"))

    def differences(self) -> Comparison:
        standard = load_standard()
        with connect(self.settings) as connection:
            town = find_town(connection, "Alder")
            to = find_version(connection, ADDRESSES.table, town, "live")
            since = version_before(connection, ADDRESSES.table, town, to)
            return compare(connection, standard, standard.table(ADDRESSES.table), town, ADDRESSES.label, since, to)

    def last_submission(self) -> int:
        (row,) = self.rows("SELECT max(submission_no) AS number FROM statewide.submission")
        return int(row["number"])

    def _next(self) -> Path:
        self.deliveries += 1
        return self.folder / f"delivery-{self.deliveries}"


@pytest.fixture
def year(settings: Settings, tmp_path: Path) -> AddressYear:
    """Alder with its parcels live and no address yet."""
    found = AddressYear(settings, tmp_path)
    found.sends_parcels(alder_streets())
    return found


def changes(summary: dict[str, Any]) -> dict[str, int]:
    return {name: summary["rows"][name] for name in ("added", "changed", "removed", "unchanged")}


def subdivided() -> Fabric:
    """Alder with four lots more, along a court north of the others."""
    fabric = alder_streets()
    for nth in range(4):
        x, y = WEST + nth * LOT, SOUTH + 8 * LOT
        append_lot(fabric, f"9-{nth + 1}", shapely.box(x, y, x + LOT, y + LOT), Location=f"{2 * nth + 1} COVE CT")
    return fabric


def a_year_later() -> Points:
    """Elm Street renumbered, the court's houses added, two addresses gone, one out of force, one moved to its door."""
    points = addresses_of(alder_streets())
    points.renumber("Elm", lambda number: number + 100)
    main = points.on_street("Main")
    points.change(main[2], Expire="2025-11-30")
    points.change(main[5], shape=points_at((5.5 * LOT + 30, 60))[0])
    points.drop(points.on_street("Oak")[:2])
    for nth, place in enumerate(points_at(*((100 + nth * LOT, 8.5 * LOT) for nth in range(4)))):
        points.append(place, Add_Number=2 * nth + 1, St_Name=NEW_STREET, St_PosTyp="Court", Parcel_ID=f"9-{nth + 1}")
    return points


def test_a_first_file_is_published_part_for_part_and_linked(year: AddressYear) -> None:
    points = addresses_of(alder_streets())
    summary = year.sends(points)
    assert (summary["outcome"], summary["rows"]["published"], summary["rows"]["held"]) == ("published", 64, 0)
    rows = {row["local_id"]: row for row in year.live().values()}
    assert len(rows) == 64
    shore = rows[points.columns["SITEADDID"][points.on_street("Shore")[0]]]
    parts = ("add_number", "st_predir", "st_name", "st_postyp", "address_label", "address_normalized")
    assert [shore[name] for name in parts] == [
        2,
        "North",
        "Shore",
        "Road",
        "2 North Shore Road",
        "2 NORTH SHORE ROAD",
    ]
    links = year.links()
    assert len(links) == 64
    assert links["2 North Shore Road"] == ("5-1", "parcel_number")


def test_the_same_file_writes_nothing(year: AddressYear) -> None:
    year.sends(addresses_of(alder_streets()))
    before, links = year.live(), year.rows("SELECT *, xmin::text FROM addresses.address_parcel ORDER BY 1")
    summary = year.sends(addresses_of(alder_streets()))
    assert (summary["outcome"], summary["rows"]["unchanged"]) == ("unchanged", 64)
    assert year.live() == before
    assert year.rows("SELECT *, xmin::text FROM addresses.address_parcel ORDER BY 1") == links


@pytest.mark.parametrize(
    ("kind", "epsg"), [("filegdb", 4326), ("csv", None), ("shapefile", 2234), ("geopackage", 26956)]
)
def test_the_same_in_another_order_format_and_system_writes_nothing(
    year: AddressYear, kind: str, epsg: int | None
) -> None:
    points = addresses_of(alder_streets())
    year.sends(points)
    before = year.live()
    order = list(range(len(points)))
    random.Random(7).shuffle(order)
    points.reorder(order)
    summary = year.sends(points, kind=kind, epsg=epsg)
    assert (summary["outcome"], changes(summary)["unchanged"]) == ("unchanged", 64)
    assert year.live() == before
    assert year.rows("SELECT * FROM addresses.address_point_history") == []


@pytest.mark.parametrize("names", ["nena2", "nad"])
def test_the_names_of_another_standard_keep_every_address(year: AddressYear, names: Names) -> None:
    year.sends(addresses_of(alder_streets()))
    before = year.live()
    summary = year.sends(addresses_of(alder_streets()), names=names)
    assert (summary["rows"]["added"], summary["rows"]["removed"]) == (0, 0)
    after = year.live()
    assert after.keys() == before.keys()
    assert {uid: row["address_normalized"] for uid, row in after.items()} == {
        uid: row["address_normalized"] for uid, row in before.items()
    }


def test_a_year_later_each_difference_has_its_name(year: AddressYear) -> None:
    year.sends(addresses_of(alder_streets()))
    before = {row["local_id"]: row for row in year.live().values()}
    year.sends_parcels(subdivided())
    later = a_year_later()
    summary = year.sends(later, year=2026)
    assert summary["outcome"] == "published"
    assert changes(summary) == {"added": 4, "changed": 18, "removed": 2, "unchanged": 44}
    after = {row["local_id"]: row for row in year.live().values()}
    assert {number: row["address_uid"] for number, row in after.items() if number in before} == {
        number: row["address_uid"] for number, row in before.items() if number in after
    }
    elm = later.columns["SITEADDID"][later.on_street("Elm")[0]]
    assert (before[elm]["address_label"], after[elm]["address_label"]) == ("2 Elm Street", "102 Elm Street")

    found = year.differences()
    assert Counter(row.change for row in found.rows) == {"added": 4, "changed": 18, "removed": 2}
    assert found.kinds["renumbered"] == 16
    assert [row.label for row in found.rows if row.change == "changed" and row.redrawn] == ["12 Main Street"]
    past = year.rows("SELECT address_label FROM addresses.address_point_history")
    assert len(past) == 18 + 2
    assert {"2 Elm Street", "2 Oak Court", "4 Oak Court"} <= {row["address_label"] for row in past}


def test_links_follow_the_year_and_say_why_they_ended(year: AddressYear) -> None:
    year.sends(addresses_of(alder_streets()))
    before = year.links()
    year.sends_parcels(subdivided())
    year.sends(a_year_later(), year=2026)
    after = year.links()
    assert len(after) == 66
    assert after["102 Elm Street"][0] == before["2 Elm Street"][0]
    assert after["1 Cove Court"][0] == "9-1"
    assert not {"2 Oak Court", "4 Oak Court"} & after.keys()
    assert year.ended_links() == {"address_retired": 2}


def test_the_way_back_brings_addresses_and_links_back(year: AddressYear) -> None:
    year.sends(addresses_of(alder_streets()))
    first, before, links = year.last_submission(), year.live(), year.links()
    year.sends(a_year_later(), year=2026)
    assert year.live().keys() != before.keys()
    said = year.goes_back(first)
    assert said["outcome"] == "published"
    kept = ("local_id", "address_label", "address_normalized", "post_code", "expire", "geom")
    after = year.live()
    assert {uid: [row[name] for name in kept] for uid, row in after.items()} == {
        uid: [row[name] for name in kept] for uid, row in before.items()
    }
    assert {address: parcel for address, (parcel, _) in year.links().items()} == {
        address: parcel for address, (parcel, _) in links.items()
    }


def test_a_much_worse_file_changes_nothing(year: AddressYear) -> None:
    year.sends(addresses_of(alder_streets()))
    before, links = year.live(), year.links()
    few = addresses_of(alder_streets())
    few.drop(range(20, 64))
    summary = year.sends(few, year=2026)
    assert summary["outcome"] == "refused"
    assert (year.live(), year.links()) == (before, links)
    assert ALDER.town_name == summary["town"]
