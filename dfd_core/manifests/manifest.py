"""A manifest in a store: made once, read afterwards, noticed when its dataset changes."""

from __future__ import annotations

import datetime
import functools
import hashlib
import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from dfd_core.datasets.acquire import acquire, locate
from dfd_core.datasets.sources import CatalogueSource, FolderSource, TableSource
from dfd_core.manifests.building import assemble, draft_dataset, log_notes
from dfd_core.manifests.drafts import Draft, unused_families
from dfd_core.manifests.listing import Files
from dfd_core.manifests.places import Places, places_of
from dfd_core.manifests.probing import Probe, probe
from dfd_core.manifests.schema import AUGMENTATION, IMPORTED, SPLITS, completed, validate
from dfd_core.manifests.splits import SplitSpec
from dfd_core.progress import Progress
from dfd_core.provenance import provenance
from dfd_core.specs import content_hash, readable_key
from dfd_core.storage import Store

REVISION = 2
"""Grows whenever the same files give other rows."""
FOLDER = "manifests"
_TIMES = f"{FOLDER}/times"
_DIGESTED = ["sample_id", "label", "generator", "family", "source", "category", "split", "group"]
_DIGESTED_AT_ONCE = 2**16


class Manifest:
    """A reference to a manifest in a store; small until its rows are asked for.

    Args:
        store: Where it is.
        name: The dataset's name.
        key: Its file's name without the ending.
    """

    def __init__(self, store: Store, name: str, key: str) -> None:
        self.store, self.name, self.key = store, name, key
        self.path = f"{FOLDER}/{key}.parquet"

    def __repr__(self) -> str:
        return f"Manifest({self.store.url(self.path)!r})"

    def __reduce__(self) -> tuple[type[Manifest], tuple[Store, str, str]]:
        return type(self), (self.store, self.name, self.key)

    @functools.cached_property
    def table(self) -> pa.Table:
        """The rows, with the columns of `SCHEMA`, sorted by path."""
        return completed(self.store.read_table(self.path))

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """The rows as a pandas frame."""
        frame: pd.DataFrame = self.table.to_pandas(types_mapper={pa.int32(): pd.Int32Dtype()}.get)
        return frame

    @functools.cached_property
    def provenance(self) -> dict[str, Any]:
        """How it was made."""
        return self.store.read_provenance(self.path)

    @property
    def digest(self) -> str:
        """SHA-256 of what matters for training and testing; where the files are does not."""
        return str(self.provenance["digest"])

    @property
    def notes(self) -> list[str]:
        """What a person should know: files left out, columns not used."""
        return list(self.provenance["notes"])

    def counts(self) -> dict[str, int]:
        """How many samples there are in all, by label and by split, and how many are odd."""
        return dict(self.provenance["counts"])

    def summary(self) -> list[dict[str, Any]]:
        """A row for each generator and each source of reals, for a table that people read.

        The columns are dataset, generator, family, label, source, one per split, n, n_duplicates (rows with the bytes
        of an earlier one) and n_unreadable (rows without a readable header).
        """
        frame = _marked(self.frame)
        rows: list[dict[str, Any]] = []
        for _, part in frame.groupby(["dataset", "label", "generator", "source"], dropna=False, sort=True):
            first = part.iloc[0]
            rows.append(
                {
                    **{name: first[name] for name in ("dataset", "generator", "family")},
                    "label": int(first["label"]),
                    "source": first["source"] if first["label"] == 0 else None,
                    **{split: int((part["split"] == split).sum()) for split in SPLITS},
                    "n": len(part),
                    "n_duplicates": int(part["duplicate"].sum()),
                    "n_unreadable": int(part["unreadable"].sum()),
                }
            )
        return rows


def prepare(
    source: CatalogueSource | FolderSource | TableSource,
    split: SplitSpec,
    store: Store,
    progress: Progress | None = None,
) -> Manifest:
    """Acquires a dataset and makes its manifest, or finds the one that exists.

    The manifest's key comes from the source, the split and a fingerprint of the files' names, sizes and times of change
    (or checksums, where the file system has them), so the same again reads what exists and a changed folder is noticed.
    Files whose size and time of change are those of an earlier run are not read again.

    Args:
        source: The dataset as a configuration names it.
        split: How samples are split, where the source does not say.
        store: Where datasets and manifests are kept.
        progress: Called with how many files are done, and of how many, while acquiring and while reading.

    Raises:
        DatasetError: The dataset can't be acquired.
        ManifestError: Something is missing, unreadable or contradicts itself.
        StoreError: The store can't be read or written.
    """
    started = time.monotonic()
    manifest, draft = _look_up(acquire(source, store, progress), split, store)
    if store.exists(manifest.path):
        _note_time(manifest)
        return manifest
    if not isinstance(source, CatalogueSource):
        draft.notes += unused_families(draft.generators, source.families)
    log_notes(source.name, draft.notes)
    probes, n_read = _probed(Places(store, source.name), draft.files, progress)
    table = assemble(source.name, draft, probes, split)
    facts = {
        "source": source.model_dump(mode="json"),
        "split": split.model_dump(mode="json"),
        "seed": split.seed,
        "digest": digest_of(table),
        "counts": _counts(table),
        "notes": draft.notes,
        "files_read": n_read,
    }
    store.write_table(manifest.path, table, provenance(**facts, seconds=round(time.monotonic() - started, 3)))
    _note_time(manifest)
    return manifest


def keep(store: Store, name: str, content: str, table: pa.Table, **facts: Any) -> Manifest:
    """Writes a manifest that was not made from files, or finds the one that exists.

    Args:
        store: Where.
        name: The dataset's name.
        content: 12 hexadecimal digits that change with the rows.
        table: The rows, in any order.
        facts: Kept in its provenance; `notes` among them.

    Raises:
        ManifestError: The table is no manifest.
    """
    manifest = Manifest(store, name, readable_key(name, content))
    if not store.exists(manifest.path):
        table = validate(table).sort_by([("dataset", "ascending"), ("path", "ascending")])
        facts = {"digest": digest_of(table), "counts": _counts(table), "notes": [], **facts}
        store.write_table(manifest.path, table, provenance(**facts))
    return manifest


def times(name: str, store: Store) -> dict[str, str]:
    """When manifests of a dataset were prepared last, by their keys, as far as there have been several."""
    path = f"{_TIMES}/{name}.json"
    return dict(store.read_json(path)) if store.exists(path) else {}


def preview(
    source: CatalogueSource | FolderSource | TableSource, split: SplitSpec, store: Store
) -> tuple[Manifest, pa.Table, int]:
    """What `prepare` would give, without writing anything; files that no earlier run has read are read.

    The dataset must have been acquired.

    Returns:
        The manifest, which may not exist yet, its rows, and how many files had to be read for them.

    Raises:
        ManifestError: As for `prepare`.
    """
    manifest, draft = _look_up(locate(source, store), split, store)
    if store.exists(manifest.path):
        return manifest, manifest.table, 0
    known = Places(store, source.name).known(places_of(draft.files))
    table = assemble(source.name, draft, probe(draft.files, known), split)
    return manifest, table, len(draft) - len(known)


def _probed(memory: Places, files: Files, progress: Progress | None) -> tuple[list[Probe], int]:
    """The probes of all files, and how many were read for them; the others are remembered."""
    places = places_of(files)
    known = memory.known(places)

    def remember(read: Sequence[int], probes: Sequence[Probe]) -> None:
        memory.add([places[i] for i in read], probes)

    return probe(files, known, progress, remember), len(files) - len(known)


def _note_time(manifest: Manifest) -> None:
    """Keeps which of several manifests is of a dataset's files as they are: they may be again as they once were."""
    store, name = manifest.store, manifest.name
    if sum(key.rpartition("-")[0] == name for key in store.names(FOLDER, ".parquet")) > 1:
        known = times(name, store)
        if max(known, key=known.__getitem__, default=None) != manifest.key:
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
            store.write_json(f"{_TIMES}/{name}.json", {**known, manifest.key: now})


def _look_up(acquired: FolderSource | TableSource, split: SplitSpec, store: Store) -> tuple[Manifest, Draft]:
    draft = draft_dataset(acquired)
    return Manifest(store, acquired.name, _key(acquired, split, draft)), draft


def digest_of(table: pa.Table) -> str:
    """SHA-256 over the rows of a manifest that changes with samples, labels, origins, splits and groups.

    The order of the rows, the files' places and the dataset's name don't matter. The column `augmentation` counts only
    where it says something, so that manifests without it keep their digests.
    """
    table = completed(table)
    names = _DIGESTED if table[AUGMENTATION].null_count == table.num_rows else [*_DIGESTED, AUGMENTATION]
    rows: list[str] = []
    for batch in table.select(names).to_batches(_DIGESTED_AT_ONCE):
        columns = [column.to_pylist() for column in batch.columns]
        rows += ("\t".join(repr(value) for value in row) for row in zip(*columns, strict=True))
    return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()


def _key(source: FolderSource | TableSource, split: SplitSpec, draft: Draft) -> str:
    facts = {
        "source": source.model_dump(mode="json", exclude={"groups"}),  # what they say is in the draft
        "split": split.model_dump(mode="json"),
        "draft": draft.fingerprint(),
        "revision": REVISION,
    }
    return readable_key(source.name, content_hash(facts))


def _marked(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with columns that say which rows repeat the bytes of an earlier one, and which have no header."""
    unreadable = frame["format"].isna() & ~frame["url"].str.startswith(IMPORTED)
    return frame.assign(duplicate=frame.duplicated(["dataset", "sample_id"]) & ~unreadable, unreadable=unreadable)


def _counts(table: pa.Table) -> dict[str, int]:
    frame = table.select(["dataset", "sample_id", "url", "label", "split", "group", "format"]).to_pandas()
    marked = _marked(frame)
    return {
        "samples": len(frame),
        "real": int((frame["label"] == 0).sum()),
        "generated": int((frame["label"] == 1).sum()),
        **{split: int((frame["split"] == split).sum()) for split in SPLITS},
        "groups": int(frame["group"].nunique()),
        "duplicates": int(marked["duplicate"].sum()),
        "unreadable": int(marked["unreadable"].sum()),
    }
