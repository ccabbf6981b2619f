"""Which samples fit and which test.

Detectors are fitted on split `train`, one for each generator of each dataset, and tested on split `test` of every
generator of every dataset. The reals of a generator are those that `reals_of` pairs with it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from dfd_core.errors import EvaluationError, UnknownNameError
from dfd_core.evaluation.samples import TRAIN, Samples
from dfd_core.specs import Spec

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


def training_sets(samples: Samples, protocol: ProtocolSpec) -> list[TrainingSet]:
    """The training sets with enough samples of both labels, in the order of dataset and generator.

    Args:
        samples: The run's samples.
        protocol: The protocol.

    Raises:
        EvaluationError: There is none.
    """
    sets = _training_sets(samples)
    usable = [one for one in sets if min(one.n_real, one.n_fake) >= protocol.min_samples_per_class]
    if not usable:
        found = ", ".join(f"{s.dataset}/{s.generator} ({s.n_real} real, {s.n_fake} fake)" for s in sets) or "none"
        raise EvaluationError(
            f"No generator has {protocol.min_samples_per_class} real and as many generated samples in split {TRAIN}. "
            f"Found: {found}. Give the split {TRAIN} a larger share, add images, or lower min_samples_per_class."
        )
    return usable


def untrainable(samples: Samples, protocol: ProtocolSpec) -> list[TrainingSet]:
    """The generators on which nothing is trained because their training set has too few samples."""
    return [one for one in _training_sets(samples) if min(one.n_real, one.n_fake) < protocol.min_samples_per_class]


def _training_sets(samples: Samples) -> list[TrainingSet]:
    sets = []
    for dataset, generator in samples.families:
        labels = samples.members(dataset, generator, TRAIN)["label"]
        n_fake = int(labels.sum())
        sets.append(TrainingSet(dataset, generator, len(labels) - n_fake, n_fake))
    return sets


def _chosen(wanted: tuple[str, ...], available: Collection[str]) -> tuple[str, ...]:
    for name in wanted:
        if name not in available:
            raise UnknownNameError("augmentation with features", name, available)
    return wanted
