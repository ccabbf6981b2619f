"""What was found out about files, by the digest of their content, in Parquet files that are only ever added."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dfd_core.errors import StoreError
from dfd_core.provenance import provenance
from dfd_core.specs import content_hash, readable_key
from dfd_core.storage import Store

logger = logging.getLogger(__name__)
_SUFFIX = ".parquet"


class Remembered:
    """Rows of one kind for one dataset, in `<root>/<dataset>-<hash>/` of a store.

    A file is named by the ids in it and complete or absent, so a killed process costs what it had not added yet, and
    two processes do each other no harm.

    Args:
        store: Where.
        root: The folder of all rows of this kind.
        dataset: The dataset's name, so that no more is read than may be needed.
        schema: Of the rows; the first column is their id, a string.
        revision: Whatever else decides what the rows say, as JSON has it; another one starts an empty memory.
    """

    def __init__(self, store: Store, root: str, dataset: str, schema: pa.Schema, revision: Any) -> None:
        self.store, self.schema, self.dataset, self.revision = store, schema, dataset, revision
        self.folder = f"{root}/{readable_key(dataset[-60:], content_hash([dataset, revision]))}"

    def rows(self) -> pa.Table:
        """All rows, one for each id; a file that is damaged is removed with a warning.

        Raises:
            StoreError: The store can't be read, or a damaged file not be removed.
        """
        parts = [self.schema.empty_table()]
        for name in self.store.names(self.folder, _SUFFIX):
            part = intact(self.store, f"{self.folder}/{name}", self.schema)
            if part is None:
                self.store.remove(f"{self.folder}/{name}")  # else the same rows would not be added again
            else:
                parts.append(part)
        table = pa.concat_tables(parts)
        if pc.count_distinct(table.column(0)).as_py() < table.num_rows:  # two processes found out the same
            again = pd.Series(table.column(0).to_pylist(), dtype=object).duplicated().to_numpy()
            table = table.filter(pa.array(~again))
        return table.combine_chunks()

    def add(self, table: pa.Table) -> None:
        """Keeps rows in a file of their own.

        Raises:
            StoreError: The store can't be written.
        """
        if not table.num_rows:
            return
        digest = hashlib.sha256("\n".join(sorted(table.column(0).to_pylist())).encode()).hexdigest()
        path = f"{self.folder}/{digest[:24]}{_SUFFIX}"
        if not self.store.exists(path):
            self.store.sweep(self.folder)
            facts = {"dataset": self.dataset, "revision": self.revision, "rows": table.num_rows}
            self.store.write_table(path, table, provenance(**facts), write_page_checksum=True)


def intact(store: Store, path: str, schema: pa.Schema) -> pa.Table | None:
    """A table that only spares work, so that nothing is lost with it.

    Args:
        store: Where.
        path: The file.
        schema: What its columns have to be.

    Returns:
        `None` where it is damaged, which a warning says, or where another process has removed it.

    Raises:
        StoreError: The store can't be read, which says nothing of the file.
    """
    try:
        data = store.read_bytes(path)
    except StoreError:
        if store.exists(path):
            raise
        return None
    try:
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
            table = file.read().replace_schema_metadata(None)
        if not table.schema.equals(schema):
            raise ValueError(f"it has the columns {', '.join(table.column_names)}")
    except (pa.ArrowException, OSError, ValueError) as error:
        logger.warning("%s is damaged (%s). What it says will be read again.", store.url(path), error)
        return None
    return table
