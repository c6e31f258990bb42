"""Each example of the law passes and each counterexample raises exactly what it names, through the real nine steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely
from shapely.geometry import shape

from cadastral.parcels import submit
from statewide.intake import Request
from statewide.settings import ROOT, Settings
from statewide.standard import column_key
from tests.towns import Fabric, write

FILES = sorted((ROOT / "schemas").glob("*examples/parcel/*.json"))
NEIGHBOURS = 20


def clean(column: str, number: int) -> Any:
    """What a clean neighbour has in a delivered column."""
    return {
        "townname": "New London",
        "camalink": f"52350-N-{number}",
        "link": f"N-{number}",
        "parcelid": f"N-{number}",
        "location": f"{number} NEIGHBOUR ST",
        "parceltype": "PARCEL",
        "collectionyear": "2025",
        "editdate": "1/25/2024",
        "shapearea": 10_000.0,
        "shapelength": 400.0,
    }.get(column_key(column))


def delivery(feature: dict[str, Any]) -> Fabric:
    """The feature as the first row, and clean neighbours under the same columns."""
    first = None if feature["geometry"] is None else shape(feature["geometry"])
    lots = [shapely.box(1_177_300 + 100 * n, 688_000, 1_177_400 + 100 * n, 688_100) for n in range(NEIGHBOURS)]
    return Fabric(
        [first, *lots],
        {
            column: [value, *(clean(column, number) for number in range(1, NEIGHBOURS + 1))]
            for column, value in feature["properties"].items()
        },
    )


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.parent.name}/{path.stem}" for path in FILES])
def test_raises_exactly_what_it_names(shared_settings: Settings, tmp_path: Path, path: Path) -> None:
    example = json.loads(path.read_text(encoding="utf-8"))
    file = write(delivery(example["feature"]), tmp_path)
    outcome = submit(shared_settings, Request(file, example["town"], 2025, publish=False), lambda message: None)
    assert outcome.summary["outcome"] == "ok"
    assert sorted(outcome.summary["findings"]) == sorted(example["raises"])
    assert {finding.row_no for finding in outcome.log.findings if finding.row_no} <= {1}


def test_there_are_examples() -> None:
    assert {path.parent.parent.name for path in FILES} == {"examples", "counterexamples"}
