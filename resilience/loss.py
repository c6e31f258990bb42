"""Flood loss of structures: depth above the first floor, percent of the value lost, dollars.

Works on columns of any length and asks no database. Where the depth, the occupancy or the value is not known, neither
is the loss: it is null and counted as unknown, never 0 dollars.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from resilience.damage_functions import ZONES, Floats, Hazus, Ints
from resilience.structures import How, Known, Structures


class Outcome(IntEnum):
    """What is known of a loss: the code list `loss_outcome`, in its order."""

    loss = 0
    no_loss = 1
    dry = 2
    not_mapped = 3
    no_occupancy = 4
    no_value = 5


UNKNOWN = (Outcome.not_mapped, Outcome.no_occupancy, Outcome.no_value)


def estimate_losses(structures: Structures, hazus: Hazus) -> pa.Table:
    """One row per structure: its losses, the functions and depths that they come from, and how each input is known.

    Water that stands at the ground is measured from the first floor; no water is no loss, whatever a function says of
    depths below the floor.
    """
    building_row, content_row = _functions(structures, hazus)
    depth = structures.depth_ft.numbers
    in_structure = depth - structures.first_floor_height_ft.numbers
    value, content_value = structures.building_value_usd.numbers, structures.content_value_usd.numbers
    damage = _damage(hazus.buildings.damage_pct(building_row, in_structure), depth)
    content_damage = _damage(hazus.contents.damage_pct(content_row, in_structure), depth)
    loss, content_loss = _loss(damage, value), _loss(content_damage, content_value)
    no_function = (building_row < 0) | (content_row < 0)
    outcome = np.select(
        [
            np.isnan(depth),
            depth <= 0.0,
            no_function,
            np.isnan(loss) | np.isnan(content_loss),
            loss + content_loss > 0.0,
        ],
        [Outcome.not_mapped, Outcome.dry, Outcome.no_occupancy, Outcome.no_value, Outcome.loss],
        Outcome.no_loss,
    )
    foundations = {kind.number: kind.name for kind in hazus.rules.foundations.types}
    return pa.table(
        {
            **structures.labels,
            "outcome": _named(outcome, [kind.name for kind in Outcome]),
            "building_loss_usd": _numbers(loss),
            "content_loss_usd": _numbers(content_loss),
            "building_damage_pct": _numbers(damage),
            "content_damage_pct": _numbers(content_damage),
            "building_ddf_id": _ids(hazus.buildings.ids, building_row),
            "content_ddf_id": _ids(hazus.contents.ids, content_row),
            "depth_ft": _numbers(depth),
            "depth_how": _how(structures.depth_ft),
            "depth_in_structure_ft": _numbers(in_structure),
            "first_floor_height_ft": _numbers(structures.first_floor_height_ft.numbers),
            "first_floor_height_how": _how(structures.first_floor_height_ft),
            "occupancy": _of_known(structures.occupancy, hazus.rules.codes),
            "occupancy_how": _how(structures.occupancy),
            "storeys": _numbers(structures.storeys.numbers),
            "storeys_how": _how(structures.storeys),
            "split_level": pa.array(structures.split_level),
            "foundation": _of_known(
                structures.foundation, [foundations.get(i, "") for i in range(max(foundations) + 1)]
            ),
            "foundation_how": _how(structures.foundation),
            "zone": _of_known(structures.zone, ZONES),
            "zone_how": _how(structures.zone),
            "building_value_usd": _numbers(value),
            "building_value_how": _how(structures.building_value_usd),
            "content_value_usd": _numbers(content_value),
            "content_value_how": _how(structures.content_value_usd),
        }
    )


@dataclass
class Summary:
    """Sums of the rows of one estimate or of several."""

    structures: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    building_loss_usd: float = 0.0
    content_loss_usd: float = 0.0
    occupancies: dict[str, list[float]] = field(default_factory=dict)
    inputs: dict[str, Counter[str]] = field(default_factory=dict)
    depth_versions: Counter[str] = field(default_factory=Counter)

    def add(self, rows: pa.Table) -> None:
        """Count the rows of `estimate_losses`."""
        self.structures += len(rows)
        self.outcomes.update(_counts(rows["outcome"]))
        building, content = _filled(rows["building_loss_usd"]), _filled(rows["content_loss_usd"])
        self.building_loss_usd += float(building.sum())
        self.content_loss_usd += float(content.sum())
        for name in rows.column_names:
            if name.endswith("_how"):
                self.inputs.setdefault(name.removesuffix("_how"), Counter()).update(_counts(rows[name]))
        if "depth_version" in rows.column_names:
            self.depth_versions.update(_counts(rows["depth_version"].drop_null()))
        encoded = rows["occupancy"].combine_chunks()
        places = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
        names = [*encoded.dictionary.to_pylist(), "unknown"]
        lossy = _filled(rows["building_loss_usd"]) + content > 0
        for values, at in ((np.ones(len(rows)), 0), (lossy.astype(np.float64), 1), (building, 2), (content, 3)):
            for place, total in enumerate(np.bincount(places, values, len(names))):
                if at or total:
                    self.occupancies.setdefault(names[place], [0.0] * 4)[at] += float(total)

    def as_dict(self) -> dict[str, Any]:
        """For a reader: counts with loss, dry and unknown, dollars, by occupancy, and how the inputs are known."""
        unknown = {kind.name: self.outcomes[kind.name] for kind in UNKNOWN}
        return {
            "structures": self.structures,
            "with_loss": self.outcomes["loss"],
            "water_but_no_loss": self.outcomes["no_loss"],
            "dry": self.outcomes["dry"],
            "unknown": sum(unknown.values()),
            "unknown_because": unknown,
            "building_loss_usd": round(self.building_loss_usd, 2),
            "content_loss_usd": round(self.content_loss_usd, 2),
            "loss_usd": round(self.building_loss_usd + self.content_loss_usd, 2),
            "by_occupancy": {
                name: {
                    "structures": int(count),
                    "with_loss": int(lossy),
                    "building_loss_usd": round(building, 2),
                    "content_loss_usd": round(content, 2),
                }
                for name, (count, lossy, building, content) in sorted(self.occupancies.items())
                if count
            },
            "inputs": {name: dict(counts.most_common()) for name, counts in self.inputs.items()},
        }


def _functions(structures: Structures, hazus: Hazus) -> tuple[Ints, Ints]:
    """Rows of the functions for buildings and contents: those that the file names, else those selected; -1 if none."""
    known = structures.occupancy.how != How.unknown
    floors = np.clip(np.floor(structures.storeys.values), 1, 3).astype(np.int64) - 1
    basement = next(kind.number for kind in hazus.rules.foundations.types if kind.letter == "B")
    pair = hazus.chosen[
        np.where(known, structures.occupancy.numbers, 0.0).astype(np.int64),
        structures.zone.values.astype(np.int64),
        (structures.foundation.values == basement).astype(np.int64),
        np.where(structures.split_level, 3, floors),
    ]
    pair = np.where(known[:, None], pair, -1)
    return (
        np.where(structures.building_row >= 0, structures.building_row, pair[:, 0]),
        np.where(structures.content_row >= 0, structures.content_row, pair[:, 1]),
    )


def _damage(percent: Floats, depth: Floats) -> Floats:
    """0 where it is dry; NaN where no function is known or the depth is not."""
    return np.where(depth <= 0.0, 0.0, percent)


def _loss(damage_pct: Floats, value: Floats) -> Floats:
    """Dollars in whole cents; what no water reaches loses nothing, whatever it is worth."""
    return np.where(damage_pct == 0.0, 0.0, np.round(value * damage_pct / 100.0, 2))


def _numbers(values: Floats) -> pa.Array:
    return pa.array(values, from_pandas=True)


def _ids(ids: Ints, rows: Ints) -> pa.Array:
    return pa.array(ids[rows], mask=rows < 0)


def _named(places: NDArray[Any], names: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int8)), pa.array(names))


def _how(known: Known) -> pa.Array:
    return _named(known.how, [how.name for how in How])


def _of_known(known: Known, names: tuple[str, ...] | list[str]) -> pa.Array:
    unknown = known.how == How.unknown
    places = np.where(unknown, 0.0, known.numbers).astype(np.int8)
    return pa.DictionaryArray.from_arrays(pa.array(places, mask=unknown), pa.array(names))


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {item["values"]: item["counts"] for item in column.value_counts().to_pylist()}


def _filled(column: pa.ChunkedArray) -> Floats:
    numbers: Floats = column.fill_null(0.0).to_numpy()
    return numbers
