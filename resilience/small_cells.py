"""The small-cell rule for homes: what is told of a count that may point to a household, and what is kept back.

After the practice of the State's Department of Education in the Open Data Handbook: 1 to 5 are not told, zero is, a
denominator below 20 tells nothing, and where one part of a list is kept back, the next smallest is, too. What is told
is rounded to the nearest 5, so that two answers whose areas or filters differ a little do not give a household by
subtraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

SMALL = 5
"""Counts from 1 to this are not told; others are told to the nearest multiple of it."""
LEAST = 20
"""Parcels of the area, and homes in it, without which nothing is told."""

_FEW = f"1 to {SMALL}: not told"
_FEW_OUTSIDE = f"all but 1 to {SMALL} of the area's: not told"
_SMALL_AREA = f"not told of an area of fewer than {LEAST} parcels or homes"
_BESIDE = "not told, because one beside it is not"


class Units(NamedTuple):
    """Homes, and parcels of the area that was asked for."""

    homes: int
    parcels_of_area: int


def guarded(units: Units, of: Units | None) -> dict[str, Any]:
    """What may be told: `count` to the nearest 5, or None and `why`.

    Args:
        of: all homes of the area, of which these are a part; None where these are all.
    """
    whole = units if of is None else of
    told = None if of is None else guarded(of, None)["count"]
    if units.parcels_of_area < LEAST or whole.homes < LEAST:
        count, why = None, _SMALL_AREA
    elif 0 < units.homes <= SMALL:
        count, why = None, _FEW
    elif of is not None and 0 < of.homes - units.homes <= SMALL:
        count, why = None, _FEW_OUTSIDE
    else:
        count, why = SMALL * round(units.homes / SMALL), None
    return {"count": count, **({} if of is None else {"of": told}), **({} if why is None else {"why": why})}


def guarded_parts(parts: Sequence[dict[str, Any]]) -> None:
    """Keep back the smallest of the parts that are told, where just one part is not."""
    untold = [part for part in parts if part.get("why") == _FEW]
    told = [part for part in parts if part["count"]]
    if len(untold) == 1 and told:
        least = min(told, key=lambda part: part["count"])
        least["count"], least["why"] = None, _BESIDE
