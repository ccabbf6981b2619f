"""From a manifest and features to the rows that a detector is fitted on."""

from __future__ import annotations

import numpy as np

from dfd_core.detectors import DetectorSpec
from dfd_core.errors import EvaluationError
from dfd_core.evaluation.samples import TRAIN, Samples
from dfd_core.features.table import FeatureTable


def training_rows(
    spec: DetectorSpec, samples: Samples, table: FeatureTable
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The rows to fit a detector on, sorted by sample so that the order of files changes nothing.

    Args:
        spec: The detector.
        samples: The run's samples.
        table: The vectors of the training dataset, augmentation and backbone that `spec` names.

    Returns:
        X (N, D) float32, y (N,) int8, and notes on what is missing from them, as `dfd_core.detectors.fit` takes them.

    Raises:
        EvaluationError: There are no training rows, or some were never extracted.
    """
    rows = samples.members(spec.train_dataset, spec.train_generator, TRAIN)
    if rows.empty:
        raise EvaluationError(
            f"{spec.train_dataset}/{spec.train_generator} has no rows in split {TRAIN} to fit {spec.name()} on."
        )
    sample_ids = rows["sample_id"].to_numpy()
    indices, missing = table.rows(sample_ids)
    check_extracted(sample_ids[missing], table, f"{spec.train_dataset}/{spec.train_augmentation}/{spec.backbone}")
    failed = int(samples.copies(spec.train_dataset, spec.train_generator, TRAIN)[missing].sum())
    notes = (f"training files without a vector: {failed}",) if failed else ()
    return table.X[indices], rows["label"].to_numpy()[~missing].astype(np.int8), notes


def check_extracted(sample_ids: np.ndarray, table: FeatureTable, what: str) -> None:
    """Sees that samples without a vector are known failures.

    Raises:
        EvaluationError: Some were never extracted.
    """
    unknown = [sample_id for sample_id in sample_ids.tolist() if sample_id not in table.failed]
    if unknown:
        raise EvaluationError(
            f"The features {what} lack {len(unknown)} samples of the manifest, the first {unknown[0]}. Extract them "
            "first; what is there is kept."
        )
