"""The vectors of a feature file, taken from its pages as they are.

Arrow's reader rebuilds lists from two levels per number, which takes several times as long as reading the numbers. Our
vectors are plain float32 in uncompressed pages, those of rows that have one, one after the other. So the pages are
found by their headers (https://parquet.apache.org/docs/file-format/data-pages/) and their numbers are used in place.
Whatever looks otherwise is left to Arrow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_PLAIN, _DATA_PAGE = 0, 0
_BOOLEANS, _INTEGERS, _DOUBLE, _BINARY, _STRUCT = (1, 2), (4, 5, 6), 7, 8, 12


def read_width(data: pa.Buffer, column: str) -> int:
    """The width D of a Parquet file's column of fixed-size lists."""
    with pq.ParquetFile(pa.BufferReader(data), pre_buffer=False) as file:
        return _width(file, column)


def read_vectors(data: pa.Buffer, column: str, ok: np.ndarray) -> np.ndarray:
    """Vectors of a fixed-size list column, (K, D) float32, of the K rows that have one.

    Args:
        data: The whole Parquet file.
        column: The column's name.
        ok: (N,) bool, the rows that have a vector; the others are null.

    Raises:
        ValueError: The file has not N rows.
        pyarrow.ArrowInvalid: It is not a readable Parquet file.
    """
    with pq.ParquetFile(pa.BufferReader(data), pre_buffer=False) as file:
        if file.metadata.num_rows != len(ok):
            raise ValueError(f"it has {file.metadata.num_rows} rows, not {len(ok)}")
        width = _width(file, column)
        try:
            pages = list(_plain_pages(data, file.metadata, column))
        except (ValueError, IndexError, KeyError, struct.error):
            pages = []
        if sum(map(len, pages)) == int(ok.sum()) * width:
            flat: np.ndarray = pages[0] if len(pages) == 1 else np.concatenate([np.empty(0, np.float32), *pages])
            return flat.reshape(-1, width)
        dense: np.ndarray = _dense(file.read(columns=[column], use_threads=False)[column])[ok]
        return dense


def _width(file: pq.ParquetFile, column: str) -> int:
    return int(file.schema_arrow.field(column).type.list_size)


def _plain_pages(data: pa.Buffer, metadata: pq.FileMetaData, column: str) -> Iterator[np.ndarray]:
    """The numbers of each page of a column, without copying.

    Raises:
        ValueError: They are not plain float32 in uncompressed pages; and whatever reading nonsense raises.
    """
    view = memoryview(data).cast("B")
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        chunks = {row_group.column(index).path_in_schema: index for index in range(row_group.num_columns)}
        chunk = row_group.column(chunks[f"{column}.list.element"])
        if (chunk.compression, chunk.physical_type, chunk.has_dictionary_page) != ("UNCOMPRESSED", "FLOAT", False):
            raise ValueError("these pages have to be decoded")
        at = chunk.data_page_offset
        end = at + chunk.total_compressed_size
        while at < end:
            header, body = _read_struct(view, at)
            if header[1] != _DATA_PAGE or header[5][2] != _PLAIN:
                raise ValueError("these pages have to be decoded")
            at = body + header[3]
            for _ in ("repetition levels", "definition levels"):
                body += 4 + struct.unpack_from("<i", view, body)[0]
            yield np.frombuffer(view[body:at], "<f4")


def _read_struct(view: memoryview, at: int) -> tuple[dict[int, Any], int]:
    """A struct in Thrift's compact protocol, by the numbers of its fields, and where it ends."""
    fields: dict[int, Any] = {}
    number = 0
    while view[at]:
        step, kind = view[at] >> 4, view[at] & 15
        at += 1
        if step:
            number += step
        else:
            number, at = _integer(view, at)
        if kind in _BOOLEANS:
            fields[number] = kind == _BOOLEANS[0]
        elif kind in _INTEGERS:
            fields[number], at = _integer(view, at)
        elif kind == _DOUBLE:
            at += 8
        elif kind == _BINARY:
            length, at = _varint(view, at)
            at += length
        elif kind == _STRUCT:
            fields[number], at = _read_struct(view, at)
        else:
            raise ValueError(f"type {kind} is in no page header")
    return fields, at + 1


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (view[at] & 0x7F) << shift
        shift += 7
        at += 1
        if view[at - 1] < 0x80:
            return value, at


def _integer(view: memoryview, at: int) -> tuple[int, int]:
    value, at = _varint(view, at)
    return (value >> 1) ^ -(value & 1), at


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
