"""Detectors fitted and scored, and every number made of their scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from dfd_core.config import RunConfig, dump_config
from dfd_core.errors import EvaluationError
from dfd_core.evaluation import METRICS, Rules, evaluate
from dfd_core.evaluation.banks import AnyFeatureSet, VectorSet, load_bank, vector_sets
from dfd_core.evaluation.cells import (
    Bench,
    Bundle,
    Done,
    bundles,
    fit_and_score,
    fit_shared_reducer,
    sharing_a_reducer,
)
from dfd_core.evaluation.grid import DetectorJob, GridSpec, missing_jobs, plan_detectors
from dfd_core.evaluation.hierarchy_jobs import (
    HierarchyJob,
    failure_of,
    fit_hierarchy,
    keep_failure,
    plan_hierarchies,
)
from dfd_core.pipeline.engine import Engine
from dfd_core.pipeline.inputs import RunInputs, samples_of
from dfd_core.pipeline.metadata import metadata_sets
from dfd_core.provenance import provenance
from dfd_core.specs import content_hash, readable_key
from dfd_core.storage import Store

RESULTS_VERSION = 2
"""Of the code that makes results of scores; raised when the same scores give other results."""


def trainable(config: RunConfig, inputs: RunInputs) -> list[AnyFeatureSet]:
    """All feature sets that detectors can be trained on: extracted, imported, and the files' metadata."""
    _, extracted = inputs.open(config)
    images = [source.name for source in config.datasets]
    return [*extracted, *inputs.imported, *metadata_sets(config, images)]


def vectors_of(config: RunConfig, inputs: RunInputs) -> dict[str, list[VectorSet]]:
    """The vectors that detectors can be trained on, by label of the backbone or of the combination."""
    labels = {one.spec.name: one.label for one in inputs.backbones}
    combinations = [[labels.get(name, name) for name in names] for names in config.combinations]
    return vector_sets(trainable(config, inputs), combinations)


def plan_training(config: RunConfig, inputs: RunInputs) -> list[DetectorJob]:
    """Every detector of a run, finished or not."""
    grid = GridSpec(
        reducers=config.reducers,
        classifiers=config.classifiers,
        probe=config.shortcut_probe,
        protocol=config.protocol,
        seed=config.seed,
        shuffle_labels=config.shuffle_labels,
    )
    manifests, _ = inputs.open(config)
    digests = {name: manifest.digest for name, manifest in manifests.items()}
    samples = samples_of(config, manifests)
    return plan_detectors(Store(config.store), samples, digests, vectors_of(config, inputs), grid)


class Trained(NamedTuple):
    """What became of the detectors that had no scores.

    Attributes:
        fitted: How many have scores now.
        failed: Name and error of the others.
    """

    fitted: int
    failed: tuple[tuple[str, str], ...]


def train(
    config: RunConfig,
    inputs: RunInputs,
    jobs: Sequence[DetectorJob],
    engine: Engine,
    on_detectors: Callable[[int], None] = lambda _: None,
) -> Trained:
    """Fits and scores the detectors that have no scores yet, backbone after backbone.

    Args:
        config: The run.
        inputs: What it starts from.
        jobs: All of its detectors.
        engine: What carries it out.
        on_detectors: Told how many more are finished.

    Returns:
        What became of them. A detector that failed has scores that say why.
    """
    store, samples = Store(config.store), samples_of(config, inputs.open(config)[0])
    missing = missing_jobs(store, jobs, config.extraction.retry_failed)
    failed: list[tuple[str, str]] = []
    for label, own in vectors_of(config, inputs).items():
        todo = bundles([job for job in missing if job.spec.backbone == label], engine.workers)
        if not todo:
            continue
        bench = Bench(store, samples, load_bank(store, own), config.protocol)
        # a reducer that can't be fitted fails again in its cells, where it becomes their rows
        shared = engine.map(fit_shared_reducer, bench, sharing_a_reducer(todo), lambda *_: None)
        _raise_first({index: error for index, error in shared.items() if not isinstance(error, EvaluationError)})
        errors = engine.map(fit_and_score, bench, todo, _announcing(on_detectors, todo, failed))
        _raise_first(errors)
    return Trained(len(missing) - len(failed), tuple(failed))


def plan_run_hierarchies(config: RunConfig, inputs: RunInputs) -> list[HierarchyJob]:
    """Every hierarchy of a run, finished or not."""
    manifests, _ = inputs.open(config)
    digests = {name: manifest.digest for name, manifest in manifests.items()}
    rules = (config.protocol, config.evaluation.bootstrap)
    if not config.hierarchies:
        return []
    store, samples = Store(config.store), samples_of(config, manifests)
    return plan_hierarchies(store, samples, digests, vectors_of(config, inputs), config.hierarchies, rules)


def train_hierarchies(
    config: RunConfig, inputs: RunInputs, engine: Engine, on_hierarchies: Callable[[int], None] = lambda _: None
) -> int:
    """Fits and measures the hierarchies that have no results yet.

    Returns:
        How many there were, those among them that can't be fitted: the report says why.
    """
    store, samples = Store(config.store), samples_of(config, inputs.open(config)[0])
    retry = config.extraction.retry_failed
    jobs_of_run = plan_run_hierarchies(config, inputs)
    todo = [job for job in jobs_of_run if not job.is_done(store) and (retry or failure_of(store, job) is None)]
    for label, own in vectors_of(config, inputs).items():
        jobs = [job for job in todo if job.backbone == label]
        if jobs:
            bench = Bench(store, samples, load_bank(store, own), config.protocol)
            errors = engine.map(fit_hierarchy, bench, jobs, lambda *_: on_hierarchies(1))
            _raise_first({index: error for index, error in errors.items() if not isinstance(error, EvaluationError)})
            for index, error in errors.items():
                keep_failure(store, jobs[index], error)
    return len(todo)


def _raise_first(errors: Mapping[int, Exception]) -> None:
    for _, error in sorted(errors.items()):
        raise error


def _announcing(
    on_detectors: Callable[[int], None], todo: Sequence[Bundle], failed: list[tuple[str, str]]
) -> Callable[[int, Done], None]:
    def announce(index: int, done: Done) -> None:
        failed.extend(done.failed)
        on_detectors(len(todo[index]))

    return announce


def results_path(config: RunConfig, jobs: Sequence[DetectorJob]) -> str:
    """Where the results of these detectors stand in the store."""
    facts = [_results_facts(config), sorted(job.key for job in jobs)]
    return f"results/{readable_key(config.name, content_hash(facts))}.parquet"


def tabulate(config: RunConfig, inputs: RunInputs, engine: Engine, on_detectors: Callable[[int], None]) -> str:
    """Computes every metric from the stored scores and writes the long table of results.

    The rows of each detector are kept under a key of their own, so one more detector costs its own metrics alone.

    Returns:
        Its path in the store.

    Raises:
        EvaluationError: All detectors failed.
    """
    store = Store(config.store)
    manifests, _ = inputs.open(config)
    jobs = plan_training(config, inputs)
    path = results_path(config, jobs)
    if store.exists(path):
        return path
    tested: dict[str, set[str]] = {}
    for one in trainable(config, inputs):
        tested.setdefault(one.dataset, set()).add(one.augmentation_name)
    rules = Rules(
        samples_of(config, manifests),
        config.protocol,
        config.evaluation,
        {name: sorted(names) for name, names in tested.items()},
    )
    suffix = content_hash(_results_facts(config))
    paths = {job.key: f"results/detectors/{job.key}-{suffix}.parquet" for job in jobs}
    present = set(store.names("results/detectors", ".parquet"))
    todo = [(job.scores_path, paths[job.key]) for job in jobs if paths[job.key].rsplit("/", 1)[1] not in present]
    _raise_first(engine.map(evaluate_stored, (store, rules), todo, lambda *_: on_detectors(1)))
    parts = [store.read_table(paths[job.key]).replace_schema_metadata() for job in jobs]
    results = pa.concat_tables(parts)
    if results["value"].null_count == len(results):
        raise EvaluationError(f"All {len(jobs)} detectors failed. First: {parts[0]['note'][0]}")
    results = results.set_column(0, "run", pa.array([config.name] * len(results)))
    store.write_table(path, results, provenance(config=dump_config(config), detectors=len(jobs)))
    return path


def evaluate_stored(shared: tuple[Store, Rules], paths: tuple[str, str]) -> str:
    """Computes the rows of one detector's results from its scores in the store and writes them."""
    store, rules = shared
    store.write_table(paths[1], evaluate(store.read_table(paths[0]), rules), provenance())
    return paths[1]


def _results_facts(config: RunConfig) -> list[Any]:
    protocol = config.protocol.model_dump(mode="json")
    return [RESULTS_VERSION, list(METRICS), config.evaluation.model_dump(mode="json"), protocol]
