"""What a runtime offers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import torch

Precision = Literal["float32", "bfloat16", "float16"]
Forward = Callable[[torch.Tensor], torch.Tensor]
"""(B, 3, H, W) float32 to (B, D) float32, both on the backbone's device; B may differ from call to call."""


class Runtime(Protocol):
    """One way to carry out networks.

    Attributes:
        name: Its name in configurations and provenance.
    """

    name: str

    def version(self) -> str | None:
        """The version of its package; `None` where it is not installed."""

    def offers(self, precision: Precision, device: torch.device) -> bool:
        """Whether it can run in this precision on this device."""

    def prepare(
        self, module: torch.nn.Module, precision: Precision, image_size: int, cached_at: Path | None
    ) -> Forward:
        """Makes a module ready to run.

        Args:
            module: In evaluation mode, without gradients, on its device.
            precision: The number format of its arithmetic.
            image_size: Side of the square input in pixels.
            cached_at: A folder of this module's own for what is compiled; `None` keeps nothing.

        Raises:
            RuntimeError: The module can't be converted, or would run in another precision than asked for.
        """
