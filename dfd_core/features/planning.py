"""What is still to be computed, cut into shards.

The ledger is the store itself: a sample is done in a feature set when one of its files has a row for it. Samples that
miss the same feature sets are cut into shards together, so one that is read computes all that it misses and no more.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from dfd_core.features.files import SUFFIX, read_statuses
from dfd_core.features.sets import FeatureSet
from dfd_core.features.statuses import OK
from dfd_core.storage import Store


@dataclass(frozen=True)
class Shard:
    """A slice of a manifest, the unit of work and of retry.

    Attributes:
        name: `shard-` and a digest of what it holds; the name of the files it makes.
        samples: (sample id, address of the original bytes) of each.
        targets: The feature sets to compute, all of one dataset.
    """

    name: str
    samples: tuple[tuple[str, str], ...]
    targets: tuple[FeatureSet, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def path(self, target: FeatureSet) -> str:
        """Where the shard's file of a feature set stands in the store."""
        return f"{target.folder}/{self.name}{SUFFIX}"


@dataclass(frozen=True)
class ExtractionPlan:
    """What an extraction would do.

    Attributes:
        feature_sets: All that were asked for.
        shards: What is missing.
        done: Finished samples of each feature set, by its folder, failures included.
        total: Distinct samples of each feature set, by its folder.
    """

    feature_sets: tuple[FeatureSet, ...]
    shards: tuple[Shard, ...]
    done: dict[str, int]
    total: dict[str, int]

    @property
    def missing(self) -> int:
        """Vectors that are to be computed, over all feature sets."""
        return sum(len(shard) * len(shard.targets) for shard in self.shards)


def plan_extraction(
    store: Store,
    manifests: dict[str, pa.Table],
    feature_sets: Sequence[FeatureSet],
    shard_size: int | None = None,
    retry_failed: bool = False,
) -> ExtractionPlan:
    """Compares manifests with what the store holds.

    Args:
        store: The store.
        manifests: Manifest table by dataset.
        feature_sets: What is wanted.
        shard_size: Samples in a shard, at most; by default a 64th of the dataset, but 32 to 2048, so that small sets
            show progress and large ones don't drown in files.
        retry_failed: Whether samples that failed earlier count as missing.
    """
    shards: list[Shard] = []
    done: dict[str, int] = {}
    total: dict[str, int] = {}
    for dataset, table in manifests.items():
        wanted = tuple(feature_set for feature_set in feature_sets if feature_set.dataset == dataset)
        samples = dict(zip(table["sample_id"].to_pylist(), table["url"].to_pylist(), strict=True))
        misses: dict[str, list[int]] = defaultdict(list)
        for index, feature_set in enumerate(wanted):
            statuses = read_statuses(store, feature_set.folder)
            finished = {sample_id for sample_id, status in statuses.items() if status == OK or not retry_failed}
            for sample_id in samples:
                if sample_id not in finished:
                    misses[sample_id].append(index)
            total[feature_set.folder] = len(samples)
            done[feature_set.folder] = len(finished & samples.keys())
        shards += _cut(samples, misses, wanted, shard_size or min(max(len(samples) // 64, 32), 2048))
    return ExtractionPlan(tuple(feature_sets), tuple(shards), done, total)


def _cut(
    samples: dict[str, str], misses: dict[str, list[int]], wanted: tuple[FeatureSet, ...], shard_size: int
) -> list[Shard]:
    alike: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for sample_id, indices in misses.items():
        alike[tuple(indices)].append(sample_id)
    shards = []
    for missed, sample_ids in sorted(alike.items()):
        targets = tuple(wanted[index] for index in missed)
        for start in range(0, len(sample_ids), shard_size):
            part = sample_ids[start : start + shard_size]
            digest = hashlib.sha256("".join(part).encode()).hexdigest()[:16]
            shards.append(Shard(f"shard-{digest}", tuple((i, samples[i]) for i in part), targets))
    return shards
