"""What can be said of a published dataset before a byte of it is fetched: what is to come, and what can't be done."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator

from dfd_core.datasets import by_hand, opening, shelf
from dfd_core.datasets.cards import Archive, DatasetCard, Part
from dfd_core.datasets.downloading import expand
from dfd_core.datasets.options import PublishedOptions
from dfd_core.errors import DamagedArchiveError, DatasetError, DownloadError
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
    if not _is_put_instead(card, found):
        _check_size(card, options)
    if found is not None:
        with advising(card):
            by_hand.check_fit(card, found, store)
    return found


def _is_put_instead(card: DatasetCard, found: by_hand.Found | None) -> bool:
    """Whether what a person has put there takes the place of the download."""
    return found is not None and card.by_hand is not None and card.by_hand.instead


def _check_size(card: DatasetCard, options: PublishedOptions) -> None:
    needed = card.size_bytes
    if options.sample is not None:  # one archive may be enough, and of some a few ranges are
        whole = [one for one in card.archives if options.in_place or not opening.can_be_read_in_parts(one)]
        needed = needed // len(card.archives) if card.archives and len(whole) == len(card.archives) else 0
    if card.archives and options.max_bytes is not None and needed > options.max_bytes:
        raise DatasetError(_too_much(card.name, f"about {needed:,}", options))


@contextlib.contextmanager
def advising(card: DatasetCard, give_up: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Says of an archive that can't be read what a person can do.

    Args:
        card: Of which dataset it is.
        give_up: Called then; whether the archive will be fetched again without being asked to.
    """
    try:
        yield
    except DamagedArchiveError as error:
        advice = (
            "What came of it is given up: the same command fetches it again."
            if give_up()
            else f"`dfd datasets remove {card.name} --archives --forget` removes what was downloaded of it and forgets "
            "its digest; what was put there by hand is for you to replace. Then prepare it again."
        )
        raise DamagedArchiveError(f"{error} {advice}") from error


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
    return [archive for archive in archives if not shelf.is_there(archive, store)]


def in_order(card: DatasetCard, options: PublishedOptions, found: by_hand.Found | None) -> list[Archive]:
    """What is to be downloaded, in the order in which a sample is drawn from it."""
    archives = [] if _is_put_instead(card, found) else archives_of(card)
    if options.sample is not None:
        random.Random(options.seed).shuffle(archives)  # noqa: S311 - no secret
    return archives
