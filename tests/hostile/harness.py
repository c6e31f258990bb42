"""What watches a reading from outside: did anything get out, was anyone called, how long and how large was it?"""

from __future__ import annotations

import os
import re
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from statewide.errors import InputError
from statewide.files import Limits, Reading, read
from tests.hostile.corpus import Delivered, Entry, Read, Refused

SECRET = "the-content-of-a-private-file"
SECONDS = 30
MEMORY_MIB = 1536
READERS = min(4, os.cpu_count() or 1)
"""How many files are read at a time; each in a process of its own."""
LIMITS = Limits(wall_seconds=SECONDS, cpu_seconds=SECONDS)

_PRIVATE = re.compile(rb"the-content-of-a-private-file|root:[^:\n]{0,9}:0:0:")


class Listener:
    """Counts who connects to a port of this machine's own; answers nothing."""

    def __init__(self) -> None:
        self.hits: list[bytes] = []
        hits = self.hits

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(2)
                with suppress(OSError):
                    hits.append(self.request.recv(200))
                    self.request.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class MemoryWatch:
    """The most memory (MiB, resident) that any process started from this one has held, seen every few milliseconds."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            for pid in _descendants(os.getpid()):
                with suppress(OSError, ValueError):
                    status = Path(f"/proc/{pid}/status").read_text()
                    if held := re.search(r"VmHWM:\s+(\d+) kB", status):
                        self.peak = max(self.peak, int(held[1]) / 1024)


def _descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))


@dataclass
class Tally:
    """What came of the whole corpus."""

    files: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    leaks: int = 0
    slowest: tuple[float, str] = (0.0, "")

    def line(self, hits: int, memory: float) -> str:
        verdicts = ", ".join(f"{name} {count}" for name, count in sorted(self.verdicts.items()))
        seconds, name = self.slowest
        return (
            f"hostile corpus: {self.files} files; {verdicts}; network hits {hits}, leaks {self.leaks};"
            f" slowest {seconds:.1f} s ({name}), most memory {memory:,.0f} MB"
        )


@contextmanager
def nothing_left_beside(folder: Path) -> Iterator[None]:
    """A reading writes nothing beside the sender's file (GDAL likes to) and does not change it."""
    before = _listing(folder)
    yield
    assert _listing(folder) == before, "the reading changed the sender's folder"


def _listing(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*"))


def examine(entry: Entry, folder: Path, work: Path, tally: Tally) -> str | None:
    """Read one entry as any delivery is read; what was wrong about the outcome, or None."""
    path = entry.write(folder)
    tally.files += 1
    started = time.monotonic()
    reading: Reading | None = None
    sentence, cause = "", None
    with nothing_left_beside(folder):
        try:
            reading = _read(entry, path, work)
        except InputError as refused:
            sentence, cause = str(refused), refused.__cause__
        except Exception as error:
            return f"ended in {type(error).__name__}: {error}"
    seconds = time.monotonic() - started
    tally.slowest = max(tally.slowest, (seconds, entry.name))
    kind = "refused" if reading is None else "accepted" if not _noted(reading) else "read with a finding"
    tally.verdicts[kind] = tally.verdicts.get(kind, 0) + 1
    if private := leaks(reading, sentence, work):
        tally.leaks += 1
        return f"leaked into {private}"
    if seconds > SECONDS + 5:
        return f"took {seconds:.0f} seconds"
    if reading is None:
        complaint = _wrong_refusal(entry, path.name, sentence)
        return f"{complaint} {str(cause)[-300:]}" if complaint and "does not know" in sentence else complaint
    return _wrong_reading(entry, reading)


def _read(entry: Entry, path: Path, work: Path) -> Reading:
    return read(path, work=work, layer=entry.layer, shapes=entry.shapes, limits=LIMITS)


def leaks(reading: Reading | None, sentence: str, work: Path) -> str | None:
    """Where a private file's content turned up: the sentence, the reading, or any file that the reading left."""
    if _PRIVATE.search(sentence.encode()):
        return "the sentence"
    if reading is not None:
        if _PRIVATE.search(repr(reading).encode(errors="replace")):
            return "the reading"
        for column in reading.table.columns:
            for chunk in column.chunks:
                if any(buffer is not None and _PRIVATE.search(buffer) for buffer in chunk.buffers()):
                    return "the table"
    for file in work.rglob("*"):
        if file.is_file() and _PRIVATE.search(file.read_bytes()):
            return str(file.relative_to(work))
    return None


def _noted(reading: Reading) -> bool:
    short = reading.rows_counted is not None and reading.rows_counted != reading.rows_read
    return bool(short or reading.geometries_lost or reading.broken_rows or reading.warnings)


def _wrong_refusal(entry: Entry, name: str, sentence: str) -> str | None:
    if not isinstance(entry.verdict, Refused):
        return f"was refused: {sentence}"
    if "\n" in sentence or len(sentence) > 600 or not (sentence.startswith(f"{name} ") and sentence.endswith(".")):
        return f"was refused in what is not one clear sentence: {sentence!r}"
    if re.search(entry.verdict.said, sentence.removeprefix(name)) is None or "does not know" in sentence:
        return f"was refused, but not for {entry.verdict.said!r}: {sentence}"
    return None


def _wrong_reading(entry: Entry, reading: Reading) -> str | None:
    verdict = entry.verdict
    if isinstance(verdict, Refused):
        return f"was read ({reading.rows_read} rows, warnings {reading.warnings}) and should be refused"
    if isinstance(verdict, Delivered):
        raise TypeError("what only the walk after the reading can judge is not for the reader alone")
    found = _facts(reading)
    wanted = {
        "rows": verdict.rows,
        "counted": verdict.rows if verdict.counted == "rows" else verdict.counted,
        "lost": verdict.lost,
        "broken": verdict.broken,
    }
    wrong = [f"{name} is {found[name]!r}, not {value!r}" for name, value in wanted.items() if found[name] != value]
    wrong += _wrong_content(verdict, reading)
    said = " | ".join(reading.warnings)
    if verdict.said is None and said:
        wrong.append(f"warned of {said}")
    elif verdict.said is not None and re.search(verdict.said, said) is None:
        wrong.append(f"did not warn of {verdict.said!r} but of {said!r}")
    return "; ".join(wrong) or None


def _facts(reading: Reading) -> dict[str, object]:
    return {
        "rows": reading.rows_read,
        "counted": reading.rows_counted,
        "lost": reading.geometries_lost,
        "broken": reading.broken_rows,
    }


def _wrong_content(verdict: Read, reading: Reading) -> Iterator[str]:
    if reading.table.num_rows != reading.rows_read:
        yield f"table has {reading.table.num_rows} rows"
    if verdict.columns is not None and tuple(reading.table.column_names[1:-1]) != verdict.columns:
        yield f"columns are {reading.table.column_names[1:-1]}"
    for name, cells in verdict.cells.items():
        if name not in reading.table.column_names:
            yield f"column {name} is missing from {reading.table.column_names}"
        elif (given := reading.table[name].to_pylist()) != list(cells):
            yield f"{name} is {given!r}"
    if verdict.epsg is not None and reading.layer.crs_epsg != verdict.epsg:
        yield f"is in EPSG:{reading.layer.crs_epsg}"
    if verdict.empty is not None and reading.table["geometry"].null_count != verdict.empty:
        yield f"{reading.table['geometry'].null_count} rows have no shape"
