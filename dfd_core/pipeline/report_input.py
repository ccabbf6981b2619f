"""What a run found, gathered for its report. A module of its own: what draws a report takes long to load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dfd_core.config import RunConfig
from dfd_core.evaluation.banks import AnyFeatureSet, load_bank, vector_sets
from dfd_core.evaluation.hierarchy import HierarchyResult
from dfd_core.evaluation.hierarchy_jobs import HierarchyJob, failure_of
from dfd_core.evaluation.published import published_rows
from dfd_core.evaluation.samples import pairing_rows
from dfd_core.features.table import FeatureTable
from dfd_core.pipeline.auditing import report_section
from dfd_core.pipeline.features import Failure
from dfd_core.pipeline.inputs import FeatureSets, RunInputs, samples_of
from dfd_core.pipeline.stored import StoredCalibrators, StoredScores
from dfd_core.provenance import provenance
from dfd_core.reports.hierarchy_section import hierarchy_section
from dfd_core.reports.report import ReportInput
from dfd_core.reports.sections import Section
from dfd_core.storage import Store

if TYPE_CHECKING:
    from dfd_core.pipeline.reporting import Found


def report_input(
    config: RunConfig, inputs: RunInputs, found: Found, notes: tuple[str, ...], address: str
) -> ReportInput:
    """All that a report shows.

    Args:
        config: The run.
        inputs: Its manifests and feature sets.
        found: What was found out.
        notes: What a reader must know first.
        address: Where the report will be.
    """
    store = Store(config.store)
    manifests, feature_sets = inputs.open(config)
    table, samples = store.read_table(found.results), samples_of(config, manifests)
    scores = StoredScores(store, found.jobs)
    return ReportInput(
        title=config.name,
        results=table,
        frame=samples.frame,
        protocol=config.protocol,
        features=_vectors(config, store, [*feature_sets, *inputs.imported]),
        failures=_by_feature_set(feature_sets, found.failures),
        precision=found.precision,
        notes=notes,
        heatmap_metrics=config.report.heatmap_metrics,
        seed=config.seed,
        scores=scores,
        calibrators=StoredCalibrators(scores, samples, config.evaluation),
        published=published_rows(table.to_pandas(), config.benchmarks) if config.benchmarks else None,
        pairing=pairing_rows(samples),
        augmentations={one.name: one for one in config.augmentations},
        sections=[
            *(_hierarchy_section(store, job) for job in found.hierarchies),
            *([report_section(config, manifests)] if config.datasets else []),
        ],
        footer=_footer(config, address),
    )


def _vectors(
    config: RunConfig, store: Store, sets: Sequence[AnyFeatureSet]
) -> dict[str, dict[tuple[str, str], FeatureTable]]:
    """The vectors that the maps are drawn of, by backbone."""
    if not config.report.maps:
        return {}
    return {label: load_bank(store, own) for label, own in vector_sets(sets).items()}


def _by_feature_set(feature_sets: FeatureSets, failures: Sequence[Failure]) -> dict[str, list[tuple[str, str, str]]]:
    found: dict[str, list[tuple[str, str, str]]] = {feature_set.title: [] for feature_set in feature_sets}
    for failure in failures:
        path = f"{failure.feature_set.dataset}/{failure.path}"
        found[failure.feature_set.title].append((path, failure.status, failure.error))
    return found


def _hierarchy_section(store: Store, job: HierarchyJob) -> Section:
    if job.is_done(store):
        return hierarchy_section(HierarchyResult.load(store, job.folder))
    return Section(f"Hierarchy {job.spec.name}", [f"It has no results: {failure_of(store, job) or 'not fitted yet'}"])


def _footer(config: RunConfig, address: str) -> tuple[str, ...]:
    facts = provenance()
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    return (
        f"{address}, written {facts['created_at']}, from config.yaml beside it; seed {config.seed}, split seed "
        f"{config.split.seed}.",
        f"dfd {facts['dfd']} ({facts['code'] or 'installed'}), Python {facts['python']}, {packages}.",
        f"{facts['platform']}.",
    )
