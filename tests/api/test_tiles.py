"""Vector tiles: what lies in them at which zoom, and what is not there."""

from __future__ import annotations

import math
from typing import Any

import mapbox_vector_tile
import pytest
from starlette.testclient import TestClient

from statewide.standard import load_standard

LONGITUDE, LATITUDE = -72.105, 41.342


def address(zoom: int, collection: str = "parcels", tileset: str = "WebMercatorQuad") -> str:
    if tileset == "WorldCRS84Quad":
        row, col = int((90 - LATITUDE) / 180 * 2**zoom), int((LONGITUDE + 180) / 180 * 2**zoom)
    else:
        col = int((LONGITUDE + 180) / 360 * 2**zoom)
        row = int((1 - math.asinh(math.tan(math.radians(LATITUDE))) / math.pi) / 2 * 2**zoom)
    return f"/collections/{collection}/tiles/{tileset}/{zoom}/{row}/{col}"


def layer(client: TestClient, url: str) -> dict[str, Any]:
    answer = client.get(url, headers={"accept": "*/*"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.mapbox-vector-tile")
    decoded: dict[str, dict[str, Any]] = mapbox_vector_tile.decode(answer.content)
    ((_, found),) = decoded.items()
    return found


@pytest.mark.parametrize("tileset", ["WebMercatorQuad", "WorldCRS84Quad"])
@pytest.mark.parametrize("collection", ["towns", "planning-regions", "parcels", "flood-zones", "parcel-hazards"])
def test_a_tile_carries_the_columns_of_its_zoom_and_no_other(client: TestClient, collection: str, tileset: str) -> None:
    table = load_standard().collection_table(collection)
    assert table.collection and table.collection.tiles
    for zoom in (12, 14):
        found = layer(client, address(zoom, collection, tileset))
        allowed = set(table.collection.tiles.columns_at(zoom))
        carried = {name for feature in found["features"] for name in feature["properties"]}
        assert found["features"] and carried <= allowed
        assert table.field(table.key).name in carried or table.key not in allowed


def test_features_have_identifiers_of_their_own(client: TestClient) -> None:
    features = layer(client, address(15))["features"]
    identifiers = {feature["id"] for feature in features}
    assert len(identifiers) == len(features) == len({each["properties"]["parcel_uid"] for each in features})
    assert max(identifiers) < 2**53


def test_every_parcel_of_the_town_is_in_its_tiles(client: TestClient) -> None:
    found = set()
    _, _, _, _, _, zoom, row, col = address(14).split("/")
    for y in range(int(row) - 1, int(row) + 2):
        for x in range(int(col) - 1, int(col) + 2):
            answer = client.get(f"/collections/parcels/tiles/WebMercatorQuad/{zoom}/{y}/{x}")
            if answer.status_code == 200:
                features = mapbox_vector_tile.decode(answer.content)["parcels"]["features"]
                found |= {each["properties"]["parcel_uid"] for each in features}
    assert len(found) == 300


@pytest.mark.parametrize("where", ["14/0/0", "18/100/100"])
def test_a_tile_without_features_is_empty(client: TestClient, where: str) -> None:
    answer = client.get(f"/collections/parcels/tiles/WebMercatorQuad/{where}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "max-age" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "where",
    [
        "WebMercatorQuad/10/380/306",  # parcels begin at 11
        "WebMercatorQuad/19/0/0",
        "WebMercatorQuad/99/0/0",
        "WebMercatorQuad/14/16384/0",
        "WebMercatorQuad/14/0/16384",
        "WorldCRS84Quad/14/16384/0",
        "WebMercatorQuad/-1/0/0",
        "WebMercatorQuad/a/b/c",
        "WebMercatorQuad/1e1/0/0",
        "WebMercatorQuad/99999999999999999999/0/0",
        "Nope/14/0/0",
    ],
)
def test_a_tile_that_cannot_be_is_not_found(client: TestClient, where: str) -> None:
    assert client.get(f"/collections/parcels/tiles/{where}").status_code == 404


def test_a_tile_comes_with_and_without_its_format(client: TestClient) -> None:
    assert client.get(f"{address(14)}?f=mvt").content == client.get(address(14)).content
    assert client.get(f"{address(14)}?f=png").status_code == 400


@pytest.mark.parametrize("query", ["", "?f=json", "/metadata", "/metadata?f=json", "?f=html", "?f=tilejson"])
def test_a_tileset_describes_itself(client: TestClient, query: str) -> None:
    assert client.get(f"/collections/parcels/tiles/WebMercatorQuad{query}").status_code == 200


def test_tilejson_names_layer_fields_and_zooms(client: TestClient) -> None:
    found = client.get("/collections/parcels/tiles/WebMercatorQuad?f=tilejson").json()
    assert (found["minzoom"], found["maxzoom"]) == (11, 18)
    assert found["vector_layers"][0]["id"] == "parcels"
    assert found["vector_layers"][0]["fields"]["area_acres"] == "Area in acres"
    url = found["tiles"][0].replace("{z}/{y}/{x}", address(14).split("WebMercatorQuad/")[1])
    assert client.get(url).status_code == 200


def test_a_tileset_that_is_not_there_is_not_found(client: TestClient) -> None:
    assert client.get("/collections/parcels/tiles/Nope").status_code == 404
    assert client.get("/collections/parcels/tiles").json()["tilesets"]


def test_pygeoapi_has_the_same_tile(client: TestClient) -> None:
    from pygeoapi.starlette_app import APP

    with TestClient(APP) as behind:
        assert behind.get(f"{address(14)}?f=mvt").content == client.get(address(14)).content
        assert behind.get("/collections/parcels/tiles/WebMercatorQuad/99/0/0?f=mvt").status_code == 404
