"""Augmentations: named pixel changes whose random draws depend on the sample alone.

`AUGMENTATIONS` holds the presets, `Augmentation` is the type of a configuration's field that names or spells out one,
`augment` applies it. A new preset is one entry in `presets`; a new kind of step is a class in `steps` and a function in
`operators`.
"""

from dfd_core.augmentations.operators import augment
from dfd_core.augmentations.parsing import Augmentation, Augmentations, parse_augmentation
from dfd_core.augmentations.presets import AUGMENTATIONS, ROBUSTNESS, UNCHANGED_AT
from dfd_core.augmentations.spec import AugmentationSpec
from dfd_core.augmentations.steps import (
    CenterCrop,
    ColorJitter,
    Crop,
    GaussianBlur,
    GaussianNoise,
    Jpeg,
    Resize,
    ResizeTo,
    Step,
)

__all__ = [
    "AUGMENTATIONS",
    "ROBUSTNESS",
    "UNCHANGED_AT",
    "Augmentation",
    "AugmentationSpec",
    "Augmentations",
    "CenterCrop",
    "ColorJitter",
    "Crop",
    "GaussianBlur",
    "GaussianNoise",
    "Jpeg",
    "Resize",
    "ResizeTo",
    "Step",
    "augment",
    "parse_augmentation",
]
