"""The nine steps that every delivery walks through, told once for every dataset.

    receive → read (isolated) → crosswalk → geometry → conform → stage → check → GATE → replace the town

A room brings what is peculiar to its dataset as a `Dataset`; the order, the ledger, the gate and the report are the
hall's. An exception stops the walk and leaves the last good data; a finding is data for the town.
"""

from __future__ import annotations

import datetime as dt
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import shapely
import yaml
from psycopg import sql

from statewide import files, ledger
from statewide.conform import conform
from statewide.crosswalk import Crosswalk, propose
from statewide.database import Connection, connect
from statewide.errors import BadArgument, InputError, StorageFull
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
from statewide.standard import NOT_EVALUATED, Standard, Table, load_standard

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

    @property
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
    table = standard.table(dataset.table)
    _require_sense(standard, dataset, request)
    clock = _Clock(say)
    received_at = dt.datetime.now(dt.UTC)
    with clock.step("receive"), connect(settings) as connection:
        town = find_town(connection, request.town)
        saved = ledger.saved_crosswalk(connection, town.cousub_fips, dataset.table)
    log = FindingLog(standard, dataset.table, request.year, town.town_name, town.cousub_fips)
    with tempfile.TemporaryDirectory(prefix="statewide-") as work:
        with clock.step("read"):
            reading = files.read(request.file, work=Path(work), layer=request.layer)
        with clock.step("geometry"):
            given = np.asarray(shapely.from_wkb(reading.table.column("geometry").to_numpy()), dtype=object)
            facts = _shape_facts(reading, given)
        source = reading.table.drop_columns(["geometry"])
        with clock.step("crosswalk"):
            reviewed = _reviewed(dataset, town)
            crosswalk = propose(standard, table, source.drop_columns(["row_no"]), saved=saved, reviewed=reviewed)
            facts |= dataset.facts(source, crosswalk)
        _file_findings(log, reading, dataset, crosswalk, table)
        with clock.step("geometry"):
            crs, given, repaired = _settle(log, reading, given, town, standard)
        with clock.step("conform"):
            conformed = conform(table, crosswalk, source, log)
            rows = Rows(source, conformed, given, repaired.shapes, repaired.moved_sqft, crosswalk, crs)
            _shape_findings(log, rows, repaired)
            conformed = dataset.identify(rows, town, log)
            rows = Rows(source, conformed, given, repaired.shapes, repaired.moved_sqft, crosswalk, crs)
    submission = new_uid()
    with connect(settings) as connection:
        lock_town(connection, dataset.table, town.cousub_fips)
        with clock.step("stage"):
            staged = Staged(table, _stored(table, conformed), rows.shapes).without(_unpublishable(rows, log))
            stage(connection, standard, staged)
        with clock.step("check"):
            # The planner knows nothing of rows that were written a moment ago and would loop where it should hash.
            connection.execute("SET LOCAL enable_nestloop = off")
            for check in dataset.checks:
                _run(check, connection, staged, rows, town, log)
            connection.execute("SET LOCAL enable_nestloop = on")
            held = log.held_rows()
            connection.execute("DELETE FROM staged WHERE row_no = ANY(%s)", [list(held)])
        with clock.step("gate"):
            entries = _balance(connection, rows, held)
            if not entries.rows_published and not log.blocking():
                log.add("NOTHING_TO_PUBLISH", rows=plain_number(entries.rows_read))
            blocking = log.blocking(request.accept)
            entries.require_balance(standard.header.area_tolerance_sqft)
            if blocking:
                entries = entries.all_held()
            lineage = trace(connection, table, town.cousub_fips, standard.header.coordinate_tolerance_ft)
        summary = _summary(
            submission, dataset, request, reading, town, crs, entries, lineage, log, facts, bool(blocking)
        )
        summary["blocked_by"] = sorted({finding.code for finding in blocking})
        summary["report"] = str(request.out or settings.reports / submission)
        if request.publish:
            with clock.step("replace"):
                _record(
                    connection,
                    settings,
                    standard,
                    dataset,
                    request,
                    rows,
                    town,
                    log,
                    held,
                    entries,
                    summary,
                    received_at,
                )
        else:
            connection.rollback()
    with clock.step("report"):
        write_report(
            Path(summary["report"]),
            ReportInput(
                summary=summary,
                log=log,
                town_outline=town.outline,
                row_no=rows.row_no,
                shapes=rows.shapes,
                given=rows.given,
                held=held,
                label_field=dataset.label,
                label=lambda row_no: rows.label(row_no, dataset.label),
                columns=crosswalk.account(),
                scores=crosswalk.scores,
                noun=dataset.noun,
                received_at=received_at,
                accepted=dict(request.accept),
                isolation=reading.isolation,
            ),
        )
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


def _require_sense(standard: Standard, dataset: Dataset, request: Request) -> None:
    this_year = dt.datetime.now(dt.UTC).year
    if not 1990 <= request.year <= this_year + 1:
        raise BadArgument(f"The year {request.year} makes no sense: give the collection year, for example {this_year}.")
    for code, reason in request.accept.items():
        check = standard.checks.get(code)
        if check is None or dataset.table not in check.datasets:
            raise BadArgument(f"There is no check called {code}; the report names the checks that refused the file.")
        if check.severity_in(request.year) != "BLOCK" or code == NOT_EVALUATED:
            raise BadArgument(f"{code} cannot be accepted: only a check that refuses the whole file can.")
        if not reason.strip():
            raise BadArgument(f'Accepting {code} needs a reason that others can read: --reason "…".')


def _reviewed(dataset: Dataset, town: Town) -> dict[str, Any]:
    path = dataset.sources / f"{town.town_name.casefold().replace(' ', '-')}.yml"
    if not path.exists():
        return {}
    loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return dict(loaded)


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


def _file_findings(
    log: FindingLog, reading: files.Reading, dataset: Dataset, crosswalk: Crosswalk, table: Table
) -> None:
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
        log.add("KEY_COLUMN_MISSING", wanted=wanted, columns=columns)
    for column in crosswalk.unmapped:
        log.add("COLUMN_UNMAPPED", column=column)
    for name, rival in crosswalk.rivals.items():
        log.add("COLUMN_AMBIGUOUS", column=crosswalk.mapping[name], field=table.field(name).title, rival=rival)
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
    crs = settle_crs(given, layer.crs_epsg, layer.crs_wkt, town.outline, standard)
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
    except (
        psycopg.errors.QueryCanceled,
        psycopg.errors.InternalError_,
        psycopg.errors.DataError,
        shapely.errors.GEOSException,
    ) as error:
        del log.findings[before:]
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        log.not_evaluated(" / ".join(check.codes), why)


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


def _summary(
    submission: str,
    dataset: Dataset,
    request: Request,
    reading: files.Reading,
    town: Town,
    crs: CrsDecision,
    entries: ledger.Ledger,
    lineage: Lineage,
    log: FindingLog,
    facts: dict[str, int],
    refused: bool,
) -> dict[str, Any]:
    differs = lineage.added or lineage.changed or lineage.removed
    done = "published" if differs else "unchanged"
    return {
        "submission": submission,
        "dataset": dataset.table,
        "town": town.town_name,
        "cousub_fips": town.cousub_fips,
        "year": request.year,
        "outcome": "refused" if refused else done if request.publish else "ok",
        "dry": not request.publish,
        "rows": {
            "read": entries.rows_read,
            "published": entries.rows_published,
            "held": entries.rows_held,
            "ignored": entries.rows_ignored,
            "added": 0 if refused else lineage.added,
            "changed": 0 if refused else lineage.changed,
            "removed": 0 if refused else lineage.removed,
            "unchanged": 0 if refused else lineage.unchanged,
            "within_tolerance": 0 if refused else lineage.within_tolerance,
        },
        "findings": log.counts(),
        "area_sqft": {
            "read": round(entries.area_read_sqft, 3),
            "published": round(entries.area_published_sqft, 3),
            "held": round(entries.area_held_sqft, 3),
            "repaired": round(entries.area_repaired_sqft, 3),
        },
        "crs": {
            "epsg": crs.epsg,
            "how": crs.how,
            "share_in_town": round(crs.share_in_town, 4),
            "alternatives": list(crs.alternatives),
        },
        "facts": facts,
        "file": {
            "name": request.file.name,
            "sha256": reading.sha256,
            "bytes": reading.size_bytes,
            "kind": reading.kind,
            "layer": reading.layer.name,
            "why_this_layer": reading.why,
            "encoding": reading.encoding,
        },
        "largest_shift_ft": round(lineage.largest_shift_ft, 4),
    }


def _record(
    connection: Connection,
    settings: Settings,
    standard: Standard,
    dataset: Dataset,
    request: Request,
    rows: Rows,
    town: Town,
    log: FindingLog,
    held: Mapping[int, list[str]],
    entries: ledger.Ledger,
    summary: dict[str, Any],
    received_at: dt.datetime,
) -> None:
    """Write what the gate decided; everything in the one transaction of the caller."""
    submission, srid = summary["submission"], standard.header.storage_crs
    _keep_original(settings, request.file, summary["file"]["sha256"])
    ledger.record_submission(
        connection,
        summary,
        received_at=received_at,
        accepted=request.accept,
        standard_version=standard.header.version,
        software_version=version("statewide"),
    )
    ledger.record_ledger(connection, submission, entries, rows.crosswalk.account())
    ledger.record_findings(connection, submission, log.sorted(), srid)
    open_columns = [name for name in rows.source.column_names if name not in rows.crosswalk.withheld]
    ledger.record_held_rows(connection, submission, held, rows.source.select(open_columns), rows.given, srid)
    if summary["outcome"] == "refused":
        return
    table = standard.table(dataset.table)
    changed = summary["outcome"] == "published"
    if changed:
        replace_town(connection, table, town.cousub_fips, submission, dataset.derived)
    ledger.record_publication(connection, summary, renew=changed, publication_id=new_uid())
    ledger.save_crosswalk(connection, summary, rows.crosswalk.mapping)


def _keep_original(settings: Settings, file: Path, sha256: str) -> None:
    """Keep the delivered bytes once, by their SHA-256; a folder (bare FileGDB) is kept as a folder.

    Raises:
        StorageFull: no room.
    """
    target = settings.store / sha256[:2] / sha256
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{new_uid()}")
    try:
        if file.is_dir():
            shutil.copytree(file, partial)
        else:
            shutil.copyfile(file, partial)
        partial.rename(target)
    except OSError as error:
        if error.errno == 28:
            raise StorageFull("There is no room to keep the delivered file; nothing was changed.") from error
        raise InputError(f"The file {file.name} could not be kept: {error.strerror}.") from error
