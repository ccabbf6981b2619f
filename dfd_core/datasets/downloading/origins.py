"""Where the bytes of a file come from: what an origin is, and an HTTP server as one."""

from __future__ import annotations

import datetime
import email.utils
import logging
import re
from collections.abc import Iterator, Mapping
from http.cookiejar import CookieJar
from typing import NamedTuple, Protocol

import httpx

from dfd_core.errors import DownloadError, RefusedError
from dfd_core.filesystems.netrc_logins import netrc_login

TIMEOUT_S = 60.0
PASSING = {408, 425, 429, 500, 502, 503, 504, 509, 520, 521, 522, 523, 524, 529}
_WHY = {
    401: "it asks for a login. Log in with the provider's own client, or set its token in the environment",
    403: "it does not let us. Accept the terms on the dataset's page, and log in with the provider's own client",
    404: "there is no such file. The dataset's page may have a newer address",
    410: "the file was taken away. The dataset's page may have a newer address",
}


class TransientFault(Exception):  # noqa: N818 - no error yet: the engine tries again
    """A fault that may pass.

    Args:
        message: What happened.
        wait_s: How long the server asks to wait, if it does.
    """

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class SourceChanged(Exception):  # noqa: N818 - no error yet: the engine starts over
    """The file is another one than when its download began, so the parts don't fit together."""


class Facts(NamedTuple):
    """What an origin says of its file.

    Attributes:
        size: Bytes; `None` where it does not say.
        stamp: Something that changes with the content; `None` where there is nothing.
        ranges: Whether parts can be asked for.
        sha256: Digest, where the provider publishes it.
    """

    size: int | None
    stamp: str | None
    ranges: bool
    sha256: str | None = None


class Origin(Protocol):
    """One file somewhere."""

    address: str
    stamps_every_range: bool

    def facts(self) -> Facts:
        """Asks for size and stamp.

        Raises:
            TransientFault: It may work later.
            DownloadError: It will not.
        """

    def read(self, start: int, stop: int | None, facts: Facts) -> Iterator[bytes]:
        """The bytes from `start` to before `stop`, in pieces as they come; may end early.

        Raises:
            TransientFault: It may work later.
            SourceChanged: The file is not the one that `facts` are of.
            DownloadError: It will not work.
        """

    def close(self) -> None:
        """Closes its connections; it can't be used again."""


class HttpOrigin:
    """A file on an HTTP server.

    Args:
        url: Its address; redirects are followed.
        headers: Sent along, but to no other host.
        sha256: Its digest, if the provider told it.
        timeout_s: How long to wait for the next byte.
        address: What it is called in messages, where the URL has a secret in it.
        cookies: Sent to the hosts that they are of.
    """

    stamps_every_range = True

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        sha256: str | None = None,
        timeout_s: float = TIMEOUT_S,
        address: str | None = None,
        cookies: CookieJar | None = None,
    ) -> None:
        self.url, self.address, self.sha256 = url, address or url, sha256
        # bytes must come as they are stored: an encoding on the way would make lengths and ranges meaningless
        self.client = httpx.Client(
            headers={"User-Agent": "dfd", **(headers or {}), "Accept-Encoding": "identity"},
            auth=None if "authorization" in {name.lower() for name in headers or ()} else netrc_login(),
            cookies=cookies,
            follow_redirects=True,
            timeout=httpx.Timeout(timeout_s, pool=None),
        )

    def facts(self) -> Facts:
        """Asks for the first byte: HEAD is answered wrongly by many servers."""
        with _faults(self.address), self.client.stream("GET", self.url, headers={"Range": "bytes=0-0"}) as answer:
            if answer.status_code == 416 and answer.headers.get("Content-Range", "").strip() == "bytes */0":
                return Facts(0, _stamp(answer), True, self.sha256)
            _check(answer, self.address)
            _check_is_no_page(answer, self.address)
            if answer.status_code == 206:
                return Facts(_content_range(answer)[2], _stamp(answer), True, self.sha256)
            length = answer.headers.get("Content-Length", "")
            return Facts(int(length) if length.isdecimal() else None, _stamp(answer), False, self.sha256)

    def read(self, start: int, stop: int | None, facts: Facts) -> Iterator[bytes]:
        """See `Origin`."""
        headers = {}
        if stop is not None:
            headers["Range"] = f"bytes={start}-{stop - 1}"
            if facts.stamp and not facts.stamp.startswith("W/"):  # a weak one must not be sent
                headers["If-Range"] = facts.stamp
        with _faults(self.address), self.client.stream("GET", self.url, headers=headers) as answer:
            if answer.status_code == 416:
                raise SourceChanged(f"{self.address} is shorter than it was")
            _check(answer, self.address)
            _check_is_no_page(answer, self.address)  # a quota may be used up in the middle
            found = _stamp(answer)
            needed = found is not None or (stop is not None and "If-Range" not in headers)
            if facts.stamp and needed and found != facts.stamp:
                raise SourceChanged(f"{self.address} has the stamp {found} now, {facts.stamp} before")
            if stop is not None:
                _check_range(answer, start, facts, self.address)
            left = None if stop is None else stop - start
            for piece in answer.iter_raw():
                if left is not None and len(piece) > left:
                    raise TransientFault(f"{self.address} sends more than it was asked for")
                yield piece
                left = None if left is None else left - len(piece)

    def close(self) -> None:
        """See `Origin`."""
        self.client.close()


class _faults:  # noqa: N801 - used like a function
    """Sorts what httpx raises into what may pass and what will not."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, httpx.TooManyRedirects | httpx.UnsupportedProtocol | httpx.InvalidURL):
            raise DownloadError(f"{self.address} leads nowhere: {type(error).__name__}") from error
        if isinstance(error, httpx.HTTPError | OSError):
            raise TransientFault(f"{type(error).__name__}: {error}") from error


def _check(answer: httpx.Response, address: str) -> None:
    status = answer.status_code
    if status in (200, 206):
        _check_encoding(answer, address)
        return
    if status in PASSING:
        raise TransientFault(f"the server answers {status} {answer.reason_phrase}", retry_after(answer.headers))
    why = _WHY.get(status, f"it answers {status} {answer.reason_phrase}")
    raise RefusedError(f"{address} can't be downloaded ({status}): {why}.")


def _check_encoding(answer: httpx.Response, address: str) -> None:
    """Bytes that were compressed on the way are not the file's, although they were asked for as they are."""
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise RefusedError(
            f"{address} comes with the Content-Encoding {encoding!r}, although its bytes were asked for as they are. "
            "Fetch it in a browser, unpack it, and name the folder under `folders:` (`dfd datasets add NAME --folder "
            "FOLDER`)."
        )


def _check_is_no_page(answer: httpx.Response, address: str) -> None:
    """Logins, quotas and virus warnings come as pages with status 200, and must not be taken for archives."""
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        raise RefusedError(
            f"{address} answers with a web page instead of a file: a login, a quota that is used up, or a question. "
            "Open it in a browser to see which, log in with the provider's own client or wait as it says, and give "
            "the same command again. Or unpack what the browser gives, and name the folder under `folders:` (`dfd "
            "datasets add NAME --folder FOLDER`)."
        )


def _check_range(answer: httpx.Response, start: int, facts: Facts, address: str) -> None:
    if answer.status_code != 206:
        raise SourceChanged(f"{address} sends the whole file where a part was asked for")
    first, last, total = _content_range(answer)
    if first == start > last:
        raise DownloadError(
            f"{address} ends after {start:,} bytes, and its server says that it has {total or facts.size:,}. One of "
            "the two is wrong: try later, or see the dataset's page for another address."
        )
    if first != start or (total is not None and total != facts.size):
        raise SourceChanged(f"{address} answers {answer.headers.get('Content-Range')!r}, asked from {start}")


def _content_range(answer: httpx.Response) -> tuple[int, int, int | None]:
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
    if match is None:
        raise TransientFault(f"the server's Content-Range is {answer.headers.get('Content-Range')!r}")
    return int(match[1]), int(match[2]), None if match[3] == "*" else int(match[3])


def _stamp(answer: httpx.Response) -> str | None:
    found: str | None = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
    return found


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds a server asks to wait."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.UTC)
    return max(0.0, (when - datetime.datetime.now(datetime.UTC)).total_seconds())


class _WithoutQueries(logging.Filter):
    """Keeps what stands behind the question mark of an address, as signatures do, out of the log of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(one.copy_with(query=None) if hasattr(one, "copy_with") else one for one in record.args)
        return True


for _name in ("httpx", "httpx2"):  # the second is the hub client's
    logging.getLogger(_name).addFilter(_WithoutQueries())
