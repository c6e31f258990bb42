"""The overlay engine against GEOS on real parcels and layers; all of them: scripts/bench overlay_referee."""

from __future__ import annotations

import numpy as np
import pytest

from resilience.overlay import index_layer, overlay
from tests.resilience import geos_overlay
from tests.resilience.real_layers import DATA, LAYERS, PARCELS, shapes

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.exists(), reason="the real data are not beside the checkout (../shared/data)"),
]


@pytest.mark.parametrize(
    ("parcels", "layer"),
    [
        ("New London", "towns, State"),
        ("Chester", "towns, census"),
        ("West Hartford", "zoning of the 1950s"),
        ("Franklin", "Woodstock"),
        ("Cambridge, 500 years", "Cambridge, 500-year floodplain"),
        ("Cambridge, 500 years", "Cambridge, city"),
        ("Cambridge, 100 years", "Cambridge, 500 years"),
    ],
)
def test_areas_and_contacts_with_each_polygon_are_those_of_geos(parcels: str, layer: str) -> None:
    lots, polygons = shapes(*PARCELS[parcels]), shapes(*LAYERS[layer])
    each = np.arange(len(polygons))
    got = geos_overlay.pairs(overlay(lots, index_layer(polygons, each)))
    expected = geos_overlay.overlay(lots, polygons, each)
    assert got.keys() == expected.keys()
    assert geos_overlay.largest_difference(got, expected) < 1e-5
