"""Sample ids in bulk: fixed-width bytes that are sorted and looked up without a Python object for each.

Ids are compared by their first eight bytes, as one integer, and in full only where these agree: digests rarely do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

_PREFIX = 8


def fixed_width(ids: pa.ChunkedArray | pa.Array | np.ndarray | Sequence[str]) -> np.ndarray:
    """Ids as (N,) UTF-8 bytes of one width, of numpy's type `S`.

    Ids of one length, as digests are, come straight from Arrow's buffers, others through Python.
    """
    if isinstance(ids, pa.ChunkedArray | pa.Array):
        chunks = ids.chunks if isinstance(ids, pa.ChunkedArray) else [ids]
        parts = [_of_chunk(chunk) for chunk in chunks if len(chunk)]
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, "S1"), *parts])
    array = np.asarray(ids) if isinstance(ids, np.ndarray) else np.array(ids, dtype=object)
    if array.dtype.kind == "S":
        return array
    try:
        return array.astype("S")
    except UnicodeEncodeError:
        return np.array([str(one).encode() for one in array.tolist()])


def as_text(ids: np.ndarray) -> np.ndarray:
    """Ids (N,) of type `S` as text."""
    try:
        return ids.astype("U")
    except UnicodeDecodeError:
        return np.array([one.decode() for one in ids.tolist()])


def sorted_order(ids: np.ndarray) -> np.ndarray:
    """Indices (N,) that sort ids (N,) of type `S` by their bytes."""
    return _sorted(ids)[0]


def best_of_each(ids: np.ndarray, rank: np.ndarray | None = None) -> np.ndarray:
    """Of every distinct id the index whose rank is lowest, in the order of the ids.

    Args:
        ids: (N,) of type `S`.
        rank: (N,) numbers; by default an id's first occurrence is the best.
    """
    order, prefix = _sorted(ids)
    same = _equal_to_next(ids, order, prefix)
    if not same.any():
        return order
    group = np.concatenate([[0], np.cumsum(~same)])
    repeated = _with_a_neighbour(same)
    some = order[repeated]
    order[repeated] = some[np.lexsort((some if rank is None else rank[some], group[repeated]))]
    best: np.ndarray = order[np.concatenate([[True], ~same])]
    return best


class IdIndex:
    """Finds ids among many.

    Args:
        ids: (N,) of type `S`.
    """

    def __init__(self, ids: np.ndarray) -> None:
        self.ids = ids
        self.order, self.prefix = _sorted(ids)

    @property
    def is_unique(self) -> bool:
        """Whether no id occurs twice."""
        return not _equal_to_next(self.ids, self.order, self.prefix).any()

    def find(self, ids: np.ndarray) -> np.ndarray:
        """Where each of M ids stands, (M,) int64; -1 where it does not, any of its places where it occurs twice."""
        found = np.full(len(ids), -1, dtype=np.int64)
        if not len(self.ids) or not len(ids):
            return found
        prefix = _prefix(ids)
        asked = np.argsort(prefix)  # neighbours are then looked up in memory that is at hand
        prefix = prefix[asked]
        places = np.minimum(np.searchsorted(self.prefix, prefix), len(self.ids) - 1)
        near = self.prefix[places] == prefix
        asked, rows = asked[near], self.order[places[near]]
        equal = self.ids[rows] == ids[asked]
        found[asked[equal]] = rows[equal]
        rest = asked[~equal]
        if len(rest):
            places = np.minimum(np.searchsorted(self.ids, ids[rest], sorter=self.order), len(self.ids) - 1)
            rows = self.order[places]
            equal = self.ids[rows] == ids[rest]
            found[rest[equal]] = rows[equal]
        return found

    def find_runs(self, ids: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """What `find` says, sooner where ids follow each other here as they do in the index.

        The first of each run is looked up, the others are expected behind it, and what is not there is looked up too.

        Args:
            ids: (M,) of type `S`.
            starts: (R,) where runs begin, ascending from 0.
        """
        first = self.find(ids[starts])
        lengths = np.diff(starts, append=len(ids))
        expected = np.repeat(first - starts, lengths) + np.arange(len(ids))
        expected[np.repeat(first < 0, lengths) | (expected >= len(self.ids))] = 0
        wrong = np.flatnonzero(self.ids[expected] != ids) if len(self.ids) else np.arange(len(ids))
        expected[wrong] = self.find(ids[wrong])
        return expected


def _of_chunk(chunk: pa.Array) -> np.ndarray:
    offset_type = np.int64 if pa.types.is_large_string(chunk.type) else np.int32
    _, offsets, data = chunk.buffers()
    ends = np.frombuffer(offsets, offset_type)[chunk.offset : chunk.offset + len(chunk) + 1]
    widths = np.diff(ends)
    width = int(widths[0])
    if width and not chunk.null_count and (widths == width).all():
        return np.frombuffer(data, f"S{width}", count=len(chunk), offset=int(ends[0]))
    return np.array([one.encode() for one in chunk.to_pylist()])


def _prefix(ids: np.ndarray) -> np.ndarray:
    """The first bytes of each id as an integer that sorts like them, (N,) uint64."""
    wide = np.ascontiguousarray(ids if ids.itemsize >= _PREFIX else ids.astype(f"S{_PREFIX}"))
    head = wide.view(np.uint8).reshape(len(ids), wide.itemsize)[:, :_PREFIX]
    return np.ascontiguousarray(head).view(">u8").reshape(len(ids)).astype(np.uint64)


def _sorted(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices (N,) that sort ids (N,) by their bytes, and their prefixes (N,) in this order."""
    prefix = _prefix(ids)
    order = np.argsort(prefix)
    prefix = prefix[order]
    tied = _with_a_neighbour(prefix[1:] == prefix[:-1])
    if tied.any():
        # runs that share a prefix hold their places among the others, so all of them are sorted in full at once
        some = order[tied]
        order[tied] = some[np.argsort(ids[some], kind="stable")]
    return order, prefix


def _equal_to_next(ids: np.ndarray, order: np.ndarray, prefix: np.ndarray) -> np.ndarray:
    """Whether each but the last of ids, sorted by `order`, equals the one behind it, (N - 1,)."""
    same = prefix[1:] == prefix[:-1]
    near = np.flatnonzero(same)
    same[near] = ids[order[near]] == ids[order[near + 1]]
    return np.asarray(same)


def _with_a_neighbour(same: np.ndarray) -> np.ndarray:
    """(N,) bool, whether a place is equal to the one before or behind it, from (N - 1,) `same`."""
    if not len(same):
        return np.zeros(0, dtype=bool)  # nothing, or one alone
    mask = np.zeros(len(same) + 1, dtype=bool)
    mask[:-1] = same
    mask[1:] |= same
    return mask
