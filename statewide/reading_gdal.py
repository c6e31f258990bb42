"""GDAL in the throwaway process: only the drivers of the sniffed kinds, in bulk by Arrow, else record by record.

Nothing here decides what is good enough: what could not be read is counted, and the parent judges.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from statewide.lean import without
from statewide.prescan import Count
from statewide.reading_limits import Unusable
from statewide.reading_rows import (
    BATCH_ROWS,
    CurvesFound,
    Dataset,
    FoundLayer,
    Rows,
    TableFile,
    column_names,
)
from statewide.sniff import DRIVERS

SINGLE_LAYER = frozenset({"shapefile", "dbf", "geojson", "geojsonseq", "esrijson", "flatgeobuf", "mapinfo", "mif"})
"""Kinds of one layer, which goes by the name of the sender's file."""

_PRESENTATION = {
    "kml": frozenset(("altitudeMode", "tessellate", "extrude", "visibility", "drawOrder", "icon")),
    "gml": frozenset(("lowerCorner", "upperCorner")),
    "dxf": frozenset(
        {
            *("PaperSpace", "SubClasses", "Linetype", "Block", "BlockName", "BlockScale", "BlockAngle"),
            *("BlockOCSNormal", "BlockOCSCoords", "BlockAttributes", "AttributeTag"),
        }
    ),
}
"""Columns that GDAL makes of how a thing is drawn; nobody sent them as data."""


def load_gdal(drivers: list[str]) -> None:
    """Load pyogrio, then take away every driver but ``drivers``; GDAL_SKIP also reaches fiona's GDAL, loaded later."""
    with without("pyproj"):
        import pyogrio
        from pyogrio import _ogr

    os.environ["GDAL_SKIP"] = ",".join(name for name in pyogrio.list_drivers() if name not in drivers)
    _ogr._register_drivers()
    left = set(pyogrio.list_drivers())
    if not left <= set(drivers):
        raise RuntimeError(f"GDAL kept drivers that it must not have: {', '.join(sorted(left - set(drivers)))}")


# Layers


def list_layers(number: int, dataset: Dataset) -> Iterator[FoundLayer]:
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    single = dataset.kind in SINGLE_LAYER
    try:
        inner = [None] if single else [str(name) for name in pyogrio.list_layers(_source(dataset))[:, 0]]
        for name in inner:
            info = pyogrio.read_info(
                _source(dataset),
                layer=name,
                encoding=dataset.encoding,
                force_feature_count=True,
                **_open_options(dataset),
            )
            if dataset.kind == "dxf" and name != "entities":  # blocks are not drawn by themselves
                continue
            yield FoundLayer(
                dataset=number,
                inner=name,
                name=dataset.name if single or dataset.kind == "dxf" else str(name),
                geometry_type="Polygon" if dataset.kind == "dxf" else info["geometry_type"],
                rows=info["features"] if info["features"] >= 0 and dataset.kind != "dxf" else None,
                fields=list(_fields_of(info, _PRESENTATION.get(dataset.kind, frozenset()))),
                crs=info["crs"],
            )
    except (DataSourceError, DataLayerError, IndexError) as error:  # pyogrio's way to find no layer at all
        place = re.search(r"line \d+, character \d+", str(error))
        where = f" ({place[0]})" if place else ""
        raise Unusable(f"is damaged and cannot be opened{where}; export it again") from error


def _source(dataset: Dataset) -> str:
    """Newline GeoJSON is known to GDAL by its first letters alone, and not by all that it may begin with."""
    return f"GeoJSONSeq:{dataset.path}" if dataset.kind == "geojsonseq" else dataset.path


def _open_options(dataset: Dataset) -> dict[str, str]:
    # A parcel number such as 99904-1-1 must not be taken for a day of the year 99904.
    options = {
        "geopackage": {"IMMUTABLE": "YES"},
        "geojson": {"DATE_AS_STRING": "YES"},
        "geojsonseq": {"DATE_AS_STRING": "YES"},
        "gml": {"DOWNLOAD_SCHEMA": "NO", "WRITE_GFS": "NO"},
    }
    return options.get(dataset.kind, {})


def _fields_of(info: dict[str, Any], left_out: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Names and types as the table will have them."""
    types = {
        "OFTInteger": "int64",
        "OFTInteger64": "int64",
        "OFTReal": "double",
        "OFTDate": "date32[day]",
        "OFTTime": "time32[ms]",
        "OFTDateTime": "timestamp[ms]",
        "OFTBinary": "binary",
    }
    fields = [
        (str(name), kind, subtype)
        for name, kind, subtype in zip(info["fields"], info["ogr_types"], info["ogr_subtypes"], strict=True)
        if name not in left_out
    ]
    names = column_names([name for name, _, _ in fields])
    for name, (_, ogr_type, subtype) in zip(names, fields, strict=True):
        yield name, "bool" if subtype == "OFSTBoolean" else types.get(ogr_type, "string")


# Rows in bulk


def read_in_bulk(dataset: Dataset, layer: FoundLayer, out: Path, *, shapes: bool) -> dict[str, Any]:
    from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError

    target = out / "table.arrow"
    try:
        try:
            rows, said = _stream(dataset, layer, target, shapes=shapes, linear=False)
        except (CurvesFound, NotImplementedError):
            rows, said = _stream(dataset, layer, target, shapes=shapes, linear=True)
    except MemoryError:
        raise
    except (
        DataLayerError,
        DataSourceError,
        FeatureError,
        FieldError,
        GeometryError,
        pa.ArrowException,
        RuntimeError,
        OSError,
    ) as error:
        target.unlink(missing_ok=True)
        return {"failed": f"{type(error).__name__}: {error}"}
    return {"rows": asdict(rows), "warnings": said + rows.complaints(), "notes": rows.notes(), "broken_rows": []}


def _stream(dataset: Dataset, layer: FoundLayer, target: Path, *, shapes: bool, linear: bool) -> tuple[Rows, list[str]]:
    """Copy the layer to ``target`` batch by batch. ``linear``: attributes by Arrow, shapes by pyogrio's other way,
    which turns arcs into lines; that way alone would turn whole numbers with gaps into floats."""
    from pyogrio.raw import open_arrow, read

    rows = Rows(linearised=linear)
    straight = None
    options = _open_options(dataset)
    if linear:
        _, _, straight, _ = read(_source(dataset), layer=layer.inner, encoding=dataset.encoding, columns=[], **options)
    with open_arrow(
        _source(dataset),
        layer=layer.inner,
        encoding=dataset.encoding,
        read_geometry=shapes and not linear,
        batch_size=BATCH_ROWS,
        use_pyarrow=True,
        **options,
    ) as (_, reader):
        shape_at = _shape_column(reader.schema)
        left_out = _PRESENTATION.get(dataset.kind, frozenset())
        columns = [at for at, name in enumerate(reader.schema.names) if at != shape_at and name not in left_out]
        with TableFile(target, [reader.schema.field(at) for at in columns], rows) as table:
            for batch in reader:
                if dataset.kind == "dxf":
                    batch = _areas(batch, shape_at)
                found = batch.column(shape_at) if shape_at is not None else None
                if straight is not None:
                    found = pa.array(straight[rows.read : rows.read + len(batch)], type=pa.binary())
                table.add([batch.column(at) for at in columns], found, len(batch))
    return rows, table.said


def _areas(batch: Any, shape_at: int | None) -> Any:
    """Of a drawing's entities those that enclose something, as polygons: hatches, filled faces and closed polylines."""
    import shapely

    shapes = shapely.from_wkb(batch.column(shape_at).to_pylist(), on_invalid="ignore")
    lines = (shapely.get_type_id(shapes) == 1) & shapely.is_closed(shapes) & (shapely.get_num_coordinates(shapes) > 3)
    classes = [
        (name or b"").decode("ascii", "replace") for name in batch.column("SubClasses").cast("binary").to_pylist()
    ]
    lines &= [not name or (name.endswith("line") and "Spline" not in name) for name in classes]
    corners, of_line = shapely.get_coordinates(shapes[lines], return_index=True)
    shapes[lines] = shapely.polygons(shapely.linearrings(corners, indices=of_line))
    areas = np.isin(shapely.get_type_id(shapes), (3, 6))
    wkb = pa.array(shapely.to_wkb(shapes, flavor="iso", output_dimension=4), type=pa.binary())
    field = batch.schema.field(shape_at).with_type(pa.binary())
    return batch.set_column(shape_at, field, wkb).filter(pa.array(areas))


def _shape_column(schema: Any) -> int | None:
    for at in range(len(schema)):
        metadata = schema.field(at).metadata or {}
        if metadata.get(b"ARROW:extension:name") in (b"geoarrow.wkb", b"ogc.wkb"):
            return at
    return None


# Record by record, when the bulk reading failed or fell short


def read_record_by_record(
    dataset: Dataset, layer: FoundLayer, count: Count, out: Path, *, shapes: bool
) -> dict[str, Any]:
    """Ask for each record by its id, so that a broken one costs itself alone. fiona brings its own, older GDAL."""
    wanted = count.rows if count.rows is not None else layer.rows or 0
    records, broken = _records(dataset, layer, wanted, shapes)
    rows = Rows()
    types = {"time32[ms]": pa.time32("ms"), "timestamp[ms]": pa.timestamp("ms"), "date32[day]": pa.date32()}
    fields = [pa.field(name, types.get(kind) or pa.type_for_alias(kind)) for name, kind in layer.fields]
    said: list[str] = []
    with TableFile(out / "table.arrow", fields, rows) as table:
        for first in range(0, len(records), BATCH_ROWS):
            part = records[first : first + BATCH_ROWS]
            columns = [
                _column([values[at] for values, _ in part], field.type, field.name, said)
                for at, field in enumerate(fields)
            ]
            found = pa.array([shape for _, shape in part], type=pa.binary()) if shapes else None
            table.add(columns, found, len(part))
    said = [*dict.fromkeys(said), *table.said, "The file is damaged: it was read record by record."]
    return {"rows": asdict(rows), "warnings": said + rows.complaints(), "notes": rows.notes(), "broken_rows": broken}


def _records(
    dataset: Dataset, layer: FoundLayer, wanted: int, shapes: bool
) -> tuple[list[tuple[list[Any], bytes | None]], list[int]]:
    """(values and WKB of each record that could be read, ids of those that could not).

    An id that answers nothing may be broken or, after an edit, in use by nobody: as many as are missing tells which.
    """
    import fiona
    import shapely

    records: list[tuple[list[Any], bytes | None]] = []
    broken: list[int] = []
    silent: list[int] = []
    first = 0 if dataset.kind in ("shapefile", "dbf") else 1
    last = first + wanted
    with fiona.open(
        _source(dataset), layer=layer.inner, enabled_drivers=[DRIVERS[dataset.kind]], encoding=dataset.encoding
    ) as source:
        properties = list(source.schema["properties"])
        for number in range(first, first + 2 * wanted + 1000):
            if len(records) + len(broken) >= wanted:
                break
            try:
                record = source.get(number)
                shape = None
                if shapes and record.geometry:
                    shape = shapely.to_wkb(shapely.geometry.shape(record.geometry), flavor="iso")
            except KeyError:
                silent.append(number)
            except Exception:  # whatever one record does to its reader, the others are still wanted
                broken.append(number)
            else:
                records.append(([record.properties[name] for name in properties], shape))
                last = max(last, number + 1)
    silent = [number for number in silent if number < last]
    if len(records) + len(broken) + len(silent) == wanted:
        broken = sorted(broken + silent)
    return records, [number + 1 - first for number in broken]


def _column(values: list[Any], kind: Any, name: str, said: list[str]) -> Any:
    """Values as fiona gives them (dates as text) in the type of the column; what does not fit becomes null."""
    if pa.types.is_string(kind):
        return pa.array([None if value is None else str(value) for value in values], type=kind)
    try:
        if pa.types.is_temporal(kind):
            return pa.array(values, type=pa.string()).cast(kind)
        return pa.array(values, type=kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        said.append(f"Column {name} could not be read and is empty.")
        return pa.nulls(len(values), kind)
