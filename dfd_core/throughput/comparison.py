"""Extraction against the bare network: both run by turns over the same images, and their vectors are compared."""

from __future__ import annotations

import functools
import hashlib
import logging
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from dfd_core.augmentations import AUGMENTATIONS
from dfd_core.backbones import BackboneSpec, resolve
from dfd_core.errors import UsageError
from dfd_core.features.extraction import Extractor, ShardReport
from dfd_core.features.files import read_failures, read_features
from dfd_core.features.planning import plan_extraction
from dfd_core.features.sets import FeatureSet
from dfd_core.features.spec import ExtractionSpec
from dfd_core.features.stages import Stages
from dfd_core.storage import Store
from dfd_core.throughput.bare_network import BareNetwork
from dfd_core.throughput.measurement import Measurement
from dfd_core.wording import some

logger = logging.getLogger(__name__)
_SAID_EVERY_S = 5.0


@dataclass
class _Runs:
    """Wall and CPU seconds of one contender's repeats."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def time(self, function: Callable[[], Any]) -> Any:
        cpu, wall = _cpu_s(), time.perf_counter()
        result = function()
        self.wall_s.append(time.perf_counter() - wall)
        self.cpu_s.append(_cpu_s() - cpu)
        return result

    @property
    def median_round(self) -> int:
        """The number of the repeat that took the median wall time; of two in the middle the faster."""
        return self.wall_s.index(statistics.median_low(self.wall_s))

    def per_image(self, images: int) -> tuple[float, float]:
        """Median wall and CPU milliseconds of one image."""
        return 1000 * statistics.median(self.wall_s) / images, 1000 * statistics.median(self.cpu_s) / images


def measure_backbone(
    spec: BackboneSpec,
    files: Sequence[Path],
    extraction: ExtractionSpec,
    device: str = "cpu",
    repeats: int = 3,
    goal: float | None = None,
) -> list[Measurement]:
    """Compares extraction with the bare forward pass in float32, at the usual batch of 32 and at torch's own best.

    All images are extracted once before anything is measured, so that none of them is counted that can't be used.

    Args:
        spec: The backbone.
        files: Images.
        extraction: How ours extracts.
        device: In torch's words.
        repeats: How often each is run.
        goal: The ratio that is wanted.

    Raises:
        UsageError: There are no images, one of them can't be used, or the backbone is no network.
    """
    import torch

    from dfd_core.backbones.runtimes.cosines import cosines

    if spec.card.library == "spectrum":
        raise UsageError("Throughput needs a backbone that is a network; the spectrum has no forward pass.")
    if not files:
        raise UsageError("Throughput needs images, and there are none: give a folder of sound images.")
    table = _table(files)
    runs = {"usual": _Runs(), "best": _Runs(), "ours": _Runs()}
    what, rounds = f"{spec.name} {spec.precision}", []
    feature_set = FeatureSet(dataset="t", augmentation=AUGMENTATIONS["none"], backbone=resolve(spec))
    with tempfile.TemporaryDirectory(prefix="dfd-throughput-") as folder:
        extractor = Extractor(Store(Path(folder) / "warm"), [feature_set], extraction, device)
        _extract(extractor, feature_set, table, _Said(f"{what}: every image once, to see that it can be used"))
        bare = BareNetwork(spec, device, table, extraction.decode)
        logger.info("%s: the bare network holds %s; its best batch is %d", what, bare.held, bare.best_batch)
        for number in range(repeats):
            extractor.store = Store(Path(folder) / str(number))
            where = f"{what}: round {number + 1} of {repeats}"
            said = _Said(f"{where}, bare, batch {bare.usual_batch}")
            expected = runs["usual"].time(functools.partial(bare.run, bare.usual_batch, said))
            said = _Said(f"{where}, bare, batch {bare.best_batch}")
            runs["best"].time(functools.partial(bare.run, bare.best_batch, said))
            said = _Said(f"{where}, ours")
            rounds.append(runs["ours"].time(functools.partial(_extract, extractor, feature_set, table, said)))
        found = read_features(extractor.store, feature_set.folder)
    rows, missing = found.rows(table["sample_id"].to_pylist()[: len(expected)])
    assert not missing.any(), "every image was extracted"
    cosine, centred = cosines(torch.from_numpy(found.X[rows]), torch.from_numpy(expected))
    facts = extractor.backbones[feature_set.backbone.key()].facts()
    details = {**_stages(rounds[runs["ours"].median_round]), **facts, "centred_cosine": centred, "images": len(table)}
    details |= {"torch_best_batch": bare.best_batch, "reference_holds": bare.held}
    lines = []
    for key, batch in (("usual", bare.usual_batch), ("best", bare.best_batch)):
        for unit, mine, theirs in zip(
            ("wall", "CPU"), runs["ours"].per_image(len(table)), runs[key].per_image(len(table)), strict=True
        ):
            name = f"{what} / bare forward, batch {batch} ({unit} ms/image)"
            lines.append(Measurement(name, theirs, mine, theirs / mine, goal, cosine, details))
    return lines if bare.best_batch != bare.usual_batch else lines[:2]


class _Said:
    """Says how far one run is, at its start and every few seconds."""

    def __init__(self, what: str) -> None:
        self.what, self.said_s = what, time.monotonic()
        logger.info("%s", what)

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self.said_s >= _SAID_EVERY_S:
            self.said_s = time.monotonic()
            logger.info("%s: %s of %s images", self.what, f"{done:,}", f"{total:,}")


def _extract(extractor: Extractor, feature_set: FeatureSet, table: pa.Table, said: _Said) -> list[ShardReport]:
    plan = plan_extraction(extractor.store, {feature_set.dataset: table}, [feature_set], extractor.spec.shard_size)
    reports, done = [], 0
    for report in extractor.extract_all(plan.shards):
        reports.append(report)
        done += report.samples
        said(done, len(table))
    failures = read_failures(extractor.store, feature_set.folder)
    if failures:
        urls = dict(zip(table["sample_id"].to_pylist(), table["url"].to_pylist(), strict=True))
        named = [f"{urls[sample_id]} ({status}: {error})" for sample_id, status, error in failures]
        raise UsageError(
            f"{len(named)} of {len(table)} images can't be used: {some(named)}. Give a folder of sound images."
        )
    return reports


def _stages(reports: Iterable[ShardReport]) -> dict[str, Any]:
    stages = sum((report.stages for report in reports), Stages())
    return {
        "bottleneck": stages.bottleneck,
        "device_idle": stages.idle_fraction,
        "cores_per_device": stages.cores_per_device,
        "prepare_cpu_ms": 1000 * stages.prepare_cpu_s / stages.images,
        "forward_ms": 1000 * stages.forward_s / stages.images,
        "transfer_ms": 1000 * stages.transfer_s / stages.images,
        "write_ms": 1000 * stages.write_s / stages.images,
    }


def _table(files: Sequence[Path]) -> pa.Table:
    by_id = {hashlib.sha256(path.read_bytes()).hexdigest(): str(path) for path in files}  # equal files count once
    return pa.table({"sample_id": list(by_id), "url": list(by_id.values())})


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
