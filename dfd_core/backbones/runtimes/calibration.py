"""Which runtime and which batch size are fastest for a network on this machine: measured once, then remembered."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from filelock import FileLock

from dfd_core.backbones.caching import whole_or_absent
from dfd_core.backbones.runtimes.protocol import Forward, Precision, Runtime
from dfd_core.backbones.runtimes.registry import RUNTIMES
from dfd_core.errors import UsageError

logger = logging.getLogger(__name__)

REFERENCE = "torch"
COSINE_AT_LEAST = 0.99999
"""Below this cosine to eager torch another runtime is not taken for float32."""
SMALL = 3_000_000
"""A network with fewer parameters is not worth another runtime: reading and decoding an image take longer."""
FASTER_BY = 1.05
WORTH_GROWING = 1.02
CPU_SIZES = (1, 2, 4, 8, 16, 32)
GPU_SIZES = (16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class Calibration:
    """What was found.

    Attributes:
        runtime: The fastest one.
        version: Of its package.
        batch_size: The smallest whose rate is within 2 % of the next larger one's.
        images_per_s: The rate in this process, forward pass alone; at four images where the size was given.
        speed: How many times as fast as eager torch in float32 it was, batch by batch of the same size.
        cosine: The lowest cosine between its vectors and eager torch's in float32, on probe images.
        threads: Of the CPU.
    """

    runtime: str
    version: str
    batch_size: int
    images_per_s: float
    speed: float
    cosine: float
    threads: int


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


def calibrated(work: Workload, wanted: str, batch_size: int | None, folder: Path) -> tuple[Forward, Calibration]:
    """The forward pass on the runtime that is wanted or, for `auto`, on the fastest.

    Args:
        work: The network.
        wanted: A runtime's name, or `auto`.
        batch_size: Images in one forward pass; `None` finds it.
        folder: Where compiled forms and earlier findings of this network are kept.

    Raises:
        UsageError: The wanted runtime is not installed or can't run this network in this precision here.
    """
    facts = {"wanted": wanted, "batch_size": batch_size, **_machine(work)}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"calibration-{digest}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(str(path.with_suffix(".lock"))):  # one process measures, the others wait for what it finds
        known = _read(path)
        if known is not None:
            try:
                return _prepared(RUNTIMES[known.runtime], work, folder), known
            except (RuntimeError, KeyError) as error:
                logger.warning("%s can't be prepared as it was before and is measured anew: %s", known.runtime, error)
        forward, found = _measure(work, wanted, batch_size, folder)
        with whole_or_absent(path) as partial:
            partial.write_text(json.dumps(asdict(found), indent=2), encoding="utf-8")
        return forward, found


def _measure(work: Workload, wanted: str, batch_size: int | None, folder: Path) -> tuple[Forward, Calibration]:
    probe = probe_images(4, work)
    reference = RUNTIMES[REFERENCE].prepare(work.module, "float32", work.image_size, None)
    expected = reference(probe)
    reference_s = _seconds(reference, probe) / len(probe)
    best: tuple[float, Runtime, Forward, float] | None = None
    for runtime in _candidates(work, wanted):
        try:
            forward = _prepared(runtime, work, folder)
        except RuntimeError as error:
            if runtime.name == wanted:
                raise UsageError(f"The runtime {wanted} can't carry out this network: {error}") from error
            logger.warning("The runtime %s is not used for this network: %s", runtime.name, error)
            continue
        cosine = lowest_cosine(forward(probe), expected)
        least = COSINE_AT_LEAST if work.precision == "float32" else 0.0
        if runtime.name != REFERENCE and not cosine >= least:  # so that NaN is refused too
            message = f"its vectors have a cosine of only {cosine:.6f} to eager torch's"
            if runtime.name == wanted:
                raise UsageError(f"The runtime {wanted} can't be used for this network: {message}.")
            logger.warning("The runtime %s is not used for this network: %s", runtime.name, message)
            continue
        seconds = _seconds(forward, probe) / len(probe)
        if best is None or seconds * FASTER_BY < best[0]:
            best = (seconds, runtime, forward, cosine)
    assert best is not None  # torch is always among the candidates, or the wanted one was found
    seconds, runtime, forward, cosine = best
    size, rate = (batch_size, 1 / seconds) if batch_size else find_batch_size(forward, work)
    return forward, Calibration(
        runtime.name,
        str(runtime.version()),
        size,
        round(rate, 2),
        round(reference_s / seconds, 3),
        cosine,
        torch.get_num_threads(),
    )


def _candidates(work: Workload, wanted: str) -> Iterator[Runtime]:
    if wanted != "auto":
        runtime = RUNTIMES[wanted]
        if not runtime.offers(work.precision, work.device):
            missing = "is not installed" if runtime.version() is None else f"has no {work.precision} on {work.device}"
            raise UsageError(
                f"The runtime {wanted} {missing}. Install it (`pip install dfd[{wanted}]`), or leave `runtime` at auto."
            )
        yield runtime
        return
    is_large = sum(parameter.numel() for parameter in work.module.parameters()) >= SMALL
    for runtime in RUNTIMES.values():
        if runtime.name == REFERENCE or (is_large and runtime.offers(work.precision, work.device)):
            yield runtime


def find_batch_size(forward: Forward, work: Workload) -> tuple[int, float]:
    """The batch size beyond which larger ones bring less than 2 %, and its images per second.

    Stops at the first size that does not fit into the GPU's memory.
    """
    sizes = GPU_SIZES if work.device.type == "cuda" else CPU_SIZES
    best_size, best_rate, worse = sizes[0], 0.0, 0
    for size in sizes:
        try:
            rate = size / _seconds(forward, probe_images(size, work))
        except torch.OutOfMemoryError:
            if not best_rate:
                return 1, 0.0
            break
        if rate > best_rate * WORTH_GROWING:
            best_size, best_rate, worse = size, rate, 0
        else:
            worse += 1
            if worse == 2:
                break
    return best_size, best_rate


def probe_images(n: int, work: Workload) -> torch.Tensor:
    """(n, 3, H, W) float32 on the device: seeded coarse patterns with fine noise, scaled like normalised images."""
    generator = torch.Generator().manual_seed(0)
    side = work.image_size
    coarse = torch.randn(n, 3, 8, 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False)
    return (smooth + 0.1 * torch.randn(n, 3, side, side, generator=generator)).to(work.device)


def lowest_cosine(X: torch.Tensor, Y: torch.Tensor) -> float:
    """The lowest cosine between rows of two (N, D) arrays, computed in float64."""
    return float(torch.nn.functional.cosine_similarity(X.double(), Y.double()).min())


def _prepared(runtime: Runtime, work: Workload, folder: Path) -> Forward:
    return runtime.prepare(work.module, work.precision, work.image_size, folder / f"{runtime.name}-{runtime.version()}")


def _seconds(forward: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor) -> float:
    """The faster of two calls after one that warms up."""
    times: list[float] = []
    for _ in range(3):
        started = time.perf_counter()
        forward(batch)
        if batch.device.type == "cuda":
            torch.cuda.synchronize(batch.device)
        times.append(time.perf_counter() - started)
    return min(times[1:])


def _machine(work: Workload) -> dict[str, object]:
    on_gpu = work.device.type == "cuda"
    return {
        "versions": {name: runtime.version() for name, runtime in RUNTIMES.items()},
        "device": torch.cuda.get_device_name(work.device) if on_gpu else _cpu_name(),
        "threads": torch.get_num_threads(),
        "precision": work.precision,
    }


def _cpu_name() -> str:
    try:
        lines: Sequence[str] = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "flags"))]
    return " ".join(sorted(set(names))) or f"{platform.machine()} {os.cpu_count()}"


def _read(path: Path) -> Calibration | None:
    """An earlier finding; one that can't be read is measured anew."""
    try:
        return Calibration(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        logger.warning("%s can't be read and is made anew: %s", path, error)
        return None
