"""The peers of the overlay benchmark, each in a process of its own; run by the interpreter of an environment that has
them: `python -m venv DIR && DIR/bin/pip install duckdb-extension-spatial sedonadb geopandas pyarrow`.

    python benchmarks/overlay_peers.py ENGINE PARCELS.parquet ZONES.parquet OUT.parquet THREADS

`subdivide` cuts the zones into pieces of at most 256 corners (PARCELS is not read), the others lay parcels over them:
`duckdb`, `sedonadb`, `strtree`, `geopandas`. Each writes parcel, zone and area, and prints pairs and their area.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

MOST = 256
CHUNK = 20_000
_JOIN = """
SELECT parcel, zone, sum(area) AS area
FROM (
    SELECT parcel, zone, ST_Area(ST_Intersection(p.geometry, z.geometry)) AS area
    FROM parcels AS p JOIN zones AS z ON ST_Intersects(p.geometry, z.geometry)
) AS common
GROUP BY parcel, zone HAVING sum(area) > 1e-6
"""


def main() -> None:
    engine, parcels, zones, out, threads = sys.argv[1:]
    found = ENGINES[engine](parcels, zones, out, int(threads))
    if found is not None:
        print(json.dumps(found))


def _subdivide(_parcels: str, zones: str, out: str, _threads: int) -> None:
    table = pq.read_table(zones)
    names, pieces = [], []
    shapes = shapely.from_wkb(table.column("geometry").to_numpy())
    for name, shape in zip(table.column("zone").to_pylist(), shapes, strict=True):
        cut = list(_cut(shape))
        names += [name] * len(cut)
        pieces += cut
    done = pa.table({"zone": names, "geometry": shapely.to_wkb(np.array(pieces, dtype=object))})
    pq.write_table(done.cast(table.schema), out, row_group_size=20_000)


def _cut(shape: shapely.Geometry) -> Iterator[shapely.Polygon]:
    pending = [shape]
    while pending:
        part = pending.pop()
        west, south, east, north = part.bounds
        if shapely.get_num_coordinates(part) <= MOST:
            yield part
            continue
        if east - west > north - south:
            middle = (west + east) / 2
            halves = (west, south, middle, north), (middle, south, east, north)
        else:
            middle = (south + north) / 2
            halves = (west, south, east, middle), (west, middle, east, north)
        for half in halves:
            clipped = shapely.get_parts(shapely.clip_by_rect(part, *half))
            pending += [each for each in clipped if each.geom_type == "Polygon"]


def _duckdb(parcels: str, zones: str, out: str, threads: int) -> dict[str, float]:
    import duckdb

    spec = importlib.util.find_spec("duckdb_extension_spatial")
    if spec is None or spec.origin is None:
        sys.exit("duckdb-extension-spatial is not installed")
    [extension] = Path(spec.origin).parent.rglob("spatial.duckdb_extension")
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true", "threads": str(threads)})
    connection.load_extension(str(extension))
    connection.read_parquet(parcels).create_view("parcels")
    connection.read_parquet(zones).create_view("zones")
    connection.sql(_JOIN).write_parquet(out)
    return _sums(out)


def _sedonadb(parcels: str, zones: str, out: str, threads: int) -> dict[str, float]:
    import sedonadb

    session = sedonadb.connect()
    session.sql(f"SET datafusion.execution.target_partitions = {threads}").execute()
    session.read_parquet(parcels).to_view("parcels")
    session.read_parquet(zones).to_view("zones")
    session.sql(_JOIN).to_parquet(out)
    return _sums(out)


def _strtree(parcels: str, zones: str, out: str, _threads: int) -> dict[str, float]:
    table = pq.read_table(zones)
    names, code = np.unique(table.column("zone").to_numpy(), return_inverse=True)
    pieces = shapely.from_wkb(table.column("geometry").to_numpy())
    shapely.prepare(pieces)
    tree = shapely.STRtree(pieces)
    with pq.ParquetWriter(
        out, pa.schema([("parcel", pa.int64()), ("zone", pa.string()), ("area", pa.float64())])
    ) as writer:
        for batch in pq.ParquetFile(parcels).iter_batches(CHUNK):
            shapes = shapely.from_wkb(batch.column("geometry").to_numpy(zero_copy_only=False))
            parcel, piece = tree.query(shapes, predicate="intersects")
            whole = shapely.contains_properly(pieces[piece], shapes[parcel])
            area = np.empty(len(parcel))
            area[whole] = shapely.area(shapes[parcel[whole]])
            area[~whole] = shapely.area(shapely.intersection(shapes[parcel[~whole]], pieces[piece[~whole]]))
            key, at = np.unique(parcel * len(names) + code[piece], return_inverse=True)
            total = np.bincount(at, weights=area)
            key, total = key[total > 1e-6], total[total > 1e-6]
            ids = batch.column("parcel").to_numpy()[key // len(names)]
            writer.write_table(
                pa.table({"parcel": ids, "zone": names[key % len(names)], "area": total}).cast(writer.schema)
            )
    return _sums(out)


def _geopandas(parcels: str, zones: str, out: str, _threads: int) -> dict[str, float]:
    import geopandas

    common: Any = geopandas.overlay(
        geopandas.read_parquet(parcels), geopandas.read_parquet(zones), how="intersection", keep_geom_type=True
    )
    common["area"] = common.geometry.area
    sums = common.groupby(["parcel", "zone"])["area"].sum()
    sums[sums > 1e-6].reset_index().to_parquet(out)
    return _sums(out)


def _sums(out: str) -> dict[str, float]:
    table = pq.read_table(out, columns=["area"])
    return {"pairs": len(table), "area": float(np.sum(table.column("area").to_numpy()))}


ENGINES = {
    "subdivide": _subdivide,
    "duckdb": _duckdb,
    "sedonadb": _sedonadb,
    "strtree": _strtree,
    "geopandas": _geopandas,
}

if __name__ == "__main__":
    main()
