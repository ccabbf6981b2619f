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
from dfd_core.features.planning import plan_extraction
from dfd_core.manifests import preview
from dfd_core.pipeline import RunInputs
from dfd_core.storage import Store


def survey(config: RunConfig) -> str:
    """A line for each dataset, backbone and step: what exists and what is to be computed.

    Files that no earlier run has read are read, since only their bytes tell which vectors exist.

    Raises:
        DatasetError: A dataset can't be read.
        WeightsError: A weights file is named that is not there or has another digest.
    """
    store = Store(config.store)
    lines = [f"The run {config.name} in {store.url()}"]
    tables: dict[str, pa.Table] = {}
    keys: dict[str, str] = {}
    for source in config.datasets:
        _dataset(config, source, tables, keys, lines)
    backbones = [_backbone(spec, lines) for spec in config.backbones]
    inputs = RunInputs(manifests=keys, backbones=tuple(one for one in backbones if one is not None))
    _audit(config, inputs, lines)
    missing = _features(config, inputs, tables, lines)
    if len(tables) < len(config.datasets) or None in backbones or missing:
        lines.append("detectors: to be fitted and evaluated once the features are there; the report after them")
    elif not all(store.exists(f"manifests/{key}.parquet") for key in keys.values()):
        lines.append("detectors: those whose samples, labels or splits changed are to be fitted; then the report")
    else:
        _detectors(config, inputs, store, lines)
    return "\n".join(lines)


def _dataset(
    config: RunConfig, source: DatasetSource, tables: dict[str, pa.Table], keys: dict[str, str], lines: list[str]
) -> None:
    store, name = Store(config.store), source.name
    if not is_acquired(source, store):
        lines.append(f"dataset {name}: to be acquired, then its manifest and all its features to be computed")
        return
    manifest, tables[name], read = preview(source, config.split, store)
    keys[name] = manifest.key
    n = tables[name].num_rows
    if store.exists(manifest.path):
        lines.append(f"dataset {name}: manifest {manifest.key} exists, {n:,} samples")
    else:
        lines.append(f"dataset {name}: manifest of {n:,} samples to be written, {read:,} of them not read before")


def _backbone(spec: BackboneSpec, lines: list[str]) -> ResolvedBackbone | None:
    try:
        resolved = resolve(spec, fetch=False)
    except WeightsError as error:
        if spec.weights is not None or spec.card.default_weights not in ("hub", "url"):
            raise
        lines.append(f"backbone {spec.name}: weights to be fetched, then all its features to be computed ({error})")
        return None
    lines.append(f"backbone {spec.name}: {resolved.label}, weights digest {resolved.weights_digest[:12]}")
    return resolved


def _audit(config: RunConfig, inputs: RunInputs, lines: list[str]) -> None:
    folder = pipeline.audit_folder(config, inputs.open(config)[0])
    if config.audit is not None:
        there = folder is not None and Store(config.store).exists(f"{folder}/index.html")
        lines.append("audit: exists" if there else "audit: to be made before extraction")


def _features(config: RunConfig, inputs: RunInputs, tables: dict[str, pa.Table], lines: list[str]) -> int:
    _, feature_sets = inputs.open(config)
    plan = plan_extraction(
        Store(config.store), tables, feature_sets, config.extraction.shard_size, config.extraction.retry_failed
    )
    for feature_set in feature_sets:
        done, total = plan.done[feature_set.folder], plan.total[feature_set.folder]
        lines.append(f"features {feature_set.title}: {done:,} of {total:,} exist, {total - done:,} to be computed")
    return plan.missing


def _detectors(config: RunConfig, inputs: RunInputs, store: Store, lines: list[str]) -> None:
    jobs = pipeline.plan_training(config, inputs)
    missing = len(missing_jobs(store, jobs))
    lines.append(f"detectors: {len(jobs) - missing} of {len(jobs)} exist, {missing} to be fitted")
    path = pipeline.results_path(config, jobs)
    lines.append(f"results: {'exist' if store.exists(path) else 'to be computed'} ({path})")
