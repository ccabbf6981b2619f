"""Detectors' scores for every test and validation sample, each scored once.

A sample that is among the detector's training samples, or shares a group of the same dataset with one, gets no
score but the status `excluded`. One without a vector keeps the status of its extraction,
also where it would be excluded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from dfd_core.detectors import Detector, DetectorSpec, DetectorSummary
from dfd_core.errors import EvaluationError
from dfd_core.evaluation.protocols import ProtocolSpec
from dfd_core.evaluation.samples import TEST, TRAIN, VALIDATION, Samples
from dfd_core.evaluation.training import Bank, vectors_of

OK, EXCLUDED = "ok", "excluded"
SCORES_SCHEMA = pa.schema(
    [
        ("test_dataset", pa.string()),
        ("test_augmentation", pa.string()),
        ("split", pa.string()),
        ("sample_id", pa.string()),
        ("score", pa.float64()),
        ("status", pa.string()),
    ]
)
_SUMMARY_KEY, _SPEC_KEY, _FAILURE_KEY = b"dfd_detector", b"dfd_detector_spec", b"dfd_failure"


class Part(NamedTuple):
    """Samples that are scored together: one dataset, augmentation and split.

    Attributes:
        dataset: The dataset.
        augmentation: The augmentation.
        split: `test` or `validation`.
        sample_ids: (M,) sorted.
        status: (M,) `ok`, `excluded`, or why there is no vector.
        X: (N, D) float32, of those with status `ok`.
    """

    dataset: str
    augmentation: str
    split: str
    sample_ids: np.ndarray
    status: np.ndarray
    X: np.ndarray


def score_detector(detector: Detector, bank: Bank, samples: Samples, protocol: ProtocolSpec) -> pa.Table:
    """Scores all test samples of every dataset, and the validation samples of the detector's own training set.

    Args:
        detector: A fitted detector.
        bank: The vectors of its backbone, by dataset and name of augmentation.
        samples: The run's samples, those of the training set among them.
        protocol: Says which augmentations are tested.

    Returns:
        A row for each sample and augmentation, sorted; `score` is null where `status` is not `ok`. The table's
        metadata hold the detector's summary.

    Raises:
        EvaluationError: Features of a dataset or of a sample are missing.
        UnknownNameError: An augmentation that the protocol names has no features.
    """
    parts = [(part, detector.score(part.X)) for part in parts_to_score(detector.summary.spec, bank, samples, protocol)]
    return scores_table(detector.summary, parts)


def scores_table(summary: DetectorSummary, parts: Sequence[tuple[Part, np.ndarray]]) -> pa.Table:
    """The table of a detector's scores.

    Args:
        summary: What is known of the detector.
        parts: What was scored, with the scores (N,) of those with status `ok`.
    """
    frames = []
    for part, score in parts:
        column = np.full(len(part.sample_ids), np.nan)
        column[part.status == OK] = score
        frames.append(
            pd.DataFrame(
                {
                    "test_dataset": part.dataset,
                    "test_augmentation": part.augmentation,
                    "split": part.split,
                    "sample_id": part.sample_ids,
                    "score": column,
                    "status": part.status,
                }
            )
        )
    frame = pd.concat(frames)
    metadata = {_SUMMARY_KEY: summary.model_dump_json().encode(), _SPEC_KEY: summary.spec.model_dump_json().encode()}
    return pa.table([frame[name] for name in SCORES_SCHEMA.names], schema=SCORES_SCHEMA.with_metadata(metadata))


def failed_scores(spec: DetectorSpec, error: str) -> pa.Table:
    """A table without scores that says why a detector has none."""
    metadata = {_SPEC_KEY: spec.model_dump_json().encode(), _FAILURE_KEY: error.encode()}
    return SCORES_SCHEMA.with_metadata(metadata).empty_table()


def spec_of(scores: pa.Table) -> DetectorSpec:
    """The detector that the scores belong to, fitted or not."""
    return DetectorSpec.model_validate_json(_metadata(scores, _SPEC_KEY))


def failure_of(scores: pa.Table) -> str | None:
    """Why the detector has no scores; `None` where it has."""
    found = (scores.schema.metadata or {}).get(_FAILURE_KEY)
    return None if found is None else found.decode()


def summary_of(scores: pa.Table) -> DetectorSummary:
    """The summary of the detector that gave the scores.

    Raises:
        EvaluationError: The table says nothing of it.
    """
    return DetectorSummary.model_validate_json(_metadata(scores, _SUMMARY_KEY))


def parts_to_score(spec: DetectorSpec, bank: Bank, samples: Samples, protocol: ProtocolSpec) -> Iterator[Part]:
    """What a detector has to score; whoever has the same training set and backbone has the same to score.

    Raises:
        EvaluationError: Features of a dataset or of a sample are missing, or there is nothing to score.
        UnknownNameError: An augmentation that the protocol names has no features.
    """
    seen = _seen(spec, samples)
    datasets = sorted({dataset for dataset, _ in samples.tested})
    if not datasets:
        raise EvaluationError(f"No dataset has generated samples beside rows in split {TEST}: nothing to score.")
    covered = [dataset for dataset in datasets if any(name == dataset for name, _ in bank)]
    if not covered:
        raise EvaluationError(
            f"There are no features of {spec.backbone} for the test sets {', '.join(datasets)}; extract or import them."
        )
    for dataset in covered:  # imported datasets may have vectors of other backbones only
        available = [augmentation for name, augmentation in bank if name == dataset]
        for augmentation in sorted(protocol.choose_testing(available, spec.train_augmentation)):
            rows = samples.test_rows(dataset, TEST, augmentation)
            if len(rows):
                yield _part((dataset, augmentation, TEST), rows, seen(rows), bank, spec.backbone)
    held_out = samples.members(spec.members, VALIDATION, spec.train_augmentation).rows
    for own, rows in held_out.groupby("dataset"):
        yield _part((str(own), spec.train_augmentation, VALIDATION), rows, seen(rows), bank, spec.backbone)


def _part(name: tuple[str, str, str], rows: pd.DataFrame, seen: np.ndarray, bank: Bank, backbone: str) -> Part:
    found = vectors_of(rows, bank, name[1], backbone)
    status = np.where(seen, EXCLUDED, OK).astype(object)
    status[~found.present] = found.status[~found.present]
    return Part(*name, rows["sample_id"].to_numpy(dtype=object), status, found.X[~seen[found.present]])


def _seen(spec: DetectorSpec, samples: Samples) -> Callable[[pd.DataFrame], np.ndarray]:
    """Tells for rows of manifests whether the detector has seen them in training."""
    train = samples.members(spec.members, TRAIN, spec.train_augmentation).rows
    if train.empty:
        raise EvaluationError(
            f"The manifests have no training rows of {spec.train_dataset}/{spec.train_generator}, so nobody can tell "
            "which test samples the detector has seen. Give the manifest of its training set too."
        )
    groups = pd.MultiIndex.from_frame(train[["dataset", "group"]])

    def seen(rows: pd.DataFrame) -> np.ndarray:
        same_group = pd.MultiIndex.from_frame(rows[["dataset", "group"]]).isin(groups)
        return np.asarray(rows["sample_id"].isin(train["sample_id"]).to_numpy() | same_group, dtype=bool)

    return seen


def _metadata(scores: pa.Table, key: bytes) -> bytes:
    metadata = scores.schema.metadata or {}
    if key not in metadata:
        raise EvaluationError("These scores do not say which detector gave them; score it again.")
    found: bytes = metadata[key]
    return found
