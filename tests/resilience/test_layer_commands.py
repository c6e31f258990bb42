"""`statewide hazards load` and `list` as an operator meets them: exit codes, what is said, options that do not go."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from resilience.cli import app
from statewide.errors import BadArgument
from statewide.settings import Settings
from tests.resilience.flood_maps import box, write_map, zone
from tests.resilience.layer_files import squares

Run = Callable[..., Result]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on the test's database."""
    monkeypatch.setenv("STATEWIDE_DATABASE_URL", settings.require_database_url())
    monkeypatch.setenv("STATEWIDE_HOME", str(settings.home))
    return lambda *words: CliRunner().invoke(app, [*map(str, words)])


def test_a_refused_layer_ends_with_1_and_says_what_to_do(run: Run, tmp_path: Path) -> None:
    whole = write_map([zone(shape, "AE") for shape in squares(10)], tmp_path / "whole")
    cut = write_map([zone(shape, "AE") for shape in squares(4)], tmp_path / "cut")
    done = run("load", "flood-zones", whole, "--version", "v1")
    assert done.exit_code == 0
    assert done.stdout.startswith("flood-zones v1 is published.\n  rows      10 read = 10 published + 0 held\n")
    refused = run("load", "flood-zones", cut, "--version", "v2")
    assert refused.exit_code == 1
    assert refused.stdout.startswith("flood-zones v2 was refused: nothing changed.\n")
    assert "  refused   LAYER_SHRUNK: This version would have 4 polygons where the live one has 10" in refused.stdout
    assert "accept with a reason" in refused.stdout
    words = ("--accept", "LAYER_SHRUNK", "--reason", "as FEMA has it")
    accepted = run("load", "flood-zones", cut, "--version", "v2", *words)
    assert accepted.exit_code == 0
    assert "  accepted  LAYER_SHRUNK" in accepted.stdout
    assert run("load", "flood-zones", cut, "--version", "v2").stdout == (
        "flood-zones v2 is unchanged: nothing was written.\n"
    )
    listed = run("list", "--all")
    assert "flood-zones         v2: in force from a day not stated" in listed.stdout
    assert "v1 (earlier)" in listed.stdout
    assert "storm-surge         not loaded" in listed.stdout
    versions = json.loads(run("list", "--json").stdout)["versions"]
    assert [(row["layer_version"], row["accepted"]) for row in versions] == [("v2", {"LAYER_SHRUNK": "as FEMA has it"})]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("meteors", "MAP"), "There is no hazard layer 'meteors'"),
        (("flood-zones", "MAP", "--units", "m"), "--units goes with depth-grid only"),
        (("flood-zones", "MAP", "--list", "schools"), "--list goes with critical-facilities only"),
        (("critical-facilities", "MAP", "MAP", "--list", "schools"), "A list of facilities is one file"),
        (("critical-facilities", "MAP"), "--list public-schools"),
        (("depth-grid", "MAP", "MAP"), "A grid is one file"),
        (("flood-zones", "MAP", "--accept", "LAYER_SHRUNK"), "--accept needs a reason"),
    ],
)
def test_options_that_do_not_go_with_the_layer_are_a_slip(
    run: Run, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    file = str(write_map([zone(box(0, 0, 9, 9), "X")], tmp_path / "in"))
    given = [file if word == "MAP" else word for word in words]
    done = run("load", *given, "--version", "v1")
    assert isinstance(done.exception, BadArgument)
    assert said in str(done.exception)
