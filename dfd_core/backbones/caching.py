"""Files and folders of a cache on this machine: whole or absent, and nothing for ever of a process that was killed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

_PARTIAL = ".partial-"
_ABANDONED_AFTER_S = 24 * 3600.0


@contextmanager
def whole_or_absent(target: Path) -> Iterator[Path]:
    """A place beside the target for a file or folder, which becomes the target where the block ends without an error.

    One process at a time is in the block of a target; the next finds it there, and need not write. What processes that
    are gone left in the same folder is removed first.

    Args:
        target: What is to be there; its folder is made.

    Yields:
        Where to write it, absent as yet. Where nothing is written, nothing changes.

    Raises:
        OSError: It can't be written, or a folder that is not empty stands in its place.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target.parent)
    partial = target.with_name(f"{_PARTIAL}{target.name}")
    with FileLock(_lock_of(partial)):
        _remove(partial)
        try:
            yield partial
            if partial.exists():
                os.replace(partial, target)  # noqa: PTH105
        finally:
            _remove(partial)


def why_unusable(folder: Path) -> str | None:
    """Why nothing can be kept in a folder; `None` where it can. The folder is made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"The folder {folder} can't be made ({error.strerror or error})"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"The folder {folder} can't be written"
    return None


def _sweep(folder: Path) -> None:
    """Removes what nobody is writing: its lock is free, or it has none and is older than a day."""
    for partial in folder.glob(f"{_PARTIAL}*"):
        with suppress(Timeout, FileNotFoundError):
            if _lock_of(partial).exists():
                with FileLock(_lock_of(partial), blocking=False):  # the system frees it when its process ends
                    _remove(partial)
            elif time.time() - partial.stat().st_mtime > _ABANDONED_AFTER_S:
                _remove(partial)


def _lock_of(partial: Path) -> Path:
    return partial.with_name(f".writing-{partial.name.removeprefix(_PARTIAL)}.lock")


def _remove(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
    else:
        partial.unlink(missing_ok=True)
