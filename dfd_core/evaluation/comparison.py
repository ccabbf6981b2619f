"""Paired tests between two detectors on the same samples.

Both take samples for independent. Where groups hold several, their p-values are too small; the difference of
`Cell.replicates` of two cells with the same labels, groups and seed is a paired bootstrap that draws groups whole.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dfd_core.errors import EvaluationError
from dfd_core.evaluation.bootstrap import check_scores

FEW_DISAGREEMENTS = 25
"""Below it McNemar's test is exact: the customary bound of the chi-square approximation."""


class PairedTest(NamedTuple):
    """What a paired test found.

    Attributes:
        difference: The first detector's value minus the second's.
        low: The lower end of the difference's interval.
        high: The upper end.
        p_value: Two-sided, of no difference.
        statistic: z of DeLong's test; chi-square of McNemar's, or where that is exact, the samples that only the first
            detector told rightly.
        n: Samples.
        test: What was done.
    """

    difference: float
    low: float
    high: float
    p_value: float
    statistic: float
    n: int
    test: str


def delong(y: np.ndarray, score_a: np.ndarray, score_b: np.ndarray, level: float = 0.95) -> PairedTest:
    """Whether two detectors differ in AUROC (DeLong, DeLong and Clarke-Pearson 1988).

    By mid-ranks, in O(N log N) (Sun and Xu 2014). Each sample's part in an AUROC is its placement among those of the
    other label; the variance of the difference is that of the differences of placements.

    Args:
        y: (N,) labels.
        score_a: (N,) scores of the first detector.
        score_b: (N,) scores of the second for the same samples.
        level: Of the interval, which is normal.

    Returns:
        The test. Where all placements agree, or all differ by the same, there is no variance: p is 1 without a
        difference, and else 0 with an infinite z.

    Raises:
        EvaluationError: A label has fewer than two samples, or scores are out of range.
    """
    from scipy.special import ndtr, ndtri

    y, score_a = check_scores(y, score_a)
    score_b = check_scores(y, score_b)[1]
    counts = np.bincount(y, minlength=2)
    if counts.min() < 2:
        raise EvaluationError(
            f"DeLong's test needs two samples of each label; {counts[0]} real, {counts[1]} generated."
        )
    placed = [_placements(y, score) for score in (score_a, score_b)]
    fakes, reals = (a - b for a, b in zip(*placed, strict=True))
    difference = float(fakes.mean())
    deviation = float(np.sqrt(fakes.var(ddof=1) / len(fakes) + reals.var(ddof=1) / len(reals)))
    z = difference / deviation if deviation else float(np.copysign(np.inf, difference)) if difference else 0.0
    half = float(ndtri((1 + level) / 2)) * deviation
    ends = max(-1.0, difference - half), min(1.0, difference + half)
    return PairedTest(difference, *ends, 2 * float(ndtr(-abs(z))), z, len(y), "DeLong")


def mcnemar(y: np.ndarray, called_a: np.ndarray, called_b: np.ndarray, level: float = 0.95) -> PairedTest:
    """Whether two detectors differ in accuracy, each at its own threshold (McNemar 1947).

    Exact (binomial) where fewer than 25 samples are told rightly by one alone, else chi-square with continuity
    correction (Edwards 1948). The interval is the adjusted Wald interval of Bonett and Price (2012), which does not
    collapse where the detectors never disagree.

    Args:
        y: (N,) labels.
        called_a: (N,) whether the first detector calls a sample generated.
        called_b: (N,) the same of the second.
        level: Of the interval.

    Raises:
        EvaluationError: There are no samples, or their numbers differ.
    """
    from scipy.special import ndtri
    from scipy.stats import binomtest, chi2

    y, called_a, called_b = (np.asarray(values) for values in (y, called_a, called_b))
    if not len(y) or not y.shape == called_a.shape == called_b.shape:
        raise EvaluationError(
            f"McNemar's test needs two calls for each of at least one sample; there are {len(y)} labels, "
            f"{len(called_a)} and {len(called_b)} calls."
        )
    right_a, right_b, n = called_a.astype(bool) == (y == 1), called_b.astype(bool) == (y == 1), len(y)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    differing = only_a + only_b
    if differing < FEW_DISAGREEMENTS:
        statistic, test = float(only_a), "McNemar, exact"
        p_value = float(binomtest(only_a, differing).pvalue) if differing else 1.0
    else:
        statistic, test = (max(0, abs(only_a - only_b) - 1)) ** 2 / differing, "McNemar, chi-square"
        p_value = float(chi2.sf(statistic, 1))
    a, b = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    half = float(ndtri((1 + level) / 2) * np.sqrt((a + b - (a - b) ** 2) / (n + 2)))
    return PairedTest(
        (only_a - only_b) / n, max(-1.0, a - b - half), min(1.0, a - b + half), p_value, statistic, n, test
    )


def _placements(y: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each fake the share of reals below it (F,), of each real that of fakes above it (R,); equals count half."""
    from scipy.stats import rankdata

    fake = y == 1
    n_fake, n_real = int(fake.sum()), int((~fake).sum())
    ranks = rankdata(score)
    of_fakes = (ranks[fake] - rankdata(score[fake])) / n_real
    of_reals = 1 - (ranks[~fake] - rankdata(score[~fake])) / n_fake
    return of_fakes, of_reals
