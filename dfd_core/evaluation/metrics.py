"""Metrics of a binary detector, by their names in the literature: a new one is one entry here.

A metric is a formula either of sums over samples or of the ROC curve, and each formula takes B weightings of the
samples at once. A metric's value has every weight 1; `bootstrap` puts in how often each sample was drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from dfd_core.errors import EvaluationError
from dfd_core.evaluation.curves import Curve, Floats, Ranking, auroc, average_precision, equal_error_rate, tpr_at_fpr
from dfd_core.registry import Registry

BOTH, REAL, FAKE = (0, 1), (0,), (1,)
ECE_BINS = 15


@dataclass(frozen=True)
class SumFormula:
    """A metric that is made from sums over samples.

    Attributes:
        terms: From labels (N,), scores (N,) and a threshold to what is summed, (N, Q).
        value: From the sums (B, Q) to the values (B,).
    """

    terms: Callable[[np.ndarray, np.ndarray, float], Floats]
    value: Callable[[Floats], Floats]


CurveFormula = Callable[[Curve], Floats]


@dataclass(frozen=True)
class Metric:
    """What is known of a metric.

    Attributes:
        title: Its name for headings.
        short: The same where room is scarce.
        formula: Of sums, or from B ROC curves to (B,) values.
        labels: The labels whose samples enter; each must be there.
        thresholded: Whether the threshold changes it.
        probabilistic: Whether it takes scores for probabilities, so that it means little before calibration.
        higher_is_better: Whether a higher value is the better one.
        percent: Whether it is shown in percent.
        inflated: Whether resampling makes it larger by itself, so that its interval has to be moved back.
    """

    title: str
    short: str
    formula: SumFormula | CurveFormula
    labels: tuple[int, ...] = BOTH
    thresholded: bool = False
    probabilistic: bool = False
    higher_is_better: bool = True
    percent: bool = True
    inflated: bool = False

    def function(self, y: np.ndarray, score: np.ndarray, threshold: float) -> float:
        """The metric's value.

        Args:
            y: (N,) labels, 0 or 1.
            score: (N,) scores.
            threshold: Scores above it are called generated.

        Returns:
            A value between 0 and 1.

        Raises:
            EvaluationError: A label that the metric needs has no sample.
        """
        self.check_labels(y)
        if isinstance(self.formula, SumFormula):
            return float(self.formula.value(self.formula.terms(y, score, threshold).sum(axis=0, keepdims=True))[0])
        return float(self.formula(Curve(Ranking(y, score), np.ones((1, len(y)), dtype=np.uint8)))[0])

    def check_labels(self, y: np.ndarray) -> None:
        """Sees that all needed labels are there.

        Raises:
            EvaluationError: One is not.
        """
        for label in self.labels:
            if not (y == label).any():
                raise EvaluationError(f"{self.title} needs {('real', 'fake')[label]} samples and there are none.")


METRICS: Registry[Metric] = Registry("metric")


def predict(score: np.ndarray, threshold: float) -> np.ndarray:
    """(N,) 1 where a score lies above the threshold; at the threshold it counts as real, as in scikit-learn."""
    return (score > threshold).astype(np.int8)


def call_terms(y: np.ndarray, score: np.ndarray, threshold: float) -> Floats:
    """(N, 4) called reals, called fakes, reals, fakes."""
    called, fake = score > threshold, y == 1
    return np.stack([called & ~fake, called & fake, ~fake, fake], axis=1).astype(np.float64)


def accuracy(sums: Floats) -> Floats:
    """The share of samples that are told rightly; with unequal numbers of reals and fakes the larger group rules."""
    right = sums[:, 1] + sums[:, 2] - sums[:, 0]
    return right / (sums[:, 2] + sums[:, 3])


def balanced_accuracy(sums: Floats) -> Floats:
    """The mean of the accuracies on reals and on fakes (Brodersen et al. 2010)."""
    return (accuracy_real(sums) + accuracy_fake(sums)) / 2


def accuracy_real(sums: Floats) -> Floats:
    """The share of reals called real: the true-negative rate."""
    return (sums[:, 2] - sums[:, 0]) / sums[:, 2]


def accuracy_fake(sums: Floats) -> Floats:
    """The share of fakes called fake: the true-positive rate, recall."""
    return sums[:, 1] / sums[:, 3]


def false_positive_rate(sums: Floats) -> Floats:
    """The share of reals called fake; also for reals alone, as of one source."""
    return sums[:, 0] / sums[:, 2]


def f1(sums: Floats) -> Floats:
    """The harmonic mean of precision and recall on fakes; 0 where none is called (van Rijsbergen 1979)."""
    return 2 * sums[:, 1] / (sums[:, 0] + sums[:, 1] + sums[:, 3])


def brier_terms(y: np.ndarray, score: np.ndarray, _threshold: float) -> Floats:
    """(N, 2) squared distances of scores from labels, and ones."""
    return np.stack([(score - y) ** 2, np.ones(len(y))], axis=1)


def brier(sums: Floats) -> Floats:
    """The mean squared distance of the score, taken as a probability, from the label (Brier 1950)."""
    return sums[:, 0] / sums[:, 1]


def ece_terms(y: np.ndarray, score: np.ndarray, _threshold: float) -> Floats:
    """(N, bins + 1) score minus label in its bin's column, and ones."""
    edges = np.linspace(0, 1, ECE_BINS + 1)
    terms = np.zeros((len(y), ECE_BINS + 1))
    terms[np.arange(len(y)), np.searchsorted(edges[1:-1], score)] = score - y
    terms[:, -1] = 1
    return terms


def ece(sums: Floats) -> Floats:
    """Expected calibration error: |mean score - share of fakes| in 15 equally wide bins, weighted by their samples.

    Of the probability of "generated" (Naeini et al. 2015), not of the confidence in the call (Guo et al. 2017, whose
    number of bins it has), so it needs no threshold. A bin holds its upper edge, and the first one 0, as in
    `sklearn.calibration.calibration_curve`. Chance alone makes it positive, more so with few samples: compare at
    equal n.
    """
    gaps: Floats = np.abs(sums[:, :-1]).sum(axis=1)
    return gaps / sums[:, -1]


def _add_thresholded(name: str, title: str, short: str, value: Callable[[Floats], Floats], **facts: Any) -> None:
    METRICS.add(name, Metric(title, short, SumFormula(call_terms, value), thresholded=True, **facts))


_add_thresholded("accuracy", "Accuracy", "acc", accuracy)
_add_thresholded("balanced_accuracy", "Balanced accuracy", "bal acc", balanced_accuracy)
_add_thresholded("accuracy_real", "Accuracy on reals", "acc real", accuracy_real, labels=REAL)
_add_thresholded("accuracy_fake", "Accuracy on fakes", "acc fake", accuracy_fake, labels=FAKE)
METRICS.add("average_precision", Metric("Average precision", "AP", average_precision))
METRICS.add("auroc", Metric("AUROC", "AUROC", auroc))
METRICS.add("eer", Metric("Equal error rate", "EER", equal_error_rate, higher_is_better=False))
_add_thresholded("f1", "F1", "F1", f1)
for _percent in (1, 5):
    _formula = partial(tpr_at_fpr, target=_percent / 100)
    METRICS.add(f"tpr_at_fpr_{_percent}pct", Metric(f"TPR at {_percent} % FPR", f"TPR@{_percent}%", _formula))
METRICS.add(
    "ece",
    Metric(
        "Expected calibration error",
        "ECE",
        SumFormula(ece_terms, ece),
        probabilistic=True,
        higher_is_better=False,
        inflated=True,
    ),
)
METRICS.add(
    "brier",
    Metric(
        "Brier score",
        "Brier",
        SumFormula(brier_terms, brier),
        probabilistic=True,
        higher_is_better=False,
        percent=False,
    ),
)
_add_thresholded(
    "false_positive_rate", "False-positive rate", "FPR", false_positive_rate, labels=REAL, higher_is_better=False
)
