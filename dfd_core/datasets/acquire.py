"""From the name of a dataset to its files."""

from __future__ import annotations

import time
from typing import TypeGuard

from dfd_core.datasets.cards import DatasetCard
from dfd_core.datasets.catalogue import DATASETS
from dfd_core.datasets.own_cards import own_card
from dfd_core.datasets.sources import CatalogueSource, DatasetSource, FolderSource, TableSource
from dfd_core.progress import Progress
from dfd_core.provenance import provenance
from dfd_core.specs import Spec
from dfd_core.storage import Store

IMAGES = "images"
MARKER = "dataset.json"
TABLE = "images.parquet"


def acquire(source: DatasetSource, store: Store, progress: Progress | None = None) -> FolderSource | TableSource:
    """Makes sure that a dataset's files are there.

    A dataset of the catalogue goes into `datasets/<name>-<hash>/images/` of the store, its archives into `archives/`;
    files that are there already are kept. A marker with provenance is written last, beside `images`, so where it is
    missing the dataset is incomplete. Folders and tables of your own are returned as they are, unread.

    Args:
        source: The dataset as a configuration names it.
        store: Where datasets of the catalogue are kept.
        progress: Called with the number of finished files and of all, or of bytes; may raise to stop.

    Returns:
        Where the files are.

    Raises:
        UnknownNameError: The catalogue has no such dataset.
        ConfigError: The dataset's card does not accept the options.
        DatasetError: It can't be downloaded or unpacked, or a person has to act first.
        StoreError: The store can't be read or written; the same call goes on where this one ended.
    """
    own = own_card(source, store)
    if own is not None:
        return own
    source = _of_the_catalogue(source)
    card, options = resolve(source)
    folder = card.folder(options)
    started = time.monotonic()
    if card.make is not None:
        made = card.make(options, store, f"{folder}/{IMAGES}", progress)
    else:
        from dfd_core.datasets import published

        made = published.make(card, options, store, f"{folder}/{IMAGES}", progress)  # type: ignore[arg-type]
    if made or not store.exists(f"{folder}/{MARKER}"):
        facts = {"dataset": card.name, "revision": card.revision, "options": options.model_dump(mode="json")}
        seconds = round(time.monotonic() - started, 3)
        store.write_json(f"{folder}/{MARKER}", provenance(**facts, files_written=made, seconds=seconds))
    return locate(source, store)


def locate(source: DatasetSource, store: Store) -> FolderSource | TableSource:
    """Where `acquire` puts a dataset's files, or finds them; makes nothing."""
    own = own_card(source, store)
    if own is not None:
        return own
    source = _of_the_catalogue(source)
    card, options = resolve(source)
    if card.make is None:
        table = store.url(f"{card.folder(options)}/{TABLE}")
        families = dict(card.generators)
        return TableSource(
            name=source.name, table=table, families=families, groups=source.groups, torn_groups="earliest"
        )
    folder = f"{card.folder(options)}/{IMAGES}"
    return FolderSource(
        name=source.name,
        folders=(store.url(folder),),
        layout="generator",
        families=dict(card.generators),
        groups=source.groups,
    )


def is_acquired(source: DatasetSource, store: Store) -> bool:
    """Whether `acquire` has nothing left to make, by its marker and by what a person has put there since."""
    if not is_there(source, store):
        return False
    if own_card(source, store) is not None:
        return True
    card, options = resolve(_of_the_catalogue(source))
    if card.by_hand is None:
        return True
    from dfd_core.datasets import by_hand

    return not by_hand.has_news(card, store, f"{card.folder(options)}/{TABLE}")


def needs_fetching(source: DatasetSource, store: Store) -> TypeGuard[CatalogueSource]:
    """Whether a dataset has files to be downloaded or put there by hand, and is not complete."""
    if not isinstance(source, CatalogueSource) or own_card(source, store) is not None:
        return False
    return resolve(source)[0].make is None and not is_acquired(source, store)


def is_there(source: DatasetSource, store: Store) -> bool:
    """Whether a dataset's files are there as `acquire` left them, as far as its marker tells."""
    if own_card(source, store) is not None:
        return True
    card, options = resolve(_of_the_catalogue(source))
    return store.exists(f"{card.folder(options)}/{MARKER}")


def resolve(source: CatalogueSource) -> tuple[DatasetCard, Spec]:
    """Checks a catalogue source without making anything.

    Returns:
        The card and its valid options.

    Raises:
        UnknownNameError: The catalogue has no such dataset.
        ConfigError: The card does not accept the options.
    """
    card = DATASETS[source.catalogue]
    return card, card.read_options(source.options)


def _of_the_catalogue(source: DatasetSource) -> CatalogueSource:
    if not isinstance(source, CatalogueSource):
        raise AssertionError(f"{source.name} names its own files")
    return source
