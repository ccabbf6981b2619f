"""A detector's score for every test sample, each scored once.

A test sample that is among the detector's training samples, or shares a group of the same dataset with one, gets no
score but the status `excluded`. One without a vector keeps the status of its extraction,
also where it would be excluded.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from dfd_core.detectors import Detector, DetectorSpec, DetectorSummary
from dfd_core.errors import EvaluationError
from dfd_core.evaluation.protocols import ProtocolSpec
from dfd_core.evaluation.samples import TEST, TRAIN, Samples
from dfd_core.evaluation.training import check_extracted
from dfd_core.features.table import FeatureTable

OK, EXCLUDED = "ok", "excluded"
SCORES_SCHEMA = pa.schema(
    [
        ("test_dataset", pa.string()),
        ("test_augmentation", pa.string()),
        ("sample_id", pa.string()),
        ("score", pa.float64()),
        ("status", pa.string()),
    ]
)
_SUMMARY_KEY = b"dfd_detector"

Bank = Mapping[tuple[str, str], FeatureTable]


def score_detector(detector: Detector, bank: Bank, samples: Samples, protocol: ProtocolSpec) -> pa.Table:
    """Scores all test samples.

    Args:
        detector: A fitted detector.
        bank: The vectors of its backbone, by dataset and name of augmentation.
        samples: The run's samples, those of the training set among them.
        protocol: Says which augmentations are tested.

    Returns:
        A row for each test sample and augmentation, sorted; `score` is null where `status` is not `ok`. The table's
        metadata hold the detector's summary.

    Raises:
        EvaluationError: Features of a dataset or of a sample are missing.
        UnknownNameError: An augmentation that the protocol names has no features.
    """
    spec = detector.summary.spec
    parts = []
    for dataset, sample_ids, excluded in _test_samples(spec, samples):
        available = [augmentation for name, augmentation in bank if name == dataset]
        if not available:
            raise EvaluationError(f"There are no features of {spec.backbone} for the test set {dataset}; extract them.")
        for augmentation in sorted(protocol.choose_testing(available)):
            table = bank[dataset, augmentation]
            check_extracted(sample_ids[table.rows(sample_ids)[1]], table, f"{dataset}/{augmentation}/{spec.backbone}")
            parts.append(_scored(detector, table, sample_ids, excluded).assign(d=dataset, a=augmentation))
    if not parts:
        raise EvaluationError(f"No dataset has generated samples beside rows in split {TEST}: nothing to score.")
    scores = pd.concat(parts)
    columns = [scores[column] for column in ("d", "a", "sample_id", "score", "status")]
    summary = {_SUMMARY_KEY: detector.summary.model_dump_json().encode()}
    return pa.table(columns, schema=SCORES_SCHEMA.with_metadata(summary))


def summary_of(scores: pa.Table) -> DetectorSummary:
    """The summary of the detector that gave the scores.

    Raises:
        EvaluationError: The table says nothing of it.
    """
    metadata = scores.schema.metadata or {}
    if _SUMMARY_KEY not in metadata:
        raise EvaluationError("These scores do not say which detector gave them; score it again.")
    return DetectorSummary.model_validate_json(metadata[_SUMMARY_KEY])


def _test_samples(spec: DetectorSpec, samples: Samples) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Dataset, sorted sample ids (N,) and which of them are excluded (N,), for each dataset that tests."""
    train = samples.members(spec.train_dataset, spec.train_generator, TRAIN)
    if train.empty:
        raise EvaluationError(
            f"The manifests have no training rows of {spec.train_dataset}/{spec.train_generator}, so nobody can tell "
            "which test samples the detector has seen. Give the manifest of its training set too."
        )
    found = []
    for dataset in sorted({dataset for dataset, _ in samples.tested}):
        rows = samples.test_rows(dataset)
        seen = rows["sample_id"].isin(train["sample_id"])
        if dataset == spec.train_dataset:
            seen |= rows["group"].isin(train["group"])
        found.append((dataset, rows["sample_id"].to_numpy(dtype=object), seen.to_numpy(dtype=bool)))
    return found


def _scored(detector: Detector, table: FeatureTable, sample_ids: np.ndarray, excluded: np.ndarray) -> pd.DataFrame:
    indices, missing = table.rows(sample_ids)
    status = np.where(excluded, EXCLUDED, OK).astype(object)
    status[missing] = [table.failed[sample_id] for sample_id in sample_ids[missing]]
    score = np.full(len(sample_ids), np.nan)
    score[status == OK] = detector.score(table.X[indices[~excluded[~missing]]])
    return pd.DataFrame({"sample_id": sample_ids, "score": score, "status": status})
