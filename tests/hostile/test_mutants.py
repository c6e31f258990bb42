"""Chance: whatever damage does to a file, this process lives on, and no reading is short without a word.

STATEWIDE_MUTANTS says how many mutants of each format; they are the same ones on every machine.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from statewide.errors import InputError
from statewide.files import Limits, Reading, read
from tests.hostile.harness import leaks
from tests.hostile.mutants import Mutant, mutant, sources

MUTANTS = int(os.environ.get("STATEWIDE_MUTANTS") or (200 if os.environ.get("CI") else 40))
LIMITS = Limits(wall_seconds=20, cpu_seconds=15)


@pytest.mark.parametrize("kind", sources())
def test_damage_is_refused_or_said(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes: Counter[str] = Counter()
    wrong = []
    for number in range(MUTANTS):
        made = mutant(kind, number)
        outcome, complaint = _outcome(made, tmp_path)
        outcomes[outcome] += 1
        if complaint:
            wrong.append(f"{kind} {number} ({made.how}): {complaint}")
    with capsys.disabled():
        print(f"\nmutants of {kind}: {', '.join(f'{n} {outcome}' for outcome, n in outcomes.most_common())}", end="")  # noqa: T201
    assert not wrong, "\n" + "\n".join(wrong)


def _outcome(made: Mutant, home: Path) -> tuple[str, str | None]:
    work = home / "work"
    work.mkdir()
    path = (home / "mutant").with_suffix(made.suffix)
    path.write_bytes(made.content)
    try:
        reading = read(path, work=work, limits=LIMITS)
        if leaks(reading, "", work):
            return "leaked", "leaked"
        return _judged(made, reading)
    except InputError as refused:
        said = str(refused)
        return "unforeseen" if "does not know" in said else "given up" if "longer than" in said else "refused", None
    except Exception as error:
        return "crashed", f"ended in {type(error).__name__}: {error}"
    finally:
        shutil.rmtree(work)


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
