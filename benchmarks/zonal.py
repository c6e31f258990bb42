"""Depth over parcels from a grid, exact by the covered share of each cell: ours beside exactextract and rasterstats.

The parcels and the grid are invented: 100,000 parcels that fill a square of 30 km, drawn with some 13 corners each, on
a depth grid of 3 m whose dry cells hold no data, as Hazus leaves them. Every engine reads the parcels from one
GeoPackage and says for each how much of it is wet, the mean depth over that and the greatest; each runs in a process of
its own. rasterstats sees cell centres only and is timed on a part of the parcels. Prints CPU and wall seconds, peak
memory, ratios, and how many parcels have another answer than ours.

`--memory` lays parcels over a grid of 20 GB in a process that is ended when it has more than 600 MB in memory, its
libraries included: as 64 GB in 2 GB.

    scripts/bench zonal [--parcels 100000] [--rounds 3] [--peers PYTHON] [--memory] [--folder WHERE]

PYTHON is an interpreter with exactextract, rasterstats and geopandas, where the project's own has them not.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

FEET_PER_CELL = 3 * 3937 / 1200
PARCEL_FT = 310.0
WEST, NORTH = 900_000.0, 900_000.0
NODATA = -9999.0
RASTERSTATS_PARCELS = 2000
GRID, PARCELS, LARGE = "depth.tif", "parcels.gpkg", "large.tif"
MEMORY_MB, LARGE_CELLS = 600, 70_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parcels", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default=sys.executable, help="interpreter that has the peers")
    parser.add_argument("--memory", action="store_true", help="the large grid in little memory instead")
    parser.add_argument("--large-cells", type=int, default=LARGE_CELLS, help="side of the large grid")
    parser.add_argument("--folder", type=Path, help="keep the files here, and use them if they are there")
    parser.add_argument("--run", choices=list(ENGINES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        _run(arguments)
        return
    with tempfile.TemporaryDirectory(prefix="statewide-bench-") as scratch:
        arguments.folder = arguments.folder or Path(scratch)
        arguments.folder.mkdir(parents=True, exist_ok=True)
        if arguments.memory:
            _measure_memory(arguments)
        else:
            _measure(arguments)


# ── the invented ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _depths(row: int, column: int, rows: int, columns: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Water in winding valleys and hollows, about an eighth of the land, up to some 12 ft deep."""
    y = np.arange(row, row + rows, dtype=np.float32)[:, None]
    x = np.arange(column, column + columns, dtype=np.float32)
    river = np.abs((y + 260 * np.sin(x / 900) + 70 * np.sin(x / 170)) % 3100 - 1550)
    hollow = np.sin(x / 61) * np.sin(y / 83)
    depth = 8 * np.exp(-river / 90) + 4 * np.maximum(hollow - 0.8, 0) * 5 - 1.5 + 0.05 * np.sin(x * 1.7 + y * 2.3)
    return np.where(depth > 0, depth, np.float32(NODATA)).astype(np.float32)


def _write_grid(path: Path, side: int, *, repeated: bool = False) -> None:
    """A grid of so many rows and columns; `repeated`: the same 2,048 of them again and again, which is quicker."""
    import rasterio
    from rasterio.transform import Affine
    from rasterio.windows import Window

    place = Affine(FEET_PER_CELL, 0, WEST, 0, -FEET_PER_CELL, NORTH)
    partial = path.with_suffix(".partial")
    pattern = _depths(0, 0, 2048, 2048)
    with rasterio.open(
        partial, "w", driver="GTiff", width=side, height=side, count=1, dtype="float32", crs="EPSG:6434",
        transform=place, nodata=NODATA, tiled=True, blockxsize=256, blockysize=256, compress="deflate", zlevel=1,
        num_threads="all_cpus", bigtiff="yes",
    ) as dataset:  # fmt: skip
        for row in range(0, side, 2048):
            for column in range(0, side, 2048):
                rows, columns = min(2048, side - row), min(2048, side - column)
                values = pattern[:rows, :columns] if repeated else _depths(row, column, rows, columns)
                dataset.write(values, 1, window=Window(column, row, columns, rows))
    partial.rename(path)


def _parcels(side: int) -> Any:
    """Lots that fill a square of `side` × `side` of them: a net of bent lines, some lots with a pond left out."""
    import shapely

    rng = np.random.default_rng(7)
    corner = np.stack(np.meshgrid(np.arange(side + 1.0), np.arange(side + 1.0)), axis=-1)
    corner += rng.uniform(-0.28, 0.28, corner.shape)
    share = np.linspace(0, 1, 4)[:-1]
    # Points along the line to the next corner east, and south; both lots of a line share them.
    east, south = (
        corner[: side + 1 - down, : side + 1 - across, None]
        + share[:, None] * (corner[down:, across:, None] - corner[: side + 1 - down, : side + 1 - across, None])
        + rng.uniform(-0.02, 0.02, (side + 1 - down, side + 1 - across, 3, 2)) * (share > 0)[:, None]
        for down, across in ((0, 1), (1, 0))
    )
    rings = []
    for row in range(side):
        top, bottom = east[row], east[row + 1]
        left, right = south[row, :-1], south[row, 1:]
        ends = corner[row + 1, 1:], corner[row + 1, :-1]
        rings.append(
            np.concatenate(
                [top, right, ends[0][:, None], bottom[:, :0:-1], ends[1][:, None], left[:, :0:-1], top[:, :1]], axis=1
            )
        )
    ring = np.concatenate(rings)
    polygons = shapely.polygons(ring * PARCEL_FT * (1, -1) + (WEST, NORTH))
    middle = shapely.get_coordinates(shapely.point_on_surface(polygons))
    pond = np.flatnonzero(rng.random(len(polygons)) < 0.02)
    polygons[pond] = shapely.difference(polygons[pond], shapely.buffer(shapely.points(middle[pond]), 25, quad_segs=4))
    return polygons


def _write_parcels(path: Path, polygons: Any) -> None:
    import pyogrio.raw
    import shapely

    partial = path.with_name("partial.gpkg")
    partial.unlink(missing_ok=True)
    pyogrio.raw.write(
        partial, shapely.to_wkb(polygons), [np.arange(len(polygons))], ["lot"], geometry_type="Polygon", crs="EPSG:6434"
    )
    partial.rename(path)


def _scattered(side: int, count: int) -> Any:
    """Lots of a large grid, wherever they fall."""
    import shapely

    rng = np.random.default_rng(11)
    angle = np.sort(rng.uniform(0, 2 * np.pi, (count, 15)), axis=1)
    reach = PARCEL_FT / 2 * rng.uniform(0.6, 1.2, (count, 15))
    middle = rng.uniform(1, side - 1, (count, 1, 2)) * FEET_PER_CELL * (1, -1) + (WEST, NORTH)
    ring = middle + np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=-1)
    return shapely.polygons(np.concatenate([ring, ring[:, :1]], axis=1))


# ── the engines: parcels and grid in, wet cells, mean and greatest depth out ─────────────────────────────────────────


def _ours(folder: Path, grid: str = GRID) -> Iterator[Any]:
    import pyogrio
    import rasterio  # noqa: F401

    from resilience import coverage_kernel, polygon_rings  # noqa: F401
    from resilience.rasters import open_grid, settled
    from resilience.zonal import zonal
    from statewide.standard import load_standard

    made = settled(open_grid(folder / grid)[0], load_standard(), "ft", False)
    yield
    lots = pyogrio.read_arrow(folder / PARCELS, columns=[])[1].column(0)
    found = zonal(lots, made, crs=6434)
    yield found.wet_share_pct, found.mean_ft, found.max_ft


def _exactextract(folder: Path, strategy: str) -> Iterator[Any]:
    import geopandas
    from exactextract import exact_extract

    yield
    lots = geopandas.read_file(folder / PARCELS, columns=[])
    found = exact_extract(str(folder / GRID), lots, ["count", "mean", "max"], strategy=strategy, output="pandas")
    share = 100 * found["count"].to_numpy() * FEET_PER_CELL**2 / lots.area.to_numpy()
    yield share, found["mean"].to_numpy(), found["max"].to_numpy()


def _rasterstats(folder: Path) -> Iterator[Any]:
    import geopandas
    from rasterstats import zonal_stats

    yield
    lots = geopandas.read_file(folder / PARCELS, columns=[], rows=RASTERSTATS_PARCELS)
    found = zonal_stats(lots, str(folder / GRID), stats=["count", "mean", "max"])
    columns = (np.array([row[name] for row in found], dtype=float) for name in ("count", "mean", "max"))
    count, mean, deepest = columns
    yield 100 * count * FEET_PER_CELL**2 / lots.area.to_numpy(), mean, deepest


ENGINES: dict[str, Callable[[Path], Iterator[Any]]] = {
    "ours": _ours,
    "exactextract, feature-sequential": lambda folder: _exactextract(folder, "feature-sequential"),
    "exactextract, raster-sequential": lambda folder: _exactextract(folder, "raster-sequential"),
    "rasterstats": _rasterstats,
    "ours, large grid": lambda folder: _ours(folder, LARGE),
}
PEERS = [name for name in ENGINES if not name.startswith("ours")]


def _run(arguments: argparse.Namespace) -> None:
    """In a process of its own: import, then time one run; its answers go to a file, its cost to standard output."""
    steps = ENGINES[arguments.run](arguments.folder)
    next(steps)
    started, before = time.perf_counter(), time.process_time()
    answers = np.column_stack(next(steps))
    cost = {
        "wall_s": time.perf_counter() - started,
        "cpu_s": time.process_time() - before,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    np.save(_answers_of(arguments.folder, arguments.run), answers)
    print(json.dumps(cost))


def _answers_of(folder: Path, engine: str) -> Path:
    return folder / f"{engine.replace(', ', '-')}.npy"


# ── side by side ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _child(arguments: argparse.Namespace, engine: str, most_mb: float = np.inf) -> dict[str, float] | None:
    """What a run cost; None if it did not end well, or was ended for having more than so much in memory."""
    python = arguments.peers if engine in PEERS else sys.executable
    command = [python, __file__, "--run", engine, "--folder", str(arguments.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            if most_mb < np.inf and _resident_mb(process.pid) > most_mb:
                process.kill()
                print(f"{engine:34} had more than {most_mb:,.0f} MB in memory and was ended", flush=True)
                return None
            time.sleep(0.01)
        said, complaint = process.communicate()
    if process.returncode:
        print(f"{engine:34} did not run: {complaint.strip().splitlines()[-1]}", flush=True)
        return None
    cost: dict[str, float] = json.loads(said.splitlines()[-1])
    print(f"{engine:34} {cost['wall_s']:8.2f} s wall {cost['cpu_s']:8.2f} s CPU {cost['peak_mb']:8.0f} MB", flush=True)
    return cost


def _resident_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
    return int(found[0]) / 1024 if found else 0.0


def _measure(arguments: argparse.Namespace) -> None:
    folder = arguments.folder
    lots_across = round(arguments.parcels**0.5)
    side = int(lots_across * PARCEL_FT / FEET_PER_CELL) + 1
    if not (folder / GRID).exists():
        _write_grid(folder / GRID, side)
    if not (folder / PARCELS).exists():
        _write_parcels(folder / PARCELS, _parcels(lots_across))
    size = (folder / GRID).stat().st_size >> 20
    print(f"{lots_across**2:,} parcels, {side:,} × {side:,} cells of 3 m, {size:,} MB on disk", flush=True)
    # Compiled once per installation, as it is in use.
    _child(arguments, "ours")
    best: dict[str, dict[str, float]] = {}
    for _ in range(arguments.rounds):
        for engine in ("ours", *PEERS):
            cost = _child(arguments, engine)
            if cost and cost["cpu_s"] < best.get(engine, cost | {"cpu_s": np.inf})["cpu_s"]:
                best[engine] = cost
    _compare(folder, best, lots_across**2)


def _compare(folder: Path, best: dict[str, dict[str, float]], parcels: int) -> None:
    ours = np.load(_answers_of(folder, "ours"))
    for engine in best:
        theirs = np.load(_answers_of(folder, engine))
        mine = ours[: len(theirs)]
        scale = parcels / len(theirs)
        wet = theirs[:, 0] > 0
        line = "  ".join(
            f"{name} × {best[engine][key] * scale / best['ours'][key]:.1f}"
            for name, key in (("CPU", "cpu_s"), ("wall", "wall_s"))
        )
        same = np.isclose(mine[wet], theirs[wet], rtol=1e-6, atol=1e-9)
        differ = ", ".join(
            f"{name} {int((~same[:, at]).sum())}" for at, name in enumerate(("share", "mean", "greatest"))
        )
        print(f"{engine:34} {line}   differ by more than 1e-6 of {int(wet.sum()):,} wet: {differ}")


def _measure_memory(arguments: argparse.Namespace) -> None:
    folder, side = arguments.folder, arguments.large_cells
    if not (folder / LARGE).exists():
        _write_grid(folder / LARGE, side, repeated=True)
    (folder / PARCELS).unlink(missing_ok=True)
    _write_parcels(folder / PARCELS, _scattered(side, arguments.parcels))
    cells = side * side * 4 / 1e9
    print(f"{arguments.parcels:,} parcels on {side:,} × {side:,} cells ({cells:.1f} GB), {MEMORY_MB} MB", flush=True)
    _child(arguments, "ours, large grid", MEMORY_MB)


if __name__ == "__main__":
    main()
