"""A town's columns → the standard's fields: proposed with scores, every column accounted for.

A column ends mapped, ignored by a rule of the law with its reason, withheld because it holds persons, or unmapped and
reported. The town's reviewed file ``sources/<town>.yml`` comes first, then the mapping of its last delivery, then name
and values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from statewide.errors import LawError
from statewide.standard import Standard, StandardField, Table, column_key

DBF_NAME_LENGTH = 10
"""A shapefile cuts column names after ten characters (dBASE III)."""

_NAME_EXACT, _NAME_CUT, _PROFILE_ONLY = 1.0, 0.9, 0.6
_ACCEPT = 0.55
_SAMPLE = 5000
_CUT_KEY_MIN = 6
"""Letters that a cut name must have left, to be known by them."""


@dataclass(frozen=True)
class Score:
    """How well a column fits a field: by its name, by what its values look like, and together (0 to 1)."""

    field: str
    column: str
    name: float
    values: float | None
    total: float


@dataclass(frozen=True)
class Crosswalk:
    """Where every delivered column goes.

    `mapping` is field → column; `ignored` and `withheld` are column → reason; `how` is field → "saved", "reviewed" or
    "detected".
    """

    mapping: dict[str, str]
    how: dict[str, str]
    ignored: dict[str, str]
    withheld: dict[str, str]
    unmapped: tuple[str, ...]
    scores: tuple[Score, ...]
    rivals: dict[str, str] = field(default_factory=dict)

    def account(self) -> dict[str, dict[str, str]]:
        """Every column of the file and what became of it, for the ledger."""
        account = {
            column: {"fate": "mapped", "field": name, "how": self.how[name]} for name, column in self.mapping.items()
        }
        account |= {column: {"fate": "ignored", "reason": reason} for column, reason in self.ignored.items()}
        account |= {column: {"fate": "withheld", "reason": reason} for column, reason in self.withheld.items()}
        return account | {column: {"fate": "unmapped"} for column in self.unmapped}


class Reviewed(BaseModel):
    """A town's reviewed file: field → column, and columns to ignore with the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mapping: dict[str, str] = Field(default_factory=dict)
    ignored: dict[str, str] = Field(default_factory=dict)


def read_reviewed(path: Path, table: Table) -> Reviewed:
    """The town's reviewed file; empty when it has none.

    Raises:
        LawError: the file has a key that is not known, or maps to a field that the standard does not have.
    """
    if not path.exists():
        return Reviewed()
    shown = f"{path.parent.name}/{path.name}"
    try:
        reviewed = Reviewed.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (ValidationError, yaml.YAMLError) as error:
        raise LawError(
            f"{shown}: has only `mapping` (field: column) and `ignored` (column: reason): {error}"
        ) from error
    unknown = set(reviewed.mapping) - {field.name for field in table.town_fields}
    if unknown:
        raise LawError(f"{shown}: mapping: {table.name} has no field {', '.join(sorted(unknown))} for a town to fill.")
    return reviewed


def propose(
    standard: Standard,
    table: Table,
    rows: pa.Table,
    *,
    saved: Mapping[str, str] | None = None,
    reviewed: Reviewed | None = None,
) -> Crosswalk:
    """Propose where each column of a delivery goes.

    Args:
        rows: the delivered attribute columns, under the town's names.
        saved: field → column of the town's last published delivery.
        reviewed: what the town's source file says.
    """
    columns = list(rows.column_names)
    withheld = _withheld(standard, columns)
    open_columns = [column for column in columns if column not in withheld]
    reviewed = reviewed or Reviewed()
    ignored = {column: reviewed.ignored[column] for column in open_columns if column in reviewed.ignored}
    mapping: dict[str, str] = {}
    how: dict[str, str] = {}
    fields = {candidate.name for candidate in table.town_fields}
    for source, label in ((reviewed.mapping, "reviewed"), (saved or {}, "saved")):
        for name, column in source.items():
            free = column in open_columns and column not in ignored and column not in mapping.values()
            if free and name in fields and name not in mapping:
                mapping[name], how[name] = column, label
    for column in open_columns:
        if column not in mapping.values() and column not in ignored and (reason := _ignored_by_law(table, column)):
            ignored[column] = reason
    left = [column for column in open_columns if column not in ignored and column not in mapping.values()]
    codes = pa.array([town.cousub_fips for town in standard.municipalities])
    scores = [score for column in left for score in _scores(table, column, rows.column(column), codes)]
    rivals: dict[str, str] = {}
    taken: set[str] = set()
    for score in sorted(scores, key=lambda item: (-item.total, columns.index(item.column), item.field)):
        if score.total < _ACCEPT or score.column in taken:
            continue
        if score.field not in mapping:
            mapping[score.field], how[score.field] = score.column, "detected"
            taken.add(score.column)
        elif score.name >= _NAME_CUT and how[score.field] == "detected":
            rivals.setdefault(score.field, score.column)
    unmapped = tuple(column for column in left if column not in taken)
    shown = tuple(sorted(scores, key=lambda item: (item.column, -item.total)))
    return Crosswalk(mapping, how, ignored, withheld, unmapped, shown, rivals)


def _name_score(column: str, spellings: Sequence[str]) -> float:
    if column_key(column) in map(column_key, spellings):
        return _NAME_EXACT
    return _NAME_CUT if len(column) == DBF_NAME_LENGTH and _begins(column, spellings) else 0.0


def _begins(column: str, spellings: Sequence[str]) -> bool:
    """Whether a cut name is the beginning of a spelling."""
    seen = column_key(column)
    return len(seen) >= _CUT_KEY_MIN and any(column_key(spelling).startswith(seen) for spelling in spellings)


def _scores(table: Table, column: str, values: pa.ChunkedArray, codes: pa.Array) -> list[Score]:
    found = []
    for candidate in table.town_fields:
        by_name = _name_score(column, (candidate.name, *candidate.synonyms))
        by_values = _profile_score(candidate, values)
        # A name counts alone; values alone count only for fields whose profile says much, and never above a name.
        total = by_name * (1.0 if by_values is None else 0.8 + 0.2 * by_values)
        if not by_name and by_values is not None and by_values > 0.95 and _telling(candidate, values, codes):
            total = _PROFILE_ONLY * by_values
        if total > 0:
            found.append(Score(candidate.name, column, by_name, by_values, round(total, 3)))
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


def _withheld(standard: Standard, columns: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for column in columns:
        # A shapefile that cuts two columns to one name numbers the second: "Mailing_Zip_Code" may become "Mailing__1".
        stem = re.fullmatch(r"(.{8})_\d", column)
        for person in standard.header.withheld:
            names = (person.name, *person.synonyms)
            named = _name_score(column, names) >= _NAME_CUT or (stem and _begins(stem[1], names))
            if named or person.fits(column_key(column)):
                found.setdefault(column, person.title)
    return found
