"""Tables that summarise results: means over generators, with intervals and with what metadata alone reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from dfd_core.evaluation.matrices import (
    COMBINATION,
    CROSS_GENERATOR,
    FAMILIES,
    GROUP,
    ORACLE,
    Matrix,
    group_order,
    matrices,
    metric_short,
    metric_title,
    per_generator,
    policy_order,
    tidy,
)
from dfd_core.evaluation.shortcuts import explain
from dfd_core.reports.shortcuts import NOTE, SIGN, with_metadata
from dfd_core.reports.tables import ABSENT, Table, percent, with_interval

SUMMARY_METRICS = ("accuracy", "accuracy_real", "accuracy_fake", "average_precision", "auroc")
HEADLINES = ("balanced_accuracy", "accuracy")
_TRAINED_ON = ["train_family", "train_dataset", "train_generator"]
_ENDS = "Intervals of means have the mean ends of their generators' intervals, so they are rather too wide."
_ORACLE = "† chosen on the test set itself: what the best threshold could reach, not a result."


class Mean(NamedTuple):
    """A mean over test sets; not finite where nothing could be measured, or where there are no intervals.

    Attributes:
        value: Between 0 and 1.
        low: Lower end.
        high: Upper end.
        n: Samples behind it.
        metadata: What metadata alone reach in the same cells.
        distinct: Samples behind it that may be distinct: of several training sets the largest number; 0 is n.
    """

    value: float
    low: float
    high: float
    n: int
    metadata: float
    distinct: int = 0


NOTHING = Mean(np.nan, np.nan, np.nan, 0, np.nan)


def headline(names: Sequence[str] | pd.Series) -> str:
    """The accuracy that stands for all: the balanced one where it was measured."""
    found = set(names)
    return next((name for name in HEADLINES if name in found), HEADLINES[-1])


def means(frame: pd.DataFrame, by: Sequence[str]) -> dict[tuple[Any, ...], Mean]:
    """Means over test sets, then over training sets where `by` does not name them; all weigh alike.

    Args:
        frame: Tidy rows, with or without the column `metadata`.
        by: Columns; nulls in them are a value of their own, the text `None`.
    """
    known = frame[frame["value"].notna()]
    # an end that is missing makes the mean end infinite, which is no interval, instead of being passed over
    known = known.assign(low=known["low"].fillna(-np.inf), high=known["high"].fillna(np.inf))
    known = known.fillna({"threshold_policy": "None"})
    if "metadata" not in known:
        known = known.assign(metadata=np.nan)
    how = {"value": "mean", "low": "mean", "high": "mean", "n": "sum", "metadata": "mean"}
    found = known.groupby(list(dict.fromkeys([*by, *_TRAINED_ON])), sort=False).agg(how)
    found["distinct"] = found["n"]  # training sets are tested on much the same samples
    found = found.groupby(level=list(by), sort=False).agg({**how, "distinct": "max"})
    keys = [key if isinstance(key, tuple) else (key,) for key in found.index]
    return {key: Mean(*row) for key, row in zip(keys, found.itertuples(index=False), strict=True)}


def summary_table(
    results: pa.Table | pd.DataFrame, by_training_set: bool = False, metrics: Sequence[str] = SUMMARY_METRICS
) -> Table:
    """What every combination of backbone, reducer and classifier reaches on generators that it was not trained on.

    Args:
        results: The long table, or a tidy frame.
        by_training_set: A row for each training set, instead of their mean.
        metrics: The columns; those of which the results know nothing are left out.
    """
    frame = tidy(results, *metrics) if isinstance(results, pa.Table) else results[results["metric"].isin(metrics)]
    frame = frame[per_generator(frame)]
    shown = [name for name in metrics if (frame["metric"] == name).any()]
    first = headline(shown)
    main = frame["metric"] == first
    frame = pd.concat([with_metadata(frame[main]), frame[~main].assign(metadata=np.nan)])
    by = [*GROUP, "metric", *(_TRAINED_ON if by_training_set else [])]
    unseen, seen = means(frame[~frame["seen"]], by), means(frame[frame["seen"]], by)
    told = _Told(frame, by_training_set)
    rows: list[tuple[str, ...]] = []
    for combination, policy, side in told.heads(frame):
        found = [_of(unseen, combination, policy, name, side) for name in shown]
        own = _of(seen, combination, policy, first, side)
        main_mean = found[shown.index(first)] if first in shown else NOTHING
        cells = [with_interval(*one[:3]) for one in (own, *found)]
        head = told.cells(combination, policy, side)
        rows.append((*head, *cells, *told.metadata(main_mean), str(int(main_mean.n))))
    shorts = list(map(metric_short, shown))
    header = (*told.header(), f"{metric_short(first)} seen", *shorts, *told.metadata_header(), "n")
    caption = f"In %, means over generators not trained on; {metric_short(first)} seen: on those trained on"
    return Table(header, tuple(rows), caption, told.notes(rows), "summary" + ("_by_training_set" * by_training_set))


def matrix_tables(results: pa.Table, metric: str = "accuracy") -> list[Table]:
    """The matrices train x test of one metric in percent, each with the mean over generators not trained on."""
    return [matrix_table(matrix) for matrix in matrices(results, metric)]


def matrix_table(matrix: Matrix) -> Table:
    """A matrix as a table with intervals and n."""
    labels, columns = matrix.labels()
    header = ("trained on", *columns, "mean of unseen")
    rows = []
    for place, (label, mean) in enumerate(zip(labels, matrix.mean_of_others(), strict=True)):
        numbers = zip(*(array[place] for array in (matrix.values, matrix.low, matrix.high, matrix.n)), strict=True)
        rows.append((label, *(f"{with_interval(*ends)} ({n})" for *ends, n in numbers), percent(mean)))
    return Table(header, tuple(rows), f"{metric_title(matrix.metric)} in % (n): {matrix.title()}")


def metadata_cell(mean: Mean) -> str:
    """What metadata alone reach where the mean was measured, with a sign where that may explain it."""
    sign = f"{SIGN} " if explain(mean.value, mean.metadata, int(mean.distinct or mean.n)) else ""
    return sign + percent(mean.metadata)


def _of(found: dict[tuple[Any, ...], Mean], combination: tuple[Any, ...], policy: str, name: str, side: Any) -> Mean:
    """A mean at a threshold policy; of a metric without threshold the only one there is."""
    own = found.get((*combination, policy, name, *side))
    return own or found.get((*combination, "None", name, *side), NOTHING)


class _Told:
    """Which columns a summary needs to tell its rows apart, and their cells."""

    def __init__(self, frame: pd.DataFrame, by_training_set: bool) -> None:
        self.by_training_set = by_training_set
        self.protocols = set(frame["protocol"]) - {CROSS_GENERATOR}
        self.several = frame["train_dataset"].nunique() > 1 or frame["test_dataset"].nunique() > 1
        self.intervals = bool(frame["low"].notna().any())
        self.probed = bool(frame["metadata"].notna().any())
        sides = frame[[*COMBINATION, *_TRAINED_ON]].drop_duplicates()
        self.training_sets = sides.groupby(COMBINATION, sort=False).size()

    def heads(self, frame: pd.DataFrame) -> list[tuple[tuple[Any, ...], str, tuple[str, ...]]]:
        """Combination, threshold policy and training set of every row, in order."""
        columns = [*GROUP, *(_TRAINED_ON if self.by_training_set else [])]
        keys = list(
            frame[columns].fillna({"threshold_policy": "None"}).drop_duplicates().itertuples(index=False, name=None)
        )
        cut = len(COMBINATION)
        bound = {(key[:cut], key[cut + 1 :]) for key in keys if key[cut] != "None"}
        # a row of its own for metrics without threshold only where there is no other
        heads = [
            (k[:cut], k[cut], k[cut + 1 :]) for k in keys if k[cut] != "None" or (k[:cut], k[cut + 1 :]) not in bound
        ]
        return sorted(heads, key=lambda h: (group_order(tuple(map(str, h[0]))), policy_order(h[1]), _side_order(h[2])))

    def header(self) -> tuple[str, ...]:
        """The headings of `cells`."""
        protocol = ("protocol",) if self.protocols else ()
        trained_on = "trained on" if self.by_training_set else "detectors"
        return ("backbone", "classifier", "augmentation", *protocol, "threshold", trained_on)

    def cells(self, combination: tuple[Any, ...], policy: str, side: tuple[str, ...]) -> tuple[str, ...]:
        """What a row is of."""
        one = dict(zip(COMBINATION, map(str, combination), strict=True))
        reducer = "" if one["reducer"] == "none" else f"{one['reducer']} + "
        more = [
            f"seed {one['seed']}" if one["seed"] != "0" else "",
            one["calibration"] if one["calibration"] != "none" else "",
            "shuffled" if one["shuffled_labels"] == "True" else "",
        ]
        classifier = ", ".join(filter(None, [reducer + one["classifier"], *more]))
        protocol = (one["protocol"].replace("_", " "),) if self.protocols else ()
        threshold = {ORACLE: f"{ORACLE} †", "None": ABSENT}.get(policy, policy)
        name = "/".join(side[1:] if self.several else side[2:])
        trained_on = name if self.by_training_set else str(int(self.training_sets[combination]))
        augmentation = f"{one['train_augmentation']} → {one['test_augmentation']}"
        return (one["backbone"], classifier, augmentation, *protocol, threshold, trained_on)

    def metadata_header(self) -> tuple[str, ...]:
        """The heading of `metadata`."""
        return ("metadata",) if self.probed else ()

    def metadata(self, mean: Mean) -> tuple[str, ...]:
        """What metadata alone reach, where there is a probe."""
        return (metadata_cell(mean),) if self.probed else ()

    def notes(self, rows: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
        """What the signs in the rows mean."""
        oracle = any(cell == f"{ORACLE} †" for row in rows for cell in row)
        return (*([_ENDS] if self.intervals else []), *([NOTE] if self.probed else []), *([_ORACLE] if oracle else []))


def _side_order(side: tuple[str, ...]) -> tuple[Any, ...]:
    order = {family: index for index, family in enumerate(FAMILIES)}
    return (order.get(side[0], len(order)), *side) if side else ()
