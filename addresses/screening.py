"""No person in an address: free texts pass only as names of places, and values that look like a person's are emptied.

What is not clearly a place is withheld. Words and patterns are the law's (codes/landmark_word.yml, landmark_bar.yml and
subaddress_word.yml; `value_pattern` in standard.yml). A finding says where something was withheld and never what.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from addresses.street_words import StreetWords
from statewide.crosswalk import Crosswalk
from statewide.findings import FindingLog, plain_count
from statewide.standard import CodeList, Standard, StandardField

Flags = npt.NDArray[np.bool_]
Phrase = tuple[str, ...]

LANDMARK = "landmark"
_CONTACT, _PROTECTED = "contact", "suppression_flag"
_SUBADDRESS = ("subaddress_word", "unit_type", "unit_alone")
_WEAK = ("also_a_surname", "of_no_person", "part")
_SURNAME, _NO_PERSON, _PART = _WEAK
"""Codes of words that do not tell a place by themselves."""
_NOTE = "note"
"""Code of words that bar a name, and not an address."""
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
    texts = [rows.column(field.name).combine_chunks() for field in fields if field.screening == "place"]
    place = rows.schema.get_field_index(LANDMARK)
    found = pc.coalesce(*texts)
    return rows.set_column(place, LANDMARK, found) if place >= 0 else rows.append_column(LANDMARK, found)


def _screened(
    standard: Standard,
    rows: pa.Table,
    row_no: npt.NDArray[np.int64],
    log: FindingLog,
    columns: Mapping[str, str],
    names: Mapping[str, str],
) -> pa.Table:
    """Screen the column of each field; `names` has what each is called in a finding."""
    table, words = standard.table(log.dataset), Words(standard)
    patterns = {person.name: person.value_pattern for person in standard.header.withheld if person.value_pattern}
    for name, column in columns.items():
        field, place = table.field(name), rows.schema.get_field_index(column)
        values = rows.column(place).combine_chunks()
        text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
        if not text or values.null_count == len(values):
            continue
        said = names.get(name, field.title)
        if field.screening == "place":
            values = _only_places(words, patterns, values, said, log)
        else:
            values = _without_persons(words, patterns, field, values, row_no, said, log)
        rows = rows.set_column(place, column, values)
    return rows


def quotable(standard: Standard, texts: pa.Array) -> Flags:
    """Which addresses that nobody could read may be quoted: they have a digit or a word that only streets have, and
    nothing in them looks like a person's."""
    encoded = texts.dictionary_encode()
    words, streets = Words(standard), StreetWords(standard)
    distinct = encoded.dictionary.to_pylist()
    personal = _look_like(
        filter(None, (person.value_pattern for person in standard.header.withheld)), encoded.dictionary
    )
    fine = [
        not person and words.tell_of_streets(text, streets) for text, person in zip(distinct, personal, strict=True)
    ]
    found: Flags = pa.array(fine, pa.bool_()).take(encoded.indices).to_numpy(zero_copy_only=False)
    return found


class Words:
    """The words of places, of what bars one, and of parts of a building, ready to be looked up."""

    def __init__(self, standard: Standard) -> None:
        lists = standard.code_lists
        self._places, self._bars = _phrases(lists["landmark_word"]), _phrases(lists["landmark_bar"])
        self._most = max(map(len, [*self._places, *self._bars]))
        self._within = {word for name in _SUBADDRESS for text in lists[name].lookup() for word in _long_words(text)}
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

    def tell_of_streets(self, text: str, streets: StreetWords) -> bool:
        """Whether a text has a digit or a street's type, and no word that a person, a home or a refuge goes by.

        A type behind another word is no title: Oak Dr is a street, Dr Oak is not.
        """
        words = _words(text)
        roads = [place > 0 and streets.is_road(word.upper()) for place, word in enumerate(words)]
        bars = _read(words, self._bars, self._most)
        barred = any(code not in (None, _NOTE) and not road for code, road in zip(bars, roads, strict=True))
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
    if field.screening == "subaddress":
        person |= _each(texts, lambda text: not words.name_subaddress(text))
    if not person.any():
        return values
    log.add_each(
        "PERSON_IN_VALUE", row_no[np.isin(indices, np.flatnonzero(person))].tolist(), lambda _: {}, column=column
    )
    return pc.if_else(pa.array(person), pa.scalar(None, texts.type), texts).take(encoded.indices)


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
