"""Reliability diagrams: whether a score of 0.8 means that 80 % are generated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dfd_core.plots.figures import (
    INK,
    MARKERS,
    MUTED,
    PHONE_IN,
    empty,
    first,
    heading,
    legend,
    legend_in,
    line_style,
    tidy,
)

BINS = 10
_Z = 1.959964  # 95 % of a normal distribution


class Bins(NamedTuple):
    """What is in each bin of equal width, (BINS,) each; NaN where a bin is empty.

    Attributes:
        score: Mean score.
        share: Share of generated samples.
        low: Lower end of the share's 95 % interval (Wilson 1927).
        high: Upper end.
        n: Samples, int64.
    """

    score: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray


def binned(y: np.ndarray, score: np.ndarray) -> Bins:
    """Sorts scores in [0, 1] into bins; a score on a border belongs to the upper bin, 1 to the last."""
    place = np.clip((score * BINS).astype(np.int64), 0, BINS - 1)
    n = np.bincount(place, minlength=BINS)
    count = np.where(n, n, np.nan)
    mean = np.bincount(place, weights=score, minlength=BINS) / count
    share = np.bincount(place, weights=y, minlength=BINS) / count
    centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
    return Bins(mean, share, centre - half, centre + half, n)


def reliability(scores: Sequence[tuple[str, np.ndarray, np.ndarray]], title: str = "") -> Figure:
    """Draws the share of generated samples over their scores, and below it how many samples each bin has.

    On the diagonal a score is a probability; below it generated images are claimed too readily.

    Args:
        scores: Label, y (N,) and score (N,) in [0, 1] of each, such as before and after calibration; ten are drawn.
        title: What was run.
    """
    shown, cut = first([one for one in scores if len(one[1])], "lines")
    figure = empty(PHONE_IN, 5.9 + legend_in(len(shown)))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3.6, 1])
    above.plot([0, 100], [0, 100], color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    width = 0.8 / max(len(shown), 1)
    for place, (_, y, score) in enumerate(shown):
        found, style = binned(y, score), line_style(place)
        filled = found.n > 0
        x, share = 100 * found.score[filled], 100 * found.share[filled]
        ends = 100 * np.array([found.low[filled], found.high[filled]])
        above.vlines(x, ends[0], ends[1], color=style["color"], alpha=0.45, linewidth=2.4)
        above.plot(x, share, marker=MARKERS[place % len(MARKERS)], markersize=5, **style)
        left = 100 * (np.arange(BINS) + 0.1 + place * width) / BINS
        below.bar(left, found.n, width=100 * width / BINS, align="edge", color=style["color"])
    tidy(above, "", "generated in the bin, %")
    tidy(below, "score, %", "samples")
    above.set_xlim(-1, 101)
    above.set_ylim(-2, 102)
    if not shown:
        above.text(0.5, 0.5, "Nothing to draw.", ha="center", color=INK, transform=above.transAxes)
    handles = [
        Line2D([], [], marker=MARKERS[place % 7], markersize=5, **line_style(place)) for place in range(len(shown))
    ]
    legend(figure, handles, [f"{label} (n={len(y)})" for label, y, _ in shown])
    heading(figure, "Reliability: dashed, a score is a probability; bars, 95 % intervals of the shares", title, cut)
    return figure
