"""A store: a folder at any fsspec URL in which every file is complete or absent."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from dfd_core.errors import StoreError, StoreFullError, StoreRefusedError
from dfd_core.filesystems import PARTIAL, missing_client, open_store, why_no_store
from dfd_core.specs import without_login

PROVENANCE_KEY = b"dfd"
_ABANDONED_AFTER_S = 3600.0
_READ_AHEAD = 2**16  # Arrow asks for whole columns at once; with 5 MB, as is usual, two columns cost the whole file
_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}


class Store:
    """Files below one fsspec URL, named by relative POSIX paths.

    Args:
        url: Any fsspec URL or a local path; made on the first write.
        root_exists: Whether a local folder was there before, so that it is not made: where it is missing then, its disk
            is gone, and what is written would land on another.

    Raises:
        StoreError: The URL's protocol is unknown, its package is missing, or it has a login in it.
    """

    def __init__(self, url: str | os.PathLike[str], root_exists: bool = False) -> None:
        self.fs: fsspec.AbstractFileSystem
        try:
            self.fs, root = open_store(os.fspath(url))
        except (ValueError, ImportError) as error:
            reason = missing_client(os.fspath(url)) if isinstance(error, ImportError) else None
            place = without_login(os.fspath(url))
            raise StoreError(f"The store {place!r} can't be opened: {reason or error}") from error
        self.root = root.rstrip("/") or "/"
        self.root_exists = root_exists
        self.is_local = isinstance(self.fs, LocalFileSystem)
        self.in_memory = isinstance(self.fs, MemoryFileSystem)

    def __repr__(self) -> str:
        return f"Store({self.url()!r})"

    def __reduce__(self) -> tuple[type[Store], tuple[str, bool]]:
        return type(self), (self.url(), self.root_exists or (self.is_local and Path(self.root).is_dir()))

    def url(self, path: str = "") -> str:
        """The address of a file: a plain path on local disk, else with its protocol."""
        full = self._full(path)
        return full if self.is_local else str(self.fs.unstrip_protocol(full))

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""
        full = self._full(path)
        with self._errors("look up", path):
            # clients of buckets keep what they listed, and would not see what others have written since
            self.fs.invalidate_cache(full.rsplit("/", 1)[0])
            return bool(self.fs.exists(full))

    def names(self, folder: str, suffix: str = "") -> list[str]:
        """Sorted names of the complete files directly in a folder; empty where there is no folder."""
        full = self._full(folder)
        with self._errors("list", folder):
            try:
                # fsspec and pathlib make a path of every name, which takes three times as long
                local = os.listdir(full) if self.is_local else None  # noqa: PTH208
                entries = self.fs.ls(full, detail=False, refresh=True) if local is None else local
            except FileNotFoundError:
                return []
        names = (str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in entries)
        return sorted(name for name in names if name.endswith(suffix) and not name.startswith(PARTIAL))

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of all files below a folder, by their paths in it; empty where there is no folder.

        Raises:
            StoreError: The store can't be read, or its bucket is not there.
        """
        full = self._full(folder)
        with self._errors("list", folder):
            try:
                self.fs.invalidate_cache()
                found = self.fs.find(full, detail=True)
            except FileNotFoundError as error:
                raise StoreError(
                    f"Could not list {self.url(folder)}: there is no such bucket, or not for this user. Check its name."
                ) from error
        return {str(path).removeprefix(full).lstrip("/"): int(info["size"] or 0) for path, info in found.items()}

    def read_bytes(self, path: str) -> bytes:
        """The content of a file.

        Raises:
            StoreError: The file is missing or the store can't be read.
        """
        with self._errors("read", path):
            return bytes(self.fs.cat_file(self._full(path)))

    def read_buffer(self, path: str) -> pa.Buffer:
        """The content of a file, which must not change: mapped on local disks, one request elsewhere."""
        if not self.is_local:
            return pa.py_buffer(self.read_bytes(path))
        with self._errors("read", path), pa.memory_map(self._full(path)) as file:
            return file.read_buffer()

    def write_bytes(self, path: str, data: bytes, flush: bool = True) -> str:
        """Writes a file under its final name only once all of it is there.

        Local disks get a temporary name, a flush and a rename, web servers a temporary name and a MOVE; object stores
        make a PUT visible as a whole.

        Args:
            path: Where, relative to the store.
            data: What.
            flush: Whether it must outlive a power failure by itself; not where a file that is written later vouches.

        Returns:
            The file's address.

        Raises:
            StoreFullError: No space left; nothing is left behind.
            StoreRefusedError: The store is read-only, or not this user's to write.
            StoreError: The store can't be written, or is gone.
        """

        def fill(file: BinaryIO) -> None:
            file.write(data)

        return self._write(path, fill, lambda full: self.fs.pipe_file(full, data), flush)

    def write_file(self, path: str, source: Path) -> str:
        """Writes a copy of a file of this machine, however large it is; see `write_bytes`."""

        def fill(file: BinaryIO) -> None:
            with source.open("rb") as original:
                shutil.copyfileobj(original, file)

        return self._write(path, fill, lambda full: self.fs.put_file(str(source), full))

    def _write(
        self, path: str, fill: Callable[[BinaryIO], None], send: Callable[[str], object], flush: bool = True
    ) -> str:
        if (reason := why_no_store(self.url())) is not None:
            raise StoreError(reason)
        with self._errors("write", path):
            if self.is_local:
                if self.root_exists and not Path(self.root).is_dir():
                    raise StoreError(
                        f"The store {self.root} is gone, so {path} can't be written. Mount or restore it, then "
                        "give the same command again: what is finished is kept."
                    )
                _write_local(Path(self._full(path)), fill, flush)
            else:
                send(self._full(path))
        return self.url(path)

    def remove(self, path: str) -> None:
        """Removes a file, unless somebody else has.

        Raises:
            StoreRefusedError: The store is read-only, or not this user's to write.
            StoreError: The store can't be written.
        """
        with self._errors("remove", path), contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(self._full(path))

    def sweep(self, folder: str) -> int:
        """Removes what a killed process left of a file that it was writing; object stores hide it.

        Files younger than an hour stay: somebody may still be writing them. Nobody reads them meanwhile.

        Returns:
            How many were removed.
        """
        removed = 0
        with self._errors("clean", folder):
            for partial, changed_s in self._partials(folder):
                if time.time() - changed_s > _ABANDONED_AFTER_S:
                    with contextlib.suppress(FileNotFoundError):
                        self.fs.rm_file(partial)
                        removed += 1
        return removed

    def _partials(self, folder: str) -> Iterator[tuple[str, float]]:
        full = self._full(folder)
        if self.is_local:
            for partial in Path(full).glob(f"{PARTIAL}*"):
                with contextlib.suppress(FileNotFoundError):
                    yield str(partial), partial.stat().st_mtime
        elif getattr(self.fs, "leaves_partials", False):
            with contextlib.suppress(FileNotFoundError):
                for entry in self.fs.ls(full):
                    if entry["name"].rpartition("/")[2].startswith(PARTIAL) and entry["mtime"] is not None:
                        yield entry["name"], entry["mtime"]

    def read_json(self, path: str) -> Any:
        """A JSON file's value."""
        try:
            return json.loads(self.read_bytes(path))
        except ValueError as error:
            raise StoreError(f"{self.url(path)} is not valid JSON ({error}); delete it and run again.") from error

    def write_json(self, path: str, value: Any) -> str:
        """Writes a value as indented JSON."""
        return self.write_bytes(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())

    def read_table(self, path: str, columns: list[str] | None = None) -> pa.Table:
        """A Parquet file, or some of its columns."""
        with self.open_table(path) as file:
            # on one thread where Python reads: a thread of Arrow's that still holds a Python file at the interpreter's
            # end aborts the process
            return file.read(columns=columns, use_threads=self.is_local)

    @contextlib.contextmanager
    def open_table(self, path: str) -> Iterator[pq.ParquetFile]:
        """A Parquet file, to be read piece by piece.

        Raises:
            StoreError: The file is missing or damaged, or the store can't be read; also while it is read.
        """
        with self._errors("read", path), self._parquet(path) as file:
            yield file

    def write_table(self, path: str, table: pa.Table, provenance: dict[str, Any] | None = None, **options: Any) -> str:
        """Writes a table as Parquet, with its provenance as JSON under the metadata key `dfd`.

        Args:
            path: Where, relative to the store.
            table: What.
            provenance: Facts to keep in the file.
            options: Given to `pyarrow.parquet.write_table`.
        """
        if provenance is not None:
            facts = json.dumps(provenance, sort_keys=True).encode()
            table = table.replace_schema_metadata({**(table.schema.metadata or {}), PROVENANCE_KEY: facts})
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer, **options)
        return self.write_bytes(path, buffer.getvalue().to_pybytes())

    def read_provenance(self, path: str) -> dict[str, Any]:
        """The provenance kept in a Parquet file; empty where there is none. Reads the footer alone."""
        with self.open_table(path) as file:
            metadata = file.schema_arrow.metadata or {}
        return dict(json.loads(metadata.get(PROVENANCE_KEY, b"{}")))

    @contextlib.contextmanager
    def _parquet(self, path: str) -> Iterator[pq.ParquetFile]:
        """A Parquet file; on local disks Arrow reads it itself."""
        full = self._full(path)
        with contextlib.ExitStack() as stack:
            source = full if self.is_local else stack.enter_context(self.fs.open(full, "rb", block_size=_READ_AHEAD))
            try:
                yield stack.enter_context(pq.ParquetFile(source, pre_buffer=False))
            except pa.ArrowInvalid as error:
                raise StoreError(
                    f"{self.url(path)} is not a readable Parquet file ({error}); delete it and run again."
                ) from error

    def _full(self, path: str) -> str:
        if path.startswith("/") or ".." in path.split("/"):
            raise StoreError(f"{path!r} is not a path inside the store {self.root}")
        return f"{self.root.rstrip('/')}/{path}" if path else self.root

    @contextlib.contextmanager
    def _errors(self, verb: str, path: str) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except OSError as error:
            raise fault_of(error, verb, self.url(path)) from error
        except Exception as error:
            if self.is_local:
                raise
            # the clients of buckets have errors of their own for credentials and endpoints
            raise StoreError(f"Could not {verb} {self.url(path)}: {type(error).__name__}: {error}") from error


def fault_of(error: OSError, verb: str, place: str) -> StoreError:
    """The error of a store for one of the system's."""
    if error.errno in _FULL:
        return StoreFullError(
            f"No space left while trying to {verb} {place}. Free some space and give the same command again: what is "
            "finished is kept."
        )
    if error.errno in _REFUSED or isinstance(error, PermissionError):  # those of buckets have no number
        return StoreRefusedError(
            f"Could not {verb} {place}: {error}. Make it {'readable' if verb == 'read' else 'writable'} for this user "
            "or take another place, then give the same command again: what is finished is kept."
        )
    reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
    return StoreError(f"Could not {verb} {place}: {reason}")


def _write_local(target: Path, fill: Callable[[BinaryIO], None], flush: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{PARTIAL}{uuid.uuid4().hex}")
    try:
        with partial.open("wb") as file:
            fill(file)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
