"""Ending a run on request: long work asks now and then whether somebody wants it to stop.

A request comes from a signal, or from whoever cancels the run in the dashboard. It ends the run in three steps:

1. `checkpoint` raises at a point where the work can stop without harm. Nearly every run ends so.
2. Work that came to no checkpoint for some seconds is interrupted where it is, in the main thread and in task threads.
3. A second signal, or work that can't be interrupted, ends the process. Nothing finished is lost by that either: a
   file in the store is complete or absent. A task's thread that is deaf ends it too, also when the main thread has
   heard and is done: whoever started the thread waits for it, and so does the interpreter at its end.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from dfd_core.errors import RunCancelledError

MESSAGE = "The run was cancelled. What is finished is kept; run the same command again to continue."
STOPPING = "dfd: stopping. What is finished is kept. The same signal once more ends at once.\n"
INTERRUPT_AFTER_S = 3.0
END_AFTER_S = 6.0
"""Of a thread that neither came to a checkpoint nor could be interrupted, so that actors are gone in 10 s."""
CLEAN_UP_WITHIN_S = 30.0
TICK_S = 0.1
INTERRUPT_SIGNAL = signal.SIGUSR2

_requested = threading.Event()
_delivered = threading.Event()
_at_once = threading.Event()
_lock = threading.Lock()
_task_threads: dict[int, bool] = {}
"""Threads in which tasks are at work, and whether they came to a checkpoint since the run is to stop."""


class Interrupted(KeyboardInterrupt):
    """Raised in the middle of work; no `Exception`, so that no handler takes it for a fault of an image or a store."""


def request() -> None:
    """Asks the run in this process to stop at its next checkpoint; safe in signal handlers and threads."""
    _requested.set()


def requested() -> bool:
    """Whether somebody asked the run to stop."""
    return _requested.is_set()


def reset() -> None:
    """Forgets an earlier request, before a new run begins."""
    for event in (_requested, _delivered, _at_once):
        event.clear()


def checkpoint() -> None:
    """Called from long work at points where it can stop without harm.

    Raises:
        RunCancelledError: Somebody asked the run to stop.
    """
    if _requested.is_set():
        _note_delivery()
        raise RunCancelledError(MESSAGE)


@contextmanager
def interruptible() -> Iterator[None]:
    """Work of a task in a thread of a pool, which may be interrupted when it comes to no checkpoint."""
    ident = threading.get_ident()
    if _on_main_thread():
        yield
        return
    with _lock:
        _task_threads[ident] = False
    try:
        yield
    finally:
        with _lock:
            del _task_threads[ident]


@contextmanager
def guarded(end: Callable[[], None], signals: tuple[int, ...]) -> Iterator[None]:
    """While a run goes on: signals become requests, and a request that nobody heeds becomes an interrupt, then the end.

    Task threads that are still at work when a run that was to stop is over are watched on.

    Args:
        end: Called before the process is ended the hard way, from a thread; must not take long.
        signals: The signals that ask the run to stop.
    """
    over = threading.Event()
    guard = threading.Thread(target=_guard, args=(over, end), name="dfd-cancelling", daemon=True)
    with _handlers({**dict.fromkeys(signals, _on_signal), INTERRUPT_SIGNAL: _on_interrupt}):
        guard.start()
        try:
            yield
        finally:
            over.set()


@contextmanager
def signals_as_requests(signals: tuple[int, ...]) -> Iterator[None]:
    """Takes the signals again after another handler took their place."""
    with _handlers(dict.fromkeys(signals, _on_signal)):
        yield


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """SIGTERM raises as Ctrl-C does, for work that has no checkpoints."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted(MESSAGE)

    with _handlers({signal.SIGTERM: interrupt, signal.SIGINT: interrupt}):
        yield


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    if _requested.is_set():
        _at_once.set()
    else:
        _requested.set()
        os.write(2, STOPPING.encode())  # `print` may be interrupted in the middle of itself


def _on_interrupt(_number: int, _frame: FrameType | None) -> None:
    if not _delivered.is_set():
        _delivered.set()
        raise Interrupted(MESSAGE)


def _guard(over: threading.Event, end: Callable[[], None]) -> None:
    since = 0.0
    interrupted = False
    while not over.is_set() or (_requested.is_set() and _task_threads):
        time.sleep(TICK_S)
        if not _requested.is_set():
            continue
        now = time.monotonic()
        since = since or now
        if now - since > INTERRUPT_AFTER_S and not interrupted:
            interrupted = True
            _interrupt(main_too=not over.is_set() and not _delivered.is_set())
        with _lock:
            heard = (over.is_set() or _delivered.is_set()) and all(_task_threads.values())
        limit_s = CLEAN_UP_WITHIN_S if heard else END_AFTER_S
        if _at_once.is_set() or now - since > limit_s:
            _end_the_process(end)


def _interrupt(main_too: bool) -> None:
    main = threading.main_thread().ident
    if main is not None and main_too:
        signal.pthread_kill(main, INTERRUPT_SIGNAL)  # also ends what the main thread waits for
    with _lock:
        for ident in _task_threads:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Interrupted))


def _end_the_process(end: Callable[[], None]) -> None:
    last_words = threading.Thread(target=end, daemon=True)  # it must not hold up the end
    last_words.start()
    last_words.join(timeout=3.0)
    sys.stdout.flush()
    os.write(2, f"dfd: {MESSAGE}\n".encode())
    os._exit(1)


def _note_delivery() -> None:
    if _on_main_thread():
        _delivered.set()
        return
    ident = threading.get_ident()
    with _lock:
        if ident in _task_threads:
            _task_threads[ident] = True


def _on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _handlers(wanted: dict[int, Callable[[int, FrameType | None], None]]) -> Iterator[None]:
    if not _on_main_thread():  # Python handles signals there alone
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
