"""Critical facilities on their way in: points of delivered lists, by FEMA lifeline, each list replaced on its own.

What is known of a list stands in ``resilience/sources/critical-facilities.yml``; any other needs a lifeline when it is
loaded. Only columns that are named there, or by the law, are taken: owners, directors and telephones stay behind, and
so do day cares in persons' homes.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from resilience.layer_gate import live_boxes, require_acceptable, say_shrunk, told
from resilience.layer_reading import place, read_points, state_box
from resilience.layer_sources import FACILITIES, FacilityList, Lifeline, load_facility_lists
from resilience.layer_versions import Load, known_summary, live_version, make_current, named, replace_rows
from statewide.conform import conform, with_column
from statewide.crosswalk import propose
from statewide.database import Connection
from statewide.errors import BadArgument, UnreadableDelivery
from statewide.files import Reading
from statewide.findings import FindingLog, plain_count
from statewide.geometry import single_points
from statewide.replace import begin_for_town
from statewide.standard import Standard

_LIST_NAME = re.compile(r"[a-z][a-z0-9-]{0,59}")


def load_facilities(
    connection: Connection,
    standard: Standard,
    path: Path,
    *,
    source_list: str,
    version: str,
    work: Path,
    lifeline: str | None = None,
    component: str | None = None,
    effective_on: dt.date | None = None,
    accept: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Make the file the current version of a list, in the caller's transaction; other lists stay as they are.

    Args:
        path: points: a map, or a table with coordinates.
        source_list: name of the list, for example ``public-schools``.
        lifeline: code of the lifeline of its facilities, where the list's file does not say it; so `component`.

    Returns:
        As ``layers.load_layer``.

    Raises:
        UnreadableDelivery: the file holds no points, or no names of facilities.
        BadArgument: nobody says the lifeline, or the version was loaded before from other content.
    """
    year, accept = dt.date.today().year, accept or {}
    require_acceptable(standard, year, accept)
    known_lists = load_facility_lists()
    table = standard.table(known_lists.table)
    described = _described(standard, known_lists.lists.get(source_list), source_list, lifeline, component)
    say(f"Reading {path.name}")
    reading = read_points(path, work)
    load = Load(
        layer=FACILITIES,
        version=named(standard, version),
        effective_on=effective_on,
        source_file=reading.path_name,
        source_sha256=reading.sha256,
        source_list=source_list,
        source_name=described.source_name,
        license=described.license,
    )
    begin_for_town(connection, FACILITIES, source_list)
    known = known_summary(connection, load)
    if known:
        return {"outcome": "unchanged", **known, "written": 0}

    log = FindingLog(standard, table.name, year, "", "")
    live = live_version(connection, FACILITIES, source_list)
    columns, rows = _rows(log, described, reading)
    boxes = functools.cache(lambda: live_boxes(connection, table, source_list) if live else None)
    placed = place(log, reading, boxes, lambda shapes, _: single_points(shapes))
    held = list(placed.held) if placed else []
    usable = np.zeros(len(rows), dtype=bool)
    if placed:
        usable = shapely.intersects(state_box(standard), placed.shapes)
        outside = np.flatnonzero(~shapely.is_missing(placed.shapes) & ~usable)
        held += [{"row": int(at) + 1, "why": f"it lies outside of {standard.header.state}"} for at in outside]
    homes = _homes(log, described, rows)
    known_kind = rows.column("lifeline").is_valid().to_numpy()
    without = np.flatnonzero(usable & ~homes & ~known_kind)
    held += [{"row": int(at) + 1, "why": "its kind belongs to no lifeline"} for at in without]
    keep = usable & ~homes & known_kind
    published = rows.filter(pa.array(keep))
    if placed and not len(published):
        log.add("LAYER_EMPTY", file=reading.path_name, read=f"{reading.rows_read:,}")
    if live and len(published):
        [(before,)] = connection.execute(
            "SELECT count(*) FROM resilience.critical_facility WHERE source_list = %s", [source_list]
        ).fetchall()
        say_shrunk(log, "facilities", before, len(published))
    summary = {
        "layer": FACILITIES,
        "source_list": source_list,
        "version": version,
        "effective_on": str(effective_on) if effective_on else None,
        "effective_how": "as stated" if effective_on else None,
        "file": reading.path_name,
        "coverage": "A list: what is not on it is not known.",
        "rows": {
            "read": reading.rows_read,
            "published": len(published),
            "held": len(held),
            "left_out": int((homes & usable).sum()),
        },
        "classes": dict(Counter(published.column("lifeline").to_pylist()).most_common()),
        "held": held,
        "repaired": [],
        "columns": columns,
        "odd": {},
        "crs": placed.crs if placed else None,
        **told(log, accept),
    }
    if summary["blocked_by"] or placed is None:
        return {"outcome": "refused", **summary, "written": 0}
    constants = {
        "source_list": pa.scalar(source_list),
        "effective_on": pa.scalar(effective_on, pa.date32()),
        "source_sha256": pa.scalar(reading.sha256),
    }
    for name, value in constants.items():
        published = with_column(published, name, pa.repeat(value, len(published)))
    say(f"Writing {len(published):,} facilities")
    make_current(connection, standard, load, summary)
    replace_rows(connection, standard, table, published, placed.shapes[keep], load)
    return {"outcome": "published", **summary, "written": len(published)}


def _described(
    standard: Standard, known: FacilityList | None, name: str, lifeline: str | None, component: str | None
) -> FacilityList:
    """What is known of the list, with what was said when it was loaded."""
    codes = [code.code for code in standard.code_lists["lifeline"].codes]
    if not _LIST_NAME.fullmatch(name):
        raise BadArgument(
            f"Name the list (--list) in small letters, digits and hyphens, for example public-schools, not {name!r}."
        )
    if lifeline is not None and lifeline not in codes:
        raise BadArgument(f"There is no lifeline {lifeline!r}; there are: {', '.join(codes)}.")
    if known is None and lifeline is None:
        raise BadArgument(f"The list {name} is new: say its lifeline (--lifeline), one of {', '.join(codes)}.")
    if known is None:
        return FacilityList(title=name, lifeline=lifeline, component=component)
    if lifeline:  # another than the list's own has not its component
        return known.model_copy(update={"lifeline": lifeline, "component": component})
    return known.model_copy(update={"component": component or known.component})


def _rows(log: FindingLog, described: FacilityList, reading: Reading) -> tuple[dict[str, dict[str, str]], pa.Table]:
    """What became of each delivered column, and the rows in the law's columns with the lifeline of each."""
    standard = log.standard
    table = standard.table(log.dataset)
    given = reading.table.drop_columns(["geometry"])
    # A list's own column for the facility's name may go by a word that elsewhere names a person.
    ours = {column.casefold(): name for name, column in described.columns.items()}
    renamed = [ours.get(name.casefold(), name) for name in given.column_names]
    delivered = dict(zip(renamed, given.column_names, strict=True))
    given = given.rename_columns(renamed)
    crosswalk = propose(standard, table, given.drop_columns(["row_no"]))
    if "facility_name" not in crosswalk.mapping:
        raise UnreadableDelivery(
            f"No column of {reading.path_name} is known to hold the facilities' names; name it under `columns` of the"
            f" list in resilience/sources/{FACILITIES}.yml. Its columns: {', '.join(delivered.values())}."
        )
    rows = _without_contacts(log, conform(table, crosswalk, given, log))
    kinds = rows.column("facility_type")
    if described.facility_type:
        kinds = pc.fill_null(kinds, described.facility_type)
    rows = with_column(rows, "facility_type", kinds)
    of_kind = {kind.casefold(): found for kind, found in described.types.items()}
    others = Lifeline(lifeline=described.lifeline, component=described.component) if described.lifeline else None
    belongs = [of_kind.get((kind or "").casefold(), others) for kind in kinds.to_pylist()]
    unknown = Counter(kind or "no kind" for kind, it in zip(kinds.to_pylist(), belongs, strict=True) if it is None)
    for kind, count in unknown.most_common():
        log.add("LAYER_KIND_UNKNOWN", value=kind, rows=plain_count(count, "row"))
    rows = with_column(rows, "lifeline", pa.array([it and it.lifeline for it in belongs], pa.string()))
    components = pa.array([it and it.component for it in belongs], pa.string())
    rows = with_column(rows, "component", pc.coalesce(rows.column("component"), components))
    return {delivered[name]: fate for name, fate in crosswalk.account().items()}, rows


def _without_contacts(log: FindingLog, rows: pa.Table) -> pa.Table:
    """The rows without values that hold a telephone number or an e-mail address, whatever their column."""
    pattern = next(it.value_pattern for it in log.standard.header.withheld if it.name == "contact")
    for name in ("facility_name", "facility_type", "component", "address", "delivered_town"):
        values = rows.column(name)
        tells = np.array([bool(value and re.search(pattern or "(?!)", value)) for value in values.to_pylist()])
        if tells.any():
            log.add("LAYER_PERSON_SHOWS", column=name, rows=plain_count(int(tells.sum()), "row"))
            rows = with_column(rows, name, pc.if_else(pa.array(tells), pa.scalar(None, pa.string()), values))
    return rows


def _homes(log: FindingLog, described: FacilityList, rows: pa.Table) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which facilities are in a person's home."""
    homes = {kind.casefold() for kind in described.left_out}
    kinds = rows.column("facility_type").to_pylist()
    for kind, count in sorted(Counter(kind for kind in kinds if kind and kind.casefold() in homes).items()):
        log.add("LAYER_HOME_LEFT_OUT", value=kind, rows=plain_count(count, "row"))
    return np.array([bool(kind) and kind.casefold() in homes for kind in kinds], dtype=bool)
