"""The styles of the drawn collections and the QGIS project, as text; `tests/clients` opens them in QGIS."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from starlette.testclient import TestClient

from statewide.publish.reading import open_pools
from statewide.publish.symbology import LayerStyle, layer_styles
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.api.test_server import without_database

STYLES = layer_styles(load_standard())
SLD = "{http://www.opengis.net/sld}"


def test_every_drawn_collection_has_a_style(client: TestClient) -> None:
    drawn = {
        table.collection.id for table in load_standard().published_tables if table.collection and table.collection.tiles
    }
    assert {style.collection_id for style in STYLES} == drawn
    assert len({style.identifier for style in STYLES}) == len(STYLES)


@pytest.mark.parametrize("chosen", STYLES, ids=lambda style: style.identifier)
def test_a_style_names_every_class_once_in_each_form(client: TestClient, chosen: LayerStyle) -> None:
    path, params = f"/styles/{chosen.collection_id}", chosen.chosen
    maplibre = client.get(f"{path}.json", params=params).json()
    (source,) = maplibre["sources"].values()
    tile = source["tiles"][0].format(z=chosen.zooms[0], y=0, x=0)
    assert client.get(tile).status_code in (200, 204)
    assert all(f"&{name}={value}" in tile for name, value in params.items())
    assert {layer["source-layer"] for layer in maplibre["layers"]} == {chosen.collection_id}
    qml = ET.fromstring(client.get(f"{path}.qml", params=params).content)
    sld = ET.fromstring(client.get(f"{path}.sld", params=params).content)
    codes = [symbol.code or "" for symbol in chosen.symbols]
    if chosen.drawn.by:
        assert [each.get("value") for each in qml.iter("category")] == codes
        assert [name.text for name in sld.iterfind(f".//{SLD}Rule/{SLD}Name")] == codes
    aliases = {each.get("field") for each in qml.iter("alias")}
    assert aliases == {field.name for field in chosen.table.public_fields}


def test_a_layer_of_hazards_has_its_own_classes_only(client: TestClient) -> None:
    surge = client.get("/styles/parcel-hazards.json?layer=storm-surge").json()
    text = str(surge["layers"])
    assert "surge_cat_1" in text and "slr_1ft" not in text and "one_percent" not in text
    assert client.get("/styles/parcel-hazards.json").json()["name"].endswith("FEMA flood zones")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/styles/nothing.json", 404),
        ("/styles/assessments.json", 404),
        ("/styles/parcels.pdf", 404),
        ("/styles/parcel-hazards.qml?layer=volcano", 400),
    ],
)
def test_what_is_not_drawn_has_no_style(client: TestClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_the_project_asks_nobody_but_this_server(client: TestClient) -> None:
    answer = client.get("/qgis/statewide.qgs")
    assert answer.headers["content-type"] == "application/x-qgis-project"
    root = ET.fromstring(answer.content)
    sources = [element.text or "" for element in root.iterfind("projectlayers/maplayer/datasource")]
    assert len(sources) == len(set(sources)) == len(STYLES) + len(load_standard().published_tables)
    assert all("http://127.0.0.1:5000/" in source or "url='http://127.0.0.1:5000'" in source for source in sources)
    identifiers = [element.text or "" for element in root.iterfind("projectlayers/maplayer/id")]
    assert identifiers == [each.get("id") for each in root.iter("layer-tree-layer")]
    assert min(map(len, identifiers)) > 10, "QGIS makes up others"
    assert b"editor_comment" not in answer.content


def test_without_the_database_there_is_no_project_but_there_are_styles(world: Settings, client: TestClient) -> None:
    open_pools(without_database(world))
    try:
        assert client.get("/qgis/statewide.qgs").status_code == 503
        assert client.get("/styles/parcels.json").status_code == 200
    finally:
        open_pools(world)
