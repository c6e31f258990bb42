"""Which address is which a year later, when the town's own numbers are the rows of its file or are given again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import shapely

from addresses.points import submit
from statewide.database import connect
from statewide.errors import UnknownTown
from statewide.intake import Request
from statewide.settings import Settings
from tests.address_towns import Points, addresses_of, alder_streets, points_at, write_points
from tests.towns import found_alder


class Town:
    """Alder, whose identifiers are the rows of its file unless it says otherwise."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder, self.count = settings, folder, 0
        found_alder(settings)

    def sends(self, points: Points, ids: list[str] | None = None, town: str | None = "Alder") -> dict[str, Any]:
        self.count += 1
        points.columns.pop("NGUID", None)
        points.columns["SITEADDID"] = ids or [str(row + 1) for row in range(len(points))]
        file = write_points(points, self.folder / f"delivery-{self.count}", kind="csv", names="nena3")
        return submit(self.settings, Request(file, town, 2025), lambda message: None).summary

    def live(self) -> dict[str, str]:
        """Address → identifier."""
        with connect(self.settings) as connection:
            rows = connection.execute("SELECT address_label, address_uid FROM addresses.address_point").fetchall()
        return {label: str(uid) for label, uid in rows}


@pytest.fixture
def town(settings: Settings, tmp_path: Path) -> Town:
    return Town(settings, tmp_path)


def with_flats(flats: int) -> Points:
    """Alder's addresses and a house of flats, all on one point."""
    points = addresses_of(alder_streets())
    points.columns.pop("NGUID", None)
    for flat in range(1, flats + 1):
        points.append(
            points_at((310, 310))[0],
            Add_Number=99,
            St_Name="Elm",
            St_PosTyp="Street",
            UnitPreTyp="Unit",
            UnitValue=str(flat),
        )
    return points


def test_row_numbers_do_not_drag_identities_along(town: Town) -> None:
    points = with_flats(6)
    town.sends(points)
    before = town.live()
    points.drop([3])
    points.shapes = [shapely.Point(point.x + 3, point.y + 2) for point in points.shapes]
    town.sends(points)
    after = town.live()
    assert len(after) == len(before) - 1
    assert after.items() <= before.items()


def test_a_number_given_again_far_away_is_another_address(town: Town) -> None:
    """The row of the first is held, for it has no place: what is live of it stays."""
    points = addresses_of(alder_streets())
    town.sends(points)
    before = town.live()
    rows = len(points)
    points.shapes[10] = None
    points.append(points_at((333, 1444))[0], Add_Number=77, St_Name="Pond", St_PosTyp="Avenue")
    ids = [str(row + 1) for row in range(rows)]
    ids[10] = str(rows + 1)
    summary = town.sends(points, [*ids, "11"])
    after = town.live()
    assert summary["rows"]["kept_live"] == 1
    assert before.items() <= after.items()
    assert set(after) - set(before) == {"77 Pond Avenue"}


def test_a_demolished_address_does_not_stay_for_its_number_on_a_held_row(town: Town) -> None:
    points = addresses_of(alder_streets())
    town.sends(points)
    gone = sorted(town.live())
    demolished = f"{points.columns['Add_Number'][10]} {points.columns['St_Name'][10]} Street"
    points.drop([10])
    points.shapes[10] = None
    town.sends(points)
    assert demolished in gone
    assert demolished not in town.live()


def test_a_flat_that_goes_and_one_that_comes_are_two(town: Town) -> None:
    points = with_flats(4)
    rows = len(points)
    ids = [f"A{row}" for row in range(rows)]
    town.sends(points, list(ids))
    before = town.live()
    points.change(rows - 3, UnitValue="9")
    ids[rows - 3] = "A999"
    summary = town.sends(points, ids)
    after = town.live()
    assert summary["lineage"] == {"retired": 1, "new": 1}
    assert after["99 Elm Street Unit 9"] not in before.values()


def test_points_far_from_every_town_are_told_so(town: Town) -> None:
    points = addresses_of(alder_streets())
    points.shapes = [shapely.Point(point.x + 3_000_000, point.y) for point in points.shapes]
    with pytest.raises(UnknownTown, match="name its town"):
        town.sends(points, town=None)
