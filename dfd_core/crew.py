"""Threads that wait for a disk or a network, and can be left behind while they do."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self, TypeVar

T = TypeVar("T")
_GRACE_S = 0.2


class Stopped(Exception):  # noqa: N818 - another thread has the error
    """Somebody else failed, or the work is to stop."""


class Crew:
    """Threads for the jobs of one undertaking, which begins and ends with a `with`.

    At its end, whatever the reason, a job that has not begun never does, and a thread that still works or waits is left
    behind. It is a daemon: the interpreter waits at its own end for the threads of `concurrent.futures`. When it
    wakes up, the files that it wrote to may be somebody else's; so what it changes, it changes by `act`.

    Args:
        size: How many threads.
    """

    def __init__(self, size: int) -> None:
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self.threads = [threading.Thread(target=self._serve, name="dfd-crew", daemon=True) for _ in range(size)]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with self.lock:  # what is being changed now is changed to its end
            pass
        for _thread in self.threads:
            self.jobs.put(None)
        deadline = time.monotonic() + _GRACE_S
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def give(self, job: Callable[[], T]) -> Future[T]:
        """Has a job done by the next thread that is free."""
        future: Future[T] = Future()
        self.jobs.put((future, job))
        return future

    def act(self, change: Callable[..., T], *arguments: Any) -> T:
        """Makes a change, one thread at a time and none after the end.

        Raises:
            Stopped: This is the end.
        """
        with self.lock:
            if self.over.is_set():
                raise Stopped
            return change(*arguments)

    def pause(self, seconds: float) -> None:
        """Waits.

        Raises:
            Stopped: The end came first.
        """
        if self.over.wait(seconds):
            raise Stopped

    def _serve(self) -> None:
        while (given := self.jobs.get()) is not None and not self.over.is_set():
            future, job = given
            try:
                future.set_result(job())
            except BaseException as error:  # it is raised where the result is asked for
                future.set_exception(error)
