"""Plots, drawn without a screen and without global state, so that threads can draw at once; only here is matplotlib."""

from dfd_core.plots.bars import Bar, bars
from dfd_core.plots.curves import Curve, det, precision_recall, roc
from dfd_core.plots.figures import png
from dfd_core.plots.heatmaps import heatmap
from dfd_core.plots.histograms import Scores, histograms
from dfd_core.plots.maps import MapPoints, choose_points, feature_map
from dfd_core.plots.reliability import reliability
from dfd_core.plots.robustness import Line, Point, Severity, robustness, severity_of
from dfd_core.plots.variance import Variance, scree, variance_of

__all__ = [
    "Bar",
    "Curve",
    "Line",
    "MapPoints",
    "Point",
    "Scores",
    "Severity",
    "Variance",
    "bars",
    "choose_points",
    "det",
    "feature_map",
    "heatmap",
    "histograms",
    "png",
    "precision_recall",
    "reliability",
    "robustness",
    "roc",
    "scree",
    "severity_of",
    "variance_of",
]
