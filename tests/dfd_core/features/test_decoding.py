"""What can be wrong with a file, and what stands around its pixels."""

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, PngImagePlugin, features
from pydantic import ValidationError

from dfd_core.errors import ImageError
from dfd_core.features.decoding import FORMATS, DecodePolicy, decode
from dfd_core.statuses import STATUSES

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=150)
BLOCKS = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
PICTURE = Image.fromarray(BLOCKS)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data, policy=None):
    return np.asarray(decode(data, policy or DecodePolicy()))


def status_of(data, policy=None):
    """The status that `decode` gives; any other exception than ImageError fails the test."""
    try:
        decode(data, policy or DecodePolicy())
    except ImageError as error:
        return error.status if error.message else "an error without a message"
    return "ok"


FILES = {
    "jpeg": encoded(PICTURE, "JPEG", quality=95),
    "jpeg-progressive": encoded(PICTURE, "JPEG", quality=95, progressive=True),
    "png": encoded(PICTURE, "PNG"),
    "webp": encoded(PICTURE, "WEBP"),
    "webp-lossless": encoded(PICTURE, "WEBP", lossless=True),
    "gif": encoded(PICTURE.quantize(), "GIF"),
    "bmp": encoded(PICTURE, "BMP"),
    "tiff": encoded(PICTURE, "TIFF"),
    "tiff-lzw": encoded(PICTURE, "TIFF", compression="tiff_lzw"),
    "tiff-jpeg": encoded(PICTURE, "TIFF", compression="jpeg"),
    "ppm": encoded(PICTURE, "PPM"),
}
if features.check("avif"):
    FILES["avif"] = encoded(PICTURE, "AVIF")


@pytest.mark.parametrize("name", [name for name in FILES if name in ("png", "webp-lossless", "bmp", "tiff", "ppm")])
def test_lossless_files_give_their_pixels(name):
    assert np.array_equal(pixels(FILES[name]), BLOCKS)


@pytest.mark.parametrize("name", list(FILES))
def test_every_format_gives_what_pillow_gives(name):
    with Image.open(io.BytesIO(FILES[name])) as image:
        assert image.format in FORMATS
        assert np.array_equal(pixels(FILES[name]), np.asarray(image.convert("RGB")))


def test_a_result_is_its_receivers_own():
    image = decode(FILES["png"])
    image.putpixel((0, 0), (1, 2, 3))
    assert decode(FILES["png"]).getpixel((0, 0)) != (1, 2, 3)


# Orientation: how the stored picture becomes the shown one, from the EXIF specification (row 0 and column 0 are ...).
SHOWN = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.mark.parametrize("orientation", list(SHOWN))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "TIFF-lzw", "AVIF"])
def test_orientation_is_applied_once(kind, orientation):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    options = {"compression": "tiff_lzw"} if kind == "TIFF-lzw" else {}
    kind = kind.removesuffix("-lzw")
    turned = encoded(PICTURE, kind, exif=exif(orientation), **options)
    assert np.array_equal(pixels(turned), SHOWN[orientation](pixels(encoded(PICTURE, kind, **options))))


def test_png_orientation_after_the_pixels_is_applied():
    chunk = b"eXIf" + exif(6).tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data = FILES["png"][:-12] + chunk + FILES["png"][-12:]
    assert np.array_equal(pixels(data), SHOWN[6](BLOCKS))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_without_meaning_is_none(orientation):
    assert np.array_equal(pixels(encoded(PICTURE, "PNG", exif=exif(orientation))), BLOCKS)


@pytest.mark.parametrize("damaged", [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\x05\0"])
def test_damaged_exif_is_none(damaged):
    assert np.array_equal(pixels(encoded(PICTURE, "JPEG", exif=damaged)), pixels(encoded(PICTURE, "JPEG")))


def test_pillows_warnings_have_no_part_in_it():
    data = encoded(PICTURE, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0")
    with pytest.warns(UserWarning, match="Corrupt EXIF"):
        Image.open(io.BytesIO(data)).getexif()
    for action in ("error", "always", "ignore"):
        with warnings.catch_warnings():
            warnings.simplefilter(action)
            assert decode(data).size == PICTURE.size
    with pytest.raises(UserWarning, match="another library"):
        warnings.warn("another library's is still heard", stacklevel=1)


FRAMES = [Image.new("RGB", (5, 4), colour) for colour in ("red", "lime", "blue")]


@pytest.mark.parametrize(
    ("kind", "options"),
    [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("MPO", {"quality": 100, "subsampling": 0})],
)
def test_of_several_frames_or_pages_the_first_is_taken(kind, options):
    data = encoded(FRAMES[0], kind, save_all=True, append_images=FRAMES[1:], **options)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 3
    assert np.abs(pixels(data).astype(int) - [255, 0, 0]).max() <= 2


def test_of_an_animated_png_with_a_still_image_the_still_image_is_taken():
    data = encoded(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:], default_image=True)
    assert np.array_equal(pixels(data), np.asarray(FRAMES[0]))


# Size


def header_of_png(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    idat = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (body, idat)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_a_bomb_is_refused_from_its_header(monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("pixels were decoded"))
    with pytest.raises(ImageError, match="60000 x 60000 pixels are more than max_pixels = 100000000") as caught:
        decode(header_of_png(60000, 60000))
    assert caught.value.status == "too_large"


@pytest.mark.parametrize("name", list(FILES))
def test_max_pixels_is_the_largest_size_that_is_decoded(name):
    width, height = PICTURE.size
    assert status_of(FILES[name], DecodePolicy(max_pixels=width * height)) == "ok"
    assert status_of(FILES[name], DecodePolicy(max_pixels=width * height - 1)) == "too_large"


def test_a_long_strip_is_an_image():
    assert decode(encoded(Image.new("RGB", (100_000, 1)), "PNG")).size == (100_000, 1)


@pytest.mark.parametrize("name", ["png", "webp", "gif", "tiff-lzw"])
def test_settings_that_others_made_for_pillow_have_no_part_in_it(monkeypatch, name):
    expected = pixels(FILES[name])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7)
    assert np.array_equal(pixels(FILES[name]), expected)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert status_of(FILES[name][: len(FILES[name]) // 2]) == "truncated"


def test_no_memory_is_an_error_of_this_image(monkeypatch):
    def fail(self):
        raise MemoryError

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load_prepare", fail)
    assert status_of(FILES["png"]) == "too_large"


# What is no image, or not a whole one


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", "empty"),
        (b"\0", "undecodable"),
        (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "undecodable"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "undecodable"),
        (b'{"error": "not found"}', "undecodable"),
        (b"PLEASE LOG IN", "undecodable"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "undecodable"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unsupported"),
        (b"8BPS\0\1" + b"\0" * 40, "unsupported"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40, "unsupported"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0" * 40, "unsupported"),
        (b"%PDF-1.7\n", "unsupported"),
        (encoded(Image.new("RGB", (16, 16)), "ICO"), "unsupported"),
        (encoded(Image.new("RGB", (16, 16)), "JPEG2000"), "unsupported"),
        (encoded(Image.new("RGB", (16, 16)), "TGA"), "undecodable"),
    ],
)
def test_what_is_not_read_has_its_status(data, status):
    assert status_of(data) == status


def test_a_message_shows_how_the_file_starts():
    with pytest.raises(ImageError, match=r"<!DOCTYPE html>.*formats that are read: JPEG, PNG"):
        decode(b"<!DOCTYPE html><html></html>")
    with pytest.raises(ImageError, match="the file is HEIC; formats that are read: JPEG, PNG"):
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")


@REPEATABLE
@given(name=st.sampled_from(list(FILES)), data=st.data())
def test_a_cut_file_gives_all_pixels_or_is_truncated(name, data):
    whole = FILES[name]
    cut = data.draw(st.integers(16, len(whole) - 1))
    found = status_of(whole[:cut])
    assert found in ("ok", "truncated")
    if found == "ok":
        assert np.array_equal(pixels(whole[:cut]), pixels(whole))


@pytest.mark.parametrize("name", list(FILES))
def test_half_a_file_is_truncated(name):
    assert status_of(FILES[name][: len(FILES[name]) // 2]) == "truncated"


@REPEATABLE
@given(name=st.sampled_from(list(FILES)), cut=st.integers(1, 15))
def test_a_few_bytes_are_no_image(name, cut):
    assert status_of(FILES[name][:cut]) in ("undecodable", "truncated")


@REPEATABLE
@given(name=st.sampled_from(list(FILES)), data=st.data())
def test_damage_anywhere_ends_in_pixels_or_a_status(name, data):
    damaged = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, min(len(damaged) - 1, 400)))] = data.draw(st.integers(0, 255))
    assert status_of(bytes(damaged), DecodePolicy(max_pixels=1_000_000)) in STATUSES


@REPEATABLE
@given(
    start=st.sampled_from(
        [b"", b"BM", b"GIF89a", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"P6 ", b"P1 ", b"RIFF\x09\0\0\0WEBPVP8 "]
    ),
    noise=st.binary(max_size=300),
)
def test_noise_ends_in_a_status(start, noise):
    assume(start + noise)
    assert status_of(start + noise, DecodePolicy(max_pixels=1_000_000)) in STATUSES


def test_damaged_pixels_are_undecodable():
    png = bytearray(FILES["png"])
    start = png.index(b"IDAT") + 4
    png[start + 20 : start + 60] = bytes(40)
    assert status_of(bytes(png)) == "undecodable"


def test_threads_decode_what_one_decodes():
    jobs = list(FILES.values()) * 6 + [FILES["png"][:300], b"no image"] * 6
    alone = [status_of(job) for job in jobs], [pixels(data).tobytes() for data in FILES.values()]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(status_of, jobs)) == alone[0]
        assert list(pool.map(lambda data: pixels(data).tobytes(), FILES.values())) == alone[1]


@pytest.mark.parametrize(
    "fields", [{"max_pixels": 0}, {"background": (0, 0, 256)}, {"background": (0, 0)}, {"exif": 1}]
)
def test_a_policy_is_checked(fields):
    with pytest.raises(ValidationError):
        DecodePolicy(**fields)


def test_a_policys_hash_changes_with_it():
    assert len({DecodePolicy(max_pixels=n, background=(0, 0, b)).content_hash() for n in (1, 2) for b in (0, 1)}) == 4


def test_real_photographs_decode_as_pillow_opens_them(reference_images):
    files = [path for path in sorted(reference_images.rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    assert files
    for path in files[:: max(1, len(files) // 40)]:
        with Image.open(path) as image:
            if image.mode == "RGB" and image.getexif().get(0x0112, 1) == 1:
                assert np.array_equal(pixels(path.read_bytes()), np.asarray(image)), path.name
