"""Area of each parcel in each flood class, and the class at each address: our engine and its peers, side by side.

Parcels, zones and addresses are invented (overlay_data.py) and lie in GeoParquet, which every engine but PostGIS reads
and writes; PostGIS has its tables and writes a table. Each engine runs in a process of its own. Printed are wall and
processor seconds, the most memory, pairs and area, and how far ours is ahead of the best peer, with the layer's index
made in the run and with it kept; then how our cost grows. The compiled kernels are made once before, and told.

    scripts/bench overlay [--parcels N] [--addresses N] [--folder WHERE] [--peers PYTHON] [--sample N] [--skip NAME ...]

`--peers` names the interpreter that has the peers (overlay_peers.py says how to make it).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import overlay_data
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql
from psycopg.conninfo import make_conninfo

from statewide.settings import load_settings

HERE = Path(__file__).resolve().parent
KIB_PER_MIB = 1024
BATCH = 100_000
TICKS = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """What an engine took; `found` is what it printed."""

    wall: float
    cpu: float
    memory_mb: float
    found: dict[str, float]

    def __add__(self, other: object) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        memory = max(self.memory_mb, other.memory_mb)
        return Cost(self.wall + other.wall, self.cpu + other.cpu, memory, self.found | other.found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parcels", type=int, default=overlay_data.STATE)
    parser.add_argument("--addresses", type=int, default=1_500_000)
    parser.add_argument("--folder", type=Path, help="keep the files here, and use them if they are there")
    parser.add_argument("--peers", help="interpreter of the environment with the peers")
    parser.add_argument("--sample", type=int, default=100_000, help="parcels that geopandas gets")
    parser.add_argument("--skip", nargs="*", default=[], help="peers to leave out")
    parser.add_argument("--ours", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        print(json.dumps(_OURS[arguments.ours[0]](*map(Path, arguments.ours[1:4]), int(arguments.ours[4]))))
        return
    with tempfile.TemporaryDirectory(prefix="statewide-bench-") as scratch:
        _run(arguments, arguments.folder or Path(scratch))


def _run(arguments: argparse.Namespace, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sizes = [size for size in (10_000, 100_000) if size < arguments.parcels] + [arguments.parcels]
    zones, index, out = folder / "zones.parquet", folder / "zones.index", folder / "out.parquet"
    parcels = {size: folder / f"parcels-{size}.parquet" for size in (*sizes, min(arguments.sample, arguments.parcels))}
    addresses = folder / f"addresses-{arguments.addresses}-{arguments.parcels}.parquet"
    for file, make in [
        (zones, lambda: overlay_data.write_zones(zones)),
        *(
            (file, lambda file=file, size=size: overlay_data.write_parcels(file, size))
            for size, file in parcels.items()
        ),
        (addresses, lambda: overlay_data.write_addresses(addresses, arguments.addresses, arguments.parcels)),
    ]:
        if not file.exists():
            make()
    started = time.perf_counter()
    _ours("made", parcels[sizes[0]], zones, out, 2)
    print(f"kernels ready after {time.perf_counter() - started:.0f} s (compiled, if they were not)")

    print(f"\n{arguments.parcels:,} parcels")
    whole = parcels[arguments.parcels]
    made = _told("ours, index made in the run", _ours("made", whole, zones, out, 2))
    _ours("index", parcels[sizes[0]], zones, index, 2)
    kept = _told("ours, index kept", _ours("kept", whole, index, out, 2))
    _told("ours, index kept, one thread", _ours("kept", whole, index, out, 1))
    peers: dict[str, tuple[Cost, Cost]] = {}
    pieces = folder / "pieces.parquet"
    if arguments.peers:
        cut = _told("  the peers' subdividing", _peer(arguments.peers, "subdivide", whole, zones, pieces))
        for name in ("duckdb", "sedonadb", "strtree"):
            if name not in arguments.skip:
                cost = _told(f"{name}, zones subdivided before", _peer(arguments.peers, name, whole, pieces, out))
                peers[name] = cut + cost, cost
    with _postgis(whole, zones, addresses) if "postgis" not in arguments.skip else _nothing() as server:
        if server:
            cut = _told("  PostGIS, ST_Subdivide and index", server.measured(_SUBDIVIDE))
            cost = _told("postgis, zones subdivided before", server.measured(_JOIN, _SUMS))
            peers["postgis"] = cut + cost, cost
        for which, mine, place in (("made in the run", made, 0), ("kept", kept, 1)):
            _ahead(f"index {which}", mine, {name: costs[place] for name, costs in peers.items()})
        for name, (cost, _) in peers.items():
            if (cost.found["pairs"], round(cost.found["area"], 2)) != (
                made.found["pairs"],
                round(made.found["area"], 2),
            ):
                print(f"{name} found other areas than ours")
        if arguments.peers and "geopandas" not in arguments.skip:
            size = min(arguments.sample, arguments.parcels)
            print(f"\n{size:,} parcels")
            mine = _told("ours, index kept", _ours("kept", parcels[size], index, out, 2))
            other = _told(
                "geopandas.overlay, subdivided", _peer(arguments.peers, "geopandas", parcels[size], pieces, out)
            )
            _ahead("index kept", mine, {"geopandas": other})

        print(f"\n{arguments.addresses:,} addresses")
        mine = _told("ours, index kept", _ours("points", addresses, index, out, 2))
        first = _told("ours, index made in the run", _ours("index", whole, zones, index, 2) + mine)
        if server:
            join = _told("postgis, zones subdivided before", server.measured(_POINTS, _POINT_SUMS))
            _ahead("index kept", mine, {"postgis": join})
            _ahead("index made in the run", first, {"postgis": cut + join})
            if mine.found != join.found:
                print("postgis found other classes than ours")

    print("\nhow cost grows, index kept, two threads and one")
    for size in sizes:
        two, one = (_ours("kept", parcels[size], index, out, threads) for threads in (2, 1))
        wall, cpu = (f"{a:7.2f} s and {b:7.2f} s" for a, b in ((two.wall, one.wall), (two.cpu, one.cpu)))
        each = one.cpu / size * 1e6
        print(f"{size:>10,} parcels {wall} wall {cpu} CPU {each:6.1f} us each {two.memory_mb:5.0f} MB", flush=True)


def _told(what: str, cost: Cost) -> Cost:
    sums = "  ".join(f"{name} {value:,.3f}".removesuffix(".000") for name, value in cost.found.items())
    print(
        f"{what:34} {cost.wall:8.1f} s  CPU {cost.cpu:8.1f} s  most memory {cost.memory_mb:6.0f} MB  {sums}", flush=True
    )
    return cost


def _ahead(what: str, mine: Cost, peers: dict[str, Cost]) -> None:
    for name, cost in sorted(peers.items(), key=lambda item: item[1].cpu):
        print(f"  {what}: {cost.cpu / mine.cpu:5.1f} x by CPU, {cost.wall / mine.wall:5.1f} x by wall, ahead of {name}")


def _measured(command: list[str]) -> Cost:
    """Run a process to its end; its children are counted with it."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, stdout=said)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - started
        said.seek(0)
        text = said.read().decode()
    if child.returncode:
        sys.exit(f"{' '.join(command)} failed")
    found = json.loads(text) if text.strip() else {}
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / KIB_PER_MIB, found)


def _ours(what: str, features: Path, layer: Path, out: Path, threads: int) -> Cost:
    files = map(str, (features, layer, out))
    return _measured([sys.executable, str(HERE / "overlay.py"), "--ours", what, *files, str(threads)])


def _peer(python: str, engine: str, parcels: Path, zones: Path, out: Path) -> Cost:
    return _measured([python, str(HERE / "overlay_peers.py"), engine, *map(str, (parcels, zones, out)), "2"])


def _index(_parcels: Path, zones: Path, out: Path, threads: int) -> dict[str, float]:
    from resilience.overlay import index_layer, save_index

    save_index(index_layer(*_zones(zones), one_class_per_place=True, threads=threads), out)
    return {}


def _made(parcels: Path, zones: Path, out: Path, threads: int) -> dict[str, float]:
    from resilience.overlay import index_layer

    return _areas(parcels, index_layer(*_zones(zones), one_class_per_place=True, threads=threads), out, threads)


def _kept(parcels: Path, index: Path, out: Path, threads: int) -> dict[str, float]:
    from resilience.overlay import load_index

    return _areas(parcels, load_index(index), out, threads)


def _zones(file: Path) -> tuple[pa.ChunkedArray, np.ndarray]:
    table = pq.read_table(file)
    return table.column("geometry"), np.array([overlay_data.ZONES.index(name) for name in table["zone"].to_pylist()])


def _areas(parcels: Path, index: object, out: Path, threads: int) -> dict[str, float]:
    from resilience.overlay import overlay_wkb

    names = pa.array(overlay_data.ZONES)
    schema = pa.schema([("parcel", pa.int64()), ("zone", pa.string()), ("area", pa.float64())])
    pairs, area = 0, 0.0
    with pq.ParquetWriter(out, schema) as writer:
        for batch in pq.ParquetFile(parcels).iter_batches(BATCH, use_threads=threads > 1):
            found = overlay_wkb(batch.column("geometry"), index, threads=threads)
            share = found.area_sqft > 0
            ids = batch.column("parcel").take(pa.array(found.parcel[share]))
            zones = names.take(pa.array(found.class_code[share]))
            writer.write_table(pa.table([ids, zones, pa.array(found.area_sqft[share])], schema=schema))
            pairs, area = pairs + len(ids), area + float(found.area_sqft.sum())
    return {"pairs": pairs, "area": area}


def _points(addresses: Path, index: Path, out: Path, threads: int) -> dict[str, float]:
    from resilience.overlay import classes_at, load_index

    names = pa.array(overlay_data.ZONES)
    schema = pa.schema([("address", pa.int64()), ("zone", pa.string())])
    layer = load_index(index)
    count = np.zeros(len(overlay_data.ZONES) + 1, dtype=np.int64)
    with pq.ParquetWriter(out, schema) as writer:
        for batch in pq.ParquetFile(addresses).iter_batches(BATCH, use_threads=threads > 1):
            shape = batch.column("geometry")
            # WKB of points: byte order, kind and two coordinates, 21 bytes each.
            rows = np.frombuffer(shape.buffers()[2], dtype=np.uint8)[: 21 * len(shape)].reshape(-1, 21)
            xy = np.ascontiguousarray(rows[:, 5:]).view(np.float64)
            found = classes_at(xy[:, 0], xy[:, 1], layer, threads=threads)
            count += np.bincount(found + 1, minlength=len(count))
            zones = names.take(pa.array(np.where(found < 0, None, found), pa.int64()))
            writer.write_table(pa.table([batch.column("address"), zones], schema=schema))
    return dict(zip(sorted(overlay_data.ZONES), count[1:][np.argsort(overlay_data.ZONES)].tolist(), strict=True))


_OURS: dict[str, Callable[[Path, Path, Path, int], dict[str, float]]] = {
    "index": _index,
    "made": _made,
    "kept": _kept,
    "points": _points,
}

_SUBDIVIDE = """
CREATE TABLE piece AS SELECT zone, ST_Subdivide(geom, 128) AS geom FROM zone;
CREATE INDEX ON piece USING gist (geom);
ANALYZE piece;
"""
_JOIN = """
CREATE TABLE answer AS
SELECT parcel, zone, sum(area) AS area FROM (
    SELECT parcel, zone, CASE WHEN ST_CoveredBy(p.geom, z.geom) THEN ST_Area(p.geom)
        ELSE ST_Area(ST_Intersection(p.geom, z.geom)) END AS area
    FROM parcel AS p JOIN piece AS z ON ST_Intersects(p.geom, z.geom)
) AS common GROUP BY parcel, zone HAVING sum(area) > 1e-6;
"""
_SUMS = "SELECT 'pairs', count(*)::float8 FROM answer UNION ALL SELECT 'area', sum(area) FROM answer"
_POINTS = """
CREATE TABLE at AS
SELECT address, zone FROM address AS a JOIN piece AS z ON ST_Intersects(z.geom, a.geom);
"""
_POINT_SUMS = "SELECT zone, count(DISTINCT address)::float8 FROM at GROUP BY zone ORDER BY zone"


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


class _Server:
    """A database of its own with the benchmark's tables."""

    def __init__(self, url: str) -> None:
        self._url = url

    def measured(self, statements: str, sums: str | None = None) -> Cost:
        """Run statements in a session of its own, two workers and its leader sharing a query.

        What it took is the session's own time and that of its workers, which their parent is told when they end.
        """
        started = time.perf_counter()
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("SET max_parallel_workers_per_gather = 2; SET parallel_leader_participation = off")
            connection.execute("SET min_parallel_table_scan_size = 0; SET work_mem = '256MB'")
            me = connection.info.backend_pid
            parent = int(Path(f"/proc/{me}/stat").read_text().rpartition(")")[2].split()[1])
            before = _ticks(me)[0], _ticks(parent)[1]
            connection.execute(statements.encode())
            wall = time.perf_counter() - started
            cpu = (_ticks(me)[0] - before[0] + _ticks(parent)[1] - before[1]) / TICKS
            status = Path(f"/proc/{me}/status").read_text()
            memory = int(status.partition("VmHWM:")[2].split()[0]) / KIB_PER_MIB
            found = dict(connection.execute(sums.encode()).fetchall()) if sums else {}
        return Cost(wall, cpu, memory, found)


def _ticks(process: int) -> tuple[int, int]:
    """Processor time of a process, and of its children that have ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])


@contextmanager
def _postgis(parcels: Path, zones: Path, addresses: Path) -> Iterator[_Server]:
    owner = load_settings().require_database_url()
    name = f"bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(owner, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            url = make_conninfo(owner, dbname=name)
            with psycopg.connect(url) as connection:
                connection.execute("CREATE EXTENSION postgis")
                for table, key, kind, file in (
                    ("parcel", "parcel", "bigint", parcels),
                    ("zone", "zone", "text", zones),
                    ("address", "address", "bigint", addresses),
                ):
                    _load(connection, table, key, kind, file)
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")
            yield _Server(url)
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _load(connection: psycopg.Connection, table: str, key: str, kind: str, file: Path) -> None:
    names = sql.Identifier(table), sql.Identifier(key)
    connection.execute(sql.SQL("CREATE TABLE {} ({} {}, geom geometry)").format(*names, sql.SQL(kind)))
    with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY {} FROM STDIN").format(names[0])) as copy:
        for batch in pq.ParquetFile(file).iter_batches(BATCH):
            for value, shape in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
                copy.write_row((value, shape.hex()))


if __name__ == "__main__":
    main()
