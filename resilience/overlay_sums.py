"""Parcels and points against a layer cut into cells: the numba kernels behind ``overlay.overlay`` and ``classes_at``.

The area that a parcel has in common with a class is a double sum over their edges in each cell,
``sum a, b: sign a * sign b * integral of (min(y a, y b) - the cell's bottom)``, whatever holes, parts or common lines
the two have. A parcel whose box meets only cells of one class throughout has its own area in it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from resilience.overlay_cut import Owners, Signs
from resilience.overlay_settle import COMPLEMENT, Entries, common_area
from resilience.polygon_rings import Booleans, Floats, Integers

CONTACT_FT = 1e-6
"""Two shapes closer than this meet. Cutting an edge moves it by up to 1e-9 ft at state plane coordinates, so that
a corner exactly on the edge of a polygon may stand that far off its pieces."""

AREA_NOISE_SQFT = 1e-6
"""A common area below this is the rounding of two shapes that only touch, and is given as zero."""

_FEW = 4096
"""Edges times cells from which on a shape's edges are sorted into columns first."""


@njit(nogil=True, cache=True)
def areas(
    xy: Floats, first: Integers, shape: Integers, outer: Booleans, classes: int,
    origin_x: float, origin_y: float, side: float, columns: int, rows: int,
    cells: Integers, entry_class: Owners, entry_base: Signs, entry_edges: Entries, edges: Floats, sign: Signs,
) -> tuple[Integers, Floats]:  # fmt: skip
    """Shape and class of each pair that meets, sorted by both, and their area. `xy` becomes relative to the grid."""
    found, area_found, size = np.empty((len(shape) + 64, 2), np.int64), np.empty(len(shape) + 64), 0
    total, seen, where = np.zeros(classes), np.empty(classes, np.int64), np.full(classes, -1, np.int64)
    near, near_entry, acc = np.empty((64, 6)), np.empty(64, np.int64), np.empty((64, 2))
    inverse = 1.0 / side
    for row in range(len(shape) - 1):
        begin, end = first[shape[row]], first[shape[row + 1]]
        if begin == end:
            continue
        west = south = np.inf
        east = north = -np.inf
        checked = 0.0
        for k in range(begin, end):
            x, y = xy[k, 0] - origin_x, xy[k, 1] - origin_y
            xy[k, 0], xy[k, 1] = x, y
            west, east, south, north = min(west, x), max(east, x), min(south, y), max(north, y)
            checked += x + y
        if not np.isfinite(checked):
            continue
        c0, c1 = np.floor((west - CONTACT_FT) * inverse), np.floor((east + CONTACT_FT) * inverse)
        r0, r1 = np.floor((south - CONTACT_FT) * inverse), np.floor((north + CONTACT_FT) * inverse)
        if c1 < 0 or r1 < 0 or c0 >= columns or r0 >= rows:
            continue
        inside = c0 >= 0 and r0 >= 0 and c1 < columns and r1 < rows
        c0, c1 = int(max(c0, 0)), int(min(c1, columns - 1))
        r0, r1 = int(max(r0, 0)), int(min(r1, rows - 1))
        start, stop = cells[c0 * rows + r0], cells[c0 * rows + r0 + 1]
        uniform = inside or start == stop
        column = c0
        while uniform and column <= c1:
            for cell in range(column * rows + r0, column * rows + r1 + 1):
                uniform &= cells[cell + 1] - cells[cell] == stop - start
                if not uniform:
                    break
                for e in range(stop - start):
                    other = cells[cell] + e
                    uniform &= entry_class[other] == entry_class[start + e] and entry_base[other] == 1
                    uniform &= entry_edges[other, 2] == entry_edges[other, 0]
            column += 1
        if uniform and start == stop:
            continue
        factor = _factors(xy, first, shape[row], shape[row + 1], outer, begin)
        count = 0
        if uniform:
            mine = _own_area(xy, begin, end, factor, south)
            for e in range(start, stop):
                seen[count], total[entry_class[e]] = entry_class[e], mine
                count += 1
        elif not _crossed(west, south, east, north, rows, c0, c1, r0, r1, cells, entry_edges, edges):
            # One class throughout after all, or none: that of any place there.
            x, y = (west + east) * 0.5, (south + north) * 0.5
            column, line = int(np.floor(x * inverse)), int(np.floor(y * inverse))
            if not (0 <= column < columns and 0 <= line < rows):
                continue
            mine = -1.0
            cell = column * rows + line
            for e in range(cells[cell], cells[cell + 1]):
                if entry_base[e] == COMPLEMENT:
                    covered = count == 0
                else:
                    covered = _winding(x, y, e, entry_base, entry_edges, edges, sign) > 0
                if covered:
                    if mine < 0.0:
                        mine = _own_area(xy, begin, end, factor, south)
                    seen[count], total[entry_class[e]] = entry_class[e], mine
                    count += 1
        else:
            for column in range(c0, c1 + 1):
                for e in range(cells[column * rows + r0], cells[column * rows + r1 + 1]):
                    if where[entry_class[e]] != row:
                        where[entry_class[e]] = row
                        seen[count] = entry_class[e]
                        total[entry_class[e]] = 0.0
                        count += 1
            if count == 0:
                continue
            most = 0
            for column in range(c0, c1 + 1):
                for cell in range(column * rows + r0, column * rows + r1 + 1):
                    size_there = 0
                    for e in range(cells[cell], cells[cell + 1]):
                        size_there += 1 + entry_edges[e, 2] - entry_edges[e, 0]
                    most = max(most, size_there)
            if most > len(acc):
                near, near_entry, acc = np.empty((2 * most, 6)), np.empty(2 * most, np.int64), np.empty((2 * most, 2))
            _add_cells(
                xy, begin, end, factor, west, south, east, north, side, rows, c0, c1, r0, r1,
                cells, entry_class, entry_base, entry_edges, edges, sign, total, near, near_entry, acc,
            )  # fmt: skip
            for k in range(1, count):
                code, place = seen[k], k
                while place > 0 and seen[place - 1] > code:
                    seen[place] = seen[place - 1]
                    place -= 1
                seen[place] = code
        for k in range(count):
            code = seen[k]
            share = total[code]
            if share < AREA_NOISE_SQFT:
                share = 0.0
                if not _touches(
                    xy, begin, end, factor, west, south, east, north, rows, c0, c1, r0, r1,
                    cells, entry_class, entry_edges, edges, code,
                ):  # fmt: skip
                    continue
            if size == len(area_found):
                wider = np.empty((2 * size, 2), np.int64)
                wider[:size] = found
                found = wider
                longer = np.empty(2 * size)
                longer[:size] = area_found
                area_found = longer
            found[size, 0], found[size, 1], area_found[size] = row, code, share
            size += 1
    return found[:size], area_found[:size]


@njit(nogil=True, cache=True)
def _crossed(
    west: float, south: float, east: float, north: float, rows: int, c0: int, c1: int, r0: int, r1: int,
    cells: Integers, entry_edges: Entries, edges: Floats,
) -> bool:  # fmt: skip
    """Whether a line drawn in the layer may run through the box."""
    west, south, east, north = west - CONTACT_FT, south - CONTACT_FT, east + CONTACT_FT, north + CONTACT_FT
    for column in range(c0, c1 + 1):
        for e in range(cells[column * rows + r0], cells[column * rows + r1 + 1]):
            for b in range(entry_edges[e, 0], entry_edges[e, 1]):
                if edges[b, 0] > east:
                    break  # they are sorted from west to east
                low, high = min(edges[b, 1], edges[b, 3]), max(edges[b, 1], edges[b, 3])
                if edges[b, 2] >= west and high >= south and low <= north:
                    return True
    return False


@njit(nogil=True, cache=True)
def _winding(
    x: float, y: float, e: int, entry_base: Signs, entry_edges: Entries, edges: Floats, sign: Signs
) -> int:  # fmt: skip
    """How often the class of the entry covers a point of its cell."""
    covered = int(entry_base[e])
    for b in range(entry_edges[e, 0], entry_edges[e, 2]):
        if edges[b, 0] <= x < edges[b, 2]:
            slope = (edges[b, 3] - edges[b, 1]) / (edges[b, 2] - edges[b, 0])
            if y < edges[b, 1] + (x - edges[b, 0]) * slope:
                covered += sign[b]
    return covered


@njit(nogil=True, cache=True)
def _factors(xy: Floats, first: Integers, ring: int, last: int, outer: Booleans, begin: int) -> Signs:
    """By edge from `begin` on, the sign of an eastward one; 0 after the end of a ring."""
    factor = np.zeros(first[last] - begin, np.int8)
    while ring < last:
        start, stop = first[ring], first[ring + 1]
        double = 0.0
        for k in range(start, stop - 1):
            double += (xy[k, 0] - xy[start, 0]) * (xy[k + 1, 1] - xy[start, 1])
            double -= (xy[k, 1] - xy[start, 1]) * (xy[k + 1, 0] - xy[start, 0])
        turn = -1 if (double > 0.0) == outer[ring] else 1
        for k in range(start, stop - 1):
            factor[k - begin] = turn
        ring += 1
    return factor


@njit(nogil=True, cache=True)
def _own_area(xy: Floats, begin: int, end: int, factor: Signs, south: float) -> float:
    area = 0.0
    for k in range(begin, end - 1):
        width = xy[k + 1, 0] - xy[k, 0]
        area += factor[k - begin] * width * ((xy[k, 1] - south) + (xy[k + 1, 1] - south)) * 0.5
    return area


@njit(nogil=True, cache=True)
def _by_column(
    xy: Floats, begin: int, end: int, factor: Signs, side: float, c0: int, c1: int
) -> tuple[Integers, Integers]:
    """Where each column begins in the list that follows, of the edges that reach into each of them, in their order."""
    inverse = 1.0 / side
    at = np.zeros(c1 - c0 + 2, np.int64)
    order = np.empty(0, np.int64)
    for fill in (False, True):
        for k in range(begin, end - 1):
            if factor[k - begin] == 0 or xy[k, 0] == xy[k + 1, 0]:
                continue
            low = max(int(np.floor(min(xy[k, 0], xy[k + 1, 0]) * inverse)), c0)
            high = min(int(np.floor(max(xy[k, 0], xy[k + 1, 0]) * inverse)), c1)
            for column in range(low, high + 1):
                if fill:
                    order[at[column - c0]] = k
                    at[column - c0] += 1
                else:
                    at[column - c0 + 1] += 1
        if not fill:
            at = np.cumsum(at)
            order = np.empty(at[-1], np.int64)
    at[1:] = at[:-1].copy()
    at[0] = 0
    return at, order


@njit(nogil=True, cache=True)
def _add_cells(
    xy: Floats, begin: int, end: int, factor: Signs, box_west: float, box_south: float, box_east: float,
    box_north: float, side: float, rows: int, c0: int, c1: int, r0: int, r1: int,
    cells: Integers, entry_class: Owners, entry_base: Signs, entry_edges: Entries, edges: Floats, sign: Signs,
    total: Floats, near: Floats, near_entry: Integers, acc: Floats,
) -> None:  # fmt: skip
    """Add to `total` the shape's area in each class, cell by cell.

    In a cell the shape is the pieces of its edges that lie in it, and runs along the cell's upper side below what
    lies above it. `near`, `near_entry` and `acc` are room to work in, enough for any of the cells.
    """
    noise = 1e-13 * side * side
    binned = (end - begin) * (c1 - c0 + 1) * (r1 - r0 + 1) > _FEW
    if binned:
        at, order = _by_column(xy, begin, end, factor, side, c0, c1)
    else:
        at, order = np.empty(0, np.int64), np.empty(0, np.int64)
    for column in range(c0, c1 + 1):
        left = column * side
        right = left + side
        candidates = at[column - c0 + 1] - at[column - c0] if binned else end - begin - 1
        for row in range(r0, r1 + 1):
            cell = column * rows + row
            start, stop = cells[cell], cells[cell + 1]
            if start == stop:
                continue
            bottom = row * side
            top = bottom + side
            size = _near(
                max(left, box_west), box_south, min(right, box_east), min(box_north, top), start, stop,
                entry_base, entry_edges, edges, sign, near, near_entry, acc,
            )  # fmt: skip
            inside = 0.0
            run_from = run_to = np.nan
            run_factor = 0
            for t in range(candidates):
                k = order[at[column - c0] + t] if binned else begin + t
                turn = factor[k - begin]
                x0, y0, x1, y1 = xy[k, 0], xy[k, 1], xy[k + 1, 0], xy[k + 1, 1]
                if turn == 0 or x0 == x1:
                    continue
                if x0 < x1:
                    lx, ly, rx, ry = x0, y0, x1, y1
                else:
                    lx, ly, rx, ry = x1, y1, x0, y0
                if rx <= left or lx >= right or (ly <= bottom and ry <= bottom):
                    continue
                slope = (ry - ly) / (rx - lx)
                west, east = max(lx, left), min(rx, right)
                ya = ly if west == lx else ly + (west - lx) * slope
                yb = ry if east == rx else ly + (east - lx) * slope
                if ya <= bottom and yb <= bottom:
                    continue
                above_from, above_to = west, west  # where the edge runs above the cell
                if ya >= top and yb >= top:
                    above_to = east
                else:
                    pa, qa, pb, qb = west, ya, east, yb
                    if ya < bottom:
                        pa, qa = min(max(west + (bottom - ya) / slope, west), east), bottom
                    elif ya > top:
                        pa, qa = min(max(west + (top - ya) / slope, west), east), top
                        above_to = pa
                    if yb < bottom:
                        pb, qb = min(max(west + (bottom - ya) / slope, west), east), bottom
                    elif yb > top:
                        pb, qb = min(max(west + (top - ya) / slope, west), east), top
                        above_from, above_to = pb, east
                    if pb > pa:
                        signed = turn if x0 < x1 else -turn
                        inside += _add_piece(pa, qa, pb, qb, signed, bottom, size, near, near_entry, acc)
                if above_to > above_from:
                    if x0 > x1:
                        above_from, above_to = above_to, above_from
                    if run_to == above_from and run_factor == turn:
                        run_to = above_to
                    else:
                        inside += _add_run(run_from, run_to, run_factor, top, bottom, size, near, near_entry, acc)
                        run_from, run_to, run_factor = above_from, above_to, turn
            inside += _add_run(run_from, run_to, run_factor, top, bottom, size, near, near_entry, acc)
            elsewhere = 0.0
            for e in range(start, stop):
                if entry_base[e] == COMPLEMENT:
                    share = inside - elsewhere
                else:
                    share = acc[e - start, 0] + acc[e - start, 1] * inside
                    elsewhere += share
                if abs(share) > noise:
                    total[entry_class[e]] += share


@njit(nogil=True, cache=True)
def _near(
    west: float, south: float, east: float, ceiling: float, start: int, stop: int,
    entry_base: Signs, entry_edges: Entries, edges: Floats, sign: Signs,
    near: Floats, near_entry: Integers, acc: Floats,
) -> int:  # fmt: skip
    """The edges of a cell that matter for a shape within this box: west, its y, east, its y, slope and sign of each.

    What is nowhere above the box's south bounds nothing of the shape. What is nowhere below the ceiling does it like a
    level line: such edges are joined, and one over the whole box is one more base. `acc` gets 0 and base of each entry.
    """
    size = 0
    for e in range(start, stop):
        acc[e - start, 0], acc[e - start, 1] = 0.0, entry_base[e]
        level = -1
        for b in range(entry_edges[e, 0], entry_edges[e, 2]):
            x0, y0, x1, y1 = edges[b]
            if x1 <= west or x0 >= east or x0 == x1 or (y0 <= south and y1 <= south):
                continue
            if y0 >= ceiling and y1 >= ceiling:
                if level >= 0 and near[level, 2] == x0 and near[level, 5] == sign[b]:
                    near[level, 2] = x1
                    continue
                level = size
                y0 = y1 = ceiling
            near[size, 0], near[size, 1], near[size, 2], near[size, 3] = x0, y0, x1, y1
            near[size, 4], near[size, 5] = (y1 - y0) / (x1 - x0), sign[b]
            near_entry[size] = e - start
            size += 1
    kept = 0
    for k in range(size):
        if near[k, 0] <= west and near[k, 2] >= east and near[k, 1] >= ceiling and near[k, 3] >= ceiling:
            acc[near_entry[k], 1] += near[k, 5]
        else:
            near[kept], near_entry[kept] = near[k], near_entry[k]
            kept += 1
    return kept


@njit(nogil=True, cache=True)
def _add_run(
    run_from: float, run_to: float, turn: int, top: float, bottom: float,
    size: int, near: Floats, near_entry: Integers, acc: Floats,
) -> float:  # fmt: skip
    if turn == 0 or run_from == run_to:
        return 0.0
    if run_from < run_to:
        return _add_piece(run_from, top, run_to, top, turn, bottom, size, near, near_entry, acc)
    return _add_piece(run_to, top, run_from, top, -turn, bottom, size, near, near_entry, acc)


@njit(nogil=True, cache=True)
def _add_piece(
    x0: float, y0: float, x1: float, y1: float, signed: int, bottom: float,
    size: int, near: Floats, near_entry: Integers, acc: Floats,
) -> float:  # fmt: skip
    """Sum a piece of the shape's boundary against the edges of the cell; returns its own signed area."""
    slope = (y1 - y0) / (x1 - x0)
    for k in range(size):
        if near[k, 0] < x1 and near[k, 2] > x0:
            acc[near_entry[k], 0] += (signed * near[k, 5]) * common_area(
                x0, y0, x1, y1, slope,
                near[k, 0], near[k, 1], near[k, 2], near[k, 3], near[k, 4], bottom,
            )  # fmt: skip
    return signed * (x1 - x0) * ((y0 - bottom) + (y1 - bottom)) * 0.5


@njit(nogil=True, cache=True)
def _touches(
    xy: Floats, begin: int, end: int, factor: Signs, west: float, south: float, east: float, north: float,
    rows: int, c0: int, c1: int, r0: int, r1: int,
    cells: Integers, entry_class: Owners, entry_edges: Entries, edges: Floats, code: int,
) -> bool:  # fmt: skip
    """Whether an edge of the shape meets one of the class."""
    for column in range(c0, c1 + 1):
        for e in range(cells[column * rows + r0], cells[column * rows + r1 + 1]):
            if entry_class[e] != code:
                continue
            for b in range(entry_edges[e, 0], entry_edges[e, 1]):
                u0, v0, u1, v1 = edges[b]
                if u0 > east + CONTACT_FT or u1 < west - CONTACT_FT:
                    continue
                if min(v0, v1) > north + CONTACT_FT or max(v0, v1) < south - CONTACT_FT:
                    continue
                for k in range(begin, end - 1):
                    if factor[k - begin] != 0 and _meet(xy[k, 0], xy[k, 1], xy[k + 1, 0], xy[k + 1, 1], u0, v0, u1, v1):
                        return True
    return False


@njit(nogil=True, cache=True)
def _meet(ax: float, ay: float, bx: float, by: float, cx: float, cy: float, dx: float, dy: float) -> bool:
    """Whether two segments come within CONTACT_FT of each other."""
    if min(ax, bx) > max(cx, dx) + CONTACT_FT or max(ax, bx) < min(cx, dx) - CONTACT_FT:
        return False
    if min(ay, by) > max(cy, dy) + CONTACT_FT or max(ay, by) < min(cy, dy) - CONTACT_FT:
        return False
    limit = CONTACT_FT * CONTACT_FT
    if _off(ax, ay, cx, cy, dx, dy) <= limit or _off(bx, by, cx, cy, dx, dy) <= limit:
        return True
    if _off(cx, cy, ax, ay, bx, by) <= limit or _off(dx, dy, ax, ay, bx, by) <= limit:
        return True
    c_side = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    d_side = (bx - ax) * (dy - ay) - (by - ay) * (dx - ax)
    a_side = (dx - cx) * (ay - cy) - (dy - cy) * (ax - cx)
    b_side = (dx - cx) * (by - cy) - (dy - cy) * (bx - cx)
    return (c_side > 0) != (d_side > 0) and (a_side > 0) != (b_side > 0)


@njit(nogil=True, cache=True)
def _off(px: float, py: float, ax: float, ay: float, bx: float, by: float) -> float:
    """Square of the distance of a point from a segment."""
    dx, dy = bx - ax, by - ay
    length = dx * dx + dy * dy
    t = 0.0
    if length > 0.0:
        t = min(max(((px - ax) * dx + (py - ay) * dy) / length, 0.0), 1.0)
    ox, oy = px - (ax + t * dx), py - (ay + t * dy)
    return ox * ox + oy * oy


@njit(nogil=True, cache=True)
def classes(
    x: Floats, y: Floats, begin: int, end: int, found: Integers,
    origin_x: float, origin_y: float, side: float, columns: int, rows: int,
    cells: Integers, entry_class: Owners, entry_base: Signs, entry_edges: Entries, edges: Floats, sign: Signs,
) -> None:  # fmt: skip
    """The class of each of the points `begin` to `end`, the lowest that covers it, -1 for none, in `found`."""
    inverse = 1.0 / side
    for k in range(begin, end):
        found[k] = -1
        px, py = x[k] - origin_x, y[k] - origin_y
        column, row = np.floor(px * inverse), np.floor(py * inverse)
        if not (0 <= column < columns and 0 <= row < rows):
            continue
        cell = int(column) * rows + int(row)
        for e in range(cells[cell], cells[cell + 1]):
            if entry_base[e] == COMPLEMENT:
                covered = found[k] < 0
            else:
                covered = _winding(px, py, e, entry_base, entry_edges, edges, sign) > 0
            if covered and (found[k] < 0 or entry_class[e] < found[k]):
                found[k] = entry_class[e]
