"""A layer cut into square cells, first half: its edges cut along the grid. The numba kernels of ``overlay_build``.

All coordinates are relative to the grid's origin, and the side of a cell is a power of two, so that the lines of the
grid are exact. Cells are numbered column by column from the south-west. Everything is said in signed edges: an edge
counts +1 or -1 for all places below it, and the sum over the edges above a place is how often it is covered. In a cell
this takes the pieces of edges that are drawn in it, and what lies above the cell in its column: a number for the whole
cell, its base, and for each edge that crosses the cell's upper side an edge along that side, from the crossing to the
eastern corner.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from resilience.polygon_rings import Booleans, Floats, Integers

Signs = npt.NDArray[np.int8]
Owners = npt.NDArray[np.int32]


@njit(nogil=True, cache=True)
def ring_facts(xy: Floats, first: Integers, shape: Integers, outer: Booleans) -> tuple[Owners, Signs, Floats, Floats]:
    """By ring, its shape, the sign of its eastward edges (0 for no area), and its box; by shape, its area.

    A ring with a coordinate that is not a number has sign 0, and its shape no area.
    """
    rings = len(first) - 1
    owner, factor, box = np.empty(rings, np.int32), np.zeros(rings, np.int8), np.empty((rings, 4))
    area = np.zeros(len(shape) - 1)
    for row in range(len(shape) - 1):
        for ring in range(shape[row], shape[row + 1]):
            owner[ring] = row
            west = south = np.inf
            east = north = -np.inf
            double = 0.0
            begin, end = first[ring], first[ring + 1]
            for k in range(begin, end):
                x, y = xy[k, 0], xy[k, 1]
                west, east, south, north = min(west, x), max(east, x), min(south, y), max(north, y)
                if k + 1 < end:
                    double += (x - xy[begin, 0]) * (xy[k + 1, 1] - xy[begin, 1])
                    double -= (y - xy[begin, 1]) * (xy[k + 1, 0] - xy[begin, 0])
            box[ring, 0], box[ring, 1], box[ring, 2], box[ring, 3] = west, south, east, north
            if not np.isfinite(double):
                area[row] = np.nan
            elif double != 0.0:
                # Counterclockwise, the upper side runs west: its eastward edges bound from below.
                factor[ring] = -1 if (double > 0.0) == outer[ring] else 1
                area[row] += abs(double) / 2 if outer[ring] else -abs(double) / 2
    return owner, factor, box, area


@njit(nogil=True, cache=True)
def cut(
    xy: Floats, first: Integers, factor: Signs, owner: Owners, box: Floats, side: float, rows: int,
    begin: int, end: int, fill: bool, drawn: Owners, crossings: Owners,
    at: Integers, edges: Floats, sign: Signs, of: Owners, entering: Integers, next_entering: int,
) -> int:  # fmt: skip
    """Cut all edges to the cells of the columns `begin` to `end`.

    Twice the same walk: without `fill` it counts in `drawn` and `crossings`; with it, it writes `edges` (west, its y,
    east, its y), `sign` and `of` from `at` on, drawn edges first, and takes the counts down to zero again. `entering`
    gets what comes in over the western side of a column: column, row, owner, sign. Returns the next free of it.
    """
    inverse = 1.0 / side
    for ring in range(len(factor)):
        turn = factor[ring]
        if turn == 0 or box[ring, 2] < begin * side or box[ring, 0] >= end * side:
            continue
        me = owner[ring]
        for k in range(first[ring], first[ring + 1] - 1):
            x0, y0, x1, y1 = xy[k, 0], xy[k, 1], xy[k + 1, 0], xy[k + 1, 1]
            if x0 == x1:
                column = int(np.floor(x0 * inverse))
                if y0 == y1 or column < begin or column >= end:
                    continue
                low, high = min(y0, y1), max(y0, y1)
                rising = turn if y1 > y0 else -turn
                row, last = int(np.floor(low * inverse)), int(np.floor(high * inverse))
                if last * side == high:
                    last -= 1
                while row <= last:
                    cell = column * rows + row
                    bottom = row * side
                    y = max(low, bottom)
                    if fill:
                        drawn[cell] -= 1
                        _put(edges, sign, of, at[cell] + drawn[cell], x0, y, x0, min(high, bottom + side), 0, me)
                    else:
                        drawn[cell] += 1
                    if y == bottom and row > 0 and x0 > column * side:
                        if fill:
                            crossings[cell - 1] -= 1
                            place = at[cell] - 1 - crossings[cell - 1]
                            _put(edges, sign, of, place, x0, bottom, (column + 1) * side, bottom, rising, me)
                        else:
                            crossings[cell - 1] += 1
                    row += 1
                continue
            if x0 < x1:
                lx, ly, rx, ry, turned = x0, y0, x1, y1, turn
            else:
                lx, ly, rx, ry, turned = x1, y1, x0, y0, -turn
            column, last_column = int(np.floor(lx * inverse)), int(np.floor(rx * inverse))
            if last_column * side == rx:
                last_column -= 1
            if last_column < begin or column >= end:
                continue
            slope = (ry - ly) / (rx - lx)
            lowest, highest = min(ly, ry), max(ly, ry)
            first_column = column
            column = max(column, begin)
            while column <= last_column and column < end:
                west = column * side
                east = west + side
                xa, ya, xb, yb = lx, ly, rx, ry
                if column > first_column:
                    xa, ya = west, min(max(ly + (west - lx) * slope, lowest), highest)
                if column < last_column:
                    xb, yb = east, min(max(ly + (east - lx) * slope, lowest), highest)
                row, last, step = int(np.floor(ya * inverse)), int(np.floor(yb * inverse)), 1
                if yb > ya and last * side == yb:
                    last -= 1
                elif yb < ya:
                    step = -1
                    if row * side == ya:
                        row -= 1
                at_side = xa == west
                if at_side:
                    if fill:
                        entering[next_entering, 0] = column
                        entering[next_entering, 1] = row
                        entering[next_entering, 2] = me
                        entering[next_entering, 3] = turned
                    next_entering += 1
                x, y = xa, ya
                while True:
                    cell = column * rows + row
                    bottom = row * side
                    if row == last:
                        nx, ny = xb, yb
                    else:
                        ny = bottom + side if step > 0 else bottom
                        nx = min(max(xa + (ny - ya) / slope, x), xb)
                    if fill:
                        drawn[cell] -= 1
                        _put(edges, sign, of, at[cell] + drawn[cell], x, y, nx, ny, turned, me)
                    else:
                        drawn[cell] += 1
                    if row > 0:
                        if y == bottom and not at_side:
                            if fill:
                                crossings[cell - 1] -= 1
                                place = at[cell] - 1 - crossings[cell - 1]
                                _put(edges, sign, of, place, x, bottom, east, bottom, turned, me)
                            else:
                                crossings[cell - 1] += 1
                        if ny == bottom and nx < east:
                            if fill:
                                crossings[cell - 1] -= 1
                                place = at[cell] - 1 - crossings[cell - 1]
                                _put(edges, sign, of, place, nx, bottom, east, bottom, -turned, me)
                            else:
                                crossings[cell - 1] += 1
                    if row == last:
                        break
                    x, y = nx, ny
                    row += step
                    at_side = False
                column += 1
    return next_entering


@njit(nogil=True, cache=True)
def _put(
    edges: Floats, sign: Signs, of: Owners, place: int, x0: float, y0: float, x1: float, y1: float, value: int, me: int
) -> None:
    edges[place, 0], edges[place, 1], edges[place, 2], edges[place, 3] = x0, y0, x1, y1
    sign[place], of[place] = value, me


@njit(nogil=True, cache=True)
def bases(entering: Integers, rows: int, fill: bool, count: Owners, at: Integers, of: Owners, value: Signs) -> None:
    """What each cell is covered by as a whole, from its western side up, or how many of that there are.

    `entering` is sorted by column, owner and row: an edge that enters a column covers all cells below it.
    """
    covered = 0
    for k in range(len(entering) - 1, -1, -1):
        column, row, me = entering[k, 0], entering[k, 1], entering[k, 2]
        covered += entering[k, 3]
        below = 0
        if k > 0 and entering[k - 1, 0] == column and entering[k - 1, 2] == me:
            below = entering[k - 1, 1]
        elif covered != 0:
            below, covered = row, 0  # a ring that is not closed
        if covered != 0:
            for cell in range(column * rows + below, column * rows + row):
                if fill:
                    count[cell] -= 1
                    of[at[cell] + count[cell]], value[at[cell] + count[cell]] = me, covered
                else:
                    count[cell] += 1
