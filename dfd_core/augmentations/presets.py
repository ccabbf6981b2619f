"""The augmentations that have a name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dfd_core.augmentations.spec import NONE, AugmentationSpec
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

# Both classes with one size and one encoding: what files had in their headers can't decide any more. What cannot be
# undone is the trace of resampling, which images that were 256 px before don't have.
_add("matched", ResizeTo(side=256), CenterCrop(side=256), Jpeg(quality=(90, 90)))

# Robustness: trained clean, tested on these. Resized images are not scaled back, as by Wang et al. 2020 and
# Gragnaniello et al. 2021: the backbone's own preprocessing does what it does with images of that size.
for _factor in (0.75, 0.5, 1.5, 2):
    _add(f"resize_{_factor}", Resize(factor=(_factor, _factor)))
for _sigma in (2, 5, 10, 20):
    _add(f"noise_sigma_{_sigma}", GaussianNoise(sigma=(_sigma, _sigma)))
for _share in (0.9, 0.75, 0.6, 0.5):
    _add(f"crop_{_share}", Crop(share=(_share, _share)))

# What happens to an image on its way: cut and posted; made smaller and posted; that screenshot and sent on.
_cut, _halved = Crop(share=(0.9, 0.9)), Resize(factor=(0.5, 0.5))
_add("chain_repost", _cut, Jpeg(quality=(85, 85)))
_add("chain_social", _halved, Jpeg(quality=(75, 75)))
_add(
    "chain_screenshot",
    *(_halved, Jpeg(quality=(75, 75)), Resize(factor=(1.5, 1.5), filter="bilinear"), _cut, Jpeg(quality=(60, 60))),
)

ROBUSTNESS: Mapping[str, tuple[tuple[float, str], ...]] = MappingProxyType(
    {
        "jpeg": tuple((q, f"jpeg_q{q}") for q in (95, 90, 85, 80, 75, 70, 60, 50, 40, 30)),
        "blur": tuple((s, f"blur_sigma_{s}") for s in (1, 2, 3, 4)),
        "resize": tuple((f, f"resize_{f}") for f in (0.5, 0.75, 1.5, 2)),
        "noise": tuple((s, f"noise_sigma_{s}") for s in (2, 5, 10, 20)),
        "crop": tuple((s, f"crop_{s}") for s in (0.9, 0.75, 0.6, 0.5)),
        "chain": ((1, "chain_repost"), (2, "chain_social"), (3, "chain_screenshot")),
    }
)
"""For curves: the presets of each kind with their severity, in the order of an axis. Severity is JPEG's quality, blur's
sigma in pixels, the factor of resizing, noise's sigma in grey levels, the share of a side that is kept, and a rank."""

UNCHANGED_AT: Mapping[str, float] = MappingProxyType(
    {"jpeg": 100, "blur": 0, "resize": 1, "noise": 0, "crop": 1, "chain": 0}
)
"""The severity of each kind at which `none` stands on the same axis."""
