"""The hierarchies of a run: what each is fitted on and tested with, and where its results stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfd_core.detectors.hierarchy_rows import HierarchyRows
from dfd_core.detectors.hierarchy_spec import HierarchySpec
from dfd_core.errors import EvaluationError
from dfd_core.evaluation.banks import VectorSet, failed_samples
from dfd_core.evaluation.bootstrap import BootstrapSpec, Resamples
from dfd_core.evaluation.cells import Bench
from dfd_core.evaluation.grid import METADATA
from dfd_core.evaluation.hierarchy_measures import Resampling
from dfd_core.evaluation.protocols import ProtocolSpec
from dfd_core.evaluation.samples import TEST, TRAIN, Generator, Samples
from dfd_core.evaluation.training import vectors_of
from dfd_core.specs import content_hash, readable_key
from dfd_core.storage import Store

VERSION = 1
"""Of the code that fits and measures; raised when the same input gives other results."""


class RunHierarchySpec(HierarchySpec):
    """A hierarchy of a run.

    Attributes:
        leave_out: Generators that are tested and not trained on, beside those that have no training images.
    """

    leave_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class HierarchyJob:
    """One hierarchy on the vectors of one backbone.

    Attributes:
        spec: The hierarchy.
        backbone: Label of the backbone.
        augmentation: Name of the augmentation of the training rows.
        bootstrap: How intervals are made.
        key: The key of its results.
    """

    spec: RunHierarchySpec
    backbone: str
    augmentation: str
    bootstrap: BootstrapSpec
    key: str

    @property
    def folder(self) -> str:
        """Where its results stand in the store."""
        return f"hierarchies/{self.key}"

    def is_done(self, store: Store) -> bool:
        """Whether its results are there."""
        return store.exists(f"{self.folder}/results.parquet")


def plan_hierarchies(
    store: Store,
    samples: Samples,
    manifest_digests: Mapping[str, str],
    sets: Mapping[str, Sequence[VectorSet]],
    specs: Sequence[RunHierarchySpec],
    rules: tuple[ProtocolSpec, BootstrapSpec],
) -> list[HierarchyJob]:
    """Every hierarchy of a run on every backbone and training augmentation with training samples, finished or not."""
    protocol, bootstrap = rules
    everything = tuple(samples.families)
    jobs = []
    for label, own in sets.items():
        if label == METADATA:
            continue
        features = (
            sorted([list(one.folders), sorted(failed_samples(store, one).items())] for one in own) if specs else []
        )
        for spec in specs:
            for augmentation in protocol.choose_training(list(dict.fromkeys(one.augmentation for one in own))):
                if samples.members(everything, TRAIN, augmentation).rows.empty:
                    continue
                title = " / ".join([spec.name, label, augmentation])
                named = spec.model_copy(update={"name": title})
                facts = [VERSION, named.model_dump(mode="json"), label, augmentation, features, dict(manifest_digests)]
                facts += [protocol.model_dump(mode="json"), bootstrap.model_dump(mode="json")]
                key = readable_key(title, content_hash(facts))
                jobs.append(HierarchyJob(named, label, augmentation, bootstrap, key))
    return jobs


def fit_hierarchy(bench: Bench, job: HierarchyJob) -> str:
    """Fits a hierarchy, measures it and writes what was found.

    Returns:
        The folder of its results in the store.

    Raises:
        EvaluationError: It can't be fitted or tested.
        StoreError: The store can't be read or written.
    """
    from dfd_core.evaluation.hierarchy import fit_and_evaluate_hierarchy

    trained, tested = _sides(job.spec, bench.samples)
    rows = bench.samples.members(trained, TRAIN, job.augmentation).rows
    train = _rows(rows, bench, job, job.augmentation)
    tests = dict(_tests(bench, job, tested, train))
    resampling = Resampling(lambda y, group: Resamples(y, group, job.bootstrap), job.bootstrap.level)
    spec = HierarchySpec.model_validate(job.spec.model_dump(exclude={"leave_out"}))
    fit_and_evaluate_hierarchy(spec, train, tests, resampling).save(bench.store, job.folder)
    return job.folder


def keep_failure(store: Store, job: HierarchyJob, error: Exception) -> None:
    """Keeps why a hierarchy can't be fitted, for the report."""
    store.write_json(f"{job.folder}/failure.json", {"hierarchy": job.spec.name, "error": str(error)})


def failure_of(store: Store, job: HierarchyJob) -> str | None:
    """Why a hierarchy could not be fitted; `None` where it was, or was not tried."""
    path = f"{job.folder}/failure.json"
    return str(store.read_json(path)["error"]) if store.exists(path) and not job.is_done(store) else None


def missing_hierarchies(store: Store, jobs: Sequence[HierarchyJob], retry_failed: bool = False) -> list[HierarchyJob]:
    """The jobs that have no results yet; on request those that failed too."""
    return [job for job in jobs if not job.is_done(store) and (retry_failed or failure_of(store, job) is None)]


def _sides(spec: RunHierarchySpec, samples: Samples) -> tuple[tuple[Generator, ...], tuple[Generator, ...]]:
    known = {generator for _, generator in samples.families}
    unknown = sorted(set(spec.leave_out) - known)
    if unknown:
        raise EvaluationError(
            f"The hierarchy {spec.name} leaves out {', '.join(unknown)}, which no dataset has. There are: "
            f"{', '.join(sorted(known))}."
        )
    return tuple(pair for pair in samples.families if pair[1] not in spec.leave_out), samples.tested


def _tests(
    bench: Bench, job: HierarchyJob, tested: tuple[Generator, ...], train: HierarchyRows
) -> Iterator[tuple[str, HierarchyRows]]:
    """All test samples under each augmentation that is tested, without those that were trained on."""
    available = {augmentation for _, augmentation in bench.bank}
    for augmentation in sorted(bench.protocol.choose_testing(available, job.augmentation)):
        datasets = {dataset for dataset, name in bench.bank if name == augmentation}
        sets = tuple(pair for pair in tested if pair[0] in datasets)
        rows = bench.samples.members(sets, TEST, augmentation).rows
        if len(rows):
            found = _rows(rows, bench, job, augmentation)
            fresh = ~np.isin(found.sample_id, train.sample_id) & ~np.isin(found.group, train.group)
            yield augmentation, HierarchyRows(*(column[fresh] for column in _columns(found)))


def _rows(rows: pd.DataFrame, bench: Bench, job: HierarchyJob, augmentation: str) -> HierarchyRows:
    found = vectors_of(rows, bench.bank, augmentation, job.backbone)
    rows = rows[found.present]
    text = {name: rows[name].to_numpy(dtype=object).astype(str) for name in ("family", "generator", "sample_id")}
    group = (rows["dataset"] + "/" + rows["group"]).to_numpy(dtype=object).astype(str)
    label = rows["label"].to_numpy().astype(np.int8)
    return HierarchyRows(found.X, label, text["family"], text["generator"], group, text["sample_id"])


def _columns(rows: HierarchyRows) -> tuple[np.ndarray, ...]:
    return rows.X, rows.label, rows.family, rows.generator, rows.group, rows.sample_id
