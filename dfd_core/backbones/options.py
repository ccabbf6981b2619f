"""What a person may choose about a backbone, by kind of backbone; all of it stands in the feature set's key."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dfd_core.specs import Spec


class NoOptions(Spec):
    """A backbone with nothing to choose."""


class SeededOptions(Spec):
    """A backbone whose weights are drawn on the spot.

    Attributes:
        seed: Of the weights; without effect, and so forbidden, where weights come from a file.
    """

    seed: Annotated[int, Field(ge=0)] = 0


class TimmOptions(Spec):
    """A timm model.

    Attributes:
        image_size: Side of the square input in pixels; the weights' own by default. A transformer's position
            embedding is resampled to it as timm does.
    """

    image_size: Annotated[int, Field(ge=32, le=2048)] | None = None


class SeededTimmOptions(SeededOptions, TimmOptions):
    """A timm model whose weights are drawn on the spot."""


class SpectrumOptions(Spec):
    """The azimuthal power spectrum.

    Attributes:
        bins: Rings of equal width between 0 and 0.5 * sqrt(2) cycles per pixel: the dimension of the features.
        crop: Longest side of the centre crop in pixels; smaller images are used whole, and nothing is ever resized.
        window: `hann` keeps the jump between opposite borders out of the spectrum; `none` leaves it in.
    """

    bins: Annotated[int, Field(ge=8, le=1024)] = 128
    crop: Annotated[int, Field(ge=32, le=4096)] = 256
    window: Literal["hann", "none"] = "hann"
