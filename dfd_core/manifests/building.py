"""From a dataset's folders or table to a manifest."""

from __future__ import annotations

import logging

import pandas as pd
import pyarrow as pa

from dfd_core.datasets.sources import FolderSource, TableSource
from dfd_core.manifests.drafts import Draft
from dfd_core.manifests.folders import draft_folders
from dfd_core.manifests.group_lists import listed_groups
from dfd_core.manifests.groups import combined_groups, join_groups, named_groups
from dfd_core.manifests.probing import Probe, probe
from dfd_core.manifests.schema import SCHEMA, check_labels_agree, validate
from dfd_core.manifests.split_lists import listed_splits
from dfd_core.manifests.splits import SplitSpec, draw_splits, mended_splits
from dfd_core.manifests.tables import draft_table
from dfd_core.progress import Progress

logger = logging.getLogger(__name__)


def build_manifest(source: FolderSource | TableSource, split: SplitSpec, progress: Progress | None = None) -> pa.Table:
    """Lists, reads and splits a dataset.

    Every file is read once, for its digest and its header. An image with broken content is a row like others, with a
    null format: what becomes of it is decided where it is decoded. Files that are no images by their extension are left
    out, counted and logged.

    Args:
        source: Folders or a table.
        split: How samples are split, where the source does not say.
        progress: Called with how many files were read, and of how many.

    Returns:
        A table with the columns of `SCHEMA`, sorted by path.

    Raises:
        ManifestError: Something is missing, unreadable or contradicts itself.
    """
    draft = draft_dataset(source)
    log_notes(source.name, draft.notes)
    return assemble(source.name, draft, probe(draft.files, {}, progress), split)


def draft_dataset(source: FolderSource | TableSource) -> Draft:
    """All that is known of a dataset without reading its images.

    Raises:
        ManifestError: As for `build_manifest`.
    """
    draft = draft_table(source) if isinstance(source, TableSource) else draft_folders(source)
    paths = draft.files.paths
    if source.group_pattern is not None:
        draft.groups = named_groups(paths, source.group_pattern)
        alone = draft.groups.count(None)
        if alone:
            first = min(path for path, group in zip(paths, draft.groups, strict=True) if group is None)
            draft.notes.append(f"group_pattern finds nothing in {alone} of {len(paths)} paths, such as {first}")
    draft.groups = draft.groups or [None] * len(paths)
    if source.groups is not None:
        listed, notes = listed_groups(source.groups, source.name, paths)
        draft.groups, draft.notes = combined_groups(draft.groups, listed), draft.notes + notes
    if source.splits is not None:
        draft.splits = listed_splits(source.splits, paths)
    draft.mends_splits = isinstance(source, TableSource) and source.torn_groups == "earliest"
    return draft


def assemble(name: str, draft: Draft, probes: list[Probe], split: SplitSpec) -> pa.Table:
    """The manifest of a dataset whose files have been read.

    Args:
        name: The dataset's name.
        draft: What is said of the files; gets a note where splits had to be mended.
        probes: What their bytes say, in the same order.
        split: How samples are split, where the draft does not say.

    Raises:
        ManifestError: The same bytes have two labels, or a group has two splits.
    """
    paths = draft.files.paths
    sample_ids = [found.sample_id for found in probes]
    check_labels_agree(
        pd.DataFrame(
            {
                "sample_id": sample_ids,
                "path": paths,
                "label": draft.labels,
                "format": [found.format for found in probes],
            }
        )
    )
    groups = join_groups(draft.groups, sample_ids, paths, [found.format is not None for found in probes])
    splits = draft.splits or draw_splits(groups, _strata(draft), split)
    if draft.splits and draft.mends_splits:
        splits, note = mended_splits(splits, groups, paths)
        draft.notes += [note] if note else []
        log_notes(name, [note] if note else [])
    columns = {
        "sample_id": sample_ids,
        "dataset": [name] * len(draft),
        "path": paths,
        "url": draft.files.urls,
        "label": draft.labels,
        "generator": draft.generators,
        "family": draft.families,
        "source": draft.sources,
        "category": draft.categories,
        "split": splits,
        "group": groups,
        "format": [found.format for found in probes],
        "width": [found.width for found in probes],
        "height": [found.height for found in probes],
        "size_bytes": [found.size_bytes for found in probes],
        "augmentation": [None] * len(draft),
    }
    table = pa.table(columns, schema=SCHEMA).sort_by([("dataset", "ascending"), ("path", "ascending")])
    return validate(table)


def log_notes(name: str, notes: list[str]) -> None:
    """Logs what a person should know of a dataset."""
    for note in notes:
        logger.warning("%s: %s", name, note)


def _strata(draft: Draft) -> list[tuple[str, ...]]:
    """What each sample is, from coarse to fine."""
    rows = zip(draft.labels, draft.generators, draft.sources, draft.categories, strict=True)
    return [
        (str(label), source or generator) if category is None else (str(label), source or generator, category)
        for label, generator, source, category in rows
    ]
