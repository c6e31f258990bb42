"""A withheld address is gone at once and everywhere, stays gone in later deliveries, and comes back when released."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from addresses.points import ADDRESSES, submit
from addresses.withholding import (
    Request,
    lapsed_requests,
    read_address,
    release,
    requests_in_force,
    settle_rollback,
    withhold,
)
from statewide.database import API, LOADER, RESTRICTED, connect
from statewide.ddl import shown_where
from statewide.errors import BadArgument
from statewide.export import export
from statewide.intake import Outcome
from statewide.intake import Request as Submission
from statewide.rollback import roll_back
from statewide.settings import Settings
from statewide.standard import load_standard
from statewide.versions import compare, find_version
from tests.address_towns import Points, addresses_of, alder_streets, write_points
from tests.towns import ALDER, found_alder

STANDARD = load_standard()
TABLE = STANDARD.table("address_point")

_LINE = ("Add_Number", "St_Name", "St_PosTyp")
Deliver = Callable[[Points], Outcome]


@pytest.fixture
def deliver(settings: Settings, tmp_path: Path) -> Deliver:
    """Deliver points of the invented town Alder; every delivery is accepted."""
    found_alder(settings)
    count = 0

    def go(points: Points) -> Outcome:
        nonlocal count
        count += 1
        file = write_points(points, tmp_path / f"delivery-{count}")
        outcome = submit(settings, Submission(file, "alder", 2025), lambda message: None)
        assert not outcome.refused, outcome.summary["blocked_by"]
        return outcome

    return go


@pytest.fixture
def town() -> Points:
    return addresses_of(alder_streets(4))


def asked(settings: Settings, **given: Any) -> Request:
    with connect(settings) as connection:
        return withhold(connection, STANDARD, ALDER, who="Ann Lee", **{"basis": "1-217", **given})


def ended(settings: Settings, request_no: int) -> None:
    with connect(settings) as connection:
        release(connection, STANDARD, request_no, who="Bea Ito")


def in_force(settings: Settings) -> list[Request]:
    with connect(settings) as connection:
        return requests_in_force(connection, ALDER)


def values(settings: Settings, query: str, role: str = LOADER) -> list[Any]:
    with connect(settings, role) as connection:
        return [row[0] for row in connection.execute(query.encode())]


def rows(settings: Settings, query: str) -> list[Any]:
    with connect(settings) as connection:
        return connection.execute(query.encode()).fetchall()


def shown(settings: Settings) -> set[str]:
    """Labels of what the street sees."""
    return set(values(settings, "SELECT address_label FROM published.addresses", API))


def test_a_request_takes_effect_at_once_and_a_release_brings_the_point_back(
    deliver: Deliver, settings: Settings, town: Points
) -> None:
    deliver(town)
    before = values(settings, "SELECT t::text FROM published.addresses AS t ORDER BY 1", API)
    request = asked(settings, address="12 main st")

    assert request.points == 1
    assert "12 Main Street" not in shown(settings)
    assert len(shown(settings)) == len(town) - 1

    ended(settings, request.request_no)
    assert values(settings, "SELECT t::text FROM published.addresses AS t ORDER BY 1", API) == before
    assert in_force(settings) == []


def test_a_request_before_the_delivery_is_applied_to_it(deliver: Deliver, settings: Settings, town: Points) -> None:
    found_alder(settings)
    assert asked(settings, address="12 Main Street").points == 0
    deliver(town)

    assert "12 Main Street" not in shown(settings)
    assert [request.points for request in in_force(settings)] == [1]


def test_it_is_applied_again_to_every_later_delivery(deliver: Deliver, settings: Settings, town: Points) -> None:
    deliver(town)
    asked(settings, address="12 Main Street")
    row = next(row for row in town.on_street("Main") if town.columns["Add_Number"][row] == 12)
    town.change(row, Placement="Parcel")
    deliver(town)
    assert "12 Main Street" not in shown(settings)

    # Another identifier, so that it is another point to the platform, twice.
    town.change(row, SITEADDID="7001", NGUID="urn:emergency:uid:gis:SSAP:7001:gis.alder.example")
    town.append(town.shapes[row], Add_Number=12, St_Name="Main", St_PosTyp="Street")
    deliver(town)
    assert "12 Main Street" not in shown(settings)


def test_it_follows_the_point_when_the_street_is_renumbered(deliver: Deliver, settings: Settings, town: Points) -> None:
    deliver(town)
    asked(settings, address="12 Main Street")
    town.renumber("Main", lambda number: number + 100)
    deliver(town)

    assert "112 Main Street" not in shown(settings)
    assert "114 Main Street" in shown(settings)


def test_a_point_that_comes_back_under_another_name_is_known_by_its_number(
    deliver: Deliver, settings: Settings, town: Points
) -> None:
    deliver(town)
    asked(settings, address="12 Main Street")
    row = next(row for row in town.on_street("Main") if town.columns["Add_Number"][row] == 12)
    gone = town.copy()
    gone.drop([row])
    deliver(gone)
    town.change(row, St_Name="Pond View")
    deliver(town)

    assert "12 Pond View Street" not in shown(settings)


@pytest.mark.parametrize("column", ["SITEADDID", "NGUID", "Parcel_ID"])
def test_a_point_can_be_meant_by_its_identifier(
    deliver: Deliver, settings: Settings, town: Points, column: str
) -> None:
    deliver(town)
    request = asked(settings, identifier=f" {town.columns[column][3]} ".lower(), basis="shelter")

    assert request.points == 1
    assert len(shown(settings)) == len(town) - 1


def test_an_address_takes_its_units_along_and_no_other_street(
    deliver: Deliver, settings: Settings, town: Points
) -> None:
    place = town.shapes[0]
    for unit in ("1", "2"):
        town.append(place, Add_Number=500, St_Name="Main", St_PosTyp="Street", UnitPreTyp="Apartment", UnitValue=unit)
    town.append(place, Add_Number=500, St_Name="Main", St_PosTyp="Street", St_PosDir="North")
    town.append(place, Add_Number=500, St_Name="Main", St_PosTyp="Street", St_PosMod="Extension")
    town.append(place, Add_Number=5000, St_Name="Main", St_PosTyp="Street")
    deliver(town)
    here = {label for label in shown(settings) if label.startswith("500")}
    assert len(here) == 5

    one = asked(settings, address="500 Main Street #2")
    assert here - shown(settings) == {"500 Main Street Apartment 2"}
    asked(settings, address="500 Main Street")
    assert shown(settings) & here == {"500 Main Street North", "500 Main Street Extension", "5000 Main Street"}

    # What two requests withhold comes back with the second.
    ended(settings, one.request_no)
    assert "500 Main Street Apartment 2" not in shown(settings)


def test_earlier_versions_exports_and_differences_do_not_show_it(
    deliver: Deliver, settings: Settings, town: Points, tmp_path: Path
) -> None:
    deliver(town)
    rows = [row for row in town.on_street("Main") if town.columns["Add_Number"][row] == 12]
    town.change(rows, Placement="Parcel")
    town.change(town.on_street("Elm")[0], Placement="Parcel")
    deliver(town)
    row = town.on_street("Main")[0]
    dropped = f"{town.columns['Add_Number'][row]} Main Street"
    town.drop([row])
    deliver(town)
    asked(settings, address="12 Main Street")
    asked(settings, address=dropped)

    def written(name: str, moment: dt.datetime | None) -> bytes:
        export(settings, STANDARD, TABLE, tmp_path / name, "csv", town=ALDER, moment=moment, say=lambda message: None)
        return (tmp_path / name).read_bytes()

    with connect(settings) as connection:
        moments = [find_version(connection, TABLE.name, ALDER, version) for version in ("1", "2", "3")]
        comparison = compare(connection, STANDARD, TABLE, ALDER, "address_label", moments[0], moments[2])
    files = [written("now.csv", None), *(written(f"{each.number}.csv", each.moment) for each in moments)]
    for text in files:
        assert b"14 Main Street" in text
        assert b",12 Main Street" not in text
        assert f",{dropped}".encode() not in text
    assert len({file.count(b"\n") for file in files}) == 1
    assert len(comparison.rows) == 1
    assert sum(comparison.kinds.values()) == 1


def test_a_rollback_does_not_bring_it_back(deliver: Deliver, settings: Settings, town: Points) -> None:
    deliver(town)
    row = next(row for row in town.on_street("Main") if town.columns["Add_Number"][row] == 12)
    town.drop([row])
    deliver(town)
    asked(settings, address="12 Main Street")
    roll_back(settings, (ADDRESSES,), settle_rollback, "alder", "1", None, lambda message: None)

    assert "12 Main Street" not in shown(settings)
    [request] = in_force(settings)
    assert request.points == 1
    assert values(settings, "SELECT rows_published FROM statewide.publication") == [len(shown(settings))]


def test_a_point_that_the_towns_own_file_flags_is_withheld_as_long_as_it_does(
    deliver: Deliver, settings: Settings, town: Points
) -> None:
    labels = [" ".join(map(str, row)) for row in zip(*(town.columns[name] for name in _LINE), strict=True)]
    town.columns["Suppressed"] = ["N"] * len(town)
    town.change(0, Suppressed="Y")
    town.change(1, Suppressed="perhaps")
    town.change(2, Suppressed=None)
    deliver(town)
    assert set(labels) - shown(settings) == {labels[0], labels[1]}

    town.change([0, 1], Placement="Parcel")
    town.change(1, Suppressed="no")
    town.change(5, Suppressed="Y")
    deliver(town)
    assert set(labels) - shown(settings) == {labels[0], labels[5]}

    # A file without the column says nothing of who is protected.
    del town.columns["Suppressed"]
    deliver(town)
    assert set(labels) - shown(settings) == {labels[0], labels[5]}
    [request] = in_force(settings)
    assert (request.basis, request.points) == ("delivered", 2)
    with pytest.raises(BadArgument):
        asked(settings, address="12 Main Street", basis="delivered")


def test_a_rollback_withholds_what_was_flagged_then(deliver: Deliver, settings: Settings, town: Points) -> None:
    town.columns["Suppressed"] = ["N"] * len(town)
    town.change(5, Suppressed="Y")
    first = deliver(town)
    before = shown(settings)
    town.change(5, Suppressed="N")
    town.change(6, Suppressed="Y", Placement="Parcel")
    deliver(town)
    flagged_now = before - shown(settings)
    assert len(flagged_now) == 1

    roll_back(settings, (ADDRESSES,), settle_rollback, "alder", "1", None, lambda message: None)
    assert shown(settings) == before - flagged_now
    del town.columns["Suppressed"]
    deliver(town)
    [(number,)] = rows(settings, "SELECT max(submission_no) FROM statewide.submission WHERE summary ? 'rollback_of'")
    roll_back(settings, (ADDRESSES,), settle_rollback, "alder", str(number), None, lambda message: None)
    assert shown(settings) == before - flagged_now
    assert first.summary["rows"]["published"] == len(before) + 1


def test_a_protected_row_that_is_held_withholds_what_stays_live_for_its_sake(
    deliver: Deliver, settings: Settings, town: Points
) -> None:
    town.columns["Suppressed"] = ["N"] * len(town)
    deliver(town)
    before = shown(settings)
    town.change(5, Suppressed="Y")
    town.shapes[5] = None  # it has no place now, so it is held, and its old version stays live
    outcome = deliver(town)
    assert outcome.summary["rows"]["kept_live"] == 1
    assert len(before - shown(settings)) == 1


def test_a_rollback_to_a_file_that_was_sent_twice_withholds_what_it_flags(
    settings: Settings, deliver: Deliver, town: Points, tmp_path: Path
) -> None:
    town.columns["Suppressed"] = ["N"] * len(town)
    town.change(5, Suppressed="Y")
    file = write_points(town, tmp_path / "twice")
    for _ in range(2):
        outcome = submit(settings, Submission(file, "alder", 2025), lambda message: None)
    assert "same_as" in outcome.summary
    before = shown(settings)
    town.change(5, Suppressed="N")
    deliver(town)
    assert len(shown(settings)) == len(town)

    roll_back(settings, (ADDRESSES,), settle_rollback, "alder", "2", None, lambda message: None)
    assert shown(settings) == before


@pytest.mark.parametrize("kept", ["number", "address"])
def test_a_flagged_point_that_comes_back_in_a_file_without_flags_stays_withheld(
    deliver: Deliver, settings: Settings, town: Points, kept: str
) -> None:
    town.columns["Suppressed"] = ["N"] * len(town)
    town.change(5, Suppressed="Y")
    deliver(town)
    without = town.copy()
    without.drop([5])
    deliver(without)
    del town.columns["Suppressed"]
    town.change(5, **({"St_Name": "Pond View"} if kept == "number" else {"SITEADDID": "7001", "NGUID": None}))
    deliver(town)

    assert len(shown(settings)) == len(town) - 1
    # The town says of all of them that they are open.
    town.columns["Suppressed"] = ["N"] * len(town)
    deliver(town)
    assert len(shown(settings)) == len(town)
    asked(settings, address="12 Main Street")
    del town.columns["Suppressed"]
    deliver(town)
    assert len(shown(settings)) == len(town) - 1


def test_a_flag_that_changes_alone_renews_the_publication_and_the_search(
    deliver: Deliver, settings: Settings, town: Points
) -> None:
    published = "SELECT publication_id, rows_published FROM statewide.publication"
    town.columns["Suppressed"] = ["N"] * len(town)
    deliver(town)
    places = len(values(settings, "SELECT 1 FROM published.find_places", API))
    ids = set()
    for said, count in (("Y", len(town) - 1), ("N", len(town))):
        town.change(5, Suppressed=said)
        assert deliver(town).summary["outcome"] == "unchanged"
        [(publication, counted)] = rows(settings, published)
        ids.add(publication)
        assert counted == count
        assert len(values(settings, "SELECT 1 FROM published.find_places", API)) == places - len(town) + count
    assert len(ids) == 2


def test_the_same_file_sent_again_keeps_the_count_of_what_is_shown(
    settings: Settings, town: Points, tmp_path: Path
) -> None:
    found_alder(settings)
    asked(settings, address="12 Main Street")
    file = write_points(town, tmp_path / "delivery")
    outcomes = [submit(settings, Submission(file, "alder", 2025), lambda message: None) for _ in range(3)]

    assert "same_as" in outcomes[-1].summary
    assert values(settings, "SELECT rows_published FROM statewide.publication") == [len(town) - 1]


_SAME: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("514 North Street", {"St_Name": "North", "UnitValue": "North"}, ()),
    ("500 Main St Apt 2B", {"UnitPreTyp": "Apartment", "UnitValue": "2-B"}, ("2C", "12B")),
    ("502 Main St Apt 2", {"UnitPreTyp": "Apartment", "UnitValue": "02"}, ("20",)),
    ("504 Main St Unit 1A", {"UnitPreTyp": "Unit", "UnitValue": "1-A"}, ("2-A", "A")),
    ("506 Main St Unit 1-A", {"UnitPreTyp": "Unit", "UnitValue": "1-A"}, ("2-A", "A")),
    ("508 Main St Unit 2-B", {"Unit": "2 B"}, ("3-B",)),
    ("510 St Mary Street", {"St_Name": "Saint Mary"}, ()),
    ("512 Saint Mary St", {"St_Name": "St Mary"}, ()),
    ("516 First Street", {"St_Name": "1st"}, ()),
    ("518 1st St", {"St_Name": "First"}, ()),
    ("520 Main Street", {"St_PosTyp": None}, ()),
    ("522 Main Street", {"AddNum_Cmp": "522-526"}, ()),
    ("534 Main Street", {"Add_Number": 530, "AddNum_Cmp": "530-534"}, ()),
    ("536-538 Main Street", {"Add_Number": 538}, ()),
    ("540 Main Street", {"AddNum_Pre": "N"}, ()),
    ("542 State Route 12", {"St_Name": "Route 12", "St_PosTyp": None}, ()),
    ("544 Route 12", {"St_PreTyp": "State Route", "St_Name": "12", "St_PosTyp": None}, ()),
    ("546 N Main Street", {"St_PreDir": "North"}, ()),
    ("548 Black Hall Road", {"St_Name": "Blackhall", "St_PosTyp": "Road"}, ()),
]


def test_the_same_address_in_other_words_is_meant_and_its_neighbours_are_not(
    deliver: Deliver, settings: Settings, town: Points
) -> None:
    wanted = {}
    for typed, point, others in _SAME:
        whole = {"Add_Number": int(typed[:3]), "St_Name": "Main", "St_PosTyp": "Street"} | point
        town.append(town.shapes[0], **whole)
        wanted[typed] = [town.columns["SITEADDID"][-1]]
        for unit in others:
            town.append(town.shapes[0], **(whole | {"UnitValue": unit, "Unit": None, "UnitPreTyp": "Unit"}))
        for more in ({"AddNum_Suf": "C"}, {"St_PosTyp": "Avenue"}, {"St_Name": "Other"}, {"St_PreDir": "West"}):
            if more.keys() & point.keys() == set():
                town.append(town.shapes[0], **(whole | more))
    town.append(town.shapes[0], Add_Number=550, St_Name="Main", St_PosTyp="Street")
    wanted["550 Main"] = [town.columns["SITEADDID"][-1]]
    deliver(town)

    numbers = {asked(settings, address=typed).request_no: typed for typed in wanted}
    found: dict[str, list[str]] = {typed: [] for typed in wanted}
    for number, local_id in rows(
        settings,
        "SELECT request_no, local_id FROM confidential.withheld_point JOIN addresses.address_point USING (address_uid)",
    ):
        found[numbers[number]].append(local_id)
    assert found == wanted


def test_an_identifier_may_be_spelled_otherwise(deliver: Deliver, settings: Settings, town: Points) -> None:
    town.columns["Parcel_ID"][3] = "7-12-3"
    deliver(town)
    [uid] = values(settings, "SELECT address_uid FROM addresses.address_point WHERE parcel_id = '7-12-3'")
    for spelled in ("7-12-3", " 07-12-3", "7/12/3", f"{{{str(uid).upper()}}}"):
        assert asked(settings, identifier=spelled).points == 1, spelled


def test_counts_do_not_tell_that_something_is_withheld(deliver: Deliver, settings: Settings, town: Points) -> None:
    deliver(town)
    [before] = values(settings, "SELECT publication_id FROM statewide.publication")
    request = asked(settings, address="12 Main Street")
    assert values(settings, "SELECT rows_published FROM statewide.publication") == [len(town) - 1]
    assert values(settings, "SELECT publication_id FROM statewide.publication") != [before]

    town.change(0, Placement="Parcel")
    deliver(town)
    assert values(settings, "SELECT rows_published FROM statewide.publication") == [len(town) - 1]
    ended(settings, request.request_no)
    assert values(settings, "SELECT rows_published FROM statewide.publication") == [len(town)]


def test_what_was_done_is_written_down_without_the_address(deliver: Deliver, settings: Settings, town: Points) -> None:
    deliver(town)
    request = asked(settings, address="12 Main Street", reason="letter of May 3")
    deliver(town)
    ended(settings, request.request_no)

    with connect(settings) as connection:
        log = connection.execute(
            "SELECT action, request_no, who, reason, points FROM confidential.withheld_log ORDER BY log_no"
        ).fetchall()
        whole = str(connection.execute("SELECT l::text FROM confidential.withheld_log AS l").fetchall())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM confidential.withheld_log")
        connection.rollback()
    assert log == [
        ("withheld", request.request_no, "Ann Lee", "letter of May 3", 1),
        ("applied", None, "publication", None, 1),
        ("released", request.request_no, "Bea Ito", None, 1),
    ]
    assert "MAIN" not in whole.upper()


def test_what_is_said_of_a_withheld_row_is_withheld_with_it() -> None:
    """Tables of links and hazards by address: once they are published, their views leave the same points out."""
    about = [table for table in STANDARD.tables.values() if any(f.name == TABLE.key for f in table.base_fields)]
    assert len(about) > 1
    for table in about:
        assert "confidential.withheld_point" in shown_where(STANDARD, table), table.name
    assert shown_where(STANDARD, STANDARD.table("parcel")) == ""


@pytest.mark.parametrize("role", [API, RESTRICTED])
@pytest.mark.parametrize("table", ["withheld_request", "withheld_point", "withheld_log", "flagged_point"])
def test_only_the_loader_reads_who_is_withheld(settings: Settings, role: str, table: str) -> None:
    with connect(settings, role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"SELECT 1 FROM confidential.{table}".encode())


def test_a_request_stays_in_force_after_its_last_day_until_it_is_released(
    deliver: Deliver, settings: Settings, town: Points
) -> None:
    deliver(town)
    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=2)
    past = asked(settings, address="12 Main Street", until=yesterday)
    asked(settings, address="14 Main Street", until=yesterday + dt.timedelta(days=30))

    assert [request.lapsed for request in in_force(settings)] == [True, False]
    assert "12 Main Street" not in shown(settings)
    with connect(settings) as connection:
        assert lapsed_requests(connection) == [past.request_no]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "either --address or --id"),
        ({"address": "12 Main Street", "identifier": "7"}, "either --address or --id"),
        ({"address": "Main Street"}, "cannot be read"),
        ({"address": "nowhere at all"}, "cannot be read"),
        ({"address": "12 Main Street", "basis": "because"}, "1-217, acp, shelter"),
        ({"identifier": "  "}, "either --address or --id"),
        ({"identifier": "{}"}, "either --address or --id"),
        ({"address": "12 Main\udcff Street"}, "type it again"),
        ({"identifier": "x\0"}, "type it again"),
        ({"address": "12 Main Street", "reason": "a\udcff"}, "type it again"),
    ],
)
def test_a_request_that_says_nothing_is_refused_in_a_sentence(
    settings: Settings, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadArgument, match=sentence) as refusal:
        asked(settings, **given)
    assert "Main" not in str(refusal.value)
    with pytest.raises(BadArgument, match="No request 7"):
        ended(settings, 7)


@pytest.mark.parametrize(
    ("typed", "address", "unit"),
    [
        ("36 blinman st", "36 BLINMAN STREET", None),
        ("36 Blinman Street Apt 2B", "36 BLINMAN STREET", "2B"),
        ("36 Blinman St #1", "36 BLINMAN STREET", "1"),
        ("36 Blinman St Unit 1-A", "36 BLINMAN STREET", "1-A"),
        ("36A Blinman St", "36A BLINMAN STREET", None),
        ("36 Blinman St Rear", "36 BLINMAN STREET", "REAR"),
        ("12 N Main St", "12 NORTH MAIN STREET", None),
    ],
)
def test_a_typed_address_is_read_as_the_towns_are(typed: str, address: str, unit: str | None) -> None:
    assert read_address(STANDARD, typed) == (address, unit)


@pytest.fixture
def command(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs `withhold` or `release` in the test's installation; gives what it prints."""
    from typer.testing import CliRunner

    from addresses.privacy_commands import app

    monkeypatch.setenv("STATEWIDE_HOME", str(settings.home))
    monkeypatch.setenv("STATEWIDE_DATABASE_URL", settings.require_database_url())

    def run(*words: str) -> str:
        capsys.readouterr()
        outcome = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert outcome.exit_code == 0, outcome.output
        return outcome.output or capsys.readouterr().out

    return run


def test_the_commands_withhold_list_and_release(deliver: Deliver, town: Points, command: Callable[..., str]) -> None:
    deliver(town)

    def run(*words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(command(*words, "--json"))
        return found

    done = run("withhold", "--town", "alder", "--address", "12 Main St", "--basis", "acp", "--who", "Ann Lee")
    assert (done["points"], done["behind"]) == (1, {})
    [listed] = run("withhold", "--town", "alder", "--list")["requests"]
    assert (listed["address_normalized"], listed["basis"], listed["recorded_by"]) == (
        "12 MAIN STREET",
        "acp",
        "Ann Lee",
    )
    assert run("release", "--lapsed", "--who", "Ann Lee")["released"] == []
    assert run("release", str(done["request_no"]), "--who", "Ann Lee")["released"] == [done["request_no"]]
    assert run("withhold", "--town", "alder", "--list")["requests"] == []


def test_who_asks_for_an_address_that_is_not_there_is_told_the_nearest(
    deliver: Deliver, settings: Settings, town: Points, command: Callable[..., str]
) -> None:
    deliver(town)
    asked(settings, address="12 Main Street")

    def told(address: str) -> str:
        return command("withhold", "--town", "alder", "--address", address, "--basis", "acp", "--who", "Ann Lee")

    for typed in ("12A Main Street", "13 Mian Street"):
        text = told(typed)
        assert "14 Main Street" in text
        assert "12 Main Street" not in text
    assert "Shown on that street" not in told("14 Main Street")
