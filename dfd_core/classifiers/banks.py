"""Classifiers that keep their training rows: one search of these rows serves any number of neighbours."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from dfd_core.classifiers.binary import BinaryClassifier
from dfd_core.classifiers.search import Metric, Neighbours, nearest, unit_rows


class BankClassifier(BinaryClassifier):
    """A classifier by the nearest members of one or more banks of training rows.

    Attributes:
        banks_: The banks, (M, D) float32 each; for cosines of rows of length 1.
    """

    k: int = 1  # files from before there was a choice have none
    metric: Metric = "cosine"

    @property
    @abstractmethod
    def depth(self) -> int:
        """How many neighbours in each bank are looked at."""

    @abstractmethod
    def decide(self, found: Sequence[Neighbours]) -> np.ndarray:
        """(N,) the decision function, from at least `depth` neighbours in each bank."""

    @abstractmethod
    def scaled(self, decision: np.ndarray) -> np.ndarray:
        """(N,) between 0 and 1, 0.5 where the decision is 0."""

    def search(self, X: Any, depth: int) -> list[Neighbours]:
        """The nearest members of each bank to rows (N, D)."""
        rows = self._prepared(self._rows(X, np.float32))
        return [nearest(rows, bank, depth, self.metric) for bank in self.banks_]

    def decision_function(self, X: Any) -> np.ndarray:
        """(N,) float64, positive where the second class is nearer."""
        return self.decide(self.search(X, self.depth))

    def predict_proba(self, X: Any) -> np.ndarray:
        """(N, 2) float64: one less the score, and the score."""
        return self.probabilities(self.search(X, self.depth))

    def probabilities(self, found: Sequence[Neighbours]) -> np.ndarray:
        """What `predict_proba` gives, from neighbours that were found before."""
        score = self.scaled(self.decide(found))
        return np.stack([1 - score, score], axis=1)

    def has_banks_of(self, other: BankClassifier) -> bool:
        """Whether one search serves both."""
        pairs = list(zip(self.banks_, other.banks_, strict=False))
        alike = type(self) is type(other) and self.metric == other.metric and len(self.banks_) == len(other.banks_)
        return alike and all(one is two or np.array_equal(one, two) for one, two in pairs)

    def twin(self, k: int) -> Self:
        """The same, fitted, with another number of neighbours; the banks are not copied."""
        other = type(self)(**{**self.get_params(), "k": k})
        for name, value in vars(self).items():
            if name.endswith("_"):
                setattr(other, name, value)
        other._check_depth()
        return other

    def _prepared(self, rows: np.ndarray) -> np.ndarray:
        return unit_rows(rows) if self.metric == "cosine" else rows

    def _check_depth(self) -> None:
        smallest = min(len(bank) for bank in self.banks_)
        if smallest < self.depth:
            raise ValueError(
                f"k = {self.k} looks at {self.depth} neighbours, but there are only {smallest} training rows to look "
                "at. Choose a smaller k, or more training rows."
            )
