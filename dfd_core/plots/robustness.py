"""How a metric falls with the severity of what was done to the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dfd_core.augmentations.spec import NONE, AugmentationSpec
from dfd_core.evaluation.matrices import metric_title
from dfd_core.plots.figures import INK, MARKERS, first, heading, legend, legend_in, line_style, panels, plain, tidy

_TITLES = {
    "jpeg quality": "JPEG quality",
    "gaussian_blur sigma": "blur, sigma in pixels",
    "resize factor": "resize, factor",
    "gaussian_noise sigma": "noise, sigma",
    "crop share": "crop, share kept",
}
_MILD_IS_HIGH = ("quality", "factor", "share", "scale")


class Severity(NamedTuple):
    """A kind of change and how strong it is.

    Attributes:
        kind: The step and what it varies, `jpeg quality`.
        value: In the step's own unit.
    """

    kind: str
    value: float


class Point(NamedTuple):
    """A value with its interval; the ends are NaN where there is none.

    Attributes:
        severity: Where; None for unchanged images, where every kind begins.
        value: Between 0 and 1.
        low: Lower end.
        high: Upper end.
    """

    severity: Severity | None
    value: float
    low: float = float("nan")
    high: float = float("nan")


class Line(NamedTuple):
    """What is drawn in one colour.

    Attributes:
        label: A detector, or a training set.
        points: In any order.
    """

    label: str
    points: tuple[Point, ...]


def severity_of(augmentation: AugmentationSpec) -> Severity | None:
    """The severity of an augmentation of one step that is always applied with one strength, else None."""
    if augmentation.name == NONE or len(augmentation.steps) != 1 or augmentation.is_drawn:
        return None
    (step,) = augmentation.steps
    ranges = step.ranges()
    if len(ranges) != 1:
        return None
    ((name, (value, _)),) = ranges.items()
    return Severity(f"{step.op} {name}", value)


def robustness(lines: Sequence[Line], metric: str, title: str = "") -> Figure | None:
    """Draws a panel for each kind of change with the values over its severity, mild at the left.

    Args:
        lines: The first ten are drawn.
        metric: The metric's name.
        title: What was run.

    Returns:
        None where no kind has a severity.
    """
    shown, cut = first(lines, "lines")
    found = {point.severity.kind for line in shown for point in line.points if point.severity}
    kinds = [*(kind for kind in _TITLES if kind in found), *sorted(found - set(_TITLES))]
    if not kinds:
        return None
    figure, grid = panels(len(kinds), 2.1, 0.7 + legend_in(len(shown)))
    for axes, kind in zip(grid, kinds, strict=True):
        _panel(axes, kind, shown)
    finite = [end for line in shown for point in line.points for end in point[1:] if np.isfinite(end)]
    grid[0].set_ylim(100 * min([0.5, *finite]) - 3, 100 * max([0.6, *finite]) + 3)
    handles = [
        Line2D([], [], marker=MARKERS[place % 7], markersize=4, **line_style(place)) for place in range(len(shown))
    ]
    legend(figure, handles, [line.label for line in shown])
    bands = any(np.isfinite(point.low) for line in shown for point in line.points)
    heading(figure, f"{metric_title(metric)} in % over severity", title, "bands: intervals" if bands else "", cut)
    return figure


def _panel(axes: Axes, kind: str, lines: Sequence[Line]) -> None:
    values = {p.severity.value for line in lines for p in line.points if p.severity and p.severity.kind == kind}
    descending = kind.rsplit(" ", 1)[-1] in _MILD_IS_HIGH
    marks = sorted(values, reverse=descending)
    start = _start(marks, descending)
    for place, line in enumerate(lines):
        own = [point for point in line.points if point.severity is None or point.severity.kind == kind]
        x = np.array([point.severity.value if point.severity else start for point in own])
        order = np.argsort(-x if descending else x, kind="stable")
        y = 100 * np.array([point[1:] for point in own], dtype=np.float64).reshape(-1, 3)[order]
        style = line_style(place)
        axes.plot(x[order], y[:, 0], marker=MARKERS[place % len(MARKERS)], markersize=3.5, **style)
        axes.fill_between(x[order], y[:, 1], y[:, 2], color=style["color"], alpha=0.14, linewidth=0)
    unchanged = any(point.severity is None for line in lines for point in line.points)
    ticks = _thinned([*([start] if unchanged else []), *marks])
    axes.set_xticks(ticks, [NONE if unchanged and tick == start else f"{tick:g}" for tick in ticks])
    tidy(axes)
    axes.set_title(plain(_TITLES.get(kind, kind.replace("_", " "))), fontsize=9, color=INK, loc="left")
    axes.tick_params(labelsize=8)
    if descending:
        axes.invert_xaxis()


def _start(marks: Sequence[float], descending: bool) -> float:
    """Where unchanged images stand: one usual step before the mildest severity."""
    steps = np.abs(np.diff(marks))
    step = float(np.median(steps)) if len(steps) else 1.0
    return marks[0] + step if descending else marks[0] - step


def _thinned(ticks: list[float]) -> list[float]:
    """Ticks that lie far enough apart for their labels, the first among them."""
    kept = ticks[:1]
    for tick in ticks[1:]:
        if abs(tick - kept[-1]) >= abs(ticks[-1] - ticks[0]) / 6.5:
            kept.append(tick)
    return kept
