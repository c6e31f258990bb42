"""The invented assessor's files: clean ones raise nothing, a dirty one exactly its faults, and each in its dialect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cadastral.demo import CANARY
from cadastral.demo_cama import DIRT, cama_rows, dialect, write_cama
from statewide.demo import InventedTown, World, make_world
from statewide.findings import FindingLog
from tests.cama import identified

WORLD = make_world(6, 3600, 7)
DIRTY = next(town for town in WORLD.towns if town.dirty)
CLEAN = [town for town in WORLD.towns if not town.dirty]


def taken(world: World, town: InventedTown) -> tuple[pa.Table, FindingLog]:
    rows = cama_rows(world, town)
    return identified(rows.add_column(0, "row_no", pa.array(np.arange(1, len(rows) + 1))), town=town.name)


@pytest.mark.parametrize("town", CLEAN, ids=lambda town: f"{town.name}: {dialect(WORLD, town).title}")
def test_a_clean_file_raises_nothing_and_is_read_in_any_dialect(town: InventedTown) -> None:
    table, log = taken(WORLD, town)
    unsaid = set() if dialect(WORLD, town).suppression else {"SUPPRESSION_UNKNOWN"}
    assert set(log.counts()) == unsaid
    for field in ("link", "pid", "assessed_total_usd", "appraised_total_usd", "valuation_year", "living_area_sqft"):
        assert table.column(field).null_count == 0, field
    assert "unmapped" not in table.column("use_class").to_pylist()
    assert {"main_card", "further_card"} < set(table.column("record_role").to_pylist())


def test_a_dirty_file_raises_its_faults() -> None:
    table, log = taken(WORLD, DIRTY)
    counts = log.counts()
    assert counts["VALUE_RATIO"] == DIRT["assessed-is-appraised"]
    assert counts["VALUE_PARTS"] == DIRT["parts-differ"]
    assert counts["VALUE_MISSING"] == DIRT["no-value"]
    assert counts["YEAR_BUILT_ODD"] == DIRT["built-in-the-future"]
    assert counts["SALE_DATE_ODD"] == DIRT["sold-in-the-future"]
    assert counts["TOWN_MISMATCH"] == DIRT["other-town"]
    assert counts["ID_MISSING"] == DIRT["blank-link"]
    assert counts["VALUE_INVALID"] == DIRT["negative-value"]
    assert table.column("record_role").to_pylist().count("duplicate") == DIRT["same-again"]
    (unmapped,) = [finding for finding in log.findings if finding.code == "USE_CODE_UNMAPPED"]
    assert f"on {DIRT['unknown-use']} records" in unmapped.sentence


def test_persons_are_in_the_file_and_not_in_what_is_taken_from_it() -> None:
    assert CANARY in str(cama_rows(WORLD, DIRTY).slice(0, 1).to_pylist())
    assert CANARY not in str(taken(WORLD, DIRTY)[0].to_pylist())


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    file = write_cama(WORLD, DIRTY, tmp_path)
    before = file.stat().st_mtime_ns
    assert write_cama(WORLD, DIRTY, tmp_path).stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
