"""Numbers that other people published, with their protocols and sources, to stand beside ours.

`published.csv` holds them as printed, in percent. A dataset is compared with a benchmark only where a configuration
declares that it is that benchmark, and a number stands beside one of ours only where training generator, test
generator, augmentation, metric and threshold are the same. Nothing is matched by likeness.
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated

import pandas as pd
from pydantic import Field, field_validator, model_validator

from dfd_core.datasets.families import squeezed
from dfd_core.errors import UnknownNameError
from dfd_core.specs import Spec

_OURS = {
    "accuracy@0.5": ("accuracy", "0.5"),
    "accuracy": ("accuracy", "0.5"),
    "fake_recall": ("accuracy_fake", "0.5"),
    "average_precision": ("average_precision", ""),
}
"""Our metric and threshold policy for each published metric; none where the metric has no threshold."""
_SAME = {
    "sd14": "stablediffusionv14", "sdv14": "stablediffusionv14", "sdv4": "stablediffusionv14",
    "stablediffusion14": "stablediffusionv14",
    "sd15": "stablediffusionv15", "sdv15": "stablediffusionv15", "sdv5": "stablediffusionv15",
    "stablediffusion15": "stablediffusionv15",
    "stablediffusionxl": "sdxl", "deepfake": "deepfakes", "seeingdark": "sitd", "seeinginthedark": "sitd",
}  # fmt: skip
"""Other names of one generator, without case and separators."""
_SAME_THERE = {
    "UFD-19": {"dalle": "dallemini"},
    "progan_transfer": {"dalle": "dalle+laion"},
    "progan_transfer_1k": {"dalle": "dalle+laion", "glide10027": "glide100+laion", "glide100": "glide100+laion"},
}
"""The same within one benchmark, where a folder's name is shorter than what is in it."""


class Published(Spec):
    """A published number.

    Attributes:
        benchmark: Of which collection of test sets.
        protocol: What trained, and how.
        train_generator: The generator trained on, where the protocol names one.
        generator: The test set.
        test_augmentation: What was done to the test images, in our names of augmentations.
        method: The detector.
        metric: In the words of the source's table.
        percent: The number as printed.
        source: Where it stands.
        evidence: How well it was checked.
        wrong: Whether it is known not to be what it was called; the note says what it is.
        note: What a reader must know.
    """

    benchmark: str
    protocol: str
    train_generator: str
    generator: str
    test_augmentation: str
    method: str
    metric: str
    percent: Annotated[float, Field(ge=0, le=100)]
    source: str
    evidence: str
    wrong: bool
    note: str

    @property
    def value(self) -> float:
        """The number as a share, as our results have it."""
        return round(self.percent / 100, 6)

    @property
    def training(self) -> str:
        """The protocol without what was done to the test images."""
        return self.protocol.partition(", test perturbed ")[0]


class Reference(Spec):
    """A column of published numbers: one method by one protocol from one source.

    Attributes:
        label: The method, and the source where a method has several.
        method: The detector.
        protocol: What trained, and how.
        source: Where the numbers stand.
        notes: What a reader must know.
        benchmark: Of which benchmark.
    """

    label: str
    method: str
    protocol: str
    source: str
    notes: tuple[str, ...]
    benchmark: str

    @property
    def column(self) -> str:
        """The name of its column beside results."""
        return f"{self.benchmark}: {self.label}"


class BenchmarkSpec(Spec):
    """What a dataset is to be compared with; its name alone is enough in a configuration.

    Attributes:
        benchmark: The benchmark that the dataset is.
        methods: Methods to show; by default all.
        protocols: Protocols to show; by default all.
    """

    benchmark: str
    methods: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    protocols: Annotated[tuple[str, ...], Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _a_bare_name_is_enough(cls, value: object) -> object:
        return {"benchmark": value} if isinstance(value, str) else value

    @field_validator("benchmark")
    @classmethod
    def _is_known(cls, value: str) -> str:
        return _chosen("benchmark", value, benchmarks())

    @model_validator(mode="after")
    def _has_what_is_to_be_shown(self) -> BenchmarkSpec:
        rows = published(self.benchmark)
        for name in self.methods or ():
            _chosen(f"method in {self.benchmark}", name, {row.method for row in rows})
        for name in self.protocols or ():
            _chosen(f"protocol in {self.benchmark}", name, {row.protocol for row in rows})
        return self

    def shows(self, row: Published) -> bool:
        """Whether a number may stand beside results."""
        methods = {squeezed(name) for name in self.methods or (row.method,)}
        protocols = {squeezed(name) for name in self.protocols or (row.protocol,)}
        return not row.wrong and squeezed(row.method) in methods and squeezed(row.protocol) in protocols


def benchmarks() -> tuple[str, ...]:
    """The benchmarks that numbers were published for."""
    return tuple(dict.fromkeys(row.benchmark for row in _table()))


def published(
    benchmark: str,
    generator: str | None = None,
    method: str | None = None,
    metric: str | None = None,
    protocol: str | None = None,
) -> tuple[Published, ...]:
    """The published numbers of a benchmark, also those known to be wrong.

    Names are compared without case and separators, and generators by all their known names; `None` is any.

    Args:
        benchmark: Its name.
        generator: The test set.
        method: The detector.
        metric: In our name or in that of the source.
        protocol: What trained.

    Raises:
        UnknownNameError: There is no such benchmark. Of the others an unknown name gives nothing.
    """
    name = _chosen("benchmark", benchmark, benchmarks())
    wanted = None if generator is None else generator_key(generator, name)
    metrics = None if metric is None else {squeezed(metric)} | {squeezed(k) for k, v in _OURS.items() if v[0] == metric}
    return tuple(
        row
        for row in _table()
        if row.benchmark == name
        and (wanted is None or generator_key(row.generator, name) == wanted)
        and (method is None or squeezed(row.method) == squeezed(method))
        and (metrics is None or squeezed(row.metric) in metrics)
        and (protocol is None or squeezed(row.protocol) == squeezed(protocol))
    )


def references(benchmark: BenchmarkSpec | str) -> tuple[Reference, ...]:
    """The columns that a benchmark has to offer, in the order of the table, without numbers known to be wrong.

    Raises:
        UnknownNameError: There is no such benchmark.
    """
    spec = benchmark if isinstance(benchmark, BenchmarkSpec) else BenchmarkSpec(benchmark=benchmark)
    groups: dict[tuple[str, str, str], list[Published]] = {}
    for row in published(spec.benchmark):
        if spec.shows(row):
            groups.setdefault((row.method, row.training, row.source), []).append(row)
    times = Counter(method for method, _, _ in groups)
    by_source = Counter((method, source) for method, _, source in groups)
    found = []
    for (method, protocol, source), rows in groups.items():
        more = [source] if times[method] > 1 else []
        more += [protocol] if by_source[method, source] > 1 else []
        label = f"{method} ({'; '.join(more)})" if more else method
        notes = tuple(dict.fromkeys(row.note for row in rows if row.note))
        found.append(
            Reference(
                label=label, method=method, protocol=protocol, source=source, notes=notes, benchmark=spec.benchmark
            )
        )
    return tuple(found)


def beside(results: pd.DataFrame, declared: Mapping[str, BenchmarkSpec]) -> pd.DataFrame:
    """Results with a column for each reference, in shares like ours; empty where nothing was published.

    Args:
        results: The long table of results.
        declared: The benchmark that each test dataset is; datasets that declare none get no number.

    Returns:
        The same rows in the same order, and the columns `Reference.column` of all declared benchmarks.
    """
    found = results.copy()
    for spec in dict.fromkeys(declared.values()):
        for reference in references(spec):
            found[reference.column] = float("nan")
    honest = ~results["shuffled_labels"].astype(bool)
    for dataset, spec in declared.items():
        rows = results[honest & (results["test_dataset"] == dataset)]
        keys = pd.Series(_keys(rows, spec.benchmark), index=rows.index, dtype=object)
        for reference in references(spec):
            values = {_key_of(row): row.value for row in _rows_of(reference, spec)}
            found.loc[rows.index, reference.column] = keys.map(values.get).astype(float)
    return found


def published_rows(results: pd.DataFrame, declared: Mapping[str, BenchmarkSpec]) -> pd.DataFrame:
    """The published accuracies that may stand beside a run's, a row each.

    Args:
        results: The long table of results.
        declared: The benchmark that each test dataset is.

    Returns:
        Columns train_generator, test_dataset, test_generator, test_augmentation, method, value (in percent), source and
        note.
    """
    cell = ["train_generator", "test_dataset", "test_generator", "test_augmentation"]
    ours = results[(results["metric"] == "accuracy") & (results["threshold_policy"] == "0.5")]
    ours = ours.drop_duplicates(["shuffled_labels", *cell])
    rows = []
    for spec in dict.fromkeys(declared.values()):
        wide = beside(ours, {name: one for name, one in declared.items() if one == spec})
        for reference in references(spec):
            found = wide[wide[reference.column].notna()][[*cell, reference.column]]
            named = found.rename(columns={reference.column: "value"}).drop_duplicates()
            note = "; ".join([reference.protocol, *reference.notes])
            rows.append(named.assign(method=reference.label, source=reference.source, note=note))
    columns = [*cell, "value", "method", "source", "note"]
    frame = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)
    return frame.assign(value=100 * frame["value"].astype(float))


def generator_key(name: str, benchmark: str) -> str:
    """A generator's name as it is compared: without case and separators, one name of several."""
    plain = squeezed(name)
    plain = _SAME.get(plain, plain)
    return _SAME_THERE.get(benchmark, {}).get(plain, plain)


Key = tuple[str, str, str, str, str]


def _key_of(row: Published) -> Key:
    train, test = (generator_key(name, row.benchmark) for name in (row.train_generator, row.generator))
    return (train, test, row.test_augmentation, *_OURS[row.metric])


def _keys(results: pd.DataFrame, benchmark: str) -> list[Key]:
    policies = results["threshold_policy"].fillna("")
    columns = (results["train_generator"], results["test_generator"], results["test_augmentation"], results["metric"])
    known = {name: generator_key(name, benchmark) for column in columns[:2] for name in column.unique()}
    return [
        (known[train], known[test], augmentation, metric, str(policy))
        for train, test, augmentation, metric, policy in zip(*columns, policies, strict=True)
    ]


def _rows_of(reference: Reference, spec: BenchmarkSpec) -> Iterable[Published]:
    """The numbers of a reference that have a training generator to compare."""
    return (
        row
        for row in published(spec.benchmark, method=reference.method)
        if spec.shows(row)
        and row.train_generator
        and (row.training, row.source) == (reference.protocol, reference.source)
    )


def _chosen(kind: str, name: str, known: Iterable[str]) -> str:
    by_key = {squeezed(one): one for one in known}
    if squeezed(name) not in by_key:
        raise UnknownNameError(kind, name, by_key.values())
    return by_key[squeezed(name)]


@functools.cache
def _table() -> tuple[Published, ...]:
    text = importlib.resources.files("dfd_core.evaluation").joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(
        Published.model_validate(row | {"percent": row.pop("value"), "wrong": row["wrong"] == "yes"})
        for row in csv.DictReader(text.splitlines())
    )
