"""What became of parcels that differ: split, merged, moved, renumbered, by number and by the land they share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from statewide.database import connect
from statewide.intake import Outcome
from statewide.settings import Settings
from tests.towns import ALDER, LOT, SOUTH, WEST, Fabric, alder, append_lot

Submit = Callable[..., Outcome]


def lot(column: float, row: float, width: float = 1, depth: float = 1) -> Any:
    """A piece of the fabric, in lots from its south-west corner."""
    x, y = WEST + column * LOT, SOUTH + row * LOT
    return shapely.box(x, y, x + width * LOT, y + depth * LOT)


def draw(fabric: Fabric, index: int, shape: Any) -> None:
    fabric.shapes[index] = shape
    fabric.columns["Shape_Area"][index] = shape.area


def number(fabric: Fabric, index: int, name: str) -> None:
    fabric.columns["Parcel_ID"][index] = fabric.columns["Link"][index] = name
    fabric.columns["CAMA_Link"][index] = f"{ALDER.cousub_fips}-{name}"


def relations(settings: Settings) -> list[tuple[Any, ...]]:
    """Kind, earlier number, later number, shares; of the last delivery."""
    with connect(settings) as connection:
        return connection.execute(
            """
            WITH known AS (
                SELECT parcel_uid, parcel_id, valid_from FROM cadastral.parcel
                UNION ALL SELECT parcel_uid, parcel_id, valid_from FROM cadastral.parcel_history
            )
            SELECT kind,
                (SELECT parcel_id FROM known WHERE parcel_uid = from_uid ORDER BY valid_from LIMIT 1) AS earlier,
                (SELECT parcel_id FROM known WHERE parcel_uid = to_uid ORDER BY valid_from DESC LIMIT 1) AS later,
                round(share_of_from::numeric, 2)::float, round(share_of_to::numeric, 2)::float
            FROM statewide.lineage
            WHERE submission_id = (SELECT submission_id FROM statewide.submission ORDER BY submission_no DESC LIMIT 1)
            ORDER BY 1, 2, 3
            """
        ).fetchall()


def split(fabric: Fabric) -> None:
    draw(fabric, 0, lot(0, 0, 0.6))
    append_lot(fabric, "1-1A", lot(0.6, 0, 0.4))


def split_without_the_number(fabric: Fabric) -> None:
    fabric.drop([0])
    append_lot(fabric, "200", lot(0, 0, 0.5))
    append_lot(fabric, "201", lot(0.5, 0, 0.5))


def merged(fabric: Fabric) -> None:
    draw(fabric, 0, lot(0, 0, 2))
    fabric.drop([1])


def merged_under_a_new_number(fabric: Fabric) -> None:
    fabric.drop([0, 1])
    append_lot(fabric, "200", lot(0, 0, 2))


def boundary_moved_between_neighbours(fabric: Fabric) -> None:
    draw(fabric, 0, lot(0, 0, 0.9))
    draw(fabric, 1, lot(0.9, 0, 1.1))


def three_redrawn_as_two(fabric: Fabric) -> None:
    fabric.drop([0, 1, 2])
    append_lot(fabric, "200", lot(0, 0, 1.6))
    append_lot(fabric, "201", lot(1.6, 0, 1.4))


def moved(fabric: Fabric) -> None:
    draw(fabric, 63, shapely.transform(fabric.shapes[63], lambda xy: xy + np.array([3.0, 4.0])))


def renumbered_and_redrawn(fabric: Fabric) -> None:
    number(fabric, 63, "200")
    draw(fabric, 63, lot(7, 7, 1.03))


def retired_and_new(fabric: Fabric) -> None:
    fabric.drop([63])
    append_lot(fabric, "200", lot(10, 0))


def words(fabric: Fabric) -> None:
    fabric.columns["Location"][5] = "6 REAR MAIN ST"


@pytest.mark.parametrize(
    ("change", "counts", "expected"),
    [
        (split, {"split": 1}, [("split", "1-1", "1-1", 0.6, 1.0), ("split", "1-1", "1-1A", 0.4, 1.0)]),
        (
            split_without_the_number,
            {"split": 1},
            [("split", "1-1", "200", 0.5, 1.0), ("split", "1-1", "201", 0.5, 1.0)],
        ),
        (merged, {"merged": 1}, [("merged", "1-1", "1-1", 1.0, 0.5), ("merged", "1-2", "1-1", 1.0, 0.5)]),
        (
            merged_under_a_new_number,
            {"merged": 1},
            [("merged", "1-1", "200", 1.0, 0.5), ("merged", "1-2", "200", 1.0, 0.5)],
        ),
        (
            boundary_moved_between_neighbours,
            {"reshaped": 2},
            [("reshaped", "1-1", "1-1", None, None), ("reshaped", "1-2", "1-2", None, None)],
        ),
        (
            three_redrawn_as_two,
            {"retired": 3, "new": 2},
            [
                ("new", "1-1", "200", 1.0, 0.63),
                ("new", "1-3", "201", 1.0, 0.71),
                ("retired", "1-1", "200", 1.0, 0.63),
                ("retired", "1-2", "200", 0.6, 0.38),
                ("retired", "1-3", "201", 1.0, 0.71),
            ],
        ),
        (moved, {"moved": 1}, [("moved", "8-8", "8-8", None, None)]),
        (renumbered_and_redrawn, {"reshaped": 1}, [("reshaped", "8-8", "200", None, None)]),
        (
            retired_and_new,
            {"retired": 1, "new": 1},
            [("new", None, "200", None, None), ("retired", "8-8", None, None, None)],
        ),
        (words, {"attributes": 1}, [("attributes", "1-6", "1-6", None, None)]),
    ],
)
def test_what_became_of_a_parcel_is_told_and_kept(
    deliver: Submit,
    settings: Settings,
    change: Callable[[Fabric], None],
    counts: dict[str, int],
    expected: list[tuple[Any, ...]],
) -> None:
    assert deliver(alder()).summary["lineage"] == {}, "a first delivery succeeds nothing"
    assert relations(settings) == []
    fabric = alder()
    change(fabric)
    outcome = deliver(fabric)
    assert outcome.summary["outcome"] == "published"
    assert outcome.summary["lineage"] == counts
    report = json.loads((Path(outcome.summary["report"]) / "report.json").read_text())
    assert {kind: told["count"] for kind, told in report["lineage"].items()} == counts
    assert all(told["examples"] for told in report["lineage"].values())
    assert relations(settings) == expected


def test_units_that_join_a_lot_are_new_on_its_land_and_do_not_split_it(deliver: Submit, settings: Settings) -> None:
    deliver(alder())
    fabric = alder()
    for unit in range(3):
        append_lot(fabric, f"1-1-{unit}", fabric.shapes[0])
    assert deliver(fabric).summary["lineage"] == {"new": 3}
    # The lot with its units is redrawn: a stack is one lot, and four rows on it are four reshaped rows.
    for index in (0, 64, 65, 66):
        draw(fabric, index, lot(0, 0, 1, 0.99))
    assert deliver(fabric).summary["lineage"] == {"reshaped": 4}


def test_a_lot_with_small_shapes_upon_it_is_not_split_by_them(deliver: Submit, settings: Settings) -> None:
    deliver(alder())
    fabric = alder()
    draw(fabric, 0, lot(0, 0, 0.99))
    for unit in range(4):
        append_lot(fabric, f"1-1-{unit}", lot(0.2 * unit, 0, 0.19, 0.5))
    assert deliver(fabric).summary["lineage"] == {"reshaped": 1, "new": 4}


def test_a_split_and_a_merger_are_said_once_each_with_a_shared_reason_kept_apart(
    deliver: Submit, settings: Settings
) -> None:
    deliver(alder())
    fabric = alder()
    split(fabric)
    draw(fabric, 62, lot(6, 7, 2))
    fabric.drop([63])
    outcome = deliver(fabric)
    assert outcome.summary["lineage"] == {"split": 1, "merged": 1}
    report = json.loads((Path(outcome.summary["report"]) / "report.json").read_text())
    assert report["lineage"]["split"]["examples"] == ["1-1 → 1-1, 1-1A"]
    assert report["lineage"]["merged"]["examples"] == ["8-7, 8-8 → 8-7"]
