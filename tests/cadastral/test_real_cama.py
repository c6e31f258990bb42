"""Real assessor's files through crosswalk, conform and identify; read in place from ../shared/data."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.cama import identified

pytestmark = pytest.mark.real


def delivered(path: Path) -> pa.Table:
    """The file as text, as the reader gives it."""
    with path.open(encoding="utf-8-sig", newline="") as handle:
        names, *rows = csv.reader(handle)
    columns = {name: pa.array(values, pa.string()) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    return pa.table({"row_no": pa.array(np.arange(1, len(rows) + 1)), **columns})


def test_bridgeports_land_and_building_values_are_found_to_be_assessed_ones(shared_data: Path) -> None:
    file = shared_data / "ct-parcels-2025-sample" / "bridgeport_100_parcels_with_cama_no_owners.csv"
    table, log = identified(delivered(file), town="Bridgeport")
    assert {"PARTS_ARE_ASSESSED", "SUPPRESSION_UNKNOWN", "LAND_UNIT_READ"} <= set(log.counts())
    assert table.column("assessed_land_usd").null_count < 100
    assert table.column("appraised_land_usd").null_count == 100
    assert set(table.column("appraised_total_how").to_pylist()) == {"from_assessed"}
    assert "unmapped" not in table.column("use_class").to_pylist()
    assert 0.05 < pc.approximate_median(table.column("land_acres")).as_py() < 0.5


def test_cambridges_27424_rows_are_read_with_square_feet_and_a_few_bad_cells(shared_data: Path) -> None:
    folder = shared_data / "ma-cambridge" / "Assessing" / "FY2013" / "FY2013_Parcels"
    table, log = identified(delivered(folder / "TaxFY13.csv"), town="Cambridge")
    assert len(table) == 27_424
    assert table.column("appraised_total_usd").null_count == 26  # 26 cells say -1
    assert pc.max(table.column("land_acres")).as_py() < 200
    invalid = [finding for finding in log.findings if finding.code == "VALUE_INVALID"]
    assert len(invalid) < 200  # shown up to a limit per column, then counted
    assert log.held_rows() == {}
