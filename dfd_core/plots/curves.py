"""ROC, precision-recall and detection error trade-off curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.special import ndtri

from dfd_core.evaluation.metrics import METRICS
from dfd_core.plots.figures import INK, MUTED, PHONE_IN, blank, first, heading, legend, legend_in, line_style, tidy

_DET_TICKS = np.array([0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99])


class Curve(NamedTuple):
    """The scores behind one line.

    Attributes:
        label: What they are of.
        y: (N,) 0 real or 1 generated.
        score: (N,) finite, higher for generated.
    """

    label: str
    y: np.ndarray
    score: np.ndarray


class Rates(NamedTuple):
    """What happens at each threshold, from above the highest score down to the lowest, (K + 1,) float64 each.

    Attributes:
        false_positive: Share of reals that are called generated.
        true_positive: Share of generated that are called so.
        precision: Share of what is called generated that is; 1 where nothing is.
    """

    false_positive: np.ndarray
    true_positive: np.ndarray
    precision: np.ndarray

    def equal_error(self) -> float:
        """The rate at which as large a share of reals as of generated is told wrongly, between thresholds linearly."""
        gap = self.false_positive - (1 - self.true_positive)
        after = int(np.argmax(gap >= 0))
        share = -gap[after - 1] / (gap[after] - gap[after - 1])
        return float(self.false_positive[after - 1] + share * np.diff(self.false_positive)[after - 1])


def rates(y: np.ndarray, score: np.ndarray) -> Rates:
    """The rates at every distinct score; equal scores are one step."""
    order = np.argsort(-score, kind="stable")
    last_of_equals = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    hits = np.concatenate([[0.0], np.cumsum(y[order], dtype=np.float64)[last_of_equals]])
    called = np.concatenate([[0.0], last_of_equals + 1.0])
    precision = np.divide(hits, called, out=np.ones_like(hits), where=called > 0)
    return Rates((called - hits) / (called - hits)[-1], hits / hits[-1], precision)


def roc(curves: Sequence[Curve], title: str = "") -> Figure:
    """Draws true against false positives; the diagonal is chance.

    Args:
        curves: The first ten are drawn; those that have one label only are named instead.
        title: What was run.
    """

    def draw(axes: Axes, place: int, curve: Curve) -> str:
        found = rates(curve.y, curve.score)
        axes.plot(100 * found.false_positive, 100 * found.true_positive, **line_style(place))
        return f"AUROC {_percent('auroc', curve)}"

    def base(axes: Axes, _drawn: Sequence[Curve]) -> None:
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
        axes.text(97, 91, "chance", fontsize=8, color=MUTED, ha="right", va="top", rotation=42, rotation_mode="anchor")
        _percent_axes(axes, "reals called generated, %", "generated called generated, %")

    return _figure(curves, ("ROC curves", title), draw, base)


def precision_recall(curves: Sequence[Curve], title: str = "") -> Figure:
    """Draws precision against recall in steps; a dotted line at each share of generated samples is chance.

    Args:
        curves: As for `roc`.
        title: What was run.
    """

    def draw(axes: Axes, place: int, curve: Curve) -> str:
        found = rates(curve.y, curve.score)
        axes.step(100 * found.true_positive, 100 * found.precision, where="pre", **line_style(place))
        return f"AP {_percent('average_precision', curve)}"

    def base(axes: Axes, drawn: Sequence[Curve]) -> None:
        for share in sorted({round(float(curve.y.mean()), 2) for curve in drawn}):
            axes.axhline(100 * share, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
        _percent_axes(axes, "recall: generated called generated, %", "precision, %")

    return _figure(curves, ("Precision-recall curves; dotted: chance", title), draw, base)


def det(curves: Sequence[Curve], title: str = "") -> Figure:
    """Draws misses against false alarms on normal-deviate axes (Martin et al. 1997); a dot is the equal error rate.

    Normal scores give straight lines. Rates of 0 have no place on such axes: lines end where half a sample would be.

    Args:
        curves: As for `roc`.
        title: What was run.
    """
    most = max([40, *(int((curve.y == label).sum()) for curve in curves for label in (0, 1))])
    low, high = float(np.clip(0.5 / most, 0.0005, 0.02)), 0.95

    def draw(axes: Axes, place: int, curve: Curve) -> str:
        found = rates(curve.y, curve.score)
        x, y = (ndtri(np.clip(rate, low, 0.999)) for rate in (found.false_positive, 1 - found.true_positive))
        axes.plot(x, y, **line_style(place))
        rate = found.equal_error()
        at = ndtri(np.clip(rate, low, high))
        axes.plot([at], [at], marker="o", markersize=5, color=line_style(place)["color"], markeredgecolor="white")
        return f"EER {100 * rate:.1f}"

    def base(axes: Axes, _drawn: Sequence[Curve]) -> None:
        ends = ndtri([low, high])
        axes.plot(ends, ends, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
        axes.plot(ends, -ends, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
        axes.text(0.03, 0.03, "chance", fontsize=8, color=MUTED, rotation=-45, rotation_mode="anchor", va="bottom")
        ticks = _DET_TICKS[(low <= _DET_TICKS) & (high >= _DET_TICKS)]
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(ndtri(ticks), labels=[f"{100 * tick:g}" for tick in ticks])
        tidy(axes, "false alarms: reals called generated, %", "misses: generated called real, %")
        axes.set_xlim(*ends)
        axes.set_ylim(*ends)
        axes.set_aspect("equal")

    return _figure(curves, ("Detection error trade-off; dots: equal error rate", title), draw, base)


def _figure(
    curves: Sequence[Curve],
    titles: tuple[str, str],
    draw: Callable[[Axes, int, Curve], str],
    base: Callable[[Axes, Sequence[Curve]], None],
) -> Figure:
    usable = [curve for curve in curves if len(curve.y) and 0 < curve.y.mean() < 1]
    shown, cut = first(usable, "lines")
    without = ", ".join(curve.label for curve in curves if not any(curve is one for one in usable))
    figure, axes = blank(PHONE_IN, 4.9 + legend_in(len(shown)))
    base(axes, shown)
    labels = []
    for place, curve in enumerate(shown):
        fact = draw(axes, place, curve)
        labels.append(f"{curve.label}: {fact} (n={len(curve.y)})")
    if not shown:
        axes.text(0.5, 0.5, "Nothing to draw.", ha="center", color=INK, transform=axes.transAxes)
    handles = [Line2D([], [], **line_style(place)) for place in range(len(shown))]
    legend(figure, handles, labels)
    heading(figure, *titles, cut, f"without samples of both labels: {without}" if without else "")
    return figure


def _percent(metric: str, curve: Curve) -> str:
    return f"{100 * METRICS[metric].function(curve.y, curve.score, 0.5):.1f}"


def _percent_axes(axes: Axes, x: str, y: str) -> None:
    tidy(axes, x, y)
    axes.set_xlim(-1, 101)
    axes.set_ylim(-1, 101)
    axes.set_aspect("equal")
