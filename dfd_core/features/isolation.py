"""Decoding in a child process, for files of which one is known to end the process that decodes it.

This is the side of the parent; the other, and what they say to each other, is `dfd_core.features.decoding_child`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from PIL import Image

from dfd_core.errors import ExtractionError, ImageError
from dfd_core.features.decoding import DEFAULT_POLICY, DecodePolicy
from dfd_core.features.decoding_child import READY, bands
from dfd_core.statuses import CRASHED, TIMED_OUT, TOO_LARGE

Answer = tuple[dict[str, Any], "Image.Image | None"]

_MOST_NOISE_BYTES = 1_000_000
_START_S = 60.0
_LAST_WORDS_S = 1.0
_MODULE = "dfd_core.features.decoding_child"
# Threads and their heaps take address space, of which there is little where there is a limit.
_NARROW = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


class IsolatedDecoder:
    """Decodes each image in a child process; what ends the child costs that image alone.

    Threads may share it: there are as many children as calls at one time, and a child serves many calls. An image
    costs the copying of its pixels through a pipe, a child that died also the start of the next.

    Args:
        policy: As for `decode`.
        timeout_s: How long one image may take.
        memory_bytes: How much address space an image may take on top of the interpreter's, where the platform can
            limit it (Linux does, macOS does not). An image of max_pixels takes up to about 20 bytes a pixel.
    """

    def __init__(
        self, policy: DecodePolicy = DEFAULT_POLICY, timeout_s: float = 60.0, memory_bytes: int | None = None
    ) -> None:
        self.timeout_s = timeout_s
        self._arguments = policy.model_dump_json(), str(timeout_s), str(memory_bytes or 0)
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self._idle: list[_Child] = []
        self._closed = False

    def decode(self, data: bytes) -> Image.Image:
        """What `dfd_core.features.decoding.decode` gives, to the last bit, with its errors.

        Raises:
            ImageError: Those of `decode`; besides `crashed`, the child died, and `timed_out`, it was killed because
                it took longer than the limit. With a memory limit, `too_large` also says that the limit was reached.
            ExtractionError: No child can be started.
            RuntimeError: The decoder is closed.
        """
        child = self._take()
        try:
            header, image = child.ask(data, self.timeout_s)
        except BaseException:
            self._end(child)
            if self._closed:
                raise RuntimeError("the decoder was closed") from None
            raise
        with self._lock:
            keep = not self._closed and child.is_alive()
            if keep:
                self._idle.append(child)
        if not keep:
            self._end(child)
        if image is None:
            raise ImageError(header["status"], header["message"])
        return image

    def close(self) -> None:
        """Ends all children, at once."""
        with self._lock:
            self._closed = True
            children = set(self._children)
        for child in children:
            self._end(child)

    def __enter__(self) -> IsolatedDecoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> _Child:
        while True:
            with self._lock:
                idle = self._idle.pop() if self._idle else None
            if idle is None:
                break
            if idle.is_alive():
                return idle
            self._end(idle)
        child = _Child(self._arguments)
        with self._lock:
            self._children.add(child)
            closed = self._closed
        if closed:
            self._end(child)
            raise RuntimeError("the decoder is closed")
        return child

    def _end(self, child: _Child) -> None:
        child.end()
        with self._lock:
            self._children.discard(child)


class _Child:
    """The parent's side of one child process."""

    def __init__(self, arguments: tuple[str, ...]) -> None:
        root = str(Path(__file__).resolve().parents[2])
        paths = [path for path in (os.environ.get("PYTHONPATH"), root) if path]
        self._ending = threading.Lock()
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # `end` closes it
        try:
            self._process = subprocess.Popen(  # noqa: S603  # a module of this package
                [sys.executable, "-P", "-m", _MODULE, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                env={**os.environ, **_NARROW, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,  # Ctrl-C is the parent's: a child that it ends would count as crashed
            )
        except OSError as error:
            self._complaints.close()
            raise ExtractionError(
                f"No process for decoding could be started: {error}. Free some memory, or raise the limit of processes "
                "(`ulimit -u`), and run the same command again."
            ) from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests: IO[bytes] = self._process.stdin
        self._answers: IO[bytes] = self._process.stdout
        self._wait_until_ready()

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, data: bytes, timeout_s: float) -> Answer:
        """The child's answer on one file: its header, and the image where there is one.

        Raises:
            ImageError: `crashed`, `timed_out`, or `too_large` where this process has no memory for the pixels. The
                child is of no use any more.
        """
        with self._limit(timeout_s) as expired:
            try:
                self._requests.write(len(data).to_bytes(8))
                self._requests.write(data)
                self._requests.flush()
                return self._read_answer()
            except MemoryError as error:
                raise ImageError(TOO_LARGE, "no memory for its pixels (MemoryError)") from error
            except (OSError, EOFError, ValueError, KeyError, TypeError) as error:  # no answer, or not a sensible one
                found = error
        if expired.is_set():
            raise ImageError(TIMED_OUT, f"decoding took more than {timeout_s:g} s; its process was ended") from found
        last_words = self.end(_LAST_WORDS_S)
        raise ImageError(CRASHED, f"the process that decoded it ended with {last_words}") from found

    def end(self, patience_s: float = 0.0) -> str:
        """Ends the process, if it does not do so itself in time, and says how it ended."""
        with self._ending:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_s)
            self._process.kill()
            code = self._process.wait()
            for stream in (self._requests, self._answers):
                with contextlib.suppress(OSError):  # what was not yet sent can't be sent any more
                    stream.close()
            return self._last_words(code)

    def _wait_until_ready(self) -> None:
        """Waits for the child's sign, passing over what was printed before the child could redirect it."""
        seen = b""
        try:
            with self._limit(_START_S):
                while not seen.endswith(READY):
                    if len(seen) > _MOST_NOISE_BYTES:
                        raise EOFError
                    seen += _read(self._answers, 1)
        except (OSError, EOFError) as error:
            found = self.end(_LAST_WORDS_S)
            raise ExtractionError(
                f"The process for decoding was not ready within {_START_S:g} s: {found}. If the machine is too busy, "
                "free it; what is finished is kept; run the same command again to continue."
            ) from error
        except BaseException:
            self.end()
            raise

    @contextlib.contextmanager
    def _limit(self, timeout_s: float) -> Iterator[threading.Event]:
        """Kills the child when the block takes longer, which ends any reading and writing in it."""
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self._process.kill()

        timer = threading.Timer(timeout_s, expire)
        timer.daemon = True
        timer.start()
        try:
            yield expired
        finally:
            timer.cancel()
            timer.join()
            if expired.is_set():
                self._process.wait()

    def _read_answer(self) -> Answer:
        header = json.loads(_read(self._answers, int.from_bytes(_read(self._answers, 4))))
        if "size" not in header:
            return {"status": str(header["status"]), "message": str(header["message"])}, None
        image = Image.new("RGB", tuple(header["size"]))
        for top, height in bands(image):
            band = image.width, height
            image.paste(Image.frombytes("RGB", band, _read(self._answers, 3 * image.width * height)), (0, top))
        return header, image

    def _last_words(self, code: int) -> str:
        """How the child ended and the last line that it, or a library in it, wrote on its standard error."""
        how = f"exit code {code}"
        if code < 0:
            names = {one.value: one.name for one in signal.Signals}
            how = f"signal {-code} ({names.get(-code, 'unknown')})"
        if self._complaints.closed:
            return how
        with self._complaints as complaints:
            complaints.seek(max(0, complaints.seek(0, os.SEEK_END) - 2000))
            lines = complaints.read().decode(errors="replace").strip().splitlines()
        return f"{how}: {lines[-1].strip()[:300]}" if lines else how


def _read(stream: IO[bytes], size: int) -> bytes:
    """Exactly so many bytes.

    Raises:
        EOFError: There are no more.
    """
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
