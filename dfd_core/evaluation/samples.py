"""Which rows of the manifests belong to which training or test set."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from dfd_core.errors import EvaluationError
from dfd_core.manifests.pairing import Pairing, reals_of

TRAIN, VALIDATION, TEST = "train", "validation", "test"
ALL = "all"
"""Stands for a generator's name where all generators of a dataset are meant."""
AUGMENTATION = "augmentation"
"""The column of imported samples that have vectors under one augmentation only."""
Generator = tuple[str, str]


class Members(NamedTuple):
    """The samples of one set: fakes of some generators and the reals paired with them.

    Attributes:
        rows: Their rows of the manifests, each file once, sorted by sample.
        copies: How many files stand behind each row, (N,) int.
    """

    rows: pd.DataFrame
    copies: np.ndarray


def pairing_rows(samples: Samples) -> list[dict[str, object]]:
    """Which reals stand beside which generator, a row each, for people."""
    rows: list[dict[str, object]] = []
    for dataset, generator in samples.families:
        counts = {}
        sources: set[str] = set()
        for split in (TRAIN, VALIDATION, TEST):
            members = samples.members(((dataset, generator),), split).rows
            real = members[members["label"] == 0]
            counts[split] = f"{len(members) - len(real)} / {len(real)}"
            sources |= set(real["dataset"] + "/" + real["source"].fillna("unnamed"))
        rows.append(
            {"dataset": dataset, "generator": generator, "reals": ", ".join(sorted(sources)) or "none", **counts}
        )
    return rows


class Samples:
    """The rows of all manifests of a run, for all its detectors: each set is worked out once.

    Several threads may use one at once.

    Args:
        frame: Rows of one or several manifests, datasets complete.
        pairing: Which reals belong to which generator.
    """

    def __init__(self, frame: pd.DataFrame, pairing: Pairing = "collection") -> None:
        self.frame, self.pairing = frame, pairing
        self._places: dict[Generator, np.ndarray] = {}
        self._members: dict[tuple[tuple[Generator, ...], str, str | None], Members] = {}

    @cached_property
    def families(self) -> dict[Generator, str]:
        """Family of every (dataset, generator), sorted by these."""
        fakes = self.frame.loc[self.frame["label"] == 1, ["dataset", "generator", "family"]]
        distinct = fakes.drop_duplicates(["dataset", "generator"]).sort_values(["dataset", "generator"])
        return {(dataset, generator): family for dataset, generator, family in distinct.itertuples(index=False)}

    @cached_property
    def tested(self) -> tuple[Generator, ...]:
        """(dataset, generator) of every generator in the datasets that have rows in split `test`, sorted.

        A generator without test rows in such a dataset is among them: its results say that nothing could be measured.
        """
        datasets = set(self.frame.loc[self.frame["split"] == TEST, "dataset"])
        return tuple(pair for pair in self.families if pair[0] in datasets)

    @cached_property
    def pooled(self) -> tuple[Generator, ...]:
        """(dataset, `all`) of every tested dataset with several generators."""
        counts = Counter(dataset for dataset, _ in self.tested)
        return tuple((dataset, ALL) for dataset, n in sorted(counts.items()) if n > 1)

    def generators(self, dataset: str, generator: str) -> tuple[Generator, ...]:
        """What a name stands for: one generator, or with `all` every one of the dataset; nothing if unknown."""
        if generator == ALL:
            return tuple(pair for pair in self.families if pair[0] == dataset)
        return ((dataset, generator),) if (dataset, generator) in self.families else ()

    def members(self, sets: tuple[Generator, ...], split: str, augmentation: str | None = None) -> Members:
        """The fakes of some generators and the reals paired with each, in one split.

        A file that stands there twice counts once.

        Args:
            sets: (dataset, generator) of each; unknown ones have nothing.
            split: The split.
            augmentation: Leaves out imported samples that have vectors under another one only.

        Raises:
            EvaluationError: The same bytes are real in one dataset and generated in another.
        """
        key = (sets, split, augmentation)
        if key not in self._members:
            self._members[key] = self._find(*key)
        return self._members[key]

    def test_rows(self, dataset: str, split: str = TEST, augmentation: str | None = None) -> pd.DataFrame:
        """The rows of a dataset that any test set needs, each file once, sorted by sample."""
        found = [self._all_members(pair) for pair in self.families if pair in self.tested]
        places = np.unique(np.concatenate([np.empty(0, dtype=np.intp), *found]))
        rows = self._of_split(places, split, augmentation)
        return rows[rows["dataset"] == dataset].drop_duplicates("sample_id").sort_values("sample_id")

    def _find(self, sets: tuple[Generator, ...], split: str, augmentation: str | None) -> Members:
        places = [self._all_members(pair) for pair in sets if pair in self.families]
        rows = self._of_split(np.unique(np.concatenate([np.empty(0, dtype=np.intp), *places])), split, augmentation)
        copies = rows.groupby(["sample_id", "label"])["label"].transform("size")
        rows = rows.assign(copies=copies).drop_duplicates(["sample_id", "label"]).sort_values(["sample_id", "label"])
        if len(sets) > 1 and rows.duplicated("sample_id").any():
            twice = rows[rows.duplicated("sample_id", keep=False)]
            raise EvaluationError(
                f"{len(twice) // 2} files are real in one set and generated in another, first "
                f"{' and '.join(twice['dataset'] + '/' + twice['path'])}. Remove the wrong one of each."
            )
        return Members(rows.drop(columns="copies"), rows["copies"].to_numpy())

    def _of_split(self, places: np.ndarray, split: str, augmentation: str | None) -> pd.DataFrame:
        rows = self.frame.iloc[places]
        inside = (rows["split"] == split).to_numpy()
        if augmentation is not None and AUGMENTATION in rows:
            inside = inside & (rows[AUGMENTATION].isna() | (rows[AUGMENTATION] == augmentation)).to_numpy(dtype=bool)
        return rows[inside]

    def _all_members(self, pair: Generator) -> np.ndarray:
        """Places of a generator's fakes and of its reals, whatever their split."""
        if pair not in self._places:
            dataset, generator = pair
            within = self.pairing == "all" or (isinstance(self.pairing, dict) and generator in self.pairing)
            places = np.arange(len(self.frame)) if within else np.flatnonzero(self.frame["dataset"] == dataset)
            rows = self.frame.iloc[places]
            fake = (rows["label"] == 1) & (rows["generator"] == generator) & (rows["dataset"] == dataset)
            self._places[pair] = places[(fake | reals_of(rows, generator, self.pairing)).to_numpy(dtype=bool)]
        return self._places[pair]
