import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from dfd_core.manifests.headers import SCHEMA, Header, read_header, to_table

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8))
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description Iptc4xmpExt:DigitalSourceType='
    b'"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia" xmp:CreatorTool="Adobe Firefly"/>'
)


def encoded(image=PHOTO, kind="JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(**texts) -> bytes:
    block = Image.Exif()
    for tag, text in ((0x010F, texts.get("make")), (0x0131, texts.get("software"))):
        if text:
            block[tag] = text
    return block.tobytes()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(kind: bytes, body: bytes) -> bytes:
    data = encoded(kind="PNG")
    return data[:33] + png_chunk(kind, body) + data[33:]


def with_segment(marker: int, body: bytes) -> bytes:
    data = encoded()
    return data[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + data[2:]


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 90, 95, 100])
def test_the_quality_of_libjpeg_is_found_again(quality):
    found = read_header(encoded(quality=quality))
    assert (found.quality, found.quality_exact) == (quality, True)


def test_tables_are_pillows_in_natural_order():
    tables = [[min(255, 1 + i * 3) for i in range(64)], [200 - i for i in range(64)]]
    data = encoded(qtables=tables)
    found = read_header(data)
    with Image.open(io.BytesIO(data)) as image:
        assert found.luma_table == tuple(image.quantization[0])
        assert found.chroma_table == tuple(image.quantization[1])
    assert not found.quality_exact


@pytest.mark.parametrize("name", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_coding_of_jpeg(name, progressive):
    found = read_header(encoded(subsampling=name, progressive=progressive, restart_marker_blocks=3 * progressive))
    assert (found.status, found.format, found.width, found.height) == ("ok", "JPEG", 64, 48)
    assert (found.subsampling, found.progressive, found.restarts) == (name, progressive, progressive)
    assert (found.channels, found.bit_depth, found.jfif, found.adobe, found.complete) == (3, 8, True, None, True)


def test_other_kinds_of_jpeg():
    grey = read_header(encoded(PHOTO.convert("L")))
    assert (grey.subsampling, grey.channels, grey.chroma_table) == ("grey", 1, None)
    assert grey.quality == 75
    inks = read_header(encoded(PHOTO.convert("CMYK")))
    assert (inks.channels, inks.adobe, inks.subsampling) == (4, 0, "4:4:4")


@pytest.mark.parametrize(
    ("mode", "colour_type", "channels", "depth"),
    [("L", 0, 1, 8), ("RGB", 2, 3, 8), ("P", 3, 1, 8), ("LA", 4, 2, 8), ("RGBA", 6, 4, 8), ("1", 0, 1, 1)],
)
def test_kinds_of_png(mode, colour_type, channels, depth):
    found = read_header(encoded(PHOTO.convert(mode), "PNG"))
    assert (found.format, found.width, found.height, found.complete) == ("PNG", 64, 48, True)
    assert (found.colour_type, found.channels, found.bit_depth) == (colour_type, channels, depth)
    assert (found.quality, found.subsampling, found.luma_table) == (None, None, None)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("extended", [False, True])
def test_kinds_of_webp(lossless, mode, extended):
    image = PHOTO.convert(mode)
    image.putpixel((0, 0), (1, 2, 3, 4)[: len(mode)])
    found = read_header(encoded(image, "WEBP", lossless=lossless, icc_profile=ICC if extended else None))
    assert (found.format, found.width, found.height, found.lossless) == ("WEBP", 64, 48, lossless)
    assert (found.channels, found.icc, found.complete) == (len(mode), extended, True)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM"])
def test_other_formats_are_pillows(kind):
    found = read_header(encoded(kind=kind))
    assert (found.status, found.format, found.width, found.height) == ("ok", kind, 64, 48)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_profiles_exif_and_xmp(kind):
    plain = read_header(encoded(kind=kind))
    assert [plain.icc, plain.exif, plain.xmp, plain.c2pa, plain.software, plain.ai_metadata] == [
        *[False] * 4,
        None,
        None,
    ]
    block = exif(make="Canon", software="Midjourney v6")
    found = read_header(encoded(kind=kind, icc_profile=ICC, exif=block))
    assert (found.icc, found.exif, found.make, found.software) == (True, True, "Canon", "Midjourney v6")
    assert found.ai_metadata == "software:midjourney"


@pytest.mark.parametrize(
    "data",
    [
        with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
        with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        encoded(kind="WEBP", xmp=XMP),
    ],
    ids=["JPEG", "PNG", "WEBP"],
)
def test_digital_source_type_is_found_in_xmp(data):
    found = read_header(data)
    assert found.xmp
    assert found.ai_metadata == "iptc:trainedAlgorithmicMedia, software:adobe firefly"


@pytest.mark.parametrize(
    "data",
    [
        with_segment(0xEB, b"JP\0\x01\0\0\0\x01\0\0\0\x20jumb....jumdc2pa\0trainedAlgorithmicMedia"),
        with_chunk(b"caBX", b"\0\0\0\x20jumb....jumdc2pa\0trainedAlgorithmicMedia"),
    ],
    ids=["JPEG", "PNG"],
)
def test_content_credentials_are_found(data):
    found = read_header(data)
    assert found.c2pa
    assert found.ai_metadata == "c2pa:trainedAlgorithmicMedia"


def test_a_word_that_two_segments_of_a_box_share_is_found():
    def data(numbers):
        head, box = b"JP\0\x01", b"\0\0\x01\0jumb"
        parts = [b"....jumdc2pa\0trained", b"AlgorithmicMedia"]
        made = encoded()
        for number in reversed(numbers):  # each goes to the front
            body = head + number.to_bytes(4) + box + parts[number - 1]
            made = made[:2] + b"\xff\xeb" + struct.pack(">H", len(body) + 2) + body + made[2:]
        return made

    for numbers in ((1, 2), (2, 1)):
        found = read_header(data(numbers))
        assert (found.c2pa, found.ai_metadata) == (True, "c2pa:trainedAlgorithmicMedia")


def test_only_boxes_and_tags_of_provenance_count_as_such():
    words = b"....jumdc2pa\0trainedAlgorithmicMedia"
    avif = encoded(kind="AVIF", speed=10, xmp=XMP)
    found = read_header(avif)
    assert (found.c2pa, found.xmp) == (False, True)
    assert found.ai_metadata == "iptc:trainedAlgorithmicMedia, software:adobe firefly"
    box = bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + words
    signed = read_header(avif + struct.pack(">I", len(box) + 8) + b"uuid" + box)
    assert (signed.c2pa, "c2pa:trainedAlgorithmicMedia" in signed.ai_metadata) == (True, True)
    plain = encoded(kind="TIFF", description=words.decode("latin-1"))
    assert (read_header(plain).c2pa, read_header(plain).ai_metadata) == (False, None)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0xCD41], tags.tagtype[0xCD41] = words, 7
    found = read_header(encoded(kind="TIFF", tiffinfo=tags))
    assert (found.c2pa, found.ai_metadata) == (True, "c2pa:trainedAlgorithmicMedia")


def in_xmp(packet: bytes) -> bytes:
    return with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)


def in_exif(tag: int, text: str) -> bytes:
    block = Image.Exif()
    block[tag] = text
    return encoded(exif=block)


def in_png(key: str, text: str) -> bytes:
    texts = PngInfo()
    texts.add_text(key, text, zip=True)
    return encoded(kind="PNG", pnginfo=texts)


@pytest.mark.parametrize(
    ("data", "mark"),
    [
        (in_xmp(b"http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"), "iptc:algorithmicMedia"),
        (in_xmp(b"http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic"), "iptc:compositeSynthetic"),
        (in_xmp(b"http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"), None),
        (in_xmp(b"<Iptc4xmpExt:AISystemUsed>mine<"), "iptc:AISystemUsed"),
        (in_xmp(b"<rdf:Description TC260:AIGC='{}'/>"), "xmp:AIGC"),
        (in_xmp(b"<photoshop:Credit>Made with Google AI<"), "software:google ai"),
        (in_xmp(b"<rdf:Description xmp:CreatorTool='Midjourney'/>"), "software:midjourney"),
        (in_xmp("<xmp:CreatorTool>Midjourney<".encode("utf-16-be")), "software:midjourney"),
        (in_exif(0x0110, "DALL-E 3"), "software:dall-e"),
        (in_exif(0x013B, "midjourney"), "software:midjourney"),
        (in_exif(0x0131, "Firefly"), "software:firefly"),
        (in_exif(0x0131, "Teledyne FLIR Firefly camera"), None),
        (with_segment(0xFE, b"a cat\nSteps: 20, Sampler: Euler"), "comment:parameters"),
        (with_segment(0xFE, b"Stable Diffusion"), "software:stable diffusion"),
        (
            with_segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x18\x1c\x02n\0\x13Made with Google AI"),
            "software:google ai",
        ),
        (encoded(PHOTO.convert("P"), "GIF", comment=b"Stable Diffusion"), "software:stable diffusion"),
        (encoded(kind="TIFF", software="Midjourney"), "software:midjourney"),
        (in_png("Comment", "Steps: 3, Sampler: DDIM"), "png:parameters"),
        (in_png("Software", "NovelAI"), "software:novelai"),
        (with_chunk(b"zTXt", b"Software\0\0damaged"), None),
        (
            with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"trainedAlgorithmicMedia")),
            "iptc:trainedAlgorithmicMedia",
        ),
    ],
)  # fmt: skip
def test_marks_stand_in_many_places(data, mark):
    assert read_header(data).ai_metadata == mark


def test_a_text_that_inflates_without_end_is_read_up_to_a_limit():
    bomb = zlib.compress(bytes(50_000_000), 9)
    tracemalloc.start()
    try:
        read_header(with_chunk(b"zTXt", b"Comment\0\0" + bomb))
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("key", "value", "mark"),
    [
        ("parameters", "a cat\nSteps: 20, Sampler: Euler", "png:parameters"),
        ("prompt", '{"3": {"class_type": "KSampler"}}', "png:prompt"),
        ("Software", "NovelAI", "software:novelai"),
        ("Software", "GIMP", None),
        ("Comment", "Steps: 3, Sampler: DDIM", "png:parameters"),
        ("Source", "Stable Diffusion XL C1E1DE52", "software:stable diffusion"),
        ("Description", "a cat --v 6 Job ID: 0a1b2c3d-1111-2222-3333-444455556666", "png:midjourney_job"),
        ("Description", "una imagen de una firefly", None),
    ],
)
def test_generators_marks_in_text_chunks(key, value, mark):
    texts = PngInfo()
    texts.add_text(key, value)
    assert read_header(encoded(kind="PNG", pnginfo=texts)).ai_metadata == mark
    packed = PngInfo()
    packed.add_itxt(key, value)
    assert read_header(encoded(kind="PNG", pnginfo=packed)).ai_metadata == mark


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_file_without_its_end_is_not_complete(kind):
    data = encoded(kind=kind)
    assert read_header(data).complete
    for cut in (data[: len(data) // 2], data[:-40] if kind != "JPEG" else data[:-2]):
        found = read_header(cut)
        assert (found.status, found.width, found.complete) == ("ok", 64, False)
    assert read_header(data + b"\0" * 9).complete


def test_the_first_chunk_with_a_wrong_check_sum_is_named():
    whole = encoded(kind="PNG")
    assert read_header(whole).bad_chunk is None
    for kind in (b"IHDR", b"IDAT", b"IEND"):
        data = bytearray(whole)
        start = data.index(kind)
        data[start + 4 + int.from_bytes(data[start - 4 : start])] ^= 1
        found = read_header(bytes(data))
        assert (found.status, found.bad_chunk, found.complete) == ("ok", kind.decode(), True)
    assert read_header(whole[:-4]).bad_chunk is None  # an end without its check sum


def test_a_thumbnails_end_is_not_the_files():
    data = with_segment(0xE1, b"Exif\0\0" + encoded(PHOTO.resize((8, 8))))
    assert read_header(data).complete
    assert not read_header(data[: len(data) - 200]).complete


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", "empty"), (b"<html>not found</html>", "undecodable"), (b"\xff\xd8\xff", "undecodable"),
        (encoded()[:40], "undecodable"), (encoded(kind="PNG")[:20], "undecodable"),
        (encoded(kind="WEBP")[:18], "undecodable"), (b"RIFF\0\0\0\0WEBP", "undecodable"),
    ],
)  # fmt: skip
def test_what_has_no_facts_has_a_status(data, status):
    found = read_header(data)
    assert (found.status, found.format, found.size_bytes) == (status, None, len(data))
    assert found.error


SMALL = PHOTO.resize((8, 6))
SEEDS = (
    encoded(SMALL, progressive=True, icc_profile=ICC, exif=exif(make="M", software="S")),
    encoded(SMALL, "PNG", exif=exif(make="M")),
    encoded(SMALL, "WEBP", lossless=True),
    encoded(SMALL, "WEBP", exif=exif(software="S")),
    *(encoded(SMALL, kind) for kind in ("GIF", "TIFF", "BMP")),
    with_chunk(b"iTXt", b"parameters")[:200],
    with_segment(0xE1, b"Exif\0\0II*\0\xff")[:700],
)
HUGE_BMP = SEEDS[6][:18] + b"\x00\x00\x00\x80" + SEEDS[6][22:]


def test_more_pixels_than_a_column_holds_is_damage():
    assert read_header(HUGE_BMP).status == "undecodable"


@settings(derandomize=True, max_examples=300)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 700), st.binary(min_size=1, max_size=4)), max_size=8),
    cut=st.integers(0, 300),
)
def test_hostile_bytes_never_raise_and_always_fit_the_table(seed, edits, cut):
    data = bytearray(seed)
    for place, new in edits:
        data[place : place + len(new)] = new
    found = read_header(bytes(data[: max(3, len(data) - cut)]))
    assert isinstance(found, Header)
    assert to_table(["a"], [found]).schema == SCHEMA


def test_columns_are_the_fields():
    assert SCHEMA.names == ["sample_id", *Header._fields]
    table = to_table(["a", "b"], [read_header(encoded()), read_header(b"")])
    assert table["luma_table"].to_pylist()[1] is None
    assert table["status"].to_pylist() == ["ok", "empty"]
    assert to_table([], []).schema == SCHEMA
