"""What a critical reader found: odd files and schedulers on the command line, and answers that would have pretended."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely

from resilience import overlay_files as parts
from resilience.engines import DASK, LOCAL, LocalEngine, engine
from resilience.ground import find_current
from resilience.overlay_files import overlay_files
from statewide.database import OWNER, connect
from statewide.errors import BadArgument, InputError, PlatformError, UnreadableDelivery
from statewide.settings import Settings
from tests.resilience.test_overlay_files import answers as file_answers
from tests.resilience.test_overlay_files import write_geoparquet

ZONE = shapely.box(50, 0, 150, 100)
LOTS = [shapely.box(0, 0, 100, 100), shapely.box(100, 0, 200, 100)]


@pytest.fixture
def lots(tmp_path: Path) -> Path:
    return write_geoparquet(tmp_path / "lots.parquet", LOTS, parcel_uid=["a", "b"])


@pytest.fixture
def zone_file(tmp_path: Path) -> Path:
    return write_geoparquet(tmp_path / "zones.parquet", [ZONE], zone_class=["x"])


def lay(parcels: Path, zones: Path, out: Path, **words: Any) -> dict[str, Any]:
    return overlay_files(parcels, zones, out, LocalEngine(), **({"key": "parcel_uid", "class_column": "zone_class"} | words))


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
    lots = write_geoparquet(tmp_path / "lots.parquet", LOTS, **{key: ["a", "b"]})
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
        empty = write_geoparquet(tmp_path / "empty.parquet", nothing, zone_class=pa.array(["x"] * len(nothing), pa.string()))
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


@pytest.mark.parametrize(
    ("name", "scheduler"), [(LOCAL, "tcp://127.0.0.1:1"), (DASK, "here"), (DASK, "http://here:1")]
)
def test_a_scheduler_that_makes_no_sense_is_refused(name: str, scheduler: str) -> None:
    with pytest.raises(BadArgument, match="scheduler"), engine(name, scheduler):
        pass


def test_a_part_that_kills_its_workers_ends_in_one_sentence() -> None:
    with engine(DASK) as dask, pytest.raises(PlatformError, match="lost its workers"):
        list(dask.map(os._exit, [1]))
