"""JPEG files whose coded pixels end before their image does, though their end marker is there.

Decoders fill what is missing with grey and say nothing. A picture may have such a grey itself, at its foot or around
it, so the file is asked: more data in front of its end marker changes a picture only where some was missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from PIL import Image

from dfd_core.manifests.headers_jpeg import coded_pixels

ENDS_EARLY = "its coded pixels end early, and decoders fill the rest with grey"
_FILL = 128
_MORE = hashlib.shake_128(b"").digest(512).replace(b"\xff", b"")


def ends_early(image: Image.Image, data: bytes, decode: Callable[[bytes], Image.Image]) -> bool:
    """Whether an image lacks coded pixels at its end.

    Args:
        image: As it was decoded, at any scale, not turned.
        data: The file.
        decode: Decodes it at the same scale.
    """
    corner = image.getpixel((image.width - 1, image.height - 1))
    if corner not in (_FILL, (_FILL,) * 3):  # the last pixel is in the last block, and blocks are in order
        return False
    _, end = coded_pixels(data)
    return decode(data[:end] + _MORE + data[end:]).tobytes() != image.tobytes()
