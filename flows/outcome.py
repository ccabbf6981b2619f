"""What each step made, as people read it, whichever way it was carried out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dfd_core import in_process, pipeline
from dfd_core.config import RunConfig
from dfd_core.manifests import Manifest
from dfd_core.pipeline import RunInputs
from dfd_core.reports import matrix_tables, summary_table, text_table
from dfd_core.reports.cells import accuracy_frame
from dfd_core.storage import Store
from flows.terminal import format_table

BEST = 20
THRESHOLD = "0.5"
SHOWN = ["train", "test", "transform", "backbone", "reducer", "classifier", "n", "accuracy", "auroc", "status"]
Outcome = tuple[str, str]
"""The address of what was made, and a text about it."""


def of_flow(step: str, config: RunConfig) -> tuple[str, Outcome]:
    """Runs a step's flow.

    Returns:
        The id of the flow run, and the outcome.

    Raises:
        DfdError: As the step says.
        RunCancelledError: The run was cancelled.
    """
    from flows.extract import extract_flow
    from flows.grid import grid_flow
    from flows.prepare import prepare_flow
    from flows.report import report_flow
    from flows.run import run_flow
    from flows.train_and_evaluate import train_and_evaluate_flow
    from tasks import processes

    flows: dict[str, tuple[Any, Callable[[RunConfig, Any], Outcome]]] = {
        "prepare": (prepare_flow, _prepared),
        "extract": (extract_flow, _extracted),
        "evaluate": (train_and_evaluate_flow, _evaluated),
        "report": (report_flow, _reported),
        "run": (run_flow, _reported),
        "grid": (grid_flow, _tabled),
    }
    flow, tell = flows[step]
    with processes.tagged():
        state = flow(config, return_state=True)
        made = state.result()
    return str(state.state_details.flow_run_id), tell(config, made)


def of_step_here(step: str, config: RunConfig) -> Outcome:
    """Carries out a step in this process, without Prefect and Ray."""
    inputs = pipeline.find_inputs(config)
    if step in ("extract", "run"):
        in_process.extract(config, inputs)
    if step in ("evaluate", "run", "grid"):
        results_path = in_process.train_and_evaluate(config, inputs)
    if step == "prepare":
        return _prepared(config, inputs.manifests)
    if step == "extract":
        return _extracted(config, inputs)
    if step == "evaluate":
        return _evaluated(config, results_path)
    if step == "grid":
        pipeline.report(config, inputs)
        return _tabled(config, results_path)
    return _reported(config, pipeline.report(config, inputs).folder)


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
        for row in best.reindex(columns=SHOWN).to_numpy()
    ]
    failed = int((frame["status"] == "failed").sum())
    lines = [f"The {len(rows)} best of {len(frame)} cells, by accuracy on their test set:", format_table(rows)]
    lines += [f"{failed} cells failed; the column note says why."] if failed else []
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
        lines.append(f"{len(failed)} detectors failed; the report says why, and --retry-failed tries them again.")
    return "\n".join(lines) + "\n"


def _without_intervals(results: pa.Table) -> pa.Table:
    empty = pa.nulls(len(results), pa.float64())
    for name in ("low", "high"):
        results = results.set_column(results.column_names.index(name), name, empty)
    return results
