"""The register of imagery as a STAC catalogue at `/stac`: a collection per program, an item per picture, and a search.

STAC 1.1 and the parts of STAC API 1.0 that it names in its conformance; read-only. Rows come from `published.imagery`.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from psycopg import sql
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from resilience.imagery_tiles import COG_MEDIA_TYPE, answered
from statewide.errors import BadArgument
from statewide.publish.reading import fetch
from statewide.publish.routes import problem
from statewide.standard import Standard

VERSION = "1.1.0"
CONFORMANCE = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
]
ITEM_EXTENSIONS = [
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/eo/v2.0.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
]
COLLECTION_EXTENSIONS = ["https://stac-extensions.github.io/web-map-links/v1.2.0/schema.json"]

_GEOJSON, _JSON = "application/geo+json", "application/json"
_OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
_DEFAULT_LIMIT, _MAX_LIMIT = 100, 1000
_SEARCHED = ("limit", "token", "bbox", "datetime", "ids", "collections", "intersects")
_SHA256_MULTIHASH = "1220"  # multiformats: sha2-256, 32 bytes
_COMMON_NAMES = {"red", "green", "blue", "nir", "pan"}

_ITEMS = sql.SQL(
    """
    SELECT imagery_uid, program, flown_from, flown_to, grid_cell, gsd_m, bands, epsg, width_px, height_px,
        pixel_to_ground, file_name, file_bytes, file_sha256, added_at, ST_AsGeoJSON(geom_lonlat, 7)::json,
        ARRAY[ST_XMin(geom_lonlat), ST_YMin(geom_lonlat), ST_XMax(geom_lonlat), ST_YMax(geom_lonlat)]
    FROM published.imagery AS i WHERE {} ORDER BY imagery_uid LIMIT %s
    """
)
_PROGRAMS = sql.SQL(
    """
    SELECT program, count(*), min(flown_from), max(flown_to), array_agg(DISTINCT gsd_m ORDER BY gsd_m),
        array_agg(DISTINCT epsg ORDER BY epsg), array_agg(DISTINCT bands ORDER BY bands),
        ARRAY[min(ST_XMin(geom_lonlat)), min(ST_YMin(geom_lonlat)),
              max(ST_XMax(geom_lonlat)), max(ST_YMax(geom_lonlat))]
    FROM published.imagery WHERE program = coalesce(%s, program) GROUP BY program ORDER BY max(flown_to), program
    """
)


def stac_routes(standard: Standard, base_url: str) -> list[BaseRoute]:
    """Routes of the catalogue; whatever else is asked below `/stac` is not there."""
    catalogue = _Catalogue(standard, base_url)

    def route(path: str, answer: Callable[[Request], Response], *methods: str) -> Route:
        async def endpoint(request: Request) -> Response:
            return await run_in_threadpool(answered, answer, request)

        return Route(path, endpoint, methods=list(methods) or ["GET"])

    async def search(request: Request) -> Response:
        body = await request.body() if request.method == "POST" else None
        return await run_in_threadpool(answered, lambda asked: catalogue.search(asked, body), request)

    return [
        route("/stac", catalogue.landing),
        route("/stac/conformance", lambda _: JSONResponse({"conformsTo": CONFORMANCE})),
        route("/stac/api", lambda _: JSONResponse(catalogue.openapi(), media_type=_OPENAPI)),
        route("/stac/collections", catalogue.collections),
        route("/stac/collections/{program}", catalogue.collection),
        route("/stac/collections/{program}/items", catalogue.items),
        route("/stac/collections/{program}/items/{item}", catalogue.item),
        Route("/stac/search", search, methods=["GET", "POST"]),
        route("/stac/{rest:path}", lambda _: problem(404, "NotFound", "There is nothing here."), "GET", "POST"),
    ]


class _Catalogue:
    def __init__(self, standard: Standard, base_url: str) -> None:
        self.standard = standard
        self.base_url = base_url
        self.root = f"{base_url}/stac"

    def landing(self, _: Request) -> Response:
        programs = [self._described(row) for row in fetch(_PROGRAMS, [None])]
        links = [
            _link("self", self.root),
            _link("root", self.root),
            _link("conformance", f"{self.root}/conformance"),
            _link("data", f"{self.root}/collections"),
            _link("service-desc", f"{self.root}/api", _OPENAPI),
            _link("service-doc", f"{self.base_url}/", "text/html"),
            _link("search", f"{self.root}/search", _GEOJSON) | {"method": "GET"},
            _link("search", f"{self.root}/search", _GEOJSON) | {"method": "POST"},
            *(_link("child", self._home(each["id"])) | {"title": each["title"]} for each in programs),
        ]
        return JSONResponse(
            {
                "type": "Catalog",
                "stac_version": VERSION,
                "id": f"{self.standard.header.name}-imagery",
                "title": "Aerial imagery",
                "description": f"Aerial imagery of {self.standard.header.state}, a collection for each program.",
                "conformsTo": CONFORMANCE,
                "links": links,
            }
        )

    def collections(self, _: Request) -> Response:
        here = f"{self.root}/collections"
        return JSONResponse(
            {
                "collections": [self._described(row) for row in fetch(_PROGRAMS, [None])],
                "links": [_link("self", here), _link("root", self.root)],
            }
        )

    def collection(self, request: Request) -> Response:
        rows = fetch(_PROGRAMS, [request.path_params["program"]])
        return JSONResponse(self._described(rows[0])) if rows else _no_program()

    def items(self, request: Request) -> Response:
        """As a search that is held to one program: clients send the search's own parameters here, too."""
        program = request.path_params["program"]
        parameters = _once(request, _SEARCHED)
        if not fetch(_PROGRAMS, [program]):
            return _no_program()
        return self._page(
            f"{self._home(program)}/items", _from_url(parameters) | {"collections": [program]}, parameters
        )

    def item(self, request: Request) -> Response:
        asked = {"collections": [request.path_params["program"]], "ids": [request.path_params["item"]]}
        found, _ = _matching(asked)
        if not found:
            return problem(404, "NotFound", "There is no such picture.")
        return JSONResponse(self._item(found[0]), media_type=_GEOJSON)

    def search(self, request: Request, body: bytes | None) -> Response:
        here = f"{self.root}/search"
        if body is None:
            parameters = _once(request, _SEARCHED)
            return self._page(here, _from_url(parameters), parameters)
        asked = _json(body)
        if not isinstance(asked, dict):
            raise BadArgument('The body is no search: send JSON such as {"bbox": […]}.')
        _require_known(asked, _SEARCHED)
        return self._page(here, asked, None)

    def openapi(self) -> dict[str, Any]:
        """What can be asked, for machines: the paths and the parameters that narrow."""
        described = {
            "limit": "How many items a page holds at most.",
            "token": "Where a page begins; from the link named next.",
            "bbox": "West, south, east, north in degrees.",
            "datetime": "A day, or an interval with .. for an open end; items flown in it.",
            "ids": "Identifiers of items.",
            "collections": "Programs.",
            "intersects": "A GeoJSON geometry.",
        }

        def parameter(name: str, place: str) -> dict[str, Any]:
            described_as = {"description": described[name]} if name in described else {}
            return {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}} | described_as

        def path(summary: str, names: tuple[str, ...] = (), inside: tuple[str, ...] = ()) -> dict[str, Any]:
            parameters = [parameter(name, "query") for name in names] + [parameter(name, "path") for name in inside]
            responses = {"200": {"description": summary}}
            return {"get": {"summary": summary, "parameters": parameters, "responses": responses}}

        searched = path("Items that match.", _SEARCHED)
        searched["post"] = {
            "summary": "Items that match.",
            "requestBody": {"content": {_JSON: {"schema": {"type": "object"}}}},
            "responses": {"200": {"description": "Items that match."}},
        }
        return {
            "openapi": "3.0.3",
            "info": {"title": "Aerial imagery (STAC)", "version": self.standard.header.version},
            "servers": [{"url": self.base_url}],
            "paths": {
                "/stac": path("The catalogue."),
                "/stac/conformance": path("What it conforms to."),
                "/stac/collections": path("All programs."),
                "/stac/collections/{program}": path("One program.", (), ("program",)),
                "/stac/collections/{program}/items": path("Its items.", _SEARCHED, ("program",)),
                "/stac/collections/{program}/items/{item}": path("One item.", (), ("program", "item")),
                "/stac/search": searched,
            },
        }

    def _page(self, here: str, asked: dict[str, Any], parameters: Mapping[str, str] | None) -> Response:
        """A page of items; `parameters` are those of the URL, None where the search came as a body."""
        found, token = _matching(asked)
        links = [_link("self", here, _GEOJSON), _link("root", self.root)]
        if token and parameters is not None:
            following = urlencode({**parameters, "token": token})
            links.append(_link("next", f"{here}?{following}", _GEOJSON) | {"method": "GET"})
        elif token:
            links.append(_link("next", here, _GEOJSON) | {"method": "POST", "merge": True, "body": {"token": token}})
        body = {
            "type": "FeatureCollection",
            "features": [self._item(row) for row in found],
            "numberReturned": len(found),
            "links": links,
        }
        return JSONResponse(body, media_type=_GEOJSON)

    def _described(self, row: tuple[Any, ...]) -> dict[str, Any]:
        program, count, start, end, gsd, epsg, bands, box = row
        home = self._home(program)
        tiles = f"{self.base_url}/imagery/{quote(program)}/tiles"
        license_link = {"rel": "license", "href": self.standard.header.license, "type": "text/html"}
        links = [
            _link("self", home),
            _link("root", self.root),
            _link("parent", self.root),
            _link("items", f"{home}/items", _GEOJSON),
            license_link,
            _link("xyz", f"{tiles}/{{z}}/{{y}}/{{x}}?f=png", "image/png") | {"title": "Tiles of the whole program"},
            _link("tilejson", tiles) | {"title": "TileJSON"},
        ]
        return {
            "type": "Collection",
            "stac_version": VERSION,
            "stac_extensions": COLLECTION_EXTENSIONS,
            "id": program,
            "title": f"Aerial imagery {program}",
            "description": (
                f"{count:,} pictures, flown from {start} to {end}. `statewide:grid_cell` names the cell of the 2,500 "
                "ft grid of EPSG:6434 that holds a picture's lower left corner, by that cell's own lower left corner "
                "in feet; it is derived from the coordinates and is no tile number of the State."
            ),
            "license": "other",
            "providers": [{"name": self.standard.header.publisher, "roles": ["host"], "url": f"{self.base_url}/"}],
            "extent": {"spatial": {"bbox": [box]}, "temporal": {"interval": [list(_window(start, end))]}},
            "summaries": {
                "gsd": gsd,
                "proj:code": [f"EPSG:{code}" for code in epsg],
                "bands": _bands(max(bands, key=len)),
            },
            "links": links,
        }

    def _item(self, row: tuple[Any, ...]) -> dict[str, Any]:
        (uid, program, start, end, cell, gsd, bands, epsg, width, height, transform,
         name, size, digest, added, geometry, box) = row  # fmt: skip
        first, last = _window(start, end)
        home = self._home(program)
        return {
            "type": "Feature",
            "stac_version": VERSION,
            "stac_extensions": ITEM_EXTENSIONS,
            "id": str(uid),
            "collection": program,
            "geometry": geometry,
            "bbox": box,
            "properties": {
                "title": name,
                "datetime": None,
                "start_datetime": first,
                "end_datetime": last,
                "created": added.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "gsd": gsd,
                "proj:code": f"EPSG:{epsg}",
                "proj:shape": [height, width],
                "proj:transform": transform,
                "statewide:grid_cell": cell,
            },
            "assets": {
                "data": {
                    "href": f"{self.base_url}/imagery/{quote(program)}/files/{uid}.tif",
                    "title": name,
                    "type": COG_MEDIA_TYPE,
                    "roles": ["data"],
                    "bands": _bands(bands),
                    "file:size": int(size),
                    "file:checksum": _SHA256_MULTIHASH + digest,
                }
            },
            "links": [
                _link("self", f"{home}/items/{uid}", _GEOJSON),
                _link("root", self.root),
                _link("parent", home),
                _link("collection", home),
            ],
        }

    def _home(self, program: str) -> str:
        return f"{self.root}/collections/{quote(program)}"


def _matching(asked: Mapping[str, Any]) -> tuple[list[tuple[Any, ...]], str | None]:
    """Rows of one page, and where the next one begins."""
    where: list[sql.Composable] = [sql.SQL("true")]
    values: list[Any] = []

    def add(condition: sql.SQL, *given: Any) -> None:
        where.append(condition)
        values.extend(given)

    if "collections" in asked:
        add(sql.SQL("program = ANY(%s)"), _texts(asked, "collections"))
    if "ids" in asked:
        add(sql.SQL("imagery_uid = ANY(%s)"), [uid for text in _texts(asked, "ids") if (uid := _uuid(text))])
    if "bbox" in asked:
        add(sql.SQL("ST_Intersects(geom_lonlat, ST_MakeEnvelope(%s, %s, %s, %s, 4326))"), *_box(asked["bbox"]))
    if "intersects" in asked:
        if "bbox" in asked:
            raise BadArgument("intersects and bbox: give one of them.")
        add(sql.SQL("ST_Intersects(geom_lonlat, ST_GeomFromWKB(%s, 4326))"), _shape(asked["intersects"]))
    if "datetime" in asked:
        first, last = _interval(asked["datetime"])
        add(sql.SQL("flown_to >= %s AND flown_from <= %s"), first, last)
    if "token" in asked:
        after = _uuid(str(asked["token"]))
        if after is None:
            raise BadArgument("token: take it from the link named next of the page before.")
        add(sql.SQL("imagery_uid > %s"), after)
    limit = _limit(asked.get("limit", _DEFAULT_LIMIT))
    rows = fetch(_ITEMS.format(sql.SQL(" AND ").join(where)), [*values, limit + 1])
    return rows[:limit], str(rows[limit - 1][0]) if len(rows) > limit else None


def _once(request: Request, names: tuple[str, ...]) -> dict[str, str]:
    parameters = dict(request.query_params)
    if len(request.query_params.multi_items()) > len(parameters):
        raise BadArgument("A parameter is given twice.")
    _require_known(parameters, names)
    return parameters


def _from_url(parameters: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of a URL as they would stand in the body of a search."""
    asked: dict[str, Any] = dict(parameters)
    for name in {"ids", "collections"} & asked.keys():
        asked[name] = asked[name].split(",")
    if "intersects" in asked:
        asked["intersects"] = _json(asked["intersects"])
    return asked


def _require_known(asked: Mapping[str, Any], names: tuple[str, ...]) -> None:
    if unknown := sorted(set(asked) - set(names)):
        raise BadArgument(f"There is no parameter {unknown[0]!r} here; there are {', '.join(names)}.")


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadArgument("What was sent is no JSON.") from None


def _texts(asked: Mapping[str, Any], name: str) -> list[str]:
    given = asked[name]
    if not isinstance(given, list) or not all(isinstance(each, str) and "\0" not in each for each in given):
        raise BadArgument(f"{name}: a list of names is expected.")
    return given


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _limit(given: Any) -> int:
    text = str(given)
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 9 and int(text) > 0):
        raise BadArgument("limit: a whole number of at least 1 is expected.")
    return min(int(text), _MAX_LIMIT)


def _box(given: Any) -> tuple[float, ...]:
    try:
        numbers = [float(each) for each in (given.split(",") if isinstance(given, str) else given)]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) == 6:  # with heights
        numbers = [numbers[at] for at in (0, 1, 3, 4)]
    if len(numbers) != 4 or not all(-180 <= each <= 180 for each in numbers) or numbers[1] > numbers[3]:
        raise BadArgument("bbox: four numbers in degrees are expected: west, south, east, north.")
    return tuple(numbers)


def _shape(given: Any) -> bytes:
    import shapely

    try:
        shape = shapely.from_geojson(json.dumps(given))
    except shapely.GEOSException:
        shape = None
    if shape is None or shape.is_empty or not shape.is_valid or "geometry" in given:
        raise BadArgument("intersects: a GeoJSON geometry is expected that does not cross itself.")
    wkb: bytes = shapely.to_wkb(shape)
    return wkb


def _interval(given: Any) -> tuple[dt.date, dt.date]:
    parts = str(given).split("/")
    try:
        days = [
            open_end if text in ("", "..") else dt.datetime.fromisoformat(text).date()
            for text, open_end in zip(parts, (dt.date.min, dt.date.max), strict=False)
        ]
    except ValueError:
        days = []
    if len(days) != len(parts) or len(parts) not in (1, 2) or (len(parts) == 1 and parts[0] in ("", "..")):
        raise BadArgument("datetime: a day or an interval is expected, such as 2023-03-01/2023-05-31 or 2019-01-01/..")
    return days[0], days[-1]


def _window(start: dt.date, end: dt.date) -> tuple[str, str]:
    return f"{start}T00:00:00Z", f"{end}T23:59:59Z"


def _bands(text: str) -> list[dict[str, str]]:
    return [{"name": name, **({"eo:common_name": name} if name in _COMMON_NAMES else {})} for name in text.split(",")]


def _link(rel: str, href: str, media_type: str = _JSON) -> dict[str, Any]:
    return {"rel": rel, "href": href, "type": media_type}


def _no_program() -> Response:
    return problem(404, "NotFound", "There is no imagery of that program.")
