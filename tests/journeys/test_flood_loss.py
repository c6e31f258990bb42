"""Journey: a town delivers parcels, records and addresses, a depth grid arrives, and losses follow from all four."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pytest
import typer
from typer.testing import CliRunner

from addresses.points import submit as submit_addresses
from cadastral.meeting import submit, submit_assessments
from resilience.layer_commands import load
from resilience.loss_commands import loss
from resilience.overlay_commands import overlay
from statewide.intake import Request
from statewide.settings import Settings
from tests.address_towns import addresses_of, write_points
from tests.cama import records, write_records
from tests.resilience.depth_grids import write_grid
from tests.towns import SOUTH, WEST, alder, found_alder, write

BUILDING_USD = 259_370.0


def test_losses_follow_from_records_addresses_and_a_depth_grid(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATEWIDE_HOME", str(settings.home))
    monkeypatch.setenv("STATEWIDE_DATABASE_URL", settings.database_url or "")

    app = typer.Typer()
    for command in (load, overlay, loss):
        app.command()(command)

    def hazards(*words: str | Path) -> dict[str, Any]:
        result = CliRunner().invoke(app, [*map(str, words), "--json"])
        if result.exception:
            raise result.exception
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    found_alder(settings)
    fabric = alder()
    rows = [
        {"Link": number, "PID": str(place), "Location": location, "Stories": "1", "Basement_Type": "Slab"}
        for place, (number, location) in enumerate(
            zip(fabric.columns["Link"], fabric.columns["Location"], strict=True), start=1
        )
    ]
    # By column of lots, from the west: four depths, dry twice, and two columns that the grid says nothing of.
    by_column = [6.0, 3.0, 0.5, 20.0, 0.0, 0.0, -9999.0, -9999.0]
    grid = write_grid(
        tmp_path / "depth.tif",
        np.repeat([by_column], 8, axis=0).astype(np.float32),
        cell=200.0,
        corner=(WEST, SOUTH + 1600),
        tags={"units": "feet", "vertical_datum": "NAVD88"},
    )
    for dataset, file in (
        (submit, write(fabric, tmp_path / "parcels")),
        (submit_assessments, write_records(records(*rows), tmp_path / "cama.csv")),
        (submit_addresses, write_points(addresses_of(fabric), tmp_path / "points")),
    ):
        assert dataset(settings, Request(file, "Alder", 2025), lambda _: None).summary["outcome"] == "published"
    assert hazards("load", "depth-grid", grid, "--version", "storm")["outcome"] == "published"
    hazards("overlay", "--layer", "depth-grid")
    result = hazards("loss", "--town", "Alder", "--output", tmp_path / "losses.csv")

    # One storey on a slab: function 129 at 5, 2, -0.5 and 19 feet above the floor, function 45 for the contents.
    percents = [53, 32, 8, 83], [58, 36, 10, 80]
    assert result["structures"] == 64
    assert (result["with_loss"], result["dry"], result["unknown"]) == (32, 16, 16)
    assert result["unknown_because"]["not_mapped"] == 16
    assert result["building_loss_usd"] == pytest.approx(8 * BUILDING_USD * sum(percents[0]) / 100, abs=0.5)
    assert result["content_loss_usd"] == pytest.approx(8 * BUILDING_USD / 2 * sum(percents[1]) / 100, abs=0.5)
    assert result["inputs"]["depth"] == {"at_address": 48, "unknown": 16}
    assert result["inputs"]["building_value"] == {"appraised_building": 64}
    written = pyarrow.csv.read_csv(tmp_path / "losses.csv")
    assert len(written) == 64
    assert {name for name in written.column_names if "owner" in name.casefold() or "location" in name} == set()
    assert set(written["depth_version"].to_pylist()) == {"storm"}
