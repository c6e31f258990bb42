"""Items of a collection: which rows come, in what coordinates, and what a wrong request is told."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from starlette.testclient import TestClient

PARCELS = "/collections/parcels/items"
EPSG = "http://www.opengis.net/def/crs/EPSG/0/"
NEW_LONDON = "-72.12,41.33,-72.09,41.36"


def items(client: TestClient, url: str = PARCELS, **parameters: Any) -> dict[str, Any]:
    # An empty dict would take the URL's own query away.
    answer = client.get(
        url, params={name.replace("bbox_crs", "bbox-crs"): parameters[name] for name in parameters} or None
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def walk(client: TestClient, url: str) -> tuple[list[str], int]:
    """Every identifier along the next links, and the number of pages."""
    identifiers, pages = [], 0
    following: str | None = url
    while following:
        assert pages < 100
        page = items(client, following)
        identifiers += [feature["id"] for feature in page["features"]]
        pages += 1
        following = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    return identifiers, pages


def test_counts_are_those_of_the_tables(client: TestClient) -> None:
    counts = {
        name: items(client, f"/collections/{name}/items", limit=1)["numberMatched"]
        for name in ("towns", "planning-regions", "parcels", "flood-zones", "parcel-hazards")
    }
    assert counts == {"towns": 169, "planning-regions": 9, "parcels": 350, "flood-zones": 4, "parcel-hazards": 45}


@pytest.mark.parametrize("order", ["", "&sortby=location", "&sortby=-edited_on,parcel_id", "&sortby=edited_on"])
def test_next_links_visit_every_row_exactly_once(client: TestClient, order: str) -> None:
    identifiers, pages = walk(client, f"{PARCELS}?limit=60{order}")
    assert (len(identifiers), len(set(identifiers)), pages) == (350, 350, 6)


def test_next_links_keep_the_filter(client: TestClient) -> None:
    identifiers, _ = walk(client, f"{PARCELS}?limit=7&filter=location LIKE '%25BRIEN%25'&bbox={NEW_LONDON}")
    assert len(set(identifiers)) == len(identifiers) == 30


def test_sorting_is_by_value_with_nulls_last(client: TestClient) -> None:
    areas = [each["properties"]["area_sqft"] for each in items(client, sortby="-area_sqft", limit=5)["features"]]
    assert areas == [18350, 18349, 18348, 18347, 18346]
    days = [each["properties"]["edited_on"] for each in items(client, sortby="-edited_on", limit=350)["features"]]
    assert days == ["2024-01-25"] * 116 + [None] * 234


@pytest.mark.parametrize(
    ("bbox", "crs", "rows"),
    [
        ("-180,-90,180,90", None, 350),
        ("-180,-90,0,180,90,9", None, 350),
        (NEW_LONDON, None, 300),
        ("41.33,-72.12,41.36,-72.09", f"{EPSG}4326", 300),
        ("170,-90,-72.12,90", None, 50),  # across the date line
        ("0,0,1,1", None, 0),
    ],
)
def test_a_box_finds_what_lies_in_it(client: TestClient, bbox: str, crs: str | None, rows: int) -> None:
    page = items(client, bbox=bbox, limit=1000, **({"bbox_crs": crs} if crs else {}))
    assert (page["numberMatched"], len(page["features"])) == (rows, rows)


@pytest.mark.parametrize("code", [6434, 2234, 3857])
def test_a_box_in_another_system_finds_the_same(client: TestClient, code: int) -> None:
    feature = items(client, crs=f"{EPSG}{code}", limit=1, town_name="New London")["features"][0]
    ring = feature["geometry"]["coordinates"][0][0]
    x, y = sum(point[0] for point in ring[:4]) / 4, sum(point[1] for point in ring[:4]) / 4
    found = items(client, bbox=f"{x - 1},{y - 1},{x + 1},{y + 1}", bbox_crs=f"{EPSG}{code}")["features"]
    assert [each["id"] for each in found] == [feature["id"]]


def test_coordinates_come_in_the_order_of_their_system(client: TestClient) -> None:
    def first(crs: str | None) -> tuple[list[float], str]:
        answer = client.get(PARCELS, params={"limit": 1, "town_name": "New London", **({"crs": crs} if crs else {})})
        return answer.json()["features"][0]["geometry"]["coordinates"][0][0][0], answer.headers["content-crs"]

    (longitude, latitude), default = first(None)
    assert -72.12 < longitude < -72.09 and 41.33 < latitude < 41.36
    assert default == "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>"
    assert first(f"{EPSG}4326") == ([latitude, longitude], f"<{EPSG}4326>")
    (east, north), _ = first(f"{EPSG}6434")
    assert first(f"{EPSG}2234")[0] == [east, north]
    assert 1_170_000 < east < 1_190_000 and 680_000 < north < 720_000


def test_columns_and_shape_can_be_left_out(client: TestClient) -> None:
    feature = items(client, properties="location,area_acres", skipGeometry="true", limit=1)["features"][0]
    assert feature["geometry"] is None
    assert list(feature["properties"]) == ["location", "area_acres"]


@pytest.mark.parametrize(
    ("when", "rows"),
    [
        ("2026-04-30", 300),
        ("2026-04-30T10:00:00Z", 300),
        ("2026-04-30T10:00:01Z", 0),
        ("../2026-04-30", 300),
        ("2026-05-01/..", 50),
        ("2026-04-30/2026-05-01", 350),
        ("2026-05-02/", 0),
    ],
)
def test_a_date_is_a_whole_day(client: TestClient, when: str, rows: int) -> None:
    assert items(client, datetime=when, resulttype="hits")["numberMatched"] == rows


def test_hits_are_counted_without_features(client: TestClient) -> None:
    page = items(client, resulttype="hits", town_name="Franklin")
    assert (page["numberMatched"], page["numberReturned"], page["features"]) == (50, 0, [])


def test_a_filtered_answer_beyond_the_count_does_not_pretend_to_know_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("statewide.publish.features.COUNT_UP_TO", 100)
    assert "numberMatched" not in items(client, town_name="New London", limit=10)
    assert items(client, town_name="Franklin", limit=10)["numberMatched"] == 50


def test_one_item_has_everything_public(client: TestClient) -> None:
    identifier = items(client, limit=1)["features"][0]["id"]
    answer = client.get(f"{PARCELS}/{identifier}")
    assert answer.headers["content-type"] == "application/geo+json"
    assert answer.json()["id"] == identifier == answer.json()["properties"]["parcel_uid"]
    assert {link["rel"] for link in answer.json()["links"]} >= {"self", "collection"}


def test_whole_measures_are_still_decimal_numbers(client: TestClient) -> None:
    parameters = {"limit": 1, "properties": "area_sqft,collection_year", "skipGeometry": "true"}
    text = client.get(PARCELS, params=parameters).text
    assert re.search(r'"collection_year":2025,"area_sqft":18\d{3}\.0}', text)


def test_json_columns_are_json(client: TestClient) -> None:
    hazard = items(client, "/collections/parcel-hazards/items", limit=1)["features"][0]
    assert hazard["properties"]["area_by_class"] == {"floodway": 18000}
    assert hazard["geometry"]["type"] == "MultiPolygon"


@pytest.mark.parametrize("identifier", ["abc", "00000000-0000-0000-0000-000000000000", "%00", "a/b", "1e999"])
def test_an_identifier_of_nothing_is_not_found(client: TestClient, identifier: str) -> None:
    assert client.get(f"{PARCELS}/{identifier}").status_code == 404


@pytest.mark.parametrize("name", ["editor", "editor_comment", "owner", "nope"])
@pytest.mark.parametrize("where", ["filter", "sortby", "properties", "parameter"])
@pytest.mark.parametrize("form", ["json", "html", "csv"])
def test_a_column_that_is_not_public_does_not_exist(client: TestClient, name: str, where: str, form: str) -> None:
    request = {
        "filter": {"filter": f"{name} = 'CANARY'"},
        "sortby": {"sortby": f"-{name}"},
        "properties": {"properties": name},
        "parameter": {name: "CANARY"},
    }[where]
    answer = client.get(PARCELS, params={**request, "f": form})
    assert answer.status_code == 400
    assert f"no property '{name}'" in answer.json()["description"]
    assert "parcel_uid, cousub_fips, town_name" in answer.json()["description"]


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "abc"}, "limit"),
        ({"offset": "-1"}, "offset"),
        ({"offset": "1e30"}, "offset"),
        ({"offset": "100001"}, "follow the links named next"),
        ({"token": "abc"}, "token"),
        ({"token": "WzFd"}, "token"),
        ({"bbox": "1,2,3"}, "bbox"),
        ({"bbox": "a,b,c,d"}, "bbox"),
        ({"bbox": "nan,0,1,1"}, "bbox"),
        ({"bbox": "-inf,-inf,inf,inf"}, "bbox"),
        ({"bbox": "0,2,1,1"}, "bbox"),
        ({"bbox": "0,0,1,1", "bbox-crs": "EPSG:9999"}, "bbox-crs"),
        ({"crs": f"{EPSG}99999"}, "crs"),
        ({"datetime": "yesterday"}, "datetime"),
        ({"datetime": "99999-01-01"}, "datetime"),
        ({"skipGeometry": "perhaps"}, "skipGeometry"),
        ({"collection_year": "abc"}, "collection_year is a number"),
        ({"crs_assumed": "7"}, "crs_assumed is true or false"),
        ({"parcel_uid": "7"}, "parcel_uid is an identifier"),
        ({"q": "elm"}, "no property 'q'"),
        ({"location": "a\x00b"}, "location is text"),
        ({"area_sqft": "[" * 5000}, "area_sqft is a number"),
        ({"token": "WyJcdWQ4MDAiXQ"}, "token"),  # a lone surrogate
        ({"resulttype": "count"}, "resulttype"),
        ({"datetime": "20260430"}, "datetime"),
        ({"datetime": "2026-W18-4"}, "datetime"),
        ({"datetime": "2026-05-01/2026-04-30"}, "datetime"),
        ({"bbox": "1_0,0,20,1"}, "bbox"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    client: TestClient, parameters: dict[str, str], told: str
) -> None:
    answer = client.get(PARCELS, params=parameters)
    assert answer.status_code == 400
    assert told in answer.json()["description"]


def test_a_parameter_given_twice_is_refused(client: TestClient) -> None:
    assert client.get(f"{PARCELS}?limit=1&limit=2").status_code == 400


def test_pygeoapi_answers_the_same(client: TestClient) -> None:
    """The rows that pygeoapi renders itself, through the provider, are those of our own route."""
    from pygeoapi.starlette_app import APP

    with TestClient(APP, base_url="http://127.0.0.1:5000") as behind:
        for parameters in (
            {"limit": 20},
            {"limit": 20, "offset": 40, "sortby": "-area_sqft"},
            {"limit": 400, "bbox": NEW_LONDON},
            {"limit": 400, "bbox": "-180,-90,180,90", "crs": f"{EPSG}6434"},
            {"limit": 3, "crs": f"{EPSG}4326"},
            {"limit": 5, "properties": "location", "skipGeometry": "true", "town_name": "Franklin"},
            {"limit": 5, "datetime": "2026-05-01"},
        ):
            ours = client.get(PARCELS, params={**parameters, "f": "json"}).json()
            theirs = behind.get(PARCELS, params={**parameters, "f": "json"}).json()
            assert theirs["features"] == ours["features"]
            assert theirs.get("numberMatched") == ours.get("numberMatched")
        identifier = ours["features"][0]["id"]
        ours, theirs = (each.get(f"{PARCELS}/{identifier}?f=json").json() for each in (client, behind))
        assert (theirs["geometry"], theirs["properties"]) == (ours["geometry"], ours["properties"])


@pytest.mark.parametrize("form", ["html", "csv", "jsonld"])
def test_other_formats_come_from_pygeoapi(client: TestClient, form: str) -> None:
    answer = client.get(PARCELS, params={"limit": 3, "f": form, "town_name": "Franklin"})
    assert answer.status_code == 200
    assert "CANARY" not in answer.text


@pytest.mark.parametrize("form", ["html", "csv", "jsonld"])
@pytest.mark.parametrize(
    "parameters",
    [{"filter": "collection_year = 2025"}, {"bbox": NEW_LONDON, "bbox-crs": f"{EPSG}3857"}, {"limit": "2001"}],
)
def test_other_formats_say_what_they_do_not_answer(client: TestClient, form: str, parameters: dict[str, str]) -> None:
    answer = client.get(PARCELS, params={**parameters, "f": form})
    if form == "csv" and "limit" in parameters:
        assert answer.status_code == 200
    else:
        assert (answer.status_code, "f=json" in answer.text) == (400, True)


def test_an_empty_format_is_none(client: TestClient) -> None:
    answer = client.get(f"{PARCELS}?f=&filter=TRUE&limit=1")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/geo+json")


def test_links_lead_to_the_same_answer(client: TestClient) -> None:
    page = items(client, filter="collection_year = 2025", limit=1)
    assert not [link for link in page["links"] if link["rel"] == "alternate"]  # no other format filters
    page = items(client, limit=1, town_name="Franklin")
    alternate = next(link for link in page["links"] if link["rel"] == "alternate")
    assert "town_name=Franklin" in alternate["href"]
    item = client.get(f"{PARCELS}/{page['features'][0]['id']}", params={"crs": f"{EPSG}6434"}).json()
    own = next(link for link in item["links"] if link["rel"] == "self")
    assert client.get(own["href"]).json()["geometry"] == item["geometry"]


@pytest.mark.parametrize("path", ["schema", "queryables"])
def test_fields_are_described_in_the_words_of_the_law(client: TestClient, path: str) -> None:
    answer = client.get(f"/collections/parcels/{path}")
    assert answer.headers["content-type"] == "application/schema+json"
    properties = answer.json()["properties"]
    assert properties["geometry"]["x-ogc-role"] == "primary-geometry"
    assert properties["parcel_uid"]["x-ogc-role"] == "id"
    assert properties["valid_from"]["x-ogc-role"] == "primary-instant"
    assert properties["cama_link"]["title"] == "CAMA link"
    assert properties["area_sqft"]["x-ogc-unit"] == "sq ft"
    assert "condominium" in properties["parcel_type_class"]["enum"]
    assert not {"editor", "editor_comment"} & properties.keys()


def test_no_answer_holds_what_an_editor_wrote(client: TestClient) -> None:
    pages = [
        PARCELS,
        f"{PARCELS}?f=html",
        f"{PARCELS}?f=csv",
        "/collections/parcels/schema",
        "/openapi",
        "/map/config.json",
    ]
    for url in pages:
        assert "CANARY" not in client.get(url).text
    assert "editor" not in json.dumps(items(client, limit=350))
