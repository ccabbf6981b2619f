"""Detectors and hierarchies of detectors, fitted and scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from dfd_core.config import RunConfig
from dfd_core.errors import EvaluationError
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
    fit_hierarchy,
    keep_failure,
    missing_hierarchies,
    plan_hierarchies,
)
from dfd_core.pipeline.engine import Engine, raise_first
from dfd_core.pipeline.inputs import RunInputs, samples_of
from dfd_core.pipeline.metadata import metadata_sets
from dfd_core.storage import Store


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
        on_detectors: Called with how many more are finished.

    Returns:
        What became of them. A detector that failed has scores that say why.
    """
    store, samples = Store(config.store), samples_of(config, inputs.open(config)[0])
    missing = missing_jobs(store, jobs, config.retry_failed)
    failed: list[tuple[str, str]] = []
    for label, own in vectors_of(config, inputs).items():
        todo = bundles([job for job in missing if job.spec.backbone == label], engine.workers)
        if not todo:
            continue
        bench = Bench(store, samples, load_bank(store, own), config.protocol)
        # a reducer that can't be fitted fails again in its cells, where it becomes their rows
        shared = engine.map(fit_shared_reducer, bench, sharing_a_reducer(todo), lambda *_: None)
        raise_first({index: error for index, error in shared.items() if not isinstance(error, EvaluationError)})
        errors = engine.map(fit_and_score, bench, todo, _announcing(on_detectors, todo, failed))
        raise_first(errors)
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
    config: RunConfig,
    inputs: RunInputs,
    jobs: Sequence[HierarchyJob],
    engine: Engine,
    on_hierarchies: Callable[[int], None] = lambda _: None,
) -> int:
    """Fits and measures the hierarchies that have no results yet.

    Args:
        config: The run.
        inputs: What it starts from.
        jobs: All of its hierarchies.
        engine: What carries it out.
        on_hierarchies: Called with how many more are finished, those among them that can't be fitted.

    Returns:
        How many there were, those among them that can't be fitted: the report says why.
    """
    store, samples = Store(config.store), samples_of(config, inputs.open(config)[0])
    missing = missing_hierarchies(store, jobs, config.retry_failed)
    for label, own in vectors_of(config, inputs).items():
        todo = [job for job in missing if job.backbone == label]
        if todo:
            bench = Bench(store, samples, load_bank(store, own), config.protocol)
            errors = engine.map(fit_hierarchy, bench, todo, lambda *_: on_hierarchies(1))
            raise_first({index: error for index, error in errors.items() if not isinstance(error, EvaluationError)})
            for index, error in errors.items():
                keep_failure(store, todo[index], error)
                on_hierarchies(1)
    return len(missing)


def _announcing(
    on_detectors: Callable[[int], None], todo: Sequence[Bundle], failed: list[tuple[str, str]]
) -> Callable[[int, Done], None]:
    def announce(index: int, done: Done) -> None:
        failed.extend(done.failed)
        on_detectors(len(todo[index]))

    return announce
