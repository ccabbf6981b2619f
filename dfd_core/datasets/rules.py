"""From the paths in an archive to what is known of its images, and a sample of each class."""

from __future__ import annotations

import hashlib
import heapq
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from dfd_core.datasets.archives.containers import Member
from dfd_core.datasets.cards import DatasetCard
from dfd_core.datasets.suffixes import IMAGE_SUFFIXES

IMAGE = re.compile(rf"({'|'.join(map(re.escape, sorted([*IMAGE_SUFFIXES, '.img'])))})$", re.IGNORECASE)
_HIDDEN = re.compile(r"(^|/)(\.|__MACOSX/)")
_SPLITS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}


class Row(NamedTuple):
    """What is known of an image; fields as the columns of a table."""

    label: int
    generator: str | None
    source: str | None
    category: str | None
    split: str | None
    group: str | None

    @property
    def kind(self) -> tuple[int, str | None]:
        """The class that samples are drawn from: a generator or a source of reals."""
        return self.label, self.generator or self.source


def is_image(path: str) -> bool:
    """Whether a path is one of an image, by its ending; hidden files are none."""
    return IMAGE.search(path) is not None and _HIDDEN.search(path) is None


def classify(card: DatasetCard, path: str) -> Row | None:
    """What a card's rules say of a path; `None` where it is no image, or no rule matches."""
    if not is_image(path):
        return None
    for rule in card.rules:
        match = re.fullmatch(rule.pattern, path)
        if match is None:
            continue
        said = {key: card.names.get(value, value) for key, value in match.groupdict().items() if value}
        split = said.get("split", rule.split)
        return Row(
            label=rule.label,
            generator=said.get("generator", rule.generator) if rule.label else None,
            source=None if rule.label else said.get("source", rule.source),
            category=said.get("category"),
            split=_SPLITS[split.lower()] if split else None,
            group=said.get("group"),
        )
    return None


class Sample:
    """Draws the same images of each class, whatever order they come in; those of a group are drawn together.

    Where a fake and the photograph that it was made from are a group, a sample has pairs: the lot is the group's.

    Args:
        count: Images of each class; `None` for all.
        seed: Another one draws others.
    """

    def __init__(self, count: int | None, seed: int) -> None:
        self.count, self.seed = count, seed
        self.taken: dict[tuple[int, str | None], int] = defaultdict(int)

    def draw(
        self, archive: str, rows: Iterable[tuple[Member, Row]], piece_of: Callable[[Member], int] = lambda _: 0
    ) -> list[tuple[Member, Row]]:
        """The images of an archive that are wanted, after those of earlier archives.

        Args:
            archive: Its name.
            rows: Its images.
            piece_of: What is read together: pieces are drawn first, and of each as many images as are still wanted. A
                group's lot is the same in all archives, so it stands above that.
        """
        kinds: dict[tuple[int, str | None], list[tuple[Member, Row]]] = defaultdict(list)
        for member, row in rows:
            kinds[row.kind].append((member, row))
        drawn = []
        for kind, found in kinds.items():
            left = len(found) if self.count is None else self.count - self.taken[kind]
            some = found
            if left < len(found):
                some = heapq.nsmallest(left, found, lambda one: self._lot(archive, one, piece_of(one[0])))
            self.taken[kind] += len(some)
            drawn += some
        return drawn

    def is_full(self, card: DatasetCard) -> bool:
        """Whether every class that the card names has all its images."""
        if self.count is None:
            return False
        kinds = [(1, name) for name in card.generators] + [(0, name) for name in card.reals]
        return all(self.taken[kind] >= self.count for kind in kinds)

    def _lot(self, archive: str, image: tuple[Member, Row], piece: int) -> tuple[bytes, bytes]:
        member, row = image
        alone = self._hash(f"{archive}/{member.path}")
        if row.group is not None:
            return self._hash(row.group), alone
        return self._hash(f"{archive}#{piece}"), alone

    def _hash(self, text: str) -> bytes:
        return hashlib.sha256(f"{self.seed}/{text}".encode()).digest()
