"""The throwaway process that opens a stranger's file: ``python -m statewide.reading_child REQUEST.json``.

Shuts itself in, looks the file over, and only then loads GDAL with the drivers of the sniffed kinds. Writes
``result.json`` and, when rows are wanted, ``table.arrow`` into its one output folder. Started by ``files`` alone.
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statewide.reading_limits import Limits, Unusable
from statewide.sandbox import runtime_paths, shut_in
from statewide.sniff import DRIVERS

if TYPE_CHECKING:  # what loads numpy waits until the process is shut in
    from statewide.prescan import Count, Prescan

BATCH_ROWS = 16_384
DEEPEST_COLLECTION = 32
_CURVES = frozenset({8, 9, 10, 11, 12, 13, 14})
_PARCELS = re.compile(r"parcel|cadast|tax_?map|tax_?lot|assessor|propert", re.IGNORECASE)
_POLYGONS = re.compile(r"polygon|surface|unknown|collection|tin|triangle", re.IGNORECASE)


_LONGITUDE_FIRST = {"CRS84": "EPSG:4326", "CRS83": "EPSG:4269"}
"""OGC's names for degrees with the longitude first, which is how GDAL hands out every system."""


class _CurvesFound(Exception):
    """A layer that does not declare curves has some: it is read again with arcs turned into short lines."""


@dataclass(frozen=True)
class Dataset:
    """One map of the delivery as staged for reading. ``name`` is the sender's; ``encoding`` only for shapefiles."""

    kind: str
    path: str
    name: str
    encoding: str | None


@dataclass
class FoundLayer:
    """A layer as listed. ``inner`` is its name inside the dataset (None: the only one)."""

    dataset: int
    inner: str | None
    name: str
    geometry_type: str | None
    rows: int | None
    fields: list[tuple[str, str]]
    crs: str | None


@dataclass
class Rows:
    """What a reading gave; all in rows. ``lost`` are shapes that were there and could not be used."""

    read: int = 0
    emptied: int = 0
    closed: int = 0
    lost: int = 0
    linearised: bool = False


def main() -> None:
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    out = Path(request["out"])
    limits = Limits(**request["limits"])
    datasets = [Dataset(**dataset) for dataset in request["datasets"]]
    isolation = shut_in([*runtime_paths(), Path(request["input"])], out, limits)
    try:
        result = _work(datasets, request, out)
    except Unusable as unusable:
        result = {"refused": str(unusable)}
    except MemoryError:
        result = {"refused": "needs more memory to read than a delivery may use; split it"}
    result["isolation"] = [*isolation, *result.get("isolation", [])]
    (out / "result.json").write_text(json.dumps(result), encoding="utf-8")


def _work(datasets: list[Dataset], request: dict[str, Any], out: Path) -> dict[str, Any]:
    from statewide.prescan import prescan

    scans = [prescan(dataset.kind, Path(dataset.path)) for dataset in datasets]
    drivers = sorted({DRIVERS[dataset.kind] for dataset in datasets})
    _load_gdal(drivers)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        layers = [layer for number, dataset in enumerate(datasets) for layer in _list_layers(number, dataset)]
        picked, why = choose_layer(layers, request["layer"])
        layer = layers[picked]
        dataset = datasets[layer.dataset]
        result: dict[str, Any] = {
            "picked": picked,
            "why": why,
            "isolation": [f"drivers: only {', '.join(drivers)}"],
        }
        if request["read"]:
            reader = _read_record_by_record if request["careful"] else _read_in_bulk
            result.update(reader(dataset, layer, _count_of(scans[layer.dataset], layer), out))
        _resolve_crs(layers)
    # What GDAL warns of is in its log too, and read from there; the rest is pyogrio's own.
    said = [str(warning.message) for warning in caught if not issubclass(warning.category, RuntimeWarning)]
    said += scans[layer.dataset].warnings + result.pop("warnings", [])
    return result | {
        "layers": [asdict(found) for found in layers],
        "count": asdict(_count_of(scans[layer.dataset], layer)),
        "warnings": list(dict.fromkeys(said)),
    }


def _count_of(scan: Prescan, layer: FoundLayer) -> Count:
    from statewide.prescan import Count

    missing = Count(None, None, "not counted: the layer is not in the list of contents")
    return scan.counts.get(layer.inner) or scan.counts.get(None) or missing


def _load_gdal(drivers: list[str]) -> None:
    """Load pyogrio, then take away every driver but ``drivers``; GDAL_SKIP also reaches fiona's GDAL, loaded later."""
    lean = _Lean()
    sys.meta_path.insert(0, lean)
    import pyogrio
    from pyogrio import _ogr

    lean.absent.discard("pyproj")

    os.environ["GDAL_SKIP"] = ",".join(name for name in pyogrio.list_drivers() if name not in drivers)
    _ogr._register_drivers()
    left = set(pyogrio.list_drivers())
    if not left <= set(drivers):
        raise RuntimeError(f"GDAL kept drivers that it must not have: {', '.join(sorted(left - set(drivers)))}")


class _Lean:
    """pyogrio and pyarrow load these when they find them: a second of start for nothing that is needed here."""

    def __init__(self) -> None:
        self.absent = {"pandas", "geopandas", "pyproj"}

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname in self.absent:
            raise ModuleNotFoundError(fullname)


# Layers


def _list_layers(number: int, dataset: Dataset) -> Iterator[FoundLayer]:
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    single = dataset.kind in ("shapefile", "geojson")
    try:
        inner = [None] if single else [str(name) for name in pyogrio.list_layers(dataset.path)[:, 0]]
        for name in inner:
            info = pyogrio.read_info(
                dataset.path, layer=name, encoding=dataset.encoding, force_feature_count=True, **_open_options(dataset)
            )
            yield FoundLayer(
                dataset=number,
                inner=name,
                name=dataset.name if single else str(name),
                geometry_type=info["geometry_type"],
                rows=info["features"] if info["features"] >= 0 else None,
                fields=list(_fields_of(info)),
                crs=info["crs"],
            )
    except (DataSourceError, DataLayerError) as error:
        place = re.search(r"line \d+, character \d+", str(error))
        where = f" ({place[0]})" if place else ""
        raise Unusable(f"is damaged and cannot be opened{where}; export it again") from error


def _open_options(dataset: Dataset) -> dict[str, str]:
    # A parcel number such as 99904-1-1 must not be taken for a day of the year 99904.
    options = {"geopackage": {"IMMUTABLE": "YES"}, "geojson": {"DATE_AS_STRING": "YES"}}
    return options.get(dataset.kind, {})


def _fields_of(info: dict[str, Any]) -> Iterator[tuple[str, str]]:
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
    names = column_names([str(name) for name in info["fields"]])
    for name, ogr_type, subtype in zip(names, info["ogr_types"], info["ogr_subtypes"], strict=True):
        yield name, "bool" if subtype == "OFSTBoolean" else types.get(ogr_type, "string")


def column_names(names: list[str]) -> list[str]:
    """The source's names; the two that the table needs for itself, and repeated ones, get a number behind them."""
    taken = {"row_no", "geometry"}
    result = []
    for name in names:
        new, number = name, 1
        while new in taken:
            new, number = f"{name}_{number}", number + 1
        taken.add(new)
        result.append(new)
    return result


def choose_layer(layers: list[FoundLayer], wanted: str | None) -> tuple[int, str]:
    """(position, why). Raises Unusable when there is none, or when choosing would be guessing."""
    names = ", ".join(sorted({layer.name for layer in layers})[:20])
    if not layers:
        raise Unusable("has no layers; export the parcels again")
    if wanted is not None:
        hits = [at for at, layer in enumerate(layers) if layer.name == wanted]
        hits = hits or [at for at, layer in enumerate(layers) if layer.name.casefold() == wanted.casefold()]
        if len(hits) != 1:
            raise Unusable(f"has {len(hits) or 'no'} layer{'s' * (len(hits) > 1)} called {wanted}; it has: {names}")
        return hits[0], "asked for"
    if len(layers) == 1:
        return 0, "the only layer"
    spatial = [at for at, layer in enumerate(layers) if layer.geometry_type is not None]
    polygons = [at for at in spatial if _POLYGONS.search(layers[at].geometry_type or "")]
    pool = polygons or spatial or list(range(len(layers)))
    kind = "with polygons" if polygons else "with shapes" if spatial else "in the file"
    if len(pool) == 1:
        return pool[0], f"the only layer {kind}"
    named = [at for at in pool if _PARCELS.search(layers[at].name)]
    if len(named) == 1:
        return named[0], f"the only layer {kind} whose name speaks of parcels"
    pool = sorted(named or pool, key=lambda at: layers[at].rows or 0, reverse=True)
    first, second = (layers[at].rows or 0 for at in pool[:2])
    if first > 2 * second:
        return pool[0], f"of {len(pool)} layers {kind}, by far the most rows"
    raise Unusable(f"has several layers that could be the one; name it with --layer: {names}")


def _resolve_crs(layers: list[FoundLayer]) -> None:
    """Turn ``crs`` into "EPSG:n" where PROJ knows the definition, heights left aside; else into plain WKT."""
    for layer in layers:
        if layer.crs is None or re.fullmatch(r"EPSG:\d+", layer.crs):
            layer.crs = "EPSG:4326" if layer.crs == "EPSG:4979" else layer.crs
            continue
        layer.crs = _plain_crs(layer.crs)
        if layer.crs is None or re.search("grids|PARAMETERFILE", layer.crs):  # files to open while projecting
            layer.crs = None
            warnings.warn(f"The coordinate system of layer {layer.name} cannot be used.", UserWarning, stacklevel=1)


def _plain_crs(definition: str) -> str | None:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        crs: Any = CRS.from_user_input(definition)
        while crs.is_compound or crs.is_bound:  # heights, and a way to another datum: neither is asked for here
            crs = crs.sub_crs_list[0] if crs.is_compound else crs.source_crs
        crs = crs.to_2d()
        if known := _LONGITUDE_FIRST.get(crs.name.partition(" (")[2].rstrip(")")):
            return known
        for match in crs.list_authority("EPSG", min_confidence=20):
            if _same_place(crs, CRS.from_epsg(match.code)):
                return f"EPSG:{match.code}"
        return str(crs.to_wkt())
    except CRSError:
        return None


def _same_place(crs: Any, known: Any) -> bool:
    """At this confidence PROJ goes by names and may offer metres for feet: both must put a point in one place."""
    from pyproj import Proj

    if crs.axis_info[0].unit_conversion_factor != known.axis_info[0].unit_conversion_factor:
        return False
    if not (crs.is_projected and known.is_projected):
        return bool(crs.is_geographic and known.is_geographic and crs.ellipsoid == known.ellipsoid)
    area = known.area_of_use
    point = ((area.west + area.east) / 2, (area.south + area.north) / 2)
    return all(abs(a - b) < 0.01 for a, b in zip(Proj(crs)(*point), Proj(known)(*point), strict=True))


# Rows in bulk


def _read_in_bulk(dataset: Dataset, layer: FoundLayer, count: Count, out: Path) -> dict[str, Any]:
    import pyarrow as pa
    from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError

    target = out / "table.arrow"
    try:
        try:
            rows, said = _stream(dataset, layer, target, linear=False)
        except (_CurvesFound, NotImplementedError):
            rows, said = _stream(dataset, layer, target, linear=True)
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
    return {"rows": asdict(rows), "warnings": said + _sentences(rows), "broken_rows": []}


def _stream(dataset: Dataset, layer: FoundLayer, target: Path, *, linear: bool) -> tuple[Rows, list[str]]:
    """Copy the layer to ``target`` batch by batch. ``linear``: attributes by Arrow, shapes by pyogrio's other way,
    which turns arcs into lines; that way alone would turn whole numbers with gaps into floats."""
    import pyarrow as pa
    from pyogrio.raw import open_arrow, read

    rows = Rows(linearised=linear)
    said: list[str] = []
    straight = None
    options = _open_options(dataset)
    if linear:
        _, _, straight, _ = read(dataset.path, layer=layer.inner, encoding=dataset.encoding, columns=[], **options)
    with open_arrow(
        dataset.path,
        layer=layer.inner,
        encoding=dataset.encoding,
        read_geometry=not linear,
        batch_size=BATCH_ROWS,
        use_pyarrow=True,
        **options,
    ) as (_, reader):
        shape_at = _shape_column(reader.schema)
        columns = [at for at in range(len(reader.schema)) if at != shape_at]
        schema = _table_schema([reader.schema.field(at) for at in columns])
        with pa.OSFile(str(target), "wb") as file, pa.ipc.new_file(file, schema) as writer:
            for batch in reader:
                first = rows.read
                rows.read += len(batch)
                cells = [
                    _cast(batch.column(at), schema.field(place), said) for place, at in enumerate(columns, start=1)
                ]
                if straight is not None:
                    shapes = pa.array(straight[first : rows.read], type=pa.binary())
                elif shape_at is not None:
                    shapes = batch.column(shape_at)
                else:
                    shapes = pa.nulls(len(batch), pa.binary())
                numbers = pa.array(range(first + 1, rows.read + 1), type=pa.int64())
                writer.write_batch(pa.record_batch([numbers, *cells, _settle_shapes(shapes, rows)], schema=schema))
    return rows, said


def _shape_column(schema: Any) -> int | None:
    for at in range(len(schema)):
        metadata = schema.field(at).metadata or {}
        if metadata.get(b"ARROW:extension:name") in (b"geoarrow.wkb", b"ogc.wkb"):
            return at
    return None


def _table_schema(fields: list[Any]) -> Any:
    import pyarrow as pa

    names = column_names([field.name for field in fields])
    typed = [pa.field(name, _plain_type(field.type)) for name, field in zip(names, fields, strict=True)]
    return pa.schema([pa.field("row_no", pa.int64()), *typed, pa.field("geometry", pa.binary())])


def _plain_type(kind: Any) -> Any:
    """Two kinds of number, one of text: the callers' life is simpler, and no value changes."""
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):  # JSON, which is text
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):  # a coded domain: the codes are what the source holds
        kind = kind.index_type
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_large_string(kind) or pa.types.is_nested(kind):
        return pa.string()
    if pa.types.is_large_binary(kind):
        return pa.binary()
    return kind


def _cast(column: Any, field: Any, said: list[str]) -> Any:
    import pyarrow as pa

    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.indices
    if pa.types.is_nested(column.type):
        texts = [None if value is None else json.dumps(value, default=str) for value in column.to_pylist()]
        return pa.array(texts, type=pa.string())
    if pa.types.is_string(column.type):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            sentence = f"In column {field.name}, some text is not UTF-8 and was read as Windows-1252."
            if sentence not in said:
                said.append(sentence)
            cells = column.view(pa.binary()).to_pylist()
            return pa.array([None if cell is None else _decode(cell) for cell in cells], type=pa.string())
    return column if column.type == field.type else column.cast(field.type)


def _decode(cell: bytes) -> str:
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":  # a letter cut in two by the width of its column
            return cell[: error.start].decode("utf-8")
        return cell.decode("cp1252", "replace")


def _settle_shapes(column: Any, rows: Rows) -> Any:
    """Hold each shape to what the parent may safely be given: whole, of bounded depth, no curves, ISO WKB.

    GEOS is called here first on purpose: a shape that crashes it must do so in this process.
    """
    import numpy as np
    import pyarrow as pa
    import shapely

    wkb = np.array(column.to_pylist(), dtype=object)
    headers = {blob[:5] for blob in wkb if blob is not None}
    codes = {int.from_bytes(head[1:5], "little" if head[:1] == b"\x01" else "big") for head in headers}
    if any((code & 0x0FFFFFFF) % 1000 in _CURVES for code in codes):
        if rows.linearised:
            raise Unusable("has curves that could not be turned into lines; export it with plain lines")
        raise _CurvesFound
    shapes = shapely.from_wkb(wkb, on_invalid="ignore")
    failed = np.array([blob is not None for blob in wkb], dtype=bool) & ~shapely.is_geometry(shapes)
    if failed.any():
        shapes[failed] = shapely.from_wkb(wkb[failed], on_invalid="fix")
        mended = failed & shapely.is_geometry(shapes)
        rows.closed += int(mended.sum())
        rows.lost += int((failed & ~mended).sum())
        wkb[failed] = shapely.to_wkb(shapes[failed], flavor="iso", output_dimension=4)
    _check_depth(shapes)
    empty = shapely.is_empty(shapes)
    rows.emptied += int(empty.sum())
    if any(code & 0xF0000000 for code in codes):  # the older way to say Z
        wkb = shapely.to_wkb(shapes, flavor="iso", output_dimension=4)
    elif not failed.any() and not empty.any():
        return column
    wkb[empty] = None
    return pa.array(wkb.tolist(), type=pa.binary())


def _check_depth(shapes: Any) -> None:
    import shapely

    parts = shapes[shapely.get_type_id(shapes) == 7]
    depth = 0
    while len(parts):
        depth += 1
        if depth > DEEPEST_COLLECTION:
            raise Unusable("holds a shape nested deeper than any parcel; export it again")
        inner = shapely.get_parts(parts)
        parts = inner[shapely.get_type_id(inner) == 7]


def _sentences(rows: Rows) -> list[str]:
    said = []
    if rows.linearised:
        said.append("The layer has curves; arcs were turned into short lines of one degree each.")
    if rows.closed:
        said.append(f"Shapes whose rings did not close and were closed: {rows.closed:,}.")
    if rows.lost:
        said.append(f"Shapes that could not be read and are missing: {rows.lost:,}.")
    return said


# Record by record, when the bulk reading failed or fell short


def _read_record_by_record(dataset: Dataset, layer: FoundLayer, count: Count, out: Path) -> dict[str, Any]:
    """Ask for each record by its id, so that a broken one costs itself alone. fiona brings its own, older GDAL."""
    import pyarrow as pa

    names = [name for name, _ in layer.fields]
    wanted = count.rows if count.rows is not None else layer.rows or 0
    records, broken = _records(dataset, layer, wanted)
    rows = Rows(read=len(records))
    types = {"time32[ms]": pa.time32("ms"), "timestamp[ms]": pa.timestamp("ms"), "date32[day]": pa.date32()}
    said: list[str] = []
    columns = [
        _column([values[at] for values, _ in records], types.get(kind) or pa.type_for_alias(kind), name, said)
        for at, (name, kind) in enumerate(layer.fields)
    ]
    shapes = _settle_shapes(pa.array([shape for _, shape in records], type=pa.binary()), rows)
    table = pa.table(
        [pa.array(range(1, len(records) + 1), type=pa.int64()), *columns, shapes],
        names=["row_no", *names, "geometry"],
    )
    with pa.OSFile(str(out / "table.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=BATCH_ROWS)
    said.append("The file is damaged: it was read record by record.")
    return {"rows": asdict(rows), "warnings": said + _sentences(rows), "broken_rows": broken}


def _records(
    dataset: Dataset, layer: FoundLayer, wanted: int
) -> tuple[list[tuple[list[Any], bytes | None]], list[int]]:
    """(values and WKB of each record that could be read, ids of those that could not).

    An id that answers nothing may be broken or, after an edit, in use by nobody: as many as are missing tells which.
    """
    import fiona
    import shapely

    records: list[tuple[list[Any], bytes | None]] = []
    broken: list[int] = []
    silent: list[int] = []
    first = 0 if dataset.kind == "shapefile" else 1
    last = first + wanted
    with fiona.open(
        dataset.path, layer=layer.inner, enabled_drivers=[DRIVERS[dataset.kind]], encoding=dataset.encoding
    ) as source:
        properties = list(source.schema["properties"])
        for number in range(first, first + 2 * wanted + 1000):
            if len(records) + len(broken) >= wanted:
                break
            try:
                record = source.get(number)
                shape = record.geometry and shapely.to_wkb(shapely.geometry.shape(record.geometry), flavor="iso")
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
    import pyarrow as pa

    if pa.types.is_string(kind):
        return pa.array([None if value is None else str(value) for value in values], type=kind)
    try:
        if pa.types.is_temporal(kind):
            return pa.array(values, type=pa.string()).cast(kind)
        return pa.array(values, type=kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        said.append(f"Column {name} could not be read and is empty.")
        return pa.nulls(len(values), kind)


if __name__ == "__main__":
    main()
