"""What stands in a report, before it is Markdown or HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa

from dfd_core.evaluation.matrices import Matrix, matrices
from dfd_core.evaluation.metrics import METRICS
from dfd_core.evaluation.protocols import ProtocolSpec, untrainable
from dfd_core.evaluation.samples import Samples
from dfd_core.features.precision import PrecisionCheck
from dfd_core.features.table import FeatureTable
from dfd_core.plots import choose_points, feature_map, heatmap, png
from dfd_core.plots.projections import Projection
from dfd_core.reports.tables import Table, matrix_tables, summary_table
from dfd_core.specs import content_hash, readable_key

FIRST_FAILURES = 20
PROJECTION_TITLES: Mapping[Projection, str] = {"pca": "PCA", "tsne": "t-SNE"}
Failures = Mapping[str, Sequence[tuple[str, str, str]]]


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        name: Its file's name.
        data: A PNG file.
        caption: What it shows, also for those who can't see it.
    """

    name: str
    data: bytes
    caption: str


@dataclass
class Section:
    """A part of the report: text, then tables, then pictures.

    Attributes:
        title: Its heading.
        text: Paragraphs.
        tables: Tables.
        pictures: Figures.
        folded: Whether the tables are folded away on the page until asked for.
    """

    title: str
    text: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    folded: bool = False


def protocol_section(frame: pd.DataFrame, protocol: ProtocolSpec) -> Section:
    """How it was measured, and on what."""
    text = [
        "Every detector is fitted on split train of one generator and its paired reals, and tested on split test of "
        "every generator. The reals of a generator are those whose source is the generator's name, where there are "
        "any, else all reals of its dataset; the column reals of the results names them.",
        "Threshold policy 0.5: a sample is called generated where its score is above 0.5. AUROC and average precision "
        "need no threshold; generated is the positive class. Unseen means: tested on another generator than the one "
        "trained on. Means over generators weigh every generator alike.",
        "Test samples that are among a detector's training samples, or share a group with one in the same dataset, are "
        "excluded (n_excluded); samples without a vector are not scored (n_failed). The results count both.",
        f"A value needs at least {protocol.min_samples_per_class} samples of each label that it rests on.",
    ]
    too_small = [
        f"{one.dataset}/{one.generator} ({one.n_real} real, {one.n_fake} generated)"
        for one in untrainable(Samples(frame), protocol)
    ]
    if too_small:
        text.append(f"Too few training samples, so nothing was trained on: {', '.join(too_small)}.")
    return Section("Protocol and data", text, [_counts(frame)])


def failures_section(failures: Failures) -> Section:
    """The files without a vector: how many of which status, and the first of them by name."""
    errors: dict[tuple[str, str], list[str]] = {}
    for rows in failures.values():
        for path, status, error in rows:
            errors.setdefault((path, status), []).append(error)
    if not errors:
        return Section("Failures", ["Every file has a vector in every feature set."])
    counts = Counter(status for _, status in errors)
    by_status = Table(("status", "files"), tuple((status, str(n)) for status, n in sorted(counts.items())))
    first = tuple(
        (path, status, found[0], f"{len(found)} of {len(failures)}")
        for (path, status), found in sorted(errors.items())[:FIRST_FAILURES]
    )
    listed = Table(("file", "status", "error", "feature sets"), first, f"The first {len(first)} of {len(errors)}")
    text = [f"{len({path for path, _ in errors})} files have no vector in at least one feature set."]
    return Section("Failures", text, [by_status, listed])


def precision_section(checks: Sequence[PrecisionCheck]) -> Section:
    """How close each reduced precision stays to float32."""
    text = [
        "The first images of an extraction were computed in float32 too. Cosine is the lowest between the two vectors "
        "of an image, centred the same after the mean of the float32 vectors is taken off: what a classifier sees."
    ]
    rows = tuple(
        (one.backbone, one.precision, one.runtime, str(one.n), f"{one.cosine:.6f}", f"{one.centred:.6f}")
        for one in checks
    )
    header = ("backbone", "precision", "runtime", "images", "cosine", "centred")
    return Section("Precision", text, [Table(header, rows, "Vectors in reduced precision against float32")])


def results_section(results: pa.Table) -> Section:
    """The means over unseen generators."""
    notes = Counter(note for note in results["note"].to_pylist() if note)
    return Section("Results on unseen generators", _notes(notes), [summary_table(results)])


def detectors_section(results: pa.Table) -> Section:
    """The same for every training set."""
    return Section("The same, by training set", tables=[summary_table(results, by_training_set=True)], folded=True)


def heatmap_section(results: pa.Table, metric: str) -> Section:
    """Every matrix of a metric as a heat map and as a table."""
    pictures = [
        Picture(_file_name(matrix), png(heatmap(matrix)), f"{METRICS[metric].title}: {matrix.title()}")
        for matrix in matrices(results, metric)
    ]
    title = f"{METRICS[metric].title}, trained × tested"
    text = ["Framed cells: the generator was trained on. Grey: could not be measured."]
    return Section(title, text, matrix_tables(results, metric), pictures, folded=True)


def map_section(
    frame: pd.DataFrame, features: Mapping[str, Mapping[tuple[str, str], FeatureTable]], seed: int
) -> Section:
    """A PCA and a t-SNE map for every backbone, of the images without augmentation where there are such."""
    pictures = []
    for backbone, bank in features.items():
        names = sorted({augmentation for _, augmentation in bank})
        augmentation = "none" if "none" in names else names[0]
        tables = {dataset: table for (dataset, name), table in bank.items() if name == augmentation}
        points = choose_points(frame, tables, seed=seed)
        title = f"{backbone} · augmentation {augmentation}"
        for projection in PROJECTION_TITLES:
            data = png(feature_map(points, projection, title, seed))
            name = readable_key(f"map_{projection}_{backbone}", content_hash([backbone, augmentation])) + ".png"
            pictures.append(Picture(name, data, f"{PROJECTION_TITLES[projection]} of the features: {title}"))
    return Section("Maps of the features", [f"All splits; drawn and projected with seed {seed}."], pictures=pictures)


def _counts(frame: pd.DataFrame) -> Table:
    splits = ("train", "validation", "test")
    columns = [frame[name].fillna("") for name in ("dataset", "label", "generator", "family", "source", "split")]
    counts = Counter(zip(*columns, strict=True))
    rows = []
    for kind in sorted({key[:5] for key in counts}):
        dataset, _, generator, family, source = kind
        name = f"real ({source})" if source else generator
        rows.append((dataset, name, family, *(str(counts[*kind, split]) for split in splits)))
    return Table(("dataset", "generator", "family", *splits), tuple(rows), "Files")


def _notes(notes: Counter[str]) -> list[str]:
    return [f"Note on {n} values: {note}." for note, n in sorted(notes.items())]


def _file_name(matrix: Matrix) -> str:
    group = matrix.group
    parts = ("backbone", "reducer", "classifier", "train_augmentation", "test_augmentation")
    name = "_".join([matrix.metric, *(group[part] for part in parts)])
    return readable_key(name[:120], content_hash([matrix.metric, group])) + ".png"
