"""A small run as its results, scores and manifests say it, made without fitting anything."""

import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dfd_core.evaluation import METRICS, ProtocolSpec
from dfd_core.features.table import FeatureTable
from dfd_core.reports.report import ReportInput, write_report
from dfd_core.storage import Store

FAMILIES = {"<b>gan|</b>": "gan", "stylegan_2": "gan", "ldm": "diffusion"}
AUGMENTATIONS = ("none", "jpeg_q90", "jpeg_q50", "blur_sigma_2")
POLICIES = {"0.5": 0.5, "validation": 0.44, "fpr_1pct": 0.91, "oracle": 0.47}
SCHEMA = pa.schema(
    [
        *((n, pa.string()) for n in ("run", "detector", "protocol", "backbone", "reducer", "classifier")),
        ("seed", pa.int64()), ("shuffled_labels", pa.bool_()),
        *((n, pa.string()) for n in ("train_dataset", "train_generator", "train_family", "train_augmentation")),
        ("n_train_real", pa.int64()), ("n_train_fake", pa.int64()),
        *((n, pa.string()) for n in ("test_dataset", "test_generator", "test_family", "test_augmentation", "reals")),
        ("seen", pa.bool_()), ("family_seen", pa.bool_()), ("calibration", pa.string()),
        ("threshold_policy", pa.string()), ("threshold", pa.float64()), ("metric", pa.string()),
        *((n, pa.float64()) for n in ("value", "low", "high")),
        *((n, pa.int64()) for n in ("n", "n_real", "n_fake", "n_failed", "n_excluded")),
        ("status", pa.string()), ("note", pa.string()),
    ]
)  # fmt: skip


def sample_id(*parts):
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def manifest(n=30):
    rows = []
    for generator, family in {"real": "real", **FAMILIES}.items():
        for split in ("train", "validation", "test"):
            for i in range(n):
                label = int(generator != "real")
                path = f"{generator}/{split}{i}"
                source = None if label else ("coco", "laion")[i % 2]
                rows.append(("sim", generator, family, label, split, source, path, sample_id("sim", path)))
    columns = ["dataset", "generator", "family", "label", "split", "source", "path", "sample_id"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(group=frame["sample_id"])


def detector(backbone, classifier="logistic_regression", train="ldm", reducer="none", augmentation="none"):
    head = {
        "run": "demo", "protocol": "cross_generator", "backbone": backbone, "reducer": reducer,
        "classifier": classifier, "seed": 0, "shuffled_labels": False, "train_dataset": "sim",
        "train_generator": train, "train_family": FAMILIES[train], "train_augmentation": augmentation,
        "n_train_real": 30, "n_train_fake": 30, "status": "ok", "note": "", "n_failed": 0, "n_excluded": 0,
    }  # fmt: skip
    return head | {"detector": "/".join([backbone, reducer, classifier, "sim", train, augmentation])}


def scores_of(head, frame, skill):
    """Scores of all test and of the training set's validation samples: worse the more was done to an image."""
    generator = np.random.default_rng(int(sample_id(head["detector"])[:8], 16))
    parts = []
    for place, augmentation in enumerate(AUGMENTATIONS):
        own = frame[(frame["split"] == "test") | ((frame["split"] == "validation") & (augmentation == "none"))]
        own = own[(own["split"] == "test") | own["generator"].isin(["real", head["train_generator"]])]
        strength = np.where(own["generator"] == head["train_generator"], 2 * skill, skill) / (1 + 0.4 * place)
        shift = np.where(own["label"] == 1, strength, -strength)
        score = 1 / (1 + np.exp(-(generator.normal(size=len(own)) + shift)))
        parts.append(
            pd.DataFrame({"test_dataset": "sim", "test_augmentation": augmentation, "split": own["split"].to_numpy(),
                          "sample_id": own["sample_id"].to_numpy(), "score": score, "status": "ok"})
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def measured(y, score, threshold):
    called = score > threshold
    real, fake = float((~called[y == 0]).mean()), float(called[y == 1].mean())
    found = {"accuracy": float((called == y).mean()), "balanced_accuracy": (real + fake) / 2}
    return found | {"accuracy_real": real, "accuracy_fake": fake}


def results_of(head, scores, frame):
    rows = []
    for augmentation, part in scores[scores["split"] == "test"].groupby("test_augmentation"):
        joined = part.merge(frame[frame["split"] == "test"], on="sample_id", suffixes=("", "_"))
        for test, family in FAMILIES.items():
            own = joined[joined["generator"].isin(["real", test])]
            y, score = own["label"].to_numpy(), own["score"].to_numpy()
            about = head | {
                "test_dataset": "sim", "test_generator": test, "test_family": family, "reals": "coco+laion",
                "test_augmentation": augmentation, "seen": test == head["train_generator"],
                "family_seen": family == head["train_family"], "calibration": "none", "n": len(y),
                "n_real": int((y == 0).sum()), "n_fake": int((y == 1).sum()),
            }  # fmt: skip
            free = {name: METRICS[name].function(y, score, 0.5) for name in ("auroc", "average_precision")}
            values = [(name, None, None, value) for name, value in free.items()]
            for policy, threshold in POLICIES.items():
                values += [(n, policy, threshold, value) for n, value in measured(y, score, threshold).items()]
            for name, policy, threshold, value in values:
                ends = {"low": max(0, value - 0.04), "high": min(1, value + 0.03)}
                rows.append(
                    about | ends | {"metric": name, "threshold_policy": policy, "threshold": threshold, "value": value}
                )
        for source, reals in joined[joined["label"] == 0].groupby("source"):
            for policy, threshold in POLICIES.items():
                value = float((reals["score"] > threshold).mean())
                rows.append(
                    head
                    | {"test_dataset": "sim", "test_generator": "real", "test_family": "real", "reals": source,
                       "test_augmentation": augmentation, "seen": None, "family_seen": None, "calibration": "none",
                       "n": len(reals), "metric": "false_positive_rate", "threshold_policy": policy,
                       "threshold": threshold, "value": value, "low": max(0, value - 0.05), "high": value + 0.05}
                )  # fmt: skip
    return rows


def table(rows):
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@pytest.fixture(scope="session")
def report():
    frame = manifest()
    skills = {"CLIP": 1.2, "spectrum": 0.5, "metadata": 0.45}
    rows, scores = [], {}
    for backbone, skill in skills.items():
        for classifier in ("logistic_regression", "nearest_neighbour") if backbone != "metadata" else ("tree",):
            for train in FAMILIES:
                head = detector(backbone, classifier, train)
                scores[head["detector"]] = scores_of(head, frame, skill)
                rows += results_of(head, scores[head["detector"]], frame)
    failed = detector("CLIP", "mlp") | {"status": "failed", "note": "out of <memory>", "test_dataset": "sim"}
    rows.append(
        failed | {"test_generator": "ldm", "test_family": "diffusion", "test_augmentation": "none", "reals": "unnamed",
                  "seen": True, "family_seen": True, "calibration": "none", "threshold_policy": "0.5",
                  "metric": "accuracy", "n": 0, "n_train_real": None, "n_train_fake": None}
    )  # fmt: skip
    ids = frame["sample_id"].to_numpy()
    X = np.random.default_rng(0).normal(size=(len(frame), 24)).astype(np.float32)
    X[:, 0] += 9 * frame["label"].to_numpy()
    bank = {("sim", name): FeatureTable(ids[:-1], X[:-1], {ids[-1]: "truncated"}) for name in AUGMENTATIONS}
    published = pd.DataFrame(
        [("LDM", "UnivFD", 81.4, "Some & Others, table 3", "other reals"),
         ("stylegan_2", "UnivFD", 84.0, "the same", None),
         ("ldm", "NPR", 92.0, "NPR, table 1", ""), ("unknown", "Nobody", 1.0, "none", "")],
        columns=["test_generator", "method", "value", "source", "note"],
    )  # fmt: skip
    return ReportInput(
        title="demo & co",
        results=table(rows),
        frame=frame,
        protocol=ProtocolSpec(),
        features={"CLIP": bank},
        failures={"sim / none / clip": [("sim/ldm/test29", "truncated", "cut <short>")], "sim / blur / clip": []},
        notes=("The dataset sim is simulated.",),
        heatmap_metrics=("balanced_accuracy", "auroc") if "balanced_accuracy" in METRICS else ("accuracy", "auroc"),
        scores=scores,
        published=published,
        pairing=[{"generator": "ldm", "reals": "coco+laion", "n real": 90}],
    )


@pytest.fixture(scope="session")
def written(report, tmp_path_factory):
    """The folder of the whole report, drawn once."""
    folder = tmp_path_factory.mktemp("store")
    assert write_report(Store(folder), "reports/demo", report) == str(folder / "reports/demo/index.html")
    return folder / "reports/demo"
