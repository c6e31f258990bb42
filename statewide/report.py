"""The report folder of a delivery: `report.html` for people, `report.json`, `findings.csv` and `findings.gpkg`."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shapely.geometry.base import BaseGeometry

from statewide.crosswalk import Score
from statewide.findings import FindingLog
from statewide.geometry import Shapes


@dataclass(frozen=True)
class ReportInput:
    """What a report is made of.

    `shapes` and `given` are the valid and the delivered shapes in the storage CRS, in row order (`row_no` beside them);
    `label` names a row for a reader; `columns` accounts for every delivered column; `held` is row → codes.
    """

    summary: Mapping[str, Any]
    log: FindingLog
    town_outline: BaseGeometry
    row_no: Any
    shapes: Shapes
    given: Shapes
    held: Mapping[int, list[str]]
    label: Callable[[int], str | None]
    columns: Mapping[str, Mapping[str, str]]
    scores: tuple[Score, ...]
    noun: str
    received_at: dt.datetime
    accepted: Mapping[str, str]
    isolation: tuple[str, ...]


def write_report(folder: Path, report: ReportInput) -> None:
    """Write the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(dict(report.summary), indent=1, default=str))
