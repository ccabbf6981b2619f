"""Zip, tar and 7z alike: which files are in them, and their bytes."""

from __future__ import annotations

import itertools
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import IO, BinaryIO, NamedTuple, cast

from dfd_core.datasets.archives.gate import Gate, Limits
from dfd_core.errors import DamagedArchiveError

SUFFIXES = {".zip": "zip", ".tar": "tar", ".tar.gz": "tar.gz", ".tgz": "tar.gz", ".7z": "7z", ".parquet": "parquet"}
_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, struct.error, NotImplementedError,
)  # fmt: skip
_PIECE = 2**20
_HEADER_BYTES = 30
"""Of a zip archive's local header, without the name and what else follows."""


class Member(NamedTuple):
    """A file in an archive.

    Attributes:
        path: Its path, checked.
        size: Unpacked bytes.
        name: As the archive has it.
        plain: Whether its bytes lie in the archive as they are.
    """

    path: str
    size: int
    name: str
    plain: bool


class Container:
    """An open archive.

    Args:
        name: For messages.
        file: Its bytes, from anywhere; closed with this.
        limits: What is taken for a bomb.
    """

    def __init__(self, name: str, file: BinaryIO, limits: Limits) -> None:
        self.name, self.file, self.limits = name, file, limits
        self.packed_bytes = file.seek(0, 2)
        file.seek(0)

    def __enter__(self) -> Container:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def gate(self) -> Gate:
        """A new gate for this archive's members."""
        return Gate(self.name, self.packed_bytes, self.limits)

    def members(self) -> list[Member]:
        """All files; none if one of them must not be unpacked.

        Raises:
            ArchiveError: The archive has a member that is refused.
            DamagedArchiveError: It can't be read.
        """
        raise NotImplementedError

    def read(self, members: Sequence[Member]) -> Iterator[tuple[Member, bytes]]:
        """The bytes of some members, in the archive's order.

        Raises:
            DamagedArchiveError: The archive can't be read.
        """
        raise NotImplementedError

    def copy(self, member: Member, target: IO[bytes]) -> None:
        """Writes one member into a file, however large it is."""
        raise NotImplementedError

    def offset(self, member: Member) -> int:
        """Where a plain member's bytes begin in the archive."""
        raise NotImplementedError

    def damaged(self, error: BaseException) -> DamagedArchiveError:
        """The error for an archive that can't be read."""
        return DamagedArchiveError(f"The archive {self.name} is damaged or cut short: {error or type(error).__name__}.")


class ZipContainer(Container):
    """A zip archive."""

    def __init__(self, name: str, file: BinaryIO, limits: Limits) -> None:
        super().__init__(name, file, limits)
        try:
            self.zip = zipfile.ZipFile(file)
        except _DAMAGED as error:
            raise self.damaged(error) from error

    def members(self) -> list[Member]:
        """See `Container`."""
        gate, found = self.gate(), []
        for info in self.zip.infolist():
            gate.special(info.orig_filename, info.external_attr >> 16 if info.create_system == 3 else 0)
            if info.flag_bits & 0x1:
                raise gate.refused(info.orig_filename, "it is encrypted")
            if info.is_dir():
                gate.folder(info.orig_filename)
                continue
            path = gate.file(info.orig_filename, info.file_size, info.compress_size)
            found.append(Member(path, info.file_size, info.filename, info.compress_type == zipfile.ZIP_STORED))
        self._refuse_overlaps(gate)
        return found

    def _refuse_overlaps(self, gate: Gate) -> None:
        """Refuses members that share bytes: only some versions of Python do, and none of them before reading."""
        infos = sorted(self.zip.infolist(), key=lambda one: one.header_offset)
        for info, after in itertools.pairwise(infos):
            if info.header_offset + _HEADER_BYTES + info.compress_size > after.header_offset:
                why = f"it overlaps {info.orig_filename!r}, as in a bomb or in parts that don't belong together"
                raise gate.refused(after.orig_filename, why)

    def read(self, members: Sequence[Member]) -> Iterator[tuple[Member, bytes]]:
        """See `Container`."""
        for member in sorted(members, key=lambda one: self.zip.getinfo(one.name).header_offset):
            try:
                yield member, self.zip.read(member.name)
            except _DAMAGED as error:
                raise self.damaged(error) from error

    def copy(self, member: Member, target: IO[bytes]) -> None:
        """See `Container`."""
        try:
            with self.zip.open(member.name) as source:
                while piece := source.read(_PIECE):
                    target.write(piece)
        except _DAMAGED as error:
            raise self.damaged(error) from error

    def offset(self, member: Member) -> int:
        """See `Container`."""
        at = self.zip.getinfo(member.name).header_offset
        self.file.seek(at)
        header = self.file.read(_HEADER_BYTES)
        if header[:4] != b"PK\x03\x04" or len(header) < _HEADER_BYTES:
            raise self.damaged(ValueError(f"there is no local header for {member.name}"))
        name, extra = struct.unpack("<HH", header[26:30])
        return int(at + _HEADER_BYTES + name + extra)


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
                while piece := source.read(_PIECE):
                    target.write(piece)
                return

    def offset(self, member: Member) -> int:
        """See `Container`."""
        return self.offsets[member.name]

    def _walk(self) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
        self.file.seek(0)
        try:
            with tarfile.open(fileobj=self.file, mode="r|gz" if self.compressed else "r:") as tar:
                for info in tar:
                    yield info, tar
                    tar.members.clear()  # type: ignore[attr-defined] # else it keeps all of them
            self._check_end()
        except (*_DAMAGED, OSError) as error:
            raise self.damaged(error) from error

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


def open_container(name: str, file: BinaryIO, kind: str, limits: Limits = Limits()) -> Container:  # noqa: B008 - immutable
    """Opens an archive.

    Args:
        name: For messages.
        file: Its bytes, from anywhere.
        kind: `zip`, `tar`, `tar.gz` or `7z`.
        limits: What is taken for a bomb.

    Raises:
        ArchiveError: It is damaged, encrypted, or what reads it is missing.
    """
    if kind == "zip":
        return ZipContainer(name, file, limits)
    if kind == "7z":
        from dfd_core.datasets.archives.seven_zip import SevenZipContainer

        return SevenZipContainer(name, file, limits)
    return TarContainer(name, file, limits, compressed=kind == "tar.gz")


def kind_of(name: str) -> str | None:
    """The kind of an archive by its name; that of a part (`.001`, `.00`) by what stands before, `.z01` is a zip's."""
    stem, _, last = name.lower().rpartition(".")
    if last.isdecimal():
        name = stem
    elif re.fullmatch(r"z\d\d+", last):
        return "zip"
    return next((kind for suffix, kind in SUFFIXES.items() if name.lower().endswith(suffix)), None)
