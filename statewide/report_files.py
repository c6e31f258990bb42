"""The findings of a delivery for other programs: `report.json`, `findings.csv`, `findings.gpkg`.

Every finding that it is given is in all three. Nothing here decides or words anything; the page for people is
`statewide.report_page`.
"""

from __future__ import annotations

import csv
import errno
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from statewide.findings import Finding
from statewide.geometry import Shapes, on_earth, published_shapes, valid
from statewide.standard import SEVERITIES, Standard

COLUMNS = (
    "dataset",
    "severity",
    "check",
    "title",
    "who_mends_it",
    "row",
    "label",
    "column",
    "value",
    "sentence",
    "fix",
)
_VALUE_LISTED = 200
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class PlacedFindings:
    """Findings, the gravest first, with their dataset, the name of their row and their place; one entry per finding.

    `places` are in the storage CRS, None where there is none; `lonlat` is (n, 2) in degrees, NaN where there is none.
    """

    findings: Sequence[Finding]
    datasets: Sequence[str]
    labels: Sequence[str | None]
    places: Shapes
    lonlat: npt.NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[PlacedFindings]) -> PlacedFindings:
        """Those of several datasets, the gravest first."""
        findings = [finding for part in parts for finding in part.findings]
        order = sorted(range(len(findings)), key=lambda index: SEVERITIES.index(findings[index].severity))
        datasets = [dataset for part in parts for dataset in part.datasets]
        labels = [label for part in parts for label in part.labels]
        return cls(
            findings=[findings[index] for index in order],
            datasets=[datasets[index] for index in order],
            labels=[labels[index] for index in order],
            places=np.concatenate([part.places for part in parts])[order],
            lonlat=np.concatenate([part.lonlat for part in parts])[order],
        )

    def cells(self) -> list[tuple[str | int | None, ...]]:
        """One row per finding, as `COLUMNS`."""
        return [
            (
                dataset,
                finding.severity,
                finding.code,
                finding.title,
                finding.owner,
                finding.row_no,
                label,
                finding.column,
                None if finding.value is None else finding.value[:_VALUE_LISTED],
                finding.sentence,
                finding.fix,
            )
            for finding, dataset, label in zip(self.findings, self.datasets, self.labels, strict=True)
        ]


def place_findings(
    findings: Sequence[Finding],
    standard: Standard,
    *,
    dataset: str,
    row_no: npt.NDArray[np.int64],
    row_shapes: Shapes,
    label: Callable[[int], str | None],
) -> PlacedFindings:
    """Give each finding its row's name and a place: its own shape, else the shape of its row.

    Args:
        row_no: numbers of the rows, ascending; `row_shapes` beside them in the storage CRS.
    """
    names = {number: label(number) for number in {finding.row_no for finding in findings} if number is not None}
    places = np.full(len(findings), None, dtype=object)
    for index, finding in enumerate(findings):
        if finding.shape is not None:
            places[index] = finding.shape
        elif finding.row_no is not None:
            places[index] = row_shapes[int(np.searchsorted(row_no, finding.row_no))]
    places[~_drawable(places)] = None
    centres, _ = published_shapes(_centres(places), standard)
    lonlat = np.column_stack((shapely.get_x(centres), shapely.get_y(centres))).reshape(-1, 2)
    labels = [None if finding.row_no is None else names[finding.row_no] for finding in findings]
    return PlacedFindings(findings, [dataset] * len(findings), labels, places, lonlat)


def write_json(path: Path, head: Mapping[str, Any], placed: PlacedFindings) -> None:
    """Write `head` and, under `all_findings`, every finding; strict JSON, a number that is none becomes null."""
    listed: list[dict[str, str | float | None]] = [
        {**dict(zip(COLUMNS, cells, strict=True)), "longitude": _degrees(x), "latitude": _degrees(y)}
        for cells, (x, y) in zip(placed.cells(), placed.lonlat.tolist(), strict=True)
    ]
    text = json.dumps({**_strict(head), "all_findings": listed}, ensure_ascii=False, allow_nan=False, default=str)
    path.write_text(text + "\n", encoding="utf-8")


def write_csv(path: Path, placed: PlacedFindings, label_column: str) -> None:
    """Write one line per finding, for a spreadsheet.

    UTF-8 with a byte order mark: without one Excel reads accents and quotation marks wrong. A text that a
    spreadsheet would run as a formula gets a leading apostrophe.
    """
    header = [label_column if name == "label" else name for name in COLUMNS]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*header, "longitude", "latitude"])
        for cells, (x, y) in zip(placed.cells(), placed.lonlat.tolist(), strict=True):
            harmless = [_harmless(cell) if isinstance(cell, str) else cell for cell in cells]
            writer.writerow([*harmless, _degrees(x), _degrees(y)])


def write_gpkg(path: Path, placed: PlacedFindings, label_column: str, srid: int) -> None:
    """Write a GeoPackage: `areas` and `points`, and `without_place` for what concerns the file or has no shape.

    `areas` is there even when it is empty, so that the file always opens. A line is shown by its middle point.

    Raises:
        OSError: no room.
    """
    import pyogrio.raw  # slow to import, and wanted nowhere else in a run

    dimension = shapely.get_dimensions(placed.places)
    dimension[shapely.is_missing(placed.places)] = -1
    points = (dimension == 0) | (dimension == 1)
    layers = (
        ("areas", "MultiPolygon", dimension == 2, _multipolygons),
        ("points", "Point", points, _centres),
        ("without_place", None, dimension == -1, None),
    )
    header = [label_column if name == "label" else name for name in COLUMNS]
    cells = placed.cells()
    appending = False
    for name, kind, chosen, shaped in layers:
        if appending and not chosen.any():
            continue
        rows = [cells[index] for index in np.flatnonzero(chosen)]
        columns = [np.array([row[place] for row in rows], dtype=object) for place in range(len(COLUMNS))]
        numbers = COLUMNS.index("row")
        unnumbered = np.array([number is None for number in columns[numbers]], dtype=bool)
        columns[numbers] = np.array([number or 0 for number in columns[numbers]], dtype=np.int32)
        masks = [unnumbered if place == numbers else None for place in range(len(COLUMNS))]
        try:
            pyogrio.raw.write(
                path,
                shapely.to_wkb(shaped(placed.places[chosen])) if shaped else None,
                columns,
                header,
                field_mask=masks,
                layer=name,
                driver="GPKG",
                geometry_type=kind,
                crs=f"EPSG:{srid}" if kind else None,
                append=appending,
            )
        except RuntimeError as error:
            # GDAL does not say what failed; after the columns above, only the disk can.
            raise OSError(errno.ENOSPC, str(error)) from error
        appending = True


def _drawable(places: Shapes) -> npt.NDArray[np.bool_]:
    """Which shapes have a place at all: there, not empty, every coordinate a number and on the Earth."""
    drawable: npt.NDArray[np.bool_] = ~(shapely.is_missing(places) | shapely.is_empty(places)) & on_earth(places)
    return drawable


def _centres(places: Shapes) -> Shapes:
    """A point on each shape: of several points the first, of an area that is not valid the middle of its box."""
    bounds = shapely.bounds(places).reshape(-1, 4)
    centres = np.array(shapely.points((bounds[:, :2] + bounds[:, 2:]) / 2), dtype=object).reshape(-1)
    centres[shapely.is_missing(places)] = None
    several = shapely.get_type_id(places) == shapely.GeometryType.MULTIPOINT
    centres[several] = shapely.get_geometry(places[several], 0)
    sound = (shapely.get_dimensions(places) == 2) & valid(places)
    centres[sound] = shapely.point_on_surface(places[sound])
    return centres


def _multipolygons(places: Shapes) -> Shapes:
    parts, owner = shapely.get_parts(places, return_index=True)
    nested, within = shapely.get_parts(parts, return_index=True)
    areas = shapely.get_dimensions(nested) == 2
    found: Shapes = shapely.multipolygons(nested[areas], indices=owner[within][areas])
    return found


def _degrees(number: float) -> float | None:
    return None if math.isnan(number) else round(number, 6)


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _strict(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return value
