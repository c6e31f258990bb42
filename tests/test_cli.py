"""The command as a person or a script meets it: exit codes, one sentence on standard error, one JSON object."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import typer.main

from statewide.cli import app
from statewide.database import connect
from statewide.settings import Settings
from tests.towns import alder, found_alder, write

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def command() -> str:
    found = shutil.which("statewide", path=str(Path(sys.executable).parent))
    if not found:
        pytest.skip("the statewide command is not installed beside this Python")
    return found


@pytest.fixture(scope="module")
def run(command: str, shared_settings: Settings) -> Run:
    found_alder(shared_settings)

    def go(*words: str | Path, database: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "STATEWIDE_DATABASE_URL": database or shared_settings.require_database_url(),
            "STATEWIDE_HOME": str(shared_settings.home),
        }
        return subprocess.run(
            [command, *map(str, words)], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return go


@pytest.fixture
def untouched(shared_settings: Settings) -> Iterator[None]:
    """Neither the database nor a file of the home folder may differ after the test."""

    def state() -> Any:
        with connect(shared_settings) as connection:
            rows = connection.execute(
                "SELECT (SELECT count(*) FROM statewide.submission), (SELECT count(*) FROM statewide.finding),"
                " (SELECT count(*) FROM cadastral.parcel), (SELECT count(*) FROM cadastral.parcel_history),"
                " (SELECT array_agg(p::text) FROM statewide.publication AS p)"
            ).fetchall()
        return rows, sorted(path for path in shared_settings.home.rglob("*") if path.is_file())

    before = state()
    yield
    assert state() == before


def one_sentence(result: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("statewide: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_zero_published_then_unchanged_with_one_json_object(run: Run, tmp_path: Path) -> None:
    file = write(alder(), tmp_path, kind="shapefile", epsg=2234)
    first = run("parcels", "submit", file, "--town", "alder", "--year", "2025", "--json", "--out", tmp_path / "report")
    assert (first.returncode, first.stderr) == (0, "")
    summary = json.loads(first.stdout)
    assert summary["outcome"] == "published"
    assert {
        *(
            "submission",
            "dataset",
            "town",
            "year",
            "outcome",
            "rows",
            "findings",
            "area_sqft",
            "crs",
            "report",
            "seconds",
        )
    } <= summary.keys()
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        *("findings.csv", "findings.gpkg", "report.html", "report.json"),
    ]
    again = run("parcels", "submit", file, "--town", "99901", "--year", "2025", "--json")
    assert (again.returncode, json.loads(again.stdout)["outcome"]) == (0, "unchanged")
    history = run("parcels", "history", "--town", "901", "--json")
    assert [entry["outcome"] for entry in json.loads(history.stdout)["submissions"]] == ["unchanged", "published"]
    records = run("parcels", "history", "--town", "901", "--cama", "--json")
    assert json.loads(records.stdout)["submissions"] == []
    # The same for eyes.
    said = run("parcels", "submit", file, "--town", "alder", "--year", "2025")
    assert (said.returncode, said.stderr) == (0, "")
    assert "nothing differs" in said.stdout.lower() or "unchanged" in said.stdout.lower()


def test_one_refused(run: Run, tmp_path: Path) -> None:
    run("parcels", "submit", write(alder(), tmp_path / "good"), "--town", "alder", "--year", "2025")
    half = write(alder(rows=4), tmp_path / "half")
    result = run("parcels", "submit", half, "--town", "alder", "--year", "2025", "--json")
    assert (result.returncode, result.stderr) == (1, "")
    summary = json.loads(result.stdout)
    assert (summary["outcome"], summary["blocked_by"]) == ("refused", ["AREA_DROP", "COUNT_DROP"])
    assert (Path(summary["report"]) / "report.html").exists()


def test_a_file_name_of_any_bytes_is_taken(run: Run, tmp_path: Path) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/L\xe9gende\nde l'ann\xe9e.gpkg"))
    write(alder(), tmp_path).rename(file)
    result = run("parcels", "submit", file, "--town", "alder", "--year", "2025", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["file"]["name"] == "L\ufffdgende\nde l'ann\ufffde.gpkg"
    looked = run("parcels", "inspect", file, "--json")
    assert (looked.returncode, looked.stderr) == (0, "")
    assert json.loads(looked.stdout)["file"]["name"] == "L\ufffdgende\nde l'ann\ufffde.gpkg"


@pytest.mark.usefixtures("untouched")
def test_a_dry_check_and_a_look_change_nothing(run: Run, tmp_path: Path) -> None:
    file = write(alder(), tmp_path / "delivery")
    look = run("parcels", "inspect", file, "--json")
    assert (look.returncode, json.loads(look.stdout)["columns"]["Parcel_ID"]["field"]) == (0, "parcel_id")
    dry = run("parcels", "check", file, "--town", "alder", "--year", "2025", "--json", "--out", tmp_path / "report")
    assert (dry.returncode, json.loads(dry.stdout)["outcome"]) == (0, "ok")


def not_a_map(folder: Path) -> Path:
    file = folder / "letter.zip"
    file.write_bytes(b"Dear State, the parcels follow next week.")
    return file


def zip_without_layers(folder: Path) -> Path:
    file = folder / "empty.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "nothing here")
    return file


def nowhere(folder: Path) -> Path:
    return folder / "no such file.zip"


def nothing(folder: Path) -> Path:
    file = folder / "nothing.gpkg"
    file.touch()
    return file


def folder_of_letters(folder: Path) -> Path:
    (folder / "letters").mkdir()
    return folder / "letters"


def cut_off(folder: Path) -> Path:
    file = write(alder(), folder, kind="shapefile", epsg=2234)
    file.write_bytes(file.read_bytes()[:300])
    return file


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("make", [not_a_map, zip_without_layers, nowhere, nothing, folder_of_letters, cut_off])
def test_two_a_file_that_cannot_be_used(run: Run, tmp_path: Path, make: Callable[[Path], Path]) -> None:
    result = run("parcels", "submit", make(tmp_path), "--town", "alder", "--year", "2025", "--json")
    assert result.returncode == 2
    one_sentence(result)


@pytest.mark.usefixtures("untouched")
def test_two_a_town_that_does_not_exist(run: Run, tmp_path: Path) -> None:
    file = write(alder(), tmp_path)
    result = run("parcels", "submit", file, "--town", "Andovr", "--year", "2025")
    assert result.returncode == 2
    assert "Did you mean Andover" in one_sentence(result)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "words",
    [
        ["--year", "2025"],
        ["--town", "alder"],
        ["--town", "alder", "--year", "next"],
        ["--town", "alder", "--year", "2025", "--frobnicate"],
    ],
)
def test_two_words_that_make_no_command(run: Run, tmp_path: Path, words: list[str]) -> None:
    result = run("parcels", "submit", tmp_path / "file.zip", *words)
    assert result.returncode == 2
    one_sentence(result)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--year", "1066"], "makes no sense"),
        (["--year", "2025", "--accept", "COUNT_DROP"], "--reason"),
        (["--year", "2025", "--layer", "roads"], "roads"),
    ],
)
def test_two_options_that_make_no_sense(run: Run, tmp_path: Path, words: list[str], said: str) -> None:
    result = run("parcels", "submit", write(alder(), tmp_path), "--town", "alder", *words)
    assert result.returncode == 2
    assert said in one_sentence(result)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("words", [["parcels", "submit"], ["status"], ["init"]])
def test_three_a_database_that_is_down(run: Run, tmp_path: Path, words: list[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    rest = [write(alder(), tmp_path), "--town", "alder", "--year", "2025"] if words[-1] == "submit" else []
    result = run(*words, *rest, "--json", database=f"postgresql://nobody:secret-word@127.0.0.1:{port}/nowhere")
    assert result.returncode == 3
    assert "secret-word" not in one_sentence(result)


def test_three_a_database_without_our_tables(run: Run, tmp_path: Path, shared_settings: Settings) -> None:
    elsewhere = f"{shared_settings.require_database_url()} dbname=postgres"
    result = run("parcels", "history", "--town", "alder", database=elsewhere)
    assert result.returncode == 3
    assert "statewide init" in one_sentence(result)


# ── help ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def commands() -> dict[str, Any]:
    """Every command with its words, as `main` hangs them together."""
    groups: dict[str, Any] = {"": typer.main.get_command(app)}
    groups |= {point.name: typer.main.get_command(point.load()) for point in entry_points(group="statewide.commands")}
    found = {}
    for name, group in groups.items():
        for word, command in getattr(group, "commands", {}).items():
            if not hasattr(command, "commands"):
                found[f"statewide {name} {word}".replace("  ", " ")] = command
    return found


@pytest.mark.parametrize("words", sorted(commands()))
def test_every_command_has_help_with_an_example_of_itself(words: str) -> None:
    text = commands()[words].help or ""
    assert f"Example: {words}" in text


@pytest.mark.parametrize("words", sorted(set(commands()) - {"statewide serve"}))
def test_every_command_that_ends_speaks_json(words: str) -> None:
    assert "--json" in {option for parameter in commands()[words].params for option in parameter.opts}


def test_the_promised_commands_are_there() -> None:
    assert set(commands()) >= {
        *(f"statewide {word}" for word in ("init", "demo", "serve", "status", "build")),
        *(f"statewide parcels {word}" for word in ("inspect", "check", "submit", "history")),
        *(f"statewide hazards {word}" for word in ("load", "overlay")),
    }


def test_a_group_without_a_command_shows_its_help(run: Run) -> None:
    result = run("parcels")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: statewide parcels")


def test_help_is_shown(run: Run) -> None:
    shown = run("parcels", "submit", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Example: statewide parcels submit" in shown.stdout
    assert run("--help").returncode == 0


def test_a_fault_of_ours_is_one_sentence_and_its_trace_is_for_the_owner(command: str, tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("not what we wrote")
    environment = os.environ | {"STATEWIDE_HOME": str(tmp_path), "STATEWIDE_DATABASE_URL": "postgresql://127.0.0.1/x"}
    done = subprocess.run([command, "status"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "fault of ours" in done.stderr
    (trace,) = (tmp_path / "faults").iterdir()
    assert "Traceback" in trace.read_text()
    assert (tmp_path / "faults").stat().st_mode & 0o077 == 0
