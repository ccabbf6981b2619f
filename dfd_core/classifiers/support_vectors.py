"""A support vector machine that is kept as its support vectors, whoever found them."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np

from dfd_core.classifiers.accelerated import PLAIN, implementation
from dfd_core.classifiers.binary import BinaryClassifier

TOLERANCE = 1e-3
CACHE_MB = 500
QUERY_BLOCK = 1024


class SupportVectorMachine(BinaryClassifier):
    """scikit-learn's `SVC` for two classes, with its defaults, and with decisions by matrix products.

    Args:
        kernel: `rbf` or `linear`.
        C: Inverse strength of the penalty.
        gamma: Of the RBF kernel; `scale` is 1 / (D times the variance of all training values).
        max_iter: Steps of the solver after which the fit gives up.

    Attributes:
        support_vectors_: (S, D) float64; with the linear kernel their weighted sum, (1, D).
        dual_coef_: (S,) their weights.
        intercept_: What is added.
        gamma_: The number that was used.
        n_iter_: Steps; how much one does depends on the solver.
        converged_: Whether it ended before `max_iter`.
        fitted_by_: What solved it.
    """

    def __init__(
        self,
        kernel: Literal["rbf", "linear"] = "rbf",
        C: float = 1.0,
        gamma: float | Literal["scale"] = "scale",
        max_iter: int = 1_000_000,
    ) -> None:
        self.kernel = kernel
        self.C = C
        self.gamma = gamma
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any) -> Self:
        """Fits on rows (N, D) and their labels (N,).

        Raises:
            ValueError: Not two classes, or values that are not finite.
        """
        from sklearn.svm import SVC

        X, codes = self._training_rows(X, y, np.float64)
        spread = float(X.var())
        self.gamma_ = float(self.gamma) if self.gamma != "scale" else 1 / (X.shape[1] * spread) if spread else 1.0
        fast, self.fitted_by_ = implementation("SVC", len(X))
        model = (fast or SVC)(
            kernel=self.kernel, C=self.C, gamma=self.gamma_, tol=TOLERANCE, max_iter=self.max_iter, cache_size=CACHE_MB
        ).fit(X, codes)
        self.n_iter_ = int(np.max(model.n_iter_))
        self.converged_ = model.fit_status_ == 0 and self.n_iter_ < self.max_iter
        weights = np.asarray(model.dual_coef_, dtype=np.float64)
        vectors = np.asarray(model.support_vectors_, dtype=np.float64)
        self.intercept_ = float(model.intercept_[0])
        linear = self.kernel == "linear"
        self.support_vectors_ = weights @ vectors if linear else vectors
        self.dual_coef_ = np.ones(1) if linear else weights[0]
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """(N,) float64: sum of weight x kernel over the support vectors, and the intercept."""
        rows = self._rows(X, np.float64)
        if self.kernel == "linear":
            return np.asarray(rows @ self.support_vectors_[0] + self.intercept_)
        squares = np.einsum("sd,sd->s", self.support_vectors_, self.support_vectors_)
        decision = np.empty(len(rows))
        for start in range(0, len(rows), QUERY_BLOCK):
            block = rows[start : start + QUERY_BLOCK]
            distances = block @ (-2 * self.support_vectors_.T) + squares
            distances += np.einsum("nd,nd->n", block, block)[:, None]
            np.exp(-self.gamma_ * np.maximum(distances, 0, out=distances), out=distances)
            decision[start : start + QUERY_BLOCK] = distances @ self.dual_coef_ + self.intercept_
        return decision


def notes(model: SupportVectorMachine, _X: np.ndarray, _y: np.ndarray) -> tuple[str, ...]:
    """Whether it has converged, and whether something else than scikit-learn fitted it."""
    found = () if model.converged_ else (f"not converged after {model.n_iter_} of {model.max_iter} steps",)
    return found if model.fitted_by_ == PLAIN else (*found, f"fitted by {model.fitted_by_}")
