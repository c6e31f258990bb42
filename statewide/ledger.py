"""The record of a delivery: submission, findings, held rows, and the ledger that must balance.

``rows read = published + held + ignored`` and ``area read = published + held + moved by repairs``; what was
published is counted and measured by PostGIS, the rest by us, so the two keep an eye on each other.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import pyarrow as pa
import shapely
from psycopg import sql
from psycopg.types.json import Jsonb

from statewide.database import Connection
from statewide.errors import LedgerUnbalanced
from statewide.findings import Finding
from statewide.geometry import Shapes

_RECORDS: dict[str, tuple[str, ...]] = {
    "ledger": (
        "rows_read",
        "rows_published",
        "rows_held",
        "rows_ignored",
        "area_read_sqft",
        "area_published_sqft",
        "area_held_sqft",
        "area_repaired_sqft",
        "source_columns",
    ),
    "finding": (
        "finding_no",
        "check_code",
        "severity",
        "owner",
        "row_no",
        "column_name",
        "value",
        "sentence",
        "fix",
        "geom",
    ),
    "held_row": ("row_no", "reasons", "attributes", "geom"),
}
"""Columns of the tables that hang on a submission, beside its identifier, in the order in which they are written."""


@dataclass(frozen=True)
class Ledger:
    """Rows and square feet: what came in and what became of it."""

    rows_read: int
    rows_published: int
    rows_held: int
    rows_ignored: int
    area_read_sqft: float
    area_published_sqft: float
    area_held_sqft: float
    area_repaired_sqft: float

    def all_held(self) -> Ledger:
        """The books of a refused delivery: nothing was published, every row is held by the gate."""
        return Ledger(
            self.rows_read,
            0,
            self.rows_read - self.rows_ignored,
            self.rows_ignored,
            self.area_read_sqft,
            0.0,
            self.area_read_sqft,
            0.0,
        )

    def require_balance(self, tolerance_sqft: float) -> None:
        """Stop the load if anything went missing.

        Raises:
            LedgerUnbalanced: rows or area do not add up.
        """
        rows = self.rows_read - self.rows_published - self.rows_held - self.rows_ignored
        area = math.fsum(
            (self.area_read_sqft, -self.area_published_sqft, -self.area_held_sqft, -self.area_repaired_sqft)
        )
        if rows or not abs(area) <= tolerance_sqft:
            raise LedgerUnbalanced(
                f"The ledger does not balance: {rows} rows and {area:.3f} sq ft are unaccounted for. "
                "Nothing was changed; please report this as a bug with the file."
            )


def record_submission(
    connection: Connection,
    summary: Mapping[str, Any],
    *,
    received_at: Any,
    accepted: Mapping[str, str],
    standard_version: str,
) -> None:
    """Write the submission's row."""
    connection.execute(
        "INSERT INTO statewide.submission (submission_id, dataset, cousub_fips, year, file_name, file_sha256,"
        " received_at, outcome, accepted, summary, standard_version, software_version)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            summary["submission"],
            summary["dataset"],
            summary["cousub_fips"],
            summary["year"],
            summary["file"]["name"],
            summary["file"]["sha256"],
            received_at,
            summary["outcome"],
            Jsonb(dict(accepted)),
            Jsonb({name: value for name, value in summary.items() if name != "report"}),  # a path of this machine
            standard_version,
            _software_version(),
        ],
    )


@functools.cache
def _software_version() -> str:
    return version("statewide")


def record_ledger(
    connection: Connection, submission_id: str, ledger: Ledger, source_columns: Mapping[str, Mapping[str, str]]
) -> None:
    """Write the ledger; the database's own constraints check the balance once more."""
    entries = asdict(ledger)
    connection.execute(
        sql.SQL("INSERT INTO statewide.ledger (submission_id, {}) VALUES (%s{})").format(
            sql.SQL(", ").join(map(sql.Identifier, _RECORDS["ledger"])), sql.SQL(", %s") * len(_RECORDS["ledger"])
        ),
        [submission_id, *entries.values(), Jsonb(dict(source_columns))],
    )


def record_as(connection: Connection, submission_id: str, earlier: str) -> None:
    """Give a submission the ledger, the findings and the held rows of an earlier one of the same file."""
    for table, columns in _RECORDS.items():
        copied = sql.SQL(", ").join(map(sql.Identifier, columns))
        connection.execute(
            sql.SQL(
                "INSERT INTO {table} (submission_id, {columns}) SELECT %s, {columns} FROM {table} WHERE {of}"
            ).format(table=sql.Identifier("statewide", table), columns=copied, of=sql.SQL("submission_id = %s")),
            [submission_id, earlier],
        )


def record_findings(connection: Connection, submission_id: str, findings: Iterable[Finding], srid: int) -> None:
    """COPY the findings, in the order given."""
    with (
        connection.cursor() as cursor,
        cursor.copy(_copy("finding")) as copy,
    ):
        for number, finding in enumerate(findings, start=1):
            shape = None if finding.shape is None else _hex(finding.shape, srid)
            copy.write_row(
                (
                    submission_id,
                    number,
                    finding.code,
                    finding.severity,
                    finding.owner,
                    finding.row_no,
                    finding.column,
                    finding.value,
                    finding.sentence,
                    finding.fix,
                    shape,
                )
            )


def record_held_rows(
    connection: Connection,
    submission_id: str,
    held: Mapping[int, list[str]],
    source: pa.Table,
    shapes: Shapes,
    srid: int,
) -> None:
    """Keep held rows whole: every delivered column (persons stripped by the caller) and the shape as it came.

    Args:
        source: delivered columns and `row_no`; `shapes` are in the same order.
    """
    places = {row_no: place for place, row_no in enumerate(source.column("row_no").to_pylist())}
    with (
        connection.cursor() as cursor,
        cursor.copy(_copy("held_row")) as copy,
    ):
        for row_no, reasons in sorted(held.items()):
            attributes = source.slice(places[row_no], 1).to_pylist()[0]
            del attributes["row_no"]
            shape = shapes[places[row_no]]
            copy.write_row(
                (
                    submission_id,
                    row_no,
                    reasons,
                    json.dumps(_plain(attributes), default=str, ensure_ascii=False),
                    None if shape is None or not _finite(shape) else _hex(shape, srid),
                )
            )


def record_publication(connection: Connection, summary: Mapping[str, Any], *, renew: bool, publication_id: str) -> None:
    """Point the town at this delivery; the publication's identifier changes only when a row did."""
    connection.execute(
        "INSERT INTO statewide.publication AS p (cousub_fips, dataset, publication_id, submission_id, year,"
        " rows_published, rows_held, published_at) VALUES (%(town)s, %(dataset)s, %(publication)s, %(submission)s,"
        " %(year)s, %(published)s, %(held)s, now()) ON CONFLICT (cousub_fips, dataset) DO UPDATE SET"
        " submission_id = excluded.submission_id, year = excluded.year, basis = NULL,"
        # Where no row has changed, the count stays that of what is shown: a room may withhold some.
        " rows_published = CASE WHEN %(renew)s THEN excluded.rows_published ELSE p.rows_published END,"
        " rows_held = excluded.rows_held,"
        " publication_id = CASE WHEN %(renew)s THEN excluded.publication_id ELSE p.publication_id END,"
        " published_at = CASE WHEN %(renew)s THEN excluded.published_at ELSE p.published_at END",
        {
            "town": summary["cousub_fips"],
            "dataset": summary["dataset"],
            "publication": publication_id,
            "submission": summary["submission"],
            "year": summary["year"],
            "published": summary["rows"]["published"] + summary["rows"]["kept_live"],
            "held": summary["rows"]["held"],
            "renew": renew,
        },
    )


def save_crosswalk(
    connection: Connection,
    summary: Mapping[str, Any],
    mapping: Mapping[str, str],
    join_key: Mapping[str, Any] | None,
) -> None:
    """Remember which column filled which field and how the datasets met, for the town's next delivery."""
    connection.execute(
        "INSERT INTO statewide.crosswalk AS known (cousub_fips, dataset, mapping, join_key, submission_id, saved_at)"
        " VALUES (%s, %s, %s, %s, %s, now()) ON CONFLICT (cousub_fips, dataset) DO UPDATE SET"
        " mapping = excluded.mapping, join_key = coalesce(excluded.join_key, known.join_key),"
        " submission_id = excluded.submission_id, saved_at = excluded.saved_at",
        [
            summary["cousub_fips"],
            summary["dataset"],
            Jsonb(dict(mapping)),
            Jsonb(dict(join_key)) if join_key is not None else None,
            summary["submission"],
        ],
    )


def saved_join_key(connection: Connection, town: str) -> dict[str, Any] | None:
    """How the town's datasets met in its last published delivery of several; None before the first."""
    row = connection.execute(
        "SELECT join_key FROM statewide.crosswalk WHERE cousub_fips = %s AND join_key IS NOT NULL"
        " ORDER BY saved_at DESC LIMIT 1",
        [town],
    ).fetchone()
    return dict(row[0]) if row else None


def saved_crosswalk(connection: Connection, town: str, dataset: str) -> dict[str, str]:
    """The mapping that the town's last published delivery used; empty for a first delivery."""
    row = connection.execute(
        "SELECT mapping FROM statewide.crosswalk WHERE cousub_fips = %s AND dataset = %s", [town, dataset]
    ).fetchone()
    return dict(row[0]) if row else {}


def history(connection: Connection, town: str, dataset: str) -> list[dict[str, Any]]:
    """Submissions of a town, the newest first, as their summaries with number, time and reasons of acceptance."""
    rows = connection.execute(
        "SELECT submission_no, received_at, accepted, summary FROM statewide.submission"
        " WHERE cousub_fips = %s AND dataset = %s ORDER BY submission_no DESC",
        [town, dataset],
    ).fetchall()
    return [
        {"number": number, "received_at": received_at.isoformat(), "accepted": accepted, **summary}
        for number, received_at, accepted, summary in rows
    ]


def _copy(table: str) -> sql.Composed:
    columns = sql.SQL(", ").join(map(sql.Identifier, ("submission_id", *_RECORDS[table])))
    return sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier("statewide", table), columns)


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Without numbers that JSON does not know: "inf" is kept as a word, NaN is nothing."""
    return {
        name: value
        if not isinstance(value, float) or math.isfinite(value)
        else None
        if math.isnan(value)
        else str(value)
        for name, value in attributes.items()
    }


def _hex(shape: Any, srid: int) -> str:
    return str(shapely.to_wkb(shapely.set_srid(shape, srid), hex=True, include_srid=True))


def _finite(shape: Any) -> bool:
    return bool((abs(shapely.get_coordinates(shape)) < math.inf).all())
