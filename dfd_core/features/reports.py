"""What became of a shard: reported by whoever computed it, read from its files, or written off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow.compute as pc

from dfd_core.features.files import write_feature_file
from dfd_core.features.planning import Shard
from dfd_core.features.stages import Stages
from dfd_core.provenance import provenance
from dfd_core.statuses import OK, QUARANTINED
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
        failed: Images without a vector in some feature set, each counted once.
        stages: Where the time went; nothing where nobody computed it.
        worker: Who did it.
        stuck_threads: Threads that are still in a decoder that was given up on; the process should be replaced.
    """

    shard: str
    dataset: str
    samples: int
    failures: dict[str, dict[str, int]]
    failed: int = 0
    stages: Stages = field(default_factory=Stages)
    worker: str = "here"
    stuck_threads: int = 0


def report_of(shard: Shard, rows: Mapping[str, Iterable[Row]]) -> ShardReport:
    """The report of a shard by its rows in each feature set's folder; rows that are `ok` may be left out."""
    bad = {folder: [row for row in own if row[1] != OK] for folder, own in rows.items()}
    failures = {folder: dict(Counter(status for _, status, _ in own)) for folder, own in bad.items()}
    failed = len({sample_id for own in bad.values() for sample_id, *_ in own})
    return ShardReport(shard.name, shard.targets[0].dataset, len(shard), failures, failed)


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
    found: dict[str, list[Row]] = {}
    for target in shard.targets:
        path = shard.path(target)
        if store.exists(path):
            found[target.folder] = _failed_rows(store, path)
            continue
        rows = found[target.folder] = [(sample_id, status, error) for sample_id, _ in shard.samples]
        facts = provenance(feature_set=target.model_dump(mode="json"), n=len(shard), failures={status: len(shard)})
        write_feature_file(store, path, rows, np.zeros((len(rows), target.backbone.dimension), np.float32), facts)
    return report_of(shard, found)


def find_report(store: Store, shard: Shard) -> ShardReport | None:
    """The report of a shard whose files are all in the store, `None` where one is missing or was written off before.

    Raises:
        StoreError: The store can't be read.
    """
    found: dict[str, list[Row]] = {}
    for target in shard.targets:
        path = shard.path(target)
        if not store.exists(path):
            return None
        rows = found[target.folder] = _failed_rows(store, path)
        if len(rows) == len(shard) and all(status == QUARANTINED for _, status, _ in rows):
            return None
    return report_of(shard, found)


def _failed_rows(store: Store, path: str) -> list[Row]:
    table = store.read_table(path, columns=["sample_id", "status", "error"])
    return [
        (row["sample_id"], row["status"], row["error"])
        for row in table.filter(pc.not_equal(table["status"], OK)).to_pylist()
    ]
