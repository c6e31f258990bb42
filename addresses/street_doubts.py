"""Which streets that we took out of a text may be a person's name or a remark instead; such rows are held.

A street with a type is believed. One without is believed if the file has several numbers on it, or gives it in parts.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from addresses.columns import Flags, any_filled, numbered, street_names
from addresses.screening import NOTE, Words
from statewide.findings import FindingLog

_NO_STREET = r"[,;:]|\pL\S*\s+\d+[A-Za-z]?(\s|$)"
"""A comma, or a number behind a word (Lee Ann 1 Main), which is no ordinal."""
_TYPES = ("st_pretyp", "st_postyp")


def doubtful_streets(log: FindingLog, table: pa.Table, read: Flags) -> Flags:
    """Which rows have a street that may be none.

    Args:
        read: rows whose street we read in a text; those that the town gave in parts are believed.
    """
    words = Words(log.standard, log.town)
    names = table.column("st_name").combine_chunks().dictionary_encode()
    odd = _of_rows(names, pc.match_substring_regex(names.dictionary, _NO_STREET))
    barred = _of_rows(names, pa.array([bool(words.bars(name)) for name in names.dictionary.to_pylist()], pa.bool_()))
    types = table.column("st_postyp").combine_chunks().dictionary_encode()
    no_type = pa.array([bool(words.bars(each) - {NOTE}) for each in types.dictionary.to_pylist()], pa.bool_())
    bare = ~any_filled(table, _TYPES) | _of_rows(types, no_type)  # Lee Trailer may be somebody's
    doubtful = read & (odd | (bare & barred))
    streets, folded = street_names(table), _folded(table)
    sure = _with_numbers(log, table, streets, read & ~doubtful)
    known = _is_in(streets, sure) | _is_in(
        folded, pc.unique(folded.filter(pa.array(~read | (_is_in(streets, sure) & ~bare))))
    )
    return doubtful | (read & bare & ~known)


def known_streets(log: FindingLog, table: pa.Table) -> list[str]:
    """Names of streets on which the file has several numbers."""
    streets = street_names(table)
    found: list[str] = _with_numbers(log, table, streets, np.ones(len(table), dtype=bool)).to_pylist()
    return found


def _with_numbers(log: FindingLog, table: pa.Table, streets: pa.Array, counted: Flags) -> pa.Array:
    """Streets that stand on counted rows with several numbers."""
    names, numbers = numbered(streets), numbered(table.column("add_number"))
    asked = counted & (names >= 0) & (numbers >= 0)
    most = len(table) + 1
    pairs = np.unique(names[asked] * most + numbers[asked])
    name, count = np.unique(pairs // most, return_counts=True)
    several = name[count >= log.check("ADDRESS_UNREAD").limits["numbers_min"]]
    return pc.unique(streets.filter(pa.array(np.isin(names, several))))


def _folded(table: pa.Table) -> pa.Array:
    return pc.utf8_lower(table.column("st_name").combine_chunks())


def _is_in(texts: pa.Array, among: pa.Array) -> Flags:
    found: Flags = pc.and_(pc.is_valid(texts), pc.is_in(texts, value_set=among)).to_numpy(zero_copy_only=False)
    return found


def _of_rows(encoded: pa.DictionaryArray, answers: pa.Array) -> Flags:
    found: Flags = pc.fill_null(answers.take(encoded.indices), False).to_numpy(zero_copy_only=False)
    return found
