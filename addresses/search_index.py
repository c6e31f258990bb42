"""What the address search looks things up in: every street of a town once, and which place has which of its numbers.

Made anew for a town after a publication, from what the published views show, and read by `addresses.search`. It holds
keys and numbers; what is shown of a place is read from its published view when somebody asks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from addresses.parsing import STREET, joined, parse_addresses
from statewide.copying import UUID, copy_in
from statewide.database import Connection, connect, read_sql
from statewide.findings import plain_count
from statewide.register import Town
from statewide.replace import lock_town
from statewide.settings import Settings
from statewide.standard import Standard, load_standard

KINDS = {"address_point": "address", "parcel": "parcel"}
"""Kind of a place by the dataset that it comes from."""
NAME = tuple(part for part in STREET if part != "st_postyp")
"""The parts by which a street is looked up; its type at the end is compared apart, for it is often left out."""

_ROUTE = re.compile(r"^(?:(?:STATE|UNITED STATES|US|U S|CT|CONNECTICUT) )?(?:ROUTE|HIGHWAY) (?=\d)")


def after_publication(settings: Settings, dataset: str, town: Town, say: Callable[[str], None]) -> None:
    """Make a town's streets anew whose address points or parcels have changed."""
    if dataset not in KINDS:
        return
    with connect(settings) as connection:
        places = refresh(connection, load_standard(), dataset, town.cousub_fips)
    if places is not None:
        say(f"{plain_count(places, 'place')} can be searched by address")


def refresh_all(connection: Connection, standard: Standard) -> Iterator[tuple[str, str, int]]:
    """Bring up to date every town that is not; commits after each and gives its code, the dataset and its places."""
    published = connection.execute(
        "SELECT cousub_fips, dataset FROM statewide.publication WHERE dataset = ANY(%s) ORDER BY dataset, cousub_fips",
        [list(KINDS)],
    ).fetchall()
    for town, dataset in published:
        places = refresh(connection, standard, dataset, town)
        connection.commit()
        if places is not None:
            yield town, dataset, places


def refresh(connection: Connection, standard: Standard, dataset: str, town: str) -> int | None:
    """Make one dataset of a town searchable, in the caller's transaction.

    Returns:
        How many of its places have a number and a street; None when the live publication is searchable already.
    """
    lock_town(connection, "address_search", town)
    values = {"town": town, "dataset": dataset, "kind": KINDS[dataset]}
    [(live, known)] = connection.execute(read_sql("addresses", "searchable_publication"), values).fetchall()
    if live == known:
        return None
    connection.execute(read_sql("addresses", "numbered"))
    if dataset == "parcel":
        _number_parcels(connection, standard, town)
    else:
        connection.execute(read_sql("addresses", "numbered_points"), values)
        _name_communities(connection, town)
    _spell(connection)
    places = connection.execute(read_sql("addresses", "places_of_streets"), values).rowcount
    connection.execute(read_sql("addresses", "streets_without_places"), values)
    connection.execute(
        "INSERT INTO addresses.search_state VALUES (%s, %s, %s)"
        " ON CONFLICT (cousub_fips, dataset) DO UPDATE SET publication_id = excluded.publication_id",
        [town, dataset, live],
    )
    connection.execute("DROP TABLE numbered, spelled")
    return places


def key(text: str | None) -> str:
    """A name as names are compared: capitals without accents, apostrophes and punctuation."""
    plain = unicodedata.normalize("NFKD", (text or "").replace("'", "").replace("\u2019", "")).upper()
    return " ".join(re.findall(r"[A-Z0-9]+", plain.encode("ascii", "ignore").decode()))


def name_key(name: str | None) -> str:
    """The key of a street's name. A numbered route has one, whoever maintains it: people write Route 6."""
    return _ROUTE.sub("ROUTE ", key(name))


def communities(connection: Connection, town: str) -> list[str]:
    """Villages, postal cities and ZIP codes of a town."""
    rows = connection.execute("SELECT name FROM addresses.community WHERE cousub_fips = %s ORDER BY name", [town])
    return [name for (name,) in rows.fetchall()]


def _number_parcels(connection: Connection, standard: Standard, town: str) -> None:
    """The town's published parcels whose location can be read as an address."""
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(
            "SELECT uuid_send(parcel_uid), location FROM published.parcels"
            " WHERE cousub_fips = %s AND location IS NOT NULL",
            [town],
        ).fetchall()
    locations = pa.array([location for _, location in rows], pa.string())
    parsed = parse_addresses(standard, locations, communities(connection, town))
    named = pc.and_(pc.is_valid(parsed.parts.column("st_name")), pa.array(~parsed.held))
    read = pc.and_(named, pc.fill_null(pc.greater(parsed.parts.column("add_number"), 0), False))
    parts = parsed.parts.filter(read)
    part = {name: parts.column(name).combine_chunks() for name in parts.column_names}
    chunk = {
        "place_uid": pa.array([uid for uid, _ in rows], UUID).filter(read.combine_chunks()),
        "street": joined(*(part[name] for name in STREET)),
        "name": joined(*(part[name] for name in NAME)),
        "street_type": part["st_postyp"].fill_null(""),
        "number": part["add_number"].cast(pa.int32()),
        "whole_number": part["addnum_cmp"],
        "suffix": part["addnum_suf"],
        "unit": pc.coalesce(part["unitvalue"], part["unit"]),
    }
    copy_in(connection, sql.Identifier("numbered"), list(chunk), [chunk])


def _name_communities(connection: Connection, town: str) -> None:
    names = {key(name): name for (name,) in connection.execute(read_sql("addresses", "communities"), {"town": town})}
    connection.execute("DELETE FROM addresses.community WHERE cousub_fips = %s", [town])
    connection.execute(
        "INSERT INTO addresses.community (cousub_fips, name_key, name)"
        " SELECT %s, * FROM unnest(%s::text[], %s::text[])",
        [town, list(names), list(names.values())],
    )


def _spell(connection: Connection) -> None:
    """Give each distinct street of the temporary table `numbered` its keys, in a table `spelled`."""
    streets = connection.execute(
        "SELECT DISTINCT ON (name, street_type) street, name, street_type FROM numbered"
        " ORDER BY name, street_type, street"
    ).fetchall()
    connection.execute(
        "CREATE TEMPORARY TABLE spelled ON COMMIT DROP AS SELECT * FROM"
        " unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[])"
        " AS s (street, name, street_type, name_key, type_key)",
        [
            [street for street, _, _ in streets],
            [name for _, name, _ in streets],
            [street_type for _, _, street_type in streets],
            [name_key(name) for _, name, _ in streets],
            [key(street_type) for _, _, street_type in streets],
        ],
    )
