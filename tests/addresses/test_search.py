"""The address search over a small world: what comes first, what comes near, and what a text is read as."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from addresses.search import MAX_LIMIT, NOT_FOUND, NOT_READ, find
from addresses.search_commands import app
from addresses.search_index import key, name_key, refresh, refresh_all
from addresses.withholding import release, withhold
from cadastral.meeting import submit
from statewide.database import API, connect
from statewide.errors import BadArgument
from statewide.intake import Request
from statewide.register import find_town
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.addresses.streets import TOWNS, Lot, Point, load
from tests.towns import alder, found_alder, write

Find = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def search(shared_settings: Settings) -> Iterator[Find]:
    """The properties of the candidates for a text, asked with the rights of the street."""
    load(shared_settings)
    with connect(shared_settings, API) as connection:

        def ask(text: str, town: str | None = None, limit: int = 10) -> list[dict[str, Any]]:
            found = find(lambda query, values: connection.execute(query, values).fetchall(), text, town, limit)
            assert found["numberReturned"] == len(found["features"]) <= limit
            scores = [each["properties"]["score"] for each in found["features"]]
            assert scores == sorted(scores, reverse=True)
            return [each["properties"] | {"hint": found.get("hint")} for each in found["features"]] or [found]

        yield ask


def labels(found: list[dict[str, Any]]) -> list[str]:
    return [each["label"] for each in found if "label" in each]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("42 church st new lonon", "42 Church Street, New London"),
        ("42 Church Street, New London", "42 Church Street, New London"),
        ("42 CHURCH ST., NEW LONDON, CT 06320", "42 Church Street, New London"),
        ("42 church street new london connecticut usa", "42 Church Street, New London"),
        ("42 chruch st new london", "42 Church Street, New London"),
        ("42 church new london", "42 Church Street, New London"),
        ("42 church av new london", "42 Church Street, New London"),
        ("42 church sst new london", "42 Church Street, New London"),
        ("42 church st norwhich", "42 Church Street, Norwich"),
        ("42 church st 06320", "42 Church Street, New London"),
        ("42 churchill rd new london", "42 Churchill Road, New London"),
        ("12a elm st new london", "12A Elm Street, New London"),
        ("12 elm st new london", "12 Elm Street, New London"),
        ("10 state st new london", "10 State Street, New London"),
        ("10 state st apt 3 new london", "10 State Street Unit 3, New London"),
        ("10 state st #3, new london", "10 State Street Unit 3, New London"),
        ("9 e main st new london", "9 East Main Street, New London"),
        ("9 main st e, new london", "9 East Main Street, New London"),
        ("5 obrien ln", "5 O'Brien Lane, New London"),
        ("5 O\u2019Brien Lane", "5 O'Brien Lane, New London"),
        ("3 new london tpke", "3 New London Turnpike, Avon"),
        ("3 New London Turnpike Avon", "3 New London Turnpike, Avon"),
        ("7 pequot ave new london", "7 Pequot Avenue, New London"),
        ("14 bank street new london", "12-16 Bank Street, New London"),
        ("30 main st stonington", "30 Main Street, Stonington"),
        ("30 main st mystic 06355", "30 Main Street, Stonington"),
        ("30 w main st noank", "30 West Main Street, Groton"),
    ],
)
def test_what_is_meant_comes_first(search: Find, text: str, label: str) -> None:
    assert labels(search(text))[0] == label


def test_an_exact_answer_has_everything_matched(search: Find) -> None:
    first, *_ = search("42 Church Street, New London, CT 06320")
    assert first["score"] == 1
    assert first["matched"] == ["number", "street", "town", "zip"]
    assert first["similar"] == first["unmatched"] == []


def test_other_towns_and_other_streets_come_after(search: Find) -> None:
    found = labels(search("42 church st new lonon"))
    here = [place for place in found if place.endswith("Church Street, New London")]
    there = ["42 Church Street, Groton", "42 Church Street, Norwich"]
    assert found[: len(here)] == here
    assert [place for place in found if place in there] == there
    assert found.index("42 Churchill Road, New London") > found.index(there[1])


def test_without_a_town_the_exact_matches_of_all_towns_come_by_name(search: Find) -> None:
    found = search("42 church st")
    assert labels(found)[:3] == [f"42 Church Street, {town}" for town in ("Groton", "New London", "Norwich")]
    assert {each["score"] for each in found[:3]} == {1}
    assert found[3]["score"] < 1


def test_a_number_that_is_not_there_gives_its_neighbours_and_says_so(search: Find) -> None:
    found = [each for each in search("44 church st new london") if each["town_name"] == "New London"]
    assert labels(found)[:2] == ["42 Church Street, New London", "46 Church Street, New London"]
    assert all(each["unmatched"] == ["number"] for each in found if "Church Street" in each["label"])
    assert sum("Church Street" in label for label in labels(found)) == 4


def test_the_own_side_of_the_street_comes_before_the_other(search: Find) -> None:
    found = labels(search("48 church st new london"))
    assert found.index("46 Church Street, New London") < found.index("47 Church Street, New London")


def test_a_parcel_is_shown_only_where_there_is_no_point(search: Find) -> None:
    kinds = {each["label"]: each["kind"] for each in search("42 church st new london")}
    assert kinds["42 Church Street, New London"] == "address"
    parcel, *_ = search("7 pequot avenue, new london")
    assert (parcel["kind"], parcel["collection"], parcel["parcel_id"]) == ("parcel", "parcels", "M-2")


def test_an_address_that_is_not_in_use_is_marked_and_comes_after_those_that_are(search: Find) -> None:
    found = [(each["town_name"], each.get("lifecycle")) for each in search("50 quarry street")[:3]]
    assert found == [("Norwich", None), ("Avon", "Proposed"), ("New London", "Retired")]
    expired, *_ = search("52 quarry street, new london")
    assert (expired["label"], expired["lifecycle"]) == ("52 Quarry Street, New London", "Retired")
    lot, *_ = search("54 quarry street, new london")
    assert (lot["kind"], lot.get("lifecycle")) == ("parcel", None)


def test_units_stand_behind_their_house(search: Find) -> None:
    house, *_ = search("10 state street new london")
    assert (house["label"], house["places"]) == ("10 State Street, New London", 6)
    found = search("10 state street unit 7 new london")
    assert found[0]["label"] == "10 State Street, New London"
    assert all(each["unmatched"] == ["unit"] for each in found)


def test_a_street_without_a_number_and_a_town_alone_are_answered_as_such(search: Find) -> None:
    street, *_ = search("church st new london")
    assert (street["kind"], street["label"], street["matched"]) == (
        "street",
        "Church Street, New London",
        ["street", "town"],
    )
    assert (search("New London")[0]["kind"], search("norwhich ct")[0]["label"]) == ("town", "Norwich")
    assert labels(search("mystic")) == ["Groton", "Stonington"]
    unknown, *_ = search("99 Xyzzy Street, New London")
    assert (unknown["kind"], unknown["unmatched"]) == ("town", ["number", "street"])


def test_a_village_is_read_as_its_towns(search: Find) -> None:
    found = search("30 main st mystic")
    assert labels(found)[:2] == ["30 Main Street, Groton", "30 Main Street, Stonington"]
    assert found[0]["score"] == found[1]["score"] == 1
    other = next(each for each in found if each["label"] == "30 West Main Street, Groton")
    assert "town" in other["similar"]


def test_a_town_that_is_given_counts(search: Find) -> None:
    assert labels(search("42 church st", town="norwhich"))[0] == "42 Church Street, Norwich"
    assert labels(search("42 church st new london", town="Groton"))[0] == "42 Church Street, Groton"
    with pytest.raises(BadArgument, match="no town, village or ZIP"):
        search("42 church st", town="Nowhere at all")


def test_what_is_no_address_gets_a_hint(search: Find) -> None:
    assert search("hello")[0]["hint"] == NOT_READ
    assert search("99 Xyzzy Boulevard")[0]["hint"] == NOT_FOUND


def test_words_that_are_left_over_are_said(search: Find) -> None:
    first, *_ = search("42 church st, second house behind the mill")
    assert first["label"].startswith("42 Church Street")
    assert first["unmatched"] == ["words"]


def test_wildcards_find_nothing_of_their_own(search: Find) -> None:
    assert not labels(search("42 %ch% st"))
    assert not labels(search("42 ______ st"))


@hypothesis_settings(max_examples=150)
@given(st.text(st.sampled_from(string.printable + "\u2019é½\x00#%_"), max_size=60), st.integers(1, MAX_LIMIT))
def test_any_text_is_answered_or_refused(search: Find, text: str, limit: int) -> None:
    try:
        search(f"42 {text}", limit=limit)
    except BadArgument:
        pytest.fail("a number is text enough")


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [("O'Brien", "OBRIEN"), ("Peña-Gómez  Jr.", "PENA GOMEZ JR"), (None, ""), ("St. Ronan\u2019s", "ST RONANS")],
)
def test_spellings_of_a_name_meet_in_its_key(spelling: str | None, expected: str) -> None:
    assert key(spelling) == expected


def test_a_route_has_one_name_whoever_maintains_it() -> None:
    assert {name_key(name) for name in ("State Route 32", "Route 32", "US Route 32", "Highway 32")} == {"ROUTE 32"}
    assert name_key("Route Hill") == "ROUTE HILL"


# ------------------------------------------------------------------------------------------- the index


def addresses(settings: Settings, text: str) -> list[str]:
    with connect(settings, API) as connection:
        found = find(lambda query, values: connection.execute(query, values).fetchall(), text)
    return [each["properties"]["label"] for each in found["features"]]


def test_a_publication_of_parcels_can_be_searched_at_once(settings: Settings, tmp_path: Path) -> None:
    found_alder(settings)
    fabric = alder()
    submit(settings, Request(write(fabric, tmp_path), "Alder", 2025), lambda message: None)
    assert addresses(settings, "5 main st alder")[0] == "5 Main Street, Alder"
    fabric.columns["Location"][4] = "5 WHARF RD"
    submit(settings, Request(write(fabric, tmp_path), "Alder", 2026), lambda message: None)
    assert addresses(settings, "5 wharf road alder")[0] == "5 Wharf Road, Alder"
    assert "5 Main Street, Alder" not in addresses(settings, "5 main st alder")


def test_only_what_is_not_up_to_date_is_made_anew(settings: Settings) -> None:
    load(settings, (Point("New London", 1, "Elm"),), (Lot("New London", "2 OAK ST"),))
    with connect(settings) as connection:
        assert list(refresh_all(connection, load_standard())) == []
        assert refresh(connection, load_standard(), "parcel", TOWNS["New London"]) is None


def test_a_street_that_nothing_stands_on_any_more_is_gone(settings: Settings) -> None:
    load(settings, (Point("New London", 1, "Elm"),), (Lot("New London", "2 OAK ST"),))
    with psycopg.connect(settings.require_database_url()) as connection:
        connection.execute("DELETE FROM addresses.address_point")
        connection.execute("UPDATE statewide.publication SET publication_id = gen_random_uuid()")
    with connect(settings) as connection:
        assert [places for _, _, places in refresh_all(connection, load_standard())] == [0, 1]
        assert connection.execute("SELECT street FROM addresses.street").fetchall() == [("Oak Street",)]
        assert connection.execute("SELECT * FROM addresses.community").fetchall() == []


def test_a_withheld_address_is_not_found_and_not_kept_in_the_index(settings: Settings) -> None:
    load(settings, (Point("New London", 1, "Elm"), Point("New London", 3, "Elm"), Point("New London", 8, "Hidden")), ())
    standard = load_standard()
    with connect(settings) as connection:
        town = find_town(connection, "New London")
        for address in ("3 Elm Street", "8 Hidden Street"):
            request = withhold(connection, standard, town, who="Ann Lee", basis="1-217", address=address)
    assert addresses(settings, "3 elm st new london") == ["1 Elm Street, New London"]
    assert addresses(settings, "8 hidden st new london") == ["New London"]
    with connect(settings, API) as connection:
        assert connection.execute("SELECT number FROM published.find_places").fetchall() == [(1,)]
        assert connection.execute("SELECT street FROM published.find_streets").fetchall() == [("Elm Street",)]
    with connect(settings) as connection:
        release(connection, standard, request.request_no, who="Ann Lee")
    assert addresses(settings, "8 hidden st new london") == ["8 Hidden Street, New London"]


def test_the_command_asks_with_the_rights_of_the_street(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    load(settings)
    monkeypatch.setenv("STATEWIDE_HOME", str(settings.home))
    monkeypatch.setenv("STATEWIDE_DATABASE_URL", settings.require_database_url())
    answer = CliRunner().invoke(app, ["find", "42 church st new lonon", "--limit", "2"])
    assert answer.exit_code == 0
    first, second = answer.stdout.splitlines()
    assert "42 Church Street, New London" in first
    assert "another number" in second
    answer = CliRunner().invoke(app, ["find", "42 church st", "--town", "Groton", "--json"])
    assert '"outcome": "ok"' in answer.stdout
    assert CliRunner().invoke(app, ["index"]).stdout == "All is up to date.\n"
