"""Which samples fit and which test.

Detectors are fitted on split `train`, one for each generator of each dataset, and tested on split `test` of every
generator of every dataset. The reals of a generator are those that `reals_of` pairs with it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from dfd_core.errors import EvaluationError, UnknownNameError
from dfd_core.manifests.pairing import reals_of
from dfd_core.specs import Spec

TRAIN, TEST = "train", "test"
Names = Annotated[tuple[str, ...], Field(min_length=1)]


class ProtocolSpec(Spec):
    """Which samples fit and which test.

    Attributes:
        train_augmentations: Augmentations that detectors are fitted on; left out, `none` where there is one, else all.
        test_augmentations: Augmentations that they are tested on; left out, all.
        min_samples_per_class: Fewest samples of a label from which anything is learned or measured.
    """

    train_augmentations: Names | None = None
    test_augmentations: Names | None = None
    min_samples_per_class: Annotated[int, Field(ge=1)] = 2

    def choose_training(self, available: Collection[str]) -> tuple[str, ...]:
        """The augmentations to fit on, out of those that have features.

        Raises:
            UnknownNameError: One that was asked for has none.
        """
        default = ("none",) if "none" in available else tuple(sorted(available))
        return _chosen(self.train_augmentations or default, available)

    def choose_testing(self, available: Collection[str]) -> tuple[str, ...]:
        """The augmentations to test on, out of those that have features.

        Raises:
            UnknownNameError: One that was asked for has none.
        """
        return _chosen(self.test_augmentations or tuple(sorted(available)), available)


@dataclass(frozen=True)
class TrainingSet:
    """A generator's fakes and the reals paired with it, in split `train`.

    Attributes:
        dataset: The dataset.
        generator: The generator.
        n_real: Its reals.
        n_fake: Its fakes.
    """

    dataset: str
    generator: str
    n_real: int
    n_fake: int


def training_sets(frame: pd.DataFrame, protocol: ProtocolSpec) -> list[TrainingSet]:
    """The training sets with enough samples of both labels, in the order of dataset and generator.

    Args:
        frame: Rows of one or several manifests.
        protocol: The protocol.

    Raises:
        EvaluationError: There is none.
    """
    sets = _training_sets(frame)
    usable = [one for one in sets if min(one.n_real, one.n_fake) >= protocol.min_samples_per_class]
    if not usable:
        found = ", ".join(f"{s.dataset}/{s.generator} ({s.n_real} real, {s.n_fake} fake)" for s in sets) or "none"
        raise EvaluationError(
            f"No generator has {protocol.min_samples_per_class} real and as many generated samples in split {TRAIN}. "
            f"Found: {found}. Give the split {TRAIN} a larger share, add images, or lower min_samples_per_class."
        )
    return usable


def untrainable(frame: pd.DataFrame, protocol: ProtocolSpec) -> list[TrainingSet]:
    """The generators on which nothing is trained because their training set has too few samples."""
    return [one for one in _training_sets(frame) if min(one.n_real, one.n_fake) < protocol.min_samples_per_class]


def evaluated_generators(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """(dataset, generator) of every generator in the datasets that have rows in split `test`, sorted.

    A generator without test rows in such a dataset is among them: its results say that nothing could be measured.
    """
    tested = frame.loc[frame["split"] == TEST, "dataset"].unique()
    return [pair for pair in generators(frame) if pair[0] in tested]


def generators(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """(dataset, generator) of every generator, sorted."""
    fakes = frame.loc[frame["label"] == 1, ["dataset", "generator"]].drop_duplicates()
    return sorted(zip(fakes["dataset"], fakes["generator"], strict=True))


def members(frame: pd.DataFrame, dataset: str, generator: str, split: str) -> pd.DataFrame:
    """A generator's fakes and the reals paired with it in one split; a file that stands there twice counts once.

    Nothing at all where the dataset or its generator is not in the frame.

    Args:
        frame: Rows of one or several manifests.
        dataset: The dataset.
        generator: The generator.
        split: The split.
    """
    rows = frame[frame["dataset"] == dataset]
    fake = ((rows["label"] == 1) & (rows["generator"] == generator)).to_numpy()
    if not fake.any():
        return rows.iloc[:0]
    inside = (fake | np.asarray(reals_of(rows, generator), dtype=bool)) & (rows["split"] == split).to_numpy()
    return pd.DataFrame(rows[inside]).drop_duplicates(["sample_id", "label"])


def _training_sets(frame: pd.DataFrame) -> list[TrainingSet]:
    sets = []
    for dataset, generator in generators(frame):
        rows = members(frame, dataset, generator, TRAIN)
        n_fake = int(rows["label"].sum())
        sets.append(TrainingSet(dataset, generator, len(rows) - n_fake, n_fake))
    return sets


def _chosen(wanted: tuple[str, ...], available: Collection[str]) -> tuple[str, ...]:
    for name in wanted:
        if name not in available:
            raise UnknownNameError("augmentation with features", name, available)
    return wanted
