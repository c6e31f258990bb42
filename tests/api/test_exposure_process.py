"""The processes `exposure` and `hazards-at` over HTTP: described, executed, refused, and what they never tell."""

from __future__ import annotations

import csv
from typing import Any

import pytest
from starlette.testclient import TestClient

BOX = [-72.2, 41.3, -72.0, 41.45]


def execute(client: TestClient, process: str, **inputs: Any) -> Any:
    return client.post(f"/processes/{process}/execution", json={"inputs": inputs})


def test_both_processes_are_listed_and_described(client: TestClient) -> None:
    listed = {process["id"] for process in client.get("/processes?f=json").json()["processes"]}
    assert {"exposure", "hazards-at"} <= listed
    described = client.get("/processes/exposure?f=json").json()
    assert {"town", "region", "polygon", "bbox", "state", "layers", "min_share"} <= set(described["inputs"])
    assert "storm-surge" in described["inputs"]["layers"]["schema"]["oneOf"][0]["enum"]


def test_a_town_is_answered_at_once(client: TestClient) -> None:
    response = execute(client, "exposure", town="New London", layers="flood-zones", min_share=10)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    found = response.json()
    assert found["in_area"]["parcels"]["any_touch"] == 300
    [layer] = found["layers"]
    assert layer["total"]["parcels"] == {"any_touch": 45, "centroid_in": 0, "share_at_least": 45, "of": 300}
    assert layer["version"] == "2025-07-08"
    unknown = {each["code"]: each["count"] for each in found["unknowns"]}
    assert (unknown["no_answer"], unknown["no_assessment"]) == (255, 300)


@pytest.mark.parametrize("area", [{"state": True}, {"region": "Southeastern Connecticut"}, {"bbox": BOX}])
def test_other_areas_are_answered(client: TestClient, area: dict[str, Any]) -> None:
    found = execute(client, "exposure", **area).json()
    assert found["in_area"]["parcels"]["any_touch"] >= 300


@pytest.mark.parametrize("inputs", [{}, {"town": "Atlantis"}, {"town": "New London", "min_share": 3}, {"towns": 1}])
def test_a_wrong_request_is_told_so(client: TestClient, inputs: dict[str, Any]) -> None:
    response = execute(client, "exposure", **inputs)
    assert (response.status_code, response.json()["code"]) == (400, "InvalidParameterValue")


def test_the_list_comes_in_pages_and_as_csv(client: TestClient) -> None:
    asked: dict[str, Any] = {"town": "New London", "layers": "flood-zones"}
    seen: list[str] = []
    after: dict[str, Any] = {}
    while True:
        response = execute(client, "exposure", **asked, list="geojson", limit=20, **after)
        assert response.headers["content-type"] == "application/geo+json"
        page = response.json()
        seen += [feature["properties"]["parcel_uid"] for feature in page["features"]]
        assert page["features"][0]["geometry"]["type"] == "MultiPolygon"
        if "next" not in page:
            break
        after = {"after": page["next"]}
    assert len(seen) == len(set(seen)) == 45
    response = execute(client, "exposure", **asked, list="csv", limit=40)
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(response.text.splitlines()))
    assert (rows[0][:3], len(rows)) == (["parcel_uid", "layer", "town_name"], 42)
    assert rows[-1][0].startswith("# more rows")
    for wrong in ({"list": "xlsx"}, {"limit": 5}, {"list": "csv", "limit": 0}, {"list": "csv", "after": "x"}):
        assert execute(client, "exposure", **asked, **wrong).status_code == 400


def test_a_place_is_answered_by_point_and_by_address(client: TestClient) -> None:
    [address] = client.get("/collections/addresses/items?town_name=New London&add_number=150&limit=1").json()[
        "features"
    ]
    lon, lat = address["geometry"]["coordinates"]
    by_point = execute(client, "hazards-at", lon=lon, lat=lat).json()
    by_address = execute(client, "hazards-at", address_uid=address["id"]).json()
    assert by_address["place"]["address"] == "150 Elm Street"
    assert by_point["layers"][0]["zone_class"] == by_address["layers"][0]["zone_class"]
    assert by_point["parcels"] == by_address["parcels"] != []
    assert by_point["layers"][0]["effective_on"] is None
    for wrong in (
        {},
        {"lon": 1},
        {"lon": 400, "lat": 1},
        {"address_uid": "x"},
        {"lon": 1, "lat": 1, "address_uid": "x"},
    ):
        assert execute(client, "hazards-at", **wrong).status_code == 400
    gone = execute(client, "hazards-at", address_uid="00000000-0000-4000-8000-000000000000")
    assert "no address of that identifier is published" in gone.json()["description"]


def test_no_answer_holds_a_person(client: TestClient) -> None:
    for inputs in ({"town": "New London"}, {"town": "New London", "list": "csv"}, {"bbox": BOX, "list": "geojson"}):
        assert "CANARY" not in execute(client, "exposure", **inputs).text
