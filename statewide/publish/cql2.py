"""CQL2 filters, text or JSON, as SQL over the public columns of one published view.

Text is parsed to the tree that CQL2 JSON writes, so that both encodings meet in one compiler. Every name is looked
up in the law and every value becomes a parameter of the type of what it is compared with: a column that is not
public does not exist here, and a mismatch is an error, never an empty answer.

pygeofilter's text grammar is not used: it gives AND and OR the same rank, so `a OR b AND c` would mean another thing.

Supported: and, or, not, = <> < <= > >=, like, between, in, isNull, casei, + - * /, s_intersects, s_disjoint,
s_contains, s_within, s_touches, s_crosses, s_overlaps, s_equals.
"""

from __future__ import annotations

import datetime
import json
import math
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, LiteralString, NamedTuple

import shapely
from psycopg import sql
from shapely.geometry import shape

from statewide.ddl import LONLAT_SRID
from statewide.errors import BadArgument
from statewide.geometry import Bounds, degrees_around
from statewide.standard import Table

MAX_DEPTH = 40
"""Filters nested deeper than this are refused."""
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d([Tt ].+)?", re.ASCII)

Tree = Any
"""A CQL2 JSON expression: dicts, lists and literals."""


def parse_text(text: str) -> Tree:
    """The CQL2 JSON tree of a CQL2 text.

    Raises:
        BadArgument: it is not CQL2 text; says where it stops making sense.
    """
    return _TextParser(text).whole()


def parse_json(text: str | bytes) -> Tree:
    """The tree of a CQL2 JSON text.

    Raises:
        BadArgument: it is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadArgument("filter: this is not CQL2 JSON.") from None


@dataclass(frozen=True)
class Shapes:
    """Which stored shape the coordinates of a filter are compared with."""

    column: str
    srid: int
    latitude_first: bool


@dataclass
class Condition:
    """A piece of a WHERE clause and the values of its placeholders, in order."""

    text: sql.Composable
    values: list[Any] = field(default_factory=list)


def compile_filter(tree: Tree, table: Table, shapes: Shapes) -> Condition:
    """The filter as a condition over ``t``, the published view of the table.

    Raises:
        BadArgument: it names an unknown property, compares what cannot be compared, or uses what is not supported.
    """
    compiler = _Compiler(table, shapes)
    text = compiler.boolean(tree, 0)
    return Condition(text, compiler.values)


def column(name: str) -> sql.Composed:
    """A column of the published view."""
    return sql.SQL("t.{}").format(sql.Identifier(name))


def in_box(bounds: Bounds, srid: int) -> tuple[sql.Composable, list[Any]]:
    """The condition that a shape's box meets this one, or nearly so, and its values.

    Of the stored shapes only the one in degrees has an index in every table, so that is what is asked.
    """
    degrees = bounds if srid == LONLAT_SRID else degrees_around(bounds, srid)
    if degrees is None:
        return sql.SQL("TRUE"), []
    box = sql.SQL("{} && ST_MakeEnvelope(%s, %s, %s, %s, %s)").format(column("geom_lonlat"))
    return box, [*degrees, LONLAT_SRID]


def unknown_property(table: Table, name: object) -> BadArgument:
    """The error for a property that the collection does not have, naming those that it has."""
    assert table.collection is not None
    names = ", ".join(each.name for each in table.public_fields)
    return BadArgument(f"The collection {table.collection.id} has no property {_shown(name)}. It has: {names}.")


def cast_value(kind: str, value: Tree, what: str) -> Any:
    """A literal as the Python value of a field type of the law.

    Raises:
        BadArgument: the literal is of another type; `what` names the property in the sentence.
    """
    try:
        return _CASTS[kind](value)
    except (KeyError, TypeError, ValueError, OverflowError):
        hint = " Put text in single quotes." if kind == "text" else ""
        raise BadArgument(f"{what} is {_KINDS[kind]}; {_shown(value)} is not.{hint}") from None


def parse_instant(text: str) -> datetime.datetime:
    """RFC 3339 date-time; without a zone it is read as UTC.

    Raises:
        ValueError: it is not one.
    """
    if not _INSTANT.fullmatch(text):
        raise ValueError  # Python would read 20260430 and 2026-W18-4, too
    instant = datetime.datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=datetime.UTC)


# ------------------------------------------------------------------------------------------- values

_KINDS = {
    "text": "text",
    "number": "a number",
    "boolean": "true or false",
    "date": "a date such as 2026-04-30",
    "timestamp": "a time such as 2026-04-30T12:00:00Z",
    "uuid": "an identifier such as 0f8fad5b-d9cb-469f-a165-70867728950e",
}


def _text(value: Tree) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    value.encode()  # half of a surrogate pair, which JSON can spell, is no text either
    return value


def _number(value: Tree) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return value if abs(value) < 2**63 else float(value)


def _boolean(value: Tree) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _date(value: Tree) -> datetime.date:
    return datetime.date.fromisoformat(value["date"] if isinstance(value, dict) else _text(value))


def _timestamp(value: Tree) -> datetime.datetime:
    return parse_instant(value["timestamp"] if isinstance(value, dict) else _text(value))


_CASTS: dict[str, Callable[[Tree], Any]] = {
    "text": _text,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "timestamp": _timestamp,
    "uuid": lambda value: uuid.UUID(_text(value)),
}


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return f"'{text[:60]}'" if text.isprintable() else "(unprintable)"


# ----------------------------------------------------------------------------------------- compiler

_COMPARISONS: dict[str, LiteralString] = {"=": "=", "<>": "<>", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
_ARITHMETIC: dict[str, LiteralString] = {
    # As whole numbers, 200 * 200 would be too large for what PostgreSQL takes 200 for, and 1 / 2 would be 0.
    "+": "({}::double precision + {}::double precision)",
    "-": "({}::double precision - {}::double precision)",
    "*": "({}::double precision * {}::double precision)",
    "/": "({}::double precision / {}::double precision)",
}
_SPATIAL: dict[str, LiteralString] = {
    "s_intersects": "ST_Intersects({}, {})",
    "s_disjoint": "NOT ST_Intersects({}, {})",
    "s_contains": "ST_Contains({}, {})",
    "s_within": "ST_Within({}, {})",
    "s_touches": "ST_Touches({}, {})",
    "s_crosses": "ST_Crosses({}, {})",
    "s_overlaps": "ST_Overlaps({}, {})",
    "s_equals": "ST_Equals({}, {})",
}
_GEOMETRY_NAMES = ("geometry", "geom")
_SUPPORTED = ["and", "or", "not", *_COMPARISONS, "like", "between", "in", "isNull", "casei", *_ARITHMETIC, *_SPATIAL]


class _Compiler:
    def __init__(self, table: Table, shapes: Shapes) -> None:
        self.table = table
        self.shapes = shapes
        self.kinds = {each.name: "number" if each.type == "integer" else each.type for each in table.public_fields}
        self.values: list[Any] = []

    def boolean(self, node: Tree, depth: int) -> sql.Composable:
        if isinstance(node, bool):
            return sql.SQL("TRUE" if node else "FALSE")
        if isinstance(node, dict) and "property" in node:
            name, kind = self.property(node)
            if kind != "boolean":
                raise BadArgument(f"filter: {name} is not true or false; compare it with something.")
            return column(name)
        op, args = self.operation(node, depth)
        if op in ("and", "or"):
            if not args:
                raise BadArgument(f"filter: {op} needs conditions.")
            parts = [self.boolean(arg, depth + 1) for arg in args]
            return sql.SQL("({})").format(sql.SQL(" AND " if op == "and" else " OR ").join(parts))
        if op == "not":
            (arg,) = self.arguments(op, args, 1)
            return sql.SQL("(NOT {})").format(self.boolean(arg, depth + 1))
        if op in _COMPARISONS:
            left, right = self.scalars(self.arguments(op, args, 2), depth)
            return sql.SQL("({} {} {})").format(left, sql.SQL(_COMPARISONS[op]), right)
        if op == "between":
            value, low, high = self.scalars(self.arguments(op, args, 3), depth)
            return sql.SQL("({} BETWEEN {} AND {})").format(value, low, high)
        if op == "in":
            value, options = self.arguments(op, args, 2)
            if not isinstance(options, list) or not options:
                raise BadArgument("filter: in needs a list of values.")
            first, *rest = self.scalars([value, *options], depth)
            return sql.SQL("({} IN ({}))").format(first, sql.SQL(", ").join(rest))
        if op == "like":
            subject, pattern = self.scalars(self.arguments(op, args, 2), depth, only="text")
            return sql.SQL("({} LIKE {})").format(subject, pattern)
        if op == "isNull":
            (arg,) = self.arguments(op, args, 1)
            return sql.SQL("({} IS NULL)").format(column(self.property(arg)[0]))
        if op in _SPATIAL:
            first, second = self.arguments(op, args, 2)
            text = sql.SQL(_SPATIAL[op]).format(self.geometry(first), self.geometry(second))
            given = [self.shape(node) for node in (first, second) if "property" not in node]
            if op == "s_disjoint" or len(given) != 1 or self.shapes.srid == LONLAT_SRID:
                return text
            box, values = in_box(given[0].bounds, self.shapes.srid)
            self.values += values
            return sql.SQL("({} AND {})").format(text, box)
        raise self.unsupported(op)

    def operation(self, node: Tree, depth: int) -> tuple[str, list[Tree]]:
        if depth > MAX_DEPTH:
            raise BadArgument(f"filter: nested deeper than {MAX_DEPTH} levels.")
        if not isinstance(node, dict) or not isinstance(node.get("op"), str):
            raise BadArgument(f"filter: a condition is expected, not {_shown(node)}.")
        args = node.get("args", [])
        return node["op"], args if isinstance(args, list) else [args]

    def arguments(self, op: str, args: list[Tree], count: int) -> list[Tree]:
        if len(args) != count:
            raise BadArgument(f"filter: {op} needs {count} arguments, not {len(args)}.")
        return args

    def unsupported(self, op: str) -> BadArgument:
        return BadArgument(f"filter: {_shown(op)} is not supported. Supported: {' '.join(_SUPPORTED)}.")

    def property(self, node: Tree) -> tuple[str, str]:
        """Name of the column and its kind; `geometry` is the stored shape of the filter's CRS."""
        name = node.get("property") if isinstance(node, dict) else None
        if name in _GEOMETRY_NAMES and self.table.geometry:
            return self.shapes.column, "geometry"
        if not isinstance(name, str) or name not in self.kinds:
            raise unknown_property(self.table, name if name is not None else node)
        return name, self.kinds[name]

    def scalars(self, nodes: list[Tree], depth: int, only: str | None = None) -> list[sql.Composable]:
        """Operands of one comparison: the first that is no literal settles the type of all."""
        kind, what = only, "A value"
        for node in nodes:
            settled = self.kind(node, depth)
            if settled is None:
                continue
            if isinstance(node, dict) and "property" in node:
                what = node["property"]
            if kind is None or (kind, settled) == ("timestamp", "date"):
                kind = settled
            elif kind != settled and (kind, settled) != ("date", "timestamp"):
                raise BadArgument(f"filter: {what} is {_KINDS.get(settled, settled)}, which cannot be compared here.")
        if kind is None:
            kind = next((name for name in ("text", "boolean", "number") if self.fits(name, nodes[0])), None)
        if kind is None or kind not in _CASTS:
            raise BadArgument(f"filter: {what} cannot be compared here.")
        # Against a day, a time is compared by its day: `valid_from = DATE('2026-04-30')` means that whole day.
        if kind == "timestamp" and any(isinstance(node, dict) and "date" in node for node in nodes):
            kind = "date"
        return [self.scalar(node, kind, what, depth + 1) for node in nodes]

    @staticmethod
    def fits(kind: str, value: Tree) -> bool:
        try:
            _CASTS[kind](value)
        except (TypeError, ValueError, OverflowError):
            return False
        return True

    def kind(self, node: Tree, depth: int) -> str | None:
        """Kind of an operand; None for a literal, which takes the kind of what it is compared with."""
        if not isinstance(node, dict) or "date" in node or "timestamp" in node:
            return None
        if "property" in node:
            return self.property(node)[1]
        op, _ = self.operation(node, depth)
        if op == "casei":
            return "text"
        if op in _ARITHMETIC:
            return "number"
        raise self.unsupported(op)

    def scalar(self, node: Tree, kind: str, what: str, depth: int) -> sql.Composable:
        if isinstance(node, dict) and "property" in node:
            name, own = self.property(node)
            if (kind, own) == ("date", "timestamp"):
                return sql.SQL("({} AT TIME ZONE 'UTC')::date").format(column(name))
            return column(name)
        if isinstance(node, dict) and "op" in node:
            op, args = self.operation(node, depth)
            if op == "casei":
                (arg,) = self.scalars(self.arguments(op, args, 1), depth, only="text")
                return sql.SQL("lower({})").format(arg)
            left, right = self.scalars(self.arguments(op, args, 2), depth, only="number")
            return sql.SQL(_ARITHMETIC[op]).format(left, right)
        self.values.append(cast_value(kind, node, what))
        return sql.SQL(_PLACEHOLDERS[kind])

    def geometry(self, node: Tree) -> sql.Composable:
        if isinstance(node, dict) and "property" in node:
            name, kind = self.property(node)
            if kind != "geometry":
                raise BadArgument(f"filter: {name} is not a shape.")
            return column(name)
        if not isinstance(node, dict):
            raise BadArgument(f"filter: a shape is expected, not {_shown(node)}.")
        self.values += [shapely.to_wkb(self.shape(node)), self.shapes.srid]
        return sql.SQL("ST_GeomFromWKB(%s, %s::int)")

    def shape(self, node: dict[str, Tree]) -> shapely.Geometry:
        try:
            if "bbox" in node:
                numbers = [float(number) for number in node["bbox"]]
                half = len(numbers) // 2
                low, high = numbers[:2], numbers[half : half + 2]
                if len(numbers) not in (4, 6) or low[0] > high[0] or low[1] > high[1]:
                    raise ValueError
                geometry: shapely.Geometry = shapely.box(*low, *high)
            else:
                geometry = shapely.force_2d(shape(node))
        except Exception:
            # shapely raises whatever the odd nesting of a made-up GeoJSON leads it to.
            raise BadArgument(f"filter: this is not a GeoJSON shape or a box: {_shown(node)}.") from None
        if self.shapes.latitude_first:
            geometry = shapely.transform(geometry, lambda xy: xy[:, ::-1])
        if geometry.is_empty or not all(math.isfinite(number) for number in geometry.bounds):
            raise BadArgument("filter: a shape has no coordinates, or some that are no numbers.")
        if not geometry.is_valid:
            raise BadArgument(f"filter: a shape is not valid: {shapely.is_valid_reason(geometry)}.")
        return geometry


_PLACEHOLDERS: dict[str, LiteralString] = {
    "text": "%s::text",
    "number": "%s",
    "boolean": "%s::boolean",
    "date": "%s::date",
    "timestamp": "%s::timestamptz",
    "uuid": "%s::uuid",
}


# ------------------------------------------------------------------------------------- text parser


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)     # 12  0.5  1e3
    | (?P<string>'(?:[^'\\]|''|\\.)*')                         # 'O''Brien'  'O\'Brien'
    | (?P<quoted>"(?:[^"]|"")*")                               # "a name"
    | (?P<name>[A-Za-z_][A-Za-z0-9_.:]*)
    | (?P<symbol><>|<=|>=|[=<>+\-*/(),])
    )""",
    re.VERBOSE,
)
_SHAPE_NAMES = (
    "POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION",
)  # fmt: skip
_RESERVED = ("AND", "OR", "NOT", "LIKE", "BETWEEN", "IN", "IS", "NULL")


class _TextParser:
    """Descends by rank: or, and, not, comparison, sum, product, atom. Never looks back."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[_Token] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            match = _TOKEN.match(text, position)
            if not match or not match.lastgroup:
                raise self.wrong(position)
            self.tokens.append(
                _Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup), match.end())
            )
            position = match.end()
        self.at = 0
        self.depth = 0

    def whole(self) -> Tree:
        tree = self.any_of()
        if self.at < len(self.tokens):
            raise self.wrong(self.tokens[self.at].start)
        return tree

    def wrong(self, position: int) -> BadArgument:
        return BadArgument(
            f"filter: this is not CQL2 text from here on: {_shown(self.text[position:].strip() or 'the end')}."
        )

    def next(self) -> _Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def word(self, *words: str) -> str | None:
        """Take the next token if it is one of these key words or symbols."""
        token = self.next()
        if token and token.kind in ("name", "symbol") and token.text.upper() in words:
            self.at += 1
            return token.text.upper()
        return None

    def need(self, *words: str) -> str:
        word = self.word(*words)
        if word is None:
            token = self.next()
            raise self.wrong(token.start if token else len(self.text))
        return word

    def any_of(self) -> Tree:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise BadArgument(f"filter: nested deeper than {MAX_DEPTH} levels.")
        parts = [self.all_of()]
        while self.word("OR"):
            parts.append(self.all_of())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else {"op": "or", "args": parts}

    def all_of(self) -> Tree:
        parts = [self.negated()]
        while self.word("AND"):
            parts.append(self.negated())
        return parts[0] if len(parts) == 1 else {"op": "and", "args": parts}

    def negated(self) -> Tree:
        negations = 0
        while self.word("NOT"):
            negations += 1
        tree = self.comparison()
        return {"op": "not", "args": [tree]} if negations % 2 else tree

    def comparison(self) -> Tree:
        left = self.sum()
        op = self.word(*_COMPARISONS)
        if op:
            return {"op": op, "args": [left, self.sum()]}
        if self.word("IS"):
            negated = bool(self.word("NOT"))
            self.need("NULL")
            return self.maybe_not(negated, {"op": "isNull", "args": [left]})
        negated = bool(self.word("NOT"))
        word = self.need("LIKE", "BETWEEN", "IN") if negated else self.word("LIKE", "BETWEEN", "IN")
        if word == "LIKE":
            return self.maybe_not(negated, {"op": "like", "args": [left, self.sum()]})
        if word == "BETWEEN":
            low = self.sum()
            self.need("AND")
            return self.maybe_not(negated, {"op": "between", "args": [left, low, self.sum()]})
        if word == "IN":
            self.need("(")
            return self.maybe_not(negated, {"op": "in", "args": [left, self.list_of(self.sum)]})
        return left

    @staticmethod
    def maybe_not(negated: bool, tree: Tree) -> Tree:
        return {"op": "not", "args": [tree]} if negated else tree

    def list_of(self, part: Callable[[], Tree]) -> list[Tree]:
        """Parts between commas, up to and with the closing parenthesis."""
        parts = [part()]
        while self.need(",", ")") == ",":
            parts.append(part())
        return parts

    def sum(self) -> Tree:
        tree = self.product()
        while op := self.word("+", "-"):
            tree = {"op": op, "args": [tree, self.product()]}
        return tree

    def product(self) -> Tree:
        tree = self.atom()
        while op := self.word("*", "/"):
            tree = {"op": op, "args": [tree, self.atom()]}
        return tree

    def atom(self) -> Tree:
        if self.word("("):
            tree = self.any_of()
            self.need(")")
            return tree
        sign = 1
        while self.word("-"):
            sign = -sign
        if sign < 0:
            value = self.atom()
            return -value if isinstance(value, int | float) else {"op": "*", "args": [-1, value]}
        token = self.next()
        if token is None or token.kind == "symbol" or (token.kind == "name" and token.text.upper() in _RESERVED):
            raise self.wrong(token.start if token else len(self.text))
        self.at += 1
        if token.kind == "number":
            try:
                return float(token.text) if set(token.text) & set(".eE") else int(token.text)
            except ValueError:  # thousands of digits
                raise self.wrong(token.start) from None
        if token.kind == "string":
            return token.text[1:-1].replace("''", "'").replace("\\'", "'")
        if token.kind == "quoted":
            return {"property": token.text[1:-1].replace('""', '"')}
        return self.named(token)

    def named(self, token: _Token) -> Tree:
        name = token.text.upper()
        if name in ("TRUE", "FALSE"):
            return name == "TRUE"
        # `POINT Z (…)` has a word before its parenthesis.
        if name in _SHAPE_NAMES and self.word("Z", "M", "ZM", "("):
            return self.well_known_text(token)
        if not self.word("("):
            return {"property": token.text}
        args = self.list_of(self.any_of)
        if name in ("DATE", "TIMESTAMP") and len(args) == 1:
            return {name.lower(): args[0]}
        if name == "BBOX":
            return {"bbox": args}
        return {"op": name.lower(), "args": args}

    def well_known_text(self, token: _Token) -> Tree:
        """From the name of the shape to the parenthesis that closes it; shapely reads what is between."""
        open_ = self.tokens[self.at - 1].text.count("(")
        while True:
            if self.at >= len(self.tokens):
                raise self.wrong(token.start)
            current = self.tokens[self.at]
            self.at += 1
            open_ += current.text.count("(") - current.text.count(")")
            if open_ == 0 and current.text == ")":
                break
        try:
            return json.loads(shapely.to_geojson(shapely.from_wkt(self.text[token.start : current.end])))
        except shapely.errors.ShapelyError:
            raise BadArgument(f"filter: this is not a shape: {_shown(self.text[token.start : current.end])}.") from None
