"""What is still to be computed, cut into shards.

A sample is done in a feature set when one of its files has a row for it. Samples that miss the same feature sets are
cut into shards together, so one that is read computes all that it misses and no more. Planning works on columns: no
sample becomes a Python object before its shard is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import pyarrow as pa

from dfd_core.features.ids import IdIndex, best_of_each, fixed_width
from dfd_core.features.ledger import Ledger, ledger_pieces
from dfd_core.features.sets import SUFFIX, FeatureSet, shard_name
from dfd_core.storage import Store


@dataclass(frozen=True)
class Shard:
    """A slice of a manifest, the unit of work and of retry.

    Attributes:
        name: `shard-` and a digest of what it holds; the name of the files it makes.
        samples: (sample id, address of the original bytes) of each.
        targets: The feature sets to compute, all of one dataset.
    """

    name: str
    samples: tuple[tuple[str, str], ...]
    targets: tuple[FeatureSet, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def path(self, target: FeatureSet) -> str:
        """Where the shard's file of a feature set stands in the store."""
        return f"{target.folder}/{self.name}{SUFFIX}"


@dataclass(frozen=True)
class Group:
    """Samples of one dataset that miss the same feature sets.

    Attributes:
        table: The manifest; groups of one dataset share it.
        rows: Those of the samples in it, ascending.
        targets: The feature sets they miss.
        attempt: One more than that of any file of these feature sets that has a row for one of them, 0 without any.
        shard_size: Samples in a shard, at most.
    """

    table: pa.Table
    rows: np.ndarray | range
    targets: tuple[FeatureSet, ...]
    attempt: int
    shard_size: int

    @property
    def n_shards(self) -> int:
        """Shards it is cut into."""
        return -(-len(self.rows) // self.shard_size)

    def shard(self, index: int) -> Shard:
        """One of its shards."""
        rows = np.asarray(self.rows[index * self.shard_size : (index + 1) * self.shard_size])
        near = self.table.slice(int(rows[0]), int(rows[-1] - rows[0]) + 1)
        samples = near.take(pa.array(rows - rows[0]))
        ids, urls = samples["sample_id"].to_pylist(), samples["url"].to_pylist()
        name = shard_name(self.targets[0].dataset, "".join(ids).encode(), self.attempt)
        return Shard(name, tuple(zip(ids, urls, strict=True)), self.targets)


class Shards(Sequence[Shard]):
    """The shards of groups one after the other, each made when it is asked for.

    Args:
        groups: What they are cut from.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = tuple(groups)
        self._ends = np.cumsum([0, *(group.n_shards for group in self.groups)])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __iter__(self) -> Iterator[Shard]:
        return (group.shard(index) for group in self.groups for index in range(group.n_shards))

    @overload
    def __getitem__(self, index: int) -> Shard: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Shard, ...]: ...
    def __getitem__(self, index: int | slice) -> Shard | tuple[Shard, ...]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(self))))
        place = range(len(self))[index]
        group = int(np.searchsorted(self._ends, place, side="right")) - 1
        return self.groups[group].shard(place - int(self._ends[group]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} shards>"


@dataclass(frozen=True)
class ExtractionPlan:
    """What an extraction would do.

    Attributes:
        feature_sets: All that were asked for.
        shards: What is missing.
        done: Finished samples of each feature set, by its folder, failures included.
        total: Distinct samples of each feature set, by its folder.
    """

    feature_sets: tuple[FeatureSet, ...]
    shards: Shards
    done: dict[str, int]
    total: dict[str, int]

    @property
    def images(self) -> int:
        """Samples over all shards; each is in one."""
        return sum(len(group.rows) for group in self.shards.groups)

    @property
    def missing(self) -> int:
        """Vectors that are to be computed, over all feature sets."""
        return sum(len(group.rows) * len(group.targets) for group in self.shards.groups)


def plan_extraction(
    store: Store,
    manifests: dict[str, pa.Table],
    feature_sets: Sequence[FeatureSet],
    shard_size: int | None = None,
    retry_failed: bool = False,
    keep_ledgers: bool = False,
) -> ExtractionPlan:
    """Compares manifests with what the store holds.

    Args:
        store: The store.
        manifests: Manifest table by dataset.
        feature_sets: What is wanted.
        shard_size: Samples in a shard, at most; by default a 64th of the dataset, but 32 to 2048, so that small sets
            show progress and large ones don't drown in files.
        retry_failed: Whether samples that failed earlier count as missing.
        keep_ledgers: Whether consolidated ledgers may be written, so that the next planning reads fewer files.

    Returns:
        The shards that are missing, and how many samples are not.

    Raises:
        StoreError: The store or a feature file can't be read, or a ledger that is wrong can't be rewritten.
    """
    groups: list[Group] = []
    done: dict[str, int] = {}
    total: dict[str, int] = {}
    for dataset, table in manifests.items():
        samples = WantedSamples(table)
        wanted = [feature_set for feature_set in feature_sets if feature_set.dataset == dataset]
        for feature_set in wanted:
            folder = feature_set.folder
            found = samples.compare(ledger_pieces(store, folder, keep_ledgers), retry_failed)
            total[folder], done[folder] = len(samples), found
        groups += samples.groups(wanted, shard_size or min(max(len(samples) // 64, 32), 2048))
    return ExtractionPlan(tuple(feature_sets), Shards(groups), done, total)


class WantedSamples:
    """The distinct samples of one manifest, and which feature sets each of them misses.

    Args:
        table: The manifest; of rows with the same bytes the first counts.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table.select(["sample_id", "url"])
        ids = fixed_width(table["sample_id"])
        self.rows, self.index = np.arange(len(ids)), IdIndex(ids)
        if not self.index.is_unique:
            self.rows = np.sort(best_of_each(ids))
            self.index = IdIndex(ids[self.rows])
        # sample i misses the feature sets that were compared at the places missed[pattern[i]]
        self.missed: list[tuple[int, ...]] = [()]
        self.pattern = np.zeros(len(self.rows), dtype=np.int32)
        self.attempt = np.zeros(len(self.rows), dtype=np.int32)
        self.compared = 0

    def __len__(self) -> int:
        return len(self.rows)

    def compare(self, ledger: Iterable[Ledger], retry_failed: bool) -> int:
        """Notes who is missing in a feature set, the next one; returns how many are not.

        Args:
            ledger: That of the feature set, in any number of pieces.
            retry_failed: Whether samples that failed are missing.
        """
        done = np.zeros(len(self), dtype=bool)
        next_attempt = np.zeros(len(self), dtype=np.int32)
        for piece in ledger:
            # a file has the samples of a shard, which follow each other in the manifest as it was then
            places = self.index.find_runs(piece.sample_ids, piece.starts)
            known = places >= 0
            done[places[known & piece.ok if retry_failed else known]] = True
            failed = known & ~piece.ok
            if failed.any():
                np.maximum.at(next_attempt, places[failed], piece.attempts[failed] + 1)
        next_attempt[done] = 0
        np.maximum(self.attempt, next_attempt, out=self.attempt)
        code = 2 * self.pattern + ~done
        present = np.bincount(code, minlength=2 * len(self.missed)) > 0
        self.pattern = (np.cumsum(present, dtype=np.int32) - 1)[code]
        both = [missed + extra for missed in self.missed for extra in ((), (self.compared,))]
        self.missed = [missed for missed, here in zip(both, present.tolist(), strict=True) if here]
        self.compared += 1
        return int(done.sum())

    def groups(self, wanted: Sequence[FeatureSet], shard_size: int) -> list[Group]:
        """Those that miss something, in an order that depends on the manifest and the feature sets alone."""
        groups = []
        for code, missed in sorted(enumerate(self.missed), key=lambda item: item[1]):
            places = np.flatnonzero(self.pattern == code)
            if missed and len(places):
                rows: np.ndarray | range = self.rows[places]
                if rows[-1] - rows[0] + 1 == len(rows):
                    rows = range(int(rows[0]), int(rows[-1]) + 1)
                targets = tuple(wanted[place] for place in missed)
                groups.append(Group(self.table, rows, targets, int(self.attempt[places].max()), shard_size))
        return groups
