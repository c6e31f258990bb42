"""From areas in zones to what is said of each parcel: the columns of ``parcel_hazard``, arrays in, arrays out.

Any area of a hazard counts. What is not known counts when there is more of it than a tolerance, the largest first;
below, it is the inaccuracy of two drawings of one line. No database and no geometry here.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from resilience.severity import NO_ZONE, NOT_MAPPED, Severity, Zone

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shares:
    """Parallel arrays: so much of the parcel at `parcel` lies in the zone at `zone`; sorted by parcel."""

    parcel: Places
    zone: Places
    sqft: Floats

    def with_area(self) -> Shares:
        """Those that share area, not only a boundary."""
        some = self.sqft > 0
        return Shares(self.parcel[some], self.zone[some], self.sqft[some])


def parcel_answers(
    severity: Severity,
    zones: Sequence[Zone],
    shares: Shares,
    area_sqft: Floats,
    no_zone_sqft: Floats,
    tolerance_sqft: Floats,
    least_sqft: float,
) -> dict[str, pa.Array]:
    """What is said of parcels, by column of the law, one value per parcel.

    Args:
        shares: zones that share area with a parcel, and how much; a place lies in one zone.
        no_zone_sqft: area that the layer covers and where it draws no zone.
        tolerance_sqft: a gap of this area along the boundary is two drawings of one line, not a lack of coverage.
        least_sqft: a gap of less is rounding.
    """
    count = len(area_sqft)
    zones = [*zones, Zone(NO_ZONE)]
    bare = np.flatnonzero(no_zone_sqft > least_sqft)
    shares = shares.with_area()
    parcel = np.concatenate([shares.parcel, bare])
    zone = np.concatenate([shares.zone, np.full(len(bare), len(zones) - 1, dtype=np.int64)])
    sqft = np.concatenate([shares.sqft, no_zone_sqft[bare]])

    def total(some: npt.NDArray[np.bool_]) -> Floats:
        return np.bincount(parcel[some], weights=sqft[some], minlength=count)

    mapped = np.bincount(parcel, weights=sqft, minlength=count)
    gap = np.maximum(area_sqft - mapped, 0.0)
    names = sorted({each.zone_class for each in zones} | {NOT_MAPPED}, key=severity.order)
    place = {name: at for at, name in enumerate(names)}
    of_zone = np.array([place[each.zone_class] for each in zones], dtype=np.int64)
    unmapped = np.flatnonzero((gap > least_sqft) | (mapped == 0))
    by_class = _summed(
        np.concatenate([parcel, unmapped]),
        np.concatenate([of_zone[zone], np.full(len(unmapped), place[NOT_MAPPED], dtype=np.int64)]),
        np.concatenate([sqft, gap[unmapped]]),
        len(names),
    )
    is_known = np.array([severity.is_known(name) for name in names])
    is_hazard = np.array([severity.is_hazard(name) for name in names])
    unknown = ~is_known[by_class.zone]
    unknown_sqft = np.bincount(by_class.parcel[unknown], weights=by_class.sqft[unknown], minlength=count)
    worst = _worst(by_class, is_hazard, is_known, unknown_sqft > tolerance_sqft, count)

    sfha = total(np.array([bool(each.is_sfha) for each in zones])[zone])
    hazard = total(is_hazard[of_zone][zone])
    tall = _highest(parcel, zone, [each.static_bfe_ft for each in zones], [each.v_datum or "" for each in zones], count)
    deep = _highest(parcel, zone, [each.depth_ft for each in zones], [""] * len(zones), count)
    label = _label(parcel, zone, sqft, worst, of_zone, zones)
    ranks = [severity.rank.get(name) for name in names]
    values = [severity.value.get(name) for name in names]

    def pick(values: Sequence[object], at: Places, kind: pa.DataType) -> pa.Array:
        """Values at places, empty at -1."""
        return pa.array(values, kind).take(pa.array(at, mask=at < 0))

    coverage = np.where(mapped == 0, 0, np.where(gap > tolerance_sqft, 1, 2))
    return {
        "worst_zone": pick([each.label for each in zones], label, pa.string()),
        "worst_class": pick(names, worst, pa.string()),
        "worst_class_rank": pick(ranks, worst, pa.int32()),
        "worst_value": pick(values, worst, pa.float64()),
        "hazard_area_sqft": pa.array(hazard),
        "hazard_share_pct": pa.array(_percent(hazard, area_sqft)),
        "sfha_area_sqft": pa.array(sfha),
        "sfha_share_pct": pa.array(_percent(sfha, area_sqft)),
        "area_by_class": _json(names, by_class, count),
        "mapped_share_pct": pa.array(_percent(mapped, area_sqft)),
        "unknown_share_pct": pa.array(_percent(unknown_sqft, area_sqft)),
        "coverage": pick(["not mapped", "partly mapped", "mapped"], coverage, pa.string()),
        "static_bfe_ft": pick([each.static_bfe_ft for each in zones], tall, pa.float64()),
        "v_datum": pick([each.v_datum for each in zones], tall, pa.string()),
        "depth_ft": pick([each.depth_ft for each in zones], deep, pa.float64()),
    }


def _summed(parcel: Places, code: Places, sqft: Floats, codes: int) -> Shares:
    """One entry per parcel and code, sorted by both."""
    keys, at = np.unique(parcel * codes + code, return_inverse=True)
    return Shares(keys // codes, keys % codes, np.bincount(at, weights=sqft, minlength=len(keys)))


def _worst(
    by_class: Shares,
    is_hazard: npt.NDArray[np.bool_],
    is_known: npt.NDArray[np.bool_],
    much_unknown: npt.NDArray[np.bool_],
    count: int,
) -> Places:
    """The class that each parcel is known by; classes are numbered in the order in which they count."""
    some_hazard = np.zeros(count, dtype=bool)
    some_hazard[by_class.parcel[is_hazard[by_class.zone]]] = True
    some_calm = np.zeros(count, dtype=bool)
    some_calm[by_class.parcel[(is_known & ~is_hazard)[by_class.zone]]] = True
    unknown_counts = ~some_hazard & (much_unknown | ~some_calm)
    hazard, known = is_hazard[by_class.zone], is_known[by_class.zone]
    in_question = np.where(
        unknown_counts[by_class.parcel], ~known, np.where(some_hazard[by_class.parcel], hazard, known)
    )
    # Of the unknown the largest; of the others the first in the order.
    key = np.where(unknown_counts[by_class.parcel], -by_class.sqft, by_class.zone)
    order = np.lexsort((by_class.zone, key, by_class.parcel))
    order = order[in_question[order]]
    parcel = by_class.parcel[order]
    first = np.flatnonzero(np.diff(parcel, prepend=-1))
    worst = np.full(count, -1, dtype=np.int64)
    worst[parcel[first]] = by_class.zone[order[first]]
    return worst


def _label(parcel: Places, zone: Places, sqft: Floats, worst: Places, of_zone: Places, zones: Sequence[Zone]) -> Places:
    """A zone with the label that has most area of the parcel's worst class; -1 where none has a label."""
    labels = sorted({each.label for each in zones if each.label})
    number = {label: at for at, label in enumerate(labels)}
    example = np.full(len(labels), -1, dtype=np.int64)
    of_label = np.array([number[each.label] if each.label else -1 for each in zones], dtype=np.int64)
    example[of_label[of_label >= 0]] = np.flatnonzero(of_label >= 0)
    these = (of_zone[zone] == worst[parcel]) & (of_label[zone] >= 0)
    found = np.full(len(worst), -1, dtype=np.int64)
    summed = _summed(parcel[these], of_label[zone[these]], sqft[these], max(len(labels), 1))
    order = np.lexsort((summed.zone, -summed.sqft, summed.parcel))
    first = order[np.flatnonzero(np.diff(summed.parcel[order], prepend=-1))]
    found[summed.parcel[first]] = example[summed.zone[first]]
    return found


def _highest(parcel: Places, zone: Places, values: Sequence[float | None], ties: Sequence[str], count: int) -> Places:
    """The zone of the highest value on each parcel; -1 where no zone has one."""
    number = np.array([np.nan if value is None else value for value in values])
    has = ~np.isnan(number[zone])
    parcel, zone = parcel[has], zone[has]
    order = np.lexsort((np.unique(ties, return_inverse=True)[1][zone], number[zone], parcel))
    last = order[np.flatnonzero(np.diff(parcel[order], append=count))]
    found = np.full(count, -1, dtype=np.int64)
    found[parcel[last]] = zone[last]
    return found


def _json(names: Sequence[str], by_class: Shares, count: int) -> pa.Array:
    """Area by class as JSON text."""
    quoted = [f'"{name}": ' for name in names]
    pairs = [
        quoted[code] + repr(round(area, 3)) for code, area in zip(by_class.zone, by_class.sqft.tolist(), strict=True)
    ]
    starts = np.searchsorted(by_class.parcel, np.arange(count + 1)).tolist()
    return pa.array([f"{{{', '.join(pairs[first:last])}}}" for first, last in itertools.pairwise(starts)], pa.string())


def _percent(part: Floats, whole: Floats) -> Floats:
    share = np.divide(100 * part, whole, out=np.zeros(len(whole)), where=whole > 0)
    return np.minimum(np.round(share, 4), 100.0)
