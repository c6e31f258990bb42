"""Invented parcels, flood zones and addresses for the overlay benchmark: GeoParquet in EPSG:6434, made with numpy.

Parcels are the cells of a jittered lattice whose sides are lines of several corners that both neighbours share; some
rivers are sides of over a thousand corners, and one parcel in fifty has two parts. The zones cover the whole State
without overlap: along each river floodway, AE and 0.2 percent with islands, minimal between; a few are drawn so finely
that a polygon has more than 100,000 corners.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STATE = 1_250_000
LOT = 309.0
WEST, SOUTH = 800_000.0, 600_000.0
ZONES = ("floodway", "one_percent", "zero_two_percent", "minimal")
"""From the one that counts first."""

_RIVERS, _SAMPLES = 70, 7_000
_FINE, _FINE_SAMPLES = 4, 52_000
_REACHES = 120
_CHUNK_ROWS = 40


def side(parcels: int = STATE) -> int:
    """Lots along a side of the State."""
    return int(np.ceil(np.sqrt(parcels)))


def write_parcels(file: Path, count: int, seed: int = 1) -> None:
    """The southernmost `count` of the State's parcels."""
    columns = side()
    rows = -(-count // (columns - len(_doubles(columns))))
    with pq.ParquetWriter(file, _schema(("parcel", pa.int64())), use_dictionary=False) as writer:
        done = 0
        for shapes in _lots(columns, rows, seed):
            shapes = shapes[: count - done]
            table = pa.table({"parcel": np.arange(done, done + len(shapes)), "geometry": shapely.to_wkb(shapes)})
            writer.write_table(table.cast(writer.schema))
            done += len(shapes)


def _lots(columns: int, rows: int, seed: int) -> Iterator[NDArray[np.object_]]:
    rng = np.random.default_rng(seed)
    top = _line(rng, 0, columns)
    for start in range(0, rows, _CHUNK_ROWS):
        shapes = []
        for row in range(start, min(start + _CHUNK_ROWS, rows)):
            bottom, top = top, _line(rng, row + 1, columns)
            shapes.append(_row(rng, bottom, top, columns))
        yield np.concatenate(shapes)


def _line(rng: np.random.Generator, row: int, columns: int) -> tuple[Floats, Integers]:
    """The corners of a lattice line from west to east, and where its nodes are in them."""
    between = rng.poisson(2.4, columns)
    if row % 100 == 50:  # a river
        between[:: columns // 9] = 1_100
    if row == 3:
        between[7] = 15_000
    node = np.concatenate(([0], np.cumsum(between + 1)))
    corner = np.arange(columns + 1) + np.pad(rng.uniform(-0.2, 0.2, columns - 1), 1)
    x = np.interp(np.arange(node[-1] + 1), node, corner)
    step = np.diff(x)
    step = np.minimum(np.append(step, 0), np.append(0, step))
    y = row + 0.12 * np.sin(x * 1.7 + row) + 0.1 * step * rng.uniform(-1, 1, len(x))
    return np.column_stack((WEST + LOT * x, SOUTH + LOT * y)), node


def _row(
    rng: np.random.Generator, bottom: tuple[Floats, Integers], top: tuple[Floats, Integers], columns: int
) -> NDArray[np.object_]:
    between = rng.poisson(2.4, columns + 1)
    place = np.repeat(np.arange(columns + 1), between)
    order = np.arange(len(place)) - np.repeat(np.cumsum(between) - between, between)
    along = ((order + 1) / (between[place] + 1))[:, None]
    low, high = bottom[0][bottom[1]], top[0][top[1]]
    posts = low[place] * (1 - along) + high[place] * along
    posts[:, 0] += rng.uniform(-0.03, 0.03, len(posts)) * LOT
    post = np.concatenate(([0], np.cumsum(between)))
    sides = (
        (bottom[0], bottom[1][:-1], np.diff(bottom[1]) + 1, False),
        (posts, post[1:-1], between[1:], False),
        (top[0], top[1][:-1], np.diff(top[1]) + 1, True),
        (posts, post[:-2], between[:-1], True),
    )
    corners, owner = [], []
    for line, first, size, backwards in sides:
        lot = np.repeat(np.arange(columns), size)
        step = np.arange(len(lot)) - np.repeat(np.cumsum(size) - size, size)
        corners.append(line[first[lot] + (size[lot] - 1 - step if backwards else step)])
        owner.append(lot)
    owners = np.concatenate(owner)
    by_cell = np.argsort(owners, kind="stable")
    shapes = shapely.polygons(shapely.linearrings(np.concatenate(corners)[by_cell], indices=owners[by_cell]))
    # Every fiftieth owns the lot after next too, which is then no lot of its own.
    two = _doubles(columns)
    shapes[two] = shapely.multipolygons(np.column_stack((shapes[two], shapes[two + 2])))
    return np.delete(shapes, two + 2)


def _doubles(columns: int) -> Integers:
    return np.arange(10, columns - 3, 50)


def write_zones(file: Path, seed: int = 2, rivers: int = _RIVERS, fine: int = _FINE) -> None:
    """The zones of the whole State; neighbours share their lines corner by corner."""
    rng = np.random.default_rng(seed)
    with pq.ParquetWriter(file, _schema(("zone", pa.string())), use_dictionary=["zone"]) as writer:
        for names, shapes in _zones(rng, rivers, fine):
            table = pa.table({"zone": names, "geometry": shapely.to_wkb(shapes)})
            writer.write_table(table.cast(writer.schema))


def _zones(rng: np.random.Generator, rivers: int, fine: int) -> Iterator[tuple[list[str], NDArray[np.object_]]]:
    """Band by band, from the south."""
    size = LOT * (side() + 8)
    total = rivers + fine
    finely = (
        {pair + river for pair in range(0, total, -(-2 * total // max(fine, 1))) for river in (0, 1)} if fine else set()
    )
    samples = [_FINE_SAMPLES if river in finely else _SAMPLES for river in range(total)]
    shore = np.array([0.0, size])
    below = shore, np.full(2, -4 * LOT)
    for river in range(total):
        x = np.linspace(0, size, samples[river])
        middle = size * (river + 0.5) / total
        middle = middle + 700 * np.sin(x / 5_300 + river) + 250 * np.sin(x / 1_900 + 2 * river)
        curves = []
        for offset in (-330, -210, -60, 60, 210, 330):
            wave = 40 * np.sin(x / 700 + offset + river) + 0.2 * x[1] * rng.uniform(-1, 1, len(x))
            curves.append(middle + offset + wave)
        yield _between(*below, x, curves[0], size)
        for band, zone in enumerate(("zero_two_percent", "one_percent", "floodway", "one_percent", "zero_two_percent")):
            yield _reaches(rng, x, curves[band], curves[band + 1], zone)
        below = x, curves[-1]
    yield _between(*below, shore, np.full(2, size + 4 * LOT), size)


def _between(x0: Floats, y0: Floats, x1: Floats, y1: Floats, size: float) -> tuple[list[str], NDArray[np.object_]]:
    """The minimal zone between two rivers; one polygon from rim to rim."""
    climb = np.linspace(0, 1, 60)[1:-1]
    east = np.column_stack((np.full(58, size), y0[-1] + (y1[-1] - y0[-1]) * climb))
    west = np.column_stack((np.zeros(58), y1[0] + (y0[0] - y1[0]) * climb))
    there, back = np.column_stack((x0, y0)), np.column_stack((x1, y1))[::-1]
    return ["minimal"], np.array([shapely.Polygon(_bent(np.concatenate((there, east, back, west))))], dtype=object)


def _reaches(
    rng: np.random.Generator, x: Floats, low: Floats, high: Floats, zone: str
) -> tuple[list[str], NDArray[np.object_]]:
    """A band cut into reaches, every other one with an island of minimal hazard."""
    cuts = np.unique(np.concatenate(([0, len(x) - 1], rng.integers(1, len(x) - 1, _REACHES))))
    names, shapes = [], []
    angle = np.linspace(0, 2 * np.pi, 14)[:-1]
    for number, (a, b) in enumerate(pairwise(cuts.tolist())):
        there = np.column_stack((x[a : b + 1], low[a : b + 1]))
        back = np.column_stack((x[a : b + 1], high[a : b + 1]))[::-1]
        holes = []
        half = (x[b] - x[a]) / 2
        if number % 2 and half > 60:
            at = (a + b) // 2
            around = slice(max(at - 40, a), at + 40)
            room = (high[around].min() - low[around].max()) / 2
            if room > 20:
                radius = min(room, half) * 0.4
                middle = np.array([x[at], (high[around].min() + low[around].max()) / 2])
                island = _bent(middle + radius * np.column_stack((np.cos(angle), np.sin(angle))))
                holes = [island]
                names.append("minimal")
                shapes.append(shapely.Polygon(island))
        names.append(zone)
        shapes.append(shapely.Polygon(_bent(np.concatenate((there, back))), holes))
    return names, np.array(shapes, dtype=object)


def _bent(xy: Floats) -> Floats:
    """The plan bent so that rivers meander."""
    x, y = xy[:, 0], xy[:, 1]
    east = x + 500 * np.sin(y / 900) * np.sin(x / 40_000)
    north = y + 120 * np.sin(east / 600)
    return np.column_stack((WEST - 4 * LOT + east, SOUTH + north))


def write_addresses(file: Path, count: int, parcels: int, seed: int = 3) -> None:
    """Points anywhere on the land of the southernmost `parcels`."""
    rng = np.random.default_rng(seed)
    columns = side()
    x = WEST + LOT * rng.uniform(0, columns, count)
    y = SOUTH + LOT * rng.uniform(0, max(parcels / columns, 1), count)
    table = pa.table({"address": np.arange(count), "geometry": shapely.to_wkb(shapely.points(x, y))})
    pq.write_table(table.cast(_schema(("address", pa.int64()))), file, row_group_size=100_000)


def _schema(key: tuple[str, pa.DataType]) -> pa.Schema:
    crs = pyproj.CRS.from_epsg(6434).to_json_dict()
    column = {"encoding": "WKB", "geometry_types": [], "crs": crs}
    about = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    return pa.schema([key, ("geometry", pa.binary())], metadata={"geo": json.dumps(about)})
