"""Vectors of a backbone, or of several side by side, for all datasets and augmentations of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from dfd_core.errors import EvaluationError, UnknownNameError
from dfd_core.features.files import read_features
from dfd_core.features.ledger import load_ledger
from dfd_core.features.table import FeatureTable
from dfd_core.specs import Spec
from dfd_core.storage import Store

JOINT = "+"


class AnyFeatureSet(Protocol):
    """What a feature set must tell, whether it was extracted or imported."""

    @property
    def dataset(self) -> str:
        """Its dataset."""

    @property
    def augmentation_name(self) -> str:
        """Its augmentation."""

    @property
    def backbone_label(self) -> str:
        """Its backbone."""

    @property
    def folder(self) -> str:
        """Where its files are in the store."""


class VectorSet(Spec):
    """The vectors of dataset x augmentation x backbone; several backbones may stand side by side.

    Attributes:
        dataset: The dataset.
        augmentation: Name of the augmentation.
        backbone: Label of the backbone, or several joined by `+`.
        folders: The folder of each backbone's feature set, in this order.
    """

    dataset: str
    augmentation: str
    backbone: str
    folders: tuple[str, ...]


def vector_sets(
    feature_sets: Iterable[AnyFeatureSet], combinations: Sequence[Sequence[str]] = ()
) -> dict[str, list[VectorSet]]:
    """Every backbone's vectors, then those of each combination of backbones.

    Args:
        feature_sets: All of a run.
        combinations: Labels of backbones whose vectors are concatenated.

    Returns:
        The sets by label of the backbone.

    Raises:
        UnknownNameError: A combination names a backbone that has no features.
        EvaluationError: The backbones of a combination have no dataset and augmentation in common.
    """
    found: dict[str, list[VectorSet]] = {}
    for one in feature_sets:
        own = VectorSet(
            dataset=one.dataset,
            augmentation=one.augmentation_name,
            backbone=one.backbone_label,
            folders=(one.folder,),
        )
        found.setdefault(one.backbone_label, []).append(own)
    single = dict(found)
    for labels in combinations:
        joined = _joined([_named(single, label) for label in labels])
        if not joined:
            raise EvaluationError(
                f"The backbones {', '.join(labels)} have no dataset and augmentation in common, so nothing can be "
                "concatenated."
            )
        found[joined[0].backbone] = joined
    return found


def _named(single: dict[str, list[VectorSet]], name: str) -> list[VectorSet]:
    """The sets of a backbone by its label, or by the part of it before the weights where that is enough."""
    if name in single:
        return single[name]
    close = [label for label in single if label.split(".")[0] == name]
    if len(close) != 1:
        raise UnknownNameError("backbone with features", name, single)
    return single[close[0]]


def _joined(parts: Sequence[list[VectorSet]]) -> list[VectorSet]:
    by_place = [{(one.dataset, one.augmentation): one for one in part} for part in parts]
    joined = []
    for place in by_place[0]:
        if all(place in other for other in by_place):
            sides = [one[place] for one in by_place]
            folders = tuple(folder for side in sides for folder in side.folders)
            label = JOINT.join(side.backbone for side in sides)
            joined.append(VectorSet(dataset=place[0], augmentation=place[1], backbone=label, folders=folders))
    return joined


def load_bank(store: Store, sets: Iterable[VectorSet]) -> dict[tuple[str, str], FeatureTable]:
    """The vectors of one backbone or combination, by dataset and name of augmentation."""
    return {
        (one.dataset, one.augmentation): concatenate([read_features(store, folder) for folder in one.folders])
        for one in sets
    }


def failed_samples(store: Store, one: VectorSet) -> dict[str, str]:
    """Status by sample of those that have no vector in at least one of the backbones."""
    failed: dict[str, str] = {}
    for folder in one.folders:
        rows = load_ledger(store, folder).failures()
        failed |= dict(zip(rows["sample_id"].to_pylist(), rows["status"].to_pylist(), strict=True))
    return failed


def concatenate(tables: Sequence[FeatureTable]) -> FeatureTable:
    """Vectors of the same samples side by side; a sample without one of them has none.

    Raises:
        EvaluationError: A sample was extracted for one backbone and not for another.
    """
    if len(tables) == 1:
        return tables[0]
    failed: dict[str, str] = {}
    for table in tables:
        failed |= table.failed
    ids = np.array([one for one in tables[0].sample_ids.tolist() if one not in failed], dtype=object)
    columns = []
    for table in tables:
        indices, missing = table.rows(ids)
        known = len(table.X) - sum(one in failed and one not in table.failed for one in table.sample_ids.tolist())
        if missing.any() or known != len(ids):
            raise EvaluationError(
                f"The backbones to concatenate have vectors of different samples ({len(ids)} and {known}). Extract "
                "the same datasets for all of them."
            )
        columns.append(table.X[indices])
    return FeatureTable(ids, np.concatenate(columns, axis=1), failed)
