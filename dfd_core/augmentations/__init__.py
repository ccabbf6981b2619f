"""Augmentations: named pixel changes whose random draws depend on the sample alone.

`AUGMENTATIONS` holds the presets, `Augmentation` is the type of a configuration's field that names or spells out one,
`augment` applies it. A new preset is one entry in `presets`; a new kind of step is a class in `steps` and a function in
`operators`.
"""

from dfd_core.augmentations.operators import augment
from dfd_core.augmentations.parsing import Augmentation, parse_augmentation
from dfd_core.augmentations.presets import AUGMENTATIONS
from dfd_core.augmentations.spec import AugmentationSpec
from dfd_core.augmentations.steps import ColorJitter, GaussianBlur, Jpeg, Step

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "AugmentationSpec",
    "ColorJitter",
    "GaussianBlur",
    "Jpeg",
    "Step",
    "augment",
    "parse_augmentation",
]
