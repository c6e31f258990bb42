"""Create or migrate the database: numbered steps once each, then the law's tables, views, authority lists and grants.

Everything here is safe to repeat and runs as the owner in one transaction under a lock, so two `statewide init`
at once do the work one after the other. It waits for deliveries that are being written; readers wait for it, a second
or two, and then see the new views whole.
"""

from __future__ import annotations

import time
from importlib import resources

import psycopg
from psycopg import sql

from statewide.database import API, LOADER, OWNER, RESTRICTED, Connection, connect, read_sql, run_text
from statewide.ddl import render_ddl, render_views
from statewide.register import load_authority
from statewide.settings import Settings
from statewide.standard import load_standard

_LOCK = 7100


def initialise(settings: Settings) -> list[str]:
    """Bring the database to this version of the software and of the law.

    Returns:
        Names of the numbered steps that were applied now; empty when there was nothing new.

    Raises:
        DatabaseUnavailable: PostgreSQL does not answer.
    """
    for wait in (0.1, 0.3, 1.0, 3.0):
        # Roles belong to the whole cluster, the lock to one database: another database's `init` may come between.
        try:
            return _initialise(settings)
        except psycopg.errors.InternalError as error:
            if "concurrently updated" not in str(error):
                raise
            time.sleep(wait)
    return _initialise(settings)


def _initialise(settings: Settings) -> list[str]:
    standard = load_standard()
    with connect(settings, OWNER) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        _roles(connection, settings)
        applied = _numbered_steps(connection)
        run_text(connection, render_ddl(standard))
        run_text(connection, render_views(standard))
        connection.execute(read_sql("statewide", "search_views"))
        connection.execute(read_sql("statewide", "imagery_views"))
        connection.execute(read_sql("statewide", "catalogue_views"))
        connection.execute(read_sql("statewide", "exposure"))
        load_authority(connection, standard)
        connection.execute(read_sql("statewide", "grants"))
    return applied


def _roles(connection: Connection, settings: Settings) -> None:
    for role in (LOADER, API, RESTRICTED):
        name = sql.Identifier(role)
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
        if not known:
            connection.execute(sql.SQL("CREATE ROLE {}").format(name))
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN NOINHERIT PASSWORD {}").format(name, sql.Literal(settings.role_password(role)))
        )
    database = sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(database))
    connection.execute(sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(database, sql.Identifier(LOADER)))


def _numbered_steps(connection: Connection) -> list[str]:
    connection.execute("CREATE SCHEMA IF NOT EXISTS statewide")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS statewide.migration (name text PRIMARY KEY, applied_at timestamptz DEFAULT now())"
    )
    done = {name for (name,) in connection.execute("SELECT name FROM statewide.migration").fetchall()}
    folder = resources.files("statewide") / "sql" / "migrations"
    applied = []
    for step in sorted((path for path in folder.iterdir() if path.name.endswith(".sql")), key=lambda path: path.name):
        if step.name in done:
            continue
        run_text(connection, step.read_text(encoding="utf-8"))
        connection.execute("INSERT INTO statewide.migration (name) VALUES (%s)", [step.name])
        applied.append(step.name)
    return applied
