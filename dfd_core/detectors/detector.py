"""A fitted detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dfd_core.classifiers import CLASSIFIERS
from dfd_core.detectors.files import from_bytes, to_bytes
from dfd_core.detectors.spec import DetectorSpec
from dfd_core.errors import EvaluationError, StoreError
from dfd_core.reducers import REDUCERS
from dfd_core.specs import Spec
from dfd_core.storage import Store


class DetectorSummary(Spec):
    """What is known of a fitted detector.

    Attributes:
        spec: What it was made from.
        dimension: The width D of the vectors it takes.
        n_train_real: Reals it was fitted on.
        n_train_fake: Fakes it was fitted on.
        notes: What a reader of its results must know.
    """

    spec: DetectorSpec
    dimension: int
    n_train_real: int
    n_train_fake: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Detector:
    """A fitted detector; safe to use from several threads.

    Attributes:
        summary: What is known of it.
        reducer: The fitted reducer, or `None`.
        classifier: The fitted classifier.
    """

    summary: DetectorSummary
    reducer: Any
    classifier: Any

    def score(self, X: np.ndarray) -> np.ndarray:
        """Scores vectors.

        Args:
            X: (N, D) float32.

        Returns:
            (N,) float64 between 0 and 1; a higher one means more likely generated.

        Raises:
            EvaluationError: The width is another than in training, or values are not finite.
        """
        name = self.summary.spec.name()
        _check_vectors(X, f"the vectors that {name} is to score")
        if X.shape[1] != self.summary.dimension:
            raise EvaluationError(
                f"{name} was fitted on vectors of width {self.summary.dimension}, not {X.shape[1]}. Give it vectors of "
                "the same backbone."
            )
        if not len(X):
            return np.empty(0)
        prepared = _prepared(self.reducer, X, self.summary.spec)
        return np.asarray(self.classifier.predict_proba(prepared)[:, 1], dtype=np.float64)

    def save(self, store: Store, path: str) -> str:
        """Writes the detector, without pickle; the same detector gives the same bytes.

        Returns:
            The file's address.
        """
        summary = self.summary.model_dump_json()
        return store.write_bytes(
            path, to_bytes({"summary": summary, "reducer": self.reducer, "classifier": self.classifier})
        )

    @classmethod
    def load(cls, store: Store, path: str) -> Detector:
        """Reads a detector; only types that dfd knows are brought to life.

        Raises:
            StoreError: The file is missing, is no detector, or holds unknown types.
        """
        data = store.read_bytes(path)
        try:
            parts = from_bytes(data)
            summary = DetectorSummary.model_validate_json(parts["summary"])
            return cls(summary, parts["reducer"], parts["classifier"])
        except Exception as error:
            raise StoreError(
                f"{store.url(path)} is not a detector that this version can read ({error}); delete it and fit it again."
            ) from error


def fit(spec: DetectorSpec, X: np.ndarray, y: np.ndarray, notes: tuple[str, ...] = ()) -> Detector:
    """Fits reducer and classifier on training rows, and on nothing else.

    Args:
        spec: What to make.
        X: (N, D) float32, finite.
        y: (N,) 0 real, 1 fake.
        notes: What is to be known of the training rows.

    Raises:
        EvaluationError: The rows can't be trained on.
    """
    y = np.asarray(y)
    name = spec.name()
    _check_vectors(X, f"the training rows of {name}")
    if y.shape != (len(X),):
        raise EvaluationError(f"{name} got {len(X)} training rows and labels of shape {y.shape}.")
    if set(np.unique(y).tolist()) != {0, 1}:
        raise EvaluationError(
            f"{name} needs training rows with label 0 (real) and 1 (fake) and got {len(y)} rows with labels "
            f"{np.unique(y).tolist()}."
        )
    if spec.shuffle_labels:
        y = np.random.default_rng(spec.seed).permutation(y)
    reducer = REDUCERS[spec.reducer.name].build(spec.reducer.parsed_options(), spec.seed)
    if reducer is not None:
        reducer.fit(X.astype(np.float64))
    card = CLASSIFIERS[spec.classifier.name]
    prepared = _prepared(reducer, X, spec)
    classifier = card.build(spec.classifier.parsed_options(), spec.seed).fit(prepared, y.astype(np.int64))
    fake = int(y.sum())
    summary = DetectorSummary(
        spec=spec,
        dimension=X.shape[1],
        n_train_real=len(y) - fake,
        n_train_fake=fake,
        notes=(*notes, *card.notes(classifier, prepared, y)),
    )
    return Detector(summary, reducer, classifier)


def _prepared(reducer: Any, X: np.ndarray, spec: DetectorSpec) -> np.ndarray:
    """(N, D') what the classifier is given."""
    reduced = X if reducer is None else reducer.transform(X.astype(np.float64))
    return np.asarray(reduced, dtype=CLASSIFIERS[spec.classifier.name].dtype)


def _check_vectors(X: np.ndarray, what: str) -> None:
    if X.ndim != 2:
        raise EvaluationError(f"{what} should have the shape (N, D) and have {X.shape}.")
    # a sum is finite only if all its terms are, and needs no mask of the same size
    if not np.isfinite(X.sum(dtype=np.float64)):
        bad = np.flatnonzero(~np.isfinite(X).all(axis=1))
        raise EvaluationError(
            f"{len(bad)} of {len(X)} rows in {what} hold NaN or infinite values, the first at index {bad[0]}. Extract "
            "these samples again."
        )
