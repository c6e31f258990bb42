"""Assessments on the street: at their parcel's point, summed on the parcel, and without a person anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from cadastral.meeting import submit
from statewide.intake import Request
from statewide.publish.app import create_app, prepare
from statewide.settings import Settings
from tests.cama import records, write_records
from tests.towns import alder, found_alder, write

URL = "http://127.0.0.1:5000"


@pytest.fixture(scope="module")
def client(shared_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The server over Alder: 64 parcels, the first eight with a record, the eighth shared by two units and a card."""
    found_alder(shared_settings)
    folder = tmp_path_factory.mktemp("alder")
    units = [
        {"Link": "1-8", "PID": "80", "Suppressed": "Y"},
        {"Link": "1-8", "PID": "81"},
        {"Link": "GONE", "PID": "82"},
    ]
    cama = write_records(records(*({} for _ in range(7)), *units), folder / "cama.csv")
    request = Request(write(alder(), folder), "Alder", 2025, beside={"assessment": cama})
    assert submit(shared_settings, request, lambda message: None).summary["outcome"] == "published"
    prepare(shared_settings, URL)
    with TestClient(create_app(shared_settings), base_url=URL) as open_client:
        yield open_client


def features(client: TestClient, collection: str, **parameters: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/collections/{collection}/items", params={"limit": 1000, "f": "json", **parameters})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["features"]
    return found


def test_a_record_lies_on_its_parcel_and_is_found_by_its_box(client: TestClient) -> None:
    (parcel,) = features(client, "parcels", parcel_id="1-8")
    records_there = features(client, "assessments", parcel_uid=parcel["id"])
    assert len(records_there) == 2
    (point,) = {tuple(each["geometry"]["coordinates"]) for each in records_there}
    longitudes, latitudes = zip(*parcel["geometry"]["coordinates"][0][0], strict=True)
    assert min(longitudes) < point[0] < max(longitudes)
    assert min(latitudes) < point[1] < max(latitudes)
    box = f"{point[0] - 1e-5},{point[1] - 1e-5},{point[0] + 1e-5},{point[1] + 1e-5}"
    assert {each["id"] for each in features(client, "assessments", bbox=box)} == {each["id"] for each in records_there}


def test_a_record_without_a_parcel_has_no_point_but_is_there(client: TestClient) -> None:
    (lost,) = features(client, "assessments", cama_link="99901-GONE")
    assert (lost["geometry"], lost["properties"]["parcel_uid"]) == (None, None)


def test_values_add_up_to_the_same_on_both_sides(client: TestClient) -> None:
    on_parcels = sum(
        each["properties"]["appraised_total_usd"] or 0
        for each in features(client, "parcels")
        if each["properties"]["counts_here"]
    )
    placed = [each["properties"] for each in features(client, "assessments") if each["geometry"]]
    assert on_parcels == sum(each["appraised_total_usd"] for each in placed) == 9 * 379_670


def test_no_person_and_no_flag_is_in_any_answer(client: TestClient) -> None:
    for path in ("assessments/items", "assessments/schema", "assessments/queryables", "parcels/items"):
        text = client.get(f"/collections/{path}", params={"f": "json", "limit": 1000}).text.casefold()
        assert "canary" not in text
        assert "suppress" not in text
    names = " ".join(features(client, "assessments")[0]["properties"])
    assert not re.search("owner|mail|person", names)


def test_pages_follow_one_another(client: TestClient) -> None:
    seen: list[str] = []
    following: str | None = "/collections/assessments/items?limit=4&f=json"
    while following:
        page = client.get(following).json()
        seen += [each["id"] for each in page["features"]]
        following = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    assert len(seen) == len(set(seen)) == 10
