"""Feature files: one Parquet file per shard, augmentation and backbone, with a row for every sample.

Columns: `sample_id`, `status` (`ok` or why there is no vector), `error` (what was found; null where ok) and
`embedding`, a fixed-size list of D float32, null where there is none. Embeddings are neither compressed nor
dictionary-encoded: they are noise to a compressor, and reading them is three times faster so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dfd_core.errors import StoreError
from dfd_core.features.statuses import OK
from dfd_core.features.table import FeatureTable
from dfd_core.storage import Store

SUFFIX = ".parquet"


def write_feature_file(
    store: Store, path: str, rows: Sequence[tuple[str, str, str | None]], X: np.ndarray, provenance: dict[str, Any]
) -> None:
    """Writes one shard's vectors, complete or not at all.

    Args:
        store: The store.
        path: The file's path in it.
        rows: Sample id, status and error of each sample, N of them.
        X: (N, D) float32; rows whose status is not `ok` are written as null.
        provenance: Kept in the file.
    """
    failed = np.array([status != OK for _, status, _ in rows], dtype=bool)
    values = pa.array(np.ascontiguousarray(X, dtype=np.float32).reshape(-1))
    table = pa.table(
        {
            "sample_id": pa.array([row[0] for row in rows], pa.string()),
            "status": pa.array([row[1] for row in rows], pa.string()),
            "error": pa.array([row[2] for row in rows], pa.string()),
            "embedding": pa.FixedSizeListArray.from_arrays(values, X.shape[1], mask=pa.array(failed)),
        }
    )
    store.write_table(
        path, table, provenance, compression={"embedding.list.element": "none"}, use_dictionary=["status"]
    )


def read_statuses(store: Store, folder: str) -> dict[str, str]:
    """Status by sample id over all complete files of a feature set; `ok` wins over an earlier failure."""
    statuses: dict[str, str] = {}
    for name in store.names(folder, SUFFIX):
        table = store.read_table(f"{folder}/{name}", columns=["sample_id", "status"])
        for sample_id, status in zip(table["sample_id"].to_pylist(), table["status"].to_pylist(), strict=True):
            if statuses.get(sample_id) != OK:
                statuses[sample_id] = status
    return statuses


def read_failures(store: Store, folder: str) -> list[tuple[str, str, str]]:
    """(sample id, status, error) of the samples that have no vector, sorted by sample id."""
    failed: dict[str, tuple[str, str, str]] = {}
    good: set[str] = set()
    for name in store.names(folder, SUFFIX):
        columns = store.read_table(f"{folder}/{name}", columns=["sample_id", "status", "error"]).to_pydict()
        for sample_id, status, error in zip(*columns.values(), strict=True):
            if status == OK:
                good.add(sample_id)
            else:
                failed[sample_id] = (sample_id, status, error or "")
    return sorted(row for sample_id, row in failed.items() if sample_id not in good)


def read_features(store: Store, folder: str) -> FeatureTable:
    """All vectors of a feature set as one (N, D) float32 array, without a Python object per value.

    Rows are sorted by sample id, so that the result does not depend on how the shards were cut.

    Raises:
        StoreError: There are no files, or they disagree on D.
    """
    names = store.names(folder, SUFFIX)
    if not names:
        raise StoreError(f"There are no features in {store.url(folder)}. Extract them first: `dfd extract CONFIG`.")
    ids, arrays = [], []
    failed: dict[str, str] = {}
    for name in names:
        table = store.read_table(f"{folder}/{name}", columns=["sample_id", "status", "embedding"])
        ok = np.array([status == OK for status in table["status"].to_pylist()], dtype=bool)
        sample_ids = np.array(table["sample_id"].to_pylist(), dtype=str)
        failed.update(zip(sample_ids[~ok].tolist(), np.array(table["status"].to_pylist())[~ok].tolist(), strict=True))
        ids.append(sample_ids[ok])
        arrays.append(_dense(table["embedding"])[ok])
    widths = {array.shape[1] for array in arrays}
    if len(widths) > 1:
        raise StoreError(f"{store.url(folder)} mixes vectors of widths {sorted(widths)}; delete it and extract again.")
    sample_ids, first = np.unique(np.concatenate(ids), return_index=True)
    failures = {sample_id: status for sample_id, status in failed.items() if sample_id not in set(sample_ids.tolist())}
    return FeatureTable(sample_ids=sample_ids, X=np.concatenate(arrays)[first], failed=failures)


def _dense(column: pa.ChunkedArray) -> np.ndarray:
    """(N, D) float32 of a fixed-size list column; rows that are null hold whatever stood there."""
    width = column.type.list_size
    out = np.empty((len(column), width), dtype=np.float32)
    start = 0
    for chunk in column.chunks:
        # `.values` keeps the slots of null rows, `.flatten()` would drop them and shift the rows behind
        values = chunk.values.to_numpy(zero_copy_only=False)
        offset = chunk.offset * width
        out[start : start + len(chunk)] = values[offset : offset + len(chunk) * width].reshape(-1, width)
        start += len(chunk)
    return out
