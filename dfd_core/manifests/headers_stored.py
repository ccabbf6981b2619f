"""The headers of files, read once in threads and kept in the store by the digest of each file's content."""

from __future__ import annotations

import hashlib

import PIL
import pyarrow as pa
import pyarrow.compute as pc

from dfd_core.manifests.addresses import read_file
from dfd_core.manifests.headers import SCHEMA, Header, read_header, to_table
from dfd_core.manifests.manifest import Manifest
from dfd_core.manifests.remembered import Remembered
from dfd_core.manifests.side_by_side import in_batches, threads_for
from dfd_core.progress import Progress
from dfd_core.statuses import CHANGED, MISSING
from dfd_core.storage import Store

REVISION = 3
"""Grows whenever the same files give other facts; what was kept before is then read again."""
FOLDER = "headers"


def remembered_headers(store: Store, dataset: str) -> Remembered:
    """The headers that are kept of a dataset's files; Pillow's plugins read some of them, so its version counts."""
    return Remembered(store, FOLDER, dataset, SCHEMA, [REVISION, PIL.__version__])


def headers(store: Store, manifest: Manifest, progress: Progress | None = None) -> pa.Table:
    """The headers of a manifest's files, from the store where they are kept, else read now and kept.

    Args:
        store: Where they are kept.
        manifest: Whose files.
        progress: Called with how many distinct files are done, and of how many; may raise to stop.

    Returns:
        A table of `headers.SCHEMA`, a row for each distinct `sample_id`, sorted by it. Files that are not there or
        whose bytes have changed since the manifest was built are rows with that status, and looked for again next time.

    Raises:
        StoreError: The store can't be read or written.
    """
    wanted = dict(zip(*(manifest.table[name].to_pylist() for name in ("sample_id", "url")), strict=True))
    kept = remembered_headers(store, manifest.name)
    known = kept.rows()
    parts = [known.filter(pc.is_in(known["sample_id"], pa.array(list(wanted), pa.string())))]
    todo = sorted(wanted.keys() - set(parts[0]["sample_id"].to_pylist()))
    done = 0

    def keep(batch: list[Header]) -> None:
        nonlocal done
        table = to_table(todo[done : done + len(batch)], batch)
        done += len(batch)
        parts.append(table)
        kept.add(table.filter(describes_content(table)))

    def tell(count: int) -> None:
        if progress is not None:
            progress(len(wanted) - len(todo) + count, len(wanted))

    urls = [wanted[one] for one in todo]
    in_batches(_read, urls, todo, threads=threads_for(urls), keep=keep, tell=tell)
    return pa.concat_tables(parts).sort_by("sample_id").combine_chunks()


def describes_content(table: pa.Table) -> pa.ChunkedArray:
    """Of which rows the header says something of a content, and not that a file was away or another than expected."""
    return pc.invert(pc.is_in(table["status"], pa.array([MISSING, CHANGED])))


def _read(url: str, sample_id: str) -> Header:
    try:
        data = read_file(url)
    except Exception as error:  # clients of buckets have errors of their own
        return Header(MISSING, f"{url}: {getattr(error, 'strerror', None) or error or type(error).__name__}", 0)
    if hashlib.sha256(data).hexdigest() != sample_id:
        return Header(CHANGED, f"{url} has changed since the manifest was built", len(data))
    return read_header(data)
