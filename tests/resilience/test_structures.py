"""Structures: what is read from assessors' records and structure files, what is assumed, and how each is known."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyogrio.raw
import pytest
import typer
from psycopg import sql
from typer.testing import CliRunner

from cadastral.assessment_link import link_assessments
from resilience.damage_functions import ZONES, load_hazus
from resilience.loss import estimate_losses
from resilience.loss_commands import loss
from resilience.structures import (
    How,
    Known,
    Structures,
    read_structures,
    structures_of_file,
    structures_of_records,
    structures_of_town,
)
from statewide.database import OWNER, Connection, connect
from statewide.errors import BadArgument, UnknownTown
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.towns import ALDER, LOT, SOUTH, WEST, found_alder

HAZUS = load_hazus()
RULES = HAZUS.rules
TOWN = ALDER.cousub_fips
LOADS = {"depth-grid": uuid.uuid4(), "flood-zones": uuid.uuid4()}
RECORD: dict[str, Any] = {
    "parcel_uid": "p",
    "cousub_fips": TOWN,
    "depth_version": "v1",
    "longitude": -72.1,
    "latitude": 41.2,
    "use_class": "residential",
    "state_use_description": "Single Family",
    "style_description": "Colonial",
    "storeys": 2.0,
    "basement_type": "Full",
    "has_basement": False,
    "homes": 1.0,
    "replacement_cost_usd": None,
    "appraised_building_usd": 200_000.0,
    "zone": "one_percent",
    "depth_at_address_ft": 3.0,
    "depth_over_parcel_ft": 1.0,
}


def of_records(*changes: dict[str, Any]) -> Structures:
    rows = [RECORD | change for change in changes]
    return structures_of_records({name: [row[name] for row in rows] for name in RECORD}, HAZUS)


def of_file(folder: Path, text: str) -> Structures:
    path = folder / "structures.csv"
    path.write_text(text)
    file = read_structures(path, HAZUS)
    return structures_of_file(file, HAZUS, Known.of(file.numbers("depth_ft")))


def known(attribute: Known, names: tuple[str, ...] | None = None) -> list[tuple[Any, str]]:
    """Values with how each is known; None where it is not."""
    return [
        (None if how == How.unknown else names[int(value)] if names else float(value), How(how).name)
        for value, how in zip(attribute.values, attribute.how, strict=True)
    ]


# --- the rules --------------------------------------------------------------------------------------------------------


def test_the_ways_of_knowing_are_those_of_the_law() -> None:
    assert [code.code for code in load_standard().code_lists["loss_input_how"].codes] == [how.name for how in How]


def test_the_rules_name_what_exists() -> None:
    standard = load_standard()
    assert set(RULES.occupancy_of_use) <= {code.code for code in standard.code_lists["use_class"].codes}
    named = {use.otherwise for use in RULES.occupancy_of_use.values()} | set(RULES.homes)
    named |= {line.occupancy for use in RULES.occupancy_of_use.values() for line in use.words}
    assert named <= set(RULES.codes)
    numbers = {kind.number for kind in RULES.foundations.types}
    assert numbers == set(range(1, 8))
    assert {line.foundation for line in RULES.basement_words} | {RULES.foundations.default} <= numbers
    assert {"coastal_high_hazard"} <= {code.code for code in standard.code_lists["hazard_class"].codes}


@pytest.mark.parametrize(
    ("text", "foundation"),
    [
        ("Full", 4),
        ("FULL BSMT", 4),
        ("Part/Unfinished", 4),
        ("No Basement", 7),
        ("None", 7),
        ("Slab", 7),
        ("Crawl Space", 5),
        ("Piers", 2),
        ("2", None),
        ("", None),
    ],
)
def test_basement_words(text: str, foundation: int | None) -> None:
    assert RULES.foundation_of_words(text) == foundation


def test_zones_in_any_spelling() -> None:
    found = {
        text: RULES.zone(text) for text in ("VE", "v12", "CAE", "AE", "X", "coastal_high_hazard", "one_percent", "")
    }
    assert {text: None if zone is None else ZONES[zone] for text, zone in found.items()} == {
        "VE": "coastal_v",
        "v12": "coastal_v",
        "CAE": "coastal_a",
        "AE": "riverine",
        "X": "riverine",
        "coastal_high_hazard": "coastal_v",
        "one_percent": "riverine",
        "": None,
    }


# --- assessors' records -----------------------------------------------------------------------------------------------


def test_occupancy_comes_from_words_homes_or_the_use_class() -> None:
    found = of_records(
        {},
        {"state_use_description": "TWO-FAM-RES"},
        {"state_use_description": None},
        {"use_class": "condominium", "homes": 24.0},
        {"use_class": "condominium", "homes": 1.0},
        {"use_class": "apartments", "state_use_description": "8 APT", "homes": 60.0},
        {"use_class": "commercial", "state_use_description": "OFFICE BLDG MDL-94"},
        {"use_class": "exempt", "state_use_description": "Housing Authority"},
        {"use_class": "exempt", "state_use_description": "Mun Lnd"},
        {"use_class": "vacant_land"},
        {"use_class": None},
    )
    assert known(found.occupancy, RULES.codes) == [
        ("RES1", "default_of_use"),
        ("RES3A", "from_words"),
        ("RES1", "default_of_use"),
        ("RES3E", "from_homes"),
        ("RES3C", "default_of_use"),
        ("RES3F", "from_homes"),
        ("COM4", "from_words"),
        ("RES3C", "from_words"),
        ("GOV1", "default_of_use"),
        (None, "unknown"),
        (None, "unknown"),
    ]


def test_foundation_and_floor_height_are_read_or_assumed() -> None:
    found = of_records(
        {},
        {"basement_type": None, "has_basement": True},
        {"basement_type": "Crawl"},
        {"basement_type": "7X"},
    )
    assert known(found.foundation) == [(4, "from_words"), (4, "given"), (5, "from_words"), (7, "default")]
    assert known(found.first_floor_height_ft) == [(height, "default_of_foundation") for height in (4, 4, 3, 1)]


def test_value_is_replacement_cost_or_else_what_was_appraised() -> None:
    found = of_records(
        {"replacement_cost_usd": 320_000.0},
        {},
        {"appraised_building_usd": None},
        {"use_class": "commercial", "state_use_description": "Hospital"},
        {"use_class": None},
    )
    assert known(found.building_value_usd) == [
        (320_000, "replacement_cost"),
        (200_000, "appraised_building"),
        (None, "unknown"),
        (200_000, "appraised_building"),
        (200_000, "appraised_building"),
    ]
    assert known(found.content_value_usd) == [
        (160_000, "default_of_occupancy"),
        (100_000, "default_of_occupancy"),
        (None, "unknown"),
        (300_000, "default_of_occupancy"),
        (None, "unknown"),
    ]


def test_depth_at_the_address_goes_before_that_of_the_parcel() -> None:
    found = of_records({}, {"depth_at_address_ft": None}, {"depth_at_address_ft": None, "depth_over_parcel_ft": None})
    assert known(found.depth_ft) == [(3, "at_address"), (1, "mean_over_parcel"), (None, "unknown")]


def test_storeys_split_level_and_zone_choose_the_function() -> None:
    found = of_records(
        {},
        {"storeys": 1.75},
        {"storeys": None},
        {"style_description": "Split-Level"},
        {"zone": "coastal_high_hazard"},
        {"zone": None},
    )
    assert known(found.storeys)[2] == (1, "default")
    rows = estimate_losses(found, HAZUS).to_pylist()
    assert [row["building_ddf_id"] for row in rows] == [108, 704, 704, 112, 116, 108]
    assert [row["zone_how"] for row in rows] == ["from_flood_zone"] * 5 + ["default"]


# --- files ------------------------------------------------------------------------------------------------------------


def test_columns_of_fast(tmp_path: Path) -> None:
    found = of_file(
        tmp_path,
        "﻿FltyId,Occ,NumStories,FoundationType,FirstFloorHt,Cost,ContentCost,flC,Depth_Grid\n"
        "a,RES1 ,1,4,2.5,100000,30000,CAE,2\n"
        "b,RES1,1.5,7,,100000,,,\n"
        "c,com1,2,5,x,1e5,,VE,0\n",
    )
    assert found.labels["structure_id"].to_pylist() == ["a", "b", "c"]
    assert known(found.occupancy, RULES.codes) == [("RES1", "given"), ("RES1", "given"), ("COM1", "given")]
    assert found.split_level.tolist() == [False, True, False]
    assert known(found.first_floor_height_ft) == [
        (2.5, "given"),
        (1, "default_of_foundation"),
        (3, "default_of_foundation"),
    ]
    assert known(found.content_value_usd) == [
        (30_000, "given"),
        (50_000, "default_of_occupancy"),
        (100_000, "default_of_occupancy"),
    ]
    assert known(found.zone, ZONES) == [("coastal_a", "given"), ("riverine", "default"), ("coastal_v", "given")]
    assert known(found.depth_ft) == [(2, "given"), (None, "unknown"), (0, "given")]


def test_columns_of_the_national_structure_inventory(tmp_path: Path) -> None:
    found = of_file(
        tmp_path,
        "fd_id,x,y,occtype,found_ht,found_type,val_struct,val_cont,num_story,firmzone,depth_ft\n"
        "1,-72.1,41.3,RES1-2SWB,4,B,250000,125000,,AE,5\n"
        "2,-72.1,41.3,RES1-1SNB-PIER,8,P,250000,,1,VE,5\n"
        "3,-72.1,41.3,RES1-SLNB,,,250000,125000,,,5\n"
        "4,-72.1,41.3,RES3C,1,S,250000,125000,3,,5\n",
    )
    assert known(found.storeys) == [(2, "given"), (1, "given"), (1, "given"), (3, "given")]
    assert known(found.foundation) == [(4, "given"), (2, "given"), (7, "given"), (7, "given")]
    assert found.split_level.tolist() == [False, False, True, False]
    rows = estimate_losses(found, HAZUS).to_pylist()
    assert [row["building_ddf_id"] for row in rows] == [108, 658, 111, 204]


def test_values_that_are_no_numbers_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "structures.csv"
    path.write_text("FltyId,Occ,Cost,FirstFloorHt\na,RES1,100000,1 ft\nb,RES1,n/a, \nc,RES1,200000,3\n")
    assert read_structures(path, HAZUS).not_numbers() == {"first_floor_height_ft": 1, "building_value_usd": 1}


# --- a town -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    """The database with Alder in the register, as its owner."""
    found_alder(settings)
    with connect(settings, OWNER) as open_connection:
        for layer, load in LOADS.items():
            load_of = {"layer_load_id": load, "layer": layer, "layer_version": "2026", "is_current": True}
            log = {"loaded_at": "2026-01-01T00:00:00Z", "source_file": "f", "source_sha256": "0", "summary": "{}"}
            put(open_connection, "resilience", "hazard_layer_version", {}, **load_of, **log, class_list_version="2")
        yield open_connection


def put(connection: Connection, schema: str, table: str, shapes: dict[str, str], **values: Any) -> None:
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(schema, table),
            sql.SQL(", ").join(map(sql.Identifier, [*values, *shapes])),
            sql.SQL(", ").join([*(sql.Placeholder() for _ in values), *map(sql.SQL, shapes.values())]),
        ),
        list(values.values()),
    )


def versioned() -> dict[str, Any]:
    return {
        "cousub_fips": TOWN,
        "submission_id": uuid.uuid4(),
        "row_no": 1,
        "attribute_hash": uuid.uuid4(),
        "shape_hash": uuid.uuid4(),
        "valid_from": "2025-05-01T00:00:00Z",
    }


def shapes(drawn: str) -> dict[str, str]:
    return {
        "geom": drawn,
        "geom_lonlat": f"ST_Transform({drawn}, 4326)",
        "geom_mercator": f"ST_Transform({drawn}, 3857)",
    }


def parcel(connection: Connection, link: str, at: int, width: float = LOT) -> uuid.UUID:
    uid, west = uuid.uuid4(), WEST + at * LOT
    box = f"ST_Multi(ST_MakeEnvelope({west}, {SOUTH}, {west + width}, {SOUTH + LOT}, 6434))"
    values = {"parcel_uid": uid, "cama_link_normalized": f"{TOWN}-{link}", "area_sqft": width * LOT}
    put(connection, "cadastral", "parcel", shapes(box), **versioned(), **values)
    return uid


def record(connection: Connection, link: str, building: float | None, **values: Any) -> None:
    given = {
        "assessment_uid": uuid.uuid4(),
        "record_role": "single",
        "cama_link_normalized": f"{TOWN}-{link}",
        "appraised_building_usd": building,
        "appraised_total_usd": None if building is None else building + 100_000,
        "use_class": "residential",
        "stories": 1,
        "basement_type": "Slab",
    }
    put(connection, "cadastral", "assessment", {}, **versioned(), **given | values)


def over_parcel(connection: Connection, uid: uuid.UUID, layer: str = "depth-grid", **values: Any) -> None:
    given = {
        "parcel_hazard_uid": uuid.uuid4(),
        "parcel_uid": uid,
        "cousub_fips": TOWN,
        "layer": layer,
        "worst_class": "not_mapped",
        "area_by_class": "{}",
        "mapped_share_pct": 100,
        "unknown_share_pct": 0,
        "coverage": "mapped",
        "layer_version": "2026",
        "layer_load_id": LOADS[layer],
        "parcel_submission_id": uuid.uuid4(),
        "parcel_shape_hash": uuid.uuid4(),
        "computed_at": "2026-01-01T00:00:00Z",
    }
    put(connection, "resilience", "parcel_hazard", {}, **given | values)


def at_address(connection: Connection, uid: uuid.UUID, depth: float | None) -> uuid.UUID:
    """An address point on the parcel with that depth of water, not mapped if None."""
    address = uuid.uuid4()
    point = f"ST_SetSRID(ST_MakePoint({WEST}, {SOUTH}), 6434)"
    put(connection, "addresses", "address_point", shapes(point), **versioned(), address_uid=address)
    link = {"address_uid": address, "cousub_fips": TOWN, "parcel_uid": uid, "parcels_linked": 1}
    hashes = {"point_attribute_hash": uuid.uuid4(), "point_shape_hash": uuid.uuid4()}
    put(connection, "addresses", "address_link", {}, **link, **hashes)
    hazard = {
        "address_hazard_uid": uuid.uuid4(),
        "address_uid": address,
        "cousub_fips": TOWN,
        "layer": "depth-grid",
        "zone_class": "not_mapped",
        "coverage": "not mapped" if depth is None else "mapped",
        "depth_ft": depth,
        "layer_version": "2026",
        "layer_load_id": LOADS["depth-grid"],
        "address_submission_id": uuid.uuid4(),
        "address_shape_hash": uuid.uuid4(),
        "computed_at": "2026-01-01T00:00:00Z",
    }
    put(connection, "resilience", "address_hazard", {}, **hazard)
    return address


def read_town(connection: Connection) -> dict[str, dict[str, Any]]:
    """What is estimated of Alder, by parcel, after its records were linked."""
    link_assessments(connection, load_standard(), TOWN)
    rows = estimate_losses(structures_of_town(connection, HAZUS, TOWN), HAZUS).to_pylist()
    return {row["parcel_uid"]: row for row in rows}


def test_a_value_counts_once_and_land_without_a_building_is_no_structure(connection: Connection) -> None:
    small, large = parcel(connection, "1", 0, width=50), parcel(connection, "1", 1)
    condominium, land, unrated = (parcel(connection, str(number), number) for number in (2, 3, 4))
    record(connection, "1", 300_000, record_role="main_card", replacement_cost_usd=400_000)
    record(connection, "1", 300_000, record_role="further_card", replacement_cost_usd=400_000)
    for unit in range(6):
        record(connection, "2", 100_000, unit=str(unit), use_class="condominium", replacement_cost_usd=unit or None)
    record(connection, "3", 0, use_class="vacant_land")
    record(connection, "4", None, year_built=1900)
    found = read_town(connection)
    assert set(found) == {str(large), str(condominium), str(unrated)}
    assert str(small) not in found and str(land) not in found
    values = [
        (found[str(uid)]["building_value_usd"], found[str(uid)]["building_value_how"]) for uid in (large, condominium)
    ]
    # One unit has no replacement cost, so the sum of the others is none for the house.
    assert values == [(400_000, "replacement_cost"), (600_000, "appraised_building")]
    assert found[str(condominium)]["occupancy"] == "RES3C"
    assert (found[str(unrated)]["outcome"], found[str(unrated)]["building_value_usd"]) == ("not_mapped", None)
    assert found[str(large)]["longitude"] == pytest.approx(-72.93, abs=0.2)


def test_depths_of_a_town(connection: Connection) -> None:
    lots = [parcel(connection, str(number), number) for number in range(6)]
    for number in range(6):
        record(connection, str(number), 100_000)
    for lot in lots[:2]:
        over_parcel(connection, lot, depth_mean_ft=8, wet_share_pct=100)
    for depth in (2.0, 4.0, None):
        at_address(connection, lots[0], depth)
    over_parcel(connection, lots[2], depth_mean_ft=4, wet_share_pct=20, mapped_share_pct=80, coverage="partly mapped")
    over_parcel(connection, lots[3], depth_max_ft=0, wet_share_pct=0)
    over_parcel(connection, lots[4], depth_mean_ft=9, wet_share_pct=10, mapped_share_pct=10, coverage="partly mapped")
    for lot in lots:
        over_parcel(connection, lot, "flood-zones", centroid_class="coastal_high_hazard")
    found = [read_town(connection)[str(lot)] for lot in lots]
    assert [(row["depth_ft"], row["depth_how"]) for row in found] == [
        (3, "at_address"),
        (8, "mean_over_parcel"),
        (1, "mean_over_parcel"),
        (0, "mean_over_parcel"),
        (None, "unknown"),
        (None, "unknown"),
    ]
    assert [row["outcome"] for row in found] == ["loss", "loss", "loss", "dry", "not_mapped", "not_mapped"]
    assert {row["building_ddf_id"] for row in found} == {658}
    assert found[0]["building_loss_usd"] == 50_000
    assert found[0]["depth_version"] == "2026"


def test_a_protected_address_leaves_no_trace(connection: Connection) -> None:
    lot = parcel(connection, "1", 0)
    record(connection, "1", 100_000)
    over_parcel(connection, lot, depth_mean_ft=2, wet_share_pct=100)
    protected = at_address(connection, lot, 7.0)
    assert read_town(connection)[str(lot)]["depth_ft"] == 7
    request = {"cousub_fips": TOWN, "basis": "delivered", "recorded_by": "a test"}
    put(connection, "confidential", "withheld_request", {}, **request)
    connection.execute(
        "INSERT INTO confidential.withheld_point SELECT request_no, %s FROM confidential.withheld_request", [protected]
    )
    row = read_town(connection)[str(lot)]
    assert (row["depth_ft"], row["depth_how"]) == (2, "mean_over_parcel")


def test_the_command_estimates_a_town_as_the_loader(
    connection: Connection, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATEWIDE_HOME", str(settings.home))
    monkeypatch.setenv("STATEWIDE_DATABASE_URL", settings.database_url or "")
    app = typer.Typer()
    app.command()(loss)

    def run(*words: str) -> dict[str, Any]:
        result = CliRunner().invoke(app, [*words, "--json"])
        if result.exception:
            raise result.exception
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    connection.commit()
    with pytest.raises(BadArgument, match="No town has published an assessor's file"):
        run()
    empty = run("--town", "Alder", "--output", str(tmp_path / "nothing.gpkg"))
    assert (empty["structures"], empty["findings"], empty["loss_usd"]) == (0, [], 0)
    lots = [parcel(connection, str(number), number) for number in range(3)]
    for number in range(2):
        record(connection, str(number), 100_000)
    link_assessments(connection, load_standard(), TOWN)
    connection.commit()
    result = run("--town", "Alder")
    assert (result["hazard"], result["structures"], result["parcels_without_record"]) == ("depth-grid 2026", 2, 1)
    assert (result["unknown_because"]["not_mapped"], result["not_laid_over"]) == (2, 2)
    assert [finding["code"] for finding in result["findings"]] == ["LOSS_NOT_MAPPED"]
    over_parcel(connection, lots[0], depth_mean_ft=3, wet_share_pct=100)
    connection.commit()
    result = run("--town", "Alder", "--output", str(tmp_path / "losses.gpkg"))
    assert (result["with_loss"], result["unknown"], result["findings"]) == (1, 1, [])
    assert (result["depth_versions"], result["not_laid_over"]) == ({"2026": 1}, 1)
    assert result["building_loss_usd"] == 32_000
    table = pyogrio.raw.read(tmp_path / "losses.gpkg")
    assert (len(table[2]), "parcel_uid" in table[0]["fields"]) == (2, True)
    connection.execute("UPDATE resilience.hazard_layer_version SET is_current = false")
    connection.commit()
    with pytest.raises(BadArgument, match="No depth-grid is loaded"):
        run("--town", "Alder")
    with pytest.raises(UnknownTown):
        run("--town", "Nowhere")
