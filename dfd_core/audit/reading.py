"""From files to evidence: each is read and examined once; what was found is remembered by its content, in a store.

A digest that is known beforehand spares the reading: from a manifest that was just made, or because the file has the
place, size and stamp (a checksum or the time of change) with which it was read before. Only what the bytes say is
remembered; a file that could not be read is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import PIL
import pyarrow as pa
from PIL import Image

from dfd_core.audit.endings import ENDS_EARLY
from dfd_core.audit.gathering import MOST_PIXELS, Evidence
from dfd_core.audit.hashing import WORDS, perceptual_hash, reduced_grey
from dfd_core.manifests.addresses import read_file
from dfd_core.manifests.headers import SCHEMA, Header, read_header, to_table
from dfd_core.manifests.headers_stored import describes_content, remembered_headers
from dfd_core.manifests.places import Places
from dfd_core.manifests.probing import Probe, probe_bytes
from dfd_core.manifests.remembered import Remembered
from dfd_core.manifests.side_by_side import in_batches, threads_for
from dfd_core.manifests.unreadable import made_up_id
from dfd_core.progress import Progress
from dfd_core.statuses import CHANGED, MISSING
from dfd_core.storage import Store

REVISION = 2
"""Grows whenever the same pixels give another hash, or damage is seen otherwise."""
_PIXELS = pa.schema([("sample_id", pa.string()), ("hash", pa.binary(8 * WORDS)), ("damage", pa.string())])


class Reading(NamedTuple):
    """One file: its digest, header, perceptual hash, and why its pixels could not be decoded.

    The header is `None` where the digest was all that had to be found out. `probe` is what a manifest has of the file,
    `None` where it could not be read, or is not the one that was expected.
    """

    sample_id: str
    header: Header | None
    hashed: np.ndarray | None = None
    damage: str | None = None
    probe: Probe | None = None


class _Kept(NamedTuple):
    """What a store remembers of one dataset's files: of contents their headers and pixels, of places their contents."""

    headers: Remembered
    pixels: Remembered
    places: Places


def _kept(store: Store | None, frame: pd.DataFrame) -> dict[str, _Kept]:
    """The memory of each dataset; empty without a store."""
    pixels = [REVISION, PIL.__version__]
    return {} if store is None else {
        name: _Kept(
            remembered_headers(store, name),
            Remembered(store, "pixels", name, _PIXELS, pixels),
            Places(store, name),
        )
        for name in sorted(set(frame["dataset"]))
    }  # fmt: skip


def with_known(frame: pd.DataFrame, store: Store | None) -> pd.DataFrame:
    """A frame with the digests that its files are known to have now.

    Args:
        frame: With `dataset` and `place`.
        store: What was read before, by an audit or for a manifest, is looked for here.

    Returns:
        The frame with a column `known`; `None` where a file has to be read.
    """
    known = np.full(len(frame), None, dtype=object)
    for dataset, kept in _kept(store, frame).items():
        rows = np.flatnonzero(frame["dataset"] == dataset)
        for position, probe in kept.places.known(frame["place"].iloc[rows].tolist()).items():
            known[rows[position]] = probe.sample_id
    return frame.assign(known=known)


def gathered(
    frame: pd.DataFrame, hashed: bool, notes: list[str], store: Store | None = None, progress: Progress | None = None
) -> Evidence:
    """Examines all files of which not enough is known, in threads.

    Args:
        frame: That of `Evidence`, where `sample_id` is the digest that a file must have, if any, and with `known`, the
            digest that it is known to have, and `place`; both may be `None`.
        hashed: Whether images are decoded, too.
        notes: How the files were found.
        store: What was found is remembered here, and used.
        progress: Called with how many files are done, and of how many; may raise to stop.

    Raises:
        StoreError: The store can't be read or written.
    """
    Image.init()
    expected = [one if isinstance(one, str) else None for one in frame["sample_id"]]
    frame = frame.assign(sample_id=pd.Series(expected, index=frame.index, dtype=object))
    found = _Found(frame, hashed, store)
    todo = found.missing()
    urls, wanted = (frame[name].iloc[todo].tolist() for name in ("url", "sample_id"))

    def tell(count: int) -> None:
        if progress is not None:
            progress(len(frame) - len(todo) + count, len(frame))

    tell(0)
    reader = _reader(hashed, found.complete)
    in_batches(reader, urls, wanted, threads=threads_for(urls), keep=found.add, tell=tell)
    return found.evidence(notes)


class _Rows:
    """Facts that are remembered, then those that were read now; `at` says where a remembered digest is."""

    def __init__(self, table: pa.Table) -> None:
        self.parts, self.count = [table], int(table.num_rows)
        self.at = {one: row for row, one in enumerate(table["sample_id"].to_pylist())}

    def append(self, table: pa.Table) -> int:
        """Where it begins."""
        begin = self.count
        self.parts.append(table)
        self.count += int(table.num_rows)
        return begin

    def take(self, places: np.ndarray) -> pa.Table:
        return pa.concat_tables(self.parts).combine_chunks().take(pa.array(places)).combine_chunks()


class _Found:
    """What is known of the files of a frame: where in `headers` and `pixels` the facts of each row are."""

    def __init__(self, frame: pd.DataFrame, hashed: bool, store: Store | None) -> None:
        self.frame, self.hashed, self.kept = frame, hashed, _kept(store, frame)
        self.datasets, self.places = frame["dataset"].to_numpy(), frame["place"].to_numpy()
        kept = self.kept.values()
        self.headers = _Rows(pa.concat_tables([SCHEMA.empty_table(), *(one.headers.rows() for one in kept)]))
        self.pixels = _Rows(pa.concat_tables([_PIXELS.empty_table(), *(one.pixels.rows() for one in kept)]))
        self.complete = self.headers.at.keys() & (self.pixels.at.keys() if hashed else self.headers.at.keys())
        self.header_of, self.pixels_of = np.full((2, len(frame)), -1)
        self.todo = np.zeros(0, np.int64)

    def missing(self) -> np.ndarray:
        """The rows whose files have to be read."""
        pairs = zip(self.frame["known"], self.frame["sample_id"], strict=True)
        for row, (known, wanted) in enumerate(pairs):
            if known in self.complete and wanted in (None, known):
                self._recall(row, known)
        self.todo = np.flatnonzero(self.header_of < 0)
        return self.todo

    def add(self, batch: Sequence[Reading]) -> None:
        """Takes in what was read of the next rows, and remembers it."""
        rows, self.todo = self.todo[: len(batch)], self.todo[len(batch) :]
        new = [(row, one) for row, one in zip(rows.tolist(), batch, strict=True) if one.header is not None]
        ids = [one.sample_id for _, one in new]
        headers = to_table(ids, [one.header for _, one in new if one.header is not None])
        pixels = _pixel_table([one for _, one in new])
        begin, pixels_begin = self.headers.append(headers), self.pixels.append(pixels)
        places = np.array([row for row, _ in new], np.int64)
        self.header_of[places], self.pixels_of[places] = begin + np.arange(len(new)), pixels_begin + np.arange(len(new))
        for row, one in zip(rows.tolist(), batch, strict=True):
            if one.header is None:
                self._recall(row, one.sample_id)
        for name in sorted(self.kept.keys() & set(self.datasets[rows])):
            own = pa.array(self.datasets[places] == name)
            self._remember(self.kept[name], headers.filter(own), pixels.filter(own))
            read = [
                (self.places[row], one.probe)
                for row, one in zip(rows, batch, strict=True)
                if self.datasets[row] == name and one.probe is not None
            ]
            self.kept[name].places.add([place for place, _ in read], [probe for _, probe in read])

    def evidence(self, notes: list[str]) -> Evidence:
        """All of it, a row for each of the frame."""
        headers = self.headers.take(self.header_of)
        frame = self.frame.drop(columns=["known", "place"]).assign(sample_id=headers["sample_id"].to_pylist())
        if not self.hashed:
            return Evidence(frame, headers, notes=notes)
        pixels = self.pixels.take(self.pixels_of)
        bits, damage = pixels["hash"].to_pylist(), pixels["damage"].to_pylist()
        packed = b"".join(one or bytes(8 * WORDS) for one in bits)
        return Evidence(
            frame=frame,
            headers=headers,
            hashes=np.frombuffer(packed, np.uint64).reshape(-1, WORDS),
            has_hash=np.array([one is not None for one in bits], dtype=bool),
            damage={row: why for row, why in enumerate(damage) if why is not None},
            notes=notes,
        )

    def _recall(self, row: int, sample_id: str) -> None:
        self.header_of[row], self.pixels_of[row] = self.headers.at[sample_id], self.pixels.at.get(sample_id, -1)

    def _remember(self, kept: _Kept, headers: pa.Table, pixels: pa.Table) -> None:
        lasts = np.asarray(describes_content(headers), dtype=bool)
        new = np.array([one not in self.headers.at for one in headers["sample_id"].to_pylist()], dtype=bool)
        kept.headers.add(headers.filter(pa.array(lasts & new)))
        if self.hashed:  # that memory did not suffice is no fault of an image
            short = [(why or "").startswith(MemoryError.__name__) for why in pixels["damage"].to_pylist()]
            kept.pixels.add(pixels.filter(pa.array(lasts & ~np.array(short, dtype=bool))))


def _pixel_table(readings: Sequence[Reading]) -> pa.Table:
    bits = [None if one.hashed is None else one.hashed.tobytes() for one in readings]
    columns = [[one.sample_id for one in readings], bits, [one.damage for one in readings]]
    return pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, _PIXELS, strict=True)], schema=_PIXELS
    )


def _reader(hashed: bool, complete: Container[str]) -> Callable[[str, str | None], Reading]:
    def read(url: str, expected: str | None) -> Reading:
        try:
            data = read_file(url)
        except Exception as error:  # clients of buckets have errors of their own
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return Reading(expected or made_up_id(url), Header(MISSING, reason, 0))
        probe = probe_bytes(data)
        digest = probe.sample_id
        if expected not in (None, digest):
            return Reading(
                str(expected), Header(CHANGED, "its bytes have changed since the manifest was built", len(data))
            )
        found = Reading(digest, None) if digest in complete else _examined(data, digest, hashed)
        return found._replace(probe=probe)

    return read


def _examined(data: bytes, digest: str, hashed: bool) -> Reading:
    header = read_header(data)
    if not hashed or header.format is None or (header.width or 0) * (header.height or 0) > MOST_PIXELS:
        return Reading(digest, header)
    try:
        return Reading(digest, header, perceptual_hash(reduced_grey(data, header.format)))
    except Exception as error:  # plugins raise anything on broken bytes
        if str(error) == ENDS_EARLY:
            return Reading(digest, header, None, ENDS_EARLY)
        return Reading(digest, header, None, f"{type(error).__name__}: {error}")
