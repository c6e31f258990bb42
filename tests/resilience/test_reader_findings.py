"""What a critical reader found: odd files and schedulers on the command line, and answers that would have pretended."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely
from psycopg import sql

from addresses.points import submit as submit_points
from resilience import overlay_files as parts
from resilience.engines import DASK, LOCAL, LocalEngine, engine
from resilience.exposure import Fetch, expose, read_question
from resilience.exposure_counts import counts, parameters
from resilience.exposure_list import list_page
from resilience.ground import find_current, open_ground
from resilience.hazards_at import hazards_at
from resilience.overlay_files import overlay_files
from statewide.database import API, OWNER, connect, read_sql
from statewide.errors import BadArgument, PlatformError, UnknownTown, UnreadableDelivery
from statewide.intake import Request
from statewide.settings import Settings
from tests.address_towns import addresses_of, alder_streets, write_points
from tests.resilience.exposed_towns import ASH, found_towns, insert, remake, uid
from tests.resilience.flood_maps import box, write_map, zone
from tests.resilience.test_overlay_files import answers as file_answers
from tests.resilience.test_overlay_files import write_geoparquet
from tests.resilience.test_parcel_hazard import RIVER, Hazards, answers, deliver, hazards
from tests.towns import Fabric, alder, found_alder

__all__ = ["deliver", "hazards"]

ZONE = shapely.box(50, 0, 150, 100)
LOTS = [shapely.box(0, 0, 100, 100), shapely.box(100, 0, 200, 100)]


@pytest.fixture
def lots(tmp_path: Path) -> Path:
    return write_geoparquet(tmp_path / "lots.parquet", LOTS, parcel_uid=["a", "b"])


@pytest.fixture
def zone_file(tmp_path: Path) -> Path:
    return write_geoparquet(tmp_path / "zones.parquet", [ZONE], zone_class=["x"])


def lay(parcels: Path, zones: Path, out: Path, **words: Any) -> dict[str, Any]:
    words = {"key": "parcel_uid", "class_column": "zone_class"} | words
    return overlay_files(parcels, zones, out, LocalEngine(), **words)


def test_answers_of_an_earlier_larger_file_do_not_stay_in_the_folder(
    lots: Path, zone_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_ROWS", 1)
    two = write_geoparquet(tmp_path / "two.parquet", LOTS, rows=1, parcel_uid=["a", "b"])
    lay(two, zone_file, tmp_path / "out")
    assert [row["parcel_uid"] for row in file_answers(tmp_path / "out")] == ["a", "b"]
    one = write_geoparquet(tmp_path / "one.parquet", LOTS[:1], rows=1, parcel_uid=["a"])
    lay(one, zone_file, tmp_path / "out")
    assert [row["parcel_uid"] for row in file_answers(tmp_path / "out")] == ["a"]


@pytest.mark.parametrize("key", ["class", "area"])
def test_a_key_that_is_called_as_a_column_of_the_answers_is_refused(key: str, zone_file: Path, tmp_path: Path) -> None:
    lots = write_geoparquet(tmp_path / "lots.parquet", LOTS, 6434, 100, **{key: ["a", "b"]})
    with pytest.raises(BadArgument, match=f"a key cannot be called {key!r}"):
        lay(lots, zone_file, tmp_path / "out", key=key)


def test_what_has_no_polygon_is_counted_and_a_file_without_any_zone_is_refused(
    lots: Path, zone_file: Path, tmp_path: Path
) -> None:
    shapes = [LOTS[0], None, shapely.Polygon(), shapely.Point(60, 60)]
    odd = write_geoparquet(tmp_path / "odd.parquet", shapes, parcel_uid=list("abcd"), zone_class=["x"] * 4)
    for times in ("first", "done before"):
        result = lay(odd, zone_file, tmp_path / "out")
        assert (result["parcels"], result["parcels_without_polygon"], times) == (4, 3, times)
    assert lay(lots, odd, tmp_path / "other")["zones_without_polygon"] == 3
    for nothing in ([], [None, shapely.Point(1, 1)]):
        words = pa.array(["x"] * len(nothing), pa.string())
        empty = write_geoparquet(tmp_path / "empty.parquet", nothing, zone_class=words)
        with pytest.raises(UnreadableDelivery, match=r"empty\.parquet has no polygon"):
            lay(lots, empty, tmp_path / "none")


GOOD = {"encoding": "WKB", "crs": json.loads(pyproj.CRS.from_epsg(6434).to_json())}


@pytest.mark.parametrize(
    "geo",
    [
        [1],
        {"primary_column": "geometry", "columns": [1]},
        {"primary_column": "geometry", "columns": {"geometry": GOOD | {"crs": {"a": 1}}}},
        {"primary_column": "gone", "columns": {"gone": GOOD}},
        {"primary_column": ["geometry"], "columns": {"geometry": GOOD}},
    ],
)
def test_a_file_that_says_odd_things_of_its_shapes_is_refused(geo: Any, zone_file: Path, tmp_path: Path) -> None:
    table = pq.read_table(zone_file).replace_schema_metadata({"geo": json.dumps(geo)})
    odd = tmp_path / "odd.parquet"
    pq.write_table(table, odd)
    for parcels, zones in ((odd, zone_file), (zone_file, odd)):
        with pytest.raises(UnreadableDelivery, match=r"odd\.parquet"):
            lay(parcels, zones, tmp_path / "out", key="zone_class")


@pytest.mark.parametrize("values", [pa.array([[1]]), pa.array([b"\xff"], pa.binary())])
def test_classes_that_are_no_words_are_refused(values: pa.Array, lots: Path, zone_file: Path, tmp_path: Path) -> None:
    table = pq.read_table(zone_file)
    odd = tmp_path / "odd.parquet"
    pq.write_table(table.set_column(table.column_names.index("zone_class"), "zone_class", values), odd)
    with pytest.raises(BadArgument, match="zone_class are no words"):
        lay(lots, odd, tmp_path / "out")


def test_a_folder_that_cannot_be_is_refused(lots: Path, zone_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here already", encoding="utf-8")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadArgument, match="cannot be made"):
            lay(lots, zone_file, out)


@pytest.mark.parametrize(("name", "scheduler"), [(LOCAL, "tcp://127.0.0.1:1"), (DASK, "here"), (DASK, "http://here:1")])
def test_a_scheduler_that_makes_no_sense_is_refused(name: str, scheduler: str) -> None:
    with pytest.raises(BadArgument, match="scheduler"), engine(name, scheduler):
        pass


def test_a_part_that_kills_its_workers_ends_in_one_sentence() -> None:
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        engine(DASK) as cluster,
        pytest.raises(PlatformError, match="lost its workers"),
    ):
        list(cluster.map(os._exit, [1]))


# ------------------------------------------------------------------------------------------- with the database

VERSION = """
INSERT INTO resilience.hazard_layer_version
    (layer_load_id, layer, layer_version, is_current, loaded_at, source_file, source_sha256, class_list_version,
     summary)
VALUES (gen_random_uuid(), 'flood-zones', %s, true, now(), 'file', repeat('0', 64), '1', '{}')
"""


def test_an_overlay_that_waits_for_a_new_version_is_made_with_it(settings: Settings) -> None:
    with connect(settings, OWNER) as connection:
        connection.execute(VERSION, ["v1"])
    found: list[str | None] = []

    def ask() -> None:
        with connect(settings) as connection:
            connection.execute("SET application_name = 'asks'")
            current = find_current(connection, "flood-zones")
            found.append(current and current.version)

    with connect(settings, OWNER) as loading, connect(settings, OWNER) as watching:
        loading.execute("UPDATE resilience.hazard_layer_version SET is_current = false")
        loading.execute(VERSION, ["v2"])
        asking = threading.Thread(target=ask)
        asking.start()
        waits = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'asks' AND wait_event_type = 'Lock'"
        while asking.is_alive() and not watching.execute(waits).fetchone():
            watching.commit()
        loading.commit()
        asking.join()
    assert found == ["v2"]


def test_zones_that_changed_under_the_same_load_are_answered_anew(
    deliver: Callable[[Fabric], None], hazards: Hazards, settings: Settings, tmp_path: Path
) -> None:
    deliver(alder(1, 2))
    hazards("load", "flood-zones", write_map(RIVER, tmp_path), "--version", "v1")
    hazards("overlay")
    assert answers(settings)["1-1"]["static_bfe_ft"] == 11
    with connect(settings, OWNER) as connection:
        connection.execute("UPDATE resilience.flood_zone SET static_bfe_ft = 12 WHERE static_bfe_ft = 11")
    hazards("overlay", "--full")
    assert answers(settings)["1-1"]["static_bfe_ft"] == 12


@pytest.mark.parametrize("harm", ["gone", "cut off"])
def test_what_is_beside_an_index_is_made_anew_when_it_is_gone_or_cut_off(
    harm: str, deliver: Callable[[Fabric], None], hazards: Hazards, settings: Settings, tmp_path: Path
) -> None:
    deliver(alder(1, 2))
    hazards("load", "flood-zones", write_map(RIVER, tmp_path), "--version", "v1")
    hazards("overlay")
    before = answers(settings, "area_by_class")

    def damage() -> None:
        open_ground.cache_clear()  # as in another process
        for file in (settings.home / "index").glob("*.zones.json"):
            file.unlink() if harm == "gone" else file.write_text("[[", encoding="utf-8")

    damage()
    hazards("overlay", "--full")
    assert answers(settings, "area_by_class") == before
    damage()
    hazards("load", "flood-zones", write_map(RIVER[:4], tmp_path / "new"), "--version", "v2", "--accept",
            "LAYER_CLASS_LOST", "--reason", "x")  # fmt: skip
    hazards("overlay")
    assert answers(settings, "area_by_class") == before


def test_addresses_of_a_town_without_parcels_are_laid_over_the_layers(
    hazards: Hazards, settings: Settings, tmp_path: Path
) -> None:
    found_alder(settings)
    hazards("load", "flood-zones", write_map(RIVER, tmp_path), "--version", "v1")

    points = addresses_of(alder_streets())
    file = write_points(points, tmp_path / "points")
    delivered = submit_points(settings, Request(file, "alder", 2025), lambda _: None).summary
    assert (delivered["outcome"], delivered["behind"]) == ("published", {})
    with connect(settings, API) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM published.address_hazards").fetchall()
    assert count == len(points)
    assert hazards("overlay", "--town", "Alder")["outcome"] == "unchanged"


def test_changes_are_asked_of_layers_that_there_are_and_written_to_folders_that_there_are(
    hazards: Hazards, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(BadArgument, match="no hazard layer 'flood-zone'"):
        hazards("changes", "--layer", "flood-zone")
    for file in (tmp_path / "nowhere" / "changes.csv", tmp_path):
        with pytest.raises(BadArgument, match="cannot be written"):
            hazards("changes", "--csv", file)


# ------------------------------------------------------------------------------------------ what is asked of the street

OTHER_VERSION = """
INSERT INTO resilience.hazard_layer_version
    (layer_load_id, layer, layer_version, is_current, loaded_at, source_file, source_sha256, class_list_version,
     summary)
VALUES (%s, %s, 'v2', true, now(), 'x', repeat('0', 64), '2', '{}')
"""


def street(connection: psycopg.Connection[Any]) -> Fetch:
    return lambda query, values: connection.execute(query, values).fetchall()


@pytest.mark.parametrize(
    "asked",
    [
        {"state": True, "layers": [{}]},
        {"state": True, "layers": [["flood-zones"]]},
        {"bbox": [10**400, 1, 2, 3]},
    ],
)
def test_a_question_in_odd_words_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(BadArgument):
        read_question(lambda query, values: [], asked)


def test_what_a_reader_asks_of_the_street_is_not_answered_with_something_else(settings: Settings) -> None:
    found_towns(settings)
    with connect(settings, OWNER) as connection:
        for lot in range(1, 11):
            remake(connection, lot, flood_zones={"floodway": 1.0}, dwelling_unit_count=None)
        connection.execute(OTHER_VERSION, [uid("load", "depth-grid"), "depth-grid"])
        versions = {"layer_version": "v1", "layer_load_id": uid("earlier grid"), "computed_at": "2026-01-01T00:00Z"}
        point = uid("address", 20)
        insert(
            connection,
            "resilience.address_hazard",
            {
                "address_hazard_uid": uid("of the earlier grid"), "address_uid": point, "cousub_fips": ASH,
                "layer": "depth-grid", "zone_class": "no_zone", "zone_class_rank": 0, "coverage": "mapped",
                "depth_ft": 0.0, "address_submission_id": uid("address_point", ASH), "address_shape_hash": point,
                **versions,
            },
        )  # fmt: skip
    with connect(settings, API) as connection:
        fetch = street(connection)
        # An answer of the version before is not told as one of the version now.
        [grid] = [each for each in hazards_at(fetch, None, None, point)["layers"] if each["layer"] == "depth-grid"]
        assert (grid["layer_version"], grid["zone_class"], grid["coverage"]) == ("v2", None, None)
        assert "v1" in grid["sentence"]
        with pytest.raises(BadArgument, match="one place"):
            hazards_at(fetch, None, 41.1, point)

        # Ten lots of which nobody knows how many homes there are have not none.
        [flood] = expose(fetch, read_question(fetch, {"town": "Ash", "layers": "flood-zones"}))["layers"]
        assert flood["total"]["dwelling_units"]["count"] is None
        assert "do not say" in flood["total"]["dwelling_units"]["why"]

        # Where no town is, nothing is known; such as where latitude was taken for longitude.
        swapped = expose(fetch, read_question(fetch, {"bbox": [41.1, -72.8, 41.2, -72.7]}))
        assert "outside_register" in {each["code"] for each in swapped["unknowns"]}

        question = read_question(fetch, {"town": "Ash"})
        with pytest.raises(BadArgument, match="after"):
            list_page(fetch, question, "csv", 5, f"{point}/\x00")


def test_a_layer_that_comes_while_a_town_is_counted_for_the_first_time_makes_the_count_old(settings: Settings) -> None:
    found_towns(settings)
    keep = sql.SQL("{}{}").format(counts(in_area=False), read_sql("resilience", "exposure_keep"))
    with connect(settings) as counting:
        counting.execute("DELETE FROM resilience.exposure_stale")
        counting.execute(keep, parameters(towns=[ASH]) | {"use_counted": False})
        with connect(settings, OWNER) as loading:
            loading.execute("UPDATE resilience.hazard_layer_version SET is_current = false WHERE layer = 'flood-zones'")
            loading.execute(OTHER_VERSION, [uid("later"), "flood-zones"])
    with connect(settings, API) as connection:
        fetch = street(connection)
        [flood] = expose(fetch, read_question(fetch, {"town": "Ash", "layers": "flood-zones"}))["layers"]
    assert (flood["version"], flood["coverage"]["answers_of_older_layer"]) == ("v2", 30)


@pytest.mark.parametrize("words", [("overlay",), ("changes",)])
def test_an_empty_name_of_a_town_is_not_all_towns(words: tuple[str], hazards: Hazards, settings: Settings) -> None:
    with pytest.raises(UnknownTown):
        hazards(*words, "--town", "")


def test_a_flood_map_without_any_special_hazard_area_has_none_and_not_an_unknown_one(
    deliver: Callable[[Fabric], None], hazards: Hazards, settings: Settings, tmp_path: Path
) -> None:
    deliver(alder(1, 2))
    hazards("load", "flood-zones", write_map([zone(box(0, 0, 400, 200), "X")], tmp_path), "--version", "v1")
    hazards("overlay")
    found = answers(settings)["1-1"]
    assert (found["sfha_area_sqft"], found["sfha_share_pct"]) == (0, 0)


def test_a_number_beyond_all_numbers_is_none_and_a_row_is_not_quoted(hazards: Hazards, tmp_path: Path) -> None:
    file = tmp_path / "structures.csv"
    file.write_text("FltyId,Occ,Cost,depth_ft\n1,RES1,1e400,5\n2,RES1,100,5\n", encoding="utf-8")
    result = hazards("loss", "--structures", file)
    assert (result["with_loss"], result["unknown_because"]["no_value"]) == (1, 1)
    assert result["not_understood"] == {"building_value_usd": 1}
    file.write_text("FltyId,Occ,Cost,depth_ft\n1,RES1\n2,Jane Doe\n", encoding="utf-8")
    with pytest.raises(UnreadableDelivery) as refused:
        hazards("loss", "--structures", file)
    assert "RES1" not in str(refused.value)
    assert "Jane" not in str(refused.value)
