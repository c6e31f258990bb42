"""The pack of a town: what is in it, what is not, and that QGIS opens it in its colours."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import psycopg
import pyogrio
import pytest
import shapely
from typer.testing import CliRunner

from cadastral.demo import CANARY
from resilience.exposure_commands import app
from resilience.pack import write_pack
from statewide.database import connect
from statewide.demo import run_demo
from statewide.errors import BadArgument, UnknownTown
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.clients.test_clients import run

TOWN = "Alderbrook"


@pytest.fixture(scope="module")
def demo(shared_settings: Settings) -> Settings:
    run_demo(shared_settings, towns=2, parcels=500, seed=7, out=None, say=lambda _: None)
    return shared_settings


@pytest.fixture(scope="module")
def pack(demo: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pack") / "town.gpkg"
    write_pack(demo, TOWN, path)
    return path


@pytest.fixture
def file(pack: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(pack)) as opened:
        yield opened


def column(file: sqlite3.Connection, query: str) -> list[Any]:
    return [row[0] for row in file.execute(query)]


def asked(settings: Settings, query: str) -> list[Any]:
    with connect(settings) as connection:
        return [row[0] for row in connection.execute(query.encode()).fetchall()]


def code_of(settings: Settings) -> str:
    [code] = asked(settings, f"SELECT cousub_fips FROM published.towns WHERE town_name = '{TOWN}'")
    return str(code)


def test_it_holds_the_town_and_nothing_of_another(demo: Settings, pack: Path, file: sqlite3.Connection) -> None:
    code = code_of(demo)
    layers = {str(name): kind for name, kind in pyogrio.list_layers(pack)}
    assert {"town", "parcels", "addresses", "parcels_flood_zones", "addresses_flood_zones", "flood_zones"} <= set(
        layers
    )
    assert {name for name, kind in layers.items() if kind is None} == {"about", "answers", "not_known", "layer_styles"}
    for name, view in (
        ("parcels", "parcels"),
        ("addresses", "addresses"),
        ("parcels_flood_zones", "parcel_hazards WHERE layer = 'flood-zones' AND"),
    ):
        meets = view if " WHERE " in view else f"{view} WHERE"
        [count] = asked(demo, f"SELECT count(*) FROM published.{meets} cousub_fips = '{code}'")
        assert column(file, f"SELECT count(*) FROM {name}") == [count]
        assert column(file, f"SELECT DISTINCT cousub_fips FROM {name}") == [code]
        assert pyogrio.read_info(pack, layer=name)["crs"] == "EPSG:6434"


def test_columns_are_the_public_ones_with_their_values(demo: Settings, pack: Path, file: sqlite3.Connection) -> None:
    table = load_standard().table("parcel")
    assert column(file, "SELECT name FROM pragma_table_info('parcels')")[2:] == [f.name for f in table.public_fields]
    expected = asked(
        demo,
        "SELECT jsonb_build_array(parcel_uid::text, location, area_sqft, collection_year) FROM published.parcels"
        f" WHERE cousub_fips = '{code_of(demo)}' ORDER BY parcel_uid",
    )
    rows = file.execute("SELECT parcel_uid, location, area_sqft, collection_year FROM parcels ORDER BY parcel_uid")
    assert [list(row) for row in rows] == expected
    assert CANARY.encode() not in pack.read_bytes()


def test_zones_are_cut_at_the_towns_box(demo: Settings, pack: Path) -> None:
    _, _, town, _ = pyogrio.raw.read(pack, layer="town", columns=[])
    _, _, zones, _ = pyogrio.raw.read(pack, layer="flood_zones", columns=[])
    box = shapely.box(*shapely.bounds(shapely.from_wkb(town[0])))
    shapes = shapely.from_wkb(zones)
    assert shapely.is_valid(shapes).all()
    assert shapely.covers(shapely.buffer(box, 0.001), shapes).all()
    [area] = asked(
        demo,
        "SELECT sum(ST_Area(ST_Intersection(z.geom, ST_Envelope(t.geom)))) FROM published.flood_zones AS z,"
        f" published.towns AS t WHERE t.town_name = '{TOWN}'",
    )
    assert shapely.area(shapes).sum() == pytest.approx(area)


def test_answers_and_what_is_not_known_are_those_of_exposure(demo: Settings, file: sqlite3.Connection) -> None:
    code = code_of(demo)
    [parcels] = asked(demo, f"SELECT count(*) FROM published.parcels WHERE cousub_fips = '{code}'")
    assert set(column(file, "SELECT parcels_any_touch FROM answers WHERE layer IS NULL")) == {parcels}
    [floodway] = asked(
        demo,
        "SELECT count(*) FROM published.parcel_hazards WHERE layer = 'flood-zones' AND area_by_class ? 'floodway'"
        f" AND cousub_fips = '{code}'",
    )
    counts = column(file, "SELECT parcels_any_touch FROM answers WHERE class = 'floodway'")
    assert set(counts) <= {floodway}
    assert all(sentence.endswith(".") for sentence in column(file, "SELECT sentence FROM not_known"))
    about = dict(file.execute("SELECT what, value FROM about").fetchall())
    assert about["Town"] == TOWN
    assert about["Made"].startswith("20")
    assert about["Layer flood-zones"].startswith("version demo-")
    assert "does not mean that there is no hazard" in about["Read this"]


def test_every_layer_has_a_style_with_the_colours_of_the_law(file: sqlite3.Connection) -> None:
    styled = dict(file.execute("SELECT f_table_name, styleQML FROM layer_styles").fetchall())
    shapes = set(file.execute("SELECT table_name, column_name FROM gpkg_geometry_columns"))
    assert shapes == set(file.execute("SELECT f_table_name, f_geometry_column FROM layer_styles"))
    root = xml.fromstring(styled["parcels_flood_zones"].partition("\n")[2])
    values = {each.get("value"): each.get("symbol") for each in root.iter("category")}
    floodway = next(code for code in load_standard().code_lists["hazard_class"].codes if code.code == "floodway")
    color = next(
        option.get("value")
        for symbol in root.iter("symbol")
        if symbol.get("name") == values["floodway"]
        for option in symbol.iter("Option")
        if option.get("name") == "color"
    )
    assert floodway.color is not None
    assert color == ",".join(str(int(floodway.color[at : at + 2], 16)) for at in (1, 3, 5)) + ",255"
    assert {"not_mapped", "minimal", "no_zone"} <= set(values)
    assert not {"hurricane_category_1"} & set(values)


def test_a_town_that_has_nothing_or_is_none_is_refused(demo: Settings, tmp_path: Path) -> None:
    with pytest.raises(UnknownTown):
        write_pack(demo, "Atlantis", tmp_path / "a.gpkg")
    with pytest.raises(BadArgument, match="nothing to pack"):
        write_pack(demo, "New London", tmp_path / "a.gpkg")
    with pytest.raises(BadArgument, match="There is no folder"):
        write_pack(demo, TOWN, tmp_path / "nowhere" / "a.gpkg")
    assert list(tmp_path.iterdir()) == []


def test_it_is_of_one_moment_and_reads_with_the_rights_of_the_street(demo: Settings, tmp_path: Path) -> None:
    with psycopg.connect(demo.require_database_url()) as connection:
        connection.execute("REVOKE SELECT ON published.parcels FROM statewide_api")
        connection.commit()
        try:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                write_pack(demo, TOWN, tmp_path / "a.gpkg")
        finally:
            connection.execute("GRANT SELECT ON published.parcels TO statewide_api")
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_is_in_it(demo: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATEWIDE_HOME", str(demo.home))
    monkeypatch.setenv("STATEWIDE_DATABASE_URL", demo.require_database_url())
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["pack", "--town", TOWN, "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["outcome"] == "ok"
    assert said["town"] == TOWN
    [made] = tmp_path.iterdir()
    assert made.name == said["file"] == f"{TOWN}_{said['made_at'][:10]}.gpkg"
    with closing(sqlite3.connect(made)) as opened:
        for name, rows in said["layers"].items():
            assert column(opened, f"SELECT count(*) FROM {name}") == [rows]


QGIS = """
import json, sys
from qgis.core import QgsApplication, QgsMapRendererParallelJob, QgsMapSettings, QgsVectorLayer
from qgis.PyQt.QtCore import QSize
path, picture = sys.argv[1], sys.argv[2]
QgsApplication.setPrefixPath("/usr", True)
application = QgsApplication([], False)
application.initQgis()
layers = {name: QgsVectorLayer(f"{path}|layername={name}", name, "ogr") for name in sys.argv[3].split(",")}
def color(layer, value):
    [found] = [each for each in layer.renderer().categories() if each.value() == value]
    return found.symbol().color().name()
found = {
    "valid": all(layer.isValid() for layer in layers.values()),
    "renderers": {name: layer.renderer().type() for name, layer in layers.items()},
    "floodway": [color(layers[name], "floodway") for name in ("parcels_flood_zones", "flood_zones")],
    "alias": layers["parcels"].attributeDisplayName(layers["parcels"].fields().indexOf("area_sqft")),
    "parcels": layers["parcels"].featureCount(),
}
settings = QgsMapSettings()
drawn = ("addresses_flood_zones", "town", "parcels", "parcels_flood_zones", "flood_zones")
settings.setLayers([layers[name] for name in drawn])
settings.setDestinationCrs(layers["parcels"].crs())
settings.setExtent(layers["town"].extent())
settings.setOutputSize(QSize(900, 900))
job = QgsMapRendererParallelJob(settings)
job.start()
job.waitForFinished()
job.renderedImage().save(picture)
print("FOUND " + json.dumps(found))
del layers, job
application.exitQgis()
"""


@pytest.mark.clients
def test_qgis_opens_it_in_its_colours(pack: Path, file: sqlite3.Connection, tmp_path: Path) -> None:
    if subprocess.run(["/usr/bin/python3", "-c", "import qgis.core"], capture_output=True).returncode:
        pytest.skip("python3-qgis is not installed (scripts/test --clients does it)")
    environment = {
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_RUNTIME_DIR": str(tmp_path),
        "PYTHONPATH": "",
        "HOME": str(tmp_path),
    }
    names = column(file, "SELECT table_name FROM gpkg_geometry_columns")
    picture = tmp_path / "pack.png"
    printed = run("/usr/bin/python3", "-c", QGIS, str(pack), str(picture), ",".join(names), **environment)
    found = json.loads(printed.partition("FOUND ")[2])
    assert found["valid"]
    floodway = next(code for code in load_standard().code_lists["hazard_class"].codes if code.code == "floodway")
    assert set(found["floodway"]) == {floodway.color}
    assert {found["renderers"][name] for name in ("parcels", "addresses", "town")} == {"singleSymbol"}
    assert found["renderers"]["parcels_flood_zones"] == "categorizedSymbol"
    assert found["alias"].startswith(load_standard().table("parcel").field("area_sqft").title)
    assert found["parcels"] == column(file, "SELECT count(*) FROM parcels")[0]
    assert picture.stat().st_size > 10_000
