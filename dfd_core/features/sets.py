"""A feature set: the vectors of dataset x augmentation x backbone, and where they stand in the store.

The files of a feature set never change: a name holds one content. A file's name is a digest of the samples in it, and
where some of them have failed before, the number of this attempt, which is higher than that of every earlier file that
has a row for one of them. So a later attempt can be told from an earlier one by its name.
"""

from __future__ import annotations

import hashlib
import re

from dfd_core.augmentations import AugmentationSpec
from dfd_core.backbones import ResolvedBackbone
from dfd_core.features.decoding import DecodePolicy
from dfd_core.specs import Spec, readable_key

SUFFIX = ".parquet"
_RETRY = re.compile(r"-retry(\d+)(?:\.parquet)?$")


def shard_name(dataset: str, sample_ids: bytes, attempt: int = 0) -> str:
    """The name of a shard and, with its suffix, of the files it makes.

    Args:
        dataset: The samples' dataset.
        sample_ids: The ids of its samples, joined.
        attempt: 0 for samples that no file of its feature sets has a row for.
    """
    digest = hashlib.sha256(f"{dataset}\n".encode() + sample_ids).hexdigest()[:16]
    return f"shard-{digest}-retry{attempt}" if attempt else f"shard-{digest}"


def attempt_of(name: str) -> int:
    """The attempt that a file or shard was made by."""
    found = _RETRY.search(name)
    return int(found[1]) if found else 0


class FeatureSet(Spec):
    """Everything that decides what the vectors are, and nothing else.

    Labels, splits and the sizes of shards and batches are not part of it: changing them recomputes nothing.

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

    @property
    def augmentation_name(self) -> str:
        """The augmentation's name."""
        return self.augmentation.name

    @property
    def backbone_label(self) -> str:
        """The backbone's name in results."""
        return self.backbone.label
