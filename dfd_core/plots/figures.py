"""What all figures share: how they are made and saved, their colours, and how much fits into one."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import Any, TypeVar

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

DPI = 144
PHONE_IN = 4.9
"""Width at which a figure's smallest letters can still be read on a phone."""
MAX_LINES = 10
INK, MUTED, GRID = "#1a1a1a", "#5f5f5f", "#e4e4e4"
# Okabe and Ito's colours without yellow and black, then indigo, olive and wine of Tol's: apart for colour-blind readers
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#332288", "#999933", "#882255")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
REALS = "#8a8a8a"
T = TypeVar("T")


def blank(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    """A white figure with one pair of axes; the layout makes room for every label."""
    figure = empty(width_in, height_in)
    return figure, figure.add_subplot()


def empty(width_in: float, height_in: float) -> Figure:
    """A white figure without axes."""
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def panels(n: int, panel_in: float, above_in: float) -> tuple[Figure, list[Axes]]:
    """A figure for phones with `n` panels of one height, in one column up to two, else in two; axes are shared.

    Args:
        n: How many, at least 1.
        panel_in: Height of each in inches.
        above_in: Room for the heading and the legend.
    """
    columns = 1 if n < 3 else 2
    rows = -(-n // columns)
    figure = empty(PHONE_IN, rows * panel_in + above_in)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for unused in grid.flat[n:]:
        unused.set_axis_off()
    return figure, list(grid.flat[:n])


def plain(name: str) -> str:
    """A name as a label that matplotlib neither reads as a formula nor leaves out of a legend."""
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")


def first(items: Sequence[T], what: str, limit: int = MAX_LINES) -> tuple[list[T], str]:
    """The first of what may be too much for a figure, and a line that says so: `10 of 23 generators shown`."""
    return list(items[:limit]), f"{limit} of {len(items)} {what} shown" if len(items) > limit else ""


def line_style(place: int) -> dict[str, Any]:
    """Colour and dashes of the line at a place; up to 27 differ, neighbours in both."""
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": DASHES[(place + place // 9) % 3], "linewidth": 1.6}


def tidy(axes: Axes, x: str = "", y: str = "") -> None:
    """Axes with a pale grid, without a box, with quiet labels."""
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#b5b5b5")
    axes.tick_params(length=0, labelsize=8.5, labelcolor=MUTED)
    axes.set_xlabel(x, fontsize=9, color=MUTED)
    axes.set_ylabel(y, fontsize=9, color=MUTED)


def heading(figure: Figure, *parts: str) -> None:
    """What a figure shows, at its upper left, wrapped to its width; empty parts are left out."""
    width = int(figure.get_figwidth() * 13)
    lines = [line for part in parts if part for line in textwrap.wrap(plain(part), width)]
    figure.suptitle("\n".join(lines), x=0.012, ha="left", fontsize=9.5, color=INK)


def legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str], columns: int = 1) -> None:
    """A legend below all axes."""
    if handles:
        names = [textwrap.shorten(plain(label), 64, placeholder="…") for label in labels]
        found = figure.legend(handles, names, loc="outside lower left", ncols=columns, frameon=False, fontsize=8.5)
        for text in found.get_texts():
            text.set_color(INK)


def legend_in(n: int, columns: int = 1) -> float:
    """Inches that a legend of `n` entries takes."""
    return 0.17 * -(-n // columns) + 0.12


def box(axes: Axes, corner: tuple[float, float], size: tuple[float, float], **style: Any) -> None:
    """A rectangle."""
    axes.add_patch(Rectangle(corner, *size, **style))


def png(figure: Figure) -> bytes:
    """A figure as a PNG file; the same figure gives the same bytes."""
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
