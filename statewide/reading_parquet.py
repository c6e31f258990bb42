"""GeoParquet through Arrow: the shapes are the column that the file's "geo" note names, and must be WKB.

Runs inside the throwaway process. A Parquet file without that note is a table.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from statewide.prescan import Count
from statewide.reading_limits import MIB, Limits, Unusable
from statewide.reading_rows import BATCH_ROWS, CurvesFound, Dataset, FoundLayer, Rows, TableFile, table_schema

_PANDAS = "__index_level_"
_CRS84 = "EPSG:4326"  # what GeoParquet means when it names no system: degrees, longitude first


def list_parquet(number: int, dataset: Dataset, limits: Limits) -> tuple[FoundLayer, Count]:
    """Raises Unusable."""
    file = _open(dataset)
    if file.metadata.num_rows > limits.records:
        raise Unusable(f"holds more than {limits.records:,} records; send the one map or table alone")
    groups = [file.metadata.row_group(at) for at in range(file.metadata.num_row_groups)]
    if sum(group.total_byte_size for group in groups) > limits.unpacked_bytes:
        raise Unusable(f"unpacks to more than {limits.unpacked_bytes // MIB} MB; send the one map or table alone")
    geometry, notes = _geometry_column(file)
    fields = table_schema([field for field in _fields(file) if field.name != geometry])
    kinds = notes.get("geometry_types") if isinstance(notes.get("geometry_types"), list) else []
    layer = FoundLayer(
        dataset=number,
        inner=None,
        name=dataset.name,
        geometry_type=None if geometry is None else _kind(kinds or []),
        rows=file.metadata.num_rows,
        fields=[(field.name, str(field.type)) for field in list(fields)[1:-1]],
        crs=_crs(notes) if geometry is not None else None,
    )
    rows = sum(group.num_rows for group in groups)
    return layer, Count(rows, None, "rows of the row groups in the footer")


def read_parquet(dataset: Dataset, out: Path, *, shapes: bool) -> dict[str, Any]:
    file = _open(dataset)
    geometry, _ = _geometry_column(file)
    fields = [field for field in _fields(file) if field.name != geometry]
    rows = Rows()
    schema = file.schema_arrow
    places = [at for at, name in enumerate(schema.names) if name != geometry and not name.startswith(_PANDAS)]
    shape_at = schema.names.index(geometry) if shapes and geometry else None
    try:
        with TableFile(out / "table.arrow", fields, rows) as table:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
                columns = [_unpacked(batch.column(at)) for at in places]
                found = None if shape_at is None else _unpacked(batch.column(shape_at)).cast(pa.binary())
                table.add(columns, found, len(batch))
    except MemoryError:  # also one of Arrow's own exceptions
        raise
    except (pa.ArrowException, OSError) as error:
        raise Unusable("is a damaged Parquet file; export it again") from error
    except CurvesFound as error:
        raise Unusable("has curves; export it with plain lines") from error
    said = table.said + rows.complaints()
    return {"rows": vars(rows), "warnings": said, "notes": rows.notes(), "broken_rows": []}


def _open(dataset: Dataset) -> Any:
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(dataset.path, memory_map=True)
    except (pa.ArrowException, OSError) as error:
        raise Unusable("is a damaged Parquet file; export it again") from error


def _fields(file: Any) -> list[Any]:
    """Without pandas' own row numbers; dictionaries are a way to pack texts."""
    fields = [field for field in file.schema_arrow if not field.name.startswith(_PANDAS)]
    return [field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in fields]


def _unpacked(column: Any) -> Any:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _geometry_column(file: Any) -> tuple[str | None, dict[str, Any]]:
    """(name, what the "geo" note says of it). Raises Unusable for shapes in another encoding than WKB."""
    note = (file.metadata.metadata or {}).get(b"geo")  # not every writer repeats it in its Arrow schema
    if note is None:
        return None, {}
    try:
        geo = json.loads(note)
        name = geo["primary_column"]
        about = geo["columns"][name]
        encoding = str(about["encoding"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unusable("is a GeoParquet file whose note on its shapes is damaged; export it again") from error
    kind = file.schema_arrow.field(name).type if name in file.schema_arrow.names else None
    if kind is None or encoding != "WKB" or not _is_bytes(kind):
        raise Unusable("is a GeoParquet file whose shapes are not WKB; export it again with WKB")
    return str(name), about


def _is_bytes(kind: Any) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _kind(kinds: list[Any]) -> str:
    plain = {str(kind).removesuffix(" Z") for kind in kinds}
    height = " Z" if any(str(kind).endswith(" Z") for kind in kinds) else ""
    if plain == {"Polygon", "MultiPolygon"}:
        return "MultiPolygon" + height
    return (next(iter(plain)) if len(plain) == 1 else "Unknown") + height


def _crs(about: dict[str, Any]) -> str | None:
    """A code or PROJJSON as text; an explicit null says that nobody knows."""
    if "crs" not in about:
        return _CRS84
    crs = about["crs"]
    if not isinstance(crs, dict):
        return None
    known = crs.get("id")
    if isinstance(known, dict) and known.get("authority") == "EPSG" and str(known.get("code", "")).isdigit():
        return f"epsg:{known['code']}"  # small letters: to be looked up, not believed
    return json.dumps(crs)
