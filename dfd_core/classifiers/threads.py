"""One thread for small fits: handing out so little work costs libraries more than doing it.

On 1,600 x 512 vectors, a logistic regression took 28 CPU-seconds with two BLAS threads on a busy machine, which wait
for each other in loops, and 1.2 with one. Several fits at a time are run by several processes instead.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

SMALLEST_ROWS = 5000
"""Below, one thread; from there on the libraries' own choice."""

_lock = threading.Lock()
_inside = 0
_limits = contextlib.ExitStack()


@contextlib.contextmanager
def threads_for(rows: int) -> Iterator[None]:
    """Holds the libraries of this process to one thread while something small is computed.

    The limit is the process's: of calls that overlap, the first sets it and the last takes it away.

    Args:
        rows: N, of the vectors that are fitted or scored.
    """
    if rows >= SMALLEST_ROWS:
        yield
        return
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside  # noqa: PLW0603
    from threadpoolctl import threadpool_limits

    with _lock:
        if not _inside:
            _limits.enter_context(threadpool_limits(1))
        _inside += 1


def _leave() -> None:
    global _inside  # noqa: PLW0603
    with _lock:
        _inside -= 1
        if not _inside:
            _limits.close()
