"""An oracle from outside: the City of Cambridge's own list of parcels in FEMA's 100- and 500-year floodplain.

The City's rule is "intersect". It equals "shares area" on these data: no parcel of the list merely touches a zone
(smallest common areas 1.87 and 0.08 sq ft), and the nearest parcel outside the 100-year zone stands 0.12 ft off it.
The parcels tested are all that the City published, the 655 of its two lists together, told apart by LOC_ID
(ML, map and lot, is not unique: rail and road parcels carry none).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely

from resilience.overlay import Geometries, index_layer, overlay

HYDRO = Path(__file__).resolve().parents[3] / "shared" / "data" / "ma-cambridge" / "Hydro"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not HYDRO.exists(), reason="the Cambridge files are not beside the checkout (../shared/data)"),
]

Features = tuple[list[dict[str, Any]], Geometries]


def read(name: str) -> Features:
    """Properties and shapes of one file, in EPSG:2249 (NAD83 / Massachusetts Mainland, US survey feet)."""
    [path] = HYDRO.glob(f"*/{name}.geojson")
    features = json.loads(path.read_text())["features"]
    shapes = shapely.from_geojson([json.dumps(feature["geometry"]) for feature in features])
    to_feet = pyproj.Transformer.from_crs(4326, 2249, always_xy=True)
    shapes = shapely.transform(shapes, lambda xy: np.column_stack(to_feet.transform(xy[:, 0], xy[:, 1])))
    return [feature["properties"] for feature in features], shapes


@pytest.fixture(scope="module")
def lists() -> dict[int, Features]:
    return {100: read("FEMA_FloodPlainParcels100Year"), 500: read("FEMA_FloodPlainParcels500Year")}


@pytest.fixture(scope="module")
def parcels(lists: dict[int, Features]) -> dict[str, shapely.Geometry]:
    return {p["LOC_ID"]: shape for rows, shapes in lists.values() for p, shape in zip(rows, shapes, strict=True)}


@pytest.mark.parametrize(("years", "count"), [(100, 157), (500, 655)])
def test_the_engine_finds_exactly_the_parcels_of_the_city(
    years: int, count: int, lists: dict[int, Features], parcels: dict[str, shapely.Geometry]
) -> None:
    listed = {properties["LOC_ID"] for properties in lists[years][0]}
    _, zones = read(f"FEMA_FloodPlains{years}Year")
    index = index_layer(zones, np.ones(len(zones), dtype=np.int64))
    ids = np.array(list(parcels))
    found = overlay(np.array(list(parcels.values()), dtype=object), index)

    assert len(listed) == count
    assert set(ids[found.parcel[found.area_sqft > 0]]) == listed
    assert set(ids[found.parcel]) == listed  # those that merely touch included: there are none
    assert not index.repaired.why
    assert index.overlap_sqft == {}
    expected = shapely.area(shapely.intersection(list(parcels.values()), shapely.union_all(zones)))
    assert found.area_sqft == pytest.approx(expected[found.parcel], abs=0.01)


def test_none_of_the_parcels_listed_for_500_years_alone_meets_the_100_year_zone(lists: dict[int, Features]) -> None:
    listed = {properties["LOC_ID"] for properties in lists[100][0]}
    rows, shapes = lists[500]
    only_500 = np.array([properties["LOC_ID"] not in listed for properties in rows])
    _, zones = read("FEMA_FloodPlains100Year")
    found = overlay(shapes[only_500], index_layer(zones, np.ones(len(zones), dtype=np.int64)))
    assert only_500.sum() == 655 - 157  # 498 by LOC_ID; 497 when told apart by ML, which rail and road parcels share
    assert len(found.parcel) == 0
