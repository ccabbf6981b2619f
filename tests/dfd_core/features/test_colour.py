"""Every kind of pixel, in files made on the spot."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from dfd_core.errors import ImageError
from dfd_core.features.decoding import DecodePolicy, decode

WHITE = [255, 255, 255]
GREEN = DecodePolicy(background=(0, 255, 0))


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data, policy=None):
    image = decode(data, policy or DecodePolicy())
    assert type(image) is Image.Image
    assert image.mode == "RGB"
    assert image.info == {}
    return np.asarray(image).tolist()


def png(size, depth, colour_type, rows, *chunks):
    """A PNG file from its raw rows, for what Pillow can't write."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, 0))]
    parts += [chunk(kind, body) for kind, body in chunks]
    parts += [chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


DEEP = [0, 128, 129, 257, 385, 386, 32768, 65406, 65407, 65535]
SHALLOW = [0, 0, 1, 1, 1, 2, 128, 254, 255, 255]


def deep(dtype="u2"):
    return Image.fromarray(np.array([DEEP], dtype))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encoded(deep(), "PNG"), id="png"),
        pytest.param(encoded(deep(), "TIFF"), id="tiff"),
        pytest.param(encoded(deep(), "TIFF", compression="tiff_lzw"), id="tiff-lzw"),
        pytest.param(encoded(deep(">u2"), "TIFF"), id="tiff-big-endian"),
        pytest.param(encoded(deep("i4"), "TIFF"), id="tiff-32-bit"),
        pytest.param(encoded(deep(), "PPM"), id="pgm"),
    ],
)
def test_deep_grey_is_divided_by_257_and_rounded(data):
    assert pixels(data) == [[[value] * 3 for value in SHALLOW]]


@pytest.mark.parametrize("values", [[0, 65536], [-1, 7]])
def test_deeper_grey_has_no_agreed_meaning(values):
    with pytest.raises(ImageError, match="grey values from") as caught:
        decode(encoded(Image.fromarray(np.array([values], "i4")), "TIFF"))
    assert caught.value.status == "unsupported"


@pytest.mark.parametrize(("tag", "value"), [(258, 12), (262, 0)])
def test_unusual_deep_tiff_is_not_guessed(tag, value):
    entry = struct.pack("<HHIHH", tag, 3, 1, *((16, 0) if tag == 258 else (1, 0)))
    data = encoded(Image.fromarray(np.full((2, 4), 900, "u2")), "TIFF")
    assert data.count(entry) == 1
    changed = data.replace(entry, struct.pack("<HHIHH", tag, 3, 1, value, 0))
    with pytest.raises(ImageError, match="only 16 bits, black is zero") as caught:
        decode(changed)
    assert caught.value.status == "unsupported"


def test_floats_have_no_agreed_meaning():
    with pytest.raises(ImageError, match="floating-point") as caught:
        decode(encoded(Image.fromarray(np.array([[0.5, 1.0]], "f4")), "TIFF"))
    assert caught.value.status == "unsupported"


def test_deep_colour_is_its_upper_byte():
    row = struct.pack(">6H", 0x12FF, 0x3400, 0xFFFF, 0, 255, 256)
    assert pixels(png((2, 1), 16, 2, [row])) == [[[0x12, 0x34, 0xFF], [0, 0, 1]]]


def test_one_bit_becomes_black_and_white():
    image = Image.fromarray(np.array([[True, False, True]]))
    assert image.mode == "1"
    for kind in ("PNG", "TIFF", "BMP", "PPM", "GIF"):
        assert pixels(encoded(image, kind)) == [[WHITE, [0, 0, 0], WHITE]]


def test_grey_is_repeated():
    assert pixels(encoded(Image.fromarray(np.array([[0, 7, 255]], "u1")), "PNG")) == [[[0] * 3, [7] * 3, WHITE]]


RGBA = np.array([[[200, 10, 30, 255], [200, 10, 30, 0], [200, 10, 30, 51]]], "u1")
LA = np.array([[[200, 255], [200, 0], [200, 51]]], "u1")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_composited_over_the_background(kind):
    data = encoded(Image.fromarray(RGBA), kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    # 51 of 255 is one fifth: 255 * 4/5 + 200/5 = 244, + 10/5 = 206, + 30/5 = 210
    assert pixels(data) == [[[200, 10, 30], WHITE, [244, 206, 210]]]
    assert pixels(data, GREEN) == [[[200, 10, 30], [0, 255, 0], [40, 206, 6]]]


def test_colours_under_transparent_pixels_leave_no_trace():
    hidden = RGBA.copy()
    hidden[0, 1, :3] = [1, 2, 3]
    assert pixels(encoded(Image.fromarray(hidden), "PNG")) == pixels(encoded(Image.fromarray(RGBA), "PNG"))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_with_alpha(kind):
    assert pixels(encoded(Image.fromarray(LA), kind)) == [[[200] * 3, WHITE, [244] * 3]]


def test_opaque_alpha_changes_nothing():
    noise = np.random.default_rng(0).integers(0, 256, (9, 8, 4)).astype("u1")
    noise[:, :, 3] = 255
    assert pixels(encoded(Image.fromarray(noise), "PNG")) == noise[:, :, :3].tolist()


def palette_image(mode="P"):
    image = Image.new("P", (3, 1))
    image.putpalette([200, 10, 30, 0, 0, 255, 9, 9, 9])
    image.putdata([0, 1, 2])
    return image.convert(mode)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF"])
def test_palettes_are_looked_up(kind):
    assert pixels(encoded(palette_image(), kind)) == [[[200, 10, 30], [0, 0, 255], [9, 9, 9]]]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_shows_the_background(kind):
    assert pixels(encoded(palette_image(), kind, transparency=1)) == [[[200, 10, 30], WHITE, [9, 9, 9]]]


def test_palette_entries_with_alpha_are_composited():
    data = encoded(palette_image(), "PNG", transparency=bytes([51, 0, 255]))
    assert pixels(data) == [[[244, 206, 210], WHITE, [9, 9, 9]]]


def test_transparent_colours_of_png_show_the_background():
    rgb = png((2, 1), 8, 2, [bytes([1, 2, 3, 3, 2, 1])], (b"tRNS", struct.pack(">3H", 3, 2, 1)))
    grey = png((2, 1), 8, 0, [bytes([7, 8])], (b"tRNS", struct.pack(">H", 7)))
    two_bits = png((4, 1), 2, 0, [bytes([0b00011011])], (b"tRNS", struct.pack(">H", 1)))
    one_bit = png((2, 1), 1, 0, [bytes([0b01000000])], (b"tRNS", struct.pack(">H", 0)))
    sixteen = png((2, 1), 16, 0, [struct.pack(">2H", 514, 515)], (b"tRNS", struct.pack(">H", 515)))
    green = [0, 255, 0]
    assert pixels(rgb, GREEN) == [[[1, 2, 3], green]]
    assert pixels(grey, GREEN) == [[green, [8] * 3]]
    assert pixels(two_bits, GREEN) == [[[0] * 3, green, [170] * 3, WHITE]]
    assert pixels(one_bit, GREEN) == [[green, WHITE]]
    assert pixels(sixteen, GREEN) == [[[2] * 3, green]]


def test_a_transparent_colour_in_deep_colour_is_not_guessed():
    row = struct.pack(">6H", 65535, 0, 0, 65280, 0, 1)
    with pytest.raises(ImageError, match="transparent colour") as caught:
        decode(png((2, 1), 16, 2, [row], (b"tRNS", struct.pack(">3H", 65535, 0, 0))))
    assert caught.value.status == "unsupported"


INKS = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 0, 255], [0, 255, 255, 0]]], "u1").repeat(16, 0).repeat(16, 1)


def inks(kind="TIFF", **options):
    return encoded(Image.frombytes("CMYK", (64, 16), INKS.tobytes()), kind, **options)


def first_row(data):
    return np.asarray(decode(data))[8, 8::16].astype(int)


@pytest.mark.parametrize("options", [{"kind": "TIFF"}, {"kind": "JPEG", "quality": 100, "subsampling": 0}])
def test_cmyk_without_a_profile_is_pillows_formula(options):
    expected = [WHITE, [0, 255, 255], [0, 0, 0], [255, 0, 0]]
    assert np.abs(first_row(inks(**options)) - expected).max() <= 1


LAB = {(0, 0, 0, 0): (255, 128, 128), (1, 0, 0, 0): (140, 96, 80), (0, 1, 1, 0): (120, 190, 170)}


def cmyk_profile(space=b"CMYK"):
    """The smallest ICC profile (version 2, table of 8 bits) with Lab values of our choice for pure inks."""
    channels = len(space.strip())
    corners = [tuple(int(bit) for bit in f"{corner:0{channels}b}") for corner in range(2**channels)]
    table = b"".join(bytes(LAB.get(corner, (0, 128, 128))) for corner in corners)
    identity = struct.pack(">9i", *(65536 if place % 4 == 0 else 0 for place in range(9)))
    ramp = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes([channels, 3, 2, 0]) + identity + ramp * channels + table + ramp * 3
    lut += b"\0" * (-len(lut) % 4)
    white = struct.pack(">3i", 63190, 65536, 54061)
    header = struct.pack(
        ">I4sI4s4s4s12s4s", 144 + len(lut), b"\0" * 4, 0x02400000, b"prtr", space, b"Lab ", b"", b"acsp"
    )
    header = (header.ljust(68, b"\0") + white).ljust(128, b"\0")
    return header + struct.pack(">I4sII", 1, b"A2B0", 144, len(lut)) + lut


def srgb_of(lab_bytes):
    """CIE Lab under D50 to sRGB, from the definitions (IEC 61966-2-1, Bradford adaptation)."""
    lightness, a, b = lab_bytes[0] * 100 / 255, lab_bytes[1] - 128, lab_bytes[2] - 128
    y = (lightness + 16) / 116
    cubes = [f**3 if f > 6 / 29 else 3 * (6 / 29) ** 2 * (f - 4 / 29) for f in (y + a / 500, y, y - b / 200)]
    xyz = np.array(cubes) * [0.9642, 1, 0.8249]
    matrix = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.033454],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    linear = np.clip(np.array(matrix) @ xyz, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255


@pytest.mark.parametrize("options", [{"kind": "TIFF"}, {"kind": "JPEG", "quality": 100, "subsampling": 0}])
def test_cmyk_goes_through_its_profile(options):
    found = first_row(inks(**options, icc_profile=cmyk_profile()))
    expected = [srgb_of(LAB.get(ink, (0, 128, 128))) for ink in ((0,) * 4, (1, 0, 0, 0), (0, 0, 0, 1), (0, 1, 1, 0))]
    assert np.abs(found - expected).max() <= 3
    assert np.abs(found[1] - [0, 255, 255]).max() > 50


@pytest.mark.parametrize("profile", [b"no profile", cmyk_profile()[:200], cmyk_profile(b"RGB ")])
def test_cmyk_with_a_profile_of_no_use_is_pillows_formula(profile):
    assert np.array_equal(first_row(inks(icc_profile=profile)), first_row(inks()))


def test_ycck_is_read_as_pillow_reads_it():
    data = inks(kind="JPEG", quality=100, subsampling=0)
    marker = data.index(b"Adobe")
    ycck = data[: marker + 11] + b"\x02" + data[marker + 12 :]
    with Image.open(io.BytesIO(ycck)) as image:
        assert image.info["adobe_transform"] == 2
        assert pixels(ycck) == np.asarray(image.convert("RGB")).tolist()
    assert pixels(ycck) != pixels(data)


def test_profiles_of_rgb_are_not_applied():
    noise = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype("u1")
    other = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert pixels(encoded(Image.fromarray(noise), "PNG", icc_profile=other)) == noise.tolist()
    assert pixels(encoded(Image.fromarray(noise), "PNG", icc_profile=cmyk_profile(b"RGB "))) == noise.tolist()


def test_lab_goes_to_srgb():
    lab = Image.frombytes("LAB", (2, 1), bytes([255, 0, 0, 140, 0xE0, 0xD0]))
    found = np.array(pixels(encoded(lab, "TIFF")))[0]
    assert np.abs(found - [WHITE, srgb_of((140, 96, 80))]).max() <= 3


def test_ycbcr_goes_to_rgb():
    image = Image.fromarray(np.array([[[255, 0, 0], [10, 20, 30]]], "u1")).convert("YCbCr")
    assert np.abs(np.array(pixels(encoded(image, "TIFF")))[0] - [[255, 0, 0], [10, 20, 30]]).max() <= 2


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_with_alpha():
    found = np.array(pixels(encoded(Image.fromarray(RGBA.repeat(8, 0).repeat(8, 1)), "AVIF", quality=100)))
    assert np.abs(found[4, 4::8] - [[200, 10, 30], WHITE, [244, 206, 210]]).max() <= 6
