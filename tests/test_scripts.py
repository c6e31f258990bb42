"""The scripts that a newcomer types first: their manners, the lock file, and the private database cluster.

What takes minutes or changes the machine (installing packages, the whole of scripts/up) is not tried here.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file())
LOCK = (ROOT / "requirements.lock").read_text()


def run_script(name: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {key: value for key, value in os.environ.items() if not key.startswith("STATEWIDE_")}
    return subprocess.run(
        [ROOT / "scripts" / name, *words], env=known | environment, cwd="/", capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("script", [*SCRIPTS, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_a_script_can_be_run_says_what_it_is_for_and_stops_at_the_first_failure(script: Path) -> None:
    lines = script.read_text().splitlines()
    assert os.access(script, os.X_OK)
    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[1].startswith("# ")
    assert next(line for line in lines if not line.startswith("#")) == "set -euo pipefail"


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    found = subprocess.run(["shellcheck", *SCRIPTS, ROOT / ".ci" / "run"], capture_output=True, text=True)
    assert found.stdout == ""


@pytest.mark.parametrize(
    "line",
    [
        ["cluster"],
        ["cluster", "restart"],
        ["up", "--quickly"],
        ["check", "statewide"],
        ["environment", "--all"],
        ["lock", "numpy"],
        ["ingest-parcels"],
        ["ingest-parcels", "franklin.zip", "Franklin"],
        ["ingest-parcels", "--help"],
        ["ingest-addresses"],
        ["ingest-addresses", "points.zip"],
        ["ingest-addresses", "--help"],
        ["load-hazard"],
        ["load-hazard", "flood-zones", "2025-07"],
        ["load-hazard", "--help"],
    ],
    ids=" ".join,
)
def test_wrong_words_end_with_the_usage_and_code_2(line: list[str]) -> None:
    done = run_script(*line)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"usage: scripts/{line[0]}")


def test_up_says_so_when_another_program_has_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run_script("up", PORT=str(port))
    assert done.returncode == 3
    assert f"port {port} is taken" in done.stderr


def test_every_requirement_of_the_lock_has_a_version_and_hashes() -> None:
    requirements = re.split(r"\n(?=\S)", LOCK.strip())
    assert len(requirements) > 50
    for requirement in requirements:
        assert re.match(r"[a-z0-9-]+==[^ ]+ ", requirement), requirement
        assert "--hash=sha256:" in requirement


def test_the_lock_names_no_index_and_no_place() -> None:
    assert not re.search(r"://|index-url|find-links|trusted-host|^\s*#|(?:^|\s)/", LOCK, re.MULTILINE)


def test_the_lock_has_all_that_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[<>=~! ;]", line)[0].lower().replace("_", "-") for line in asked}
    locked = set(re.findall(r"^([a-z0-9-]+)==", LOCK, re.MULTILINE))
    assert names <= locked


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder for a cluster of its own, which the server's user can enter (pytest's own folders are closed to it)."""
    if not list(Path("/usr/share/postgresql").glob("*/extension/postgis.control")):
        pytest.skip("PostgreSQL with PostGIS is not installed here")
    folder = Path(tempfile.mkdtemp(prefix="statewide-"))
    folder.chmod(0o711)
    yield folder
    run_script("cluster", "stop", STATEWIDE_HOME=str(folder))
    shutil.rmtree(folder)


def cluster(home: Path, verb: str) -> subprocess.CompletedProcess[str]:
    return run_script("cluster", verb, STATEWIDE_HOME=str(home))


def url(home: Path) -> str:
    return (home / "pg" / "url").read_text().strip()


def answer(home: Path, query: str) -> object:
    with psycopg.connect(url(home), connect_timeout=5) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def test_starting_the_cluster_twice_changes_nothing(home: Path) -> None:
    assert cluster(home, "start").returncode == 0
    first = url(home)
    again = cluster(home, "start")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert url(home) == first == cluster(home, "url").stdout.strip()
    assert cluster(home, "status").stdout.startswith("running")
    assert answer(home, "select current_user || '@' || current_database()") == "statewide_owner@statewide"


def test_only_the_owner_can_read_the_url_and_only_its_password_opens_the_door(home: Path) -> None:
    assert cluster(home, "start").returncode == 0
    assert (home / "pg" / "url").stat().st_mode & 0o077 == 0
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url(home), password="guessed", connect_timeout=5)


def test_the_cluster_comes_back_after_a_crash_though_its_lock_file_names_a_living_process(home: Path) -> None:
    assert cluster(home, "start").returncode == 0
    with psycopg.connect(url(home)) as connection:
        connection.execute("create table kept as select 1 as id")
    lock_file = home / "pg" / "server" / "data" / "postmaster.pid"
    number, rest = lock_file.read_text().split("\n", 1)
    os.kill(int(number), signal.SIGKILL)
    lock_file.write_text(f"{os.getpid()}\n{rest}")
    assert cluster(home, "status").returncode == 3
    assert cluster(home, "start").returncode == 0
    assert answer(home, "select count(*) from kept") == 1


def test_the_cluster_moves_to_another_port_when_its_own_is_taken(home: Path) -> None:
    assert cluster(home, "start").returncode == 0
    assert cluster(home, "stop").returncode == 0
    port = psycopg.conninfo.conninfo_to_dict(url(home))["port"]
    with socket.create_server(("127.0.0.1", int(str(port)))):
        assert cluster(home, "start").returncode == 0
        assert psycopg.conninfo.conninfo_to_dict(url(home))["port"] != port
        assert answer(home, "select 1") == 1


def test_no_value_of_a_row_reaches_the_servers_log(home: Path) -> None:
    assert cluster(home, "start").returncode == 0
    for statement in (
        "create temp table persons (owner text primary key); insert into persons values ('CANARY'), ('CANARY')",
        "select 'CANARY'::int",
        "do $$ begin raise warning 'CANARY'; end $$; select 1",
    ):
        with psycopg.connect(url(home), autocommit=True) as connection, suppress(psycopg.Error):
            connection.execute(statement.encode())
    logs = [path.read_text() for path in (home / "pg" / "server" / "log").iterdir()]
    assert any("ready to accept connections" in text for text in logs)
    assert not any("CANARY" in text for text in logs)


def test_a_database_of_ones_own_means_no_cluster(tmp_path: Path) -> None:
    done = run_script(
        "cluster", "start", STATEWIDE_HOME=str(tmp_path / "home"), STATEWIDE_DATABASE_URL="postgresql://elsewhere/db"
    )
    assert done.returncode == 0
    assert not (tmp_path / "home").exists()
