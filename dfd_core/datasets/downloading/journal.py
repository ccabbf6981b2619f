"""Which parts of a partial file are there and right: a line for each, beside the file.

The first line says of which file they are parts. A line is written in one piece after its part, and a part counts only
if its bytes still have the line's digest: so neither a torn line nor a page that never reached the disk can do harm.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from pathlib import Path

from dfd_core.datasets.downloading.origins import Facts

_LINE = re.compile(r"(\d+) ([0-9a-f]{64})")
_BLOCK = 2**20


class Journal:
    """The verified parts of one partial file; safe in threads.

    Args:
        path: The journal.
        partial: The file that it tells of.
        facts: What is being downloaded.
        chunk_bytes: Size of a part, unless a journal of the same download says otherwise.
    """

    def __init__(self, path: Path, partial: Path, facts: Facts, chunk_bytes: int) -> None:
        self.path, self.partial, self.size = path, partial, facts.size or 0
        self.lock = threading.Lock()
        self.done: set[int] = set()
        header = {"size": self.size, "stamp": facts.stamp, "chunk_bytes": chunk_bytes}
        lines = _lines(path)
        found = _header(lines[0]) if lines else {}
        # false where there was an earlier download of another content
        self.fits = not found or {**found, "chunk_bytes": 0} == {**header, "chunk_bytes": 0}
        self.chunk_bytes: int = found["chunk_bytes"] if found and self.fits else chunk_bytes
        if found and self.fits:
            self.done = self._verified(lines[1:])
        else:
            partial.unlink(missing_ok=True)
            path.write_text(json.dumps(header) + "\n")

    def span(self, chunk: int) -> tuple[int, int]:
        """Where a part begins, and where the next does."""
        start = chunk * self.chunk_bytes
        return start, min(start + self.chunk_bytes, self.size)

    def missing(self) -> list[int]:
        """The parts that are still to be fetched."""
        return [i for i in range(-(-self.size // self.chunk_bytes)) if i not in self.done]

    def missing_runs(self, longest: int) -> list[range]:
        """The same, those in a row together, so many at most."""
        runs: list[range] = []
        for chunk in self.missing():
            if runs and chunk == runs[-1].stop and len(runs[-1]) < longest:
                runs[-1] = range(runs[-1].start, chunk + 1)
            else:
                runs.append(range(chunk, chunk + 1))
        return runs

    def bytes_done(self) -> int:
        """How many bytes are there."""
        return sum(stop - start for start, stop in map(self.span, self.done))

    def add(self, chunk: int, digest: str) -> None:
        """Notes that a part is complete."""
        with self.lock, self.path.open("ab", buffering=0) as file:
            file.write(f"\n{chunk} {digest}\n".encode())  # the first break ends a line that was torn
            self.done.add(chunk)

    def _verified(self, lines: list[str]) -> set[int]:
        stated = {int(match[1]): match[2] for match in map(_LINE.fullmatch, lines) if match}
        if not self.partial.exists():
            return set()
        with self.partial.open("rb") as file:
            return {chunk for chunk, digest in stated.items() if self._digest(file.fileno(), chunk) == digest}

    def _digest(self, file: int, chunk: int) -> str:
        start, stop = self.span(chunk)
        digest = hashlib.sha256()
        for at in range(start, stop, _BLOCK):
            digest.update(os.pread(file, min(_BLOCK, stop - at), at))
        return digest.hexdigest()


class Tally:
    """Takes bytes as they come and notes every part that is complete with them.

    Args:
        journal: Where to.
        chunk: The part that begins with the first byte.
    """

    def __init__(self, journal: Journal, chunk: int) -> None:
        self.journal = journal
        self._begin(chunk)

    def take(self, piece: bytes) -> None:
        """The next bytes, which are on the disk."""
        view = memoryview(piece)
        while view:
            some, view = view[: self.left], view[self.left :]
            self.digest.update(some)
            self.left -= len(some)
            if self.left == 0:
                self.journal.add(self.chunk, self.digest.hexdigest())
                self._begin(self.chunk + 1)

    def _begin(self, chunk: int) -> None:
        start, stop = self.journal.span(chunk)
        self.chunk, self.left, self.digest = chunk, stop - start, hashlib.sha256()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").split("\n")
    except FileNotFoundError:
        return []


def _header(line: str) -> dict[str, int]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    keys = {"size", "stamp", "chunk_bytes"}
    return found if isinstance(found, dict) and found.keys() == keys and found["chunk_bytes"] > 0 else {}
