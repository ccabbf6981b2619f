"""Each scan of a JPEG file is a pass over all of its pixels, so there is a limit to them."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageFile

from dfd_core.errors import ImageError
from dfd_core.features.decoding import decode

BLOCKS = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
PICTURE = Image.fromarray(BLOCKS)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data):
    return np.asarray(decode(data))


def status_of(data):
    """The status that `decode` gives; any other exception than ImageError fails the test."""
    try:
        decode(data)
    except ImageError as error:
        return error.status
    return "ok"


def in_scans(data, n_more, at=-2):
    """A progressive JPEG file with its last scan so many times more, put before its last two bytes."""
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:at] + last * n_more + data[at:]


PROGRESSIVE = encoded(PICTURE, "JPEG", quality=95, progressive=True)  # in 10 scans


def test_each_scan_of_a_jpeg_is_a_pass_over_it_and_100_are_enough(monkeypatch):
    assert status_of(in_scans(PROGRESSIVE, 90)) == "ok"
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("pixels were decoded"))
    with pytest.raises(ImageError, match="more than 100 scans") as caught:
        decode(in_scans(PROGRESSIVE, 91))
    assert caught.value.status == "too_large"
    for damaged in (in_scans(PROGRESSIVE, 91)[:-2], in_scans(PROGRESSIVE, 91).replace(b"\xff\xda", b"\xff\xff\xda")):
        assert status_of(damaged) == "too_large"


def test_scans_of_a_sequential_jpeg_are_counted_where_its_components_are_apart():
    grey = encoded(PICTURE.convert("L"), "JPEG")
    assert status_of(in_scans(grey, 500)) == "undecodable"  # libjpeg says so after the first
    frame = grey.index(b"\xff\xc0")
    colour = struct.pack(">HH5sB9s", 0xFFC0, 17, grey[frame + 4 : frame + 9], 3, b"\1\x11\0\2\x11\0\3\x11\0")
    apart = grey[:frame] + colour + grey[frame + 13 :]
    assert status_of(in_scans(apart, 99)) == "ok"
    assert status_of(in_scans(apart, 100)) == "too_large"


def test_what_only_looks_like_scans_is_not_counted():
    behind = PROGRESSIVE + b"\xff\xda" * 1000  # such as a film behind a photograph
    assert np.array_equal(pixels(behind), pixels(PROGRESSIVE))
    before = PROGRESSIVE[:2] + b"\xff\xfe" + (2002).to_bytes(2) + b"\xff\xda" * 1000 + PROGRESSIVE[2:]
    assert np.array_equal(pixels(before), pixels(PROGRESSIVE))
    two = encoded(PICTURE, "MPO", save_all=True, append_images=[PICTURE] * 60, progressive=True)
    assert two.count(b"\xff\xda") > 500
    assert status_of(two) == "ok"
