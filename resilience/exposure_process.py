"""The process `exposure`: what a hazard exposes in an area, as pygeoapi describes it and our own route asks it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from pygeoapi.process.base import BaseProcessor

from resilience.exposure import MAX_CORNERS, MAX_SQMI, expose, read_question
from resilience.exposure_counts import SHARES, class_places
from resilience.exposure_list import MAX_LISTED, list_page
from statewide.errors import BadArgument
from statewide.publish.reading import fetch
from statewide.publish.routes import GEOJSON


def _input(title: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "description": description, "schema": schema, "minOccurs": 0, "maxOccurs": 1}


def _metadata() -> dict[str, Any]:
    names = {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    return {
        "version": "1.0.0",
        "id": "exposure",
        "title": "Exposure of an area",
        "description": (
            "What the hazard layers expose in an area: parcels counted three ways, land, addresses, homes, assessed "
            "and appraised value by revaluation year, critical facilities and evacuation zones, each with what it is a "
            "part of; what is not known; and the versions that the answer rests on. Say one area: town, region, "
            "polygon, bbox or state. An answer is of one moment. That no hazard is drawn at a place does not mean "
            "that it is safe."
        ),
        "keywords": ["exposure", "hazard", "flood", "sea level rise", "hurricane", "parcels", "addresses", "ESF 5"],
        "jobControlOptions": ["sync-execute"],
        "outputTransmission": ["value"],
        "inputs": {
            "town": _input("Town", "Name, five-digit code or number of a town, or a list of them.", names),
            "region": _input("Planning region", "Name or code of a planning region.", {"type": "string"}),
            "polygon": _input(
                "Polygon",
                f"A GeoJSON Polygon or MultiPolygon in degrees, holes allowed; at most {MAX_CORNERS:,} corners and "
                f"{MAX_SQMI:,.0f} square miles. Parcels that it touches are taken whole.",
                {"type": "object"},
            ),
            "bbox": _input(
                "Box",
                "West, south, east, north in degrees; as a polygon.",
                {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
            ),
            "state": _input("State", "true for all towns.", {"type": "boolean"}),
            "layers": _input(
                "Layers",
                "Hazard layers; all if left out.",
                {
                    "oneOf": [
                        {"type": "string", "enum": list(class_places())},
                        {"type": "array", "items": {"type": "string", "enum": list(class_places())}},
                    ]
                },
            ),
            "min_share": _input(
                "Minimum share",
                "Percent of a parcel that must lie in the class for its value, land and homes to count; 0: any touch.",
                {"type": "number", "enum": [0, *SHARES], "default": 0},
            ),
            "min_class": _input(
                "Least grave class",
                "With one layer: this class and those that are graver or reached earlier make the total.",
                {"type": "string"},
            ),
            "max_value": _input(
                "Greatest number",
                "With one nested layer: up to this hurricane category, or this many feet of rise.",
                {"type": "number"},
            ),
            "list": _input(
                "List",
                "Instead of the counts the parcels, a row for each parcel and layer: geojson or csv.",
                {"type": "string", "enum": ["geojson", "csv"]},
            ),
            "limit": _input(
                "Rows of the list",
                "How many rows a page of the list holds at most.",
                {"type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": MAX_LISTED},
            ),
            "after": _input(
                "Next page", "The last row that was seen, as the page before names it.", {"type": "string"}
            ),
        },
        "outputs": {
            "exposure": {
                "title": "Exposure",
                "description": (
                    "area, method (what each count means), in_area (all of the area), layers (total, and each class "
                    "alone and up to it), towns, critical_facilities, evacuation_zones, unknowns (sentences with "
                    "counts), versions."
                ),
                "schema": {"type": "object", "contentMediaType": "application/json"},
            }
        },
        "example": {"inputs": {"town": "New London", "layers": ["flood-zones"], "min_share": 10}},
    }


class Exposure(BaseProcessor):  # type: ignore[misc]  # pygeoapi is not typed
    """pygeoapi's door to the counts."""

    def __init__(self, processor_def: dict[str, Any]) -> None:
        # pygeoapi takes entries out of it when it writes its OpenAPI document.
        super().__init__(processor_def, deepcopy(_metadata()))

    def execute(self, data: dict[str, Any], outputs: object = None) -> tuple[str, dict[str, Any] | str]:
        """Media type and answer; a list as CSV is text.

        Raises:
            BadArgument, UnknownTown: an input makes no sense.
            DatabaseUnavailable: the database does not answer, or not in time.
        """
        question = read_question(fetch, data)
        if (kind := data.get("list")) is None:
            if given := [name for name in ("limit", "after") if name in data]:
                raise BadArgument(f"{given[0]}: only with list.")
            return "application/json", expose(fetch, question)
        if kind not in ("geojson", "csv"):
            raise BadArgument("list: geojson or csv.")
        page = list_page(fetch, question, kind, data.get("limit", MAX_LISTED), data.get("after"))
        return ("text/csv" if kind == "csv" else GEOJSON), page

    def __repr__(self) -> str:
        return "<Exposure>"
