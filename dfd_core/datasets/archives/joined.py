"""The parts of a split archive (`.7z.001`, `.zip.001`, `.tar.00`) as one file, and a part of a file as a file."""

from __future__ import annotations

import bisect
import io
import itertools
from collections.abc import Sequence
from typing import BinaryIO


class Joined(io.RawIOBase):
    """Files one after another as one.

    Args:
        files: Open files that can seek.
        owning: Whether they are closed with this.
    """

    def __init__(self, files: Sequence[BinaryIO], owning: bool = True) -> None:
        self.owning = owning
        self.files = list(files)
        sizes = [file.seek(0, io.SEEK_END) for file in self.files]
        self.starts = list(itertools.accumulate([0, *sizes]))
        self.at = 0

    def seekable(self) -> bool:
        """It can."""
        return True

    def readable(self) -> bool:
        """It can be."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes somewhere else."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.starts[-1]}[whence]
        self.at = max(0, base + offset)
        return self.at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads on, at most to the end of a part."""
        part = bisect.bisect_right(self.starts, self.at) - 1
        if part >= len(self.files):
            return 0
        self.files[part].seek(self.at - self.starts[part])
        data = self.files[part].read(min(len(buffer), self.starts[part + 1] - self.at))
        buffer[: len(data)] = data
        self.at += len(data)
        return len(data)

    def close(self) -> None:
        """Closes all parts, if they are its own."""
        for file in self.files if self.owning else ():
            file.close()
        super().close()


class Window(io.RawIOBase):
    """A part of a file as a file of its own: an archive that lies in another one as it is.

    Args:
        file: An open file that can seek; closed with this.
        start: Where the part begins.
        size: Its bytes.
    """

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self.file, self.start, self.size = file, start, size
        self.at = 0

    def seekable(self) -> bool:
        """It can."""
        return True

    def readable(self) -> bool:
        """It can be."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes somewhere else."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence]
        self.at = max(0, base + offset)
        return self.at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads on, at most to the end of the part."""
        self.file.seek(self.start + self.at)
        data = self.file.read(max(0, min(len(buffer), self.size - self.at)))
        buffer[: len(data)] = data
        self.at += len(data)
        return len(data)

    def close(self) -> None:
        """Closes the file too."""
        self.file.close()
        super().close()
