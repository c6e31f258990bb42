"""Checks over address points; dry runs against Alder, whose parcels and addresses are live."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely

from addresses.points import submit
from cadastral.meeting import submit as submit_parcels
from statewide.findings import Finding
from statewide.intake import Outcome, Request
from statewide.settings import Settings
from tests.address_towns import Names, Points, addresses_of, alder_streets, points_at, write_points
from tests.towns import LOT, SOUTH, WEST, found_alder, write

Check = Callable[..., Outcome]


def quiet(message: str) -> None: ...


def town_points() -> Points:
    """128 addresses on eight streets, sixteen on each."""
    return addresses_of(alder_streets(rows=16, columns=8))


@pytest.fixture(scope="module")
def check(shared_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Check points against the live town; nothing is published."""
    found_alder(shared_settings)
    folder = tmp_path_factory.mktemp("alder")
    submit_parcels(shared_settings, Request(write(alder_streets(16, 8), folder / "parcels"), "Alder", 2025), quiet)
    live = submit(shared_settings, Request(write_points(town_points(), folder / "points"), "Alder", 2025), quiet)
    assert live.summary["outcome"] == "published"

    def go(points: Points, year: int = 2025, town: str = "Alder", names: Names = "nena3") -> Outcome:
        file = write_points(points, tmp_path_factory.mktemp("delivery"), names=names)
        return submit(shared_settings, Request(file, town, year, publish=False), quiet)

    return go


def named(outcome: Outcome, code: str) -> list[Finding]:
    return [finding for finding in outcome.log.findings if finding.code == code]


def found(outcome: Outcome) -> set[tuple[str, int | None]]:
    return {(finding.code, finding.row_no) for finding in outcome.log.findings}


def test_clean_points_raise_nothing(check: Check) -> None:
    assert check(town_points()).summary["findings"] == {}


# ── one row ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_say_themselves_what_is_odd_about_them(check: Check) -> None:
    odd = town_points()
    odd.change(0, Add_Number=None)
    odd.change(1, Add_Number=0)
    odd.change(2, St_Name=None, St_PosTyp=None)
    odd.change(3, St_Name="Main #4")
    odd.change(4, UnitPreTyp="Apartment")
    odd.change(5, UnitPreTyp="Rear")  # needs no number
    odd.change(6, Effective=dt.date(2024, 5, 1), Expire=dt.date(2099, 1, 1))
    odd.change(7, Effective=dt.date(2099, 5, 1), Expire=dt.date(2099, 1, 1))
    odd.change(8, Add_Number=None, St_Name=None, St_PosTyp=None, Site="Town Hall")
    outcome = check(odd)
    assert {(code, row) for code, row in found(outcome) if row} == {
        ("NUMBER_MISSING", 1),
        ("NUMBER_ZERO", 2),
        ("STREET_MISSING", 3),
        ("STREET_NAME_ODD", 4),
        ("UNIT_WITHOUT_VALUE", 5),
        ("DATE_ODD", 8),
    }
    assert outcome.summary["rows"]["held"] == 0


def test_a_point_without_any_address_is_held(check: Check) -> None:
    empty = town_points()
    empty.change(9, Add_Number=None, St_Name=None, St_PosTyp=None)
    outcome = check(empty)
    assert ("ADDRESS_EMPTY", 10) in found(outcome)
    assert outcome.summary["rows"]["held"] == 1


def test_many_rows_without_a_number_are_shown_in_part_and_counted(check: Check) -> None:
    unnumbered = town_points()
    unnumbered.change(range(60), Add_Number=None)
    findings = named(check(unnumbered), "NUMBER_MISSING")
    assert len(findings) == 51
    assert findings[-1].row_no is None
    assert findings[-1].sentence.startswith("10 rows more")


def test_a_unit_without_its_word_is_noted_once(check: Check) -> None:
    points = town_points()
    points.change([3, 4], UnitValue="2")
    (finding,) = named(check(points), "UNIT_WITHOUT_WORD")
    assert "2 rows" in finding.sentence


def test_a_word_that_the_standard_does_not_list_is_emptied_and_said(check: Check) -> None:
    points = town_points()
    points.change(points.on_street("Elm"), Place_Type="fairy ring")
    outcome = check(points)
    (finding,) = named(outcome, "WORD_NOT_LISTED")
    assert (finding.value, "16 rows" in finding.sentence) == ("fairy ring", True)
    assert outcome.summary["rows"]["held"] == 0


def test_columns_of_longitude_and_latitude_are_compared_with_the_point(check: Check) -> None:
    points = town_points()
    said = in_degrees(points)
    points.change(range(len(points)), Longitude=None, Latitude=None)
    for row, (longitude, latitude) in enumerate(said):
        points.change(row, Longitude=longitude, Latitude=latitude)
    points.change(5, Latitude=said[5][1] + 0.0002)  # 73 ft
    points.change(6, Longitude=0.0, Latitude=0.0)  # says nothing
    (finding,) = named(check(points), "LONLAT_DISAGREES")
    assert finding.row_no == 6
    assert "is 73 ft from" in finding.sentence


def in_degrees(points: Points) -> list[tuple[float, float]]:
    xy = shapely.get_coordinates(np.array(points.shapes, dtype=object))
    to_degrees = pyproj.Transformer.from_crs(6434, 4326, always_xy=True)
    return list(zip(*to_degrees.transform(xy[:, 0], xy[:, 1]), strict=True))


# ── the rows against one another ─────────────────────────────────────────────────────────────────────────────────────


def test_another_town_is_held_and_a_village_is_not(check: Check) -> None:
    points = town_points()
    points.change(0, A3="Franklin")
    points.change([1, 2], A3="Alder Point")
    points.change(3, A3="TOWN OF ALDER")
    outcome = check(points)
    assert [finding.row_no for finding in named(outcome, "TOWN_MISMATCH")] == [1]
    (village,) = named(outcome, "PLACE_NOT_A_TOWN")
    assert (village.value, "2 rows" in village.sentence) == ("Alder Point", True)
    assert outcome.summary["rows"]["held"] == 1


def test_a_town_loaded_twice_is_refused(check: Check) -> None:
    twice = town_points()
    for row in range(len(twice)):
        twice.append(
            shapely.transform(twice.shapes[row], lambda xy: xy + 30),
            **{name: column[row] for name, column in twice.columns.items()},
        )
    outcome = check(twice)
    assert "ADDRESSES_LOADED_TWICE" in outcome.summary["blocked_by"]
    assert "42.4 ft apart" in named(outcome, "ADDRESSES_LOADED_TWICE")[0].sentence


def test_one_address_far_apart_is_asked_about_and_nearby_is_noted(check: Check) -> None:
    points = town_points()
    first = points.columns["Add_Number"][0]
    points.append(points_at((6 * LOT, 2 * LOT))[0], Add_Number=first, St_Name="Main", St_PosTyp="Street")
    points.append(
        shapely.transform(points.shapes[20], lambda xy: xy + 30),
        Add_Number=points.columns["Add_Number"][20],
        St_Name=points.columns["St_Name"][20],
        St_PosTyp=points.columns["St_PosTyp"][20],
    )
    outcome = check(points)
    (far,) = named(outcome, "ADDRESS_TWICE")
    assert (far.row_no, "row 129, 1," in far.sentence) == (1, True)
    (near,) = named(outcome, "ADDRESS_TWICE_NEAR")
    assert (near.row_no, "row 130, 42 ft" in near.sentence) == (21, True)


@pytest.mark.parametrize(
    "apart",
    [
        {"A4": "Alder Point"},
        {"UnitPreTyp": "Unit", "UnitValue": "2"},
        {"Structure": "Building 2"},
        {"Lifecycle": "Retired"},
    ],
)
def test_village_unit_building_and_retirement_tell_addresses_apart(check: Check, apart: dict[str, Any]) -> None:
    points = town_points()
    points.change(0, A4="Alder Centre" if "A4" in apart else None)
    points.append(
        points_at((6 * LOT, 2 * LOT))[0],
        **{"Add_Number": points.columns["Add_Number"][0], "St_Name": "Main", "St_PosTyp": "Street"} | apart,
    )
    assert named(check(points), "ADDRESS_TWICE") == []


def test_addresses_without_a_number_are_no_copies_of_one_another(check: Check) -> None:
    points = town_points()
    points.change([0, 14], Add_Number=None)
    points.change([1, 13], Add_Number=0)
    assert named(check(points), "ADDRESS_TWICE") == []


def test_units_at_one_point_are_noted_and_streets_at_one_point_are_asked_about(check: Check) -> None:
    points = town_points()
    for unit in ("1", "2", "3"):
        points.append(
            points.shapes[0], Add_Number=2, St_Name="Main", St_PosTyp="Street", UnitPreTyp="Unit", UnitValue=unit
        )
    points.change(40, shape=points.shapes[5])
    outcome = check(points)
    (note,) = named(outcome, "STACKED_POINTS")
    assert "On 2 points stand several addresses, 6 in all: 1 point with units of one house." in note.sentence
    (asked,) = named(outcome, "STREETS_AT_ONE_POINT")
    assert (asked.row_no, "MAIN STREET, NORTH SHORE ROAD" in asked.sentence) == (6, True)


def test_one_identifier_on_several_rows_is_said_once(check: Check) -> None:
    points = town_points()
    points.change([7, 9, 11], SITEADDID="A-7")
    (finding,) = named(check(points), "IDENTIFIER_TWICE")
    assert (finding.row_no, finding.column, "3 rows" in finding.sentence) == (8, "SITEADDID", True)


def test_points_beside_the_town_are_noted_asked_about_or_held_by_distance(check: Check) -> None:
    points = town_points()
    for row, feet in ((1, 600.0), (2, 1200.0), (3, 7000.0)):  # the outline is 500 ft west of the first lot
        points.change(row, shape=shapely.Point(WEST - feet, SOUTH + 100))
    outcome = check(points)
    assert "1 row outside of Alder's outline, by 100 ft at most." in named(outcome, "POINTS_ON_THE_LINE")[0].sentence
    assert [(each.row_no, "700 ft" in each.sentence) for each in named(outcome, "OUTSIDE_TOWN")] == [(3, True)]
    assert [(each.row_no, each.severity) for each in named(outcome, "FAR_OUTSIDE_TOWN")] == [(4, "ERROR")]


def test_a_zip_code_unlike_all_around_is_found_without_any_list(check: Check) -> None:
    points = town_points()
    points.change(36, Post_Code="06998")
    (finding,) = named(check(points), "ZIP_AMONG_OTHERS")
    assert finding.row_no == 37
    assert "“06998”, where nearly all points around have 06999" in finding.sentence


def test_two_zip_codes_side_by_side_are_nothing_odd(check: Check) -> None:
    points = town_points()
    points.change(range(64), Post_Code="06998")
    assert named(check(points), "ZIP_AMONG_OTHERS") == []


def test_addresses_out_of_force_are_published_and_counted(check: Check) -> None:
    points = town_points()
    points.change([0, 1], Lifecycle="Inactive")
    points.change(2, Lifecycle="Proposed")
    points.change(3, Expire=dt.date(2020, 1, 1))
    points.change(4, Lifecycle="ACTIVE")
    outcome = check(points)
    assert sorted(finding.sentence.split(".")[0] for finding in named(outcome, "NOT_IN_FORCE")) == [
        "Out of force since a day that is past: 1 row",
        "Proposed by their stage of life: 1 row",
        "Retired by their stage of life: 2 rows",
    ]
    assert outcome.summary["rows"]["published"] == 128


def test_a_file_that_nobody_kept_up_is_noted(check: Check) -> None:
    points = town_points()
    points.change(range(128), DateUpdate=dt.date(2022, 6, 7))
    (finding,) = named(check(points), "STALE_ADDRESSES")
    assert "7 June 2022" in finding.sentence


# ── along the streets ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("slip", ["Schol", "Schoool", "Sckool", "Shcool"])
def test_a_street_one_letter_off_its_neighbour_is_told_which_is_meant(check: Check, slip: str) -> None:
    points = town_points()
    row = points.on_street("School")[3]
    points.change(row, St_Name=slip)
    (finding,) = named(check(points), "STREET_SPELLED_ODD")
    assert finding.row_no == row + 1
    assert f"“{slip.upper()} LANE” is one letter away from SCHOOL LANE, which has 15 points" in finding.sentence


def test_a_street_that_a_parcel_has_is_no_slip(check: Check) -> None:
    points = town_points()
    points.change(points.on_street("School")[1:], St_Name="Schooll")
    assert named(check(points), "STREET_SPELLED_ODD") == []


@pytest.mark.parametrize(
    ("numbers", "places", "found"),
    [
        ((1, 3), ((500.0, 800.0), (560.0, 800.0)), []),  # a short street of its own
        ((7, 33), ((350.0, 205.0), (1650.0, 205.0)), [41, 42]),
        ((7, 7), ((350.0, 800.0), (360.0, 800.0)), [41, 42]),  # one house
    ],
)
def test_two_houses_nearer_to_one_another_are_a_street_of_their_own(
    check: Check, numbers: tuple[int, int], places: tuple[tuple[float, float], ...], found: list[int]
) -> None:
    points = long_street()
    for number, place in zip(numbers, places, strict=True):
        points.append(points_at(place)[0], Add_Number=number, St_Name="Lung Hill", St_PosTyp="Road")
    assert [finding.row_no for finding in named(check(points), "STREET_SPELLED_ODD")] == found


@pytest.mark.parametrize(
    ("usual", "other"), [("Elm", "Elk"), ("4th", "5th"), ("School", "Stool"), ("Section A", "Section B")]
)
def test_short_names_and_numbers_are_no_slips(check: Check, usual: str, other: str) -> None:
    points = town_points()
    rows = points.on_street("School")
    points.change(rows, St_Name=usual)
    points.change(rows[3], St_Name=other)
    assert named(check(points), "STREET_SPELLED_ODD") == []


def test_a_street_without_its_type_is_told_which_is_meant(check: Check) -> None:
    points = town_points()
    row = points.on_street("School")[3]
    points.change(row, St_PosTyp=None)
    (finding,) = named(check(points), "STREET_TYPE_LEFT_OUT")
    assert (finding.row_no, "SCHOOL LANE" in finding.sentence) == (row + 1, True)


def long_street(houses: int = 40) -> Points:
    """Long Hill Road: even numbers south of it and odd ones north, one pair each hundred feet."""
    points = Points([])
    for number in range(1, houses + 1):
        shape = points_at((50.0 * number, 100.0 if number % 2 == 0 else 200.0))[0]
        points.append(shape, Add_Number=number, St_Name="Long Hill", St_PosTyp="Road")
    return points


def test_a_street_in_order_raises_nothing_of_its_numbers(check: Check) -> None:
    outcome = check(long_street())
    assert {"NUMBER_OUT_OF_ORDER", "NUMBER_ON_OTHER_SIDE", "NUMBERS_MIXED"} & set(outcome.summary["findings"]) == set()


def test_a_number_far_from_its_neighbours_is_out_of_order(check: Check) -> None:
    points = long_street()
    points.change(7, shape=points_at((1900.0, 100.0))[0])  # number 8 is at the end, beside 38
    outcome = check(points)
    (finding,) = named(outcome, "NUMBER_OUT_OF_ORDER")
    assert (finding.row_no, "both 7 and 9" in finding.sentence) == (8, True)
    assert finding.shape is not None  # with the two that it is compared with
    assert [part.x - WEST for part in shapely.get_parts(finding.shape)] == [1900, 350, 450]


def test_a_deep_lot_is_not_out_of_order(check: Check) -> None:
    points = long_street()
    points.change(7, shape=points_at((400.0, 1800.0))[0])
    assert named(check(points), "NUMBER_OUT_OF_ORDER") == []


def test_a_number_on_the_other_side_of_the_street_is_noted(check: Check) -> None:
    points = long_street()
    points.change(20, shape=points_at((1040.0, 95.0))[0])  # 21, among the even ones
    (finding,) = named(check(points), "NUMBER_ON_OTHER_SIDE")
    assert (finding.row_no, "odd" in finding.sentence) == (21, True)


def test_two_streets_of_one_name_are_said_once(check: Check) -> None:
    points = long_street(30)
    for number in range(1, 31, 3):
        shape = points_at((4000.0 + 50 * number, 5000.0))[0]
        points.change(number, shape=shape)
    outcome = check(points)
    (finding,) = named(outcome, "NUMBERS_MIXED")
    assert "On 1 street the points do not follow one another by number, for example LONG HILL ROAD" in finding.sentence
    assert named(outcome, "NUMBER_OUT_OF_ORDER") == []


def test_streets_and_addresses_of_the_parcels_are_missed(check: Check) -> None:
    points = town_points()
    points.drop(points.on_street("Oak"))
    points.change(points.on_street("Elm"), St_Name="Alm")
    outcome = check(points)
    assert "ALM STREET" in named(outcome, "STREETS_WITHOUT_PARCEL")[0].sentence
    assert "2 streets of the parcels' locations (32 parcels)" in named(outcome, "PARCEL_STREETS_MISSING")[0].sentence
    assert "75 % of the numbers and streets" in named(outcome, "PARCEL_ADDRESSES_MISSING")[0].sentence


# ── beside what is live ──────────────────────────────────────────────────────────────────────────────────────────────


def test_an_older_year_is_refused(check: Check) -> None:
    outcome = check(town_points(), year=2024)
    assert outcome.summary["blocked_by"] == ["OLDER_YEAR"]
    assert "the address points of 2025 are live" in named(outcome, "OLDER_YEAR")[0].sentence


def test_fewer_addresses_and_streets_are_refused(check: Check) -> None:
    points = town_points()
    points.drop([*points.on_street("Oak"), *points.on_street("Elm")])
    outcome = check(points)
    assert set(outcome.summary["blocked_by"]) == {"COUNT_DROP", "STREET_COUNT_DROP"}
    assert "96 address points where 128 are live" in named(outcome, "COUNT_DROP")[0].sentence


def test_a_street_that_was_not_there_before_is_noted(check: Check) -> None:
    points = town_points()
    points.append(points_at((0.0, 3500.0))[0], Add_Number=1, St_Name="Windmill Hill", St_PosTyp="Road")
    (finding,) = named(check(points), "NEW_STREETS")
    assert finding.sentence == "1 street of the file had no address until now: WINDMILL HILL ROAD."


def test_other_addresses_on_the_same_points_are_asked_about(check: Check) -> None:
    points = town_points()
    for street in ("Main", "Elm", "Shore", "Oak", "School"):
        points.renumber(street, lambda number: number + 100)
    outcome = check(points)
    assert outcome.summary["blocked_by"] == ["ADDRESSES_REPLACED"]
    (finding,) = named(outcome, "RENUMBERED")
    assert "62.5 %" in finding.sentence
    assert "3 MAIN STREET is now 103 MAIN STREET" in finding.sentence


@pytest.mark.parametrize(
    ("shift", "code", "blocks"),
    [
        ("together", "MOVED", True),
        ("mixed up", "ADDRESSES_MIXED_UP", True),
        ("a little each", "POINTS_PLACED_ANEW", False),
    ],
)
def test_points_that_moved_are_told_by_how_they_moved(check: Check, shift: str, code: str, blocks: bool) -> None:
    points = town_points()
    random = np.random.default_rng(5)
    if shift == "mixed up":
        points.shapes = [points.shapes[row] for row in random.permutation(len(points))]
    else:
        by = np.full((128, 2), 20.0) if shift == "together" else random.normal(0, 60, (128, 2))
        points.shapes = [
            shapely.transform(shape, lambda xy, by=by[row]: xy + by) for row, shape in enumerate(points.shapes)
        ]
    outcome = check(points)
    assert named(outcome, code)
    assert {"MOVED", "ADDRESSES_MIXED_UP", "POINTS_PLACED_ANEW"} & set(outcome.summary["findings"]) == {code}
    assert (code in outcome.summary["blocked_by"]) == blocks


# ── a real town's ZIP codes ──────────────────────────────────────────────────────────────────────────────────────────


def test_zip_codes_and_postal_cities_of_a_real_town_are_soft_evidence(check: Check) -> None:
    points = town_points()
    points.shapes = [shapely.transform(shape, to_new_london) for shape in points.shapes]
    points.change(range(128), A3="New London", Post_Comm="New London", Post_Code="06320")
    points.change([0, 1], Post_Code="06355")
    points.change(2, Post_Code="06999")
    points.change(3, Post_Code="10001")
    points.change(4, Post_Comm="Hartford")
    points.change(5, Post_Comm="Waterford")
    points.change(6, Post_Comm="Quaker Hill")
    outcome = check(points, town="New London")
    elsewhere = {finding.value: finding.sentence for finding in named(outcome, "ZIP_ELSEWHERE")}
    assert elsewhere.keys() == {"06355", "10001"}
    assert (
        "2 rows (row 1, row 2); by the Census it lies in Groton, Stonington and not in New London" in elsewhere["06355"]
    )
    assert "another State" in elsewhere["10001"]
    assert [finding.value for finding in named(outcome, "ZIP_UNKNOWN")] == ["06999"]
    assert [finding.value for finding in named(outcome, "POSTAL_CITY_ELSEWHERE")] == ["Hartford"]
    assert outcome.summary["rows"]["held"] == 0
    assert len(named(outcome, "PARCELS_NOT_COMPARED")) == 1


def to_new_london(xy: Any) -> Any:
    return xy - np.array([WEST, SOUTH]) + np.array([1_177_300.0, 688_000.0])


@pytest.mark.real
def test_few_real_addresses_stand_out_along_their_streets(
    shared_settings: Settings, shared_data: Path, tmp_path: Path
) -> None:
    """Locations of New London's parcels at the middle of each: a town in good order, so hardly any may be named."""
    parcels = pq.read_table(
        shared_data / "ct-parcels-2025-sample" / "ct_parcels_6_towns_wgs84.parquet",
        columns=["Town_Name", "Location", "geometry"],
    )
    parcels = parcels.filter(pc.equal(pc.utf8_upper(parcels.column("Town_Name")), "NEW LONDON"))
    middles = shapely.centroid(shapely.from_wkb(parcels.column("geometry").to_numpy()))
    columns = {"FULL_ADDRESS": parcels.column("Location"), "LON": shapely.get_x(middles), "LAT": shapely.get_y(middles)}
    file = tmp_path / "points.csv"
    pa.csv.write_csv(pa.table(columns), file)
    outcome = submit(shared_settings, Request(file, "New London", 2025, publish=False), quiet)
    findings = outcome.summary["findings"]
    assert outcome.summary["rows"]["read"] == 7_297
    assert "NOT_EVALUATED" not in findings
    odd = ("NUMBER_OUT_OF_ORDER", "NUMBER_ON_OTHER_SIDE", "STREET_SPELLED_ODD", "STREET_TYPE_LEFT_OUT")
    assert sum(findings.get(code, 0) for code in odd) < 20
