"""A layer cut into square cells: the numba kernels behind ``overlay.index_layer``.

All coordinates are relative to the grid's origin, and the side of a cell is a power of two, so that the lines of the
grid are exact. Cells are numbered column by column from the south-west. Everything is said in signed edges: an edge
counts +1 or -1 for all places below it, and the sum over the edges above a place is how often it is covered. In a cell
this takes the pieces of edges that lie in it (`drawn`), and what lies above the cell in its column: a number for the
whole cell (`base`), and for each edge that crosses the cell's upper side an edge along that side, from the crossing to
the eastern corner.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LEAST_SQFT = 1e-6
"""Least area in a cell that counts as overlap of two polygons, or of one with itself."""

COMPLEMENT = -128
"""As `base`: the class has what the other classes leave of the cell."""


@njit(nogil=True, cache=True)
def common_area(ax0, ay0, ax1, ay1, bx0, by0, bx1, by1, bottom):  # type: ignore[no-untyped-def]
    """Area above `bottom` and below both edges, which run eastwards."""
    west, east = max(ax0, bx0), min(ax1, bx1)
    width = east - west
    if width <= 0.0:
        return 0.0
    slope = (ay1 - ay0) / (ax1 - ax0)
    a0 = ay0 if west == ax0 else ay0 + (west - ax0) * slope
    a1 = ay1 if east == ax1 else ay0 + (east - ax0) * slope
    slope = (by1 - by0) / (bx1 - bx0)
    b0 = by0 if west == bx0 else by0 + (west - bx0) * slope
    b1 = by1 if east == bx1 else by0 + (east - bx0) * slope
    first, last = a0 - b0, a1 - b1
    if first <= 0.0 and last <= 0.0:
        return width * ((a0 - bottom) + (a1 - bottom)) * 0.5
    if first >= 0.0 and last >= 0.0:
        return width * ((b0 - bottom) + (b1 - bottom)) * 0.5
    # They cross: the upper one less the triangle above the lower.
    part = width * first / (first - last)
    if first > 0.0:
        return width * ((a0 - bottom) + (a1 - bottom)) * 0.5 - part * first * 0.5
    return width * ((a0 - bottom) + (a1 - bottom)) * 0.5 - (width - part) * last * 0.5


@njit(nogil=True, cache=True)
def ring_facts(xy, first, shape, outer):  # type: ignore[no-untyped-def]
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
def cut(  # type: ignore[no-untyped-def]
    xy, first, factor, owner, box, side, rows, begin, end, fill,
    drawn, crossings, at, edges, sign, of, entering, next_entering,
):  # fmt: skip
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
def _put(edges, sign, of, place, x0, y0, x1, y1, value, me):  # type: ignore[no-untyped-def]
    edges[place, 0], edges[place, 1], edges[place, 2], edges[place, 3] = x0, y0, x1, y1
    sign[place], of[place] = value, me


@njit(nogil=True, cache=True)
def bases(entering, rows, fill, count, at, of, value):  # type: ignore[no-untyped-def]
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


@njit(nogil=True, cache=True)
def _enter(entry, place, code, base, begin):  # type: ignore[no-untyped-def]
    entry[place, 0], entry[place, 1] = code, base
    entry[place, 2] = entry[place, 3] = entry[place, 4] = begin


@njit(nogil=True, cache=True)
def _sort(key, order, size):  # type: ignore[no-untyped-def]
    """`order` of the first `size` by `key`, stable."""
    if size > 64:
        order[:size] = np.argsort(key[:size], kind="mergesort")
        return
    for i in range(size):
        j = i
        while j > 0 and key[order[j - 1]] > key[i]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = i


@njit(nogil=True, cache=True)
def _wider(array, size):  # type: ignore[no-untyped-def]
    wider = np.empty((max(2 * len(array), size), *array.shape[1:]), array.dtype)
    wider[: len(array)] = array
    return wider


@njit(nogil=True, cache=True)
def settle(  # type: ignore[no-untyped-def]
    begin, end, rows, side, at, drawn, edges, sign, of, base_at, base_of, base_value,
    class_of, polygons, one_class, background, overlap_sqft, suspect,
):  # fmt: skip
    """The classes in each of the cells `begin` to `end`, and the edges of each, those drawn in the cell first.

    Edges stay in their cell's place in `edges`, sorted by class. Where polygons overlap that must not, the cell is
    drawn anew, and its edges go to a list of their own. Owners from `polygons` on are the background. `overlap_sqft`
    (by class) and `suspect` (by owner: may overlap itself) are added to.

    Returns:
        number of entries of each cell; by entry its class, base, and first, middle, and end of its edges, negative
        (-1 - place) where these are in the list; the list's edges and signs.
    """
    counts = np.zeros(end - begin, np.int32)
    entry = np.empty((1024, 5), np.int32)
    entries = 0
    new_edges, new_sign, new = np.empty((256, 4)), np.empty(256, np.int8), 0
    soup, value, me = np.empty((256, 4)), np.empty(256, np.int8), np.empty(256, np.int32)
    is_drawn, key, order = np.empty(256, np.bool_), np.empty(256), np.empty(256, np.int64)
    tolerance = max(LEAST_SQFT, 1e-13 * side * side)
    for cell in range(begin, end):
        size, covers = at[cell + 1] - at[cell], base_at[cell + 1] - base_at[cell]
        if size + covers == 0:
            continue
        before = entries
        if entries + size + covers + 1 > len(entry):
            entry = _wider(entry, entries + size + covers + 1)
        if size == 0:
            entries = _settle_pure(
                base_of[base_at[cell] : base_at[cell + 1]], base_value[base_at[cell] : base_at[cell + 1]],
                class_of, polygons, one_class, side * side, overlap_sqft, suspect, entry, entries,
            )  # fmt: skip
            counts[cell - begin] = entries - before
            continue
        total = size + covers
        if total > len(soup):
            soup, value, me = _wider(soup, total), _wider(value, total), _wider(me, total)
            is_drawn, key, order = _wider(is_drawn, total), _wider(key, total), _wider(order, total)
        west, bottom = (cell // rows) * side, (cell % rows) * side
        top, east = bottom + side, west + side
        for k in range(size):
            key[k] = edges[at[cell] + k, 0]
        for k in range(covers):
            key[size + k] = west
        _sort(key, order, total)
        zones = ground = False
        ground_drawn = False
        for i in range(total):
            k = order[i]
            if k < size:
                place = at[cell] + k
                soup[i] = edges[place]
                value[i], me[i], is_drawn[i] = sign[place], of[place], k < drawn[cell]
            else:
                place = base_at[cell] + k - size
                soup[i, 0], soup[i, 1], soup[i, 2], soup[i, 3] = west, top, east, top
                value[i], me[i], is_drawn[i] = base_value[place], base_of[place], False
            if me[i] >= polygons:
                ground = True
                ground_drawn |= k < size
            else:
                zones = True
        own, common = _doubles(soup, value, me, total, class_of, one_class, polygons, bottom)
        if own > tolerance:
            for i in range(total):
                suspect[me[i]] = True
        if common > tolerance or (zones and ground_drawn):
            if one_class:
                entries, new, new_edges, new_sign, entry = _redraw(
                    soup[:total], value[:total], me[:total], is_drawn[:total], class_of, polygons, -1, bottom,
                    overlap_sqft, entry, entries, new_edges, new_sign, new,
                )  # fmt: skip
            else:
                for code in np.unique(class_of[me[:total]]):
                    entries, new, new_edges, new_sign, entry = _redraw(
                        soup[:total], value[:total], me[:total], is_drawn[:total], class_of, polygons, code, bottom,
                        overlap_sqft, entry, entries, new_edges, new_sign, new,
                    )  # fmt: skip
        else:
            if ground and zones:
                total = _without_ground(soup, value, me, is_drawn, total, polygons)
            for i in range(total):
                key[i] = 2 * class_of[me[i]] + (not is_drawn[i])
            _sort(key, order, total)
            place = at[cell]
            last = -1
            for i in range(total):
                k = order[i]
                code = class_of[me[k]]
                if code != last:
                    _enter(entry, entries, code, 0, place)
                    entries += 1
                    last = code
                if soup[k, 0] == west and soup[k, 1] == top and soup[k, 2] == east and not is_drawn[k]:
                    entry[entries - 1, 1] += value[k]
                    continue
                edges[place], sign[place] = soup[k], value[k]
                place += 1
                entry[entries - 1, 4] = place
                if is_drawn[k]:
                    entry[entries - 1, 3] = place
            if ground and zones:
                _enter(entry, entries, background, COMPLEMENT, place)
                entries += 1
        counts[cell - begin] = entries - before
    return counts, entry[:entries].copy(), new_edges[:new].copy(), new_sign[:new].copy()


@njit(nogil=True, cache=True)
def _settle_pure(base_of, base_value, class_of, polygons, one_class, area, overlap_sqft, suspect, entry, entries):  # type: ignore[no-untyped-def]
    """A cell without edges: the polygons that cover all of it, the first of them alone if there is one class."""
    start = entries
    for k in range(len(base_of)):
        if base_value[k] != 1:
            suspect[base_of[k]] = True
        first = True
        for other in range(len(base_of)):
            same = one_class or class_of[base_of[other]] == class_of[base_of[k]]
            first &= not (same and (base_of[other] < base_of[k]))
        if first:
            place = entries
            while place > start and entry[place - 1, 0] > class_of[base_of[k]]:
                entry[place] = entry[place - 1]
                place -= 1
            _enter(entry, place, class_of[base_of[k]], 1, 0)
            entries += 1
        elif base_of[k] < polygons:
            overlap_sqft[class_of[base_of[k]]] += area
    return entries


@njit(nogil=True, cache=True)
def _doubles(soup, value, me, total, class_of, one_class, polygons, bottom):  # type: ignore[no-untyped-def]
    """Integral of w² - w, w being how often a place is covered: by each polygon, and by those of a group together.

    It is zero where w is 0 or 1, and at least twice the area where it is not. Edges are sorted from west to east.
    """
    own = common = 0.0
    for i in range(total):
        x0, y0, x1, y1 = soup[i]
        signed = float(value[i])
        if x1 <= x0 or signed == 0.0:
            continue
        under = (x1 - x0) * ((y0 - bottom) + (y1 - bottom)) * 0.5
        alone = (signed * signed - signed) * under
        own += alone
        if me[i] < polygons:
            common += alone
        for j in range(i + 1, total):
            if soup[j, 0] >= x1:
                break
            same = me[i] == me[j]
            group = me[i] < polygons and me[j] < polygons and (one_class or class_of[me[i]] == class_of[me[j]])
            if not (same or group) or soup[j, 2] <= soup[j, 0]:
                continue
            both = 2.0 * signed * value[j]
            both *= common_area(x0, y0, x1, y1, soup[j, 0], soup[j, 1], soup[j, 2], soup[j, 3], bottom)
            if same:
                own += both
            if group:
                common += both
    return own, common


@njit(nogil=True, cache=True)
def _without_ground(soup, value, me, is_drawn, total, polygons):  # type: ignore[no-untyped-def]
    kept = 0
    for i in range(total):
        if me[i] < polygons:
            soup[kept], value[kept], me[kept], is_drawn[kept] = soup[i], value[i], me[i], is_drawn[i]
            kept += 1
    return kept


@njit(nogil=True, cache=True)
def _redraw(  # type: ignore[no-untyped-def]
    soup, value, me, is_drawn, class_of, polygons, only, bottom, overlap_sqft, entry, entries, out, out_sign, new,
):  # fmt: skip
    """The cell's edges between what the first polygon of each place says, by slabs in which no two edges cross.

    With `only`, of this class alone. An edge is kept as one piece for as long as the classes on its two sides stay.
    """
    total = len(value)
    use = np.zeros(total, np.bool_)
    for i in range(total):
        use[i] = value[i] != 0 and soup[i, 2] > soup[i, 0] and (only < 0 or class_of[me[i]] == only)
    lines = _lines(soup, use)
    who = np.unique(me[use])
    here = np.searchsorted(who, me)
    covered = np.zeros(len(who), np.int64)
    above, below = np.full(total, -1, np.int32), np.full(total, -1, np.int32)
    since = np.empty((total, 2))
    active, ya, yb = np.empty(total, np.int64), np.empty(total), np.empty(total)
    key, order = np.empty(total), np.empty(total, np.int64)
    pieces, piece_sign = np.empty((4 * total + 8, 4)), np.empty(4 * total + 8, np.int8)
    piece_class, piece_key = np.empty(4 * total + 8, np.int32), np.empty(4 * total + 8)
    made = 0
    upright = np.flatnonzero((value == 0) & is_drawn)
    for slab in range(len(lines) - 1):
        west, east = lines[slab], lines[slab + 1]
        size = 0
        for i in range(total):
            if use[i] and soup[i, 0] <= west and soup[i, 2] >= east:
                slope = (soup[i, 3] - soup[i, 1]) / (soup[i, 2] - soup[i, 0])
                ya[size] = soup[i, 1] if soup[i, 0] == west else soup[i, 1] + (west - soup[i, 0]) * slope
                yb[size] = soup[i, 3] if soup[i, 2] == east else soup[i, 1] + (east - soup[i, 0]) * slope
                active[size], key[size] = i, -(ya[size] + yb[size])
                size += 1
        _sort(key, order, size)
        covered[:] = 0
        outside = -1
        for rank in range(size):
            place = order[rank]
            i = active[place]
            covered[here[i]] += value[i]
            tied = False
            if rank + 1 < size:
                following = order[rank + 1]
                tied = ya[following] == ya[place] and yb[following] == yb[place]
                floor = -key[following]
            else:
                floor = 2 * bottom
            inside = outside
            if not tied:
                inside = -1
                for k in range(len(who)):
                    if covered[k] != 0:
                        if inside < 0:
                            inside = class_of[who[k]]
                        elif who[k] < polygons:
                            overlap_sqft[class_of[who[k]]] += (east - west) * (-key[place] - floor) * 0.5
            if inside >= 0 and not tied:
                lower = order[rank + 1] if rank + 1 < size else -1
                for v in upright:
                    if soup[v, 0] == west:
                        low, high = (ya[lower] if lower >= 0 else bottom), ya[place]
                    elif soup[v, 0] == east:
                        low, high = (yb[lower] if lower >= 0 else bottom), yb[place]
                    else:
                        continue
                    low, high = max(low, soup[v, 1]), min(high, soup[v, 3])
                    if low < high:
                        if made + 4 > len(piece_sign):
                            pieces, piece_sign = _wider(pieces, made + 4), _wider(piece_sign, made + 4)
                            piece_class, piece_key = _wider(piece_class, made + 4), _wider(piece_key, made + 4)
                        pieces[made, 0], pieces[made, 1] = soup[v, 0], low
                        pieces[made, 2], pieces[made, 3] = soup[v, 0], high
                        piece_sign[made], piece_class[made], piece_key[made] = 0, inside, 2 * inside
                        made += 1
            if inside != outside:
                if above[i] != outside or below[i] != inside:
                    if made + 4 > len(piece_sign):
                        pieces, piece_sign = _wider(pieces, made + 4), _wider(piece_sign, made + 4)
                        piece_class, piece_key = _wider(piece_class, made + 4), _wider(piece_key, made + 4)
                    made = _flush(
                        i, since, west, ya[place], above, below, is_drawn, pieces, piece_sign, piece_class, piece_key,
                        made,
                    )  # fmt: skip
                    above[i], below[i], since[i, 0], since[i, 1] = outside, inside, west, ya[place]
            elif above[i] != below[i]:
                if made + 4 > len(piece_sign):
                    pieces, piece_sign = _wider(pieces, made + 4), _wider(piece_sign, made + 4)
                    piece_class, piece_key = _wider(piece_class, made + 4), _wider(piece_key, made + 4)
                made = _flush(
                    i, since, west, ya[place], above, below, is_drawn, pieces, piece_sign, piece_class, piece_key, made
                )
                above[i], below[i] = -1, -1
            if soup[i, 2] == east and above[i] != below[i]:
                if made + 4 > len(piece_sign):
                    pieces, piece_sign = _wider(pieces, made + 4), _wider(piece_sign, made + 4)
                    piece_class, piece_key = _wider(piece_class, made + 4), _wider(piece_key, made + 4)
                made = _flush(
                    i, since, east, yb[place], above, below, is_drawn, pieces, piece_sign, piece_class, piece_key, made
                )
                above[i], below[i] = -1, -1
            outside = inside
    order = np.argsort(piece_key[:made], kind="mergesort")
    if new + made > len(out_sign):
        out, out_sign = _wider(out, new + made), _wider(out_sign, new + made)
    if entries + made > len(entry):
        entry = _wider(entry, entries + made)
    last = -1
    for rank in range(made):
        i = order[rank]
        if piece_class[i] != last:
            last = piece_class[i]
            _enter(entry, entries, last, 0, -1 - new)
            entries += 1
        out[new], out_sign[new] = pieces[i], piece_sign[i]
        new += 1
        entry[entries - 1, 4] = -1 - new
        if piece_key[i] == 2 * last:
            entry[entries - 1, 3] = -1 - new
    return entries, new, out, out_sign, entry


@njit(nogil=True, cache=True)
def _flush(i, since, x, y, above, below, is_drawn, pieces, piece_sign, piece_class, piece_key, made):  # type: ignore[no-untyped-def]
    """End the piece of edge `i` that runs since `since`: its class below gains what is under it, the one above loses."""
    for code, gain in ((below[i], 1), (above[i], -1)):
        if code >= 0 and above[i] != below[i]:
            pieces[made, 0], pieces[made, 1], pieces[made, 2], pieces[made, 3] = since[i, 0], since[i, 1], x, y
            piece_sign[made], piece_class[made] = gain, code
            piece_key[made] = 2 * code + (not is_drawn[i])
            made += 1
    return made


@njit(nogil=True, cache=True)
def _lines(soup, use):  # type: ignore[no-untyped-def]
    """Where an edge begins, ends or crosses another, from west to east, each once."""
    total = len(use)
    lines, size = np.empty(4 * total + 8), 0
    for i in range(total):
        if not use[i]:
            continue
        if size + total + 2 > len(lines):
            lines = _wider(lines, size + total + 2)
        x0, y0, x1, y1 = soup[i]
        lines[size], lines[size + 1] = x0, x1
        size += 2
        for j in range(i + 1, total):
            if soup[j, 0] >= x1:
                break
            if not use[j]:
                continue
            u0, v0, u1, v1 = soup[j]
            west, east = max(x0, u0), min(x1, u1)
            if east <= west:
                continue
            mine, other = (y1 - y0) / (x1 - x0), (v1 - v0) / (u1 - u0)
            first = y0 + (west - x0) * mine - (v0 + (west - u0) * other)
            last = y0 + (east - x0) * mine - (v0 + (east - u0) * other)
            if (first > 0.0 and last < 0.0) or (first < 0.0 and last > 0.0):
                x = west + (east - west) * (first / (first - last))
                if west < x < east:
                    lines[size] = x
                    size += 1
    return np.unique(lines[:size])
