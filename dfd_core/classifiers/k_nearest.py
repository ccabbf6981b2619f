"""k nearest neighbours: the k nearest training rows vote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from dfd_core.classifiers.banks import BankClassifier
from dfd_core.classifiers.search import Metric, Neighbours


class KNearestNeighbours(BankClassifier):
    """scikit-learn's `KNeighborsClassifier(algorithm="brute")` for two classes, and as fast as a matrix product.

    The score is the share of fakes among the k; of equally near rows the earlier counts. Rows are searched in float32.

    Args:
        k: How many vote; equal votes are for the first class.
        metric: What is near.

    Attributes:
        banks_: One bank with all rows.
        codes_: (M,) 1 for members of the second class.
    """

    def __init__(self, k: int = 5, metric: Metric = "euclidean") -> None:
        self.k = k
        self.metric = metric

    def fit(self, X: Any, y: Any) -> Self:
        """Keeps the training rows (N, D) and their labels (N,).

        Raises:
            ValueError: Not two classes, fewer rows than k, or values that are not finite.
        """
        X, self.codes_ = self._training_rows(X, y, np.float32)
        self.banks_ = [self._prepared(X)]
        self._check_depth()
        return self

    @property
    def depth(self) -> int:
        """All that vote."""
        return self.k

    def decide(self, found: Sequence[Neighbours]) -> np.ndarray:
        """(N,) float64 votes for the second class less votes for the first."""
        votes = self.codes_[found[0].indices[:, : self.k]].sum(axis=1)
        return np.asarray(2.0 * votes - self.k)

    def scaled(self, decision: np.ndarray) -> np.ndarray:
        """(N,) the share of the second class."""
        return (decision + self.k) / (2 * self.k)
