"""What is known of a backbone before its weights are there."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dfd_core.backbones.options import NoOptions, SeededOptions, SeededTimmOptions, SpectrumOptions, TimmOptions
from dfd_core.specs import Spec

LibraryName = Literal["open_clip", "timm", "spectrum"]
Option = NoOptions | SeededOptions | TimmOptions | SpectrumOptions


class BackboneCard(Spec):
    """One frozen network with its weights, layer and pooling.

    Attributes:
        name: Its name in configurations.
        title: Its name in tables.
        library: Who builds it.
        architecture: The library's name of the architecture.
        default_weights: Where weights come from when a configuration names none: the library's file on the Hugging Face
            hub, an address, a seed, or nowhere because none are needed.
        tag: The library's name of the weights; gives the file on the hub and the preprocessing.
        weights_url: The address where `default_weights` is `url`.
        preprocessing: Preprocessing of weights for which the library has no tag, in the library's own words.
        dimension: Length of a feature vector, before options.
        input_size: Side of the square input in pixels, before options; `None` where images are not resized.
        patch_size: Side of a transformer's patch in pixels; `None` for others.
        pooling: Which layer is read and how it becomes one vector.
        licence: Of the weights.
        paper: Who made it, with the address.
        page: Where the weights are described.
        note: What a reader should know about the choice.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    title: str
    library: LibraryName
    architecture: str
    default_weights: Literal["hub", "url", "seeded", "none"] = "hub"
    tag: str | None = None
    weights_url: str | None = None
    preprocessing: dict[str, Any] = {}
    dimension: Annotated[int, Field(gt=0)]
    input_size: Annotated[int, Field(gt=0)] | None
    patch_size: Annotated[int, Field(gt=0)] | None = None
    pooling: str
    licence: str
    paper: str
    page: str
    note: str = ""

    @model_validator(mode="after")
    def _says_where_weights_and_preprocessing_come_from(self) -> BackboneCard:
        if self.default_weights == "hub" and self.tag is None:
            raise ValueError("weights from the hub need a tag")
        if (self.default_weights == "url") != (self.weights_url is not None):
            raise ValueError("weights_url and default_weights='url' belong together")
        if self.library == "timm" and (self.tag is None) != bool(self.preprocessing):
            raise ValueError("a timm card has either a tag or its own preprocessing")
        return self

    @property
    def options_type(self) -> type[Option]:
        """The class that validates `options` in a configuration."""
        seeded = self.default_weights == "seeded"
        if self.library == "spectrum":
            return SpectrumOptions
        if self.library == "timm":
            return SeededTimmOptions if seeded else TimmOptions
        return SeededOptions if seeded else NoOptions
