"""A throwaway database per test, cloned from a migrated template on the private cluster (or STATEWIDE_DATABASE_URL).

Skips with a reason where no PostGIS answers; in CI (`CI=true`) it fails instead, so that nothing passes unseen.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo, sql

from statewide.database import API, LOADER, RESTRICTED
from statewide.migrate import initialise
from statewide.settings import Settings, load_settings


def _owner_url() -> str:
    url = load_settings().database_url
    if url:
        try:
            psycopg.connect(url, connect_timeout=3).close()
            return url
        except psycopg.OperationalError as error:
            reason = str(error)
    else:
        reason = "no database is configured"
    message = f"these tests need PostGIS (scripts/test starts it): {reason}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def _settings(url: str, home: Path) -> Settings:
    """Settings of a test: its own home, but the cluster's passwords, since roles belong to the whole cluster."""
    real = load_settings()
    for role in (LOADER, API, RESTRICTED):
        real.role_password(role)
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(real.home / "secrets.json", home / "secrets.json")
    return Settings(home=home, database_url=url)


@pytest.fixture(scope="session")
def template_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name of a migrated, otherwise empty database."""
    owner = _owner_url()
    name = f"test_template_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        initialise(_settings(conninfo.make_conninfo(owner, dbname=name), tmp_path_factory.mktemp("template")))
        yield name
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def settings(template_database: str, tmp_path: Path) -> Iterator[Settings]:
    """A migrated database with the register of towns and no deliveries, and a home folder of its own."""
    yield from cloned(template_database, tmp_path / "home")


@pytest.fixture(scope="module")
def shared_settings(template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The same, one for all tests of a module: for reading what a module's fixture loaded."""
    yield from cloned(template_database, tmp_path_factory.mktemp("home"))


def cloned(template: str, home: Path) -> Iterator[Settings]:
    """A clone of the template for as long as the generator lives."""
    owner = _owner_url()
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        try:
            yield _settings(conninfo.make_conninfo(owner, dbname=name), home)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
