"""The process `find-address` on the street: what it answers, refuses, and does not tell."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from starlette.testclient import TestClient

from addresses.search import MAX_LIMIT, MAX_TEXT
from statewide.publish.app import create_app, prepare
from statewide.settings import Settings
from tests.addresses.streets import load
from tests.api.test_server import without_database

URL = "http://127.0.0.1:5000"
EXECUTION = "/processes/find-address/execution"


@pytest.fixture(scope="module")
def client(shared_settings: Settings) -> Iterator[TestClient]:
    load(shared_settings)
    prepare(shared_settings, URL)
    with TestClient(create_app(shared_settings), base_url=URL) as open_client:
        yield open_client


def ask(client: TestClient, **inputs: Any) -> dict[str, Any]:
    answer = client.post(EXECUTION, json={"inputs": inputs})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/geo+json")
    found: dict[str, Any] = answer.json()
    return found


def test_a_misspelt_address_is_answered_with_its_point(client: TestClient) -> None:
    found = ask(client, text="42 church st new lonon", limit=3)
    first = found["features"][0]
    assert first["properties"]["label"] == "42 Church Street, New London"
    assert (first["properties"]["kind"], first["properties"]["similar"]) == ("address", ["town"])
    assert found["numberReturned"] == len(found["features"]) == 3
    item = client.get(f"/collections/{first['properties']['collection']}/items/{first['id']}?f=json").json()
    assert item["properties"]["address_label"] == "42 Church Street"
    assert item["geometry"] == first["geometry"]


def test_a_parcel_is_answered_with_its_item(client: TestClient) -> None:
    [first, *_] = ask(client, text="7 Pequot Avenue, New London")["features"]
    assert first["properties"]["kind"] == "parcel"
    assert client.get(f"/collections/parcels/items/{first['id']}?f=json").status_code == 200


@pytest.mark.parametrize("inputs", [{"text": "\ud800 1 main"}, {"text": "1 main", "town": "\udfff"}])
def test_half_a_character_is_refused(client: TestClient, inputs: dict[str, str]) -> None:
    body = json.dumps({"inputs": inputs})
    answer = client.post(EXECUTION, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["description"] == "text and town: half of a character cannot be read; send whole UTF-8."


def test_the_town_may_be_given_apart(client: TestClient) -> None:
    [first, *_] = ask(client, text="42 church st", town="norwich")["features"]
    assert first["properties"]["label"] == "42 Church Street, Norwich"


def test_no_address_is_answered_with_a_hint(client: TestClient) -> None:
    found = ask(client, text="hello")
    assert found["features"] == []
    assert found["hint"].startswith("No address can be read in this")


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({}, "text: write an address"),
        ({"text": ""}, "text: write an address"),
        ({"text": "%_*\x00"}, "text: write an address"),
        ({"text": 42}, "text: write an address"),
        ({"text": "1 " + "x" * MAX_TEXT}, f"at most {MAX_TEXT} characters"),
        ({"text": "1 Elm St", "limit": 0}, f"limit: a whole number from 1 to {MAX_LIMIT}"),
        ({"text": "1 Elm St", "limit": MAX_LIMIT + 1}, f"limit: a whole number from 1 to {MAX_LIMIT}"),
        ({"text": "1 Elm St", "limit": "5"}, f"limit: a whole number from 1 to {MAX_LIMIT}"),
        ({"text": "1 Elm St", "limit": True}, f"limit: a whole number from 1 to {MAX_LIMIT}"),
        ({"text": "1 Elm St", "town": "Zzyzx"}, "town: there is no town"),
        ({"text": "1 Elm St", "town": ["x"]}, "town: give the name"),
        ({"text": "1 Elm St", "owner": "x"}, "inputs: there is no 'owner'"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(client: TestClient, inputs: dict[str, Any], sentence: str) -> None:
    answer = client.post(EXECUTION, json={"inputs": inputs})
    assert answer.status_code == 400
    assert sentence in answer.json()["description"]
    assert "\n" not in answer.json()["description"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"inputs": []}', b"\xff", b"[" * 60_000])
def test_a_body_that_is_no_request_is_refused(client: TestClient, body: bytes) -> None:
    assert client.post(EXECUTION, content=body).status_code == 400


def test_nobody_is_called_when_it_is_done(client: TestClient) -> None:
    body = {"inputs": {"text": "1 Elm St"}, "subscriber": {"successUri": "http://127.0.0.1:9/"}}
    assert client.post(EXECUTION, json=body).status_code == 400
    assert not any("callback" in name for name in client.get("/conformance?f=json").json()["conformsTo"])


def test_it_is_listed_described_and_documented(client: TestClient) -> None:
    assert "find-address" in [each["id"] for each in client.get("/processes?f=json").json()["processes"]]
    described = client.get("/processes/find-address?f=json").json()
    assert set(described["inputs"]) == {"text", "town", "limit"}
    assert described["jobControlOptions"] == ["sync-execute"]
    assert described["outputs"]["candidates"]["schema"]["contentMediaType"] == "application/geo+json"
    assert "post" in client.get("/openapi?f=json").json()["paths"][EXECUTION]
    assert client.get("/processes/find-address", headers={"accept": "text/html"}).status_code == 200


def test_an_address_is_not_asked_for_in_a_url(client: TestClient) -> None:
    # A URL is written into the logs of every machine on the way.
    assert client.get(EXECUTION, params={"text": "42 Church St"}).status_code == 405
    assert client.post("/processes/nothing/execution", json={"inputs": {}}).status_code == 404


def test_what_was_typed_is_not_logged(
    client: TestClient, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    ask(client, text="42 Canary Street, New London")
    client.post(EXECUTION, json={"inputs": {"text": "42 Canary Street", "limit": 0}})
    assert "canary" not in caplog.text.lower()
    assert "canary" not in "".join(capfd.readouterr()).lower()


def test_what_is_no_longer_published_is_not_found(client: TestClient, shared_settings: Settings) -> None:
    def labels() -> set[str]:
        return {each["properties"]["label"] for each in ask(client, text="90 church st new london")["features"]}

    assert "90 Church Street, New London" in labels()
    with psycopg.connect(shared_settings.require_database_url()) as connection:
        connection.execute("DELETE FROM addresses.address_point WHERE address_label = '90 Church Street'")
    assert "90 Church Street, New London" not in labels()


def test_a_database_that_is_away_is_no_mistake_of_the_client(client: TestClient, shared_settings: Settings) -> None:
    away = without_database(shared_settings)
    with TestClient(create_app(away), base_url=URL) as cut_off:
        answer = cut_off.post(EXECUTION, content=json.dumps({"inputs": {"text": "42 church st"}}))
    assert answer.status_code == 503
    create_app(shared_settings)
