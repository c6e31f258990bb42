"""The parcel fabric of an invented town: streets, blocks and lots that tile it without gaps.

Everything is a rectangle in the plan of ``statewide.demo``; each corner of one is a vertex of its neighbours, and
``Ground.locate`` bends them all alike. What a town gets wrong in its file is planted by ``cadastral.demo``, not here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from statewide.demo import OUTLINE_STEP, SHORE_STEP, Ints, InventedTown, River, World, scatter

LOT, ROAD, WATER, BEACH, OPEN = range(5)
_NO_STREET = -1
_VERTEX_EVERY = 36  # feet between the vertices of a straight stretch; 12 to 20 vertices on a usual lot
_LINE = 1 << 32  # a plan position as one sortable integer: the line it lies on, times this, plus the way along it


@dataclass(frozen=True, eq=False)
class Fabric:
    """The parcels of a town, one entry each, in EPSG:6434."""

    geometry: NDArray[np.object_]
    plan: Ints
    """West, south, east, north in the plan; of a second part or a condominium unit, its site's."""
    kind: Ints
    """LOT, ROAD, WATER, BEACH or OPEN."""
    street: Ints
    """Number of the street it faces or is, -1 for none."""
    number: Ints
    """House number."""
    block: Ints
    lot: Ints
    unit: Ints
    """Number of the condominium unit, 0 for none."""
    site: NDArray[np.bool_]
    """The common land of a condominium whose units are cut out of it."""
    stamp: NDArray[np.bool_]
    """A unit cut out of a site. The other units are stacked, all in the shape of their lot."""

    def __len__(self) -> int:
        return len(self.geometry)

    def take(self, rows: Ints) -> Fabric:
        """These rows, in this order; a row may come more than once."""
        return Fabric(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def draw_fabric(world: World, town: InventedTown) -> Fabric:
    """The town's parcels, exactly ``town.parcels`` of them, without a fault."""
    rng = np.random.default_rng([world.seed, town.town_no, 1])
    stacks = rng.integers(6, 25, 1 + town.parcels // 600) if town.parcels >= 200 else np.zeros(0, dtype=np.int64)
    sites = rng.integers(4, 9, 1 + town.parcels // 2_500) if town.parcels >= 200 else np.zeros(0, dtype=np.int64)
    split = town.parcels // 300
    rows = _lay_out(world, town, town.parcels - int(stacks.sum() - len(stacks) + sites.sum()) + split, rng)
    plan = rows[:, :4]
    fabric = Fabric(
        geometry=_polygons(world, town, plan),
        plan=plan,
        kind=rows[:, 4],
        street=rows[:, 5],
        number=rows[:, 6],
        block=rows[:, 7],
        lot=rows[:, 8],
        unit=np.zeros(len(rows), dtype=np.int64),
        site=np.zeros(len(rows), dtype=bool),
        stamp=np.zeros(len(rows), dtype=bool),
    )
    return _build_condominiums(world, _join_across_streets(fabric, split, rng), stacks, sites, rng)


Four = tuple[int, int, int, int]


@dataclass
class _Region:
    """Land still to be divided, with the street on its west, south, east and north side."""

    west: int
    south: int
    east: int
    north: int
    streets: Four
    level: int = 0
    lengthwise: int | None = None

    @property
    def width(self) -> int:
        return self.east - self.west

    @property
    def height(self) -> int:
        return self.north - self.south


def _tens(feet: float) -> int:
    return 10 * round(feet / 10)


class _Layout:
    """Divides the plan of one town into streets, blocks and lots.

    Real subdivisions grow by halving: a street cuts a holding in two, and the halves are cut again until a block is
    two lots deep. The village in the middle has small lots, the outskirts large ones, and some holdings stay whole.
    """

    def __init__(self, town: InventedTown, rivers: tuple[River, ...], seed: int, crowding: float) -> None:
        self.town = town
        self.rng = np.random.default_rng([seed, town.town_no])
        self.crowding = crowding
        west, south, east, north = town.plan
        self.rivers = [river for river in rivers if west < river.east < east and river.head > south]
        self.rows: list[tuple[int, ...]] = []  # west, south, east, north, kind, street, number, block, lot, run
        self.street_count = 0
        self.block_count = 0
        self.run_count = 0
        self.centre = (
            west + (east - west) * self.rng.uniform(0.35, 0.65),
            south + (north - south) * self.rng.uniform(0.42, 0.58),
        )
        self._divide_town()

    def _divide_town(self) -> None:
        west, south, east, north = self.town.plan
        main = self._new_street()
        middle = _tens(self.centre[1])
        below = _NO_STREET
        if self.town.coastal:
            below = self._lay_out_shore(west, east)
            south += 160
        self._add(west, middle - 30, east, middle + 30, ROAD, main)
        self._divide_band(west, south, east, middle - 30, below, main)
        self._divide_band(west, middle + 30, east, north, main, _NO_STREET)

    def _divide_band(self, west: int, south: int, east: int, north: int, below: int, above: int) -> None:
        """A band across the town, first cut where rivers run through it."""
        for river in self.rivers:
            if river.head <= south + 200:
                continue
            if river.head < north - 200:
                street = self._new_street()
                self._add(west, river.head, east, river.head + 40, ROAD, street)
                self._divide_band(west, river.head + 40, east, north, street, above)
                north, above = river.head, street
            left, right = river.banks
            self._add(left, south, right, north, WATER)
            self._divide_land(_Region(west, south, left, north, (_NO_STREET, below, _NO_STREET, above)))
            west = right
        self._divide_land(_Region(west, south, east, north, (_NO_STREET, below, _NO_STREET, above)))

    def _lay_out_shore(self, west: int, east: int) -> int:
        """Beaches and salt marsh of thousands of vertices, cottages between them, and the road behind."""
        road = self._new_street()
        self._add(west, 120, east, 160, ROAD, road)
        mouths = [bank for river in self.rivers for bank in river.banks]
        ends = [west, *mouths, east]
        for left, right in zip(ends[::2], ends[1::2], strict=True):
            at = left
            cottages = bool(self.rng.random() < 0.4)
            while at < right:
                stop = _tens(at + (self.rng.uniform(300, 650) if cottages else self.rng.uniform(1_250, 2_300)))
                if right - stop < 300:
                    stop = right
                if cottages:
                    self.block_count += 1
                    self._lots(_Region(at, 0, stop, 120, (_NO_STREET,) * 4), True, road, True, 0, 62)
                else:
                    self._add(at, 0, stop, 120, BEACH if self.rng.random() < 0.65 else WATER, road)
                at, cottages = stop, not cottages
        for left, right in zip(mouths[::2], mouths[1::2], strict=True):
            self._add(left, 0, right, 120, WATER)
        return road

    def _divide_land(self, region: _Region) -> None:
        waiting = [region]
        while waiting:
            land = waiting.pop()
            depth = self._lot_depth(land)
            if land.lengthwise is None and land.width * land.height < 3_500_000:
                land.lengthwise = int(self.rng.integers(2))
            length, across = self.rng.uniform(480, 950) * depth / 130, 2 * depth
            wide, high = (length, across) if land.lengthwise == 0 else (across, length)
            if land.lengthwise is None:
                wide = high = length
            blocks_wide, blocks_high = land.width / wide, land.height / high
            if self._stays_open(land):
                self._holdings(land)
            elif land.lengthwise is not None and max(blocks_wide, blocks_high) < 1.5:
                self._lots_of_block(land, depth)
            else:
                waiting += self._cut(land, blocks_wide >= blocks_high, max(blocks_wide, blocks_high))

    def _lot_depth(self, land: _Region) -> float:
        """Small lots in the village, deep ones far from it."""
        west, south, east, north = self.town.plan
        away = np.hypot(
            ((land.west + land.east) / 2 - self.centre[0]) / (east - west),
            ((land.south + land.north) / 2 - self.centre[1]) / (north - south),
        )
        return float(105 + 130 * min(1.0, away / 0.6)) * self.crowding

    def _stays_open(self, land: _Region) -> bool:
        """Farms, woods, parks and schools."""
        area = land.width * land.height
        if not 90_000 < area < 750_000 or min(land.width, land.height) < 180:
            return False
        return bool(self.rng.random() < 0.02 + 0.0006 * self._lot_depth(land) / self.crowding)

    def _cut(self, land: _Region, upright: bool, blocks: float) -> list[_Region]:
        """Two regions with a new street between them."""
        if blocks < 3.2:
            parts = max(2, round(blocks))
            share = (parts // 2) / parts + self.rng.uniform(-0.07, 0.07)
        else:
            share = self.rng.uniform(0.36, 0.64)
        wide = 60 if land.level < 2 else 50 if blocks > 4 else 40
        street = self._new_street()
        below, above = _Region(**vars(land)), _Region(**vars(land))
        below.level = above.level = land.level + 1
        w, s, e, n = land.streets
        if upright:
            at = land.west + _tens((land.width - wide) * share)
            self._add(at, land.south, at + wide, land.north, ROAD, street)
            below.east, below.streets = at, (w, s, street, n)
            above.west, above.streets = at + wide, (street, s, e, n)
        else:
            at = land.south + _tens((land.height - wide) * share)
            self._add(land.west, at, land.east, at + wide, ROAD, street)
            below.north, below.streets = at, (w, s, e, street)
            above.south, above.streets = at + wide, (w, street, e, n)
        return [above, below]

    def _holdings(self, land: _Region) -> None:
        """One to three large parcels, the cut along the shorter way."""
        self.block_count += 1
        parts = int(self.rng.integers(1, 4)) if land.width * land.height > 250_000 else 1
        upright = land.width >= land.height
        start, end = (land.west, land.east) if upright else (land.south, land.north)
        ends = [start, *(start + _tens((end - start) * (i + 1) / parts) for i in range(parts - 1)), end]
        street = next((street for street in land.streets if street != _NO_STREET), _NO_STREET)
        for i in range(parts):
            if upright:
                bounds = (ends[i], land.south, ends[i + 1], land.north)
            else:
                bounds = (land.west, ends[i], land.east, ends[i + 1])
            self._add(*bounds, OPEN, street, lot=i + 1)

    def _lots_of_block(self, land: _Region, depth: float) -> None:
        """Two rows of lots back to back, and at some ends a row that faces the side street."""
        w, s, e, n = land.streets
        along = land.width >= land.height
        if along and s == n == _NO_STREET and (w, e) != (_NO_STREET, _NO_STREET):
            along = False
        elif not along and w == e == _NO_STREET and (s, n) != (_NO_STREET, _NO_STREET):
            along = True
        self.block_count += 1
        frontage = max(45.0, 0.62 * depth)
        length, across = (land.width, land.height) if along else (land.height, land.width)
        first_side, last_side = (w, e) if along else (s, n)
        low, high = (s, n) if along else (w, e)
        lot = 0
        for side, is_low in ((first_side, True), (last_side, False)):
            if side == _NO_STREET or length < 2 * depth + 3 * frontage or across < 2 * frontage:
                continue
            if self.rng.random() < 0.45:
                strip = _tens(depth * self.rng.uniform(0.85, 1.1))
                end = _Region(**vars(land))
                if along:
                    end.west, end.east = (land.west, land.west + strip) if is_low else (land.east - strip, land.east)
                    land.west, land.east = (end.east, land.east) if is_low else (land.west, end.west)
                else:
                    end.south, end.north = (
                        (land.south, land.south + strip) if is_low else (land.north - strip, land.north)
                    )
                    land.south, land.north = (end.north, land.north) if is_low else (land.south, end.south)
                lot = self._lots(end, not along, side, not is_low, lot, frontage)
        if _NO_STREET not in (low, high) and across >= 1.25 * depth:
            back = _tens(across * self.rng.uniform(0.44, 0.56))
            first, second = _Region(**vars(land)), _Region(**vars(land))
            if along:
                first.north = second.south = land.south + back
            else:
                first.east = second.west = land.west + back
            lot = self._lots(first, along, low, False, lot, frontage)
            self._lots(second, along, high, True, lot, frontage)
        else:
            is_high = low == _NO_STREET
            self._lots(land, along, high if is_high else low, is_high, lot, frontage)

    def _lots(self, land: _Region, along: bool, street: int, is_high: bool, lot: int, frontage: float) -> int:
        """A row of lots side by side, their street on the high side (north, east) or the low; returns the last lot.

        House numbers grow along the street, odd ones on its one side and even ones on the other.
        """
        start, end = (land.west, land.east) if along else (land.south, land.north)
        number = max(1, round((end - start) / frontage))
        shares = self.rng.uniform(0.75, 1.3, number)
        cuts = start + 10 * np.rint(np.cumsum(shares) / shares.sum() * (end - start) / 10).astype(np.int64)
        cuts[-1] = end
        edges = np.unique(np.concatenate(([start], cuts))).tolist()
        self.run_count += 1
        origin = self.town.plan[0] if along else self.town.plan[1]
        for low, high in pairwise(edges):
            lot += 1
            bounds: Four = (low, land.south, high, land.north) if along else (land.west, low, land.east, high)
            self._add(*bounds, LOT, street, 2 * ((low - origin) // 20) + 1 + is_high, lot, self.run_count)
        return lot

    def _new_street(self) -> int:
        self.street_count += 1
        return self.street_count - 1

    def _add(
        self,
        west: int,
        south: int,
        east: int,
        north: int,
        kind: int,
        street: int = _NO_STREET,
        number: int = 0,
        lot: int = 0,
        run: int = 0,
    ) -> None:
        self.rows.append((west, south, east, north, kind, street, number, self.block_count, lot, run))


def _lay_out(world: World, town: InventedTown, wanted: int, rng: np.random.Generator) -> Ints:
    """Rows of the layout, exactly as many as wanted: a little too many lots, then some owners hold two."""
    west, south, east, north = town.plan
    crowding = ((east - west) * (north - south) / wanted / 26_000) ** 0.5
    while True:
        rows = np.array(_Layout(town, world.rivers, world.seed, crowding).rows, dtype=np.int64)
        if wanted <= len(rows) <= 1.15 * wanted:
            break
        # damped, and never the same value twice, for the number of lots jumps a little with every change
        crowding *= float((len(rows) / (1.07 * wanted)) ** 0.4 * rng.uniform(0.97, 1.03))
    while len(rows) > wanted:
        pairs = np.flatnonzero((rows[:-1, 4] == LOT) & (rows[:-1, 9] == rows[1:, 9]) & (rows[:-1, 8] % 2 == 1))
        first = rng.choice(pairs, min(len(pairs), len(rows) - wanted), replace=False)
        rows[first, 2:4] = rows[first + 1, 2:4]
        rows = np.delete(rows, first + 1, axis=0)
    return rows


def _polygons(world: World, town: InventedTown, plan: Ints) -> NDArray[np.object_]:
    """The rectangles of the plan as polygons on the ground, with every vertex that a neighbour has."""
    west, south, east, north = plan.T
    town_west, town_south, town_east, town_north = town.plan
    along = [
        _positions(town_south, town_west, town_east, SHORE_STEP if town.coastal else OUTLINE_STEP),
        _positions(town_north, town_west, town_east, OUTLINE_STEP),
    ]
    up = [_positions(line, town_south, town_north, OUTLINE_STEP) for line in (town_west, town_east)]
    level = _vertices(np.r_[south, north], np.r_[west, west], np.r_[east, east], np.concatenate(along), world.seed + 2)
    upright = _vertices(np.r_[west, east], np.r_[south, south], np.r_[north, north], np.concatenate(up), world.seed + 3)
    ground = world.ground.locate(
        np.concatenate((level % _LINE, upright // _LINE)), np.concatenate((level // _LINE, upright % _LINE))
    )

    def on_level(line: Ints, at: Ints) -> Ints:
        return np.searchsorted(level, line * _LINE + at)

    def on_upright(line: Ints, at: Ints) -> Ints:
        return len(level) + np.searchsorted(upright, line * _LINE + at)

    starts = (on_level(south, west), on_upright(east, south), on_level(north, east), on_upright(west, north))
    stops = (on_level(south, east), on_upright(east, north), on_level(north, west), on_upright(west, south))
    start, stop = np.column_stack(starts).ravel(), np.column_stack(stops).ravel()
    length = np.abs(stop - start)
    steps = _count_up(length) * np.repeat(np.sign(stop - start), length)
    ring = np.repeat(np.arange(len(plan)), length.reshape(-1, 4).sum(axis=1))
    rings = shapely.linearrings(ground[np.repeat(start, length) + steps], indices=ring)
    polygons: NDArray[np.object_] = shapely.polygons(rings)
    return polygons


def _positions(line: int, start: int, stop: int, step: int) -> Ints:
    return line * _LINE + np.arange(start, stop + 1, step)


def _vertices(line: Ints, start: Ints, stop: Ints, outline: Ints, seed: int) -> Ints:
    """Sorted positions of all vertices on lines of one direction: corners, the town's outline, points between."""
    low, high = line * _LINE + start, line * _LINE + stop
    corners = np.unique(np.concatenate((low, high, outline)))
    size = len(corners)
    opens = np.bincount(np.searchsorted(corners, low), minlength=size)
    closes = np.bincount(np.searchsorted(corners, high), minlength=size)
    edge = np.flatnonzero(np.cumsum(opens - closes)[:-1] > 0)  # an edge runs from this corner to the next
    gap = corners[edge + 1] - corners[edge]
    parts = np.maximum(1, np.rint(gap / _VERTEX_EVERY).astype(np.int64))
    edge, gap = np.repeat(edge, parts - 1), np.repeat(gap, parts - 1)
    nth = 1 + _count_up(parts - 1)
    way = (nth + 0.25 * scatter(corners[edge], nth, seed)) / np.repeat(parts, parts - 1)
    return np.sort(np.concatenate((corners, corners[edge] + (gap * way).astype(np.int64))))


def _count_up(lengths: Ints) -> Ints:
    """0, 1, … up to each length in turn."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)


def _join_across_streets(fabric: Fabric, wanted: int, rng: np.random.Generator) -> Fabric:
    """Some owners hold a lot on both sides of a street: one parcel of two parts."""
    west, south, east, north = fabric.plan.T
    lots = fabric.kind == LOT
    streets = rng.permutation(np.flatnonzero((fabric.kind == ROAD) & (np.minimum(east - west, north - south) <= 50)))
    geometry, gone = fabric.geometry.copy(), np.zeros(len(fabric), dtype=bool)
    for street in streets:
        if gone.sum() == wanted:
            break
        if east[street] - west[street] > north[street] - south[street]:
            middle = (west[street] + east[street]) // 2
            here = lots & (west <= middle) & (middle < east)
            near, far = here & (north == south[street]), here & (south == north[street])
        else:
            middle = (south[street] + north[street]) // 2
            here = lots & (south <= middle) & (middle < north)
            near, far = here & (east == west[street]), here & (west == east[street])
        if near.any() and far.any():
            one, other = int(np.argmax(near)), int(np.argmax(far))
            geometry[one] = MultiPolygon([geometry[one], geometry[other]])
            gone[other] = True
            lots[[one, other]] = False
    return replace(fabric, geometry=geometry).take(np.flatnonzero(~gone))


def _build_condominiums(world: World, fabric: Fabric, stacks: Ints, sites: Ints, rng: np.random.Generator) -> Fabric:
    """Condominiums in both ways that towns draw them.

    A stack is one lot drawn once for each of its units. A site is common land with a tiny stamp for each unit, cut out.
    """
    west, south, east, north = fabric.plan.T
    short, size = np.minimum(east - west, north - south), (east - west) * (north - south)
    whole = np.flatnonzero((fabric.kind == LOT) & (shapely.get_num_geometries(fabric.geometry) == 1))
    roomy = whole[np.lexsort((size[whole], short[whole] >= 90))][-(len(whole) // 4) :]
    chosen = rng.choice(roomy, len(stacks) + len(sites), replace=False)
    copies = np.ones(len(fabric), dtype=np.int64)
    copies[chosen] = np.concatenate((stacks, sites + 1))
    index = np.repeat(np.arange(len(fabric)), copies)
    drawn = fabric.take(index)
    drawn.unit[:] = np.where(copies[index] > 1, _count_up(copies) + 1, 0)
    first = np.searchsorted(index, chosen)
    for row, units in zip(first[len(stacks) :].tolist(), sites.tolist(), strict=True):
        stamps = _stamps(world, tuple(drawn.plan[row].tolist()), units)
        drawn.geometry[row] = Polygon(drawn.geometry[row].exterior, [stamp.exterior for stamp in stamps])
        drawn.geometry[row + 1 : row + 1 + units] = stamps
        drawn.unit[row : row + 1 + units] = np.arange(units + 1)
        drawn.site[row] = True
        drawn.stamp[row + 1 : row + 1 + units] = True
    return drawn


def _stamps(world: World, plan: tuple[int, int, int, int], units: int) -> NDArray[np.object_]:
    """Squares of some 35 sq ft, in rows well inside the lot."""
    west, south, east, north = plan
    across = round(units**0.5 + 0.3)
    column, row = np.arange(units) % across, np.arange(units) // across
    x = west + ((column + 1) * (east - west)) // (across + 1)
    y = south + ((row + 1) * (north - south)) // (units // across + 2)
    corners = world.ground.locate(
        (x[:, None] + np.array([0, 6, 6, 0])).ravel(), (y[:, None] + np.array([0, 0, 6, 6])).ravel()
    )
    stamps: NDArray[np.object_] = shapely.polygons(corners.reshape(units, 4, 2))
    return stamps
