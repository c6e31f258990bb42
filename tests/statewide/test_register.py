"""The register: whoever names a town in any usual way gets that town, and nobody else's."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from statewide.database import connect
from statewide.errors import UnknownTown
from statewide.register import (
    Town,
    add_invented_towns,
    authority_outlines,
    find_town,
    locate,
    same_town,
    town_of,
)
from statewide.settings import Settings
from statewide.standard import load_standard

STANDARD = load_standard()
ANDOVER = Town("01080", 1, "Andover", shapely.box(0, 0, 1, 1))


def test_every_town_is_found_by_name_code_and_number(shared_settings: Settings) -> None:
    with connect(shared_settings) as connection:
        for index, town in enumerate(STANDARD.municipalities):
            name = town.town_name
            spellings = (
                name,
                name.upper(),
                f" {name.lower()} ",
                f"Town of {name}",
                town.cousub_fips,
                str(town.town_no),
            )
            assert find_town(connection, spellings[index % 6]).cousub_fips == town.cousub_fips


@pytest.mark.parametrize(
    "name", ["", " ", "Andovr", "1080", "001", "0", "170", "0108", "Town of", "é", "'; --", "x" * 10_000]
)
def test_what_is_no_town_is_unknown(shared_settings: Settings, name: str) -> None:
    with connect(shared_settings) as connection, pytest.raises(UnknownTown) as refusal:
        find_town(connection, name)
    assert "\n" not in str(refusal.value)


def test_near_misses_are_named(shared_settings: Settings) -> None:
    with connect(shared_settings) as connection, pytest.raises(UnknownTown, match="Did you mean New London"):
        find_town(connection, "New Lodnon")


def test_trap_6_town_numbers_follow_the_states_list() -> None:
    by_number = {town.town_no: town.town_name for town in STANDARD.municipalities}
    assert [by_number[number] for number in (1, 40, 95, 169)] == ["Andover", "East Granby", "New London", "Woodstock"]


def test_trap_7_codes_are_text_with_their_leading_zero() -> None:
    codes = [town.cousub_fips for town in STANDARD.municipalities]
    assert all(len(code) == 5 for code in codes)
    assert any(code.startswith("0") for code in codes)


def test_a_file_tells_its_town_by_where_it_lies(shared_settings: Settings) -> None:
    outlines = authority_outlines(STANDARD)
    storage = STANDARD.header.storage_crs
    corner = shapely.point_on_surface(outlines[40])
    lots = np.array([shapely.buffer(corner, 50.0 + nth) for nth in range(10)], dtype=object)
    with connect(shared_settings) as connection:
        for declared in (storage, None):
            found = town_of(connection, "lots.gpkg", lots, declared, STANDARD)
            assert found.town_name == STANDARD.municipalities[40].town_name
        with pytest.raises(UnknownTown, match=r"lots.gpkg does not lie in one town of the register: .*--town"):
            town_of(connection, "lots.gpkg", shapely.transform(lots, lambda xy: xy + 1e7), storage, STANDARD)


@pytest.mark.parametrize("name", ["Andover", "ANDOVER", "andover ", "Town of Andover", "01080", "1"])
def test_trap_5_a_delivered_name_means_the_town_in_any_case(name: str) -> None:
    assert same_town(name, ANDOVER)


@pytest.mark.parametrize("name", ["", "Andover Lake", "North Andover", "1080", "Bolton", "11"])
def test_a_borough_or_another_town_is_not_the_town(name: str) -> None:
    assert not same_town(name, ANDOVER)


def test_towns_with_apostrophes_and_accents_are_found(settings: Settings) -> None:
    outline = shapely.box(9e5, 6e5, 9.1e5, 6.1e5)
    invented = [
        Town("99801", 801, "O'Brien's \"Mill\"; DROP TABLE", outline),
        Town("99802", 802, "Saint-Élie %s {x}", outline),
    ]
    with connect(settings) as connection:
        add_invented_towns(connection, STANDARD, invented)
        for town in invented:
            assert find_town(connection, town.town_name).cousub_fips == town.cousub_fips
        assert find_town(connection, "obriens mill drop table").cousub_fips == "99801"
        with pytest.raises(ValueError, match="real town"):
            add_invented_towns(connection, STANDARD, [Town("01080", 803, "Fake", outline)])


def test_a_file_is_located_in_its_town_and_nowhere_else() -> None:
    outlines = authority_outlines(STANDARD)
    for index in (0, 94, 168):
        inside = shapely.buffer(outlines[index].representative_point(), 100)
        found = locate(np.array([inside, None], dtype=object), 2234, STANDARD)
        assert found is not None
        assert (found.town_name, found.share) == (STANDARD.municipalities[index].town_name, 1.0)
        guessed = locate(np.array([inside], dtype=object), None, STANDARD)
        assert guessed is not None
        assert (guessed.town_name, guessed.epsg) == (found.town_name, 2234)


@pytest.mark.parametrize(
    "shape", [None, shapely.Polygon(), shapely.Point(0, 0), shapely.box(1e300, 1e300, 1.1e300, 1.1e300)]
)
def test_shapes_that_are_nowhere_are_in_no_town(shape: object) -> None:
    for declared in (None, 2234, 4326, 3857):
        assert locate(np.array([shape], dtype=object), declared, STANDARD) is None
