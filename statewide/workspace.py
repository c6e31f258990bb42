"""The folder in which a delivery is unpacked: below the platform's home, for the owner alone, and gone afterwards.

A process that was killed cannot clean up; its folder, which may hold owners' names, is swept by the next run.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def workspace(home: Path) -> Iterator[Path]:
    """A fresh folder for as long as the block runs."""
    root = home / "work"
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    _sweep(root)
    with tempfile.TemporaryDirectory(dir=root, prefix=f"{os.getpid()}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _sweep(root: Path) -> None:
    for folder in root.iterdir():
        process = folder.name.partition("-")[0]
        if process.isdigit() and not _runs(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
