"""The tables that papers print: for each training set the accuracy on every dataset, beside what others published."""

from __future__ import annotations

import pandas as pd

from dfd_core.evaluation.matrices import FAMILIES, GROUP, TESTED_ON, TRAINED_ON, group_order, group_title, per_generator
from dfd_core.reports.shortcuts import NOTE, is_probe, with_metadata
from dfd_core.reports.summaries import Mean, headline, means, metadata_cell
from dfd_core.reports.tables import ABSENT, Table, with_interval
from dfd_core.specs import content_hash, readable_key

MAX_METHODS = 8
PUBLISHED = ("test_generator", "method", "value", "source", "note")


def accuracy_tables(frame: pd.DataFrame, published: pd.DataFrame | None = None, policy: str = "0.5") -> list[Table]:
    """A table for each detector: dataset, accuracy with its interval, n, metadata alone, and published columns.

    Args:
        frame: Tidy rows of few combinations, since each detector is a table.
        published: Columns `PUBLISHED`, `value` in percent; a method is a column, found by the generator's name in any
            case. With columns train_generator and test_augmentation, those stand where these are the table's too;
            `source` and `note` stand below it.
        policy: The threshold policy.
    """
    metric = "accuracy" if (frame["metric"] == "accuracy").any() else headline(frame["metric"])
    rows = with_metadata(frame[(frame["metric"] == metric) & (frame["threshold_policy"] == policy)])
    rows = rows[~is_probe(rows["backbone"]) & ~(rows["test_generator"] == "real")]
    found = []
    for key, part in rows.groupby([*GROUP, "train_family", *TRAINED_ON], sort=False):
        group = dict(zip(GROUP, map(str, key), strict=False))
        found.append((_order(key), _table(part, group, metric, published)))
    return [table for _, table in sorted(found, key=lambda one: one[0])]


def _table(part: pd.DataFrame, group: dict[str, str], metric: str, published: pd.DataFrame | None) -> Table:
    dataset, generator = part[TRAINED_ON].iloc[0]
    order = {family: index for index, family in enumerate(FAMILIES)}
    part = part.assign(place=part["test_family"].map(order).fillna(len(order)))
    part = part.sort_values(["place", "test_family", *TESTED_ON])
    several = part["test_dataset"].nunique() > 1
    methods, sources = _methods(_of(published, generator, group["test_augmentation"]), part["test_generator"])
    probed = bool(part["metadata"].notna().any())
    lines = []
    columns = [*TESTED_ON, "seen", "value", "low", "high", "n", "metadata"]
    for data, test, seen, *numbers in part[columns].itertuples(index=False, name=None):
        cells = [(f"{data}/{test}" if several else test) + (" (trained on)" if seen else "")]
        cells += [with_interval(*numbers[:3]), str(numbers[3])]
        cells += [metadata_cell(Mean(*numbers))] if probed else []
        lines.append((*cells, *(_published(values, test) for values in methods.values())))
    others = means(part[~part["seen"] & per_generator(part)], TRAINED_ON).get((dataset, generator))
    if others:
        cells = ["mean of unseen", with_interval(*others[:3]), str(int(others.n))]
        cells += [metadata_cell(others)] if probed else []
        lines.append((*cells, *(ABSENT for _ in methods)))
    header = ["dataset", metric.replace("_", " "), "n", *(["metadata"] if probed else [])]
    title = f"Trained on {dataset}/{generator}, in %: {group_title(group)}"
    key = readable_key(f"accuracy_{dataset}_{generator}"[:60], content_hash([dataset, generator, group, metric]))
    notes = (*([NOTE] if probed else []), *sources)
    return Table((*header, *(f"published: {name}" for name in methods)), tuple(lines), title, notes, key)


def _of(published: pd.DataFrame | None, generator: str, augmentation: str) -> pd.DataFrame | None:
    """The published numbers of detectors that were trained on a generator and tested under an augmentation."""
    if published is None or "train_generator" not in published:
        return published
    same = (published["train_generator"] == generator) & (published["test_augmentation"] == augmentation)
    return published[same]


def _methods(
    published: pd.DataFrame | None, generators: pd.Series
) -> tuple[dict[str, dict[str, float]], tuple[str, ...]]:
    """Values by generator of each method that has any of ours, those with the most first, and where they stand."""
    if published is None:
        return {}, ()
    names = {str(name).lower() for name in generators}
    ours = published.assign(key=published["test_generator"].astype(str).str.lower())
    ours = ours[ours["key"].isin(names)]
    counts = (
        ours.groupby("method")["key"].nunique().reset_index().sort_values(["key", "method"], ascending=[False, True])
    )
    chosen = list(counts["method"])[:MAX_METHODS]
    cut = [f"{MAX_METHODS} of {len(counts)} published methods shown, those with the most of these datasets."]
    lines = cut if len(counts) > MAX_METHODS else []
    values = {}
    for method in chosen:
        own = ours[ours["method"] == method]
        values[str(method)] = dict(zip(own["key"], own["value"], strict=True))
        facts = sorted(
            {"; ".join(filter(None, map(_text, pair))) for pair in zip(own["source"], own["note"], strict=True)}
        )
        lines.append(f"published: {method}: {' | '.join(facts)}")
    return values, tuple(lines)


def _text(value: str | float | None) -> str:
    return "" if pd.isna(value) else str(value)


def _published(values: dict[str, float], generator: str) -> str:
    value = values.get(generator.lower(), float("nan"))
    return ABSENT if pd.isna(value) else f"{value:.1f}"


def _order(key: tuple[object, ...]) -> tuple[object, ...]:
    return group_order(tuple(map(str, key)))
