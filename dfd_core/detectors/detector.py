"""A fitted detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dfd_core.classifiers import CLASSIFIERS, ClassifierCard
from dfd_core.classifiers.sharing import fit_group, score_group
from dfd_core.classifiers.threads import threads_for
from dfd_core.detectors.files import from_bytes, to_bytes
from dfd_core.detectors.spec import DetectorSpec
from dfd_core.errors import EvaluationError, StoreError
from dfd_core.reducers import REDUCERS, ReducerSpec
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
        (score,) = score_together([self], X)
        return score

    def check(self, X: np.ndarray) -> None:
        """Sees that vectors can be scored.

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


def score_together(detectors: Sequence[Detector], X: np.ndarray) -> list[np.ndarray]:
    """Scores vectors with detectors that have the same reducer, which transforms them once.

    Args:
        detectors: As `sharing_groups` puts them together.
        X: (N, D) float32.

    Returns:
        (N,) float64 between 0 and 1 for each; a higher one means more likely generated.

    Raises:
        EvaluationError: The width is another than in training, or values are not finite.
    """
    for detector in detectors:
        detector.check(X)
    if not len(X):
        return [np.empty(0) for _ in detectors]
    return score_group([detector.classifier for detector in detectors], reduce(detectors[0].reducer, X))


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
    y = check_training_rows(spec, X, y)
    reducer = fit_reducer(spec.reducer, X, spec.seed)
    prepared = reduce(reducer, X)
    (classifier,) = fit_group([spec.classifier], prepared, y, spec.seed)
    return assemble(spec, (reducer, classifier), prepared, y, notes, X.shape[1])


def check_training_rows(spec: DetectorSpec, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sees that rows can be trained on.

    Returns:
        The labels to train with, (N,) int64; permuted where the detector is a control.

    Raises:
        EvaluationError: Shapes disagree, values are not finite, or there are other labels than 0 and 1, or only one.
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
    y = y.astype(np.int64)
    return np.random.default_rng(spec.seed).permutation(y) if spec.shuffle_labels else y


def fit_reducer(spec: ReducerSpec, X: np.ndarray, seed: int) -> Any:
    """A reducer fitted on training rows (N, D), or `None` where vectors stay as they are."""
    reducer = REDUCERS[spec.name].build(spec.parsed_options(), seed)
    if reducer is None:
        return None
    try:
        with threads_for(len(X)):
            return reducer.fit(X.astype(np.float64))
    except (ValueError, np.linalg.LinAlgError) as error:
        raise EvaluationError(
            f"The reducer {spec.label()} can't be fitted on {len(X)} vectors of {X.shape[1]} numbers: {error}"
        ) from error


def reduce(reducer: Any, X: np.ndarray) -> np.ndarray:
    """(N, D') float64 what a classifier is given, or X itself without a reducer."""
    if reducer is None:
        return X
    with threads_for(len(X)):
        return np.asarray(reducer.transform(X.astype(np.float64)))


def assemble(
    spec: DetectorSpec,
    fitted: tuple[Any, Any],
    prepared: np.ndarray,
    y: np.ndarray,
    notes: tuple[str, ...],
    dimension: int,
) -> Detector:
    """A detector of a fitted reducer and classifier.

    Args:
        spec: What it was made from.
        fitted: The fitted reducer, or `None`, and the fitted classifier.
        prepared: (N, D') the rows that the classifier was fitted on.
        y: (N,) their labels.
        notes: What is to be known of the training rows.
        dimension: The width D of the backbone's vectors.
    """
    reducer, classifier = fitted
    card = CLASSIFIERS[spec.classifier.name]
    fake = int(y.sum())
    summary = DetectorSummary(
        spec=spec,
        dimension=dimension,
        n_train_real=len(y) - fake,
        n_train_fake=fake,
        notes=(*notes, *_notes(card, classifier, prepared, y)),
    )
    return Detector(summary, reducer, classifier)


def _notes(card: ClassifierCard, classifier: Any, prepared: np.ndarray, y: np.ndarray) -> tuple[str, ...]:
    with threads_for(len(prepared)):
        return card.notes(classifier, prepared, y)


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
