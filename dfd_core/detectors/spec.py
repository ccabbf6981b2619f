"""What a detector is made of."""

from __future__ import annotations

from dfd_core.classifiers import ClassifierSpec
from dfd_core.reducers import ReducerSpec
from dfd_core.specs import Spec

CROSS_GENERATOR = "cross_generator"


class DetectorSpec(Spec):
    """A classifier on a reducer on a backbone, and the training set that they are fitted on.

    Attributes:
        protocol: The protocol that the training set belongs to.
        train_dataset: The dataset of the training rows, or several joined by `+`.
        train_generator: The generator of its fakes, `all`, or `all but` what is left out.
        train_members: (dataset, generator) of each generator trained on; the one named above where left out.
        train_augmentation: Name of the augmentation of the training rows.
        backbone: Label of the backbone that made the vectors.
        reducer: The reducer.
        classifier: The classifier.
        seed: Seeds reducer, classifier and the shuffling.
        shuffle_labels: A control: labels are permuted among the training rows, so nothing true can be learned.
    """

    protocol: str = CROSS_GENERATOR
    train_dataset: str
    train_generator: str
    train_members: tuple[tuple[str, str], ...] = ()
    train_augmentation: str = "none"
    backbone: str
    reducer: ReducerSpec = ReducerSpec()
    classifier: ClassifierSpec
    seed: int = 0
    shuffle_labels: bool = False

    @property
    def members(self) -> tuple[tuple[str, str], ...]:
        """(dataset, generator) of each generator trained on."""
        return self.train_members or ((self.train_dataset, self.train_generator),)

    def name(self) -> str:
        """What people call it; for two detectors of one run that differ, it differs."""
        parts = [self.backbone, self.reducer.label(), self.classifier.label()]
        parts += [self.train_dataset, self.train_generator, self.train_augmentation]
        if self.protocol != CROSS_GENERATOR:
            parts.append(self.protocol)
        if self.seed:
            parts.append(f"seed{self.seed}")
        if self.shuffle_labels:
            parts.append("shuffled")
        return "/".join(parts)
