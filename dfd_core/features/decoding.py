"""From an image file's bytes to one RGB image, with one stated policy for every case.

============================  =========================================================================================
Case                          Policy
============================  =========================================================================================
Formats                       JPEG (also MPO), PNG, WebP, GIF, BMP, TIFF, AVIF, PPM/PGM/PBM. All others are
                              `unsupported` where their signature is known (HEIC, JPEG XL, PSD, EPS, ...), else
                              `undecodable`. EPS starts another program, TGA and others have no signature, and cut
                              JPEG 2000 streams decode without an error, so none of them is read.
EXIF orientation              Applied, also from XMP where EXIF has none. Unreadable EXIF counts as none.
Alpha (RGBA, LA, PA, TIFF),   Composited over `background`, white by default: what a viewer on a white page shows.
P, L, RGB with transparency   Dropping alpha would uncover the colours under transparent pixels, which nobody sees but
                              which differ between programs, and so between generators: a shortcut.
Palette                       Looked up.
16-bit grey                   Divided by 257, rounded to the nearest; values outside 0 to 65535 (32-bit integers) are
                              `unsupported`, and so are 12-bit and white-is-zero 16-bit TIFF.
16-bit RGB, RGBA, LA          The upper byte, as Pillow and so the field's loaders read them. With a colour key (tRNS)
                              `unsupported`: Pillow compares it inexactly.
10- and 12-bit AVIF           As libavif brings them to 8 bits.
CMYK, YCCK                    Through the embedded ICC profile to sRGB, perceptual intent; without a usable CMYK profile
                              by Pillow's formula (255 - ink) x (255 - black) / 255.
ICC profiles of RGB and grey  Not applied: none of the field's loaders does, and detectors were trained without.
Lab                           To sRGB through LittleCMS.
YCbCr, HSV, 1-bit             Pillow's conversion; 1-bit becomes 0 and 255.
Floating point                `unsupported`: no range is agreed.
Animated GIF, PNG, WebP       First frame (of an animated PNG: the still image that every viewer shows).
Several pages (TIFF, MPO)     First page.
More than `max_pixels`        `too_large`, from the header, before a pixel is decoded.
JPEG of more than 100 scans   `too_large`, before a pixel is decoded: each is a pass over the whole picture.
0 bytes                       `empty`
HTML, SVG, text, noise        `undecodable`, and so are damaged pixel data, where the decoder notices. JPEG has no check
                              sums: libjpeg bridges small damage without a word, and such an image is decoded.
Cut short                     `truncated`; a file that lacks only what comes after its last pixel is decoded.
============================  =========================================================================================

Pillow has three settings that hold for the whole process: its own pixel limit, the permission to show cut files, and
warnings. `decode` sets them to fixed values (no limit, no cut files, no `UserWarning` from Pillow), so that the policy
is the only one, in every thread and whatever another library set before.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from typing import Annotated

from PIL import (  # a plugin registers itself when it is imported
    BmpImagePlugin,  # noqa: F401
    ExifTags,
    GifImagePlugin,  # noqa: F401
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)
from pydantic import Field

from dfd_core.errors import ImageError
from dfd_core.features.colour import to_rgb
from dfd_core.features.jpeg_scans import has_more_scans_than
from dfd_core.specs import Spec
from dfd_core.statuses import EMPTY, TOO_LARGE, TRUNCATED, UNDECODABLE, UNSUPPORTED

with contextlib.suppress(ImportError):  # Pillow has it since 11.3
    from PIL import AvifImagePlugin  # noqa: F401

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
"""Pillow's names of the formats that are read, in the order in which they are tried."""

_MOST_JPEG_SCANS = 100
_PREFIX_LENGTH = 32
_KNOWN_BUT_NOT_READ = (
    (r"....ftyp(heic|heix|hevc|heim|heis|hevm|mif1|msf1)", "HEIC"),
    (r"....ftyp(avif|avis)", "AVIF, which this Pillow was not built for"),
    (r"\xff\x0a|\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (r"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
    (r"8BPS", "PSD"),
    (r"%!PS|\xc5\xd0\xd3\xc6", "EPS"),
    (r"%PDF", "PDF"),
    (r"\x00\x00[\x01\x02]\x00[\x01-\x40]\x00", "ICO"),
    (r"DDS ", "DDS"),
    (r"\x76\x2f\x31\x01", "OpenEXR"),
    (r"#\?R(ADIANC|GB)E", "Radiance HDR"),
)
_CUT_SHORT = re.compile(r"truncat|incomplete|not enough|premature|EOF", re.IGNORECASE)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_NO_WARNINGS = ("ignore", None, UserWarning, re.compile(r"PIL\."), 0)

Channel = Annotated[int, Field(ge=0, le=255)]


class DecodePolicy(Spec):
    """What may differ between runs; all other cases are fixed (see the module's table).

    Attributes:
        max_pixels: Width times height above which an image is not decoded.
        background: The colour that shows through transparent pixels, red, green and blue from 0 to 255.
    """

    max_pixels: Annotated[int, Field(ge=1)] = 100_000_000
    background: tuple[Channel, Channel, Channel] = (255, 255, 255)


DEFAULT_POLICY = DecodePolicy()


def decode(data: bytes, policy: DecodePolicy = DEFAULT_POLICY) -> Image.Image:
    """Decodes an image file; safe to call from several threads.

    Args:
        data: The file's original bytes.
        policy: What may differ between runs.

    Returns:
        The upright image, mode RGB, loaded, without metadata.

    Raises:
        ImageError: Whatever is wrong with the file, with one of the statuses `empty`, `undecodable`, `truncated`,
            `too_large`, `unsupported`. No other exception leaves this function.
    """
    if not data:
        raise ImageError(EMPTY, "the file has 0 bytes")
    _fix_pillow_settings()
    source = _Source(data)
    try:
        image = _open(source, data[:_PREFIX_LENGTH])
        cut_header = source.ran_out
        _check_size(image, policy)
        _check_scans(image, data)
    except ImageError:
        raise
    except Exception as error:  # Pillow's plugins raise whatever their parsing meets
        raise _image_error(error, data, cut_header=source.ran_out) from error
    try:
        image.load()
        rgb: Image.Image = to_rgb(image, data[:_PREFIX_LENGTH], policy.background)
        if (method := _UPRIGHT.get(_orientation(image))) is not None:  # the first method is 0
            rgb = rgb.transpose(method)
    except ImageError:
        raise
    except Exception as error:
        raise _image_error(error, data, cut_header=cut_header) from error
    rgb.info = {}
    return rgb


class _Source(io.BytesIO):
    """Bytes that remember whether somebody asked for more of them than there are."""

    ran_out = False

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.ran_out |= size is not None and len(data) < size
        return data


def _open(source: _Source, prefix: bytes) -> ImageFile.ImageFile:
    """The header, read by the plugin whose signature matches.

    `PIL.Image.open` would do, but hides a plugin's reasons and may try plugins that are not on the list.
    """
    for name in FORMATS:
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is None or accept is None:
            continue
        verdict = accept(prefix)
        if isinstance(verdict, str):
            raise ImageError(UNSUPPORTED, f"the file is {name}, which this Pillow was not built for ({verdict})")
        if verdict:
            return factory(source, "")
    for pattern, name in _KNOWN_BUT_NOT_READ:
        if re.match(pattern.encode("latin-1"), prefix, re.DOTALL):
            raise ImageError(UNSUPPORTED, f"the file is {name}; formats that are read: {', '.join(FORMATS)}")
    raise ImageError(UNDECODABLE, f"no image starts with {prefix!r}; formats that are read: {', '.join(FORMATS)}")


def _check_size(image: Image.Image, policy: DecodePolicy) -> None:
    width, height = image.size
    if width * height > policy.max_pixels:
        raise ImageError(TOO_LARGE, f"{width} x {height} pixels are more than max_pixels = {policy.max_pixels}")


def _check_scans(image: Image.Image, data: bytes) -> None:
    if isinstance(image, JpegImagePlugin.JpegImageFile) and has_more_scans_than(_MOST_JPEG_SCANS, data):
        raise ImageError(TOO_LARGE, f"a JPEG file of more than {_MOST_JPEG_SCANS} scans, each a pass over all pixels")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF: viewers show the picture as it is
        return 1


def _image_error(error: Exception, data: bytes, *, cut_header: bool) -> ImageError:
    found = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError):
        return ImageError(TOO_LARGE, f"no memory for its pixels ({found})")
    if cut_header or _lacks_its_end(data) or _CUT_SHORT.search(str(error)):
        return ImageError(TRUNCATED, f"the file ends too early, after {len(data)} bytes ({found})")
    return ImageError(UNDECODABLE, found)


def _lacks_its_end(data: bytes) -> bool:
    """Whether a RIFF (WebP) or ISO (AVIF) file is shorter than it says; their libraries don't tell when they fail."""
    if data[:4] == b"RIFF":
        return 8 + int.from_bytes(data[4:8], "little") > len(data)
    if data[4:8] != b"ftyp":
        return False
    end, boxes = 0, set()
    while end + 8 <= len(data):
        boxes.add(data[end + 4 : end + 8])
        size = int.from_bytes(data[end : end + 4])
        if size < 8:  # 0 means up to the file's end, 1 a length of 64 bits
            return False
        end += size
    return end != len(data) or b"mdat" not in boxes


def _fix_pillow_settings() -> None:
    """Sets what Pillow keeps for the whole process; setting the same values again is safe in every thread."""
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    if _NO_WARNINGS not in warnings.filters:
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
