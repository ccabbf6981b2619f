"""Zip archives that were split with `zip -s`: `.z01`, `.z02`, ..., and `.zip` last.

Put one after another, such parts are a zip archive but for its central directory, which counts from the beginning of
each part. Here a directory that counts from the first is put behind them; the parts are not touched. The layout is that
of PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.12 to 4.3.16 and 4.5.3.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

from dfd_core.datasets.archives.joined import Joined
from dfd_core.errors import ArchiveError, DamagedArchiveError

_END, _END64, _LOCATOR, _ENTRY = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2"
_LONGEST_END = 22 + 2**16
_U16, _U32 = 2**16 - 1, 2**32 - 1


class _Directory(NamedTuple):
    """What the end of an archive says of its central directory."""

    last_part: int
    part: int
    entries: int
    size: int
    offset: int


def joined(name: str, files: Sequence[BinaryIO]) -> BinaryIO:
    """The parts of a zip archive as one file, whichever way it was split.

    Args:
        name: For messages.
        files: Its parts in their order; of an archive that was not split its only file.

    Raises:
        ArchiveError: A part is missing, or the directory is damaged.
    """
    parts = Joined(files, owning=False)
    try:
        directory = _directory(parts)
        if directory is None or directory.last_part == 0:  # whole, cut anywhere, or damaged, which others will say
            return files[0] if len(files) == 1 else io.BufferedReader(Joined(files))
        if directory.last_part + 1 != len(files):
            raise ArchiveError(
                f"The archive {name} has {directory.last_part + 1} parts, of which {len(files)} are there. Put all of "
                f"them side by side: .z01 to .z{directory.last_part:02d}, and .zip."
            )
        tail = _rewritten(parts, directory)
    except (struct.error, IndexError, ValueError) as error:
        raise DamagedArchiveError(f"The archive {name} is damaged or cut short: {error}.") from error
    return io.BufferedReader(Joined([*files, io.BytesIO(tail)]))


def _directory(file: Joined) -> _Directory | None:
    size = file.seek(0, io.SEEK_END)
    start = max(0, size - _LONGEST_END)
    tail = _read(file, start, size - start)
    at = tail.rfind(_END)
    if at < 0 or at + 22 > len(tail):
        return None
    last, part, _, entries, length, offset = struct.unpack("<HHHHII", tail[at + 4 : at + 20])
    locator = tail[at - 20 : at] if at >= 20 else b""
    if locator[:4] != _LOCATOR:
        return _Directory(last, part, entries, length, offset)
    of_end, end_offset, parts = struct.unpack("<IQI", locator[4:])
    if parts <= 1:
        return _Directory(0, 0, entries, length, offset)
    end = _read(file, file.starts[of_end] + end_offset, 56)
    if end[:4] != _END64:
        raise ValueError("there is no zip64 end of the central directory where its locator says")
    last, part, _, entries, length, offset = struct.unpack("<IIQQQQ", end[16:56])
    return _Directory(last, part, entries, length, offset)


def _rewritten(file: Joined, found: _Directory) -> bytes:
    """The central directory with places in the joined parts, and its end."""
    old = _read(file, file.starts[found.part] + found.offset, found.size)
    out, at = bytearray(), 0
    for _ in range(found.entries):
        if old[at : at + 4] != _ENTRY:
            raise ValueError("an entry of the central directory is missing")
        names, extras, comments = struct.unpack("<HHH", old[at + 28 : at + 34])
        end = at + 46 + names
        header, extra = bytearray(old[at:end]), old[end : end + extras]
        extra = _moved(header, extra, file.starts)
        header[30:32] = struct.pack("<H", len(extra))
        out += header + extra + old[end + extras : end + extras + comments]
        at = end + extras + comments
    base = file.starts[-1]
    end64 = struct.pack("<4sQHHIIQQQQ", _END64, 44, 45, 45, 0, 0, found.entries, found.entries, len(out), base)
    locator = struct.pack("<4sIQI", _LOCATOR, 0, base + len(out), 1)
    last = struct.pack("<4sHHHHIIH", _END, 0, 0, _U16, _U16, _U32, _U32, 0)
    return bytes(out) + end64 + locator + last


def _moved(header: bytearray, extra: bytes, starts: Sequence[int]) -> bytes:
    """Puts a member's place in the joined parts into its entry; returns the entry's extra fields."""
    packed, size = struct.unpack("<II", header[20:28])
    part, offset = struct.unpack("<H", header[34:36])[0], struct.unpack("<I", header[42:46])[0]
    wide, others = _zip64(extra)
    numbers = io.BytesIO(wide)
    kept = b"".join(numbers.read(8) for number in (size, packed) if number == _U32)
    offset = struct.unpack("<Q", numbers.read(8))[0] if offset == _U32 else offset
    part = struct.unpack("<I", numbers.read(4))[0] if part == _U16 else part
    header[34:36] = struct.pack("<H", 0)
    header[42:46] = struct.pack("<I", _U32)
    kept += struct.pack("<Q", starts[part] + offset)
    return struct.pack("<HH", 1, len(kept)) + kept + others


def _zip64(extra: bytes) -> tuple[bytes, bytes]:
    """The field of wide numbers, and all others."""
    wide, others, at = b"", b"", 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack("<HH", extra[at : at + 4])
        if kind == 1:
            wide = extra[at + 4 : at + 4 + length]
        else:
            others += extra[at : at + 4 + length]
        at += 4 + length
    return wide, others


def _read(file: Joined, at: int, size: int) -> bytes:
    file.seek(at)
    data = bytearray()
    while len(data) < size and (piece := file.read(size - len(data))):
        data += piece
    if len(data) < size:
        raise ValueError("it ends before its central directory does")
    return bytes(data)
