"""Options and plugins only; fixtures live in `postgis.py` (databases) and `towns.py` (invented deliveries)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# A slow machine is no failure, and the same commit gives the same answer to everyone.
settings.register_profile("statewide", deadline=None, derandomize=True)
settings.load_profile("statewide")

pytest_plugins = ["tests.postgis"]

SHARED_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data beside the checkout; the test says so when it is not there."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data (../shared/data) is not beside this checkout")
    return SHARED_DATA


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder for the reader to work in."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder
