"""Classifiers and reducers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dfd_core.evaluation.matrices import metric_title
from dfd_core.plots.figures import COLOURS, INK, MUTED, PHONE_IN, blank, first, heading, legend, legend_in, plain, tidy

MAX_GROUPS, MAX_SERIES = 16, 6
_HATCHES = ("", "///", "...", "xx", "\\\\\\", "oo")


class Bar(NamedTuple):
    """One combination.

    Attributes:
        group: The classifier.
        series: The reducer.
        value: Between 0 and 1, NaN where nothing could be measured.
        low: Lower end of the interval, NaN without one.
        high: Upper end.
    """

    group: str
    series: str
    value: float
    low: float = float("nan")
    high: float = float("nan")


def bars(combinations: Sequence[Bar], metric: str, title: str = "") -> Figure:
    """Draws a bar with its interval for each combination, classifiers below one another, the highest first.

    Args:
        combinations: Each pair of classifier and reducer once; of more than 16 classifiers or 6 reducers the first.
        metric: The metric's name; its chance level is drawn where it is 0.5.
        title: What was run.
    """
    best = {
        bar.group: np.nan_to_num([other.value for other in combinations if other.group == bar.group]).max()
        for bar in combinations
    }
    groups, cut = first(sorted(best, key=lambda group: (-best[group], group)), "classifiers", MAX_GROUPS)
    names = sorted({bar.series for bar in combinations}, key=lambda name: (name != "none", name))
    series, cut_series = first(names, "reducers", MAX_SERIES)
    bar_in = 0.17 if len(series) > 1 else 0.24
    height_in = max(1.0, len(groups) * (bar_in * len(series) + 0.12)) + 1.1 + legend_in(len(series), 2)
    figure, axes = blank(PHONE_IN, height_in)
    step = 0.84 / len(series) if series else 1
    for bar in combinations:
        if bar.group not in groups or bar.series not in series or not np.isfinite(bar.value):
            continue
        place = series.index(bar.series)
        y = groups.index(bar.group) - 0.42 + (place + 0.5) * step
        axes.barh(
            y, 100 * bar.value, height=0.92 * step, color=COLOURS[place], hatch=_HATCHES[place], edgecolor="white",
            linewidth=0,
        )  # fmt: skip
        end = 100 * bar.value
        if np.isfinite(bar.low):
            axes.plot([100 * bar.low, 100 * bar.high], [y, y], color=INK, linewidth=1)
            end = 100 * max(bar.high, bar.value)
        axes.text(end + 1, y, f"{100 * bar.value:.1f}", va="center", fontsize=7.5, color=INK)
    axes.axvline(50, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    tidy(axes, f"{metric_title(metric)} in %", "")
    axes.set_xlim(0, 108)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.set_ylim(max(len(groups), 1) - 0.5, -0.5)
    axes.set_yticks(range(len(groups)), [plain(group) for group in groups])
    axes.tick_params(axis="y", labelsize=8.5, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    handles = [Patch(facecolor=COLOURS[i], hatch=_HATCHES[i], edgecolor="white") for i in range(len(series))]
    legend(figure, handles, [f"reducer {name}" for name in series], 2)
    heading(figure, f"{metric_title(metric)}: classifiers and reducers; lines: intervals", title, cut, cut_series)
    return figure
