"""How to get each dataset, out of its card: what a person must do first, where files go by hand, the command."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

from dfd_core.datasets import by_hand
from dfd_core.datasets.cards import DatasetCard
from dfd_core.datasets.sources import FolderSource, TableSource

_LOGINS = {"kaggle": "Kaggle may ask for a login: `KAGGLE_API_TOKEN` or `~/.kaggle/access_token`."}


class Guide(NamedTuple):
    """How to get one dataset.

    Attributes:
        name: The dataset.
        page: Where it is published.
        by_hand: Where a person fetches files, `None` where that is not needed.
        first: What to accept, fetch or log in to; empty where there is nothing to do first.
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

    def text(self, folder: str, store: str | None = None) -> str:
        """A paragraph for a terminal.

        Args:
            folder: The folder's address in the store at hand.
            store: Which store the command has to name; none where it is the one by default.
        """
        pages = [self.page] if self.by_hand in (None, self.page) else [self.page, f"By hand: {self.by_hand}"]
        files = [f"Put {self.files} into {folder}"] if self.files else []
        command = self.command if store is None else f"{self.command} --store {shlex.quote(store)}"
        return "\n  ".join([self.name, *pages, *([self.first] if self.first else []), *files, command])

    def markdown(self) -> str:
        """A list item."""
        files = f" Put {self.files} into `{self.folder}/`." if self.files else ""
        by_hand = f"[by hand]({self.by_hand}): " if self.by_hand else ""
        words = [by_hand + _escaped(self.first + files)] if self.first else []
        return " ".join([f"- [{self.name}]({self.page}):", *words, f"`{self.command}`"])


def guide(card: DatasetCard) -> Guide:
    """How to get a dataset of the catalogue."""
    hand = card.by_hand
    schemes = {part.address.partition("://")[0] for archive in card.archives for part in archive.parts}
    first = [_LOGINS[scheme] for scheme in sorted(schemes & _LOGINS.keys())]
    if hand is not None and hand.instead:
        first += ["It is downloaded. Where that fails:", hand.accept]
    elif hand is not None:
        first += [hand.accept, *(["The rest is downloaded."] if card.archives else [])]
    return Guide(
        name=card.name,
        page=card.page,
        by_hand=None if hand is None else hand.page,
        first=" ".join(first),
        files="" if hand is None else hand.files,
        folder=by_hand.folder(card),
        command=f"dfd datasets prepare {card.name}",
    )


def own_guide(source: FolderSource | TableSource) -> Guide:
    """What there is to say of a dataset of your own: nothing is to be fetched."""
    return Guide(
        name=source.name,
        page=source.table if isinstance(source, TableSource) else ", ".join(source.folders),
        by_hand=None,
        first="A dataset of your own: its files are there already, and stay there.",
        files="",
        folder="",
        command=f"dfd datasets prepare {source.name}",
    )


def _escaped(text: str) -> str:
    """A text whose `<generator>/*` Markdown would take for a tag and for emphasis; code stays as it is."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if i % 2 else re.sub(r"([<*])", r"\\\1", part) for i, part in enumerate(parts))
