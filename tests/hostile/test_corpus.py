"""The whole catalogue of bad input through the reader: every file gets the verdict that it is due, and nothing else.

Everything here is made by the tests themselves. A family is one test, for speed; a failure names its files.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hostile.corpus import Bait, Entry, families
from tests.hostile.harness import MEMORY_MIB, READERS, Listener, MemoryWatch, Tally, examine

LEAST_FILES = 200


@dataclass
class Watch:
    """What is kept over all families: a bait for them, and what happened."""

    bait: Bait
    listener: Listener
    memory: MemoryWatch
    tally: Tally


@pytest.fixture(scope="module")
def watch(bait: Bait, listener: Listener) -> Iterator[Watch]:
    memory = MemoryWatch()
    yield Watch(bait, listener, memory, Tally())
    memory.close()


@pytest.mark.parametrize("family", families())
def test_every_file_gets_its_verdict(watch: Watch, tmp_path: Path, family: str) -> None:
    def judge(numbered: tuple[int, Entry]) -> str | None:
        number, entry = numbered
        complaint = _examined(entry, tmp_path / str(number), watch)
        return complaint and f"{family}: {entry.name}: {complaint}"

    with ThreadPoolExecutor(READERS) as pool:
        wrong = [complaint for complaint in pool.map(judge, enumerate(families()[family](watch.bait))) if complaint]
    assert not wrong, "\n" + "\n".join(wrong)
    assert watch.listener.hits == []


def _examined(entry: Entry, home: Path, watch: Watch) -> str | None:
    folder, work = home / "delivery", home / "work"
    folder.mkdir(parents=True)
    work.mkdir()
    try:
        return examine(entry, folder, work, watch.tally)
    finally:
        shutil.rmtree(home)


def test_the_corpus_as_a_whole(watch: Watch, capsys: pytest.CaptureFixture[str]) -> None:
    """Run after the families: the figures that the issue asks for."""
    if not watch.tally.files:
        pytest.skip("the families were not run")
    with capsys.disabled():
        print("\n" + watch.tally.line(len(watch.listener.hits), watch.memory.peak))  # noqa: T201 - the figures
    assert watch.tally.leaks == 0
    assert watch.listener.hits == []
    assert watch.memory.peak < MEMORY_MIB


def test_the_names_of_the_corpus_are_its_own(watch: Watch) -> None:
    names = [(family, entry.name) for family, entries in families().items() for entry in entries(watch.bait)]
    assert len(names) == len(set(names)) >= LEAST_FILES
