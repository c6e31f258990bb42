"""Coordinate systems: believed, found or said to be open; never guessed silently, and every foot of doubt told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio.raw
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from statewide.crs import CrsDecision, crs_findings, settle_crs
from statewide.errors import LawError
from statewide.findings import FindingLog
from statewide.geometry import to_storage
from statewide.register import authority_outlines
from tests.coordinates import FAMILY, HARTFORD, STANDARD, moved_to, shapes, wkt

TOWN = shapely.box(1_010_000, 830_000, 1_040_000, 860_000)


def by(items: npt.NDArray[np.object_], rule: Any) -> npt.NDArray[np.object_]:
    """Shapes whose coordinates, an array of x and y, went through a rule."""
    found: npt.NDArray[np.object_] = shapely.transform(items, rule)
    return found


def town_of_lots(count: int = 120) -> npt.NDArray[np.object_]:
    """Lots of many sizes around Hartford, as a town has them; always the same."""
    numbers = np.random.default_rng(7)
    x, y = numbers.uniform(1_012_000, 1_038_000, count), numbers.uniform(832_000, 858_000, count)
    found: npt.NDArray[np.object_] = shapely.box(
        x, y, x + numbers.uniform(50, 400, count), y + numbers.uniform(50, 400, count)
    )
    return found


LOTS = town_of_lots()


def codes(crs: CrsDecision) -> dict[str, str]:
    """The findings that a decision gives rise to: code → sentence."""
    log = FindingLog(STANDARD, "parcel", 2025, "Hartford", "37000")
    crs_findings(log, crs)
    return {finding.code: finding.sentence for finding in log.findings}


# ── which coordinate system ──────────────────────────────────────────────────────────────────────────────────────────

places = st.lists(st.tuples(st.floats(1_010_000, 1_039_000), st.floats(830_000, 859_000)), min_size=1, max_size=12)


@pytest.mark.parametrize("epsg", sorted(FAMILY))
@given(corners=places)
def test_a_system_that_is_not_stated_is_recognised(epsg: int, corners: list[tuple[float, float]]) -> None:
    lots = moved_to(epsg, shapes(*(shapely.box(x, y, x + 200, y + 150) for x, y in corners)))
    found = settle_crs(lots, None, None, TOWN, STANDARD)
    assert found.how == "assumed"
    assert found.epsg is not None
    assert FAMILY[found.epsg] == FAMILY[epsg]
    assert epsg in (found.epsg, *found.alternatives)
    assert found.share_in_town == 1.0


@pytest.mark.parametrize("epsg", sorted(FAMILY))
def test_a_stated_system_is_believed_when_the_shapes_then_lie_in_the_town(epsg: int) -> None:
    lots = moved_to(epsg, shapes(shapely.box(*HARTFORD, HARTFORD[0] + 200, HARTFORD[1] + 200), None))
    found = settle_crs(lots, epsg, f"EPSG:{epsg}", TOWN, STANDARD)
    assert (found.epsg, found.how, found.share_in_town, found.better) == (epsg, "declared", 1.0, None)


def test_degrees_by_the_names_of_their_columns_leave_no_doubt_and_one_note() -> None:
    lots = moved_to(4326, LOTS)
    found = settle_crs(lots, 4326, "GEOGCRS[…]", TOWN, STANDARD, by_name=True)
    assert (found.epsg, found.how, found.rivals) == (4326, "named", ())
    log = FindingLog(STANDARD, "parcel", 2025, "Hartford", "37000")
    crs_findings(log, found)
    assert [(finding.code, finding.severity) for finding in log.findings] == [("CRS_NAMED", "NOTE")]
    assert (
        "columns for longitude and latitude, so they were read in EPSG:4326 (WGS 84); 100 %" in log.findings[0].sentence
    )


def test_degrees_by_name_that_do_not_lie_in_the_town_are_as_degrees_of_which_nothing_is_said() -> None:
    swapped = by(moved_to(4326, LOTS), lambda xy: xy[:, ::-1])
    found = settle_crs(swapped, 4326, "GEOGCRS[…]", TOWN, STANDARD, by_name=True)
    assert found == settle_crs(swapped, None, None, TOWN, STANDARD)
    assert "axes swapped" in found.why


def test_a_wrong_statement_is_kept_and_the_right_system_named() -> None:
    lots = shapes(shapely.box(*HARTFORD, HARTFORD[0] + 200, HARTFORD[1] + 200))
    found = settle_crs(lots, 26956, "EPSG:26956", TOWN, STANDARD)
    assert (found.epsg, found.share_in_town, found.better) == (26956, 0.0, 2234)


@pytest.mark.parametrize("epsg", [26756, 4267])
def test_trap_11_nad27_is_refused_and_never_guessed_at(epsg: int) -> None:
    found = settle_crs(shapes(shapely.Point(600_000, 300_000)), epsg, f"EPSG:{epsg}", TOWN, STANDARD)
    assert found.epsg is None
    assert "NAD27" in found.why


@pytest.mark.parametrize(("epsg", "stated"), [(None, "LOCAL_CS[engineer's drawing]"), (32056, "EPSG:32056")])
def test_a_system_that_we_do_not_accept_is_refused_by_its_name(epsg: int | None, stated: str) -> None:
    found = settle_crs(shapes(shapely.Point(*HARTFORD)), epsg, stated, TOWN, STANDARD)
    assert found.epsg is None
    assert (stated if epsg is None else f"EPSG:{epsg}") in found.why


@pytest.mark.parametrize(
    "odd",
    [
        [],
        [None],
        [wkt("POLYGON EMPTY"), wkt("MULTIPOLYGON EMPTY")],
        [wkt("POLYGON ((0 0, nan 0, 1 1, 0 0))")],
        [shapely.box(1e300, 1e300, 1.1e300, 1.1e300)],
        [shapely.Point(0, 0), shapely.LineString([(0, 0), (1, 1)])],
    ],
    ids=["no rows", "no shape", "empty", "NaN", "far off", "points and lines"],
)
def test_shapes_that_are_nowhere_settle_nothing_and_break_nothing(odd: list[Any]) -> None:
    assert settle_crs(shapes(*odd), None, None, TOWN, STANDARD).epsg is None
    for epsg in FAMILY:
        assert settle_crs(shapes(*odd), epsg, f"EPSG:{epsg}", TOWN, STANDARD).share_in_town == 0.0
        to_storage(shapes(*odd), epsg, STANDARD)


# ── what looks alike ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_systems_with_the_same_numbers_are_named_with_the_feet_that_they_may_differ() -> None:
    found = settle_crs(LOTS, None, None, TOWN, STANDARD)
    assert (found.epsg, found.alternatives, found.rivals) == (2234, (6434, 2879, 3508), ())
    assert "EPSG:6434, EPSG:2879, EPSG:3508" in codes(found)["CRS_ASSUMED"]
    assert "3.3 ft at most" in codes(found)["CRS_ASSUMED"]
    assert "CRS_AMBIGUOUS" not in codes(found)


@pytest.mark.parametrize(("epsg", "rival", "feet"), [(4326, 4267, 131), (26918, 26718, 703), (26919, 26719, 702)])
def test_a_refused_system_that_the_outline_cannot_rule_out_is_named_with_its_feet(
    epsg: int, rival: int, feet: int
) -> None:
    found = settle_crs(moved_to(epsg, LOTS), None, None, TOWN, STANDARD)
    assert found.epsg == epsg
    assert [it.epsg for it in found.rivals] == [rival]
    assert found.rivals[0].feet == pytest.approx(feet, abs=5)
    assert f"EPSG:{rival} (NAD27" in codes(found)["CRS_AMBIGUOUS"]


@pytest.mark.parametrize("epsg", [4326, 26918, 26919])
def test_last_years_parcels_rule_it_out(epsg: int) -> None:
    found = settle_crs(moved_to(epsg, LOTS), None, None, TOWN, STANDARD, live=LOTS)
    assert (found.epsg, found.rivals) == (epsg, ())
    assert found.shift is not None
    assert found.shift.feet < 0.1
    assert codes(found).keys() == {"CRS_ASSUMED"}


@pytest.mark.parametrize("epsg", [4267, 26718, 26719, 26756])
def test_trap_11_last_years_parcels_give_nad27_away_where_the_numbers_do_not(epsg: int) -> None:
    found = settle_crs(moved_to(epsg, LOTS), None, None, TOWN, STANDARD, live=LOTS)
    assert found.epsg is None
    assert f"(EPSG:{epsg})" in found.why
    assert "grid" in found.why


def test_two_accepted_systems_that_would_both_do_are_not_chosen_between() -> None:
    # No town lies where both readings of its numbers do, so the outline invents one.
    degrees = settle_crs(LOTS, None, None, TOWN, STANDARD)
    metres = to_storage(LOTS, 26956, STANDARD)
    both = shapely.union(TOWN, shapely.buffer(shapely.envelope(shapely.geometrycollections(metres)), 10))
    found = settle_crs(LOTS, None, None, both, STANDARD)
    assert degrees.epsg == 2234
    assert found.epsg is None
    assert "EPSG:2234 would do, but also EPSG:26956" in found.why
    assert "ft away" in found.why


# ── slips ────────────────────────────────────────────────────────────────────────────────────────────────────────────

SLIPS = {
    "EPSG:2234 with its axes swapped": lambda: by(LOTS, lambda xy: xy[:, ::-1]),
    "EPSG:4326 with its axes swapped": lambda: by(moved_to(4326, LOTS), lambda xy: xy[:, ::-1]),
    "EPSG:3857 with its axes swapped": lambda: by(moved_to(3857, LOTS), lambda xy: xy[:, ::-1]),
    "EPSG:26918 with its axes swapped": lambda: by(moved_to(26918, LOTS), lambda xy: xy[:, ::-1]),
    "EPSG:4326 with longitudes that lost their minus": lambda: by(moved_to(4326, LOTS), lambda xy: xy * (-1, 1)),
    "EPSG:2234 with a false origin in metres": lambda: by(LOTS, lambda xy: xy - (695_199.3904, 347_599.6952)),
    "EPSG:26956 with a false origin in feet": lambda: by(
        moved_to(26956, LOTS), lambda xy: xy - (-695_199.3904, -347_599.6952)
    ),
    "EPSG:2234 without its false origin": lambda: by(LOTS, lambda xy: xy - (1_000_000, 500_000)),
    "EPSG:2234 converted from metres to feet twice": lambda: by(LOTS, lambda xy: xy * 3937 / 1200),
    "EPSG:26956 converted from feet to metres twice": lambda: by(moved_to(26956, LOTS), lambda xy: xy * 1200 / 3937),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_recognised_and_named_and_not_mended_behind_the_towns_back(slip: str) -> None:
    lots = SLIPS[slip]()
    unstated = settle_crs(lots, None, None, TOWN, STANDARD)
    assert unstated.epsg is None
    assert f"{slip}; mended, 100 % of the shapes" in unstated.why
    stated = settle_crs(lots, 2234, "EPSG:2234", TOWN, STANDARD)
    assert (stated.epsg, stated.share_in_town) == (2234, 0.0)
    assert slip in codes(stated)["WRONG_PLACE"]


def test_trap_11_nad27_numbers_without_a_statement_are_refused_by_name() -> None:
    found = settle_crs(moved_to(26756, LOTS), None, None, TOWN, STANDARD)
    assert found.epsg is None
    assert "EPSG:26756" in found.why
    declared = settle_crs(moved_to(26756, LOTS), 2234, "EPSG:2234", TOWN, STANDARD)
    assert "EPSG:26756" in codes(declared)["WRONG_PLACE"]


def test_a_system_that_we_do_not_accept_comes_with_the_one_that_fits() -> None:
    found = settle_crs(LOTS, 32056, "EPSG:32056", TOWN, STANDARD)  # Wyoming's, often taken for Connecticut's NAD27
    assert found.epsg is None
    assert "EPSG:32056" in found.why
    assert "Read in EPSG:2234 (NAD83 / Connecticut (ftUS)), 100 % of the shapes would lie there." in found.why


# ── beside last year's parcels ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("move", "said", "explained"),
    [
        ((-131, 6), "131.1 ft west", "EPSG:26756"),
        ((20, 0), "20.0 ft east", ""),
        ((0, -3.1), "3.1 ft south", "realisations of NAD83"),
    ],
)
def test_a_declared_system_that_puts_the_town_beside_last_years_is_told_in_feet(
    move: tuple[float, float], said: str, explained: str
) -> None:
    found = settle_crs(by(LOTS, lambda xy: xy + np.array(move)), 2234, "EPSG:2234", TOWN, STANDARD, live=LOTS)
    assert (found.epsg, found.how) == (2234, "declared")
    assert str(found.shift) == said
    assert found.shifts == {2234: pytest.approx(float(np.hypot(*move)), abs=0.01)}
    assert f"100 % of the parcels looked at lie {said} of" in codes(found)["CRS_OFFSET"]
    assert explained in found.shift_hint
    assert bool(explained) == bool(found.shift_hint)


def test_trap_11_a_foot_taken_for_the_other_is_told_from_last_years_parcels() -> None:
    lots = by(LOTS, lambda xy: xy * (1200 / 3937) / 0.3048)
    found = settle_crs(lots, 2234, "EPSG:2234", TOWN, STANDARD, live=LOTS)
    assert str(found.shift) == "2.7 ft north-east"
    assert "International feet" in codes(found)["CRS_OFFSET"]


def test_the_shift_is_found_among_splits_merges_and_redrawn_lots() -> None:
    half = by(LOTS, lambda xy: xy - (-20, 0))
    half[::2] = shapely.buffer(half[::2], 11, join_style="mitre")
    found = settle_crs(half, 2234, "EPSG:2234", TOWN, STANDARD, live=LOTS)
    assert str(found.shift) == "20.0 ft east"
    assert found.shift is not None
    assert 0.45 < found.shift.share < 0.55


def test_in_a_grid_of_lots_that_are_all_alike_no_shift_is_made_up() -> None:
    west_to_east, south_to_north = np.arange(1_012_000, 1_032_000, 200.0), np.arange(832_000, 852_000, 200.0)
    x, y = (axis.ravel() for axis in np.meshgrid(west_to_east, south_to_north))
    grid = shapely.box(x, y, x + 200, y + 200)
    still = settle_crs(grid, 2234, "EPSG:2234", TOWN, STANDARD, live=grid)
    assert (still.shift and still.shift.feet) == 0.0
    moved = settle_crs(by(grid, lambda xy: xy - (131, 0)), 2234, "EPSG:2234", TOWN, STANDARD, live=grid)
    assert moved.shift is None


@pytest.mark.parametrize("live", [shapes(), shapes(None), LOTS[:3], shapely.buffer(LOTS, 30)], ids=len)
def test_nothing_is_said_of_a_shift_where_there_is_too_little_to_go_by(live: npt.NDArray[np.object_]) -> None:
    found = settle_crs(LOTS, 2234, "EPSG:2234", TOWN, STANDARD, live=live)
    assert (found.epsg, found.shift) == (2234, None)


# ── a person's word ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_towns_reviewed_system_comes_before_what_the_file_says_or_does_not_say() -> None:
    for declared in (None, 26956, 32056):
        found = settle_crs(LOTS, declared, f"EPSG:{declared}" if declared else None, TOWN, STANDARD, reviewed=6434)
        assert (found.epsg, found.how, found.share_in_town) == (6434, "reviewed", 1.0)
        assert codes(found) == {}
    with pytest.raises(LawError, match="EPSG:32056"):
        settle_crs(LOTS, None, None, TOWN, STANDARD, reviewed=32056)


def test_a_reviewed_system_is_no_licence_to_be_in_the_wrong_place() -> None:
    found = settle_crs(LOTS, None, None, TOWN, STANDARD, reviewed=26956)
    assert codes(found).keys() == {"WRONG_PLACE"}


# ── real towns ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "town"), [("new_london_parcels_2025.zip", "New London"), ("franklin_parcels_2025_noprj.zip", "Franklin")]
)
def test_a_real_town_in_any_system_is_never_put_in_a_wrong_place_without_a_word(
    shared_data: Path, name: str, town: str
) -> None:
    given = np.asarray(shapely.from_wkb(pyogrio.raw.read(shared_data / "deliveries" / name, columns=[])[2]))[::5]
    outline = authority_outlines(STANDARD)[[it.town_name for it in STANDARD.municipalities].index(town)]
    for epsg in (*FAMILY, 26756, 4267, 26718, 26719):
        rewritten = moved_to(epsg, given)
        alone = settle_crs(rewritten, None, None, outline, STANDARD)
        beside = settle_crs(rewritten, None, None, outline, STANDARD, live=given)
        if epsg in FAMILY:
            assert epsg in (alone.epsg, *alone.alternatives)
            assert epsg in (beside.epsg, *beside.alternatives)
            assert (beside.rivals, beside.shift_hint) == ((), "")
        else:
            assert alone.epsg is None or epsg in [rival.epsg for rival in alone.rivals]
            assert beside.epsg is None
            assert f"EPSG:{epsg})" in beside.why
