"""Each example of the law passes and each counterexample raises exactly what it names, through the real nine steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely
from shapely.geometry import shape

from addresses.points import submit as submit_points
from cadastral.meeting import submit
from statewide.intake import Request
from statewide.settings import ROOT, Settings
from statewide.standard import column_key
from tests.cama import identified, records
from tests.towns import Fabric, write

FILES = sorted((ROOT / "schemas").glob("*examples/parcel/*.json"))
RECORDS = sorted((ROOT / "schemas").glob("*examples/assessment/*.json"))
POINTS = sorted((ROOT / "schemas").glob("*examples/address_point/*.json"))
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
    """The feature as the first row, and clean neighbours under the same columns; one fills each hole of the feature."""
    first = None if feature["geometry"] is None else shape(feature["geometry"])
    lots = [shapely.Polygon(ring) for part in shapely.get_parts(first) for ring in getattr(part, "interiors", ())]
    lots += [
        shapely.box(1_177_300 + 100 * n, 688_000, 1_177_400 + 100 * n, 688_100) for n in range(len(lots), NEIGHBOURS)
    ]
    return Fabric(
        [first, *lots],
        {
            column: [value, *(clean(column, number) for number in range(1, NEIGHBOURS + 1))]
            for column, value in feature["properties"].items()
        },
    )


def clean_point(column: str, number: int) -> Any:
    """What a clean neighbour has in a delivered column of address points."""
    return {
        "nguid": f"urn:emergency:uid:gis:SSAP:{number}:gis.example.gov",
        "siteaddid": str(number),
        "dateupdate": "2025-03-14",
        "a3": "New London",
        "town": "New London",
        "addnumber": str(2 * number),
        "stname": "Neighbour",
        "stpostyp": "Street",
        "fulladdress": f"{2 * number} NEIGHBOUR ST",
        "postcomm": "New London",
        "postcode": "06320",
        "zip": "06320",
        "placetype": "residence",
        "placement": "Structure",
    }.get(column_key(column))


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.parent.name}/{path.stem}" for path in FILES])
def test_raises_exactly_what_it_names(shared_settings: Settings, tmp_path: Path, path: Path) -> None:
    example = json.loads(path.read_text(encoding="utf-8"))
    file = write(delivery(example["feature"]), tmp_path)
    outcome = submit(shared_settings, Request(file, example["town"], 2025, publish=False), lambda message: None)
    assert outcome.summary["outcome"] == "ok"
    assert sorted(outcome.summary["findings"]) == sorted(example["raises"])
    assert {finding.row_no for finding in outcome.log.findings if finding.row_no} <= {1}


@pytest.mark.parametrize("path", RECORDS, ids=[f"{path.parent.parent.name}/{path.stem}" for path in RECORDS])
def test_a_record_raises_exactly_what_it_names(path: Path) -> None:
    example = json.loads(path.read_text(encoding="utf-8"))
    clean = {"PID": "1", "Link": "N-1", "Town_Name": example["town"]}
    if "CAMA_Link" in example["feature"]["properties"]:
        clean["CAMA_Link"] = "99901-N-1"
    _, log = identified(records(example["feature"]["properties"], clean), town=example["town"])
    assert sorted(log.counts()) == sorted(example["raises"])
    assert {finding.row_no for finding in log.findings} <= {1}


@pytest.mark.parametrize("path", POINTS, ids=[f"{path.parent.parent.name}/{path.stem}" for path in POINTS])
def test_a_point_raises_exactly_what_it_names(shared_settings: Settings, tmp_path: Path, path: Path) -> None:
    example = json.loads(path.read_text(encoding="utf-8"))
    feature = example["feature"]
    neighbours = [shapely.Point(1_177_300 + 40 * n, 688_000) for n in range(1, 2 * NEIGHBOURS + 1)]
    fabric = Fabric(
        [None if feature["geometry"] is None else shape(feature["geometry"]), *neighbours],
        {
            column: [
                None if value is None else str(value),
                *(clean_point(column, n + 1) for n in range(len(neighbours))),
            ]
            for column, value in feature["properties"].items()
        },
    )
    request = Request(write(fabric, tmp_path), example["town"], 2025, publish=False)
    outcome = submit_points(shared_settings, request, lambda message: None)
    assert outcome.summary["outcome"] == "ok"
    # No parcels are live here.
    assert sorted(set(outcome.summary["findings"]) - {"PARCELS_NOT_COMPARED"}) == sorted(example["raises"])
    assert {finding.row_no for finding in outcome.log.findings if finding.row_no} <= {1}


def test_there_are_examples() -> None:
    for files in (FILES, RECORDS, POINTS):
        assert {path.parent.parent.name for path in files} == {"examples", "counterexamples"}
