"""What a report says of a hierarchy."""

from __future__ import annotations

from typing import Any

import numpy as np

from dfd_core.evaluation.hierarchy import HierarchyResult
from dfd_core.evaluation.hierarchy_confusion import Confusion
from dfd_core.evaluation.hierarchy_measures import MEASURES
from dfd_core.plots.confusion import confusion_figure
from dfd_core.plots.figures import png
from dfd_core.reports.sections import Picture, Section
from dfd_core.reports.tables import ABSENT, Table, percent
from dfd_core.specs import content_hash, readable_key

_HEADS = {
    "accuracy": "right",
    "balanced_accuracy": "right, balanced",
    "unknown": "unknown",
    "accuracy_answered": "right among answered",
}
_HOW_TO_READ = (
    "Given the truth above: one decision by itself, asked about the samples that belong to it. End to end: the route "
    "from the top, right where this level and all above it are. Unseen: generators that were not trained on. A sample "
    "of theirs is right as generated, then as its family if that was trained on and else as unknown, then as the "
    "subfamily that it is merged into and else as unknown. Balanced: the mean over what the samples are."
)


def hierarchy_section(result: HierarchyResult) -> Section:
    """How a hierarchy decides, how often it is right on every test set, and what it takes for what."""
    spec = result.summary.spec
    text = [_HOW_TO_READ, *(f"Note: {note}." for note in result.summary.notes())]
    text += [f"Subfamily {name}: {', '.join(_members(result, name))}." for name in spec.merge]
    tests = list(dict.fromkeys(result.table["test"].to_pylist()))
    tables = [_decisions(result), *(_measures(result, test) for test in tests)]
    return Section(f"Hierarchy {spec.name}", text, tables, [_picture(one) for one in result.confusions], folded=True)


def _members(result: HierarchyResult, name: str) -> list[str]:
    return [generator for generator, own in result.summary.generators.items() if own == name]


def _decisions(result: HierarchyResult) -> Table:
    """What decides where, on how many rows, and when it does not answer."""
    rows = []
    for node in result.summary.nodes:
        reducer = "" if node.chosen.reducer.name == "none" else f"{node.chosen.reducer.label()} + "
        trivial = node.kind == "trivial"
        below = f"{node.unknown_below:.4g}" + (f" ({node.threshold})" if node.n_held_out else "")
        rows.append(
            (
                node.level,
                node.family or ABSENT,
                "nothing" if trivial else f"{reducer}{node.chosen.classifier.label()}",
                node.kind,
                ", ".join(f"{name} ({n})" for name, n in zip(node.names, node.n_train, strict=True)),
                ABSENT if trivial else below,
            )
        )
    header = ("level", "within", "decided by", "how", "classes (training rows)", "unknown below")
    return Table(header, tuple(rows), "Decisions")


def _measures(result: HierarchyResult, test: str) -> Table:
    """Every measure of one test set with its interval, a row for each level, scope, and seen or unseen generators."""
    cells: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
    for row in result.table.to_pylist():
        if row["test"] == test:
            cells.setdefault((row["level"], row["scope"], row["generators"]), {})[row["metric"]] = row
    rows = []
    for (level, scope, generators), found in cells.items():
        if level == "real" and scope == "level":
            continue  # nothing is above it: the same as end to end
        scope_name = "end to end" if scope == "end_to_end" else "given the truth above"
        values = [_with_interval(found[name]) for name in MEASURES]
        rows.append((level, scope_name, generators, *values, str(found["accuracy"]["n"])))
    header = ("level", "scope", "generators", *(_HEADS[name] for name in MEASURES), "n")
    return Table(header, tuple(rows), f"{test}, in %")


def _with_interval(row: dict[str, Any]) -> str:
    value = percent(np.nan if row["value"] is None else row["value"])
    return value if row["low"] is None else f"{value} ({percent(row['low'])} – {percent(row['high'])})"


def _picture(confusion: Confusion) -> Picture:
    about = [confusion.hierarchy, confusion.test, confusion.level]
    caption = f"Level {confusion.level} of {confusion.hierarchy} on {confusion.test}: {_mistakes(confusion)}"
    name = readable_key(f"confusion_{confusion.level}_{confusion.hierarchy}"[:120], content_hash(about)) + ".png"
    return Picture(name, png(confusion_figure(confusion)), caption)


def _mistakes(confusion: Confusion) -> str:
    """The most frequent mistake in words, for those who can't see the picture."""
    names = [name for name, _ in confusion.columns]
    wrong = np.array(confusion.counts)
    for counts, row in zip(wrong, confusion.rows, strict=True):
        counts[names.index(row.right)] = 0
    if not wrong.any():
        return "no mistakes"
    place, answer = divmod(int(wrong.argmax()), len(names))
    row = confusion.rows[place]
    stranger = "" if row.seen else " (never seen)"
    return f"most often {row.name}{stranger} is taken for {names[answer]}, {wrong.max()} times"
