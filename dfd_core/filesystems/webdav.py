"""Folders of web servers that take files by WebDAV (RFC 4918): nginx, Apache, Nextcloud, rclone and others."""

from __future__ import annotations

import contextlib
import posixpath
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from webdav4.client import Client, ResourceAlreadyExists, ResourceConflict, ResourceNotFound

from dfd_core.filesystems.netrc_logins import netrc_login
from dfd_core.filesystems.opening import PARTIAL
from dfd_core.filesystems.webdav_answers import Answers, PastItsEndError, patiently

_TIMEOUT_S = 60.0
_CLEANING_TIMEOUT_S = 3.0  # also whoever cancels a run waits for it


def open_folder(url: str) -> tuple[WebDavFileSystem, str]:
    """The file system of a server, and the folder's path in it."""
    parts = urlsplit(url)
    return WebDavFileSystem(f"{parts.scheme}://{parts.netloc}"), unquote(parts.path).rstrip("/") or "/"


class WebDavFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """The files of one server, by their paths without quoting.

    A server may show a file while it is still coming in. So it is sent under a temporary name in the same folder, and
    moved to its own.

    Args:
        base_url: Protocol, host and port.
        options: Those of fsspec.
    """

    protocol = ("https", "http")
    root_marker = "/"
    leaves_partials = True

    def __init__(self, base_url: str, **options: Any) -> None:
        super().__init__(use_listings_cache=False, **options)
        self.base_url = base_url
        self.answers = Answers(base_url)
        self.client = Client(base_url, auth=netrc_login(), retry=patiently, timeout=_TIMEOUT_S)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        plain = unquote(urlsplit(path).path) if "://" in path else path
        return plain.rstrip("/") or "/"

    def unstrip_protocol(self, name: str) -> str:
        """The address with which any client of the web reads a file."""
        return name if "://" in name else f"{self.base_url}{quote(name)}"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Facts of a file or folder."""
        path = self._strip_protocol(path)
        for properties in self._properties(path, depth=0).values():
            return _info(path, properties)
        raise FileNotFoundError(path)

    def exists(self, path: str, **_: Any) -> bool:
        """Whether a file or folder is there; a server that refuses or does not answer is an error."""
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """What is directly in a folder."""
        path = self._strip_protocol(path)
        found = {name: _info(name, properties) for name, properties in self._properties(path, depth=1).items()}
        own = found.pop(path, None)
        if own is not None and own["type"] == "file":
            found = {path: own}
        return [found[name] if detail else name for name in sorted(found)]

    def find(self, path: str, maxdepth: int | None = None, withdirs: bool = False, **options: Any) -> Any:
        """All files below a folder; none where there is no folder."""
        found: dict[str, dict[str, Any]] = {}
        folders = [(self._strip_protocol(path), 1)]
        while folders:
            folder, depth = folders.pop()
            with contextlib.suppress(FileNotFoundError):  # else somebody removed it meanwhile
                for entry in self.ls(folder):
                    if entry["type"] == "file" or withdirs:
                        found[entry["name"]] = entry
                    if entry["type"] == "directory" and (maxdepth is None or depth < maxdepth):
                        folders.append((entry["name"], depth + 1))
        return {name: found[name] for name in sorted(found)} if options.get("detail") else sorted(found)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """The bytes of a file, or some of them, in one request."""
        if (start or 0) < 0 or (end or 0) < 0:
            return self.cat_file(path)[start:end]
        if end is not None and end <= (start or 0):
            return b""
        headers = {"Accept-Encoding": "identity"}
        if start or end is not None:
            headers["Range"] = f"bytes={start or 0}-{'' if end is None else end - 1}"
        try:
            answer = self._ask("GET", path, headers=headers)
        except PastItsEndError:
            return b""
        return bytes(answer.content if answer.status_code == 206 else answer.content[start:end])

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:  # noqa: ARG002
        """Writes a file, and the folders that it is in."""
        self._put(path, lambda: contextlib.nullcontext(value))

    def put_file(self, lpath: str, rpath: str, *_: Any, **__: Any) -> None:
        """Copies a file of this machine to the server."""
        self._put(rpath, lambda: Path(lpath).open("rb"))  # noqa: SIM115 - closed by who sends it

    def rm_file(self, path: str) -> None:
        """Removes a file, or a folder with all that is in it."""
        self._ask("DELETE", path)

    def rm(self, path: str, recursive: bool = False, maxdepth: int | None = None) -> None:  # noqa: ARG002
        """Removes a file, or a folder with all that is in it."""
        self.rm_file(path)

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **options: Any) -> AbstractBufferedFile:
        if mode != "rb":
            raise ValueError("files are written whole: with `pipe_file` or `put_file`")
        return _RangeFile(self, path, mode, block_size or "default", **options)

    def _put(self, path: str, opened: Callable[[], contextlib.AbstractContextManager[Any]]) -> None:
        path = self._strip_protocol(path)
        folder = posixpath.dirname(path)
        partial = posixpath.join(folder, f"{PARTIAL}{uuid.uuid4().hex}")
        try:
            try:
                self._send(partial, opened)
            except FileNotFoundError:
                self._send_into_new_folder(partial, opened)
            with self.answers.understood("MOVE", path):
                self.client.move(quote(partial), quote(path), overwrite=True)
        except BaseException:
            with contextlib.suppress(Exception):
                self.client.request("DELETE", quote(partial), timeout=_CLEANING_TIMEOUT_S)
            raise

    def _send(self, partial: str, opened: Callable[[], contextlib.AbstractContextManager[Any]]) -> None:
        def send() -> Any:
            with opened() as content:
                return self.client.request("PUT", quote(partial), content=content)

        with self.answers.understood("PUT", partial):
            self.client.with_retry(send)

    def _send_into_new_folder(self, partial: str, opened: Callable[[], contextlib.AbstractContextManager[Any]]) -> None:
        try:
            self._make_folders(posixpath.dirname(partial))
            self._send(partial, opened)
        except FileNotFoundError as error:
            raise self.answers.no_webdav("PUT", "404 Not Found, also for a folder that was made for it") from error

    def _make_folders(self, folder: str) -> None:
        missing: list[str] = []
        with self.answers.understood("MKCOL", folder):
            while folder not in {"", "/"}:
                try:
                    self.client.mkdir(quote(folder))
                    break
                except ResourceAlreadyExists:
                    break
                except (ResourceConflict, ResourceNotFound):
                    missing.append(folder)
                    folder = posixpath.dirname(folder)
            for one in reversed(missing):
                with contextlib.suppress(ResourceAlreadyExists):  # another process was faster
                    self.client.mkdir(quote(one))

    def _properties(self, path: str, depth: int) -> dict[str, Any]:
        with self.answers.understood("PROPFIND", path):
            found = self.client.propfind(quote(path), headers={"Depth": str(depth)}, follow_redirects=True)
            return {answer.path_norm: answer.properties for answer in found.responses.values()}

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        path = self._strip_protocol(path)
        with self.answers.understood(method, path):
            answer: httpx.Response = self.client.with_retry(lambda: self.client.request(method, quote(path), **options))
            return answer


class _RangeFile(AbstractBufferedFile):  # type: ignore[misc]
    def _fetch_range(self, start: int, end: int) -> bytes:
        return bytes(self.fs.cat_file(self.path, start, end))


def _info(path: str, properties: Any) -> dict[str, Any]:
    changed = properties.modified
    return {
        "name": path,
        "size": properties.content_length or 0,
        "type": properties.resource_type or "file",
        "ETag": properties.etag,
        "mtime": changed.timestamp() if changed else None,
    }
