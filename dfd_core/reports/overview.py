"""The sections of a report that answer first: what holds up on unseen generators, and how much it costs in reals."""

from __future__ import annotations

import re
from collections import Counter

import pandas as pd

from dfd_core.evaluation.matrices import GROUP, metric_short, per_generator, per_source, policy_order, policy_text
from dfd_core.evaluation.protocols import MATCHED
from dfd_core.reports.accuracy import accuracy_tables
from dfd_core.reports.sections import Section
from dfd_core.reports.selection import KEY, Selection
from dfd_core.reports.shortcuts import NOTE, SIGN, with_metadata
from dfd_core.reports.summaries import HEADLINES, headline, means, metadata_cell, summary_table
from dfd_core.reports.tables import ABSENT, Table, percent, with_interval

OVERVIEW = ("balanced_accuracy", "accuracy", "auroc", "average_precision", "tpr_at_fpr_1pct", "ece")
FULL = (
    "balanced_accuracy", "accuracy", "accuracy_real", "accuracy_fake", "f1", "auroc", "average_precision", "eer",
    "tpr_at_fpr_1pct", "tpr_at_fpr_5pct", "ece", "brier",
)  # fmt: skip
MAX_ACCURACY_TABLES = 12
MAX_NOTES = 12
_TRAINED_ON = ["train_family", "train_dataset", "train_generator"]
_NUMBERS = re.compile(r"\d+(\.\d+)?")


def overview_section(frame: pd.DataFrame, selection: Selection) -> Section:
    """The one table that people want: the drawn combinations and the metadata probe, unchanged images, unseen ones."""
    shown = selection.with_probes()
    shown = shown[shown["calibration"] == "none"]
    shown = shown[unchanged(shown)]
    metric = headline(shown["metric"])
    told = [name for name in OVERVIEW if name not in HEADLINES or name == metric]
    table = _compact(summary_table(shown, metrics=told), metric_short(metric))
    generators = shown.loc[per_generator(shown), ["test_dataset", "test_generator"]].drop_duplicates()
    text = [
        f"{frame['detector'].nunique()} detectors, {len(generators)} generators, "
        f"{frame['test_augmentation'].nunique()} augmentations in test. {selection.how} The table has unchanged images "
        f"({' and '.join(sorted(set(shown['test_augmentation'])))}); all combinations are under Comparison.",
    ]
    warned = [row for row in table.rows if any(cell.startswith(SIGN) for cell in row)]
    if warned:
        text.append(
            f"{SIGN} In {len(warned)} of {len(table.rows)} rows a look at the files' metadata alone may explain the "
            "accuracy: format, size and compression differ between reals and generated. See the notes below the table."
        )
    notes: Counter[str] = Counter()
    first: dict[str, str] = {}
    for note in (note for note in frame["note"].dropna() if note):
        alike = _NUMBERS.sub("n", note)  # those that differ by numbers alone are told once
        notes[alike] += 1
        first.setdefault(alike, note.rstrip("."))
    text += [f"Note on {n} values: {first[alike]}." for alike, n in sorted(notes.items())[:MAX_NOTES]]
    if len(notes) > MAX_NOTES:
        text.append(f"{len(notes) - MAX_NOTES} more kinds of notes are in the column note of results.csv.")
    return Section("Results on unseen generators", text, [table], of_results=True)


def accuracy_section(selection: Selection, published: pd.DataFrame | None) -> Section:
    """Dataset, accuracy, published: a table for each training set."""
    rows = selection.with_probes()
    rows = rows[(rows["calibration"] == "none") & unchanged(rows)]
    tables = accuracy_tables(rows, published)
    text = ["At threshold 0.5, which is what nearly all papers print."]
    if published is not None:
        told = "Published numbers come from other training sets, sizes and preprocessing; the notes say which."
        text.append(
            told if len(published) else "No published number has the training and test generators of these tables."
        )
    if len(tables) > MAX_ACCURACY_TABLES:
        text.append(f"{MAX_ACCURACY_TABLES} of {len(tables)} tables shown.")
    return Section(
        "Accuracy on every dataset", text, tables[:MAX_ACCURACY_TABLES], folded=len(tables) > 3, of_results=True
    )


def seen_section(selection: Selection) -> Section:
    """What is lost from generators that were trained on to those that were not, and to families that were not."""
    rows = selection.with_probes()
    rows = rows[per_generator(rows) & (rows["calibration"] == "none") & unchanged(rows)]
    metric = headline(rows["metric"])
    rows = with_metadata(rows[rows["metric"] == metric])
    title = f"{metric.replace('_', ' ').capitalize()} in %"
    tables = [
        _seen_table(selection, rows, [], f"{title}, all training sets"),
        _seen_table(selection, rows, _TRAINED_ON, f"{title}, each training set"),
    ]
    text = ["Augmentation in test as in the first table."]
    return Section("Seen and unseen generators", text, tables, folded=True, of_results=True)


def _seen_table(selection: Selection, rows: pd.DataFrame, by: list[str], caption: str) -> Table:
    """Means over seen and unseen generators of each group of detectors, apart by columns of their training sets."""
    kinds = {"seen": rows["seen"], "unseen": ~rows["seen"], "unseen family": ~rows["seen"] & ~rows["family_seen"]}
    probed = bool(rows["metadata"].notna().any())
    columns = [*GROUP, *by]
    found = {kind: means(rows[which], columns) for kind, which in kinds.items()}
    place = GROUP.index("threshold_policy")
    every = {key for one in found.values() for key in one}
    lines = []
    for key in sorted(every, key=lambda key: (policy_order(str(key[place])), *map(str, key))):
        group = dict(zip(columns, key, strict=True))
        own = [found[kind].get(key) for kind in kinds]
        gap = percent(own[0].value - own[1].value) if own[0] and own[1] else ABSENT
        head = [selection.title(tuple(group[name] for name in KEY)), str(group["protocol"])]
        head.append(policy_text(str(group["threshold_policy"])))
        head += [f"{group['train_dataset']}/{group['train_generator']}"] if by else []
        alone = [metadata_cell(own[1]) if own[1] else ABSENT] if probed else []
        lines.append((*head, *(with_interval(*one[:3]) if one else ABSENT for one in own), gap, *alone))
    trained, alone = ["trained on"] if by else [], ["metadata, unseen"] if probed else []
    header = ("detectors", "protocol", "threshold", *trained, *kinds, "seen - unseen", *alone)
    name = f"seen_and_unseen_{'each' if by else 'all'}"
    return Table(header, tuple(lines), caption, (NOTE,) if probed else (), name)


def sources_section(selection: Selection) -> Section | None:
    """The false-positive rate on each source of reals; None where it was not measured."""
    rows = selection.rows[per_source(selection.rows) & (selection.rows["metric"] == "false_positive_rate")]
    rows = rows[unchanged(rows)]
    if rows.empty:
        return None
    policies = sorted(rows["threshold_policy"].dropna().unique(), key=policy_order)
    keys = [*KEY, "protocol", "train_dataset", "train_generator", "test_dataset", "reals"]
    lines = []
    for key, part in rows.groupby(keys, sort=False):
        one = dict(zip(keys, key, strict=True))
        by_policy = part.drop_duplicates("threshold_policy").set_index("threshold_policy")
        cells = []
        for policy in policies:
            value = by_policy.loc[policy] if policy in by_policy.index else None
            cells.append(ABSENT if value is None else with_interval(value["value"], value["low"], value["high"]))
        trained = f"{one['train_dataset']}/{one['train_generator']}"
        head = (selection.title(tuple(key[: len(KEY)])), trained, f"{one['test_dataset']}/{one['reals']}")
        lines.append((*head, *cells, str(int(part["n"].max()))))
    header = ("detector", "trained on", "source of reals", *(f"at {policy_text(p)}" for p in policies), "n")
    table = Table(header, tuple(sorted(lines)), "False-positive rate in % by source of reals", name="false_positives")
    text = [
        "The share of the reals of each source that is called generated. Lower is better; a mean would hide a source."
    ]
    return Section("False positives on each source of reals", text, [table], folded=len(lines) > 30, of_results=True)


def _compact(table: Table, main: str) -> Table:
    """A summary for a small screen: backbone and classifier in one column, what all rows have in common told once."""
    head = [name for name in ("augmentation", "protocol", "detectors") if name in table.header]
    columns = list(zip(*table.rows, strict=True)) if table.rows else [()] * len(table.header)
    told = {
        name: columns[table.header.index(name)][0] for name in head if len(set(columns[table.header.index(name)])) == 1
    }
    kept = [place for place, name in enumerate(table.header) if place > 1 and name not in told]
    # what counts first: the threshold, unseen generators, metadata alone; then those trained on, and the rest
    order = ["protocol", "augmentation", "threshold", main, "metadata", f"{main} seen"]
    kept.sort(key=lambda place: order.index(table.header[place]) if table.header[place] in order else len(order))
    rows = tuple((" · ".join(row[:2]), *(row[place] for place in kept)) for row in table.rows)
    caption = "; ".join([table.caption, *(f"{name}: {value}" for name, value in told.items())])
    return Table(("detector", *(table.header[place] for place in kept)), rows, caption, table.notes, "overview")


def unchanged(frame: pd.DataFrame) -> pd.Series:
    """Which rows are of unchanged images; for detectors of matched images, of matched ones."""
    wanted = pd.Series(clean(frame), index=frame.index, dtype=object).where(
        frame["train_augmentation"] != MATCHED, MATCHED
    )
    return frame["test_augmentation"] == wanted


def clean(frame: pd.DataFrame) -> str:
    """The augmentation that stands for unchanged images: `none` where there is one, else the first by name."""
    names = sorted(set(frame["test_augmentation"]))
    return "none" if "none" in names or not names else str(names[0])
