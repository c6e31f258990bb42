"""The server around the data: closed doors, sizes, a database that goes away, roles, and the pages."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import conninfo
from starlette.testclient import TestClient

from statewide.database import api_url
from statewide.errors import DatabaseNotReady, DatabaseUnavailable, LawError
from statewide.publish.app import create_app, prepare
from statewide.publish.collections import BEGIN, render_config
from statewide.publish.guards import MAX_BODY, MAX_URL
from statewide.publish.query import DEFAULT_LIMIT, MAX_LIMIT, PARAMETERS
from statewide.publish.reading import open_pools
from statewide.settings import ROOT, Settings
from statewide.standard import load_standard

PARCELS = "/collections/parcels/items"


def nobody_listens() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def without_database(world: Settings) -> Settings:
    url = conninfo.make_conninfo(world.require_database_url(), host="127.0.0.1", port=nobody_listens())
    return replace(world, database_url=url)


# ------------------------------------------------------------------------------------------------ doors


@pytest.mark.parametrize(
    "path",
    [
        "/stac/nothing",
        "/stac/../etc",
        "/stac-api",
        "/stac-api/search",
        "/jobs",
        "/jobs/1",
        "/admin",
        "/admin/config",
        "/asyncapi",
    ],
)
def test_what_is_not_offered_is_not_there(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_nothing_can_be_written(client: TestClient, method: str) -> None:
    assert client.request(method, f"{PARCELS}/1", content=b"{}").status_code == 405


def test_a_posted_feature_is_refused(client: TestClient) -> None:
    feature = {"type": "Feature", "geometry": None, "properties": {}}
    answer = client.post(PARCELS, content=json.dumps(feature), headers={"content-type": "application/geo+json"})
    assert answer.status_code == 405


def test_bodies_and_addresses_have_a_limit(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    assert client.post(PARCELS, content=b" " * (MAX_BODY + 1), headers=headers).status_code == 413
    assert client.post(PARCELS, content=(b" " * 1000 for _ in range(100)), headers=headers).status_code == 413
    assert client.get(f"{PARCELS}?filter={'x' * MAX_URL}").status_code == 414


def test_a_page_holds_no_more_than_the_limit(client: TestClient) -> None:
    config = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text())
    assert config["server"]["limits"] == {
        "default_items": DEFAULT_LIMIT,
        "max_items": MAX_LIMIT,
        "on_exceed": "throttle",
    }
    assert client.get(f"{PARCELS}?limit=1000000000").json()["numberReturned"] == 350
    limit = client.get("/openapi").json()["components"]["parameters"]["limit"]["schema"]
    assert limit["maximum"] == MAX_LIMIT


def test_the_api_document_names_every_parameter(client: TestClient) -> None:
    document = client.get("/openapi?f=json").json()
    listed = document["paths"]["/collections/parcels/items"]["get"]["parameters"]
    names = {each.get("name") or each["$ref"].rsplit("/", 1)[1] for each in listed}
    assert set(PARAMETERS) <= names
    assert "vendorSpecificParameters" not in names
    assert "githubusercontent" not in json.dumps(listed)


def test_what_depends_on_the_accepted_format_says_so(client: TestClient) -> None:
    assert "accept" in client.get(PARCELS).headers["vary"].lower().split(", ")


def test_other_sites_may_read(client: TestClient) -> None:
    answer = client.get(f"{PARCELS}?limit=1", headers={"origin": "https://example.org"})
    assert answer.headers["access-control-allow-origin"] == "*"


def test_answers_are_compressed_for_those_who_ask(client: TestClient) -> None:
    answer = client.get(PARCELS, headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in answer.headers["vary"].lower()


def test_errors_are_not_kept(client: TestClient) -> None:
    assert client.get(f"{PARCELS}?limit=x").headers["cache-control"] == "no-store"


def test_filters_are_advertised_and_writing_is_not(client: TestClient) -> None:
    classes = client.get("/conformance?f=json").json()["conformsTo"]
    for name in ("filter", "features-filter", "queryables"):
        assert f"http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/{name}" in classes
    for name in ("basic-cql2", "cql2-text", "cql2-json"):
        assert f"http://www.opengis.net/spec/cql2/1.0/conf/{name}" in classes
    assert not any("create-replace-delete" in name for name in classes)


def test_every_page_and_link_answers(client: TestClient) -> None:
    for path in (
        "/",
        "/?f=html",
        "/?f=json",
        "/collections",
        "/conformance",
        "/openapi",
        "/TileMatrixSets",
        "/processes",
    ):
        for accept in ("text/html", "application/json"):
            assert client.get(path, headers={"accept": accept}).status_code == 200, path
    for collection in client.get("/collections?f=json").json()["collections"]:
        for link in collection["links"]:
            if link["href"].startswith("http://127.0.0.1:5000"):
                assert client.get(link["href"]).status_code == 200, link["href"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/map",
        "/collections",
        "/collections/towns",
        "/collections/towns/items?limit=2",
        "/collections/towns/items/29910",
        "/collections/towns/schema",
        "/collections/towns/tiles",
        "/collections/towns/tiles/WebMercatorQuad",
        "/conformance",
        "/TileMatrixSets",
        "/TileMatrixSets/WebMercatorQuad",
        "/processes",
    ],
)
def test_pages_load_nothing_from_elsewhere(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"accept": "text/html"})
    if answer.headers["content-type"].startswith("text/html"):
        # Neither does a script run that stands in the page: a delivered value could be one, as `javascript:` in a link.
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "script-src 'self';" in answer.headers["content-security-policy"]
    for outside in ("unpkg", "cdn", "googleapis", "jsdelivr"):
        assert outside not in answer.text


# ------------------------------------------------------------------------------------------------- map


def test_the_map_has_what_it_needs_on_this_server(client: TestClient) -> None:
    page = client.get("/map", headers={"accept": "text/html"})
    assert page.status_code == 200
    for asset in ("/assets/map.js", "/assets/map.css", "/map/maplibre/maplibre-gl.js", "/map/maplibre/maplibre-gl.css"):
        assert asset in page.text
        assert client.get(asset).status_code == 200
    config = client.get("/map/config.json").json()
    assert set(config["collections"]) == {
        "towns",
        "planning-regions",
        "parcels",
        "addresses",
        "flood-zones",
        "parcel-hazards",
        "sea-level-rise",
        "storm-surge",
        "evacuation-zones",
        "extreme-heat",
        "critical-facilities",
        "imagery",
    }
    classes = config["collections"]["flood-zones"]["fields"]["zone_class"]["codes"]
    assert all(code["color"] for code in classes.values())
    assert config["collections"]["parcels"]["fields"]["area_sqft"]["unit"] == "sq ft"


def test_the_map_lists_the_towns(client: TestClient) -> None:
    towns = {town["name"]: town for town in client.get("/map/towns.json").json()}
    assert len(towns) == 169
    assert (towns["New London"]["parcels"], towns["Avon"]["parcels"]) == (300, None)
    west, south, east, north = towns["New London"]["box"]
    longitude, latitude = towns["New London"]["point"]
    assert west < longitude < east and south < latitude < north


# ------------------------------------------------------------------------------------------------ roles


@pytest.mark.parametrize(
    "table",
    [
        "cadastral.parcel",
        "cadastral.parcel_history",
        "resilience.flood_zone",
        "statewide.municipality",
        "statewide.finding",
    ],
)
def test_the_api_may_not_read_what_lies_behind_the_views(world: Settings, table: str) -> None:
    with psycopg.connect(api_url(world)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"SELECT * FROM {table}")


def test_the_api_may_not_write(world: Settings) -> None:
    with psycopg.connect(api_url(world), autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        for statement in (
            "UPDATE published.flood_zones SET depth_ft = 0",
            "CREATE TABLE published.x ()",
            "CREATE TABLE x ()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


# -------------------------------------------------------------------------------------- database away


def test_a_database_that_is_away_is_said_so(client: TestClient, world: Settings) -> None:
    open_pools(without_database(world))
    try:
        for path in (
            PARCELS,
            f"{PARCELS}?f=html",
            "/collections/parcels/tiles/WebMercatorQuad/14/6129/4913",
            "/map/towns.json",
        ):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5"), path
            assert "does not answer" in answer.text
        assert client.get("/health").status_code == 503
        # What needs no database goes on.
        for path in ("/", "/collections", "/collections/parcels/schema", "/map", "/openapi"):
            assert client.get(path).status_code == 200, path
    finally:
        open_pools(world)
    assert client.get("/health").json() == {"status": "ok", "database": "ok"}
    assert client.get(PARCELS).status_code == 200


def test_an_answer_that_takes_too_long_is_stopped(
    client: TestClient, world: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("statewide.publish.reading._LIMITS", _impatient())
    open_pools(world)
    try:
        tree = "S_INTERSECTS(geometry, BBOX(-73, 41, -72, 42)) AND " * 30 + "TRUE"
        answers = [client.get(PARCELS, params={"filter": tree, "limit": 10000}) for _ in range(3)]
        assert {answer.status_code for answer in answers} <= {200, 503}
        assert all("seconds" in answer.text for answer in answers if answer.status_code == 503)
        assert 503 in {answer.status_code for answer in answers}
    finally:
        monkeypatch.undo()
        open_pools(world)


def _impatient() -> dict[str, object]:
    from statewide.publish import reading

    return {purpose: replace(limits, seconds=0.001) for purpose, limits in reading._LIMITS.items()}


def test_the_server_starts_without_its_database(world: Settings) -> None:
    away = without_database(world)
    prepare(away, "http://127.0.0.1:5000")
    try:
        with TestClient(create_app(away)) as client:
            assert client.get("/collections").status_code == 200
            assert client.get(PARCELS).status_code == 503
    finally:
        open_pools(world)


def test_the_server_does_not_start_before_init(world: Settings) -> None:
    bare = replace(world, database_url=conninfo.make_conninfo(world.require_database_url(), dbname="template1"))
    with pytest.raises(DatabaseNotReady, match="statewide init"):
        prepare(bare, "http://127.0.0.1:5000")
    with pytest.raises(DatabaseUnavailable, match="No database is configured"):
        prepare(replace(world, database_url=None), "http://127.0.0.1:5000")


# ---------------------------------------------------------------------------------------- configuration


def test_the_configuration_is_what_the_law_makes_of_it() -> None:
    text = (ROOT / "pygeoapi-config.yml").read_text(encoding="utf-8")
    assert render_config(text, load_standard()) == text
    resources = yaml.safe_load(text)["resources"]
    assert {"towns", "planning-regions", "parcels", "addresses", "flood-zones", "parcel-hazards"} <= resources.keys()
    assert "password" not in text and "postgresql" not in text


def test_pygeoapi_accepts_the_configuration(client: TestClient, world: Settings) -> None:
    from pygeoapi.config import validate_config

    (run,) = (world.home / "run").iterdir()  # a folder per address: two servers of one home do not meet
    config = yaml.safe_load((run / "pygeoapi-config.yml").read_text(encoding="utf-8"))
    assert validate_config(config)
    west, south, east, north = load_standard().header.extent.bbox
    box = config["resources"]["parcels"]["extents"]["spatial"]["bbox"]
    assert box[0] <= west and box[1] <= south and box[2] >= east and box[3] >= north
    for written in Path(run).iterdir():
        assert "password" not in written.read_text(encoding="utf-8")


def test_a_configuration_without_its_markers_is_refused() -> None:
    with pytest.raises(LawError, match="mark"):
        render_config("server: {}\n" + BEGIN, load_standard())
