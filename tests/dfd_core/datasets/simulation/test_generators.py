import numpy as np
import pytest

from dfd_core.datasets.simulation.camera import expose
from dfd_core.datasets.simulation.contents import content
from dfd_core.datasets.simulation.generators import GENERATORS, paint


@pytest.fixture(scope="module", params=["photographs", "dead_leaves"])
def scene(request):
    rng = np.random.default_rng(0)
    return expose(content(request.param, 64, rng), rng)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_painting_looks_like_its_scene(name, scene):
    painted = paint(name, scene, np.random.default_rng(1))
    assert painted.shape == scene.shape
    assert not np.array_equal(np.rint(painted), scene)
    assert np.corrcoef(painted.ravel(), scene.ravel())[0, 1] > 0.9
    np.testing.assert_allclose(painted.mean(axis=(0, 1)), scene.mean(axis=(0, 1)), atol=1e-6)
    np.testing.assert_allclose(painted.std(axis=(0, 1)), scene.std(axis=(0, 1)), atol=1e-6)


@pytest.mark.parametrize("name", GENERATORS)
def test_the_weights_are_fixed_and_the_stream_decides_the_rest(name, scene):
    first, second = (paint(name, scene, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_plain_surface_stays_plain_but_for_checkerboard_and_grain(name):
    plain = np.full((64, 64, 3), 100.0)
    painted = GENERATORS[name](plain, np.random.default_rng(0))
    assert np.isfinite(painted).all()
    assert np.abs(painted - plain).max() < 20
    # only where contributions overlap unevenly does a plain surface get a period of two pixels
    phases = [painted[i::2, j::2].mean() for i in (0, 1) for j in (0, 1)]
    assert (np.ptp(phases) > 1) == (name == "sim_transposed_conv")
