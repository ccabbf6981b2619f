"""What all figures share: how they are made and saved."""

from __future__ import annotations

import io

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 130
INK, MUTED = "#1a1a1a", "#6b6b6b"


def blank(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    """A white figure with one pair of axes; the layout makes room for every label."""
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def plain(name: str) -> str:
    """A name as a label that matplotlib neither reads as a formula nor leaves out of a legend."""
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")


def png(figure: Figure) -> bytes:
    """A figure as a PNG file; the same figure gives the same bytes."""
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
