"""Public files of Google Drive, found as gdown finds them: with its session, its cookies and its reading of pages.

gdown itself reads a file in one stream, and takes what another run left of it for its beginning; so only the way to the
file's address is gdown's, and the bytes come as all others do.
"""

from __future__ import annotations

import inspect
from typing import Any

from dfd_core.datasets.downloading.origins import (
    PASSING,
    TIMEOUT_S,
    HttpOrigin,
    Origin,
    TransientFault,
    retry_after,
)
from dfd_core.datasets.downloading.signed import Signed, SignedOrigin, another_client, not_installed
from dfd_core.errors import DownloadError

DRIVE = "https://drive.google.com"
_STEPS = 5
# as gdown has it: Drive gives other pages to clients that it does not take for browsers
_BROWSER = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_10_1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/39.0.2171.95 "
    "Safari/537.36"
)


def drive_origin(address: str) -> Origin:
    """The origin of `gdrive://ID`.

    Raises:
        DownloadError: gdown is missing.
    """
    try:
        import gdown  # noqa: F401
    except ModuleNotFoundError as error:
        raise not_installed(address, "gdown") from error
    return SignedOrigin(address, lambda: _ask(address))


def _ask(address: str) -> Signed:
    """Goes from page to page until Drive gives the file itself."""
    import requests

    file_id = address.removeprefix("gdrive://")
    url = f"{DRIVE}/uc?id={file_id}"
    with _session(address) as session:
        for _ in range(_STEPS):
            try:
                with session.get(url, stream=True, timeout=TIMEOUT_S) as answer:
                    if answer.status_code in PASSING:
                        wait_s = retry_after(answer.headers)
                        raise TransientFault(f"Google Drive answers {answer.status_code}", wait_s)
                    if answer.ok and not answer.headers.get("Content-Type", "").startswith("text/html"):
                        agent = {"User-Agent": _BROWSER}
                        return Signed(HttpOrigin(answer.url, agent, address=address, cookies=session.cookies))
                    page = answer.text
            except requests.RequestException as error:  # its message may have an address with a token
                raise TransientFault(f"Google Drive does not answer: {type(error).__name__}") from None
            url = _next(address, page)
    raise DownloadError(f"{address} can't be downloaded: Google Drive leads from page to page. Open {_page(address)}.")


def _next(address: str, page: str) -> str:
    """Where the form of a page leads, by gdown."""
    try:
        from gdown.download import get_url_from_gdrive_confirmation
        from gdown.exceptions import FileURLRetrievalError
    except ImportError as error:
        raise another_client(address, "gdown", error) from error
    try:
        return str(get_url_from_gdrive_confirmation(page))
    except FileURLRetrievalError as error:
        words = " ".join(str(error).split())
        raise DownloadError(
            f"{address} can't be downloaded from Google Drive: {words} See {_page(address)}; for a file that is not "
            "public, gdown's cookies file (~/.cache/gdown/cookies.txt) must have your session. Or unpack what the "
            "browser gives, and name the folder under `folders:` (`dfd datasets add NAME --folder FOLDER`)."
        ) from None
    except Exception as error:  # a page that it stumbles over
        raise another_client(address, "gdown", error) from error


def _session(address: str) -> Any:
    """The session of gdown, with the cookies of its file; there is no public name for it."""
    try:
        from gdown.download import _get_session

        given: dict[str, Any] = {"proxy": None, "use_cookies": True, "user_agent": _BROWSER, "cookies_file": None}
        known = inspect.signature(_get_session).parameters
        found: Any = _get_session(**{name: value for name, value in given.items() if name in known})
        session = found[0] if isinstance(found, tuple) else found  # gdown 5 gives it alone
        session.cookies, session.get  # noqa: B018 - sees that they are there
    except (ImportError, AttributeError, TypeError) as error:
        raise another_client(address, "gdown", error) from error
    return session


def _page(address: str) -> str:
    return f"https://drive.google.com/file/d/{address.removeprefix('gdrive://')}/view"
