import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dfd_core.augmentations import AUGMENTATIONS, augment

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 31, 3)).astype(np.uint8))


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_every_preset_keeps_mode_and_size_and_repeats_itself(name):
    spec = AUGMENTATIONS[name]
    assert spec.name == name
    before = PHOTO.tobytes()
    once, again = augment(spec, PHOTO, "sample"), augment(spec, PHOTO, "sample")
    assert (once.mode, once.size) == ("RGB", PHOTO.size)
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
