"""The steps of which an augmentation is made: what a configuration may say about each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from dfd_core.errors import UnknownNameError
from dfd_core.specs import Spec

Range = tuple[float, float]


def _as_pair(value: Any) -> Any:
    """One number is the range from it to itself."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (value, value)
    if not isinstance(value, (list, tuple)) or len(value) != 2 or any(isinstance(end, (bool, str)) for end in value):
        raise ValueError("a number, or a list of two numbers: the lowest and the highest")
    return tuple(value)


def _in_order(value: Range) -> Range:
    low, high = value
    if low > high:
        raise ValueError(f"the lowest comes first: [{high:g}, {low:g}] instead of [{low:g}, {high:g}]")
    return (low + 0, high + 0)  # -0.0 + 0 is 0.0: equal ranges have one spelling, and so one hash


def _as_factors(value: Any) -> Any:
    """One number b is the range of factors from max(0, 1 - b) to 1 + b, as in torchvision's ColorJitter."""
    low, high = _as_pair(value)
    if isinstance(value, (list, tuple)):
        return low, high
    if low < 0:
        raise ValueError("a strength is not negative")
    return max(0.0, 1.0 - low), 1.0 + high


def _as_shifts(value: Any) -> Any:
    """One number h is the range of shifts from -h to h."""
    low, high = _as_pair(value)
    if isinstance(value, (list, tuple)):
        return low, high
    if low < 0:
        raise ValueError("a strength is not negative")
    return -low, high


Sigma = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Quality = Annotated[int, Field(ge=1, le=100)]
Factor = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Shift = Annotated[float, Field(ge=-0.5, le=0.5)]
Scale = Annotated[float, Field(ge=0.01, le=16)]
Share = Annotated[float, Field(gt=0, le=1)]
Levels = Annotated[float, Field(ge=0, le=255)]
Side = Annotated[int, Field(ge=1, le=8192)]
Filter = Literal["lanczos", "bicubic", "bilinear"]

SigmaRange = Annotated[tuple[Sigma, Sigma], BeforeValidator(_as_pair), AfterValidator(_in_order)]
QualityRange = Annotated[tuple[Quality, Quality], BeforeValidator(_as_pair), AfterValidator(_in_order)]
FactorRange = Annotated[tuple[Factor, Factor], BeforeValidator(_as_factors), AfterValidator(_in_order)]
ScaleRange = Annotated[tuple[Scale, Scale], BeforeValidator(_as_pair), AfterValidator(_in_order)]
ShareRange = Annotated[tuple[Share, Share], BeforeValidator(_as_pair), AfterValidator(_in_order)]
LevelsRange = Annotated[tuple[Levels, Levels], BeforeValidator(_as_pair), AfterValidator(_in_order)]
ShiftRange = Annotated[tuple[Shift, Shift], BeforeValidator(_as_shifts), AfterValidator(_in_order)]


class _Step(Spec):
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0

    def ranges(self) -> dict[str, Range]:
        """What may be drawn, by name."""
        raise NotImplementedError

    @property
    def is_drawn(self) -> bool:
        """Whether chance has a part in it, so that the seed matters."""
        return 0 < self.probability < 1 or (
            self.probability > 0 and any(low < high for low, high in self.ranges().values())
        )

    def describe(self) -> str:
        """A short text for tables."""
        chance = "" if self.probability == 1 else f" with probability {self.probability:g}"
        return f"{self._describe()}{chance}"

    def _describe(self) -> str:
        raise NotImplementedError


class GaussianBlur(_Step):
    """Gaussian blur.

    Attributes:
        sigma: Standard deviation in pixels; of a range, each real number is equally likely.
        probability: How often it is applied.
    """

    op: Literal["gaussian_blur"] = "gaussian_blur"
    sigma: SigmaRange

    def ranges(self) -> dict[str, Range]:
        """The standard deviation."""
        return {"sigma": self.sigma}

    def _describe(self) -> str:
        return f"Gaussian blur sigma {_text(self.sigma)}"


class Jpeg(_Step):
    """JPEG compression and decompression.

    Attributes:
        quality: 1 to 100 on libjpeg's scale; of a range, each whole number is equally likely, both ends included.
        subsampling: How the encoder samples colour; 4:2:0 is what nearly all encoders do.
        probability: How often it is applied.
    """

    op: Literal["jpeg"] = "jpeg"
    quality: QualityRange
    subsampling: Literal["4:2:0", "4:2:2", "4:4:4"] = "4:2:0"

    def ranges(self) -> dict[str, Range]:
        """The quality."""
        return {"quality": self.quality}

    def _describe(self) -> str:
        sampling = "" if self.subsampling == "4:2:0" else f" {self.subsampling}"
        return f"JPEG{sampling} quality {_text(self.quality)}"


class ColorJitter(_Step):
    """Changes of brightness, contrast, saturation and hue, in this order (torchvision's ColorJitter draws the order).

    Attributes:
        brightness: A strength b, from which a factor between max(0, 1 - b) and 1 + b is drawn, or the lowest and the
            highest factor; 1 changes nothing.
        contrast: In the same way.
        saturation: In the same way.
        hue: A strength h up to 0.5, from which a shift between -h and h is drawn, or the lowest and the highest shift,
            in turns of the colour wheel.
        probability: How often it is applied.
    """

    op: Literal["color_jitter"] = "color_jitter"
    brightness: FactorRange = (1.0, 1.0)
    contrast: FactorRange = (1.0, 1.0)
    saturation: FactorRange = (1.0, 1.0)
    hue: ShiftRange = (0.0, 0.0)

    @model_validator(mode="after")
    def _changes_something(self) -> ColorJitter:
        if not self.ranges():
            raise ValueError("color_jitter changes nothing; give brightness, contrast, saturation or hue")
        return self

    def ranges(self) -> dict[str, Range]:
        """Those of the four that change something, in the order in which they are applied."""
        factors = {"brightness": self.brightness, "contrast": self.contrast, "saturation": self.saturation}
        changing = {name: value for name, value in factors.items() if value != (1.0, 1.0)}
        return changing if self.hue == (0.0, 0.0) else {**changing, "hue": self.hue}

    def _describe(self) -> str:
        return f"colour jitter ({', '.join(f'{name} {_text(value)}' for name, value in self.ranges().items())})"


class Resize(_Step):
    """Resizing by a factor, antialiased; the image is not scaled back afterwards.

    Attributes:
        factor: New length of a side over the old one; of a range, each real number is equally likely.
        filter: Pillow's filter. Each widens with the reduction, so that nothing aliases.
        probability: How often it is applied.
    """

    op: Literal["resize"] = "resize"
    factor: ScaleRange
    filter: Filter = "bicubic"

    def ranges(self) -> dict[str, Range]:
        """The factor."""
        return {"factor": self.factor}

    def _describe(self) -> str:
        return f"resize by {_text(self.factor)}{_filter(self.filter)}"


class ResizeTo(_Step):
    """Resizing to a fixed length of the shorter side, antialiased; the aspect is kept.

    Attributes:
        side: Pixels of the shorter side afterwards.
        filter: Pillow's filter.
        probability: How often it is applied.
    """

    op: Literal["resize_to"] = "resize_to"
    side: Side
    filter: Filter = "bicubic"

    def ranges(self) -> dict[str, Range]:
        """Nothing is drawn."""
        return {}

    def _describe(self) -> str:
        return f"shorter side to {self.side} px{_filter(self.filter)}"


class CenterCrop(_Step):
    """The square in the middle.

    Attributes:
        side: Pixels; a side that is shorter stays as it is.
        probability: How often it is applied.
    """

    op: Literal["center_crop"] = "center_crop"
    side: Side

    def ranges(self) -> dict[str, Range]:
        """Nothing is drawn."""
        return {}

    def _describe(self) -> str:
        return f"centre crop {self.side} x {self.side}"


class Crop(_Step):
    """The middle of the image.

    Attributes:
        share: Of each side's length that is kept; of a range, each real number is equally likely.
        probability: How often it is applied.
    """

    op: Literal["crop"] = "crop"
    share: ShareRange

    def ranges(self) -> dict[str, Range]:
        """The share."""
        return {"share": self.share}

    def _describe(self) -> str:
        return f"centre crop to {_text(self.share)} of each side"


class GaussianNoise(_Step):
    """Gaussian noise, independent for each pixel and channel, drawn from the seed and the sample.

    Attributes:
        sigma: Standard deviation in 8-bit grey levels; of a range, each real number is equally likely.
        probability: How often it is applied.
    """

    op: Literal["gaussian_noise"] = "gaussian_noise"
    sigma: LevelsRange

    def ranges(self) -> dict[str, Range]:
        """The standard deviation."""
        return {"sigma": self.sigma}

    @property
    def is_drawn(self) -> bool:
        """Always where there is noise: its pixels are drawn even of a fixed strength."""
        return self.probability > 0 and self.sigma[1] > 0

    def _describe(self) -> str:
        return f"Gaussian noise sigma {_text(self.sigma)}"


def _filter(name: Filter) -> str:
    return "" if name == "bicubic" else f" ({name})"


def _text(value: Range) -> str:
    low, high = value
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


OPERATIONS = (
    *("gaussian_blur", "jpeg", "color_jitter"),
    *("resize", "resize_to", "center_crop", "crop", "gaussian_noise"),
)


def _has_a_known_operation(value: Any) -> Any:
    if isinstance(value, dict):
        if "op" not in value:
            raise ValueError(f"a step says what it does: `op`, one of {', '.join(OPERATIONS)}")
        if isinstance(value["op"], str) and value["op"] not in OPERATIONS:
            raise UnknownNameError("augmentation step", value["op"], OPERATIONS)
    return value


AnyStep = GaussianBlur | Jpeg | ColorJitter | Resize | ResizeTo | CenterCrop | Crop | GaussianNoise
Step = Annotated[Annotated[AnyStep, Field(discriminator="op")], BeforeValidator(_has_a_known_operation)]
