"""What a run would find and what it would compute, without computing, fetching or writing anything."""

from __future__ import annotations

import pyarrow as pa

from dfd_core import pipeline
from dfd_core.backbones import BackboneSpec, ResolvedBackbone, resolve
from dfd_core.config import RunConfig
from dfd_core.datasets.acquire import is_acquired
from dfd_core.datasets.sources import DatasetSource
from dfd_core.errors import WeightsError
from dfd_core.evaluation.grid import missing_jobs
from dfd_core.evaluation.hierarchy_jobs import failure_of
from dfd_core.features.importing import find_import
from dfd_core.features.ledger import load_ledger
from dfd_core.features.planning import plan_extraction
from dfd_core.manifests import preview
from dfd_core.pipeline import RunInputs
from dfd_core.storage import Store


def survey(config: RunConfig) -> str:
    """A line for each dataset, backbone and step: what exists and what is to be computed.

    Files that no earlier run has read are read, since only their bytes tell which vectors exist.

    Raises:
        DatasetError: A dataset or a table of vectors can't be read.
        WeightsError: A weights file is named that is not there or has another digest.
    """
    return "\n".join(_Survey(config).lines())


class _Survey:
    """What is known so far; `vectors` says whether all that detectors are fitted on is there."""

    def __init__(self, config: RunConfig) -> None:
        self.config, self.store = config, Store(config.store)
        self.tables: dict[str, pa.Table] = {}
        self.inputs = RunInputs(manifests={}, backbones=())
        self.vectors = self.written = True

    def lines(self) -> list[str]:
        """All that is to be said, in the order of the work."""
        lines = [f"The run {self.config.name} in {self.store.url()}"]
        lines += [self._dataset(source) for source in self.config.datasets]
        for spec in self.config.backbones if self.config.datasets else ():
            lines.append(self._backbone(spec))
        lines += self._audit() + self._extraction() + self._metadata() + self._imports()
        lines += [
            f"combination {' + '.join(labels)}: put together of their vectors, nothing to extract"
            for labels in self.config.combinations
        ]
        return lines + self._evaluation()

    def _dataset(self, source: DatasetSource) -> str:
        name = source.name
        if not is_acquired(source, self.store):
            self.vectors = False
            return f"dataset {name}: to be acquired, then its manifest and all its features to be computed"
        manifest, self.tables[name], read = preview(source, self.config.split, self.store)
        self._know(manifests={**self.inputs.manifests, name: manifest.key})
        n = self.tables[name].num_rows
        if self.store.exists(manifest.path):
            return f"dataset {name}: manifest {manifest.key} exists, {n:,} samples"
        self.written = False
        return f"dataset {name}: manifest of {n:,} samples to be written, {read:,} of them not read before"

    def _backbone(self, spec: BackboneSpec) -> str:
        try:
            resolved: ResolvedBackbone = resolve(spec, fetch=False)
        except WeightsError as error:
            if spec.weights is not None or spec.card.default_weights not in ("hub", "url"):
                raise
            self.vectors = False
            return f"backbone {spec.name}: weights to be fetched, then all its features to be computed ({error})"
        self._know(backbones=(*self.inputs.backbones, resolved))
        return f"backbone {spec.name}: {resolved.label}, weights digest {resolved.weights_digest[:12]}"

    def _audit(self) -> list[str]:
        if self.config.audit is None or not self.config.datasets:
            return []
        folder = pipeline.audit_folder(self.config, self.inputs.open(self.config)[0])
        whole = folder is not None and len(self.tables) == len(self.config.datasets)
        found = pipeline.read_audit(self.store, str(folder)) if whole else None
        if found is None:
            return ["audit: to be made before extraction"]
        again = pipeline.is_to_be_repeated(self.config, found)
        return ["audit: to be made again, since files could not be read" if again else "audit: exists"]

    def _extraction(self) -> list[str]:
        _, feature_sets = self.inputs.open(self.config)
        size, retry = self.config.extraction.shard_size, self.config.retry_failed
        plan = plan_extraction(self.store, self.tables, feature_sets, size, retry)
        self.vectors &= not plan.missing
        lines = []
        for feature_set in feature_sets:
            done, total = plan.done[feature_set.folder], plan.total[feature_set.folder]
            lines.append(f"features {feature_set.title}: {done:,} of {total:,} exist, {total - done:,} to be computed")
        return lines

    def _metadata(self) -> list[str]:
        lines = []
        for one in pipeline.metadata_sets(self.config, list(self.tables)):
            table = self.tables[one.dataset]
            missing = len(pipeline.missing_metadata(self.config, table, load_ledger(self.store, one.folder)))
            total = len(set(table["sample_id"].to_pylist()))
            self.vectors &= not missing
            title = f"{one.dataset} / {one.augmentation_name}"
            lines.append(f"metadata {title}: {total - missing:,} of {total:,} exist, {missing:,} to be read")
        return lines

    def _imports(self) -> list[str]:
        if not self.config.features:
            return []
        there = find_import(self.store, self.config.features, self.config.name) is not None
        if there:
            self.inputs = pipeline.with_imports(self.config, self.inputs)
        self.vectors &= there
        state = "imported" if there else "to be imported"
        return [f"features {source.name}: {state}" for source in self.config.features]

    def _evaluation(self) -> list[str]:
        if not self.vectors:
            return ["detectors: to be fitted and evaluated once the features are there; the report after them"]
        if not self.written:
            return ["detectors: those whose samples, labels or splits changed are to be fitted; then the report"]
        jobs = pipeline.plan_training(self.config, self.inputs)
        missing = len(missing_jobs(self.store, jobs, self.config.retry_failed))
        hierarchies, unfitted = self._hierarchies()
        lines = [f"detectors: {len(jobs) - missing} of {len(jobs)} exist, {missing} to be fitted", *hierarchies]
        results = pipeline.plan_results(self.config, self.inputs)
        there = results.is_there and not missing
        lines.append(f"results: {'exist' if there else 'to be computed'} ({results.path})")
        done = there and not unfitted and pipeline.find_report(self.config, self.inputs)
        return [*lines, f"report: exists ({done})" if done else "report: to be written"]

    def _hierarchies(self) -> tuple[list[str], int]:
        """What is to be said of them, and how many are to be fitted."""
        jobs = pipeline.plan_run_hierarchies(self.config, self.inputs)
        if not jobs:
            return [], 0
        undone = [job for job in jobs if not job.is_done(self.store)]
        failed = 0 if self.config.retry_failed else sum(failure_of(self.store, job) is not None for job in undone)
        missing = len(undone) - failed
        line = f"hierarchies: {len(jobs) - len(undone)} of {len(jobs)} exist, {missing} to be fitted"
        return [f"{line}, {failed} failed earlier" if failed else line], missing

    def _know(self, **more: object) -> None:
        self.inputs = self.inputs.model_copy(update=more)
