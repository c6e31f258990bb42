"""Depth grids as GeoTIFFs (COG or not): what the file says, what is wrong with it, and its cells, window by window.

``open_grid`` reads the header, ``judge`` turns what it says, or fails to say, into findings, ``Grid.windows`` and
``Reader`` give the cells. A grid is never resampled: what is laid over it is brought into its cells. What cells mean to
a parcel is ``zonal``'s.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
from pyproj.exceptions import CRSError

from statewide.errors import BadArgument, UnreadableDelivery
from statewide.findings import FindingLog, plain_count, plain_number, plain_share
from statewide.geometry import Floats
from statewide.standard import CodeList, Standard

Values = npt.NDArray[np.floating[Any]]

_CELLS = 4 << 20
"""About so many cells are in memory at once, per thread."""
_SIDE = 2048
_BLOCK_CELLS = 16 << 20
"""A file whose blocks are larger cannot be read in parts."""
_CACHE = 32 << 20
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TO_COG = "Make it one that can be read in parts: gdal_translate -of COG {name} {stem}_cog.tif"
_UNIT_TAGS = frozenset(
    {"unit", "units", "unittype", "depth_units", "vertical_units", "vert_units", "z_units", "zunits"}
)
_DATUM_TAGS = frozenset({"vertical_datum", "verticaldatum", "vert_datum", "v_datum", "vdatum", "datum_vertical"})
_LONGEST_EDGE = 1000.0


@dataclass(frozen=True)
class Grid:
    """A grid, and how its numbers become feet. It pickles: workers open the file themselves.

    `left`, `top` are the outer corner of the first cell and `cell_width`, `cell_height` the steps from it, the latter
    negative where north is up. Cells are not mapped when they are not a number, `nodata` (NaN where there is none), at
    or below `filler_max`, or at or above `filler_min`; all in the file's own numbers, before `scale` and `offset`.
    """

    path: Path
    width: int
    height: int
    left: float
    top: float
    cell_width: float
    cell_height: float
    crs: str
    dtype: str
    block: tuple[int, int]
    nodata: float
    masked: bool
    scale: float
    offset: float
    filler_max: float = -math.inf
    filler_min: float = math.inf
    feet: float = 1.0
    nodata_is_dry: bool = False

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Least and greatest x and y as (west, south, east, north)."""
        xs = self.left, self.left + self.width * self.cell_width
        ys = self.top, self.top + self.height * self.cell_height
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns of the windows that the grid is read in: whole blocks, so that none is unpacked twice."""
        rows, columns = self.block
        wide = columns * max(1, min(_SIDE, self.width) // columns)
        high = rows * max(1, _CELLS // wide // rows)
        return min(high, self.height), min(wide, self.width)

    @property
    def cell_rules(self) -> tuple[float, float, float, float, float, bool]:
        """What `coverage_kernel.clean` goes by."""
        return self.nodata, self.filler_max, self.filler_min, self.scale, self.offset, self.nodata_is_dry

    def windows(self) -> Iterator[tuple[slice, slice]]:
        """All windows, as slices of rows and columns."""
        high, wide = self.window
        for row in range(0, self.height, high):
            for column in range(0, self.width, wide):
                yield slice(row, min(row + high, self.height)), slice(column, min(column + wide, self.width))

    def to_cells(self, points: Floats, epsg: int | None) -> Floats:
        """Points (n, 2) of a coordinate system, the grid's own if None, in columns and rows of the grid."""
        if epsg is not None and not _same_numbers(epsg, self.crs, self.bounds):
            points = _project(_degrees(points, epsg), self.crs)
        cells: Floats = points - (self.left, self.top)
        cells /= self.cell_width, self.cell_height
        return cells

    def longest_edge(self, epsg: int | None) -> float:
        """How long an edge may be so that it is straight in the grid's system too, to about two millimetres."""
        straight = epsg is None or _same_numbers(epsg, self.crs, self.bounds)
        return math.inf if straight else _LONGEST_EDGE


class Reader:
    """A grid, open within `with`. For one thread at a time."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def __enter__(self) -> Reader:
        with ExitStack() as stack:
            # The cache is bounded only as long as this lasts.
            stack.enter_context(gdal())
            self._dataset = stack.enter_context(_open(self.grid.path))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def read(self, rows: slice, columns: slice) -> Values:
        """Cells of a window as they stand in the file, as floats that may be written to; see `clean` for the rest.

        Raises:
            UnreadableDelivery: the file is damaged here.
        """
        from rasterio.errors import RasterioError
        from rasterio.windows import Window

        grid = self.grid
        window = Window.from_slices(rows, columns)
        try:
            values = self._dataset.read(1, window=window)
            mask = self._dataset.read_masks(1, window=window) if grid.masked else None
        except RasterioError as error:
            raise UnreadableDelivery(
                f"{grid.path.name} is damaged at row {rows.start + 1:,} to {rows.stop:,}; fetch it again."
            ) from error
        if values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
        if mask is not None:
            values[mask == 0] = np.nan
        found: Values = values
        return found


@contextmanager
def gdal() -> Iterator[None]:
    """GDAL as it must be set for all reading of grids: little cache, no files beside the one named."""
    import rasterio

    with rasterio.Env(
        GDAL_CACHEMAX=_CACHE,
        GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",
        GTIFF_REPORT_COMPD_CS=True,
        GDAL_PAM_ENABLED=False,
    ):
        yield


@dataclass(frozen=True)
class Stated:
    """What the file says of itself, in its own words; None where it says nothing."""

    units: str | None
    datum: str | None
    crs: str | None
    nodata: float | None


def open_grid(path: Path) -> tuple[Grid, Stated]:
    """Read the header of a grid.

    Raises:
        UnreadableDelivery: not a GeoTIFF of one band of numbers, or one that cannot be read in parts.
    """
    name = path.name
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except IsADirectoryError:
        head = b""
    except OSError as error:
        raise UnreadableDelivery(f"{name} cannot be read: {error.strerror}.") from error
    if head.startswith(b"PK"):
        raise UnreadableDelivery(f"{name} is a zip; unpack it and name the GeoTIFF in it.")
    if head not in _TIFF:
        raise UnreadableDelivery(
            f"{name} is not a GeoTIFF. Make one of it: gdal_translate -of COG {name} {path.stem}.tif"
        )
    with gdal(), _open(path) as dataset:
        return _header(path, dataset)


def _open(path: Path) -> Any:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            # Whole from the root, a path is never taken for an address or for an archive.
            return rasterio.open(path.absolute(), driver="GTiff")
        except RasterioError as error:
            raise UnreadableDelivery(f"{path.name} is not a GeoTIFF that can be read; fetch it again.") from error


def _header(path: Path, dataset: Any) -> tuple[Grid, Stated]:
    name, place = path.name, dataset.transform
    kind = np.dtype(dataset.dtypes[0]).kind if "complex" not in dataset.dtypes[0] else "c"
    if dataset.count != 1 or kind not in "iuf" or dataset.colorinterp[0].name == "palette":
        what = f"{dataset.count} bands" if dataset.count != 1 else "colours" if kind in "iu" else "complex numbers"
        raise UnreadableDelivery(f"{name} holds {what}; a depth grid has one band of depths.")
    if place.is_identity or not (place.a and place.e):
        raise UnreadableDelivery(f"{name} does not say where it lies (no geotransform).")
    if place.b or place.d:
        raise UnreadableDelivery(
            f"{name} is rotated; its cells do not lie along the axes of its coordinate system. Turn it upright:"
            f" gdalwarp {name} {path.stem}_upright.tif"
        )
    block = dataset.block_shapes[0]
    if block[0] * block[1] > _BLOCK_CELLS:
        raise UnreadableDelivery(
            f"{name} is stored in pieces of {plain_number(block[0] * block[1])} cells, too large to hold."
            f" {_TO_COG.format(name=name, stem=path.stem)}"
        )
    nodata = dataset.nodata
    if nodata is not None and kind == "f":
        with np.errstate(over="ignore"):
            nodata = float(np.dtype(dataset.dtypes[0]).type(nodata))
    wkt = dataset.crs.to_wkt(version="WKT2_2019") if dataset.crs else None
    grid = Grid(
        path=path,
        width=dataset.width,
        height=dataset.height,
        left=place.c,
        top=place.f,
        cell_width=place.a,
        cell_height=place.e,
        crs=wkt or "",
        dtype=dataset.dtypes[0],
        block=block,
        nodata=math.nan if nodata is None else float(nodata),
        masked=any(flag.name == "per_dataset" for flag in dataset.mask_flag_enums[0]),
        scale=dataset.scales[0],
        offset=dataset.offsets[0],
    )
    tags = {key.casefold(): text for key, text in {**dataset.tags(), **dataset.tags(1)}.items()}
    vertical = _vertical(wkt)
    units = dataset.units[0] or _tag(tags, _UNIT_TAGS)
    datum = _tag(tags, _DATUM_TAGS) or (vertical.name if vertical else None)
    return grid, Stated(units, datum, wkt, nodata)


def _tag(tags: dict[str, str], names: frozenset[str]) -> str | None:
    return next((tags[name].strip() for name in sorted(names & tags.keys()) if tags[name].strip()), None)


def _vertical(wkt: str | None) -> pyproj.CRS | None:
    try:
        return next((part for part in pyproj.CRS(wkt).sub_crs_list if part.is_vertical), None) if wkt else None
    except CRSError:
        return None


@dataclass(frozen=True)
class Survey:
    """All cells of a grid, counted once: in all, not mapped, not mapped by a value that nobody declared, wet; feet."""

    cells: int
    unmapped: int
    undeclared: int
    wet: int
    deepest_ft: float | None


def judge(
    grid: Grid, stated: Stated, log: FindingLog, *, units: str | None = None, datum: str | None = None
) -> tuple[str | None, str | None]:
    """The unit and the vertical datum, by code; what is wrong goes to `log`, and blocks there.

    Args:
        units, datum: as the operator says, by code or any of its spellings.

    Raises:
        BadArgument: `units` or `datum` is none that the law knows.
    """
    law = log.standard
    unit = _settle(log, "UNITS", "--units", law.code_lists["length_unit"], units, stated.units)
    settled_datum = _settle(log, "DATUM", "--datum", law.code_lists["vertical_datum"], datum, stated.datum)
    _judge_place(grid, stated, law, log)
    return unit, settled_datum


def settled(grid: Grid, standard: Standard, unit: str, nodata_is_dry: bool) -> Grid:
    """The grid as it is to be read: its unit known, and which values are no depths."""
    limits = standard.checks["GRID_NODATA_MISSING"].limits
    feet = next(code.value for code in standard.code_lists["length_unit"].codes if code.code == unit)
    return replace(
        grid,
        filler_max=limits["filler_max"],
        filler_min=limits["filler_min"],
        feet=feet or 1.0,
        nodata_is_dry=nodata_is_dry,
    )


def _settle(
    log: FindingLog, what: str, option: str, known: CodeList, given: str | None, stated: str | None
) -> str | None:
    """The code that operator and file agree on; None, and a finding, when neither says it or they differ."""
    lookup = known.lookup()
    choices = ", ".join(code.code for code in known.codes)
    if given is not None and given.casefold() not in lookup:
        raise BadArgument(f"{option} {given} is none that we know; there is: {choices}.")
    said = lookup[given.casefold()] if given is not None else None
    written = " ".join(stated.split()) if stated else None
    read = lookup.get(written.casefold()) if written else None
    if written and (read is None or (said and said != read)):
        why = f"you say {said}" if read else f"that is none of {choices}"
        log.add(f"GRID_{what}_DOUBTFUL", value=written, why=why)
        return None
    if not (said or read):
        log.add(f"GRID_{what}_MISSING", choices=choices)
    return said or read


def _judge_place(grid: Grid, stated: Stated, standard: Standard, log: FindingLog) -> None:
    hint = _place_hint(grid, standard)
    if stated.crs is None:
        log.add("GRID_CRS_MISSING", hint=hint)
        return
    try:
        crs = _horizontal(stated.crs)
        base = _datum_name(crs)
    except CRSError:
        log.add("GRID_CRS_MISSING", hint=hint)
        return
    title = crs.name
    if base.casefold() not in _data(standard):
        reasons = {_datum_name(pyproj.CRS.from_epsg(it.epsg)): it.reason for it in standard.header.quarantined_crs}
        why = reasons.get(base, "Only NAD83 and WGS 84 are read here.")
        log.add("GRID_CRS_REFUSED", value=title, datum=base, why=why)
        return
    west, south, east, north = grid.bounds
    state = _extent_in(stated.crs, standard)
    touches = state[0] < east and west < state[2] and state[1] < north and south < state[3]
    if touches:
        return
    corner = f"{plain_number(west, 3)}, {plain_number(south, 3)} to {plain_number(east, 3)}, {plain_number(north, 3)}"
    beyond = crs.is_geographic and (west < -360 or east > 360 or south < -90 or north > 90)
    small = crs.is_projected and max(map(abs, grid.bounds)) <= 360
    if hint or beyond or small:
        log.add("GRID_CRS_DOUBTFUL", value=title, bounds=corner, hint=hint)
    else:
        log.add("GRID_OUTSIDE_STATE", value=title, bounds=corner, state=standard.header.state)


def judge_cells(grid: Grid, stated: Stated, survey: Survey, log: FindingLog) -> None:
    """What the cells themselves give away: fillers that nobody declared, no water at all, depths that are none."""
    if stated.nodata is None and not grid.masked:
        if survey.undeclared:
            said = f"{plain_count(survey.undeclared, 'cell')} at or below {grid.filler_max:,.0f} or beyond all measure"
            guess = f"{said} were taken for it"
        else:
            guess = "every cell was taken as mapped"
        log.add("GRID_NODATA_MISSING", guess=guess)
    elif survey.undeclared:
        log.add("GRID_NODATA_ODD", cells=plain_count(survey.undeclared, "cell"), value=stated.nodata)
    if not survey.wet:
        log.add(
            "GRID_DRY", cells=plain_count(survey.cells, "cell"), unmapped=plain_share(survey.unmapped / survey.cells)
        )
        return
    most = log.check("GRID_DEPTHS_DOUBTFUL").limits["depth_ft_max"]
    mapped = survey.cells - survey.unmapped
    if survey.deepest_ft is not None and survey.deepest_ft > most:
        why = f"the greatest is {plain_number(survey.deepest_ft, 1)} ft"
        log.add("GRID_DEPTHS_DOUBTFUL", value=round(survey.deepest_ft, 2), why=why)
    elif survey.wet == mapped and not survey.unmapped:
        log.add("GRID_DEPTHS_DOUBTFUL", why="every cell of the grid is under water")


def survey(grid: Grid, say: Callable[[float], None] = lambda _: None) -> Survey:
    """Count all cells, window by window.

    Args:
        say: told of the share that is done, in tenths.

    Raises:
        UnreadableDelivery: a part of the file is damaged.
    """
    from resilience.coverage_kernel import clean, tile_flags

    unmapped = undeclared = wet = told = 0
    deepest = -math.inf
    with Reader(grid) as reader:
        for rows, columns in grid.windows():
            values = reader.read(rows, columns)
            counted = clean(values, *grid.cell_rules, tile_flags(values))
            unmapped, undeclared, wet = unmapped + counted[0], undeclared + counted[1], wet + counted[2]
            deepest = max(deepest, counted[3])
            tenths = 10 * rows.stop // grid.height
            if tenths > told:
                told = tenths
                say(tenths / 10)
    return Survey(grid.width * grid.height, unmapped, undeclared, wet, deepest * grid.feet if wet else None)


def _same_numbers(epsg: int, wkt: str, bounds: tuple[float, float, float, float]) -> bool:
    """Whether a place has the same numbers in both systems, as all realisations of NAD83 in State Plane do."""
    corners = np.array(bounds).reshape(2, 2)
    with np.errstate(invalid="ignore"):
        moved = _project(_degrees_of(corners, wkt), pyproj.CRS.from_epsg(epsg).to_wkt())
    # PROJ tells some realisations apart by a tenth of a millimetre.
    return bool(np.allclose(moved, corners, rtol=0, atol=1e-3))


def _degrees(points: Floats, epsg: int) -> Floats:
    return _degrees_of(points, pyproj.CRS.from_epsg(epsg).to_wkt())


def _degrees_of(points: Floats, wkt: str) -> Floats:
    """Longitude and latitude on the system's own datum: no step between data, as everywhere here (`geometry`)."""
    projection = _projection(wkt)
    return points if projection is None else np.column_stack(projection(points[:, 0], points[:, 1], inverse=True))


def _project(degrees: Floats, wkt: str) -> Floats:
    projection = _projection(wkt)
    return degrees if projection is None else np.column_stack(projection(degrees[:, 0], degrees[:, 1]))


@functools.cache
def _projection(wkt: str) -> pyproj.Proj | None:
    crs = _horizontal(wkt)
    return None if crs.is_geographic else pyproj.Proj(crs)


def _horizontal(wkt: str) -> pyproj.CRS:
    crs = pyproj.CRS(wkt)
    return crs.sub_crs_list[0] if crs.is_compound else crs


def _extent_in(wkt: str, standard: Standard) -> tuple[float, float, float, float]:
    """Least and greatest x and y of the State in a system."""
    west, south, east, north = standard.header.extent.bbox
    across, up = np.linspace(west, east, 9), np.linspace(south, north, 9)
    points = _project(np.array([(x, y) for x in across for y in up]), wkt)
    points = points[np.isfinite(points).all(axis=1)]
    # A system of the other side of the Earth has no numbers for the State.
    return (*points.min(axis=0, initial=np.inf), *points.max(axis=0, initial=-np.inf))


def _data(standard: Standard) -> set[str]:
    """The horizontal data of the systems that the State accepts."""
    return {_datum_name(pyproj.CRS.from_epsg(it.epsg)).casefold() for it in standard.header.accepted_crs}


def _datum_name(crs: pyproj.CRS) -> str:
    """Name of the horizontal datum; empty for a system without one. EPSG's "ensemble" is GeoTIFF's plain WGS 84."""
    base = crs.geodetic_crs
    return base.datum.name.removesuffix(" ensemble") if base and base.datum else ""


def _place_hint(grid: Grid, standard: Standard) -> str:
    """The accepted system in which the middle of the grid would lie in the State; empty if there is none."""
    west, south, east, north = grid.bounds
    x, y = (west + east) / 2, (south + north) / 2
    for system in standard.header.accepted_crs:
        if system.same_digits_as is None:
            state = _extent_in(pyproj.CRS.from_epsg(system.epsg).to_wkt(), standard)
            if state[0] < x < state[2] and state[1] < y < state[3]:
                return f" Read in EPSG:{system.epsg} ({system.title}), it would lie in {standard.header.state}."
    return ""
