"""A network that is to be run, images to try it with, and the batch size at which it is fastest."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

import torch

from dfd_core.backbones.runtimes.memory import lacks_memory
from dfd_core.backbones.runtimes.protocol import Forward, Precision

WORTH_GROWING = 1.02
CPU_SIZES = (1, 2, 4, 8, 16, 32)
GPU_SIZES = (16, 32, 64, 128, 256, 512, 1024)
_ITS_OWN = 0.85
"""Share of a GPU's memory, free or this network's, above which nobody else has anything to speak of there."""
_DISTINCT = 16


@dataclass(frozen=True)
class Workload:
    """A network and how it is to be run.

    Attributes:
        module: In evaluation mode, without gradients, on its device.
        precision: The number format asked for.
        image_size: Side of the square input in pixels.
        device: Where it runs.
    """

    module: torch.nn.Module
    precision: Precision
    image_size: int
    device: torch.device


class BatchSize(NamedTuple):
    """What a search for the batch size found.

    Attributes:
        size: Images in a batch.
        images_per_s: Its rate.
        ended_by_memory: Whether a larger batch did not fit, so that the memory decided and not the rate.
    """

    size: int
    images_per_s: float
    ended_by_memory: bool = False


def find_batch_size(forward: Forward, work: Workload, at_most: int = GPU_SIZES[-1]) -> BatchSize:
    """The batch size beyond which larger ones bring less than 2 %.

    Stops at the first size that does not fit into the GPU's memory; where that is the first of all,
    smaller ones follow.

    Args:
        forward: On `work.device`.
        work: The network.
        at_most: Larger batches are not tried.

    Raises:
        torch.OutOfMemoryError: Not even one image fits.
    """
    known = GPU_SIZES if work.device.type == "cuda" else CPU_SIZES
    sizes = [size for size in known if size <= at_most] or [at_most]
    best_size, best_rate, worse = sizes[0], 0.0, 0
    rate: float | None = None
    for size in sizes:
        rate = _rate(forward, work, size)
        if rate is None:
            break
        if rate > best_rate * WORTH_GROWING:
            best_size, best_rate, worse = size, rate, 0
        else:
            worse += 1
            if worse == 2:
                break
    if best_rate:
        return BatchSize(best_size, best_rate, ended_by_memory=rate is None)
    return rate_at(forward, work, best_size // 2)._replace(ended_by_memory=True)


def rate_at(forward: Forward, work: Workload, size: int) -> BatchSize:
    """The rate at a batch size, or at the largest half of it, quarter and so on that fits into the GPU's memory.

    Raises:
        torch.OutOfMemoryError: Not even one image fits.
    """
    tried = size
    while tried:
        rate = _rate(forward, work, tried)
        if rate is not None:
            return BatchSize(tried, rate, ended_by_memory=tried < size)
        tried //= 2
    raise torch.OutOfMemoryError("there is no room for one image.")


def _rate(forward: Forward, work: Workload, size: int) -> float | None:
    """Images per second at a batch size; `None` where it does not fit into the memory."""
    try:
        return size / seconds_of(forward, probe_images(size, work))
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
    if work.device.type == "cuda":  # outside of the handler, whose traceback holds what did not fit
        torch.cuda.empty_cache()
    return None


def memory_is_its_own(work: Workload) -> bool:
    """Whether a GPU's memory has nothing in it but this network, so that what does not fit never will."""
    if work.device.type != "cuda":
        return False
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(work.device)
    own = sum(one.numel() * one.element_size() for one in work.module.parameters())
    return free + own >= _ITS_OWN * total


def probe_images(n: int, work: Workload) -> torch.Tensor:
    """(n, 3, H, W) float32 on the device: seeded coarse patterns with fine noise, scaled like normalised images.

    Sixteen are made, since a large batch of large images would take gigabytes to make; then they come again.
    """
    generator = torch.Generator().manual_seed(0)
    side, distinct = work.image_size, min(n, _DISTINCT)
    coarse = torch.randn(distinct, 3, 8, 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False)
    made = (smooth + 0.1 * torch.randn(distinct, 3, side, side, generator=generator)).to(work.device)
    return made if n == distinct else made[torch.arange(n, device=work.device) % distinct]


def seconds_of(forward: Forward, batch: torch.Tensor) -> float:
    """The faster of two calls after one that warms up."""
    times: list[float] = []
    for _ in range(3):
        started = time.perf_counter()
        forward(batch)
        if batch.device.type == "cuda":
            torch.cuda.synchronize(batch.device)
        times.append(time.perf_counter() - started)
    return min(times[1:])
