"""The vectors of a foreign table, batch after batch as float32, each batch checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dfd_core.errors import DatasetError, UsageError
from dfd_core.wording import some

LIST_COLUMNS = ("embedding", "embeddings", "features", "feature", "vectors", "vector", "X")
"""Names that mean the vectors, the first that is there."""
BATCH_BYTES = 2**22
_WIDE = re.compile(r"^(?P<stem>[A-Za-z_]*?)_?(?P<number>\d+)$")


class Vectors(Protocol):
    """N vectors of width D in the order of their rows.

    Attributes:
        place: Their file and, where it has any, column, for messages.
        count: N.
        width: D.
    """

    place: str
    count: int
    width: int

    def batches(self) -> Iterator[np.ndarray]:
        """All of them, (n, D) float32 and finite, a few MB at a time.

        Raises:
            DatasetError: A vector is absent, of another width, or has NaN or infinite numbers.
        """


def checked(place: str, X: np.ndarray, first: int) -> np.ndarray:
    """Vectors of any number type as float32, (n, D).

    Args:
        place: Where they come from.
        X: (n, D).
        first: How many rows stand before these.

    Raises:
        DatasetError: Some are not finite, perhaps only as float32.
    """
    with np.errstate(over="ignore"):
        Y = np.ascontiguousarray(X, dtype=np.float32)
    # a sum is finite where all numbers are, but for sums that overflow; so numbers are looked at only where it is not
    with np.errstate(over="ignore", invalid="ignore"):
        doubtful = np.flatnonzero(~np.isfinite(Y.sum(axis=1)))
    bad = doubtful[~np.isfinite(Y[doubtful]).all(axis=1)]
    if len(bad):
        raise DatasetError(
            f"{place} has NaN or infinite numbers in {row_names(bad + first)}; rows behind {first + len(Y)} were not "
            "looked at. Remove such rows or compute them again."
        )
    return Y


def row_names(rows: np.ndarray) -> str:
    """Rows by their numbers, of which the first is 1: `row 3, row 7 and 5 more`."""
    shown = [f"row {row + 1}" for row in rows[:4].tolist()]
    return some(shown + [""] * (len(rows) - len(shown)))


class ParquetVectors:
    """Vectors in a Parquet file: a column of lists, or a column for each number.

    Args:
        url: The file's address, for messages.
        file: The file.
        column: The column of the vectors, where its name does not show it.
    """

    def __init__(self, url: str, file: pq.ParquetFile, column: str | None) -> None:
        self._file = file
        self.columns = _vector_columns(url, file.schema_arrow, column)
        self.count = int(file.metadata.num_rows)
        self.is_wide = not _is_list(file.schema_arrow.field(self.columns[0]).type)
        names = f"columns {self.columns[0]} to {self.columns[-1]}" if self.is_wide else f"column {self.columns[0]}"
        self.place = f"{url}, {names},"
        self.width = len(self.columns) if self.is_wide else self._list_width()
        if self.count and not self.width:
            raise DatasetError(f"{self.place} has no numbers in row 1. Remove such rows or compute them again.")

    def batches(self) -> Iterator[np.ndarray]:
        """As the protocol says."""
        at, size = 0, max(1, BATCH_BYTES // (4 * self.width))
        for batch in self._file.iter_batches(batch_size=size, columns=self.columns, use_threads=False):
            X = self._wide(batch, at) if self.is_wide else self._listed(batch.column(0), at)
            yield checked(self.place, X, at)
            at += batch.num_rows

    def _list_width(self) -> int:
        kind = self._file.schema_arrow.field(self.columns[0]).type
        if pa.types.is_fixed_size_list(kind):
            return int(kind.list_size)
        for batch in self._file.iter_batches(batch_size=1, columns=self.columns, use_threads=False):
            return len(batch.column(0)[0].as_py() or ())
        return 0

    def _listed(self, column: pa.Array, first: int) -> np.ndarray:
        self._refuse(np.asarray(column.is_null()), first, "no vector")
        if not pa.types.is_fixed_size_list(column.type):
            widths = np.diff(np.asarray(column.offsets))
            self._refuse(
                np.asarray(widths != self.width), first, f"vectors of another width than {self.width}, that of row 1,"
            )
        flat = column.flatten()
        if flat.null_count:
            absent = np.asarray(np.asarray(flat.is_null()).reshape(-1, self.width).any(axis=1))
            self._refuse(absent, first, "vectors with absent numbers")
        return np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(len(column), self.width)

    def _wide(self, batch: pa.RecordBatch, first: int) -> np.ndarray:
        columns = batch.columns
        absent = np.zeros(batch.num_rows, dtype=bool)
        for column in columns:
            if column.null_count:
                absent |= np.asarray(column.is_null())
        self._refuse(absent, first, "vectors with absent numbers")
        X = np.empty((batch.num_rows, self.width), dtype=np.float32)
        for index, name in enumerate(self.columns):
            with np.errstate(over="ignore"):
                X[:, index] = batch.column(batch.schema.get_field_index(name)).to_numpy(zero_copy_only=False)
        return X

    def _refuse(self, wrong: np.ndarray, first: int, what: str) -> None:
        if wrong.any():
            rows = np.flatnonzero(wrong) + first
            raise DatasetError(
                f"{self.place} has {what} in {row_names(rows)}. One backbone gives all images vectors of one width: "
                "remove these rows or compute them again."
            )


def _vector_columns(url: str, schema: pa.Schema, wanted: str | None) -> list[str]:
    """The column of lists that the vectors are, or the columns of their numbers, in their order."""
    listed = [field.name for field in schema if _is_list(field.type)]
    if wanted is not None:
        if wanted not in listed:
            raise UsageError(
                f"{url} has no column {wanted!r} of lists of numbers; it has {', '.join(listed) or 'none'}."
            )
        return [wanted]
    named = [name for name in LIST_COLUMNS if name in listed]
    if named or len(listed) == 1:
        return [(named or listed)[0]]
    if len(listed) > 1:
        raise UsageError(
            f"{url} has several columns of vectors: {', '.join(listed)}. Say which with --embedding COLUMN."
        )
    return _numbered(url, schema)


def _numbered(url: str, schema: pa.Schema) -> list[str]:
    """Columns f0, f1, ... in the order of their numbers."""
    stems: dict[str, dict[int, str]] = {}
    for field in schema:
        match = _WIDE.match(field.name)
        if match and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type)):
            stems.setdefault(match["stem"], {})[int(match["number"])] = field.name
    if not stems:
        raise DatasetError(
            f"{url} has no vectors: neither a column of lists of numbers, such as `embedding`, nor columns f0, f1, ... "
            f"Its columns are {some(schema.names, 12)}."
        )
    stem = max(stems, key=lambda one: len(stems[one]))
    numbers = sorted(stems[stem])
    gaps = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if gaps or numbers[0] > 1:
        lacking = [f"{stem}{number}" for number in gaps or [0]]
        raise DatasetError(f"{url} has columns {stem}{numbers[0]} to {stem}{numbers[-1]} but lacks {some(lacking)}.")
    return [stems[stem][number] for number in numbers]


def _is_list(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)))
