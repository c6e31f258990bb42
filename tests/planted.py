"""Invented fabrics of parcels with planted faults, for comparing a fast answer with the plain one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from hypothesis import strategies as st
from numpy.typing import NDArray

from statewide.geometry import repair

Shapes = NDArray[np.object_]
WEST, SOUTH = 1_000_000.0, 700_000.0


@dataclass
class Plan:
    """What is planted in an invented fabric."""

    seed: int
    size: int
    jitter: float
    left_out: int
    shifted: int
    stamps: int
    stacks: int
    blankets: int
    extra_vertices: int
    ragged_ft: float = 0.0
    copied: bool = False


plans = st.builds(
    Plan,
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 7),
    jitter=st.sampled_from([0.0, 3.0, 40.0]),
    left_out=st.integers(0, 6),
    shifted=st.integers(0, 4),
    stamps=st.integers(0, 4),
    stacks=st.integers(0, 4),
    blankets=st.integers(0, 2),
    extra_vertices=st.integers(0, 6),
    ragged_ft=st.sampled_from([0.0, 0.0, 1e-7, 1e-3, 0.5]),
    copied=st.booleans(),
)


def planted(plan: Plan) -> Shapes:
    """A fabric of bent lots with what the plan says: lots left out, moved, stamped, stacked and blanketed."""
    rng = np.random.default_rng(plan.seed)
    corners = np.stack(np.meshgrid(np.arange(plan.size + 1), np.arange(plan.size + 1), indexing="ij"), axis=-1) * 100.0
    corners += rng.uniform(-plan.jitter, plan.jitter, corners.shape)
    corners += (WEST, SOUTH)
    lots = [
        shapely.Polygon([corners[i, j], corners[i + 1, j], corners[i + 1, j + 1], corners[i, j + 1]])
        for i in range(plan.size)
        for j in range(plan.size)
    ]
    for _ in range(plan.left_out):
        if len(lots) > 1:
            lots.pop(int(rng.integers(len(lots))))
    some = [int(rng.integers(len(lots))) for _ in range(8)]
    for index in some[: plan.shifted]:
        lots[index] = shapely.transform(lots[index], lambda xy: xy + rng.uniform(-30, 30, 2))
    for index in some[: plan.stamps]:
        centre = lots[index].representative_point()
        lots.append(shapely.box(centre.x - 5, centre.y - 4, centre.x + 5, centre.y + 4))
    for index in some[: plan.blankets]:
        lots.append(shapely.box(*np.add(lots[index].bounds, (-150, -20, 20, 150))))
    for index in some[: plan.extra_vertices]:
        if len(lots[index].exterior.coords) == 5:
            a, b, *rest = lots[index].exterior.coords[:-1]
            middle = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)  # on one side only, and rounded off the line
            lots[index] = shapely.Polygon([a, middle, b, *rest])
    for index in some[: plan.stacks]:
        ring = list(lots[index].exterior.coords[:-1])
        turned = ring[2:] + ring[:2]
        lots.append(shapely.Polygon(turned[:: int(rng.choice([-1, 1]))]))
    if plan.copied:  # the whole town once more, a little aside
        lots += [shapely.transform(lot, lambda xy: np.add(xy, (7, 3))) for lot in lots]
    if plan.ragged_ft:  # each lot drawn for itself, no corner shared
        lots = [shapely.Polygon(_ragged(lot.exterior.coords[:-1], plan.ragged_ft, rng)) for lot in lots]
    order = rng.permutation(len(lots))
    shapes = np.array(lots, dtype=object)[order]
    shapes = repair(shapes).shapes
    return shapes[~shapely.is_missing(shapes)]


def _ragged(ring: list[tuple[float, ...]], feet: float, rng: np.random.Generator) -> NDArray[np.float64]:
    corners = np.array(ring)
    return corners + rng.uniform(-feet, feet, corners.shape)
