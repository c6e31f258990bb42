"""The process `find-address`: the address search, as pygeoapi describes it and our own route asks it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from pygeoapi.process.base import BaseProcessor

from addresses.search import DEFAULT_LIMIT, MAX_LIMIT, MAX_TEXT, find
from statewide.publish.reading import fetch
from statewide.publish.routes import GEOJSON

_METADATA: dict[str, Any] = {
    "version": "1.0.0",
    "id": "find-address",
    "title": "Find an address",
    "description": (
        "The published address points and parcels that a typed address may mean, the likeliest first. Misspelt streets "
        "and towns are found, and so are the nearest numbers where the number itself is not there; no position is made "
        "up between two numbers. What was typed is not kept."
    ),
    "keywords": ["address", "search", "geocoding"],
    "jobControlOptions": ["sync-execute"],
    "outputTransmission": ["value"],
    "inputs": {
        "text": {
            "title": "Address",
            "description": "House number, street and town, as people write them.",
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT},
            "minOccurs": 1,
            "maxOccurs": 1,
        },
        "town": {
            "title": "Town",
            "description": "Name of the town or village, or the ZIP code, when it is not in the text.",
            "schema": {"type": "string", "maxLength": MAX_TEXT},
            "minOccurs": 0,
            "maxOccurs": 1,
        },
        "limit": {
            "title": "Limit",
            "description": "How many candidates there are at most.",
            "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            "minOccurs": 0,
            "maxOccurs": 1,
        },
    },
    "outputs": {
        "candidates": {
            "title": "Candidates",
            "description": (
                "A GeoJSON feature collection. score is 1 where everything that was typed is answered; kind is "
                "address, parcel, street (no number was typed: the point is one of its places) or town; matched, "
                "similar and unmatched name the parts of the text; places says how many share the number, such as "
                "flats; lifecycle (Potential, Proposed, Retired) stands where an address is not in use. "
                "hint says what to do where there is nothing."
            ),
            "schema": {"type": "object", "contentMediaType": GEOJSON},
        }
    },
    "example": {"inputs": {"text": "42 church st new lonon", "limit": 5}},
}


class FindAddress(BaseProcessor):  # type: ignore[misc]  # pygeoapi is not typed
    """pygeoapi's door to the search."""

    def __init__(self, processor_def: dict[str, Any]) -> None:
        # pygeoapi takes entries out of it when it writes its OpenAPI document.
        super().__init__(processor_def, deepcopy(_METADATA))

    def execute(self, data: dict[str, Any], outputs: object = None) -> tuple[str, dict[str, Any]]:
        """Media type and feature collection.

        Raises:
            BadArgument: an input makes no sense.
            DatabaseUnavailable: the database does not answer, or not in time.
        """
        return GEOJSON, find(fetch, data.get("text", ""), data.get("town"), data.get("limit", DEFAULT_LIMIT))

    def __repr__(self) -> str:
        return "<FindAddress>"
