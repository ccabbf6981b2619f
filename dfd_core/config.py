"""A run's whole configuration: one YAML file, validated before the first byte is read or fetched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, model_validator

from dfd_core.audit import AuditSpec
from dfd_core.augmentations import Augmentations
from dfd_core.backbones import BackboneSpec
from dfd_core.classifiers import ClassifierSpec
from dfd_core.datasets.acquire import resolve as check_options
from dfd_core.datasets.own_cards import own_card
from dfd_core.datasets.sources import CatalogueSource, DatasetName, DatasetSource
from dfd_core.evaluation import EvaluationSpec, ProtocolSpec
from dfd_core.evaluation.hierarchy_jobs import RunHierarchySpec
from dfd_core.evaluation.protocols import MATCHED
from dfd_core.evaluation.published import BenchmarkSpec
from dfd_core.features.importing_sources import ImportSource
from dfd_core.features.spec import ExtractionSpec
from dfd_core.filesystems import why_no_store
from dfd_core.manifests import SplitSpec
from dfd_core.reducers import ReducerSpec
from dfd_core.reports import ReportSpec
from dfd_core.specs import Location, Spec, read_yaml, validated
from dfd_core.storage import Store

KIND = "configuration"
Many = Field(min_length=1)


class RunConfig(Spec):
    """What to measure. Without any key it is the embedded default: simulated images, two backbones, two classifiers.

    Attributes:
        name: The run's name, in results, reports and the dashboard.
        store: Where everything that is made goes; any fsspec URL.
        seed: Seed of the classifiers and maps; splits, augmentations and datasets have seeds of their own.
        datasets: Catalogue names, folders or tables.
        features: Tables of vectors that exist already; they need no images, backbones or extraction.
        split: How samples are divided into train, validation and test.
        audit: What is looked for in the images before extraction; `{}` for all, null for nothing.
        augmentations: Pixel changes; each makes a feature set of its own. `robustness` stands for all presets of the
            robustness curves.
        backbones: Frozen networks.
        extraction: How features are extracted.
        reducers: What stands between features and classifier.
        hierarchies: Hierarchies real or generated -> family -> generator, on every backbone.
        combinations: Backbones whose vectors are concatenated, beside each alone.
        classifiers: What is trained on each training set.
        shortcut_probe: What is trained on the files' metadata alone, so that a shortcut shows; null for nothing.
        protocol: What trains and what tests.
        evaluation: Thresholds, calibration and intervals.
        shuffle_labels: A control: training labels are permuted, so no detector may do better than chance.
        benchmarks: The published benchmark that a dataset is, by the dataset's name: its numbers stand beside ours.
        report: What is drawn.
        retry_failed: Whether this start tries again what failed in an earlier one: images, detectors, hierarchies,
            unread files. It says nothing of what is measured, so no key has it.
    """

    name: DatasetName = "demo"
    store: Location = "dfd-store"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    datasets: tuple[DatasetSource, ...] = ("simulated",)  # type: ignore[assignment]
    features: tuple[ImportSource, ...] = ()
    split: SplitSpec = SplitSpec()
    audit: AuditSpec | None = None
    augmentations: Annotated[Augmentations, Many] = ("none", "jpeg_q75")  # type: ignore[assignment]
    backbones: Annotated[tuple[BackboneSpec, ...], Many] = ("spectrum", "tiny_vit")  # type: ignore[assignment]
    extraction: ExtractionSpec = ExtractionSpec()
    reducers: Annotated[tuple[ReducerSpec, ...], Many] = ("standardize",)  # type: ignore[assignment]
    classifiers: Annotated[tuple[ClassifierSpec, ...], Many] = (  # type: ignore[assignment]
        "logistic_regression",
        "nearest_neighbour",
    )
    hierarchies: tuple[RunHierarchySpec, ...] = ()
    combinations: tuple[Annotated[tuple[str, ...], Field(min_length=2)], ...] = ()
    shortcut_probe: ClassifierSpec | None = "random_forest"  # type: ignore[assignment]
    protocol: ProtocolSpec = ProtocolSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    shuffle_labels: bool = False
    benchmarks: dict[str, BenchmarkSpec] = {}
    report: ReportSpec = ReportSpec()
    retry_failed: bool = False

    @model_validator(mode="before")
    @classmethod
    def _retry_failed_stood_below_extraction(cls, values: Any) -> Any:
        extraction = values.get("extraction") if isinstance(values, dict) else None
        if not isinstance(extraction, dict) or "retry_failed" not in extraction:
            return values
        others = {key: value for key, value in extraction.items() if key != "retry_failed"}
        return {"retry_failed": extraction["retry_failed"], **values, "extraction": others}

    @model_validator(mode="after")
    def _store_can_be_opened(self) -> RunConfig:
        if (reason := why_no_store(self.store)) is not None:
            raise ValueError(reason)
        return self

    @model_validator(mode="after")
    def _something_is_measured(self) -> RunConfig:
        if not self.datasets and not self.features:
            raise ValueError("datasets and features are both empty: name something to measure")
        return self

    @model_validator(mode="after")
    def _names_are_distinct(self) -> RunConfig:
        _distinct("datasets", (source.name for source in self.datasets))
        _distinct("augmentations", (augmentation.name for augmentation in self.augmentations))
        _distinct("backbones", (backbone.model_dump_json() for backbone in self.backbones))
        _distinct("reducers", (reducer.label() for reducer in self.reducers))
        _distinct("classifiers", (classifier.label() for classifier in self.classifiers))
        _distinct("hierarchies", (hierarchy.name for hierarchy in self.hierarchies))
        _distinct("combinations", ("+".join(labels) for labels in self.combinations))
        return self

    @model_validator(mode="after")
    def _datasets_accept_their_options(self) -> RunConfig:
        for source in self.datasets:
            if isinstance(source, CatalogueSource) and own_card(source, Store(self.store)) is None:
                check_options(source)
        return self

    @model_validator(mode="after")
    def _protocol_names_augmentations(self) -> RunConfig:
        names = {augmentation.name for augmentation in self.augmentations}
        for key in ("train_augmentations", "test_augmentations") if not self.features else ():
            named = getattr(self.protocol, key)
            unknown = set() if named == "all" else set(named or ()) - names
            if unknown:
                raise ValueError(
                    f"protocol.{key} has {sorted(unknown)}, which are not among augmentations: {sorted(names)}"
                )
        if self.protocol.matched and MATCHED not in names:
            raise ValueError(f"protocol.matched needs the augmentation {MATCHED!r}; add it to augmentations")
        return self

    @model_validator(mode="after")
    def _combinations_name_backbones(self) -> RunConfig:
        known = {one.name for one in self.backbones} | {one.card.title for one in self.backbones}
        for labels in self.combinations if not self.features else ():
            odd = [label for label in labels if not any(label == one or label.startswith(f"{one} ") for one in known)]
            if odd:
                raise ValueError(f"combinations name {odd}, which are not among backbones: {sorted(known)}")
        return self

    @model_validator(mode="after")
    def _benchmarks_name_datasets(self) -> RunConfig:
        datasets = {source.name for source in self.datasets}
        strangers = sorted(self.benchmarks.keys() - datasets)
        if strangers and not self.features:
            raise ValueError(f"benchmarks name {strangers}, which are not among datasets: {sorted(datasets)}")
        return self


def load_config(path: str | Path | None, **overrides: Any) -> RunConfig:
    """Reads a configuration; relative paths in it start at its own folder.

    Args:
        path: A YAML file; `None` is the embedded default.
        overrides: Top-level keys to replace; `None` leaves the file's. Relative paths start at the current folder.

    Raises:
        ConfigError: Names each wrong key, where it stands and what would be right.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    name = "the embedded default" if path is None else str(path)
    if path is None:
        config = make_config({}, name)
    else:
        advice = "`dfd config show` prints one to start from."
        config = read_yaml(path, RunConfig, KIND, advice, context={"base": Path(path).resolve().parent})
    if not given:
        return config
    return make_config(config.model_dump() | given, f"{name} with {', '.join(sorted(given))} from the command line")


def make_config(values: dict[str, Any], name: str) -> RunConfig:
    """A configuration from its keys and values; relative paths start at the current folder.

    Args:
        values: As a file would have them.
        name: Where they come from, for errors.

    Raises:
        ConfigError: Names each wrong key, where it stands and what would be right.
    """
    return validated(values, RunConfig, KIND, name, context={"base": Path.cwd()})


def dump_config(config: RunConfig) -> str:
    """The configuration as YAML with every default spelled out, without `retry_failed`, which is a start's alone."""
    values = config.model_dump(mode="json", exclude={"retry_failed"})
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _distinct(key: str, names: Iterable[str]) -> None:
    twice = sorted(name for name, n in Counter(names).items() if n > 1)
    if twice:
        raise ValueError(f"{key} has {', '.join(twice)} more than once")
