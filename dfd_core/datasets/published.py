"""From a card of the catalogue to images and a table of them: download, unpack or read in place, sample."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from dfd_core.datasets import by_hand, opening, shelf
from dfd_core.datasets.archives.containers import Container, Member
from dfd_core.datasets.archives.parquet_rows import suffix_of
from dfd_core.datasets.archives.slices import slice_url
from dfd_core.datasets.beforehand import advising, check, check_in_place, in_order, not_in_place, sees_all_sizes
from dfd_core.datasets.cards import Archive, DatasetCard
from dfd_core.datasets.downloading import Fetching
from dfd_core.datasets.options import PublishedOptions
from dfd_core.datasets.rules import Row, Sample, classify, is_image
from dfd_core.errors import DatasetError, WholeOnlyError
from dfd_core.progress import Bytes, Progress
from dfd_core.provenance import provenance
from dfd_core.storage import Store

logger = logging.getLogger(__name__)
_COLUMNS = ("generator", "source", "category", "split", "group")


class _Image(NamedTuple):
    path: str
    url: str | None
    row: Row


def make(card: DatasetCard, options: PublishedOptions, store: Store, folder: str, progress: Progress | None) -> int:
    """Gets a published dataset: images below a folder or in their archives, and beside it a table of them, last.

    Args:
        card: Which.
        options: What was chosen.
        store: Where archives and images go.
        folder: Where in it the images go.
        progress: Called with bytes while downloading and images while unpacking; may raise to stop.

    Returns:
        How many images were written or found in place; 0 where the table is there already, and nothing was put there by
        hand since.

    Raises:
        DatasetError: An archive can't be fetched or must not be unpacked, a person has to act first, or a class is
            missing.
        StoreError: The store can't be read or written.
    """
    table = f"{folder.rpartition('/')[0]}/images.parquet"
    if store.exists(table) and not (card.by_hand and by_hand.has_news(card, store, table)):
        return 0
    found = check(card, options, store)
    work = _Work(card, options, store, folder, progress)
    images = list(work.put_by_hand(found)) if found else []
    archives = in_order(card, options, found)
    if options.sample is None:
        sees_all_sizes(archives, options, store)
    for archive in archives:
        if work.sample.is_full(card):
            break
        images += work.images_of(archive)
    if not {0, 1} <= {image.row.label for image in images}:
        place = store.url(by_hand.folder(card))
        advice = f"Put {card.by_hand.files} into {place}, under these names. Else the" if card.by_hand else "The"
        raise DatasetError(
            f"{card.name}: {len(images)} images were found, not of both classes. {advice} publisher's layout may have "
            f"changed; see {card.page}, and name the unpacked folder under `folders:`."
        )
    counts = Counter(image.path for image in images)
    if twice := [path for path, count in counts.items() if count > 1]:
        raise DatasetError(
            f"{card.name}: {len(twice)} images are there twice, such as {twice[0]}, loose and in an archive. Keep one "
            f"of the two in {store.url(by_hand.folder(card))}."
        )
    facts = provenance(by_hand=found.facts() if found else None)
    store.write_table(table, _table(sorted(images), options.drawn_splits), facts)
    return len(images)


class _Work:
    """One dataset being made."""

    def __init__(
        self, card: DatasetCard, options: PublishedOptions, store: Store, folder: str, progress: Progress | None
    ) -> None:
        self.card, self.options, self.store, self.folder = card, options, store, folder
        self.progress = progress or (lambda *_: None)
        self.sample = Sample(options.sample, options.seed)
        self.how = Fetching(max_bytes=options.max_bytes)
        self.told = (0, 0)

    def put_by_hand(self, found: by_hand.Found) -> Iterator[_Image]:
        """What a person has put into the folder for it."""
        loose = [(Member(path, 0, url, False), row) for path, url in found.images if (row := classify(self.card, path))]
        if len(loose) < len(found.images):
            odd = next(path for path, _ in found.images if classify(self.card, path) is None)
            what = "%s: %d of %d loose images in %s don't fit the card's rules and are left out, such as %s"
            place, total = self.store.url(by_hand.folder(self.card)), len(found.images)
            logger.warning(what, self.card.name, total - len(loose), total, place, odd)
        for member, row in self.sample.draw("", loose):
            yield _Image(member.path, member.name, row)
        for archive in found.archives:
            yield from self.images_of(archive)

    def images_of(self, archive: Archive) -> Iterator[_Image]:
        """The wanted images of one archive, unpacked or in place; when they are there its digest is held."""
        with advising(self.card, self.store, archive):
            yield from self._images_of(archive)
        shelf.hold(archive, self.store)

    def _images_of(self, archive: Archive) -> Iterator[_Image]:
        with self._opened(archive) as container:
            members = container.members()
            found = [
                (member, row) for member in members if (row := classify(self.card, f"{archive.name}/{member.path}"))
            ]
            self._tell_what_is_left_out(archive, members, {member.path for member, _ in found})
            drawn = self.sample.draw(archive.name, found, container.piece_of)
            yield from (
                self._in_place(archive, container, drawn)
                if self.options.in_place
                else self._unpacked(archive, container, drawn)
            )

    def _opened(self, archive: Archive) -> Container:
        """An archive on the shelf, or where it is if some pieces of it are enough."""
        there = all(shelf.local_path(part, self.store).exists() for part in archive.parts)
        if there or self.options.in_place or not self.options.sample or not opening.can_be_read_in_parts(archive):
            if not there:
                check_in_place(self.card, archive, self.options)
            return self._fetched(archive)
        self.told = (0, 0)
        try:
            return opening.open_remote(archive, self.how, self.options.max_bytes, self._tell_bytes)
        except WholeOnlyError as error:
            logger.warning("%s All of it is fetched for the sample, and kept.", error)
            return self._fetched(archive)

    def _tell_what_is_left_out(self, archive: Archive, members: list[Member], fitting: set[str]) -> None:
        odd = [one.path for one in members if one.path not in fitting]
        if not fitting:
            logger.warning("%s: no image in %s fits the card's rules", self.card.name, archive.name)
        elif odd:
            images = [path for path in odd if is_image(path)]
            what = "%s: %d of %d files in %s fit no rule of the card and are left out, %d of them images, such as %s"
            some = (images or odd)[0]
            logger.info(what, self.card.name, len(odd), len(members), archive.name, len(images), some)

    def _fetched(self, archive: Archive) -> Container:
        missing = [part for part in archive.parts if not shelf.local_path(part, self.store).exists()]
        paths = shelf.fetch_archive(archive, self.store, self.how, self._tell, self._checkpoint)
        if self.how.max_bytes is not None and self.options.sample is None:  # one budget for all archives
            fetched = sum(shelf.local_path(part, self.store).stat().st_size for part in missing)
            self.how = self.how.model_copy(update={"max_bytes": max(0, self.how.max_bytes - fetched)})
        return opening.open_local(archive, paths, self._tell)

    def _unpacked(self, archive: Archive, container: Container, drawn: list[tuple[Member, Row]]) -> Iterator[_Image]:
        rows = {member.name: row for member, row in drawn}
        for done, (member, data) in enumerate(container.read([member for member, _ in drawn]), start=1):
            path = f"{archive.name}/{member.path}"
            if path.endswith(".img"):
                path = path.removesuffix(".img") + suffix_of(data)
            _write(self.store, f"{self.folder}/{path}", data)
            self._tell(done, len(drawn))
            yield _Image(f"{self.folder.rpartition('/')[2]}/{path}", None, rows[member.name])

    def _in_place(self, archive: Archive, container: Container, drawn: list[tuple[Member, Row]]) -> Iterator[_Image]:
        packed = next((member for member, _ in drawn if not member.plain), None)
        if packed is not None or len(archive.parts) > 1 or archive.inside is not None:
            raise not_in_place(archive, packed.path if packed else None)
        url = self._kept(archive)
        for member, row in drawn:
            yield _Image(f"{archive.name}/{member.path}", slice_url(container.offset(member), member.size, url), row)

    def _kept(self, archive: Archive) -> str:
        """The address of an archive in the store; a remote one gets it only now."""
        part = archive.parts[0]
        if shelf.is_put_by_hand(part, self.store):
            return part.address
        if not self.store.is_local and not self.store.exists(shelf.place(part)):
            self.store.write_file(shelf.place(part), shelf.local_path(part, self.store))
        return self.store.url(shelf.place(part))

    def _tell(self, done: int, total: int) -> None:
        self.told = (done, total)
        self.progress(done, total)

    def _tell_bytes(self, done: int, total: int) -> None:
        """Of an archive that is read in pieces; once its images come, these are what is told."""
        if total and (isinstance(self.told[0], Bytes) or self.told == (0, 0)):
            self._tell(done, total)
        else:
            self._checkpoint()

    def _checkpoint(self) -> None:
        self.progress(*self.told)


def _table(images: list[_Image], drawn_splits: bool) -> pa.Table:
    columns: dict[str, Any] = {"path": [image.path for image in images]}
    if any(image.url for image in images):
        columns["url"] = [image.url or image.path for image in images]
    columns["label"] = [image.row.label for image in images]
    for name in _COLUMNS:
        values = [getattr(image.row, name) for image in images]
        if name == "split" and (drawn_splits or not all(values)):
            continue  # a publisher's split counts only where it has all images
        columns[name] = pa.array(values, pa.string())
    return pa.table(columns)


def _write(store: Store, path: str, data: bytes) -> None:
    """Writes an image unless it is there; the table is written last and vouches for all of them."""
    if store.is_local:
        target = Path(store.root) / path
        # an archive may have changed since, so its size alone does not tell that it is this image
        if target.exists() and target.stat().st_size == len(data) and target.read_bytes() == data:
            return
    store.write_bytes(path, data, flush=False)
