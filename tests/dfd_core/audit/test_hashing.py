import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from dfd_core.audit import hashing
from dfd_core.audit.hashing import near_sets, perceptual_hash, reduced_grey


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
    """The lowest row of each row's set."""
    near = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(axis=2) <= radius
    sets = np.arange(len(hashes))
    for _ in range(len(hashes)):
        sets = np.where(near, sets, len(hashes)).min(axis=1, initial=len(hashes))
    return sets


def lowest(sets):
    _, first, inverse = np.unique(sets, return_index=True, return_inverse=True)
    return first[inverse]


def flipped(rng, base, n, most):
    """(n, 4) copies of a hash with up to so many bits flipped."""
    bits = np.unpackbits(np.tile(base, (n, 1)).view(np.uint8), axis=1)
    for row in bits:
        row[rng.choice(255, rng.integers(0, most + 1), replace=False)] ^= 1
    return np.packbits(bits, axis=1).view(np.uint64)


@settings(derandomize=True, max_examples=40)
@given(seed=st.integers(0, 2**32), radius=st.integers(0, 47), n=st.integers(0, 60), spread=st.integers(1, 120))
def test_the_search_finds_exactly_what_comparing_all_finds(seed, radius, n, spread):
    rng = np.random.default_rng(seed)
    bits = np.zeros((n, 256), dtype=bool)
    for row in bits:
        row[rng.choice(256, rng.integers(0, spread), replace=False)] = True
    hashes = np.packbits(bits, axis=1).view(np.uint64).reshape(-1, 4)
    assert np.array_equal(lowest(near_sets(hashes, radius)), brute_force(hashes, radius))


@pytest.mark.parametrize(("block", "crowded"), [(50, 32), (50, 0), (2**21, 3)])
@pytest.mark.parametrize("radius", [0, 5, 14, 24, 40])
def test_crowds_and_blocks_change_nothing(monkeypatch, block, crowded, radius):
    monkeypatch.setattr(hashing, "_BLOCK", block)
    monkeypatch.setattr(hashing, "_CROWDED", crowded)
    rng = np.random.default_rng(radius)
    base = rng.integers(0, 2**64, (3, 4), dtype=np.uint64)
    crowds = [flipped(rng, one, 60, most) for one, most in zip(base, (4, 14, 24), strict=True)]
    chain = [base[0]]
    for _ in range(40):  # a walk whose ends are far apart
        chain.append(flipped(rng, chain[-1], 1, 20)[0])
    hashes = rng.permutation(np.concatenate([*crowds, chain, rng.integers(0, 4, (60, 4)).astype(np.uint64)]))
    assert np.array_equal(lowest(near_sets(hashes, radius)), brute_force(hashes, radius))


def test_a_crowd_is_joined_without_comparing_all_of_it(monkeypatch):
    rng = np.random.default_rng(0)
    base = rng.integers(0, 2**64, (2, 4), dtype=np.uint64)
    hashes = np.concatenate([flipped(rng, one, 2000, 8) for one in base])
    compared, join = [], hashing._Search._join

    def counted(search, chunk, left, right):
        compared.append(len(left))
        join(search, chunk, left, right)

    monkeypatch.setattr(hashing._Search, "_join", counted)
    assert len(np.unique(near_sets(hashes, 24))) == 2
    assert sum(compared) < 100 * len(hashes)  # its pairs are 1,000 for each, and would be met in most of 16 chunks
    tracemalloc.start()
    near_sets(hashes, 24)
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20  # the pairs alone would be 64 MB
    tracemalloc.stop()
