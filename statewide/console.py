"""What a command prints: its result on standard output, progress and errors on standard error."""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn


def emit(as_json: bool, result: dict[str, Any], text: str) -> None:
    """Print the result: one JSON object, or the text for a reader."""
    sys.stdout.write((json.dumps(result, ensure_ascii=False, default=str) if as_json else text) + "\n")
    sys.stdout.flush()


def progress(message: str) -> None:
    """Tell a person at a terminal what goes on; silent in pipes and scripts."""
    if sys.stderr.isatty():
        sys.stderr.write(f"  {message}\n")


def fail(error: object, code: int) -> NoReturn:
    """End with one sentence on standard error."""
    sys.stderr.write(f"statewide: {error}\n")
    sys.exit(code)
