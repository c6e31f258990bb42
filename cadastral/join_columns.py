"""A column of parcel numbers as a join reads it, and how two columns meet: the arithmetic under the join-key detective.

Work is done once per distinct value; rows are places among these. What is read how is `join_key`'s to decide.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from statewide.parcel_number import normalize_id
from statewide.standard import column_key

Codes = np.ndarray[tuple[int], np.dtype[np.int64]]

_SAMPLE = 1000
_WHOLE = "^[0-9]{1,15}$"
_EXACT = 2.0**53
"""Beyond, a double skips whole numbers."""
_NEIGHBOURS = 50
"""Numbers to either side of a number that tell how dense the numbers lie there."""
_SEPARATORS = r"[\s\pZ\p{Pd}_./\\]+"

PARTS_OF_A_NUMBER = (("map", "map_cut"), ("block", "block_cut"), ("lot", "lot_cut"), ("unit", "unit_cut"))

Spelling = Literal["spelled", "written", "short", "packed", "joined"]
SPELLINGS: dict[Spelling, tuple[float, str]] = {
    "spelled": (0.0, "but for small letters, separators and leading zeros"),
    "written": (0.5, "letter by letter, but for small letters"),
    "short": (1.0, "but for small letters, separators, leading zeros and parts of zeros"),
    "packed": (1.5, "letters and digits only"),
    "joined": (2.0, "letters and digits only, leading zeros of the parts aside"),
}
"""Spelling → how surprising it is, and when two values are one."""

ALL_BUT_LAST = (-1,)


@dataclass(frozen=True)
class Reading:
    """How one side's number is made.

    `columns` are put together with hyphens (a suffix column, such as `Lot Cut`, is glued to its number); `prefix` is
    taken off where a value begins with it; `parts` are the places of the parts that are kept, in their new order
    (empty: all, as they stand; `ALL_BUT_LAST`: all but the last, a unit's).
    """

    columns: tuple[str, ...]
    prefix: str = ""
    parts: tuple[int, ...] = ()

    @property
    def words(self) -> str:
        """The reading in words, for the report."""
        said = " + ".join(self.columns)
        if self.prefix:
            said += f" without {self.prefix!r} in front"
        if self.parts == ALL_BUT_LAST:
            said += " without the last part"
        elif self.parts:
            said += f", parts {' '.join(str(part + 1) for part in self.parts)}"
        return said


@dataclass(frozen=True, eq=False)
class Column:
    """Distinct values in capitals without blanks around them; the place of each row's value, -1 where it is blank."""

    texts: pa.Array
    codes: Codes

    @functools.cached_property
    def counts(self) -> Codes:
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.texts))

    @property
    def distinct_share(self) -> float:
        return len(self.texts) / max(1, int(self.counts.sum()))


def read_column(table: pa.Table, reading: Reading, nothing: frozenset[str]) -> Column:
    """The column that the reading makes; `nothing` are words that stand for a blank.

    Raises:
        KeyError: the table lacks one of the columns.
    """
    columns = [texts_of(table.column(name), nothing) for name in reading.columns]
    column = columns[0] if len(columns) == 1 else _compose(reading.columns, columns)
    texts = column.texts
    if reading.prefix:
        rest = pc.utf8_slice_codeunits(texts, len(reading.prefix))
        texts = pc.if_else(pc.starts_with(texts, reading.prefix), rest, texts)
    if reading.parts:
        texts = take_parts(texts, reading.parts)
    return column if texts is column.texts else _encoded(texts, column.codes)


def texts_of(values: pa.ChunkedArray, nothing: frozenset[str]) -> Column:
    """A delivered column as texts; a number that travelled as a decimal is whole again."""
    array = values.combine_chunks()
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
        if not pc.any(pc.or_(pc.not_equal(pc.floor(array), array), pc.greater(pc.abs(array), _EXACT))).as_py():
            array = array.cast(pa.int64())
    encoded = array.dictionary_encode()
    texts = pc.utf8_upper(pc.utf8_trim_whitespace(encoded.dictionary.cast(pa.string())))
    texts = pc.replace_substring_regex(texts, r"^([0-9]+)\.0+$", r"\1")
    blank = pc.is_in(texts, value_set=pa.array(["", *(word.upper() for word in nothing)]))
    texts = pc.if_else(blank, pa.scalar(None, pa.string()), texts)
    return _encoded(texts, pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64))


def _encoded(texts: pa.Array, codes: Codes) -> Column:
    """Texts that may now repeat or be blank, as a column."""
    again = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts).dictionary_encode()
    places = np.append(pc.fill_null(again.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64), -1)
    return Column(again.dictionary, places[codes])


def _compose(names: tuple[str, ...], columns: list[Column]) -> Column:
    rows = [column.texts.take(pa.array(column.codes, mask=column.codes < 0)) for column in columns]
    suffixes = {column_key(pair[1]) for pair in PARTS_OF_A_NUMBER}
    glued: list[pa.Array] = []
    for name, values_of_rows in zip(names, rows, strict=True):
        if glued and column_key(name) in suffixes:
            filled = pc.fill_null(values_of_rows, "")
            glued[-1] = pc.binary_join_element_wise(glued[-1], filled, "")
        else:
            glued.append(values_of_rows)
    # Not null_handling="skip": Arrow then leaves out the rows in which all are null (seen in 26.0).
    whole = pc.binary_join_element_wise(*glued, "-", null_handling="replace", null_replacement="")
    encoded = whole.dictionary_encode()
    texts = pc.utf8_trim(pc.replace_substring_regex(encoded.dictionary, "-{2,}", "-"), "-")
    return _encoded(texts, encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64))


def spell(texts: pa.Array, spelling: Spelling) -> pa.Array:
    """Values in one spelling; null where nothing is left of them."""
    if spelling == "written":
        return texts
    if spelling == "packed":
        spelt = pc.replace_substring_regex(texts, r"[^\pL\pN]+", "")
    else:
        spelt = normalize_id(texts)
        if spelling != "spelled":
            # "12-0-3-0" → "12-3": zeros that fill a place where the town has no such part.
            spelt = pc.replace_substring_regex(spelt, r"^(0-)+|(-0)+(\b)", r"\3")
        if spelling == "joined":
            spelt = pc.replace_substring(spelt, "-", "")
    return pc.if_else(pc.equal(spelt, ""), pa.scalar(None, pa.string()), spelt)


def sample[ValuesT: (pa.Array, pa.Table)](values: ValuesT) -> ValuesT:
    """A thousand of the rows or values, evenly spread."""
    if len(values) <= _SAMPLE:
        return values
    return values.take(pa.array(np.linspace(0, len(values) - 1, _SAMPLE).astype(np.int64)))


def most_parts(texts: pa.Array) -> int:
    """The number of parts that most values have, zeros that fill up their end apart."""
    some = pc.replace_substring_regex(sample(texts), "(-0+)+$", "")
    return Counter(len(parts) for parts in _split(some)).most_common(1)[0][0]


def _split(texts: pa.Array) -> list[list[str]]:
    split: list[list[str]] = pc.split_pattern(pc.replace_substring_regex(texts, _SEPARATORS, "-"), "-").to_pylist()
    return split


def take_parts(texts: pa.Array, kept: tuple[int, ...]) -> pa.Array:
    split = _split(texts)
    if kept == ALL_BUT_LAST:
        taken = [parts[:-1] or parts for parts in split]
    else:
        taken = [[parts[place] for place in kept if place < len(parts)] for parts in split]
    return pa.array(["-".join(parts) for parts in taken], pa.string())


# ── how two columns meet ─────────────────────────────────────────────────────────────────────────────────────────────


def encode(arrays: Sequence[pa.Array]) -> tuple[list[Codes], int]:
    """The arrays' values as numbers that are the same in all of them, -1 for null; and how many numbers there are."""
    chunked = pa.chunked_array(arrays, pa.string())
    encoded = chunked.combine_chunks().dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.split(codes, np.cumsum([len(array) for array in arrays])[:-1]), len(encoded.dictionary)


def signature(texts: pa.Array, *, zeros: bool = False) -> pa.Array:
    """ASCII letters and digits alone, without the leading zeros of each part unless `zeros`.

    Two values that meet in any spelling have one of the two signatures in common, and bytes are cheaper than patterns.
    """
    if not len(texts):
        return texts
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    offsets = offsets - offsets[0]
    keep = ((data >= ord("0")) & (data <= ord("9"))) | ((data >= ord("A")) & (data <= ord("Z")))
    if not zeros and len(data):
        starts = np.append(True, ~keep[:-1])
        starts[offsets[:-1][offsets[:-1] < len(data)]] = True
        start = np.maximum.accumulate(np.where(starts, np.arange(len(data)), 0))
        filled = keep & (data != ord("0"))
        so_far = np.cumsum(filled)
        keep &= so_far > (so_far - filled)[start]
    kept = np.append(0, np.cumsum(keep))[offsets].astype(np.int32)
    signature = pa.StringArray.from_buffers(len(texts), pa.py_buffer(kept), pa.py_buffer(data[keep]))
    return pc.if_else(pc.equal(signature, ""), pa.scalar(None, pa.string()), signature)


@dataclass(frozen=True, eq=False)
class Pairing:
    """The join values of the rows of both files as numbers, -1 where blank; values that meet have one number."""

    parcel: Codes
    cama: Codes
    size: int
    merged: float

    @functools.cached_property
    def counts(self) -> tuple[Codes, Codes]:
        """Rows of each value, on either side."""
        return (
            np.bincount(self.parcel[self.parcel >= 0], minlength=self.size),
            np.bincount(self.cama[self.cama >= 0], minlength=self.size),
        )

    @property
    def matches(self) -> tuple[float, float]:
        """Share of all parcels that meet a CAMA row, and of all CAMA rows that meet a parcel."""
        parcels, rows = self.counts
        return (
            float(parcels[rows > 0].sum()) / max(1, len(self.parcel)),
            float(rows[parcels > 0].sum()) / max(1, len(self.cama)),
        )

    @property
    def tangled(self) -> float:
        """Share of the rows that meet whose value stands several times on both sides."""
        parcels, rows = self.counts
        meets, tangles = (parcels > 0) & (rows > 0), (parcels > 1) & (rows > 1)
        together = parcels + rows
        return float(together[tangles].sum()) / max(1, int(together[meets].sum()))

    @property
    def values_met(self) -> int:
        """Number of different values that meet."""
        parcels, rows = self.counts
        return int(((parcels > 0) & (rows > 0)).sum())

    def partners(self) -> tuple[Codes, Codes]:
        """Places of parcels and of CAMA rows that meet: each CAMA row with the first parcel of its value."""
        first = np.full(self.size + 1, -1)
        filled = np.flatnonzero(self.parcel >= 0)[::-1]
        first[self.parcel[filled]] = filled
        theirs = first[self.cama]  # blank has the place -1, where nothing stands
        rows = np.flatnonzero(theirs >= 0)
        return theirs[rows], rows


def pair_up(parcel: tuple[Column, pa.Array], cama: tuple[Column, pa.Array]) -> Pairing:
    """The rows of two columns, each given with its distinct values in the same spelling."""
    (parcels, rows), size = encode([parcel[1], cama[1]])
    kept = [len(np.unique(codes)) / max(1, len(codes)) for codes in (parcels, rows)]
    by_row = [np.append(codes, -1)[column.codes] for codes, (column, _) in ((parcels, parcel), (rows, cama))]
    return Pairing(by_row[0], by_row[1], size, 1 - min(kept))


def agreement(meeting: Pairing, other: Pairing) -> tuple[float, int]:
    """Share of the rows that meet in one way whose values are also equal in the other, and how many could be asked."""
    parcels, rows = meeting.partners()
    ones, others = other.parcel[parcels], other.cama[rows]
    asked = (ones >= 0) & (others >= 0)
    return float((ones[asked] == others[asked]).mean()) if asked.any() else 0.0, int(asked.sum())


def by_chance(mine: pa.Array, rows: Codes, theirs: pa.Array) -> float:
    """Share of the rows of one column that may meet the other if both are unrelated numbers that lie as densely.

    For each whole number: how many of its neighbours, up to 50 to either side, stand in the other column. Values with
    letters or parts do not run on, so for them it is 0. Three standard deviations are added, for small towns. `rows` is
    how many rows have each of the values.
    """
    whole = pc.fill_null(pc.match_substring_regex(mine, _WHOLE), False)
    numbers, others = (
        texts.filter(pc.match_substring_regex(texts, _WHOLE)).cast(pa.int64()).to_numpy() for texts in (mine, theirs)
    )
    if not len(numbers) or not len(others):
        return 0.0
    others = np.unique(others)
    low, high = np.maximum(numbers - _NEIGHBOURS, 0), np.minimum(numbers + _NEIGHBOURS, max(others[-1], numbers.max()))
    near = np.searchsorted(others, high, "right") - np.searchsorted(others, low)
    share = (near - np.isin(numbers, others)) / np.maximum(high - low, 1)
    expected = float((share * rows[whole.to_numpy(zero_copy_only=False)]).sum() / rows.sum())
    return min(1.0, expected + 3 * float(np.sqrt(expected * (1 - expected) / len(numbers))))


def share_in(texts: pa.Array, signatures: pa.Array) -> float:
    found = pc.is_in(signature(texts), value_set=signatures.drop_null())
    return float(pc.mean(found.cast(pa.float64())).as_py() or 0.0)
