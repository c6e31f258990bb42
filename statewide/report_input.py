"""What a report is made of, as the walk through intake hands it over. Nothing is decided or worded here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from statewide import crosswalk
from statewide.findings import FindingLog
from statewide.geometry import Shapes
from statewide.meeting import KeyTried
from statewide.score import Score


@dataclass(frozen=True)
class Against:
    """The live version beside this file: rows, square feet, assessed dollars as (live, this file)."""

    year: int
    published_on: dt.date
    rows: tuple[int, int]
    area_sqft: tuple[float, float] | None = None
    value_usd: tuple[float, float] | None = None


@dataclass(frozen=True)
class CrsTried:
    """A coordinate system that was tried: the share of shapes that then lie in the town, and how far the parcels would
    lie from last year's (None: nothing to compare with).
    """

    epsg: int
    share_in_town: float
    shift_ft: float | None = None


@dataclass(frozen=True)
class ReportInput:
    """One dataset of a delivery, and the others that are told of in the same report.

    Args:
        row_no: numbers of the delivered rows, ascending; `shapes` and `given` stand beside it.
        shapes: valid shapes in the storage CRS; of a dataset without shapes, those of the parcels its rows link to.
        given: the shapes as delivered, likewise.
        held: row → codes that hold it.
        label_field: field that names a row for a reader; `label` gives it.
        columns: every delivered column and what became of it.
        scores: how well columns fitted fields.
        score: what the town's year earns; the same in every part.
        completeness: field → share of rows that fill it (now, live before or None).
        lineage: kind of change ("added", "split", …) → how many parcels; `lineage_examples` has some in words.
        crs_tried, keys_tried: candidates of the detectives, best first.
        others: the town's other datasets, delivered along or live.
    """

    summary: Mapping[str, Any]
    log: FindingLog
    town_outline: BaseGeometry
    row_no: npt.NDArray[np.int64]
    shapes: Shapes
    given: Shapes
    held: Mapping[int, list[str]]
    label_field: str
    label: Callable[[int], str | None]
    columns: Mapping[str, Mapping[str, str]]
    scores: tuple[crosswalk.Score, ...]
    noun: str
    received_at: dt.datetime
    accepted: Mapping[str, str]
    isolation: tuple[str, ...]
    score: Score | None = None
    completeness: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    against: Against | None = None
    lineage: Mapping[str, int] = field(default_factory=dict)
    lineage_examples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    crs_tried: Sequence[CrsTried] = ()
    keys_tried: Sequence[KeyTried] = ()
    others: tuple[ReportInput, ...] = ()

    @property
    def dataset(self) -> str:
        """Name of the law's table."""
        return str(self.summary["dataset"])

    @property
    def parts(self) -> tuple[ReportInput, ...]:
        """This one first, then the others."""
        return (self, *self.others)

    def row_shapes(self) -> Shapes:
        """Per row: the delivered shape of a held row, the published shape of the others."""
        held = np.isin(self.row_no, list(self.held)) | shapely.is_missing(self.shapes)
        found: Shapes = np.where(held, self.given, self.shapes)
        return found
