"""What a hazard exposes in an area: parcels, addresses, homes, value and facilities, with what is not known.

One statement counts (`exposure_counts`), so that an answer is of one moment; here a question is read, the figures are
put together, and the sentences are written. Only published views are asked, with the rights of the street.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import shapely
from psycopg import sql
from shapely.geometry.base import BaseGeometry

from resilience.exposure_counts import SHARES, ClassPlace, class_places, counts, parameters
from resilience.layer_sources import load_sources
from resilience.small_cells import Units, guarded, guarded_parts
from statewide.database import read_sql
from statewide.errors import BadArgument, UnknownTown
from statewide.standard import load_standard

Fetch = Callable[[sql.Composed | sql.SQL, dict[str, Any]], list[tuple[Any, ...]]]
"""Rows of a statement, asked with the rights of the street: only `published` can be read."""

MAX_CORNERS = 5_000
MAX_SQMI = 400.0
"""Corners and size of a drawn area; towns, regions and the State have no limit."""
LISTED_FACILITIES = 500
SQFT_PER_ACRE = 43_560.0
SQFT_PER_SQMI = 5_280.0**2
_WORLD = shapely.box(-180, -90, 180, 90)
AREAS = ("town", "region", "polygon", "bbox", "state")


@dataclass(frozen=True)
class Area:
    """Where: towns by code, or a shape in degrees."""

    kind: str
    name: str
    towns: tuple[str, ...] | None = None
    shape: BaseGeometry | None = None

    @property
    def wkb(self) -> bytes | None:
        """The shape for PostGIS; None for towns."""
        return None if self.shape is None else bytes(shapely.to_wkb(self.shape))


@dataclass(frozen=True)
class Question:
    """An area, layers, and which parcels count.

    `up_to` is the last class of a layer that counts (its code), with all that are graver or reached earlier.
    """

    area: Area
    layers: tuple[str, ...]
    min_share: float = 0
    up_to: ClassPlace | None = None

    @property
    def least_step(self) -> int:
        """How many of the shares a parcel's share must reach."""
        return sum(share <= self.min_share for share in SHARES)


def read_question(fetch: Fetch, asked: Mapping[str, Any]) -> Question:
    """The question that a request or a command asks; see the process `exposure` for its words.

    Raises:
        BadArgument, UnknownTown: it makes no sense, and which part.
    """
    given = [name for name in AREAS if asked.get(name) not in (None, False, [], "")]
    if len(given) != 1:
        raise BadArgument(f"Say one area: {', '.join(AREAS[:-1])} or {AREAS[-1]}.")
    layers = _layers(asked.get("layers"))
    share = asked.get("min_share", 0)
    if isinstance(share, bool) or not isinstance(share, int | float) or share not in (0, *SHARES):
        raise BadArgument("min_share: 0 for any touch, 1, or a multiple of 5 up to 100, in percent of the parcel.")
    up_to = _up_to(layers, asked.get("min_class"), asked.get("max_value"))
    return Question(_area(fetch, given[0], asked[given[0]]), layers, float(share), up_to)


def expose(fetch: Fetch, question: Question) -> dict[str, Any]:
    """The answer, as JSON is made of it.

    Raises:
        BadArgument: the shape cannot be worked with.
        DatabaseUnavailable: no answer, or not in time.
    """
    area = question.area
    statement = sql.SQL("{}{}").format(
        counts(in_area=area.shape is not None), read_sql("resilience", "exposure_answer")
    )
    values = parameters(towns=area.towns, area=area.wkb, layers=question.layers) | {
        "least_step": question.least_step,
        "total_kind": "up_to" if question.up_to else "any",
        "total_class": question.up_to.code.code if question.up_to else "",
        "srid": load_standard().header.storage_crs,
    }
    [row] = fetch(statement, values)
    return _Answer(question, dict(zip(_PARTS, row, strict=True))).put_together()


_PARTS = (
    "figures",
    "town_figures",
    "covers",
    "addresses",
    "facilities",
    "layers",
    "towns",
    "newest_year",
    "drawn_sqft",
)
"""Columns of the statement."""


# ---------------------------------------------------------------------------------------------- the question


def _layers(asked: object) -> tuple[str, ...]:
    known = class_places()
    if asked in (None, [], ""):
        return tuple(known)
    names = [asked] if isinstance(asked, str) else asked
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name in known for name in names):
        raise BadArgument(f"layers: choose among {', '.join(known)}.")
    return tuple(layer for layer in known if layer in names)


def _up_to(layers: tuple[str, ...], min_class: object, max_value: object) -> ClassPlace | None:
    if min_class is None and max_value is None:
        return None
    if len(layers) != 1 or None not in (min_class, max_value):
        raise BadArgument("min_class and max_value: give one of them, with one layer.")
    [layer] = layers
    places = class_places()[layer]
    if min_class is not None:
        for place in places:
            if place.code.code == min_class:
                return place
        raise BadArgument(f"min_class: {layer} has {', '.join(place.code.code for place in places)}.")
    if isinstance(max_value, bool) or not isinstance(max_value, int | float):
        raise BadArgument("max_value: a number is expected, such as a hurricane's category or feet of rise.")
    if not (layer in load_sources() and load_sources()[layer].nested):
        raise BadArgument(f"max_value: the classes of {layer} do not contain one another; give min_class.")
    below = [p for p in places if p.family == 0 and p.code.value is not None and p.code.value <= max_value]
    if not below:
        lowest = min(p.code.value for p in places if p.code.value is not None)
        raise BadArgument(f"max_value: the lowest of {layer} is {lowest:g}.")
    return below[-1]


def _area(fetch: Fetch, kind: str, asked: object) -> Area:
    if kind in ("polygon", "bbox"):
        return _drawn(kind, asked)
    towns = fetch(
        sql.SQL(
            "SELECT cousub_fips, town_no, town_name, planning_region_fips, planning_region_name, is_invented,"
            " parcel_count IS NOT NULL FROM published.towns ORDER BY town_name"
        ),
        {},
    )
    if kind == "state":
        if asked is not True:
            raise BadArgument("state: true asks for the whole State.")
        real = [row for row in towns if not row[5]]
        invented = [row for row in towns if row[5]]
        # A database with nothing but the demo in it is asked about the demo.
        taken = real if any(row[6] for row in real) or not invented else invented
        name = "the State" if taken is real else "the demo's State"
        return Area(kind, name, tuple(row[0] for row in taken))
    names = [asked] if isinstance(asked, str | int) else asked
    if not isinstance(names, list) or not all(isinstance(name, str | int) and str(name).strip() for name in names):
        raise BadArgument(f"{kind}: a name or code is expected.")
    if kind == "town":
        found = [_named(towns, str(name), (2, 0, 1), "town") for name in names]
        rows = [row for row in towns if row[0] in found]
        return Area(kind, ", ".join(row[2] for row in rows), tuple(row[0] for row in rows))
    if len(names) != 1:
        raise BadArgument("region: one planning region.")
    regions = [row for row in towns if row[3]]
    region = _named([(row[3], row[4]) for row in regions], str(names[0]), (1, 0), "planning region")
    rows = [row for row in regions if row[3] == region]
    return Area(kind, rows[0][4], tuple(row[0] for row in rows))


def _named(rows: Iterable[tuple[Any, ...]], name: str, columns: tuple[int, ...], what: str) -> str:
    wanted = _folded(name)
    for row in rows:
        if wanted in {_folded(str(row[column])) for column in columns}:
            return str(row[0])
    raise UnknownTown(f"No {what} of the register is called {name!r}.")


def _folded(name: str) -> str:
    short = name.casefold().replace("planning region", "").removeprefix("town of ").removeprefix("city of ")
    return "".join(sign for sign in short if sign.isalnum())


def _drawn(kind: str, asked: object) -> Area:
    if kind == "bbox":
        numbers = asked if isinstance(asked, list | tuple) else []
        if len(numbers) != 4 or not all(
            isinstance(n, int | float) and not isinstance(n, bool) and abs(n) <= 180 for n in numbers
        ):
            raise BadArgument("bbox: four numbers are expected: west, south, east, north, in degrees.")
        west, south, east, north = map(float, numbers)
        if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            raise BadArgument("bbox: west before east, south before north, in degrees.")
        shape: BaseGeometry = shapely.box(west, south, east, north)
    else:
        shape = _polygon(asked)
    # Square miles on a sphere, near enough for a limit.
    west, south, east, north = shapely.bounds(shape)
    middle = shapely.transform(shape, lambda xy: xy * [69.17 * _cosine((south + north) / 2), 69.17])
    if middle.area > MAX_SQMI:
        raise BadArgument(
            f"{kind}: {middle.area:,.0f} square miles are too many; up to {MAX_SQMI:,.0f} may be drawn. "
            "Ask for towns, a region or the State."
        )
    return Area(kind, "the drawn area", shape=shape)


def _cosine(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def _polygon(asked: object) -> BaseGeometry:
    """A GeoJSON polygon or multipolygon, bare or as one feature, in degrees."""
    if isinstance(asked, Mapping) and asked.get("type") == "FeatureCollection":
        features = asked.get("features")
        asked = features[0] if isinstance(features, list) and len(features) == 1 else None
    if isinstance(asked, Mapping) and asked.get("type") == "Feature":
        asked = asked.get("geometry")
    if not isinstance(asked, Mapping) or asked.get("type") not in ("Polygon", "MultiPolygon"):
        raise BadArgument(
            "polygon: one GeoJSON Polygon or MultiPolygon is expected, in degrees of longitude and latitude."
        )
    try:
        shape = shapely.force_2d(shapely.from_geojson(json.dumps(asked)))
    except (shapely.errors.GEOSException, ValueError, TypeError):
        raise BadArgument(
            "polygon: its coordinates cannot be read; a ring is a list of [longitude, latitude]."
        ) from None
    if shapely.get_num_coordinates(shape) > MAX_CORNERS:
        raise BadArgument(f"polygon: at most {MAX_CORNERS:,} corners.")
    if not shape.is_valid:
        raise BadArgument(
            f"polygon: it crosses itself or is not closed ({shapely.is_valid_reason(shape)}); draw it again."
        )
    if shape.is_empty or not _WORLD.covers(shape):
        raise BadArgument("polygon: its coordinates are not degrees of longitude and latitude.")
    return shape


# ---------------------------------------------------------------------------------------------- the answer


class _Answer:
    """The figures of one question, put together."""

    def __init__(self, question: Question, found: dict[str, Any]) -> None:
        self.question = question
        self.found = {name: found[name] if found[name] is not None else [] for name in found}
        self.layer_versions = {layer["layer"]: layer for layer in self.found["layers"]}
        self.rows: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
        for row in self.found["figures"]:
            self.rows[row["layer"], row["kind"], row["class"]].append(row)
        self.at_addresses: dict[tuple[str, str], int] = defaultdict(int)
        for row in self.found["addresses"]:
            self.at_addresses[row["layer"], row["class"]] += row["addresses"]
        self.parcels = sum(row["any_touch"] for row in self.rows["", "all", ""])
        self.addresses = self.at_addresses["", ""]
        self.units = _units(self.rows["", "all", ""], self.parcels)
        self.names = {town["cousub_fips"]: town["town_name"] for town in self.found["towns"]}

    def put_together(self) -> dict[str, Any]:
        question = self.question
        layers = [self._layer(layer) for layer in question.layers if layer in self.layer_versions]
        return {
            "area": self._area(),
            "asked": {
                "layers": list(question.layers),
                "min_share_pct": question.min_share,
                "min_class": question.up_to.code.code if question.up_to else None,
            },
            "method": self._method(),
            "in_area": self._figures("", "all", ""),
            "layers": layers,
            "towns": self._towns(),
            "critical_facilities": self._facilities(),
            "evacuation_zones": self._evacuation_zones(),
            "unknowns": self._unknowns(),
            "versions": self._versions(),
            "answered_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        }

    def _area(self) -> dict[str, Any]:
        area = self.question.area
        said: dict[str, Any] = {"kind": area.kind, "name": area.name}
        if area.shape is not None:
            said |= {"area_sqft": round(self.found["drawn_sqft"]), "area_acres": _acres(self.found["drawn_sqft"])}
            said["bbox"] = list(shapely.bounds(area.shape))
        return said | {"towns": len(self.found["towns"])}

    def _method(self) -> dict[str, str]:
        share = self.question.min_share
        drawn = self.question.area.shape is not None
        chosen = (
            f"with at least {share:g} percent of their area in the class" if share else "that share any area with it"
        )
        return {
            "parcels_of_area": (
                "Parcels that touch the drawn area, each whole; how many have their middle in it, or the asked share "
                "of their land, stands beside."
                if drawn
                else "Parcels on the towns' rolls. A lot on the rolls of two towns of the answer counts once."
            ),
            "any_touch": "Parcels that share any area with the class, however little.",
            "centroid_in": "Parcels with a point well inside of them in the class.",
            "share_at_least": f"Parcels with at least {share:g} percent of their area in the class.",
            "other_figures": (
                f"Area, value and homes are those of parcels {chosen}. Area is the land in the class, of the whole "
                "parcel, once where several rows have one shape. Value is that of the whole property, once where "
                "several parcels have one assessment; never of the flooded part."
            ),
            "classes": (
                "alone: in this class; a parcel in two classes counts in both. up_to: in this class or one that is "
                "graver or reached earlier; add nothing to it."
            ),
            "addresses": (
                "Address points by the class at the point. Points that are not shown to the public are not counted."
            ),
            "dwelling_units": (
                "As assessors' records state them, to the nearest 5; 1 to 5 are not told, nor any of an area of fewer "
                "than 20 parcels or homes."
            ),
        }

    def _layer(self, layer: str) -> dict[str, Any]:
        up_to = self.question.up_to
        total = ("up_to", up_to.code.code) if up_to else ("any", "")
        places = class_places()[layer]
        nested = layer in load_sources() and load_sources()[layer].nested
        titles = {code.code: code.label for code in load_standard().code_lists["hazard_layer"].codes}
        # Up to the last class that is met: whether the layer has the steps behind it is not known here.
        met = [p for p in places if self._is_met(layer, p.code.code)]
        shown = [
            p for p in places if p in met or (nested and any(p.family == m.family and p.place < m.place for m in met))
        ]
        classes: list[dict[str, Any]] = []
        for place in places:
            alone = self._figures(layer, "alone", place.code.code)
            up = self._figures(layer, "up_to", place.code.code)
            if place in shown:
                classes.append(
                    {
                        "class": place.code.code,
                        "label": place.code.label,
                        "rank": place.code.rank,
                        "value": place.code.value,
                        "alone": alone,
                        "up_to": up,
                    }
                )
        for kind in ("alone", "up_to"):
            guarded_parts([each[kind]["dwelling_units"] for each in classes])
        return {
            "layer": layer,
            "title": titles[layer],
            "version": self.layer_versions[layer]["layer_version"],
            "effective_on": self.layer_versions[layer]["effective_on"],
            "nested": nested,
            "total_of": f"{up_to.code.label}, and graver or earlier ones" if up_to else "any hazard of the layer",
            "total": self._figures(layer, *total),
            "classes": classes,
            "addresses_by_class": {
                name: count for (of, name), count in sorted(self.at_addresses.items()) if of == layer and count
            },
            "coverage": self._coverage(layer),
        }

    def _is_met(self, layer: str, name: str) -> bool:
        return bool(self.rows.get((layer, "alone", name)) or self.at_addresses[layer, name])

    def _figures(self, layer: str, kind: str, name: str) -> dict[str, Any]:
        rows = self.rows.get((layer, kind, name), [])
        whole = (layer, kind) == ("", "all")
        area = sum(row["area_sqft"] for row in rows)
        units = self.units if whole else _units(rows, self.parcels)
        return {
            "parcels": {
                "any_touch": _sum(rows, "any_touch"),
                "centroid_in": _sum(rows, "centroid_in"),
                "share_at_least": _sum(rows, "share_at_least"),
                "of": self.parcels,
            },
            "area_sqft": round(area),
            "area_acres": _acres(area),
            "addresses": {"count": self._addresses(layer, kind, name), "of": self.addresses},
            "dwelling_units": _homes(rows, guarded(units, None if whole else self.units)),
            "value": _value(rows),
        }

    def _addresses(self, layer: str, kind: str, name: str) -> int:
        if kind == "all":
            return self.addresses
        places = class_places()[layer]
        if kind == "any":
            wanted = {place.code.code for place in places}
        else:
            [last] = [place for place in places if place.code.code == name]
            wanted = {name}
            if kind == "up_to":
                wanted = {p.code.code for p in places if p.family == last.family and p.place <= last.place}
        return sum(self.at_addresses[layer, each] for each in wanted)

    def _coverage(self, layer: str) -> dict[str, Any]:
        rows = [row for row in self.found["covers"] if row["layer"] == layer]
        told = _sum(rows, "parcels")
        unknown = _sum(rows, "unknown_sqft")
        return {
            "parcels_mapped": _sum(rows, "mapped"),
            "parcels_partly_mapped": _sum(rows, "partly_mapped"),
            "parcels_not_mapped": _sum(rows, "not_mapped"),
            "parcels_without_answer": max(self._rows_of_area() - told, 0),
            "parcels_with_unknown_land": _sum(rows, "unknown"),
            "unknown_acres": _acres(unknown),
            "parcels_in_sfha_without_elevation": _sum(rows, "without_bfe"),
            "answers_of_older_layer": _sum(rows, "of_older_layer"),
            "answers_of_older_parcel": _sum(rows, "of_older_parcel"),
            "of": self._rows_of_area(),
        }

    def _rows_of_area(self) -> int:
        """Rows of parcels, lots on two rolls among them twice: coverage is told row by row."""
        return sum(row["any_touch"] for row in self.found["town_figures"] if row["layer"] == "")

    def _towns(self) -> list[dict[str, Any]]:
        hit: dict[tuple[str, str], int] = defaultdict(int)
        for row in self.found["addresses"]:
            if row["layer"] == "" or row["class"] in self._counting(row["layer"]):
                hit[row["cousub_fips"], row["layer"]] += row["addresses"]
        figures = {(row["cousub_fips"], row["layer"]): row for row in self.found["town_figures"]}
        towns = []
        for town in self.found["towns"]:
            code = town["cousub_fips"]
            by_layer = {
                layer: {
                    **{name: figures[code, layer][name] if (code, layer) in figures else 0 for name in _COUNTED},
                    "area_acres": _acres(figures[code, layer]["area_sqft"]) if (code, layer) in figures else 0.0,
                    "addresses": hit[code, layer],
                }
                for layer in self.question.layers
                if layer in self.layer_versions
            }
            towns.append(
                {
                    "town": town["town_name"],
                    "cousub_fips": code,
                    "parcels": figures[code, ""]["any_touch"] if (code, "") in figures else 0,
                    "addresses": hit[code, ""],
                    "layers": by_layer,
                }
            )
        return towns

    def _counting(self, layer: str) -> set[str]:
        """The classes that make the total."""
        up_to = self.question.up_to
        return {
            place.code.code
            for place in class_places()[layer]
            if up_to is None or (place.family == up_to.family and place.place <= up_to.place)
        }

    def _facilities(self) -> dict[str, Any]:
        lifelines = {code.code: code.label for code in load_standard().code_lists["lifeline"].codes}
        counting = {layer: self._counting(layer) for layer in self.question.layers}
        by_lifeline: dict[str, dict[str, Any]] = {}
        listed = []
        for place in self.found["facilities"]:
            classes = place["classes"] or {}
            exposed = [layer for layer, name in classes.items() if name in counting[layer]]
            said = by_lifeline.setdefault(
                place["lifeline"], {"lifeline": lifelines[place["lifeline"]], "in_area": 0, "in_hazard": {}}
            )
            said["in_area"] += 1
            for layer in exposed:
                said["in_hazard"][layer] = said["in_hazard"].get(layer, 0) + 1
            listed.append(
                {
                    "in_hazard": exposed,
                    "name": place["facility_name"],
                    "lifeline": place["lifeline"],
                    "component": place["component"],
                    "facility_type": place["facility_type"],
                    "address": place["address"],
                    "town": place["town_name"],
                    "list": place["source_list"],
                    "list_version": place["layer_version"],
                    "lon": round(place["lon"], 6),
                    "lat": round(place["lat"], 6),
                    "classes": classes,
                    "critical_facility_uid": place["critical_facility_uid"],
                }
            )
        listed.sort(key=lambda each: not each["in_hazard"])
        return {
            "count": len(listed),
            "by_lifeline": [by_lifeline[name] for name in lifelines if name in by_lifeline],
            "list": listed[:LISTED_FACILITIES],
            "list_is_whole": len(listed) <= LISTED_FACILITIES,
        }

    def _evacuation_zones(self) -> list[dict[str, Any]]:
        layer = "evacuation-zones"
        return [
            {
                "class": place.code.code,
                "label": place.code.label,
                "parcels": _sum(self.rows.get((layer, "alone", place.code.code), []), "any_touch"),
                "addresses": self.at_addresses[layer, place.code.code],
            }
            for place in class_places().get(layer, ())
            if self._is_met(layer, place.code.code)
        ]

    # ------------------------------------------------------------------------------------------ what is not known

    def _unknowns(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []

        def say(code: str, count: int, of: int | None, sentence: str, **more: Any) -> None:
            if count:
                found.append({"code": code, "count": count, "of": of, "sentence": sentence, **more})

        for layer in self.question.layers:
            if layer not in self.layer_versions:
                say(
                    "layer_not_loaded", 1, None, f"No version of {layer} is loaded: nothing is known of it here.",
                    layer=layer,
                )  # fmt: skip
                continue
            self._unknowns_of_layer(layer, say)
        all_rows = self.rows["", "all", ""]
        parcels = self.parcels
        missing = _sum(all_rows, "no_assessment")
        say(
            "no_assessment", missing, parcels,
            f"{missing:,} of {parcels:,} parcels have no assessment record: their value and homes are not in the sums.",
        )  # fmt: skip
        missing = _sum(all_rows, "values_missing")
        say(
            "no_value", missing, parcels,
            f"{missing:,} properties have an assessment record without a value: they are not in the sums.",
        )  # fmt: skip
        missing = _sum(all_rows, "units_missing")
        say(
            "no_unit_count", missing, parcels,
            f"{missing:,} properties have an assessment record without a number of homes: they are not in the sums.",
        )  # fmt: skip
        unlinked = sum(row["unlinked"] for row in self.found["addresses"] if row["layer"] == "")
        say(
            "address_without_parcel", unlinked, self.addresses,
            f"{unlinked:,} of {self.addresses:,} address points could not be linked to a parcel.",
        )  # fmt: skip
        self._unknowns_of_towns(say)
        return found

    def _unknowns_of_layer(self, layer: str, say: Callable[..., None]) -> None:
        cover, of = self._coverage(layer), self._rows_of_area()
        title = f"{layer} {self.layer_versions[layer]['layer_version']}"
        count = cover["parcels_not_mapped"]
        say(
            "not_mapped", count, of,
            f"{title} does not cover {count:,} of {of:,} parcels: whether there is a hazard is not known there.",
            layer=layer,
        )  # fmt: skip
        count = cover["parcels_partly_mapped"]
        say("partly_mapped", count, of, f"{title} covers {count:,} of {of:,} parcels in part only.", layer=layer)
        count = cover["parcels_with_unknown_land"]
        say(
            "unknown_land", count, of,
            f"{cover['unknown_acres']:,.1f} acres on {count:,} parcels are not mapped, not studied or undetermined"
            f" in {title}.",
            layer=layer, acres=cover["unknown_acres"],
        )  # fmt: skip
        count = cover["parcels_without_answer"]
        say("no_answer", count, of, f"{count:,} of {of:,} parcels have not been laid over {title} yet.", layer=layer)
        points = sum(n for (of_layer, _), n in self.at_addresses.items() if of_layer == layer)
        count = self.addresses - points
        say(
            "address_no_answer", count, self.addresses,
            f"{count:,} of {self.addresses:,} address points have not been laid over {title} yet.", layer=layer,
        )  # fmt: skip
        count = self.at_addresses[layer, "not_mapped"]
        say(
            "address_not_mapped", count, self.addresses,
            f"{title} does not cover {count:,} of {self.addresses:,} address points.", layer=layer,
        )  # fmt: skip
        count = cover["parcels_in_sfha_without_elevation"]
        say(
            "no_flood_elevation", count, of,
            f"{count:,} parcels lie in a special flood hazard area for which no base flood elevation is given.",
            layer=layer,
        )  # fmt: skip
        count = cover["answers_of_older_layer"]
        say(
            "older_layer", count, of,
            f"The answers of {count:,} parcels rest on an older version than {title}: run `statewide hazards overlay`.",
            layer=layer,
        )  # fmt: skip
        count = cover["answers_of_older_parcel"]
        say(
            "older_parcel", count, of,
            f"{count:,} parcels have another shape now than when they were laid over {title}.", layer=layer,
        )  # fmt: skip
        rows = [row for row in self.found["addresses"] if row["layer"] == layer]
        count = _sum(rows, "older")
        say(
            "older_address", count, self.addresses,
            f"The answers of {count:,} address points rest on an older place or version than {title}.", layer=layer,
        )  # fmt: skip

    def _unknowns_of_towns(self, say: Callable[..., None]) -> None:
        towns, newest = self.found["towns"], self.found["newest_year"] or None
        say(
            "outside_register", 0 if towns else 1, None,
            "The area touches no town of the register: nothing is known of it. Longitude comes before latitude.",
        )  # fmt: skip
        for dataset, code, what in (
            ("parcel", "town_without_parcels", "no parcels, so nothing of them is counted"),
            ("assessment", "town_without_assessments", "no assessor's file: no value and no homes are counted there"),
            ("address_point", "town_without_addresses", "no address points"),
        ):
            lacking = [town["town_name"] for town in towns if dataset not in (town["delivered"] or {})]
            say(code, len(lacking), len(towns), f"{_names(lacking)} delivered {what}.", towns=lacking)
        old = [
            town["town_name"]
            for town in towns
            if newest and "parcel" in (town["delivered"] or {}) and town["delivered"]["parcel"]["year"] < newest
        ]
        say(
            "stale_town", len(old), len(towns),
            f"The parcels of {_names(old)} are of a year before {newest}, the newest there is.", towns=old,
        )  # fmt: skip

    def _versions(self) -> dict[str, Any]:
        return {
            "layers": [
                {name: value for name, value in layer.items() if name != "layer_load_id"}
                for layer in self.found["layers"]
            ],
            "towns": [
                {"town": town["town_name"], "cousub_fips": town["cousub_fips"], "delivered": town["delivered"] or {}}
                for town in self.found["towns"]
            ],
            "newest_parcel_year": self.found["newest_year"] or None,
        }


_COUNTED = ("any_touch", "centroid_in", "share_at_least")
_NOT_STATED = "not known: the assessors' records do not say it"


def _units(rows: Sequence[Mapping[str, Any]], parcels: int) -> Units:
    return Units(int(_sum(rows, "units")), parcels)


def _homes(rows: Sequence[Mapping[str, Any]], told: dict[str, Any]) -> dict[str, Any]:
    """The same; where nobody stated a number, none is not the answer."""
    if told["count"] == 0 and (_sum(rows, "units_missing") or _sum(rows, "no_assessment")):
        return told | {"count": None, "why": _NOT_STATED}
    return told


def _value(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sums by year of the revaluation; they are not added up over years, for they are of different money."""
    by_year: dict[int | None, dict[str, Any]] = {}
    for row in rows:
        if not row["values_counted"] and row["appraised_usd"] is None:
            continue
        said = by_year.setdefault(
            row["valuation_year"],
            {"valuation_year": row["valuation_year"], "taxable": _no_value(), "exempt": _no_value()},
        )["exempt" if row["is_exempt"] else "taxable"]
        said["properties"] += row["values_counted"]
        said["assessed_usd"] += round(row["assessed_usd"] or 0)
        said["appraised_usd"] += round(row["appraised_usd"] or 0)
    return {
        "by_valuation_year": sorted(by_year.values(), key=lambda year: year["valuation_year"] or 0),
        "properties_without_value": _sum(rows, "values_missing"),
        "parcels_without_assessment": _sum(rows, "no_assessment"),
    }


def _no_value() -> dict[str, int]:
    return {"properties": 0, "assessed_usd": 0, "appraised_usd": 0}


def _sum(rows: Iterable[Mapping[str, Any]], name: str) -> Any:
    return sum(row[name] or 0 for row in rows)


def _acres(sqft: float) -> float:
    return round(sqft / SQFT_PER_ACRE, 2)


def _names(names: Sequence[str], most: int = 8) -> str:
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more towns"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
