"""Where the work of an overlay is done: in this process, or in the workers of a Dask cluster, with the same results.

The work is cut into parts that are computed each for itself by the same function; results come back in the order of the
parts. A part carries its rows or the name of a file, never more than some megabytes, and a few parts per worker are on
their way at once: memory grows with neither.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from statewide.errors import BadArgument, PlatformError

LOCAL, DASK = "local", "dask"

_AHEAD = 3
"""Parts per worker that wait or are being computed."""


class Engine(Protocol):
    """Computes parts, in order."""

    def map[PartT, ResultT](self, work: Callable[[PartT], ResultT], parts: Iterable[PartT]) -> Iterator[ResultT]:
        """The result of each part."""


class LocalEngine:
    """One part after the other; the kernels use all processors by themselves."""

    def map[PartT, ResultT](self, work: Callable[[PartT], ResultT], parts: Iterable[PartT]) -> Iterator[ResultT]:
        """The result of each part."""
        return map(work, parts)


class DaskEngine:
    """Parts go to the workers of a cluster."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def map[PartT, ResultT](self, work: Callable[[PartT], ResultT], parts: Iterable[PartT]) -> Iterator[ResultT]:
        """The result of each part; a worker that dies is replaced by another one's work on the part.

        Raises:
            PlatformError: too many workers died over a part, or the scheduler went away.
        """
        from distributed import CancelledError, KilledWorker

        ahead = _AHEAD * max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))
        rest = iter(parts)
        waiting = deque(self._submit(work, part) for part in itertools.islice(rest, ahead))
        while waiting:
            try:
                result = waiting.popleft().result()
            except (KilledWorker, CancelledError) as error:
                raise PlatformError("The Dask cluster lost its workers or its scheduler; run it again.") from error
            yield result
            waiting.extend(self._submit(work, part) for part in itertools.islice(rest, 1))

    def _submit(self, work: Callable[[Any], Any], part: Any) -> Any:
        return self._client.submit(work, part, pure=False, retries=2)


@contextmanager
def engine(name: str = LOCAL, scheduler: str | None = None) -> Iterator[Engine]:
    """The engine of that name.

    Args:
        scheduler: address of a running Dask scheduler; without one a cluster of this machine's processors is started.

    Raises:
        BadArgument: there is no such engine, the scheduler is not for it or has no address, or Dask is not installed.
        PlatformError: no scheduler answers there.
    """
    if name not in (LOCAL, DASK):
        raise BadArgument(f"There is no engine {name!r}; there are: {LOCAL}, {DASK}.")
    if name == LOCAL:
        if scheduler:
            raise BadArgument(f"A scheduler is used with --engine {DASK} only.")
        yield LocalEngine()
        return
    try:
        import distributed
    except ImportError as error:
        raise BadArgument("Dask is not installed: pip install 'statewide[dask]'.") from error
    if scheduler:
        try:
            client = distributed.Client(scheduler, timeout=10)  # type: ignore[no-untyped-call]
        except ValueError as error:
            raise BadArgument(f"{scheduler!r} is no address of a scheduler, such as tcp://host:8786.") from error
        except OSError as error:
            raise PlatformError(f"No Dask scheduler answers at {scheduler}.") from error
        with client:
            yield DaskEngine(client)
        return
    # One thread per worker, and no page of Dask's own.
    cluster = distributed.LocalCluster(threads_per_worker=1, dashboard_address=None)  # type: ignore[no-untyped-call]
    with cluster, distributed.Client(cluster) as client:  # type: ignore[no-untyped-call]
        yield DaskEngine(client)
