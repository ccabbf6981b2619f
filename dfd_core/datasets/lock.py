"""A file that one process at a time may write."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

_TICK_S = 0.2


@contextlib.contextmanager
def alone(target: Path, waiting: Callable[[], object]) -> Iterator[None]:
    """Has the block of a target to itself, in this process and among others, by the lock `.<name>.lock` beside it.

    Args:
        target: The file; its folder is there.
        waiting: Called several times a second while somebody else has it; may raise to stop.
    """
    lock = filelock.FileLock(target.with_name(f".{target.name}.lock"))
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_TICK_S)
        except filelock.Timeout:
            waiting()
    try:
        yield
    finally:
        lock.release()
