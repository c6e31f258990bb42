"""One town in one file, for where there is no network: a GeoPackage that QGIS opens with its colours.

Parcels, addresses, what each hazard layer says of them, the layers themselves around the town, the exposure answer, and
when and from what all this was made. Only what the street may see, read with its rights and at one moment.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql

from resilience.exposure import expose, read_question
from resilience.pack_styles import Style, categorized, outlined, plain_points, qml
from statewide.database import API, Connection, connect
from statewide.ddl import view_name
from statewide.errors import BadArgument
from statewide.export import GEOMETRY, Layer, Streamed, appearing_whole, write_with_gdal
from statewide.settings import Settings
from statewide.standard import Standard, Table, load_standard

_ROWS = 5_000
_ARROW: dict[str, pa.DataType] = {
    "integer": pa.int32(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("ms", "UTC"),
}
"""Other types travel as text."""
_CAVEAT = (
    "A copy of that moment: it does not change when the town or a map does. Where a layer covers nothing, nothing is"
    " known; it does not mean that there is no hazard."
)


@dataclass(frozen=True)
class _Part:
    """A layer of the pack: the rows of a published table that a condition chooses, and how they are drawn."""

    name: str
    title: str
    table: Table
    where: sql.Composable
    values: Mapping[str, Any]
    style: Style
    clipped: bool = False
    """Whether shapes are cut at the box `box` of the values."""


@dataclass(frozen=True)
class _Rows:
    """A table without shapes."""

    name: str
    title: str
    columns: Mapping[str, pa.DataType]
    rows: Sequence[tuple[Any, ...]] = field(default_factory=tuple)


def write_pack(
    settings: Settings, town: str, path: Path | None = None, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Write the pack of a town; an existing file of that name is replaced, and there is never half a file.

    Args:
        path: by default the town's name and the day, in the current folder.

    Raises:
        UnknownTown: no town of the register goes by that name.
        BadArgument: the town has no published parcels, or the folder is not there.
        PlatformError: database or disk.
    """
    standard = load_standard()
    with connect(settings, API) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SET statement_timeout = 0")

        def fetch(query: Any, values: Any) -> list[tuple[Any, ...]]:
            return connection.execute(query, values).fetchall()

        question = read_question(fetch, {"town": [town]})
        [code] = question.area.towns or ()
        say("Counting what is exposed")
        answer = expose(fetch, question)
        if not answer["in_area"]["parcels"]["any_touch"]:
            raise BadArgument(f"{question.area.name} has no published parcels: there is nothing to pack.")
        made_at = dt.datetime.now(dt.UTC)
        path = path or Path(f"{question.area.name.replace(' ', '_')}_{made_at:%Y-%m-%d}.gpkg")
        parts = list(_parts(connection, standard, code))
        tables = [_about(standard, answer, made_at), _answers(answer), _not_known(answer)]
        with appearing_whole(path) as folder:
            partial = folder / "pack.gpkg"
            counts = {part.name: _write_part(connection, standard, part, partial, say) for part in parts}
            for table in tables:
                counts[table.name] = _write_rows(standard, table, partial)
            with closing(sqlite3.connect(partial)) as file, file:
                _put_styles(file, parts)
            partial.replace(path)
    return {
        "outcome": "ok",
        "town": question.area.name,
        "file": str(path),
        "bytes": path.stat().st_size,
        "made_at": made_at.isoformat(timespec="seconds"),
        "layers": counts,
    }


def _parts(connection: Connection, standard: Standard, code: str) -> Iterator[_Part]:
    """Layers in the order in which a reader looks for them; QGIS draws points over areas by itself."""
    [(box,)] = connection.execute(
        "SELECT ST_Envelope(geom)::bytea FROM published.towns WHERE cousub_fips = %s", [code]
    ).fetchall()
    of_town = sql.SQL("t.cousub_fips = %(town)s")
    in_box = sql.SQL("t.geom && %(box)s::bytea::geometry AND ST_Intersects(t.geom, %(box)s::bytea::geometry)")
    values = {"town": code, "box": box}
    table = standard.table
    yield _Part("town", "Town", table("municipality"), of_town, values, outlined("#222222", 0.8))
    yield _Part("parcels", "Parcels", table("parcel"), of_town, values, outlined("#7f7f7f", 0.2))
    yield _Part("addresses", "Addresses", table("address_point"), of_town, values, plain_points("#333333", 1.2))
    facilities = categorized("lifeline", standard.code_lists["lifeline"].codes, points=3.5)
    yield _Part("critical_facilities", "Critical facilities", table("critical_facility"), in_box, values, facilities)
    layers = [
        layer
        for (layer,) in connection.execute(
            "SELECT DISTINCT layer FROM published.parcel_hazards WHERE cousub_fips = %s ORDER BY layer", [code]
        ).fetchall()
    ]
    titles = {each.code: each.label for each in standard.code_lists["hazard_layer"].codes}
    for layer in layers:
        name, title = layer.replace("-", "_"), titles[layer]
        codes = [c for c in standard.code_lists["hazard_class"].codes if not c.layers or layer in c.layers]
        of_layer = sql.SQL("t.cousub_fips = %(town)s AND t.layer = %(layer)s")
        chosen = values | {"layer": layer}
        points = categorized("zone_class", codes, points=1.8)
        yield _Part(f"parcels_{name}", f"Parcels: {title}", table("parcel_hazard"), of_layer, chosen,
                    categorized("worst_class", codes))  # fmt: skip
        yield _Part(f"addresses_{name}", f"Addresses: {title}", table("address_hazard"), of_layer, chosen, points)
        zones = next(
            (each for each in standard.published_tables if each.collection and each.collection.id == layer), None
        )
        if zones is not None and zones.geometry and zones.geometry.type == "MultiPolygon":
            style = categorized("zone_class", codes, opacity=0.6)
            yield _Part(name, title, zones, in_box, values, style, clipped=True)


def _write_part(connection: Connection, standard: Standard, part: _Part, path: Path, say: Callable[[str], None]) -> int:
    """Rows of a published view, streamed. Their number."""
    say(part.title)
    fields = part.table.public_fields
    schema = pa.schema([*((each.name, _ARROW.get(each.type, pa.string())) for each in fields), (GEOMETRY, pa.binary())])
    columns = [
        sql.SQL("t.{}::text" if each.type in ("uuid", "json") else "t.{}").format(sql.Identifier(each.name))
        for each in fields
    ]
    shape = sql.SQL(
        "ST_Multi(ST_CollectionExtract(ST_Intersection(t.geom, %(box)s::bytea::geometry), 3))"
        if part.clipped
        else "t.geom"
    )
    statement = sql.SQL("SELECT {}, ST_AsBinary({}) FROM published.{} AS t WHERE {} ORDER BY {}").format(
        sql.SQL(", ").join(columns),
        shape,
        sql.Identifier(view_name(part.table)),
        part.where,
        sql.Identifier("t", part.table.key),
    )

    def batches() -> Iterator[pa.RecordBatch]:
        with connection.cursor(name=part.name) as cursor:
            cursor.execute(statement, dict(part.values))
            while rows := cursor.fetchmany(_ROWS):
                yield _batch(rows, schema)

    geometry = part.table.geometry
    assert geometry is not None
    return _write(path, Layer(part.name, geometry.type, standard.header.storage_crs, schema, batches()), part.title)


def _write_rows(standard: Standard, table: _Rows, path: Path) -> int:
    schema = pa.schema(list(table.columns.items()))
    batch = _batch(table.rows, schema)
    return _write(path, Layer(table.name, None, standard.header.storage_crs, schema, [batch]), table.title)


def _write(path: Path, layer: Layer, title: str) -> int:
    streamed = Streamed(layer)
    of_file = {} if path.exists() else {"VERSION": "1.3"}  # older desktop software warns of 1.4
    of_layer = {"IDENTIFIER": title, **({"SPATIAL_INDEX": "YES"} if layer.shape else {})}
    write_with_gdal(path, layer, streamed, "GPKG", of_file, of_layer)
    return streamed.rows


def _batch(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(values, each.type) for values, each in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _about(standard: Standard, answer: dict[str, Any], made_at: dt.datetime) -> _Rows:
    """The date stamp: when, of what, from which versions, and what the file is not."""
    rows = [
        ("Town", answer["area"]["name"]),
        ("Made", made_at.isoformat(timespec="seconds")),
        ("Publisher", standard.header.publisher),
        ("Licence", standard.header.license),
        ("Standard", f"{standard.header.name} {standard.header.version}"),
        ("Software", f"statewide {version('statewide')}"),
        ("Coordinates", f"EPSG:{standard.header.storage_crs}, US survey feet"),
    ]
    for layer in answer["versions"]["layers"]:
        since = f", in force from {layer['effective_on']}" if layer["effective_on"] else ""
        rows.append(
            (f"Layer {layer['layer']}", f"version {layer['layer_version']}{since}, loaded {layer['loaded_at']}")
        )
    for town in answer["versions"]["towns"]:
        for dataset, delivered in town["delivered"].items():
            rows.append((f"Delivery of {dataset}", ", ".join(f"{name} {value}" for name, value in delivered.items())))
    rows.append(("Read this", _CAVEAT))
    return _Rows("about", "About this file", {"what": pa.string(), "value": pa.string()}, rows)


def _answers(answer: dict[str, Any]) -> _Rows:
    """The counts of the exposure answer: the whole town, each layer, each class, and each with all before it."""
    columns = {
        "layer": pa.string(),
        "layer_version": pa.string(),
        "class": pa.string(),
        "label": pa.string(),
        "counts": pa.string(),
        "parcels_any_touch": pa.int64(),
        "parcels_centroid_in": pa.int64(),
        "area_acres": pa.float64(),
        "addresses": pa.int64(),
        "dwelling_units": pa.string(),
        "valuation_year": pa.int64(),
        "appraised_taxable_usd": pa.float64(),
        "assessed_taxable_usd": pa.float64(),
        "appraised_exempt_usd": pa.float64(),
    }
    rows = list(_figures(None, None, None, answer["area"]["name"], "all of the town", answer["in_area"]))
    for layer in answer["layers"]:
        named = (layer["layer"], layer["version"])
        rows += _figures(*named, None, layer["title"], layer["total_of"], layer["total"])
        for each in layer["classes"]:
            rows += _figures(*named, each["class"], each["label"], "this class alone", each["alone"])
            if layer["nested"]:
                rows += _figures(*named, each["class"], each["label"], "this class and all before it", each["up_to"])
    return _Rows("answers", "What is exposed", columns, rows)


def _figures(
    layer: str | None, version: str | None, name: str | None, label: str, counts: str, figures: dict[str, Any]
) -> Iterator[tuple[Any, ...]]:
    """A row per year of valuation, for values of two years cannot be added; the counts stand in each."""
    homes = figures["dwelling_units"]
    said = (
        figures["parcels"]["any_touch"],
        figures["parcels"]["centroid_in"],
        figures["area_acres"],
        figures["addresses"]["count"],
        homes["why"] if homes["count"] is None else str(homes["count"]),
    )
    nothing: list[dict[str, Any]] = [{"valuation_year": None, "taxable": {}, "exempt": {}}]
    for year in figures["value"]["by_valuation_year"] or nothing:
        taxable, exempt = year["taxable"], year["exempt"]
        values = (taxable.get("appraised_usd"), taxable.get("assessed_usd"), exempt.get("appraised_usd"))
        yield (layer, version, name, label, counts, *said, year["valuation_year"], *values)


def _not_known(answer: dict[str, Any]) -> _Rows:
    rows = [(unknown["sentence"],) for unknown in answer["unknowns"]]
    return _Rows("not_known", "What is not known", {"sentence": pa.string()}, rows)


def _put_styles(file: sqlite3.Connection, parts: Sequence[_Part]) -> None:
    """The table in which QGIS looks for the style of a GeoPackage's layer."""
    file.execute(
        "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256),"
        " f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30),"
        " styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),"
        " update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"
    )
    file.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description) VALUES"
        " ('layer_styles', 'attributes', 'layer_styles', 'Styles for QGIS')"
    )
    shapes = dict(file.execute("SELECT table_name, column_name FROM gpkg_geometry_columns").fetchall())
    file.executemany(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName,"
        " styleQML, styleSLD, useAsDefault, description, owner) VALUES ('', '', ?, ?, ?, ?, '', 1, ?, '')",
        [
            (part.name, shapes[part.name], part.title[:30], qml(part.style, _aliases(part.table)), part.title)
            for part in parts
        ],
    )


def _aliases(table: Table) -> dict[str, str]:
    return {each.name: f"{each.title} ({each.unit})" if each.unit else each.title for each in table.public_fields}
