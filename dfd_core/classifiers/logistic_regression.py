"""The linear probe, and whether it has converged."""

from __future__ import annotations

from typing import Any

import numpy as np

TOLERANCE = 1e-8
# L-BFGS also stops where the loss no longer changes in float64; the gradient was then at most 2e-7 in our measurements
LARGEST_GRADIENT = 1e-5


def build(C: float, max_iter: int, seed: int) -> Any:
    """An unfitted logistic regression, as the linear probe of Ojha et al. (CVPR 2023, arXiv:2302.10174).

    scikit-learn's default tolerance stops too early on CLIP's features: only the converged solution gives the
    accuracies that were published with it.

    Args:
        C: Inverse strength of the L2 penalty; the intercept is not penalised.
        max_iter: Most L-BFGS steps.
        seed: Handed on; L-BFGS itself draws nothing.
    """
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, tol=TOLERANCE, max_iter=max_iter, random_state=seed)


def convergence_notes(model: Any, X: np.ndarray, y: np.ndarray) -> tuple[str, ...]:
    """A note where a fitted model is not at the minimum of its loss.

    The gradient is computed anew, as warnings can't be told apart when several threads fit.

    Args:
        model: A fitted binary `LogisticRegression`.
        X: (N, D) its training rows.
        y: (N,) their labels.
    """
    error = model.predict_proba(X)[:, 1] - (y == model.classes_[1])
    gradient = np.append((error @ X + model.coef_[0] / model.C) / len(X), error.mean())
    largest = float(np.abs(gradient).max() / max(1.0, float(np.abs(X).max())))
    steps = int(model.n_iter_.max())
    if steps < model.max_iter and largest <= LARGEST_GRADIENT:
        return ()
    return (f"not converged after {steps} of {model.max_iter} steps (largest gradient {largest:.1e})",)
