"""Depth grids: from a GeoTIFF to the current version of the layer, and what that version says of parcels and points.

A grid stays the file that it was: kept by its checksum below the platform's home, never resampled, read where a parcel
lies. What is wrong with it is found by ``rasters``, what its cells mean to a parcel by ``zonal``.
"""

from __future__ import annotations

import datetime as dt
import functools
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from resilience.ground import Current, inner_points
from resilience.layer_reading import LIMITS, place
from resilience.layer_versions import Load, known_summary, make_current, named, write_coverage
from resilience.parcel_answers import Shares, parcel_answers
from resilience.rasters import Grid, judge, judge_cells, open_grid, settled, survey
from resilience.severity import NOT_MAPPED, Severity, Zone
from resilience.zonal import depth_at, zonal
from statewide.database import Connection
from statewide.errors import BadArgument, PlatformError, StorageFull, UnreadableDelivery, no_room
from statewide.files import read
from statewide.findings import FindingLog, plain_share
from statewide.geometry import Floats, Shapes
from statewide.receiving import file_sha256
from statewide.replace import begin_for_town
from statewide.standard import Standard, load_standard

LAYER = "depth-grid"
DRY = "dry"
_NOISE_SQFT = 1e-6
"""Areas below are what rounding leaves of cells that a parcel only touches."""


@dataclass(frozen=True)
class GridLoad(Load):
    """A load of a grid: how its numbers are read belongs to what makes it the same."""

    units: str = "ft"
    nodata_is_dry: bool = False

    @property
    def load_id(self) -> uuid.UUID:
        """Identifier of the load."""
        return uuid.uuid5(super().load_id, f"{self.units}/{self.v_datum}/{self.nodata_is_dry}")


def load_depth_grid(
    connection: Connection,
    standard: Standard,
    path: Path,
    *,
    version: str,
    work: Path,
    home: Path,
    units: str | None = None,
    datum: str | None = None,
    nodata_is_dry: bool = False,
    coverage: Path | None = None,
    effective_on: dt.date | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Make the file the current version of the depth grid, in the caller's transaction.

    Args:
        path: a GeoTIFF of one band.
        work: folder for what is being read, on the disk of `home`.
        home: the file is kept below it.
        units, datum: unit of the depths and vertical datum, where the file does not say them.
        nodata_is_dry: cells without data were studied and are dry.
        coverage: polygons that were studied; in them cells without data are dry.

    Returns:
        ``outcome``: ``published``, ``unchanged`` when this version is current already, or ``refused``; the findings,
        and counts.

    Raises:
        UnreadableDelivery: the file is no grid that we can read, or the coverage no map.
        BadArgument: the version was loaded before from other content or otherwise read, or an option makes no sense.
    """
    version = named(standard, version)
    if nodata_is_dry and coverage:
        raise BadArgument("Say --nodata-is-dry or --coverage: either all cells without data are dry, or those in it.")
    say(f"Reading {path.name}")
    grid, stated = open_grid(path)
    log = FindingLog(standard, "hazard_layer_version", dt.date.today().year, "", "")
    unit, v_datum = judge(grid, stated, log, units=units, datum=datum)
    studied, coverage_sha256 = _coverage(log, coverage, work) if coverage else (None, None)
    if unit is None or log.blocking():
        return _refused(version, path, log)
    grid = settled(grid, standard, unit, nodata_is_dry)
    load = GridLoad(
        LAYER, version, effective_on, path.name, file_sha256(path), coverage_sha256, None, v_datum,
        units=unit, nodata_is_dry=nodata_is_dry,
    )  # fmt: skip
    if known := known_summary(connection, load):
        return {"outcome": "unchanged", **known}
    counted = survey(grid, lambda share: say(f"Counting cells: {share:.0%}"))
    judge_cells(grid, stated, counted, log)
    _judge_coverage(grid, studied, standard, log)
    if log.blocking():
        return _refused(version, path, log)
    _keep(path, load.source_sha256, work, home)
    summary = {
        "layer": LAYER,
        "version": version,
        "effective_on": str(effective_on) if effective_on else None,
        "file": path.name,
        "units": unit,
        "v_datum": v_datum,
        "nodata_is_dry": nodata_is_dry,
        "coverage": _coverage_sentence(nodata_is_dry, coverage),
        "cells": {"all": counted.cells, "not_mapped": counted.unmapped, "wet": counted.wet},
        "deepest_ft": round(counted.deepest_ft or 0.0, 4),
        "findings": _findings(log),
    }
    begin_for_town(connection, LAYER, "statewide")
    if known := known_summary(connection, load):
        return {"outcome": "unchanged", **known}
    make_current(connection, standard, load, summary)
    if studied is not None:
        write_coverage(connection, standard, studied, load.load_id)
    return {"outcome": "published", **summary}


def _refused(version: str, path: Path, log: FindingLog) -> dict[str, Any]:
    return {
        "outcome": "refused",
        "layer": LAYER,
        "version": version,
        "file": path.name,
        "findings": _findings(log),
    }


def _findings(log: FindingLog) -> list[dict[str, str]]:
    names = "code", "severity", "title", "sentence", "fix"
    return [{name: getattr(finding, name) for name in names} for finding in log.sorted()]


def _coverage_sentence(nodata_is_dry: bool, coverage: Path | None) -> str:
    if coverage:
        return f"Cells without data are dry in the polygons of {coverage.name}, and not mapped elsewhere."
    if nodata_is_dry:
        return "Cells without data are dry, as was said (--nodata-is-dry); what lies outside of the grid is not mapped."
    return "Cells without data are not mapped: whether they are dry was not said."


def _coverage(log: FindingLog, path: Path, work: Path) -> tuple[Shapes | None, str]:
    """The studied polygons in the storage CRS, None with a finding where they lie nowhere; the file's checksum."""
    reading = read(path, work=work, limits=LIMITS)
    short = reading.rows_counted is not None and reading.rows_read < reading.rows_counted
    if short or reading.geometries_lost or reading.broken_rows:
        raise UnreadableDelivery(f"{reading.path_name} is damaged; fetch it again.")
    placed = place(log, reading, lambda: None)
    return (placed.shapes[~shapely.is_missing(placed.shapes)] if placed else None), reading.sha256


def _judge_coverage(grid: Grid, studied: Shapes | None, standard: Standard, log: FindingLog) -> None:
    """Whether the grid reaches as far as the polygons say that was studied."""
    if studied is None:
        return
    epsg = standard.header.storage_crs
    area = shapely.area(studied)
    mapped = zonal(studied, grid, crs=epsg, studied=studied).mapped_share_pct
    beyond = 1 - float(np.nansum(area * mapped) / 100 / area.sum())
    if beyond > log.check("GRID_COVERAGE_BEYOND").limits["share_min"]:
        log.add("GRID_COVERAGE_BEYOND", share=plain_share(beyond))


def kept_at(home: Path, sha256: str) -> Path:
    """Where a grid is kept."""
    return home / "grids" / sha256[:2] / f"{sha256}.tif"


def _keep(path: Path, sha256: str, work: Path, home: Path) -> None:
    target = kept_at(home, sha256)
    if target.exists():
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = work / target.name
        shutil.copyfile(path, partial)
        if file_sha256(partial) != sha256:
            raise UnreadableDelivery(f"{path.name} changed while it was read; load it again when it is whole.")
        partial.replace(target)
    except OSError as error:
        if no_room(error):
            raise StorageFull("There is no room to keep the grid; nothing was changed.") from error
        raise PlatformError(f"{path.name} could not be kept ({error.strerror}); nothing was changed.") from error


@dataclass(frozen=True)
class DepthGround:
    """A version of the depth grid, ready to be asked. Workers that it is sent to read the grid at the same path."""

    standard: Standard
    grid: Grid
    studied: Shapes | None
    v_datum: str | None
    overlap_sqft: float = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process has the law for itself.
        return _ground, (self.grid, self.studied, self.v_datum)

    def parcels(self, shapes: Shapes) -> dict[str, pa.Array]:
        """What is said of parcels, by column of the law. Shapes are valid polygons in the storage CRS."""
        header = self.standard.header
        found = zonal(shapes, self.grid, crs=header.storage_crs, studied=self.studied, depths_ft=self.steps)
        area = shapely.area(shapes)
        dry = found.mapped_share_pct - found.wet_share_pct
        sqft = np.nan_to_num(np.column_stack([found.wet_share_by_depth_pct, dry])) * area[:, None] / 100
        parcel, zone = np.nonzero(sqft > _NOISE_SQFT)
        answers = parcel_answers(
            self.severity,
            self.zones,
            Shares(parcel, zone, sqft[parcel, zone]),
            area,
            np.zeros(len(shapes)),
            header.coordinate_tolerance_ft * shapely.length(shapes),
            header.area_tolerance_sqft,
        )
        deepest = np.where(np.array(answers["worst_class"]) == DRY, 0.0, found.max_ft)
        answers["centroid_class"] = self._classes(self._depth_at(inner_points(shapes)))
        answers["v_datum"] = pa.array([self.v_datum] * len(shapes), pa.string())
        answers["depth_mean_ft"] = _numbers(found.mean_ft)
        answers["depth_max_ft"] = _numbers(deepest)
        answers["wet_share_pct"] = _numbers(found.wet_share_pct)
        for column in ("sfha_area_sqft", "sfha_share_pct"):
            answers[column] = pa.nulls(len(shapes), pa.float64())
        return answers

    def addresses(self, points: Shapes) -> dict[str, pa.Array]:
        """What is said of address points, by column of the law. Points are in the storage CRS."""
        depth = self._depth_at(shapely.get_coordinates(points))
        classes = self._classes(depth)
        names = classes.to_pylist()
        mapped = ~np.isnan(depth)
        return {
            "zone_class": classes,
            "zone_class_rank": pa.array([self.severity.rank.get(name) for name in names], pa.int32()),
            "class_value": pa.array([self.severity.value.get(name) for name in names], pa.float64()),
            "coverage": pa.array(np.where(mapped, "mapped", "not mapped").tolist(), pa.string()),
            "v_datum": pa.array([self.v_datum if known else None for known in mapped], pa.string()),
            "depth_ft": _numbers(depth),
        }

    @functools.cached_property
    def severity(self) -> Severity:
        """Ranks and numbers of the classes."""
        return Severity.of(self.standard)

    @functools.cached_property
    def zones(self) -> list[Zone]:
        """A place of each class: wet from the shallowest on, then dry."""
        codes = [code for code in self.standard.code_lists["hazard_class"].codes if LAYER in code.layers]
        wet = sorted((code.value, code.code) for code in codes if code.value is not None)
        return [*(Zone(code) for _, code in wet), Zone(DRY)]

    @functools.cached_property
    def steps(self) -> list[float]:
        """Depths in feet from which on the wet classes are."""
        return [self.severity.value[zone.zone_class] for zone in self.zones[:-1]]

    def _depth_at(self, xy: Floats) -> Floats:
        return depth_at(xy[:, 0], xy[:, 1], self.grid, crs=self.standard.header.storage_crs, studied=self.studied)

    def _classes(self, depth: Floats) -> pa.Array:
        """Class of each depth in feet; 0 is dry, NaN is not mapped."""
        place: npt.NDArray[np.int64] = np.searchsorted(self.steps, depth, side="right") - 1
        place[depth <= 0] = len(self.steps)
        place[np.isnan(depth)] = len(self.steps) + 1
        return pa.array([*(zone.zone_class for zone in self.zones), NOT_MAPPED], pa.string()).take(pa.array(place))


def _ground(grid: Grid, studied: Shapes | None, v_datum: str | None) -> DepthGround:
    return DepthGround(load_standard(), grid, studied, v_datum)


def _numbers(values: Floats) -> pa.Array:
    return pa.array(np.round(values, 4), pa.float64(), from_pandas=True)


def read_grid(connection: Connection, standard: Standard, current: Current, home: Path) -> DepthGround:
    """The version's grid, from below `home`.

    Raises:
        PlatformError: it is not there.
    """
    row = connection.execute(
        "SELECT source_sha256, summary ->> 'units', (summary ->> 'nodata_is_dry')::boolean, v_datum"
        " FROM resilience.hazard_layer_version WHERE layer_load_id = %s",
        [current.load_id],
    ).fetchone()
    assert row is not None
    sha256, unit, nodata_is_dry, v_datum = row
    path = kept_at(home, sha256)
    if not path.exists():
        raise PlatformError(f"The depth grid {current.version} is not at {path}; load it again.")
    grid, _ = open_grid(path)
    polygons = connection.execute(
        "SELECT ST_AsBinary(geom) FROM resilience.hazard_coverage WHERE layer_load_id = %s", [current.load_id]
    ).fetchall()
    studied = shapely.from_wkb(np.array([wkb for (wkb,) in polygons], dtype=object)) if polygons else None
    return DepthGround(standard, settled(grid, standard, unit, nodata_is_dry), studied, v_datum)
