"""What became of a shard: told by who computed it, read from its files, or written off."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from dfd_core.features.files import write_feature_file
from dfd_core.features.planning import Shard
from dfd_core.features.stages import Stages
from dfd_core.features.statuses import OK, QUARANTINED
from dfd_core.provenance import provenance
from dfd_core.storage import Store

Row = tuple[str, str, str | None]
"""Sample id, status and error."""


@dataclass(frozen=True)
class ShardReport:
    """What became of a shard.

    Attributes:
        shard: Its name.
        dataset: Its dataset.
        samples: How many images it had.
        failures: Count of failed samples by feature set folder and status.
        stages: Where the time went; nothing where nobody computed it.
        worker: Who did it.
        stuck_threads: Threads that are still in a decoder that was given up on; the process should be replaced.
    """

    shard: str
    dataset: str
    samples: int
    failures: dict[str, dict[str, int]]
    stages: Stages = field(default_factory=Stages)
    worker: str = "here"
    stuck_threads: int = 0


def write_off(store: Store, shard: Shard, status: str, error: str) -> ShardReport:
    """Gives every sample of a shard that can't be computed a row that says so, so that none is forgotten.

    Feature sets whose file is there keep it: an attempt may have ended between two of them.

    Args:
        store: Where.
        shard: Whose samples they are.
        status: Of every sample.
        error: Why, in words.

    Raises:
        StoreError: The store can't be read or written.
    """
    failures: dict[str, dict[str, int]] = {}
    for target in shard.targets:
        path = shard.path(target)
        if store.exists(path):
            failures[target.folder] = _failures_of_file(store, path)
            continue
        rows = [(sample_id, status, error) for sample_id, _ in shard.samples]
        failures[target.folder] = {status: len(shard)}
        facts = provenance(feature_set=target.model_dump(mode="json"), n=len(shard), failures={status: len(shard)})
        write_feature_file(store, path, rows, np.zeros((len(rows), target.backbone.dimension), np.float32), facts)
    return ShardReport(shard.name, shard.targets[0].dataset, len(shard), failures)


def find_report(store: Store, shard: Shard) -> ShardReport | None:
    """The report of a shard whose files are all in the store, `None` where one is missing or was written off before.

    Raises:
        StoreError: The store can't be read.
    """
    failures: dict[str, dict[str, int]] = {}
    for target in shard.targets:
        path = shard.path(target)
        if not store.exists(path):
            return None
        failures[target.folder] = _failures_of_file(store, path)
        if failures[target.folder] == {QUARANTINED: len(shard)}:
            return None
    return ShardReport(shard.name, shard.targets[0].dataset, len(shard), failures)


def count_failures(rows: list[Row]) -> dict[str, int]:
    """Rows without a vector, by status."""
    return dict(Counter(status for _, status, _ in rows if status != OK))


def _failures_of_file(store: Store, path: str) -> dict[str, int]:
    counts = store.read_table(path, columns=["status"])["status"].value_counts().to_pylist()
    return {str(one["values"]): int(one["counts"]) for one in counts if one["values"] != OK}
