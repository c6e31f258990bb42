"""The real server over a small world of two towns; see ``world.sql``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from starlette.testclient import TestClient

from statewide.publish.app import create_app, prepare
from statewide.settings import Settings

URL = "http://127.0.0.1:5000"


def load_world(settings: Settings) -> None:
    """Fill an empty database with the two towns."""
    with psycopg.connect(settings.require_database_url()) as connection:
        connection.execute((Path(__file__).parent / "world.sql").read_bytes())


@pytest.fixture(scope="module")
def world(shared_settings: Settings) -> Settings:
    """A database with parcels in two towns and flood zones over one."""
    load_world(shared_settings)
    return shared_settings


@pytest.fixture(scope="module")
def client(world: Settings) -> Iterator[TestClient]:
    """A client of the whole server."""
    prepare(world, URL)
    with TestClient(create_app(world), base_url=URL) as client:
        yield client
