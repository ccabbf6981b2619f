"""The sections of a report that are drawn from features: variance, and maps."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from dfd_core.features.table import FeatureTable
from dfd_core.plots import MapPoints, choose_points, feature_map, png, scree, variance_of
from dfd_core.plots.projections import Projection
from dfd_core.reports.sections import Picture, Section
from dfd_core.specs import content_hash, readable_key

PROJECTION_TITLES: Mapping[Projection, str] = {"pca": "PCA", "tsne": "t-SNE"}
MAX_MAPPED = 6
Features = Mapping[str, Mapping[tuple[str, str], FeatureTable]]


def feature_sections(frame: pd.DataFrame, features: Features, seed: int) -> list[Section]:
    """How many principal components each backbone has, and a PCA and a t-SNE map of each.

    Args:
        frame: Rows of the manifests.
        features: Vectors by backbone, then by dataset and augmentation; those of unchanged images are drawn.
        seed: Of the choice of samples and of t-SNE.
    """
    chosen = {label: _points(frame, bank, seed) for label, bank in list(features.items())[:MAX_MAPPED]}
    cut = [f"{MAX_MAPPED} of {len(features)} backbones drawn."] if len(features) > MAX_MAPPED else []
    variances = [variance_of(label, points.X) for label, (points, _) in chosen.items()]
    spread = Picture(
        "variance.png", png(scree(variances)), "Cumulative variance of the features by principal components"
    )
    text = ["Of the samples of the maps below. No more components than samples can be told apart."]
    maps = [
        _map(label, augmentation, points, projection, seed)
        for label, (points, augmentation) in chosen.items()
        for projection in PROJECTION_TITLES
    ]
    return [
        Section("Variance of the features", [*text, *cut], pictures=[spread]),
        Section("Maps of the features", [f"All splits; drawn and projected with seed {seed}.", *cut], pictures=maps),
    ]


def _points(frame: pd.DataFrame, bank: Mapping[tuple[str, str], FeatureTable], seed: int) -> tuple[MapPoints, str]:
    names = sorted({augmentation for _, augmentation in bank})
    augmentation = "none" if "none" in names else names[0]
    tables = {dataset: table for (dataset, name), table in bank.items() if name == augmentation}
    return choose_points(frame, tables, seed=seed), augmentation


def _map(backbone: str, augmentation: str, points: MapPoints, projection: Projection, seed: int) -> Picture:
    title = f"{backbone} · augmentation {augmentation}"
    data = png(feature_map(points, projection, title, seed))
    name = readable_key(f"map_{projection}_{backbone}", content_hash([backbone, augmentation])) + ".png"
    return Picture(name, data, f"{PROJECTION_TITLES[projection]} of the features: {title}")
