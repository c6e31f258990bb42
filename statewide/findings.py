"""What is wrong in a delivery, as data: which check, how grave, whose to mend, where, and in which words.

Sentences, fixes, owners and severities come from ``schemas/checks.yml``; code names a check and fills in the braces.
A finding never carries a value of a withheld column: those are stripped before any check sees the rows.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shapely.geometry.base import BaseGeometry

from statewide.ddl import of_points
from statewide.standard import NOT_EVALUATED, SEVERITIES, Check, Owner, Severity, Standard

_SHOWN = 200
"""Characters of a value that a sentence quotes; the finding keeps the value whole."""
UNQUOTED: Final = "A value, not quoted because it may be a person's name,"
"""Given as the value of a finding that must not show it."""
_LETTERS = re.compile(r"(?<![^\W_])[^\W\d_]+(?![^\W_])")


@dataclass(frozen=True)
class Finding:
    """One thing found. `row_no` counts delivered rows from 1; `shape` is in the storage CRS. Of several points the
    first is the row's own, the others are those that it is compared with.
    """

    code: str
    severity: Severity
    owner: Owner
    title: str
    sentence: str
    fix: str
    row_no: int | None = None
    column: str | None = None
    value: str | None = None
    shape: BaseGeometry | None = None


@dataclass
class FindingLog:
    """The findings of one delivery, under the profile of its collection year."""

    standard: Standard
    dataset: str
    year: int
    town: str
    cousub_fips: str
    findings: list[Finding] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """Rows that a check met beyond those that it shows one by one."""

    def add(
        self,
        code: str,
        *,
        row_no: int | None = None,
        column: str | None = None,
        value: object = None,
        shape: BaseGeometry | None = None,
        **words: object,
    ) -> None:
        """Record a finding; `words` fill the braces of the check's sentence and fix.

        Raises:
            KeyError: the law has no such check, or its sentence has a brace that was not filled.
        """
        self._record(self.check(code), self.check(code).sentence, row_no, column, value, shape, words)

    def add_each(
        self, code: str, row_nos: Sequence[int], words: Callable[[int], Mapping[str, Any]], *, column: str | None = None
    ) -> None:
        """Record a finding for each row; beyond `limits.rows_shown`, one that counts the others.

        A check that holds rows has no such limit, for each of them needs its reason.

        Args:
            words: place in `row_nos` → what fills the braces there, `value` among it; asked for the rows that are shown
                and for the first of the others.
        """
        check = self.check(code)
        most = int(check.limits.get("rows_shown", len(row_nos)))
        if len(row_nos) == most + 1:
            most += 1  # to count the last one would take as much room as to show it
        for place, row_no in enumerate(row_nos[:most]):
            filled = dict(words(place))
            self.add(code, row_no=int(row_no), column=column, value=filled.pop("value", None), **filled)
        if left := len(row_nos[most:]):
            self.left_out[code] += left
            filled = {**words(most), "rows": plain_count(left, "row")}
            self._record(check, check.others or check.sentence, None, column, filled.pop("value", None), None, filled)

    def _record(
        self,
        check: Check,
        sentence: str,
        row_no: int | None,
        column: str | None,
        value: object,
        shape: BaseGeometry | None,
        words: Mapping[str, object],
    ) -> None:
        filled: dict[str, Any] = {
            "town": self.town,
            "cousub_fips": self.cousub_fips,
            "year": self.year,
            "item": self.item,
            "items": f"{self.item}s",
            "form": "place" if of_points(self.standard.table(self.dataset)) else "shape",
            "column": column,
            "value": UNQUOTED if value is UNQUOTED else _quoted(value),
            **words,
        }
        self.findings.append(
            Finding(
                code=check.code,
                severity=check.severity_in(self.year),
                owner=check.owner,
                title=check.title,
                sentence=sentence.format_map(filled),
                fix=check.fix.format_map(filled),
                row_no=row_no,
                column=column,
                value=None if value is None or value is UNQUOTED else str(value),
                shape=shape,
            )
        )

    @property
    def item(self) -> str:
        """What one row of the dataset is called in a sentence."""
        return self.standard.table(self.dataset).title.lower()

    def check(self, code: str) -> Check:
        """The check of that code."""
        return self.standard.checks[code]

    def not_evaluated(self, check: str, why: str) -> None:
        """Record that a check could not run, which blocks: it is not a pass."""
        self.add(NOT_EVALUATED, check=check, why=why)

    def held_rows(self) -> dict[int, list[str]]:
        """Rows with an ERROR, and the codes that hold each."""
        held: dict[int, list[str]] = {}
        for finding in self.findings:
            if finding.severity == "ERROR" and finding.row_no is not None:
                reasons = held.setdefault(finding.row_no, [])
                if finding.code not in reasons:
                    reasons.append(finding.code)
        return held

    def blocking(self, accepted: Iterable[str] = ()) -> list[Finding]:
        """Findings that refuse the delivery, those aside that the town accepted."""
        waived = set(accepted)
        return [finding for finding in self.findings if finding.severity == "BLOCK" and finding.code not in waived]

    def counts(self) -> dict[str, int]:
        """Findings per check, the gravest first, then by code."""
        graveness = {finding.code: SEVERITIES.index(finding.severity) for finding in self.findings}
        counter = Counter(finding.code for finding in self.findings)
        return dict(sorted(counter.items(), key=lambda item: (graveness[item[0]], item[0])))

    def sorted(self) -> Iterator[Finding]:
        """The gravest first, then by check, then by row; what is said of no single row comes last."""
        return iter(
            sorted(
                self.findings,
                key=lambda finding: (SEVERITIES.index(finding.severity), finding.code, finding.row_no or math.inf),
            )
        )


def unless_a_name(value: object) -> object:
    """The value, or `UNQUOTED` where two or more of its words are of letters alone, as a person's name is."""
    words = _LETTERS.findall(str(value))
    return UNQUOTED if len(words) > 1 and max(map(len, words)) > 2 else value


def plain_number(number: float, decimals: int = 0) -> str:
    """A number as a person writes it: ``12,345.6``."""
    return f"{number:,.{decimals}f}"


def plain_count(count: int, noun: str) -> str:
    """A number of things: ``1 row``, ``1,204 rows``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def plain_share(share: float) -> str:
    """A share as a percentage that never rounds something to nothing or nearly all to all: ``99.9 %``."""
    percent = share * 100
    if 0 < percent < 0.1:
        return "less than 0.1 %"
    if 99.9 < percent < 100:
        return "more than 99.9 %"
    return f"{percent:.1f} %" if percent % 1 else f"{percent:.0f} %"


def _quoted(value: object) -> str:
    if value is None:
        return "an empty value"
    text = str(value)
    return f"“{text}”" if len(text) <= _SHOWN else f"“{text[:_SHOWN]}…”"
