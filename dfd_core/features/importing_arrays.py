"""Arrays and tensors of vectors. Nothing is unpickled: numpy without pickle, torch with its weights-only loader."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from dfd_core.errors import DatasetError, UsageError
from dfd_core.features.importing_vectors import BATCH_BYTES, checked

_KEYS = {
    "sample_id": ("sample_ids", "ids", "id", "paths", "path"),
    "dataset": ("datasets",),
    "split": ("splits",),
    "generator": ("generators",),
    "family": ("families",),
    "label": ("labels", "y"),
    "backbone": ("backbones",),
    "augmentation": ("augmentations", "transform", "transforms"),
    "group": ("groups",),
    "source": ("sources",),
    "category": ("categories",),
}
"""Names that keys of dictionaries have for the columns of a table, beside the columns' own."""


class ArrayVectors:
    """Vectors in memory, or in a file that is mapped into it.

    Args:
        url: The file's address, for messages.
        X: (N, D) numpy array or torch tensor of numbers.

    Raises:
        DatasetError: X has another shape or holds no real numbers.
    """

    def __init__(self, url: str, X: Any) -> None:
        shape = tuple(X.shape)
        if len(shape) != 2 or 0 in shape[1:]:
            raise DatasetError(f"{url} has vectors of shape {shape}. It must be (N, D): N rows of D numbers each.")
        if isinstance(X, np.ndarray) and X.dtype.kind not in "fiu":
            raise DatasetError(f"{url} has vectors of type {X.dtype}, which are not real numbers.")
        self.place, self._X = f"{url}, row by row,", X
        self.count, self.width = shape

    def batches(self) -> Iterator[np.ndarray]:
        """As the protocol says."""
        size = max(1, BATCH_BYTES // (4 * self.width))
        for start in range(0, self.count, size):
            part = self._X[start : start + size]
            yield checked(self.place, part if isinstance(part, np.ndarray) else part.float().numpy(), start)


def read_arrays(
    fs: Any, location: str, ending: str, names: str | Sequence[str]
) -> tuple[Any, dict[str, pa.Array], list[str]]:
    """Reads an array, or a dictionary of arrays.

    Args:
        fs: The file's file system.
        location: Its place there.
        ending: `.npy`, `.npz`, `.pt` or `.pth`.
        names: The key of the vectors, or several of which the first that is there counts.

    Returns:
        The vectors (N, D), what is said of their rows by the names of columns, and the keys that mean nothing here.

    Raises:
        DatasetError: A value has another length than the vectors, or is of a kind that would have to be unpickled.
        UsageError: The vectors' key is not there.
    """
    values = _read_numpy(fs, location) if ending in (".npy", ".npz") else _read_torch(fs, location)
    if not isinstance(values, Mapping):
        return values, {}, []
    wanted = [names] if isinstance(names, str) else list(names)
    key = next((name for name in wanted if name in values), None)
    if key is None:
        raise UsageError(
            f"{location} has none of the keys {', '.join(wanted)}. Its keys are {', '.join(map(str, values))}; say "
            "which are the vectors with --embedding KEY."
        )
    X = _as_array(location, key, values[key])
    columns: dict[str, pa.Array] = {}
    known = {alias: column for column, aliases in _KEYS.items() for alias in (column, *aliases)}
    unused = [str(name) for name in values if name != key and name not in known]
    for name, column in known.items():
        if name not in values or name == key:
            continue
        if column in columns:
            raise DatasetError(f"{location} has two keys for {column}, one of them {name!r}. Remove one.")
        columns[column] = _column(location, name, values[name], len(X))
    return X, columns, unused


def _read_numpy(fs: Any, location: str) -> Any:
    local = isinstance(fs, LocalFileSystem)
    source = location if local else io.BytesIO(fs.cat_file(location))
    mapped = local and location.lower().endswith(".npy")
    try:
        read = np.load(source, mmap_mode="r" if mapped else None, allow_pickle=False)
        return dict(read) if isinstance(read, np.lib.npyio.NpzFile) else read
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise DatasetError(
            f"{location} is not an array, or holds Python objects, which would have to be unpickled, and a pickle can "
            "run any code. Save numbers as arrays of numbers and names as arrays of text (dtype 'U')."
        ) from error


def _read_torch(fs: Any, location: str) -> Any:
    import torch

    local = isinstance(fs, LocalFileSystem)
    source: Any = location if local else io.BytesIO(fs.cat_file(location))
    try:
        mapped = local and zipfile.is_zipfile(location)
        return torch.load(source, map_location="cpu", weights_only=True, mmap=mapped or None)
    except (pickle.UnpicklingError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DatasetError(
            f"{location} can't be read with torch's weights-only loader ({reason}). It may hold tensors, lists, "
            "dictionaries, text and numbers; save it again without other objects."
        ) from error


def _as_array(location: str, key: str, value: Any) -> Any:
    if hasattr(value, "shape"):
        return value
    raise DatasetError(f"The key {key!r} of {location} holds a {type(value).__name__}, not an array of shape (N, D).")


def _column(location: str, key: str, value: Any, count: int) -> pa.Array:
    try:
        if isinstance(value, str | bytes):
            raise ValueError("one text for all rows")
        array = np.asarray(value)
        if array.shape != (count,):
            raise ValueError(f"shape {array.shape}")
        return pa.array(array.tolist() if array.dtype.kind in "SO" else array)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise DatasetError(
            f"The key {key!r} of {location} must have one value for each of {count} vectors, and has {error}."
        ) from error
