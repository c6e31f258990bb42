"""What the reader cannot know is wrong, through the whole walk of a delivery: refused, held, or named."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from cadastral.meeting import submit
from statewide.errors import InputError
from statewide.intake import Request
from statewide.settings import Settings
from tests.hostile.corpus import Delivered, Entry
from tests.hostile.deliveries import entries
from tests.hostile.harness import SECONDS
from tests.towns import found_alder


@pytest.fixture(scope="module")
def town(shared_settings: Settings) -> Settings:
    found_alder(shared_settings)
    return shared_settings


def test_what_can_be_read_and_must_not_be_believed(
    town: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = []
    outcomes: dict[str, int] = {}
    for number, entry in enumerate(entries()):
        folder = tmp_path / str(number)
        folder.mkdir()
        started = time.monotonic()
        outcome, complaint = _checked(town, entry, folder)
        seconds = time.monotonic() - started
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if seconds > SECONDS:
            complaint = f"took {seconds:.0f} seconds"
        if complaint:
            wrong.append(f"{entry.name}: {complaint}")
    with capsys.disabled():
        print(f"\nhostile deliveries: {sum(outcomes.values())} files; {outcomes}", end="")  # noqa: T201 - the figures
    assert not wrong, "\n" + "\n".join(wrong)


def _checked(town: Settings, entry: Entry, folder: Path) -> tuple[str, str | None]:
    verdict = entry.verdict
    assert isinstance(verdict, Delivered)
    request = Request(entry.write(folder), "Alder", 2025, publish=False, out=folder / "report")
    try:
        summary = submit(town, request, lambda message: None).summary
    except InputError as refused:
        return "input error", f"was refused at the door: {refused}"
    except Exception as error:
        return "crashed", f"ended in {type(error).__name__}: {error}"
    outcome, findings = summary["outcome"], summary["findings"]
    if verdict.outcome not in ("any", outcome):
        return outcome, f"is {outcome}, not {verdict.outcome}: {findings}"
    if verdict.finding is None:
        return outcome, f"has findings: {findings}" if findings else None
    if not any(re.match(verdict.finding, code) for code in findings) and verdict.finding:
        return outcome, f"has no finding {verdict.finding}: {findings}"
    return outcome, None
