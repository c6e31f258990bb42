"""Checks over the records of one assessor's (CAMA) delivery: against one another, the town's parcels, and what is live.

Severities, sentences and limits are the law's (``schemas/checks.yml``). Values are added up over records that count: a
further card or a duplicate repeats what another record says.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from statewide.arrival import Rows
from statewide.findings import FindingLog, plain_count, plain_number, plain_share
from statewide.live import Live
from statewide.register import Town
from statewide.score import Count
from statewide.shared_checks import later_years
from statewide.staging import Staged

Flags = npt.NDArray[np.bool_]

REPEATS = ("further_card", "duplicate")
"""Roles of records whose value another record has already said."""
_UNASSESSED = ("right_of_way", "railroad", "water")
"""Classes of parcels that the assessor keeps no record of."""
_EXAMPLES = 5
_PLACED = ["cama_link_normalized", "location"]
_HOUSE = r"^\s*0*(?P<number>[1-9][0-9]*)[A-Z]?(?:\s*-\s*[0-9]+)?,?\s+(?:[NSEW]\.?\s+)?(?P<street>[A-Z]+)"


def same_again(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Records that repeat another one in every column."""
    repeats = np.flatnonzero(_is_one_of(staged, "record_role", "duplicate"))
    links = staged.rows.column("cama_link")
    log.add_each(
        "SAME_ASSESSMENT",
        staged.row_no[repeats].tolist(),
        lambda index: {"value": links[int(repeats[index])].as_py()},
        column=rows.crosswalk.mapping.get("cama_link"),
    )


def several_records(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Links with several records: units of a condominium, cards that repeat a value, cards with their own."""
    links = staged.rows.column("cama_link_normalized").drop_null()
    counts = links.value_counts()
    several = counts.filter(pc.greater(counts.field("counts"), 1))
    if not len(several):
        return
    shared = pc.is_in(staged.rows.column("cama_link_normalized"), value_set=several.field("values"))
    roles = staged.rows.column("record_role").filter(shared).value_counts().to_pylist()
    of = {entry["values"]: entry["counts"] for entry in roles}
    log.add(
        "SEVERAL_RECORDS",
        links=plain_count(len(several), "link"),
        units=plain_number(of.get("single", 0) + of.get("main_card", 0)),
        cards=plain_number(of.get("further_card", 0)),
        parts=plain_number(of.get("part", 0)),
    )


def matching(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Do the records meet the town's parcels, and the parcels the records?"""
    parcels = live_parcels(live)
    if not parcels.num_rows:
        log.add("NO_PARCELS_YET")
        return
    links, parcel_links = staged.rows.column("cama_link_normalized"), parcels.column("cama_link_normalized")
    met = _meets(links, parcel_links)
    _unmet(log, "CAMA_WITHOUT_PARCEL", met, staged.rows.column("cama_link"))
    expected = _assessable(parcels)
    met = _meets(expected.column("cama_link_normalized"), links)
    _unmet(log, "PARCEL_WITHOUT_CAMA", met, pc.coalesce(expected.column("parcel_id"), expected.column("cama_link")))


def matched(live: Live, staged: Staged) -> dict[str, Count]:
    """Parcels that meet a record, and records that meet a parcel, of all that should, for the score.

    Whichever of the two is staged, against the other: delivered along, else live. Empty while there is none.
    """
    if live.table.name == "parcel":
        parcels, records = staged.rows.select(_PARCEL_COLUMNS), _live_links(live)
    else:
        parcels, records = live_parcels(live), staged.rows.column("cama_link_normalized")
    if not parcels.num_rows or not len(records):
        return {}
    found = {}
    links = parcels.column("cama_link_normalized")
    expected = _assessable(parcels).column("cama_link_normalized")
    for dataset, ours, theirs in (("parcel", expected, records), ("assessment", records, links)):
        found[dataset] = (int(_meets(ours, theirs).sum()), len(ours))
    return found


def _assessable(parcels: pa.Table) -> pa.Table:
    """Without roads, railways and waters: the assessor keeps no record of them."""
    kept = pc.invert(pc.is_in(parcels.column("parcel_type_class"), value_set=pa.array(_UNASSESSED)))
    return parcels.filter(kept)


def _live_links(live: Live) -> pa.ChunkedArray:
    query = "SELECT cama_link_normalized FROM cadastral.assessment WHERE cousub_fips = %s"
    rows = live.connection.execute(query, [live.cousub_fips]).fetchall()
    return pa.chunked_array([pa.array([link for (link,) in rows], pa.string())])


_PARCEL_COLUMNS = ["cama_link_normalized", "parcel_type_class", "parcel_id", "cama_link"]


def live_parcels(live: Live) -> pa.Table:
    """Link, class and number of the town's parcels: those of the same delivery, else the live ones."""
    if "parcel" in live.beside:
        return live.beside["parcel"].rows.select(_PARCEL_COLUMNS)
    query = (
        "SELECT cama_link_normalized, parcel_type_class, parcel_id, cama_link FROM cadastral.parcel"
        " WHERE cousub_fips = %s ORDER BY parcel_uid"
    )
    found = live.connection.execute(query, [live.cousub_fips]).fetchall()
    columns = zip(*found, strict=True) if found else ((),) * len(_PARCEL_COLUMNS)
    texts = [pa.array(values, pa.string()) for values in columns]
    return pa.table(dict(zip(_PARCEL_COLUMNS, texts, strict=True)))


def _meets(here: Any, there: Any) -> Flags:
    met = pc.and_(pc.is_in(here, value_set=pc.unique(there)), pc.is_valid(here))
    found: Flags = met.to_numpy() if isinstance(met, pa.ChunkedArray) else met.to_numpy(zero_copy_only=False)
    return found


def _unmet(log: FindingLog, code: str, met: Flags, names: Any) -> None:
    if not len(met) or met.mean() >= log.check(code).limits["share_min"]:
        return
    places = np.flatnonzero(~met)
    examples = pc.unique(names.take(pa.array(places))).drop_null().sort().to_pylist()[:_EXAMPLES]
    log.add(
        code,
        share=plain_share(float(met.mean())),
        rows=plain_number(len(places)),
        examples=", ".join(examples) or "rows without any number",
    )


def match_lost(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Did the live records meet the parcels, and these do not?"""
    parcels = live_parcels(live)
    if len(live) and parcels.num_rows:
        now = _meets(staged.rows.column("cama_link_normalized"), parcels.column("cama_link_normalized"))
        _match_lost(live, len(live), now, log)


def records_lost(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Would parcels that come alone lose the records that the live ones meet?"""
    records = _live_links(live)
    if len(records) and "assessment" not in live.along:
        _match_lost(live, len(records), _meets(records, staged.rows.column("cama_link_normalized")), log)


def _match_lost(live: Live, records: int, now: Flags, log: FindingLog) -> None:
    limits = log.check("MATCH_LOST").limits
    placed = "SELECT count(*) FROM cadastral.assessment_place WHERE cousub_fips = %s"
    row = live.connection.execute(placed, [live.cousub_fips]).fetchone()
    before, share = (row[0] if row else 0) / records, float(now.mean())
    if before >= limits["before_min"] and share < limits["share_min"]:
        log.add("MATCH_LOST", share=plain_share(share), before=plain_share(before))


def addresses_of_parcels(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Do the links of these records lead to parcels of the same addresses?"""
    parcels = live.beside["parcel"].rows.select(_PLACED) if "parcel" in live.beside else _live_places(live, "parcel")
    _addresses_disagree(live, staged.rows.select(_PLACED), parcels, log)


def addresses_of_records(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Do the links of these parcels, which come alone, lead to records of the same addresses?"""
    if "assessment" not in live.along:
        _addresses_disagree(live, _live_places(live, "assessment"), staged.rows.select(_PLACED), log)


def _addresses_disagree(live: Live, records: pa.Table, parcels: pa.Table, log: FindingLog) -> None:
    limits = log.check("ADDRESSES_DISAGREE").limits
    now = _same_address(records, parcels)
    if now is None or now[1] < limits["rows_min"] or now[0] >= 1 - limits["points_max"]:
        return
    before = _same_address(_live_places(live, "assessment"), _live_places(live, "parcel"))
    if before is None or before[1] < limits["rows_min"]:
        wrong, then = now[0] < limits["first_min"], "nothing is live to compare with"
    else:
        wrong, then = now[0] < before[0] - limits["points_max"], f"{plain_share(before[0])} of the live ones do"
    if wrong:
        log.add("ADDRESSES_DISAGREE", rows=plain_number(now[1]), share=plain_share(now[0]), before=then)


def _same_address(records: pa.Table, parcels: pa.Table) -> tuple[float, int] | None:
    """Of the records that meet a parcel, and whose address is that of some parcel: the share at that one, and how many.

    House number and first word of the street count: towns spell the rest as they like, and a unit is not the lot's.
    """
    sides = []
    for side in (records, parcels):
        parts = pc.extract_regex(pc.utf8_upper(side.column("location")), _HOUSE).combine_chunks()
        address = pc.binary_join_element_wise(parts.field("number"), parts.field("street"), " ")
        address = pc.if_else(parts.is_valid(), address, pa.scalar(None, pa.string()))
        link = side.column("cama_link_normalized").combine_chunks()
        sides.append((link, address, pc.binary_join_element_wise(link, address, "\x1f")))
    theirs, ours = sides
    asked = _meets(theirs[0], ours[0]) & _meets(theirs[1], ours[1])
    if not asked.any():
        return None
    return float(_meets(theirs[2], ours[2])[asked].mean()), int(asked.sum())


def _live_places(live: Live, dataset: str) -> pa.Table:
    query = sql.SQL("SELECT cama_link_normalized, location FROM cadastral.{} WHERE cousub_fips = %s")
    found = live.connection.execute(query.format(sql.Identifier(dataset)), [live.cousub_fips]).fetchall()
    columns = zip(*found, strict=True) if found else ((), ())
    return pa.table({name: pa.array(values, pa.string()) for name, values in zip(_PLACED, columns, strict=True)})


def older_roll(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Was the file sent for an earlier year than the one that is live?"""
    for year in later_years(live, log):
        log.add("OLDER_ROLL", live=year)


def fewer_records(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Does the delivery have far fewer records than are live?"""
    old, new = len(live), staged.rows.num_rows
    if old and new < log.check("RECORD_COUNT_DROP").limits["share_min"] * old:
        share = plain_share(new / old)
        log.add("RECORD_COUNT_DROP", new=plain_number(new), old=plain_number(old), share=share)


def total_value_moved(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Did the sum of the assessed values move more than without, or with, a revaluation it should?"""
    limits = log.check("TOTAL_VALUE_MOVED").limits
    query = (
        "SELECT coalesce(sum(assessed_total_usd) FILTER (WHERE record_role <> ALL (%s)), 0),"
        " mode() WITHIN GROUP (ORDER BY valuation_year) FROM cadastral.assessment WHERE cousub_fips = %s"
    )
    row = live.connection.execute(query, [list(REPEATS), live.cousub_fips]).fetchone()
    old, old_year = row or (0, None)
    if not old:
        return
    counted = pa.array(~_is_one_of(staged, "record_role", *REPEATS))
    new = float(pc.sum(staged.rows.column("assessed_total_usd").filter(counted)).as_py() or 0)
    modes = pc.mode(staged.rows.column("valuation_year").drop_null()).to_pylist()
    new_year = modes[0]["mode"] if modes else None
    limit = limits["share_max"] if new_year == old_year else limits["share_max_revalued"]
    if abs(new - old) > limit * old:
        said = f"the revaluation year is {new_year or 'not given'}"
        log.add(
            "TOTAL_VALUE_MOVED",
            new=plain_number(new),
            old=plain_number(old),
            by=plain_share(abs(new - old) / old),
            direction="more" if new > old else "less",
            years=f"{said}, as before" if new_year == old_year else f"{said}, and was {old_year or 'not given'}",
        )


def _is_one_of(staged: Staged, column: str, *values: str) -> Flags:
    found = pc.is_in(staged.rows.column(column).combine_chunks(), value_set=pa.array(values))
    flags: Flags = found.to_numpy(zero_copy_only=False)
    return flags
