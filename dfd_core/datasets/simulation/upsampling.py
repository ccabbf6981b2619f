"""The operators by which generators enlarge feature maps, on arrays (H, W, C) of float64.

Each doubles height and width. All but `bilinear` repeat the low-resolution spectrum in the new upper octave, and the
convolution that follows can't suppress every copy of it (Durall, Keuper, Keuper 2020, Watch your up-convolution).
"""

from __future__ import annotations

import numpy as np


def insert_zeros(x: np.ndarray) -> np.ndarray:
    """Puts a zero row and column after every row and column: the first half of a transposed convolution."""
    out = np.zeros((2 * x.shape[0], 2 * x.shape[1], x.shape[2]))
    out[::2, ::2] = x
    return out


def nearest(x: np.ndarray) -> np.ndarray:
    """Repeats every pixel 2 × 2 times."""
    return x.repeat(2, axis=0).repeat(2, axis=1)


def bilinear(x: np.ndarray) -> np.ndarray:
    """Interpolates linearly at pixel centres (`align_corners=False`), the border repeated."""
    return _linear_rows(_linear_rows(x).swapaxes(0, 1)).swapaxes(0, 1)


def pixel_shuffle(x: np.ndarray) -> np.ndarray:
    """Lays groups of four channels out as 2 × 2 pixels (Shi et al. 2016, ESPCN).

    Args:
        x: (H, W, 4C); channel `4c + 2i + j` becomes pixel (i, j) of channel c.

    Returns:
        (2H, 2W, C).
    """
    height, width, channels = x.shape
    blocks = x.reshape(height, width, channels // 4, 2, 2)
    return blocks.transpose(0, 3, 1, 4, 2).reshape(2 * height, 2 * width, channels // 4)


def convolve(x: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """Filters each channel with its own kernel (cross-correlation, as in networks), the border mirrored.

    Args:
        x: (H, W, C).
        kernels: (k, k, C) with odd k.

    Returns:
        (H, W, C).
    """
    reach = kernels.shape[0] // 2
    padded = np.pad(x, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    out = np.zeros_like(x)
    for i, row in enumerate(kernels):
        for j, weights in enumerate(row):
            out += padded[i : i + x.shape[0], j : j + x.shape[1]] * weights
    return out


def transposed_convolution(x: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """Transposed convolution of stride 2: zero insertion, then a convolution.

    With a kernel whose size the stride doesn't divide, neighbouring pixels get different numbers of contributions:
    the checkerboard of Odena, Dumoulin, Olah 2016.

    Args:
        x: (H, W, C).
        kernels: (k, k, C) with odd k.

    Returns:
        (2H, 2W, C).
    """
    return convolve(insert_zeros(x), kernels)


def halve(x: np.ndarray) -> np.ndarray:
    """The way back, without a trace: the mean of 2 × 2 pixels."""
    height, width, channels = x.shape
    return x.reshape(height // 2, 2, width // 2, 2, channels).mean(axis=(1, 3))


def _linear_rows(x: np.ndarray) -> np.ndarray:
    before, after = np.concatenate([x[:1], x[:-1]]), np.concatenate([x[1:], x[-1:]])
    out = np.empty((2 * x.shape[0], *x.shape[1:]))
    out[::2], out[1::2] = 0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after
    return out
