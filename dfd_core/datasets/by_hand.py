"""Datasets behind a licence or a login: a person puts their files into a folder, here they are found."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import Any, NamedTuple

from dfd_core.datasets.archives.containers import kind_of
from dfd_core.datasets.cards import Archive, DatasetCard, Part
from dfd_core.datasets.rules import IMAGE, classify
from dfd_core.errors import DatasetError
from dfd_core.specs import content_hash
from dfd_core.storage import Store

FOLDER = "by_hand"


class Found(NamedTuple):
    """What was put there.

    Attributes:
        images: Path below the folder and address of each loose image.
        archives: What is packed, with parts joined.
        sizes: Path below the folder and bytes of each file of those.
    """

    images: list[tuple[str, str]]
    archives: list[Archive]
    sizes: dict[str, int]

    def facts(self) -> dict[str, Any]:
        """What is kept with a dataset's table, to see later whether there is something new."""
        return {"images": content_hash([path for path, _ in self.images]), "archives": self.sizes}


def folder(card: DatasetCard) -> str:
    """Where in a store a person puts a dataset's files."""
    return f"{FOLDER}/{card.name}"


def look(card: DatasetCard, store: Store) -> Found:
    """Lists what a person has put into the folder.

    Raises:
        DatasetError: Nothing is there, and it can't be downloaded instead; the message says which page, what to accept,
            and where to put what.
    """
    found = what_is_there(card, store)
    if not found.images and not found.archives and card.by_hand is not None and not card.by_hand.instead:
        raise DatasetError(
            f"{card.name} can't be downloaded without you. 1. Open {card.by_hand.page} 2. {card.by_hand.accept} "
            f"3. Put {card.by_hand.files} into {store.url(folder(card))} 4. Run the same command again. "
            f"Licence: {card.licence}."
        )
    return found


def check_nothing_is_lost(card: DatasetCard, found: Found, store: Store, table: str) -> None:
    """Checks that a dataset's table, where it is there, can be rebuilt with what came since.

    Raises:
        DatasetError: An archive that it was made from is gone, or another one.
    """
    before = _seen(store, table)["archives"]
    lost = [path for path, size in before.items() if found.sizes.get(path) != size]
    if lost:
        raise DatasetError(
            f"{card.name} can't take what is new in {store.url(folder(card))}: {', '.join(lost[:3])}, which it was "
            "made from, is gone or another file now. Put it back, or start over with what is there: "
            f"`dfd datasets remove {card.name} --archives --forget`, then prepare it again."
        )


def has_news(card: DatasetCard, store: Store, table: str) -> bool:
    """Whether the folder has something that was not there when a dataset's table was written.

    An archive that is gone is no news: its images were unpacked, and a person may want the space.
    """
    before, now = _seen(store, table), what_is_there(card, store).facts()
    return bool(now["images"] != before["images"] or not now["archives"].items() <= before["archives"].items())


def check_fit(card: DatasetCard, found: Found, store: Store) -> None:
    """Checks that what is there is of use before anything is fetched or unpacked, which would be in vain.

    Raises:
        DatasetError: It has no image that fits the card, or lacks a class that is not downloaded.
        ArchiveError: An archive there can't be read.
    """
    downloaded = card.archives and not (card.by_hand and card.by_hand.instead)
    needed = 1 if downloaded else 2  # the other class may be what is downloaded
    labels: set[int] = set()
    for path, _ in found.images:
        labels |= {row.label for row in [classify(card, path)] if row}
        if len(labels) >= needed:
            return
    for archive in found.archives:
        inside = _labels_in(card, archive, store)
        if inside is None or len(labels := labels | inside) >= needed:
            return
    found_only = {0: "has real images alone, not of both classes", 1: "has generated images alone, not of both classes"}
    what = found_only[labels.pop()] if labels else "has no image that fits the dataset's layout"
    raise DatasetError(
        f"{card.name}: {store.url(folder(card))} {what}. Put {card.by_hand and card.by_hand.files} there, under these "
        "names, then run the same command again."
    )


def _labels_in(card: DatasetCard, archive: Archive, store: Store) -> set[int] | None:
    """Which classes an archive has images of; `None` where only reading all of it would tell."""
    from dfd_core.datasets import opening, shelf  # they bring what downloads, which a guide does not need

    paths = [shelf.local_path(part, store) for part in archive.parts]
    if archive.kind == "tar.gz" or not all(path.exists() for path in paths):
        return None
    with opening.open_local(archive, paths) as container:
        rows = (classify(card, f"{archive.name}/{member.path}") for member in container.members())
        return {row.label for row in rows if row}


def what_is_there(card: DatasetCard, store: Store) -> Found:
    """Lists what a person has put into the folder, be it nothing."""
    root, sizes = store.url(folder(card)), store.sizes(folder(card))
    paths = sorted(sizes)
    images = [(path, f"{root}/{path}") for path in paths if IMAGE.search(path)]
    archives: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        if kind_of(path) not in (None, "parquet"):
            archives[_whole(path)].append(path)
    labels = _labels(card, list(archives))
    return Found(
        images,
        [_archive(labels[name], sorted(parts, key=_place), root) for name, parts in archives.items()],
        {path: sizes[path] for parts in archives.values() for path in parts},
    )


def _seen(store: Store, table: str) -> dict[str, Any]:
    """What was there when a table was written; nothing where there is no table, or it is of an earlier version."""
    facts = store.read_provenance(table) if store.exists(table) else {}
    return dict(facts.get("by_hand") or Found([], [], {}).facts())


def _whole(path: str) -> str:
    """The archive that a file is a part of: `x.zip` for `x.z01`, `x.7z` for `x.7z.001`."""
    return re.sub(r"\.\d+$", "", re.sub(r"\.z\d\d+$", ".zip", path, flags=re.IGNORECASE))


def _place(path: str) -> tuple[float, str]:
    """The order of parts: by number, and what has none last, as `.zip` comes after `.z01`."""
    number = re.search(r"\.z?(\d+)$", path, re.IGNORECASE)
    return (float(number[1]) if number else float("inf"), path)


def _labels(card: DatasetCard, names: list[str]) -> dict[str, str]:
    """What each archive is called in its images' paths: cleaned of what paths may not have, and no two alike."""
    stems = {name: re.sub(r"\.(zip|tar|tar\.gz|tgz|7z)$", "", name) for name in names}
    labels = {name: re.sub(r"[^A-Za-z0-9._-]+", "_", stem).lstrip("._-") or "archive" for name, stem in stems.items()}
    downloaded = [archive.name for archive in card.archives]
    wanted = Counter([*labels.values(), *downloaded])
    owned = Counter([*(stem for name, stem in stems.items() if stem == labels[name]), *downloaded])
    return {
        name: label
        if wanted[label] == 1 or (stems[name] == label and owned[label] == 1)
        else f"{label}-{content_hash(name)}"
        for name, label in labels.items()
    }


def _archive(label: str, parts: list[str], root: str) -> Archive:
    return Archive.model_validate(
        {"name": label, "kind": kind_of(parts[0]), "parts": [Part(address=f"{root}/{part}") for part in parts]}
    )
