"""A whole state through `statewide parcels submit`, paired with GDAL: every file each way, into one fresh database.

The files are the scaled demo's. The peer is ogr2ogr with COPY, `-t_srs` and `-makevalid`, which only reprojects and
repairs; geopandas.to_postgis reads, reprojects and writes a sample of them, and is scaled up by rows. `submit` finds
columns, checks, measures topology, keeps ledger, history and three shapes with their indexes, and writes a report per
town. The bare path is our own reading, reprojecting, repairing and COPY and nothing else, file by file as the peer
does. Then the same files again, `check`, and the same rows packed anew, which must be walked through. Prints seconds,
where they went by the nine steps, the ratios, and the most memory of a process. With `--dataset addresses` the files
are those of the address points, 1.2 for each parcel.

    scripts/bench state [--dataset addresses] [--towns 169 --parcels 1250000] [--folder WHERE] [--geopandas 5]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.conninfo import make_conninfo

from statewide.arrival import delivered_shapes
from statewide.copying import copy_in, ewkb_array
from statewide.database import OWNER, connect
from statewide.demo import make_world
from statewide.files import read
from statewide.geometry import repair, single_points, to_storage
from statewide.migrate import initialise
from statewide.register import Town, add_invented_towns
from statewide.settings import Settings, load_settings
from statewide.standard import load_standard
from statewide.workspace import workspace

_TABLES = {"parcels": ("cadastral", "parcel"), "addresses": ("addresses", "address_point")}

STATEWIDE = str(Path(sys.executable).with_name("statewide"))
KIB_PER_MIB = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=_TABLES, default="parcels")
    parser.add_argument("--towns", type=int, default=169)
    parser.add_argument("--parcels", type=int, default=1_250_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="keep the files here, and use them if they are there")
    parser.add_argument("--geopandas", type=int, default=0, help="how many of the files geopandas loads")
    arguments = parser.parse_args()
    if shutil.which("ogr2ogr") is None:
        sys.exit("The peer is missing: install gdal-bin (scripts/test --clients does).")
    with tempfile.TemporaryDirectory(prefix="statewide-bench-") as scratch:
        folder = arguments.folder or Path(scratch) / "files"
        _demo(arguments, folder)
        files = sorted(file for file in folder.iterdir() if f"_{arguments.dataset.title()}_" in file.name)
        with _database(Path(scratch) / "home", arguments) as settings:
            peer = _timed("ogr2ogr, file by file", lambda: _ogr2ogr(settings, files))
            if arguments.geopandas:
                stated = [file for file in files if _states_crs(file)]
                some = stated[:: max(1, len(stated) // arguments.geopandas)]
                share = sum(file.stat().st_size for file in some) / sum(file.stat().st_size for file in files)
                python = arguments.folder / "geopandas" if arguments.folder else Path(scratch) / "geopandas"
                _geopandas(settings, python, [])
                slow = _timed(f"geopandas, {len(some)} of the files", lambda: _geopandas(settings, python, some))
                whole = slow / share
                print(f"  by their bytes, all files would take {whole:.0f} s: {whole / peer:.1f} x ogr2ogr")
            bare = _timed("bare path, file by file", lambda: _bare(settings, files, Path(scratch)))
            submit, check = ([arguments.dataset, verb] for verb in ("submit", "check"))
            first = _timed("submit, first load", lambda: _statewide(settings, submit, files))
            again = _timed("submit, same files again", lambda: _statewide(settings, submit, files))
            dry = _timed("check, same files", lambda: _statewide(settings, check, files))
            packed = _packed_anew(files, Path(scratch) / "packed")
            anew = _timed("submit, packed anew", lambda: _statewide(settings, submit, packed))
            with connect(settings) as connection:
                count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*_TABLES[arguments.dataset]))
                row = connection.execute(count).fetchone()
        print(f"{row[0] if row else 0:,} {arguments.dataset} live of {len(files)} files")
        print(f"bare / ogr2ogr      {bare / peer:.2f}")
        print(f"submit / ogr2ogr    {first / peer:.2f}")
        print(f"again / first load  {again / first:.2f}")
        print(f"check / first load  {dry / first:.2f}")
        print(f"anew / first load   {anew / first:.2f}")


def _timed(what: str, work: Callable[[], object]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    memory = after.ru_maxrss / KIB_PER_MIB
    print(f"{what:28} {seconds:8.1f} s  client CPU {processor:8.1f} s  most memory {memory:6.0f} MB", flush=True)
    return seconds


def _demo(arguments: argparse.Namespace, folder: Path) -> None:
    sizes = ["--towns", arguments.towns, "--parcels", arguments.parcels, "--seed", arguments.seed]
    subprocess.run([STATEWIDE, "demo", *map(str, sizes), "--out", str(folder)], check=True)


@contextmanager
def _database(home: Path, arguments: argparse.Namespace) -> Iterator[Settings]:
    """A fresh database with the invented towns in its register."""
    owner = load_settings().require_database_url()
    home.mkdir(parents=True)
    shutil.copy(load_settings().home / "secrets.json", home / "secrets.json")
    name = f"bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(owner, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            settings = Settings(home=home, database_url=make_conninfo(owner, dbname=name))
            initialise(settings)
            world = make_world(arguments.towns, arguments.parcels, arguments.seed)
            towns = [Town(town.cousub, town.town_no, town.name, town.outline) for town in world.towns]
            with connect(settings) as connection:
                add_invented_towns(connection, load_standard(), towns)
            yield settings
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _ogr2ogr(settings: Settings, files: list[Path]) -> None:
    for place, file in enumerate(files):
        source = f"/vsizip/{file}" if file.suffix == ".zip" else str(file)
        # Each town has its own columns, so each its own table: appending would drop what the first did not have.
        command = ["ogr2ogr", "-f", "PostgreSQL", f"PG:{settings.database_url}", source, "-nln", f"peer_{place}"]
        options = ["-t_srs", "EPSG:6434", "--config", "PG_USE_COPY", "YES"]
        if "_Parcels_" in file.name:
            options += ["-makevalid", "-nlt", "PROMOTE_TO_MULTI"]
        if file.suffix == ".csv":
            options += ["-oo", "X_POSSIBLE_NAMES=LON", "-oo", "Y_POSSIBLE_NAMES=LAT", "-s_srs", "EPSG:4326"]
        elif not _states_crs(file):
            options += ["-s_srs", "EPSG:2234"]
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _bare(settings: Settings, files: list[Path], scratch: Path) -> None:
    """Every column as text, the repaired shape, a key and a spatial index: what the peer leaves behind."""
    standard = load_standard()
    storage = standard.header.storage_crs
    points = "_Addresses_" in files[0].name
    kind = "Point" if points else "MultiPolygon"
    for place, file in enumerate(files):
        with workspace(scratch) as work, connect(settings, OWNER) as connection:
            reading = read(file, work=work, geometry=kind)
            epsg = reading.layer.crs_epsg or (4326 if file.suffix == ".csv" else 2234)
            moved = to_storage(delivered_shapes(reading), epsg, standard)
            shapes = (single_points(moved) if points else repair(moved)).shapes
            table, key = sql.Identifier(f"bare_{place}"), sql.SQL("row_no")
            columns = reading.table.drop_columns(["row_no", "geometry"])
            texts = {name: columns.column(name).cast(pa.string()) for name in columns.column_names}
            definitions = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in texts)
            shape = sql.SQL("geometry({}, {})").format(sql.SQL(kind), sql.Literal(storage))
            connection.execute(
                sql.SQL("CREATE TABLE {} ({} integer, geom {}, {})").format(table, key, shape, definitions)
            )
            numbers = reading.table.column("row_no").cast(pa.int32())
            chunk = {"row_no": numbers, "geom": ewkb_array(shapes, storage)} | texts
            copy_in(connection, table, list(chunk), [chunk])
            connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(table, key))
            connection.execute(sql.SQL("CREATE INDEX ON {} USING gist (geom)").format(table))


def _packed_anew(files: list[Path], folder: Path) -> list[Path]:
    """The same rows in other bytes."""
    folder.mkdir()
    packed = []
    for file in files:
        target = folder / f"{file.stem}.zip"
        if file.suffix == ".zip":
            shutil.copy(file, target)
            with zipfile.ZipFile(target, "a") as archive:
                archive.comment = b"packed anew"
        else:
            with zipfile.ZipFile(target, "w") as archive:
                archive.write(file, file.name)
        packed.append(target)
    return packed


def _states_crs(file: Path) -> bool:
    """Whether the file says its coordinate system; a dirty town's shapefile does not."""
    if file.suffix != ".zip":
        return True
    names = subprocess.run(["unzip", "-Z1", str(file)], check=True, capture_output=True, text=True).stdout
    return ".shp" not in names or ".prj" in names


def _statewide(settings: Settings, verb: list[str], files: list[Path]) -> None:
    where = {"STATEWIDE_DATABASE_URL": settings.require_database_url(), "STATEWIDE_HOME": str(settings.home)}
    command = [STATEWIDE, *verb, *map(str, files), "--year", "2025", "--json"]
    found = subprocess.run(command, env=os.environ | where, capture_output=True, text=True, check=False)
    outcome = json.loads(found.stdout) if found.stdout else {}
    print(f"  {outcome.get('counts') or found.stderr.strip()}")
    steps: Counter[str] = Counter()
    for delivery in outcome.get("deliveries", []):
        steps.update({step: seconds for step, seconds in delivery.get("seconds", {}).items() if step != "total"})
    whole = sum(steps.values())
    print("  " + ", ".join(f"{step} {seconds / whole:.0%}" for step, seconds in steps.most_common()))


def _geopandas(settings: Settings, folder: Path, files: list[Path]) -> None:
    """What a script of five lines would do with some of the files, in an environment of its own."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        packages = ["geopandas", "sqlalchemy", "geoalchemy2", "psycopg[binary]"]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
    subprocess.run([str(python), "-c", _FIVE_LINES, settings.require_database_url(), *map(str, files)], check=True)


_FIVE_LINES = """
import sys, geopandas, sqlalchemy
engine = sqlalchemy.create_engine(sys.argv[1].replace("postgresql://", "postgresql+psycopg://"))
for place, file in enumerate(sys.argv[2:]):
    frame = geopandas.read_file(file).to_crs(6434)
    frame.geometry = frame.make_valid()
    frame.to_postgis(f"geopandas_{place}", engine)
"""


if __name__ == "__main__":
    main()
