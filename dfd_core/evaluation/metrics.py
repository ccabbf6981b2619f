"""Metrics of a binary detector, by their names in the literature: a new one is one entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dfd_core.registry import Registry

BOTH, REAL, FAKE = (0, 1), (0,), (1,)


@dataclass(frozen=True)
class Metric:
    """What is known of a metric.

    Attributes:
        title: Its name for headings.
        short: The same where room is scarce.
        function: From labels (N,), scores (N,) and a threshold to a value between 0 and 1; a higher one is better.
        labels: The labels whose samples enter; each must be there.
        thresholded: Whether the threshold changes it.
    """

    title: str
    short: str
    function: Callable[[np.ndarray, np.ndarray, float], float]
    labels: tuple[int, ...] = BOTH
    thresholded: bool = True


METRICS: Registry[Metric] = Registry("metric")


def predict(score: np.ndarray, threshold: float) -> np.ndarray:
    """(N,) 1 where a score lies above the threshold; at the threshold it counts as real, as in scikit-learn."""
    return (score > threshold).astype(np.int8)


def accuracy(y: np.ndarray, score: np.ndarray, threshold: float) -> float:
    """The share of samples that are told rightly; with unequal numbers of reals and fakes the larger group rules."""
    return float((predict(score, threshold) == y).mean())


def accuracy_real(y: np.ndarray, score: np.ndarray, threshold: float) -> float:
    """The share of reals called real: the true-negative rate."""
    return float((predict(score[y == 0], threshold) == 0).mean())


def accuracy_fake(y: np.ndarray, score: np.ndarray, threshold: float) -> float:
    """The share of fakes called fake: the true-positive rate."""
    return float((predict(score[y == 1], threshold) == 1).mean())


def average_precision(y: np.ndarray, score: np.ndarray, _threshold: float = 0.5) -> float:
    """The sum over thresholds of precision times the gain in recall, without interpolation; equal scores are one step.

    As `sklearn.metrics.average_precision_score`; fakes are the positives.
    """
    hits, called = _steps(y, score)
    return float(np.sum(np.diff(hits, prepend=0) / hits[-1] * (hits / called)))


def auroc(y: np.ndarray, score: np.ndarray, _threshold: float = 0.5) -> float:
    """The chance that a fake scores above a real, equal scores counting half (Mann and Whitney 1947)."""
    hits, called = _steps(y, score)
    false = called - hits
    height = np.concatenate([[0.0], hits / hits[-1]])
    return float(np.sum(np.diff(false / false[-1], prepend=0) * (height[1:] + height[:-1]) / 2))


def _steps(y: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fakes and samples at or above each distinct score, from the highest down, (K,) float64 each."""
    order = np.argsort(-score, kind="stable")
    last_of_equals = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    return np.cumsum(y[order], dtype=np.float64)[last_of_equals], last_of_equals + 1.0


METRICS.add("accuracy", Metric("Accuracy", "acc", accuracy))
METRICS.add("accuracy_real", Metric("Accuracy on reals", "acc real", accuracy_real, REAL))
METRICS.add("accuracy_fake", Metric("Accuracy on fakes", "acc fake", accuracy_fake, FAKE))
METRICS.add("average_precision", Metric("Average precision", "AP", average_precision, thresholded=False))
METRICS.add("auroc", Metric("AUROC", "AUROC", auroc, thresholded=False))
