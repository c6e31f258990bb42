"""Running the throwaway reader of a delivery: this side holds the clock, and ends what does not end itself."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from statewide.sandbox import ENVIRONMENT

_lock = threading.Lock()
_idle: list[_Server] = []


def warm_up() -> None:
    """Start loading the reader's libraries in the background, while this process is busy with other things."""
    with _lock:
        if not _idle:
            _idle.append(_Server())


def run(request: Path, out: Path, seconds: float) -> int:
    """Read what the request says, in a process of its own, and give its exit code (negative: the signal that ended it).

    Raises:
        TimeoutError: it took longer and was ended.
    """
    with _lock:
        while _idle and _idle[-1].ended():
            _idle.pop().end()
        server = _idle.pop() if _idle else _Server()
    code = server.run(request, out, seconds)
    with _lock:
        _idle.append(server)
    return code


class _Server:
    """A process that has the libraries loaded and forks a reader per order; one order at a time."""

    def __init__(self) -> None:
        environment = ENVIRONMENT | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        if "LD_LIBRARY_PATH" in os.environ:
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", "statewide.reading_server"],
            cwd="/",
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # two answers may come at once; a buffer would hide the second one from select
            start_new_session=True,
        )
        atexit.register(self.end)

    def run(self, request: Path, out: Path, seconds: float) -> int:
        """As `run` of the module; where it raises, this server is done for."""
        assert self._process.stdin is not None
        order = json.dumps({"request": str(request), "out": str(out)})
        try:
            self._process.stdin.write(f"{order}\n".encode())
            self._process.stdin.flush()
            child = self._answer(seconds)
            try:
                return self._answer(seconds)
            except BaseException:  # too long, or Ctrl-C
                _end(os.kill, child)
                raise
            finally:  # nothing that the reader may have started outlives it: the group is its own
                _end(os.killpg, child)
        except BaseException:
            self.end()
            raise

    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def end(self) -> None:
        """End the process, and a reader that it has just forked; whoever else holds its pipes is not waited for."""
        _end(os.killpg, self._process.pid)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait()
        atexit.unregister(self.end)

    def _answer(self, seconds: float) -> int:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        if not ready:
            raise TimeoutError
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the reading server ended")
        return int(line)


def _end(signalled: Callable[[int, int], None], child: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        signalled(child, signal.SIGKILL)
