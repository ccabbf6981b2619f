"""The files to audit as rows, found in folders or manifests, and the evidence that checks look at."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dfd_core.audit.findings import GENERATED, REAL, UNKNOWN
from dfd_core.errors import ManifestError, UsageError
from dfd_core.manifests.groups import join_groups, named_groups
from dfd_core.manifests.layouts import detect, parse
from dfd_core.manifests.listing import Files, list_images
from dfd_core.manifests.places import places_of
from dfd_core.specs import is_url
from dfd_core.statuses import OK

MOST_PIXELS = 100_000_000  # as many as extraction decodes by default


@dataclass
class Evidence:
    """All that checks look at.

    Attributes:
        frame: A row per file: `dataset`, `path`, `url`, `label` (-1 unknown), `generator`, `source`, `split` (empty
            where there is none), `group`, `sample_id`.
        headers: A table of `manifests.headers.SCHEMA`, a row per row of the frame.
        hashes: (N, 4) uint64 perceptual hashes; `None` where they were not asked for.
        has_hash: (N,) bool, which files have one.
        damage: Why an image could not be decoded, by the frame's row.
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
        return np.asarray(self.ok & (self.pixels <= MOST_PIXELS), dtype=bool)

    @property
    def pixels(self) -> np.ndarray:
        """(N,) int64, width times height, 0 where the header is not readable."""
        width, height = (np.asarray(pc.fill_null(self.headers[name], 0), np.int64) for name in ("width", "height"))
        return np.asarray(width * height)


def from_folders(urls: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """The files of folders, each a dataset; a folder whose subfolders are datasets is several.

    Returns:
        The frame of `Evidence` without `group` and `sample_id`, but with `place` as of `places_of`, and `given`, the
        folder's index; and notes.

    Raises:
        ManifestError: A folder is not there or has no image.
    """
    parts: list[pd.DataFrame] = []
    notes: list[str] = []
    for given, url in enumerate(urls):
        images, more = list_images(url)
        notes += more
        parts += (part.assign(given=given) for part in _datasets(url, images, notes))
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


def check_once(frame: pd.DataFrame, places: Sequence[str]) -> None:
    """Raises where files would count twice: those of folders, or of datasets of one name, that two places have.

    Manifests of other names may share files, since datasets may share reals: that is a finding.

    Args:
        frame: With `dataset`, `url` and `given`, the index of the place that says so.
        places: Folders and manifests.

    Raises:
        UsageError: With two such places.
    """
    if len(places) < 2:
        return
    rows = frame[["dataset", "given"]].assign(at=_resolved(frame["url"]))
    folders = [given for given, place in enumerate(places) if not place.endswith(".parquet")]
    for some, key in ((rows[rows["given"].isin(folders)], ["at"]), (rows, ["dataset", "at"])):
        each = some.drop_duplicates([*key, "given"])
        twice = each[each.duplicated(key, keep=False)]
        if len(twice):
            given_by = twice.groupby(key, sort=False)["given"].agg(tuple)
            one, other = given_by.iloc[0][:2]
            n = sum(one in those and other in those for those in given_by)
            raise UsageError(
                f"{n} files are in both {places[one]} and {places[other]}, first {twice['at'].iloc[0]}, and would "
                "count twice. Leave one of the two out."
            )


def _resolved(urls: Iterable[str]) -> list[str]:
    """The addresses with the links in folders' names followed."""
    folders: dict[str, str] = {}
    found = []
    for url in urls:
        folder, _, name = url.rpartition("/")
        if folder not in folders:
            folders[folder] = folder if is_url(url) else os.path.realpath(folder)
        found.append(f"{folders[folder]}/{name}")
    return found


def located(frame: pd.DataFrame) -> dict[str, Files]:
    """The files of each dataset of a manifest, in the order of its rows, with what their places say of them now.

    Where a place is out of reach all that is known is their addresses: reading them will say so.
    """
    found = {}
    for dataset, rows in frame.groupby("dataset").indices.items():
        files = Files(frame["path"].iloc[rows].tolist(), frame["url"].iloc[rows].tolist())
        try:
            files.locate()
        except ManifestError:
            files.sizes, files.stamps = [0] * len(rows), [""] * len(rows)
        found[str(dataset)] = files
    return found


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
    objects = {"source": sources, "place": places_of(files)}
    return pd.DataFrame(
        columns | {"generator": generators} | {key: pd.Series(one, dtype=object) for key, one in objects.items()}
    )
