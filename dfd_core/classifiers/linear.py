"""Linear classifiers: a new one is one entry here."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from dfd_core.classifiers.registry import ClassifierCard
from dfd_core.specs import Spec


class LogisticRegressionOptions(Spec):
    """Options of `logistic_regression`.

    Attributes:
        C: Inverse strength of the L2 penalty.
        max_iter: L-BFGS steps after which the fit gives up and says so.
    """

    C: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    max_iter: Annotated[int, Field(ge=1)] = 5000


class RidgeOptions(Spec):
    """Options of `ridge`.

    Attributes:
        alpha: Strength of the L2 penalty; the intercept is not penalised.
    """

    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


def _logistic_regression(options: LogisticRegressionOptions, seed: int) -> Any:
    from dfd_core.classifiers.logistic_regression import build

    return build(options.C, options.max_iter, seed)


def _convergence_notes(model: Any, X: np.ndarray, y: np.ndarray) -> tuple[str, ...]:
    from dfd_core.classifiers.logistic_regression import convergence_notes

    return convergence_notes(model, X, y)


def _ridge(options: RidgeOptions, seed: int) -> Any:
    from sklearn.linear_model import RidgeClassifier

    from dfd_core.classifiers.margin import MarginClassifier

    return MarginClassifier(RidgeClassifier(alpha=options.alpha, random_state=seed))


ENTRIES = {
    "logistic_regression": ClassifierCard(
        "linear probe: L2-penalised logistic regression, run until it has converged",
        LogisticRegressionOptions,
        _logistic_regression,
        dtype="float64",
        notes=_convergence_notes,
    ),
    "ridge": ClassifierCard(
        "least squares on labels -1 and 1 with an L2 penalty; score is the sigmoid of the decision, no probability",
        RidgeOptions,
        _ridge,
        dtype="float64",
        trusted=("dfd_core.classifiers.margin.MarginClassifier",),
    ),
}
