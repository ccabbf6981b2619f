"""Which runtime and which batch size are fastest for a network on this machine: measured once, then remembered."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from filelock import FileLock

from dfd_core.backbones.caching import whole_or_absent, why_unusable
from dfd_core.backbones.runtimes.cosines import lowest_cosine
from dfd_core.backbones.runtimes.machine import machine, share_of_cpus
from dfd_core.backbones.runtimes.memory import lacks_memory
from dfd_core.backbones.runtimes.protocol import Forward, Runtime
from dfd_core.backbones.runtimes.registry import RUNTIMES
from dfd_core.backbones.runtimes.workload import (
    BatchSize,
    Workload,
    find_batch_size,
    memory_is_its_own,
    probe_images,
    rate_at,
    seconds_of,
)
from dfd_core.errors import ExtractionError, UsageError
from dfd_core.wording import how_to_install

logger = logging.getLogger(__name__)

REFERENCE = "torch"
COSINE_AT_LEAST = {"float32": 0.99999, "bfloat16": 0.99, "float16": 0.99}
"""Below this cosine to eager torch in float32 another runtime is not taken, by precision."""
SMALL = 3_000_000
"""A network with fewer parameters is not worth another runtime: reading and decoding an image take longer."""
FASTER_BY = 1.05
IDLE_SHARE = 0.7
"""Of the processors' time; with less, what is measured says more about the others."""
_FOR_NOW_S = 3600.0
PROBES = 4
"""Images with which runtimes are compared, and with which rates are measured on CPUs where a batch size was given."""


@dataclass(frozen=True)
class Calibration:
    """What was found.

    Attributes:
        runtime: The fastest one.
        version: Of its package.
        batch_size: The smallest whose rate is within 2 % of the next larger one's.
        images_per_s: The rate in this process, forward pass alone; on a CPU at four images where the size was given.
        speed: How many times as fast as eager torch in float32 it was with as many images, or with the largest half of
            them that torch has room for.
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


def calibrated(work: Workload, wanted: str, batch_size: int | None, folder: Path) -> tuple[Forward, Calibration]:
    """The forward pass on the runtime that is wanted or, for `auto`, on the fastest.

    A batch size that a passing shortage of a GPU's memory decided is used, but not kept; what was measured on a CPU
    that others used too is kept for an hour, so that all processes of a run have the same.

    Args:
        work: The network.
        wanted: A runtime's name, or `auto`.
        batch_size: Images in one forward pass; `None` finds it.
        folder: Where compiled forms and earlier findings of this network are kept. Where nothing can be kept there, it
            goes on without, with a warning.

    Raises:
        UsageError: The wanted runtime is not installed or can't run this network in this precision here.
        ExtractionError: Not even one image fits into the GPU's memory.
    """
    facts = {"wanted": wanted, "batch_size": batch_size, "precision": work.precision, **machine(work.device)}
    facts["versions"] = {name: runtime.version() for name, runtime in RUNTIMES.items()}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    path, for_now = folder / f"calibration-{digest}.json", folder / f"calibration-{digest}.busy.json"
    if (reason := why_unusable(folder)) is not None:
        _say_what_is_lost(reason)
        return _measure(work, wanted, batch_size, None)[:2]
    with FileLock(str(path.with_suffix(".lock"))):  # one process measures, the others wait for what it finds
        known = _read(path) or (_read(for_now) if _is_recent(for_now) else None)
        if known is not None:
            try:
                return _prepared(RUNTIMES[known.runtime], work, folder), known
            except (RuntimeError, KeyError) as error:
                logger.warning("%s can't be prepared as it was before and is measured again: %s", known.runtime, error)
        share = share_of_cpus()
        forward, found, may_pass = _measure(work, wanted, batch_size, folder)
        share = min(share, share_of_cpus())
        if may_pass:
            logger.warning(
                "Batches of more than %d images do not fit into the free memory of %s now; the next process "
                "looks again.",
                found.batch_size,
                work.device,
            )
        elif work.device.type == "cpu" and share < IDLE_SHARE:
            logger.info(
                "The machine was busy while the speed of a network was measured: %d threads got %.0f %% of their "
                "processors. What was found (%s, batches of %d) is used for an hour, then it is measured again.",
                found.threads,
                100 * share,
                found.runtime,
                found.batch_size,
            )
            _keep(found, for_now)
        else:
            _keep(found, path)
        return forward, found


def _measure(
    work: Workload, wanted: str, batch_size: int | None, folder: Path | None
) -> tuple[Forward, Calibration, bool]:
    """The forward pass, what was found, and whether it would be another if more memory were free."""
    try:
        return _measured(work, wanted, batch_size, folder)
    except RuntimeError as error:
        if not lacks_memory(error):
            raise
        raise ExtractionError(
            f"A network does not fit into the memory of {work.device}, with {work.image_size} x {work.image_size} "
            f"pixels an image: {str(error).splitlines()[0]} Free some of it, or take another device."
        ) from error


def _measured(
    work: Workload, wanted: str, batch_size: int | None, folder: Path | None
) -> tuple[Forward, Calibration, bool]:
    probe = probe_images(PROBES, work)
    reference = RUNTIMES[REFERENCE].prepare(work.module, "float32", work.image_size, None)
    expected = reference(probe)
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
        if runtime.name != REFERENCE and not cosine >= COSINE_AT_LEAST[work.precision]:  # so that NaN is refused too
            message = f"its vectors have a cosine of only {cosine:.6f} to eager torch's"
            if runtime.name == wanted:
                raise UsageError(f"The runtime {wanted} can't be used for this network: {message}.")
            logger.warning("The runtime %s is not used for this network: %s", runtime.name, message)
            continue
        seconds = seconds_of(forward, probe) / len(probe)
        if best is None or seconds * FASTER_BY < best[0]:
            best = (seconds, runtime, forward, cosine)
    assert best is not None  # torch is always among the candidates, or the wanted one was found
    _, runtime, forward, cosine = best
    batch, tried = _batch(forward, work, batch_size)
    is_exact = runtime.name == REFERENCE and work.precision == "float32"
    exact = batch if is_exact else rate_at(reference, work, tried)
    found = Calibration(
        runtime.name,
        str(runtime.version()),
        batch.size,
        round(batch.images_per_s, 2),
        round(batch.images_per_s / exact.images_per_s, 3),
        cosine,
        torch.get_num_threads(),
    )
    return forward, found, batch.ended_by_memory and not memory_is_its_own(work)


def _batch(forward: Forward, work: Workload, wanted: int | None) -> tuple[BatchSize, int]:
    """The batch size, found or as wanted, and the number of images with which its rate was measured."""
    if wanted is not None and work.device.type == "cpu":  # hundreds of images would take minutes
        return rate_at(forward, work, min(wanted, PROBES))._replace(size=wanted), min(wanted, PROBES)
    batch = find_batch_size(forward, work) if wanted is None else rate_at(forward, work, wanted)
    return batch, batch.size


def _candidates(work: Workload, wanted: str) -> Iterator[Runtime]:
    if wanted != "auto":
        runtime = RUNTIMES[wanted]
        if not runtime.offers(work.precision, work.device):
            missing = "is not installed" if runtime.version() is None else f"has no {work.precision} on {work.device}"
            raise UsageError(
                f"The runtime {wanted} {missing}. Install it ({how_to_install(wanted)}), or leave `runtime` at auto."
            )
        yield runtime
        return
    is_large = sum(parameter.numel() for parameter in work.module.parameters()) >= SMALL
    for runtime in RUNTIMES.values():
        if runtime.name == REFERENCE or (is_large and runtime.offers(work.precision, work.device)):
            yield runtime


def _prepared(runtime: Runtime, work: Workload, folder: Path | None) -> Forward:
    if folder is not None:
        try:
            cached_at = folder / f"{runtime.name}-{runtime.version()}"
            return runtime.prepare(work.module, work.precision, work.image_size, cached_at)
        except OSError as error:
            _say_what_is_lost(f"The compiled network can't be kept in {folder} ({error.strerror or error})")
    return runtime.prepare(work.module, work.precision, work.image_size, None)


def _keep(found: Calibration, path: Path) -> None:
    try:
        with whole_or_absent(path) as partial:
            partial.write_text(json.dumps(asdict(found), indent=2), encoding="utf-8")
    except OSError as error:
        _say_what_is_lost(f"{path} can't be written ({error.strerror or error})")


def _say_what_is_lost(reason: str) -> None:
    logger.warning(
        "%s, so each process measures and compiles this network again. Set XDG_CACHE_HOME to a folder that can be "
        "written.",
        reason,
    )


def _is_recent(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < _FOR_NOW_S
    except OSError:
        return False


def _read(path: Path) -> Calibration | None:
    """An earlier finding; one that can't be read is measured again."""
    try:
        return Calibration(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        logger.warning("%s can't be read and is measured again: %s", path, error)
        return None
