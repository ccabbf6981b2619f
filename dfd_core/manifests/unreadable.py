"""Files that can't be read: a row where that will not change by itself, an error where their place is out of reach."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from dfd_core.errors import ManifestError, PlaceUnreachableError

_LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
_MAY_PASS = frozenset({407, 408, 425, 429})
_CLIENTS = ("aiohttp", "botocore", "httpx", "requests")
_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def made_up_id(url: str) -> str:
    """The sample id of a file that could not be read when its manifest was built: no file has this digest."""
    return hashlib.sha256(f"unreadable {url}".encode()).hexdigest()


def instead_of_a_file(path: str) -> str | None:
    """What a local path leads to, such as a pipe, which must not be opened: it may have no end, or none who writes.

    Returns:
        It in words; `None` for a file, a folder, or nothing.
    """
    try:
        kind = stat.S_IFMT(Path(path).stat().st_mode)
    except OSError:
        return None
    return f"it is {_KINDS[kind]} and no file" if kind in _KINDS else None


def is_lasting(error: BaseException) -> bool:
    """Whether a file can't be read because of itself: not there, not allowed, or refused by a server that is there."""
    status = _status(error)
    return isinstance(error, _LASTING) or (status is not None and 400 <= status < 500 and status not in _MAY_PASS)


def is_out_of_reach(error: BaseException) -> bool:
    """Whether it is the place that does not answer; where an error does not say, it is not."""
    if is_lasting(error):
        return False
    client = type(error).__module__.partition(".")[0]  # not imported for this alone
    return isinstance(error, ConnectionError | TimeoutError) or _status(error) is not None or client in _CLIENTS


def fault_of(error: BaseException, message: str) -> ManifestError:
    """The error for a place that can't be listed or a file that says what a manifest has; `message` says which."""
    return (PlaceUnreachableError if is_out_of_reach(error) else ManifestError)(message)


def _status(error: BaseException) -> int | None:
    """The status of an HTTP answer, as the errors of aiohttp and gcsfs have it and those that keep the answer."""
    holders = ((error, "status"), (getattr(error, "response", None), "status_code"), (error, "code"))
    found = (getattr(holder, name, None) for holder, name in holders)  # in this order: aiohttp warns of its `code`
    return next((one for one in found if isinstance(one, int)), None)


def folder_gone(error: BaseException) -> str | None:
    """The folder that should hold a local file and is not there either; `None` where it is there, or elsewhere."""
    name = error.filename if isinstance(error, FileNotFoundError | NotADirectoryError) else None
    if not isinstance(name, str) or not Path(name).is_absolute():
        return None
    folder = Path(name).parent
    return None if os.path.isdir(folder) else str(folder)  # noqa: PTH112 - where it may not be looked at, no error
