"""What all steps after `prepare` start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import pyarrow as pa

from dfd_core.backbones import ResolvedBackbone, resolve
from dfd_core.config import RunConfig
from dfd_core.errors import ConfigError
from dfd_core.evaluation.samples import Samples
from dfd_core.features.imported import ImportedFeatureSet
from dfd_core.features.importing import import_table
from dfd_core.features.sets import FeatureSet
from dfd_core.manifests import Manifest, prepare
from dfd_core.specs import Spec
from dfd_core.storage import Store

Manifests = Mapping[str, Manifest]
FeatureSets = Sequence[FeatureSet]


class RunInputs(Spec):
    """What the steps after `prepare` start from: references only, so they may cross processes and dashboards.

    Attributes:
        manifests: The key of each dataset's manifest, imported ones among them.
        backbones: The backbones with the digests of their weights.
        imported: The feature sets that came as tables.
    """

    manifests: dict[str, str]
    backbones: tuple[ResolvedBackbone, ...]
    imported: tuple[ImportedFeatureSet, ...] = ()

    def open(self, config: RunConfig) -> tuple[dict[str, Manifest], tuple[FeatureSet, ...]]:
        """The manifests, and every dataset x augmentation x backbone that is to be extracted."""
        store = Store(config.store)
        manifests = {name: Manifest(store, name, key) for name, key in self.manifests.items()}
        feature_sets = tuple(
            FeatureSet(dataset=name, augmentation=augmentation, backbone=backbone, decode=config.extraction.decode)
            for name in (source.name for source in config.datasets if source.name in manifests)
            for augmentation in config.augmentations
            for backbone in self.backbones
        )
        return manifests, feature_sets


def find_inputs(config: RunConfig) -> RunInputs:
    """Finds the weights of every backbone, prepares every dataset and imports every table of vectors.

    Raises:
        DatasetError: A dataset can't be acquired or lacks a class, or a table can't be imported.
        WeightsError: Weights are missing or have another digest than stated.
    """
    store = Store(config.store)
    backbones = tuple(resolve(spec) for spec in config.backbones if config.datasets)
    manifests = {source.name: prepare(source, config.split, store).key for source in config.datasets}
    return with_imports(config, RunInputs(manifests=manifests, backbones=backbones))


def with_imports(config: RunConfig, inputs: RunInputs) -> RunInputs:
    """The same with the tables of vectors that the configuration names; they are imported unless they are there.

    Raises:
        DatasetError: A table can't be imported.
        ConfigError: A table has a dataset of the name of another dataset of the run.
    """
    if not config.features:
        return inputs
    imported = import_table(Store(config.store), config.features, config.name)
    twice = sorted(imported.manifests.keys() & inputs.manifests.keys())
    if twice:
        raise ConfigError(
            f"features have the datasets {', '.join(twice)}, and datasets too. Give the dataset of images another name."
        )
    return inputs.model_copy(
        update={"manifests": {**inputs.manifests, **imported.manifests}, "imported": imported.feature_sets}
    )


def samples_of(config: RunConfig, manifests: Manifests) -> Samples:
    """The run's samples, with its pairing of reals and generators."""
    return Samples(all_rows(manifests), config.protocol.pairing)


def all_rows(manifests: Manifests) -> pd.DataFrame:
    """The rows of all manifests."""
    frame: pd.DataFrame = pa.concat_tables([manifest.table for manifest in manifests.values()]).to_pandas()
    return frame
