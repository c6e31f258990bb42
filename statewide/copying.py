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

UUID = pa.binary(16)
"""Arrow type of a uuid."""

_START = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_NULL = pa.scalar(b"\xff\xff\xff\xff")
_EPOCH_DAYS = 10_957
"""Days from 1970-01-01, where Arrow counts from, to 2000-01-01, where PostgreSQL does."""
_EPOCH_MICROSECONDS = _EPOCH_DAYS * 86_400_000_000


def copy_in(
    connection: Connection, target: sql.Composable, columns: Sequence[str], chunks: Iterable[Mapping[str, pa.Array]]
) -> None:
    """COPY chunks of equally long columns into a table, in one statement.

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
            copy.write(_bytes(_joined(count, [_field(chunk[column]) for column in columns])))
        copy.write(_END)


def uuid_array(uids: npt.NDArray[np.void]) -> pa.Array:
    """Identifiers or digests of sixteen bytes (`V16`), ready to travel."""
    return pa.Array.from_buffers(UUID, len(uids), [None, pa.py_buffer(np.ascontiguousarray(uids).tobytes())])


def ewkb_array(shapes: npt.NDArray[np.object_], srid: int) -> pa.Array:
    """Shapes with their coordinate system, ready to travel."""
    if only_points(shapes):
        return _fixed(points_wkb(shapely.get_coordinates(shapes), srid))
    return pa.array(shapely.to_wkb(shapely.set_srid(shapes, srid), include_srid=True), pa.binary())


def _joined(count: bytes, fields: Sequence[pa.Array | bytes]) -> pa.Array:
    """The rows of a chunk; neighbouring fields that are empty in all of them travel as one."""
    parts: list[pa.Array | bytes] = [count]
    for field in fields:
        before = parts[-1]
        if isinstance(field, bytes) and isinstance(before, bytes):
            parts[-1] = before + field
        else:
            parts.append(field)
    return pc.binary_join_element_wise(*(pa.scalar(p) if isinstance(p, bytes) else p for p in parts), b"")


def _field(values: pa.Array) -> pa.Array | bytes:
    """Each value with its length in front, as COPY wants it."""
    if values.null_count == len(values) > 0:
        return _NULL
    payload = _payload(values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values)
    lengths = pc.fill_null(pc.binary_length(payload), 0).to_numpy(zero_copy_only=False)
    return pc.fill_null(pc.binary_join_element_wise(_fixed(lengths.astype(">i4")), payload, b""), _NULL)


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
    return pc.if_else(pc.is_valid(values), _fixed(numbers), pa.scalar(None, pa.binary()))


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
