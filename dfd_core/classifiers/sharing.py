"""Fitting and scoring classifiers together where they share a computation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dfd_core.classifiers.registry import CLASSIFIERS, ClassifierSpec


def sharing_groups(specs: Sequence[ClassifierSpec]) -> list[list[int]]:
    """Indices of classifiers that share one computation; the others stand alone."""
    return [[index] for index in range(len(specs))]


def fit_group(specs: Sequence[ClassifierSpec], X: np.ndarray, y: np.ndarray, seed: int) -> list[Any]:
    """Fitted classifiers, one for each spec."""
    cards = [CLASSIFIERS[spec.name] for spec in specs]
    return [
        card.build(spec.parsed_options(), seed).fit(np.asarray(X, dtype=card.dtype), y)
        for card, spec in zip(cards, specs, strict=True)
    ]


def score_group(models: Sequence[Any], X: np.ndarray) -> list[np.ndarray]:
    """(N,) float64 of each model."""
    return [
        np.asarray(model.predict_proba(np.asarray(X, dtype=np.float64))[:, 1], dtype=np.float64) for model in models
    ]
