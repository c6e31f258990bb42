"""The documentation is true: its commands run and print what it says, and what it names exists.

The info string of a fenced block says what becomes of it here:

    sh        run by ``bash -euo pipefail``, in the order of the file; ends with 0, or as ``# exit code N`` says
    text      right after an ``sh`` block: what that one prints; ``…`` stands for anything
    console   not run (it installs, asks, or never ends); its commands and options must exist

Each file gets what `scripts/up` leaves behind: a database and a home with the demo in it, and a folder that looks like
the checkout. A file that asks http://127.0.0.1:5000 is answered by a server of its own.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from psycopg import conninfo

from statewide.cli import app
from statewide.settings import ROOT, Settings
from statewide.standard import load_standard
from tests.postgis import cloned

DOCS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "schemas" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
SERVER = "http://127.0.0.1:5000"
PROGRAMS = ("curl", "psql", "pg_dump", "ogrinfo", "ogr2ogr")
"""Programs that a block may use and that a machine may lack."""


class Block(NamedTuple):
    """A fenced block; `line` is where its fence opens."""

    info: str
    text: str
    line: int


def blocks(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    fences = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(fence[1], fence[2], text.count("\n", 0, fence.start()) + 1) for fence in fences]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# ── commands run ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def demo(template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A database and a home with the demo loaded; only to be cloned."""
    for settings in cloned(template_database, tmp_path_factory.mktemp("demo") / "home"):
        subprocess.run(["statewide", "demo"], env=environment(settings), check=True, capture_output=True)
        yield settings


@pytest.fixture
def checkout(demo: Settings, tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder that looks like the checkout, and the environment of a shell in it."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for entry in ROOT.iterdir():
        if not entry.name.startswith("."):
            (folder / entry.name).symlink_to(entry)
    shutil.copytree(demo.home, folder / ".statewide")
    template = conninfo.conninfo_to_dict(demo.require_database_url())["dbname"]
    for settings in cloned(str(template), folder / ".statewide"):
        yield folder, environment(settings)


def environment(settings: Settings) -> dict[str, str]:
    """Ours, with the commands of this Python first, as in an activated .venv."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "STATEWIDE_DATABASE_URL": settings.require_database_url(),
        "STATEWIDE_HOME": str(settings.home),
    }


@contextmanager
def server(folder: Path, env: dict[str, str]) -> Iterator[str]:
    """A server on a free port; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = f"http://127.0.0.1:{port}"
    with (folder.parent / "server.log").open("w") as log:
        process = subprocess.Popen(["statewide", "serve", "--port", port], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            for _ in range(150):
                try:
                    urllib.request.urlopen(f"{address}/health", timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None, Path(log.name).read_text()
                    time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=20)


RUN = [path for path in DOCS if any(block.info == "sh" for block in blocks(path))]


@pytest.mark.parametrize("path", RUN, ids=name)
def test_the_commands_of_a_document_run_and_print_what_it_says(
    path: Path, checkout: tuple[Path, dict[str, str]]
) -> None:
    folder, env = checkout
    found = blocks(path)
    missing = set()
    with (
        server(folder, env) if any(SERVER in block.text for block in found if block.info == "sh") else no_server() as at
    ):
        for block, after in zip(found, [*found[1:], None], strict=True):
            if block.info != "sh":
                continue
            lacking = {program for program in PROGRAMS if program in block.text and not shutil.which(program)}
            missing |= lacking
            if lacking:
                continue
            result = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text.replace(SERVER, at)],
                cwd=folder, env=env, text=True, timeout=60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            printed = result.stdout.replace(at, SERVER) if at else result.stdout
            where = f"{name(path)}:{block.line}\n{block.text}\nprinted\n{printed}"
            stated = re.search(r"# exit code (\d)", block.text)
            assert result.returncode == int(stated[1] if stated else 0), where
            if after is not None and after.info == "text":
                assert says(after.text, printed), f"{where}\nand not, as the document says,\n{after.text}"
    if missing:
        pytest.skip(f"all ran but the blocks that need {', '.join(sorted(missing))}, which are not installed")


@contextmanager
def no_server() -> Iterator[str]:
    yield ""


def says(expected: str, printed: str) -> bool:
    """Whether the text is what was printed; `…` stands for anything, on a line of its own for any lines.

    How far lines are indented does not matter.
    """
    lines = [line.strip() for line in expected.splitlines()]
    pattern = "".join("(?:.*\n)*?" if line == "…" else f"{re.escape(line).replace('…', '.*')}\n" for line in lines)
    return re.fullmatch(pattern, "".join(f"{line.strip()}\n" for line in printed.splitlines())) is not None


# ── what is named exists ─────────────────────────────────────────────────────────────────────────────────────────────


def commands() -> dict[tuple[str, ...], Any]:
    """Every command and group by its words, those of the rooms among them; typer has its own copy of click."""
    found: dict[tuple[str, ...], Any] = {}

    def walk(words: tuple[str, ...], command: Any) -> None:
        found[words] = command
        for word, inner in getattr(command, "commands", {}).items():
            walk((*words, word), inner)

    walk(("statewide",), typer.main.get_command(app))
    for room in entry_points(group="statewide.commands"):
        walk(("statewide", room.name), typer.main.get_command(room.load()))
    return found


COMMANDS = commands()


def runs(command: Any) -> bool:
    """Whether it does something by itself, and is not only a name for several."""
    return not hasattr(command, "commands") or command.invoke_without_command


def typed(path: Path) -> Iterator[list[str]]:
    """The commands that a document shows, in its blocks and in its text, as words."""
    for block in blocks(path):
        if block.info in ("sh", "console"):
            for line in block.text.replace("\\\n", " ").splitlines():
                yield words_of(line)
    for span in spans(path):
        yield words_of(span)


def words_of(line: str) -> list[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # a piece of something else, with half a quotation in it
        return []
    while words and (words[0] == "sudo" or re.match(r"[A-Z_]+=", words[0])):
        words = words[1:]
    return words


def spans(path: Path) -> list[str]:
    """Inline code of a document, outside of its blocks."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`]+)`", text)


def command_of(words: list[str]) -> tuple[str, ...] | None:
    """Which of our commands the words are, if they are one."""
    if words[:1] != ["statewide"]:
        return None
    known = [tuple(words[:count]) for count in range(1, len(words) + 1) if tuple(words[:count]) in COMMANDS]
    return known[-1]


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_every_command_in_a_document_exists_with_its_options(path: Path) -> None:
    for words in typed(path):
        command = command_of(words)
        options = [word.split("=")[0] for word in words if word.startswith("--")]
        if command is not None:
            assert runs(COMMANDS[command]) or len(words) == len(command), words
            offered = {text for parameter in COMMANDS[command].params for text in parameter.opts} | {"--help"}
            assert set(options) <= offered, words
        elif words and words[0].startswith("scripts/"):
            script = ROOT / words[0]
            assert os.access(script, os.X_OK), words
            passed_on = {"scripts/serve": ("statewide", "serve")}.get(words[0])
            offered = (
                {text for parameter in COMMANDS[passed_on].params for text in parameter.opts} if passed_on else set()
            )
            assert all(option in offered or option in help_of(words) for option in options), words


def help_of(words: list[str]) -> str:
    """Where the options of a script are stated: in the script, or in what it hands them to."""
    text = (ROOT / words[0]).read_text()
    return text + (ROOT / "benchmarks" / f"{words[1]}.py").read_text() if words[0] == "scripts/bench" else text


def test_every_command_is_in_some_document() -> None:
    shown = {command for path in DOCS for words in typed(path) if (command := command_of(words))}
    leaves = {words for words, command in COMMANDS.items() if runs(command)}
    assert leaves - shown == set()


@pytest.mark.parametrize("words", [words for words, command in COMMANDS.items() if runs(command)], ids=" ".join)
def test_the_help_of_a_command_has_an_example_that_makes_sense(words: tuple[str, ...]) -> None:
    example = re.search(r"Example: (.*)", " ".join((COMMANDS[words].help or "").split()))
    assert example is not None
    given = shlex.split(example[1])
    assert tuple(given[: len(words)]) == words
    COMMANDS[words].make_context(" ".join(words), given[len(words) :]).close()


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_every_path_in_a_document_exists(path: Path) -> None:
    top = {entry.name for entry in ROOT.iterdir() if not entry.name.startswith(".")} - {"report"}
    for span in spans(path):
        word = span.split()[0]
        if word.split("/")[0] in top and "/" in word and not re.search(r"[<{…*]", word):
            assert (ROOT / word).exists(), span


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_every_link_in_a_document_leads_to_a_file(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_every_check_in_a_document_is_in_the_law(path: Path) -> None:
    codes = {
        span
        for span in spans(path)
        if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", span) and not span.startswith(("STATEWIDE_", "S_"))
    }
    assert codes <= load_standard().checks.keys()
