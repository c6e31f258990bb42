"""Intake paired with GDAL: a delivery through `statewide parcels submit` and through `ogr2ogr` COPY, turn about.

Both read the same file, bring it to EPSG:6434, make shapes valid and COPY into a fresh clone of one database. ogr2ogr
does no more than that; submit also reads in a sandbox, finds columns, checks, keeps the ledger, stores three shapes
with indexes and writes the report. Prints seconds of each round, medians, and the ratio; the ratio is what counts.

    scripts/bench intake FILE --town TOWN [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from statewide.migrate import initialise
from statewide.settings import Settings, load_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--town", required=True)
    parser.add_argument("--year", default="2025")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if shutil.which("ogr2ogr") is None:
        sys.exit("The peer is missing: install gdal-bin (scripts/test --clients does).")
    owner = load_settings().require_database_url()
    template = f"bench_template_{uuid.uuid4().hex[:8]}"
    ours: list[tuple[float, float]] = []
    peers: list[tuple[float, float]] = []
    with (
        tempfile.TemporaryDirectory(prefix="statewide-bench-") as folder,
        psycopg.connect(owner, autocommit=True) as server,
    ):
        home = Path(folder) / "home"
        home.mkdir()
        shutil.copy(load_settings().home / "secrets.json", home / "secrets.json")
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(template)))
        try:
            initialise(Settings(home=home, database_url=make_conninfo(owner, dbname=template)))
            for number in range(arguments.rounds):
                peers.append(_round(server, owner, template, lambda url: _ogr2ogr(arguments.file, url), home))
                ours.append(_round(server, owner, template, lambda url: _submit(arguments), home))
                print(f"round {number + 1}: ogr2ogr {peers[-1][0]:.2f} s, submit {ours[-1][0]:.2f} s")
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(template)))
    for index, what in enumerate(("wall seconds", "client CPU seconds")):
        our, peer = (statistics.median(pair[index] for pair in pairs) for pairs in (ours, peers))
        print(f"median {what}: ogr2ogr {peer:.2f}, submit {our:.2f}, ratio {our / peer:.2f}")


def _round(
    server: psycopg.Connection[Any], owner: str, template: str, work: Callable[[str], list[str]], home: Path
) -> tuple[float, float]:
    """Wall and child CPU seconds of `work` on a fresh clone of the template."""
    name = sql.Identifier(f"bench_{uuid.uuid4().hex[:8]}")
    server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(template)))
    url = make_conninfo(owner, dbname=name.as_string().strip('"'))
    environment = {"STATEWIDE_DATABASE_URL": url, "STATEWIDE_HOME": str(home)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    try:
        subprocess.run(work(url), check=True, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
    finally:
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _ogr2ogr(file: Path, url: str) -> list[str]:
    source = f"/vsizip/{file}" if file.suffix == ".zip" else str(file)
    return [
        "ogr2ogr", "-f", "PostgreSQL", f"PG:{url}", source, "-t_srs", "EPSG:6434", "-makevalid", "-nln", "parcels",
        "-nlt", "PROMOTE_TO_MULTI", "--config", "PG_USE_COPY", "YES",
    ]  # fmt: skip


def _submit(arguments: argparse.Namespace) -> list[str]:
    statewide = str(Path(sys.executable).with_name("statewide"))
    options = ["--town", arguments.town, "--year", arguments.year, "--json"]
    return [statewide, "parcels", "submit", str(arguments.file), *options]


if __name__ == "__main__":
    main()
