"""Any classifier with a decision function, as one with a score."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import clone

from dfd_core.classifiers.binary import BinaryClassifier


class MarginClassifier(BinaryClassifier):
    """Gives a margin classifier of scikit-learn the score of `BinaryClassifier`, a sigmoid of its decision.

    Args:
        estimator: An unfitted binary classifier with `decision_function`.

    Attributes:
        estimator_: The fitted one.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: Any) -> Self:
        """Fits the classifier inside on rows (N, D) and their labels (N,).

        Raises:
            ValueError: Not two classes, or values that are not finite.
        """
        X, codes = self._training_rows(X, y, np.float64)
        self.estimator_ = clone(self.estimator).fit(X, codes)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """(N,) that of the classifier inside."""
        rows = self._rows(X, np.float64)
        return np.asarray(self.estimator_.decision_function(rows), dtype=np.float64)
