"""Cosine nearest neighbours with two banks, one of reals and one of fakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from dfd_core.classifiers.banks import BankClassifier
from dfd_core.classifiers.search import Neighbours


class NearestNeighbour(BankClassifier):
    """Says "fake" where the nearest fake is nearer than the nearest real (Ojha et al., CVPR 2023, arXiv:2302.10174).

    Where k > 1 neighbours vote, most of the k nearest are fakes exactly where the (k + 1) / 2-th nearest fake is nearer
    than the (k + 1) / 2-th nearest real. So these two decide, and the score has more than k + 1 values: it is
    0.5 + (a - b) / 4 with a and b their cosine similarities. It is 0.5 where both are equally near, monotone in the
    difference that decides, and within 0 and 1. It is no calibrated probability.
    A vector of zeros has no direction; its similarity with everything counts as 0, so alone it scores 0.5.

    Args:
        k: How many vote; odd.

    Attributes:
        banks_: The rows of each class.
    """

    def __init__(self, k: int = 1) -> None:
        self.k = k

    def fit(self, X: Any, y: Any) -> Self:
        """Keeps the training rows (N, D) and their labels (N,).

        Raises:
            ValueError: Not two classes, too few rows of one, or values that are not finite.
        """
        X, codes = self._training_rows(X, y, np.float32)
        rows = self._prepared(X)
        self.banks_ = [rows[codes == code] for code in (0, 1)]
        self._check_depth()
        return self

    @property
    def depth(self) -> int:
        """So many of one class are a majority."""
        return (self.k + 1) // 2

    def decide(self, found: Sequence[Neighbours]) -> np.ndarray:
        """(N,) float64 within -2 and 2: similarity to the deciding fake less similarity to the deciding real."""
        real, fake = (np.clip(bank.values[:, self.depth - 1], -1, 1) for bank in found)
        return np.asarray(fake - real)

    def scaled(self, decision: np.ndarray) -> np.ndarray:
        """(N,) 0.5 + decision / 4."""
        return 0.5 + decision / 4
