"""The one long table of results, computed from stored scores alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from dfd_core.detectors import DetectorSummary
from dfd_core.errors import EvaluationError
from dfd_core.evaluation.metrics import METRICS, Metric
from dfd_core.evaluation.protocols import ProtocolSpec
from dfd_core.evaluation.samples import TEST, Samples
from dfd_core.evaluation.scoring import EXCLUDED, OK, summary_of

THRESHOLD = 0.5
_TEXT = ("run", "detector", "backbone", "reducer", "classifier")
_TRAIN = ("train_dataset", "train_generator", "train_family", "train_augmentation")
_TEST = ("test_dataset", "test_generator", "test_family", "test_augmentation", "reals", "threshold_policy", "metric")
RESULTS_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in _TEXT),
        ("seed", pa.int64()),
        ("shuffled_labels", pa.bool_()),
        *((name, pa.string()) for name in _TRAIN),
        ("n_train_real", pa.int64()),
        ("n_train_fake", pa.int64()),
        *((name, pa.string()) for name in _TEST),
        ("value", pa.float64()),
        *((name, pa.int64()) for name in ("n", "n_real", "n_fake", "n_failed", "n_excluded")),
        ("note", pa.string()),
    ]
)


def evaluate(scores: pa.Table, samples: Samples, protocol: ProtocolSpec, run: str = "") -> pa.Table:
    """Every metric of one detector on every test set.

    Args:
        scores: As `score_detector` gives them.
        samples: The run's samples.
        protocol: Says how many samples of a label are enough.
        run: The run's name, for the column of that name.

    Returns:
        A row for each test generator, augmentation and metric. Where a test set has too few samples of a label that a
        metric needs, `value` is null and `note` says so. `n` counts the samples that the metric rests on;
        `threshold_policy` is null for metrics without a threshold.

    Raises:
        EvaluationError: Scores are missing for a test sample, or no value at all could be computed.
    """
    summary = summary_of(scores)
    head = _head(summary, samples, run)
    tables = scores.to_pandas().groupby(["test_dataset", "test_augmentation"])
    scored = {key: part.set_index("sample_id") for key, part in tables}
    rows: list[dict[str, Any]] = []
    for test in samples.tested:
        members, copies = samples.members(*test, TEST), samples.copies(*test, TEST)
        for (dataset, augmentation), part in scored.items():
            if dataset == test[0]:
                cell = head | {"test_augmentation": augmentation, "test_family": samples.families[test]}
                rows += _cell(cell, members.assign(copies=copies), part, protocol, test)
    if not any(row["value"] is not None for row in rows):
        notes = "; ".join(sorted({row["note"] for row in rows})) or "no test sets"
        raise EvaluationError(f"Nothing could be measured for {summary.spec.name()}: {notes}.")
    return pa.Table.from_pylist(rows, schema=RESULTS_SCHEMA)


def _head(summary: DetectorSummary, samples: Samples, run: str) -> dict[str, Any]:
    spec = summary.spec
    family = samples.families.get((spec.train_dataset, spec.train_generator))
    if family is None:
        raise EvaluationError(f"The manifests lack the training set {spec.train_dataset}/{spec.train_generator}.")
    return {
        "run": run,
        "detector": spec.name(),
        "backbone": spec.backbone,
        "reducer": spec.reducer.label(),
        "classifier": spec.classifier.label(),
        "seed": spec.seed,
        "shuffled_labels": spec.shuffle_labels,
        "train_dataset": spec.train_dataset,
        "train_generator": spec.train_generator,
        "train_family": family,
        "train_augmentation": spec.train_augmentation,
        "n_train_real": summary.n_train_real,
        "n_train_fake": summary.n_train_fake,
        "note": "; ".join(summary.notes),
    }


def _cell(
    head: dict[str, Any], rows: pd.DataFrame, scored: pd.DataFrame, protocol: ProtocolSpec, test: tuple[str, str]
) -> list[dict[str, Any]]:
    """The rows of one test set, one for each metric."""
    places = scored.index.get_indexer(pd.Index(rows["sample_id"]))
    unscored = rows.loc[places < 0, "sample_id"]
    if len(unscored):
        raise EvaluationError(
            f"{len(unscored)} test samples of {'/'.join(test)} have no scores by {head['detector']}, the first "
            f"{unscored.iloc[0]}. The manifest is newer than the scores: score again."
        )
    found = scored.iloc[places]
    status = found["status"].to_numpy()
    good = status == OK
    y, score = rows["label"].to_numpy()[good], found["score"].to_numpy()[good]
    excluded = int((status == EXCLUDED).sum())
    sources = rows.loc[rows["label"] == 0, "source"].dropna().unique()
    cell = head | {
        "test_dataset": test[0],
        "test_generator": test[1],
        "reals": "+".join(sorted(sources)) or "unnamed",
        "n_real": int((y == 0).sum()),
        "n_fake": int((y == 1).sum()),
        "n_failed": int(rows["copies"].to_numpy()[~good & (status != EXCLUDED)].sum()),
        "n_excluded": excluded,
    }
    return [cell | _measured(cell, name, metric, (y, score), protocol) for name, metric in METRICS.items()]


def _measured(
    cell: dict[str, Any], name: str, metric: Metric, samples: tuple[np.ndarray, np.ndarray], protocol: ProtocolSpec
) -> dict[str, Any]:
    """What one metric's row has of its own."""
    counts = {label: int((samples[0] == label).sum()) for label in metric.labels}
    few = [f"{n} {('real', 'fake')[label]}" for label, n in counts.items() if n < protocol.min_samples_per_class]
    problem = f"only {' and '.join(few)}, fewer than {protocol.min_samples_per_class}" if few else ""
    return {
        "metric": name,
        "threshold_policy": str(THRESHOLD) if metric.thresholded else None,
        "value": None if few else metric.function(*samples, THRESHOLD),
        "n": sum(counts.values()),
        "note": "; ".join(filter(None, [cell["note"], problem])),
    }
