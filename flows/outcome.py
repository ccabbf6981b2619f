"""What each step made, as people read it, whichever way it was carried out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dfd_core import in_process, pipeline
from dfd_core.config import RunConfig
from dfd_core.manifests import Manifest, prepare
from dfd_core.pipeline import RunInputs
from dfd_core.reports import matrix_tables, summary_table, text_table
from dfd_core.reports.cells import CELL, accuracy_frame
from dfd_core.storage import Store
from flows.terminal import format_table

BEST = 20
THRESHOLD = "0.5"
SHOWN = [
    "train",
    "test",
    CELL["train_augmentation"],
    "backbone",
    "reducer",
    "classifier",
    "n",
    "accuracy",
    "auroc",
    "status",
]
Outcome = tuple[str, str]
"""The address of what was made, and a text about it."""


class Step(NamedTuple):
    """A command's work, which can be carried out in two ways that make the same.

    Attributes:
        flow: The module in `flows` that has its flow; it is imported when it is needed, since it loads Prefect.
        here: Carries it out in this process, without Prefect and Ray.
        tell: What was made, as people read it.
    """

    flow: str
    here: Callable[[RunConfig], Any]
    tell: Callable[[RunConfig, Any], Outcome]


def of_flow(name: str, config: RunConfig) -> tuple[str, Outcome]:
    """Runs a step's flow.

    Returns:
        The id of the flow run, and the outcome.

    Raises:
        DfdError: As the step says.
        RunCancelledError: The run was cancelled.
    """
    from tasks import processes

    step = STEPS[name]
    flow = getattr(import_module(f"flows.{step.flow}"), f"{step.flow}_flow")
    with processes.tagged():
        state = flow(config, return_state=True)
        made = state.result()
    return str(state.state_details.flow_run_id), step.tell(config, made)


def of_step_here(name: str, config: RunConfig) -> Outcome:
    """Carries out a step in this process, without Prefect and Ray."""
    step = STEPS[name]
    return step.tell(config, step.here(config))


def _prepare_here(config: RunConfig) -> dict[str, str]:
    store = Store(config.store)
    return {source.name: prepare(source, config.split, store).key for source in config.datasets}


def _extract_here(config: RunConfig) -> RunInputs:
    inputs = pipeline.find_inputs(config)
    in_process.extract(config, inputs)
    return inputs


def _evaluate_here(config: RunConfig) -> str:
    return in_process.train_and_evaluate(config, pipeline.find_inputs(config))


def _report_here(config: RunConfig) -> str:
    return pipeline.report(config, pipeline.find_inputs(config)).folder


def _grid_here(config: RunConfig) -> str:
    inputs = pipeline.find_inputs(config)
    results_path = in_process.train_and_evaluate(config, inputs)
    pipeline.report(config, inputs)
    return results_path


def _prepared(config: RunConfig, keys: dict[str, str]) -> Outcome:
    store = Store(config.store)
    manifests = [Manifest(store, name, key) for name, key in keys.items()]
    rows = [row for manifest in manifests for row in manifest.summary()]
    notes = [f"{manifest.name}: {note}" for manifest in manifests for note in manifest.notes]
    address = store.url(manifests[0].path if len(manifests) == 1 else "manifests")
    return address, "\n".join([format_table(rows), *notes])


def _extracted(config: RunConfig, inputs: RunInputs) -> Outcome:
    store = Store(config.store)
    manifests, feature_sets = inputs.open(config)
    failed = Counter(failure.feature_set.folder for failure in pipeline.check_features(config, manifests, feature_sets))
    rows = [
        {
            "dataset": one.dataset,
            "augmentation": one.augmentation.name,
            "backbone": one.backbone.label,
            "D": one.backbone.dimension,
            "images": len(manifests[one.dataset].table),
            "without a vector": failed[one.folder],
        }
        for one in feature_sets
    ]
    return store.url("features"), format_table(rows)


def _evaluated(config: RunConfig, path: str) -> Outcome:
    store = Store(config.store)
    return store.url(path), _accuracy(config, store.read_table(path))


def _tabled(config: RunConfig, path: str) -> Outcome:
    """Writes accuracy.csv beside the store of `dfd grid`."""
    store = Store(config.store)
    frame = accuracy_frame(store.read_table(path).to_pandas())
    beside = Store(store.url().rsplit("/", 1)[0])
    address = beside.write_bytes("accuracy.csv", frame.to_csv(index=False).encode())
    best = frame.sort_values("accuracy", ascending=False, kind="stable").head(BEST)
    rows = [
        {name: _short(value) for name, value in zip(SHOWN, row, strict=True)}
        for row in best.rename(columns={CELL["train_augmentation"]: "augmentation"}).reindex(columns=SHOWN).to_numpy()
    ]
    failed = int((frame["status"] == "failed").sum())
    lines = [f"The {len(rows)} best of {len(frame)} cells, by accuracy on their test set:", format_table(rows)]
    lines += [f"{failed} cells failed; the column note says why, and --retry-failed retries them."] if failed else []
    return address, "\n".join(lines)


def _short(value: Any) -> Any:
    return f"{value:.4f}" if isinstance(value, float) else value


def _reported(config: RunConfig, folder: str) -> Outcome:
    store = Store(config.store)
    return store.url(folder), _accuracy(config, store.read_table(f"{folder}/results.parquet"))


def _accuracy(config: RunConfig, results: pa.Table) -> str:
    """The first matrix, and what every combination reaches on unseen generators; the report has all of them."""
    shown = _without_intervals(results.filter(pc.equal(results["calibration"], "none")))
    fixed = shown.filter(pc.fill_null(pc.equal(shown["threshold_policy"], THRESHOLD), True))
    tables = matrix_tables(fixed.filter(pc.is_valid(fixed["value"])), "accuracy") or matrix_tables(fixed, "accuracy")
    first, *others = tables
    more = f"({len(others)} more matrices of accuracy, and those of the other metrics, are in the report)\n"
    lines = [
        *pipeline.catalogue_notes(config),
        text_table(first),
        more if others else "",
        text_table(summary_table(fixed)),
        "Intervals, other thresholds, calibration and every other metric are in the report.",
    ]
    failed = set(results.filter(pc.equal(results["status"], "failed"))["detector"].to_pylist())
    if failed:
        lines.append(
            f"{len(failed)} detectors failed; the report says why, and `dfd evaluate --retry-failed` retries them."
        )
    return "\n".join(lines) + "\n"


def _without_intervals(results: pa.Table) -> pa.Table:
    empty = pa.nulls(len(results), pa.float64())
    for name in ("low", "high"):
        results = results.set_column(results.column_names.index(name), name, empty)
    return results


STEPS = {
    "prepare": Step("prepare", _prepare_here, _prepared),
    "extract": Step("extract", _extract_here, _extracted),
    "evaluate": Step("train_and_evaluate", _evaluate_here, _evaluated),
    "report": Step("report", _report_here, _reported),
    "run": Step("run", in_process.run, _reported),
    "grid": Step("grid", _grid_here, _tabled),
}
