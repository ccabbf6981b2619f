"""The ledger of a feature set: what became of every sample, row by row.

The feature files are the truth. Reading some columns of each at every planning is dear where there are thousands, so
the rows of files that were read once are kept in one file, the consolidated ledger, beside the names of the files that
it covers. It is a cache. Files that it does not cover are read, rows of files that are gone do not count, and one that
is missing or damaged is rebuilt. Feature files never change under a name, so what was read once stays right.

Of several rows of one sample `ok` counts before any failure, then the later attempt before the earlier one (`sets`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dfd_core.errors import StoreError
from dfd_core.features.ids import IdIndex, best_of_each, fixed_width
from dfd_core.features.sets import SUFFIX, attempt_of
from dfd_core.manifests.side_by_side import side_by_side
from dfd_core.statuses import OK
from dfd_core.storage import PROVENANCE_KEY, Store

SCHEMA = pa.schema([("sample_id", pa.string()), ("status", pa.string()), ("error", pa.string())])
VERSION = 1
"""Of the consolidated ledger's format; one of another version is rebuilt."""
FEW_FILES = 16
"""Fewer uncovered files than this are read again rather than consolidated, and so is less than a 64th of all."""
PIECE_ROWS = 2**16
"""Rows of the consolidated ledger that are read at once where they are not kept; they fit the processor's cache."""
REMOTE_READERS = 16
"""Files of an object store that are read at once: most of the time is spent waiting."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ledger:
    """Every row of every file of a feature set.

    Attributes:
        files: Names of the files.
        counts: Rows of each file, (F,) int64.
        rows: The rows with the columns of `SCHEMA`, file after file, in the order of each file; without `error` in a
            piece.
    """

    files: tuple[str, ...]
    counts: np.ndarray
    rows: pa.Table

    @cached_property
    def sample_ids(self) -> np.ndarray:
        """The sample of each row, (N,) bytes."""
        return fixed_width(self.rows["sample_id"])

    @cached_property
    def ok(self) -> np.ndarray:
        """Whether a row has a vector, (N,) bool."""
        return np.asarray(pc.equal(self.rows["status"], OK))

    @cached_property
    def attempts(self) -> np.ndarray:
        """The attempt by which a row was made, (N,) int32."""
        return np.repeat(np.array([attempt_of(name) for name in self.files], dtype=np.int32), self.counts)

    @property
    def starts(self) -> np.ndarray:
        """Where the rows of each file that has any begin, ascending from 0."""
        return np.asarray((np.cumsum(self.counts) - self.counts)[self.counts > 0])

    def vectors(self) -> np.ndarray:
        """The row that holds the vector of each sample that has one, by the order of sample ids."""
        return self._standing(np.flatnonzero(self.ok))

    def failures(self) -> pa.Table:
        """The rows of samples that have no vector, one for each, by the order of sample ids."""
        failed = self._standing(np.flatnonzero(~self.ok))
        if len(failed):
            mended = IdIndex(self.sample_ids[failed]).find(self.sample_ids[self.ok])
            keep = np.ones(len(failed), dtype=bool)
            keep[mended[mended >= 0]] = False
            failed = failed[keep]
        return self.rows.take(pa.array(failed))

    def spans(self) -> Iterator[tuple[str, slice]]:
        """Each file with the place of its rows."""
        ends = np.cumsum(self.counts)
        for name, end, count in zip(self.files, ends.tolist(), self.counts.tolist(), strict=True):
            yield name, slice(end - count, end)

    def only(self, names: set[str]) -> Ledger:
        """Without the rows of files that are not among these."""
        present = np.array([name in names for name in self.files], dtype=bool)
        if present.all():
            return self
        files = tuple(name for name in self.files if name in names)
        return Ledger(files, self.counts[present], self.rows.filter(pa.array(np.repeat(present, self.counts))))

    def extended(self, files: Sequence[str], tables: Sequence[pa.Table]) -> Ledger:
        """With the rows of more files."""
        counts = np.array([len(table) for table in tables], dtype=np.int64)
        rows = pa.concat_tables([self.rows, *tables]).combine_chunks()
        return Ledger((*self.files, *files), np.concatenate([self.counts, counts]), rows)

    def _standing(self, rows: np.ndarray) -> np.ndarray:
        """Of these rows the one that counts for each sample, by the order of sample ids."""
        place = np.empty(len(self.files), dtype=np.int64)
        place[np.argsort(np.array(self.files, dtype=str))] = np.arange(len(self.files))
        rank = np.repeat(place, self.counts)[rows] - self.attempts[rows].astype(np.int64) * len(self.files)
        standing: np.ndarray = rows[best_of_each(self.sample_ids[rows], rank)]
        return standing


def ledger_path(folder: str) -> str:
    """Where the consolidated ledger of a feature set's folder stands in the store."""
    return f"ledgers/{folder.removeprefix('features/')}{SUFFIX}"


def load_ledger(store: Store, folder: str, keep: bool = False) -> Ledger:
    """What became of every sample of a feature set.

    Args:
        store: The store.
        folder: The feature set's folder.
        keep: Whether the consolidated ledger may be written; it is, where enough files were read or where it is wrong.

    Raises:
        StoreError: The store or a feature file can't be read.
    """
    kept, is_wrong = _consolidated(store, ledger_path(folder))
    names = store.names(folder, SUFFIX)
    ledger = kept.only(set(names))
    covered = set(ledger.files)
    new = [name for name in names if name not in covered]
    if new:
        ledger = ledger.extended(new, _read_rows(store, [f"{folder}/{name}" for name in new]))
    is_wrong |= len(covered) < len(kept.files)
    if keep and (is_wrong or _are_many(new, names)):
        try:
            write_ledger(store, folder, ledger)
        except StoreError as error:
            if is_wrong:  # a wrong one must not outlive the files that are about to be written
                raise
            logger.warning("The ledger could not be written, so planning reads the feature files again: %s", error)
    return ledger


def write_ledger(store: Store, folder: str, ledger: Ledger) -> None:
    """Writes the consolidated ledger of a feature set's folder.

    Raises:
        StoreError: The store can't be written.
    """
    facts = {"version": VERSION, "files": ledger.files, "counts": ledger.counts.tolist()}
    options: dict[str, Any] = {"compression": "zstd", "use_dictionary": ["status", "error"], "write_statistics": False}
    store.write_table(ledger_path(folder), ledger.rows, facts, **options)


def ledger_pieces(store: Store, folder: str, keep: bool = False) -> Iterator[Ledger]:
    """The rows of `load_ledger`, some thousands at a time and without their errors, for who looks at each once.

    Fresh memory for all of them would cost more than reading them. Where something turns out to be damaged, rows that
    came before come again.

    Args:
        store: The store.
        folder: The feature set's folder.
        keep: As of `load_ledger`; where the consolidated ledger is to be written, all rows come at once.

    Raises:
        StoreError: The store or a feature file can't be read.
    """
    path = ledger_path(folder)
    if store.exists(path):
        # what is wrong with it is said by `load_ledger`, which meets the same and rebuilds it
        with contextlib.suppress(StoreError, KeyError, TypeError, ValueError), store.open_table(path) as file:
            files, counts = _covered(file.schema_arrow, file.metadata.num_rows)
            names = store.names(folder, SUFFIX)
            present, known = set(names), set(files)
            new, gone = [name for name in names if name not in known], not known <= present
            if not (keep and (gone or _are_many(new, names))):
                if new:
                    yield _nothing().extended(new, _read_rows(store, [f"{folder}/{name}" for name in new]))
                for piece in _pieces(file, files, counts):
                    yield piece.only(present) if gone else piece
                return
    yield load_ledger(store, folder, keep)


def readers(store: Store) -> int:
    """How many of a store's files are read at once."""
    return min(4, os.cpu_count() or 1) if store.is_local else REMOTE_READERS


def _consolidated(store: Store, path: str) -> tuple[Ledger, bool]:
    """The consolidated ledger, an empty one where there is none, and whether what stands there is unusable."""
    if not store.exists(path):
        return _nothing(), False
    try:
        table = store.read_table(path)
        files, counts = _covered(table.schema, len(table))
        rows = table.select(SCHEMA.names).replace_schema_metadata().cast(SCHEMA)
    except (StoreError, KeyError, TypeError, ValueError) as error:
        logger.warning("The ledger %s can't be used and is rebuilt from the feature files: %s", path, error)
        return _nothing(), True
    return Ledger(files, counts, rows), False


def _nothing() -> Ledger:
    return Ledger((), np.empty(0, dtype=np.int64), SCHEMA.empty_table())


def _covered(schema: pa.Schema, n_rows: int) -> tuple[tuple[str, ...], np.ndarray]:
    """The files that a consolidated ledger covers and the rows of each, (F,) int64."""
    facts = json.loads(schema.metadata[PROVENANCE_KEY])
    if missing := set(SCHEMA.names).difference(schema.names):
        raise ValueError(f"it has no {sorted(missing)}")
    if facts["version"] != VERSION:
        raise ValueError(f"it is of version {facts['version']}, not {VERSION}")
    files, counts = tuple(facts["files"]), np.array(facts["counts"], dtype=np.int64)
    if len(files) != len(counts) or counts.sum() != n_rows:
        raise ValueError("its rows are not those of its files")
    return files, counts


def _pieces(file: pq.ParquetFile, files: tuple[str, ...], counts: np.ndarray) -> Iterator[Ledger]:
    ends, start = np.cumsum(counts), 0
    schema = pa.schema([SCHEMA.field("sample_id"), SCHEMA.field("status")])
    for batch in file.iter_batches(PIECE_ROWS, columns=schema.names, use_threads=False):
        stop = start + len(batch)
        own = slice(np.searchsorted(ends, start, side="right"), np.searchsorted(ends, stop) + 1)
        rows = pa.Table.from_batches([batch]).replace_schema_metadata().cast(schema)
        yield Ledger(files[own], np.diff(np.minimum(ends[own], stop), prepend=start), rows)
        start = stop


def _are_many(new: Sequence[str], names: Sequence[str]) -> bool:
    """Whether it is worth while to consolidate files that are not covered."""
    return len(new) >= max(FEW_FILES, len(names) // 64)


def _read_rows(store: Store, paths: Sequence[str]) -> list[pa.Table]:
    def read(path: str) -> pa.Table:
        return store.read_table(path, columns=SCHEMA.names).replace_schema_metadata().cast(SCHEMA)

    return list(side_by_side(read, paths, threads=readers(store)))
