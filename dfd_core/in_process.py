"""The steps in one process, without Prefect and Ray: for notebooks, small jobs and debuggers.

from dfd_core.config import load_config
from dfd_core.in_process import run

folder = run(load_config("mine.yaml"))
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from dfd_core import pipeline
from dfd_core.config import RunConfig
from dfd_core.errors import DfdError
from dfd_core.evaluation.grid import missing_jobs
from dfd_core.evaluation.hierarchy_jobs import missing_hierarchies
from dfd_core.features.extraction import extract_here
from dfd_core.pipeline import RunInputs
from dfd_core.pipeline.engine import Errors, OnResult, Result, Work
from dfd_core.storage import Store

logger = logging.getLogger(__name__)
EVERY_S = 5.0


class LocalEngine:
    """One job after the other in this process."""

    workers = 1

    def map(self, work: Work[Result], shared: Any, jobs: Sequence[Any], on_result: OnResult[Result]) -> Errors:
        """Calls `work(shared, job)` for every job; returns the errors of those that failed."""
        errors: Errors = {}
        for index, job in enumerate(jobs):
            try:
                on_result(index, work(shared, job))
            except DfdError as error:
                errors[index] = error
        return errors


def run(config: RunConfig) -> str:
    """Prepare, extract, train and evaluate, report; each does only what is missing.

    Returns:
        The report's folder in the store.

    Raises:
        DfdError: Whatever ends a run; what is finished is kept.
    """
    inputs = pipeline.find_inputs(config)
    extract(config, inputs)
    train_and_evaluate(config, inputs)
    return pipeline.report(config, inputs).folder


def extract(config: RunConfig, inputs: RunInputs) -> None:
    """Audits the images, if the configuration says so, and extracts what is missing, on the GPU where there is one.

    Raises:
        AuditError: The configuration asks for an audit, and does not put up with what it found.
        TooManyFailuresError: Too many samples have no vector.
        StoreError: The store can't be read or written.
    """
    manifests, feature_sets = inputs.open(config)
    audit(config, inputs)
    plan = pipeline.plan_features(config, manifests, feature_sets)
    progress = _Lines("Extracted {done} of {total} images", plan.images)
    extract_here(Store(config.store), plan, config.extraction, lambda report: progress.add(report.samples), _device())
    pipeline.read_metadata(config, {source.name: manifests[source.name] for source in config.datasets})
    pipeline.check_features(config, manifests, feature_sets)


def audit(config: RunConfig, inputs: RunInputs) -> None:
    """Looks for what is wrong with the images, if the configuration says so, unless that was done.

    Raises:
        AuditError: The configuration does not put up with what was found.
    """
    if config.audit is not None:
        manifests, _ = inputs.open(config)
        found = pipeline.audit(config, manifests)
        if found is None:
            return
        for finding in found.findings:
            logger.info("audit, %s: %s: %s", finding.severity, finding.where, finding.message)
        pipeline.hold_to(config, manifests, found)


def train_and_evaluate(config: RunConfig, inputs: RunInputs) -> str:
    """Fits the detectors that are missing and computes every metric.

    Returns:
        The path of the results in the store.

    Raises:
        EvaluationError: Features are missing, or a detector can't be fitted.
    """
    manifests, feature_sets = inputs.open(config)
    pipeline.check_features(config, manifests, feature_sets)
    jobs = pipeline.plan_training(config, inputs)
    engine, store, retry = LocalEngine(), Store(config.store), config.retry_failed
    progress = _Lines("Fitted {done} of {total} detectors", len(missing_jobs(store, jobs, retry)))
    for name, error in pipeline.train(config, inputs, jobs, engine, progress.add).failed:
        logger.warning("%s failed: %s", name, error)
    if config.hierarchies:
        hierarchies = pipeline.plan_run_hierarchies(config, inputs)
        progress = _Lines("Fitted {done} of {total} hierarchies", len(missing_hierarchies(store, hierarchies, retry)))
        pipeline.train_hierarchies(config, inputs, hierarchies, engine, progress.add)
    plan = pipeline.plan_results(config, inputs)
    progress = _Lines("Evaluated {done} of {total} detectors", len(plan.missing))
    return pipeline.tabulate(config, inputs, plan, engine, progress.add)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


class _Lines:
    """A line in the log every few seconds, and one at the end: how many, how fast, how long the rest takes."""

    def __init__(self, template: str, total: int) -> None:
        self.template, self.done, self.total = template, 0, total
        self.began_s = self.last_s = time.monotonic()
        if not total:
            logger.info("%s: nothing to do", template.format(done=0, total=0))

    def add(self, n: int) -> None:
        self.done += n
        now = time.monotonic()
        if now - self.last_s >= EVERY_S or self.done == self.total:
            a_second = self.done / max(now - self.began_s, 1e-9)
            rest = f", about {(self.total - self.done) / a_second:,.0f} s left" if self.done < self.total else ""
            line = self.template.format(done=self.done, total=self.total)
            logger.info("%s (%s a second%s)", line, f"{a_second:,.3g}" if a_second < 100 else f"{a_second:,.0f}", rest)
            self.last_s = now
