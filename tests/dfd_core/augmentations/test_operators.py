import io
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from dfd_core.augmentations import (
    AUGMENTATIONS,
    AugmentationSpec,
    CenterCrop,
    ColorJitter,
    Crop,
    GaussianBlur,
    GaussianNoise,
    Jpeg,
    Resize,
    ResizeTo,
    augment,
)
from dfd_core.augmentations.operators import color_jitter, gaussian_blur, gaussian_noise, jpeg
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


def at(value):
    return (value, value)


@pytest.mark.parametrize(("factor", "size"), [(0.5, (24, 16)), (0.75, (35, 25)), (1.5, (70, 50)), (2, (94, 66))])
@pytest.mark.parametrize("name", ["lanczos", "bicubic", "bilinear"])
def test_resize_is_pillows_by_a_factor_and_not_back(factor, size, name):
    expected = NOISE.resize(size, Image.Resampling[name.upper()])
    assert augment(chain(Resize(factor=at(factor), filter=name)), NOISE, "a").tobytes() == expected.tobytes()


def test_a_drawn_factor_is_one_for_both_sides():
    sizes = {augment(chain(Resize(factor=(0.5, 2))), NOISE, str(i)).size for i in range(30)}
    assert len(sizes) > 10
    assert all(abs(width / height - 47 / 33) < 0.1 for width, height in sizes)


def test_resize_to_and_crop_keep_at_least_a_pixel_and_the_middle():
    assert augment(chain(ResizeTo(side=66)), NOISE, "a").size == (94, 66)
    assert augment(chain(CenterCrop(side=40)), NOISE, "a").size == (40, 33)
    assert augment(chain(CenterCrop(side=50)), NOISE, "a") is NOISE
    tiny = Image.new("RGB", (1, 9))
    assert augment(chain(Crop(share=at(0.01))), tiny, "a").size == (1, 1)
    assert augment(chain(Resize(factor=at(0.01))), tiny, "a").size == (1, 1)
    cut = augment(chain(Crop(share=at(0.5))), NOISE, "a")
    assert np.array_equal(np.asarray(cut), np.asarray(NOISE)[8:24, 12:36])


@pytest.mark.parametrize("side", [9, 10, 32, 33])
def test_the_centre_is_torchvisions(side):
    from torchvision.transforms.functional import center_crop

    assert augment(chain(CenterCrop(side=side)), NOISE, "a").tobytes() == center_crop(NOISE, [side, side]).tobytes()


@pytest.mark.parametrize("step", [ResizeTo(side=256), Resize(factor=(16, 16))])
def test_an_image_that_would_be_blown_up_is_an_error_of_this_image(step):
    with pytest.raises(ImageError, match="more than 100000000 pixels") as caught:
        augment(chain(step), Image.new("RGB", (200_000, 5)), "a")
    assert caught.value.status == "too_large"


def test_noise_has_the_stated_strength_and_no_pattern():
    grey = Image.new("RGB", (400, 300), (128, 128, 128))
    noise = np.asarray(gaussian_noise(grey, 10, 1), float) - 128
    assert abs(noise.std() - 10) < 0.1
    assert abs(noise.mean()) < 0.1
    flat = noise.reshape(-1, 3)
    assert np.abs(np.corrcoef(flat.T) - np.eye(3)).max() < 0.01
    assert abs(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]) < 0.01
    shares = [(np.abs(noise) < 10 * k).mean() for k in (1, 2, 3)]
    assert np.allclose(shares, [0.6827, 0.9545, 0.9973], atol=0.04)


def test_noise_is_clipped_and_never_wraps():
    for level in (0, 255):
        noisy = np.asarray(gaussian_noise(Image.new("RGB", (50, 50), (level,) * 3), 20, 1))
        assert np.abs(noisy.astype(int) - level).max() < 100


def test_noise_depends_on_sample_seed_and_place_alone():
    step = GaussianNoise(sigma=at(5))
    same = augment(chain(step), NOISE, "a").tobytes()
    assert same == augment(chain(step), NOISE, "a").tobytes()
    others = [augment(chain(step), NOISE, "b"), augment(chain(step, seed=1), NOISE, "a")]
    assert same not in [one.tobytes() for one in others]
    twice = np.asarray(augment(chain(step, step), NOISE, "a"), int) - np.asarray(NOISE, int)
    assert twice.std() < 2 * 5 * 0.9  # two draws, not one twice
    assert augment(chain(GaussianNoise(sigma=at(0))), NOISE, "a").tobytes() == NOISE.tobytes()


def test_noise_stays_as_it_is_between_versions():
    row = np.asarray(gaussian_noise(Image.new("RGB", (4, 1), (128,) * 3), 10, 7)).ravel().tolist()
    assert row == [123, 144, 121, 131, 126, 133, 137, 141, 147, 130, 124, 136]
