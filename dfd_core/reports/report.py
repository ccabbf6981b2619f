"""Everything that a run found out, in one folder: tables for machines, and one page for people."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from dfd_core.augmentations import AugmentationSpec
from dfd_core.evaluation.matrices import tidy
from dfd_core.evaluation.protocols import ProtocolSpec
from dfd_core.evaluation.samples import Samples
from dfd_core.features.precision import PrecisionCheck
from dfd_core.features.table import FeatureTable
from dfd_core.provenance import provenance
from dfd_core.reports.drawings import comparison_section, heatmap_section, robustness_section
from dfd_core.reports.feature_sections import feature_sections
from dfd_core.reports.latex import latex
from dfd_core.reports.overview import accuracy_section, overview_section, seen_section, sources_section
from dfd_core.reports.page import html
from dfd_core.reports.paired_section import paired_section
from dfd_core.reports.score_sections import (
    Calibrators,
    curves_section,
    drawn_detectors,
    histograms_section,
    reliability_section,
)
from dfd_core.reports.sections import (
    FIGURES,
    Failures,
    Section,
    cells_section,
    failures_section,
    precision_section,
    protocol_section,
    thresholds_section,
)
from dfd_core.reports.selection import select
from dfd_core.storage import Store

TABLES = "tables"


@dataclass(frozen=True)
class ReportInput:
    """What a report is made of.

    Attributes:
        title: The run's name.
        results: The long table of all detectors.
        frame: Rows of the manifests of all datasets.
        protocol: The protocol that was followed.
        features: Vectors by backbone, then by dataset and augmentation, for the maps; without them there are none.
        failures: (path, status, error) of the files without a vector, by feature set, sets without failures too.
        notes: What a reader must know before anything else, such as that a dataset is simulated.
        precision: How close each reduced precision stays to float32.
        heatmap_metrics: The metrics that are drawn.
        seed: Of the maps.
        footer: Where the report comes from, a line each: versions, store, time.
        scores: Tables of scores by detector; each is read at most twice, so they may be loaded when asked for.
        published: Published accuracies: test_generator, method, value in percent, source, note.
        pairing: Which reals stand beside which generator, rows by column.
        sections: More sections, such as of hierarchies; they stand before the failures.
        augmentations: The run's augmentations by name, for their severities.
        calibrators: By detector, then by kind of calibration.
    """

    title: str
    results: pa.Table
    frame: pd.DataFrame
    protocol: ProtocolSpec
    features: Mapping[str, Mapping[tuple[str, str], FeatureTable]] = field(default_factory=dict)
    failures: Failures = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    precision: Sequence[PrecisionCheck] = ()
    heatmap_metrics: tuple[str, ...] = ("accuracy", "auroc")
    seed: int = 0
    footer: tuple[str, ...] = ()
    scores: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    published: pd.DataFrame | None = None
    pairing: Sequence[Mapping[str, object]] = ()
    sections: Sequence[Section] = ()
    augmentations: Mapping[str, AugmentationSpec] = field(default_factory=dict)
    calibrators: Calibrators = field(default_factory=dict)


def write_report(store: Store, folder: str, report: ReportInput) -> str:
    """Writes results.parquet, results.csv, results.md, tables/*, figures/*.png, report.md and, last, index.html.

    A table that has a name is written as Markdown, CSV and LaTeX below `tables`.

    Returns:
        The address of index.html; it needs neither network nor the other files.

    Raises:
        StoreError: The store can't be written.
    """
    sections = _sections(report)
    facts = provenance(title=report.title, protocol=report.protocol.model_dump(mode="json"))
    store.write_table(f"{folder}/results.parquet", report.results, facts)
    store.write_bytes(f"{folder}/results.csv", _csv(report.results))
    for section in sections:
        for picture in section.pictures:
            store.write_bytes(f"{folder}/{FIGURES}/{picture.name}", picture.data)
        for table in section.tables:
            if table.name:
                for ending, text in (("md", table.markdown()), ("csv", table.csv()), ("tex", latex(table))):
                    store.write_bytes(f"{folder}/{TABLES}/{table.name}.{ending}", text.encode())
    tables = [table.markdown() for section in sections for table in section.tables if section.of_results]
    store.write_bytes(f"{folder}/results.md", "\n".join(["# Results\n", *tables]).encode())
    store.write_bytes(f"{folder}/report.md", _markdown(report, sections).encode())
    page = html(report.title, sections, report.notes, report.footer)
    return store.write_bytes(f"{folder}/index.html", page.encode())


def _sections(report: ReportInput) -> list[Section]:
    frame = tidy(report.results)
    selection = select(frame, report.scores, report.frame)
    sections: list[Section | None] = [
        overview_section(frame, selection),
        accuracy_section(selection, report.published),
        *(heatmap_section(selection, metric) for metric in report.heatmap_metrics),
        seen_section(selection),
        sources_section(selection),
        robustness_section(selection, report.heatmap_metrics, report.augmentations),
    ]
    samples = Samples(report.frame, report.protocol.pairing)
    drawn = drawn_detectors(selection, report.scores, samples) if report.scores else []
    if drawn:
        sections += [curves_section(drawn), reliability_section(drawn, report.calibrators), histograms_section(drawn)]
    if report.features:
        sections += feature_sections(report.frame, report.features, report.seed)
    sections += [
        comparison_section(frame),
        paired_section(selection, report.scores, samples) if report.scores else None,
        *report.sections,
        cells_section(frame),
        failures_section(report.failures),
        protocol_section(report.frame, report.protocol, sorted(set(frame["protocol"])), report.pairing),
        thresholds_section(frame),
        precision_section(report.precision) if report.precision else None,
    ]
    return [section for section in sections if section is not None]


def _csv(results: pa.Table) -> bytes:
    out = io.BytesIO()
    pyarrow.csv.write_csv(results, out)
    return out.getvalue()


def _markdown(report: ReportInput, sections: list[Section]) -> str:
    lines = [f"# {report.title}", *(f"> {note}" for note in report.notes)]
    for section in sections:
        links = [f"[{text}]({address})" for text, address in section.links]
        lines += [f"## {section.title}", *section.text, *links, *(table.markdown() for table in section.tables)]
        lines += [f"![{picture.caption}]({FIGURES}/{picture.name})" for picture in section.pictures]
    return "\n\n".join([*lines, *report.footer]) + "\n"
