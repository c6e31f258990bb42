"""Bounded pools of connections that log in as `statewide_api`: read-only, timed, and apart for features and tiles.

A burst of tiles may fill its own pool and leave the features' alone. One statement per request, no transaction.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg_pool import ConnectionPool, PoolTimeout

from statewide.database import api_url
from statewide.errors import BadArgument, DatabaseNotReady, DatabaseUnavailable
from statewide.settings import Settings, load_settings

Row = tuple[Any, ...]
Purpose = Literal["features", "tiles"]


@dataclass(frozen=True)
class _Limits:
    connections: int
    seconds: int


_LIMITS: dict[Purpose, _Limits] = {"features": _Limits(8, 5), "tiles": _Limits(4, 8)}
_WAIT_SECONDS = 2.0

_pools: dict[Purpose, ConnectionPool[psycopg.Connection[Row]]] = {}
_opening = threading.Lock()


def open_pools(settings: Settings) -> None:
    """Point this process at a database; does not wait for it to answer.

    Raises:
        DatabaseUnavailable: none is configured.
    """
    url = api_url(settings)
    with _opening:
        close_pools()
        for purpose, limits in _LIMITS.items():
            _pools[purpose] = _pool(url, purpose, limits)


def close_pools() -> None:
    """Let go of every connection."""
    while _pools:
        _pools.popitem()[1].close()


def fetch(
    query: sql.Composed | sql.SQL, parameters: list[Any] | dict[str, Any], purpose: Purpose = "features"
) -> list[Row]:
    """Rows of one statement.

    Raises:
        BadArgument: a value of the request means nothing to the database (division by zero, a date in year 99999).
        DatabaseUnavailable: no answer in time, or the answer would take too long.
        DatabaseNotReady: the published views are not there.
    """
    if not _pools:
        open_pools(load_settings())
    try:
        with _pools[purpose].connection(_WAIT_SECONDS) as connection:
            return connection.execute(query, parameters).fetchall()
    except psycopg.errors.QueryCanceled:
        raise DatabaseUnavailable(
            f"The answer takes longer than {_LIMITS[purpose].seconds} seconds: ask for a smaller area or fewer rows."
        ) from None
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.InvalidSchemaName,
        psycopg.errors.InsufficientPrivilege,
    ):
        raise DatabaseNotReady("The database has no published views of this version: run `statewide init`.") from None
    except psycopg.errors.DataError:
        # The server's own sentence could quote a value; the sender knows what they sent.
        raise BadArgument("A value of the request cannot be compared: check numbers, dates and divisions.") from None
    except psycopg.errors.InternalError:
        raise BadArgument("The shape of the request crosses itself: draw it again.") from None
    except (psycopg.OperationalError, PoolTimeout):
        raise DatabaseUnavailable("The database does not answer, or is busy: try again in a moment.") from None


def _pool(url: str, purpose: Purpose, limits: _Limits) -> ConnectionPool[psycopg.Connection[Row]]:
    session = {
        "statement_timeout": f"{limits.seconds}s",
        "default_transaction_read_only": "on",
        "idle_in_transaction_session_timeout": "15s",
        "TimeZone": "UTC",
        "jit": "off",
        # A generic plan does not know how small the box is, and may walk the whole State for one street.
        "plan_cache_mode": "force_custom_plan",
    }
    return ConnectionPool(
        url,
        kwargs={
            "autocommit": True,
            "connect_timeout": 3,
            "application_name": f"statewide {purpose}",
            "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
        },
        min_size=1,
        max_size=limits.connections,
        max_idle=300,
        # Short, so that a database that comes back is found again within seconds.
        reconnect_timeout=5,
        check=ConnectionPool.check_connection,
        name=f"statewide {purpose}",
        open=True,
    )
