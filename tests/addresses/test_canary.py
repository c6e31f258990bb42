"""Canaries: persons planted in every column of a delivery, and a withheld address, are in nothing that goes out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from addresses.points import submit
from addresses.search import find
from addresses.search_index import refresh_all
from addresses.withholding import withhold
from statewide.database import API, connect
from statewide.export import FORMATS, export
from statewide.intake import Request
from statewide.publish.app import create_app, prepare
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.address_towns import Points, addresses_of, alder_streets, write_points
from tests.postgis import cloned
from tests.towns import ALDER, found_alder

STANDARD = load_standard()
TABLE = STANDARD.table("address_point")
CANARY = "ZEBEDEE CANARY"
URL = "http://127.0.0.1:5000"
NOT_DELIVERED = {"longitude", "latitude", "country", "a1", "a2", "delivered_town"}
"""Not text, or columns whose rows the platform must believe to lie in the town."""


@dataclass(frozen=True)
class World:
    """A town that was published with canaries, and what came out of it."""

    settings: Settings
    report: Path
    said: str
    planted: list[str]
    withheld: str
    label: str


def with_canaries() -> tuple[Points, list[str]]:
    """A delivery with a person in each of its columns; those of addresses each have one on a row of its own."""
    points = addresses_of(alder_streets(16, 20))
    every = range(len(points))
    for person in STANDARD.header.withheld:
        if person.name != "suppression_flag":
            points.change(every, **{person.synonyms[0]: CANARY})
    points.change(every, Inspector_Remark=CANARY, Old_Label_2=f"{CANARY} HOUSE")
    free = {field.name for field in TABLE.town_fields if field.screening == "place"}
    spelling = {name.casefold(): name for name in points.columns} | {"local_id": "SITEADDID"}
    planted = []
    row = 40
    for field in TABLE.town_fields:
        column = spelling.get(field.name, field.name)
        if field.name in NOT_DELIVERED:
            continue
        if field.name in free:
            texts = (CANARY, f"{CANARY} residence", f"{CANARY}, near Lincoln School", f"c/o {CANARY}", "Town Hall")
            for place in every:
                points.change(place, **{column: texts[place % len(texts)]})
        else:
            points.columns[column] = [
                None if value is None else str(value) for value in points.columns.get(column, [None] * len(points))
            ]
            points.change(row, **{column: f"c/o {CANARY}"})
            row += 1
        planted.append(column)
    return points, planted


@pytest.fixture(scope="module")
def world(template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The delivery, and an address withheld in it."""
    folder = tmp_path_factory.mktemp("points")
    for settings in cloned(template_database, folder / "home"):
        found_alder(settings)
        points, planted = with_canaries()
        said: list[str] = []
        file = write_points(points, folder / "delivery", kind="csv")
        outcome = submit(settings, Request(file, "alder", 2025), said.append)
        assert not outcome.refused, outcome.summary["blocked_by"]
        assert outcome.summary["rows"]["published"] > 200
        with connect(settings) as connection:
            withhold(connection, STANDARD, ALDER, address="12 Main Street", basis="shelter", who="Ann Lee")
            list(refresh_all(connection, STANDARD))
            [(uid,)] = connection.execute(
                "SELECT address_uid FROM addresses.address_point WHERE address_label = '12 Main Street'"
            ).fetchall()
        told = json.dumps([said, outcome.summary], default=str)
        yield World(settings, Path(outcome.summary["report"]), told, planted, str(uid), "12 Main Street")


def texts(settings: Settings, table: str, role: str | None = None) -> str:
    with connect(settings, *([role] if role else [])) as connection:
        return "\n".join(row[0] for row in connection.execute(f"SELECT t::text FROM {table} AS t".encode()))


def tables(settings: Settings) -> list[str]:
    with connect(settings) as connection:
        rows = connection.execute(
            "SELECT table_schema || '.' || quote_ident(table_name) FROM information_schema.tables WHERE table_schema IN"
            " ('statewide', 'cadastral', 'addresses', 'resilience', 'confidential', 'published', 'restricted')"
        )
        return sorted(name for (name,) in rows)


def leaks(world: World, text: str | bytes) -> list[str]:
    """Which of the secrets are in an answer to the public."""
    given = text if isinstance(text, str) else text.decode("utf-8", "ignore") + text.decode("utf-16", "ignore")
    secrets = ("ZEBEDEE", "CANARY", world.withheld.upper())
    found = [secret for secret in secrets if secret in given.upper()]
    return found + [world.label] * (f'"{world.label}"' in given or f",{world.label}," in given)


def test_the_canaries_were_delivered_and_met(world: World) -> None:
    with connect(world.settings) as connection:
        [(account,)] = connection.execute("SELECT source_columns FROM statewide.ledger").fetchall()
    fates = {column: entry["fate"] for column, entry in account.items()}

    assert [column for column in world.planted if fates[column] != "mapped"] == []
    assert {fates[person.synonyms[0]] for person in STANDARD.header.withheld if person.name != "suppression_flag"} == {
        "withheld"
    }
    assert fates["Inspector_Remark"] == "unmapped"
    findings = json.loads(world.said)[1]["findings"]
    assert findings["FREE_TEXT_WITHHELD"] == sum(field.screening == "place" for field in TABLE.town_fields)
    assert findings["PERSON_IN_VALUE"] >= len(world.planted) - 5


def test_a_person_is_in_no_table(world: World) -> None:
    for table in tables(world.settings):
        assert "CANARY" not in texts(world.settings, table).upper(), table


def test_a_person_is_in_no_report_and_in_nothing_that_is_said(world: World) -> None:
    files = [file for file in world.report.rglob("*") if file.is_file()]
    assert len(files) >= 4
    for file in files:
        content = file.read_bytes()
        assert b"CANARY" not in content.upper(), file.name
    assert "CANARY" not in world.said.upper()


def test_the_landmark_is_what_was_a_place(world: World) -> None:
    with connect(world.settings, API) as connection:
        rows = connection.execute("SELECT DISTINCT landmark FROM published.addresses ORDER BY 1").fetchall()
    assert rows == [("Town Hall",), (None,)]


def test_no_published_view_has_a_secret(world: World) -> None:
    shown = [table for table in tables(world.settings) if table.startswith("published.")]
    assert "published.addresses" in shown
    for view in shown:
        assert leaks(world, texts(world.settings, view, API)) == [], view


@pytest.mark.parametrize("kind", FORMATS)
def test_no_export_has_a_secret(world: World, kind: Any, tmp_path: Path) -> None:
    path = tmp_path / f"addresses.{kind}"
    result = export(world.settings, STANDARD, TABLE, path, kind, say=lambda message: None)

    assert result["rows"] > 200
    assert leaks(world, path.read_bytes()) == []


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[TestClient]:
    prepare(world.settings, URL)
    with TestClient(create_app(world.settings), base_url=URL) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "/collections/addresses?f=json",
        "/collections/addresses/items?limit=1000",
        "/collections/addresses/items?limit=1000&f=html",
        "/collections/addresses/items?limit=1000&f=csv",
        "/collections/addresses/items?limit=1000&f=jsonld",
        "/collections/addresses/queryables?f=json",
        "/collections/addresses/schema?f=json",
        "/collections/addresses/items?filter=address_label%20LIKE%20%271%25%27&limit=1000",
    ],
)
def test_no_answer_of_the_server_has_a_secret(world: World, client: TestClient, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 200, answer.text
    assert leaks(world, answer.content) == []


def test_the_withheld_address_is_as_one_that_never_was(world: World, client: TestClient) -> None:
    never = "00000000-0000-7000-8000-000000000000"
    items = "/collections/addresses/items"
    there, absent = (client.get(f"{items}/{uid}") for uid in (world.withheld, never))
    assert there.status_code == absent.status_code == 404
    assert there.text.replace(world.withheld, never) == absent.text

    def counted(query: str) -> tuple[int, int]:
        answer = client.get(f"{items}?{query}&limit=1000").json()
        return answer["numberMatched"], len(answer["features"])

    assert counted("address_label=12%20Main%20Street") == counted("address_label=12%20Nowhere%20Street") == (0, 0)
    matched, returned = counted("resulttype=results")
    assert matched == returned


def test_no_tile_has_a_secret(world: World, client: TestClient) -> None:
    features = client.get("/collections/addresses/items?limit=1000").json()["features"]
    tiles = {_tile(16, *feature["geometry"]["coordinates"]) for feature in features}
    carried = b""
    for column, row in tiles:
        answer = client.get(f"/collections/addresses/tiles/WebMercatorQuad/16/{row}/{column}")
        assert answer.status_code == 200
        assert leaks(world, answer.content) == []
        carried += answer.content
    assert b"14 Main Street" in carried
    assert b"12 Main Street" not in carried


def test_the_search_does_not_find_it(world: World) -> None:
    with connect(world.settings, API) as connection:
        for text in ("12 main st", "12 main street alder", "12 mian st", CANARY):
            found = find(lambda query, values: connection.execute(query, values).fetchall(), text, "alder", 50)
            answer = json.dumps(found["features"], default=str)
            assert leaks(world, answer) == [], text


def test_a_bare_name_in_any_column_is_in_nothing_that_goes_out(settings: Settings, tmp_path: Path) -> None:
    found_alder(settings)
    points = addresses_of(alder_streets(16, 20))
    spelling = {name.casefold(): name for name in points.columns} | {"local_id": "SITEADDID"}
    # A street's name that stands beside its type, in a column for such names, is believed.
    fields = [field.name for field in TABLE.town_fields if field.name not in {*NOT_DELIVERED, "st_name"}]
    for row, name in enumerate(fields, start=40):
        column = spelling.get(name, name)
        values = points.columns.get(column, [None] * len(points))
        points.columns[column] = [None if value is None else str(value) for value in values]
        points.change(row, **{column: "Zebedee Canary"})
    points.change(39, A3="Zebedee Canary")
    file = write_points(points, tmp_path / "delivery", kind="csv")
    outcome = submit(settings, Request(file, "alder", 2025), lambda message: None)
    with connect(settings) as connection:
        list(refresh_all(connection, STANDARD))

    assert outcome.summary["rows"]["published"] > 300
    for view in (table for table in tables(settings) if table.startswith("published.")):
        assert "CANARY" not in texts(settings, view, API).upper(), view
    assert "CANARY" not in texts(settings, "statewide.finding").upper()
    for path in Path(outcome.summary["report"]).rglob("*"):
        assert path.is_dir() or b"CANARY" not in path.read_bytes().upper(), path.name


def _tile(zoom: int, longitude: float, latitude: float) -> tuple[int, int]:
    column = int((longitude + 180) / 360 * 2**zoom)
    row = int((1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2 * 2**zoom)
    return column, row
