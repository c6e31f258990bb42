"""Delivered values → the types, codes and limits of the standard; what does not fit becomes a finding.

Work is done once per distinct value: a column is dictionary-encoded, its distinct values are read in Python, and the
result is spread over the rows by take(). Nothing is cut short or guessed: a value that does not fit is left empty and
reported with the value as given. Only a leading zero that a table of numbers dropped is put back, and counted.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from statewide.crosswalk import Crosswalk
from statewide.findings import FindingLog, plain_count, unless_a_name
from statewide.standard import CodeList, Standard, StandardField, Table

ARROW_TYPES = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "boolean": pa.bool_(),
}
_UNKNOWN_YEARS = {1899, 1900, 8888}
"""Years that stand for "unknown" in exported dates (Esri's zero date, FEMA's 8/8/8888)."""
_NUMBER = re.compile(r"\$?[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
"""A comma stands between thousands or not at all: what "1,5" means is not ours to guess."""
_SHORT_NUMBER = r"^[+-]?[0-9]{1,9}(\.[0-9]{0,6})?$"
"""A number as most are written; others are looked at one by one."""
_LARGE = 2.0**31
"""The database keeps whole numbers below this."""
_DAY = re.compile(
    r"((\d{1,2})/(\d{1,2})/(\d{4})|(\d{4})([-/])(\d{1,2})\6(\d{1,2})|(\d{4})(\d\d)(\d\d))"
    r"([T ][\d:.+ -]*([AP]M|Z)?)?",
    re.ASCII | re.IGNORECASE,
)
_MILLISECONDS = 1e10
"""Esri's GeoJSON writes dates as milliseconds since 1970; a smaller number is a day like 20240125, or no date."""
_PROTECTED = "suppression_flag"
_FIXED_DIGITS = re.compile(r"\^\\d\{(\d+)\}\$")
"""A pattern of the law that is a fixed number of digits and nothing else."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def conform(table: Table, crosswalk: Crosswalk, rows: pa.Table, log: FindingLog) -> pa.Table:
    """The delivered rows under the standard's names and types, `row_no` first.

    Fields that no column fills are present and empty, so that later steps need not ask.
    """
    row_no = rows.column("row_no").combine_chunks()
    columns: dict[str, pa.Array] = {"row_no": row_no}
    for field in table.town_fields:
        delivered = crosswalk.mapping.get(field.name)
        if delivered is None:
            columns[field.name] = pa.nulls(len(rows), ARROW_TYPES[field.type])
        else:
            columns[field.name] = _column(field, delivered, rows.column(delivered), row_no, log)
    for field in table.town_fields:
        if field.overflow and (delivered := crosswalk.mapping.get(field.name)):
            beyond = pc.if_else(pc.is_null(columns[field.name]), _overflow(field, rows.column(delivered)), None)
            columns[field.overflow.field] = pc.coalesce(columns[field.overflow.field], beyond)
    return pa.table(columns)


def classify(code_list: str, delivered_field: str, values: pa.Array, log: FindingLog) -> pa.Array:
    """Codes of a delivered vocabulary; `unknown` for an empty value or a word that the list does not have.

    Each unknown word is one finding with the number of its rows.
    """
    lookup = log.standard.code_lists[code_list].lookup()
    encoded = values.dictionary_encode()
    counts = np.bincount(encoded.indices.drop_null().to_numpy(zero_copy_only=False), minlength=len(encoded.dictionary))
    codes = []
    for word, rows in zip(encoded.dictionary.to_pylist(), counts.tolist(), strict=True):
        code = lookup.get(word.casefold().strip())
        if code is None:
            counted = plain_count(rows, "row")
            log.add("CODE_UNKNOWN", column=delivered_field, value=word, field=delivered_field, rows=counted)
        codes.append(code or "unknown")
    taken = pa.array(codes, pa.string()).take(encoded.indices)
    return pc.fill_null(taken, "unknown")


def protection_codes(source: pa.Table, crosswalk: Crosswalk, standard: Standard) -> dict[str, pa.Array]:
    """For each delivered column that says who is protected its codes of `suppression_flag`.

    A word that the list has not is "?", an empty cell has no code.
    """
    flag = next(person for person in standard.header.withheld if person.name == _PROTECTED)
    lookup = standard.code_lists[_PROTECTED].lookup()

    def code(value: Any) -> str | None:
        text = "" if value is None else str(value).strip().casefold().removesuffix(".0")
        return lookup.get(text, "?") if text else None

    found = {}
    for column, reason in crosswalk.withheld.items():
        if reason == flag.title:
            encoded = source.column(column).combine_chunks().dictionary_encode()
            codes = pa.array([code(value) for value in encoded.dictionary.to_pylist()], pa.string())
            found[column] = codes.take(encoded.indices)
    return found


def with_column(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The table with that column, in its place where it has one."""
    place = table.schema.get_field_index(name)
    return table.set_column(place, name, values) if place >= 0 else table.append_column(name, values)


def listed(code_list: CodeList, values: pa.Array) -> pa.Array:
    """Words that the list knows as their codes; other words stay as they are."""
    lookup = code_list.lookup()
    encoded = values.dictionary_encode()
    words = [lookup.get(word.casefold().strip(), word) for word in encoded.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(encoded.indices)


def _column(
    field: StandardField, delivered: str, values: pa.ChunkedArray, row_no: pa.Array, log: FindingLog
) -> pa.Array:
    encoded = values.combine_chunks().dictionary_encode()
    given = _without_protection(delivered, encoded, log)
    if pa.types.is_string(given.type):  # a Mac may write é as two signs
        given = pc.utf8_normalize(given, "NFC")
    nothing = set(log.standard.header.null_spellings)
    plain = _plain(field, given, nothing)
    results = _kept(field, given, plain)
    troubles: dict[int, str] = {}
    placeholders: dict[int, str] = {}
    restored: list[int] = []
    if not plain.all():
        parse, read = _PARSERS[field.type], results.to_pylist()
        odd = np.flatnonzero(~plain)
        for index, value in zip(odd.tolist(), given.take(pa.array(odd)).to_pylist(), strict=True):
            text = _CONTROL.sub(" ", value).strip() if isinstance(value, str) else value
            if text is None or text == "":
                continue
            if isinstance(text, str) and text.casefold() in nothing:
                placeholders[index] = text
                continue
            read[index], trouble = _fitted(field, text, parse)
            if trouble and (whole := _with_zero(field, text)):
                read[index] = whole
                restored.append(index)
            elif trouble and not _overflows(field, text):
                troubles[index] = trouble
        results = pa.array(read, ARROW_TYPES[field.type])
    indices = encoded.indices
    if troubles or placeholders or restored:
        places = (
            indices.to_numpy(zero_copy_only=False) if not indices.null_count else pc.fill_null(indices, -1).to_numpy()
        )
        shown = given.to_pylist()
        for index, word in placeholders.items():
            rows = int((places == index).sum())
            log.add("PLACEHOLDER_TEXT", column=delivered, value=word, field=field.title, rows=plain_count(rows, "row"))
        if restored:
            said = plain_count(int(np.isin(places, restored).sum()), "row")
            log.add("ZERO_RESTORED", column=delivered, value=shown[restored[0]], field=field.title, rows=said)
        troubled = np.flatnonzero(np.isin(places, list(troubles)))
        # In a shifted row a person's name may stand in any column.
        screened = any(each.screening for each in log.standard.table(log.dataset).fields)

        def words(at: int) -> dict[str, Any]:
            index = int(places[troubled[at]])
            value = unless_a_name(shown[index]) if screened else shown[index]
            said = {"value": value, "field": field.title, "why": troubles[index]}
            return {**said, "expected": _expected(field)}

        log.add_each("VALUE_INVALID", row_no.take(pa.array(troubled)).to_pylist(), words, column=delivered)
    return results.take(indices)


def _with_zero(field: StandardField, value: Any) -> str | None:
    """The value with the one zero in front that it lacks; None where the field asks for anything else."""
    digits = _FIXED_DIGITS.fullmatch(field.pattern or "")
    if digits is None or isinstance(value, bytes):
        return None
    whole = f"0{_text(value)}"
    return whole if whole.isascii() and whole.isdigit() and len(whole) == int(digits[1]) else None


def _overflows(field: StandardField, value: Any) -> bool:
    return field.overflow is not None and re.search(field.overflow.pattern, str(value)) is not None


def _overflow(field: StandardField, values: pa.ChunkedArray) -> pa.Array:
    """The values that would go into the other field, as given."""
    encoded = values.combine_chunks().dictionary_encode()
    texts = [_CONTROL.sub(" ", str(value)).strip() for value in encoded.dictionary.to_pylist()]
    return pa.array([text if _overflows(field, text) else None for text in texts], pa.string()).take(encoded.indices)


def _without_protection(delivered: str, encoded: pa.DictionaryArray, log: FindingLog) -> pa.Array:
    """The distinct values; one that says of its rows that they are protected is empty, counted and never quoted."""
    given = encoded.dictionary
    if not pa.types.is_string(given.type):
        return given
    pattern = next(person.value_pattern for person in log.standard.header.withheld if person.name == _PROTECTED)
    tells = pc.match_substring_regex(given, pattern)
    if not pc.any(tells).as_py():
        return given
    rows = int(pc.sum(tells.take(encoded.indices)).as_py())
    log.add("PROTECTION_SHOWS", column=delivered, rows=plain_count(rows, "row"))
    return pc.if_else(tells, "", given)


def _plain(field: StandardField, values: pa.Array, nothing: set[str]) -> npt.NDArray[np.bool_]:
    """Which values need no second look: text that is clean and fits, numbers within their limits.

    Told for the whole column at once; the others are read one by one.
    """
    kind = values.type
    text = pa.types.is_string(kind)
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    odd = np.zeros(len(values), dtype=bool)
    if field.type == "text" and text and field.pattern is None:
        tests = [
            pc.not_equal(pc.utf8_trim_whitespace(values), values),
            pc.match_substring_regex(values, _CONTROL.pattern),
            pc.is_in(pc.utf8_lower(values), value_set=pa.array([*nothing, "", *map(str, field.unknown_values)])),
        ]
        if field.max_length is not None:
            tests.append(pc.greater(pc.utf8_length(values), field.max_length))
        for test in tests:
            odd |= test.to_numpy(zero_copy_only=False)
    elif field.type in ("number", "integer") and (text or numeric):
        if text:
            odd |= ~pc.match_substring_regex(values, _SHORT_NUMBER).to_numpy(zero_copy_only=False)
            values = pc.if_else(pa.array(odd), "0", values)
        numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        odd |= ~np.isfinite(numbers) | (np.abs(numbers) >= _LARGE) | np.isin(numbers, list(field.unknown_values))
        if field.type == "integer":
            odd |= numbers != np.floor(numbers)
        if field.minimum is not None:
            odd |= numbers < field.minimum
        if field.maximum is not None:
            odd |= numbers > field.maximum
    else:
        odd[:] = True
    return ~odd


def _kept(field: StandardField, values: pa.Array, plain: npt.NDArray[np.bool_]) -> pa.Array:
    """The plain values in the field's type, the others empty."""
    masked = pc.if_else(pa.array(plain), values, pa.scalar(None, values.type))
    if not plain.any():
        return pa.nulls(len(values), ARROW_TYPES[field.type])
    if field.type == "integer":
        masked = masked.cast(pa.float64(), safe=False)
    return masked.cast(ARROW_TYPES[field.type], safe=False)


def _fitted(field: StandardField, value: Any, parse: Callable[[Any], Any]) -> tuple[Any, str | None]:
    """The value as the field's type and nothing wrong, or nothing and what is wrong."""
    try:
        result = parse(value)
    except (ValueError, OverflowError):
        return None, f"not {_KINDS[field.type]}"
    if result is None or result in field.unknown_values:
        return None, None
    if field.minimum is not None and result < field.minimum:
        return None, f"less than {field.minimum:g}"
    if field.maximum is not None and result > field.maximum:
        return None, f"more than {field.maximum:g}"
    if field.type == "integer" and abs(result) >= _LARGE:
        return None, "more than a whole number can be"
    if field.max_length is not None and isinstance(result, str) and len(result) > field.max_length:
        return None, f"longer than {field.max_length} characters"
    if field.pattern is not None and isinstance(result, str) and not re.search(field.pattern, result):
        return None, "not of the expected form"
    return result, None


def _expected(field: StandardField) -> str:
    example = f", for example {field.examples[0]}" if field.examples else ""
    return f"Give {_KINDS[field.type]}{example}."


def _text(value: Any) -> str | None:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # an identifier that travelled as a number
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return str(value)


def _integer(value: Any) -> int | None:
    number = _number(value)
    if number is not None and (not number.is_integer() or abs(number) > 2**53):
        raise ValueError  # beyond, a double skips whole numbers
    return None if number is None else int(number)


def _number(value: Any) -> float | None:
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError
    number = float(str(value).replace(",", "").removeprefix("$"))
    if number in (float("inf"), float("-inf")):
        raise ValueError
    return None if number != number else number


def _date(value: Any) -> dt.date | None:
    if isinstance(value, dt.datetime):
        day = value.date()
    elif isinstance(value, dt.date):
        day = value
    elif value != value:
        return None
    elif isinstance(value, int | float) and abs(value) >= _MILLISECONDS:
        day = (dt.datetime(1970, 1, 1) + dt.timedelta(milliseconds=float(value))).date()
    else:
        day = _date_from_text(_text(value) or "")
    return None if day.year in _UNKNOWN_YEARS else day


def _date_from_text(text: str) -> dt.date:
    """Reads ``1/25/2024``, ``01/25/2024 12:00:00 AM``, ``2024-01-25``, ``2024/01/25 00:00:00+00``, ``20240125``."""
    found = _DAY.fullmatch(text)
    if not found:
        raise ValueError(text)
    month, day, year = (
        found.group(2, 3, 4) if found[2] else found.group(7, 8, 5) if found[5] else found.group(10, 11, 9)
    )
    return dt.date(int(year), int(month), int(day))


def _boolean(value: Any) -> bool:
    word = str(value).casefold()
    if word in ("t", "true", "y", "yes", "1"):
        return True
    if word in ("f", "false", "n", "no", "0"):
        return False
    raise ValueError


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "integer": _integer,
    "number": _number,
    "date": _date,
    "boolean": _boolean,
}
_KINDS = {"text": "text", "integer": "a whole number", "number": "a number", "date": "a date", "boolean": "yes or no"}
