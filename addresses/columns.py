"""Address points in columns: equal values as numbers, groups of equal rows, streets in one piece, which are in force.

What several checks need of the same rows; no findings here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from addresses.parsing import STREET, joined
from statewide.crosswalk import Crosswalk
from statewide.findings import plain_number
from statewide.standard import Standard

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

_WITHIN = ("structure", "wing", "floor", "room", "seat")
"""Places within a building that are not in the address line."""


def filled(table: pa.Table, name: str) -> Flags:
    """Which rows have a value there."""
    found: Flags = table.column(name).combine_chunks().is_valid().to_numpy(zero_copy_only=False)
    return found


def any_filled(table: pa.Table, names: Sequence[str]) -> Flags:
    """Which rows have a value in one of the columns."""
    found: Flags = np.any([filled(table, name) for name in names], axis=0)
    return found


def street_names(rows: pa.Table) -> pa.Array:
    """The whole name of each row's street in capitals; empty where there is no name."""
    named = rows.column("st_name").combine_chunks()
    whole = pc.utf8_upper(joined(*(rows.column(name).combine_chunks() for name in STREET)))
    return pc.if_else(pc.is_valid(named), whole, pa.scalar(None, pa.string()))


def numbered(values: pa.Array | pa.ChunkedArray) -> Numbers:
    """A number for each distinct value, -1 where it is empty."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    indices = pc.fill_null(whole.dictionary_encode().indices, -1)
    return np.asarray(indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def combined(first: Numbers, *others: Numbers) -> Numbers:
    """A number for each distinct combination; empty counts as a value, but -1 of the first stays -1."""
    both = first
    for each in others:
        if (each >= 0).any():
            _, both = np.unique(both * (each.max() + 2) + each + 1, return_inverse=True)
    return np.where(first < 0, -1, both)


def place_numbers(x: Floats, y: Floats) -> Numbers:
    """A number for each distinct place, to a hundredth of a foot."""
    found: Numbers = np.unique(np.round(x, 2) + 1j * np.round(y, 2), return_inverse=True)[1].astype(np.int64)
    return found


def whole_addresses(rows: pa.Table) -> Numbers:
    """A number for each distinct address with its place within the building, -1 where it has no house number."""
    address = combined(numbered(rows.column("address_normalized")), *(numbered(rows.column(name)) for name in _WITHIN))
    number = pc.fill_null(rows.column("add_number").combine_chunks(), 0).to_numpy(zero_copy_only=False)
    return np.where((number > 0) | (numbered(rows.column("addnum_cmp")) >= 0), address, -1)


@dataclass(frozen=True)
class Groups:
    """Rows of equal numbers, those below 0 left out: group g is ``order[start[g]:start[g] + count[g]]``."""

    order: Numbers
    start: Numbers
    count: Numbers

    def spans(self, x: Floats, y: Floats) -> Floats:
        """The diagonal of the box around each group's places."""
        if not len(self.start):
            return np.zeros(0)
        lengths = [
            np.maximum.reduceat(values[self.order], self.start) - np.minimum.reduceat(values[self.order], self.start)
            for values in (x, y)
        ]
        found: Floats = np.hypot(*lengths)
        return found

    def distinct(self, numbers: Numbers) -> Numbers:
        """How many different numbers, those below 0 left out, each group has."""
        if not len(self.start):
            return np.zeros(0, dtype=np.int64)
        group = np.repeat(np.arange(len(self.start)), self.count)
        values = numbers[self.order]
        pairs = np.unique((group * (numbers.max() + 2) + values + 1)[values >= 0])
        return np.bincount(pairs // (numbers.max() + 2), minlength=len(self.start)).astype(np.int64)

    def rows(self, group: int) -> Numbers:
        """Places of the rows of a group, ascending."""
        return self.order[self.start[group] : self.start[group] + self.count[group]]


def grouped(numbers: Numbers) -> Groups:
    """Group rows by their numbers."""
    order = np.argsort(numbers, kind="stable").astype(np.int64)
    order = order[np.searchsorted(numbers[order], 0) :]
    starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    return Groups(order, starts.astype(np.int64), np.diff(np.r_[starts, len(order)]).astype(np.int64))


def stages(rows: pa.Table, standard: Standard) -> pa.Array:
    """The stage of life of each row as a code of the list `lifecycle`; empty where it is none of them."""
    return lookup(rows.column("lifecycle"), standard.code_lists["lifecycle"].lookup())


def lookup(values: pa.Array | pa.ChunkedArray, codes: dict[str, str]) -> pa.Array:
    """What each value stands for by its case-folded spelling; empty where that is nothing."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    encoded = whole.dictionary_encode()
    found = [codes.get(word.strip().casefold()) for word in encoded.dictionary.to_pylist()]
    return pa.array(found, pa.string()).take(encoded.indices)


def in_force(rows: pa.Table, standard: Standard) -> Flags:
    """Which rows are addresses of today: neither retired nor only proposed, and not expired."""
    unborn_or_gone = pc.fill_null(pc.not_equal(stages(rows, standard), "Active"), False)
    expired = pc.fill_null(pc.less(rows.column("expire").combine_chunks(), today()), False)
    found: Flags = ~pc.or_(unborn_or_gone, expired).to_numpy(zero_copy_only=False)
    return found


def delivered_column(crosswalk: Crosswalk, *fields: str) -> str | None:
    """The delivered column that the first of these fields with one comes from."""
    return next((crosswalk.mapping[name] for name in fields if name in crosswalk.mapping), None)


def away(distance_ft: float, most: str = "") -> str:
    """How far it is, as a sentence ends."""
    return "on the same point" if distance_ft < 0.5 else f"{most}{plain_number(distance_ft)} ft away"


def today() -> dt.date:
    """The day on which the checks run."""
    return dt.datetime.now(dt.UTC).date()


def town_zips(standard: Standard, cousub_fips: str) -> frozenset[str]:
    """ZIP code areas of the Census with people in the town; none of an invented town."""
    return frozenset(pair.zip_code for pair in standard.zip_towns if pair.cousub_fips == cousub_fips)
