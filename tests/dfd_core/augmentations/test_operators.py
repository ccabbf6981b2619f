import io
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from dfd_core.augmentations import AUGMENTATIONS, AugmentationSpec, ColorJitter, GaussianBlur, Jpeg, augment
from dfd_core.augmentations.operators import color_jitter, gaussian_blur, jpeg
from dfd_core.errors import ImageError, UsageError

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (33, 47, 3)).astype(np.uint8))
HALF = AUGMENTATIONS["cnndetection_blur_jpeg_0.5"]


def chain(*steps, seed=0):
    return AugmentationSpec(name="chain", steps=steps, seed=seed)


def test_none_returns_the_same_object():
    assert augment(AUGMENTATIONS["none"], NOISE, "a") is NOISE


def test_only_rgb_is_taken():
    with pytest.raises(UsageError, match="mode L"):
        augment(AUGMENTATIONS["none"], NOISE.convert("L"), "a")


@pytest.mark.parametrize("sigma", [0, 0.3, 1, 2.7])
def test_blur_is_scipys_on_each_channel(sigma):
    expected = np.array(NOISE)
    for channel in range(3):
        gaussian_filter(expected[:, :, channel], output=expected[:, :, channel], sigma=sigma)
    assert np.array_equal(np.asarray(gaussian_blur(NOISE, sigma)), expected)


def test_blur_darkens_by_one_level_as_documented():
    image = np.asarray(NOISE)
    exact = gaussian_filter(image.astype(np.float64), sigma=(2, 2, 0))
    shift = (np.asarray(gaussian_blur(NOISE, 2)) - exact).mean()
    assert -1.1 < shift < -0.9


@pytest.mark.parametrize("sampling", ["4:2:0", "4:2:2", "4:4:4"])
@pytest.mark.parametrize("quality", [1, 30, 75, 100])
def test_jpeg_is_pillows(quality, sampling):
    buffer = io.BytesIO()
    NOISE.save(buffer, "JPEG", quality=quality, subsampling=sampling)
    with Image.open(buffer) as expected:
        assert np.array_equal(np.asarray(jpeg(NOISE, quality, sampling)), np.asarray(expected))


def test_jpeg_samples_colour_as_pillow_does_by_default():
    buffer = io.BytesIO()
    NOISE.save(buffer, "JPEG", quality=80)
    with Image.open(buffer) as expected:
        assert np.array_equal(np.asarray(augment(AUGMENTATIONS["jpeg_q80"], NOISE, "a")), np.asarray(expected))


def test_a_side_that_libjpeg_cannot_encode_is_an_error_of_this_image():
    with pytest.raises(ImageError, match="65501 x 1") as caught:
        augment(AUGMENTATIONS["jpeg_q80"], Image.new("RGB", (65501, 1)), "a")
    assert caught.value.status == "unsupported"
    assert jpeg(Image.new("RGB", (65500, 1)), 80).size == (65500, 1)


def test_pillows_own_pixel_limit_has_no_part_in_it(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert jpeg(NOISE, 80).size == NOISE.size


@pytest.mark.parametrize(
    ("name", "function", "amounts"),
    [
        ("brightness", "adjust_brightness", [0, 0.3, 1, 1.9]),
        ("contrast", "adjust_contrast", [0, 0.3, 1, 1.9]),
        ("saturation", "adjust_saturation", [0, 0.3, 1, 1.9]),
        ("hue", "adjust_hue", [-0.5, -0.123, 0, 0.2, 0.5]),
    ],
)
def test_jitter_is_torchvisions(name, function, amounts):
    from torchvision.transforms import functional

    for amount in amounts:
        expected = getattr(functional, function)(NOISE, amount)
        assert np.array_equal(np.asarray(color_jitter(NOISE, {name: amount})), np.asarray(expected)), amount


def test_jitter_keeps_its_order():
    step = ColorJitter(hue=(0.2, 0.2), saturation=(0.5, 0.5), contrast=(1.5, 1.5), brightness=(0.7, 0.7))
    ordered = {"brightness": 0.7, "contrast": 1.5, "saturation": 0.5, "hue": 0.2}
    assert augment(chain(step), NOISE, "a").tobytes() == color_jitter(NOISE, ordered).tobytes()
    assert color_jitter(NOISE, ordered).tobytes() != color_jitter(NOISE, dict(reversed(ordered.items()))).tobytes()


def test_steps_are_done_in_their_order():
    blur, compress = GaussianBlur(sigma=(2, 2)), Jpeg(quality=(30, 30))
    first = augment(chain(blur, compress), NOISE, "a")
    assert first.tobytes() == jpeg(gaussian_blur(NOISE, 2), 30).tobytes()
    assert first.tobytes() != augment(chain(compress, blur), NOISE, "a").tobytes()


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 1.0])
def test_a_step_is_applied_as_often_as_it_says(probability):
    spec, tiny, n = chain(Jpeg(quality=(50, 50), probability=probability)), Image.new("RGB", (4, 4)), 400
    applied = sum(augment(spec, tiny, str(sample)) is not tiny for sample in range(n))
    assert abs(applied - n * probability) <= 4 * (n * probability * (1 - probability)) ** 0.5


def test_the_steps_of_a_chain_draw_independently():
    spec, n = chain(Jpeg(quality=(50, 50), probability=0.5), GaussianBlur(sigma=(1, 1), probability=0.5)), 400
    tiny = Image.fromarray(np.random.default_rng(1).integers(0, 256, (8, 8, 3)).astype(np.uint8))
    outcomes = [augment(spec, tiny, str(sample)).tobytes() for sample in range(n)]
    counts = [outcomes.count(outcome) for outcome in set(outcomes)]
    assert len(counts) == 4
    assert all(abs(count - n / 4) < 4.5 * (n * 0.25 * 0.75) ** 0.5 for count in counts)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(samples=st.lists(st.text(), min_size=1, max_size=6, unique=True), seed=st.integers(0, 2**40), data=st.data())
def test_a_sample_gets_the_same_pixels_in_any_order_and_company(samples, seed, data):
    spec = HALF.model_copy(update={"seed": seed})
    tiny = NOISE.crop((0, 0, 9, 7))
    alone = {sample: augment(spec, tiny, sample).tobytes() for sample in samples}
    for sample in data.draw(st.permutations(samples)):
        augment(AUGMENTATIONS["color_jitter"], tiny, sample)
        assert augment(spec, tiny, sample).tobytes() == alone[sample]


def _pixels(sample_id):
    return augment(HALF, NOISE, sample_id).tobytes()


def test_another_process_draws_the_same():
    samples = [f"{sample:064x}" for sample in range(12)]
    here = [_pixels(sample) for sample in samples]
    assert len(set(here)) > 3
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(_pixels, samples[::-1])) == here[::-1]


def test_seeds_and_samples_change_the_draw():
    spec = chain(GaussianBlur(sigma=(0, 3)))
    assert len({augment(spec, NOISE, str(sample)).tobytes() for sample in range(10)}) == 10
    assert len({augment(chain(*spec.steps, seed=seed), NOISE, "a").tobytes() for seed in range(10)}) == 10
