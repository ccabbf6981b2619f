"""One decision of a hierarchy: between two classes or among many, with any classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from dfd_core.classifiers import CLASSIFIERS, ClassifierSpec
from dfd_core.classifiers.threads import threads_for
from dfd_core.detectors.hierarchy_spec import UNKNOWN, Level, LevelSpec
from dfd_core.detectors.hierarchy_threshold import held_out, lost_share, lowest_kept
from dfd_core.errors import EvaluationError
from dfd_core.reducers import REDUCERS
from dfd_core.specs import Spec

FEWEST_LOST = 3
"""Held-out rows that a threshold should lose; one found with fewer is noted."""

Kind = Literal["one classifier", "one versus rest", "trivial"]


class NodeSummary(Spec):
    """What is known of a decision.

    Attributes:
        level: Its level.
        family: The family whose generators it tells apart; null above.
        names: The C classes, in the order of the columns of its scores.
        n_train: Training rows of each.
        chosen: Reducer and classifier.
        threshold: What was asked of the score below which the answer is `unknown`.
        unknown_below: That score.
        n_held_out: The training rows that it was found with; 0 where it was given.
        kind: Whether one classifier decides, or one for each class against the rest; `trivial` where there is only one
            class, which then gets score 1 from everything.
        notes: What a reader of its results must know.
    """

    level: Level
    family: str | None
    names: tuple[str, ...]
    chosen: LevelSpec
    threshold: str
    n_train: tuple[int, ...] = ()
    unknown_below: float = 0.0
    n_held_out: int = 0
    kind: Kind = "trivial"
    notes: tuple[str, ...] = ()

    def what(self) -> str:
        """The decision in words."""
        return f"level {self.level}" + (f" within {self.family}" if self.family else "")

    def rows(self, counts: Sequence[int]) -> str:
        """How many rows there are of each class, in words."""
        return ", ".join(f"{n} {name}" for n, name in zip(counts, self.names, strict=True))


@dataclass(frozen=True)
class Node:
    """A fitted decision.

    Attributes:
        summary: What is known of it.
        reducer: The fitted reducer, or `None`.
        models: Fitted classifiers: none where it is trivial, one, or one for each class.
    """

    summary: NodeSummary
    reducer: Any
    models: list[Any]

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Scores of all classes.

        Args:
            X: (N, D) float32, finite.

        Returns:
            (N, C) float64 between 0 and 1, no row's sum above 1. Of one classifier they are its probabilities. Of one
            for each class against the rest, the highest stands as it is, so 0.5 stays the border to all others, and
            the others are scaled down together where the sum would exceed 1; what is missing from 1 belongs to none of
            the classes.

        Raises:
            EvaluationError: The classifier gave values that are not finite.
        """
        if self.summary.kind == "trivial" or not len(X):
            return np.ones((len(X), len(self.summary.names)))
        prepared = _prepared(self.reducer, X, self.summary.chosen.classifier)
        probabilities = [np.asarray(model.predict_proba(prepared), dtype=np.float64) for model in self.models]
        if self.summary.kind == "one classifier":
            scores = probabilities[0]
        else:
            scores = coupled(np.stack([own[:, 1] for own in probabilities], axis=1))
        if not np.isfinite(scores).all():
            bad = int((~np.isfinite(scores).all(axis=1)).sum())
            raise EvaluationError(
                f"{self.summary.chosen.classifier.label()} at {self.summary.what()} gave {bad} of {len(X)} rows scores "
                "that are not finite. Standardise its input (`reducer: standardize`) or choose another classifier."
            )
        return scores

    def answer(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The class of the highest score, the first of equal ones, or `unknown` where that score is too low.

        Args:
            scores: (N, C) from `scores`.

        Returns:
            Names (N,) object and highest scores (N,) float64.
        """
        top = scores.max(axis=1)
        names = np.array(self.summary.names, dtype=object)[scores.argmax(axis=1)]
        names[top < self.summary.unknown_below] = UNKNOWN
        return names, top


def fit_node(summary: NodeSummary, X: np.ndarray, codes: np.ndarray, groups: np.ndarray, seed: int) -> Node:
    """Fits reducer and classifiers of one decision, and finds its threshold.

    Args:
        summary: What to make; what is found out is filled in.
        X: (N, D) float32, finite.
        codes: (N,) the place of each row's class in `summary.names`, each there.
        groups: (N,) rows of one group are held out together.
        seed: Seeds reducer and classifiers, and chooses what is held out.

    Raises:
        EvaluationError: A classifier can't be fitted on these rows, or they are too few to find the threshold.
    """
    counts = tuple(np.bincount(codes, minlength=len(summary.names)).tolist())
    share = lost_share(summary.threshold)
    known: dict[str, Any] = {"n_train": counts, "unknown_below": 0.0 if share else float(summary.threshold)}
    if len(summary.names) == 1:
        note = f"{summary.what()} is trivial: {summary.names[0]} is its only class and gets score 1"
        return Node(summary.model_copy(update={**known, "notes": (note,)}), None, [])
    if share:
        out = held_out(codes, groups, seed)
        if not out.any():
            raise EvaluationError(
                f"{summary.what()} has too few rows to hold some out for the threshold {summary.threshold} "
                f"({summary.rows(counts)}). Give it a score from 0 to 1 under `unknown_below`."
            )
        trial = _fitted(summary, X[~out], codes[~out], seed)
        top = trial.scores(X[out]).max(axis=1)
        known |= {"unknown_below": lowest_kept(top, share), "n_held_out": len(top)}
    node = _fitted(summary, X, codes, seed)
    notes = node.summary.notes
    if share and len(top) * share < FEWEST_LOST:
        notes += (f"{summary.what()}: the threshold {summary.threshold} was found with only {len(top)} rows",)
    return replace(node, summary=node.summary.model_copy(update={**known, "notes": notes}))


def _fitted(summary: NodeSummary, X: np.ndarray, codes: np.ndarray, seed: int) -> Node:
    n_classes, chosen = len(summary.names), summary.chosen
    reducer = REDUCERS[chosen.reducer.name].build(chosen.reducer.parsed_options(), seed)
    kind: Kind = "one classifier" if n_classes == 2 or _is_multiclass(chosen.classifier, seed) else "one versus rest"
    targets = [codes] if kind == "one classifier" else [codes == code for code in range(n_classes)]
    try:
        with threads_for(len(X)):
            if reducer is not None:
                reducer.fit(X.astype(np.float64))
            prepared = _prepared(reducer, X, chosen.classifier)
            models = [_build(chosen.classifier, seed).fit(prepared, target.astype(np.int64)) for target in targets]
    except (ValueError, np.linalg.LinAlgError) as error:
        counts = np.bincount(codes, minlength=n_classes).tolist()
        raise EvaluationError(
            f"{chosen.classifier.label()} can't be fitted at {summary.what()} on "
            f"{summary.rows(counts)}: {error}. Choose another classifier for this level, or merge "
            "generators that have too few rows."
        ) from error
    fits = zip(models, targets, strict=True)
    notes = dict.fromkeys(note for fit in fits for note in _notes(chosen.classifier, *fit, prepared))
    found = tuple(f"{summary.what()}: {note}" for note in notes)
    return Node(summary.model_copy(update={"kind": kind, "notes": found}), reducer, models)


def coupled(scores: np.ndarray) -> np.ndarray:
    """Scores of one class against the rest, (N, C), as scores of which no row's sum exceeds 1; see `Node.scores`."""
    top = scores.max(axis=1, keepdims=True)
    others = scores.sum(axis=1, keepdims=True) - top
    left = 1 - top
    scaled = scores * (left / np.maximum(np.maximum(others, left), np.finfo(np.float64).tiny))
    rows = np.arange(len(scores))
    winner = scores.argmax(axis=1)
    scaled[rows, winner] = scores[rows, winner]
    return np.asarray(scaled)


def _build(classifier: ClassifierSpec, seed: int) -> Any:
    return CLASSIFIERS[classifier.name].build(classifier.parsed_options(), seed)


def _is_multiclass(classifier: ClassifierSpec, seed: int) -> bool:
    from sklearn.utils import get_tags

    return bool(get_tags(_build(classifier, seed)).classifier_tags.multi_class)


def _notes(classifier: ClassifierSpec, model: Any, target: np.ndarray, X: np.ndarray) -> tuple[str, ...]:
    if len(model.classes_) == 2:
        return CLASSIFIERS[classifier.name].notes(model, X, target.astype(np.int64))
    # cards know what to ask of two classes only; of more, every solver of scikit-learn's tells its steps
    steps, most = np.max(getattr(model, "n_iter_", 0)), getattr(model, "max_iter", None)
    stopped = isinstance(most, int) and most > 0 and steps >= most
    return (f"not converged after {steps} of {most} steps",) if stopped else ()


def _prepared(reducer: Any, X: np.ndarray, classifier: ClassifierSpec) -> np.ndarray:
    """(N, D') what the classifier is given."""
    reduced = X if reducer is None else reducer.transform(X.astype(np.float64))
    return np.asarray(reduced, dtype=CLASSIFIERS[classifier.name].dtype)
