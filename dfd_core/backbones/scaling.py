"""From 8-bit pixels to a network's input: to [0, 1], minus mean, by standard deviation, as torchvision does it.

Networks with the same mean and standard deviation share one `Scaling`, and with it what was scaled last: an image that
three networks want in the same way is scaled once.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from weakref import WeakValueDictionary

import numpy as np
import torch

Numbers = tuple[float, ...]


class Scaling:
    """Scales pixels by a mean and a standard deviation of each channel.

    Args:
        mean: Of the three channels, on the scale of [0, 1].
        std: In the same way.
    """

    def __init__(self, mean: Numbers, std: Numbers) -> None:
        self._constants: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = {}
        self._mean, self._std = (torch.tensor(one, dtype=torch.float32).reshape(1, 3, 1, 1) for one in (mean, std))
        self._last = _Last()

    def scaled(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, H, W, 3) uint8 on any device as (B, 3, H, W) float32 on the same."""
        planes = batch.permute(0, 3, 1, 2)
        # torch copies into a tensor that is there three times as fast as it converts and reorders in `to`
        return self._scale(torch.empty(planes.shape, dtype=torch.float32, device=batch.device).copy_(planes))

    def scaled_here(self, pixels: Sequence[np.ndarray]) -> torch.Tensor:
        """Images of (H, W, 3) uint8 as (B, 3, H, W) float32 in memory that this thread's next such call overwrites.

        Fresh memory would cost as much as the arithmetic. If the call before was for the very same arrays, nothing is
        done again.
        """
        last = self._last
        if last.holds(pixels):
            return last.scaled
        height, width, _ = pixels[0].shape
        last.forget()
        scaled = last.room(len(pixels), height, width)
        for place, one in zip(scaled.numpy(), pixels, strict=True):
            place[...] = one.transpose(2, 0, 1)
        last.remember(pixels, self._scale(scaled))
        return scaled

    def _scale(self, planes: torch.Tensor) -> torch.Tensor:
        if planes.device not in self._constants:  # once: each such copy waits for all that a GPU has to do
            self._constants[planes.device] = self._mean.to(planes.device), self._std.to(planes.device)
        mean, std = self._constants[planes.device]
        return planes.div_(255).sub_(mean).div_(std)


class _Last(threading.local):
    """What a thread scaled last, and the memory that it stands in."""

    def __init__(self) -> None:
        self.memory = torch.empty(0)
        self.forget()

    def forget(self) -> None:
        self.pixels: tuple[np.ndarray, ...] = ()  # held, so that no other array gets the identity of one of them
        self.scaled, self.version = torch.empty(0), 0

    def room(self, n: int, height: int, width: int) -> torch.Tensor:
        if self.memory.numel() < n * 3 * height * width:
            self.memory = torch.empty(n * 3 * height * width)
        return self.memory[: n * 3 * height * width].view(n, 3, height, width)

    def remember(self, pixels: Sequence[np.ndarray], scaled: torch.Tensor) -> None:
        self.pixels, self.scaled, self.version = tuple(pixels), scaled, scaled._version

    def holds(self, pixels: Sequence[np.ndarray]) -> bool:
        """Whether it was these, and no network has written over its input since."""
        if len(pixels) != len(self.pixels) or self.version != self.scaled._version:
            return False
        return all(one is other for one, other in zip(pixels, self.pixels, strict=True))


_known: WeakValueDictionary[tuple[Numbers, Numbers], Scaling] = WeakValueDictionary()


def shared_scaling(mean: Sequence[float], std: Sequence[float]) -> Scaling:
    """The one scaling with this mean and standard deviation that networks in memory have."""
    key = tuple(map(float, mean)), tuple(map(float, std))
    scaling = _known.get(key) or Scaling(*key)
    return _known.setdefault(key, scaling)
