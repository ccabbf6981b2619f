"""What a file's metadata alone reach where a detector was measured."""

from __future__ import annotations

import pandas as pd

from dfd_core.evaluation.matrices import TESTED_ON, TRAINED_ON
from dfd_core.evaluation.shortcuts import HIGH_ACCURACY, NEAR_POINTS

BACKBONE = "metadata"
SIGN = "⚠"
NOTE = (
    "metadata: what format, size and compression of the files reach without a look at the picture, in the same cells. "
    f"{SIGN} where that is above {100 * HIGH_ACCURACY:.0f} %, or within {100 * NEAR_POINTS:.0f} points of the "
    "detector: its accuracy may be theirs, and says little of images from elsewhere."
)
_PROBE = ["backbone", "reducer", "classifier", "seed", "train_augmentation", "calibration"]
_CELL = ["protocol", *TRAINED_ON, *TESTED_ON]


def is_probe(backbone: pd.Series) -> pd.Series:
    """Which rows are of the metadata probe itself."""
    return backbone == BACKBONE


def with_metadata(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds the column `metadata`: the value of the metadata probe in the same cell, NaN where there is none.

    Of several probes of a protocol the one with the highest mean stands for all. Where it was not tested on an
    augmentation or with a threshold policy, its value on unchanged images or at 0.5 stands.

    Args:
        frame: Tidy rows of one metric.
    """
    probes = frame[is_probe(frame["backbone"]) & ~frame["shuffled_labels"].astype(bool) & frame["value"].notna()]
    columns = ["test_augmentation", "threshold_policy"]
    if probes.empty:
        return frame.assign(metadata=float("nan"))
    best = probes.groupby(["protocol", *_PROBE])["value"].mean().reset_index()
    best = best.sort_values(["protocol", "value"]).drop_duplicates("protocol", keep="last").drop(columns="value")
    rows = probes.merge(best, on=["protocol", *_PROBE])
    out = frame.reset_index(drop=True)
    found = pd.Series(float("nan"), index=out.index)
    fallbacks: tuple[dict[str, str], ...] = ({}, {"threshold_policy": "0.5"}, {"test_augmentation": "none"})
    for fallback in (*fallbacks, fallbacks[1] | fallbacks[2]):
        keys = out[[*_CELL, *columns]].assign(**fallback)
        values = rows.drop_duplicates([*_CELL, *columns])[[*_CELL, *columns, "value"]]
        found = found.fillna(keys.merge(values, on=[*_CELL, *columns], how="left")["value"])
    return out.assign(metadata=found.where(~is_probe(out["backbone"])))
