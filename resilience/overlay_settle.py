"""A layer cut into square cells, second half: what each cell is. The numba kernel of ``overlay_build``.

Most cells have one class throughout. In the others edges stay as they were cut, unless polygons overlap there that must
not: the integral of w² - w, w being how often a place is covered, tells it, and such a cell is drawn anew by slabs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from resilience.overlay_cut import Owners, Signs
from resilience.polygon_rings import Booleans, Floats, Integers

LEAST_SQFT = 1e-6
"""Least area in a cell that counts as overlap of two polygons, or of one with itself."""

COMPLEMENT = -128
"""As base of a class: it has what the other classes leave of the cell."""

Entries = npt.NDArray[np.int32]


@njit(nogil=True, cache=True)
def common_area(
    ax0: float, ay0: float, ax1: float, ay1: float, a_slope: float,
    bx0: float, by0: float, bx1: float, by1: float, b_slope: float, bottom: float,
) -> float:  # fmt: skip
    """Area above `bottom` and below both edges, which run eastwards."""
    west, east = max(ax0, bx0), min(ax1, bx1)
    width = east - west
    if width <= 0.0:
        return 0.0
    a0 = ay0 if west == ax0 else ay0 + (west - ax0) * a_slope
    a1 = ay1 if east == ax1 else ay0 + (east - ax0) * a_slope
    b0 = by0 if west == bx0 else by0 + (west - bx0) * b_slope
    b1 = by1 if east == bx1 else by0 + (east - bx0) * b_slope
    first, last = a0 - b0, a1 - b1
    if first >= 0.0 and last >= 0.0:
        return width * ((b0 - bottom) + (b1 - bottom)) * 0.5
    area = width * ((a0 - bottom) + (a1 - bottom)) * 0.5
    if first <= 0.0 and last <= 0.0:
        return area
    # They cross: less the triangle of the first above the second.
    part = width * first / (first - last)
    return area - (part * first * 0.5 if first > 0.0 else (width - part) * last * 0.5)


@njit(nogil=True, cache=True)
def settle(
    begin: int, end: int, rows: int, side: float, at: Integers, drawn: Owners, edges: Floats, sign: Signs, of: Owners,
    base_at: Integers, base_of: Owners, base_value: Signs, class_of: Owners, polygons: int, one_class: bool,
    background: int, overlap_sqft: Floats, suspect: Booleans,
) -> tuple[Owners, Entries, Floats]:  # fmt: skip
    """The classes in each of the cells `begin` to `end`, and the edges of each, those drawn in the cell first.

    Edges stay in their cell's place in `edges`, those of a class together, from west to east. Those of a cell that is
    drawn anew go to a list of their own. Owners from `polygons` on are the background. `overlap_sqft` (by class) and
    `suspect` (by owner: may overlap itself) are added to.

    Returns:
        number of entries of each cell; by entry its class, base, and where its edges begin, where those drawn in the
        cell end, and where all end, negative (-1 - place) if in the list; the list: edge and sign.
    """
    counts = np.zeros(end - begin, np.int32)
    entry, entries = np.empty((1024, 5), np.int32), 0
    out, new = np.empty((256, 5)), 0
    soup, value, me = np.empty((256, 4)), np.empty(256, np.int8), np.empty(256, np.int32)
    is_drawn, key, order = np.empty(256, np.bool_), np.empty(256), np.empty(256, np.int64)
    tolerance = max(LEAST_SQFT, 1e-13 * side * side)
    for cell in range(begin, end):
        size, covers = at[cell + 1] - at[cell], base_at[cell + 1] - base_at[cell]
        total = size + covers
        if total == 0:
            continue
        before = entries
        entry = _with_room(entry, entries + total + 1)
        if size == 0:
            entries = _settle_pure(
                base_of[base_at[cell] : base_at[cell + 1]], base_value[base_at[cell] : base_at[cell + 1]],
                class_of, polygons, one_class, side * side, overlap_sqft, suspect, entry, entries,
            )  # fmt: skip
            counts[cell - begin] = entries - before
            continue
        if total > len(key):
            soup, value, me = _with_room(soup, total), _with_room(value, total), _with_room(me, total)
            is_drawn, key, order = _with_room(is_drawn, total), _with_room(key, total), _with_room(order, total)
        west, bottom = (cell // rows) * side, (cell % rows) * side
        top, east = bottom + side, west + side
        for k in range(total):
            key[k] = edges[at[cell] + k, 0] if k < size else west
        _sort(key, order, total)
        zones = ground = ground_drawn = False
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
            only = np.full(1, -1, np.int64) if one_class else _distinct(class_of[me[:total]])
            for code in only:
                pieces = _redraw(
                    soup[:total], value[:total], me[:total], is_drawn[:total], class_of, polygons, code, bottom,
                    overlap_sqft,
                )  # fmt: skip
                entry, out = _with_room(entry, entries + len(pieces)), _with_room(out, new + len(pieces))
                entries, new = _enter_pieces(pieces, entry, entries, out, new)
        else:
            if ground and zones:
                total = _without_ground(soup, value, me, is_drawn, total, polygons)
            for i in range(total):
                key[i] = 2 * class_of[me[i]] + (not is_drawn[i])
            _sort(key, order, total)
            place, last = at[cell], -1
            for i in range(total):
                k = order[i]
                code = class_of[me[k]]
                if code != last:
                    _enter(entry, entries, code, 0, place)
                    entries += 1
                    last = code
                if not is_drawn[k] and soup[k, 0] == west:
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
    return counts, entry[:entries].copy(), out[:new].copy()


@njit(nogil=True, cache=True)
def _settle_pure(
    base_of: Owners, base_value: Signs, class_of: Owners, polygons: int, one_class: bool, area: float,
    overlap_sqft: Floats, suspect: Booleans, entry: Entries, entries: int,
) -> int:  # fmt: skip
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
def _doubles(
    soup: Floats, value: Signs, me: Owners, total: int, class_of: Owners, one_class: bool, polygons: int, bottom: float
) -> tuple[float, float]:
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
        slope = (y1 - y0) / (x1 - x0)
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
            u0, v0, u1, v1 = soup[j]
            both = 2.0 * signed * value[j]
            both *= common_area(x0, y0, x1, y1, slope, u0, v0, u1, v1, (v1 - v0) / (u1 - u0), bottom)
            if same:
                own += both
            if group:
                common += both
    return own, common


@njit(nogil=True, cache=True)
def _without_ground(soup: Floats, value: Signs, me: Owners, is_drawn: Booleans, total: int, polygons: int) -> int:
    kept = 0
    for i in range(total):
        if me[i] < polygons:
            soup[kept], value[kept], me[kept], is_drawn[kept] = soup[i], value[i], me[i], is_drawn[i]
            kept += 1
    return kept


@njit(nogil=True, cache=True)
def _redraw(
    soup: Floats, value: Signs, me: Owners, is_drawn: Booleans, class_of: Owners, polygons: int, only: int,
    bottom: float, overlap_sqft: Floats,
) -> Floats:  # fmt: skip
    """The edges between what the first polygon of each place says, by slabs in which no two edges cross.

    With `only`, of this class alone. An edge stays one piece for as long as the classes on its two sides stay. Gives
    west, its y, east, its y, sign, class, and whether it is drawn in the cell; upright ones have sign 0.
    """
    total = len(value)
    use = (value != 0) & (soup[:, 2] > soup[:, 0])
    if only >= 0:
        use &= class_of[me] == only
    upright = np.flatnonzero((value == 0) & is_drawn)
    lines = _lines(soup, use)
    who = _distinct(me[use])
    here = np.searchsorted(who, me)
    covered = np.zeros(len(who), np.int64)
    above, below = np.full(total, -1, np.int64), np.full(total, -1, np.int64)
    since = np.empty((total, 2))
    active, ya, yb = np.empty(total, np.int64), np.empty(total), np.empty(total)
    key, order = np.empty(total), np.empty(total, np.int64)
    pieces, made = np.empty((4 * total + 8, 7)), 0
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
        pieces = _with_room(pieces, made + size * (4 + len(upright)))
        covered[:] = 0
        outside = -1
        for rank in range(size):
            place = order[rank]
            i = active[place]
            covered[here[i]] += value[i]
            lower_a = lower_b = bottom
            if rank + 1 < size:
                lower_a, lower_b = ya[order[rank + 1]], yb[order[rank + 1]]
            inside = outside
            if lower_a != ya[place] or lower_b != yb[place]:  # else the next runs along the same line
                inside = -1
                for k in range(len(who)):
                    if covered[k] != 0 and inside < 0:
                        inside = int(class_of[who[k]])
                    elif covered[k] != 0 and who[k] < polygons:
                        height = (ya[place] - lower_a) + (yb[place] - lower_b)
                        overlap_sqft[class_of[who[k]]] += (east - west) * height * 0.5
                if inside >= 0:
                    for v in upright:
                        x = soup[v, 0]
                        if x == west:
                            low, high = max(lower_a, soup[v, 1]), min(ya[place], soup[v, 3])
                        else:
                            low, high = max(lower_b, soup[v, 1]), min(yb[place], soup[v, 3])
                        if low < high and x in (west, east):
                            made = _piece(pieces, made, x, low, x, high, 0, inside, True)
            loses, gains = (outside, inside) if inside != outside else (-1, -1)
            if above[i] != loses or below[i] != gains:
                made = _end(pieces, made, since[i], west, ya[place], above[i], below[i], is_drawn[i])
                above[i], below[i], since[i, 0], since[i, 1] = loses, gains, west, ya[place]
            if soup[i, 2] == east:
                made = _end(pieces, made, since[i], east, yb[place], loses, gains, is_drawn[i])
            outside = inside
    return pieces[:made]


@njit(nogil=True, cache=True)
def _end(
    pieces: Floats, made: int, since: Floats, x: float, y: float, above: int, below: int, drawn: bool
) -> int:  # fmt: skip
    """A piece that runs since `since` ends: the class below it gains what is under it, the one above loses that."""
    if above != below and below >= 0:
        made = _piece(pieces, made, since[0], since[1], x, y, 1, below, drawn)
    if above != below and above >= 0:
        made = _piece(pieces, made, since[0], since[1], x, y, -1, above, drawn)
    return made


@njit(nogil=True, cache=True)
def _piece(
    pieces: Floats, made: int, x0: float, y0: float, x1: float, y1: float, sign: int, code: int, drawn: bool
) -> int:  # fmt: skip
    pieces[made, 0], pieces[made, 1], pieces[made, 2], pieces[made, 3] = x0, y0, x1, y1
    pieces[made, 4], pieces[made, 5], pieces[made, 6] = sign, code, drawn
    return made + 1


@njit(nogil=True, cache=True)
def _enter_pieces(pieces: Floats, entry: Entries, entries: int, out: Floats, new: int) -> tuple[int, int]:
    """Entries of the classes of a cell that was drawn anew, and its edges behind the others of the list."""
    last = -1
    from_west = np.argsort(pieces[:, 0].copy(), kind="mergesort")
    for rank in np.argsort((2.0 * pieces[:, 5] - pieces[:, 6])[from_west], kind="mergesort"):
        i = from_west[rank]
        code = int(pieces[i, 5])
        if code != last:
            _enter(entry, entries, code, 0, -1 - new)
            entries += 1
            last = code
        out[new] = pieces[i, :5]
        new += 1
        entry[entries - 1, 4] = -1 - new
        if pieces[i, 6] > 0:
            entry[entries - 1, 3] = -1 - new
    return entries, new


@njit(nogil=True, cache=True)
def _lines(soup: Floats, use: Booleans) -> Floats:
    """Where an edge begins, ends or crosses another, from west to east, each once."""
    total = len(use)
    lines, size = np.empty(4 * total + 8), 0
    for i in range(total):
        if not use[i]:
            continue
        lines = _with_room(lines, size + total + 2)
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
    lines[:size].sort()
    kept = min(size, 1)
    for i in range(1, size):
        if lines[i] > lines[kept - 1]:
            lines[kept] = lines[i]
            kept += 1
    return lines[:kept]


@njit(nogil=True, cache=True)
def _enter(entry: Entries, place: int, code: int, base: int, begin: int) -> None:
    entry[place, 0], entry[place, 1] = code, base
    entry[place, 2] = entry[place, 3] = entry[place, 4] = begin


@njit(nogil=True, cache=True)
def _sort(key: Floats, order: Integers, size: int) -> None:
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
def _distinct(values: Owners) -> Integers:
    """Each value once, ascending; there are few."""
    found, size = np.empty(len(values), np.int64), 0
    for value in values:
        place = 0
        while place < size and found[place] < value:
            place += 1
        if place == size or found[place] > value:
            for k in range(size, place, -1):
                found[k] = found[k - 1]
            found[place] = value
            size += 1
    return found[:size]


@njit(nogil=True, cache=True)
def _with_room(array, size):  # type: ignore[no-untyped-def]
    """The array, or a longer one that begins with it."""
    if size <= len(array):
        return array
    longer = np.empty((max(2 * len(array), size), *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer
