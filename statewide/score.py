"""The score of a town's year, 0 to 100: a pure function of counts, with what each fix would earn.

Weights and thresholds are the law's (``schemas/score/``). The counts are kept with the score, so that anyone can
work it out again; a measure without counts is "not measured" and has not earned its points yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from statewide.findings import FindingLog, plain_count
from statewide.standard import Measure, ScoreLaw, Severity, Standard

Count = tuple[int, int]
"""So many, of so many."""


@dataclass(frozen=True)
class ScoreInput:
    """What a delivery of one dataset is scored by.

    Args:
        dataset: name of the law's table.
        rows: rows read.
        held: rows held back for reasons of their own (not by the gate).
        faulty: from `faulty_rows`.
        filled: field → (rows that fill it, rows that should), of the fields of `scored_fields`; a field that no column
            was mapped to fills none. Only rows with a building should have a year built.
        of_the_year: rows that do not say another collection year than the one asked for.
        in_time: whether the town's first accepted delivery of this dataset for the year came by the due day.
        matched: dataset → (rows that found a row of the other, rows); empty while the other is not there.
        carried: `Score.counts` of the live publication of the other dataset; empty if there is none.
    """

    dataset: str
    rows: int
    held: int
    faulty: Mapping[str, int]
    filled: Mapping[str, Count]
    of_the_year: int
    in_time: bool
    matched: Mapping[str, Count] = field(default_factory=dict)
    carried: Mapping[str, Count] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """A measure and what it earned; `count` is None when it was not measured."""

    name: str
    title: str
    points: float
    most: float
    count: Count | None
    none_at: float
    full_at: float


@dataclass(frozen=True)
class Part:
    """Measures that belong together."""

    title: str
    points: float
    most: float
    measures: tuple[Measured, ...]


@dataclass(frozen=True)
class Gain:
    """What a fix would earn, as an instruction in small letters and without a full stop.

    `missing` says that the fix is to send the dataset's file at all.
    """

    fix: str
    points: float
    dataset: str
    missing: bool = False


@dataclass(frozen=True)
class Score:
    """The score; `measurable` is what could be earned by what was delivered, `gains` has the most first."""

    points: float
    most: float
    measurable: float
    parts: tuple[Part, ...]
    gains: tuple[Gain, ...]
    counts: Mapping[str, Count]

    def as_dict(self) -> dict[str, Any]:
        """For the summary and ``report.json``."""
        return asdict(self)


def score(given: ScoreInput, standard: Standard) -> Score:
    """Score a delivery, together with what is known of the town's other dataset."""
    law = standard.score_of(given.dataset)
    return score_counts({**given.carried, **_counts(given, law, standard)}, law, standard)


def score_counts(counts: Mapping[str, Count], law: ScoreLaw, standard: Standard) -> Score:
    """The score that these counts make; `counts` is measure, or measure.field, → (so many, of so many)."""
    delivered = {measure.dataset for measure in law.measures if _is_counted(measure, counts, law, standard)}
    missing = dict.fromkeys((dataset for dataset in law.files if dataset not in delivered), 0.0)
    unmeasured, parts, gains = 0.0, [], []
    for part in law.parts:
        measured = []
        for measure in part.measures:
            shares = dict(_shares(measure, counts, law, standard))
            hundredths = _hundredths(measure, shares)
            count = _sum([counts[key] for key in shares if key in counts])
            if count is None:
                unmeasured += measure.points
                for dataset in missing:
                    # Rows are matched once both files are there, so the missing one earns both ways.
                    missing[dataset] += (
                        measure.points if measure.dataset == dataset or measure.counts == "matched" else 0
                    )
            else:
                gains += list(_gains(measure, shares, counts, law, standard))
            measured.append(
                Measured(
                    measure.name,
                    measure.title,
                    hundredths / 100,
                    measure.points,
                    count,
                    measure.none_at,
                    measure.full_at,
                )
            )
        points = round(sum(each.points for each in measured), 2)
        parts.append(Part(part.title, points, sum(each.most for each in measured), tuple(measured)))
    gains += [
        Gain(f"send the {law.files[dataset]} (at most)", points, dataset, missing=True)
        for dataset, points in missing.items()
    ]
    most = sum(part.most for part in parts)
    return Score(
        points=round(sum(part.points for part in parts), 2),
        most=most,
        measurable=round(most - unmeasured, 2),
        parts=tuple(parts),
        gains=tuple(sorted((gain for gain in gains if gain.points >= 0.005), key=lambda gain: -gain.points)),
        counts={key: counts[key] for key in sorted(counts)},
    )


def scored_fields(standard: Standard, dataset: str) -> list[str]:
    """Fields of a dataset whose completeness is scored."""
    law = standard.score_of(dataset)
    measures = [measure for measure in law.measures if measure.dataset == dataset]
    named = [measure.field for measure in measures if measure.field]
    recommended = [name for measure in measures if measure.recommended for name in _recommended(measure, law, standard)]
    return list(dict.fromkeys([*named, *recommended]))


def faulty_rows(log: FindingLog) -> dict[str, int]:
    """Measure → rows of the log's dataset that have one of the findings that the measure counts."""
    rows: dict[str, set[int]] = {}
    for finding in log.findings:
        if finding.row_no is not None:
            rows.setdefault(finding.code, set()).add(finding.row_no)
    return {
        measure.name: len(set().union(*(rows.get(code, set()) for code in measure.free_of)))
        + sum(log.left_out[code] for code in measure.free_of)
        for measure in log.standard.score_of(log.dataset).measures
        if measure.dataset == log.dataset and measure.free_of
    }


def worth(found: Score, standard: Standard, dataset: str, code: str, severity: Severity, rows: int) -> float:
    """Points that a score would gain if so many rows lost their finding of that check."""
    measured = {each.name: each for part in found.parts for each in part.measures}
    points = 0.0
    for measure in standard.score_of(dataset).measures:
        held = measure.counts == "not_held" and severity == "ERROR"
        each = measured[measure.name]
        if measure.dataset == dataset and (held or code in measure.free_of) and each.count and each.count[1]:
            share = rows / each.count[1] / (each.full_at - each.none_at)
            points += min(each.most - each.points, each.most * share)
    return points


def _counts(given: ScoreInput, law: ScoreLaw, standard: Standard) -> dict[str, Count]:
    found: dict[str, Count] = {}
    for measure in law.measures:
        if measure.counts == "matched":
            if measure.dataset in given.matched:
                found[measure.name] = given.matched[measure.dataset]
        elif measure.dataset != given.dataset or not given.rows:
            continue
        elif measure.counts == "not_held":
            found[measure.name] = (given.rows - given.held, given.rows)
        elif measure.counts == "of_the_year":
            found[measure.name] = (given.of_the_year, given.rows)
        elif measure.counts == "in_time":
            found[measure.name] = (int(given.in_time), 1)
        elif measure.free_of:
            found[measure.name] = (max(given.rows - given.faulty[measure.name], 0), given.rows)
        else:
            found |= {key: given.filled.get(name, (0, given.rows)) for key, name in _keys(measure, law, standard)}
    return found


def _is_counted(measure: Measure, counts: Mapping[str, Count], law: ScoreLaw, standard: Standard) -> bool:
    return measure.counts != "matched" and any(key in counts for key, _ in _keys(measure, law, standard))


def _keys(measure: Measure, law: ScoreLaw, standard: Standard) -> Iterator[tuple[str, str]]:
    """What a measure is counted under, and the field that is counted there, or nothing."""
    if measure.recommended:
        for name in _recommended(measure, law, standard):
            yield f"{measure.name}.{name}", name
    else:
        yield measure.name, measure.field or ""


def _recommended(measure: Measure, law: ScoreLaw, standard: Standard) -> list[str]:
    """Fields of level `should` that no measure counts otherwise."""
    counted = {other.field for other in law.measures if other.dataset == measure.dataset}
    return [
        item.name
        for item in standard.table(measure.dataset).town_fields
        if item.level == "should" and item.stored and item.name not in counted and item.name != "collection_year"
    ]


def _shares(
    measure: Measure, counts: Mapping[str, Count], law: ScoreLaw, standard: Standard
) -> Iterator[tuple[str, float]]:
    """For each key of the measure, which share of its points it earns."""
    for key, _ in _keys(measure, law, standard):
        good, of = counts.get(key, (0, 0))
        share = good / of if of else 0.0
        yield key, min(max((share - measure.none_at) / (measure.full_at - measure.none_at), 0.0), 1.0)


def _hundredths(measure: Measure, shares: Mapping[str, float]) -> int:
    """What a measure earned, rounded down, so that nearly all is never all."""
    return math.floor(measure.points * 100 * math.fsum(shares.values()) / len(shares) + 1e-9)


def _gains(
    measure: Measure, shares: Mapping[str, float], counts: Mapping[str, Count], law: ScoreLaw, standard: Standard
) -> Iterator[Gain]:
    for key, name in _keys(measure, law, standard):
        if shares[key] >= 1 or key not in counts:
            continue
        good, of = counts[key]
        title = standard.table(measure.dataset).field(name).title if name else ""
        fix = measure.fix.format(
            rows=plain_count(math.ceil(measure.full_at * of) - good, "row"),
            field=f"“{title}”",
            due=law.due.said if law.due else "",
        )
        yield Gain(fix, round(measure.points * (1 - shares[key]) / len(shares), 2), measure.dataset)


def _sum(counts: list[Count]) -> Count | None:
    return (sum(good for good, _ in counts), sum(of for _, of in counts)) if counts else None
