"""The child process that decodes for `dfd_core.features.isolation`; run as a module, it serves its standard input.

A request is the file's length in 8 bytes and the file. An answer is the length of a JSON header in 4 bytes, the header,
and where it states a size, the raw RGB pixels from top to bottom. Nothing is pickled.

A child ends with its decoder. Should the parent die without a word, the child reads the end of its input; should it
hang at that time, its own alarm clock ends it. (Linux can end a child when its parent dies, but takes the parent to be
the *thread* that started the child, and threads of a pool end earlier.)
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from PIL import Image

from dfd_core.errors import ImageError
from dfd_core.features.decoding import DecodePolicy, decode

READY = b"\0dfd decodes\0"
_BAND_PIXELS = 1_000_000


def bands(image: Image.Image) -> Iterator[tuple[int, int]]:
    """The image in horizontal bands, each with its top and height, so that no whole copy of the pixels is needed."""
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, min(rows, image.height - top)


def serve(policy: DecodePolicy, timeout_s: float, memory_bytes: int) -> None:
    """Answers requests until there are no more."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    _limit_this_process(memory_bytes)
    answers.write(READY)
    answers.flush()
    while len(prefix := requests.read(8)) == 8:
        data = requests.read(int.from_bytes(prefix))
        with _alarm(2 * timeout_s):
            _answer(answers, data, policy)


def _answer(answers: IO[bytes], data: bytes, policy: DecodePolicy) -> None:
    try:
        image = decode(data, policy)
    except ImageError as error:
        _send(answers, {"status": error.status, "message": error.message})
        return
    _send(answers, {"size": image.size})
    for top, height in bands(image):
        answers.write(image.crop((0, top, image.width, top + height)).tobytes())
    answers.flush()


def _send(answers: IO[bytes], header: dict[str, Any]) -> None:
    text = json.dumps(header).encode()
    answers.write(len(text).to_bytes(4) + text)
    answers.flush()


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Ends this process after so long, whatever it is doing; its parent, where it still lives, does so earlier."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_this_process(memory_bytes: int) -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # rather this process than one with networks
    try:
        import resource
    except ImportError:  # Windows has no limits of this kind
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes:
        statm = Path("/proc/self/statm")
        own = int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        limit = own + memory_bytes if most == resource.RLIM_INFINITY else min(own + memory_bytes, most)
        with contextlib.suppress(ValueError, OSError):  # macOS has the name but not the limit
            resource.setrlimit(resource.RLIMIT_AS, (limit, most))


if __name__ == "__main__":
    _policy, _timeout_s, _memory_bytes = sys.argv[1:]
    serve(DecodePolicy.model_validate_json(_policy), float(_timeout_s), int(_memory_bytes))
