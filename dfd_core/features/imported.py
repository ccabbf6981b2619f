"""Feature sets that came as tables of other people's vectors, and the record of each import."""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, Field

from dfd_core.specs import Spec, readable_key, safe_name
from dfd_core.storage import Store

FOLDER = "imports"


class ImportedFeatureSet(Spec):
    """The vectors of dataset x augmentation x backbone as an imported table had them.

    It stands where a `FeatureSet` does for everything after extraction.

    Attributes:
        dataset: The dataset's name.
        augmentation: What had been done to the pixels, in the table's word; `none` for nothing.
        backbone: The network, in the table's word.
        dimension: Length D of a vector.
        digest: 12 hexadecimal digits that change with the imported files and what was said of them.
    """

    dataset: str
    augmentation: Annotated[str, Field(validation_alias=AliasChoices("augmentation", "transform"))]
    backbone: str
    dimension: Annotated[int, Field(gt=0)]
    digest: str

    @property
    def folder(self) -> str:
        """The folder of its files in the store."""
        name = readable_key(f"{self.backbone}-imported", self.digest)
        return f"features/{safe_name(self.dataset)}/{safe_name(self.augmentation)}/{name}"

    @property
    def title(self) -> str:
        """What people call it: `dataset / augmentation / backbone`."""
        return f"{self.dataset} / {self.augmentation} / {self.backbone}"

    @property
    def augmentation_name(self) -> str:
        """The augmentation's name."""
        return self.augmentation

    @property
    def backbone_label(self) -> str:
        """The backbone's name in results."""
        return self.backbone


class Imported(Spec):
    """What an import brought into a store.

    Attributes:
        name: The import's name.
        key: The name of its record, without the ending.
        manifests: The key of each dataset's manifest.
        feature_sets: All dataset x augmentation x backbone in it.
        files: How many feature files each feature set has, by folder.
        notes: What a person should know.
    """

    name: str
    key: str
    manifests: dict[str, str]
    feature_sets: tuple[ImportedFeatureSet, ...]
    files: dict[str, int]
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Its record in the store."""
        return record_path(self.key)

    def is_whole(self, store: Store) -> bool:
        """Whether all that it names is still in the store."""
        manifests = set(store.names("manifests"))
        return all(f"{key}.parquet" in manifests for key in self.manifests.values()) and all(
            len(store.names(folder, ".parquet")) == count for folder, count in self.files.items()
        )


def record_path(key: str) -> str:
    """Where the record of an import stands in the store."""
    return f"{FOLDER}/{key}.json"
