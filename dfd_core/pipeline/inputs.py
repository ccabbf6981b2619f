"""What all steps after `prepare` start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import pyarrow as pa

from dfd_core.backbones import ResolvedBackbone, resolve
from dfd_core.config import RunConfig
from dfd_core.evaluation.samples import Samples
from dfd_core.features.sets import FeatureSet
from dfd_core.manifests import Manifest, prepare
from dfd_core.specs import Spec
from dfd_core.storage import Store

Manifests = Mapping[str, Manifest]
FeatureSets = Sequence[FeatureSet]


class RunInputs(Spec):
    """What the steps after `prepare` start from: references only, so they may cross processes and dashboards.

    Attributes:
        manifests: The key of each dataset's manifest.
        backbones: The backbones with the digests of their weights.
    """

    manifests: dict[str, str]
    backbones: tuple[ResolvedBackbone, ...]

    def open(self, config: RunConfig) -> tuple[dict[str, Manifest], tuple[FeatureSet, ...]]:
        """The manifests, and every dataset x augmentation x backbone of the run."""
        store = Store(config.store)
        manifests = {name: Manifest(store, name, key) for name, key in self.manifests.items()}
        feature_sets = tuple(
            FeatureSet(dataset=name, augmentation=augmentation, backbone=backbone, decode=config.extraction.decode)
            for name in manifests
            for augmentation in config.augmentations
            for backbone in self.backbones
        )
        return manifests, feature_sets


def find_inputs(config: RunConfig) -> RunInputs:
    """Finds the weights of every backbone and prepares every dataset.

    Raises:
        DatasetError: A dataset can't be acquired or lacks a class.
        WeightsError: Weights are missing or have another digest than stated.
    """
    store = Store(config.store)
    backbones = tuple(resolve(spec) for spec in config.backbones)
    manifests = {source.name: prepare(source, config.split, store).key for source in config.datasets}
    return RunInputs(manifests=manifests, backbones=backbones)


def samples_of(config: RunConfig, manifests: Manifests) -> Samples:
    """The run's samples, with its pairing of reals and generators."""
    return Samples(all_rows(manifests), config.protocol.pairing)


def all_rows(manifests: Manifests) -> pd.DataFrame:
    """The rows of all manifests."""
    frame: pd.DataFrame = pa.concat_tables([manifest.table for manifest in manifests.values()]).to_pandas()
    return frame
