"""Plots, drawn without a screen and without global state, so that threads can draw at once; only here is matplotlib."""

from dfd_core.plots.figures import png
from dfd_core.plots.heatmaps import heatmap
from dfd_core.plots.maps import MapPoints, choose_points, feature_map

__all__ = ["MapPoints", "choose_points", "feature_map", "heatmap", "png"]
