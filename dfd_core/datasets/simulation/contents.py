"""What the simulated images show: crops of scikit-learn's photographs, and dead leaves."""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

ContentKind = Literal["photographs", "dead_leaves"]

SMALLEST_LEAF = (1.0, 4.0)
"""Range of a scene's smallest radius, in pixels."""
LARGEST_LEAF = 0.35
"""Largest radius, as a share of the image's edge."""
LEAF_LAYERS = 3.0
"""Mean number of leaves over a point: all but exp(-3) of the ground is covered."""
_OVERSAMPLING = 2


def content(kind: ContentKind, size: int, rng: np.random.Generator) -> Image.Image:
    """Draws one scene of a kind.

    Args:
        kind: Which kind.
        size: Edge in pixels, at most the photographs' shorter edge (427).
        rng: Decides everything about the scene.

    Returns:
        RGB, `size` × `size`.
    """
    return photograph(size, rng) if kind == "photographs" else dead_leaves(size, rng)


def photograph(size: int, rng: np.random.Generator) -> Image.Image:
    """Crops a square at random from one of the photographs that ship with scikit-learn and shrinks it.

    The crop's edge is log-uniform between `size` and the photograph's shorter edge, its place uniform; half of the
    crops are mirrored.
    """
    images = _photographs()
    image = images[rng.integers(len(images))]
    edge = round(np.exp(rng.uniform(np.log(size), np.log(min(image.size)))))
    left, top = (int(rng.integers(length - edge + 1)) for length in image.size)
    box = (left, top, left + edge, top + edge)
    crop = image.resize((size, size), Image.Resampling.LANCZOS, box=box)
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else crop


def dead_leaves(size: int, rng: np.random.Generator) -> Image.Image:
    """Paints discs that hide each other, with radii by an inverse cube law.

    Such images have the scale invariance, the edges and the spectrum of natural ones (Lee, Mumford, Huang 2001,
    Occlusion models for natural images). They are drawn at twice the size and averaged, so that edges are smooth.
    """
    smallest, largest = np.exp(rng.uniform(*np.log(SMALLEST_LEAF))), LARGEST_LEAF * size
    mean_area = 2 * np.pi * smallest**2 * np.log(largest / smallest)
    count = rng.poisson(LEAF_LAYERS * size**2 / mean_area)
    # the inverse of the distribution function of p(r) ~ r^-3 on [smallest, largest]
    radii = (smallest**-2 - rng.random(count) * (smallest**-2 - largest**-2)) ** -0.5
    centres = -radii[:, None] + rng.random((count, 2)) * (size + 2 * radii[:, None])
    boxes = np.concatenate([centres - radii[:, None], centres + radii[:, None]], axis=1) * _OVERSAMPLING
    colours = _colours(count + 1, rng).tolist()
    canvas = Image.new("RGB", (size * _OVERSAMPLING,) * 2, tuple(colours[-1]))
    draw = ImageDraw.Draw(canvas)
    for box, colour in zip(boxes.tolist(), colours, strict=False):
        draw.ellipse(box, fill=tuple(colour))
    return canvas.reduce(_OVERSAMPLING)


def _colours(count: int, rng: np.random.Generator) -> np.ndarray:
    """Colours of one scene around its own mean colour, (count, 3) uint8."""
    mean = rng.uniform(0.3, 0.6) + rng.normal(0, 0.06, 3)
    light = rng.normal(0, 0.2, (count, 1))
    return np.clip(255 * (mean + light + rng.normal(0, 0.06, (count, 3))), 8, 247).astype(np.uint8)


@functools.cache
def _photographs() -> tuple[Image.Image, ...]:
    from sklearn.datasets import load_sample_images

    return tuple(Image.fromarray(image) for image in load_sample_images().images)
