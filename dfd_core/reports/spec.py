"""What a configuration says of the report."""

from __future__ import annotations

from pydantic import field_validator

from dfd_core.evaluation.metrics import METRICS
from dfd_core.specs import Spec


class ReportSpec(Spec):
    """What is drawn.

    Attributes:
        heatmap_metrics: The metrics whose matrices are drawn.
        maps: Whether PCA and t-SNE maps of the features are drawn.
    """

    heatmap_metrics: tuple[str, ...] = ("accuracy", "auroc")
    maps: bool = True

    @field_validator("heatmap_metrics")
    @classmethod
    def _are_metrics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            METRICS[name]
        return value
