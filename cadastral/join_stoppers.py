"""The rows that stop a join: for either side, why each row without a partner has none, as far as it can be told.

A cause is a reason to look, not a correction: nothing is joined because two values are nearly the same.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cadastral.join_columns import Codes, spell
from cadastral.join_key import JoinKey, Numbers, Side, read_numbers
from statewide.parcel_number import normalize_id
from statewide.standard import Standard

Cause = Literal["blank", "other_town", "spelling", "unit", "same_address", "typo", "unknown"]
CAUSES: dict[Cause, str] = {
    "blank": "no number",
    "other_town": "the number carries another town's code",
    "spelling": "the same letters and digits, put otherwise",
    "unit": "the same number but for its last part or letter",
    "same_address": "another number at the same address",
    "typo": "another number by one letter or digit",
    "unknown": "no number like it",
}
"""Cause → what it is, in words; tried in this order."""
_EXAMPLES = 5
_COMPARED_MAX = 5000
"""Values without a partner that are searched for one wrong letter: among more, one apart is no longer telling."""


@dataclass(frozen=True)
class Stopper:
    """Rows of one side that meet nothing, for one cause.

    `rows` are places in the table, from 0; `examples` are values, each with the value of the other side that it may
    stand for, if one is known.
    """

    side: Side
    cause: Cause
    rows: pa.Array
    examples: tuple[tuple[str | None, str | None], ...]


@dataclass(frozen=True, eq=False)
class _Alone:
    """One side's values that meet nothing: as read, in the key's spelling, and the address of their first row."""

    places: Codes
    texts: list[str]
    spelt: list[str]
    addresses: list[str | None]


def stoppers(
    standard: Standard, key: JoinKey, parcels: pa.Table, cama: pa.Table, cousub_fips: str
) -> tuple[Stopper, ...]:
    """The rows of both sides that meet nothing, by cause; parcels first, the most rows first.

    Args:
        parcels, cama: the tables that the key was found on.
    """
    ours, theirs = read_numbers(standard, key, parcels, "parcel"), read_numbers(standard, key, cama, "cama")
    columns = key.witness or (None, None)
    parcel_alone = _alone(ours, theirs, parcels, columns[0])
    cama_alone = _alone(theirs, ours, cama, columns[1])
    others = {other.cousub_fips for other in standard.municipalities} - {cousub_fips}
    return (
        *_by_cause("parcel", ours, parcel_alone, theirs, cama_alone, others),
        *_by_cause("cama", theirs, cama_alone, ours, parcel_alone, others),
    )


def _alone(mine: Numbers, other: Numbers, table: pa.Table, address: str | None) -> _Alone:
    single = pc.and_(pc.is_valid(mine.spelt), pc.invert(pc.is_in(mine.spelt, value_set=other.spelt)))
    places = np.flatnonzero(single.to_numpy(zero_copy_only=False))
    first = np.full(len(mine.texts), -1)
    filled = np.flatnonzero(mine.codes >= 0)[::-1]
    first[mine.codes[filled]] = filled
    addresses: list[str | None] = [None] * len(places)
    if address is not None:
        addresses = _spelt_addresses(table.column(address), first[places])
    texts, spelt = (array.take(pa.array(places)).to_pylist() for array in (mine.texts, mine.spelt))
    return _Alone(places, texts, spelt, addresses)


def _spelt_addresses(column: pa.ChunkedArray, rows: Codes) -> list[str | None]:
    texts = column.take(pa.array(rows)).combine_chunks().cast(pa.string())
    spelt: list[str | None] = normalize_id(texts).to_pylist()
    return spelt


def _same_letters(values: Iterable[str]) -> list[str | None]:
    letters: list[str | None] = spell(pa.array(list(values), pa.string()), "joined").to_pylist()
    return letters


def _by_cause(
    side: Side, mine: Numbers, alone: _Alone, other: Numbers, other_alone: _Alone, other_towns: set[str]
) -> list[Stopper]:
    causes: dict[int, tuple[Cause, str | None]] = {}
    left = dict(enumerate(alone.spelt))
    for cause, partners in _tests(alone, other, other_alone, other_towns):
        for place, partner in partners(left).items():
            causes[place] = cause, partner
            del left[place]
    causes |= dict.fromkeys(left, ("unknown", None))
    names: list[Cause] = list(CAUSES)
    of_value = np.full(len(mine.texts) + 1, -1)
    of_value[alone.places] = [names.index(causes[place][0]) for place in range(len(alone.places))]
    empty = np.append(pc.is_null(mine.spelt).to_numpy(zero_copy_only=False), True)  # the last is where no value is
    of_value[empty] = names.index("blank")
    of_row = of_value[mine.codes]
    found = []
    for number, cause in enumerate(names):
        rows = np.flatnonzero(of_row == number)
        if len(rows):
            shown = [place for place, (its_cause, _) in sorted(causes.items()) if its_cause == cause][:_EXAMPLES]
            examples = tuple((alone.texts[place], causes[place][1]) for place in shown)
            found.append(Stopper(side, cause, pa.array(rows), examples))
    return sorted(found, key=lambda stopper: -len(stopper.rows))


_Partners = Callable[[dict[int, str]], dict[int, str | None]]


def _tests(
    alone: _Alone, other: Numbers, other_alone: _Alone, other_towns: set[str]
) -> Iterator[tuple[Cause, _Partners]]:
    """Each cause, and what finds the values that it explains among those still left (place → value)."""
    shown = dict(zip(other_alone.spelt, other_alone.texts, strict=True))

    def other_town(left: dict[int, str]) -> dict[int, str | None]:
        return {
            place: None for place in left if alone.texts[place][:5] in other_towns and alone.texts[place][5:6] == "-"
        }

    def spelling(left: dict[int, str]) -> dict[int, str | None]:
        letters = _unique(zip(_same_letters(other_alone.spelt), other_alone.spelt, strict=True))
        mine = zip(left, _same_letters(left.values()), strict=True)
        return {place: shown[letters[key]] for place, key in mine if key is not None and key in letters}

    def unit(left: dict[int, str]) -> dict[int, str | None]:
        known = dict(zip(other.spelt.to_pylist(), other.texts.to_pylist(), strict=True))
        longer = {stem: value for value in other_alone.spelt for stem in _stems(value)}
        found: dict[int, str | None] = {}
        for place, value in left.items():
            if stem := next((stem for stem in _stems(value) if stem in known), None):
                found[place] = known[stem]
            elif value in longer:
                found[place] = shown[longer[value]]
        return found

    def same_address(left: dict[int, str]) -> dict[int, str | None]:
        there = _unique(zip(other_alone.addresses, other_alone.spelt, strict=True))
        here = _unique((alone.addresses[place], value) for place, value in left.items())
        return {
            place: shown[there[address]]
            for place in left
            if (address := alone.addresses[place]) is not None and address in there and address in here
        }

    def typo(left: dict[int, str]) -> dict[int, str | None]:
        if max(len(left), len(other_alone.spelt)) > _COMPARED_MAX:
            return {}
        partners = _one_apart(list(left.values()), other_alone.spelt)
        found = {place: shown[partners[value]] for place, value in left.items() if value in partners}
        their = dict(zip(other_alone.texts, other_alone.addresses, strict=True))
        # Where both have an address and it is not the same, the two are neighbours and no error.
        return {place: text for place, text in found.items() if not (alone.addresses[place] and their[text])}

    yield "other_town", other_town
    yield "spelling", spelling
    yield "unit", unit
    yield "same_address", same_address
    yield "typo", typo


def _unique[KeyT, ValueT](pairs: Iterable[tuple[KeyT, ValueT]]) -> dict[KeyT, ValueT]:
    """Key → value, of the keys that stand there once."""
    seen: dict[KeyT, list[ValueT]] = defaultdict(list)
    for key, value in pairs:
        seen[key].append(value)
    return {key: found[0] for key, found in seen.items() if len(found) == 1}


def _stems(value: str) -> list[str]:
    """The value without the letters at its end, and without its last part."""
    letters = re.sub(r"(?<=[0-9])[A-Z]+$", "", value)
    part = value.rpartition("-")[0]
    return [stem for stem in (letters, part) if stem and stem != value]


def _one_apart(mine: Sequence[str], theirs: Sequence[str]) -> dict[str, str]:
    """Values that differ by one character (another, one more, one less) from just one value there, and it from one."""
    index: dict[tuple[int, str], set[str]] = defaultdict(set)
    for value in theirs:
        index[-1, value].add(value)
        for place in range(len(value)):
            cut = value[:place] + value[place + 1 :]
            index[place, cut].add(value)
            index[-2, cut].add(value)
    near: dict[str, set[str]] = {}
    back: dict[str, set[str]] = defaultdict(set)
    for value in mine:
        partners = set(index.get((-2, value), ()))
        for place in range(len(value)):
            cut = value[:place] + value[place + 1 :]
            partners |= index.get((place, cut), set()) | index.get((-1, cut), set())
        near[value] = partners
        for partner in partners:
            back[partner].add(value)
    return {
        value: next(iter(partners))
        for value, partners in near.items()
        if len(partners) == 1 and len(back[next(iter(partners))]) == 1
    }
