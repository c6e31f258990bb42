"""No person in an address: free texts pass only as names of places, and values that look like a person's are emptied.

What is not clearly a place is withheld. Which question a value is asked is the law's (`screening` of its field), and so
are words and patterns (codes/*_word.yml, landmark_bar.yml; `value_pattern` in standard.yml). A finding says where
something was withheld and never what.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from addresses.columns import Flags
from addresses.street_words import StreetWords, street_words
from statewide.conform import with_column
from statewide.crosswalk import Crosswalk
from statewide.findings import FindingLog, plain_count, unless_a_name
from statewide.standard import CodeList, Standard, StandardField

Phrase = tuple[str, ...]

LANDMARK = "landmark"
_CONTACT, _PROTECTED = "contact", "suppression_flag"
_SUBADDRESS = ("subaddress_word", "unit_type", "unit_alone")
_STREET = ("street_type", "directional", "st_pre_separator", "street_modifier")
_IDENTIFIERS = ("number", "measure")
"""Kinds of values that have a digit."""
_WEAK = ("also_a_surname", "of_no_person", "part")
_SURNAME, _NO_PERSON, _PART = _WEAK
_PERSON = "person"
"""Codes of words that do not tell a place by themselves."""
NOTE = "note"
"""Code of words that bar a name, and not an address."""
_TAIL = ("a4", "post_comm")
_IN_ONE = ("delivered_street", "delivered_address")
_JOINING = frozenset({"of", "the", "and", "for", "po", "box", "rr", "ct", "usa", "route", "rte"})
_CLAUSE = re.compile(r"[,;:/()|]|\s-+\s|--+")
_WORD = re.compile(r"[^\W_]+")
_LONG_WORD = re.compile(r"[^\W\d_]{3,}")
_WORDS_MAX = 10
_DIGITS_MAX = 3


def strip(source: pa.Table, crosswalk: Crosswalk, log: FindingLog) -> pa.Table:
    """The delivered rows without what may name a person in the columns that fill a field; as `Dataset.strip`.

    Before anything else looks at them: a finding about a value, or a row that is held, quotes what it saw.
    """
    row_no = np.asarray(source.column("row_no").to_numpy(), dtype=np.int64)
    return _screened(log.standard, source, row_no, log, crosswalk.mapping, crosswalk.mapping)


def screen(
    standard: Standard,
    rows: pa.Table,
    row_no: npt.NDArray[np.int64],
    log: FindingLog,
    mapping: Mapping[str, str],
) -> pa.Table:
    """The rows without what may name a person, and with the landmark that their free texts name.

    What passed in `strip` passes again; what was read out of a whole address since then is asked for the first time.

    Args:
        rows: conformed rows, with the addresses taken apart.
        mapping: field → delivered column, for the findings.
    """
    fields = standard.table(log.dataset).town_fields
    present = {field.name: field.name for field in fields if field.name in rows.column_names}
    rows = _screened(standard, rows, row_no, log, present, mapping)
    rows = _only_listed(standard, rows, log, mapping)
    texts = [rows.column(field.name).combine_chunks() for field in fields if field.screening == "place"]
    return with_column(rows, LANDMARK, pc.coalesce(*texts))


def _screened(
    standard: Standard,
    rows: pa.Table,
    row_no: npt.NDArray[np.int64],
    log: FindingLog,
    columns: Mapping[str, str],
    names: Mapping[str, str],
) -> pa.Table:
    """Screen the column of each field; `names` has what each is called in a finding."""
    table, words = standard.table(log.dataset), Words(standard, log.town)
    patterns = {person.name: person.value_pattern for person in standard.header.withheld if person.value_pattern}
    for name, column in columns.items():
        field, values = table.field(name), rows.column(column).combine_chunks()
        text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
        if not text or values.null_count == len(values):
            continue
        # A village or postal city without a column stood behind a whole address.
        said = names.get(name) or (names.get("delivered_address") if name in _TAIL else None) or field.title
        if field.screening == "place":
            values = _only_places(words, patterns, values, said, log)
        else:
            values = _without_persons(words, patterns, field, values, row_no, said, log)
        rows = with_column(rows, column, values)
    return rows


def _only_listed(standard: Standard, rows: pa.Table, log: FindingLog, mapping: Mapping[str, str]) -> pa.Table:
    """The rows without words that their code list has not; each column's are counted.

    A word is named where it stands on many rows, or cannot be a name.
    """
    words, most = Words(standard, log.town), log.check("PERSON_IN_VALUE").limits["locality_rows_min"]
    for field in standard.table(log.dataset).town_fields:
        if field.name not in rows.column_names or not (field.codes or field.screening == "listed"):
            continue
        code_list = standard.code_lists[field.codes or field.name]
        encoded = rows.column(field.name).combine_chunks().dictionary_encode()
        known, texts = code_list.lookup(), encoded.dictionary.to_pylist()
        fine = [text.strip().casefold() in known for text in texts]
        if all(fine):
            continue
        counts: dict[object, int] = {}
        for text, count, listed in zip(texts, _counts(encoded), fine, strict=True):
            shown = text if count >= most else words.unless_a_name(text)
            if not listed:
                counts[shown] = counts.get(shown, 0) + count
        column = next((mapping[name] for name in (field.name, *_IN_ONE) if name in mapping), None)
        for shown, count in counts.items():
            said = plain_count(count, "row")
            log.add("WORD_NOT_LISTED", column=column, value=shown, field=field.title, rows=said)
        kept = pc.if_else(pa.array(fine), encoded.dictionary, pa.scalar(None, encoded.dictionary.type))
        rows = with_column(rows, field.name, kept.take(encoded.indices))
    return rows


def quotable(standard: Standard, town: str, texts: pa.Array, streets: Iterable[str]) -> Flags:
    """Which addresses that nobody could read may be quoted: they have a digit or a word that only streets have, each of
    their words is known, and nothing in them looks like a person's.

    Args:
        streets: names of streets that stand in the file more than once.
    """
    encoded = texts.dictionary_encode()
    words, types = Words(standard, town), street_words(standard)
    known = {word for street in streets for word in _words(street)}
    distinct = encoded.dictionary.to_pylist()
    personal = _look_like(
        filter(None, (person.value_pattern for person in standard.header.withheld)), encoded.dictionary
    )
    fine = [
        not person and words.tell_of_streets(text, types) and words.know_all(text, known | _before_types(text, types))
        for text, person in zip(distinct, personal, strict=True)
    ]
    taken = pc.fill_null(pa.array(fine, pa.bool_()).take(encoded.indices), False)
    found: Flags = taken.to_numpy(zero_copy_only=False)
    return found


def _before_types(text: str, types: StreetWords) -> set[str]:
    """The words right before a street's type, which are its name; CT is Connecticut as well."""
    pairs = itertools.pairwise(_words(text))
    return {word for word, after in pairs if after != "ct" and types.is_road(after.upper())}


class Words:
    """The words of places, of what bars one, of parts of a building, of streets, offices and towns, to be looked up."""

    def __init__(self, standard: Standard, town: str = "") -> None:
        self._places, self._bars, self._within, self._beside, self._offices, towns = _vocabulary(standard)
        self._most = max(map(len, [*self._places, *self._bars]))
        self._towns = towns | {_plain(town)}
        self._own = set(_words(town)) or {""}
        self._town_words = {word for name in self._towns for word in name.split()}
        self._longest = standard.table("address_point").field(LANDMARK).max_length or 0

    def name_place(self, text: str) -> bool:
        """Whether a free text is the name of a place and of nothing else.

        Each of its clauses ends in words of a place (Lincoln Elementary School), or has them before "of" (Church of the
        Holy Spirit), or says which part of the place is meant (North Wing). Words that are surnames, too (Hall, Park),
        need a word beside them that no person is called by. One word that bars a name is enough to withhold it.
        """
        clauses = [words for words in map(_words, _CLAUSE.split(text)) if words]
        if len(text) > self._longest or sum(map(len, clauses)) > _WORDS_MAX or "@" in text:
            return False
        kinds = [self._kind(words) for words in clauses]
        return "place" in kinds and None not in kinds

    def name_subaddress(self, text: str) -> bool:
        """Whether all longer words of a unit, floor or building are words for such, or it is the name of a place."""
        return self._within.issuperset(_long_words(text)) or self.name_place(text)

    def stand_beside_street(self, text: str) -> bool:
        """Whether all longer words of a street's modifier are words for such."""
        return self._beside.issuperset(_long_words(text))

    def name_office(self, text: str) -> bool:
        """Whether a text has a word of an office, and beside it only words of places and towns."""
        words = _words(text)
        codes = _read(words, self._places, self._most)
        fine = [
            code is not None or word in self._offices or word in self._town_words or word in _JOINING
            for word, code in zip(words, codes, strict=True)
        ]
        return all(fine) and not self._offices.isdisjoint(words)

    def name_locality(self, text: str) -> bool:
        """Whether it is the name of a town or planning region, or this town's with a word of places beside it (Alder
        Point), or has no letters."""
        words = set(_words(text))
        own = self._own < words and words - self._own <= self._beside
        return own or _plain(text) in self._towns or not any(map(str.isalpha, text))

    def bars(self, text: str) -> set[str]:
        """What its words tell of that bars a name: codes of `landmark_bar`."""
        return {code for code in _read(_words(text), self._bars, self._most) if code}

    def know_all(self, text: str, more: Iterable[str] = ()) -> bool:
        """Whether each word of two letters or more is of a street, a building, a place or a town, or one of `more`."""
        words = _words(text)
        known = self._beside | self._own | set(more) | _JOINING
        codes = [_read(words, phrases, self._most) for phrases in (self._places, self._bars)]
        return all(
            len(word) < 2 or not word.isalpha() or word in known or place is not None or bar == NOTE
            for word, place, bar in zip(words, *codes, strict=True)
        )

    def unless_a_name(self, text: str) -> object:
        """The text, or `UNQUOTED` where it may be a person's name."""
        return text if self.know_all(text) else unless_a_name(text)

    def tell_of_streets(self, text: str, streets: StreetWords) -> bool:
        """Whether a text has a digit or a street's type, and no word that a person, a home or a refuge goes by.

        A type behind another word is no title: Oak Dr is a street, Dr Oak is not.
        """
        words = _words(text)
        roads = [place > 0 and streets.is_road(word.upper()) for place, word in enumerate(words)]
        bars = _read(words, self._bars, self._most)
        barred = any(code not in (None, NOTE) and not road for code, road in zip(bars, roads, strict=True))
        return not barred and (any(roads) or any(map(str.isdigit, text)))

    def _kind(self, words: Sequence[str]) -> str | None:
        """What a clause is: a place, a part of one, or None for anything else."""
        codes = _read(words, self._places, self._most)
        free = [word if code is None or code in _WEAK else "" for word, code in zip(words, codes, strict=True)]
        if any(_read(free, self._bars, self._most)) or any(sum(map(str.isdigit, word)) > _DIGITS_MAX for word in words):
            return None
        companion = any(code is not None and code not in (_SURNAME, _PART) for code in codes)
        end = len(words)
        while end and (
            codes[end - 1] in (_PART, _NO_PERSON) or len(words[end - 1]) == 1 or words[end - 1][0].isdigit()
        ):
            end -= 1
        if not end:
            return "part"
        last = codes[end - 1]
        if last is not None and (last not in _WEAK or (last == _SURNAME and companion)):
            return "place"
        of = words.index("of") if "of" in words[1:] else 0
        named = of and codes[of - 1] not in (None, _NO_PERSON, _PART)
        return "place" if named and not any(word[0].isdigit() for word in words[of:]) else None


class _Vocabulary(NamedTuple):
    """What `Words` looks up in whatever town."""

    places: dict[Phrase, str]
    bars: dict[Phrase, str]
    within: set[str]
    beside: set[str]
    offices: set[str]
    towns: set[str]


@functools.lru_cache(maxsize=2)
def _vocabulary(standard: Standard) -> _Vocabulary:
    lists = standard.code_lists
    within = {word for name in _SUBADDRESS for text in lists[name].lookup() for word in _long_words(text)}
    towns = {_plain(each.town_name) for each in standard.municipalities}
    return _Vocabulary(
        places=_phrases(lists["landmark_word"]),
        bars=_phrases(lists["landmark_bar"]),
        within=within,
        beside=within | {word for name in _STREET for text in lists[name].lookup() for word in _words(text)},
        offices={word for text in lists["office_word"].lookup() for word in _words(text)},
        towns=towns | {_plain(each.planning_region_name) for each in standard.planning_regions},
    )


def _read(words: Sequence[str], phrases: Mapping[Phrase, str], most: int) -> list[str | None]:
    """The code of the phrase, of at most so many words, in which each word stands; the longest phrase counts."""
    codes: list[str | None] = [None] * len(words)
    start = 0
    while start < len(words):
        for length in range(min(len(words) - start, most), 0, -1):
            code = phrases.get(tuple(words[start : start + length]))
            if code:
                codes[start : start + length] = [code] * length
                break
        else:
            length = 1
        start += length
    return codes


def _words(text: str) -> list[str]:
    return _WORD.findall(re.sub(r"['’.]", "", text.casefold()).replace("&", " and "))


def _plain(name: str) -> str:
    """The name of a town as it is compared."""
    return " ".join(_words(name)).removeprefix("town of ").removeprefix("city of ")


def _counts(encoded: pa.DictionaryArray) -> list[int]:
    """How many rows have each distinct value."""
    indices = encoded.indices.drop_null().to_numpy(zero_copy_only=False)
    counts: list[int] = np.bincount(indices, minlength=len(encoded.dictionary)).tolist()
    return counts


def _on_few_rows(words: Words, encoded: pa.DictionaryArray, most: float) -> Flags:
    """Which names of places are of no town that is known and stand on few rows, capitals aside, or tell of persons."""
    texts = encoded.dictionary.to_pylist()
    rows: dict[str, int] = {}
    for text, count in zip(texts, _counts(encoded), strict=True):
        rows[_plain(text)] = rows.get(_plain(text), 0) + count
    few = [
        not words.name_locality(text) and (rows[_plain(text)] < most or _PERSON in words.bars(text)) for text in texts
    ]
    return np.array(few, dtype=bool)


def _long_words(text: str) -> list[str]:
    return _LONG_WORD.findall(text.casefold())


def _phrases(codes: CodeList) -> dict[Phrase, str]:
    """The variants of a list as words, each with its code."""
    return {tuple(_words(variant)): each.code for each in codes.codes for variant in each.variants}


def _only_places(words: Words, patterns: Mapping[str, str], values: pa.Array, column: str, log: FindingLog) -> pa.Array:
    encoded = values.dictionary_encode()
    nothing = {"", *log.standard.header.null_spellings}
    texts = [" ".join(text.split()) for text in encoded.dictionary.to_pylist()]
    empty = pa.array([text.casefold() in nothing for text in texts], pa.bool_()).take(encoded.indices)
    personal = _look_like(patterns.values(), encoded.dictionary)
    passed = [not person and words.name_place(text) for text, person in zip(texts, personal, strict=True)]
    cleaned = pa.array([text if fine else None for text, fine in zip(texts, passed, strict=True)], pa.string())
    kept = cleaned.take(encoded.indices)
    if withheld := kept.null_count - values.null_count - (pc.sum(empty).as_py() or 0):
        left = len(kept) - kept.null_count
        shown = f" Of {plain_count(left, 'row')} the name of the place is shown as the landmark." if left else ""
        log.add("FREE_TEXT_WITHHELD", column=column, rows=plain_count(withheld, "row"), kept=shown)
    return kept


def _without_persons(
    words: Words,
    patterns: Mapping[str, str],
    field: StandardField,
    values: pa.Array,
    row_no: npt.NDArray[np.int64],
    column: str,
    log: FindingLog,
) -> pa.Array:
    encoded = values.dictionary_encode()
    texts, indices = encoded.dictionary, pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    # A parcel number or an hour may look like a telephone number, and NENA's identifiers look like e-mail addresses.
    # What says who is protected is emptied in every dataset, when values are conformed.
    as_number = field.screening == "number" or field.type != "text"
    left_out = (_PROTECTED, _CONTACT) if as_number else (_PROTECTED,)
    asked = [pattern for kind, pattern in patterns.items() if kind not in left_out]
    person = _look_like(asked, texts)
    if test := _TESTS.get(field.screening or ""):
        person |= _each(texts, lambda text: not test(words, text))
    if field.screening in _IDENTIFIERS:
        person |= ~_look_like([r"\pN"], texts)
    elif field.screening == "locality":
        person |= _on_few_rows(words, encoded, log.check("PERSON_IN_VALUE").limits["locality_rows_min"])
    if person.any():
        nothing = pa.array(["", *log.standard.header.null_spellings])
        spelt = pc.utf8_trim_whitespace(pc.utf8_lower(texts))
        person &= ~pc.is_in(spelt, value_set=nothing).to_numpy(zero_copy_only=False)
    if not person.any():
        return values
    log.add_each(
        "PERSON_IN_VALUE", row_no[np.isin(indices, np.flatnonzero(person))].tolist(), lambda _: {}, column=column
    )
    return pc.if_else(pa.array(person), pa.scalar(None, texts.type), texts).take(encoded.indices)


_TESTS: dict[str, Callable[[Words, str], bool]] = {
    "subaddress": Words.name_subaddress,
    "measure": Words.name_subaddress,
    "modifier": Words.stand_beside_street,
    "office": Words.name_office,
}
"""What a value with a longer word must pass, by the kind of screening."""


def _look_like(patterns: Iterable[str], texts: pa.Array) -> Flags:
    together = "|".join(f"({pattern})" for pattern in patterns)
    found: Flags = pc.match_substring_regex(texts, together).to_numpy(zero_copy_only=False)
    return found


def _each(texts: pa.Array, test: Callable[[str], bool]) -> Flags:
    """Which texts meet the test, asked only of those with a longer word."""
    found = _look_like([r"\pL{3}"], texts)
    places = np.flatnonzero(found)
    found[places] = [test(text) for text in texts.take(pa.array(places)).to_pylist()]
    return found
