"""Which rows of the manifests belong to which training or test set."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from dfd_core.manifests.pairing import reals_of

TRAIN, TEST = "train", "test"
Generator = tuple[str, str]


class Samples:
    """The rows of all manifests of a run, for all its detectors: each set is worked out once.

    Several threads may use one at once.

    Args:
        frame: Rows of one or several manifests, datasets complete.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self._members: dict[tuple[str, str, str], np.ndarray] = {}
        self._copies: dict[tuple[str, str, str], np.ndarray] = {}

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

    def members(self, dataset: str, generator: str, split: str) -> pd.DataFrame:
        """A generator's fakes and the reals paired with it in one split, sorted by sample.

        A file that stands there twice counts once. Nothing at all where the dataset or its generator is unknown.
        """
        key = (dataset, generator, split)
        if key not in self._members:
            self._members[key], self._copies[key] = self._find(*key)
        return self.frame.iloc[self._members[key]]

    def copies(self, dataset: str, generator: str, split: str) -> np.ndarray:
        """How many files stand behind each row of `members`, (N,) int."""
        self.members(dataset, generator, split)
        return self._copies[dataset, generator, split]

    def test_rows(self, dataset: str) -> pd.DataFrame:
        """The rows of all test sets of a dataset, each file once, sorted by sample."""
        for pair in self.tested:
            self.members(*pair, TEST)
        found = [rows for key, rows in self._members.copy().items() if key[0] == dataset and key[2] == TEST]
        rows = self.frame.iloc[np.unique(np.concatenate(found))]
        return rows.drop_duplicates("sample_id").sort_values("sample_id")

    def _find(self, dataset: str, generator: str, split: str) -> tuple[np.ndarray, np.ndarray]:
        if (dataset, generator) not in self.families:
            return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
        places = np.flatnonzero(self.frame["dataset"] == dataset)
        rows = self.frame.iloc[places]
        fake = ((rows["label"] == 1) & (rows["generator"] == generator)).to_numpy()
        inside = (fake | np.asarray(reals_of(rows, generator), dtype=bool)) & (rows["split"] == split).to_numpy()
        chosen = rows.loc[inside, ["sample_id", "label"]].assign(place=places[inside])
        chosen["copies"] = chosen.groupby(["sample_id", "label"])["place"].transform("size")
        chosen = chosen.drop_duplicates(["sample_id", "label"]).sort_values(["sample_id", "label"])
        return np.asarray(chosen["place"]), np.asarray(chosen["copies"])
