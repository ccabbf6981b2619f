import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from dfd_core.audit.hashing import near_pairs, perceptual_hash, reduced_grey


def picture(seed, size=(200, 160)):
    rng = np.random.default_rng(seed)
    parts = [Image.fromarray(rng.integers(0, 256, (n, n, 3)).astype(np.uint8)) for n in (5, 11, 23)]
    layers = [np.asarray(part.resize(size, Image.Resampling.BICUBIC), float) for part in parts]
    return Image.fromarray(np.average(layers, axis=0, weights=[4, 2, 1]).clip(0, 255).astype(np.uint8))


def hashed(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return perceptual_hash(reduced_grey(buffer.getvalue(), kind))


def distance(a, b):
    return int(np.bitwise_count(a ^ b).sum())


@pytest.mark.parametrize("seed", range(4))
def test_the_same_picture_in_other_sizes_and_encodings_is_near(seed):
    image = picture(seed)
    base = hashed(image)
    others = [
        hashed(image, "JPEG", quality=50), hashed(image, "JPEG", quality=90, progressive=True),
        hashed(image, "WEBP", quality=50), hashed(image.resize((100, 80)), "JPEG"), hashed(image.resize((400, 320))),
        hashed(image.resize((160, 160))), hashed(image.convert("RGBA")), hashed(image.convert("L")),
        hashed(image.convert("P", palette=Image.Palette.ADAPTIVE)), hashed(image.convert("CMYK"), "JPEG"),
    ]  # fmt: skip
    assert max(distance(base, other) for other in others) <= 24


def test_other_pictures_are_far():
    found = [hashed(picture(seed)) for seed in range(40)]
    apart = [distance(a, b) for i, a in enumerate(found) for b in found[:i]]
    assert min(apart) > 60


def test_a_picture_is_taken_upright():
    image = picture(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert distance(hashed(image), hashed(image.rotate(90, expand=True), "JPEG", quality=95, exif=exif.tobytes())) <= 12
    assert distance(hashed(image), hashed(ImageOps.mirror(image))) > 60  # as documented


def test_sixteen_bits_are_scaled_not_cut_off():
    grey = np.asarray(picture(0).convert("L"), np.uint16)
    assert distance(hashed(picture(0).convert("L")), hashed(Image.fromarray(grey * 257))) <= 2


def test_a_picture_of_one_colour_has_no_hash():
    assert hashed(Image.new("RGB", (90, 90), (200, 10, 10))) is None
    assert hashed(Image.new("RGB", (90, 90), (0, 0, 0))) is None


def test_damaged_pixels_are_an_error():
    buffer = io.BytesIO()
    picture(0).save(buffer, "JPEG")
    with pytest.raises(OSError, match="truncated"):
        reduced_grey(buffer.getvalue()[:2000], "JPEG")


def brute_force(hashes, radius):
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(axis=2)
    i, j = np.nonzero(np.triu(apart <= radius, 1))
    return np.stack([i, j], axis=1), apart[i, j]


@settings(derandomize=True, max_examples=40)
@given(seed=st.integers(0, 2**32), radius=st.integers(0, 47), n=st.integers(0, 60), spread=st.integers(1, 120))
def test_the_search_finds_exactly_what_comparing_all_finds(seed, radius, n, spread):
    rng = np.random.default_rng(seed)
    bits = np.zeros((n, 256), dtype=bool)
    for row in bits:
        row[rng.choice(256, rng.integers(0, spread), replace=False)] = True
    hashes = np.unique(np.packbits(bits, axis=1).view(np.uint64), axis=0)
    pairs, apart = near_pairs(hashes, radius)
    expected, distances = brute_force(hashes, radius)
    assert np.array_equal(pairs, expected)
    assert np.array_equal(apart, distances)


def test_the_search_works_in_blocks(monkeypatch):
    from dfd_core.audit import hashing

    monkeypatch.setattr(hashing, "_BLOCK", 50)
    rng = np.random.default_rng(0)
    hashes = np.unique(rng.integers(0, 4, (300, 4)).astype(np.uint64), axis=0)
    pairs, _ = near_pairs(hashes, 5)
    assert np.array_equal(pairs, brute_force(hashes, 5)[0])
