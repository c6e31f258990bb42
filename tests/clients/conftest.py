"""The server as `statewide serve` runs it, over the small world of ``tests/api``, for clients of other makers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from psycopg import conninfo

from statewide.settings import ROOT, Settings
from tests.api.conftest import load_world


@pytest.fixture(scope="module")
def server(shared_settings: Settings) -> Iterator[str]:
    """Address of a running server."""
    load_world(shared_settings)
    with _serving(shared_settings) as address:
        yield address


@pytest.fixture
def server_without_database(shared_settings: Settings) -> Iterator[str]:
    """Address of a running server whose database does not answer."""
    url = conninfo.make_conninfo(shared_settings.require_database_url(), host="127.0.0.1", port=_free_port())
    with _serving(replace(shared_settings, database_url=url)) as address:
        yield address


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _serving(settings: Settings) -> Iterator[str]:
    port = _free_port()
    environment = {
        **os.environ,
        "STATEWIDE_HOME": str(settings.home),
        "STATEWIDE_DATABASE_URL": settings.require_database_url(),
    }
    command = [sys.executable, "-c", "from statewide.cli import main; main()", "serve", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        yield _answering(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait(10)


def _answering(address: str, process: subprocess.Popen[bytes]) -> str:
    for _ in range(150):
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(f"{address}/", timeout=2):
                return address
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError("the server does not answer")
