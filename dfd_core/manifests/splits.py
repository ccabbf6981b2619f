"""Who trains, who validates, who tests: drawn by group, seeded, the same in any order of the files.

Every group goes to one split as a whole. Groups with the same content are dealt out together, in proportion, and what
rounding leaves over is carried to the next ones, in total and for each generator and category. So each split holds its
share of every generator, exactly where the numbers divide and within one or two samples otherwise, unless large groups
make that impossible. Which group of several like ones goes where is decided by a hash of its name and the seed. Hence
the place of a folder and the order of its files don't matter, a file that is added moves few others, and the same
photograph in two datasets mostly gets the same split in both.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, model_validator

from dfd_core.manifests.schema import SPLITS
from dfd_core.specs import Spec

Share = Annotated[float, Field(ge=0, le=1)]
Content = tuple[tuple[str, int], ...]


class SplitSpec(Spec):
    """How a dataset is split where nobody says it sample by sample.

    Attributes:
        train: Share of the samples.
        validation: Share of the samples.
        test: Share of the samples.
        seed: Another seed gives another draw.
    """

    train: Share = 0.8
    validation: Share = 0.1
    test: Share = 0.1
    seed: int = 0

    @model_validator(mode="after")
    def _shares_make_a_whole(self) -> SplitSpec:
        total = self.train + self.validation + self.test
        if not math.isclose(total, 1, abs_tol=1e-9):
            raise ValueError(f"train, validation and test must add up to 1, not {total:g}")
        return self

    def shares(self) -> dict[str, float]:
        """The splits that get anything, with their shares."""
        return {name: share for name in SPLITS if (share := getattr(self, name)) > 0}


def draw_splits(groups: Sequence[str], strata: Sequence[tuple[str, ...]], spec: SplitSpec) -> list[str]:
    """A split for every row.

    Args:
        groups: Each row's group.
        strata: What each row is, from coarse to fine: label, generator or source, category. Every level is balanced.
        spec: Shares and seed.
    """
    contents: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for group, stratum in zip(groups, strata, strict=True):
        contents[group][stratum] += 1
    alike: dict[Content, list[str]] = defaultdict(list)
    for group, counter in contents.items():
        alike[_content(counter)].append(group)
    splits = _deal(alike, spec)
    _give_both_labels(splits, contents, spec)
    return [splits[group] for group in groups]


def mended_splits(splits: Sequence[str], groups: Sequence[str], paths: Sequence[str]) -> tuple[list[str], str | None]:
    """Published splits without a group in two of them: all of it goes to the earliest, train before test.

    Args:
        splits: Each row's split.
        groups: Each row's group.
        paths: Each row's path, for the note.

    Returns:
        Each row's split, and what was moved; `None` where nothing was.
    """
    earliest: dict[str, str] = {}
    for group, split in zip(groups, splits, strict=True):
        earliest[group] = min(earliest.get(group, split), split, key=SPLITS.index)
    mended = [earliest[group] for group in groups]
    moved = [(path, old, new) for path, old, new in zip(paths, splits, mended, strict=True) if old != new]
    if not moved:
        return mended, None
    path, old, new = min(moved)
    return mended, (
        f"{len(moved)} files of the publisher's splits have their like in an earlier one (the same bytes, or the same "
        f"group), so they count there: {path}, published for {old}, is in {new}"
    )


def _content(strata: Mapping[tuple[str, ...], int]) -> Content:
    """How many samples a group adds to each level: in all, of a label, of a generator, of a category."""
    counts: Counter[str] = Counter()
    for stratum, count in strata.items():
        for depth in range(len(stratum) + 1):
            counts["/".join(map(repr, stratum[:depth]))] += count
    return tuple(sorted(counts.items()))


def _deal(alike: Mapping[Content, list[str]], spec: SplitSpec) -> dict[str, str]:
    """The split of every group: large groups first, as small ones can still make up for what those leave uneven."""
    shares = spec.shares()
    owed: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(shares, 0.0))
    splits: dict[str, str] = {}

    def rank(content: Content) -> tuple[int, bytes]:
        return -dict(content)[""].bit_length(), _digest(spec.seed, repr(content))

    for content in sorted(alike, key=rank):
        members = sorted(alike[content], key=lambda group: _digest(spec.seed, group))
        for level, count in content:
            for split, share in shares.items():
                owed[level][split] += share * count * len(members)
        wanted = {split: sum(count * owed[level][split] for level, count in content) for split in shares}
        weight = sum(count * count for _, count in content)
        given = Counter[str]()
        for _ in members:
            split = max(wanted, key=wanted.__getitem__)
            wanted[split] -= weight
            given[split] += 1
        for level, count in content:
            for split in shares:
                owed[level][split] -= count * given[split]
        splits.update(zip(members, (split for split in shares for _ in range(given[split])), strict=True))
    return splits


def _give_both_labels(
    splits: dict[str, str], contents: Mapping[str, Mapping[tuple[str, ...], int]], spec: SplitSpec
) -> None:
    """Moves single groups into splits that lack a label, where few groups would leave a split without one."""

    def labels(group: str) -> set[str]:
        return {stratum[0] for stratum in contents[group]}

    shares = spec.shares()
    having: dict[str, Counter[str]] = {split: Counter() for split in shares}
    for group, split in splits.items():
        having[split].update(labels(group))
    for label in sorted(set().union(*having.values())):
        for lacking in (split for split in shares if not having[split][label]):
            donor = max(shares, key=lambda split: having[split][label])
            spare = [
                group
                for group, split in splits.items()
                if split == donor and label in labels(group) and all(having[donor][held] > 1 for held in labels(group))
            ]
            if spare:
                moved = max(spare, key=lambda group: _digest(spec.seed, group))
                splits[moved] = lacking
                having[donor].subtract(labels(moved))
                having[lacking].update(labels(moved))


def _digest(seed: int, text: str) -> bytes:
    return hashlib.sha256(f"{seed}:{text}".encode()).digest()
