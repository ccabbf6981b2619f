"""The ROC curve of the same samples under many weightings at once, and the metrics that are read off it.

Fakes are the positives. A point of the curve is a distinct score: everything at or above it is called. Equal scores are
one point, whatever their labels, as in scikit-learn; so the result does not depend on the order of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int32]


def allowed_false_alarms(n_real: Floats | int, target: float) -> Floats:
    """How many of the reals may be called at a false-positive rate of at most `target`.

    It is 0 where there are fewer than 1 / target of them.
    """
    return np.floor(np.asarray(n_real) * target + 1e-9)  # 0.29 * 100 is 28.999999999999996


class Ranking:
    """Samples in the order of their scores, from the highest down; made once for all weightings.

    Args:
        y: (N,) labels.
        score: (N,) scores.
        column: (N,) where a sample's weight stands in a weighting; all samples of a group have one place. By default
            each its own.

    Attributes:
        reals: (R,) places of the reals' weights, in the order of scores.
        fakes: (F,) the same of the fakes.
        reals_within: (K + 1,) how many reals are among the samples with the k highest distinct scores.
        fakes_within: (K + 1,) the same of fakes.
        point: (F,) for each fake, in the order of scores, the k that first takes it in.
    """

    def __init__(self, y: np.ndarray, score: np.ndarray, column: np.ndarray | None = None) -> None:
        order = np.argsort(-score, kind="stable")
        ranked, fake = score[order], y[order] == 1
        places = order if column is None else column[order]
        first = np.append(True, ranked[1:] != ranked[:-1])
        ends = np.append(np.flatnonzero(first), len(order))
        self.reals, self.fakes = places[~fake], places[fake]
        self.reals_within = np.append(0, np.cumsum(~fake))[ends]
        self.fakes_within = np.append(0, np.cumsum(fake))[ends]
        self.point = np.cumsum(first)[fake]


class Curve:
    """The ROC curves of B weightings.

    Weights are whole numbers, so all sums are exact, and NumPy adds them up ten times as fast as float64.

    Args:
        ranking: The samples; both labels must occur.
        weights: (B, G) uint8, how often each place of the ranking counts; each row must give both labels some weight.

    Attributes:
        n_real: (B,) the weight of all reals.
        n_fake: (B,) the weight of all fakes.
    """

    def __init__(self, ranking: Ranking, weights: np.ndarray) -> None:
        self.ranking = ranking
        fake_weights = weights[:, ranking.fakes]
        self._fake_weights = fake_weights.astype(np.float64)
        self._false, self._true = _running_sums(weights[:, ranking.reals]), _running_sums(fake_weights)
        self.n_real, self.n_fake = (sums[:, -1].astype(np.float64) for sums in (self._false, self._true))
        self._rows = np.arange(len(weights))

    @cached_property
    def false_at_fakes(self) -> Counts:
        """(B, F) the weight of the reals at or above each fake."""
        return self._false[:, self.ranking.reals_within[self.ranking.point]]

    @property
    def false_above_fakes(self) -> Counts:
        """(B, F) the weight of the reals above each fake."""
        at, above = (self.ranking.reals_within[self.ranking.point - step] for step in (0, 1))
        return self.false_at_fakes if np.array_equal(at, above) else self._false[:, above]

    @property
    def true_at_fakes(self) -> Counts:
        """(B, F) the weight of the fakes at or above each fake."""
        return self._true[:, self.ranking.fakes_within[self.ranking.point]]

    def over_fakes(self, values: np.ndarray) -> Floats:
        """(B,) the weighted mean over the fakes of (B, F)."""
        return row_products(self._fake_weights, values) / self.n_fake

    def at(self, k: np.ndarray) -> tuple[Floats, Floats]:
        """The weights (B,) of reals and of fakes within the k highest distinct scores, a k for each weighting."""
        within = self.ranking.reals_within[k], self.ranking.fakes_within[k]
        false, true = self._false[self._rows, within[0]], self._true[self._rows, within[1]]
        return false.astype(np.float64), true.astype(np.float64)

    def first(self, reached: Callable[[Floats, Floats], npt.NDArray[np.bool_]]) -> npt.NDArray[np.intp]:
        """(B,) the first k at which something is reached that stays so for all larger k and holds for the largest.

        Args:
            reached: From the weights (B,) of called reals and of called fakes to whether it is, (B,).
        """
        low = np.zeros(len(self._rows), dtype=np.intp)
        high = np.full_like(low, len(self.ranking.reals_within) - 1)
        while (open_ := low < high).any():
            middle = (low + high) // 2
            yes = reached(*self.at(middle))
            high = np.where(open_ & yes, middle, high)
            low = np.where(open_ & ~yes, middle + 1, low)
        return low


def auroc(curve: Curve) -> Floats:
    """(B,) the chance that a fake scores above a real, equal scores counting half (Mann and Whitney 1947)."""
    beaten_by = (curve.false_at_fakes + curve.false_above_fakes) / 2
    return 1 - curve.over_fakes(beaten_by) / curve.n_real


def average_precision(curve: Curve) -> Floats:
    """(B,) the sum over points of precision times the gain in recall, without interpolation.

    As `sklearn.metrics.average_precision_score`.
    """
    true = curve.true_at_fakes
    called = true + curve.false_at_fakes
    return curve.over_fakes(np.divide(true, called, out=np.zeros(true.shape), where=called > 0))


def equal_error_rate(curve: Curve) -> Floats:
    """(B,) the error where as large a share of reals is called as of fakes is missed; lower is better.

    Neighbouring points of the ROC curve are joined by straight lines, and the value is where they cross FPR = 1 - TPR:
    what `brentq(lambda x: 1 - x - interp1d(fpr, tpr)(x), 0, 1)` finds on scikit-learn's `roc_curve`. Equal scores of
    reals and fakes make a slanting line, which is the chance of telling them apart by lot. Not the convex hull
    (Brummer and de Villiers 2013), whose EER is never higher.
    """
    n_real, n_fake = curve.n_real, curve.n_fake
    crossing = curve.first(lambda false, true: false * n_fake + true * n_real >= n_real * n_fake)
    (false, true), (false_before, true_before) = curve.at(crossing), curve.at(crossing - 1)
    before = false_before * n_fake + true_before * n_real
    step = false * n_fake + true * n_real - before
    return (false_before + (n_real * n_fake - before) / step * (false - false_before)) / n_real


def tpr_at_fpr(curve: Curve, target: float) -> Floats:
    """(B,) the largest share of fakes called by a threshold that calls at most `target` of the reals.

    Without interpolation, so a threshold exists that does it. With fewer than 1 / target reals none of them may be
    called: the value is then the share of fakes above every real, and needs that many reals to mean what it says.
    """
    allowed = allowed_false_alarms(curve.n_real, target)
    too_many = curve.first(lambda false, _: false > allowed)
    return curve.at(too_many - 1)[1] / curve.n_fake


def row_products(a: np.ndarray, b: np.ndarray) -> Floats:
    """Sums over the last axis of products of arrays that broadcast.

    In pieces: OpenBLAS calls its threads for more than 10,000 numbers, and they spin for longer than the sum takes.
    """
    pieces = (slice(start, start + 8192) for start in range(0, a.shape[-1], 8192))
    sums: Floats = np.sum([np.vecdot(a[..., piece], b[..., piece]) for piece in pieces], axis=0)
    return sums


def _running_sums(weights: np.ndarray) -> Counts:
    """(B, M + 1) sums of the first 0 to M of (B, M)."""
    sums = np.zeros((len(weights), weights.shape[1] + 1), dtype=np.int32)
    np.cumsum(weights.astype(np.int32), axis=1, out=sums[:, 1:])
    return sums
