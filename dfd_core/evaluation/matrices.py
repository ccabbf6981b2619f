"""Results as matrices of training sets x test sets, for tables and heat maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dfd_core.errors import EvaluationError
from dfd_core.evaluation.metrics import METRICS

COMBINATION = [
    "protocol", "backbone", "reducer", "classifier", "seed", "shuffled_labels", "train_augmentation",
    "test_augmentation", "calibration",
]  # fmt: skip
"""What detectors that differ in their training set only have in common."""
GROUP = [*COMBINATION, "threshold_policy"]
TRAINED_ON = ["train_dataset", "train_generator"]
TESTED_ON = ["test_dataset", "test_generator"]
FAMILIES = ("gan", "diffusion", "autoregressive", "other")
CROSS_GENERATOR, REALS, ALL, ORACLE = "cross_generator", "real", "all", "oracle"
_DEFAULTS: dict[str, str | float] = {
    "protocol": CROSS_GENERATOR,
    "calibration": "none",
    "low": np.nan,
    "high": np.nan,
    "threshold": np.nan,
}


@dataclass(frozen=True)
class Side:
    """A training or test set as a row or column.

    Attributes:
        dataset: Its dataset.
        generator: Its generator; of several `all but progan` or `all`.
        family: Its generator's family, `mixed` for several.
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
        low: (R, C) float64, lower ends of the values' intervals, NaN where there is none.
        high: (R, C) float64, upper ends.
        n: (R, C) int64, the samples behind each value.
        seen: (R, C) bool, whether a column's generator is among those trained on, in whichever dataset.
    """

    metric: str
    group: dict[str, str]
    rows: tuple[Side, ...]
    columns: tuple[Side, ...]
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray
    seen: np.ndarray

    def mean_of_others(self) -> np.ndarray:
        """(R,) mean over the test sets of single generators that were not trained on; NaN where there is none."""
        single = np.array([column.generator != ALL for column in self.columns])
        others = ~self.seen & np.isfinite(self.values) & single
        counts = others.sum(axis=1)
        sums = np.where(others, self.values, 0).sum(axis=1)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    def title(self) -> str:
        """What the detectors have in common, in a line."""
        return group_title(self.group)

    def labels(self) -> tuple[list[str], list[str]]:
        """Names of the rows and of the columns; the dataset is named where there are several."""
        several = len({side.dataset for side in (*self.rows, *self.columns)}) > 1
        name = (lambda side: f"{side.dataset}/{side.generator}") if several else (lambda side: side.generator)
        return [name(side) for side in self.rows], [name(side) for side in self.columns]


def group_title(group: dict[str, str]) -> str:
    """What detectors have in common, in a line; a column that is not given is not told.

    Args:
        group: Text by column of the results.
    """
    told = {"protocol": CROSS_GENERATOR, "reducer": "none", "seed": "0", "calibration": "none"} | group
    parts = [told["backbone"], *([told["reducer"]] if told["reducer"] != "none" else []), told["classifier"]]
    if told["protocol"] != CROSS_GENERATOR:
        parts.append(told["protocol"].replace("_", " "))
    if "train_augmentation" in told:
        test = f", {told['test_augmentation']} in test" if "test_augmentation" in told else ""
        parts.append(f"augmentation {told['train_augmentation']} in training{test}")
    if told["seed"] != "0":
        parts.append(f"seed {told['seed']}")
    if told["calibration"] != "none":
        parts.append(f"calibration {told['calibration']}")
    if told.get("threshold_policy", "None") != "None":
        parts.append(f"threshold {policy_text(told['threshold_policy'])}")
    if told.get("shuffled_labels") == "True":
        parts.append("control: shuffled labels")
    return " · ".join(parts)


def metric_title(name: str) -> str:
    """A metric's name for headings, also of one that only results of another version know."""
    return METRICS[name].title if name in METRICS else name.replace("_", " ").capitalize()


def metric_short(name: str) -> str:
    """The same where room is scarce."""
    return METRICS[name].short if name in METRICS else name.replace("_", " ")


def policy_text(policy: str) -> str:
    """A threshold policy for people: one that has seen the test labels is marked."""
    return f"{ORACLE} (chosen on the test set)" if policy == ORACLE else policy


def policy_order(policy: str) -> tuple[int, str]:
    """Fixed thresholds first, those from validation samples, the oracle last."""
    return (2 if policy == ORACLE else int(not policy.replace(".", "", 1).isdigit()), policy)


def tidy(results: pa.Table, *metrics: str) -> pd.DataFrame:
    """The long table as a frame, of some metrics or of all; what tables of earlier versions lack is filled in.

    Such tables have no intervals; `seen` is told by the generators' names, and all is cross-generator at its raw score.
    """
    if metrics:
        results = results.filter(pc.is_in(results["metric"], value_set=pa.array(metrics)))
    frame: pd.DataFrame = results.to_pandas()
    for name, value in _DEFAULTS.items():
        if name not in frame:
            frame[name] = value
    if "seen" not in frame:
        frame["seen"] = frame["train_generator"].str.lower() == frame["test_generator"].str.lower()
        frame["family_seen"] = frame["train_family"] == frame["test_family"]
    if "status" not in frame:
        frame["status"] = np.where(frame["value"].isna(), "too_few", "ok")
    numbers = {name: frame[name].astype(np.float64) for name in ("value", "low", "high", "threshold")}
    flags = {name: frame[name].eq(True) for name in ("seen", "family_seen")}  # null for reals
    return frame.assign(**numbers, **flags, n=frame["n"].fillna(0).astype(np.int64))


def per_source(frame: pd.DataFrame) -> pd.Series:
    """Which rows of a tidy frame are of one source of reals instead of generators."""
    return frame["test_generator"] == REALS


def per_generator(frame: pd.DataFrame) -> pd.Series:
    """Which rows of a tidy frame are of one generator, neither of a source nor of all of a dataset together."""
    return ~frame["test_generator"].isin([REALS, ALL])


def matrices(results: pa.Table, metric: str) -> list[Matrix]:
    """The matrices of one metric, one for each combination of what detectors can have in common.

    Raises:
        EvaluationError: A cell has several values: results of several runs were mixed.
    """
    frame = tidy(results, metric)
    return matrices_of(frame[~per_source(frame)], metric)


def matrices_of(frame: pd.DataFrame, metric: str) -> list[Matrix]:
    """As `matrices`, of the rows of one metric in a tidy frame."""
    found = []
    parts = {tuple(map(str, key)): part for key, part in frame.fillna({"threshold_policy": "None"}).groupby(GROUP)}
    for key in sorted(parts, key=group_order):
        group, part = dict(zip(GROUP, key, strict=True)), parts[key]
        if part.duplicated([*TRAINED_ON, *TESTED_ON]).any():
            raise EvaluationError(
                f"The results hold several values of {metric} for {group}: don't mix runs in a matrix."
            )
        found.append(_matrix(metric, group, part))
    return found


def group_order(key: tuple[str, ...]) -> tuple[tuple[bool, str], ...]:
    """By name, but `none` before all others."""
    return tuple((name != "none", name) for name in key)


def _matrix(metric: str, group: dict[str, str], part: pd.DataFrame) -> Matrix:
    rows, columns = _sides(part, "train"), _sides(part, "test")
    row_of = {(side.dataset, side.generator): index for index, side in enumerate(rows)}
    column_of = {(side.dataset, side.generator): index for index, side in enumerate(columns)}
    at = (
        list(map(row_of.__getitem__, zip(part["train_dataset"], part["train_generator"], strict=True))),
        list(map(column_of.__getitem__, zip(part["test_dataset"], part["test_generator"], strict=True))),
    )
    shape = (len(rows), len(columns))
    values, low, high = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    n, seen = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
    for array, name in ((values, "value"), (low, "low"), (high, "high"), (n, "n"), (seen, "seen")):
        array[at] = part[name].to_numpy()
    return Matrix(metric, group, rows, columns, values, low, high, n, seen)


def _sides(part: pd.DataFrame, kind: str) -> tuple[Side, ...]:
    names = [f"{kind}_{what}" for what in ("dataset", "generator", "family")]
    sides = [Side(*record) for record in part[names].drop_duplicates().itertuples(index=False)]
    order = {family: index for index, family in enumerate(FAMILIES)}
    return tuple(sorted(sides, key=lambda s: (order.get(s.family, len(order)), s.family, s.dataset, s.generator)))
