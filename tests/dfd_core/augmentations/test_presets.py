import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dfd_core.augmentations import AUGMENTATIONS, ROBUSTNESS, UNCHANGED_AT, augment

OTHER_SIZES = {"resize", "resize_to", "center_crop", "crop"}
PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 31, 3)).astype(np.uint8))


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_every_preset_keeps_mode_and_repeats_itself(name):
    spec = AUGMENTATIONS[name]
    assert spec.name == name
    before = PHOTO.tobytes()
    once, again = augment(spec, PHOTO, "sample"), augment(spec, PHOTO, "sample")
    assert once.mode == "RGB"
    assert (once.size == PHOTO.size) == OTHER_SIZES.isdisjoint(step.op for step in spec.steps)
    assert once.tobytes() == again.tobytes()
    assert PHOTO.tobytes() == before


def test_every_preset_has_a_key_of_its_own():
    assert len({spec.key() for _, spec in AUGMENTATIONS.items()}) == len(AUGMENTATIONS)


def test_only_none_leaves_every_sample_alone():
    idle = {
        name
        for name, spec in AUGMENTATIONS.items()
        if all(augment(spec, PHOTO, str(sample)) is PHOTO for sample in range(40))
    }
    assert idle == {"none"}


def test_the_presets_of_wang_2020():
    for probability in (0.1, 0.5):
        blur, jpeg = AUGMENTATIONS[f"cnndetection_blur_jpeg_{probability}"].steps
        assert (blur.op, blur.sigma, blur.probability) == ("gaussian_blur", (0, 3), probability)
        assert (jpeg.op, jpeg.quality, jpeg.probability) == ("jpeg", (30, 100), probability)


def test_listing_the_presets_imports_no_heavy_library():
    code = (
        "import sys, dfd_core.augmentations; print([m for m in ('torch', 'scipy', 'torchvision') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_matched_gives_one_size_and_one_encoding():
    spec = AUGMENTATIONS["matched"]
    assert [step.op for step in spec.steps] == ["resize_to", "center_crop", "jpeg"]
    rng = np.random.default_rng(0)
    for width, height in ((31, 20), (256, 256), (300, 700), (1, 9)):
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3)).astype(np.uint8))
        made = augment(spec, image, "a")
        assert made.size == (256, 256)
        assert made.tobytes() == augment(AUGMENTATIONS["none"], made, "a").tobytes()
        scale = 256 / min(width, height)
        big = image.resize((round(scale * width), round(scale * height)), Image.Resampling.BICUBIC)
        left, top = round((big.width - 256) / 2), round((big.height - 256) / 2)
        expected = augment(AUGMENTATIONS["jpeg_q90"], big.crop((left, top, left + 256, top + 256)), "a")
        assert made.tobytes() == expected.tobytes()


def test_every_severity_of_robustness_is_a_preset_in_the_order_of_an_axis():
    assert set(ROBUSTNESS) == set(UNCHANGED_AT) == {"jpeg", "blur", "resize", "noise", "crop", "chain"}
    for kind, series in ROBUSTNESS.items():
        severities = [severity for severity, _ in series]
        assert severities in (sorted(severities), sorted(severities, reverse=True)), kind
        assert UNCHANGED_AT[kind] not in severities
        for severity, name in series:
            spec = AUGMENTATIONS[name]
            if kind != "chain":
                (step,) = spec.steps
                ((low, high),) = step.ranges().values()
                assert low == high == severity


def test_severer_presets_change_more():
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)).resize((64, 64))
    for kind in ("jpeg", "blur", "noise"):
        found = [np.asarray(augment(AUGMENTATIONS[name], smooth, "a"), float) for _, name in ROBUSTNESS[kind]]
        errors = [np.abs(one - np.asarray(smooth)).mean() for one in found]
        assert errors == sorted(errors), kind


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("jpeg_q30", "b13a79dcc406"),
        ("blur_sigma_2", "55a5eb1ae92c"),
        ("color_jitter", "a888a1b1490a"),
        ("cnndetection_blur_jpeg_0.5", "5d4eda17eb9d"),
        ("matched", "cc7708953d8a"),
        ("noise_sigma_5", "4dab4a3e0ed9"),
        ("chain_screenshot", "750cfd379ed5"),
    ],
)
def test_keys_of_presets_stay_as_feature_sets_on_disk_have_them(name, digest):
    assert AUGMENTATIONS[name].key() == f"{name}-{digest}"
