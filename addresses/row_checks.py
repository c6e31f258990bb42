"""Checks that look at one address point alone: its number, street, unit, dates, and the position that its columns say.

Asked of all conformed rows, also of those without a point. Severities, sentences and limits are the law's
(``schemas/checks.yml``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from addresses.columns import Flags, any_filled, delivered_column, lookup, today
from statewide.arrival import Rows
from statewide.findings import FindingLog, plain_count, plain_number
from statewide.geometry import points_in_storage
from statewide.register import Town

_DEGREES = 4326
_LANDMARKS = ("site", "subsite", "distmarker", "structure")
"""What may stand for a number: a landmark, or a mark on a highway or trail."""
_NO_NAME = r"[^\pL\pM0-9 '’.,&/()-]|^[^\pL0-9]*$"
"""A street's name is letters, digits and what joins them, and at least one letter or digit."""
_COUNTED_FAR_FT = 5_280_000


def row_checks(rows: Rows, town: Town, log: FindingLog) -> None:
    """Whatever is odd about a row by itself."""
    _numbers_and_streets(rows, log)
    _street_names(rows, log)
    _units(rows, log)
    _said_positions(rows, log)
    _dates(rows, log)


def _numbers_and_streets(rows: Rows, log: FindingLog) -> None:
    numbered, named = any_filled(rows.conformed, ("add_number", "addnum_cmp")), any_filled(rows.conformed, ("st_name",))
    marked = any_filled(rows.conformed, _LANDMARKS)
    unread = [row_no for row_no, codes in log.held_rows().items() if "ADDRESS_UNREAD" in codes]
    asked = ~np.isin(rows.row_no, unread)
    number, street = (
        delivered_column(rows.crosswalk, "add_number", "delivered_address"),
        delivered_column(rows.crosswalk, "st_name", "delivered_street"),
    )
    _add_each("ADDRESS_EMPTY", asked & ~numbered & ~named & ~marked, rows, log, number)
    _add_each("NUMBER_MISSING", asked & named & ~numbered & ~marked, rows, log, number)
    _add_each("STREET_MISSING", asked & numbered & ~named, rows, log, street)
    zero = _true(pc.equal(rows.conformed.column("add_number"), 0))
    _add_each("NUMBER_ZERO", zero, rows, log, number)


def _street_names(rows: Rows, log: FindingLog) -> None:
    names = rows.conformed.column("st_name").combine_chunks().dictionary_encode()
    signs = pc.match_substring_regex(names.dictionary, _NO_NAME)
    bare = pc.match_substring_regex(names.dictionary, r"^[0-9]+$")
    odd, digits = _true(signs.take(names.indices)), _true(bare.take(names.indices))
    digits &= ~any_filled(rows.conformed, ("st_premod", "st_pretyp", "st_postyp"))  # 6 in Route 6 is a name
    shown = rows.conformed.column("st_name")
    places = np.flatnonzero(odd | digits)

    def words(at: int) -> dict[str, Any]:
        why = "is a number and no name" if digits[places[at]] else "has signs that no street's name has"
        return {"value": shown[int(places[at])].as_py(), "why": why}

    column = delivered_column(rows.crosswalk, "st_name", "delivered_street", "delivered_address")
    log.add_each("STREET_NAME_ODD", rows.row_no[places].tolist(), words, column=column)


def _units(rows: Rows, log: FindingLog) -> None:
    word, value = any_filled(rows.conformed, ("unitpretyp",)), any_filled(rows.conformed, ("unitvalue",))
    alone = lookup(rows.conformed.column("unitpretyp"), log.standard.code_lists["unit_alone"].lookup())
    column = delivered_column(rows.crosswalk, "unitpretyp", "unit", "delivered_address")
    bare = word & ~value & ~alone.is_valid().to_numpy(zero_copy_only=False)
    _add_each("UNIT_WITHOUT_VALUE", bare, rows, log, column, shown="unitpretyp")
    if (wordless := int((value & ~word).sum())) > 0:
        log.add(
            "UNIT_WITHOUT_WORD",
            column=delivered_column(rows.crosswalk, "unitvalue", "unit"),
            rows=plain_count(wordless, "row"),
        )


def _said_positions(rows: Rows, log: FindingLog) -> None:
    """Longitude and latitude columns against the point, where the file has both."""
    degrees = np.column_stack([rows.conformed.column(name).to_numpy() for name in ("longitude", "latitude")])
    said = np.isfinite(degrees).all(axis=1) & (degrees != 0).any(axis=1) & ~shapely.is_missing(rows.shapes)
    if not said.any():
        return
    places = np.flatnonzero(said)
    there = points_in_storage(degrees[places], _DEGREES, log.standard)
    apart = np.hypot(*(there - shapely.get_coordinates(rows.shapes[places])).T)
    far = ~(apart <= log.check("LONLAT_DISAGREES").limits["distance_ft_max"])  # not a number is far, too
    places, apart = places[far], apart[far]

    def words(at: int) -> dict[str, Any]:
        longitude, latitude = degrees[places[at]]
        near = apart[at] < _COUNTED_FAR_FT
        return {
            "value": f"{longitude:.6f} {latitude:.6f}",
            "distance": f"{plain_number(float(apart[at]))} ft" if near else "more than a thousand miles",
            "shape": rows.shapes[places[at]],
        }

    column = delivered_column(rows.crosswalk, "longitude")
    log.add_each("LONLAT_DISAGREES", rows.row_no[places].tolist(), words, column=column)


def _dates(rows: Rows, log: FindingLog) -> None:
    begins, ends, updated = (rows.conformed.column(name) for name in ("effective", "expire", "dateupdate"))
    for odd, name, why in (
        (pc.less(ends, begins), "expire", "the address goes out of force before it comes into force"),
        (pc.greater(updated, today()), "dateupdate", "the day of the last change lies in the future"),
    ):
        _add_each("DATE_ODD", _true(odd), rows, log, delivered_column(rows.crosswalk, name), shown=name, why=why)


def _add_each(
    code: str, odd: Flags, rows: Rows, log: FindingLog, column: str | None, shown: str | None = None, **said: str
) -> None:
    places = np.flatnonzero(odd)
    values = rows.conformed.column(shown) if shown else None

    def words(at: int) -> dict[str, Any]:
        place = int(places[at])
        value = {} if values is None else {"value": values[place].as_py()}
        return {**said, **value, "shape": rows.shapes[place]}

    log.add_each(code, rows.row_no[places].tolist(), words, column=column)


def _true(answers: pa.Array | pa.ChunkedArray) -> Flags:
    whole = answers.combine_chunks() if isinstance(answers, pa.ChunkedArray) else answers
    found: Flags = pc.fill_null(whole, False).to_numpy(zero_copy_only=False)
    return found
