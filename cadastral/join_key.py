"""The join-key detective: which columns of a town's parcels and of its CAMA file meet, and under which reading.

Pure functions over the delivered columns, persons' columns taken out before. Every pair of columns is compared by a
coarse signature; the leaders are then measured exactly, both ways, and confirmed by the addresses of the rows that
meet, because two running numbers match however little they have to do with one another.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cadastral.join_columns import (
    ALL_BUT_LAST,
    PARTS_OF_A_NUMBER,
    SPELLINGS,
    Codes,
    Column,
    Pairing,
    Reading,
    Spelling,
    agreement,
    by_chance,
    encode,
    most_parts,
    pair_up,
    read_column,
    sample,
    share_in,
    signature,
    spell,
    take_parts,
    texts_of,
)
from statewide.crosswalk import ReviewedJoin
from statewide.findings import plain_share
from statewide.standard import Standard, Table, column_key

Side = Literal["parcel", "cama"]
How = Literal["reviewed", "saved", "found"]

_ALL_BY_CHANCE = 0.95
"""Where chance meets this much, a match proves nothing."""
EPSILON = 0.005
"""Scores this close are one; the simpler rule is then taken, and two rules that disagree are an ambiguity."""
CLAIM = 0.5
"""Share that must meet on one side at least: below, the State itself names no join (domain.md 1.2)."""
FALL = 0.02
"""A saved choice has fallen when a side meets by more than this less than it did."""
ENOUGH = 0.98
"""A match both ways that ends the search for rarer readings."""
_LEADERS = 8
_LEADERS_OF_A_COLUMN = 3
"""Columns of the CAMA file that are measured for one column of the parcels."""
_DISTINCT_SHARE_MIN = 0.1
_DISTINCT_MIN = 10
_FILLED_MIN = 0.05
_SHARED_HEAD = 0.9
"""Share of values that begin with one part, from which on it may be a town's mark and not a map number."""
_SEEN = 0.3
"""Share that could meet on one side, for a pair to be measured at all."""
_SUPPORT_MIN = 0.5
"""Below, nothing is claimed: fewer than one address in four agrees, or the match is hardly more than chance."""
_TANGLED_MAX = 0.5
"""A column whose values stand several times on both sides more often than this names no parcels: a year, a class."""
_WITNESS_MIN = 10
"""Rows with an address on both sides that a witness must have seen."""
_WITNESS_SHARE_MIN = 0.1
"""Share of addresses that must be spelt alike in both files, for addresses to say anything."""
_ORDERED_MAX = 4
"""Parts that are tried in every order: map, block, lot, unit."""

_JOIN_FIELDS = ("cama_link", "link")
_NUMBER_FIELDS = (*_JOIN_FIELDS, "parcel_id", "gis_tag", "pid", "account_number")


@dataclass(frozen=True)
class JoinKey:
    """A pair of readings, how well they meet, and what speaks for it. Shares are 0 to 1.

    `parcel_match` is the share of all parcels whose value stands among the CAMA rows, `cama_match` the other way
    round; a blank value meets nothing. `by_chance` is the share, of the side that meets more, that may meet if both are
    unrelated running numbers. `tangled` is the share of meeting rows whose value stands several times on both
    sides, `merged` the share of a column's values that the spelling throws together. `named` says that both columns are
    called a join field.
    `witness` names two address columns, and `agreement` says in how many of the rows that meet they agree, against the
    share that can agree at all.
    """

    parcel: Reading
    cama: Reading
    spelling: Spelling
    parcel_match: float
    cama_match: float
    by_chance: float = 0.0
    tangled: float = 0.0
    merged: float = 0.0
    named: bool = False
    witness: tuple[str, str] | None = None
    agreement: float | None = None
    surprise: float = 0.0
    how: How = "found"

    @property
    def support(self) -> float:
        """How far the evidence goes: half of the addresses is full support; without addresses, what beats chance."""
        if self.agreement is not None:
            return min(1.0, 2 * self.agreement)
        if self.named:
            return 1.0
        best = max(self.parcel_match, self.cama_match)
        if self.by_chance >= _ALL_BY_CHANCE or best <= self.by_chance:
            return 0.0
        return (best - self.by_chance) / (1 - self.by_chance) / best

    @property
    def score(self) -> float:
        """Mean of the two matches, less half of what is tangled and all that is merged, times the support."""
        mean = (self.parcel_match + self.cama_match) / 2
        return max(0.0, mean * (1 - self.tangled / 2) - self.merged) * self.support

    @property
    def rule(self) -> str:
        """The rule in words, for the report."""
        return f"{self.parcel.words} = {self.cama.words}, {SPELLINGS[self.spelling][1]}"

    def record(self) -> dict[str, Any]:
        """As it is saved for the town; `join_key_from` reads it back."""
        return asdict(self)


@dataclass(frozen=True)
class JoinSearch:
    """The key, or None, and why; the leaders, best first; and what a person should look at.

    `rival` is another pair as good as the key that makes other rows meet. `fell` says that a reviewed or saved choice
    was not taken, or meets less than it did.
    """

    key: JoinKey | None
    leaders: tuple[JoinKey, ...]
    why: str
    rival: JoinKey | None = None
    fell: str | None = None


def join_key_from(record: Mapping[str, Any]) -> JoinKey:
    """A saved choice, as `JoinKey.record` wrote it; lists may stand for tuples, as JSON has them.

    Raises:
        TypeError, KeyError: the record is not one of `JoinKey.record`.
    """
    sides = {
        side: Reading(tuple(record[side]["columns"]), record[side]["prefix"], tuple(record[side]["parts"]))
        for side in ("parcel", "cama")
    }
    witness = tuple(record["witness"]) if record["witness"] else None
    return JoinKey(**{**record, **sides, "witness": witness})


@dataclass(frozen=True, eq=False)
class Numbers:
    """One side of a join: its distinct values as read, the same in the key's spelling (null where nothing is left),
    and the place of each row's value among them (-1 where the row has none)."""

    texts: pa.Array
    spelt: pa.Array
    codes: Codes


def read_numbers(standard: Standard, key: JoinKey, table: pa.Table, side: Side) -> Numbers:
    """The numbers of one side, as the key reads them.

    Raises:
        KeyError: the table lacks a column of the key.
    """
    reading = key.parcel if side == "parcel" else key.cama
    column = read_column(table, reading, frozenset(standard.header.null_spellings))
    return Numbers(column.texts, spell(column.texts, key.spelling), column.codes)


def values(standard: Standard, key: JoinKey, table: pa.Table, side: Side, cousub_fips: str) -> pa.Array:
    """The join value of each row: the town's code, a hyphen, the number as the key reads it; null where blank.

    Sample: parcels `08070-0134-41A` and CAMA `134 41a` both become `08070-134-41A`.

    Raises:
        KeyError: the table lacks a column of the key.
    """
    numbers = read_numbers(standard, key, table, side)
    linked = pc.binary_join_element_wise(pa.scalar(cousub_fips), numbers.spelt, "-")
    return linked.take(pa.array(numbers.codes, mask=numbers.codes < 0))


def find_join_key(
    standard: Standard,
    parcels: pa.Table,
    cama: pa.Table,
    cousub_fips: str,
    *,
    saved: JoinKey | None = None,
    reviewed: ReviewedJoin | None = None,
) -> JoinSearch:
    """The pair of readings by which a town's parcels and its CAMA rows meet.

    A reviewed choice comes first, then the saved one as long as it meets what it met, and then nothing else is tried;
    else the simplest of the best pairs is taken, if half of one side meets and the evidence does not speak against it.

    Args:
        parcels, cama: the delivered columns under the town's names, without shapes and persons.
        saved: the key of the town's last published delivery.
        reviewed: what the town's file says; several columns of one side with " + " between them.
    """
    files = _File(standard, "parcel", parcels, cousub_fips), _File(standard, "cama", cama, cousub_fips)
    search = _Search(*files, saved.witness if saved else None)
    if saved and reviewed is None and (again := search.again(saved)) and not _fallen(saved, again):
        return JoinSearch(again, (again,), _why(again))
    leaders = search.leaders()
    claimed = [key for key in leaders if _claimable(key)]
    found = _simplest(claimed)
    chosen, fell = search.kept(found, saved, reviewed)
    key = chosen or found
    if key is None:
        return JoinSearch(None, leaders, _why_none(leaders, search.parcels, search.cama), fell=fell)
    leaders = (key, *(other for other in leaders if (other.parcel, other.cama) != (key.parcel, key.cama)))
    return JoinSearch(key, leaders, _why(key), search.rival(key, claimed), fell)


# ── a file's columns, sorted into numbers and addresses ──────────────────────────────────────────────────────────────


class _File:
    """One delivered table, and the columns of it that may be a key or an address."""

    def __init__(self, standard: Standard, side: Side, table: pa.Table, cousub_fips: str) -> None:
        self.law = standard.table("parcel" if side == "parcel" else "assessment")
        self.table = table
        self.rows = len(table)
        self.town_code = f"{cousub_fips}-"
        self.nothing = frozenset(standard.header.null_spellings)
        self.fields = _fields_by_name(self.law, table.column_names)
        parts = _fields_by_name(standard.table("assessment"), table.column_names)
        self.column_of_part = {field: column for column, field in parts.items()}
        self._columns: dict[Reading, Column] = {}
        self._spelt: dict[tuple[Reading, Spelling], pa.Array] = {}

    @functools.cached_property
    def numbers(self) -> list[Reading]:
        """What may be a parcel's number: columns, and map, block and lot put together."""
        known = (None, *_NUMBER_FIELDS, "map", "lot")
        columns = [(name,) for name in self._kinds["number"] if self.fields.get(name) in known]
        return [reading for names in (*columns, *self._composed()) for reading in self._distinct_readings(names)]

    @functools.cached_property
    def addresses(self) -> list[str]:
        """What may be the address, the column that is called so first."""
        known = [name for name in self._kinds["address"] if self.fields.get(name) in (None, "location")]
        return sorted(known, key=lambda name: self.fields.get(name) != "location")

    @functools.cached_property
    def _kinds(self) -> dict[str, list[str]]:
        ignored = {column_key(name) for rule in self.law.ignored_columns for name in rule.names}
        some = sample(self.table)
        kinds: dict[str, list[str]] = {"number": [], "address": []}
        for name in self.table.column_names:
            field = self.fields.get(name)
            textual = field is None or self.law.field(field).type == "text"
            if textual and column_key(name) not in ignored and (kind := _kind(some.column(name), self.nothing)):
                kinds[kind].append(name)
        return kinds

    def column(self, reading: Reading) -> Column:
        """The column as the reading makes it."""
        if reading not in self._columns:
            self._columns[reading] = read_column(self.table, reading, self.nothing)
        return self._columns[reading]

    def spelt(self, reading: Reading, spelling: Spelling) -> pa.Array:
        """The column's distinct values in one spelling."""
        if (reading, spelling) not in self._spelt:
            self._spelt[reading, spelling] = spell(self.column(reading).texts, spelling)
        return self._spelt[reading, spelling]

    def readings(self, names: tuple[str, ...]) -> list[Reading]:
        """The columns as they are, and without a part that all values begin with; a town's code is always taken off."""
        texts = sample(self.column(Reading(names)).texts)
        heads = pc.struct_field(pc.extract_regex(texts, r"^(?P<head>[0-9A-Z]+-)"), "head").drop_null().value_counts()
        found = [Reading(names)]
        if len(heads):
            most = int(np.argmax(heads.field("counts").to_numpy()))
            head, share = heads.field("values")[most].as_py(), heads.field("counts")[most].as_py() / len(texts)
            if head == self.town_code and share > CLAIM:
                return [Reading(names, prefix=head)]
            if share >= _SHARED_HEAD:
                found.append(Reading(names, prefix=head))
        return found

    def named(self, columns: str) -> tuple[str, ...]:
        """The columns of a reviewed choice."""
        return (columns,) if columns in self.table.column_names else tuple(columns.split(" + "))

    def surprise(self, reading: Reading) -> float:
        """How far the reading is from the plain column of a number that the law knows."""
        ordered = reading.parts in (ALL_BUT_LAST, tuple(range(len(reading.parts))))
        return (
            (0 if reading.prefix in ("", self.town_code) else 1)
            + (0 if not reading.parts else 2 if ordered else 3)
            + (2 if len(reading.columns) > 1 else 0 if self.fields.get(reading.columns[0]) in _NUMBER_FIELDS else 0.25)
        )

    def joins(self, reading: Reading) -> bool:
        """Whether the column is called a join field."""
        return self.fields.get(reading.columns[0]) in _JOIN_FIELDS

    def _distinct_enough(self, reading: Reading) -> bool:
        column = self.column(reading)
        return column.distinct_share >= _DISTINCT_SHARE_MIN and len(column.texts) >= _DISTINCT_MIN

    def _distinct_readings(self, names: tuple[str, ...]) -> list[Reading]:
        plain = self._distinct_enough(Reading(names))
        return [reading for reading in self.readings(names) if self._distinct_enough(reading)] if plain else []

    def _composed(self) -> list[tuple[str, ...]]:
        found: list[tuple[str, ...]] = []
        for kinds in (("map", "block", "lot", "unit"), ("map", "block", "lot"), ("map", "lot")):
            pairs = [pair for pair in PARTS_OF_A_NUMBER if pair[0] in kinds and pair[0] in self.column_of_part]
            columns = tuple(
                self.column_of_part[field] for pair in pairs for field in pair if field in self.column_of_part
            )
            if len(pairs) > 1 and columns not in found:
                found.append(columns)
        return found


def _fields_by_name(law: Table, columns: Sequence[str]) -> dict[str, str]:
    """Column → field, by the names that the law knows."""
    known = {column_key(name): field.name for field in law.town_fields for name in (field.name, *field.synonyms)}
    return {column: known[key] for column in columns if (key := column_key(column)) in known}


def _kind(values: pa.ChunkedArray, nothing: frozenset[str]) -> Literal["number", "address"] | None:
    """What a sample of a column looks like: a parcel's number, an address, or neither (a date, a measure, a word)."""
    kind = values.type
    textual = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)
    if not (textual or pa.types.is_floating(kind)) or not len(values):
        return None
    column = texts_of(values, nothing)
    texts, filled = column.texts, int(column.counts.sum())
    if filled < _FILLED_MIN * len(values) or column.distinct_share < _DISTINCT_SHARE_MIN:
        return None

    def share(pattern: str) -> float:
        return float(pc.mean(pc.match_substring_regex(texts, pattern).cast(pa.float64())).as_py())

    if share(r"^(POLYGON|MULTIPOLYGON|POINT|\{|HTTP)|^-?[0-9]+\.[0-9]{5,}$|^[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}\b") > 0.5:
        return None
    if share(r"\s\pL{3}") > 0.5:
        return "address"
    return "number" if share("[0-9]") > 0.8 else None


# ── the search ───────────────────────────────────────────────────────────────────────────────────────────────────────


class _Search:
    """Both files, and every pair of readings measured so far."""

    def __init__(self, parcels: _File, cama: _File, witness: tuple[str, str] | None) -> None:
        self.parcels = parcels
        self.cama = cama
        self.witness = witness
        self._measured: dict[tuple[Reading, Reading, Spelling], tuple[JoinKey, Pairing]] = {}

    def leaders(self) -> tuple[JoinKey, ...]:
        """The best pairs with their mildest spelling, best first; rarer readings only when the plain ones do not do."""
        keys = [key for pair in self._plain_pairs() if (key := self._best(*pair))]
        if not any(min(key.parcel_match, key.cama_match) >= ENOUGH and key.support > _SUPPORT_MIN for key in keys):
            keys += [key for pair in self._rare_pairs() if (key := self._best(*pair))]
        return tuple(sorted(keys, key=lambda key: (-key.score, key.surprise))[:_LEADERS])

    def kept(
        self, found: JoinKey | None, saved: JoinKey | None, reviewed: ReviewedJoin | None
    ) -> tuple[JoinKey | None, str | None]:
        """The reviewed or saved choice where it still holds, and what is to be said about it."""
        said: list[str] = []
        if reviewed:
            columns = self.parcels.named(reviewed.parcel), self.cama.named(reviewed.cama)
            if (absent := self._absent(*columns)) is None:
                key = _simplest([key for key in self._readings_of(*columns) if _meets(key)])
                if key and found and found.score > key.score + FALL:
                    said.append(f"The reviewed choice meets {_rates(key)}; {found.rule}, would meet {_rates(found)}.")
                if key:
                    return replace(key, how="reviewed"), " ".join(said) or None
            said.append(f"The reviewed choice was not taken: {absent or 'it meets less than half of either side'}.")
        if saved:
            again = self.again(saved)
            if again is None:
                absent = self._absent(saved.parcel.columns, saved.cama.columns)
                said.append(f"The key of the last delivery was not taken: {absent}.")
            elif not _fallen(saved, again):
                return again, " ".join(said) or None
            else:
                said.append(f"The key of the last delivery met {_rates(saved)}; now it meets {_rates(again)}.")
                if _claimable(again) and not (found and found.score > again.score + EPSILON):
                    return again, " ".join(said)
        return None, " ".join(said) or None

    def again(self, saved: JoinKey) -> JoinKey | None:
        """The saved choice as it meets now; None where a column of it is gone."""
        if self._absent(saved.parcel.columns, saved.cama.columns):
            return None
        return replace(self.measure(saved.parcel, saved.cama, saved.spelling)[0], how="saved")

    def rival(self, key: JoinKey, claimed: Sequence[JoinKey]) -> JoinKey | None:
        """A pair as good as the key by which other rows meet."""
        mine = self.measure(key.parcel, key.cama, key.spelling)[1]
        for other in claimed:
            if (other.parcel, other.cama) != (key.parcel, key.cama) and other.score >= key.score - EPSILON:
                same, asked = agreement(mine, self.measure(other.parcel, other.cama, other.spelling)[1])
                if asked and same < ENOUGH:
                    return other
        return None

    def measure(self, parcel: Reading, row: Reading, spelling: Spelling) -> tuple[JoinKey, Pairing]:
        """A pair, measured exactly."""
        if (parcel, row, spelling) not in self._measured:
            meeting = self._meeting(parcel, row, spelling)
            parcel_match, cama_match = meeting.matches
            agree = None
            if self._addresses:
                _, addresses, alike = self._addresses
                share, asked = agreement(meeting, addresses)
                agree = min(1.0, share / alike) if asked >= _WITNESS_MIN else None
            key = JoinKey(
                parcel,
                row,
                spelling,
                parcel_match,
                cama_match,
                by_chance=self._chance(parcel, row, spelling, of_parcels=parcel_match >= cama_match),
                tangled=meeting.tangled,
                merged=meeting.merged,
                named=self.parcels.joins(parcel) and self.cama.joins(row),
                witness=self._addresses[0] if self._addresses and agree is not None else None,
                agreement=agree,
                surprise=SPELLINGS[spelling][0] + self.parcels.surprise(parcel) + self.cama.surprise(row),
            )
            self._measured[parcel, row, spelling] = key, meeting
        return self._measured[parcel, row, spelling]

    def _meeting(self, parcel: Reading, row: Reading, spelling: Spelling) -> Pairing:
        return pair_up(
            (self.parcels.column(parcel), self.parcels.spelt(parcel, spelling)),
            (self.cama.column(row), self.cama.spelt(row, spelling)),
        )

    def _chance(self, parcel: Reading, row: Reading, spelling: Spelling, *, of_parcels: bool) -> float:
        sides = (self.parcels, parcel), (self.cama, row)
        (file, mine), (other_file, other) = sides if of_parcels else sides[::-1]
        return by_chance(file.spelt(mine, spelling), file.column(mine).counts, other_file.spelt(other, spelling))

    @functools.cached_property
    def _addresses(self) -> tuple[tuple[str, str], Pairing, float] | None:
        """The two address columns, how they meet, and the share of them that is spelt alike."""
        best: tuple[tuple[str, str], Pairing, float] | None = None
        if self.witness and self._absent(self.witness[:1], self.witness[1:]) is None:
            candidates = [self.witness]
        else:
            candidates = list(itertools.product(self.parcels.addresses[:2], self.cama.addresses[:2]))
        for parcel, cama in candidates:
            meeting = self._meeting(Reading((parcel,)), Reading((cama,)), "spelled")
            alike = max(meeting.matches)
            if alike >= _WITNESS_SHARE_MIN and (best is None or alike > best[2]):
                best = (parcel, cama), meeting, alike
        return best

    def _plain_pairs(self) -> list[tuple[Reading, Reading, float, float]]:
        """Pairs that could meet by their signatures, best first, and the shares that could meet at most."""
        ours = [(reading, self.parcels.column(reading)) for reading in self.parcels.numbers]
        theirs = [(reading, self.cama.column(reading)) for reading in self.cama.numbers]
        if not ours or not theirs:
            return []
        most = np.zeros((len(ours), len(theirs), 2))
        for zeros in (False, True):
            codes, size = encode([signature(column.texts, zeros=zeros) for _, column in ours + theirs])
            present = np.zeros((len(codes), size + 1), np.bool_)
            for place, of_column in enumerate(codes):
                present[place, of_column] = True
            present[:, -1] = False  # blank has the place -1
            for (i, (_, mine)), (j, (_, other)) in itertools.product(enumerate(ours), enumerate(theirs)):
                met = mine.counts[present[len(ours) + j][codes[i]]].sum() / max(1, self.parcels.rows)
                met_there = other.counts[present[i][codes[len(ours) + j]]].sum() / max(1, self.cama.rows)
                most[i, j] = np.maximum(most[i, j], (met, met_there))
        best = np.argsort(-most.sum(axis=2), axis=1, kind="stable")[:, :_LEADERS_OF_A_COLUMN]
        pairs = [(ours[i][0], theirs[j][0], *most[i, j].tolist()) for i, row in enumerate(best) for j in row]
        return sorted((pair for pair in pairs if max(pair[2:]) >= _SEEN), key=lambda pair: -(pair[2] + pair[3]))

    def _rare_pairs(self) -> list[tuple[Reading, Reading, float, float]]:
        """Pairs in which the parts of one side stand in another order, or its last parts are left out."""
        found: list[tuple[float, Reading, Reading]] = []
        sides = [
            [(reading, file.column(reading).texts, most_parts(file.column(reading).texts)) for reading in file.numbers]
            for file in (self.parcels, self.cama)
        ]
        for ours, theirs in itertools.product(*sides):
            for (reading, texts, parts), (other, others, other_parts), mirrored in (
                (ours, theirs, False),
                (theirs, ours, True),
            ):
                choices = _part_choices(parts, other_parts, reorder=not mirrored)
                if not choices:
                    continue
                some = sample(texts)
                signatures = signature(others)
                plain = share_in(some, signatures)
                for kept in choices:
                    share = share_in(take_parts(some, kept), signatures)
                    if share >= max(_SEEN, plain + FALL):
                        changed = replace(reading, parts=kept)
                        found.append((share, other, changed) if mirrored else (share, changed, other))
        best = sorted(found, key=lambda item: -item[0])[:_LEADERS]
        return [(parcel, row, 1.0, 1.0) for _, parcel, row in best]

    def _readings_of(self, parcel: tuple[str, ...], row: tuple[str, ...]) -> list[JoinKey]:
        """Every reading of the given columns, measured."""
        plain = itertools.product(self.parcels.readings(parcel), self.cama.readings(row))
        pairs = [(ours, theirs, 1.0, 1.0) for ours, theirs in plain]
        pairs += [pair for pair in self._rare_pairs() if (pair[0].columns, pair[1].columns) == (parcel, row)]
        return [key for pair in pairs if (key := self._best(*pair))]

    def _absent(self, parcel: Sequence[str], cama: Sequence[str]) -> str | None:
        for file, columns, noun in ((self.parcels, parcel, "parcels"), (self.cama, cama, "CAMA rows")):
            missing = [column for column in columns if column not in file.table.column_names]
            if missing:
                return f"the {noun} have no column {', '.join(missing)}"
        return None

    def _best(self, parcel: Reading, row: Reading, parcel_most: float, cama_most: float) -> JoinKey | None:
        """The pair with the mildest spelling that does as well as any; None where hardly a value meets."""
        tried = []
        for spelling in SPELLINGS:
            key, meeting = self.measure(parcel, row, spelling)
            if meeting.values_met >= _DISTINCT_MIN:
                tried.append(key)
            short = max(parcel_most - key.parcel_match, cama_most - key.cama_match, key.merged)
            if short <= EPSILON:
                break
        return _simplest(tried)


def _meets(key: JoinKey) -> bool:
    return max(key.parcel_match, key.cama_match) >= CLAIM


def _fallen(saved: JoinKey, again: JoinKey) -> bool:
    return max(saved.parcel_match - again.parcel_match, saved.cama_match - again.cama_match) > FALL


def _claimable(key: JoinKey) -> bool:
    return _meets(key) and key.support > _SUPPORT_MIN and key.tangled <= _TANGLED_MAX


def _simplest(keys: Sequence[JoinKey]) -> JoinKey | None:
    """The least surprising of the best."""
    best = max((key.score for key in keys), default=0.0)
    return min(
        (key for key in keys if key.score >= best - EPSILON), key=lambda key: (key.surprise, -key.score), default=None
    )


def _part_choices(parts: int, other_parts: int, *, reorder: bool) -> list[tuple[int, ...]]:
    """The orders of the parts to try; the first parts alone, and all but the last, where the other side has fewer."""
    plain = tuple(range(parts))
    orders = [order for order in itertools.permutations(plain) if order != plain] if 2 <= parts <= _ORDERED_MAX else []
    shorter = [plain[:count] for count in range(2, _ORDERED_MAX + 1) if count < parts and count <= other_parts]
    last = [ALL_BUT_LAST] if parts > 1 else []
    return last + shorter + (orders if reorder and other_parts <= parts else [])


def _rates(key: JoinKey) -> str:
    return f"{plain_share(key.parcel_match)} of the parcels and {plain_share(key.cama_match)} of the CAMA rows"


def _why(key: JoinKey) -> str:
    said = f"{key.rule}: meets {_rates(key)}"
    if key.agreement is not None and key.witness:
        said += f"; of the addresses that could agree ({' and '.join(key.witness)}) {plain_share(key.agreement)} do"
    return said + "."


def _why_none(leaders: Sequence[JoinKey], parcels: _File, cama: _File) -> str:
    for file, noun in ((parcels, "parcels"), (cama, "CAMA rows")):
        if not file.numbers:
            return f"No column of the {noun} looks like a number of parcels."
    meeting = [key for key in leaders if _meets(key)]
    if not meeting:
        return "No pair of columns meets in half of the rows of either side."
    best = max(meeting, key=lambda key: key.parcel_match + key.cama_match)
    if best.agreement is not None:
        return f"{best.rule}: meets {_rates(best)}, but the addresses of the rows that meet are not the same."
    return f"{best.rule}: meets {_rates(best)}, as running numbers would by chance, and no addresses tell."
