"""Addresses in one piece → NENA's parts, whole columns at once; and parts → the line that people read.

A column is read once per distinct value. Of the plain ones (number, street, perhaps a unit) number and unit are split
off in Arrow and each distinct street is read once; every other value goes through `address_line` by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from addresses.address_line import CONFIDENCE, NOT_HELD, REASONS, Line, LineReader
from addresses.street_words import Street
from statewide.standard import Standard

_TEXT_PARTS = (
    "addnum_pre", "addnum_suf", "addnum_cmp", "st_premod", "st_predir", "st_pretyp", "st_presep", "st_name",
    "st_postyp", "st_posdir", "st_posmod", "structure", "floor", "room", "unitpretyp", "unitvalue", "unit", "a4",
    "post_comm", "post_code", "postcodeex",
)  # fmt: skip
_SCHEMA = pa.schema(
    [
        ("add_number", pa.int32()),
        *((name, pa.string()) for name in _TEXT_PARTS),
        ("reason", pa.string()),
        ("confidence", pa.float32()),
    ]
)
STREET = Street._fields[:-1]
"""The parts of a street's name, in the order in which they are said."""
_PLAIN = (
    r"^(?P<number>0*[1-9][0-9]{0,5})(?P<suffix>[A-Za-z]?) (?P<street>[A-Za-z][A-Za-z0-9' ]*?)\.?"
    r"(?:,? ?(?P<word>#|(?:[Uu][Nn][Ii][Tt]|[Aa][Pp][Tt]\.?|[Ss][Tt][Ee]\.?) #?) ?"
    r"(?P<value>[A-Za-z]?-?[0-9]{1,5}[A-Za-z]?|[A-Za-z]))?$"
)
_RANGE = r"[0-9].*[-+,/&].*[0-9]|(?i: TO | THRU | AND )"
_FRACTION = r"^\S*[ -][0-9]/[0-9]$"
_LONE_UNIT = r"^#? ?([A-Za-z]{0,2}-?[0-9]+[A-Za-z]?|[A-Za-z])$"


@dataclass(frozen=True)
class Parsed:
    """One row per text. `reason` is a key of `address_line.REASONS`, `why` its words; both are empty where all is well.

    What is `held` could not be read with confidence, and its parts are a guess. A missing house number holds nothing.
    """

    parts: pa.Table
    confidence: pa.Array
    reason: pa.Array
    why: pa.Array
    held: npt.NDArray[np.bool_]


def parse_addresses(standard: Standard, texts: pa.Array | pa.ChunkedArray, villages: Iterable[str] = ()) -> Parsed:
    """Take whole addresses apart. `villages` are the town's places that may stand at the end (Mystic)."""
    return _parsed(standard, villages, texts, numbered=True)


def parse_streets(standard: Standard, texts: pa.Array | pa.ChunkedArray, villages: Iterable[str] = ()) -> Parsed:
    """Take streets in one piece apart; what starts with a number is a name (4 Mile River Road)."""
    return _parsed(standard, villages, texts, numbered=False)


def label(parts: pa.Table, *, within: bool = False) -> pa.Array:
    """Number, street and unit in one line, as `36 Blinman Street Unit 1`; empty where there is no street.

    Args:
        within: with the building and the floor before the unit.
    """
    column = {name: parts.column(name).combine_chunks() for name in parts.column_names}
    name = column["st_name"]
    street = [column[part] for part in STREET]
    inside = [_named(column["structure"], "Building"), _named(column["floor"], "Floor")] if within else []
    line = joined(house_number(column), *street, *inside, _unit(column))
    return pc.if_else(pc.is_valid(name), line, pa.scalar(None, pa.string()))


def normalized(labels: pa.Array) -> pa.Array:
    """The same line in capitals, without accents and punctuation but for the marks between numbers (12-14, 1/2)."""
    text = pc.utf8_upper(pc.utf8_normalize(labels, "NFKD"))
    text = pc.replace_substring_regex(text, r"['’.\x{0300}-\x{036f}]", "")
    text = pc.replace_substring_regex(text, r"([0-9][A-Z]?) ?([-+,/&]) ?([0-9])", r"\1\2\3")
    text = pc.replace_substring_regex(text, r"([^0-9A-Z])[-+/&]|[-+/&]([^0-9])|[^0-9A-Z+/& -]", r"\1 \2")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(text, r" {2,}", " "))


def _parsed(standard: Standard, villages: Iterable[str], texts: pa.Array | pa.ChunkedArray, numbered: bool) -> Parsed:
    reader = LineReader(standard, tuple(villages))
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    encoded = whole.cast(pa.string()).dictionary_encode()
    # An empty column that went into the line with the others; without brackets it may be a name.
    nothing = "|".join(text for text in standard.header.null_spellings if text.startswith("<"))
    distinct = pc.replace_substring_regex(encoded.dictionary, f"(?i){nothing}", " ") if nothing else encoded.dictionary
    distinct = pc.utf8_trim_whitespace(pc.replace_substring_regex(distinct, r"\s+", " "))
    plain, plain_rows = _plain(reader, distinct) if numbered else (np.zeros(0, dtype=np.int64), _SCHEMA.empty_table())
    other = np.setdiff1d(np.arange(len(distinct)), plain, assume_unique=True)
    lines = [reader.read(text, numbered) for text in distinct.take(pa.array(other)).to_pylist()]
    lines.append(Line())  # of a null
    other_rows = [{**line.parts, "reason": line.reason, "confidence": line.confidence} for line in lines]
    rows = pa.concat_tables([plain_rows, pa.Table.from_pylist(other_rows, _SCHEMA)]).combine_chunks()
    place = np.empty(len(distinct) + 1, dtype=np.int64)
    place[np.concatenate([plain, other, [len(distinct)]])] = np.arange(len(distinct) + 1)
    indices = pc.fill_null(encoded.indices, len(distinct)).to_numpy(zero_copy_only=False)
    found = _with_known_streets(rows).take(pa.array(place[indices])).combine_chunks()
    reason = found.column("reason").combine_chunks()
    spoken = reason.dictionary_encode()
    why = pa.array([REASONS[code] for code in spoken.dictionary.to_pylist()], pa.string()).take(spoken.indices)
    held = pc.and_(pc.is_valid(reason), pc.invert(pc.is_in(reason, value_set=pa.array(sorted(NOT_HELD)))))
    confidence = found.column("confidence").combine_chunks()
    parts = found.drop_columns(["reason", "confidence"])
    return Parsed(parts, confidence, reason, why, held.to_numpy(zero_copy_only=False))


def _plain(reader: LineReader, distinct: pa.Array) -> tuple[npt.NDArray[np.int64], pa.Table]:
    """The places of the plain addresses, and their rows."""
    split = pc.extract_regex(distinct, _PLAIN)
    streets = pc.struct_field(split, "street").dictionary_encode()
    read = [reader.plain_street(text) for text in streets.dictionary.to_pylist()]
    certain = pa.array([street is not None for street in read], pa.bool_()).take(streets.indices)
    chosen = np.flatnonzero(pc.fill_null(certain, False).to_numpy(zero_copy_only=False))
    split, at = split.take(pa.array(chosen)), streets.indices.take(pa.array(chosen))
    number, suffix, value = (pc.struct_field(split, name) for name in ("number", "suffix", "value"))
    suffix, value = (pc.if_else(pc.equal(each, ""), pa.scalar(None, pa.string()), each) for each in (suffix, value))
    suffix, value = pc.utf8_upper(suffix), pc.utf8_upper(value)
    words = pc.struct_field(split, "word").dictionary_encode()
    codes = [reader.unit_code(word) for word in words.dictionary.to_pylist()]
    word = pa.array(codes, pa.string()).take(words.indices)
    rows = {name: pa.nulls(len(chosen), _SCHEMA.field(name).type) for name in _SCHEMA.names}
    for position, name in enumerate(STREET):
        rows[name] = pa.array([street[position] if street else None for street in read], pa.string()).take(at)
    confidence = [CONFIDENCE[street.kind] if street else None for street in read]
    rows |= {
        "add_number": number.cast(pa.int32()),
        "addnum_suf": suffix,
        "addnum_cmp": pc.binary_join_element_wise(number, pc.struct_field(split, "suffix"), ""),
        "unitpretyp": word,
        "unitvalue": value,
        "unit": pc.binary_join_element_wise(word, value, " "),
        "confidence": pa.array(confidence, pa.float32()).take(at),
    }
    return chosen.astype(np.int64), pa.table(rows, schema=_SCHEMA)


def _with_known_streets(rows: pa.Table) -> pa.Table:
    """A name without a number or a type is a street after all where other rows have numbers on it (Parkway South)."""
    reason = rows.column("reason").combine_chunks()
    doubtful = pc.fill_null(pc.equal(reason, "not_an_address"), False)
    if not pc.any(doubtful).as_py():
        return rows
    streets = pc.utf8_lower(joined(*(rows.column(name).combine_chunks() for name in STREET)))
    numbered = pc.and_(pc.is_valid(rows.column("add_number").combine_chunks()), pc.is_null(reason))
    known = pc.and_(doubtful, pc.is_in(streets, value_set=streets.filter(numbered).unique()))
    reason = pc.if_else(known, "no_number", reason)
    return rows.set_column(rows.schema.get_field_index("reason"), "reason", reason)


def house_number(column: dict[str, pa.Array]) -> pa.Array:
    """The house number as it is said: 12A, 12 1/2; a range as it was delivered, without zeros in front."""
    suffix = column["addnum_suf"]
    spaced = pc.if_else(
        pc.match_substring_regex(suffix, "^[A-Za-z]{1,2}$"), suffix, pc.binary_join_element_wise("", suffix, " ")
    )
    one = joined(column["addnum_pre"], column["add_number"].cast(pa.string()), spaced, between="")
    whole = column["addnum_cmp"]
    many = pc.and_(pc.match_substring_regex(whole, _RANGE), pc.invert(pc.match_substring_regex(whole, _FRACTION)))
    whole = pc.replace_substring_regex(whole, r"\b0+([1-9])", r"\1")
    whole = pc.replace_substring_regex(whole, r" ?([-+,/&]) ?", r"\1")
    whole = pc.replace_substring_regex(whole, r"\.5\b", " 1/2")
    return pc.if_else(pc.fill_null(many, False), whole, one)


def _unit(column: dict[str, pa.Array]) -> pa.Array:
    """The unit with its word; a bare number or letter is a Unit."""
    apart = joined(column["unitpretyp"], column["unitvalue"])
    unit = pc.if_else(pc.and_(pc.is_valid(column["unitpretyp"]), pc.not_equal(apart, "")), apart, column["unit"])
    unit = pc.coalesce(unit, column["unitvalue"])
    return _named(unit, "Unit")


def _named(values: pa.Array, word: str) -> pa.Array:
    """The values, bare numbers and letters with the word before them."""
    return pc.replace_substring_regex(values, _LONE_UNIT, rf"{word} \1")


def joined(*texts: pa.Array, between: str = " ") -> pa.Array:
    """The texts in one, the empty ones left out; empty text where there is none.

    Arrow's own `skip` drops rows in which nothing is left (seen in 26.0), hence the one column that always has text.
    """
    nothing = pa.repeat(pa.scalar(""), len(texts[0]))
    line = pc.binary_join_element_wise(nothing, *texts, between, null_handling="skip")
    return pc.utf8_ltrim_whitespace(line)
