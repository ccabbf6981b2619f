"""The vectors of one feature set in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dfd_core.features.ids import IdIndex, fixed_width


@dataclass(frozen=True)
class FeatureTable:
    """Vectors of dataset x augmentation x backbone, looked up by sample.

    Attributes:
        sample_ids: (N,) UTF-8 bytes of one width (numpy's `S`), each id once; text that is given is encoded.
        X: (N, D) float32, in the order of `sample_ids`; samples without a vector are not in it.
        failed: Status of each sample that has no vector, by sample id.

    Raises:
        ValueError: The shapes disagree or a sample occurs twice.
    """

    sample_ids: np.ndarray
    X: np.ndarray
    failed: dict[str, str]

    def __post_init__(self) -> None:
        if self.X.ndim != 2 or len(self.sample_ids) != len(self.X):
            raise ValueError(f"{len(self.sample_ids)} sample ids do not fit vectors of shape {self.X.shape}")
        object.__setattr__(self, "sample_ids", fixed_width(self.sample_ids))
        if not self._index.is_unique:
            raise ValueError("a sample has several vectors")

    @cached_property
    def _index(self) -> IdIndex:
        return IdIndex(self.sample_ids)

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
