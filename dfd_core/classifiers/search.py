"""Exact nearest neighbours by one blocked product in low precision.

A product of float32 matrices is fast, one of bfloat16 faster where `coarse` has it, but neither is exact, and their
last digits depend on the blocks. So they only propose: more candidates than asked for are kept, their values are
computed anew in float64, pair by pair, and a bound on the product's rounding says whether anybody else could be among
the best. Where it could, the row is searched again with more digits. So what is found does not depend on blocks,
threads, processors, or how many are asked for, and equally near members come in the order of the bank.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from dfd_core.classifiers import coarse

Metric = Literal["euclidean", "cosine"]
_Propose = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

QUERY_BLOCK = 256
BANK_BLOCK = 8192
"""A block of products is 8 MB, which stays near the processor while its best are looked for."""
GROUP = 32
"""Members of a block that are compared by their best first."""
SPARE = 12
"""Candidates beyond those asked for; with fewer of them the bound sends more rows to the second search."""
RANK_BLOCK = 64
AGAIN_BLOCK = 32
_UNIT_32, _UNIT_64 = 2.0**-24, 2.0**-53
_SMALLEST, _LARGEST = 2.0**-126, 1e37


class Neighbours(NamedTuple):
    """What was found, the nearest first.

    Attributes:
        indices: (N, k) members of the bank.
        values: (N, k) float64: the cosine, or the squared Euclidean distance.
    """

    indices: np.ndarray
    values: np.ndarray


def unit_rows(X: np.ndarray) -> np.ndarray:
    """(N, D) float32 rows of length 1; rows of zeros stay."""
    largest = np.abs(X).max(axis=1, keepdims=True)
    scaled = X / np.where(largest > 0, largest, 1)  # else squares of tiny or huge values leave float32
    lengths = np.sqrt(np.einsum("nd,nd->n", scaled, scaled, dtype=np.float64))
    return np.asarray(scaled / np.where(lengths > 0, lengths, 1)[:, None], dtype=np.float32)


def nearest(rows: np.ndarray, bank: np.ndarray, k: int, metric: Metric) -> Neighbours:
    """The k members of a bank that are nearest to each row.

    Args:
        rows: (N, D) float32, finite; for `cosine` from `unit_rows`.
        bank: (M, D) float32, likewise, M at least k.
        k: How many.
        metric: Near is a large cosine, or a small Euclidean distance.
    """
    proposals: list[_Propose] = []
    if metric == "cosine" and coarse.pays(len(rows), bank):
        rough = coarse.CoarseBank(bank)
        proposals.append(lambda block: rough.candidates(block, k, _largest))
    offsets = _squares(bank) / 2 if metric == "euclidean" else None
    proposals.append(lambda block: _candidates(block, bank, offsets, k + SPARE))
    indices, values = np.empty((len(rows), k), dtype=np.intp), np.empty((len(rows), k))
    left = np.arange(len(rows))
    for propose in proposals:
        doubtful = []
        for start in range(0, len(left), QUERY_BLOCK):
            which = left[start : start + QUERY_BLOCK]
            block = rows[which]
            candidates, reach = propose(block)
            indices[which], values[which] = found = _ranked(block, bank, candidates, k, metric)
            last = found.values[:, -1]
            nearness = last if metric == "cosine" else (_squares(block) - last) / 2
            doubtful.append(which[~(nearness > reach)])
        left = np.concatenate([left[:0], *doubtful])
    for first in range(0, len(left), AGAIN_BLOCK):
        which = left[first : first + AGAIN_BLOCK]
        indices[which], values[which] = _searched_again(rows[which], bank, offsets, k, metric)
    return Neighbours(indices, values)


def _squares(X: np.ndarray) -> np.ndarray:
    """(N,) float64 squared lengths."""
    return np.concatenate(
        [np.einsum("nd,nd->n", part, part) for start in range(0, len(X), BANK_BLOCK)
         for part in [X[start : start + BANK_BLOCK].astype(np.float64)]]
    )  # fmt: skip


def _largest_error(lengths: np.ndarray, longest: float, width: int, unit: float) -> np.ndarray:
    """(N,) what rounding may change in `rows @ bank.T - offsets`, in whatever order a product adds.

    Source: N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1, with Cauchy-Schwarz.
    """
    return np.asarray(unit * ((width + 8) * lengths * longest + 4 * longest**2) + width * _SMALLEST)


def _candidates(
    block: np.ndarray, bank: np.ndarray, offsets: np.ndarray | None, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """(Q, count) members with the largest products, and (Q,) what no other member's exact product exceeds."""
    indices, products = np.empty((len(block), 0), dtype=np.intp), np.empty((len(block), 0), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # rows that leave float32 are searched again
        for first in range(0, len(bank), BANK_BLOCK):
            members = slice(first, first + BANK_BLOCK)
            near = block @ bank[members].T
            if offsets is not None:
                near -= offsets[members].astype(np.float32)
            found, best = _largest(near, count)
            indices = np.concatenate([indices, first + found], axis=1)
            products = np.concatenate([products, best], axis=1)
            if products.shape[1] > count:
                kept = np.argpartition(products, -count, axis=1)[:, -count:]
                indices = np.take_along_axis(indices, kept, axis=1)
                products = np.take_along_axis(products, kept, axis=1)
    if len(bank) <= count:
        return indices, np.full(len(block), -np.inf)
    lengths, longest = np.sqrt(_squares(block)), _longest(offsets)
    reach = products.min(axis=1) + _largest_error(lengths, longest, bank.shape[1], _UNIT_32)
    return indices, np.where(lengths * longest + longest**2 < _LARGEST, reach, np.inf)


def _longest(offsets: np.ndarray | None) -> float:
    """The length of the longest member."""
    return 1 + 1e-6 if offsets is None else float(np.sqrt(2 * offsets.max()))


def _largest(products: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(Q, min(count, B)) columns and values of the largest in each row, in no order."""
    width = products.shape[1]
    groups = width // GROUP
    if width <= count:
        return np.broadcast_to(np.arange(width), products.shape), products
    if width % GROUP or groups <= 2 * count:
        found = np.argpartition(products, -count, axis=1)[:, -count:]
        return found, np.take_along_axis(products, found, axis=1)
    # the `count` largest stand in the `count` groups whose best are largest; a group is every `groups`-th column
    grouped = products.reshape(-1, GROUP, groups)
    chosen = np.argpartition(grouped.max(axis=1), -count, axis=1)[:, None, -count:]
    few = np.take_along_axis(grouped, chosen, axis=2).reshape(len(products), -1)
    columns = (np.arange(GROUP)[:, None] * groups + chosen).reshape(len(products), -1)
    found = np.argpartition(few, -count, axis=1)[:, -count:]
    return np.take_along_axis(columns, found, axis=1), np.take_along_axis(few, found, axis=1)


def _values(rows: np.ndarray, bank: np.ndarray, candidates: np.ndarray, metric: Metric) -> np.ndarray:
    """(Q, C) float64, each from its own pair alone, so that the same pair always gives the same bits."""
    members, wide = bank[candidates].astype(np.float64), rows.astype(np.float64)
    if metric == "cosine":
        return np.asarray(np.einsum("qcd,qd->qc", members, wide))
    members -= wide[:, None, :]
    return np.asarray(np.einsum("qcd,qcd->qc", members, members))


def _ranked(rows: np.ndarray, bank: np.ndarray, candidates: np.ndarray, k: int, metric: Metric) -> Neighbours:
    """The k best of each row's candidates (Q, C), nearest first, equally near ones in the bank's order."""
    values = np.concatenate(
        [_values(rows[start : start + RANK_BLOCK], bank, candidates[start : start + RANK_BLOCK], metric)
         for start in range(0, len(rows), RANK_BLOCK)]
    )  # fmt: skip
    order = np.lexsort((candidates, -values if metric == "cosine" else values), axis=1)[:, :k]
    return Neighbours(np.take_along_axis(candidates, order, axis=1), np.take_along_axis(values, order, axis=1))


def _searched_again(
    rows: np.ndarray, bank: np.ndarray, offsets: np.ndarray | None, k: int, metric: Metric
) -> Neighbours:
    """The same search with products in float64 and every member as a candidate that could be one of the k."""
    wide = rows.astype(np.float64)
    products = np.concatenate(
        [wide @ bank[start : start + BANK_BLOCK].astype(np.float64).T for start in range(0, len(bank), BANK_BLOCK)],
        axis=1,
    )
    if offsets is not None:
        products -= offsets
    error = _largest_error(np.sqrt(_squares(rows)), _longest(offsets), bank.shape[1], _UNIT_64)
    reach = np.partition(products, -k, axis=1)[:, -k] - 2 * error
    found = []
    for row, product, least in zip(rows[:, None], products, reach, strict=True):
        found.append(_ranked(row, bank, np.flatnonzero(product >= least)[None], k, metric))
    return Neighbours(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
