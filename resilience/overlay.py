"""How much of each parcel lies in each class of a polygon layer: exact areas, arrays in, arrays out.

``index_layer`` cuts a layer once into square cells, most of which have one class throughout; ``overlay`` sums parcels
against it and ``classes_at`` asks it for points, in chunks and threads, so that memory does not grow with their
number. All is planar and knows no CRS: give the storage CRS and areas are US survey square feet.
Not here: what a class means, the database, and the geometry of the common part, which nobody asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import shapely
from numpy.typing import NDArray

from statewide.geometry import Repaired, repair

if TYPE_CHECKING:
    import pyarrow as pa

    from resilience.polygon_rings import Rings

Geometries = NDArray[np.object_]
type Wkb = pa.Array | pa.ChunkedArray | Sequence[bytes | None]

CHUNK = 20_000

_FORMAT = 1
_MAGIC = b"statewide layer index\n"
_ALIGN = 64
_EDGES_PER_CELL = 6
_CELLS = (2**14, 2**22)
_EVEN = 4  # parts of the work per thread
_POINTS = 100_000
_ARRAYS = ("codes", "cells", "entry_class", "entry_base", "entry_edges", "edges", "sign")


@dataclass(frozen=True)
class LayerIndex:
    """A layer cut into square cells, numbered column by column from the south-west.

    Attributes:
        codes: the class codes, ascending; elsewhere in the index a class is its place here.
        origin: south-western corner of the grid; edges are relative to it.
        side: of a cell, in feet.
        cells: where each cell begins in the entries, and the end of the last. A cell has an entry for each class in it.
        entry_class: class of an entry.
        entry_base: how often the class covers the cell from its upper western corner, see ``overlay_cut``.
        entry_edges: where the edges of an entry begin, where those end that are really drawn in the layer, and where
            all end.
        edges: west, its y, east, its y of each piece of an edge.
        sign: +1 where the class is below the edge, -1 where it is above it, 0 on vertical ones.
        repaired: which of the polygons given to ``index_layer`` were mended or left out, why, and the area that
            mending moved. What is invalid without any area changing (a ring that touches itself) is not named.
            ``shapes`` holds the mended ones only.
        overlap_sqft: by class, the area that earlier polygons already covered and that was therefore not counted
            again. Classes without any are absent.
    """

    codes: NDArray[np.int64]
    origin: tuple[float, float]
    side: float
    columns: int
    rows: int
    cells: NDArray[np.int64]
    entry_class: NDArray[np.int32]
    entry_base: NDArray[np.int8]
    entry_edges: NDArray[np.int32]
    edges: NDArray[np.float64]
    sign: NDArray[np.int8]
    repaired: Repaired
    overlap_sqft: dict[int, float]


@dataclass(frozen=True)
class Overlaps:
    """Parallel arrays, one entry per parcel and class that meet at all, sorted by both.

    ``area_sqft`` is zero where the two only touch: whether they meet and whether they share area are two questions.
    """

    parcel: NDArray[np.int64]
    class_code: NDArray[np.int64]
    area_sqft: NDArray[np.float64]


def index_layer(
    polygons: Geometries | Wkb,
    classes: NDArray[np.int64],
    *,
    one_class_per_place: bool = False,
    background: Geometries | None = None,
    background_class: int = -1,
    cell_ft: float | None = None,
    threads: int | None = None,
) -> LayerIndex:
    """Repair, cut and index the polygons of a layer; ``classes`` holds one code per polygon.

    Missing and empty polygons are skipped. Where polygons of one class overlap, the common part stays with the
    first of them, so that ``overlay`` counts it once. Polygons of different classes may overlap and both count,
    unless ``one_class_per_place``: then the one of the lowest code counts, and areas never exceed the parcel's.

    Args:
        polygons: shapely geometries or WKB.
        background: valid polygons that do not overlap each other. What of them no polygon of the layer covers is
            `background_class`: the part of a flood study that lies in no zone. With ``one_class_per_place`` only.
            A parcel that only touches it is not listed with it.
        cell_ft: side of the cells, rounded to a power of two; by the number of edges if None.
        threads: all processors if None. The index does not depend on it.
    """
    classes = np.asarray(classes, dtype=np.int64)
    if background is not None and not one_class_per_place:
        raise ValueError("a background needs one class per place")
    under = None if background is None else _rings(background)
    if not isinstance(polygons, np.ndarray):
        polygons = _arrow(polygons)
    repaired = _nothing_repaired(len(classes))
    examined = np.zeros(len(classes), dtype=bool)
    while True:
        built, suspect = _build(
            _rings(polygons), classes, one_class_per_place, under, background_class, cell_ft, threads
        )
        places = np.flatnonzero(suspect & ~examined)
        examined[places] = True
        polygons, changed = _mend(polygons, places, repaired)
        if not changed:
            return LayerIndex(**built, repaired=repaired)


def overlay(parcels: Geometries, index: LayerIndex, chunk: int = CHUNK, *, threads: int | None = None) -> Overlaps:
    """Area of each parcel in each class of the layer.

    ``parcels`` must be valid polygons or multipolygons; missing and empty ones, and those with a coordinate that is
    not a number, meet nothing. The answer for a parcel does not depend on the others, on ``chunk`` or ``threads``.
    """
    return _overlay(parcels, index, chunk, threads)


def overlay_wkb(parcels: Wkb, index: LayerIndex, chunk: int = CHUNK, *, threads: int | None = None) -> Overlaps:
    """The same for WKB, ISO or extended, as PostGIS and GeoParquet hold it: no geometry is built."""
    return _overlay(_arrow(parcels), index, chunk, threads)


def classes_at(
    points_x: NDArray[np.float64], points_y: NDArray[np.float64], index: LayerIndex, *, threads: int | None = None
) -> NDArray[np.int64]:
    """Class code of each point: the lowest that covers it, -1 where none does or a coordinate is not a number.

    A point on a boundary belongs to what lies north of it, on a line that runs due north to what lies east of it, so
    that of polygons that share the line exactly one has it.
    """
    from resilience.overlay_sums import classes

    x, y = (np.ascontiguousarray(values, dtype=np.float64) for values in (points_x, points_y))
    found = np.empty(len(x), dtype=np.int64)

    def ask(start: int) -> None:
        classes(x, y, start, min(start + _POINTS, len(x)), *_grid(index), *_cells(index), found)

    _in_threads(ask, range(0, len(x), _POINTS), threads)
    return np.where(found < 0, -1, index.codes[found]) if len(index.codes) else found


def save_index(index: LayerIndex, path: Path) -> None:
    """Write the index to a file of its own, which appears whole or not at all."""
    arrays = {name: np.ascontiguousarray(getattr(index, name)) for name in _ARRAYS}
    at, places = 0, {}
    for name, array in arrays.items():
        places[name] = (array.dtype.str, array.shape, at)
        at += -(-array.nbytes // _ALIGN) * _ALIGN
    repaired = index.repaired
    header = {
        "format": _FORMAT,
        "bytes": at,
        "arrays": places,
        "grid": (*index.origin, index.side, index.columns, index.rows),
        "overlap_sqft": list(index.overlap_sqft.items()),
        "polygons": len(repaired.repaired),
        "repaired": [(int(row), float(repaired.moved_sqft[row])) for row in np.flatnonzero(repaired.repaired)],
        "unusable": np.flatnonzero(repaired.unusable).tolist(),
        "why": list(repaired.why.items()),
    }
    text = _MAGIC + json.dumps(header).encode() + b"\n"
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        file.write(text + b" " * (-len(text) % _ALIGN))
        for array in arrays.values():
            array.tofile(file)
            file.write(bytes(-array.nbytes % _ALIGN))
    part.replace(path)


def load_index(path: Path) -> LayerIndex | None:
    """The index that ``save_index`` wrote, mapped and not read; None if there is none, or not a whole one of today's.

    Where polygons were mended, only which, why and by how much is kept, not their shapes.
    """
    try:
        with path.open("rb") as file:
            if file.readline() != _MAGIC:
                return None
            header = json.loads(file.readline())
            start = -(-file.tell() // _ALIGN) * _ALIGN
        if header["format"] != _FORMAT or path.stat().st_size != start + header["bytes"]:
            return None
    except (OSError, ValueError, LookupError, TypeError):
        return None
    # Copy on write: the kernels are compiled for arrays that may be written to, and never write to these.
    content = np.memmap(path, dtype=np.uint8, mode="c") if header["bytes"] else np.empty(start, dtype=np.uint8)
    arrays = {}
    for name, (kind, shape, at) in header["arrays"].items():
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        arrays[name] = np.asarray(content)[start + at : start + at + size].view(kind).reshape(shape)
    repaired = _nothing_repaired(header["polygons"])
    for row, moved in header["repaired"]:
        repaired.repaired[row], repaired.moved_sqft[row] = True, moved
    repaired.unusable[header["unusable"]] = True
    repaired.why.update(header["why"])
    west, south, side, columns, rows = header["grid"]
    overlap_sqft = dict(header["overlap_sqft"])
    return LayerIndex(
        origin=(west, south),
        side=side,
        columns=columns,
        rows=rows,
        repaired=repaired,
        overlap_sqft=overlap_sqft,
        **arrays,
    )


def _overlay(parcels: Any, index: LayerIndex, chunk: int, threads: int | None) -> Overlaps:
    from resilience.overlay_sums import areas

    def one(start: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        rings = _rings(parcels[start : start + chunk])
        pairs, area = areas(
            rings.xy, rings.first, rings.shape, rings.outer, *_grid(index), *_cells(index), len(index.codes)
        )
        pairs[:, 0] += start
        return pairs, area

    parts = _in_threads(one, range(0, len(parcels), chunk), threads) if len(index.codes) else []
    pairs = np.concatenate([pairs for pairs, _ in parts]) if parts else np.empty((0, 2), dtype=np.int64)
    area = np.concatenate([area for _, area in parts]) if parts else np.empty(0)
    return Overlaps(np.ascontiguousarray(pairs[:, 0]), index.codes[pairs[:, 1]], area)


def _grid(index: LayerIndex) -> tuple[float, float, float, int, int]:
    return (*index.origin, index.side, index.columns, index.rows)


def _cells(index: LayerIndex) -> tuple[Any, ...]:
    return (index.cells, index.entry_class, index.entry_base, index.entry_edges, index.edges, index.sign)


def _arrow(wkb: Wkb) -> Any:
    """WKB as one Arrow array, or several in a row."""
    import pyarrow as pa

    return wkb if isinstance(wkb, pa.Array | pa.ChunkedArray) else pa.array(wkb, pa.large_binary())


def _rings(polygons: Any) -> Rings:
    from resilience.polygon_rings import rings_of, rings_of_wkb

    return rings_of(polygons) if isinstance(polygons, np.ndarray) else rings_of_wkb(polygons)


def _in_threads[T](work: Callable[[int], T], starts: Iterable[int], threads: int | None) -> list[T]:
    """The results in order. The kernels let go of the interpreter; nothing of theirs starts threads of its own."""
    count = threads or len(os.sched_getaffinity(0))
    starts = list(starts)
    if count == 1 or len(starts) < 2:
        return [work(start) for start in starts]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, starts))


def _nothing_repaired(count: int) -> Repaired:
    no = np.zeros(count, dtype=bool)
    return Repaired(np.full(count, None, dtype=object), no, no.copy(), np.zeros(count), {}, {})


def _mend(polygons: Any, places: NDArray[np.int64], repaired: Repaired) -> tuple[Any, bool]:
    """Repair the polygons at `places`, note it in `repaired`, and give them all with whether any has changed."""
    if not len(places):
        return polygons, False
    if isinstance(polygons, np.ndarray):
        shapes = polygons[places]
    else:
        shapes = shapely.from_wkb([polygons[int(place)].as_py() for place in places], on_invalid="ignore")
    mended = repair(shapely.force_2d(shapes))
    changed = mended.repaired | mended.unusable
    for at in np.flatnonzero(changed):
        repaired.shapes[places[at]] = mended.shapes[at]
        repaired.why[int(places[at])] = mended.why[at]
        repaired.where[int(places[at])] = mended.where[at]
    repaired.repaired[places], repaired.unusable[places] = mended.repaired, mended.unusable
    repaired.moved_sqft[places] = mended.moved_sqft
    if not changed.any():
        return polygons, False
    if isinstance(polygons, np.ndarray):
        polygons = polygons.copy()
        polygons[places[changed]] = mended.shapes[changed]
        return polygons, True
    values = polygons.to_pylist()
    for at in np.flatnonzero(changed):
        values[places[at]] = None if mended.shapes[at] is None else shapely.to_wkb(mended.shapes[at])
    return _arrow(values), True


def _build(
    rings: Rings,
    classes: NDArray[np.int64],
    one_class: bool,
    under: Rings | None,
    background_class: int,
    cell_ft: float | None,
    threads: int | None,
) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """All of the index but what was repaired, and which polygons may not be valid."""
    from resilience.overlay_cut import LEAST_SQFT, bases, cut, ring_facts, settle

    polygons = len(classes)
    if under is not None:
        rings = _joined(rings, under)
    codes = np.unique(np.append(classes, background_class) if under is not None else classes)
    owner, factor, box, area = ring_facts(rings.xy, rings.first, rings.shape, rings.outer)
    factor[~np.isfinite(area[owner])] = 0
    suspect = ~np.isfinite(area) | ~rings.sound | (~(area > 0) & rings.given)
    # From here on a polygon goes by its turn: of two that overlap, the first counts; the background comes last.
    turns = np.append(np.argsort(classes, kind="stable"), np.arange(polygons, len(area)))
    owner = np.argsort(turns).astype(np.int32)[owner]
    used = factor != 0
    if not used.any():
        nothing = np.empty(0, np.int32), np.empty(0, np.int8), np.empty((0, 3), np.int32), np.empty((0, 4))
        return _parts((0.0, 0.0), 1.0, 0, 0, codes, np.zeros(1, np.int64), *nothing, np.empty(0, np.int8), {}), suspect[
            :polygons
        ]
    west, south = box[used, :2].min(axis=0)
    east, north = box[used, 2:].max(axis=0)
    side = _side(east - west, north - south, len(rings.xy), cell_ft)
    west, south = np.floor(west / side) * side, np.floor(south / side) * side
    columns, rows = int((east - west) // side) + 1, int((north - south) // side) + 1
    rings.xy[:] -= (west, south)
    box -= (west, south, west, south)

    workers = threads or len(os.sched_getaffinity(0))
    count = columns * rows
    drawn, crossings = np.zeros(count, dtype=np.int32), np.zeros(count, dtype=np.int32)
    strips = np.unique(np.linspace(0, columns, min(columns, _EVEN * workers) + 1).astype(np.int64)).tolist()
    walk = (rings.xy, rings.first, factor, owner, box, side, rows)
    none = np.zeros(1, dtype=np.int64), np.empty((0, 4)), np.empty(0, np.int8), np.empty(0, np.int32)
    no_entering = np.empty((0, 4), dtype=np.int64)

    def measure(strip: int) -> int:
        return cast(int, cut(*walk, strips[strip], strips[strip + 1], False, drawn, crossings, *none, no_entering, 0))

    entering_at = np.concatenate(([0], np.cumsum(_in_threads(measure, range(len(strips) - 1), threads))))
    at = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(drawn, out=at[1:])
    at[1:] += np.cumsum(crossings)
    edges, sign = np.empty((int(at[-1]), 4)), np.empty(int(at[-1]), dtype=np.int8)
    of = np.empty(int(at[-1]), dtype=np.int32)
    entering = np.empty((int(entering_at[-1]), 4), dtype=np.int64)
    drawn_there = drawn.copy()

    def draw(strip: int) -> None:
        begin, end = strips[strip], strips[strip + 1]
        cut(*walk, begin, end, True, drawn, crossings, at, edges, sign, of, entering, entering_at[strip])

    _in_threads(draw, range(len(strips) - 1), threads)
    del walk, crossings, drawn
    entering = entering[np.lexsort((entering[:, 1], entering[:, 2], entering[:, 0]))]
    base_count, base_at = np.zeros(count, dtype=np.int32), np.zeros(count + 1, dtype=np.int64)
    bases(entering, rows, False, base_count, base_at, np.empty(0, np.int32), np.empty(0, np.int8))
    np.cumsum(base_count, out=base_at[1:])
    base_of, base_value = np.empty(int(base_at[-1]), np.int32), np.empty(int(base_at[-1]), np.int8)
    bases(entering, rows, True, base_count, base_at, base_of, base_value)
    del entering

    class_of = np.searchsorted(codes, classes[turns[:polygons]]).astype(np.int32)
    background = int(np.searchsorted(codes, background_class)) if under is not None else -1
    class_of = np.concatenate((class_of, np.full(len(area) - polygons, background, dtype=np.int32)))
    parts = np.unique(np.linspace(0, count, min(count, _EVEN * workers) + 1).astype(np.int64)).tolist()

    def decide(part: int) -> tuple[Any, ...]:
        doubles, doubtful = np.zeros(len(codes)), np.zeros(len(area), dtype=np.bool_)
        return (
            *settle(
                parts[part], parts[part + 1], rows, side, at, drawn_there, edges, sign, of, base_at, base_of, base_value,
                class_of, polygons, one_class, background, doubles, doubtful,
            ),
            doubles,
            doubtful,
        )  # fmt: skip

    decided = _in_threads(decide, range(len(parts) - 1), threads)
    del of, base_of, base_value, base_at
    doubles = sum((part[4] for part in decided), np.zeros(len(codes)))
    suspect[turns] |= np.logical_or.reduce([part[5] for part in decided])
    cells = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.concatenate([part[0] for part in decided]), out=cells[1:])
    # What was drawn anew follows behind the rest; its places were counted down from -1 in each part.
    size = len(edges)
    extra = sum(len(part[3]) for part in decided)
    if extra:
        edges.resize((size + extra, 4), refcheck=False)
        sign.resize(size + extra, refcheck=False)
    for _, entries, new_edges, new_sign, *_ in decided:
        anew = entries[:, 2:] < 0
        entries[:, 2:][anew] = size - 1 - entries[:, 2:][anew]
        edges[size : size + len(new_sign)], sign[size : size + len(new_sign)] = new_edges, new_sign
        size += len(new_sign)
    entries = np.concatenate([part[1] for part in decided])
    overlap_sqft = {int(code): float(sqft) for code, sqft in zip(codes, doubles, strict=True) if sqft > LEAST_SQFT}
    base, places = entries[:, 1].astype(np.int8), np.ascontiguousarray(entries[:, 2:])
    grid = (float(west), float(south)), side, columns, rows
    return _parts(
        *grid, codes, cells, np.ascontiguousarray(entries[:, 0]), base, places, edges, sign, overlap_sqft
    ), suspect[:polygons]


def _parts(*values: Any) -> dict[str, Any]:
    names = (
        "origin", "side", "columns", "rows", "codes", "cells", "entry_class", "entry_base", "entry_edges", "edges",
        "sign", "overlap_sqft",
    )  # fmt: skip
    return dict(zip(names, values, strict=True))


def _side(width: float, height: float, vertices: int, cell_ft: float | None) -> float:
    """Side of the cells: a power of two, so that the grid's lines are exact."""
    if cell_ft is None:
        cells = min(max(vertices / _EDGES_PER_CELL, _CELLS[0]), _CELLS[1])
        cell_ft = float(np.sqrt(max(width * height, max(width, height) ** 2 / cells) / cells))
    return float(2.0 ** np.round(np.log2(cell_ft)))


def _joined(one: Rings, other: Rings) -> Rings:
    from resilience.polygon_rings import Rings

    return Rings(
        np.concatenate((one.xy, other.xy)),
        np.concatenate((one.first[:-1], other.first + one.first[-1])),
        np.concatenate((one.shape[:-1], other.shape + one.shape[-1])),
        np.concatenate((one.outer, other.outer)),
        np.concatenate((one.sound, other.sound)),
        np.concatenate((one.given, other.given)),
    )
