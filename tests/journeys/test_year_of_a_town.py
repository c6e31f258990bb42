"""The year of a town: good files, the same file again, worse files that are refused, a better one, and the way back.

Told on the invented town Alder and on the real file of New London; the last good version stays live throughout.
"""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyogrio.raw
import pytest
import shapely
from psycopg.rows import dict_row

from cadastral.assessments import ASSESSMENTS
from cadastral.meeting import settle_rollback, submit, submit_assessments
from cadastral.parcels import PARCELS
from statewide.database import OWNER, connect
from statewide.errors import BadArgument
from statewide.intake import Dataset, Request
from statewide.ledger import history
from statewide.register import find_town
from statewide.rollback import roll_back
from statewide.settings import Settings
from statewide.standard import load_standard
from statewide.versions import compare, find_version, version_before
from tests.cama import records, write_records
from tests.towns import ALDER, LOT, SOUTH, WEST, Fabric, alder, append_lot, found_alder, write

Rows = dict[str, dict[str, Any]]


class Year:
    """A town that delivers and delivers; every file goes through the whole of the intake."""

    def __init__(self, settings: Settings, town: str, folder: Path) -> None:
        self.settings, self.town, self.folder = settings, town, folder
        self.deliveries = 0

    def sends(self, fabric: Fabric, *, kind: str = "geopackage", epsg: int = 6434, year: int = 2025) -> dict[str, Any]:
        self.deliveries += 1
        file = write(fabric, self.folder / f"delivery-{self.deliveries}", kind=kind, epsg=epsg)
        return self.sends_file(file, year=year)

    def sends_file(self, file: Path, *, year: int = 2025) -> dict[str, Any]:
        return submit(self.settings, Request(file, self.town, year), lambda message: None).summary

    def goes_back(self, to: object, reason: str = "the new file was wrong") -> dict[str, Any]:
        return roll_back(self.settings, (PARCELS,), settle_rollback, self.town, str(to), reason, lambda message: None)

    def live(self) -> Rows:
        """What the street sees, by identifier."""
        with connect(self.settings) as connection:
            fips = find_town(connection, self.town).cousub_fips
            rows = connection.cursor(row_factory=dict_row).execute(
                "SELECT * FROM published.parcels WHERE cousub_fips = %s", [fips]
            )
            return {str(row["parcel_uid"]): row for row in rows}

    def publication(self) -> Any:
        with connect(self.settings) as connection:
            fips = find_town(connection, self.town).cousub_fips
            row = connection.execute(
                "SELECT publication_id FROM statewide.publication WHERE cousub_fips = %s AND dataset = 'parcel'", [fips]
            ).fetchone()
            assert row is not None
            return row[0]

    def history(self) -> list[dict[str, Any]]:
        with connect(self.settings) as connection:
            return history(connection, find_town(connection, self.town).cousub_fips, "parcel")

    def differences(self, earlier: str | None = None, later: str = "live") -> Any:
        standard = load_standard()
        table = standard.table("parcel")
        with connect(self.settings) as connection:
            town = find_town(connection, self.town)
            to = find_version(connection, "parcel", town, later)
            since = (
                find_version(connection, "parcel", town, earlier)
                if earlier
                else version_before(connection, "parcel", town, to)
            )
            return compare(connection, standard, table, town, "parcel_id", since, to)


def shuffled(fabric: Fabric, seed: int = 7) -> Fabric:
    order = list(range(len(fabric)))
    random.Random(seed).shuffle(order)
    return Fabric(
        [fabric.shapes[place] for place in order],
        {name: [values[place] for place in order] for name, values in fabric.columns.items()},
    )


def renumbered(fabric: Fabric) -> Fabric:
    other = fabric.copy()
    other.columns["Parcel_ID"] = [f"X{place}" for place in range(len(fabric))]
    other.columns["Link"] = list(other.columns["Parcel_ID"])
    prefix = str(next(link for link in fabric.columns["CAMA_Link"] if link)).partition("-")[0]
    other.columns["CAMA_Link"] = [f"{prefix}-X{place}" for place in range(len(fabric))]
    return other


def shifted(fabric: Fabric, feet: float = 20.0) -> Fabric:
    other = fabric.copy()
    other.shapes = [shape and shapely.transform(shape, lambda xy: xy + feet) for shape in fabric.shapes]
    return other


def few(fabric: Fabric, count: int) -> Fabric:
    other = fabric.copy()
    other.drop(range(count, len(fabric)))
    return other


def feet_read_as_metres(fabric: Fabric, folder: Path) -> Path:
    """A shapefile in feet whose .prj says metres."""
    feet, metres = (write(fabric, folder / str(epsg), kind="shapefile", epsg=epsg) for epsg in (2234, 26956))
    lying = folder / "lying.zip"
    with zipfile.ZipFile(feet) as good, zipfile.ZipFile(metres) as other, zipfile.ZipFile(lying, "w") as bad:
        for name in good.namelist():
            bad.writestr(name, (other if name.endswith(".prj") else good).read(name))
    return lying


def worse_files(fabric: Fabric, folder: Path) -> list[tuple[str, Callable[[Year], dict[str, Any]]]]:
    """A check that has to refuse it, and the file."""
    return [
        ("COUNT_DROP", lambda year: year.sends(few(fabric, max(1, round(0.005 * len(fabric)))))),
        ("IDS_REPLACED", lambda year: year.sends(renumbered(fabric))),
        ("MOVED", lambda year: year.sends(shifted(fabric))),
        ("WRONG_PLACE", lambda year: year.sends_file(feet_read_as_metres(fabric, folder))),
    ]


def tell_the_year(year: Year, fabric: Fabric, better: Fabric, expected: dict[str, int], folder: Path) -> None:
    """First load, the same, reordered, re-encoded, worse files, a better file, worse files again, and back."""
    first = year.sends(fabric)
    assert first["outcome"] == "published"
    good, publication = year.live(), year.publication()

    for summary in (year.sends(fabric), year.sends(shuffled(fabric)), year.sends(fabric, kind="geojson", epsg=4326)):
        assert (summary["outcome"], summary["rows"]["unchanged"]) == ("unchanged", len(good))
    assert year.live() == good
    assert year.publication() == publication, "caches stay good"

    for code, send in worse_files(fabric, folder / "first"):
        refused = send(year)
        assert refused["outcome"] == "refused"
        assert code in refused["blocked_by"]
        assert (year.live(), year.publication()) == (good, publication)

    improved = year.sends(better)
    assert improved["outcome"] == "published"
    assert improved["lineage"] == expected
    best = year.live()
    assert best != good
    told = year.differences()
    assert told.counts() == {name: improved["rows"][name] for name in ("added", "changed", "removed")}
    assert dict(told.kinds) == expected

    for code, send in worse_files(better, folder / "second"):
        assert code in send(year)["blocked_by"]
        assert year.live() == best

    back = year.goes_back(first["submission"])
    assert (back["outcome"], back["rollback_of"], back["rollback_to"]) == (
        "published",
        improved["submission"],
        first["submission"],
    )
    again = year.live()
    assert without_dates(again) == without_dates(good), "the same parcels under the same identifiers"
    differing = improved["rows"]["changed"] + improved["rows"]["removed"]
    assert sum(again[uid]["valid_from"] != good[uid]["valid_from"] for uid in good) == differing, "and no more written"
    assert year.publication() not in (publication, None)
    assert not year.differences(str(first["submission"])).rows
    assert year.goes_back(first["submission"])["outcome"] == "unchanged"
    assert year.goes_back(improved["submission"])["outcome"] == "published", "a rollback can be rolled back"
    assert without_dates(year.live()) == without_dates(best)

    told_outcomes = [entry["outcome"] for entry in reversed(year.history())]
    refused_four = ["refused"] * 4
    back_and_forth = ["published", "unchanged", "published"]
    expected_outcomes = ["published", *["unchanged"] * 3, *refused_four, "published", *refused_four, *back_and_forth]
    assert told_outcomes == expected_outcomes
    back_told = next(entry for entry in year.history() if entry["submission"] == back["submission"])
    assert (back_told["rollback_to"], back_told["reason"]) == (first["submission"], "the new file was wrong")
    with connect(year.settings) as connection:
        books = connection.execute("SELECT count(*) FROM statewide.ledger").fetchone()
        upside_down = connection.execute(
            "SELECT count(*) FROM cadastral.parcel_history WHERE valid_to <= valid_from"
        ).fetchone()
    assert (books, upside_down) == ((len(expected_outcomes),), (0,))


def without_dates(rows: Rows) -> Rows:
    return {uid: {name: value for name, value in row.items() if name != "valid_from"} for uid, row in rows.items()}


@pytest.fixture
def alders_year(settings: Settings, tmp_path: Path) -> Year:
    found_alder(settings)
    return Year(settings, "Alder", tmp_path)


def with_splits_and_mergers(fabric: Fabric) -> Fabric:
    """Of the lots in the first row: 1-1 is divided, 1-3 and 1-4 become one, 1-6 gets a new address."""
    better = fabric.copy()
    better.shapes[0] = shapely.box(WEST, SOUTH, WEST + 0.7 * LOT, SOUTH + LOT)
    better.columns["Shape_Area"][0] = 0.7 * LOT * LOT
    better.shapes[2] = shapely.box(WEST + 2 * LOT, SOUTH, WEST + 4 * LOT, SOUTH + LOT)
    better.columns["Shape_Area"][2] = 2 * LOT * LOT
    better.columns["Location"][5] = "6 REAR MAIN ST"
    append_lot(better, "1-1A", shapely.box(WEST + 0.7 * LOT, SOUTH, WEST + LOT, SOUTH + LOT), Location="1A MAIN ST")
    better.drop([3])
    return better


def test_the_year_of_alder(alders_year: Year, tmp_path: Path) -> None:
    fabric = alder(rows=20, columns=20)
    expected = {"attributes": 1, "split": 1, "merged": 1}
    tell_the_year(alders_year, fabric, with_splits_and_mergers(fabric), expected, tmp_path)


@pytest.mark.real
def test_the_year_of_new_london(settings: Settings, shared_data: Path, tmp_path: Path) -> None:
    file = shared_data / "deliveries" / "new_london_parcels_2025.zip"
    meta, _, shapes, fields = pyogrio.raw.read(f"/vsizip/{file}")
    columns = {
        name: [None if value is None or value != value else str(value) for value in values.tolist()]
        for name, values in zip(meta["fields"], fields, strict=True)
    }
    fabric = Fabric(list(shapely.from_wkb(shapes)), columns)
    better = fabric.copy()
    lots = [place for place, shape in enumerate(fabric.shapes) if shape is not None]
    alone = [
        place
        for place in lots
        if fabric.columns["Parcel_ID"].count(fabric.columns["Parcel_ID"][place]) == 1
        and 5_000 < fabric.shapes[place].area < 40_000
    ][:3]
    divided, renamed, gone = alone
    west, south, east, north = fabric.shapes[divided].bounds
    line = west + 0.6 * (east - west)
    whole = fabric.shapes[divided]
    better.shapes[divided] = whole.intersection(shapely.box(west, south, line, north))
    rest = {name: values[divided] for name, values in fabric.columns.items()}
    rest |= {"Parcel_ID": "NEW-1", "Link": "NEW-1", "CAMA_Link": f"{rest['CAMA_Link']}-NEW"}
    better.append(whole.intersection(shapely.box(line, south, east, north)), **rest)
    better.columns["Location"][renamed] = "1 NEW NAME ST"
    better.drop([gone])
    expected = {"attributes": 1, "split": 1, "retired": 1}
    tell_the_year(Year(settings, "New London", tmp_path), fabric, better, expected, tmp_path)


def test_what_never_was_live_is_nothing_to_go_back_to(alders_year: Year, settings: Settings) -> None:
    with pytest.raises(BadArgument, match="no submission"):
        alders_year.goes_back(1)
    alders_year.sends(alder())
    refused = alders_year.sends(few(alder(), 3))
    with pytest.raises(BadArgument, match="was refused, so it never was live"):
        alders_year.goes_back(refused["submission"])
    with pytest.raises(BadArgument, match="is no version"):
        alders_year.goes_back("yesterday")
    first = alders_year.history()[-1]["submission"]
    other = Year(settings, "Franklin", alders_year.folder)
    with pytest.raises(BadArgument, match="Franklin has no submission"):
        other.goes_back(first)
    with pytest.raises(BadArgument, match="nothing to go back to"):
        alders_year.goes_back("1999-01-01")


def test_a_day_is_a_version_and_two_versions_are_compared_both_in_numbers_and_in_words(alders_year: Year) -> None:
    alders_year.sends(alder())
    better = alder()
    better.columns["Location"][5] = "6 REAR MAIN ST"
    better.shapes[9] = shapely.box(WEST + LOT, SOUTH + LOT, WEST + 1.9 * LOT, SOUTH + 2 * LOT)
    alders_year.sends(better)
    told = alders_year.differences("1", "live")
    assert {(row.label, row.change, row.kinds, row.redrawn) for row in told.rows} == {
        ("1-6", "changed", ("attributes",), False),
        ("2-2", "changed", ("reshaped",), True),
    }
    (words,) = [row for row in told.rows if row.label == "1-6"]
    assert words.values == {"location": ("6 MAIN ST", "6 REAR MAIN ST")}
    (drawn,) = [row for row in told.rows if row.label == "2-2"]
    assert drawn.values == {"area_sqft": (pytest.approx(LOT * LOT), pytest.approx(0.9 * LOT * LOT))}
    before = alders_year.differences("2000-01-01", "1")
    assert before.counts() == {"added": 64, "changed": 0, "removed": 0}
    assert before.kinds == {}
    with pytest.raises(BadArgument, match="swap"):
        alders_year.differences("2", "1")


def test_identifiers_never_come_back_to_another_parcel(alders_year: Year) -> None:
    first = alders_year.sends(alder())
    smaller = alder()
    smaller.drop([63])
    alders_year.sends(smaller)
    elsewhere = alder()
    elsewhere.drop([63])
    x = WEST + 9 * LOT
    elsewhere.append(
        shapely.box(x, SOUTH, x + LOT, SOUTH + LOT), Town_Name="Alder", Parcel_ID="9-9", Link="9-9",
        CAMA_Link=f"{ALDER.cousub_fips}-9-9", Collection_year="2025", Parcel_Type="PARCEL", Shape_Area=LOT * LOT,
    )  # fmt: skip
    alders_year.sends(elsewhere)
    newcomer = next(uid for uid, row in alders_year.live().items() if row["parcel_id"] == "9-9")
    alders_year.goes_back(first["submission"])
    rows = alders_year.live()
    assert newcomer not in rows
    assert len(rows) == 64
    assert "8-8" in {row["parcel_id"] for row in rows.values()}


def test_the_assessors_records_go_back_with_the_parcels_and_no_person_shows_that_should_not(
    settings: Settings, tmp_path: Path
) -> None:
    found_alder(settings)
    keeping = replace(settings, keep_confidential=True)
    town = [
        {"Link": f"{lot // 8 + 1}-{lot % 8 + 1}", "PID": str(lot), "Location": f"{lot + 1} MAIN ST"}
        for lot in range(64)
    ]

    def send(fabric: Fabric, rows: list[dict[str, Any]], place: str) -> dict[str, Any]:
        cama = write_records(records(*rows), tmp_path / place / "cama.csv")
        request = Request(write(fabric, tmp_path / place), "Alder", 2025, beside={"assessment": cama})
        return submit(keeping, request, lambda message: None).summary

    def back(to: str, datasets: tuple[Dataset, ...]) -> dict[str, Any]:
        return roll_back(keeping, datasets, settle_rollback, "Alder", to, None, lambda message: None)

    def seen() -> list[Any]:
        with connect(settings) as connection:
            return connection.execute(
                "SELECT parcel_id, location, assessed_total_usd, assessment_count FROM published.parcels ORDER BY 1"
            ).fetchall()

    def persons() -> list[Any]:
        with connect(settings, OWNER) as connection:
            return connection.execute(
                "SELECT count(*), count(DISTINCT a.assessment_uid) FROM restricted.assessment_persons"
                " LEFT JOIN cadastral.assessment AS a USING (assessment_uid)"
            ).fetchall()

    first = send(alder(), town, "first")
    before = seen()
    assert (first["outcome"], persons()) == ("published", [(64, 64)])
    better = alder()
    better.columns["Location"][0] = "1 NEW ST"
    revalued = [row | {"Assessed_Total": "270000"} if row["PID"] == "0" else row for row in town[:-1]]
    second = send(better, revalued, "second")
    assert second["assessment"]["lineage"] == {"revalued": 1, "retired": 1}
    after = seen()
    assert after != before
    assert persons() == [(63, 63)]

    assert back(first["submission"], (PARCELS,))["outcome"] == "published"
    mixed = seen()
    assert [row[1] for row in mixed] == [row[1] for row in before]
    assert [row[2:] for row in mixed] == [row[2:] for row in after], "the records stay where they were not asked for"
    both = back(first["submission"], (PARCELS, ASSESSMENTS))
    assert (both["outcome"], both["rows"]["unchanged"], both["assessment"]["outcome"]) == ("published", 64, "published")
    assert seen() == before
    # Of the record that was revalued and of the one that came back it is not known who is protected.
    assert persons() == [(62, 62)]


def test_records_that_were_not_live_then_are_said_so(settings: Settings, tmp_path: Path) -> None:
    found_alder(settings)
    year = Year(settings, "Alder", tmp_path)
    first = year.sends(alder())
    both = (PARCELS, ASSESSMENTS)

    def back() -> dict[str, Any]:
        return roll_back(settings, both, settle_rollback, "Alder", first["submission"], None, lambda message: None)

    assert back()["outcome"] == "unchanged", "neither then nor now"
    cama = write_records(records({"Link": "1-1"}), tmp_path / "cama.csv")
    submit_assessments(settings, Request(cama, "Alder", 2025), lambda message: None)
    with pytest.raises(BadArgument, match="Nothing of the assessments of Alder was live then"):
        back()
