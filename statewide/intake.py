"""The nine steps that every delivery walks through, told once for every dataset.

    receive → read (isolated) → crosswalk → geometry → conform → stage → check → GATE → replace the town

A room brings what is peculiar to its dataset as a `Dataset`; the order, the ledger, the gate and the report are the
hall's. An exception stops the walk and leaves the last good data; a finding is data for the town.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import shapely
from psycopg import sql

from statewide import files, ledger
from statewide.conform import conform
from statewide.crosswalk import Crosswalk, propose, read_reviewed
from statewide.database import Connection, connect
from statewide.errors import BadArgument, PlatformError, StatewideError, StorageFull, no_room
from statewide.faults import keep_trace
from statewide.findings import FindingLog, plain_number, plain_share
from statewide.geometry import (
    CrsDecision,
    Repaired,
    Shapes,
    accepted_title,
    measured_sqft,
    repair,
    settle_crs,
    to_storage,
)
from statewide.lineage import Lineage, trace
from statewide.register import Town, find_town
from statewide.replace import lock_town, replace_town
from statewide.report import ReportInput, write_report
from statewide.settings import Settings
from statewide.staging import Staged, new_uid, stage, staged_totals
from statewide.standard import Standard, Table, load_standard
from statewide.workspace import workspace

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What the sender asks for. `publish` is false for a dry check."""

    file: Path
    town: str
    year: int
    publish: bool = True
    layer: str | None = None
    accept: Mapping[str, str] = field(default_factory=dict)
    out: Path | None = None


@dataclass(frozen=True)
class Rows:
    """A delivery on its way: delivered columns, conformed columns, and shapes in the storage CRS, all in row order.

    `given` are the shapes as delivered (2-D, not repaired), `shapes` the valid MultiPolygons; None where there is none.
    """

    source: pa.Table
    conformed: pa.Table
    given: Shapes
    shapes: Shapes
    moved_sqft: np.ndarray[Any, np.dtype[np.float64]]
    crosswalk: Crosswalk
    crs: CrsDecision

    @functools.cached_property
    def row_no(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Numbers of the rows in the file, from 1, ascending; a row that could not be read leaves a gap."""
        return np.asarray(self.source.column("row_no").to_numpy(), dtype=np.int64)

    def index_of(self, row_no: int) -> int:
        """Where the row of that number stands in the arrays."""
        return int(np.searchsorted(self.row_no, row_no))

    def label(self, row_no: int, column: str) -> str | None:
        """A row's name for a reader."""
        value = self.conformed.column(column)[self.index_of(row_no)].as_py()
        return None if value is None else str(value)


@dataclass(frozen=True)
class TableCheck:
    """A check over the staged rows; `codes` are what it may find, for the message when it cannot run."""

    codes: tuple[str, ...]
    run: Callable[[Connection, Staged, Rows, Town, FindingLog], None]

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
        identify: adds the platform's own columns to the conformed rows and runs the row checks.
        checks: set-wise checks over the staged rows and against the live ones.
        derived: columns that depend on the other rows of the town, as SQL over `staged`.
        sources: folder with the reviewed mappings ``<town>.yml``.
    """

    table: str
    noun: str
    label: str
    any_of: tuple[str, ...]
    facts: Callable[[pa.Table, Crosswalk], dict[str, int]]
    identify: Callable[[Rows, Town, FindingLog], pa.Table]
    checks: tuple[TableCheck, ...]
    derived: Mapping[str, sql.SQL]
    sources: Path


@dataclass(frozen=True)
class Outcome:
    """How a delivery ended: the summary that `--json` prints, and its findings."""

    summary: dict[str, Any]
    log: FindingLog

    @property
    def refused(self) -> bool:
        """Whether the gate stayed shut."""
        return bool(self.summary["outcome"] == "refused")


def take_in(settings: Settings, dataset: Dataset, request: Request, say: Say) -> Outcome:
    """Walk a delivery through the nine steps.

    Raises:
        InputError: the file cannot be used, the town is unknown, or an option makes no sense; nothing changed.
        PlatformError: database, disk or ledger; rolled back, nothing half done.
    """
    standard = load_standard()
    _require_sense(standard, dataset, request)
    settings.make_folders()
    clock = _Clock(say)
    with clock.step("receive"), connect(settings) as connection:
        town = find_town(connection, request.town)
        saved = ledger.saved_crosswalk(connection, town.cousub_fips, dataset.table)
    log = FindingLog(standard, dataset.table, request.year, town.town_name, town.cousub_fips)
    walk = _Walk(settings, standard, dataset, request, town, log, clock, new_uid(), dt.datetime.now(dt.UTC))
    with workspace(settings.home) as work:
        with clock.step("read"):
            reading = files.read(request.file, work=work, layer=request.layer)
        rows, facts = walk.prepare(reading, saved)
    # The report is written before the commit, so that one that cannot be written leaves everything as it was, and it
    # appears after it, so that it never tells of what did not happen.
    with ExitStack() as after_commit, connect(settings) as connection:
        lock_town(connection, dataset.table, town.cousub_fips)
        verdict = walk.judge(connection, rows)
        summary = walk.summary(reading, rows, facts, verdict)
        if request.publish:
            with clock.step("replace"):
                walk.record(connection, reading, rows, verdict, summary)
        with clock.step("report"):
            after_commit.enter_context(
                write_report(Path(summary["report"]), walk.report(reading, rows, verdict, summary))
            )
        if not request.publish:
            connection.rollback()
    if request.publish and not verdict.blocking:
        with clock.step("overlays"):
            summary["behind"] = _tell_the_rooms(settings, dataset, town, say)
    summary["seconds"] = clock.seconds()
    return Outcome(summary, log)


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
class _Verdict:
    """What the checks and the gate decided. `held` is row → codes; `blocking` is empty when the gate opens."""

    held: dict[int, list[str]]
    blocking: tuple[str, ...]
    entries: ledger.Ledger
    lineage: Lineage


@dataclass(frozen=True)
class _Walk:
    """One delivery's walk: what stays the same from step to step, and the steps."""

    settings: Settings
    standard: Standard
    dataset: Dataset
    request: Request
    town: Town
    log: FindingLog
    clock: _Clock
    submission: str
    received_at: dt.datetime

    @property
    def table(self) -> Table:
        return self.standard.table(self.dataset.table)

    def prepare(self, reading: files.Reading, saved: Mapping[str, str]) -> tuple[Rows, dict[str, int]]:
        """Crosswalk, geometry and conform: the rows under the standard's names, and facts of the file as given."""
        with self.clock.step("geometry"):
            delivered = delivered_shapes(reading)
            facts = _shape_facts(reading, delivered)
        source = reading.table.drop_columns(["geometry"])
        with self.clock.step("crosswalk"):
            columns = source.drop_columns(["row_no"])
            reviewed = read_reviewed(self.dataset.sources / self.town.source_name, self.table)
            crosswalk = propose(self.standard, self.table, columns, saved=saved, reviewed=reviewed)
            facts |= self.dataset.facts(source, crosswalk)
        _file_findings(self.log, reading, self.dataset, self.town, crosswalk)
        with self.clock.step("geometry"):
            crs, given, repaired = _settle(self.log, reading, delivered, self.town, self.standard)
        with self.clock.step("conform"):
            conformed = conform(self.table, crosswalk, source, self.log)
            rows = Rows(source, conformed, given, repaired.shapes, repaired.moved_sqft, crosswalk, crs)
            _shape_findings(self.log, rows, repaired)
            rows = replace(rows, conformed=self.dataset.identify(rows, self.town, self.log))
        return rows, facts

    def judge(self, connection: Connection, rows: Rows) -> _Verdict:
        """Stage, check and gate: what is held, whether the delivery is refused, and how it meets the live town."""
        with self.clock.step("stage"):
            stored = _stored(self.table, rows.conformed)
            staged = Staged(self.table, stored, rows.shapes).without(_unpublishable(rows, self.log))
            stage(connection, self.standard, staged)
        with self.clock.step("check"):
            # The planner knows nothing of rows that were written a moment ago and would loop where it should hash.
            connection.execute("SET LOCAL enable_nestloop = off")
            self._require_something(len(staged.shapes))
            for check in self.dataset.checks:
                # What a wrong place or an empty file would look like beside the live town says nothing of its own.
                if not (self._hopeless() and check.level(self.standard) == "history"):
                    _run(check, connection, staged, rows, self.town, self.log)
            connection.execute("SET LOCAL enable_nestloop = on")
            held = self.log.held_rows()
            connection.execute("DELETE FROM staged WHERE row_no = ANY(%s)", [list(held)])
        with self.clock.step("gate"):
            header = self.standard.header
            entries = _balance(connection, rows, held)
            entries.require_balance(header.area_tolerance_sqft)
            self._require_something(entries.rows_published)
            found = {finding.code for finding in self.log.blocking(self.request.accept)}
            blocking = tuple(sorted(found, key=lambda code: (self.log.check(code).acceptable, code)))
            lineage = trace(connection, self.table, self.town.cousub_fips, header.coordinate_tolerance_ft)
        return _Verdict(held, blocking, entries.all_held() if blocking else entries, lineage)

    def _hopeless(self) -> bool:
        """Whether a finding stands that no town may accept."""
        return any(not self.log.check(finding.code).acceptable for finding in self.log.blocking())

    def _require_something(self, rows: int) -> None:
        """Nothing to publish refuses the delivery, whatever was accepted; unless its cause is named already."""
        if not rows and not self._hopeless():
            self.log.add("NOTHING_TO_PUBLISH", rows=plain_number(len(self.log.held_rows())))

    def summary(
        self, reading: files.Reading, rows: Rows, facts: Mapping[str, int], verdict: _Verdict
    ) -> dict[str, Any]:
        """What `--json` prints; of a refused delivery no row was compared with the live town."""
        refused, lineage, entries = bool(verdict.blocking), verdict.lineage, verdict.entries
        differs = lineage.added or lineage.changed or lineage.removed
        accepted = "ok" if not self.request.publish else "published" if differs else "unchanged"
        compared = ("added", "changed", "removed", "unchanged", "within_tolerance")
        balanced = ("read", "published", "held", "ignored")
        return {
            "submission": self.submission,
            "dataset": self.dataset.table,
            "town": self.town.town_name,
            "cousub_fips": self.town.cousub_fips,
            "year": self.request.year,
            "outcome": "refused" if refused else accepted,
            "dry": not self.request.publish,
            "blocked_by": list(verdict.blocking),
            "rows": {
                **{name: getattr(entries, f"rows_{name}") for name in balanced},
                **{name: 0 if refused else getattr(lineage, name) for name in compared},
            },
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
            "facts": dict(facts),
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

    def record(
        self,
        connection: Connection,
        reading: files.Reading,
        rows: Rows,
        verdict: _Verdict,
        summary: dict[str, Any],
    ) -> None:
        """Write what the gate decided; everything in the one transaction of the caller."""
        srid = self.standard.header.storage_crs
        _keep_original(self.settings, reading)
        ledger.record_submission(
            connection,
            summary,
            received_at=self.received_at,
            accepted=self.request.accept,
            standard_version=self.standard.header.version,
            software_version=version("statewide"),
        )
        ledger.record_ledger(connection, self.submission, verdict.entries, rows.crosswalk.account())
        ledger.record_findings(connection, self.submission, self.log.sorted(), srid)
        # A column that nobody recognised may hold a person: its values stay in the original alone.
        unsaid = {*rows.crosswalk.withheld, *rows.crosswalk.unmapped}
        open_columns = [name for name in rows.source.column_names if name not in unsaid]
        source = rows.source.select(open_columns)
        ledger.record_held_rows(connection, self.submission, verdict.held, source, rows.given, srid)
        if verdict.blocking:
            return
        changed = summary["outcome"] == "published"
        if changed:
            replace_town(connection, self.table, self.town.cousub_fips, self.submission, self.dataset.derived)
        ledger.record_publication(connection, summary, renew=changed, publication_id=new_uid())
        ledger.save_crosswalk(connection, summary, rows.crosswalk.mapping)

    def report(self, reading: files.Reading, rows: Rows, verdict: _Verdict, summary: dict[str, Any]) -> ReportInput:
        """What the report is made of."""
        return ReportInput(
            summary=summary,
            log=self.log,
            town_outline=self.town.outline,
            row_no=rows.row_no,
            shapes=rows.shapes,
            given=rows.given,
            held=verdict.held,
            label_field=self.dataset.label,
            label=lambda row_no: rows.label(row_no, self.dataset.label),
            columns=rows.crosswalk.account(),
            scores=rows.crosswalk.scores,
            noun=self.dataset.noun,
            received_at=self.received_at,
            accepted=dict(self.request.accept),
            isolation=reading.isolation,
        )


def _tell_the_rooms(settings: Settings, dataset: Dataset, town: Town, say: Say) -> dict[str, str]:
    """Call what hangs on ``statewide.after_publication``: overlays of the town's changed rows.

    The rows are live by now and stay so: what fails here is named with its reason, and tried again at the next
    delivery, also at one that changes nothing.
    """
    behind = {}
    for entry in sorted(entry_points(group="statewide.after_publication"), key=lambda point: point.name):
        try:
            entry.load()(settings, dataset.table, town, say)
        except StatewideError as error:
            behind[entry.name] = str(error)
        except Exception as error:
            behind[entry.name] = keep_trace(settings.home, error)
    return behind


def _require_sense(standard: Standard, dataset: Dataset, request: Request) -> None:
    this_year = dt.datetime.now(dt.UTC).year
    if not 1990 <= request.year <= this_year + 1:
        raise BadArgument(f"The year {request.year} makes no sense: give the collection year, for example {this_year}.")
    for code, reason in request.accept.items():
        check = standard.checks.get(code)
        if check is None or dataset.table not in check.datasets:
            raise BadArgument(f"There is no check called {code}; the report names the checks that refused the file.")
        if check.severity_in(request.year) != "BLOCK" or not check.acceptable:
            raise BadArgument(f"{code} cannot be accepted: only a check that refuses a file with parcels in place can.")
        if not reason.strip():
            raise BadArgument(f'Accepting {code} needs a reason that others can read: --reason "…".')


def delivered_shapes(reading: files.Reading) -> Shapes:
    """The delivered shapes, in the file's own coordinates; a corner that is no number is found later, by `repair`."""
    with np.errstate(invalid="ignore"):
        return np.asarray(shapely.from_wkb(reading.table.column("geometry").to_numpy()), dtype=object)


def _shape_facts(reading: files.Reading, given: Shapes) -> dict[str, int]:
    """Counts of the shapes as given, in the file's own coordinates."""
    present = ~shapely.is_missing(given)
    repeats = reading.table.column("geometry").drop_null().value_counts().field("counts").to_numpy()
    return {
        "rows": reading.rows_read,
        "null_geometry": int((~present).sum()),
        "invalid_geometry": int((~shapely.is_valid(given[present])).sum()),
        "multipart": int((shapely.get_num_geometries(given[present]) > 1).sum()),
        "rows_sharing_a_geometry": int(repeats[repeats > 1].sum()),
    }


def _file_findings(log: FindingLog, reading: files.Reading, dataset: Dataset, town: Town, crosswalk: Crosswalk) -> None:
    table = log.standard.table(dataset.table)
    source = f"{dataset.sources.parent.name}/{dataset.sources.name}/{town.source_name}"
    columns = ", ".join(name for name in reading.table.column_names if name not in ("row_no", "geometry"))
    if reading.table.column("geometry").null_count == len(reading.table):
        log.add("NO_ROWS", layer=reading.layer.name)
    counted = reading.rows_counted if reading.rows_counted is not None else reading.rows_declared
    if reading.geometries_lost or (counted is not None and counted != reading.rows_read):
        log.add(
            "SHORT_READ",
            counted=counted,
            read=reading.rows_read,
            lost=reading.geometries_lost,
        )
    for complaint in reading.warnings:
        log.add("RECORD_UNREADABLE", complaint=complaint)
    if not any(name in crosswalk.mapping for name in dataset.any_of):
        wanted = " or ".join(dict.fromkeys(table.field(name).maps_to.get("ct_layer", name) for name in dataset.any_of))
        log.add("KEY_COLUMN_MISSING", wanted=wanted, columns=columns, source=source)
    for column in crosswalk.unmapped:
        log.add("COLUMN_UNMAPPED", column=column, source=source)
    for name, rival in crosswalk.rivals.items():
        log.add(
            "COLUMN_AMBIGUOUS",
            column=crosswalk.mapping[name],
            field=table.field(name).title,
            rival=rival,
            source=source,
        )
    for column in crosswalk.withheld:
        log.add("COLUMN_WITHHELD", column=column)


def _settle(
    log: FindingLog, reading: files.Reading, given: Shapes, town: Town, standard: Standard
) -> tuple[CrsDecision, Shapes, Repaired]:
    """Settle the CRS and bring the shapes to the storage CRS, valid."""
    layer = reading.layer
    if shapely.is_missing(given).all():  # NO_ROWS says it; there is no position to settle
        return CrsDecision(layer.crs_epsg, "unknown", 0.0), given, repair(given)
    if bool(shapely.has_z(given[~shapely.is_missing(given)]).any()):
        log.add("Z_DROPPED", geometry_type=layer.geometry_type)
    # GeoJSON is in degrees unless it says otherwise; numbers that cannot be degrees say otherwise.
    unsaid = reading.kind == "geojson" and bool(np.nanmax(np.abs(shapely.total_bounds(given))) > 360)
    stated = (None, None) if unsaid else (layer.crs_epsg, layer.crs_wkt)
    crs = settle_crs(given, *stated, town.outline, standard)
    if crs.epsg is None:
        log.add("CRS_UNKNOWN", why=crs.why)
        # Nothing can be measured without a coordinate system: the rows count, their area does not.
        nowhere = np.full(len(given), None, dtype=object)
        return crs, nowhere, repair(nowhere)
    if crs.how == "assumed":
        twins = ", ".join(f"EPSG:{epsg}" for epsg in crs.alternatives)
        log.add(
            "CRS_ASSUMED",
            epsg=crs.epsg,
            title=accepted_title(crs.epsg, standard),
            share=plain_share(crs.share_in_town),
            alternatives=f" {twins} have the same numbers, so they make no difference to the map." if twins else "",
        )
    elif crs.share_in_town < log.check("WRONG_PLACE").limits["share_min"]:
        hint = (
            f" Read in EPSG:{crs.better} ({accepted_title(crs.better, standard)}),"
            f" {plain_share(crs.scores[crs.better])} would."
            if crs.better
            else " In no other system that we know would they, either."
        )
        log.add("WRONG_PLACE", share=plain_share(crs.share_in_town), epsg=crs.epsg, hint=hint)
    moved = to_storage(given, crs.epsg, standard)
    return crs, moved, repair(moved, log.check("GEOMETRY_UNUSABLE").limits["width_ft_max"])


def _shape_findings(log: FindingLog, rows: Rows, repaired: Repaired) -> None:
    limits = log.check("GEOMETRY_REPAIR_LARGE").limits
    missing = shapely.is_missing(rows.given)
    if rows.crs.epsg is not None:
        for row_no in rows.row_no[missing]:
            log.add("GEOMETRY_MISSING", row_no=int(row_no))
    for index in np.flatnonzero(repaired.unusable):
        place = int(index)
        log.add(
            "GEOMETRY_UNUSABLE", row_no=int(rows.row_no[place]), why=repaired.why[place], shape=repaired.where[place]
        )
    for index in np.flatnonzero(repaired.repaired):
        place = int(index)
        moved, area = abs(float(repaired.moved_sqft[place])), float(shapely.area(repaired.shapes[place]))
        large = moved > limits["sqft_max"] or moved > limits["share_max"] * area
        log.add(
            "GEOMETRY_REPAIR_LARGE" if large else "GEOMETRY_REPAIRED",
            row_no=int(rows.row_no[place]),
            why=repaired.why[place],
            shape=repaired.where[place],
            moved_sqft=plain_number(moved, 2),
            area_sqft=plain_number(area),
            share=plain_share(moved / area),
        )


def _unpublishable(rows: Rows, log: FindingLog) -> set[int]:
    without_shape = {int(row_no) for row_no in rows.row_no[shapely.is_missing(rows.shapes)]}
    return without_shape | set(log.held_rows())


def _stored(table: Table, conformed: pa.Table) -> pa.Table:
    stored = {item.name for item in table.base_fields}
    return conformed.select([name for name in conformed.column_names if name in stored or name == "row_no"])


def _run(check: TableCheck, connection: Connection, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Run a check in a savepoint: one that fails is NOT_EVALUATED, which blocks, and the others still run."""
    before = len(log.findings)
    try:
        with connection.transaction():
            check.run(connection, staged, rows, town, log)
    except Exception as error:
        gone = isinstance(error, psycopg.OperationalError) and not isinstance(error, psycopg.errors.QueryCanceled)
        if gone or isinstance(error, StatewideError):
            raise
        del log.findings[before:]
        # The kind of error only: its text may quote a value of the row.
        log.not_evaluated(" / ".join(check.codes), type(error).__name__)


def _balance(connection: Connection, rows: Rows, held: Mapping[int, list[str]]) -> ledger.Ledger:
    """Close the books: published as PostGIS sees the staging table, the rest as we do."""
    published_rows, published_area = staged_totals(connection)
    given_area = measured_sqft(rows.given)
    is_held = np.isin(rows.row_no, list(held)) | shapely.is_missing(rows.shapes)
    return ledger.Ledger(
        rows_read=len(rows.source),
        rows_published=published_rows,
        rows_held=int(is_held.sum()),
        rows_ignored=0,
        area_read_sqft=math.fsum(given_area),
        area_published_sqft=published_area,
        area_held_sqft=math.fsum(given_area[is_held]),
        area_repaired_sqft=math.fsum(-rows.moved_sqft[~is_held]) + 0.0,
    )


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
