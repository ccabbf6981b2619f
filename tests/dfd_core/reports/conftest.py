"""A small run: two generators, one detector each, one sample that failed."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dfd_core.detectors import DetectorSpec, fit
from dfd_core.evaluation import (
    EvaluationSpec,
    ProtocolSpec,
    Rules,
    Samples,
    evaluate,
    score_detector,
    training_rows,
    training_sets,
)
from dfd_core.features.table import FeatureTable
from dfd_core.reports import ReportInput


@pytest.fixture(scope="session")
def report():
    kinds = {"real": "real", "<b>gan|</b>": "gan", "ldm": "diffusion"}
    frame = pd.DataFrame(
        [
            {"dataset": "sim", "generator": name, "family": family, "label": int(name != "real"), "split": split,
             "i": i, "source": "coco" if name == "real" else None}
            for name, family in kinds.items() for split in ("train", "test") for i in range(20)
        ]
    )  # fmt: skip
    frame["path"] = frame["generator"] + "/" + frame["split"] + frame["i"].astype(str)
    frame["sample_id"] = frame["group"] = [f"{index:064x}" for index in range(len(frame))]
    X = np.random.default_rng(0).normal(size=(len(frame), 6)).astype(np.float32)
    X[:, 0] += 9 * frame["label"].to_numpy()
    ids = frame["sample_id"].to_numpy()
    failed = ids[-1]
    bank = {("sim", name): FeatureTable(ids[:-1], X[:-1], {failed: "truncated"}) for name in ("none", "blur")}
    protocol, samples = ProtocolSpec(), Samples(frame)
    results = []
    for one in training_sets(samples, protocol):
        spec = DetectorSpec(
            train_dataset="sim", train_generator=one.generator, backbone="clip", classifier="logistic_regression"
        )
        detector = fit(spec, *training_rows(spec, samples, bank))
        results.append(
            evaluate(
                score_detector(detector, bank, samples, protocol),
                Rules(samples, protocol, EvaluationSpec(), run="demo"),
            )
        )
    return ReportInput(
        title="demo & co",
        results=pa.concat_tables(results),
        frame=frame,
        protocol=protocol,
        features={"clip": bank},
        failures={"sim / none / clip": [("sim/ldm/test19", "truncated", "cut <short>")], "sim / blur / clip": []},
        notes=("The dataset sim is simulated.",),
    )
