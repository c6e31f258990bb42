"""Drawings for the report, as SVG to stand inside a page: the town with its faults, and close-ups of single places.

Shapes are brought to a whole-number grid of about a screen pixel and written as relative paths, so that a town of
20,000 parcels stays a small file. Only the drawing is simplified. Knows nothing of findings: it draws marks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from statewide.geometry import Shapes
from statewide.standard import SEVERITIES, Severity

Grid = npt.NDArray[np.int32]
"""Whole grid units, x and y in a row each."""
Owners = npt.NDArray[np.int64]
Box = tuple[float, float, float, float]

_LONG_SIDE = 1600
_FABRIC_BYTES = 700_000
_MARKS_BYTES = 350_000
_VERTEX_BYTES = 5
"""What a vertex takes in a path, about."""
_SAMPLED = 500
"""Shapes that are drawn on trial, to see how heavy all of them would be."""
_CLOSE_UP = (320, 220)
_CLOSE_UP_FT = 300.0
"""A close-up shows at least this width, so that a spot or a sliver has neighbours around it."""
_AMONG_POINTS_FT = (600.0, 1200.0, 2400.0)
"""Points stand farther apart than lots: the first of these widths that shows so many of them, or the last."""
_NEIGHBOURS = 6
_WAY_FT = 264_000.0
"""What lies outside of the town by up to this (50 miles) is shown with the part of the town that is nearest to it."""
_NAMED = 24
"""Where more points than this are in a close-up, only those that it is about have their names beside them."""
_LETTER, _LINE = 10, 15
"""What a letter of a name takes in a close-up, across and up, in grid units."""
_BESIDE = 13
"""How far from the middle of its point a name begins."""
_FINE, _FINE_MAP = 150, 4000
"""With more points than this a close-up, and the map, draw them finer."""
_SMALL = 16
"""A shape that measures less than this on the grid gets a marker as well, or nobody would see it."""
_CROWD = 300
"""With more marks than this of one severity, areas go without markers."""
_PINNED = 60
"""A finding of more points than this is shown as dots of its colour, and a close-up takes no more of them."""
_SCALES_FT = (10, 20, 50, 100, 200, 500, 1000, 2000, 2640, 5280, 10560, 26400, 52800)
_SCALE_WORDS = {2640: "½ mile", 5280: "1 mile", 10560: "2 miles", 26400: "5 miles", 52800: "10 miles"}
_MARKERS: dict[Severity, str] = {
    "BLOCK": "M{x} {y}m-{r}-{r}h{d}v{d}h-{d}z",
    "ERROR": "M{x} {y}m0-{r}l{r} {d}h-{d}z",
    "WARN": "M{x} {y}m-{r} 0a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0-{d} 0z",
    "NOTE": "M{x} {y}m-{r} 0a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0-{d} 0z",
}


@dataclass(frozen=True)
class Mark:
    """A place to show. One with an anchor is drawn by itself, can be linked to, and says `title` under the pointer."""

    shape: BaseGeometry
    severity: Severity
    title: str = ""
    anchor: str | None = None


@dataclass(frozen=True)
class TownMap:
    """The drawing, how many shapes lie off its edge, and the anchors of the marks that are in it."""

    svg: str
    shapes_off: int
    anchors: frozenset[str]


def town_map(outline: BaseGeometry, shapes: Shapes, marks: Sequence[Mark]) -> TownMap:
    """Draw a town: its outline, its parcels as light fabric, the marks on top, the gravest last.

    Args:
        outline: in the storage CRS, like all the shapes.
        shapes: valid polygons or points; None where a row has none.
    """
    present = shapes[~shapely.is_missing(shapes)]
    places = np.array([mark.shape for mark in marks], dtype=object)
    frame = _frame(outline, present)
    view = _View.of(frame, _LONG_SIDE)
    inside, seen = _meets(present, frame), _meets(places, frame)
    body = [
        f'<path class="ground" d="{_path(shapely.get_parts(outline), view)}"/>',
        _fabric(present[inside], view),
        f'<path class="town" d="{_path(shapely.get_parts(outline), view)}"/>',
    ]
    drawn = [mark for mark, visible in zip(marks, seen, strict=True) if visible]
    for severity in reversed(SEVERITIES):
        body.extend(_marks([mark for mark in drawn if mark.severity == severity], severity, view))
    body += [_scale_bar(view, 30, 24), _north_arrow(view)]
    anchors = frozenset(mark.anchor for mark in drawn if mark.anchor is not None)
    return TownMap(view.svg("".join(body), "map"), int((~inside).sum()), anchors)


class CloseUps:
    """Small drawings of single places among their neighbours.

    Args:
        outline: the town's, in the storage CRS like all the shapes.
        shapes: one per row; None where a row has none.
        name: place in `shapes` → what to write beside the point there.
    """

    def __init__(self, outline: BaseGeometry, shapes: Shapes, name: Callable[[int], str]) -> None:
        self._outline = outline
        self._rows = np.flatnonzero(~shapely.is_missing(shapes))
        self._shapes = shapes[self._rows]
        self._name = name
        self._of_points = bool((shapely.get_type_id(self._shapes) == 0).any())

    @functools.cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self._shapes)

    def draw(self, place: BaseGeometry, around: BaseGeometry | None, severity: Severity) -> str:
        """Draw a place; `around` is the shape of its row when the place is only a spot on it.

        Of several points among points the first is the one at fault, the others those that it is compared with.
        """
        frame = self._frame(place)
        view, margin = _View.of(frame, max(_CLOSE_UP)), _widened(frame, 0.1)
        found = self._tree.query(shapely.box(*frame))
        near, kind = self._shapes[found], severity.lower()
        town = _path(shapely.get_parts(shapely.clip_by_rect(self._outline, *margin)), view)
        body = f'<path class="ground" d="{town}"/>'
        body += f'<path class="fabric" d="{_path(shapely.clip_by_rect(near, *margin), view)}"/>'
        body += f'<path class="town" d="{town}"/>'
        body += _dots(near, view, "dots fine", step=3) if len(near) > _FINE else _dots(near, view)
        if around is not None:
            body += f'<path class="row" d="{_path(shapely.get_parts(around), view)}"/>'
        marked = np.array([place], dtype=object)
        if self._of_points and shapely.get_dimensions(place) == 0:
            marked = shapely.get_parts(marked)[:_PINNED]
        beside = _spots(marked[1:], view)
        body += f'<path class="beside" d="{"".join(_pins(beside, "WARN", 7))}"/>' if beside.size else ""
        body += f'<path class="mark {kind}" d="{_path(marked[:1], view)}"/>'
        body += _pinned(marked[:1], severity, view, areas_too=True, radius=13 if severity == "NOTE" else 9)
        if self._of_points:
            body += self._names(found, marked, view)
        return view.svg(body + _scale_bar(view, 10, 18), "closeup")

    def _frame(self, place: BaseGeometry) -> Box:
        """The place with what is around it; of one outside of the town also the way there."""
        if not shapely.intersects(self._outline, shapely.box(*_around(place.bounds, _CLOSE_UP_FT))):
            way = shapely.shortest_line(place, self._outline)
            if way is not None and way.length <= _WAY_FT:
                return _around(shapely.total_bounds([place, way]), _CLOSE_UP_FT)
        if not self._of_points:
            return _around(place.bounds, _CLOSE_UP_FT)
        frames = [_around(place.bounds, width) for width in _AMONG_POINTS_FT]
        return next((frame for frame in frames if len(self._tree.query(shapely.box(*frame))) > _NEIGHBOURS), frames[-1])

    def _names(self, found: npt.NDArray[np.int64], marked: Shapes, view: _View) -> str:
        """Names beside the points, those of the marked ones first; one that would stand on another one is left out."""
        found = found[shapely.get_type_id(self._shapes[found]) == 0]
        places, place = np.unique(shapely.get_coordinates(self._shapes[found]), axis=0, return_inverse=True)
        centres = _centres(marked)
        apart = np.hypot(*(places[:, None] - centres[None]).transpose(2, 0, 1)).min(axis=1, initial=np.inf)
        order = np.argsort(apart, kind="stable")
        if len(order) > _NAMED:
            order = order[apart[order] < 1.0]
        taken: list[Box] = [(0, view.height - 2 * _LINE, 8 * _LETTER, view.height)]  # the scale bar
        taken += [(x - 9, y - 9, x + 9, y + 9) for x, y in view.snap(centres).T.tolist()]
        texts = []
        for at, (x, y) in zip(order.tolist(), view.snap(places[order]).T.tolist(), strict=True):
            rows = self._rows[found[place == at][:_PINNED]].tolist()
            names = list(dict.fromkeys(filter(None, map(self._name, rows))))
            text = ", ".join(names[:2]) + ("…" if len(names) > 2 else "")
            width = len(text) * _LETTER
            left = x + _BESIDE if x + _BESIDE + width <= view.width else x - _BESIDE - width
            box = (left, y - _LINE / 2, left + width, y + _LINE / 2)
            inside = box[1] >= 0 and box[3] <= view.height
            if text and inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                start, anchor = (left, "") if left > x else (left + width, ' text-anchor="end"')
                texts.append(f'<text x="{start}" y="{y + 5}"{anchor}>{escape(text)}</text>')
        return f'<g class="names">{"".join(texts)}</g>'


@dataclass(frozen=True)
class _View:
    """A window on the land: feet in, whole grid units out, north up."""

    west: float
    north: float
    units_per_ft: float
    width: int
    height: int

    @classmethod
    def of(cls, frame: Box, long_side: int) -> _View:
        west, south, east, north = frame
        scale = long_side / max(east - west, north - south)
        return cls(west, north, scale, max(1, round((east - west) * scale)), max(1, round((north - south) * scale)))

    def snap(self, coordinates: npt.NDArray[np.float64]) -> Grid:
        """Feet, one row per vertex, to grid units, one column per vertex; what lies far out of sight is drawn nearer,
        so that numbers stay short.
        """
        grid = np.empty((2, len(coordinates)), dtype=np.int32)
        grid[0] = np.rint(np.clip((coordinates[:, 0] - self.west) * self.units_per_ft, -self.width, 2 * self.width))
        grid[1] = np.rint(np.clip((self.north - coordinates[:, 1]) * self.units_per_ft, -self.height, 2 * self.height))
        return grid

    def coarser(self, factor: int) -> _View:
        return _View(self.west, self.north, self.units_per_ft / factor, self.width // factor, self.height // factor)

    def svg(self, body: str, kind: str) -> str:
        label = "Map of the town and its faults" if kind == "map" else "Close-up of a fault"
        box = f"0 0 {self.width} {self.height}"
        return f'<svg class="{kind}" viewBox="{box}" role="img" aria-label="{label}">{body}</svg>'


def _frame(outline: BaseGeometry, shapes: Shapes) -> Box:
    """The town and the parcels that lie about it; shapes that went astray do not shrink the map."""
    town = outline.bounds
    near = shapes[_meets(shapes, _widened(town, 0.25))]
    bounds = np.vstack([shapely.bounds(near), [town]])
    lower = np.maximum(bounds[:, :2].min(axis=0), _widened(town, 0.25)[:2])
    upper = np.minimum(bounds[:, 2:].max(axis=0), _widened(town, 0.25)[2:])
    return _widened((float(lower[0]), float(lower[1]), float(upper[0]), float(upper[1])), 0.03)


def _around(bounds: Sequence[float], least_ft: float) -> Box:
    """The frame of a close-up about these bounds, at least so wide."""
    west, south, east, north = map(float, bounds)
    width, height = _CLOSE_UP
    span = max((east - west) * 1.7, (north - south) * 1.7 * width / height, least_ft)
    middle_x, middle_y = (west + east) / 2, (south + north) / 2
    half_x, half_y = span / 2, span / 2 * height / width
    return (middle_x - half_x, middle_y - half_y, middle_x + half_x, middle_y + half_y)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _widened(frame: Box, share: float) -> Box:
    west, south, east, north = frame
    margin = share * max(east - west, north - south)
    return (west - margin, south - margin, east + margin, north + margin)


def _meets(shapes: Shapes, frame: Box) -> npt.NDArray[np.bool_]:
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    west, south, east, north = frame
    met: npt.NDArray[np.bool_] = (
        (bounds[:, 0] <= east) & (bounds[:, 2] >= west) & (bounds[:, 1] <= north) & (bounds[:, 3] >= south)
    )
    return met


def _fabric(shapes: Shapes, view: _View) -> str:
    dots = "dots fine" if len(shapes) > _FINE_MAP else "dots"
    return _drawn(shapes, view, "fabric", _FABRIC_BYTES) + _dots(shapes, view, dots)


def _dots(shapes: Shapes, view: _View, kind: str = "dots", step: int = 1) -> str:
    """The points among the shapes as one path, those that fall on one another, to a step of the grid, once."""
    points = shapes[shapely.get_type_id(shapes) == 0]
    if not len(points):
        return ""
    spots = np.unique(view.snap(shapely.get_coordinates(points)) // step, axis=1) * step
    return f'<path class="{kind}" d="' + "".join(f"M{x} {y}h0" for x, y in spots.T.tolist()) + '"/>'


def _drawn(shapes: Shapes, view: _View, kind: str, most_bytes: int) -> str:
    """Many shapes as one path, on a coarser grid if it would be too heavy."""
    every = max(1, len(shapes) // _SAMPLED)
    _, sample = _rings(shapes[::every], view)
    heavy = len(sample) * every * _VERTEX_BYTES / most_bytes
    # A coarser grid drops vertices about as much as its step is longer.
    factor = next((factor for factor in (1, 2, 3, 5) if heavy <= factor), 8)
    scale = "" if factor == 1 else f' transform="scale({factor})"'
    return f'<path class="{kind}"{scale} d="{_path(shapes, view.coarser(factor))}"/>'


def _marks(marks: Sequence[Mark], severity: Severity, view: _View) -> Iterator[str]:
    """Marks of one severity: those without an anchor in one path, the others one by one."""
    kind, crowded = severity.lower(), len(marks) > _CROWD
    together = np.array([mark.shape for mark in marks if mark.anchor is None], dtype=object)
    if len(together):
        yield _drawn(together, view, f"mark {kind} many" if crowded else f"mark {kind}", _MARKS_BYTES)
        yield _pinned(together, severity, view, areas_too=not crowded)
    for mark in marks:
        if mark.anchor is None:
            continue
        shape = np.array([mark.shape], dtype=object)
        yield (
            f'<g id="{escape(mark.anchor)}" class="{kind}"><title>{escape(mark.title)}</title>'
            f'<path class="mark {kind}" d="{_path(shape, view)}"/>'
            f"{_pinned(shape, severity, view, areas_too=not crowded)}</g>"
        )


def _pinned(shapes: Shapes, severity: Severity, view: _View, *, areas_too: bool, radius: int = 8) -> str:
    """Markers for points and lines, and for areas too small to be seen; a crowd of areas is seen without."""
    chosen = shapely.get_dimensions(shapes) < 2
    if areas_too:
        chosen |= _sizes(shapes, view) < _SMALL
    many = shapely.get_num_coordinates(shapes) > _PINNED
    many &= shapely.get_dimensions(shapes) == 0
    pins = "".join(_pins(_spots(shapes[chosen & ~many], view), severity, radius))
    dots = _dots(shapely.get_parts(shapes[many]), view, f"dots {severity.lower()}")
    return dots + (f'<path class="pin {severity.lower()}" d="{pins}"/>' if pins else "")


def _spots(shapes: Shapes, view: _View) -> Grid:
    """Where the markers of shapes stand: one on each point, one in the middle of anything else; each place once."""
    points = shapely.get_dimensions(shapes) == 0
    spots = np.vstack([shapely.get_coordinates(shapes[points]), _centres(shapes[~points])])
    return np.unique(view.snap(spots), axis=1) if len(spots) else view.snap(spots)


def _pins(spots: Grid, severity: Severity, radius: int) -> Iterator[str]:
    r = radius * 2 // 3 if severity == "NOTE" else radius
    for x, y in spots.T.tolist():
        yield _MARKERS[severity].format(x=x, y=y, r=r, d=2 * r)


def _sizes(shapes: Shapes, view: _View) -> npt.NDArray[np.float64]:
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    sizes: npt.NDArray[np.float64] = (bounds[:, 2:] - bounds[:, :2]).max(axis=1) * view.units_per_ft
    return sizes


def _centres(shapes: Shapes) -> npt.NDArray[np.float64]:
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    return np.column_stack(((bounds[:, 0] + bounds[:, 2]) / 2, (bounds[:, 1] + bounds[:, 3]) / 2))


def _path(shapes: Shapes, view: _View) -> str:
    """Polygons as the `d` of one path. Points and lines are left to their markers."""
    return _written(*_rings(shapes, view))


def _rings(shapes: Shapes, view: _View) -> tuple[Grid, Owners]:
    """Rings on the grid, without vertices that change nothing, as vertices and the number of the ring of each.

    Outer rings run one way and holes the other, so that the non-zero fill rule shows holes and keeps stacked shapes
    filled. Most shapes are one ring: those are read without taking them apart, which would copy each of them thrice.
    """
    xy, shape = shapely.get_coordinates(shapes, return_index=True)
    several = ~_single_rings(shapes, xy, shape)
    grid, ring = _counterclockwise(*_fewer(view.snap(xy), shape))
    if not several.any():
        return grid, ring
    parts = shapely.get_parts(shapely.get_parts(shapes[several]))
    kinds = shapely.get_type_id(parts)
    rings = shapely.get_rings(shapely.orient_polygons(parts[kinds == 3]))
    xy, number = shapely.get_coordinates(np.append(rings, parts[np.isin(kinds, (1, 2))]), return_index=True)
    others, number = _fewer(view.snap(xy), number + len(shapes))
    kept = ~several[ring]
    return np.concatenate([grid[:, kept], others], axis=1), np.concatenate([ring[kept], number])


def _single_rings(shapes: Shapes, xy: npt.NDArray[np.float64], shape: Owners) -> npt.NDArray[np.bool_]:
    """Which shapes are areas of one ring. Where the first vertex comes back at the end only, no other ring began."""
    start = np.flatnonzero(np.diff(shape, prepend=-1))
    size = np.diff(np.append(start, len(xy)))
    returns = (xy[:, 0] == np.repeat(xy[start, 0], size)) & (xy[:, 1] == np.repeat(xy[start, 1], size))
    single = np.zeros(len(shapes), dtype=bool)
    if len(start):
        single[shape[start]] = returns[start + size - 1] & (np.add.reduceat(returns, start, dtype=np.int64) == 2)
    return single & np.isin(shapely.get_type_id(shapes), (3, 6))


def _fewer(grid: Grid, ring: Owners) -> tuple[Grid, Owners]:
    """Without vertices that stand where the one before does, that lie on a straight line, or whose ring is gone."""
    keep = np.ones(len(ring), dtype=bool)
    keep[1:] = (grid[0, 1:] != grid[0, :-1]) | (grid[1, 1:] != grid[1, :-1]) | (ring[1:] != ring[:-1])
    grid, ring = _without_straight(np.compress(keep, grid, axis=1), ring[keep])
    large = np.bincount(ring, minlength=1) >= 3
    return (grid, ring) if large[ring].all() else (np.compress(large[ring], grid, axis=1), ring[large[ring]])


def _without_straight(grid: Grid, ring: Owners) -> tuple[Grid, Owners]:
    """Drop vertices that lie on the straight line between their neighbours in the same ring."""
    if len(ring) < 3:
        return grid, ring
    x, y = np.diff(grid[0]), np.diff(grid[1])
    keep = np.ones(len(ring), dtype=bool)
    keep[1:-1] = (x[:-1] * y[1:] != y[:-1] * x[1:]) | (ring[:-2] != ring[2:])
    return np.compress(keep, grid, axis=1), ring[keep]


def _counterclockwise(grid: Grid, ring: Owners) -> tuple[Grid, Owners]:
    """The same rings, those that run clockwise turned round."""
    if not len(ring):
        return grid, ring
    start = np.flatnonzero(np.diff(ring, prepend=-1))
    size = np.diff(np.append(start, len(ring)))
    x, y = grid.astype(np.int64)
    turns = np.zeros(len(ring), dtype=np.int64)  # rings are closed, so the last vertex adds nothing
    turns[:-1] = x[:-1] * y[1:] - x[1:] * y[:-1]
    turns[start + size - 1] = 0
    # North has the smaller numbers on the grid, so what runs clockwise on the land has a positive area here.
    clockwise = np.add.reduceat(turns, start) > 0
    if not clockwise.any():
        return grid, ring
    place = np.arange(len(ring))
    turned = np.where(np.repeat(clockwise, size), np.repeat(2 * start + size - 1, size) - place, place)
    return grid[:, turned], ring


def _written(grid: Grid, ring: Owners) -> str:
    """Rings as the `d` of a path: the first vertex of each in full, the others as steps."""
    if not len(ring):
        return ""
    first = np.flatnonzero(np.diff(ring, prepend=-1))
    steps = np.diff(grid, axis=1, prepend=0)
    steps[:, first] = 0
    numerals = _numerals(int(np.abs(steps).max(initial=0)))
    tokens = np.empty((len(ring), 2), dtype=numerals.dtype)
    tokens[:, 0], tokens[:, 1] = numerals[steps[0] + len(numerals) // 2], numerals[steps[1] + len(numerals) // 2]
    tokens[first, 0] = [b"zM%d" % x for x in grid[0, first].tolist()]
    tokens[first, 1] = [b" %dl" % y for y in grid[1, first].tolist()]
    # Tokens are padded with zero bytes, which no number has.
    return tokens.tobytes().translate(None, b"\0").decode("ascii")[1:] + "z"


def _numerals(largest: int) -> npt.NDArray[np.bytes_]:
    """Spellings of -largest … largest, each with what parts it from the number before: its minus, or a space."""
    return np.array(
        [b"%d" % number if number < 0 else b" %d" % number for number in range(-largest, largest + 1)], "S8"
    )


def _scale_bar(view: _View, margin: int, text_size: int) -> str:
    fitting = [feet for feet in _SCALES_FT if feet * view.units_per_ft <= view.width * 0.28]
    feet = fitting[-1] if fitting else _SCALES_FT[0]
    length = round(feet * view.units_per_ft)
    x, y = margin, view.height - margin
    tick = text_size // 2
    words = _SCALE_WORDS.get(feet, f"{feet:,} ft")
    return (
        f'<g class="scale"><path d="M{x} {y - tick}v{tick}h{length}v-{tick}"/>'
        f'<text x="{x + tick // 2}" y="{y - tick}" font-size="{text_size}">{words}</text></g>'
    )


def _north_arrow(view: _View) -> str:
    x, y = view.width - 50, 40
    return (
        f'<g class="north"><path d="M{x} {y}l14 44-14-9-14 9z"/>'
        f'<text x="{x}" y="{y + 72}" font-size="26" text-anchor="middle">N</text></g>'
    )
