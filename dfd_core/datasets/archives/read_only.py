"""Files that can be read from anywhere, of which a subclass only says how."""

from __future__ import annotations

import io


class ReadOnly(io.RawIOBase):
    """A file of a known size.

    Args:
        size: Its bytes.
    """

    def __init__(self, size: int) -> None:
        self.size, self.at = size, 0

    def read_at(self, start: int, size: int) -> bytes:
        """Some bytes: at least one and at most `size`, which are there."""
        raise NotImplementedError

    def seekable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def readable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def tell(self) -> int:
        """See `io.IOBase`."""
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See `io.IOBase`."""
        self.at = max(0, {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence] + offset)
        return self.at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """See `io.RawIOBase`."""
        size = min(len(buffer), self.size - self.at)
        data = self.read_at(self.at, size) if size > 0 else b""
        buffer[: len(data)] = data
        self.at += len(data)
        return len(data)
