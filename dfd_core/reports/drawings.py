"""The sections of a report that are drawn from results: heat maps, robustness, comparison."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from dfd_core.augmentations import AUGMENTATIONS, AugmentationSpec
from dfd_core.evaluation.matrices import (
    Matrix,
    group_title,
    matrices_of,
    metric_title,
    per_generator,
    per_source,
    policy_text,
)
from dfd_core.plots import Bar, Line, Point, bars, heatmap, png, robustness, severity_of
from dfd_core.reports.overview import FULL, clean
from dfd_core.reports.sections import Picture, Section
from dfd_core.reports.selection import Selection, matches
from dfd_core.reports.shortcuts import is_probe
from dfd_core.reports.summaries import headline, matrix_table, means, summary_table
from dfd_core.specs import content_hash, readable_key

MAX_HEATMAPS, MAX_BACKBONES = 6, 4
_SIDES = ["train_family", "train_dataset", "train_generator"]


def heatmap_section(selection: Selection, metric: str) -> Section:
    """The matrices of a metric as heat maps and as tables, at threshold 0.5, of the drawn combinations."""
    rows = selection.rows[(selection.rows["metric"] == metric) & ~per_source(selection.rows)]
    rows = rows[(rows["calibration"] == "none") & rows["threshold_policy"].fillna("0.5").eq("0.5")]
    found = [one for key in selection.keys for one in matrices_of(rows[matches(rows, key)], metric)]
    probes = selection.probes[(selection.probes["metric"] == metric) & per_generator(selection.probes)]
    probes = probes[probes["threshold_policy"].fillna("0.5").eq("0.5") & (probes["test_augmentation"] == clean(rows))]
    title = metric_title(metric)
    shown = sorted(found, key=lambda one: one.group["test_augmentation"] != clean(rows))[:MAX_HEATMAPS]
    pictures = [Picture(_file_name(one), png(heatmap(one)), f"{title}: {one.title()}") for one in shown]
    tables = [matrix_table(one) for one in (*shown, *matrices_of(probes, metric))]
    text = ["Framed cells: the generator was trained on. Grey: could not be measured."]
    if len(found) > len(shown):
        text.append(f"{len(shown)} of {len(found)} matrices drawn, unchanged images first.")
    return Section(f"{title}, trained × tested", text, tables, pictures, folded=True, of_results=True)


def robustness_section(
    selection: Selection, metrics: tuple[str, ...], augmentations: Mapping[str, AugmentationSpec]
) -> Section | None:
    """Metrics on unseen generators over severity: of the drawn combinations, and of the first by training set.

    Args:
        selection: What is drawn.
        metrics: One picture of each kind for each.
        augmentations: Those of the run by name; names that are not among them are looked up among the presets.

    Returns:
        None where no augmentation has a severity.
    """
    rows = selection.rows[per_generator(selection.rows) & (selection.rows["calibration"] == "none")]
    rows = rows[~rows["seen"] & rows["threshold_policy"].fillna("0.5").eq("0.5")]
    if rows.empty:
        return None
    protocol = _first(rows, "protocol")
    rows = rows[rows["protocol"] == protocol]
    presets = {name: AUGMENTATIONS[name] for name in set(rows["test_augmentation"]) if name in AUGMENTATIONS}
    known = {**presets, **augmentations}
    pictures = []
    for metric in metrics:
        own = rows[rows["metric"] == metric]
        together = [Line(f"{selection.title(key)}", _points(own[matches(own, key)], known)) for key in selection.keys]
        drawings = [(together, "mean of unseen generators and of all training sets", "all")]
        for key in selection.keys[:1]:
            part = own[matches(own, key)]
            lines = [
                Line("/".join(map(str, side[1:])), _points(some, known))
                for side, some in part.groupby(_SIDES, sort=True)
            ]
            drawings.append((lines, f"{selection.title(key)} · unseen generators by training set", str(key)))
        for lines, title, which in drawings:
            figure = robustness(lines, metric, title)
            if figure is not None:
                name = readable_key(f"robustness_{metric}", content_hash([metric, which])) + ".png"
                pictures.append(Picture(name, png(figure), f"{metric_title(metric)} over severity: {title}"))
    if not pictures:
        return None
    text = [
        "On generators that were not trained on, at threshold 0.5 where one is needed, protocol "
        f"{protocol.replace('_', ' ')}. Mild changes are at the left."
    ]
    return Section("Robustness", text, pictures=pictures)


def comparison_section(frame: pd.DataFrame) -> Section:
    """All combinations of classifiers and reducers: bars for each backbone, and the whole table."""
    rows = frame[per_generator(frame) & ~frame["seen"] & (frame["calibration"] == "none")]
    metric = headline(rows["metric"])
    rows = rows[(rows["metric"] == metric) & (rows["threshold_policy"] == "0.5")]
    rows = rows[~rows["shuffled_labels"].astype(bool) & ~is_probe(rows["backbone"])]
    rows = rows[
        (rows["test_augmentation"] == clean(rows)) & (rows["train_augmentation"] == _first(rows, "train_augmentation"))
    ]
    rows = rows[rows["protocol"] == _first(rows, "protocol")]
    pictures = []
    backbones = sorted(rows["backbone"].unique())
    for backbone in backbones[:MAX_BACKBONES]:
        part = rows[(rows["backbone"] == backbone) & (rows["seed"] == rows["seed"].min())]
        found = means(part, ["classifier", "reducer"])
        bar = [Bar(str(key[0]), str(key[1]), *one[:3]) for key, one in found.items()]
        group = {name: str(part[name].iloc[0]) for name in ("backbone", "protocol", "train_augmentation")}
        title = group_title({**group, "classifier": f"mean of unseen generators, threshold {policy_text('0.5')}"})
        name = readable_key(f"bars_{backbone}", content_hash([backbone, metric])) + ".png"
        pictures.append(
            Picture(name, png(bars(bar, metric, title)), f"{metric_title(metric)} by classifier and reducer: {title}")
        )
    text = ["The highest stands first, by what was reached in the tests: for looking at, not for choosing a detector."]
    if len(backbones) > MAX_BACKBONES:
        text.append(f"{MAX_BACKBONES} of {len(backbones)} backbones drawn; all are in the tables.")
    tables = [summary_table(frame, metrics=FULL), summary_table(frame, by_training_set=True, metrics=FULL)]
    return Section("Comparison of classifiers and reducers", text, tables, pictures, folded=True, of_results=True)


def _points(rows: pd.DataFrame, known: Mapping[str, AugmentationSpec]) -> tuple[Point, ...]:
    points = []
    for (augmentation,), mean in means(rows, ["test_augmentation"]).items():
        severity = severity_of(known[augmentation]) if augmentation in known else None
        if severity is not None or augmentation == "none":
            low, high = (end if abs(end) < float("inf") else float("nan") for end in mean[1:3])
            points.append(Point(severity, mean.value, low, high))
    return tuple(points)


def _first(rows: pd.DataFrame, column: str) -> str:
    """The usual value of a column, or the first by name."""
    names = sorted(map(str, rows[column].unique()))
    return next((name for name in ("none", "cross_generator") if name in names), names[0] if names else "")


def _file_name(matrix: Matrix) -> str:
    group = matrix.group
    parts = ("backbone", "reducer", "classifier", "train_augmentation", "test_augmentation")
    name = "_".join([matrix.metric, *(group[part] for part in parts)])
    return readable_key(name[:120], content_hash([matrix.metric, group])) + ".png"
