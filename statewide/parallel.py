"""Many deliveries at once: one process per core, each delivery in one of them from its first step to its last.

Towns do not wait for one another: each delivery is a transaction of its own. What goes wrong with one is its result,
and the others go on.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
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
    places = range(len(jobs))
    for place, result in _round(settings, jobs, places, len(os.sched_getaffinity(0))):
        results[place] = result
        done(place, result)
    # A process that is ended from outside takes all others along: what they left is tried once more, each alone.
    for place in [place for place in places if place not in results]:
        for _, result in _round(settings, jobs, [place], 1):
            results[place] = result
        results.setdefault(place, Failed("The process that took it in was ended from outside, twice.", EXIT_PLATFORM))
        done(place, results[place])
    return [results[place] for place in places]


def _round(
    settings: Settings, jobs: Sequence[Job], places: Sequence[int], workers: int
) -> Iterator[tuple[int, dict[str, Any] | Failed]]:
    """Run the jobs at these places; those whose process was ended from outside have no result."""
    # Not forked: this process may hold threads and connections.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(places)), mp_context=context, initializer=reading_process.warm_up)
    with pool:
        waiting = {pool.submit(_run, jobs[place], settings): place for place in places}
        for future in as_completed(waiting):
            with contextlib.suppress(BrokenProcessPool):
                yield waiting[future], future.result()


def _run(job: Job, settings: Settings) -> dict[str, Any] | Failed:
    try:
        return job(settings)
    except StatewideError as error:
        return Failed(str(error), error.exit_code)
    except Exception as error:
        return Failed(keep_trace(settings.home, error), EXIT_PLATFORM)
