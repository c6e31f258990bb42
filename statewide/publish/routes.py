"""Our own answers in front of pygeoapi: items and tiles as bytes from PostgreSQL, schemas from the law.

pygeoapi would parse, transform and serialise each of them in Python; it keeps everything else: landing page,
collections, HTML, JSON-LD, CSV, OpenAPI. A route returns pygeoapi's app where the answer is pygeoapi's to give.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from statewide.errors import BadArgument, InputError, StatewideError
from statewide.feature_schema import feature_schema
from statewide.publish.features import Page, read_item, read_page
from statewide.publish.query import CRS84, ItemsQuery, parse_items
from statewide.publish.tiles import GRIDS, MEDIA_TYPE, TileProvider, read_tile
from statewide.standard import Standard, Table

GEOJSON = "application/geo+json"
TILE_SECONDS = 60
"""A browser may keep a tile this long; a town that publishes is seen at the latest then."""

_GEOJSON_ONLY = {"filter", "token", "bbox-crs"}
"""Parameters that pygeoapi would leave out or, of a box, answer with other rows: it moves the two corners only."""
_RENDERED_LIMIT = 2000
"""Rows of one HTML or JSON-LD page, as many as that page offers: pygeoapi makes them in Python, and others wait."""

_FORMATS = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/ld+json": "jsonld",
    "text/csv": "csv",
}


def problem(status: int, code: str, description: str) -> Response:
    """An error in the words of OGC API."""
    body = json.dumps({"code": code, "type": code, "description": description}, ensure_ascii=False)
    return Response(body, status, media_type="application/json")


def asked_format(request: Request) -> str:
    """``f``, or the first of the accepted media types that means something here, or ``json``."""
    if asked := request.query_params.get("f"):
        return asked
    for accepted in request.headers.get("accept", "").split(","):
        media_type = accepted.split(";")[0].strip().lower()
        if media_type in _FORMATS:
            return _FORMATS[media_type]
        if media_type.endswith("json"):
            break
    return "json"


def api_routes(standard: Standard, base_url: str, pygeoapi: ASGIApp) -> list[Route]:
    """The routes, to be put before pygeoapi's own."""
    api = _Api(standard, base_url, pygeoapi)
    return [
        Route("/collections/{collection}/items", api.answer(api.items), methods=["GET", "POST"]),
        Route("/collections/{collection}/items/{identifier:path}", api.answer(api.item)),
        Route("/collections/{collection}/schema", api.answer(api.schema)),
        Route("/collections/{collection}/queryables", api.answer(api.schema)),
        Route("/collections/{collection}/tiles/{tileset}", api.answer(api.tileset)),
        Route("/collections/{collection}/tiles/{tileset}/metadata", api.answer(api.tileset)),
        Route("/collections/{collection}/tiles/{tileset}/{zoom}/{row}/{col}", api.answer(api.tile)),
    ]


type _Answer = Callable[[Request, Table], Awaitable[Response | ASGIApp]]


class _Api:
    def __init__(self, standard: Standard, base_url: str, pygeoapi: ASGIApp) -> None:
        self.standard = standard
        self.base_url = base_url
        self.pygeoapi = pygeoapi

    def answer(self, method: _Answer) -> Callable[[Request], Awaitable[Response | ASGIApp]]:
        """Find the collection; turn our errors into answers."""

        async def endpoint(request: Request) -> Response | ASGIApp:
            try:
                table = self.standard.collection_table(request.path_params["collection"])
            except KeyError:
                return problem(404, "NotFound", "There is no such collection.")
            try:
                return await method(request, table)
            except InputError as error:
                return problem(400, "InvalidParameterValue", str(error))
            except StatewideError as error:
                return problem(503, "ServerBusy", str(error))

        return endpoint

    async def items(self, request: Request, table: Table) -> Response | ASGIApp:
        parameters = dict(request.query_params)
        if len(request.query_params.multi_items()) > len(parameters):
            return problem(400, "InvalidParameterValue", "A parameter is given twice.")
        posted = await request.body() if request.method == "POST" else b""
        if request.method == "POST" and (not posted or "geo+json" in request.headers.get("content-type", "")):
            return problem(405, "NotAllowed", "Nothing is written here: data comes in by a town's delivery.")
        # Every format refuses what is unknown, also those that pygeoapi renders.
        query = parse_items(self.standard, table, parameters, posted)
        if (form := asked_format(request)) != "json":
            if posted or _GEOJSON_ONLY & parameters.keys():
                raise BadArgument("filter, token and bbox-crs are answered as GeoJSON only: add f=json.")
            if form != "csv" and query.limit > _RENDERED_LIMIT:
                raise BadArgument(f"limit: at most {_RENDERED_LIMIT} on such a page; add f=json for more.")
            return self.pygeoapi
        page = await run_in_threadpool(read_page, query)
        body = self._collection(request, query, page)
        return Response(body, 200, {"Content-Crs": f"<{query.crs.uri}>"}, GEOJSON)

    async def item(self, request: Request, table: Table) -> Response | ASGIApp:
        unknown = set(request.query_params) - {"f", "crs", "lang"}
        if unknown:
            return problem(400, "InvalidParameterValue", f"One item takes f, crs and lang, not {sorted(unknown)[0]}.")
        crs_uri = request.query_params.get("crs", CRS84)
        text = await run_in_threadpool(read_item, table, request.path_params["identifier"], crs_uri)
        if text is None:
            return problem(404, "NotFound", "There is no feature of that identifier.")
        if asked_format(request) != "json":
            return self.pygeoapi
        home = f"{self.base_url}/collections/{request.path_params['collection']}"
        here = f"{home}/items/{quote(request.path_params['identifier'])}"
        kept = [(name, value) for name, value in request.query_params.items() if name != "f"]
        links = [
            _link("self", GEOJSON, "This feature", f"{here}?{urlencode([('f', 'json'), *kept])}"),
            _link("alternate", "text/html", "This feature", f"{here}?{urlencode([('f', 'html'), *kept])}"),
            _link("collection", "application/json", "Its collection", home),
        ]
        body = f'{text[:-1]},"links":{json.dumps(links)}}}'
        return Response(body, 200, {"Content-Crs": f"<{crs_uri}>"}, GEOJSON)

    async def schema(self, request: Request, table: Table) -> Response | ASGIApp:
        if asked_format(request) != "json":
            return self.pygeoapi
        document = {"$id": f"{self.base_url}{request.url.path}", **feature_schema(self.standard, table)}
        return Response(json.dumps(document, ensure_ascii=False), media_type="application/schema+json")

    async def tileset(self, request: Request, table: Table) -> Response | ASGIApp:
        tileset = request.path_params["tileset"]
        if tileset not in GRIDS or table.collection is None or table.collection.tiles is None:
            return problem(404, "NotFound", f"There is no such tileset here. There are: {', '.join(GRIDS)}.")
        if asked_format(request) not in ("json", "tilejson"):
            return self.pygeoapi
        provider = TileProvider(
            {"name": "", "data": table.name, "format": {"name": "mvt", "mimetype": MEDIA_TYPE}, "options": {}}
        )
        document = provider.get_metadata(
            table.collection.id, self.base_url, tileset=tileset, metadata_format=asked_format(request)
        )
        return Response(json.dumps(document, ensure_ascii=False), media_type="application/json")

    async def tile(self, request: Request, table: Table) -> Response | ASGIApp:
        if request.query_params.get("f", "mvt") not in ("mvt", "pbf"):
            return problem(400, "InvalidParameterValue", "f: a tile comes as mvt only.")
        tileset, zoom, row, col = (request.path_params[name] for name in ("tileset", "zoom", "row", "col"))
        tile = await run_in_threadpool(read_tile, table, tileset, zoom, row, col, request.query_params)
        if tile is None:
            return problem(404, "NotFound", "There is no such tile.")
        headers = {"Cache-Control": f"public, max-age={TILE_SECONDS}"}
        return Response(tile, 200, headers, MEDIA_TYPE) if tile else Response(None, 204, headers)

    def _collection(self, request: Request, query: ItemsQuery, page: Page) -> str:
        """A GeoJSON feature collection around the features' own text."""
        collection = query.table.collection
        assert collection is not None
        home = f"{self.base_url}/collections/{collection.id}"
        here = [(name, value) for name, value in request.query_params.items() if name != "f"]
        links = [
            _link("self", GEOJSON, "This page", f"{home}/items?{urlencode([('f', 'json'), *here])}"),
            _link("collection", "application/json", collection.title, home),
        ]
        posted = request.method == "POST"
        if not posted and not _GEOJSON_ONLY & request.query_params.keys() and query.limit <= _RENDERED_LIMIT:
            href = f"{home}/items?{urlencode([('f', 'html'), *here])}"
            links.append(_link("alternate", "text/html", "This page", href))
        if page.next_token:
            kept = [(name, value) for name, value in here if name not in ("token", "offset")]
            following = urlencode([("f", "json"), *kept, ("token", page.next_token)])
            # A filter that came in the body is to be sent again with it.
            extra = {"method": "POST"} if posted else {}
            links.append({**_link("next", GEOJSON, "Next page", f"{home}/items?{following}"), **extra})
        members: dict[str, Any] = {"numberReturned": len(page.features)}
        if page.matched is not None:
            members["numberMatched"] = page.matched
        members |= {"timeStamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "links": links}
        return f'{{"type":"FeatureCollection","features":[{",".join(page.features)}],{json.dumps(members)[1:]}'


def _link(rel: str, media_type: str, title: str, href: str) -> dict[str, str]:
    return {"rel": rel, "type": media_type, "title": title, "href": href}
