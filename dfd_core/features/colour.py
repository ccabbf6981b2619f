"""From every pixel mode that Pillow reads to 8-bit RGB; the table of cases is in `dfd_core.features.decoding`."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms, TiffTags

from dfd_core.errors import ImageError
from dfd_core.statuses import UNSUPPORTED

Colour = tuple[int, int, int]

_PNG_DEPTH_AT = 24  # the byte of a PNG file that holds its bit depth
_DEEP = 65535
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
_BLACK_IS_ZERO = 1


def to_rgb(image: Image.Image, header: bytes, background: Colour) -> Image.Image:
    """A new 8-bit RGB image of the same size.

    Args:
        image: A loaded image of any mode.
        header: The first bytes of its file, at least 25.
        background: What shows through transparent pixels.

    Raises:
        ImageError: There is no agreed way to show this kind of pixel (status `unsupported`).
    """
    if image.mode == "F":
        raise ImageError(UNSUPPORTED, "the pixels are floating-point numbers, and no range is agreed for them")
    if image.mode.startswith("I"):
        return _from_deep_grey(image, background)
    if image.mode == "CMYK":
        return _from_cmyk(image)
    if image.has_transparency_data:
        _correct_png_key(image, header)
        canvas = Image.new("RGBA", image.size, (*background, 255))
        return Image.alpha_composite(canvas, image.convert("RGBA")).convert("RGB")
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def _from_deep_grey(image: Image.Image, background: Colour) -> Image.Image:
    """Scales 16-bit grey by 1/257 and rounds to the nearest; Pillow's own conversion clips at 255."""
    tags = getattr(image, "tag_v2", {})
    if image.mode != "I" and tags:
        bits, photometric = tags.get(_BITS_PER_SAMPLE, (16,)), tags.get(_PHOTOMETRIC, _BLACK_IS_ZERO)
        if tuple(bits) != (16,) or photometric != _BLACK_IS_ZERO:
            kind = TiffTags.lookup(_PHOTOMETRIC).enum
            name = next((name for name, number in kind.items() if number == photometric), str(photometric))
            raise ImageError(UNSUPPORTED, f"a grey TIFF with {bits[0]} bits and {name}; only 16 bits, black is zero")
    values = np.asarray(image).astype(np.int64)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > _DEEP:
        raise ImageError(UNSUPPORTED, f"grey values from {low} to {high}; only 0 to {_DEEP} have an agreed meaning")
    grey = ((values + 128) // 257).astype(np.uint8)
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    if isinstance(key := image.info.get("transparency"), int):
        rgb[values == key] = background
    return Image.fromarray(rgb)


def _from_cmyk(image: Image.Image) -> Image.Image:
    """Through the embedded profile, with perceptual intent, where it is one for CMYK; else by Pillow's formula."""
    if profile := image.info.get("icc_profile"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if source.profile.xcolor_space.strip() == "CMYK":
                target = ImageCms.createProfile("sRGB")
                return ImageCms.buildTransform(source, target, "CMYK", "RGB").apply(image)
        except (OSError, ImageCms.PyCMSError):
            pass  # viewers ignore a damaged profile too
    return image.convert("RGB")


def _correct_png_key(image: Image.Image, header: bytes) -> None:
    """Makes Pillow's idea of the one transparent colour in a PNG that of the PNG specification, 11.3.2.1.

    Pillow compares the key with pixels that it has already brought to 8 bits.
    """
    if image.format != "PNG" or image.mode not in ("L", "RGB"):
        return
    depth, key = header[_PNG_DEPTH_AT], image.info.get("transparency")
    if depth == 16:
        raise ImageError(
            UNSUPPORTED, "a 16-bit RGB PNG with a transparent colour, which Pillow does not compare exactly"
        )
    if depth < 8 and isinstance(key, int):
        image.info["transparency"] = key * 255 // (2**depth - 1)
