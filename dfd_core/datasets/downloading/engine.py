"""Fetching one file: in parts side by side, again where something breaks, under its final name once it is right."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from pathlib import Path
from typing import TypeVar

import fsspec

from dfd_core.crew import Crew
from dfd_core.datasets.downloading.journal import Journal, Tally
from dfd_core.datasets.downloading.origins import Facts, Origin, SourceChanged, TransientFault
from dfd_core.datasets.downloading.patience import TICK_S, Patience
from dfd_core.datasets.downloading.terms import Checkpoint, Downloaded, Expected, Fetching
from dfd_core.datasets.lock import alone
from dfd_core.errors import DownloadError, StoreFullError
from dfd_core.progress import Bytes, Progress
from dfd_core.storage import fault_of

logger = logging.getLogger(__name__)
T = TypeVar("T")
_BLOCK = 2**20
_RESTARTS = 3


def download(
    origin: Origin,
    target: Path,
    expected: Expected = Expected(),  # noqa: B008 - immutable
    how: Fetching = Fetching(),  # noqa: B008 - immutable
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Downloaded:
    """Fetches a file; what an earlier call fetched and kept is not fetched again.

    Beside the target lie `.<name>.partial`, `.<name>.journal` and `.<name>.lock` meanwhile. Two processes may ask for
    the same file: the second waits for the first. A target that is there already is hashed, and stands.

    Args:
        origin: Where from; closed afterwards.
        target: Where to, on a local disk.
        expected: What it must be.
        how: Connections, attempts, waiting.
        progress: Called with bytes that are there, and of how many; nothing where nobody knows that.
        checkpoint: Called at least every second from this thread.

    Raises:
        DownloadError: It can't be fetched, or is not what it should be.
        UnreachableError: It could not be fetched this time.
        StoreError: It can't be written, or there is not enough space.
    """
    run = _Run(origin, target, how, progress or _ignore, checkpoint or _ignore)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(origin), alone(target, run.checkpoint):
            return run.fetch_once(expected)
    except OSError as error:
        raise fault_of(error, "write", str(target)) from error


class _Run:
    """One download under way."""

    def __init__(
        self, origin: Origin, target: Path, how: Fetching, progress: Callable[..., object], checkpoint: Checkpoint
    ) -> None:
        self.origin, self.target, self.how = origin, target, how
        self.progress, self.checkpoint = progress, checkpoint
        self.partial = target.with_name(f".{target.name}.partial")
        self.journal_path = target.with_name(f".{target.name}.journal")
        self.lock = threading.Lock()
        self.patience = Patience(origin.address, how)
        self.fetched = 0

    def fetch_once(self, expected: Expected) -> Downloaded:
        """Fetches it, unless it is there; from the start again where it changes meanwhile."""
        if self.target.exists():  # another process fetched it meanwhile
            digest = digest_of(self.target, self.checkpoint)
            return Downloaded(self.target.stat().st_size, digest, None, 0, _vouched(expected.sha256, expected.md5))
        changed = ""
        for _ in range(_RESTARTS):
            try:
                return self.fetch(expected)
            except SourceChanged as change:
                changed = str(change)
                logger.warning("%s. Its download starts over.", change)
                self.forget()
        raise DownloadError(
            f"{self.origin.address} changes while it is downloaded, {_RESTARTS} times by now: {changed}. Try later."
        )

    def fetch(self, expected: Expected) -> Downloaded:
        facts = self._facts()
        sha256 = expected.sha256 or facts.sha256
        _check_size(self.origin, facts, expected)
        # without a mark of the version and a digest nothing would show that parts are of two versions
        told_apart = facts.stamp is not None or sha256 is not None or expected.md5 is not None
        if facts.ranges and facts.size is not None and told_apart:
            self._fetch_parts(facts)
        else:
            self._fetch_stream(facts)
        if not self.origin.stamps_every_range:
            now = self._facts()
            if now.stamp != facts.stamp:
                raise SourceChanged(f"{self.origin.address} was changed while it was read")
        size = self.partial.stat().st_size
        digest = digest_of(self.partial, self.checkpoint)
        wanted = facts.size if expected.size is None else expected.size
        if wanted is not None and size != wanted:  # a server that tells no size may end too early unnoticed
            self.forget()
            raise DownloadError(
                f"{self.origin.address} gave {size:,} bytes instead of {wanted:,}. What came is removed; try later."
            )
        if sha256 is not None and digest != sha256:
            raise self._another("SHA-256", digest, sha256, expected.recorded)
        if expected.md5 is not None:
            md5 = digest_of(self.partial, self.checkpoint, "md5")
            if md5 != expected.md5:
                raise self._another("MD5", md5, expected.md5)
        with self.partial.open("rb+") as file:
            os.fsync(file.fileno())
        self.partial.replace(self.target)
        self.journal_path.unlink(missing_ok=True)
        return Downloaded(size, digest, facts.stamp, self.fetched, _vouched(sha256, expected.md5))

    def forget(self) -> None:
        self.partial.unlink(missing_ok=True)
        self.journal_path.unlink(missing_ok=True)

    def _another(self, kind: str, found: str, expected: str, recorded: bool = False) -> DownloadError:
        """Removes what was fetched; the error for a file with another digest than it should have."""
        self.forget()
        advice = (
            "If the new file is to be trusted, `dfd datasets remove NAME --archives --forget` drops the dataset's "
            "recorded digests."
            if recorded
            else "That is what its publisher or hub states: try again, and if it stays so, see what the dataset's page "
            "says of a new version."
        )
        return DownloadError(
            f"{self.origin.address} has the {kind} {found}, and should have {expected}: it was replaced, or damaged on "
            f"the way. What was fetched is removed. {advice}"
        )

    def _facts(self) -> Facts:
        return self._watched(lambda crew: self.patience.try_again(self.origin.facts, crew), lambda: 0, 0)

    def _fetch_parts(self, facts: Facts) -> None:
        journal = Journal(self.journal_path, self.partial, facts, self.how.chunk_bytes)
        if not journal.fits:
            logger.warning("%s has changed since its download began; it starts over", self.origin.address)
        there, before = journal.bytes_done(), self.fetched
        self._check_budget(journal.size - there)
        self._check_space(journal.size - there)
        share = -(-len(journal.missing()) // self.how.connections)  # so that a small file has work for all of them
        runs = journal.missing_runs(max(1, min(self.how.chunks_at_once, share)))
        file = os.open(self.partial, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.ftruncate(file, journal.size)
            with Crew(min(self.how.connections, len(runs))) as crew:
                fetch = functools.partial(self._fetch_run, journal, file, facts, crew)
                parts = [crew.give(functools.partial(fetch, run)) for run in runs]
                self._await(parts, lambda: there + self.fetched - before, journal.size)
        finally:
            os.close(file)

    def _fetch_run(self, journal: Journal, file: int, facts: Facts, crew: Crew, chunks: range) -> None:
        at, stop = journal.span(chunks[0])[0], journal.span(chunks[-1])[1]
        tally, failures = Tally(journal, chunks[0]), 0
        while at < stop:
            before, fault = at, TransientFault("the connection ended early")
            try:
                for piece in self.origin.read(at, stop, facts):
                    crew.act(_write_at, file, piece, at)
                    tally.take(piece)  # a line that comes late says what is in the file, or counts for nothing
                    at += len(piece)
                    self._count(len(piece))
            except TransientFault as found:
                fault = found
            if at < stop:
                failures = 1 if at > before else failures + 1
                self.patience.wait(failures, fault, crew)

    def _fetch_stream(self, facts: Facts) -> None:
        """Where there are no ranges, or none to rely on: from the beginning, and again from the beginning."""
        self.journal_path.unlink(missing_ok=True)
        self._check_budget(facts.size or 0)
        self._check_space(facts.size or 0)
        before = self.fetched

        def once(crew: Crew) -> None:
            at = 0
            with crew.act(self.partial.open, "wb", 0) as file:
                for piece in self.origin.read(0, None, facts):
                    crew.act(_write_at, file.fileno(), piece, at)
                    at += len(piece)
                    self._count(len(piece))
            if facts.size is not None and at != facts.size:
                raise TransientFault(f"{at} of {facts.size} bytes came")

        def patiently(crew: Crew) -> None:
            self.patience.try_again(lambda: once(crew), crew)

        self._watched(patiently, lambda: self.fetched - before, facts.size or 0)

    def _watched(self, act: Callable[[Crew], T], done: Callable[[], int], total: int) -> T:
        """Acts in another thread, so that this one can be asked to stop whatever the network does."""
        with Crew(1) as crew:
            future = crew.give(functools.partial(act, crew))
            self._await([future], done, total)
            return future.result()

    def _await(self, futures: list[Future[T]], done: Callable[[], int], total: int) -> None:
        left = set(futures)
        while True:
            finished, left = wait(left, timeout=TICK_S, return_when=FIRST_EXCEPTION)
            for future in finished:
                future.result()
            self.checkpoint()
            if total:
                self.progress(Bytes(min(done(), total)), Bytes(total))
            if not left:
                return

    def _count(self, count: int) -> None:
        with self.lock:
            self.fetched += count
        self._check_budget(0)

    def _check_budget(self, needed: int) -> None:
        budget = self.how.max_bytes
        if budget is not None and self.fetched + needed > budget:
            raise DownloadError(
                f"{self.origin.address}: {self.fetched + needed:,} bytes or more would be downloaded, and --max-bytes "
                f"leaves {budget:,} for it. Raise it, or leave it out."
            )

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.target.parent).free
        if needed > free:
            raise StoreFullError(
                f"{self.origin.address} needs {needed:,} more bytes in {self.target.parent}, where {free:,} are free. "
                "Free some space and run the same command again: what is fetched is kept."
            )


def digest_of(path: Path | str, checkpoint: Checkpoint | None = None, kind: str = "sha256") -> str:
    """The digest of a local file, or of one at any fsspec URL, in hexadecimal."""
    digest, last = hashlib.new(kind, usedforsecurity=kind != "md5"), time.monotonic()
    with fsspec.open(str(path), "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            if checkpoint is not None and time.monotonic() - last > TICK_S:
                checkpoint()
                last = time.monotonic()
    return digest.hexdigest()


def _check_size(origin: Origin, facts: Facts, expected: Expected) -> None:
    if None not in (facts.size, expected.size) and facts.size != expected.size:
        raise DownloadError(
            f"{origin.address} has {facts.size} bytes, and should have {expected.size}: it was replaced. Check whether "
            "the dataset's page tells of another version."
        )


def _vouched(*digests: str | None) -> bool:
    return any(digest is not None for digest in digests)


def _write_at(file: int, piece: bytes, at: int) -> None:
    view = memoryview(piece)
    while view:
        written = os.pwrite(file, view, at)
        view, at = view[written:], at + written


def _ignore(*_: object) -> None:
    return None
