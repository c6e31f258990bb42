"""What became of the rows that differ between a delivery and the live town: split, merged, moved, renumbered and so on.

Judged on the rows that `lineage.trace` did not find unchanged, by number and by the land that they share. A first
delivery has nothing to succeed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely
from psycopg import sql

from statewide.copying import UUID, copy_in
from statewide.ddl import has_shapes, of_points
from statewide.geometry import Floats, Shapes, same_shape
from statewide.lineage import Indices, Lineage
from statewide.live import Live
from statewide.staging import Digests, Staged
from statewide.standard import LineageLaw, Standard

Kind = Literal["moved", "reshaped", "renumbered", "revalued", "attributes", "split", "merged", "retired", "new"]

Kinds = npt.NDArray[np.object_]

_NONE = -1
_MOST = 0.5
_EXAMPLES = 5


@dataclass(frozen=True)
class Relation:
    """Places in the live and in the staged rows, -1 where there is none, and the shares of their land in common."""

    old: int
    new: int
    kind: Kind
    share_of_old: float | None = None
    share_of_new: float | None = None


@dataclass(frozen=True)
class Succession:
    """The relations of a delivery; `counts` has split parcels, results of mergers, and rows of every other kind.

    `examples` are some of each kind in words.
    """

    relations: Sequence[Relation] = ()
    counts: Mapping[Kind, int] = field(default_factory=dict)
    examples: Mapping[str, list[str]] = field(default_factory=dict)

    def by_kind(self) -> dict[str, int]:
        """Kinds that occur, in their fixed order, with their counts."""
        return {kind: self.counts[kind] for kind in get_args(Kind) if self.counts.get(kind)}


@dataclass(frozen=True)
class _Side:
    """The rows of one side that differ; those of pairs come first, in the same order on both sides.

    `lot` is the number of each row's shape among the distinct shapes `lots`, for many rows may stand on one.
    """

    lot: Indices
    lots: Shapes
    rows: list[list[int]]

    @classmethod
    def of(cls, shapes: Shapes, shape_hash: Digests) -> _Side:
        hashes = np.ascontiguousarray(shape_hash).view("S16")
        _, first, lot = np.unique(hashes, return_index=True, return_inverse=True)
        rows: list[list[int]] = [[] for _ in first]
        for row, number in enumerate(lot.tolist()):
            rows[number].append(row)
        return cls(lot, shapes[first], rows)


def succession(live: Live, staged: Staged, lineage: Lineage, standard: Standard, label: str) -> Succession:
    """Say of every row that is not unchanged what became of it, or where it came from.

    Args:
        label: field by which a reader knows a row.
    """
    pairs = len(lineage.changed)
    if not len(live) or not (pairs + len(lineage.added) + len(lineage.removed)):
        return Succession()
    table = live.table
    old_places = np.concatenate([lineage.changed[:, 1], lineage.removed])
    new_places = np.concatenate([lineage.changed[:, 0], lineage.added])
    values = [each.name for each in table.base_fields if each.unit == "USD" and each.name in staged.rows.column_names]
    names = [*table.match_on, *values]
    old_columns, old_shapes = live.columns(old_places, names)
    rows = staged.rows.select(names).take(pa.array(new_places[:pairs]))
    differs = {
        name: old[:pairs] != np.array(rows.column(name).to_pylist(), dtype=object)
        for name, old in zip(names, old_columns, strict=True)
    }
    kinds = np.full(pairs, "attributes", dtype=object)
    for name in values:
        kinds[differs[name]] = "revalued"
    relations: list[Relation] = []
    counts: dict[Kind, int] = {}
    tolerance = standard.header.coordinate_tolerance_ft
    new_shapes = staged.shapes[new_places]
    if of_points(table):
        kinds[shapely.distance(old_shapes[:pairs], new_shapes[:pairs]) > tolerance] = "moved"
    for name in table.renumbered_by or table.match_on:
        kinds[differs[name]] = "renumbered"
    if has_shapes(table) and not of_points(table):
        old_hash, new_hash = live.versions["shape_hash"][old_places], staged.shape_hash[new_places]
        redrawn = np.flatnonzero(old_hash[:pairs] != new_hash[:pairs])
        kinds[redrawn] = _how_redrawn(kinds[redrawn], old_shapes[redrawn], new_shapes[redrawn], tolerance)
        land = _Land(_Side.of(old_shapes, old_hash), _Side.of(new_shapes, new_hash), pairs)
        counts["split"], relations = _tiled(land, "split", standard.header.lineage)
        counts["merged"], merged = _tiled(land, "merged", standard.header.lineage)
        told = {(each.old, each.new) for each in relations}
        relations += [each for each in merged if (each.old, each.new) not in told]
        relations += list(_rest(land, relations, kinds))
    else:
        relations = [Relation(place, place, kind) for place, kind in enumerate(kinds)]
        relations += [Relation(place, _NONE, "retired") for place in range(pairs, len(old_places))]
        relations += [Relation(_NONE, place, "new") for place in range(pairs, len(new_places))]
    for each in relations:
        if each.kind not in ("split", "merged"):
            counts[each.kind] = counts.get(each.kind, 0) + 1
    placed = [_placed(each, old_places, new_places) for each in relations]
    return Succession(placed, counts, _examples(placed, live, staged, label))


def _placed(relation: Relation, old_places: Indices, new_places: Indices) -> Relation:
    """The same with places in all live and all staged rows."""
    return Relation(
        int(old_places[relation.old]) if relation.old != _NONE else _NONE,
        int(new_places[relation.new]) if relation.new != _NONE else _NONE,
        relation.kind,
        relation.share_of_old,
        relation.share_of_new,
    )


def _how_redrawn(kinds: Kinds, old: Shapes, new: Shapes, tolerance_ft: float) -> Kinds:
    """Kinds of pairs: `moved` where the shape is the same but for its place, else `reshaped`, else as given."""
    shift = _middles(old) - _middles(new)
    coordinates, owner = shapely.get_coordinates(new, return_index=True)
    shifted = shapely.set_coordinates(new.copy(), coordinates + shift[owner])
    redrawn = np.where(same_shape(shifted, old, tolerance_ft), "moved", "reshaped")
    found: Kinds = np.where(same_shape(new, old, tolerance_ft), kinds, redrawn)
    return found


def _middles(shapes: Shapes) -> Floats:
    bounds = shapely.bounds(shapes)
    middles: Floats = (bounds[:, :2] + bounds[:, 2:]) / 2
    return middles


class _Land:
    """The land that old and new lots have in common, as far as rows ended or began on it.

    Where neither happened there is no split and no merger, and nothing is overlaid.
    """

    def __init__(self, old: _Side, new: _Side, pairs: int) -> None:
        self.old, self.new, self.pairs = old, new, pairs
        ended, begun = np.unique(old.lot[pairs:]), np.unique(new.lot[pairs:])
        a, b = shapely.STRtree(new.lots).query(old.lots[ended])
        d, c = shapely.STRtree(old.lots).query(new.lots[begun])
        edges = np.concatenate([np.column_stack((ended[a], b)), np.column_stack((c, begun[d]))])
        own = np.column_stack((old.lot[:pairs], new.lot[:pairs]))
        own = own[np.isin(own[:, 0], edges[:, 0]) | np.isin(own[:, 1], edges[:, 1])]
        edges = np.unique(np.concatenate([edges, own]), axis=0)
        common = shapely.area(shapely.intersection(old.lots[edges[:, 0]], new.lots[edges[:, 1]]))
        self.edges = edges[common > 0]
        self.of_old: Floats = common[common > 0] / shapely.area(old.lots[self.edges[:, 0]])
        self.of_new: Floats = common[common > 0] / shapely.area(new.lots[self.edges[:, 1]])

    def relation(self, edge: int, old: int, new: int, kind: Kind) -> Relation:
        return Relation(old, new, kind, round(float(self.of_old[edge]), 6), round(float(self.of_new[edge]), 6))


def _tiled(land: _Land, kind: Literal["split", "merged"], law: LineageLaw) -> tuple[int, list[Relation]]:
    """Old lots that several new ones tile (split), or new lots that several old ones do (merged).

    To tile is to lie in it, to cover it, and to lie beside, not upon, one another.

    Returns:
        How many lots were tiled, and their relations.
    """
    sides, shares = (land.old, land.new), (land.of_old, land.of_new)
    whole, part = (0, 1) if kind == "split" else (1, 0)
    inside = np.flatnonzero(shares[part] >= law.lies_in_share_min)
    lot, lots = land.edges[inside, whole], len(sides[whole].lots)
    covered = np.bincount(lot, shares[whole][inside], minlength=lots)
    tiled = (np.bincount(lot, minlength=lots) > 1) & (covered >= law.covered_share_min)
    tiled &= covered <= law.covered_share_max
    relations = []
    for edge in inside[tiled[lot]]:
        wholes, parts = (sides[side].rows[land.edges[edge, side]] for side in (whole, part))
        for row in parts:  # each to its own other self, or to the first on the lot
            other = row if row < land.pairs and row in wholes else wholes[0]
            relations.append(land.relation(edge, *((other, row) if kind == "split" else (row, other)), kind))
    return int(tiled.sum()), relations


def _rest(land: _Land, told: Sequence[Relation], kinds: Kinds) -> Iterator[Relation]:
    """Rows that neither split nor merged: pairs by their kind, the others with who has most of their land."""
    pairs = {each.old for each in told if each.old == each.new}
    ended, begun = {each.old for each in told}, {each.new for each in told}
    shares = dict(zip(map(tuple, land.edges.tolist()), range(len(land.edges)), strict=True))
    for place, kind in enumerate(kinds):
        if place not in pairs:
            edge = shares.get((int(land.old.lot[place]), int(land.new.lot[place])))
            yield Relation(place, place, kind) if edge is None else land.relation(edge, place, place, kind)
    best_of_old = _best(land.edges[:, 0], land.of_old)
    for place in range(land.pairs, len(land.old.lot)):
        if place not in ended:
            edge = best_of_old.get(int(land.old.lot[place]))
            if edge is None:
                yield Relation(place, _NONE, "retired")
            else:
                yield land.relation(edge, place, land.new.rows[land.edges[edge, 1]][0], "retired")
    best_of_new = _best(land.edges[:, 1], land.of_new)
    for place in range(land.pairs, len(land.new.lot)):
        if place not in begun:
            edge = best_of_new.get(int(land.new.lot[place]))
            if edge is None:
                yield Relation(_NONE, place, "new")
            else:
                yield land.relation(edge, land.old.rows[land.edges[edge, 0]][0], place, "new")


def _best(lot: Indices, share: Floats) -> dict[int, int]:
    """The edge with most of a lot's land, where there is one with more than half of it."""
    return {int(lot[edge]): int(edge) for edge in np.flatnonzero(share > _MOST)}


def _examples(relations: Sequence[Relation], live: Live, staged: Staged, label: str) -> dict[str, list[str]]:
    """Some of each kind in words, by what the town calls its rows: ``12-4 → 12-4, 12-4A``."""
    groups: dict[str, dict[tuple[int, int], list[Relation]]] = {}
    for each in relations:
        key = (each.old if each.kind != "merged" else _NONE, each.new if each.kind != "split" else _NONE)
        of_kind = groups.setdefault(each.kind, {})
        if key in of_kind or len(of_kind) < _EXAMPLES:
            of_kind.setdefault(key, []).append(each)
    told = [each for of_kind in groups.values() for group in of_kind.values() for each in group]
    old = np.unique([each.old for each in told if each.old != _NONE]).astype(np.int64)
    (labels,), _ = live.columns(old, (label,)) if len(old) else ([np.array([], dtype=object)], None)
    earlier = dict(zip(old.tolist(), labels.tolist(), strict=True))
    later = staged.text(label) if told else ()

    def names(of: Any, places: Iterable[int]) -> str:
        return ", ".join(of[place] or "without a number" for place in dict.fromkeys(places))

    def words(kind: str, group: list[Relation]) -> str:
        before = names(earlier, (each.old for each in group)) if kind != "new" else ""
        after = names(later, (each.new for each in group)) if kind != "retired" else ""
        return " → ".join(dict.fromkeys(side for side in (before, after) if side))

    return {kind: [words(kind, group) for group in of_kind.values()] for kind, of_kind in groups.items()}


def record_succession(live: Live, found: Succession, uids: Digests, submission_id: str) -> None:
    """Write the relations.

    Args:
        uids: identifiers of the staged rows that differ, by their places; what stands at the others does not matter.
    """
    if not found.relations:
        return
    old = [each.old for each in found.relations]
    new = [each.new for each in found.relations]
    count = len(old)
    columns: dict[str, pa.Array] = {
        "dataset": pa.repeat(live.table.name, count),
        "cousub_fips": pa.repeat(live.cousub_fips, count),
        "submission_id": pa.repeat(pa.scalar(bytes.fromhex(submission_id.replace("-", "")), UUID), count),
        "kind": pa.array([each.kind for each in found.relations], pa.string()),
        "from_uid": _uids(live.versions["uid"], old),
        "to_uid": _uids(uids, new),
        "share_of_from": pa.array([each.share_of_old for each in found.relations], pa.float64()),
        "share_of_to": pa.array([each.share_of_new for each in found.relations], pa.float64()),
    }
    copy_in(live.connection, sql.Identifier("statewide", "lineage"), list(columns), [columns])


def _uids(uids: npt.NDArray[Any], places: Sequence[int]) -> pa.Array:
    return pa.array([None if place == _NONE else uids[place].tobytes() for place in places], UUID)
