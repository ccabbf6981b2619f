"""The vectors of one feature set in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dfd_core.features.ids import IdIndex, as_text, fixed_width


class FeatureTable:
    """Vectors of dataset x augmentation x backbone, looked up by sample.

    Ids are held as bytes of one width, a quarter of what text takes in numpy.

    Args:
        sample_ids: (N,) text, or UTF-8 bytes of numpy's type `S`, each id once.
        X: (N, D) float32, in the order of `sample_ids`; samples without a vector are not in it.
        failed: Status of each sample that has no vector, by sample id.

    Raises:
        ValueError: The shapes disagree or a sample occurs twice.
    """

    def __init__(self, sample_ids: np.ndarray, X: np.ndarray, failed: dict[str, str]) -> None:
        if X.ndim != 2 or len(sample_ids) != len(X):
            raise ValueError(f"{len(sample_ids)} sample ids do not fit vectors of shape {X.shape}")
        self.X, self.failed = X, failed
        self._index = IdIndex(fixed_width(sample_ids))
        if not self._index.is_unique:
            raise ValueError("a sample has several vectors")

    @property
    def sample_ids(self) -> np.ndarray:
        """The samples in the order of `X`, (N,) text; a new array each time."""
        return as_text(self._index.ids)

    def rows(self, sample_ids: Sequence[str] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where samples stand in `X`.

        Args:
            sample_ids: M of them, in any order, repeated or not.

        Returns:
            Indices (K,) of those that have a vector, in the order asked for, and a boolean mask (M,) of those that have
            none.
        """
        indices = self._index.find(fixed_width(sample_ids))
        missing = indices < 0
        return indices[~missing], missing
