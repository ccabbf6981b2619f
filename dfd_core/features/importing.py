"""Import: vectors that people have already become manifests and feature sets, without extraction.

Everything is checked before anything is written: first what the tables say of their rows, then every vector. The
vectors are read twice for that, a few MB at a time; they are never all in memory.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from dfd_core.backbones import BACKBONES
from dfd_core.errors import DatasetError, UsageError
from dfd_core.features.files import write_feature_file
from dfd_core.features.imported import Imported, ImportedFeatureSet, record_path
from dfd_core.features.importing_rows import codes, known_families, rows_of
from dfd_core.features.importing_samples import (
    Samples,
    augmentations_of,
    check_agreement,
    check_classes,
    feature_sets_of,
    manifests_of,
    samples_of,
)
from dfd_core.features.importing_sources import ImportSource, Opened, digest_of_source, distinct_names, open_source
from dfd_core.features.sets import SUFFIX, shard_name
from dfd_core.manifests import keep
from dfd_core.provenance import provenance
from dfd_core.specs import content_hash, readable_key
from dfd_core.statuses import OK
from dfd_core.storage import Store

REVISION = 1
"""Grows whenever the same files are imported as something else."""
FILE_BYTES = 2**24
"""Vectors in one feature file, about."""
_HELD_BYTES = 2**25


def import_table(store: Store, sources: Sequence[ImportSource], name: str | None = None) -> Imported:
    """Brings tables of vectors into a store, or finds that they are there.

    Args:
        store: Where.
        sources: Files that belong together: one table, or several of one dataset, label or split each.
        name: The import's name; by default the first source's dataset, else the first file's name without its ending.

    Returns:
        The keys of the manifests and the feature sets that were made.

    Raises:
        DatasetError: A file is unreadable, a row is wrong, or no honest number could be made from what there is. The
            message names file, column, the first rows and what to do.
        UsageError: What no file says must be said by an option, which the message names.
        StoreError: The store can't be read or written.
    """
    if not sources:
        raise UsageError("There is no file to import. Name one or more.")
    started = time.monotonic()
    name, names = name or _name(sources), distinct_names(sources)
    files = _files(sources)
    digest = content_hash({"files": files, "revision": REVISION})
    key = readable_key(name, digest)
    before = _kept(store, key)
    if before is not None:
        return before
    opened = [open_source(source) for source in sources]
    rows = known_families(rows_of(opened), opened)
    check_classes(rows)
    samples = samples_of(rows, _checked_vectors(rows, opened))
    check_agreement(rows, samples, opened)
    augmentation = augmentations_of(rows, samples, opened)
    tables = manifests_of(rows, samples, augmentation, names)
    feature_sets = _feature_sets(rows, opened, digest)
    facts = {"imported_files": files, "import": key}
    written = _write_vectors(store, opened, _Plan(rows, samples, feature_sets), facts)
    notes = tuple(note for one in opened for note in one.notes)
    manifests = {one: keep(store, one, digest, table, notes=list(notes), **facts).key for one, table in tables.items()}
    imported = Imported(name=name, key=key, manifests=manifests, feature_sets=feature_sets, files=written, notes=notes)
    seconds = round(time.monotonic() - started, 3)
    record = {"imported": imported.model_dump(mode="json"), "provenance": provenance(**facts, seconds=seconds)}
    store.write_json(imported.path, record)
    return imported


def find_import(store: Store, sources: Sequence[ImportSource], name: str | None = None) -> Imported | None:
    """What `import_table` would find to be in the store already; `None` where it would import.

    Raises:
        DatasetError: A file is missing or unreadable.
    """
    digest = content_hash({"files": _files(sources), "revision": REVISION})
    return _kept(store, readable_key(name or _name(sources), digest))


def _name(sources: Sequence[ImportSource]) -> str:
    return sources[0].dataset or sources[0].name.rsplit(".", 1)[0]


def _files(sources: Sequence[ImportSource]) -> list[dict[str, Any]]:
    """What tells an import from any other: the files' names and bytes, and what was said of them."""
    return [
        {"name": own, **source.said(), "sha256": digest_of_source(source)}
        for own, source in zip(distinct_names(sources), sources, strict=True)
    ]


def _kept(store: Store, key: str) -> Imported | None:
    if not store.exists(record_path(key)):
        return None
    before = Imported.model_validate(store.read_json(record_path(key))["imported"])
    return before if before.is_whole(store) else None


def _checked_vectors(rows: pa.Table, opened: Sequence[Opened]) -> np.ndarray:
    """Reads all vectors once, so that their errors come before anything is written.

    Returns:
        (N,) `S64`, the digest of the vector of each row that has no id in its table.
    """
    digests = np.zeros(len(rows), "S64")
    named = np.asarray(rows["id"].is_valid())
    augmentation, augmentations = codes(rows, "augmentation")
    for start, X in _batches(opened):
        if named[start]:  # a table has ids for all its rows or for none
            continue
        own = augmentation[start : start + len(X)].tolist()
        digests[start : start + len(X)] = [
            hashlib.sha256(f"{augmentations[one]}\n".encode() + x.tobytes()).hexdigest()
            for one, x in zip(own, X, strict=True)
        ]
    return digests


def _batches(opened: Sequence[Opened]) -> Iterator[tuple[int, np.ndarray]]:
    """All vectors, each batch with the number of rows before it."""
    start = 0
    for one in opened:
        end = start + len(one)
        for X in one.vectors.batches():
            yield start, X
            start += len(X)
        if start != end:
            raise DatasetError(f"{one.source.file} has changed while it was read. Import it again.")


def _feature_sets(rows: pa.Table, opened: Sequence[Opened], digest: str) -> tuple[ImportedFeatureSet, ...]:
    """Every dataset x augmentation x backbone, in the order of `feature_sets_of`."""
    file, (backbone, backbones) = np.asarray(rows["file"]), codes(rows, "backbone")
    widths: dict[str, int] = {}
    for pair in np.unique(backbone * len(opened) + file).tolist():
        name, one = backbones[pair // len(opened)], opened[pair % len(opened)]
        width = widths.setdefault(name, one.vectors.width)
        if width != one.vectors.width:
            raise DatasetError(
                f"{one.vectors.place} has vectors of width {one.vectors.width} by {name}, and another file has "
                f"them of width {width}. One backbone gives vectors of one width: name them differently with "
                "--backbone, or import them apart."
            )
        _check_width(name, one)
    return tuple(
        ImportedFeatureSet(
            dataset=d, augmentation=t, backbone=b, dimension=widths[b], digest=content_hash([digest, d, t, b])
        )
        for d, t, b in feature_sets_of(rows)[1]
    )


def _check_width(backbone: str, one: Opened) -> None:
    """Raises where a name that `dfd backbones list` has is given to vectors of another width."""
    for name, card in BACKBONES.items():
        if backbone in (name, card.title) and card.dimension != one.vectors.width:
            raise DatasetError(
                f"{one.vectors.place} has vectors of width {one.vectors.width} by {backbone}, but that backbone gives "
                f"{card.dimension} numbers. Check the file, or call what made them by another name (--backbone)."
            )


@dataclass(frozen=True)
class _Plan:
    """Where each row's vector goes."""

    rows: pa.Table
    samples: Samples
    feature_sets: tuple[ImportedFeatureSet, ...]

    def targets(self) -> tuple[np.ndarray, np.ndarray]:
        """(N,) which feature set each row belongs to, and (N,) whether it is the first of its sample there."""
        number, _ = feature_sets_of(self.rows)
        first = np.zeros(len(number), dtype=bool)
        first[np.unique(self.samples.number * len(self.feature_sets) + number, return_index=True)[1]] = True
        return number, first


@dataclass
class _Held:
    """The vectors of one feature set that wait to be written."""

    ids: list[np.ndarray] = field(default_factory=list)
    parts: list[np.ndarray] = field(default_factory=list)
    size_bytes: int = 0

    def add(self, ids: np.ndarray, X: np.ndarray) -> None:
        self.ids.append(ids)
        self.parts.append(X)
        self.size_bytes += X.nbytes


def _write_vectors(store: Store, opened: Sequence[Opened], plan: _Plan, facts: Mapping[str, Any]) -> dict[str, int]:
    """Writes the feature files; each holds rows of one feature set in the order of the sources.

    Returns:
        How many files each feature set's folder has.
    """
    number, first = plan.targets()
    held: dict[int, _Held] = defaultdict(_Held)
    files: Counter[str] = Counter()

    def write(index: int) -> None:
        one, target = held.pop(index), plan.feature_sets[index]
        ids, X = np.concatenate(one.ids), np.concatenate(one.parts)
        path = f"{target.folder}/{shard_name(target.dataset, ids.tobytes())}{SUFFIX}"
        own = provenance(feature_set=target.model_dump(mode="json"), n=len(ids), failures={}, **facts)
        write_feature_file(store, path, [(each, OK, None) for each in ids.astype("U").tolist()], X, own)
        files[target.folder] += 1

    for start, X in _batches(opened):
        part = slice(start, start + len(X))
        for index in np.unique(number[part][first[part]]).tolist():
            chosen = (number[part] == index) & first[part]
            held[index].add(plan.samples.ids[part][chosen], X[chosen])
            if held[index].size_bytes >= FILE_BYTES:
                write(index)
        while sum(one.size_bytes for one in held.values()) > _HELD_BYTES:
            write(max(held, key=lambda index: held[index].size_bytes))
    for index in sorted(held):
        write(index)
    return dict(files)
