"""Ending a run on request: long work asks now and then whether somebody wants it to stop."""

from __future__ import annotations

import threading

from dfd_core.errors import RunCancelledError

_requested = threading.Event()


def request() -> None:
    """Asks the run in this process to stop at its next checkpoint; safe in signal handlers and threads."""
    _requested.set()


def reset() -> None:
    """Forgets an earlier request, before a new run begins."""
    _requested.clear()


def checkpoint() -> None:
    """Called from long work at points where it can stop without harm.

    Raises:
        RunCancelledError: Somebody asked the run to stop.
    """
    if _requested.is_set():
        raise RunCancelledError("The run was cancelled. What is finished is kept; the same command goes on from there.")
