"""Connections: who works after another may have its connection, and gets no trouble with it."""

from __future__ import annotations

import pytest

from statewide.database import API, connect, one_connection
from statewide.settings import Settings


def test_one_connection_serves_those_that_come_after_one_another(settings: Settings) -> None:
    with one_connection():
        with connect(settings) as first, connect(settings) as beside:
            assert first is not beside
        with connect(settings) as second:
            assert second is beside or second is first
            second.execute("CREATE TEMPORARY TABLE mine (number integer)")
        with connect(settings, API) as other_role:
            assert other_role is not second
        with pytest.raises(ZeroDivisionError), connect(settings) as third:
            assert third is second
            raise ZeroDivisionError
        assert third.closed
        with connect(settings) as fourth:
            assert fourth.execute("SELECT to_regclass('mine')").fetchone() == (None,)
    assert fourth.closed
    with connect(settings) as alone:
        pass
    assert alone.closed
