"""What a file's metadata alone reach where a detector was measured."""

from __future__ import annotations

import pandas as pd

from dfd_core.evaluation.matrices import TESTED_ON, TRAINED_ON
from dfd_core.evaluation.protocols import MATCHED
from dfd_core.evaluation.shortcuts import HIGH_ACCURACY, NEAR_POINTS

BACKBONE = "metadata"
SIGN = "⚠"
NOTE = (
    "metadata: what format, size and compression of the files reach without a look at the picture, in the same cells. "
    f"{SIGN} where that is more than chance, and above {100 * HIGH_ACCURACY:.0f} % or within {100 * NEAR_POINTS:.0f} "
    "points of the detector: its accuracy may be theirs, and says little of images from elsewhere."
)
_PROBE = ["backbone", "reducer", "classifier", "seed", "train_augmentation", "calibration"]
_CELL = ["protocol", *TRAINED_ON, *TESTED_ON]


def is_probe(backbone: pd.Series) -> pd.Series:
    """Which rows are of the metadata probe itself."""
    return backbone == BACKBONE


def with_metadata(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds the column `metadata`: the value of the metadata probe in the same cell, NaN where there is none.

    Of several probes of a protocol the one with the highest mean stands for all; beside detectors of matched images
    stands a probe of matched ones. Where it was not tested on an augmentation or with a threshold policy, its value on
    unchanged images or at 0.5 stands.

    Args:
        frame: Tidy rows of one metric.
    """
    out = frame.reset_index(drop=True).assign(matched=frame["train_augmentation"].eq(MATCHED).to_numpy())
    honest = is_probe(out["backbone"]) & ~out["shuffled_labels"].astype(bool) & out["value"].notna()
    probes = out[honest]
    if probes.empty:
        return frame.assign(metadata=float("nan"))
    kind = ["protocol", "matched"]
    best = probes.groupby([*kind, *_PROBE])["value"].mean().reset_index()
    best = best.sort_values([*kind, "value"]).drop_duplicates(kind, keep="last").drop(columns="value")
    rows = probes.merge(best, on=[*kind, *_PROBE])
    cell = [*_CELL, "matched", "test_augmentation", "threshold_policy"]
    values = rows.drop_duplicates(cell)[[*cell, "value"]]
    found = pd.Series(float("nan"), index=out.index)
    fallbacks: tuple[dict[str, str], ...] = ({}, {"threshold_policy": "0.5"}, {"test_augmentation": "none"})
    for fallback in (*fallbacks, fallbacks[1] | fallbacks[2]):
        keys = out[cell].assign(**fallback)
        found = found.fillna(keys.merge(values, on=cell, how="left")["value"])
    return out.drop(columns="matched").assign(metadata=found.where(~is_probe(out["backbone"])))
