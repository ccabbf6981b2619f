"""Maps of the features: a point for each sample, coloured by generator."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dfd_core.evaluation.matrices import FAMILIES
from dfd_core.features.table import FeatureTable
from dfd_core.plots.figures import COLOURS, INK, MUTED, blank, plain
from dfd_core.plots.projections import Plane, Projection, project

MAX_POINTS = 1500
REAL = "real"
MARKERS = {"gan": "o", "diffusion": "^", "autoregressive": "s", "other": "D"}
TITLES = {"pca": "PCA", "tsne": "t-SNE"}
_LAYERS = 5


@dataclass(frozen=True)
class MapPoints:
    """Samples to put on a map.

    Attributes:
        X: (N, D) float32 vectors.
        names: (N,) str, the generator of each, `real` for reals.
        families: Family by name.
        counts: Samples there were by name, before some were chosen.
    """

    X: np.ndarray
    names: np.ndarray
    families: dict[str, str]
    counts: dict[str, int]


def choose_points(
    frame: pd.DataFrame, tables: Mapping[str, FeatureTable], max_points: int = MAX_POINTS, seed: int = 0
) -> MapPoints:
    """Chooses samples at random, from every generator as evenly as their numbers allow.

    Args:
        frame: Rows of one or several manifests; all splits take part.
        tables: Vectors by dataset; samples without one are left out.
        max_points: How many, at most.
        seed: Of the choice.
    """
    several = len(tables) > 1
    parts, vectors = [], []
    for dataset, table in sorted(tables.items()):
        rows = frame[frame["dataset"] == dataset].drop_duplicates("sample_id").sort_values("sample_id")
        indices, missing = table.rows(rows["sample_id"].to_numpy())
        rows = rows[~missing]
        prefix = np.where((rows["label"] == 1) & several, f"{dataset}/", "")
        parts.append(pd.DataFrame({"name": prefix + rows["generator"], "family": rows["family"], "row": indices}))
        vectors.append(table)
    origin = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    rows = pd.concat(parts, ignore_index=True).assign(table=origin)
    counts = {str(name): int(n) for name, n in rows["name"].value_counts().sort_index().items()}
    shares = _even_shares(counts, max_points)
    generator = np.random.default_rng(seed)
    chosen = [
        generator.choice(np.flatnonzero(rows["name"] == name), size=share, replace=False)
        for name, share in shares.items()
    ]
    picked = rows.iloc[np.sort(np.concatenate(chosen))] if chosen else rows
    X = [table.X[picked.loc[picked["table"] == place, "row"]] for place, table in enumerate(vectors)]
    families = dict(zip(rows["name"], rows["family"], strict=True))
    return MapPoints(np.concatenate(X) if X else np.empty((0, 1)), picked["name"].to_numpy(), families, counts)


def feature_map(points: MapPoints, projection: Projection, title: str, seed: int = 0) -> Figure:
    """Draws a map; colour and marker tell the generator, the marker alone its family, grey dots beneath are reals.

    Where there is nothing to project, the figure says why.

    Args:
        points: The samples.
        projection: `pca` or `tsne`.
        title: What the vectors are.
        seed: For t-SNE.
    """
    figure, axes = blank(7.8, max(5.6, 0.2 * (len(points.counts) + 7)))
    plane = project(points.X, projection, seed)
    styles = _styles(points)
    if plane.note:
        axes.text(0.5, 0.5, plane.note, ha="center", va="center", color=INK, transform=axes.transAxes)
        axes.set_axis_off()
    else:
        _scatter(axes, plane, points, styles)
        figure.legend(
            *_legend(points, styles), loc="outside right upper", frameon=False, fontsize=8.5, handletextpad=0.3
        )
    total = sum(points.counts.values())
    shown = f"all {total} samples" if len(points.X) == total else f"{len(points.X)} of {total} samples, drawn evenly"
    heading = [f"{TITLES[projection]} of the features", *textwrap.wrap(plain(title), 110), shown]
    figure.suptitle("\n".join(heading), x=0.012, ha="left", fontsize=9.5, color=INK)
    return figure


def _even_shares(counts: Mapping[str, int], total: int) -> dict[str, int]:
    """As many of each as there are, or as an even division of what the smaller ones leave over allows."""
    shares: dict[str, int] = {}
    left = total
    for place, (name, count) in enumerate(sorted(counts.items(), key=lambda item: (item[1], item[0]))):
        shares[name] = min(count, left // (len(counts) - place))
        left -= shares[name]
    return dict(sorted(shares.items()))


def _ordered(points: MapPoints) -> Iterator[tuple[str, list[str]]]:
    """Families of generators with their names, known families first."""
    families = sorted({family for name, family in points.families.items() if name != REAL})
    known = [family for family in FAMILIES if family in families]
    for family in known + [family for family in families if family not in FAMILIES]:
        yield family, sorted(name for name in points.families if points.families[name] == family and name != REAL)


def _styles(points: MapPoints) -> dict[str, dict[str, Any]]:
    """Colour, marker and filling of every generator: colours repeat after nine, then hollow."""
    styles: dict[str, dict[str, Any]] = {}
    place = 0
    for family, names in _ordered(points):
        for rank, name in enumerate(names):
            colour = COLOURS[place % len(COLOURS)]
            hollow = (rank // len(COLOURS)) % 2 == 1
            face = "none" if hollow else colour
            styles[name] = {
                "marker": MARKERS.get(family, "P"),
                "facecolor": face,
                "edgecolor": colour if hollow else "white",
            }
            place += 1
    return styles


def _scatter(axes: Axes, plane: Plane, points: MapPoints, styles: dict[str, dict[str, Any]]) -> None:
    def at(name: str) -> np.ndarray:
        return np.asarray(plane.points[points.names == name])

    x, y = at(REAL).T
    axes.scatter(x, y, s=16, marker="o", color="#8a8a8a", alpha=0.55, linewidths=0)
    for layer in range(_LAYERS):  # in turns, so that no generator lies on top of all others
        for name, style in styles.items():
            width = 1.1 if style["facecolor"] == "none" else 0.35
            x, y = at(name)[layer::_LAYERS].T
            axes.scatter(x, y, s=26, alpha=0.85, linewidths=width, **style)
    axes.set_xlabel(plane.axes[0], color=MUTED, fontsize=9)
    axes.set_ylabel(plane.axes[1], color=MUTED, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#cccccc")


def _legend(points: MapPoints, styles: dict[str, dict[str, Any]]) -> tuple[list[Line2D], list[str]]:
    """Handles and labels: the reals, then each family under its name, with the number of points shown."""

    def entry(name: str) -> str:
        return f"{plain(name)} ({int((points.names == name).sum())})"

    handles: list[Line2D] = []
    labels: list[str] = []
    if REAL in points.counts:
        handles.append(Line2D([], [], linestyle="", marker="o", color="#8a8a8a", markersize=5))
        labels.append(entry(REAL))
    for family, names in _ordered(points):
        handles.append(Line2D([], [], linestyle=""))
        labels.append(rf"$\bf{{{family}}}$" if family.isalpha() else plain(family))
        for name in names:
            style = styles[name]
            colour = style["edgecolor"] if style["facecolor"] == "none" else style["facecolor"]
            handle = Line2D([], [], linestyle="", marker=style["marker"], markersize=6, color=colour)
            handle.set_markerfacecolor(style["facecolor"])
            handles.append(handle)
            labels.append(entry(name))
    return handles, labels
