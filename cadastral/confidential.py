"""Who is protected (CGS 1-217), and the persons of the assessor's rows: read, kept apart, and kept from showing.

Both stand in columns that are stripped at the door. Where nobody said who is protected, everybody is: no person of that
delivery is released. What is published is the same for protected and other rows, to the last byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from statewide.conform import protection_codes, with_column
from statewide.copying import copy_in
from statewide.crosswalk import Crosswalk
from statewide.database import Connection
from statewide.findings import FindingLog
from statewide.live import uuids
from statewide.staging import Digests
from statewide.standard import Standard, Table

Flags = npt.NDArray[np.bool_]

_TELLING_SHARE = 0.5
"""Of the rows that share an emptiness or a word: when more are protected than not, it tells on them."""
_COMMON_SHARE = 0.25
"""Where so many of all rows are protected, sharing something with them tells nothing."""
_TELLING_ROWS = 3


@dataclass(frozen=True)
class Suppression:
    """Which rows are protected, in row order; None where that is not known, and then why."""

    flags: Flags | None
    why: str = ""

    def of(self, places: npt.NDArray[np.intp]) -> Suppression:
        """The same of the rows at these places."""
        return self if self.flags is None else Suppression(self.flags[places])


def read_suppression(source: pa.Table, crosswalk: Crosswalk, standard: Standard) -> Suppression:
    """Who is protected, by the delivered columns.

    Every word has to be understood. An empty value means "no" only in a column that says "yes" in words and never "no";
    else it is not known what the town meant by it.
    """
    columns = protection_codes(source, crosswalk, standard)
    if not columns:
        return Suppression(None, "the file has no suppression column")
    flags = np.zeros(len(source), dtype=bool)
    for column, said in columns.items():
        codes = said.unique().to_pylist()
        if "?" in codes:
            return Suppression(None, f"the column {column} has words that are not understood")
        some = pc.any(pc.equal(said, "suppressed")).as_py()
        if said.null_count and (not some or "open" in codes):
            return Suppression(None, f"the column {column} is empty where it should say yes or no")
        flags |= pc.fill_null(pc.equal(said, "suppressed"), False).to_numpy(zero_copy_only=False)
    return Suppression(flags)


def hide_what_shows(
    table: Table,
    conformed: pa.Table,
    mapping: Mapping[str, str],
    suppression: Suppression,
    published: Flags,
    log: FindingLog,
) -> pa.Table:
    """Empty every public column that would tell protected rows from others, in all rows, and say so.

    A column tells by a word ("CONFIDENTIAL", which `conform` took out), by being empty or filled on protected rows
    alone, or by a value that most protected rows share and others do not.

    Args:
        published: the rows that are not held already: those that are published nowhere tell nothing.
    """
    told = {finding.column for finding in log.findings if finding.code == "PROTECTION_SHOWS"}
    of_published = suppression.of(np.flatnonzero(published))
    for field in table.town_fields:
        if field.name in mapping and field.public:
            values = conformed.column(field.name).combine_chunks()
            how = how_it_tells(values.filter(pa.array(published)), of_published)
            if how := "says of some rows that they are protected" if mapping[field.name] in told else how:
                log.add("SUPPRESSION_SHOWS", column=mapping[field.name], how=how)
                conformed = with_column(conformed, field.name, pa.nulls(len(conformed), values.type))
    return conformed


def how_it_tells(values: pa.Array, suppression: Suppression) -> str | None:
    """How a column tells protected rows from others, as a predicate; None if it does not."""
    flags, is_text = suppression.flags, pa.types.is_string(values.type)
    if flags is None or not flags.any() or flags.mean() > _COMMON_SHARE:
        return None
    empty = values.is_null().to_numpy(zero_copy_only=False)
    for rows in (empty, ~empty):
        if rows.any() and flags[rows].mean() > _TELLING_SHARE:
            return "is empty on some rows and filled on others, by whether they are protected"
    if is_text:
        encoded = values.dictionary_encode()
        words = len(encoded.dictionary)
        codes = encoded.indices.fill_null(words).to_numpy()
        on_all, on_flagged = (np.bincount(each, minlength=words + 1)[:words] for each in (codes, codes[flags]))
        # Three flats of a house, all protected, share its number and tell nothing: a word to hide behind has no digit.
        word = ~pc.match_substring_regex(encoded.dictionary, r"\d").to_numpy(zero_copy_only=False)
        most = max(_TELLING_ROWS, flags.sum() / 2)
        if (word & (on_flagged >= most) & (on_flagged > _TELLING_SHARE * on_all)).any():
            return "has a value that stands on protected rows and hardly on others"
    return None


def keep_confidential(
    connection: Connection,
    standard: Standard,
    cousub_fips: str,
    uids: pa.Array,
    withheld: pa.Table,
    crosswalk: Crosswalk,
    suppression: Suppression,
    *,
    keep_persons: bool,
) -> None:
    """Bring ``confidential`` up to date with a town's live records; in the caller's transaction.

    To be called at every accepted delivery, also at one that changes nothing that is published: an owner or a flag may
    have changed. Where the flag is not known, nothing is kept of it, and so nobody is released.

    Args:
        uids: identifiers of the live records, 16 bytes each.
        withheld: the delivered columns of the same rows in the same order, the withheld ones among them.
        suppression: of the same rows.
        keep_persons: whether the deployment keeps persons at all; if not, those that it has of the town go.
    """
    fips = pa.repeat(pa.scalar(cousub_fips), len(uids))
    columns = {"assessment_uid": uids, "cousub_fips": fips}
    flags = {} if suppression.flags is None else {**columns, "suppressed": pa.array(suppression.flags)}
    persons = {**columns, **_persons(standard, withheld, crosswalk)} if keep_persons else {}
    _follow(connection, "assessment_suppression", cousub_fips, flags)
    _follow(connection, "assessment_person", cousub_fips, persons)


def forget_persons(connection: Connection, cousub_fips: str, but: Digests) -> None:
    """Drop what is kept of a town's records but these: persons, and who is protected."""
    for name in ("assessment_suppression", "assessment_person"):
        connection.execute(
            sql.SQL("DELETE FROM {} WHERE cousub_fips = %s AND assessment_uid <> ALL(%s::uuid[])").format(
                sql.Identifier("confidential", name)
            ),
            [cousub_fips, uuids(but)],
        )


def _persons(standard: Standard, withheld: pa.Table, crosswalk: Crosswalk) -> dict[str, pa.Array]:
    """The kept columns; several delivered columns of one kind are put together."""
    found: dict[str, pa.Array] = {}
    for kind in standard.header.withheld:
        if not kind.kept:
            continue
        together = pa.nulls(len(withheld), pa.string())
        for name in [column for column, reason in crosswalk.withheld.items() if reason == kind.title]:
            text = pc.utf8_trim_whitespace(withheld.column(name).combine_chunks().cast(pa.string()))
            text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
            together = pc.coalesce(pc.binary_join_element_wise(together, text, "; "), together, text)
        found[kind.name] = together
    return found


def _follow(connection: Connection, name: str, cousub_fips: str, columns: Mapping[str, pa.Array]) -> None:
    """Make the town's rows of a table what is given; only rows that differ are written. No columns: no rows."""
    table = sql.Identifier("confidential", name)
    if not columns:
        connection.execute(sql.SQL("DELETE FROM {} WHERE cousub_fips = %s").format(table), [cousub_fips])
        return
    incoming = sql.Identifier(f"incoming_{name}")
    values = [column for column in columns if column != "assessment_uid"]
    parts = {
        "table": table,
        "incoming": incoming,
        "columns": sql.SQL(", ").join(map(sql.Identifier, columns)),
        "new": sql.SQL(", ").join(sql.Identifier("excluded", column) for column in values),
        "old": sql.SQL(", ").join(sql.Identifier("t", column) for column in values),
        "sets": sql.SQL(", ").join(map(sql.Identifier, values)),
    }
    connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE {incoming} ON COMMIT DROP AS SELECT {columns} FROM {table} LIMIT 0").format(
            **parts
        )
    )
    copy_in(connection, incoming, list(columns), [columns])
    connection.execute(sql.SQL(_GONE).format(**parts), [cousub_fips])
    connection.execute(sql.SQL(_UPSERT).format(**parts))
    connection.execute(sql.SQL("DROP TABLE {incoming}").format(**parts))


_GONE = """
DELETE FROM {table} AS t
WHERE cousub_fips = %s AND NOT EXISTS (SELECT 1 FROM {incoming} AS new WHERE new.assessment_uid = t.assessment_uid)
"""

_UPSERT = """
INSERT INTO {table} AS t ({columns}) SELECT {columns} FROM {incoming}
ON CONFLICT (assessment_uid) DO UPDATE SET ({sets}) = ROW ({new}) WHERE ROW ({old}) IS DISTINCT FROM ROW ({new})
"""
