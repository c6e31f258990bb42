"""The server: guards, our own routes and pages, and pygeoapi behind them for all the rest.

`serve` writes what pygeoapi wants to read at its import (configuration and OpenAPI document) into ``<home>/run`` and
starts uvicorn; `create_app` is what each of uvicorn's processes calls.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import uvicorn
import yaml
from psycopg import sql
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from statewide.database import API, connect
from statewide.errors import DatabaseNotReady, DatabaseUnavailable, StatewideError
from statewide.publish.collections import render_config
from statewide.publish.dictionary_page import dictionary_routes
from statewide.publish.guards import Guards
from statewide.publish.map_page import map_routes
from statewide.publish.processes import process_resources, process_routes
from statewide.publish.qgis_project import style_routes
from statewide.publish.query import view
from statewide.publish.reading import close_pools, fetch, open_pools
from statewide.publish.records import CONFORMANCE as RECORD_CLASSES
from statewide.publish.records import record_resources, record_routes
from statewide.publish.routes import api_routes, asked_format
from statewide.settings import ROOT, Settings, load_settings
from statewide.standard import Standard, load_standard

_CONFIG, _OPENAPI = "PYGEOAPI_CONFIG", "PYGEOAPI_OPENAPI"
_HERE = Path(str(resources.files("statewide.publish")))
_STATIC = _HERE / "static"

_FILTER_CLASSES = [
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json",
    "http://www.opengis.net/spec/cql2/1.0/conf/advanced-comparison-operators",
    "http://www.opengis.net/spec/cql2/1.0/conf/case-insensitive-comparison",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-spatial-functions",
    "http://www.opengis.net/spec/cql2/1.0/conf/property-property",
]
"""What our own items add to pygeoapi's list; QGIS pushes a filter down only if it reads the first two."""
_OWN_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "filter": ("Condition on the properties in CQL2; answered as GeoJSON.", {"type": "string"}),
    "filter-lang": ("How the filter is written.", {"type": "string", "enum": ["cql2-text", "cql2-json"]}),
    "filter-crs": ("Coordinate system of the shapes in the filter; CRS84 if left out.", {"type": "string"}),
    "sortby": ("Properties to sort by, each with - before it to sort downwards.", {"type": "string"}),
    "resulttype": ("hits: only the number of features.", {"type": "string", "enum": ["results", "hits"]}),
    "token": ("Where a page begins; from the link named next of the page before.", {"type": "string"}),
}
"""Parameters of `/items` that pygeoapi's document leaves out, or describes in a file elsewhere."""
_NOT_OURS = ("/sortby.yaml", "/vendorSpecificParameters")
_NOT_OFFERED = {
    "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/create-replace-delete",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/callback",
}


def serve(
    settings: Settings, port: int = 5000, workers: int = 1, host: str = "127.0.0.1", public_url: str | None = None
) -> None:
    """Serve until stopped.

    Args:
        public_url: the address under which the street reaches us, for the links in answers.

    Raises:
        DatabaseUnavailable: no database is configured.
        DatabaseNotReady: it answers, but `statewide init` has not been run.
    """
    prepare(settings, public_url or f"http://{host if host != '0.0.0.0' else '127.0.0.1'}:{port}")
    os.environ["STATEWIDE_HOME"] = str(settings.home)
    os.environ["STATEWIDE_DATABASE_URL"] = settings.require_database_url()
    uvicorn.run(
        "statewide.publish.app:create_app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        log_level="warning",
        server_header=False,
    )


def prepare(settings: Settings, url: str) -> None:
    """Write pygeoapi's configuration and OpenAPI document for this address, and point the environment at them.

    Both come from the law; of the database only the extent of the data is asked, and it need not answer.

    Raises:
        DatabaseUnavailable: no database is configured.
        DatabaseNotReady: it answers, but `statewide init` has not been run.
    """
    standard = load_standard()
    config = yaml.safe_load(render_config((ROOT / "pygeoapi-config.yml").read_text(encoding="utf-8"), standard))
    config["resources"] |= process_resources() | record_resources(standard)
    config["server"]["url"] = url
    config["server"]["templates"] = {"path": str(_HERE / "templates"), "static": str(_STATIC)}
    for collection_id, extent in _extents(settings, standard).items():
        config["resources"][collection_id]["extents"]["spatial"]["bbox"] = extent
    # A folder per address: two servers of one home must not read each other's.
    run = settings.home / "run" / re.sub(r"[^a-zA-Z0-9.-]+", "-", url)
    run.mkdir(parents=True, exist_ok=True)
    (run / "pygeoapi-config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    (run / "openapi.json").write_text(json.dumps(_openapi(config)), encoding="utf-8")
    os.environ[_CONFIG], os.environ[_OPENAPI] = str(run / "pygeoapi-config.yml"), str(run / "openapi.json")


def create_app(settings: Settings | None = None) -> Starlette:
    """The whole server as one ASGI app; needs `prepare` to have been run in this process or its parent."""
    open_pools(settings or load_settings())
    standard = load_standard()
    pygeoapi, base_url = _pygeoapi()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        close_pools()

    async def landing(request: Request) -> Response | ASGIApp:
        return FileResponse(_STATIC / "index.html") if asked_format(request) == "html" else pygeoapi

    async def as_json(request: Request) -> Response | ASGIApp:
        # pygeoapi's pages of these are nothing without scripts and styles from elsewhere.
        return RedirectResponse(f"{request.url.path}?f=json") if asked_format(request) == "html" else pygeoapi

    return Starlette(
        routes=[
            Route("/", landing),
            Route("/openapi", as_json),
            Route("/TileMatrixSets", as_json),
            Route("/TileMatrixSets/{tileset}", as_json),
            Route("/health", _health),
            *map_routes(standard, _STATIC),
            *dictionary_routes(standard),
            *style_routes(standard, base_url),
            *record_routes(standard, base_url, pygeoapi),
            *api_routes(standard, base_url, pygeoapi),
            *process_routes(),
            *_room_routes(standard, base_url),
            Mount("/assets", StaticFiles(directory=_STATIC)),
            Mount("/", pygeoapi),
        ],
        middleware=[
            Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["GET", "POST"], expose_headers=["*"]),
            Middleware(
                GZipMiddleware,
                minimum_size=1024,
                compresslevel=4,
                exclude_content_types=(*DEFAULT_EXCLUDED_CONTENT_TYPES, "image/tiff"),
            ),
            Middleware(Guards),
        ],
        lifespan=lifespan,
    )


def _room_routes(standard: Standard, base_url: str) -> list[BaseRoute]:
    """Routes of the rooms, found through the entry-point group `statewide.routes`."""
    points = sorted(entry_points(group="statewide.routes"), key=lambda point: point.name)
    return [route for point in points for route in point.load()(standard, base_url)]


async def _health(_: Request) -> Response:
    try:
        await run_in_threadpool(fetch, sql.SQL("SELECT 1"), [])
    except StatewideError as error:
        return JSONResponse({"status": "down", "database": str(error)}, 503)
    return JSONResponse({"status": "ok", "database": "ok"})


def _pygeoapi() -> tuple[ASGIApp, str]:
    """pygeoapi's app and its address. It reads its configuration when it is imported, so not before `prepare`."""
    from pygeoapi.api import itemtypes, processes
    from pygeoapi.starlette_app import APP, api_

    features, executed = itemtypes.CONFORMANCE_CLASSES_FEATURES, processes.CONFORMANCE_CLASSES
    features[:] = sorted({*features, *_FILTER_CLASSES} - _NOT_OFFERED)
    itemtypes.CONFORMANCE_CLASSES_RECORDS[:] = RECORD_CLASSES
    executed[:] = [name for name in executed if name not in _NOT_OFFERED]
    return APP, api_.base_url


def _extents(settings: Settings, standard: Standard) -> dict[str, list[float]]:
    """The law's extent, widened to where data really lies; empty when the database is away."""
    extents = {}
    try:
        with connect(settings, API) as connection:
            for table in standard.published_tables:
                if table.geometry is None or table.collection is None:
                    continue
                box = connection.execute(
                    sql.SQL(
                        "SELECT ST_XMin(e), ST_YMin(e), ST_XMax(e), ST_YMax(e)"
                        " FROM (SELECT ST_Extent(geom_lonlat) AS e FROM {}) AS x"
                    ).format(view(table))
                ).fetchone()
                if box and box[0] is not None:
                    west, south, east, north = standard.header.extent.bbox
                    extents[table.collection.id] = [
                        min(west, box[0]), min(south, box[1]), max(east, box[2]), max(north, box[3]),
                    ]  # fmt: skip
    except DatabaseNotReady:
        raise
    except DatabaseUnavailable:
        settings.require_database_url()
    return extents


def _openapi(config: dict[str, Any]) -> dict[str, Any]:
    """pygeoapi's document, with the parameters that it does not know of."""
    from pygeoapi.openapi import get_oas

    document: dict[str, Any] = get_oas(config)
    limits = config["server"]["limits"]
    parameters = document["components"]["parameters"]
    # QGIS reads the size of its pages from here and nowhere else.
    parameters["limit"] = {
        "name": "limit",
        "in": "query",
        "description": "How many features a page holds at most.",
        "required": False,
        "schema": {
            "type": "integer",
            "minimum": 1,
            "maximum": limits["max_items"],
            "default": 1000,
        },
        "style": "form",
        "explode": False,
    }
    for name, (description, schema) in _OWN_PARAMETERS.items():
        parameters[name] = {
            "name": name,
            "in": "query",
            "description": description,
            "required": False,
            "schema": schema,
        }
    for path, item in document["paths"].items():
        if path.endswith("/items"):
            # Out goes what points to a file elsewhere (sortby), and that any other word is taken: it is refused.
            kept = [each for each in item["get"]["parameters"] if not each.get("$ref", "").endswith(_NOT_OURS)]
            ours = [{"$ref": f"#/components/parameters/{name}"} for name in _OWN_PARAMETERS]
            item["get"]["parameters"] = kept + ours
    return document
