"""The line between two towns: what is measured along it, what the register keeps, and lots that stand on two rolls."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely import affinity
from typer.testing import CliRunner

from cadastral.cli import app
from cadastral.meeting import submit
from cadastral.seams import lines
from cadastral.town_line import TownLine, measure
from statewide.database import connect
from statewide.findings import Finding
from statewide.geometry import repair, to_storage
from statewide.intake import Outcome, Request
from statewide.register import Town, add_invented_towns
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.planted import Plan, plans, planted
from tests.towns import LOT, SOUTH, WEST, Fabric, alder, write

LINE = WEST + 1_600.0
"""Where the two towns meet: ELM lies west of it, FIR east."""
ELM = Town("99911", 911, "Elm", shapely.box(WEST - 400, SOUTH - 500, LINE, SOUTH + 2_100))
FIR = Town("99912", 912, "Fir", shapely.box(LINE, SOUTH - 500, LINE + 2_000, SOUTH + 2_100))
Shapes = NDArray[np.object_]


def lots(west: float, columns: int = 2, rows: int = 8) -> Shapes:
    return np.array(
        [
            shapely.box(x, y, x + LOT, y + LOT)
            for y in SOUTH + LOT * np.arange(rows)
            for x in west + LOT * np.arange(columns)
        ],
        dtype=object,
    )


def compare(ours: Shapes, theirs: Shapes) -> TownLine:
    return measure(ours, theirs, 20, 0.05, 0.01)


def test_two_towns_that_draw_one_line_have_nothing_between_them() -> None:
    line = compare(lots(LINE - 2 * LOT), lots(LINE))
    assert (line.line_ft, line.alike_ft) == (1_600, 1_600)
    assert (line.gap_sqft, line.overlap_sqft, len(line.pairs.sqft)) == (0, 0, 0)
    assert (len(line.ours), len(line.theirs)) == (8, 8)


def test_corners_on_one_side_only_are_no_difference() -> None:
    theirs = np.array([affinity.translate(lot, 0, 100) for lot in lots(LINE, 1)], dtype=object)
    line = compare(lots(LINE - 2 * LOT), theirs)
    assert (line.line_ft, line.alike_ft) == (pytest.approx(1_500, abs=1), 0)
    assert (line.gap_sqft, line.overlap_sqft) == (0, 0)


@pytest.mark.parametrize("apart", [0.5, 8.0, 19.0])
def test_a_gap_is_measured_as_wide_as_it_is(apart: float) -> None:
    line = compare(lots(LINE - 2 * LOT), lots(LINE + apart))
    assert line.gap_sqft == pytest.approx(1_600 * apart, rel=0.06)  # it is open at both ends
    assert line.gap_widest_ft == pytest.approx(apart, abs=0.1)
    assert line.line_ft == pytest.approx(1_600, rel=0.03)
    assert line.overlap_sqft == 0


@pytest.mark.parametrize("apart", [21.0, 33.0, 50.0, 400.0])
def test_a_road_that_both_leave_out_is_no_gap(apart: float) -> None:
    line = compare(lots(LINE - 2 * LOT), lots(LINE + apart))
    assert (line.gap_sqft, line.overlap_sqft, line.line_ft) == (0, 0, 0)


def test_a_road_across_the_line_is_no_gap() -> None:
    south, north = (
        lots(LINE - 2 * LOT, 4, 2),
        affinity.translate(shapely.multipolygons(lots(LINE - 2 * LOT, 4, 2)), 0, 450),
    )
    everything = np.append(south, shapely.get_parts(north))
    ours = shapely.centroid(everything)
    is_ours = shapely.get_x(ours) < LINE
    line = compare(everything[is_ours], everything[~is_ours])
    assert (line.gap_sqft, line.line_ft) == (0, 800)


def test_an_overlap_is_measured_once_and_by_pairs() -> None:
    ours, theirs = lots(LINE - 2 * LOT), lots(LINE - 6)
    line = compare(np.append(ours, ours[:4]), theirs)  # four of ours are stacked; the land is not
    assert line.overlap_sqft == pytest.approx(6 * 1_600)
    assert line.overlap_widest_ft == pytest.approx(6)
    assert len(line.pairs.sqft) == 8 + 2
    assert line.pairs.sqft == pytest.approx(1_200)
    assert line.pairs.share_of_ours == pytest.approx(0.03)


def test_the_same_lot_in_both_towns_is_a_pair() -> None:
    ours, theirs = lots(LINE - 2 * LOT), lots(LINE)
    line = compare(ours, np.append(theirs, ours[1]))
    assert line.overlap_sqft == pytest.approx(LOT * LOT)
    assert (line.pairs.ours.tolist(), line.pairs.theirs.tolist()) == ([1], [len(theirs)])


def test_towns_that_do_not_meet_have_no_line() -> None:
    none = np.zeros(0, dtype=object)
    for theirs in (lots(LINE + 5_000), none):
        line = compare(lots(LINE - 2 * LOT), theirs)
        assert (line.line_ft, line.gap_sqft, line.overlap_sqft, len(line.ours)) == (0, 0, 0, 0)


@pytest.mark.real
def test_a_real_line_is_measured_alike_from_both_sides(shared_data: Path) -> None:
    standard = load_standard()
    file = shared_data / "ct-parcels-2025-sample" / "ct_parcels_6_towns_wgs84.parquet"
    table = pq.read_table(file, columns=["Town_Name", "geometry"])
    names = table.column("Town_Name").to_numpy(zero_copy_only=False)
    given = shapely.from_wkb(table.column("geometry").to_numpy(zero_copy_only=False))
    shapes = repair(to_storage(given, 4326, standard)).shapes
    drawn = ~shapely.is_missing(shapes)
    union, woodstock = (shapes[drawn & (names == name)] for name in ("Union", "Woodstock"))
    here, there = compare(union, woodstock), compare(woodstock, union)
    for line in (here, there):
        assert line.line_ft == pytest.approx(25_480, abs=10)
        assert line.gap_sqft < 1
        assert line.overlap_sqft < 1
    gap, overlap = (
        compare(union, np.array([affinity.translate(shape, feet, 0) for shape in woodstock], dtype=object))
        for feet in (8, -8)
    )
    assert gap.gap_sqft == pytest.approx(overlap.overlap_sqft, rel=1e-4)
    assert gap.gap_widest_ft == pytest.approx(8, abs=0.1)  # the line runs north and south here
    assert overlap.overlap_widest_ft == pytest.approx(8, abs=0.1)


def fabric_of(town: Town, west: float) -> Fabric:
    """The lots of `alder`, under another town's name and elsewhere."""
    fabric = alder()
    fabric.shapes = [affinity.translate(shape, west - WEST) for shape in fabric.shapes if shape is not None]
    fabric.columns["Town_Name"] = [town.town_name] * len(fabric)
    fabric.columns["CAMA_Link"] = [f"{town.cousub_fips}-{link}" for link in fabric.columns["Link"]]
    return fabric


Deliver = Callable[..., Outcome]


@pytest.fixture
def deliver(settings: Settings, tmp_path: Path) -> Deliver:
    """Hand a fabric in for one of the two towns."""
    with connect(settings) as connection:
        add_invented_towns(connection, load_standard(), [ELM, FIR])

    def go(town: Town, fabric: Fabric, publish: bool = True) -> Outcome:
        file = write(fabric, tmp_path / town.town_name)
        return submit(settings, Request(file, town.town_name, 2025, publish=publish), lambda message: None)

    return go


def codes(outcome: Outcome) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in outcome.log.findings:
        found.setdefault(finding.code, []).append(finding)
    return found


def registered(settings: Settings) -> list[dict[str, Any]]:
    with connect(settings) as connection:
        return lines(connection, None)


def test_a_town_without_a_neighbour_has_no_line_and_two_that_match_have_a_quiet_one(
    settings: Settings, deliver: Deliver
) -> None:
    assert codes(deliver(ELM, fabric_of(ELM, WEST))) == {}
    assert registered(settings) == []
    outcome = deliver(FIR, fabric_of(FIR, LINE))
    assert codes(outcome) == {}
    assert "behind" not in outcome.summary or outcome.summary["behind"] == {}
    [line] = registered(settings)
    assert (line["town_a"], line["town_b"]) == ("Elm", "Fir")
    assert (line["line_ft"], line["alike_ft"], line["gap_sqft"], line["overlap_sqft"]) == (1_600, 1_600, 0, 0)
    assert (line["parcels_a"], line["parcels_b"], line["index_line_ft"]) == (8, 8, 2_600)
    assert str(line["submission_b"]) == outcome.summary["submission"]


def test_what_lies_between_two_towns_is_said_to_the_one_that_delivers(settings: Settings, deliver: Deliver) -> None:
    deliver(ELM, fabric_of(ELM, WEST))
    for west, code, severity, words in (
        (LINE + 3, "SEAM", "NOTE", "at most 3.0 ft wide"),
        (LINE + 9, "SEAM_WIDE", "WARN", "at most 9.0 ft wide"),
        (LINE - 7, "SEAM_WIDE", "WARN", "11,200.0 sq ft to both (at most 7.0 ft)"),
    ):
        outcome = codes(deliver(FIR, fabric_of(FIR, west), publish=False))
        assert set(outcome) == {code}
        [finding] = outcome[code]
        assert (finding.severity, finding.owner) == (severity, "cog")
        assert "with Elm" in finding.sentence
        assert words in finding.sentence
        assert finding.shape is not None
    assert registered(settings) == []  # a dry run leaves the register alone


def test_a_lot_on_two_rolls_counts_where_more_of_it_lies(settings: Settings, deliver: Deliver) -> None:
    deliver(ELM, fabric_of(ELM, WEST))
    fir = fabric_of(FIR, LINE)
    copied = {"Town_Name": "Fir", "Link": "both", "Parcel_ID": "both", "CAMA_Link": "99912-both"}
    fir.append(shapely.box(LINE - LOT, SOUTH, LINE + 20, SOUTH + LOT), **copied)  # Elm's lot 1-8, and a strip of Fir
    fir.append(shapely.box(LINE - 60, SOUTH + LOT, LINE, SOUTH + 2 * LOT), **copied | {"Parcel_ID": "corner"})
    outcome = codes(deliver(FIR, fir))
    assert [
        (finding.row_no, "of Elm, as parcel 1-8" in finding.sentence) for finding in outcome["LOT_ON_TWO_ROLLS"]
    ] == [
        (65, True),
        (66, False),
    ]
    [line] = registered(settings)
    lots = line["shared_lots"]
    assert [(lot["overlap_sqft"], lot["counts_in"], lot["counts_because"]) for lot in lots] == [
        (40_000, "Elm", "outline"),  # it lies west of the line
        (12_000, "Elm", "larger"),  # only a part of Elm's lot: leaving Elm's out would lose the rest
    ]
    with connect(settings) as connection:
        doubled = connection.execute(
            "SELECT sum(area_sqft) FROM cadastral.parcel WHERE parcel_uid NOT IN"
            " (SELECT uncounted_parcel_uid FROM cadastral.shared_lot)"
        ).fetchone()
    assert doubled == (pytest.approx(128 * LOT * LOT),)


def test_the_register_follows_the_parcels_and_keeps_what_was_agreed(
    settings: Settings, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATEWIDE_HOME", str(settings.home))
    monkeypatch.setenv("STATEWIDE_DATABASE_URL", settings.require_database_url())
    deliver(ELM, fabric_of(ELM, WEST))
    deliver(FIR, fabric_of(FIR, LINE + 9))
    [before] = registered(settings)
    assert before["gap_widest_ft"] == pytest.approx(9)

    run = CliRunner()
    agreed = ["agree-line", "--between", "Fir", "--and", "elm", "--by", "both engineers", "--note", "the 1906 bounds"]
    wkt = f"LINESTRING ({LINE} {SOUTH}, {LINE} {SOUTH + 1_600})"
    assert run.invoke(app, [*agreed, "--on", "2025-06-01", "--line", wkt, "--json"]).exit_code == 0
    deliver(FIR, fabric_of(FIR, LINE + 9))  # unchanged: not measured again
    [same] = registered(settings)
    assert same["measured_at"] == before["measured_at"]
    deliver(FIR, fabric_of(FIR, LINE + 4))
    [after] = registered(settings)
    assert after["gap_widest_ft"] == pytest.approx(4)
    assert after["measured_at"] > before["measured_at"]
    assert (after["agreed_by"], str(after["agreed_on"]), after["agreed_note"], after["agreed_line_wkt"]) == (
        "both engineers",
        "2025-06-01",
        "the 1906 bounds",
        wkt,
    )
    shown = run.invoke(app, ["seams", "--town", "Elm", "--json"])
    assert json.loads(shown.stdout)["lines"][0]["agreed_by"] == "both engineers"
    table = run.invoke(app, ["seams", "--measure"]).stdout
    assert "Elm / Fir" in table
    assert "agreed 2025-06-01 by both engineers: the 1906 bounds" in table


def test_an_agreement_needs_a_line_of_these_towns(
    settings: Settings, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATEWIDE_HOME", str(settings.home))
    monkeypatch.setenv("STATEWIDE_DATABASE_URL", settings.require_database_url())
    deliver(ELM, fabric_of(ELM, WEST))
    run = CliRunner()
    agreed = ["agree-line", "--between", "Elm", "--by", "both", "--note", "as it is"]
    for more, words in (
        (["--and", "Fir"], "must have live parcels"),
        (["--and", "Fir", "--line", "LINE (1 2)"], "not well-known text"),
        (["--and", "Fir", "--line", "POINT (1 2)"], "must be a LINESTRING"),
        (["--and", "Fir", "--line", "LINESTRING (-72 41, -72 42)"], "does not run between"),
    ):
        assert words in str(run.invoke(app, [*agreed, *more]).exception)


@given(plans, st.integers(0, 2**32 - 1))
def test_overlaps_of_two_towns_are_those_of_the_plain_way(plan: Plan, seed: int) -> None:
    shapes = planted(plan)
    is_ours = np.random.default_rng(seed).random(len(shapes)) < 0.5
    ours, theirs = shapes[is_ours], shapes[~is_ours]
    line = compare(ours, theirs)
    both = shapely.intersection(shapely.union_all(ours), shapely.union_all(theirs)).area
    assert line.overlap_sqft == pytest.approx(both, abs=5)  # strips below the grid's hundredth of a foot may be missed
    plain = {
        (i, j): shared
        for i, one in enumerate(ours)
        for j, other in enumerate(theirs)
        if (shared := one.intersection(other).area) >= 5
    }
    pairs = zip(line.pairs.ours, line.pairs.theirs, line.pairs.sqft, strict=True)
    found = {(int(i), int(j)): float(sqft) for i, j, sqft in pairs if sqft >= 5}
    assert found == pytest.approx(plain, abs=1e-3)
