"""Addresses of files, which are local paths or fsspec URLs: opening, reading and joining them."""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Callable
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

import dfd_core.datasets.archives.slices  # noqa: F401 - makes fsspec know slice://
from dfd_core import filesystems
from dfd_core.manifests.unreadable import fault_of, instead_of_a_file
from dfd_core.specs import is_url


def open_url(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URL, and the path in it.

    Raises:
        ManifestError: The protocol is unknown or its package is missing.
        PlaceUnreachableError: The place does not answer.
    """
    try:
        fs, root = filesystems.open_url(url)
    except (ImportError, ValueError, OSError) as error:
        reason = filesystems.missing_client(url) if isinstance(error, ImportError) else None
        raise fault_of(error, f"{url} can't be opened: {reason or error}") from error
    return fs, root if root == "/" else root.rstrip("/")


def read_file(url: str) -> bytes:
    """All bytes of a file.

    Raises:
        OSError: It can't be read, or is a pipe or something else that is no file.
    """
    fs, path = filesystems.open_url(url) if is_url(url) else (None, url)
    if (fs is None or isinstance(fs, LocalFileSystem)) and (instead := instead_of_a_file(path)) is not None:
        raise FileNotFoundError(errno.ENOENT, instead, path)
    return Path(path).read_bytes() if fs is None else bytes(fs.cat_file(path))


def join_url(url: str, path: str) -> str:
    """The address of a file below a folder's URL; in a chain (`zip://a::s3://b`) the first part with `://` grows."""
    return _edited(url, lambda folder: f"{folder.rstrip('/')}/{path}")


def beside(url: str, path: str) -> str:
    """The address of a file by its path relative to the folder that another file is in."""
    return _edited(url, lambda file: posixpath.normpath(posixpath.join(posixpath.dirname(file), path)))


def _edited(url: str, edit: Callable[[str], str]) -> str:
    parts = url.split("::")
    place = next((i for i, part in enumerate(parts) if "://" in part), len(parts) - 1)
    if len(parts) == 1:
        fs, root = open_url(url)
        if isinstance(fs, LocalFileSystem):
            return edit(root)
    protocol, separator, inner = parts[place].rpartition("://")
    parts[place] = f"{protocol}{separator}{edit(inner)}"
    return "::".join(parts)
