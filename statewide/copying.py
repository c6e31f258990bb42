"""Bulk into PostgreSQL by binary COPY, built in columns instead of row by row.

Arrow's type says how a value travels: int32, int64, float64, bool, date32, timestamp[us], string; sixteen fixed bytes
are a uuid, and other bytes go as they are (EWKB of a geometry). See "Binary Format" in PostgreSQL's manual of COPY.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from psycopg import sql

from statewide.database import Connection
from statewide.geometry import only_points, points_wkb

UUID = pa.binary(16)
"""Arrow type of a uuid."""

_START = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
"""The length of a value that is empty."""
_EPOCH_DAYS = 10_957
"""Days from 1970-01-01, where Arrow counts from, to 2000-01-01, where PostgreSQL does."""
_EPOCH_MICROSECONDS = _EPOCH_DAYS * 86_400_000_000
_ONE_RING = np.dtype("u1, <u4, <u4, <u4, u1, <u4, <u4, <u4")
_ONE_RING.names = ("order", "type", "srid", "parts", "order_of_part", "type_of_part", "rings", "corners")
"""What stands before the corners of a MultiPolygon of one ring in EWKB."""


def copy_in(
    connection: Connection,
    target: sql.Composable,
    columns: Sequence[str],
    chunks: Iterable[Mapping[str, pa.Array | pa.Scalar]],
) -> None:
    """COPY chunks of equally long columns into a table, in one statement; a scalar is a column of one value.

    Raises:
        psycopg.Error: a value breaks a rule of the table.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
        target, sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(_START)
        count = len(columns).to_bytes(2, "big")
        for chunk in chunks:
            rows = next(len(values) for values in chunk.values() if not isinstance(values, pa.Scalar))
            copy.write(_rows((chunk[column] for column in columns), rows, count))
        copy.write(_END)


def uuid_array(uids: npt.NDArray[np.void]) -> pa.Array:
    """Identifiers or digests of sixteen bytes (`V16`), ready to travel."""
    return pa.Array.from_buffers(UUID, len(uids), [None, pa.py_buffer(np.ascontiguousarray(uids).tobytes())])


def ewkb_array(shapes: npt.NDArray[np.object_], srid: int) -> pa.Array:
    """Shapes with their coordinate system, ready to travel."""
    if only_points(shapes):
        return _fixed(points_wkb(shapely.get_coordinates(shapes), srid))
    plain = _of_one_ring(shapes)
    others = shapely.to_wkb(shapely.set_srid(shapes[~plain], srid), include_srid=True)
    if not plain.any():
        return pa.array(others, pa.binary())
    order = np.empty(len(shapes), dtype=np.int64)
    order[np.flatnonzero(plain)] = np.arange(plain.sum())
    order[np.flatnonzero(~plain)] = np.arange(plain.sum(), len(shapes))
    values = pa.concat_arrays([_one_ring_ewkb(shapes[plain], srid), pa.array(others, pa.binary())])
    return values.take(pa.array(order)) if len(others) else values


def _of_one_ring(shapes: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    """Which shapes are MultiPolygons of one part without a hole, in two dimensions: most parcels."""
    found: npt.NDArray[np.bool_] = (shapely.get_type_id(shapes) == 6) & ~shapely.has_z(shapes)
    found &= shapely.get_num_geometries(shapes) == 1
    found[found] = shapely.get_num_interior_rings(shapely.get_geometry(shapes[found], 0)) == 0
    return found


def _one_ring_ewkb(shapes: npt.NDArray[np.object_], srid: int) -> pa.Array:
    """What `shapely.to_wkb` writes of them, a third of the work: all corners lie in one buffer already."""
    corners = shapely.get_num_coordinates(shapes)
    head = np.zeros(len(shapes), dtype=_ONE_RING)
    head["order"], head["type"], head["srid"], head["parts"] = 1, 0x20000006, srid, 1
    head["order_of_part"], head["type_of_part"], head["rings"], head["corners"] = 1, 3, 1, corners
    ends = np.zeros(len(shapes) + 1, dtype=np.int32)
    np.cumsum(16 * corners, out=ends[1:])
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(shapely.get_coordinates(shapes))]
    return pc.binary_join_element_wise(
        _fixed(head.view(f"V{head.itemsize}")), pa.Array.from_buffers(pa.binary(), len(shapes), buffers), b""
    )


def _rows(columns: Iterable[pa.Array | pa.Scalar], rows: int, count: bytes) -> bytes:
    """Rows as COPY wants them: the count of the fields, then each value with its length in front.

    What is the same in all rows is put together once, and not row by row.
    """
    parts: list[pa.Array | bytes] = [count]
    for column in columns:
        for part in _field(column):
            if isinstance(part, bytes) and isinstance(parts[-1], bytes):
                parts[-1] += part
            else:
                parts.append(part)
    values = [pa.scalar(part) if isinstance(part, bytes) else part for part in parts]
    return _bytes(pc.binary_join_element_wise(pa.repeat(pa.scalar(b""), rows), *values, b""))


def _field(values: pa.Array | pa.Scalar) -> tuple[pa.Array | bytes, pa.Array | bytes]:
    """The length and the bytes of each value."""
    if isinstance(values, pa.Scalar):
        [payload] = _payload(pa.array([values])).to_pylist()
        return len(payload).to_bytes(4, "big"), payload
    if values.null_count == len(values):
        return _NULL, b""
    payload = _payload(values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values)
    lengths = pc.fill_null(pc.binary_length(payload), -1).to_numpy(zero_copy_only=False)
    same = lengths.min() == lengths.max()
    length = int(lengths[0]).to_bytes(4, "big") if same else _fixed(lengths.astype(">i4"))
    return length, pc.fill_null(payload, b"") if payload.null_count else payload


def _payload(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return values.cast(pa.binary())
    if pa.types.is_boolean(kind):
        numbers = pc.fill_null(values, False).to_numpy(zero_copy_only=False).astype(">i1")
    elif pa.types.is_date32(kind):
        numbers = (pc.fill_null(values.cast(pa.int32()), 0).to_numpy() - _EPOCH_DAYS).astype(">i4")
    elif pa.types.is_timestamp(kind):
        numbers = (pc.fill_null(values.cast(pa.int64()), 0).to_numpy() - _EPOCH_MICROSECONDS).astype(">i8")
    else:
        plain = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
        numbers = plain.astype(plain.dtype.newbyteorder(">"))
    fixed = _fixed(numbers)
    return pc.if_else(values.is_valid(), fixed, pa.scalar(None, pa.binary())) if values.null_count else fixed


def _fixed(numbers: npt.NDArray[Any]) -> pa.Array:
    """Numbers as the bytes they are stored in."""
    kind = pa.binary(numbers.dtype.itemsize)
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(numbers.tobytes())]).cast(pa.binary())


def _bytes(rows: pa.Array) -> bytes:
    """All values of a binary array without nulls, end to end."""
    _, offsets, data = rows.buffers()
    if data is None or not len(rows):
        return b""
    ends = np.frombuffer(offsets, dtype=np.int32)[rows.offset : rows.offset + len(rows) + 1]
    return bytes(memoryview(data)[int(ends[0]) : int(ends[-1])])
