"""A town's use code and words → one statewide class, with how sure that is and why.

The town's reviewed codebook (``use_codes/<town>.yml``) comes first, then the code in the town's dialect and the words
of its description together. What nobody has yet said is `unmapped`, and reported with its value. The dialects, the
words and the classes stand in ``schemas/codes``; a code is never compared between towns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from statewide.crosswalk import read_town_file
from statewide.errors import LawError
from statewide.standard import CodeList, Standard

UNMAPPED = "unmapped"
CODEBOOKS = Path(__file__).parent / "use_codes"

# Confidence. `fit` is the share of the town's rows with both a readable code and telling words in which the two agree.
_REVIEWED = 1.0
_BOTH = 0.95
_WORDS = 0.7
_WORDS_AGAINST_CODE = 0.55
_CODE = 0.75
"""Times `fit`."""
_FIT_WITHOUT_WORDS = 0.8
_BUILDING_AGAINST = 0.25
"""Taken off: land called vacant of which most has a building, or a built use of which next to none has one."""
_MAPPED_MIN = 0.4
"""Less sure than this is not mapped."""
_BUILT = ("residential", "condominium", "apartments", "commercial", "industrial")
_DIALECTS = "use_dialect_"


@dataclass(frozen=True)
class UseCode:
    """One code with its description as a town writes them: its rows, what they were taken for and why, their value."""

    code: str | None
    description: str | None
    rows: int
    use_class: str
    confidence: float
    why: str
    value_usd: float | None


class CodebookEntry(BaseModel):
    """What a person has said of a code; with a description, of that one only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    use_class: str
    description: str | None = None
    note: str | None = None


class Codebook(BaseModel):
    """A town's reviewed file: the dialect that its codes follow, and codes that mean something else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dialect: str | None = None
    codes: tuple[CodebookEntry, ...] = ()


@dataclass(frozen=True)
class _Reading:
    """A class, how sure, and why."""

    use_class: str
    confidence: float
    why: str


def classify_uses(
    codes: pa.Array,
    descriptions: pa.Array | None,
    value_usd: pa.Array | None,
    town: str,
    standard: Standard,
    *,
    building_usd: pa.Array | None = None,
    codebooks: Path = CODEBOOKS,
) -> tuple[pa.Array, pa.Array, tuple[UseCode, ...]]:
    """The use class of each row, how sure it is (0 to 1; 0 where unmapped), and what became of each code.

    Confidence: reviewed 1; code and words agree 0.95; words alone 0.7; code alone 0.75 times the share of the town's
    rows in which its dialect and the words agree (0.8 where the town gives no words); words against the code 0.55, and
    the words hold. Less 0.25 where the values of buildings speak against the class. Under 0.4 it is unmapped.

    Args:
        codes, descriptions: as delivered.
        value_usd: summed per code in the report.
        town: the town's name, for its codebook.
        building_usd: value of the buildings; a row without any counts as land.

    Returns:
        Classes, confidences, and the report: unmapped codes first, each group by value, then by rows.

    Raises:
        LawError: the town's codebook has an unknown key, class or dialect.
    """
    codebook = read_codebook(codebooks / f"{town.casefold().replace(' ', '-')}.yml", standard)
    pairs, of_row = _pairs(codes, descriptions)
    rows = np.bincount(of_row, minlength=len(pairs))
    values = _sums(value_usd, of_row, len(pairs))
    built = None if building_usd is None else _sums(pc.greater(pc.fill_null(building_usd, 0), 0), of_row, len(pairs))
    built_shares = [None] * len(pairs) if built is None else (built / np.maximum(rows, 1)).tolist()
    spelt = [_spelt(code) for code, _ in pairs]
    said = _words_classes(standard.code_lists["use_words"], [description for _, description in pairs])
    dialect, fit = _dialect(standard, codebook, spelt, said, rows)
    readings = [
        _reading(codebook, code, description, dialect.get(key) if key else None, words, fit, share)
        for (code, description), key, words, share in zip(pairs, spelt, said, built_shares, strict=True)
    ]
    classes = pa.array([reading.use_class for reading in readings], pa.string())
    confidences = pa.array([reading.confidence for reading in readings], pa.float64())
    report = [
        UseCode(*pair, int(count), reading.use_class, reading.confidence, reading.why, value)
        for pair, count, reading, value in zip(
            pairs, rows, readings, [None] * len(pairs) if values is None else values.tolist(), strict=True
        )
    ]
    report.sort(key=lambda use: (use.use_class != UNMAPPED, -(use.value_usd or 0), -use.rows, use.code or ""))
    places = pa.array(of_row)
    return classes.take(places), confidences.take(places), tuple(report)


def read_codebook(path: Path, standard: Standard) -> Codebook:
    """A town's codebook; empty when it has none.

    Raises:
        LawError: it has an unknown key, class or dialect, or says two things of one code.
    """
    codebook, shown = read_town_file(path, Codebook)
    classes = {code.code for code in standard.code_lists["use_class"].codes}
    if unknown := {entry.use_class for entry in codebook.codes} - classes:
        raise LawError(f"{shown}: there is no use class {', '.join(sorted(unknown))}.")
    if codebook.dialect is not None and f"{_DIALECTS}{codebook.dialect}" not in standard.code_lists:
        raise LawError(f"{shown}: there is no dialect {codebook.dialect!r}.")
    keys = [(_spelt(entry.code), _plain_words(entry.description)) for entry in codebook.codes]
    if twice := {code for code, words in keys if keys.count((code, words)) > 1}:
        raise LawError(f"{shown}: says two things of code {', '.join(map(str, sorted(twice, key=str)))}.")
    return codebook


def _pairs(
    codes: pa.Array, descriptions: pa.Array | None
) -> tuple[list[tuple[str | None, str | None]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """The distinct pairs of code and description, and the place of each row's."""
    columns = [codes, pa.nulls(len(codes), pa.string()) if descriptions is None else descriptions]
    encoded = [column.cast(pa.string()).dictionary_encode("encode") for column in columns]
    (first, second), (words, more) = zip(
        *((item.indices, item.dictionary.to_pylist()) for item in encoded), strict=True
    )
    combined = first.to_numpy().astype(np.int64) * max(1, len(more)) + second.to_numpy()
    distinct, of_row = np.unique(combined, return_inverse=True)
    pairs = [(words[place // max(1, len(more))], more[place % max(1, len(more))]) for place in distinct.tolist()]
    return pairs, of_row


def _sums(
    values: pa.Array | None, of_row: np.ndarray[tuple[int], np.dtype[np.int64]], pairs: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    if values is None:
        return None
    numbers = pc.fill_null(values.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False)
    return np.bincount(of_row, weights=numbers, minlength=pairs)


def _spelt(code: str | None) -> str | None:
    """A code without blanks, decimals of a number, and zeros in front: `0101`, `101.0` and ` 101` are one."""
    if code is None:
        return None
    text = re.sub(r"^([0-9]+)\.0*$", r"\1", code.strip().upper())
    return (text.lstrip("0") if text.isdigit() else text) or None


def _plain_words(description: str | None) -> str:
    """Small letters and digits with single blanks, one at either end, so that whole words can be looked for."""
    return f" {' '.join(re.findall(r'[a-z0-9]+', (description or '').casefold()))} "


def _words_classes(words: CodeList, descriptions: Sequence[str | None]) -> list[str | None]:
    """The class that the words of each description tell, if any."""
    phrases = {_plain_words(phrase): code.code for code in words.codes for phrase in code.variants}
    ranks = words.ranks()
    classes = []
    for description in descriptions:
        text = _plain_words(description)
        found = [phrase for phrase in phrases if phrase in text]
        outer = [phrase for phrase in found if not any(phrase in other and phrase != other for other in found)]
        classes.append(max((phrases[phrase] for phrase in outer), key=ranks.__getitem__, default=None))
    return classes


def _read_codes(dialect: CodeList, codes: Sequence[str | None]) -> dict[str, str]:
    """Code → class, of the codes that the dialect can read; of the patterns that fit, the most definite holds."""
    patterns = sorted(
        ((pattern, code.code) for code in dialect.codes for pattern in code.variants),
        key=lambda item: item[0].count("?"),
    )
    compiled = [(re.compile(pattern.replace("?", "[0-9A-Z]")), use_class) for pattern, use_class in patterns]
    found = {}
    for code in {code for code in codes if code is not None}:
        use_class = next((use_class for pattern, use_class in compiled if pattern.fullmatch(code)), UNMAPPED)
        if use_class != UNMAPPED:
            found[code] = use_class
    return found


def _dialect(
    standard: Standard,
    codebook: Codebook,
    codes: Sequence[str | None],
    said: Sequence[str | None],
    rows: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> tuple[dict[str, str], float]:
    """What the town's codes mean in the dialect that its words speak for, and how far the two agree.

    Where the words say nothing, codes that the dialects read differently are left out.
    """
    wanted = [_DIALECTS + codebook.dialect] if codebook.dialect else sorted(standard.code_lists)
    dialects = [standard.code_lists[name] for name in wanted if name.startswith(_DIALECTS)]
    read = [_read_codes(dialect, codes) for dialect in dialects]
    tallies = []
    for meanings in read:
        both = [
            (meanings[code] == words, int(count))
            for code, words, count in zip(codes, said, rows, strict=True)
            if code in meanings and words is not None
        ]
        agreeing = sum(count for agrees, count in both if agrees)
        tallies.append((2 * agreeing - sum(count for _, count in both), agreeing, sum(count for _, count in both)))
    if not any(compared for _, _, compared in tallies):
        sure = {
            code: use_class
            for code, use_class in read[0].items()
            if all(meanings.get(code, use_class) == use_class for meanings in read)
        }
        for meanings in read[1:]:
            sure |= {code: use_class for code, use_class in meanings.items() if code not in read[0]}
        return sure, _FIT_WITHOUT_WORDS
    best = max(range(len(read)), key=lambda place: tallies[place])
    _, agreeing, compared = tallies[best]
    return read[best], agreeing / max(1, compared)


def _reading(
    codebook: Codebook,
    code: str | None,
    description: str | None,
    meaning: str | None,
    words: str | None,
    fit: float,
    built: float | None,
) -> _Reading:
    """One pair of code and description, with all that is known of it."""
    for entry in sorted(codebook.codes, key=lambda entry: entry.description is None):
        same = entry.description is None or _plain_words(entry.description) == _plain_words(description)
        if same and _spelt(entry.code) == _spelt(code):
            return _Reading(
                entry.use_class, _REVIEWED if entry.use_class != UNMAPPED else 0.0, entry.note or "reviewed"
            )
    if meaning is not None and words is not None:
        found = (
            _Reading(meaning, _BOTH, "code and words agree")
            if meaning == words
            else _Reading(words, _WORDS_AGAINST_CODE, f"by its words; the code would mean {meaning}")
        )
    elif words is not None:
        found = _Reading(words, _WORDS, f"by its words; {'the code is in no dialect' if _spelt(code) else 'no code'}")
    elif meaning is not None:
        found = _Reading(meaning, round(_CODE * fit, 3), "by its code; the words do not tell")
    else:
        why = (
            "no code and no words"
            if not _spelt(code) and not description
            else "in no dialect, and the words do not tell"
        )
        return _Reading(UNMAPPED, 0.0, why)
    if built is not None and (
        (found.use_class == "vacant_land" and built > 0.5) or (found.use_class in _BUILT and built < 0.1)
    ):
        most = "most have" if built > 0.5 else "hardly one has"
        why = f"{found.why}; {most} a building of value"
        found = _Reading(found.use_class, round(found.confidence - _BUILDING_AGAINST, 3), why)
    if found.confidence < _MAPPED_MIN:
        return _Reading(UNMAPPED, 0.0, f"perhaps {found.use_class}, {found.why}")
    return found
