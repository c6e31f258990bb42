"""The report folder, on an invented town whose file has something of everything."""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
import struct
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from markupsafe import escape

from statewide.crosswalk import Score
from statewide.errors import BadArgument
from statewide.findings import FindingLog
from statewide.report import Against, CrsTried, KeyTried, ReportInput, write_report
from statewide.score import ScoreInput, faulty_rows, score, scored_fields
from statewide.standard import load_standard

EAST, NORTH = 1_020_000.0, 839_000.0  # near Hartford, in EPSG:6434
EVIL = '=HYPERLINK("evil")'
COUNTED = ("findings.csv", "findings.gpkg", "report.html", "report.json")


def lot(column: int, row: int, width: float = 100.0) -> shapely.Geometry:
    x, y = EAST + 110 * column, NORTH + 110 * row
    return shapely.multipolygons([shapely.box(x, y, x + width, y + 100)])


def an_hourglass(column: int, row: int) -> shapely.Geometry:
    x, y = EAST + 110 * column, NORTH + 110 * row
    return shapely.Polygon([(x, y), (x + 100, y + 100), (x + 100, y), (x, y + 100)])


def a_corner_nowhere() -> shapely.Geometry:
    corners = np.array([(EAST, NORTH), (np.nan, NORTH), (EAST, NORTH + 9), (EAST, NORTH)])
    with np.errstate(invalid="ignore"):
        return shapely.from_wkb(b"\x01" + struct.pack("<III", 3, 1, 4) + corners.tobytes())


def town_of_thirty() -> tuple[Any, Any]:
    """Shapes and given shapes of rows 1 … 30: row 7 has none, row 9 is an hourglass, row 11 has a corner at NaN."""
    shapes = np.array([lot(index % 6, index // 6) for index in range(30)], dtype=object)
    given = shapes.copy()
    shapes[6] = given[6] = None
    given[8], shapes[8] = an_hourglass(2, 1), None
    given[10], shapes[10] = a_corner_nowhere(), None
    return shapes, given


def everything(shapes: Any, given: Any) -> FindingLog:
    log = FindingLog(load_standard(), "parcel", 2025, "Elsewhere", "99999")
    log.add("COUNT_DROP", new="27", old="300", share="9 %")
    log.add("GEOMETRY_MISSING", row_no=7)
    log.add(
        "GEOMETRY_REPAIR_LARGE",
        row_no=9,
        why="the boundary crosses itself",
        moved_sqft="9",
        area_sqft="10",
        share="90 %",
    )
    log.add("GEOMETRY_UNUSABLE", row_no=11, why="a coordinate is not a number")
    log.add("AREA_DISAGREES", row_no=3, column="AREA", value="12", area_sqft="10,000")
    log.add("CAMA_LINK_MALFORMED", row_no=4, column="CAMA_Link", value=EVIL)
    log.add("COLUMN_WITHHELD", column="OWNER_NAME")
    log.add(
        "GEOMETRY_REPAIRED", row_no=5, why="…", moved_sqft="1", area_sqft="10,000", shape=shapely.Point(EAST, NORTH)
    )
    for row_no in range(12, 31):
        log.add("STACKED", row_no=row_no, rows="2", shape=shapes[row_no - 1])
    return log


def report_on(log: FindingLog, shapes: Any, given: Any, **changed: Any) -> ReportInput:
    counts = {"read": 30, "published": 27, "held": 3, "ignored": 0}
    counts |= {"added": 2, "changed": 1, "removed": 0, "unchanged": 24, "within_tolerance": 3}
    summary = {
        "submission": "11111111-2222-3333-4444-555555555555", "dataset": "parcel", "town": "Elsewhere",
        "cousub_fips": "99999", "year": 2025, "outcome": "published", "dry": False, "rows": counts,
        "findings": log.counts(), "blocked_by": [],
        "area_sqft": {"read": 280_000.0, "published": 270_000.0, "held": 10_001.0, "repaired": -1.0},
        "crs": {"epsg": 2234, "how": "declared", "share_in_town": 1.0, "alternatives": []},
        "facts": {"rows": 30, "null_geometry": 1, "blank_parcel_id": 0},
        "file": {
            "name": "elsewhere.zip", "sha256": "ab" * 32, "bytes": 12345, "kind": "shapefile", "layer": "parcels",
            "why_this_layer": "the only layer", "encoding": "UTF-8",
        },
        "largest_shift_ft": 0.02,
    }  # fmt: skip
    return ReportInput(
        summary=summary | changed,
        log=log,
        town_outline=shapely.box(EAST - 100, NORTH - 100, EAST + 800, NORTH + 700),
        row_no=np.arange(1, 31),
        shapes=shapes,
        given=given,
        held=log.held_rows(),
        label_field="parcel_id",
        label=lambda row_no: None if row_no == 7 else f"M-{row_no}",
        columns={
            "PID": {"fate": "mapped", "field": "parcel_id", "how": "detected"},
            "WHAT": {"fate": "unmapped"},
            "OBJECTID": {"fate": "ignored", "reason": "a row number"},
            "OWNER_NAME": {"fate": "withheld", "reason": "Owner"},
        },
        scores=(Score("parcel_id", "PID", 1.0, float("nan"), 0.8),),
        noun="parcels",
        received_at=dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC),
        accepted={"COUNT_DROP": "the island left the town"},
        isolation=("network: none",),
    )


@pytest.fixture(scope="module")
def report() -> ReportInput:
    shapes, given = town_of_thirty()
    return report_on(everything(shapes, given), shapes, given)


@pytest.fixture(scope="module")
def folder(report: ReportInput, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(report, tmp_path_factory.mktemp("out"))


def written(report: ReportInput, into: Path) -> Path:
    """The folder of a finished report."""
    target = into / "report"
    with write_report(target, report):
        pass
    return target


def test_the_folder_holds_the_four_files_and_nothing_is_left_beside_it(folder: Path) -> None:
    assert tuple(sorted(path.name for path in folder.iterdir())) == COUNTED
    assert list(folder.parent.iterdir()) == [folder]


def test_the_page_says_the_verdict_every_check_and_the_accepted_reason(folder: Path, report: ReportInput) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<h1>Elsewhere’s parcels for 2025 are published.</h1>" in page
    for finding in report.log.findings:
        assert f"</svg>{escape(finding.title)}</h3>" in page
    assert "the island left the town" in page
    assert "and 11 more in" in page  # nineteen stacks, eight of them shown


def test_the_page_asks_nobody_else_for_anything(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "http" not in page
    assert "<script" not in page
    assert set(re.findall(r'(?:href|src)="([^#"]+)"', page)) == {"findings.csv", "findings.gpkg"}


def test_each_row_number_that_is_a_link_leads_to_its_place_on_the_map(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    links, places = re.findall(r'href="#(parcel-row-\d+)"', page), re.findall(r'<g id="(parcel-row-\d+)"', page)
    assert {f"parcel-row-{number}" for number in (3, 5, 9, 12)} <= set(links) == set(places)
    assert len(places) == len(set(places))


def test_a_withheld_column_is_named_and_nothing_else(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<code>OWNER_NAME</code>" in page
    assert "<b>stripped</b>" in page


def test_what_the_town_wrote_cannot_act_in_the_page(report: ReportInput, tmp_path: Path) -> None:
    report.log.add("CAMA_LINK_MALFORMED", row_no=4, column="<b>", value="<img src=x>")
    with write_report(tmp_path / "out", replace(report, label=lambda row_no: "<svg>")):
        pass
    report.log.findings.pop()
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<img" not in page
    assert "<svg>" not in page


def test_a_refusal_says_why_and_how_to_go_on(tmp_path: Path) -> None:
    shapes, given = town_of_thirty()
    log = everything(shapes, given)
    refused = report_on(log, shapes, given, outcome="refused", blocked_by=["COUNT_DROP"])
    with write_report(tmp_path / "out", replace(refused, accepted={})):
        pass
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<h1>Elsewhere’s parcels for 2025 were refused: far fewer rows than last time.</h1>" in page
    assert "What is live stays live: 25 parcels." in page
    assert "--accept COUNT_DROP" in page


def test_an_accepted_check_stands_by_itself_and_does_not_count_as_stopping(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "What was accepted on purpose" in page
    assert re.search(r"<dt>.*stops the file</dt><dd>0</dd>", page)


def test_a_dry_check_that_would_change_nothing_does_not_ask_to_be_handed_in(tmp_path: Path) -> None:
    shapes = np.array([lot(index % 6, index // 6) for index in range(30)], dtype=object)
    log = FindingLog(load_standard(), "parcel", 2025, "Elsewhere", "99999")
    rows = {"read": 30, "published": 30, "held": 0, "ignored": 0, "within_tolerance": 0}
    rows |= {"added": 0, "changed": 0, "removed": 0, "unchanged": 30}
    with write_report(tmp_path / "out", report_on(log, shapes, shapes, outcome="ok", dry=True, rows=rows)):
        pass
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "would be accepted" in page
    assert "would change nothing" in page
    assert "Hand the file in" not in page


def test_a_check_that_did_not_run_cannot_be_accepted(tmp_path: Path) -> None:
    shapes, given = town_of_thirty()
    log = everything(shapes, given)
    log.not_evaluated("STACKED", "the statement took too long")
    with write_report(tmp_path / "out", report_on(log, shapes, given, outcome="refused", blocked_by=["NOT_EVALUATED"])):
        pass
    assert "--accept" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_the_json_is_strict_and_lists_every_finding(folder: Path, report: ReportInput) -> None:
    def forbidden(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    loaded = json.loads((folder / "report.json").read_text(encoding="utf-8"), parse_constant=forbidden)
    assert len(loaded["all_findings"]) == len(report.log.findings)
    assert loaded["rows"] == report.summary["rows"]
    assert loaded["scores"][0]["values"] is None
    assert loaded["columns"]["WHAT"] == {"fate": "unmapped"}


def test_the_csv_runs_no_formula_and_opens_with_accents_in_excel(folder: Path, report: ReportInput) -> None:
    raw = (folder / "findings.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    lines = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
    assert len(lines) == len(report.log.findings)
    assert {line["value"] for line in lines} == {"", "12", f"'{EVIL}"}
    assert not any(cell[:1] in "=+@\t\r" for line in lines for cell in line.values() if cell)
    placed = next(line for line in lines if line["check"] == "AREA_DISAGREES")
    assert placed["parcel_id"] == "M-3"
    assert float(placed["longitude"]) == pytest.approx(-72.6, abs=0.2)
    assert float(placed["latitude"]) == pytest.approx(41.7, abs=0.2)


def features(path: Path, layer: str) -> list[dict[str, Any]]:
    """Rows of a layer, with their shape as WKB under `geometry`."""
    meta, table = pyogrio.raw.read_arrow(path, layer=layer)
    return table.rename_columns(
        ["geometry" if name == (meta["geometry_name"] or "wkb_geometry") else name for name in table.column_names]
    ).to_pylist()


def test_every_finding_is_in_the_geopackage_once_where_it_belongs(folder: Path, report: ReportInput) -> None:
    path = folder / "findings.gpkg"
    assert [name for name, _ in pyogrio.list_layers(path)] == ["areas", "points", "without_place"]
    assert {pyogrio.read_info(path, layer=layer)["crs"] for layer in ("areas", "points")} == {"EPSG:6434"}
    areas, points, others = (features(path, layer) for layer in ("areas", "points", "without_place"))
    assert len(areas) + len(points) + len(others) == len(report.log.findings)
    assert [point["check"] for point in points] == ["GEOMETRY_REPAIRED"]
    # The file as a whole, the row without a shape, the shape with a corner nowhere.
    found = sorted(other["check"] for other in others)
    assert found == ["COLUMN_WITHHELD", "COUNT_DROP", "GEOMETRY_MISSING", "GEOMETRY_UNUSABLE"]
    assert [other["row"] for other in others if other["check"] == "COUNT_DROP"] == [None]


def test_a_held_row_is_shown_as_it_was_delivered(folder: Path, report: ReportInput) -> None:
    areas = features(folder / "findings.gpkg", "areas")
    (held,) = [area for area in areas if area["check"] == "GEOMETRY_REPAIR_LARGE"]
    assert shapely.get_parts(shapely.from_wkb(held["geometry"]))[0].equals_exact(report.given[8])
    assert held["parcel_id"] == "M-9"


def test_a_file_without_any_fault_still_makes_a_whole_report(tmp_path: Path) -> None:
    shapes = np.array([lot(index % 6, index // 6) for index in range(30)], dtype=object)
    log = FindingLog(load_standard(), "parcel", 2025, "Elsewhere", "99999")
    with write_report(tmp_path / "out", report_on(log, shapes, shapes)):
        pass
    assert pyogrio.read_info(tmp_path / "out" / "findings.gpkg")["features"] == 0
    assert pyogrio.list_layers(tmp_path / "out" / "findings.gpkg").tolist() == [["areas", "MultiPolygon"]]
    assert "Nothing at all." in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_file_that_lies_nowhere_still_makes_a_whole_report(tmp_path: Path) -> None:
    nowhere = np.full(30, None, dtype=object)
    log = FindingLog(load_standard(), "parcel", 2025, "Elsewhere", "99999")
    log.add("CRS_UNKNOWN", why="the file says “moon”, which is not a system that we accept.")
    crs = {"epsg": None, "how": "unknown", "share_in_town": 0.0, "alternatives": []}
    lost = report_on(log, nowhere, nowhere, outcome="refused", dry=True, blocked_by=["CRS_UNKNOWN"], crs=crs)
    with write_report(tmp_path / "out", lost):
        pass
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "would be refused: the coordinate system could not be settled." in page
    assert "moon" in page
    assert "only the town’s outline is drawn" in page


def test_parcels_on_the_far_side_of_the_state_are_counted_and_do_not_shrink_the_map(tmp_path: Path) -> None:
    shapes, given = town_of_thirty()
    shapes[0] = given[0] = shapely.transform(lot(0, 0), lambda xy: xy + 300_000)
    with write_report(tmp_path / "out", report_on(everything(shapes, given), shapes, given)):
        pass
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "1 row lies too far from the town to be drawn." in page
    assert "200 ft</text>" in page


def test_the_same_folder_twice_holds_the_second_report_and_keeps_what_is_not_ours(
    report: ReportInput, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with write_report(folder, report):
        pass
    with write_report(folder, replace(report, summary={**report.summary, "year": 2024})):
        pass
    assert "for 2024 are published" in (folder / "report.html").read_text(encoding="utf-8")
    assert (folder / "notes.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_is_a_file_is_the_senders_to_mend(report: ReportInput, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(BadArgument, match="cannot be written"), write_report(tmp_path / "out", report):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_report_of_the_same_delivery_is_the_same(report: ReportInput, tmp_path: Path) -> None:
    for name in ("one", "two"):
        with write_report(tmp_path / name, report):
            pass
    for file in ("findings.csv", "report.html", "report.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


# ── what a town can act on ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def full(report: ReportInput) -> ReportInput:
    """The same town with last year to compare with, a score, and the assessor's file beside it: row 2 has no value, and
    is linked to parcel 20; row 3 is linked to none.
    """
    standard = report.log.standard
    log = FindingLog(standard, "assessment", 2025, "Elsewhere", "99999")
    for row_no in (2, 3):
        log.add("ROOMS_ODD", row_no=row_no, why="99 bedrooms in one dwelling")
    shapes = np.full(28, None, dtype=object)
    shapes[1] = report.shapes[19]
    filled = dict.fromkeys(scored_fields(standard, "assessment"), (21, 28))
    parcels = score(ScoreInput("parcel", 30, 3, faulty_rows(report.log), {"location": (27, 30)}, 30, True), standard)
    found = score(
        ScoreInput("assessment", 28, 0, faulty_rows(log), filled, 28, True,
                   {"parcel": (27, 30), "assessment": (28, 28)}, parcels.counts),
        standard,
    )  # fmt: skip
    summary = {**report.summary, "dataset": "assessment", "findings": log.counts(), "report": "/somewhere/else"}
    assessments = replace(
        report, summary=summary, log=log, row_no=np.arange(1, 29), shapes=shapes, given=shapes, held={},
        label_field="location", label=lambda row_no: f"{row_no} ELM ST", columns={}, scores=(), noun="assessments",
        accepted={}, score=found, completeness={"year_built": (0.75, 0.85)},
        against=Against(2024, dt.date(2025, 3, 28), (29, 28), value_usd=(1_000_000, 1_100_000)),
        keys_tried=[KeyTried("PID = MBL (as written)", 0.9, 1.0, None, True)],
    )  # fmt: skip
    return replace(
        report, summary=report.summary | {"report": "/here"}, score=found, others=(assessments,),
        completeness={"location": (0.9, None)},
        against=Against(2024, dt.date(2025, 3, 28), (25, 27), (250_000, 270_000)),
        lineage={"split": 2, "renumbered": 0, "new": 1}, lineage_examples={"split": ["12-4 → 12-4A, 12-4B"]},
        crs_tried=[CrsTried(2234, 1.0, 0.02), CrsTried(26956, 0.0, None)],
    )  # fmt: skip


@pytest.fixture(scope="module")
def full_folder(full: ReportInput, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(full, tmp_path_factory.mktemp("out"))


def words(folder: Path) -> str:
    """The page as a reader sees it: no style, no drawing, no tag, single blanks."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    page = re.sub(r"<(style|svg).*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_both_files_stand_in_one_report(full_folder: Path) -> None:
    page = words(full_folder)
    assert "Elsewhere’s parcels for 2025 are published." in page
    assert "Elsewhere’s assessments for 2025 are published." in page
    assert "PID = MBL (as written) 90 % 100 % –" in page
    assert "EPSG:26956 NAD83 / Connecticut 0 % –" in page
    assert "Read from the file 30 6.43 280,000.00" in page


def test_the_page_says_what_changed_and_by_how_much(full_folder: Path) -> None:
    page = words(full_folder)
    assert "Parcels 25 27 +2 +8.0 %" in page
    assert "Assessments 29 28 −1 −3.4 %" in page
    assert "Assessed value, $ 1,000,000 1,100,000 +100,000 +10.0 %" in page
    assert "split 2 that were divided 12-4 → 12-4A, 12-4B" in page


def test_the_score_shows_its_formula_and_what_each_fix_earns(full: ReportInput, full_folder: Path) -> None:
    page, found = words(full_folder), full.score
    assert found is not None
    assert f"The score: {int(found.points * 10) / 10} of 100 points" in page
    assert "Every measure of the score" in page
    assert "fill “Town link” in 30 rows +2" in page
    assert "Parcels with an assessment 27 of 30 90 % 50 % 98 % 12.50 15" in page
    assert "Row without a place on the map" in page
    assert re.search(r"Row without a place on the map parcels \+[\d.]+ points", page)


def test_completeness_is_set_against_last_years(full_folder: Path) -> None:
    page = words(full_folder)
    assert "Year built required 75 % −10.0" in page
    assert "Location recommended 90 %" in page


def test_findings_stand_under_who_mends_them_the_gravest_first(full_folder: Path) -> None:
    page = words(full_folder)
    places = [
        page.index(f" {heading} ") for heading in ("For the town", "For the town’s map vendor", "For nobody in town")
    ]
    assert places == sorted(places)
    mine = page[places[0] : places[1]]
    assert mine.index("GEOMETRY_MISSING") < mine.index("CAMA_LINK_MALFORMED") < mine.index("STACKED")
    assert "AREA_DISAGREES" in page[places[1] : places[2]]


def test_a_row_of_the_assessor_lies_on_its_parcel_or_nowhere(full: ReportInput, full_folder: Path) -> None:
    path = full_folder / "findings.gpkg"
    (placed,) = [each for each in features(path, "areas") if each["dataset"] == "assessment"]
    assert (placed["row"], placed["parcel_id"]) == (2, "2 ELM ST")
    assert shapely.from_wkb(placed["geometry"]).equals(full.shapes[19])
    assert [each["row"] for each in features(path, "without_place") if each["dataset"] == "assessment"] == [3]
    page = (full_folder / "report.html").read_text(encoding="utf-8")
    assert '<g id="assessment-row-2"' in page


def test_the_json_has_all_that_the_page_has_and_no_path_of_the_machine(full: ReportInput, full_folder: Path) -> None:
    loaded = json.loads((full_folder / "report.json").read_text(encoding="utf-8"))
    assert "report" not in loaded
    assert "report" not in loaded["others"][0]
    assert loaded["score"]["points"] == full.score.points  # type: ignore[union-attr]
    assert loaded["lineage"]["split"] == {"count": 2, "examples": ["12-4 → 12-4A, 12-4B"]}
    assert loaded["completeness"] == {"location": {"now": 0.9, "before": None}}
    assert loaded["others"][0]["against"]["value_usd"] == [1_000_000, 1_100_000]
    assert loaded["others"][0]["keys_tried"][0]["parcels"] == 0.9
    assert {finding["dataset"] for finding in loaded["all_findings"]} == {"parcel", "assessment"}


def test_a_fault_in_every_row_makes_no_giant(report: ReportInput, tmp_path: Path) -> None:
    log = FindingLog(load_standard(), "parcel", 2025, "Elsewhere", "99999")
    for row_no in range(60_000):
        log.add("AREA_DISAGREES", row_no=row_no % 30 + 1, column="A", value="x" * 3000, area_sqft=str(row_no))
    columns = {f"COLUMN_{number}": {"fate": "unmapped"} for number in range(3000)}
    worst = replace(report, log=log, columns=columns, summary={**report.summary, "findings": log.counts()})
    with write_report(tmp_path / "out", worst):
        pass
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) < 50_000_000
    assert (tmp_path / "out" / "report.html").stat().st_size < 1_000_000
    page = words(tmp_path / "out")
    assert "60,000" in page
    assert "and 59,988 more" in page
    assert "and 2,850 more in report.json" in page


# ── a town of address points ─────────────────────────────────────────────────────────────────────────────────────────


def points_report() -> ReportInput:
    """Sixty houses of Elm Street in a row; row 2 has no place, row 60 lies far away, and 55 lack what is asked for."""
    shapes = np.array([shapely.Point(EAST + 10 * number, NORTH) for number in range(60)], dtype=object)
    shapes[1], shapes[59] = None, shapely.Point(EAST + 30_000, NORTH)
    log = FindingLog(load_standard(), "address_point", 2025, "Elsewhere", "99999")
    log.add("GEOMETRY_MISSING", row_no=2)
    log.add("FAR_OUTSIDE_TOWN", row_no=60, distance_ft="29,200", shape=shapes[59])
    near = shapely.multipoints([shapes[39], shapes[10], shapes[12]])
    log.add("NUMBER_OUT_OF_ORDER", row_no=40, distance_ft="280", before=11, after=13, value="40 ELM ST", shape=near)
    log.add("POINTS_ON_THE_LINE", rows="2 rows", distance_ft="3", shape=shapely.multipoints(shapes[3:5]))
    log.add_each("NUMBER_MISSING", list(range(3, 58)), lambda place: {})
    report = report_on(log, shapes, shapes, dataset="address_point")
    return replace(
        report, row_no=np.arange(1, 61), noun="addresses", label_field="address_label", columns={}, scores=(),
        label=lambda row_no: f"{row_no} ELM ST", accepted={},
        against=Against(2024, dt.date(2025, 3, 28), (58, 60), (0.0, 0.0)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def points_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(points_report(), tmp_path_factory.mktemp("out"))


def test_a_report_of_points_speaks_of_places_and_not_of_land(points_folder: Path) -> None:
    page = words(points_folder)
    assert "The row has no place, so it cannot be put on the map." in page
    assert "Addresses 58 60 +2 +3.4 %" in page
    assert not re.search(r"Acres|tax boundaries|square f|no shape", page)


def test_rows_that_are_only_counted_come_below_those_that_are_named(points_folder: Path) -> None:
    page = words(points_folder)
    part = page[page.index("55 rows NUMBER_MISSING") :]
    order = ("The row has a street and no house number.", "Row 14", "and 38 more in findings.csv", "5 rows more have")
    assert [part.index(each) for each in order] == sorted(part.index(each) for each in order)
    assert "On the map" not in part[: part.index(order[-1])]


def test_a_point_is_marked_where_it_is_and_not_midway_to_those_it_is_compared_with(points_folder: Path) -> None:
    (found,) = [
        each for each in features(points_folder / "findings.gpkg", "points") if each["check"] == "NUMBER_OUT_OF_ORDER"
    ]
    assert shapely.from_wkb(found["geometry"]).equals(shapely.Point(EAST + 390, NORTH))
    page = (points_folder / "report.html").read_text(encoding="utf-8")
    (mark,) = re.findall(r'<g id="address_point-row-40".*?</g>', page)
    assert re.findall(r' d="(M\d+ \d+)', mark) == re.findall(r"M\d+ \d+", mark)[:1]


def test_a_row_too_far_off_for_the_map_is_drawn_with_the_town_and_is_no_link(points_folder: Path) -> None:
    page = (points_folder / "report.html").read_text(encoding="utf-8")
    assert "address_point-row-60" not in page
    (figure,) = re.findall(r"<figure>(?:(?!</figure>).)*Row 60 · 60 ELM ST", page, re.DOTALL)
    assert '<path class="town" d="M' in figure
    assert ">60</text>" in figure


def test_one_finding_stops_nothing_in_the_singular(tmp_path: Path) -> None:
    report = points_report()
    report.log.findings[:] = [finding for finding in report.log.findings if finding.code == "NUMBER_OUT_OF_ORDER"]
    assert "look at 1 finding below. It stops nothing." in words(written(report, tmp_path))
