"""7z archives, through py7zr."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, BinaryIO

from dfd_core.datasets.archives.containers import Container, Member
from dfd_core.datasets.archives.gate import Limits
from dfd_core.errors import ArchiveError

_WAITING = 64
_COPY = b"\x00"


class SevenZipContainer(Container):
    """A 7z archive. What is wanted of a solid one costs unpacking all that stands before it.

    Raises:
        ArchiveError: py7zr is missing, or the archive is damaged or encrypted.
    """

    def __init__(self, name: str, file: BinaryIO, limits: Limits) -> None:
        super().__init__(name, file, limits)
        try:
            import py7zr
        except ImportError as error:
            raise ArchiveError(f"{name} is a 7z archive; `pip install dfd[archives]` brings what reads it.") from error
        self.py7zr = py7zr
        self.plain: dict[str, int] = {}
        self._open().close()

    def members(self) -> list[Member]:
        """See `Container`."""
        gate, found = self.gate(), []
        with self._open() as archive:
            self.plain = dict(_plain(archive))
            for info in archive.files:
                if info.is_symlink or info.is_junction or info.is_socket:
                    raise gate.refused(info.filename, "it is a link or a socket")
                gate.special(info.filename, info.posix_mode or 0)
                if info.is_directory:
                    gate.folder(info.filename)
                    continue
                size = int(info.uncompressed)
                found.append(Member(gate.file(info.filename, size), size, info.filename, info.filename in self.plain))
        return found

    def offset(self, member: Member) -> int:
        """See `Container`; `members` must have been called."""
        return self.plain[member.name]

    def read(self, members: Sequence[Member]) -> Iterator[tuple[Member, bytes]]:
        """See `Container`. Unpacks in a thread, so that not all members are in memory at once."""
        wanted = {member.name: member for member in members}
        made: queue.Queue[tuple[Member, bytes] | BaseException | None] = queue.Queue(_WAITING)
        over = threading.Event()

        def put(item: tuple[Member, bytes] | BaseException | None) -> None:
            while not over.is_set():
                try:
                    made.put(item, timeout=0.1)
                    return
                except queue.Full:
                    continue
            raise _Over

        def unpack() -> None:
            try:
                self._extract(list(wanted), lambda name: _Buffer(lambda data: put((wanted[name], data))))
                put(None)
            except _Over:
                return
            except Exception as error:
                put(error)

        thread = threading.Thread(target=unpack, name="dfd-unpack", daemon=True)
        thread.start()
        try:
            while (item := made.get()) is not None:
                if isinstance(item, BaseException):
                    raise self.damaged(item) from item
                yield item
        finally:
            over.set()
            thread.join()

    def copy(self, member: Member, target: IO[bytes]) -> None:
        """See `Container`."""
        through = _Through(target)
        try:
            self._extract([member.name], lambda _: through)
        except Exception as error:
            if through.fault is not None:  # a full disk, or a request to stop, is no damage
                raise through.fault from error
            raise self.damaged(error) from error

    def _extract(self, names: list[str], sink: Callable[[str], Any]) -> None:
        class Factory(self.py7zr.io.WriterFactory):  # type: ignore[name-defined,misc]
            def create(self, filename: str) -> Any:
                return sink(filename)

        with self._open() as archive:
            archive.extract(targets=names, factory=Factory())

    def _open(self) -> Any:
        self.file.seek(0)
        try:
            archive = self.py7zr.SevenZipFile(self.file)
            if archive.needs_password():
                names = archive.getnames()
                raise self.gate().refused(names[0] if names else "", "it is encrypted")
        except ArchiveError:
            raise
        except Exception as error:  # py7zr raises a password error of its own, and struct's and lzma's
            if "assword" in f"{type(error).__name__}{error}":
                raise self.gate().refused("(all)", "the archive is encrypted, its list of files too") from error
            raise self.damaged(error) from error
        return archive


def _plain(archive: Any) -> Iterator[tuple[str, int]]:
    """Members that lie in the archive as they are, and where: those of folders whose only method is Copy."""
    streams, folder, at, first = archive.header.main_streams, None, 0, 0
    for info in archive.files:
        if info.emptystream:
            continue
        if info.folder is not folder:
            first += 0 if folder is None else len(folder.packed_indices)
            folder = info.folder
            at = archive.afterheader + streams.packinfo.packpos + streams.packinfo.packpositions[first]
        if [coder["method"] for coder in folder.coders] == [_COPY]:
            yield info.filename, at
        at += info.uncompressed


class _Over(Exception):  # noqa: N818 - nobody wants the rest
    pass


class _Buffer:
    """What py7zr writes one member into."""

    def __init__(self, done: Callable[[bytes], None]) -> None:
        self.done, self.buffer = done, io.BytesIO()

    def write(self, data: bytes) -> int:
        return self.buffer.write(data)

    def read(self, size: int | None = None) -> bytes:
        return self.buffer.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.buffer.seek(offset, whence)

    def flush(self) -> None:
        return None

    def size(self) -> int:
        return len(self.buffer.getbuffer())

    def close(self) -> None:
        self.done(self.buffer.getvalue())


class _Through:
    """What py7zr writes a large member through."""

    def __init__(self, target: IO[bytes]) -> None:
        self.target, self.count = target, 0
        self.fault: Exception | None = None

    def write(self, data: bytes) -> int:
        self.count += len(data)
        try:
            return self.target.write(data)
        except Exception as error:
            self.fault = error
            raise

    def read(self, _size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, _whence: int = 0) -> int:
        return offset

    def flush(self) -> None:
        return None

    def size(self) -> int:
        return self.count

    def close(self) -> None:
        return None
