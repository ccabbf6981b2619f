"""Vectors of the files' metadata, for the shortcut probe: facts of each file that tell nothing of the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from dfd_core.config import RunConfig
from dfd_core.evaluation.grid import METADATA
from dfd_core.evaluation.protocols import MATCHED
from dfd_core.evaluation.shortcuts import FEATURE_NAMES, is_matched, metadata_features
from dfd_core.features.files import write_feature_file
from dfd_core.features.ledger import Ledger, load_ledger
from dfd_core.features.sets import SUFFIX, shard_name
from dfd_core.features.table import FeatureTable
from dfd_core.manifests.headers_stored import REVISION
from dfd_core.pipeline.inputs import Manifests
from dfd_core.progress import Progress
from dfd_core.provenance import provenance
from dfd_core.specs import Spec, content_hash, readable_key
from dfd_core.statuses import CHANGED, MISSING, OK
from dfd_core.storage import Store


class MetadataSet(Spec):
    """The vectors of a dataset's files' metadata; it stands where a feature set does after extraction.

    Attributes:
        dataset: The dataset's name.
        augmentation_name: `none`, or an augmentation after which all files are alike.
        matched: Whether it is such a one.
    """

    dataset: str
    augmentation_name: str
    matched: bool = False

    @property
    def backbone_label(self) -> str:
        """The backbone's name in results."""
        return METADATA

    @property
    def folder(self) -> str:
        """The folder of its files in the store."""
        key = content_hash([REVISION, FEATURE_NAMES, self.matched])
        return f"features/{self.dataset}/{self.augmentation_name}/{readable_key(METADATA, key)}"


def metadata_sets(config: RunConfig, datasets: Sequence[str]) -> tuple[MetadataSet, ...]:
    """What the shortcut probe of a run is trained on: each dataset as it is, and as it is once matched."""
    if config.shortcut_probe is None:
        return ()
    alike = [one.name for one in config.augmentations if is_matched(one)]
    return tuple(
        MetadataSet(dataset=dataset, augmentation_name=name, matched=name in alike)
        for dataset in datasets
        for name in ("none", *(name for name in alike if name == MATCHED))
    )


def read_metadata(config: RunConfig, manifests: Manifests, progress: Progress | None = None) -> int:
    """Reads the headers of files that no earlier run has read, and keeps their vectors.

    With `retry_failed` also of those that were not there or had changed; other headers stay as they are.

    Args:
        config: The run.
        manifests: The manifests of its images.
        progress: Called with how many files were read, and of how many.

    Returns:
        How many vectors were missing.

    Raises:
        StoreError: The store can't be read or written.
    """
    store, written = Store(config.store), 0
    for one in metadata_sets(config, list(manifests)):
        ledger = load_ledger(store, one.folder)
        missing = missing_metadata(config, manifests[one.dataset].table, ledger)
        if not missing:
            continue
        table = metadata_features(store, manifests[one.dataset], one.matched, progress)
        tried = zip(ledger.rows["sample_id"].to_pylist(), ledger.attempts.tolist(), strict=True)
        attempt = max((number + 1 for sample_id, number in tried if sample_id in missing), default=0)
        written += _write(store, one, table, missing, attempt)
    return written


def missing_metadata(config: RunConfig, table: pa.Table, ledger: Ledger) -> set[str]:
    """The samples of a manifest whose headers are still to be read."""
    known = set(ledger.rows["sample_id"].to_pylist())
    if config.retry_failed:
        known -= _worth_another_look(ledger)
    return set(table["sample_id"].to_pylist()) - known


def _worth_another_look(ledger: Ledger) -> set[str]:
    failures = ledger.failures()
    statuses = zip(failures["sample_id"].to_pylist(), failures["status"].to_pylist(), strict=True)
    return {sample_id for sample_id, status in statuses if status in (MISSING, CHANGED)}


def _write(store: Store, one: MetadataSet, table: FeatureTable, missing: set[str], attempt: int) -> int:
    ids = sorted(missing - table.failed.keys())
    failed = sorted(missing & table.failed.keys())
    indices, unknown = table.rows(ids)
    assert not unknown.any(), "a file has neither a header nor a status"
    rows: list[tuple[str, str, str | None]] = [(sample_id, OK, None) for sample_id in ids]
    rows += [(sample_id, table.failed[sample_id], "its header can't be read") for sample_id in failed]
    X = np.concatenate([table.X[indices], np.zeros((len(failed), len(FEATURE_NAMES)), dtype=np.float32)])
    name = shard_name(one.dataset, "".join(row[0] for row in rows).encode(), attempt)
    write_feature_file(store, f"{one.folder}/{name}{SUFFIX}", rows, X, provenance(feature_set=one.model_dump()))
    return len(rows)
