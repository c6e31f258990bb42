"""A fault of ours: its trace may quote a value, so it goes where only the owner reads it, never to a screen."""

from __future__ import annotations

import datetime as dt
import traceback
from pathlib import Path


def keep_trace(home: Path, error: Exception) -> str:
    """Write the trace below the platform's home; returns the sentence that tells the kind of fault and where it is."""
    what = f"This is a fault of ours ({type(error).__name__}). Please report it; the trace"
    try:
        folder = home / "faults"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = folder / f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S%f}.txt"
        file.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return f"{what} could not be written."
    return f"{what} is in {file}."
