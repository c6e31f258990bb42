"""The invented world of ``statewide demo``: an island in Long Island Sound with towns, rivers and a coast.

Everything is drawn in a *plan* of right angles (whole feet, west to east and south to north) and bent into a
landscape by :meth:`Ground.locate`, one and the same function for every vertex. So towns tile the island, and
whatever the rooms draw in the plan meets without gaps. This module knows no domain: it loads nothing itself, but
calls the entry points of group ``statewide.demo``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from itertools import pairwise
from math import ceil, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely import LineString, Polygon

from statewide import register
from statewide.database import connect
from statewide.errors import BadArgument
from statewide.settings import Settings
from statewide.standard import load_standard

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CRS = "EPSG:6434"
NORTH_WEST = (931_200.0, 622_700.0)
"""Lon -73.0, lat 41.17 in EPSG:6434 feet; from here to the south and the east there is no land of Connecticut."""

OUTLINE_STEP = 10
"""Town outlines have a vertex at every tenth foot of the plan, so a line that meets one does so at a whole ten."""

SHORE_STEP = 1
"""The open coast, plan line ``north = 0``, has a vertex at every foot."""

EDITION = 2
"""Raise it when the same seed gives another world, so that files of an older one are not reused."""

_FIRST_TOWN_NO = 901
_MOST_TOWNS = 1000  # as many as there are codes from 99000 to 99999
_FEWEST_PARCELS = 100  # a town below this has no room for streets
_ROOMY_SQFT = 26_000.0  # ground per parcel, streets and open land included
_TIGHT_SQFT = 15_000.0
_MOST_WIDTH, _MOST_HEIGHT = 318_000.0, 65_000.0  # keeps a whole state's worth inside Connecticut's state plane envelope
_RIVER_SPACING = 30_000
_DIRTY_EVERY = 12

_FIRST = (
    "Alder Thistle Quill Marl Sedge Wren Lark Pender Hollis Tamar Fallow Bram Curlew Gorse Heron Juniper Kestrel Loam"
)
_LAST = "brook mere combe stead wick holm cove fell garth ness"


@dataclass(frozen=True, eq=False)
class InventedTown:
    """One invented town; ``plan`` is west, south, east, north in plan feet, multiples of ten."""

    town_no: int
    name: str
    cousub: str
    plan: tuple[int, int, int, int]
    parcels: int
    dirty: bool
    outline: Polygon

    @property
    def coastal(self) -> bool:
        """Its southern edge is the open coast."""
        return self.plan[1] == 0


@dataclass(frozen=True, eq=False)
class River:
    """A river runs down the plan line ``east`` from ``head`` to the coast, in a bed ``bed`` plan feet wide.

    ``flood_half_width`` are plan feet to either side at the ``stations``, plan norths from the coast to above the head.
    """

    east: int
    head: int
    bed: int
    stations: Floats
    flood_half_width: Floats
    centreline: LineString

    @property
    def banks(self) -> tuple[int, int]:
        """West and east bank in the plan."""
        return self.east - self.bed // 2, self.east + self.bed // 2


@dataclass(frozen=True, eq=False)
class Ground:
    """The bending of the plan into a landscape. All of it is smooth and one-to-one, but for the ragged shore."""

    seed: int
    width: int
    height: int
    waves: Floats
    """Rows of wave vector (2), phase, shift (2): long waves make the streets curve, short ones the lots uneven."""
    twirls: Floats
    """Rows of centre (2), radius, angle: neighbourhoods whose streets run at another angle."""
    river_easts: Ints
    river_heads: Ints

    def locate(self, east: Ints | Floats, north: Ints | Floats) -> Floats:
        """Plan positions as an (n, 2) array of EPSG:6434 feet, rounded so that no two calls differ."""
        x, y = east.astype(np.float64), north.astype(np.float64)
        x, y = self._shore(x, y)
        x = self._rivers(x, y)
        x, y = self._twirl(x, y)
        dx, dy = np.zeros_like(x), np.zeros_like(y)
        for kx, ky, phase, shift_x, shift_y in self.waves:
            swing = np.sin(kx * x + ky * y + phase)
            dx += shift_x * swing
            dy += shift_y * swing
        x, y = self._round_off(x + dx, y + dy)
        column, row = np.rint(east).astype(np.int64), np.rint(north).astype(np.int64)
        survey = np.where(row == 0, 0.05, 0.3)  # no two surveys agree to the foot; vertices of the shore are close
        x += survey * scatter(column, row, self.seed)
        y += survey * scatter(column, row, self.seed + 1)
        ground = np.column_stack((x + NORTH_WEST[0], y + NORTH_WEST[1] - self.height))
        return np.round(ground, 3)

    def _shore(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Bays and headlands that fade inland, and on the very edge of the island the raggedness of a real shore."""
        size = min(1.0, min(self.width, self.height) / 5_000)
        dx, dy = np.zeros_like(x), np.zeros_like(y)
        edges = (
            (y, x, self.width, dy, -1),
            (self.height - y, x, self.width, dy, 1),
            (x, y, self.height, dx, -1),
            (self.width - x, y, self.height, dx, 1),
        )
        for edge, (inland, along, length, shift, outward) in enumerate(edges):
            # Towards the corners both fade out, for two shores that moved there would cross.
            to_corner = np.minimum(along, length - along)
            level = np.clip(to_corner / (1_200 * size), 0, 1)
            for octave, (wave, reach, depth) in enumerate(((2_600, 340, 3_400), (1_100, 75, 1_000), (430, 20, 400))):
                fade = level * np.clip(1 - np.maximum(inland, 0) / (depth * size), 0, 1) ** 3
                seed = self.seed + 1_000 * edge + octave
                shift += outward * reach * size * fade * ripple(along, wave * size, seed)
            rim = np.flatnonzero(inland == 0)
            ragged = outward * 0.11 * np.clip(to_corner[rim] / 150, 0, 1)
            # Only the open coast has vertices for the finest waves.
            for octave, wave in enumerate((90, 42, 19, 8, 4) if edge == 0 else (90, 42)):
                # Outward only: the rim must not pass the vertices just inside it.
                shift[rim] += wave * ragged * (1 + ripple(along[rim], wave, self.seed + 1_000 * edge + 10 + octave))
        return x + dx, y + dy

    def _rivers(self, x: Floats, y: Floats) -> Floats:
        """Meanders, a pond at the head, and a mouth that widens to the sea; the streets beside give way."""
        moved = x.copy()
        for number, (river, head) in enumerate(zip(self.river_easts, self.river_heads, strict=True)):
            off = x - river
            near = np.abs(off) < 1_700
            if not near.any():
                continue
            t, v = off[near], y[near]
            meander = 150 * ripple(v, 900, self.seed + 50 + number) + 38 * ripple(v, 330, self.seed + 70 + number)
            meander *= np.clip(v / 500, 0, 1)  # settles before the coast, where the mouth opens
            mouth = 110 * np.exp(-np.maximum(v, 0) / 520)
            pond = 130 * np.exp(-(((v - head + 260) / 210) ** 2))
            widening = mouth + pond + 6 * ripple(v, 140, self.seed + 90 + number)
            bed = 20.0
            beyond = np.clip((np.abs(t) - bed) / 900, 0, 1)
            push = np.where(np.abs(t) <= bed, t / bed, np.sign(t) * (1 - beyond) ** 3)
            moved[near] += meander * (1 - np.minimum(np.abs(t) / 1_700, 1) ** 2) ** 2 + widening * push
        return moved

    def _twirl(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        x, y = x.copy(), y.copy()
        west, east, south, north = x.min(), x.max(), y.min(), y.max()
        for centre_x, centre_y, radius, angle in self.twirls:
            if not (west - radius < centre_x < east + radius and south - radius < centre_y < north + radius):
                continue
            dx, dy = x - centre_x, y - centre_y
            distance = np.hypot(dx, dy) / radius
            inside = distance < 1
            turn = angle * (1 - distance[inside] ** 2) ** 2
            cos, sin = np.cos(turn), np.sin(turn)
            dx, dy = dx[inside], dy[inside]
            x[inside] = centre_x + cos * dx - sin * dy
            y[inside] = centre_y + sin * dx + cos * dy
            west, east, south, north = x.min(), x.max(), y.min(), y.max()
        return x, y

    def _round_off(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Draw in the four corners of the island."""
        half_width, half_height = self.width / 2, self.height / 2
        reach = min(half_width, half_height)
        from_x, from_y = x - half_width, y - half_height
        edge_x = np.clip((np.abs(from_x) - half_width + reach) / reach, 0, 1.1)
        edge_y = np.clip((np.abs(from_y) - half_height + reach) / reach, 0, 1.1)
        draw = 0.15 * reach * edge_x**2 * edge_y**2
        return x - np.sign(from_x) * draw, y - np.sign(from_y) * draw


@dataclass(frozen=True, eq=False)
class World:
    """All that the rooms draw from."""

    seed: int
    parcels: int
    ground: Ground
    towns: tuple[InventedTown, ...]
    rivers: tuple[River, ...]
    coast: LineString

    @property
    def key(self) -> dict[str, int]:
        """What determines this world."""
        return {"edition": EDITION, "seed": self.seed, "towns": len(self.towns), "parcels": self.parcels}


@dataclass(frozen=True)
class DemoContext:
    """What a part of the demo is handed; without settings it writes its files and loads nothing."""

    world: World
    folder: Path
    settings: Settings | None
    progress: Callable[[str], None]


def scatter(a: Ints, b: Ints, seed: int) -> Floats:
    """A number between -1 and 1 that depends on the three integers alone (splitmix64)."""
    z = a.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z ^= b.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    z += np.uint64((seed * 0xD6E8FEB86659FD93 + 0x632BE59BD9B4E019) % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1


def ripple(position: Floats, length: float, seed: int) -> Floats:
    """Smooth noise along a line, between -1 and 1, with a new value every ``length`` feet."""
    at = position / length
    step = np.floor(at)
    before = step.astype(np.int64)
    t = at - step
    low, high = scatter(before, before, seed), scatter(before + 1, before + 1, seed)
    return low + (high - low) * t * t * t * (t * (6 * t - 15) + 10)


def make_world(towns: int, parcels: int, seed: int) -> World:
    """Invent an island; equal arguments give equal worlds, to the last bit.

    Raises:
        BadArgument: more towns than codes, too few parcels for so many towns, or a negative seed.
    """
    if not 1 <= towns <= _MOST_TOWNS:
        raise BadArgument(f"The demo can invent 1 to {_MOST_TOWNS} towns, not {towns}.")
    if parcels < towns * _FEWEST_PARCELS:
        raise BadArgument(f"{towns} towns need at least {towns * _FEWEST_PARCELS} parcels, not {parcels}.")
    if seed < 0:
        raise BadArgument(f"The seed must not be negative, as {seed} is.")
    rng = np.random.default_rng(seed)
    shares = rng.uniform(0.7, 1.3, towns)
    counts = np.full(towns, _FEWEST_PARCELS // 2) + _apportion(shares, parcels - towns * (_FEWEST_PARCELS // 2))
    plans, width, height = _plan_towns(counts * rng.uniform(0.8, 1.25, towns), parcels)
    rivers = _plan_rivers(plans, width, height, rng)
    ground = Ground(
        seed=seed,
        width=width,
        height=height,
        waves=_waves(rng),
        twirls=_twirls(width, height, rng),
        river_easts=np.array([east for east, _ in rivers], dtype=np.int64),
        river_heads=np.array([head for _, head in rivers], dtype=np.int64),
    )
    names = _names(towns, rng)
    return World(
        seed=seed,
        parcels=parcels,
        ground=ground,
        towns=tuple(
            InventedTown(
                town_no=_FIRST_TOWN_NO + i,
                name=names[i],
                cousub=f"99{(_FIRST_TOWN_NO + i) % 1000:03d}",
                plan=plan,
                parcels=int(counts[i]),
                dirty=i % _DIRTY_EVERY == 1,
                outline=_outline(ground, plan),
            )
            for i, plan in enumerate(plans)
        ),
        rivers=tuple(_river(ground, east, head, seed + i) for i, (east, head) in enumerate(rivers)),
        coast=_line(ground, np.arange(0, width + 1, SHORE_STEP), np.array([0])),
    )


def _apportion(shares: Floats, total: int) -> Ints:
    """Whole numbers in these proportions that add up to the total."""
    ends = np.rint(np.cumsum(shares) / shares.sum() * total).astype(np.int64)
    return np.diff(ends, prepend=0)


def _plan_towns(weights: Floats, parcels: int) -> tuple[list[tuple[int, int, int, int]], int, int]:
    """Rows of towns, from the north-west on, each town as large as its weight; then the island's width and height."""
    towns = len(weights)
    room = parcels * min(_ROOMY_SQFT, max(_TIGHT_SQFT, _MOST_WIDTH * _MOST_HEIGHT / parcels))
    height = min(sqrt(room) * 0.92, _MOST_HEIGHT)
    rows = min(towns, max(1, round(height / sqrt(room / towns))))
    width = 10 * round(room / height / 10)
    firsts = np.linspace(0, towns, rows + 1).round().astype(np.int64).tolist()
    in_rows = [weights[first:stop] for first, stop in pairwise(firsts)]
    heights = [max(10, 10 * round(float(row.sum() / weights.sum()) * height / 10)) for row in in_rows]
    plans: list[tuple[int, int, int, int]] = []
    north = total = sum(heights)
    for row, high in zip(in_rows, heights, strict=True):
        easts = [0, *np.cumsum(10 * _apportion(row, width // 10)).tolist()]
        plans += [(west, north - high, east, north) for west, east in pairwise(easts)]
        north -= high
    return plans, width, total


def _plan_rivers(
    plans: list[tuple[int, int, int, int]], width: int, height: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """East and head of each river, as far from every town line as its stretch of the island allows."""
    lines = np.array(sorted({plan[0] for plan in plans} | {width}))
    number = max(1, width // _RIVER_SPACING)
    top = min(plan[1] for plan in plans if plan[3] == height)
    rivers = []
    for i in range(number):
        stretch = width / number
        choices = np.arange((i + 0.3) * stretch, (i + 0.7) * stretch, 20)
        choices = 10 * (choices // 10)
        clear = np.abs(choices[:, None] - lines[None, :]).min(axis=1) * rng.uniform(0.9, 1.1, len(choices))
        head = 10 * int((top + (height - top) * rng.uniform(0.72, 0.84)) // 10)
        rivers.append((int(choices[int(np.argmax(clear))]), head))
    return rivers


def _waves(rng: np.random.Generator) -> Floats:
    rows = []
    # Slope: how far a straight street may lean. All the slopes together stay below 1, or the plan would fold.
    for length, slope in ((7_000, 0.20), (2_600, 0.16), (900, 0.09), (330, 0.05)):
        for _ in range(3):
            heading, swing = rng.uniform(0, 2 * pi, 2)
            wave = 2 * pi / (length * rng.uniform(0.8, 1.25))
            reach = slope / 3 / wave * 1.5
            rows.append(
                (
                    wave * np.cos(heading),
                    wave * np.sin(heading),
                    rng.uniform(0, 2 * pi),
                    reach * np.cos(swing),
                    reach * np.sin(swing),
                )
            )
    return np.array(rows)


def _twirls(width: int, height: int, rng: np.random.Generator) -> Floats:
    number = max(3, round(width * height / 2_300**2))
    return np.column_stack(
        (
            rng.uniform(0, width, number),
            rng.uniform(0, height, number),
            rng.uniform(900, 2_000, number),
            rng.uniform(0.2, 0.55, number) * rng.choice([-1, 1], number),
        )
    )


def _names(towns: int, rng: np.random.Generator) -> list[str]:
    firsts, lasts = _FIRST.split(), _LAST.split()
    plain = [first + last for first in firsts for last in lasts]
    order = ["Alderbrook", *(str(name) for name in rng.permutation(plain) if name != "Alderbrook")]
    rounds = ceil(towns / len(order))
    return [f"{way}{name}" for way in ("", "Upper ", "Lower ", "Great ", "Little ", "Far ")[:rounds] for name in order]


def _line(ground: Ground, east: Ints, north: Ints) -> LineString:
    east, north = np.broadcast_arrays(east, north)
    return LineString(ground.locate(east, north))


def _outline(ground: Ground, plan: tuple[int, int, int, int]) -> Polygon:
    """The town's outline, with the vertices that the parcels along it have too."""
    west, south, east, north = plan
    along = np.arange(west, east, SHORE_STEP if south == 0 else OUTLINE_STEP)
    up = np.arange(south, north, OUTLINE_STEP)
    back = np.arange(east, west, -OUTLINE_STEP)
    down = np.arange(north, south, -OUTLINE_STEP)
    easts = np.concatenate((along, np.full(len(up), east), back, np.full(len(down), west)))
    norths = np.concatenate((np.full(len(along), south), up, np.full(len(back), north), down))
    return Polygon(ground.locate(easts, norths))


def _river(ground: Ground, east: int, head: int, seed: int) -> River:
    stations = np.arange(0, head + 300, OUTLINE_STEP, dtype=np.float64)
    # An estuary floods wide, a narrow valley little; the ripples are the lie of the land.
    half_width = (
        210
        + 120 * ripple(stations, 1_300, seed + 110)
        + 45 * ripple(stations, 380, seed + 111)
        + 8 * ripple(stations, 60, seed + 112)
        + 260 * np.exp(-stations / 900)
    )
    half_width = np.maximum(half_width, 60) * np.sqrt(np.clip((stations[-1] - stations) / 500, 0, 1))
    return River(
        east=east,
        head=head,
        bed=40,
        stations=stations,
        flood_half_width=half_width,
        centreline=_line(ground, np.array([east]), np.arange(head, -1, -OUTLINE_STEP)),
    )


def run_demo(
    settings: Settings, *, towns: int, parcels: int, seed: int, out: Path | None, say: Callable[[str], None]
) -> dict[str, Any]:
    """Invent a world and load it, or with ``out`` only write its files there.

    Doing it again with the same numbers writes nothing: the files are kept, and the platform finds them unchanged.

    Raises:
        BadArgument: the numbers make no world, or ``out`` holds other files.
    """
    world = make_world(towns, parcels, seed)
    folder = out or settings.home / "demo"
    _open_folder(folder, world)
    if out is None:
        _register(settings, world)
    context = DemoContext(world, folder, None if out else settings, say)
    parts = {
        part.name: part.load()(context)
        for part in sorted(entry_points(group="statewide.demo"), key=lambda part: part.name)
    }
    done = "Wrote the files of" if out else "Loaded"
    message = f"{done} {towns} invented towns with {parcels:,} parcels ({folder})."
    return {"outcome": "ok", **world.key, "folder": str(folder), "parts": parts, "message": message}


def _register(settings: Settings, world: World) -> None:
    towns = [register.Town(town.cousub, town.town_no, town.name, town.outline) for town in world.towns]
    with connect(settings) as connection:
        register.add_invented_towns(connection, load_standard(), towns)


def _open_folder(folder: Path, world: World) -> None:
    """Make the folder, keep it when it holds this world, empty it when it holds another one of ours.

    Raises:
        BadArgument: it holds something else.
    """
    label = folder / "world.json"
    if folder.exists() and any(folder.iterdir()):
        known = _key_in(label)
        if known is None or known.keys() != world.key.keys():
            raise BadArgument(f"The folder {folder} holds other files; name a new or an empty one.")
        if known == world.key:
            return
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    label.write_text(json.dumps(world.key) + "\n")


def _key_in(label: Path) -> dict[str, Any] | None:
    """What the label says; None where there is none of ours, for others call their maps ``world.json`` too."""
    try:
        known = json.loads(label.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known if isinstance(known, dict) else None
