"""Checks over the address points of one delivery: against one another, the town's outline and ZIPs, and what is live.

What runs along a street is asked in `street_checks`, what one row says of itself in `row_checks`. Severities, sentences
and limits are the law's (``schemas/checks.yml``).
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from psycopg import sql

from addresses import street_checks
from addresses.columns import (
    Flags,
    Floats,
    Numbers,
    away,
    combined,
    grouped,
    in_force,
    numbered,
    place_numbers,
    stages,
    street_names,
    today,
    town_zips,
    whole_addresses,
)
from addresses.parsing import STREET
from addresses.screening import Words
from statewide import shared_checks
from statewide.arrival import Rows
from statewide.findings import FindingLog, plain_count, plain_number, plain_share
from statewide.geometry import distances_to_edge_ft
from statewide.intake import TableCheck
from statewide.live import Live
from statewide.register import Town, same_town
from statewide.shared_checks import count_drop, first_alike, unique_in_both
from statewide.staging import Staged

_IDENTIFIERS = ("nguid", "local_id")
_LOCALITIES = ("a4", "msagcomm", "post_comm", "post_code")
"""What tells two addresses apart that have the same line."""
_EXAMPLES = 5


def other_town(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Rows that name another town of the register; a place that is no town, such as a village, is only noted."""
    column = rows.crosswalk.mapping.get("delivered_town")
    given = rows.conformed.column("delivered_town").combine_chunks().dictionary_encode()
    words = given.dictionary.to_pylist()
    if all(same_town(word, town) for word in words):
        return
    towns, known = _towns_by_name(live), Words(log.standard, log.town)
    indices = pc.fill_null(given.indices, -1).to_numpy()
    for index, word in enumerate(words):
        if same_town(word, town):
            continue
        there = rows.row_no[indices == index]
        if _plain(word) in towns:
            for row_no in there:
                log.add("TOWN_MISMATCH", row_no=int(row_no), column=column, value=word)
        else:
            shown = known.unless_a_name(word)
            log.add("PLACE_NOT_A_TOWN", column=column, value=shown, rows=plain_count(len(there), "row"))


def _towns_by_name(live: Live) -> dict[str, str]:
    found = live.connection.execute("SELECT town_name, cousub_fips FROM statewide.municipality").fetchall()
    return {_plain(name): fips for name, fips in found}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", re.sub(r"^(town|city) of ", "", name.strip().casefold()))


def loaded_twice(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Does nearly every address stand in the file exactly twice, close together?"""
    limits = log.check("ADDRESSES_LOADED_TWICE").limits
    groups = grouped(whole_addresses(staged.rows))
    spans = groups.spans(*_xy(staged))
    twice = (groups.count == 2) & (spans <= limits["distance_ft_max"])
    if len(groups.count) >= limits["rows_min"] and twice.mean() >= limits["share_min"]:
        log.add(
            "ADDRESSES_LOADED_TWICE",
            twice=plain_number(int(twice.sum())),
            addresses=plain_number(len(twice)),
            shift_ft=plain_number(float(spans[twice].max()), 1),
        )


def identifiers(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """One identifier on several rows; said once per identifier, at its first row."""
    for name in _IDENTIFIERS:
        groups = grouped(numbered(staged.rows.column(name)))
        several = np.flatnonzero(groups.count > 1)
        first = groups.order[groups.start[several]]
        several, first = several[np.argsort(first)], np.sort(first)
        given = staged.rows.column(name)

        def words(at: int, several: Numbers = several, first: Numbers = first, given: Any = given) -> dict[str, Any]:
            return {
                "value": given[int(first[at])].as_py(),
                "count": plain_count(int(groups.count[several[at]]), "row"),  # noqa: B023  (asked before the next turn)
                "shape": staged.shapes[first[at]],
            }

        column = rows.crosswalk.mapping.get(name)
        log.add_each("IDENTIFIER_TWICE", staged.row_no[first].tolist(), words, column=column)


def one_address_twice(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """One address at several places: far apart it is a fault, near it may be two doors.

    Rows that repeat another one wholly, and addresses that are not in force, are left out. Far addresses with different
    villages, postal cities or ZIP codes are two addresses.
    """
    x, y = _xy(staged)
    counts = in_force(staged.rows, log.standard) & (first_alike(staged) == np.arange(len(x)))
    address = np.where(counts, whole_addresses(staged.rows), -1)
    groups = grouped(address)
    several = groups.count > 1
    if not several.any():
        return
    near_ft = log.check("ADDRESS_TWICE").limits["distance_ft_min"]
    spans = groups.spans(x, y)
    far = several & (spans > near_ft)
    for name in _LOCALITIES:
        if far.any():
            far &= ~_told_apart(numbered(staged.rows.column(name)), address, groups.order[groups.start], x, y, near_ft)
    near = several & (spans <= near_ft)
    for code, chosen in (("ADDRESS_TWICE", far), ("ADDRESS_TWICE_NEAR", near)):
        found = np.flatnonzero(chosen)
        found = found[np.argsort(-spans[found], kind="stable")]
        first = groups.order[groups.start[found]]

        def words(at: int, found: Numbers = found) -> dict[str, Any]:
            members = groups.rows(int(found[at]))
            return {
                "value": rows.label(int(staged.row_no[members[0]]), "address_label"),
                "others": _row_list(staged, members[1:]),
                "away": away(float(spans[found[at]]), "up to " if len(members) > 2 else ""),
                "shape": shapely.multipoints(staged.shapes[members]),
            }

        log.add_each(code, staged.row_no[first].tolist(), words)


def _told_apart(locality: Numbers, address: Numbers, first: Numbers, x: Floats, y: Floats, near_ft: float) -> Flags:
    """Of each address, in the order of its group: is it one place only within each of several localities?"""
    here = grouped(combined(address, locality))
    owner = address[here.order[here.start]]
    bad = (here.spans(x, y) > near_ft) | (locality[here.order[here.start]] < 0)
    apart = np.ones(address.max() + 1, dtype=bool)
    apart[owner[bad]] = False
    found: Flags = (apart & (np.bincount(owner, minlength=len(apart)) > 1))[address[first]]
    return found


def one_place_twice(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Several addresses at one place: units and neighbours' numbers are noted, several streets are asked about."""
    counts = in_force(staged.rows, log.standard)
    x, y = _xy(staged)
    street = numbered(street_names(staged.rows))
    house = combined(street, numbered(staged.rows.column("add_number")), numbered(staged.rows.column("addnum_suf")))
    groups = grouped(np.where(counts, place_numbers(x, y), -1))
    streets, houses = groups.distinct(street), groups.distinct(house)
    stacked = groups.count > 1
    if stacked.any():
        kinds = (
            (int((stacked & (houses <= 1)).sum()), "units of one house"),
            (int((stacked & (houses > 1) & (streets <= 1)).sum()), "numbers of one street"),
        )
        said = " and ".join(f"{plain_count(count, 'point')} with {words}" for count, words in kinds if count)
        log.add(
            "STACKED_POINTS",
            places=plain_count(int(stacked.sum()), "point"),
            rows=plain_number(int(groups.count[stacked].sum())),
            kinds=f": {said}" if said else "",
        )
    several = np.flatnonzero(streets > 1)
    several = several[np.argsort(-groups.count[several], kind="stable")]
    names = street_names(staged.rows)

    def words(at: int) -> dict[str, Any]:
        members = groups.rows(int(several[at]))
        found = pc.unique(names.take(pa.array(members))).drop_null().to_pylist()
        more = f" and {len(found) - _EXAMPLES} more" if len(found) > _EXAMPLES else ""
        return {
            "count": plain_count(len(members), "row"),
            "streets": ", ".join(found[:_EXAMPLES]) + more,
            "shape": staged.shapes[members[0]],
        }

    first = groups.order[groups.start[several]] if len(several) else several
    log.add_each("STREETS_AT_ONE_POINT", staged.row_no[first].tolist(), words)


def outside_town(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Points outside of the town's outline: a little way is the outline's fault, miles are another town's address."""
    limit = log.check("OUTSIDE_TOWN").limits["distance_ft_min"]
    far_limit = log.check("FAR_OUTSIDE_TOWN").limits["distance_ft_min"]
    shapely.prepare(town.outline)
    out = np.flatnonzero(~shapely.contains_xy(town.outline, *_xy(staged)))
    distances = distances_to_edge_ft(town.outline, staged.shapes[out])
    for place, distance in zip(out[distances > limit], distances[distances > limit], strict=True):
        log.add(
            "FAR_OUTSIDE_TOWN" if distance > far_limit else "OUTSIDE_TOWN",
            row_no=int(staged.row_no[place]),
            distance_ft=plain_number(float(distance)),
            shape=staged.shapes[place],
        )
    near = distances <= limit
    if near.any():
        log.add(
            "POINTS_ON_THE_LINE",
            rows=plain_count(int(near.sum()), "row"),
            distance_ft=plain_number(float(distances[near].max())),
            shape=shapely.multipoints(staged.shapes[out[near]]),
        )


def zip_codes(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """ZIP codes that no part of the town has, and those unlike all around them. Said once per ZIP code."""
    column = rows.crosswalk.mapping.get("post_code")
    zips = staged.rows.column("post_code").combine_chunks().dictionary_encode()
    index = pc.fill_null(zips.indices, -1).to_numpy()
    counts = np.bincount(index[index >= 0], minlength=len(zips.dictionary))
    ours = town_zips(log.standard, town.cousub_fips)
    names = {each.cousub_fips: each.town_name for each in log.standard.municipalities}
    if ours:
        for at, value in enumerate(zips.dictionary.to_pylist()):
            places = np.flatnonzero(index == at)
            if value in ours or not counts[at]:
                continue
            towns = sorted(names[pair.cousub_fips] for pair in log.standard.zip_towns if pair.zip_code == value)
            log.add(
                "ZIP_ELSEWHERE" if towns or not value.startswith("06") else "ZIP_UNKNOWN",
                column=column,
                value=value,
                rows=plain_count(int(counts[at]), "row"),
                named=_row_list(staged, places),
                where=", ".join(towns) or "another State",
                shape=shapely.multipoints(staged.shapes[places]),
            )
    odd, around = _among_others(index, *_xy(staged), town, log.check("ZIP_AMONG_OTHERS").limits)
    values = zips.dictionary

    def words(at: int) -> dict[str, Any]:
        return {
            "value": values[int(index[odd[at]])].as_py(),
            "around": values[int(around[at])].as_py(),
            "shape": staged.shapes[odd[at]],
        }

    log.add_each("ZIP_AMONG_OTHERS", staged.row_no[odd].tolist(), words, column=column)


def _among_others(
    codes: Numbers, x: Floats, y: Floats, town: Town, limits: dict[str, float]
) -> tuple[Numbers, Numbers]:
    """Places of the rows whose code hardly any other row around them has, and the code that most of these have.

    Around is the square of three by three cells about the row's own.
    """
    nothing = np.zeros(0, dtype=np.int64)
    west, south, east, north = town.outline.bounds
    cell = limits["cell_ft"]
    column, row = ((x - west) // cell).astype(np.int64), ((y - south) // cell).astype(np.int64)
    shape = (int((east - west) // cell) + 1, int((north - south) // cell) + 1)
    there = (codes >= 0) & (column >= 0) & (row >= 0) & (column < shape[0]) & (row < shape[1])
    kinds = np.unique(codes[there])
    if len(kinds) < 2:
        return nothing, nothing
    around = np.empty((len(kinds), *shape), dtype=np.int64)
    for at, kind in enumerate(kinds):
        cells = np.zeros((shape[0] + 2, shape[1] + 2), dtype=np.int64)
        chosen = there & (codes == kind)
        np.add.at(cells, (column[chosen] + 1, row[chosen] + 1), 1)
        across = cells[:-2] + cells[1:-1] + cells[2:]
        around[at] = across[:, :-2] + across[:, 1:-1] + across[:, 2:]
    total, most = around.sum(axis=0), around.argmax(axis=0)
    places = np.flatnonzero(there)
    here = column[places], row[places]
    own = around[(np.searchsorted(kinds, codes[places]), *here)]
    alone = (own <= limits["alike_max"]) & (total[here] - own >= limits["others_min"])
    alone &= around.max(axis=0)[here] >= limits["share_min"] * total[here]
    return places[alone], kinds[most[here]][alone]


def postal_cities(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Postal cities that are a town with no ZIP code in common with this one."""
    ours = town_zips(log.standard, town.cousub_fips)
    if not ours:
        return
    given = staged.rows.column("post_comm").drop_null().value_counts().to_pylist()
    towns = {_plain(each.town_name): each for each in log.standard.municipalities}
    for entry in given:
        other = towns.get(_plain(entry["values"]))
        if other and other.cousub_fips != town.cousub_fips and not ours & town_zips(log.standard, other.cousub_fips):
            log.add(
                "POSTAL_CITY_ELSEWHERE",
                column=rows.crosswalk.mapping.get("post_comm"),
                value=entry["values"],
                rows=plain_count(entry["counts"], "row"),
            )


def not_in_force(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Addresses that are gone or not there yet; and when the file was last kept up."""
    said = stages(staged.rows, log.standard)
    for entry in said.drop_null().value_counts().to_pylist():
        if entry["values"] != "Active":
            log.add(
                "NOT_IN_FORCE",
                column=rows.crosswalk.mapping.get("lifecycle"),
                rows=plain_count(entry["counts"], "row"),
                why=f"{entry['values']} by their stage of life",
            )
    expired = pc.less(staged.rows.column("expire").combine_chunks(), today())
    if gone := pc.sum(expired).as_py():
        log.add(
            "NOT_IN_FORCE",
            column=rows.crosswalk.mapping.get("expire"),
            rows=plain_count(gone, "row"),
            why="Out of force since a day that is past",
        )
    newest = pc.max(staged.rows.column("dateupdate")).as_py()
    if newest and newest.year < log.year - log.check("STALE_ADDRESSES").limits["years_max"]:
        log.add("STALE_ADDRESSES", column=rows.crosswalk.mapping.get("dateupdate"), newest=f"{newest:%-d %B %Y}")


def shrinkage(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Does the delivery have far fewer addresses, or far fewer streets, than are live; and which streets are new?"""
    if not len(live):
        return
    count_drop(live, staged, log)
    whole = sql.SQL(", ").join(map(sql.Identifier, STREET))
    names = sql.SQL("array_agg(DISTINCT upper(concat_ws(' ', {}))) FILTER (WHERE st_name IS NOT NULL)").format(whole)
    before, now = set(live.total(names) or ()), pc.unique(street_names(staged.rows)).drop_null().to_pylist()
    limits = log.check("STREET_COUNT_DROP").limits
    if len(now) < limits["share_min"] * len(before) and len(before) - len(now) >= limits["streets_min"]:
        share = plain_share(len(now) / len(before))
        log.add("STREET_COUNT_DROP", new=plain_number(len(now)), old=plain_number(len(before)), share=share)
    if new := sorted(set(now) - before):
        log.add("NEW_STREETS", streets=plain_count(len(new), "street"), examples=", ".join(new[:_EXAMPLES]))


def replaced(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """Are most of the live addresses gone, or have many of the points that stay another address now?"""
    limits = log.check("ADDRESSES_REPLACED").limits
    known = set(live.column("address_normalized")) - {None}
    kept = len(known & set(staged.text("address_normalized")))
    if len(known) >= limits["rows_min"] and kept < limits["share_min"] * len(known):
        log.add("ADDRESSES_REPLACED", share=plain_share(kept / len(known)))
    limits = log.check("RENUMBERED").limits
    for name in _IDENTIFIERS:
        here, there = unique_in_both(staged.text(name), live.column(name))
        if len(here) < limits["rows_min"]:
            continue
        now, before = staged.text("address_normalized")[here], live.column("address_normalized")[there]
        changed = np.flatnonzero((now != before) & (now != None) & (before != None))  # noqa: E711  (element-wise)
        if len(changed) > limits["share_max"] * len(here):
            examples = "; ".join(f"{before[at]} is now {now[at]}" for at in changed[:_EXAMPLES])
            log.add("RENUMBERED", share=plain_share(len(changed) / len(here)), examples=examples)
        return


def moved(live: Live, staged: Staged, rows: Rows, town: Town, log: FindingLog) -> None:
    """How many addresses that are in both have moved, and do they move together, each its own way, or far?

    Together means another coordinate system, far and each its own way that lines and points were mixed up; a little way
    each is how a town places its points better.
    """
    limits, mixed = log.check("MOVED").limits, log.check("ADDRESSES_MIXED_UP").limits
    here, there = unique_in_both(staged.text("address_normalized"), live.column("address_normalized"))
    if len(here) < limits["rows_min"]:
        return
    redrawn = staged.shape_hash[here] != live.versions["shape_hash"][there]
    shifts = np.zeros((len(here), 2))
    if redrawn.any():
        now, before = staged.shapes[here[redrawn]], live.shapes(there[redrawn])
        shifts[redrawn] = shapely.get_coordinates(now) - shapely.get_coordinates(before)
    distance = np.hypot(*shifts.T)
    far = distance > limits["shift_ft_max"]
    if far.mean() <= limits["share_max"]:
        return
    common = np.median(shifts[far], axis=0)
    spread, middle = float(np.median(np.hypot(*(shifts[far] - common).T))), float(np.median(distance[far]))
    together = spread < mixed["spread_max"] * np.hypot(*common)
    code = "MOVED" if together else "ADDRESSES_MIXED_UP" if middle > mixed["shift_ft_min"] else "POINTS_PLACED_ANEW"
    log.add(code, share=plain_share(float(far.mean())), shift_ft=plain_number(middle, 1))


def _xy(staged: Staged) -> tuple[Floats, Floats]:
    return shapely.get_x(staged.shapes), shapely.get_y(staged.shapes)


def _row_list(staged: Staged, places: npt.NDArray[Any]) -> str:
    """Rows as a town finds them: ``row 12, row 13 and 4 more``."""
    numbers = [f"row {staged.row_no[place]}" for place in places[:_EXAMPLES]]
    return ", ".join(numbers) + (f" and {len(places) - _EXAMPLES:,} more" if len(places) > _EXAMPLES else "")


ADDRESS_CHECKS = (
    TableCheck(("TOWN_MISMATCH", "PLACE_NOT_A_TOWN"), other_town),
    TableCheck(("ADDRESSES_LOADED_TWICE",), loaded_twice),
    TableCheck(("DUPLICATE_ROW",), shared_checks.duplicate_rows),
    TableCheck(("IDENTIFIER_TWICE",), identifiers),
    TableCheck(("ADDRESS_TWICE", "ADDRESS_TWICE_NEAR"), one_address_twice),
    TableCheck(("STACKED_POINTS", "STREETS_AT_ONE_POINT"), one_place_twice),
    TableCheck(("OUTSIDE_TOWN", "FAR_OUTSIDE_TOWN", "POINTS_ON_THE_LINE"), outside_town),
    TableCheck(("ZIP_ELSEWHERE", "ZIP_UNKNOWN", "ZIP_AMONG_OTHERS"), zip_codes),
    TableCheck(("POSTAL_CITY_ELSEWHERE",), postal_cities),
    TableCheck(("NOT_IN_FORCE", "STALE_ADDRESSES"), not_in_force),
    TableCheck(street_checks.NAMES, street_checks.names),
    TableCheck(street_checks.NUMBERS, street_checks.numbers),
    TableCheck(("OLDER_YEAR",), shared_checks.older_year),
    TableCheck(("COUNT_DROP", "STREET_COUNT_DROP", "NEW_STREETS"), shrinkage),
    TableCheck(("ADDRESSES_REPLACED", "RENUMBERED"), replaced),
    TableCheck(("MOVED", "ADDRESSES_MIXED_UP", "POINTS_PLACED_ANEW"), moved),
)
"""What is asked of the rows of a delivery, in order."""
