"""The overlay engine against GEOS on every real parcel beside the checkout and every polygon layer there.

Each polygon of a layer is a class of its own, so that every pair of parcel and polygon is compared; then all polygons
are one class, so that what overlaps must be counted once. Prints per pair of files the number of pairs, the largest
difference of an area, and how many pairs one of the two names and the other does not (they come within a millionth of
a foot of touching).

    scripts/bench overlay_referee [--only NAME]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import shapely

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from resilience.overlay import Geometries, index_layer, overlay
from tests.resilience import geos_overlay
from tests.resilience.real_layers import LAYERS, PARCELS, shapes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="the parcels of this name alone")
    arguments = parser.parse_args()
    worst, parcels_seen = 0.0, 0
    for name, (path, epsg) in PARCELS.items():
        if arguments.only not in (None, name):
            continue
        parcels = shapes(path, epsg)
        parcels_seen += int((~shapely.is_missing(parcels)).sum())
        for layer, (other, system) in LAYERS.items():
            if system == epsg:
                worst = max(worst, _compare(f"{name} on {layer}", parcels, shapes(other, system)))
    print(f"{parcels_seen:,} parcels: largest difference {worst:.2e} sq ft")


def _compare(what: str, parcels: Geometries, polygons: Geometries) -> float:
    started = time.perf_counter()
    each = np.arange(len(polygons))
    single = overlay(parcels, index_layer(polygons, each))
    if not len(single.parcel):
        return 0.0
    expected = geos_overlay.overlay(parcels, polygons, each)
    got = geos_overlay.pairs(single)
    difference = geos_overlay.largest_difference(got, expected)
    unsaid = len(got.keys() ^ expected.keys())
    index = index_layer(polygons, np.zeros(len(polygons), dtype=np.int64))
    all_one = geos_overlay.pairs(overlay(parcels, index))
    # Only the polygons near it: the union of a State's parcels is no work for GEOS.
    near = shapely.STRtree(polygons)
    for at in {parcel for parcel, _ in got}:
        here = polygons[near.query(parcels[at])]
        union = here[0] if len(here) == 1 else shapely.union_all(here)
        common = shapely.intersection(parcels[at], union).area
        difference = max(difference, abs(all_one.get((at, 0), 0.0) - common))
    print(
        f"{what:60} {len(got):8,} pairs  largest difference {difference:.2e} sq ft  named by one alone {unsaid:4}"
        f"  overlap {sum(index.overlap_sqft.values()):14,.2f} sq ft  {time.perf_counter() - started:6.1f} s",
        flush=True,
    )
    return difference


if __name__ == "__main__":
    main()
