"""Which files there are at an fsspec URL, with their sizes and a stamp that changes with the content."""

from __future__ import annotations

import contextlib
import itertools
import os
import posixpath
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from dfd_core import filesystems
from dfd_core.datasets.suffixes import IMAGE_SUFFIXES
from dfd_core.errors import ManifestError, StoreError
from dfd_core.manifests.addresses import join_url, open_url
from dfd_core.manifests.unreadable import fault_of, is_out_of_reach
from dfd_core.wording import counted, some

_DIGESTS = ("xet_hash", "ETag", "etag", "md5Hash", "checksum", "CRC", "sha", "blob_id")
_STAMPS = (*_DIGESTS, "mtime", "LastModified", "last_modified")
_LATER_STAMPS = ("modified", "updated", "created")
_FEW = 16
_MISSING, _NO_FILE = -1, -2


@dataclass
class Files:
    """Files as parallel lists.

    Attributes:
        paths: Relative POSIX paths.
        urls: An absolute local path, or an fsspec URL that can be opened by itself.
        filesystems: Where to read each.
        locations: Each one's path inside its file system.
        sizes: Bytes; -1 for a file that is not there, -2 for a pipe or something else that is no file.
        stamps: A checksum, or the time of the last change, whatever the file system has.
    """

    paths: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    filesystems: list[fsspec.AbstractFileSystem] = field(default_factory=list)
    locations: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    stamps: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.paths)

    def extend(self, other: Files) -> None:
        """Adds the files of another listing."""
        for name in self.__dataclass_fields__:
            getattr(self, name).extend(getattr(other, name))

    def select(self, keep: Sequence[bool]) -> Files:
        """The files for which `keep` is true."""
        return Files(*(list(itertools.compress(getattr(self, name), keep)) for name in self.__dataclass_fields__))

    def locate(self) -> None:
        """Finds file system, location, size and stamp of files of which only path and URL are known.

        Raises:
            ManifestError: A place can't be listed.
            PlaceUnreachableError: Its server does not answer.
        """
        folders: dict[str, tuple[fsspec.AbstractFileSystem, str]] = {}
        by_system: dict[fsspec.AbstractFileSystem, list[str]] = defaultdict(list)
        for url in self.urls:
            folder, _, name = url.rpartition("/")
            if "::" in url or not folder or folder.endswith((":", ":/")):
                fs, location = open_url(url)
            else:
                if folder not in folders:
                    folders[folder] = open_url(folder)
                fs, location = folders[folder][0], f"{folders[folder][1]}/{name}"
            self.filesystems.append(fs)
            self.locations.append(location)
            by_system[fs].append(location)
        found = {fs: _look_up(fs, locations) for fs, locations in by_system.items()}
        facts = [found[fs].get(at, (_MISSING, "")) for fs, at in zip(self.filesystems, self.locations, strict=True)]
        self.sizes, self.stamps = [size for size, _ in facts], [stamp for _, stamp in facts]

    def missing(self) -> list[int]:
        """Positions of files that are not there."""
        return [i for i, size in enumerate(self.sizes) if size == _MISSING]


def is_image(path: str) -> bool:
    """Whether a relative path names an image: by its extension, and outside hidden files and folders."""
    if posixpath.splitext(path)[1].lower() not in IMAGE_SUFFIXES:
        return False
    return not (path.startswith((".", "__MACOSX/")) or "/." in path or "/__MACOSX/" in path)


def list_folder(url: str) -> Files:
    """All files below a folder, sorted by path; symbolic links on local disks are followed.

    Raises:
        ManifestError: There is no such folder, it can't be listed, or a name is not valid Unicode.
        PlaceUnreachableError: Its server does not answer.
    """
    fs, root = open_url(url)
    by_webdav = "http" in fs.protocol
    if by_webdav:
        fs, root = _folder_of_the_web(url)
    try:
        if isinstance(fs, LocalFileSystem):
            _check_folder(url, Path(root).exists(), Path(root).is_dir())
            rows = sorted(_walk(root, "", frozenset()))
        else:
            fs.invalidate_cache()
            kind = _kind(fs, root)
            _check_folder(url, kind is not None, kind == "directory")
            found: Mapping[str, Mapping[str, Any]] = fs.find(root, detail=True)
            prefix = f"{root}/" if root else ""
            names = [name for name, info in found.items() if info.get("type") != "directory"]  # markers in buckets
            rows = sorted((name.removeprefix(prefix), *_facts(found[name])) for name in names)
    except ManifestError:
        raise
    except Exception as error:  # the clients of buckets have errors of their own
        if isinstance(fs, LocalFileSystem) and not isinstance(error, OSError):
            raise
        raise fault_of(error, f"The folder {url} can't be listed: {error}") from error
    paths = [path for path, _, _ in rows]
    _check_unicode(url, paths)
    base = join_url(url, "")
    addresses = [base + path for path in paths] if "::" not in url else [join_url(url, path) for path in paths]
    if isinstance(fs, LocalFileSystem):
        locations = list(addresses)  # the same strings, since there may be millions
    else:
        locations = [posixpath.join(root, path) if root else path for path in paths]
    if by_webdav:
        addresses = [fs.unstrip_protocol(location) for location in locations]  # in the web names are quoted
    return Files(paths, addresses, [fs] * len(rows), locations, [r[1] for r in rows], [r[2] for r in rows])


def _folder_of_the_web(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The client of a web server that lists its folders, and the path in it."""
    try:
        fs, root = filesystems.open_store(url)
        fs.exists(root)
    except (ImportError, ValueError, StoreError) as error:
        brings = filesystems.missing_client(url) if isinstance(error, ImportError) else None
        raise ManifestError(
            f"{url} can't be listed: web servers have no folders, and their pages tell neither sizes nor times. Name "
            "the images in a table (`table:`), take a folder of a server that speaks WebDAV, or download the folder."
            + (f" {brings}" if brings else "")
        ) from error
    except Exception as error:  # the client has errors of its own
        raise fault_of(error, f"The folder {url} can't be listed: {error}") from error
    return fs, root


def list_images(url: str) -> tuple[Files, list[str]]:
    """The images below a folder, by their extensions, and notes on what else is there.

    Raises:
        ManifestError: As for `list_folder`, or there is no image.
    """
    found = list_folder(url)
    sized = list(zip(found.paths, found.sizes, strict=True))
    keep = [is_image(path) and size != _NO_FILE for path, size in sized]
    pipes = [path for path, size in sized if size == _NO_FILE]
    others = [path for path, size in sized if not is_image(path) and size != _NO_FILE]
    if not any(keep):
        reason = f"only {len(others) + len(pipes)} other files: {some(others + pipes)}" if len(found) else "it is empty"
        raise ManifestError(f"There is no image in the folder {url}; {reason}. Check the path and the extensions.")
    notes = []
    if others:
        kind = "is hidden or no image by its" if len(others) == 1 else "are hidden or no images by their"
        notes.append(f"{counted(len(others), 'file')} in {url} {kind} extension: {some(others)}")
    if pipes:
        notes.append(f"{len(pipes)} in {url} are pipes, sockets or devices and no files, and left out: {some(pipes)}")
    return found.select(keep), notes


def _kind(fs: fsspec.AbstractFileSystem, location: str) -> str | None:
    """What stands somewhere, `None` for nothing; `exists` and `isdir` say no also where the server does not answer."""
    try:
        return str(fs.info(location)["type"])
    except FileNotFoundError:
        return None


def _look_up(fs: fsspec.AbstractFileSystem, locations: list[str]) -> dict[str, tuple[int, str]]:
    """Size and stamp of named files; what is not there is not in the answer.

    A remote folder with many of them is listed once, others are asked for one by one.
    """
    if isinstance(fs, LocalFileSystem):
        return _look_up_local(locations)
    wanted: dict[str, list[str]] = defaultdict(list)
    for location in locations:
        wanted[posixpath.dirname(location)].append(location)
    answer: dict[str, tuple[int, str]] = {}
    fs.invalidate_cache()
    for folder, names in wanted.items():
        infos = _infos(fs, folder, names)
        answer.update((name, _facts(infos[name])) for name in names if name in infos)
    return answer


def _look_up_local(locations: Iterable[str]) -> dict[str, tuple[int, str]]:
    answer = {}
    for location in locations:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            status = Path(location).stat()
            if stat.S_ISREG(status.st_mode):
                answer[location] = (status.st_size, str(status.st_mtime_ns))
    return answer


def _infos(fs: fsspec.AbstractFileSystem, folder: str, names: list[str]) -> dict[str, Mapping[str, Any]]:
    infos: dict[str, Mapping[str, Any]] = {}
    try:
        if len(names) >= _FEW and "http" not in fs.protocol:
            infos = {str(info["name"]): info for info in fs.ls(folder, detail=True)}
        else:
            for name in names:
                try:
                    infos[name] = fs.info(name)
                except FileNotFoundError as error:  # fsspec says so also where a web server did not answer
                    if error.__cause__ is not None and is_out_of_reach(error.__cause__):
                        infos[name] = {"type": "file"}  # reading it will say so
    except FileNotFoundError:
        return {}
    except Exception as error:  # the clients of buckets have errors of their own
        raise fault_of(error, f"{fs.unstrip_protocol(folder)} can't be listed: {error}") from error
    return {name: info for name, info in infos.items() if info["type"] == "file"}


def _facts(info: Mapping[str, Any]) -> tuple[int, str]:
    value = next((info[key] for key in (*_STAMPS, *_LATER_STAMPS) if info.get(key) is not None), "")
    return int(info.get("size") or 0), str(value)


def _walk(folder: str, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, int, str]]:
    """Relative path, size and time of change of the files below a local folder.

    `fsspec` neither enters linked folders nor tells of a folder that it was not allowed to read.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{prefix}{entry.name}"
            try:
                status = entry.stat()
            except FileNotFoundError:  # a link to nothing
                yield path, _MISSING, ""
                continue
            if not entry.is_dir():
                size = status.st_size if stat.S_ISREG(status.st_mode) else _NO_FILE
                yield path, size, str(status.st_mtime_ns)
                continue
            identity = (status.st_dev, status.st_ino)
            if identity in above:
                raise ManifestError(f"The link {entry.path} leads to a folder that it is in. Remove it.")
            yield from _walk(entry.path, f"{path}/", above | {identity})


def _check_folder(url: str, exists: bool, is_folder: bool) -> None:
    if not exists:
        raise ManifestError(f"There is no folder {url}. Check the path, and whether the disk or bucket is reachable.")
    if not is_folder:
        raise ManifestError(f"{url} is a file, where a folder of images is needed; give a table under `table:`.")


def _check_unicode(url: str, paths: list[str]) -> None:
    try:
        "\n".join(paths).encode()
    except UnicodeEncodeError:
        bad = next(path for path in paths if any("\ud800" <= c <= "\udfff" for c in path))
        raise ManifestError(f"A file name in {url} is not valid UTF-8: {bad!r}. Rename it.") from None
