"""Images in place: the file system of `slice://OFFSET,LENGTH@URL`, a part of a file anywhere.

A manifest with such addresses reads images out of tar and uncompressed zip archives, which then need not be unpacked.
"""

from __future__ import annotations

import re
from typing import Any

import fsspec
from fsspec.spec import AbstractFileSystem

from dfd_core.filesystems import open_url

_PATH = re.compile(r"(?:slice://)?(\d+),(\d+)@(.+)", re.DOTALL)


def slice_url(offset: int, length: int, url: str) -> str:
    """The address of a part of a file; a local path stays one."""
    return f"slice://{offset},{length}@{url}"


class SliceFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Parts of files, read only."""

    protocol = "slice"
    cachable = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seen: dict[str, dict[str, Any]] = {}

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return str(path).removeprefix("slice://").rstrip("/")

    def invalidate_cache(self, path: str | None = None) -> None:  # noqa: ARG002 - the name is fsspec's
        """Forgets what is known of archives, so that a replaced one is noticed."""
        self.seen.clear()

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Size of the part, and whatever tells a changed archive."""
        _offset, length, url = _parsed(path)
        if url not in self.seen:
            fs, inner = open_url(url)
            self.seen[url] = dict(fs.info(inner))
        found = self.seen[url]
        return {**found, "name": self._strip_protocol(path), "size": length, "type": "file"}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """The part itself: there are no folders."""
        info = self.info(path)
        return [info] if detail else [info["name"]]

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """Bytes of the part; fewer where the file ends before."""
        offset, length, url = _parsed(path)
        first, last, _step = slice(start, end).indices(length)
        fs, inner = open_url(url)
        return bytes(fs.cat_file(inner, start=offset + first, end=offset + max(first, last)))

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        import io

        if mode != "rb":
            raise OSError(f"{path} is a part of another file and can't be written")
        return io.BytesIO(self.cat_file(path))


def _parsed(path: str) -> tuple[int, int, str]:
    match = _PATH.fullmatch(path)
    if match is None:
        raise FileNotFoundError(f"{path!r} is not slice://OFFSET,LENGTH@URL")
    return int(match[1]), int(match[2]), match[3]


fsspec.register_implementation("slice", SliceFileSystem, clobber=True)
