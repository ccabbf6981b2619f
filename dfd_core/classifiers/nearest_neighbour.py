"""Cosine 1-nearest-neighbour with two banks, one of reals and one of fakes."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

QUERY_BLOCK = 1024
BANK_BLOCK = 8192


class NearestNeighbour(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Says "fake" where the nearest fake is nearer than the nearest real (Ojha et al., CVPR 2023, arXiv:2302.10174).

    The score is 0.5 + (a - b) / 4 with a and b the largest cosine similarity to the bank of fakes and of reals: 0.5
    where both are equally near, monotone in the difference that decides, and within 0 and 1. It is no calibrated
    probability.
    A vector of zeros has no direction; its similarity with everything counts as 0, so alone it scores 0.5.

    Attributes:
        classes_: (2,) the labels, sorted; the second is the fakes'.
        n_features_in_: D.
        banks_: For each class its (M, D) float32 rows, of length 1.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Keeps the training rows.

        Args:
            X: (N, D).
            y: (N,) with two distinct values.

        Raises:
            ValueError: Not two classes, or values that are not finite.
        """
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) != 2:
            plural = "class" if len(self.classes_) == 1 else "classes"
            raise ValueError(f"Only binary classification is supported: y has {len(self.classes_)} {plural}, not 2.")
        rows = _normalised(X)
        self.banks_ = [rows[codes == code] for code in (0, 1)]
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """(N,) float64: similarity to the nearest fake less similarity to the nearest real, within -2 and 2."""
        check_is_fitted(self)
        rows = _normalised(validate_data(self, X, dtype=np.float32, reset=False))
        real, fake = (_largest_similarity(rows, bank) for bank in self.banks_)
        return np.asarray(fake - real)

    def predict_proba(self, X: Any) -> np.ndarray:
        """(N, 2) float64: one less the score, and the score."""
        score = 0.5 + self.decision_function(X) / 4
        return np.stack([1 - score, score], axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """(N,) labels; real where both banks are equally near."""
        fake = self.decision_function(X) > 0
        return np.asarray(self.classes_[fake.astype(int)])

    def __sklearn_tags__(self) -> Any:
        """Two classes only."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def _normalised(X: np.ndarray) -> np.ndarray:
    """Rows of length 1; rows of zeros stay."""
    largest = np.abs(X).max(axis=1, keepdims=True)
    scaled = X / np.where(largest > 0, largest, 1)  # else squares of tiny or huge values leave float32
    lengths = np.sqrt(np.einsum("nd,nd->n", scaled, scaled, dtype=np.float64))
    return np.asarray(scaled / np.where(lengths > 0, lengths, 1)[:, None], dtype=np.float32)


def _largest_similarity(rows: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """(N,) float64: the cosine of each row with its nearest in a bank, both normalised.

    The search is a blocked float32 product, so N x M never stands in memory. The winner's cosine is computed anew in
    float64: the product's last digits depend on the blocks, the result does not.
    """
    similarity = np.empty(len(rows))
    for start in range(0, len(rows), QUERY_BLOCK):
        block = rows[start : start + QUERY_BLOCK]
        best = np.full(len(block), -np.inf, dtype=np.float32)
        nearest = np.zeros(len(block), dtype=np.intp)
        for first in range(0, len(bank), BANK_BLOCK):
            products = block @ bank[first : first + BANK_BLOCK].T
            winner = products.argmax(axis=1)
            value = products[np.arange(len(block)), winner]
            better = value > best
            best[better], nearest[better] = value[better], winner[better] + first
        exact = np.einsum("nd,nd->n", block, bank[nearest], dtype=np.float64)
        similarity[start : start + QUERY_BLOCK] = np.clip(exact, -1, 1)
    return similarity
