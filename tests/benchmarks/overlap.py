"""How long a device stands idle from one shard to the next: shard after shard against overlapped ones.

The device is a network that does nothing but sleep, a little longer a batch than this machine takes to prepare one, so
that a device that waits does so for want of overlap and not of cores.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fan_out import Weightless

from dfd_core.augmentations import AUGMENTATIONS
from dfd_core.features.extraction import Extractor
from dfd_core.features.planning import Shard
from dfd_core.features.reports import ShardReport
from dfd_core.features.sets import FeatureSet
from dfd_core.features.spec import ExtractionSpec
from dfd_core.features.stages import Stages
from dfd_core.storage import Store
from dfd_core.throughput import Measurement, make_images

NETWORK, SHARDS, IMAGES = "clip_vit_b16", 6, 128
MARGIN = 1.5


class Sleeping(Weightless):
    """A device that is busy without a core."""

    batch_s = 0.0

    def submit(self, inputs: Sequence[np.ndarray]) -> Callable[[], np.ndarray]:
        """Takes its time for each batch."""
        started = time.perf_counter()
        result = super().submit(inputs)
        time.sleep(max(0.0, self.batch_s * len(inputs) / self.batch_size - (time.perf_counter() - started)))
        self.busy.forward_s += time.perf_counter() - started
        return result


def measure() -> list[Measurement]:
    """One line: the share of wall time in which the device did nothing, in per cent."""
    with tempfile.TemporaryDirectory(prefix="dfd-overlap-") as name:
        folder = Path(name)
        files = make_images(folder / "images", IMAGES)
        samples = tuple((hashlib.sha256(path.read_bytes()).hexdigest(), str(path)) for path in files)
        backbone = Sleeping(NETWORK)
        target = FeatureSet(dataset="d", augmentation=AUGMENTATIONS["none"], backbone=backbone.resolved)
        extractor = Extractor(Store(folder / "warm"), [], ExtractionSpec())
        extractor.backbones = {backbone.resolved.key(): backbone}  # type: ignore[dict-item]
        shards = [Shard(f"shard-{number}", samples, (target,)) for number in range(SHARDS)]
        extractor.extract(shards[0])  # imports what is imported late
        started = time.perf_counter()
        extractor.extract(shards[1])
        backbone.batch_s = MARGIN * (time.perf_counter() - started) / IMAGES * backbone.batch_size
        extractor.store = Store(folder / "alone")
        alone, _ = _idle(map(extractor.extract, shards))
        extractor.store = Store(folder / "together")
        together, stages = _idle(extractor.extract_all(shards))
    details: dict[str, Any] = {"batch_ms": 1000 * backbone.batch_s, "bottleneck": stages.bottleneck, **vars(stages)}
    title = f"device idle over {SHARDS} shards of {IMAGES}: one by one / overlapped (% of wall)"
    return [Measurement(title, 100 * alone, 100 * together, alone / max(together, 1e-3), details=details)]


def _idle(reports: Iterable[ShardReport]) -> tuple[float, Stages]:
    started = time.perf_counter()
    stages = sum((report.stages for report in reports), Stages())
    return 1 - stages.forward_s / (time.perf_counter() - started), stages


if __name__ == "__main__":
    for measurement in measure():
        print(measurement)
