"""The process `hazards-at`: what every loaded layer says at a point or at an address, and of the lot around it."""

from __future__ import annotations

import uuid
from copy import deepcopy
from typing import Any

from psycopg import sql
from pygeoapi.process.base import BaseProcessor

from resilience.exposure import Fetch
from resilience.exposure_counts import class_places, worst_first
from resilience.layer_sources import load_sources
from resilience.severity import NO_ZONE, NOT_MAPPED
from statewide.database import read_sql
from statewide.ddl import view_name
from statewide.errors import BadArgument
from statewide.publish.reading import fetch
from statewide.standard import load_standard

MOST_PARCELS = 10
"""Lots that are shown of a place; condominium units may stand on one another by the hundred."""

_METADATA: dict[str, Any] = {
    "version": "1.0.0",
    "id": "hazards-at",
    "title": "Hazards at a place",
    "description": (
        "What every loaded hazard layer says at a point or at a published address: class, zone, coverage, version and "
        "dates; beside it the lot around the point with the answers for the whole lot. Where a layer covers nothing, "
        "nothing is known; it does not mean that there is no hazard. find-address gives the identifier of a typed "
        "address."
    ),
    "keywords": ["hazard", "flood", "point", "address"],
    "jobControlOptions": ["sync-execute"],
    "outputTransmission": ["value"],
    "inputs": {
        "lon": {
            "title": "Longitude",
            "description": "In degrees; with lat.",
            "schema": {"type": "number", "minimum": -180, "maximum": 180},
            "minOccurs": 0,
            "maxOccurs": 1,
        },
        "lat": {
            "title": "Latitude",
            "description": "In degrees; with lon.",
            "schema": {"type": "number", "minimum": -90, "maximum": 90},
            "minOccurs": 0,
            "maxOccurs": 1,
        },
        "address_uid": {
            "title": "Address",
            "description": "Identifier of an address point, as in the collection of addresses and from find-address.",
            "schema": {"type": "string", "format": "uuid"},
            "minOccurs": 0,
            "maxOccurs": 1,
        },
    },
    "outputs": {
        "hazards": {
            "title": "Hazards",
            "description": "place, layers (one entry for each loaded layer), parcels (whole lots), not_loaded.",
            "schema": {"type": "object", "contentMediaType": "application/json"},
        }
    },
    "example": {"inputs": {"lon": -72.0995, "lat": 41.3557}},
}


class HazardsAt(BaseProcessor):  # type: ignore[misc]  # pygeoapi is not typed
    """pygeoapi's door to the layers at a place."""

    def __init__(self, processor_def: dict[str, Any]) -> None:
        # pygeoapi takes entries out of it when it writes its OpenAPI document.
        super().__init__(processor_def, deepcopy(_METADATA))

    def execute(self, data: dict[str, Any], outputs: object = None) -> tuple[str, dict[str, Any]]:
        """Media type and answer.

        Raises:
            BadArgument: neither a point nor a published address.
            DatabaseUnavailable: the database does not answer, or not in time.
        """
        return "application/json", hazards_at(fetch, data.get("lon"), data.get("lat"), data.get("address_uid"))

    def __repr__(self) -> str:
        return "<HazardsAt>"


def hazards_at(fetch: Fetch, lon: object, lat: object, address_uid: object) -> dict[str, Any]:
    """What every loaded layer says at a place.

    Raises:
        BadArgument: neither a point in degrees nor a published address.
    """
    values = _place(lon, lat, address_uid) | {"srid": load_standard().header.storage_crs, "most": MOST_PARCELS}
    found = fetch(read_sql("resilience", "hazards_at").format(zones=_zones()), values)
    if not found:
        raise BadArgument("address_uid: no address of that identifier is published.")
    x, y, label, towns, layers, at_address, parcels = found[0]
    # Lists of facilities have versions, too, and say nothing of a place.
    layers = [layer for layer in layers or [] if layer["layer"] in class_places()]
    computed = {row["layer"]: row for row in at_address or []}
    return {
        "place": {"lon": round(x, 7), "lat": round(y, 7), "address": label, "towns": towns or []},
        "layers": [_layer(layer, computed.get(layer["layer"])) for layer in layers],
        "parcels": parcels or [],
        "parcels_note": "Answers for the whole lot, at most ten lots; the point may lie in a part that is not reached.",
        "not_loaded": sorted(set(class_places()) - {layer["layer"] for layer in layers}),
    }


def _layer(layer: dict[str, Any], computed: dict[str, Any] | None) -> dict[str, Any]:
    """One layer at the place: its polygons there; a grid is answered from the address's own row."""
    classes = {code.code: code for code in load_standard().code_lists["hazard_class"].codes}
    zone, covered = layer.pop("zone"), layer.pop("covered")
    if layer["layer"] in load_sources():
        said = zone or {"zone_class": NO_ZONE if covered else NOT_MAPPED}
        coverage = "mapped" if covered else "not mapped"
    elif computed and computed["layer_version"] != layer["layer_version"]:
        note = f"The address was not laid over this version yet; its answer is of version {computed['layer_version']}."
        return layer | {"zone_class": None, "coverage": None, "sentence": note}
    elif computed:
        said = {name: computed[name] for name in ("zone_class", "depth_ft")}
        coverage = computed["coverage"]
    else:
        note = "A grid is read at address points and over lots: ask with address_uid, or see parcels."
        return layer | {"zone_class": None, "coverage": None, "sentence": note}
    code = classes[said["zone_class"]]
    return layer | {
        **said,
        "v_datum": said.get("v_datum") or layer["v_datum"],
        "label": code.label,
        "value": code.value,
        "coverage": coverage,
        "sentence": code.description,
    }


def _place(lon: object, lat: object, address_uid: object) -> dict[str, Any]:
    if [lon is None, lat is None, address_uid is None] not in ([False, False, True], [True, True, False]):
        raise BadArgument("Say one place: lon and lat, or address_uid.")
    if address_uid is not None:
        try:
            return {"lon": None, "lat": None, "address_uid": str(uuid.UUID(str(address_uid)))}
        except ValueError:
            raise BadArgument("address_uid: an identifier such as find-address gives is expected.") from None
    for name, value, most in (("lon", lon, 180), ("lat", lat, 90)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not -most <= value <= most:
            raise BadArgument(f"{name}: a number from -{most} to {most} is expected.")
    return {"lon": lon, "lat": lat, "address_uid": None}


def _zones() -> sql.Composed:
    """The zone at ``p.geom`` of the layer ``l.layer``, with what its maker says of it."""
    one = sql.SQL(
        "(SELECT json_build_object('zone_class', zone_class, 'zone_class_rank', zone_class_rank,"
        " 'zone_label', nullif(concat_ws(', ', {labels}), ''){values}) AS zone FROM {view}"
        " WHERE l.layer = {layer} AND ST_Intersects(geom, p.geom) ORDER BY {order} LIMIT 1)"
    )
    return sql.SQL(" UNION ALL ").join(
        one.format(
            labels=sql.SQL(", ").join([*map(sql.Identifier, source.label_fields), sql.SQL("NULL")]),
            values=sql.SQL("").join(
                sql.SQL(", {}, {}").format(sql.Literal(name), sql.Identifier(name)) for name in source.value_fields
            ),
            view=sql.Identifier("published", view_name(load_standard().table(source.table))),
            layer=sql.Literal(source.layer),
            order=worst_first(),
        )
        for source in load_sources().values()
    )
