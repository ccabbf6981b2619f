"""How to get each dataset, out of its card: what a person must do first, where files go by hand, the command."""

from __future__ import annotations

import re
from typing import NamedTuple

from dfd_core.datasets import by_hand
from dfd_core.datasets.cards import DatasetCard

_LOGINS = {"kaggle": "A login to Kaggle may be asked for: `KAGGLE_API_TOKEN` has it."}
_NOTHING = "Nothing to do first."


class Guide(NamedTuple):
    """How to get one dataset.

    Attributes:
        name: The dataset.
        page: Where it is published.
        by_hand: Where a person fetches files, `None` where that is not needed.
        first: What to accept, fetch or log in to.
        files: What to put into the folder; empty where nothing is put there.
        folder: Relative to the store.
        command: What to give then.
    """

    name: str
    page: str
    by_hand: str | None
    first: str
    files: str
    folder: str
    command: str

    def text(self, folder: str) -> str:
        """A paragraph for a terminal.

        Args:
            folder: The folder's address in the store at hand.
        """
        pages = [self.page] if self.by_hand in (None, self.page) else [self.page, f"By hand: {self.by_hand}"]
        files = [f"Put {self.files} into {folder}"] if self.files else []
        return "\n  ".join([self.name, *pages, self.first, *files, self.command])

    def markdown(self) -> str:
        """A list item."""
        files = f" Put {self.files} into `{self.folder}/`." if self.files else ""
        by_hand = f"[by hand]({self.by_hand}): " if self.by_hand else ""
        return f"- [{self.name}]({self.page}): {by_hand}{_escaped(self.first + files)} `{self.command}`"


def guide(card: DatasetCard) -> Guide:
    """How to get a dataset of the catalogue."""
    hand = card.by_hand
    schemes = {part.address.partition("://")[0] for archive in card.archives for part in archive.parts}
    first = [_LOGINS[scheme] for scheme in sorted(schemes & _LOGINS.keys())]
    if hand is not None:
        first += [hand.accept, *(["What else it has is downloaded."] if card.archives else [])]
    return Guide(
        name=card.name,
        page=card.page,
        by_hand=None if hand is None else hand.page,
        first=" ".join(first) or (_NOTHING if card.make is None else f"{_NOTHING} It makes itself."),
        files="" if hand is None else hand.files,
        folder=by_hand.folder(card),
        command=f"dfd datasets prepare {card.name}",
    )


def _escaped(text: str) -> str:
    """A text whose `<generator>/*` Markdown would take for a tag and for emphasis; code stays as it is."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if i % 2 else re.sub(r"([<*])", r"\\\1", part) for i, part in enumerate(parts))
