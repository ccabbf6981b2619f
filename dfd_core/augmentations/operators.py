"""The pixel work of the steps, each with the arithmetic of the implementation that the field uses."""

from __future__ import annotations

import functools
import io
import statistics

import numpy as np
from PIL import Image, ImageEnhance, JpegImagePlugin

from dfd_core.augmentations.draws import Draws
from dfd_core.augmentations.spec import AugmentationSpec
from dfd_core.augmentations.steps import (
    AnyStep,
    CenterCrop,
    ColorJitter,
    Crop,
    Filter,
    GaussianBlur,
    GaussianNoise,
    Jpeg,
    Resize,
)
from dfd_core.errors import ImageError, UsageError
from dfd_core.statuses import TOO_LARGE, UNSUPPORTED

_JPEG_LONGEST_SIDE = 65500  # JPEG_MAX_DIMENSION of libjpeg, 35 below the format's own
_MOST_PIXELS = 100_000_000  # as many as are decoded by default
_FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
}
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
        An RGB image; the same object where nothing was applied.

    Raises:
        UsageError: The image is not RGB.
        ImageError: A side is too long for JPEG (status `unsupported`), or resizing would make more than 100 million
            pixels (`too_large`).
    """
    if image.mode != "RGB":
        raise UsageError(f"an RGB image is needed, this one has the mode {image.mode}; decode() returns RGB")
    for position, step in enumerate(spec.steps):
        draws = Draws(spec.seed, sample_id, position)
        if draws.unit("probability") >= step.probability:
            continue
        image = _apply(step, image, draws)
    return image


def _apply(step: AnyStep, image: Image.Image, draws: Draws) -> Image.Image:  # noqa: PLR0911  # one for each step
    if isinstance(step, GaussianBlur):
        return gaussian_blur(image, draws.real("sigma", *step.sigma))
    if isinstance(step, Jpeg):
        return jpeg(image, draws.whole("quality", *step.quality), step.subsampling)
    if isinstance(step, ColorJitter):
        return color_jitter(image, _jitter(step, draws))
    if isinstance(step, GaussianNoise):
        return gaussian_noise(image, draws.real("sigma", *step.sigma), int(draws.unit("noise") * 2.0**53))
    width, height = image.size
    if isinstance(step, CenterCrop):
        return center_crop(image, min(step.side, width), min(step.side, height))
    if isinstance(step, Crop):
        share = draws.real("share", *step.share)
        return center_crop(image, max(1, round(share * width)), max(1, round(share * height)))
    scale = draws.real("factor", *step.factor) if isinstance(step, Resize) else step.side / min(width, height)
    return resize(image, max(1, round(scale * width)), max(1, round(scale * height)), step.filter)


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
        raise ImageError(UNSUPPORTED, f"{width} x {height}: libjpeg encodes at most {_JPEG_LONGEST_SIDE} pixels a side")
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


def resize(image: Image.Image, width: int, height: int, filter_name: Filter = "bicubic") -> Image.Image:
    """Pillow's resize, whose filters widen with the reduction (antialiased), to 8 bits after each axis.

    Args:
        image: An RGB image.
        width: In pixels.
        height: In pixels.
        filter_name: `lanczos`, `bicubic` or `bilinear`.

    Raises:
        ImageError: More than 100 million pixels would be made (status `too_large`).
    """
    if width * height > _MOST_PIXELS:
        old = f"{image.width} x {image.height}"
        raise ImageError(TOO_LARGE, f"{old} resized to {width} x {height} is more than {_MOST_PIXELS} pixels")
    return image if image.size == (width, height) else image.resize((width, height), _FILTERS[filter_name])


def center_crop(image: Image.Image, width: int, height: int) -> Image.Image:
    """The middle; where it can't be exact, half a pixel up and to the left, as torchvision cuts."""
    if image.size == (width, height):
        return image
    left, top = round((image.width - width) / 2.0), round((image.height - height) / 2.0)
    return image.crop((left, top, left + width, top + height))


def gaussian_noise(image: Image.Image, sigma: float, seed: int) -> Image.Image:
    """Adds noise to each pixel and channel, rounds and clips.

    The noise is 16 bits of numpy's PCG64, whose bits are promised to stay as they are, through a table of the normal
    distribution's quantiles: the same in every version of numpy, and up to 4.3 sigma.

    Args:
        image: An RGB image.
        sigma: Standard deviation in grey levels; 0 changes nothing.
        seed: Any whole number from 0.
    """
    pixels = np.asarray(image)
    raw = np.random.PCG64(seed).random_raw(-(-pixels.size // 4)).astype("<u8").view("<u2")[: pixels.size]
    noisy = _normal_quantiles()[raw].reshape(pixels.shape) * np.float32(sigma)
    noisy += pixels
    return Image.fromarray(np.clip(np.rint(noisy, out=noisy), 0, 255, out=noisy).astype(np.uint8))


@functools.cache
def _normal_quantiles() -> np.ndarray:
    """Standard normal quantiles at the middles of 65,536 equal shares, (65536,) float32."""
    normal, n = statistics.NormalDist(), 2**16
    upper = np.array([normal.inv_cdf((i + 0.5) / n) for i in range(n // 2, n)], dtype=np.float32)
    return np.concatenate([-upper[::-1], upper])


def _shift_hue(image: Image.Image, turns: float) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    shift = int(turns * 255)
    hue = hue.point([(level + shift) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def _jitter(step: ColorJitter, draws: Draws) -> dict[str, float]:
    return {name: draws.real(name, *range_) for name, range_ in step.ranges().items()}
