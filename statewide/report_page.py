"""What `report.html` says, and in which order: the verdict, what to do, what each fix earns, then the evidence.

Sentences about findings are the law's; `statewide.report_map` draws. Every list is cut to what a person reads, with
the number of the rest: the whole of it is in the files beside the page.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from typing import Any

import jinja2
import numpy as np
import shapely
from markupsafe import Markup

from statewide import crosswalk
from statewide.ddl import has_shapes, shape_type
from statewide.findings import plain_count, plain_number, plain_share
from statewide.geometry import SQFT_PER_ACRE, Shapes, accepted_title
from statewide.report_files import PlacedFindings
from statewide.report_input import ReportInput
from statewide.report_map import CloseUps, Mark, TownMap, town_map
from statewide.score import worth
from statewide.standard import SEVERITIES, Level, Owner, Severity, StandardField

_ROWS_SHOWN: dict[Severity, int] = {"BLOCK": 20, "ERROR": 20, "WARN": 12, "NOTE": 8}
_CLOSE_UPS_SHOWN = 4
_COLUMNS_SHOWN = 150
_GAINS_SHOWN = 8
_TRIED_SHOWN = 8
_EXAMPLES_SHOWN = 5
_VALUE_SHOWN = 80
_SENTENCE_SHOWN = 600

_OWNERS: dict[Owner, tuple[str, str, str]] = {
    "town": ("the town", "For the town", "The place to mend these is the town’s own map or its records."),
    "vendor": (
        "the town’s map vendor",
        "For the town’s map vendor",
        "Hand these to whoever keeps the layer and exports it.",
    ),
    "cog": (
        "the council of governments",
        "For the council of governments",
        "The town alone cannot mend these.",
    ),
    "state": ("the State’s GIS office", "For the State’s GIS office", "The town need not do anything."),
    "platform": ("nobody in town", "For nobody in town", "These are ours: taken care of, or ours to mend."),
}
_SEVERITIES: dict[Severity, tuple[str, str]] = {
    "BLOCK": ("stops the file", "nothing of the file is published while it stands"),
    "ERROR": ("holds a row", "the row is kept whole but not published until it is mended; the others do not wait"),
    "WARN": ("deserves a look", "published, but something is probably wrong"),
    "NOTE": ("for information", "harmless, or taken care of already"),
}
_FATES = {"unmapped": "not recognised", "ignored": "set aside", "withheld": "stripped"}
_HOW = {"saved": "as in the last delivery", "reviewed": "reviewed by hand", "guessed": "by parts of its name"}
_FACTS = {
    "rows": "Rows in the file",
    "null_geometry": "Rows without a place on the map",
    "invalid_geometry": "Shapes whose boundary is not valid",
    "multipart": "Shapes of several parts",
    "rows_sharing_a_geometry": "Rows that share their exact place with another",
    "in_parts": "Rows that give the street in a column of its own",
    "in_one_piece": "Rows that give the address in one piece",
}
_LEVELS: dict[Level, str] = {"must": "required", "should": "recommended", "may": ""}
_MET = {
    "added": "not live before",
    "changed": "live, with another place, shape or value",
    "removed": "live, and not among the rows that can be published",
    "unchanged": "live, and the same in the file",
}
_KINDS = {
    "split": "that were divided",
    "merged": "that became one",
    "renumbered": "in the same place under another number",
    "reshaped": "with another boundary",
    "moved": "drawn in another place",
    "revalued": "with another value",
    "attributes": "with other words: address, class or the like",
    "new": "that came from no other",
    "retired": "that are in no other now",
}
"""Kinds of change, in the order of the page, as the report's reader is told of them."""


def draw_page(report: ReportInput, placed: Sequence[PlacedFindings]) -> str:
    """The page; `placed` stands beside `report.parts`."""
    groups = [
        group
        for part, findings in zip(report.parts, placed, strict=True)
        for group in _groups(part, findings, several=len(report.parts) > 1)
    ]
    groups.sort(key=lambda group: (SEVERITIES.index(group.severity), -group.points, -group.count))
    marks = [mark for part, found in zip(report.parts, placed, strict=True) for mark in _marks(part, found, groups)]
    drawing = town_map(report.town_outline, _fabric(report), marks)
    return _template().render(
        summary=report.summary,
        verdict=_verdict(report, groups),
        other_verdicts=[_verdict(other, groups) for other in report.others],
        figures=_figures(report, groups),
        severities=[(severity, *_SEVERITIES[severity]) for severity in SEVERITIES],
        groups=groups,
        unlisted=sum(group.count for group in groups) - sum(len(found.findings) for found in placed),
        owners=list(_owners(groups)),
        accepted=[group for group in groups if group.accepted is not None],
        score=report.score,
        gains_shown=_GAINS_SHOWN,
        against=_against(report),
        noun=report.noun,
        drawn=drawing.anchors,
        areas=any(_shape(part) == "MultiPolygon" for part in report.parts),
        met=[(part.noun, lines) for part in report.parts if (lines := _met(part))],
        lineage=[line for part in report.parts for line in _lineage(part)],
        live="what is live" if report.summary["outcome"] in ("refused", "ok") else "what was live before",
        completeness=[(part.noun, list(_completeness(part))) for part in report.parts if part.completeness],
        ledgers=[(part.noun, _ledger(part)) for part in report.parts],
        map=Markup(drawing.svg),
        map_note=_map_note(report, drawing),
        marked=_marked(marks),
        readings=[_reading(part) for part in report.parts],
        needless=[code for code in report.accepted if code not in report.summary["findings"]],
        received=f"{report.received_at:%B} {report.received_at.day}, {report.received_at:%Y, %H:%M} UTC",
        isolation=report.isolation,
        **versions(report),
    )


def versions(report: ReportInput) -> dict[str, Any]:
    """Which law and which software judged the file."""
    standard, year = report.log.standard, report.log.year
    profiles = {profile for check in standard.checks.values() for profile in check.severity}
    return {
        "standard_version": standard.header.version,
        "software_version": _software_version(),
        "profile_year": max((profile for profile in profiles if profile <= year), default=min(profiles)),
    }


@functools.cache
def _software_version() -> str:
    return version("statewide")


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("statewide"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["number"] = plain_number
    environment.filters["acres"] = lambda sqft: plain_number(sqft / SQFT_PER_ACRE, 2)
    environment.filters["share"] = plain_share
    environment.filters["points"] = _points
    environment.filters["gain"] = lambda points: "under 0.1" if points < 0.1 else f"+{_points(points)}"
    return environment.get_template("report.html.j2")


def _points(points: float) -> str:
    """Points to one decimal, cut off: 99.96 of 100 is not 100."""
    return f"{int(points * 10 + 1e-6) / 10:g}"


# ── findings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Line:
    """A finding in its check's table; `spot` is where on the map it is, if it is there."""

    row: int | None
    label: str | None
    column: str | None
    value: str | None
    sentence: str
    fix: str
    spot: str | None


@dataclass(frozen=True)
class _Group:
    """The findings of one check; `sentence` and `fix` are set where all of them share it.

    `points` is what mending all of them would earn, `noun` the dataset where there are several. Where rows are named,
    `rest` says what was said of further ones together, and `rows` counts all of them.
    """

    code: str
    anchor: str
    title: str
    severity: Severity
    count: int
    points: float
    owner: Owner
    noun: str | None
    label_title: str
    accepted: str | None
    blocking: bool
    sentence: str | None
    fix: str | None
    lines: list[_Line]
    rest: list[str]
    rows: int | None
    close_ups: list[tuple[_Line, Markup]]

    @property
    def who(self) -> str:
        return _OWNERS[self.owner][0]

    @property
    def more(self) -> int:
        return self.count - len(self.lines) - len(self.rest)

    @property
    def undrawn(self) -> list[_Line]:
        """The lines that no drawing names."""
        drawn = [line for line, _ in self.close_ups]
        return [line for line in self.lines if line not in drawn]

    def any(self, name: str) -> bool:
        """Whether any line has something under that name, so that its column is worth showing."""
        return any(getattr(line, name) is not None for line in self.lines)

    @property
    def named_by_value(self) -> bool:
        """Whether the value at fault is the name of the row, so that showing both is once too many."""
        return all((line.value or "").casefold() == (line.label or "").casefold() for line in self.lines)

    def one(self, name: str) -> bool:
        """Whether all lines say the same under that name."""
        return len({getattr(line, name) for line in self.lines}) == 1


def _groups(report: ReportInput, placed: PlacedFindings, *, several: bool) -> Iterator[_Group]:
    """The findings check by check; `placed` is sorted so already."""
    close_ups = CloseUps(report.town_outline, report.shapes, functools.partial(_short_name, report))
    row_shapes, counts = report.row_shapes(), report.log.counts()
    for code, members in groupby(range(len(placed.findings)), lambda index: placed.findings[index].code):
        group = list(members)
        findings = [placed.findings[index] for index in group]
        left_out, rest = report.log.left_out[code], []
        if left_out:  # what is said of these, is said of no single row and comes last
            rest = [finding.sentence for finding in findings if finding.row_no is None]
            findings = [finding for finding in findings if finding.row_no is not None]
            group = group[: len(findings)]
        first = findings[0]
        sentences, fixes = {finding.sentence for finding in findings}, {finding.fix for finding in findings}
        rows = len({finding.row_no for finding in findings} - {None}) * counts[code] // (len(group) + len(rest))
        rows += left_out
        yield _Group(
            code=code,
            anchor=f"{report.dataset}-{code}",
            title=first.title,
            severity=first.severity,
            count=counts[code],
            points=worth(report.score, report.log.standard, report.dataset, code, first.severity, rows)
            if report.score
            else 0.0,
            owner=first.owner,
            noun=report.noun if several else None,
            label_title=_field(report, report.label_field).title,
            accepted=report.accepted.get(code) if first.severity == "BLOCK" else None,
            blocking=code in report.summary["blocked_by"],
            sentence=_cut(first.sentence, _SENTENCE_SHOWN) if len(sentences) == 1 else None,
            fix=first.fix if len(fixes) == 1 else None,
            lines=[_line(placed, index) for index in group[: _ROWS_SHOWN[first.severity]]],
            rest=[_cut(sentence, _SENTENCE_SHOWN) for sentence in rest],
            rows=rows if left_out else None,
            close_ups=list(_close_ups(report, placed, group, close_ups, row_shapes)),
        )


def _owners(groups: Sequence[_Group]) -> Iterator[tuple[str, str, int, list[_Group]]]:
    """Groups by who must mend them, as (heading, sentence, findings, groups): who has the gravest comes first."""
    owners = list(dict.fromkeys(group.owner for group in groups if group.accepted is None))
    for owner in sorted(owners, key=lambda owner: list(_OWNERS).index(owner)):
        members = [group for group in groups if group.owner == owner and group.accepted is None]
        _, heading, sentence = _OWNERS[owner]
        yield heading, sentence, sum(group.count for group in members), members


def _line(placed: PlacedFindings, index: int) -> _Line:
    finding = placed.findings[index]
    return _Line(
        finding.row_no,
        placed.labels[index],
        finding.column,
        None if finding.value is None else _cut(finding.value, _VALUE_SHOWN),
        _cut(finding.sentence, _SENTENCE_SHOWN),
        finding.fix,
        _spot(placed, index),
    )


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def _spot(placed: PlacedFindings, index: int) -> str | None:
    """Name of the place on the map: one for each row, so that two findings of a row meet in it; else one of its own."""
    if placed.places[index] is None:
        return None
    row_no = placed.findings[index].row_no
    return f"{placed.datasets[index]}-" + (f"place-{index + 1}" if row_no is None else f"row-{row_no}")


def _short_name(report: ReportInput, place: int) -> str:
    """What to write beside a row's point in a small drawing: of an address the house number."""
    found = re.match(r"\d\S*", report.label(int(report.row_no[place])) or "")
    return found[0] if found else ""


def _close_ups(
    report: ReportInput, placed: PlacedFindings, group: Sequence[int], draw: CloseUps, row_shapes: Shapes
) -> Iterator[tuple[_Line, Markup]]:
    """Drawings of the first places; of a mere note only where a place was marked on purpose."""
    if not _has_shapes(report):
        return
    shown: set[tuple[float, ...]] = set()
    spots = ("Point", "MultiPoint") if _shape(report) == "Point" else ("Point",)
    for index in group:
        finding, place = placed.findings[index], placed.places[index]
        if len(shown) == _CLOSE_UPS_SHOWN or (
            finding.severity == "NOTE" and (finding.shape is None or place is None or place.geom_type not in spots)
        ):
            return
        if place is None or place.bounds in shown or (finding.row_no is None and place.geom_type == "MultiPoint"):
            continue
        shown.add(place.bounds)
        around = None
        if finding.shape is not None and finding.row_no is not None and _shape(report) == "MultiPolygon":
            around = row_shapes[int(np.searchsorted(report.row_no, finding.row_no))]
        yield _line(placed, index), Markup(draw.draw(place, around, finding.severity))


# ── the verdict ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Verdict:
    """One word, the sentence, why, and what to do next as (what, how, command, points) in order."""

    noun: str
    word: str
    outcome: str
    sentence: str
    meaning: str
    steps: list[tuple[str, str, str | None, float]]


def _verdict(report: ReportInput, groups: Sequence[_Group]) -> _Verdict:
    mine = [group for group in groups if group.anchor == f"{report.dataset}-{group.code}"]
    summary, rows = report.summary, report.summary["rows"]
    subject = f"{summary['town']}’s {report.noun} for {summary['year']}"
    live = rows["unchanged"] + rows["changed"] + rows["removed"]
    held, outcome = _held_sentence(rows["held"]), summary["outcome"]
    if outcome == "refused":
        # Parts go together: one that has nothing wrong is refused for what stops the other.
        stops = [group for group in mine if group.blocking] or [group for group in groups if group.blocking]
        sentence = f"{subject} {'would be' if summary['dry'] else 'were'} refused: {_because(stops)}."
        kept = (
            f"What is live stays live: {plain_number(live)} {report.noun}." if live else "Nothing that is live changed."
        )
        why = next((group.sentence for group in stops if group.sentence), None) or ""
        told = (
            "This was a check only: nothing was handed in, and nothing changed."
            if summary["dry"]
            else f"{kept} The file is kept, and not used."
        )
        meaning = f"{why} {told}"
    elif outcome == "ok":
        sentence = f"{subject} would be accepted."
        meaning = f"This was a check only: nothing was published. Handed in, {_of_all(rows)} would go live. {held}"
        if not _differs(report):
            meaning = (
                "This was a check only. The file says the same as what is live,"
                f" so handing it in would change nothing. {held}"
            )
    elif outcome == "unchanged":
        sentence = f"{subject} are unchanged."
        meaning = f"The file says the same as what was live already, so nothing was written. {held}"
    else:
        sentence = f"{subject} are published."
        meaning = f"{_of_all(rows).capitalize()} are live now. {held}"
    word = {"refused": "Refused", "ok": "Checked", "unchanged": "Unchanged"}.get(outcome, "Published")
    return _Verdict(
        report.noun,
        "Checked" if summary["dry"] else word,
        outcome,
        sentence,
        meaning.strip(),
        list(_steps(report, mine)),
    )


def _because(groups: Sequence[_Group]) -> str:
    """The first of what stops a delivery, to stand inside of a sentence, and how many more there are."""
    titles = [group.title for group in groups]
    more = f", and {plain_number(len(titles) - 1)} more" if len(titles) > 1 else ""
    return f"{titles[0][:1].lower()}{titles[0][1:]}{more}"


def _differs(report: ReportInput) -> bool:
    rows = report.summary["rows"]
    return bool(rows["added"] or rows["changed"] or rows["removed"])


def _of_all(rows: Mapping[str, int]) -> str:
    if rows["published"] == rows["read"]:
        return f"all {plain_number(rows['read'])} rows"
    return f"{plain_number(rows['published'])} of {plain_number(rows['read'])} rows"


def _held_sentence(held: int) -> str:
    if not held:
        return "No row is held back."
    return (
        "1 row is held back until it is mended."
        if held == 1
        else f"{plain_number(held)} rows are held back until they are mended."
    )


def _steps(report: ReportInput, groups: Sequence[_Group]) -> Iterator[tuple[str, str, str | None, float]]:
    """What to do, in order: what stops the file, what holds rows, then the file itself."""
    blocking = [group for group in groups if group.blocking]
    for group in blocking:
        yield group.title, group.fix or group.lines[0].fix, None, 0.0
    for group in groups:
        if group.severity == "ERROR":
            what = f"{group.title} ({plain_number(group.count)})"
            yield what, group.fix or group.lines[0].fix, None, group.points
    if blocking:
        yield (
            "Then send the file again",
            "Run the check first: it says what this report says, and changes nothing.",
            None,
            0.0,
        )
        if all(report.log.check(group.code).acceptable for group in blocking):
            options = " ".join(f"--accept {group.code}" for group in blocking)
            yield (
                "If the file is right as it is",
                "It can be accepted with a reason that others will read:",
                f'{options} --reason "…"',
                0.0,
            )
        return
    if report.summary["outcome"] == "ok" and _differs(report):
        held = report.summary["rows"]["held"]
        how = "What is still wrong then is held back; the rest goes live." if held else "It can be submitted as it is."
        yield "Hand the file in", how, None, 0.0
    elif any(group.severity == "ERROR" for group in groups):
        yield (
            "Then send the file again",
            "Only what differs is written; rows that are live stay as they are.",
            None,
            0.0,
        )
    law = report.log.standard.score_of(report.dataset)
    for gain in report.score.gains if report.score else ():
        if gain.missing:
            how = f"It is due each year by {law.due.said}." if law.due else ""
            yield f"Send the {law.files[gain.dataset]} too", how, None, gain.points
    looks = [group for group in groups if group.severity == "WARN"]
    if looks:
        counted = plain_count(sum(group.count for group in looks), "finding")
        yield (
            f"When there is time, look at {counted} below",
            "It stops nothing." if counted.startswith("1 ") else "They stop nothing.",
            None,
            sum(group.points for group in looks),
        )


def _figures(report: ReportInput, groups: Sequence[_Group]) -> list[tuple[Severity, str, int]]:
    """Numbers of findings for the head, as (severity, words, how many)."""
    return [
        (
            severity,
            _SEVERITIES[severity][0],
            sum(group.count for group in groups if group.severity == severity and group.accepted is None),
        )
        for severity in SEVERITIES
    ]


# ── against last year ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Compared:
    """One amount of last year and of now, as words; `change` has its sign."""

    what: str
    before: str
    now: str
    change: str
    share: str


def _against(report: ReportInput) -> dict[str, Any] | None:
    """The live version and this file side by side; None where there is nothing to compare with."""
    found = [part for part in report.parts if part.against]
    if not found:
        return None
    lines = []
    for part in found:
        against = part.against
        assert against is not None
        lines.append(_compared(part.noun.capitalize(), *against.rows))
        if against.area_sqft and _shape(part) == "MultiPolygon":
            before, now = against.area_sqft
            lines.append(_compared("Acres", before / SQFT_PER_ACRE, now / SQFT_PER_ACRE, 2))
        if against.value_usd:
            lines.append(_compared("Assessed value, $", *against.value_usd))
    first = found[0].against
    assert first is not None
    day = first.published_on
    return {"year": first.year, "published": f"{day:%B} {day.day}, {day.year}", "lines": lines}


def _compared(what: str, before: float, now: float, decimals: int = 0) -> _Compared:
    change = round(now - before, decimals)
    sign = "+" if change > 0 else "−" if change < 0 else "±"
    share = plain_share(abs(now / before - 1)) if before and change else ""
    share = f"{sign}{share}" if share[:1].isdigit() else share
    return _Compared(
        what,
        plain_number(before, decimals),
        plain_number(now, decimals),
        f"{sign}{plain_number(abs(change), decimals)}",
        share,
    )


def _met(report: ReportInput) -> list[tuple[str, int, str]]:
    """How the rows meet what is live, as (word, rows, explanation); empty if they were not compared."""
    rows = report.summary["rows"]
    said = dict(_MET)
    if rows["within_tolerance"]:
        said["unchanged"] = (
            f"{plain_number(rows['within_tolerance'])} of them differ by less than a survey could tell"
            f" (at most {plain_number(report.summary['largest_shift_ft'], 3)} ft) and were left alone"
        )
    return [(name, rows[name], said[name]) for name in _MET] if any(rows[name] for name in _MET) else []


def _lineage(report: ReportInput) -> Iterator[tuple[str, int, str, list[str], int]]:
    """What became of rows, as (kind, rows, explanation, examples, more)."""
    counts = report.lineage
    for kind in [kind for kind in _KINDS if counts.get(kind)] + [kind for kind in counts if kind not in _KINDS]:
        examples = list(report.lineage_examples.get(kind, ()))
        shown = [_cut(example, _VALUE_SHOWN) for example in examples[:_EXAMPLES_SHOWN]]
        yield kind, counts[kind], _KINDS.get(kind, ""), shown, max(counts[kind] - len(shown), 0) if shown else 0


@dataclass(frozen=True)
class _Filled:
    """A field's completeness now and before, and the change in words."""

    title: str
    level: str
    now: float
    before: float | None

    @property
    def change(self) -> str:
        if self.before is None or round(self.now - self.before, 3) == 0:
            return ""
        return f"{'+' if self.now > self.before else '−'}{plain_number(abs(self.now - self.before) * 100, 1)}"


def _completeness(report: ReportInput) -> Iterator[_Filled]:
    """What the standard asks for first."""
    levels = list(_LEVELS)
    fields = [(_field(report, name), now, before) for name, (now, before) in report.completeness.items()]
    for item, now, before in sorted(fields, key=lambda entry: levels.index(entry[0].level)):
        yield _Filled(item.title, _LEVELS[item.level], now, before)


# ── the map ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _fabric(report: ReportInput) -> Shapes:
    """The parcels under the marks: of the dataset that has shapes of its own."""
    found = [part.shapes for part in report.parts if _has_shapes(part)]
    return found[0] if found else report.shapes


def _marks(report: ReportInput, placed: PlacedFindings, groups: Sequence[_Group]) -> Iterator[Mark]:
    """One mark for each row and kind of shape, of its gravest finding; those that a table links to are anchors."""
    spots = {line.spot for group in groups for line in group.lines if line.spot}
    seen: set[tuple[int | None, bool]] = set()
    anchored: set[str] = set()
    for index, finding in enumerate(placed.findings):
        place, spot = placed.places[index], _spot(placed, index)
        if place is None:
            continue
        if finding.row_no is not None and _shape(report) == "Point":
            place = shapely.get_parts(place)[0]
        key = (finding.row_no, place.geom_type == "Point")
        if finding.row_no is not None and key in seen:
            continue
        seen.add(key)
        anchor = spot if spot in spots and spot not in anchored else None
        if anchor:
            anchored.add(anchor)
        label = f" · {placed.labels[index]}" if placed.labels[index] else ""
        where = f"Row {finding.row_no}{label}: " if finding.row_no is not None else ""
        yield Mark(place, finding.severity, f"{where}{finding.title}", anchor)


def _marked(marks: Sequence[Mark]) -> list[tuple[Severity, str, int]]:
    """The map's legend: words and number of marks, by severity."""
    counts = Counter(mark.severity for mark in marks)
    return [(severity, _SEVERITIES[severity][0], counts[severity]) for severity in SEVERITIES if counts[severity]]


def _map_note(report: ReportInput, drawing: TownMap) -> str | None:
    if shapely.is_missing(_fabric(report)).all():
        return "Nothing could be placed, so only the town’s outline is drawn."
    if drawing.shapes_off:
        many = f"{plain_count(drawing.shapes_off, 'row')} {'lies' if drawing.shapes_off == 1 else 'lie'}"
        return f"{many} too far from the town to be drawn."
    return None


# ── the ledger and how the file was read ─────────────────────────────────────────────────────────────────────────────


def _ledger(report: ReportInput) -> list[tuple[str, str, int | None, float | None]]:
    """Lines as (sign, words, rows, square feet); None where a line has no such amount."""
    summary = report.summary
    rows, area = summary["rows"], summary["area_sqft"]
    published, held = (
        ("Would be published", "Would be held back") if summary["outcome"] == "ok" else ("Published", "Held back")
    )
    if summary["outcome"] == "refused":
        held = "Held: the whole file is refused"
    if _shape(report) != "MultiPolygon":
        return [
            ("", "Read from the file", rows["read"], None),
            ("=", published, rows["published"], None),
            ("+", held, rows["held"], None),
            ("+", "Ignored by a named rule", rows["ignored"], None),
        ]
    added = area["repaired"] < 0
    repaired = "added" if added else "taken away" if area["repaired"] else "moved"
    return [
        ("", "Read from the file", rows["read"], area["read"]),
        ("=", published, rows["published"], area["published"]),
        ("+", held, rows["held"], area["held"]),
        ("+", "Ignored by a named rule", rows["ignored"], None),
        ("−" if added else "+", f"Land {repaired} by repairs of broken boundaries", None, abs(area["repaired"])),
    ]


@dataclass(frozen=True)
class _Column:
    """A delivered column for the reader: what became of it, where it went, how that was known."""

    name: str
    fate: str
    where: str
    field: str | None
    how: str
    score: crosswalk.Score | None


def _reading(report: ReportInput) -> dict[str, Any]:
    """How one file was read: position, join key, columns, facts."""
    columns = list(_columns(report))
    chosen = report.summary["crs"]["epsg"] if report.crs_tried else None
    tried = sorted(report.crs_tried, key=lambda tried: (tried.epsg != chosen, -tried.share_in_town))
    crs = [
        (each.epsg, accepted_title(each.epsg, report.log.standard), each.share_in_town, each.shift_ft)
        for each in tried[:_TRIED_SHOWN]
    ]
    return {
        "noun": report.noun,
        "file": report.summary["file"],
        "position": _position(report),
        "crs_tried": crs,
        "chosen_crs": chosen,
        "keys_tried": report.keys_tried[:_TRIED_SHOWN],
        "columns": columns[:_COLUMNS_SHOWN],
        "more_columns": max(0, len(columns) - _COLUMNS_SHOWN),
        "joins": any(column.score is not None and column.score.join is not None for column in columns),
        "facts": _facts(report),
    }


def _position(report: ReportInput) -> list[str]:
    if not _has_shapes(report):
        return []
    crs, town = report.summary["crs"], report.summary["town"]
    storage = report.log.standard.header.storage_crs
    if crs["epsg"] is None:
        reasons = [finding.sentence for finding in report.log.findings if finding.code == "CRS_UNKNOWN"]
        return reasons or ["The coordinate system could not be settled."]
    name = f"EPSG:{crs['epsg']}, {accepted_title(crs['epsg'], report.log.standard)}"
    share = plain_share(crs["share_in_town"])
    said = [f"Coordinate system: {name}."]
    if crs["how"] == "declared":
        enough = report.log.check("WRONG_PLACE").limits["share_min"]
        fits = "and it fits: read so," if crs["share_in_town"] >= enough else "but read so,"
        said.append(f"The file says so itself, {fits} {share} of the {report.noun} lie in {town}.")
    elif crs["how"] == "reviewed":
        said.append(f"The town’s reviewed file says so; read so, {share} of the {report.noun} lie in {town}.")
    elif crs["how"] == "named":
        said.append(
            "Columns for longitude and latitude say so by their names;"
            f" read so, {share} of the {report.noun} lie in {town}."
        )
    else:
        said.append(
            f"The file does not say so. It was assumed, because {share} of the {report.noun} then lie in {town};"
            " everything published from it is labelled as assumed."
        )
        if crs["alternatives"]:
            others = ", ".join(f"EPSG:{epsg}" for epsg in crs["alternatives"])
            said.append(
                f"{others} write the same place with the same numbers, so it makes no difference which one it was."
            )
    said.append(f"Stored and measured in EPSG:{storage}, {accepted_title(storage, report.log.standard)}.")
    return said


def _columns(report: ReportInput) -> Iterator[_Column]:
    scores = {(score.column, score.field): score for score in report.scores}
    for name, account in report.columns.items():
        fate = account["fate"]
        if fate == "mapped":
            field = _field(report, account["field"])
            score = scores.get((name, field.name))
            how = _HOW.get(account["how"]) or (
                "by its name" if score and score.name else "by what its values look like"
            )
            yield _Column(name, fate, field.title, field.name, how, score)
        else:
            reason = {
                "ignored": account.get("reason", ""),
                "withheld": "It holds persons. It was stripped at the door and is in no table, map or report.",
                "unmapped": "Kept with the original file, and not published.",
            }[fate]
            yield _Column(name, _FATES[fate], reason, None, "", None)


def _facts(report: ReportInput) -> list[tuple[str, str]]:
    """The file in words and counts."""
    file = report.summary["file"]
    described = [("Kind", file["kind"]), ("Layer", f"{file['layer']} ({file['why_this_layer']})")]
    if file["encoding"]:
        described.append(("Text encoding", file["encoding"]))
    described.append(("Size", f"{plain_number(file['bytes'] / 1e6, 1)} MB"))
    return described + [
        (_fact_words(report, name), plain_number(count)) for name, count in report.summary["facts"].items()
    ]


def _fact_words(report: ReportInput, name: str) -> str:
    if name in _FACTS:
        return _FACTS[name]
    for prefix, words in (
        ("blank_", "Rows with an empty “{}”"),
        ("rows_sharing_a_", "Rows that share their “{}” with another"),
    ):
        if name.startswith(prefix):
            return words.format(_field(report, name.removeprefix(prefix)).title)
    return name.replace("_", " ").capitalize()


def _has_shapes(report: ReportInput) -> bool:
    return has_shapes(report.log.standard.table(report.dataset))


def _shape(report: ReportInput) -> str | None:
    return shape_type(report.log.standard.table(report.dataset))


def _field(report: ReportInput, name: str) -> StandardField:
    return report.log.standard.table(report.dataset).field(name)
