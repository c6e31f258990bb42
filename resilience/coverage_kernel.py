"""How much of each cell a polygon covers, exactly, and what its wet cells say: the inner loops of ``zonal``, compiled.

Each edge adds its signed area to the cells that it crosses, and what it bounds to the cell on their right; a running
sum along the row is then the covered share of every cell. Fonts are drawn so. No geometry is built; holes and parts
need no special case. Coordinates are in cells: columns to the right, rows downward. Importing this loads numba.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Values = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.uint8]

TILE = 64
"""Side of the tiles, in cells, for which is known beforehand which kinds of cells they hold."""
WET, DRY, UNMAPPED = 1, 2, 4
ROUNDING = 1e-10
"""A share of a cell below this is what rounding leaves of cells that a polygon only touches: the last digit of a column
number of a large grid is worth a tenth of it."""


@njit(cache=True, nogil=True)
def measure(
    xy: Floats, ring_start: Integers, shape_ring: Integers, outer: npt.NDArray[np.bool_], sign: Floats, box: Floats
) -> Floats:
    """Area of each polygon.

    Args:
        xy, ring_start, shape_ring, outer: as of `polygon_rings.Rings`.
        sign: becomes, by ring, what makes its edges count the right way, whichever way it was drawn.
        box: becomes, by polygon, least x, least y, greatest x, greatest y.
    """
    area = np.zeros(len(box))
    for shape in range(len(box)):
        box[shape, 0] = box[shape, 1] = np.inf
        box[shape, 2] = box[shape, 3] = -np.inf
        for ring in range(shape_ring[shape], shape_ring[shape + 1]):
            first, last = ring_start[ring], ring_start[ring + 1] - 1
            x0, y0 = xy[first]
            twice = 0.0
            for at in range(first, last):
                x, y = xy[at]
                twice += (x - x0) * (xy[at + 1, 1] - y0) - (xy[at + 1, 0] - x0) * (y - y0)
                box[shape, 0], box[shape, 1] = min(box[shape, 0], x), min(box[shape, 1], y)
                box[shape, 2], box[shape, 3] = max(box[shape, 2], x), max(box[shape, 3], y)
            turn = 1.0 if outer[ring] else -1.0
            sign[ring] = -turn if twice > 0 else turn
            area[shape] += turn * abs(twice) / 2
    return area


def tile_flags(values: Values) -> Flags:
    """Room for what `clean` says of the tiles of a window."""
    return np.zeros((-(-values.shape[0] // TILE), -(-values.shape[1] // TILE)), dtype=np.uint8)


@njit(cache=True, nogil=True)
def clean(
    values: Values,
    nodata: float,
    filler_max: float,
    filler_min: float,
    scale: float,
    offset: float,
    unmapped_is_dry: bool,
    flags: Flags,
) -> tuple[int, int, int, float]:
    """Make NaN (or 0, where that is dry) of every cell without data and scale the others, in place.

    Args:
        flags: told of each tile which kinds of cells it holds.

    Returns:
        Cells without data, those among them that are neither NaN nor `nodata`, wet cells, and the greatest depth.
    """
    rows, columns = values.shape
    unmapped = undeclared = wet = 0
    deepest = -np.inf
    scaled = scale != 1.0 or offset != 0.0
    for row in range(rows):
        tile_row = row // TILE
        for column in range(columns):
            value = values[row, column]
            if not filler_max < value < filler_min or value == nodata:
                unmapped += 1
                if value == value and value != nodata:
                    undeclared += 1
                values[row, column] = 0.0 if unmapped_is_dry else np.nan
                flags[tile_row, column // TILE] |= DRY if unmapped_is_dry else UNMAPPED
                continue
            if scaled:
                value = value * scale + offset
                values[row, column] = value
            if value > 0:
                wet += 1
                deepest = max(deepest, value)
                flags[tile_row, column // TILE] |= WET
            else:
                flags[tile_row, column // TILE] |= DRY
    return unmapped, undeclared, wet, deepest


@njit(cache=True, nogil=True)
def sum_cells(
    xy: Floats,
    ring_start: Integers,
    shape_ring: Integers,
    sign: Floats,
    box: Integers,
    area: Floats,
    shapes: Integers,
    values: Values,
    flags: Flags,
    top: int,
    left: int,
    height: tuple[int, int],
    width: tuple[int, int],
    steps: Floats,
    found: Floats,
) -> None:
    """Add up, per polygon, the cells of one window.

    Args:
        xy, ring_start, shape_ring: as of `polygon_rings.Rings`, in cells of the grid; `sign` as of `measure`.
        box: by polygon, first column, first row, last column, last row (exclusive).
        area: by polygon.
        shapes: the polygons to add up.
        values, flags: the window's cells as `clean` left them; they may be a part of the window.
        top, left: first row and column of `values` in the grid.
        height, width: rows and columns of the grid that belong to the window: (first, last exclusive).
        steps: depths from which on wet cells are counted apart; the first is 0.
        found: becomes, per polygon of `shapes`: mapped cells, sum of the depths of wet cells, greatest depth, and wet
            cells by step.
    """
    room = np.zeros(1)
    for place in range(len(shapes)):
        shape = shapes[place]
        found[place] = 0.0
        found[place, 2] = -np.inf
        column0, column1 = max(box[shape, 0], width[0]), min(box[shape, 2], width[1])
        row0, row1 = max(box[shape, 1], height[0]), min(box[shape, 3], height[1])
        if column0 >= column1 or row0 >= row1:
            continue
        seen = 0
        for tile_row in range((row0 - top) // TILE, (row1 - 1 - top) // TILE + 1):
            for tile_column in range((column0 - left) // TILE, (column1 - 1 - left) // TILE + 1):
                seen |= flags[tile_row, tile_column]
        inside = (
            column0 == box[shape, 0] and column1 == box[shape, 2] and row0 == box[shape, 1] and row1 == box[shape, 3]
        )
        if seen == UNMAPPED:
            continue
        if seen == DRY and inside:
            found[place, 0] = area[shape]
            continue
        rows, columns = row1 - row0, column1 - column0
        stride = columns + 2
        if len(room) < rows * stride:
            room = np.zeros(rows * stride)
        for ring in range(shape_ring[shape], shape_ring[shape + 1]):
            for at in range(ring_start[ring], ring_start[ring + 1] - 1):
                x0, y0, x1, y1 = xy[at, 0] - column0, xy[at, 1] - row0, xy[at + 1, 0] - column0, xy[at + 1, 1] - row0
                _add_edge(room, stride, x0, y0, x1, y1, sign[ring], rows, columns)
        mapped = total = 0.0
        deepest = -np.inf
        for row in range(rows):
            covered = 0.0
            here = row * stride
            cells = values[row0 - top + row]
            for column in range(columns):
                covered += room[here + column]
                room[here + column] = 0.0
                if covered > ROUNDING:
                    value = cells[column0 - left + column]
                    if value == value:
                        mapped += covered
                    if value > 0:
                        total += covered * value
                        deepest = max(deepest, value)
                        step = len(steps) - 1
                        while value < steps[step]:
                            step -= 1
                        found[place, 3 + step] += covered
            room[here + columns] = room[here + columns + 1] = 0.0
        found[place, 0] = mapped
        found[place, 1] = total
        found[place, 2] = deepest


@njit(cache=True, nogil=True)
def _add_edge(
    room: Floats, stride: int, x0: float, y0: float, x1: float, y1: float, sign: float, rows: int, columns: int
) -> None:
    if y0 == y1:
        return
    if y0 > y1:
        x0, y0, x1, y1, sign = x1, y1, x0, y0, -sign
    if y1 <= 0 or y0 >= rows or (x0 >= columns and x1 >= columns):
        return
    slope = (x1 - x0) / (y1 - y0)
    low, high = min(x0, x1), max(x0, x1)
    from_x, from_y = x0, y0
    if y0 < 0:
        from_x, from_y = min(max(x0 - y0 * slope, low), high), 0.0
    bottom = min(y1, float(rows))
    row = int(from_y)
    while from_y < bottom:
        to_y = min(row + 1.0, bottom)
        to_x = x1 if to_y == y1 else min(max(x0 + (to_y - y0) * slope, low), high)
        _add_piece(room, row * stride, from_x, to_x, sign * (to_y - from_y), columns)
        from_x, from_y = to_x, to_y
        row += 1


@njit(cache=True, nogil=True)
def _add_piece(room: Floats, here: int, xa: float, xb: float, fall: float, columns: int) -> None:
    """Add the part of an edge that lies in one row, which it descends by ``fall`` (signed)."""
    low, high = min(xa, xb), max(xa, xb)
    if low >= columns:
        return
    if high <= 0:
        room[here] += fall
        return
    steep = fall / (high - low) if high > low else 0.0
    if low < 0:
        room[here] -= low * steep
        fall += low * steep
        low = 0.0
    if high > columns:
        fall -= (high - columns) * steep
        high = float(columns)
    column = min(int(low), columns - 1)
    while high > column + 1:
        part = (column + 1 - low) * steep
        left_out = 0.5 * (low - column + 1)
        room[here + column] += part * (1 - left_out)
        room[here + column + 1] += part * left_out
        fall -= part
        low = column + 1.0
        column += 1
    left_out = 0.5 * (low + high) - column
    room[here + column] += fall * (1 - left_out)
    room[here + column + 1] += fall * left_out
