"""The report of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dfd_core.config import RunConfig, dump_config
from dfd_core.datasets import DATASETS, CatalogueSource
from dfd_core.errors import EvaluationError
from dfd_core.evaluation.grid import DetectorJob
from dfd_core.evaluation.hierarchy_jobs import HierarchyJob
from dfd_core.features.precision import PrecisionCheck, read_precision_checks
from dfd_core.pipeline.auditing import audit_facts
from dfd_core.pipeline.detectors import plan_run_hierarchies, plan_training
from dfd_core.pipeline.features import Failure, check_features
from dfd_core.pipeline.inputs import Manifests, RunInputs
from dfd_core.pipeline.results import failed_detectors, results_path
from dfd_core.specs import content_hash, readable_key
from dfd_core.storage import Store

REPORT_VERSION = 2
"""Of the code that writes reports; raised when the same results give another report."""


@dataclass(frozen=True)
class Report:
    """A report in the store.

    Attributes:
        folder: Where it is.
        anew: Whether it was written just now.
    """

    folder: str
    anew: bool


def report(config: RunConfig, inputs: RunInputs) -> Report:
    """Writes the report, unless it is there.

    Raises:
        EvaluationError: There are no results yet.
    """
    store = Store(config.store)
    found = _find(config, inputs)
    folder = _folder(config, inputs, found)
    if store.exists(f"{folder}/index.html"):
        return Report(folder, anew=False)
    from dfd_core.pipeline.report_input import report_input
    from dfd_core.reports.report import write_report

    notes = (*catalogue_notes(config), *_notes(inputs.open(config)[0]))
    content = report_input(config, inputs, found, notes, store.url(folder))
    store.write_bytes(f"{folder}/config.yaml", dump_config(config).encode())
    write_report(store, folder, content)
    return Report(folder, anew=True)


def find_report(config: RunConfig, inputs: RunInputs) -> str | None:
    """The folder of a report that is in the store already.

    Raises:
        EvaluationError: There are no results yet.
    """
    folder = _folder(config, inputs, _find(config, inputs))
    return folder if Store(config.store).exists(f"{folder}/index.html") else None


class Found(NamedTuple):
    """What a run has found out, as far as its report is named after it."""

    results: str
    jobs: Sequence[DetectorJob]
    failures: Sequence[Failure]
    precision: Sequence[PrecisionCheck]
    hierarchies: Sequence[HierarchyJob]


def _find(config: RunConfig, inputs: RunInputs) -> Found:
    store = Store(config.store)
    manifests, feature_sets = inputs.open(config)
    failures = check_features(config, manifests, feature_sets)
    jobs = plan_training(config, inputs)
    results = results_path(config, jobs)
    if not store.exists(results):
        raise EvaluationError(f"There are no results {store.url(results)} yet. Make them first: `dfd evaluate CONFIG`.")
    precision = read_precision_checks(store, feature_sets)
    return Found(results, jobs, failures, precision, plan_run_hierarchies(config, inputs))


def _folder(config: RunConfig, inputs: RunInputs, found: Found) -> str:
    facts = _facts(config, inputs.open(config)[0], found)
    return f"reports/{readable_key(config.name, content_hash(facts))}"


def _facts(config: RunConfig, manifests: Manifests, found: Found) -> list[object]:
    """What a report's key holds."""
    store = Store(config.store)
    drawn = config.report.model_dump(mode="json")
    facts: list[object] = [REPORT_VERSION, found.results, drawn, [failure[1:] for failure in found.failures]]
    facts += [found.precision] if found.precision else []
    failed = failed_detectors(store, found.results)
    facts += [failed] if failed else []  # one that was retried with success is in the same table
    done = [(job.key, job.is_done(store)) for job in found.hierarchies]
    return [*facts, done, _declared(config), audit_facts(config, manifests)]


def _declared(config: RunConfig) -> dict[str, object]:
    return {name: one.model_dump(mode="json") for name, one in config.benchmarks.items()}


def catalogue_notes(config: RunConfig) -> tuple[str, ...]:
    """What each dataset of the catalogue is, which a reader must know before any number."""
    return tuple(
        f"Dataset {source.name} · {DATASETS[source.catalogue].title}."
        for source in config.datasets
        if isinstance(source, CatalogueSource) and source.catalogue in DATASETS
    )


def _notes(manifests: Manifests) -> tuple[str, ...]:
    return tuple(f"{manifest.name}: {note}" for manifest in manifests.values() for note in manifest.notes)
