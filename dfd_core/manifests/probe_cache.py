"""What earlier runs read of a dataset's files, so that unchanged files are not read again."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from dfd_core.manifests.listing import Files
from dfd_core.manifests.probing import Probe
from dfd_core.manifests.remembered import intact
from dfd_core.provenance import provenance
from dfd_core.storage import Store

_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("url", "stamp", "sample_id")),
        ("size_bytes", pa.int64()),
        ("format", pa.string()),
        *((name, pa.int32()) for name in ("width", "height")),
    ]
)


def known_probes(store: Store, dataset: str, files: Files) -> dict[int, Probe]:
    """Probes by position of the files that have the size and stamp with which they were read before.

    Files without a stamp are never known.

    Raises:
        StoreError: The store can't be read.
    """
    path = _path(dataset)
    table = intact(store, path, _SCHEMA) if store.exists(path) else None
    if table is None:
        return {}
    columns = table.to_pydict()
    facts = zip(*(columns[name] for name in Probe._fields), strict=True)
    known = {key: Probe(*values) for key, values in zip(_keys(columns), facts, strict=True)}
    wanted = zip(files.urls, files.stamps, files.sizes, strict=True)
    return {i: known[key] for i, key in enumerate(wanted) if key[1] and key in known}


def remember_probes(store: Store, dataset: str, files: Files, probes: Mapping[int, Probe]) -> None:
    """Keeps what was read for the next run, in place of what was kept before.

    Args:
        store: Where.
        dataset: The dataset's name.
        files: All its files.
        probes: What was read, by position in `files`.
    """
    columns: dict[str, list[object]] = {
        "url": [files.urls[i] for i in probes],
        "stamp": [files.stamps[i] for i in probes],
    }
    columns |= {name: [getattr(found, name) for found in probes.values()] for name in Probe._fields}
    store.write_table(
        _path(dataset), pa.table(columns, schema=_SCHEMA), provenance(dataset=dataset), write_page_checksum=True
    )


def _keys(columns: dict[str, list[object]]) -> zip[tuple[object, ...]]:
    return zip(columns["url"], columns["stamp"], columns["size_bytes"], strict=True)


def _path(dataset: str) -> str:
    return f"probes/{dataset}.parquet"
