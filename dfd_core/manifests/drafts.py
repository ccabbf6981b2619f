"""What is known of a dataset before a byte of an image is read: its files and what is said of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dfd_core.datasets.families import FAMILY_NAMES, family_of, squeezed
from dfd_core.errors import ManifestError
from dfd_core.manifests.listing import Files
from dfd_core.manifests.schema import REAL
from dfd_core.wording import some


@dataclass
class Draft:
    """A dataset's rows as parallel lists.

    Attributes:
        files: The files.
        labels: 0 real, 1 generated.
        generators: `real` for reals.
        sources: Where reals come from; `None` for generated images.
        categories: What they show, where known.
        families: `real` for reals.
        splits: Explicit splits; empty where they are to be drawn.
        groups: Groups that a table or a pattern names; `None` for a sample by itself.
        mends_splits: Whether a group in several of the explicit splits goes to one of them; else it is an error.
        notes: What a person should know: files left out, columns not used.
    """

    files: Files = field(default_factory=Files)
    labels: list[int] = field(default_factory=list)
    generators: list[str] = field(default_factory=list)
    sources: list[str | None] = field(default_factory=list)
    categories: list[str | None] = field(default_factory=list)
    families: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    mends_splits: bool = False
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.files)

    def fingerprint(self) -> str:
        """SHA-256 that changes when a file is added, removed or changed, or when anything said of one changes."""
        columns = (
            *(self.files.paths, self.files.urls, self.files.sizes, self.files.stamps, self.labels, self.generators),
            *(self.sources, self.categories, self.families, self.splits, self.groups),
        )
        digest = hashlib.sha256()
        for column in columns:
            digest.update(json.dumps(column).encode() + b"\n")
        return digest.hexdigest()


def families(generators: list[str], overrides: Mapping[str, str]) -> list[str]:
    """The family of every row's generator; `real` for reals.

    Raises:
        ManifestError: A stated family is not one that is known.
    """
    wrong = [f"{family!r} for {name}" for name, family in overrides.items() if family not in FAMILY_NAMES]
    if wrong:
        raise ManifestError(f"A generator's family is one of {', '.join(FAMILY_NAMES)}, not {some(wrong)}.")
    known = {name: REAL if name == REAL else family_of(name, overrides) for name in set(generators)}
    return [known[name] for name in generators]


def unused_families(generators: Iterable[str], overrides: Mapping[str, str]) -> list[str]:
    """A note about families that are stated for generators that the dataset does not have."""
    there = tuple({squeezed(name) for name in generators})
    unused = sorted(name for name in overrides if not any(n.startswith(squeezed(name)) for n in there))
    return [f"`families:` names generators that are not there: {some(unused)}"] if unused else []


def check_both_classes(labels: list[int], place: str, hint: str) -> None:
    """Raises a `ManifestError` when there is no real or no generated image.

    Args:
        labels: Of all rows.
        place: Where was looked, for the message.
        hint: What a person can do.
    """
    for label, name in ((0, "real"), (1, "generated")):
        if label not in labels:
            raise ManifestError(
                f"{place} has {len(labels)} images, none of them {name}. Nothing can be detected without both. {hint}"
            )
