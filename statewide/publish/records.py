"""The catalogue for machines and readers: OGC API Records, DCAT-US 1.1 at `/data.json`, ISO 19139, the inventory.

Each answer writes the same records (`catalogue`) in the words of a standard; none of them adds a fact.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, select_autoescape
from pygeoapi.provider.base import BaseProvider
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from statewide.errors import BadArgument, InputError, StatewideError
from statewide.publish.catalogue import Catalogue, Link, Record, Vintage, overall_completeness, told
from statewide.publish.iso_metadata import iso_xml
from statewide.publish.query import CRS84
from statewide.publish.routes import GEOJSON, asked_format, problem
from statewide.standard import Standard

COLLECTION = "records"
CONFORMANCE = [
    f"http://www.opengis.net/spec/ogcapi-records-1/1.0/conf/{name}"
    for name in ("record-core", "record-core-query-parameters", "record-api", "json", "html")
]
"""What our records do; it stands in place of pygeoapi's list, which names classes of a draft."""

_TITLE = "Catalogue of records"
_CORE = "http://www.opengis.net/spec/ogcapi-records-1/1.0/req/record-core"
_PARAMETERS = ("f", "lang", "limit", "offset", "bbox", "datetime", "q", "type", "ids", "externalIds")
_DEFAULT_LIMIT, _MAX_LIMIT = 100, 1000
_FIELDS = {
    "type": "What it is: a dataset.",
    "title": "Name of the dataset.",
    "description": "What it is, and what it is not.",
    "keywords": "Words that it is found by.",
    "publisher": "Who answers for it.",
    "level": "Whose it is: own, federal, state or local.",
    "data_class": "Who may have it: public, restricted or confidential.",
    "license": "Licence.",
    "updated": "Day of the last change that is known.",
    "lineage": "Where the rows come from, with the versions that are live.",
    "metadata_completeness_pct": "Share of the elements asked by the State's inventory that are filled.",
}


def record_resources(standard: Standard) -> dict[str, Any]:
    """The collection of records as pygeoapi wants it in its configuration."""
    return {
        COLLECTION: {
            "type": "collection",
            "title": _TITLE,
            "description": "Every dataset of the platform, the hazard data of others that it knows of, and what it "
            "keeps without publishing it: who made it, when it changed, under which licence, and who may have it.",
            "keywords": ["catalogue", "metadata", "records", standard.header.state],
            "extents": {"spatial": {"bbox": list(standard.header.extent.bbox), "crs": CRS84}},
            "providers": [
                {"type": "record", "name": "statewide.publish.records.RecordProvider", "data": "", "id_field": "id"}
            ],
        }
    }


def record_routes(standard: Standard, base_url: str, pygeoapi: ASGIApp) -> list[BaseRoute]:
    """Routes of the catalogue, to be put before those of the collections."""
    answers = _Answers(standard, base_url)

    async def behind(_: Request) -> ASGIApp:
        return pygeoapi

    def route(path: str, answer: Callable[[Request], Response]) -> Route:
        async def endpoint(request: Request) -> Response:
            return await run_in_threadpool(_answered, answer, request)

        return Route(path, endpoint)

    home = f"/collections/{COLLECTION}"
    return [
        route(f"{home}/items", answers.items),
        route(f"{home}/items/{{identifier}}", answers.item),
        Route(f"{home}/queryables", behind),
        Route(f"{home}/schema", behind),
        route("/data.json", answers.dcat),
        route("/metadata/{identifier}.xml", answers.iso),
        route("/inventory.csv", answers.inventory),
    ]


def _answered(answer: Callable[[Request], Response], request: Request) -> Response:
    try:
        return answer(request)
    except InputError as error:
        return problem(400, "InvalidParameterValue", str(error))
    except StatewideError as error:
        return problem(503, "ServerBusy", str(error))


class RecordProvider(BaseProvider):  # type: ignore[misc]  # pygeoapi is not typed
    """Tells pygeoapi that there is a collection of records and what they have; our own routes answer with them."""

    def __init__(self, provider_def: dict[str, Any]) -> None:
        super().__init__(provider_def)
        self.get_fields()

    def get_fields(self) -> dict[str, dict[str, Any]]:
        """Properties of a record; made anew for each provider, since pygeoapi writes into them."""
        self._fields = {name: {"type": "string", "title": title} for name, title in _FIELDS.items()}
        return self._fields


class _Answers:
    def __init__(self, standard: Standard, base_url: str) -> None:
        self.standard = standard
        self.base_url = base_url
        self.home = f"{base_url}/collections/{COLLECTION}"
        self.catalogue = Catalogue(standard, base_url)
        loader = PackageLoader("statewide.publish")
        self.pages = Environment(loader=loader, autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True)

    def items(self, request: Request) -> Response:
        parameters = dict(request.query_params)
        if len(request.query_params.multi_items()) > len(parameters):
            raise BadArgument("A parameter is given twice.")
        if unknown := sorted(parameters.keys() - _PARAMETERS):
            raise BadArgument(f"{unknown[0]}: there is no such parameter; there are {', '.join(_PARAMETERS)}.")
        limit = min(_number(parameters, "limit", _DEFAULT_LIMIT, least=1), _MAX_LIMIT)
        offset = _number(parameters, "offset", 0, least=0)
        known = self.catalogue.records()
        matched = [record for record in known.values() if self._matches(record, parameters)]
        shown = matched[offset : offset + limit]
        if asked_format(request) == "html":
            return self._page(
                "records.html",
                title=_TITLE,
                records=shown,
                q=parameters.get("q", ""),
                overall=overall_completeness(known),
            )
        here = [(name, value) for name, value in parameters.items() if name != "f"]
        links = [
            _link("self", GEOJSON, "These records", f"{self.home}/items?{urlencode([('f', 'json'), *here])}"),
            _link("alternate", "text/html", "These records", f"{self.home}/items?{urlencode([('f', 'html'), *here])}"),
            _link("collection", "application/json", _TITLE, self.home),
        ]
        if offset + limit < len(matched):
            kept = [(name, value) for name, value in here if name != "offset"]
            following = urlencode([("f", "json"), *kept, ("offset", str(offset + limit))])
            links.append(_link("next", GEOJSON, "Next records", f"{self.home}/items?{following}"))
        return JSONResponse(
            {
                "type": "FeatureCollection",
                "features": [self._feature(record) for record in shown],
                "numberMatched": len(matched),
                "numberReturned": len(shown),
                "timeStamp": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "links": links,
            },
            media_type=GEOJSON,
        )

    def item(self, request: Request) -> Response:
        record = self.catalogue.records().get(request.path_params["identifier"])
        if record is None:
            return _no_record()
        if asked_format(request) == "html":
            return self._page("record.html", title=record.title, record=record, elements=self._said(record))
        return JSONResponse(self._feature(record), media_type=GEOJSON)

    def dcat(self, _: Request) -> Response:
        """DCAT-US 1.1: what data.gov and others harvest."""
        return JSONResponse(
            {
                "@context": "https://project-open-data.cio.gov/v1.1/schema/catalog.jsonld",
                "@id": f"{self.base_url}/data.json",
                "@type": "dcat:Catalog",
                "conformsTo": "https://project-open-data.cio.gov/v1.1/schema",
                "describedBy": "https://project-open-data.cio.gov/v1.1/schema/catalog.json",
                "dataset": [self._dcat_dataset(record) for record in self.catalogue.records().values()],
            }
        )

    def iso(self, request: Request) -> Response:
        record = self.catalogue.records().get(request.path_params["identifier"])
        if record is None:
            return _no_record()
        return Response(iso_xml(self.standard, record), media_type="application/xml")

    def inventory(self, _: Request) -> Response:
        """The State's inventory: an element to a column, and how complete each record is."""
        elements = self.standard.catalogue.elements
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([*(element.name for element in elements), "Metadata Completeness (percent)", "Missing"])
        for record in self.catalogue.records().values():
            said = told(self.standard, record)
            completeness = f"{record.completeness * 100:.0f}"
            row = [said[element.says] for element in elements]
            writer.writerow([*row, completeness, "; ".join(record.missing)])
        headers = {"Content-Disposition": 'attachment; filename="inventory.csv"'}
        return Response(text.getvalue(), headers=headers, media_type="text/csv; charset=utf-8")

    def _matches(self, record: Record, parameters: Mapping[str, str]) -> bool:
        if "ids" in parameters and record.identifier not in parameters["ids"].split(","):
            return False
        if "externalIds" in parameters:  # no record has an identifier of others
            return False
        if "type" in parameters and "dataset" not in parameters["type"].split(","):
            return False
        if "q" in parameters and not _has_words(record, parameters["q"]):
            return False
        if "bbox" in parameters and not _meets(self.standard.header.extent.bbox, _box(parameters["bbox"])):
            return False
        return "datetime" not in parameters or _within(record, *_interval(parameters["datetime"]))

    def _feature(self, record: Record) -> dict[str, Any]:
        """The record as OGC API Records 1.0 writes it."""
        header = self.standard.header
        west, south, east, north = header.extent.bbox
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        temporal = record.temporal
        properties = {
            "type": "dataset",
            "title": record.title,
            "description": record.description,
            "keywords": record.keywords,
            "language": {"code": "en"},
            "themes": [
                {"concepts": [{"id": record.entry.topic}], "scheme": "https://standards.iso.org/iso/19115/-3/cit/2.0"},
                {"concepts": [{"id": record.entry.category}], "scheme": self.standard.catalogue.source},
            ],
            "contacts": [
                {
                    "name": header.contact.name,
                    "organization": record.publisher,
                    "emails": [{"value": header.contact.email}],
                    "links": [{"rel": "about", "type": "text/html", "href": header.contact.url}],
                    "roles": ["pointOfContact"],
                }
            ],
            "updated": f"{record.modified.isoformat()}T00:00:00Z",
            "license": record.license,
            "rights": record.rights,
            "publisher": record.publisher,
            "level": record.level,
            "data_class": record.data_class,
            "update_frequency": record.entry.update_frequency,
            "geographic_unit": record.entry.geographic_unit,
            "lineage": record.lineage,
            "number_of_rows": record.rows,
            "row_label": record.row_label,
            "vintages": [_vintage(each) for each in record.vintages],
            "metadata_completeness_pct": round(record.completeness * 100, 1),
            "metadata_missing": record.missing,
        }
        here = f"{self.home}/items/{record.identifier}"
        links = [
            _link("self", GEOJSON, "This record", f"{here}?f=json"),
            _link("alternate", "text/html", "This record", f"{here}?f=html"),
            _link("collection", "application/json", _TITLE, self.home),
            *(_link(link.rel, link.media_type, link.title, link.href) for link in record.links),
        ]
        if record.license:
            links.append(_link("license", "text/html", "Licence", record.license))
        return {
            "id": record.identifier,
            "type": "Feature",
            "conformsTo": [_CORE],
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "time": {"interval": [day.isoformat() for day in temporal]} if temporal else None,
            "properties": {name: value for name, value in properties.items() if value is not None},
            "links": links,
        }

    def _dcat_dataset(self, record: Record) -> dict[str, Any]:
        header, law = self.standard.header, self.standard.catalogue
        temporal = record.temporal
        of_fields = f"{self.base_url}/dictionary/{record.identifier}.json" if record.served else None
        dataset = {
            "@type": "dcat:Dataset",
            "identifier": f"{self.home}/items/{record.identifier}",
            "title": record.title,
            "description": record.description,
            "keyword": record.keywords,
            "modified": record.modified.isoformat(),
            "publisher": {"@type": "org:Organization", "name": record.publisher},
            "contactPoint": {
                "@type": "vcard:Contact",
                "fn": header.contact.name,
                "hasEmail": f"mailto:{header.contact.email}",
            },
            "accessLevel": law.data_classes[record.data_class].access_level,
            "rights": record.rights,
            "license": record.license,
            "spatial": ",".join(map(str, header.extent.bbox)),
            "temporal": f"{temporal[0]}/{temporal[1]}" if temporal else None,
            "accrualPeriodicity": law.frequencies[record.entry.update_frequency].period,
            "language": ["en"],
            "theme": [record.entry.category],
            "landingPage": f"{self.home}/items/{record.identifier}?f=html",
            "describedBy": of_fields,
            "describedByType": "application/json" if of_fields else None,
            "distribution": [_distribution(link) for link in record.links if link.rel in ("item", "tiles", "service")],
        }
        return {name: value for name, value in dataset.items() if value}

    def _said(self, record: Record) -> list[tuple[str, str]]:
        said = told(self.standard, record)
        return [(element.name, said[element.says]) for element in self.standard.catalogue.elements]

    def _page(self, template: str, **values: Any) -> Response:
        text = self.pages.get_template(template).render(header=self.standard.header, **values)
        return Response(text, media_type="text/html")


def _distribution(link: Link) -> dict[str, str]:
    if link.service:
        return {"@type": "dcat:Distribution", "accessURL": link.href, "format": link.service, "title": link.title}
    return {
        "@type": "dcat:Distribution",
        "downloadURL": link.href,
        "mediaType": link.media_type,
        "title": link.title,
    }


def _vintage(each: Vintage) -> dict[str, Any]:
    """One of the deliveries or versions that a dataset is made of."""
    shown = {
        "of": each.source,
        "town_code": each.town_code,
        "name": each.name,
        "version": each.version,
        "begins": each.begins and each.begins.isoformat(),
        "ends": each.ends and each.ends.isoformat(),
        "changed": each.changed_at.isoformat(),
        "maker": each.maker,
        "license": each.license,
        "vertical_datum": each.v_datum,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _has_words(record: Record, text: str) -> bool:
    """Whether one of the comma-separated terms stands in the record; words of a term stand together."""
    searched = " ".join((record.title, record.description, *record.keywords)).casefold()
    terms = [" ".join(term.split()) for term in text.casefold().split(",")]
    return any(term in searched for term in terms if term)


def _number(parameters: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = parameters.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= least):
        raise BadArgument(f"{name}: a whole number of at least {least} is expected.")
    return int(text)


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (4, 6) or not all(map(math.isfinite, numbers)):
        raise BadArgument("bbox: four numbers are expected (or six with heights, which are ignored).")
    half = len(numbers) // 2
    return numbers[0], numbers[1], numbers[half], numbers[half + 1]


def _meets(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _interval(text: str) -> tuple[dt.date, dt.date]:
    start, slash, end = text.partition("/")
    try:
        first = dt.date.min if start in ("", "..") else dt.date.fromisoformat(start[:10])
        last = (dt.date.max if end in ("", "..") else dt.date.fromisoformat(end[:10])) if slash else first
    except ValueError:
        raise BadArgument("datetime: a date, or two of them with / between; .. for an open end.") from None
    return first, last


def _within(record: Record, first: dt.date, last: dt.date) -> bool:
    """Whether what the record is about meets the days; a record without time is about all of them."""
    return record.temporal is None or (record.temporal[0] <= last and first <= record.temporal[1])


def _link(rel: str, media_type: str, title: str, href: str) -> dict[str, str]:
    return {"rel": rel, "type": media_type, "title": title, "href": href}


def _no_record() -> Response:
    return problem(404, "NotFound", "There is no record of that identifier.")
