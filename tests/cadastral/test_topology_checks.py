"""What a town hears about overlaps, gaps and slivers: dry runs of invented deliveries, each with one planted fault."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import shapely
from shapely import affinity

from cadastral.meeting import submit
from statewide.findings import Finding
from statewide.intake import Outcome, Request
from statewide.settings import Settings
from tests.towns import LOT, SOUTH, WEST, Fabric, alder, found_alder, write

Check = Callable[[Fabric], Outcome]


@pytest.fixture(scope="module")
def check(shared_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Check a fabric; nothing is published."""
    found_alder(shared_settings)

    def go(fabric: Fabric) -> Outcome:
        file = write(fabric, tmp_path_factory.mktemp("delivery"))
        return submit(shared_settings, Request(file, "Alder", 2025, publish=False), lambda message: None)

    return go


def found(outcome: Outcome) -> dict[str, list[Finding]]:
    """Findings by code, those about areas that no longer fit the column left out."""
    by_code: dict[str, list[Finding]] = {}
    for finding in outcome.log.findings:
        if finding.code not in ("AREA_DISAGREES", "TINY_PARCEL"):
            by_code.setdefault(finding.code, []).append(finding)
    return by_code


def lot(column: int, row: int) -> shapely.Polygon:
    x, y = WEST + column * LOT, SOUTH + row * LOT
    return shapely.box(x, y, x + LOT, y + LOT)


def test_an_overlap_is_named_with_its_square_feet_its_neighbour_and_its_shape(check: Check) -> None:
    fabric = alder()
    fabric.shapes[10] = shapely.box(WEST + 2 * LOT - 3, SOUTH + LOT, WEST + 3 * LOT, SOUTH + 2 * LOT)
    overlap = found(check(fabric))
    assert set(overlap) == {"OVERLAP"}
    [finding] = overlap["OVERLAP"]
    assert finding.row_no == 10
    assert finding.severity == "WARN"
    assert "row 11 (2-3) by 600.0 sq ft (1.5 % of it)" in finding.sentence
    assert finding.shape is not None
    assert finding.shape.area == pytest.approx(600)


def test_overlaps_below_the_limit_are_summed(check: Check) -> None:
    fabric = alder()
    for row in (10, 20):
        fabric.shapes[row] = affinity.translate(fabric.shapes[row], -0.02)
    small = found(check(fabric))
    assert {code: len(findings) for code, findings in small.items()} == {"OVERLAP_SMALL": 1, "GAP_SMALL": 1}
    assert small["OVERLAP_SMALL"][0].severity == "NOTE"
    assert "2 pairs of parcels" in small["OVERLAP_SMALL"][0].sentence
    assert "8.00 sq ft in all" in small["OVERLAP_SMALL"][0].sentence


def test_stamps_on_a_lot_are_one_note_and_a_stack_is_no_overlap(check: Check) -> None:
    fabric = alder()
    for unit in range(5):
        x, y = WEST + 20 + 30 * unit, SOUTH + 50
        fabric.append(shapely.box(x, y, x + 20, y + 40), Parcel_ID=f"U-{unit}", Link=f"U-{unit}", Town_Name="Alder")
        fabric.append(fabric.shapes[30], Parcel_ID=f"S-{unit}", Link=f"S-{unit}", Town_Name="Alder")
    outcome = found(check(fabric))
    assert set(outcome) == {"OVERLAP_INSIDE", "STACKED"}
    [finding] = outcome["OVERLAP_INSIDE"]
    assert finding.row_no == 1
    assert finding.severity == "NOTE"
    assert "5 parcels lie wholly inside" in finding.sentence
    assert "and 2 more" in finding.sentence
    assert "4,000 of its 40,000 sq ft count twice" in finding.sentence


def test_one_lot_drawn_twice_with_other_corners_is_not_a_stack(check: Check) -> None:
    fabric = alder()
    fabric.append(lot(3, 3).buffer(-0.1, join_style="mitre"), Parcel_ID="again", Link="again", Town_Name="Alder")
    twice = found(check(fabric))
    assert set(twice) == {"OVERLAP_SAME"}
    assert [finding.row_no for finding in twice["OVERLAP_SAME"]] == [65]


def test_a_sliver_of_no_parcel_is_told_from_a_road_that_is_left_out(check: Check) -> None:
    fabric = alder()
    x, y = WEST + 2 * LOT, SOUTH + LOT
    fabric.shapes[10] = shapely.box(x + 2, y, x + LOT, y + LOT)  # 400 sq ft belong to nobody
    fabric.drop([45])
    outcome = found(check(fabric))
    assert set(outcome) == {"GAP", "GAP_LAND"}
    [gap], [land] = outcome["GAP"], outcome["GAP_LAND"]
    assert (gap.severity, land.severity) == ("WARN", "NOTE")
    assert "400.0 sq ft between row 2" in gap.sentence  # and the lots beside and above it
    assert "40,000 sq ft (0.92 acres)" in land.sentence
    assert gap.shape is not None
    assert gap.shape.area == pytest.approx(400)


def test_gaps_below_the_limit_are_summed(check: Check) -> None:
    fabric = alder()
    x, y = WEST + 2 * LOT, SOUTH + LOT
    fabric.shapes[10] = shapely.box(x + 0.02, y, x + LOT, y + LOT)
    outcome = found(check(fabric))
    assert set(outcome) == {"GAP_SMALL"}
    assert "1 gap of less than 10 sq ft each between parcels; 4.00 sq ft in all" in outcome["GAP_SMALL"][0].sentence


def test_slivers_spikes_and_far_parts_are_named_at_their_rows(check: Check) -> None:
    fabric = alder()
    x, y = WEST + 2 * LOT, SOUTH + LOT
    fabric.shapes[9] = shapely.box(x - LOT, y, x - 2, y + LOT)
    fabric.append(shapely.box(x - 2, y, x, y + LOT), Parcel_ID="strip", Link="strip", Town_Name="Alder")
    x = WEST + 8 * LOT
    fabric.shapes[7] = shapely.Polygon(
        [(x - LOT, SOUTH), (x, SOUTH), (x, SOUTH + 50), (x + 90, SOUTH + 50.1), (x, SOUTH + 50.2), (x, SOUTH + LOT),
         (x - LOT, SOUTH + LOT)]
    )  # fmt: skip
    fabric.shapes[63] = shapely.MultiPolygon([lot(7, 7), lot(7, 12)])
    outcome = found(check(fabric))
    assert {code: [finding.row_no for finding in findings] for code, findings in outcome.items()} == {
        "SLIVER": [65],
        "SPIKE": [8],
        "MULTIPART_FAR": [64],
    }
    assert "1.98 ft wide in the mean and 202 ft long" in outcome["SLIVER"][0].sentence
    assert "2 parts in 2 groups" in outcome["MULTIPART_FAR"][0].sentence


def test_a_bad_file_stays_readable(check: Check) -> None:
    fabric = alder(rows=12, columns=12)
    fabric.shapes = [None if shape is None else affinity.scale(shape, 1.1, 1.1) for shape in fabric.shapes]
    outcome = found(check(fabric))
    assert len(outcome["OVERLAP"]) == 100
    [more] = outcome["MORE_OF_THE_SAME"]
    assert "“Two parcels overlap” was found 506 times; only the 100 gravest are shown" in more.sentence
    assert len(outcome) == 2
