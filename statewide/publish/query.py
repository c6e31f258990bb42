"""A request for items, understood: which rows, which columns, in which order, in which coordinates, as one statement.

Everything that a client can write into the URL is looked up in the law and refused with a sentence when it is not
there. Pages follow one another by the last row seen (an opaque `token`), so the millionth row costs what the first did.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, LiteralString

from psycopg import sql

from statewide.ddl import LONLAT_SRID, sql_type, view_name
from statewide.errors import BadArgument
from statewide.publish import cql2
from statewide.publish.cql2 import Condition, Shapes, cast_value, column, in_box, unknown_property
from statewide.standard import Standard, Table

DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000
MAX_OFFSET = 100_000
COUNT_UP_TO = 10_000
"""Rows that match a filter are counted up to here; more are not counted, and the answer has no `numberMatched`."""

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
PARAMETERS = (
    "f", "lang", "limit", "offset", "token", "bbox", "bbox-crs", "crs", "datetime", "properties", "skipGeometry",
    "sortby", "filter", "filter-lang", "filter-crs", "resulttype",
)  # fmt: skip


@dataclass(frozen=True)
class Crs:
    """A coordinate system that we answer in: always one of the stored shapes, never a transformation at run time."""

    uri: str
    shapes: Shapes
    decimals: int


def offered_crs(standard: Standard) -> dict[str, Crs]:
    """By URI; the first is the default. Degrees to 7 decimals (1 cm), feet and metres to 3."""
    storage = standard.header.storage_crs
    epsg = "http://www.opengis.net/def/crs/EPSG/0/"
    offered = [
        Crs(CRS84, Shapes("geom_lonlat", LONLAT_SRID, False), 7),
        Crs(f"{epsg}4326", Shapes("geom_lonlat", LONLAT_SRID, True), 7),
        Crs(f"{epsg}3857", Shapes("geom_mercator", 3857, False), 3),
        Crs(f"{epsg}{storage}", Shapes("geom", storage, False), 3),
    ]
    offered += [
        Crs(f"{epsg}{crs.same_digits_as}", Shapes("geom", storage, False), 3)
        for crs in standard.header.accepted_crs
        if crs.epsg == storage and crs.same_digits_as
    ]
    return {crs.uri: crs for crs in offered}


@dataclass
class ItemsQuery:
    """What `/items` is asked for."""

    table: Table
    crs: Crs
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    after: list[str | None] | None = None
    order: list[tuple[str, bool]] = field(default_factory=list)
    """Columns and whether each descends; the key is always the last."""
    columns: list[str] = field(default_factory=list)
    geometry: bool = True
    hits: bool = False
    conditions: list[Condition] = field(default_factory=list)

    def statement(self) -> tuple[sql.Composed, list[Any]]:
        """Rows of (feature as GeoJSON text, ordering columns as text); one more than the limit where there is one."""
        where, values = _where([*self.conditions, *self._after()])
        order = sql.SQL(", ").join(
            sql.SQL("{} {} NULLS LAST").format(column(name), sql.SQL("DESC" if down else "ASC"))
            for name, down in self.order
        )
        marks = sql.SQL(", ").join(sql.SQL("{}::text").format(column(name)) for name, _ in self.order)
        text = sql.SQL(
            "SELECT {feature}, {marks} FROM (SELECT * FROM {view} AS t{where} ORDER BY {order} LIMIT %s OFFSET %s) AS t"
            " ORDER BY {order}"
        ).format(feature=self.feature(), marks=marks, view=view(self.table), where=where, order=order)
        return text, [*values, self.limit + 1, self.offset]

    def count(self, up_to: int | None) -> tuple[sql.Composed, list[Any]]:
        """One row with the number of matching rows, counted no further than `up_to`."""
        where, values = _where(self.conditions)
        rows = sql.SQL("SELECT 1 FROM {} AS t{}").format(view(self.table), where)
        if up_to is not None:
            rows, values = sql.SQL("{} LIMIT %s").format(rows), [*values, up_to + 1]
        return sql.SQL("SELECT count(*) FROM ({}) AS matched").format(rows), values

    def feature(self) -> sql.Composed:
        """A GeoJSON feature as text, made by PostgreSQL so that no coordinate becomes a Python object."""
        return feature_text(self.table, self.crs, self.columns, self.geometry)

    def token(self, marks: tuple[str | None, ...]) -> str:
        """Where the next page begins: behind the row with these ordering values."""
        return base64.urlsafe_b64encode(json.dumps(marks, separators=(",", ":")).encode()).decode().rstrip("=")

    def _after(self) -> list[Condition]:
        """Rows that come behind the last one seen: equal in the first columns and behind in the next."""
        if self.after is None:
            return []
        behind: list[sql.Composable] = []
        values: list[Any] = []
        for index, (name, down) in enumerate(self.order):
            mark = self.after[index]
            if mark is None:  # nulls come last: nothing of this column is behind one
                continue
            parts: list[sql.Composable] = []
            for earlier, (equal_name, _) in enumerate(self.order[:index]):
                if self.after[earlier] is None:
                    parts.append(sql.SQL("{} IS NULL").format(column(equal_name)))
                else:
                    parts.append(sql.SQL("{} = %s::{}").format(column(equal_name), self._type(equal_name)))
                    values.append(self.after[earlier])
            step = sql.SQL("{} < %s::{}" if down else "{} > %s::{}").format(column(name), self._type(name))
            values.append(mark)
            parts.append(step if name == self.table.key else sql.SQL("({} OR {} IS NULL)").format(step, column(name)))
            behind.append(sql.SQL("({})").format(sql.SQL(" AND ").join(parts)))
        return [Condition(sql.SQL("({})").format(sql.SQL(" OR ").join(behind)), values)]

    def _type(self, name: str) -> sql.Composable:
        return sql.SQL(sql_type(self.table.field(name)))


def parse_items(
    standard: Standard, table: Table, parameters: Mapping[str, str], posted_filter: bytes = b""
) -> ItemsQuery:
    """The request in the words of the law.

    Args:
        parameters: of the URL, each once.
        posted_filter: a CQL2 JSON filter from the body, instead of `filter`.

    Raises:
        BadArgument: a parameter is unknown or its value makes no sense; the sentence says which and what would.
    """
    names = {each.name for each in table.public_fields}
    for name in parameters:
        if name not in PARAMETERS and name not in names:
            raise unknown_property(table, name)
    crs = _crs(standard, parameters, "crs")
    query = ItemsQuery(table, crs)
    query.limit = min(_whole_number(parameters, "limit", DEFAULT_LIMIT, least=1), MAX_LIMIT)
    query.offset = _whole_number(parameters, "offset", 0, least=0)
    if query.offset > MAX_OFFSET:
        raise BadArgument(f"offset: at most {MAX_OFFSET}; follow the links named next instead, they have no end.")
    query.order = _order(table, parameters.get("sortby"))
    query.after = _after(query, parameters.get("token"))
    query.columns = _columns(table, parameters.get("properties"))
    query.geometry = table.geometry is not None and not _true(parameters, "skipGeometry")
    query.hits = _hits(parameters)
    if "bbox" in parameters:
        query.conditions.append(_box(table, parameters["bbox"], _crs(standard, parameters, "bbox-crs")))
    query.conditions += _time(table, parameters.get("datetime"))
    query.conditions += _equalities(table, parameters)
    query.conditions += _filter(standard, table, parameters, posted_filter)
    return query


def view(table: Table) -> sql.Identifier:
    """The published view of a table."""
    return sql.Identifier("published", view_name(table))


def feature_text(table: Table, crs: Crs, columns: list[str], geometry: bool) -> sql.Composed:
    """SQL of one GeoJSON feature as text, over the view as ``t``."""
    shape: sql.Composable = sql.SQL("'null'")
    if geometry:
        stored: sql.Composable = column(crs.shapes.column)
        if crs.shapes.latitude_first:
            stored = sql.SQL("ST_FlipCoordinates({})").format(stored)
        shape = sql.SQL("coalesce(ST_AsGeoJSON({}, {}, 0), 'null')").format(stored, sql.Literal(crs.decimals))
    properties: sql.Composable = sql.SQL("'{}'")
    if columns:
        properties = sql.SQL("(SELECT row_to_json(p)::text FROM (SELECT {}) AS p)").format(
            sql.SQL(", ").join(_property(table, name) for name in columns)
        )
    return sql.SQL(
        """'{{"type":"Feature","id":' || to_json({key})::text || ',"geometry":' || {shape}"""
        """ || ',"properties":' || {properties} || '}}'"""
    ).format(key=column(table.key), shape=shape, properties=properties)


def _property(table: Table, name: str) -> sql.Composable:
    """A column as it goes into the feature's properties."""
    if table.field(name).type != "number":
        return column(name)
    # Whole values of a measured column keep a decimal point: GDAL takes the type of a field from the first page, and
    # would cut the fractions of later ones off.
    return sql.SQL(
        "CASE WHEN {0} = trunc({0}) AND abs({0}) < 1e15 THEN ({0}::text || '.0')::json ELSE to_json({0}) END AS {1}"
    ).format(column(name), sql.Identifier(name))


def _where(conditions: list[Condition]) -> tuple[sql.Composable, list[Any]]:
    if not conditions:
        return sql.SQL(""), []
    text = sql.SQL(" WHERE {}").format(sql.SQL(" AND ").join(condition.text for condition in conditions))
    return text, [value for condition in conditions for value in condition.values]


def _crs(standard: Standard, parameters: Mapping[str, str], name: str) -> Crs:
    offered = offered_crs(standard)
    uri = parameters.get(name, CRS84)
    if uri not in offered:
        raise BadArgument(f"{name}: this coordinate system is not offered. Offered: {', '.join(offered)}.")
    return offered[uri]


def _whole_number(parameters: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = parameters.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) >= least):
        raise BadArgument(f"{name}: a whole number of at least {least} is expected.")
    return int(text)


def _true(parameters: Mapping[str, str], name: str) -> bool:
    text = parameters.get(name, "false").lower()
    if text not in ("true", "false"):
        raise BadArgument(f"{name}: true or false is expected.")
    return text == "true"


def _hits(parameters: Mapping[str, str]) -> bool:
    text = parameters.get("resulttype", "results")
    if text not in ("hits", "results"):
        raise BadArgument("resulttype: hits or results is expected.")
    return text == "hits"


def _order(table: Table, text: str | None) -> list[tuple[str, bool]]:
    order: list[tuple[str, bool]] = []
    sortable = {each.name for each in table.public_fields if each.type != "json"}
    for part in text.split(",") if text else []:
        # A bare plus sign in a URL arrives as a blank.
        name = part.lstrip("+- ") if part[:1] in ("+", "-", " ") else part
        if name not in sortable:
            raise unknown_property(table, name)
        if name not in [known for known, _ in order]:
            order.append((name, part.startswith("-")))
    if table.key not in [name for name, _ in order]:
        order.append((table.key, False))
    return order[: [name for name, _ in order].index(table.key) + 1]


def _after(query: ItemsQuery, text: str | None) -> list[str | None] | None:
    if text is None:
        return None
    try:
        marks = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        for mark in marks:
            if mark is not None:
                cast_value("text", mark, "token")
    except (ValueError, TypeError, RecursionError, BadArgument):
        marks = None
    if not isinstance(marks, list) or len(marks) != len(query.order) or marks[-1] is None:
        raise BadArgument("token: this is not from a next link of ours with the same sortby; begin again without it.")
    return marks


def _columns(table: Table, text: str | None) -> list[str]:
    names = [each.name for each in table.public_fields]
    if text is None:
        return names
    wanted = [name for name in text.split(",") if name]
    for name in wanted:
        if name not in names:
            raise unknown_property(table, name)
    return [name for name in names if name in wanted]


def _box(table: Table, text: str, crs: Crs) -> Condition:
    try:
        # Python reads 1_0 as ten.
        numbers = [] if "_" in text else [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (4, 6) or not all(math.isfinite(number) for number in numbers):
        raise BadArgument("bbox: four numbers are expected (or six with heights, which are ignored).")
    half = len(numbers) // 2
    (west, south), (east, north) = numbers[:2], numbers[half : half + 2]
    if crs.shapes.latitude_first:
        west, south, east, north = south, west, north, east
    if south > north:
        raise BadArgument("bbox: its south lies north of its north.")
    if table.geometry is None:
        return Condition(sql.SQL("TRUE"))
    boxes = [(west, south, east, north)]
    if west > east:
        if crs.shapes.srid != LONLAT_SRID:
            raise BadArgument("bbox: its west lies east of its east.")
        boxes = [(west, south, 180.0, north), (-180.0, south, east, north)]  # across the date line
    inside = sql.SQL("ST_Intersects({}, ST_MakeEnvelope(%s, %s, %s, %s, %s))").format(column(crs.shapes.column))
    text_of_all = sql.SQL("({})").format(sql.SQL(" OR ").join([inside] * len(boxes)))
    values = [value for box in boxes for value in (*box, crs.shapes.srid)]
    if crs.shapes.srid == LONLAT_SRID:
        return Condition(text_of_all, values)
    near, more = in_box((west, south, east, north), crs.shapes.srid)
    return Condition(sql.SQL("{} AND {}").format(text_of_all, near), [*values, *more])


def _time(table: Table, text: str | None) -> list[Condition]:
    """Rows of an instant, a day or an interval; a collection without time has only rows of all times."""
    assert table.collection is not None
    if text is None:
        return []
    start, slash, end = text.partition("/")
    first = _instant(start, later=False)
    last = _instant(end if slash else start, later=True)
    if first and last and first > last:
        raise BadArgument("datetime: its beginning is later than its end.")
    name = table.collection.time_field
    if name is None:
        return []
    conditions = []
    for edge, operator in ((first, ">="), (last, "<=")):
        if edge is not None:
            test: LiteralString = "{} >= %s" if operator == ">=" else "{} <= %s"
            conditions.append(Condition(sql.SQL(test).format(column(name)), [edge]))
    return conditions


def _instant(text: str, later: bool) -> datetime.datetime | None:
    """Beginning or, if `later`, the end of what the text names; a date is that whole day (UTC); open is None."""
    if text in ("", ".."):
        return None
    try:
        instant = cql2.parse_instant(text)
        if later and len(text) == len("2026-04-30"):
            instant += datetime.timedelta(days=1, microseconds=-1)
    except (ValueError, OverflowError):
        raise BadArgument(
            "datetime: a date, a time such as 2026-04-30T12:00:00Z, or two of them with / between."
        ) from None
    return instant


def _equalities(table: Table, parameters: Mapping[str, str]) -> list[Condition]:
    """`?town_name=Avon`: one column equals one value of its own type."""
    conditions = []
    for each in table.public_fields:
        text = parameters.get(each.name)
        if text is None or each.name in PARAMETERS:
            continue
        if each.type == "json":
            raise BadArgument(f"{each.name}: cannot be compared with a value.")
        value: Any = text
        if each.type in ("integer", "number", "boolean"):
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                value = text
        kind = "number" if each.type == "integer" else each.type
        conditions.append(Condition(sql.SQL("{} = %s").format(column(each.name)), [cast_value(kind, value, each.name)]))
    return conditions


def _filter(standard: Standard, table: Table, parameters: Mapping[str, str], posted: bytes) -> list[Condition]:
    text = parameters.get("filter")
    language = parameters.get("filter-lang", "cql2-json" if posted else "cql2-text")
    if language not in ("cql2-text", "cql2-json"):
        raise BadArgument("filter-lang: cql2-text or cql2-json is expected.")
    crs = _crs(standard, parameters, "filter-crs")
    if text and posted:
        raise BadArgument("filter: either in the URL or in the body, not in both.")
    if not text and not posted:
        return []
    tree = (
        cql2.parse_json(text or posted)
        if language == "cql2-json"
        else cql2.parse_text(text or posted.decode("utf-8", "replace"))
    )
    return [cql2.compile_filter(tree, table, crs.shapes)]
