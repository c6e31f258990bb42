"""Several files of several towns in one command: side by side, each on its own, and one that fails stops no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import shapely

from statewide.database import connect
from statewide.settings import Settings
from tests.towns import alder, found_alder, write


def run(settings: Settings, *words: str | Path) -> tuple[int, dict[str, Any], str]:
    """The command in a process of its own: exit code, its JSON, and what it said."""
    command = [str(Path(sys.executable).with_name("statewide")), "parcels", *map(str, words), "--json"]
    where = {"STATEWIDE_DATABASE_URL": settings.require_database_url(), "STATEWIDE_HOME": str(settings.home)}
    done = subprocess.run(command, env=os.environ | where, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


@pytest.fixture
def files(settings: Settings, tmp_path: Path) -> list[Path]:
    """Alder's parcels, a text that is no map, and a map of nowhere."""
    found_alder(settings)
    note = tmp_path / "note.zip"
    note.write_text("no map")
    nowhere = alder()
    nowhere.shapes = [shapely.transform(shape, lambda xy: xy + 5_000_000) for shape in nowhere.shapes]
    return [write(alder(), tmp_path / "alder"), note, write(nowhere, tmp_path / "nowhere")]


def test_each_file_is_taken_in_on_its_own_and_finds_its_town(settings: Settings, files: list[Path]) -> None:
    code, result, _ = run(settings, "submit", *files, "--year", "2025")
    alder_done, note_failed, nowhere_failed = result["deliveries"]
    assert (alder_done["outcome"], alder_done["town"]) == ("published", "Alder")
    assert note_failed["outcome"] == nowhere_failed["outcome"] == "failed"
    assert "note.zip" in note_failed["error"]
    assert "--town" in nowhere_failed["error"]
    assert (code, result["outcome"], result["counts"]) == (2, "failed", {"published": 1, "failed": 2})
    with connect(settings) as connection:
        assert connection.execute("SELECT count(*) FROM cadastral.parcel").fetchone() == (64,)


def test_a_check_of_many_publishes_nothing(settings: Settings, files: list[Path]) -> None:
    code, result, _ = run(settings, "check", files[0], files[0], "--year", "2025")
    assert (code, result["counts"]) == (0, {"ok": 2})
    with connect(settings) as connection:
        assert connection.execute("SELECT count(*) FROM statewide.submission").fetchone() == (0,)


@pytest.mark.parametrize("option", [("--town", "Alder"), ("--layer", "x"), ("--accept", "COUNT_DROP", "--reason", "y")])
def test_what_belongs_to_one_town_is_not_said_of_many(
    settings: Settings, files: list[Path], option: tuple[str, ...]
) -> None:
    code, result, said = run(settings, "submit", files[0], files[0], "--year", "2025", *option)
    assert (code, result) == (2, {})
    assert f"{option[0]} goes with one file" in said
