"""CQL2: text and JSON mean the same, AND binds tighter than OR, and what cannot be answered is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from statewide.errors import BadArgument
from statewide.publish.cql2 import MAX_DEPTH, parse_text

PARCELS = "/collections/parcels/items"

PAIRS: list[tuple[str, dict[str, Any], int]] = [
    ("town_name = 'Franklin'", {"op": "=", "args": [{"property": "town_name"}, "Franklin"]}, 50),
    ("location LIKE '%O''BRIEN%'", {"op": "like", "args": [{"property": "location"}, "%O'BRIEN%"]}, 35),
    (
        "casei(location) LIKE casei('% ELM st')",
        {
            "op": "like",
            "args": [
                {"op": "casei", "args": [{"property": "location"}]},
                {"op": "casei", "args": ["% ELM st"]},
            ],
        },
        315,
    ),
    ("edited_on IS NULL", {"op": "isNull", "args": [{"property": "edited_on"}]}, 234),
    ("area_sqft BETWEEN 18001 AND 18010", {"op": "between", "args": [{"property": "area_sqft"}, 18001, 18010]}, 10),
    (
        "parcel_type_class IN ('right_of_way', 'railroad')",
        {"op": "in", "args": [{"property": "parcel_type_class"}, ["right_of_way", "railroad"]]},
        20,
    ),
    (
        "S_INTERSECTS(geometry, POLYGON((-72.2 41.3, -72 41.3, -72 41.4, -72.2 41.4, -72.2 41.3)))",
        {
            "op": "s_intersects",
            "args": [
                {"property": "geometry"},
                {
                    "type": "Polygon",
                    "coordinates": [[[-72.2, 41.3], [-72, 41.3], [-72, 41.4], [-72.2, 41.4], [-72.2, 41.3]]],
                },
            ],
        },
        300,
    ),
    (
        "S_WITHIN(geometry, BBOX(-72.2, 41.6, -72.1, 41.7))",
        {"op": "s_within", "args": [{"property": "geometry"}, {"bbox": [-72.2, 41.6, -72.1, 41.7]}]},
        50,
    ),
    (
        "valid_from = DATE('2026-05-01')",
        {"op": "=", "args": [{"property": "valid_from"}, {"date": "2026-05-01"}]},
        50,
    ),
    (
        "valid_from < TIMESTAMP('2026-05-01T00:00:00Z')",
        {"op": "<", "args": [{"property": "valid_from"}, {"timestamp": "2026-05-01T00:00:00Z"}]},
        300,
    ),
    (
        "area_sqft - 18000 > 2 * 170 + 5",
        {
            "op": ">",
            "args": [
                {"op": "-", "args": [{"property": "area_sqft"}, 18000]},
                {"op": "+", "args": [{"op": "*", "args": [2, 170]}, 5]},
            ],
        },
        5,
    ),
    ("NOT crs_assumed", {"op": "not", "args": [{"property": "crs_assumed"}]}, 350),
]


@pytest.mark.parametrize(("text", "tree", "rows"), PAIRS)
def test_text_and_json_find_the_same(client: TestClient, text: str, tree: dict[str, Any], rows: int) -> None:
    assert parse_text(text) == tree
    by_text = client.get(PARCELS, params={"filter": text, "resulttype": "hits"})
    by_json = client.get(PARCELS, params={"filter": json.dumps(tree), "filter-lang": "cql2-json", "resulttype": "hits"})
    posted = client.post(f"{PARCELS}?resulttype=hits", json=tree)
    assert [answer.json().get("numberMatched") for answer in (by_text, by_json, posted)] == [rows] * 3


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("town_name = 'Franklin' OR town_name = 'New London' AND area_sqft < 0", 50),
        ("(town_name = 'Franklin' OR town_name = 'New London') AND area_sqft < 0", 0),
        ("NOT town_name = 'Franklin' AND area_sqft > 18000", 300),
        ("NOT (town_name = 'Franklin' AND area_sqft > 18000)", 300),
        ("area_sqft NOT BETWEEN 18001 AND 18010", 340),
        ("(area_sqft + 1) * 2 > 36700", 1),
        ("\"town_name\" = 'Franklin'", 50),
        ("edited_on IS NOT NULL", 116),
        ("TRUE", 350),
        ("1 = " + "-" * 3000 + "1", 350),
        ("area_sqft < 200 * 200 * 1000000", 350),
        ("collection_year * 2000000000 > 5", 350),
    ],
)
def test_text_is_read_by_rank(client: TestClient, text: str, rows: int) -> None:
    answer = client.get(PARCELS, params={"filter": text, "resulttype": "hits"})
    assert answer.json().get("numberMatched") == rows, answer.text


def test_a_filter_has_its_own_coordinates(client: TestClient) -> None:
    epsg = "http://www.opengis.net/def/crs/EPSG/0/"
    feature = client.get(PARCELS, params={"limit": 1, "crs": f"{epsg}6434"}).json()["features"][0]
    x, y = feature["geometry"]["coordinates"][0][0][0]
    parameters = {"filter": f"S_INTERSECTS(geometry, POINT({x} {y}))", "filter-crs": f"{epsg}6434"}
    assert feature["id"] in [each["id"] for each in client.get(PARCELS, params=parameters).json()["features"]]
    parameters = {"filter": "S_INTERSECTS(geometry, BBOX(41.3, -72.2, 41.4, -72))", "filter-crs": f"{epsg}4326"}
    assert client.get(PARCELS, params={**parameters, "resulttype": "hits"}).json()["numberMatched"] == 300


def test_a_posted_filter_pages_with_itself(client: TestClient) -> None:
    tree = {"op": "=", "args": [{"property": "town_name"}, "Franklin"]}
    page = client.post(f"{PARCELS}?limit=30", json=tree).json()
    following = next(link for link in page["links"] if link["rel"] == "next")
    assert following["method"] == "POST"
    rest = client.post(following["href"], json=tree).json()
    identifiers = {each["id"] for each in page["features"] + rest["features"]}
    assert (len(identifiers), page["numberMatched"]) == (50, 50)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nope = 1", "no property 'nope'"),
        ("editor LIKE 'C%'", "no property 'editor'"),
        ("editor IS NULL", "no property 'editor'"),
        ("casei(editor) = 'x'", "no property 'editor'"),
        ("cousub_fips = 52350", "Put text in single quotes"),
        ("area_sqft = 'large'", "area_sqft is a number"),
        ("town_name = area_sqft", "cannot be compared"),
        ("location > geometry", "cannot be compared"),
        ("town_name =", "from here on"),
        ("town_name = 'Avon", "from here on"),
        ("town_name ! 'Avon'", "from here on"),
        ("town_name LIKE 5", "text"),
        ("town_name", "not true or false"),
        ("pg_sleep(10)", "not supported"),
        ("current_user = 'x'", "no property 'current_user'"),
        ("upper(town_name) = 'AVON'", "not supported"),
        ("T_AFTER(valid_from, DATE('2026-01-01'))", "not supported"),
        ("1 / 0 = 1", "divisions"),
        ("valid_from > 'soon'", "a time such as"),
        ("S_INTERSECTS(geometry, POLYGON((0 0, 1 1, 0 1, 1 0, 0 0)))", "not valid"),
        ("S_INTERSECTS(geometry, POINT(nan 1))", "filter"),
        ("S_INTERSECTS(geometry, POINT(1))", "not a shape"),
        ("S_INTERSECTS(town_name, POINT(1 1))", "not a shape"),
        ("S_DWITHIN(geometry, POINT(1 1), 5)", "not supported"),
        ("(" * (MAX_DEPTH + 5) + "1 = 1" + ")" * (MAX_DEPTH + 5), "deeper"),
        ("1 = 1" + " + 1" * 1000, "deeper"),
        ("9" * 400 + " = 1", "cannot be compared"),
        ("area_sqft = " + "9" * 5000, "not CQL2 text"),
        ("S_INTERSECTS(geometry, BBOX(-73, 41, 5, -72, 42))", "a box"),
        ("S_INTERSECTS(geometry, BBOX(-72, 41, -73, 42))", "a box"),
    ],
)
def test_what_cannot_be_answered_is_refused(client: TestClient, text: str, told: str) -> None:
    answer = client.get(PARCELS, params={"filter": text})
    assert answer.status_code == 400, answer.text[:200]
    assert told in answer.json()["description"]


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b"5",
        b'"editor"',
        b'{"op": "and"}',
        b'{"op": "=", "args": [{"property": "town_name"}]}',
        b'{"op": "=", "args": [{"property": ["x"]}, 1]}',
        b'{"op": "=", "args": [{"property": "area_sqft"}, NaN]}',
        b'{"op": "in", "args": [{"property": "town_name"}, []]}',
        b'{"op": "in", "args": [{"property": "town_name"}, [{"a": 1}]]}',
        b'{"op": "like", "args": [{"property": "area_sqft"}, "1%"]}',
        b'{"op": "s_intersects", "args": [{"property": "geometry"}, {"type": "Polygon", "coordinates": "x"}]}',
        b'{"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": [1, 2]}]}',
        b'{"op":"not","args":[' * 2000 + b"true" + b"]}" * 2000,
        b'{"op": "=", "args": [' + b"9" * 400 + b", 1]}",
        b'{"op": "=", "args": [{"property": "town_name"}, "\\ud800"]}',
    ],
)
def test_a_posted_filter_that_is_none_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post(PARCELS, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text[:200]


def test_text_that_is_no_filter_says_where_it_stops_making_sense() -> None:
    with pytest.raises(BadArgument, match="the end"):
        parse_text("town_name = 'Avon' AND")
    with pytest.raises(BadArgument, match="'BETWEEN 3'"):
        parse_text("NOT BETWEEN 3")
