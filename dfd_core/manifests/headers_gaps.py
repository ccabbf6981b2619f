"""Signs in coded pixels that some of them are missing, found without decoding: zeros of a sparse file, missing scans.

A download that was not completed, or a disk that failed, leaves zero bytes where pixels were, and decoders make some
picture of them without a word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_SHORTEST = 512
_SCAN = re.compile(rb"\xff\xda\x00[\x08\x0a\x0c\x0e][\x01-\x04]")  # data have a zero after each 255, so this is no data


def zero_run(data: bytes, start: int, end: int, samples: int) -> int | None:
    """The length of the first run of zero bytes that no picture gives, not even one of a single colour.

    With tables that are optimised a flat block of 8 x 8 takes at least two bits, and both may be zero.

    Args:
        data: The file.
        start: Where coded pixels begin.
        end: Where they end.
        samples: Width x height x channels.
    """
    shortest = _SHORTEST + samples // 256
    step = shortest // 2
    if b"\0\0" not in data[start:end:step]:  # such a run has two of these places
        return None
    at = data.find(bytes(shortest), start, end)
    return None if at < 0 else end - at - len(data[at:end].lstrip(b"\0"))


def lacks_scans(data: bytes, start: int, end: int, components: Sequence[int]) -> bool:
    """Whether the scans of a progressive JPEG file leave a coefficient of a component without all of its bits.

    Args:
        data: The file.
        start: Where its first scan begins, or before.
        end: Where its last scan ends.
        components: The identifiers in the frame header.
    """
    left = {component: [True] * 64 for component in components}
    for found in _SCAN.finditer(data, start, end):
        at, n = found.end(), data[found.end() - 1]
        first, last, bits = data[at + 2 * n : at + 2 * n + 3].ljust(3, b"\xff")
        if not bits & 15:  # down to the lowest bit
            for component in data[at : at + 2 * n : 2]:
                if component in left:
                    left[component][first : last + 1] = [False] * max(0, min(last, 63) + 1 - first)
    return any(any(one) for one in left.values())
