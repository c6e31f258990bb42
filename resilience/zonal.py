"""Depth of water on parcels and at addresses, from a grid: exact by the covered share of each cell, in bounded memory.

Arrays in, arrays out. The grid is read window by window and never resampled. A cell is wet when its depth is above
zero; a cell without data is *not mapped*, unless the grid says that it is dry. What is wrong with a file, ``rasters``
tells.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import shapely

from resilience.rasters import Grid, Reader
from statewide.geometry import Booleans, Floats, Shapes

if TYPE_CHECKING:
    from resilience.polygon_rings import Wkb

Integers = npt.NDArray[np.int64]

type Polygons = Shapes | Wkb
_ROUNDING = 1e-9
"""A share that misses the whole, or nothing, by less was not told from it by the sums."""


@dataclass(frozen=True)
class Depths:
    """Parallel arrays, one entry per shape.

    Attributes:
        mean_ft: over the wet cells, weighted by how much of each the shape covers; NaN where none is wet.
        max_ft: of the deepest cell that the shape covers any part of; NaN where none is wet.
        wet_share_pct: of the whole shape; NaN where nothing of it is mapped.
        mapped_share_pct: of the whole shape; NaN for a shape without area.
        wet_share_by_depth_pct: two-dimensional; the wet share by depth of its cells, from each of `depths_ft` on.
    """

    mean_ft: Floats
    max_ft: Floats
    wet_share_pct: Floats
    mapped_share_pct: Floats
    wet_share_by_depth_pct: Floats


@dataclass(frozen=True)
class FirstStep:
    """Parallel arrays, one entry per point.

    Attributes:
        step: the first step at which the point is wet; NaN where it stays dry or nothing is known.
        known: whether every step below it, or all steps if it stays dry, is mapped at the point.
        dry_again: whether a later step calls the point dry, which the steps of one model never should.
    """

    step: Floats
    known: Booleans
    dry_again: Booleans


def zonal(
    shapes: Polygons,
    grid: Grid,
    *,
    crs: int | None = None,
    studied: Shapes | None = None,
    depths_ft: Sequence[float] = (0.0,),
    threads: int | None = None,
) -> Depths:
    """Depth on each polygon. Missing shapes and such that are no polygons have NaN for everything.

    Memory is that of the shapes and of one window of the grid per thread. The result does not depend on `threads`,
    nor on which other shapes are asked for.

    Args:
        shapes: valid polygons, or their WKB in a list or an Arrow array.
        crs: EPSG code of the shapes, and of `studied`; the grid's own system if None.
        studied: polygons within which a cell of the grid without data is dry.
        depths_ft: rising, from 0; the wet share is also told apart by these.
        threads: as many as there are cores if None.

    Raises:
        UnreadableDelivery: the grid is damaged.
    """
    steps = np.array(depths_ft, dtype=np.float64) / grid.feet
    sums, area = _sum_up(shapes, grid, crs, steps, threads)
    mapped, total, deepest, wet = sums[:, 0], sums[:, 1], sums[:, 2], sums[:, 3:]
    if studied is not None and not grid.nodata_is_dry:
        short = np.flatnonzero(mapped < area * (1 - _ROUNDING))
        inside = _common(_geometries(shapes)[short], studied)
        with_data, _ = _sum_up(inside, grid, crs, steps, threads)
        all_cells, _ = _sum_up(inside, replace(grid, nodata_is_dry=True), crs, steps, threads)
        mapped[short] += all_cells[:, 0] - with_data[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / wet.sum(axis=1) * grid.feet
        shares = np.column_stack([mapped, wet.sum(axis=1), wet]) / area[:, None]
    shares[shares > 1 - _ROUNDING] = 1
    shares[~(shares[:, 0] > 0), 1:] = np.nan
    deepest[deepest == -np.inf] = np.nan
    return Depths(mean, deepest * grid.feet, shares[:, 1] * 100, shares[:, 0] * 100, shares[:, 2:] * 100)


def depth_at(x: Floats, y: Floats, grid: Grid, *, crs: int | None = None, studied: Shapes | None = None) -> Floats:
    """Depth in feet of the cell that each point lies in: 0 where it is dry, NaN where it is not mapped.

    Arguments as of `zonal`.
    """
    points = np.column_stack([x, y]).astype(np.float64)
    depth = np.maximum(_values_at(points, grid, crs), 0) * grid.feet
    if studied is not None:
        open_ = np.flatnonzero(np.isnan(depth))
        dry = _values_at(points[open_], replace(grid, nodata_is_dry=True), crs) == 0
        depth[open_[dry & _within(points[open_], studied)]] = 0
    return depth


def first_wet_step(x: Floats, y: Floats, grids: Mapping[float, Grid], *, crs: int | None = None) -> FirstStep:
    """The first step of a series of depth grids at which each point is wet.

    Args:
        grids: step, such as feet of sea-level rise, → the depth grid of it.
    """
    steps = sorted(grids)
    depths = np.array([depth_at(x, y, grids[step], crs=crs) for step in steps])
    return _first(np.array(steps), depths > 0, ~np.isnan(depths))


def first_step_over_ground(
    x: Floats, y: Floats, ground: Grid, water_ft: float, steps: Sequence[float], *, crs: int | None = None
) -> FirstStep:
    """The first step at which the water would stand above the ground, whether or not it has a way to get there.

    Args:
        ground: heights of the ground.
        water_ft: height of the water at step 0 above the ground's own datum. Steps above MHHW need MHHW in NAVD88 here.
        steps: feet by which the water rises.
    """
    rises = np.array(sorted(steps), dtype=np.float64)
    heights = _values_at(np.column_stack([x, y]).astype(np.float64), ground, crs) * ground.feet
    known = np.broadcast_to(~np.isnan(heights), (len(rises), len(heights)))
    return _first(rises, water_ft + rises[:, None] > heights, known)


def _first(steps: Floats, wet: Booleans, mapped: Booleans) -> FirstStep:
    """From (steps, points): whether wet and whether mapped."""
    first = np.where(wet.any(axis=0), wet.argmax(axis=0), len(steps))
    below = np.arange(len(steps))[:, None] < first
    return FirstStep(
        step=np.append(steps, np.nan)[first],
        known=(mapped | ~below).all(axis=0),
        dry_again=(mapped & ~wet & ~below).any(axis=0),
    )


def _geometries(shapes: Polygons) -> Shapes:
    found: Shapes = shapes if isinstance(shapes, np.ndarray) else shapely.from_wkb(np.asarray(shapes, dtype=object))
    return found


def _common(shapes: Shapes, studied: Shapes) -> Shapes:
    """The part of each shape in any of the studied polygons; None where there is none."""
    common = np.full(len(shapes), None, dtype=object)
    # Asked from the polygons' side, which are few and large, so that each is prepared once.
    tree = shapely.STRtree(shapes)
    whole = np.unique(tree.query(studied, predicate="covers")[1])
    common[whole] = shapes[whole]
    other, which = tree.query(studied, predicate="intersects")
    cut = ~np.isin(which, whole)
    other, which = other[cut], which[cut]
    parts = shapely.intersection(shapes[which], studied[other])
    for place in np.unique(which):
        # Polygons of a study overlap here and there; what is in two of them counts once.
        common[place] = shapely.union_all(
            [it for it in shapely.get_parts(parts[which == place]) if it.geom_type in ("Polygon", "MultiPolygon")]
        )
    return common


def _within(points: Floats, polygons: Shapes) -> Booleans:
    inside = np.zeros(len(points), dtype=bool)
    inside[shapely.STRtree(shapely.points(points)).query(polygons, predicate="intersects")[1]] = True
    return inside


@dataclass(frozen=True)
class _Cells:
    """Polygons in cells of a grid, as `polygon_rings.Rings`, and what `coverage_kernel.measure` says of them."""

    xy: Floats
    first: Integers
    shape: Integers
    sign: Floats
    box: Integers
    area: Floats


def _in_cells(shapes: Polygons, grid: Grid, crs: int | None) -> _Cells:
    from resilience.coverage_kernel import measure
    from resilience.polygon_rings import rings_of, rings_of_wkb

    longest = grid.longest_edge(crs)
    if np.isfinite(longest):
        shapes = shapely.segmentize(_geometries(shapes), longest)
    rings = rings_of(shapes) if isinstance(shapes, np.ndarray) else rings_of_wkb(shapes)
    xy = grid.to_cells(rings.xy, crs)
    sign, bounds = np.empty(len(rings.outer)), np.empty((len(rings.shape) - 1, 4))
    area = measure(xy, rings.first, rings.shape, rings.outer, sign, bounds)
    # What has no area, or a corner at no place, lies in no cell.
    area[~((area > 0) & np.isfinite(bounds).all(axis=1))] = np.nan
    bounds[np.isnan(area)] = -1
    # One cell beyond the grid is enough to tell that a polygon reaches beyond it.
    bounds[:, :2], bounds[:, 2:] = np.floor(bounds[:, :2]), np.ceil(bounds[:, 2:])
    box = np.clip(bounds, -1, np.tile([grid.width + 1, grid.height + 1], 2)).astype(np.int64)
    return _Cells(xy, rings.first, rings.shape, sign, box, area)


def _sum_up(shapes: Polygons, grid: Grid, crs: int | None, steps: Floats, threads: int | None) -> tuple[Floats, Floats]:
    """Per shape what `coverage_kernel.sum_cells` finds, and the area; all in cells and the grid's unit."""
    from resilience.coverage_kernel import clean, sum_cells, tile_flags

    cells = _in_cells(shapes, grid, crs)

    def sum_window(reader: Reader, rows: slice, columns: slice, inside: Integers) -> Floats:
        box = cells.box[inside]
        left, top = np.maximum(box[:, :2].min(axis=0), (columns.start, rows.start)).tolist()
        right, bottom = np.minimum(box[:, 2:].max(axis=0), (columns.stop, rows.stop)).tolist()
        values = reader.read(slice(top, bottom), slice(left, right))
        flags = tile_flags(values)
        clean(values, *grid.cell_rules, flags)
        found = np.empty((len(inside), 3 + len(steps)))
        polygons = cells.xy, cells.first, cells.shape, cells.sign, cells.box, cells.area, inside
        bounds = (rows.start, rows.stop), (columns.start, columns.stop)
        sum_cells(*polygons, values, flags, top, left, *bounds, steps, found)
        return found

    sums = np.zeros((len(cells.area), 3 + len(steps)))
    sums[:, 2] = -np.inf
    jobs = list(_by_window(cells.box, grid))
    # Added up in the order of the windows, whichever thread was first: the same answer to the last bit.
    for (*_, inside), found in zip(jobs, _each_window(grid, jobs, sum_window, threads), strict=True):
        found[:, 2] = np.maximum(found[:, 2], sums[inside, 2])
        found[:, [0, 1]] += sums[inside, :2]
        found[:, 3:] += sums[inside, 3:]
        sums[inside] = found
    return sums, cells.area


def _values_at(points: Floats, grid: Grid, crs: int | None, threads: int | None = None) -> Floats:
    """The value of the cell that each point lies in, in the grid's unit; NaN where it is not mapped."""
    from resilience.coverage_kernel import clean, tile_flags

    cells = np.floor(grid.to_cells(points, crs))
    within = ((cells >= 0) & (cells < (grid.width, grid.height))).all(axis=1)
    place = np.flatnonzero(within)
    cell = cells[within].astype(np.int64)
    found = np.full(len(points), np.nan)

    def pick(reader: Reader, rows: slice, columns: slice, inside: Integers) -> Floats:
        (left, top), (right, bottom) = cell[inside].min(axis=0), cell[inside].max(axis=0) + 1
        values = reader.read(slice(int(top), int(bottom)), slice(int(left), int(right)))
        clean(values, *grid.cell_rules, tile_flags(values))
        picked: Floats = values[cell[inside, 1] - top, cell[inside, 0] - left].astype(np.float64)
        return picked

    jobs = list(_by_window(np.hstack([cell, cell + 1]), grid))
    for (*_, inside), picked in zip(jobs, _each_window(grid, jobs, pick, threads), strict=True):
        found[place[inside]] = picked
    return found


_Job = tuple[slice, slice, Integers]


def _by_window(box: Integers, grid: Grid) -> Iterator[_Job]:
    """The windows that boxes (first column and row, last ones exclusive) reach into, and which boxes those are."""
    high, wide = grid.window
    size = np.array([wide, high])
    box = np.clip(box, 0, np.tile([grid.width, grid.height], 2))
    some = np.flatnonzero((box[:, 2:] > box[:, :2]).all(axis=1))
    first, last = box[some, :2] // size, (box[some, 2:] - 1) // size
    across, down = (last - first + 1).T
    owner = np.repeat(np.arange(len(some)), across * down)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(across * down) - across * down, across * down)
    column, row = first[owner, 0] + nth % across[owner], first[owner, 1] + nth // across[owner]
    number = row * (-(-grid.width // wide)) + column
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    for group in np.split(order, starts[1:]) if len(order) else ():
        top, left = int(row[group[0]]) * high, int(column[group[0]]) * wide
        rows, columns = slice(top, min(top + high, grid.height)), slice(left, min(left + wide, grid.width))
        yield rows, columns, some[owner[group]]


def _each_window(
    grid: Grid, jobs: list[_Job], work: Callable[[Reader, slice, slice, Integers], Floats], threads: int | None
) -> Iterator[Floats]:
    """Work through the windows on several threads, each with the file open for itself; results in the order of jobs."""
    wanted = min(threads or len(os.sched_getaffinity(0)), len(jobs))
    if not wanted:
        return
    readers: queue.SimpleQueue[Reader] = queue.SimpleQueue()

    def one(job: _Job) -> Floats:
        reader = readers.get()
        try:
            return work(reader, *job)
        finally:
            readers.put(reader)

    with ExitStack() as stack:
        for _ in range(wanted):
            readers.put(stack.enter_context(Reader(grid)))
        pool = stack.enter_context(ThreadPoolExecutor(wanted))
        try:
            yield from pool.map(one, jobs)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
