"""From manifests and features to the rows that a detector is fitted on, or that it scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from dfd_core.detectors import DetectorSpec
from dfd_core.errors import EvaluationError
from dfd_core.evaluation.samples import TRAIN, Samples
from dfd_core.features.table import FeatureTable

Bank = Mapping[tuple[str, str], FeatureTable]
"""The vectors of one backbone, by dataset and name of augmentation."""


class Vectors(NamedTuple):
    """The vectors of some samples.

    Attributes:
        X: (N, D) float32, of those that have one, in the samples' order.
        present: (M,) bool, which have one.
        status: (M,) the status of those without one, empty for the others.
    """

    X: np.ndarray
    present: np.ndarray
    status: np.ndarray


def training_rows(spec: DetectorSpec, samples: Samples, bank: Bank) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The rows to fit a detector on, sorted by sample so that the order of files changes nothing.

    Args:
        spec: The detector.
        samples: The run's samples.
        bank: The vectors of its backbone.

    Returns:
        X (N, D) float32, y (N,) int8, and notes on what is missing from them, as `dfd_core.detectors.fit` takes them.

    Raises:
        EvaluationError: There are no training rows, or some were never extracted.
    """
    rows, copies = samples.members(spec.members, TRAIN, spec.train_augmentation)
    if rows.empty:
        raise EvaluationError(
            f"{spec.train_dataset}/{spec.train_generator} has no rows in split {TRAIN} to fit {spec.name()} on."
        )
    found = vectors_of(rows, bank, spec.train_augmentation, spec.backbone)
    failed = int(copies[~found.present].sum())
    notes = (f"training files without a vector: {failed}",) if failed else ()
    return found.X, rows["label"].to_numpy()[found.present].astype(np.int8), notes


def vectors_of(rows: pd.DataFrame, bank: Bank, augmentation: str, backbone: str) -> Vectors:
    """The vectors of rows that may stand in several datasets.

    Args:
        rows: (M) rows of manifests, columns `dataset` and `sample_id`.
        bank: The vectors of a backbone.
        augmentation: Under which augmentation.
        backbone: Its label, for messages.

    Raises:
        EvaluationError: Samples were never extracted, or the datasets have vectors of different widths.
    """
    datasets, sample_ids = rows["dataset"].to_numpy(dtype=object), rows["sample_id"].to_numpy(dtype=object)
    present = np.zeros(len(rows), dtype=bool)
    status = np.full(len(rows), "", dtype=object)
    parts: list[np.ndarray] = []
    places: list[np.ndarray] = []
    for dataset in dict.fromkeys(datasets.tolist()):
        table = bank.get((dataset, augmentation))
        title = f"{dataset}/{augmentation}/{backbone}"
        if table is None:
            raise EvaluationError(f"There are no features {title}; extract or import them.")
        own = np.flatnonzero(datasets == dataset)
        indices, missing = table.rows(sample_ids[own])
        check_extracted(sample_ids[own[missing]], table, title)
        status[own[missing]] = [table.failed[sample_id] for sample_id in sample_ids[own[missing]]]
        present[own[~missing]] = True
        parts.append(table.X[indices])
        places.append(own[~missing])
    if len({part.shape[1] for part in parts}) > 1:
        widths = ", ".join(f"{part.shape[1]}" for part in parts)
        raise EvaluationError(f"The vectors of {backbone} have the widths {widths} in different datasets.")
    if len(parts) == 1:
        return Vectors(parts[0], present, status)
    order = np.argsort(np.concatenate(places)) if places else np.empty(0, dtype=np.intp)
    X = np.concatenate(parts)[order] if parts else np.empty((0, 0), dtype=np.float32)
    return Vectors(X, present, status)


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
