"""Parts as a town gave them → the standard's words and columns: numbers with more to them, units in one piece, streets
whose words stand elsewhere than they should.

Whole columns at once, each distinct value read once. What is not read with confidence stays as it was given. Addresses
in one piece are taken apart in `parsing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from addresses.address_line import CONFIDENCE, read_number
from addresses.columns import Flags, any_filled, filled
from addresses.parsing import STREET, Parsed, joined, parse_streets
from addresses.street_words import StreetWords, cased, street_words
from addresses.unit_words import UnitWords
from statewide.conform import listed, with_column
from statewide.standard import Standard

_NUMBER = ("addnum_pre", "add_number", "addnum_suf")
_UNIT = ("structure", "floor", "room", "unitpretyp", "unitvalue")
_CASED = ("st_premod", "st_name", "st_posmod")
_NO_STREET = ("add_number", "unit", "structure", "floor", "room", "a4", "post_comm", "post_code")
"""What a street in one piece has not; a text with one of these was no street, or was read wrongly."""
_OF = r"(?i)^([\pL.]+ )?of( the)?( |$)"
"""A name that is part of Avenue of the Pines."""
_OF_FIRST = r"(?i)^of "


def in_listed_words(standard: Standard, table: pa.Table) -> pa.Table:
    """The table with the words of coded columns, of units, and behind a street's type as their lists have them."""
    lists = {field.name: field.codes for field in standard.table("address_point").town_fields if field.codes}
    for name, code_list in (lists | {"st_posmod": "street_type"}).items():
        words = listed(standard.code_lists[code_list], table.column(name).combine_chunks())
        table = with_column(table, name, words)
    units = UnitWords(standard)
    words = _each(table.column("unitpretyp"), lambda word: units.code(word.strip(" .").upper()) or word)
    return with_column(table, "unitpretyp", words)


def with_numbers(table: pa.Table) -> pa.Table:
    """The table with whole house numbers (12A, 12 1/2, 12-14) taken apart where the town gave no number beside them."""
    whole = _where(table.column("addnum_cmp"), ~filled(table, "add_number"))
    return _with_parts(table, _NUMBER, whole, read_number)


def with_units(standard: Standard, table: pa.Table) -> pa.Table:
    """The table with units in one piece (APT B, #2, B) split into word and value; `unit` itself stays as given."""
    units = UnitWords(standard)
    whole = _where(table.column("unit"), ~filled(table, "unitvalue"))
    return _with_parts(table, _UNIT, whole, units.read)


def streets_again(standard: Standard, table: pa.Table) -> tuple[Parsed, Flags]:
    """Streets whose parts are not what their columns ask for, put together and taken apart anew, and where that holds.

    Asked for are words that no list has (RD EXT as a type), a type that the name has once more, and what belongs to
    Avenue of the Pines.
    """
    words, law = street_words(standard), standard.table("address_point")
    column = {name: table.column(name).combine_chunks() for name in STREET}
    unlisted = {}
    for name, values in column.items():
        if codes := law.field(name).codes:
            known = pa.array([code.code for code in standard.code_lists[codes].codes])
            unlisted[name] = filled(table, name) & ~_true(pc.is_in(values, value_set=known))
    name = column["st_name"]
    repeated = {part: _true(pc.equal(column[part], _type_in(words, name, part))) for part in ("st_pretyp", "st_postyp")}
    of = _true(pc.match_substring_regex(name, _OF)) & any_filled(table, ("st_pretyp", "st_postyp"))
    turned = of & _true(pc.match_substring_regex(name, _OF_FIRST)) & ~filled(table, "st_pretyp")
    first = _where(column["st_postyp"], turned)
    column |= {part: _where(column[part], ~again) for part, again in repeated.items()}
    column["st_postyp"] = _where(column["st_postyp"], ~turned)
    column["st_pretyp"] = pc.coalesce(column["st_pretyp"], first)
    asked = filled(table, "st_name") & np.any([*unlisted.values(), *repeated.values(), of], axis=0)
    if not asked.any():
        return parse_streets(standard, pa.nulls(len(table), pa.string())), asked
    again = parse_streets(standard, _where(joined(*column.values()), asked))
    sure = pc.greater_equal(again.confidence, pa.scalar(CONFIDENCE["land"], pa.float32()))
    longer = _true(pc.greater(_words_in(again.parts.column("st_name")), _words_in(table.column("st_name"))))
    holds = asked & ~again.held & _true(sure) & filled(again.parts, "st_name") & ~any_filled(again.parts, _NO_STREET)
    # A word that no list has may have gone into the name: right of a type (HILL RD), doubtful of a direction.
    return again, holds & (~longer | unlisted["st_postyp"]) & _differ(again.parts, table)


def with_cased_names(table: pa.Table) -> pa.Table:
    """The table with the names of streets that came all in capitals, or in small letters, as names are written."""
    for name in _CASED:
        table = with_column(table, name, _each(table.column(name), lambda text: cased(text.split())))
    return table


def _type_in(words: StreetWords, names: pa.Array, part: str) -> pa.Array:
    """The type that stands in each name of several words."""

    def read(name: str) -> str | None:
        street = words.read(name.split())
        return None if street is None else street._asdict()[part]

    return _each(names, read)


def _differ(parts: pa.Table, table: pa.Table) -> Flags:
    """Whether a part of the street is another one, capitals aside."""
    found = [
        pc.not_equal(*(pc.utf8_lower(pc.fill_null(each.column(name), "")) for each in (parts, table)))
        for name in STREET
    ]
    return np.any([_true(each) for each in found], axis=0)


def _with_parts(
    table: pa.Table,
    names: Sequence[str],
    texts: pa.Array,
    read: Callable[[str], Mapping[str, str | int]],
) -> pa.Table:
    """The table with the parts that are read in each distinct text, where their columns are empty."""
    encoded = texts.dictionary_encode()
    found = [read(text) for text in encoded.dictionary.to_pylist()]
    for name in names:
        old = table.column(name).combine_chunks()
        new = pa.array([parts.get(name) for parts in found], old.type).take(encoded.indices)
        table = with_column(table, name, pc.coalesce(old, new))
    return table


def _each(values: pa.Array | pa.ChunkedArray, read: Callable[[str], str | None]) -> pa.Array:
    """What is read in each distinct text."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    encoded = whole.dictionary_encode()
    return pa.array([read(text) for text in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)


def _where(values: pa.Array | pa.ChunkedArray, chosen: Flags) -> pa.Array:
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return pc.if_else(pa.array(chosen), whole, pa.scalar(None, whole.type))


def _words_in(names: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.list_value_length(pc.utf8_split_whitespace(names))


def _true(answers: pa.Array | pa.ChunkedArray) -> Flags:
    whole = answers.combine_chunks() if isinstance(answers, pa.ChunkedArray) else answers
    found: Flags = pc.fill_null(whole, False).to_numpy(zero_copy_only=False)
    return found
