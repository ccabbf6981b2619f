"""The whole way, step by step: prepare, extract, train and evaluate, report. Each step does only what is missing.

Flows call these functions one by one, and so does `in_process`. What carries out the heavy work is an `Engine`: a plain
loop, or one that drives a cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dfd_core.backbones import ResolvedBackbone, resolve
from dfd_core.config import RunConfig, dump_config
from dfd_core.datasets import DATASETS, CatalogueSource
from dfd_core.errors import EvaluationError, StoreError, TooManyFailuresError
from dfd_core.evaluation import METRICS, evaluate
from dfd_core.evaluation.grid import (
    Bench,
    DetectorJob,
    GridSpec,
    by_backbone,
    fit_and_score,
    load_bank,
    missing_jobs,
    plan_detectors,
)
from dfd_core.evaluation.samples import Samples
from dfd_core.features.extraction import ShardReport
from dfd_core.features.ledger import Ledger, load_ledger
from dfd_core.features.planning import ExtractionPlan, WantedSamples, plan_extraction
from dfd_core.features.precision import read_precision_checks
from dfd_core.features.sets import FeatureSet
from dfd_core.features.spec import ExtractionSpec
from dfd_core.manifests import Manifest, prepare
from dfd_core.provenance import provenance
from dfd_core.reports import ReportInput, write_report
from dfd_core.specs import Spec, content_hash, readable_key
from dfd_core.storage import Store

RESULTS_VERSION = 1
"""Of the code that makes results of scores; raised when the same scores give other results."""
REPORT_VERSION = 1
"""Of the code that writes reports; raised when the same results give another report."""
Result = TypeVar("Result")
Manifests = Mapping[str, Manifest]
FeatureSets = Sequence[FeatureSet]


class Engine(Protocol):
    """What carries out the two kinds of heavy work."""

    def extract(
        self, store: Store, plan: ExtractionPlan, spec: ExtractionSpec, on_shard: Callable[[ShardReport], None]
    ) -> list[ShardReport]:
        """Computes the shards of a plan."""

    def map(
        self,
        function: Callable[..., Result],
        shared: Any,
        jobs: Sequence[Any],
        on_result: Callable[[int, Result], None],
    ) -> dict[int, Exception]:
        """Calls `function(shared, job)` for every job; returns the errors of those that failed, by index."""


class RunInputs(Spec):
    """What the steps after `prepare` start from: references only, so they may cross processes and dashboards.

    Attributes:
        manifests: The key of each dataset's manifest.
        backbones: The backbones with the digests of their weights.
    """

    manifests: dict[str, str]
    backbones: tuple[ResolvedBackbone, ...]

    def open(self, config: RunConfig) -> tuple[dict[str, Manifest], tuple[FeatureSet, ...]]:
        """The manifests, and every dataset x augmentation x backbone of the run."""
        store = Store(config.store)
        manifests = {name: Manifest(store, name, key) for name, key in self.manifests.items()}
        feature_sets = tuple(
            FeatureSet(dataset=name, augmentation=augmentation, backbone=backbone, decode=config.extraction.decode)
            for name in manifests
            for augmentation in config.augmentations
            for backbone in self.backbones
        )
        return manifests, feature_sets


class Failure(NamedTuple):
    """A file that has no vector in a feature set."""

    feature_set: FeatureSet
    sample_id: str
    path: str
    status: str
    error: str


@dataclass(frozen=True)
class Report:
    """A report in the store.

    Attributes:
        folder: Where it is.
        anew: Whether it was written just now.
    """

    folder: str
    anew: bool


def find_inputs(config: RunConfig) -> RunInputs:
    """Finds the weights of every backbone and prepares every dataset.

    Raises:
        DatasetError: A dataset can't be acquired or lacks a class.
        WeightsError: Weights are missing or have another digest than stated.
    """
    store = Store(config.store)
    backbones = tuple(resolve(spec) for spec in config.backbones)
    manifests = {source.name: prepare(source, config.split, store).key for source in config.datasets}
    return RunInputs(manifests=manifests, backbones=backbones)


def plan_features(
    config: RunConfig, manifests: Manifests, feature_sets: FeatureSets, retry_failed: bool | None = None
) -> ExtractionPlan:
    """What is still to be extracted; `retry_failed` stands over the configuration's."""
    tables = {name: manifest.table for name, manifest in manifests.items()}
    spec = config.extraction
    retry = spec.retry_failed if retry_failed is None else retry_failed
    return plan_extraction(Store(config.store), tables, feature_sets, spec.shard_size, retry, keep_ledgers=True)


def check_features(config: RunConfig, manifests: Manifests, feature_sets: FeatureSets) -> list[Failure]:
    """Names every file that has no vector, once extraction has gone over all of them.

    Raises:
        TooManyFailuresError: More than `max_failed_fraction` in a feature set.
        EvaluationError: Samples were never extracted.
    """
    store = Store(config.store)
    never, failures = 0, []
    found: dict[str, list[Failure]] = {}
    samples = {name: WantedSamples(manifest.table) for name, manifest in manifests.items()}
    for feature_set in feature_sets:
        table = manifests[feature_set.dataset].table
        ledger = load_ledger(store, feature_set.folder, keep=True)
        wanted = samples[feature_set.dataset]
        never += len(wanted) - wanted.compare(ledger, retry_failed=False)
        found[feature_set.folder] = _failures(feature_set, table, ledger)
    if never:
        raise EvaluationError(f"{never} vectors were never extracted. Extract them first: `dfd extract CONFIG`.")
    for feature_set in feature_sets:
        own = found[feature_set.folder]
        _check_share(feature_set, own, len(manifests[feature_set.dataset].table), config.extraction.max_failed_fraction)
        failures += own
    return failures


def _failures(feature_set: FeatureSet, table: pa.Table, ledger: Ledger) -> list[Failure]:
    """The manifest's files that have no vector, sorted by path."""
    rows = ledger.failures()
    why = {one["sample_id"]: (one["status"], one["error"] or "") for one in rows.to_pylist()}
    files = table.filter(pc.is_in(table["sample_id"], value_set=rows["sample_id"].combine_chunks()))
    named = zip(files["path"].to_pylist(), files["sample_id"].to_pylist(), strict=True)
    return [Failure(feature_set, sample_id, path, *why[sample_id]) for path, sample_id in sorted(named)]


def all_rows(manifests: Manifests) -> pd.DataFrame:
    """The rows of all manifests."""
    frame: pd.DataFrame = pa.concat_tables([manifest.table for manifest in manifests.values()]).to_pandas()
    return frame


def plan_training(config: RunConfig, manifests: Manifests, feature_sets: FeatureSets) -> list[DetectorJob]:
    """Every detector of a run, finished or not."""
    grid = GridSpec(
        reducers=config.reducers,
        classifiers=config.classifiers,
        protocol=config.protocol,
        seed=config.seed,
        shuffle_labels=config.shuffle_labels,
    )
    digests = [manifest.digest for manifest in manifests.values()]
    return plan_detectors(Store(config.store), Samples(all_rows(manifests)), digests, feature_sets, grid)


def train(
    config: RunConfig,
    manifests: Manifests,
    feature_sets: FeatureSets,
    jobs: Sequence[DetectorJob],
    engine: Engine,
    on_detector: Callable[[DetectorJob], None] = lambda _: None,
) -> int:
    """Fits and scores the detectors that have no scores yet, backbone after backbone.

    Returns:
        How many were fitted.

    Raises:
        EvaluationError: Some could not be; the others are kept.
    """
    store, samples = Store(config.store), Samples(all_rows(manifests))
    missing = missing_jobs(store, jobs)
    failed: list[str] = []
    for label, own in by_backbone(feature_sets).items():
        todo = [job for job in missing if job.spec.backbone == label]
        if not todo:
            continue
        bench = Bench(store, samples, load_bank(store, own), config.protocol)
        errors = engine.map(fit_and_score, bench, todo, _announcing(on_detector, todo))
        for error in errors.values():
            if isinstance(error, StoreError):
                raise error
        failed += [f"{todo[index].spec.name()}: {error}" for index, error in sorted(errors.items())]
    if failed:
        raise EvaluationError(f"{len(failed)} of {len(missing)} detectors failed. " + " ".join(failed[:3]))
    return len(missing)


def _check_share(feature_set: FeatureSet, failures: Sequence[Failure], total: int, limit: float) -> None:
    if len(failures) <= limit * total:
        return
    counts = ", ".join(f"{n} {status}" for status, n in Counter(one.status for one in failures).most_common())
    first = "; ".join(f"{one.path} is {one.status} ({one.error})" for one in failures[:3])
    raise TooManyFailuresError(
        f"{len(failures)} of {total} files have no vector in {feature_set.title}: {counts}. First: {first}. That is "
        f"more than extraction.max_failed_fraction = {limit:g}. Mend or remove the files, or raise the limit; "
        "what is finished is kept, and --retry-failed tries the failed ones again."
    )


def _announcing(on_detector: Callable[[DetectorJob], None], jobs: Sequence[DetectorJob]) -> Callable[[int, Any], None]:
    return lambda index, _: on_detector(jobs[index])


def results_path(config: RunConfig, jobs: Sequence[DetectorJob]) -> str:
    """Where the results of these detectors stand in the store."""
    facts = [RESULTS_VERSION, list(METRICS), sorted(job.key for job in jobs)]
    return f"results/{readable_key(config.name, content_hash(facts))}.parquet"


def tabulate(config: RunConfig, manifests: Manifests, jobs: Sequence[DetectorJob]) -> str:
    """Computes every metric from the stored scores and writes the long table of results.

    Returns:
        Its path in the store.
    """
    store, path = Store(config.store), results_path(config, jobs)
    if not store.exists(path):
        samples = Samples(all_rows(manifests))
        tables = [evaluate(store.read_table(job.scores_path), samples, config.protocol, config.name) for job in jobs]
        results = pa.concat_tables(tables)
        store.write_table(path, results, provenance(config=dump_config(config), detectors=len(jobs)))
    return path


def report(config: RunConfig, inputs: RunInputs) -> Report:
    """Writes the report, unless it is there.

    Raises:
        EvaluationError: There are no results yet.
    """
    store = Store(config.store)
    manifests, feature_sets = inputs.open(config)
    failures = check_features(config, manifests, feature_sets)
    results = results_path(config, plan_training(config, manifests, feature_sets))
    if not store.exists(results):
        raise EvaluationError(f"There are no results {store.url(results)} yet. Make them first: `dfd evaluate CONFIG`.")
    precision = read_precision_checks(store, feature_sets)
    facts = [REPORT_VERSION, results, config.report.model_dump(mode="json"), [failure[1:] for failure in failures]]
    facts += [precision] if precision else []
    folder = f"reports/{readable_key(config.name, content_hash(facts))}"
    if store.exists(f"{folder}/index.html"):
        return Report(folder, anew=False)
    banks = (
        {label: load_bank(store, own) for label, own in by_backbone(feature_sets).items()} if config.report.maps else {}
    )
    by_set: dict[str, list[tuple[str, str, str]]] = {feature_set.title: [] for feature_set in feature_sets}
    for failure in failures:
        path = f"{failure.feature_set.dataset}/{failure.path}"
        by_set[failure.feature_set.title].append((path, failure.status, failure.error))
    content = ReportInput(
        title=config.name,
        results=store.read_table(results),
        frame=all_rows(manifests),
        protocol=config.protocol,
        features=banks,
        failures=by_set,
        precision=precision,
        notes=(*catalogue_notes(config), *_notes(manifests)),
        heatmap_metrics=config.report.heatmap_metrics,
        seed=config.seed,
        footer=_footer(config, store.url(folder)),
    )
    store.write_bytes(f"{folder}/config.yaml", dump_config(config).encode())
    write_report(store, folder, content)
    return Report(folder, anew=True)


def _footer(config: RunConfig, address: str) -> tuple[str, ...]:
    facts = provenance()
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    return (
        f"{address}, written {facts['created_at']}, from config.yaml beside it; seed {config.seed}, split seed "
        f"{config.split.seed}.",
        f"dfd {facts['dfd']} ({facts['code'] or 'installed'}), Python {facts['python']}, {packages}.",
        f"{facts['platform']}.",
    )


def catalogue_notes(config: RunConfig) -> tuple[str, ...]:
    """What each dataset of the catalogue is, which a reader must know before any number."""
    return tuple(
        f"Dataset {source.name} · {DATASETS[source.catalogue].title}."
        for source in config.datasets
        if isinstance(source, CatalogueSource) and source.catalogue in DATASETS
    )


def _notes(manifests: Manifests) -> tuple[str, ...]:
    return tuple(f"{manifest.name}: {note}" for manifest in manifests.values() for note in manifest.notes)
