"""Extraction: read a shard's images once, decode once, apply every augmentation, run every backbone, write.

An `Extractor` does not know who calls it: the plain loop below and distributed actors use the same one.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from PIL import Image
from pydantic import Field

from dfd_core.augmentations import augment
from dfd_core.backbones import LoadedBackbone, load
from dfd_core.errors import ImageError
from dfd_core.features.decoding import DecodePolicy, decode
from dfd_core.features.files import write_feature_file
from dfd_core.features.planning import ExtractionPlan, Shard
from dfd_core.features.reading import read_original
from dfd_core.features.sets import FeatureSet
from dfd_core.features.statuses import NON_FINITE, OK, QUARANTINED
from dfd_core.provenance import provenance
from dfd_core.specs import Spec
from dfd_core.storage import Store

Row = tuple[str, str, str | None]


class ExtractionSpec(Spec):
    """How extraction is carried out. Apart from `decode`, nothing here changes a vector.

    Attributes:
        decode: How bytes become pixels.
        shard_size: Images in a shard, the unit of work, of retry and of what a kill can lose; by default a 64th of the
            dataset, but 32 to 2048.
        batch_size: Images in one forward pass.
        threads: Threads that read, decode, augment and transform, in each actor.
        max_failed_fraction: The share of samples without a vector above which the run fails, in each feature set.
        retry_failed: Whether samples that failed in an earlier run are tried again.
    """

    decode: DecodePolicy = DecodePolicy()
    shard_size: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] = 32
    threads: Annotated[int, Field(ge=1)] = 1
    max_failed_fraction: Annotated[float, Field(ge=0, le=1)] = 0.01
    retry_failed: bool = False


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
        wait_s: Seconds in which the networks waited for prepared images.
        forward_s: Seconds in the networks, transfers included.
        transfer_s: Of these, seconds in transfers to a GPU.
        stuck_threads: Threads that are still in a decoder that was given up on; the process should be replaced.
    """

    shard: str
    dataset: str
    samples: int
    failures: dict[str, dict[str, int]]
    seconds: float
    worker: str = "here"
    prepare_s: float = 0.0
    wait_s: float = 0.0
    forward_s: float = 0.0
    transfer_s: float = 0.0
    stuck_threads: int = 0


@dataclass
class _Column:
    """One feature set's rows and vectors while a shard is worked on."""

    target: FeatureSet
    dimension: int
    rows: list[Row] = field(default_factory=list)
    vectors: list[np.ndarray] = field(default_factory=list)

    def add(self, sample_ids: Sequence[str], prepared: Sequence[Any], backbone: LoadedBackbone) -> None:
        """Runs the backbone on what could be prepared; `prepared` holds an input or an ImageError per sample."""
        X = np.zeros((len(sample_ids), self.dimension), dtype=np.float32)
        good = [index for index, value in enumerate(prepared) if not isinstance(value, ImageError)]
        if good:
            X[good] = backbone.embed([prepared[index] for index in good])
        finite = np.atleast_1d(np.isfinite(X).all(axis=1))
        for index, (sample_id, value) in enumerate(zip(sample_ids, prepared, strict=True)):
            if isinstance(value, ImageError):
                self.rows.append((sample_id, value.status, value.message))
            elif not finite[index]:
                self.rows.append((sample_id, NON_FINITE, "the backbone gave NaN or infinite values"))
                X[index] = 0
            else:
                self.rows.append((sample_id, OK, None))
        self.vectors.append(X)


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
        self.backbones = {key: load(backbone, device) for key, backbone in resolved.items()}

    def extract(self, shard: Shard, careful: bool = False) -> ShardReport:
        """Computes a shard and writes one file for each of its feature sets.

        A sample that can't be used becomes a row with its status in every feature set that it fails.

        Args:
            shard: What to compute.
            careful: Decode every image in a process of its own, for a shard that ended an earlier process.

        Raises:
            StoreError: The store can't be read or written.
        """
        started = time.perf_counter()
        columns = [_Column(t, self.backbones[t.backbone.key()].dimension) for t in shard.targets]
        with ThreadPoolExecutor(self.spec.threads, thread_name_prefix="decode") as pool:
            for sample_ids, prepared in self._batches(shard, pool):
                for index, column in enumerate(columns):
                    backbone = self.backbones[column.target.backbone.key()]
                    column.add(sample_ids, [values[index] for values in prepared], backbone)
        seconds = time.perf_counter() - started
        failures = {column.target.folder: _failures(column.rows) for column in columns}
        for column in columns:
            facts = self._provenance(column.target, len(shard), failures[column.target.folder], seconds)
            write_feature_file(
                self.store, shard.path(column.target), column.rows, np.concatenate(column.vectors), facts
            )
        return ShardReport(shard.name, shard.targets[0].dataset, len(shard), failures, time.perf_counter() - started)

    def _batches(self, shard: Shard, pool: ThreadPoolExecutor) -> Iterator[tuple[list[str], list[list[Any]]]]:
        """Batches whose next is prepared by the threads while the backbones run on this one."""
        size = self.spec.batch_size
        parts = [shard.samples[start : start + size] for start in range(0, len(shard), size)]
        ahead: list[list[Future[list[Any]]]] = []
        waiting = iter(parts)
        for part in parts:
            for upcoming in itertools.islice(waiting, 2 - len(ahead)):
                ahead.append([pool.submit(self._prepare, *sample, shard.targets) for sample in upcoming])
            yield [sample_id for sample_id, _ in part], [future.result() for future in ahead.pop(0)]

    def _prepare(self, sample_id: str, url: str, targets: tuple[FeatureSet, ...]) -> list[Any]:
        """One image's backbone inputs, or the ImageError in place of each that can't be made."""
        try:
            image = decode(read_original(url, sample_id), self.spec.decode)
        except ImageError as error:
            return [error] * len(targets)
        pixels: dict[str, Image.Image | ImageError] = {}
        inputs: list[Any] = []
        for target in targets:
            key = target.augmentation.key()
            if key not in pixels:
                pixels[key] = _or_error(augment, target.augmentation, image, sample_id)
            augmented = pixels[key]
            if isinstance(augmented, ImageError):
                inputs.append(augmented)
            else:
                inputs.append(_or_error(self.backbones[target.backbone.key()].transform, augmented))
        return inputs

    def _provenance(self, target: FeatureSet, n: int, failures: dict[str, int], seconds: float) -> dict[str, Any]:
        return provenance(
            feature_set=target.model_dump(mode="json"),
            device=self.device,
            n=n,
            failures=failures,
            seconds=round(seconds, 3),
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
    extractor = Extractor(store, plan.feature_sets, spec, device)
    reports = []
    for shard in plan.shards:
        report = extractor.extract(shard)
        reports.append(report)
        on_shard(report)
    return reports


def write_off(store: Store, shard: Shard, status: str, error: str) -> ShardReport:
    """Gives every sample of a shard that can't be computed a row that says so, so that none is forgotten."""
    for target in shard.targets:
        rows = [(sample_id, status, error) for sample_id, _ in shard.samples]
        facts = provenance(feature_set=target.model_dump(mode="json"), n=len(shard), failures={status: len(shard)})
        write_feature_file(
            store, shard.path(target), rows, np.zeros((len(rows), target.backbone.dimension), np.float32), facts
        )
    failures = {target.folder: {status: len(shard)} for target in shard.targets}
    return ShardReport(shard.name, shard.targets[0].dataset, len(shard), failures, 0.0)


def find_report(store: Store, shard: Shard) -> ShardReport | None:
    """The report of a shard whose files are all in the store, `None` where one is missing or was written off before."""
    failures: dict[str, dict[str, int]] = {}
    for target in shard.targets:
        if not store.exists(shard.path(target)):
            return None
        statuses = store.read_table(shard.path(target), columns=["status"])["status"].to_pylist()
        if set(statuses) == {QUARANTINED}:
            return None
        failures[target.folder] = dict(Counter(status for status in statuses if status != OK))
    return ShardReport(shard.name, shard.targets[0].dataset, len(shard), failures, 0.0)


def _or_error(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except ImageError as error:
        return error


def _failures(rows: list[Row]) -> dict[str, int]:
    return dict(Counter(status for _, status, _ in rows if status != OK))
