"""Several classifiers on the same rows: what is the same for all of them is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dfd_core.classifiers.registry import CLASSIFIERS, ClassifierSpec
from dfd_core.classifiers.threads import threads_for


def sharing_groups(specs: Sequence[ClassifierSpec]) -> list[list[int]]:
    """Positions of classifiers that one computation serves, together; each other one alone. In order of appearance.

    All k of one nearest-neighbour search are such a group.
    """
    groups: dict[str, list[int]] = {}
    for position, spec in enumerate(specs):
        shared = CLASSIFIERS[spec.name].shared_option
        rest = {name: value for name, value in spec.options.items() if name != shared}
        key = f"{position}" if shared is None else ClassifierSpec(name=spec.name, options=rest).label()
        groups.setdefault(key, []).append(position)
    return list(groups.values())


def fit_group(specs: Sequence[ClassifierSpec], X: np.ndarray, y: np.ndarray, seed: int) -> list[Any]:
    """Fits classifiers of one group; each is what it would be if fitted alone.

    Args:
        specs: The classifiers, one group of `sharing_groups`.
        X: (N, D) training rows.
        y: (N,) 0 real, 1 fake.
        seed: Seeds what draws.

    Returns:
        The fitted classifiers, in the order of `specs`.

    Raises:
        ValueError: A k is larger than there are rows.
    """
    card = CLASSIFIERS[specs[0].name]
    rows = np.asarray(X, dtype=card.dtype)
    models = [card.build(spec.parsed_options(), seed) for spec in specs]
    with threads_for(len(rows)):
        if card.shared_option is None:
            return [model.fit(rows, y) for model in models]
        first = models[0].fit(rows, y)
        return [first, *(first.twin(model.k) for model in models[1:])]


def score_group(models: Sequence[Any], X: np.ndarray) -> list[np.ndarray]:
    """Scores rows with fitted classifiers; each gives what it would give alone.

    Args:
        models: Fitted classifiers. Those with the same banks are served by one search.
        X: (M, D) rows of float32 or float64.

    Returns:
        For each classifier (M,) float64, the second column of its `predict_proba`.
    """
    with threads_for(len(X)):
        return _scores(models, np.asarray(X, dtype=np.float64))  # those that want float32 round for themselves


def _scores(models: Sequence[Any], wide: np.ndarray) -> list[np.ndarray]:
    found: list[np.ndarray | None] = [None] * len(models)
    for position, model in enumerate(models):
        if found[position] is not None:
            continue
        if not hasattr(model, "has_banks_of"):
            found[position] = np.asarray(model.predict_proba(wide)[:, 1], dtype=np.float64)
            continue
        kin = [i for i, other in enumerate(models) if hasattr(other, "banks_") and model.has_banks_of(other)]
        neighbours = model.search(wide, max(models[i].depth for i in kin))
        for i in kin:
            found[i] = models[i].probabilities(neighbours)[:, 1]
    return [score for score in found if score is not None]
