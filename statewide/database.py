"""Connections to PostGIS: as the owner, as the loader, and the URL with which the API logs in.

No SQL of a domain here; longer SQL lies in the ``sql/`` folder of the package that needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import resources
from typing import Any

import psycopg
from psycopg import conninfo, sql

from statewide.errors import DatabaseBusy, DatabaseNotReady, DatabaseUnavailable, Stopped, StorageFull
from statewide.settings import Settings

Connection = psycopg.Connection[tuple[Any, ...]]

_CANCEL_SECONDS = 2
OWNER, LOADER, API, RESTRICTED = "owner", "statewide_loader", "statewide_api", "statewide_restricted"


_kept: ContextVar[dict[str, Connection] | None] = ContextVar("kept connections", default=None)


@contextmanager
def one_connection() -> Iterator[None]:
    """Inside, whoever connects after another gets its connection: a new one costs milliseconds and knows no table."""
    idle: dict[str, Connection] = {}
    token = _kept.set(idle)
    try:
        yield
    finally:
        _kept.reset(token)
        for connection in idle.values():
            connection.close()


@contextmanager
def connect(settings: Settings, role: str = LOADER) -> Iterator[Connection]:
    """A connection as `role`; commits when the block ends well, else rolls back.

    Raises:
        DatabaseUnavailable: PostgreSQL does not answer or went away.
        DatabaseNotReady: it answers, but `statewide init` has not been run.
        DatabaseBusy: another writer holds what we need for longer than we wait.
        StorageFull: its disk is full.
    """
    url = settings.require_database_url() if role == OWNER else role_url(settings, role)
    kept = _kept.get()
    try:
        connection = kept.pop(url, None) if kept is not None else None
        if connection is None:
            connection = psycopg.connect(url, connect_timeout=5, application_name="statewide")
        try:
            yield connection
            if not connection.closed:
                connection.commit()
        except BaseException as error:
            with suppress(psycopg.Error):
                if isinstance(error, Stopped):  # the server would work on at a statement that nobody waits for
                    connection.cancel_safe(timeout=_CANCEL_SECONDS)
                else:
                    connection.rollback()
            connection.close()
            raise
        if kept is None or connection.closed or url in kept:
            connection.close()
        else:
            kept[url] = connection
    except psycopg.errors.UndefinedTable as error:
        raise DatabaseNotReady("The database has no tables of ours yet: run `statewide init`.") from error
    except psycopg.errors.DiskFull as error:
        raise StorageFull("The database's disk is full; nothing was changed.") from error
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
        raise DatabaseBusy(
            "Another command is writing the same town or layer; nothing was changed. Try again when it is done."
        ) from error
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error) or "does not exist" in str(error):
            raise DatabaseNotReady("The database is not set up for us: run `statewide init`.") from error
        raise DatabaseUnavailable(
            "The database does not answer; nothing was changed. Start it (scripts/up) and try again."
        ) from error


def role_url(settings: Settings, role: str) -> str:
    """libpq connection string that logs in as one of our roles, on the owner's host and database."""
    try:
        return conninfo.make_conninfo(settings.require_database_url(), user=role, password=settings.role_password(role))
    except psycopg.ProgrammingError as error:
        raise DatabaseUnavailable(
            "STATEWIDE_DATABASE_URL is not the address of a database, such as postgresql://owner@host/statewide."
        ) from error


def api_url(settings: Settings) -> str:
    """The API's own login: it reads `published` and nothing else."""
    return role_url(settings, API)


def read_sql(package: str, name: str) -> sql.SQL:
    """A statement from ``<package>/sql/<name>.sql``."""
    text = (resources.files(package) / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    return sql.SQL(text)


def run_text(connection: Connection, text: str) -> None:
    """Run generated SQL of several statements (DDL), as text that we made ourselves."""
    connection.execute(text.encode())
