"""The numbers of a hierarchy's level: shares of right answers, and their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

MEASURES = ("accuracy", "balanced_accuracy", "unknown", "accuracy_answered")
"""In this order: the share of right answers; its mean over what the samples are; the share of `unknown`; the share of
right answers among the others."""

Draw = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Resampling:
    """How intervals are made.

    Attributes:
        draw: From strata (N,) and groups (N,) to weights (B, N): how often each replicate has each sample.
        level: The share of replicates within an interval.
    """

    draw: Draw
    level: float = 0.95


class Measured(NamedTuple):
    """A number.

    Attributes:
        metric: Its name.
        value: It, or `None` where no sample has a part in it.
        low: The lower end of its interval, `None` without one.
        high: The upper end.
        n: The samples behind it.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int


def measure(
    right: np.ndarray, unknown: np.ndarray, kinds: np.ndarray, weights: np.ndarray | None, level: float = 0.95
) -> Iterator[Measured]:
    """All measures of N samples.

    Args:
        right: (N,) bool, which answers are right.
        unknown: (N,) bool, which answers are `unknown`.
        kinds: (N,) what the samples are, over which the balanced accuracy is a mean.
        weights: (B, N) how often each replicate has each sample; `None` for no intervals.
        level: The share of replicates within an interval.
    """
    drawn = np.ones((1, len(right)))
    if weights is not None:
        drawn = np.concatenate([drawn, weights])
    answered = ~unknown
    inside = kinds[:, None] == np.unique(kinds)[None, :]
    values = {
        "accuracy": _share(drawn, right[:, None], np.ones((len(right), 1))),
        "balanced_accuracy": _share(drawn, inside & right[:, None], inside),
        "unknown": _share(drawn, unknown[:, None], np.ones((len(right), 1))),
        "accuracy_answered": _share(drawn, (right & answered)[:, None], answered[:, None]),
    }
    for name in MEASURES:
        n = int(answered.sum()) if name == "accuracy_answered" else len(right)
        yield Measured(name, *_interval(values[name], level), n)


def _share(weights: np.ndarray, counted: np.ndarray, among: np.ndarray) -> np.ndarray:
    """(B,) the weighted share of `counted` (N, K) among `among` (N, K), as a mean over the K that have any weight."""
    parts, wholes = weights @ counted.astype(np.float64), weights @ among.astype(np.float64)
    there = wholes > 0
    shares = np.where(there, parts / np.where(there, wholes, 1), 0).sum(axis=1)
    n = there.sum(axis=1)
    return np.where(n > 0, shares / np.maximum(n, 1), np.nan)


def _interval(values: np.ndarray, level: float) -> tuple[float | None, float | None, float | None]:
    """The first value, of the samples themselves, and the interval of the others."""
    if not np.isfinite(values[0]):
        return None, None, None
    replicates = values[1:][np.isfinite(values[1:])]
    if not len(replicates):
        return float(values[0]), None, None
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return float(values[0]), float(low), float(high)
