"""What the answers of a WebDAV server mean: as an error of the system, or of a store."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

import httpx
from webdav4.client import (
    BadGatewayError,
    ClientError,
    ForbiddenOperation,
    HTTPError,
    InsufficientStorage,
    ResourceLocked,
    ResourceNotFound,
)

from dfd_core.errors import StoreError
from dfd_core.filesystems.netrc_logins import HOW_TO_LOG_IN

T = TypeVar("T")

_WAITS_S = (0.5, 1.0, 2.0)
_PASSING = {429, 500, 503, 504, 509}
_NO_WEBDAV = {405, 501}


class PastItsEndError(OSError):
    """Bytes were asked for that are behind a file's end."""


class Answers:
    """What one server's answers mean.

    Args:
        base_url: Protocol, host and port, for messages.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    @contextlib.contextmanager
    def understood(self, method: str, path: str) -> Iterator[None]:
        """Raises what an answer means.

        Raises:
            FileNotFoundError: There is no such file or folder, or not the folder that it is to be in.
            PermissionError: A login is needed, or another one.
            OSError: Full, locked, or whatever else the server says.
            StoreError: The server does not know WebDAV.
        """
        try:
            yield
        except ResourceNotFound as error:
            raise FileNotFoundError(errno.ENOENT, "no such file or folder", path) from error
        except InsufficientStorage as error:
            raise OSError(errno.ENOSPC, "the server has no space left", path) from error
        except HTTPError as error:
            raise self._fault_of(error, method, path) from error
        except ForbiddenOperation as error:
            raise self._not_allowed(403) from error
        except (ValueError, ParseError) as error:  # a page where properties were asked for
            raise self.no_webdav(method, str(error)) from error
        except ClientError as error:
            raise OSError(f"the server does not {method} it: {error}") from error

    def no_webdav(self, method: str, answer: str) -> StoreError:
        """The error of a server that takes no files."""
        return StoreError(
            f"{self.base_url} can't be a store: it takes no files by WebDAV (its answer to {method}: {answer}). Take "
            "a folder that a WebDAV server serves, a local folder, s3://, gs:// or hf://buckets/; datasets can be read "
            f"from {urlsplit(self.base_url).scheme}://."
        )

    def _fault_of(self, error: HTTPError, method: str, path: str) -> Exception:
        status = int(error.status_code)
        if status in {401, 403}:
            return self._not_allowed(status)
        if status == 409:
            return FileNotFoundError(errno.ENOENT, "no such folder", path)
        if status == 416:
            return PastItsEndError(f"{path} ends before")
        if status in _NO_WEBDAV:
            return self.no_webdav(method, f"{status} {error.response.reason_phrase}")
        return OSError(f"the server answers {status} {error.response.reason_phrase} to {method}")

    def _not_allowed(self, status: int) -> PermissionError:
        host = urlsplit(self.base_url).hostname
        return PermissionError(f"the server answers {status}. {HOW_TO_LOG_IN.format(host=host)}")


def patiently(call: Callable[[], T]) -> T:
    """Asks again where the answer may be another in a moment; not where waiting for it has taken long already."""
    for wait_s in _WAITS_S:
        try:
            return call()
        except httpx.TimeoutException:
            raise
        except (httpx.TransportError, BadGatewayError, ResourceLocked):
            pass
        except HTTPError as error:
            if error.status_code not in _PASSING:
                raise
        time.sleep(wait_s)
    return call()
