"""Refuses images so narrow that a transform would blow them up beyond any memory.

Most transforms scale the shorter side to the network's input and then cut out the middle. Of an image of 100,000 x 1
pixels that makes 22,400,000 x 224, 20 GB, of which a 224 x 224 piece is kept.
"""

from __future__ import annotations

from typing import Any

from torchvision.transforms import Resize

from dfd_core.errors import ImageError
from dfd_core.statuses import UNSUPPORTED

MOST_RESIZED_PIXELS = 50_000_000
"""200 MB a thread. At 224 px an image may be 996 times as long as it is wide, at 518 px 186 times."""


def resized_shorter_side(transform: Any) -> int | None:
    """The length in pixels to which a torchvision transform scales an image's shorter side.

    Args:
        transform: What timm or open_clip built.

    Returns:
        `None` where it scales to a fixed size, or not at all.
    """
    for step in getattr(transform, "transforms", [transform]):
        if isinstance(step, Resize):
            sides = [step.size] if isinstance(step.size, int) else list(step.size)
            return sides[0] if len(sides) == 1 else None
    return None


def check_resizable(size: tuple[int, int], shorter_side: int | None) -> None:
    """Sees that scaling an image's shorter side leaves it within `MOST_RESIZED_PIXELS`.

    Args:
        size: The image's width and height.
        shorter_side: What `resized_shorter_side` found.

    Raises:
        ImageError: It doesn't (status `unsupported`).
    """
    if shorter_side is None:
        return
    width, height = size
    longer_side = shorter_side * max(size) // min(size)
    if shorter_side * longer_side > MOST_RESIZED_PIXELS:
        raise ImageError(
            UNSUPPORTED,
            f"{width} x {height} pixels are too narrow: with the shorter side scaled to {shorter_side} the longer one "
            f"would have {longer_side}, and more than {MOST_RESIZED_PIXELS} pixels are not made",
        )
