"""What can be said of a published dataset before a byte of it is fetched: what is to come, and what can't be done."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

from dfd_core.datasets import by_hand, opening, shelf
from dfd_core.datasets.cards import Archive, DatasetCard, Part
from dfd_core.datasets.downloading import Fetching, expand
from dfd_core.datasets.options import PublishedOptions
from dfd_core.datasets.rules import classify
from dfd_core.errors import ArchiveError, DamagedArchiveError, DatasetError, DownloadError
from dfd_core.storage import Store


def archives_of(card: DatasetCard) -> list[Archive]:
    """A card's archives, with an archive for each file that a `*` stands for.

    Raises:
        DownloadError: The hub has no such file, or does not answer.
    """
    found = []
    for archive in card.archives:
        addresses = expand(archive.parts[0].address) if len(archive.parts) == 1 else []
        if len(addresses) <= 1:
            found.append(archive)
            continue
        for i, address in enumerate(addresses):
            update = {"name": f"{archive.name}-{i:05d}", "parts": (Part(address=address),)}
            found.append(archive.model_copy(update=update))
    return found


def check(card: DatasetCard, options: PublishedOptions, store: Store) -> by_hand.Found | None:
    """Sees, without a byte from elsewhere, whether `published.make` can begin.

    Returns:
        What a person has put there by hand; `None` where nothing need be, or is.

    Raises:
        DatasetError: More would be downloaded than may be, or a person has to act first.
    """
    found = None if card.by_hand is None else by_hand.look(card, store)
    if found is not None:
        by_hand.check_nothing_is_lost(card, found, store, f"{card.folder(options)}/images.parquet")
        if not found.images and not found.archives:
            found = None
    archives = [*(() if _is_put_instead(card, found) else card.archives), *(found.archives if found else ())]
    for archive in archives if options.in_place else ():
        if archive.kind in ("tar.gz", "parquet") or len(archive.parts) > 1 or archive.inside is not None:
            raise not_in_place(archive)
    if not _is_put_instead(card, found):
        _check_size(card, options, store)
    if found is not None:
        with advising(card):
            by_hand.check_fit(card, found, store)
    return found


def _is_put_instead(card: DatasetCard, found: by_hand.Found | None) -> bool:
    """Whether what a person has put there takes the place of the download."""
    return found is not None and card.by_hand is not None and card.by_hand.instead


def _check_size(card: DatasetCard, options: PublishedOptions, store: Store) -> None:
    there = [shelf.local_path(part, store) for archive in card.archives for part in archive.parts]
    sizes = [path.stat().st_size for path in there if path.exists()]
    needed = max(0, card.size_bytes - sum(sizes)) if len(sizes) < len(there) else 0
    if options.sample is not None:  # one archive may be enough, and of some a few ranges are
        whole = [one for one in card.archives if options.in_place or not opening.can_be_read_in_parts(one)]
        needed = needed // len(card.archives) if card.archives and len(whole) == len(card.archives) else 0
    if card.archives and options.max_bytes is not None and needed > options.max_bytes:
        raise DatasetError(_too_much(card.name, f"about {needed:,}", options))


@contextlib.contextmanager
def advising(card: DatasetCard, store: Store | None = None, archive: Archive | None = None) -> Iterator[None]:
    """Says of an archive that can't be read or unpacked what a person can do.

    Args:
        card: Of which dataset it is.
        store: Where the shelf is.
        archive: Which, where it is given up if that may help.
    """
    try:
        yield
    except DamagedArchiveError as error:
        given_up = store is not None and archive is not None and shelf.set_aside(archive, store)
        advice = (
            "What came of it is given up: the same command fetches it again. If that ends the same way, the file is "
            f"damaged where it comes from: see {card.page}."
            if given_up
            else f"`dfd datasets remove {card.name} --archives --forget` removes what was downloaded of it and forgets "
            "its digest; what was put there by hand is for you to replace. Then prepare it again."
        )
        raise DamagedArchiveError(f"{error} {advice}") from error
    except ArchiveError as error:
        if store is None or archive is None or shelf.is_put_by_hand(archive.parts[0], store):
            raise
        path = shelf.local_path(archive.parts[0], store)
        if not path.exists():
            raise
        stays = f"It stays in {path.parent}; `dfd datasets remove {card.name} --archives` removes it."
        raise ArchiveError(f"{error} {stays}") from error


def not_in_place(archive: Archive, packed: str | None = None) -> DatasetError:
    """The error for an archive that must be unpacked, because of a member or as it is."""
    what = f"{packed!r} is compressed in it" if packed else "it is compressed, comes in parts or is packed twice"
    return DatasetError(
        f"{archive.name} can't be read in place: {what}. Leave --in-place (`in_place` in a configuration) out to "
        "unpack it."
    )


def check_in_place(card: DatasetCard, archive: Archive, options: PublishedOptions) -> None:
    """Checks, by the list in a remote archive, that its images can be read in place before all of it is fetched.

    Where the list can't be had by itself, what is fetched will show.

    Raises:
        DatasetError: They can't.
    """
    if not options.in_place or archive.kind not in ("zip", "7z"):
        return
    try:
        with opening.open_remote(archive, Fetching(), options.max_bytes, lambda *_: None) as container:
            members = container.members()
    except (ArchiveError, DownloadError):
        return
    packed = next((one.path for one in members if not one.plain and classify(card, f"{archive.name}/{one.path}")), None)
    if packed is not None:
        raise not_in_place(archive, packed)


def _too_much(name: str, needed: str, options: PublishedOptions) -> str:
    advice = ", or take some images of each class with --sample" if options.sample is None else ""
    return f"{name} has {needed} bytes to download, more than --max-bytes {options.max_bytes:,}. Raise it{advice}."


def sees_all_sizes(archives: list[Archive], options: PublishedOptions, store: Store) -> bool:
    """Whether the servers tell all sizes, so that no more than may be is fetched in whatever order."""
    if options.max_bytes is None:
        return True
    sizes = [shelf.missing_bytes(archive, store) for archive in archives]
    needed = sum(size or 0 for size in sizes)
    if needed > options.max_bytes:
        raise DownloadError(_too_much(", ".join(one.name for one in archives[:3]), f"{needed:,}", options))
    return None not in sizes


def to_fetch(card: DatasetCard, options: PublishedOptions, store: Store) -> list[Archive]:
    """The archives that `published.make` will fetch whole and that are not there, as far as can be said before.

    Of a sample only the first archive is sure to be needed, and none of which parts will do.

    Raises:
        DatasetError: More would be downloaded than may be, or a person has to act first.
        DownloadError: The hub has no such file, or does not answer.
    """
    archives = in_order(card, options, check(card, options, store))
    if options.sample is not None:
        archives = archives[:1]
        archives = [one for one in archives if options.in_place or not opening.can_be_read_in_parts(one)]
    if not sees_all_sizes(archives, options, store):
        return []  # `published.make` counts, one archive after another
    missing = [archive for archive in archives if not shelf.is_there(archive, store)]
    for archive in missing:
        check_in_place(card, archive, options)
    return missing


def in_order(card: DatasetCard, options: PublishedOptions, found: by_hand.Found | None) -> list[Archive]:
    """What is to be downloaded, in the order in which a sample is drawn from it."""
    archives = [] if _is_put_instead(card, found) else archives_of(card)
    if options.sample is not None:
        random.Random(options.seed).shuffle(archives)  # noqa: S311 - no secret
    return archives
