"""Overlay of GeoParquet files without a database: sets larger than a State, in parts, on this machine or on a cluster.

Parcels and zones are two files in one projected coordinate system. The parcels are cut along the row groups of their
file; each part is answered in a file of its own, which appears whole or not at all, so that what was interrupted goes
on where it stopped. Workers need the same paths; they are sent names and row groups, never shapes.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj

from resilience.engines import Engine
from resilience.overlay import LayerIndex, index_layer, load_index, overlay_wkb, save_index
from statewide.errors import BadArgument, UnreadableDelivery

_ROWS = 100_000
"""Parcels of a part, about: as many row groups of the file as hold them."""
_FINGERPRINT, _SHAPELESS = b"statewide:made_from", b"statewide:without_polygon"
_ANSWERS = ["class", "area"]


@dataclass(frozen=True)
class _Part:
    """Row groups of the parcels' file, and where their answers go."""

    parcels: Path
    groups: tuple[int, ...]
    key: str
    shape: str
    index: Path
    names: tuple[str, ...]
    out: Path
    fingerprint: str


def overlay_files(
    parcels: Path,
    zones: Path,
    out: Path,
    engine: Engine,
    *,
    key: str,
    class_column: str,
    order: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Area of each parcel in each class of the zones, as Parquet files of key, class and area in the folder `out`.

    Args:
        parcels: GeoParquet of valid polygons with the column `key`.
        zones: GeoParquet of polygons with the column `class_column`, in the same projected coordinate system.
        order: the classes, the one first that counts where zones overlap; in the order of the alphabet if none.

    Raises:
        BadArgument: a column is not there or will not do, the two files are not of one projected coordinate system, or
            the folder cannot be made.
        UnreadableDelivery: a file is no GeoParquet of polygons in WKB.
    """
    parcel_shape, parcel_crs = _geometry(parcels)
    zone_shape, zone_crs = _geometry(zones)
    if parcel_crs != zone_crs:
        raise BadArgument(f"{parcels.name} is in {_named(parcel_crs)} and {zones.name} in {_named(zone_crs)}.")
    if parcel_crs is None or not parcel_crs.is_projected:
        raise BadArgument(f"{parcels.name} is in {_named(parcel_crs)}; areas need a projected coordinate system.")
    for file, column in ((parcels, key), (zones, class_column)):
        if column not in pq.read_schema(file).names:
            raise BadArgument(f"{file.name} has no column {column!r}.")
    if key in _ANSWERS:
        raise BadArgument(f"The answers have a column of that name: a key cannot be called {key!r}.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadArgument(f"The folder {out} cannot be made ({error.strerror}).") from error
    names, index, shapeless = _kept_index(zones, zone_shape, class_column, order, out, say)
    parts = _parts(parcels, key, parcel_shape, names, index, out)
    open_parts = [part for part in parts if _made_from(part.out) != part.fingerprint]
    say(f"{len(parts):,} parts, {len(parts) - len(open_parts):,} of them done before")
    for done, size in enumerate(engine.map(_answer, open_parts), start=1):
        say(f"{done:,} of {len(open_parts):,} parts: {size:,} parcels")
    # Of a file that was larger: whoever reads the folder would count them, too.
    for other in set(out.glob("part-*.parquet")) - {part.out for part in parts}:
        other.unlink()
    area: dict[str, float] = dict.fromkeys(names, 0.0)
    rows = without = 0
    for part in parts:
        table = pq.read_table(part.out, columns=_ANSWERS)
        rows += len(table)
        without += int(table.schema.metadata.get(_SHAPELESS, 0))
        for row in table.group_by("class").aggregate([("area", "sum")]).to_pylist():
            area[row["class"]] += row["area_sum"]
    return {
        "outcome": "ok" if open_parts else "unchanged",
        "parcels": pq.ParquetFile(parcels).metadata.num_rows,
        "parcels_without_polygon": without,
        "zones_without_polygon": shapeless,
        "parts": {"computed": len(open_parts), "done before": len(parts) - len(open_parts)},
        "rows": rows,
        "area": {name: round(value, 3) for name, value in area.items()},
        "unit": f"square {parcel_crs.axis_info[0].unit_name}",
        "folder": str(out),
    }


def _geometry(file: Path) -> tuple[str, pyproj.CRS | None]:
    """Name of the column of shapes, and its coordinate system."""
    try:
        schema = pq.read_schema(file)
        said = json.loads((schema.metadata or {})[b"geo"])
        column = said["columns"][said["primary_column"]]
        kind = schema.field(said["primary_column"]).type
        if column["encoding"] != "WKB" or kind not in (pa.binary(), pa.large_binary()):
            raise ValueError("not WKB")
        crs = column.get("crs", "OGC:CRS84")
        return said["primary_column"], None if crs is None else pyproj.CRS.from_user_input(crs)
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError, pyproj.exceptions.CRSError) as error:
        raise UnreadableDelivery(f"{file.name} is no GeoParquet file with shapes in WKB.") from error


def _named(crs: pyproj.CRS | None) -> str:
    return "no coordinate system" if crs is None else crs.name


def _kept_index(
    zones: Path, shape: str, class_column: str, order: Sequence[str], out: Path, say: Callable[[str], None]
) -> tuple[tuple[str, ...], Path, int]:
    """The classes in their order, the file of the index, made now if the zones are others than last time, and how many
    zones have no polygon."""
    table = pq.read_table(zones, columns=[class_column, shape])
    shapeless = _without_polygon(table.column(shape))
    if shapeless == len(table):
        raise UnreadableDelivery(f"{zones.name} has no polygon.")
    try:
        texts = table.column(class_column).cast(pa.string()).combine_chunks().dictionary_encode()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadArgument(f"{zones.name}: the values of {class_column} are no words.") from error
    found = texts.dictionary.to_pylist()
    if texts.null_count:
        raise BadArgument(f"{zones.name}: {texts.null_count:,} polygons have no {class_column}.")
    if missing := sorted(set(found) - set(order)) if order else []:
        raise BadArgument(f"The order leaves out {', '.join(missing)}.")
    names = tuple(order) or tuple(sorted(found))
    file = out / f"zones-{_digest(_state(zones), class_column, *names)}.index"
    if load_index(file) is None:
        say(f"Cutting {len(table):,} zones")
        place = np.array([names.index(name) for name in found], dtype=np.int64)
        codes = place[texts.indices.to_numpy()]
        save_index(index_layer(table.column(shape), codes, one_class_per_place=True), file)
    return names, file, shapeless


def _without_polygon(shapes: pa.ChunkedArray) -> int:
    """How many shapes are missing, empty, broken or no polygons."""
    from resilience.polygon_rings import rings_of_wkb

    rings = rings_of_wkb(shapes)
    return int(np.count_nonzero(~rings.sound | (np.diff(rings.shape) == 0)))


def _parts(parcels: Path, key: str, shape: str, names: tuple[str, ...], index: Path, out: Path) -> list[_Part]:
    metadata = pq.ParquetFile(parcels).metadata
    groups: list[list[int]] = [[]]
    rows = 0
    for number in range(metadata.num_row_groups):
        if rows >= _ROWS:
            groups.append([])
            rows = 0
        groups[-1].append(number)
        rows += metadata.row_group(number).num_rows
    state = _state(parcels)
    return [
        _Part(
            parcels, tuple(part), key, shape, index, names, out / f"part-{number:05d}.parquet",
            _digest(state, index.name, key, *map(str, part)),
        )
        for number, part in enumerate(groups)
    ]  # fmt: skip


def _answer(part: _Part) -> int:
    """Compute a part, write it and give its number of parcels; runs where the engine says."""
    table = pq.ParquetFile(part.parcels).read_row_groups(list(part.groups), columns=[part.key, part.shape])
    index = _index(part.index)
    found = overlay_wkb(table.column(part.shape), index)
    in_none = np.ones(len(table), dtype=bool)
    in_none[found.parcel] = False
    shapeless = _without_polygon(table.column(part.shape).filter(pa.array(in_none)))
    answers = pa.table(
        {
            part.key: table.column(part.key).take(pa.array(found.parcel)),
            "class": pa.array(part.names).take(pa.array(found.class_code)),
            "area": pa.array(found.area_sqft),
        }
    ).replace_schema_metadata({_FINGERPRINT: part.fingerprint.encode(), _SHAPELESS: str(shapeless)})
    writing = part.out.with_suffix(f".{os.getpid()}.writing")
    pq.write_table(answers, writing)
    writing.replace(part.out)
    return len(table)


@functools.lru_cache(maxsize=2)
def _index(file: Path) -> LayerIndex:
    index = load_index(file)
    if index is None:
        raise UnreadableDelivery(f"The index {file.name} cannot be read here; workers need the same paths.")
    return index


def _made_from(file: Path) -> str | None:
    try:
        return (pq.read_schema(file).metadata or {}).get(_FINGERPRINT, b"").decode() or None
    except (OSError, pa.ArrowInvalid):
        return None


def _state(file: Path) -> str:
    about = file.stat()
    return f"{file.resolve()} {about.st_size} {about.st_mtime_ns}"


def _digest(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
