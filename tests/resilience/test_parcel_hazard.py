"""Parcels over flood zones: areas, the worst class, what is not known, and only what changed computed again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shapely
from typer.testing import CliRunner

from cadastral.meeting import submit
from resilience.cli import app
from statewide.database import API, OWNER, connect
from statewide.errors import BadArgument, UnknownTown
from statewide.intake import Request
from statewide.settings import Settings
from tests.resilience.flood_maps import Polygon, box, write_map, write_panels, zone
from tests.towns import LOT, Fabric, alder, found_alder, write

Hazards = Callable[..., dict[str, Any]]


@pytest.fixture
def deliver(settings: Settings, tmp_path: Path) -> Callable[[Fabric], None]:
    """Publish a fabric of the invented town."""
    found_alder(settings)
    count = 0

    def go(fabric: Fabric) -> None:
        nonlocal count
        count += 1
        outcome = submit(settings, Request(write(fabric, tmp_path / f"parcels-{count}"), "alder", 2025), lambda _: None)
        assert outcome.summary["outcome"] == "published"

    return go


@pytest.fixture
def hazards(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Hazards:
    """Run `statewide hazards …` and read its JSON."""
    monkeypatch.setenv("STATEWIDE_HOME", str(settings.home))
    monkeypatch.setenv("STATEWIDE_DATABASE_URL", settings.database_url or "")

    def go(*words: str | Path) -> dict[str, Any]:
        result = CliRunner().invoke(app, [*map(str, words), "--json"])
        if result.exception:
            raise result.exception
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return go


def zones_of(result: dict[str, Any]) -> dict[str, Any]:
    """What an overlay did with the flood zones."""
    found: dict[str, Any] = result["layers"]["flood-zones"]
    return found


def answers(settings: Settings, columns: str = "*") -> dict[str, dict[str, Any]]:
    """The published rows, by the parcel's number."""
    with connect(settings, API) as connection:
        cursor = connection.execute(f"SELECT parcel_id AS key, {columns} FROM published.parcel_hazards".encode())
        names = [column.name for column in cursor.description or ()]
        return {row[0]: dict(zip(names, row, strict=True)) for row in cursor.fetchall()}


# Lots are numbered row-column from the south-west, 200 ft to a side.
RIVER: list[Polygon] = [
    zone(box(0, 0, 100, 1600), "AE", "FLOODWAY"),
    zone(box(100, 0, 300, 1600), "AE", "", STATIC_BFE=11.0, V_DATUM="NAVD88", LEN_UNIT="Feet"),
    zone(box(300, 0, 450, 1600), "X", "0.2 PCT ANNUAL CHANCE FLOOD HAZARD"),
    zone(box(450, 0, 850, 1600), "X", "AREA OF MINIMAL FLOOD HAZARD"),
    zone(box(850, 0, 1000, 1600), "D", ""),
]


def test_each_parcel_is_told_its_worst_class_its_areas_and_what_is_not_known(
    deliver: Callable[[Fabric], None], hazards: Hazards, settings: Settings, tmp_path: Path
) -> None:
    deliver(alder())
    hazards("load", "flood-zones", write_map(RIVER, tmp_path), "--version", "v1")
    result = hazards("overlay")
    assert (result["outcome"], zones_of(result)["parcels"]) == ("ok", {"computed": 64, "unchanged": 0})
    assert zones_of(result)["worst_class"] == {
        "floodway": 8, "minimal": 8, "not_mapped": 24, "one_percent": 8, "undetermined": 8, "zero_two_percent": 8,
    }  # fmt: skip
    found = answers(settings)
    assert len(found) == 64
    assert found["1-1"]["worst_zone"] == "AE, FLOODWAY"
    assert found["1-1"]["area_by_class"] == pytest.approx({"floodway": 20_000, "one_percent": 20_000}, abs=0.1)
    assert (found["1-1"]["sfha_share_pct"], found["1-1"]["static_bfe_ft"], found["1-1"]["v_datum"]) == (
        100,
        11,
        "NAVD88",
    )
    assert found["1-2"]["area_by_class"] == pytest.approx({"one_percent": 20_000, "zero_two_percent": 20_000}, abs=0.1)
    assert found["1-2"]["sfha_area_sqft"] == pytest.approx(20_000, abs=0.1)
    assert found["1-3"]["worst_zone"] == "X, 0.2 PCT ANNUAL CHANCE FLOOD HAZARD"
    assert (found["1-4"]["worst_class"], found["1-4"]["worst_class_rank"], found["1-4"]["unknown_share_pct"]) == (
        "minimal",
        10,
        0,
    )
    half_known = found["1-5"]
    assert (half_known["worst_class"], half_known["worst_class_rank"], half_known["worst_zone"]) == (
        "undetermined",
        None,
        "D",
    )
    assert (half_known["unknown_share_pct"], half_known["coverage"]) == (pytest.approx(75, abs=0.01), "mapped")
    for column in (6, 7, 8):
        row = found[f"3-{column}"]
        assert (row["worst_class"], row["coverage"], row["worst_zone"]) == ("not_mapped", "not mapped", None)
        assert (row["mapped_share_pct"], row["unknown_share_pct"]) == (0, 100)
        assert row["area_by_class"] == pytest.approx({"not_mapped": LOT * LOT}, abs=0.1)


def test_coverage_tells_no_zone_drawn_from_not_mapped(
    deliver: Callable[[Fabric], None], hazards: Hazards, settings: Settings, tmp_path: Path
) -> None:
    deliver(alder())
    only_sfha = write_map(RIVER[:2], tmp_path)
    panels = write_panels([box(-50, -50, 700, 1650), box(700, -50, 1100, 1650)], tmp_path)
    hazards("load", "flood-zones", only_sfha, "--version", "v1", "--coverage", panels)
    hazards("overlay")
    found = answers(settings)
    assert found["1-2"]["area_by_class"] == pytest.approx({"one_percent": 20_000, "no_zone": 20_000}, abs=0.1)
    assert (found["1-4"]["worst_class"], found["1-4"]["coverage"], found["1-4"]["worst_class_rank"]) == (
        "no_zone",
        "mapped",
        0,
    )
    assert found["1-6"]["coverage"] == "partly mapped"
    assert found["1-6"]["area_by_class"] == pytest.approx({"no_zone": 20_000, "not_mapped": 20_000}, abs=0.1)
    assert found["1-6"]["worst_class"] == "not_mapped"
    assert found["1-7"]["coverage"] == "not mapped"


def test_where_zones_overlap_the_worse_counts_once(
    deliver: Callable[[Fabric], None], hazards: Hazards, settings: Settings, tmp_path: Path
) -> None:
    deliver(alder(1, 2))
    layer = [zone(box(0, 0, 400, 200), "X"), zone(box(0, 0, 100, 200), "AE"), zone(box(50, 0, 150, 200), "AE")]
    hazards("load", "flood-zones", write_map(layer, tmp_path), "--version", "v1")
    result = hazards("overlay")
    assert answers(settings)["1-1"]["area_by_class"] == pytest.approx(
        {"one_percent": 30_000, "minimal": 10_000}, abs=0.1
    )
    assert zones_of(result)["zones_overlap_sqft"] == pytest.approx(10_000 + 30_000, abs=0.1)


def test_only_what_changed_is_computed_again(
    deliver: Callable[[Fabric], None], hazards: Hazards, settings: Settings, tmp_path: Path
) -> None:
    fabric = alder()
    deliver(fabric)
    river = write_map(RIVER, tmp_path)
    hazards("load", "flood-zones", river, "--version", "v1")
    hazards("overlay")
    before = answers(settings)
    assert zones_of(hazards("overlay", "--town", "Alder"))["parcels"] == {"computed": 0, "unchanged": 64}
    assert answers(settings) == before

    fabric.shapes[9] = shapely.difference(fabric.shapes[9], box(200, 200, 230, 230))
    fabric.columns["Location"][10] = "ELM ST"
    fabric.drop([63])
    deliver(fabric)  # a publication lays its changed parcels over the zones
    after = answers(settings)
    assert set(after) == set(before) - {"8-8"}  # a parcel that went takes its row along
    assert zones_of(hazards("overlay"))["parcels"] == {"computed": 0, "unchanged": 63}
    changed = {key for key in after if after[key]["computed_at"] != before[key]["computed_at"]}
    assert changed == {"2-2"}
    assert after["2-2"]["area_by_class"] == pytest.approx({"one_percent": 19_100, "zero_two_percent": 20_000}, abs=0.1)
    assert after["2-2"]["parcel_submission_id"] != before["2-2"]["parcel_submission_id"]
    assert zones_of(hazards("overlay", "--full"))["parcels"] == {"computed": 63, "unchanged": 0}

    smaller = write_map(RIVER[:1], tmp_path / "new")
    accepted = ("--accept", "LAYER_SHRUNK", "--accept", "LAYER_CLASS_LOST", "--reason", "a new study")
    hazards("load", "flood-zones", smaller, "--version", "v2", *accepted)
    assert zones_of(hazards("overlay"))["parcels"] == {"computed": 63, "unchanged": 0}
    assert {row["layer_version"] for row in answers(settings).values()} == {"v2"}


def test_an_overlay_that_fails_undoes_no_publication_and_is_made_up_for_by_the_next_delivery(
    hazards: Hazards, settings: Settings, tmp_path: Path
) -> None:
    found_alder(settings)
    file = write(alder(), tmp_path / "parcels")
    hazards("load", "flood-zones", write_map(RIVER, tmp_path), "--version", "v1")

    def allow(words: str) -> None:
        with connect(settings, OWNER) as connection:
            connection.execute(f"{words} statewide_loader".encode())

    allow("REVOKE INSERT ON resilience.parcel_hazard FROM")
    first = submit(settings, Request(file, "alder", 2025), lambda _: None).summary
    assert first["outcome"] == "published"
    assert "fault of ours (InsufficientPrivilege)" in first["behind"]["hazards"]
    assert answers(settings) == {}

    allow("GRANT INSERT ON resilience.parcel_hazard TO")
    second = submit(settings, Request(file, "alder", 2025), lambda _: None).summary
    assert (second["outcome"], second["behind"]) == ("unchanged", {})
    assert len(answers(settings)) == 64


def test_words_that_make_no_sense_are_refused(
    deliver: Callable[[Fabric], None], hazards: Hazards, tmp_path: Path
) -> None:
    deliver(alder())
    with pytest.raises(BadArgument, match="No hazard layer is loaded"):
        hazards("overlay")
    with pytest.raises(BadArgument, match="no hazard layer 'lava'"):
        hazards("load", "lava", tmp_path, "--version", "v1")
    hazards("load", "flood-zones", write_map(RIVER, tmp_path), "--version", "v1")
    with pytest.raises(BadArgument, match="Hartford has no published parcels"):
        hazards("overlay", "--town", "Hartford")
    with pytest.raises(UnknownTown):
        hazards("overlay", "--town", "Atlantis")
