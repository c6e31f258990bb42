"""Chance: whatever damage does to a file, this process lives on, and no reading is short without a word.

STATEWIDE_MUTANTS says how many mutants of each format; they are the same ones on every machine.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from statewide.errors import InputError
from statewide.files import Limits, Reading, read
from tests.hostile.harness import READERS, leaks
from tests.hostile.mutants import ROWS, Mutant, mutant, sources

MUTANTS = int(os.environ.get("STATEWIDE_MUTANTS") or (200 if os.environ.get("CI") else 40))
LIMITS = Limits(wall_seconds=20, cpu_seconds=15)


@pytest.mark.parametrize("kind", sources())
def test_damage_is_refused_or_said(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes: Counter[str] = Counter()
    wrong = []

    def judge(number: int) -> tuple[int, Mutant, tuple[str, str | None]]:
        made = mutant(kind, number)
        return number, made, _outcome(made, tmp_path / str(number))

    with ThreadPoolExecutor(READERS) as pool:
        for number, made, (outcome, complaint) in pool.map(judge, range(MUTANTS)):
            outcomes[outcome] += 1
            if complaint:
                wrong.append(f"{kind} {number} ({made.how}): {complaint}")
    with capsys.disabled():
        print(f"\nmutants of {kind}: {', '.join(f'{n} {outcome}' for outcome, n in outcomes.most_common())}", end="")  # noqa: T201
    assert not wrong, "\n" + "\n".join(wrong)


def test_a_short_reading_would_be_seen(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    path = tmp_path / "whole.geojson"
    path.write_bytes(sources()["geojson"].parts[""])
    whole = read(path, work=work)
    made = Mutant(".geojson", b"", ROWS, "nothing")
    assert _judged(made, whole) == ("read", None)
    assert _judged(made, replace(whole, rows_read=ROWS - 1, rows_counted=ROWS - 1))[0] == "short"
    assert _judged(made, replace(whole, rows_read=ROWS - 1))[0] == "read with a finding"


def _outcome(made: Mutant, home: Path) -> tuple[str, str | None]:
    work = home / "work"
    work.mkdir(parents=True)
    path = (home / "mutant").with_suffix(made.suffix)
    path.write_bytes(made.content)
    try:
        reading = read(path, work=work, limits=LIMITS)
        if leaks(reading, "", work):
            return "leaked", "leaked"
        return _judged(made, reading)
    except InputError as refused:
        if "does not know" in str(refused):
            return "unforeseen", f"ended in an exception of the reader's own: {str(refused.__cause__)[-300:]}"
        return "given up" if "longer than" in str(refused) else "refused", None
    except Exception as error:
        return "crashed", f"ended in {type(error).__name__}: {error}"
    finally:
        shutil.rmtree(home)


def _judged(made: Mutant, reading: Reading) -> tuple[str, str | None]:
    noted = (
        reading.rows_counted is None
        or reading.rows_counted != reading.rows_read
        or bool(reading.geometries_lost or reading.broken_rows or reading.warnings)
        or any(re.search("left out", note) for note in reading.notes)
    )
    if noted:
        return "read with a finding", None
    if reading.rows_read < made.rows:
        return "short", f"gave {reading.rows_read} rows of {made.rows} without a word"
    return "read", None
