"""The way of a batch over a GPU: pixels go there in pinned memory while earlier ones are computed, results come back.

Nothing here waits for the GPU but what collects the results. What is copied at once is larger than a batch and the same
for every network, so that those which want the very same pixels, each in batches of its own size, share one copy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch

from dfd_core.backbones.specs import Busy

COPIED_AT_ONCE_BYTES = 256 * 2**20
KEPT = 2
"""Copies; so that one network which wants other pixels may stand between those that want the same."""
Network = Callable[[torch.Tensor], torch.Tensor]
"""(B, H, W, 3) uint8 to (B, D) float32, both on the GPU."""


class Copied:
    """Pixels on their way to a GPU, or there.

    Args:
        inputs: Each (H, W, 3) uint8, all of one size.
        device: The GPU.
        stream: Copies.

    Attributes:
        pixels: (n, H, W, 3) uint8 on the GPU; to be used after `arrived`.
        arrived: When they are there.
    """

    def __init__(self, inputs: Sequence[np.ndarray], device: torch.device, stream: torch.cuda.Stream) -> None:
        self._inputs = tuple(inputs)  # held, so that no other array gets the identity of one of them
        rows = [one.transpose(0, 2, 1) for one in inputs]  # as they stand in memory, see `SplitTransform.pixels`
        self._host: torch.Tensor | None = torch.empty((len(rows), *rows[0].shape), dtype=torch.uint8, pin_memory=True)
        np.stack(rows, out=self._host.numpy())
        self._left, self.arrived = _mark(), _mark()
        with torch.cuda.stream(stream):
            # there is room before the clock starts: to make some can take longer than to copy
            there = torch.empty(self._host.shape, dtype=torch.uint8, device=device)
            self._left.record(stream)
            there.copy_(self._host, non_blocking=True)
            self.arrived.record(stream)
        self.pixels = there.permute(0, 1, 3, 2)

    def are(self, inputs: Sequence[np.ndarray]) -> bool:
        """Whether these very arrays were copied."""
        return len(inputs) == len(self._inputs) and all(a is b for a, b in zip(inputs, self._inputs, strict=True))

    def take_seconds(self) -> float:
        """How long copying took, once it is over; 0 for all who ask later, since it was done once.

        The host's memory is let go.
        """
        if self._host is None:
            return 0.0
        self.arrived.synchronize()
        self._host = None
        return float(self._left.elapsed_time(self.arrived)) / 1000


class Transfers:
    """Copies pixels to one GPU, for one thread; what was copied lately is not copied again."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device)
        self._kept: list[Copied] = []

    def copied(self, inputs: Sequence[np.ndarray]) -> Copied:
        """The pixels of these arrays on the GPU."""
        for known in self._kept:
            if known.are(inputs):
                return known
        while len(self._kept) >= KEPT:  # before the next is made, which may then have its memory
            del self._kept[0]
        self._kept.append(Copied(inputs, self.device, self._stream))
        return self._kept[-1]

    def release(self) -> None:
        """Lets go of what was copied lately, and of all memory that torch keeps for later."""
        self._kept.clear()
        torch.cuda.empty_cache()


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.by_device: dict[torch.device, Transfers] = {}


_of_thread = _OfThread()


def transfers_to(device: torch.device) -> Transfers:
    """Those of this thread, which all networks on the GPU share."""
    known = _of_thread.by_device
    if device not in known:
        known[device] = Transfers(device)
    return known[device]


def images_at_once(one: np.ndarray) -> int:
    """How many images of this size are copied at once."""
    return max(1, COPIED_AT_ONCE_BYTES // one.nbytes)


def start(
    network: Network, inputs: Sequence[np.ndarray], batch_size: int, dimension: int, transfers: Transfers, busy: Busy
) -> Callable[[], np.ndarray]:
    """Starts a network on some images and returns what waits for the features.

    Args:
        network: Scaling and forward pass.
        inputs: What is copied at once.
        batch_size: Images in one pass.
        dimension: D.
        transfers: To the GPU.
        busy: Where the seconds are added when the features are collected.

    Returns:
        What gives (n, D) float32.
    """
    copied = transfers.copied(inputs)
    computing = torch.cuda.current_stream(transfers.device)
    computing.wait_event(copied.arrived)
    copied.pixels.record_stream(computing)
    result = torch.empty((len(inputs), dimension), dtype=torch.float32, pin_memory=True)
    began, ended = _mark(), _mark()
    began.record(computing)
    for first in range(0, len(inputs), batch_size):
        features = network(copied.pixels[first : first + batch_size])
        result[first : first + len(features)].copy_(features, non_blocking=True)
    ended.record(computing)

    def collect() -> np.ndarray:
        ended.synchronize()
        busy.transfer_s += copied.take_seconds()
        busy.forward_s += began.elapsed_time(ended) / 1000
        return result.numpy().copy()

    return collect


def _mark() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)
