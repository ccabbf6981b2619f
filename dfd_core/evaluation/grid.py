"""The grid {training set x augmentation x backbone x reducer x classifier}: its cells and the keys of what they give.

A fitted detector's key holds what it was fitted on and nothing of what tests it, so that a new augmentation or dataset
to test on computes scores, and no fit, anew. The key of its scores holds what was scored. What is there is not computed
again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from dfd_core.classifiers import ClassifierSpec
from dfd_core.detectors import DetectorSpec
from dfd_core.errors import EvaluationError
from dfd_core.evaluation.banks import VectorSet, failed_samples
from dfd_core.evaluation.protocols import ProtocolSpec, TrainingSet, training_sets, usable_sets
from dfd_core.evaluation.samples import TRAIN, Samples
from dfd_core.evaluation.scoring import failure_of
from dfd_core.reducers import ReducerSpec
from dfd_core.specs import Spec, content_hash, readable_key
from dfd_core.storage import Store

VERSION = 2
"""Of the code that fits and scores; raised when the same input gives other scores."""
METADATA = "metadata"
"""Label of the pseudo-backbone whose vectors are facts of the files; the detectors on it are the shortcut probe."""


class GridSpec(Spec):
    """What is trained on every training set.

    Attributes:
        reducers: What stands between features and classifier.
        classifiers: What is trained.
        probe: What is trained on the files' metadata, where there are such vectors.
        protocol: What trains and what tests.
        seed: Seeds reducers and classifiers.
        shuffle_labels: A control: labels are permuted among the training rows.
    """

    reducers: tuple[ReducerSpec, ...]
    classifiers: tuple[ClassifierSpec, ...]
    probe: ClassifierSpec | None = None
    protocol: ProtocolSpec = ProtocolSpec()
    seed: int = 0
    shuffle_labels: bool = False

    def of_backbone(self, label: str) -> GridSpec:
        """The grid of one backbone: on metadata the probe alone, on the augmentations that metadata have."""
        if label != METADATA or self.probe is None:
            return self
        any_augmentation = self.protocol.model_copy(update={"train_augmentations": None, "test_augmentations": None})
        return self.model_copy(
            update={"reducers": (ReducerSpec(),), "classifiers": (self.probe,), "protocol": any_augmentation}
        )


@dataclass(frozen=True)
class DetectorJob:
    """One detector to fit and to score.

    Attributes:
        spec: The detector.
        reducer_key: The key of the fitted reducer.
        fit_key: The key of the fitted detector.
        key: The key of its scores.
    """

    spec: DetectorSpec
    reducer_key: str
    fit_key: str
    key: str

    @property
    def reducer_path(self) -> str:
        """Where the fitted reducer stands in the store."""
        return f"reducers/{self.reducer_key}.skops"

    @property
    def scores_path(self) -> str:
        """Where its scores stand in the store."""
        return f"scores/{self.key}.parquet"

    @property
    def detector_path(self) -> str:
        """Where the fitted detector stands in the store."""
        return f"detectors/{self.fit_key}.skops"


def plan_detectors(
    store: Store,
    samples: Samples,
    manifest_digests: Mapping[str, str],
    sets: Mapping[str, Sequence[VectorSet]],
    grid: GridSpec,
) -> list[DetectorJob]:
    """Every detector of a grid, finished or not.

    Args:
        store: Where the features are.
        samples: The rows of the manifests of all datasets.
        manifest_digests: Their digests by dataset.
        sets: The vectors by label of the backbone.
        grid: What is trained.

    Raises:
        EvaluationError: No generator can be trained on.
    """
    jobs = [
        job
        for label, own in sets.items()
        for job in _of_backbone(store, samples, manifest_digests, own, grid.of_backbone(label))
    ]
    if not jobs:
        training_sets(samples, grid.protocol)  # says what there is
        raise EvaluationError("No training set has features of all its datasets under one augmentation. Extract them.")
    return jobs


def _of_backbone(
    store: Store,
    samples: Samples,
    manifest_digests: Mapping[str, str],
    own: Sequence[VectorSet],
    grid: GridSpec,
) -> Iterator[DetectorJob]:
    failed = {(one.dataset, one.augmentation): failed_samples(store, one) for one in own}
    folders = {(one.dataset, one.augmentation): one.folders for one in own}
    tests = {
        "version": VERSION,
        "manifests": dict(manifest_digests),
        "features": sorted([*folders[place], content_hash(sorted(failed[place].items()))] for place in folders),
        "protocol": grid.protocol.model_dump(mode="json", exclude={"train_on"}),
    }
    for augmentation in grid.protocol.choose_training(list(dict.fromkeys(one.augmentation for one in own))):
        for trained in usable_sets(samples, grid.protocol, augmentation):
            places = [(dataset, augmentation) for dataset in dict.fromkeys(name for name, _ in trained.members)]
            if not all(place in folders for place in places):
                continue
            facts = {
                "version": VERSION,
                "features": [folders[place] for place in places],
                "rows": _training_digest(samples, trained, augmentation, [failed[place] for place in places]),
            }
            for reducer, classifier in product(grid.reducers, grid.classifiers):
                spec = _spec(trained, augmentation, own[0].backbone, grid).model_copy(
                    update={"reducer": reducer, "classifier": classifier}
                )
                fit_hash = content_hash({**facts, "detector": spec.model_dump(mode="json")})
                yield DetectorJob(
                    spec,
                    reducer_key=readable_key(
                        reducer.label(), content_hash([facts, reducer.model_dump(mode="json"), grid.seed])
                    ),
                    fit_key=readable_key(spec.name(), fit_hash),
                    key=readable_key(spec.name(), content_hash({**tests, "fit": fit_hash})),
                )


def _spec(trained: TrainingSet, augmentation: str, backbone: str, grid: GridSpec) -> DetectorSpec:
    return DetectorSpec(
        protocol=trained.protocol,
        train_dataset=trained.dataset,
        train_generator=trained.generator,
        train_members=trained.members,
        train_augmentation=augmentation,
        backbone=backbone,
        classifier=grid.classifiers[0],
        seed=grid.seed,
        shuffle_labels=grid.shuffle_labels,
    )


def missing_jobs(store: Store, jobs: Sequence[DetectorJob], retry_failed: bool = False) -> list[DetectorJob]:
    """The jobs that have no scores yet, with one listing; on request those that failed too."""
    present = set(store.names("scores", ".parquet"))
    return [
        job
        for job in jobs
        if job.scores_path.removeprefix("scores/") not in present
        or (retry_failed and failure_of(store.read_table(job.scores_path)) is not None)
    ]


def _training_digest(
    samples: Samples, trained: TrainingSet, augmentation: str, failed: Sequence[Mapping[str, str]]
) -> str:
    """A digest of the rows that a detector is fitted on, and of which of them have no vector."""
    rows = samples.members(trained.members, TRAIN, augmentation).rows
    digest = hashlib.sha256()
    for name in ("dataset", "sample_id", "label"):
        digest.update("\0".join(map(str, rows[name].tolist())).encode() + b"\n")
    ids = set(rows["sample_id"])
    lost = sorted((sample_id, status) for one in failed for sample_id, status in one.items() if sample_id in ids)
    digest.update(repr(lost).encode())
    return digest.hexdigest()
