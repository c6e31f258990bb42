"""Hazard layers of polygons on their way in: from the delivered files to the layer's table, version by version.

What a layer is says its file in ``resilience/sources``. Several files, such as the zips of eight counties, make one
version. A new version replaces the old one in one transaction; the old one goes to history. What is wrong with a layer
are findings; one that blocks refuses it. What parcels make of it is in ``parcel_hazard``.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from resilience.layer_gate import (
    compare_with_live,
    live_boxes,
    require_acceptable,
    say_noticed,
    say_studies,
    told,
)
from resilience.layer_reading import Noticed, Part, file_date, place, read_coverage, read_delivery, to_part
from resilience.layer_sources import LayerSource
from resilience.layer_versions import (
    Load,
    known_summary,
    live_version,
    make_current,
    named,
    replace_rows,
    sha256_of,
    together,
    write_coverage,
)
from statewide.conform import with_column
from statewide.database import Connection
from statewide.errors import BadArgument
from statewide.files import Reading
from statewide.findings import FindingLog
from statewide.geometry import Shapes
from statewide.replace import begin_for_town
from statewide.standard import Standard

Say = Callable[[str], None]


def load_layer(
    connection: Connection,
    standard: Standard,
    source: LayerSource,
    paths: Sequence[Path],
    *,
    version: str,
    work: Path,
    coverage: Sequence[Path] = (),
    effective_on: dt.date | None = None,
    datum: str | None = None,
    accept: Mapping[str, str] | None = None,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Make the files the current version of the layer, in the caller's transaction.

    Args:
        paths: files, folders or zips with the layer; together they are the whole version.
        coverage: files of polygons that say what is mapped, beside those that come in the same files. Without any,
            only the zones count as mapped.
        effective_on: the day from which it is in force; without it, the date in each file's name.
        datum: what heights are above, of rows that do not say.
        accept: blocking checks that are accepted, with the reason.
        work: folder for the isolated reader.

    Returns:
        ``outcome`` (``published``; ``unchanged`` when this version is current already; ``refused`` when a finding
        blocks, and then nothing changed), counts, and what was found.

    Raises:
        UnreadableDelivery: a file is not this layer, or is damaged.
        BadArgument: the version was loaded before from other content, or its name will not do.
    """
    table, year = standard.table(source.table), dt.date.today().year
    accept = accept or {}
    require_acceptable(standard, year, accept)
    named(standard, version)
    deliveries = []
    for path in paths:
        say(f"Reading {path.name}")
        deliveries.append(read_delivery(standard, source, path, work))
    readings = [reading for delivery in deliveries for reading in delivery.readings]
    panels = [reading for delivery in deliveries for reading in delivery.coverage]
    panels += [read_coverage(source, path, work) for path in coverage]
    _require_different(readings)
    dates = {reading.path_name: effective_on or file_date(source, reading.path_name) for reading in readings}
    newest = max(filter(None, dates.values()), default=None)
    load = Load(
        layer=source.layer,
        version=version,
        effective_on=newest,
        source_file=together(list(dates)),
        source_sha256=sha256_of([reading.sha256 for reading in readings]) or "",
        coverage_sha256=sha256_of([reading.sha256 for reading in panels]),
        v_datum=None if source.datum.heights else datum or source.datum.maker,  # else each row says its own
        source_name=source.source_name,
        license=source.license,
    )
    begin_for_town(connection, source.layer, "statewide")
    known = known_summary(connection, load)
    if known:
        return {"outcome": "unchanged", **known, "written": 0}

    log = FindingLog(standard, source.table, year, "", "")
    live = live_version(connection, source.layer)
    boxes = functools.cache(lambda: live_boxes(connection, table) if live else None)
    say(f"Placing and classing {sum(reading.rows_read for reading in readings):,} polygons")
    placed = [to_part(log, source, reading, datum, boxes) for reading in readings]
    parts = [part for part in placed if part is not None]
    covered = _covered(log, panels)
    without = [delivery.readings[0].path_name for delivery in deliveries if not delivery.coverage]
    if panels and without and not coverage:
        log.add("LAYER_COVERAGE_PARTIAL", files=together(without))
    rows, shapes = _joined(parts, dates, log)
    classes = dict(Counter(rows.column("zone_class").to_pylist()).most_common()) if parts else {}
    noticed = Noticed()
    for part in parts:
        noticed.add(part.noticed)
    say_noticed(log, source, noticed, datum)
    studies = say_studies(log, source, parts)
    if live and len(rows):
        compare_with_live(connection, log, source, live, classes, shapes, studies, covered)
    summary = {
        "layer": source.layer,
        "version": version,
        "effective_on": str(newest) if newest else None,
        "effective_how": "as stated" if effective_on else "by the file's name" if newest else None,
        "file": load.source_file,
        "coverage": _coverage_sentence(panels),
        "datum": load.v_datum or {str(name): count for name, count in noticed.datums.items()},
        "rows": {
            "read": sum(reading.rows_read for reading in readings),
            "published": len(rows),
            "held": sum(len(part.held) for part in parts),
        },
        "classes": classes,
        "held": [held for part in parts for held in part.held],
        "repaired": [repair for part in parts for repair in part.placed.repaired],
        "columns": {name: fate for part in parts for name, fate in part.columns.items()},
        "odd": dict(noticed.odd),
        "crs": _one_crs(parts),
        **told(log, accept),
    }
    if summary["blocked_by"]:
        return {"outcome": "refused", **summary, "written": 0}
    say(f"Writing {len(rows):,} polygons")
    make_current(connection, standard, load, summary)
    replace_rows(connection, standard, table, rows, shapes, load)
    if covered is not None:
        write_coverage(connection, standard, covered, load.load_id)
    return {"outcome": "published", **summary, "written": len(rows)}


def _require_different(readings: Sequence[Reading]) -> None:
    seen = Counter((reading.sha256, reading.layer.name) for reading in readings)
    if twice := [reading.path_name for reading in readings if seen[reading.sha256, reading.layer.name] > 1]:
        raise BadArgument(f"{' and '.join(dict.fromkeys(twice))} came twice; name each file once.")


def _covered(log: FindingLog, panels: Sequence[Reading]) -> Shapes | None:
    """The polygons that say what is mapped; None if there is nothing that says it."""
    if not panels:
        return None
    found = [placed.shapes for panel in panels if (placed := place(log, panel)) is not None]
    shapes: Shapes = np.concatenate([np.zeros(0, dtype=object), *found])
    shapes = shapes[~shapely.is_missing(shapes)]
    if not len(shapes):
        read = sum(panel.rows_read for panel in panels)
        log.add("LAYER_EMPTY", file=together([panel.path_name for panel in panels]), read=f"{read:,}")
    return shapes


def _joined(parts: Sequence[Part], dates: Mapping[str, dt.date | None], log: FindingLog) -> tuple[pa.Table, Shapes]:
    """The rows of all parts, numbered through, each with its file's date and checksum."""
    tables, number = [], 0
    for part in parts:
        rows = part.rows
        rows = with_column(rows, "row_no", pc.add(rows.column("row_no"), number))
        rows = with_column(rows, "effective_on", pa.repeat(pa.scalar(dates[part.file], pa.date32()), len(rows)))
        tables.append(with_column(rows, "source_sha256", pa.repeat(part.sha256, len(rows))))
        number += part.read
    shapes: Shapes = np.concatenate([np.zeros(0, dtype=object), *(part.shapes for part in parts)])
    if parts and not len(shapes):
        files = together(list(dict.fromkeys(part.file for part in parts)))
        log.add("LAYER_EMPTY", file=files, read=f"{number:,}")
    return pa.concat_tables(tables) if tables else pa.table({"zone_class": pa.array([], pa.string())}), shapes


def _one_crs(parts: Sequence[Part]) -> dict[str, Any]:
    """The coordinate system of the first part, and of all others that differ."""
    found = {part.placed.crs["epsg"]: part.placed.crs["how"] for part in parts}
    first = next(iter(found), None)
    return {"epsg": first, "how": found.get(first)} | (
        {"others": sorted(set(found) - {first})} if len(found) > 1 else {}
    )


def _coverage_sentence(panels: Sequence[Reading]) -> str:
    if panels:
        files = together(list(dict.fromkeys(panel.path_name for panel in panels)))
        return f"Mapped is what lies in the polygons of {files} or in a zone; all else is `not mapped`."
    return "No coverage was given: what lies in no zone of this file is `not mapped`, not free of hazard."
