"""What a configuration says of a backbone, and what that turns out to be once its weights are found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Protocol
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, ValidationError, model_validator

from dfd_core.backbones.cards import BackboneCard, LibraryName, Option
from dfd_core.backbones.catalogue import BACKBONES
from dfd_core.specs import Location, Spec, content_hash, readable_key

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
_SHA256 = StringConstraints(strip_whitespace=True, to_lower=True, pattern=r"^[0-9a-fA-F]{64}$")


class BackboneSpec(Spec):
    """A backbone as a configuration names it; a bare name is enough.

    Attributes:
        name: Its name in the registry.
        weights: A local path or an fsspec URL of a .safetensors, .pt, .pth or .bin file; by default what the card says.
        sha256: The weights file's SHA-256, checked before it is used.
        precision: The number format of the network's arithmetic; vectors are float32 always. What a reduced one costs
            is measured on the first images and stands in the report.
        resize: `pillow` is the library's own resize, bit for bit; `tensor` is faster on images at least twice the
            input's size and stays within 1 of 255 of it.
        options: What the backbone lets one choose, checked by its card.

    Raises:
        UnknownNameError: The registry has no such backbone.
    """

    name: str
    weights: Location | None = None
    sha256: Annotated[str, _SHA256] | None = None
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    resize: Literal["pillow", "tensor"] = "pillow"
    options: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _a_bare_name_is_enough(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_the_card(self) -> BackboneSpec:
        card = self.card
        options = self.parsed_options()
        size = getattr(options, "image_size", None)
        if size is not None and card.patch_size is not None and size % card.patch_size:
            nearest = round(size / card.patch_size) * card.patch_size
            raise ValueError(
                f"options.image_size of {self.name} must be a multiple of its patch of {card.patch_size} px, "
                f"as {nearest} is; {size} is not"
            )
        if card.default_weights == "none" and (self.weights or self.sha256):
            raise ValueError(f"{self.name} has no weights: leave `weights` and `sha256` out")
        if card.library == "spectrum" and (self.precision != "float32" or self.resize != "pillow"):
            raise ValueError(f"{self.name} has no network and resizes nothing: leave `precision` and `resize` out")
        if self.weights is not None:
            if weights_suffix(self.weights) not in WEIGHTS_SUFFIXES:
                raise ValueError(f"weights must end in {', '.join(WEIGHTS_SUFFIXES)}; {self.weights!r} does not")
            if "seed" in self.options:
                raise ValueError("options.seed has no effect on weights from a file: leave one of them out")
        return self

    @property
    def card(self) -> BackboneCard:
        """The registry's entry."""
        return BACKBONES[self.name]

    def parsed_options(self) -> Option:
        """The options with their defaults.

        Raises:
            ValueError: The card has no such option or not such a value; the message says what there is.
        """
        kind = self.card.options_type
        try:
            return kind.model_validate(self.options)
        except ValidationError as error:
            found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            known = ", ".join(kind.model_fields) or "none"
            raise ValueError(f"options of {self.name}: {found} (it has: {known})") from error


def weights_suffix(weights: str) -> str:
    """The lower-case suffix of the file that a path or URL names, without query or fragment."""
    path = urlsplit(weights).path if "://" in weights else weights
    return PurePosixPath(path).suffix.lower()


class Extraction(Spec):
    """Everything but the weights that decides what features come out.

    Attributes:
        library: Who builds the network.
        architecture: The library's name of it.
        pooling: Layer and pooling.
        preprocessing: The transform's parameters, in the library's own words.
        options: The options with their defaults.
        dimension: Length of a feature vector.
        precision: Number format.
        version: Of this project's code for the library; raised when the same input gives other features.
    """

    library: LibraryName
    architecture: str
    pooling: str
    preprocessing: dict[str, Any]
    options: dict[str, Any]
    dimension: int
    precision: str
    version: int


class ResolvedBackbone(Spec):
    """A backbone whose weights were found and hashed.

    Attributes:
        spec: What the configuration said.
        extraction: What follows from it.
        weights_path: The local file on the machine that resolved it; `None` where there is no file. Not in the key.
        weights_source: Where the weights are from, for readers. Not in the key.
        weights_digest: SHA-256 of the file, or of the tensors where they are drawn from a seed; `none` without weights.
    """

    spec: BackboneSpec
    extraction: Extraction
    weights_path: str | None
    weights_source: str
    weights_digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64}|none)$")]

    @property
    def dimension(self) -> int:
        """Length of a feature vector."""
        return self.extraction.dimension

    @property
    def has_network(self) -> bool:
        """Whether torch is needed for it."""
        return self.extraction.library != "spectrum"

    @property
    def label(self) -> str:
        """Its name in tables, with what differs from the card."""
        options = [f"{name}={value}" for name, value in sorted(self.spec.options.items())]
        options += [self.spec.precision] if self.spec.precision != "float32" else []
        options += ["tensor resize"] if self.spec.resize != "pillow" else []
        weights = [f"weights {self.weights_digest[:8]}"] if self.spec.weights else []
        extra = ", ".join(options + weights)
        return f"{self.spec.card.title} ({extra})" if extra else self.spec.card.title

    def key(self) -> str:
        """The key of its features: the name and a hash of everything that changes them."""
        facts = {"extraction": self.extraction.model_dump(mode="json"), "weights": self.weights_digest}
        return readable_key(self.spec.name, content_hash(facts))


class Agreement(NamedTuple):
    """How close a reduced precision stays to float32.

    Attributes:
        n: Images compared.
        cosine: The lowest cosine between the two vectors of an image.
        centred: The same after the mean of the float32 vectors is taken off, which is what a classifier sees.
    """

    n: int
    cosine: float
    centred: float


@dataclass
class Busy:
    """Seconds that a device was busy with a backbone.

    Attributes:
        forward_s: In forward passes.
        transfer_s: In transfers to a GPU.
    """

    forward_s: float = 0.0
    transfer_s: float = 0.0


class LoadedBackbone(Protocol):
    """A backbone in memory, ready to turn images into vectors.

    Attributes:
        resolved: What it is.
        batch_size: Images that it likes to get at once.
        busy: Where it adds its device's seconds; who wants them counted apart puts another there. What was submitted
            before still adds to the one before.
    """

    resolved: ResolvedBackbone
    batch_size: int
    busy: Busy

    @property
    def dimension(self) -> int:
        """D, the length of a feature vector."""

    def pixels_key(self, size: tuple[int, int]) -> str:
        """Backbones with the same key give the same from `transform` for an image of this width and height."""

    def facts(self) -> dict[str, Any]:
        """How it runs, for provenance."""

    def transform(self, image: Image) -> np.ndarray:
        """One RGB image as the backbone's input, on the CPU; may be called from several threads.

        Raises:
            ImageError: The image can't be used.
        """

    def submit(self, inputs: Sequence[np.ndarray]) -> Callable[[], np.ndarray]:
        """Starts on transformed images; what it returns waits for the features: (B, D) float32.

        Finiteness is the caller's to check.
        """

    def embed(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Transformed images as features: (B, D) float32."""

    def agreement(self, inputs: Sequence[np.ndarray]) -> Agreement | None:
        """Compares a reduced precision with float32; `None` where there is nothing to compare."""
