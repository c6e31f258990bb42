"""The assessor's (CAMA) rows → `cadastral.assessment`: what is peculiar to them on the walk through the hall.

Links are made, totals that the town left out are worked out and marked so, uses are classed, cards are told from units,
and each row is asked whether its values can be.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cadastral import assessment_checks as checks
from cadastral.checks import fields_emptied, stale_rows
from cadastral.confidential import hide_what_shows, how_it_tells, keep_confidential, read_suppression
from cadastral.parcel_id import make_cama_link, normalize_cama_link, number_facts, split_cama_link
from cadastral.use_codes import UNMAPPED, classify_uses
from statewide.arrival import Rows
from statewide.conform import with_column
from statewide.copying import uuid_array
from statewide.crosswalk import Crosswalk
from statewide.findings import FindingLog, plain_count, plain_number, plain_share
from statewide.geometry import SQFT_PER_ACRE
from statewide.intake import Dataset, TableCheck
from statewide.lineage import Lineage
from statewide.live import Live
from statewide.register import Town, same_town
from statewide.settings import Settings
from statewide.staging import Staged
from statewide.standard import load_standard

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LINK_FIELDS = ("link", "parcel_id", "gis_tag", "account_number", "pid")
"""What the CAMA link is made from where the file has none, best first."""

_VALUES = ("assessed_total_usd", "appraised_total_usd", "appraised_land_usd", "appraised_building_usd")
_NOT_MISTAKEN = ("appraised_total_usd", "assessed_land_usd", "assessed_building_usd")
"""Where one of them is given, the columns are not mistaken for one another."""
_UNIT = ("pid", "account_number", "unit", "location", "parcel_id")
"""Columns that are the same on all cards of one record, and in one of which two units differ."""


def identify(rows: Rows, town: Town, log: FindingLog) -> pa.Table:
    """Add the platform's columns to the conformed rows, and check each row on its own."""
    suppression = read_suppression(rows.source, rows.crosswalk, log.standard)
    if suppression.flags is None:
        log.add("SUPPRESSION_UNKNOWN", why=suppression.why)
    table = log.standard.table(log.dataset)
    elsewhere = _of_another_town(rows, town, log)
    conformed = hide_what_shows(table, rows.conformed, rows.crosswalk.mapping, suppression, ~elsewhere, log)
    links = _links(conformed, rows.crosswalk, town)
    normalized = normalize_cama_link(links) if rows.joined is None else rows.joined
    here = np.flatnonzero(~elsewhere)
    if how := how_it_tells(normalized.take(pa.array(here)), suppression.of(here)):
        log.add("SUPPRESSION_SHOWS", column="the link", how=how)
        normalized = pa.nulls(len(normalized), pa.string())
    conformed = _with(conformed, {"land_acres": _land_acres(conformed, rows.crosswalk, log)})
    conformed = _assessed_parts(conformed, rows.crosswalk, log)
    conformed = _with(conformed, totals(conformed, log.check("VALUE_RATIO").limits["ratio"]))
    classes, confidence = _uses(conformed, rows.crosswalk, town, log)
    filled = {
        "cousub_fips": pa.repeat(pa.scalar(town.cousub_fips), len(conformed)),
        "cama_link": links,
        "cama_link_normalized": normalized,
        "use_class": classes,
        "use_class_confidence": confidence,
        "record_role": record_roles(conformed, normalized),
    }
    conformed = _with(conformed, filled)
    _check_numbers(rows, conformed, town, elsewhere, log)
    check_values(rows, conformed, log)
    return conformed


def _links(conformed: pa.Table, crosswalk: Crosswalk, town: Town) -> pa.Array:
    if "cama_link" in crosswalk.mapping:
        return conformed.column("cama_link").combine_chunks()
    field = next((name for name in LINK_FIELDS if name in crosswalk.mapping), "link")
    return make_cama_link(town.cousub_fips, conformed.column(field).combine_chunks())


def _land_acres(conformed: pa.Table, crosswalk: Crosswalk, log: FindingLog) -> pa.Array:
    """Acres, where there are none from a column in square feet or one that does not say its unit."""
    acres = conformed.column("land_acres").combine_chunks()
    for field in ("delivered_land_sqft", "delivered_land"):
        if field not in crosswalk.mapping:
            continue
        given = conformed.column(field).combine_chunks()
        middle = pc.approximate_median(given.filter(pc.fill_null(pc.greater(given, 0.0), False))).as_py()
        if middle is None:
            continue
        in_sqft = field == "delivered_land_sqft" or middle > log.check("LAND_UNIT_READ").limits["median_acres_max"]
        log.add(
            "LAND_UNIT_READ",
            column=crosswalk.mapping[field],
            unit="square feet" if in_sqft else "acres",
            why="its name says so"
            if field == "delivered_land_sqft"
            else f"its middle value is {plain_number(middle, 1)}",
        )
        acres = pc.coalesce(acres, pc.divide(given, SQFT_PER_ACRE) if in_sqft else given)
    return acres


def _assessed_parts(conformed: pa.Table, crosswalk: Crosswalk, log: FindingLog) -> pa.Table:
    """Move values of land and buildings that make up the assessed total to where they belong.

    A column called "Land Value" says nothing of which of the two it is.
    """
    limits = log.check("PARTS_ARE_ASSESSED").limits
    mapping = crosswalk.mapping
    parts = ("land", "building", "outbuilding")
    if any(conformed.column(name).null_count < len(conformed) for name in _NOT_MISTAKEN):
        return conformed
    land, building, other = (conformed.column(f"appraised_{part}_usd").combine_chunks() for part in parts)
    whole = pc.add(pc.add(land, building), pc.fill_null(other, 0.0))
    of_whole = pc.divide(
        conformed.column("assessed_total_usd").combine_chunks(), pc.if_else(pc.greater(whole, 0.0), whole, None)
    )
    of_whole = pc.drop_null(of_whole)
    share = pc.mean(pc.greater(of_whole, limits["ratio_min"])).as_py() if len(of_whole) else 0.0
    if len(of_whole) < limits["rows_min"] or share < limits["share_min"]:
        return conformed
    columns = " and ".join(mapping[f"appraised_{part}_usd"] for part in parts if f"appraised_{part}_usd" in mapping)
    log.add("PARTS_ARE_ASSESSED", columns=columns, share=plain_share(share))
    moved = {f"assessed_{part}_usd": values for part, values in zip(parts, (land, building, other), strict=True)}
    return _with(conformed, moved | {f"appraised_{part}_usd": pa.nulls(len(conformed), pa.float64()) for part in parts})


def totals(conformed: pa.Table, ratio: float) -> dict[str, pa.Array]:
    """The two totals, where the town left one out worked out from what it gave, and how each is known.

    A sum needs land and buildings; other improvements count where they are given. The assessed value is never worked
    out from the appraised one, for it is what the law taxes.
    """
    found: dict[str, pa.Array] = {}
    for kind in ("assessed", "appraised"):
        given, land, building, other = (
            conformed.column(f"{kind}_{part}_usd").combine_chunks()
            for part in ("total", "land", "building", "outbuilding")
        )
        parts = pc.add(pc.add(land, building), pc.fill_null(other, 0.0))
        known = {"given": given, "sum_of_parts": parts}
        if kind == "appraised":
            known["from_assessed"] = pc.round(pc.divide(found["assessed_total_usd"], ratio))
        how = pa.nulls(len(conformed), pa.string())
        for name, value in reversed(known.items()):
            how = pc.if_else(pc.is_valid(value), name, how)
        found |= {f"{kind}_total_usd": pc.coalesce(*known.values()), f"{kind}_total_how": how}
    return found


def _uses(conformed: pa.Table, crosswalk: Crosswalk, town: Town, log: FindingLog) -> tuple[pa.Array, pa.Array]:
    """Use class and confidence of each row; codes that nobody has explained are said with the value on them."""
    codes, words, value, building = (
        conformed.column(name).combine_chunks()
        for name in ("state_use", "state_use_description", "appraised_total_usd", "appraised_building_usd")
    )
    known = building.null_count < len(building)
    classes, confidence, report = classify_uses(
        codes, words, value, town.town_name, log.standard, building_usd=building if known else None
    )
    unmapped = [use for use in report if use.use_class == UNMAPPED]
    for use in unmapped[: int(log.check("USE_CODE_UNMAPPED").limits["codes_shown"])]:
        log.add(
            "USE_CODE_UNMAPPED",
            column=crosswalk.mapping.get("state_use"),
            value=use.code,
            words=use.description or "no words",
            rows=plain_count(use.rows, "record"),
            why=use.why,
            usd=plain_number(use.value_usd or 0.0),
        )
    if unmapped:
        rows, usd = sum(use.rows for use in unmapped), sum(use.value_usd or 0.0 for use in unmapped)
        log.add(
            "USE_CODES_UNMAPPED",
            rows=plain_number(rows),
            all=plain_number(len(conformed)),
            share=plain_share(rows / len(conformed)),
            usd_share=plain_share(usd / (pc.sum(value).as_py() or 1.0)),
        )
    return classes, confidence


def record_roles(conformed: pa.Table, links: pa.Array) -> pa.Array:
    """How each row stands to the others of its link, as in ``schemas/codes/record_role.yml``.

    Rows of one record agree in its number, unit and place. Of those that also agree in every value one counts, the
    first by content, so that the order of the file does not matter; rows that agree in all columns are duplicates.
    """
    roles = np.full(len(conformed), "single", dtype=object)
    encoded = links.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy()
    counts = np.bincount(codes[codes >= 0], minlength=len(encoded.dictionary))
    several = np.flatnonzero((codes >= 0) & (np.append(counts, 0)[codes] > 1))
    if not len(several):
        return pa.array(roles, pa.string())
    rows = conformed.take(pa.array(several))
    content = _joined(rows, [name for name in rows.column_names if name != "row_no"])
    numbered = (_joined(rows, ["pid", "account_number"]) != "").astype(bool)
    record = np.where(numbered, _joined(rows, _UNIT), content)
    values = _joined(rows, _VALUES)
    order = np.lexsort((content, record, codes[several]))
    starts = np.flatnonzero(_differs(codes[several][order]) | _differs(record[order]))
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        if end - start > 1:
            group = order[start:end]
            fresh = _differs(content[group])
            alike = len(set(values[group])) == 1
            role = "single" if fresh.sum() == 1 else "further_card" if alike else "part"
            here = np.where(fresh, role, "duplicate").astype(object)
            if role == "further_card":
                here[0] = "main_card"
            roles[several[group]] = here
    return pa.array(roles, pa.string())


def _joined(rows: pa.Table, names: list[str] | tuple[str, ...]) -> npt.NDArray[np.object_]:
    """The columns of each row in one text."""
    texts = [pc.fill_null(rows.column(name).combine_chunks().cast(pa.string()), "") for name in names]
    if len(texts) == 1:
        return np.array(texts[0].to_pylist(), dtype=object)
    joined = np.array(pc.binary_join_element_wise(*texts, "\x1f").to_pylist(), dtype=object)
    joined[joined == "\x1f" * (len(texts) - 1)] = ""
    return joined


def _differs(values: npt.NDArray[Any]) -> Flags:
    """Whether each value is another than the one before it."""
    differs: Flags = np.r_[True, values[1:] != values[:-1]]
    return differs


def _of_another_town(rows: Rows, town: Town, log: FindingLog) -> Flags:
    """Rows that name another town, or, naming none, carry its code in their link; they are held."""
    mapping, row_no, conformed = rows.crosswalk.mapping, rows.row_no, rows.conformed
    elsewhere, named = np.zeros((2, len(conformed)), dtype=bool)
    for field in ("delivered_town", "delivered_town_no"):
        encoded = conformed.column(field).combine_chunks().dictionary_encode()
        words = [str(word) for word in encoded.dictionary.to_pylist()]
        other = pa.array([not same_town(word, town) for word in words], pa.bool_()).take(encoded.indices)
        wrong = pc.fill_null(other, False).to_numpy(zero_copy_only=False) & ~elsewhere
        for place in np.flatnonzero(wrong):
            value = conformed.column(field)[int(place)].as_py()
            log.add("TOWN_MISMATCH", row_no=int(row_no[place]), column=mapping[field], value=value)
        elsewhere |= wrong
        named |= other.is_valid().to_numpy(zero_copy_only=False)
    links = _links(conformed, rows.crosswalk, town)
    register = pa.array({other.cousub_fips for other in log.standard.municipalities} - {town.cousub_fips}, pa.string())
    strange = pc.is_in(split_cama_link(links)[0], value_set=register).to_numpy(zero_copy_only=False) & ~named
    for place in np.flatnonzero(strange):
        value = links[int(place)].as_py()
        log.add("TOWN_MISMATCH", row_no=int(row_no[place]), column=mapping.get("cama_link"), value=value)
    elsewhere |= strange
    return elsewhere


def _check_numbers(rows: Rows, conformed: pa.Table, town: Town, elsewhere: Flags, log: FindingLog) -> None:
    """Rows of this town without a link, or with one that is no CAMA link."""
    mapping, row_no = rows.crosswalk.mapping, rows.row_no
    links, normalized = conformed.column("cama_link").combine_chunks(), conformed.column("cama_link_normalized")
    blank = normalized.is_null().to_numpy()
    if "cama_link" in mapping:
        ours = pc.fill_null(pc.equal(split_cama_link(links)[0], town.cousub_fips), False)
        odd = links.is_valid().to_numpy(zero_copy_only=False) & ~elsewhere
        odd &= blank | ~ours.to_numpy(zero_copy_only=False)
        given = links.filter(pa.array(odd))
        log.add_each(
            "CAMA_LINK_MALFORMED",
            row_no[odd].tolist(),
            lambda place: {"value": given[place].as_py()},
            column=mapping["cama_link"],
        )
        blank &= links.is_null().to_numpy(zero_copy_only=False)
    log.add_each("ID_MISSING", row_no[blank].tolist(), lambda place: {})


def check_values(rows: Rows, conformed: pa.Table, log: FindingLog) -> None:
    """Values, years, areas and rooms that cannot be, or are not what the law says."""
    for check in (_check_ratio, _check_parts, _check_missing, _check_years, _check_sales, _check_size):
        check(_Columns(rows, conformed), log)


def keep_apart(
    settings: Settings, live: Live, staged: Staged, lineage: Lineage, rows: Rows, submission_id: str
) -> None:
    """Bring ``confidential`` up to date with the records that are live now, in the transaction that replaced them.

    To be called at every accepted delivery, also at one that changed nothing that is published.
    """
    standard = load_standard()
    uids = np.zeros(len(staged.row_no), dtype="V16")
    for pairs in (lineage.kept, lineage.changed):
        uids[pairs[:, 0]] = live.versions["uid"][pairs[:, 1]]
    added = live.connection.execute(
        "SELECT row_no, assessment_uid FROM cadastral.assessment WHERE cousub_fips = %s AND submission_id = %s",
        [live.cousub_fips, submission_id],
    ).fetchall()
    if added:
        places = np.searchsorted(staged.row_no, [row_no for row_no, _ in added])
        uids[places] = np.frombuffer(b"".join(uid.bytes for _, uid in added), dtype="V16")
    published = np.searchsorted(rows.row_no, staged.row_no)
    suppression = read_suppression(rows.source, rows.crosswalk, standard)
    keep_confidential(
        live.connection,
        standard,
        live.cousub_fips,
        uuid_array(uids),
        rows.source.take(pa.array(published)),
        rows.crosswalk,
        suppression.of(published),
        keep_persons=settings.keep_confidential,
    )


class _Columns:
    """The conformed columns as arrays of numbers, NaN where empty, and what findings need of a row."""

    def __init__(self, rows: Rows, conformed: pa.Table) -> None:
        self.row_no = rows.row_no
        self.mapping = rows.crosswalk.mapping
        self.conformed = conformed

    def number(self, name: str) -> Floats:
        return np.asarray(self.conformed.column(name).cast(pa.float64()).to_numpy(), dtype=np.float64)

    def text(self, name: str) -> pa.Array:
        return self.conformed.column(name).combine_chunks()

    def is_one_of(self, name: str, *values: str) -> Flags:
        found: Flags = pc.is_in(self.text(name), value_set=pa.array(values)).to_numpy(zero_copy_only=False)
        return found

    def each(
        self,
        log: FindingLog,
        code: str,
        wrong: Flags,
        words: Callable[[int], Mapping[str, Any]],
        field: str | None = None,
    ) -> None:
        """A finding for each row that is wrong; `words` is asked by place in the columns."""
        places = np.flatnonzero(wrong)
        if len(places):
            column = self.mapping.get(field) if field else None
            log.add_each(code, self.row_no[places].tolist(), lambda index: words(int(places[index])), column=column)


def _check_ratio(columns: _Columns, log: FindingLog) -> None:
    limits = log.check("VALUE_RATIO").limits
    assessed, appraised = columns.number("assessed_total_usd"), columns.number("appraised_total_usd")
    compared = ~columns.is_one_of("appraised_total_how", "from_assessed") & (assessed > 0) & (appraised > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = assessed / appraised
        off = compared & ((share < limits["ratio_min"]) | (share > limits["ratio_max"]))
        off &= np.abs(assessed - limits["ratio"] * appraised) > limits["usd_max"]
    # Land in use assessment is assessed at its value as farm or forest, far below 70 % of what it is worth.
    off &= ~(columns.is_one_of("use_class", "use_assessment", "ten_mill_forest") & (share < limits["ratio_min"]))
    causes = {
        "the two are the same": np.abs(share - 1) < 0.005,
        "the two columns look exchanged": np.abs(share * limits["ratio"] - 1) < 0.03,
        "it is more than 70 %": share > limits["ratio_max"],
        "it is less than 70 %, which exempt property or land under PA 490 would explain": share > 0,
    }
    for cause, belongs in causes.items():
        columns.each(
            log,
            "VALUE_RATIO",
            off & belongs,
            lambda place, cause=cause: {  # type: ignore[misc]  # bound for this round
                "assessed": plain_number(float(assessed[place])),
                "appraised": plain_number(float(appraised[place])),
                "share": plain_share(float(share[place])),
                "value": plain_number(float(assessed[place])),
                "cause": cause,
            },
            "assessed_total_usd",
        )
        off &= ~belongs


def _check_parts(columns: _Columns, log: FindingLog) -> None:
    limits = log.check("VALUE_PARTS").limits
    table = log.standard.table(log.dataset)
    for kind in ("assessed", "appraised"):
        total, land, building = (columns.number(f"{kind}_{part}_usd") for part in ("total", "land", "building"))
        other = columns.number(f"{kind}_outbuilding_usd")
        parts = land + building
        whole = parts + np.nan_to_num(other)
        # Buildings may include other improvements; and where these are not given, the total may.
        apart = np.minimum(np.abs(parts - total), np.abs(whole - total))
        apart[np.isnan(other) & (parts < total)] = 0.0
        given = columns.is_one_of(f"{kind}_total_how", "given")
        wrong = given & (apart > limits["usd_max"] + limits["share_max"] * total)
        columns.each(
            log,
            "VALUE_PARTS",
            wrong,
            lambda place, kind=kind, whole=whole, total=total: {  # type: ignore[misc]
                "field": table.field(f"{kind}_total_usd").title,
                "parts": plain_number(float(whole[place])),
                "total": plain_number(float(total[place])),
                "value": plain_number(float(total[place])),
            },
            f"{kind}_total_usd",
        )


def _check_missing(columns: _Columns, log: FindingLog) -> None:
    """Taxable property, by its class, whose assessed and appraised values are both empty or 0."""
    assessed, appraised = (np.nan_to_num(columns.number(f"{kind}_total_usd")) for kind in ("assessed", "appraised"))
    worthless = (assessed == 0) & (appraised == 0)
    if worthless.all():
        log.add("VALUES_MISSING")
        return
    for use in log.standard.code_lists["use_class"].codes:
        if use.code not in (UNMAPPED, "exempt"):
            wrong = worthless & columns.is_one_of("use_class", use.code)
            columns.each(log, "VALUE_MISSING", wrong, lambda place, use=use: {"use": use.label})  # type: ignore[misc]


def _check_years(columns: _Columns, log: FindingLog) -> None:
    limit = log.check("VALUATION_YEAR_ODD").limits["years_max"]
    counts = columns.text("valuation_year").value_counts().to_pylist()
    for entry in sorted(counts, key=lambda entry: entry["values"] or 0):
        year = entry["values"]
        if year is None:
            why = "is not given"
        elif year > log.year:
            why = f"{year} lies ahead"
        elif log.year - 1 - year > limit:  # a collection holds the grand list of the October before
            why = f"{year} is more than {limit:g} years back"
        else:
            continue
        rows = f"{entry['counts']:,} of {len(columns.conformed):,} records"
        column = columns.mapping.get("valuation_year")
        log.add("VALUATION_YEAR_ODD", column=column, value=year, why=why, rows=rows)
    latest = int(log.year + log.check("YEAR_BUILT_ODD").limits["years_ahead_max"])
    for field in ("year_built", "effective_year_built"):
        years, title = columns.number(field), log.standard.table(log.dataset).field(field).title
        columns.each(
            log,
            "YEAR_BUILT_ODD",
            years > latest,
            lambda place, years=years, title=title: {  # type: ignore[misc]
                "field": title,
                "value": int(years[place]),
                "latest": latest,
            },
            field,
        )


def _check_sales(columns: _Columns, log: FindingLog) -> None:
    earliest = int(log.check("SALE_DATE_ODD").limits["year_min"])
    today = dt.datetime.now(dt.UTC).date()
    for field in ("sale_date", "prior_sale_date"):
        days, title = columns.text(field), log.standard.table(log.dataset).field(field).title
        odd = pc.or_(pc.greater(days, pa.scalar(today)), pc.less(days, pa.scalar(dt.date(earliest, 1, 1))))
        columns.each(
            log,
            "SALE_DATE_ODD",
            pc.fill_null(odd, False).to_numpy(zero_copy_only=False),
            lambda place, days=days, title=title: {  # type: ignore[misc]
                "field": title,
                "value": days[place].as_py(),
                "earliest": earliest,
            },
            field,
        )


def _check_size(columns: _Columns, log: FindingLog) -> None:
    limits = log.check("LIVING_AREA_ODD").limits
    living, gross = columns.number("living_area_sqft"), columns.number("gross_area_sqft")
    beyond = (gross > 0) & (living > limits["times_gross_max"] * gross)
    odd = ((living > 0) & (living < limits["sqft_min"])) | (living > limits["sqft_max"]) | beyond
    columns.each(
        log,
        "LIVING_AREA_ODD",
        odd,
        lambda place: {
            "living_sqft": plain_number(float(living[place])),
            "beside": f", the whole building {plain_number(float(gross[place]))}" if beyond[place] else "",
            "value": plain_number(float(living[place])),
        },
        "living_area_sqft",
    )
    most = log.check("ROOMS_ODD").limits["per_unit_max"]
    rooms, bedrooms, baths = (columns.number(name) for name in ("room_count", "bedroom_count", "bath_count"))
    units = columns.number("dwelling_unit_count")
    crowded = (rooms > 0) & (bedrooms > rooms)
    many_bedrooms, many_baths = ((units > 0) & (number > most * units) for number in (bedrooms, baths))

    def why(place: int) -> dict[str, Any]:
        if crowded[place]:
            said = f"{bedrooms[place]:g} bedrooms in {rooms[place]:g} rooms"
        elif many_bedrooms[place]:
            said = f"{bedrooms[place]:g} bedrooms in {units[place]:g} dwellings"
        else:
            said = f"{baths[place]:g} baths in {units[place]:g} dwellings"
        return {"why": said, "value": f"{bedrooms[place]:g}"}

    columns.each(log, "ROOMS_ODD", crowded | many_bedrooms | many_baths, why, "bedroom_count")


def _with(table: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    for name, values in columns.items():
        table = with_column(table, name, values)
    return table


ASSESSMENTS = Dataset(
    table="assessment",
    noun="assessments",
    label="cama_link",
    any_of=("cama_link", *LINK_FIELDS),
    facts=number_facts("cama_link", "link", "pid"),
    identify=identify,
    checks=(
        TableCheck(("SAME_ASSESSMENT",), checks.same_again),
        TableCheck(("SEVERAL_RECORDS",), checks.several_records),
        TableCheck(("NO_PARCELS_YET", "CAMA_WITHOUT_PARCEL", "PARCEL_WITHOUT_CAMA"), checks.matching),
        TableCheck(("STALE_ROWS",), stale_rows),
        TableCheck(("OLDER_ROLL",), checks.older_roll),
        TableCheck(("RECORD_COUNT_DROP",), checks.fewer_records),
        TableCheck(("MATCH_LOST",), checks.match_lost),
        TableCheck(("TOTAL_VALUE_MOVED",), checks.total_value_moved),
        TableCheck(("ADDRESSES_DISAGREE",), checks.addresses_of_parcels),
        TableCheck(("FIELD_LOST", "FIELD_EMPTIED"), fields_emptied),
    ),
    derived={},
    sources=Path(__file__).parent / "sources",
)
