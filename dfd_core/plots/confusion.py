"""A confusion matrix of a hierarchy's level: what was taken for what."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dfd_core.detectors.hierarchy_spec import LEVELS, REAL, UNKNOWN
from dfd_core.evaluation.hierarchy_confusion import Confusion
from dfd_core.evaluation.hierarchy_truth import Truth
from dfd_core.plots.figures import INK, MUTED, blank, plain

COLOURS = ListedColormap(colormaps["YlGnBu"](np.linspace(0, 0.9, 256)))
EMPTY = (0.965, 0.965, 0.96, 1.0)
_GAP = 0.3  # before `unknown` and before strangers, in cells
_LETTER_IN = 0.085  # width of a letter of the labels, about
_LARGEST_WHOLE = 99_999


def confusion_figure(confusion: Confusion) -> Figure:
    """Draws counts in cells that are coloured by their share of the row, families apart.

    The cell of the right answer has a frame. Generators never seen in training stand below a gap, `unknown` behind one.

    Args:
        confusion: From 1 x 2 to about 30 x 30.
    """
    n_rows, n_columns = confusion.counts.shape
    cell_in = float(np.clip(12 / max(n_rows, n_columns), 0.4, 0.75))
    x, y = _places([name == UNKNOWN for name, _ in confusion.columns]), _places([not r.seen for r in confusion.rows])
    bracketed = confusion.level == "generator"  # above, families are the names themselves
    row_labels = _row_labels(confusion, bracketed)
    column_labels = [plain(name) for name, _ in confusion.columns]
    beside = max((len(_beside(row)) for row in confusion.rows), default=0) if bracketed else 0
    width_in = max(6.0, (x[-1] + 1) * cell_in + _LETTER_IN * (max(map(len, row_labels)) + beside) + 2.2)
    title = textwrap.wrap(plain(f"{confusion.hierarchy} · {confusion.test}"), width=int(width_in * 14))
    above_in = 0.6 + 0.16 * len(title) + (0.5 if bracketed else 0)
    height_in = max(3.4, (y[-1] + 1) * cell_in + 0.7 * _LETTER_IN * max(map(len, column_labels)) + above_in + 0.6)
    figure, axes = blank(width_in, height_in)
    axes.set_xlim(-0.5, x[-1] + 0.5)
    axes.set_ylim(y[-1] + 0.5, -0.5)
    axes.set_aspect("equal")
    _cells(axes, confusion, (x, y), 9.5 if cell_in > 0.5 else 8)
    if bracketed:
        _families(axes, confusion, (x, y), cell_in)
    axes.set_xticks(x, column_labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(y, row_labels)
    axes.tick_params(length=0, labelsize=9 if cell_in > 0.5 else 8, labelcolor=INK)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("answer", color=MUTED)
    axes.set_ylabel("truth", color=MUTED)
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 1), COLOURS), ax=axes, shrink=0.9, aspect=24, pad=0.02, fraction=0.04
    )
    bar.set_ticks([0, 0.5, 1], labels=["0", "50", "100"])
    bar.set_label("% of the row", color=MUTED, fontsize=8)
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=MUTED)
    bar.ax.spines[:].set_visible(False)
    heading = f"Level {LEVELS.index(confusion.level) + 1}, {confusion.level}, end to end: samples"
    figure.suptitle("\n".join([heading, *title]), x=0.012, ha="left", fontsize=9.5, color=INK)
    return figure


def _places(behind: Sequence[bool]) -> list[float]:
    """Where rows or columns stand; those behind the gap follow all others."""
    return [index + (_GAP if late and index else 0) for index, late in enumerate(behind)]


def _cells(axes: Axes, confusion: Confusion, places: tuple[list[float], list[float]], size: float) -> None:
    columns = [name for name, _ in confusion.columns]
    for y, row, counts, shares in zip(places[1], confusion.rows, confusion.counts, confusion.shares(), strict=True):
        for x, name, count, share in zip(places[0], columns, counts, shares, strict=True):
            colour = COLOURS(float(share)) if count else EMPTY
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=1))
            ink = "white" if np.dot(colour[:3], (0.299, 0.587, 0.114)) < 0.55 else INK
            if name == row.right:
                axes.add_patch(Rectangle((x - 0.42, y - 0.42), 0.84, 0.84, fill=False, edgecolor=ink, linewidth=1))
            if count:
                axes.text(x, y, _short(int(count)), ha="center", va="center", fontsize=size, color=ink)


def _short(count: int) -> str:
    return str(count) if count <= _LARGEST_WHOLE else f"{count / 1000:.0f}k"


def _spans(families: Sequence[str], places: Sequence[float]) -> list[tuple[str, float, float]]:
    """Family, first and last place of each run; a gap ends a run."""
    spans = []
    keys = [(family, place > index) for index, (family, place) in enumerate(zip(families, places, strict=True))]
    for (family, _), run in groupby(range(len(keys)), key=lambda index: keys[index]):
        own = list(run)
        spans.append((family, places[own[0]], places[own[-1]]))
    return spans


def _row_labels(confusion: Confusion, bracketed: bool) -> list[str]:
    """Names with their samples; who was never seen is said where no bracket does."""
    labels = []
    for row, counts in zip(confusion.rows, confusion.counts, strict=True):
        stranger = "" if row.seen or bracketed else ", never seen"
        labels.append(f"{plain(row.name)}{stranger} (n={counts.sum()})")
    return labels


def _beside(row: Truth) -> str:
    """What stands beside a row's bracket."""
    return plain(row.family) if row.seen else f"{plain(row.family)}, never seen"


def _families(axes: Axes, confusion: Confusion, places: tuple[list[float], list[float]], cell_in: float) -> None:
    """Lines between families, and a bracket with its name above each family's columns and beside its rows."""
    across = _spans([family for _, family in confusion.columns], places[0])
    down = _spans([row.family for row in confusion.rows], places[1])
    between: dict[str, Any] = {"color": MUTED, "linewidth": 0.8}
    for spans, draw, end in ((across, axes.vlines, places[1][-1]), (down, axes.hlines, places[0][-1])):
        for (_, _, before), (_, first, _) in pairwise(spans):
            if first - before < 1 + _GAP / 2:  # a gap parts by itself
                draw(first - 0.5, -0.5, end + 0.5, **between)
    style: dict[str, Any] = {"fontsize": 8.5, "color": MUTED}
    line: dict[str, Any] = {"color": MUTED, "linewidth": 1, "clip_on": False}
    named = [span for span in across if span[0] not in (REAL, UNKNOWN)]
    tilted = any(len(family) * _LETTER_IN > (last - first + 1) * cell_in for family, first, last in named)
    turn: dict[str, Any] = {"rotation": 40, "ha": "left", "rotation_mode": "anchor"} if tilted else {"ha": "center"}
    for family, first, last in named:
        axes.plot([first - 0.42, last + 0.42], [-0.62, -0.62], **line)
        axes.text((first + last) / 2, -0.75, plain(family), va="bottom", **turn, **style)
    edge = places[0][-1] + 0.5
    rows = dict(zip(places[1], confusion.rows, strict=True))
    for family, first, last in down:
        if family != REAL:
            axes.plot([edge + 0.12, edge + 0.12], [first - 0.42, last + 0.42], **line)
            axes.text(edge + 0.25, (first + last) / 2, _beside(rows[first]), va="center", **style)
