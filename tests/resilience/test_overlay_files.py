"""Overlay of GeoParquet files in parts: the same answers on a cluster as here, and going on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely

from resilience import overlay_files as module
from resilience.engines import DASK, LOCAL, engine
from resilience.overlay_files import overlay_files
from statewide.errors import BadArgument, UnreadableDelivery

SIDE = 40


def write_geoparquet(path: Path, shapes: list[Any], epsg: int = 6434, rows: int = 100, **columns: list[Any]) -> Path:
    """A GeoParquet file with `rows` rows in a row group."""
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["Polygon"],
                "crs": json.loads(pyproj.CRS.from_epsg(epsg).to_json()),
            }
        },
    }
    table = pa.table({**columns, "geometry": pa.array(shapely.to_wkb(shapes), pa.binary())})
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path, row_group_size=rows)
    return path


@pytest.fixture
def parcels(tmp_path: Path) -> Path:
    """A fabric of lots of 100 ft."""
    lots = [shapely.box(x * 100, y * 100, x * 100 + 100, y * 100 + 100) for x in range(SIDE) for y in range(SIDE)]
    return write_geoparquet(tmp_path / "parcels.parquet", lots, parcel_uid=[f"lot-{at}" for at in range(len(lots))])


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    """A river with its floodway, and a lake in the plain."""
    plain, floodway = shapely.box(900, 0, 2150, 4000), shapely.box(1450, -10, 1550, 4010)
    lake = shapely.Point(3000, 2000).buffer(333)
    return write_geoparquet(
        tmp_path / "zones.parquet", [plain, floodway, lake], zone_class=["plain", "floodway", "floodway"]
    )


def answers(folder: Path) -> list[dict[str, Any]]:
    """All answers of a folder, in the order of the parts."""
    return pa.concat_tables([pq.read_table(part) for part in sorted(folder.glob("part-*.parquet"))]).to_pylist()


ORDER = {"key": "parcel_uid", "class_column": "zone_class", "order": ["floodway", "plain"]}


def test_areas_are_those_of_geos(parcels: Path, zones: Path, tmp_path: Path) -> None:
    with engine(LOCAL) as local:
        result = overlay_files(parcels, zones, tmp_path / "out", local, **ORDER)  # type: ignore[arg-type]
    lake = shapely.Point(3000, 2000).buffer(333)
    assert result["area"]["floodway"] == pytest.approx(100 * 4000 + lake.area, abs=0.01)
    assert result["area"]["plain"] == pytest.approx(1250 * 4000 - 100 * 4000, abs=0.01)
    assert result["unit"] == "square US survey foot"
    lots = {row["parcel_uid"]: row for row in answers(tmp_path / "out") if row["class"] == "plain"}
    assert lots[f"lot-{9 * SIDE}"]["area"] == pytest.approx(10_000)


def test_a_cluster_gives_the_same_bytes_and_what_was_interrupted_goes_on(
    parcels: Path, zones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS", 300)
    here, there = tmp_path / "here", tmp_path / "there"
    with engine(LOCAL) as local:
        first = overlay_files(parcels, zones, here, local, **ORDER)  # type: ignore[arg-type]
    assert first["parts"] == {"computed": 6, "done before": 0}
    with engine(DASK) as dask:
        overlay_files(parcels, zones, there, dask, **ORDER)  # type: ignore[arg-type]
        assert answers(there) == answers(here)
        (there / "part-00003.parquet").unlink()
        (there / "part-00004.parquet").write_bytes(b"cut off")
        again = overlay_files(parcels, zones, there, dask, **ORDER)  # type: ignore[arg-type]
    assert again["parts"] == {"computed": 2, "done before": 4}
    assert answers(there) == answers(here)
    assert np.isclose(again["area"]["plain"], first["area"]["plain"])


def test_files_that_do_not_fit_are_refused(parcels: Path, zones: Path, tmp_path: Path) -> None:
    shapes = [shapely.box(0, 0, 1, 1)]
    degrees = write_geoparquet(tmp_path / "degrees.parquet", shapes, epsg=4326, parcel_uid=["a"], zone_class=["b"])
    plain = tmp_path / "plain.parquet"
    pq.write_table(pa.table({"parcel_uid": ["a"]}), plain)
    with engine(LOCAL) as local:

        def go(parcels: Path, zones: Path, **words: Any) -> None:
            overlay_files(parcels, zones, tmp_path / "out", local, **{**ORDER, **words})

        with pytest.raises(BadArgument, match=r"zones\.parquet in NAD83"):
            go(degrees, zones)
        with pytest.raises(BadArgument, match="need a projected"):
            go(degrees, degrees)
        with pytest.raises(UnreadableDelivery, match="no GeoParquet"):
            go(plain, zones)
        with pytest.raises(BadArgument, match="no column 'pid'"):
            go(parcels, zones, key="pid")
        with pytest.raises(BadArgument, match="leaves out floodway"):
            go(parcels, zones, order=["plain"])
