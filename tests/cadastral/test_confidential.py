"""Who is protected cannot be told from what is published, and persons are released to nobody unless that is known."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from cadastral.confidential import Suppression, keep_confidential, read_suppression
from statewide.copying import UUID
from statewide.crosswalk import Crosswalk, propose
from statewide.database import API, RESTRICTED, connect, role_url
from statewide.settings import Settings
from statewide.standard import load_standard
from tests.cama import identified, records

STANDARD = load_standard()
ASSESSMENT = STANDARD.table("assessment")


def crosswalk_of(source: pa.Table) -> Crosswalk:
    return propose(STANDARD, ASSESSMENT, source.drop_columns(["row_no"]))


def suppression(*words: Any, column: str = "Suppressed") -> Suppression:
    """What is read of a column with these words."""
    source = records(*({"Suppressed": None} for _ in words)).drop_columns(["Suppressed"])
    source = source.append_column(column, pa.array(words))
    return read_suppression(source, crosswalk_of(source), STANDARD)


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (("Y", "N", "y"), [True, False, True]),
        (("1.0", "0.0"), [True, False]),
        ((1, 0), [True, False]),
        ((True, False), [True, False]),
        (("CGS 1-217", None, ""), [True, False, False]),  # says yes in words and never no
        (("No", "no"), [False, False]),
    ],
)
def test_a_flag_is_read(words: tuple[Any, ...], flags: list[bool]) -> None:
    read = suppression(*words)
    assert read.flags is not None
    assert read.flags.tolist() == flags


@pytest.mark.parametrize(
    "words",
    [("Y", "N", "perhaps"), ("Y", "N", None), ("N", None), (None, None), ("", " ")],
    ids=["a word that nobody knows", "empty beside yes and no", "empty beside no", "all empty", "blanks"],
)
def test_what_is_not_understood_protects_everybody(words: tuple[Any, ...]) -> None:
    assert suppression(*words).flags is None


def test_a_file_without_the_column_protects_everybody_and_says_so() -> None:
    _, log = identified(records({}, {}).drop_columns(["Suppressed"]))
    assert log.counts() == {"SUPPRESSION_UNKNOWN": 1}


def test_two_columns_protect_whom_either_names() -> None:
    source = records({"Suppressed": "Y", "Safe_at_Home": "N"}, {"Safe_at_Home": "Y"}, {"Safe_at_Home": "N"})
    read = read_suppression(source, crosswalk_of(source), STANDARD)
    assert read.flags is not None
    assert read.flags.tolist() == [True, True, False]


@pytest.mark.parametrize(
    "column",
    [
        "Suppress",
        "SUPPRESSION",
        "Confidential",
        "CGS_1_217",
        "CGS 1-217 Flag",
        "FOIA1217",
        "Redacted_YN",
        "Safe at Home",
        "Address_Confidentiality",
    ],
)
def test_the_column_is_known_by_many_names(column: str) -> None:
    assert suppression("Y", "N", column=column).flags is not None


def test_flagged_and_unflagged_rows_are_the_same_to_the_last_byte() -> None:
    twins = [{"Link": "9", "PID": None, "Location": "9 ELM ST", "Suppressed": word} for word in ("Y", "N")]
    rows = [*twins, *({} for _ in range(20))]
    table, log = identified(records(*rows))
    first, second = (table.slice(place, 1).drop_columns(["row_no"]).to_pylist()[0] for place in (0, 1))
    assert {first.pop("record_role"), second.pop("record_role")} == {"single", "duplicate"}
    assert first == second
    # The same file with the flags exchanged, or without anyone flagged, is published alike.
    for words in (("N", "Y"), ("N", "N")):
        rows[:2] = [twin | {"Suppressed": word} for twin, word in zip(twins, words, strict=True)]
        assert identified(records(*rows))[0].equals(table)
    assert "SUPPRESSION_SHOWS" not in log.counts()
    assert "suppress" not in " ".join(table.column_names).casefold()


@pytest.mark.parametrize(
    ("on_protected", "column"),
    [
        ({"Location": None}, "Location"),
        ({"Location": "CONFIDENTIAL"}, "Location"),
        ({"Location": "NOT FOR DISPLAY"}, "Location"),
        ({"Sale_Price": "100000"}, "Sale_Price"),
        ({"Zone": "Redacted per CGS 1-217"}, "Zone"),
    ],
)
def test_a_column_that_tells_protected_rows_is_emptied_in_all(on_protected: dict[str, Any], column: str) -> None:
    protected = [{"Suppressed": "Y"} | on_protected] * 4
    table, log = identified(records(*protected, *({} for _ in range(60))))
    (finding,) = [finding for finding in log.findings if finding.code == "SUPPRESSION_SHOWS"]
    assert (finding.column, finding.row_no) == (column, None)
    field = {"Location": "location", "Sale_Price": "sale_price_usd", "Zone": "zone"}[column]
    assert table.column(field).null_count == len(table)


def test_chance_does_not_empty_a_column() -> None:
    rows: list[dict[str, Any]] = [{"Suppressed": "Y"}, {"Suppressed": "Y", "Location": None}]
    rows += [{"Location": None}, {"Location": None}, *({} for _ in range(60))]
    table, log = identified(records(*rows))
    assert "SUPPRESSION_SHOWS" not in log.counts()
    assert table.column("location").null_count == 3


def test_three_protected_flats_of_one_house_do_not_empty_its_number() -> None:
    flats = [{"Suppressed": "Y", "Link": "7", "Location": "7 ELM ST"}] * 3
    table, log = identified(records(*flats, *({} for _ in range(60))))
    assert "SUPPRESSION_SHOWS" not in log.counts()
    assert table.column("cama_link_normalized").null_count == 0


def test_a_link_that_is_blank_on_protected_rows_is_emptied_in_all() -> None:
    blank = [{"Suppressed": "Y", "Link": None}] * 3
    table, log = identified(records(*blank, *({} for _ in range(60))))
    assert table.column("cama_link_normalized").null_count == len(table)
    assert "SUPPRESSION_SHOWS" in log.counts()


def test_a_word_that_tells_counts_without_a_flag_column_too() -> None:
    source = records({"Location": "Safe at Home program"}, {}, {}).drop_columns(["Suppressed"])
    assert identified(source)[1].counts() == {"PROTECTION_SHOWS": 1, "SUPPRESSION_SHOWS": 1, "SUPPRESSION_UNKNOWN": 1}


# ── kept apart ───────────────────────────────────────────────────────────────────────────────────────────────────────

SOURCE = records(
    {"Owner": "CANARY ONE", "Mailing_Address": "1 CANARY LANE", "Suppressed": "Y"},
    {"Owner": " CANARY TWO ", "Owner_2": "", "Mail_City": "Canaan", "Suppressed": "N"},
)
UIDS = pa.array([uuid.uuid4().bytes for _ in range(2)], UUID)


def keep(settings: Settings, source: pa.Table = SOURCE, *, persons: bool = True) -> None:
    crosswalk = crosswalk_of(source)
    read = read_suppression(source, crosswalk, STANDARD)
    with connect(settings) as connection:
        keep_confidential(connection, STANDARD, "99901", UIDS, source, crosswalk, read, keep_persons=persons)


def rows(settings: Settings, query: str, role: str = "statewide_loader") -> list[tuple[Any, ...]]:
    with psycopg.connect(role_url(settings, role)) as connection:
        return connection.execute(query.encode()).fetchall()


def test_persons_are_kept_only_where_the_deployment_says_so(settings: Settings) -> None:
    keep(settings, persons=False)
    assert rows(settings, "SELECT * FROM confidential.assessment_person") == []
    keep(settings)
    assert rows(
        settings, "SELECT owner, mailing_address, mailing_city FROM confidential.assessment_person ORDER BY 1"
    ) == [
        ("CANARY ONE", "1 CANARY LANE", None),
        ("CANARY TWO", None, "Canaan"),
    ]
    keep(settings, persons=False)
    assert rows(settings, "SELECT * FROM confidential.assessment_person") == []


def test_the_keyed_role_sees_only_who_is_known_not_to_be_protected(settings: Settings) -> None:
    keep(settings)
    owners = "SELECT owner FROM restricted.assessment_persons"
    assert rows(settings, owners, RESTRICTED) == [("CANARY TWO",)]
    keep(settings, SOURCE.drop_columns(["Suppressed"]))
    assert rows(settings, owners, RESTRICTED) == []
    keep(settings)
    assert rows(settings, owners, RESTRICTED) == [("CANARY TWO",)]


@pytest.mark.parametrize(
    ("role", "table"),
    [
        (API, "confidential.assessment_person"),
        (API, "confidential.assessment_suppression"),
        (API, "restricted.assessment_persons"),
        (RESTRICTED, "confidential.assessment_person"),
        (RESTRICTED, "confidential.assessment_suppression"),
    ],
)
def test_nobody_else_reads_them(settings: Settings, role: str, table: str) -> None:
    keep(settings)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(settings, f"SELECT * FROM {table}", role)


def test_only_what_differs_is_written(settings: Settings) -> None:
    keep(settings)
    before = rows(settings, "SELECT xmin::text FROM confidential.assessment_person ORDER BY assessment_uid")
    keep(settings)
    assert rows(settings, "SELECT xmin::text FROM confidential.assessment_person ORDER BY assessment_uid") == before


def test_the_table_has_the_columns_that_the_law_keeps(settings: Settings) -> None:
    query = "SELECT column_name FROM information_schema.columns WHERE table_name = 'assessment_person'"
    kept = {column.name for column in STANDARD.header.withheld if column.kept}
    assert {name for (name,) in rows(settings, query)} == kept | {"assessment_uid", "cousub_fips"}
