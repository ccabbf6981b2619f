import numpy as np
import pytest

from dfd_core.datasets.simulation.contents import content, dead_leaves


@pytest.mark.parametrize("kind", ["photographs", "dead_leaves"])
@pytest.mark.parametrize("size", [64, 256])
def test_a_scene_is_decided_by_its_stream(kind, size):
    scenes = [np.asarray(content(kind, size, np.random.default_rng(seed))) for seed in (1, 1, 2)]
    assert scenes[0].shape == (size, size, 3)
    assert np.array_equal(scenes[0], scenes[1])
    assert not np.array_equal(scenes[0], scenes[2])


def test_dead_leaves_have_the_spectrum_of_natural_images():
    # the power of natural images falls about as 1/f^2 (Field 1987); a log-log slope between -1.2 and -3 is usual
    size, rng = 128, np.random.default_rng(0)
    scenes = [np.asarray(dead_leaves(size, rng).convert("L"), dtype=float) for _ in range(20)]
    power = np.mean([np.abs(np.fft.fft2(scene - scene.mean())) ** 2 for scene in scenes], axis=0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    band = (frequency > 3 / size) & (frequency < 0.3)
    slope = np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0]
    assert -3 < slope < -1.2
