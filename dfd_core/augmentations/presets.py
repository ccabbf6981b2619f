"""The augmentations that have a name."""

from __future__ import annotations

from dfd_core.augmentations.spec import NONE, AugmentationSpec
from dfd_core.augmentations.steps import ColorJitter, GaussianBlur, Jpeg, Step
from dfd_core.registry import Registry

AUGMENTATIONS: Registry[AugmentationSpec] = Registry("augmentation")


def _add(name: str, *steps: Step) -> None:
    AUGMENTATIONS.add(name, AugmentationSpec(name=name, steps=steps))


_add(NONE)

# The severities at which robustness is usually plotted, as by Ojha et al. 2023 (UniversalFakeDetect).
for _sigma in (1, 2, 3, 4):
    _add(f"blur_sigma_{_sigma}", GaussianBlur(sigma=(_sigma, _sigma)))
for _quality in (95, 90, 85, 80, 75, 70, 60, 50, 40, 30):
    _add(f"jpeg_q{_quality}", Jpeg(quality=(_quality, _quality)))

# The strengths of MoCo v2 (Chen et al. 2020), which others took over.
_add("color_jitter", ColorJitter(brightness=(0.6, 1.4), contrast=(0.6, 1.4), saturation=(0.6, 1.4), hue=(-0.1, 0.1)))

# What the detectors of Wang et al. 2020 ("CNN-generated images are surprisingly easy to spot... for now") were trained
# with, "Blur+JPEG (0.1)" and "(0.5)": each of the two steps with this probability, independently.
for _probability in (0.1, 0.5):
    _add(
        f"cnndetection_blur_jpeg_{_probability}",
        GaussianBlur(sigma=(0, 3), probability=_probability),
        Jpeg(quality=(30, 100), probability=_probability),
    )
