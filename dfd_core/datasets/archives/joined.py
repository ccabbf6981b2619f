"""The parts of a split archive (`.7z.001`, `.zip.001`, `.tar.00`) as one file, and a part of a file as a file."""

from __future__ import annotations

import bisect
import io
import itertools
from collections.abc import Sequence
from typing import BinaryIO

from dfd_core.datasets.archives.read_only import ReadOnly


class Joined(ReadOnly):
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
        super().__init__(self.starts[-1])

    def read_at(self, start: int, size: int) -> bytes:
        """See `ReadOnly`; at most to the end of a part."""
        part = bisect.bisect_right(self.starts, start) - 1
        self.files[part].seek(start - self.starts[part])
        return self.files[part].read(min(size, self.starts[part + 1] - start))

    def close(self) -> None:
        """Closes all parts, if they are its own."""
        for file in self.files if self.owning else ():
            file.close()
        super().close()


class Window(ReadOnly):
    """A part of a file as a file of its own: an archive that lies in another one as it is.

    Args:
        file: An open file that can seek; closed with this.
        start: Where the part begins.
        size: Its bytes.
    """

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__(size)
        self.file, self.start = file, start

    def read_at(self, start: int, size: int) -> bytes:
        """See `ReadOnly`."""
        self.file.seek(self.start + start)
        return self.file.read(size)

    def close(self) -> None:
        """Closes the file too."""
        self.file.close()
        super().close()
