"""What stands in a report, before it is Markdown or HTML, and the parts of it that are text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from dfd_core.evaluation.matrices import ORACLE, policy_order
from dfd_core.evaluation.protocols import PROTOCOLS, ProtocolSpec, untrainable
from dfd_core.evaluation.samples import Samples
from dfd_core.features.precision import PrecisionCheck
from dfd_core.reports.tables import ABSENT, Table

FIGURES = "figures"
"""The folder of a report's pictures, in the report's own."""
FIRST_FAILURES = 20
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
    """A part of the report: text, pictures, tables.

    Attributes:
        title: Its heading.
        text: Paragraphs.
        tables: Tables.
        pictures: Figures.
        folded: Whether the tables are folded away on the page until asked for.
        of_results: Whether the tables are results, which stand in results.md too.
        links: What is beside the report: a text and an address from the report's folder each.
    """

    title: str
    text: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    folded: bool = False
    of_results: bool = False
    links: list[tuple[str, str]] = field(default_factory=list)


def protocol_section(
    frame: pd.DataFrame, protocol: ProtocolSpec, names: Sequence[str], pairing: Sequence[Mapping[str, object]] = ()
) -> Section:
    """How it was measured, and on what.

    Args:
        frame: Rows of the manifests.
        protocol: The protocol that was followed.
        names: The protocols in the results.
        pairing: Which reals stand beside which generator, a table's rows by column.
    """
    text = [
        "Every detector is fitted on split train and tested on split test. "
        + " ".join(f"{name.replace('_', ' ').capitalize()}: {PROTOCOLS.get(name, name)}." for name in names)
        + " The reals of a generator are those that are paired with it; the column reals of the results names them.",
        "Threshold policy 0.5: a sample is called generated where its score is above 0.5. Policy validation: at the "
        "threshold that is best on validation samples of the training set. Policy fpr_1pct: at the one that calls at "
        "most 1 % of their reals generated. Policy oracle is chosen on the test set itself, marks what the best "
        "threshold could reach, and is never a result. AUROC, average precision and EER need no threshold; generated "
        "is the positive class. Unseen means: tested on a generator that was not trained on. Means over generators "
        "weigh every generator alike.",
        "Intervals are of the bootstrap over groups of samples; [low, high] behind a value. They tell what other "
        "samples of the same generators would give, not what other generators would.",
        "Test samples that are among a detector's training samples, or share a group with one in the same dataset, are "
        "excluded (n_excluded); samples without a vector are not scored (n_failed). The results count both.",
        f"A value needs at least {protocol.min_samples_per_class} samples of each label that it rests on.",
    ]
    too_small = [
        f"{one.dataset}/{one.generator} ({one.n_real} real, {one.n_fake} generated)"
        for one in untrainable(Samples(frame, protocol.pairing), protocol)
    ]
    if too_small:
        text.append(f"Too few training samples, so nothing was trained on: {', '.join(too_small)}.")
    tables = [_counts(frame)]
    if pairing:
        header = tuple(map(str, dict.fromkeys(name for row in pairing for name in row)))
        rows = tuple(tuple(str(row.get(name, ABSENT)) for name in header) for row in pairing)
        tables.append(Table(header, rows, "Which reals stand beside which generator", name="pairing"))
    return Section("Protocol and data", text, tables)


def thresholds_section(frame: pd.DataFrame) -> Section | None:
    """Which threshold every policy chose for every detector, as an audit of the numbers; None without thresholds."""
    rows = frame[frame["threshold_policy"].notna() & frame["threshold"].notna()]
    if rows.empty:
        return None
    lines = []
    ends = rows.groupby(["detector", "calibration", "threshold_policy"])["threshold"].agg(["min", "max"])
    found = ends.reset_index().itertuples(index=False, name=None)
    for detector, calibration, policy, low, high in sorted(found, key=lambda one: (one[:2], policy_order(one[2]))):
        value = f"{low:.4f}" if low == high else f"{low:.4f} to {high:.4f}"
        told = f"{policy} †" if policy == ORACLE else policy
        lines.append((detector, calibration, told, value))
    text = [
        "One threshold of a detector serves all its test sets, except the oracle's, which is chosen on each of them."
    ]
    header = ("detector", "calibration", "policy", "threshold")
    notes = ("† chosen on the test set itself.",) if ORACLE in set(rows["threshold_policy"]) else ()
    table = Table(header, tuple(lines), "Thresholds", notes, "thresholds")
    return Section("Thresholds", text, [table], folded=True)


def cells_section(frame: pd.DataFrame) -> Section | None:
    """The cells that could not be measured or rest on a fit that did not converge; None where all is well."""
    rows = frame[frame["status"] != "ok"]
    if rows.empty:
        return None
    columns = ["status", "detector", "test_dataset", "test_generator", "test_augmentation", "note"]
    counts = rows.fillna({"note": ""}).groupby(columns, sort=True).size().reset_index()
    lines = tuple(
        (status, detector, f"{dataset}/{generator}", augmentation, str(n), note)
        for status, detector, dataset, generator, augmentation, note, n in counts.itertuples(index=False, name=None)
    )
    kinds = ", ".join(f"{n} {status}" for status, n in Counter(line[0] for line in lines).most_common())
    header = ("status", "detector", "tested on", "augmentation", "values", "why")
    text = [f"{len(lines)} cells: {kinds}. Nothing is left out for it: each is a row of the results."]
    return Section(
        "Cells that failed or are doubtful", text, [Table(header, lines, "Cells", name="cells")], folded=True
    )


def failures_section(failures: Failures) -> Section:
    """The files without a vector: how many of which status, and the first of them by name."""
    errors: dict[tuple[str, str], list[str]] = {}
    for rows in failures.values():
        for path, status, error in rows:
            errors.setdefault((path, status), []).append(error)
    if not errors:
        return Section("Files without a vector", ["Every file has a vector in every feature set."])
    counts = Counter(status for _, status in errors)
    by_status = Table(("status", "files"), tuple((status, str(n)) for status, n in sorted(counts.items())))
    first = tuple(
        (path, status, found[0], f"{len(found)} of {len(failures)}")
        for (path, status), found in sorted(errors.items())[:FIRST_FAILURES]
    )
    listed = Table(("file", "status", "error", "feature sets"), first, f"The first {len(first)} of {len(errors)}")
    text = [f"{len({path for path, _ in errors})} files have no vector in at least one feature set."]
    return Section("Files without a vector", text, [by_status, listed])


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
