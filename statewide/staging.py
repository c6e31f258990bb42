"""What would be published of a delivery, in columns and in memory, with the hashes by which a row is recognised."""

from __future__ import annotations

import functools
import hashlib
import os
import time
import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from statewide.geometry import Shapes, only_points, points_wkb
from statewide.standard import Table

Digests = npt.NDArray[np.void]
"""Sixteen bytes each; `V16`, because numpy drops zeros from the end of `S16`."""


@dataclass(frozen=True)
class Staged:
    """What would be published of a delivery: one entry per row, arrays in the same order.

    `rows` carries `row_no` and the stored fields of the table; `shapes` are valid MultiPolygons or Points in the
    storage CRS, or None in every place where the table has no shapes of its own.
    """

    table: Table
    rows: pa.Table
    shapes: Shapes

    @functools.cached_property
    def row_no(self) -> npt.NDArray[np.int64]:
        """Row numbers of the delivery, from 1."""
        return np.asarray(self.rows.column("row_no").to_numpy(), dtype=np.int64)

    @functools.cached_property
    def attribute_hash(self) -> Digests:
        """What the town decided, in sixteen bytes per row."""
        return attribute_hashes(self.table, self.rows)

    @functools.cached_property
    def shape_hash(self) -> Digests:
        """The shape, in sixteen bytes per row; zeros where there is none."""
        return shape_hashes(self.shapes)

    @functools.cached_property
    def areas(self) -> npt.NDArray[np.float64]:
        """Square feet; 0 without a shape."""
        areas: npt.NDArray[np.float64] = np.nan_to_num(shapely.area(self.shapes))
        return areas

    def text(self, column: str) -> npt.NDArray[np.object_]:
        """A text column, None where it is empty."""
        return np.array(self.rows.column(column).to_pylist(), dtype=object)

    def shape(self, row_no: int) -> Any:
        """The shape of the row of that number."""
        return self.shapes[int(np.searchsorted(self.row_no, row_no))]

    def without(self, held: set[int]) -> Staged:
        """The same without the rows of these numbers."""
        if not held:
            return self
        keep = ~np.isin(self.row_no, list(held))
        left = Staged(self.table, self.rows.filter(pa.array(keep)), self.shapes[keep])
        for name in ("attribute_hash", "shape_hash"):  # already known of the rows that stay
            if name in self.__dict__:
                left.__dict__[name] = self.__dict__[name][keep]
        return left


def attribute_hashes(table: Table, rows: pa.Table) -> Digests:
    """MD5 over name and value of every filled column that a town or a code list decides.

    Empty columns do not count, so that a field added to the law changes no hash. Measures of the shape are left out
    (the shape has its own hash), and so are fields that follow in place without making a new version.
    """
    parts: list[Any] = [pa.scalar(table.name)]  # never all empty: Arrow would leave such a row out
    for field in table.base_fields:
        decided = field.versioned and (field.filled_by == "town" or field.type == "text")
        if not decided or field.name not in rows.column_names or field.name in (table.key, table.town_key):
            continue
        values = rows.column(field.name)
        if values.null_count < len(values):
            text = values.cast(pa.string())
            parts.append(pc.binary_join_element_wise(pa.scalar(field.name), text, "="))
    joined = pc.binary_join_element_wise(*parts, "\x1f", null_handling="skip")
    if not isinstance(joined, pa.Array | pa.ChunkedArray):
        joined = pa.array([joined.as_py()] * len(rows))
    return _digests(joined.cast(pa.binary()).to_pylist())


def shape_hashes(shapes: Shapes) -> Digests:
    """MD5 over the normalised WKB: ring direction and start do not count, coordinates do, to the last bit."""
    hashes: Digests = np.zeros(len(shapes), dtype="V16")
    present = ~shapely.is_missing(shapes)
    if only_points(shapes[present]):
        hashes[present] = _digests(points_wkb(shapely.get_coordinates(shapes[present])).tolist())
    else:
        hashes[present] = _digests(shapely.to_wkb(shapely.normalize(shapes[present]), byte_order=1))
    return hashes


def content_hashes(attribute_hash: Digests, shape_hash: Digests) -> npt.NDArray[np.bytes_]:
    """Both hashes of each row as one value to group by."""
    both = np.empty(len(attribute_hash), dtype=[("attributes", "V16"), ("shape", "V16")])
    both["attributes"], both["shape"] = attribute_hash, shape_hash
    return both.view("S32")


def new_uid() -> str:
    """A fresh identifier."""
    return str(uuid.uuid4())


def new_uids(count: int) -> Digests:
    """Fresh identifiers in the order of their making (RFC 9562, version 7): an index of them grows at its end."""
    raw = np.frombuffer(os.urandom(16 * count), dtype=np.uint8).reshape(count, 16).copy()
    raw[:, :6] = np.frombuffer((time.time_ns() // 1_000_000).to_bytes(6, "big"), dtype=np.uint8)
    raw[:, 6] = 0x70 | raw[:, 6] >> 4
    raw[:, 8] = 0x80 | raw[:, 8] >> 2
    return np.frombuffer(raw.tobytes(), dtype="V16")


def _digests(values: Any) -> Digests:
    joined = b"".join([hashlib.md5(value, usedforsecurity=False).digest() for value in values])
    return np.frombuffer(joined, dtype="V16")
