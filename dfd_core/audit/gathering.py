"""The files to audit as rows: found in folders or manifests, read once each, whatever is wrong with them."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from dfd_core.audit.findings import GENERATED, REAL, UNKNOWN
from dfd_core.audit.hashing import perceptual_hash, reduced_grey
from dfd_core.datasets.cards import Progress
from dfd_core.errors import ManifestError
from dfd_core.manifests.groups import join_groups, named_groups
from dfd_core.manifests.headers import CHANGED, MISSING, OK, Header, read_header, to_table
from dfd_core.manifests.headers_stored import read_file
from dfd_core.manifests.layouts import detect, parse
from dfd_core.manifests.listing import Files, is_image, list_folder
from dfd_core.manifests.schema import some
from dfd_core.specs import is_url

_REMOTE_THREADS, _AT_ONCE = 32, 1000
_MOST_PIXELS = 100_000_000  # as many as extraction decodes by default


@dataclass
class Evidence:
    """All that checks look at.

    Attributes:
        frame: A row per file: `dataset`, `path`, `url`, `label` (-1 unknown), `generator`, `source`, `split` (empty
            where there is none), `group`, `sample_id`.
        headers: A table of `manifests.headers.SCHEMA`, a row per row of the frame.
        hashes: (N, 4) uint64 perceptual hashes; `None` where they were not asked for.
        has_hash: (N,) bool, which files have one.
        damage: Why a picture could not be decoded, by the frame's row.
        notes: What a person should know of how the files were found.
    """

    frame: pd.DataFrame
    headers: pa.Table
    hashes: np.ndarray | None = None
    has_hash: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    damage: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> np.ndarray:
        """(N,) bool, which files have a readable header."""
        return np.asarray(pc.equal(self.headers["status"], OK), dtype=bool)

    @property
    def decoded(self) -> np.ndarray:
        """(N,) bool, of which files the pixels were looked at, whether they could be decoded or not."""
        if self.hashes is None:
            return np.zeros(len(self.frame), dtype=bool)
        width, height = (np.asarray(pc.fill_null(self.headers[name], 0), np.int64) for name in ("width", "height"))
        return np.asarray(self.ok & (width * height <= _MOST_PIXELS), dtype=bool)


class Reading(NamedTuple):
    """One file: its digest, header, perceptual hash, and why its pixels could not be decoded."""

    sample_id: str
    header: Header
    hashed: np.ndarray | None
    damage: str | None


def from_folders(urls: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """The files of folders, each a dataset; a folder whose subfolders are datasets is several.

    Returns:
        The frame of `Evidence` without `group` and `sample_id`, and notes.

    Raises:
        ManifestError: A folder is not there or has no image.
    """
    parts: list[pd.DataFrame] = []
    notes: list[str] = []
    for url in urls:
        files = list_folder(url)
        keep = [is_image(path) for path in files.paths]
        images = files.select(keep)
        if not len(images):
            raise ManifestError(f"There is no image in the folder {url}; it has {len(files)} other files.")
        if len(images) < len(files):
            others = [path for path, kept in zip(files.paths, keep, strict=True) if not kept]
            notes.append(f"{len(others)} files in {url} are hidden or no images by their extension: {some(others)}")
        parts += _datasets(url, images, notes)
    frame = pd.concat(parts, ignore_index=True)
    twice = frame.groupby("dataset")["base"].nunique()
    for name in twice[twice > 1].index:  # folders of one name: told apart by their places
        frame.loc[frame["dataset"] == name, "dataset"] = frame.loc[frame["dataset"] == name, "base"]
    return frame.drop(columns="base"), notes


def from_manifest(table: pa.Table) -> pd.DataFrame:
    """The rows of a manifest as the frame of `Evidence`."""
    names = ("dataset", "path", "url", "label", "generator", "source", "split", "group", "sample_id")
    frame: pd.DataFrame = table.select(list(names)).to_pandas()
    return frame


def read_all(
    frame: pd.DataFrame, hashed: bool, expected: Sequence[str | None] | None = None, progress: Progress | None = None
) -> list[Reading]:
    """Reads every file once, in threads.

    Args:
        frame: With a column `url`.
        hashed: Whether pictures are decoded, too.
        expected: The digests that the files are to have.
        progress: Told how many are done, and of how many.
    """
    Image.init()
    urls = frame["url"].tolist()
    threads = _REMOTE_THREADS if any(map(is_url, urls)) else 2 * (os.cpu_count() or 1)
    found: list[Reading] = []
    digests = expected or [None] * len(urls)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(urls), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            found += pool.map(_reader(hashed), urls[part], digests[part])
            if progress is not None:
                progress(len(found), len(urls))
    return found


def gathered(frame: pd.DataFrame, readings: Sequence[Reading], notes: list[str], hashed: bool) -> Evidence:
    """Frame and readings as evidence."""
    ids = [reading.sample_id for reading in readings]
    has_hash = np.array([reading.hashed is not None for reading in readings], dtype=bool)
    none = np.zeros(4, np.uint64)
    return Evidence(
        frame=frame.assign(sample_id=ids),
        headers=to_table(ids, [reading.header for reading in readings]),
        hashes=np.array([r.hashed if r.hashed is not None else none for r in readings], np.uint64) if hashed else None,
        has_hash=has_hash,
        damage={i: reading.damage for i, reading in enumerate(readings) if reading.damage is not None},
        notes=notes,
    )


def with_groups(evidence: Evidence, pattern: str | None) -> Evidence:
    """Evidence whose frame has groups: by a pattern in the paths, and joined where files have the same bytes.

    Raises:
        ManifestError: The pattern finds nothing in any dataset.
    """
    frame, ok = evidence.frame, evidence.ok
    groups = np.full(len(frame), "", dtype=object)
    misses: list[ManifestError] = []
    datasets = frame.groupby("dataset").indices
    for places in datasets.values():
        paths = frame["path"].iloc[places].tolist()
        named: list[str | None] = [None] * len(paths)
        if pattern is not None:
            try:
                named = named_groups(paths, pattern)
            except ManifestError as error:
                misses.append(error)
        ids = frame["sample_id"].iloc[places].tolist()
        groups[places] = join_groups(named, ids, paths, ok[places].tolist())
    if misses and len(misses) == len(datasets):
        raise misses[0]
    evidence.frame = frame.assign(group=groups)
    return evidence


def _datasets(url: str, images: Files, notes: list[str]) -> list[pd.DataFrame]:
    name = url.rstrip("/").rsplit("/", 1)[-1] or url
    try:
        return [_labelled(name, url, images, images.paths)]
    except ManifestError as error:
        reason = str(error).split("\n", 1)[0]
    tops = [path.split("/", 1)[0] if "/" in path else "" for path in images.paths]
    parts = []
    for top in sorted(set(tops)):
        some_files = images.select([one == top for one in tops])
        below = [path.removeprefix(f"{top}/") for path in some_files.paths]
        try:
            parts.append(_labelled(top or name, f"{url}/{top}", some_files, below))
        except ManifestError:
            break
    else:
        return parts
    notes.append(f"{reason} So nothing says which of its files are real, and labels play no part in its audit.")
    return [_rows(name, url, images, images.paths, [(UNKNOWN, "", None)] * len(images))]


def _labelled(name: str, url: str, files: Files, paths: list[str]) -> pd.DataFrame:
    folders = [path.rpartition("/")[0] for path in paths]
    layout = detect(url, dict(zip(reversed(folders), reversed(paths), strict=True)), Counter(folders))
    said: dict[str, tuple[int, str, str | None]] = {}
    for folder in set(folders):
        place = parse(layout, folder)
        assert place is not None  # detect() saw to it
        if place.label == REAL:
            said[folder] = (REAL, "real", place.collection or name)
        else:
            said[folder] = (GENERATED, place.collection or "unknown", None)
    return _rows(name, url, files, paths, [said[folder] for folder in folders])


def _rows(
    name: str, base: str, files: Files, paths: list[str], said: Sequence[tuple[int, str, str | None]]
) -> pd.DataFrame:
    labels, generators, sources = zip(*said, strict=True)
    columns = {"dataset": name, "base": base, "path": paths, "url": files.urls, "label": labels, "split": ""}
    return pd.DataFrame(columns | {"generator": generators, "source": pd.Series(sources, dtype=object)})


def _reader(hashed: bool) -> Callable[[str, str | None], Reading]:
    def read(url: str, expected: str | None) -> Reading:
        try:
            data = read_file(url)
        except Exception as error:  # clients of buckets have errors of their own
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            made_up = expected or hashlib.sha256(f"unreadable {url}".encode()).hexdigest()
            return Reading(made_up, Header(MISSING, reason, 0), None, None)
        digest = hashlib.sha256(data).hexdigest()
        if expected not in (None, digest):
            changed = Header(CHANGED, "its bytes are others than when the manifest was made", len(data))
            return Reading(str(expected), changed, None, None)
        header = read_header(data)
        if not hashed or header.format is None or (header.width or 0) * (header.height or 0) > _MOST_PIXELS:
            return Reading(digest, header, None, None)
        try:
            return Reading(digest, header, perceptual_hash(reduced_grey(data, header.format)), None)
        except Exception as error:  # plugins raise anything on broken bytes
            return Reading(digest, header, None, f"{type(error).__name__}: {error}")

    return read
