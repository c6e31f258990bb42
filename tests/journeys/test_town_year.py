"""A town's year: first load, the same again, a better file, a broken one, a split, a withdrawn parcel."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import shapely
from psycopg.rows import dict_row

from cadastral.meeting import submit
from cadastral.parcels import PARCELS
from statewide.database import OWNER, connect
from statewide.errors import BadArgument, DatabaseBusy, StorageFull, UnknownTown, UnreadableDelivery
from statewide.intake import Outcome, Request
from statewide.migrate import initialise
from statewide.register import find_town
from statewide.replace import begin_for_town, lock_town, transaction_time
from statewide.rollback import roll_back
from statewide.settings import Settings
from statewide.standard import load_standard
from statewide.versions import published_as_of
from tests.towns import ALDER, LOT, SOUTH, WEST, alder, append_lot, write

Submit = Callable[..., Outcome]


def live(
    settings: Settings, query: str = "SELECT * FROM published.parcels ORDER BY parcel_id, parcel_uid"
) -> list[dict[str, Any]]:
    with connect(settings) as connection:
        return connection.cursor(row_factory=dict_row).execute(query.encode()).fetchall()


def test_a_first_delivery_is_published_row_for_row(deliver: Submit, settings: Settings) -> None:
    outcome = deliver(alder())
    assert outcome.summary["outcome"] == "published"
    assert outcome.summary["rows"] == {
        "read": 64,
        "published": 64,
        "held": 0,
        "ignored": 0,
        "added": 64,
        "changed": 0,
        "removed": 0,
        "unchanged": 0,
        "within_tolerance": 0,
        "kept_live": 0,
        "followed": 0,
    }
    rows = live(settings)
    assert len(rows) == 64
    assert {row["town_name"] for row in rows} == {"Alder"}
    assert rows[0]["area_sqft"] == pytest.approx(LOT * LOT, abs=1e-6)
    assert rows[0]["cama_link"] == f"{ALDER.cousub_fips}-1-1"


@pytest.mark.parametrize(
    ("kind", "epsg"),
    [("shapefile", 2234), ("filegdb", 6434), ("geojson", 4326), ("geopackage", 26956), ("geopackage", 3857)],
)
def test_the_same_parcels_in_any_format_and_system_write_nothing_new(
    deliver: Submit, settings: Settings, kind: str, epsg: int
) -> None:
    deliver(alder())
    before = live(settings)
    outcome = deliver(alder(), kind=kind, epsg=epsg)
    assert outcome.summary["outcome"] == "unchanged"
    assert outcome.summary["rows"]["unchanged"] == 64
    assert live(settings) == before
    assert live(settings, "SELECT * FROM cadastral.parcel_history") == []


def test_a_missing_prj_is_inferred_and_labelled_assumed(deliver: Submit) -> None:
    outcome = deliver(alder(), kind="shapefile", epsg=None)
    assert outcome.summary["outcome"] == "published"
    assert (outcome.summary["crs"]["epsg"], outcome.summary["crs"]["how"]) == (2234, "assumed")
    assert 6434 in outcome.summary["crs"]["alternatives"]
    assert outcome.summary["findings"]["CRS_ASSUMED"] == 1


def test_only_rows_that_differ_are_written_and_keep_their_identifier(deliver: Submit, settings: Settings) -> None:
    deliver(alder())
    before = {row["parcel_id"]: row for row in live(settings)}
    better = alder()
    better.columns["Location"][5] = "6 MAIN STREET REAR"
    outcome = deliver(better)
    assert {key: outcome.summary["rows"][key] for key in ("added", "changed", "removed", "unchanged")} == {
        "added": 0,
        "changed": 1,
        "removed": 0,
        "unchanged": 63,
    }
    after = {row["parcel_id"]: row for row in live(settings)}
    assert after["1-6"]["location"] == "6 MAIN STREET REAR"
    assert after["1-6"]["parcel_uid"] == before["1-6"]["parcel_uid"]
    assert {number for number in after if after[number] != before[number]} == {"1-6"}
    (ended,) = live(settings, "SELECT parcel_uid, location, valid_from, valid_to FROM cadastral.parcel_history")
    assert (ended["parcel_uid"], ended["location"]) == (before["1-6"]["parcel_uid"], "6 MAIN ST")
    assert ended["valid_to"] == after["1-6"]["valid_from"]


def test_a_renumbered_parcel_is_known_by_its_shape(deliver: Submit, settings: Settings) -> None:
    deliver(alder())
    before = {row["parcel_id"]: row["parcel_uid"] for row in live(settings)}
    renumbered = alder()
    for column in ("Parcel_ID", "Link"):
        renumbered.columns[column][0] = "900-1"
    renumbered.columns["CAMA_Link"][0] = f"{ALDER.cousub_fips}-900-1"
    assert deliver(renumbered).summary["rows"]["changed"] == 1
    assert {row["parcel_id"]: row["parcel_uid"] for row in live(settings)}["900-1"] == before["1-1"]


def test_a_withdrawn_parcel_goes_to_history_and_a_split_adds_one(deliver: Submit, settings: Settings) -> None:
    deliver(alder())
    changed = alder()
    changed.drop([63])
    half = shapely.box(WEST, SOUTH, WEST + LOT / 2, SOUTH + LOT)
    changed.shapes[0] = half
    changed.columns["Shape_Area"][0] = half.area
    append_lot(changed, "1-1A", shapely.box(WEST + LOT / 2, SOUTH, WEST + LOT, SOUTH + LOT), Location="1A MAIN ST")
    rows = deliver(changed).summary["rows"]
    assert {key: rows[key] for key in ("added", "changed", "removed", "unchanged")} == {
        "added": 1,
        "changed": 1,
        "removed": 1,
        "unchanged": 62,
    }
    assert len(live(settings, "SELECT * FROM cadastral.parcel_history")) == 2


def test_a_worse_file_never_replaces_a_better_one(deliver: Submit, settings: Settings) -> None:
    deliver(alder())
    before = live(settings)
    half = alder(rows=4)
    outcome = deliver(half)
    assert outcome.refused
    assert set(outcome.summary["blocked_by"]) == {"COUNT_DROP", "AREA_DROP"}
    assert live(settings) == before
    assert outcome.summary["rows"]["published"] == 0
    assert outcome.summary["rows"]["held"] == outcome.summary["rows"]["read"] == 32


def test_a_block_can_be_accepted_with_a_reason_that_is_kept(deliver: Submit, settings: Settings) -> None:
    deliver(alder())
    reasons = {"COUNT_DROP": "the east half went to Birch", "AREA_DROP": "the east half went to Birch"}
    outcome = deliver(alder(rows=4), accept=reasons)
    assert outcome.summary["outcome"] == "published"
    assert outcome.summary["rows"]["removed"] == 32
    kept = live(settings, "SELECT accepted FROM statewide.submission ORDER BY submission_no DESC LIMIT 1")
    assert kept[0]["accepted"] == reasons


def test_accepting_what_does_not_block_is_refused(deliver: Submit) -> None:
    with pytest.raises(BadArgument, match="no check called"):
        deliver(alder(), accept={"NONSENSE": "because"})
    with pytest.raises(BadArgument, match="cannot be accepted"):
        deliver(alder(), accept={"GEOMETRY_MISSING": "because"})
    with pytest.raises(BadArgument, match="cannot be accepted"):
        deliver(alder(), accept={"CRS_UNKNOWN": "it would leave the town without parcels"})


def test_another_towns_file_is_refused(deliver: Submit) -> None:
    far = alder()
    far.shapes = [shapely.transform(shape, lambda xy: xy + 100_000) for shape in far.shapes]
    outcome = deliver(far)
    assert outcome.summary["blocked_by"] == ["WRONG_PLACE"]


def test_a_file_that_lies_about_its_system_is_refused_with_the_right_one_named(
    deliver: Submit, settings: Settings, tmp_path: Path
) -> None:
    feet = write(alder(), tmp_path / "feet", kind="shapefile", epsg=2234)
    metres = write(alder(), tmp_path / "metres", kind="shapefile", epsg=26956)
    lying = tmp_path / "lying.zip"
    import zipfile

    with zipfile.ZipFile(feet) as good, zipfile.ZipFile(metres) as other, zipfile.ZipFile(lying, "w") as bad:
        for name in good.namelist():
            bad.writestr(name, (other if name.endswith(".prj") else good).read(name))
    outcome = submit(settings, Request(lying, "Alder", 2025), lambda message: None)
    assert outcome.summary["blocked_by"] == ["WRONG_PLACE"]
    (finding,) = [finding for finding in outcome.log.findings if finding.code == "WRONG_PLACE"]
    assert "EPSG:2234" in finding.sentence


def test_bad_rows_are_held_whole_and_the_rest_is_published(deliver: Submit, settings: Settings) -> None:
    dirty = alder()
    dirty.shapes[0] = None
    x, y = WEST + LOT, SOUTH
    dirty.shapes[1] = shapely.Polygon([(x, y), (x + LOT, y + LOT), (x + LOT, y), (x, y + LOT)])
    dirty.columns["Town_Name"][2] = "Andover"
    dirty.columns["Location"][3] = "<Null>"
    outcome = deliver(dirty)
    summary = outcome.summary
    assert summary["outcome"] == "published"
    assert (
        summary["rows"]["read"] == summary["rows"]["published"] + summary["rows"]["held"] + summary["rows"]["ignored"]
    )
    held = live(settings, "SELECT row_no, reasons, attributes FROM statewide.held_row ORDER BY row_no")
    assert [(row["row_no"], row["reasons"]) for row in held] == [
        (1, ["GEOMETRY_MISSING"]),
        (2, ["GEOMETRY_REPAIR_LARGE"]),
        (3, ["TOWN_MISMATCH"]),
    ]
    assert held[0]["attributes"]["Location"] == "1 MAIN ST"
    assert summary["findings"]["PLACEHOLDER_TEXT"] == 1
    area = summary["area_sqft"]
    assert area["read"] == pytest.approx(area["published"] + area["held"] + area["repaired"], abs=0.01)


def test_a_repair_is_recorded_with_the_area_it_moved(deliver: Submit) -> None:
    nicked = alder()
    x, y = WEST, SOUTH
    # A spike of 2 × 2 ft that crosses itself at the first corner.
    nicked.shapes[0] = shapely.Polygon(
        [(x, y), (x + LOT, y), (x + LOT, y + LOT), (x, y + LOT), (x + 2, y - 2), (x - 2, y - 2)]
    )
    outcome = deliver(nicked)
    assert outcome.summary["outcome"] == "published"
    (finding,) = [finding for finding in outcome.log.findings if finding.code == "GEOMETRY_REPAIRED"]
    assert finding.row_no == 1
    area = outcome.summary["area_sqft"]
    assert area["repaired"] != 0
    assert area["read"] == pytest.approx(area["published"] + area["held"] + area["repaired"], abs=0.01)


def test_condominium_units_on_one_shape_are_counted_as_a_stack(deliver: Submit, settings: Settings) -> None:
    stacked = alder()
    for unit in range(2, 5):
        stacked.append(
            stacked.shapes[0],
            Location=f"1 MAIN ST #{unit}",
            Link="1-1",
            Parcel_Type="CONDO",
            Town_Name="Alder",
            Parcel_ID="1-1",
            CAMA_Link=f"{ALDER.cousub_fips}-1-1",
            Collection_year="2025",
            Shape_Area=LOT * LOT,
        )
    outcome = deliver(stacked)
    assert outcome.summary["rows"]["published"] == 67
    counts = [row["stack_count"] for row in live(settings) if row["parcel_id"] == "1-1"]
    assert counts == [4, 4, 4, 4]
    # One unit goes: its neighbours' count follows without making them new versions.
    stacked.drop([66])
    rows = deliver(stacked).summary["rows"]
    assert {key: rows[key] for key in ("added", "changed", "removed", "unchanged")} == {
        "added": 0,
        "changed": 0,
        "removed": 1,
        "unchanged": 66,
    }
    assert [row["stack_count"] for row in live(settings) if row["parcel_id"] == "1-1"] == [3, 3, 3]


def test_a_town_loaded_twice_is_refused_and_the_telling_column_is_named(deliver: Submit, settings: Settings) -> None:
    once = alder()
    once.columns["Editor"] = ["Old Vendor"] * len(once)
    twice = once.copy()
    for index in range(len(once)):
        # The second copy is another edition: half of its lots moved by a fifth of a foot.
        shape = once.shapes[index]
        twice.append(
            shapely.transform(shape, lambda xy, index=index: xy + 0.2 * (index % 2)),
            **{name: values[index] for name, values in once.columns.items() if name != "Editor"},
        )
    outcome = deliver(twice)
    assert outcome.summary["blocked_by"] == ["TOWN_LOADED_TWICE"]
    (finding,) = [finding for finding in outcome.log.findings if finding.code == "TOWN_LOADED_TWICE"]
    assert "Editor" in finding.sentence
    assert live(settings) == []


def test_a_dry_check_finds_the_same_and_changes_nothing(deliver: Submit, settings: Settings) -> None:
    dirty = alder()
    dirty.shapes[0] = None
    dry = deliver(dirty, publish=False)
    assert dry.summary["outcome"] == "ok"
    assert live(settings) == []
    assert live(settings, "SELECT * FROM statewide.submission") == []
    assert list(settings.store.iterdir()) == []
    assert deliver(dirty).summary["findings"] == dry.summary["findings"]


def test_what_cannot_be_used_changes_nothing(deliver: Submit, settings: Settings, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("Dear State, the parcels follow next week.")
    with pytest.raises(UnreadableDelivery):
        submit(settings, Request(note, "Alder", 2025), lambda message: None)
    with pytest.raises(UnknownTown, match="Andover"):
        submit(settings, Request(note, "Andovr", 2025), lambda message: None)
    with pytest.raises(BadArgument):
        submit(settings, Request(note, "Alder", 1066), lambda message: None)
    assert live(settings, "SELECT * FROM statewide.submission") == []


def test_persons_are_stripped_at_the_door(deliver: Submit, settings: Settings) -> None:
    named = alder()
    canary = "ZEBEDEE CANARY"
    named.columns["OWNER"] = [canary] * len(named)
    named.columns["Mailing_Address"] = [f"{canary} LANE"] * len(named)
    named.shapes[0] = None
    outcome = deliver(named)
    assert outcome.summary["findings"]["COLUMN_WITHHELD"] == 2
    for table in (
        "cadastral.parcel",
        "statewide.held_row",
        "statewide.finding",
        "statewide.submission",
        "statewide.ledger",
        "published.parcels",
    ):
        assert canary not in str(live(settings, f"SELECT to_jsonb(t)::text FROM {table} AS t")), table
    for file in Path(outcome.summary["report"]).iterdir():
        assert canary.encode() not in file.read_bytes(), file.name


def test_originals_are_kept_once_by_their_hash(deliver: Submit, settings: Settings) -> None:
    first = deliver(alder())
    deliver(alder())
    kept = [path for path in settings.store.rglob("*") if path.is_file()]
    assert first.summary["file"]["sha256"] in {path.name for path in kept}
    assert settings.store.stat().st_mode & 0o077 == 0, "originals may name persons"


def test_of_a_bare_shapefile_every_part_is_kept(deliver: Submit, settings: Settings, tmp_path: Path) -> None:
    file = write(alder(), tmp_path, kind="shapefile").with_suffix(".shp")
    outcome = submit(settings, Request(file, "alder", 2025), lambda message: None)
    sha256 = outcome.summary["file"]["sha256"]
    kept = {path.name: path.read_bytes() for path in (settings.store / sha256[:2] / sha256).iterdir()}
    assert kept == {
        f"parcels{end}": file.with_suffix(end).read_bytes() for end in (".shp", ".shx", ".dbf", ".prj", ".cpg")
    }


def test_what_cannot_be_committed_leaves_no_report(deliver: Submit, settings: Settings, tmp_path: Path) -> None:
    with connect(settings, OWNER) as connection:
        connection.execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE 'no' USING ERRCODE = '53100'; END $$"
        )
        connection.execute(
            "CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON statewide.submission DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION fail()"
        )
    with pytest.raises(StorageFull, match="nothing was changed"):
        deliver(alder(), out=tmp_path / "report")
    assert not (tmp_path / "report").exists()
    assert live(settings) == []


def test_two_deliveries_of_a_town_at_once_wait_for_each_other(settings: Settings) -> None:
    with connect(settings) as first, pytest.raises(DatabaseBusy, match="nothing was changed"):
        lock_town(first, "parcel", "99901")
        with connect(settings) as second:
            lock_town(second, "parcel", "99902")  # another town does not wait
            second.execute("SET LOCAL lock_timeout = '50ms'")
            second.execute("SELECT pg_advisory_xact_lock(hashtextextended('parcel:99901', 7100))")


def test_who_waited_for_a_town_writes_later_than_who_had_it(settings: Settings) -> None:
    began: list[dt.datetime] = []

    def wait() -> None:
        with connect(settings) as second:
            find_town(second, "Franklin")  # its transaction is older than the lock
            begin_for_town(second, "parcel", "99901")
            began.append(transaction_time(second))

    with connect(settings) as first:
        begin_for_town(first, "parcel", "99901")
        waiting = threading.Thread(target=wait)
        waiting.start()
        while not first.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone():
            time.sleep(0.01)
        (last,) = first.execute("SELECT clock_timestamp()").fetchone() or ()
    waiting.join()
    assert began[0] > last


def test_no_version_ends_before_it_began(deliver: Submit, settings: Settings) -> None:
    deliver(alder())
    fewer = alder()
    fewer.drop([63])
    deliver(fewer)
    with connect(settings, OWNER) as connection:
        with pytest.raises(psycopg.errors.CheckViolation), connection.transaction():
            connection.execute("UPDATE cadastral.parcel_history SET valid_to = valid_from - interval '1 s'")
        # A database from before this rule may hold such a row, and is brought up to date all the same.
        connection.execute("ALTER TABLE cadastral.parcel_history DROP CONSTRAINT parcel_history_ends_later")
        connection.execute("UPDATE cadastral.parcel_history SET valid_to = valid_from - interval '1 s'")
    initialise(settings)


def test_a_year_that_follows_in_place_is_said_and_goes_back_with_its_version(
    deliver: Submit, settings: Settings
) -> None:
    years = "SELECT collection_year, count(*) FROM cadastral.parcel GROUP BY 1"
    first = deliver(alder())
    publication = live(settings, "SELECT publication_id FROM statewide.publication")
    outcome = deliver(alder(year=2026), year=2026)
    rows = outcome.summary["rows"]
    assert (outcome.summary["outcome"], rows["changed"], rows["unchanged"], rows["followed"]) == (
        "published",
        0,
        64,
        64,
    )
    assert live(settings, years) == [{"collection_year": 2026, "count": 64}]
    assert live(settings, "SELECT publication_id FROM statewide.publication") != publication
    assert deliver(alder(year=2026), year=2026, kind="geojson", epsg=4326).summary["outcome"] == "unchanged"

    moment = dt.datetime.fromisoformat(
        live(settings, "SELECT min(recorded_at)::text AS at FROM statewide.submission")[0]["at"]
    )
    with connect(settings) as connection:
        query = published_as_of(load_standard(), load_standard().table("parcel"), ALDER.cousub_fips, moment)
        cursor = connection.execute(query)
        names = {column.name for column in cursor.description or ()}
    assert "parcel_id" in names
    assert not {"collection_year", "stack_count"} & names, "what has no versions is not told of an earlier one"

    back = roll_back(settings, (PARCELS,), None, "Alder", first.summary["submission"], None, lambda message: None)
    assert (back["outcome"], back["year"], back["rows"]["followed"]) == ("published", 2025, 64)
    assert live(settings, years) == [{"collection_year": 2025, "count": 64}]


def test_a_saved_mapping_is_used_again(deliver: Submit, settings: Settings) -> None:
    deliver(alder())
    again = deliver(alder())
    mapping = live(settings, "SELECT source_columns FROM statewide.ledger ORDER BY submission_id")
    assert again.summary["outcome"] == "unchanged"
    assert any(entry["source_columns"]["Parcel_ID"]["how"] == "saved" for entry in mapping)
