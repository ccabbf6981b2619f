"""Results in the wide form that people read and compare: a row for each cell of the grid, a column for each metric."""

from __future__ import annotations

import pandas as pd

from dfd_core.evaluation.metrics import METRICS
from dfd_core.evaluation.samples import ALL

# accuracy.csv is laid beside tables that others published, so it has their word for an augmentation: transform
CELL = {
    "train": "train",
    "test": "test",
    "train_augmentation": "transform",
    "test_augmentation": "test_transform",
    "backbone": "backbone",
    "reducer": "reducer",
    "classifier": "classifier",
}


def accuracy_frame(results: pd.DataFrame, threshold_policy: str = "0.5") -> pd.DataFrame:
    """A row for each training set, test set, augmentation, backbone, reducer and classifier.

    Args:
        results: The long table of results.
        threshold_policy: The policy of the metrics that have a threshold.

    Returns:
        The columns train, test, transform (of the training rows), test_transform, backbone, reducer, classifier, n,
        accuracy, the ends of its interval, every other metric, status and note. A test set is a dataset, with the
        generator behind it where it is one of several. What was not measured is empty.
    """
    rows = results[(results["calibration"] == "none") & results["metric"].isin(list(METRICS))]
    rows = rows[rows["threshold_policy"].isna() | (rows["threshold_policy"] == threshold_policy)]
    rows = rows[rows["test_generator"] != "real"]
    several = {
        side: rows.groupby(f"{side}_dataset")[f"{side}_generator"].nunique().gt(1).to_dict()
        for side in ("train", "test")
    }
    for side in ("train", "test"):
        named = [
            f"{dataset}/{generator}" if several[side][dataset] and generator != ALL else dataset
            for dataset, generator in zip(rows[f"{side}_dataset"], rows[f"{side}_generator"], strict=True)
        ]
        rows = rows.assign(**{side: named})
    keys = ["protocol", *CELL, "seed"]
    index = rows.set_index(keys)
    wide = index.pivot_table(index=keys, columns="metric", values="value", aggfunc="first", dropna=False, observed=True)
    accuracy = index[index["metric"] == "accuracy"]
    wide = wide.reindex(accuracy.index)
    head = accuracy[["n", "n_real", "n_fake", "n_failed", "n_excluded"]]
    ends = accuracy[["low", "high"]].rename(columns={"low": "accuracy_low", "high": "accuracy_high"})
    others = [name for name in METRICS if name in wide.columns and name != "accuracy"]
    first = wide[["accuracy"]] if "accuracy" in wide.columns else accuracy[["value"]].set_axis(["accuracy"], axis=1)
    frame = pd.concat(
        [head[["n"]], first, ends, wide[others], head.drop(columns="n"), accuracy[["status", "note"]]], axis=1
    )
    frame = frame.reset_index().rename(columns=CELL)
    order = [*CELL.values(), *(name for name in frame.columns if name not in {*CELL.values(), "protocol", "seed"})]
    return frame[[*order, "protocol", "seed"]].sort_values([*CELL.values(), "protocol"], ignore_index=True)
