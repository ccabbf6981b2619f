"""Extraction: read a shard's images once, decode once, apply every augmentation, run every backbone, write.

An `Extractor` does not know who calls it: the plain loop below and distributed actors use the same one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from dfd_core.backbones import LoadedBackbone, load
from dfd_core.errors import ImageError
from dfd_core.features.files import write_feature_file
from dfd_core.features.planning import ExtractionPlan, Shard
from dfd_core.features.precision import write_precision_check
from dfd_core.features.preparation import Chunk, Input, Preparer
from dfd_core.features.sets import FeatureSet
from dfd_core.features.spec import ExtractionSpec
from dfd_core.features.statuses import NON_FINITE, OK, QUARANTINED
from dfd_core.provenance import provenance
from dfd_core.storage import Store

Row = tuple[str, str, str | None]
Facts = dict[str, Any]
PRECISION_SAMPLES = 16


@dataclass(frozen=True)
class ShardReport:
    """What became of a shard.

    Attributes:
        shard: Its name.
        dataset: Its dataset.
        samples: How many images it had.
        failures: Count of failed samples by feature set folder and status.
        seconds: Wall time.
        worker: Who did it.
        prepare_s: Thread-seconds spent on reading, decoding, augmenting and transforming.
        prepare_cpu_s: Of these, seconds on a CPU; the rest is waiting for files.
        wait_s: Seconds in which this process waited for prepared images.
        forward_s: Seconds in the networks. On a GPU from the first to the last kernel of each batch, so that idling for
            want of launches counts as busy.
        transfer_s: Seconds of copies to a GPU, which go on beside the networks.
        stuck_threads: Threads that are still in a decoder that was given up on; the process should be replaced.
    """

    shard: str
    dataset: str
    samples: int
    failures: dict[str, dict[str, int]]
    seconds: float
    worker: str = "here"
    prepare_s: float = 0.0
    prepare_cpu_s: float = 0.0
    wait_s: float = 0.0
    forward_s: float = 0.0
    transfer_s: float = 0.0
    stuck_threads: int = 0


@dataclass
class _Column:
    """One feature set's rows and vectors while a shard is worked on."""

    target: FeatureSet
    X: np.ndarray
    rows: list[Row] = field(default_factory=list)

    def start(self, sample_ids: Sequence[str], inputs: Sequence[Input], backbone: LoadedBackbone) -> Callable[[], None]:
        """Starts the backbone on what could be prepared; what it returns waits for it and fills the rows."""
        good = [index for index, value in enumerate(inputs) if not isinstance(value, ImageError)]
        wait = backbone.submit([value for value in inputs if not isinstance(value, ImageError)])

        def finish() -> None:
            X = self.X[len(self.rows) : len(self.rows) + len(sample_ids)]
            X[good] = wait()
            finite = np.isfinite(X).all(axis=1)
            X[~finite] = 0
            for sample_id, value, is_finite in zip(sample_ids, inputs, finite.tolist(), strict=True):
                if isinstance(value, ImageError):
                    self.rows.append((sample_id, value.status, value.message))
                elif not is_finite:
                    self.rows.append((sample_id, NON_FINITE, "the backbone gave NaN or infinite values"))
                else:
                    self.rows.append((sample_id, OK, None))

        return finish


class Extractor:
    """Holds backbones and turns shards into feature files.

    Args:
        store: Where the files go.
        feature_sets: All that shards may ask for; each distinct backbone is loaded once.
        spec: How.
        device: Where the backbones run, for torch.
    """

    def __init__(
        self, store: Store, feature_sets: Sequence[FeatureSet], spec: ExtractionSpec, device: str = "cpu"
    ) -> None:
        self.store, self.spec, self.device = store, spec, device
        resolved = {feature_set.backbone.key(): feature_set.backbone for feature_set in feature_sets}
        self.backbones = {key: load(one, device, spec.runtime, spec.batch_size) for key, one in resolved.items()}
        self._unchecked = {key for key, one in resolved.items() if one.spec.precision != "float32"}

    def extract(self, shard: Shard, careful: bool = False) -> ShardReport:
        """Computes a shard and writes one file for each of its feature sets.

        A sample that can't be used becomes a row with its status in every feature set that it fails.

        Args:
            shard: What to compute.
            careful: Decode every image in a process of its own, for a shard that ended an earlier process.

        Raises:
            StoreError: The store can't be read or written.
        """
        clock = _Clock(self.backbones.values())
        columns = [_Column(t, np.zeros((len(shard), t.backbone.dimension), np.float32)) for t in shard.targets]
        with Preparer(self.backbones, shard.targets, self.spec, careful) as preparer:
            unfinished: list[Callable[[], None]] = []
            for sample_ids, inputs in clock.waiting_for(preparer.chunks(shard)):
                started = [
                    column.start(sample_ids, values, self.backbones[column.target.backbone.key()])
                    for column, values in zip(columns, inputs, strict=True)
                ]
                for finish in unfinished:  # those of the chunk before, so that a GPU always has one more to do
                    finish()
                unfinished = started
                if self._unchecked:
                    self._check_precision(shard, inputs)
            for finish in unfinished:
                finish()
        stages = clock.read(preparer)
        failures = {column.target.folder: _failures(column.rows) for column in columns}
        for column in columns:
            facts = self._provenance(column.target, len(shard), failures[column.target.folder], vars(stages))
            write_feature_file(self.store, shard.path(column.target), column.rows, column.X, facts)
        report = ShardReport(shard.name, shard.targets[0].dataset, len(shard), failures, clock.seconds())
        return replace(report, stuck_threads=preparer.stuck, **vars(stages))

    def _check_precision(self, shard: Shard, inputs: Sequence[Sequence[Input]]) -> None:
        """Compares reduced precisions with float32 on the first images that come along, once for each backbone."""
        for target, values in zip(shard.targets, inputs, strict=True):
            key = target.backbone.key()
            good = [value for value in values if not isinstance(value, ImageError)][:PRECISION_SAMPLES]
            if key not in self._unchecked or len(good) < 2:
                continue
            self._unchecked.remove(key)
            backbone = self.backbones[key]
            agreement = backbone.agreement(good)
            if agreement is not None:
                write_precision_check(self.store, target, agreement, backbone.facts())

    def _provenance(self, target: FeatureSet, n: int, failures: dict[str, int], stages: dict[str, float]) -> Facts:
        return provenance(
            feature_set=target.model_dump(mode="json"),
            device=self.device,
            runtime=self.backbones[target.backbone.key()].facts(),
            n=n,
            failures=failures,
            seconds_of_shard=stages,
        )


class _Clock:
    """Where a shard's seconds go."""

    def __init__(self, backbones: Iterable[LoadedBackbone]) -> None:
        self.started = time.perf_counter()
        self.wait_s = 0.0
        self.backbones = list(backbones)
        self.before = self._busy()

    def waiting_for(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """The chunks; the time until each comes is time that nobody used."""
        while True:
            asked = time.perf_counter()
            chunk = next(chunks, None)
            self.wait_s += time.perf_counter() - asked
            if chunk is None:
                return
            yield chunk

    def read(self, preparer: Preparer) -> SimpleNamespace:
        """The stages, as a report has them."""
        forward_s, transfer_s = (now - then for now, then in zip(self._busy(), self.before, strict=True))
        return SimpleNamespace(
            prepare_s=round(preparer.busy_s, 4),
            prepare_cpu_s=round(preparer.cpu_s, 4),
            wait_s=round(self.wait_s, 4),
            forward_s=round(forward_s, 4),
            transfer_s=round(transfer_s, 4),
        )

    def seconds(self) -> float:
        """Wall time so far."""
        return time.perf_counter() - self.started

    def _busy(self) -> tuple[float, float]:
        return (
            sum(backbone.busy.forward_s for backbone in self.backbones),
            sum(backbone.busy.transfer_s for backbone in self.backbones),
        )


def extract_here(
    store: Store,
    plan: ExtractionPlan,
    spec: ExtractionSpec,
    on_shard: Callable[[ShardReport], None],
    device: str = "cpu",
) -> list[ShardReport]:
    """Computes a plan in this process, shard after shard, without Ray.

    Args:
        store: Where the files go.
        plan: What is missing.
        spec: How.
        on_shard: Called after each shard.
        device: Where the backbones run, for torch.
    """
    if not plan.shards:
        return []
    for feature_set in plan.feature_sets:
        store.sweep(feature_set.folder)
    extractor = Extractor(store, plan.feature_sets, spec, device)
    reports = []
    for shard in plan.shards:
        report = extractor.extract(shard)
        reports.append(report)
        on_shard(report)
    return reports


def write_off(store: Store, shard: Shard, status: str, error: str) -> ShardReport:
    """Gives every sample of a shard that can't be computed a row that says so, so that none is forgotten.

    Feature sets whose file is there keep it: an attempt may have ended between two of them.
    """
    failures: dict[str, dict[str, int]] = {}
    for target in shard.targets:
        path = shard.path(target)
        if store.exists(path):
            failures[target.folder] = _failures_of_file(store, path)
            continue
        rows = [(sample_id, status, error) for sample_id, _ in shard.samples]
        failures[target.folder] = {status: len(shard)}
        facts = provenance(feature_set=target.model_dump(mode="json"), n=len(shard), failures={status: len(shard)})
        write_feature_file(store, path, rows, np.zeros((len(rows), target.backbone.dimension), np.float32), facts)
    return ShardReport(shard.name, shard.targets[0].dataset, len(shard), failures, 0.0)


def find_report(store: Store, shard: Shard) -> ShardReport | None:
    """The report of a shard whose files are all in the store, `None` where one is missing or was written off before."""
    failures: dict[str, dict[str, int]] = {}
    for target in shard.targets:
        path = shard.path(target)
        if not store.exists(path):
            return None
        failures[target.folder] = _failures_of_file(store, path)
        if failures[target.folder] == {QUARANTINED: len(shard)}:
            return None
    return ShardReport(shard.name, shard.targets[0].dataset, len(shard), failures, 0.0)


def _failures_of_file(store: Store, path: str) -> dict[str, int]:
    counts = store.read_table(path, columns=["status"])["status"].value_counts().to_pylist()
    return {str(one["values"]): int(one["counts"]) for one in counts if one["values"] != OK}


def _failures(rows: list[Row]) -> dict[str, int]:
    return dict(Counter(status for _, status, _ in rows if status != OK))
