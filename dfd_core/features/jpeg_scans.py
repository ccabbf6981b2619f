"""How often a JPEG file makes its decoder go over the whole picture.

A JPEG image may be spread over scans. libjpeg goes over all coefficients for each, and a scan can be 10 bytes long: a
MB of them keeps the decoder for 8 minutes at 16 million pixels and for 10 minutes at 100 million. Encoders write about
10 scans. libtiff and GDAL stop at 100 by default; libjpeg itself leaves such a limit to its caller.
"""

from __future__ import annotations

import re

_SCAN = b"\xff\xda"
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_WITHOUT_LENGTH = frozenset({0x01, 0xD8})
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # not: a byte 255 among pixels, filling, restarts


def has_more_scans_than(most: int, data: bytes) -> bool:
    """Whether libjpeg would find more scans in a JPEG file's first image.

    It takes microseconds for a sequential file, whose pixels are one scan, and 2 % of the time of decoding for a
    progressive one.

    Args:
        most: The number that is still allowed.
        data: The file, from its first byte.
    """
    position = scans = components = 0
    progressive = False
    while match := _MARKER.search(data, position):
        start, code = match.end(), data[match.end() - 1]
        if code == _END_OF_IMAGE:
            return False
        if code in _WITHOUT_LENGTH:
            position = start
            continue
        if code in _FRAMES:
            components, progressive = _byte(data, start + 7), code in _PROGRESSIVE
        if code == _START_OF_SCAN:
            scans += 1
            if scans > most:
                return True
            is_whole = not progressive and _byte(data, start + 2) == components
            if scans == 1 and (is_whole or data.count(_SCAN, start) < most):
                return False  # the count is too high where other things than scans stand behind them, never too low
        position = start + max(2, int.from_bytes(data[start : start + 2]))
    return False


def _byte(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 1])
