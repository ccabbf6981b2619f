"""Candidates for a search by cosine from a product in bfloat16, which some processors do at four times the speed.

Two decimal digits are enough to say who can't be among the nearest: a hundred candidates are kept, and a bound says how
near anybody else could be at most. Features of images all point the same way more or less; without their mean, which
changes no order, the digits are spent on what differs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

BANK_BLOCK = 8192
KEPT_OF_BLOCK = 32
SPARE = 96
SMALLEST_WORK = 2e10
"""Multiplications below which importing torch and rounding the bank cost more than they save."""
_UNIT, _UNIT_32 = 2.0**-9, 2.0**-24

Largest = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


@functools.cache
def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16, as far as Linux tells."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def pays(rows: int, bank: np.ndarray) -> bool:
    """Whether a search of so many rows is faster this way."""
    return rows * float(bank.size) >= SMALLEST_WORK and len(bank) >= BANK_BLOCK and has_bfloat16()


class CoarseBank:
    """A bank of rows of length 1 or 0 in bfloat16.

    Args:
        bank: (M, D) float32.
    """

    def __init__(self, bank: np.ndarray) -> None:
        import torch

        self._mean = bank.mean(axis=0)
        self._members = torch.empty(bank.shape, dtype=torch.bfloat16)
        self._lost = self._longest = 0.0
        for start in range(0, len(bank), BANK_BLOCK):
            part = slice(start, start + BANK_BLOCK)
            centred = bank[part] - self._mean
            self._members[part] = torch.from_numpy(centred).bfloat16()
            kept = self._members[part].float().numpy()
            self._lost = max(self._lost, float(_lengths(centred - kept).max()))
            self._longest = max(self._longest, float(_lengths(kept).max()))

    def candidates(self, block: np.ndarray, k: int, largest: Largest) -> tuple[np.ndarray, np.ndarray]:
        """Members that may be among the k nearest, and how near another can be.

        Args:
            block: (Q, D) float32 rows of length 1 or 0.
            k: How many are looked for.
            largest: Gives columns and values of the largest in each row of a matrix.

        Returns:
            (Q, C) members, and (Q,) float64 cosines that no other member exceeds.
        """
        import torch

        rows = torch.from_numpy(block).bfloat16()
        indices, products, beyond = [], [], np.full(len(block), -np.inf)
        for first in range(0, len(self._members), BANK_BLOCK):
            near = (rows @ self._members[first : first + BANK_BLOCK].T).float().numpy()
            found, best = largest(near, KEPT_OF_BLOCK)
            if near.shape[1] > KEPT_OF_BLOCK:
                beyond = np.maximum(beyond, best.min(axis=1))
            indices.append(first + found)
            products.append(best)
        members, values = np.concatenate(indices, axis=1), np.concatenate(products, axis=1)
        count = k + SPARE
        if values.shape[1] > count:
            kept = np.argpartition(values, -count, axis=1)[:, -count:]
            members, values = np.take_along_axis(members, kept, axis=1), np.take_along_axis(values, kept, axis=1)
            beyond = np.maximum(beyond, values.min(axis=1))
        error = self._largest_error(_lengths(block - rows.float().numpy()), beyond, block.shape[1])
        return members, beyond + error + block.astype(np.float64) @ self._mean.astype(np.float64)

    def _largest_error(self, lost: np.ndarray, beyond: np.ndarray, width: int) -> np.ndarray:
        """(N,) what rounding of rows, members, sums in float32 and results may have taken from a product.

        Source: as in `search`, for each of the four; what float32 loses elsewhere is counted with the sums.
        """
        sums = 4 * (width + 8) * _UNIT_32 * (1 + self._longest)
        return np.asarray(lost * self._longest + 1.01 * self._lost + sums + 1.01 * _UNIT * np.abs(beyond))


def _lengths(X: np.ndarray) -> np.ndarray:
    """(N,) float64, never too small; the margin is more than a sum in float32 can lose."""
    lengths = np.sqrt(np.einsum("nd,nd->n", X, X)).astype(np.float64)
    return np.asarray(lengths * (1 + (X.shape[1] + 8) * _UNIT_32) + 2.0**-60)
