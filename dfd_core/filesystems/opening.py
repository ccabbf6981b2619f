"""From a URL to its client.

=========================== ==========================================================================================
address                     the client, and the login
=========================== ==========================================================================================
a path, `file://`           the disk
`s3://`, `gs://`, others    what fsspec knows, with that client's login
`hf://buckets/OWNER/NAME`   a bucket of the Hugging Face hub: `hf auth login` or `HF_TOKEN`
`hf://datasets/OWNER/NAME`  a repository of the hub, to be read only
`http://`, `https://`       a web server, to be read; a folder of a WebDAV server is a store too: `~/.netrc`, or the
                            file that `NETRC` names
=========================== ==========================================================================================
"""

from __future__ import annotations

from typing import Any

import fsspec

from dfd_core.filesystems.netrc_logins import netrc_file
from dfd_core.specs import without_secrets
from dfd_core.wording import how_to_install

PARTIAL = ".partial-"
"""How the names of files begin that are still being written."""

_EXTRAS = {"gs": "gs", "gcs": "gs", "s3": "s3", "s3a": "s3"}
_BUCKETS = "hf://buckets/"
_WEB = ("http", "https")


def open_store(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a store, and the path in it; it keeps no listings, which would hide what others have written.

    Raises:
        ValueError: The protocol is unknown, or a name, password or signature is in the URL.
        ImportError: Its package is missing.
    """
    without_secrets(url)
    if "::" not in url and url.startswith(_BUCKETS):
        return _bucket(url)
    if "::" not in url and _protocol(url) in _WEB:
        from dfd_core.filesystems.webdav import open_folder

        return open_folder(url)
    fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    return fs, str(root)


def open_url(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of what is only read, and the path in it.

    Raises:
        ValueError: The protocol is unknown.
        ImportError: Its package is missing.
    """
    if "::" not in url and url.startswith(_BUCKETS):
        return _bucket(url)
    options: dict[str, Any] = {}
    if netrc_file() is not None:
        options = {web: {"client_kwargs": {"trust_env": True}} for web in _WEB if f"{web}://" in url}
    if "::" not in url:
        options = next(iter(options.values()), {})
    fs, path = fsspec.core.url_to_fs(url, **options)
    return fs, str(path)


def missing_client(url: str) -> str | None:
    """What brings the client of a store or bucket; `None` where nothing of ours does."""
    extra = _EXTRAS.get(_protocol(url), "webdav" if _protocol(url) in _WEB else None)
    return None if extra is None else f"{how_to_install(extra)} brings what reads it."


def why_no_store(url: str) -> str | None:
    """Why nothing can be stored at an address and what to take; `None` where its kind of place can be written."""
    if _protocol(url) == "hf" and not url.startswith(_BUCKETS):
        return (
            f"{url} can't be a store: a repository of the hub takes a commit for each file, and few an hour. Take a "
            "bucket of the hub, hf://buckets/OWNER/NAME (`hf buckets create` makes one), a local folder, s3://, gs:// "
            "or a WebDAV server's https://; datasets can be read from hf://datasets/."
        )
    if url.startswith(_BUCKETS) and len(url.removeprefix(_BUCKETS).strip("/").split("/")) < 2:
        return f"{url} can't be a store: it names no bucket. Write hf://buckets/OWNER/NAME[/FOLDER]."
    if "::" in url and _protocol(url) in _WEB:
        return f"{url} can't be a store: an archive on a web server can only be read. Take the folder that it is in."
    return None


def _bucket(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    from dfd_core.filesystems.hub import BucketFileSystem

    return BucketFileSystem(), url.removeprefix("hf://").rstrip("/")


def _protocol(url: str) -> str:
    last = url.rsplit("::", maxsplit=1)[-1]
    return last.partition("://")[0] if "://" in last else "file"
