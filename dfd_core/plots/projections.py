"""From vectors to points in the plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Projection = Literal["pca", "tsne"]
FEWEST_FOR_TSNE = 5
PERPLEXITY = 30.0
_COMPONENTS = 50  # t-SNE's input is reduced to so many, as its authors do


@dataclass(frozen=True)
class Plane:
    """Points in the plane, or why there are none.

    Attributes:
        points: (N, 2) float64; without rows where nothing could be projected.
        axes: What the two axes are.
        note: Why nothing could be projected; empty where it could.
    """

    points: np.ndarray
    axes: tuple[str, str] = ("", "")
    note: str = ""


def project(X: np.ndarray, projection: Projection, seed: int) -> Plane:
    """Projects vectors.

    Args:
        X: (N, D) finite.
        projection: `pca`, or `tsne` (van der Maaten and Hinton, JMLR 2008) of the first 50 principal components.
        seed: For t-SNE; the same seed gives the same points.
    """
    X = np.asarray(X, dtype=np.float64)
    if len(X) < 2 or not np.ptp(X, axis=0).any():
        what = f"all {len(X)} vectors are the same" if len(X) > 1 else f"there are {len(X)} vectors"
        return Plane(np.empty((0, 2)), note=f"Nothing to map: {what}.")
    if projection == "tsne" and len(X) < FEWEST_FOR_TSNE:
        note = f"t-SNE needs at least {FEWEST_FOR_TSNE} samples and has {len(X)}."
        return Plane(np.empty((0, 2)), note=note)
    components, explained = _pca(X, 2 if projection == "pca" else _COMPONENTS)
    if projection == "pca":
        first, second = (f"{100 * share:.1f} % of the variance" for share in explained[:2])
        return Plane(components[:, :2], (f"1st component, {first}", f"2nd component, {second}"))
    return Plane(_tsne(components, seed), ("t-SNE 1, no unit", "t-SNE 2, no unit"))


def _pca(X: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, max(n', 2)) components and the share of the variance of each; zeros where the rank is below 2."""
    from sklearn.decomposition import PCA

    model = PCA(min(n, *X.shape), svd_solver="full")
    components = model.fit_transform(X)
    missing = max(0, 2 - components.shape[1])
    return np.pad(components, ((0, 0), (0, missing))), np.pad(model.explained_variance_ratio_, (0, missing))


def _tsne(components: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    # the scale is t-SNE's own business: it looks at neighbours, but its first step at absolute distances
    scaled = components / components[:, 0].std()
    perplexity = min(PERPLEXITY, (len(scaled) - 1) / 3)
    return np.asarray(TSNE(perplexity=perplexity, init=scaled[:, :2] * 1e-4, random_state=seed).fit_transform(scaled))
