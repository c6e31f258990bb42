"""Checks of address points along their streets: spelling, order and side of the numbers, and the parcels' streets.

Only what stands out clearly is said: a street bends, forks and begins anew, and none of these holds a row. All streets
of a town are looked at together, in columns; limits and severities are the law's (``schemas/checks.yml``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from addresses.columns import Flags, Floats, Numbers, away, delivered_column, grouped, in_force, street_names
from addresses.parsing import parse_addresses
from statewide.arrival import Rows
from statewide.findings import FindingLog, plain_count, plain_number, plain_share
from statewide.live import Live
from statewide.register import Town
from statewide.staging import Staged

SPELLING = ("STREET_SPELLED_ODD", "STREET_TYPE_LEFT_OUT")
NUMBERS = ("NUMBER_OUT_OF_ORDER", "NUMBER_ON_OTHER_SIDE", "NUMBERS_MIXED")
NAMES = (
    *SPELLING,
    "PARCELS_NOT_COMPARED",
    "STREETS_WITHOUT_PARCEL",
    "PARCEL_STREETS_MISSING",
    "PARCEL_ADDRESSES_MISSING",
)

_EXAMPLES = 5


def names(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """How the streets are spelled; and streets and addresses of the live parcels' locations against the points'."""
    query = "SELECT location FROM cadastral.parcel WHERE cousub_fips = %s AND location IS NOT NULL"
    found = [value for (value,) in live.connection.execute(query, [live.cousub_fips]).fetchall()]
    parsed = parse_addresses(log.standard, pa.array(found, pa.string()))
    read = ~parsed.held & parsed.parts.column("st_name").combine_chunks().is_valid().to_numpy(zero_copy_only=False)
    located = parsed.parts.filter(pa.array(read))
    _spelling(staged, rows, set(pc.unique(street_names(located)).to_pylist()), log)
    if found:
        _against_parcels(staged, located, log)
    else:
        log.add("PARCELS_NOT_COMPARED")


# ── spelling ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _spelling(staged: Staged, rows: Rows, of_parcels: set[str], log: FindingLog) -> None:
    """Streets of one or two points, one letter away from a street with many points nearby, or that street without its
    type. A street of a parcel is one of its own, and so is one whose points are nearer to one another.
    """
    limits = log.check("STREET_SPELLED_ODD").limits
    encoded = street_names(staged.rows).dictionary_encode()
    street = pc.fill_null(encoded.indices, -1).to_numpy().astype(np.int64)
    names = encoded.dictionary.to_pylist()
    counts = np.bincount(street[street >= 0], minlength=len(names))
    rare = set(np.flatnonzero(counts <= limits["rows_max"]).tolist())
    meant = {odd for odd in rare if names[odd] in of_parcels}
    well_known = set(np.flatnonzero(counts >= limits["rows_min"]).tolist())
    if not rare or not well_known:
        return
    slips = _one_letter_apart(names, rare - meant, well_known, int(limits["letters_min"]))
    untyped = _without_type(staged.rows, street, names, rare, well_known)
    groups, number = grouped(street), pc.fill_null(staged.rows.column("add_number"), 0).to_numpy()
    column = delivered_column(rows.crosswalk, "st_name", "delivered_street", "delivered_address")
    for code, pairs in zip(SPELLING, (slips, untyped), strict=True):
        near: dict[int, tuple[float, int]] = {}
        for odd, usual in pairs:
            those, here = shapely.multipoints(staged.shapes[groups.rows(usual)]), groups.rows(odd)
            distances = shapely.distance(staged.shapes[here], those)
            if code == SPELLING[0] and len(np.unique(number[here])) > 1:
                among = shapely.length(shapely.linestrings(shapely.get_coordinates(staged.shapes[here])))
                if among < distances.min():
                    continue
            for place, distance in zip(here, distances, strict=True):
                if distance <= limits["distance_ft_max"]:
                    near[int(place)] = min(near.get(int(place), (np.inf, -1)), (float(distance), usual))
        places = sorted(near)

        def words(at: int, places: list[int] = places, near: dict[int, tuple[float, int]] = near) -> dict[str, Any]:
            distance, usual = near[places[at]]
            return {
                "value": names[street[places[at]]],
                "usual": names[usual],
                "points": plain_count(int(counts[usual]), "point"),
                "away": away(distance),
                "shape": staged.shapes[places[at]],
            }

        log.add_each(code, staged.row_no[places].tolist(), words, column=column)


def _one_letter_apart(
    names: list[str], rare: set[int], well_known: set[int], letters_min: int
) -> Iterable[tuple[int, int]]:
    """Pairs of a rare and a well-known name with one letter left out, put in, changed, or swapped with the next.

    Two such names are alike once a letter is left out of one or both, so only those are compared. A digit or a single
    letter that stands alone tells streets apart (4th and 5th, Road A and Road B), and so does one in a short name.
    """
    shortened: defaultdict[str, list[int]] = defaultdict(list)
    for usual in well_known:
        for name in _less_a_letter(names[usual]):
            shortened[name].append(usual)
    for odd in rare:
        for usual in {usual for name in _less_a_letter(names[odd]) for usual in shortened.get(name, ())}:
            if odd != usual and _is_slip(names[odd], names[usual], letters_min):
                yield odd, usual


def _less_a_letter(name: str) -> set[str]:
    return {name, *(name[:at] + name[at + 1 :] for at in range(len(name)))}


def _is_slip(one: str, other: str, letters_min: int) -> bool:
    """Whether the names differ in one word of enough letters, by one letter or by two neighbours swapped."""
    words = one.split(), other.split()
    if len(words[0]) != len(words[1]):
        return one.replace(" ", "") == other.replace(" ", "")  # a blank too many or too few
    differing = [(a, b) for a, b in zip(*words, strict=True) if a != b]
    if len(differing) != 1:
        return False
    a, b = differing[0]
    if min(len(a), len(b)) < letters_min or any(letter.isdigit() for letter in a + b):
        return False
    if len(a) != len(b):
        short, long = sorted((a, b), key=len)
        return len(long) - len(short) == 1 and short in {long[:at] + long[at + 1 :] for at in range(len(long))}
    unlike = [at for at in range(len(a)) if a[at] != b[at]]
    if len(unlike) == 1:
        return True
    first, *rest = unlike
    return rest == [first + 1] and a[first] == b[first + 1] and a[first + 1] == b[first]


def _without_type(
    rows: pa.Table, street: Numbers, names: list[str], rare: set[int], well_known: set[int]
) -> Iterable[tuple[int, int]]:
    """Pairs of a rare name without a type and a well-known one that is the same with one."""
    first = np.full(len(names), len(street))
    named = np.flatnonzero(street >= 0)
    np.minimum.at(first, street[named], named)
    types = rows.column("st_postyp").take(pa.array(first)).to_pylist()
    untyped = {names[odd]: odd for odd in rare if types[odd] is None}
    for usual in well_known:
        kind = types[usual]
        if kind and (odd := untyped.get(names[usual].removesuffix(" " + kind.upper()))) is not None:
            yield odd, usual


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Along:
    """Points with street and number, by street and within it by number; of equal numbers only the first."""

    place: Numbers
    street: Numbers
    number: Numbers
    xy: Floats

    def beside(self, at: Numbers, step: int) -> tuple[Numbers, Flags]:
        """Who comes so many steps later, and whether that is on the same street."""
        other = np.clip(at + step, 0, len(self.place) - 1)
        return other, (at + step == other) & (self.street[other] == self.street[at])

    def apart(self, one: Numbers, other: Numbers) -> Floats:
        """Feet between points."""
        found: Floats = np.hypot(*(self.xy[one] - self.xy[other]).T)
        return found


def numbers(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Numbers far from their neighbours in number, and numbers on the side of the street that has the other parity."""
    names = street_names(staged.rows).dictionary_encode()
    street = pc.fill_null(names.indices, -1).to_numpy().astype(np.int64)
    number = pc.fill_null(staged.rows.column("add_number"), 0).to_numpy()
    usable = (street >= 0) & (number > 0) & in_force(staged.rows, log.standard)
    place = np.flatnonzero(usable)
    place = place[np.lexsort((number[place], street[place]))]
    anew = (np.diff(street[place], prepend=-1) != 0) | (np.diff(number[place], prepend=-1) != 0)
    place = place[anew]
    along = _Along(place, street[place], number[place], shapely.get_coordinates(staged.shapes[place]))
    if not len(place):
        return
    astray, away_ft = _out_of_order(along, log.check("NUMBER_OUT_OF_ORDER").limits)
    across = _on_other_side(along, log.check("NUMBER_ON_OTHER_SIDE").limits)
    astray, away_ft, mixed = _but_mixed(along, astray, away_ft, log.check("NUMBERS_MIXED").limits)
    across = across[~np.isin(along.street[across], mixed)]

    def named(at: int) -> dict[str, Any]:
        return {
            "value": f"{along.number[at]} {names.dictionary[int(along.street[at])].as_py()}",
            "shape": staged.shapes[along.place[at]],
        }

    def of_order(at: int) -> dict[str, Any]:
        here = astray[at]
        return {
            **named(here),
            "shape": shapely.multipoints(along.xy[[here, here - 1, here + 1]]),
            "before": along.number[here - 1],
            "after": along.number[here + 1],
            "distance_ft": plain_number(float(away_ft[at])),
        }

    def of_side(at: int) -> dict[str, Any]:
        here = across[at]
        return {**named(here), "parity": "even" if along.number[here] % 2 == 0 else "odd"}

    column = delivered_column(rows.crosswalk, "add_number", "delivered_address")
    log.add_each("NUMBER_OUT_OF_ORDER", staged.row_no[along.place[astray]].tolist(), of_order, column=column)
    log.add_each("NUMBER_ON_OTHER_SIDE", staged.row_no[along.place[across]].tolist(), of_side, column=column)
    if len(mixed):
        examples = names.dictionary.take(pa.array(mixed[:_EXAMPLES])).to_pylist()
        log.add(
            "NUMBERS_MIXED",
            streets=plain_count(len(mixed), "street"),
            examples=", ".join(examples),
            shape=shapely.multipoints(staged.shapes[along.place[np.isin(along.street, mixed)]]),
        )


def _out_of_order(along: _Along, limits: dict[str, float]) -> tuple[Numbers, Floats]:
    """Points far along the street from their neighbours in number, which are close together; and how far, in feet.

    The street runs from the second point before to the second after: a deep lot lies far from it, but not out of order.
    """
    at = np.arange(len(along.place))
    (before, has_before), (after, has_after) = along.beside(at, -1), along.beside(at, 1)
    (first, has_first), (last, has_last) = along.beside(at, -2), along.beside(at, 2)
    run = along.xy[np.where(has_last, last, after)] - along.xy[np.where(has_first, first, before)]
    run /= np.maximum(np.hypot(*run.T), 1.0)[:, None]
    beyond = np.abs(np.einsum("ij,ij->i", along.xy - (along.xy[before] + along.xy[after]) / 2, run))
    between = along.apart(before, after)
    odd = has_before & has_after & (along.number[after] - along.number[before] <= limits["number_gap_max"])
    odd &= (beyond > limits["distance_ft_min"]) & (beyond > limits["times_min"] * between)
    nearer = np.minimum(along.apart(at, before), along.apart(at, after))
    return np.flatnonzero(odd), nearer[odd]


def _but_mixed(
    along: _Along, astray: Numbers, away_ft: Floats, limits: dict[str, float]
) -> tuple[Numbers, Floats, Numbers]:
    """The points astray without those of streets that have too many; and these streets, the longest first.

    Their numbers run in another way than one row of houses: two streets of one name, or numbers given lot by lot.
    """
    counts = np.bincount(along.street[astray], minlength=int(along.street.max()) + 1)
    lengths = np.bincount(along.street, minlength=len(counts))
    mixed = np.flatnonzero((counts >= limits["rows_min"]) & (counts > limits["share_max"] * lengths))
    mixed = mixed[np.argsort(-lengths[mixed], kind="stable")]
    keep = ~np.isin(along.street[astray], mixed)
    return astray[keep], away_ft[keep], mixed


def _on_other_side(along: _Along, limits: dict[str, float]) -> Numbers:
    """Points among those of the other parity, where the two sides are told apart clearly.

    Of each point are taken the two neighbours of its own parity (in number) and the two of the other one. The street
    runs from the first to the second of its own; both sides must lie on their sides of the line between, and near. A
    point is odd if it lies beyond the line, as far as the others' side does.
    """
    parity = along.number % 2
    order = np.lexsort((along.number, parity, along.street))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))  # where each point stands among those of its street and parity

    def ranked(at: Numbers, like: Numbers) -> tuple[Numbers, Flags]:
        """Who has that rank, and whether that is a point of the same street with the parity asked for."""
        other = order[np.clip(at, 0, len(order) - 1)]
        there = (at >= 0) & (at < len(order)) & (along.street[other] == along.street) & (parity[other] == like)
        return other, there

    span = int(along.number.max()) + 2
    keys = (along.street[order] * 2 + parity[order]) * span + along.number[order]
    next_up = np.searchsorted(keys, (along.street * 2 + 1 - parity) * span + along.number)
    (one, has_one), (two, has_two) = ranked(rank - 1, parity), ranked(rank + 1, parity)
    (three, has_three), (four, has_four) = ranked(next_up - 1, 1 - parity), ranked(next_up, 1 - parity)
    found = has_one & has_two & has_three & has_four
    xy, reach = along.xy, limits["reach_ft"]
    for other in (one, two, three, four):
        found &= along.apart(np.arange(len(xy)), other) <= reach
    run = xy[two] - xy[one]
    length = np.hypot(*run.T)
    found &= length >= limits["run_ft_min"]
    across = np.column_stack((-run[:, 1], run[:, 0])) / np.where(length > 0, length, 1.0)[:, None]
    off = [np.einsum("ij,ij->i", xy[other] - xy[one], across) for other in (three, four, np.arange(len(xy)))]
    theirs = np.where(np.abs(off[0]) < np.abs(off[1]), off[0], off[1])  # the nearer of the two to our side
    found &= (np.sign(off[0]) == np.sign(off[1])) & (np.abs(theirs) >= limits["width_ft_min"])
    found &= (off[2] * np.sign(theirs)) >= limits["share_min"] * np.abs(theirs)
    return np.flatnonzero(found)


# ── parcels ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _against_parcels(staged: Staged, located: pa.Table, log: FindingLog) -> None:
    """Streets and addresses of the live parcels' locations, taken apart, against those of the points."""
    theirs, ours = street_names(located), street_names(staged.rows)
    # A location without a number is a road or a piece of land that needs no address.
    addressed = theirs.filter(pc.greater(located.column("add_number").combine_chunks(), 0))
    for code, one, other, noun in (
        ("STREETS_WITHOUT_PARCEL", ours, theirs, "point"),
        ("PARCEL_STREETS_MISSING", addressed, ours, "parcel"),
    ):
        counts = one.drop_null().value_counts()
        alone = counts.filter(pc.invert(pc.is_in(counts.field("values"), value_set=pc.unique(other))))
        if len(alone):
            by_rows = alone.take(pc.array_sort_indices(alone.field("counts"), order="descending"))
            log.add(
                code,
                streets=plain_count(len(alone), "street"),
                rows=plain_count(pc.sum(alone.field("counts")).as_py(), noun),
                examples=", ".join(by_rows.field("values").to_pylist()[:_EXAMPLES]),
            )
    lines = pc.unique(_lines(located, theirs)).drop_null()
    met = pc.is_in(lines, value_set=pc.unique(_lines(staged.rows, ours)))
    if len(lines) and (share := pc.mean(met).as_py()) < log.check("PARCEL_ADDRESSES_MISSING").limits["share_min"]:
        missing = lines.filter(pc.invert(met))
        log.add(
            "PARCEL_ADDRESSES_MISSING",
            share=plain_share(share),
            count=plain_number(len(missing)),
            examples=", ".join(missing.sort().to_pylist()[:_EXAMPLES]),
        )


def _lines(rows: pa.Table, streets: pa.Array) -> pa.Array:
    """Number and street of each row; empty where one of them is."""
    numbers = rows.column("add_number").combine_chunks()
    return pc.binary_join_element_wise(
        pc.if_else(pc.greater(numbers, 0), numbers, None).cast(pa.string()), streets, " "
    )
