"""The nine steps that every delivery walks through, told once for every dataset.

    receive → read (isolated) → crosswalk → geometry → conform → stage → check → GATE → replace the town

A room brings what is peculiar to its dataset as a `Dataset`; the order, the ledger, the gate and the report are the
hall's. A delivery may have several parts (parcels and the assessor's rows): they are judged together and published
together or not at all. An exception stops the walk and leaves the last good data; a finding is data for the town.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
import pyarrow as pa
import shapely

from statewide import files, ledger
from statewide.again import Asked, Earlier, find_earlier, once_more, record_again, remember_basis
from statewide.arrival import Rows, delivered_shapes, file_findings, settle, shape_facts, shape_findings
from statewide.conform import conform
from statewide.crosswalk import Crosswalk, Reviewed, propose, read_reviewed, withheld_columns
from statewide.database import Connection, connect, one_connection
from statewide.ddl import has_shapes, shape_type
from statewide.errors import BadArgument, PlatformError, StatewideError, StorageFull, no_room
from statewide.faults import keep_trace
from statewide.findings import FindingLog, plain_number
from statewide.geometry import Shapes, measured_sqft
from statewide.lineage import Lineage, keep_live, trace
from statewide.live import Live
from statewide.meeting import Arriving, Meet, Meeting
from statewide.reading_process import warm_up
from statewide.receiving import file_sha256
from statewide.register import Town, find_town, town_of
from statewide.replace import Derived, begin_for_town, followers, follows, replace_town
from statewide.report import copy_report, write_report
from statewide.report_input import Against, CrsTried, ReportInput
from statewide.score import Count, Score, ScoreInput, score
from statewide.settings import Settings
from statewide.shared_checks import say_kept_live
from statewide.staging import Staged, new_uid
from statewide.standard import Standard, Table, load_standard
from statewide.standing import against, carried_counts, completeness, in_time, score_input
from statewide.succession import Succession, succession
from statewide.workspace import workspace

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What the sender asks for.

    `file` is the file of the first dataset, `beside` holds those of the others by dataset. Without a town, the shapes
    of the first file tell it. `publish` is false for a dry check.
    """

    file: Path
    town: str | None
    year: int
    publish: bool = True
    layer: str | None = None
    accept: Mapping[str, str] = field(default_factory=dict)
    out: Path | None = None
    beside: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class TableCheck:
    """A check over the staged rows; `codes` are what it may find, for the message when it cannot run."""

    codes: tuple[str, ...]
    run: Callable[[Live, Staged, Rows, Town, FindingLog], None]

    def level(self, standard: Standard) -> str:
        """Whether it looks at the file, its rows, the delivery as a whole, or the delivery beside the live town."""
        return standard.checks[self.codes[0]].level


@dataclass(frozen=True)
class Dataset:
    """What a room brings to the nine steps.

    Args:
        table: name of the law's table.
        noun: what one row is called, in the plural.
        label: field that names a row for a reader.
        any_of: at least one of these fields must be found in the file.
        facts: counts of the file as given, before anything is cleaned.
        strip: takes persons out of the delivered values, once it is known which column is what.
        identify: adds the platform's own columns to the conformed rows and runs the row checks.
        checks: set-wise checks over the staged rows and against the live ones.
        derived: integer columns that depend on the other rows of the town.
        sources: folder with the reviewed mappings ``<town>.yml``.
    """

    table: str
    noun: str
    label: str
    any_of: tuple[str, ...]
    facts: Callable[[pa.Table, Crosswalk], dict[str, int]]
    identify: Callable[[Rows, Town, FindingLog], pa.Table]
    checks: tuple[TableCheck, ...]
    derived: Mapping[str, Callable[[Staged], npt.NDArray[np.int32]]]
    sources: Path
    strip: Callable[[pa.Table, Crosswalk, FindingLog], pa.Table] | None = None


@dataclass(frozen=True)
class Replaced:
    """A part of a delivery that was just published, for what hangs on it: `changed` says whether a row was written."""

    live: Live
    staged: Staged
    lineage: Lineage
    rows: Rows
    submission: str
    changed: bool


@dataclass(frozen=True)
class Delivery:
    """What a room takes in together.

    Args:
        datasets: the parts, in the order in which they are published.
        meet: finds how the parts, or one part and what is live, meet.
        matched: dataset → (rows that meet the other's, rows), of a part that would be published.
        settle: what else is written in the transaction that published the parts.
        place: where the rows of a part without shapes lie, for its report.
    """

    datasets: tuple[Dataset, ...]
    meet: Meet | None = None
    matched: Callable[[Live, Staged], dict[str, Count]] | None = None
    settle: Callable[[Settings, Connection, Town, Mapping[str, Replaced]], None] | None = None
    place: Callable[[Live, Rows], Shapes] | None = None


@dataclass(frozen=True)
class Outcome:
    """How a delivery ended: the summary that `--json` prints, and the findings of its parts, in their order.

    Of a delivery that was the very one that is live, sent once more, there are only their counts, in the summary.
    """

    summary: dict[str, Any]
    logs: tuple[FindingLog, ...]

    @property
    def log(self) -> FindingLog:
        """The findings of the first part."""
        return self.logs[0]

    @property
    def refused(self) -> bool:
        """Whether the gate stayed shut."""
        return bool(self.summary["outcome"] == "refused")


def take_in(settings: Settings, delivery: Delivery, request: Request, say: Say) -> Outcome:
    """Walk a delivery through the nine steps.

    Raises:
        InputError: the file cannot be used, the town is unknown, or an option makes no sense; nothing changed.
        PlatformError: database, disk or ledger; rolled back, nothing half done.
    """
    standard, datasets = load_standard(), delivery.datasets
    _require_sense(standard, datasets, request)
    settings.make_folders()
    warm_up()
    clock = _Clock(say)
    received_at = dt.datetime.now(dt.UTC)
    with one_connection():
        # The report is written before the commit, so that one that cannot be written leaves everything as it was, and
        # it appears after it, so that it never tells of what did not happen.
        with workspace(settings.home) as work, ExitStack() as after_commit, connect(settings) as connection:
            trip = _Trip(settings, standard, delivery, request, clock, received_at, connection, work, after_commit)
            with clock.step("receive"):
                named = find_town(connection, request.town) if request.town else None
                again = trip.again(named)
            town, summary, logs = again or trip.walk(named)
            if not request.publish:
                connection.rollback()
        if request.publish and not summary["blocked_by"]:
            with clock.step("overlays"):
                summary["behind"] = tell_the_rooms(settings, datasets, town, say)
    summary["seconds"] = clock.seconds()
    return Outcome(summary, logs)


class _Clock:
    """Seconds per step; a step that is entered twice adds up."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._spent: dict[str, float] = {}
        self._started = time.perf_counter()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        if name not in self._spent:
            self._say(f"{name} …")
        started = time.perf_counter()
        try:
            yield
        finally:
            self._spent[name] = self._spent.get(name, 0.0) + time.perf_counter() - started

    def seconds(self) -> dict[str, float]:
        spent = {name: round(seconds, 3) for name, seconds in self._spent.items()}
        return spent | {"total": round(time.perf_counter() - self._started, 3)}


@dataclass(frozen=True)
class _Arrived:
    """A part that was read: the file, its rows under the standard's names, and counts of the file as given."""

    reading: files.Reading
    rows: Rows
    facts: dict[str, int]


@dataclass(frozen=True)
class _Verdict:
    """What the checks decided about a part. `held` is row → codes; `blocking` names what shuts the gate."""

    held: dict[int, list[str]]
    blocking: tuple[str, ...]
    entries: ledger.Ledger
    staged: Staged
    live: Live
    lineage: Lineage
    succession: Succession
    against: Against | None
    completeness: Mapping[str, tuple[float, float | None]]
    scored: ScoreInput
    derived: Derived


@dataclass(frozen=True)
class _Known:
    """What is known of a town before its file is looked at: mappings, and the boxes of what is live."""

    saved: Mapping[str, str]
    reviewed: Reviewed
    boxes: Shapes | None


@dataclass(frozen=True)
class _Walk:
    """One part of a delivery on its walk: what stays the same from step to step, and the steps."""

    settings: Settings
    standard: Standard
    delivery: Delivery
    dataset: Dataset
    request: Request
    town: Town
    clock: _Clock
    received_at: dt.datetime
    submission: str = field(default_factory=new_uid)

    @functools.cached_property
    def log(self) -> FindingLog:
        """The findings of this part."""
        town = self.town
        return FindingLog(self.standard, self.dataset.table, self.request.year, town.town_name, town.cousub_fips)

    @property
    def table(self) -> Table:
        return self.standard.table(self.dataset.table)

    def known(self, connection: Connection) -> _Known:
        """Read what is known of the town."""
        saved = ledger.saved_crosswalk(connection, self.town.cousub_fips, self.dataset.table)
        reviewed = read_reviewed(self.dataset.sources / self.town.source_name, self.table)
        boxes = Live(connection, self.table, self.town.cousub_fips).boxes() if has_shapes(self.table) else None
        return _Known(saved, reviewed, boxes if boxes is not None and len(boxes) else None)

    def prepare(self, reading: files.Reading, delivered: Shapes, known: _Known, meeting: Meeting) -> _Arrived:
        """Crosswalk, geometry and conform: the rows under the standard's names, and facts of the file as given."""
        with self.clock.step("geometry"):
            facts = shape_facts(reading, delivered)
        source = reading.table.drop_columns(["geometry"])
        with self.clock.step("crosswalk"):
            columns = source.drop_columns(["row_no"])
            evidence = meeting.evidence.get(self.dataset.table)
            crosswalk = propose(
                self.standard, self.table, columns, saved=known.saved, reviewed=known.reviewed, evidence=evidence
            )
            facts |= self.dataset.facts(source, crosswalk)
            if self.dataset.strip:
                source = self.dataset.strip(source, crosswalk, self.log)
        where = f"{self.dataset.sources.parent.name}/{self.dataset.sources.name}/{self.town.source_name}"
        file_findings(self.log, reading, self.table, self.dataset.any_of, where, crosswalk)
        for dataset, code, words in meeting.findings:
            if dataset == self.dataset.table:
                self.log.add(code, source=where, **words)
        with self.clock.step("geometry"):
            crs, given, repaired = settle(
                self.log,
                reading,
                self.table,
                delivered,
                self.town,
                self.standard,
                live=known.boxes,
                reviewed=known.reviewed.crs,
            )
        with self.clock.step("conform"):
            conformed = conform(self.table, crosswalk, source, self.log)
            joined = meeting.joined.get(self.dataset.table)
            rows = Rows(source, conformed, given, repaired.shapes, repaired.moved_sqft, crosswalk, crs, joined)
            if has_shapes(self.table):
                shape_findings(self.log, rows, repaired)
            rows = replace(rows, conformed=self.dataset.identify(rows, self.town, self.log))
        return _Arrived(reading, rows, facts)

    def judge(self, connection: Connection, rows: Rows, beside: Mapping[str, Staged]) -> _Verdict:
        """Stage, check and gate: what is held, whether the part is refused, and how it meets the live town.

        Args:
            beside: the parts of the delivery that were judged before.
        """
        live = Live(connection, self.table, self.town.cousub_fips, follows(self.table, tuple(self.dataset.derived)))
        live.beside.update(beside)
        live.along = frozenset(each.table for each in self.delivery.datasets)
        with self.clock.step("stage"):
            stored = _stored(self.table, rows.conformed)
            staged = Staged(self.table, stored, rows.shapes).without(self._unpublishable(rows))
        with self.clock.step("check"):
            self._require_something(len(staged.shapes))
            for check in self.dataset.checks:
                # What a wrong place or an empty file would look like beside the live town says nothing of its own.
                if not (self._hopeless() and check.level(self.standard) == "history"):
                    _run(check, live, staged, rows, self.town, self.log)
            held = self.log.held_rows()
            staged = staged.without(set(held))
        with self.clock.step("gate"):
            header = self.standard.header
            entries = self._balance(rows, staged, held)
            entries.require_balance(header.area_tolerance_sqft)
            self._require_something(entries.rows_published)
            found = {finding.code for finding in self.log.blocking(self.request.accept)}
            blocking = tuple(sorted(found, key=lambda code: (self.log.check(code).acceptable, code)))
            lineage = trace(live, staged, self.standard)
            waiting = np.isin(rows.row_no, list(held))
            of_held = rows.conformed.filter(waiting), rows.shapes[waiting]
            lineage = keep_live(lineage, live, staged, *of_held, self.standard)
            say_kept_live(lineage, live, self.dataset.label, self.log)
            became = Succession() if blocking else succession(live, staged, lineage, self.standard, self.dataset.label)
        with self.clock.step("score"):
            name, year = self.dataset.table, self.request.year
            scored = score_input(
                self.standard,
                self.table,
                rows,
                staged,
                self.log,
                in_time=in_time(self.standard, live, name, year, self.received_at),
                matched=self.delivery.matched(live, staged) if self.delivery.matched else {},
                carried=carried_counts(self.standard, live, name),
            )
            before, full = against(live, staged, name), completeness(live, staged)
        derived = {name: work(staged) for name, work in self.dataset.derived.items()}
        return _Verdict(held, blocking, entries, staged, live, lineage, became, before, full, scored, derived)

    def _hopeless(self) -> bool:
        """Whether a finding stands that no town may accept."""
        return any(not self.log.check(finding.code).acceptable for finding in self.log.blocking())

    def _require_something(self, rows: int) -> None:
        """Nothing to publish refuses the delivery, whatever was accepted; unless its cause is named already."""
        if not rows and not self._hopeless():
            self.log.add("NOTHING_TO_PUBLISH", rows=plain_number(len(self.log.held_rows())))

    def _unpublishable(self, rows: Rows) -> set[int]:
        held = set(self.log.held_rows())
        if has_shapes(self.table):
            held |= {int(row_no) for row_no in rows.row_no[shapely.is_missing(rows.shapes)]}
        return held

    def _balance(self, rows: Rows, staged: Staged, held: Mapping[int, list[str]]) -> ledger.Ledger:
        """Close the books: what is staged as it would be published, the rest as it came."""
        given_area = measured_sqft(rows.given)
        is_held = np.isin(rows.row_no, list(held))
        if has_shapes(self.table):
            is_held |= shapely.is_missing(rows.shapes)
        return ledger.Ledger(
            rows_read=len(rows.source),
            rows_published=len(staged.shapes),
            rows_held=int(is_held.sum()),
            rows_ignored=0,
            area_read_sqft=math.fsum(given_area),
            area_published_sqft=math.fsum(staged.areas),
            area_held_sqft=math.fsum(given_area[is_held]),
            area_repaired_sqft=math.fsum(-rows.moved_sqft[~is_held]) + 0.0,
        )

    def summary(self, arrived: _Arrived, verdict: _Verdict, blocking: Sequence[str]) -> dict[str, Any]:
        """What `--json` prints; of a refused delivery no row was compared with the live town."""
        reading, rows, lineage = arrived.reading, arrived.rows, verdict.lineage
        entries = verdict.entries.all_held() if blocking else verdict.entries
        followed = int(followers(verdict.live, verdict.staged, lineage, verdict.derived).sum())
        counts = lineage.counts() | {"followed": followed}
        differs = counts["added"] or counts["changed"] or counts["removed"] or followed
        accepted = "ok" if not self.request.publish else "published" if differs else "unchanged"
        balanced = ("read", "published", "held", "ignored")
        return {
            "submission": self.submission,
            "dataset": self.dataset.table,
            "town": self.town.town_name,
            "cousub_fips": self.town.cousub_fips,
            "year": self.request.year,
            "outcome": "refused" if blocking else accepted,
            "dry": not self.request.publish,
            "blocked_by": list(blocking),
            "rows": {
                **{name: getattr(entries, f"rows_{name}") for name in balanced},
                **{name: 0 if blocking else count for name, count in counts.items()},
            },
            "lineage": {} if blocking else verdict.succession.by_kind(),
            "findings": self.log.counts(),
            "area_sqft": {
                name: round(getattr(entries, f"area_{name}_sqft"), 3)
                for name in ("read", "published", "held", "repaired")
            },
            "crs": {
                "epsg": rows.crs.epsg,
                "how": rows.crs.how,
                "share_in_town": round(rows.crs.share_in_town, 4),
                "alternatives": list(rows.crs.alternatives),
            },
            "largest_shift_ft": round(lineage.largest_shift_ft, 4),
            "facts": dict(arrived.facts),
            "file": {
                "name": reading.path_name,
                "sha256": reading.sha256,
                "bytes": reading.size_bytes,
                "kind": reading.kind,
                "layer": reading.layer.name,
                "why_this_layer": reading.why,
                "encoding": reading.encoding,
            },
            "report": str(self.request.out or self.settings.reports / self.submission),
        }

    def record(self, connection: Connection, part: _Part, meeting: Meeting) -> Replaced | None:
        """Write what the gate decided; everything in the one transaction of the caller."""
        srid = self.standard.header.storage_crs
        arrived, verdict, summary = part.arrived, part.verdict, part.summary
        reading, rows, refused = arrived.reading, arrived.rows, summary["outcome"] == "refused"
        with self.clock.step("record"):
            _keep_original(self.settings, reading)
            entries = verdict.entries.all_held() if refused else verdict.entries
            if meeting.record:
                summary["join_key"] = dict(meeting.record)
            ledger.record_submission(
                connection,
                summary,
                received_at=self.received_at,
                accepted=self.request.accept,
                standard_version=self.standard.header.version,
            )
            ledger.record_ledger(connection, self.submission, entries, rows.crosswalk.account())
            ledger.record_findings(connection, self.submission, self.log.sorted(), srid)
            # A column that nobody recognised may hold a person: its values stay in the original alone.
            unsaid = {*rows.crosswalk.withheld, *rows.crosswalk.unmapped}
            source = rows.source.select([name for name in rows.source.column_names if name not in unsaid])
            ledger.record_held_rows(connection, self.submission, verdict.held, source, rows.given, srid)
        if refused:
            return None
        with self.clock.step("replace"):
            replace_town(
                verdict.live,
                self.standard,
                verdict.staged,
                verdict.lineage,
                verdict.succession,
                verdict.derived,
                self.submission,
            )
            changed = summary["outcome"] == "published"
            ledger.record_publication(connection, summary, renew=changed, publication_id=new_uid())
            ledger.save_crosswalk(connection, summary, rows.crosswalk.mapping, meeting.record)
        return Replaced(verdict.live, verdict.staged, verdict.lineage, rows, self.submission, changed)

    def report(self, part: _Part, found: Score, meeting: Meeting) -> ReportInput:
        """What the report is made of."""
        arrived, verdict, summary = part.arrived, part.verdict, part.summary
        rows = arrived.rows
        shapes, given = rows.shapes, rows.given
        if not has_shapes(self.table) and self.delivery.place:
            shapes = given = self.delivery.place(verdict.live, rows)
        return ReportInput(
            summary=summary,
            log=self.log,
            town_outline=self.town.outline,
            row_no=rows.row_no,
            shapes=shapes,
            given=given,
            held=verdict.held,
            label_field=self.dataset.label,
            label=lambda row_no: rows.label(row_no, self.dataset.label),
            columns=rows.crosswalk.account(),
            scores=rows.crosswalk.scores,
            noun=self.dataset.noun,
            received_at=self.received_at,
            accepted=dict(self.request.accept),
            isolation=arrived.reading.isolation,
            lineage=summary["lineage"],
            lineage_examples=verdict.succession.examples,
            score=found,
            completeness=verdict.completeness,
            against=verdict.against,
            crs_tried=[CrsTried(epsg, share, rows.crs.shifts.get(epsg)) for epsg, share in rows.crs.scores.items()],
            keys_tried=meeting.tried,
        )


@dataclass(frozen=True)
class _Part:
    """A part of a delivery when all is known about it."""

    walk: _Walk
    arrived: _Arrived
    verdict: _Verdict
    summary: dict[str, Any]


_Ended = tuple[Town, dict[str, Any], tuple[FindingLog, ...]]
"""How a delivery ended: its town, its summary, and the findings of its parts."""


@dataclass(frozen=True)
class _Trip:
    """A delivery on its way, from the file to the commit; everything in the one transaction of `connection`."""

    settings: Settings
    standard: Standard
    delivery: Delivery
    request: Request
    clock: _Clock
    received_at: dt.datetime
    connection: Connection
    work: Path
    after_commit: ExitStack

    @functools.cached_property
    def paths(self) -> list[Path]:
        """The file of each dataset."""
        return [self.request.file, *(self.request.beside[dataset.table] for dataset in self.delivery.datasets[1:])]

    @functools.cached_property
    def digests(self) -> list[str] | None:
        """SHA-256 of each file; None where one is a folder or may not be read: whoever reads it says so."""
        try:
            return [file_sha256(path) for path in self.paths]
        except OSError:
            return None

    @functools.cached_property
    def asked(self) -> Asked:
        """What the delivery is judged by beside its files."""
        request, datasets = self.request, self.delivery.datasets
        return Asked(
            [dataset.table for dataset in datasets],
            {
                "year": request.year,
                "layer": request.layer,
                "accept": dict(request.accept),
                "keep_confidential": self.settings.keep_confidential,
                "day": self.received_at.date().isoformat(),  # some checks ask what day it is
            },
            [dataset.sources.parent for dataset in datasets],
        )

    def lock(self, cousub_fips: str) -> None:
        """Be the only writer of the town in this room."""
        begin_for_town(self.connection, self.standard.table(self.delivery.datasets[0].table).schema_name, cousub_fips)

    def again(self, named: Town | None) -> _Ended | None:
        """Record the very delivery that is live as sent once more; None if it is another."""
        town = named.cousub_fips if named else None
        earlier = self.earlier(town)
        if earlier:
            self.lock(earlier.town)
            earlier = self.earlier(earlier.town)  # nobody changes it now
        if earlier is None:
            self.connection.commit()
            return None
        submissions = [new_uid() for _ in self.paths]
        report = self.request.out or self.settings.reports / submissions[0]
        summaries = [
            each | {"report": str(report)} for each in once_more(earlier, submissions, dry=not self.request.publish)
        ]
        if self.request.publish:
            record_again(self.connection, self.standard, earlier, summaries, self.received_at, self.request.accept)
            remember_basis(self.connection, earlier.town, self.asked)
        self.after_commit.enter_context(copy_report(report, submissions[0], earlier.report))
        return find_town(self.connection, earlier.town), joined_summary(summaries), ()

    def earlier(self, town: str | None) -> Earlier | None:
        if self.digests is None:
            return None
        return find_earlier(self.connection, self.standard, self.settings.reports, self.asked, self.digests, town)

    def walk(self, named: Town | None) -> _Ended:
        """Walk through the steps from reading to the report; the summary, and the findings of each part."""
        settings, standard, delivery, request = self.settings, self.standard, self.delivery, self.request
        clock, connection, datasets, paths = self.clock, self.connection, self.delivery.datasets, self.paths
        with clock.step("read"):
            readings = [
                files.read(
                    path,
                    work=self.work,
                    layer=request.layer if path is request.file else None,
                    shapes=has_shapes(standard.table(dataset.table)),
                    geometry=shape_type(standard.table(dataset.table)) or "MultiPolygon",
                )
                for path, dataset in zip(paths, datasets, strict=True)
            ]
        with clock.step("geometry"):
            delivered = [delivered_shapes(reading) for reading in readings]
            file, epsg = readings[0].path_name, readings[0].layer.crs_epsg
            town = named or town_of(connection, file, delivered[0], epsg, standard)
        walks = [
            _Walk(settings, standard, delivery, dataset, request, town, clock, self.received_at) for dataset in datasets
        ]
        with clock.step("crosswalk"):
            known = [walk.known(connection) for walk in walks]
            meeting = _meeting(connection, standard, delivery, walks, readings, known)
        connection.commit()  # nothing is held open while the file is worked on
        arrived = [
            walk.prepare(reading, shapes, of_town, meeting)
            for walk, reading, shapes, of_town in zip(walks, readings, delivered, known, strict=True)
        ]
        self.lock(town.cousub_fips)
        verdicts: list[_Verdict] = []
        for walk, each in zip(walks, arrived, strict=True):
            beside = {past.dataset.table: verdict.staged for past, verdict in zip(walks, verdicts, strict=False)}
            verdicts.append(walk.judge(connection, each.rows, beside))
        # In whatever part: they are published together or not at all.
        blocking = tuple(dict.fromkeys(code for verdict in verdicts for code in verdict.blocking))
        parts = [
            _Part(walk, each, verdict, walk.summary(each, verdict, blocking))
            for walk, each, verdict in zip(walks, arrived, verdicts, strict=True)
        ]
        with clock.step("score"):
            found = _score(standard, parts)
            for part in parts:
                part.summary["score"] = found.as_dict()
        summary = joined_summary([part.summary for part in parts])
        if request.publish:
            replaced = {part.walk.dataset.table: part.walk.record(connection, part, meeting) for part in parts}
            if not blocking:
                with clock.step("replace"):
                    if delivery.settle:
                        there = {name: one for name, one in replaced.items() if one}
                        delivery.settle(settings, connection, town, there)
                    remember_basis(connection, town.cousub_fips, self.asked)
        with clock.step("report"):
            first, *others = (part.walk.report(part, found, meeting) for part in parts)
            self.after_commit.enter_context(write_report(Path(summary["report"]), replace(first, others=tuple(others))))
        return town, summary, tuple(walk.log for walk in walks)


def _meeting(
    connection: Connection,
    standard: Standard,
    delivery: Delivery,
    walks: Sequence[_Walk],
    readings: Sequence[files.Reading],
    known: Sequence[_Known],
) -> Meeting:
    """How the parts of the delivery meet, persons' columns taken out."""
    if delivery.meet is None:
        return Meeting()
    parts = {}
    for walk, reading, of_town in zip(walks, readings, known, strict=True):
        persons = withheld_columns(standard, reading.table.column_names)
        columns = reading.table.drop_columns([*persons, "row_no", "geometry"])
        parts[walk.dataset.table] = Arriving(columns, of_town.reviewed)
    town = walks[0].town
    return delivery.meet(connection, standard, town, parts, ledger.saved_join_key(connection, town.cousub_fips))


def _score(standard: Standard, parts: Sequence[_Part]) -> Score:
    """What the town's year earns by all parts together and by what is live of the others."""
    # What one part carried over from an earlier delivery, another part of this one knows better.
    carried = {name: count for part in parts for name, count in part.verdict.scored.carried.items()}
    first, *others = (part.verdict.scored for part in parts)
    found = score(replace(first, carried=carried), standard)
    for scored in others:
        found = score(replace(scored, carried=found.counts), standard)
    return found


def joined_summary(summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The summary of the delivery: that of its first part, the others by the names of their datasets."""
    first, *others = summaries
    joined = first | {other["dataset"]: other for other in others}
    if any(other["outcome"] == "published" for other in others):
        joined["outcome"] = "published"
    return joined


def tell_the_rooms(settings: Settings, datasets: Sequence[Dataset], town: Town, say: Say) -> dict[str, str]:
    """Call what hangs on ``statewide.after_publication``: overlays of the town's changed rows.

    The rows are live by now and stay so: what fails here is named with its reason, and tried again at the next
    delivery, also at one that changes nothing.
    """
    behind = {}
    for entry in _listeners():
        try:
            for dataset in datasets:
                entry.load()(settings, dataset.table, town, say)
        except StatewideError as error:
            behind[entry.name] = str(error)
        except Exception as error:
            behind[entry.name] = keep_trace(settings.home, error)
    return behind


@functools.cache
def _listeners() -> list[EntryPoint]:
    """Who wants to know of a publication, by name; looked up once, for that reads every installed package."""
    return sorted(entry_points(group="statewide.after_publication"), key=lambda point: point.name)


def _require_sense(standard: Standard, datasets: Sequence[Dataset], request: Request) -> None:
    this_year = dt.datetime.now(dt.UTC).year
    if not 1990 <= request.year <= this_year + 1:
        raise BadArgument(f"The year {request.year} makes no sense: give the collection year, for example {this_year}.")
    for code, reason in request.accept.items():
        check = standard.checks.get(code)
        if check is None or not {dataset.table for dataset in datasets} & set(check.datasets):
            raise BadArgument(f"There is no check called {code}; the report names the checks that refused the file.")
        if check.severity_in(request.year) != "BLOCK" or not check.acceptable:
            raise BadArgument(f"{code} cannot be accepted: only a check that refuses a file with parcels in place can.")
        if not reason.strip():
            raise BadArgument(f'Accepting {code} needs a reason that others can read: --reason "…".')


def _stored(table: Table, conformed: pa.Table) -> pa.Table:
    stored = {item.name for item in table.base_fields}
    return conformed.select([name for name in conformed.column_names if name in stored or name == "row_no"])


def _run(check: TableCheck, live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Run a check in a savepoint: one that fails is NOT_EVALUATED, which blocks, and the others still run."""
    before = len(log.findings)
    try:
        with live.connection.transaction():
            check.run(live, staged, rows, town, log)
    except Exception as error:
        gone = isinstance(error, psycopg.OperationalError) and not isinstance(error, psycopg.errors.QueryCanceled)
        if gone or isinstance(error, StatewideError):
            raise
        del log.findings[before:]
        # The kind of error only: its text may quote a value of the row.
        log.not_evaluated(" / ".join(check.codes), type(error).__name__)


def _keep_original(settings: Settings, reading: files.Reading) -> None:
    """Keep the delivered bytes once, by their SHA-256; a folder (bare FileGDB) and the parts of a bare shapefile are
    kept as a folder.

    Raises:
        StorageFull: no room.
        PlatformError: the store may not be written.
    """
    target = settings.store / reading.sha256[:2] / reading.sha256
    if target.exists():
        return
    first, *others = reading.originals
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with workspace(settings.home) as work:
            partial = work / target.name
            if first.is_dir():
                shutil.copytree(first, partial)
            elif others:
                partial.mkdir()
                for part in (first, *others):
                    shutil.copyfile(part, partial / part.name)
            else:
                shutil.copyfile(first, partial)
            partial.rename(target)
    except OSError as error:
        if no_room(error):
            raise StorageFull("There is no room to keep the delivered file; nothing was changed.") from error
        raise PlatformError(
            f"The file {reading.path_name} could not be kept ({error.strerror}); nothing was changed."
        ) from error
