"""What a planner really opens: GDAL, QGIS and a browser read the running server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytestmark = pytest.mark.clients

BOX = (-72.11, 41.34, -72.105, 41.345)

# Runs under the system's Python, which is the one that has QGIS.
QGIS = """
import json, sys
from qgis.core import QgsApplication, QgsFeatureRequest, QgsRectangle, QgsVectorLayer, QgsVectorTileLayer
address, name, key = sys.argv[1], sys.argv[2], sys.argv[3]
box = [float(number) for number in sys.argv[4].split(",")]
QgsApplication.setPrefixPath("/usr", True)
application = QgsApplication([], False)
application.initQgis()
layer = QgsVectorLayer(
    f"pagingEnabled='true' restrictToRequestBBOX='1' typename='{name}' url='{address}'", name, "OAPIF")
inside = QgsFeatureRequest().setFilterRect(QgsRectangle(*box))
found = {
    "valid": layer.isValid(),
    "all": layer.featureCount(),
    "fields": [field.name() for field in layer.fields()],
    "inside": sum(1 for _ in layer.getFeatures(inside)),
    "walked": len({feature[key] for feature in layer.getFeatures()}),
}
tiles = QgsVectorTileLayer(
    f"type=xyz&url={address}/collections/{name}/tiles/WebMercatorQuad/{{z}}/{{y}}/{{x}}&zmin=12&zmax=18", "tiles")
found["tiles"] = tiles.isValid()
print("FOUND " + json.dumps(found))
del layer, tiles
application.exitQgis()
"""


def needed(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed (scripts/test --clients does it)")
    return path


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_ogrinfo_lists_the_collections(server: str) -> None:
    listed = run(needed("ogrinfo"), "-ro", f"OAPIF:{server}")
    for name in ("parcels", "addresses", "towns", "planning-regions", "flood-zones", "parcel-hazards"):
        assert re.search(rf"\b{name}\b", listed)


def test_ogrinfo_reads_parcels_by_box_and_by_value(server: str) -> None:
    ogrinfo = needed("ogrinfo")
    summary = run(ogrinfo, "-ro", "-so", f"OAPIF:{server}", "parcels")
    assert "Feature Count: 350" in summary
    assert "area_sqft: Real" in summary
    assert "editor" not in summary
    inside = run(ogrinfo, "-ro", "-al", "-q", f"OAPIF:{server}", "parcels", "-spat", *map(str, BOX))
    named = run(ogrinfo, "-ro", "-al", "-q", f"OAPIF:{server}", "parcels", "-where", "town_name = 'Franklin'")
    assert 0 < inside.count("OGRFeature(parcels)") < 300
    assert named.count("OGRFeature(parcels)") == 50


def test_ogr2ogr_copies_every_page(server: str, tmp_path: Path) -> None:
    copy = tmp_path / "parcels.geojson"
    run(needed("ogr2ogr"), str(copy), f"OAPIF:{server}", "parcels", "-oo", "PAGE_SIZE=40")
    rows = json.loads(copy.read_text())["features"]
    assert len({row["properties"]["parcel_uid"] for row in rows}) == len(rows) == 350


@pytest.mark.parametrize(
    ("collection", "fields"),
    [
        ("parcels", ["parcel_uid", "location", "area_acres"]),
        ("addresses", ["address_uid", "address_label", "add_number", "st_name", "placement"]),
    ],
)
def test_qgis_reads_rows_by_box_and_opens_tiles(
    server: str, tmp_path: Path, collection: str, fields: list[str]
) -> None:
    needed("ogrinfo")
    if subprocess.run(["/usr/bin/python3", "-c", "import qgis.core"], capture_output=True).returncode:
        pytest.skip("python3-qgis is not installed (scripts/test --clients does it)")
    environment = {
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_RUNTIME_DIR": str(tmp_path),
        "PYTHONPATH": "",
        "HOME": str(tmp_path),
    }
    output = run("/usr/bin/python3", "-c", QGIS, server, collection, fields[0], ",".join(map(str, BOX)), **environment)
    found = json.loads(output.split("FOUND ")[1])
    assert (found["valid"], found["tiles"], found["all"], found["walked"]) == (True, True, 350, 350)
    assert 0 < found["inside"] < 300
    assert set(fields) <= set(found["fields"])
    assert "delivered_address" not in found["fields"]


def browse(address: str, folder: Path, *options: str) -> str:
    return run(
        needed("chromium"),
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--ignore-gpu-blocklist",
        "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=20000",
        *options,
        address,
    )


def screenshot(address: str, folder: Path, size: str) -> NDArray[np.uint8]:
    """The page as rows of red, green and blue."""
    picture = folder / "map.png"
    browse(address, folder, f"--window-size={size}", f"--screenshot={picture}")
    raw = folder / "map.raw"
    run(
        needed("gdal_translate"),
        "-q",
        "-of",
        "ENVI",
        "-co",
        "INTERLEAVE=BIP",
        "-b",
        "1",
        "-b",
        "2",
        "-b",
        "3",
        str(picture),
        str(raw),
    )
    width, height = (int(number) for number in size.split(","))
    return np.fromfile(raw, dtype=np.uint8).reshape(height, width, 3)


def share_near(pixels: NDArray[np.uint8], color: tuple[int, int, int], tolerance: int = 14) -> float:
    """Share of the pixels that have about this colour."""
    near = np.abs(pixels.astype(int) - np.array(color)).max(axis=2) <= tolerance
    return float(near.mean())


@pytest.mark.parametrize("size", ["1300,900", "500,900"])
def test_the_map_shows_parcels_over_flood_zones(server: str, tmp_path: Path, size: str) -> None:
    pixels = screenshot(f"{server}/map#15.3/41.3425/-72.1045", tmp_path, size)
    blue, orange, paper = (148, 210, 235), (248, 190, 140), (251, 250, 246)
    assert share_near(pixels, blue) > 0.03, "the one percent zone"
    assert share_near(pixels, orange) > 0.01, "the 0.2 percent zone"
    assert share_near(pixels, paper) > 0.02, "land"
    # Parcel lines: many thin dark steps along a row of the map where the zone is blue.
    dark = pixels.astype(int).sum(axis=2) < 480
    assert 0.003 < dark.mean() < 0.25
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 500


def test_the_map_says_what_did_not_load(server_without_database: str, tmp_path: Path) -> None:
    page = browse(f"{server_without_database}/map", tmp_path, "--dump-dom")
    hint = re.search(r'<p id="hint"([^>]*)>([^<]*)', page)
    assert hint and "hidden" not in hint[1]
    assert "did not load" in hint[2]
