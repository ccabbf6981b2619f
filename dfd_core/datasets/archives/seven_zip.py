"""7z archives, through py7zr."""

from __future__ import annotations

import contextlib
import io
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import IO, Any, BinaryIO

from dfd_core.crew import Crew, Stopped
from dfd_core.datasets.archives.containers import Container, Member
from dfd_core.datasets.archives.gate import Limits
from dfd_core.datasets.archives.read_only import ReadOnly
from dfd_core.errors import ArchiveError
from dfd_core.wording import how_to_install

_WAITING = 64
_TICK_S = 0.1
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
            raise ArchiveError(f"{name} is a 7z archive; {how_to_install('archives')} brings what reads it.") from error
        self.py7zr = py7zr
        self.plain: dict[str, int] = {}
        self.left_behind = False
        self._open().close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.left_behind:  # closing a file waits for whoever reads it
            super().__exit__(kind, error, trace)

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
        """See `Container`. Unpacks in a thread, so that not all members are in memory at once.

        Whoever stops asking does not wait for it: a solid block may take minutes, a disk on the network for ever. The
        archive is of no use then but to be closed.
        """
        wanted = {member.name: member for member in members}
        made: queue.Queue[tuple[Member, bytes] | BaseException | None] = queue.Queue(_WAITING)

        def put(item: tuple[Member, bytes] | BaseException | None) -> None:
            while not crew.over.is_set():
                with contextlib.suppress(queue.Full):
                    made.put(item, timeout=_TICK_S)
                    return
            raise Stopped

        def unpack() -> None:
            try:
                file = io.BufferedReader(_Watched(self.file, self.packed_bytes, crew.over))
                self._extract(list(wanted), lambda name: _Buffer(lambda data: put((wanted[name], data))), file)
                put(None)
            except Exception as error:
                put(error)

        crew = Crew(1)
        try:
            with crew:
                crew.give(unpack)
                while (item := made.get()) is not None:
                    if isinstance(item, BaseException):
                        raise self.damaged(item) from item
                    yield item
        finally:
            self.left_behind = any(thread.is_alive() for thread in crew.threads)

    def copy(self, member: Member, target: IO[bytes]) -> None:
        """See `Container`."""
        through = _Through(target)
        try:
            self._extract([member.name], lambda _: through)
        except Exception as error:
            if through.fault is not None:  # a full disk, or a request to stop, is no damage
                raise through.fault from error
            raise self.damaged(error) from error

    def _extract(self, names: list[str], sink: Callable[[str], Any], file: BinaryIO | None = None) -> None:
        class Factory(self.py7zr.io.WriterFactory):  # type: ignore[name-defined,misc]
            def create(self, filename: str) -> Any:
                return sink(filename)

        with self._open(file) as archive:
            archive.extract(targets=names, factory=Factory())

    def _open(self, file: BinaryIO | None = None) -> Any:
        file = file or self.file
        file.seek(0)
        try:
            archive = self.py7zr.SevenZipFile(file)
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


class _Watched(ReadOnly):
    """A file that nobody reads on in once the work is over."""

    def __init__(self, file: BinaryIO, size: int, over: threading.Event) -> None:
        super().__init__(size)
        self.file, self.over = file, over

    def read_at(self, start: int, size: int) -> bytes:
        """See `ReadOnly`."""
        if self.over.is_set():
            raise Stopped
        self.file.seek(start)
        return self.file.read(size)


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
