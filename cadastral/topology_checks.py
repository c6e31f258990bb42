"""Checks of a town's parcels against one another on the ground: what `cadastral.topology` measures, as findings.

Of each kind the gravest are named one by one and the rest counted, so that a bad file stays readable. Limits and
severities are the law's; a boundary between two parcels is not ours to choose, so none of these holds a row.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import shapely

from cadastral.topology import (
    Boundaries,
    Gaps,
    Overlaps,
    far_parts,
    mean_width_ft,
    overlaps_and_gaps,
    read_boundaries,
    road_networks,
    slivers,
    spikes,
)
from statewide.arrival import Rows
from statewide.findings import FindingLog, plain_count, plain_number, plain_share
from statewide.geometry import SQFT_PER_ACRE, Floats
from statewide.live import Live
from statewide.register import Town
from statewide.staging import Staged

Places = npt.NDArray[np.int64]

CODES = (
    "OVERLAP",
    "OVERLAP_SAME",
    "OVERLAP_INSIDE",
    "OVERLAP_SMALL",
    "GAP",
    "GAP_LAND",
    "GAP_SMALL",
    "SLIVER",
    "SPIKE",
    "MULTIPART_FAR",
    "ROAD_NETWORK",
    "MORE_OF_THE_SAME",
)
_NAMED = 3
"""Rows that a sentence names before it says how many more there are."""


def topology(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Overlaps, gaps, slivers, spikes, far parts and a road network in one parcel."""
    boundaries = read_boundaries(staged.shapes)
    overlaps, gaps = overlaps_and_gaps(staged.shapes, boundaries, log.standard.header.area_tolerance_sqft)
    _overlaps(staged, rows, overlaps, log)
    _gaps(staged, rows, gaps, log)
    _slivers(staged, log)
    _spikes(staged, boundaries, log)
    _parts(staged, log)


def _overlaps(staged: Staged, rows: Rows, overlaps: Overlaps, log: FindingLog) -> None:
    limits = log.check("OVERLAP").limits
    inside = overlaps.share_of_small >= limits["share_max"]
    same = overlaps.share_of_large >= limits["share_max"]
    small = ~inside & (overlaps.sqft < limits["sqft_min"])
    for code, chosen in (("OVERLAP", ~inside & ~small), ("OVERLAP_SAME", same)):
        for pair in gravest(np.flatnonzero(chosen), overlaps.sqft, code, log):
            log.add(
                code,
                row_no=int(staged.row_no[overlaps.small[pair]]),
                other=_named(staged, rows, [overlaps.large[pair]]),
                sqft=plain_number(overlaps.sqft[pair], 1),
                share=plain_share(float(overlaps.share_of_small[pair])),
                width_ft=plain_number(float(mean_width_ft(overlaps.shapes[pair])), 2),
                shape=overlaps.shapes[pair],
            )
    if small.any():
        log.add(
            "OVERLAP_SMALL",
            pairs=plain_count(int(small.sum()), "pair"),
            limit_sqft=plain_number(limits["sqft_min"]),
            sqft=plain_number(overlaps.sqft[small].sum(), 2),
            shape=shapely.multipoints(shapely.point_on_surface(overlaps.shapes[small])),
        )
    _inside(staged, rows, overlaps, np.flatnonzero(inside & ~same), log)


def _inside(staged: Staged, rows: Rows, overlaps: Overlaps, pairs: Places, log: FindingLog) -> None:
    """Said once per larger parcel: a condominium's land may have a hundred units stamped on it."""
    larger, group = np.unique(overlaps.large[pairs], return_inverse=True)
    sqft = np.bincount(group, weights=overlaps.sqft[pairs], minlength=len(larger))
    for place in gravest(np.arange(len(larger)), sqft, "OVERLAP_INSIDE", log):
        inner = overlaps.small[pairs[group == place]]
        log.add(
            "OVERLAP_INSIDE",
            row_no=int(staged.row_no[larger[place]]),
            inner="One parcel lies" if len(inner) == 1 else f"{len(inner):,} parcels lie",
            sqft=plain_number(sqft[place]),
            area_sqft=plain_number(staged.areas[larger[place]]),
            rows=_named(staged, rows, inner),
            shape=shapely.multipoints(shapely.point_on_surface(staged.shapes[inner])),
        )


def _gaps(staged: Staged, rows: Rows, gaps: Gaps, log: FindingLog) -> None:
    limits = log.check("GAP").limits
    small = gaps.sqft < limits["sqft_min"]
    thin = gaps.width_ft < limits["width_ft_max"]
    slivers = gravest(np.flatnonzero(thin & ~small), gaps.sqft, "GAP", log)
    tree = shapely.STRtree(staged.shapes if len(slivers) else [])
    tolerance = log.standard.header.coordinate_tolerance_ft
    for gap in slivers:
        beside = np.sort(tree.query(gaps.shapes[gap], predicate="dwithin", distance=tolerance))
        log.add(
            "GAP",
            rows=_named(staged, rows, beside),
            sqft=plain_number(gaps.sqft[gap], 1),
            width_ft=plain_number(gaps.width_ft[gap], 2),
            shape=gaps.shapes[gap],
        )
    for gap in gravest(np.flatnonzero(~thin & ~small), gaps.sqft, "GAP_LAND", log):
        log.add(
            "GAP_LAND",
            sqft=plain_number(gaps.sqft[gap]),
            acres=plain_number(gaps.sqft[gap] / SQFT_PER_ACRE, 2),
            width_ft=plain_number(gaps.width_ft[gap]),
            shape=gaps.shapes[gap],
        )
    if small.any():
        log.add(
            "GAP_SMALL",
            gaps=plain_count(int(small.sum()), "gap"),
            limit_sqft=plain_number(limits["sqft_min"]),
            sqft=plain_number(gaps.sqft[small].sum(), 2),
            shape=shapely.multipoints(shapely.point_on_surface(gaps.shapes[small])),
        )


def _slivers(staged: Staged, log: FindingLog) -> None:
    limits = log.check("SLIVER").limits
    found = slivers(staged.shapes, limits["width_ft_max"], limits["times_longer_min"])
    for place in gravest(found, staged.areas, "SLIVER", log):
        log.add(
            "SLIVER",
            row_no=int(staged.row_no[place]),
            width_ft=plain_number(float(mean_width_ft(staged.shapes[place])), 2),
            length_ft=plain_number(shapely.length(staged.shapes[place]) / 2),
            area_sqft=plain_number(staged.areas[place], 1),
            shape=staged.shapes[place],
        )


def _spikes(staged: Staged, boundaries: Boundaries, log: FindingLog) -> None:
    limits = log.check("SPIKE").limits
    vertices = spikes(boundaries, limits["angle_deg_max"], limits["leg_ft_min"])
    owner = boundaries.shape[np.searchsorted(boundaries.start, vertices) - 1]
    counts = np.bincount(owner, minlength=len(staged.shapes))
    for place in gravest(np.flatnonzero(counts), counts, "SPIKE", log):
        log.add(
            "SPIKE",
            row_no=int(staged.row_no[place]),
            places=plain_count(int(counts[place]), "place"),
            angle_deg=f"{limits['angle_deg_max']:g}",
            shape=shapely.multipoints(boundaries.xy[vertices[owner == place]]),
        )


def _parts(staged: Staged, log: FindingLog) -> None:
    limits = log.check("MULTIPART_FAR").limits
    far, groups = far_parts(staged.shapes, limits["distance_ft_min"])
    for at in gravest(np.arange(len(far)), groups, "MULTIPART_FAR", log):
        log.add(
            "MULTIPART_FAR",
            row_no=int(staged.row_no[far[at]]),
            parts=plain_number(shapely.get_num_geometries(staged.shapes[far[at]])),
            groups=plain_number(groups[at]),
            distance_ft=plain_number(limits["distance_ft_min"]),
            shape=staged.shapes[far[at]],
        )
    limits = log.check("ROAD_NETWORK").limits
    perimeter = shapely.length(staged.shapes)
    for place in road_networks(staged.shapes, limits["width_ft_max"], limits["length_ft_min"], limits["share_min"]):
        log.add(
            "ROAD_NETWORK",
            row_no=int(staged.row_no[place]),
            length_ft=plain_number(perimeter[place]),
            share=plain_share(float(perimeter[place] / perimeter.sum())),
            width_ft=plain_number(float(mean_width_ft(staged.shapes[place]))),
            shape=staged.shapes[place],
        )


def gravest(places: Places, weights: Floats | Places, code: str, log: FindingLog) -> Places:
    """The places with the most weight, as many as are shown; what is left out is said."""
    shown = int(log.check("MORE_OF_THE_SAME").limits["shown_max"])
    if len(places) > shown:
        log.left_out[code] += len(places) - shown
        log.add(
            "MORE_OF_THE_SAME",
            kind=log.check(code).title,
            found=plain_number(len(places)),
            shown=plain_number(shown),
        )
    return places[np.argsort(-weights[places], kind="stable")[:shown]]


def _named(staged: Staged, rows: Rows, places: Iterable[int]) -> str:
    """Rows as a town finds them: ``row 12 (F18-68-3), row 13 and 4 more``."""
    numbers = [int(staged.row_no[place]) for place in places]
    names = []
    for row_no in numbers[:_NAMED]:
        label = rows.label(row_no, "parcel_id")
        names.append(f"row {row_no}" + (f" ({label})" if label else ""))
    return ", ".join(names) + (f" and {len(numbers) - _NAMED:,} more" if len(numbers) > _NAMED else "")
