"""The parcels of ``statewide demo``: a contiguous fabric for each invented town, handed in as towns do.

Lots, streets, water and beaches are rectangles in the plan of ``statewide.demo`` that tile the town; every corner
of one is a vertex of its neighbours. Then some lots become condominiums or get a second part across the street, and
in a dirty town the faults of ``DIRT`` are planted. The files come in the formats and dialects that towns really use.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from statewide.demo import CRS, OUTLINE_STEP, SHORE_STEP, DemoContext, Floats, Ints, River, Town, World, scatter

YEAR = 2025

DIRT = {
    "null-geometry": 3,
    "bow-tie": 1,
    "duplicate-id": 2,
    "blank-link": 4,
    "other-town": 3,
    "null-string": 12,
    "area-disagrees": 3,
    "outside-town": 2,
    "overlap": 1,
}
"""The faults of a dirty town and the rows that each of them spoils. Its shapefile also lacks the ``.prj``."""

CANARY = "CANARY"
"""Stands in every value of the owner and mailing columns: wherever it shows up later, a person leaked."""

LOT, ROAD, WATER, BEACH, OPEN = range(5)
_KIND_TYPES = np.array(["SINGLE", "ROW", "WATER", "OPEN SPACE", "OPEN SPACE"])

_STREETS = (
    "Main Shore Elm Maple Church School Mill Harbor Orchard Spring Pleasant Prospect Cedar Meadow Pond Chestnut Walnut "
    "Highland Lincoln Grove Summit Park Willow Beach Hillside Valley Ridge Bridge Water Union Pine Oak Laurel Sunset"
).split()
_STREET_KINDS = ("Street", "Road", "Lane", "Avenue", "Drive", "Way")
_STREET_NAMES = tuple(f"{name} {kind}" for kind in _STREET_KINDS for name in _STREETS)
_NO_STREET = -1
_SMALL_WORLD = 50_000  # up to here each town comes in another format; beyond, GeoPackage is what can be written fast


@dataclass(frozen=True)
class Delivery:
    """One file that a town hands in."""

    file: Path
    town: Town
    year: int
    format: str


@dataclass(frozen=True, eq=False)
class Fabric:
    """The parcels of a town, one entry each: geometry in EPSG:6434 and the facts that its columns are written from."""

    geometry: NDArray[np.object_]
    kind: Ints
    plan: Ints
    """West, south, east, north in the plan, of the lot itself or of the site that a condominium stands on."""
    parcel_type: NDArray[np.str_]
    street: Ints
    number: Ints
    block: Ints
    lot: Ints
    unit: Ints
    """0, or the number of the condominium unit."""


Side = tuple[int, int, int, int]


@dataclass
class _Region:
    """Land still to be divided, with the street on its west, south, east and north side."""

    west: int
    south: int
    east: int
    north: int
    streets: Side
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

    def __init__(self, town: Town, rivers: tuple[River, ...], seed: int, crowding: float) -> None:
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
                    self._lots(_Region(at, 0, stop, 120, (_NO_STREET,) * 4), True, road, 0, 62)
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
            self._add(*bounds, OPEN, street, 2 * i + 1, i + 1)

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
                lot = self._lots(end, not along, side, lot, frontage)
        if _NO_STREET not in (low, high) and across >= 1.25 * depth:
            back = _tens(across * self.rng.uniform(0.44, 0.56))
            first, second = _Region(**vars(land)), _Region(**vars(land))
            if along:
                first.north = second.south = land.south + back
            else:
                first.east = second.west = land.west + back
            lot = self._lots(first, along, low, lot, frontage)
            self._lots(second, along, high, lot, frontage)
        else:
            self._lots(land, along, high if low == _NO_STREET else low, lot, frontage)

    def _lots(self, land: _Region, along: bool, street: int, lot: int, frontage: float) -> int:
        """A row of lots side by side; returns the number of the last one."""
        start, end = (land.west, land.east) if along else (land.south, land.north)
        number = max(1, round((end - start) / frontage))
        shares = self.rng.uniform(0.75, 1.3, number)
        cuts = start + 10 * np.rint(np.cumsum(shares) / shares.sum() * (end - start) / 10).astype(np.int64)
        cuts[-1] = end
        edges = np.unique(np.concatenate(([start], cuts))).tolist()
        self.run_count += 1
        parity = self.run_count % 2
        origin = self.town.plan[0] if along else self.town.plan[1]
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            lot += 1
            bounds = (low, land.south, high, land.north) if along else (land.west, low, land.east, high)
            self._add(*bounds, LOT, street, 2 * ((low - origin) // 20) + 1 + parity, lot, self.run_count)
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


def draw_fabric(world: World, town: Town) -> Fabric:
    """The town's parcels, exactly as many as it is to have, without faults."""
    rng = np.random.default_rng([world.seed, town.town_no, 1])
    stacks = [int(n) for n in rng.integers(6, 25, max(1, town.parcels // 600))]
    sites = [int(n) for n in rng.integers(4, 9, max(1, town.parcels // 2_500))]
    stacked = sum(stacks) - len(stacks) + sum(sites)
    if stacked > town.parcels // 4:
        stacks, sites, stacked = [], [], 0
    wanted = town.parcels - stacked
    rows = _lay_out(world, town, wanted, rng)
    rings, geometry = _shapes(world, town, rows)
    fabric = Fabric(
        geometry=geometry,
        kind=rows[:, 4],
        plan=rows[:, :4],
        parcel_type=_KIND_TYPES[rows[:, 4]],
        street=rows[:, 5],
        number=rows[:, 6],
        block=rows[:, 7],
        lot=rows[:, 8],
        unit=np.zeros(len(rows), dtype=np.int64),
    )
    del rings
    return _build_condominiums(world, fabric, stacks, sites, rng)
