"""Feature files: one Parquet file per shard, augmentation and backbone, with a row for every sample.

Columns: `sample_id`, `status` (`ok` or why there is no vector), `error` (what was found; null where ok) and
`embedding`, a fixed-size list of D float32, null where there is none. Embeddings are neither compressed nor
dictionary-encoded: they are noise to a compressor, and reading them is three times faster so.
A file is written once and never changes; see `sets` for its name.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dfd_core.errors import StoreError
from dfd_core.features.ledger import load_ledger, readers
from dfd_core.features.pages import read_vectors, read_width
from dfd_core.features.table import FeatureTable
from dfd_core.manifests.side_by_side import side_by_side
from dfd_core.statuses import OK
from dfd_core.storage import Store

_ONE_PAGE = 2**30
"""Size of a page, at most: pages are cut between numbers, not between vectors, and have to be joined in reading."""
logger = logging.getLogger(__name__)


def write_feature_file(
    store: Store, path: str, rows: Sequence[tuple[str, str, str | None]], X: np.ndarray, provenance: dict[str, Any]
) -> None:
    """Writes one shard's vectors, complete or not at all. A file that is there already stands.

    Args:
        store: The store.
        path: The file's path in it.
        rows: Sample id, status and error of each sample, N of them.
        X: (N, D) float32; rows whose status is not `ok` are written as null.
        provenance: Kept in the file.

    Raises:
        StoreError: The store can't be written.
    """
    if store.exists(path):
        # another attempt at the same shard wrote it before it ended; ledgers rely on files that never change
        logger.info("%s is there already and is kept", path)
        return
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
        path,
        table,
        provenance,
        compression={"embedding.list.element": "none"},
        use_dictionary=["status"],
        write_statistics=False,
        data_page_size=_ONE_PAGE,
    )


def read_statuses(store: Store, folder: str) -> dict[str, str]:
    """Status by sample id over all complete files of a feature set; `ok` wins over any failure.

    Raises:
        StoreError: The store or a feature file can't be read.
    """
    ledger = load_ledger(store, folder)
    ids = ledger.rows["sample_id"].filter(pa.array(ledger.ok)).to_pylist()
    failures = ledger.failures()
    failed = zip(failures["sample_id"].to_pylist(), failures["status"].to_pylist(), strict=True)
    return {**dict.fromkeys(ids, OK), **dict(failed)}


def read_failures(store: Store, folder: str) -> list[tuple[str, str, str]]:
    """(sample id, status, error) of the samples that have no vector, sorted by sample id.

    Raises:
        StoreError: The store or a feature file can't be read.
    """
    columns = load_ledger(store, folder).failures().to_pydict()
    return [(sample_id, status, error or "") for sample_id, status, error in zip(*columns.values(), strict=True)]


def read_features(store: Store, folder: str) -> FeatureTable:
    """All vectors of a feature set as one (N, D) float32 array, without a Python object per row.

    Rows are sorted by sample id, so that the result does not depend on how the shards were cut. Each file's vectors go
    straight to their places, so no second array of this size is ever there.

    Raises:
        StoreError: There are no files, they disagree on D, or one is not what the ledger says of it.
    """
    ledger = load_ledger(store, folder)
    if not ledger.files:
        raise StoreError(f"There are no features in {store.url(folder)}. Extract them first: `dfd extract CONFIG`.")
    standing = ledger.vectors()
    place = np.full(len(ledger.rows), -1, dtype=np.int64)
    place[standing] = np.arange(len(standing))
    parts = [(f"{folder}/{name}", place[span], ledger.ok[span]) for name, span in ledger.spans()]
    width = read_width(store.read_buffer(parts[0][0]), "embedding")
    X = np.empty((len(standing), width), dtype=np.float32)

    def fill(part: tuple[str, np.ndarray, np.ndarray]) -> int:
        path, places, ok = part
        vectors = _vectors(store, path, ok)
        if vectors.shape[1] == width:
            own = places[ok]
            here = own >= 0
            if here.all():
                _rows(X)[own] = _rows(vectors)
            else:
                X[own[here]] = vectors[here]
        return int(vectors.shape[1])

    widths = set(side_by_side(fill, parts, threads=readers(store)))
    if len(widths) > 1:
        raise StoreError(f"{store.url(folder)} mixes vectors of widths {sorted(widths)}; delete it and extract again.")
    failures = ledger.failures()
    failed = dict(zip(failures["sample_id"].to_pylist(), failures["status"].to_pylist(), strict=True))
    return FeatureTable(sample_ids=ledger.sample_ids[standing], X=X, failed=failed)


def _vectors(store: Store, path: str, ok: np.ndarray) -> np.ndarray:
    """The vectors of a file's rows that have one, (K, D) float32."""
    try:
        return read_vectors(store.read_buffer(path), "embedding", ok)
    except (ValueError, OSError) as error:
        raise StoreError(
            f"{store.url(path)} is not a readable feature file ({error}); delete it and run again."
        ) from error


def _rows(X: np.ndarray) -> np.ndarray:
    """Each row as one opaque value: numpy then moves it in one piece, wherever in memory it stands."""
    return np.ndarray(len(X), f"V{X.shape[1] * X.itemsize}", buffer=X.view(np.uint8))
