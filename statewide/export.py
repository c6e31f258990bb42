"""Files for others: what is published, or was at a moment, as GeoPackage, GeoParquet, FlatGeobuf, CSV or GeoJSON.

Only columns of the published views. Rows travel town by town as Arrow batches of some megabytes from PostgreSQL to the
writer, in one snapshot, so the size of the State does not matter; the file appears when it is whole.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from psycopg import sql

from statewide.database import LOADER, Connection, connect, role_url
from statewide.ddl import LONLAT_SRID, SHAPES, has_shapes, view_fields, view_name
from statewide.errors import BadArgument, DatabaseUnavailable, PlatformError, StorageFull, no_room
from statewide.geometry import published_shapes
from statewide.register import Town
from statewide.settings import Settings
from statewide.standard import Standard, StandardField, Table
from statewide.versions import Comparison, published_as_of

Format = Literal["gpkg", "geoparquet", "fgb", "csv", "geojson"]
FORMATS: tuple[Format, ...] = get_args(Format)

_SUFFIXES: dict[str, Format] = {
    ".gpkg": "gpkg",
    ".parquet": "geoparquet",
    ".geoparquet": "geoparquet",
    ".fgb": "fgb",
    ".csv": "csv",
    ".geojson": "geojson",
    ".json": "geojson",
}
_SUFFIX_OF = {kind: suffix for suffix, kind in reversed(_SUFFIXES.items())}
_DRIVERS: dict[Format, tuple[str, dict[str, str], dict[str, str]]] = {
    "gpkg": ("GPKG", {"VERSION": "1.3"}, {"SPATIAL_INDEX": "YES"}),  # older desktop software warns of 1.4
    "fgb": ("FlatGeobuf", {}, {"SPATIAL_INDEX": "YES"}),
    "geojson": ("GeoJSON", {}, {"RFC7946": "YES"}),
}
"""GDAL's name, and how it is to make the file and the layer."""
GEOMETRY = "geometry"
_BBOX = pa.struct([(side, pa.float64()) for side in ("xmin", "ymin", "xmax", "ymax")])
_BATCH_BYTES = 16_000_000
_FORMULA = r"\A([=+\-@\t\r])"
"""A text that begins so is run as a formula by a spreadsheet."""


@dataclass(frozen=True)
class Layer:
    """What is written: name, kind of shape (None: without), EPSG code, and the batches with their schema.

    A shape travels in the column `geometry`, as WKB; to a CSV as WKT.
    """

    name: str
    shape: str | None
    epsg: int
    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]


def format_of(path: Path, asked: str | None) -> Format:
    """The format asked for, or else the one of the file's name.

    Raises:
        BadArgument: neither says one that we write.
    """
    named = asked or _SUFFIXES.get(path.suffix.casefold())
    if named not in FORMATS:
        raise BadArgument(f"Say the format of {path.name}: --format {', '.join(FORMATS)}.")
    return named


def export(
    settings: Settings,
    standard: Standard,
    table: Table,
    path: Path,
    kind: Format,
    *,
    town: Town | None = None,
    moment: dt.datetime | None = None,
    epsg: int | None = None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Write what is published of a table, of one town or of all, now or at a moment.

    Without `epsg` in the storage CRS, but GeoJSON in degrees: its standard (RFC 7946) knows no other.

    Raises:
        BadArgument: a coordinate system that is not stored, or that the format cannot have.
        PlatformError: database or disk; there is no half file.
    """
    stored = (standard.header.storage_crs, LONLAT_SRID)
    epsg = epsg or (LONLAT_SRID if kind == "geojson" else standard.header.storage_crs)
    if epsg not in stored:
        raise BadArgument(f"--crs is {' or '.join(map(str, stored))}.")
    if kind == "geojson" and epsg != LONLAT_SRID:
        raise BadArgument(
            f"GeoJSON is always in EPSG:{LONLAT_SRID} (RFC 7946): leave --crs out, or take another format."
        )
    with published_layer(settings, standard, table, town, moment, epsg, wkt=kind == "csv", say=say) as (layer, towns):
        rows = write_layer(path, kind, layer)
    return {
        "outcome": "ok",
        "file": str(path),
        "format": kind,
        "bytes": path.stat().st_size,
        "rows": rows,
        "towns": towns,
        "epsg": epsg,
        "as_of": moment.isoformat() if moment else None,
    }


@contextmanager
def published_layer(
    settings: Settings,
    standard: Standard,
    table: Table,
    town: Town | None,
    moment: dt.datetime | None,
    epsg: int,
    *,
    wkt: bool = False,
    say: Callable[[str], None],
) -> Iterator[tuple[Layer, int]]:
    """What is published of a table, of one town or of all, and of how many; the batches can be read while this lasts.

    Args:
        epsg: of the storage CRS, or degrees.
        wkt: shapes as text, in the column `wkt`.

    Raises:
        DatabaseUnavailable: the database went away.
    """
    shape = SHAPES[epsg == LONLAT_SRID]
    fields = view_fields(table, extended=moment is None)
    with connect(settings) as connection:
        towns = {town.cousub_fips: town.town_name} if town else _towns(connection, table)
        rows_of = functools.partial(_query, standard, table, fields, shape, wkt, moment)
        queries = {name: rows_of(fips).as_string(connection) for fips, name in towns.items()}
        none = (rows_of(None) + sql.SQL(" LIMIT 0")).as_string(connection)
    kind = table.geometry.type if _is_drawn(table, moment) and table.geometry else None
    with _snapshot(settings) as cursor:
        schema = next(_batches(cursor, none)).schema
        batches = (batch for name, query in queries.items() for batch in _told(say, name, _batches(cursor, query)))
        yield Layer(view_name(table), kind, epsg, schema, batches), len(towns)


def export_comparison(path: Path, kind: Format, comparison: Comparison, table: Table, standard: Standard) -> int:
    """Write what differs between two versions, a row each: before and after as JSON of the columns that differ.

    Raises:
        BadArgument, PlatformError: as `write_layer`.
    """
    rows = comparison.rows
    epsg = LONLAT_SRID if kind == "geojson" else standard.header.storage_crs
    columns: dict[str, pa.Array] = {
        table.key: pa.array([row.uid for row in rows], pa.string()),
        "label": pa.array([row.label for row in rows], pa.string()),
        "change": pa.array([row.change for row in rows], pa.string()),
        "kinds": pa.array([" ".join(row.kinds) for row in rows], pa.string()),
        "redrawn": pa.array([row.redrawn for row in rows], pa.bool_()),
        "columns": pa.array([" ".join(row.values) for row in rows], pa.string()),
    }
    for place, side in enumerate(("before", "after")):
        values = ({name: pair[place] for name, pair in row.values.items()} for row in rows)
        columns[side] = pa.array([json.dumps(each, ensure_ascii=False) for each in values], pa.string())
    drawn = has_shapes(table)
    if drawn:
        shapes = np.array([row.shape for row in rows], dtype=object)
        shapes = published_shapes(shapes, standard)[0] if kind == "geojson" else shapes
        columns["wkt" if kind == "csv" else GEOMETRY] = (
            pa.array(shapely.to_wkt(shapes, rounding_precision=6), pa.string())
            if kind == "csv"
            else pa.array(shapely.to_wkb(shapes), pa.binary())
        )
    batch = pa.RecordBatch.from_pydict(columns)
    shape = table.geometry.type if drawn and table.geometry else None
    return write_layer(path, kind, Layer(f"{table.name}_changes", shape, epsg, batch.schema, [batch]))


def write_layer(path: Path, kind: Format, layer: Layer) -> int:
    """Write a file whole or not at all; an existing one is replaced. The number of rows.

    Raises:
        BadArgument: the folder is not there.
        PlatformError: no room, or it may not be written.
    """
    streamed = Streamed(layer)
    with appearing_whole(path) as folder:
        partial = folder / f"export{_SUFFIX_OF[kind]}"
        if kind == "csv":
            _write_csv(partial, streamed.reader)
        elif kind == "geoparquet":
            _write_parquet(partial, layer, streamed.reader)
        else:
            write_with_gdal(partial, layer, streamed, *_DRIVERS[kind])
        partial.replace(path)
    return streamed.rows


class Streamed:
    """The rows of a layer on their way into a file: how many went by, and what stopped them.

    A writer in another language says only that there was an error.
    """

    def __init__(self, layer: Layer) -> None:
        self.rows = 0
        self.error: Exception | None = None
        self.reader = pa.RecordBatchReader.from_batches(layer.schema, self._batches(layer))

    def _batches(self, layer: Layer) -> Iterator[pa.RecordBatch]:
        try:
            for batch in layer.batches:
                self.rows += len(batch)
                yield batch
        except Exception as error:
            self.error = error
            raise


@contextmanager
def appearing_whole(path: Path) -> Iterator[Path]:
    """A folder to write in, beside where a file is to be: moving it to its place cannot fail halfway.

    Raises:
        BadArgument: the folder of ``path`` is not there.
        PlatformError: no room, or it may not be written.
    """
    if not path.parent.is_dir():
        raise BadArgument(f"There is no folder {path.parent}.")
    try:
        with tempfile.TemporaryDirectory(
            dir=path.parent, prefix=f".{path.name}-", ignore_cleanup_errors=True
        ) as folder:
            yield Path(folder)
    except OSError as error:
        if no_room(error):
            raise StorageFull(f"There is no room for {path.name}; nothing was written.") from error
        raise PlatformError(f"{path.name} could not be written ({error.strerror or error}).") from error


def write_with_gdal(
    path: Path,
    layer: Layer,
    streamed: Streamed,
    driver: str,
    of_file: dict[str, str],
    of_layer: dict[str, str],
) -> None:
    """Write by one of GDAL's drivers; a column's width is the `GDAL:OGR:width` of its metadata.

    Raises:
        OSError: it could not be written.
    """
    import pyogrio.raw  # slow to import, and wanted nowhere else in a run

    try:
        pyogrio.raw.write_arrow(
            streamed.reader,
            path,
            layer=layer.name,
            driver=driver,
            geometry_name=GEOMETRY if layer.shape else None,
            geometry_type=layer.shape,
            crs=f"EPSG:{layer.epsg}" if layer.shape else None,
            dataset_options=of_file,
            layer_options=of_layer,
        )
    except RuntimeError as error:  # pyogrio's own errors are such
        raise streamed.error or OSError(str(error)) from error


def _write_csv(path: Path, reader: pa.RecordBatchReader) -> None:
    """Shapes as WKT; a text that a spreadsheet would run gets a leading apostrophe."""
    import pyarrow.csv

    with pyarrow.csv.CSVWriter(
        path, reader.schema, write_options=pyarrow.csv.WriteOptions(quoting_style="needed")
    ) as file:
        for batch in reader:
            for place, column in enumerate(batch.schema):
                if pa.types.is_string(column.type):
                    harmless = pc.replace_substring_regex(batch.column(place), _FORMULA, r"'\1")
                    batch = batch.set_column(place, column, harmless)
            file.write_batch(batch)


def _write_parquet(path: Path, layer: Layer, reader: pa.RecordBatchReader) -> None:
    """GeoParquet 1.1 with the extent of each shape, so that readers can skip row groups: see geoparquet.org."""
    import pyarrow.parquet
    import pyproj

    schema = reader.schema.append(pa.field("bbox", _BBOX)) if layer.shape else reader.schema
    extent = np.array([np.inf, np.inf, -np.inf, -np.inf])
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as file:
        for batch in reader:
            if layer.shape:
                bounds = shapely.bounds(shapely.from_wkb(batch.column(GEOMETRY).to_numpy(zero_copy_only=False)))
                extent[:2] = np.fmin(extent[:2], np.nanmin(bounds[:, :2], axis=0, initial=np.inf))
                extent[2:] = np.fmax(extent[2:], np.nanmax(bounds[:, 2:], axis=0, initial=-np.inf))
                box = pa.StructArray.from_arrays(
                    [pa.array(side, from_pandas=True) for side in bounds.T], fields=list(_BBOX)
                )
                batch = batch.append_column(schema.field("bbox"), box)
            file.write_batch(batch)
        if layer.shape:
            crs = pyproj.CRS("OGC:CRS84" if layer.epsg == LONLAT_SRID else f"EPSG:{layer.epsg}")
            column = {
                "encoding": "WKB",
                "geometry_types": [layer.shape],
                "crs": crs.to_json_dict(),
                "covering": {"bbox": {side.name: ["bbox", side.name] for side in _BBOX}},
            } | ({"bbox": extent.tolist()} if np.isfinite(extent).all() else {})
            about = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
            file.add_key_value_metadata({"geo": json.dumps(about)})


def _is_drawn(table: Table, moment: dt.datetime | None) -> bool:
    """Whether the rows have shapes; those that the platform puts beside them keep no history."""
    return table.geometry is not None and (moment is None or table.geometry.taken_from not in table.extended_by)


def _query(
    standard: Standard,
    table: Table,
    fields: Sequence[StandardField],
    shape: str,
    wkt: bool,
    moment: dt.datetime | None,
    town: str | None,
) -> sql.Composed:
    """The rows of a town as they are written, in the order of their identifiers; without a town, those of all."""
    columns = [
        sql.SQL("{0}::text AS {0}" if field.type in ("uuid", "json") else "{0}").format(sql.Identifier(field.name))
        for field in fields
    ]
    if _is_drawn(table, moment):
        columns.append(
            sql.SQL("ST_AsText({}) AS wkt" if wkt else "ST_AsBinary({}) AS geometry").format(sql.Identifier(shape))
        )
    of_town = (
        sql.SQL("{} = {}").format(sql.Identifier(table.town_key or ""), sql.Literal(town)) if town else sql.SQL("true")
    )
    rows = (
        sql.SQL("({})").format(published_as_of(standard, table, town, moment))
        if moment
        else sql.Identifier("published", view_name(table))
    )
    return sql.SQL("SELECT {} FROM {} AS published WHERE {} ORDER BY {}").format(
        sql.SQL(", ").join(columns), rows, of_town, sql.Identifier("published", table.key)
    )


def _towns(connection: Connection, table: Table) -> dict[str, str]:
    """Towns that have published rows of the table, by code."""
    return dict(
        connection.execute(
            "SELECT cousub_fips, town_name FROM statewide.publication JOIN statewide.municipality USING (cousub_fips)"
            " WHERE dataset = %s ORDER BY cousub_fips",
            [table.name],
        ).fetchall()
    )


@contextmanager
def _snapshot(settings: Settings) -> Iterator[Any]:
    """A cursor that reads Arrow; all its queries see the database at one moment.

    Raises:
        DatabaseUnavailable: the database went away.
    """
    from adbc_driver_postgresql import dbapi

    try:
        with dbapi.connect(role_url(settings, LOADER)) as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)})
            yield cursor
    except dbapi.Error as error:
        raise DatabaseUnavailable("The database went away; nothing was written.") from error


def _batches(cursor: Any, query: str) -> Iterator[pa.RecordBatch]:
    """The rows of a query, some megabytes at a time; at least one batch, if need be without rows."""
    cursor.execute(query)
    reader = cursor.fetch_record_batch()
    schema = pa.schema([column.remove_metadata() for column in reader.schema])
    empty = True
    for batch in reader:
        empty = False
        yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
    if empty:
        yield pa.RecordBatch.from_pylist([], schema=schema)


def _told(say: Callable[[str], None], name: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    say(f"{name} …")
    yield from batches
