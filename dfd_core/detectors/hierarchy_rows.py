"""Rows that a hierarchy is fitted on or tested with, and what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfd_core.detectors.hierarchy_spec import RESERVED
from dfd_core.errors import EvaluationError


@dataclass(frozen=True)
class HierarchyRows:
    """Samples with their vectors; all arrays are of length N.

    Attributes:
        X: (N, D) float32.
        label: 0 real, 1 generated.
        family: The generator's family; those of reals don't count.
        generator: What made the sample; likewise.
        group: Samples of one group stay together, in what is held out and in intervals; names differ between datasets.
        sample_id: Each once.
    """

    X: np.ndarray
    label: np.ndarray
    family: np.ndarray
    generator: np.ndarray
    group: np.ndarray
    sample_id: np.ndarray

    def in_order(self, what: str) -> HierarchyRows:
        """The rows sorted by sample, so that the order of files changes nothing.

        Args:
            what: What they are, for messages.

        Raises:
            EvaluationError: Columns of unequal length, labels other than 0 and 1, or a sample that stands there twice.
        """
        X = checked(self.X, what)
        columns = (self.label, self.family, self.generator, self.group, self.sample_id)
        label, family, generator, group, sample_id = map(np.asarray, columns)
        lengths = [len(X), *(len(column) for column in (label, family, generator, group, sample_id))]
        if len(set(lengths)) > 1:
            raise EvaluationError(
                f"{what}: X, label, family, generator, group and sample_id have {', '.join(map(str, lengths))} rows; "
                "they should have one each for every sample."
            )
        if not np.isin(label, (0, 1)).all():
            raise EvaluationError(f"{what} have labels {np.unique(label).tolist()}; only 0 and 1 have a meaning.")
        for name, column in (("group", group), ("sample_id", sample_id)):
            nameless = int(pd.isna(column).sum())
            if nameless:
                raise EvaluationError(f"{what}: {nameless} of {len(X)} samples have no {name}; give each one.")
        order = np.argsort(sample_id, kind="stable")
        sample_id = sample_id[order]
        twice = np.flatnonzero(sample_id[1:] == sample_id[:-1])
        if len(twice):
            raise EvaluationError(
                f"{what}: {len(twice)} samples stand there twice, the first {sample_id[twice[0]]}. Give each file once."
            )
        return HierarchyRows(X[order], label[order], family[order], generator[order], group[order], sample_id)


def checked(X: np.ndarray, what: str) -> np.ndarray:
    """Vectors (N, D) as they are, if they are such and finite.

    Raises:
        EvaluationError: They are not.
    """
    X = np.asarray(X)
    if X.ndim != 2:
        raise EvaluationError(f"{what} should have the shape (N, D) and have {X.shape}.")
    if not np.isfinite(X.sum(dtype=np.float64)):
        bad = np.flatnonzero(~np.isfinite(X).all(axis=1))
        if len(bad):
            raise EvaluationError(
                f"{len(bad)} of {len(X)} rows in {what} hold NaN or infinite values, the first at index {bad[0]}. "
                "Extract these samples again."
            )
    return X


def families_of(generator: np.ndarray, family: np.ndarray) -> dict[str, str]:
    """The family of each generator of generated rows (N,), sorted by generator.

    Raises:
        EvaluationError: A name is missing or is one of the answers, or a generator has two families.
    """
    found: dict[str, str] = {}
    for one, kind in sorted(set(zip(generator.tolist(), family.tolist(), strict=True)), key=str):
        for what, name in (("generator", one), ("family", kind)):
            if not isinstance(name, str) or not name or name in RESERVED:
                raise EvaluationError(
                    f"A generated row has the {what} {name!r}; it needs a name other than {', '.join(RESERVED)}. "
                    "Correct the manifest."
                )
        if found.setdefault(one, kind) != kind:
            raise EvaluationError(
                f"The generator {one!r} belongs to two families, {found[one]!r} and {kind!r}. Correct the manifests, "
                "or name the generators apart."
            )
    return found


def generated_rows(label: np.ndarray, n: int, name: str) -> np.ndarray:
    """Which of n training rows are generated, (N,) bool.

    Raises:
        EvaluationError: Labels are missing, or are not both of 0 and 1.
    """
    label = np.asarray(label)
    if label.shape != (n,):
        raise EvaluationError(f"{name} got {n} training rows and labels of shape {label.shape}.")
    if set(np.unique(label).tolist()) != {0, 1}:
        raise EvaluationError(
            f"{name} needs training rows with label 0 (real) and 1 (generated) and got {n} rows with labels "
            f"{np.unique(label).tolist()}."
        )
    return np.asarray(label == 1)
