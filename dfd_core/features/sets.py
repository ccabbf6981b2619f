"""A feature set: the vectors of dataset x augmentation x backbone, and where they stand in the store."""

from __future__ import annotations

from dfd_core.augmentations import AugmentationSpec
from dfd_core.backbones import ResolvedBackbone
from dfd_core.features.decoding import DecodePolicy
from dfd_core.specs import Spec, readable_key


class FeatureSet(Spec):
    """Everything that decides what the vectors are, and nothing else.

    Labels, splits and the sizes of shards and batches are not part of it: changing them computes nothing anew.

    Attributes:
        dataset: The dataset's name.
        augmentation: What is done to the pixels.
        backbone: The frozen network with the digest of its weights.
        decode: How bytes become pixels.
    """

    dataset: str
    augmentation: AugmentationSpec
    backbone: ResolvedBackbone
    decode: DecodePolicy = DecodePolicy()

    @property
    def folder(self) -> str:
        """The folder of its files in the store."""
        pixels = self.augmentation.key()
        if self.decode != DecodePolicy():
            pixels += "+" + readable_key("decode", self.decode.content_hash())
        return f"features/{self.dataset}/{pixels}/{self.backbone.key()}"

    @property
    def title(self) -> str:
        """What people call it: `dataset / augmentation / backbone`."""
        return f"{self.dataset} / {self.augmentation.name} / {self.backbone.label}"
