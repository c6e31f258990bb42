"""Put a town back to an earlier version of its own: a publication like any other, recorded with what it undoes and why.

The rows of that version are live again under their old identifiers; only those that differ are written, and what was
live until now goes to history. Nothing is forgotten: a rollback can be rolled back.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from psycopg import sql

from statewide import ledger
from statewide.conform import ARROW_TYPES
from statewide.copying import UUID
from statewide.database import Connection, connect
from statewide.ddl import has_shapes
from statewide.errors import BadArgument
from statewide.intake import Dataset, Say, joined_summary, tell_the_rooms
from statewide.lineage import Indices, Lineage
from statewide.live import Live
from statewide.register import Town, find_town
from statewide.replace import begin_for_town, followers, follows, replace_town
from statewide.settings import Settings
from statewide.staging import Digests, Staged, new_uid
from statewide.standard import Standard, Table, load_standard
from statewide.succession import succession
from statewide.versions import Version, find_version, join_key_at, rows_as_of, version_at

_YEAR = "collection_year"


@dataclass(frozen=True)
class Restored:
    """A dataset that was put back: the rows that were live before, and how those that are live now meet them."""

    live: Live
    lineage: Lineage
    changed: bool


Settle = Callable[[Connection, Town, Mapping[str, Restored]], None]
"""What else is written in the transaction of a rollback, by dataset."""


def roll_back(
    settings: Settings,
    datasets: Sequence[Dataset],
    settle: Settle | None,
    town: str,
    to: str,
    reason: str | None,
    say: Say,
) -> dict[str, Any]:
    """Make what was live of a town after a submission live again, all in one transaction.

    Args:
        datasets: the first is the one whose submission is meant; the others go back to what was live beside it.
        to: as `versions.find_version`.

    Returns:
        The summary of the first, with those of the others by the names of their datasets.

    Raises:
        InputError: no such town or submission, or one that never was live.
        PlatformError: the database; nothing changed.
    """
    started = time.perf_counter()
    standard, received_at = load_standard(), dt.datetime.now(dt.UTC)
    with connect(settings) as connection:
        found = find_town(connection, town)
        begin_for_town(connection, standard.table(datasets[0].table).schema_name, found.cousub_fips)
        target = find_version(connection, datasets[0].table, found, to)
        summaries, restored = [], {}
        for dataset in datasets:
            say(f"{dataset.noun} …")
            wanted = version_at(connection, dataset.table, found, target.moment)
            if dataset is not datasets[0] and not version_at(connection, dataset.table, found, None).submission:
                continue  # neither then nor now
            each, restored[dataset.table] = _restore(connection, standard, dataset, found, wanted, reason, received_at)
            summaries.append(each)
        if settle:
            settle(connection, found, restored)
    summary = joined_summary(summaries)
    summary["behind"] = tell_the_rooms(settings, datasets, found, say)
    return summary | {"seconds": {"total": round(time.perf_counter() - started, 3)}}


@dataclass(frozen=True)
class _Wanted:
    """The rows to have live, in the order of their identifiers."""

    staged: Staged
    uids: Digests


def _restore(
    connection: Connection,
    standard: Standard,
    dataset: Dataset,
    town: Town,
    to: Version,
    reason: str | None,
    received_at: dt.datetime,
) -> tuple[dict[str, Any], Restored]:
    if to.submission is None:
        raise BadArgument(
            f"Nothing of the {dataset.noun} of {town.town_name} was live then: there is nothing to go back to."
        )
    table = standard.table(dataset.table)
    undone = version_at(connection, dataset.table, town, None)
    before, source_columns = _as_recorded(connection, to.submission)
    wanted = _wanted(connection, table, town, to, before["year"])
    live = Live(connection, table, town.cousub_fips, follows(table, tuple(dataset.derived)))
    lineage = _by_identifier(live, wanted)
    became = succession(live, wanted.staged, lineage, standard, dataset.label)
    count, area = len(wanted.uids), float(wanted.staged.areas.sum())
    derived = {name: work(wanted.staged) for name, work in dataset.derived.items()}
    counts = lineage.counts() | {"followed": int(followers(live, wanted.staged, lineage, derived).sum())}
    differs = bool(counts["added"] or counts["changed"] or counts["removed"] or counts["followed"])
    summary = before | {
        "submission": new_uid(),
        "outcome": "published" if differs else "unchanged",
        "dry": False,
        "blocked_by": [],
        "rows": {"read": count, "published": count, "held": 0, "ignored": 0, **counts},
        "lineage": became.by_kind(),
        "area_sqft": {"read": round(area, 3), "published": round(area, 3), "held": 0.0, "repaired": 0.0},
        "largest_shift_ft": 0.0,
        "rollback_of": undone.submission,
        "rollback_to": to.submission,
        "rollback_to_number": to.number,
        "reason": reason,
    }
    key = join_key_at(connection, town, to.moment)
    if key:
        summary["join_key"] = key
    ledger.record_submission(
        connection,
        summary,
        received_at=received_at,
        accepted={},
        standard_version=standard.header.version,
    )
    entries = ledger.Ledger(count, count, 0, 0, area, area, 0.0, 0.0)
    entries.require_balance(standard.header.area_tolerance_sqft)
    ledger.record_ledger(connection, summary["submission"], entries, source_columns)
    replace_town(
        live,
        standard,
        wanted.staged,
        lineage,
        became,
        derived,
        summary["submission"],
        wanted.uids[lineage.added],
    )
    # What its file held is held again.
    shown = summary | {"rows": summary["rows"] | {"held": before["rows"]["held"]}}
    ledger.record_publication(connection, shown, renew=differs, publication_id=new_uid())
    mapping = {fate["field"]: column for column, fate in source_columns.items() if fate["fate"] == "mapped"}
    ledger.save_crosswalk(connection, summary, mapping, key)
    return summary, Restored(live, lineage, differs)


def _by_identifier(live: Live, wanted: _Wanted) -> Lineage:
    """Rows are the same by their identifiers, and unchanged by their hashes; nothing is guessed."""
    staged, versions = wanted.staged, live.versions
    _, here, there = np.intersect1d(
        wanted.uids.view("S16"),
        np.ascontiguousarray(versions["uid"]).view("S16"),
        assume_unique=True,
        return_indices=True,
    )
    same = (staged.attribute_hash[here] == versions["attribute_hash"][there]) & (
        staged.shape_hash[here] == versions["shape_hash"][there]
    )
    pairs: Indices = np.column_stack((here, there)).astype(np.int64)
    return Lineage(
        added=np.setdiff1d(np.arange(len(wanted.uids)), here),
        removed=np.setdiff1d(np.arange(len(versions)), there),
        kept=pairs[same],
        changed=pairs[~same],
        within_tolerance=0,
        largest_shift_ft=0.0,
    )


def _wanted(connection: Connection, table: Table, town: Town, to: Version, year: int) -> _Wanted:
    """The rows of that version, which was of that collection year."""
    fields = [field for field in table.base_fields if field.name != table.key]
    names = ["row_no", table.key, "attribute_hash", "shape_hash", *(field.name for field in fields)]
    shape = sql.SQL("ST_AsBinary(geom)" if has_shapes(table) else "NULL::bytea")
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(
            sql.SQL("SELECT {}, {} FROM ({}) AS rows ORDER BY {}").format(
                sql.SQL(", ").join(map(sql.Identifier, names)),
                shape,
                rows_as_of(table, town.cousub_fips, to.moment),
                sql.Identifier(table.key),
            )
        ).fetchall()
    columns = list(zip(*rows, strict=True)) or [()] * (len(names) + 1)
    row_no, *digests = columns[:4]
    uids, attribute_hash, shape_hash = (
        np.frombuffer(b"".join(value.bytes for value in column), dtype="V16") for column in digests
    )
    arrays = {field.name: _array(values, field.type) for field, values in zip(fields, columns[4:-1], strict=True)}
    if _YEAR in arrays:  # of a row that stayed, only the later year in which it was confirmed is known
        arrays[_YEAR] = pc.min_element_wise(arrays[_YEAR], year, skip_nulls=False)
    shapes = np.array(shapely.from_wkb(columns[-1]), dtype=object).reshape(len(rows))
    staged = Staged(table, pa.table({"row_no": pa.array(row_no, pa.int64()), **arrays}), shapes)
    # As they were reckoned then: the law may have gained a field since.
    staged.__dict__.update(attribute_hash=attribute_hash, shape_hash=shape_hash)
    return _Wanted(staged, uids)


def _array(values: Sequence[Any], kind: str) -> pa.Array:
    if kind == "uuid":
        return pa.array([None if value is None else value.bytes for value in values], UUID)
    return pa.array(values, ARROW_TYPES[kind])


def _as_recorded(connection: Connection, submission: str) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """A submission's summary, and what became of the columns of its file."""
    row = connection.execute(
        "SELECT summary, source_columns FROM statewide.submission JOIN statewide.ledger USING (submission_id)"
        " WHERE submission_id = %s",
        [submission],
    ).fetchone()
    assert row is not None
    return row[0], row[1]
