"""Calibration: scores mapped to probabilities by what was found on validation, never on a test set.

A fitted calibrator is plain numbers. It is applied to all scores of its detector before thresholds are chosen.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from dfd_core.errors import EvaluationError
from dfd_core.evaluation.bootstrap import check_scores
from dfd_core.evaluation.curves import Floats
from dfd_core.specs import Spec

Calibration = Literal["none", "platt", "isotonic"]
MARGIN = 1e-3
"""Added to both sides of the odds: votes of 0 and 1 stay finite and do not rule the fit, and none becomes a tie."""
LEAST_SLOPE = 1e-3
_STEPS, _TOLERANCE = 100, 1e-10


class Calibrator(Spec):
    """A fitted map from scores to probabilities; it never falls where the score rises.

    Attributes:
        kind: The method.
        n_validation: The validation samples that it was fitted on.
        slope: Of `platt`, on the log-odds of the score.
        offset: Of `platt`.
        knots: Of `isotonic`, scores and their probabilities, rising.
        note: What a reader must know.
    """

    kind: Calibration
    n_validation: int = 0
    slope: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    offset: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    knots: tuple[tuple[float, float], ...] = ()
    note: str = ""

    def apply(self, score: np.ndarray) -> Floats:
        """Probabilities (N,) in [0, 1] of scores (N,) in [0, 1]."""
        score = np.asarray(score, dtype=np.float64)
        if self.kind == "platt":
            return _sigmoid(self.slope * log_odds(score) + self.offset)
        if self.kind == "isotonic":
            places, values = np.array(self.knots).T
            score = np.interp(score, places, values)
        return score


def fit_calibration(kind: Calibration, y: np.ndarray, score: np.ndarray) -> Calibrator:
    """A calibrator fitted on validation samples.

    Args:
        kind: `none`; `platt`: a logistic curve of the score's log-odds, with slope 1 where scores are probabilities
            already, which keeps the order of scores, and so AUROC, until float64 rounds a probability to 1 (log-odds
            above 36); `isotonic`: the rising curve of least squared error, which makes equal what it can't tell apart
            and wants some hundred samples.
        y: (N,) labels.
        score: (N,) scores in [0, 1].

    Raises:
        EvaluationError: There are no samples of a label.
    """
    if kind == "none":
        return Calibrator(kind=kind)
    y, score = check_scores(y, score)
    n_real, n_fake = int((y == 0).sum()), int((y == 1).sum())
    if not n_real or not n_fake:
        raise EvaluationError(
            f"Calibration ({kind}) needs both labels in validation and finds {n_real} real and {n_fake} generated "
            "samples with a score. Give the split validation a share, or set calibration to none."
        )
    return _platt(y, score) if kind == "platt" else _isotonic(y, score)


def log_odds(score: Floats) -> Floats:
    """(N,) log-odds of scores in [0, 1], finite and rising at 0 and 1 too."""
    return np.log((score + MARGIN) / (1 - score + MARGIN))


def _platt(y: np.ndarray, score: np.ndarray) -> Calibrator:
    """Maximum likelihood by Newton's method with step halving (Platt 1999; Lin, Lin and Weng 2007, algorithm 1).

    Targets are a little inside 0 and 1, as if each label had one more sample of the other, so that perfectly separated
    scores don't make the slope infinite. A slope of zero or less would turn the detector round: it is held just above.
    """
    n_real, n_fake = int((y == 0).sum()), int((y == 1).sum())
    target = np.where(y == 1, (n_fake + 1) / (n_fake + 2), 1 / (n_real + 2))
    z = log_odds(score)
    centre, spread = z.mean(), np.ptp(z) or 1.0  # scores of nearest neighbours differ in the third digit
    design = np.stack([(z - centre) / spread, np.ones_like(z)], axis=1)
    start = np.array([0.0, np.log((n_fake + 1) / (n_real + 1))])
    slope, offset = _newton(design, target, start) / np.array([spread, 1])
    offset, note = offset - slope * centre, ""
    if slope < LEAST_SLOPE:
        slope, note = LEAST_SLOPE, "calibration: validation fakes score no higher than reals, probabilities hardly vary"
        offset = _newton(design[:, 1:], target, start[1:], LEAST_SLOPE * z)[0]
    return Calibrator(kind="platt", n_validation=len(y), slope=float(slope), offset=float(offset), note=note)


def _newton(design: Floats, target: Floats, start: Floats, fixed: Floats | float = 0.0) -> Floats:
    """The weights (D,) of a logistic regression of targets (N,) in [0, 1] on (N, D) plus something fixed (N,)."""

    def loss(weights: Floats) -> float:
        activation = design @ weights + fixed
        return float(np.sum(np.logaddexp(0, activation) - target * activation))

    weights = start
    for _ in range(_STEPS):
        probability = _sigmoid(design @ weights + fixed)
        gradient = design.T @ (probability - target)
        curvature = (design.T * (probability * (1 - probability))) @ design + 1e-12 * np.eye(len(weights))
        direction, share = -np.linalg.solve(curvature, gradient), 1.0
        gain = -float(gradient @ direction)
        if gain < _TOLERANCE * len(target):  # so near that the error of a whole step is of this order
            return weights + direction
        before = loss(weights)
        while loss(weights + share * direction) > before - 1e-4 * share * gain:
            share /= 2
        weights = weights + share * direction
    raise EvaluationError(f"Platt's calibration has not converged on {len(target)} samples after {_STEPS} steps.")


def _isotonic(y: np.ndarray, score: np.ndarray) -> Calibrator:
    """Pool adjacent violators (Zadrozny and Elkan 2002), by scikit-learn."""
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0, y_max=1).fit(score, y)
    knots = zip(model.X_thresholds_.tolist(), model.y_thresholds_.tolist(), strict=True)
    return Calibrator(kind="isotonic", n_validation=len(y), knots=tuple(knots))


def _sigmoid(activation: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -activation))
