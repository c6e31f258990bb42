"""The parcels behind an exposure answer, a row for each parcel and layer: pages for the API, files for the command.

A parcel is listed where it counts as `share_at_least`. Lots on the rolls of two towns, which an answer counts once, are
listed under both.
"""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from psycopg import sql

from resilience.exposure import Fetch, Question
from resilience.exposure_counts import class_places, parameters
from statewide.database import read_sql
from statewide.ddl import LONLAT_SRID
from statewide.errors import BadArgument
from statewide.export import GEOMETRY, Format, Layer, write_layer
from statewide.standard import load_standard

MAX_LISTED = 5_000
_PAGE = 5_000
_COLUMNS: dict[str, pa.DataType] = {
    "parcel_uid": pa.string(),
    "layer": pa.string(),
    "town_name": pa.string(),
    "parcel_id": pa.string(),
    "location": pa.string(),
    "worst_class": pa.string(),
    "worst_zone": pa.string(),
    "centroid_class": pa.string(),
    "area_sqft": pa.float64(),
    "share_pct": pa.float64(),
    "coverage": pa.string(),
    "unknown_share_pct": pa.float64(),
    "static_bfe_ft": pa.float64(),
    "v_datum": pa.string(),
    "depth_max_ft": pa.float64(),
    "valuation_year": pa.int32(),
    "assessed_total_usd": pa.float64(),
    "appraised_total_usd": pa.float64(),
    "counts_here": pa.bool_(),
    "layer_version": pa.string(),
}
"""What is said of a parcel; `area_sqft` and `share_pct` are those in the classes that were asked for."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A text that begins so is run as a formula by a spreadsheet."""


def list_page(fetch: Fetch, question: Question, kind: str, limit: object, after: object) -> str:
    """One page as GeoJSON (with shapes) or CSV text. `next` names what to send as `after`; it is missing at the end.

    Raises:
        BadArgument: limit or after make no sense.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LISTED:
        raise BadArgument(f"limit: a whole number from 1 to {MAX_LISTED:,}.")
    shape = sql.SQL("ST_AsGeoJSON(h.geom_lonlat, 7, 0)") if kind == "geojson" else sql.SQL("NULL")
    rows = _rows(fetch, question, shape, limit + 1, _after(after))
    page, more = rows[:limit], len(rows) > limit
    following = f"{page[-1][0]}/{page[-1][1]}" if more else None
    if kind == "csv":
        return _csv(page, following)
    features = ",".join(
        f'{{"type":"Feature","geometry":{row[-1] or "null"},'
        f'"properties":{json.dumps(dict(zip(_COLUMNS, row[:-1], strict=True)), ensure_ascii=False)}}}'
        for row in page
    )
    members = {"numberReturned": len(page), **({"next": following} if following else {})}
    return f'{{"type":"FeatureCollection","features":[{features}],{json.dumps(members)[1:]}'


def write_list(fetch: Fetch, question: Question, path: Path, kind: Format) -> int:
    """Write the whole list to a file, page by page; a GeoPackage in the storage CRS. The number of rows.

    Raises:
        BadArgument: the folder is not there.
        PlatformError: no room, or the database went away; there is no half file.
    """
    standard = load_standard()
    stored = kind == "gpkg"
    column = sql.Identifier("h", "geom" if stored else "geom_lonlat")
    named, shape, of = (
        ("wkt", sql.SQL("ST_AsText({}, 7)").format(column), pa.string())
        if kind == "csv"
        else (GEOMETRY, sql.SQL("ST_AsBinary({})").format(column), pa.binary())
    )
    schema = pa.schema([*_COLUMNS.items(), (named, of)])

    def batches() -> Iterator[pa.RecordBatch]:
        after = _after(None)
        while rows := _rows(fetch, question, shape, _PAGE, after):
            yield pa.RecordBatch.from_arrays(
                [pa.array(values, each.type) for values, each in zip(zip(*rows, strict=True), schema, strict=True)],
                schema=schema,
            )
            after = (rows[-1][0], rows[-1][1])

    epsg = standard.header.storage_crs if stored else LONLAT_SRID
    return write_layer(path, kind, Layer("exposed_parcels", "MultiPolygon", epsg, schema, batches()))


def _rows(
    fetch: Fetch, question: Question, shape: sql.Composable, rows: int, after: tuple[str, str]
) -> list[tuple[Any, ...]]:
    area = question.area
    selection = sql.SQL(
        "unnest(%(towns)s::text[]) AS town JOIN published.parcel_hazards AS h ON h.cousub_fips = town"
        if area.shape is None
        else "(SELECT ST_SetSRID(ST_GeomFromWKB(%(area)s::bytea), 4326) AS area) AS d"
        " JOIN published.parcel_hazards AS h ON ST_Intersects(d.area, h.geom_lonlat)"
    )
    statement = read_sql("resilience", "exposure_list").format(shape=shape, selection=selection)
    up_to = question.up_to
    total = [
        (layer, place.code.code)
        for layer in question.layers
        for place in class_places()[layer]
        if up_to is None or (place.family == up_to.family and place.place <= up_to.place)
    ]
    values = parameters(towns=area.towns, area=area.wkb, layers=question.layers) | {
        "total_layers": [layer for layer, _ in total],
        "total_classes": [name for _, name in total],
        "min_share": question.min_share,
        "after_parcel": after[0],
        "after_layer": after[1],
        "rows": rows,
    }
    return fetch(statement, values)


def _after(text: object) -> tuple[str, str]:
    if text is None:
        return str(uuid.UUID(int=0)), ""
    try:
        parcel, layer = str(text).split("/", 1)
        if layer not in class_places():
            raise ValueError(layer)
        return str(uuid.UUID(parcel)), layer
    except ValueError:
        raise BadArgument("after: send what the page before names as next.") from None


def _csv(rows: list[tuple[Any, ...]], following: str | None) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow(
            f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value for value in row[:-1]
        )
    if following:
        writer.writerow([f"# more rows: ask again with after = {following}"])
    return text.getvalue()
