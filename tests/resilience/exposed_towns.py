"""Two invented towns side by side with parcels, values, addresses and answers of two layers, written by SQL.

Ash has lots 1 to 30 in a row of 100 ft squares from west to east, Birch has 31 to 60 beside it. What lies on each is
said in `LOTS`; a test that wants more changes the rows and nothing else.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import psycopg
from psycopg import sql

from statewide.database import OWNER, Connection, connect
from statewide.settings import Settings

ASH, BIRCH = "99101", "99102"
LOT_SQFT = 10_000.0
WEST, SOUTH = 1_000_000.0, 600_000.0
LAYERS = ("flood-zones", "storm-surge")
RANKS = {
    "floodway": 90, "one_percent": 70, "zero_two_percent": 50, "minimal": 10, "undetermined": None, "not_mapped": None,
    "no_zone": 0, "surge_cat_1": 90, "surge_cat_2": 80, "surge_cat_3": 70, "surge_cat_4": 60,
}  # fmt: skip


def uid(*parts: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, parts))))


def found_towns(settings: Settings) -> None:
    """Towns, deliveries, layer versions, and one dry lot after another."""
    with connect(settings, OWNER) as connection:
        for number, (fips, name) in enumerate(((ASH, "Ash"), (BIRCH, "Birch"))):
            west = WEST + number * 3_000
            run(
                connection,
                "INSERT INTO statewide.municipality (cousub_fips, town_no, town_name, is_invented, geom, geom_lonlat,"
                " geom_mercator) SELECT %s, %s, %s, true, g, ST_Transform(g, 4326), ST_Transform(g, 3857)"
                " FROM (SELECT ST_Multi(ST_MakeEnvelope(%s, %s, %s, %s, 6434)) AS g) AS x",
                [fips, 991 + number, name, west, SOUTH, west + 3_000, SOUTH + 100],
            )
            for dataset in ("parcel", "assessment", "address_point"):
                submission = uid(dataset, fips)
                run(
                    connection,
                    "INSERT INTO statewide.submission (submission_id, dataset, cousub_fips, year, file_name,"
                    " file_sha256,"
                    " received_at, outcome, summary, standard_version, software_version)"
                    " VALUES (%s, %s, %s, %s, 'x', repeat('0', 64), now(), 'published', '{}', '1', '1')",
                    [submission, dataset, fips, 2025 - number],
                )
                run(
                    connection,
                    "INSERT INTO statewide.publication (cousub_fips, dataset, publication_id, submission_id, year,"
                    " rows_published, rows_held, published_at) VALUES (%s, %s, %s, %s, %s, 30, 0, now())",
                    [fips, dataset, submission, submission, 2025 - number],
                )
        for layer in LAYERS:
            run(
                connection,
                "INSERT INTO resilience.hazard_layer_version (layer_load_id, layer, layer_version, is_current,"
                " effective_on,"
                " loaded_at, source_file, source_sha256, class_list_version, summary)"
                " VALUES (%s, %s, 'v1', true, '2025-07-08', now(), 'x', repeat('0', 64), '2', '{}')",
                [uid("load", layer), layer],
            )
        for number in range(1, 61):
            add_lot(connection, number)


def add_lot(
    connection: Connection, number: int, *, place: int | None = None, fips: str | None = None, **said: Any
) -> None:
    """A lot with its value, an address, and its answers. By default dry, worth 100,000, one home, revalued in 2022.

    Args:
        place: where it lies, if not at the place of its number.
        said: columns of `parcel_value`; `stack_count`; a layer's name with _ for -, and class → share of the lot.
    """
    at = (place or number) - 1
    town = fips or (ASH if at < 30 else BIRCH)
    parcel = uid("parcel", number)
    run(
        connection,
        "INSERT INTO cadastral.parcel (parcel_uid, cousub_fips, cama_link, cama_link_normalized, parcel_id, location,"
        " collection_year, area_sqft, stack_count, geom, geom_lonlat, geom_mercator, submission_id, row_no,"
        " attribute_hash,"
        " shape_hash, valid_from) SELECT %s, %s, %s, %s, %s, %s, 2025, %s, %s, g, ST_Transform(g, 4326),"
        " ST_Transform(g, 3857), %s, %s, %s, %s, now()"
        " FROM (SELECT ST_Multi(ST_MakeEnvelope(%s, %s, %s, %s, 6434)) AS g) AS x",
        [
            parcel, town, f"{town}-{number}", said.pop("link", f"{town}-{number}"), str(number), f"{number} Elm Street",
            LOT_SQFT, said.pop("stack_count", 1), uid("parcel", town), number, parcel, parcel,
            WEST + at * 100, SOUTH, WEST + at * 100 + 100, SOUTH + 100,
        ],
    )  # fmt: skip
    for layer in LAYERS:
        calm = "minimal" if layer == "flood-zones" else "no_zone"
        shares = said.pop(layer.replace("-", "_"), {calm: 1.0})
        add_answer(connection, number, town, layer, shares)
    value = {
        "assessment_count": 1, "parcels_sharing": 1, "counts_here": True, "assessed_total_usd": 70_000.0,
        "appraised_total_usd": 100_000.0, "valuation_year": 2022, "use_class": "residential", "dwelling_unit_count": 1,
    } | said  # fmt: skip
    insert(connection, "cadastral.parcel_value", {"parcel_uid": parcel, "cousub_fips": town, **value})
    add_address(connection, number, town, at)


def add_address(connection: Connection, number: int, town: str, at: int) -> None:
    point = uid("address", number)
    run(
        connection,
        "INSERT INTO addresses.address_point (address_uid, cousub_fips, st_name, address_label, geom, geom_lonlat,"
        " geom_mercator, submission_id, row_no, attribute_hash, shape_hash, valid_from)"
        " SELECT %s, %s, 'Elm', %s, g, ST_Transform(g, 4326), ST_Transform(g, 3857), %s, %s, %s, %s, now()"
        " FROM (SELECT ST_SetSRID(ST_MakePoint(%s, %s), 6434) AS g) AS x",
        [
            point, town, f"{number} Elm Street", uid("address_point", town), number, point, point,
            WEST + at * 100 + 50, SOUTH + 50,
        ],
    )  # fmt: skip
    link = {"address_uid": point, "cousub_fips": town, "parcel_uid": uid("parcel", number), "parcels_linked": 1}
    insert(connection, "addresses.address_link", link | {"point_attribute_hash": point, "point_shape_hash": point})


def add_answer(connection: Connection, number: int, town: str, layer: str, shares: dict[str, float]) -> None:
    """The answers of a lot and its address; classes from the worst on. The last one is at the middle."""
    classes = list(shares)
    worst, middle = classes[0], classes[-1]
    unknown = 100 * sum(share for name, share in shares.items() if RANKS[name] is None)
    sfha = 100 * sum(share for name, share in shares.items() if name in ("floodway", "one_percent"))
    mapped = "not mapped" if shares.get("not_mapped") == 1 else "partly mapped" if "not_mapped" in shares else "mapped"
    versions = {"layer_version": "v1", "layer_load_id": uid("load", layer), "computed_at": "2026-01-01T00:00Z"}
    insert(
        connection,
        "resilience.parcel_hazard",
        {
            "parcel_hazard_uid": uid("hazard", layer, number), "parcel_uid": uid("parcel", number), "cousub_fips": town,
            "layer": layer, "worst_class": worst, "worst_class_rank": RANKS[worst], "centroid_class": middle,
            "area_by_class": json.dumps({name: round(share * LOT_SQFT, 3) for name, share in shares.items()}),
            "mapped_share_pct": 100 - 100 * shares.get("not_mapped", 0), "unknown_share_pct": unknown,
            "coverage": mapped,
            "sfha_share_pct": sfha if layer == "flood-zones" else None, "parcel_submission_id": uid("parcel", town),
            "parcel_shape_hash": uid("parcel", number), **versions,
        },
    )  # fmt: skip
    insert(
        connection,
        "resilience.address_hazard",
        {
            "address_hazard_uid": uid("address hazard", layer, number), "address_uid": uid("address", number),
            "cousub_fips": town, "layer": layer, "zone_class": middle, "zone_class_rank": RANKS[middle],
            "coverage": "not mapped" if middle == "not_mapped" else "mapped",
            "is_sfha": middle in ("floodway", "one_percent"), "address_submission_id": uid("address_point", town),
            "address_shape_hash": uid("address", number), **versions,
        },
    )  # fmt: skip


def remake(connection: Connection, number: int, **said: Any) -> None:
    """A lot with something else on it."""
    for table, key in (
        ("resilience.parcel_hazard", "parcel_uid"), ("cadastral.parcel_value", "parcel_uid"),
        ("cadastral.parcel", "parcel_uid"),
        ("resilience.address_hazard", "address_uid"), ("addresses.address_link", "address_uid"),
        ("addresses.address_point", "address_uid"),
    ):  # fmt: skip
        kind = "parcel" if key == "parcel_uid" else "address"
        run(connection, f"DELETE FROM {table} WHERE {key} = %s", [uid(kind, number)])
    add_lot(connection, number, **said)


def insert(connection: Connection, table: str, row: dict[str, Any]) -> None:
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(*table.split(".")),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join([sql.Placeholder()] * len(row)),
        ),
        list(row.values()),
    )


def run(connection: psycopg.Connection[Any], text: str, values: list[Any] | None = None) -> None:
    connection.execute(text.encode(), values)
