"""How close two computations of the same vectors are."""

from __future__ import annotations

import torch


def lowest_cosine(X: torch.Tensor, Y: torch.Tensor) -> float:
    """The lowest cosine between rows of two (N, D) arrays, computed in float64."""
    return float(torch.nn.functional.cosine_similarity(X.double(), Y.double()).min())


def cosines(X: torch.Tensor, Y: torch.Tensor) -> tuple[float, float]:
    """The lowest cosine between rows of two (N, D) arrays, as they are and after the mean of `Y` is taken off both.

    The second is what a classifier sees: features of untrained weights, say, all point nearly the same way.
    """
    X, Y = X.double(), Y.double()
    mean = Y.mean(dim=0)
    return lowest_cosine(X, Y), lowest_cosine(X - mean, Y - mean)
