"""Flood loss: published functions and losses reproduced, what is unknown never 0 dollars, and the command."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
import typer
from typer.testing import CliRunner

from resilience.damage_functions import STOREYS, ZONES, DamageFunctions, load_hazus, read_hazus
from resilience.loss import Outcome, Summary, estimate_losses
from resilience.loss_commands import loss
from resilience.structures import Known, read_structures, structures_of_file
from statewide.errors import BadArgument, LawError, UnreadableDelivery
from statewide.standard import load_standard, schemas_folder
from tests.resilience.depth_grids import write_grid

HAZUS = load_hazus()
FAST = "FltyId,Longitude,Latitude,Occ,NumStories,FoundationType,FirstFloorHt,Cost,ContentCost,flC"


def damage(functions: DamageFunctions, ddf: int, *depths: float) -> list[float]:
    rows = functions.rows(np.full(len(depths), ddf))
    return functions.damage_pct(rows, np.array(depths, dtype=np.float64)).tolist()


def estimated(folder: Path, *lines: str, header: str = FAST, depth: list[float] | None = None) -> list[dict[str, Any]]:
    """The rows of an estimate for a file of these lines, at these depths of water."""
    path = folder / "structures.csv"
    path.write_text("\n".join([header, *lines]))
    file = read_structures(path, HAZUS)
    depths = np.array(depth if depth is not None else file.numbers("depth_ft"), dtype=np.float64)
    rows: list[dict[str, Any]] = estimate_losses(structures_of_file(file, HAZUS, Known.of(depths)), HAZUS).to_pylist()
    return rows


@pytest.mark.parametrize(
    ("ddf", "percents"),
    [
        (129, [13, 23, 32, 47, 67]),
        (107, [11, 12, 14, 20, 30]),
        (108, [19, 21, 26, 34, 55]),
        (189, [11, 44, 63, 78, 83]),
        (217, [1, 9, 14, 18, 30]),
        (474, [0, 0, 0, 25, 43]),
        (643, [0, 5, 7, 9, 15]),
        (658, [12, 25, 50, 100, 100]),
    ],
)
def test_hazus_functions_have_their_published_values(ddf: int, percents: list[float]) -> None:
    assert damage(HAZUS.buildings, ddf, 0, 1, 2, 4, 8) == percents


def test_damage_is_linear_between_whole_feet_and_held_beyond_the_ends() -> None:
    assert damage(HAZUS.buildings, 129, 0.5, 1.25, 23.75) == [18.0, 25.25, 84.0]
    assert damage(HAZUS.buildings, 106, -9, -4, -3.5, 24, 60) == [7, 7, 7, 79, 79]
    # Four functions have no value above 16 feet.
    assert damage(HAZUS.buildings, 740, 16, 20, 24) == [44.54286] * 3
    assert np.isnan(damage(HAZUS.buildings, 129, np.nan)[0])
    assert np.isnan(HAZUS.buildings.damage_pct(np.array([-1]), np.array([3.0]))[0])


def test_the_selection_uses_every_function_that_hazus_calls_default_and_no_other() -> None:
    for functions, chosen in ((HAZUS.buildings, HAZUS.chosen[..., 0]), (HAZUS.contents, HAZUS.chosen[..., 1])):
        assert functions.is_default is not None
        assert set(np.unique(chosen)) == set(np.flatnonzero(functions.is_default))
        for place, code in enumerate(HAZUS.rules.codes):
            assert all(code.startswith(functions.occupancies[row]) for row in np.unique(chosen[place]))


@pytest.mark.parametrize(
    ("occupancy", "zone", "basement", "storeys", "ids"),
    [
        ("RES1", "riverine", 0, "1", (129, 45)),
        ("RES1", "riverine", 1, "1", (704, 535)),
        ("RES1", "riverine", 1, "2", (108, 24)),
        ("RES1", "riverine", 0, "split", (111, 27)),
        ("RES1", "coastal_a", 0, "1", (658, 488)),
        ("RES1", "coastal_a", 0, "2", (107, 488)),
        ("RES1", "coastal_v", 1, "3", (118, 34)),
        ("RES2", "coastal_v", 0, "1", (667, 497)),
        ("RES3A", "coastal_a", 0, "2", (659, 489)),
        ("RES3A", "coastal_a", 0, "3", (204, 81)),
        ("RES3F", "coastal_v", 1, "3", (205, 82)),
        ("COM6", "coastal_v", 1, "2", (474, 309)),
    ],
)
def test_occupancy_zone_basement_and_storeys_select_the_function(
    occupancy: str, zone: str, basement: int, storeys: str, ids: tuple[int, int]
) -> None:
    case = HAZUS.rules.codes.index(occupancy), ZONES.index(zone), basement, STOREYS.index(storeys)
    building, content = HAZUS.chosen[case]
    assert (HAZUS.buildings.ids[building], HAZUS.contents.ids[content]) == ids


@pytest.mark.parametrize(
    ("file", "before", "after", "complaint"),
    [
        ("selection.csv", "RES2,riverine,any,any,189,74\n", "", "nothing holds for RES2 in every case"),
        ("selection.csv", "RES4,any", "RES2,any", "line 51: decides a case that an earlier line decides"),
        ("selection.csv", ",209,85", ",2090,85", "there is no function of that number"),
        ("selection.csv", "RES4,any", "RES9,any", "line 51: there is no RES9"),
        ("rules.yml", "content_pct: 150", "content_pct: much", "content_pct: Input should be a valid number"),
        ("rules.yml", "zones:", "zone:", "rules.yml: zones: Field required"),
        ("structural.csv", '"ft03m"', '"ft30m"', "structural.csv: its columns of depth are not one after the other"),
    ],
)
def test_a_broken_file_of_functions_is_refused_with_its_place(
    tmp_path: Path, file: str, before: str, after: str, complaint: str
) -> None:
    folder = tmp_path / "hazus"
    shutil.copytree(Path(str(schemas_folder() / "hazus")), folder)
    text = (folder / file).read_text()
    assert before in text
    (folder / file).write_text(text.replace(before, after, 1))
    with pytest.raises(LawError, match=re.escape(complaint)):
        read_hazus(folder)


def test_go_consequences_losses_are_reproduced() -> None:
    """Depths, curve and losses of USACE/go-consequences, `structures_test.go`; below its first depth it has no loss."""
    curve = DamageFunctions(np.array([1]), ("test",), 1.0, np.array([[10.0, 20.0, 30.0, 40.0]]), "none_below")
    depths = np.array([0.0, 0.5, 1.0, 1.0001, 2.25, 2.5, 2.75, 3.99, 4, 5])
    losses = 100.0 * curve.damage_pct(np.zeros(10, np.int64), depths) / 100.0
    assert losses == pytest.approx([0.0, 0.0, 10.0, 10.001, 22.5, 25.0, 27.5, 39.9, 40.0, 40.0], abs=1e-14, rel=0)
    assert curve.damage_pct(np.zeros(1, np.int64), np.array([5 - 1.1]))[0] == pytest.approx(39.0, abs=1e-14)


@pytest.mark.real
def test_go_consequences_own_functions_are_the_hazus_defaults(shared_data: Path) -> None:
    """Its deterministic functions give what ours give, everywhere. Homes aside: for those it has USACE's own."""
    kinds = json.loads((shared_data / "go-consequences/structures/occtypes.json").read_text())["occupancytypes"]
    depths = np.arange(-6.0, 30.0, 0.25)
    same, other = set(), set()
    for name, kind in kinds.items():
        occupancy = name.partition("-")[0]
        for place, (part, ours) in enumerate((("structure", HAZUS.buildings), ("contents", HAZUS.contents))):
            if occupancy not in HAZUS.rules.codes:
                continue
            curve = kind["componentdamagefunctions"][part]["damagefunctions"]["default"]["damagefunction"]
            points = curve["ydistributions"]
            if {each["type"] for each in points} != {"DeterministicDistribution"}:
                continue
            feet = np.array(curve["xvalues"], dtype=np.float64)
            percent = np.array([float(each["parameters"]["value"]) for each in points])
            theirs = DamageFunctions(np.array([1]), (name,), feet[0], percent[None], "none_below")
            by_theirs = theirs.damage_pct(np.zeros(len(depths), np.int64), depths)
            referee = np.where(depths < feet[0], 0.0, np.interp(depths, feet, percent))
            assert by_theirs == pytest.approx(referee, abs=1e-12)
            row = HAZUS.chosen[HAZUS.rules.codes.index(occupancy), 0, 0, 0, place]
            by_ours = ours.damage_pct(np.full(len(depths), row), depths)
            (same if np.allclose(by_theirs, by_ours, atol=1e-9, rtol=0) else other).add((name, part))
    assert len(same) == 52
    assert {name[:4] for name, _ in other} == {"RES1", "RES3"}


@pytest.mark.real
def test_every_function_agrees_with_the_simcenter_library(shared_data: Path) -> None:
    """The library made loss functions of the same tables, by a program of its own; ratios there, percent here."""
    folder = shared_data / "simcenter-dlml-flood/src/dlml/data/flood/building/portfolio/Hazus v6.1"
    with (folder / "loss_repair.csv").open(newline="") as file:
        functions = {"structural": HAZUS.buildings, "contents": HAZUS.contents}
        compared = 0
        for row in csv.DictReader(file):
            kind, number, *_ = row["ID"].split(".")
            if kind not in functions:
                continue
            ratios, depths = (
                np.array([float(each) for each in part.split(",")]) for part in row["LossFunction-Theta_0"].split("|")
            )
            given = ~np.isnan(ratios)
            ours = np.array(damage(functions[kind], int(number), *depths))
            assert ours[given] == pytest.approx(100.0 * ratios[given], abs=0.051), row["ID"]
            compared += 1
    assert compared == 892 + 818


def test_depth_in_the_structure_is_depth_at_the_ground_less_the_first_floor(tmp_path: Path) -> None:
    (row,) = estimated(tmp_path, "a,-72,41,RES1 ,1,7,1,100000,,", depth=[3.5])
    assert (row["depth_ft"], row["first_floor_height_ft"], row["depth_in_structure_ft"]) == (3.5, 1.0, 2.5)
    assert (row["building_ddf_id"], row["content_ddf_id"]) == (129, 45)
    assert (row["building_damage_pct"], row["content_damage_pct"]) == (36.0, 40.0)
    assert (row["building_loss_usd"], row["content_loss_usd"]) == (36_000.0, 20_000.0)
    assert row["outcome"] == "loss"


def test_not_mapped_has_no_dollars_and_mapped_dry_has_none_lost(tmp_path: Path) -> None:
    house = "RES1,2,4,,200000,,"
    unmapped, dry, wet = estimated(
        tmp_path, f"a,-72,41,{house}", f"b,-72,41,{house}", f"c,-72,41,{house}", depth=[np.nan, 0.0, 0.01]
    )
    assert (unmapped["outcome"], unmapped["building_loss_usd"], unmapped["content_loss_usd"]) == (
        "not_mapped",
        None,
        None,
    )
    assert unmapped["building_damage_pct"] is None
    assert unmapped["depth_how"] == "unknown"
    assert (dry["outcome"], dry["building_loss_usd"], dry["content_loss_usd"]) == ("dry", 0.0, 0.0)
    # Function 108 has 4 percent at -4 feet, which is the ground where the floor is that high above a basement.
    assert wet["building_damage_pct"] == 4.0
    assert wet["outcome"] == "loss"


def test_without_occupancy_or_value_the_loss_is_unknown_where_there_is_water(tmp_path: Path) -> None:
    rows = estimated(
        tmp_path,
        "a,-72,41,SHED,1,7,1,100000,,",
        "b,-72,41,RES1,1,7,1,0,,",
        "c,-72,41,SHED,1,7,1,,,",
        "d,-72,41,COM6,1,7,1,100000,,",
        depth=[3.0, 3.0, 0.0, 2.0],
    )
    assert [row["outcome"] for row in rows] == ["no_occupancy", "no_value", "dry", "no_loss"]
    assert [row["building_loss_usd"] for row in rows] == [None, None, 0.0, 0.0]
    assert rows[1]["building_damage_pct"] == 32.0


def test_the_file_may_name_its_functions(tmp_path: Path) -> None:
    header = f"{FAST},BldgDamageFnID,ContDamageFnID"
    named, unknown = estimated(
        tmp_path, "a,,,RES1,1,7,1,100000,,,105,21", "b,,,RES1,1,7,1,100000,,,99999,", header=header, depth=[3.0, 3.0]
    )
    assert (named["building_ddf_id"], named["content_ddf_id"], named["building_damage_pct"]) == (105, 21, 25.0)
    assert (unknown["building_ddf_id"], unknown["content_ddf_id"]) == (129, 45)


def test_a_summary_adds_up_and_counts_what_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "structures.csv"
    lines = [
        f"{i},-72,41,{occ},1,7,1,100000,,,{depth}"
        for i, (occ, depth) in enumerate(
            [("RES1", 3), ("RES1", 0), ("RES1", ""), ("COM1", 3), ("SHED", 3), ("COM6", 1)]
        )
    ]
    path.write_text("\n".join([f"{FAST},depth_ft", *lines]))
    file = read_structures(path, HAZUS)
    rows = estimate_losses(structures_of_file(file, HAZUS, Known.of(file.numbers("depth_ft"))), HAZUS)
    once, twice = Summary(), Summary()
    once.add(rows)
    twice.add(rows.slice(0, 2))
    twice.add(rows.slice(2))
    assert once.as_dict() == twice.as_dict()
    sums = once.as_dict()
    assert (sums["structures"], sums["with_loss"], sums["water_but_no_loss"], sums["dry"]) == (6, 2, 1, 1)
    assert sums["unknown_because"] == {"not_mapped": 1, "no_occupancy": 1, "no_value": 0}
    assert sums["building_loss_usd"] == 32_000 + 14_000
    assert sums["by_occupancy"]["RES1"] == {
        "structures": 3,
        "with_loss": 1,
        "building_loss_usd": 32_000.0,
        "content_loss_usd": 18_000.0,
    }
    assert sums["by_occupancy"]["unknown"]["structures"] == 1
    assert sums["inputs"]["content_value"] == {"default_of_occupancy": 5, "unknown": 1}


def test_the_outcomes_are_those_of_the_law() -> None:
    assert [code.code for code in load_standard().code_lists["loss_outcome"].codes] == [kind.name for kind in Outcome]


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def run() -> Callable[..., dict[str, Any]]:
    """`statewide hazards loss …`, its JSON."""
    app = typer.Typer()
    app.command()(loss)

    def go(*words: str | Path) -> dict[str, Any]:
        result = CliRunner().invoke(app, [*map(str, words), "--json"])
        if result.exception:
            raise result.exception
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return go


def three_cells(path: Path, **tags: str) -> Path:
    """A grid of 3 × 1 cells of 100 ft in EPSG:6434: 3 feet deep, dry, and without data."""
    cells = np.array([[3.0, 0.0, -9999.0]], np.float32)
    return write_grid(path, cells, cell=100.0, corner=(950_000, 600_100), tags=tags)


def degrees(x: float, y: float) -> str:
    import pyproj

    lon, lat = pyproj.Transformer.from_crs(6434, 4326, always_xy=True).transform(x, y)
    return f"{lon:.9f},{lat:.9f}"


def test_a_file_of_structures_on_a_depth_grid(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    grid = three_cells(tmp_path / "grid.tif", units="feet")
    places = [degrees(950_000 + 50 + 100 * column, 600_050) for column in range(3)]
    lines = [f"{place},{at},RES1,1,7,1,100000,," for place, at in enumerate(places)]
    structures = tmp_path / "structures.csv"
    structures.write_text("\n".join([FAST, *lines, "3,,,RES1,1,7,1,100000,,"]))
    result = run("--structures", structures, "--depth-grid", grid, "--output", tmp_path / "losses.csv")
    assert (result["with_loss"], result["dry"], result["unknown"]) == (1, 1, 2)
    assert result["building_loss_usd"] == 32_000.0
    assert result["findings"] == []  # depths are measured from the ground, so no vertical datum is asked for
    written = pyarrow.csv.read_csv(tmp_path / "losses.csv").to_pylist()
    assert [row["outcome"] for row in written] == ["loss", "dry", "not_mapped", "not_mapped"]
    assert [row["building_loss_usd"] for row in written] == [32_000, 0, None, None]
    assert [row["depth_how"] for row in written] == ["at_point", "at_point", "unknown", "unknown"]
    run("--structures", structures, "--depth-grid", grid, "--output", tmp_path / "losses.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "losses.parquet")
    assert table["outcome"].to_pylist() == [row["outcome"] for row in written]
    assert table["geometry"].null_count == 1


def test_a_grid_that_reaches_no_structure_is_not_mapped_and_a_finding(
    tmp_path: Path, run: Callable[..., dict[str, Any]]
) -> None:
    grid = three_cells(tmp_path / "grid.tif", units="feet", vertical_datum="NAVD88")
    structures = tmp_path / "structures.csv"
    lines = [f"{i},{degrees(900_000 + 100 * i, 700_000)},RES1,1,7,1,100000,," for i in range(5)]
    structures.write_text("\n".join([FAST, *lines]))
    result = run("--structures", structures, "--depth-grid", grid)
    assert result["unknown_because"]["not_mapped"] == result["structures"] == 5
    assert result["loss_usd"] == 0
    (finding,) = result["findings"]
    assert finding["code"] == "LOSS_NOT_MAPPED"
    assert "grid.tif says of none of the 5 structures" in finding["sentence"]


@pytest.mark.real
@pytest.mark.parametrize("name", ["Inundation", "Surge"])
def test_a_grid_of_galveston_says_nothing_of_connecticut(
    shared_data: Path, tmp_path: Path, run: Callable[..., dict[str, Any]], name: str
) -> None:
    grid = shared_data / f"incore-coastal-rasters/tests/data/{name}_Raster.tif"
    structures = tmp_path / "structures.csv"
    structures.write_text("\n".join([FAST, *(f"{i},-72.{i},41.3,RES1,1,7,1,100000,," for i in range(9))]))
    result = run("--structures", structures, "--depth-grid", grid, "--units", "m")
    assert (result["unknown_because"]["not_mapped"], result["dry"]) == (9, 0)
    assert [finding["code"] for finding in result["findings"]] == ["GRID_OUTSIDE_STATE", "LOSS_NOT_MAPPED"]


def test_what_cannot_be_estimated_is_refused_in_one_sentence(
    tmp_path: Path, run: Callable[..., dict[str, Any]]
) -> None:
    grid = three_cells(tmp_path / "grid.tif")
    structures = tmp_path / "structures.csv"
    structures.write_text(f"{FAST}\n1,-72,41,RES1,1,7,1,100000,,")
    with pytest.raises(BadArgument, match="does not say in which unit"):
        run("--structures", structures, "--depth-grid", grid)
    assert run("--structures", structures, "--depth-grid", grid, "--units", "feet")["structures"] == 1
    with pytest.raises(BadArgument, match="--depth-grid FILE, or a column depth_ft"):
        run("--structures", structures)
    with pytest.raises(BadArgument, match="no foundation 'cloud'"):
        run("--structures", structures, "--foundation", "cloud")
    with pytest.raises(BadArgument, match="either --town or --structures"):
        run("--structures", structures, "--town", "Alder")
    with pytest.raises(BadArgument, match="goes with --structures"):
        run("--depth-grid", grid)
    structures.write_text(f"{FAST}\n1,950050,600050,RES1,1,7,1,100000,,")
    with pytest.raises(BadArgument, match="must be in degrees"):
        run("--structures", structures, "--depth-grid", grid, "--units", "feet")
    with pytest.raises(BadArgument, match=r"format of losses\.xyz"):
        run("--structures", structures, "--depth-grid", grid, "--output", tmp_path / "losses.xyz")
    structures.write_text("name,height\nshed,3\n")
    with pytest.raises(UnreadableDelivery, match=r"no column structure_id \(also called: FltyId"):
        run("--structures", structures, "--depth-grid", grid)
    structures.write_bytes(b"\x00\x01,\xff\n")
    with pytest.raises(UnreadableDelivery):
        run("--structures", structures, "--depth-grid", grid)
    with pytest.raises(UnreadableDelivery, match="no file"):
        run("--structures", tmp_path / "nothing.csv", "--depth-grid", grid)


def test_another_foundation_may_be_assumed_where_none_is_known(
    tmp_path: Path, run: Callable[..., dict[str, Any]]
) -> None:
    structures = tmp_path / "structures.csv"
    structures.write_text(f"{FAST},depth_ft\n1,-72,41,RES1,2,,,100000,,,3\n2,-72,41,RES1,2,7,,100000,,,3")
    by_slab = run("--structures", structures)
    by_basement = run("--structures", structures, "--foundation", "basement")
    assert by_slab["building_loss_usd"] == 2 * 14_000
    assert by_basement["building_loss_usd"] == 14_000 + 14_000
    assert by_basement["content_loss_usd"] == 4_000 + 9_500
    assert by_slab["inputs"]["foundation"] == {"default": 1, "given": 1}
