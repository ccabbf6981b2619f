"""The tasks: one for each piece of work that is worth a line in the dashboard and a retry of its own.

They are coarse, since each costs milliseconds of bookkeeping; what is fine-grained goes on below them, on Ray.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from prefect import get_run_logger, task

from dfd_core import pipeline
from dfd_core.backbones import BackboneSpec, ResolvedBackbone, resolve
from dfd_core.config import RunConfig
from dfd_core.datasets.sources import DatasetSource
from dfd_core.evaluation.grid import missing_jobs
from dfd_core.evaluation.hierarchy_jobs import missing_hierarchies
from dfd_core.manifests import prepare
from dfd_core.pipeline import RunInputs
from dfd_core.pipeline.engine import Errors, OnResult, Result, Work
from dfd_core.pipeline.features import Failure
from dfd_core.reports import summary_table
from dfd_core.reports.sections import FIGURES
from dfd_core.storage import Store
from dfd_core.wording import counted, some
from tasks.artifacts import artifact_key, image_artifact, table_artifact
from tasks.cluster import available_cpus, how_ray_begins, ray_session
from tasks.dispatcher import ShardDispatcher
from tasks.jobs import run_jobs
from tasks.progress import CountProgress, ExtractionProgress, Logger
from tasks.retries import task_options
from tasks.run_states import cancellable_task
from tasks.settings import EngineSettings

MAX_IMAGES = 30


class RayEngine:
    """Jobs on Ray; `ray_session` must be open."""

    @property
    def workers(self) -> int:
        """How many jobs run at once."""
        return available_cpus()

    def map(self, work: Work[Result], shared: Any, jobs: Sequence[Any], on_result: OnResult[Result]) -> Errors:
        """Calls `work(shared, job)` for every job in parallel; returns the errors of those that failed."""
        return run_jobs(work, shared, jobs, on_result)


@contextmanager
def _ray(logger: Logger) -> Iterator[EngineSettings]:
    """Ray, and the settings with which it runs; says so where it takes seconds to come up."""
    settings = EngineSettings.from_environment()
    if begins := how_ray_begins(settings):
        logger.info("%s", begins)
    with ray_session(settings):
        yield settings


@task(**task_options(), task_run_name="prepare {source.name}")
@cancellable_task
def prepare_dataset(config: RunConfig, source: DatasetSource) -> str:
    """Acquires one dataset and builds its manifest; returns the manifest's key."""
    logger = get_run_logger()
    with CountProgress(f"dataset {source.name}", "files", logger) as progress:
        manifest = prepare(source, config.split, Store(config.store), progress.update)
    table_artifact(f"manifest-{source.name}", manifest.summary(), f"The manifest of {source.name}: {manifest.key}")
    return manifest.key


@task(**task_options(), task_run_name="resolve {spec.name}")
@cancellable_task
def resolve_backbone(spec: BackboneSpec) -> ResolvedBackbone:
    """Finds a backbone's weights and hashes them."""
    resolved = resolve(spec)
    found = f"weights from {resolved.weights_source}, digest {resolved.weights_digest[:12]}"
    get_run_logger().info("%s: %s", resolved.label, found if resolved.has_network else "no weights needed")
    return resolved


@task(**task_options(), task_run_name="audit")
@cancellable_task
def audit_datasets(config: RunConfig, inputs: RunInputs) -> None:
    """Looks for what is wrong with the images, unless that was done, and fails where the configuration says so."""
    logger = get_run_logger()
    manifests, _ = inputs.open(config)
    with CountProgress("audit", "files", logger) as progress:
        found = pipeline.audit(config, manifests, progress.update)
    if found is None:
        return
    rows = [
        {"severity": one.severity, "what": one.kind, "where": one.where, "files": one.n, "found": one.message}
        for one in found.findings
    ]
    page = Store(config.store).url(f"{pipeline.audit_folder(config, manifests)}/index.html")
    table_artifact(f"{config.name}-audit", rows, f"What the audit found, the worst first; all of it: {page}")
    logger.info("The audit has %d findings, the worst: %s; %s", len(rows), found.worst or "none", page)
    pipeline.hold_to(config, manifests, found)


@task(**task_options(), task_run_name="extract features")
@cancellable_task
def extract_features(config: RunConfig, inputs: RunInputs) -> None:
    """Extracts what is missing on Ray actors and names every sample that has no vector."""
    logger = get_run_logger()
    manifests, feature_sets = inputs.open(config)
    plan = pipeline.plan_features(config, manifests, feature_sets)
    if not plan.images:
        logger.info("Every vector of the %d feature sets is in the store already", len(feature_sets))
    else:
        logger.info(
            "Extracting %s in %s for %s",
            counted(plan.images, "image"),
            counted(len(plan.shards), "shard"),
            counted(plan.missing, "missing vector"),
        )
        with _ray(logger) as settings, ExtractionProgress(plan, plan.images, logger, config.name) as progress:
            labels = sorted({one.backbone.label for one in plan.feature_sets})
            logger.info("Actors start and load %s; images come after that", ", ".join(labels))
            try:
                store = Store(config.store)
                ShardDispatcher(store, plan, config.extraction, settings, progress.on_shard, logger).run()
            finally:
                table_artifact(
                    f"{config.name}-throughput", progress.throughput_rows(), "Images a second of each extraction actor"
                )
    failures = pipeline.check_features(config, manifests, feature_sets)
    if failures:
        table = artifact_key(config.name, "failed-samples")
        logger.warning("%s", _told(failures, table))
        rows = [
            {"feature set": one.feature_set.title, "path": one.path, "status": one.status, "error": one.error}
            for one in failures
        ]
        table_artifact(table, rows, "Images without a vector, by feature set")


def _told(failures: Sequence[Failure], table: str) -> str:
    """Which images have no vector, each named once, and where the rest is."""
    why: dict[str, str] = {}
    for one in failures:
        path = f"{one.path} in {one.feature_set.dataset}"
        why.setdefault(path, f"{path} is {one.status}" + (f" ({one.error})" if one.error else ""))
    return (
        f"{counted(len(why), 'image')} can't be used, {counted(len(failures), 'vector')} missing: "
        f"{some(list(why.values()))}. All of them are in the dashboard's table {table}, those of a whole run also in "
        "its report. --retry-failed tries them again."
    )


@task(**task_options(), task_run_name="read metadata")
@cancellable_task
def read_metadata(config: RunConfig, inputs: RunInputs) -> None:
    """Reads the headers of all images, for the shortcut probe."""
    logger = get_run_logger()
    if config.shortcut_probe is None or not config.datasets:
        return
    manifests, _ = inputs.open(config)
    images = {source.name: manifests[source.name] for source in config.datasets}
    with CountProgress("metadata", "files", logger) as progress:
        missing = pipeline.read_metadata(config, images, progress.update)
    logger.info("The metadata of %s were read anew", counted(missing, "file"))


@task(**task_options(), task_run_name="import tables")
@cancellable_task
def import_tables(config: RunConfig, inputs: RunInputs) -> RunInputs:
    """Brings tables of vectors into the store, unless they are there."""
    return pipeline.with_imports(config, inputs)


@task(**task_options(), task_run_name="fit detectors")
@cancellable_task
def fit_detectors(config: RunConfig, inputs: RunInputs) -> None:
    """Fits every detector that has no scores yet, in parallel, and scores all test samples with it."""
    logger = get_run_logger()
    jobs = pipeline.plan_training(config, inputs)
    missing = len(missing_jobs(Store(config.store), jobs, config.retry_failed))
    if not missing:
        logger.info("All %d detectors have scores in the store already", len(jobs))
        return
    logger.info("Fitting %d of %d detectors", missing, len(jobs))
    with _ray(logger), CountProgress("detectors", "detectors", logger, missing) as progress:
        trained = pipeline.train(config, inputs, jobs, RayEngine(), progress.advance)
    if trained.failed:
        logger.warning("%d of %d detectors failed; their results say why", len(trained.failed), missing)
        rows = [{"detector": name, "error": error} for name, error in trained.failed]
        table_artifact(f"{config.name}-failed-detectors", rows, "Detectors without scores")


@task(**task_options(), task_run_name="fit hierarchies")
@cancellable_task
def fit_hierarchies(config: RunConfig, inputs: RunInputs) -> None:
    """Fits and measures every hierarchy that has no results yet, in parallel."""
    logger = get_run_logger()
    jobs = pipeline.plan_run_hierarchies(config, inputs)
    missing = len(missing_hierarchies(Store(config.store), jobs, config.retry_failed))
    if not missing:
        logger.info("All %d hierarchies have results in the store already", len(jobs))
        return
    logger.info("Fitting %d of %d hierarchies", missing, len(jobs))
    with _ray(logger), CountProgress("hierarchies", "hierarchies", logger, missing) as progress:
        pipeline.train_hierarchies(config, inputs, jobs, RayEngine(), progress.advance)


@task(**task_options(), task_run_name="tabulate results")
@cancellable_task
def tabulate_results(config: RunConfig, inputs: RunInputs) -> str:
    """Computes every metric from the stored scores; returns the path of the results in the store."""
    logger, plan = get_run_logger(), pipeline.plan_results(config, inputs)
    if not plan.missing:
        logger.info("The metrics of all %d detectors are in the store already", len(plan.parts))
        return pipeline.tabulate(config, inputs, plan, RayEngine())
    with _ray(logger), CountProgress("results", "detectors", logger, len(plan.missing)) as progress:
        return pipeline.tabulate(config, inputs, plan, RayEngine(), progress.advance)


@task(**task_options(), task_run_name="write report")
@cancellable_task
def write_report(config: RunConfig, inputs: RunInputs) -> str:
    """Writes tables, figures and the report; returns the report's folder in the store."""
    logger = get_run_logger()
    logger.info("Writing the report, unless it is there: tables, heat maps, and maps of the features")
    made = pipeline.report(config, inputs)
    store = Store(config.store)
    logger.info("The report %s: %s", "is written" if made.anew else "is in the store already", store.url(made.folder))
    if not made.anew:
        return made.folder
    figures = store.names(f"{made.folder}/{FIGURES}", ".png")
    for name in figures[:MAX_IMAGES]:
        data = store.read_bytes(f"{made.folder}/{FIGURES}/{name}")
        image_artifact(f"{config.name}-{name.removesuffix('.png')}", data, name.rsplit("-", 1)[0].replace("_", " "))
    if len(figures) > MAX_IMAGES:
        logger.info("The dashboard has %d of %d figures; all are in the report", MAX_IMAGES, len(figures))
    table = summary_table(store.read_table(f"{made.folder}/results.parquet"), by_training_set=True)
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    table_artifact(f"{config.name}-accuracy", rows, table.caption)
    return made.folder
