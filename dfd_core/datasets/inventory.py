"""What a store has of datasets: listing, checking and removing it."""

from __future__ import annotations

import fnmatch
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from dfd_core.datasets import by_hand, own_cards, shelf
from dfd_core.datasets.acquire import MARKER, TABLE
from dfd_core.datasets.cards import Part
from dfd_core.datasets.catalogue import DATASETS
from dfd_core.datasets.own_cards import FOLDER as CARDS
from dfd_core.errors import DatasetError, UnknownNameError
from dfd_core.progress import Bytes, Progress
from dfd_core.specs import is_url
from dfd_core.storage import Store


def rows(store: Store) -> list[dict[str, Any]]:
    """A row for each dataset: of the catalogue what is there or half there, and your own cards."""
    found = []
    made: dict[str, list[str]] = defaultdict(list)
    for key in _complete(store):
        made[store.read_json(f"datasets/{key}/{MARKER}")["dataset"]].append(f"datasets/{key}/{TABLE}")
    begun = {key.rpartition("-")[0] for key in store.names("datasets")}
    parts_of = {name: _parts(name, store) for name in DATASETS}
    used = {part.address for name in begun & set(DATASETS) for part in parts_of[name]}
    for name, parts in parts_of.items():
        there = [part.address for part in parts if shelf.copies(part, store)]
        partial = [part.address for part in parts if _partial(part, store)]
        if name in begun or {*there, *partial} - used:  # archives of another dataset alone make none
            state = _state(name, made[name], store) if name in made else "not complete"
            archives = f"{len(there)} of {len(parts)}" + (f", {len(partial)} half fetched" if partial else "")
            found.append({"name": name, "state": state, "archives": archives if parts else "none needed"})
    return found + [{"name": name, "state": "own", "archives": "none needed"} for name in own_cards.own_cards(store)]


def verify_archives(name: str, store: Store, progress: Progress | None = None) -> list[str]:
    """What is wrong with a dataset's archives, by the digests that were recorded.

    Args:
        name: Which dataset.
        store: Where.
        progress: Called with how many bytes were read, and of how many; may raise to stop.
    """
    parts = _parts(name, store) if name in DATASETS else []
    total = sum(int(shelf.record(part, store).get("size", 0)) * len(shelf.copies(part, store)) for part in parts)
    done = 0

    def read(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(Bytes(done), Bytes(max(done, total)))

    return [problem for part in parts if (problem := shelf.verify_part(part, store, read)) is not None]


def remove(name: str, store: Store, *, archives: bool, forget: bool, progress: Progress | None = None) -> list[str]:
    """Removes a dataset's images, or your own card; manifests, features and files elsewhere stay.

    Args:
        name: Which.
        store: Where.
        archives: Its archives too, where no other dataset that is there uses them.
        forget: The recorded digests of its archives too, so that a replaced file is accepted. What a person put into
            the folder for it stays in any case.
        progress: Called with how many files are removed, and of how many; may raise to stop.

    Returns:
        The places that were removed.

    Raises:
        DatasetError: There is nothing of it, or nothing that is to go.
    """
    removed = []
    if own_cards.forget(name, store):
        removed.append(store.url(f"{CARDS}/{name}.yaml"))
    for key in store.names("datasets"):
        if key.rpartition("-")[0] == name:
            removed.append(_drop_dataset(f"datasets/{key}", store, progress))
    if name in DATASETS:
        left = {key.rpartition("-")[0] for key in store.names("datasets")} & set(DATASETS)
        used = {part.address for other in left for part in _parts(other, store)}
        for part in _parts(name, store):
            if archives and part.address not in used:
                removed += _clear(part, store)
            if forget and store.exists(f"{shelf.place(part)}.json"):
                removed.append(_drop(f"{shelf.place(part)}.json", store))
    if not removed:
        kept = _why_kept(name, store, archives) if name in DATASETS else ""
        raise DatasetError(
            f"There is nothing of {name} in {store.url()}{kept}. `dfd datasets status` lists what is there."
        )
    return removed


def check_is_known(name: str, store: Store) -> None:
    """Checks that there is such a dataset: in the catalogue, as a card of the store, or with a manifest in it.

    Raises:
        UnknownNameError: There is none.
    """
    own = own_cards.own_cards(store)
    if name not in DATASETS and name not in own and not manifests_of(name, store):
        raise UnknownNameError("dataset", name, [*DATASETS, *own])


def manifests_of(name: str, store: Store) -> list[str]:
    """The manifests of a dataset in a store; they stay when it is removed, since runs refer to them."""
    return [store.url(f"manifests/{one}") for one in store.names("manifests") if one.rpartition("-")[0] == name]


def _why_kept(name: str, store: Store, archives: bool) -> str:
    """Why archives of a dataset stay that is not there otherwise; empty where there are none, or a person's own."""
    there = {part.address for part in _parts(name, store) if shelf.copies(part, store) or _partial(part, store)}
    others = {key.rpartition("-")[0] for key in store.names("datasets")} & set(DATASETS)
    users = [one for one in sorted(others) if there & {part.address for part in _parts(one, store)}]
    if users:
        return f" but archives that {', '.join(users)} needs too, and that go with it"
    downloaded = [one for one in there if not shelf.is_put_by_hand(Part(address=one), store)]
    return " but archives, which go with --archives" if downloaded and not archives else ""


def _parts(name: str, store: Store) -> list[Part]:
    """The files that a dataset is downloaded from; where a `*` stands for many, those that the store has heard of."""
    card = DATASETS[name]
    parts = [part for archive in card.archives for part in archive.parts]
    if card.by_hand is None and not any("*" in part.address for part in parts):
        return parts
    keys = store.names(shelf.FOLDER)
    records = [f"{shelf.FOLDER}/{key}/{file}" for key in keys for file in store.names(f"{shelf.FOLDER}/{key}", ".json")]
    heard = [str(store.read_json(record)["address"]) for record in records]
    found = [
        one
        for part in parts
        for one in (
            [Part(address=address) for address in heard if fnmatch.fnmatchcase(address, part.address)]
            if "*" in part.address
            else [part]
        )
    ]
    if card.by_hand is not None:
        there = [part.address for one in by_hand.what_is_there(card, store).archives for part in one.parts]
        root = f"{store.url(by_hand.folder(card))}/"
        recorded = [address for address in heard if address.startswith(root)]
        found += [Part(address=address) for address in dict.fromkeys([*there, *recorded])]
    return found


def _state(name: str, tables: list[str], store: Store) -> str:
    """Of a dataset that was made, whether a person has put something there since."""
    card = DATASETS[name]
    news = card.by_hand is not None and any(by_hand.has_news(card, store, table) for table in tables)
    return "new files by hand" if news else "ready"


def _clear(part: Part, store: Store) -> list[str]:
    """Removes an archive, whole or half fetched, and what was taken out of it; a digest that is held stays.

    A person's own file on this machine stays too, and in a bucket: there its copies here and on the shelf go.
    """
    if not is_url(part.address):
        return []
    known, kept = shelf.record(part, store), []
    if known and not known.get("opened", True):
        _drop(f"{shelf.place(part)}.json", store)
    if not store.is_local and store.exists(shelf.place(part)):
        kept.append(_drop(shelf.place(part), store))
    path = shelf.local_path(part, store)
    found = [one for one in path.parent.glob("*") if one.name != f"{path.name}.json"] if path.parent.is_dir() else []
    for one in found:
        one.unlink()
    return kept + [str(one) for one in found if not one.name.endswith((".lock", ".journal"))]


def _complete(store: Store) -> list[str]:
    return [key for key in store.names("datasets") if store.exists(f"datasets/{key}/{MARKER}")]


def _partial(part: Part, store: Store) -> bool:
    path = shelf.local_path(part, store)
    return path.with_name(f".{path.name}.partial").exists()


def _drop_dataset(folder: str, store: Store, progress: Progress | None) -> str:
    """Removes a dataset's files; first what vouches for them, so that one that is half gone is not taken for whole."""
    for name in (MARKER, TABLE):
        if store.exists(f"{folder}/{name}"):
            _drop(f"{folder}/{name}", store)
    if store.is_local and progress is not None:
        files = [Path(place, name) for place, _, names in os.walk(store.url(folder)) for name in names]
        for done, file in enumerate(files, start=1):
            file.unlink()
            progress(done, len(files))
    return _drop(folder, store) if store.exists(folder) else store.url(folder)  # buckets have no empty folders


def _drop(path: str, store: Store) -> str:
    url = store.url(path)
    store.fs.rm(store.fs._strip_protocol(url), recursive=True)
    return url
