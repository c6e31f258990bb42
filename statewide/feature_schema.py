"""A table of the law as JSON Schema: what `/schema`, `/queryables` and ``schemas/generated`` say about it.

Only what the street may see; a field that is not public is not described here.
"""

from __future__ import annotations

from typing import Any

from statewide.standard import Standard, StandardField, Table

_JSON_TYPES: dict[str, dict[str, str]] = {
    "text": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "timestamp": {"type": "string", "format": "date-time"},
    "uuid": {"type": "string", "format": "uuid"},
    "json": {"type": "object"},
}
_SHAPES = {
    "MultiPolygon": "geometry-multipolygon",
    "Point": "geometry-point",
    "MultiLineString": "geometry-multilinestring",
}


def field_schema(standard: Standard, table: Table, field: StandardField) -> dict[str, Any]:
    """One public field as a property; a fresh dict at every call, because pygeoapi writes into what it is given."""
    schema: dict[str, Any] = {"title": field.title, "description": field.description, **_JSON_TYPES[field.type]}
    if field.unit:
        schema["x-ogc-unit"] = field.unit
    if field.codes:
        codes = standard.code_lists[field.codes].of_layers(field.code_layers)
        schema["enum"] = [code.code for code in codes]
        schema["x-enum-titles"] = {code.code: code.label for code in codes}
    for keyword, limit in (("minimum", field.minimum), ("maximum", field.maximum), ("maxLength", field.max_length)):
        if limit is not None:
            schema[keyword] = int(limit) if float(limit).is_integer() else limit
    if field.pattern and field.type == "text":
        schema["pattern"] = field.pattern
    if field.examples:
        schema["examples"] = list(field.examples)
    if field.name == table.key:
        schema["x-ogc-role"] = "id"
    elif table.collection and field.name == table.collection.time_field:
        schema["x-ogc-role"] = "primary-instant"
    return schema


def feature_schema(standard: Standard, table: Table) -> dict[str, Any]:
    """The features of a collection: their shape and every public property, in the order of the law.

    Required is what the platform fills on every row. What a town must give may still be empty on a published row; the
    finding says so, and null stands for absent, as in OGC API Features Part 5.
    """
    assert table.collection is not None
    properties: dict[str, Any] = {}
    if table.geometry:
        properties["geometry"] = {"x-ogc-role": "primary-geometry", "format": _SHAPES[table.geometry.type]}
    properties.update({field.name: field_schema(standard, table, field) for field in table.public_fields})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "title": table.collection.title,
        "description": table.collection.description,
        "properties": properties,
        "required": [f.name for f in table.public_fields if f.level == "must" and f.filled_by == "platform"],
        "additionalProperties": False,
    }
