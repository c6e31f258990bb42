"""A town's polygons → `cadastral.parcel`: what is peculiar to parcels on the walk through the hall.

Numbers and links are normalised, the town's words classed, and each row is asked whether it belongs here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from cadastral import checks, seams, topology_checks
from cadastral.assessment_checks import addresses_of_records, records_lost
from cadastral.parcel_id import make_cama_link, normalize_cama_link, number_facts, split_cama_link
from statewide import shared_checks
from statewide.arrival import Rows
from statewide.conform import classify, with_column
from statewide.findings import FindingLog, plain_number
from statewide.intake import Dataset, TableCheck
from statewide.parcel_number import normalize_id
from statewide.register import Town, same_town


def identify(rows: Rows, town: Town, log: FindingLog) -> pa.Table:
    """Add the platform's columns to the conformed rows, and check each row on its own."""
    table = rows.conformed
    given = {name: table.column(name).combine_chunks() for name in ("cama_link", "link", "parcel_id", "parcel_type")}
    links = given["cama_link"]
    if "cama_link" not in rows.crosswalk.mapping:
        links = make_cama_link(
            town.cousub_fips, given["link"] if "link" in rows.crosswalk.mapping else given["parcel_id"]
        )
    area = shapely.area(rows.shapes)
    filled = {
        "cousub_fips": pa.repeat(pa.scalar(town.cousub_fips), len(table)),
        "cama_link": links,
        "cama_link_normalized": normalize_cama_link(links) if rows.joined is None else rows.joined,
        "parcel_id_normalized": normalize_id(given["parcel_id"]),
        "parcel_type_class": classify(
            "parcel_type_class", rows.crosswalk.mapping.get("parcel_type", "parcel_type"), given["parcel_type"], log
        ),
        "area_sqft": pa.array(area, from_pandas=True),
        "crs_assumed": pa.repeat(pa.scalar(rows.crs.how == "assumed"), len(table)),
    }
    _check_numbers(rows, links, filled["cama_link_normalized"], filled["parcel_id_normalized"], town, log)
    _check_areas(rows, area, log)
    for name, values in filled.items():
        table = with_column(table, name, values)
    return table


def _check_numbers(
    rows: Rows, links: pa.Array, links_normalized: pa.Array, ids_normalized: pa.Array, town: Town, log: FindingLog
) -> None:
    mapping, row_no = rows.crosswalk.mapping, rows.row_no
    unnumbered = pc.and_(pc.is_null(links_normalized), pc.is_null(ids_normalized))
    for number in row_no[unnumbered.to_numpy(zero_copy_only=False)]:
        log.add("ID_MISSING", row_no=int(number), column=mapping.get("parcel_id"))
    prefix, _ = split_cama_link(links)
    says = rows.conformed.column("delivered_town").combine_chunks()
    other_towns = [name for name in says.unique().drop_null().to_pylist() if not same_town(name, town)]
    elsewhere = pc.is_in(says, value_set=pa.array(other_towns, pa.string()))
    register = pa.array([other.cousub_fips for other in log.standard.municipalities])
    foreign = pc.fill_null(pc.not_equal(prefix, town.cousub_fips), False)
    linked_elsewhere = pc.and_(pc.and_(foreign, pc.is_in(prefix, value_set=register)), pc.is_null(says))
    malformed = pc.or_(pc.or_(foreign, pc.is_null(prefix)), pc.is_null(links_normalized))
    malformed = pc.and_(malformed, pa.scalar("cama_link" in mapping))
    malformed = pc.and_(pc.and_(malformed, pc.is_valid(links)), pc.invert(pc.or_(elsewhere, linked_elsewhere)))
    for code, wrong, column, values in (
        ("TOWN_MISMATCH", elsewhere, "delivered_town", says),
        ("TOWN_MISMATCH", linked_elsewhere, "cama_link", links),
        ("CAMA_LINK_MALFORMED", malformed, "cama_link", links),
    ):
        for place in np.flatnonzero(wrong.to_numpy(zero_copy_only=False)):
            log.add(code, row_no=int(row_no[place]), column=mapping.get(column), value=values[place].as_py())


def _check_areas(rows: Rows, area: np.ndarray[tuple[int], np.dtype[np.float64]], log: FindingLog) -> None:
    row_no = rows.row_no
    tiny = log.check("TINY_PARCEL").limits["sqft_max"]
    for place in np.flatnonzero(area < tiny):
        log.add(
            "TINY_PARCEL",
            row_no=int(row_no[place]),
            area_sqft=plain_number(float(area[place]), 2),
            shape=rows.shapes[place],
        )
    limits = log.check("AREA_DISAGREES").limits
    said = rows.conformed.column("delivered_area_sqft").to_numpy()
    differs = np.abs(said - area)
    with np.errstate(invalid="ignore"):
        wrong = (said > 0) & (differs > limits["sqft_max"]) & (differs > limits["ratio_max"] * said)
    for place in np.flatnonzero(wrong):
        log.add(
            "AREA_DISAGREES",
            row_no=int(row_no[place]),
            column=rows.crosswalk.mapping.get("delivered_area_sqft"),
            value=plain_number(float(said[place]), 2),
            area_sqft=plain_number(float(area[place]), 2),
        )


PARCELS = Dataset(
    table="parcel",
    noun="parcels",
    label="parcel_id",
    any_of=("cama_link", "link", "parcel_id"),
    facts=number_facts("parcel_id", "cama_link"),
    identify=identify,
    checks=(
        TableCheck(("TOWN_LOADED_TWICE",), checks.loaded_twice),
        TableCheck(("DUPLICATE_ROW",), shared_checks.duplicate_rows),
        TableCheck(("DUPLICATE_ID",), checks.duplicate_ids),
        TableCheck(("STACKED",), checks.stacks),
        TableCheck(("OUTSIDE_TOWN",), checks.outside_town),
        TableCheck(topology_checks.CODES, topology_checks.topology),
        TableCheck(seams.CODES, seams.seam),
        TableCheck(("STALE_ROWS",), checks.stale_rows),
        TableCheck(("OLDER_YEAR",), shared_checks.older_year),
        TableCheck(("COUNT_DROP", "AREA_DROP"), checks.shrinkage),
        TableCheck(("IDS_REPLACED",), checks.ids_replaced),
        TableCheck(("MOVED",), checks.moved),
        TableCheck(("MATCH_LOST",), records_lost),
        TableCheck(("ADDRESSES_DISAGREE",), addresses_of_records),
        TableCheck(("FIELD_LOST", "FIELD_EMPTIED"), checks.fields_emptied),
    ),
    derived={"stack_count": checks.stack_counts},
    sources=Path(__file__).parent / "sources",
)
