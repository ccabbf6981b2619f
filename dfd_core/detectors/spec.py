"""What a detector is made of."""

from __future__ import annotations

from dfd_core.classifiers import ClassifierSpec
from dfd_core.reducers import ReducerSpec
from dfd_core.specs import Spec


class DetectorSpec(Spec):
    """A classifier on a reducer on a backbone, and the training set that they are fitted on.

    Attributes:
        train_dataset: The dataset of the training rows.
        train_generator: The generator of its fakes; its reals are the ones paired with it.
        train_augmentation: Name of the augmentation of the training rows.
        backbone: Label of the backbone that made the vectors.
        reducer: The reducer.
        classifier: The classifier.
        seed: Seeds the classifier and the shuffling.
        shuffle_labels: A control: labels are permuted among the training rows, so nothing true can be learned.
    """

    train_dataset: str
    train_generator: str
    train_augmentation: str = "none"
    backbone: str
    reducer: ReducerSpec = ReducerSpec()
    classifier: ClassifierSpec
    seed: int = 0
    shuffle_labels: bool = False

    def name(self) -> str:
        """What people call it; for two detectors of one run that differ, it differs."""
        parts = [self.backbone, self.reducer.label(), self.classifier.label()]
        parts += [self.train_dataset, self.train_generator, self.train_augmentation]
        if self.seed:
            parts.append(f"seed{self.seed}")
        if self.shuffle_labels:
            parts.append("shuffled")
        return "/".join(parts)
