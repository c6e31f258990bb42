"""One aerial picture: a GeoTIFF asked whether it is cloud-optimized, where it has a picture, and what its bands show.

Files only, no database. What cannot be used is refused with one sentence that says what to run.
"""

from __future__ import annotations

import hashlib
import shlex
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from statewide.errors import BadArgument, InputError, UnreadableDelivery
from statewide.geometry import to_storage
from statewide.standard import Standard

GRID_FT = 2_500
"""Side of a tile of the State's flights (CT ECO). We know no names of theirs, so a cell goes by its corner."""

METRES_PER_FOOT = 1200 / 3937
SHUT = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # nothing beside the file counts, and no folder of thousands is listed
    "GDAL_HTTP_MAX_RETRY": "0",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
    "PROJ_NETWORK": "OFF",
}
"""What GDAL is told wherever a picture is opened: this file and no other, and nothing from the network."""

_OUTLINE_PX = 512
"""The outline is read from a copy reduced to so many pixels on its longer side."""
_SPECK_PX = 25
"""Islands and holes of fewer reduced pixels are shadows, dark roofs or noise, not the edge of a flight."""
_EDGE_PIECES = 16
"""Pieces of each edge of the box on its way from another projection, for it bends there."""
_STRAIGHT_FT = 0.001
_CORNER_FT = 0.5  # a corner this near to the next cell's is that cell's
_CHUNK = 16 * 1024 * 1024
_TELL_BYTES = 2 * 1024**3


class NotCloudOptimized(InputError):
    """A GeoTIFF that must be rewritten before it can be read in parts."""


@dataclass(frozen=True)
class Picture:
    """What a file says of itself."""

    outline: shapely.MultiPolygon
    """Where it has a picture, in the storage CRS."""
    grid_cell: str
    gsd_ft: float
    bands: tuple[str, ...]
    epsg: int
    width_px: int
    height_px: int
    pixel_to_ground: tuple[float, ...]
    picture_share_pct: float


def read_picture(path: Path, standard: Standard, bands: tuple[str, ...] | None = None) -> Picture:
    """Facts of the file; pixels are read from its overviews only.

    Args:
        bands: codes of the list `imagery_band`, in the order of the file; None takes what the file says.

    Raises:
        UnreadableDelivery: it is no GeoTIFF, or damaged, or without a picture.
        BadArgument: we cannot tell where it lies or what it shows, or it lies elsewhere.
    """
    with _opened(path) as source:
        epsg = _epsg(path, source, standard)
        named = _bands(path, source, standard, bands)
        if any(kind != "uint8" for kind in source.dtypes):
            raise BadArgument(
                f"{path.name} has {source.dtypes[0]} values; pictures are shown with 8 bits a band. "
                f"Run: gdal_translate -ot Byte -scale -of COG {_quoted(path)} {_beside(path, '8bit')}"
            )
        box = shapely.segmentize(
            shapely.box(0, 0, source.width, source.height), max(source.width, source.height) / _EDGE_PIECES
        )
        on_ground = shapely.transform([box, _outline(path, source, box)], partial(_on_ground, source.transform))
        box_ft, outline_ft = _in_feet(path, standard, epsg, on_ground)
        gsd_ft = float(np.sqrt(box_ft.area / (source.width * source.height)))
        west, south = (int((edge + _CORNER_FT) // GRID_FT * GRID_FT) for edge in box_ft.bounds[:2])
        return Picture(
            outline=outline_ft,
            grid_cell=f"E{west}N{south}",
            gsd_ft=round(gsd_ft, 6),
            bands=named,
            epsg=epsg,
            width_px=source.width,
            height_px=source.height,
            pixel_to_ground=tuple(source.transform)[:6],
            picture_share_pct=min(round(100 * outline_ft.area / box_ft.area, 4), 100.0),
        )


def require_cloud_optimized(path: Path) -> None:
    """Check that tiles, overviews and their order let a reader fetch parts.

    Raises:
        NotCloudOptimized: they do not; the sentence has the command that makes a file that does.
    """
    import rasterio
    from rio_cogeo.cogeo import cog_validate

    with rasterio.Env(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, errors, _ = cog_validate(path, quiet=True)
    if path.with_name(f"{path.name}.msk").exists():
        errors.append("Its mask lies in a file beside it")
    if errors:
        raise NotCloudOptimized(
            f"{path.name} is no cloud-optimized GeoTIFF ({errors[0].rstrip('.')}). Add --convert, or run: "
            f"rio cogeo create --cog-profile deflate {_quoted(path)} {_beside(path, 'cog')}"
        )


def convert(path: Path, target: Path) -> None:
    """Write the file anew as a cloud-optimized GeoTIFF, without loss; `target` appears whole or not at all.

    Raises:
        UnreadableDelivery: its pixels cannot be read, or there is no room for the copy.
    """
    import rasterio
    import rasterio.shutil

    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".converting-") as scratch:
        written = Path(scratch) / target.name
        try:
            # Not shut off: a mask or overviews that lie beside the file belong to it.
            with rasterio.Env(PROJ_NETWORK="OFF"), rasterio.open(path, driver="GTiff") as source:
                rasterio.shutil.copy(
                    source,
                    written,
                    driver="COG",
                    blocksize=512,
                    compress="deflate",
                    predictor="yes",
                    overviews="ignore_existing",
                    overview_resampling="average",
                    bigtiff="if_safer",
                )
        except rasterio.errors.RasterioError as error:
            raise UnreadableDelivery(f"{path.name} cannot be converted: {str(error).splitlines()[0]}") from error
        written.replace(target)


def sha256(path: Path, say: Callable[[str], None]) -> str:
    """Checksum of the file's bytes; a file of gigabytes tells how far it is."""
    digest, done, size = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
            if done // _TELL_BYTES < (done := done + len(chunk)) // _TELL_BYTES:
                say(f"{path.name}: checksum {100 * done // size} %")
    return digest.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import rasterio

    with rasterio.Env(**SHUT), warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        try:
            with rasterio.open(path, driver="GTiff") as source:
                yield source
        except rasterio.errors.RasterioError as error:
            raise UnreadableDelivery(f"{path.name} is no GeoTIFF that can be read, or it is damaged.") from error


def _epsg(path: Path, source: Any, standard: Standard) -> int:
    import pyproj

    if source.crs is None or source.transform.is_identity:
        raise BadArgument(
            f"{path.name} does not say where it lies. If you know that it is in State Plane feet, run: "
            f"rio edit-info --crs EPSG:{standard.header.storage_crs} {_quoted(path)}"
        )
    system = pyproj.CRS.from_wkt(source.crs.to_wkt())
    if system.is_compound:
        system = system.sub_crs_list[0]
    epsg: int | None = system.to_epsg()
    for refused in standard.header.quarantined_crs:
        if refused.epsg == epsg:
            raise BadArgument(f"{path.name} is in {refused.title}. {refused.reason}")
    if epsg is None or epsg not in {crs.epsg for crs in standard.header.accepted_crs}:
        stated = f"EPSG:{epsg}" if epsg else "a coordinate system without an EPSG code"
        raise BadArgument(
            f"{path.name} states {stated} ({system.name}), which we do not accept. If that is right, run: rio warp "
            f"--dst-crs EPSG:{standard.header.storage_crs} {_quoted(path)} {_beside(path, standard.header.storage_crs)}"
        )
    return epsg


def _bands(path: Path, source: Any, standard: Standard, given: tuple[str, ...] | None) -> tuple[str, ...]:
    from rasterio.enums import ColorInterp

    known = standard.code_lists["imagery_band"].lookup()
    described = [known.get((text or "").casefold()) for text in source.descriptions]
    shown = [index for index in range(source.count) if source.colorinterp[index] != ColorInterp.alpha]
    masks = [index for index in range(source.count) if index not in shown]
    if masks and (described[masks[0]] or (given and len(given) == source.count)):
        band = masks[0] + 1
        raise BadArgument(
            f"{path.name} calls its band {band} a mask (alpha), which would hide the picture. If it is "
            f"{given[masks[0]] if given else described[masks[0]]}, run: "
            f"rio edit-info --colorinterp {band}=undefined {_quoted(path)}"
        )
    if given is not None:
        if len(given) != len(shown):
            beside = " beside its mask" if masks else ""
            raise BadArgument(f"{path.name} has {len(shown)} bands{beside}, but --bands names {len(given)}.")
        return given
    names = [described[index] or known.get(source.colorinterp[index].name) for index in shown]
    if len(names) > 1 and "pan" in names:  # what is not described at all calls itself grey
        names = [None]
    if None in names or len(set(names)) < len(names):
        example = ",".join(["red", "green", "blue", "nir"][: len(shown)] if len(shown) > 1 else ["pan"])
        raise BadArgument(
            f"{path.name} does not say what its {len(shown)} bands show; name them in their order, for example "
            f"--bands {example}."
        )
    return tuple(name for name in names if name)


def _outline(path: Path, source: Any, box: shapely.Polygon) -> shapely.Geometry:
    """Where the file has data, in columns and rows of pixels: the whole box, or what the reduced mask outlines."""
    import rasterio.features

    scale = max(1.0, max(source.width, source.height) / _OUTLINE_PX)
    rows, columns = int(np.ceil(source.height / scale)), int(np.ceil(source.width / scale))
    has_data = source.dataset_mask(out_shape=(rows, columns)) > 0
    if has_data.all():
        return box
    found = rasterio.features.shapes(has_data.astype(np.uint8), mask=has_data)
    parts = [
        shapely.Polygon(part.exterior, [hole for hole in part.interiors if shapely.Polygon(hole).area >= _SPECK_PX])
        for part in (shapely.geometry.shape(shape) for shape, _ in found)
        if part.area >= _SPECK_PX
    ]
    if not parts:
        raise UnreadableDelivery(f"{path.name} holds no picture: all of it is without data.")
    # The stairs of the pixels are straightened, but not beyond the box.
    reduced = shapely.simplify(shapely.union_all(parts), 1.0)
    full = shapely.transform(reduced, lambda at: at * (source.width / columns, source.height / rows))
    return shapely.intersection(full, box)


def _on_ground(transform: Any, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates in the file's own system of places given in columns and rows."""
    a, b, c, d, e, f = tuple(transform)[:6]
    columns, rows = pixels.T
    return np.column_stack((a * columns + b * rows + c, d * columns + e * rows + f))


def _in_feet(
    path: Path, standard: Standard, epsg: int, on_ground: NDArray[np.object_]
) -> tuple[shapely.Polygon, shapely.MultiPolygon]:
    """Box and outline in the storage CRS.

    Raises:
        BadArgument: they lie outside of the State.
    """
    box_ft, outline_ft = to_storage(on_ground, epsg, standard)
    [state] = to_storage(np.array([shapely.box(*standard.header.extent.bbox)], dtype=object), 4326, standard)
    if not shapely.is_valid(box_ft) or not shapely.intersects(state, outline_ft):
        raise BadArgument(
            f"{path.name} does not lie in {standard.header.state}: it is a picture of elsewhere, or EPSG:{epsg} is not "
            "the coordinate system that its numbers are in."
        )
    # A straight edge needs no more than its ends, unless the projection bent it.
    box_ft, outline_ft = shapely.simplify([box_ft, outline_ft], _STRAIGHT_FT)
    parts = [part for part in shapely.get_parts(outline_ft) if part.geom_type == "Polygon"]
    return box_ft, shapely.MultiPolygon(parts)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _beside(path: Path, what: object) -> str:
    return shlex.quote(str(path.with_name(f"{path.stem}_{what}.tif")))
