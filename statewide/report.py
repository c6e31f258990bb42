"""The report folder of a delivery: `report.html` for people, `report.json`, `findings.csv` and `findings.gpkg`.

Decides what the page says and in which order; `statewide.report_map` draws, `statewide.report_files` writes the others.
Sentences about findings are the law's. A folder stands whole or not at all.
"""

from __future__ import annotations

import datetime as dt
import errno
import functools
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt
import shapely
from markupsafe import Markup
from shapely.geometry.base import BaseGeometry

from statewide.crosswalk import Score
from statewide.errors import BadArgument, StorageFull, no_room
from statewide.findings import FindingLog, plain_number, plain_share
from statewide.geometry import SQFT_PER_ACRE, Shapes, accepted_title
from statewide.report_files import PlacedFindings, place_findings, write_csv, write_gpkg, write_json
from statewide.report_map import CloseUps, Mark, TownMap, town_map
from statewide.standard import SEVERITIES, Owner, Severity, StandardField

_ROWS_SHOWN: dict[Severity, int] = {"BLOCK": 25, "ERROR": 25, "WARN": 25, "NOTE": 8}
_CLOSE_UPS_SHOWN = 4
_VALUE_SHOWN = 80

_OWNERS: dict[Owner, str] = {
    "town": "the town",
    "vendor": "the town’s map vendor",
    "cog": "the council of governments",
    "state": "the State’s GIS office",
    "platform": "nobody in town: this is ours",
}
_SEVERITIES: dict[Severity, tuple[str, str, str]] = {
    "BLOCK": (
        "stop the file",
        "What stops the whole file",
        "Nothing of the file is published while one of these stands.",
    ),
    "ERROR": (
        "hold a row",
        "What holds rows back",
        "A held row is kept whole, with its reasons, but not published until it is mended. The others do not wait.",
    ),
    "WARN": (
        "deserve a look",
        "What deserves a look",
        "These do not stop anything, but something is probably wrong.",
    ),
    "NOTE": ("for information", "For information", "Harmless, or taken care of already."),
}
_ACCEPTED = (
    "accepted on purpose",
    "What was accepted on purpose",
    "It would have stopped the file; whoever handed it in accepted it with a reason, which is kept.",
)
_FATES = {"unmapped": "not recognised", "ignored": "set aside", "withheld": "stripped"}
_HOW = {"saved": "as in the last delivery", "reviewed": "reviewed by hand"}
_FACTS = {
    "rows": "Rows in the file",
    "null_geometry": "Rows without a shape",
    "invalid_geometry": "Shapes whose boundary is not valid",
    "multipart": "Shapes of several parts",
    "rows_sharing_a_geometry": "Rows that share their exact shape with another",
}


@dataclass(frozen=True)
class ReportInput:
    """What a report is made of.

    `shapes` and `given` are the valid and the delivered shapes in the storage CRS, in row order (`row_no` beside them);
    `label_field` is the field that names a row for a reader, `label` gives it; `columns` accounts for every delivered
    column; `held` is row → codes.
    """

    summary: Mapping[str, Any]
    log: FindingLog
    town_outline: BaseGeometry
    row_no: npt.NDArray[np.int64]
    shapes: Shapes
    given: Shapes
    held: Mapping[int, list[str]]
    label_field: str
    label: Callable[[int], str | None]
    columns: Mapping[str, Mapping[str, str]]
    scores: tuple[Score, ...]
    noun: str
    received_at: dt.datetime
    accepted: Mapping[str, str]
    isolation: tuple[str, ...]


@contextmanager
def write_report(folder: Path, report: ReportInput) -> Iterator[None]:
    """Write the four files beside the folder; when the block ends well they move in, when it does not, they go.

    The folder appears whole, or its files are replaced one by one.

    Raises:
        BadArgument: the folder is a file, or may not be written; said before the block begins.
        StorageFull: no room.
    """
    folder = folder.absolute()
    partial = folder.with_name(f".{folder.name}.{report.summary['submission']}")
    try:
        with _told(folder):
            if folder.exists() and not folder.is_dir():
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
                raise OSError(errno.EACCES, os.strerror(errno.EACCES))
            partial.mkdir(parents=True)
            _write_files(partial, report)
        yield
        with _told(folder):
            if folder.is_dir():
                # Other files may live there too, so they stay. The page comes last: it links to the others.
                for file in sorted(partial.iterdir(), key=lambda path: path.suffix == ".html"):
                    file.replace(folder / file.name)
            else:
                partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turn what went wrong with the disk into the sentence for whoever named the folder."""
    try:
        yield
    except OSError as error:
        if no_room(error):
            raise StorageFull("There is no room to write the report.") from error
        raise BadArgument(f"The report cannot be written to {folder}: {error.strerror}.") from error


def _write_files(folder: Path, report: ReportInput) -> None:
    standard = report.log.standard
    placed = place_findings(
        list(report.log.sorted()), standard, row_no=report.row_no, row_shapes=_row_shapes(report), label=report.label
    )
    head = {
        **report.summary,
        "received_at": report.received_at.isoformat(),
        "accepted": report.accepted,
        "columns": report.columns,
        "scores": [vars(score) for score in report.scores],
        **_versions(report),
        "isolation": report.isolation,
    }
    write_json(folder / "report.json", head, placed)
    write_csv(folder / "findings.csv", placed, report.label_field)
    write_gpkg(folder / "findings.gpkg", placed, report.label_field, standard.header.storage_crs)
    (folder / "report.html").write_text(_page(report, placed), encoding="utf-8")


def _versions(report: ReportInput) -> dict[str, Any]:
    standard, year = report.log.standard, report.log.year
    profiles = {profile for check in standard.checks.values() for profile in check.severity}
    return {
        "standard_version": standard.header.version,
        "software_version": version("statewide"),
        "profile_year": max((profile for profile in profiles if profile <= year), default=min(profiles)),
    }


def _row_shapes(report: ReportInput) -> Shapes:
    """Per row: the delivered shape of a held row, the published shape of the others."""
    held = np.isin(report.row_no, list(report.held)) | shapely.is_missing(report.shapes)
    found: Shapes = np.where(held, report.given, report.shapes)
    return found


# ── the page ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Verdict:
    """The sentence, what it means, and what to do next as (what, how, command) in order."""

    sentence: str
    meaning: str
    steps: list[tuple[str, str, str | None]]


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
    """The findings of one check; `sentence` and `fix` are set where all of them share it."""

    code: str
    title: str
    severity: Severity
    count: int
    owner: str
    accepted: str | None
    sentence: str | None
    fix: str | None
    lines: list[_Line]
    close_ups: list[tuple[_Line, Markup]]

    @property
    def more(self) -> int:
        return self.count - len(self.lines)

    def any(self, name: str) -> bool:
        """Whether any line has something under that name, so that its column is worth showing."""
        return any(getattr(line, name) is not None for line in self.lines)

    def one(self, name: str) -> bool:
        """Whether all lines say the same under that name."""
        return len({getattr(line, name) for line in self.lines}) == 1


def _page(report: ReportInput, placed: PlacedFindings) -> str:
    groups = sorted(_groups(report, placed), key=lambda group: (SEVERITIES.index(group.severity), -group.count))
    spots = {line.spot for group in groups for line in group.lines if line.spot}
    drawing = town_map(report.town_outline, report.shapes, list(_marks(placed, spots)))
    return _template().render(
        summary=report.summary,
        noun=report.noun,
        label_title=_field(report, report.label_field).title,
        verdict=_verdict(report, groups),
        sections=list(_sections(groups)),
        groups=groups,
        ledger=_ledger(report),
        changes=_changes(report),
        map=Markup(drawing.svg),
        map_note=_map_note(report, drawing),
        marked=_marked(placed),
        position=_position(report),
        columns=list(_columns(report)),
        facts=_facts(report),
        needless=[code for code in report.accepted if code not in report.summary["findings"]],
        received=f"{report.received_at:%B} {report.received_at.day}, {report.received_at:%Y, %H:%M} UTC",
        isolation=report.isolation,
        **_versions(report),
    )


def _sections(groups: Sequence[_Group]) -> Iterator[tuple[Severity, tuple[str, str, str], list[_Group]]]:
    """The groups under their headings, as (severity, words, groups); what was accepted stands by itself."""
    for severity in SEVERITIES:
        members = [group for group in groups if group.severity == severity]
        yield severity, _SEVERITIES[severity], [group for group in members if group.accepted is None]
        if accepted := [group for group in members if group.accepted is not None]:
            yield severity, _ACCEPTED, accepted


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
    return environment.get_template("report.html.j2")


def _verdict(report: ReportInput, groups: Sequence[_Group]) -> _Verdict:
    summary, rows = report.summary, report.summary["rows"]
    subject = f"{summary['town']}’s {report.noun} for {summary['year']}"
    live = rows["unchanged"] + rows["changed"] + rows["removed"]
    held = _held_sentence(rows["held"])
    outcome = summary["outcome"]
    if outcome == "refused":
        sentence = f"{subject} {'would be' if summary['dry'] else 'were'} refused: {_because(report, groups)}."
        kept = (
            f"What is live stays live: {plain_number(live)} {report.noun}." if live else "Nothing that is live changed."
        )
        if summary["dry"]:
            meaning = "This was a check only: nothing was handed in, and nothing changed."
        else:
            meaning = f"{kept} The file is kept, and not used."
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
    return _Verdict(sentence, meaning.strip(), list(_steps(report, groups)))


def _because(report: ReportInput, groups: Sequence[_Group]) -> str:
    """The first reason of a refusal, to stand inside of a sentence, and how many more there are."""
    titles = [group.title for group in groups if group.code in report.summary["blocked_by"]]
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


def _steps(report: ReportInput, groups: Sequence[_Group]) -> Iterator[tuple[str, str, str | None]]:
    """What to do, in order: what stops the file, what holds rows, then the file itself."""
    blocking = [group for group in groups if group.code in report.summary["blocked_by"]]
    for group in blocking:
        yield group.title, group.fix or group.lines[0].fix, None
    for group in groups:
        if group.severity == "ERROR":
            yield f"{group.title} ({plain_number(group.count)})", group.fix or group.lines[0].fix, None
    if blocking:
        yield (
            "Then send the file again",
            "Run the check first: it says what this report says, and changes nothing.",
            None,
        )
        if all(report.log.check(group.code).acceptable for group in blocking):
            options = " ".join(f"--accept {group.code}" for group in blocking)
            yield (
                "If the file is right as it is",
                "It can be accepted with a reason that others will read:",
                f'{options} --reason "…"',
            )
        return
    if report.summary["outcome"] == "ok" and _differs(report):
        held = report.summary["rows"]["held"]
        how = "What is still wrong then is held back; the rest goes live." if held else "It can be submitted as it is."
        yield "Hand the file in", how, None
    elif any(group.severity == "ERROR" for group in groups):
        yield "Then send the file again", "Only what differs is written; rows that are live stay as they are.", None
    looks = sum(group.count for group in groups if group.severity == "WARN")
    if looks:
        counted = f"{plain_number(looks)} {'finding' if looks == 1 else 'findings'}"
        yield f"When there is time, look at {counted} below", "They stop nothing.", None


def _groups(report: ReportInput, placed: PlacedFindings) -> Iterator[_Group]:
    """The findings check by check; `placed` is sorted so already."""
    close_ups = CloseUps(report.shapes)
    row_shapes = _row_shapes(report)
    indices = range(len(placed.findings))
    for (severity, code), members in groupby(
        indices, lambda index: (placed.findings[index].severity, placed.findings[index].code)
    ):
        group = list(members)
        findings = [placed.findings[index] for index in group]
        sentences, fixes = {finding.sentence for finding in findings}, {finding.fix for finding in findings}
        yield _Group(
            code=code,
            title=findings[0].title,
            severity=severity,
            count=len(group),
            owner=_OWNERS[findings[0].owner],
            accepted=report.accepted.get(code),
            sentence=findings[0].sentence if len(sentences) == 1 else None,
            fix=findings[0].fix if len(fixes) == 1 else None,
            lines=[_line(placed, index) for index in group[: _ROWS_SHOWN[severity]]],
            close_ups=list(_close_ups(report, placed, group, close_ups, row_shapes)),
        )


def _line(placed: PlacedFindings, index: int) -> _Line:
    finding = placed.findings[index]
    value = finding.value
    if value is not None and len(value) > _VALUE_SHOWN:
        value = f"{value[:_VALUE_SHOWN]}…"
    spot = _spot(placed, index)
    return _Line(finding.row_no, placed.labels[index], finding.column, value, finding.sentence, finding.fix, spot)


def _spot(placed: PlacedFindings, index: int) -> str | None:
    """Name of the place on the map: one for each row, so that two findings of a row meet in it."""
    row_no = placed.findings[index].row_no
    return None if placed.places[index] is None or row_no is None else f"row-{row_no}"


def _close_ups(
    report: ReportInput, placed: PlacedFindings, group: Sequence[int], draw: CloseUps, row_shapes: Shapes
) -> Iterator[tuple[_Line, Markup]]:
    """Drawings of the first places; of a mere note only where a place was marked on purpose."""
    shown: set[tuple[float, ...]] = set()
    for index in group:
        finding, place = placed.findings[index], placed.places[index]
        if len(shown) == _CLOSE_UPS_SHOWN or (
            finding.severity == "NOTE" and (place is None or place.geom_type != "Point")
        ):
            return
        if place is None or finding.row_no is None or place.bounds in shown:
            continue
        shown.add(place.bounds)
        around = row_shapes[int(np.searchsorted(report.row_no, finding.row_no))] if finding.shape is not None else None
        yield _line(placed, index), Markup(draw.draw(place, around, finding.severity))


def _marks(placed: PlacedFindings, spots: set[str]) -> Iterator[Mark]:
    """One mark for each row and kind of shape, of its gravest finding; those that a table links to are anchors."""
    seen: set[tuple[int | None, bool]] = set()
    anchored: set[str] = set()
    for index, finding in enumerate(placed.findings):
        place, spot = placed.places[index], _spot(placed, index)
        if place is None:
            continue
        key = (finding.row_no, place.geom_type == "Point")
        if finding.row_no is not None and key in seen:
            continue
        seen.add(key)
        anchor = spot if spot in spots and spot not in anchored else None
        if anchor:
            anchored.add(anchor)
        label = f" · {placed.labels[index]}" if placed.labels[index] else ""
        yield Mark(place, finding.severity, f"Row {finding.row_no}{label}: {finding.title}", anchor)


def _marked(placed: PlacedFindings) -> dict[Severity, tuple[str, int]]:
    """The map's legend: heading and number of findings with a place, by severity."""
    counts = Counter(
        finding.severity for finding, place in zip(placed.findings, placed.places, strict=True) if place is not None
    )
    return {severity: (_SEVERITIES[severity][1], counts[severity]) for severity in SEVERITIES}


def _map_note(report: ReportInput, drawing: TownMap) -> str | None:
    if shapely.is_missing(report.shapes).all():
        return "No shape could be placed, so only the town’s outline is drawn."
    if drawing.shapes_off:
        many = f"{plain_number(drawing.shapes_off)} {'shape lies' if drawing.shapes_off == 1 else 'shapes lie'}"
        return f"{many} too far from the town to be drawn."
    return None


def _ledger(report: ReportInput) -> list[tuple[str, str, int | None, float | None]]:
    """Lines as (sign, words, rows, square feet); None where a line has no such amount."""
    summary = report.summary
    rows, area = summary["rows"], summary["area_sqft"]
    published, held = (
        ("Would be published", "Would be held back") if summary["outcome"] == "ok" else ("Published", "Held back")
    )
    if summary["outcome"] == "refused":
        held = "Held: the whole file is refused"
    added = area["repaired"] < 0
    repaired = "added" if added else "taken away" if area["repaired"] else "moved"
    return [
        ("", "Read from the file", rows["read"], area["read"]),
        ("=", published, rows["published"], area["published"]),
        ("+", held, rows["held"], area["held"]),
        ("+", "Ignored by a named rule", rows["ignored"], None),
        ("−" if added else "+", f"Land {repaired} by repairs of broken boundaries", None, abs(area["repaired"])),
    ]


def _changes(report: ReportInput) -> list[tuple[str, int, str]]:
    """How the file meets what is live, as (word, rows, explanation); empty if it was not compared."""
    rows = report.summary["rows"]
    close = ""
    if rows["within_tolerance"]:
        close = (
            f"{plain_number(rows['within_tolerance'])} of them differ by less than a survey could tell"
            f" (at most {plain_number(report.summary['largest_shift_ft'], 3)} ft) and were left alone"
        )
    changes = [
        ("added", rows["added"], "not live before"),
        ("changed", rows["changed"], "live, with another shape or another value"),
        ("removed", rows["removed"], "live, and not among the rows that can be published"),
        ("unchanged", rows["unchanged"], close or "live, and the same in the file"),
    ]
    return changes if any(count for _, count, _ in changes) else []


def _position(report: ReportInput) -> list[str]:
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
        said.append(f"The file says so itself, {fits} {share} of the shapes lie in {town}.")
    else:
        said.append(
            f"The file does not say so. It was assumed, because {share} of the shapes then lie in {town};"
            " everything published from it is labelled as assumed."
        )
        if crs["alternatives"]:
            others = ", ".join(f"EPSG:{epsg}" for epsg in crs["alternatives"])
            said.append(
                f"{others} write the same place with the same numbers, so it makes no difference which one it was."
            )
    said.append(f"Stored and measured in EPSG:{storage}, {accepted_title(storage, report.log.standard)}.")
    return said


@dataclass(frozen=True)
class _Column:
    """A delivered column for the reader: what became of it, where it went, how that was known."""

    name: str
    fate: str
    where: str
    field: str | None
    how: str
    score: Score | None


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


def _field(report: ReportInput, name: str) -> StandardField:
    return report.log.standard.table(report.summary["dataset"]).field(name)
