"""How the scores of each generator lie beside those of its reals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dfd_core.plots.figures import COLOURS, INK, MUTED, REALS, first, heading, legend, legend_in, panels, plain, tidy

BINS = 25
_LONGEST = 22
_POLICIES = ((INK, "-"), ("#882255", (0, (4, 1.5))), ("#332288", (0, (1, 1))), ("#D55E00", (0, (4, 1.5, 1, 1.5))))


@dataclass(frozen=True)
class Scores:
    """The scores of one generator's test set.

    Attributes:
        label: The generator.
        y: (N,) 0 real or 1 generated.
        score: (N,) in [0, 1].
        thresholds: By threshold policy.
    """

    label: str
    y: np.ndarray
    score: np.ndarray
    thresholds: Mapping[str, float] = field(default_factory=dict)


def histograms(scores: Sequence[Scores], title: str = "") -> Figure:
    """Draws a panel for each generator: shares of its samples and of the reals in each bin, and all thresholds.

    Args:
        scores: The first ten are drawn.
        title: What was run.
    """
    shown, cut = first(scores, "generators")
    policies = sorted({policy for one in shown for policy in one.thresholds})
    entries = 2 + len(policies)
    figure, grid = panels(max(len(shown), 1), 1.45 if len(shown) > 2 else 2.0, 0.75 + legend_in(entries, 2))
    for axes, one in zip(grid, shown, strict=False):
        _panel(axes, one, policies)
    for axes in grid[-2:] if len(grid) > 2 else grid[-1:]:
        axes.set_xlabel("score", fontsize=8.5, color=MUTED)
    handles: list[Any] = [Patch(color=REALS, alpha=0.6), Patch(color=COLOURS[0], alpha=0.6)]
    handles += [Line2D([], [], linewidth=1.3, **_policy(place)) for place in range(len(policies))]
    legend(figure, handles, ["real", "generated", *(f"threshold {policy}" for policy in policies)], 2)
    heading(figure, "Scores: share of samples in each bin (n generated / real)", title, cut)
    return figure


def _panel(axes: Axes, one: Scores, policies: Sequence[str]) -> None:
    edges = np.linspace(0, 1, BINS + 1)
    for label, colour in ((0, REALS), (1, COLOURS[0])):
        own = one.score[one.y == label]
        if len(own):
            heights = 100 * np.histogram(own, edges)[0] / len(own)
            axes.stairs(heights, edges, fill=True, color=colour, alpha=0.5)
            axes.stairs(heights, edges, color=colour, linewidth=1.1)
    for place, policy in enumerate(policies):
        if policy in one.thresholds:
            axes.axvline(one.thresholds[policy], linewidth=1.3, **_policy(place))
    tidy(axes)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.yaxis.set_major_formatter("{x:g} %")
    axes.tick_params(labelsize=8)
    name = one.label if len(one.label) <= _LONGEST else one.label[: _LONGEST - 1] + "…"
    counts = f"{int((one.y == 1).sum())} / {int((one.y == 0).sum())}"
    axes.set_title(f"{plain(name)} ({counts})", fontsize=8, color=INK, loc="left")


def _policy(place: int) -> dict[str, Any]:
    colour, dashes = _POLICIES[place % len(_POLICIES)]
    return {"color": colour, "linestyle": dashes}
