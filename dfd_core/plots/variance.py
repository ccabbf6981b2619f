"""How many principal components the features have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dfd_core.plots.figures import INK, MUTED, PHONE_IN, blank, first, heading, legend, legend_in, line_style, tidy

MARKS = (0.90, 0.95, 0.99)


class Variance(NamedTuple):
    """What the principal components of one backbone explain.

    Attributes:
        label: The backbone.
        shares: (K,) the share of the variance of each component, falling; none where all vectors are the same.
        n: Samples that it was computed from; no more components than these.
        dimension: Length of the vectors.
    """

    label: str
    shares: np.ndarray
    n: int
    dimension: int

    def needed(self) -> tuple[int, ...]:
        """How many components explain 90, 95 and 99 %."""
        total = np.cumsum(self.shares)
        return tuple(int(np.searchsorted(total, mark - 1e-12) + 1) for mark in MARKS)


def variance_of(label: str, X: np.ndarray) -> Variance:
    """The variance along the principal components of vectors (N, D)."""
    centred = np.asarray(X, dtype=np.float64) - np.mean(X, axis=0, dtype=np.float64)
    squares = np.linalg.svd(centred, compute_uv=False) ** 2 if centred.size else np.empty(0)
    total = squares.sum()
    shares = squares / total if total > 0 else np.empty(0)
    return Variance(label, shares, len(X), X.shape[1])


def scree(backbones: Sequence[Variance], title: str = "") -> Figure:
    """Draws the cumulative explained variance over the number of components, with marks at 90, 95 and 99 %.

    Args:
        backbones: The first ten are drawn.
        title: What the features are of.
    """
    usable = [one for one in backbones if len(one.shares)]
    shown, cut = first(usable, "backbones")
    figure, axes = blank(PHONE_IN, 4.1 + legend_in(len(shown)))
    for mark in MARKS:
        axes.axhline(100 * mark, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    labels = []
    for place, one in enumerate(shown):
        style, needed = line_style(place), one.needed()
        axes.plot(np.arange(1, len(one.shares) + 1), 100 * np.cumsum(one.shares), **style)
        heights = 100 * np.cumsum(one.shares)[np.array(needed) - 1]
        axes.plot(
            needed, heights, linestyle="", marker="o", markersize=5, color=style["color"], markeredgecolor="white"
        )
        labels.append(f"{one.label}: {', '.join(map(str, needed))} of {one.dimension} (n={one.n})")
    longest = max([2, *(len(one.shares) for one in shown)])
    axes.set_xscale("log")
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000) if tick <= longest]
    axes.set_xticks(ticks, list(map(str, ticks)))
    axes.minorticks_off()
    axes.set_xlim(0.95, longest * 1.05)
    axes.set_ylim(0, 101.5)
    axes.set_yticks([0, 20, 40, 60, 80, 90, 95, 99], ["0", "20", "40", "60", "80", "90", "95", "99"])
    tidy(axes, "principal components", "variance explained, %")
    if not shown:
        axes.text(0.5, 0.5, "Nothing varies.", ha="center", color=INK, transform=axes.transAxes)
    legend(figure, [Line2D([], [], **line_style(place)) for place in range(len(shown))], labels)
    dots = "dots and numbers: components for 90, 95 and 99 %"
    heading(figure, "Variance of the features by principal components", title, dots, cut)
    return figure
