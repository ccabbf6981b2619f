"""The numbers of a hierarchy's level: shares of right answers, and their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

MEASURES = ("accuracy", "balanced_accuracy", "unknown", "accuracy_answered")
"""In this order: the share of right answers; its mean over what the samples are; the share of `unknown`; the share of
right answers among the others."""
MIN_GROUPS = 2


class Draws(Protocol):
    """How often each group of N samples is drawn in each replicate.

    Attributes:
        column: (N,) the place of each sample's group.
        n_groups: G.
    """

    column: np.ndarray
    n_groups: int

    def blocks(self) -> Iterator[np.ndarray]:
        """The draws, (b, G) a block, always the same."""


@dataclass(frozen=True)
class Resampling:
    """How intervals are made.

    Attributes:
        draws: From labels (N,) and groups (N,) to the draws.
        level: The share of replicates within an interval.
    """

    draws: Callable[[np.ndarray, np.ndarray], Draws]
    level: float = 0.95


class Measured(NamedTuple):
    """A number.

    Attributes:
        metric: Its name.
        value: It, or `None` where no sample has a part in it.
        low: The lower end of its interval; `None` without one, or where fewer than two groups have a part in it.
        high: The upper end.
        n: The samples behind it.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Answers:
    """What was said of n samples of a test set.

    Attributes:
        places: (n,) which samples of the test set.
        right: (n,) bool, which answers are right.
        unknown: (n,) bool, which answers are `unknown`.
        kinds: (n,) what the samples are, over which the balanced accuracy is a mean.
    """

    places: np.ndarray
    right: np.ndarray
    unknown: np.ndarray
    kinds: np.ndarray

    def terms(self) -> np.ndarray:
        """(n, 5 + 2 K) float64: what is summed over samples; K kinds that are right, then K kinds, stand at the end."""
        answered = ~self.unknown
        inside = self.kinds[:, None] == np.unique(self.kinds)[None, :]
        first = [np.ones(len(self.places)), self.right, self.unknown, answered, self.right & answered]
        return np.column_stack([*first, inside & self.right[:, None], inside]).astype(np.float64)


def measure(answers: Answers, draws: Draws | None = None, level: float = 0.95) -> Iterator[Measured]:
    """All measures of n of the N samples of a test set.

    Args:
        answers: What was said of them.
        draws: How often the groups of all N are drawn; `None` for no intervals.
        level: The share of replicates within an interval.
    """
    terms = answers.terms()
    sums = terms.sum(axis=0, keepdims=True)
    if draws is not None and len(np.unique(draws.column[answers.places])) >= MIN_GROUPS:
        column, size = draws.column[answers.places], draws.n_groups
        by_group = np.stack([np.bincount(column, weights=one, minlength=size) for one in terms.T], axis=1)
        sums = np.concatenate([sums, *(block @ by_group for block in draws.blocks())])
    n, right, unknown, answered, right_answered = sums.T[:5]
    kinds = sums[:, 5:].reshape(len(sums), 2, -1)
    values = {
        "accuracy": _mean_share(right[:, None], n[:, None]),
        "balanced_accuracy": _mean_share(kinds[:, 0], kinds[:, 1]),
        "unknown": _mean_share(unknown[:, None], n[:, None]),
        "accuracy_answered": _mean_share(right_answered[:, None], answered[:, None]),
    }
    for name in MEASURES:
        own = int(answered[0] if name == "accuracy_answered" else n[0])
        yield Measured(name, *_interval(values[name], level), own)


def _mean_share(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """(B,) parts over wholes, each (B, K), as a mean over the K that have a whole; NaN where none has."""
    there = wholes > 0
    shares = np.where(there, parts / np.where(there, wholes, 1), 0).sum(axis=1)
    n = there.sum(axis=1)
    return np.where(n > 0, shares / np.maximum(n, 1), np.nan)


def _interval(values: np.ndarray, level: float) -> tuple[float | None, float | None, float | None]:
    """The first value, of the samples themselves, and the interval of the others."""
    if not np.isfinite(values[0]):
        return None, None, None
    drawn = values[1:][np.isfinite(values[1:])]
    if not len(drawn):
        return float(values[0]), None, None
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(values[0]), float(low), float(high)
