"""How much of each parcel lies in each class of a polygon layer: exact areas, arrays in, arrays out.

``index_layer`` cuts a layer once into square cells, most of which have one class throughout; ``overlay`` sums parcels
against it and ``classes_at`` asks it for points, in chunks and threads, so that memory does not grow with their
number. All is planar and knows no CRS: give the storage CRS and areas are US survey square feet.
Not here: what a class means, the database, and the geometry of the common part, which nobody asked for.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from resilience.overlay_cells import Cells, in_threads, make_cells
from statewide.geometry import Repaired, repair

if TYPE_CHECKING:
    from resilience.polygon_rings import Rings, Wkb

Geometries = NDArray[np.object_]

CHUNK = 20_000
_POINTS = 100_000

_FORMAT = 2
"""Of the files of ``save_index``: another one for every change of what they hold."""
_MAGIC = b"statewide layer index\n"
_ALIGN = 64
_ARRAYS = ("codes", "first", "entry_class", "entry_base", "entry_edges", "edges", "sign")
_GRID = ("west", "south", "side", "columns", "rows")


@dataclass(frozen=True)
class LayerIndex:
    """A layer cut into cells, of which most have one class throughout.

    Attributes:
        repaired: which of the polygons given to ``index_layer`` were mended or left out, why, and the area that
            mending moved. What is invalid without any area changing (a ring that touches itself) is not named.
            ``shapes`` holds the mended ones only.
        overlap_sqft: by class, the area that other polygons already covered and that was therefore not counted
            again. Classes without any are absent.
    """

    cells: Cells
    repaired: Repaired
    overlap_sqft: dict[int, float]


@dataclass(frozen=True)
class Overlaps:
    """Parallel arrays, one entry per parcel and class that meet at all, sorted by both.

    ``area_sqft`` is zero where the two only touch: whether they meet and whether they share area are two questions.
    Where polygons overlap, one may be named with zero that here is covered by another up to a millionth of a foot.
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
        made = make_cells(_rings(polygons), classes, one_class_per_place, under, background_class, cell_ft, threads)
        places = np.flatnonzero(made.suspect & ~examined)
        examined[places] = True
        polygons, changed = _mend(polygons, places, repaired)
        if not changed:
            return LayerIndex(made.cells, repaired, made.overlap_sqft)
        del made


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
        classes(x, y, start, min(start + _POINTS, len(x)), found, *index.cells.arguments)

    in_threads(ask, range(0, len(x), _POINTS), threads)
    return np.append(index.cells.codes, -1)[found]


def save_index(index: LayerIndex, path: Path) -> None:
    """Write the index to a file of its own, which appears whole or not at all."""
    arrays = {name: np.ascontiguousarray(getattr(index.cells, name)) for name in _ARRAYS}
    at, places = 0, {}
    for name, array in arrays.items():
        places[name] = (array.dtype.str, array.shape, at)
        at += -(-array.nbytes // _ALIGN) * _ALIGN
    repaired = index.repaired
    header = {
        "format": _FORMAT,
        "bytes": at,
        "arrays": places,
        "grid": {name: getattr(index.cells, name) for name in _GRID},
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
    content = np.asarray(np.memmap(path, dtype=np.uint8, mode="c"))
    arrays = {}
    for name, (kind, shape, at) in header["arrays"].items():
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        arrays[name] = content[start + at : start + at + size].view(kind).reshape(shape)
    repaired = _nothing_repaired(header["polygons"])
    for row, moved in header["repaired"]:
        repaired.repaired[row], repaired.moved_sqft[row] = True, moved
    repaired.unusable[header["unusable"]] = True
    repaired.why.update(header["why"])
    return LayerIndex(Cells(**arrays, **header["grid"]), repaired, dict(header["overlap_sqft"]))


def _overlay(parcels: Any, index: LayerIndex, chunk: int, threads: int | None) -> Overlaps:
    from resilience.overlay_sums import areas

    def one(start: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        rings = _rings(parcels[start : start + chunk])
        pairs, area = areas(
            rings.xy, rings.first, rings.shape, rings.outer, len(index.cells.codes), *index.cells.arguments
        )
        pairs[:, 0] += start
        return pairs, area

    parts = in_threads(one, range(0, len(parcels), chunk), threads)
    pairs = np.concatenate([pairs for pairs, _ in parts]) if parts else np.empty((0, 2), dtype=np.int64)
    area = np.concatenate([area for _, area in parts]) if parts else np.empty(0)
    return Overlaps(np.ascontiguousarray(pairs[:, 0]), index.cells.codes[pairs[:, 1]], area)


def _arrow(wkb: Wkb) -> Any:
    """WKB as one Arrow array, or several in a row."""
    import pyarrow as pa

    return wkb if isinstance(wkb, pa.Array | pa.ChunkedArray) else pa.array(wkb, pa.large_binary())


def _rings(polygons: Any) -> Rings:
    from resilience.polygon_rings import rings_of, rings_of_wkb

    return rings_of(polygons) if isinstance(polygons, np.ndarray) else rings_of_wkb(polygons)


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
        repaired.why[int(places[at])] = mended.why[int(at)]
        repaired.where[int(places[at])] = mended.where[int(at)]
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
