"""Many deliveries at once: one process per core, each delivery in one of them from its first step to its last.

Towns do not wait for one another: each delivery is a transaction of its own. What goes wrong with one is its result,
and the others go on.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol

from statewide import reading_process
from statewide.errors import EXIT_PLATFORM, StatewideError
from statewide.faults import keep_trace
from statewide.settings import Settings


@dataclass(frozen=True)
class Failed:
    """A delivery that came to no outcome: the sentence for its sender, and the exit code of its kind."""

    sentence: str
    exit_code: int


class Job(Protocol):
    """One delivery to take in; it travels to another process, so it must pickle."""

    def __call__(self, settings: Settings) -> dict[str, Any]:
        """Take it in and give its summary."""


def run_all(
    settings: Settings, jobs: Sequence[Job], done: Callable[[int, dict[str, Any] | Failed], None]
) -> list[dict[str, Any] | Failed]:
    """Run the jobs on every core there is; the results are in the order of the jobs.

    Args:
        done: told of each as it ends: its place, and its result.
    """
    results: dict[int, dict[str, Any] | Failed] = {}
    workers = min(len(os.sched_getaffinity(0)), len(jobs))
    # Not forked: this process may hold threads and connections.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=reading_process.warm_up) as pool:
        waiting: dict[Future[dict[str, Any] | Failed], int] = {
            pool.submit(_run, job, settings): place for place, job in enumerate(jobs)
        }
        for future in as_completed(waiting):
            place = waiting[future]
            try:
                results[place] = future.result()
            except BrokenProcessPool:
                results[place] = Failed("The process that took it in was ended from outside.", EXIT_PLATFORM)
            done(place, results[place])
    return [results[place] for place in range(len(jobs))]


def _run(job: Job, settings: Settings) -> dict[str, Any] | Failed:
    try:
        return job(settings)
    except StatewideError as error:
        return Failed(str(error), error.exit_code)
    except Exception as error:
        return Failed(keep_trace(settings.home, error), EXIT_PLATFORM)
