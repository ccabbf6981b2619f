import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dfd_core.backbones import BackboneSpec, load, resolve
from dfd_core.backbones.options import SpectrumOptions
from dfd_core.backbones.spectrum import FLOOR, power_spectrum
from dfd_core.errors import ImageError


def noise(width, height, seed=0, low=100, high=156):
    return Image.fromarray(np.random.default_rng(seed).integers(low, high, (height, width, 3), dtype=np.uint8))


def plain_formula(image, options):
    """The definition, with the whole plane in float64 and a loop over rings; NaN in empty ones."""
    width, height = image.size
    left, top = max(0, (width - options.crop) // 2), max(0, (height - options.crop) // 2)
    pixels = np.asarray(image, dtype=np.float64)[top : top + options.crop, left : left + options.crop]
    grey = 0.299 * pixels[..., 0] + 0.587 * pixels[..., 1] + 0.114 * pixels[..., 2]
    grey = grey - grey.mean()
    rows, columns = grey.shape
    window = np.ones_like(grey)
    if options.window == "hann":
        vertical = np.sin(np.pi * np.arange(rows) / rows) ** 2
        window = vertical[:, None] * np.sin(np.pi * np.arange(columns) / columns)[None] ** 2
    power = np.abs(np.fft.fft2(grey * window)) ** 2 / (window**2).sum()
    rings = [[] for _ in range(options.bins)]
    for row in range(rows):
        for column in range(columns):
            if row or column:
                y, x = min(row, rows - row) / rows, min(column, columns - column) / columns
                ring = int(math.sqrt(x * x + y * y) / math.sqrt(0.5) * options.bins + 1e-9)
                rings[min(ring, options.bins - 1)].append(power[row, column])
    return np.array([math.log10(np.mean(ring) + FLOOR) if ring else np.nan for ring in rings])


@pytest.mark.parametrize("size", [(64, 64), (33, 47), (48, 80), (90, 61)])
@pytest.mark.parametrize(
    "options", [SpectrumOptions(bins=24, crop=64), SpectrumOptions(bins=17, crop=51, window="none")]
)
def test_it_is_the_definition(size, options):
    image = noise(*size)
    expected = plain_formula(image, options)
    filled = ~np.isnan(expected)
    assert filled.sum() > options.bins / 2
    found = power_spectrum(image, options)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[filled], expected[filled], atol=1e-4)
    expected = np.interp(np.arange(options.bins), np.flatnonzero(filled), expected[filled])
    np.testing.assert_allclose(found, expected, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(32, 90), st.integers(32, 90), st.integers(8, 200), st.integers(32, 80),
    st.sampled_from(["hann", "none"]), st.integers(0, 1000),
)  # fmt: skip
def test_every_size_gives_the_same_number_of_finite_values(width, height, bins, crop, window, seed):
    options = SpectrumOptions(bins=bins, crop=crop, window=window)
    found = power_spectrum(noise(width, height, seed), options)
    assert found.shape == (bins,)
    assert np.isfinite(found).all()
    assert found.min() >= math.log10(FLOOR) - 1e-6
    assert found.max() < 8


@pytest.mark.parametrize("size", [(256, 256), (128, 96), (301, 257)])
def test_white_noise_is_its_variance_at_every_size(size):
    image = noise(*size)
    variance = (np.array([0.299, 0.587, 0.114]) ** 2).sum() * (56**2 - 1) / 12
    found = power_spectrum(image, SpectrumOptions(bins=32))
    np.testing.assert_allclose(found[4:-4], math.log10(variance), atol=0.15)


@pytest.mark.parametrize(("period", "ring"), [(2, 90), (4, 45), (8, 22)])
def test_a_periodic_trace_peaks_at_its_frequency(period, ring):
    pixels = np.asarray(noise(256, 256)).astype(int)
    pixels[:, ::period] += 32
    clean = power_spectrum(noise(256, 256), SpectrumOptions())
    traced = power_spectrum(Image.fromarray(pixels.astype(np.uint8)), SpectrumOptions())
    rise = traced - clean
    assert rise[ring - 1 : ring + 2].max() > 1
    assert np.median(np.abs(rise)) < 0.05


def test_neither_brightness_nor_what_lies_outside_the_crop_counts():
    pixels = np.asarray(noise(100, 100))
    options = SpectrumOptions(crop=64)
    expected = power_spectrum(Image.fromarray(pixels), options)
    np.testing.assert_allclose(power_spectrum(Image.fromarray(pixels + 50), options), expected, atol=2e-4)
    framed = np.zeros_like(pixels)
    framed[18:82, 18:82] = pixels[18:82, 18:82]
    np.testing.assert_array_equal(power_spectrum(Image.fromarray(framed), options), expected)


def test_a_flat_image_is_at_the_floor():
    found = power_spectrum(Image.new("RGB", (64, 40), (10, 200, 30)), SpectrumOptions())
    np.testing.assert_allclose(found, math.log10(FLOOR), atol=1e-3)


@pytest.mark.parametrize("size", [(31, 100), (100, 31), (1, 1)])
def test_an_image_without_room_for_a_spectrum_is_an_image_error(size):
    with pytest.raises(ImageError, match="32 px") as caught:
        power_spectrum(Image.new("RGB", size), SpectrumOptions())
    assert caught.value.status == "too_small"


def test_as_a_backbone_it_needs_no_weights_and_its_options_stand_in_the_key(images):
    resolved = resolve(BackboneSpec(name="spectrum", options={"bins": 40, "crop": 128}))
    assert (resolved.weights_path, resolved.weights_digest, resolved.dimension) == (None, "none", 40)
    backbone = load(resolved)
    features = backbone.embed([backbone.transform(image) for image in images])
    assert features.shape == (len(images), backbone.dimension) == (3, 40)
    assert features.dtype == np.float32
    expected = power_spectrum(images[1], SpectrumOptions(bins=40, crop=128))
    np.testing.assert_array_equal(features[1], expected)
    assert backbone.embed([]).shape == (0, 40)
    assert resolved.key() != resolve(BackboneSpec(name="spectrum", options={"bins": 40})).key()
    default = resolve(BackboneSpec(name="spectrum"))
    assert default.key() == resolve(BackboneSpec(name="spectrum", options={"bins": 128})).key()


def test_it_tells_generated_horses_from_photographs(reference_images):
    """CycleGAN's horses and zebras against the photographs that they were made from; no scene is on both sides."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    folder = reference_images / "horse2zebra256"
    files = [sorted((folder / name).glob("*")) for name in ("horse2zebra-photos/real", "cyclegan/fake")]
    X = [[power_spectrum(Image.open(f).convert("RGB"), SpectrumOptions()) for f in half[:40]] for half in files]
    scenes = [[re.search(r"n\d+_(\d+)", f.name).group(1) for f in half[:40]] for half in files]
    test = np.array([int(scene) // 10 % 2 == 0 for half in scenes for scene in half])
    X, y = np.concatenate(X), np.repeat([0, 1], 40)
    assert 10 < test.sum() < 70
    scores = LogisticRegression(max_iter=2000).fit(X[~test], y[~test]).decision_function(X[test])
    assert roc_auc_score(y[test], scores) > 0.9
