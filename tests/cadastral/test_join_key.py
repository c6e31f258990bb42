"""The join-key detective on invented towns with a planted key, on none, and on the real towns beside the checkout."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv
from python_calamine import CalamineWorkbook

from cadastral.join_key import JoinSearch, find_join_key, join_key_from, values
from cadastral.join_stoppers import stoppers
from statewide.crosswalk import ReviewedJoin
from statewide.standard import load_standard

LAW = load_standard()
TOWN = "08070"
STREETS = ("ELM", "OAK", "MAIN", "POND", "RIVER", "CEDAR", "MAPLE", "SPRING")

Number = tuple[int, int, int]
Write = Callable[[Number], str]


def plain(number: Number) -> str:
    return "-".join(str(part) for part in number)


DISGUISES: dict[str, Write] = {
    "as it is": plain,
    "zeros in front of each part": lambda number: "-".join(f"{part:04d}" for part in number),
    "other separators": lambda number: f" {number[0]}/{number[1]} / {number[2]}",
    "the town's code in front": lambda number: f"{TOWN}-{plain(number)}",
    "a mark of the town in front": lambda number: f"BPT-{plain(number)}",
    "zero parts behind": lambda number: f"{plain(number)}-00-0000",
    "lot before block before map": lambda number: plain(number[::-1]),
    "a unit behind": lambda number: f"{plain(number)}-U{number[2] % 3 + 1}",
}

UNIT, TURNED = "a unit behind", "lot before block before map"
PAIRS = [
    (ours, theirs)
    for ours in sorted(DISGUISES.keys() - {UNIT})
    for theirs in [*sorted(DISGUISES), None]
    if {ours, theirs} != {UNIT, TURNED}  # one side both turned and cut is more than is tried
]


def numbers_of(count: int, luck: random.Random) -> list[Number]:
    spaces = [(a, b, c) for a in range(1, 40) for b in range(1, 9) for c in range(1, 30)]
    return luck.sample(spaces, count)


def address(luck: random.Random) -> str:
    return f"{luck.randrange(1, 900)} {luck.choice(STREETS)} {luck.choice(('ST', 'RD', 'AVE'))}"


def distractors(rows: int, luck: random.Random) -> dict[str, pa.Array]:
    return {
        "SEQ": pa.array(range(1, rows + 1)),
        "VALUE_1": pa.array([luck.randrange(50, 900) * 1000 for _ in range(rows)]),
        "YR": pa.array([str(luck.randrange(1850, 2020)) for _ in range(rows)]),
        "KIND": pa.array([luck.choice("ABC") for _ in range(rows)]),
        "ONE": pa.array(["1"] * rows),
    }


def town_of(
    seed: int, ours: Write, theirs: Write | None, *, rows: int = 300, addresses: bool = True
) -> tuple[pa.Table, pa.Table, list[int]]:
    """Parcels, CAMA rows in another order, the place of each row's parcel. `theirs` None: number in three columns."""
    luck = random.Random(seed)
    numbers = numbers_of(rows, luck)
    places = [address(luck) for _ in numbers]
    order = luck.sample(range(rows), rows)
    parcels = {**distractors(rows, luck), "COL_A": pa.array([ours(number) for number in numbers])}
    cama = distractors(rows, luck)
    if theirs is None:
        cama |= {name: pa.array([numbers[i][part] for i in order]) for part, name in enumerate(("MAP", "BLOCK", "LOT"))}
    else:
        cama["COL_B"] = pa.array([theirs(numbers[i]) for i in order])
    if addresses:
        parcels["WHERE"] = pa.array(places)
        cama["SITUS"] = pa.array([places[i].lower() for i in order])
    return pa.table(parcels), pa.table(cama), order


def find(parcels: pa.Table, cama: pa.Table, town: str = TOWN, **choices: object) -> JoinSearch:
    return find_join_key(LAW, parcels, cama, town, **choices)  # type: ignore[arg-type]


def joined(search: JoinSearch, parcels: pa.Table, cama: pa.Table) -> tuple[list[str | None], list[str | None]]:
    assert search.key, search.why
    ours = values(LAW, search.key, parcels, "parcel", TOWN).to_pylist()
    return ours, values(LAW, search.key, cama, "cama", TOWN).to_pylist()


def assert_true_partners(search: JoinSearch, parcels: pa.Table, cama: pa.Table, order: list[int]) -> None:
    ours, theirs = joined(search, parcels, cama)
    assert len(set(ours)) == len(ours)
    assert theirs == [ours[i] for i in order]


# ── a planted key is found under each disguise ───────────────────────────────────────────────────────────────────────


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from(PAIRS), st.booleans())
def test_a_planted_key_is_found_whatever_it_wears(seed: int, worn: tuple[str, str | None], addresses: bool) -> None:
    ours, theirs = worn
    write = DISGUISES[theirs] if theirs else None
    parcels, cama, order = town_of(seed, DISGUISES[ours], write, addresses=addresses)
    search = find(parcels, cama)
    assert_true_partners(search, parcels, cama, order)
    assert search.rival is None


def test_numbers_as_text_with_point_zero_meet_numbers() -> None:
    accounts = random.Random(1).sample(range(10_000, 900_000), 200)
    parcels = pa.table({"ACCT": [f"{account:08d}" for account in accounts]})
    as_floats = [*map(float, accounts), float("nan")]
    for theirs in ([f"{account}.0" for account in accounts] + ["<Null>"], [*accounts, None], as_floats):
        cama = pa.table({"ACCOUNT_NUMBER": pa.array(theirs)})
        ours, rows = joined(find(parcels, cama), parcels, cama)
        assert ours == [f"{TOWN}-{account}" for account in accounts]
        assert rows == [*ours, None]


def test_suffix_columns_are_glued_to_their_numbers() -> None:
    numbers = numbers_of(200, random.Random(2))
    parcels = pa.table({"MBL": [f"{a}A-{b}-{c}" if c % 3 == 0 else f"{a}-{b}-{c}" for a, b, c in numbers]})
    cama = pa.table(
        {
            "Map": [a for a, _, _ in numbers],
            "Map_Cut": ["A" if c % 3 == 0 else None for _, _, c in numbers],
            "Block": [b for _, b, _ in numbers],
            "Lot": [c for _, _, c in numbers],
        }
    )
    search = find(parcels, cama)
    assert search.key is not None
    assert search.key.cama.columns == ("Map", "Map_Cut", "Block", "Lot")
    assert (search.key.parcel_match, search.key.cama_match) == (1.0, 1.0)


def test_units_meet_the_lot_that_they_stand_on() -> None:
    numbers = numbers_of(120, random.Random(3))
    parcels = pa.table({"MBL": [plain(number) for number in numbers]})
    units = [f"{plain(number)}-U{unit}" for number in numbers for unit in range(1, 4)]
    search = find(parcels, pa.table({"GIS_TAG": units}))
    ours, theirs = joined(search, parcels, pa.table({"GIS_TAG": units}))
    assert theirs == [value for value in ours for _ in range(3)]


def test_only_the_first_hyphen_parts_the_towns_code() -> None:
    numbers = numbers_of(100, random.Random(4))
    parcels = pa.table({"CAMA_Link": [f"08070-{a}-{b}A-{c}" for a, b, c in numbers] + ["08070-", None, "01080-3-3-3"]})
    cama = pa.table({"link": [f"{a}-{b}A-{c}" for a, b, c in numbers]})
    search = find(parcels, cama)
    ours, theirs = joined(search, parcels, cama)
    assert ours[:100] == theirs
    assert ours[100:] == [None, None, "08070-1080-3-3-3"]


# ── where there is none, none is claimed ─────────────────────────────────────────────────────────────────────────────


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.booleans())
def test_no_key_is_claimed_where_there_is_none(seed: int, addresses: bool) -> None:
    parcels, _, _ = town_of(seed, plain, plain, addresses=addresses)
    _, cama, _ = town_of(seed + 1, lambda number: f"X{number[0] * 7919 + number[1] * 104729 + number[2]}", plain)
    cama = cama.set_column(cama.schema.get_field_index("COL_B"), "COL_B", pa.array([f"R{i * 37}" for i in range(300)]))
    search = find(parcels, cama)
    assert search.key is None
    assert search.why


def test_two_running_numbers_are_no_key_until_addresses_say_so() -> None:
    luck = random.Random(5)
    places = [address(luck) for _ in range(300)]
    parcels = pa.table({"NR": range(1, 301)})
    cama = pa.table({"RECORD": range(1, 301)})
    alone = find(parcels, cama)
    assert alone.key is None
    assert "by chance" in alone.why
    assert find(parcels.append_column("ADDRESS", pa.array(places)), cama.append_column("SITUS", pa.array(places))).key
    shuffled = pa.array(luck.sample(places, 300))
    refused = find(parcels.append_column("ADDRESS", pa.array(places)), cama.append_column("SITUS", shuffled))
    assert refused.key is None
    assert "addresses" in refused.why


def test_a_file_without_numbers_says_so() -> None:
    cama = pa.table({"KIND": ["A", "B"] * 50})
    search = find(pa.table({"MBL": [f"{i}-{i}" for i in range(100)]}), cama)
    assert search.why == "No column of the CAMA rows looks like a number of parcels."
    assert find(cama.slice(0, 0), cama).key is None


def test_two_pairs_that_disagree_are_told() -> None:
    """Last year's numbers and this year's, both given, both met by all: nobody but the town knows which counts."""
    luck = random.Random(6)
    new, old = numbers_of(200, luck), numbers_of(200, luck)
    parcels = pa.table({"MBL": [plain(n) for n in new], "OLD": [f"Z{plain(n)}" for n in old]})
    cama = pa.table({"MBL": [plain(n) for n in luck.sample(new, 200)], "OLDMBL": [f"Z{plain(n)}" for n in old]})
    search = find(parcels, cama)
    assert search.key is not None
    assert search.rival is not None
    assert {search.key.parcel.columns, search.rival.parcel.columns} == {("MBL",), ("OLD",)}


# ── choices made before ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_saved_choice_is_kept_and_read_back_from_json() -> None:
    parcels, cama, _ = town_of(7, plain, plain)
    first = find(parcels, cama).key
    assert first is not None
    saved = join_key_from(json.loads(json.dumps(first.record())))
    assert saved == first
    again = find(parcels, cama, saved=saved)
    assert again.key is not None
    assert (again.key.how, again.fell) == ("saved", None)


def test_a_saved_choice_that_fell_says_so_and_gives_way() -> None:
    parcels, cama, _ = town_of(8, plain, plain)
    saved = find(parcels, cama).key
    renumbered = pa.array([f"N{i}-{i * 7}" for i in range(len(parcels))])
    order = [parcels["COL_A"].to_pylist().index(value) for value in cama["COL_B"].to_pylist()]
    parcels = parcels.append_column("NEWNO", renumbered).set_column(
        parcels.schema.get_field_index("COL_A"), "COL_A", pa.array([f"was {i}" for i in range(len(parcels))])
    )
    search = find(parcels, cama.append_column("NEWID", renumbered.take(pa.array(order))), saved=saved)
    assert search.key is not None
    assert search.key.parcel.columns == ("NEWNO",)
    assert search.fell is not None and "100 % of the parcels" in search.fell
    gone = find(parcels.drop_columns(["COL_A"]), cama, saved=saved)
    assert gone.fell == "The key of the last delivery was not taken: the parcels have no column COL_A."


def test_a_reviewed_choice_comes_first() -> None:
    luck = random.Random(9)
    numbers = numbers_of(200, luck)
    accounts = luck.sample(range(10**6), 200)
    parcels = pa.table({"MBL": [plain(n) for n in numbers], "ACCT": accounts})
    cama = pa.table(
        {
            "MBL": [plain(n) for n in numbers],
            "ACCT": accounts[:190] + [0] * 10,
            **{name: [n[part] for n in numbers] for part, name in enumerate(("Map", "Block", "Lot"))},
        }
    )
    search = find(parcels, cama, reviewed=ReviewedJoin(parcel="ACCT", cama="ACCT"))
    assert search.key is not None
    assert (search.key.parcel.columns, search.key.how) == (("ACCT",), "reviewed")
    assert search.fell is not None and "would meet" in search.fell
    composed = find(parcels, cama, reviewed=ReviewedJoin(parcel="MBL", cama="Map + Block + Lot")).key
    assert composed is not None
    assert composed.cama.columns == ("Map", "Block", "Lot")
    wrong = find(parcels, cama, reviewed=ReviewedJoin(parcel="MBL", cama="ACCT"))
    assert wrong.key is not None
    assert wrong.key.how == "found"
    assert wrong.fell == "The reviewed choice was not taken: it meets less than half of either side."


# ── what stops the rest ──────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_without_a_partner_are_grouped_by_cause() -> None:
    numbers = [(100 + 7 * i, 1 + i % 8, 1000 + 13 * i) for i in range(200)]
    ours, theirs = [plain(n) for n in numbers], [plain(n) for n in numbers]
    ours[0] = None  # type: ignore[call-overload]
    ours[1] = "01080-5-5-5"
    ours[2], theirs[2] = "77-88-99", "778-899"
    theirs[3] += "A"
    ours[4], theirs[4] = "AAA-1", "QQQ-999"
    ours[5], theirs[5] = "5005-6-70", "5005-6-71"
    ours[6] = "W-1"
    places = [f"{i + 1} LONGWOOD AVE" for i in range(200)]
    parcels = pa.table({"MBL": ours, "LOCATION": [None if i == 5 else place for i, place in enumerate(places)]})
    cama = pa.table({"MBL": theirs, "LOCATION": places})
    key = find(parcels, cama).key
    assert key is not None
    found = {(one.side, one.cause): one for one in stoppers(LAW, key, parcels, cama, TOWN)}
    rows = {which: one.rows.to_pylist() for which, one in found.items() if which[0] == "parcel"}
    assert rows == {
        ("parcel", "blank"): [0],
        ("parcel", "other_town"): [1],
        ("parcel", "spelling"): [2],
        ("parcel", "unit"): [3],
        ("parcel", "same_address"): [4, 6],
        ("parcel", "typo"): [5],
    }
    assert found["parcel", "typo"].examples == (("5005-6-70", "5005-6-71"),)
    assert found["parcel", "unit"].examples == ((plain(numbers[3]), f"{plain(numbers[3])}A"),)
    unmet = len(parcels) - round(key.parcel_match * len(parcels))
    assert sum(len(value) for value in rows.values()) == unmet


# ── the real towns beside the checkout ───────────────────────────────────────────────────────────────────────────────


def as_text(path: Path) -> pa.Table:
    """A CSV file, every column text."""
    parse = csv.ParseOptions(newlines_in_values=True)
    names = csv.open_csv(path, parse_options=parse).schema.names
    convert = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    return csv.read_csv(path, parse_options=parse, convert_options=convert)


def properties(*paths: Path) -> pa.Table:
    """The columns of GeoJSON files."""
    return pa.Table.from_pylist(
        [row["properties"] for path in paths for row in json.loads(path.read_text())["features"]]
    )


@pytest.fixture(scope="module")
def hamden(shared_data: Path) -> tuple[pa.Table, pa.Table]:
    folder = shared_data / "ct-west-hartford-hamden-parcels" / "hamden"
    decades = sorted(path for path in (folder / "geojson").glob("*.geojson") if path.stem != "hamden")
    return properties(*decades), as_text(folder / "data" / "data.csv")


@pytest.mark.real
def test_hamden_text_meets_number(hamden: tuple[pa.Table, pa.Table]) -> None:
    parcels, cama = hamden
    search = find(parcels, cama, "35650")
    assert search.key is not None
    assert (search.key.parcel.columns, search.key.cama.columns) == (("giscode",), ("giscode",))
    assert (len(parcels), search.key.parcel_match, search.key.cama_match, search.key.agreement) == (15605, 1, 1, 1)
    assert search.rival is None
    numbers = cama.column("id").cast(pa.int64())
    only_ids = find(parcels.drop_columns(["giscode"]), pa.table({"id": numbers, "landuse": cama["landuse"]}))
    assert only_ids.key is not None
    assert (only_ids.key.parcel.columns, only_ids.key.parcel_match, only_ids.key.cama_match) == (("id",), 1, 1)


@pytest.mark.real
def test_bridgeport_map_block_meets_its_cama_link(shared_data: Path) -> None:
    """The file holds both sides; its other hundred rows are other parcels, and no key is claimed for them."""
    folder = shared_data / "ct-parcels-2025-sample"
    both = as_text(folder / "bridgeport_100_parcels_with_cama_no_owners.csv")
    link = pc.extract_regex(both["Additional Data"].combine_chunks(), r"'cama_link': '(?P<link>[^']*)'")
    parcels = pa.table({"CAMA_Link": pc.struct_field(link, "link"), "Location": both["Address"]})
    cama = both.drop_columns(["Additional Data", "Geometry WKT"])
    search = find(parcels, cama)
    assert search.key is not None
    assert search.key.cama.columns == ("Parcel ID",)
    assert (search.key.parcel_match, search.key.cama_match) == (1, 1)
    raw = CalamineWorkbook.from_path(folder / "bridgeport_100_stateplane_multipolygonz.xlsx").get_sheet_by_index(0)
    header, *rows = raw.to_python()
    shapes = pa.table({str(name): [str(row[at]) for row in rows] for at, name in enumerate(header[:11])})
    assert find(shapes, cama).key is None


@pytest.mark.real
def test_cambridge_map_lot_is_told_from_row_numbers_that_meet_more(shared_data: Path) -> None:
    """Parcels of the floodplain only, of 2024, against the CAMA file of 2013; LOT meets the row number ID in 96 %."""
    folder = shared_data / "ma-cambridge"
    cama = as_text(folder / "Assessing" / "FY2013" / "FY2013_Parcels" / "TaxFY13.csv")
    parcels = properties(
        folder / "Hydro" / "FEMA_Floodplain_Parcels_500_Year" / "FEMA_FloodPlainParcels500Year.geojson"
    )
    search = find(parcels, cama)
    assert (len(parcels), len(cama)) == (655, 27424)
    assert search.key is not None
    assert (search.key.parcel.columns, search.key.cama.columns) == (("ML",), ("ML",))
    assert search.key.parcel_match == pytest.approx(587 / 655)
    assert search.key.cama_match == pytest.approx(1025 / 27424, abs=1e-3)
    trap = next(key for key in search.leaders if (key.parcel.columns, key.cama.columns) == (("LOT",), ("ID",)))
    assert trap.parcel_match > search.key.parcel_match
    assert trap.by_chance > 0.95
