"""The facts of WebP files, from their chunks (RFC 9649), and of all other formats, from Pillow."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

from PIL import Image

from dfd_core.manifests.headers_boxes import avif_ending, avif_manifests, is_avif, tiff_manifests
from dfd_core.manifests.headers_gaps import zero_run
from dfd_core.manifests.headers_marks import Marks

_MODES = {"1": (1, 1), "I;16": (1, 16), "I;16B": (1, 16), "I": (1, 32), "F": (1, 32)}
_MOST_CHUNKS = 10_000


def webp_facts(data: bytes) -> dict[str, Any]:
    """The fields of `Header` that a WebP file has.

    Raises:
        ValueError: It has no images.
    """
    facts: dict[str, Any] = {"format": "WEBP", "bit_depth": 8, "channels": 3}
    facts["complete"] = 8 + int.from_bytes(data[4:8], "little") <= len(data)
    marks, coded = Marks(), (0, 0)
    for kind, at, end in _riff_chunks(data):
        body = data[at : min(end, at + 16)]
        if kind == b"VP8X" and len(body) >= 10:
            facts["width"] = 1 + int.from_bytes(body[4:7], "little")
            facts["height"] = 1 + int.from_bytes(body[7:10], "little")
            facts["channels"] = 4 if body[0] & 0x10 else 3
        elif kind == b"VP8 " and len(body) >= 10:
            facts.setdefault("width", int.from_bytes(body[6:8], "little") & 0x3FFF)
            facts.setdefault("height", int.from_bytes(body[8:10], "little") & 0x3FFF)
            facts["lossless"], coded = False, (at, end)
        elif kind == b"VP8L" and len(body) >= 5:
            bits = int.from_bytes(body[1:5], "little")
            facts.setdefault("width", 1 + (bits & 0x3FFF))
            facts.setdefault("height", 1 + (bits >> 14 & 0x3FFF))
            facts["channels"] = 4 if bits >> 28 & 1 else facts["channels"]
            facts["lossless"], coded = True, (at, end)
        elif kind == b"ICCP":
            facts["icc"] = True
        elif kind == b"EXIF":
            marks.add_exif(data[at:end].removeprefix(b"Exif\0\0"))
        elif kind == b"XMP ":
            marks.add_xmp(data[at:end])
        elif kind == b"C2PA":
            marks.add_jumbf(data[at:end])
    if not facts.get("width") or not facts.get("height"):
        raise ValueError("a WebP file without an image")
    facts["zero_run"] = zero_run(data, *coded, facts["width"] * facts["height"] * facts["channels"])
    return facts | marks.facts()


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    at = 12
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(data):
            return
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], at + 8, at + 8 + length
        at += 8 + length + length % 2


def pillow_facts(data: bytes) -> dict[str, Any]:
    """The fields of `Header` that Pillow knows of any other file.

    This is `PIL.Image.open` without its check of the pixel count, as in `probing`.

    Raises:
        EOFError: It is an AVIF file that ends before it should.
        ValueError: No plugin knows the file; or whatever a plugin makes of damaged bytes.
    """
    Image.preinit()
    Image.init()
    for name in Image.ID:
        factory, accept = Image.OPEN[name]
        accepted = accept(data[:16]) if accept else True
        if not accepted or isinstance(accepted, str):
            continue
        try:
            image = factory(io.BytesIO(data), "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue  # not this format, as Pillow has it
        return _of_image(image, data)
    if is_avif(data) and not avif_ending(data, 0)["complete"]:
        raise EOFError("an AVIF file that ends before its last box does")
    raise ValueError(f"no image starts with {data[:12]!r}")


def _of_image(image: Image.Image, data: bytes) -> dict[str, Any]:
    channels, depth = _MODES.get(image.mode, (len(image.getbands()), 8))
    marks = Marks()
    for key, add in (("exif", marks.add_exif), ("xmp", marks.add_xmp)):
        value = image.info.get(key)
        if isinstance(value, bytes) and value:
            add(value.removeprefix(b"Exif\0\0"))
    ending: dict[str, Any] = {}
    comment = image.info.get("comment")
    if isinstance(comment, bytes):
        marks.add_comment(comment)
    if image.format == "TIFF":
        marks.add_tiff(data)
    if image.format == "AVIF":
        ending = avif_ending(data, image.width * image.height * channels)
    elif image.format == "GIF":
        ending = {"complete": data.rstrip(b"\0").endswith(b";")}
    for box in {"AVIF": avif_manifests, "TIFF": tiff_manifests}.get(image.format or "", _none)(data):
        marks.add_jumbf(box)
    return {
        **{"format": image.format, "width": image.width, "height": image.height, "channels": channels},
        **{"bit_depth": depth, "icc": bool(image.info.get("icc_profile"))},
        **ending,
        **marks.facts(),
    }


def _none(_: bytes) -> Iterator[bytes]:
    return iter(())
