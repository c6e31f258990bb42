"""What an outside checker tried: to empty a town, to set it back a year, to slip a person through, to leave traces."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import shapely

from cadastral.meeting import submit
from statewide.database import connect
from statewide.errors import BadArgument
from statewide.intake import Outcome, Request
from statewide.settings import Settings
from tests.towns import Fabric, alder, found_alder, write

Submit = Callable[..., Outcome]


def live_rows(settings: Settings) -> int:
    with connect(settings) as connection:
        (count,) = connection.execute("SELECT count(*) FROM cadastral.parcel").fetchone() or (0,)
        return int(count)


def points(fabric: Fabric) -> Fabric:
    fabric.shapes = [shapely.centroid(shape) for shape in fabric.shapes]
    return fabric


def elsewhere(fabric: Fabric) -> Fabric:
    fabric.shapes = [shapely.transform(shape, lambda xy: xy + 100_000) for shape in fabric.shapes]
    return fabric


@pytest.mark.parametrize("spoil", [points, elsewhere])
def test_no_acceptance_can_empty_a_town(deliver: Submit, settings: Settings, spoil: Callable[[Fabric], Fabric]) -> None:
    deliver(alder())
    refused = deliver(spoil(alder()))
    assert refused.refused
    assert len(refused.summary["blocked_by"]) == 1, "the cause, and nothing that only follows from it"
    with pytest.raises(BadArgument):
        deliver(spoil(alder()), accept={refused.summary["blocked_by"][0]: "I say so"})
    everything = {"COUNT_DROP": "so", "AREA_DROP": "so", "IDS_REPLACED": "so", "MOVED": "so"}
    assert deliver(spoil(alder()), accept=everything).refused
    assert live_rows(settings) == 64
    page = (Path(refused.summary["report"]) / "report.html").read_text()
    assert "--accept" not in page


def test_an_older_year_does_not_replace_a_newer_one_by_itself(deliver: Submit, settings: Settings) -> None:
    deliver(alder(), year=2025)
    older = alder(year=2021)
    older.columns["Location"][0] = "1 OLD ST"
    outcome = deliver(older, year=2021)
    assert outcome.summary["blocked_by"] == ["OLDER_YEAR"]
    accepted = deliver(older, year=2021, accept={"OLDER_YEAR": "the 2025 file was a mistake of ours"})
    assert accepted.summary["outcome"] == "published"


def test_a_column_that_nobody_knows_is_not_kept_in_any_table(deliver: Submit, settings: Settings) -> None:
    canary = "QUILLON CANARY"
    names = ["OWNR", "Deed_Holder", "BILL_TO", "MBLO_OWN", "FULLNAME", "C_O", "X17", "CO_OWN", "Legal_Owne", "NAME1"]
    fabric = alder()
    for name in names:
        fabric.columns[name] = [canary] * len(fabric)
    fabric.shapes[0] = None
    outcome = deliver(fabric)
    assert outcome.summary["findings"]["COLUMN_WITHHELD"] == len(names) - 2  # X17 and FULLNAME (a street, elsewhere)
    with connect(settings) as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_schema IN ('statewide', 'cadastral', 'resilience', 'published', 'confidential')"
        ).fetchall()
        for schema, table in tables:
            rows = connection.execute(
                f'SELECT count(*) FROM "{schema}"."{table}" t WHERE t::text LIKE %s', [f"%{canary}%"]
            )
            assert rows.fetchone() == (0,), (schema, table)


def test_a_parcel_whose_new_row_is_held_stays_live_and_is_named(deliver: Submit, settings: Settings) -> None:
    deliver(alder())
    holed = alder()
    holed.shapes[5] = None
    holed.columns["Location"][6] = "7 NEW ST"
    outcome = deliver(holed)
    assert outcome.summary["outcome"] == "published"
    rows = outcome.summary["rows"]
    assert {name: rows[name] for name in ("read", "published", "held", "removed", "kept_live")} == {
        "read": 64,
        "published": 63,
        "held": 1,
        "removed": 0,
        "kept_live": 1,
    }
    (finding,) = [finding for finding in outcome.log.findings if finding.code == "LIVE_ROW_HELD"]
    assert "1-6" in finding.sentence
    assert live_rows(settings) == 64
    with connect(settings) as connection:
        assert connection.execute("SELECT rows_published, rows_held FROM statewide.publication").fetchall() == [(64, 1)]
    again = deliver(holed)
    assert (again.summary["outcome"], again.summary["rows"]["kept_live"]) == ("unchanged", 1)
    mended = deliver(alder())
    assert (mended.summary["lineage"], mended.summary["rows"]["unchanged"]) == ({"attributes": 1}, 63)


def test_a_parcel_that_is_neither_published_nor_held_goes(deliver: Submit, settings: Settings) -> None:
    deliver(alder())
    holed = alder()
    holed.shapes[5] = None
    holed.drop([63])
    rows = deliver(holed).summary["rows"]
    assert (rows["removed"], rows["kept_live"]) == (1, 1)
    assert live_rows(settings) == 63


def test_geojson_in_feet_without_a_system_is_assumed_like_a_shapefile_without_prj(
    settings: Settings, deliver: Submit, tmp_path: Path
) -> None:
    import json

    fabric = alder()
    features = [
        {
            "type": "Feature",
            "properties": {name: values[index] for name, values in fabric.columns.items()},
            "geometry": shapely.geometry.mapping(shape),
        }
        for index, shape in enumerate(fabric.shapes)
    ]
    file = tmp_path / "feet.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    outcome = submit(settings, Request(file, "Alder", 2025), lambda message: None)
    assert outcome.summary["outcome"] == "published"
    assert (outcome.summary["crs"]["epsg"], outcome.summary["crs"]["how"]) == (2234, "assumed")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stopped_submit_leaves_no_copy_of_the_file(settings: Settings, tmp_path: Path, signal_number: int) -> None:
    found_alder(settings)
    fabric = alder(rows=28, columns=28)
    fabric.columns["OWNER"] = ["TIMOTHEUS CANARY"] * len(fabric)
    file = write(fabric, tmp_path / "big", kind="geojson", epsg=4326)
    environment = os.environ | {
        "STATEWIDE_DATABASE_URL": settings.require_database_url(),
        "STATEWIDE_HOME": str(settings.home),
        "TMPDIR": str(tmp_path / "tmp"),
    }
    (tmp_path / "tmp").mkdir()
    command = [
        str(Path(sys.executable).with_name("statewide")),
        "parcels",
        "check",
        str(file),
        "--town",
        "Alder",
        "--year",
        "2025",
    ]
    work = settings.home / "work"

    def copies() -> list[Path]:
        return [
            path for root in (work, tmp_path / "tmp") if root.exists() for path in root.rglob("*") if path.is_file()
        ]

    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not copies() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal_number)
    _, said = process.communicate(timeout=60)
    if signal_number != signal.SIGKILL:
        assert process.returncode == 2
        assert said == "statewide: Stopped; nothing was left half done.\n"
        assert copies() == []
    # Nobody can clean up after SIGKILL; the next run does.
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert copies() == []


def test_a_stopped_command_leaves_no_statement_running_on_the_server(settings: Settings) -> None:
    long_statement = """
import signal
from statewide.cli import _stop
from statewide.database import connect
from statewide.settings import load_settings
signal.signal(signal.SIGINT, _stop)
with connect(load_settings()) as connection:
    connection.execute("SELECT pg_sleep(50) AS left_running")
"""
    environment = os.environ | {
        "STATEWIDE_DATABASE_URL": settings.require_database_url(),
        "STATEWIDE_HOME": str(settings.home),
    }
    active = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s"

    def count() -> int:
        with connect(settings) as connection:
            (found,) = connection.execute(active, ["%AS left_running%"]).fetchone() or (0,)
            return int(found)

    with subprocess.Popen([sys.executable, "-c", long_statement], env=environment, stderr=subprocess.PIPE) as process:
        while count() == 0 and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=20)[1].decode()
    assert "Stopped; nothing was left half done." in said
    assert "error ignored" not in said
    assert count() == 0
