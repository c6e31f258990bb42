"""A whole state through `statewide parcels submit`, paired with GDAL: every file each way, into one fresh database.

The files are the scaled demo's. The peer is ogr2ogr with COPY, `-t_srs` and `-makevalid`, which only reprojects and
repairs; geopandas.to_postgis reads, reprojects and writes a sample of them, and is scaled up by rows. `submit` finds
columns, checks, measures topology, keeps ledger, history and three shapes with their indexes, and writes a report per
town. Then the same files again, and `check`. Prints seconds, where they went by the nine steps, the ratios, and the
most memory of a process. With `--dataset addresses` the files are the address points' (1.2 for each parcel).

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
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from statewide.database import connect
from statewide.demo import make_world
from statewide.migrate import initialise
from statewide.register import Town, add_invented_towns
from statewide.settings import Settings, load_settings
from statewide.standard import load_standard

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
            submit, check = ([arguments.dataset, verb] for verb in ("submit", "check"))
            first = _timed("submit, first load", lambda: _statewide(settings, submit, files))
            again = _timed("submit, same files again", lambda: _statewide(settings, submit, files))
            dry = _timed("check, same files", lambda: _statewide(settings, check, files))
            with connect(settings) as connection:
                count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*_TABLES[arguments.dataset]))
                row = connection.execute(count).fetchone()
        print(f"{row[0] if row else 0:,} {arguments.dataset} live of {len(files)} files")
        print(f"submit / ogr2ogr    {first / peer:.2f}")
        print(f"again / first load  {again / first:.2f}")
        print(f"check / first load  {dry / first:.2f}")


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
