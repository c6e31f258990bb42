"""Every file of some folders through the reader, as strangers: what is described, what is refused, and nothing else.

For each file (a folder of a geodatabase counts as one) `statewide parcels inspect` runs with a wall of 30 s and 1.5 GB
for all that it starts. What it refuses as a table without shapes is then read as a table, the way CAMA is. Prints the
outcomes by kind of file, and each outcome that should not be.

    scripts/bench strangers FOLDER... [--list]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from statewide.errors import EXIT_DONE, EXIT_INPUT

WALL_SECONDS = 30.0
MOST_BYTES = 1536 * 1024 * 1024
OUTCOMES = ("described", "described as table", "refused by sentence", "crashed", "hung", "too much memory")
BAD = OUTCOMES[3:]


@dataclass
class Outcome:
    what: str
    said: str
    seconds: float
    peak: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--list", action="store_true", help="print what was said of each file")
    parser.add_argument("--table", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.table:
        _as_table(arguments.folders[0])
        return
    table: dict[str, Counter[str]] = defaultdict(Counter)
    slowest, largest = Outcome("", "", 0.0, 0), Outcome("", "", 0.0, 0)
    unwanted: list[str] = []
    for folder in arguments.folders:
        for path in _files(folder):
            outcome = _outcome(path)
            table[path.suffix.lower() or "(none)"][outcome.what] += 1
            if outcome.what in BAD:
                unwanted.append(f"{outcome.what}: {path}: {outcome.said}")
            slowest = max(slowest, outcome, key=lambda each: each.seconds)
            largest = max(largest, outcome, key=lambda each: each.peak)
            if arguments.list:
                print(
                    f"{outcome.what:20} {outcome.seconds:5.1f} s {outcome.peak >> 20:5} MB  {path.name}: {outcome.said}"
                )
    _print_table(table)
    print(f"slowest {slowest.seconds:.1f} s, largest {largest.peak >> 20} MB")
    print(*unwanted, sep="\n")
    sys.exit(bool(unwanted))


def _files(folder: Path) -> list[Path]:
    found = []
    for path in sorted(folder.rglob("*")):
        inside = any(parent.suffix == ".gdb" for parent in path.parents)
        if not inside and (path.is_file() or path.suffix == ".gdb"):
            found.append(path)
    return found


def _outcome(path: Path) -> Outcome:
    inspect = [str(Path(sys.executable).with_name("statewide")), "parcels", "inspect", "--json", str(path)]
    outcome = _run(inspect, "described")
    if "without shapes" in outcome.said or "one part of a map" in outcome.said:
        table = _run([sys.executable, __file__, "--table", str(path)], "described as table")
        return table if table.what != "refused by sentence" else outcome
    return outcome


def _as_table(path: Path) -> None:
    """In a process of its own, with the exit codes of `statewide`."""
    from statewide import files
    from statewide.errors import StatewideError

    with tempfile.TemporaryDirectory(prefix="statewide-strangers-") as work:
        try:
            reading = files.read(path, work=Path(work), shapes=False)
        except StatewideError as error:
            print(error, file=sys.stderr)
            sys.exit(error.exit_code)
    print(json.dumps({"file": {"kind": reading.kind}, "rows_read": reading.rows_read, "warnings": reading.warnings}))


def _run(command: list[str], described: str) -> Outcome:
    started = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    watch = _Watch(child.pid)
    watch.start()
    try:
        out, error = child.communicate(timeout=WALL_SECONDS)
    except subprocess.TimeoutExpired:
        watch.kill()
        child.communicate()
        return Outcome("hung", "", time.monotonic() - started, watch.peak)
    finally:
        watch.done.set()
    seconds = time.monotonic() - started
    said = error.decode("utf-8", "replace").strip()
    if watch.peak > MOST_BYTES:
        what = "too much memory"
    elif child.returncode == EXIT_DONE:
        result = json.loads(out)
        what = described
        said = f"{result['file']['kind']}, {result['rows_read']:,} rows {' '.join(result['warnings'])}"
    elif child.returncode == EXIT_INPUT and "does not know; export" not in said and "crashed its reader" not in said:
        what = "refused by sentence"
    else:
        what = "crashed"
    return Outcome(what, said[-400:], seconds, watch.peak)


class _Watch(threading.Thread):
    """Adds up the memory of a process and of all below it, twenty times a second, and ends them when it is too much."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.peak = 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.05):
            self.peak = max(self.peak, sum(_resident(pid) for pid in self._family()))
            if self.peak > MOST_BYTES:
                self.kill()
                return

    def kill(self) -> None:
        for pid in reversed(self._family()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _family(self) -> list[int]:
        family = [self.pid]
        for pid in family:
            try:
                family += [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            except OSError:
                continue
        return family


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _print_table(table: dict[str, Counter[str]]) -> None:
    print(f"{'kind':12}" + "".join(f"{what:>21}" for what in OUTCOMES))
    total: Counter[str] = Counter()
    for suffix, counts in sorted(table.items()):
        total += counts
        print(f"{suffix[:11]:12}" + "".join(f"{counts[what]:>21}" for what in OUTCOMES))
    print(f"{'all':12}" + "".join(f"{total[what]:>21}" for what in OUTCOMES))


if __name__ == "__main__":
    main()
