"""A town's points → `addresses.address_point`: what is peculiar to addresses on the walk through the hall.

What the town gave in one piece is taken apart into NENA's columns; what it gave in parts is put into the standard's
words and otherwise kept as it gave it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from addresses import withholding
from addresses.checks import ADDRESS_CHECKS
from addresses.columns import Flags, any_filled, filled
from addresses.given_parts import in_listed_words, streets_again, with_cased_names, with_numbers, with_units
from addresses.parsing import STREET, Parsed, label, normalized, parse_addresses, parse_streets
from addresses.row_checks import row_checks
from addresses.screening import quotable, screen, strip
from addresses.street_doubts import doubtful_streets, known_streets
from statewide.arrival import Rows
from statewide.conform import with_column
from statewide.crosswalk import Crosswalk
from statewide.findings import FindingLog
from statewide.intake import Dataset, Delivery, Outcome, Request, Say, take_in
from statewide.register import Town
from statewide.settings import Settings

NUMBER = ("addnum_pre", "add_number", "addnum_suf", "addnum_cmp")
UNIT = ("structure", "floor", "unitpretyp", "unitvalue", "unit")
TAIL = ("a4", "post_comm", "post_code")
"""What may stand behind the street in a whole address; it only fills what the town left empty."""

_STREET_WORDS = tuple(name for name in STREET if name != "st_name")
_DOUBT = "what stands for the street may be a person's name or a remark"
_NOT_QUOTED = "An address, not quoted because it may be a person's name,"


def submit(settings: Settings, request: Request, say: Say) -> Outcome:
    """Take a town's address points in (or only check, if asked so).

    Raises:
        InputError, PlatformError: as `statewide.intake.take_in`.
    """
    return take_in(settings, Delivery((ADDRESSES,), settle=withholding.settle), request, say)


def identify(rows: Rows, town: Town, log: FindingLog) -> pa.Table:
    """Take addresses apart, add the platform's columns, withhold what may name a person, and check each row."""
    table = screen(log.standard, _in_parts(rows, log), rows.row_no, log, rows.crosswalk.mapping)
    parts = table.select([*NUMBER, *STREET, *UNIT])
    line = label(parts)
    # Within one line, as it is compared, a building or a floor tells rows apart for who reads them.
    labels = label(parts, within=True) if any_filled(parts, ("structure", "floor")).any() else line
    for name, values in {
        "cousub_fips": pa.repeat(pa.scalar(town.cousub_fips), len(table)),
        "address_label": labels,
        "address_normalized": normalized(line),
        "crs_assumed": pa.repeat(pa.scalar(rows.crs.how == "assumed"), len(table)),
    }.items():
        table = with_column(table, name, values)
    row_checks(replace(rows, conformed=table), town, log)
    return table


def _in_parts(rows: Rows, log: FindingLog) -> pa.Table:
    """The conformed rows with the parts of each address, and where each part comes from."""
    table = with_units(log.standard, with_numbers(in_listed_words(log.standard, rows.conformed)))
    again, mended = streets_again(log.standard, table)
    table = _fill(table, again, STREET, mended)
    number_given = any_filled(table, ("add_number", "addnum_cmp"))
    street_given = any_filled(table, ("st_name",))
    unit_given = any_filled(table, ("unit", "unitvalue"))
    # A column called "street name" often holds the whole street: then none of its other parts has a column.
    alone = street_given & ~any_filled(table, _STREET_WORDS)
    in_one = pc.if_else(pa.array(alone), table.column("st_name"), table.column("delivered_street"))
    street = parse_streets(log.standard, _where(in_one, alone | ~street_given))
    street_read = filled(street.parts, "st_name") & ~street.held
    whole = _where(table.column("delivered_address"), ~number_given | ~(street_given | street_read))
    address = parse_addresses(log.standard, whole, _villages(table))
    read = filled(address.parts, "st_name") & ~address.held
    number_read = filled(address.parts, "add_number") & ~address.held
    from_street = street_read & (alone | ~street_given)
    from_address = read & ~street_given & ~from_street
    table = _fill(table, address, NUMBER, number_read & ~number_given)
    table = _fill(table, street, STREET, from_street)
    table = _fill(table, address, STREET, from_address)
    # In a file without any part of a street, a name alone is a text, also where it could not be read.
    asked = ~alone | ~any_filled(rows.conformed, _STREET_WORDS).any()
    doubtful = doubtful_streets(log, table, from_address | (asked & (from_street | (alone & street.held))))
    for name in STREET:
        table = with_column(table, name, _where(table.column(name), ~doubtful))
    street, address = _with_doubts(street, doubtful & ~from_address), _with_doubts(address, doubtful & from_address)
    from_street, from_address, read = from_street & ~doubtful, from_address & ~doubtful, read & ~doubtful
    street_given, number_read = street_given & ~doubtful, number_read & ~doubtful
    beside_street = from_street & ~unit_given & any_filled(street.parts, UNIT)
    table = _fill(table, street, UNIT, beside_street)
    unit_read = read & ~unit_given & any_filled(address.parts, UNIT)
    table = _fill(table, address, UNIT, unit_read)
    for name in TAIL:
        table = _fill(table, address, (name,), read & ~filled(table, name))
    table = with_column(table, "number_source", _said(number_given, np.zeros_like(read), number_read & ~number_given))
    from_street |= mended
    table = with_column(table, "street_source", _said(street_given & ~from_street, from_street, from_address))
    table = with_column(table, "unit_source", _said(unit_given, beside_street, unit_read))
    _unread(rows, table, ((street, in_one, "delivered_street"), (address, whole, "delivered_address")), log)
    return with_cased_names(table)


def _villages(table: pa.Table) -> list[str]:
    """Places within the town that its own column names."""
    names: list[str] = table.column("a4").drop_null().unique().to_pylist()
    return names


def _with_doubts(parsed: Parsed, doubtful: Flags) -> Parsed:
    """What was read, with these rows held."""
    why = pc.if_else(pa.array(doubtful & ~parsed.held), _DOUBT, parsed.why)
    return replace(parsed, held=parsed.held | doubtful, why=why)


def _unread(rows: Rows, table: pa.Table, texts_read: Sequence[tuple[Parsed, pa.Array, str]], log: FindingLog) -> None:
    """Hold a row whose address nobody could take apart, with our guess."""
    without = ~filled(table, "st_name")
    streets = known_streets(log, table)
    for parsed, given, name in texts_read:
        places = np.flatnonzero(without & parsed.held)
        texts = pa.chunked_array([given]).combine_chunks().take(pa.array(places))
        guesses = label(parsed.parts.take(pa.array(places)))
        shown = quotable(log.standard, log.town, texts, streets)
        for place, text, guess, quoted in zip(places, texts.to_pylist(), guesses.to_pylist(), shown, strict=True):
            log.add(
                "ADDRESS_UNREAD",
                row_no=int(rows.row_no[place]),
                column=rows.crosswalk.mapping.get(name),
                value=text if quoted else None,
                quoted=f"“{text}”" if quoted else _NOT_QUOTED,
                why=parsed.why[place].as_py(),
                guess=f" Our guess is {guess}." if quoted and guess else "",
            )
        without[places] = False


def _where(values: pa.ChunkedArray, chosen: Flags) -> pa.Array:
    """The values at the chosen places, nothing elsewhere."""
    return pc.if_else(pa.array(chosen), values, pa.scalar(None, values.type)).combine_chunks()


def _fill(table: pa.Table, parsed: Parsed, names: Sequence[str], chosen: Flags) -> pa.Table:
    """The table with these parts of the chosen rows as they were parsed."""
    mask = pa.array(chosen)
    for name in names:
        old = table.column(name).combine_chunks()
        table = with_column(
            table, name, pc.if_else(mask, parsed.parts.column(name).combine_chunks().cast(old.type), old)
        )
    return table


def _said(given: Flags, by_street: Flags, by_address: Flags) -> pa.Array:
    return pc.case_when(
        pa.StructArray.from_arrays([pa.array(given), pa.array(by_street), pa.array(by_address)], ["a", "b", "c"]),
        "given",
        "parsed_street",
        "parsed_address",
    )


def facts(source: pa.Table, crosswalk: Crosswalk) -> dict[str, int]:
    """Counts of the file as given: rows that name a street, and rows that give an address in one piece."""
    found = {}
    for fact, fields in (("in_parts", ("st_name",)), ("in_one_piece", ("delivered_address", "delivered_street"))):
        columns = [crosswalk.mapping[name] for name in fields if name in crosswalk.mapping]
        found[fact] = max((len(source) - source.column(name).null_count for name in columns), default=0)
    return found


ADDRESSES = Dataset(
    table="address_point",
    noun="addresses",
    label="address_label",
    any_of=("st_name", "delivered_address", "delivered_street"),
    facts=facts,
    strip=strip,
    identify=identify,
    checks=ADDRESS_CHECKS,
    derived={},
    sources=Path(__file__).parent / "sources",
)
