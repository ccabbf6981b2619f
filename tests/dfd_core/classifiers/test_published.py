"""Features and accuracies that other people published; ours must give the same to the last digit."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from dfd_core.detectors import DetectorSpec, fit

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "reference_features"


def read(name):
    if not FOLDER.is_dir():
        pytest.skip("the reference features are absent")
    table = pq.read_table(FOLDER / f"{name}.parquet")
    X = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return X.reshape(table.num_rows, -1), table.drop_columns(["embedding"]).to_pandas()


def spec(classifier):
    return DetectorSpec(train_dataset="d", train_generator="g", backbone="clip", classifier=classifier)


def test_the_linear_probe_is_the_published_one():
    X, rows = read("clip_b16_laion_ldm100")
    published = pd.read_csv(FOLDER / "clip_b16_laion_ldm100.accuracy.csv").set_index(
        ["transform", "classifier", "reducer"]
    )
    test = (rows["split"] == "test").to_numpy()
    found = {}
    for transform in ("none", "blur", "jitter", "blur+jitter"):
        train = ((rows["split"] == "train") & (rows["transform"] == transform)).to_numpy()
        detector = fit(spec("logistic_regression"), X[train], rows["label"].to_numpy()[train])
        assert detector.summary.notes == ()
        found[transform] = np.mean((detector.score(X[test]) > 0.5) == rows["label"][test])
        assert found[transform] == published.loc[(transform, "linear_probe", "no_reduction"), "test_accuracy"]
    assert found == {"none": 0.9975, "blur": 0.9950, "jitter": 0.9900, "blur+jitter": 0.9800}


def test_the_two_banks_give_the_corrected_accuracies():
    X, rows = read("clip_l14_progan_transfer")
    train = (rows["split"] == "train").to_numpy()
    detector = fit(spec("nearest_neighbour"), X[train], rows["label"].to_numpy()[train])
    for dataset, expected in {"cyclegan": 0.837, "biggan": 0.764, "dalle_laion": 0.763}.items():
        test = (rows["dataset"] == dataset).to_numpy()
        assert np.mean((detector.score(X[test]) > 0.5) == rows["label"][test]) == expected
