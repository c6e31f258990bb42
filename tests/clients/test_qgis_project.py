"""The project file and the styles, opened by QGIS itself, and the picture that it draws of them."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from statewide.settings import Settings
from statewide.standard import load_standard
from tests.clients.test_clients import needed, run, share_near

pytestmark = pytest.mark.clients

SHORE = """
INSERT INTO resilience.sea_level_rise (sea_level_rise_uid, layer_version, zone_class, zone_class_rank, step_ft,
    source_sha256, geom, geom_lonlat, geom_mercator, submission_id, row_no, attribute_hash, shape_hash, valid_from)
SELECT md5('slr' || step)::uuid, '2024', 'slr_' || step || 'ft', 200 - step, step, repeat('0', 64),
       g, ST_Transform(g, 4326), ST_Transform(g, 3857), md5('s')::uuid, step, md5('a')::uuid, md5('b')::uuid, now()
FROM (SELECT ST_Extent(geom) AS e FROM cadastral.parcel WHERE cousub_fips = '52350') AS town,
     generate_series(1, 4) AS step,
     LATERAL (SELECT ST_YMin(e) + step * 300 AS y) AS line,
     -- The land of a step covers that of every lower one, as NOAA delivers it.
     LATERAL (SELECT ST_Multi(ST_MakeEnvelope(ST_XMin(e), ST_YMin(e), ST_XMax(e), y, 6434)) AS g) AS shape;
INSERT INTO resilience.storm_surge (storm_surge_uid, layer_version, zone_class, zone_class_rank, hurricane_category,
    source_sha256, geom, geom_lonlat, geom_mercator, submission_id, row_no, attribute_hash, shape_hash, valid_from)
SELECT md5('surge' || step_ft)::uuid, '2008', 'surge_cat_' || step_ft, 100 - 10 * step_ft, step_ft, repeat('0', 64),
       geom, geom_lonlat, geom_mercator, submission_id, row_no, attribute_hash, shape_hash, now()
FROM resilience.sea_level_rise;
"""
# Runs under the system's Python, which is the one that has QGIS.
QGIS = """
import json, sys
from qgis.core import (QgsApplication, QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsMapRendererParallelJob,
    QgsMapSettings, QgsProject, QgsRectangle, QgsVectorLayer)
from qgis.PyQt.QtCore import QSize
project_file, folder, address = sys.argv[1:4]
QgsApplication.setPrefixPath("/usr", True)
application = QgsApplication([], False)
application.initQgis()
project = QgsProject.instance()
read = project.read(project_file)
layers = project.mapLayers()

def draw(names, box, picture):
    settings = QgsMapSettings()
    settings.setLayers([layers[name] for name in names])
    settings.setDestinationCrs(project.crs())
    settings.setTransformContext(project.transformContext())
    wgs84 = QgsCoordinateReferenceSystem("OGC:CRS84")
    move = QgsCoordinateTransform(wgs84, project.crs(), project)
    settings.setExtent(move.transformBoundingBox(QgsRectangle(*box)))
    settings.setOutputSize(QSize(800, 600))
    settings.setOutputDpi(96)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    assert not job.errors(), [error.message for error in job.errors()]
    image = job.renderedImage()
    image.save(f"{folder}/{picture}.png")
    image.convertToFormat(image.Format_RGB888).save(f"{folder}/{picture}.ppm")

town = (-72.1115, 41.3395, -72.0985, 41.3470)
order = [each.layerId() for each in project.layerTreeRoot().findLayers()]
visible = [each.layerId() for each in project.layerTreeRoot().findLayers() if each.isVisible()]
draw(visible, town, "project")
draw(["tiles_of_sea-level-rise"], town, "sea")
draw(["tiles_of_storm-surge"], town, "surge")
draw(["rows_of_sea-level-rise"], town, "sea_rows")
draw(["rows_of_parcels"], (-72.1105, 41.3398, -72.1055, 41.3427), "rows")
parcels = layers["rows_of_parcels"]
kind = parcels.fields().indexOf("parcel_type_class")
styles = {}
for name in ("parcels", "flood-zones", "addresses"):
    row = layers[f"rows_of_{name}"]
    for form, load in (("qml", "loadNamedStyle"), ("sld", "loadSldStyle")):
        message, done = getattr(row, load)(f"{folder}/{name}.{form}")
        styles[f"{name}.{form}"] = [bool(done), row.renderer().type(), len(row.renderer().legendSymbolItems())]
print("FOUND " + json.dumps({
    "read": read,
    "crs": project.crs().authid(),
    "order": order,
    "visible": visible,
    "broken": [name for name, layer in layers.items() if not layer.isValid()],
    "groups": [group.name() for group in project.layerTreeRoot().children()],
    "bookmarks": [bookmark.name() for bookmark in project.bookmarkManager().bookmarks()],
    "rows": layers["rows_of_towns"].featureCount(),
    "aliases": {field.name(): field.alias() for field in parcels.fields()},
    "words": parcels.editorWidgetSetup(kind).config(),
    "widget": parcels.editorWidgetSetup(kind).type(),
    "styles": styles,
}))
sys.stdout.flush()
import os
os._exit(0)
"""


@pytest.fixture(scope="module")
def opened(
    server: str, shared_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    """What QGIS found in the project, and the folder of its pictures."""
    needed("ogrinfo")
    if subprocess.run(["/usr/bin/python3", "-c", "import qgis.core"], capture_output=True).returncode:
        pytest.skip("python3-qgis is not installed (scripts/test --clients does it)")
    with psycopg.connect(shared_settings.require_database_url()) as connection:
        connection.execute(SHORE)
    folder = tmp_path_factory.mktemp("qgis")
    paths = ["qgis/statewide.qgs"]
    paths += [f"styles/{name}.{form}" for name in ("parcels", "flood-zones", "addresses") for form in ("qml", "sld")]
    for path in paths:
        with urllib.request.urlopen(f"{server}/{path}") as answer:
            (folder / path.rsplit("/", 1)[1]).write_bytes(answer.read())
    environment = {
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_RUNTIME_DIR": str(folder),
        "PYTHONPATH": "",
        "HOME": str(folder),
    }
    output = run("/usr/bin/python3", "-c", QGIS, str(folder / "statewide.qgs"), str(folder), server, **environment)
    return json.loads(output.split("FOUND ")[1]), folder


def picture(folder: Path, name: str) -> NDArray[np.uint8]:
    """A picture of 800 by 600 as rows of red, green and blue."""
    return np.frombuffer((folder / f"{name}.ppm").read_bytes()[-800 * 600 * 3 :], dtype=np.uint8).reshape(600, 800, 3)


def faded(color: str, opacity: float) -> tuple[int, int, int]:
    """A colour of the law on white paper."""
    red, green, blue = (round(int(color[at : at + 2], 16) * opacity + 255 * (1 - opacity)) for at in (1, 3, 5))
    return red, green, blue


def test_qgis_opens_the_project_with_every_layer(opened: tuple[dict[str, Any], Path]) -> None:
    found, _ = opened
    standard = load_standard()
    assert (found["read"], found["crs"], found["broken"]) == (True, "EPSG:3857", [])
    assert found["groups"] == ["Towns and regions", "Addresses", "Parcels", "Hazards and imagery"]
    served = {table.collection.id for table in standard.published_tables if table.collection}
    assert {name.removeprefix("rows_of_") for name in found["order"] if name.startswith("rows_of_")} == served
    assert {"tiles_of_parcel-hazards-sea-level-rise", "tiles_of_parcel-hazards-storm-surge"} <= set(found["order"])
    assert {"tiles_of_parcels", "tiles_of_flood-zones", "tiles_of_towns"} <= set(found["visible"])
    assert not any(name.startswith("rows_of_") for name in found["visible"])
    assert found["rows"] == len(found["bookmarks"]) == 169 and "New London" in found["bookmarks"]


def test_fields_have_titles_and_codes_have_words(opened: tuple[dict[str, Any], Path]) -> None:
    found, _ = opened
    assert found["aliases"]["area_sqft"].endswith("(sq ft)")
    assert found["widget"] == "ValueMap"
    assert {"Right of way": "right_of_way"} in found["words"]["map"]


def test_styles_load_by_themselves(opened: tuple[dict[str, Any], Path]) -> None:
    found, _ = opened
    zones = load_standard().code_lists["hazard_class"].of_layers(("flood-zones",))
    for form, renderer in (("qml", "categorizedSymbol"), ("sld", "RuleRenderer")):
        assert found["styles"][f"flood-zones.{form}"] == [True, renderer, len(zones)]
        assert found["styles"][f"parcels.{form}"][:2] == [True, renderer]
        assert found["styles"][f"addresses.{form}"][0]


def test_the_picture_has_the_colours_of_the_law(opened: tuple[dict[str, Any], Path]) -> None:
    _, folder = opened
    classes = {code.code: code.color or "" for code in load_standard().code_lists["hazard_class"].codes}
    shown = picture(folder, "project")
    assert share_near(shown, faded(classes["one_percent"], 0.5), 10) > 0.03
    assert share_near(shown, faded(classes["zero_two_percent"], 0.5), 10) > 0.02
    for name, codes, opacity in (
        ("sea", ("slr_1ft", "slr_2ft", "slr_3ft", "slr_4ft"), 0.7),
        ("sea_rows", ("slr_1ft", "slr_2ft", "slr_3ft", "slr_4ft"), 0.7),
        ("surge", ("surge_cat_1", "surge_cat_2", "surge_cat_3", "surge_cat_4"), 0.6),
    ):
        for code in codes:
            assert share_near(picture(folder, name), faded(classes[code], opacity), 6) > 0.02, code
    rows = picture(folder, "rows")
    assert (rows.astype(int).sum(axis=2) < 600).mean() > 0.01, "lot lines and their names"
