"""What all metrics of one cell cost with their intervals, against a plain loop over scikit-learn's metrics.

The loop does what most evaluation scripts do: draw row numbers within each label, and call the functions on the drawn
rows. It is timed for a few replicates and multiplied; the first replicates are compared on equal draws.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import sklearn.metrics as sk
from sklearn.calibration import calibration_curve

from dfd_core.evaluation.bootstrap import BootstrapSpec, Cell, Resamples
from dfd_core.evaluation.metrics import METRICS
from dfd_core.throughput import Measurement

N, REPLICATES, TIMED, THRESHOLD, RUNS = 4_000, 1_000, 20, 0.5, 5
LARGE = 100_000
GOAL = 20.0
Function = Callable[[np.ndarray, np.ndarray], float]


def equal_error_rate(y: np.ndarray, score: np.ndarray) -> float:
    false, true, _ = sk.roc_curve(y, score, drop_intermediate=False)
    steps = np.arange(len(false))
    return float(np.interp(np.interp(1, false + true, steps), steps, false))


def tpr_at_fpr(y: np.ndarray, score: np.ndarray, target: float) -> float:
    false, true, _ = sk.roc_curve(y, score, drop_intermediate=False)
    return float(true[false <= target + 1e-12].max())


def calibration_error(y: np.ndarray, score: np.ndarray) -> float:
    true, predicted = calibration_curve(y, score, n_bins=15)
    places = np.searchsorted(np.linspace(0, 1, 16)[1:-1], score)
    counts = np.bincount(places, minlength=15)
    return float(np.abs(true - predicted) @ counts[counts > 0] / len(y))


PLAIN: Mapping[str, Function] = {
    "accuracy": lambda y, s: sk.accuracy_score(y, s > THRESHOLD),
    "balanced_accuracy": lambda y, s: sk.balanced_accuracy_score(y, s > THRESHOLD),
    "accuracy_real": lambda y, s: sk.recall_score(y, s > THRESHOLD, pos_label=0),
    "accuracy_fake": lambda y, s: sk.recall_score(y, s > THRESHOLD),
    "false_positive_rate": lambda y, s: 1 - sk.recall_score(y, s > THRESHOLD, pos_label=0),
    "f1": lambda y, s: sk.f1_score(y, s > THRESHOLD),
    "average_precision": sk.average_precision_score,
    "auroc": sk.roc_auc_score,
    "eer": equal_error_rate,
    "tpr_at_fpr_1pct": lambda y, s: tpr_at_fpr(y, s, 0.01),
    "tpr_at_fpr_5pct": lambda y, s: tpr_at_fpr(y, s, 0.05),
    "ece": calibration_error,
    "brier": sk.brier_score_loss,
}


def measure() -> Iterable[Measurement]:
    """CPU-seconds of a cell of 4,000 samples; the large cell has no reference but the same loop, extrapolated."""
    if set(PLAIN) != set(METRICS):
        raise AssertionError(f"metrics without a reference or without a metric: {set(PLAIN) ^ set(METRICS)}")
    yield _measured(N, REPLICATES, RUNS, GOAL)
    yield _measured(LARGE, REPLICATES, 1, None)


def _measured(n: int, replicates: int, runs: int, goal: float | None) -> Measurement:
    generator = np.random.default_rng(0)
    y = np.arange(n) % 2
    score = 1 / (1 + np.exp(-2 * (generator.normal(size=n) + 1.5 * y - 0.75)))
    spec = BootstrapSpec(replicates=replicates)
    ours = [_cpu_seconds(lambda: _all(y, score, spec)) for _ in range(runs)]
    timed = TIMED if n == N else 2
    per_replicate = _cpu_seconds(lambda: _plain_loop(y, score, timed)) / timed
    worst = _largest_difference(y, score, spec)
    if worst > 1e-9:
        raise AssertionError(f"a replicate differs from scikit-learn's by {worst}")
    return Measurement(
        f"{len(METRICS)} metrics, {n:,} samples, {replicates:,} replicates (CPU s)",
        per_replicate * replicates,
        float(np.median(ours)),
        per_replicate * replicates / float(np.median(ours)),
        goal,
        None,
        {"ours_all": ours, "reference_extrapolated_from": timed, "largest_difference": worst},
    )


def _all(y: np.ndarray, score: np.ndarray, spec: BootstrapSpec) -> None:
    cell = Cell(y, score, np.arange(len(y)), spec)
    for name in METRICS:
        cell.measure(name, THRESHOLD)


def _plain_loop(y: np.ndarray, score: np.ndarray, replicates: int) -> None:
    generator = np.random.default_rng(0)
    strata = [np.flatnonzero(y == label) for label in (0, 1)]
    for _ in range(replicates):
        rows = np.concatenate([generator.choice(stratum, len(stratum)) for stratum in strata])
        for function in PLAIN.values():
            function(y[rows], score[rows])


def _largest_difference(y: np.ndarray, score: np.ndarray, spec: BootstrapSpec) -> float:
    resamples = Resamples(y, np.arange(len(y)), spec)
    drawn = next(resamples.blocks())[:2, resamples.column]
    cell, worst = Cell(y, score, np.arange(len(y)), spec), 0.0
    for name, function in PLAIN.items():
        plain = [function(np.repeat(y, row), np.repeat(score, row)) for row in drawn]
        worst = max(worst, float(np.abs(cell.replicates(name, THRESHOLD)[:2] - plain).max()))
    return worst


def _cpu_seconds(call: Callable[[], None]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


if __name__ == "__main__":
    for one in measure():
        print(one)
