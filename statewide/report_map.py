"""Drawings for the report, as SVG to stand inside a page: the town with its faults, and close-ups of single places.

Shapes are brought to a whole-number grid of about a screen pixel and written as relative paths, so that a town of
20,000 parcels stays a small file. Only the drawing is simplified. Knows nothing of findings: it draws marks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from statewide.geometry import Shapes
from statewide.standard import SEVERITIES, Severity

Grid = npt.NDArray[np.int64]
Box = tuple[float, float, float, float]

_LONG_SIDE = 1600
_FABRIC_BYTES = 700_000
_MARKS_BYTES = 350_000
_CLOSE_UP = (320, 220)
_CLOSE_UP_FT = 300.0
"""A close-up shows at least this width, so that a point or a sliver has neighbours around it."""
_SMALL = 16
"""A shape that measures less than this on the grid gets a marker as well, or nobody would see it."""
_CROWD = 300
"""With more marks than this of one severity, areas go without markers."""
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
    """The drawing, and how many shapes lie off its edge."""

    svg: str
    shapes_off: int


def town_map(outline: BaseGeometry, shapes: Shapes, marks: Sequence[Mark]) -> TownMap:
    """Draw a town: its outline, its parcels as light fabric, the marks on top, the gravest last.

    Args:
        outline: in the storage CRS, like all the shapes.
        shapes: valid polygons; None where a row has none.
    """
    present = shapes[~shapely.is_missing(shapes)]
    places = np.array([mark.shape for mark in marks], dtype=object)
    frame = _frame(outline, present)
    view = _View.of(frame, _LONG_SIDE)
    inside, seen = _meets(present, frame), _meets(places, frame)
    body = [
        f'<path class="ground" d="{_path(shapely.get_parts(outline), view)}"/>',
        _drawn(present[inside], view, "fabric", _FABRIC_BYTES),
        f'<path class="town" d="{_path(shapely.get_parts(outline), view)}"/>',
    ]
    drawn = [mark for mark, visible in zip(marks, seen, strict=True) if visible]
    for severity in reversed(SEVERITIES):
        body.extend(_marks([mark for mark in drawn if mark.severity == severity], severity, view))
    body += [_scale_bar(view, 30, 24), _north_arrow(view)]
    return TownMap(view.svg("".join(body), "map"), int((~inside).sum()))


class CloseUps:
    """Small drawings of single places among their neighbours."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes[~shapely.is_missing(shapes)]
        self._tree = shapely.STRtree(self._shapes)

    def draw(self, place: BaseGeometry, around: BaseGeometry | None, severity: Severity) -> str:
        """Draw a place; `around` is the shape of its row when the place is only a spot on it."""
        west, south, east, north = place.bounds
        width, height = _CLOSE_UP
        span = max((east - west) * 1.7, (north - south) * 1.7 * width / height, _CLOSE_UP_FT)
        middle_x, middle_y = (west + east) / 2, (south + north) / 2
        half_x, half_y = span / 2, span / 2 * height / width
        frame = (middle_x - half_x, middle_y - half_y, middle_x + half_x, middle_y + half_y)
        view = _View.of(frame, max(_CLOSE_UP))
        near = self._shapes[self._tree.query(shapely.box(*frame))]
        neighbours = shapely.clip_by_rect(near, *_widened(frame, 0.1))
        body = f'<path class="fabric" d="{_path(neighbours, view)}"/>'
        kind = severity.lower()
        if around is not None:
            body += f'<path class="row" d="{_path(shapely.get_parts(around), view)}"/>'
        one = np.array([place], dtype=object)
        body += f'<path class="mark {kind}" d="{_path(one, view)}"/>'
        pins = _pinned(one, severity, view, areas_too=True, radius=18 if severity == "NOTE" else 9)
        body += f'<path class="pin {kind}" d="{pins}"/>'
        return view.svg(body + _scale_bar(view, 10, 18), "closeup")


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
        """Feet to grid units; what lies far out of sight is drawn nearer, so that numbers stay short."""
        x = (coordinates[:, 0] - self.west) * self.units_per_ft
        y = (self.north - coordinates[:, 1]) * self.units_per_ft
        x, y = np.clip(x, -self.width, 2 * self.width), np.clip(y, -self.height, 2 * self.height)
        return np.rint(np.column_stack((x, y))).astype(np.int64)

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


def _drawn(shapes: Shapes, view: _View, kind: str, most_bytes: int) -> str:
    """Many shapes as one path, on a coarser grid if it would be too heavy."""
    for factor in (1, 2, 3, 5, 8):
        path = _path(shapes, view.coarser(factor))
        if len(path) <= most_bytes:
            break
    scale = "" if factor == 1 else f' transform="scale({factor})"'
    return f'<path class="{kind}"{scale} d="{path}"/>'


def _marks(marks: Sequence[Mark], severity: Severity, view: _View) -> Iterator[str]:
    """Marks of one severity: those without an anchor in one path, the others one by one."""
    kind, crowded = severity.lower(), len(marks) > _CROWD
    together = np.array([mark.shape for mark in marks if mark.anchor is None], dtype=object)
    if len(together):
        yield _drawn(together, view, f"mark {kind}", _MARKS_BYTES)
        yield f'<path class="pin {kind}" d="{_pinned(together, severity, view, areas_too=not crowded)}"/>'
    for mark in marks:
        if mark.anchor is None:
            continue
        shape = np.array([mark.shape], dtype=object)
        yield (
            f'<g id="{escape(mark.anchor)}" class="{kind}"><title>{escape(mark.title)}</title>'
            f'<path class="mark {kind}" d="{_path(shape, view)}"/>'
            f'<path class="pin {kind}" d="{_pinned(shape, severity, view, areas_too=not crowded)}"/></g>'
        )


def _pinned(shapes: Shapes, severity: Severity, view: _View, *, areas_too: bool, radius: int = 8) -> str:
    """Markers for points and lines, and for areas too small to be seen; a crowd of areas is seen without."""
    chosen = shapely.get_dimensions(shapes) < 2
    if areas_too:
        chosen |= _sizes(shapes, view) < _SMALL
    return "".join(_pins(view.snap(_centres(shapes[chosen])), severity, radius))


def _pins(spots: Grid, severity: Severity, radius: int) -> Iterator[str]:
    r = max(2, radius // 2) if severity == "NOTE" else radius
    for x, y in spots.tolist():
        yield _MARKERS[severity].format(x=x, y=y, r=r, d=2 * r)


def _sizes(shapes: Shapes, view: _View) -> npt.NDArray[np.float64]:
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    sizes: npt.NDArray[np.float64] = (bounds[:, 2:] - bounds[:, :2]).max(axis=1) * view.units_per_ft
    return sizes


def _centres(shapes: Shapes) -> npt.NDArray[np.float64]:
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    return np.column_stack(((bounds[:, 0] + bounds[:, 2]) / 2, (bounds[:, 1] + bounds[:, 3]) / 2))


def _path(shapes: Shapes, view: _View) -> str:
    """Polygons as the `d` of one path, each ring once and relative, without vertices that change nothing.

    Points and lines are left to their markers. Outer rings run one way and holes the other, so the non-zero fill rule
    shows holes and keeps stacked shapes filled.
    """
    parts = shapely.get_parts(shapely.get_parts(shapes))
    kinds = shapely.get_type_id(parts)
    rings = np.concatenate(
        [shapely.get_rings(shapely.orient_polygons(parts[kinds == 3])), parts[np.isin(kinds, (1, 2))]]
    )
    coordinates, owner = shapely.get_coordinates(rings, return_index=True)
    grid = view.snap(coordinates)
    keep = np.ones(len(grid), dtype=bool)
    keep[1:] = (np.diff(grid, axis=0) != 0).any(axis=1) | (np.diff(owner) != 0)
    grid, owner = grid[keep], owner[keep]
    grid, owner = _without_straight(grid, owner)
    vertices = np.bincount(owner, minlength=1)
    large = vertices[owner] >= 3
    grid, owner = grid[large], owner[large]
    if not len(grid):
        return ""
    first = np.ones(len(grid), dtype=bool)
    first[1:] = np.diff(owner) != 0
    steps = np.diff(grid, axis=0, prepend=0)
    numerals = _numerals(int(np.abs(steps[~first]).max(initial=0)))
    offset = len(numerals) // 2
    tokens = np.empty((len(grid), 2), dtype=object)
    tokens[~first] = numerals[steps[~first] + offset]
    tokens[first, 0] = [f"zM{x}" for x in grid[first, 0].tolist()]
    tokens[first, 1] = [f" {y}l" for y in grid[first, 1].tolist()]
    return "".join(tokens.ravel().tolist())[1:] + "z"


def _without_straight(grid: Grid, owner: Grid) -> tuple[Grid, Grid]:
    """Drop vertices that lie on the straight line between their neighbours in the same ring."""
    if len(grid) < 3:
        return grid, owner
    steps = np.diff(grid, axis=0)
    before, after = steps[:-1], steps[1:]
    straight = before[:, 0] * after[:, 1] == before[:, 1] * after[:, 0]
    within = (owner[:-2] == owner[1:-1]) & (owner[1:-1] == owner[2:])
    keep = np.ones(len(grid), dtype=bool)
    keep[1:-1] = ~(straight & within)
    return grid[keep], owner[keep]


def _numerals(largest: int) -> npt.NDArray[np.object_]:
    """Spellings of -largest … largest, each with what parts it from the number before: its minus, or a space."""
    spelled = [str(number) if number < 0 else f" {number}" for number in range(-largest, largest + 1)]
    return np.array(spelled, dtype=object)


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
