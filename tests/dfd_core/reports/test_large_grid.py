"""12 classifiers x 3 reducers x 4 augmentations x 6 training sets must still give a page that people can use."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dfd_core.reports.page import PICTURES_BYTES
from dfd_core.reports.report import write_report
from dfd_core.storage import Store

GENERATORS = {f"generator_{i}": ("gan", "diffusion", "autoregressive")[i // 2] for i in range(6)}


@pytest.fixture(scope="module")
def grid(report):
    axes = {
        "backbone": ["CLIP ViT-L/14", "metadata"],
        "classifier": [f"classifier_{i}" for i in range(12)],
        "reducer": ["none", "pca(n_components=64)", "standardize"],
        "train_augmentation": ["none", "blur", "jpeg_q50", "both"],
        "train_generator": list(GENERATORS),
        "test_generator": list(GENERATORS),
        "test_augmentation": ["none", "jpeg_q90", "jpeg_q50"],
    }
    frame = pd.MultiIndex.from_product(axes.values(), names=axes.keys()).to_frame(index=False)
    probe = frame["backbone"] == "metadata"
    frame = frame[~probe | ((frame["classifier"] == "classifier_0") & (frame["reducer"] == "none"))]
    names = ["backbone", "reducer", "classifier", "train_generator", "train_augmentation"]
    frame["detector"] = frame[names].agg("/".join, axis=1)
    frame["train_family"] = frame["train_generator"].map(GENERATORS)
    frame["test_family"] = frame["test_generator"].map(GENERATORS)
    frame["seen"] = frame["train_generator"] == frame["test_generator"]
    frame["family_seen"] = frame["train_family"] == frame["test_family"]
    same = {"run": "big", "protocol": "cross_generator", "seed": 0, "shuffled_labels": False, "train_dataset": "d",
            "test_dataset": "d", "reals": "coco", "calibration": "none", "status": "ok", "note": "", "n": 200,
            "n_real": 100, "n_fake": 100, "n_failed": 0, "n_excluded": 0, "n_train_real": 9,
            "n_train_fake": 9}  # fmt: skip
    kinds = [("accuracy", "0.5"), ("accuracy", "validation"), ("balanced_accuracy", "0.5"), ("auroc", None)]
    parts = [frame.assign(**same, metric=metric, threshold_policy=policy) for metric, policy in kinds]
    results = pd.concat(parts, ignore_index=True)
    results["value"] = np.random.default_rng(0).uniform(0.5, 1, len(results))
    results["threshold"] = np.where(results["threshold_policy"].isna(), np.nan, 0.5)
    results = results.assign(low=results["value"] - 0.03, high=results["value"] + 0.03)
    table = pa.Table.from_pandas(results, schema=report.results.schema, preserve_index=False)
    return replace(report, results=table, scores={}, features={}, heatmap_metrics=("accuracy", "auroc"))


def test_the_page_stays_small_and_names_its_selection(grid, tmp_path):
    assert grid.results.num_rows == 4 * (144 + 4) * 36 * 3
    write_report(Store(tmp_path), "r", grid)
    text = (tmp_path / "r/index.html").read_text()
    assert len(text) < PICTURES_BYTES * 4 / 3 + 2e6
    assert "the first 3 of 144 combinations by name" in text
    assert "200 of " in text
    assert text.count("<img") < 40
    summary = (tmp_path / "r/tables/summary.csv").read_text().splitlines()
    assert len(summary) == 1 + (144 + 4) * 3 * 2
