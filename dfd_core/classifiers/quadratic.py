"""Quadratic discriminant analysis that also answers where a covariance can't be inverted."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.linalg import LinAlgError

from dfd_core.classifiers.binary import BinaryClassifier


class QuadraticDiscriminant(BinaryClassifier):
    """scikit-learn's, and with the shrunk covariances of Ledoit and Wolf where one of its own is singular.

    That is so where a class has no more rows than there are columns, or a column is constant or made of others.

    Args:
        reg_param: How far each covariance is drawn to the identity.

    Attributes:
        model_: The fitted `QuadraticDiscriminantAnalysis`.
        regularised_: Whether a covariance was singular.

    Source: O. Ledoit, M. Wolf: A well-conditioned estimator for large-dimensional covariance matrices, 2004.
    """

    def __init__(self, reg_param: float = 0.0) -> None:
        self.reg_param = reg_param

    def fit(self, X: Any, y: Any) -> Self:
        """Fits on rows (N, D) and their labels (N,).

        Raises:
            ValueError: Not two classes of two rows at least, or values that are not finite.
        """
        from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

        X, codes = self._training_rows(X, y, np.float64)
        try:
            self.model_ = QuadraticDiscriminantAnalysis(reg_param=self.reg_param).fit(X, codes)
            self.regularised_ = False
        except LinAlgError:
            self.model_ = QuadraticDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(X, codes)
            self.regularised_ = True
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """(N,) float64 log of the ratio of the posteriors."""
        rows = self._rows(X, np.float64)
        return np.asarray(self.model_.decision_function(rows))


def notes(model: QuadraticDiscriminant, _X: np.ndarray, _y: np.ndarray) -> tuple[str, ...]:
    """Whether it was regularised though nobody asked for it."""
    return ("a covariance was singular: regularised by Ledoit-Wolf shrinkage",) if model.regularised_ else ()
