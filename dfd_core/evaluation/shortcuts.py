"""Shortcut probes: what a detector would reach that sees metadata alone, beside what the real one reaches.

The probe is an ordinary detector whose backbone is `metadata`: the same protocol, classifiers and splits, on vectors of
each file's format, dimensions, size in bytes and quantisation tables instead of its pixels.
"""

from __future__ import annotations

import math

import numpy as np
import pyarrow.compute as pc

from dfd_core.augmentations import AugmentationSpec, CenterCrop, Jpeg, ResizeTo
from dfd_core.features.table import FeatureTable
from dfd_core.manifests.headers_stored import headers
from dfd_core.manifests.headers_vector import FEATURE_NAMES, vectors
from dfd_core.manifests.manifest import Manifest
from dfd_core.progress import Progress
from dfd_core.statuses import OK
from dfd_core.storage import Store

__all__ = ["BACKBONE", "FEATURE_NAMES", "explain", "is_matched", "metadata_features"]

BACKBONE = "metadata"
"""The label of the backbone of shortcut probes in results."""
NEAR_POINTS = 0.02
HIGH_ACCURACY = 0.60


def metadata_features(
    store: Store, manifest: Manifest, matched: bool = False, progress: Progress | None = None
) -> FeatureTable:
    """The vectors of a manifest's files from their headers alone.

    Args:
        store: Where headers are kept.
        manifest: Whose files.
        matched: As they are after an augmentation for which `is_matched` holds: all files then have one format, one
            size and one set of tables, so the vectors are equal and a classifier is left with chance. The size in bytes
            after re-encoding is 0 like the rest: it is made from pixels and says how busy the picture is, not how its
            file came about, and a detector under `matched` sees pixels only.
        progress: Told how many files were read, and of how many.

    Returns:
        X (N, D) float32 with the columns of `FEATURE_NAMES`, by sample id; files without a readable header are in
        `failed` with their status.
    """
    table = headers(store, manifest, progress)
    readable = pc.equal(table["status"], OK)
    good, bad = table.filter(readable), table.filter(pc.invert(readable))
    X = np.zeros((good.num_rows, len(FEATURE_NAMES)), np.float32) if matched else vectors(good)
    failed = dict(zip(bad["sample_id"].to_pylist(), bad["status"].to_pylist(), strict=True))
    return FeatureTable(np.array(good["sample_id"].to_pylist(), dtype="U"), X, failed)


def is_matched(augmentation: AugmentationSpec) -> bool:
    """Whether all images leave an augmentation with one size and one encoding, whatever they were.

    So it is where each step is always applied, one brings the shorter side to a fixed length, a later one cuts out a
    fixed square no larger than that, and the last compresses at a fixed quality.
    """
    steps = augmentation.steps
    if any(step.probability < 1 for step in steps) or len(steps) < 3:
        return False
    sides = [step.side for step in steps if isinstance(step, ResizeTo)]
    cuts = [step.side for step in steps if isinstance(step, CenterCrop)]
    last = steps[-1]
    changes_size = [step for step in steps if step.op in ("resize", "crop", "resize_to", "center_crop")]
    return (
        (isinstance(last, Jpeg) and last.quality[0] == last.quality[1] and bool(sides) and bool(cuts))
        and isinstance(changes_size[-1], CenterCrop)
        and isinstance(changes_size[-2], ResizeTo)
        and cuts[-1] <= sides[-1]
    )


def explain(detector_accuracy: float, shortcut_accuracy: float, n: int) -> str | None:
    """A warning where metadata alone explain a detector's accuracy, else nothing.

    The rule: metadata do better than chance by more than two standard errors of n guesses (1 / sqrt(n)), and reach more
    than 60 %, or come within 2 points of the detector or above it.

    Args:
        detector_accuracy: Balanced accuracy of the detector, 0 to 1.
        shortcut_accuracy: Balanced accuracy of the probe on the same samples.
        n: How many samples.
    """
    values = (detector_accuracy, shortcut_accuracy)
    if n < 1 or not all(map(math.isfinite, values)) or shortcut_accuracy <= 0.5 + 1 / math.sqrt(n):
        return None
    near = shortcut_accuracy >= detector_accuracy - NEAR_POINTS
    if not near and shortcut_accuracy <= HIGH_ACCURACY:
        return None
    reached = f"{100 * shortcut_accuracy:.1f} % on {n} samples, the detector {100 * detector_accuracy:.1f} %"
    verdict = "they explain its accuracy" if near else "they may explain part of its accuracy"
    return f"metadata alone reach {reached}: {verdict}. Compare under the augmentation `matched`, and see `dfd audit`."
