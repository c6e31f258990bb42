"""Shapes around Hartford, and the same in any coordinate system: what tests of shapes and of systems share."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import numpy.typing as npt
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from statewide.standard import load_standard

STANDARD = load_standard()
FAMILY = {crs.epsg: crs.same_digits_as or crs.epsg for crs in STANDARD.header.accepted_crs}
HARTFORD = (1_020_897.366, 839_771.451)


def shapes(*items: BaseGeometry | None) -> npt.NDArray[np.object_]:
    found = np.empty(len(items), dtype=object)
    found[:] = items
    return found


def wkt(text: str) -> BaseGeometry:
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shapely warns of the NaN that we ask for
        return shapely.from_wkt(text)


@functools.cache
def transformer(epsg: int) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(2234, FAMILY.get(epsg, epsg), always_xy=True)


def moved_to(epsg: int, items: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Shapes of EPSG:2234 in another system, by the standard's rule that some systems share their digits."""
    move = transformer(epsg)
    found: npt.NDArray[np.object_] = shapely.transform(
        items, lambda xy: np.column_stack(move.transform(xy[:, 0], xy[:, 1]))
    )
    return found
