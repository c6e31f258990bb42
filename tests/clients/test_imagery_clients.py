"""Imagery as others read it: a STAC client, GDAL over HTTP, and QGIS."""

from __future__ import annotations

import hashlib
import json
import subprocess
import urllib.request
import warnings
from pathlib import Path

import pytest

from resilience.imagery import Flight, add_imagery
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.clients.test_clients import needed, run
from tests.resilience.pictures import write_picture

pytestmark = pytest.mark.clients

QGIS = """
import json, sys
from qgis.core import (QgsApplication, QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsMapRendererParallelJob,
    QgsMapSettings, QgsProject, QgsRasterLayer, QgsRectangle)
from qgis.PyQt.QtCore import QSize
address, target = sys.argv[1], sys.argv[2]
box = QgsRectangle(*[float(number) for number in sys.argv[3].split(",")])
QgsApplication.setPrefixPath("/usr", True)
application = QgsApplication([], False)
application.initQgis()
tiles = f"{address}/imagery/2023/tiles/{{z}}/{{y}}/{{x}}?f=png"
layer = QgsRasterLayer(f"type=xyz&url={tiles}&zmin=13&zmax=17", "2023", "wms")
mercator = QgsCoordinateReferenceSystem("EPSG:3857")
settings = QgsMapSettings()
settings.setLayers([layer])
settings.setDestinationCrs(mercator)
settings.setOutputSize(QSize(256, 256))
settings.setExtent(QgsCoordinateTransform(
    QgsCoordinateReferenceSystem("EPSG:4326"), mercator, QgsProject.instance()).transformBoundingBox(box))
job = QgsMapRendererParallelJob(settings)
job.start()
job.waitForFinished()
image = job.renderedImage()
image.save(target)
middle = image.pixelColor(100, 100)
print("FOUND " + json.dumps({"valid": layer.isValid(), "color": [middle.red(), middle.green(), middle.blue()]}))
del layer, job
application.exitQgis()
"""

COLOR = (40, 120, 200)


@pytest.fixture(scope="module")
def pictures(server: str, shared_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    files = [
        write_picture(
            folder / f"{number}.tif", (number * 2500, 0, number * 2500 + 2500, 2500), color=COLOR, side_px=1024
        )
        for number in range(3)
    ]
    add_imagery(shared_settings, load_standard(), files, program="2023", flown=Flight.parse("2023-03-10/2023-04-20"))
    return files


def test_pystac_client_walks_and_searches(server: str, pictures: list[Path]) -> None:
    pystac_client = pytest.importorskip("pystac_client")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it warns where a server does not do what it says
        client = pystac_client.Client.open(f"{server}/stac")
        assert [collection.id for collection in client.get_collections()] == ["2023"]
        items = list(client.get_collection("2023").get_items())
        assert {item.assets["data"].title for item in items} == {"0.tif", "1.tif", "2.tif"}
        middle = next(item for item in items if item.properties["title"] == "1.tif")
        west, south, east, north = middle.bbox
        inside = [west + 0.001, south + 0.001, east - 0.001, north - 0.001]
        found = client.search(bbox=inside, collections=["2023"], datetime="2023-04-01", limit=1)
        assert [item.id for item in found.items()] == [middle.id]
        assert len(list(client.search(limit=1, method="GET").items())) == 3
        assert next(client.search(ids=[middle.id]).items()).properties["gsd"] == middle.properties["gsd"]


def test_gdal_reads_a_part_of_a_picture_over_http(server: str, pictures: list[Path]) -> None:
    with urllib.request.urlopen(f"{server}/stac/search?limit=1") as answer:
        [item] = json.load(answer)["features"]
    asset = item["assets"]["data"]
    with urllib.request.urlopen(asset["href"]) as answer:
        assert hashlib.sha256(answer.read()).hexdigest() == asset["file:checksum"].removeprefix("1220")
    described = json.loads(run(needed("gdalinfo"), "-json", f"/vsicurl/{asset['href']}", PYTHONWARNINGS="ignore"))
    assert described["size"] == [1024, 1024]
    assert described["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"


def test_qgis_draws_the_tiles(server: str, pictures: list[Path], tmp_path: Path) -> None:
    with urllib.request.urlopen(f"{server}/imagery/2023/tiles") as answer:
        west, south, east, north = json.load(answer)["bounds"]
    if subprocess.run(["/usr/bin/python3", "-c", "import qgis.core"], capture_output=True).returncode:
        pytest.skip("python3-qgis is not installed (scripts/test --clients does it)")
    environment = {
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_RUNTIME_DIR": str(tmp_path),
        "PYTHONPATH": "",
        "HOME": str(tmp_path),
    }
    box = f"{west},{south},{(west + east) / 2},{north}"
    printed = run("/usr/bin/python3", "-c", QGIS, server, str(tmp_path / "tiles.png"), box, **environment)
    found = json.loads(printed.partition("FOUND ")[2])
    assert found["valid"]
    assert all(abs(seen - meant) <= 2 for seen, meant in zip(found["color"], COLOR, strict=True))
