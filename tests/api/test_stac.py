"""Imagery on the street: the STAC catalogue, the tiles of a program, and the files with ranges."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
import rasterio.warp
import shapely
from numpy.typing import NDArray
from pystac.stac_object import STACObjectType
from pystac.validation import JsonSchemaSTACValidator
from starlette.testclient import TestClient

from resilience.imagery import Flight, add_imagery
from statewide.publish.app import create_app, prepare
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.api.conftest import URL
from tests.resilience.pictures import write_picture
from tests.towns import SOUTH, WEST

OLD, NEW = (150, 100, 50), (40, 120, 200, 220)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two programs south of New London: one of two pictures side by side, one over the western of them."""
    folder = tmp_path_factory.mktemp("pictures")
    east = np.zeros((512, 512), dtype=bool)
    east[:, 256:] = True
    write_picture(folder / "west.tif", (0, 0, 2500, 2500), color=OLD)
    write_picture(folder / "east.tif", (2500, 0, 5000, 2500), color=OLD, missing=east)
    write_picture(folder / "new.tif", (0, 0, 2500, 2500), color=NEW)
    return folder


@pytest.fixture(scope="module")
def client(shared_settings: Settings, pictures: Path) -> Iterator[TestClient]:
    standard = load_standard()
    for names, program, flown, bands in (
        (("west", "east"), "2019", "2019-03-24/2019-04-25", None),
        (("new",), "2023", "2023-03-10/2023-04-20", ("red", "green", "blue", "nir")),
    ):
        files = [pictures / f"{name}.tif" for name in names]
        add_imagery(shared_settings, standard, files, program=program, flown=Flight.parse(flown), bands=bands)
    prepare(shared_settings, URL)
    with TestClient(create_app(shared_settings), base_url=URL) as client:
        yield client


def get(client: TestClient, path: str, **parameters: Any) -> Any:
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def items(client: TestClient, program: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(client, f"/stac/collections/{program}/items")["features"]
    return found


def test_the_catalogue_leads_to_each_program(client: TestClient) -> None:
    landing = get(client, "/stac")
    assert landing["type"] == "Catalog"
    children = [link for link in landing["links"] if link["rel"] == "child"]
    assert [child["href"].rsplit("/", 1)[1] for child in children] == ["2019", "2023"]
    for link in landing["links"]:
        if link.get("method") != "POST":
            assert client.get(link["href"]).status_code == 200, link


def test_pystac_reads_all_of_it_and_finds_nothing_wrong(client: TestClient) -> None:
    """Against the core schemas that pystac carries; those of extensions would have to be fetched."""
    validator = JsonSchemaSTACValidator()
    for path, kind in (
        ("/stac", STACObjectType.CATALOG),
        ("/stac/collections/2019", STACObjectType.COLLECTION),
        ("/stac/collections/2023", STACObjectType.COLLECTION),
    ):
        assert validator.validate_core(get(client, path), kind, "1.1.0")
    for item in items(client, "2019") + items(client, "2023"):
        assert validator.validate_core(item, STACObjectType.ITEM, "1.1.0")
    collection = pystac.Collection.from_dict(get(client, "/stac/collections/2023"))
    assert collection.extent.temporal.intervals[0][0] == dt.datetime(2023, 3, 10, tzinfo=dt.UTC)
    [item] = (pystac.Item.from_dict(item) for item in items(client, "2023"))
    assert item.ext.proj.code == "EPSG:6434"
    assert item.ext.proj.shape == [512, 512]
    assert item.assets["data"].ext.file.size > 0


def test_an_item_says_where_when_and_how_fine(client: TestClient, pictures: Path) -> None:
    [item] = items(client, "2023")
    properties, data = item["properties"], item["assets"]["data"]
    assert properties["datetime"] is None
    assert properties["start_datetime"] == "2023-03-10T00:00:00Z"
    assert properties["end_datetime"] == "2023-04-20T23:59:59Z"
    assert properties["gsd"] == pytest.approx(2500 / 512 * 1200 / 3937, abs=1e-6)
    assert properties["statewide:grid_cell"] == "E950000N600000"
    assert [band["name"] for band in data["bands"]] == ["red", "green", "blue", "nir"]
    assert data["bands"][3]["eo:common_name"] == "nir"
    assert data["file:checksum"] == "1220" + hashlib.sha256((pictures / "new.tif").read_bytes()).hexdigest()
    outline = shapely.geometry.shape(item["geometry"])
    assert outline.bounds == pytest.approx(item["bbox"], abs=1e-6)
    with rasterio.open(pictures / "new.tif") as source:
        assert properties["proj:transform"] == list(source.transform)[:6]


def test_an_asset_is_the_file_itself_and_comes_in_ranges(client: TestClient, pictures: Path) -> None:
    [item] = items(client, "2023")
    content = (pictures / "new.tif").read_bytes()
    whole = client.get(item["assets"]["data"]["href"], headers={"Accept-Encoding": "gzip"})
    assert whole.content == content
    assert whole.headers["content-type"] == "image/tiff; application=geotiff; profile=cloud-optimized"
    assert "content-encoding" not in whole.headers
    part = client.get(item["assets"]["data"]["href"], headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == content[100:200]
    for path in ("2019/files/" + item["id"] + ".tif", "2023/files/../../../etc/passwd", "2023/files/new.tif"):
        assert client.get(f"/imagery/{path}").status_code == 404


def test_search_narrows_by_place_time_program_and_identifier(client: TestClient) -> None:
    [new] = items(client, "2023")
    west, south, east, _ = new["bbox"]
    inside = [west + 0.001, south + 0.001, west + 0.002, south + 0.002]
    beyond = [east + 0.001, south + 0.001, east + 0.002, south + 0.002]
    text = ",".join(map(str, inside))
    area = {"type": "Point", "coordinates": inside[:2]}
    for parameters, programs in (
        ({}, ["2019", "2019", "2023"]),
        ({"bbox": text}, ["2019", "2023"]),
        ({"bbox": ",".join(map(str, beyond))}, ["2019"]),
        ({"bbox": text, "collections": "2023"}, ["2023"]),
        ({"intersects": json.dumps(area)}, ["2019", "2023"]),
        ({"datetime": "2019-04-01"}, ["2019", "2019"]),
        ({"datetime": "2020-01-01T00:00:00Z/.."}, ["2023"]),
        ({"datetime": "../2018-12-31"}, []),
        ({"ids": new["id"]}, ["2023"]),
        ({"ids": "nonsense"}, []),
        ({"collections": "2012"}, []),
    ):
        found = get(client, "/stac/search", **parameters)
        assert sorted(item["collection"] for item in found["features"]) == programs, parameters
    body = {"bbox": inside, "collections": ["2019", "2023"], "limit": 1}
    posted = client.post("/stac/search", json=body).json()
    assert posted["numberReturned"] == 1


def test_pages_of_a_search_hold_each_item_once(client: TestClient) -> None:
    seen, url = [], "/stac/search?limit=1&collections=2019,2023"
    while url:
        page = client.get(url).json()
        seen += [item["id"] for item in page["features"]]
        url = next((link["href"] for link in page["links"] if link["rel"] == "next"), "")
    assert len(seen) == len(set(seen)) == 3
    posted, body = [], {"limit": 2}
    while body:
        page = client.post("/stac/search", json=body).json()
        posted += [item["id"] for item in page["features"]]
        following = [link for link in page["links"] if link["rel"] == "next"]
        body = {**body, **following[0]["body"]} if following else {}
    assert posted == seen


@pytest.mark.parametrize(
    "query",
    [
        "bbox=1,2,3", "bbox=a,b,c,d", "bbox=nan,0,1,1", "bbox=0,10,1,5", "datetime=yesterday", "datetime=..", "limit=0",
        "limit=x", "token=x", "intersects=x", "intersects=[]", "file_path=x", "limit=1&limit=2",
        "intersects={}", 'intersects={"type":"Polygon","coordinates":[[[0,0]]]}',
    ],
)  # fmt: skip
def test_a_search_that_makes_no_sense_is_refused_in_words(client: TestClient, query: str) -> None:
    answer = client.get(f"/stac/search?{query}")
    assert answer.status_code == 400
    assert answer.json()["description"].endswith(".")


def test_what_the_catalogue_does_not_have_is_not_there(client: TestClient) -> None:
    for path in ("collections/2012", "collections/2012/items", "collections/2019/items/x", "admin", "../etc"):
        assert client.get(f"/stac/{path}").status_code == 404
    assert client.post("/stac/collections").status_code in (404, 405)
    assert client.post("/stac/search", content=b"{").status_code == 400


def test_no_answer_tells_where_the_files_lie(client: TestClient, pictures: Path) -> None:
    for path in (
        "/stac", "/stac/collections", "/stac/search", "/imagery/2023/tiles", "/collections/imagery/items",
        "/collections/imagery/queryables", "/collections/parcel-imagery/items",
    ):  # fmt: skip
        assert str(pictures) not in client.get(path, params={"f": "json"} if "collections/" in path else {}).text
    assert client.get("/collections/imagery/items", params={"file_path": "x"}).status_code == 400


# ------------------------------------------------------------------------------------------------ tiles


def tile(client: TestClient, program: str, share: tuple[float, float], zoom: int = 16, **parameters: str) -> Any:
    """The tile at a place of the box of 5,000 by 2,500 ft, as shares of its sides."""
    east, north = WEST + 5000 * share[0], SOUTH + 2500 * share[1]
    [[lon], [lat]] = rasterio.warp.transform("EPSG:6434", "EPSG:4326", [east], [north])
    column = int((lon + 180) / 360 * 2**zoom)
    row = int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**zoom)
    return client.get(f"/imagery/{program}/tiles/{zoom}/{row}/{column}", params=parameters)


def decoded(answer: Any) -> NDArray[np.uint8]:
    """Bands, rows, columns."""
    with rasterio.MemoryFile(answer.content) as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with memory.open() as source:
            pixels: NDArray[np.uint8] = source.read()
            return pixels


def test_a_tile_shows_the_pictures_colours(client: TestClient) -> None:
    for program, color in (("2019", OLD), ("2023", NEW)):
        answer = tile(client, program, (0.2, 0.3), 18)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/png"
        pixels = decoded(answer)
        assert pixels.shape == (4, 256, 256)
        assert (pixels[3] == 255).all()
        assert np.median(pixels[:3].reshape(3, -1), axis=1).tolist() == list(color[:3])


def test_a_tile_joins_the_pictures_and_is_clear_where_there_is_none(client: TestClient) -> None:
    seam = decoded(tile(client, "2019", (0.5, 0.25), 17))
    assert (seam[3] == 255).all()  # two pictures meet without a gap
    rim = decoded(tile(client, "2019", (0.75, 0.25), 17))
    assert 0.02 < (rim[3] == 0).mean() < 0.98
    low = decoded(tile(client, "2019", (0.5, 0.25), 13))
    assert 0 < (low[3] == 255).mean() < 0.2


def test_a_tile_comes_in_the_form_that_is_asked_for(client: TestClient) -> None:
    for form, start in (("png", b"\x89PNG"), ("jpeg", b"\xff\xd8"), ("jpg", b"\xff\xd8"), ("webp", b"RIFF")):
        answer = tile(client, "2019", (0.75, 0.25), 17, f=form)
        assert answer.content.startswith(start)
    jpeg = decoded(tile(client, "2019", (0.75, 0.25), 17, f="jpeg"))
    assert jpeg.shape[0] == 3
    assert (jpeg.reshape(3, -1).max(axis=1) > 240).all()  # white where there is no picture
    false_color = decoded(tile(client, "2023", (0.2, 0.3), 18, bands="nir,red,green"))
    assert np.median(false_color[:3].reshape(3, -1), axis=1).tolist() == [NEW[3], NEW[0], NEW[1]]
    assert tile(client, "2023", (0.2, 0.3), 18, f="gif").status_code == 400
    assert tile(client, "2023", (0.2, 0.3), 18, bands="a/b,c,d").status_code == 400


def test_an_empty_tile_is_204_and_one_out_of_range_404(client: TestClient) -> None:
    assert tile(client, "2023", (3, 0.5), 18).status_code == 204
    assert tile(client, "2019", (0.95, 0.5), 18).status_code == 204  # in the file's box, where it has no data
    assert tile(client, "2019", (0.2, 0.3), 18, bands="nir").status_code == 204  # a band that it lacks
    for path in ("2012/tiles/16/1/1", "2023/tiles/12/1/1", "2023/tiles/23/1/1", "2023/tiles/13/8192/1",
                 "2023/tiles/13/-1/1", "2023/tiles/a/b/c", "2023/tiles/13/1e3/1"):  # fmt: skip
        assert client.get(f"/imagery/{path}").status_code == 404, path


def test_a_tile_that_is_known_is_not_drawn_again(client: TestClient) -> None:
    first = tile(client, "2023", (0.2, 0.3))
    again = client.get(first.url, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert tile(client, "2023", (0.2, 0.3), f="webp").headers["etag"] != first.headers["etag"]


def test_tilejson_leads_to_tiles(client: TestClient) -> None:
    found = get(client, "/imagery/2023/tiles")
    assert found["minzoom"] < found["maxzoom"] == 17  # 1.5 m a pixel
    assert found["bounds"] == pytest.approx(items(client, "2023")[0]["bbox"])
    assert found["tiles"] == [f"{URL}/imagery/2023/tiles/{{z}}/{{y}}/{{x}}"]
    assert client.get("/imagery/2012/tiles").status_code == 404


def test_a_file_that_is_gone_or_changed_is_left_out_and_the_log_says_so(
    client: TestClient, pictures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = pictures / "west.tif"
    content = file.read_bytes()
    [west] = (item for item in items(client, "2019") if item["properties"]["title"] == "west.tif")
    try:
        file.write_bytes(content[: len(content) // 2])
        assert tile(client, "2019", (0.2, 0.3), 18).status_code == 204
        assert str(file) in caplog.text
        file.unlink()
        assert tile(client, "2019", (0.2, 0.3), 18).status_code == 204
        assert tile(client, "2019", (0.6, 0.3), 18).status_code == 200
        assert client.get(west["assets"]["data"]["href"]).status_code == 404
        assert caplog.text.count(str(file)) == 1
    finally:
        file.write_bytes(content)
    assert tile(client, "2019", (0.2, 0.3), 18).status_code == 200
