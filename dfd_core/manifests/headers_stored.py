"""The headers of a manifest's files, read once in threads and kept in the store."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.compute as pc

from dfd_core.datasets.cards import Progress
from dfd_core.manifests.headers import CHANGED, MISSING, SCHEMA, Header, read_header, to_table
from dfd_core.manifests.manifest import Manifest
from dfd_core.provenance import provenance
from dfd_core.specs import is_url
from dfd_core.storage import Store

REVISION = 2
"""Grows whenever the same files give other facts; what was kept before is then read again."""
FOLDER = "headers"
_REMOTE_THREADS = 32
_KEPT_EVERY = 20_000


def headers(store: Store, manifest: Manifest, progress: Progress | None = None) -> pa.Table:
    """The headers of a manifest's files, from the store where they are kept, else read now and kept.

    What was read is kept now and then, so that a run that was killed goes on where it was.

    Args:
        store: Where they are kept, in `headers/<the manifest's key>.parquet`.
        manifest: Whose files.
        progress: Told how many distinct files are done, and of how many.

    Returns:
        A table of `headers.SCHEMA`, a row for each distinct `sample_id`, sorted by it. Files that are not there or
        whose bytes have changed since the manifest was made are rows with that status, and looked for again next time.

    Raises:
        StoreError: The store can't be read or written.
    """
    path = f"{FOLDER}/{manifest.key}.parquet"
    wanted = dict(zip(*(manifest.table[name].to_pylist() for name in ("sample_id", "url")), strict=True))
    known = _kept(store, path)
    todo = sorted(wanted.keys() - set(known["sample_id"].to_pylist()))
    if not todo:
        return known
    started = time.monotonic()
    parts = [known]
    for start in range(0, len(todo), _KEPT_EVERY):
        ids = todo[start : start + _KEPT_EVERY]
        parts.append(to_table(ids, read_headers([wanted[one] for one in ids], ids)))
        if progress is not None:
            progress(len(wanted) - len(todo) + start + len(ids), len(wanted))
        table = pa.concat_tables(parts).sort_by("sample_id").combine_chunks()
        facts = {"revision": REVISION, "manifest": manifest.key, "files_read": start + len(ids)}
        store.write_table(path, table, provenance(**facts, seconds=round(time.monotonic() - started, 3)))
    return table


def read_headers(urls: Sequence[str], sample_ids: Sequence[str]) -> list[Header]:
    """Reads files and parses their headers, in threads.

    Args:
        urls: Local paths or fsspec URLs.
        sample_ids: The SHA-256 that each is to have.
    """
    threads = _REMOTE_THREADS if any(map(is_url, urls)) else 2 * (os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(_read, urls, sample_ids))


def read_file(url: str) -> bytes:
    """All bytes of a file.

    Raises:
        OSError: It can't be read.
    """
    if not is_url(url):
        return Path(url).read_bytes()
    fs, path = fsspec.core.url_to_fs(url)
    return bytes(fs.cat_file(path))


def _read(url: str, sample_id: str) -> Header:
    try:
        data = read_file(url)
    except Exception as error:  # clients of buckets have errors of their own
        return Header(MISSING, f"{url}: {getattr(error, 'strerror', None) or error or type(error).__name__}", 0)
    if hashlib.sha256(data).hexdigest() != sample_id:
        return Header(CHANGED, f"{url} has changed since the manifest was built", len(data))
    return read_header(data)


def _kept(store: Store, path: str) -> pa.Table:
    if store.exists(path) and store.read_provenance(path).get("revision") == REVISION:
        table = store.read_table(path).replace_schema_metadata(None)
        return table.filter(pc.invert(pc.is_in(table["status"], pa.array([MISSING, CHANGED]))))
    return SCHEMA.empty_table()
