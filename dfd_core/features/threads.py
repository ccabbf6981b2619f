"""A pool of threads in which no call keeps its thread for longer than a time limit.

Python can't end a thread. What a call can lose is its place: past the limit its caller gets an `ImageError`, and a new
thread takes over the next calls, so that the pool stays as wide as it was. The thread that was given up goes on until
its call returns, if it ever does.

All threads are daemons. `concurrent.futures` waits for its threads when the interpreter ends, so one decoder that hangs
would keep the process for ever.

A call that hangs while it holds Python's global lock stops the whole process, this pool included. Pillow's decoders
release the lock while they work. For the rest, a process of its own is needed: `dfd_core.features.isolation`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, ParamSpec, TypeVar

from dfd_core.errors import ImageError
from dfd_core.statuses import TIMED_OUT

P = ParamSpec("P")
T = TypeVar("T")

_LAST_CALLS_S = 1.0


class Ticket(Generic[T]):
    """One submitted call."""

    def __init__(self, pool: DeadlinePool, call: Callable[[], T]) -> None:
        self.call: Callable[[], T] | None = call
        self.started_s = 0.0
        self._pool = pool
        self._value: T | None = None
        self._error: BaseException | None = None
        self._pending = threading.Lock()  # held until there is an outcome: cheaper than an event
        self._pending.acquire()

    def result(self) -> T:
        """Waits for the call and gives what it returned, or raises what it raised.

        Raises:
            ImageError: `timed_out`, the call ran longer than the pool's limit.
            RuntimeError: The pool was closed before the call began.
        """
        while not self._pending.acquire(timeout=self._pool.patience_s()):
            self._pool.give_up_overdue()
        self._pending.release()
        if self._error is not None:
            try:
                raise self._error
            finally:
                del self  # else the error's traceback holds the ticket, which holds the error
        return self._value  # type: ignore[return-value]  # there is an outcome, and it is no error

    def settle(self, value: T | None, error: BaseException | None) -> None:
        """Sets the outcome, once."""
        self._value, self._error, self.call = value, error, None
        self._pending.release()


class _Worker:
    """One thread, what it is doing, and the time it has spent."""

    def __init__(self, pool: DeadlinePool, name: str) -> None:
        self.ticket: Ticket[object] | None = None
        self.given_up = False
        self.busy_s = self.cpu_s = 0.0
        self.thread = threading.Thread(target=pool.work, args=(self,), name=name, daemon=True)


class DeadlinePool:
    """Threads that carry out calls in the order of their submission.

    Args:
        threads: How many calls run at a time.
        timeout_s: How long one may run, counted from when it begins on its thread.
        name: How the threads' names start.
    """

    def __init__(self, threads: int, timeout_s: float, name: str = "prepare") -> None:
        if threads < 1 or not timeout_s > 0:
            raise ValueError(f"at least one thread and a time limit above 0; got {threads} and {timeout_s}")
        self.timeout_s = timeout_s
        self._name, self._n_started, self._closed = name, 0, False
        self._waiting: SimpleQueue[Ticket[object] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._given_up: list[_Worker] = []
        for _ in range(threads):
            self._add_worker()

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Ticket[T]:
        """Queues a call.

        Raises:
            RuntimeError: The pool is closed.
        """
        if self._closed:
            raise RuntimeError("the pool is closed")
        ticket: Ticket[T] = Ticket(self, lambda: function(*args, **kwargs))
        self._waiting.put(ticket)  # type: ignore[arg-type]
        return ticket

    @property
    def stuck(self) -> int:
        """Threads that were given up and still run; after closing, all that still run."""
        with self._lock:
            left = (*self._given_up, *(self._workers if self._closed else ()))
        return sum(worker.thread.is_alive() for worker in left)

    @property
    def busy_s(self) -> float:
        """Seconds of wall time spent in calls, over all threads; a call counts when it ends or is given up."""
        return sum(worker.busy_s for worker in self._all())

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU time of the threads themselves, without what libraries start beside them; only ended calls."""
        return sum(worker.cpu_s for worker in self._all())

    def close(self, finish_within_s: float | None = None) -> None:
        """Drops what has not begun, waits a second for what runs, and leaves the rest to end with the process.

        Args:
            finish_within_s: Drops nothing, and waits so long for all of it instead.
        """
        with self._lock:
            self._closed = True
            workers = list(self._workers)
        if finish_within_s is None:
            self._drop_waiting()
        for _ in workers:
            self._waiting.put(None)
        last = time.monotonic() + (_LAST_CALLS_S if finish_within_s is None else finish_within_s)
        for worker in workers:
            worker.thread.join(max(0.0, last - time.monotonic()))

    def __enter__(self) -> DeadlinePool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def patience_s(self) -> float:
        """For how long no running call can become overdue."""
        now, longest = time.monotonic(), 0.0  # what begins from now on has run for no time
        for worker in tuple(self._workers):
            if (ticket := worker.ticket) is not None:
                longest = max(longest, now - ticket.started_s)
        return min(max(0.0, self.timeout_s - longest), threading.TIMEOUT_MAX)

    def give_up_overdue(self) -> None:
        """Ends the waiting for calls that are past the limit, and puts a new thread in place of each of theirs."""
        now = time.monotonic()
        with self._lock:
            for worker in tuple(self._workers):
                ticket = worker.ticket
                if ticket is None or now < ticket.started_s + self.timeout_s:
                    continue
                worker.given_up, worker.ticket = True, None
                worker.busy_s += now - ticket.started_s
                self._workers.remove(worker)
                self._given_up.append(worker)
                message = f"decoding and preparing it took more than {self.timeout_s:g} s and was given up"
                ticket.settle(None, ImageError(TIMED_OUT, message))
                if not self._closed:
                    self._add_worker()

    def work(self, worker: _Worker) -> None:
        """What each thread does until the pool closes or gives it up."""
        while (ticket := self._waiting.get()) is not None:
            cpu_s, ticket.started_s = time.thread_time(), time.monotonic()
            worker.ticket = ticket
            assert ticket.call is not None
            value, error = _outcome(ticket.call)
            with self._lock:
                worker.cpu_s += time.thread_time() - cpu_s
                if worker.given_up:
                    return
                worker.ticket = None
                worker.busy_s += time.monotonic() - ticket.started_s
                ticket.settle(value, error)
            del ticket, value, error  # else they live until the next call

    def _drop_waiting(self) -> None:
        dropped = []
        with contextlib.suppress(Empty):  # a worker may take the last one at any moment
            while True:
                dropped.append(self._waiting.get_nowait())
        for ticket in dropped:
            if ticket is not None:
                ticket.settle(None, RuntimeError("the pool was closed before this call began"))

    def _add_worker(self) -> None:
        self._n_started += 1
        worker = _Worker(self, f"{self._name}-{self._n_started}")
        self._workers.append(worker)
        worker.thread.start()

    def _all(self) -> tuple[_Worker, ...]:
        with self._lock:
            return (*self._workers, *self._given_up)


def _outcome(call: Callable[[], object]) -> tuple[object, BaseException | None]:
    try:
        return call(), None
    except BaseException as error:  # whoever waits raises it
        return None, error
