"""A backbone's own transform in two parts: what is done to an image's pixels, and their scaling to the network's input.

The first part (resize and crop) ends in 8-bit pixels, is done per image by threads, and is shared by all backbones that
do the same. The second (to [0, 1], minus mean, by standard deviation) is done per batch, on the device. Together they
give bit for bit what the library's transform gives, since they are the same operations in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from PIL.Image import fromarray, new
from torchvision.transforms import CenterCrop, Resize
from torchvision.transforms.functional import pil_modes_mapping
from torchvision.transforms.v2 import functional as on_tensors

from dfd_core.backbones.geometry_guard import check_resizable, resized_shorter_side
from dfd_core.backbones.scaling import shared_scaling

if TYPE_CHECKING:
    from PIL.Image import Image

Transform = Callable[["Image"], torch.Tensor]
Resizing = Literal["pillow", "tensor"]
_GEOMETRY = (Resize, CenterCrop)
_LEAVES_RGB_ALONE = {"MaybeConvertMode"}
_TO_TENSOR = {"MaybeToTensor", "ToTensor"}


class SplitTransform:
    """The two parts of a transform that timm or open_clip made.

    Args:
        transform: A composition of resize, crop, conversion to a tensor and normalisation.
        resizing: `pillow` is the library's own. `tensor` uses torchvision's antialiased kernel for 8-bit tensors where
            it is known to stay within 1 of 255 of it, and Pillow elsewhere (see `_stays_within_one`).

    Raises:
        ValueError: The composition has a part that is not known to fit into the two.
    """

    def __init__(self, transform: Transform, resizing: Resizing = "pillow") -> None:
        geometry, normalise = _parts(transform)
        self.resizing = resizing
        self._geometry: Sequence[Any] = geometry
        self._shorter_side = resized_shorter_side(transform)
        self.side = self.pixels(new("RGB", (64, 64))).shape[0]
        """Side of the square input in pixels."""
        self.scaling = shared_scaling(normalise.mean, normalise.std)
        """The second part."""

    def key(self, size: tuple[int, int]) -> str:
        """What is done to an image of this width and height; where two keys are equal, so are the pixels.

        Different transforms may do the same to an image, as a crop that cuts nothing off.
        """
        done: list[str] = [self.resizing]
        for part in self._geometry:
            if changed := _size_after(size, part):
                size = changed
                is_resize = isinstance(part, Resize)
                done.append(f"{part.interpolation} {part.antialias} {size}" if is_resize else f"crop {size}")
        return ", ".join(done)

    def pixels(self, image: Image) -> np.ndarray:
        """One RGB image, resized and cropped: (H, W, 3) uint8. Safe in several threads.

        In memory each row of pixels is three rows of one channel, which Pillow writes as fast as anything else, and
        which are turned into a network's input three times as fast.

        Raises:
            ImageError: The image is so narrow that resizing would take gigabytes (status `unsupported`).
        """
        check_resizable(image.size, self._shorter_side)
        for part in self._geometry:
            if size := _size_after(image.size, part):
                image = self._resized(image, part, size) if isinstance(part, Resize) else part(image)
        rows = np.frombuffer(image.tobytes("raw", "RGB;L"), dtype=np.uint8)
        return rows.reshape(image.height, 3, image.width).transpose(0, 2, 1)

    def _resized(self, image: Image, part: Resize, size: tuple[int, int]) -> Image:
        if self.resizing == "tensor" and _stays_within_one(image, part):
            return _resized_as_tensor(image, part)
        return image.resize(size, pil_modes_mapping[part.interpolation])  # as torchvision does, without its checks


def _parts(transform: Any) -> tuple[list[Any], Any]:
    *front, normalise = transform.transforms
    geometry = [part for part in front if isinstance(part, _GEOMETRY)]
    others = [type(part).__name__ for part in front if not isinstance(part, _GEOMETRY)]
    unknown = [name for name in others if name not in _LEAVES_RGB_ALONE | _TO_TENSOR]
    if type(normalise).__name__ != "Normalize" or unknown or not set(others) & _TO_TENSOR:
        raise ValueError(f"the transform {transform} has parts that can't be shared between backbones")
    return geometry, normalise


def _size_after(size: tuple[int, int], part: Any) -> tuple[int, int] | None:
    """Width and height after a resize or crop as torchvision does it; `None` where it leaves the image alone.

    A resize to one number is the shorter side's; two are height and width.
    """
    sides = [part.size] if isinstance(part.size, int) else list(part.size)
    if len(sides) == 2:
        after = sides[1], sides[0]
    else:
        longer = int(sides[0] * max(size) / min(size))
        after = (sides[0], longer) if size[0] <= size[1] else (longer, sides[0])
    return after if after != size else None


def _stays_within_one(image: Image, part: Resize) -> bool:
    """Whether the tensor kernel stays within 1 of 255 of Pillow: aspect kept, both sides at least halved, not tall.

    Elsewhere the bicubic kernels differ by up to 31: near scale 1 and for unequal scales in their weights' precision,
    and for tall images because Pillow then resizes the columns first and rounds in between.
    """
    width, height = image.size
    return isinstance(part.size, int) and min(width, height) >= 2 * part.size and height <= 1.5 * width


def _resized_as_tensor(image: Image, part: Resize) -> Image:
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    resized = on_tensors.resize(tensor, [part.size], interpolation=part.interpolation, antialias=True)
    return fromarray(resized.permute(1, 2, 0).contiguous().numpy())
