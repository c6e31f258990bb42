"""The United States National Grid (FGDC-STD-011-2001): longitude and latitude → 18TYL4471982436, to a metre.

The letters and digits are those of the Military Grid Reference System on WGS 84. Only for zones of the
standard shape: not for Norway, Svalbard or the poles.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import pyproj

_BANDS = np.array(list("CDEFGHJKLMNPQRSTUVWX"))
_COLUMNS = np.array([list("ABCDEFGH"), list("JKLMNPQR"), list("STUVWXYZ")])
_ROWS = np.array(list("ABCDEFGHJKLMNPQRSTUV"))
_SQUARE_M = 100_000
_ROW_OF_EVEN_ZONES = 5
"""In zones of even number the letters of the rows begin with F."""

Floats = npt.NDArray[np.float64]


def national_grid(longitude: Floats, latitude: Floats) -> npt.NDArray[np.str_]:
    """The grid's name of each point's square metre; points are in degrees, between 80° S and 84° N."""
    zone = np.minimum(np.floor((longitude + 180) / 6).astype(int), 59) + 1
    band = np.minimum(np.floor((latitude + 80) / 8).astype(int), 19)
    found = np.full(len(longitude), "", dtype="U15")
    for number in np.unique(zone):
        here = zone == number
        east, north = _zone(int(number))(longitude[here], latitude[here])
        north = np.where(latitude[here] < 0, north + 10_000_000, north)
        column, row = (east // _SQUARE_M).astype(int), (north // _SQUARE_M).astype(int)
        row = (row + _ROW_OF_EVEN_ZONES * (number % 2 == 0)) % len(_ROWS)
        letters = [f"{number:02d}", _BANDS[band[here]], _COLUMNS[(number - 1) % 3][column - 1], _ROWS[row]]
        digits = [np.char.zfill((metres % _SQUARE_M).astype(int).astype(str), 5) for metres in (east, north)]
        found[here] = functools.reduce(np.char.add, [*letters, *digits])
    return found


@functools.cache
def _zone(number: int) -> pyproj.Proj:
    return pyproj.Proj(proj="utm", zone=number, ellps="WGS84")
