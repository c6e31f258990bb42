"""A bait for hostile files: a private file of this machine, and a listener of this machine's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.corpus import Bait
from tests.hostile.harness import SECRET, Listener


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    listening = Listener()
    yield listening
    listening.close()


@pytest.fixture(scope="module")
def bait(tmp_path_factory: pytest.TempPathFactory, listener: Listener) -> Bait:
    secret = tmp_path_factory.mktemp("private") / "secret.csv"
    secret.write_text(f"a,b\n{SECRET},1\n")
    return Bait(secret, listener.url)
