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
from typing import IO, BinaryIO, NamedTuple

from dfd_core.datasets.archives.gate import Gate, Limits
from dfd_core.errors import DamagedArchiveError

SUFFIXES = {".zip": "zip", ".tar": "tar", ".tar.gz": "tar.gz", ".tgz": "tar.gz", ".7z": "7z", ".parquet": "parquet"}
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, struct.error, NotImplementedError,
)  # fmt: skip
PIECE = 2**20
_LITTLE = 2**12
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)
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

    def mean_stride(self) -> float | None:
        """Bytes from one file to the next, where each must be visited to find the next; `None` where there is a list.

        Also where there are too few to matter.
        """
        return None

    def piece_of(self, member: Member) -> int:
        """Which piece of the archive a member is read with, where they are read in pieces of many.

        A sample takes few pieces: what else is in them costs nothing.
        """
        del member
        return 0

    def damaged(self, error: BaseException) -> DamagedArchiveError:
        """The error for an archive that can't be read."""
        return DamagedArchiveError(f"The archive {self.name} is damaged or cut short: {error or type(error).__name__}.")


class ZipContainer(Container):
    """A zip archive."""

    def __init__(self, name: str, file: BinaryIO, limits: Limits) -> None:
        super().__init__(name, file, limits)
        try:
            self.zip = zipfile.ZipFile(file)
        except DAMAGED as error:
            raise self.damaged(error) from error

    def members(self) -> list[Member]:
        """See `Container`."""
        gate, found = self.gate(), []
        for info in self.zip.infolist():
            gate.special(info.orig_filename, info.external_attr >> 16 if info.create_system == 3 else 0)
            if info.flag_bits & 0x1:
                raise gate.refused(info.orig_filename, "it is encrypted")
            if info.compress_type not in _METHODS:
                why = f"it is packed by the method {info.compress_type}, which can't be unpacked piece by piece here"
                raise gate.refused(info.orig_filename, why)
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
                yield member, b"".join(self._pieces(member))
            except DAMAGED as error:
                raise self.damaged(error) from error

    def _pieces(self, member: Member) -> Iterator[bytes]:
        """At most as many bytes as the archive says: reading all at once unpacks what is there, whatever it says.

        LZMA unpacks all that it is given, so it is given little.
        """
        info = self.zip.getinfo(member.name)
        size = _LITTLE if info.compress_type == zipfile.ZIP_LZMA else PIECE
        with self.zip.open(info) as source:
            while piece := source.read(size):
                yield piece

    def copy(self, member: Member, target: IO[bytes]) -> None:
        """See `Container`."""
        try:
            for piece in self._pieces(member):
                target.write(piece)
        except DAMAGED as error:
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
    from dfd_core.datasets.archives.tar import TarContainer

    return TarContainer(name, file, limits, compressed=kind == "tar.gz")


def kind_of(name: str) -> str | None:
    """The kind of an archive by its name; that of a part (`.001`, `.00`) by what stands before, `.z01` is a zip's."""
    stem, _, last = name.lower().rpartition(".")
    if last.isdecimal():
        name = stem
    elif re.fullmatch(r"z\d\d+", last):
        return "zip"
    return next((kind for suffix, kind in SUFFIXES.items() if name.lower().endswith(suffix)), None)
