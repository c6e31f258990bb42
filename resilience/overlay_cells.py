"""A layer as square cells: how they are kept, and how they are made of polygons by the kernels, in threads.

The work is shared out so that no two threads write to one cell: the cells do not depend on the number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from resilience.polygon_rings import Rings

_EDGES_PER_CELL = 6
_CELLS = (2**14, 2**22)
_PARTS = 4  # of the work, for each thread


@dataclass(frozen=True)
class Cells:
    """Square cells, numbered column by column from the south-west.

    Attributes:
        codes: the class codes, ascending; elsewhere a class is its place here.
        west, south: corner of the grid; edges are relative to it.
        side: of a cell, in feet, a power of two.
        first: where each cell begins in the entries, and the end of the last. A cell has an entry for each class in it.
        entry_class: class of an entry.
        entry_base: how often the class covers the cell from its upper western corner, see ``overlay_cut``.
        entry_edges: where the edges of an entry begin, where those end that are drawn in the layer itself, and where
            all end; both lots run from west to east.
        edges: west, its y, east, its y of each piece of an edge.
        sign: +1 where the class is below the edge, -1 where it is above, 0 on upright ones.
    """

    codes: NDArray[np.int64]
    west: float
    south: float
    side: float
    columns: int
    rows: int
    first: NDArray[np.int64]
    entry_class: NDArray[np.int32]
    entry_base: NDArray[np.int8]
    entry_edges: NDArray[np.int32]
    edges: NDArray[np.float64]
    sign: NDArray[np.int8]

    @property
    def arguments(self) -> tuple[Any, ...]:
        """As the kernels of ``overlay_sums`` take them."""
        grid = (self.west, self.south, self.side, self.columns, self.rows)
        return (*grid, self.first, self.entry_class, self.entry_base, self.entry_edges, self.edges, self.sign)


@dataclass(frozen=True)
class Made:
    """Cells of a layer, the area by class that was covered already, and which polygons may not be valid."""

    cells: Cells
    overlap_sqft: dict[int, float]
    suspect: NDArray[np.bool_]


def make_cells(
    rings: Rings,
    classes: NDArray[np.int64],
    one_class: bool,
    under: Rings | None,
    background_class: int,
    cell_ft: float | None,
    threads: int | None,
) -> Made:
    """See ``overlay.index_layer``; `under` is the background. `rings` becomes relative to the grid."""
    from resilience.overlay_cut import ring_facts
    from resilience.overlay_settle import LEAST_SQFT

    polygons = len(classes)
    codes = np.unique(classes)
    if under is not None:
        rings = _joined(rings, under)
        codes = np.unique(np.append(classes, background_class))
    owner, factor, box, area = ring_facts(rings.xy, rings.first, rings.shape, rings.outer)
    factor[~np.isfinite(area[owner])] = 0
    suspect = (~np.isfinite(area) | ~rings.sound | (~(area > 0) & rings.given))[:polygons]
    used = factor != 0
    if not used.any():
        return Made(_no_cells(codes), {}, suspect)
    # From here on a polygon goes by its turn: of two that overlap, the first counts; the background comes last.
    turns = np.append(np.argsort(classes, kind="stable"), np.arange(polygons, len(area)))
    owner = np.argsort(turns).astype(np.int32)[owner]
    class_of = np.full(len(area), np.searchsorted(codes, background_class), dtype=np.int32)
    class_of[:polygons] = np.searchsorted(codes, classes[turns[:polygons]])

    west, south = box[used, :2].min(axis=0)
    east, north = box[used, 2:].max(axis=0)
    side = _side(east - west, north - south, len(rings.xy), cell_ft)
    west, south = np.floor(west / side) * side, np.floor(south / side) * side
    columns, rows = int((east - west) // side) + 1, int((north - south) // side) + 1
    rings.xy[:] -= (west, south)
    box -= (west, south, west, south)
    pieces = _cut(rings, factor, owner, box, side, columns, rows, threads)
    del rings, owner, factor, box
    first, entries, overlap, doubtful = _settle(pieces, class_of, polygons, one_class, side, rows, threads)
    suspect[turns[:polygons]] |= doubtful[:polygons]
    cells = Cells(
        codes, float(west), float(south), side, columns, rows, first, np.ascontiguousarray(entries[:, 0]),
        entries[:, 1].astype(np.int8), np.ascontiguousarray(entries[:, 2:]), pieces.edges, pieces.sign,
    )  # fmt: skip
    overlaps = np.flatnonzero(overlap > LEAST_SQFT)
    return Made(cells, {int(codes[at]): float(overlap[at]) for at in overlaps}, suspect)


def in_threads[T](work: Callable[[int], T], parts: Iterable[int], threads: int | None) -> list[T]:
    """The results in order. The kernels let go of the interpreter; nothing of theirs starts threads of its own."""
    parts = list(parts)
    count = min(threads or len(os.sched_getaffinity(0)), len(parts))
    if count < 2:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, parts))


@dataclass
class _Pieces:
    """Edges cut to cells: those of a cell from `at` on, the first `drawn` of them drawn in it; and its bases."""

    at: NDArray[np.int64]
    drawn: NDArray[np.int32]
    edges: NDArray[np.float64]
    sign: NDArray[np.int8]
    of: NDArray[np.int32]
    base_at: NDArray[np.int64]
    base_of: NDArray[np.int32]
    base_value: NDArray[np.int8]


def _cut(
    rings: Rings,
    factor: NDArray[np.int8],
    owner: NDArray[np.int32],
    box: NDArray[np.float64],
    side: float,
    columns: int,
    rows: int,
    threads: int | None,
) -> _Pieces:
    from resilience.overlay_cut import bases, cut

    count = columns * rows
    strips = _even(columns, threads)
    walk = (rings.xy, rings.first, factor, owner, box, side, rows)
    drawn, crossings = np.zeros(count, dtype=np.int32), np.zeros(count, dtype=np.int32)
    nowhere: tuple[Any, ...] = (np.zeros(1, np.int64), np.empty((0, 4)), np.empty(0, np.int8), np.empty(0, np.int32))
    nowhere += (np.empty((0, 4), np.int64), 0)

    def measure(strip: int) -> int:
        between = strips[strip], strips[strip + 1]
        return cut(*walk, *between, False, drawn, crossings, *nowhere)

    entering_at = np.concatenate(([0], np.cumsum(in_threads(measure, range(len(strips) - 1), threads))))
    at = np.concatenate(([0], np.cumsum(drawn, dtype=np.int64) + np.cumsum(crossings, dtype=np.int64)))
    size = int(at[-1])
    edges, sign, of = np.empty((size, 4)), np.empty(size, np.int8), np.empty(size, np.int32)
    entering = np.empty((int(entering_at[-1]), 4), np.int64)
    left = drawn.copy()

    def draw(strip: int) -> int:
        between = strips[strip], strips[strip + 1]
        return cut(*walk, *between, True, left, crossings, at, edges, sign, of, entering, int(entering_at[strip]))

    in_threads(draw, range(len(strips) - 1), threads)
    entering = entering[np.lexsort((entering[:, 1], entering[:, 2], entering[:, 0]))]
    covers = np.zeros(count, np.int32)
    bases(entering, rows, False, covers, at, of, sign)
    base_at = np.concatenate(([0], np.cumsum(covers, dtype=np.int64)))
    base_of, base_value = np.empty(int(base_at[-1]), np.int32), np.empty(int(base_at[-1]), np.int8)
    bases(entering, rows, True, covers, base_at, base_of, base_value)
    return _Pieces(at, drawn, edges, sign, of, base_at, base_of, base_value)


def _settle(
    pieces: _Pieces,
    class_of: NDArray[np.int32],
    polygons: int,
    one_class: bool,
    side: float,
    rows: int,
    threads: int | None,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], NDArray[np.bool_]]:
    """First entry of each cell, the entries, area covered already by class, and which polygons may not be valid.

    `pieces` gets longer by what is drawn anew.
    """
    from resilience.overlay_settle import settle

    parts = _even(len(pieces.drawn), threads)
    background = int(class_of[-1]) if len(class_of) > polygons else -1

    def decide(part: int) -> tuple[Any, ...]:
        overlap, doubtful = np.zeros(int(class_of.max()) + 1), np.zeros(len(class_of), dtype=np.bool_)
        found = settle(
            parts[part], parts[part + 1], rows, side, pieces.at, pieces.drawn, pieces.edges, pieces.sign, pieces.of,
            pieces.base_at, pieces.base_of, pieces.base_value, class_of, polygons, one_class, background,
            overlap, doubtful,
        )  # fmt: skip
        return *found, overlap, doubtful

    done = in_threads(decide, range(len(parts) - 1), threads)
    first = np.concatenate(([0], np.cumsum(np.concatenate([counts for counts, *_ in done]), dtype=np.int64)))
    size = len(pieces.sign)
    extra = sum(len(anew) for _, _, anew, *_ in done)
    # In place: a copy of all edges would be half of the memory that is used at all.
    pieces.edges.resize((size + extra, 4), refcheck=False)
    pieces.sign.resize(size + extra, refcheck=False)
    for _, entry, anew, *_ in done:
        places = entry[:, 2:]
        places[places < 0] = size - 1 - places[places < 0]
        pieces.edges[size : size + len(anew)] = anew[:, :4]
        pieces.sign[size : size + len(anew)] = anew[:, 4]
        size += len(anew)
    overlap = np.sum([overlap for *_, overlap, _ in done], axis=0)
    doubtful = np.any([doubtful for *_, doubtful in done], axis=0)
    return first, np.concatenate([entry for _, entry, *_ in done]), overlap, doubtful


def _even(count: int, threads: int | None) -> list[int]:
    parts = _PARTS * (threads or len(os.sched_getaffinity(0)))
    return [count * part // parts for part in range(parts + 1)]


def _side(width: float, height: float, vertices: int, cell_ft: float | None) -> float:
    """Side of the cells: a power of two, so that the grid's lines are exact."""
    if cell_ft is None:
        cells = min(max(vertices / _EDGES_PER_CELL, _CELLS[0]), _CELLS[1])
        cell_ft = float(np.sqrt(max(width * height, max(width, height) ** 2 / cells) / cells))
    return float(2.0 ** np.round(np.log2(cell_ft)))


def _no_cells(codes: NDArray[np.int64]) -> Cells:
    edges = np.empty((0, 3), np.int32), np.empty((0, 4)), np.empty(0, np.int8)
    return Cells(codes, 0.0, 0.0, 1.0, 0, 0, np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.int8), *edges)


def _joined(one: Rings, other: Rings) -> Rings:
    from resilience.polygon_rings import Rings

    return Rings(
        np.concatenate((one.xy, other.xy)),
        np.concatenate((one.first[:-1], other.first + one.first[-1])),
        np.concatenate((one.shape[:-1], other.shape + one.shape[-1])),
        np.concatenate((one.outer, other.outer)),
        np.concatenate((one.sound, other.sound)),
        np.concatenate((one.given, other.given)),
    )
