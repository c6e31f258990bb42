"""Exposure of an area: what is counted, once and three ways, what is not known, and what is kept back."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiona
import psycopg
import pytest
import shapely
from pyproj import Transformer
from typer.testing import CliRunner

from resilience.exposure import expose, read_question
from resilience.exposure_commands import app
from resilience.exposure_counts import recount
from resilience.hazards_at import hazards_at
from resilience.small_cells import Units, guarded, guarded_parts
from statewide.database import API, OWNER, connect, role_url
from statewide.errors import BadArgument, InputError, UnknownTown
from statewide.settings import Settings
from tests.resilience.exposed_towns import ASH, BIRCH, SOUTH, WEST, found_towns, insert, remake, run, uid

Ask = Callable[..., dict[str, Any]]


def prepare(settings: Settings) -> None:
    """Ash: a river in lots 1 to 6, surge from the west, a condominium, gaps. Birch: dry but for a lot on both rolls."""
    found_towns(settings)
    with connect(settings, OWNER) as connection:
        river = {"floodway": 0.5, "one_percent": 0.5}
        remake(connection, 1, flood_zones=river, storm_surge={"surge_cat_1": 1.0})
        remake(connection, 2, flood_zones=river, storm_surge={"surge_cat_1": 0.2, "surge_cat_2": 0.8})
        remake(connection, 3, flood_zones={"one_percent": 1.0}, storm_surge={"surge_cat_3": 0.04, "no_zone": 0.96})
        remake(connection, 4, flood_zones={"one_percent": 0.04, "zero_two_percent": 0.96}, use_class="exempt")
        remake(connection, 5, flood_zones={"zero_two_percent": 0.3, "minimal": 0.7}, valuation_year=2019)
        # A condominium: three rows of one shape and one link.
        condo: dict[str, Any] = {"link": f"{ASH}-6", "parcels_sharing": 3, "stack_count": 3, "dwelling_unit_count": 30}
        for number, counts_here in ((6, True), (61, False), (62, False)):
            values = condo | {
                "appraised_total_usd": 900_000.0,
                "assessed_total_usd": 630_000.0,
                "counts_here": counts_here,
            }
            remake(connection, number, place=6, flood_zones={"one_percent": 1.0}, **values)
        remake(connection, 7, flood_zones={"not_mapped": 1.0})
        remake(connection, 8, flood_zones={"not_mapped": 0.25, "minimal": 0.75})
        remake(connection, 9, flood_zones={"undetermined": 1.0})
        remake(
            connection,
            10,
            assessment_count=0,
            assessed_total_usd=None,
            appraised_total_usd=None,
            dwelling_unit_count=None,
        )
        remake(connection, 11, assessed_total_usd=None, appraised_total_usd=None)
        # Lot 30 of Ash is also on Birch's roll, as 63; it counts in Ash.
        remake(connection, 30, flood_zones={"floodway": 1.0})
        remake(connection, 63, place=30, fips=BIRCH, flood_zones={"floodway": 1.0})
        line = {"town_line_uid": uid("line"), "town_a_fips": ASH, "town_b_fips": BIRCH}
        complete(connection, "cadastral.town_line", line)
        complete(
            connection,
            "cadastral.shared_lot",
            {
                "shared_lot_uid": uid("shared"), "town_line_uid": uid("line"), "parcel_uid_a": uid("parcel", 30),
                "parcel_uid_b": uid("parcel", 63), "counts_in_fips": ASH, "uncounted_parcel_uid": uid("parcel", 63),
                "counts_because": "larger",
            },
        )  # fmt: skip
        run(
            connection,
            "UPDATE addresses.address_link SET parcel_uid = NULL WHERE address_uid = %s",
            [uid("address", 12)],
        )
        withhold(connection, 2)
        for name, lot, lifeline in (
            ("Ash School", 3, "food_hydration_shelter"),
            ("Ash Clinic", 20, "health_and_medical"),
        ):
            add_facility(connection, name, lot, lifeline)
        zone(connection, "one_percent", 70, WEST + 200, WEST + 300)


def complete(connection: psycopg.Connection[Any], table: str, row: dict[str, Any]) -> None:
    """Insert a row; what must be filled and is not said is 0, an identifier or now."""
    schema, name = table.split(".")
    for column, kind in connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        " AND is_nullable = 'NO'",
        [schema, name],
    ).fetchall():
        filler = {"uuid": uid(table, column), "timestamp with time zone": "2026-01-01T00:00Z", "text": "x"}
        row.setdefault(column, filler.get(kind, 0))
    insert(connection, table, row)


def withhold(connection: psycopg.Connection[Any], lot: int) -> None:
    run(
        connection,
        "WITH r AS (INSERT INTO confidential.withheld_request (cousub_fips, identifier, basis, recorded_by)"
        " VALUES (%s, 'x', 'cgs_1_217', 'x') RETURNING request_no)"
        " INSERT INTO confidential.withheld_point SELECT request_no, %s FROM r",
        [ASH, uid("address", lot)],
    )


def add_facility(connection: psycopg.Connection[Any], name: str, lot: int, lifeline: str) -> None:
    run(
        connection,
        "INSERT INTO resilience.critical_facility (critical_facility_uid, layer_version, source_list, lifeline,"
        " facility_name, source_sha256, geom, geom_lonlat, geom_mercator, submission_id, row_no, attribute_hash,"
        " shape_hash,"
        " valid_from) SELECT %s, 'v1', 'schools', %s, %s, repeat('0', 64), g, ST_Transform(g, 4326),"
        " ST_Transform(g, 3857),"
        " %s, 1, %s, %s, now() FROM (SELECT ST_SetSRID(ST_MakePoint(%s, %s), 6434) AS g) AS x",
        [uid(name), lifeline, name, uid("load"), uid(name), uid(name), WEST + lot * 100 - 50, SOUTH + 50],
    )


def zone(connection: psycopg.Connection[Any], name: str, rank: int, west: float, east: float) -> None:
    """A polygon of the flood map as tall as the lots."""
    run(
        connection,
        "INSERT INTO resilience.flood_zone (flood_zone_uid, layer_version, zone_class, zone_class_rank, fld_zone,"
        " is_sfha,"
        " source_sha256, geom, geom_lonlat, geom_mercator, submission_id, row_no, attribute_hash, shape_hash,"
        " valid_from)"
        " SELECT %s, 'v1', %s, %s, 'AE', true, repeat('0', 64), g, ST_Transform(g, 4326), ST_Transform(g, 3857),"
        " %s, 1, %s, %s,"
        " now() FROM (SELECT ST_Multi(ST_MakeEnvelope(%s, %s, %s, %s, 6434)) AS g) AS x",
        [uid(name), name, rank, uid("load", "flood-zones"), uid(name), uid(name), west, SOUTH, east, SOUTH + 100],
    )


@pytest.fixture(scope="module")
def world(shared_settings: Settings) -> Settings:
    prepare(shared_settings)
    return shared_settings


@pytest.fixture
def ask(world: Settings) -> Iterator[Ask]:
    """Ask with the rights of the street."""
    with connect(world, API) as connection:
        yield lambda **asked: answer(connection, **asked)


def answer(connection: psycopg.Connection[Any], **asked: Any) -> dict[str, Any]:
    def fetch(query: Any, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        return connection.execute(query, values).fetchall()

    found = expose(fetch, read_question(fetch, asked))
    found.pop("answered_at")
    json.dumps(found)
    return found


def layer(found: dict[str, Any], name: str = "flood-zones") -> dict[str, Any]:
    [only] = [each for each in found["layers"] if each["layer"] == name]
    return dict(only)


def counts(figures: dict[str, Any]) -> tuple[int, int, int]:
    parcels = figures["parcels"]
    return parcels["any_touch"], parcels["centroid_in"], parcels["share_at_least"]


def of_class(found: dict[str, Any], code: str) -> dict[str, Any]:
    [only] = [each for each in found["classes"] if each["class"] == code]
    return dict(only)


def drawn(first: float, last: float, hole: tuple[float, float] | None = None) -> dict[str, Any]:
    """A box over lots, by their numbers; 1.5 is the middle of the first."""
    to_degrees = Transformer.from_crs(6434, 4326, always_xy=True)

    def box(a: float, b: float, south: float, north: float) -> shapely.Polygon:
        ring = shapely.box(WEST + (a - 1) * 100, SOUTH + south, WEST + (b - 1) * 100, SOUTH + north)
        return shapely.transform(shapely.segmentize(ring, 50), to_degrees.transform, interleaved=False)

    shape = box(first, last, -10, 110)
    if hole:
        shape = shapely.Polygon(shape.exterior, [box(*hole, 5, 95).exterior])
    return dict(json.loads(shapely.to_geojson(shape)))


# ── what is counted ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_parcels_are_counted_three_ways_with_what_they_are_a_part_of(ask: Ask) -> None:
    found = ask(town="Ash", layers="flood-zones", min_share=5)
    assert found["in_area"]["parcels"]["any_touch"] == 32
    total = layer(found)["total"]
    # Lots 1 to 6, two more rows of the condominium, and lot 30; of lot 5 it is 30 percent.
    assert counts(total) == (9, 8, 9)
    assert total["parcels"]["of"] == 32
    classes = layer(found)
    assert counts(of_class(classes, "floodway")["alone"]) == (3, 1, 3)
    assert counts(of_class(classes, "one_percent")["alone"]) == (7, 6, 6)
    assert counts(of_class(classes, "one_percent")["up_to"]) == (8, 7, 7)
    assert counts(of_class(classes, "zero_two_percent")["alone"]) == (2, 1, 2)
    assert counts(of_class(classes, "zero_two_percent")["up_to"]) == counts(total)


def test_land_is_that_in_the_class_and_once_under_a_condominium(ask: Ask) -> None:
    found = layer(ask(town="Ash", layers="flood-zones"))
    assert of_class(found, "one_percent")["alone"]["area_sqft"] == 5_000 + 5_000 + 10_000 + 400 + 10_000
    assert of_class(found, "floodway")["alone"]["area_acres"] == pytest.approx(20_000 / 43_560, abs=0.005)
    assert ask(town="Ash")["in_area"]["area_sqft"] == 300_000


def test_value_is_by_revaluation_year_with_exempt_apart_and_a_condominium_once(ask: Ask) -> None:
    value = layer(ask(town="Ash", layers="flood-zones"))["total"]["value"]
    assert value["by_valuation_year"] == [
        {
            "valuation_year": 2019,
            "taxable": {"properties": 1, "assessed_usd": 70_000, "appraised_usd": 100_000},
            "exempt": {"properties": 0, "assessed_usd": 0, "appraised_usd": 0},
        },
        {
            "valuation_year": 2022,
            "taxable": {"properties": 5, "assessed_usd": 4 * 70_000 + 630_000, "appraised_usd": 4 * 100_000 + 900_000},
            "exempt": {"properties": 1, "assessed_usd": 70_000, "appraised_usd": 100_000},
        },
    ]


def test_the_value_of_a_condominium_counts_where_any_of_its_parcels_is_touched(settings: Settings) -> None:
    found_towns(settings)
    with connect(settings, OWNER) as connection:
        both: dict[str, Any] = {"link": "x", "parcels_sharing": 2}
        remake(connection, 1, **both, counts_here=True)
        remake(connection, 2, **both, counts_here=False, flood_zones={"floodway": 0.1, "minimal": 0.9})
    with connect(settings, API) as connection:
        for share, properties in ((0, 1), (10, 1), (15, 0)):
            found = layer(answer(connection, town="Ash", layers="flood-zones", min_share=share))["total"]
            assert sum(year["taxable"]["properties"] for year in found["value"]["by_valuation_year"]) == properties


def test_nested_classes_are_told_alone_and_with_those_before_them(ask: Ask) -> None:
    found = layer(ask(town="Ash", layers="storm-surge", min_share=20), "storm-surge")
    assert found["nested"] is True
    told = {each["class"]: (counts(each["alone"]), counts(each["up_to"])) for each in found["classes"]}
    assert told == {
        "surge_cat_1": ((2, 1, 2), (2, 1, 2)),
        "surge_cat_2": ((1, 1, 1), (2, 2, 2)),
        "surge_cat_3": ((1, 0, 0), (3, 2, 2)),
    }
    addresses = {each["class"]: each["up_to"]["addresses"]["count"] for each in found["classes"]}
    assert addresses == {"surge_cat_1": 1, "surge_cat_2": 1, "surge_cat_3": 1}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"layers": "storm-surge", "max_value": 1}, (2, 1, 2)),
        ({"layers": "storm-surge", "max_value": 2.9}, (2, 2, 2)),
        ({"layers": "storm-surge", "min_class": "surge_cat_3"}, (3, 2, 3)),
        ({"layers": "flood-zones", "min_class": "one_percent"}, (8, 7, 8)),
        ({"layers": "flood-zones", "min_class": "one_percent", "min_share": 5}, (8, 7, 7)),
        ({"layers": "flood-zones", "min_share": 30}, (9, 8, 9)),
        ({"layers": "flood-zones", "min_share": 35}, (9, 8, 8)),
    ],
)  # fmt: skip
def test_a_filter_by_class_value_and_share_counts_what_it_says(
    ask: Ask, asked: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    assert counts(ask(town="Ash", **asked)["layers"][0]["total"]) == expected


def test_a_lot_on_two_rolls_counts_in_either_town_and_once_in_both(ask: Ask) -> None:
    floodway = [
        counts(of_class(layer(ask(town=town, layers="flood-zones")), "floodway")["alone"])[0]
        for town in ("Ash", "Birch", ["Ash", "Birch"])
    ]
    assert floodway == [3, 1, 3]
    both = ask(town=["Ash", "Birch"], layers="flood-zones")
    assert both["in_area"]["parcels"]["any_touch"] == 32 + 31 - 1
    assert both["in_area"]["area_sqft"] == 600_000
    around = ask(polygon=drawn(29.5, 31.5), layers="flood-zones")
    assert around["in_area"]["parcels"]["any_touch"] == 3
    assert [(town["town"], town["parcels"]) for town in around["towns"]] == [("Ash", 2), ("Birch", 1)]


def test_addresses_that_are_not_shown_are_counted_nowhere(ask: Ask) -> None:
    found = ask(town="Ash", layers="flood-zones")
    assert found["in_area"]["addresses"]["count"] == 31
    # In the 1 percent zone are the addresses of lots 1, 3 and three on the sixth; that of lot 2 is withheld.
    assert of_class(layer(found), "one_percent")["alone"]["addresses"] == {"count": 5, "of": 31}


def test_critical_facilities_are_told_by_lifeline_with_their_zone(ask: Ask) -> None:
    found = ask(town="Ash")["critical_facilities"]
    assert [(each["lifeline"], each["in_area"], each["in_hazard"]) for each in found["by_lifeline"]] == [
        ("Food, Hydration, Shelter", 1, {"flood-zones": 1}),
        ("Health and Medical", 1, {}),
    ]
    school, clinic = found["list"]
    assert (school["name"], school["town"], school["classes"]["flood-zones"]) == ("Ash School", "Ash", "one_percent")
    assert clinic["classes"]["flood-zones"] == "not_mapped"
    assert ask(polygon=drawn(19, 22))["critical_facilities"]["count"] == 1


# ── what is not known ────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_not_known_is_said_in_sentences_with_counts(ask: Ask) -> None:
    found = ask(town=["Ash", "Birch"])
    told = {(each["code"], each.get("layer")): each["count"] for each in found["unknowns"]}
    assert told == {
        ("not_mapped", "flood-zones"): 1,
        ("partly_mapped", "flood-zones"): 1,
        ("unknown_land", "flood-zones"): 3,
        ("address_not_mapped", "flood-zones"): 1,
        ("no_flood_elevation", "flood-zones"): 9,
        ("layer_not_loaded", "sea-level-rise"): 1,
        ("layer_not_loaded", "evacuation-zones"): 1,
        ("layer_not_loaded", "extreme-heat"): 1,
        ("layer_not_loaded", "depth-grid"): 1,
        ("no_assessment", None): 1,
        ("no_value", None): 1,
        ("address_without_parcel", None): 1,
        ("stale_town", None): 1,
    }
    sentences = " ".join(each["sentence"] for each in found["unknowns"])
    assert "The parcels of Birch are of a year before 2025" in sentences
    assert "whether there is a hazard is not known there" in sentences


def test_an_answer_names_the_versions_it_rests_on(ask: Ask) -> None:
    versions = ask(town="Birch")["versions"]
    assert [(each["layer"], each["layer_version"], each["effective_on"]) for each in versions["layers"]] == [
        ("flood-zones", "v1", "2025-07-08"),
        ("storm-surge", "v1", "2025-07-08"),
    ]
    [town] = versions["towns"]
    assert (town["town"], town["delivered"]["parcel"]["year"], versions["newest_parcel_year"]) == ("Birch", 2024, 2025)


def test_answers_older_than_layer_parcel_or_address_and_towns_without_files_are_said(settings: Settings) -> None:
    found_towns(settings)
    with connect(settings, OWNER) as connection:
        run(
            connection,
            "UPDATE cadastral.parcel SET shape_hash = md5('x')::uuid WHERE parcel_uid = %s",
            [uid("parcel", 1)],
        )
        run(connection, "DELETE FROM resilience.parcel_hazard WHERE parcel_uid = %s", [uid("parcel", 2)])
        run(connection, "DELETE FROM resilience.address_hazard WHERE address_uid = %s", [uid("address", 3)])
        run(connection, "UPDATE resilience.hazard_layer_version SET is_current = false WHERE layer = 'storm-surge'")
        complete(
            connection,
            "resilience.hazard_layer_version",
            {
                "layer": "storm-surge",
                "layer_version": "v2",
                "is_current": True,
                "summary": "{}",
                "source_sha256": "0" * 64,
            },
        )
        run(connection, "DELETE FROM statewide.publication WHERE dataset <> 'parcel' AND cousub_fips = %s", [ASH])
    with connect(settings, API) as connection:
        found = answer(connection, town="Ash", layers=["flood-zones", "storm-surge"])
    told = {(each["code"], each.get("layer")): each["count"] for each in found["unknowns"]}
    assert told[("older_parcel", "flood-zones")] == 1
    assert told[("no_answer", "flood-zones")] == 1
    assert told[("address_no_answer", "flood-zones")] == 1
    assert told[("older_layer", "storm-surge")] == 29
    assert told[("older_address", "storm-surge")] == 29
    assert told[("town_without_assessments", None)] == told[("town_without_addresses", None)] == 1


# ── drawn areas ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_drawn_area_takes_the_parcels_that_it_touches_whole_and_says_how_it_lies_on_them(ask: Ask) -> None:
    found = ask(polygon=drawn(2.4, 5.7), layers="flood-zones", min_share=65)
    # Lot 2 by 60 percent with its middle, 3 and 4 wholly, 5 by 70 percent with its middle.
    assert counts(found["in_area"]) == (4, 4, 3)
    assert found["in_area"]["parcels"]["of"] == 4
    assert counts(layer(found)["total"]) == (4, 3, 3)
    assert found["area"]["area_sqft"] == pytest.approx(330 * 120, rel=0.001)
    assert "touch the drawn area" in found["method"]["parcels_of_area"]


def test_a_hole_is_outside_of_a_drawn_area(ask: Ask) -> None:
    assert ask(polygon=drawn(1.1, 5.9))["in_area"]["parcels"]["any_touch"] == 5
    holed = ask(polygon=drawn(1.1, 5.9, hole=(2.9, 4.1)))
    assert counts(holed["in_area"])[:2] == (5, 4)
    assert holed["in_area"]["addresses"]["count"] == 3  # not that of lot 3, and that of lot 2 is not shown


def test_a_box_over_a_town_answers_as_the_town(ask: Ask) -> None:
    shape = shapely.from_geojson(json.dumps(drawn(0.5, 30.95)))
    boxed, named = ask(bbox=list(shape.bounds), layers="flood-zones"), ask(town="Ash", layers="flood-zones")
    # The lot on both rolls counts once.
    for part in ("parcels", "value", "area_sqft"):
        assert layer(boxed)["total"][part] == layer(named)["total"][part]
    assert layer(boxed)["coverage"]["parcels_not_mapped"] == 1


def ring(corners: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [corners]}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "Say one area"),
        ({"town": "Ash", "state": True}, "Say one area"),
        ({"town": "Nowhere"}, "No town of the register is called 'Nowhere'"),
        ({"town": {"a": 1}}, "a name or code is expected"),
        ({"region": "Nowhere"}, "No planning region"),
        ({"state": 1}, "true asks for the whole State"),
        ({"bbox": [1, 2, 3]}, "four numbers"),
        ({"bbox": [-72, 41, -73, 42]}, "west before east"),
        ({"bbox": [-73.7, 40.9, -71.8, 42.1]}, "square miles are too many"),
        ({"polygon": "x"}, "one GeoJSON Polygon"),
        ({"polygon": {"type": "Point", "coordinates": [0, 0]}}, "one GeoJSON Polygon"),
        ({"polygon": {"type": "Polygon", "coordinates": "x"}}, "cannot be read"),
        ({"polygon": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}, "cannot be read"),
        ({"polygon": {"type": "Polygon", "coordinates": []}}, "degrees"),
        ({"polygon": ring([[0, 0], [0.1, 0.1], [0.1, 0], [0, 0.1], [0, 0]])}, "crosses itself"),
        ({"polygon": ring([[1e6, 6e5], [1.1e6, 6e5], [1e6, 7e5], [1e6, 6e5]])}, "not degrees"),
        ({"polygon": ring([*([i / 1e5, (i % 2) / 1e5] for i in range(6_000)), [0, 0]])}, "corners"),
        ({"town": "Ash", "layers": "lava"}, "layers: choose among"),
        ({"town": "Ash", "min_share": 7}, "multiple of 5"),
        ({"town": "Ash", "min_share": True}, "multiple of 5"),
        ({"town": "Ash", "min_share": 101}, "multiple of 5"),
        ({"town": "Ash", "max_value": 2}, "with one layer"),
        ({"town": "Ash", "layers": "flood-zones", "max_value": 2}, "do not contain one another"),
        ({"town": "Ash", "layers": "storm-surge", "max_value": 0}, "the lowest of storm-surge is 1"),
        ({"town": "Ash", "layers": "flood-zones", "min_class": "surge_cat_1"}, "flood-zones has floodway"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_sentence(ask: Ask, asked: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as error:
        ask(**asked)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_towns_are_known_by_name_code_and_number(ask: Ask) -> None:
    names = [ask(town=name)["area"]["name"] for name in ("ash", ASH, "991", "Town of Ash")]
    assert names == ["Ash"] * 4
    with pytest.raises(UnknownTown):
        ask(town="Ash Birch")


# ── counted beforehand ───────────────────────────────────────────────────────────────────────────────────────────────

_QUESTIONS: list[dict[str, Any]] = [
    {"town": "Ash"},
    {"state": True},
    {"town": ["Ash", "Birch"], "layers": "flood-zones", "min_share": 30, "min_class": "one_percent"},
    {"state": True, "layers": "storm-surge", "max_value": 2},
    {"polygon": drawn(2.4, 31.5)},
    {"polygon": drawn(1.5, 8.7), "layers": "flood-zones", "min_share": 30, "min_class": "one_percent"},
]


def test_counts_kept_of_towns_answer_as_counting_does_and_every_change_is_seen(settings: Settings) -> None:
    prepare(settings)
    changes = (
        "UPDATE resilience.parcel_hazard SET worst_class = worst_class WHERE cousub_fips = '99101'",
        "DELETE FROM resilience.parcel_hazard WHERE parcel_uid = %(parcel)s",
        "UPDATE cadastral.parcel_value SET appraised_total_usd = 5 WHERE parcel_uid = %(parcel)s",
        "DELETE FROM resilience.address_hazard WHERE address_uid = %(address)s",
        "UPDATE addresses.address_link SET parcel_uid = NULL WHERE address_uid = %(address)s",
        "INSERT INTO confidential.withheld_point SELECT min(request_no), %(address)s FROM"
        " confidential.withheld_request",
        "DELETE FROM confidential.withheld_point",
        "DELETE FROM cadastral.shared_lot",
        "UPDATE statewide.publication SET year = 2026 WHERE dataset = 'parcel'",
        "DELETE FROM resilience.critical_facility WHERE lifeline = 'health_and_medical'",
        "UPDATE resilience.hazard_layer_version SET layer_version = 'v3'",
    )
    with connect(settings, API) as street, connect(settings) as loader:
        street.autocommit = True

        def answers() -> list[dict[str, Any]]:
            return [answer(street, **asked) for asked in _QUESTIONS]

        for change in (None, *changes):
            if change:
                with connect(settings, OWNER) as owner:
                    owner.execute(change.encode(), {"parcel": uid("parcel", 1), "address": uid("address", 1)})
                fresh = street.execute("SELECT cousub_fips FROM published.exposure_towns").fetchall()
                assert (ASH,) not in fresh, change
            live = answers()
            assert ASH in recount(loader)
            assert street.execute("SELECT count(*) FROM published.exposure_towns").fetchone() == (2,)
            assert answers() == live, change
        assert recount(loader) == []


def test_a_change_that_is_not_committed_yet_is_not_lost_by_a_count(settings: Settings) -> None:
    found_towns(settings)
    with connect(settings) as loader, connect(settings, OWNER) as writer:
        recount(loader)
        run(writer, "UPDATE cadastral.parcel_value SET appraised_total_usd = 1 WHERE cousub_fips = %s", [ASH])
        with connect(settings, OWNER) as other:
            run(other, "UPDATE cadastral.parcel_value SET appraised_total_usd = 2 WHERE cousub_fips = %s", [BIRCH])
            run(other, "UPDATE addresses.address_link SET confidence = 1 WHERE cousub_fips = %s", [ASH])
        assert recount(loader) == [ASH, BIRCH]
        writer.commit()
        assert recount(loader) == [ASH]


# ── small cells ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("homes", "of", "told"),
    [
        (0, 100, 0), (1, 100, None), (5, 100, None), (6, 100, 5), (7, 100, 5), (8, 100, 10), (52, 100, 50),
        (94, 100, 95),
        (95, 100, None), (99, 100, None), (100, 100, 100), (0, 19, None), (19, 19, None),
    ],
)  # fmt: skip
def test_homes_are_rounded_and_few_of_them_are_not_told(homes: int, of: int, told: int | None) -> None:
    found = guarded(Units(homes, 50), Units(of, 50))
    assert found["count"] == told
    assert ("why" in found) == (told is None)


def test_no_homes_are_told_of_a_small_area() -> None:
    assert guarded(Units(400, 19), None)["count"] is None
    assert guarded(Units(400, 20), None)["count"] == 400


def test_where_one_part_is_kept_back_the_next_smallest_is_too() -> None:
    parts = [guarded(Units(homes, 99), Units(200, 99)) for homes in (3, 0, 22, 60)]
    guarded_parts(parts)
    assert [part["count"] for part in parts] == [None, 0, None, 60]


def test_two_areas_that_differ_by_a_household_do_not_give_it_by_subtraction(settings: Settings) -> None:
    """The attack: the same area with and without the lot at its end; the lot has 1 to 4 homes."""
    found_towns(settings)
    differences: dict[int, set[int]] = {}
    with connect(settings, OWNER) as owner, connect(settings, API) as street:
        street.autocommit = True
        for homes in (1, 2, 3, 4):
            run(
                owner,
                "UPDATE cadastral.parcel_value SET dwelling_unit_count = %s WHERE parcel_uid = %s",
                [homes, uid("parcel", 25)],
            )
            owner.commit()
            for first in (1.5, 2.5, 3.5, 4.5, 5.5):
                asked = [answer(street, polygon=drawn(first, last)) for last in (24.5, 25.5)]
                told = [each["in_area"]["dwelling_units"]["count"] for each in asked]
                assert all(count % 5 == 0 for count in told)
                differences.setdefault(homes, set()).add(told[1] - told[0])
    assert all(found == {0, 5} for found in differences.values())


def test_a_filter_does_not_tell_the_homes_of_one_lot(ask: Ask) -> None:
    for asked in ({"min_share": 0}, {"min_share": 30}, {"min_share": 35}, {"min_class": "floodway"}):
        homes = layer(ask(town="Ash", layers="flood-zones", **asked))["total"]["dwelling_units"]
        assert homes["count"] is None or homes["count"] % 5 == 0
    assert layer(ask(town="Birch", layers="flood-zones"))["total"]["dwelling_units"]["why"] == "1 to 5: not told"


# ── command, list, place ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def command(world: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setenv("STATEWIDE_HOME", str(world.home))
    monkeypatch.setenv("STATEWIDE_DATABASE_URL", world.database_url or "")

    def go(*words: str | Path) -> str:
        result = CliRunner().invoke(app, list(map(str, words)))
        if result.exception:
            raise result.exception
        return result.stdout

    return go


def test_the_command_prints_a_page_or_json(command: Callable[..., str], tmp_path: Path) -> None:
    page = command("--town", "Ash", "--layer", "flood-zones", "--min-share", "5")
    assert "Ash: 32 parcels, 31 addresses" in page
    assert "appraised $1,300,000" in page
    assert "whether there is a hazard is not known there" in page
    (tmp_path / "area.geojson").write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": drawn(1, 5)}))
    found = json.loads(
        command("--polygon", tmp_path / "area.geojson", "--class", "one_percent", "--layer", "flood-zones", "--json")
    )
    assert (found["outcome"], found["asked"]["min_class"]) == ("ok", "one_percent")


@pytest.mark.parametrize("suffix", ["geojson", "csv", "gpkg"])
def test_the_list_holds_the_parcels_that_are_counted(command: Callable[..., str], tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"list.{suffix}"
    asked = ["--town", "Ash", "--layer", "flood-zones", "--class", "one_percent", "--min-share", "5", "--list", file]
    found = json.loads(command(*asked, "--json"))
    assert found["list"]["rows"] == layer(found)["total"]["parcels"]["share_at_least"] == 7
    if suffix == "csv":
        rows = list(csv.DictReader(file.read_text().splitlines()))
    else:
        with fiona.open(file) as opened:
            assert opened.crs.to_epsg() == (6434 if suffix == "gpkg" else 4326)
            rows = [dict(row["properties"]) for row in opened]
    assert {row["parcel_id"] for row in rows} == {"1", "2", "3", "6", "61", "62", "30"}
    assert {float(row["share_pct"]) for row in rows} == {100.0}


def test_a_bad_file_or_list_is_one_sentence(command: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "broken.geojson").write_text("{")
    for words, says in (
        (["--polygon", tmp_path / "nothing.geojson"], "cannot be read"),
        (["--polygon", tmp_path / "broken.geojson"], "is no GeoJSON"),
        (["--bbox", "a,b"], "four numbers"),
        (["--town", "Ash", "--list", tmp_path / "x.txt"], "Say the format"),
        (["--town", "Ash", "--list", tmp_path / "x.fgb"], "--list"),
    ):
        with pytest.raises(BadArgument, match=says):
            command(*words)


def test_a_place_is_told_every_layer_with_version_and_coverage(world: Settings) -> None:
    to_degrees = Transformer.from_crs(6434, 4326, always_xy=True)
    with psycopg.connect(role_url(world, API), autocommit=True) as connection:

        def at(lot: int) -> dict[str, Any]:
            lon, lat = to_degrees.transform(WEST + lot * 100 - 50, SOUTH + 50)
            return hazards_at(lambda query, values: connection.execute(query, values).fetchall(), lon, lat, None)

        found = at(3)
        flood, surge = found["layers"]
        assert (flood["layer"], flood["zone_class"], flood["zone_label"], flood["coverage"]) == (
            "flood-zones", "one_percent", "AE", "mapped",
        )  # fmt: skip
        assert (flood["layer_version"], flood["effective_on"]) == ("v1", "2025-07-08")
        assert (surge["zone_class"], surge["coverage"]) == ("not_mapped", "not mapped")
        assert [parcel["parcel_id"] for parcel in found["parcels"]] == ["3"]
        assert "sea-level-rise" in found["not_loaded"]
        assert at(15)["layers"][0]["zone_class"] == "not_mapped"
