"""The same done to many files in threads, in order, so that it can be left at any moment."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from dfd_core.crew import Crew
from dfd_core.specs import is_url

Result = TypeVar("Result")
TICK_S = 0.25
KEPT_EVERY = 20_000
KEPT_EVERY_S = 10.0
"""What was found is kept after so many files or seconds, so that a killed process loses no more."""
_AHEAD = 16
_REMOTE_THREADS = 32


def threads_for(urls: Iterable[str]) -> int:
    """How many threads files are read in: many where most of the time is waiting for a server."""
    return _REMOTE_THREADS if any(map(is_url, urls)) else 2 * (os.cpu_count() or 1)


def side_by_side(
    function: Callable[..., Result], *columns: Iterable[Any], threads: int, tick: Callable[[], object] | None = None
) -> Generator[Result, None, None]:
    """The results of `function` for rows of arguments, in their order.

    Whoever stops asking, by Ctrl-C or an exception, waits for nobody: a read that hangs is left to its `Crew`.

    Args:
        function: Called in threads.
        columns: Its arguments, equally many of each.
        threads: How many.
        tick: Called several times a second while a result is waited for; may raise to stop.
    """
    ahead: deque[Future[Result]] = deque()
    with Crew(threads) as crew:
        for arguments in zip(*columns, strict=True):
            ahead.append(crew.give(functools.partial(function, *arguments)))
            if len(ahead) >= _AHEAD * threads:
                yield _result(ahead.popleft(), tick)
        while ahead:
            yield _result(ahead.popleft(), tick)


def in_batches(
    function: Callable[..., Result],
    *columns: Sequence[Any],
    threads: int,
    keep: Callable[[list[Result]], object],
    tell: Callable[[int], object],
) -> None:
    """Does the same to many files, and hands the results on now and then, what there is also when it is interrupted.

    Args:
        function: Called in threads.
        columns: Its arguments, equally many of each.
        threads: How many.
        keep: Given the results since it was called last, in their order.
        tell: Called with how many are done, several times a second; may raise to stop.
    """
    batch: list[Result] = []
    count, since = 0, time.monotonic()
    with contextlib.closing(side_by_side(function, *columns, threads=threads, tick=lambda: tell(count))) as found:
        try:
            for result in found:
                batch.append(result)
                count += 1
                tell(count)
                if len(batch) >= KEPT_EVERY or time.monotonic() - since > KEPT_EVERY_S:
                    full, batch, since = batch, [], time.monotonic()
                    keep(full)
        finally:
            if batch:
                keep(batch)


def _result(future: Future[Result], tick: Callable[[], object] | None) -> Result:
    while not future.done():
        wait([future], TICK_S)
        if tick is not None and not future.done():
            tick()
    return future.result()
