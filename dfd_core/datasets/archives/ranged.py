"""A file on the network that is read in ranges, so that of a large archive only what is wanted is fetched."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from dfd_core.datasets.archives.read_only import ReadOnly
from dfd_core.datasets.downloading.origins import Origin, SourceChanged, TransientFault
from dfd_core.datasets.downloading.patience import Patience, watched
from dfd_core.datasets.downloading.terms import Checkpoint, Fetching
from dfd_core.errors import DownloadError, UnreachableError, WholeOnlyError

BLOCK = 2**16
_LITTLE = 2**12
_KEPT_BYTES = 2**24
_AT_ONCE_BYTES = 2**22
T = TypeVar("T")


class Spent:
    """How many bytes were fetched, of all files that share this."""

    size_bytes = 0


class Ranged(ReadOnly):
    """One version of an origin's file, which can be read from anywhere.

    Where the origin does not tell with each range which version it is of, it is asked again when this is closed.

    Args:
        origin: Where from; closed with this.
        how: Attempts and waiting.
        max_bytes: How much may be fetched in all.
        checkpoint: Called several times a second while a request is under way; raises to stop.
        spent: Shared by files that keep to one limit together, as the parts of an archive.

    Raises:
        WholeOnlyError: It does not answer ranges, or has no mark of its version, so that pieces may be of two.
        UnreachableError: It can't be read now, or was changed while it was read.
        DownloadError: It can't be read, or more would be fetched than may be.
    """

    def __init__(
        self,
        origin: Origin,
        how: Fetching = Fetching(),  # noqa: B008 - immutable
        max_bytes: int | None = None,
        checkpoint: Checkpoint | None = None,
        spent: Spent | None = None,
    ) -> None:
        self.origin, self.max_bytes, self.checkpoint = origin, max_bytes, checkpoint or (lambda: None)
        self.patience = Patience(origin.address, how)
        # small ones where little may be fetched, else the first would pass the limit
        self.block_bytes = BLOCK if max_bytes is None else min(BLOCK, max(_LITTLE, max_bytes // 64))
        self.spent = spent or Spent()
        self.fetched = 0
        self.blocks: OrderedDict[int, bytes] = OrderedDict()
        self.handled = sys.exception()
        try:
            self.facts = self._patiently(origin.facts)
            super().__init__(self._size())
        except BaseException:
            origin.close()
            raise

    def read_at(self, start: int, size: int) -> bytes:
        """See `ReadOnly`; at most to the end of a block. What is asked for at once is fetched at once."""
        number, inside = divmod(start, self.block_bytes)
        if number not in self.blocks:
            stop = min((start + size - 1) // self.block_bytes, number + _AT_ONCE_BYTES // self.block_bytes - 1) + 1
            self._fetch(range(number, next((i for i in range(number, stop) if i in self.blocks), stop)))
        self.blocks.move_to_end(number)
        return self.blocks[number][inside : inside + size]

    def close(self) -> None:
        """Closes the connection.

        Raises:
            UnreachableError: What was read may be of two versions.
        """
        if self.closed:
            return
        super().close()
        try:
            # not where another error is on its way, which it would hide, nor at the interpreter's end, when no thread
            # answers any more
            at_peace = sys.exception() in (None, self.handled) and not sys.is_finalizing()
            if at_peace and not self.origin.stamps_every_range and self.fetched:
                self._check_version()
        finally:
            self.origin.close()

    def _size(self) -> int:
        reason = None
        if self.facts.size is None or not self.facts.ranges:
            reason = "its server does not answer ranges"
        elif self.facts.stamp is None:
            reason = "its server gives no mark of its version (ETag, Last-Modified), so pieces may be of two"
        if self.facts.size is None or reason is not None:
            raise WholeOnlyError(f"{self.origin.address} can only be downloaded whole: {reason}.")
        return self.facts.size

    def _check_version(self) -> None:
        stamp = self._patiently(self.origin.facts).stamp
        if stamp != self.facts.stamp:
            raise UnreachableError(
                f"{self.origin.address} was changed while it was read: it has the stamp {stamp} now, "
                f"{self.facts.stamp} before. Run the same command again."
            )

    def _fetch(self, numbers: range) -> None:
        start, spent = numbers.start * self.block_bytes, self.spent.size_bytes
        stop = min(numbers.stop * self.block_bytes, self.size)
        if self.max_bytes is not None and spent + stop - start > self.max_bytes:
            raise DownloadError(
                f"{self.origin.address}: {spent:,} bytes were read, and more would pass --max-bytes "
                f"{self.max_bytes:,}. Raise it, or take a smaller --sample."
            )
        data = self._patiently(lambda: self._whole(start, stop))
        self.fetched += stop - start
        self.spent.size_bytes += stop - start
        for i, number in enumerate(numbers):
            self.blocks[number] = data[i * self.block_bytes : (i + 1) * self.block_bytes]
        while len(self.blocks) * self.block_bytes > _KEPT_BYTES:
            self.blocks.popitem(last=False)

    def _whole(self, start: int, stop: int) -> bytes:
        data = b"".join(self.origin.read(start, stop, self.facts))
        if len(data) != stop - start:
            raise TransientFault("the connection ended early")
        return data

    def _patiently(self, act: Callable[[], T]) -> T:
        self.checkpoint()
        try:
            return watched(lambda crew: self.patience.try_again(act, crew), self.checkpoint)
        except SourceChanged as change:
            raise UnreachableError(f"{change}. Run the same command again.") from change
