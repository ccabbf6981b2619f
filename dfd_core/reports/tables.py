"""Tables of results, as plain strings that Markdown, HTML and a terminal can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dfd_core.evaluation.matrices import Matrix, matrices
from dfd_core.evaluation.metrics import METRICS

ABSENT = "–"


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        header: C headings.
        rows: Rows of C cells.
        caption: What it shows.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""

    def numeric(self) -> tuple[bool, ...]:
        """For each column whether all its cells are numbers, so that they stand on the right."""
        return tuple(
            bool(self.rows) and all(not any(map(str.isalpha, cell)) and cell != "" for cell in column)
            for column in zip(*self.rows, strict=True)
        ) or (False,) * len(self.header)

    def markdown(self) -> str:
        """As Markdown whose columns also line up as plain text."""
        numeric = self.numeric()
        lines = [self.header, *self.rows]
        cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
        widths = [max(3, *(len(line[column]) for line in cells)) for column in range(len(self.header))]
        rule = ["-" * (width - 1) + (":" if right else "-") for width, right in zip(widths, numeric, strict=True)]
        body = [_aligned(line, widths, numeric) for line in [cells[0], rule, *cells[1:]]]
        caption = [f"**{self.caption}**", ""] if self.caption else []
        return "\n".join([*caption, *(f"| {' | '.join(line)} |" for line in body), ""])


def text_table(table: Table) -> str:
    """A table for a terminal: columns line up, two blanks apart."""
    numeric = table.numeric()
    lines = [table.header, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]
    body = ["  ".join(_aligned(line, widths, numeric)).rstrip() for line in lines]
    body.insert(1, "-" * max(map(len, body)))
    return "\n".join([table.caption, *body] if table.caption else body)


def matrix_tables(results: pa.Table, metric: str = "accuracy") -> list[Table]:
    """The matrices train x test of one metric in percent, each with the mean over generators not trained on."""
    return [_matrix_table(matrix) for matrix in matrices(results, metric)]


def summary_table(results: pa.Table, by_training_set: bool = False) -> Table:
    """What every combination of backbone, reducer and classifier reaches on generators that it was not trained on.

    Args:
        results: The long table.
        by_training_set: A row for each training set, instead of their mean.
    """
    by_metric = {metric: matrices(results, metric) for metric in METRICS}
    rows: list[tuple[str, ...]] = []
    for place, accuracy in enumerate(by_metric["accuracy"]):
        group = accuracy.group
        augmentation = f"{group['train_augmentation']} → {group['test_augmentation']}"
        control = ", shuffled" if group["shuffled_labels"] == "True" else ""
        seed = f", seed {group['seed']}" if group["seed"] != "0" else ""
        reducer = "" if group["reducer"] == "none" else f"{group['reducer']} + "
        head = (group["backbone"], f"{reducer}{group['classifier']}{control}{seed}", augmentation)
        labels, means = accuracy.labels()[0], [found[place].mean_of_others() for found in by_metric.values()]
        seen = _mean_per_row(np.where(accuracy.seen, accuracy.values, np.nan))
        n = np.where(accuracy.seen, 0, accuracy.n).sum(axis=1)
        chosen = [[row] for row in range(len(labels))] if by_training_set else [list(range(len(labels)))]
        for some in chosen:
            trained_on = labels[some[0]] if by_training_set else str(len(some))
            values = [percent(_mean(column[some])) for column in (seen, *means)]
            rows.append((*head, trained_on, *values, str(int(n[some].sum()))))
    trained_on = "trained on" if by_training_set else "detectors"
    metrics = [metric.short for _, metric in METRICS.items()]
    header = ("backbone", "classifier", "augmentation", trained_on, "acc seen", *metrics, "n")
    caption = "In %, on generators not trained on; acc seen: on the one trained on; n: scores behind acc"
    return Table(header, tuple(rows), caption)


def percent(value: float) -> str:
    """A share in percent with one digit behind the point; a dash where there is none."""
    return f"{100 * value:.1f}" if np.isfinite(value) else ABSENT


def _matrix_table(matrix: Matrix) -> Table:
    labels, columns = matrix.labels()
    header = ("trained on", *columns, "mean of unseen")
    rows = [
        (label, *(_cell(value, n) for value, n in zip(values, counts, strict=True)), percent(mean))
        for label, values, counts, mean in zip(labels, matrix.values, matrix.n, matrix.mean_of_others(), strict=True)
    ]
    return Table(header, tuple(rows), f"{METRICS[matrix.metric].title} in % (n): {matrix.title()}")


def _cell(value: float, n: int) -> str:
    return f"{percent(value)} ({n})"


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def _mean_per_row(values: np.ndarray) -> np.ndarray:
    return np.array([_mean(row) for row in values])


def _aligned(line: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> list[str]:
    return [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(line, widths, numeric, strict=True)
    ]
