"""Every number of a run, made of the scores of its detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dfd_core.config import RunConfig, dump_config
from dfd_core.errors import EvaluationError
from dfd_core.evaluation import METRICS, Rules, evaluate
from dfd_core.evaluation.grid import DetectorJob
from dfd_core.evaluation.scoring import failure_of
from dfd_core.pipeline.detectors import plan_training, trainable
from dfd_core.pipeline.engine import Engine, raise_first
from dfd_core.pipeline.inputs import RunInputs, samples_of
from dfd_core.provenance import provenance
from dfd_core.specs import content_hash, readable_key
from dfd_core.storage import Store

RESULTS_VERSION = 2
"""Of the code that makes results of scores; raised when the same scores give other results."""
_ROWS = "results/detectors"


def results_path(config: RunConfig, jobs: Sequence[DetectorJob]) -> str:
    """Where the results of these detectors stand in the store."""
    facts = [_results_facts(config), sorted(job.key for job in jobs)]
    return f"results/{readable_key(config.name, content_hash(facts))}.parquet"


class ResultsPlan(NamedTuple):
    """What the long table of results is made of.

    Attributes:
        path: Where it stands in the store, or will.
        parts: For each detector the paths of its scores and of its own rows of results.
        missing: Those whose rows have to be computed; none where the table is there.
        is_there: Whether the table is there, and does not call a detector failed that was retried with success.
    """

    path: str
    parts: tuple[tuple[str, str], ...]
    missing: tuple[tuple[str, str], ...]
    is_there: bool


def plan_results(config: RunConfig, inputs: RunInputs) -> ResultsPlan:
    """The results of a run's detectors, and which of them are missing.

    The rows of each detector are kept under a key of their own, so one more detector costs its own metrics alone. Where
    this start retries what failed, rows and tables that still call a detector failed are made again once it has scores.
    """
    store, jobs = Store(config.store), plan_training(config, inputs)
    path, suffix = results_path(config, jobs), content_hash(_results_facts(config))
    parts = tuple((job.scores_path, f"{_ROWS}/{job.key}-{suffix}.parquet") for job in jobs)
    if store.exists(path) and not (config.retry_failed and _is_outdated(store, path, jobs)):
        return ResultsPlan(path, parts, (), is_there=True)
    present = set(store.names(_ROWS, ".parquet"))
    missing = tuple(
        part
        for part in parts
        if part[1].removeprefix(f"{_ROWS}/") not in present
        or (config.retry_failed and failed_detectors(store, part[1]))
    )
    return ResultsPlan(path, parts, missing, is_there=False)


def failed_detectors(store: Store, path: str) -> list[str]:
    """The names of the detectors that a table of results calls failed."""
    table = store.read_table(path, ["detector", "status"])
    return sorted(set(table.filter(pc.equal(table["status"], "failed"))["detector"].to_pylist()))


def _is_outdated(store: Store, path: str, jobs: Sequence[DetectorJob]) -> bool:
    failed = set(failed_detectors(store, path))
    return any(failure_of(store.read_table(job.scores_path)) is None for job in jobs if job.spec.name() in failed)


def tabulate(
    config: RunConfig,
    inputs: RunInputs,
    plan: ResultsPlan,
    engine: Engine,
    on_detectors: Callable[[int], None] = lambda _: None,
) -> str:
    """Computes the metrics that are missing from the stored scores and writes the long table of results.

    Args:
        config: The run.
        inputs: What it starts from.
        plan: What is there and what is missing.
        engine: What carries it out; not asked for anything where no detector misses its rows.
        on_detectors: Called with how many more have their rows.

    Returns:
        Its path in the store.

    Raises:
        EvaluationError: All detectors failed.
    """
    store = Store(config.store)
    if plan.is_there:
        return plan.path
    if plan.missing:
        rules = _rules(config, inputs)
        raise_first(engine.map(evaluate_stored, (store, rules), plan.missing, lambda *_: on_detectors(1)))
    parts = [store.read_table(path).replace_schema_metadata() for _, path in plan.parts]
    results = pa.concat_tables(parts)
    if results["value"].null_count == len(results):
        raise EvaluationError(f"All {len(parts)} detectors failed. First: {parts[0]['note'][0]}")
    results = results.set_column(0, "run", pa.array([config.name] * len(results)))
    store.write_table(plan.path, results, provenance(config=dump_config(config), detectors=len(parts)))
    return plan.path


def evaluate_stored(shared: tuple[Store, Rules], paths: tuple[str, str]) -> str:
    """Computes the rows of one detector's results from its scores in the store and writes them."""
    store, rules = shared
    store.write_table(paths[1], evaluate(store.read_table(paths[0]), rules), provenance())
    return paths[1]


def _rules(config: RunConfig, inputs: RunInputs) -> Rules:
    tested: dict[str, set[str]] = {}
    for one in trainable(config, inputs):
        tested.setdefault(one.dataset, set()).add(one.augmentation_name)
    samples = samples_of(config, inputs.open(config)[0])
    augmentations = {name: sorted(names) for name, names in tested.items()}
    return Rules(samples, config.protocol, config.evaluation, augmentations)


def _results_facts(config: RunConfig) -> list[Any]:
    protocol = config.protocol.model_dump(mode="json")
    return [RESULTS_VERSION, list(METRICS), config.evaluation.model_dump(mode="json"), protocol]
