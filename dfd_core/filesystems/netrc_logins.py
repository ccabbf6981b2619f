"""Names and passwords for web servers, from the file where other programs look for them too."""

from __future__ import annotations

import netrc
import os
from pathlib import Path

import httpx

from dfd_core.errors import StoreError

HOW_TO_LOG_IN = (
    "Put `machine {host} login NAME password SECRET` into ~/.netrc, or into the file that the variable NETRC names"
)


def netrc_file() -> str | None:
    """The file of logins that counts for this process; `None` where there is none."""
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    return str(path) if path.is_file() else None


def netrc_login() -> httpx.Auth | None:
    """Sends each server the login that the file has for it, and no other.

    Raises:
        StoreError: The file can't be read.
    """
    path = netrc_file()
    if path is None:
        return None
    try:
        return httpx.NetRCAuth(path)
    except (OSError, netrc.NetrcParseError) as error:
        raise StoreError(f"The logins in {path} can't be read: {error}. Correct or remove the file.") from error
