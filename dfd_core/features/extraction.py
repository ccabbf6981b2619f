"""Extraction: read a shard's images once, decode once, apply every augmentation, run every backbone, write.

A shard goes through three stages, `prefetch`, `compute` and `write`, and different shards may be in them at one time,
so that a device neither waits for the first images of a shard nor for files. An `Extractor` does not know who calls it:
the plain loop below and distributed actors use the same one.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dfd_core.backbones import LoadedBackbone, load
from dfd_core.backbones.specs import Busy
from dfd_core.errors import ImageError
from dfd_core.features.files import write_feature_file
from dfd_core.features.planning import ExtractionPlan, Shard
from dfd_core.features.precision import write_precision_check
from dfd_core.features.preparation import Chunk, Input, Preparer
from dfd_core.features.reports import Row, ShardReport, find_report, report_of, write_off
from dfd_core.features.sets import FeatureSet
from dfd_core.features.spec import ExtractionSpec
from dfd_core.features.stages import SharedClock, Stages
from dfd_core.features.threads import DeadlinePool, Ticket
from dfd_core.provenance import provenance
from dfd_core.statuses import NON_FINITE, OK
from dfd_core.storage import Store

__all__ = ["Computed", "Extractor", "ShardReport", "extract_here", "find_report", "write_off"]

PRECISION_SAMPLES = 16
_LAST_WRITE_S = 5.0
"""For what is computed when somebody stops; a store that hangs must not hold up the end."""
Finish = Callable[[], None]


@dataclass
class _Column:
    """One feature set's rows and vectors while a shard is worked on."""

    target: FeatureSet
    X: np.ndarray
    rows: list[Row] = field(default_factory=list)

    def start(self, sample_ids: Sequence[str], inputs: Sequence[Input], backbone: LoadedBackbone) -> Finish:
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


@dataclass
class Computed:
    """A shard that only has to be written; any thread may do so.

    Attributes:
        extractor: Who computed it.
        shard: What was computed.
        columns: Rows and vectors of each feature set.
        unfinished: What a GPU may still be computing, so that it goes on with the next shard without a pause.
        busy: The devices' seconds; complete once nothing is unfinished.
        stages: The other seconds.
        stuck_threads: Threads of the preparation that were given up on.
    """

    extractor: Extractor
    shard: Shard
    columns: list[_Column]
    unfinished: list[Finish]
    busy: Busy
    stages: Stages
    stuck_threads: int

    def write(self) -> ShardReport:
        """Writes one file for each feature set.

        Raises:
            StoreError: The store can't be written.
        """
        for finish in self.unfinished:
            finish()
        stages = replace(self.stages, transfer_s=self.busy.transfer_s, forward_s=self.busy.forward_s)
        report = report_of(self.shard, {column.target.folder: column.rows for column in self.columns})
        self.extractor.writing.begin()
        try:
            for column in self.columns:
                facts = self._provenance(column.target, report.failures[column.target.folder], stages)
                write_feature_file(self.extractor.store, self.shard.path(column.target), column.rows, column.X, facts)
        finally:
            write_s = self.extractor.writing.end()
        return replace(report, stages=replace(stages, write_s=write_s), stuck_threads=self.stuck_threads)

    def _provenance(self, target: FeatureSet, failures: dict[str, int], stages: Stages) -> dict[str, Any]:
        return provenance(
            feature_set=target.model_dump(mode="json"),
            device=self.extractor.device,
            runtime=self.extractor.backbones[target.backbone.key()].facts(),
            n=len(self.shard),
            failures=failures,
            seconds_of_shard=_as_recorded(stages),
        )


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
        self._computed_until_s = 0.0
        self.writing = SharedClock()

    def extract(self, shard: Shard, careful: bool = False) -> ShardReport:
        """Computes a shard and writes one file for each of its feature sets.

        A sample that can't be used becomes a row with its status in every feature set that it fails.

        Args:
            shard: What to compute.
            careful: Decode every image in a process of its own, for a shard that ended an earlier process.

        Raises:
            StoreError: The store can't be read or written.
        """
        return self.compute(self.prefetch(shard, careful)).write()

    def extract_all(self, shards: Iterable[Shard]) -> Generator[ShardReport, None, None]:
        """Computes shards in their order and gives each one's report once its files are there.

        The networks run in the caller's thread. Meanwhile the shard after is prepared and the one before written; the
        report of a shard comes when the next is computed.

        Raises:
            StoreError: The store can't be read or written.
        """
        line: deque[Preparer] = deque()
        upcoming = iter(shards)
        writing: Ticket[ShardReport] | None = None
        writer = DeadlinePool(1, math.inf, "write")
        try:
            while True:
                line.extend(map(self.prefetch, itertools.islice(upcoming, 2 - len(line))))
                if not line:
                    break
                computed = self.compute(line[0])
                line.popleft()
                before, writing = writing, writer.submit(computed.write)
                if before is not None:
                    yield before.result()
            if writing is not None:
                yield writing.result()
        finally:
            for prepared in line:
                prepared.close()
            writer.close(finish_within_s=_LAST_WRITE_S)

    def prefetch(self, shard: Shard, careful: bool = False) -> Preparer:
        """Begins to read and decode a shard that will be computed soon: its first images, and no more than a chunk.

        Returns:
            What `compute` takes, which closes it; else it is to be closed.
        """
        return Preparer(self.backbones, shard, self.spec, careful, self.device)

    def compute(self, prepared: Preparer) -> Computed:
        """Runs the networks over a shard. To be called from one thread only.

        Raises:
            StoreError: The place where the images are does not answer.
        """
        shard, busy, wait_s = prepared.shard, Busy(), 0.0
        for backbone in self.backbones.values():
            backbone.busy = busy
        columns = [_Column(t, np.zeros((len(shard), t.backbone.dimension), np.float32)) for t in shard.targets]
        unfinished: list[Finish] = []
        with contextlib.closing(prepared):
            for seconds, (sample_ids, inputs) in _timed(prepared.chunks()):
                wait_s += seconds
                started = [
                    column.start(sample_ids, values, self.backbones[column.target.backbone.key()])
                    for column, values in zip(columns, inputs, strict=True)
                ]
                for finish in unfinished:  # those of the chunk before, so that a GPU always has one more to do
                    finish()
                unfinished = started
                if self._unchecked:
                    self._check_precision(shard, inputs)
        now_s = time.perf_counter()
        began_s, self._computed_until_s = max(prepared.began_s, self._computed_until_s), now_s
        stages = Stages(len(shard), now_s - began_s, prepared.pool.busy_s, prepared.pool.cpu_s, wait_s)
        return Computed(self, shard, columns, unfinished, busy, stages, prepared.pool.stuck)

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


def _as_recorded(stages: Stages) -> dict[str, float]:
    """Seconds of a shard as a file's provenance has them; how long writing takes is not known before."""
    seconds = {name: s for name, s in vars(stages).items() if name not in ("images", "write_s")}
    return {"seconds": seconds.pop("wall_s"), **seconds}  # the name that files had from the start


def _timed(chunks: Iterator[Chunk]) -> Iterator[tuple[float, Chunk]]:
    """The chunks, each with the seconds that it was waited for."""
    while True:
        asked_s = time.perf_counter()
        chunk = next(chunks, None)
        if chunk is None:
            return
        yield time.perf_counter() - asked_s, chunk


def extract_here(
    store: Store,
    plan: ExtractionPlan,
    spec: ExtractionSpec,
    on_shard: Callable[[ShardReport], None],
    device: str = "cpu",
) -> list[ShardReport]:
    """Computes a plan in this process, without Ray.

    Args:
        store: Where the files go.
        plan: What is missing.
        spec: How.
        on_shard: Called for each shard, in their order.
        device: Where the backbones run, for torch.

    Returns:
        What `on_shard` got.

    Raises:
        StoreError: The store, or where the images are, can't be reached or is full.
        WeightsError: A backbone's weights are gone or others than were resolved.
        UsageError: There is no such device, or the runtime can't run one of the networks.
    """
    if not plan.shards:
        return []
    for feature_set in plan.feature_sets:
        store.sweep(feature_set.folder)
    reports = []
    with contextlib.closing(Extractor(store, plan.feature_sets, spec, device).extract_all(plan.shards)) as finished:
        for report in finished:
            reports.append(report)
            on_shard(report)
    return reports
