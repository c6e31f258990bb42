"""A reading → rows under the standard's names: columns found, CRS settled, shapes valid, values conformed.

The first half of a delivery's walk. Nothing here knows the database; what is wrong becomes a finding.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from statewide import files
from statewide.crosswalk import Crosswalk
from statewide.crs import CrsDecision, crs_findings, settle_crs
from statewide.ddl import has_shapes, of_points
from statewide.findings import FindingLog, plain_number, plain_share
from statewide.geometry import Repaired, Shapes, repair, single_points, to_storage, valid
from statewide.register import Town
from statewide.standard import Standard, Table


@dataclass(frozen=True)
class Rows:
    """A delivery on its way: delivered columns, conformed columns, and shapes in the storage CRS, all in row order.

    `given` are the shapes as delivered (2-D, not repaired), `shapes` the valid MultiPolygons, or Points where the table
    is one of points; None where there is none.
    `joined` is the value by which a row meets those of the town's other datasets; None where nobody knows yet.
    """

    source: pa.Table
    conformed: pa.Table
    given: Shapes
    shapes: Shapes
    moved_sqft: np.ndarray[Any, np.dtype[np.float64]]
    crosswalk: Crosswalk
    crs: CrsDecision
    joined: pa.Array | None = None

    @functools.cached_property
    def row_no(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Numbers of the rows in the file, from 1, ascending; a row that could not be read leaves a gap."""
        return np.asarray(self.source.column("row_no").to_numpy(), dtype=np.int64)

    def index_of(self, row_no: int) -> int:
        """Where the row of that number stands in the arrays."""
        return int(np.searchsorted(self.row_no, row_no))

    def label(self, row_no: int, column: str) -> str | None:
        """A row's name for a reader."""
        value = self.conformed.column(column)[self.index_of(row_no)].as_py()
        return None if value is None else str(value)


def delivered_shapes(reading: files.Reading) -> Shapes:
    """The delivered shapes, in the file's own coordinates; a corner that is no number is found later, by `repair`."""
    with np.errstate(invalid="ignore"):
        return np.asarray(shapely.from_wkb(reading.table.column("geometry").to_numpy()), dtype=object)


def shape_facts(reading: files.Reading, given: Shapes) -> dict[str, int]:
    """Counts of the shapes as given, in the file's own coordinates."""
    present = ~shapely.is_missing(given)
    repeats = reading.table.column("geometry").drop_null().value_counts().field("counts").to_numpy()
    return {
        "rows": reading.rows_read,
        "null_geometry": int((~present).sum()),
        "invalid_geometry": int((~valid(given[present])).sum()),
        "multipart": int((shapely.get_num_geometries(given[present]) > 1).sum()),
        "rows_sharing_a_geometry": int(repeats[repeats > 1].sum()),
    }


def file_findings(
    log: FindingLog, reading: files.Reading, table: Table, any_of: Sequence[str], source: str, crosswalk: Crosswalk
) -> None:
    """What is wrong with the file as a whole and with its columns.

    Args:
        any_of: fields of which at least one must be filled.
        source: the town's reviewed file, as a reader finds it.
    """
    columns = ", ".join(name for name in reading.table.column_names if name not in ("row_no", "geometry"))
    without_shape = reading.table.column("geometry").null_count == len(reading.table)
    if not len(reading.table) or (has_shapes(table) and without_shape):
        log.add("NO_ROWS", layer=reading.layer.name)
    counted = reading.rows_counted if reading.rows_counted is not None else reading.rows_declared
    if reading.geometries_lost or (counted is not None and counted != reading.rows_read):
        log.add(
            "SHORT_READ",
            counted=counted,
            read=reading.rows_read,
            lost=reading.geometries_lost,
        )
    for complaint in reading.warnings:
        log.add("RECORD_UNREADABLE", complaint=complaint)
    if not any(name in crosswalk.mapping for name in any_of):
        wanted = " or ".join(dict.fromkeys(table.field(name).maps_to.get("ct_layer", name) for name in any_of))
        log.add("KEY_COLUMN_MISSING", wanted=wanted, columns=columns, source=source)
    for column in crosswalk.unmapped:
        log.add("COLUMN_UNMAPPED", column=column, source=source)
    for name, rival in crosswalk.rivals.items():
        log.add(
            "COLUMN_AMBIGUOUS",
            column=crosswalk.mapping[name],
            field=table.field(name).title,
            rival=rival,
            source=source,
        )
    for name, column in crosswalk.mapping.items():
        if crosswalk.how[name] == "guessed":
            log.add("COLUMN_GUESSED", column=column, field=table.field(name).title, source=source)
    for name, before, column_now in crosswalk.drift:
        now = f"it now comes from {column_now}" if column_now else "no column of this file fills it"
        log.add("COLUMN_DRIFT", column=before, field=table.field(name).title, now=now, source=source)
    for column in crosswalk.withheld:
        log.add("COLUMN_WITHHELD", column=column)


def settle(
    log: FindingLog,
    reading: files.Reading,
    table: Table,
    given: Shapes,
    town: Town,
    standard: Standard,
    *,
    live: Shapes | None = None,
    reviewed: int | None = None,
) -> tuple[CrsDecision, Shapes, Repaired]:
    """Settle the CRS and bring the shapes to the storage CRS: the decision, the shapes as given, and repaired.

    Args:
        live: the town's shapes as they are published now, or their boxes.
        reviewed: EPSG code of the town's reviewed file.
    """
    layer = reading.layer

    def usable(shapes: Shapes) -> Repaired:
        if of_points(table):
            return single_points(shapes)
        return repair(shapes, log.check("GEOMETRY_UNUSABLE").limits["width_ft_max"])

    if shapely.is_missing(given).all():  # NO_ROWS says it; there is no position to settle
        return CrsDecision(layer.crs_epsg, "unknown", 0.0), given, usable(given)
    if bool(shapely.has_z(given[~shapely.is_missing(given)]).any()):
        log.add("Z_DROPPED", geometry_type=layer.geometry_type)
    # GeoJSON is in degrees unless it says otherwise; numbers that cannot be degrees say otherwise.
    unsaid = reading.kind in ("geojson", "geojsonseq") and bool(np.nanmax(np.abs(shapely.total_bounds(given))) > 360)
    stated = (None, None) if unsaid else (layer.crs_epsg, layer.crs_wkt)
    crs = settle_crs(given, *stated, town.outline, standard, live=live, reviewed=reviewed, by_name=layer.crs_by_name)
    crs_findings(log, crs)
    if crs.epsg is None:
        # Nothing can be measured without a coordinate system: the rows count, their area does not.
        nowhere = np.full(len(given), None, dtype=object)
        return crs, nowhere, usable(nowhere)
    moved = to_storage(given, crs.epsg, standard)
    return crs, moved, usable(moved)


def shape_findings(log: FindingLog, rows: Rows, repaired: Repaired) -> None:
    """Rows without a shape, with an unusable one, or with one that was repaired."""
    limits = log.check("GEOMETRY_REPAIR_LARGE").limits
    missing = shapely.is_missing(rows.given)
    if rows.crs.epsg is not None:
        for row_no in rows.row_no[missing]:
            log.add("GEOMETRY_MISSING", row_no=int(row_no))
    for index in np.flatnonzero(repaired.unusable):
        place = int(index)
        log.add(
            "GEOMETRY_UNUSABLE", row_no=int(rows.row_no[place]), why=repaired.why[place], shape=repaired.where[place]
        )
    for index in np.flatnonzero(repaired.repaired):
        place = int(index)
        moved, area = abs(float(repaired.moved_sqft[place])), float(shapely.area(repaired.shapes[place]))
        large = moved > limits["sqft_max"] or moved > limits["share_max"] * area
        log.add(
            "GEOMETRY_REPAIR_LARGE" if large else "GEOMETRY_REPAIRED",
            row_no=int(rows.row_no[place]),
            why=repaired.why[place],
            shape=repaired.where[place],
            moved_sqft=plain_number(moved, 2),
            area_sqft=plain_number(area),
            share=plain_share(moved / area),
        )
