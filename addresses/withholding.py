"""Addresses that are not shown: protected persons (CGS 1-217), the address confidentiality program, and shelters.

A request is kept in ``confidential`` and takes effect with its transaction: the published views leave out the points
that stand in ``confidential.withheld_point`` (`withheld_by` in the law). It is applied anew at every publication, until
it is released. What is shown says nothing of it: rows, counts and earlier versions are those of the other points.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql
from psycopg.rows import class_row

from addresses.columns import Flags
from addresses.meant_points import at_addresses, on_parcels
from addresses.parsing import label, normalized, parse_addresses
from addresses.search_index import refresh
from statewide.conform import protection_codes, with_column
from statewide.crosswalk import Crosswalk
from statewide.database import Connection, read_sql
from statewide.ddl import shown_where
from statewide.errors import BadArgument
from statewide.intake import Replaced
from statewide.live import uuids
from statewide.register import Town, find_town
from statewide.replace import lock_town
from statewide.settings import Settings
from statewide.standard import Standard, load_standard

_DATASET = "address_point"
_BASIS, _DELIVERED = "withheld_basis", "delivered"
_UNIT = ("unitpretyp", "unitvalue", "unit")


@dataclass(frozen=True)
class Request:
    """A request in force: `points` are the live points that it withholds now, `lapsed` is true after its last day."""

    request_no: int
    address_normalized: str | None
    unit: str | None
    identifier: str | None
    basis: str
    reason: str | None
    requested_at: dt.datetime
    recorded_by: str
    until: dt.date | None
    lapsed: bool
    points: int


def withhold(
    connection: Connection,
    standard: Standard,
    town: Town,
    *,
    who: str,
    basis: str,
    address: str | None = None,
    identifier: str | None = None,
    until: dt.date | None = None,
    reason: str | None = None,
) -> Request:
    """Record a request and withhold its points, in the caller's transaction.

    Args:
        address: number and street, with the unit if only that is meant; without one, all units are.
        identifier: ours, the town's or NENA's of a point, or a parcel number as the addresses have it.

    Raises:
        BadArgument: not one of the two, an unknown basis, nobody's name, an address that cannot be read, or text that
            cannot be kept.
        DatabaseBusy: the town's addresses are just being published.
    """
    _require_text(address, identifier, reason, who, basis)
    identifier = identifier.strip("{} \t\r\n") if identifier else None
    if bool(address) == bool(identifier):
        raise BadArgument("Say which address: either --address or --id.")
    code = standard.code_lists[_BASIS].lookup().get(basis.strip().casefold())
    if code in (None, _DELIVERED):
        known = ", ".join(each.code for each in standard.code_lists[_BASIS].codes if each.code != _DELIVERED)
        raise BadArgument(f"The basis is one of {known}.")
    named = _named(who)
    meant = read_address(standard, address) if address else (None, None)
    lock_town(connection, standard.table(_DATASET).schema_name, town.cousub_fips)
    row = connection.execute(
        "INSERT INTO confidential.withheld_request"
        " (cousub_fips, address_normalized, unit, identifier, basis, reason, recorded_by, until)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING request_no",
        [
            town.cousub_fips,
            *meant,
            identifier or None,
            code,
            reason,
            named,
            until,
        ],
    ).fetchone()
    assert row is not None
    _find_points(connection, standard, town)
    _renew(connection, standard, town)
    request = _request(connection, town, row[0])
    _log(connection, "withheld", town, named, reason, request.points, request.request_no)
    return request


def release(
    connection: Connection, standard: Standard, request_no: int, *, who: str, reason: str | None = None
) -> Town:
    """End a request, in the caller's transaction: its points come back, but for those that another one withholds.

    Returns:
        The town of the request.

    Raises:
        BadArgument: no such request is in force, or nobody's name.
        DatabaseBusy: as `withhold`.
    """
    _require_text(who, reason)
    found = connection.execute(
        "SELECT cousub_fips FROM confidential.withheld_request WHERE request_no = %s AND released_at IS NULL",
        [request_no],
    ).fetchone()
    if found is None:
        raise BadArgument(f"No request {request_no} is in force: see `withhold --list`.")
    town, named = find_town(connection, found[0]), _named(who)
    lock_town(connection, standard.table(_DATASET).schema_name, town.cousub_fips)
    request = _request(connection, town, request_no)
    connection.execute("DELETE FROM confidential.withheld_point WHERE request_no = %s", [request_no])
    connection.execute(
        "UPDATE confidential.withheld_request SET released_at = now() WHERE request_no = %s", [request_no]
    )
    _renew(connection, standard, town)
    _log(connection, "released", town, named, reason, request.points, request_no)
    return town


def lapsed_requests(connection: Connection) -> list[int]:
    """Numbers of the requests in force whose last day has passed, of all towns."""
    rows = connection.execute(
        "SELECT request_no FROM confidential.withheld_request WHERE released_at IS NULL AND until < current_date"
        " ORDER BY request_no"
    ).fetchall()
    return [number for (number,) in rows]


def requests_in_force(connection: Connection, town: Town) -> list[Request]:
    """The town's requests in the order in which they were recorded."""
    with connection.cursor(row_factory=class_row(Request)) as cursor:
        return cursor.execute(_REQUESTS, {"town": town.cousub_fips}).fetchall()


def settle(_settings: Settings, connection: Connection, town: Town, replaced: Mapping[str, Replaced]) -> None:
    """Withhold what the delivery flags and what requests mean, in the transaction that published it."""
    standard, part = load_standard(), replaced[_DATASET]
    changed = _follow_flags(connection, standard, town, part)
    _apply_requests(connection, standard, town, changed)
    _remember_flags(connection, town, part.submission)


def flagged(source: pa.Table, crosswalk: Crosswalk, standard: Standard) -> Flags | None:
    """Which delivered rows are protected by a column that says so, in row order; None without such a column.

    A word that nobody understands protects; an empty value does not.
    """
    columns = protection_codes(source, crosswalk, standard)
    found = np.zeros(len(source), dtype=bool)
    for codes in columns.values():
        found |= pc.not_equal(codes, "open").fill_null(False).to_numpy(zero_copy_only=False)
    return found if columns else None


def settle_rollback(connection: Connection, town: Town, _restored: Mapping[str, Any]) -> None:
    """Withhold what was flagged then and what requests mean; as `statewide.rollback.Settle`.

    What is flagged now stays withheld as well: going back undoes what a town says of its points, not its protection.
    """
    standard = load_standard()
    where = {"town": town.cousub_fips, "dataset": _DATASET}
    flagged_then = [uid for (uid,) in connection.execute(read_sql("addresses", "flagged_then"), where).fetchall()]
    changed = _set_flags(connection, town, flagged_then, [])
    _apply_requests(connection, standard, town, changed)
    row = connection.execute(
        "SELECT submission_id FROM statewide.publication WHERE cousub_fips = %(town)s AND dataset = %(dataset)s", where
    ).fetchone()
    assert row is not None
    _remember_flags(connection, town, row[0])


def _follow_flags(connection: Connection, standard: Standard, town: Town, part: Replaced) -> bool:
    """Withhold the points that the delivery flags, and those no longer that it has and does not flag.

    Returns:
        Whether that changed what is shown.
    """
    flags = flagged(part.rows.source, part.rows.crosswalk, standard)
    if flags is None and not _has_flagged(connection, town):
        return False
    staged, known = part.staged, part.live.versions["uid"]
    uids = np.zeros(len(staged.row_no), dtype="V16")
    for pairs in (part.lineage.kept, part.lineage.changed):
        uids[pairs[:, 0]] = known[pairs[:, 1]]
    added = connection.execute(
        "SELECT row_no, address_uid FROM addresses.address_point WHERE cousub_fips = %s AND submission_id = %s",
        [town.cousub_fips, part.submission],
    ).fetchall()
    if added:
        places = np.searchsorted(staged.row_no, [row_no for row_no, _ in added])
        uids[places] = np.frombuffer(b"".join(uid.bytes for _, uid in added), dtype="V16")
    if flags is None:  # what was flagged before stays withheld, also what comes back: such a file says nothing
        new = {"town": town.cousub_fips, "added": uuids(uids[part.lineage.added])}
        returned = connection.execute(read_sql("addresses", "withheld_returned"), new).fetchall()
        return _set_flags(connection, town, [uid for (uid,) in returned], [])
    protected = flags[np.searchsorted(part.rows.row_no, staged.row_no)]
    flagged_uids = uids[protected]
    if flags[~np.isin(part.rows.row_no, staged.row_no)].any():
        # A held row is protected, and it may be the new version of any that stays live for its sake.
        flagged_uids = np.concatenate([flagged_uids, known[part.lineage.kept_live]])
    return _set_flags(connection, town, uuids(flagged_uids), uuids(uids[~protected]))


def _has_flagged(connection: Connection, town: Town) -> bool:
    """Whether the town's own file has flagged points that are still withheld."""
    [(found,)] = connection.execute(
        "SELECT EXISTS (SELECT FROM confidential.withheld_request JOIN confidential.withheld_point USING (request_no)"
        " WHERE cousub_fips = %s AND basis = %s AND released_at IS NULL)",
        [town.cousub_fips, _DELIVERED],
    ).fetchall()
    return bool(found)


def _set_flags(connection: Connection, town: Town, flagged: Sequence[UUID | str], opened: Sequence[UUID | str]) -> bool:
    """Withhold the points that are flagged and show those that are open; whether that changed anything."""
    row = connection.execute(
        read_sql("addresses", "withheld_flags"),
        {"town": town.cousub_fips, "flagged": list(flagged), "open": list(opened)},
    ).fetchone()
    assert row is not None
    return bool(row[0])


def _remember_flags(connection: Connection, town: Town, submission: Any) -> None:
    """Note what is withheld by flags now, for a rollback to this publication."""
    connection.execute(
        "INSERT INTO confidential.flagged_point (submission_id, address_uid)"
        " SELECT %s, address_uid FROM confidential.withheld_request JOIN confidential.withheld_point USING (request_no)"
        " WHERE cousub_fips = %s AND basis = %s AND released_at IS NULL",
        [submission, town.cousub_fips, _DELIVERED],
    )


def _apply_requests(connection: Connection, standard: Standard, town: Town, changed: bool) -> None:
    """Withhold what the requests in force mean among the rows that are live now, and write down that it was done.

    Args:
        changed: whether what is shown has changed in this transaction beside the rows themselves.
    """
    if not requests_in_force(connection, town):
        return
    if _find_points(connection, standard, town) or changed:
        _renew(connection, standard, town)
    else:
        _count_shown(connection, standard, town)
    row = connection.execute(
        "SELECT count(DISTINCT address_uid) FROM confidential.withheld_point JOIN addresses.address_point AS t"
        " USING (address_uid) WHERE t.cousub_fips = %s",
        [town.cousub_fips],
    ).fetchone()
    assert row is not None
    _log(connection, "applied", town, "publication", None, row[0])


def read_address(standard: Standard, text: str) -> tuple[str, str | None]:
    """A typed address: number and street as the column `address_normalized` has them, and the number of the unit.

    Raises:
        BadArgument: it cannot be read, or has no number.
    """
    parsed = parse_addresses(standard, pa.array([text], pa.string()))
    parts = parsed.parts
    if parsed.held[0] or parts.column("add_number")[0].as_py() is None:
        raise BadArgument("The address cannot be read: give number and street, such as 36 Blinman Street Unit 1.")
    without = parts
    for name in _UNIT:
        without = with_column(without, name, pa.nulls(1, pa.string()))
    whole, street = (normalized(label(each))[0].as_py() for each in (parts, without))
    unit = (parts.column(name)[0].as_py() for name in ("unitvalue", "unit"))
    return street, next((said.upper() for said in unit if said), None) if whole != street else None


def _request(connection: Connection, town: Town, request_no: int) -> Request:
    """The request; another command may just have released it."""
    for request in requests_in_force(connection, town):
        if request.request_no == request_no:
            return request
    raise BadArgument(f"Request {request_no} is no longer in force.")


def _find_points(connection: Connection, standard: Standard, town: Town) -> bool:
    """Withhold what the requests in force mean; whether that is more than before."""
    requests = requests_in_force(connection, town)
    at, on = at_addresses(connection, standard, town, requests), on_parcels(connection, town, requests)
    more = connection.execute(
        read_sql("addresses", "withheld_points"),
        {
            "town": town.cousub_fips,
            "by_address": [number for number, _ in at],
            "uids": [uid for _, uid in at],
            "by_parcel": [number for number, _ in on],
            "parcel_ids": [parcel for _, parcel in on],
        },
    )
    return more.rowcount > 0


def _renew(connection: Connection, standard: Standard, town: Town) -> None:
    """Make caches that go by the publication forget the town, the search too, and count again."""
    connection.execute(
        "UPDATE statewide.publication SET publication_id = gen_random_uuid() WHERE cousub_fips = %s AND dataset = %s",
        [town.cousub_fips, _DATASET],
    )
    refresh(connection, standard, _DATASET, town.cousub_fips)
    _count_shown(connection, standard, town)


def _count_shown(connection: Connection, standard: Standard, town: Town) -> None:
    """The town's count is that of the rows which can be seen, lest the difference tells."""
    table = standard.table(_DATASET)
    connection.execute(
        sql.SQL(
            "UPDATE statewide.publication SET rows_published ="
            " (SELECT count(*) FROM {} AS t WHERE t.cousub_fips = %(town)s AND {})"
            " WHERE cousub_fips = %(town)s AND dataset = %(dataset)s"
        ).format(sql.Identifier(table.schema_name, table.name), sql.SQL(shown_where(standard, table))),
        {"town": town.cousub_fips, "dataset": _DATASET},
    )


def _log(
    connection: Connection,
    action: str,
    town: Town,
    who: str,
    reason: str | None,
    points: int,
    request_no: int | None = None,
) -> None:
    connection.execute(
        "INSERT INTO confidential.withheld_log (action, request_no, cousub_fips, who, reason, points)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [action, request_no, town.cousub_fips, who, reason, points],
    )


def _require_text(*texts: str | None) -> None:
    """Refuse what neither UTF-8 nor the database can hold: a terminal of another encoding gives lone surrogates."""
    for text in texts:
        if text and ("\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text)):
            raise BadArgument(
                "The address, identifier, name or reason has characters that cannot be read: type it again."
            )


def _named(who: str) -> str:
    if not who.strip():
        raise BadArgument("Say who asks for it: --who NAME.")
    return who.strip()


_REQUESTS = """
SELECT request_no, address_normalized, unit, identifier, basis, reason, requested_at, recorded_by, until,
    coalesce(until < current_date, false) AS lapsed,
    (
        SELECT count(*) FROM confidential.withheld_point AS w JOIN addresses.address_point USING (address_uid)
        WHERE w.request_no = r.request_no
    ) AS points
FROM confidential.withheld_request AS r
WHERE cousub_fips = %(town)s AND released_at IS NULL
ORDER BY request_no
"""
