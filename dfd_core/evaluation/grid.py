"""The grid {training set x augmentation x backbone x reducer x classifier}: its cells, fitted and scored.

A cell's scores and its fitted detector are written under a key that holds all they depend on: the detector's spec, the
feature sets and which of their samples have a vector, and the manifests. What is there is not computed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from dfd_core.classifiers import ClassifierSpec
from dfd_core.detectors import DetectorSpec, fit
from dfd_core.evaluation.protocols import ProtocolSpec, training_sets
from dfd_core.evaluation.samples import Samples
from dfd_core.evaluation.scoring import score_detector
from dfd_core.evaluation.training import training_rows
from dfd_core.features.files import read_features, read_statuses
from dfd_core.features.sets import FeatureSet
from dfd_core.features.table import FeatureTable
from dfd_core.provenance import provenance
from dfd_core.reducers import ReducerSpec
from dfd_core.specs import Spec, content_hash, readable_key
from dfd_core.storage import Store

VERSION = 1
"""Of the code that fits and scores; raised when the same input gives other scores."""


class GridSpec(Spec):
    """What is trained on every training set.

    Attributes:
        reducers: What stands between features and classifier.
        classifiers: What is trained.
        protocol: What trains and what tests.
        seed: Seeds the classifiers.
        shuffle_labels: A control: labels are permuted among the training rows.
    """

    reducers: tuple[ReducerSpec, ...]
    classifiers: tuple[ClassifierSpec, ...]
    protocol: ProtocolSpec = ProtocolSpec()
    seed: int = 0
    shuffle_labels: bool = False


@dataclass(frozen=True)
class DetectorJob:
    """One detector to fit and to score.

    Attributes:
        spec: The detector.
        key: Its key in the store.
    """

    spec: DetectorSpec
    key: str

    @property
    def scores_path(self) -> str:
        """Where its scores stand in the store."""
        return f"scores/{self.key}.parquet"

    @property
    def detector_path(self) -> str:
        """Where the fitted detector stands in the store."""
        return f"detectors/{self.key}.skops"


@dataclass(frozen=True)
class Bench:
    """What all detectors of one backbone share while they are fitted.

    Attributes:
        store: Where scores and detectors go.
        samples: The rows of the manifests.
        bank: The backbone's vectors by dataset and name of augmentation.
        protocol: What trains and what tests.
    """

    store: Store
    samples: Samples
    bank: Mapping[tuple[str, str], FeatureTable]
    protocol: ProtocolSpec


def plan_detectors(
    store: Store,
    samples: Samples,
    manifest_digests: Sequence[str],
    feature_sets: Sequence[FeatureSet],
    grid: GridSpec,
) -> list[DetectorJob]:
    """Every detector of a grid, finished or not.

    Args:
        store: Where the features are.
        samples: The rows of the manifests of all datasets.
        manifest_digests: Their digests.
        feature_sets: All of them.
        grid: What is trained.

    Raises:
        EvaluationError: No generator can be trained on.
    """
    sets = training_sets(samples, grid.protocol)
    jobs = []
    for label, own in by_backbone(feature_sets).items():
        names = list(dict.fromkeys(feature_set.augmentation.name for feature_set in own))
        facts = {
            "version": VERSION,
            "manifests": sorted(manifest_digests),
            "features": sorted([one.folder, _content(store, one, samples)] for one in own),
            "protocol": grid.protocol.model_dump(mode="json"),
        }
        for one, augmentation, reducer, classifier in product(
            sets, grid.protocol.choose_training(names), grid.reducers, grid.classifiers
        ):
            spec = DetectorSpec(
                train_dataset=one.dataset,
                train_generator=one.generator,
                train_augmentation=augmentation,
                backbone=label,
                reducer=reducer,
                classifier=classifier,
                seed=grid.seed,
                shuffle_labels=grid.shuffle_labels,
            )
            key = readable_key(spec.name(), content_hash({**facts, "detector": spec.model_dump(mode="json")}))
            jobs.append(DetectorJob(spec, key))
    return jobs


def by_backbone(feature_sets: Iterable[FeatureSet]) -> dict[str, list[FeatureSet]]:
    """Feature sets by the label of their backbone."""
    found: dict[str, list[FeatureSet]] = {}
    for feature_set in feature_sets:
        found.setdefault(feature_set.backbone.label, []).append(feature_set)
    return found


def load_bank(store: Store, feature_sets: Iterable[FeatureSet]) -> dict[tuple[str, str], FeatureTable]:
    """The vectors of one backbone, by dataset and name of augmentation."""
    return {(fs.dataset, fs.augmentation.name): read_features(store, fs.folder) for fs in feature_sets}


def fit_and_score(bench: Bench, job: DetectorJob) -> str:
    """Fits one detector, scores all test samples with it and writes both.

    Returns:
        The path of the scores in the store.

    Raises:
        EvaluationError: The detector can't be fitted or nothing can be scored.
        StoreError: The store can't be written.
    """
    spec = job.spec
    X, y, notes = training_rows(spec, bench.samples, bench.bank[spec.train_dataset, spec.train_augmentation])
    detector = fit(spec, X, y, notes)
    scores = score_detector(detector, bench.bank, bench.samples, bench.protocol)
    detector.save(bench.store, job.detector_path)
    facts: dict[str, Any] = {"detector": spec.model_dump(mode="json"), "key": job.key, "n": scores.num_rows}
    bench.store.write_table(job.scores_path, scores, provenance(**facts))
    return job.scores_path


def missing_jobs(store: Store, jobs: Sequence[DetectorJob]) -> list[DetectorJob]:
    """The jobs that have no scores yet, with one listing."""
    present = set(store.names("scores", ".parquet"))
    return [job for job in jobs if job.scores_path.removeprefix("scores/") not in present]


def _content(store: Store, feature_set: FeatureSet, samples: Samples) -> str:
    """A digest of which of the dataset's samples have a vector, and of why the others have none."""
    own = samples.frame.loc[samples.frame["dataset"] == feature_set.dataset, "sample_id"].unique()
    statuses = read_statuses(store, feature_set.folder)
    text = "\n".join(f"{sample_id} {statuses.get(sample_id)}" for sample_id in sorted(own))
    return hashlib.sha256(text.encode()).hexdigest()
