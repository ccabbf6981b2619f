"""Tar archives, compressed or not."""

from __future__ import annotations

import gzip
import itertools
import tarfile
from collections.abc import Iterator, Sequence
from typing import IO, Any, BinaryIO, Self, cast

from dfd_core.datasets.archives.containers import DAMAGED, PIECE, Container, Member
from dfd_core.datasets.archives.gate import Gate, Limits

_HEADERS = {
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
}  # fmt: skip
_LONGEST_HEADER = 2**20
_LOOKED_AT = 16
_AROUND_A_MEMBER = 2**12
"""Bytes of headers and padding that a member may have without being counted as its own."""


class TarContainer(Container):
    """A tar archive, compressed or not."""

    def __init__(self, name: str, file: BinaryIO, limits: Limits, compressed: bool) -> None:
        super().__init__(name, file, limits)
        self.compressed = compressed
        self.offsets: dict[str, int] = {}

    def members(self) -> list[Member]:
        """See `Container`."""
        gate, found = self.gate(), []
        for info, _ in self._walk():
            if info.isdir():
                gate.folder(info.name)
                continue
            if not info.isreg() or info.issparse():
                kind = "a link" if info.issym() or info.islnk() else "a device, a pipe or a sparse file"
                raise gate.refused(info.name, f"it is {kind}")
            path = gate.file(info.name, info.size)
            self.offsets[info.name] = info.offset_data
            found.append(Member(path, info.size, info.name, not self.compressed))
        return found

    def read(self, members: Sequence[Member]) -> Iterator[tuple[Member, bytes]]:
        """See `Container`."""
        wanted = {member.name: member for member in members}
        if not self.compressed and self.offsets:
            for member in sorted(members, key=lambda one: self.offsets[one.name]):
                self.file.seek(self.offsets[member.name])
                yield member, self._complete(member, self.file.read(member.size))
            return
        for info, tar in self._walk():
            member_or_none = wanted.get(info.name)
            if member_or_none is not None:
                source = cast("IO[bytes]", tar.extractfile(info))
                yield member_or_none, self._complete(member_or_none, source.read())

    def copy(self, member: Member, target: IO[bytes]) -> None:
        """See `Container`."""
        for info, tar in self._walk():
            if info.name == member.name:
                source = cast("IO[bytes]", tar.extractfile(info))
                while piece := source.read(PIECE):
                    target.write(piece)
                return

    def offset(self, member: Member) -> int:
        """See `Container`."""
        return self.offsets[member.name]

    def mean_stride(self) -> float | None:
        """See `Container`; by the first files."""
        if self.compressed:
            return None
        ends = [info.offset_data + info.size for info, _ in itertools.islice(self._walk(), _LOOKED_AT)]
        return ends[-1] / _LOOKED_AT if len(ends) == _LOOKED_AT else None

    def _walk(self) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
        self.file.seek(0)
        inflated = _Inflated(self.file, self.gate()) if self.compressed else None
        try:
            with self._opened(inflated) as tar:
                for info in tar:
                    if inflated:
                        inflated.admit(info.name)
                    yield info, tar
                    tar.members.clear()  # type: ignore[attr-defined] # else it keeps all of them
            self._check_end()
        except _LongHeader as error:
            raise self.gate().refused(error.name, f"it has a header of {error.size:,} bytes") from error
        except (*DAMAGED, OSError, RecursionError) as error:  # headers that follow headers are read by recursion
            raise self.damaged(error) from error

    def _opened(self, inflated: _Inflated | None) -> tarfile.TarFile:
        if inflated is None:
            return tarfile.open(fileobj=self.file, mode="r:", tarinfo=_Header)
        return tarfile.open(fileobj=cast("IO[bytes]", inflated), mode="r|", tarinfo=_Header)

    def _check_end(self) -> None:
        """Python takes a tar that was cut between two members for a whole one."""
        if not self.compressed:
            self.file.seek(max(0, self.packed_bytes - 1024))
            if self.file.read(1024).strip(b"\0"):
                raise EOFError("its end is missing")

    def _complete(self, member: Member, data: bytes) -> bytes:
        if len(data) != member.size:
            raise self.damaged(EOFError(f"{member.name} has {len(data)} of {member.size} bytes"))
        return data


class _LongHeader(Exception):  # noqa: N818 - the container's error is made of it
    """A header that is longer than any name or attribute needs.

    Args:
        name: Of the header.
        size: Its bytes.
    """

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name)
        self.name, self.size = name, size


class _Header(tarfile.TarInfo):
    """A member's header; tarfile keeps headers of headers in memory, whatever their size is."""

    @classmethod
    def frombuf(cls, *arguments: Any, **options: Any) -> Self:
        """See `tarfile.TarInfo`."""
        found = super().frombuf(*arguments, **options)
        if found.type in _HEADERS and found.size > _LONGEST_HEADER:
            raise _LongHeader(found.name, found.size)
        return found


class _Inflated:
    """The bytes of a compressed tar archive, until they are more than its members account for.

    Args:
        file: The archive.
        gate: What says how much is too much.
    """

    def __init__(self, file: BinaryIO, gate: Gate) -> None:
        self.file, self.gate = gzip.GzipFile(fileobj=file, mode="rb"), gate
        self.count = 0
        self.most, self.last = gate.most_bytes + _LONGEST_HEADER, "(the first header)"

    def admit(self, name: str) -> None:
        """A member was reached; it has headers and padding too."""
        self.most, self.last = self.most + _AROUND_A_MEMBER, name

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many."""
        data = self.file.read(size)
        self.count += len(data)
        if self.count > self.most:
            why = f"with what follows, {self.gate.packed_bytes:,} bytes of archive become more than {self.count:,}"
            raise self.gate.refused(self.last, why)
        return data
