"""The land-use codebook: dialects of the domain dossier, words, values, towns' codebooks, real assessors' files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv

from cadastral.use_codes import CODEBOOKS, UNMAPPED, UseCode, classify_uses, read_codebook
from statewide.errors import LawError
from statewide.standard import load_standard

LAW = load_standard()
CLASSES = {code.code for code in LAW.code_lists["use_class"].codes}
LISTS = ("use_dialect_state", "use_dialect_vision", "use_words")


def texts(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string())


def classed(*rows: tuple[str | None, str | None], town: str = "Nowhere") -> list[str]:
    codes, words = zip(*rows, strict=True)
    return list(classify_uses(texts(*codes), texts(*words), None, town, LAW)[0].to_pylist())


VISION = (("1010", "Single Family"), ("1010", "Single Family"), ("1040", "Two Family"), ("1020", "Condo"))
STATE = (("100", "Residential"), ("100", "Residential"), ("200", "Commercial"), ("300", "Industrial"))


# ── the law ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", LISTS)
def test_dialects_and_words_speak_of_the_classes(name: str) -> None:
    assert {code.code for code in LAW.code_lists[name].codes} <= CLASSES


def test_the_states_own_codes_are_all_read_but_the_penalty() -> None:
    codes = [code.code.replace("?", "A") for code in LAW.code_lists["state_use"].codes]
    classes = classify_uses(texts(*codes), None, None, "Nowhere", LAW)[0].to_pylist()
    with_words = classed(*STATE, *((code, None) for code in codes))[len(STATE) :]
    assert [code for code, use_class in zip(codes, with_words, strict=True) if use_class == UNMAPPED] == ["250"]
    exempt = [use_class for code, use_class in zip(codes, classes, strict=True) if code.isalpha()]
    assert set(exempt) == {"exempt"}


def test_every_codebook_that_we_ship_is_sound() -> None:
    towns = {f"{town.town_name.casefold().replace(' ', '-')}.yml" for town in LAW.municipalities}
    shipped = {path.name for path in CODEBOOKS.iterdir()}
    assert shipped and shipped <= towns
    for name in shipped:
        assert read_codebook(CODEBOOKS / name, LAW).codes


# ── dialects ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("code", "use_class"),
    [
        ("1010", "residential"),
        ("1020", "condominium"),
        ("1040", "residential"),
        ("1050", "residential"),
        ("1110", "apartments"),
        ("1300", "vacant_land"),
        ("3250", "commercial"),
        ("9033", "exempt"),
        ("903", "exempt"),
        ("0101", "residential"),
        ("101.0", "residential"),
        ("0102", "condominium"),
        ("BAAX", "exempt"),
        ("OBCX", "exempt"),
    ],
)
def test_codes_of_vision_towns(code: str, use_class: str) -> None:
    assert classed(*VISION, (code, None))[-1] == use_class


@pytest.mark.parametrize(
    ("code", "use_class"),
    [
        ("100", "residential"),
        ("201", "commercial"),
        ("400", "public_utility"),
        ("500", "vacant_land"),
        ("610", "use_assessment"),
        ("700", "ten_mill_forest"),
        ("800", "apartments"),
        ("900", "exempt"),
        ("15", "condominium"),
        ("HAAX", "exempt"),
        ("250", UNMAPPED),
        ("A1", UNMAPPED),
    ],
)
def test_codes_of_towns_that_follow_the_state(code: str, use_class: str) -> None:
    assert classed(*STATE, (code, None))[-1] == use_class


def test_a_first_digit_nine_is_exempt_and_not_every_code_above_900() -> None:
    assert classed(*VISION, ("9100", None), ("1010", None), ("BAAX", None))[-3:] == ["exempt", "residential", "exempt"]


def test_102_turns_with_the_town() -> None:
    assert classed(("102", None), town="Middletown") == ["residential"]
    assert classed(("102", None), town="Southington") == ["condominium"]
    assert classed(("102", "Two Family"), ("101", "Single Family")) == ["residential", "residential"]
    assert classed(("102", "CONDO"), ("101", "Single Family")) == ["condominium", "residential"]
    assert classed(("102", None), ("101", None)) == [UNMAPPED, "residential"]  # nothing tells the dialects apart
    assert classed(("201", None), town="Westport") == ["residential"]


# ── words and values ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "use_class"),
    [
        ("Vac Res Land", "vacant_land"),
        ("Res Style Com", "commercial"),
        ("Mun Lnd Com", "exempt"),
        ("OFFICE-CONDO", "commercial"),
        ("Res. Condo", "condominium"),
        ("SFR w/Acc Apt", "residential"),
        ("RES-LAND-IMP", "residential"),
        ("APT Over 8", "apartments"),
        ("Six Family", "apartments"),
        ("Three Family", "residential"),
        ("PA 490 FARM", "use_assessment"),
        ("Ten Mill Forest", "ten_mill_forest"),
        ("CHURCH  M96", "exempt"),
        ("COMMODORE", UNMAPPED),
        ("", UNMAPPED),
    ],
)
def test_words_tell_a_class_without_a_code(words: str, use_class: str) -> None:
    assert classed((None, words)) == [use_class]


def test_confidence_follows_the_formula() -> None:
    codes = texts("1010", "1010", "1010", "1090", "1010", "Q", "Q")
    words = texts("Single Family", "Single Family", "Condo", None, None, "Vacant", "unheard of")
    classes, confidence, _ = classify_uses(codes, words, None, "Nowhere", LAW)
    fit = 2 / 3
    assert classes.to_pylist() == [*["residential"] * 2, "condominium", *["residential"] * 2, "vacant_land", UNMAPPED]
    assert confidence.to_pylist() == pytest.approx([0.95, 0.95, 0.55, 0.75 * fit, 0.75 * fit, 0.7, 0], abs=0.001)
    assert classify_uses(texts("102"), None, None, "Southington", LAW)[1].to_pylist() == [1.0]


def test_buildings_speak_against_vacant_land_and_their_absence_against_houses() -> None:
    codes, words = texts("1300", "1010", "1010"), texts("Vacant", "Single Family", "Single Family")
    buildings = pa.array([250_000, 0, None])
    classes, confidence, report = classify_uses(codes, words, None, "Nowhere", LAW, building_usd=buildings)
    assert classes.to_pylist() == ["vacant_land", "residential", "residential"]
    assert confidence.to_pylist() == pytest.approx([0.7, 0.7, 0.7])
    assert any("most have a building" in use.why for use in report)


def test_what_is_unmapped_comes_first_with_its_value() -> None:
    values = pa.array([100.0, 200.0, 5.0, 7000.0, None])
    codes, words = texts("1010", "XQ", "XQ", "ZZ9", "1010"), texts("Single Family", "Odd", "Odd", None, "Single Family")
    _, _, report = classify_uses(codes, words, values, "Nowhere", LAW)
    assert [(use.code, use.rows, use.use_class, use.value_usd) for use in report] == [
        ("ZZ9", 1, UNMAPPED, 7000),
        ("XQ", 2, UNMAPPED, 205),
        ("1010", 2, "residential", 100),
    ]


@given(st.lists(st.tuples(st.none() | st.text(max_size=6), st.none() | st.text(max_size=12)), max_size=20))
def test_whatever_is_given_every_row_gets_one_class_and_the_report_adds_up(rows: list[tuple[str | None, ...]]) -> None:
    codes, words = texts(*(row[0] for row in rows)), texts(*(row[1] for row in rows))
    classes, confidence, report = classify_uses(codes, words, pa.array([1.0] * len(rows)), "Nowhere", LAW)
    assert set(classes.to_pylist()) <= CLASSES
    assert all(0 <= sure <= 1 for sure in confidence.to_pylist())
    assert [sure == 0 for sure in confidence.to_pylist()] == [name == UNMAPPED for name in classes.to_pylist()]
    assert sum(use.rows for use in report) == len(rows) == sum(use.value_usd or 0 for use in report)


# ── codebooks ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_codebook_may_tell_by_description_and_name_the_dialect(tmp_path: Path) -> None:
    (tmp_path / "new-london.yml").write_text(
        "dialect: vision\ncodes:\n  - {code: 7, use_class: commercial}\n".replace("7", "'7'")
        + "  - {code: '7', description: Mill, use_class: industrial}\n"
    )
    rows = texts("7", "7.0", "102"), texts("Shop", "MILL", None)
    classes, _, _ = classify_uses(*rows, None, "New London", LAW, codebooks=tmp_path)
    assert classes.to_pylist() == ["commercial", "industrial", "condominium"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("codes: [{code: '1', use_class: castle}]", "no use class castle"),
        ("dialect: martian", "no dialect 'martian'"),
        ("cods: []", "cods"),
        ("codes: [{code: '1', use_class: exempt}, {code: '01', use_class: commercial}]", "two things of code 1"),
        ("codes: [", "is not YAML"),
    ],
)
def test_a_codebook_that_is_wrong_says_where(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "canton.yml"
    path.write_text(text)
    with pytest.raises(LawError, match=says):
        read_codebook(path, LAW)


# ── real files ───────────────────────────────────────────────────────────────────────────────────────────────────────


def read(path: Path) -> pa.Table:
    table = csv.read_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True))
    return table.combine_chunks()


def rows_of(report: tuple[UseCode, ...], *classes: str) -> int:
    return sum(use.rows for use in report if use.use_class in classes)


@pytest.mark.real
def test_cambridge_reads_like_a_vision_town(shared_data: Path) -> None:
    """Massachusetts' codes, after which Vision's are modelled; 199 CONDO-BLDG, without buildings, stays out."""
    table = read(shared_data / "ma-cambridge" / "Assessing" / "FY2013" / "FY2013_Parcels" / "TaxFY13.csv")
    columns = [table[name].chunk(0) for name in ("UseCode", "UseDescription", "TotalAppraisedParcelValue")]
    buildings = table["TotalAppraisedImprovements"].chunk(0)
    _, _, report = classify_uses(*columns, "Cambridge", LAW, building_usd=buildings)
    assert rows_of(report, *CLASSES) == 27424
    unmapped = [(use.code, use.rows, use.value_usd) for use in report if use.use_class == UNMAPPED]
    assert unmapped == [("199", 2109, 419_725_075.0), (None, 1, 0.0)]
    assert rows_of(report, "condominium") == 11702 + 6 + 2175 + 18 + 2 + 1
    assert sum(use.rows for use in report if use.confidence >= 0.95) > 0.9 * 27424


@pytest.mark.real
def test_bridgeport_is_classed_by_words_alone(shared_data: Path) -> None:
    table = read(shared_data / "ct-parcels-2025-sample" / "bridgeport_100_parcels_with_cama_no_owners.csv")
    words, values = table["Land Use"].chunk(0), table["Assessed Value"].chunk(0)
    _, confidence, report = classify_uses(pa.nulls(100, pa.string()), words, values, "Bridgeport", LAW)
    assert rows_of(report, UNMAPPED) == 0
    assert set(confidence.to_pylist()) == {0.7}
    assert rows_of(report, "residential") == 30 + 26 + 16 + 1
    assert (rows_of(report, "vacant_land"), rows_of(report, "exempt"), rows_of(report, "apartments")) == (9, 3, 4)


@pytest.mark.real
def test_hamden_agrees_with_its_council_of_governments(shared_data: Path) -> None:
    """`scrcog_lu` is the region's class; it goes by the use of land, so exempt property differs."""
    table = read(shared_data / "ct-west-hartford-hamden-parcels" / "hamden" / "data" / "data.csv")
    classes, _, report = classify_uses(
        pa.nulls(len(table), pa.string()), table["landuse"].chunk(0), None, "Hamden", LAW
    )
    assert rows_of(report, UNMAPPED) < 30
    homes = pc.is_in(classes, value_set=pa.array(["residential", "apartments", "condominium"]))
    theirs = pc.equal(table["scrcog_lu"].chunk(0), "Residential")
    assert pc.mean(pc.equal(homes, theirs).cast(pa.float64())).as_py() > 0.98
