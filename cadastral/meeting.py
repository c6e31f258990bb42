"""How a town's parcels and its assessor's rows meet, whichever of the two a delivery brings.

Both together: the detective looks for the key. One alone: the key of the last delivery holds; assessor's rows without
one are compared with the parcels that are live. What is found becomes `cama_link_normalized` on both sides, the only
join in the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cadastral.assessment_checks import matched
from cadastral.assessment_link import link_assessments
from cadastral.assessments import ASSESSMENTS, keep_apart
from cadastral.confidential import forget_persons
from cadastral.join_columns import Reading
from cadastral.join_key import JoinKey, JoinSearch, Side, find_join_key, join_key_from, values
from cadastral.join_stoppers import CAUSES, stoppers
from cadastral.parcels import PARCELS
from statewide.arrival import Rows
from statewide.database import Connection
from statewide.findings import plain_count, plain_share
from statewide.geometry import Shapes
from statewide.intake import Delivery, Outcome, Replaced, Request, Say, take_in
from statewide.live import Live
from statewide.meeting import Arriving, KeyTried, Meeting
from statewide.register import Town
from statewide.rollback import Restored
from statewide.settings import Settings
from statewide.standard import Standard, load_standard

_LIVE_COLUMNS = ("cama_link", "link", "parcel_id")
"""Delivered columns of the parcels that are kept: what records without a saved key are compared with."""

_LINK = "cama_link_normalized"


def submit(settings: Settings, request: Request, say: Say) -> Outcome:
    """Take a town's parcels in, and its assessor's rows when they come with them (or only check, if asked so).

    Raises:
        InputError, PlatformError: as `statewide.intake.take_in`.
    """
    datasets = (PARCELS, ASSESSMENTS) if request.beside else (PARCELS,)
    return take_in(settings, Delivery(datasets, meet, matched, settle, place), request, say)


def submit_assessments(settings: Settings, request: Request, say: Say) -> Outcome:
    """Take a town's assessor's rows in on their own; they meet the parcels that are live.

    Raises:
        InputError, PlatformError: as `statewide.intake.take_in`.
    """
    return take_in(settings, Delivery((ASSESSMENTS,), meet, matched, settle, place), request, say)


def meet(
    connection: Connection,
    standard: Standard,
    town: Town,
    parts: Mapping[str, Arriving],
    saved: Mapping[str, Any] | None,
) -> Meeting:
    """Find the key, or take the saved one, and say what was found."""
    key = join_key_from(saved) if saved else None
    parcels, rows = parts.get(PARCELS.table), parts.get(ASSESSMENTS.table)
    if rows is None:
        assert parcels is not None
        if key is None:
            return Meeting()
        if missing := _missing(key.parcel, parcels.columns):
            return Meeting(findings=[(PARCELS.table, *_fell("parcels", missing))])
        return Meeting({PARCELS.table: values(standard, key, parcels.columns, "parcel", town.cousub_fips)})
    if parcels is None:
        missing = _missing(key.cama, rows.columns) if key else []
        fell = [(ASSESSMENTS.table, *_fell("CAMA rows", missing))] if missing else []
        if key is not None and not missing:
            return Meeting({ASSESSMENTS.table: values(standard, key, rows.columns, "cama", town.cousub_fips)})
        live = _live_columns(connection, standard, town)
        if not len(live):
            return Meeting(findings=fell)
        search = find_join_key(standard, live.select(_LIVE_COLUMNS), rows.columns, town.cousub_fips)
        found = _found(standard, town, search, {ASSESSMENTS.table: ("cama", rows.columns)})
        enough = standard.checks["MATCH_LOST"].limits["before_min"]
        if search.key is None or search.key.cama_match < enough:
            return replace(found, joined={}, evidence={}, findings=fell)  # the records' own link is as good a guess
        # The live parcels keep the link that they have: a record that meets one takes that.
        met = values(standard, search.key, live, "parcel", town.cousub_fips)
        theirs = found.joined[ASSESSMENTS.table]
        links = live.column(_LINK).take(pc.index_in(theirs, value_set=met, skip_nulls=True))
        joined = {ASSESSMENTS.table: pc.coalesce(links.combine_chunks(), theirs)}
        return replace(found, joined=joined, findings=[*fell, *found.findings])
    search = find_join_key(
        standard, parcels.columns, rows.columns, town.cousub_fips, saved=key, reviewed=parcels.reviewed.join
    )
    sides: dict[str, tuple[Side, pa.Table]] = {
        PARCELS.table: ("parcel", parcels.columns),
        ASSESSMENTS.table: ("cama", rows.columns),
    }
    found = _found(standard, town, search, sides)
    if search.key is None:
        return found
    stopped = _stopped(standard, search.key, parcels.columns, rows.columns, town.cousub_fips)
    return replace(found, findings=[*found.findings, *stopped])


def _missing(reading: Reading, columns: pa.Table) -> list[str]:
    return [name for name in reading.columns if name not in columns.column_names]


def _fell(noun: str, missing: list[str]) -> tuple[str, dict[str, str]]:
    why = f"the {noun} have no column {', '.join(missing)}, by which they met before, so their own link was taken."
    return "JOIN_KEY_FELL", {"why": why}


def _found(standard: Standard, town: Town, search: JoinSearch, sides: Mapping[str, tuple[Side, pa.Table]]) -> Meeting:
    tried = [_tried(key, chosen=key is search.key) for key in search.leaders]
    last = list(sides)[-1]
    if search.key is None:
        return Meeting(findings=[(last, "JOIN_KEY_UNKNOWN", {"why": search.why})], tried=tried)
    key = search.key
    words = {"rule": key.rule, "parcels": plain_share(key.parcel_match), "records": plain_share(key.cama_match)}
    findings = [(last, "JOIN_KEY_FOUND", words)]
    if search.fell:
        findings.append((last, "JOIN_KEY_FELL", {"why": search.fell}))
    if search.rival:
        findings.append((last, "JOIN_KEY_AMBIGUOUS", {"rule": key.rule, "rival": search.rival.rule}))
    joined = {name: values(standard, key, table, side, town.cousub_fips) for name, (side, table) in sides.items()}
    # A key of live columns is none of the next file's; and the live parcels keep the links that they have.
    record = key.record() if PARCELS.table in sides else None
    evidence = {name: _evidence(key, side) for name, (side, _) in sides.items()}
    return Meeting(joined, evidence, findings, tried, record)


def _stopped(
    standard: Standard, key: JoinKey, parcels: pa.Table, rows: pa.Table, cousub_fips: str
) -> list[tuple[str, str, dict[str, str]]]:
    """The rows that meet nothing, by cause, where a side meets by less than the law expects."""
    meets = {"parcel": (PARCELS.table, key.parcel_match), "cama": (ASSESSMENTS.table, key.cama_match)}
    expected = standard.checks["JOIN_STOPPED"].limits["share_min"]
    if min(share for _, share in meets.values()) >= expected:
        return []
    findings = []
    for stopper in stoppers(standard, key, parcels, rows, cousub_fips):
        dataset, share = meets[stopper.side]
        if share < expected:
            shown = [f"{value} (perhaps {other})" if other else value for value, other in stopper.examples if value]
            examples = f", for example {', '.join(shown)}" if shown else ""
            noun = standard.table(dataset).title.lower()
            words = {"rows": plain_count(len(stopper.rows), noun), "cause": CAUSES[stopper.cause], "examples": examples}
            findings.append((dataset, "JOIN_STOPPED", words))
    return findings


def _evidence(key: JoinKey, side: Side) -> dict[tuple[str, str], float]:
    """A column that is the key by itself is the town's link."""
    reading, share = (key.parcel, key.parcel_match) if side == "parcel" else (key.cama, key.cama_match)
    return {("link", reading.columns[0]): share} if len(reading.columns) == 1 else {}


def _tried(key: JoinKey, *, chosen: bool) -> KeyTried:
    return KeyTried(key.rule, key.parcel_match, key.cama_match, key.agreement, chosen)


def _live_columns(connection: Connection, standard: Standard, town: Town) -> pa.Table:
    live = Live(connection, standard.table(PARCELS.table), town.cousub_fips)
    return pa.table({name: pa.array(live.column(name), pa.string()) for name in (*_LIVE_COLUMNS, _LINK)})


def place(live: Live, rows: Rows) -> Shapes:
    """The shape of the parcel, delivered along, that each record meets; None where there is none."""
    found: Shapes = np.full(len(rows.given), None, dtype=object)
    if parcels := live.beside.get(PARCELS.table):
        links = parcels.rows.column(_LINK).combine_chunks()
        places = pc.index_in(rows.conformed.column(_LINK).combine_chunks(), value_set=links, skip_nulls=True)
        meets = places.is_valid().to_numpy(zero_copy_only=False)
        found[meets] = parcels.shapes[places.drop_null().to_numpy()]
    return found


def settle(settings: Settings, connection: Connection, town: Town, replaced: Mapping[str, Replaced]) -> None:
    """Persons apart, and parcels and records linked, in the transaction that published them."""
    rows = replaced.get(ASSESSMENTS.table)
    if rows:
        keep_apart(settings, rows.live, rows.staged, rows.lineage, rows.rows, rows.submission)
    records = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM cadastral.assessment WHERE cousub_fips = %s)", [town.cousub_fips]
    ).fetchone()
    if any(part.changed for part in replaced.values()) and records and records[0]:
        link_assessments(connection, load_standard(), town.cousub_fips)


def settle_rollback(connection: Connection, town: Town, restored: Mapping[str, Restored]) -> None:
    """The same after a rollback. Of a record that came back nobody knows who is protected: its persons are dropped."""
    records = restored.get(ASSESSMENTS.table)
    if records:
        forget_persons(connection, town.cousub_fips, records.live.versions["uid"][records.lineage.kept[:, 1]])
    if any(part.changed for part in restored.values()):
        link_assessments(connection, load_standard(), town.cousub_fips)
