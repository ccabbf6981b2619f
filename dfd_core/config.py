"""A run's whole configuration: one YAML file, validated before the first byte is read or fetched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from dfd_core.audit import AuditSpec
from dfd_core.augmentations import Augmentations
from dfd_core.backbones import BackboneSpec
from dfd_core.classifiers import ClassifierSpec
from dfd_core.datasets.acquire import resolve as check_options
from dfd_core.datasets.own_cards import own_card
from dfd_core.datasets.sources import CatalogueSource, DatasetName, DatasetSource
from dfd_core.errors import ConfigError, UnknownNameError
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
from dfd_core.specs import Location, Spec
from dfd_core.storage import Store

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

    @model_validator(mode="after")
    def _names_are_distinct_and_known(self) -> RunConfig:
        if (reason := why_no_store(self.store)) is not None:
            raise ValueError(reason)
        if not self.datasets and not self.features:
            raise ValueError("datasets and features are both empty: name something to measure")
        _distinct("datasets", (source.name for source in self.datasets))
        _distinct("augmentations", (augmentation.name for augmentation in self.augmentations))
        _distinct("backbones", (backbone.model_dump_json() for backbone in self.backbones))
        _distinct("reducers", (reducer.label() for reducer in self.reducers))
        _distinct("classifiers", (classifier.label() for classifier in self.classifiers))
        _distinct("hierarchies", (hierarchy.name for hierarchy in self.hierarchies))
        _distinct("combinations", ("+".join(labels) for labels in self.combinations))
        for source in self.datasets:
            if isinstance(source, CatalogueSource) and own_card(source, Store(self.store)) is None:
                check_options(source)
        names = {augmentation.name for augmentation in self.augmentations}
        for key in ("train_augmentations", "test_augmentations") if not self.features else ():
            named = getattr(self.protocol, key)
            unknown = set() if named == "all" else set(named or ()) - names
            if unknown:
                raise ValueError(
                    f"protocol.{key} has {sorted(unknown)}, which are not among augmentations: {sorted(names)}"
                )
        known = {one.name for one in self.backbones} | {one.card.title for one in self.backbones}
        for labels in self.combinations:
            odd = [label for label in labels if not any(label == one or label.startswith(f"{one} ") for one in known)]
            if odd and not self.features:
                raise ValueError(f"combinations name {odd}, which are not among backbones: {sorted(known)}")
        datasets = {source.name for source in self.datasets}
        strangers = sorted(self.benchmarks.keys() - datasets)
        if strangers and not self.features:
            raise ValueError(f"benchmarks name {strangers}, which are not among datasets: {sorted(datasets)}")
        if self.protocol.matched and MATCHED not in names:
            raise ValueError(f"protocol.matched needs the augmentation {MATCHED!r}; add it to augmentations")
        return self


def load_config(path: str | Path | None, **overrides: Any) -> RunConfig:
    """Reads a configuration; relative paths in it start at its own folder.

    Args:
        path: A YAML file; `None` is the embedded default.
        overrides: Top-level keys to replace; `None` leaves the file's. Relative paths start at the current folder.

    Raises:
        ConfigError: Names each wrong key, where it stands and what would be right.
    """
    values, base = ({}, None) if path is None else (_read_yaml(Path(path)), Path(path).resolve().parent)
    given = {key: value for key, value in overrides.items() if value is not None}
    name = "the embedded default" if path is None else str(path)
    config = make_config(values, name, base)
    if not given:
        return config
    return make_config(config.model_dump() | given, f"{name} with {', '.join(sorted(given))} from the command line")


def make_config(values: dict[str, Any], name: str, base: Path | None = None) -> RunConfig:
    """A configuration from its keys and values.

    Args:
        values: As a file would have them.
        name: Where they come from, for errors.
        base: The folder that relative paths start at; the current one by default.

    Raises:
        ConfigError: Names each wrong key, where it stands and what would be right.
    """
    try:
        return RunConfig.model_validate(values, context={"base": base or Path.cwd()})
    except UnknownNameError as error:
        raise ConfigError(f"{name} is not a valid configuration: {error}") from error
    except ValidationError as error:
        raise ConfigError(_explain(name, error)) from error


def dump_config(config: RunConfig) -> str:
    """The configuration as YAML with every default spelled out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """YAML in which a key may not stand twice; PyYAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # a SafeLoader
    except FileNotFoundError as error:
        raise ConfigError(f"There is no configuration {path}. `dfd config show` prints one to start from.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration {path} can't be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(values, dict):
        found = "nothing" if values is None else f"a {type(values).__name__}"
        raise ConfigError(f"{path} must hold keys and values, it holds {found}.")
    return values


def _explain(name: str, error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    # where an entry of a list is wrong, pydantic also finds the list too short
    wrong = {problem["loc"][:1] for problem in problems if problem["type"] != "too_short"}
    lines = [f"{name} is not a valid configuration:"]
    for problem in problems:
        if problem["type"] == "too_short" and problem["loc"][:1] in wrong:
            continue
        place = ".".join(str(part) for part in problem["loc"]) or "(whole)"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = _unknown_key(str(problem["loc"][-1]), problem["loc"])
        lines.append(f"  {place}: {message}")
    return "\n".join(lines)


def _unknown_key(key: str, location: tuple[int | str, ...]) -> str:
    models: set[type[BaseModel]] = {RunConfig}
    for part in location[:-1]:
        below = {
            one for model in models if part in model.model_fields for one in _models(model.model_fields[str(part)])
        }
        models = below or {model for model in models if _is_tagged(model, part)} or models
    fields = {name for model in models for name in model.model_fields}
    return str(UnknownNameError("key", key, fields)) if fields else f"There is no key named {key!r} here."


def _models(annotation: Any) -> set[type[BaseModel]]:
    """Every model that stands in an annotation, however deep in lists and unions."""
    if isinstance(annotation, FieldInfo):
        return _models(annotation.annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for part in get_args(annotation) for model in _models(part)}


def _is_tagged(model: type[BaseModel], tag: int | str) -> bool:
    """Whether pydantic's name of a member of a union, a key that it has or the value of one, means this model."""
    return tag in model.model_fields or any(field.default == tag for field in model.model_fields.values())


def _distinct(key: str, names: Iterable[str]) -> None:
    twice = sorted(name for name, n in Counter(names).items() if n > 1)
    if twice:
        raise ValueError(f"{key} has {', '.join(twice)} more than once")
