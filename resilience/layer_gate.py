"""Whether a new version of a hazard layer may take the place of the live one: what it lacks, and what was accepted.

Findings come from ``schemas/checks.yml``. A finding that blocks refuses the version, unless it was accepted with a
reason; then nothing changes and the live version stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from psycopg import sql

from resilience.layer_reading import Noticed, Part
from resilience.layer_sources import LayerSource
from resilience.layer_versions import LiveVersion
from statewide.database import Connection
from statewide.errors import BadArgument
from statewide.findings import FindingLog, plain_count, plain_share
from statewide.geometry import SQFT_PER_ACRE, Shapes
from statewide.standard import Standard, Table

_VALUES_SHOWN = 10
"""Values without a class that are named one by one."""


def require_acceptable(standard: Standard, year: int, accept: Mapping[str, str]) -> None:
    """Raise BadArgument for a code that cannot be accepted, or without a reason."""
    for code, reason in accept.items():
        check = standard.checks.get(code)
        if check is None or check.severity_in(year) != "BLOCK" or not check.acceptable or not code.startswith("LAYER_"):
            raise BadArgument(f"{code} cannot be accepted: only a check that refuses a layer can.")
        if not reason.strip():
            raise BadArgument(f'Accepting {code} needs a reason that others can read: --reason "…".')


def say_noticed(log: FindingLog, source: LayerSource, noticed: Noticed, datum: str | None) -> None:
    """Findings of what is odd in the rows."""
    table = log.standard.table(source.table)
    for (column, value), rows in sorted(noticed.placeholders.items()):
        log.add("LAYER_PLACEHOLDER", column=column, value=value, rows=plain_count(rows, "row"))
    for what, rows in sorted(noticed.odd.items()):
        log.add("LAYER_VALUE_ODD", rows=plain_count(rows, "row"), what=what)
    for (name, value), rows in noticed.without_class.most_common(_VALUES_SHOWN):
        field = table.field(name).title.lower()
        log.add("LAYER_CLASS_UNKNOWN", value=value, field=field, rows=plain_count(rows, "row"))
    if more := noticed.without_class.most_common()[_VALUES_SHOWN:]:
        rows = sum(count for _, count in more)
        value = f"{len(more):,} values more"
        log.add("LAYER_CLASS_UNKNOWN", value=value, field=field, rows=plain_count(rows, "row"))
    heights = ", ".join(table.field(name).title.lower() for name in source.datum.heights)
    for found, rows in sorted(noticed.datums.items(), key=lambda item: item[0] or ""):
        if found is None:
            log.add("LAYER_DATUM_MISSING", rows=plain_count(rows, "row"), heights=heights)
        elif source.datum.expected and found != source.datum.expected:
            expected = source.datum.expected
            log.add("LAYER_DATUM_DIFFERS", rows=plain_count(rows, "row"), found=found, expected=expected)
    wrong = {datum, *noticed.datums} - {None, source.datum.maker} if source.datum.maker else set()
    for found in sorted(filter(None, wrong)):
        log.add("LAYER_DATUM_WRONG", found=found, expected=source.datum.maker)


def say_studies(log: FindingLog, source: LayerSource, parts: Sequence[Part]) -> set[str]:
    """The studies of all parts, with a finding for one that is in two files."""
    files: dict[str, set[str]] = {}
    for part in parts:
        for study in (
            part.rows.column(source.study_field).unique().drop_null().to_pylist() if source.study_field else ()
        ):
            files.setdefault(study, set()).add(part.file)
    for study, where in sorted(files.items()):
        if len(where) > 1:
            log.add("LAYER_STUDY_TWICE", study=study, files=" and ".join(sorted(where)))
    return set(files)


def compare_with_live(
    connection: Connection,
    log: FindingLog,
    source: LayerSource,
    live: LiveVersion,
    classes: Mapping[str, int],
    shapes: Shapes,
    studies: set[str],
    covered: Shapes | None,
) -> None:
    """Findings of what the live version has and the new one lacks."""
    table = log.standard.table(source.table)
    name = sql.Identifier(table.schema_name, table.name)
    by_class = connection.execute(
        sql.SQL("SELECT zone_class, count(*), sum(ST_Area(geom)) FROM {} GROUP BY zone_class ORDER BY 1").format(name)
    ).fetchall()
    say_shrunk(log, "polygons", sum(row[1] for row in by_class), len(shapes))
    say_shrunk(
        log, "acres", sum(row[2] for row in by_class) / SQFT_PER_ACRE, shapely.area(shapes).sum() / SQFT_PER_ACRE
    )
    for zone_class, count, _ in by_class:
        if zone_class not in classes:
            log.add("LAYER_CLASS_LOST", zone_class=zone_class, old=plain_count(count, "polygon"))
    if source.study_field:
        before = connection.execute(
            sql.SQL("SELECT DISTINCT {0} FROM {1} WHERE {0} IS NOT NULL").format(
                sql.Identifier(source.study_field), name
            )
        ).fetchall()
        if lost := {study for (study,) in before} - studies:
            log.add("LAYER_STUDY_LOST", studies=", ".join(sorted(lost)))
    if live.has_coverage:
        _compare_coverage(connection, log, live, covered)


def say_shrunk(log: FindingLog, what: str, old: float, new: float) -> None:
    """A finding if there is far less of something than in the live version."""
    limits = log.check("LAYER_SHRUNK").limits
    if old and new < limits["share_min"] * old:
        decimals = 0 if what != "acres" else 1
        log.add(
            "LAYER_SHRUNK", new=f"{new:,.{decimals}f} {what}", old=f"{old:,.{decimals}f}", share=plain_share(new / old)
        )


def _compare_coverage(connection: Connection, log: FindingLog, live: LiveVersion, covered: Shapes | None) -> None:
    if covered is None:
        log.add("LAYER_COVERAGE_LOST", what="this one does not, so what lies in no zone would become not mapped.")
        return
    row = connection.execute(
        "SELECT sum(ST_Area(geom)) FROM resilience.hazard_coverage WHERE layer_load_id = %s", [live.load_id]
    ).fetchone()
    old = (row and row[0]) or 0.0
    new = float(shapely.area(covered).sum())
    if new < log.check("LAYER_COVERAGE_LOST").limits["share_min"] * old:
        acres = f"{new / SQFT_PER_ACRE:,.1f} acres where the live one covers {old / SQFT_PER_ACRE:,.1f}"
        log.add("LAYER_COVERAGE_LOST", what=f"this one covers {acres}.")


def live_boxes(connection: Connection, table: Table, source_list: str | None = None) -> Shapes | None:
    """The boxes of what is live, in the storage CRS: enough to see whether a delivery lies beside it."""
    which = sql.SQL("source_list = {}").format(source_list) if source_list else sql.SQL("true")
    found = connection.execute(
        sql.SQL("SELECT ST_XMin(geom), ST_YMin(geom), ST_XMax(geom), ST_YMax(geom) FROM {} WHERE {}").format(
            sql.Identifier(table.schema_name, table.name), which
        )
    ).fetchall()
    if not found:
        return None
    boxes: Shapes = shapely.box(*np.array(found, dtype=float).T)
    return boxes


def told(log: FindingLog, accept: Mapping[str, str]) -> dict[str, Any]:
    """What a load says of its findings: counts, the sentences of the graver ones, what blocks and what was accepted."""
    blocking = sorted({finding.code for finding in log.blocking(accept)})
    sentences = [
        {"code": it.code, "severity": it.severity, "sentence": it.sentence, "fix": it.fix}
        for it in log.sorted()
        if it.severity in ("BLOCK", "WARN") and it.code.startswith("LAYER_")
    ]
    met = {finding.code for finding in log.findings}
    return {
        "findings": log.counts(),
        "told": sentences,
        "blocked_by": blocking,
        "accepted": {code: reason for code, reason in accept.items() if code in met},
    }
