"""What a run would find and what it would compute, without computing or fetching anything."""

from __future__ import annotations

from collections import Counter

from dfd_core import pipeline
from dfd_core.backbones import BackboneSpec, ResolvedBackbone, resolve
from dfd_core.config import RunConfig
from dfd_core.datasets.acquire import is_acquired
from dfd_core.datasets.sources import CatalogueSource
from dfd_core.errors import WeightsError
from dfd_core.evaluation.grid import missing_jobs
from dfd_core.manifests import Manifest, find
from dfd_core.pipeline import RunInputs
from dfd_core.storage import Store


def survey(config: RunConfig) -> str:
    """A line for each dataset, backbone and step: what exists and what is to be computed.

    Raises:
        DatasetError: A dataset can't be read.
        WeightsError: A weights file is named that is not there or has another digest.
    """
    store = Store(config.store)
    lines = [f"The run {config.name} in {store.url()}"]
    manifests = {source.name: _dataset(config, source.name, store, lines) for source in config.datasets}
    backbones = [_backbone(spec, lines) for spec in config.backbones]
    found = {name: manifest.key for name, manifest in manifests.items() if manifest is not None}
    resolved = tuple(backbone for backbone in backbones if backbone is not None)
    missing = _features(config, RunInputs(manifests=found, backbones=resolved), lines)
    if len(found) < len(manifests) or len(resolved) < len(backbones) or missing:
        lines.append("detectors: to be fitted and evaluated once the features are there; the report after them")
    else:
        _detectors(config, RunInputs(manifests=found, backbones=resolved), store, lines)
    return "\n".join(lines)


def _dataset(config: RunConfig, name: str, store: Store, lines: list[str]) -> Manifest | None:
    source = next(source for source in config.datasets if source.name == name)
    if isinstance(source, CatalogueSource) and not is_acquired(source, store):
        lines.append(f"dataset {name}: to be acquired, then its manifest and all its features to be computed")
        return None
    found = find(source, config.split, store)
    if isinstance(found, int):
        lines.append(f"dataset {name}: manifest of {found:,} files to be built, then all its features to be computed")
        return None
    lines.append(f"dataset {name}: manifest {found.key} exists, {found.counts()['samples']:,} samples")
    return found


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


def _features(config: RunConfig, inputs: RunInputs, lines: list[str]) -> int:
    manifests, feature_sets = inputs.open(config)
    if not feature_sets:
        return 0
    plan = pipeline.plan_features(config, manifests, feature_sets)
    missing: Counter[str] = Counter()
    for shard in plan.shards:
        for target in shard.targets:
            missing[target.folder] += len(shard)
    for feature_set in feature_sets:
        n, total = missing[feature_set.folder], plan.total[feature_set.folder]
        lines.append(f"features {feature_set.title}: {total - n:,} of {total:,} exist, {n:,} to be computed")
    return plan.missing


def _detectors(config: RunConfig, inputs: RunInputs, store: Store, lines: list[str]) -> None:
    jobs = pipeline.plan_training(config, *inputs.open(config))
    missing = len(missing_jobs(store, jobs))
    lines.append(f"detectors: {len(jobs) - missing} of {len(jobs)} exist, {missing} to be fitted")
    path = pipeline.results_path(config, jobs)
    lines.append(f"results: {'exist' if store.exists(path) else 'to be computed'} ({path})")
