"""The invented addresses: on their parcels, with the parcels' numbers, and dirty only where it was promised."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyogrio
import pytest
import shapely
from pyproj import Transformer

from addresses.demo import CANARY, DIRT, ONE_COLUMN, SOFTWARE, Delivery, address_rows, write_deliveries
from addresses.demo_points import DrawnPoints, Lots, draw_points, read_lots, streets_in_parts
from addresses.points import submit
from cadastral.demo import write_deliveries as write_parcels
from statewide.database import connect
from statewide.demo import CRS, InventedTown, World, make_world
from statewide.errors import BadArgument
from statewide.intake import Request
from statewide.register import Town, add_invented_towns
from statewide.settings import Settings
from statewide.standard import load_standard

STREET = ("St_PreMod", "St_PreDir", "St_PreTyp", "St_PreSep", "St_Name", "St_PosTyp", "St_PosDir", "St_PosMod")


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(4, 2_400, 7)


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_parcels(world, folder)
    return folder


@pytest.fixture(scope="module")
def deliveries(world: World, folder: Path) -> list[Delivery]:
    return write_deliveries(world, folder)


def parcels(town: InventedTown, folder: Path) -> Path:
    (file,) = folder.glob(f"{town.name}_Parcels_*")
    return file


@pytest.fixture(scope="module")
def drawn(world: World, folder: Path) -> list[tuple[InventedTown, Lots, DrawnPoints]]:
    """The clean towns' points and the lots they were drawn on."""
    found = []
    for town in world.towns:
        if not town.dirty:
            lots = read_lots(parcels(town, folder))
            found.append((town, lots, draw_points(world, town, lots)))
    return found


def street(row: dict[str, str]) -> str:
    return " ".join(row[name] for name in STREET if row[name])


def place_in_feet(place: np.ndarray) -> np.ndarray:
    return np.column_stack(Transformer.from_crs(4326, CRS, always_xy=True).transform(*place.T))


def content(delivery: Delivery) -> pa.Table:
    if delivery.format.driver == "CSV":
        return pa.csv.read_csv(delivery.file)
    path = f"/vsizip/{delivery.file}" if delivery.format.zipped else delivery.file
    return pyogrio.raw.read_arrow(path)[1]


def test_there_are_six_points_for_five_parcels(drawn: list[tuple[InventedTown, Lots, DrawnPoints]]) -> None:
    for town, _, points in drawn:
        assert len(points.xy) == round(1.2 * town.parcels)


def test_number_and_street_are_those_of_the_parcel(drawn: list[tuple[InventedTown, Lots, DrawnPoints]]) -> None:
    for _, lots, points in drawn:
        of = {link: at for at, link in enumerate(lots.link.to_pylist())}
        for row in points.columns.to_pylist():
            at = of[row["Parcel_ID"]]
            assert street(row) == lots.streets[lots.street[at]]
            assert row["Add_Number"] - lots.number[at] in (0, 2)
            if lots.unit[at]:
                assert (row["UnitPreTyp"], row["UnitValue"]) == ("Unit", str(lots.unit[at]))


def test_numbers_grow_along_a_street_and_each_side_has_its_parity(
    drawn: list[tuple[InventedTown, Lots, DrawnPoints]],
) -> None:
    for _, lots, _ in drawn:
        middle = shapely.get_coordinates(shapely.centroid(lots.shapes))
        for number in range(len(lots.streets)):
            on = np.flatnonzero((lots.street == number) & (lots.unit == 0))
            if len(on) < 10:
                continue
            along = np.linalg.svd(middle[on] - middle[on].mean(axis=0))[2][0]
            order = np.argsort(middle[on] @ along)
            assert abs(np.corrcoef(lots.number[on][order], np.arange(len(on)))[0, 1]) > 0.8  # streets bend
            road = lots.roads[on[0]]
            foot = shapely.get_coordinates(shapely.shortest_line(shapely.points(middle[on]), road)).reshape(-1, 2, 2)
            step = foot[:, 1] - foot[:, 0]
            tangent = np.sign(step @ np.array([-along[1], along[0]]))
            assert (
                len({(int(side), int(parity)) for side, parity in zip(tangent, lots.number[on] % 2, strict=True)}) <= 2
            )


def test_points_stand_in_their_lots_but_for_a_few(drawn: list[tuple[InventedTown, Lots, DrawnPoints]]) -> None:
    for town, lots, points in drawn:
        of = {link: at for at, link in enumerate(lots.link.to_pylist())}
        at = np.array([of[link] for link in points.columns["Parcel_ID"].to_pylist()])
        inside = shapely.contains_xy(lots.shapes[at], points.xy)
        assert 0.95 < inside.mean() < 1
        assert shapely.distance(lots.shapes[at], shapely.points(points.xy)).max() < 100
        assert shapely.contains_xy(town.outline, points.xy).mean() > 0.99


def test_no_two_points_have_the_same_address(drawn: list[tuple[InventedTown, Lots, DrawnPoints]]) -> None:
    for _, _, points in drawn:
        rows = points.columns.to_pylist()
        whole = Counter(
            (row["Add_Number"], row["AddNum_Suf"], street(row), row["UnitPreTyp"], row["UnitValue"]) for row in rows
        )
        assert max(whole.values()) == 1
        assert len({row["NGUID"] for row in rows}) == len(rows)


def test_some_lots_have_no_address_some_two_and_stacks_share_a_place(
    drawn: list[tuple[InventedTown, Lots, DrawnPoints]],
) -> None:
    for _, lots, points in drawn:
        links = points.columns["Parcel_ID"].to_pylist()
        assert 0 < len(set(lots.link.to_pylist()) - set(links)) < 0.05 * len(lots)
        units = points.columns["UnitValue"].to_pylist()
        houses = Counter(link for link, unit in zip(links, units, strict=True) if unit is None)
        assert set(houses.values()) == {1, 2}
        stacks = Counter(map(tuple, points.xy.tolist()))
        assert max(stacks.values()) >= 6
        assert "Corner" in str(set(points.columns["A4"].to_pylist()))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Main Street", {"st_name": "Main", "st_postyp": "Street"}),
        ("North Street", {"st_name": "North", "st_postyp": "Street"}),
        ("East Wharf Street", {"st_predir": "East", "st_name": "Wharf", "st_postyp": "Street"}),
        ("Old Post Road", {"st_premod": "Old", "st_name": "Post", "st_postyp": "Road"}),
        ("Mill Road Extension", {"st_name": "Mill", "st_postyp": "Road", "st_posmod": "Extension"}),
        ("River Road South", {"st_name": "River", "st_postyp": "Road", "st_posdir": "South"}),
        ("Avenue of the Pines", {"st_pretyp": "Avenue", "st_presep": "of the", "st_name": "Pines"}),
        ("Route 6", {"st_pretyp": "Route", "st_name": "6"}),
        ("US Highway 1", {"st_pretyp": "United States Highway", "st_name": "1"}),
        ("Broadway", {"st_name": "Broadway"}),
        ("The Green", {"st_name": "The Green"}),
        ("Elm Street 2", {"st_name": "Elm Street 2"}),
    ],
)
def test_streets_are_taken_apart_as_nena_has_them(name: str, parts: dict[str, str]) -> None:
    assert streets_in_parts(load_standard(), [name]) == [parts]


def test_the_same_seed_gives_the_same_rows(world: World, folder: Path) -> None:
    for town in world.towns:
        one, other = (address_rows(world, town, parcels(town, folder), ONE_COLUMN) for _ in range(2))
        assert np.array_equal(one[0], other[0], equal_nan=True)
        assert one[1].equals(other[1])


def test_each_town_hands_in_another_shape_in_degrees(deliveries: list[Delivery]) -> None:
    assert [delivery.format.columns for delivery in deliveries] == ["nena3", "software", "one", "nena2"]
    for delivery in deliveries:
        if delivery.format.driver != "CSV":
            path = f"/vsizip/{delivery.file}" if delivery.format.zipped else delivery.file
            info = pyogrio.read_info(path)
            assert (info["crs"], info["geometry_type"]) == ("EPSG:4326", "Point")
    fields = content(deliveries[3]).column_names
    assert {"State", "County", "Inc_Muni", "Unit"} <= set(fields)
    assert not {"A1", "UnitValue", "Parcel_ID"} & set(fields)


def test_the_dirty_town_has_the_faults_of_the_list(world: World, folder: Path) -> None:
    town = next(town for town in world.towns if town.dirty)
    clean = draw_points(world, town, read_lots(parcels(town, folder)))
    place, table = address_rows(world, town, parcels(town, folder), SOFTWARE)
    rows = table.to_pydict()
    assert len(place) == len(clean.xy) + DIRT["same-again"] + DIRT["same-address-elsewhere"]
    assert np.isnan(place[:, 0]).sum() == DIRT["no-place"]
    south = town.outline.bounds[1] - 2_000
    on_lost_lots = (clean.xy[:, 1] < south).sum()
    assert (place_in_feet(place)[:, 1] < south).sum() == on_lost_lots + DIRT["outside-town"]
    assert sum(name != town.name for name in rows["TOWN"]) == DIRT["other-town"]
    assert sum(number is None for number in rows["HOUSE_NO"]) == DIRT["no-number"]
    assert sum(number == "0.0" for number in rows["HOUSE_NO"]) == DIRT["number-zero"]
    assert sum(name is None for name in rows["STREET_NAME"]) == DIRT["no-street"]
    assert sum(name == "<NULL>" for name in rows["STREET_NAME"]) == DIRT["null-string"]
    assert sum(status == "RETIRED" for status in rows["ADDR_STATUS"]) == DIRT["retired"]
    assert sum(note is not None for note in rows["NOTES"]) == DIRT["person-in-note"]
    assert sum(name is not None for name in rows["LANDMARK"]) == DIRT["person-as-site"]
    assert all(len(code) == 4 for code in rows["ZIP"])
    assert set(rows["ST_TYPE"]) <= {None, "ST", "RD", "LN", "AVE", "DR", "WAY", "TER", "PL", "CT", "RD EXT"}


def test_a_small_dirty_town_still_has_every_fault(tmp_path: Path) -> None:
    for seed in range(4):
        world, folder = make_world(2, 240, seed), tmp_path / str(seed)
        folder.mkdir()
        write_parcels(world, folder)
        (dirty,) = (each for each in write_deliveries(world, folder) if each.town.dirty)
        assert content(dirty)["HOUSE_NO"].to_pylist().count(0.0) == DIRT["number-zero"]


def test_persons_are_in_the_columns_that_are_theirs(deliveries: list[Delivery]) -> None:
    persons = {
        name: delivery.town.dirty
        for delivery in deliveries
        for name in content(delivery).column_names
        if CANARY in str(content(delivery)[name].to_pylist())
    }
    assert persons == {"OCCUPANT": False, "OWNER": True, "NOTES": True, "LANDMARK": True}


def test_a_file_that_is_there_is_kept(world: World, deliveries: list[Delivery]) -> None:
    before = [delivery.file.stat().st_mtime_ns for delivery in deliveries]
    write_deliveries(world, deliveries[0].file.parent)
    assert [delivery.file.stat().st_mtime_ns for delivery in deliveries] == before


def test_without_parcels_it_says_so(world: World, tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match="no parcels of Alderbrook"):
        write_deliveries(world, tmp_path)


def test_the_dirty_town_raises_its_findings_and_the_clean_ones_hold_no_row(
    world: World, deliveries: list[Delivery], settings: Settings
) -> None:
    with connect(settings) as connection:
        towns = [Town(town.cousub, town.town_no, town.name, town.outline) for town in world.towns]
        add_invented_towns(connection, load_standard(), towns)
    for delivery in deliveries:
        request = Request(delivery.file, delivery.town.cousub, 2025)
        outcome = submit(settings, request, lambda message: None)
        counts = outcome.log.counts()
        assert outcome.summary["outcome"] == "published"
        for file in Path(outcome.summary["report"]).iterdir():
            assert CANARY.encode() not in file.read_bytes(), file.name
        if not delivery.town.dirty:
            assert outcome.summary["rows"]["held"] == 0
            assert (
                not {"GEOMETRY_MISSING", "STREET_SPELLED_ODD", "NUMBER_MISSING", "ADDRESS_TWICE_NEAR"} & counts.keys()
            )
            continue
        exactly = {
            "GEOMETRY_MISSING": DIRT["no-place"],
            "TOWN_MISMATCH": DIRT["other-town"],
            "NUMBER_MISSING": DIRT["no-number"],
            "NUMBER_ZERO": DIRT["number-zero"],
            "STREET_MISSING": DIRT["no-street"] + DIRT["null-string"],
            "NOT_IN_FORCE": 1,
        }
        assert {code: counts[code] for code in exactly} == exactly
        assert counts["FAR_OUTSIDE_TOWN"] >= DIRT["outside-town"]
        assert counts["STREET_SPELLED_ODD"] >= DIRT["misspelt-street"] - 1
        assert counts["ADDRESS_TWICE_NEAR"] >= DIRT["same-again"]
        assert {"NUMBER_ON_OTHER_SIDE", "NUMBER_OUT_OF_ORDER", "STREETS_AT_ONE_POINT"} <= counts.keys()
        assert {"COLUMN_WITHHELD", "FREE_TEXT_WITHHELD", "PLACEHOLDER_TEXT"} <= counts.keys()
