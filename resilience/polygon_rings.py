"""Polygons as flat arrays, read straight from WKB: what the overlay kernels work on, without geometry objects.

Takes WKB as PostGIS, GeoParquet and shapely write it: ISO or extended, either byte order, any dimension (Z and M are
dropped). Not here: whether a polygon is valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
type Wkb = pa.Array | pa.ChunkedArray | Sequence[bytes | None]


@dataclass(frozen=True)
class Rings:
    """The rings of some shapes.

    Attributes:
        xy: all vertices, two columns; each ring ends with the vertex it began with.
        first: where each ring begins in `xy`, and the end of the last.
        shape: where each shape begins in the rings, and the end of the last.
        outer: by ring, whether it bounds a polygon from outside; the others are holes.
        sound: by shape, whether it is polygons and nothing else, or missing.
        given: by shape, whether it is not missing.
    """

    xy: Floats
    first: Integers
    shape: Integers
    outer: Booleans
    sound: Booleans
    given: Booleans


def rings_of_wkb(wkb: Wkb) -> Rings:
    """The rings of each value of an Arrow array or a sequence of bytes; missing, empty and broken ones have none."""
    if isinstance(wkb, pa.ChunkedArray):
        wkb = wkb.combine_chunks()
    if not isinstance(wkb, pa.Array):
        wkb = pa.array(wkb, pa.large_binary())
    if isinstance(wkb, pa.ExtensionArray):
        wkb = wkb.storage
    wide = pa.types.is_large_binary(wkb.type)
    data, ends = _buffers(wkb, np.int64 if wide else np.int32)
    present = np.ones(len(wkb), dtype=np.bool_)
    if wkb.null_count:
        present = wkb.is_valid().to_numpy(zero_copy_only=False)
    rings, vertices, sound = _count(data, ends, present)
    shape = np.concatenate(([0], np.cumsum(rings)))
    corner = np.concatenate(([0], np.cumsum(vertices)))
    xy = np.empty((int(corner[-1]), 2))
    first = np.empty(int(shape[-1]) + 1, dtype=np.int64)
    outer = np.empty(int(shape[-1]), dtype=np.bool_)
    first[-1] = corner[-1]
    _fill(data, ends, shape, corner, xy.reshape(-1).view(np.uint8), first, outer)
    return Rings(xy, first, shape, outer, sound, present)


def rings_of(shapes: NDArray[np.object_]) -> Rings:
    """The same for shapely geometries."""
    return rings_of_wkb(list(shapely.to_wkb(shapes, output_dimension=2)))


def _buffers(wkb: Any, kind: type[np.int64] | type[np.int32]) -> tuple[NDArray[np.uint8], Integers]:
    """The bytes, and where each value begins, with the end of the last."""
    _, offsets, content = wkb.buffers()
    if len(wkb) == 0:
        return np.frombuffer(b"\0", dtype=np.uint8), np.zeros(1, dtype=np.int64)
    ends = np.frombuffer(offsets, dtype=kind)[wkb.offset : wkb.offset + len(wkb) + 1].astype(np.int64)
    data = np.frombuffer(content or b"\0", dtype=np.uint8)
    data.flags.writeable = False  # always, or the kernels are compiled twice: buffers of Arrow's differ in this
    return data, ends


@njit(nogil=True, cache=True)
def _integer(data: Bytes, at: int, little: bool) -> int:
    a, b, c, d = int(data[at]), int(data[at + 1]), int(data[at + 2]), int(data[at + 3])
    if little:
        return a | b << 8 | c << 16 | d << 24
    return d | c << 8 | b << 16 | a << 24


@njit(nogil=True, cache=True)
def _header(data: Bytes, at: int, end: int) -> tuple[int, int, bool, int]:
    """Kind (0 where broken), dimensions, byte order, and where the rest begins."""
    if at + 5 > end or data[at] > 1:
        return 0, 2, True, at
    little = data[at] == 1
    word = _integer(data, at + 1, little)
    kind, iso = (word & 0xFFFF) % 1000, (word & 0xFFFF) // 1000
    dimensions = 2 + (word >> 31 & 1) + (word >> 30 & 1)
    if iso > 0:
        dimensions = 4 if iso == 3 else 3
    at += 9 if word >> 29 & 1 else 5
    return (kind if at + 4 <= end else 0), dimensions, little, at


@njit(nogil=True, cache=True)
def _count(data: Bytes, ends: Integers, present: Booleans) -> tuple[Integers, Integers, Booleans]:
    """Rings and vertices of each value, and whether it is polygons."""
    size = len(ends) - 1
    rings, vertices, sound = np.zeros(size, np.int64), np.zeros(size, np.int64), np.ones(size, np.bool_)
    for row in range(size):
        at, end, pending = ends[row], ends[row + 1], 1
        if not present[row]:
            continue
        while pending > 0 and sound[row]:
            pending -= 1
            kind, dimensions, little, at = _header(data, at, end)
            if kind == 6 or kind == 7:
                pending += _integer(data, at, little)
                at += 4
            elif kind == 3:
                count = _integer(data, at, little)
                at += 4
                for _ in range(count):
                    if at + 4 > end:
                        sound[row] = False
                        break
                    corners = _integer(data, at, little)
                    at += 4 + 8 * dimensions * corners
                    rings[row] += 1
                    vertices[row] += corners
                if at > end:
                    sound[row] = False
            else:
                sound[row] = False
        if not sound[row]:
            rings[row] = vertices[row] = 0
    return rings, vertices, sound


@njit(nogil=True, cache=True)
def _fill(
    data: Bytes, ends: Integers, shape: Integers, corner: Integers, target: Bytes, first: Integers, outer: Booleans
) -> None:
    for row in range(len(ends) - 1):
        at, end, ring, vertex = ends[row], ends[row + 1], shape[row], corner[row]
        while ring < shape[row + 1]:
            kind, dimensions, little, at = _header(data, at, end)
            count = _integer(data, at, little)
            at += 4
            if kind != 3:
                continue
            for number in range(count):
                corners = _integer(data, at, little)
                at += 4
                first[ring], outer[ring] = vertex, number == 0
                if little and dimensions == 2:
                    for byte in range(16 * corners):
                        target[16 * vertex + byte] = data[at + byte]
                else:
                    for k in range(corners):
                        for axis in range(2):
                            for byte in range(8):
                                source = at + 8 * (dimensions * k + axis) + (byte if little else 7 - byte)
                                target[16 * (vertex + k) + 8 * axis + byte] = data[source]
                at += 8 * dimensions * corners
                vertex += corners
                ring += 1
