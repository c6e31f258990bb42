"""The map at `/map`: what its script needs to know, from the law and from the published towns.

The page asks nobody but this server. MapLibre GL JS comes out of the package `maplibre`, which carries it; the package
itself is not imported.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from psycopg import sql
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from statewide.errors import StatewideError
from statewide.publish.reading import fetch
from statewide.publish.routes import problem
from statewide.standard import Standard, Table

# The towns with a point inside for the name, their box, and how many parcels each shows.
_TOWNS = sql.SQL(
    """
    SELECT cousub_fips, town_name || CASE WHEN is_invented THEN ' (invented)' ELSE '' END, parcel_count, parcels_year,
           ARRAY[ST_X(p), ST_Y(p)],
           ARRAY[ST_XMin(geom_lonlat), ST_YMin(geom_lonlat), ST_XMax(geom_lonlat), ST_YMax(geom_lonlat)]
    FROM published.towns, ST_PointOnSurface(geom_lonlat) AS p
    ORDER BY town_name
    """
)


def map_routes(standard: Standard, static: Path) -> list[BaseRoute]:
    """Routes of the page and of what it loads."""
    config = _config(standard)

    async def page(_: Request) -> Response:
        return FileResponse(static / "map.html")

    async def configuration(_: Request) -> Response:
        return JSONResponse(config)

    async def towns(_: Request) -> Response:
        try:
            rows = await run_in_threadpool(fetch, _TOWNS, [])
        except StatewideError as error:
            return problem(503, "ServerBusy", str(error))
        names = ("code", "name", "parcels", "year", "point", "box")
        return JSONResponse(
            [dict(zip(names, row, strict=True)) for row in rows], headers={"Cache-Control": "max-age=60"}
        )

    return [
        Route("/map", page),
        Route("/map/config.json", configuration),
        Route("/map/towns.json", towns),
        Mount("/map/maplibre", StaticFiles(directory=_maplibre())),
    ]


def _maplibre() -> Path:
    found = find_spec("maplibre")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "srcjs"


def _config(standard: Standard) -> dict[str, Any]:
    return {
        "title": standard.header.title,
        "publisher": standard.header.publisher,
        "extent": standard.header.extent.bbox,
        "collections": {
            table.collection.id: _collection(standard, table)
            for table in standard.published_tables
            if table.collection and table.collection.tiles
        },
    }


def _collection(standard: Standard, table: Table) -> dict[str, Any]:
    assert table.collection is not None and table.collection.tiles is not None
    return {
        "title": table.collection.title,
        "description": table.collection.description,
        "key": table.key,
        "heading": table.collection.title_field,
        "minzoom": table.collection.tiles.min_zoom,
        "maxzoom": table.collection.tiles.max_zoom,
        "chosenBy": table.collection.tiles.chosen_by,
        "fields": {
            field.name: {
                "title": field.title,
                "unit": field.unit,
                "type": field.type,
                "codes": {
                    code.code: {"label": code.label, "color": code.color, "description": code.description}
                    for code in standard.code_lists[field.codes].of_layers(field.code_layers)
                }
                if field.codes
                else None,
            }
            for field in table.public_fields
        },
    }
