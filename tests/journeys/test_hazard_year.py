"""A year of hazard layers: parcels, addresses and maps come and change, alone and at once; readers see no mixture."""

from __future__ import annotations

import csv
import json
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from addresses.points import submit as submit_addresses
from cadastral.meeting import submit as submit_parcels
from resilience.cli import app
from resilience.engines import DASK
from statewide.database import API, connect
from statewide.intake import Request
from statewide.settings import Settings
from tests.address_towns import Points, addresses_of, alder_streets, write_points
from tests.resilience.flood_maps import Polygon, box, write_map, write_panels, zone
from tests.towns import Fabric, found_alder, write

# Lots are 200 ft wide and numbered row-column from the south-west.
RIVER: list[Polygon] = [
    zone(box(0, 0, 120, 1600), "AE", "FLOODWAY", STATIC_BFE=11.0, V_DATUM="NAVD88", LEN_UNIT="Feet"),
    zone(box(120, 0, 300, 1600), "AE", ""),
    zone(box(300, 0, 1000, 1600), "X", "AREA OF MINIMAL FLOOD HAZARD"),
]
WIDER: list[Polygon] = [
    RIVER[0],
    zone(box(120, 0, 500, 1600), "AE", ""),
    zone(box(500, 0, 1000, 1600), "X", "AREA OF MINIMAL FLOOD HAZARD"),
]


class Year:
    """A town and a State that deliver; every file goes the way a user's goes."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder, self.deliveries = settings, folder, 0
        found_alder(settings)

    def run(self, *words: str | Path) -> dict[str, Any]:
        result = CliRunner().invoke(app, [*map(str, words), "--json"])
        if result.exception:
            raise result.exception
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    def parcels(self, fabric: Fabric) -> dict[str, Any]:
        return submit_parcels(
            self.settings, Request(write(fabric, self._next()), "Alder", 2025), lambda _: None
        ).summary

    def addresses(self, points: Points) -> dict[str, Any]:
        file = write_points(points, self._next(), epsg=6434)
        return submit_addresses(self.settings, Request(file, "Alder", 2025), lambda _: None).summary

    def map(self, polygons: list[Polygon], version: str, *words: str) -> dict[str, Any]:
        file = write_map(polygons, self._next())
        panels = write_panels([box(-50, -50, 1200, 1650)], self._next())
        return self.run("load", "flood-zones", file, "--version", version, "--coverage", panels, *words)

    def surge(self, polygons: list[tuple[Any, dict[str, Any]]], version: str) -> dict[str, Any]:
        file = write_map(polygons, self._next(), layer="CT_Hurricane_Surge_Inundation", epsg=2234)
        return self.run("load", "storm-surge", file, "--version", version)

    def answers(self, collection: str, layer: str = "flood-zones") -> list[dict[str, Any]]:
        with connect(self.settings, API) as connection:
            cursor = connection.execute(f"SELECT * FROM published.{collection} WHERE layer = %s".encode(), [layer])
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _next(self) -> Path:
        self.deliveries += 1
        return self.folder / str(self.deliveries)


@pytest.fixture
def year(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Year:
    monkeypatch.setenv("STATEWIDE_HOME", str(settings.home))
    monkeypatch.setenv("STATEWIDE_DATABASE_URL", settings.database_url or "")
    return Year(settings, tmp_path)


def counts(rows: list[dict[str, Any]], *names: str) -> dict[Any, int]:
    return dict(Counter(tuple(row[name] for name in names) if len(names) > 1 else row[names[0]] for row in rows))


def test_addresses_and_parcels_are_answered_for_every_layer(year: Year) -> None:
    streets = alder_streets()
    year.parcels(streets)
    year.map(RIVER, "v1")
    year.surge([(box(-100, -100, 500, 700), {"HURR_CAT": "2"}), (box(-100, -100, 500, 300), {"HURR_CAT": "1"})], "s1")
    first = year.run("overlay")
    assert set(first["layers"]) == {"flood-zones", "storm-surge"}
    assert first["layers"]["flood-zones"]["addresses"] == {"computed": 0, "unchanged": 0}
    year.addresses(addresses_of(streets))  # a delivery lays its points over the layers by itself
    flood = year.answers("address_hazards")
    assert len(flood) == len(addresses_of(streets))
    assert set(counts(flood, "zone_class")) == {"floodway", "one_percent", "minimal", "no_zone", "not_mapped"}
    for row in flood:
        assert (row["coverage"] == "not mapped") == (row["zone_class"] == "not_mapped")
        assert (row["static_bfe_ft"], row["v_datum"]) == (
            (11, "NAVD88") if row["zone_class"] == "floodway" else (None, None)
        )
    surge = {row["parcel_id"]: row for row in year.answers("parcel_hazards", "storm-surge")}
    # Nested polygons: a place belongs to the weakest storm that reaches it.
    assert (surge["1-1"]["worst_class"], surge["1-1"]["worst_value"]) == ("surge_cat_1", 1)
    assert surge["2-1"]["area_by_class"] == pytest.approx({"surge_cat_1": 20_000, "surge_cat_2": 20_000}, abs=0.5)
    assert (surge["3-1"]["worst_class"], surge["3-1"]["centroid_class"]) == ("surge_cat_2", "surge_cat_2")
    assert (surge["8-8"]["worst_class"], surge["8-8"]["coverage"]) == ("not_mapped", "not mapped")
    assert surge["1-1"]["sfha_share_pct"] is None
    assert year.run("overlay")["outcome"] == "unchanged"


def test_the_change_report_says_what_changed_and_why(year: Year, tmp_path: Path) -> None:
    streets = alder_streets()
    year.parcels(streets)
    year.addresses(addresses_of(streets))
    year.map(RIVER, "v1")
    year.run("overlay")
    assert year.run("changes") == {"outcome": "ok", "changes": 0, "by": []}

    year.map(WIDER, "v2")
    year.run("overlay")
    parcels = year.answers("parcel_hazards")
    assert counts(parcels, "layer_version") == {"v2": 64}
    assert counts(parcels, "worst_class") == {
        "floodway": 8,
        "one_percent": 16,
        "minimal": 16,
        "no_zone": 8,
        "not_mapped": 16,
    }
    by_map = year.run("changes")["by"]
    assert {"layer": "flood-zones", "dataset": "parcel", "changed_by": "map", "class_before": "minimal",
            "class_now": "one_percent", "rows": 8} in by_map  # fmt: skip
    assert {row["changed_by"] for row in by_map} == {"map"}

    moved = streets.copy()
    moved.shapes[0] = box(0, 0, 200, 190)  # still in the floodway: no change of class
    corner = moved.shapes[4]
    moved.shapes[4] = box(450, 0, 1000, 200)  # now reaches the widened zone
    moved.drop([3, 2])
    assert corner is not None
    year.parcels(moved)
    found = tmp_path / "changes.csv"
    report = year.run("changes", "--csv", found)
    assert [row for row in report["by"] if row["changed_by"] == "shape"] == [
        {"layer": "flood-zones", "dataset": "parcel", "changed_by": "shape", "class_before": "minimal",
         "class_now": "one_percent", "rows": 1}
    ]  # fmt: skip
    with found.open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == report["changes"]


def test_another_version_is_computed_only_where_it_differs(year: Year) -> None:
    streets = alder_streets()
    year.parcels(streets)
    year.addresses(addresses_of(streets))
    # A strip of zones for each row of lots; the second version moves one boundary and renames one zone.
    strips = [zone(box(0, 200 * row, 1500, 200 * row + 200), "AE", "", STATIC_BFE=10.0 + row) for row in range(8)]
    year.map(strips, "v1")
    year.run("overlay")
    first = {row["parcel_id"]: row for row in year.answers("parcel_hazards")}
    moved = strips.copy()
    moved[1] = zone(box(0, 200, 1500, 450), "AE", "", STATIC_BFE=11.0)
    moved[2] = zone(box(0, 450, 1500, 600), "AE", "", STATIC_BFE=12.0)
    moved[5] = zone(box(0, 1000, 1500, 1200), "AE", "FLOODWAY", STATIC_BFE=15.0)
    year.map(moved, "v2")
    done = year.run("overlay")["layers"]["flood-zones"]
    second = {row["parcel_id"]: row for row in year.answers("parcel_hazards")}
    assert counts(list(second.values()), "layer_version") == {"v2": 64}
    again = {key for key, row in second.items() if row["computed_at"] != first[key]["computed_at"]}
    # Rows 3 and 6 lie in other zones now; of their neighbours those are asked again that a changed edge reaches.
    rows = Counter(key.split("-")[0] for key in again)
    assert (rows["3"], rows["6"]) == (8, 8)
    assert set(rows) <= set("1234567")
    assert done["taken_over"] == (64 - len(again)) + done["addresses"]["unchanged"]
    assert done["addresses"] == {"computed": 8, "unchanged": 56}
    assert second["3-1"]["area_by_class"] == pytest.approx({"one_percent": 40_000}, abs=0.1)
    assert (second["3-1"]["static_bfe_ft"], first["3-1"]["static_bfe_ft"]) == (12, 12)
    floodway = {key for key, row in second.items() if row["worst_class"] == "floodway" and row["hazard_share_pct"] > 1}
    assert floodway >= {f"6-{at}" for at in range(1, 9)}
    year.run("overlay", "--full")
    whole = {row["parcel_id"]: row for row in year.answers("parcel_hazards")}
    kept = ("area_by_class", "worst_class", "worst_zone", "static_bfe_ft", "layer_version")
    assert [[whole[key][name] for name in kept] for key in whole] == [
        [second[key][name] for name in kept] for key in whole
    ]


def test_both_sides_change_at_once_and_readers_never_see_a_mixture(year: Year) -> None:
    streets = alder_streets()
    year.parcels(streets)
    year.map(RIVER, "v1")
    year.run("overlay")
    year.map(WIDER, "v2")
    seen: list[set[tuple[str, int]]] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            rows = year.answers("parcel_hazards")
            seen.append({(row["layer_version"], len(rows)) for row in rows})

    reader = threading.Thread(target=read)
    reader.start()
    failures: list[BaseException] = []

    def at_once(work: Callable[[], object]) -> threading.Thread:
        def go() -> None:
            try:
                work()
            except BaseException as error:
                failures.append(error)

        return threading.Thread(target=go)

    changed = streets.copy()
    changed.shapes[2] = box(400, 0, 700, 200)
    changed.drop([3])
    threads = [at_once(lambda: year.run("overlay")), at_once(lambda: year.parcels(changed))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    reader.join()
    assert not failures
    assert all(len({version for version, _ in state}) == 1 for state in seen)
    year.run("overlay")
    rows = year.answers("parcel_hazards")
    assert counts(rows, "layer_version") == {"v2": 63}
    assert {row["parcel_id"]: row for row in rows}["1-3"]["area_by_class"] == pytest.approx(
        {"one_percent": 20_000, "minimal": 40_000}, abs=0.5
    )


def test_a_cluster_computes_the_same_answers(year: Year) -> None:
    streets = alder_streets()
    year.parcels(streets)
    year.addresses(addresses_of(streets))
    year.map(RIVER, "v1")
    year.run("overlay")

    def rows() -> list[Any]:
        kept = [year.answers("parcel_hazards"), year.answers("address_hazards")]
        return sorted(str({**row, "computed_at": None}) for answers in kept for row in answers)

    before = rows()
    year.run("overlay", "--full", "--engine", DASK)
    assert rows() == before
