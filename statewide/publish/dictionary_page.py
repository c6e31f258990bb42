"""The data dictionary at `/dictionary`: what each published field is, for readers, as Table Schema, and as CSV.

All of it is made of the law once, when the server starts; the Markdown of `statewide build` is another rendering of it.
"""

from __future__ import annotations

import csv
import io
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from statewide.publish.routes import problem
from statewide.standard import Code, Standard, StandardField, Table

_TYPES: dict[str, dict[str, str]] = {
    "text": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "date"},
    "timestamp": {"type": "datetime", "format": "any"},
    "uuid": {"type": "string", "format": "uuid"},
    "json": {"type": "object"},
}
_COLUMNS = (
    "collection", "field", "title", "type", "unit", "description", "codes", "always filled", "minimum", "maximum",
    "longest", "pattern", "example",
)  # fmt: skip


def dictionary_routes(standard: Standard) -> list[BaseRoute]:
    """Routes of the page and of its two other forms."""
    loader = PackageLoader("statewide.publish")
    pages = Environment(loader=loader, autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True)
    page = pages.get_template("dictionary.html").render(
        title="Data dictionary",
        header=standard.header,
        tables=sorted(standard.published_tables, key=lambda table: (not table.delivered, table.title)),
        codes=lambda field: _codes(standard, field),
        list_title=lambda field: standard.code_lists[field.codes].title,
    )

    async def html(_: Request) -> Response:
        return Response(page, media_type="text/html")

    async def machine(request: Request) -> Response:
        try:
            table = standard.collection_table(request.path_params["collection"])
        except KeyError:
            return problem(404, "NotFound", "There is no such collection.")
        if request.path_params["form"] == "json":
            return JSONResponse(table_schema(standard, table))
        if request.path_params["form"] == "csv":
            return Response(_csv(standard, table), media_type="text/csv; charset=utf-8")
        return problem(404, "NotFound", "The dictionary of a collection comes as .json and as .csv.")

    return [Route("/dictionary", html), Route("/dictionary/{collection}.{form}", machine)]


def table_schema(standard: Standard, table: Table) -> dict[str, Any]:
    """The published columns of a table as Frictionless Table Schema, for the CSV and other bulk files."""
    named = {other.name: other for other in standard.published_tables}
    keys = [
        {"fields": field.name, "reference": {"resource": other.collection.id, "fields": other.key}}
        for field in table.public_fields
        if field.references and (other := named.get(field.references)) and other.collection
    ]
    assert table.collection is not None
    return {
        "$schema": "https://datapackage.org/profiles/1.0/tableschema.json",
        "title": table.collection.title,
        "description": " ".join(table.collection.description.split()),
        "fields": [_field(standard, table, field) for field in table.public_fields],
        "primaryKey": table.key,
        "foreignKeys": keys,
        "missingValues": [""],
    }


def _field(standard: Standard, table: Table, field: StandardField) -> dict[str, Any]:
    codes = _codes(standard, field)
    limits = {
        "required": always_filled(field) or None,
        "unique": field.name == table.key or None,
        "enum": [code.code for code in codes] or None,
        "minimum": _whole(field.minimum),
        "maximum": _whole(field.maximum),
        "maxLength": field.max_length,
        "pattern": field.pattern if field.type == "text" else None,
    }
    described = {
        "name": field.name,
        **_TYPES[field.type],
        "title": field.title,
        "description": _one_line(field.description),
        "unit": field.unit,
        "example": field.examples[0] if field.examples else None,
        "codes": {code.code: code.label for code in codes} or None,
        "constraints": {name: limit for name, limit in limits.items() if limit is not None} or None,
    }
    return {name: value for name, value in described.items() if value is not None}


def _csv(standard: Standard, table: Table) -> str:
    assert table.collection is not None
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for field in table.public_fields:
        codes = "; ".join(f"{code.code} = {code.label}" for code in _codes(standard, field))
        limits = (_whole(field.minimum), _whole(field.maximum), field.max_length, field.pattern)
        writer.writerow(
            [
                table.collection.id, field.name, field.title, field.type, field.unit, _one_line(field.description),
                codes, "yes" if always_filled(field) else "no", *limits, field.examples[0] if field.examples else None,
            ]
        )  # fmt: skip
    return text.getvalue()


def always_filled(field: StandardField) -> bool:
    """Whether no published row leaves it empty; what a town must give may still be missing."""
    return field.level == "must" and field.filled_by == "platform"


def _codes(standard: Standard, field: StandardField) -> tuple[Code, ...]:
    return standard.code_lists[field.codes].of_layers(field.code_layers) if field.codes else ()


def _whole(limit: float | None) -> float | int | None:
    return int(limit) if limit is not None and float(limit).is_integer() else limit


def _one_line(text: str) -> str:
    return " ".join(text.split())
