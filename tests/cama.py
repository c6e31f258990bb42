"""Invented assessor's files for Alder: the State's report columns as text, as towns send them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from cadastral.assessments import ASSESSMENTS
from statewide.arrival import Rows
from statewide.conform import conform
from statewide.crosswalk import propose
from statewide.crs import CrsDecision
from statewide.findings import FindingLog
from statewide.standard import load_standard
from tests.towns import ALDER

RECORD = {
    "PID": "7",
    "Link": "1-1",
    "Town_Name": "Alder",
    "Location": "1 MAIN ST",
    "Owner": "CANARY OWNER",
    "Suppressed": "N",
    "Assessed_Total": "265770.0",
    "Assessed_Land": "84210.0",
    "Assessed_Building": "181560.0",
    "Appraised_Total": "379670.0",
    "Appraised_Land": "120300.0",
    "Appraised_Building": "259370.0",
    "Appraised_Outbuilding": "0.0",
    "Valuation_Year": "2023.0",
    "State_Use": "101",
    "State_Use_Description": "Single Family",
    "AYB": "1973.0",
    "Living_Area": "1820.0",
    "Sale_Date": "7/15/2021",
}


def records(*changes: dict[str, Any]) -> pa.Table:
    """A source table with a row for each dict, which says how it differs from `RECORD` (None leaves it empty)."""
    columns = {name: None for row in (RECORD, *changes) for name in row}
    rows = [
        RECORD | {"PID": str(number), "Link": f"1-{number}", "Location": f"{number} MAIN ST"} | change
        for number, change in enumerate(changes, start=1)
    ]
    table = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in columns}
    return pa.table({"row_no": pa.array(np.arange(1, len(rows) + 1)), **table})


def identified(source: pa.Table, year: int = 2025, town: str = ALDER.town_name) -> tuple[pa.Table, FindingLog]:
    """The source walked through crosswalk, conform and identify, as of a town of that name."""
    standard = load_standard()
    law = standard.table(ASSESSMENTS.table)
    sender = replace(ALDER, town_name=town)
    log = FindingLog(standard, law.name, year, town, ALDER.cousub_fips)
    crosswalk = propose(standard, law, source.drop_columns(["row_no"]))
    nowhere = np.full(len(source), None, dtype=object)
    moved = np.zeros(len(source))
    rows = Rows(
        source,
        conform(law, crosswalk, source, log),
        nowhere,
        nowhere,
        moved,
        crosswalk,
        CrsDecision(None, "unknown", 0.0),
    )
    return ASSESSMENTS.identify(rows, sender, log), log


def write_records(source: pa.Table, path: Path) -> Path:
    """The source as a town sends it: text in a CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.csv.write_csv(source.drop_columns(["row_no"]), path)
    return path
