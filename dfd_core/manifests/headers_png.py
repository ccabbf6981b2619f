"""The facts of a PNG file, from its chunks (PNG, third edition; C2PA in `caBX`)."""

from __future__ import annotations

import zlib
from typing import Any

from dfd_core.manifests.headers_marks import Marks

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MOST_CHUNKS = 1_000_000
_XMP = "XML:com.adobe.xmp"
_LONGEST_TEXT = 2**20


def png_facts(data: bytes) -> dict[str, Any]:
    """The fields of `Header` that a PNG file has; check sums are verified.

    Raises:
        ValueError: The first chunk is not a whole IHDR.
    """
    if data[12:16] != b"IHDR" or len(data) < 33:
        raise ValueError("a PNG file without its header chunk")
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    if not width or not height:
        raise ValueError(f"a PNG file of {width} x {height} pixels")
    facts: dict[str, Any] = {
        **{"format": "PNG", "width": width, "height": height, "bit_depth": data[24], "colour_type": data[25]},
        **{"channels": _CHANNELS.get(data[25]), "interlaced": data[28] == 1, "complete": False},
    }
    marks = Marks()
    view = memoryview(data)  # check sums are taken of parts that are not copied
    at = 8
    for _ in range(_MOST_CHUNKS):
        length, kind = _number(data, at), data[at + 4 : at + 8]
        end = at + 12 + length
        if len(kind) < 4 or (end > len(data) and kind != b"IEND"):  # IEND without its check sum is still the end
            break
        if (
            "bad_chunk" not in facts
            and end <= len(data)
            and zlib.crc32(view[at + 4 : end - 4]) != _number(data, end - 4)
        ):
            facts["bad_chunk"] = kind.decode("latin-1")
        if kind == b"IEND":
            facts["complete"] = True
            break
        if kind == b"iCCP":
            facts["icc"] = True
        elif kind == b"eXIf":
            marks.add_exif(data[at + 8 : end - 4])
        elif kind == b"caBX":
            marks.add_jumbf(data[at + 8 : end - 4])
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            _text(kind, data[at + 8 : end - 4], marks)
        at = end
    return facts | marks.facts()


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4])


def _text(kind: bytes, body: bytes, marks: Marks) -> None:
    key, _, rest = body.partition(b"\0")
    name = key.decode("latin-1")
    if kind == b"zTXt":
        rest = _inflated(rest[1:])
    elif kind == b"iTXt":
        compressed = rest[:1] == b"\x01"
        rest = rest[2:].split(b"\0", 2)[-1]
        rest = _inflated(rest) if compressed else rest
    if name == _XMP:
        marks.add_xmp(rest)
    elif name == "Raw profile type exif":  # as ImageMagick writes it, in hexadecimal
        marks.exif = True
    else:
        marks.add_text(name, rest)


def _inflated(data: bytes) -> bytes:
    """The beginning of a compressed text, nothing where it is damaged."""
    try:
        return zlib.decompressobj().decompress(data, _LONGEST_TEXT)
    except zlib.error:
        return b""
