"""Bootstrap intervals of metrics: groups are drawn with replacement, within strata, from a seed.

Samples of one group (versions of one photograph, a photograph and its fake) are not independent, so a group is drawn
whole or not (Davison and Hinkley 1997, 3.8). Strata are the groups that hold reals only, fakes only, or both: each is
drawn as often as it has groups, so every resample holds each label that the test set holds. Where every group is one
sample, it is the ordinary stratified bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from dfd_core.errors import EvaluationError
from dfd_core.evaluation.curves import Curve, Ranking, row_products
from dfd_core.evaluation.metrics import METRICS, SumFormula
from dfd_core.specs import Spec

BLOCK = 2**18
"""Samples times replicates at once: some 10 MB; larger and smaller blocks took longer."""
KEPT_BYTES = 2**24
"""Draws of a cell are kept up to this size, one byte each; larger ones are drawn again when they are needed again."""


class BootstrapSpec(Spec):
    """How intervals are made.

    Attributes:
        replicates: Resamples; with 0 there are no intervals.
        level: The share of intervals that should hold the true value.
        seed: Of the draws. Cells of the same labels and groups get the same draws, so their differences are paired.
    """

    replicates: Annotated[int, Field(ge=0)] = 1000
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95
    seed: Annotated[int, Field(ge=0)] = 0


class Interval(NamedTuple):
    """A value with its interval.

    Attributes:
        value: The metric of the samples themselves.
        low: The interval's lower end; `None` where there are no replicates, or a label that the metric needs comes from
            one group, so that nothing says how far it would vary.
        high: The upper end.
    """

    value: float
    low: float | None
    high: float | None


class Resamples:
    """How often each group of a test set is drawn in each replicate.

    Groups stand in the order of their stratum, then of their code, so that rows may come in any order. The draws of a
    stratum come from one stream (PCG64), however large the blocks are that they are taken in.

    Args:
        y: (N,) labels.
        group: (N,) codes of the groups, of any type that can be sorted.
        spec: How many, and the seed.

    Attributes:
        column: (N,) the place of each sample's group.
        n_groups: Groups.
        varies: Whether draws of the reals, and of the fakes, can differ: some stratum that holds them has two groups.
    """

    def __init__(self, y: np.ndarray, group: np.ndarray, spec: BootstrapSpec) -> None:
        codes, names = pd.factorize(group, sort=True)
        if (codes < 0).any():
            raise EvaluationError(
                f"{int((codes < 0).sum())} of {len(y)} test samples have no group; give each its own."
            )
        has = np.array([np.bincount(codes[y == label], minlength=len(names)) > 0 for label in (0, 1)])
        stratum = has[0] + 2 * has[1]
        place = np.empty(len(names), dtype=np.intp)
        place[np.argsort(stratum, kind="stable")] = np.arange(len(names))
        self.column, self.n_groups, self._spec = place[codes], len(names), spec
        _, only_reals, only_fakes, both = np.bincount(stratum, minlength=4).tolist()
        self.varies = max(only_reals, both) > 1, max(only_fakes, both) > 1
        self._strata = (1, only_reals), (2, only_fakes), (3, both)
        self._rows = max(1, BLOCK // max(1, len(y)))
        self._kept: list[np.ndarray] | None = None

    def blocks(self) -> Iterator[np.ndarray]:
        """The draws, (b, G) uint8 a block, `replicates` rows in all and always the same."""
        if self._kept is None and self._spec.replicates * self.n_groups <= KEPT_BYTES:
            self._kept = list(self._drawn())
        yield from self._drawn() if self._kept is None else self._kept

    def _drawn(self) -> Iterator[np.ndarray]:
        streams = [
            (np.random.Generator(np.random.PCG64([self._spec.seed, number])), size)
            for number, size in self._strata
            if size
        ]
        for start in range(0, self._spec.replicates, self._rows):
            rows = min(self._rows, self._spec.replicates - start)
            yield np.hstack([_multiplicities(stream, rows, size) for stream, size in streams])


class Cell:
    """One detector's scores of one test set, and every metric of them with its interval.

    Args:
        y: (N,) labels, 0 real or 1 generated.
        score: (N,) scores in [0, 1].
        group: (N,) codes of the groups; the same code is the same group. Codes that mean the same in every run, as
            group ids do, make intervals reproducible; the order of rows changes nothing but the last digit.
        bootstrap: How intervals are made. They are percentiles (Efron 1979); where all samples are told rightly they
            have no width, and n alone says how little that means: up to 3 / n may be told wrongly, at 95 %.

    Raises:
        EvaluationError: Labels, scores or groups are missing or out of range.
    """

    def __init__(self, y: np.ndarray, score: np.ndarray, group: np.ndarray, bootstrap: BootstrapSpec) -> None:
        self._y, self._score = check_scores(y, score)
        self._spec = bootstrap
        self._resamples = Resamples(self._y, np.asarray(group), bootstrap)
        self._curves: dict[str, np.ndarray] | None = None
        self._sums: dict[tuple[Callable[..., np.ndarray], float], np.ndarray] = {}

    def measure(self, name: str, threshold: float | None = None) -> Interval:
        """A metric with its interval.

        Args:
            name: The metric's name.
            threshold: Scores above it are called generated; needed where the metric is thresholded.

        Raises:
            UnknownNameError: There is no such metric.
            EvaluationError: A label that it needs has no sample.
        """
        metric = METRICS[name]
        value = metric.function(self._y, self._score, self._threshold(name, threshold))
        if not self._spec.replicates or not all(self._resamples.varies[label] for label in metric.labels):
            return Interval(value, None, None)
        found = self.replicates(name, threshold)
        if metric.inflated:
            found = np.clip(found - found.mean() + value, 0, 1)
        tail = (1 - self._spec.level) / 2
        low, high = np.quantile(found, [tail, 1 - tail])
        return Interval(value, float(low), float(high))

    def replicates(self, name: str, threshold: float | None = None) -> np.ndarray:
        """(B,) a metric of every resample; see `measure`."""
        metric = METRICS[name]
        metric.check_labels(self._y)
        if isinstance(metric.formula, SumFormula):
            return metric.formula.value(self._summed(metric.formula, self._threshold(name, threshold)))
        if self._curves is None:
            self._curves = self._all_curves()
        return self._curves[name]

    def _threshold(self, name: str, threshold: float | None) -> float:
        if not METRICS[name].thresholded:
            return 0.5  # one key for all that make nothing of it
        if threshold is None:
            raise EvaluationError(f"{METRICS[name].title} needs a threshold and there is none.")
        return threshold

    def _summed(self, formula: SumFormula, threshold: float) -> np.ndarray:
        """(B, Q) sums over the samples of every resample, shared by the metrics that are made from them."""
        key = formula.terms, threshold
        if key not in self._sums:
            terms = formula.terms(self._y, self._score, threshold)
            column, size = self._resamples.column, self._resamples.n_groups
            by_group = np.stack([np.bincount(column, weights=one, minlength=size) for one in terms.T])
            blocks = (block.astype(np.float64)[:, np.newaxis] for block in self._resamples.blocks())
            self._sums[key] = np.concatenate([row_products(block, by_group) for block in blocks])
        return self._sums[key]

    def _all_curves(self) -> dict[str, np.ndarray]:
        """All metrics that are read off curves: a block's curves are made once and let go."""
        formulas = {name: one.formula for name, one in METRICS.items() if not isinstance(one.formula, SumFormula)}
        ranking = Ranking(self._y, self._score, self._resamples.column)
        found: dict[str, list[np.ndarray]] = {name: [] for name in formulas}
        for block in self._resamples.blocks():
            curve = Curve(ranking, block)
            for name, formula in formulas.items():
                found[name].append(formula(curve))
        return {name: np.concatenate(values) for name, values in found.items()}


def check_scores(y: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) int8 and scores (N,) float64 as they are wanted.

    Raises:
        EvaluationError: Their numbers differ, a label is not 0 or 1, or a score is not within [0, 1].
    """
    y, score = np.asarray(y), np.asarray(score, dtype=np.float64)
    if y.shape != score.shape or y.ndim != 1:
        raise EvaluationError(f"{y.shape} labels don't fit {score.shape} scores; there must be one for each sample.")
    if not np.isin(y, (0, 1)).all():
        raise EvaluationError("A label is neither 0 (real) nor 1 (generated).")
    bad = ~((score >= 0) & (score <= 1))
    if bad.any():
        raise EvaluationError(
            f"{int(bad.sum())} of {len(score)} scores are not within [0, 1], the first {score[bad][0]}; "
            "leave out samples without a score and map others to probabilities."
        )
    return y.astype(np.int8), score


def _multiplicities(stream: np.random.Generator, rows: int, size: int) -> np.ndarray:
    """(rows, size) uint8, how often each of `size` is among as many draws with replacement.

    A count above 255 has a chance of less than 1 / 256!.
    """
    drawn = stream.integers(size, size=(rows, size))
    drawn += size * np.arange(rows)[:, np.newaxis]
    return np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size).astype(np.uint8)
