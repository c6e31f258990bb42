"""A town's columns → the standard's fields: proposed with scores, every column accounted for.

A column ends mapped, ignored by a rule of the law with its reason, withheld because it holds persons, or unmapped and
reported. The town's reviewed file ``sources/<town>.yml`` comes first, then the mapping of its last delivery, then name,
values and, where there are assessor's rows to join, the share that joins. What differs from last year is said.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from statewide.errors import LawError
from statewide.standard import NameWords, Standard, StandardField, Table, column_key

DBF_NAME_LENGTH = 10
"""A shapefile cuts column names after ten characters (dBASE III)."""

_NAME_EXACT, _NAME_QUALIFIED, _NAME_CUT, _NAME_WORDS_MAX, _PROFILE_ONLY = 1.0, 0.95, 0.9, 0.75, 0.6
_JOIN = 0.6
"""What a full join adds: enough for a column whose name says nothing."""
_EMPTY = 0.62
"""What a column with no value at all keeps of its name: any filled candidate comes before it."""
_UNKNOWN_WORD = -0.15
_WORD_IN_UNKNOWN_MIN = 5
"""Letters of a word that counts half at an end of an unknown one, as in ``PARCELFUL``; ``SPINE`` holds no PIN."""
_ACCEPT = 0.55
_SAMPLE = 5000
_CUT_KEY_MIN = 6
"""Letters that a cut name must have left, to be known by them."""


@dataclass(frozen=True)
class Score:
    """How well a column fits a field: by its name, by what its values look like, by how many of them meet the other
    file's (`join`), and together (0 to 1). None where there is nothing to look at.
    """

    field: str
    column: str
    name: float
    values: float | None
    total: float
    join: float | None = None


@dataclass(frozen=True)
class Crosswalk:
    """Where every delivered column goes.

    `mapping` is field → column; `ignored` and `withheld` are column → reason; `how` is field → "saved", "reviewed",
    "detected", or "guessed" where the name is no spelling that the law has. `drift` lists what differs from the last
    delivery: field, its column then, its column now (None: no column fills it).
    """

    mapping: dict[str, str]
    how: dict[str, str]
    ignored: dict[str, str]
    withheld: dict[str, str]
    unmapped: tuple[str, ...]
    scores: tuple[Score, ...]
    rivals: dict[str, str] = field(default_factory=dict)
    drift: tuple[tuple[str, str, str | None], ...] = ()

    def account(self) -> dict[str, dict[str, str]]:
        """Every column of the file and what became of it, for the ledger."""
        account = {
            column: {"fate": "mapped", "field": name, "how": self.how[name]} for name, column in self.mapping.items()
        }
        account |= {column: {"fate": "ignored", "reason": reason} for column, reason in self.ignored.items()}
        account |= {column: {"fate": "withheld", "reason": reason} for column, reason in self.withheld.items()}
        return account | {column: {"fate": "unmapped"} for column in self.unmapped}


class ReviewedJoin(BaseModel):
    """The columns by which a town's parcels meet its assessor's rows, under the town's names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parcel: str
    cama: str


class Reviewed(BaseModel):
    """A town's reviewed file: field → column, columns to ignore with the reason, EPSG code, columns to join by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mapping: dict[str, str] = Field(default_factory=dict)
    ignored: dict[str, str] = Field(default_factory=dict)
    crs: int | None = None
    join: ReviewedJoin | None = None


def read_reviewed(path: Path, table: Table) -> Reviewed:
    """The town's reviewed file; empty when it has none.

    Raises:
        LawError: the file has a key that is not known, or maps to a field that the standard does not have.
    """
    reviewed, shown = read_town_file(
        path,
        Reviewed,
        " The file has only `mapping` (field: column), `ignored` (column: reason), `crs` (EPSG code) and `join`"
        " (parcel: column, cama: column).",
    )
    unknown = set(reviewed.mapping) - {field.name for field in table.town_fields}
    if unknown:
        raise LawError(f"{shown}: mapping: {table.name} has no field {', '.join(sorted(unknown))} for a town to fill.")
    return reviewed


def read_town_file[ModelT: BaseModel](path: Path, model: type[ModelT], hint: str = "") -> tuple[ModelT, str]:
    """A file that is kept of a town, empty when it has none, and how the file is called in a message.

    Args:
        hint: a sentence on what the file may hold, for whoever wrote something else.

    Raises:
        LawError: it is no YAML, or not what the model says.
    """
    shown = f"{path.parent.name}/{path.name}"
    if not path.exists():
        return model(), shown
    try:
        return model.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {}), shown
    except yaml.YAMLError as error:
        raise LawError(f"{shown}: is not YAML: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise LawError(f"{shown}: {'.'.join(map(str, first['loc']))}: {first['msg']}.{hint}") from error


def propose(
    standard: Standard,
    table: Table,
    rows: pa.Table,
    *,
    saved: Mapping[str, str] | None = None,
    reviewed: Reviewed | None = None,
    evidence: Mapping[tuple[str, str], float] | None = None,
) -> Crosswalk:
    """Propose where each column of a delivery goes.

    Args:
        rows: the delivered attribute columns, under the town's names.
        saved: field → column of the town's last published delivery.
        reviewed: what the town's source file says.
        evidence: (field, column) → share of the column's values that join the assessor's rows, 0 to 1.
    """
    columns = list(rows.column_names)
    withheld = withheld_columns(standard, columns)
    open_columns = [column for column in columns if column not in withheld]
    reviewed = reviewed or Reviewed()
    ignored = {column: reviewed.ignored[column] for column in open_columns if column in reviewed.ignored}
    mapping: dict[str, str] = {}
    how: dict[str, str] = {}
    fields = {candidate.name for candidate in table.town_fields}
    for source, label in ((reviewed.mapping, "reviewed"), (saved or {}, "saved")):
        free = [column for column in open_columns if column not in ignored and column not in mapping.values()]
        for name, wanted in source.items():
            column = _delivered_as(wanted, free)
            if column and name in fields and name not in mapping:
                mapping[name], how[name] = column, label
                free.remove(column)
    for column in open_columns:
        if column not in mapping.values() and column not in ignored and (reason := _ignored_by_law(table, column)):
            ignored[column] = reason
    left = [column for column in open_columns if column not in ignored and column not in mapping.values()]
    codes = pa.array([town.cousub_fips for town in standard.municipalities])
    scores = [score for column in left for score in _scores(table, column, rows.column(column), codes, evidence or {})]
    rivals: dict[str, str] = {}
    taken: set[str] = set()
    for score in sorted(scores, key=lambda it: (-it.total, -(it.join or 0), columns.index(it.column), it.field)):
        if score.total < _ACCEPT or score.column in taken:
            continue
        if score.field not in mapping:
            how[score.field] = "detected" if score.name >= _NAME_CUT else "guessed"
            mapping[score.field] = score.column
            taken.add(score.column)
        elif score.name >= _NAME_CUT and how[score.field] in ("detected", "guessed"):
            rivals.setdefault(score.field, score.column)
    unmapped = tuple(column for column in left if column not in taken)
    shown = tuple(sorted(scores, key=lambda item: (item.column, -item.total)))
    drift = tuple(
        (name, column, mapping.get(name))
        for name, column in (saved or {}).items()
        if name in fields and how.get(name) not in ("saved", "reviewed")
    )
    return Crosswalk(mapping, how, ignored, withheld, unmapped, shown, rivals, drift)


def _delivered_as(wanted: str, columns: Sequence[str]) -> str | None:
    """The column under which a known one was delivered: as it is, or in the spelling of other software."""
    if wanted in columns:
        return wanted
    return next((column for column in columns if _name_score(column, (wanted,)) >= _NAME_CUT), None)


def _name_score(column: str, spellings: Sequence[str]) -> float:
    """How well a column's name meets one of the spellings; the table's name may stand before it, with a dot."""
    keys = _keys(tuple(spellings))
    if column_key(column) in keys:
        return _NAME_EXACT
    if "." in column and column_key(_unqualified(column)) in keys:
        return _NAME_QUALIFIED
    return _NAME_CUT if len(column) == DBF_NAME_LENGTH and _begins(column, spellings) else 0.0


def _unqualified(column: str) -> str:
    """A column's own name: ``sde.DBO.Parcels.PIN`` is PIN."""
    return column.rpartition(".")[2]


def _words_score(column: str, candidate: StandardField) -> float:
    """What the words of a column's name say together for a field, 0 to 0.75."""
    words = candidate.name_words
    total = sum(_piece_weight(piece, words) for piece in _pieces(_unqualified(column))) if words else 0.0
    return min(max(round(total, 3), 0.0), _NAME_WORDS_MAX)


def _pieces(name: str) -> Iterator[str]:
    """Parts of a name between separators, digits and humps: ``GIS_ParcelID2`` has gis, parcel and id."""
    for part in re.findall(r"[A-Za-z]+", name):
        for piece in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", part):
            yield piece.lower()


@functools.lru_cache(maxsize=4096)
def _piece_weight(piece: str, words: tuple[NameWords, ...]) -> float:
    """Sum over the words that make up the piece, by the fewest words; what is no word speaks against."""
    known = {word: group.weight for group in words for word in group.words}
    best: list[tuple[int, float] | None] = [(0, 0.0), *([None] * len(piece))]
    for end in range(1, len(piece) + 1):
        for start in range(end):
            before, word = best[start], piece[start:end]
            if before and word in known:
                reached = (before[0] + 1, before[1] + known[word])
                best[end] = min(best[end] or reached, reached, key=lambda item: item[0])
    if whole := best[-1]:
        return whole[1]
    long = [
        word for word in known if len(word) >= _WORD_IN_UNKNOWN_MIN and (piece.startswith(word) or piece.endswith(word))
    ]
    return known[max(long, key=len)] / 2 if long else _UNKNOWN_WORD


def _begins(column: str, spellings: Sequence[str]) -> bool:
    """Whether a cut name is the beginning of a spelling."""
    seen = column_key(column)
    return len(seen) >= _CUT_KEY_MIN and any(key.startswith(seen) for key in _keys(tuple(spellings)))


@functools.lru_cache(maxsize=1024)
def _keys(spellings: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(column_key, spellings))


def _scores(
    table: Table,
    column: str,
    values: pa.ChunkedArray,
    codes: pa.Array,
    evidence: Mapping[tuple[str, str], float],
) -> list[Score]:
    found = []
    empty = values.null_count == len(values)
    for candidate in table.town_fields:
        by_name = _name_score(column, (candidate.name, *candidate.synonyms))
        by_words = 0.0 if by_name else _words_score(column, candidate)
        join = evidence.get((candidate.name, column), 0.0)
        telling = not (by_name or by_words or join) and not empty and _telling(candidate, values, codes)
        if not (by_name or by_words or join or telling):
            continue
        by_values = None if empty else _profile_score(candidate, values)
        # A name counts alone; words of a name hang on the values; values alone count only for fields whose profile says
        # much, and never above a name.
        total = by_name * (1.0 if by_values is None else 0.8 + 0.2 * by_values)
        total += by_words * (0.6 + 0.4 * (by_values or 0.0))
        if telling and by_values and by_values > 0.95:
            total = _PROFILE_ONLY * by_values
        total = round(min(total * (_EMPTY if empty else 1.0) + _JOIN * join, 1.0), 3)
        if total > 0:
            shown = join if (candidate.name, column) in evidence else None
            found.append(Score(candidate.name, column, by_name or by_words, by_values, total, shown))
    return found


def _telling(candidate: StandardField, values: pa.ChunkedArray, codes: pa.Array) -> bool:
    """Whether values are peculiar enough to be known without a name: a CAMA link is, a number is not.

    The five digits must be towns' codes, for "06320-1234" is a person's ZIP code.
    """
    if candidate.profile is None or r"\d{5}-" not in (candidate.profile.pattern or ""):
        return False
    heads = pc.utf8_slice_codeunits(pc.utf8_ltrim_whitespace(values.slice(0, _SAMPLE).cast(pa.string())), 0, 5)
    share = pc.mean(pc.cast(pc.is_in(heads.drop_null(), value_set=codes), pa.float64())).as_py()
    return bool(share and share > 0.95)


def _profile_score(candidate: StandardField, values: pa.ChunkedArray) -> float | None:
    """Share of the filled values that look like the field's, halved when they repeat more or less than they should."""
    profile = candidate.profile
    if profile is None or profile.pattern is None:
        return None
    sample = values.slice(0, _SAMPLE).cast(pa.string(), safe=False) if _castable(values.type) else None
    if sample is None:
        return 0.0
    filled = pc.utf8_trim_whitespace(sample.drop_null())
    filled = filled.filter(pc.greater(pc.utf8_length(filled), 0))
    if not len(filled):
        return None
    share = float(pc.mean(pc.cast(pc.match_substring_regex(filled, profile.pattern), pa.float64())).as_py())
    distinct = len(pc.unique(filled)) / len(filled)
    repeats_rightly = (profile.distinct_share_min or 0) <= distinct <= (profile.distinct_share_max or 1)
    return share if repeats_rightly or len(filled) < 20 else share / 2


def _castable(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_temporal(kind)
    )


def _ignored_by_law(table: Table, column: str) -> str | None:
    for rule in table.ignored_columns:
        if _name_score(column, rule.names) >= _NAME_CUT:
            return rule.reason
    return None


def withheld_columns(standard: Standard, columns: Sequence[str]) -> dict[str, str]:
    """Columns that hold persons, each with which of the law's it is."""
    found: dict[str, str] = {}
    for column in columns:
        # A shapefile that cuts two columns to one name numbers the second: "Mailing_Zip_Code" may become "Mailing__1".
        stem = re.fullmatch(r"(.{8})_\d", column)
        likeness = {}
        for person in standard.header.withheld:
            names = (person.name, *person.synonyms)
            named = _NAME_CUT if stem and _begins(stem[1], names) else _name_score(column, names)
            fits = person.fits(column_key(column)) or person.fits(column_key(_unqualified(column)))
            if named >= _NAME_CUT or fits:
                likeness[person.title] = named
        if likeness:
            found[column] = max(likeness, key=lambda title: likeness[title])
    return found
