"""Addresses in one piece are taken apart as the labelled set says, and put together again."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addresses.address_line import NOT_HELD, REASONS, LineReader
from addresses.parsing import Parsed, label, normalized, parse_addresses, parse_streets
from statewide.standard import Standard, load_standard

LABELLED = Path(__file__).parent / "labelled_addresses.csv"
NOT_A_PART = ("text", "quirk", "held_out", "villages", "reason")


@pytest.fixture(scope="module")
def standard() -> Standard:
    return load_standard()


def labelled() -> list[dict[str, str]]:
    with LABELLED.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def wrong(row: dict[str, str], parts: dict[str, Any], reason: str | None) -> list[str]:
    """What of a labelled row is not as the label says; of what is no address, only that it is held counts."""
    if row["reason"] in ("not_an_address", "po_box"):
        return [] if reason not in (None, *NOT_HELD) else ["held"]
    answer = {name: "" if parts[name] is None else str(parts[name]) for name in row if name not in NOT_A_PART}
    answer["reason"] = reason or ""
    return [name for name, value in answer.items() if value != row[name]]


def lines(parsed: Parsed) -> list[str | None]:
    found: list[str | None] = label(parsed.parts).to_pylist()
    return found


def test_the_labelled_set_is_large_and_has_rows_that_no_rule_was_made_on() -> None:
    rows = labelled()
    assert len(rows) >= 600
    assert sum(row["held_out"] == "yes" for row in rows) >= len(rows) / 3
    assert len({row["text"] for row in rows}) == len(rows)
    assert {row["reason"] for row in rows} <= {"", *REASONS}


@pytest.mark.parametrize(("held_out", "share"), [("", 0.99), ("yes", 0.97)])
def test_labelled_addresses_are_read_as_labelled(standard: Standard, held_out: str, share: float) -> None:
    rows = [row for row in labelled() if row["held_out"] == held_out]
    misses = {}
    for villages in {row["villages"] for row in rows}:
        chosen = [row for row in rows if row["villages"] == villages]
        texts = pa.array([row["text"] for row in chosen])
        parsed = parse_addresses(standard, texts, [village for village in villages.split("|") if village])
        for row, parts, reason in zip(chosen, parsed.parts.to_pylist(), parsed.reason.to_pylist(), strict=True):
            if found := wrong(row, parts, reason):
                misses[row["text"]] = found
    assert len(misses) <= (1 - share) * len(rows), misses


def test_a_column_gives_what_each_value_gives_alone(standard: Standard) -> None:
    texts = [row["text"] for row in labelled() if not row["villages"]]
    column = pa.chunked_array([pa.array([*texts, None]), pa.array(texts[::-1])])
    parsed = parse_addresses(standard, column)
    reader = LineReader(standard)
    for text, parts in zip(column.to_pylist(), parsed.parts.to_pylist(), strict=True):
        alone = {} if text is None else reader.read(text).parts
        assert {name: value for name, value in parts.items() if value is not None} == alone, text


@pytest.mark.parametrize("texts", [pa.array([], pa.string()), pa.nulls(3, pa.string()), pa.array([" ", "", "\t"])])
def test_nothing_gives_nothing_and_holds_nothing(standard: Standard, texts: pa.Array) -> None:
    for parse in (parse_addresses, parse_streets):
        parsed = parse(standard, texts)
        assert len(parsed.parts) == len(texts)
        assert not parsed.held.any()
        assert lines(parsed) == [None] * len(texts)


def test_an_empty_column_in_a_line_is_nothing(standard: Standard) -> None:
    texts = pa.array(["12 <Null> MARLPIT RD <null>", "<Null> <Null>", "12 NULL RD"])
    assert lines(parse_addresses(standard, texts)) == ["12 Marlpit Road", None, "12 Null Road"]


def test_a_missing_number_is_a_finding_and_an_unread_address_is_held(standard: Standard) -> None:
    texts = ["MARLPIT RD", "0 MARLPIT RD", "PO BOX 12", "12 MARLPIT RD & WINDLEY ST", "MARLPIT POND"]
    parsed = parse_addresses(standard, pa.array(texts))
    assert parsed.reason.to_pylist() == ["no_number", "no_number", "po_box", "two_streets", "not_an_address"]
    assert parsed.held.tolist() == [False, False, True, True, True]
    assert parsed.why[0].as_py() == "no house number"
    assert lines(parsed)[3] == "12 Marlpit Road"  # the guess is shown


def test_a_name_without_number_or_type_is_a_street_where_others_have_numbers_on_it(standard: Standard) -> None:
    assert parse_addresses(standard, pa.array(["MARLPIT SOUTH"])).held.tolist() == [True]
    parsed = parse_addresses(standard, pa.array(["MARLPIT SOUTH", "12 MARLPIT SOUTH"]))
    assert parsed.reason.to_pylist() == ["no_number", None]


def test_doubt_lowers_the_confidence(standard: Standard) -> None:
    texts = ["12 MARLPIT RD", "12 MARLPIT RIDGE", "12 MARLPIT", "MARLPIT RD WINDLEY PUMP 4"]
    confidence = parse_addresses(standard, pa.array(texts)).confidence.to_pylist()
    assert confidence == sorted(confidence, reverse=True)
    assert len(set(confidence)) == len(texts)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("12 MARLPIT RD, QUIMBLETON", "Quimbleton"),
        ("12 MARLPIT RD QUIMBLETON", "Quimbleton"),
        ("12 MARLPIT RD NEW LONDON", "New London"),
        ("12 NEW LONDON CT", None),
    ],
)
def test_a_place_behind_the_street_is_the_postal_city(standard: Standard, text: str, whole: str | None) -> None:
    parsed = parse_addresses(standard, pa.array([text]))
    assert parsed.parts.column("post_comm").to_pylist() == [whole]
    assert not parsed.held.any()


def test_villages_of_the_town_are_known_by_name_and_by_their_letters(standard: Standard) -> None:
    texts = pa.array(["12 MARLPIT RD GULL POINT", "12 MARLPIT RD GP", "12 GULL POINT RD"])
    parsed = parse_addresses(standard, texts, ["Gull Point"])
    assert parsed.parts.column("a4").to_pylist() == ["Gull Point", "Gull Point", None]


@pytest.mark.parametrize(
    ("text", "street"),
    [
        ("MARLPIT ST", "Marlpit Street"),
        ("4 MILE RIVER RD", "4 Mile River Road"),
        ("NORTH ST", "North Street"),
        ("EAST MARLPIT ST EXT", "East Marlpit Street Extension"),
        ("OLD RTE 7", "Old Route 7"),
        ("BROADWAY", "Broadway"),
        ("Avenue of the Larks", "Avenue of the Larks"),
        ("AVE OF THE LARKS", "Avenue of the Larks"),
        ("St Marys Ct", "St Marys Court"),
    ],
)
def test_a_street_in_one_piece_is_taken_apart(standard: Standard, text: str, street: str) -> None:
    parsed = parse_streets(standard, pa.array([text]))
    assert lines(parsed) == [street]
    assert parsed.reason.to_pylist() == [None]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("12 MCDERRY ST", "McDerry"),
        ("12 MacDerry St", "MacDerry"),
        ("12 O'MARLEY ST", "O'Marley"),
        ("12 SHEPHERD'S ST", "Shepherd's"),
        ("12 1ST ST", "1st"),
        ("12 UNDER THE MARL RD", "Under the Marl"),
        ("12 MARL-WINDLEY RD", "Marl-Windley"),
        ("12 JFK DR", "JFK"),
        ("12 MT MARL RD", "Mt Marl"),
    ],
)
def test_capitals_become_the_spelling_of_a_name(standard: Standard, text: str, name: str) -> None:
    assert parse_addresses(standard, pa.array([text])).parts.column("st_name").to_pylist() == [name]


@pytest.mark.parametrize(
    ("spellings", "normal"),
    [
        (("12 MARLPIT ST #4", "12 Marlpit Street Unit 4", "0012 MARLPIT ST., UNIT 4", "12 MARLPIT ST 4"), "UNIT"),
        (("12.5 MARLPIT ST", "12 1/2 MARLPIT ST", "12½ MARLPIT ST", "12-1/2 Marlpit St"), "12 1/2"),
        (("12-14 MARLPIT ST", "12 - 14 MARLPIT ST", "012-014 MARLPIT ST"), "12-14"),
        (("24/6 MARLPIT ST",), "24/6"),
        (("39-39.5 MARLPIT ST",), "39-39 1/2"),
        (("12A MARLPIT ST", "12 A MARLPIT ST", "12-a Marlpit St", "MARLPIT ST 12A"), "12A"),
        (("12 O'MARLEY AVE", "12 OMARLEY AVE"), "OMARLEY"),
        (("12 NO MARLPIT ST REAR", "REAR 12 NORTH MARLPIT ST"), "NORTH"),
    ],
)
def test_spellings_of_one_address_meet(standard: Standard, spellings: tuple[str, ...], normal: str) -> None:
    parsed = parse_addresses(standard, pa.array(spellings))
    found = set(normalized(label(parsed.parts)).to_pylist())
    assert len(found) == 1
    assert normal in found.pop()


def test_the_line_is_put_together_from_given_parts_as_well() -> None:
    names = ("addnum_pre", "addnum_suf", "addnum_cmp", "st_premod", "st_predir", "st_pretyp", "st_presep", "st_name",
             "st_postyp", "st_posdir", "st_posmod", "unitpretyp", "unitvalue", "unit")  # fmt: skip
    given_parts = {
        "add_number": pa.array([36, 36, None, 12, 12, None]),
        "st_name": pa.array(["Blinman", "Blinman", "Blinman", "Pines", None, None]),
        "addnum_suf": pa.array([None, "1/2", None, "A", None, None]),
        "unit": pa.array(["1", None, "Apt 4", None, None, None]),
        "unitpretyp": pa.array([None, "Suite", None, None, None, None]),
        "unitvalue": pa.array([None, "200", None, "7", None, None]),
    }
    rows = pa.table({name: pa.nulls(6, pa.string()) for name in names} | given_parts)
    assert label(rows).to_pylist() == [
        "36 Blinman Unit 1",
        "36 1/2 Blinman Suite 200",
        "Blinman Apt 4",
        "12A Pines Unit 7",
        None,
        None,
    ]


WORDS = "12 12A 1/2 - # , REAR OLD RT 7 ST RD N EAST APT 2B OF THE AVENUE & / ( ) CT 06320 LOT OFF NORWICH MAIN FL EXT"


@settings(max_examples=300)
@given(st.lists(st.one_of(st.text(max_size=30), st.sampled_from(WORDS.split())), max_size=9))
def test_no_text_breaks_the_parser_or_a_rule_of_the_table(words: list[str]) -> None:
    standard = load_standard()
    parsed = parse_addresses(standard, pa.array([" ".join(words)]), ["Mill Cove"])
    parts = parsed.parts.to_pylist()[0]
    table = standard.table("address_point")
    for name, value in parts.items():
        field = table.field(name)
        assert value is None or field.max_length is None or len(value) <= field.max_length
        if value is not None and field.codes in ("street_type", "directional", "st_pre_separator"):
            assert value in standard.code_lists[field.codes].lookup().values()
    assert parts["add_number"] is None or 0 < parts["add_number"] <= 999_999
    assert parsed.held[0] == (parsed.reason[0].as_py() not in (None, *NOT_HELD))
    assert parsed.held[0] or parsed.reason[0].as_py() == "no_text" or lines(parsed)[0]
    normalized(label(parsed.parts))


def test_a_very_long_text_is_held(standard: Standard) -> None:
    texts = [
        "1" * 6000 + " MARLPIT ST",
        "12 MARLPIT ST #" + "X" * 300,
        "+".join(map(str, range(10, 40))) + " MARLPIT ST",
    ]
    assert parse_addresses(standard, pa.array(texts)).held.all()


@pytest.mark.real
def test_real_locations_are_read_and_none_of_them_stands_in_the_labelled_set(
    standard: Standard, shared_data: Path
) -> None:
    file = shared_data / "ct-parcels-2025-sample" / "ct_parcels_6_towns_wgs84.parquet"
    locations = pq.read_table(file, columns=["Location"]).column("Location")
    parsed = parse_addresses(standard, locations)
    given_rows = [text for text in locations.to_pylist() if text and text.strip()]
    assert parsed.held.sum() < 0.005 * len(given_rows)
    numbered = {row["text"].strip() for row in labelled() if row["add_number"] and not row["st_pretyp"]}
    assert not numbered & {text.strip() for text in given_rows}


@pytest.mark.parametrize(
    ("text", "line", "number"),
    [
        ("22-24 N Main St", "22-24 North Main Street", "22-24"),
        ("10-12 B St", "10-12 B Street", "10-12"),
        ("10-12A Main St", "10-12A Main Street", "10-12A"),
        ("48 Main St Gales Ferry CT 06335", "48 Main Street", "48"),
        ("48 Elm Ct", "48 Elm Court", "48"),
        ("12 Oak Ct 06355", "12 Oak Court", "12"),
        ("12 St James Ct", "12 St James Court", "12"),
    ],
)
def test_a_letter_behind_a_range_and_a_state_behind_a_street_are_not_swallowed(
    text: str, line: str, number: str
) -> None:
    parsed = parse_addresses(load_standard(), pa.array([text]), ("Gales Ferry",))
    assert label(parsed.parts).to_pylist() == [line]
    assert parsed.parts.column("addnum_cmp").to_pylist() == [number]
