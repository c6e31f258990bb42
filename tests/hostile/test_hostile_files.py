"""Files that want more than to be read: each must end in one sentence, fetch nothing, and leave this process alive.

The catalogue is that of sections 2a to 2d of the reliability study, for the formats that are read. Everything here is
made by the tests themselves.
"""

from __future__ import annotations

import http.server
import io
import json
import random
import sqlite3
import stat
import struct
import subprocess
import sys
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyogrio.raw
import pytest
import shapely

from statewide.errors import UnreadableDelivery
from statewide.files import Limits, Reading, read
from statewide.sandbox import ENVIRONMENT

SECRET = "the-content-of-a-private-file"
LIMITS = Limits(wall_seconds=20, cpu_seconds=15)
POLYGON = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}


class Canary:
    """A web server of ours that nobody may call."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        hits = self.hits

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hits.append(self.path)
                self.send_error(404)

            do_HEAD = do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    server = Canary()
    yield server
    server.close()
    assert server.hits == []


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.csv"
    path.write_text(f"a,b\n{SECRET},1\n")
    return path


def refused(path: Path, work: Path) -> str:
    """The one sentence that refuses ``path``."""
    with pytest.raises(UnreadableDelivery) as caught:
        read(path, work=work, limits=LIMITS)
    sentence = str(caught.value)
    assert sentence.startswith(path.name)
    assert "\n" not in sentence
    assert SECRET not in sentence
    return sentence


def read_or_refused(path: Path, work: Path) -> Reading | None:
    try:
        return read(path, work=work, limits=LIMITS)
    except UnreadableDelivery as error:
        assert "\n" not in str(error)
        return None


def collection(features: list[object] | None = None, **members: object) -> bytes:
    feature = {"type": "Feature", "properties": {"id": "1"}, "geometry": POLYGON}
    return json.dumps({"type": "FeatureCollection", **members, "features": features or [feature]}).encode()


def rows(count: int = 3) -> pa.Table:
    squares = [shapely.to_wkb(shapely.box(n, 0, n + 1, 1)) for n in range(count)]
    return pa.table({"id": [f"{n:03d}" for n in range(count)], "shape_": pa.array(squares, type=pa.binary())})


def shapefile(folder: Path, count: int = 3) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "parcels.shp"
    pyogrio.raw.write_arrow(
        rows(count), path, driver="ESRI Shapefile", geometry_name="shape_", geometry_type="Polygon", crs="EPSG:2234"
    )
    return path


def geopackage(path: Path, count: int = 3) -> Path:
    pyogrio.raw.write_arrow(
        rows(count),
        path,
        layer="parcels",
        driver="GPKG",
        geometry_name="shape_",
        geometry_type="Polygon",
        crs="EPSG:2234",
        SPATIAL_INDEX="NO",
    )
    return path


def zip_of(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


# Pointers to other files and to the network


def vrt(source: object) -> bytes:
    return (
        f'<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>{source}</SrcDataSource>'
        f"</OGRVRTLayer></OGRVRTDataSource>"
    ).encode()


def gdalg(source: object) -> bytes:
    command = f"gdal vector pipeline ! read {source}"
    return json.dumps({"type": "gdal_streamed_alg", "command_line": command}).encode()


@pytest.mark.parametrize(
    "name", ["a.vrt", "a.csv", "a.geojson", "a.json", "a.gml", "a.kml", "a.gpkg", "a.shp", "a.xml", "a"]
)
def test_a_virtual_layer_is_known_under_every_name(tmp_path: Path, work: Path, secret: Path, name: str) -> None:
    for content in (vrt(secret), b"\xef\xbb\xbf\n  <?xml version='1.0'?>" + vrt(f"CSV:{secret}")):
        path = tmp_path / name
        path.write_bytes(content)
        assert "points to other files" in refused(path, work)


@pytest.mark.parametrize("name", ["a.geojson", "a.gdalg.json", "a.gpkg"])
def test_a_command_in_json_is_not_run(tmp_path: Path, work: Path, secret: Path, canary: Canary, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gdalg(secret))
    assert "command" in refused(path, work)
    path.write_bytes(gdalg(f"/vsicurl/{canary.url}/x.geojson").replace(b"gdal_st", b"gdal\\u005fst"))
    assert "command" in refused(path, work)


def test_pointers_inside_a_zip_are_known_too(tmp_path: Path, work: Path, secret: Path) -> None:
    dbf = shapefile(tmp_path / "s").with_suffix(".dbf").read_bytes()
    for number, members in enumerate(
        (
            {"parcels.shp": vrt(secret), "parcels.dbf": dbf},
            {"parcels.geojson": vrt(secret)},
            {"parcels.geojson": gdalg(secret)},
            {"parcels.gpkg": vrt(secret)},
        )
    ):
        refused(zip_of(tmp_path / f"{number}.zip", **members), work)


def test_a_service_description_is_no_map(tmp_path: Path, work: Path, canary: Canary) -> None:
    path = tmp_path / "a.gml"
    path.write_bytes(f'<wfs:WFS_Capabilities version="1.1.0"><a href="{canary.url}"/></wfs:WFS_Capabilities>'.encode())
    assert "web service" in refused(path, work)


def test_xml_with_entities_is_not_opened(tmp_path: Path, work: Path, secret: Path) -> None:
    path = tmp_path / "a.kml"
    path.write_bytes(f'<!DOCTYPE kml [<!ENTITY x SYSTEM "file://{secret}">]><kml>&x;</kml>'.encode())
    assert "document type" in refused(path, work)


def crs_members(url: str, secret: Path) -> list[dict[str, object]]:
    return [
        {"type": "link", "properties": {"href": f"{url}/crs", "type": "ogcwkt"}},
        {"type": "url", "properties": {"url": f"{url}/crs"}},
        {"type": "name", "properties": {"name": f"{url}/crs"}},
        {"type": "name", "properties": {"name": str(secret)}},
        {"type": "name", "properties": {"name": f"+proj=longlat +nadgrids={secret}"}},
    ]


@pytest.mark.parametrize("which", range(5))
def test_a_crs_that_must_be_fetched_is_refused(
    tmp_path: Path, work: Path, canary: Canary, secret: Path, which: int
) -> None:
    path = tmp_path / "a.geojson"
    path.write_bytes(collection(crs=crs_members(canary.url, secret)[which]))
    assert "coordinate system" in refused(path, work)


def test_a_crs_link_is_found_where_it_hides(tmp_path: Path, work: Path, canary: Canary, secret: Path) -> None:
    link = crs_members(canary.url, secret)[0]
    feature = {"type": "Feature", "properties": {}, "geometry": {**POLYGON, "crs": link}}
    hidden = [
        collection([feature]),
        collection(crs=link).replace(b'"crs":', b'"crs"\n\t:' + b" " * 5000),
    ]
    for number, content in enumerate(hidden):
        path = tmp_path / f"{number}.geojson"
        path.write_bytes(content)
        assert "coordinate system" in refused(path, work)
    path = tmp_path / "hidden.geojson"
    path.write_bytes(collection(crs=link).replace(b'"crs"', b'"\\u0063rs"'))
    assert "hidden" in refused(path, work)


def test_an_ordinary_crs_member_is_read(tmp_path: Path, work: Path) -> None:
    path = tmp_path / "a.geojson"
    path.write_bytes(collection(crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2234"}}))
    assert read(path, work=work).layer.crs_epsg == 2234


def test_a_prj_cannot_name_files_to_open(tmp_path: Path, work: Path, secret: Path) -> None:
    path = shapefile(tmp_path / "s")
    path.with_suffix(".prj").write_text(
        'GEOGCS["x",DATUM["x",SPHEROID["x",6378137,298.257],EXTENSION["PROJ4_GRIDS","' + str(secret) + '"]],'
        'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]]'
    )
    reading = read(path, work=work)
    assert SECRET not in str(reading)
    assert reading.layer.crs_epsg is None
    assert str(secret) not in str(reading)


# The walls themselves, were a file to get past the doorkeeper


def in_child(code: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).resolve().parents[2])
    return subprocess.run(
        [sys.executable, "-P", "-s", "-c", code],
        env=ENVIRONMENT | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_only_the_named_drivers_are_left(tmp_path: Path, secret: Path) -> None:
    for number, content in enumerate((vrt(secret), gdalg(secret), secret.read_bytes())):
        (tmp_path / f"{number}.geojson").write_bytes(content)
    done = in_child(
        "from statewide.reading_child import _load_gdal\n"
        "_load_gdal(['GeoJSON'])\n"
        "import pyogrio\n"
        "print(sorted(pyogrio.list_drivers()))\n"
        "for number in range(3):\n"
        "    try:\n"
        f"        print(pyogrio.raw.read(r'{tmp_path}/' + str(number) + '.geojson'))\n"
        "    except pyogrio.errors.DataSourceError:\n"
        "        print('refused')\n"
    )
    assert done.stdout.split("\n")[:4] == ["['GeoJSON']", "refused", "refused", "refused"]


def test_the_child_reaches_neither_files_nor_network(tmp_path: Path, canary: Canary, secret: Path) -> None:
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
        f"tried(lambda: open(r'{secret}').read())\n"
        "tried(lambda: open('/etc/passwd').read())\n"
        f"tried(lambda: open(r'{tmp_path}/new', 'w'))\n"
        "tried(lambda: os.execv('/bin/sh', ['sh', '-c', 'echo ran']))\n"
        f"tried(lambda: socket.create_connection(('127.0.0.1', {canary.server.server_port}), 1))\n"
        "tried(lambda: (out / 'mine').write_text('x'))\n"
    )
    notes, *outcome = done.stdout.splitlines()
    if "Landlock" in notes and "NOT" not in notes:
        assert outcome == ["stopped"] * 5 + ["done"]
    else:
        pytest.skip(f"this kernel does not enforce it all: {notes}")


# Archives


def entry(name: str, data: bytes = b"x", **attributes: int) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.filename = info.orig_filename = name
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, data


def bad_names(path: Path) -> Iterator[tuple[str, list[tuple[zipfile.ZipInfo, bytes]]]]:
    yield "leads out", [entry("../../evil.shp")]
    yield "leads out", [entry("..\\evil.shp")]
    yield "leads out", [entry("/etc/evil.shp")]
    yield "leads out", [entry("C:\\evil.shp")]
    yield "name cannot be used", [entry("evil\x07.shp")]
    yield "link", [entry("parcels.shp", b"/etc/passwd", external_attr=(stat.S_IFLNK | 0o777) << 16)]
    yield "two files of one name", [entry("parcels.gpkg", b"a"), entry("PARCELS.gpkg", b"b")]
    yield "method", [entry("parcels.gpkg", b"a" * 99, compress_type=zipfile.ZIP_LZMA)]
    yield "method", [entry("parcels.gpkg", b"a" * 99, compress_type=zipfile.ZIP_BZIP2)]
    yield "far too large", [entry("parcels.shp"), entry("parcels.prj", b"P" * 70_000)]
    yield "times its size", [entry("parcels.gpkg", bytes(4_000_000), compress_type=zipfile.ZIP_DEFLATED)]


def test_archives_that_break_a_rule(tmp_path: Path, work: Path) -> None:
    for number, (said, members) in enumerate(bad_names(tmp_path)):
        path = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for info, data in members:
                archive.writestr(info, data)
        assert said in refused(path, work)
    assert not list(tmp_path.rglob("evil*"))


def test_a_password_is_named(tmp_path: Path, work: Path) -> None:
    path = zip_of(tmp_path / "a.zip", **{"parcels.gpkg": b"x"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "password" in refused(path, work)


def test_two_entries_of_exactly_one_name(tmp_path: Path, work: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.gpkg", b"1")
        archive.writestr("b.gpkg", b"2")
    path.write_bytes(path.read_bytes().replace(b"b.gpkg", b"a.gpkg"))
    assert "two files of one name" in refused(path, work)


def many_entries(count: int, *, overlapping: bool) -> bytes:
    """``count`` entries; overlapping ones all point at the same local header."""
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 33, 0, 0, 0, 6, 0)
    body = local + b"000000" if overlapping else b"".join(local + b"%06x" % number for number in range(count))
    directory = io.BytesIO()
    for number in range(count):
        at = 0 if overlapping else (len(local) + 6) * number
        fields = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 6, 0, 0, 0, 0, 0, at)
        directory.write(fields + b"%06x" % number)
    central = directory.getvalue()
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, len(central), len(body), 0)
    return body + central + end


@pytest.mark.parametrize("count", [3_000, 200_000])
def test_too_many_entries(tmp_path: Path, work: Path, count: int) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(many_entries(count, overlapping=False))
    assert "more than 2000 files" in refused(path, work)


def test_overlapping_entries(tmp_path: Path, work: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(many_entries(30, overlapping=True))
    assert "overlap" in refused(path, work)


def test_damaged_and_disguised_archives(tmp_path: Path, work: Path) -> None:
    good = zip_of(tmp_path / "good.zip", **{"parcels.geojson": collection()}).read_bytes()
    crc = zlib.crc32(collection())
    variants = {
        "cut.zip": good[: len(good) // 2],
        "prefix.zip": b"PK\x03\x04" + b"MZ" * 50 + good,
        "crc.zip": good.replace(struct.pack("<L", crc), struct.pack("<L", crc ^ 1)),
        "size.zip": good.replace(struct.pack("<L", len(collection())), struct.pack("<L", len(collection()) + 7)),
        "names.zip": good.replace(b"parcels", b"Parcels", 1),
        "empty.zip": many_entries(0, overlapping=False),
    }
    for name, content in variants.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert "zip" in refused(path, work)


def test_a_zip_in_a_zip_in_a_zip_is_not_followed(tmp_path: Path, work: Path) -> None:
    inmost = zip_of(tmp_path / "1.zip", **{"parcels.geojson": collection()}).read_bytes()
    inner = zip_of(tmp_path / "2.zip", **{"1.zip": inmost}).read_bytes()
    outer = zip_of(tmp_path / "3.zip", **{"2.zip": inner})
    assert "no map" in refused(outer, work)


def test_a_bomb_inside_a_zip(tmp_path: Path, work: Path) -> None:
    inner = zip_of(tmp_path / "1.zip", **{"parcels.gpkg": bytes(4_000_000)}).read_bytes()
    assert "times its size" in refused(zip_of(tmp_path / "2.zip", **{"1.zip": inner}), work)


# Files that are no maps


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.txt", b"Dear all,\nthe parcels follow next week.", "not a map file"),
        ("empty.zip", b"", "is empty"),
        ("blank.geojson", b"  \n ", "is empty"),
        ("map.zip", b"%PDF-1.7 \x00", "PDF"),
        ("parcels.csv", b"id,owner\n1,x\n", "text table"),
        ("parcels.gpkg", b"SQLite format 3\x00" + bytes(4000), "not a GeoPackage"),
        ("page.zip", b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        ("wide.geojson", '{"type":"FeatureCollection"}'.encode("utf-16"), "UTF-16"),
        ("noise.gpkg", bytes(range(256)) * 20, "recognised"),
        ("parcels.dbf", b"\x03" + bytes(100), "one part of a map"),
        ("a.geojson", b'{"type":"Topology","objects":{}}', "TopoJSON"),
        ("a.geojson", b'{"type":"FeatureCollection","features":[', "cut off"),
        ("a.geojson", b'{"a":' * 5000, "nested"),
        ("a.geojson", collection() + b"\n" + collection(), "several JSON"),
        ("a.geojson", b'{"type":"FeatureCollection","features":[' + b"[" * 100_000, "nested"),
    ],
)
def test_what_is_no_map_is_named(tmp_path: Path, work: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert said in refused(path, work)


def test_a_zip_without_layers(tmp_path: Path, work: Path) -> None:
    said = refused(zip_of(tmp_path / "a.zip", **{"letter.pdf": b"%PDF", "parcels.csv": b"a,b"}), work)
    assert "letter.pdf, parcels.csv" in said


def test_a_folder_with_a_link_in_it(tmp_path: Path, work: Path) -> None:
    folder = tmp_path / "town.gdb"
    folder.mkdir()
    (folder / "a00000001.gdbtable").symlink_to("/etc/passwd")
    assert "link" in refused(folder, work)


# Damaged shapefiles


def overwrite(path: Path, at: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[at : at + len(data)] = data
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "parts": lambda shp: overwrite(shp, 100 + 8 + 36, b"\xff\xff\xff\x7f"),
    "points": lambda shp: overwrite(shp, 100 + 8 + 40, b"\xff\xff\xff\x7f"),
    "type": lambda shp: overwrite(shp, 100 + 8, struct.pack("<L", 99)),
    "length": lambda shp: overwrite(shp, 100 + 4, b"\x7f\xff\xff\xff"),
    "negative": lambda shp: overwrite(shp, 100 + 4, b"\xff\xff\xff\xf0"),
    "header": lambda shp: overwrite(shp, 24, b"\xff\xff\xff\xff"),
    "nothing but a header": lambda shp: shp.write_bytes(shp.read_bytes()[:60]) and None,
    "dbf count": lambda shp: overwrite(shp.with_suffix(".dbf"), 4, b"\xff\xff\xff\xff"),
    "dbf width": lambda shp: overwrite(shp.with_suffix(".dbf"), 10, b"\x00\x00"),
    "dbf header": lambda shp: overwrite(shp.with_suffix(".dbf"), 8, b"\xff\xff"),
    "dbf empty": lambda shp: shp.with_suffix(".dbf").write_bytes(b"") and None,
    "dbf noise": lambda shp: shp.with_suffix(".dbf").write_bytes(bytes(range(256))) and None,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_shapefile_is_refused_or_its_loss_is_counted(tmp_path: Path, work: Path, damage: str) -> None:
    path = shapefile(tmp_path / "s")
    DAMAGE[damage](path)
    reading = read_or_refused(path, work)
    if reading is not None:
        whole = reading.table["geometry"].null_count == 0 and reading.rows_read == 3
        noticed = reading.geometries_lost > 0 or reading.rows_read != reading.rows_counted or reading.warnings
        assert noticed or whole


# GeoPackages


def changed(path: Path, *statements: str) -> Path:
    database = sqlite3.connect(path)
    database.execute("PRAGMA writable_schema = ON")
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()
    return path


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("CREATE VIEW v AS SELECT load_extension('/tmp/evil.so')", "view"),
        (
            "CREATE VIEW v AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
            "view",
        ),
        ("CREATE TRIGGER t AFTER INSERT ON parcels BEGIN DELETE FROM parcels; END", "trigger"),
        (
            "INSERT INTO sqlite_master VALUES ('table', 'evil', 'evil', 0,"
            " 'CREATE VIRTUAL TABLE evil USING VirtualOGR(''/etc/passwd'')')",
            "virtual table",
        ),
        ("DROP TABLE gpkg_contents", "list of layers"),
    ],
)
def test_a_geopackage_with_a_program_in_it(tmp_path: Path, work: Path, statement: str, said: str) -> None:
    assert said in refused(changed(geopackage(tmp_path / "a.gpkg"), statement), work)


def test_a_geopackage_with_its_usual_index_and_triggers_is_read(tmp_path: Path, work: Path) -> None:
    path = tmp_path / "a.gpkg"
    pyogrio.raw.write_arrow(
        rows(), path, layer="parcels", driver="GPKG", geometry_name="shape_", geometry_type="Polygon", crs="EPSG:2234"
    )
    assert read(path, work=work).rows_read == 3


def with_blob(path: Path, wkb: bytes) -> Path:
    database = sqlite3.connect(path)
    header = b"GP\x00\x01" + struct.pack("<l", 2234)
    database.execute("UPDATE parcels SET geom = ? WHERE fid = 2", [header + wkb])
    database.commit()
    database.close()
    return path


@pytest.mark.parametrize(("code", "depth"), [(7, 40), (7, 20_000), (7, 200_000), (6, 50_000)])
def test_a_nesting_bomb_kills_the_child_at_most(tmp_path: Path, work: Path, code: int, depth: int) -> None:
    level = b"\x01" + struct.pack("<LL", code, 1)
    wkb = level * depth + b"\x01" + struct.pack("<LL", code, 0)
    reading = read_or_refused(with_blob(geopackage(tmp_path / "a.gpkg"), wkb), work)
    if reading is not None:  # its reader gave the shape up: then it is counted as lost, and the others are there
        assert reading.geometries_lost == 1
        assert reading.table["geometry"].null_count == 1


def test_a_shape_that_is_noise_is_counted_as_lost(tmp_path: Path, work: Path) -> None:
    reading = read(with_blob(geopackage(tmp_path / "a.gpkg"), b"\x01\x03\x00\x00\x00\xff\xff\xff\x7f"), work=work)
    assert reading.rows_read == reading.rows_counted == 3
    assert reading.geometries_lost == 1


def test_hostile_names_of_layers_and_columns(tmp_path: Path, work: Path) -> None:
    name = 'x\'; DROP TABLE "parcels"; --'
    table = rows().rename_columns([name, "shape_"])
    path = tmp_path / "a.gpkg"
    pyogrio.raw.write_arrow(
        table, path, layer=name, driver="GPKG", geometry_name="shape_", geometry_type="Polygon", crs="EPSG:2234"
    )
    reading = read(path, work=work)
    assert reading.layer.name == name
    assert reading.table.column_names[1] == name
    assert reading.rows_counted == 3


# Chance


def test_random_damage_never_gets_out_of_the_child(tmp_path: Path, work: Path) -> None:
    seed = 20251001
    chance = random.Random(seed)
    sources = [
        geopackage(tmp_path / "a.gpkg", 50).read_bytes(),
        collection([{"type": "Feature", "properties": {"id": n}, "geometry": POLYGON} for n in range(50)]),
        zip_of(
            tmp_path / "s.zip",
            **{file.name: file.read_bytes() for file in shapefile(tmp_path / "s", 50).parent.iterdir()},
        ).read_bytes(),
    ]
    for number in range(12):
        content = bytearray(chance.choice(sources))
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(content))
            content[at : at + chance.randint(1, 16)] = chance.randbytes(chance.randint(0, 16))
        path = tmp_path / f"mutant-{number}"
        path.write_bytes(content)
        read_or_refused(path, work)


# Files that broke other readers


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
