import numpy as np
import pytest
import torch
from torch.nn import functional

from dfd_core.datasets.simulation import upsampling

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 10, 3))


def tensor(x):
    """(H, W, C) -> (1, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)))[None]


def array(t):
    return t[0].numpy().transpose(1, 2, 0)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (upsampling.nearest, lambda t: functional.interpolate(t, scale_factor=2, mode="nearest")),
        (upsampling.bilinear, lambda t: functional.interpolate(t, scale_factor=2, mode="bilinear")),
        (upsampling.halve, lambda t: functional.avg_pool2d(t, 2)),
    ],
)
def test_resampling_is_that_of_torch(mine, theirs):
    np.testing.assert_allclose(mine(X), array(theirs(tensor(X))), rtol=0, atol=1e-12)


def test_pixel_shuffle_is_that_of_torch():
    x = RNG.normal(size=(5, 4, 12))
    np.testing.assert_array_equal(upsampling.pixel_shuffle(x), array(functional.pixel_shuffle(tensor(x), 2)))


@pytest.mark.parametrize("k", [3, 5])
def test_convolution_is_that_of_torch(k):
    kernels = RNG.normal(size=(k, k, 3))
    padded = functional.pad(tensor(X), (k // 2,) * 4, mode="reflect")
    theirs = functional.conv2d(padded, tensor(kernels).swapaxes(0, 1), groups=3)
    np.testing.assert_allclose(upsampling.convolve(X, kernels), array(theirs), rtol=0, atol=1e-12)


def test_transposed_convolution_is_that_of_torch_inside():
    kernels = RNG.normal(size=(5, 5, 3))
    # torch's scatters the kernel where ours gathers, so the kernel is turned by half a turn
    weights = tensor(kernels[::-1, ::-1]).swapaxes(0, 1)
    theirs = functional.conv_transpose2d(tensor(X), weights, stride=2, padding=2, output_padding=1, groups=3)
    mine = upsampling.transposed_convolution(X, kernels)
    assert mine.shape == (12, 20, 3)
    np.testing.assert_allclose(mine[2:-2, 2:-2], array(theirs)[2:-2, 2:-2], rtol=0, atol=1e-12)
