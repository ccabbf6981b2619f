"""The facts of a JPEG file, from its markers (ITU-T T.81, annex B; JFIF 1.02; Exif 2.32; C2PA in APP11)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from dfd_core.manifests.headers_gaps import lacks_scans, zero_run
from dfd_core.manifests.headers_marks import Marks

_ZIGZAG = (
    *(0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21),
    *(28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61),
    *(54, 47, 55, 62, 63),
)  # fmt: skip
_LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29),
    *(51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121),
    *(120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66),
    *([99] * 38),
)
_SAMPLINGS = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1"}
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_SOS, _EOI, _DQT, _DRI, _ADOBE, _COMMENT = 0xDA, 0xD9, 0xDB, 0xDD, 0xEE, 0xFE
_MOST_MARKERS = 10_000


def jpeg_facts(data: bytes) -> dict[str, Any]:
    """The fields of `Header` that a JPEG file has.

    Raises:
        ValueError: There is no frame header before the first scan or the file's end.
    """
    facts: dict[str, Any] = {"format": "JPEG"}
    marks = Marks()
    tables: dict[int, tuple[int, ...]] = {}
    components: list[tuple[int, int, int]] = []
    names = b""
    start_of_scan = len(data)
    boxes: dict[bytes, list[bytes]] = {}
    for marker, at, end in _segments(data):
        if marker in _FRAMES:
            facts |= _frame(data, at)
            facts["progressive"] = marker in _PROGRESSIVE
            names = data[at + 6 : end - 2 : 3]
            components = [(data[p + 1] >> 4, data[p + 1] & 15, data[p + 2]) for p in range(at + 6, end - 2, 3)]
        elif marker == _DQT:
            tables.update(_tables(data[at:end]))
        elif marker == _DRI:
            facts["restarts"] = data[at:end] != b"\0\0"
        elif marker == _SOS:
            start_of_scan = at - 4
        elif 0xE0 <= marker <= 0xEF:
            _application(marker, data[at:end], facts, marks, boxes)
        elif marker == _COMMENT:
            marks.add_comment(data[at:end])
    for pieces in boxes.values():
        marks.add_jumbf(_joined(pieces))
    if not components or "width" not in facts:
        raise ValueError("a JPEG file without a frame header")
    facts |= _ending(data, start_of_scan, facts, names)
    facts["subsampling"] = _sampling(components)
    facts["luma_table"] = luma = tables.get(components[0][2])
    facts["chroma_table"] = chroma = tables.get(components[1][2]) if len(components) > 1 else None
    if luma is not None:
        facts["quality"], facts["quality_exact"] = estimated_quality(luma, chroma)
    return facts | marks.facts()


def coded_pixels(data: bytes) -> tuple[int, int]:
    """Where the first scan of a JPEG file begins, its header included, and where the last one ends."""
    start = next((at - 4 for marker, at, _ in _segments(data) if marker == _SOS), len(data))
    end = data.find(b"\xff\xd9", start)  # in coded pixels a zero follows each 255
    return start, len(data) if end < 0 else end


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the content of each segment up to the first scan's header."""
    at = 2
    for _ in range(_MOST_MARKERS):
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data):
            return
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in (0, 1) or 0xD0 <= marker <= 0xD8:  # no segment
            at += 2
        elif marker == _EOI:
            return
        else:
            end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
            if end > len(data):
                return
            yield marker, at + 4, end
            if marker == _SOS:
                return
            at = max(end, at + 4)


def _ending(data: bytes, start: int, facts: dict[str, Any], names: bytes) -> dict[str, Any]:
    """Whether all scans are there and the end marker is, what stands behind it, and whether zeros stand before it."""
    found = data.find(b"\xff\xd9", start)
    end = len(data) if found < 0 else found
    behind = 0 if found < 0 else len(data) - found - 2
    return {
        "complete": found >= 0 and not (facts["progressive"] and lacks_scans(data, start, end, names)),
        "zero_run": zero_run(data, start, end, facts["width"] * facts["height"] * facts["channels"]),
        "trailing_bytes": 0 if behind and b"MPF\0" in data[:start] else behind,  # a list of the images in the file
    }


def _frame(data: bytes, at: int) -> dict[str, Any]:
    height, width = int.from_bytes(data[at + 1 : at + 3]), int.from_bytes(data[at + 3 : at + 5])
    if not width:
        raise ValueError("a JPEG file of width 0")
    return {"bit_depth": data[at], "height": height, "width": width, "channels": data[at + 5]}


def _tables(body: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    at = 0
    while at < len(body):
        precision, number = body[at] >> 4, body[at] & 15
        size = 128 if precision else 64
        raw = body[at + 1 : at + 1 + size]
        if len(raw) == size:
            yield number, _natural(raw)
        at += 1 + size


@functools.lru_cache(maxsize=4096)
def _natural(raw: bytes) -> tuple[int, ...]:
    numbers = np.frombuffer(raw, ">u2" if len(raw) == 128 else np.uint8)
    table = np.empty(64, np.uint16)
    table[list(_ZIGZAG)] = numbers
    return tuple(table.tolist())


def _sampling(components: list[tuple[int, int, int]]) -> str:
    if len(components) == 1:
        return "grey"
    (luma_h, luma_v, _), *others = components
    chroma = {(h, v) for h, v, _ in others[:2]}
    if len(chroma) != 1 or not all(chroma_side for pair in chroma for chroma_side in pair):
        return "other"
    h, v = chroma.pop()
    return _SAMPLINGS.get((luma_h // h, luma_v // v), "other") if luma_h % h == luma_v % v == 0 else "other"


@functools.lru_cache(maxsize=4096)
def estimated_quality(luma: tuple[int, ...], chroma: tuple[int, ...] | None) -> tuple[int, bool]:
    """The quality of libjpeg whose scaled standard tables differ least, and whether they are equal.

    Args:
        luma: 64 numbers in natural order.
        chroma: The same, if there is one; it counts alike.
    """
    lumas, chromas = _standard()
    differences = np.abs(lumas - np.array(luma)).sum(axis=1)
    if chroma is not None:
        differences = differences + np.abs(chromas - np.array(chroma)).sum(axis=1)
    best = int(np.argmin(differences))
    return best + 1, not differences[best]


@functools.cache
def _standard() -> tuple[np.ndarray, np.ndarray]:
    """Tables of the qualities 1 to 100, (100, 64) each, by the arithmetic of libjpeg's `jpeg_quality_scaling`."""
    quality = np.arange(1, 101)[:, None]
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return tuple(np.clip((np.array(base) * scale + 50) // 100, 1, 255) for base in (_LUMA, _CHROMA))


def _joined(pieces: list[bytes]) -> bytes:
    """A box out of its segments, which have a number each and repeat its header."""
    first, *others = sorted(pieces, key=lambda piece: piece[:4])
    header = 16 if first[4:8] == b"\0\0\0\x01" else 8
    return b"".join([first[4:], *(piece[4 + header :] for piece in others)])


def _application(
    marker: int, body: bytes, facts: dict[str, Any], marks: Marks, boxes: dict[bytes, list[bytes]]
) -> None:
    if marker == 0xE0 and body[:5] == b"JFIF\0":
        facts["jfif"] = True
    elif marker == 0xE1 and body[:6] == b"Exif\0\0":
        marks.add_exif(body[6:])
    elif marker == 0xE1 and body.startswith(
        (b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0")
    ):
        marks.add_xmp(body)
    elif marker == 0xE2 and body[:12] == b"ICC_PROFILE\0":
        facts["icc"] = True
    elif marker == 0xEB and body[:2] == b"JP":
        boxes.setdefault(body[2:4], []).append(body[4:])
    elif marker == 0xED and body.startswith(b"Photoshop 3.0\0"):
        marks.add_iptc(body)
    elif marker == _ADOBE and body[:5] == b"Adobe" and len(body) >= 12:
        facts["adobe"] = body[11]
