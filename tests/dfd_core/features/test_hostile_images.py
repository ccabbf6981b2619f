"""Files that were made to do harm, or do it by accident: each ends in pixels or in a row with its status."""

import hashlib
import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from dfd_core.augmentations import AUGMENTATIONS, augment
from dfd_core.backbones import BackboneSpec, load, resolve
from dfd_core.errors import ImageError
from dfd_core.features.decoding import DecodePolicy, decode
from dfd_core.features.extraction import ExtractionSpec, extract_here
from dfd_core.features.files import read_statuses
from dfd_core.features.isolation import IsolatedDecoder
from dfd_core.features.planning import plan_extraction
from dfd_core.statuses import STATUSES
from dfd_core.storage import Store

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))
A_FEW_MB = 8_000_000


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def outcome(function, *args):
    """What `decode` came to; any other exception than ImageError fails the test."""
    try:
        image = function(*args)
    except ImageError as error:
        return error.status if error.message else "an error without a message"
    assert image.mode == "RGB"
    assert len(image.tobytes()) == 3 * image.width * image.height
    return image.size


# Much in little


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def zeros(size_bytes):
    """So many bytes, deflated."""
    packer, part = zlib.compressobj(1), bytes(1_000_000)
    return b"".join(packer.compress(part) for _ in range(size_bytes // len(part))) + packer.flush()


def png(size, idat, before=b"", after=b"", bits=8, kind=2):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", idat) + after + chunk(b"IEND", b"")


def patched(data, position, format_, *values):
    end = position + struct.calcsize(format_)
    return data[:position] + struct.pack(format_, *values) + data[end:]


def tiff(size, tile, compression):
    """A grey TIFF with one tile of which the file holds 100 bytes."""
    tags = {256: size[0], 257: size[1], 258: 8, 259: compression, 262: 1, 277: 1}
    tags |= {322: tile[0], 323: tile[1], 324: 200, 325: 100}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return (b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries).ljust(200, b"\0") + bytes(100)


GIF = encoded(PICTURE.quantize(16), "GIF")
WEBP = encoded(PICTURE, "WEBP")
WEBP_LOSSLESS = encoded(PICTURE, "WEBP", lossless=True)
JPEG = encoded(PICTURE, "JPEG")
BMP = encoded(PICTURE, "BMP")
PIXELS = zeros(1_000_000)  # enough for 8 x 8
TEXT = zeros(100_000_000)
A_MB_OF_TEXT = zlib.compress(bytes(1_000_000))

BOMBS = {
    "png of 30000 x 30000": (png((30_000, 30_000), zeros(113_000_000), bits=1, kind=0), "too_large"),
    "png that claims 2**31": (png((2**31 - 1, 2**31 - 1), PIXELS), "too_large"),
    "png with more pixels than it says": (png((8, 8), TEXT), (8, 8)),
    "png profile": (png((8, 8), PIXELS, before=chunk(b"iCCP", b"x\0\0" + TEXT)), "undecodable"),
    "png text": (png((8, 8), PIXELS, before=chunk(b"zTXt", b"x\0\0" + TEXT)), "undecodable"),
    "png international text": (png((8, 8), PIXELS, before=chunk(b"iTXt", b"x\0\1\0\0\0" + TEXT)), "undecodable"),
    "png text behind the pixels": (png((8, 8), PIXELS, after=chunk(b"zTXt", b"x\0\0" + TEXT)), "undecodable"),
    "png of many texts": (png((8, 8), PIXELS, before=chunk(b"zTXt", b"x\0\0" + A_MB_OF_TEXT) * 100), "undecodable"),
    "gif screen": (patched(GIF, 6, "<HH", 65535, 65535), "too_large"),
    "gif frame": (patched(GIF, GIF.index(b",", 13 + 48) + 5, "<HH", 65535, 65535), "too_large"),
    "webp": (patched(WEBP, WEBP.index(b"\x9d\x01\x2a") + 3, "<HH", 16383, 16383), "too_large"),
    "webp lossless": (patched(WEBP_LOSSLESS, WEBP_LOSSLESS.index(b"VP8L") + 9, "<I", 16382 | 16382 << 14), "too_large"),
    "webp canvas": (b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0" + b"\xff" * 6, "undecodable"),
    "jpeg": (patched(JPEG, JPEG.index(b"\xff\xc0") + 5, ">HH", 65535, 65535), "too_large"),
    "bmp": (patched(BMP, 18, "<ii", 2**31 - 1, 2**31 - 1), "too_large"),
    "bmp from the top": (patched(BMP, 18, "<ii", 9000, -9000), "truncated"),
    "ppm": (b"P6 999999999 999999999 255\n", "too_large"),
    "ppm in words": (b"P3 9000 9000 255\n1 2 3 ", "truncated"),
    "tiff": (tiff((200_000, 200_000), (16, 16), 1), "too_large"),
    "tiff of one giant tile": (tiff((40, 30), (2**31 - 16, 2**31 - 16), 5), None),
    "tiff of one big tile": (tiff((40, 30), (60_000, 60_000), 5), None),
    "tiff of one big raw tile": (tiff((40, 30), (60_000, 60_000), 1), None),
}
if features.check("avif"):
    AVIF = encoded(PICTURE, "AVIF")
    BOMBS["avif"] = (patched(AVIF, AVIF.index(b"ispe") + 8, ">II", 60_000, 60_000), "undecodable")


@pytest.mark.parametrize("name", list(BOMBS))
def test_much_in_little_ends_in_a_status_before_it_takes_memory(name):
    data, expected = BOMBS[name]
    assert len(data) < 1_000_000
    tracemalloc.start()
    try:
        found = outcome(decode, data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == expected if expected else found in STATUSES
    assert peak_bytes < (80_000_000 if name == "png of many texts" else A_FEW_MB)  # Pillow stops at 64 MiB of texts


def test_the_same_ends_hold_in_a_child_with_little_memory():
    """Pixels are no objects of Python, so the child's limit sees what `tracemalloc` does not."""
    with IsolatedDecoder(memory_bytes=400_000_000) as decoder:
        for name, (data, _) in BOMBS.items():
            # libwebp asks for 2 GB, which it never touches, before it tells the size
            expected = "undecodable" if name.startswith("webp") else outcome(decode, data)
            assert outcome(decoder.decode, data) == expected, name


def test_a_transparent_image_of_the_largest_size_stays_within_20_bytes_a_pixel():
    side = 3000
    data = encoded(Image.new("LA", (side, side)), "PNG")
    with IsolatedDecoder(memory_bytes=20 * side * side + 20_000_000) as decoder:
        assert outcome(decoder.decode, data) == (side, side)


# Not what the name says


def test_content_decides_and_not_the_name(tmp_path, spectrum, feature_sets):
    contents = {
        "png.jpg": (encoded(PICTURE.resize((64, 64)), "PNG"), "ok"),
        "jpeg.png": (encoded(PICTURE.resize((64, 64)), "JPEG"), "ok"),
        "html.jpg": (b"<!DOCTYPE html><title>429 Too Many Requests</title>", "undecodable"),
        "svg.png": (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "undecodable"),
        "heic.jpg": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "unsupported"),
        "empty.jpg": (b"", "empty"),
        "bomb.png": (BOMBS["png of 30000 x 30000"][0], "too_large"),
        "strip.png": (encoded(Image.new("RGB", (100_000, 1)), "PNG"), "too_small"),
    }
    rows, expected = [], {}
    for name, (data, status) in contents.items():
        (tmp_path / name).write_bytes(data)
        sample_id = hashlib.sha256(data).hexdigest()
        rows.append({"sample_id": sample_id, "path": name, "url": str(Path(tmp_path / name))})
        expected[sample_id] = status
    store, target = Store(tmp_path / "store"), feature_sets[0]
    assert target.backbone == spectrum
    plan = plan_extraction(store, {"d": pa.Table.from_pylist(rows)}, (target,), 100, False)
    extract_here(store, plan, ExtractionSpec(), lambda report: None)
    assert read_statuses(store, target.folder) == expected


# Strips: what comes after decoding must bear them too

STRIPS = [(100_000, 1), (1, 100_000), (65_500, 1), (1, 1), (3, 1000)]


def strip(size):
    row = np.random.default_rng(0).integers(0, 256, 3 * size[0] * size[1], dtype=np.uint8)
    return decode(encoded(Image.frombytes("RGB", size, row.tobytes()), "PNG"))


@pytest.mark.parametrize("size", STRIPS)
@pytest.mark.parametrize("name", ["jpeg_q75", "color_jitter", "cnndetection_blur_jpeg_0.5", "blur_sigma_3"])
def test_augmentations_bear_strips(size, name):
    image = strip(size)
    for sample_id in "abc":
        found = outcome(augment, AUGMENTATIONS[name], image, sample_id)
        assert found == size or (found == "unsupported" and max(size) > 65_500)


@pytest.fixture(scope="module", params=["tiny_vit", "tiny_clip", "tiny_resnet", "spectrum"])
def backbone(request):
    return load(resolve(BackboneSpec(name=request.param)))


@pytest.mark.parametrize("size", STRIPS)
def test_backbones_bear_strips(backbone, size):
    image, name = strip(size), backbone.resolved.spec.name
    if name == "spectrum" or max(size) / min(size) >= 30_000:
        with pytest.raises(ImageError) as caught:
            backbone.transform(image)
        assert caught.value.status == ("too_small" if name == "spectrum" else "unsupported")
    else:
        assert np.isfinite(backbone.embed([backbone.transform(image)])).all()


# Noise

FILES = {
    "jpeg": JPEG,
    "jpeg-progressive": encoded(PICTURE, "JPEG", progressive=True),
    "png": encoded(PICTURE, "PNG"),
    "png-palette": encoded(PICTURE.quantize(), "PNG"),
    "webp": WEBP,
    "webp-lossless": WEBP_LOSSLESS,
    "gif": GIF,
    "bmp": BMP,
    "tiff": encoded(PICTURE, "TIFF"),
    "tiff-lzw": encoded(PICTURE, "TIFF", compression="tiff_lzw"),
    "tiff-jpeg": encoded(PICTURE, "TIFF", compression="jpeg"),
    "tiff-cmyk": encoded(PICTURE.convert("CMYK"), "TIFF"),
    "ppm": encoded(PICTURE, "PPM"),
}
if features.check("avif"):
    FILES["avif"] = AVIF
SMALL = DecodePolicy(max_pixels=1_000_000)


@st.composite
def mutations(draw):
    """A file with bytes changed, cut out, doubled or taken from another format."""
    data = FILES[draw(st.sampled_from(list(FILES)))]
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)) | st.integers(0, min(len(data), 100)))
        length = draw(st.integers(0, 12) | st.integers(0, len(data)))
        new = draw(
            st.binary(min_size=1, max_size=8)
            | st.sampled_from([b"", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0"])
            | st.just(data[start : start + length] * 2)
            | st.sampled_from(list(FILES.values())).map(lambda other, start=start: other[start : start + 60])
        )
        data = data[:start] + new + data[start + length :]
    return data


@settings(derandomize=True, deadline=None, max_examples=250)
@given(data=mutations())
def test_mutated_files_end_in_pixels_or_a_status(data):
    assert not isinstance(found := outcome(decode, data, SMALL), str) or found in STATUSES


@pytest.mark.parametrize("name", list(FILES))
def test_files_cut_anywhere_end_alike_here_and_in_a_child(name, child):
    whole = FILES[name]
    for cut in (1, 11, 60, len(whole) // 2, len(whole) - 5, len(whole)):
        found = outcome(decode, whole[:cut], SMALL)
        assert found == outcome(child.decode, whole[:cut])
        assert found == PICTURE.size or found in ("truncated", "undecodable")
    assert found == PICTURE.size


@pytest.fixture(scope="module")
def child():
    with IsolatedDecoder(SMALL, memory_bytes=2**30) as decoder:
        yield decoder
