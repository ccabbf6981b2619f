"""The matrix of training sets x test sets as a heat map."""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dfd_core.evaluation.matrices import Matrix, Side, metric_title
from dfd_core.evaluation.metrics import METRICS
from dfd_core.plots.figures import INK, MUTED, blank, plain

# chance, 0.5, is the pale middle: red below it, blue above; both ramps are safe for colour-blind readers
COLOURS = ListedColormap(
    np.concatenate([colormaps["YlOrRd_r"](np.linspace(0.1, 1, 128)), colormaps["YlGnBu"](np.linspace(0, 0.9, 128))])
)
MISSING = (0.85, 0.85, 0.85, 1.0)
_GAP = 0.3  # between the matrix and the column of means, in cells
_LETTER_IN = 0.085  # width of a letter of the labels, about
_ROOMY_IN, _MOST_ROOMY = 0.88, 9  # cells with intervals, and of how many there is room in a row


def heatmap(matrix: Matrix) -> Figure:
    """Draws a matrix with a value in every cell, families together, and the mean over unseen generators beside it.

    Cells whose generator was trained on have a frame; grey cells could not be measured. Metrics of which a lower value
    is better have the colours the other way round. Intervals and n stand in the cells where there is room.

    Args:
        matrix: From 1 x 1 to about 30 x 30.
    """
    n_rows, n_columns = matrix.values.shape
    cell_in = float(np.clip(12 / max(n_rows, n_columns), 0.4, 0.75))
    if _with_intervals(matrix):
        cell_in = _ROOMY_IN
    row_labels, column_labels = list(map(plain, matrix.labels()[0])), _with_counts(matrix)
    width_in = max(6.0, (n_columns + 1 + _GAP) * cell_in + _LETTER_IN * max(map(len, row_labels)) + 2.2)
    title = textwrap.wrap(plain(matrix.title()), width=int(width_in * 14))
    above_in = 0.75 + 0.16 * len(title) + (0.5 if _crowded(matrix.columns, cell_in) else 0)
    height_in = max(4.4, n_rows * cell_in + 0.7 * _LETTER_IN * max(map(len, column_labels)) + above_in + 0.75)
    figure, axes = blank(width_in, height_in)
    axes.set_xlim(-0.5, n_columns + 0.5 + _GAP)
    axes.set_ylim(n_rows - 0.5, -0.5)
    axes.set_aspect("equal")
    _cells(axes, matrix, cell_in)
    _families(axes, matrix, cell_in)
    means = [*range(n_columns), n_columns + _GAP]
    axes.set_xticks(means, [*column_labels, "mean of unseen"], rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n_rows), row_labels)
    axes.tick_params(length=0, labelsize=9 if cell_in > 0.5 else 8, labelcolor=INK)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("tested on", color=MUTED)
    axes.set_ylabel("trained on", color=MUTED)
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 1), _colours(matrix)), ax=axes, shrink=0.9, aspect=24, pad=0.02, fraction=0.04
    )
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25", "50", "75", "100"])
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=MUTED)
    bar.ax.spines[:].set_visible(False)
    heading = f"{metric_title(matrix.metric)} in %"
    figure.suptitle("\n".join([heading, *title]), x=0.012, ha="left", fontsize=9.5, color=INK)
    return figure


def _colours(matrix: Matrix) -> ListedColormap:
    if matrix.metric in METRICS and not METRICS[matrix.metric].higher_is_better:
        return COLOURS.reversed()
    return COLOURS


def _with_intervals(matrix: Matrix) -> bool:
    """Whether there are intervals, and room for them."""
    return bool(np.isfinite(matrix.low).any()) and max(matrix.values.shape) <= _MOST_ROOMY


def _with_counts(matrix: Matrix) -> list[str]:
    """The columns' labels with the samples behind their values."""
    labels = []
    for label, counts in zip(matrix.labels()[1], matrix.n.T, strict=True):
        low, high = counts.min(), counts.max()
        labels.append(f"{plain(label)} (n={high})" if low == high else f"{plain(label)} (n={low}–{high})")
    return labels


def _cells(axes: Axes, matrix: Matrix, cell_in: float) -> None:
    n_columns = len(matrix.columns)
    size, digits = (9.5, 1) if cell_in > 0.5 else (8, 0)
    seen, colours, intervals = matrix.seen, _colours(matrix), _with_intervals(matrix)
    for row, means in enumerate(matrix.mean_of_others()):
        values = [*matrix.values[row], means]
        for column, value in enumerate(values):
            x = column + (_GAP if column == n_columns else 0)
            colour = colours(float(value)) if np.isfinite(value) else MISSING
            axes.add_patch(Rectangle((x - 0.5, row - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=1))
            ink = "white" if np.dot(colour[:3], (0.299, 0.587, 0.114)) < 0.55 else INK
            if column < n_columns and seen[row, column]:
                axes.add_patch(Rectangle((x - 0.42, row - 0.42), 0.84, 0.84, fill=False, edgecolor=ink, linewidth=1))
            text = f"{100 * value:.{digits}f}" if np.isfinite(value) else "–"
            told = intervals and column < n_columns and np.isfinite(matrix.low[row, column])
            axes.text(x, row - (0.16 if told else 0), text, ha="center", va="center", fontsize=size, color=ink)
            if told:
                low, high, n = (array[row, column] for array in (matrix.low, matrix.high, matrix.n))
                more = f"[{100 * low:.1f}, {100 * high:.1f}]\nn={n}"
                axes.text(x, row + 0.17, more, ha="center", va="center", fontsize=6.2, color=ink, linespacing=1.1)


def _spans(sides: tuple[Side, ...]) -> list[tuple[str, int, int]]:
    """Family, first and last index of each run."""
    spans, start = [], 0
    for family, run in groupby(sides, key=lambda side: side.family):
        length = len(list(run))
        spans.append((family, start, start + length - 1))
        start += length
    return spans


def _crowded(sides: tuple[Side, ...], cell_in: float) -> bool:
    """Whether a family's name is longer than its columns are wide."""
    return any(len(family) * _LETTER_IN > (last - first + 1) * cell_in for family, first, last in _spans(sides))


def _families(axes: Axes, matrix: Matrix, cell_in: float) -> None:
    """A bracket with the family's name above its columns and beside its rows."""
    style: dict[str, Any] = {"fontsize": 8.5, "color": MUTED}
    tilted = _crowded(matrix.columns, cell_in)
    turn: dict[str, Any] = {"rotation": 40, "ha": "left", "rotation_mode": "anchor"} if tilted else {"ha": "center"}
    line: dict[str, Any] = {"color": MUTED, "linewidth": 1, "clip_on": False}
    for family, first, last in _spans(matrix.columns):
        axes.plot([first - 0.42, last + 0.42], [-0.62, -0.62], **line)
        axes.text((first + last) / 2, -0.75, plain(family), va="bottom", **turn, **style)
    edge = len(matrix.columns) + 0.5 + _GAP
    for family, first, last in _spans(matrix.rows):
        axes.plot([edge + 0.12, edge + 0.12], [first - 0.42, last + 0.42], **line)
        axes.text(edge + 0.25, (first + last) / 2, plain(family), va="center", **style)
