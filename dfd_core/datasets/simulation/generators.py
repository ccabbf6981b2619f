"""The simulated generators: decoders that build an image octave by octave with a real generator's up-sampling.

The decoders are imitated, not trained. Each starts from a coarse version of a scene, and for every octave it enlarges
what it has and adds the detail that a trained network would have learned to paint, a share of the scene's own::

    painted = enlarge(painted) + skill * (scene - bilinear(halve(scene)))

So contents and colours are the scene's, and what differs is the operator's trace and the detail that is missing, as
AutoGAN simulates it (Zhang, Karaman, Chang 2019). The kernels stand for a network's weights: drawn once from the
generator's name, they are the same in every image of every simulated dataset.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dfd_core.datasets.simulation.upsampling import (
    bilinear,
    convolve,
    halve,
    nearest,
    pixel_shuffle,
    transposed_convolution,
)
from dfd_core.registry import Registry

COARSEST = 8
"""The largest factor by which a generator's first feature map is smaller than its image."""
LATENT_BANDS = 6
"""A latent of `sim_latent_8x` holds the frequencies whose two indices add up to less, 21 of 64 numbers a colour."""


class SimulatedGenerator(NamedTuple):
    """A decoder and what it stands for.

    Attributes:
        upsampling: How it enlarges, in words.
        decode: Takes a scene and a random stream for what is random in an inference, gives an image of the same shape.
    """

    upsampling: str
    decode: Callable[[np.ndarray, np.random.Generator], np.ndarray]

    def paint(self, scene: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Decodes a scene and gives each colour the scene's mean and deviation.

        A trained generator has the brightness and the contrast of its training images, so these must not tell.

        Args:
            scene: (H, W, 3) in 0 to 255, H and W multiples of `COARSEST`.
            rng: For the decoder.

        Returns:
            (H, W, 3), not yet rounded or clipped.
        """
        decoded = self.decode(scene, rng)
        mean, deviation = decoded.mean(axis=(0, 1)), np.maximum(decoded.std(axis=(0, 1)), 1e-6)
        return np.asarray((decoded - mean) * (scene.std(axis=(0, 1)) / deviation) + scene.mean(axis=(0, 1)))


def decode_transposed_conv(scene: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Two transposed convolutions with 5 × 5 kernels and stride 2, as DCGAN has them.

    The stride doesn't divide the kernel's size, so the four phases of the pixel grid get 9, 6, 6 and 4 contributions,
    with errors that don't cancel: a checkerboard, peaks at half the sampling rate (Odena, Dumoulin, Olah 2016).
    """
    taps = np.array([0.25, 0.75, 0.75, 0.25, 0])
    kernels = _weights("sim_transposed_conv", _per_colour(np.outer(taps, taps)), spread=0.01)
    return _build(scene, lambda x: transposed_convolution(x, kernels), (1.0, 1.0))


def decode_nearest_conv(scene: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Nearest neighbour and a 3 × 3 convolution, twice, as in ProGAN: copies of the spectrum with zeros between."""
    kernels = _weights("sim_nearest_conv", _per_colour(_SOFT), spread=0.03)
    return _build(scene, lambda x: convolve(nearest(x), kernels), (0.9, 0.5))


def decode_bilinear_conv(scene: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Bilinear and a 3 × 3 convolution, twice, as in StyleGAN: too little at high frequencies (Durall et al. 2020)."""
    kernels = _weights("sim_bilinear_conv", _per_colour(_SOFT), spread=0.03)
    return _build(scene, lambda x: convolve(bilinear(x), kernels), (1.0, 0.35))


def decode_pixel_shuffle(scene: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """3 × 3 convolutions to four channels a colour that become 2 × 2 pixels, twice (Shi et al. 2016).

    Each phase has weights of its own, that differ by their errors: copies of the spectrum without a checkerboard.
    """
    near, far = np.array([0.25, 0.75, 0]), np.array([0, 0.75, 0.25])
    phases = [np.outer(rows, columns) for rows in (near, far) for columns in (near, far)]
    kernels = _weights("sim_pixel_shuffle", np.stack(phases * 3, axis=2), spread=0.08)
    return _build(scene, lambda x: pixel_shuffle(convolve(x.repeat(4, axis=2), kernels)), (1.0, 1.0))


def decode_latent_8x(scene: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three steps of nearest neighbour and convolution up from a latent of 1/8, as in LDM's decoder.

    All that the decoder knows went through the latent, of which each vector holds the lowest frequencies of 8 × 8
    pixels. It paints grain where a camera has noise (Rombach et al. 2022; Corvi et al. 2023 for the traces).
    """
    kernels = _weights("sim_latent_8x", _per_colour(_SOFT), spread=0.03)
    known = _through_latent(scene)
    decoded = _build(known, lambda x: convolve(nearest(x), kernels), (1.0, 1.0, 1.0))
    return decoded + 3.0 * rng.standard_normal((*scene.shape[:2], 1))


def decode_cascade_4x(scene: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two super-resolution stages, bilinear with noise added before, then sharpened, as in GLIDE and Imagen."""
    decoded = _build(scene, lambda x: bilinear(x + 2.0 * rng.standard_normal(x.shape)), (0.8, 0.2))
    return convolve(decoded, _per_colour(_SHARPEN))


GENERATORS: Registry[SimulatedGenerator] = Registry("simulated generator")
GENERATORS.add(
    "sim_transposed_conv",
    SimulatedGenerator("zero insertion, 5 × 5 transposed convolution, from 1/4", decode_transposed_conv),
)
GENERATORS.add(
    "sim_nearest_conv", SimulatedGenerator("nearest neighbour, 3 × 3 convolution, from 1/4", decode_nearest_conv)
)
GENERATORS.add("sim_bilinear_conv", SimulatedGenerator("bilinear, 3 × 3 convolution, from 1/4", decode_bilinear_conv))
GENERATORS.add(
    "sim_pixel_shuffle", SimulatedGenerator("3 × 3 convolution, pixel shuffle, from 1/4", decode_pixel_shuffle)
)
GENERATORS.add(
    "sim_latent_8x",
    SimulatedGenerator("nearest neighbour, 3 × 3 convolution, from a latent of 1/8", decode_latent_8x),
)
GENERATORS.add(
    "sim_cascade_4x",
    SimulatedGenerator("bilinear super-resolution of a noisy input, from 1/4", decode_cascade_4x),
)


_SOFT = np.outer([0.1, 0.8, 0.1], [0.1, 0.8, 0.1])
_SHARPEN = 1.6 * np.outer([0, 1, 0], [0, 1, 0]) - 0.6 * np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25])


def _build(scene: np.ndarray, enlarge: Callable[[np.ndarray], np.ndarray], skills: tuple[float, ...]) -> np.ndarray:
    """Paints a scene from a coarse version of it, one octave for each skill, the coarsest first."""
    octaves = [scene]
    for _ in skills:
        octaves.append(halve(octaves[-1]))
    painted = octaves.pop()
    for skill in skills:
        target = octaves.pop()
        painted = enlarge(painted) + skill * (target - bilinear(halve(target)))
    return painted


def _through_latent(scene: np.ndarray) -> np.ndarray:
    """What a latent of 1/8 can hold of a scene."""
    from scipy.fft import dctn, idctn

    height, width, colours = scene.shape
    patches = scene.reshape(height // 8, 8, width // 8, 8, colours)
    held = np.add.outer(np.arange(8), np.arange(8)) < LATENT_BANDS
    latent = dctn(patches, axes=(1, 3), norm="ortho") * held[:, None, :, None]
    return np.asarray(idctn(latent, axes=(1, 3), norm="ortho")).reshape(scene.shape)


@functools.cache
def _error(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)


def _weights(name: str, kernels: np.ndarray, spread: float) -> np.ndarray:
    """Kernels (k, k, C) as a training leaves them: with errors of deviation `spread`, and their sums kept."""
    trained = kernels + spread * _error(name, kernels.shape)
    return np.asarray(trained * (kernels.sum(axis=(0, 1)) / trained.sum(axis=(0, 1))))


def _per_colour(kernel: np.ndarray) -> np.ndarray:
    return kernel[:, :, None].repeat(3, axis=2)
