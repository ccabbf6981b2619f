import io

import numpy as np
import pytest
from PIL import Image

from dfd_core.datasets.simulation.camera import encode, expose


def grey(level, size=64):
    return Image.new("RGB", (size, size), (level,) * 3)


def test_noise_is_of_the_exposure_and_keeps_the_brightness():
    shots = [expose(grey(128), np.random.default_rng(seed)) for seed in range(20)]
    assert np.mean(shots) == pytest.approx(128, abs=0.5)
    deviations = [shot.std() for shot in shots]
    assert 0.5 < min(deviations) < max(deviations) < 6
    assert max(deviations) > 1.5 * min(deviations)
    assert all(np.array_equal(shot, np.rint(shot)) for shot in shots)


def test_shot_noise_grows_with_the_light():
    # after the gamma, deviation ~ sqrt(light) / light^(1 - 1/2.2): in linear light it must grow
    def linear_deviation(level):
        return ((expose(grey(level), np.random.default_rng(0)) / 255) ** 2.2).std()

    assert linear_deviation(60) < linear_deviation(120) < linear_deviation(220)


def test_the_encoder_writes_plain_baseline_jpeg():
    data = encode(expose(grey(90), np.random.default_rng(0)), 92)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 64))
    assert "progressive" not in image.info
    assert not image.getexif()
    assert encode(np.full((64, 64, 3), 300.0), 92) == encode(np.full((64, 64, 3), 255.0), 92)
