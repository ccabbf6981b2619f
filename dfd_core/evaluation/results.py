"""The one long table of results, computed from stored scores alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dfd_core.detectors import DetectorSpec
from dfd_core.errors import EvaluationError
from dfd_core.evaluation.bootstrap import Interval
from dfd_core.evaluation.measuring import NO_CALIBRATION, UNNAMED, EvaluationSpec, ScoredDetector, TestCell
from dfd_core.evaluation.metrics import METRICS, Metric
from dfd_core.evaluation.protocols import MIXED, ProtocolSpec
from dfd_core.evaluation.samples import TEST, Generator, Samples
from dfd_core.evaluation.scoring import failure_of, spec_of
from dfd_core.evaluation.thresholds import Decision
from dfd_core.manifests.schema import REAL

FIXED = "0.5"
FALSE_POSITIVES = "false_positive_rate"
FAILED, TOO_FEW, NOT_CONVERGED = "failed", "too_few", "not_converged"
_TEXT = ("run", "detector", "protocol", "backbone", "reducer", "classifier")
_TRAIN = ("train_dataset", "train_generator", "train_family", "train_augmentation")
_TEST = ("test_dataset", "test_generator", "test_family", "test_augmentation", "reals")
RESULTS_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in _TEXT),
        ("seed", pa.int64()),
        ("shuffled_labels", pa.bool_()),
        *((name, pa.string()) for name in _TRAIN),
        ("n_train_real", pa.int64()),
        ("n_train_fake", pa.int64()),
        *((name, pa.string()) for name in _TEST),
        ("seen", pa.bool_()),
        ("family_seen", pa.bool_()),
        ("calibration", pa.string()),
        ("threshold_policy", pa.string()),
        ("threshold", pa.float64()),
        ("metric", pa.string()),
        *((name, pa.float64()) for name in ("value", "low", "high")),
        *((name, pa.int64()) for name in ("n", "n_real", "n_fake", "n_failed", "n_excluded")),
        ("status", pa.string()),
        ("note", pa.string()),
    ]
)


@dataclass(frozen=True)
class Rules:
    """What a run's results are computed with.

    Attributes:
        samples: The run's samples.
        protocol: Says what tests, and how many samples of a label are enough.
        evaluation: Thresholds, calibrations and intervals.
        tested: The augmentations with features by dataset, for detectors that failed and so have no scores.
        run: The run's name, for the column of that name.
    """

    samples: Samples
    protocol: ProtocolSpec
    evaluation: EvaluationSpec
    tested: Mapping[str, Sequence[str]] | None = None
    run: str = ""


def evaluate(scores: pa.Table, rules: Rules) -> pa.Table:
    """Every metric of one detector on every test set.

    Args:
        scores: As `score_detector` gives them.
        rules: What they are evaluated with.

    Returns:
        A row for each test set, augmentation, metric, threshold policy and calibration that matters to the metric, and
        one for the false positives among each source of reals. Where a test set has too few samples of a label that a
        metric needs, or the detector failed, `value` is null, and `status` and `note` say so. `n` counts the samples
        that the metric rests on.

    Raises:
        EvaluationError: Scores are missing for a test sample, or no value at all could be computed.
    """
    failure = failure_of(scores)
    if failure is not None:
        return pa.Table.from_pylist(list(_failed(spec_of(scores), failure, rules)), schema=RESULTS_SCHEMA)
    rows = list(_rows(ScoredDetector(scores, rules.samples, rules.evaluation), rules))
    if not any(row["value"] is not None for row in rows):
        notes = "; ".join(sorted({row["note"] for row in rows})) or "no test sets"
        raise EvaluationError(f"Nothing could be measured for {spec_of(scores).name()}: {notes}.")
    return pa.Table.from_pylist(rows, schema=RESULTS_SCHEMA)


def test_sets(spec: DetectorSpec, samples: Samples) -> list[Generator]:
    """(dataset, generator) of each test set of a detector, with `all` for the generators of a dataset together."""
    if spec.protocol == "in_distribution":
        return [pair for pair in (*samples.tested, *samples.pooled) if pair[0] == spec.train_dataset]
    return [*samples.tested, *(samples.pooled if spec.protocol == "cross_dataset" else ())]


def _head(spec: DetectorSpec, rules: Rules) -> dict[str, Any]:
    known = rules.samples.families
    unknown = [f"{dataset}/{generator}" for dataset, generator in spec.members if (dataset, generator) not in known]
    if unknown:
        raise EvaluationError(f"The manifests lack the training set {', '.join(unknown)}.")
    families = {known[pair] for pair in spec.members}
    return {
        "run": rules.run,
        "detector": spec.name(),
        "protocol": spec.protocol,
        "backbone": spec.backbone,
        "reducer": spec.reducer.label(),
        "classifier": spec.classifier.label(),
        "seed": spec.seed,
        "shuffled_labels": spec.shuffle_labels,
        "train_dataset": spec.train_dataset,
        "train_generator": spec.train_generator,
        "train_family": families.pop() if len(families) == 1 else MIXED,
        "train_augmentation": spec.train_augmentation,
    }


def _tested(test: Generator, spec: DetectorSpec, samples: Samples) -> dict[str, Any]:
    """What a row says of a test set and of how the detector knows it."""
    pairs = samples.generators(*test)
    families = {samples.families[pair] for pair in pairs}
    trained = {generator.lower() for _, generator in spec.members}
    return {
        "test_dataset": test[0],
        "test_generator": test[1],
        "test_family": families.copy().pop() if len(families) == 1 else MIXED,
        "seen": all(generator.lower() in trained for _, generator in pairs),
        "family_seen": families <= {samples.families[pair] for pair in spec.members},
    }


def _rows(detector: ScoredDetector, rules: Rules) -> Iterator[dict[str, Any]]:
    spec, samples = detector.spec, rules.samples
    head = _head(spec, rules) | {
        "n_train_real": detector.summary.n_train_real,
        "n_train_fake": detector.summary.n_train_fake,
        "note": "; ".join(detector.summary.notes),
        "status": NOT_CONVERGED if any("not converged" in note for note in detector.summary.notes) else "ok",
    }
    tests = test_sets(spec, samples)
    for dataset, generator in tests:
        about = head | _tested((dataset, generator), spec, samples)
        for augmentation in detector.augmentations(dataset):
            cell = detector.cell(samples.generators(dataset, generator), augmentation)
            yield from _of_cell(about | {"test_augmentation": augmentation}, cell, detector, rules)
    for dataset in dict.fromkeys(dataset for dataset, _ in tests):
        about = head | {"test_dataset": dataset, "test_generator": REAL, "test_family": REAL}
        about |= {"seen": None, "family_seen": None}
        for augmentation in detector.augmentations(dataset):
            for source, cell in detector.reals_by_source(dataset, augmentation):
                where = about | {"test_augmentation": augmentation, "reals": source}
                for decision in detector.decisions:
                    yield _row(where, cell, FALSE_POSITIVES, (NO_CALIBRATION, decision), rules)


def _of_cell(about: dict[str, Any], cell: TestCell, detector: ScoredDetector, rules: Rules) -> Iterator[dict[str, Any]]:
    """The rows of one test set."""
    about = about | {"reals": "+".join(cell.sources) or UNNAMED}
    oracles = detector.oracles(cell)
    for calibration, calibrator in detector.calibrators.items():
        calibrated = cell.calibrated(calibrator)
        for name, metric in METRICS.items():
            if name != FALSE_POSITIVES:
                for decision in _decisions(metric, calibration, [*detector.decisions, *oracles]):
                    yield _row(about, calibrated, name, (calibration, decision), rules)


def _decisions(metric: Metric, calibration: str, decisions: Sequence[Decision]) -> list[Decision | None]:
    """The thresholds that a metric is computed at; a calibration changes what 0.5 means and what a probability is."""
    if metric.thresholded:
        return [one for one in decisions if calibration == NO_CALIBRATION or one.policy == FIXED]
    return [None] if calibration == NO_CALIBRATION or metric.probabilistic else []


def _row(
    about: dict[str, Any], cell: TestCell, name: str, way: tuple[str, Decision | None], rules: Rules
) -> dict[str, Any]:
    """The row of one metric."""
    calibration, decision = way
    counts = {label: cell.counts[label] for label in METRICS[name].labels}
    enough = rules.protocol.min_samples_per_class
    few = [f"{n} {('real', 'fake')[label]}" for label, n in counts.items() if n < enough]
    problems = [f"only {' and '.join(few)}, fewer than {enough}"] if few else []
    problems += [cell.problem] if cell.problem else []
    threshold = None if decision is None else decision.threshold
    problems += [decision.note] if decision is not None and threshold is None else []
    found = Interval(None, None, None) if problems else cell.cell.measure(name, threshold)  # type: ignore[arg-type]
    remark = [decision.note] if decision is not None and decision.note and not problems else []
    return about | {
        "calibration": calibration,
        "threshold_policy": None if decision is None else decision.policy,
        "threshold": threshold,
        "metric": name,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "n": sum(counts.values()),
        "n_real": cell.counts[0],
        "n_fake": cell.counts[1],
        "n_failed": cell.n_failed,
        "n_excluded": cell.n_excluded,
        "status": TOO_FEW if problems else about["status"],
        "note": "; ".join(dict.fromkeys(filter(None, [about["note"], *problems, *remark]))),
    }


def _failed(spec: DetectorSpec, error: str, rules: Rules) -> Iterator[dict[str, Any]]:
    """The rows of a detector that failed: for each test set and augmentation one, without a value."""
    head = _head(spec, rules)
    for test in test_sets(spec, rules.samples):
        for augmentation in (rules.tested or {}).get(test[0], (spec.train_augmentation,)):
            if rules.samples.members(rules.samples.generators(*test), TEST, augmentation).rows.empty:
                continue
            yield (
                head
                | _tested(test, spec, rules.samples)
                | {
                    "test_augmentation": augmentation,
                    "reals": UNNAMED,
                    "calibration": NO_CALIBRATION,
                    "threshold_policy": FIXED,
                    "metric": "accuracy",
                    "n": 0,
                    "status": FAILED,
                    "note": error,
                }
            )
