"""The pixel work of the steps, each with the arithmetic of the implementation that the field uses."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageEnhance, JpegImagePlugin

from dfd_core.augmentations.draws import Draws
from dfd_core.augmentations.spec import AugmentationSpec
from dfd_core.augmentations.steps import ColorJitter, GaussianBlur, Jpeg
from dfd_core.errors import ImageError, UsageError

_JPEG_LONGEST_SIDE = 65500  # JPEG_MAX_DIMENSION of libjpeg, 35 below the format's own
_ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
}


def augment(spec: AugmentationSpec, image: Image.Image, sample_id: str) -> Image.Image:
    """Applies the steps in their order.

    Args:
        spec: What to do.
        image: An RGB image; it is not changed.
        sample_id: Names the sample. Together with the spec's seed and a step's position it decides all draws, so that
            the result depends neither on the order of samples nor on the process or on other augmentations.

    Returns:
        An RGB image of the same size; the same object where nothing was applied.

    Raises:
        UsageError: The image is not RGB.
        ImageError: A side is too long for JPEG (status `unsupported`).
    """
    if image.mode != "RGB":
        raise UsageError(f"an RGB image is needed, this one has the mode {image.mode}; decode() returns RGB")
    for position, step in enumerate(spec.steps):
        draws = Draws(spec.seed, sample_id, position)
        if draws.unit("probability") >= step.probability:
            continue
        if isinstance(step, GaussianBlur):
            image = gaussian_blur(image, draws.real("sigma", *step.sigma))
        elif isinstance(step, Jpeg):
            image = jpeg(image, draws.whole("quality", *step.quality), step.subsampling)
        else:
            image = color_jitter(image, _jitter(step, draws))
    return image


def gaussian_blur(image: Image.Image, sigma: float) -> Image.Image:
    """SciPy's Gaussian filter on each 8-bit channel, cut at 4 sigma, the border reflected with the edge pixel repeated.

    SciPy drops the fraction after each of the two axes, so a blurred image is one grey level darker on average (0.5 an
    axis). It is kept: CNNDetection (Wang et al. 2020) and UniversalFakeDetect (Ojha et al. 2023) blur in this way, and
    their published numbers contain it. Pillow's blur is an approximation by boxes that differs by up to 3 levels.

    Args:
        image: An RGB image.
        sigma: In pixels; 0 changes nothing.
    """
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(np.asarray(image), sigma=(sigma, sigma, 0), mode="reflect", truncate=4.0)
    return Image.fromarray(blurred)


def jpeg(image: Image.Image, quality: int, subsampling: str = "4:2:0") -> Image.Image:
    """Encodes with Pillow (libjpeg-turbo, baseline, standard tables) and decodes again.

    Args:
        image: An RGB image.
        quality: 1 to 100.
        subsampling: Of colour: `4:2:0`, `4:2:2` or `4:4:4`.

    Raises:
        ImageError: A side is longer than libjpeg can encode (status `unsupported`).
    """
    if max(image.size) > _JPEG_LONGEST_SIDE:
        width, height = image.size
        raise ImageError(
            "unsupported", f"{width} x {height}: libjpeg encodes at most {_JPEG_LONGEST_SIDE} pixels a side"
        )
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    buffer.seek(0)
    # The plugin itself, since PIL.Image.open would count pixels against a limit that holds for the whole process.
    decoded = JpegImagePlugin.JpegImageFile(buffer).copy()
    decoded.info = {}
    return decoded


def color_jitter(image: Image.Image, changes: dict[str, float]) -> Image.Image:
    """Applies changes of colour in the mapping's order, with the arithmetic of torchvision's functions for PIL images.

    Args:
        image: An RGB image.
        changes: Factors for `brightness`, `contrast` and `saturation`, a shift in turns for `hue`.
    """
    for name, amount in changes.items():
        image = _shift_hue(image, amount) if name == "hue" else _ENHANCERS[name](image).enhance(amount)
    return image


def _shift_hue(image: Image.Image, turns: float) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    shift = int(turns * 255)
    hue = hue.point([(level + shift) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def _jitter(step: ColorJitter, draws: Draws) -> dict[str, float]:
    return {name: draws.real(name, *range_) for name, range_ in step.ranges().items()}
