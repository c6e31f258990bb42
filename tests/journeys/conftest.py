"""A town that delivers again and again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cadastral.meeting import submit
from statewide.intake import Outcome, Request
from statewide.settings import Settings
from tests.towns import Fabric, found_alder, write


@pytest.fixture
def deliver(settings: Settings, tmp_path: Path) -> Callable[..., Outcome]:
    """Deliver a fabric of the invented town Alder; returns the outcome."""
    found_alder(settings)
    count = 0

    def go(
        fabric: Fabric, *, year: int = 2025, kind: str = "geopackage", epsg: int | None = 6434, **options: Any
    ) -> Outcome:
        nonlocal count
        count += 1
        file = write(fabric, tmp_path / f"delivery-{count}", kind=kind, epsg=epsg)
        return submit(settings, Request(file, "alder", year, **options), lambda message: None)

    return go
