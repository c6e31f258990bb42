"""The walls behind the doorkeeper, were a file to get past it; and whether our own watch sees what it should see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from statewide.files import read
from statewide.sandbox import ENVIRONMENT
from tests.hostile.corpus import Bait
from tests.hostile.harness import SECRET, Listener
from tests.hostile.ingredients import geojson
from tests.hostile.pointers import crs_members, gdalg, vrt


def in_child(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).resolve().parents[2])
    return subprocess.run(
        [sys.executable, "-P", "-s", "-c", code],
        env=environment | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_only_the_named_drivers_are_left(tmp_path: Path, bait: Bait) -> None:
    for number, content in enumerate((vrt(bait.secret), gdalg(bait.secret), bait.secret.read_bytes())):
        (tmp_path / f"{number}.geojson").write_bytes(content)
    done = in_child(
        "from statewide.reading_gdal import load_gdal\n"
        "load_gdal(['GeoJSON'])\n"
        "import pyogrio\n"
        "print(sorted(pyogrio.list_drivers()))\n"
        "for number in range(3):\n"
        "    try:\n"
        f"        print(pyogrio.raw.read(r'{tmp_path}/' + str(number) + '.geojson'))\n"
        "    except pyogrio.errors.DataSourceError:\n"
        "        print('refused')\n",
        ENVIRONMENT,
    )
    assert done.stdout.split("\n")[:4] == ["['GeoJSON']", "refused", "refused", "refused"]


def test_the_child_reaches_neither_files_nor_network(tmp_path: Path, bait: Bait, listener: Listener) -> None:
    out = tmp_path / "out"
    out.mkdir()
    done = in_child(
        "import json, os, socket, sys\n"
        "from pathlib import Path\n"
        "from statewide.reading_limits import Limits\n"
        "from statewide.sandbox import runtime_paths, shut_in\n"
        f"out = Path(r'{out}')\n"
        "print(json.dumps(shut_in(runtime_paths(), out, Limits())))\n"
        "def tried(what):\n"
        "    try:\n"
        "        what()\n"
        "        print('done')\n"
        "    except OSError:\n"
        "        print('stopped')\n"
        f"tried(lambda: open(r'{bait.secret}').read())\n"
        "tried(lambda: open('/etc/passwd').read())\n"
        f"tried(lambda: open(r'{tmp_path}/new', 'w'))\n"
        "tried(lambda: os.execv('/bin/sh', ['sh', '-c', 'echo ran']))\n"
        f"tried(lambda: socket.create_connection(('127.0.0.1', {listener.port}), 1))\n"
        "tried(lambda: (out / 'mine').write_text('x'))\n",
        ENVIRONMENT,
    )
    notes, *outcome = done.stdout.splitlines()
    if "Landlock" in notes and "NOT" not in notes:
        assert outcome == ["stopped"] * 5 + ["done"]
    else:
        pytest.skip(f"this kernel does not enforce it all: {notes}")


def test_without_the_walls_the_bait_is_taken(tmp_path: Path, bait: Bait) -> None:
    """A reader of ours that does what the world's readers do by default: the corpus must be able to catch it."""
    listening = Listener()
    (tmp_path / "a.csv").write_bytes(vrt(f"CSV:{bait.secret}"))
    by_link = crs_members(Bait(bait.secret, listening.url))["by link"]
    (tmp_path / "b.geojson").write_bytes(geojson(crs=by_link))
    done = in_child(
        f"import pyogrio\nfor name in ('a.csv', 'b.geojson'):\n    print(pyogrio.raw.read(r'{tmp_path}/' + name)[3])\n",
        {"LC_ALL": "C.UTF-8"},
    )
    listening.close()
    assert SECRET in done.stdout
    assert listening.hits


@pytest.mark.real
@pytest.mark.parametrize(
    "name",
    [
        "gdal-autotest-ogr-small/autotest/ogr/data/multipatch.shp",
        "gdal-autotest-ogr-small/autotest/ogr/data/bigoffset.shp",
        "gdal-autotest-ogr-small/autotest/ogr/data/nonconformant_shx_ticket5608.shp",
        "gdal-autotest-ogr-small/autotest/ogr/data/ogr_geojson_14.geojson",
        "gdal-autotest-ogr-small/autotest/ogr/data/weird_winding_order_fgdb.zip",
        "pyogrio/pyogrio/tests/fixtures/curvepolygon.gpkg",
        "pyshp/tests/shapefiles/corrupt_too_long.shp",
        "pyshp/tests/shapefiles/latin1.shp",
    ],
)
def test_files_that_broke_readers_are_read(shared_data: Path, work: Path, name: str) -> None:
    reading = read(shared_data / name, work=work)
    assert reading.rows_read == reading.rows_counted
