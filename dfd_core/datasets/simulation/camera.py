"""A camera: the noise of its sensor, and the one encoder that writes all simulated images, real or not."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

GAMMA = 2.2
SHOT_VARIANCE = (0.0001, 0.0006)
"""Variance of the shot noise of a white pixel in linear light, from base to high sensitivity."""
READ_SHARE = 0.004
"""Variance of the read noise, as a share of the shot noise's at white."""
CHROMA_SUBSAMPLING = "4:2:0"


def expose(scene: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Photographs a scene: shot and read noise in linear light, then gamma and 8 bits.

    The noise's variance is affine in the light (Foi et al. 2008, Practical Poissonian-Gaussian noise modeling and
    fitting for single-image raw-data); the sensitivity is drawn log-uniformly for each shot.

    Args:
        scene: RGB.
        rng: Decides sensitivity and noise.

    Returns:
        (H, W, 3) float64 of whole numbers from 0 to 255.
    """
    light = (np.asarray(scene, dtype=np.float64) / 255) ** GAMMA
    shot = np.exp(rng.uniform(*np.log(SHOT_VARIANCE)))
    noisy = light + np.sqrt(shot * (light + READ_SHARE)) * rng.standard_normal(light.shape)
    return np.asarray(np.rint(255 * np.clip(noisy, 0, 1) ** (1 / GAMMA)))


def encode(pixels: np.ndarray, quality: int) -> bytes:
    """Writes pixels as a baseline JPEG with standard Huffman tables, 4:2:0 and no metadata.

    Args:
        pixels: (H, W, 3), 0 to 255, rounded and clipped here.
        quality: libjpeg's, 1 to 100.
    """
    image = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=CHROMA_SUBSAMPLING, optimize=False, progressive=False)
    return buffer.getvalue()
