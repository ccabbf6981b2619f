"""Results as matrices of training sets x test sets, for tables and heat maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from dfd_core.errors import EvaluationError

GROUP = ["backbone", "reducer", "classifier", "seed", "shuffled_labels", "train_augmentation", "test_augmentation"]
FAMILIES = ("gan", "diffusion", "autoregressive", "other")


@dataclass(frozen=True)
class Side:
    """A training or test set as a row or column.

    Attributes:
        dataset: Its dataset.
        generator: Its generator.
        family: Its generator's family.
    """

    dataset: str
    generator: str
    family: str


@dataclass(frozen=True)
class Matrix:
    """One metric of all detectors that differ in their training set only, on all test sets.

    Attributes:
        metric: The metric's name.
        group: What the detectors have in common, by column of the results.
        rows: R training sets, families together.
        columns: C test sets, families together.
        values: (R, C) float64, NaN where nothing could be measured.
        n: (R, C) int64, the samples behind each value.
    """

    metric: str
    group: dict[str, str]
    rows: tuple[Side, ...]
    columns: tuple[Side, ...]
    values: np.ndarray
    n: np.ndarray

    @property
    def seen(self) -> np.ndarray:
        """(R, C) bool: whether a column's generator is the one trained on, in whichever dataset."""
        return np.array([[r.generator.lower() == c.generator.lower() for c in self.columns] for r in self.rows])

    def mean_of_others(self) -> np.ndarray:
        """(R,) mean over the test sets of generators that were not trained on; NaN where there is none."""
        others = ~self.seen & np.isfinite(self.values)
        counts = others.sum(axis=1)
        sums = np.where(others, self.values, 0).sum(axis=1)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    def title(self) -> str:
        """What the detectors have in common, in a line."""
        group = self.group
        parts = [group["backbone"]]
        if group["reducer"] != "none":
            parts.append(group["reducer"])
        parts.append(group["classifier"])
        parts.append(f"augmentation {group['train_augmentation']} in training, {group['test_augmentation']} in test")
        if group["seed"] != "0":
            parts.append(f"seed {group['seed']}")
        if group["shuffled_labels"] == "True":
            parts.append("control: shuffled labels")
        return " · ".join(parts)

    def labels(self) -> tuple[list[str], list[str]]:
        """Names of the rows and of the columns; the dataset is named where there are several."""
        several = len({side.dataset for side in (*self.rows, *self.columns)}) > 1
        name = (lambda side: f"{side.dataset}/{side.generator}") if several else (lambda side: side.generator)
        return [name(side) for side in self.rows], [name(side) for side in self.columns]


def matrices(results: pa.Table, metric: str) -> list[Matrix]:
    """The matrices of one metric, one for each combination of what detectors can have in common.

    Raises:
        EvaluationError: A cell has several values: results of several runs were mixed.
    """
    frame = results.to_pandas()
    frame = frame[frame["metric"] == metric]
    found = []
    parts = {tuple(map(str, key)): part for key, part in frame.groupby(GROUP)}
    for key in sorted(parts, key=_order):
        group, part = dict(zip(GROUP, key, strict=True)), parts[key]
        cells = ["train_dataset", "train_generator", "test_dataset", "test_generator"]
        if part.duplicated(cells).any():
            raise EvaluationError(
                f"The results hold several values of {metric} for {group}: don't mix runs in a matrix."
            )
        found.append(_matrix(metric, group, part))
    return found


def _order(key: tuple[str, ...]) -> tuple[tuple[bool, str], ...]:
    """By name, but `none` before all others."""
    return tuple((name != "none", name) for name in key)


def _matrix(metric: str, group: dict[str, str], part: pd.DataFrame) -> Matrix:
    rows, columns = _sides(part, "train"), _sides(part, "test")
    row_of = {(side.dataset, side.generator): index for index, side in enumerate(rows)}
    column_of = {(side.dataset, side.generator): index for index, side in enumerate(columns)}
    row_index = list(map(row_of.__getitem__, zip(part["train_dataset"], part["train_generator"], strict=True)))
    column_index = list(map(column_of.__getitem__, zip(part["test_dataset"], part["test_generator"], strict=True)))
    values = np.full((len(rows), len(columns)), np.nan)
    n = np.zeros((len(rows), len(columns)), dtype=np.int64)
    values[row_index, column_index] = part["value"].to_numpy(dtype=np.float64)
    n[row_index, column_index] = part["n"].to_numpy()
    return Matrix(metric, group, rows, columns, values, n)


def _sides(part: pd.DataFrame, kind: str) -> tuple[Side, ...]:
    names = [f"{kind}_{what}" for what in ("dataset", "generator", "family")]
    sides = [Side(*record) for record in part[names].drop_duplicates().itertuples(index=False)]
    order = {family: index for index, family in enumerate(FAMILIES)}
    return tuple(sorted(sides, key=lambda s: (order.get(s.family, len(order)), s.family, s.dataset, s.generator)))
