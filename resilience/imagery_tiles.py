"""Raster tiles of the registered imagery: `/imagery/{program}/tiles/{z}/{y}/{x}`, and the pictures themselves as files.

Only files of the register are opened, as GeoTIFF and nothing else, with GDAL shut off from the network. The file flown
last lies on top. A file that is gone or is not what was registered is left out, and the log says so.
"""

from __future__ import annotations

import hashlib
import logging
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from psycopg import sql
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from resilience.picture import SHUT
from statewide.errors import BadArgument, StatewideError
from statewide.publish.reading import fetch
from statewide.publish.routes import problem
from statewide.publish.tiles import GRIDS
from statewide.standard import Standard

MIN_ZOOM, MAX_ZOOM = 13, 22
"""At z13 a tile shows some 35 of the State's 2,500 ft pictures, and each costs 30 ms; at z11 it would be 400."""

COG_MEDIA_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"
_MEDIA_TYPES = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}
_SIDE_PX = 256
_FILES_PER_TILE = 150
_DRAWN_AT_ONCE = 4
_CACHE_MB = 64
_KEEP_SECONDS = 3600

_log = logging.getLogger(__name__)
_told: set[str] = set()

_FILES = sql.SQL(
    """
    SELECT f.file_path, f.file_bytes, i.bands, i.imagery_uid
    FROM published.imagery AS i JOIN published.imagery_files AS f USING (imagery_uid)
    WHERE i.program = %s AND i.geom_mercator && ST_MakeEnvelope(%s, %s, %s, %s, 3857)
    ORDER BY i.flown_to DESC, i.imagery_uid LIMIT %s
    """
)
_ONE_FILE = sql.SQL(
    """
    SELECT f.file_path, f.file_bytes, i.file_name
    FROM published.imagery AS i JOIN published.imagery_files AS f USING (imagery_uid)
    WHERE i.program = %s AND imagery_uid = %s
    """
)
_PROGRAM = sql.SQL(
    """
    SELECT min(gsd_m), min(flown_from), max(flown_to),
        min(ST_XMin(geom_lonlat)), min(ST_YMin(geom_lonlat)), max(ST_XMax(geom_lonlat)), max(ST_YMax(geom_lonlat))
    FROM published.imagery WHERE program = %s HAVING count(*) > 0
    """
)


@dataclass(frozen=True)
class _File:
    path: Path
    size: float
    bands: tuple[str, ...] = ()
    key: str = ""

    @property
    def is_there(self) -> bool:
        try:
            return self.path.stat().st_size == self.size
        except OSError:
            return False


def imagery_routes(standard: Standard, base_url: str) -> list[BaseRoute]:
    """Routes of tiles, their TileJSON, and the files."""

    # Threads of their own: a map that asks for a hundred pictures must not keep everybody else waiting.
    drawing = anyio.CapacityLimiter(_DRAWN_AT_ONCE)

    async def tile(request: Request) -> Response:
        return await anyio.to_thread.run_sync(answered, _tile, request, limiter=drawing)

    async def tilejson(request: Request) -> Response:
        return await run_in_threadpool(answered, lambda asked: _tilejson(standard, base_url, asked), request)

    async def file(request: Request) -> Response:
        return await run_in_threadpool(answered, _file, request)

    return [
        Route("/imagery/{program}/tiles/{z}/{y}/{x}", tile),
        Route("/imagery/{program}/tiles", tilejson),
        Route("/imagery/{program}/files/{name}", file),
    ]


def answered(answer: Callable[[Request], Response], request: Request) -> Response:
    """The answer, or our error in the words of OGC API."""
    try:
        return answer(request)
    except BadArgument as error:
        return problem(400, "InvalidParameterValue", str(error))
    except StatewideError as error:
        return problem(503, "ServerBusy", str(error))


def _tile(request: Request) -> Response:
    program = request.path_params["program"]
    where = _position(*(request.path_params[name] for name in "zyx"))
    if where is None:
        return problem(404, "NotFound", f"There is no such tile: they are drawn from zoom {MIN_ZOOM} to {MAX_ZOOM}.")
    form, bands = _form(request), _asked_bands(request)
    rows = fetch(_FILES, [program, *GRIDS["WebMercatorQuad"].envelope(*where), _FILES_PER_TILE], "tiles")
    if not rows and not fetch(_PROGRAM, [program], "tiles"):
        return problem(404, "NotFound", "There is no imagery of that program.")
    found = [_File(Path(row[0]), row[1], tuple(row[2].split(",")), str(row[3])) for row in rows]
    files = [file for file in found if file.is_there]
    for file in set(found) - set(files):
        _tell(file)
    # What is drawn depends on these files and on what was asked: it is known to be the same before it is drawn.
    mark = hashlib.sha256(repr((where, form, bands, [file.key for file in files])).encode()).hexdigest()[:32]
    headers = {"Cache-Control": f"public, max-age={_KEEP_SECONDS}", "ETag": f'"{mark}"'}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(None, 304, headers)
    drawn = draw_tile(files, where, bands, form) if files else None
    if drawn is None:
        return Response(None, 204, headers)
    return Response(drawn, 200, headers, _MEDIA_TYPES[form])


def draw_tile(files: list[_File], where: tuple[int, int, int], bands: tuple[str, ...], form: str) -> bytes | None:
    """The tile from the files, the first on top; None where none of them has a picture.

    Args:
        where: zoom, row and column.
        bands: three bands, or one; a file that lacks one of them is left out.
    """
    import numpy as np
    import rasterio
    from rio_tiler.errors import EmptyMosaicError, TileOutsideBounds
    from rio_tiler.io import Reader
    from rio_tiler.models import ImageData
    from rio_tiler.mosaic import mosaic_reader

    zoom, row, column = where

    def part(file: _File) -> ImageData:
        indexes = _indexes(file.bands, bands)
        if indexes is None:
            raise TileOutsideBounds
        try:
            with rasterio.open(file.path, driver="GTiff") as source, Reader(str(file.path), dataset=source) as reader:
                drawn: ImageData = reader.tile(
                    column, row, zoom, tilesize=_SIDE_PX, indexes=indexes, resampling_method="bilinear"
                )
                return drawn
        except rasterio.errors.RasterioError:
            _tell(file)
            raise TileOutsideBounds from None

    with rasterio.Env(**SHUT, GDAL_CACHEMAX=_CACHE_MB):
        try:
            # No threads: the files are read one after another, and no further than until the tile is full.
            image, _ = mosaic_reader(files, part, threads=0)
        except EmptyMosaicError:
            return None
        if not image.mask.any():
            return None
        if form == "jpeg":  # which has no transparency
            image = ImageData(np.where(image.mask == 0, np.uint8(255), image.data))
        drawn: bytes = image.render(img_format=form.upper(), add_mask=form != "jpeg", **_OPTIONS[form])
        return drawn


_OPTIONS: dict[str, dict[str, Any]] = {"png": {"zlevel": 6}, "webp": {"quality": 80}, "jpeg": {"quality": 85}}


def _indexes(has: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[int, ...] | None:
    """Numbers of the wanted bands in a file, from 1. A grey picture stands in for colours that were not named."""
    if wanted == _NATURAL and not set(_NATURAL) <= set(has):
        wanted = (has[0],) * 3
    return tuple(has.index(name) + 1 for name in wanted) if set(wanted) <= set(has) else None


_NATURAL = ("red", "green", "blue")


def _tell(file: _File) -> None:
    """Once per file: a map asks for hundreds of tiles."""
    if str(file.path) not in _told:
        _told.add(str(file.path))
        _log.warning("imagery: %s is gone, damaged or not what was registered; tiles leave it out", file.path)


def _position(*texts: str) -> tuple[int, int, int] | None:
    numbers = [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) <= 8]
    if len(numbers) != 3:
        return None
    zoom, row, column = numbers
    if not MIN_ZOOM <= zoom <= MAX_ZOOM or max(row, column) >= 2**zoom:
        return None
    return zoom, row, column


def _form(request: Request) -> str:
    """What was asked for, else WebP where the client says that it takes it."""
    accepts_webp = "image/webp" in request.headers.get("accept", "")
    asked = request.query_params.get("f", "webp" if accepts_webp else "png").lower()
    form = {"jpg": "jpeg"}.get(asked, asked)
    if form not in _MEDIA_TYPES:
        raise BadArgument(f"f: a tile of imagery comes as {', '.join(_MEDIA_TYPES)}.")
    return form


def _asked_bands(request: Request) -> tuple[str, ...]:
    text = request.query_params.get("bands")
    bands = tuple(text.lower().split(",")) if text else _NATURAL
    if len(bands) not in (1, 3) or not all(name.isascii() and name.isalpha() for name in bands):
        raise BadArgument("bands: name one or three, such as nir,red,green.")
    return bands * 3 if len(bands) == 1 else bands


def _tilejson(standard: Standard, base_url: str, request: Request) -> Response:
    program = request.path_params["program"]
    found = fetch(_PROGRAM, [program], "tiles")
    if not found:
        return problem(404, "NotFound", "There is no imagery of that program.")
    [(gsd_m, start, end, *box)] = found
    return JSONResponse(
        {
            "tilejson": "3.0.0",
            "name": f"Aerial imagery {program}",
            "description": f"Flown {start} to {end}; {gsd_m:g} m a pixel at its finest.",
            "attribution": standard.header.publisher,
            "scheme": "xyz",
            "tiles": [f"{base_url}/imagery/{program}/tiles/{{z}}/{{y}}/{{x}}"],
            "minzoom": MIN_ZOOM,
            "maxzoom": finest_zoom(gsd_m, (box[1] + box[3]) / 2),
            "bounds": box,
        }
    )


def finest_zoom(gsd_m: float, latitude: float) -> int:
    """The first zoom whose pixels are no larger than the picture's; beyond, a map may stretch them itself."""
    first = 40075016.686 / _SIDE_PX * math.cos(math.radians(latitude))
    return max(MIN_ZOOM, min(MAX_ZOOM, math.ceil(math.log2(first / gsd_m) - 0.01)))


def _file(request: Request) -> Response:
    """A registered file as it is, with ranges, so that a client reads the part that it needs."""
    try:
        uid = uuid.UUID(request.path_params["name"].removesuffix(".tif"))
    except ValueError:
        uid = None
    rows = fetch(_ONE_FILE, [request.path_params["program"], uid], "tiles") if uid else []
    if not rows:
        return problem(404, "NotFound", "There is no such picture.")
    [(path, size, name)] = rows
    file = _File(Path(path), size)
    if not file.is_there:
        _tell(file)
        return problem(404, "NotFound", "The picture is registered, but its file is not at hand.")
    return FileResponse(file.path, media_type=COG_MEDIA_TYPE, filename=name, content_disposition_type="inline")
